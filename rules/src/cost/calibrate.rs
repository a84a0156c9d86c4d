//! What one operation of each kind takes on this machine, for `SITE/.osmose/cost.json`.
//!
//! Two courses that differ in one kind of operation are timed, and the difference of their times is divided by the
//! difference of their counts. The clock is an argument: this crate has none.

use super::{Op, Ops, PerOp, Table};
use crate::Rules;
use crate::check::check;
use osmose_model::command::Value;
use osmose_model::device::{Actuator, ActuatorKind, BinaryRole, Sensor, SensorKind, Unit};
use osmose_model::geometry::{Area, Place};
use osmose_model::ids::{ActuatorId, GroupId, LevelId, Name, PersonId, SensorId, TrackId, ZoneId};
use osmose_model::site::{Group, Level, Person, Site, SourceFile, Zone};
use osmose_model::stages::{Decide, Source};
use osmose_model::time::LogicalNs;
use osmose_model::tri::Tri;
use osmose_model::world::{
    EventKind, Occupant, Presence, Reading, SensorStatus, Stimulus, WallTime, WorldEvent, WorldView, ZoneCount,
};
use std::collections::BTreeMap;

/// Steps in one timed stretch, and how many stretches of which the fastest counts: what else ran is left out.
const STEPS: u64 = 1_000;
const STRETCHES: usize = 9;
/// A p99 on a machine that has other things to do is no best case.
const FOR_P99: f64 = 2.0;

/// Measures one operation of each kind on this machine and gives the table, times doubled as those of
/// [`Table::committed`] are.
///
/// `now_ns` is a clock that never goes back, in nanoseconds; `machine` is the name that `osmose check` shows;
/// `engine_us` is everything beside the rules (p99, microseconds). Takes about a second.
///
/// ```
/// # use osmose_rules::cost::{Table, calibrate};
/// # #[allow(clippy::disallowed_types, clippy::disallowed_methods)]
/// let begun = std::time::Instant::now();
/// let mut clock = || begun.elapsed().as_nanos() as u64;
/// let table = calibrate(&mut clock, "this box".into(), Table::committed().engine_us);
/// assert!(Table::from_json(&table.to_json()).is_ok());
/// ```
pub fn calibrate(now_ns: &mut dyn FnMut() -> u64, machine: String, engine_us: f64) -> Table {
    let mut known = [0.0; Op::COUNT];
    for (op, small, large) in courses() {
        let slope = slope(now_ns, op, &small, &large, &known);
        known[op as usize] = slope;
    }
    let at = |op: Op| (FOR_P99 * known[op as usize] * 10.0).ceil() / 10.0;
    let ns = PerOp {
        wake: at(Op::Wake),
        node: at(Op::Node),
        occupant: at(Op::Occupant),
        person: at(Op::Person),
        sensor: at(Op::Sensor),
        context: at(Op::Context),
        memory: at(Op::Memory),
        effect: at(Op::Effect),
    };
    Table { machine, engine_us, ns }
}

/// Rules, members of the group, people in the building, and what happens again and again.
struct Course {
    text: String,
    members: u16,
    people: u64,
    sensor: bool,
}

/// Courses that differ in one kind of operation, in the order in which the kinds become known.
fn courses() -> Vec<(Op, Course, Course)> {
    let lux = |n: usize| (0..n).map(|i| format!("lux > {} lx", 1000 + i)).collect::<Vec<_>>().join(" or ");
    let edge = |n: usize| format!("rule a {{ when {} do screen.wake() }}", lux(n));
    let many = |n: usize, body: &str| (0..n).map(|i| format!("rule a{i} {{ {body} }}\n")).collect::<String>();
    let fires = |n: usize| format!("rule a {{ when p enters hall do {} }}", vec!["screen.wake()"; n].join("; "));
    let any = "rule a { while any q in members(staff) in hall hold screen.page = \"x\" }";
    let any_now = "rule a { when any q in members(staff) in hall and panel is active do screen.wake() }";
    let every = "rule a { while every q in members(crew) in hall hold screen.page = \"x\" }";
    let watch = "rule a { when no motion in hall and lux > 9999 lx do screen.wake() }";
    let quiet = "when any p in members(staff) leaves hall do screen.wake()";
    let plain = "when p enters hall if panel is active do screen.wake()";
    let damped = "when p enters hall do screen.wake() suppress 1 h per p";
    let course = |text: String, members: u16, people: u64, sensor: bool| Course { text, members, people, sensor };
    vec![
        (Op::Node, course(edge(2), 3, 4, true), course(edge(40), 3, 4, true)),
        (Op::Wake, course(many(2, quiet), 3, 4, false), course(many(200, quiet), 3, 4, false)),
        (Op::Occupant, course(any.into(), 3, 4, false), course(any.into(), 3, 400, false)),
        (Op::Person, course(every.into(), 3, 4, false), course(every.into(), 300, 4, false)),
        (Op::Sensor, course(edge(1), 3, 4, true), course(watch.into(), 3, 4, true)),
        (Op::Effect, course(fires(1), 3, 4, false), course(fires(12), 3, 4, false)),
        (Op::Memory, course(many(20, plain), 3, 4, false), course(many(20, damped), 3, 4, false)),
        (Op::Context, course(many(1, plain), 3, 4, false), course(any_now.into(), 3, 4, false)),
    ]
}

