//! Quoted strings of Go.

use crate::modfile::decode;

/// Undoes the quoting of an interpreted string literal, quotes included; `None` when malformed.
///
/// Bytes that escapes make and that are not UTF-8 become U+FFFD. Source: Go's `strconv.Unquote`.
pub(super) fn unquote(quoted: &str) -> Option<String> {
    let inside = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inside.len());
    let mut rest = inside.chars();
    while let Some(c) = rest.next() {
        match c {
            '\n' | '"' => return None,
            '\\' => escape(&mut rest, &mut bytes)?,
            c => push(c, &mut bytes),
        }
    }
    Some(decode(&bytes).into_owned())
}

/// Reads what follows a backslash.
fn escape(rest: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    let byte = match rest.next()? {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        'x' => u8::try_from(number(rest, 16, 2)?).ok()?,
        first @ '0'..='7' => {
            let high = first.to_digit(8)?;
            u8::try_from(high * 64 + number(rest, 8, 2)?).ok()?
        }
        long @ ('u' | 'U') => {
            let digits = if long == 'u' { 4 } else { 8 };
            push(char::from_u32(number(rest, 16, digits)?)?, bytes);
            return Some(());
        }
        _ => return None,
    };
    bytes.push(byte);
    Some(())
}

/// Reads `count` (at most 8) digits of `radix`; eight hex digits fit 32 bits.
fn number(rest: &mut std::str::Chars<'_>, radix: u32, count: usize) -> Option<u32> {
    let mut value: u32 = 0;
    for _ in 0..count {
        value = value.checked_mul(radix)?.checked_add(rest.next()?.to_digit(radix)?)?;
    }
    Some(value)
}

fn push(c: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        for (quoted, text) in [
            (r#""""#, ""),
            (r#""a b é""#, "a b é"),
            (r#""\a\b\f\n\r\t\v\\\"""#, "\u{7}\u{8}\u{c}\n\r\t\u{b}\\\""),
            (r#""\x41\101\u00e9\U0001F600""#, "AAé😀"),
            (r#""\xc3\xa9""#, "é"),
            (r#""\xff\377""#, "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(unquote(quoted).as_deref(), Some(text), "{quoted}");
        }
    }

    #[test]
    fn malformed_strings_are_none() {
        for quoted in [
            "\"",
            "a",
            "`a`",
            r#""\""#,
            r#""\'""#,
            r#""\q""#,
            r#""\x4""#,
            r#""\400""#,
            r#""\08""#,
            r#""\ud800""#,
            r#""\U00110000""#,
            r#""\Uffffffff""#,
            "\"a\nb\"",
            r#""a"b""#,
        ] {
            assert_eq!(unquote(quoted), None, "{quoted}");
        }
    }
}
