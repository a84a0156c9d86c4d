//! How far the cost model is from the clock: `cargo bench -p osmose-rules --bench cost [-- --calibrate FILE]`.
//!
//! For each rule: the bound that `osmose check` prints, and the measured p99 of the steps that wake it, clock reads
//! included. With `--calibrate` the time of one operation of each kind is measured on this machine and written as a
//! table for `SITE/.osmose/cost.json`: two courses that differ in one kind are timed, and their difference divided.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and writes a file"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{World, compiled, site, someone};
use osmose_model::geometry::Place;
use osmose_model::ids::{GroupId, LevelId, PersonId, SensorId, TrackId, ZoneId};
use osmose_model::site::{Person, Site, SourceFile};
use osmose_model::stages::{Decide, Source};
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, Reading, Stimulus, WorldEvent};
use osmose_rules::Rules;
use osmose_rules::cost::{Op, Ops, PerOp, Table, assess};
use std::time::Instant;

const STEPS: usize = 20_000;
const PEOPLE: u64 = 40;

/// Rules as integrators write them (RULES.md, AUTOMATIONS.md), for the tests' site.
const RULES: &[(&str, &str)] = &[
    ("pause", "when any p in members(project-x) leaves lobby do m7.recorder.pause(reason: \"{p} left\") level privacy"),
    (
        "pause-session",
        "when any p in participants(m7) leaves m7 if m7.recorder is recording do m7.recorder.pause() level privacy",
    ),
    (
        "light",
        "for each room r while r is occupied hold r.lights.level = if time in 22:00..06:00 then 30 % else 80 % release after 5 min",
    ),
    ("lobby-light", "while lobby is occupied and lux-1 < 400 lx hold lobby.lights.level = 80 % release after 5 min"),
    (
        "long-look",
        "when p in lobby for 10 min once per visit do lobby-display.show(\"longread\", language: p.language) level info",
    ),
    (
        "ventilate",
        "while count(people in m7) > 80 % of m7.capacity for 30 s until (count(people in m7) < 60 % of m7.capacity for 2 min) hold m7.hvac.airflow = boost",
    ),
    ("queue", "when count(people in lobby) > 6 for 2 min do lobby-display.show(\"till 2\") suppress 10 min"),
    (
        "start",
        "when every q in members(project-x) in lobby do m7.recorder.start(participants: members(project-x)) level user",
    ),
    ("strangers", "when p enters lobby if not (p is identified) do lobby-display.blank() level privacy"),
    ("greet", "when p enters lobby do lobby-display.show(\"hello {p}\") suppress 3 s per p"),
    (
        "fire",
        "while fire-panel is active on unknown keep hold all doors.lock = open, all lights.level = 100 % level life-safety",
    ),
    ("any", "when any p in members(staff) in lobby and lux-1 > 10 lx do lobby-display.wake()"),
];

/// The tests' site with as many members of project-x as given.
fn large_site(members: u16) -> Site {
    let mut site = site();
    for id in site.people.len() as u16..members {
        let like = site.people[0].clone();
        site.people.push(Person { id: PersonId(id), name: format!("person-{id}"), ..like });
        site.groups[GroupId(0).index()].members.push(PersonId(id));
    }
    site
}

struct Course {
    rules: Rules,
    world: World,
    number: u64,
    people: u64,
}

impl Course {
    fn new(site: &Site, text: &str, people: u64) -> Self {
        let rules = Rules::new(compiled(site, text));
        let mut world = World::new(site.clone());
        world.sensors[3].reading = Some(Reading::Quantity(300.0));
        world.sensors[0].reading = Some(Reading::Switch(false));
        for track in 0..people {
            let zone = if track.is_multiple_of(2) { 2 } else { 0 };
            let occupant = someone(track, Some((track % 3) as u16), 0.99, [zone]);
            world.people.insert(track, occupant);
        }
        let mut course = Course { rules, world, number: 0, people };
        course.rules.step(&[Stimulus::Start], Source::default(), &course.world, &mut Vec::new());
        course
    }

