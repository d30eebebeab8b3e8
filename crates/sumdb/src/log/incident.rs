//! Contradictions: counted, told, and kept as evidence that a person can read.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use gomod::ModVer;
use store::{Created, Key};
use tlog::{Reading, SignedHead};

use super::Log;
use crate::{Error, metrics::Incident};

/// Sizes that the newest head went back to which are told and kept apart; replicas that lag behind
/// would else fill the evidence.
const MAX_ROLLBACKS: usize = 64;
/// Wrong records kept as evidence in one run, of up to a megabyte each; further ones are counted.
const MAX_WRONG_RECORDS: usize = 64;

impl Log {
    /// Counts and tells.
    pub(super) fn incident(&self, kind: Incident, what: &str) {
        self.metrics.incident(kind);
        let (kind, database) = (kind.slug(), &self.name);
        if kind == Incident::Extension.slug() || kind == Incident::Rollback.slug() {
            tracing::warn!(%database, kind, "{database}: {what}");
        } else {
            tracing::error!(%database, kind, "{database} does not tell the truth: {what}");
        }
    }

    pub(super) fn set_frozen(&self, evidence: String) {
        self.metrics.frozen(self.name.as_str(), true);
        self.standing().frozen.get_or_insert(evidence);
    }

    /// Two signed heads contradict each other: keeps them, and believes nothing new any more.
    pub(super) async fn forked(
        &self,
        seen: &SignedHead,
        ours: &SignedHead,
        reading: Option<&Reading>,
    ) -> Error {
        let (older, newer) = if seen.size() < ours.size() { (seen, ours) } else { (ours, seen) };
        let what = format!(
            "fork: the tree of size {} does not begin with the tree of size {}",
            newer.size(),
            older.size()
        );
        self.incident(Incident::Fork, &what);
        let mut text = self.heading("fork", &what);
        heads(&mut text, ours, seen);
        if let Some(reading) = reading {
            proof(&mut text, older, reading);
        }
        let name = format!("fork-{}-{}", older.size(), newer.size());
        let evidence = self.keep_evidence(&name, text).await;
        if let Some(state) = &self.state
            && let Err(error) = state.freeze_sumdb(self.name.as_str(), &evidence).await
        {
            // In memory it is frozen all the same; after a restart the next head tells it again.
            tracing::error!(%error, "the contradiction of {} was not noted: {error}", self.name);
        }
        self.set_frozen(evidence.clone());
        Error::Misbehaved {
            database: self.name.to_string(),
            reason: what,
            evidence: Some(evidence),
        }
    }

    /// The newest head is older than one that was seen before, and of the same tree.
    pub(super) async fn rolled_back(&self, ours: &SignedHead, seen: &SignedHead) {
        {
            let mut standing = self.standing();
            if standing.rollbacks.contains(&seen.size())
                || standing.rollbacks.len() >= MAX_ROLLBACKS
            {
                return;
            }
            standing.rollbacks.push(seen.size());
        }
        let what = format!(
            "rollback: the newest head is of size {}, one of size {} was seen before",
            seen.size(),
            ours.size()
        );
        self.incident(Incident::Rollback, &what);
        let mut text = self.heading("rollback", &what);
        heads(&mut text, ours, seen);
        self.keep_evidence(&format!("rollback-{}", seen.size()), text).await;
    }

    /// An answer to a look-up that is not the module's record, below a head that the key signed.
    pub(super) async fn wrong_record(
        &self,
        module: &ModVer,
        answer: &[u8],
        error: &tlog::Error,
        is_signed: bool,
    ) -> Error {
        let what = error.to_string();
        self.incident(Incident::WrongRecord, &what);
        let evidence = if is_signed && self.may_keep_wrong_record() {
            let mut text = self.heading("wrong record", &what);
            // It parsed as text before.
            let answer = String::from_utf8_lossy(answer);
            let _never = write!(text, "\n--- answer to the look-up of {module} ---\n{answer}");
            let (path, version) = (module.path().escaped(), module.version().escaped());
            Some(self.keep_evidence(&format!("record/{path}@{version}"), text).await)
        } else {
            None
        };
        Error::Misbehaved { database: self.name.to_string(), reason: what, evidence }
    }

    /// Whether one more may be kept: whoever answers for the database could fill the disk with them.
    fn may_keep_wrong_record(&self) -> bool {
        let mut standing = self.standing();
        let may = standing.wrong_records < MAX_WRONG_RECORDS;
        standing.wrong_records += usize::from(may);
        may
    }

    fn heading(&self, kind: &str, what: &str) -> String {
        let (database, key, now) = (&self.name, &self.key, self.clock.now());
        format!("evidence: {kind}\ndatabase: {database}\nkey: {key}\nseen: {now}\n{what}\n")
    }

    /// Keeps a text; one of that name that is there stays. Returns its name.
    #[expect(clippy::disallowed_methods, reason = "the one place where this room keeps evidence")]
    async fn keep_evidence(&self, name: &str, text: String) -> String {
        let name = format!("sumdb/{}/{name}.txt", self.name);
        let kept = async {
            let mut staged = self.store.stage().await?;
            staged.write(Bytes::from(text)).await?;
            let created = self.store.create(&Key::Evidence(&name), staged).await?;
            Ok::<_, store::Error>(matches!(created, Created::New(_)))
        };
        if let Err(error) = kept.await {
            // The incident is counted and told in any case.
            tracing::error!(%error, "evidence {name} was not kept: {error}");
        }
        name
    }
}

fn heads(text: &mut String, ours: &SignedHead, seen: &SignedHead) {
    for (title, head) in [("known before", ours), ("seen now", seen)] {
        let (size, message) = (head.size(), head.message());
        let _never = write!(text, "\n--- tree head {title}, size {size} ---\n{message}");
    }
}

/// What shows the contradiction: the older root as the newer tree has it, and the tiles.
fn proof(text: &mut String, older: &SignedHead, reading: &Reading) {
    let (size, newer) = (older.size(), reading.head().size);
    if let Ok(root) = reading.root(size) {
        let root = STANDARD.encode(root);
        let _never =
            write!(text, "\n--- root of size {size} in the tree of size {newer} ---\n{root}\n");
    }
    let _never = write!(text, "\n--- tiles of the tree of size {newer} ---\n");
    for tile in reading.tiles() {
        let _never = writeln!(text, "{} {}", tile.tile(), STANDARD.encode(tile.bytes()));
    }
}
