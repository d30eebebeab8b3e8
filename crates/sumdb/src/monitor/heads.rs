//! The newest head: signed, of the tree that was seen before, of the same tree as the checkpoint.

use std::collections::HashMap;

use tlog::{MAX_MESSAGE_BYTES, Question, Reading, SignedCheckpoint, SignedHead, TreeHead};

use super::place::{Failed, Said};
use super::{Finding, Misbehaviour, Monitor};
use crate::Error;

/// The most bytes of a signed note.
const MAX_NOTE_BYTES: u64 = MAX_MESSAGE_BYTES as u64;
/// The most findings of one round that are shown with evidence: a log that is wrong everywhere
/// would else fill the disk.
const MAX_EVIDENCE: usize = 100;

impl Monitor {
    /// Asks for the newest head and judges it; [`walk`](Self::walk) then goes up to it, if its tree
    /// begins with the tree of the head that was kept.
    ///
    /// Cancel safe: a head is kept whole, or not.
    ///
    /// # Errors
    ///
    /// Those of asking log and other database: [`Error::Unavailable`], [`Error::NotFound`] when there is no head,
    /// [`Error::Invalid`] for what is no answer of a log (a login page).
    pub async fn look(&mut self) -> Result<(), Error> {
        self.walks = false;
        self.evidence_left = MAX_EVIDENCE;
        // What an earlier error left: else it would be kept as judged, and was not compared.
        self.compare().await?;
        self.place.forget();
        let body = match self.place.ask("latest", MAX_NOTE_BYTES).await? {
            Said::Found(body) => body,
            Said::Absent(status) => return Err(Error::NotFound { status, text: None }),
        };
        let head = match SignedHead::open(&self.place.key, &body) {
            Ok(head) => head,
            Err(error) => {
                let what = format!("the newest head is none: {error}");
                let body = String::from_utf8_lossy(&body).into_owned();
                let served = [("what was served as the newest head", body.as_str())];
                let name = format!("head-{}", self.clock.now().unix_secs());
                self.find(self.of_notes((Misbehaviour::Head, &what), name, &served, None));
                return Ok(());
            }
        };
        if head.has_extensions() {
            let what = format!("the head of size {} has lines below its root", head.size());
            let note = [("tree head", head.message())];
            let name = format!("extension-{}", head.size());
            self.find(self.of_notes((Misbehaviour::Extension, &what), name, &note, None));
        }
        self.walks = self.follow(&head).await?;
        if self.walks {
            self.age();
            self.checkpoint(&head).await?;
        }
        Ok(())
    }

    /// Keeps the head if its tree begins with the kept one; whether to walk.
    async fn follow(&mut self, head: &SignedHead) -> Result<bool, Error> {
        let Some(kept) = self.kept.head.clone() else {
            self.keep(head);
            return Ok(true);
        };
        if head.size() < kept.size() {
            self.shrunk(&kept, head).await?;
            return Ok(false);
        }
        if head.size() == kept.size() {
            if head.head() != kept.head() {
                let what = format!("there are two trees of size {}", kept.size());
                self.forked(&what, (&kept, head), None);
            }
            return Ok(head.head() == kept.head());
        }
        let older = [Question::Tree(kept.size())];
        match self.place.read(head.head(), &older, &HashMap::new()).await {
            Ok(reading) if reading.extends(kept.head()).is_ok() => {
                self.keep(head);
                Ok(true)
            }
            Ok(reading) => {
                let what = not_begun(kept.size(), head.size());
                self.forked(&what, (&kept, head), Some(&reading));
                Ok(false)
            }
            Err(failed) => {
                let why = failed.what()?;
                let what = format!(
                    "the head of size {} cannot be shown to go on from size {}: {why}",
                    head.size(),
                    kept.size()
                );
                self.find(Finding::new(Misbehaviour::Gap, &what));
                Ok(false)
            }
        }
    }

    fn keep(&mut self, head: &SignedHead) {
        // An empty tree has nothing to be consistent with; old Go wrote its root otherwise.
        if head.size() > 0 {
            self.kept.head = Some(head.clone());
        }
        self.kept.grew = Some(self.clock.now());
    }

