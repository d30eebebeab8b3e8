//! The go-import tags of a page, and which of them speaks of a path.
//!
//! Source: go.dev/ref/mod#vcs-find; golang/go `cmd/go/internal/vcs` (`parseMetaGoImports`,
//! `matchGoImport`).

use std::collections::HashSet;

use gomod::{is_printable, quote};

use super::markup::{Tag, Tags};

/// Most tags of a page that are read, and the longest that is: pages are remembered, and real ones
/// have a handful of short tags. Ours, not Go's.
const MAX_IMPORTS: usize = 64;
/// In bytes of its `content`.
const MAX_CONTENT_BYTES: usize = 1024;
/// How many prefixes that do not match are told.
const MAX_TOLD: usize = 3;
/// Longest text of a page that is told, in bytes.
const MAX_TOLD_BYTES: usize = 200;

/// One go-import tag, as the page has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) prefix: String,
    pub(super) vcs: String,
    pub(super) repo: String,
    /// The fourth field; empty without one.
    pub(super) subdir: String,
}

impl Import {
    fn is_mod(&self) -> bool {
        self.vcs == "mod"
    }
}

/// Reads the tags of a page's head: those for module proxies first, and no other tag for a prefix
/// that has one.
///
/// Bytes that are not UTF-8 become U+FFFD.
pub(super) fn imports(body: &[u8]) -> Vec<Import> {
    let page = String::from_utf8_lossy(body);
    let head = Tags::of(&page).take_while(|tag| match tag {
        Tag::Start { name, .. } => !name.eq_ignore_ascii_case("body"),
        Tag::End { name } => !name.eq_ignore_ascii_case("head"),
    });
    let (proxies, others): (Vec<Import>, Vec<Import>) =
        head.filter_map(|tag| import(&tag)).take(MAX_IMPORTS).partition(Import::is_mod);
    let taken: HashSet<&str> = proxies.iter().map(|import| &*import.prefix).collect();
    let others: Vec<Import> =
        others.into_iter().filter(|import| !taken.contains(&*import.prefix)).collect();
    [proxies, others].concat()
}

fn import(tag: &Tag<'_>) -> Option<Import> {
    let Tag::Start { name, .. } = tag else { return None };
    if !name.eq_ignore_ascii_case("meta") || tag.attribute("name") != "go-import" {
        return None;
    }
    let content = tag.attribute("content");
    if content.len() > MAX_CONTENT_BYTES {
        return None;
    }
    let mut fields = content.split_whitespace().map(str::to_owned);
    let (prefix, vcs, repo) = (fields.next()?, fields.next()?, fields.next()?);
    let subdir = fields.next().unwrap_or_default();
    fields.next().is_none().then_some(Import { prefix, vcs, repo, subdir })
}

/// Why no tag speaks of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// None does; what those that are there speak of, in Go's words.
    None(String),
    /// Several do, even if one is more exact.
    Several,
}

/// Finds the one tag that speaks of a path.
pub(super) fn matching<'a>(imports: &'a [Import], path: &str) -> Result<&'a Import, Mismatch> {
    let mut fitting = imports.iter().filter(|import| covers(&import.prefix, path));
    let Some(first) = fitting.next() else { return Err(Mismatch::None(told(imports, path))) };
    match fitting.next() {
        // Tags for proxies come first, so the others need not be looked at.
        Some(second) if first.is_mod() == second.is_mod() => Err(Mismatch::Several),
        _ => Ok(first),
    }
}

