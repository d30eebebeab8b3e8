//! Publishing heads: in memory for everybody here, and in the store for who reads only that.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use store::OwnFile;
use tlog::{SignedCheckpoint, SignedHead};

use super::{Inner, OwnError, View};

impl Inner {
    /// Publishes a head in memory.
    pub(super) fn publish(&self, view: View) {
        self.metrics.size(view.head.size());
        self.view.send_replace(Arc::new(view));
    }

    /// Keeps the store's copies of the heads up with memory; never ends.
    ///
    /// Beside the sequencer, whose answers need not wait for it: the floor, which is durable before,
    /// is what tells a restored database.
    pub(super) async fn keep_publishing(&self) {
        let mut views = self.view.subscribe();
        loop {
            self.publish_files().await;
            self.sweep().await;
            if views.changed().await.is_err() {
                return;
            }
        }
    }

    /// Brings `latest` and `checkpoint` in the store up to the published head, if it is newer.
    pub(super) async fn publish_files(&self) {
        if self.reason().is_some() {
            return;
        }
        if let Err(error) = self.try_publish_files().await {
            // The next head, or the next start, tries again.
            tracing::warn!(%error, "a head of {} is not in the store", self.verifier.name());
        }
    }

    /// As [`publish_files`](Self::publish_files), and tells what went wrong.
    pub(super) async fn try_publish_files(&self) -> Result<(), OwnError> {
        let view = self.view();
        let latest = self.publish_file(OwnFile::Latest, view.head.message(), view.head.size());
        let message = view.checkpoint.message();
        let checkpoint = self.publish_file(OwnFile::Checkpoint, message, view.head.size());
        let (latest, checkpoint) = tokio::join!(latest, checkpoint);
        latest.and(checkpoint)
    }

    async fn publish_file(&self, file: OwnFile, message: &str, size: u64) -> Result<(), OwnError> {
        let current = self.files.read_tagged(file).await?;
        let held = current.as_ref().map_or(0, |(bytes, _tag)| self.size_of(file, bytes));
        let same = current.as_ref().is_some_and(|(bytes, _tag)| *bytes == message.as_bytes());
        if same || held > size {
            return Ok(());
        }
        // Of one size there are two after a change of keys: the database has the newer one.
        if held == size && !self.is_kept(file, message, size).await? {
            return Ok(());
        }
        let bytes = Bytes::copy_from_slice(message.as_bytes());
        let tag = current.map(|(_bytes, tag)| tag);
        self.files.replace(file, bytes, tag.as_ref()).await.map(drop)
    }

    /// Whether the database holds a head, or its checkpoint, as it is here.
    async fn is_kept(&self, file: OwnFile, message: &str, size: u64) -> Result<bool, OwnError> {
        let row = self.rows.head(size).await.map_err(|error| OwnError::database(&error))?;
        let kept = if file == OwnFile::Checkpoint { row.checkpoint } else { row.note };
        Ok(kept == message)
    }

    /// The size of a published head; 0 for what no key of the log signed.
    fn size_of(&self, file: OwnFile, message: &[u8]) -> u64 {
        let size = self.keys.open(|key| match file {
            OwnFile::Checkpoint => {
                SignedCheckpoint::open(key, message).map(|signed| signed.head().size)
            }
            _ => SignedHead::open(key, message).map(|signed| signed.size()),
        });
        size.unwrap_or(0)
    }

    /// Removes partial tiles whose full tile a published head covers: its beginning answers for them.
    async fn sweep(&self) {
        let files =
            std::mem::take(&mut *self.superfluous.lock().unwrap_or_else(PoisonError::into_inner));
        self.files.forget(&files).await;
    }
}
