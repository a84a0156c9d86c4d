//! The lines that others script against: a UDP command, a line of `--commands`, a line of `--events`.
//!
//! Keys stand in a fixed order, so that equal decisions give equal bytes. Names are resolved against the site; a
//! number that the site does not know becomes `null`.

use crate::{RuleNames, json};
use osmose_model::command::{Args, Cause, Command, CommandId, Entity, Trigger, Value};
use osmose_model::ids::{ActuatorId, PersonId, SensorId, ZoneId};
use osmose_model::input::Tag;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, UtcNs};
use osmose_model::world::WorldEvent;

fn zone(site: &Site, id: ZoneId) -> Option<&str> {
    site.zones.get(id.index()).map(|z| z.name.as_str())
}

fn person(site: &Site, id: PersonId) -> Option<&str> {
    site.people.get(id.index()).map(|p| p.name.as_str())
}

fn sensor(site: &Site, id: SensorId) -> Option<&str> {
    site.sensors.get(id.index()).map(|s| s.name.as_str())
}

fn actuator(site: &Site, id: ActuatorId) -> Option<&str> {
    site.actuators.get(id.index()).map(|a| a.name.as_str())
}

/// Appends a value: a person by id, a zone by name, a track by number.
fn value(site: &Site, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        Value::Number(x) => json::float(*x, out),
        Value::Name(n) => json::string(n.as_str(), out),
        Value::Text(t) => json::string(t.as_str(), out),
        Value::Person(p) => json::string_or_null(person(site, *p), out),
        Value::Zone(z) => json::string_or_null(zone(site, *z), out),
        Value::Track(t) => json::integer(t.0, out),
    }
}

/// Appends arguments as an object, keys in the command's order, which is sorted.
fn args(site: &Site, args: &Args, out: &mut Vec<u8>) {
    out.push(b'{');
    for (name, v) in args {
        json::comma(out);
        json::string(name.as_str(), out);
        out.push(b':');
        value(site, v, out);
    }
    out.push(b'}');
}

fn id(id: CommandId, out: &mut Vec<u8>) {
    out.push(b'"');
    json::integer(id.seq.0, out);
    out.push(b'.');
    json::integer(u64::from(id.n), out);
    out.push(b'"');
}

fn rule(rules: &RuleNames<'_>, command: &Command, out: &mut Vec<u8>) {
    json::key("rule", out);
    json::string_or_null(command.rule.map(rules), out);
}

fn utc(at: Option<UtcNs>, out: &mut Vec<u8>) {
    if let Some(at) = at {
        json::key("utc", out);
        json::utc(at, out);
    }
}

/// Appends a command as the one JSON line (with its newline) that goes to its device over UDP:
///
/// `{"device":…,"command":…,"args":{…},"rule":…,"id":"7.0","t_s":12.345,"seq":42}`
///
/// `t_s` is the log's time in seconds, exact. `seq` is the deciding observation's own number and is left out where
/// there is none. `rule` is `null` for a default and for an operator's command. Where the device is under a lease,
/// `"lease_s":10` comes last: unless it is told something again within so many seconds, it is to make itself safe.
pub fn encode_json(
    site: &Site,
    rules: &RuleNames<'_>,
    command: &Command,
    lease: Option<DurationNs>,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    json::key("device", out);
    json::string_or_null(actuator(site, command.device), out);
    json::key("command", out);
    json::string(command.verb.as_str(), out);
    json::key("args", out);
    args(site, &command.args, out);
    rule(rules, command, out);
    json::key("id", out);
    id(command.id, out);
    json::key("t_s", out);
    json::seconds(command.at.0, out);
    if let Some(seq) = command.source_seq {
        json::key("seq", out);
        json::integer(seq, out);
    }
    if let Some(lease) = lease {
        json::key("lease_s", out);
        json::seconds(lease.0, out);
    }
    out.extend_from_slice(b"}\n");
}

/// Appends a command as a line of `--commands`:
///
/// `{"t_s":…,"seq":…,"source_seq":…,"id":…,"rule":…,"device":…,"command":…,"args":{…},"cause":{…}}`
///
/// `seq` is the engine's number of the deciding input, `source_seq` the observation's own or `null`. The cause is
/// `{"trigger":{"kind":…},"sensor":…,"measured_t_s":…,"bindings":{…},"conditions":[…],"doubt":…,"sightings":[…]}`;
/// `utc` (RFC 3339)
/// comes last where the wall clock is known.
pub fn encode_commands_line(
    site: &Site,
    rules: &RuleNames<'_>,
    command: &Command,
    at_utc: Option<UtcNs>,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    json::key("t_s", out);
    json::seconds(command.at.0, out);
    json::key("seq", out);
    json::integer(command.id.seq.0, out);
    json::key("source_seq", out);
    match command.source_seq {
        Some(n) => json::integer(n, out),
        None => json::null(out),
    }
    json::key("id", out);
    id(command.id, out);
    rule(rules, command, out);
    json::key("device", out);
    json::string_or_null(actuator(site, command.device), out);
    json::key("command", out);
    json::string(command.verb.as_str(), out);
    json::key("args", out);
    args(site, &command.args, out);
    json::key("cause", out);
    cause(site, &command.cause, out);
    utc(at_utc, out);
    out.extend_from_slice(b"}\n");
}