/// Whether a path is a prefix or lies below it.
fn covers(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn told(imports: &[Import], path: &str) -> String {
    let one = |import: &Import| {
        format!("meta tag {} did not match import path {path}", shown(&import.prefix))
    };
    let mut told: Vec<String> = imports.iter().take(MAX_TOLD).map(one).collect();
    if imports.len() > MAX_TOLD {
        told.push(format!("and {} more", imports.len() - MAX_TOLD));
    }
    told.join(", ")
}

/// Text of a page, fit to be told.
pub(super) fn shown(text: &str) -> String {
    let end = (0..=MAX_TOLD_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    let cut = end.and_then(|end| text.get(..end)).unwrap_or_default();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    if is_printable(cut) { format!("{cut}{dots}") } else { quote(cut.as_bytes()) + dots }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(content: &str) -> String {
        format!("<meta name=\"go-import\" content=\"{content}\">")
    }

    fn read(page: &str) -> Vec<String> {
        let shown = |import: Import| {
            let Import { prefix, vcs, repo, subdir } = import;
            [prefix, vcs, repo, subdir].join(" ").trim_end().to_owned()
        };
        imports(page.as_bytes()).into_iter().map(shown).collect()
    }

    #[test]
    fn tags_of_the_head_are_read() {
        let page = "<!DOCTYPE html><html><head><meta charset=utf-8>\n\
            <META NAME='go-import' Content='x.org/a git https://x.org/a.git'></head>";
        assert_eq!(read(page), ["x.org/a git https://x.org/a.git"]);
        let bare = "<meta name=\"go-import\" content=\"x.org git\n\thttps://y.org/r  sub/dir\"/>";
        assert_eq!(read(bare), ["x.org git https://y.org/r sub/dir"]);
    }

    #[test]
    fn tags_beyond_the_bounds_are_not_read() {
        let tag = |prefix: &str| format!("<meta name=\"go-import\" content=\"{prefix} git u\">");
        let page = |count: usize| (0..count).map(|n| tag(&format!("a.b/{n}"))).collect::<String>();
        assert_eq!(read(&page(MAX_IMPORTS)).len(), MAX_IMPORTS);
        assert_eq!(read(&page(MAX_IMPORTS + 1)).len(), MAX_IMPORTS);
        let long = |len: usize| "x".repeat(len - " git u".len());
        assert_eq!(read(&tag(&long(MAX_CONTENT_BYTES))).len(), 1);
        assert_eq!(read(&tag(&long(MAX_CONTENT_BYTES + 1))).len(), 0);
    }

    #[test]
    fn reading_ends_with_the_head_or_before_the_body() {
        let late = tag("x.org git https://x.org/r");
        for page in
            [format!("<head></head>{late}"), format!("<BODY>{late}"), format!("</HEAD >{late}")]
        {
            assert_eq!(read(&page), [""; 0], "{page}");
        }
        assert_eq!(read(&format!("</body><head>{late}")).len(), 1);
        assert_eq!(read(&format!("{late}<body><")).len(), 1);
    }

    #[test]
    fn only_three_or_four_fields_count() {
        for (content, count) in [
            ("", 0),
            ("x.org git", 0),
            ("x.org git https://x.org/r", 1),
            ("x.org git https://x.org/r sub", 1),
            ("x.org git https://x.org/r sub more", 0),
        ] {
            assert_eq!(read(&tag(content)).len(), count, "{content}");
        }
    }

    #[test]
    fn other_tags_do_not_count() {
        for page in [
            "<meta name='Go-Import' content='x.org git https://x.org/r'>",
            "<meta name='go-source' content='x.org git https://x.org/r'>",
            "<meta property='go-import' content='x.org git https://x.org/r'>",
            "<link name='go-import' content='x.org git https://x.org/r'>",
            "<!-- <meta name='go-import' content='x.org git https://x.org/r'> -->",
            "<title><meta name='go-import' content='x.org git https://x.org/r'></title>",
            "<meta name='a' name='go-import' content='x.org git https://x.org/r'>",
        ] {
            assert_eq!(read(page), [""; 0], "{page}");
        }
    }

    #[test]
    fn broken_syntax_behind_a_tag_does_no_harm() {
        let page = tag("x.org git https://x.org/r") + "<a b='<<<\0\u{fffd}";
        assert_eq!(read(&page).len(), 1);
        let bytes = [tag("x.org git https://x.org/r").as_bytes(), b"\xff<\xfe"].concat();
        assert_eq!(imports(&bytes).len(), 1);
    }

    #[test]
    fn proxies_come_first_and_drop_their_equals() {
        let page = tag("x.org/a git https://x.org/a")
            + &tag("x.org/b git https://x.org/b")
            + &tag("x.org/a mod https://proxy.x.org");
        assert_eq!(read(&page), ["x.org/a mod https://proxy.x.org", "x.org/b git https://x.org/b"]);
    }

    fn prefix(page: &str, path: &str) -> Result<String, Mismatch> {
        matching(&imports(page.as_bytes()), path).map(|import| import.prefix.clone())
    }

    #[test]
    fn a_tag_speaks_of_its_prefix_and_below() {
        let page = tag("x.org/a git https://x.org/a");
        for path in ["x.org/a", "x.org/a/b", "x.org/a/b/v2"] {
            assert_eq!(prefix(&page, path), Ok("x.org/a".to_owned()));
        }
        for path in ["x.org", "x.org/ab", "x.org/A", "y.org/a"] {
            let none = format!("meta tag x.org/a did not match import path {path}");
            assert_eq!(prefix(&page, path), Err(Mismatch::None(none)));
        }
        assert_eq!(prefix("", "x.org"), Err(Mismatch::None(String::new())));
    }

    #[test]
    fn exactly_one_may_speak_even_if_one_is_more_exact() {
        let two = tag("x.org git https://x.org/r") + &tag("x.org/a git https://x.org/a");
        assert_eq!(prefix(&two, "x.org/a/b"), Err(Mismatch::Several));
        assert_eq!(prefix(&two, "x.org/b"), Ok("x.org".to_owned()));
        let proxies = tag("x.org mod https://p.org") + &tag("x.org/a mod https://q.org");
        assert_eq!(prefix(&proxies, "x.org/a"), Err(Mismatch::Several));
    }

    #[test]
    fn a_proxy_that_speaks_silences_the_rest() {
        let page = tag("x.org/a git https://x.org/a") + &tag("x.org mod https://p.org");
        assert_eq!(prefix(&page, "x.org/a"), Ok("x.org".to_owned()));
        let page = page + &tag("x.org/a/b hg https://x.org/a");
        assert_eq!(prefix(&page, "x.org/a/b"), Ok("x.org".to_owned()));
    }

    #[test]
    fn few_mismatches_are_told_and_none_is_long_or_unfit() {
        let page: String =
            (0..10).map(|number| tag(&format!("x.org/{number} git https://x.org"))).collect();
        let Err(Mismatch::None(text)) = prefix(&page, "y.org") else { panic!("it matched") };
        assert!(text.contains("x.org/2 ") && text.ends_with("and 7 more"), "{text}");
        assert_eq!(shown(&"x".repeat(MAX_TOLD_BYTES)), "x".repeat(MAX_TOLD_BYTES));
        assert_eq!(shown(&"é".repeat(MAX_TOLD_BYTES)), "é".repeat(MAX_TOLD_BYTES / 2) + "...");
        assert_eq!(shown("a\x1b[31m"), r#""a\x1b[31m""#);
    }

    proptest! {
        #[test]
        fn no_page_panics(page in proptest::collection::vec(any::<u8>(), 0..300)) {
            let imports = imports(&page);
            let _ = matching(&imports, "x.org/a");
        }
    }
}
