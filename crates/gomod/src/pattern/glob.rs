//! Matching of one pattern, as Go's `path.Match` does it.

use std::str::Chars;

/// Returns whether the whole of `name` matches; never for a malformed pattern.
///
/// A star takes as few characters as possible and is not tried again once what stands behind it
/// has matched: that is Go's rule, which differs from a full search where a class matches `/`. It
/// also keeps the time within the product of the two lengths.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    while !pattern.is_empty() {
        let stars = pattern.len() - pattern.trim_start_matches('*').len();
        let Some((chunk, behind)) = split_chunk(pattern.get(stars..).unwrap_or_default()) else {
            return false;
        };
        if chunk.is_empty() {
            return !name.contains('/');
        }
        let reach = if stars == 0 { 0 } else { name.find('/').unwrap_or(name.len()) };
        let tails = (0..=reach).filter_map(|start| name.get(start..));
        let mut rests = tails.filter_map(|rest| match_chunk(chunk, rest));
        // What the last chunk leaves over must be nothing.
        let Some(rest) = rests.find(|rest| !behind.is_empty() || rest.is_empty()) else {
            return false;
        };
        (pattern, name) = (behind, rest);
    }
    name.is_empty()
}

/// Splits before the next star that is not in a class; `None` for a malformed pattern.
fn split_chunk(pattern: &str) -> Option<(&str, &str)> {
    let mut rest = pattern.chars();
    loop {
        let here = rest.as_str();
        match element(&mut rest)? {
            Element::End | Element::Star => {
                return pattern.split_at_checked(pattern.len() - here.len());
            }
            Element::Any | Element::Char(_) | Element::Class(_) => {}
        }
    }
}

/// Matches a well-formed chunk at the start of `name`; returns what is left of `name`.
fn match_chunk<'a>(chunk: &str, name: &'a str) -> Option<&'a str> {
    let (mut chunk, mut name) = (chunk.chars(), name.chars());
    loop {
        match element(&mut chunk)? {
            Element::End => return Some(name.as_str()),
            Element::Any => name.next().filter(|&c| c != '/').map(|_any| ())?,
            Element::Char(wanted) => name.next().filter(|&c| c == wanted).map(|_same| ())?,
            Element::Class(class) => {
                let c = name.next()?;
                class.contains(c).then_some(())?;
            }
            Element::Star => return None,
        }
    }
}

enum Element<'a> {
    End,
    Star,
    Any,
    Char(char),
    Class(Class<'a>),
}

/// The inside of `[...]`, known to be well-formed.
struct Class<'a> {
    negated: bool,
    ranges: Chars<'a>,
}

impl Class<'_> {
    fn contains(mut self, c: char) -> bool {
        let mut found = false;
        while let Some((low, high)) = range(&mut self.ranges) {
            found |= low <= c && c <= high;
        }
        found != self.negated
    }
}

/// Takes the next element; `None` for a malformed one.
fn element<'a>(rest: &mut Chars<'a>) -> Option<Element<'a>> {
    Some(match rest.next() {
        None => Element::End,
        Some('*') => Element::Star,
        Some('?') => Element::Any,
        Some('\\') => Element::Char(rest.next()?),
        Some('[') => Element::Class(class(rest)?),
        Some(c) => Element::Char(c),
    })
}

fn class<'a>(rest: &mut Chars<'a>) -> Option<Class<'a>> {
    let negated = rest.as_str().starts_with('^');
    if negated {
        rest.next();
    }
    let ranges = rest.clone();
    range(rest)?;
    while !rest.as_str().starts_with(']') {
        range(rest)?;
    }
    rest.next();
    Some(Class { negated, ranges })
}

/// Takes `a` or `a-z`; `None` at the closing bracket or where no range can stand.
fn range(rest: &mut Chars<'_>) -> Option<(char, char)> {
    let low = class_char(rest)?;
    if !rest.as_str().starts_with('-') {
        return Some((low, low));
    }
    rest.next();
    Some((low, class_char(rest)?))
}

fn class_char(rest: &mut Chars<'_>) -> Option<char> {
    let c = match rest.clone().next()? {
        '-' | ']' => return None,
        '\\' => {
            rest.next();
            rest.next()?
        }
        c => {
            rest.next();
            c
        }
    };
    // A class must go on behind every character of it.
    (!rest.as_str().is_empty()).then_some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_match() {
        for (pattern, name) in [
            ("", ""),
            ("abc", "abc"),
            ("*", ""),
            ("*", "abc"),
            ("a*c", "abbbc"),
            ("a*b*c*", "abxcx"),
            ("?b?", "abc"),
            ("?", "é"),
            ("[a-c]x", "bx"),
            ("[^a-c]x", "dx"),
            ("[]", "x"),
            ("\\*", "*"),
            ("[\\]]", "]"),
            ("[\\-a]", "-"),
            ("[*]", "*"),
            ("a**b", "axyb"),
            ("[^a]", "/"),
            ("*/x", "ab/x"),
        ] {
            let expected = pattern != "[]";
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn other_names_do_not() {
        for (pattern, name) in [
            ("", "a"),
            ("abc", "abcd"),
            ("*", "a/b"),
            ("a*", "a/b"),
            ("?", "/"),
            ("?", ""),
            ("a*c", "abcd"),
            ("[a-c]", "d"),
            ("[^a-c]", "b"),
            ("[c-a]", "b"),
            ("A", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn malformed_patterns_match_nothing() {
        for pattern in ["[", "[^", "[]a]", "[a", "[a-", "[a-]", "[-a]", "a\\", "[\\", "*[", "a[]b]"]
        {
            for name in ["", "a", "[", "]", "-", "a\\", "[]a]"] {
                assert!(!matches(pattern, name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn a_star_is_not_tried_again() {
        // A full search would let the class take the slash.
        assert!(!matches("*[^x]*c", "a/c"));
        assert!(matches("[^x]*c", "/c"));
    }
}
