//! Recovery: database and store made whole from each other, and held against every head.

use bytes::Bytes;
use db::{LogStanding, NewRecord};
use gomod::ModVer;
use store::OwnFile;
use tlog::{
    Note, Record, SignedCheckpoint, SignedHead, Tile, TileLevel, TreeHead, VerifierKey,
    split_data_tile,
};

use super::edge::{Edge, FULL, NewFile};
use super::entry::Entry;
use super::files::{Files, Trouble};
use super::floor::{Floor, HeldFloor};
use super::keys::{Keys, sign};
use super::rotate::sign_again;
use super::{Kind, OwnError, OwnLog, OwnParts};

/// What a recovery found and mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Records of the log now.
    pub records: u64,
    /// How many of them the database did not have.
    pub restored: u64,
    /// How many files the store did not have.
    pub rewritten: u64,
    /// How many records are erased, those included that an older database still had.
    pub erased: u64,
    /// The keys that sign, the oldest first.
    pub keys: Vec<VerifierKey>,
}

impl OwnLog {
    /// Makes database and store whole from each other, and thaws the log if every head that is
    /// known to have been given out is one of the tree that results.
    ///
    /// Which keys sign, the database says; one that is older than the last change of keys, or lost,
    /// takes them over from the newest head that was published: those at hand that signed it.
    ///
    /// For a person to ask for, with the log's only sequencer stopped. `kind` says where a record
    /// came from: the store does not know. `outside` are heads that others have, as they have them:
    /// clients' `latest`, a monitor's, checkpoints. They are needed when the store has lost what was
    /// signed: then nothing here tells how far the log was. Nothing is changed before all heads are
    /// those of one tree. Cost: one tile of records in memory, and a few seconds for each million
    /// records. Cut short, it can be asked again.
    ///
    /// # Errors
    ///
    /// [`OwnError::Damaged`] when the two contradict each other, or records are lost for which a
    /// head was signed: such a log cannot go on under its name. [`OwnError::Existence`] without
    /// the log's keys; [`OwnError::Unavailable`] when database or store do not answer.
    pub async fn recover(
        parts: &OwnParts,
        outside: &[Bytes],
        kind: impl Fn(&ModVer) -> Kind + Sync,
    ) -> Result<Recovered, OwnError> {
        let mut recovery = Recovery::begin(parts).await?;
        let known = recovery.known_heads(outside).await?;
        let found = recovery.walk(&known, None::<&Unasked>).await?;
        recovery.nothing_is_lost(&known, &found.head()).await?;
        let edge = recovery.walk(&known, Some(&kind)).await?;
        recovery.finish(&edge).await?;
        if recovery.scrubs {
            recovery.rows.scrub().await.map_err(|error| OwnError::database(&error))?;
        }
        let Recovery { restored, rewritten, erased, keys, .. } = recovery;
        let keys = keys.signing().cloned().collect();
        Ok(Recovered { records: edge.size(), restored, rewritten, erased, keys })
    }
}

/// Who says where records came from, when none is written.
type Unasked = fn(&ModVer) -> Kind;

struct Recovery<'a> {
    parts: &'a OwnParts,
    rows: db::Log,
    files: Files,
    epoch: u64,
    standing: LogStanding,
    keys: Keys,
    /// Whether the database lists other keys.
    changed: bool,
    restored: u64,
    rewritten: u64,
    erased: u64,
    /// Whether texts went from the database.
    scrubs: bool,
}

/// Heads that the tree must have had, beside those of the database.
struct Known(Vec<TreeHead>);

impl Known {
    /// All that the tree is compared with, when it has the size.
    fn of(&self, size: u64) -> impl Iterator<Item = &TreeHead> {
        self.0.iter().filter(move |head| head.size == size)
    }
}

