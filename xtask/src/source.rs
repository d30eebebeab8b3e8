//! Rust source, read just well enough to measure it.
//!
//! No parser: comments and texts are blanked out, what remains is cut into words and signs, and
//! braces are counted. That is exact for code that rustfmt has formatted and that holds no braces
//! made by macros, which is all the house has.

mod mask;

use mask::mask;

/// What one line holds.
#[expect(
    clippy::struct_excessive_bools,
    reason = "four answers that exclude nothing of each other"
)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Something besides comments and white space.
    pub(crate) code: bool,
    /// A comment that is not documentation.
    pub(crate) comment: bool,
    /// Documentation: `///`, `//!` and their block forms.
    pub(crate) doc: bool,
    /// Inside an item marked `#[cfg(test)]`.
    pub(crate) test: bool,
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Line of the word `fn`, from 1.
    pub(crate) line: usize,
    /// Lines from the word `fn` to the closing brace, both included.
    pub(crate) lines: usize,
    /// Has a type or constant parameter in angle brackets; lifetimes do not count.
    pub(crate) generic: bool,
    /// Inside an item marked `#[cfg(test)]`.
    pub(crate) test: bool,
}

/// A word (identifier, keyword, number) or a single sign, with its line from 1.
#[derive(Debug)]
struct Token {
    text: String,
    line: usize,
}

/// One file.
#[derive(Debug)]
pub(crate) struct Source {
    lines: Vec<Line>,
    tokens: Vec<Token>,
}

impl Source {
    pub(crate) fn parse(text: &str) -> Self {
        let (masked, lines) = mask(text);
        let mut source = Self { lines, tokens: tokens(&masked) };
        source.mark_tests();
        source
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Lines, from 1, whose code holds `word` as a whole word.
    pub(crate) fn lines_with_word(&self, word: &str) -> impl Iterator<Item = usize> {
        self.tokens.iter().filter(move |token| token.text == word).map(|token| token.line)
    }

    /// Functions with a body, in order of appearance; a function inside another counts for itself too.
    pub(crate) fn functions(&self) -> Vec<Function> {
        (0..self.tokens.len()).filter_map(|at| self.function(at)).collect()
    }

    /// Names of modules that stand in files of their own and are compiled for tests only.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let named = |at: usize| {
            let after = self.after_attributes(at);
            let is_file = self.text(after) == "mod" && self.text(after + 2) == ";";
            is_file.then(|| self.text(after + 1).to_owned())
        };
        (0..self.tokens.len()).filter(|at| self.is_test_attribute(*at)).filter_map(named).collect()
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn line(&self, at: usize) -> usize {
        self.tokens.get(at).map_or(0, |token| token.line)
    }

    fn function(&self, at: usize) -> Option<Function> {
        let name = self.text(at + 1);
        // `fn(u8) -> u8` is a type.
        if self.text(at) != "fn" || !name.starts_with(is_word) {
            return None;
        }
        let body = self.body(at + 2)?;
        let (line, end) = (self.line(at), self.line(self.closing(body)));
        let test = self.lines.get(line - 1).is_some_and(|line| line.test);
        Some(Function {
            name: name.to_owned(),
            line,
            lines: end - line + 1,
            generic: self.is_generic(at + 2),
            test,
        })
    }

    /// The brace that opens the item's body; `None` when it ends without one.
    fn body(&self, from: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate().skip(from) {
            match token.text.as_str() {
                "(" | "[" => depth += 1,
                ")" | "]" => depth = depth.saturating_sub(1),
                "{" if depth == 0 => return Some(at),
                ";" if depth == 0 => return None,
                _ => {}
            }
        }
        None
    }

    /// The token that closes the bracket opened at `open`; the last one when the file ends before.
    fn closing(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate().skip(open) {
            match token.text.as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return at;
            }
        }
        self.tokens.len().saturating_sub(1)
    }

    /// Whether the parameters that open at `open` (a `<`, else there are none) name a type or constant.
    fn is_generic(&self, open: usize) -> bool {
        if self.text(open) != "<" {
            return false;
        }
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            let begins = matches!(self.text(at), "<" | ",") && depth <= 1;
            match self.text(at) {
                "<" => depth += 1,
                // The arrow of `Fn(u8) -> u8` closes nothing.
                ">" if self.text(at - 1) != "-" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return false;
            }
            if begins && self.text(at + 1).starts_with(is_word) {
                return true;
            }
        }
        false
    }

    /// `#[cfg(test)]`, `#[cfg(all(test, …))]`.
    fn is_test_attribute(&self, at: usize) -> bool {
        let opens = self.text(at) == "#" && self.text(at + 1) == "[" && self.text(at + 2) == "cfg";
        let close = if opens { self.closing(at + 1) } else { at };
        let inside = at..close;
        let has = |word: &str| inside.clone().any(|at| self.text(at) == word);
        opens && has("test") && !has("not")
    }

    /// The first token behind the attributes that begin at `at`.
    fn after_attributes(&self, mut at: usize) -> usize {
        while self.text(at) == "#" && self.text(at + 1) == "[" {
            at = self.closing(at + 1) + 1;
        }
        at
    }

    fn mark_tests(&mut self) {
        let mut ranges = Vec::new();
        for at in (0..self.tokens.len()).filter(|at| self.is_test_attribute(*at)) {
            let item = self.after_attributes(at);
            let end = self
                .body(item)
                .map_or_else(|| self.line(item), |body| self.line(self.closing(body)));
            ranges.push(self.line(at)..=end);
        }
        for (index, line) in self.lines.iter_mut().enumerate() {
            line.test = ranges.iter().any(|range| range.contains(&(index + 1)));
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn tokens(masked: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for (index, line) in masked.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let whole_word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (text, behind) =
                rest.split_at(if is_word(first) { whole_word } else { first.len_utf8() });
            tokens.push(Token { text: text.to_owned(), line: index + 1 });
            rest = behind.trim_start();
        }
    }
    tokens
}

#[cfg(test)]
mod tests;
