//! `osmose why --command`: command <- rule <- conditions <- track and identity <- sensor frames, each link with its
//! time, its latency, and whether it was recorded or is found out now.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the question and the answer, for people and for programs |
//! | `heard.rs` | what the trace says up to and at the command |
//! | `seen.rs` | what running the code again shows of the time before it |
//! | `links.rs` | the links in words |

mod heard;
mod links;
mod seen;
#[cfg(test)]
mod tests;

pub use heard::ANSWER_MAX;

use super::WhyError;
use crate::drive::{Watch, Workshop};
use crate::rulebook::Rulebook;
use crate::trace::recording::{Items, Recording};
use crate::words;
use heard::{Heard, listen};
use links::micros;
use osmose_drivers::lines;
use osmose_model::canon;
use osmose_model::command::{Command, CommandId, Trigger};
use osmose_model::geometry::Place;
use osmose_model::ids::{ActuatorId, RuleId, SensorId, TrackId, ZoneId};
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Where a link comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was recorded then.
    Recorded,
    /// The code finds it out now, from what was recorded.
    Recomputed,
}

impl Origin {
    /// The word in the output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Recomputed => "recomputed",
        }
    }
}

/// One link of the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// `command`, `rule`, `condition`, `track`, `identity`, `frame`, `sensor`.
    pub kind: &'static str,
    /// Where it comes from.
    pub origin: Origin,
    /// When, where it has a time.
    pub at: Option<LogicalNs>,
    /// The input that it is, where it is one.
    pub seq: Option<u64>,
    /// How long this link took, where that is known: a command from its input read to handed over, a rule from its
    /// input to its command (what it waits for by itself), an event from being true to being known, a frame from being
    /// measured to arriving.
    pub latency: Option<DurationNs>,
    /// How long before the command it was true.
    pub before: Option<DurationNs>,
    /// What it is, in a few words.
    pub title: String,
    /// In words.
    pub text: String,
    /// What it is about, for whoever draws it.
    pub about: About,
}

impl Link {
    fn new(kind: &'static str, origin: Origin, title: String, text: String) -> Self {
        let about = About::default();
        Self { kind, origin, at: None, seq: None, latency: None, before: None, title, text, about }
    }
}

/// What a link is about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct About {
    /// A sensor.
    pub sensor: Option<SensorId>,
    /// Somebody.
    pub track: Option<TrackId>,
    /// A room.
    pub zone: Option<ZoneId>,
    /// A device.
    pub device: Option<ActuatorId>,
    /// A place.
    pub place: Option<Place>,
    /// Where a condition stands in its rule's file, bytes.
    pub offset: Option<u32>,
    /// Whether it was as it should be: a condition held, a sample and a command came in time, a sensor is alive.
    pub is_ok: Option<bool>,
}

/// The whole answer.
#[derive(Clone, Debug)]
pub struct Why {
    /// The command, as `--commands` writes it.
    pub command: Value,
    /// The answer in sentences: what was done because of what, and where the time went.
    pub answer: Vec<String>,
    /// From the command back to what sensors saw.
    pub links: Vec<Link>,
    /// What is to be known about the recomputed links.
    pub caution: Option<String>,
    /// The command itself, and what the trace says about its way.
    pub told: Told,
    /// The wall clock, where the log has one.
    wall: words::Tied,
}

/// A command and what the trace says about its way, for whoever wants more than sentences.
#[derive(Clone, Debug)]
pub struct Told {
    /// The site.
    pub site: Arc<Site>,
    /// The rules in force.
    pub book: Rulebook,
    /// The command.
    pub command: Command,
    /// How long each hop through the engine took, nanoseconds; empty where no running engine recorded it.
    pub hops: Vec<(String, u64)>,
    /// When the deciding sample was true and when it arrived, where a sample decided.
    pub sample: Option<(LogicalNs, LogicalNs)>,
    /// When the device first said something of itself afterwards, within [`ANSWER_MAX`], and what.
    pub answered: Option<(LogicalNs, String)>,
}

/// Explains a command of a trace, or of a folder of them.
///
/// # Errors
/// [`WhyError`].
pub fn why(path: &Path, id: CommandId, watch: &mut dyn Watch) -> Result<Why, WhyError> {
    explain(path, id, None, watch)
}

/// The same, looking back no further than this for what happened to the command's people: at a day's trace that takes
/// a fraction of a second, where the whole story takes seconds.
///
/// # Errors
/// [`WhyError`].
pub fn why_within(path: &Path, id: CommandId, back: DurationNs) -> Result<Why, WhyError> {
    explain(path, id, Some(back), &mut ())
}