impl<'a> Recovery<'a> {
    /// Takes the log over, and finds who signs it.
    async fn begin(parts: &'a OwnParts) -> Result<Self, OwnError> {
        let database = |error: db::Error| OwnError::database(&error);
        let (held, files) = (parts.held_keys()?, parts.files());
        let latest = files.read(OwnFile::Latest).await?;
        let latest = latest.and_then(|message| Note::parse(&message).ok());
        let wrong = |problem| OwnError::Existence { log: parts.name.clone(), problem };
        let mut made = None;
        let rows =
            if let Some(rows) = parts.state.log(parts.name.as_str()).await.map_err(database)? {
                rows
            } else {
                let keys = Keys::found(&held, latest.as_ref());
                let keys = keys.ok_or_else(|| wrong("has another key"))?;
                parts.make_rows(made.insert(keys)).await?
            };
        let epoch = rows.lead().await.map_err(database)?;
        let standing = rows.standing().await.map_err(database)?;
        let listed = Keys::read(&standing).ok_or_else(|| parts.damaged("its keys are none"))?;
        // The database's list counts, unless a newer one signed what was published.
        let newer = latest.filter(|latest| listed.outdated(&held, latest).is_some());
        let keys = match newer {
            Some(latest) => listed.taken_over(&held, &latest),
            None => made.or_else(|| Some(listed.clone())),
        };
        let keys = keys.filter(|keys| keys.signers(parts).is_ok());
        let keys = keys.ok_or_else(|| wrong("has a key that is not there: restore it first"))?;
        Ok(Self {
            parts,
            rows,
            files,
            epoch,
            standing,
            changed: keys != listed,
            keys,
            restored: 0,
            rewritten: 0,
            erased: 0,
            scrubs: false,
        })
    }

    fn damaged(&self, reason: String) -> OwnError {
        OwnError::Damaged { log: self.parts.name.clone(), reason }
    }

    fn trouble(&self, trouble: Trouble) -> OwnError {
        match trouble {
            Trouble::Unavailable(error) => error,
            Trouble::Contradiction(reason) | Trouble::Mismatch(reason) => self.damaged(reason),
            Trouble::Superseded => {
                OwnError::Unavailable { reason: "another process writes".into() }
            }
        }
    }

    async fn known_heads(&self, outside: &[Bytes]) -> Result<Known, OwnError> {
        let floor = HeldFloor::read(&self.files).await.map_err(|error| self.trouble(error))?;
        if floor.is_none() && outside.is_empty() {
            return Err(self.damaged(
                "the store does not say any more what was signed: name the newest head that \
                 clients or a monitor have, or retire the log"
                    .into(),
            ));
        }
        let mut known: Vec<_> =
            floor.into_iter().flat_map(|held| [held.floor.given, held.floor.signed]).collect();
        let latest = self.files.read(OwnFile::Latest).await?;
        let heads = latest.iter().map(|latest| ("latest", latest));
        for (whose, message) in heads.chain(outside.iter().map(|head| ("a head of others", head))) {
            let head = self.keys.open(|key| open_either(key, message));
            let foreign = || self.damaged(format!("{whose} is not signed by a key of the log"));
            known.push(head.ok_or_else(foreign)?);
        }
        Ok(Known(known))
    }

    /// Goes through all records, of the database as long as it has any, then of the store. Writes
    /// what either lacks when `kind` says where records came from; else only looks.
    async fn walk(
        &mut self,
        known: &Known,
        kind: Option<&(impl Fn(&ModVer) -> Kind + Sync)>,
    ) -> Result<Edge, OwnError> {
        let mut edge = Edge::new();
        let mut heads = Vec::new();
        loop {
            let first = edge.size();
            let rows = self.rows.records(first, FULL).await;
            let rows = rows.map_err(|error| OwnError::database(&error))?;
            let stored = match self.stored(first >> 8).await {
                // The database has the records, and heads will tell whether they are the right ones.
                Err(OwnError::Damaged { .. }) if !rows.is_empty() => Vec::new(),
                stored => stored?,
            };
            let entries = self.united(first, stored, &rows)?;
            if entries.is_empty() {
                return Ok(edge);
            }
            self.heads(&mut heads, first, first + entries.len() as u64).await?;
            let (mut files, last) = (Vec::new(), entries.len() < usize::from(FULL));
            for entry in &entries {
                edge.append(entry, &mut files);
                let head = edge.head_if(|size| {
                    heads.iter().any(|head: &TreeHead| head.size == size)
                        || known.of(size).next().is_some()
                });
                if let Some(head) = head {
                    self.compare(&head, heads.iter().chain(known.of(head.size)))?;
                }
            }
            if let Some(kind) = kind {
                if last {
                    files.extend(edge.partial(0));
                }
                self.restore(first, rows.len(), &entries, kind).await?;
                self.erase_again(first, &entries, &rows).await?;
                self.mend(&files).await?;
                let redacted = self.files.redact(first >> 8, &entries).await;
                redacted.map_err(|error| self.trouble(error))?;
            }
            if last {
                return Ok(edge);
            }
        }
    }

