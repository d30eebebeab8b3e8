//! Texts in quotation marks, as Go's messages have them.

use std::fmt::Write;

use crate::unicode;

/// Quotes bytes for a message: `"a\tb"`; what does not print is escaped.
///
/// Bytes that are not UTF-8 become `\x` escapes. Source: golang/go `strconv.Quote`, which is what
/// `%q` prints in Go's own messages.
///
/// ```
/// assert_eq!(gomod::quote(b"a\"b\n\xff"), r#""a\"b\n\xff""#);
/// ```
#[must_use]
pub fn quote(text: &[u8]) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for chunk in text.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push(&mut quoted, c, '"'));
        for byte in chunk.invalid() {
            hex(&mut quoted, "\\x", 2, u32::from(*byte));
        }
    }
    quoted.push('"');
    quoted
}

/// Returns whether every character prints, so that the text may stand in a message as it is.
///
/// Source: golang/go `unicode.IsPrint`.
#[must_use]
pub fn is_printable(text: &str) -> bool {
    text.chars().all(unicode::is_print)
}

/// Quotes one character: `'a'`, `'\''`, `'\u0301'`.
pub(crate) fn quote_char(c: char) -> String {
    let mut quoted = String::from("'");
    push(&mut quoted, c, '\'');
    quoted.push('\'');
    quoted
}

fn push(quoted: &mut String, c: char, mark: char) {
    let short = match c {
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{b}' => 'v',
        c if c == mark || c == '\\' => c,
        c if unicode::is_print(c) => return quoted.push(c),
        c => {
            let code = u32::from(c);
            return match code {
                0..=0x7f => hex(quoted, "\\x", 2, code),
                0x80..=0xffff => hex(quoted, "\\u", 4, code),
                _ => hex(quoted, "\\U", 8, code),
            };
        }
    };
    quoted.extend(['\\', short]);
}

fn hex(quoted: &mut String, mark: &str, width: usize, code: u32) {
    // Writing to a string does not fail.
    let _ = write!(quoted, "{mark}{code:0width$x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_go_quotes_them() {
        for (text, quoted) in [
            (b"".as_slice(), r#""""#),
            (b"plain 'text'", r#""plain 'text'""#),
            (b"\"\\", r#""\"\\""#),
            (b"\x07\x08\x0c\n\r\t\x0b", r#""\a\b\f\n\r\t\v""#),
            (b"\0\x1b\x7f", r#""\x00\x1b\x7f""#),
            ("é中😀\u{fffd}".as_bytes(), "\"é中😀\u{fffd}\""),
            ("\u{a0}\u{ad}\u{200b}\u{feff}".as_bytes(), r#""\u00a0\u00ad\u200b\ufeff""#),
            ("\u{e0001}".as_bytes(), r#""\U000e0001""#),
            (b"a\xc3\xffb", r#""a\xc3\xffb""#),
            (b"\xed\xa0\x80", r#""\xed\xa0\x80""#),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }

    #[test]
    fn controls_and_odd_spaces_do_not_print() {
        assert!(is_printable("a \"é\" \\ 😀"));
        for text in ["a\nb", "\u{a0}", "\u{202e}", "\x1b[31m"] {
            assert!(!is_printable(text), "{text:?}");
        }
    }

    #[test]
    fn characters_have_their_own_marks() {
        for (c, quoted) in [
            ('a', "'a'"),
            ('"', "'\"'"),
            ('\'', r"'\''"),
            ('\n', r"'\n'"),
            ('\u{301}', "'\u{301}'"),
            ('\u{85}', r"'\u0085'"),
        ] {
            assert_eq!(quote_char(c), quoted);
        }
    }
}
