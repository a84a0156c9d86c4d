//! The rule language of Osmose: parse, check, compile, evaluate.
//!
//! Text becomes a lossless tree ([`syntax`]), the tree is checked against a site and compiled ([`check()`]), and the
//! compiled [`Program`] is evaluated inside the deterministic core ([`Rules`]). This crate reads no file, no clock and
//! no environment.
//!
//! | folder | what it holds |
//! |---|---|
//! | `syntax/` | tokens, the parser, the lossless tree and typed views of it |
//! | `diag.rs` | one diagnostic struct for all of them |
//! | `check/` | names, units and clauses against the site; unrolling to instances |
//! | `program.rs` | what comes out: flat nodes, and the index of what wakes what |
//! | `conflict/` | rules that can clash, with a counterexample; `prove` |
//! | `cost/` | worst-case operations and memory of each rule, and deadlines that cannot be met |
//! | `fmt.rs` | one layout for every file |
//! | `fnv.rs` | a hash that is the same everywhere, for the shapes of rules |
//! | `json/` | the tree as JSON, both ways, and its schema |
//! | `eval/` | the incremental evaluator: truth, timers, dampers, sessions, state |
#![forbid(unsafe_code)]

pub mod check;
pub mod conflict;
pub mod cost;
pub mod diag;
pub mod eval;
pub mod fmt;
mod fnv;
pub mod json;
pub mod program;
pub mod syntax;

pub use check::{Checked, check};
pub use diag::{Diagnostic, Severity, Span};
pub use eval::{Carried, Rules};
pub use program::{Late, Program, RuleInfo, Way};
pub use syntax::parse;
