//! A site with one of everything that a line names, and a command and an event that use it all.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use osmose_model::command::{Args, Cause, Command, CommandId, ConditionValue, Entity, Trigger, Value};
use osmose_model::device::{Actuator, ActuatorKind, Connect, Format, JsonMap, Sensor, SensorKind};
use osmose_model::geometry::{Area, Place};
use osmose_model::ids::{ActuatorId, LevelId, Name, PersonId, RuleId, SensorId, Seq, TrackId, ZoneId};
use osmose_model::input::Tag;
use osmose_model::site::{Level, Person, Site, Zone};
use osmose_model::time::LogicalNs;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Sighting, WorldEvent};
use std::net::SocketAddr;

pub(crate) fn name(s: &str) -> Name {
    Name::new(s).expect("a short name")
}

/// The names of rules 0 and 1.
pub(crate) fn rules(rule: RuleId) -> &'static str {
    ["pause-recording", "light \"on\" entry"].get(rule.index()).copied().unwrap_or("?")
}

fn actuator(id: u16, label: &str, kind: ActuatorKind, connect: Connect) -> Actuator {
    Actuator { zone: Some(ZoneId(0)), connect, ..Actuator::plain(id, label, kind) }
}

/// `m7.recorder` at `udp`, `m7.light` in the log; zone m7, person ana, sensor uwb, level ground.
pub(crate) fn site(udp: SocketAddr) -> Site {
    let json = Connect { udp: Some(udp), format: Format::Json(Box::<JsonMap>::default()), ..Connect::log() };
    Site {
        levels: vec![Level::plain(0, "ground")],
        zones: vec![Zone::plain(0, "m7", Area::default())],
        sensors: vec![Sensor::plain(0, "uwb", SensorKind::Location)],
        actuators: vec![
            actuator(0, "m7.recorder", ActuatorKind::Recorder, json),
            actuator(1, "m7.light", ActuatorKind::Light, Connect::log()),
        ],
        people: vec![Person::plain(0, "ana")],
        ..Site::plain("test")
    }
}

pub(crate) fn tag() -> Tag {
    Tag { at: LogicalNs(12_345_000_000), seq: Seq(7) }
}

pub(crate) fn args(pairs: &[(&str, Value)]) -> Args {
    pairs.iter().map(|&(n, v)| (name(n), v)).collect()
}

/// Ana leaves m7, and its recorder is paused.
pub(crate) fn command() -> Command {
    let trigger = Trigger::Event { kind: EventKind::Leaves, track: TrackId(5), zone: Some(ZoneId(0)) };
    let mut cause = Cause::new(trigger);
    (cause.sensor, cause.measured) = (Some(SensorId(0)), Some(LogicalNs(12_300_000_000)));
    cause.bindings.push((name("p"), Entity::Track { track: TrackId(5), person: Some(PersonId(0)), person_p: 0.98 }));
    cause.bindings.push((name("r"), Entity::Zone(ZoneId(0))));
    cause.conditions.push(ConditionValue { offset: 120, truth: Tri::True, value: None });
    cause.conditions.push(ConditionValue { offset: 160, truth: Tri::Unknown, value: Some(0.25) });
    cause.sightings.push((TrackId(5), Sighting { sensor: SensorId(0), measured: LogicalNs(12_200_000_000) }));
    Command {
        id: CommandId { seq: Seq(7), n: 0 },
        at: LogicalNs(12_345_000_000),
        source_seq: Some(42),
        rule: Some(RuleId(0)),
        device: ActuatorId(0),
        verb: name("pause"),
        args: args(&[("reason", Value::Text("ana left".try_into().expect("short")))]),
        cause,
    }
}

/// The leaving itself.
pub(crate) fn event() -> WorldEvent {
    WorldEvent {
        kind: EventKind::Leaves,
        track: TrackId(5),
        person: Some(PersonId(0)),
        person_p: 0.98,
        zone: Some(ZoneId(0)),
        other: None,
        place: Place::flat(LevelId(0), 8.125, 3.0),
        sensor: Some(SensorId(0)),
        measured: LogicalNs(12_300_000_000),
    }
}
