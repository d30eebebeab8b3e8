//! The case escape: `A` is written `!a`, so that names survive file systems without case.

use std::borrow::Cow;

/// Escapes valid ASCII text: each upper-case letter becomes `!` and its lower case.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(c.to_ascii_lowercase());
    }
    escaped
}

/// Undoes [`escape`]; `None` for text that `escape` cannot have made.
pub(crate) fn unescape(escaped: &str) -> Option<Cow<'_, str>> {
    if escaped.bytes().all(|byte| byte.is_ascii() && byte != b'!' && !byte.is_ascii_uppercase()) {
        return Some(Cow::Borrowed(escaped));
    }
    let mut text = String::with_capacity(escaped.len());
    let mut rest = escaped.chars();
    while let Some(c) = rest.next() {
        match c {
            '!' => match rest.next()? {
                letter @ 'a'..='z' => text.push(letter.to_ascii_uppercase()),
                _ => return None,
            },
            'A'..='Z' => return None,
            c if !c.is_ascii() => return None,
            c => text.push(c),
        }
    }
    Some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn upper_case_is_written_with_a_bang() {
        for (text, escaped) in [
            ("github.com/Azure", "github.com/!azure"),
            ("github.com/BurntSushi/toml", "github.com/!burnt!sushi/toml"),
            ("v1.0.0-RC1", "v1.0.0-!r!c1"),
            ("plain", "plain"),
        ] {
            assert_eq!(escape(text), escaped);
            assert_eq!(unescape(escaped).as_deref(), Some(text));
        }
    }

    #[test]
    fn text_that_no_escape_made_is_refused() {
        for escaped in ["Azure", "azure!", "!!azure", "!Azure", "!1", "a!", "é", "!é"] {
            assert_eq!(unescape(escaped), None, "{escaped}");
        }
    }

    proptest! {
        #[test]
        fn escaping_is_undone(text in "[ -~&&[^!]]{0,40}") {
            let escaped = escape(&text);
            prop_assert_eq!(unescape(&escaped), Some(Cow::Borrowed(text.as_str())));
            prop_assert!(!escaped.bytes().any(|byte| byte.is_ascii_uppercase()));
        }

        #[test]
        fn what_unescapes_escapes_back(escaped in "[a-cA-C!é]{0,12}") {
            if let Some(text) = unescape(&escaped) {
                prop_assert_eq!(escape(&text), escaped.as_str());
            }
        }
    }
}
