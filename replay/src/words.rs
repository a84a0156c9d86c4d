//! Commands, causes and events in words, by the names of the site that they are of.

use crate::rulebook::Rulebook;
use osmose_model::command::{Args, Cause, Command, Entity, Trigger, Value};
use osmose_model::ids::{ActuatorId, PersonId, SensorId, ZoneId};
use osmose_model::site::Site;
use osmose_model::world::WorldEvent;

/// The name of a device.
pub(crate) fn device(site: &Site, id: ActuatorId) -> &str {
    site.actuators.get(id.index()).map_or("an unknown device", |a| a.name.as_str())
}

/// The name of a sensor.
pub(crate) fn sensor(site: &Site, id: SensorId) -> &str {
    site.sensors.get(id.index()).map_or("an unknown sensor", |s| s.name.as_str())
}

/// The name of a zone.
pub(crate) fn zone(site: &Site, id: ZoneId) -> &str {
    site.zones.get(id.index()).map_or("an unknown zone", |z| z.name.as_str())
}

/// The name of a person.
pub(crate) fn person(site: &Site, id: PersonId) -> &str {
    site.people.get(id.index()).map_or("an unknown person", |p| p.name.as_str())
}

/// A value.
pub(crate) fn value(site: &Site, v: &Value) -> String {
    match v {
        Value::Bool(b) => b.to_string(),
        Value::Number(x) => x.to_string(),
        Value::Name(n) => n.to_string(),
        Value::Text(t) => format!("{t:?}", t = t.as_str()),
        Value::Person(p) => person(site, *p).to_owned(),
        Value::Zone(z) => zone(site, *z).to_owned(),
        Value::Track(t) => format!("track {t}"),
    }
}

fn args(site: &Site, list: &Args) -> String {
    let parts: Vec<String> = list.iter().map(|(name, v)| format!("{name}: {}", value(site, v))).collect();
    parts.join(", ")
}

/// `m7.recorder.pause(reason: "ana left")`
pub(crate) fn command(site: &Site, c: &Command) -> String {
    format!("{}.{}({})", device(site, c.device), c.verb, args(site, &c.args))
}

/// What set a rule off.
pub(crate) fn trigger(site: &Site, t: &Trigger) -> String {
    match *t {
        Trigger::Event { kind, track, zone: at } => {
            let at = at.map_or_else(String::new, |z| format!(" {}", zone(site, z)));
            format!("track {track} {}{at}", kind.as_str())
        }
        Trigger::Sensor(s) => format!("a reading of {}", sensor(site, s)),
        Trigger::Device(d) => format!("a change of {}", device(site, d)),
        Trigger::Timer => "a timer of the rule".to_owned(),
        Trigger::Clock => "the wall clock".to_owned(),
        Trigger::Start => "the start, or the installation of the rules".to_owned(),
        Trigger::Operator => "a person at the controls".to_owned(),
    }
}

/// What a variable stood for.
pub(crate) fn entity(site: &Site, e: &Entity) -> String {
    match *e {
        Entity::Track { track, person: Some(p), person_p } => {
            format!("track {track}, {} with probability {person_p:.3}", person(site, p))
        }
        Entity::Track { track, person: None, .. } => format!("track {track}, nobody known"),
        Entity::Person(p) => person(site, p).to_owned(),
        Entity::Zone(z) => zone(site, z).to_owned(),
        Entity::Device(d) => device(site, d).to_owned(),
    }
}

/// Why in one line: what set it off, and the variables.
pub(crate) fn cause(site: &Site, c: &Cause) -> String {
    let mut text = trigger(site, &c.trigger);
    for (name, e) in &c.bindings {
        text += &format!("; {name} = {}", entity(site, e));
    }
    if c.doubt {
        text += "; decided by doubt";
    }
    text
}

/// Who sent a command.
pub(crate) fn sender(book: &Rulebook, c: &Command) -> String {
    match (c.rule, &c.cause.trigger) {
        (Some(rule), _) => book.name(rule),
        (None, Trigger::Operator) => "an operator".to_owned(),
        (None, _) => "the device's default".to_owned(),
    }
}

/// An event in words.
pub(crate) fn event(site: &Site, e: &WorldEvent) -> String {
    let who = match e.person {
        Some(p) => format!("track {} ({}, {:.3})", e.track, person(site, p), e.person_p),
        None => format!("track {}", e.track),
    };
    let at = e.zone.map_or_else(String::new, |z| format!(" {}", zone(site, z)));
    format!("{who} {}{at} at ({:.2}, {:.2}) m", e.kind.as_str(), e.place.at.x_m, e.place.at.y_m)
}
