//! Recovery: database and store made whole from each other, and held against every head.

use std::sync::Arc;

use db::{LogHead, LogStanding, NewRecord};
use gomod::{ModVer, ModulePath, Version};
use store::OwnFile;
use tlog::{Record, split_data_tile};
use tlog::{SignedHead, Tile, TileLevel, TreeHead, record_hash, sign_checkpoint, sign_head};

use super::edge::{Edge, FULL, NewFile};
use super::files::{Files, Trouble};
use super::floor::{Floor, HeldFloor};
use super::start::first_head;
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
}

impl OwnLog {
    /// Makes database and store whole from each other, and thaws the log if every head that is
    /// known to have been given out is one of the tree that results.
    ///
    /// For a person to ask for, with the log's only sequencer stopped. `kind` says where a record
    /// came from: the store does not know. Cost: one tile of records in memory, and a second or two
    /// for each million records. Cut short, it can be asked again.
    ///
    /// # Errors
    ///
    /// [`OwnError::Damaged`] when the two contradict each other, or records are lost for which a
    /// head was given out: such a log cannot go on under its name. [`OwnError::Existence`] without
    /// the log's key; [`OwnError::Unavailable`] when database or store do not answer.
    pub async fn recover(
        parts: &OwnParts,
        kind: impl Fn(&ModVer) -> Kind + Sync,
    ) -> Result<Recovered, OwnError> {
        let signer = parts.signer()?;
        let database = |error: db::Error| OwnError::database(&error);
        let name = parts.name.as_str();
        if parts.state.log(name).await.map_err(database)?.is_none() {
            let (first, key) = (first_head(signer, parts)?, signer.verifier().to_string());
            parts.state.create_log(name, &key, &first).await.map_err(database)?;
        }
        let rows = parts.state.log(name).await.map_err(database)?;
        let wrong = |problem| OwnError::Existence { log: parts.name.clone(), problem };
        let rows = rows.ok_or_else(|| wrong("was never made"))?;
        let epoch = rows.lead().await.map_err(database)?;
        let standing = rows.standing().await.map_err(database)?;
        if standing.key != signer.verifier().to_string() {
            return Err(wrong("has another key"));
        }
        let files = parts.files();
        let mut recovery =
            Recovery { parts, rows, files, epoch, standing, restored: 0, rewritten: 0 };
        let known = recovery.known_heads().await?;
        let edge = recovery.walk(&known, &kind).await?;
        recovery.finish(&known, &edge).await?;
        let (restored, rewritten) = (recovery.restored, recovery.rewritten);
        Ok(Recovered { records: edge.size(), restored, rewritten })
    }
}

struct Recovery<'a> {
    parts: &'a OwnParts,
    rows: db::Log,
    files: Files,
    epoch: u64,
    standing: LogStanding,
    restored: u64,
    rewritten: u64,
}

/// Heads that the tree must have had.
struct Known {
    floor: Option<HeldFloor>,
    /// Heads that were given out beside those of the database.
    given: Vec<TreeHead>,
}

impl Known {
    fn signed(&self) -> Option<&TreeHead> {
        self.floor.as_ref().map(|held| &held.floor.signed)
    }

    /// All that the tree is compared with, when it has the size.
    fn of(&self, size: u64) -> impl Iterator<Item = &TreeHead> {
        self.given.iter().chain(self.signed()).filter(move |head| head.size == size)
    }
}

