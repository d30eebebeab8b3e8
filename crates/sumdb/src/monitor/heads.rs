//! The newest head: signed, of the tree that was seen before, of the same tree as the checkpoint.

use tlog::{Frontier, MAX_MESSAGE_BYTES, Reading, SignedCheckpoint, SignedHead};

use super::place::Said;
use super::signed::{Related, Signed, differ};
use super::{Finding, MAX_RECORDS, Misbehaviour, Monitor};
use crate::Error;

/// The most bytes of a signed note.
const MAX_NOTE_BYTES: u64 = MAX_MESSAGE_BYTES as u64;
/// The most findings of one round that are shown with evidence: a log that is wrong everywhere
/// would else fill the disk.
const MAX_EVIDENCE: usize = 100;

/// What a head is to the one that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    /// It goes on, and is kept.
    On,
    /// It does not, or that cannot be told; the kept one stays.
    Not,
    /// It is of another tree: what is served is no longer the tree that was believed.
    Fork,
}

impl Monitor {
    /// Begins a round: asks for the newest head and judges it, and what else the log signed.
    ///
    /// What cannot be asked is [`trouble`](Self::trouble), and does not end the round.
    ///
    /// Not cancel safe: drop the monitor, too.
    pub async fn look(&mut self) {
        self.begin();
        let head = self.newest().await;
        let follows = match &head {
            Some(head) => self.follow(head).await,
            None => Follows::Not,
        };
        self.is_fresh = follows == Follows::On;
        self.walks = follows != Follows::Fork;
        if self.is_fresh {
            self.age();
        }
        let base = self.kept.head.as_ref().or(head.as_ref()).map(Signed::from);
        if let Some(base) = base.filter(|_| self.walks) {
            let larger = self.checkpoint(&base).await;
            self.settle(larger.as_ref().unwrap_or(&base)).await;
            self.later.extend(larger);
        }
        for signed in std::mem::take(&mut self.later) {
            self.kept.hold(signed);
        }
    }

    fn begin(&mut self) {
        self.evidence_left = MAX_EVIDENCE;
        self.trouble.clear();
        self.other_silent = 0;
        self.again = None;
        self.began = self.kept.records;
        self.place.forget();
        let now = self.clock.now();
        self.kept.judged.get_or_insert(now);
        self.kept.compared.get_or_insert(now);
    }

    /// What is served as the newest head, if the log signed it.
    async fn newest(&mut self) -> Option<SignedHead> {
        let body = match self.place.ask("latest", MAX_NOTE_BYTES).await {
            Ok(Said::Found(body)) => body,
            Ok(Said::Absent(status)) => {
                self.troubled(Error::NotFound { status, text: None });
                return None;
            }
            Ok(Said::Bad(reason)) => {
                // A login page, perhaps: not known to be the log's.
                let source_name = self.place.name().into();
                self.troubled(Error::Invalid { source_name, reason });
                return None;
            }
            Err(error) => {
                self.troubled(error);
                return None;
            }
        };
        let error = match SignedHead::open(&self.place.key, &body) {
            Ok(head) if head.size() > 0 || is_empty(&head) => return Some(head),
            Ok(_) => "its root is not the one of an empty tree".to_owned(),
            Err(error) => error.to_string(),
        };
        let what = format!("the newest head is none: {error}");
        let body = String::from_utf8_lossy(&body);
        let served = [("what was served as the newest head", &*body)];
        let finding = self.of_notes((Misbehaviour::Head, &what), "head", &served, None);
        self.find(finding);
        None
    }

