//! Answers to clients, who verify them again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gomod::ModVer;
use tlog::{Question, SignedHead, Tile, TileLevel, record_hash, split_data_tile};

use super::{
    Log,
    tiles::{MAX_DATA_TILE_BYTES, beside},
};
use crate::{Asking, Error, memory::Absent};

/// How long the newest head is given again without asking.
const LATEST_LIFE: Duration = Duration::from_secs(30);

impl Log {
    /// A look-up: the record, and the newest head that we have.
    ///
    /// Not the head that it came with: it covers the record as well, and a client that gets the
    /// newest one asks for fewer old partial tiles. Source: sumdb.md §9.4.
    pub(crate) async fn answer_lookup(
        self: &Arc<Self>,
        module: &ModVer,
        asking: Asking,
    ) -> Result<Bytes, Error> {
        let now = self.clock.now();
        if let Some(Absent { status, text, .. }) = self.memory.absent(module, now) {
            return Err(Error::NotFound { status, text });
        }
        let found = self.find(module, asking).await.inspect_err(|error| {
            if let Error::NotFound { status, text } = error {
                let absent = Absent { status: *status, text: text.clone(), since: now };
                self.memory.keep_absent(module, absent);
            }
        })?;
        // What was proven was proven under a head of ours, and that only grows.
        let head = self.head().ok_or_else(|| self.not_stored())?;
        let (id, text) = (found.proven.id(), found.proven.record().text());
        Ok(Bytes::from(format!("{id}\n{text}\n{}", head.message())))
    }

    /// The newest head; our own when no newer one can be had.
    pub(crate) async fn answer_latest(self: &Arc<Self>, asking: Asking) -> Result<Bytes, Error> {
        let ours = self.head();
        let age = self.asked_newest().and_then(|asked| self.clock.now().since(asked));
        let fresh = asking == Asking::Stored || age.is_some_and(|age| age < LATEST_LIFE);
        let newest = match ours {
            Some(ours) if fresh => ours,
            None if asking == Asking::Stored => return Err(self.not_stored()),
            // Whatever is wrong with the answer was told, and ours is as good as before.
            Some(ours) => self.refresh().await.unwrap_or(ours),
            None => self.refresh().await?,
        };
        Ok(Bytes::from(newest.message().to_owned()))
    }

    /// A tile, verified under our newest head, at the width that was asked for.
    pub(crate) async fn answer_tile(
        self: &Arc<Self>,
        tile: Tile,
        asking: Asking,
    ) -> Result<Bytes, Error> {
        // What is in memory was verified.
        if let Some(bytes) = self.memory.tile(&tile) {
            return Ok(bytes);
        }
        let head = self.head_with(&tile, asking).await?;
        match tile.level {
            TileLevel::Hashes(_) => self.hash_tile(tile, &head, asking).await,
            TileLevel::Data => self.data_tile(tile, &head, asking).await,
        }
    }

    /// Our newest head, asked for anew when the tile lies beyond it.
    async fn head_with(
        self: &Arc<Self>,
        tile: &Tile,
        asking: Asking,
    ) -> Result<Arc<SignedHead>, Error> {
        let has_it = |head: &Arc<SignedHead>| tile.exists_in(head.size());
        if let Some(head) = self.head().filter(has_it) {
            return Ok(head);
        }
        if asking == Asking::Stored {
            return Err(self.not_stored());
        }
        let head = self.refresh().await?;
        if has_it(&head) {
            return Ok(head);
        }
        let text = format!("not found: {tile} is beyond the newest tree, of size {}", head.size());
        Err(Error::NotFound { status: 404, text: Some(text) })
    }

    async fn hash_tile(
        self: &Arc<Self>,
        tile: Tile,
        head: &SignedHead,
        asking: Asking,
    ) -> Result<Bytes, Error> {
        let read = self.read(head.head(), &[Question::Tile(tile)], asking).await?;
        let read = read.ok_or_else(|| self.not_stored())?;
        self.keep_if_possible(&read).await;
        let same = |found: &&tlog::AuthenticTile| {
            (found.tile().level, found.tile().index) == (tile.level, tile.index)
        };
        let found = read.reading.tiles().iter().find(same);
        let cut = found.and_then(|found| found.bytes().get(..tile.hash_bytes()?));
        cut.map(Bytes::copy_from_slice).ok_or_else(|| self.not_stored())
    }

    /// Records, each held against its leaf. The `go` command never asks for them; auditors do.
    async fn data_tile(
        self: &Arc<Self>,
        tile: Tile,
        head: &SignedHead,
        asking: Asking,
    ) -> Result<Bytes, Error> {
        let leaves = self.hash_tile(beside(&tile), head, asking).await?;
        if let Some((held, _tag)) = self.stored_tile(&tile).await
            && let Some(cut) = first_records(&held, tile.width)
            && are_the_leaves(cut, tile.width, &leaves).is_ok()
        {
            return Ok(held.slice_ref(cut));
        }
        if asking == Asking::Stored {
            return Err(self.not_stored());
        }
        let (body, source_name) = self.fetch_any(tile, MAX_DATA_TILE_BYTES).await?;
        are_the_leaves(&body, tile.width, &leaves).map_err(|reason| Error::Invalid {
            source_name,
            reason: format!("{tile}: {reason}"),
        })?;
        if let Err(error) = self.keep_bytes(tile, &body).await {
            tracing::warn!(database = %self.name, %error, "{tile} was not kept: {error}");
        }
        Ok(body)
    }

    pub(super) fn not_stored(&self) -> Error {
        Error::Unavailable {
            source_name: self.name.as_str().into(),
            timeout: false,
            reason: "not stored here, and not asked for".to_owned(),
            retry_after: None,
        }
    }
}

/// The first `width` records of a data tile: each ends with an empty line.
fn first_records(body: &[u8], width: u16) -> Option<&[u8]> {
    let mut ends = body.windows(2).enumerate().filter(|(_, two)| two == b"\n\n");
    let (end, _) = ends.nth(usize::from(width).checked_sub(1)?)?;
    body.get(..end + 2)
}

/// # Errors
///
/// What is wrong with the records.
fn are_the_leaves(body: &[u8], width: u16, leaves: &[u8]) -> Result<(), String> {
    let records = split_data_tile(body, width).map_err(|error| error.to_string())?;
    let hashes: Vec<u8> =
        records.iter().flat_map(|record| record_hash(record.as_bytes())).collect();
    if hashes == leaves { Ok(()) } else { Err("a record is not the tree's".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_data_tile_begins_with_the_narrow_one() {
        let body = b"a\nb\n\nc\n\nd\n\n";
        assert_eq!(first_records(body, 1).unwrap(), b"a\nb\n\n");
        assert_eq!(first_records(body, 3).unwrap(), body);
        assert_eq!(first_records(body, 4), None);
        assert_eq!(first_records(body, 0), None);
        assert_eq!(first_records(b"", 1), None);
    }
}
