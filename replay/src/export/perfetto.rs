//! `osmose trace export --perfetto`: a timeline for ui.perfetto.dev, as its TrackEvent protocol buffers.
//!
//! One track for each rule, whose slices run from the deciding sample to the command; one for each hop of the engine
//! where its times were recorded; marks where a deadline was due; people by zone as counters. Written by hand: of the
//! whole schema six messages are needed (field numbers from `protos/perfetto/trace/`: trace_packet.proto,
//! track_event/track_event.proto, track_descriptor.proto, counter_descriptor.proto, debug_annotation.proto).

use super::ExportError;
use crate::drive::walk::Walk;
use crate::drive::{Osmose, Ticker, Watch, Workshop};
use crate::rulebook::Rulebook;
use crate::timeline::Whereabouts;
use crate::trace::codec::{self, Record};
use crate::trace::read::Item;
use crate::trace::recording::{Items, Recording};
use crate::words;
use osmose_model::command::Command;
use osmose_model::ids::ZoneId;
use osmose_model::observation::ScanBuf;
use osmose_model::site::SourceFile;
use osmose_model::time::LogicalNs;
use std::collections::BTreeMap;

/// Most steps whose hops wait for their place on the timeline.
const STEPS_MAX: usize = 1_000_000;

/// A protocol buffer under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.0.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.0.push(v as u8);
    }

    /// A whole number.
    fn number(mut self, field: u32, v: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(v);
        self
    }

    fn bytes(mut self, field: u32, v: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(v.len() as u64);
        self.0.extend_from_slice(v);
        self
    }

    fn text(self, field: u32, v: &str) -> Self {
        self.bytes(field, v.as_bytes())
    }

    fn message(self, field: u32, v: &Message) -> Self {
        self.bytes(field, &v.0)
    }
}

/// TrackEvent.Type
const BEGIN: u64 = 1;
const END: u64 = 2;
const INSTANT: u64 = 3;
const COUNTER: u64 = 4;
/// The one writer of the file; its first packet says that nothing came before.
const SEQUENCE: u64 = 1;
const ROOT: u64 = 1;

/// The file: packets in any order, as the format allows.
#[derive(Default)]
struct Timeline {
    bytes: Message,
    tracks: BTreeMap<String, u64>,
    begun: bool,
}

impl Timeline {
    fn packet(&mut self, packet: Message) {
        let mut packet = packet.number(10, SEQUENCE);
        if !self.begun {
            // SEQ_INCREMENTAL_STATE_CLEARED
            packet = packet.number(13, 1);
            self.begun = true;
        }
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = bytes.message(1, &packet);
    }

    /// The track of a name, described where it is new.
    fn track(&mut self, name: &str, counter: bool) -> u64 {
        if let Some(uuid) = self.tracks.get(name) {
            return *uuid;
        }
        let uuid = ROOT + 1 + self.tracks.len() as u64;
        self.tracks.insert(name.to_owned(), uuid);
        let mut descriptor = Message::default().number(1, uuid).text(2, name).number(5, ROOT);
        if counter {
            descriptor = descriptor.message(8, &Message::default());
        }
        self.packet(Message::default().message(60, &descriptor));
        uuid
    }

    fn event(&mut self, at_ns: u64, kind: u64, track: u64, name: Option<&str>, notes: &[(&str, String)]) {
        let mut event = Message::default().number(9, kind).number(11, track);
        if let Some(name) = name {
            event = event.text(23, name).text(22, "osmose");
        }
        for (key, value) in notes {
            event = event.message(4, &Message::default().text(10, key).text(6, value));
        }
        self.packet(Message::default().number(8, at_ns).message(11, &event));
    }

    fn count(&mut self, at_ns: u64, track: u64, value: u64) {
        let event = Message::default().number(9, COUNTER).number(11, track).number(30, value);
        self.packet(Message::default().number(8, at_ns).message(11, &event));
    }

    /// Slices of one track must not cross: each ends before the next begins, or lies inside it. What overlaps goes to
    /// another row of the same name.
    fn slice(
        &mut self,
        rows: &mut BTreeMap<String, Vec<u64>>,
        name: &str,
        span: (u64, u64),
        label: &str,
        notes: &[(&str, String)],
    ) {
        let free = rows.entry(name.to_owned()).or_default();
        let row = free.iter().position(|end| *end <= span.0).unwrap_or(free.len());
        if row == free.len() {
            free.push(0);
        }
        free[row] = span.1.max(span.0 + 1);
        let track =
            if row == 0 { self.track(name, false) } else { self.track(&format!("{name} ({})", row + 1), false) };
        self.event(span.0, BEGIN, track, Some(label), notes);
        self.event(span.1.max(span.0 + 1), END, track, None, &[]);
    }
}

/// Nanoseconds of the timeline; what is before the log began is at its beginning.
fn ns(at: LogicalNs) -> u64 {
    u64::try_from(at.0).unwrap_or(0)
}

