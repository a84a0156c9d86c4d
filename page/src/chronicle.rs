//! What happened lately, bounded: every event as its message, and every command with its cause, so that the page can be
//! told what it missed and why something was done.

use crate::latency::{Latency, Split};
use crate::note::{Note, Sight};
use crate::tell::Names;
use osmose_model::command::{Command, CommandId, Entity};
use osmose_model::ids::{ActuatorId, PersonId, RuleId, SensorId, TrackId, ZoneId};
use osmose_model::input::{Report, ShedReason, Tag};
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, LogicalNs};
use osmose_model::world::WorldEvent;
use osmose_replay::rulebook::{Rulebook, site_from};
use osmose_runtime::publish::Picture;
use osmose_runtime::tap::Timing;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Events of a running engine that are kept at most; and commands.
pub const EVENTS_MAX: usize = 4096;

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Told {
    /// At which input.
    pub tag: Tag,
    /// The message's entry.
    pub entry: Value,
    /// To which track.
    pub track: Option<TrackId>,
    /// In which zone.
    pub zone: Option<ZoneId>,
    /// To which device.
    pub device: Option<ActuatorId>,
    /// Seen by which sensor.
    pub sensor: Option<SensorId>,
    /// Which command it is.
    pub command: Option<CommandId>,
    /// What happened to the track.
    pub event: Option<WorldEvent>,
}

/// A command that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// At which input.
    pub tag: Tag,
    /// The command.
    pub command: Command,
    /// How long it took, where an engine measured that.
    pub timing: Option<Timing>,
    /// Where its time went in all, once its device has reported.
    pub split: Option<Split>,
}

impl Sent {
    /// From arrival to hand-over, microseconds.
    #[must_use]
    pub fn engine_us(&self) -> Option<u64> {
        self.timing.map(|t| us(t.received, t.sent))
    }
}

pub(crate) fn us(from: ArrivalNs, to: ArrivalNs) -> u64 {
    (to.since(from).0.max(0) / 1000) as u64
}

/// What happened lately.
#[derive(Debug)]
pub struct Chronicle {
    /// The site.
    pub site: Arc<Site>,
    /// The rules in force.
    pub book: Arc<Rulebook>,
    /// How long commands took.
    pub latency: Latency,
    /// The newest frame of each sensor.
    pub seen: BTreeMap<SensorId, Sight>,
    events: VecDeque<Told>,
    commands: BTreeMap<CommandId, Sent>,
    room: usize,
    /// By device: the command that its next report answers.
    unanswered: BTreeMap<ActuatorId, CommandId>,
    /// State inputs that newer ones replaced, bulk dropped, and what was lost of edge and safety.
    pub replaced: u64,
    /// Inputs that did not get in because their ring was full.
    pub dropped: u64,
    /// Inputs refused, by reason in words.
    pub refused: BTreeMap<&'static str, u64>,
    /// Notes that the page never got.
    pub lost: u64,
    /// By actuator: what was forbidden and overruled when a picture was looked at last; empty before the first.
    denied: Vec<[u32; 2]>,
}

impl Chronicle {
    /// Nothing has happened; room for [`EVENTS_MAX`].
    #[must_use]
    pub fn new(site: Arc<Site>, book: Arc<Rulebook>) -> Self {
        Self::with_room(site, book, EVENTS_MAX)
    }

    /// Nothing has happened; room for so many events, and as many commands.
    #[must_use]
    pub fn with_room(site: Arc<Site>, book: Arc<Rulebook>, room: usize) -> Self {
        Self {
            room,
            site,
            book,
            latency: Latency::default(),
            seen: BTreeMap::new(),
            events: VecDeque::new(),
            commands: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            replaced: 0,
            dropped: 0,
            refused: BTreeMap::new(),
            lost: 0,
            denied: Vec::new(),
        }
    }

