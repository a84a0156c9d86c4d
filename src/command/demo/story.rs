//! The demo as people read it: what was sensed, who went where, what was commanded and why, and how long each took.
//!
//! Lines on stdout are the same for the same seed but for the engine's own microseconds; those stand at the end of a
//! line, in square brackets.

use crate::stderr::say;
use osmose_core::{Core, Fusion};
use osmose_model::command::{Command, Entity, Trigger, Value};
use osmose_model::device::SensorKind;
use osmose_model::ids::{PersonId, RuleId, TrackId, ZoneId};
use osmose_model::input::{Input, Tag};
use osmose_model::site::{CELL, Site};
use osmose_model::stages::Fuse;
use osmose_model::time::{ArrivalNs, LogicalNs};
use osmose_model::world::{EventKind, Presence, WorldEvent};
use osmose_replay::counted;
use osmose_sensors::sim::TrueCrossing;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the engine took.
#[derive(Clone, Copy)]
pub(super) struct Took {
    /// One step: fusion, rules, arbitration.
    pub(super) step: Duration,
    /// From the datagram read to the command handed to the transport, where there is a transport.
    pub(super) whole: Option<Duration>,
}

/// Tells it.
pub(super) struct Story {
    site: Arc<Site>,
    frames: BTreeMap<SensorKind, u64>,
    next_second: i64,
    /// The last true leave of a zone, by person and zone.
    left: BTreeMap<(Option<PersonId>, ZoneId), ArrivalNs>,
    steps_ns: Vec<u64>,
    commands: u64,
}

fn ms(ns: i64) -> String {
    format!("{:.1} ms", ns as f64 / 1e6)
}

impl Story {
    pub(super) fn new(site: Arc<Site>) -> Self {
        Self { site, frames: BTreeMap::new(), next_second: 1, left: BTreeMap::new(), steps_ns: vec![], commands: 0 }
    }

    pub(super) fn opening(&self, notes: &[String]) {
        let s = &self.site;
        println!(
            "{}: {} on {}, {}, {}, known people: {}, rules in {}",
            s.name,
            counted(s.zones.len(), "zone"),
            counted(s.levels.len(), "level"),
            counted(s.sensors.len(), "sensor"),
            counted(s.actuators.len(), "actuator"),
            s.people.len(),
            s.rule_files().map(|f| f.path.as_str()).collect::<Vec<_>>().join(", ")
        );
        notes.iter().for_each(|n| println!("note: {n}"));
    }

    /// Counts what the sensors said.
    pub(super) fn sensed(&mut self, input: &Input<'_>) {
        if let Some(o) = input.observation() {
            *self.frames.entry(o.body.kind()).or_default() += 1;
        }
    }

    /// Counts how long a step took.
    pub(super) fn stepped(&mut self, took: Took) {
        self.steps_ns.push(took.step.as_nanos() as u64);
    }

    /// Remembers who truly left what.
    pub(super) fn crossings(&mut self, crossings: &mut Vec<TrueCrossing>) {
        for c in crossings.drain(..).filter(|c| !c.entered) {
            self.left.insert((c.person, c.zone), c.at);
        }
    }

    fn who(&self, track: TrackId, person: Option<PersonId>) -> String {
        person.map_or_else(|| format!("somebody (track {track})"), |p| self.site.people[p.index()].name.clone())
    }

    fn zone(&self, zone: Option<ZoneId>) -> &str {
        zone.map_or("the building", |z| &self.site.zones[z.index()].name)
    }

    /// One line for what matters to people; appearances and confirmations are the tracker's own affair.
    pub(super) fn event(&self, tag: Tag, e: &WorldEvent) {
        let sensor = e.sensor.map_or("nobody", |s| &self.site.sensors[s.index()].name);
        let who = self.who(e.track, e.person);
        if e.zone.is_some_and(|z| self.site.zones[z.index()].category == CELL) {
            return; // the cells of speakers: what comes of it is said by commands
        }
        match e.kind {
            EventKind::Enters | EventKind::Leaves | EventKind::Lost | EventKind::Found => {
                println!("{:>10} s  {who} {} {}  (seen by {sensor})", tag.at, e.kind.as_str(), self.zone(e.zone));
            }
            EventKind::Identified => {
                println!("{:>10} s  track {} is {who}, p {:.3}  (by {sensor})", tag.at, e.track, e.person_p)
            }
            EventKind::Swapped => println!("{:>10} s  {who} may have changed places with another", tag.at),
            EventKind::Appears | EventKind::Confirmed => {}
        }
    }

