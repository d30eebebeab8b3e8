//! What shows a misbehaviour to somebody who trusts nobody: what the log signed, and what it serves.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use tlog::{Question, Reading, SignedHead, Tile, TileLevel, record_hash};

use super::grammar;
use super::place::{FULL, MAX_QUICK_BYTES, Said};
use super::{Finding, Misbehaviour, Monitor};

/// The most that is shown of one thing that the log served.
pub(super) const MAX_SECTION_BYTES: usize = 64 << 10;

/// A record that was just judged, with the tiles that prove it.
#[derive(Debug, Clone, Copy)]
pub(super) struct InHand<'a> {
    pub(super) id: u64,
    pub(super) text: &'a [u8],
    pub(super) reading: &'a Reading,
}

/// The text of some evidence, in sections.
struct Text(String);

impl Text {
    /// Appends a section. What a log served can neither be long, nor look like another section, nor
    /// speak to a terminal.
    fn section(&mut self, title: &str, body: &str) {
        let text = &mut self.0;
        let _never = write!(text, "\n--- {title} ---\n");
        let shown = body.get(..body.floor_char_boundary(MAX_SECTION_BYTES)).unwrap_or_default();
        for line in shown.split_inclusive('\n') {
            if line.starts_with("---") || line.starts_with('\\') {
                text.push('\\');
            }
            for c in line.chars() {
                match c {
                    c if c.is_control() && c != '\n' => text.extend(c.escape_unicode()),
                    c => text.push(c),
                }
            }
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if shown.len() < body.len() {
            let _never = writeln!(text, "(the first {} of {} bytes)", shown.len(), body.len());
        }
    }
}

impl Monitor {
    /// What evidence begins with.
    fn heading(&self, finding: &Finding) -> Text {
        let (key, now) = (&self.place.key, self.clock.now());
        Text(format!(
            "evidence: {}\ndatabase: {}\nkey: {key}\nseen: {now}\n{}\n",
            finding.kind,
            key.name(),
            finding.what
        ))
    }

    /// A finding that is shown by signed notes, and tiles of the one of them. Its name is `name` and
    /// a part of the hash of the notes: other notes are other evidence.
    pub(super) fn of_notes(
        &self,
        (kind, what): (Misbehaviour, &str),
        name: &str,
        notes: &[(&str, &str)],
        reading: Option<&Reading>,
    ) -> Finding {
        let finding = Finding::new(kind, what);
        let mut text = self.heading(&finding);
        let mut all = Vec::new();
        for (title, note) in notes {
            text.section(title, note);
            all.extend_from_slice(note.as_bytes());
        }
        if let Some(reading) = reading {
            text.section(&format!("tiles of the tree of size {}", reading.head().size), "");
            for tile in reading.tiles() {
                let (tile, bytes) = (tile.tile(), STANDARD.encode(tile.bytes()));
                let _never = writeln!(text.0, "{tile} {bytes}");
            }
        }
        finding.with(named(name, &all), text.0)
    }

    /// A finding that is shown by a record, and perhaps an earlier one, with the proofs that the
    /// newest tree holds them.
    ///
    /// The earlier one is fetched again; where that fails, the evidence says so.
    pub(super) async fn of_records(
        &mut self,
        (kind, what): (Misbehaviour, &str),
        hand: InHand<'_>,
        earlier: Option<u64>,
        more: &[(&str, &str)],
    ) -> Finding {
        let finding = Finding::new(kind, what);
        let Some(head) = self.kept.head.clone().filter(|_| self.evidence_left > 0) else {
            return finding;
        };
        self.evidence_left -= 1;
        let mut text = self.heading(&finding);
        text.section(&format!("tree head, size {}", head.size()), head.message());
        if let Some(earlier) = earlier
            && let Err(why) = self.earlier(&head, earlier, &mut text).await
        {
            text.section(&format!("record {earlier}"), &format!("(not served again: {why})"));
        }
        text.record(hand);
        for (title, body) in more {
            text.section(title, body);
        }
        finding.with(named(&format!("{kind}-{}", hand.id), hand.text), text.0)
    }

    async fn earlier(&self, head: &SignedHead, id: u64, text: &mut Text) -> Result<(), String> {
        let (index, level) = (id >> 8, TileLevel::Data);
        let width = Tile::width_in(level, index, head.size());
        let tile = Tile { level, index, width };
        let data = self.place.records(tile, MAX_QUICK_BYTES).await;
        let body = match data.map_err(|error| error.to_string())?.said {
            Said::Found(body) => body,
            Said::Absent(status) => return Err(format!("{status} for {tile}")),
            Said::Bad(reason) => return Err(reason),
        };
        let reading = self.place.read(head.head(), &[Question::Leaf(id)], &HashMap::new()).await;
        let reading = reading.map_err(|failed| failed.to_string())?;
        let records = grammar::split(&body, FULL);
        let is_it = |record: &&[u8]| reading.leaf(id) == Ok(record_hash(record));
        let Some(record) = records.into_iter().find(is_it) else {
            return Err(format!("{tile} does not have the record of the tree"));
        };
        text.record(InHand { id, text: record, reading: &reading });
        Ok(())
    }
}

impl Text {
    /// Appends a record, and the hashes that lead from it to the root.
    fn record(&mut self, hand: InHand<'_>) {
        let InHand { id, text, reading } = hand;
        match std::str::from_utf8(text) {
            Ok(text) => self.section(&format!("record {id}, and its proof of inclusion"), text),
            Err(_) => self.section(
                &format!("record {id} in base64, and its proof of inclusion"),
                &STANDARD.encode(text),
            ),
        }
        let inclusion = reading.inclusion(id);
        for hash in inclusion.map(|inclusion| inclusion.hashes).unwrap_or_default() {
            let _never = writeln!(self.0, "{}", STANDARD.encode(hash));
        }
    }
}

/// A name, and eight hexadecimal digits of what is shown.
fn named(name: &str, shown: &[u8]) -> String {
    let [a, b, c, d, ..] = record_hash(shown);
    format!("{name}-{:08x}", u32::from_be_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(body: &str) -> String {
        let mut text = Text(String::new());
        text.section("title", body);
        text.0
    }

    #[test]
    fn a_log_cannot_write_sections_or_colours() {
        let text = section("a\n--- record 7 ---\n\\b\x1b[31m\r\n\u{9b}c");
        let want = "\n--- title ---\na\n\\--- record 7 ---\n\\\\b\\u{1b}[31m\\u{d}\n\\u{9b}c\n";
        assert_eq!(text, want);
    }

    #[test]
    fn a_section_has_an_end() {
        for (bytes, is_cut) in [(MAX_SECTION_BYTES, false), (MAX_SECTION_BYTES + 1, true)] {
            let text = section(&"x".repeat(bytes));
            assert_eq!(text.contains("(the first 65536 of 65537 bytes)"), is_cut);
            assert!(text.len() < MAX_SECTION_BYTES + 100);
        }
        // In the middle of a letter.
        assert!(section(&"é".repeat(MAX_SECTION_BYTES)).contains("(the first 65536 of"));
    }

    #[test]
    fn names_differ_by_what_is_shown() {
        assert_eq!(named("a", b"x"), named("a", b"x"));
        assert_ne!(named("a", b"x"), named("a", b"y"));
        assert_eq!(named("fork-1-2", b"").len(), "fork-1-2-12345678".len());
    }
}
