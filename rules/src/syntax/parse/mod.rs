//! The parser's machinery: looking ahead, eating tokens, opening and closing nodes, reporting and recovering.
//!
//! Recursive descent into a `rowan` green tree. It never fails: what does not fit goes into an `ERROR` node and a
//! diagnostic, and parsing goes on at the next clause or item, so that one slip costs one message.

mod clauses;
mod expr;
mod items;

use super::kind::{RuleLanguage, SyntaxKind, SyntaxNode};
use super::lex::{Token, lex};
use super::words;
use crate::diag::{Diagnostic, Span, did_you_mean};
use rowan::{Checkpoint, GreenNode, GreenNodeBuilder, Language};

/// Longest rules file that is read, in bytes.
pub const SOURCE_BYTES_MAX: usize = 4 << 20;
/// Deepest nesting of expressions; deeper ones are refused rather than risking the stack.
const NESTING_MAX: u32 = 96;
/// Most syntax errors that one file reports.
const ERRORS_MAX: usize = 64;

/// A parsed file: its tree, complete whatever the text, and what was wrong with it.
#[derive(Clone, Debug)]
pub struct Parse {
    green: GreenNode,
    /// What was wrong, in order of place. Empty means that the syntax is right.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parse {
    /// The root node, a `FILE`. Its text is the file's text, byte for byte.
    pub fn syntax(&self) -> SyntaxNode {
        SyntaxNode::new_root(self.green.clone())
    }

    /// The root as a typed node.
    pub fn file(&self) -> super::ast::File {
        super::ast::File::of_root(self.syntax())
    }
}

/// Parses the text of one rules file; `file` is the name that diagnostics carry.
///
/// A text beyond [`SOURCE_BYTES_MAX`] gives an empty tree and one error.
pub fn parse(file: &str, text: &str) -> Parse {
    if text.len() > SOURCE_BYTES_MAX {
        let message = format!("the file is {} bytes long; at most {SOURCE_BYTES_MAX} are read", text.len());
        let diagnostic = Diagnostic::error("file-too-long", file, Span::new(0, 0), message)
            .help("split it into several rules files");
        let mut builder = GreenNodeBuilder::new();
        builder.start_node(RuleLanguage::kind_to_raw(SyntaxKind::FILE));
        builder.finish_node();
        return Parse { green: builder.finish(), diagnostics: vec![diagnostic] };
    }
    let mut parser = Parser::new(file, text);
    parser.file();
    Parse { green: parser.builder.finish(), diagnostics: parser.diagnostics }
}

pub(super) struct Parser<'t> {
    file: &'t str,
    text: &'t str,
    tokens: Vec<Token>,
    /// Places in `tokens` of those that are not blanks or comments.
    significant: Vec<u32>,
    /// How many of `significant` are eaten.
    at: usize,
    /// How many of `tokens` are in the tree.
    built: usize,
    builder: GreenNodeBuilder<'static>,
    diagnostics: Vec<Diagnostic>,
    nesting: u32,
    /// A `within` behind the next condition is no part of it.
    bare: bool,
}

impl<'t> Parser<'t> {
    fn new(file: &'t str, text: &'t str) -> Self {
        let tokens = lex(text);
        let significant = (0..tokens.len() as u32).filter(|i| !tokens[*i as usize].kind.is_trivia()).collect();
        Parser {
            file,
            text,
            tokens,
            significant,
            at: 0,
            built: 0,
            builder: GreenNodeBuilder::new(),
            diagnostics: Vec::new(),
            nesting: 0,
            bare: false,
        }
    }

    // ---- looking ahead ----

    fn nth_token(&self, n: usize) -> Option<Token> {
        self.significant.get(self.at + n).map(|i| self.tokens[*i as usize])
    }

    fn nth(&self, n: usize) -> SyntaxKind {
        self.nth_token(n).map_or(SyntaxKind::EOF, |t| t.kind)
    }

    fn current(&self) -> SyntaxKind {
        self.nth(0)
    }