    /// Keeps the head if its tree begins with the kept one.
    async fn follow(&mut self, head: &SignedHead) -> Follows {
        if head.has_extensions() {
            let what = format!("the head of size {} has lines below its root", head.size());
            self.extended(&what, &head.into());
        }
        if let Some(kept) = self.kept.head.clone() {
            match self.relate(kept.head(), head.head()).await {
                Related::Yes if head.size() >= kept.size() => {}
                Related::Yes => {
                    self.stale(&kept, head, "");
                    return Follows::Not;
                }
                Related::No(reading) => {
                    self.forked((&(&kept).into(), &head.into()), reading.as_deref());
                    self.kept.fork(head.into());
                    return Follows::Fork;
                }
                Related::Unclear(why) => {
                    self.unclear(&kept, head, &why);
                    return Follows::Not;
                }
                Related::Unasked(error) => {
                    // Signed all the same: it must not be possible to show it once and go back.
                    self.later.push(head.into());
                    self.troubled(error);
                    return Follows::Not;
                }
            }
        }
        if head.size() > MAX_RECORDS {
            let what = format!(
                "the head of size {} promises more than {MAX_RECORDS} records, and is not followed",
                head.size()
            );
            self.doubted(&what, &[head.into()]);
            self.later.push(head.into());
            return Follows::Not;
        }
        self.kept.follow(head, self.clock.now());
        Follows::On
    }

    /// A signed head that what is served does not show to be of the kept tree.
    fn unclear(&mut self, kept: &SignedHead, head: &SignedHead, why: &str) {
        if head.size() < kept.size() {
            self.stale(kept, head, &format!("; whether it is a fork cannot be told: {why}"));
        } else {
            let (new, old) = (head.size(), kept.size());
            let what =
                format!("the head of size {new} cannot be shown to go on from size {old}: {why}");
            self.doubted(&what, &[kept.into(), head.into()]);
        }
        self.later.push(head.into());
    }

    /// The newest head is smaller than the kept one.
    fn stale(&mut self, kept: &SignedHead, head: &SignedHead, more: &str) {
        let (old, new) = (kept.size(), head.size());
        let what =
            format!("the newest head is of size {new}, one of size {old} was seen before{more}");
        let notes =
            [("tree head seen before", kept.message()), ("tree head seen now", head.message())];
        let name = format!("stale-{new}-{old}");
        let finding = self.of_notes((Misbehaviour::Stale, &what), &name, &notes, None);
        self.find(finding);
    }

    fn forked(&mut self, (one, two): (&Signed, &Signed), reading: Option<&Reading>) {
        let what = differ(one.head(), two.head());
        let titles = [one, two].map(Signed::title);
        let before = format!("{} seen before", titles[0]);
        let now = format!("{} seen now", titles[1]);
        let notes = [(before.as_str(), one.message()), (now.as_str(), two.message())];
        let name = format!("fork-{}-{}", one.size(), two.size());
        let finding = self.of_notes((Misbehaviour::Fork, &what), &name, &notes, reading);
        self.find(finding);
    }

    /// Signed, and what is served does not show its tree.
    fn doubted(&mut self, what: &str, signed: &[Signed]) {
        let notes: Vec<_> = signed.iter().map(|one| (one.title(), one.message())).collect();
        let finding = self.of_notes((Misbehaviour::Gap, what), "gap", &notes, None);
        self.find(finding);
    }

    fn extended(&mut self, what: &str, signed: &Signed) {
        let note = [(signed.title(), signed.message())];
        let name = format!("extension-{}", signed.size());
        let finding = self.of_notes((Misbehaviour::Extension, what), &name, &note, None);
        self.find(finding);
    }

    /// How long the head has been the newest; heads carry no time, so since it was first seen.
    fn age(&mut self) {
        if let Some(grew) = self.kept.grew.filter(|grew| self.is_too_long_ago(*grew)) {
            let size = self.kept.size();
            let what = format!("the head of size {size} has been the newest since {grew}");
            self.find(Finding::new(Misbehaviour::Stale, &what));
        }
    }

