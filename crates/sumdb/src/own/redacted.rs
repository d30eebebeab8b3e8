//! Redacted tiles: what stays of a tile of records after one of them was erased.
//!
//! Its files are gone, and with them the store's copy of its other records. They are kept here, so
//! that a lost database can still be made again from the store: one line of JSON for each record,
//! `{"id":7,"leaf":"<base64>","text":"<record>"}`, and for an erased one
//! `{"id":7,"leaf":"<base64>","redacted":"<module>@<version>"}`. Source: reference sumdb.md, §8.7 and §10 (export).
//!
//! One file for a tile, which grows with the tree and is replaced when another record is erased.
//! Never served.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::try_join_all;
use gomod::{ModVer, ModulePath, Version};
use serde::{Deserialize, Serialize};
use store::{Key, OwnFile};
use tlog::{MAX_RECORD_BYTES, Tile, TileLevel};

use super::OwnError;
use super::edge::FULL;
use super::entry::{Entry, Gone};
use super::files::{Files, Trouble};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: u64,
    leaf: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted: Option<String>,
}

/// Writes the entries from number `first` on.
pub(super) fn write(first: u64, entries: &[Entry]) -> Bytes {
    let mut body = String::new();
    for (id, entry) in (first..).zip(entries) {
        let (text, redacted) = match entry {
            Entry::Text(text) => (Some(text.to_string()), None),
            Entry::Erased(gone) => (None, Some(gone.module.to_string())),
        };
        let line = Line { id, leaf: STANDARD.encode(entry.leaf()), text, redacted };
        // Text and numbers only: this cannot fail.
        body.push_str(&serde_json::to_string(&line).unwrap_or_default());
        body.push('\n');
    }
    body.into()
}

/// Reads what [`write`] wrote: at most the records of one tile, each with its own leaf.
pub(super) fn parse(first: u64, body: &[u8]) -> Option<Vec<Entry>> {
    let lines = std::str::from_utf8(body).ok()?.strip_suffix('\n')?.split('\n');
    let mut entries = Vec::new();
    for line in lines {
        if entries.len() == usize::from(FULL) {
            return None;
        }
        let line: Line = serde_json::from_str(line).ok()?;
        let leaf = STANDARD.decode(&line.leaf).ok()?.try_into().ok()?;
        let entry = match (line.text, line.redacted) {
            (Some(text), None) if text.len() <= MAX_RECORD_BYTES => Entry::Text(text.into()),
            (None, Some(module)) => {
                Entry::Erased(Arc::new(Gone { module: version(&module)?, leaf }))
            }
            _ => return None,
        };
        if line.id != first + entries.len() as u64 || entry.leaf() != leaf {
            return None;
        }
        entries.push(entry);
    }
    Some(entries)
}

fn version(text: &str) -> Option<ModVer> {
    let (path, version) = text.split_once('@')?;
    ModVer::new(ModulePath::parse(path).ok()?, Version::parse(version).ok()?).ok()
}

impl Files {
    /// Reads what stays of a tile of records; `None`: nothing of it was erased, or the file is
    /// damaged, and the database makes it again.
    pub(super) async fn redacted(&self, index: u64) -> Result<Option<Vec<Entry>>, OwnError> {
        let Some(body) = self.read(OwnFile::Redacted(index)).await? else { return Ok(None) };
        let entries = parse(index << 8, &body);
        if entries.is_none() {
            let key = Key::Own(&self.name, OwnFile::Redacted(index));
            tracing::warn!("{key} cannot be read, and counts as missing");
        }
        Ok(entries)
    }

    /// Writes what stays of a tile; durable on return. Never fewer records than there were, and
    /// never a text where none was: the database may be one from before an erasure.
    ///
    /// # Errors
    ///
    /// A contradiction when other leaves are there.
    pub(super) async fn keep_redacted(&self, index: u64, body: &Bytes) -> Result<(), Trouble> {
        let (file, first) = (OwnFile::Redacted(index), index << 8);
        let Some((old, tag)) = self.read_tagged(file).await? else {
            self.replace(file, body.clone(), None).await?;
            return Ok(());
        };
        if old.starts_with(body) {
            return Ok(());
        }
        let mut entries = parse(first, body).unwrap_or_default();
        for (place, old) in parse(first, &old).unwrap_or_default().into_iter().enumerate() {
            match entries.get_mut(place) {
                Some(new) if new.leaf() != old.leaf() => {
                    let told = format!("{} is of another tree", Key::Own(&self.name, file));
                    return Err(Trouble::Contradiction(told));
                }
                Some(new) if old.text().is_none() => *new = old,
                Some(_) => {}
                None => entries.push(old),
            }
        }
        self.replace(file, write(first, &entries), Some(&tag)).await?;
        Ok(())
    }