impl Recovery<'_> {
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

    async fn known_heads(&self) -> Result<Known, OwnError> {
        let floor = HeldFloor::read(&self.files).await.map_err(|error| self.trouble(error))?;
        let mut given: Vec<_> = floor.iter().map(|held| held.floor.given.clone()).collect();
        if let Some(latest) = self.files.read(OwnFile::Latest).await? {
            let key = self.parts.signer()?.verifier();
            let latest = SignedHead::open(&key, &latest);
            let latest = latest.map_err(|error| self.damaged(format!("latest: {error}")))?;
            given.push(latest.head().clone());
        }
        Ok(Known { floor, given })
    }

    /// Goes through all records, of the store as long as it has any, then of the database.
    async fn walk(
        &mut self,
        known: &Known,
        kind: &(impl Fn(&ModVer) -> Kind + Sync),
    ) -> Result<Edge, OwnError> {
        let mut edge = Edge::new();
        let mut heads = Vec::new();
        loop {
            let first = edge.size();
            let stored = self.stored(first >> 8).await?;
            let rows = self.rows.records(first, FULL).await;
            let rows = rows.map_err(|error| OwnError::database(&error))?;
            let texts = self.united(first, stored, &rows)?;
            if texts.is_empty() {
                return Ok(edge);
            }
            self.restore(first, rows.len(), &texts, kind).await?;
            self.heads(&mut heads, first, first + texts.len() as u64).await?;
            let (mut files, last) = (Vec::new(), texts.len() < usize::from(FULL));
            for text in &texts {
                edge.append(text, &mut files);
                let head = edge.head_if(|size| {
                    heads.iter().any(|head: &TreeHead| head.size == size)
                        || known.of(size).next().is_some()
                });
                if let Some(head) = head {
                    self.compare(&head, heads.iter().chain(known.of(head.size)))?;
                }
            }
            if last {
                files.extend(edge.partial(0));
            }
            self.mend(&files).await?;
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

    /// The records that the store holds of a tile: the full one, else the widest that there is.
    async fn stored(&self, index: u64) -> Result<Vec<Arc<str>>, OwnError> {
        for width in (1..=FULL).rev() {
            let tile = Tile { level: TileLevel::Data, index, width };
            if let Some(bytes) = self.files.read(OwnFile::Tile(tile)).await? {
                let texts = split_data_tile(&bytes, width);
                let texts = texts.map_err(|error| self.damaged(format!("{tile}: {error}")))?;
                return Ok(texts.into_iter().map(Arc::from).collect());
            }
        }
        Ok(Vec::new())
    }

    /// What store and database say together; where both say something it must be the same.
    fn united(
        &self,
        first: u64,
        stored: Vec<Arc<str>>,
        rows: &[db::LogRecord],
    ) -> Result<Vec<Arc<str>>, OwnError> {
        let mut texts = stored;
        for (number, row) in (0_usize..).zip(rows) {
            let id = first + number as u64;
            let differ = || self.damaged(format!("database and store differ in record {id}"));
            match (texts.get(number), &row.text) {
                _ if row.id != id => return Err(differ()),
                (Some(text), _) if record_hash(text.as_bytes()) != row.leaf => return Err(differ()),
                (Some(_), _) => {}
                (None, Some(text)) if record_hash(text.as_bytes()) == row.leaf => {
                    texts.push(Arc::from(text.as_str()));
                }
                (None, _) => return Err(self.damaged(format!("record {id} has no text"))),
            }
        }
        Ok(texts)
    }

    /// Gives the database the records that only the store has.
    async fn restore(
        &mut self,
        first: u64,
        have: usize,
        texts: &[Arc<str>],
        kind: &(impl Fn(&ModVer) -> Kind + Sync),
    ) -> Result<(), OwnError> {
        let lost = texts.get(have..).unwrap_or_default();
        if lost.is_empty() {
            return Ok(());
        }
        let mut records = Vec::with_capacity(lost.len());
        for text in lost {
            let module = module_of(text).filter(|module| Record::parse(module, text).is_ok());
            let module = module.ok_or_else(|| self.damaged("the store holds no record".into()))?;
            let (leaf, kind) = (record_hash(text.as_bytes()), kind(&module));
            records.push(NewRecord { module, text: text.to_string(), leaf, kind });
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

    /// Signs the tree that was found, and thaws.
    async fn finish(&mut self, known: &Known, edge: &Edge) -> Result<(), OwnError> {
        let head = edge.head();
        let row = self.rows.head(self.standing.integrated).await;
        let row = row.map_err(|error| OwnError::database(&error))?;
        let newest = known.given.iter().map(|head| head.size).fold(row.size, u64::max);
        if newest > head.size {
            return Err(self.damaged(format!(
                "a head of {newest} records was given out and {} records are left: retire the log",
                head.size
            )));
        }
        // Only here may the floor sink: from a head whose tiles were never written, so that it
        // never left.
        let floor = Floor { given: head.clone(), signed: head.clone() };
        match HeldFloor::read(&self.files).await.map_err(|error| self.trouble(error))? {
            Some(mut found) => found.set(&self.files, floor).await?,
            None => drop(HeldFloor::make(&self.files, &head).await?),
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
        let signer = self.parts.signer()?;
        let refused = |error: tlog::Error| OwnError::Unavailable { reason: error.to_string() };
        let row = LogHead {
            size: head.size,
            root: head.root,
            note: sign_head(signer, head).map_err(refused)?.message().to_owned(),
            checkpoint: sign_checkpoint(signer, head).map_err(refused)?.message().to_owned(),
            signed: self.parts.clock.now(),
        };
        let kept = self.rows.integrate(self.epoch, self.standing.integrated, &row).await;
        if kept.map_err(|error| OwnError::database(&error))? {
            Ok(())
        } else {
            Err(self.trouble(Trouble::Superseded))
        }
    }
}

/// The module that the first line of a record names: the line of its zip.
fn module_of(record: &str) -> Option<ModVer> {
    let mut fields = record.split('\n').next()?.split(' ');
    let path = ModulePath::parse(fields.next()?).ok()?;
    let version = Version::parse(fields.next()?).ok()?;
    ModVer::new(path, version).ok()
}
