//! A moment that the search found, as facts: to be said in a sentence, and to be played to the evaluator.

use super::search::{Assignment, Is, Problem, What};
use super::{Drive, Driven};
use crate::program::{ClockRef, Cond, CondId, Program, ValueExpr};
use osmose_model::command::Value;
use osmose_model::device::Unit;
use osmose_model::ids::{ActuatorId, Name, PersonId, SensorId, ZoneId};
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, NS_PER_S};
use osmose_model::tri::Tri;

/// Something that is so in the building. `None` stands for: nobody knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fact {
    /// So many people whom nobody knows by name are in a zone.
    People(ZoneId, Option<u32>),
    /// A known person is in a zone, or in none of those that matter.
    Person(PersonId, Option<Option<ZoneId>>),
    /// A device's property has a value.
    Device(ActuatorId, Name, Option<Value>),
    /// A two-state sensor is on or off.
    Switch(SensorId, Option<bool>),
    /// A sensor shows a number.
    Number(SensorId, Option<f64>),
    /// A sensor lives.
    Alive(SensorId, Option<bool>),
    /// A mode, by its number, has a value, by its number.
    Mode(u16, u16),
    /// Time since midnight.
    Time(Option<DurationNs>),
}

/// A moment, and what came before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    /// What is so first, for rules that hold on after their condition ended.
    pub before: Vec<Fact>,
    /// What is so at the moment.
    pub now: Vec<Fact>,
    /// How long it must have been so: the longest `for` that has passed.
    pub lasting: DurationNs,
    /// Conditions with a `for` that has not passed (yet).
    pub brief: usize,
    /// Conditions that were not looked into, and are taken to be as the clash needs them.
    pub unmodelled: usize,
    said: String,
}

impl Scene {
    pub(super) fn of(program: &Program, site: &Site, problem: &Problem<'_>, found: &Assignment) -> Self {
        let mut scene = Scene::default();
        let mut words: [Vec<String>; 2] = [Vec::new(), Vec::new()];
        for (&(moment, what), &is) in found {
            let list = if moment == 0 { &mut scene.now } else { &mut scene.before };
            match what {
                What::Memory(id) => {
                    if is == Is::Truth(Tri::True) {
                        scene.lasting = scene.lasting.max(needed(program, id));
                    } else {
                        scene.brief += 1;
                    }
                }
                What::Free(_) => scene.unmodelled += 1,
                What::Event => {}
                _ => {
                    if let Some(fact) = fact(what, is) {
                        list.push(fact);
                        words[usize::from(moment > 0)].push(fact_text(program, site, &fact));
                    }
                }
            }
            if let (What::Event, Is::Event(at)) = (what, is) {
                let (kind, zone) = problem.events[at];
                words[0].push(format!("somebody {} {}", kind.as_str(), site.zones[zone.index()].name));
            }
        }
        scene.said = sentence(&scene, &words, &problem.lags);
        scene
    }

    /// The moment in words: who is where, at what time.
    pub fn said(&self) -> &str {
        &self.said
    }
}

fn sentence(scene: &Scene, words: &[Vec<String>; 2], lags: &[DurationNs]) -> String {
    let [now, before] = words;
    let mut said = String::new();
    if !before.is_empty() {
        let lag = lags.iter().max().copied().unwrap_or(DurationNs::ZERO);
        said = format!("{}, and within {} of that ", joined(before), length(lag));
    }
    said += &if now.is_empty() { "nothing else changes".to_owned() } else { joined(now) };
    if scene.lasting.0 > 0 {
        said += &format!(", for {}", length(scene.lasting));
    }
    said
}

/// How long a condition must have been so that every `for` in it has passed.
fn needed(program: &Program, id: CondId) -> DurationNs {
    match &program.conds[id as usize] {
        Cond::For { inner, length, .. } => DurationNs(length.0.saturating_add(needed(program, *inner).0)),
        Cond::And { from, to } | Cond::Or { from, to } => {
            let parts = &program.children[*from as usize..*to as usize];
            parts.iter().map(|c| needed(program, *c)).fold(DurationNs::ZERO, DurationNs::max)
        }
        Cond::Not(inner) => needed(program, *inner),
        Cond::Until { set, .. } => needed(program, *set),
        _ => DurationNs::ZERO,
    }
}