    fn compare<'h>(
        &self,
        head: &TreeHead,
        known: impl Iterator<Item = &'h TreeHead>,
    ) -> Result<(), OwnError> {
        for other in known.filter(|known| known.size == head.size) {
            if other != head {
                let size = head.size;
                return Err(self.damaged(format!("the head of {size} records is of another tree")));
            }
        }
        Ok(())
    }

    async fn mend(&mut self, files: &[NewFile]) -> Result<(), OwnError> {
        let mended = self.files.mend(files).await.map_err(|error| self.trouble(error))?;
        self.rewritten += mended as u64;
        Ok(())
    }

    /// The heads of the database from above one size up to another.
    async fn heads(&self, heads: &mut Vec<TreeHead>, from: u64, to: u64) -> Result<(), OwnError> {
        // At most as many as there are sizes.
        let rows = self.rows.heads(from + 1, FULL).await;
        let rows = rows.map_err(|error| OwnError::database(&error))?;
        heads.clear();
        let rows = rows.into_iter().filter(|row| row.size <= to);
        heads.extend(rows.map(|row| TreeHead { size: row.size, root: row.root }));
        Ok(())
    }

    /// The records that the store holds of a tile; one that was erased stays so, whatever text is
    /// left of it.
    async fn stored(&self, index: u64) -> Result<Vec<Entry>, OwnError> {
        let (whole, stays) = (self.whole(index).await?, self.files.redacted(index).await?);
        let stays = stays.unwrap_or_default();
        let (mut entries, others) =
            if stays.len() > whole.len() { (stays, whole) } else { (whole, stays) };
        for (entry, other) in entries.iter_mut().zip(others) {
            if entry.leaf() != other.leaf() {
                return Err(self.damaged(format!("tiles of records {index} contradict each other")));
            }
            if other.text().is_none() {
                *entry = other;
            }
        }
        Ok(entries)
    }

    /// A tile of records as it was before any was erased: the full one, else the widest there is.
    async fn whole(&self, index: u64) -> Result<Vec<Entry>, OwnError> {
        for width in (1..=FULL).rev() {
            let tile = Tile { level: TileLevel::Data, index, width };
            if let Some(bytes) = self.files.read(OwnFile::Tile(tile)).await? {
                let texts = split_data_tile(&bytes, width);
                let texts = texts.map_err(|error| self.damaged(format!("{tile}: {error}")))?;
                return Ok(texts.into_iter().map(|text| Entry::Text(text.into())).collect());
            }
        }
        Ok(Vec::new())
    }

    /// What database and store say together. Where they differ the database counts: the heads, some
    /// of which lie in the store or elsewhere, tell whether it may.
    fn united(
        &self,
        first: u64,
        stored: Vec<Entry>,
        rows: &[db::LogRecord],
    ) -> Result<Vec<Entry>, OwnError> {
        let mut stored = stored.into_iter();
        let mut entries = Vec::new();
        for (id, row) in (first..).zip(rows) {
            if row.id != id {
                return Err(self.damaged(format!("record {id} is missing in the database")));
            }
            let known = Entry::of_row(row.clone());
            if known.leaf() != row.leaf {
                return Err(self.damaged(format!("record {id} has another text than leaf")));
            }
            // Erased in the one, left in the other: erased.
            let erased = stored
                .next()
                .filter(|stored| stored.text().is_none() && stored.leaf() == known.leaf());
            entries.push(erased.unwrap_or(known));
        }
        entries.extend(stored);
        Ok(entries)
    }

    /// Erases from the database what an older one had the text of again.
    async fn erase_again(
        &mut self,
        first: u64,
        entries: &[Entry],
        rows: &[db::LogRecord],
    ) -> Result<(), OwnError> {
        let erased = (first..).zip(entries).filter(|(_id, entry)| entry.text().is_none());
        for (id, _entry) in erased {
            self.erased += 1;
            if rows.iter().any(|row| row.id == id && row.text.is_some()) {
                let erased = self.rows.erase(self.epoch, id).await;
                if !erased.map_err(|error| OwnError::database(&error))? {
                    return Err(self.trouble(Trouble::Superseded));
                }
                self.scrubs = true;
            }
        }
        Ok(())
    }

    /// Gives the database the records that only the store has.
    async fn restore(
        &mut self,
        first: u64,
        have: usize,
        entries: &[Entry],
        kind: &(impl Fn(&ModVer) -> Kind + Sync),
    ) -> Result<(), OwnError> {
        let lost = entries.get(have..).unwrap_or_default();
        if lost.is_empty() {
            return Ok(());
        }
        let mut records = Vec::with_capacity(lost.len());
        for entry in lost {
            let module = match entry {
                Entry::Text(text) => Record::read(text).ok().map(|record| record.module().clone()),
                Entry::Erased(gone) => Some(gone.module.clone()),
            };
            let module = module.ok_or_else(|| self.damaged("the store holds no record".into()))?;
            let (text, kind) = (entry.text().map(str::to_owned), kind(&module));
            records.push(NewRecord { module, text, leaf: entry.leaf(), kind });
        }
        let (place, now) = (first + have as u64, self.parts.clock.now());
        let restored = self.rows.restore(self.epoch, place, &records, now).await;
        if !restored.map_err(|error| OwnError::database(&error))? {
            return Err(
                self.damaged(format!("the records from {place} on do not fit the database"))
            );
        }
        self.restored += lost.len() as u64;
        Ok(())
    }

    /// Refuses a tree that is smaller than one that was signed.
    ///
    /// A head that was signed may have left: places are given before the floor is raised, so without
    /// its records this is no crash but a restored backup.
    async fn nothing_is_lost(&self, known: &Known, found: &TreeHead) -> Result<(), OwnError> {
        let row = self.rows.head(self.standing.integrated).await;
        let row = row.map_err(|error| OwnError::database(&error))?;
        let newest = known.0.iter().map(|head| head.size).fold(row.size, u64::max);
        if newest <= found.size {
            return Ok(());
        }
        Err(self.damaged(format!(
            "a head of {newest} records was signed and {} records are left: retire the log",
            found.size
        )))
    }

    /// Signs the tree that was found, and thaws.
    async fn finish(&mut self, edge: &Edge) -> Result<(), OwnError> {
        let head = edge.head();
        let row = self.rows.head(self.standing.integrated).await;
        let row = row.map_err(|error| OwnError::database(&error))?;
        let floor = Floor { given: head.clone(), signed: head.clone() };
        match HeldFloor::read(&self.files).await.map_err(|error| self.trouble(error))? {
            Some(mut found) => found.set(&self.files, floor).await?,
            None => drop(HeldFloor::make(&self.files, &head).await?),
        }
        if self.changed {
            let rows = (&self.rows, self.epoch);
            if !sign_again(self.parts, rows, &row, &self.keys).await? {
                return Err(self.trouble(Trouble::Superseded));
            }
        }
        if row.size < head.size {
            self.keep(&head).await?;
        }
        let database = |error: db::Error| OwnError::database(&error);
        self.rows.thaw().await.map_err(database)?;
        let log = OwnLog::open(self.parts.clone()).await?;
        log.inner.publish_files().await;
        Ok(())
    }

    async fn keep(&self, head: &TreeHead) -> Result<(), OwnError> {
        let missing = |reason| OwnError::Unavailable { reason };
        let signers = self.keys.signers(self.parts).map_err(missing)?;
        let row = sign(&signers, head, self.parts.clock.now())?.row;
        let kept = self.rows.integrate(self.epoch, self.standing.integrated, &row).await;
        if kept.map_err(|error| OwnError::database(&error))? {
            Ok(())
        } else {
            Err(self.trouble(Trouble::Superseded))
        }
    }
}

/// Opens a head in either form.
fn open_either(key: &VerifierKey, message: &[u8]) -> Result<TreeHead, tlog::Error> {
    let head = SignedHead::open(key, message).map(|signed| signed.head().clone());
    head.or_else(|_| SignedCheckpoint::open(key, message).map(|signed| signed.head().clone()))
}
