//! FlatBuffers on the wire and in traces: the native frame that a sensor sends, and the records of a trace.
//!
//! | file | what it holds |
//! |---|---|
//! | [`frame`] | the native frame: a reusable builder for senders, one verification for the engine |
//! | [`trace`] | the records of a trace: inputs, events, commands, digests, keyframes |
//! | `generated/` | what `flatc` makes of `schemas/*.fbs` (regenerate: `regenerate/src/main.rs`) |
//!
//! A buffer is verified once, at the edge, within bounds; what is behind works on plain `Copy` structs. `docs/wire.md`
//! explains every schema with a worked example.

pub mod frame;
pub mod trace;

// Generated code: the flatbuffers runtime reads verified offsets unchecked, so it cannot do without `unsafe`; its style
// is flatc's own. Nothing else in this crate may use `unsafe` (denied for the workspace).
#[allow(unsafe_code, reason = "the flatbuffers runtime reads verified offsets unchecked")]
#[allow(missing_docs, unreachable_pub, unused_imports, dead_code, deprecated, reason = "flatc's own style")]
#[allow(clippy::all, clippy::undocumented_unsafe_blocks, reason = "flatc's own style")]
#[allow(rustdoc::all, reason = "comments are the schema's")]
#[rustfmt::skip]
#[path = "generated/frame_generated.rs"]
mod frame_generated;

// As above.
#[allow(unsafe_code, reason = "the flatbuffers runtime reads verified offsets unchecked")]
#[allow(missing_docs, unreachable_pub, unused_imports, dead_code, deprecated, reason = "flatc's own style")]
#[allow(clippy::all, clippy::undocumented_unsafe_blocks, reason = "flatc's own style")]
#[allow(rustdoc::all, reason = "comments are the schema's")]
#[rustfmt::skip]
#[path = "generated/trace_generated.rs"]
mod trace_generated;

/// The generated types of `schemas/frame.fbs`.
pub mod frame_schema {
    pub use crate::frame_generated::osmose::frame::*;
}

/// The generated types of `schemas/trace.fbs`.
pub mod trace_schema {
    pub use crate::trace_generated::osmose::trace::*;
}

/// The binary schema of `schemas/frame.fbs`.
pub const FRAME_BFBS: &[u8] = include_bytes!("bfbs/frame.bfbs");

/// The binary schema of `schemas/trace.fbs`: what an MCAP file embeds for each of its channels.
pub const TRACE_BFBS: &[u8] = include_bytes!("bfbs/trace.bfbs");

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes do not carry the schema's file identifier.
    #[error("the bytes do not begin as a frame does (identifier OSMF)")]
    NotAFrame,
    /// The bytes break the format, or exceed the bounds within which they are verified.
    #[error("the bytes are damaged: {0}")]
    Damaged(flatbuffers::InvalidFlatbuffer),
    /// A frame of a schema that this build does not know.
    #[error("frame version {0}, this build reads {max}", max = frame::VERSION)]
    Version(u16),
    /// A record holds something that a later version added.
    #[error("a {what} that this build does not know: the trace is of a later version")]
    Unknown {
        /// What it is one of.
        what: &'static str,
    },
    /// A name or text is longer than any may be.
    #[error("a {what} of {bytes} bytes is longer than it may be")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// A scan or list has more items than any may.
    #[error("a list of {0} items is longer than it may be")]
    TooManyItems(usize),
}
