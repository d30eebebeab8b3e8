//! Worktree conversion of one file's bytes, as git's convert.c does it on the way out.
//!
//! Go hashes what `git -c core.autocrlf=input -c core.eol=lf archive` puts out, so this must agree
//! with git byte for byte; `tests/differential.rs` compares. Source: git's convert.c, 2.39.

use gix::bstr::ByteSlice as _;

/// What a file's attributes make of its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Conversion {
    pub(crate) line_ends: LineEnds,
    /// `$Id$` becomes `$Id: <name of the blob> $`.
    pub(crate) ident: bool,
    /// Not UTF-8: only git itself can do it.
    pub(crate) encoding: Option<String>,
}

/// What becomes of line ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum LineEnds {
    #[default]
    Kept,
    /// Every lone LF becomes CRLF.
    Crlf,
    /// The same, unless the file is binary or holds a CR already.
    CrlfIfText,
}

impl Conversion {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Converts all but the encoding. `id` is the blob's name.
    pub(crate) fn apply(&self, blob: Vec<u8>, id: &str) -> Vec<u8> {
        let blob = if self.ident { expand_ident(blob, id) } else { blob };
        if self.line_ends.convert(&blob) { to_crlf(blob) } else { blob }
    }

    /// How long [`apply`](Self::apply) makes it, without making it where only line ends change.
    pub(crate) fn size(&self, blob: &[u8], id: &str) -> u64 {
        let expanded = self.ident.then(|| expand_ident(blob.to_vec(), id));
        let blob = expanded.as_deref().unwrap_or(blob);
        let added = if self.line_ends.convert(blob) { lone_line_feeds(blob) } else { 0 };
        (blob.len() + added) as u64
    }
}

impl LineEnds {
    fn convert(self, blob: &[u8]) -> bool {
        match self {
            Self::Crlf => true,
            Self::CrlfIfText => is_convertible(blob),
            Self::Kept => false,
        }
    }
}

fn to_crlf(blob: Vec<u8>) -> Vec<u8> {
    let lone = lone_line_feeds(&blob);
    if lone == 0 {
        return blob;
    }
    let mut converted = Vec::with_capacity(blob.len() + lone);
    let mut before = 0;
    for byte in blob {
        if byte == b'\n' && before != b'\r' {
            converted.push(b'\r');
        }
        converted.push(byte);
        before = byte;
    }
    converted
}

fn lone_line_feeds(blob: &[u8]) -> usize {
    blob.find_iter(b"\n").count() - blob.find_iter(b"\r\n").count()
}

/// `text=auto`: text without any CR. Source: `will_convert_lf_to_crlf`, `convert_is_binary`.
fn is_convertible(blob: &[u8]) -> bool {
    let (mut printable, mut other) = (0_usize, 0_usize);
    for byte in blob {
        match byte {
            b'\r' | 0 => return false,
            b'\n' => {}
            0x08 | b'\t' | 0x1b | 0x0c => printable += 1,
            0x7f | 0x01..=0x1f => other += 1,
            _ => printable += 1,
        }
    }
    // The end-of-file mark of old systems does not count.
    if blob.last() == Some(&0x1a) {
        other -= 1;
    }
    printable >> 7 >= other
}

/// Source: `ident_to_worktree`, with its oddities: an expanded keyword is done again only if it
/// looks as git would have written it, and `$Id:` without an end stops the work.
fn expand_ident(blob: Vec<u8>, id: &str) -> Vec<u8> {
    if !blob.contains_str("$Id") {
        return blob;
    }
    let mut expanded = Vec::with_capacity(blob.len() + id.len() + 4);
    let mut rest = blob.as_slice();
    while let Some(dollar) = rest.find_byte(b'$') {
        let (before, after) = rest.split_at(dollar + 1);
        expanded.extend_from_slice(before);
        rest = after;
        if rest.len() < 3 {
            continue;
        }
        match keyword_end(rest) {
            Keyword::None => {}
            Keyword::Endless => break,
            Keyword::Ends(end) => {
                rest = rest.get(end..).unwrap_or_default();
                expanded.extend_from_slice(b"Id: ");
                expanded.extend_from_slice(id.as_bytes());
                expanded.extend_from_slice(b" $");
            }
        }
    }
    expanded.extend_from_slice(rest);
    expanded
}

enum Keyword {
    None,
    /// No dollar follows at all.
    Endless,
    /// Behind its second dollar.
    Ends(usize),
}