    /// Names for messages.
    #[must_use]
    pub fn names(&self) -> Names<'_> {
        Names { site: &self.site, book: &self.book }
    }

    /// What is remembered, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Told> {
        self.events.iter()
    }

    /// A command that is remembered.
    #[must_use]
    pub fn command(&self, id: CommandId) -> Option<&Sent> {
        self.commands.get(&id)
    }

    /// Takes a note; gives the entry of an `events` message, where it is one.
    pub fn take(&mut self, note: Note) -> Option<Value> {
        match note {
            Note::Sight(sight) => {
                self.seen.insert(sight.sensor, sight);
                None
            }
            Note::Event(tag, event) => Some(self.event(tag, event)),
            Note::Command(tag, command, timing) => Some(self.sent(tag, *command, timing)),
            Note::Report(tag, report) => self.report(tag, &report),
            Note::Shed(tag, shed) => {
                let why = match shed.reason {
                    ShedReason::Replaced => "replaced",
                    ShedReason::Full => "full",
                    ShedReason::TooLate => "too_late",
                    ShedReason::Missing => "missing",
                };
                match shed.reason {
                    ShedReason::Replaced => self.replaced += shed.count,
                    ShedReason::Full => self.dropped += shed.count,
                    ShedReason::TooLate | ShedReason::Missing => *self.refused.entry(why).or_default() += shed.count,
                }
                let entry = json!({"seq": tag.seq.0, "t_s": seconds(tag.at), "kind": "shed", "reason": why,
                    "sensor": self.names().sensor(shed.sensor), "count": shed.count});
                Some(self.keep(Told { sensor: Some(shed.sensor), ..told(tag, entry) }))
            }
            Note::Gap(tag, gap) => {
                let entry = json!({"seq": tag.seq.0, "t_s": seconds(tag.at), "kind": "gap",
                    "from_s": seconds(gap.from), "lost": gap.lost});
                Some(self.keep(told(tag, entry)))
            }
            Note::Operator(tag, action) => {
                let what = self.names().operator(&action);
                let entry = json!({"seq": tag.seq.0, "t_s": seconds(tag.at), "kind": "operator", "why": what});
                Some(self.keep(told(tag, entry)))
            }
            Note::Rules(tag, files) => {
                self.site = site_from(&self.site, &files);
                self.book = Arc::new(Rulebook::new(&self.site, &files));
                self.latency.forget_rules();
                let entry = json!({"seq": tag.seq.0, "t_s": seconds(tag.at), "kind": "rules"});
                Some(self.keep(told(tag, entry)))
            }
            Note::Lost(n) => {
                self.lost += n;
                Some(json!({"kind": "unseen", "count": n}))
            }
        }
    }

    /// What was denied since the last picture: one entry of an `events` message for each device and way.
    pub fn denied(&mut self, picture: &Picture) -> Vec<Value> {
        let before = std::mem::replace(&mut self.denied, picture.denied.clone());
        let mut news = Vec::new();
        for (i, (now, before)) in picture.denied.iter().zip(&before).enumerate() {
            let id = ActuatorId(i as u16);
            let holder = picture.devices.get(i).and_then(|d| d.iter().find_map(|p| p.held_by));
            for (n, word) in
                [(now[0].saturating_sub(before[0]), "forbidden"), (now[1].saturating_sub(before[1]), "overruled")]
            {
                if n == 0 {
                    continue;
                }
                let names = self.names();
                let while_held =
                    holder.map_or_else(String::new, |(rule, _)| format!(": {} holds it", names.book.name(rule)));
                let (many, device) = (if n == 1 { "command" } else { "commands" }, names.device(id));
                let entry = json!({"seq": picture.tag.seq.0, "t_s": seconds(picture.tag.at), "kind": "denied",
                    "device": device, "zone": names.site.actuators[i].zone.map(|z| names.zone(z)), "count": n,
                    "level": holder.and_then(|(rule, _)| names.level(Some(rule))),
                    "why": format!("{n} {many} to {device} {word}{while_held}")});
                news.push(self.keep(Told { device: Some(id), ..told(picture.tag, entry) }));
            }
        }
        news
    }

    fn keep(&mut self, told: Told) -> Value {
        let entry = told.entry.clone();
        if self.events.len() >= self.room {
            self.events.pop_front();
        }
        self.events.push_back(told);
        entry
    }

    fn event(&mut self, tag: Tag, e: WorldEvent) -> Value {
        let names = self.names();
        let entry = json!({"seq": tag.seq.0, "t_s": seconds(tag.at), "kind": e.kind.as_str(), "track": e.track.0,
            "person": e.person.map(|p| names.person(p)), "person_p": e.person_p, "zone": e.zone.map(|z| names.zone(z)),
            "x_m": e.place.at.x_m, "y_m": e.place.at.y_m, "sensor": e.sensor.map(|s| names.sensor(s)),
            "measured_s": seconds(e.measured), "why": names.event(&e)});
        let told = Told { track: Some(e.track), zone: e.zone, sensor: e.sensor, event: Some(e), ..told(tag, entry) };
        self.keep(told)
    }

    fn sent(&mut self, tag: Tag, c: Command, timing: Option<Timing>) -> Value {
        let names = self.names();
        let about = names.about(&c);
        let (zone, budget_us) = (names.place(&c), names.budget_us(c.rule));
        let engine_us = timing.map(|t| us(t.received, t.sent));
        let is_late = engine_us.is_some_and(|e| e > budget_us);
        let args: Map<String, Value> = c.args.iter().map(|(n, v)| (n.to_string(), names.value(v).into())).collect();
        let entry = json!({
            "seq": tag.seq.0, "t_s": seconds(c.at), "kind": "command", "id": c.id.to_string(),
            "rule": names.sender(&c), "level": names.level(c.rule), "zone": zone.map(|z| names.zone(z)),
            "track": about.map(|(t, ..)| t.0), "person": about.and_then(|(_, p, _)| p).map(|p| names.person(p)),
            "why": names.why(&c), "device": names.device(c.device), "command": c.verb.as_str(), "args": args,
            "written": names.args(&c.args), "sensor": c.cause.sensor.map(|s| names.sensor(s)),
            "doubt": c.cause.doubt, "engine_us": engine_us, "budget_us": budget_us, "late": is_late,
            "blame": timing.filter(|_| is_late).map(blame), "human_us": Value::Null,
        });
        if let Some(engine_us) = engine_us {
            self.latency.sent(c.id, c.rule, c.at, engine_us, is_late);
        }
        if self.commands.len() >= self.room {
            self.commands.pop_first();
        }
        let told = Told {
            track: about.map(|(t, ..)| t),
            zone,
            device: Some(c.device),
            sensor: c.cause.sensor,
            command: Some(c.id),
            ..told(tag, entry)
        };
        self.unanswered.insert(c.device, c.id);
        self.commands.insert(c.id, Sent { tag, command: c, timing, split: None });
        self.keep(told)
    }

    /// A device's report answers its last command; that gives the command its human time.
    fn report(&mut self, tag: Tag, report: &Report) -> Option<Value> {
        let id = self.unanswered.remove(&report.actuator)?;
        let sent = self.commands.get_mut(&id)?;
        let (measured, timing) = (sent.command.cause.measured?, sent.timing?);
        let between = |a: LogicalNs, b: LogicalNs| (b.since(a).0.max(0) / 1000) as u64;
        let split = Split {
            sensing: between(measured, sent.tag.at),
            settle: between(sent.tag.at, sent.command.at),
            engine: us(timing.received, timing.sent),
            device: us(timing.sent, ArrivalNs(tag.at.0)),
        };
        sent.split = Some(split);
        self.latency.reported(id, split);
        let human_us = split.sensing + split.settle + split.engine + split.device;
        let entry = json!({"seq": tag.seq.0, "kind": "report", "id": id.to_string(), "human_us": human_us,
            "device_us": split.device});
        if let Some(told) = self.events.iter_mut().rev().find(|t| t.command == Some(id))
            && let Some(entry) = told.entry.as_object_mut()
        {
            entry.insert("human_us".into(), human_us.into());
        }
        Some(entry)
    }

    /// The tracks, zones and people that a command's rule had in hand.
    #[must_use]
    pub fn bound(command: &Command) -> Vec<(TrackId, Option<PersonId>, f64)> {
        let of = |(_, e): &(_, Entity)| match *e {
            Entity::Track { track, person, person_p } => Some((track, person, person_p)),
            _ => None,
        };
        command.cause.bindings.iter().filter_map(of).collect()
    }

    /// The `events` message of what came behind an input; `None` where that is not remembered in full.
    #[must_use]
    pub fn since(&self, seq: u64) -> Option<Value> {
        let whole = self.events.len() < self.room || self.events.front().is_some_and(|t| t.tag.seq.0 <= seq);
        let list: Vec<&Value> = self.events.iter().filter(|t| t.tag.seq.0 > seq).map(|t| &t.entry).collect();
        whole.then(|| json!({"type": "events", "list": list}))
    }

    /// The `events` message of the last `n`, and of as many commands as came before them, marked as past: where people
    /// walk and nothing is to be done, what was done last is worth knowing still.
    #[must_use]
    pub fn last(&self, n: usize) -> Value {
        let from = self.events.len().saturating_sub(n);
        let is_done = |t: &&Told| t.command.is_some() || t.entry["kind"] == "denied";
        let mut before: Vec<&Value> =
            self.events.range(..from).rev().filter(is_done).take(n).map(|t| &t.entry).collect();
        before.reverse();
        before.extend(self.events.range(from..).map(|t| &t.entry));
        json!({"type": "events", "past": true, "list": before})
    }

    /// A rule's number by its name.
    #[must_use]
    pub fn rule_named(&self, name: &str) -> Option<RuleId> {
        self.book.program()?.rule_named(name)
    }
}

fn told(tag: Tag, entry: Value) -> Told {
    Told { tag, entry, track: None, zone: None, device: None, sensor: None, command: None, event: None }
}

pub(crate) fn seconds(at: LogicalNs) -> f64 {
    (at.0 as f64 / 1e6).round() / 1e3
}

/// Which part of the way took longest.
fn blame(t: Timing) -> String {
    let parts = [
        ("waiting", us(t.read, t.step_start)),
        ("deciding", us(t.step_start, t.step_end)),
        ("hand-over", us(t.step_end, t.sent)),
    ];
    let (what, us) = parts.into_iter().max_by_key(|(_, us)| *us).unwrap_or(("waiting", 0));
    format!("{what} took {:.2} ms of it", us as f64 / 1e3)
}
