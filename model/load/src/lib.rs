//! wip
#![forbid(unsafe_code)]
mod doc;
mod fault;
mod files;
mod text;
pub use fault::{Fault, Severity};
pub use files::{read_dir};
