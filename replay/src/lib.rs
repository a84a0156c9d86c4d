//! Traces: record, resume, replay, verify, import, score.
#![forbid(unsafe_code)]

pub mod check;
pub mod drive;
pub mod import;
pub mod info;
pub mod record;
pub mod resume;
pub mod score;
pub mod state;
pub mod trace;
pub mod wall;

#[cfg(test)]
mod testing;
