//! The records of a trace: written into room that is reused, verified once, and decoded to exactly what was recorded.
//!
//! | file | what it holds |
//! |---|---|
//! | [`mod@input`] | [`encode_input`], [`decode_input`] |
//! | [`observation`] | the part of it that sensors fill, which is most of a trace |
//! | [`short`] | [`decode_checked_input`]: fixes and scans, read the short way |
//! | `fix` | a location fix, written the short way |
//! | [`event`] | [`encode_event`], [`decode_event`] |
//! | [`command`] | [`encode_command`], [`decode_command`] |
//! | [`log`] | digests, keyframes, names, latencies, counters |
//!
//! Each record is a buffer of its own, without file identifier: the MCAP channel that it stands in says which table it
//! is, by the schema's name ([`schema_name`]).

pub mod command;
pub mod event;
mod fix;
pub mod input;
pub mod log;
pub mod observation;
pub mod short;
mod values;

use crate::WireError;
use flatbuffers::{FlatBufferBuilder, Follow, Verifiable, VerifierOptions, WIPOffset};

pub use command::{decode_command, encode_command};
pub use event::{decode_event, encode_event};
pub use input::{decode_input, encode_input};
pub use log::{
    Counter, Digests, Keyframe, Latency, NameOf, NameRecord, decode_counter, decode_digest, decode_keyframe,
    decode_latency, decode_name, encode_counter, encode_digest, encode_keyframe, encode_latency, encode_name,
};
pub use short::decode_checked_input;

/// The version of `schemas/trace.fbs` that this build writes: it goes into a trace's header. Fields are only added, so
/// every build reads the traces of earlier ones.
pub const VERSION: u16 = 1;

/// A record of a trace, and so a channel of its MCAP file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Record {
    /// One input of the core.
    Input,
    /// Something happened to a track.
    Event,
    /// One command to one device.
    Command,
    /// The running digests after an input.
    Digest,
    /// The whole state after an input.
    Keyframe,
    /// What a number stands for.
    Name,
    /// How long one hop took.
    Latency,
    /// How often something happened.
    Counter,
}

impl Record {
    /// Every record, in declaration order.
    pub const ALL: [Self; 8] = [
        Self::Input,
        Self::Event,
        Self::Command,
        Self::Digest,
        Self::Keyframe,
        Self::Name,
        Self::Latency,
        Self::Counter,
    ];
}

/// The full name of a record's table in [`crate::TRACE_BFBS`]: what an MCAP schema is called.
#[must_use]
pub const fn schema_name(record: Record) -> &'static str {
    match record {
        Record::Input => "osmose.trace.Input",
        Record::Event => "osmose.trace.Event",
        Record::Command => "osmose.trace.Command",
        Record::Digest => "osmose.trace.Digest",
        Record::Keyframe => "osmose.trace.Keyframe",
        Record::Name => "osmose.trace.Name",
        Record::Latency => "osmose.trace.Latency",
        Record::Counter => "osmose.trace.Counter",
    }
}

/// Room in which records are written one after another: in the steady state it allocates nothing.
pub struct TraceBuilder {
    fbb: FlatBufferBuilder<'static>,
    /// Offsets of the tables of the vector under construction.
    offsets: Vec<u32>,
    /// The last location fix that was written.
    fix: fix::Template,
}

impl Default for TraceBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for TraceBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TraceBuilder").finish_non_exhaustive()
    }
}

impl TraceBuilder {
    /// A builder with room for ordinary records.
    #[must_use]
    pub fn new() -> Self {
        let mut fbb = FlatBufferBuilder::with_capacity(16 * 1024);
        // A scalar that equals its default is written too: minus zero equals zero, and is not it.
        fbb.force_defaults(true);
        Self { fbb, offsets: Vec::with_capacity(16), fix: fix::Template::default() }
    }

    fn begin(&mut self) -> &mut FlatBufferBuilder<'static> {
        self.fbb.reset();
        &mut self.fbb
    }

    fn finish<T>(&mut self, root: WIPOffset<T>) -> &[u8] {
        self.fbb.finish(root, None);
        self.fbb.finished_data()
    }
}

/// Bounds of the verification of a record: no record nests deeper or has more tables; a keyframe or the files of a
/// site may be long.
const OPTIONS: VerifierOptions = VerifierOptions {
    max_depth: 8,
    max_tables: 256,
    max_apparent_size: 1 << 30,
    ignore_missing_null_terminator: false,
};

/// Makes sure of a record.
fn verified<'b, T: Follow<'b> + Verifiable + 'b>(bytes: &'b [u8]) -> Result<T::Inner, WireError> {
    flatbuffers::root_with_opts::<T>(&OPTIONS, bytes).map_err(WireError::Damaged)
}

#[cfg(test)]
mod tests;
