//! Traces: record, resume, replay, verify, import, score.
//!
//! | module | what it holds |
//! |---|---|
//! | [`trace`] | the file format: MCAP with FlatBuffers records, written and read with every checksum |
//! | [`record`], [`rotate`] | the recording agent of a running engine; a folder of recordings, of which the oldest go |
//! | [`state`], [`mod@resume`] | the state folder, and starting where the last run stopped |
//! | [`draw`] | a site on paper (SVG) |
//! | [`drive`] | replay: the core on the recorded inputs, compared with the recording |
//! | [`story`] | a command's story, and a rule's, as data for a page |
//! | [`why`] | why a command was sent, and why a rule sent none |
//! | [`mod@diff`] | two lists of commands side by side |
//! | [`branch`] | a recording with one thing otherwise, as a recording of its own |
//! | [`mod@find`] | every moment when a condition became true |
//! | [`export`] | a trace for other programs |
//! | [`mod@report`] | an incident as one page |
//! | [`promises`] | what `prove` could not show, watched along a recording |
//! | [`player`] | a recording that plays: to an instant, by steps, at a speed |
//! | [`timeline`] | a recording at a glance: people by room, and every instant worth going to |
//! | [`rulebook`] | what a rule's number stands for |
//! | [`mod@import`] | CSV recordings to traces |
//! | [`mod@info`], [`mod@check`] | what is in a trace; whether it is what was recorded |
//! | [`surgery`] | traces made of traces: index, recover, cut, merge, keep, anonymise |
//! | [`wall`] | wall-clock times and time zones, at the edge of a log |
//! | [`score`] | tracks against truth |
#![forbid(unsafe_code)]

pub mod branch;
pub mod check;
pub mod diff;
pub mod draw;
pub mod drive;
pub mod export;
pub mod find;
pub mod import;
pub mod info;
pub mod player;
pub mod promises;
pub mod record;
pub mod report;
pub mod resume;
pub mod rotate;
pub mod rulebook;
pub mod score;
pub mod state;
pub mod story;
pub mod surgery;
pub mod timeline;
pub mod trace;
pub mod wall;
pub mod why;
mod words;

pub use words::counted;

#[cfg(test)]
mod testing;