    /// One event: people walk between lobby and m7, the panel trips, the light changes.
    fn next(&mut self) -> Vec<Stimulus> {
        self.number += 1;
        self.world.now += 50_000_000;
        if self.number.is_multiple_of(10) {
            let on = self.number.is_multiple_of(20);
            self.world.sensors[0].reading = Some(Reading::Switch(on));
            return vec![Stimulus::Sensor(SensorId(0))];
        }
        let track = TrackId(self.number / 2 % self.people);
        let Some(occupant) = self.world.people.get_mut(&track.0) else { return Vec::new() };
        let leaves = self.number.is_multiple_of(2);
        let zone = if leaves { occupant.zones.pop() } else { None };
        let zone = zone.unwrap_or(ZoneId(if self.number.is_multiple_of(4) { 0 } else { 2 }));
        if !leaves && !occupant.zones.contains(&zone) {
            occupant.zones.clear();
            occupant.zones.push(zone);
        }
        let kind = if leaves { EventKind::Leaves } else { EventKind::Enters };
        let (person, person_p, place) = (occupant.person, occupant.person_p, occupant.place);
        let measured = LogicalNs(self.world.now);
        let event =
            WorldEvent { kind, track, person, person_p, zone: Some(zone), other: None, place, sensor: None, measured };
        vec![Stimulus::World(event)]
    }

    /// The p99 of steps that the rules look at, microseconds.
    fn p99_us(&mut self) -> f64 {
        let mut samples = Vec::new();
        let mut out = Vec::with_capacity(4096);
        for _ in 0..STEPS {
            let stimuli = self.next();
            out.clear();
            self.rules.counted();
            let start = Instant::now();
            self.rules.step(&stimuli, Source::default(), &self.world, &mut out);
            let took = start.elapsed();
            if self.rules.counted().0.total() > 0 {
                samples.push(took.as_nanos() as f64 / 1e3);
            }
        }
        samples.sort_by(f64::total_cmp);
        samples.get(samples.len() * 99 / 100).copied().unwrap_or(0.0)
    }

    /// Mean nanoseconds and mean operations of the same step again and again (the fastest of several runs).
    fn mean(&mut self, stimulus: &Stimulus) -> (f64, Vec<f64>) {
        const ROUNDS: u64 = 2_000;
        let mut best = f64::INFINITY;
        let mut out = Vec::with_capacity(4096);
        for _ in 0..12 {
            self.rules.counted();
            let start = Instant::now();
            for _ in 0..ROUNDS {
                self.world.now += 1;
                out.clear();
                self.rules.step(std::slice::from_ref(stimulus), Source::default(), &self.world, &mut out);
            }
            best = best.min(start.elapsed().as_nanos() as f64 / ROUNDS as f64);
        }
        let ops: Ops = self.rules.counted().0;
        (best, Op::ALL.iter().map(|op| ops.get(*op) as f64 / ROUNDS as f64).collect())
    }
}