fn joined(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A length of time as rules write it.
pub(super) fn length(d: DurationNs) -> String {
    let ns = d.0;
    for (unit, unit_ns) in [("h", 3600 * NS_PER_S), ("min", 60 * NS_PER_S), ("s", NS_PER_S), ("ms", 1_000_000)] {
        if ns >= unit_ns && ns % unit_ns == 0 {
            return format!("{} {unit}", ns / unit_ns);
        }
    }
    format!("{ns} ns")
}

fn fact(what: What, is: Is) -> Option<Fact> {
    Some(match (what, is) {
        (What::People(zone), Is::Count(count)) => Fact::People(zone, Some(count)),
        (What::People(zone), _) => Fact::People(zone, None),
        (What::Person(person), Is::At(zone)) => Fact::Person(person, Some(zone)),
        (What::Person(person), _) => Fact::Person(person, None),
        (What::Device(device, property), Is::Value(value)) => Fact::Device(device, property, Some(value)),
        (What::Device(device, property), Is::OtherValue) => {
            Fact::Device(device, property, Name::new("another").map(Value::Name))
        }
        (What::Device(device, property), _) => Fact::Device(device, property, None),
        (What::Switch(sensor), Is::Truth(value)) => Fact::Switch(sensor, known(value)),
        (What::Alive(sensor), Is::Truth(value)) => Fact::Alive(sensor, known(value)),
        (What::Number(sensor), Is::Number(value)) => Fact::Number(sensor, Some(value)),
        (What::Number(sensor), _) => Fact::Number(sensor, None),
        (What::Mode(mode), Is::Word(value)) => Fact::Mode(mode, value),
        (What::Time, Is::Clock(ns)) => Fact::Time(Some(DurationNs(ns))),
        (What::Time, _) => Fact::Time(None),
        _ => return None,
    })
}

fn known(value: Tri) -> Option<bool> {
    match value {
        Tri::True => Some(true),
        Tri::False => Some(false),
        Tri::Unknown => None,
    }
}

fn fact_text(program: &Program, site: &Site, fact: &Fact) -> String {
    let zone = |z: ZoneId| site.zones[z.index()].name.as_str();
    let sensor = |s: SensorId| site.sensors[s.index()].name.as_str();
    match fact {
        Fact::People(z, Some(0)) => format!("nobody is in {}", zone(*z)),
        Fact::People(z, Some(1)) => format!("somebody is in {}", zone(*z)),
        Fact::People(z, Some(n)) => format!("{n} people are in {}", zone(*z)),
        Fact::People(z, None) => format!("nobody knows whether anybody is in {}", zone(*z)),
        Fact::Person(p, at) => {
            let name = &site.people[p.index()].name;
            match at {
                Some(Some(z)) => format!("{name} is in {}", zone(*z)),
                Some(None) => format!("{name} is elsewhere"),
                None => format!("nobody knows where {name} is"),
            }
        }
        Fact::Device(d, property, value) => {
            let name = &site.actuators[d.index()].name;
            match value {
                Some(value) => format!("{name}.{property} is {}", plain(site, value)),
                None => format!("{name}.{property} is unknown"),
            }
        }
        Fact::Switch(s, Some(on)) => format!("{} is {}", sensor(*s), if *on { "active" } else { "inactive" }),
        Fact::Switch(s, None) => format!("{} is unknown", sensor(*s)),
        Fact::Alive(s, Some(alive)) => format!("{} is {}", sensor(*s), if *alive { "alive" } else { "dead" }),
        Fact::Alive(s, None) => format!("nobody knows whether {} is alive", sensor(*s)),
        Fact::Number(s, Some(value)) => format!("{} shows {value}", sensor(*s)),
        Fact::Number(s, None) => format!("{} shows nothing", sensor(*s)),
        Fact::Mode(mode, value) => {
            let info = program.mode_at(*mode);
            let value = info.and_then(|m| m.values.get(usize::from(*value))).map_or("?", String::as_str);
            let zone = info.filter(|m| m.per_zone).and_then(|m| site.zones.get(usize::from(mode - m.base)));
            let of = zone.map_or_else(String::new, |z| format!(" of {}", z.name));
            format!("mode {}{of} is {value}", info.map_or("?", |m| m.name.as_str()))
        }
        Fact::Time(Some(at)) => format!("it is {}", clock(*at)),
        Fact::Time(None) => "the time of day is unknown".to_owned(),
    }
}

/// `22:00`, or with seconds where there are any.
fn clock(at: DurationNs) -> String {
    let s = at.0 / NS_PER_S;
    let (h, m, s, ns) = (s / 3600, s / 60 % 60, s % 60, at.0 % NS_PER_S);
    match (s, ns) {
        (0, 0) => format!("{h:02}:{m:02}"),
        (_, 0) => format!("{h:02}:{m:02}:{s:02}"),
        _ => format!("{h:02}:{m:02}:{s:02}.{:03}", ns / 1_000_000),
    }
}

/// A value as rules write it.
pub(super) fn plain(site: &Site, value: &Value) -> String {
    match value {
        Value::Name(name) => name.to_string(),
        Value::Text(text) => format!("{:?}", text.as_str()),
        Value::Number(n) => format!("{n}"),
        Value::Bool(b) => b.to_string(),
        Value::Zone(z) => site.zones[z.index()].name.clone(),
        Value::Person(p) => site.people[p.index()].name.clone(),
        other => format!("{other:?}"),
    }
}

/// What a drive wants, as text; of a choice what it comes to in the scene cannot be told without it.
pub(super) fn value_text(program: &Program, site: &Site, drive: &Drive, scene: Option<&Scene>) -> String {
    match drive.value {
        Driven::Command(Some(value)) => with_unit(site, drive, plain(site, &value)),
        Driven::Command(None) => "a value of its own".to_owned(),
        Driven::Hold(hold) => with_unit(site, drive, expr_text(program, site, hold.value, scene)),
    }
}

fn with_unit(site: &Site, drive: &Drive, text: String) -> String {
    let properties = site.actuators[drive.device.index()].kind.properties();
    let percent = properties.iter().any(|p| drive.property == *p.property && p.unit == Some(Unit::Percent));
    if percent && text.parse::<f64>().is_ok() { text + " %" } else { text }
}

fn expr_text(program: &Program, site: &Site, id: u32, scene: Option<&Scene>) -> String {
    match &program.values[id as usize] {
        ValueExpr::Const(value) => plain(site, value),
        ValueExpr::If(condition, then, otherwise) => {
            let facts = scene.map(|s| s.now.as_slice()).unwrap_or_default();
            match truth_of_time(program, *condition, facts) {
                Some(true) => expr_text(program, site, *then, scene),
                Some(false) => expr_text(program, site, *otherwise, scene),
                None => {
                    let (a, b) = (expr_text(program, site, *then, scene), expr_text(program, site, *otherwise, scene));
                    format!("{a} or {b}")
                }
            }
        }
        _ => "a value of its own".to_owned(),
    }
}

/// The truth of a choice by time of day, the one that people write.
fn truth_of_time(program: &Program, id: u32, facts: &[Fact]) -> Option<bool> {
    let Cond::TimeIn { from: ClockRef::At(from_ns), to: ClockRef::At(to_ns) } = &program.conds[id as usize] else {
        return None;
    };
    let at = facts.iter().find_map(|f| if let Fact::Time(at) = f { at.map(|at| at.0) } else { None })?;
    let (after, before) = (at >= *from_ns, at < *to_ns);
    Some(if from_ns < to_ns { after && before } else { after || before })
}
