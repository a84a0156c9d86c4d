//! The rule language of Osmose: parse, check, compile, evaluate.
//!
//! Text becomes a lossless tree ([`syntax`]), the tree is checked against a site and compiled, and the compiled
//! program is evaluated inside the deterministic core. This crate reads no file, no clock and no environment.
#![forbid(unsafe_code)]

pub mod diag;
pub mod syntax;

pub use diag::{Diagnostic, Severity, Span};
pub use syntax::parse;
