//! What happened to a track, as a record.

use super::values::{put_place, take_place};
use super::{TraceBuilder, verified};
use crate::WireError;
use crate::trace_schema as schema;
use osmose_model::ids::{PersonId, SensorId, Seq, TrackId, ZoneId};
use osmose_model::input::Tag;
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, WorldEvent};

pub(super) const fn put_kind(kind: EventKind) -> schema::EventKind {
    match kind {
        EventKind::Appears => schema::EventKind::Appears,
        EventKind::Confirmed => schema::EventKind::Confirmed,
        EventKind::Identified => schema::EventKind::Identified,
        EventKind::Enters => schema::EventKind::Enters,
        EventKind::Leaves => schema::EventKind::Leaves,
        EventKind::Swapped => schema::EventKind::Swapped,
        EventKind::Lost => schema::EventKind::Lost,
        EventKind::Found => schema::EventKind::Found,
    }
}

pub(super) const fn take_kind(kind: schema::EventKind) -> Result<EventKind, WireError> {
    Ok(match kind {
        schema::EventKind::Appears => EventKind::Appears,
        schema::EventKind::Confirmed => EventKind::Confirmed,
        schema::EventKind::Identified => EventKind::Identified,
        schema::EventKind::Enters => EventKind::Enters,
        schema::EventKind::Leaves => EventKind::Leaves,
        schema::EventKind::Swapped => EventKind::Swapped,
        schema::EventKind::Lost => EventKind::Lost,
        schema::EventKind::Found => EventKind::Found,
        _ => return Err(WireError::Unknown { what: "event kind" }),
    })
}

/// Writes an event with the tag of the input that showed it.
pub fn encode_event<'b>(builder: &'b mut TraceBuilder, tag: Tag, event: &WorldEvent) -> &'b [u8] {
    let fbb = builder.begin();
    let place = Some(put_place(fbb, &event.place));
    let args = schema::EventArgs {
        at_ns: tag.at.0,
        seq: tag.seq.0,
        kind: put_kind(event.kind),
        track: event.track.0,
        person: event.person.map(|p| p.0),
        person_p: event.person_p,
        zone: event.zone.map(|z| z.0),
        other: event.other.map(|t| t.0),
        place,
        sensor: event.sensor.map(|s| s.0),
        measured_ns: event.measured.0,
    };
    let root = schema::Event::create(fbb, &args);
    builder.finish(root)
}

/// Reads an event and its tag.
///
/// # Errors
/// [`WireError`] where the bytes are not one whole event that this build knows.
pub fn decode_event(bytes: &[u8]) -> Result<(Tag, WorldEvent), WireError> {
    let e = verified::<schema::Event<'_>>(bytes)?;
    let event = WorldEvent {
        kind: take_kind(e.kind())?,
        track: TrackId(e.track()),
        person: e.person().map(PersonId),
        person_p: e.person_p(),
        zone: e.zone().map(ZoneId),
        other: e.other().map(TrackId),
        place: take_place(e.place()),
        sensor: e.sensor().map(SensorId),
        measured: LogicalNs(e.measured_ns()),
    };
    Ok((Tag { at: LogicalNs(e.at_ns()), seq: Seq(e.seq()) }, event))
}