/// Nanoseconds of one operation of a kind, with those of the kinds known before taken off.
fn slope(now_ns: &mut dyn FnMut() -> u64, op: Op, small: &Course, large: &Course, known: &[f64]) -> f64 {
    let ((t0, ops0), (t1, ops1)) = (small.timed(now_ns), large.timed(now_ns));
    let each = |ops: &Ops, op: Op| ops.get(op) as f64 / STEPS as f64;
    let others = Op::ALL.into_iter().filter(|other| *other != op);
    let explained: f64 = others.map(|other| (each(&ops1, other) - each(&ops0, other)) * known[other as usize]).sum();
    let count = each(&ops1, op) - each(&ops0, op);
    // A clock too coarse to see the difference must not make an operation free.
    if count > 0.0 { ((t1 - t0 - explained) / count).max(0.5) } else { Table::committed().ns_of(op) / FOR_P99 }
}

impl Course {
    /// Nanoseconds a step, the fastest stretch's mean, and the operations of one stretch.
    fn timed(&self, now_ns: &mut dyn FnMut() -> u64) -> (f64, Ops) {
        let site = site(self.members);
        let files = [SourceFile { path: "a.rules".to_owned(), text: self.text.clone() }];
        let Some(program) = check(&site, &files).program else { return (0.0, Ops::NONE) };
        let mut rules = Rules::new(program);
        let mut world = World::new(site, self.people);
        rules.step(&[Stimulus::Start], Source::default(), &world, &mut Vec::new());
        let stimulus = if self.sensor { Stimulus::Sensor(LUX) } else { enters() };
        let mut out = Vec::with_capacity(4096);
        let mut best = u64::MAX;
        for _ in 0..STRETCHES {
            rules.counted();
            let begun = now_ns();
            for _ in 0..STEPS {
                world.now.0 += 1;
                out.clear();
                rules.step(std::slice::from_ref(&stimulus), Source::default(), &world, &mut out);
            }
            best = best.min(now_ns().saturating_sub(begun));
        }
        (best as f64 / STEPS as f64, rules.counted().0)
    }
}

const HALL: ZoneId = ZoneId(0);
const LUX: SensorId = SensorId(2);

fn enters() -> Stimulus {
    Stimulus::World(WorldEvent {
        kind: EventKind::Enters,
        track: TrackId(0),
        person: Some(PersonId(0)),
        person_p: 0.99,
        zone: Some(HALL),
        other: None,
        place: Place::flat(LevelId(0), 0.0, 0.0),
        sensor: None,
        measured: LogicalNs(0),
    })
}