fn explain(path: &Path, id: CommandId, back: Option<DurationNs>, watch: &mut dyn Watch) -> Result<Why, WhyError> {
    let mut recording = Recording::open(path)?;
    let heard = listen(&mut recording, id, back, watch)?;
    let Some(command) = &heard.command else {
        let near = match heard.last {
            Some(last) => format!("; the last one before it is {last}"),
            None if !recording.meta().has_decisions => {
                " (it is an import, without decisions: `osmose trace index` runs it once and records them)".to_owned()
            }
            None => String::new(),
        };
        return Err(WhyError::NoCommand { id: id.to_string(), near });
    };
    let workshop = crate::drive::Osmose::of_files(recording.files())?;
    let site = workshop.site().clone();
    let own: Vec<_> = site.rule_files().cloned().collect();
    let files = heard.rules.as_deref().and_then(|f| canon::decode_files(f).ok()).unwrap_or(own);
    let book = Rulebook::new(&site, &files);
    let mut all = vec![links::of_command(&site, &book, command, &heard)];
    all.extend(links::of_rule(&site, &book, command));
    all.extend(links::of_conditions(&book, command));
    let tracks = links::tracks_of(command);
    for track in &tracks {
        all.extend(links::of_track(&site, *track, command, &heard));
    }
    all.extend(heard.deciding.map(|d| links::of_deciding(&site, d, command)));
    let (wall, caution, late) = match seen::before(&mut recording, command, &tracks, watch) {
        Ok(seen) => {
            all.extend(links::of_sightings(&site, command, &seen.frames));
            all.extend(seen.sensors.iter().map(|(id, s)| links::of_sensor(&site, *id, s, command)));
            let late = heard.deciding.and_then(|d| seen.sensors.get(&d.sensor?)?.lateness(d.tag.at.since(d.measured)));
            (seen.wall, seen.caution, late)
        }
        Err(error) => (None, Some(format!("what stands before the deciding input cannot be found out: {error}")), None),
    };
    let build = recording.other_build();
    let other =
        build.map(|why| format!("another build recorded this trace ({why}): recomputed links are this build's"));
    let mut line = Vec::new();
    let name = |rule: RuleId| book.program().and_then(|p| p.rule(rule)).map_or("", |r| r.name.as_str());
    lines::encode_commands_line(&site, &name, command, None, &mut line);
    let answer = answer(&site, &book, command, &heard, late, wall);
    let decided = heard.deciding.filter(|d| d.sensor.is_some());
    let told = Told {
        site,
        book,
        command: command.clone(),
        hops: heard.hops.clone(),
        sample: decided.map(|d| (d.measured, d.tag.at)),
        answered: heard.answered.clone(),
    };
    let command = serde_json::from_slice(&line).unwrap_or(Value::Null);
    let caution = [other, caution].into_iter().flatten().collect::<Vec<_>>().join("; ");
    Ok(Why { command, answer, links: all, caution: (!caution.is_empty()).then_some(caution), told, wall })
}

/// What was done because of what, and where the time went.
fn answer(
    site: &Site,
    book: &Rulebook,
    c: &Command,
    heard: &Heard,
    late: Option<String>,
    wall: words::Tied,
) -> Vec<String> {
    let what =
        format!("At {}, {} sent {}", words::instant(c.at, wall), words::sender(book, c), words::command(site, c));
    let event = heard.events.iter().find(|(_, e)| match c.cause.trigger {
        Trigger::Event { kind, track, zone } => (e.kind, e.track, e.zone) == (kind, track, zone),
        _ => false,
    });
    let because = match (event, &c.cause.trigger, links::of_conditions(book, c).first()) {
        (Some((_, e)), ..) => words::event(site, e),
        (None, Trigger::Timer, Some(condition)) => format!("its time was up; {}", condition.text),
        (None, trigger, _) => words::trigger(site, trigger),
    };
    let mut all = vec![format!("{what}, because of this: {because}.")];
    if let Some(d) = heard.deciding.filter(|d| d.sensor.is_some()) {
        let sensor = d.sensor.map_or("a sensor", |s| words::sensor(site, s));
        let (way, rest) = (d.tag.at.since(d.measured), c.at.since(d.tag.at));
        let mut text = format!(
            "From the sample of {sensor} that decided, measured at {}, to the command {} passed: {} until it arrived, {} that the rule waited",
            words::instant(d.measured, wall),
            words::span(c.at.since(d.measured)),
            words::span(way),
            words::span(rest)
        );
        text += &match heard.total_ns() {
            Some(ns) => format!(", and {} in the engine.", micros(ns)),
            None => ", and in the engine what was not recorded.".to_owned(),
        };
        all.push(text);
        all.extend(late.map(|l| format!("That sample was late: {l}.")));
    }
    if c.cause.doubt {
        all.push("It was decided by doubt: somebody lost, or not surely known, was read as leaving.".to_owned());
    }
    all
}

impl Why {
    /// The instant and local time of day that the trace's times are tied by, where it has a wall clock.
    pub(crate) const fn wall(&self) -> words::Tied {
        self.wall
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let link = |l: &Link| {
            json!({"kind": l.kind, "origin": l.origin.as_str(), "t_s": l.at.map(|t| t.0 as f64 / 1e9),
                "time_of_day": l.at.and_then(|t| words::time_of_day(t, self.wall)), "seq": l.seq,
                "latency_s": l.latency.map(DurationNs::as_s_f64), "before_s": l.before.map(DurationNs::as_s_f64),
                "text": l.text})
        };
        json!({"command": self.command, "answer": self.answer,
            "chain": self.links.iter().map(link).collect::<Vec<_>>(), "caution": self.caution})
    }

    /// For people. Ends with a newline.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for sentence in &self.answer {
            text += &format!("{sentence}\n");
        }
        let mut kind = "";
        for l in &self.links {
            if l.kind != kind {
                text += &format!("\n{}\n", l.kind);
            }
            kind = l.kind;
            let at = l.at.map_or_else(String::new, words::seconds);
            let seq = l.seq.map_or_else(String::new, |s| format!("input {s}, "));
            let took = match (l.kind, l.latency) {
                ("track" | "identity", Some(d)) => Some(format!("known {} after it was true", words::span(d))),
                ("frame", Some(d)) => Some(format!("arrived {} after it was measured", words::span(d))),
                _ => None,
            };
            let before =
                l.before.filter(|_| l.kind != "sensor").map(|d| format!("{} before the command", words::span(d)));
            let times = [took, before].into_iter().flatten().collect::<Vec<_>>().join(", ");
            let times = if times.is_empty() { times } else { format!(" [{times}]") };
            text += &format!("{at:>12}  {seq}{}{times} ({})\n", l.text, l.origin.as_str());
        }
        if let Some(caution) = &self.caution {
            text += &format!("\nnote: {caution}\n");
        }
        text
    }
}
