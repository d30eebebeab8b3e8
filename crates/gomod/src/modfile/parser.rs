//! Lines and blocks of go.mod files, with the comments that belong to them.

use crate::modfile::Error;
use crate::modfile::directive::Builder;
use crate::modfile::lexer::{Kind, Lexer, Token};

/// Reads a file and hands each line to the builder.
///
/// Lines are not kept: a file of 16 MiB may have millions of them.
pub(super) fn parse(text: &str, builder: &mut Builder) -> Result<(), Error> {
    let mut lexer = Lexer::new(text);
    let peeked = lexer.next()?;
    let mut parser = Parser { lexer, peeked, builder };
    let mut comments = Comments::default();
    loop {
        match parser.peeked.kind {
            Kind::End => return Ok(()),
            Kind::Newline => {
                // A blank line parts a comment from what follows.
                comments = Comments::default();
                parser.take()?;
            }
            Kind::LineComment => comments.push(parser.take()?.text),
            _ => parser.statement(std::mem::take(&mut comments))?,
        }
    }
}

/// The comments before a line and at its end, joined by line feeds.
#[derive(Debug, Default, Clone)]
pub(super) struct Comments {
    text: Option<String>,
    /// Whether a blank line stands among them, which counts as a comment without text.
    blank: bool,
}

impl Comments {
    fn push(&mut self, comment: &str) {
        match &mut self.text {
            Some(text) => {
                text.push('\n');
                text.push_str(comment);
            }
            None => self.text = Some(comment.to_owned()),
        }
    }

    fn is_empty(&self) -> bool {
        self.text.is_none() && !self.blank
    }

    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }
}

struct Parser<'a, 'b> {
    lexer: Lexer<'a>,
    peeked: Token<'a>,
    builder: &'b mut Builder,
}

impl<'a> Parser<'a, '_> {
    fn take(&mut self) -> Result<Token<'a>, Error> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.peeked, next))
    }

    /// Reads a line outside of blocks, or a whole block.
    fn statement(&mut self, mut comments: Comments) -> Result<(), Error> {
        let first = self.take()?;
        let mut tokens = vec![first.text];
        loop {
            let token = self.take()?;
            if token.kind.ends_line() {
                if token.kind == Kind::EndOfLineComment {
                    comments.push(token.text);
                }
                return self.line(&tokens, &comments, first.line);
            }
            tokens.push(token.text);
            if token.kind != Kind::Punctuation('(') {
                continue;
            }
            if self.peeked.kind.ends_line() {
                tokens.pop();
                return self.block(&tokens, &comments, first.line);
            }
            if self.peeked.kind == Kind::Punctuation(')') {
                tokens.push(self.take()?.text);
                if self.peeked.kind.ends_line() {
                    // An empty block.
                    self.take()?;
                    return Ok(());
                }
            }
        }
    }

    fn line(&mut self, tokens: &[&str], comments: &Comments, line: usize) -> Result<(), Error> {
        let Some((verb, args)) = tokens.split_first() else { return Ok(()) };
        self.builder.line(verb, args, comments, line)
    }

    /// Reads the lines of a block, its opening parenthesis taken.
    fn block(&mut self, verb: &[&str], block: &Comments, start: usize) -> Result<(), Error> {
        // Blocks of one word that may hold something are looked at, others are skipped over.
        let verb = match *verb {
            [verb @ ("module" | "require" | "retract" | "ignore")] => Some(verb),
            _ => None,
        };
        let mut comments = Comments::default();
        let mut seen_lines = false;
        let mut tokens = Vec::new();
        loop {
            match self.peeked.kind {
                Kind::EndOfLineComment => {
                    self.take()?;
                }
                Kind::Newline => {
                    self.take()?;
                    comments.blank |= seen_lines || comments.text.is_some();
                }
                Kind::LineComment => comments.push(self.take()?.text),
                Kind::End => {
                    let problem = "syntax error (unterminated block)";
                    return Err(Error::Syntax { line: start, problem });
                }
                Kind::Punctuation(')') => return self.block_end(),
                _ => {
                    let line = self.peeked.line;
                    self.block_line(&mut tokens, &mut comments)?;
                    // The comments of the block stand for lines that have none.
                    let own = if comments.is_empty() { block } else { &comments };
                    if let Some(verb) = verb {
                        self.builder.line(verb, &tokens, own, line)?;
                    }
                    comments = Comments::default();
                    seen_lines = true;
                }
            }
        }
    }

    fn block_line(
        &mut self,
        tokens: &mut Vec<&'a str>,
        comments: &mut Comments,
    ) -> Result<(), Error> {
        tokens.clear();
        loop {
            let token = self.take()?;
            if token.kind == Kind::EndOfLineComment {
                comments.push(token.text);
            }
            if token.kind.ends_line() {
                return Ok(());
            }
            tokens.push(token.text);
        }
    }

    fn block_end(&mut self) -> Result<(), Error> {
        self.take()?;
        if !self.peeked.kind.ends_line() {
            let problem = "syntax error (expected newline after closing paren)";
            return Err(Error::Syntax { line: self.peeked.line, problem });
        }
        self.take()?;
        Ok(())
    }
}
