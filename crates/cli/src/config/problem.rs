//! What is wrong with a configuration, where, and what was expected there.

use std::{fmt, ops::Range, path::Path};

use super::source::Source;

/// One thing that is wrong, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong: lower case, names the key.
    pub message: String,
    /// Where the value was given.
    pub source: Source,
    /// What would have been right, shown at the caret.
    pub expected: Option<String>,
}

impl Problem {
    /// A problem of the value that `source` gave.
    #[must_use]
    pub fn new(message: impl Into<String>, source: &Source) -> Self {
        Self { message: message.into(), source: source.clone(), expected: None }
    }

    /// The same problem, telling what would have been right.
    #[must_use]
    pub fn expected(self, expected: impl Into<String>) -> Self {
        Self { expected: Some(expected.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(excerpt) = self.source.excerpt() {
            return excerpt.write(f, self.expected.as_deref());
        }
        if !matches!(self.source, Source::Default) {
            write!(f, "\n  --> {}", self.source)?;
        }
        match &self.expected {
            Some(expected) => write!(f, "\n  = expected {expected}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// A place in a text file, with the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    file: String,
    line: usize,
    column: usize,
    text: String,
    width: usize,
}

impl Excerpt {
    /// The place of `span` (bytes) in `source`, the text of `file`.
    ///
    /// A span that reaches over a line's end is shown up to that end. What stands behind the `=`
    /// of a secret key is masked, since excerpts end up in logs.
    #[must_use]
    pub fn new(file: &Path, source: &str, span: Range<usize>) -> Self {
        let start = floor_char_boundary(source, span.start);
        let before = source.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = source.get(line_start..).unwrap_or_default();
        let text = rest.lines().next().unwrap_or_default();
        let column = before.get(line_start..).unwrap_or_default().chars().count();
        let marked = source.get(start..floor_char_boundary(source, span.end)).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().chars().count();
        Self {
            file: file.display().to_string(),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            text: mask(text),
            width: width.max(1),
        }
    }

    /// `file:line`, as `config show` names a source.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, expected: Option<&str>) -> fmt::Result {
        let gutter = " ".repeat(self.line.to_string().len());
        write!(f, "\n{gutter}--> {}:{}:{}", self.file, self.line, self.column)?;
        write!(f, "\n{gutter} |\n{} | {}\n{gutter} | ", self.line, self.text)?;
        // Tabs are repeated, so that the caret stands below its value whatever a tab's width is.
        for letter in self.text.chars().take(self.column - 1) {
            f.write_str(if letter == '\t' { "\t" } else { " " })?;
        }
        f.write_str(&"^".repeat(self.width))?;
        match expected {
            Some(expected) => write!(f, " expected {expected}"),
            None => Ok(()),
        }
    }
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

/// Hides values of secret keys and passwords in URLs.
fn mask(line: &str) -> String {
    let bare: String = line.chars().filter(|c| !c.is_whitespace() && !"\"'".contains(*c)).collect();
    let secret = ["token=", "password="].iter().any(|key| bare.contains(key));
    match line.split_once('=') {
        Some((key, _)) if secret => format!("{key}= ****"),
        _ => mask_userinfo(line),
    }
}

/// Replaces `user:password@` in every URL of `text` by `****@`.
#[must_use]
pub fn mask_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let end = tail.find(['/', ',', '|', '"', '\'', ' ']).unwrap_or(tail.len());
        let (authority, after) = tail.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                out.push_str("****@");
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(source: &str, needle: &str) -> Excerpt {
        let start = source.find(needle).unwrap();
        Excerpt::new(Path::new("larder.toml"), source, start..start + needle.len())
    }

    #[test]
    fn problem_shows_file_line_caret_and_what_was_expected() {
        let source = "[store]\nmin_free = 5\n";
        let problem = Problem::new("store.min_free: 5 is no size", &Source::File(at(source, "5")))
            .expected("a size");
        insta::assert_snapshot!(problem, @r"
        error: store.min_free: 5 is no size
         --> larder.toml:2:12
          |
        2 | min_free = 5
          |            ^ expected a size
        ");
    }

    #[test]
    fn problem_of_a_variable_names_it() {
        let problem = Problem::new("bad", &Source::Variable("LARDER_X".into())).expected("good");
        insta::assert_snapshot!(problem, @r"
        error: bad
          --> environment variable LARDER_X
          = expected good
        ");
    }

    #[test]
    fn caret_stands_right_behind_tabs_and_wide_letters() {
        let source = "\tname = \"äöü\" # x";
        let problem = Problem::new("bad", &Source::File(at(source, "# x")));
        let shown = problem.to_string();
        let caret = shown.lines().last().unwrap();
        assert_eq!(caret, "  | \t             ^^^");
    }

    #[test]
    fn span_over_several_lines_or_past_the_end_is_cut() {
        let source = "a = [\n1,\n2]";
        assert_eq!(at(source, "[\n1,\n2]").width, 1);
        let past = Excerpt::new(Path::new("f"), "ab", 10..20);
        assert_eq!((past.line, past.column, past.width), (1, 3, 1));
        let inside = Excerpt::new(Path::new("f"), "ä", 1..1);
        assert_eq!((inside.column, inside.width), (1, 1));
    }

    #[test]
    fn excerpt_never_shows_a_secret() {
        for line in [
            "token = 'hunter2'",
            "\"token\"=\"hunter2\"",
            "upstream.source.a = { url = 'x', password = 'hunter2' }",
            "upstream.source.a={url='x',token_file='f',token='hunter2'}",
            "url = 'https://u:hunter2@x'",
        ] {
            let excerpt = Excerpt::new(Path::new("f"), line, 0..1);
            assert!(!excerpt.text.contains("hunter2"), "{}", excerpt.text);
        }
        let kept = Excerpt::new(Path::new("f"), "token_file = '/run/token'", 0..1);
        assert_eq!(kept.text, "token_file = '/run/token'");
    }

    #[test]
    fn userinfo_is_masked_in_lists_and_quotes() {
        for (text, want) in [
            ("https://u:p@a.example/x,direct", "https://****@a.example/x,direct"),
            ("https://a.example|http://t@b", "https://a.example|http://****@b"),
            ("p = \"https://u:p@h\"", "p = \"https://****@h\""),
            ("no url @ all", "no url @ all"),
            ("https://u:p@q@h/", "https://****@h/"),
        ] {
            assert_eq!(mask_userinfo(text), want);
        }
    }
}