fn keyword_end(rest: &[u8]) -> Keyword {
    let Some(tail) = rest.strip_prefix(b"Id") else { return Keyword::None };
    if tail.first() == Some(&b'$') {
        return Keyword::Ends(3);
    }
    let Some(value) = tail.strip_prefix(b":") else { return Keyword::None };
    let Some(end) = value.find_byte(b'$') else { return Keyword::Endless };
    let value = value.get(..end).unwrap_or_default();
    if value.contains(&b'\n') {
        return Keyword::None;
    }
    // A blank within, but for the first and the last byte: some other system's keyword. (For `$Id:$`
    // git reads past the end of its memory: it expands the keyword, or crashes.)
    let inner = value.get(1..).unwrap_or_default();
    match inner.find_byte(b' ') {
        Some(blank) if blank + 1 < inner.len() => Keyword::None,
        _ => Keyword::Ends(3 + end + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::{Conversion, LineEnds};

    const ID: &str = "0123";

    fn converted(line_ends: LineEnds, ident: bool, blob: &str) -> String {
        let conversion = Conversion { line_ends, ident, encoding: None };
        let converted = conversion.apply(blob.as_bytes().to_vec(), ID);
        assert_eq!(conversion.size(blob.as_bytes(), ID), converted.len() as u64, "{blob:?}");
        String::from_utf8(converted).unwrap()
    }

    #[test]
    fn lone_line_feeds_become_pairs() {
        for (blob, wanted) in [
            ("", ""),
            ("a", "a"),
            ("a\n", "a\r\n"),
            ("\n\n", "\r\n\r\n"),
            ("a\r\nb\n", "a\r\nb\r\n"),
            ("a\rb\n", "a\rb\r\n"),
            ("\0\n", "\0\r\n"),
            ("a\r\n", "a\r\n"),
        ] {
            assert_eq!(converted(LineEnds::Crlf, false, blob), wanted, "{blob:?}");
            assert_eq!(converted(LineEnds::Kept, false, blob), blob);
        }
    }

    #[test]
    fn automatic_conversion_leaves_binary_and_mixed_files() {
        let long = "x".repeat(128);
        for (blob, wanted) in [
            ("a\nb\n".to_owned(), "a\r\nb\r\n".to_owned()),
            ("a\r\nb\n".to_owned(), "a\r\nb\n".to_owned()),
            ("a\rb\n".to_owned(), "a\rb\n".to_owned()),
            ("a\0\n".to_owned(), "a\0\n".to_owned()),
            ("\u{1}\n".to_owned(), "\u{1}\n".to_owned()),
            (format!("{long}\u{1}\n"), format!("{long}\u{1}\r\n")),
            (format!("{}\u{1}\n", &long[1..]), format!("{}\u{1}\n", &long[1..])),
            (format!("{long}{long}\r\n\n"), format!("{long}{long}\r\n\n")),
            (format!("{long}{long}\ra\n"), format!("{long}{long}\ra\n")),
            ("a\n\u{1a}".to_owned(), "a\r\n\u{1a}".to_owned()),
            ("a\t\u{8}\u{1b}\u{c}\n".to_owned(), "a\t\u{8}\u{1b}\u{c}\r\n".to_owned()),
        ] {
            assert_eq!(converted(LineEnds::CrlfIfText, false, &blob), wanted, "{blob:?}");
        }
    }

    #[test]
    fn keywords_are_expanded_with_git_s_oddities() {
        for (blob, wanted) in [
            ("$Id$", "$Id: 0123 $"),
            ("a $Id$ b $Id$\n", "a $Id: 0123 $ b $Id: 0123 $\n"),
            ("$Id: old $", "$Id: 0123 $"),
            ("$Id:old$", "$Id: 0123 $"),
            ("$Id: $", "$Id: 0123 $"),
            ("$Id:$", "$Id: 0123 $"),
            ("$Id: by someone else $", "$Id: by someone else $"),
            ("$Id: a\nb $ $Id$", "$Id: a\nb $ $Id: 0123 $"),
            ("$Id: endless $Id", "$Id: 0123 $Id"),
            ("$Id$ $Id: endless", "$Id: 0123 $ $Id: endless"),
            ("$Idx$ $$Id$", "$Idx$ $$Id: 0123 $"),
            ("$Id", "$Id"),
            ("$id$", "$id$"),
        ] {
            assert_eq!(converted(LineEnds::Kept, true, blob), wanted, "{blob:?}");
        }
    }

    #[test]
    fn keywords_are_expanded_before_line_ends() {
        assert_eq!(converted(LineEnds::Crlf, true, "$Id$\n"), "$Id: 0123 $\r\n");
    }
}
