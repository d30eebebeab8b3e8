//! Tokens of go.mod files.

use crate::modfile::Error;
use crate::unicode;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    Newline,
    /// A comment behind other tokens; ends its line.
    EndOfLineComment,
    /// A comment alone on its line; holds the line feed too.
    LineComment,
    /// One of `( ) [ ] { } ,`.
    Punctuation(char),
    /// A quoted string, quotes included.
    Quoted,
    Word,
}

impl Kind {
    /// Returns whether a line of tokens ends here.
    pub(super) fn ends_line(self) -> bool {
        matches!(self, Self::End | Self::Newline | Self::EndOfLineComment)
    }
}

/// One token; a comment's text is without slashes and surrounding blanks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// Counted from 1.
    pub(super) line: usize,
}

/// Reads tokens from left to right.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    /// Whether a token stands before the cursor on this line.
    inside_line: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, line: 1, inside_line: false }
    }

    /// Takes the next token; [`Kind::End`] at the end, as often as asked.
    pub(super) fn next(&mut self) -> Result<Token<'a>, Error> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
        let line = self.line;
        let Some(first) = self.rest.chars().next() else {
            return Ok(Token { kind: Kind::End, text: "", line });
        };
        if self.rest.starts_with("//") {
            return Ok(self.comment());
        }
        if self.rest.starts_with("/*") {
            return Err(self.error(BLOCK_COMMENT));
        }
        let (kind, len) = match first {
            '\n' => (Kind::Newline, 1),
            '(' | ')' | '[' | ']' | '{' | '}' | ',' => (Kind::Punctuation(first), 1),
            '"' | '`' => (Kind::Quoted, self.quoted_len(first)?),
            c if in_word(c) => (Kind::Word, self.word_len()?),
            _ => return Err(self.error("unexpected input character")),
        };
        let text = self.take(len);
        self.inside_line = kind != Kind::Newline;
        // A quoted string may hold an escaped line feed.
        self.line += text.matches('\n').count();
        Ok(Token { kind, text, line })
    }

    fn comment(&mut self) -> Token<'a> {
        let line = self.line;
        let text = self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        if !self.rest.is_empty() {
            self.take(1);
            self.line += 1;
        }
        let kind = if self.inside_line { Kind::EndOfLineComment } else { Kind::LineComment };
        self.inside_line = false;
        Token { kind, text: text.strip_prefix("//").unwrap_or(text).trim(), line }
    }

    fn quoted_len(&self, quote: char) -> Result<usize, Error> {
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\n' => return Err(self.error("unexpected newline in string")),
                '\\' if quote != '`' => {
                    chars.next();
                }
                c if c == quote => return Ok(at + 1),
                _ => {}
            }
        }
        Err(self.error("unexpected EOF in string"))
    }

    fn word_len(&self) -> Result<usize, Error> {
        for (at, c) in self.rest.char_indices() {
            if !in_word(c) {
                return Ok(at);
            }
            let behind = self.rest.get(at..).unwrap_or_default();
            if behind.starts_with("//") {
                return Ok(at);
            }
            if behind.starts_with("/*") {
                return Err(self.error(BLOCK_COMMENT));
            }
        }
        Ok(self.rest.len())
    }

    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn error(&self, problem: &'static str) -> Error {
        Error::Syntax { line: self.line, problem }
    }
}

const BLOCK_COMMENT: &str = "mod files must use // comments (not /* */ comments)";

fn in_word(c: char) -> bool {
    !matches!(c, ' ' | '(' | ')' | '[' | ']' | '{' | '}' | ',') && unicode::is_print(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<(Kind, &str)>, Error> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            let token = lexer.next()?;
            if token.kind == Kind::End {
                return Ok(tokens);
            }
            tokens.push((token.kind, token.text));
        }
    }

    #[test]
    fn tokens_are_told_apart() {
        let expected = [
            (Kind::Word, "retract"),
            (Kind::Punctuation('['), "["),
            (Kind::Word, "v1"),
            (Kind::Punctuation(','), ","),
            (Kind::Quoted, "\"a\\\" b\""),
            (Kind::Quoted, "`c\\`"),
            (Kind::Punctuation(']'), "]"),
            (Kind::EndOfLineComment, "why"),
            (Kind::LineComment, "alone"),
            (Kind::Newline, "\n"),
            (Kind::Word, "a=>b\"c"),
            (Kind::EndOfLineComment, "d"),
        ];
        let text = "retract\t[v1,\"a\\\" b\"`c\\`] // why\r\n // alone \n\na=>b\"c//d";
        assert_eq!(tokens(text).unwrap(), expected);
    }

    #[test]
    fn broken_tokens_are_told_with_their_line() {
        for (text, line) in [
            ("a\n/* b */", 2),
            ("a/*b", 1),
            ("\"a", 1),
            ("\n\n`a\nb`", 3),
            ("\"a\n\"", 1),
            ("\"a\\", 1),
            ("a\n\u{feff}", 2),
            ("a\0", 1),
            ("a\u{a0}b", 1),
            ("\u{b}", 1),
        ] {
            let Err(Error::Syntax { line: told, .. }) = tokens(text) else { panic!("{text:?}") };
            assert_eq!(told, line, "{text:?}");
        }
    }
}
