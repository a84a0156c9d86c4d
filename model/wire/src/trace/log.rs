//! Records about the log itself: digests, keyframes, names, latencies, counters.

use super::{TraceBuilder, verified};
use crate::WireError;
use crate::trace_schema as schema;
use osmose_model::digest::Digest;
use osmose_model::ids::Seq;
use osmose_model::time::LogicalNs;

/// The running digests after an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    /// After which input.
    pub seq: Seq,
    /// Over (tag, canonical input).
    pub input: Digest,
    /// Over the canonical outbox.
    pub decision: Digest,
}

/// The whole state of the core after an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keyframe<'a> {
    /// After which input.
    pub seq: Seq,
    /// When that was.
    pub at: LogicalNs,
    /// As the core saved it.
    pub state: &'a [u8],
}

/// What kind of thing a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameOf {
    /// A rule of the installed rule set.
    Rule,
    /// A sensor.
    Sensor,
    /// An actuator.
    Device,
    /// A zone.
    Zone,
    /// A level.
    Level,
    /// A person.
    Person,
    /// A group.
    Group,
    /// A carried device or badge, by its key.
    Carried,
}

/// What a number stands for from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRecord<'a> {
    /// A number of what.
    pub of: NameOf,
    /// The number.
    pub id: u64,
    /// Its name.
    pub text: &'a str,
}

/// How long one hop took, over the stretch that ends here. Nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the schema, units last")]
pub struct Latency<'a> {
    pub at: LogicalNs,
    pub hop: &'a str,
    pub count: u64,
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub max_ns: u64,
    pub beyond: u64,
}

/// How often something happened since the log began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter<'a> {
    /// Until when.
    pub at: LogicalNs,
    /// To whom: a sensor, a port, a ring.
    pub source: &'a str,
    /// What.
    pub reason: &'a str,
    /// How often.
    pub count: u64,
}

/// Writes digests.
pub fn encode_digest<'b>(builder: &'b mut TraceBuilder, d: &Digests) -> &'b [u8] {
    let fbb = builder.begin();
    let args = schema::DigestArgs { seq: d.seq.0, input_digest: d.input.0, decision_digest: d.decision.0 };
    let root = schema::Digest::create(fbb, &args);
    builder.finish(root)
}

/// Reads digests.
///
/// # Errors
/// [`WireError`] where the bytes are no such record.
pub fn decode_digest(bytes: &[u8]) -> Result<Digests, WireError> {
    let d = verified::<schema::Digest<'_>>(bytes)?;
    Ok(Digests { seq: Seq(d.seq()), input: Digest(d.input_digest()), decision: Digest(d.decision_digest()) })
}

/// Writes a keyframe.
pub fn encode_keyframe<'b>(builder: &'b mut TraceBuilder, k: &Keyframe<'_>) -> &'b [u8] {
    let fbb = builder.begin();
    let state = Some(fbb.create_vector(k.state));
    let root = schema::Keyframe::create(fbb, &schema::KeyframeArgs { seq: k.seq.0, at_ns: k.at.0, state });
    builder.finish(root)
}

/// Reads a keyframe.
///
/// # Errors
/// [`WireError`] where the bytes are no such record.
pub fn decode_keyframe(bytes: &[u8]) -> Result<Keyframe<'_>, WireError> {
    let k = verified::<schema::Keyframe<'_>>(bytes)?;
    Ok(Keyframe { seq: Seq(k.seq()), at: LogicalNs(k.at_ns()), state: k.state().bytes() })
}

/// Writes a name.
pub fn encode_name<'b>(builder: &'b mut TraceBuilder, n: &NameRecord<'_>) -> &'b [u8] {
    let fbb = builder.begin();
    let of = match n.of {
        NameOf::Rule => schema::NameOf::Rule,
        NameOf::Sensor => schema::NameOf::Sensor,
        NameOf::Device => schema::NameOf::Device,
        NameOf::Zone => schema::NameOf::Zone,
        NameOf::Level => schema::NameOf::Level,
        NameOf::Person => schema::NameOf::Person,
        NameOf::Group => schema::NameOf::Group,
        NameOf::Carried => schema::NameOf::Carried,
    };
    let text = Some(fbb.create_string(n.text));
    let root = schema::Name::create(fbb, &schema::NameArgs { of, id: n.id, text });
    builder.finish(root)
}

/// Reads a name.
///
/// # Errors
/// [`WireError`] where the bytes are no such record, or it is of a kind that this build does not know.
pub fn decode_name(bytes: &[u8]) -> Result<NameRecord<'_>, WireError> {
    let n = verified::<schema::Name<'_>>(bytes)?;
    let of = match n.of() {
        schema::NameOf::Rule => NameOf::Rule,
        schema::NameOf::Sensor => NameOf::Sensor,
        schema::NameOf::Device => NameOf::Device,
        schema::NameOf::Zone => NameOf::Zone,
        schema::NameOf::Level => NameOf::Level,
        schema::NameOf::Person => NameOf::Person,
        schema::NameOf::Group => NameOf::Group,
        schema::NameOf::Carried => NameOf::Carried,
        _ => return Err(WireError::Unknown { what: "kind of name" }),
    };
    Ok(NameRecord { of, id: n.id(), text: n.text() })
}

/// Writes a latency.
pub fn encode_latency<'b>(builder: &'b mut TraceBuilder, l: &Latency<'_>) -> &'b [u8] {
    let fbb = builder.begin();
    let hop = Some(fbb.create_string(l.hop));
    let &Latency { at, count, p50_ns, p90_ns, p99_ns, p999_ns, max_ns, beyond, .. } = l;
    let args = schema::LatencyArgs { at_ns: at.0, hop, count, p50_ns, p90_ns, p99_ns, p999_ns, max_ns, beyond };
    let root = schema::Latency::create(fbb, &args);
    builder.finish(root)
}

/// Reads a latency.
///
/// # Errors
/// [`WireError`] where the bytes are no such record.
pub fn decode_latency(bytes: &[u8]) -> Result<Latency<'_>, WireError> {
    let l = verified::<schema::Latency<'_>>(bytes)?;
    Ok(Latency {
        at: LogicalNs(l.at_ns()),
        hop: l.hop(),
        count: l.count(),
        p50_ns: l.p50_ns(),
        p90_ns: l.p90_ns(),
        p99_ns: l.p99_ns(),
        p999_ns: l.p999_ns(),
        max_ns: l.max_ns(),
        beyond: l.beyond(),
    })
}

/// Writes a counter.
pub fn encode_counter<'b>(builder: &'b mut TraceBuilder, c: &Counter<'_>) -> &'b [u8] {
    let fbb = builder.begin();
    let (source, reason) = (Some(fbb.create_string(c.source)), Some(fbb.create_string(c.reason)));
    let root = schema::Counter::create(fbb, &schema::CounterArgs { at_ns: c.at.0, source, reason, count: c.count });
    builder.finish(root)
}

/// Reads a counter.
///
/// # Errors
/// [`WireError`] where the bytes are no such record.
pub fn decode_counter(bytes: &[u8]) -> Result<Counter<'_>, WireError> {
    let c = verified::<schema::Counter<'_>>(bytes)?;
    Ok(Counter { at: LogicalNs(c.at_ns()), source: c.source(), reason: c.reason(), count: c.count() })
}
