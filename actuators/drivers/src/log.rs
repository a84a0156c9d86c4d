//! Commands as lines for people: what is sent to a device of `connect = "log"`, and what `--dry-run` shows.
//!
//! `12.345 s  m7.recorder.pause(reason: "ana left")  by pause-recording  as ana (track 5) leaves m7, seen by uwb at 12.3 s`

use crate::{RuleNames, json};
use osmose_model::command::{Command, Entity, Trigger, Value};
use osmose_model::ids::{PersonId, TrackId};
use osmose_model::site::Site;
use std::io::{self, Write};

/// Writes commands as lines for people. What could not be written is counted and returned.
#[derive(Debug)]
pub struct LogOut<W> {
    to: W,
    line: Vec<u8>,
    written: u64,
    errors: u64,
}

impl<W: Write> LogOut<W> {
    /// A log that writes to `to`, one whole line per call.
    pub fn new(to: W) -> Self {
        Self { to, line: Vec::with_capacity(1024), written: 0, errors: 0 }
    }

    /// Writes one command.
    ///
    /// # Errors
    /// What the writer says; counted as well.
    pub fn write(&mut self, site: &Site, rules: &RuleNames<'_>, command: &Command) -> io::Result<()> {
        self.line.clear();
        encode_log_line(site, rules, command, &mut self.line);
        match self.to.write_all(&self.line) {
            Ok(()) => self.written += 1,
            Err(e) => {
                self.errors += 1;
                return Err(e);
            }
        }
        Ok(())
    }

    /// Lines written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Lines that could not be written.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// The writer.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.to
    }
}

fn put(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

fn put_number(n: u64, out: &mut Vec<u8>) {
    json::integer(n, out);
}

fn person(site: &Site, id: PersonId) -> &str {
    site.people.get(id.index()).map_or("?", |p| p.name.as_str())
}

/// Appends `track 5`.
fn track(id: TrackId, out: &mut Vec<u8>) {
    put("track ", out);
    put_number(id.0, out);
}

/// Appends a command as one line for people, with its newline.
pub fn encode_log_line(site: &Site, rules: &RuleNames<'_>, command: &Command, out: &mut Vec<u8>) {
    json::seconds(command.at.0, out);
    put(" s  ", out);
    put(site.actuators.get(command.device.index()).map_or("?", |a| a.name.as_str()), out);
    put(".", out);
    put(command.verb.as_str(), out);
    put("(", out);
    for (i, (name, v)) in command.args.iter().enumerate() {
        put(if i > 0 { ", " } else { "" }, out);
        put(name.as_str(), out);
        put(": ", out);
        value(site, v, out);
    }
    put(")", out);
    match (command.rule, command.cause.trigger) {
        (Some(rule), _) => {
            put("  by ", out);
            put(rules(rule), out);
        }
        (None, Trigger::Operator) => put("  by hand", out),
        (None, _) => put("  back to its default", out),
    }
    because(site, command, out);
    out.push(b'\n');
}

fn value(site: &Site, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Bool(b) => put(if *b { "true" } else { "false" }, out),
        Value::Number(x) => json::float(*x, out),
        Value::Name(n) => put(n.as_str(), out),
        // Quoted and escaped: a text may hold anything, and a log line is one line.
        Value::Text(t) => json::string(t.as_str(), out),
        Value::Person(p) => put(person(site, *p), out),
        Value::Zone(z) => put(site.zones.get(z.index()).map_or("?", |z| z.name.as_str()), out),
        Value::Track(t) => track(*t, out),
    }
}

/// Appends what set it off, in words.
fn because(site: &Site, command: &Command, out: &mut Vec<u8>) {
    let cause = &command.cause;
    match cause.trigger {
        Trigger::Event { kind, track: id, zone } => {
            put("  as ", out);
            let who = cause.bindings.iter().find_map(|(_, e)| match e {
                Entity::Track { track, person: Some(p), .. } if *track == id => Some(*p),
                _ => None,
            });
            if let Some(p) = who {
                put(person(site, p), out);
                put(" (", out);
            }
            track(id, out);
            put(if who.is_some() { ") " } else { " " }, out);
            put(kind.as_str(), out);
            if let Some(z) = zone {
                put(" ", out);
                put(site.zones.get(z.index()).map_or("?", |z| z.name.as_str()), out);
            }
        }
        Trigger::Sensor(s) => {
            put("  as ", out);
            put(site.sensors.get(s.index()).map_or("?", |s| s.name.as_str()), out);
            put(" changes", out);
        }
        Trigger::Device(d) => {
            put("  as ", out);
            put(site.actuators.get(d.index()).map_or("?", |a| a.name.as_str()), out);
            put(" changes", out);
        }
        Trigger::Timer => put("  as a timer is due", out),
        Trigger::Clock => put("  at its time of day", out),
        Trigger::Start => put("  at the start", out),
        Trigger::Operator => {}
    }
    if let Some(s) = cause.sensor {
        put(", seen by ", out);
        put(site.sensors.get(s.index()).map_or("?", |s| s.name.as_str()), out);
    }
    if let Some(at) = cause.measured {
        put(" at ", out);
        json::seconds(at.0, out);
        put(" s", out);
    }
    if cause.doubt {
        put(", in doubt", out);
    }
}
