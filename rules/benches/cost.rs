//! How far the cost model is from the clock: `cargo bench -p osmose-rules --bench cost [-- --calibrate FILE]`.
//!
//! For each rule: the bound that `osmose check` prints, and the measured p99 of the steps that wake it, clock reads
//! included. With `--calibrate` the time of one operation of each kind is measured on this machine and written as a
//! table for `SITE/.osmose/cost.json` (`cost/calibrate.rs`).
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and writes a file"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{World, compiled, name, site, someone};
use osmose_model::command::Value;
use osmose_model::ids::{ActuatorId, SensorId, TrackId, ZoneId};
use osmose_model::site::{Site, SourceFile};
use osmose_model::stages::{Decide, Source};
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, Reading, Stimulus, WorldEvent};
use osmose_rules::Rules;
use osmose_rules::cost::{Table, assess};
use std::time::Instant;

/// Steps that are looked at: 100 lie beyond the p99 at least.
const SAMPLES: usize = 20_000;
const SAMPLES_MIN: usize = 10_000;
/// A rule that so many steps hardly wake has no p99.
const STEPS_MAX: usize = 2_000_000;
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
        // Who is in m7 now takes part.
        course.world.devices.insert((ActuatorId(0), name("state")), Value::Name(name("recording")));
        let began = [Stimulus::Device(ActuatorId(0))];
        course.rules.step(&began, Source::default(), &course.world, &mut Vec::new());
        course
    }

    /// One event: people walk between lobby and m7 (and a recording of those who were there at its start goes on), the panel trips, the light changes.
    fn next(&mut self) -> Vec<Stimulus> {
        self.number += 1;
        self.world.now += 50_000_000;
        if self.number.is_multiple_of(10) {
            let on = self.number.is_multiple_of(20);
            self.world.sensors[0].reading = Some(Reading::Switch(on));
            return vec![Stimulus::Sensor(SensorId(0))];
        }
        let (track, round) = (TrackId(self.number / 2 % self.people), self.number / 2 / self.people);
        let Some(occupant) = self.world.people.get_mut(&track.0) else { return Vec::new() };
        let leaves = self.number.is_multiple_of(2);
        let zone = if leaves { occupant.zones.pop() } else { None };
        let zone = zone.unwrap_or(ZoneId(if (track.0 + round).is_multiple_of(2) { 0 } else { 2 }));
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

    /// The p99 of steps that the rules look at, microseconds; `None` where too few are for one.
    fn p99_us(&mut self) -> Option<f64> {
        let mut samples = Vec::with_capacity(SAMPLES);
        let mut out = Vec::with_capacity(4096);
        for _ in 0..STEPS_MAX {
            let stimuli = self.next();
            out.clear();
            self.rules.counted();
            let start = Instant::now();
            self.rules.step(&stimuli, Source::default(), &self.world, &mut out);
            let took = start.elapsed();
            if self.rules.counted().0.total() > 0 {
                samples.push(took.as_nanos() as f64 / 1e3);
            }
            if samples.len() == SAMPLES {
                break;
            }
        }
        samples.sort_by(f64::total_cmp);
        (samples.len() >= SAMPLES_MIN).then(|| samples[samples.len() * 99 / 100])
    }
}

fn compare() {
    let table = Table::committed();
    println!("{:<16} {:>10} {:>10} {:>8}", "rule", "bound us", "p99 us", "ratio");
    let mut ratios = Vec::new();
    for (rule, body) in RULES {
        let text = format!("rule {rule} {{ {body} }}\n");
        let site = site();
        let program = compiled(&site, &text);
        let files = [SourceFile { path: "rules/a.rules".into(), text: text.clone() }];
        let bound = assess(&program, &site, &files, &table).rules[0].us;
        let Some(p99) = Course::new(&site, &text, PEOPLE).p99_us() else {
            println!("{rule:<16} {bound:>10.3} {:>10} {:>8}", "-", "-");
            continue;
        };
        ratios.push(bound / p99);
        println!("{rule:<16} {bound:>10.3} {p99:>10.3} {:>8.2}", bound / p99);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!("median ratio {median:.2}, least {:.2}, most {:.2}", ratios[0], ratios[ratios.len() - 1]);
}

fn calibrate(path: &str) {
    let begun = Instant::now();
    let machine = format!("calibrated on {}", std::env::consts::ARCH);
    let mut clock = || begun.elapsed().as_nanos() as u64;
    let text = osmose_rules::cost::calibrate(&mut clock, machine, Table::committed().engine_us).to_json();
    print!("{text}");
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