fn compare() {
    let table = Table::committed();
    println!("{:<16} {:>10} {:>10} {:>8}", "rule", "bound us", "p99 us", "ratio");
    let mut ratios = Vec::new();
    for (name, body) in RULES {
        let text = format!("rule {name} {{ {body} }}\n");
        let site = site();
        let program = compiled(&site, &text);
        let files = [SourceFile { path: "rules/a.rules".into(), text: text.clone() }];
        let bound = assess(&program, &site, &files, &table).rules[0].us;
        let p99 = Course::new(&site, &text, PEOPLE).p99_us();
        ratios.push(bound / p99);
        println!("{name:<16} {bound:>10.3} {p99:>10.3} {:>8.2}", bound / p99);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!("median ratio {median:.2}, least {:.2}, most {:.2}", ratios[0], ratios[ratios.len() - 1]);
}

/// Two courses that differ in one kind of operation, and the event that both see.
fn slope(op: Op, small: (&str, u16, u64), large: (&str, u16, u64), stimulus: &Stimulus, known: &[f64]) -> f64 {
    let run =
        |(text, members, people): (&str, u16, u64)| Course::new(&large_site(members), text, people).mean(stimulus);
    let ((t0, ops0), (t1, ops1)) = (run(small), run(large));
    let of_known: f64 = (0..Op::COUNT).filter(|i| *i != op as usize).map(|i| (ops1[i] - ops0[i]) * known[i]).sum();
    let count = ops1[op as usize] - ops0[op as usize];
    assert!(count > 0.0, "the courses do not differ in {}", op.as_str());
    ((t1 - t0 - of_known) / count).max(0.1)
}

fn calibrate(path: &str) {
    let enters = |track: u64| {
        Stimulus::World(WorldEvent {
            kind: EventKind::Enters,
            track: TrackId(track),
            person: Some(PersonId(0)),
            person_p: 0.99,
            zone: Some(ZoneId(2)),
            other: None,
            place: Place::flat(LevelId(0), 0.0, 0.0),
            sensor: None,
            measured: LogicalNs(0),
        })
    };
    let sensor = Stimulus::Sensor(SensorId(3));
    let lux = |n: usize| (0..n).map(|i| format!("lux-1 > {} lx", 1000 + i)).collect::<Vec<_>>().join(" or ");
    let edge = |n: usize| format!("rule a {{ when {} do lobby-display.wake() }}", lux(n));
    let silent = |n: usize| -> String {
        (0..n)
            .map(|i| format!("rule a{i} {{ when any p in members(staff) leaves lobby do lobby-display.wake() }}\n"))
            .collect()
    };
    let fires =
        |n: usize| format!("rule a {{ when p enters lobby do {} }}", vec!["lobby-display.wake()"; n].join(" ; "));
    let damped = |n: usize| -> String {
        (0..n)
            .map(|i| format!("rule a{i} {{ when p enters lobby do lobby-display.wake() suppress 1 h per p }}\n"))
            .collect()
    };
    let plain = |n: usize| -> String {
        (0..n)
            .map(|i| format!("rule a{i} {{ when p enters lobby if fire-panel is active do lobby-display.wake() }}\n"))
            .collect()
    };
    let any = "rule a { when any q in members(staff) in lobby and fire-panel is active do lobby-display.wake() }";
    let occupants = "rule a { while any q in members(staff) in lobby hold lobby-display.page = \"x\" }";
    let every = "rule a { while every q in members(project-x) in lobby hold lobby-display.page = \"x\" }";
    let watch = "rule a { when no motion in m7 and lux-1 > 9999 lx do lobby-display.wake() }";
    let mut known = vec![0.0; Op::COUNT];
    known[Op::Node as usize] = slope(Op::Node, (&edge(2), 3, 4), (&edge(40), 3, 4), &sensor, &known);
    known[Op::Wake as usize] = slope(Op::Wake, (&silent(2), 3, 4), (&silent(200), 3, 4), &enters(0), &known);
    known[Op::Occupant as usize] = slope(Op::Occupant, (occupants, 3, 4), (occupants, 3, 400), &enters(0), &known);
    known[Op::Person as usize] = slope(Op::Person, (every, 3, 4), (every, 300, 4), &enters(0), &known);
    known[Op::Sensor as usize] = slope(Op::Sensor, (&edge(1), 3, 4), (watch, 3, 4), &sensor, &known);
    known[Op::Effect as usize] = slope(Op::Effect, (&fires(1), 3, 4), (&fires(12), 3, 4), &enters(0), &known);
    known[Op::Memory as usize] = slope(Op::Memory, (&plain(20), 3, 4), (&damped(20), 3, 4), &enters(0), &known);
    known[Op::Context as usize] = slope(Op::Context, (&plain(1), 3, 4), (any, 3, 4), &enters(0), &known);
    let at = |op: Op| known[op as usize];
    let table = Table {
        machine: format!("calibrated on {}", std::env::consts::ARCH),
        engine_us: Table::committed().engine_us,
        ns: PerOp {
            wake: at(Op::Wake),
            node: at(Op::Node),
            occupant: at(Op::Occupant),
            person: at(Op::Person),
            sensor: at(Op::Sensor),
            context: at(Op::Context),
            memory: at(Op::Memory),
            effect: at(Op::Effect),
        },
    };
    let text = serde_json::to_string_pretty(&table).unwrap_or_default();
    println!("{text}");
    if let Err(error) = std::fs::write(path, text) {
        eprintln!("cannot write {path}: {error}");
        std::process::exit(1);
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| w != "--bench").collect();
    match words.as_slice() {
        [flag, path] if flag == "--calibrate" => calibrate(path),
        _ => compare(),
    }
}
