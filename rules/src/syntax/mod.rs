//! The front end: text to tokens to a lossless tree, and the typed views over it.

pub mod ast;
pub mod kind;
pub mod lex;
mod parse;
pub mod words;

pub use kind::{RuleLanguage, SyntaxElement, SyntaxKind, SyntaxNode, SyntaxToken};
pub use parse::{Parse, SOURCE_BYTES_MAX, parse};
