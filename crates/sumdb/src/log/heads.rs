//! Tree heads: the newest one only grows, and every other must be of the same tree.

use std::{sync::Arc, time::Duration};

use gomod::SumdbRequest;
use tlog::{Question, SignedHead};
use units::Timestamp;

use super::{Log, MAX_NOTE_BYTES};
use crate::{Asking, Error, metrics::Incident};

/// A look-up with a newer head leads to a question for the newest one, at most this often; in
/// between its own head is merged. Three hundred look-ups at once must not ask three hundred times.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The same after a failure: where look-ups are answered and this is not, it may take a time limit.
const ASK_AGAIN_IN_VAIN: Duration = Duration::from_secs(30);
/// Heads that may overtake one that is being settled: each is a request of somebody else.
const MAX_OVERTAKEN: usize = 64;

impl Log {
    /// Takes over what the state holds: at the start, and when somebody else has written it.
    pub(super) async fn reload(&self) -> Result<(), Error> {
        let Some(state) = &self.state else { return Ok(()) };
        let row = state.sumdb_head(self.name.as_str()).await;
        let Some(row) = row.map_err(|error| self.kept("the tree head", &error))? else {
            return Ok(());
        };
        let signed = SignedHead::open(&self.key, row.note.as_bytes());
        let signed = signed.map_err(|error| self.kept("the stored tree head", &error))?;
        if (signed.size(), signed.head().root) != (row.size, row.root) {
            let reason = format!("the stored tree head of {} is not that of its note", self.name);
            return Err(Error::Kept { reason });
        }
        self.adopt(signed);
        if let Some(evidence) = row.evidence {
            self.set_frozen(evidence);
        }
        Ok(())
    }

    /// Uses a head that the state holds; never a smaller one.
    fn adopt(&self, head: SignedHead) {
        let mut standing = self.standing();
        if standing.head.as_ref().is_none_or(|ours| ours.size() < head.size()) {
            if let Some(before) = standing.head.take() {
                self.memory.keep_consistent(before.head());
            }
            self.metrics.tree_size(self.name.as_str(), head.size());
            standing.head = Some(Arc::new(head));
        }
    }

    /// Asks for the newest head, verifies and keeps it; all who ask meanwhile share the answer.
    ///
    /// # Errors
    ///
    /// All but `NotRecorded`.
    pub(crate) async fn refresh(self: &Arc<Self>) -> Result<Arc<SignedHead>, Error> {
        let joined = self.refreshing.join((), || {
            let log = Arc::clone(self);
            Box::pin(async move { log.ask_newest().await })
        });
        joined.await
    }

    async fn ask_newest(self: &Arc<Self>) -> Result<Arc<SignedHead>, Error> {
        self.must_be_believed()?;
        let now = self.clock.now();
        let asked = self.ask(&SumdbRequest::Latest, MAX_NOTE_BYTES).await;
        {
            let mut standing = self.standing();
            (standing.asked, standing.in_vain) = (Some(now), asked.is_err());
        }
        let (body, source_name) = asked?;
        let newest = self.opened(&body, &source_name)?;
        if newest.size() == 0 && self.head().is_none() {
            let reason = "its tree is empty".to_owned();
            return Err(Error::Unavailable {
                source_name,
                timeout: false,
                reason,
                retry_after: None,
            });
        }
        let before = self.head();
        let ours = self.settle(&newest).await?;
        if let Some(before) = before.filter(|before| newest.size() < before.size()) {
            self.rolled_back(&before, &newest).await;
        }
        Ok(ours)
    }

    /// Checks form and signature of a head.
    ///
    /// # Errors
    ///
    /// `Invalid`: nothing that the key did not sign is a lie of the database.
    pub(super) fn opened(&self, message: &[u8], source: &Arc<str>) -> Result<SignedHead, Error> {
        let opened = SignedHead::open(&self.key, message).map_err(|error| Error::Invalid {
            source_name: Arc::clone(source),
            reason: error.to_string(),
        })?;
        if opened.has_extensions() {
            self.incident(Incident::Extension, "lines stand below a tree head; they are ignored");
        }
        Ok(opened)
    }

    /// Whether the newest head may be asked for again.
    pub(super) fn may_ask_newest(&self, now: Timestamp) -> bool {
        let standing = self.standing();
        let again = if standing.in_vain { ASK_AGAIN_IN_VAIN } else { ASK_AGAIN };
        standing.asked.and_then(|asked| now.since(asked)).is_none_or(|age| age >= again)
    }