    /// Takes all files away that hold an erased record of a tile, of whatever width; what stays of
    /// the tile is durable before. `entries` are all that the tile has.
    pub(super) async fn redact(&self, index: u64, entries: &[Entry]) -> Result<(), Trouble> {
        let Some(first) = entries.iter().position(|entry| entry.text().is_none()) else {
            return Ok(());
        };
        self.keep_redacted(index, &write(index << 8, entries)).await?;
        let narrowest = u16::try_from(first).unwrap_or(FULL) + 1;
        let files = (narrowest..=FULL).flat_map(|width| {
            let tile = Tile { level: TileLevel::Data, index, width };
            [OwnFile::Tile(tile), OwnFile::Entries(tile)]
        });
        let gone = files.map(async |file| self.store.remove(&Key::Own(&self.name, file)).await);
        try_join_all(gone).await.map_err(|error| OwnError::store(&error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Store;

    fn text(number: u64) -> Entry {
        Entry::Text(format!("m v{number} \"h1\":x\nü\n").into())
    }

    fn gone(byte: u8) -> Entry {
        let module = version("corp.example/M@v1.0.0-RC1").unwrap();
        Entry::Erased(Arc::new(Gone { module, leaf: [byte; 32] }))
    }

    fn files() -> Files {
        Files {
            store: Store::memory(),
            name: "log.example".parse().unwrap(),
            erased: super::super::entry::Erased::default(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for entries in [vec![gone(1)], vec![text(512), gone(2), text(514)]] {
            assert_eq!(parse(512, &write(512, &entries)), Some(entries));
        }
    }

    #[test]
    fn a_tile_has_at_most_256_records_of_at_most_65535_bytes() {
        let entries: Vec<_> = (0..256).map(text).collect();
        let body = write(0, &entries);
        assert_eq!(parse(0, &body).map(|entries| entries.len()), Some(256));
        let past = [body, write(256, &[text(256)])].concat();
        assert_eq!(parse(0, &past), None);
        let long = |bytes: usize| write(0, &[Entry::Text("x".repeat(bytes).into())]);
        assert!(parse(0, &long(MAX_RECORD_BYTES)).is_some());
        assert!(parse(0, &long(MAX_RECORD_BYTES + 1)).is_none());
    }

    #[test]
    fn other_texts_are_refused() {
        let body = String::from_utf8(write(7, &[text(7), gone(3)]).to_vec()).unwrap();
        let altered = [
            String::new(),
            body.trim_end().to_owned(),
            body.replace("\"id\":8", "\"id\":9"),
            body.replace(" v7 ", " v8 "),
            body.replace("@v1", "@x1"),
            body.replace("\"redacted\"", "\"text\""),
            body.replace("\"redacted\"", "\"erased\""),
            body.replace("AwMDA", "A"),
            format!("{body}\n"),
        ];
        for bad in altered {
            assert_eq!(parse(7, bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(8, body.as_bytes()), None, "of another place");
        assert_eq!(parse(7, b"\xff\n"), None);
    }

    #[tokio::test]
    async fn what_stays_grows_and_never_changes_its_leaves() {
        let files = files();
        let keep = async |entries: &[Entry]| files.keep_redacted(3, &write(768, entries)).await;
        let read = async || files.redacted(3).await.unwrap().unwrap();
        keep(&[text(0), gone(1)]).await.unwrap();
        keep(&[text(0), gone(1), text(2)]).await.unwrap();
        // Less than is there: a batch that is made again.
        keep(&[text(0)]).await.unwrap();
        assert_eq!(read().await, [text(0), gone(1), text(2)]);
        let Entry::Erased(erased) = gone(0) else { unreachable!() };
        let erase = |entry: Entry| {
            let (leaf, module) = (entry.leaf(), erased.module.clone());
            Entry::Erased(Arc::new(Gone { module, leaf }))
        };
        keep(&[erase(text(0)), gone(1)]).await.unwrap();
        assert_eq!(read().await, [erase(text(0)), gone(1), text(2)]);
        // By a database from before the first was erased.
        keep(&[text(0), gone(1), erase(text(2)), text(3)]).await.unwrap();
        assert_eq!(read().await, [erase(text(0)), gone(1), erase(text(2)), text(3)]);
        let other = keep(&[text(9), gone(1), text(2)]).await;
        assert!(matches!(other, Err(Trouble::Contradiction(_))), "{other:?}");
    }
}