    /// The newest head is smaller than the kept one: of the same tree, or a fork.
    async fn shrunk(&mut self, kept: &SignedHead, head: &SignedHead) -> Result<(), Error> {
        let (old, new) = (kept.size(), head.size());
        let what = format!("the newest head is of size {new}, one of size {old} was seen before");
        let read = self.place.read(kept.head(), &[Question::Tree(new)], &HashMap::new()).await;
        let what = match read {
            // The empty tree is the beginning of every tree.
            _ if new == 0 => what,
            Ok(reading) if reading.root(new) == Ok(head.head().root) => what,
            Ok(reading) => {
                self.forked(&not_begun(new, old), (kept, head), Some(&reading));
                return Ok(());
            }
            Err(Failed::Inconsistent(_)) => {
                let what = format!("{what}, and the tiles that are served are not of that tree");
                self.forked(&what, (kept, head), None);
                return Ok(());
            }
            Err(failed) => {
                format!("{what}; whether it is a fork cannot be told: {}", failed.what()?)
            }
        };
        let notes =
            [("tree head seen before", kept.message()), ("tree head seen now", head.message())];
        let name = format!("stale-{new}-{old}");
        self.find(self.of_notes((Misbehaviour::Stale, &what), name, &notes, None));
        Ok(())
    }

    fn forked(
        &mut self,
        what: &str,
        (kept, head): (&SignedHead, &SignedHead),
        reading: Option<&Reading>,
    ) {
        let notes =
            [("tree head seen before", kept.message()), ("tree head seen now", head.message())];
        let name = format!("fork-{}-{}", kept.size(), head.size());
        self.find(self.of_notes((Misbehaviour::Fork, what), name, &notes, reading));
    }

    /// How long the head has been the newest; heads carry no time, so since it was first seen.
    fn age(&mut self) {
        let (Some(max), Some(grew)) = (self.max_age, self.kept.grew) else { return };
        let age = self.clock.now().since(grew).unwrap_or_default();
        if age > max {
            let size = self.kept.size();
            let what = format!("the head of size {size} has been the newest since {grew}");
            self.find(Finding::new(Misbehaviour::Stale, &what));
        }
    }

    /// The C2SP checkpoint, where there is one, must be a head of the same tree.
    async fn checkpoint(&mut self, head: &SignedHead) -> Result<(), Error> {
        let Some(body) = self.place.ask_if_there("checkpoint", MAX_NOTE_BYTES).await? else {
            return Ok(());
        };
        let checkpoint = match SignedCheckpoint::open(&self.place.key, &body) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                let body = String::from_utf8_lossy(&body).into_owned();
                self.other_tree(&format!("the checkpoint is none: {error}"), head, &body);
                return Ok(());
            }
        };
        match self.one_tree(head.head(), checkpoint.head()).await {
            Ok(true) => {}
            Ok(false) => {
                let size = checkpoint.head().size;
                let what = format!(
                    "the checkpoint of size {size} is of another tree than the head of size {}",
                    head.size()
                );
                self.other_tree(&what, head, checkpoint.message());
            }
            Err(failed) => {
                let what = format!("the checkpoint cannot be compared: {}", failed.what()?);
                self.find(Finding::new(Misbehaviour::Gap, &what));
            }
        }
        Ok(())
    }

    fn other_tree(&mut self, what: &str, head: &SignedHead, checkpoint: &str) {
        let notes = [("tree head", head.message()), ("checkpoint", checkpoint)];
        let name = format!("checkpoint-{}", head.size());
        self.find(self.of_notes((Misbehaviour::Checkpoint, what), name, &notes, None));
    }

    /// Whether the tree of the larger head begins with the tree of the smaller one.
    async fn one_tree(&self, one: &TreeHead, two: &TreeHead) -> Result<bool, Failed> {
        let (less, more) = if one.size < two.size { (one, two) } else { (two, one) };
        if less.size == 0 || less.size == more.size {
            return Ok(less.size == 0 || less.root == more.root);
        }
        let reading = self.place.read(more, &[Question::Tree(less.size)], &HashMap::new()).await?;
        Ok(reading.extends(less).is_ok())
    }
}

fn not_begun(less: u64, more: u64) -> String {
    format!("the tree of size {more} does not begin with the tree of size {less}")
}