/// The timeline of a recording, and how many commands are on it.
///
/// # Errors
/// [`ExportError`].
pub fn timeline(mut recording: Recording, watch: &mut dyn Watch) -> Result<(Vec<u8>, u64), ExportError> {
    let site = Osmose::of_files(recording.files())?.site().clone();
    let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
    let book = Rulebook::new(&site, &rules);
    let mut line = Timeline::default();
    let process = Message::default().number(1, 1).text(6, &format!("osmose: {}", site.name));
    line.packet(
        Message::default().message(60, &Message::default().number(1, ROOT).text(2, &site.name).message(3, &process)),
    );
    let mut rows = BTreeMap::new();
    let (mut whereabouts, mut inside) = (Whereabouts::default(), BTreeMap::<ZoneId, u64>::new());
    let mut hops: BTreeMap<u32, Vec<(String, u64)>> = BTreeMap::new();
    let (mut pending, mut commands, mut scan) = (Vec::<Command>::new(), 0, ScanBuf::new());
    // A cut begins with people in its rooms.
    if let Some(walk) = Walk::opening(&mut recording)? {
        whereabouts.begin(&walk.machine().view(), |zone, by| {
            let people = inside.entry(zone).or_default();
            *people = people.saturating_add_signed(i64::from(by));
        });
        let at = ns(walk.machine().last().at);
        for (zone, people) in &inside {
            let track = line.track(&format!("people in {}", words::zone(&site, *zone)), true);
            line.count(at, track, *people);
        }
    }
    let mut ticker = Ticker::new(watch);
    while let Some(item) = ticker.next_item(&mut recording)? {
        let Item::Record(raw) = item else { continue };
        let Ok(record) = codec::decode(&raw, &mut scan) else { continue };
        match record {
            Record::Event { tag, event } => {
                whereabouts.event(&site, &event, |zone, by| {
                    let people = inside.entry(zone).or_default();
                    *people = people.saturating_add_signed(i64::from(by));
                    let track = line.track(&format!("people in {}", words::zone(&site, zone)), true);
                    line.count(ns(tag.at), track, *people);
                });
            }
            Record::Latency(l) if l.count == 1 && hops.len() < STEPS_MAX => {
                hops.entry(raw.sequence).or_default().push((l.hop.to_owned(), l.max_ns));
            }
            Record::Command(c) => {
                commands += 1;
                pending.push(*c);
            }
            // The hops of a step follow its commands.
            Record::Input { .. } => {
                for c in pending.drain(..) {
                    put_command(&mut line, &mut rows, &site, &book, &c, hops.get(&(c.id.seq.0 as u32)));
                }
                hops.clear();
            }
            _ => {}
        }
    }
    for c in pending {
        put_command(&mut line, &mut rows, &site, &book, &c, hops.get(&(c.id.seq.0 as u32)));
    }
    Ok((line.bytes.0, commands))
}