    fn nth_text(&self, n: usize) -> &'t str {
        self.nth_token(n).map_or("", |t| &self.text[t.span.start as usize..t.span.end as usize])
    }

    /// Whether token `n` is the word `word`.
    fn nth_is_word(&self, n: usize, word: &str) -> bool {
        self.nth(n) == SyntaxKind::IDENT && self.nth_text(n) == word
    }

    fn at_word(&self, word: &str) -> bool {
        self.nth_is_word(0, word)
    }

    fn at_any_word(&self, words: &[&str]) -> bool {
        self.current() == SyntaxKind::IDENT && words.contains(&self.nth_text(0))
    }

    /// Whether token `n` begins a line (only blanks before it).
    fn starts_line(&self, n: usize) -> bool {
        let Some(token) = self.nth_token(n) else { return true };
        let before = &self.text[..token.span.start as usize];
        before.rfind('\n').map_or(before, |i| &before[i + 1..]).bytes().all(|b| b == b' ' || b == b'\t')
    }

    /// Where the parser stands: the next token, or the last byte of the text.
    fn here(&self) -> Span {
        let end = self.text.len() as u32;
        self.nth_token(0).map_or(Span::new(end, end), |t| t.span)
    }

    /// Right behind the last eaten token: where something is missing.
    fn behind(&self) -> Span {
        let previous = self.at.checked_sub(1).map(|i| self.tokens[self.significant[i] as usize].span.end);
        let end = previous.unwrap_or(0);
        Span::new(end, end)
    }

    // ---- building ----

    fn push_token(&mut self) {
        let token = self.tokens[self.built];
        let text = &self.text[token.span.start as usize..token.span.end as usize];
        self.builder.token(RuleLanguage::kind_to_raw(token.kind), text);
        self.built += 1;
    }

    /// Puts blanks and comments before the next token into the open node, so that nodes begin with their own token.
    fn flush_trivia(&mut self) {
        while self.built < self.tokens.len() && self.tokens[self.built].kind.is_trivia() {
            self.push_token();
        }
    }

    fn bump(&mut self) {
        self.flush_trivia();
        if self.built < self.tokens.len() {
            self.push_token();
            self.at += 1;
        }
    }

    fn start(&mut self, kind: SyntaxKind) {
        self.flush_trivia();
        self.builder.start_node(RuleLanguage::kind_to_raw(kind));
    }

    fn checkpoint(&mut self) -> Checkpoint {
        self.flush_trivia();
        self.builder.checkpoint()
    }

    fn start_at(&mut self, checkpoint: Checkpoint, kind: SyntaxKind) {
        self.builder.start_node_at(checkpoint, RuleLanguage::kind_to_raw(kind));
    }

    fn finish(&mut self) {
        self.builder.finish_node();
    }

    fn eat(&mut self, kind: SyntaxKind) -> bool {
        let found = self.current() == kind;
        if found {
            self.bump();
        }
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.bump();
        }
        found
    }

    // ---- reporting ----

    fn report(&mut self, diagnostic: Diagnostic) {
        let repeated = self.diagnostics.last().is_some_and(|d| d.span.start == diagnostic.span.start);
        if !repeated && self.diagnostics.len() < ERRORS_MAX {
            self.diagnostics.push(diagnostic);
        }
    }

    fn found(&self) -> String {
        match self.current() {
            SyntaxKind::EOF => "the end of the file".to_owned(),
            SyntaxKind::UNKNOWN if self.nth_text(0).starts_with('"') => "a string without its closing quote".to_owned(),
            _ => format!("`{}`", self.nth_text(0)),
        }
    }

    /// "expected X, found Y", at the found token; or behind the last one where the find stands on a later line.
    fn expected(&mut self, what: &str) {
        let message = format!("expected {what}, found {}", self.found());
        let span = if self.current() == SyntaxKind::EOF || self.starts_line(0) { self.behind() } else { self.here() };
        let diagnostic = Diagnostic::error("syntax", self.file, span, message);
        let diagnostic = if self.current() == SyntaxKind::UNKNOWN && self.nth_text(0).starts_with('"') {
            diagnostic.help("close the string on the line where it begins")
        } else if let Some(foreign) = words::foreign_word(self.nth_text(0)) {
            diagnostic.help(foreign)
        } else {
            diagnostic.label(span, format!("expected {what}"))
        };
        self.report(diagnostic);
    }

    fn expect(&mut self, kind: SyntaxKind, what: &str) -> bool {
        let found = self.eat(kind);
        if !found {
            self.expected(what);
        }
        found
    }

    fn expect_word(&mut self, word: &str) -> bool {
        let found = self.eat_word(word);
        if !found {
            self.expected(&format!("`{word}`"));
        }
        found
    }

    /// A defining name: any word, or a quoted one.
    fn name(&mut self, what: &str) -> bool {
        let found = matches!(self.current(), SyntaxKind::IDENT | SyntaxKind::STRING);
        if found {
            self.start(SyntaxKind::NAME);
            self.bump();
            self.finish();
        } else {
            self.expected(what);
        }
        found
    }

    /// Reports a word that opens nothing, with the nearest of `known`.
    fn unknown_word(&mut self, what: &str, known: &[&'static str]) {
        let span = self.here();
        let found = self.found();
        let mut diagnostic = Diagnostic::error("syntax", self.file, span, format!("expected {what}, found {found}"));
        let word = self.nth_text(0);
        diagnostic = match words::foreign_word(word).ok_or_else(|| did_you_mean(word, known.iter().copied())) {
            Ok(instead) => diagnostic.help(instead),
            Err(Some(near)) => diagnostic.label(span, format!("did you mean `{near}`?")),
            Err(None) if known.len() <= 24 => diagnostic.help(format!("{what} is one of: {}", known.join(", "))),
            Err(None) => diagnostic.label(span, format!("expected {what}")),
        };
        self.report(diagnostic);
    }

    /// Eats into an `ERROR` node up to the next place where a clause, an item or the block's end may stand.
    fn recover(&mut self, heads: &[&str]) {
        if self.stops_recovery(heads) {
            return;
        }
        self.start(SyntaxKind::ERROR);
        let mut depth = 0_u32;
        while self.current() != SyntaxKind::EOF {
            match self.current() {
                SyntaxKind::L_CURLY => depth += 1,
                SyntaxKind::R_CURLY if depth > 0 => depth -= 1,
                _ if depth == 0 && self.stops_recovery(heads) => break,
                _ => {}
            }
            self.bump();
        }
        self.finish();
    }

    fn stops_recovery(&self, heads: &[&str]) -> bool {
        match self.current() {
            SyntaxKind::EOF | SyntaxKind::R_CURLY => true,
            SyntaxKind::IDENT => self.at_any_word(heads) && !self.after_dot() || self.at_item_head(),
            _ => false,
        }
    }

    fn after_dot(&self) -> bool {
        self.at > 0 && self.tokens[self.significant[self.at - 1] as usize].kind == SyntaxKind::DOT
    }

    /// Whether an item begins here: its word at the beginning of a line, and what follows fits. Used to notice that
    /// the block before it was never closed.
    fn at_item_head(&self) -> bool {
        if !self.starts_line(0) || !self.at_any_word(words::ITEMS) {
            return false;
        }
        let named = matches!(self.nth(1), SyntaxKind::IDENT | SyntaxKind::STRING);
        match self.nth_text(0) {
            "edition" => self.nth(1) == SyntaxKind::NUMBER,
            "defaults" => self.nth(1) == SyntaxKind::L_CURLY,
            "levels" => named && self.nth(2) == SyntaxKind::GT,
            "rule" => named && (self.nth(2) == SyntaxKind::L_CURLY || self.nth_is_word(2, "over")),
            "interlock" | "policy" => named && self.nth(2) == SyntaxKind::L_CURLY,
            "mode" => named && (self.nth(2) == SyntaxKind::L_CURLY || self.nth_is_word(2, "per")),
            "template" => named && matches!(self.nth(2), SyntaxKind::L_CURLY | SyntaxKind::L_PAREN),
            "test" => self.nth(1) == SyntaxKind::STRING && self.nth_is_word(2, "of"),
            _ => named,
        }
    }

    /// Runs `body` with or without conditions that end in `within`.
    fn bare(&mut self, bare: bool, body: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.bare, bare);
        body(self);
        self.bare = before;
    }

    /// Runs `body` one level deeper, or refuses where the nesting is too deep.
    fn deeper(&mut self, body: impl FnOnce(&mut Self)) {
        if self.nesting >= NESTING_MAX {
            let message = format!("this expression is nested more than {NESTING_MAX} deep");
            let diagnostic = Diagnostic::error("too-deep", self.file, self.here(), message);
            self.report(diagnostic.help("name its parts in rules of their own"));
            // Eat one token, so that every caller moves on.
            self.start(SyntaxKind::ERROR);
            self.bump();
            self.finish();
            return;
        }
        self.nesting += 1;
        body(self);
        self.nesting -= 1;
    }
}
