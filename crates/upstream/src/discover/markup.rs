//! The tags of a page, read tolerantly.
//!
//! Go reads XML tokens here; pages are HTML. What both understand comes out the same; text inside
//! comments, scripts, styles and titles never counts as a tag, which is the safe direction.

use std::borrow::Cow;

/// Elements whose content is text up to their own end tag. Source: HTML §13.1.2.
const TEXT_ELEMENTS: [&str; 4] = ["script", "style", "title", "textarea"];

/// A tag; names as they are written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tag<'a> {
    Start { name: &'a str, attributes: Vec<(&'a str, Cow<'a, str>)> },
    End { name: &'a str },
}

impl Tag<'_> {
    /// Returns the value of the first attribute of that name, empty without one.
    pub(super) fn attribute(&self, wanted: &str) -> &str {
        let Self::Start { attributes, .. } = self else { return "" };
        let found = attributes.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map_or("", |(_, value)| value)
    }
}

/// Reads tags from left to right, in time linear in the page; a tag that does not end ends it.
pub(super) struct Tags<'a> {
    rest: &'a str,
}

impl<'a> Tags<'a> {
    pub(super) fn of(page: &'a str) -> Self {
        Self { rest: page }
    }

    /// Takes what stands before `end`, and `end` itself.
    fn until(&mut self, end: &str) -> Option<&'a str> {
        let (before, rest) = self.rest.split_once(end)?;
        self.rest = rest;
        Some(before)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let len = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let behind = self.rest.strip_prefix(prefix);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn start_tag(&mut self) -> Option<Tag<'a>> {
        let name = self.take_while(|c| !is_blank(c) && !matches!(c, '/' | '>'));
        let mut attributes = Vec::new();
        let mut closed = false;
        loop {
            let between = self.take_while(|c| is_blank(c) || c == '/');
            if self.skip(">") {
                closed |= between.ends_with('/');
                break;
            }
            let attribute = self.take_while(|c| !is_blank(c) && !matches!(c, '=' | '/' | '>'));
            self.take_while(is_blank);
            let value = if self.skip("=") { self.value()? } else { Cow::Borrowed("") };
            // A page may end in the middle of a tag.
            if self.rest.is_empty() {
                return None;
            }
            attributes.push((attribute, value));
        }
        let is_text = TEXT_ELEMENTS.iter().any(|text| text.eq_ignore_ascii_case(name));
        if is_text && !closed {
            self.skip_text(name);
        }
        Some(Tag::Start { name, attributes })
    }

    fn value(&mut self) -> Option<Cow<'a, str>> {
        self.take_while(is_blank);
        let value = if self.skip("\"") {
            self.until("\"")?
        } else if self.skip("'") {
            self.until("'")?
        } else {
            self.take_while(|c| !is_blank(c) && c != '>')
        };
        Some(decoded(value))
    }

    /// Skips to the element's end tag, or to the end.
    fn skip_text(&mut self, name: &str) {
        let ends = self.rest.match_indices("</").find(|(at, _)| {
            let found = self.rest.get(at + 2..at + 2 + name.len());
            found.is_some_and(|found| found.eq_ignore_ascii_case(name))
        });
        self.rest = ends.and_then(|(at, _)| self.rest.get(at..)).unwrap_or_default();
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            self.until("<")?;
            if self.skip("!--") {
                self.until("-->")?;
            } else if self.skip("![CDATA[") {
                self.until("]]>")?;
            } else if self.skip("!") || self.skip("?") {
                self.until(">")?;
            } else if self.skip("/") {
                let name = self.take_while(|c| !is_blank(c) && c != '>');
                self.until(">")?;
                return Some(Tag::End { name });
            } else if self.rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
                return self.start_tag();
            }
        }
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

/// Undoes the references that an attribute needs; others stay as they are.
fn decoded(value: &str) -> Cow<'_, str> {
    if !value.contains('&') {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, behind)) = rest.split_once('&') {
        text.push_str(before);
        rest = behind;
        let reference = behind.split_once(';').filter(|(name, _)| name.len() <= 8);
        match reference.and_then(|(name, behind)| Some((character(name)?, behind))) {
            Some((c, behind)) => {
                text.push(c);
                rest = behind;
            }
            None => text.push('&'),
        }
    }
    text.push_str(rest);
    Cow::Owned(text)
}

fn character(name: &str) -> Option<char> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok();
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        name => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => number(hex, 16),
                None => number(digits, 10),
            };
            char::from_u32(code?)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags(page: &str) -> Vec<String> {
        let shown = |tag: Tag<'_>| match tag {
            Tag::End { name } => format!("/{name}"),
            Tag::Start { name, attributes } => {
                let list = attributes.iter().map(|(name, value)| format!(" {name}={value}"));
                format!("{name}{}", list.collect::<String>())
            }
        };
        Tags::of(page).map(shown).collect()
    }

    #[test]
    fn attributes_are_read_in_every_notation() {
        assert_eq!(tags("<meta name=\"a b\" content='c\"d'>"), ["meta name=a b content=c\"d"]);
        assert_eq!(tags("<META\n name = go-import\tdisabled/>"), ["META name=go-import disabled="]);
        assert_eq!(tags("<a b=c/d>"), ["a b=c/d"]);
        assert_eq!(tags("<a b=''>"), ["a b="]);
        assert_eq!(tags("<br/><p></p >"), ["br", "p", "/p"]);
    }

    #[test]
    fn references_are_undone() {
        assert_eq!(tags("<a b='&amp;&lt;&gt;&quot;&apos;&#65;&#x42;'>"), ["a b=&<>\"'AB"]);
        assert_eq!(
            tags("<a b='&nbsp;&;&amp&#xd800;&#x110000;'>"),
            ["a b=&nbsp;&;&amp&#xd800;&#x110000;"]
        );
    }

    #[test]
    fn text_is_no_tag() {
        for page in [
            "<!-- <a> -->",
            "<![CDATA[ <a> ]]>",
            "<!doctype html>",
            "<?xml version='1.0'?>",
            "a < b, 1<2, <>, < a>",
        ] {
            assert_eq!(tags(page), [""; 0], "{page}");
        }
        for element in TEXT_ELEMENTS {
            let page = format!("<{element} x=y><meta name=z></b></{}><p>", element.to_uppercase());
            assert_eq!(tags(&page).len(), 3, "{page}");
        }
        assert_eq!(tags("<script src='x'/><p>"), ["script src=x", "p"]);
    }

    #[test]
    fn what_does_not_end_is_left_out() {
        for page in [
            "<a><meta name='x",
            "<a><meta name=x",
            "<a><!-- <b>",
            "<a></b",
            "<a><",
            "<a><b c",
            "<a><![CDATA[<b>",
        ] {
            assert_eq!(tags(page), ["a"], "{page}");
        }
        assert_eq!(tags("<title><p>"), ["title"]);
    }

    proptest! {
        #[test]
        fn no_page_panics(page in "[<>/!\\-=a\"' &#x;é]{0,60}") {
            let _ = Tags::of(&page).count();
        }
    }
}