/// Appends an event as a line of `--events`:
///
/// `{"t_s":…,"seq":…,"kind":…,"track":…,"person":…,"zone":…,"x_m":…,"y_m":…,"level":…,"person_p":…,"other":…,`
/// `"sensor":…,"measured_t_s":…}`
///
/// `person`, `zone`, `other` (the second track of a swap) and `sensor` are `null` where there is none; `utc` comes
/// last where the wall clock is known.
pub fn encode_event_line(site: &Site, tag: Tag, event: &WorldEvent, at_utc: Option<UtcNs>, out: &mut Vec<u8>) {
    out.push(b'{');
    json::key("t_s", out);
    json::seconds(tag.at.0, out);
    json::key("seq", out);
    json::integer(tag.seq.0, out);
    json::key("kind", out);
    json::string(event.kind.as_str(), out);
    json::key("track", out);
    json::integer(event.track.0, out);
    json::key("person", out);
    json::string_or_null(event.person.and_then(|p| person(site, p)), out);
    json::key("zone", out);
    json::string_or_null(event.zone.and_then(|z| zone(site, z)), out);
    json::key("x_m", out);
    json::float(event.place.at.x_m, out);
    json::key("y_m", out);
    json::float(event.place.at.y_m, out);
    json::key("level", out);
    json::string_or_null(site.levels.get(event.place.level.index()).map(|l| l.name.as_str()), out);
    json::key("person_p", out);
    json::float(event.person_p, out);
    json::key("other", out);
    match event.other {
        Some(track) => json::integer(track.0, out),
        None => json::null(out),
    }
    json::key("sensor", out);
    json::string_or_null(event.sensor.and_then(|s| sensor(site, s)), out);
    json::key("measured_t_s", out);
    json::seconds(event.measured.0, out);
    utc(at_utc, out);
    out.extend_from_slice(b"}\n");
}

/// Appends a cause as an object.
fn cause(site: &Site, cause: &Cause, out: &mut Vec<u8>) {
    out.push(b'{');
    json::key("trigger", out);
    trigger(site, &cause.trigger, out);
    json::key("sensor", out);
    json::string_or_null(cause.sensor.and_then(|s| sensor(site, s)), out);
    json::key("measured_t_s", out);
    match cause.measured {
        Some(at) => json::seconds(at.0, out),
        None => json::null(out),
    }
    json::key("bindings", out);
    out.push(b'{');
    for (name, to) in &cause.bindings {
        json::comma(out);
        json::string(name.as_str(), out);
        out.push(b':');
        entity(site, to, out);
    }
    out.push(b'}');
    json::key("conditions", out);
    out.push(b'[');
    for c in &cause.conditions {
        json::comma(out);
        out.push(b'{');
        json::key("offset", out);
        json::integer(u64::from(c.offset), out);
        json::key("truth", out);
        json::string(c.truth.as_str(), out);
        json::key("value", out);
        match c.value {
            Some(x) => json::float(x, out),
            None => json::null(out),
        }
        out.push(b'}');
    }
    out.push(b']');
    json::key("doubt", out);
    out.extend_from_slice(if cause.doubt { b"true" } else { b"false" });
    json::key("sightings", out);
    out.push(b'[');
    for (track, sighting) in &cause.sightings {
        json::comma(out);
        out.push(b'{');
        json::key("track", out);
        json::integer(track.0, out);
        json::key("sensor", out);
        json::string_or_null(sensor(site, sighting.sensor), out);
        json::key("measured_t_s", out);
        json::seconds(sighting.measured.0, out);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}

/// Appends what set a rule off: `kind`, and what it was about.
fn trigger(site: &Site, trigger: &Trigger, out: &mut Vec<u8>) {
    let kind = match trigger {
        Trigger::Event { .. } => "event",
        Trigger::Sensor(_) => "sensor",
        Trigger::Device(_) => "device",
        Trigger::Timer => "timer",
        Trigger::Clock => "clock",
        Trigger::Start => "start",
        Trigger::Operator => "operator",
    };
    out.push(b'{');
    json::key("kind", out);
    json::string(kind, out);
    match *trigger {
        Trigger::Event { kind, track, zone: at } => {
            json::key("event", out);
            json::string(kind.as_str(), out);
            json::key("track", out);
            json::integer(track.0, out);
            json::key("zone", out);
            json::string_or_null(at.and_then(|z| zone(site, z)), out);
        }
        Trigger::Sensor(s) => {
            json::key("sensor", out);
            json::string_or_null(sensor(site, s), out);
        }
        Trigger::Device(d) => {
            json::key("device", out);
            json::string_or_null(actuator(site, d), out);
        }
        Trigger::Timer | Trigger::Clock | Trigger::Start | Trigger::Operator => {}
    }
    out.push(b'}');
}

/// Appends what a rule's variable stood for.
fn entity(site: &Site, entity: &Entity, out: &mut Vec<u8>) {
    out.push(b'{');
    match *entity {
        Entity::Track { track, person: who, person_p } => {
            json::key("track", out);
            json::integer(track.0, out);
            json::key("person", out);
            json::string_or_null(who.and_then(|p| person(site, p)), out);
            json::key("person_p", out);
            json::float(person_p, out);
        }
        Entity::Person(p) => {
            json::key("person", out);
            json::string_or_null(person(site, p), out);
        }
        Entity::Zone(z) => {
            json::key("zone", out);
            json::string_or_null(zone(site, z), out);
        }
        Entity::Device(d) => {
            json::key("device", out);
            json::string_or_null(actuator(site, d), out);
        }
    }
    out.push(b'}');
}