/// One hall with a screen, a panel, a motion detector and a light sensor; `crew` has as many members as given, `staff`
/// the third of them.
fn site(members: u16) -> Site {
    let person = |id: u16| Person { groups: vec![GroupId(0)], ..Person::plain(id, &format!("person-{id}")) };
    let group = |id: u16, name: &str, members: Vec<PersonId>| Group {
        id: GroupId(id),
        name: name.to_owned(),
        folder: None,
        members,
    };
    let role = |role, sensor| Sensor { role: Some(role), ..sensor };
    let pir = Sensor { zones: vec![HALL], ..Sensor::plain(1, "pir", SensorKind::Binary) };
    let screen = Actuator::plain(0, "screen", ActuatorKind::Display);
    Site {
        levels: vec![Level::plain(0, "ground")],
        zones: vec![Zone { category: "lobby".to_owned(), ..Zone::plain(HALL.0, "hall", Area::default()) }],
        sensors: vec![
            role(BinaryRole::Fire, Sensor::plain(0, "panel", SensorKind::Binary)),
            role(BinaryRole::Motion, pir),
            Sensor { unit: Some(Unit::Lux), ..Sensor::plain(LUX.0, "lux", SensorKind::Value) },
        ],
        actuators: vec![Actuator { zone: Some(HALL), level: Some(LevelId(0)), ..screen }],
        people: (0..members).map(person).collect(),
        groups: vec![group(0, "crew", (0..members).map(PersonId).collect()), group(1, "staff", vec![PersonId(2)])],
        ..Site::plain("calibration")
    }
}

/// The hall with everybody in it.
struct World {
    site: Site,
    now: LogicalNs,
    people: BTreeMap<u64, Occupant>,
    sensors: [SensorStatus; 3],
}

impl World {
    fn new(site: Site, people: u64) -> Self {
        let reads = |reading| SensorStatus { reading: Some(reading), ..SensorStatus::default() };
        let sensors = [reads(Reading::Switch(false)), reads(Reading::Switch(false)), reads(Reading::Quantity(300.0))];
        let somebody = |track: u64| Occupant {
            track: TrackId(track),
            place: Place::flat(LevelId(0), 0.0, 0.0),
            velocity_mps: [0.0; 2],
            covariance_m2: [0.1, 0.0, 0.1],
            heading_rad: None,
            existence: 1.0,
            device: None,
            person: Some(PersonId((track % 3) as u16)),
            person_p: 0.99,
            presence: Presence::Seen,
            seen_at: LogicalNs(0),
            moved_by: Default::default(),
            zones: [HALL].into_iter().collect(),
        };
        let people = (0..people).map(|track| (track, somebody(track))).collect();
        World { site, now: LogicalNs(0), people, sensors }
    }
}

impl WorldView for World {
    fn site(&self) -> &Site {
        &self.site
    }
    fn now(&self) -> LogicalNs {
        self.now
    }
    fn wall(&self) -> Option<WallTime> {
        None
    }
    fn occupant(&self, track: TrackId) -> Option<&Occupant> {
        self.people.get(&track.0)
    }
    fn for_each_occupant(&self, f: &mut dyn FnMut(&Occupant)) {
        self.people.values().for_each(f);
    }
    fn for_each_in(&self, _: ZoneId, f: &mut dyn FnMut(&Occupant)) {
        self.people.values().for_each(f);
    }
    fn count_in(&self, _: ZoneId) -> ZoneCount {
        ZoneCount { seen: self.people.len() as u32, ..ZoneCount::default() }
    }
    fn occupied(&self, _: ZoneId) -> Tri {
        Tri::True
    }
    fn track_of(&self, person: PersonId) -> Option<(TrackId, f64)> {
        self.people.get(&u64::from(person.0 % 3)).map(|o| (o.track, o.person_p))
    }
    fn is_member(&self, person: PersonId, group: GroupId) -> bool {
        self.site.groups[group.index()].members.contains(&person)
    }
    fn device(&self, _: ActuatorId, _: Name) -> Option<Value> {
        None
    }
    fn sensor(&self, sensor: SensorId) -> SensorStatus {
        self.sensors[sensor.index()]
    }
    fn alive(&self, _: SensorId) -> Tri {
        Tri::True
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair of courses differs in its kind, or the kind would not be measured at all.
    #[test]
    fn every_kind_of_operation_is_told_apart() {
        for (op, small, large) in courses() {
            let mut still = || 0;
            let (before, after) = (small.timed(&mut still).1, large.timed(&mut still).1);
            assert!(after.get(op) > before.get(op), "{}: {before} and {after}", op.as_str());
        }
    }

    /// A clock that shows no difference makes no operation free.
    #[test]
    fn a_clock_that_sees_nothing_gives_the_floor() {
        let mut now = 0;
        let mut clock = || {
            now += 1_000;
            now
        };
        let table = calibrate(&mut clock, "x".into(), 1.0);
        assert!(Op::ALL.into_iter().all(|op| table.ns_of(op) == 1.0), "{table:?}");
        assert_eq!(Table::from_json(&table.to_json()), Ok(table));
    }
}