    fn value(&self, value: &Value) -> String {
        match value {
            Value::Bool(b) => b.to_string(),
            Value::Number(x) => x.to_string(),
            Value::Name(n) => n.to_string(),
            Value::Text(t) => format!("{:?}", t.as_str()),
            Value::Person(p) => self.site.people[p.index()].name.clone(),
            Value::Zone(z) => self.site.zones[z.index()].name.clone(),
            Value::Track(t) => format!("track {t}"),
        }
    }

    /// A command: what, by which rule, because of what, and how long each part of the way took.
    pub(super) fn command<'a>(&mut self, c: &Command, rule: &dyn Fn(RuleId) -> &'a str, took: Took) {
        self.commands += 1;
        let args: Vec<_> = c.args.iter().map(|(n, v)| format!("{n}: {}", self.value(v))).collect();
        let device = &self.site.actuators[c.device.index()].name;
        let by = c.rule.map_or("the device's default", rule);
        println!("{:>10} s  >> {device}.{}({})  by {by}", c.at, c.verb, args.join(", "));
        if let Some(chain) = self.chain(c) {
            let us = |d: Duration| format!("{:.1} us", d.as_secs_f64() * 1e6);
            let whole =
                took.whole.map_or_else(String::new, |w| format!(", frame read to command handed over {}", us(w)));
            println!("{:14}{chain}  [decided in {}{whole}]", "", us(took.step));
        }
    }

    /// Sensor frame -> leave -> command, with the time between each, where a person's movement decided.
    fn chain(&self, c: &Command) -> Option<String> {
        let Trigger::Event { kind, track, zone } = c.cause.trigger else { return None };
        let measured = c.cause.measured?;
        let sensor = c.cause.sensor.map(|s| self.site.sensors[s.index()].name.as_str())?;
        let person = c.cause.bindings.iter().find_map(|(_, e)| match e {
            Entity::Track { track: t, person, .. } if *t == track => *person,
            _ => None,
        });
        let mut text = String::new();
        if kind == EventKind::Leaves
            && let Some(&true_at) = zone.and_then(|z| self.left.get(&(person, z)))
        {
            text = format!("truly left at {true_at} s -> +{} ", ms(measured.0 - true_at.0));
        }
        let way = ms(c.at.0 - measured.0);
        let doubt = if c.cause.doubt { " (in doubt)" } else { "" };
        let (who, place) =
            (self.who(track, person), zone.map_or_else(String::new, |z| format!(" {}", self.zone(Some(z)))));
        text += &format!("frame of {sensor} -> +{way} read, {who} {}{place}{doubt} -> {}", kind.as_str(), c.verb);
        Some(text)
    }

    /// Once a second: what was sensed and who is believed to be there, beside the truth.
    pub(super) fn second(&mut self, now: ArrivalNs, truly_there: usize, machine: Option<&Core>) {
        if now.0 < self.next_second * 1_000_000_000 {
            return;
        }
        let each: Vec<_> = self.frames.iter().map(|(k, n)| format!("{k} {n}")).collect();
        let tracked = machine.map_or_else(String::new, |m| format!("{} tracked, ", seen(m.fusion())));
        println!("{:>10} s  sensed: {}; {tracked}{truly_there} truly there", self.next_second, each.join(", "));
        self.frames.clear();
        self.next_second += 1;
    }

    /// The account at the end; how fast it went is for stderr, since it differs from run to run.
    pub(super) fn closing(mut self, end: ArrivalNs, wall: Duration, machine: &Core) {
        let stats = machine.stats();
        println!(
            "{} s of the building: {}, {}, {}; input digest {}, decision digest {}",
            LogicalNs(end.0),
            counted(stats.inputs, "input"),
            counted(stats.events, "event"),
            counted(self.commands, "command"),
            machine.input_digest(),
            machine.decision_digest()
        );
        self.steps_ns.sort_unstable();
        let n = self.steps_ns.len().max(1);
        let at = |per_mille: usize| self.steps_ns.get((n - 1) * per_mille / 1000).map_or(0.0, |&ns| ns as f64 / 1e3);
        say!(
            "took {:.2} s, {:.0} times real time, in one thread; a step p50 {:.1} us, p99 {:.1} us, max {:.1} us",
            wall.as_secs_f64(),
            end.0 as f64 / 1e9 / wall.as_secs_f64().max(1e-9),
            at(500),
            at(990),
            at(1000)
        );
    }
}

fn seen(fusion: &Fusion) -> usize {
    let mut n = 0;
    fusion.for_each_occupant(&mut |o| n += usize::from(o.presence == Presence::Seen && o.existence > 0.9));
    n
}
