//! Percent-decoding of request paths.

use std::borrow::Cow;

use crate::request::Error;

/// Decodes `%xx` once; the result is ASCII.
///
/// Everything that a request can name is ASCII, so other bytes are refused here, once for all.
pub(super) fn percent(path: &str) -> Result<Cow<'_, str>, Error> {
    if !path.is_ascii() {
        return Err(Error::Encoding);
    }
    let Some((clean, _)) = path.split_once('%') else { return Ok(Cow::Borrowed(path)) };
    let mut decoded = String::with_capacity(path.len());
    decoded.push_str(clean);
    let mut rest = path.bytes().skip(clean.len());
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => hex(rest.next())? << 4 | hex(rest.next())?,
            byte => byte,
        };
        if !byte.is_ascii() {
            return Err(Error::Encoding);
        }
        decoded.push(char::from(byte));
    }
    Ok(Cow::Owned(decoded))
}

fn hex(digit: Option<u8>) -> Result<u8, Error> {
    match digit {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(Error::Encoding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_once() {
        for (path, decoded) in [
            ("/plain", "/plain"),
            ("/%21azure", "/!azure"),
            ("/a%2Fb%2fc", "/a/b/c"),
            ("/%2521", "/%21"),
            ("/a+b%2B", "/a+b+"),
            ("/%00", "/\0"),
            ("%41", "A"),
        ] {
            assert_eq!(percent(path).as_deref(), Ok(decoded));
        }
    }

    #[test]
    fn broken_escapes_and_bytes_past_ascii_are_refused() {
        for path in ["/%", "/%2", "/%zz", "/%+1", "/%c3%a9", "/%ff", "/é", "/%é"] {
            assert_eq!(percent(path), Err(Error::Encoding), "{path}");
        }
    }
}
