//! `docs/log-fields.md`: the fields of log lines, by name.

use std::fmt::Write as _;

/// Fields of the access line, in their order.
pub const ACCESS: [(&str, &str); 15] = server::access::FIELDS;

/// Fields of other lines.
pub const EVENTS: [(&str, &str); 19] = [
    ("timestamp", "when it happened, RFC 3339 in UTC"),
    (
        "level",
        "`ERROR`: someone must act; `WARN`: degraded; `INFO`: a state changed; `DEBUG`: a step",
    ),
    ("target", "the room that speaks, as `log.level` names it"),
    ("message", "the sentence; it can be read without the other fields"),
    ("request_id", "the request that the line is about, as in its access line"),
    ("module", "`path@version`, or a module path"),
    ("origin", "name of the upstream that something came from, without credentials"),
    ("upstream", "name of the upstream that was asked, without credentials"),
    ("address", "address that larder listens on"),
    ("path", "file or folder"),
    ("name", "name of a thing that is neither module nor upstream"),
    ("bytes", "size of what was stored or sent"),
    ("lines", "lines of the access log that were lost"),
    ("evidence", "where the other content of a conflict is kept"),
    ("reason", "why something is degraded or refused"),
    ("error", "the error, with its causes"),
    ("drain_secs", "seconds of normal service that are left after SIGTERM"),
    ("cut", "connections that were cut at the end of a stop"),
    ("flying", "fetches that were given up at the end of a stop"),
];

/// The whole page.
#[must_use]
pub fn page() -> String {
    let mut out = "# Log fields\n\nThis page is generated; a test fails when it is stale, and \
                   `UPDATE_DOCS=1 cargo test -p cli` writes it anew.\n"
        .to_owned();
    let access = "One JSON object per request, written to `log.access`.";
    let events = "The log on standard error: text on a terminal and JSON elsewhere \
                  (`log.format`). No line holds tokens, passwords or bodies; clients stand in the \
                  access line only.";
    for (title, text, fields) in
        [("Access line", access, &ACCESS[..]), ("Other lines", events, &EVENTS[..])]
    {
        let _ = write!(out, "\n## {title}\n\n{text}\n\n| field | meaning |\n|---|---|\n");
        for (name, meaning) in fields {
            let _ = writeln!(out, "| `{name}` | {meaning} |");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn docs_log_fields_md_is_fresh() {
        crate::pages::assert_fresh("docs/log-fields.md", &page());
    }

    #[test]
    fn names_are_unique_and_documented() {
        for fields in [&ACCESS[..], &EVENTS[..]] {
            let names: BTreeSet<_> = fields.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), fields.len());
            assert!(fields.iter().all(|(_, meaning)| meaning.len() > 8));
        }
    }
}
