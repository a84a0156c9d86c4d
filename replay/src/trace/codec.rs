//! Records as FlatBuffers: the one place where this crate touches the wire format.

use super::format::Topic;
use super::read::RawRecord;
use super::write::Schemas;
use osmose_model::command::Command;
use osmose_model::digest::Digest;
use osmose_model::ids::Seq;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::time::LogicalNs;
use osmose_model::world::WorldEvent;
use osmose_wire::trace::{self as wire, Record as Table, TraceBuilder, schema_name};
use osmose_wire::{TRACE_BFBS, WireError};

pub use wire::{Counter, Latency, NameOf, NameRecord};

/// The reason under which the recorder counts records that it could not keep up with.
pub const RECORDER_LOST: &str = "recorder_lost";

/// A record, decoded; borrows the file's bytes and the items of a scan.
#[derive(Debug)]
pub enum Record<'a> {
    /// One input of the core.
    Input {
        /// Its place in the order.
        tag: Tag,
        /// The input.
        input: Input<'a>,
    },
    /// Something happened to a track.
    Event {
        /// The input that showed it.
        tag: Tag,
        /// What.
        event: WorldEvent,
    },
    /// A command.
    Command(Box<Command>),
    /// Both digests after an input.
    Digest {
        /// Which input.
        seq: Seq,
        /// Over the inputs.
        input: Digest,
        /// Over the decisions.
        decision: Digest,
    },
    /// The whole state after an input.
    Keyframe {
        /// Which input.
        tag: Tag,
        /// As the core saved it.
        state: &'a [u8],
    },
    /// What a number stands for.
    Name(NameRecord<'a>),
    /// How long a hop took.
    Latency(Latency<'a>),
    /// How often something happened.
    Counter(Counter<'a>),
}

/// Decodes a record; the items of a scan land in `scan`.
///
/// # Errors
/// [`WireError`] where the payload is none of its channel's table.
pub fn decode<'a>(raw: &RawRecord<'a>, scan: &'a mut ScanBuf) -> Result<Record<'a>, WireError> {
    Ok(match raw.topic {
        Topic::Input => {
            let decode = if raw.checked { wire::decode_checked_input } else { wire::decode_input };
            let (tag, input) = decode(raw.data, scan)?;
            Record::Input { tag, input }
        }
        Topic::Event => {
            let (tag, event) = wire::decode_event(raw.data)?;
            Record::Event { tag, event }
        }
        Topic::Command => Record::Command(Box::new(wire::decode_command(raw.data)?)),
        Topic::Digest => {
            let wire::Digests { seq, input, decision } = wire::decode_digest(raw.data)?;
            Record::Digest { seq, input, decision }
        }
        Topic::Keyframe => {
            let wire::Keyframe { seq, at, state } = wire::decode_keyframe(raw.data)?;
            Record::Keyframe { tag: Tag { at, seq }, state }
        }
        Topic::Name => Record::Name(wire::decode_name(raw.data)?),
        Topic::Latency => Record::Latency(wire::decode_latency(raw.data)?),
        Topic::Counter => Record::Counter(wire::decode_counter(raw.data)?),
    })
}

/// Encodes records one after another in room that is reused.
#[derive(Debug, Default)]
pub struct Encoder(TraceBuilder);

impl Encoder {
    /// The schemas of every topic.
    #[must_use]
    pub fn schemas() -> Schemas<'static> {
        Schemas { tables: Topic::ALL.map(|t| schema_name(table(t))), bfbs: TRACE_BFBS }
    }

    /// An input.
    pub fn input(&mut self, tag: Tag, input: &Input<'_>) -> &[u8] {
        wire::encode_input(&mut self.0, tag, input)
    }

    /// An event.
    pub fn event(&mut self, tag: Tag, event: &WorldEvent) -> &[u8] {
        wire::encode_event(&mut self.0, tag, event)
    }

    /// A command.
    pub fn command(&mut self, command: &Command) -> &[u8] {
        wire::encode_command(&mut self.0, command)
    }

    /// Both digests.
    pub fn digest(&mut self, seq: Seq, input: Digest, decision: Digest) -> &[u8] {
        wire::encode_digest(&mut self.0, &wire::Digests { seq, input, decision })
    }

    /// A whole state.
    pub fn keyframe(&mut self, tag: Tag, state: &[u8]) -> &[u8] {
        wire::encode_keyframe(&mut self.0, &wire::Keyframe { seq: tag.seq, at: tag.at, state })
    }

    /// A name.
    pub fn name(&mut self, name: &NameRecord<'_>) -> &[u8] {
        wire::encode_name(&mut self.0, name)
    }

    /// A latency.
    pub fn latency(&mut self, latency: &Latency<'_>) -> &[u8] {
        wire::encode_latency(&mut self.0, latency)
    }

    /// A count.
    pub fn counter(&mut self, at: LogicalNs, source: &str, reason: &str, count: u64) -> &[u8] {
        wire::encode_counter(&mut self.0, &Counter { at, source, reason, count })
    }
}

const fn table(topic: Topic) -> Table {
    match topic {
        Topic::Input => Table::Input,
        Topic::Event => Table::Event,
        Topic::Command => Table::Command,
        Topic::Digest => Table::Digest,
        Topic::Keyframe => Table::Keyframe,
        Topic::Name => Table::Name,
        Topic::Latency => Table::Latency,
        Topic::Counter => Table::Counter,
    }
}
