//! Blanks out comments and texts, and says what each line holds.

use super::Line;

/// Returns the text with comments, strings and characters replaced by blanks (lines kept as they
/// are), and what stands on each line.
pub(super) fn mask(text: &str) -> (String, Vec<Line>) {
    let chars: Vec<char> = text.chars().collect();
    let mut masker = Masker {
        chars: &chars,
        at: 0,
        masked: String::new(),
        lines: Vec::new(),
        line: Line::default(),
    };
    while masker.at < chars.len() {
        masker.step();
    }
    masker.lines.push(masker.line);
    if text.ends_with('\n') {
        masker.lines.pop();
    }
    (masker.masked, masker.lines)
}

struct Masker<'a> {
    chars: &'a [char],
    at: usize,
    masked: String,
    lines: Vec<Line>,
    line: Line,
}

impl Masker<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(ahead, c)| self.peek(ahead) == Some(c))
    }

    fn step(&mut self) {
        if self.starts_with("//") {
            self.line_comment();
        } else if self.starts_with("/*") {
            self.block_comment();
        } else if let Some((opening, hashes)) = self.raw_string() {
            self.text(
                opening,
                |masker| masker.peek(0) == Some('"') && masker.hashes(1) >= hashes,
                hashes,
            );
        } else if self.peek(0) == Some('"') {
            self.text(1, |masker| masker.peek(0) == Some('"'), 0);
        } else if self.is_character() {
            self.text(1, |masker| masker.peek(0) == Some('\''), 0);
        } else {
            self.keep();
        }
    }

    /// Passes one character of code on.
    fn keep(&mut self) {
        let Some(c) = self.peek(0) else { return };
        self.line.code |= !c.is_whitespace();
        self.masked.push(c);
        self.end_line(c);
        self.at += 1;
    }

    /// Replaces one character by a blank.
    fn blank(&mut self) {
        let Some(c) = self.peek(0) else { return };
        self.masked.push(if c == '\n' { '\n' } else { ' ' });
        self.end_line(c);
        self.at += 1;
    }

    fn end_line(&mut self, c: char) {
        if c == '\n' {
            self.lines.push(std::mem::take(&mut self.line));
        }
    }

    fn line_comment(&mut self) {
        let doc = self.starts_with("//!") || self.starts_with("///") && !self.starts_with("////");
        self.mark(doc);
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.blank();
        }
    }

    fn block_comment(&mut self) {
        let doc = self.starts_with("/*!") || self.starts_with("/**") && !self.starts_with("/**/");
        let mut depth = 0_usize;
        while self.at < self.chars.len() {
            self.mark(doc);
            // Block comments nest.
            let step = if self.starts_with("/*") {
                depth += 1;
                2
            } else if self.starts_with("*/") {
                depth -= 1;
                2
            } else {
                1
            };
            (0..step).for_each(|_| self.blank());
            if depth == 0 {
                return;
            }
        }
    }

    fn mark(&mut self, doc: bool) {
        self.line.doc |= doc;
        self.line.comment |= !doc;
    }

    /// Length of the opening and number of `#` when a raw string begins here: `r"`, `br##"`.
    fn raw_string(&self) -> Option<(usize, usize)> {
        let inside_word = self
            .at
            .checked_sub(1)
            .and_then(|before| self.chars.get(before))
            .is_some_and(|c| super::is_word(*c));
        let prefix = ["r", "br", "cr"].into_iter().find(|prefix| self.starts_with(prefix))?.len();
        let hashes = self.hashes(prefix);
        let opens = self.peek(prefix + hashes) == Some('"');
        (opens && !inside_word).then_some((prefix + hashes + 1, hashes))
    }

    fn hashes(&self, ahead: usize) -> usize {
        self.chars.iter().skip(self.at + ahead).take_while(|c| **c == '#').count()
    }

    /// `'a'` and `'\n'` are characters, `'a` is a lifetime.
    fn is_character(&self) -> bool {
        self.peek(0) == Some('\'') && (self.peek(1) == Some('\\') || self.peek(2) == Some('\''))
    }

    /// Blanks a text out: `opening` characters, then all up to the end, then `behind` more.
    fn text(&mut self, opening: usize, ends: impl Fn(&Self) -> bool, behind: usize) {
        // Raw strings, which are the ones with a longer opening, know no escapes.
        let escapes = opening == 1;
        self.line.code = true;
        (0..opening).for_each(|_| self.blank());
        while self.at < self.chars.len() {
            self.line.code = true;
            if escapes && self.peek(0) == Some('\\') {
                self.blank();
            } else if ends(self) {
                (0..=behind).for_each(|_| self.blank());
                return;
            }
            self.blank();
        }
    }
}
