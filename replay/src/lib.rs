//! Traces: record, resume, replay, verify, import, score.
#![forbid(unsafe_code)]

pub mod drive;
pub mod record;
pub mod score;
pub mod trace;

#[cfg(test)]
mod testing;
