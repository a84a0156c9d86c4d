//! Trace files: MCAP, self-contained, checked on every read.
//!
//! | file | what it holds |
//! |---|---|
//! | [`mod@format`] | names, limits, the head of a trace: shared by writer and reader |
//! | [`codec`] | records as FlatBuffers |
//! | [`mod@write`] | writing, chunk by whole chunk |
//! | [`read`] | reading, with every checksum, up to the last whole record of a cut file |

mod chunk;
pub mod codec;
pub mod format;
mod found;
pub mod read;
pub mod write;

#[cfg(test)]
mod tests;