    /// When the newest head was last asked for.
    pub(super) fn asked_newest(&self) -> Option<Timestamp> {
        self.standing().asked
    }

    /// Settles the head of a look-up: a newer one than ours makes us ask for the newest of all.
    pub(super) async fn settle_seen(
        self: &Arc<Self>,
        seen: &SignedHead,
    ) -> Result<Arc<SignedHead>, Error> {
        let is_newer = self.head().is_none_or(|ours| ours.size() < seen.size());
        if is_newer && self.may_ask_newest(self.clock.now()) {
            self.try_refresh().await?;
        }
        self.settle(seen).await
    }

    /// Asks for the newest head, but does without: not every place that has records has this.
    pub(super) async fn try_refresh(self: &Arc<Self>) -> Result<(), Error> {
        match self.refresh().await {
            Ok(_)
            | Err(Error::NotFound { .. } | Error::Unavailable { .. } | Error::Invalid { .. }) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Makes sure that a signed head and ours are of one tree, and returns the newer one, which is
    /// then ours.
    ///
    /// # Errors
    ///
    /// `Misbehaved` for a fork, which also freezes the database, and for forged tiles.
    pub(super) async fn settle(
        self: &Arc<Self>,
        seen: &SignedHead,
    ) -> Result<Arc<SignedHead>, Error> {
        for _ in 0..MAX_OVERTAKEN {
            self.must_be_believed()?;
            match self.head() {
                Some(ours) if self.memory.is_consistent(seen.head()) => return Ok(ours),
                Some(ours) if seen.size() <= ours.size() => {
                    self.check_older(seen, &ours).await?;
                    return Ok(ours);
                }
                _ => Box::pin(self.grow(seen)).await?,
            }
        }
        let reason = format!("the tree head of {} was overtaken too often", self.name);
        Err(Error::Kept { reason })
    }

    /// A head that is not newer than ours: its tree must be the beginning of ours.
    async fn check_older(
        self: &Arc<Self>,
        seen: &SignedHead,
        ours: &SignedHead,
    ) -> Result<(), Error> {
        if seen.head() == ours.head() || seen.size() == 0 {
            return Ok(());
        }
        if seen.size() == ours.size() {
            return Err(self.forked(seen, ours, None).await);
        }
        let questions = [Question::Tree(seen.size())];
        let Some(read) = self.read(ours.head(), &questions, Asking::Anyone).await? else {
            return Err(self.not_stored());
        };
        self.keep_if_possible(&read).await;
        match read.reading.extends(seen.head()) {
            Ok(()) => {
                self.memory.keep_consistent(seen.head());
                Ok(())
            }
            Err(_) => Err(self.forked(seen, ours, Some(&read.reading)).await),
        }
    }

    /// Takes over a newer head: its tree must begin with ours.
    ///
    /// The tiles that prove it are kept before the head is. So whatever was provable under the old
    /// head, every record and every older head, is provable from the store alone under the new one:
    /// the tiles at the right edge of the old tree are the only ones that change, and the proof
    /// goes through all of them.
    async fn grow(self: &Arc<Self>, seen: &SignedHead) -> Result<(), Error> {
        let _turn = self.growing.lock().await;
        self.must_be_believed()?;
        let Some(state) = &self.state else {
            let reason = format!("there is no state to keep the tree head of {} in", self.name);
            return Err(Error::Kept { reason });
        };
        let before = self.head();
        if before.as_ref().is_some_and(|before| before.size() >= seen.size()) {
            return Ok(());
        }
        let questions: Vec<_> = before.iter().map(|before| Question::Tree(before.size())).collect();
        let Some(read) = self.read(seen.head(), &questions, Asking::Anyone).await? else {
            return Err(self.not_stored());
        };
        if let Some(before) = &before
            && read.reading.extends(before.head()).is_err()
        {
            return Err(self.forked(seen, before, Some(&read.reading)).await);
        }
        self.keep(&read).await?;
        let row = db::SumdbHead {
            size: seen.size(),
            root: seen.head().root,
            note: seen.message().to_owned(),
            checked: self.clock.now(),
            evidence: None,
        };
        let from = before.map(|before| before.size());
        let advanced = state.advance_sumdb_head(self.name.as_str(), from, &row).await;
        // Dropped here: the state is ahead of memory, and the next who wants to write sees it.
        if advanced.map_err(|error| self.kept("the tree head", &error))? {
            self.metrics.advanced();
            self.adopt(seen.clone());
            Ok(())
        } else {
            self.reload().await
        }
    }
}