    /// The C2SP checkpoint, where there is one, must be a head of the same tree. Returns one that
    /// is larger than the head: the next heads must go on from it, too.
    async fn checkpoint(&mut self, head: &Signed) -> Option<Signed> {
        let body = match self.place.ask_if_there("checkpoint", MAX_NOTE_BYTES).await {
            Ok(body) => body?,
            Err(error) => {
                self.troubled(error);
                return None;
            }
        };
        let checkpoint = match SignedCheckpoint::open(&self.place.key, &body) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                let body = String::from_utf8_lossy(&body);
                self.other_tree(&format!("the checkpoint is none: {error}"), head, &body, None);
                return None;
            }
        };
        let has_extensions = checkpoint.has_extensions();
        let checkpoint = Signed::from(checkpoint);
        let (size, of_head) = (checkpoint.size(), head.size());
        if has_extensions {
            let what = format!("the checkpoint of size {size} has lines below its root");
            self.extended(&what, &checkpoint);
        }
        if self.later.iter().any(|later| later.head() == checkpoint.head()) {
            // What is to be said of it was said of the newest head.
            return None;
        }
        match self.relate(head.head(), checkpoint.head()).await {
            Related::Yes => return Some(checkpoint).filter(|_| size > of_head),
            Related::No(reading) => {
                let what = format!(
                    "the checkpoint of size {size} is of another tree than the head of size {of_head}"
                );
                let reading = reading.as_deref();
                self.other_tree(&what, head, checkpoint.message(), reading);
            }
            Related::Unclear(why) if size > of_head => {
                let what = format!(
                    "the checkpoint of size {size} cannot be shown to go on from the head of size \
                     {of_head}: {why}"
                );
                self.other_tree(&what, head, checkpoint.message(), None);
                self.later.push(checkpoint);
            }
            Related::Unclear(why) => {
                let what = format!("the checkpoint of size {size} cannot be compared: {why}");
                self.doubted(&what, &[head.clone(), checkpoint.clone()]);
                self.later.push(checkpoint);
            }
            Related::Unasked(error) => {
                self.later.push(checkpoint);
                self.troubled(error);
            }
        }
        None
    }

    fn other_tree(&mut self, what: &str, head: &Signed, checkpoint: &str, of: Option<&Reading>) {
        let notes = [(head.title(), head.message()), ("checkpoint", checkpoint)];
        let name = format!("checkpoint-{}", head.size());
        let finding = self.of_notes((Misbehaviour::Checkpoint, what), &name, &notes, of);
        self.find(finding);
    }

    /// Compares what the log signed before, or elsewhere, with the newest that is believed. What is
    /// shown to be the beginning of it is done with; all else waits for the next round.
    async fn settle(&mut self, newest: &Signed) {
        if let Some(fork) = self.kept.fork.clone() {
            // It was shown, and stays one whatever is served now.
            let reading = match self.relate(fork.head(), newest.head()).await {
                Related::No(reading) => reading,
                _ => None,
            };
            self.forked((&fork, newest), reading.as_deref());
        }
        let elsewhere = std::mem::take(&mut self.heads);
        for signed in self.kept.signed.clone().into_iter().chain(elsewhere) {
            match self.relate(signed.head(), newest.head()).await {
                Related::Yes if signed.size() <= newest.size() => self.kept.release(&signed),
                Related::Yes => self.kept.hold(signed),
                Related::No(reading) => {
                    self.forked((&signed, newest), reading.as_deref());
                    self.kept.release(&signed);
                    self.kept.fork(signed);
                }
                Related::Unclear(why) => {
                    let what = format!(
                        "the {} of size {} that it signed cannot be shown to be of its tree: {why}",
                        signed.title(),
                        signed.size()
                    );
                    self.doubted(&what, &[signed.clone(), newest.clone()]);
                    self.kept.hold(signed);
                }
                Related::Unasked(error) => {
                    self.kept.hold(signed);
                    self.troubled(error);
                }
            }
        }
    }
}

/// Whether the root is the one of an empty tree; old Go wrote it as zeros. Source: sumdb.md §1.3.
fn is_empty(head: &SignedHead) -> bool {
    let root = head.head().root;
    root == Frontier::new().root() || root.iter().all(|byte| *byte == 0)
}
