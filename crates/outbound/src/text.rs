//! Text of a peer that may be shown to a person.

use std::fmt;

/// The most bytes of a peer's text that are passed on: 8 lines of 81, what `go` shows.
///
/// Source: protocol.md §5.4.
pub(crate) const MAX_TEXT_BYTES: usize = 648;

/// The first line of an upstream's error body, fit to be printed by `go`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamText(String);

impl UpstreamText {
    /// Takes the first line of a body that may be shown.
    ///
    /// `None` unless the type is exactly `text/plain` in UTF-8 or ASCII and the line is UTF-8,
    /// not blank, and without control or format characters. A line of more than 648 bytes is cut
    /// at a character. Source: `src/cmd/go/internal/web/http.go`, protocol.md §5.4.
    ///
    /// ```
    /// let text = outbound::UpstreamText::parse(Some("text/plain"), b"not found: x\nmore");
    /// assert_eq!(text.unwrap().as_str(), "not found: x");
    /// assert_eq!(outbound::UpstreamText::parse(Some("text/html"), b"not found"), None);
    /// ```
    #[must_use]
    pub fn parse(content_type: Option<&str>, body: &[u8]) -> Option<Self> {
        if !is_plain_text(content_type?) {
            return None;
        }
        let line = body.split(|&byte| byte == b'\n').next()?;
        let line = str::from_utf8(line.get(..MAX_TEXT_BYTES).unwrap_or(line))
            .or_else(|error| {
                // A line cut in the middle of a character is fine up to that character.
                let whole = line.get(..error.valid_up_to()).filter(|_| error.error_len().is_none());
                whole.map_or(Err(error), str::from_utf8)
            })
            .ok()?
            .trim_end();
        (!line.trim().is_empty() && line.chars().all(is_printable)).then(|| Self(line.to_owned()))
    }

    /// The line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UpstreamText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain_text(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let plain = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/plain"));
    plain
        && parts.all(|parameter| {
            let Some((key, value)) = parameter.split_once('=') else { return false };
            let value = value.trim().trim_matches('"');
            key.trim().eq_ignore_ascii_case("charset")
                && (value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("us-ascii"))
        })
}

/// Nothing that moves a terminal's cursor, hides text or turns its direction.
fn is_printable(c: char) -> bool {
    c == '\t'
        || !(c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}'
                | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{10ffff}'))
}

#[cfg(test)]
mod tests {
    use super::{MAX_TEXT_BYTES, UpstreamText};

    fn plain(body: &[u8]) -> Option<String> {
        UpstreamText::parse(Some("text/plain; charset=utf-8"), body).map(|text| text.0)
    }

    #[test]
    fn the_first_line_is_kept_verbatim() {
        assert_eq!(plain(b"404 page not found\n").as_deref(), Some("404 page not found"));
        assert_eq!(plain(b"not found: a\r\nb").as_deref(), Some("not found: a"));
    }

    #[test]
    fn blank_or_unprintable_lines_are_no_text() {
        for body in [&b""[..], b"\nlater", b"  \nlater", b"\x1b[31mred", b"\xff\xfe", b"a\0b"] {
            assert_eq!(plain(body), None, "{body:?}");
        }
        assert_eq!(plain("a\u{202e}b".as_bytes()), None);
    }

    #[test]
    fn only_plain_text_in_utf8_is_shown() {
        for kind in ["text/plain", "text/plain; charset=UTF-8", "TEXT/PLAIN;charset=us-ascii"] {
            assert!(UpstreamText::parse(Some(kind), b"x").is_some(), "{kind}");
        }
        for kind in ["text/html", "application/json", "text/plain; charset=latin1", "text/plain; x"]
        {
            assert!(UpstreamText::parse(Some(kind), b"x").is_none(), "{kind}");
        }
        assert!(UpstreamText::parse(None, b"x").is_none());
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let whole = "x".repeat(MAX_TEXT_BYTES);
        assert_eq!(plain(whole.as_bytes()).as_deref(), Some(&*whole));
        assert_eq!(plain(format!("{whole}y").as_bytes()).as_deref(), Some(&*whole));
        let umlauts = format!("x{}", "ä".repeat(MAX_TEXT_BYTES));
        assert_eq!(plain(umlauts.as_bytes()).map(|text| text.len()), Some(MAX_TEXT_BYTES - 1));
    }
}
