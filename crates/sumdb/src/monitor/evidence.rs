//! What shows a misbehaviour to somebody who trusts nobody: what the log signed, and what it serves.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use tlog::{Question, Reading, SignedHead, Tile, TileLevel, record_hash};

use super::grammar;
use super::place::{FULL, Said};
use super::{Finding, Misbehaviour, Monitor};

impl Monitor {
    /// What evidence begins with.
    pub(super) fn heading(&self, finding: &Finding) -> String {
        let (key, now) = (&self.place.key, self.clock.now());
        format!(
            "evidence: {}\ndatabase: {}\nkey: {key}\nseen: {now}\n{}\n",
            finding.kind,
            key.name(),
            finding.what
        )
    }

    /// A finding that is shown by signed notes, and tiles of the one of them.
    pub(super) fn of_notes(
        &self,
        (kind, what): (Misbehaviour, &str),
        name: String,
        notes: &[(&str, &str)],
        reading: Option<&Reading>,
    ) -> Finding {
        let finding = Finding::new(kind, what);
        let mut text = self.heading(&finding);
        for (title, note) in notes {
            let _never = write!(text, "\n--- {title} ---\n{note}");
        }
        if let Some(reading) = reading {
            let _never =
                write!(text, "\n--- tiles of the tree of size {} ---\n", reading.head().size);
            for tile in reading.tiles() {
                let _never = writeln!(text, "{} {}", tile.tile(), STANDARD.encode(tile.bytes()));
            }
        }
        finding.with(name, text)
    }

    /// A finding that is shown by records, each with the proof that the newest tree holds it.
    ///
    /// They are fetched again: findings are rare. Where that fails the finding stands without.
    pub(super) async fn of_records(
        &mut self,
        (kind, what): (Misbehaviour, &str),
        ids: &[u64],
        more: &[(&str, &str)],
    ) -> Finding {
        let finding = Finding::new(kind, what);
        let (Some(head), Some(last)) = (self.kept.head.clone(), ids.last()) else { return finding };
        if self.evidence_left == 0 {
            return finding;
        }
        self.evidence_left -= 1;
        let mut text = self.heading(&finding);
        let _never = write!(text, "\n--- tree head, size {} ---\n{}", head.size(), head.message());
        for id in ids {
            let Some(proof) = self.record_proof(&head, *id).await else { return finding };
            text.push_str(&proof);
        }
        for (title, body) in more {
            let _never = write!(text, "\n--- {title} ---\n{body}");
        }
        finding.with(format!("{kind}-{last}"), text)
    }

    async fn record_proof(&self, head: &SignedHead, id: u64) -> Option<String> {
        let (index, level) = (id >> 8, TileLevel::Data);
        let width = Tile::width_in(level, index, head.size());
        let data = self.place.records(Tile { level, index, width }).await.ok()?;
        let Said::Found(body) = data.said else { return None };
        let record = *grammar::split(&body, FULL).get(usize::from(id.to_le_bytes()[0]))?;
        let reading = self.place.read(head.head(), &[Question::Leaf(id)], &HashMap::new()).await;
        let reading = reading.ok()?;
        if reading.leaf(id) != Ok(record_hash(record)) {
            return None;
        }
        let mut text = format!("\n--- record {id}, and its proof of inclusion ---\n");
        text.push_str(&String::from_utf8_lossy(record));
        for hash in reading.inclusion(id).ok()?.hashes {
            let _never = writeln!(text, "{}", STANDARD.encode(hash));
        }
        Some(text)
    }
}