fn put_command(
    line: &mut Timeline,
    rows: &mut BTreeMap<String, Vec<u64>>,
    site: &osmose_model::site::Site,
    book: &Rulebook,
    c: &Command,
    hops: Option<&Vec<(String, u64)>>,
) {
    let name = words::sender(book, c);
    let total: u64 = hops.map_or(0, |h| h.iter().map(|(_, ns)| ns).sum());
    let from = c.cause.measured.map_or(ns(c.at), ns);
    let notes =
        [("id", c.id.to_string()), ("command", words::command(site, c)), ("because", words::cause(site, &c.cause))];
    line.slice(rows, &format!("rule {name}"), (from, ns(c.at) + total), words::device(site, c.device), &notes);
    let mut at = ns(c.at);
    for (hop, took) in hops.into_iter().flatten() {
        line.slice(rows, &format!("engine {hop}"), (at, at + took), hop, &[("id", c.id.to_string())]);
        at += took;
    }
    let deadline = c.rule.and_then(|r| book.program()?.rule(r)?.deadline);
    if let Some((deadline, _)) = deadline {
        let track = line.track(&format!("deadlines of {name}"), false);
        let due = ns(c.at.plus(deadline));
        let late = total > deadline.0.unsigned_abs();
        line.event(due, INSTANT, track, Some(if late { "missed" } else { "due" }), &[("id", c.id.to_string())]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{live, walk};
    use std::collections::BTreeSet;

    /// Fields of a message: number, and either a whole number or bytes.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, Result<u64, &[u8]>)> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let (mut v, mut shift) = (0, 0);
            loop {
                let b = bytes[0];
                *bytes = &bytes[1..];
                v |= u64::from(b & 0x7f) << shift;
                shift += 7;
                if b < 0x80 {
                    return v;
                }
            }
        }
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            if key & 7 == 0 {
                all.push((key >> 3, Ok(varint(&mut bytes))));
            } else {
                assert_eq!(key & 7, 2);
                let n = varint(&mut bytes) as usize;
                all.push((key >> 3, Err(&bytes[..n])));
                bytes = &bytes[n..];
            }
        }
        all
    }

    /// A field: number, name, type.
    type Field = (u64, &'static str, &'static str);

    /// Field numbers and types of the published messages (`protos/perfetto/trace/*.proto`) that are written here, by
    /// their names there: `n` a whole number, `s` a text, else another message.
    const PUBLISHED: &[(&str, &[Field])] = &[
        ("Trace", &[(1, "packet", "TracePacket")]),
        (
            "TracePacket",
            &[
                (8, "timestamp", "n"),
                (10, "trusted_packet_sequence_id", "n"),
                (11, "track_event", "TrackEvent"),
                (13, "sequence_flags", "n"),
                (60, "track_descriptor", "TrackDescriptor"),
            ],
        ),
        (
            "TrackDescriptor",
            &[
                (1, "uuid", "n"),
                (2, "name", "s"),
                (3, "process", "ProcessDescriptor"),
                (5, "parent_uuid", "n"),
                (8, "counter", "CounterDescriptor"),
            ],
        ),
        ("ProcessDescriptor", &[(1, "pid", "n"), (6, "process_name", "s")]),
        ("CounterDescriptor", &[]),
        (
            "TrackEvent",
            &[
                (4, "debug_annotations", "DebugAnnotation"),
                (9, "type", "n"),
                (11, "track_uuid", "n"),
                (22, "categories", "s"),
                (23, "name", "s"),
                (30, "counter_value", "n"),
            ],
        ),
        ("DebugAnnotation", &[(6, "string_value", "s"), (10, "name", "s")]),
    ];

    /// Fails unless every field of a message is one of the published ones and of its type; counts them by name.
    fn fits(bytes: &[u8], message: &str, seen: &mut BTreeMap<String, u64>) {
        let known = PUBLISHED.iter().find(|m| m.0 == message).unwrap_or_else(|| panic!("no message {message}")).1;
        for (number, value) in fields(bytes) {
            let (_, name, kind) = known.iter().find(|f| f.0 == number).unwrap_or_else(|| panic!("{message}.{number}"));
            *seen.entry(format!("{message}.{name}")).or_default() += 1;
            match (*kind, value) {
                ("n", Ok(_)) => {}
                ("s", Err(text)) => assert!(std::str::from_utf8(text).is_ok(), "{message}.{name}"),
                (inner, Err(body)) if inner.len() > 1 => fits(body, inner, seen),
                (_, other) => panic!("{message}.{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn every_field_is_the_published_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        std::fs::write(&path, live(&walk(20), 0)).unwrap();
        let (bytes, commands) = timeline(Recording::open(&path).unwrap(), &mut ()).unwrap();
        let mut seen = BTreeMap::new();
        fits(&bytes, "Trace", &mut seen);
        let of = |name: &str| seen.get(name).copied().unwrap_or(0);
        assert_eq!(of("TracePacket.sequence_flags"), 1, "the first packet alone says that nothing came before");
        assert_eq!(of("TracePacket.trusted_packet_sequence_id"), of("Trace.packet"));
        assert_eq!(of("TrackEvent.type"), of("TracePacket.timestamp"), "each event has its time");
        assert_eq!(of("TrackEvent.track_uuid"), of("TrackEvent.type"));
        assert_eq!(of("TrackDescriptor.uuid"), of("TrackDescriptor.name"));
        assert_eq!(of("DebugAnnotation.name"), of("DebugAnnotation.string_value"));
        assert!(of("TrackEvent.debug_annotations") >= 3 * commands && of("TrackEvent.counter_value") > 0, "{seen:?}");
        assert_eq!((of("ProcessDescriptor.pid"), of("ProcessDescriptor.process_name")), (1, 1));
    }

    #[test]
    fn every_command_is_a_slice_that_ends_and_every_track_is_described() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        std::fs::write(&path, live(&walk(20), 0)).unwrap();
        let (bytes, commands) = timeline(Recording::open(&path).unwrap(), &mut ()).unwrap();
        assert!(commands > 3);
        let (mut described, mut used, mut depth) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::<u64, i64>::new());
        let mut begun = 0;
        for (field, packet) in fields(&bytes) {
            assert_eq!(field, 1, "only packets in the file");
            for (field, value) in fields(packet.unwrap_err()) {
                let Err(body) = value else { continue };
                let of = |n: u64| fields(body).into_iter().find(|f| f.0 == n).and_then(|f| f.1.ok());
                match field {
                    60 => drop(described.insert(of(1).unwrap())),
                    11 => {
                        let (kind, track) = (of(9).unwrap(), of(11).unwrap());
                        used.insert(track);
                        begun += u64::from(kind == BEGIN);
                        *depth.entry(track).or_default() += i64::from(kind == BEGIN) - i64::from(kind == END);
                    }
                    other => panic!("field {other}"),
                }
            }
        }
        assert_eq!(begun, commands);
        assert!(used.is_subset(&described), "{used:?} {described:?}");
        assert!(depth.values().all(|d| *d == 0), "{depth:?}");
    }
}
