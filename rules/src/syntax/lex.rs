//! Text to tokens, by `logos`. Lossless: the tokens' texts, joined, are the file.

use super::kind::SyntaxKind;
use crate::diag::Span;
use logos::Logos;

#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
enum Lexeme {
    #[regex(r"[ \t\r\n\u{feff}]+")]
    Whitespace,
    #[regex(r"#[^\n]*", allow_greedy = true)]
    Comment,
    // Inner hyphens belong to the word (`fire-panel`), so a minus needs blanks around it.
    #[regex(r"[\p{XID_Start}_][\p{XID_Continue}]*(-[\p{XID_Continue}]+)*")]
    Ident,
    #[regex(r#""([^"\\\n]|\\[^\n])*""#)]
    String,
    #[regex(r"[0-9]+(\.[0-9]+)?")]
    Number,
    #[regex(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?")]
    Clock,
    #[token("{")]
    LCurly,
    #[token("}")]
    RCurly,
    #[token("(")]
    LParen,
    #[token(")")]
    RParen,
    #[token(",")]
    Comma,
    #[token(";")]
    Semicolon,
    #[token(":")]
    Colon,
    #[token(".")]
    Dot,
    #[token("..")]
    DotDot,
    #[token("=")]
    Eq,
    #[token("==")]
    EqEq,
    #[token("!=")]
    NotEq,
    #[token("<")]
    Lt,
    #[token("<=")]
    LtEq,
    #[token(">")]
    Gt,
    #[token(">=")]
    GtEq,
    #[token("+")]
    Plus,
    #[token("-")]
    Minus,
    #[token("*")]
    Star,
    #[token("/")]
    Slash,
    #[token("%")]
    Percent,
    #[token("+-")]
    PlusMinus,
}

impl Lexeme {
    fn kind(self) -> SyntaxKind {
        match self {
            Lexeme::Whitespace => SyntaxKind::WHITESPACE,
            Lexeme::Comment => SyntaxKind::COMMENT,
            Lexeme::Ident => SyntaxKind::IDENT,
            Lexeme::String => SyntaxKind::STRING,
            Lexeme::Number => SyntaxKind::NUMBER,
            Lexeme::Clock => SyntaxKind::CLOCK,
            Lexeme::LCurly => SyntaxKind::L_CURLY,
            Lexeme::RCurly => SyntaxKind::R_CURLY,
            Lexeme::LParen => SyntaxKind::L_PAREN,
            Lexeme::RParen => SyntaxKind::R_PAREN,
            Lexeme::Comma => SyntaxKind::COMMA,
            Lexeme::Semicolon => SyntaxKind::SEMICOLON,
            Lexeme::Colon => SyntaxKind::COLON,
            Lexeme::Dot => SyntaxKind::DOT,
            Lexeme::DotDot => SyntaxKind::DOT_DOT,
            Lexeme::Eq => SyntaxKind::EQ,
            Lexeme::EqEq => SyntaxKind::EQ_EQ,
            Lexeme::NotEq => SyntaxKind::NOT_EQ,
            Lexeme::Lt => SyntaxKind::LT,
            Lexeme::LtEq => SyntaxKind::LT_EQ,
            Lexeme::Gt => SyntaxKind::GT,
            Lexeme::GtEq => SyntaxKind::GT_EQ,
            Lexeme::Plus => SyntaxKind::PLUS,
            Lexeme::Minus => SyntaxKind::MINUS,
            Lexeme::Star => SyntaxKind::STAR,
            Lexeme::Slash => SyntaxKind::SLASH,
            Lexeme::Percent => SyntaxKind::PERCENT,
            Lexeme::PlusMinus => SyntaxKind::PLUS_MINUS,
        }
    }
}

/// One token and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its kind.
    pub kind: SyntaxKind,
    /// Its bytes.
    pub span: Span,
}

/// Cuts `text` into tokens. What is no token becomes [`SyntaxKind::UNKNOWN`]; neighbours of that kind are joined.
/// `text` must be shorter than 4 GiB, which [`super::parse`] sees to.
pub fn lex(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::with_capacity(text.len() / 4);
    for (lexeme, range) in Lexeme::lexer(text).spanned() {
        let span = Span::new(range.start as u32, range.end as u32);
        let kind = lexeme.map_or(SyntaxKind::UNKNOWN, Lexeme::kind);
        match tokens.last_mut() {
            Some(last) if kind == SyntaxKind::UNKNOWN && last.kind == kind => last.span.end = span.end,
            _ => tokens.push(Token { kind, span }),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(SyntaxKind, &str)> {
        let significant = lex(text).into_iter().filter(|t| t.kind != SyntaxKind::WHITESPACE);
        significant.map(|t| (t.kind, &text[t.span.start as usize..t.span.end as usize])).collect()
    }

    #[test]
    fn words_keep_inner_hyphens_and_minus_needs_blanks() {
        use SyntaxKind::{IDENT, MINUS, NUMBER};
        assert_eq!(kinds("corridor-2 - 3"), [(IDENT, "corridor-2"), (MINUS, "-"), (NUMBER, "3")]);
        assert_eq!(kinds("a- b"), [(IDENT, "a"), (MINUS, "-"), (IDENT, "b")]);
        assert_eq!(kinds("café"), [(IDENT, "café")]);
    }

    #[test]
    fn clocks_ranges_and_quantities_do_not_run_together() {
        use SyntaxKind::{CLOCK, DOT_DOT, IDENT, NUMBER, PERCENT};
        assert_eq!(kinds("22:00..06:00"), [(CLOCK, "22:00"), (DOT_DOT, ".."), (CLOCK, "06:00")]);
        assert_eq!(kinds("1..2"), [(NUMBER, "1"), (DOT_DOT, ".."), (NUMBER, "2")]);
        assert_eq!(kinds("1.5s 30%"), [(NUMBER, "1.5"), (IDENT, "s"), (NUMBER, "30"), (PERCENT, "%")]);
        assert_eq!(kinds("10:02:14.318"), [(CLOCK, "10:02:14.318")]);
    }

    #[test]
    fn an_open_string_and_a_stray_sign_are_unknown_and_nothing_is_lost() {
        let text = "say \"open\n ?? § end";
        let tokens = lex(text);
        let joined: String = tokens.iter().map(|t| &text[t.span.start as usize..t.span.end as usize]).collect();
        assert_eq!(joined, text);
        assert!(tokens.iter().any(|t| t.kind == SyntaxKind::UNKNOWN));
    }
}
