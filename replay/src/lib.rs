//! Traces: record, resume, replay, verify, import, score.
#![forbid(unsafe_code)]

pub mod score;
pub mod trace;
