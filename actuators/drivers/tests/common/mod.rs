//! A site with one of everything that a line names, and a command and an event that use it all.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use osmose_model::command::{Args, Cause, Command, CommandId, ConditionValue, Entity, Trigger, Value};
use osmose_model::device::{
    Actuator, ActuatorKind, ClockKind, Connect, Format, JsonMap, Noise, Normalise, Pose, Sensor, SensorKind,
};
use osmose_model::geometry::{Area, Place};
use osmose_model::ids::{ActuatorId, LevelId, Name, PersonId, RuleId, SensorId, Seq, TrackId, ZoneId};
use osmose_model::input::{Class, Tag};
use osmose_model::site::{EngineConfig, Frame, Idle, Level, Person, RecordConfig, Site, Topology, Zone, ZoneMargins};
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Sighting, WorldEvent};
use std::collections::BTreeMap;
use std::net::SocketAddr;

pub(crate) fn name(s: &str) -> Name {
    Name::new(s).expect("a short name")
}

/// The names of rules 0 and 1.
pub(crate) fn rules(rule: RuleId) -> &'static str {
    ["pause-recording", "light \"on\" entry"].get(rule.index()).copied().unwrap_or("?")
}

fn actuator(id: u16, label: &str, kind: ActuatorKind, udp: Option<SocketAddr>) -> Actuator {
    let format = if udp.is_some() { Format::Json(Box::<JsonMap>::default()) } else { Format::Log };
    Actuator {
        id: ActuatorId(id),
        name: label.into(),
        kind,
        zone: Some(ZoneId(0)),
        level: None,
        pose: None,
        default: None,
        safe: None,
        lease: None,
        cells: Vec::new(),
        wall: None,
        connect: Connect { udp, format, from: None, state_udp: None, normalise: Normalise::default(), key_file: None },
    }
}

/// `m7.recorder` at `udp`, `m7.light` in the log; zone m7, person ana, sensor uwb, level ground.
pub(crate) fn site(udp: SocketAddr) -> Site {
    let zero = DurationNs::ZERO;
    let margins = ZoneMargins { enter_margin_m: 0.0, exit_margin_m: 0.2, exit_delay: zero, lost: zero };
    let sensor = Sensor {
        id: SensorId(0),
        name: "uwb".into(),
        kind: SensorKind::Location,
        role: None,
        level: LevelId(0),
        zones: Vec::new(),
        pose: Pose { x_m: 0.0, y_m: 0.0, z_m: 0.0, heading_rad: 0.0 },
        coordinates_are_relative: false,
        field_of_view: None,
        noise: Noise::default(),
        class: Class::State,
        rate_hz: None,
        clock: ClockKind::Arrival,
        radio_map: Default::default(),
        expect_late: zero,
        unit: None,
        stale: None,
        connect: None,
    };
    let zone = Zone {
        id: ZoneId(0),
        name: "m7".into(),
        label: "Meeting 7".into(),
        category: "room".into(),
        level: LevelId(0),
        area: Area::default(),
        margins,
        attributes: BTreeMap::new(),
        connects: Vec::new(),
    };
    let level = Level {
        id: LevelId(0),
        name: "ground".into(),
        label: "Ground floor".into(),
        ordinal: 0,
        elevation_m: 0.0,
        height_m: 3.0,
        outline: Area::default(),
    };
    let ana = Person {
        id: PersonId(0),
        name: "ana".into(),
        groups: Vec::new(),
        devices: Vec::new(),
        badges: Vec::new(),
        language: None,
        attributes: BTreeMap::new(),
    };
    Site {
        name: "test".into(),
        frame: Frame::default(),
        engine: EngineConfig {
            topology: Topology::Inline,
            idle: Idle::Yield,
            budget_us: 1000,
            tracks_max: 10,
            late_max: zero,
        },
        margins,
        record: RecordConfig { dir: "traces".into(), rotate: zero, keep_days: 1, max_gib: 1.0 },
        levels: vec![level],
        zones: vec![zone],
        walls: Vec::new(),
        openings: Vec::new(),
        fixtures: Vec::new(),
        sensors: vec![sensor],
        actuators: vec![
            actuator(0, "m7.recorder", ActuatorKind::Recorder, Some(udp)),
            actuator(1, "m7.light", ActuatorKind::Light, None),
        ],
        people: vec![ana],
        groups: Vec::new(),
        attributes: BTreeMap::new(),
        words: BTreeMap::new(),
        resources: Vec::new(),
        bookings: Vec::new(),
        files: Vec::new(),
        device_owners: Vec::new(),
        badge_owners: Vec::new(),
        carried_names: Vec::new(),
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
