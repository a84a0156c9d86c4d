//! Trace files: MCAP, self-contained, checked on every read.
//!
//! | file | what it holds |
//! |---|---|
//! | [`mod@format`] | names, limits, the head of a trace: shared by writer and reader |
//! | `sources` | which sources a build was made of (for `build.rs`, and tested here) |
//! | [`codec`] | records as FlatBuffers |
//! | [`mod@write`] | writing, chunk by whole chunk |
//! | `container` | the bytes of a file that is being written: chunks, indexes, summary |
//! | [`read`] | reading, with every checksum, up to the last whole record of a cut file |
//! | [`index`] | where chunks, keyframes and installations stand: what seeking needs |
//! | `lengths` | one record, after a look at the lengths inside it |
//! | [`recording`] | one trace, or a folder of traces that follow each other, as one log |
//! | [`ahead`] | a log read in a thread of its own |

pub mod ahead;
mod chunk;
pub mod codec;
mod container;
pub mod format;
mod found;
pub mod index;
mod lengths;
pub mod read;
pub mod recording;
#[cfg(test)]
mod sources;
pub mod write;

#[cfg(test)]
mod tests;
