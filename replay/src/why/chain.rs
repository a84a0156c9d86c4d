//! `osmose why --command`: command <- rule <- conditions <- track and identity <- sensor frames, each link with its
//! time, its latency, and whether it was recorded or is found out now.

use super::WhyError;
use crate::drive::Workshop;
use crate::drive::walk::{Walk, Walked};
use crate::rulebook::Rulebook;
use crate::trace::codec::{self, Record};
use crate::trace::format::{Build, Topic};
use crate::trace::read::Item;
use crate::trace::recording::{Items, Recording};
use crate::words;
use osmose_drivers::lines;
use osmose_model::canon;
use osmose_model::command::{Command, CommandId, Entity, Trigger};
use osmose_model::geometry::Place;
use osmose_model::ids::{RuleId, SensorId, TrackId, ZoneId};
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Sighting, WorldEvent, WorldView};
use osmose_rules::eval::explain::Gauge;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

/// How far before a command the frames that moved its people are looked for.
const BEFORE: DurationNs = DurationNs::from_s(5);
/// Most frames told for one track.
const FRAMES_MAX: usize = 5;
/// How far before a command a sensor's usual delay is learnt from.
const USUAL: DurationNs = DurationNs::from_s(60);
/// What arrives this many times later than usual, and [`SLOW`] at least, is told as late.
const SLOW_TIMES: i64 = 3;
/// What arrives sooner than this is never late.
const SLOW: DurationNs = DurationNs::from_ms(20);
/// Most tracks whose events are remembered on the way to the command.
const TRACKS_MAX: usize = 100_000;

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
    /// In words.
    pub text: String,
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    /// The command, as `--commands` writes it.
    pub command: Value,
    /// The answer in sentences: what was done because of what, and where the time went.
    pub answer: Vec<String>,
    /// From the command back to what sensors saw.
    pub links: Vec<Link>,
    /// What is to be known about the recomputed links.
    pub caution: Option<String>,
    /// The wall clock, where the log has one.
    wall: words::Tied,
}

/// What the trace says up to and at the command.
struct Heard {
    command: Option<Command>,
    /// The files of the last installation before it.
    rules: Option<Vec<u8>>,
    /// Of each track: the last event of each kind.
    tracks: BTreeMap<TrackId, BTreeMap<EventKind, (Tag, WorldEvent)>>,
    /// Events of the deciding input.
    events: Vec<(Tag, WorldEvent)>,
    deciding: Option<Deciding>,
    hops: Vec<(String, u64)>,
    last: Option<CommandId>,
}

/// The input that decided.
#[derive(Clone, Copy)]
struct Deciding {
    tag: Tag,
    sensor: Option<SensorId>,
    measured: LogicalNs,
    source_seq: Option<u64>,
    what: &'static str,
}

fn deciding(tag: Tag, input: &Input<'_>) -> Deciding {
    let what = match input {
        Input::Observation(o) => o.body.kind().as_str(),
        Input::Tick => "a timer was due",
        Input::Anchor(_) => "the wall clock was set",
        Input::Report(_) => "a device's report",
        Input::RulesInstalled { .. } => "rules were installed",
        Input::Gap(_) => "a gap",
        Input::Operator(_) => "an operator's action",
        Input::SiteInstalled { .. } | Input::Named { .. } | Input::Shed(_) => "a note",
    };
    let o = input.observation();
    let measured = o.map_or(tag.at, |o| o.measured);
    Deciding { tag, sensor: o.map(|o| o.sensor), measured, source_seq: input.source_seq(), what }
}

/// Explains a command of a trace, or of a folder of them.
///
/// # Errors
/// [`WhyError`].
pub fn why(path: &Path, id: CommandId) -> Result<Why, WhyError> {
    let mut recording = Recording::open(path)?;
    let heard = listen(&mut recording, id)?;
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
    let mut links = vec![of_command(&site, &book, command, &heard)];
    links.extend(of_rule(&site, &book, command));
    links.extend(of_conditions(&book, command));
    let tracks = tracks_of(command);
    for track in &tracks {
        links.extend(of_track(&site, *track, command, &heard));
    }
    links.extend(heard.deciding.map(|d| of_deciding(&site, d, command)));
    let (wall, caution, late) = match before(&mut recording, command, &tracks) {
        Ok(seen) => {
            links.extend(of_sightings(&site, command, &seen.frames));
            links.extend(seen.sensors.iter().map(|(id, s)| of_sensor(&site, *id, s, command)));
            let late = heard.deciding.and_then(|d| seen.sensors.get(&d.sensor?)?.lateness(d.tag.at.since(d.measured)));
            (seen.wall, seen.caution, late)
        }
        Err(error) => (None, Some(format!("what stands before the deciding input cannot be found out: {error}")), None),
    };
    let build = recording.meta().build.differs_from(&Build::this());
    let other =
        build.map(|why| format!("another build recorded this trace ({why}): recomputed links are this build's"));
    let mut line = Vec::new();
    let name = |rule: RuleId| book.program().and_then(|p| p.rule(rule)).map_or("", |r| r.name.as_str());
    lines::encode_commands_line(&site, &name, command, None, &mut line);
    let answer = answer(&site, &book, command, &heard, late, wall);
    let command = serde_json::from_slice(&line).unwrap_or(Value::Null);
    let caution = [other, caution].into_iter().flatten().collect::<Vec<_>>().join("; ");
    Ok(Why { command, answer, links, caution: (!caution.is_empty()).then_some(caution), wall })
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
    let because = match (event, &c.cause.trigger, of_conditions(book, c).first()) {
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
        text += &match total(heard) {
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

/// Nanoseconds from the input read to the command handed over, where a running engine recorded them.
fn total(heard: &Heard) -> Option<u64> {
    (!heard.hops.is_empty()).then(|| heard.hops.iter().map(|(_, ns)| ns).sum())
}

/// Reads up to the command and what its input made.
fn listen(recording: &mut Recording, id: CommandId) -> Result<Heard, WhyError> {
    let mut heard = Heard {
        command: None,
        rules: None,
        tracks: BTreeMap::new(),
        events: Vec::new(),
        deciding: None,
        hops: Vec::new(),
        last: None,
    };
    let (mut scan, low) = (ScanBuf::new(), id.seq.0 as u32);
    while let Some(item) = recording.next_item()? {
        let Item::Record(raw) = item else { continue };
        // Most of a trace are inputs of no interest: their number is in the record's head, and an installation of
        // rules is larger than any tick.
        if raw.topic == Topic::Input && raw.sequence != low && !may_install(raw.data) {
            if heard.command.is_some() {
                break;
            }
            continue;
        }
        let Ok(record) = codec::decode(&raw, &mut scan) else { continue };
        match record {
            Record::Input { tag, input } => {
                if tag.seq > id.seq {
                    break;
                }
                if let Input::RulesInstalled { files } = input {
                    heard.rules = Some(files.to_owned());
                }
                if tag.seq == id.seq {
                    heard.deciding = Some(deciding(tag, &input));
                }
            }
            Record::Event { tag, event } => {
                if tag.seq == id.seq {
                    heard.events.push((tag, event));
                }
                if heard.tracks.len() < TRACKS_MAX || heard.tracks.contains_key(&event.track) {
                    heard.tracks.entry(event.track).or_default().insert(event.kind, (tag, event));
                }
            }
            Record::Command(c) if c.id == id => heard.command = Some(*c),
            Record::Command(c) if c.id < id => heard.last = Some(c.id),
            Record::Latency(l) if raw.sequence == low && l.count == 1 => heard.hops.push((l.hop.to_owned(), l.max_ns)),
            _ => {}
        }
    }
    Ok(heard)
}

/// Whether an input may be an installation of rules: those carry the text of files.
fn may_install(data: &[u8]) -> bool {
    const EDITION: &[u8] = b".rules";
    data.len() > 64 && data.windows(EDITION.len()).any(|w| w == EDITION)
}

fn tracks_of(command: &Command) -> Vec<TrackId> {
    let bound = command.cause.bindings.iter().filter_map(|(_, e)| match e {
        Entity::Track { track, .. } => Some(*track),
        _ => None,
    });
    let event = match command.cause.trigger {
        Trigger::Event { track, .. } => Some(track),
        _ => None,
    };
    let mut tracks: Vec<TrackId> = bound.chain(event).collect();
    tracks.sort_unstable();
    tracks.dedup();
    tracks
}

fn of_command(site: &Site, book: &Rulebook, c: &Command, heard: &Heard) -> Link {
    let mut text = format!("{} by {}", words::command(site, c), words::sender(book, c));
    let total = total(heard);
    match total {
        None => text += "; how long the engine took was not recorded (no running engine, or an older one)",
        Some(total) => {
            let hops: Vec<String> = heard.hops.iter().map(|(hop, ns)| format!("{hop} {}", micros(*ns))).collect();
            text += &format!("; handed over {} after its input was read ({})", micros(total), hops.join(", "));
        }
    }
    let latency = total.map(|ns| DurationNs(i64::try_from(ns).unwrap_or(i64::MAX)));
    let (at, seq) = (Some(c.at), Some(c.id.seq.0));
    Link { kind: "command", origin: Origin::Recorded, at, seq, latency, before: None, text }
}

fn micros(ns: u64) -> String {
    format!("{:.1} us", ns as f64 / 1e3)
}

fn of_rule(site: &Site, book: &Rulebook, c: &Command) -> Vec<Link> {
    let link =
        |origin, text| Link { kind: "rule", origin, at: Some(c.at), seq: None, latency: None, before: None, text };
    let mut links = Vec::new();
    if let Some(rule) = c.rule {
        let place = book.place(rule).map_or_else(String::new, |p| format!(", {}:{}", p.file, p.line));
        let level = book.level(rule).map_or_else(String::new, |l| format!(", level {l}"));
        // The number is recorded; its name is what the recorded rule files make of it.
        links.push(link(Origin::Recomputed, format!("{}{level}{place}", book.name(rule))));
    }
    links.push(link(Origin::Recorded, format!("set off by {}", words::trigger(site, &c.cause.trigger))));
    for (name, e) in &c.cause.bindings {
        links.push(link(Origin::Recorded, format!("{name} = {}", words::entity(site, e))));
    }
    if c.cause.doubt {
        links.push(link(
            Origin::Recorded,
            "doubt decided: somebody lost, or not surely known, was read as leaving".to_owned(),
        ));
    }
    links
}

fn of_conditions(book: &Rulebook, c: &Command) -> Vec<Link> {
    let offsets: Vec<u32> = c.cause.conditions.iter().map(|x| x.offset).collect();
    let one = |x: &osmose_model::command::ConditionValue| {
        let at = c.rule.and_then(|r| book.condition(r, x.offset, &offsets));
        let written = at.map_or_else(
            || format!("the condition at byte {}", x.offset),
            |at| format!("{} ({}:{}:{})", at.text, at.file, at.line, at.column),
        );
        let value = x.value.map_or_else(String::new, |v| format!(", measured {v}"));
        let text = format!("{}: {written}{value}", x.truth.as_str());
        let (kind, origin, at) = ("condition", Origin::Recorded, Some(c.at));
        Link { kind, origin, at, seq: None, latency: None, before: None, text }
    };
    c.cause.conditions.iter().map(one).collect()
}

/// What happened to a track at the command, and how it came to be there and to be who it is.
fn of_track(site: &Site, track: TrackId, c: &Command, heard: &Heard) -> Vec<Link> {
    let link = |kind, (tag, event): &(Tag, WorldEvent)| Link {
        kind,
        origin: Origin::Recorded,
        at: Some(tag.at),
        seq: Some(tag.seq.0),
        latency: Some(tag.at.since(event.measured)),
        before: Some(c.at.since(event.measured)),
        text: words::event(site, event),
    };
    let mut links: Vec<Link> =
        heard.events.iter().filter(|(_, e)| e.track == track).map(|e| link("track", e)).collect();
    let Some(kinds) = heard.tracks.get(&track) else { return links };
    for (kind, event) in kinds.iter().filter(|(_, (tag, _))| tag.seq < c.id.seq) {
        let is = if matches!(kind, EventKind::Identified | EventKind::Swapped) { "identity" } else { "track" };
        links.push(link(is, event));
    }
    links.sort_by_key(|l| std::cmp::Reverse(l.seq));
    links
}

fn of_deciding(site: &Site, d: Deciding, c: &Command) -> Link {
    let number = d.source_seq.map_or_else(String::new, |n| format!(", its number {n}"));
    let text = match d.sensor {
        Some(s) => {
            format!(
                "{} ({}){number}: measured at {}; it decided",
                words::sensor(site, s),
                d.what,
                words::seconds(d.measured)
            )
        }
        None => format!("{}{number}; it decided", d.what),
    };
    let latency = d.sensor.map(|_| d.tag.at.since(d.measured));
    let (at, seq, before) = (Some(d.tag.at), Some(d.tag.seq.0), Some(c.at.since(d.measured)));
    Link { kind: "frame", origin: Origin::Recorded, at, seq, latency, before, text }
}

/// A frame that moved somebody.
struct Frame {
    tag: Tag,
    sensor: SensorId,
    measured: LogicalNs,
    source_seq: Option<u64>,
    track: TrackId,
    from: Option<Place>,
    to: Place,
}

/// The frames that moved the command's people, newest first: those recorded with it, and what they did as the code
/// finds out now. A trace made before causes had sightings has only the latter.
fn of_sightings(site: &Site, c: &Command, found: &[Frame]) -> Vec<Link> {
    let recorded = &c.cause.sightings;
    if recorded.is_empty() {
        return found.iter().map(|f| of_frame(site, f, c)).collect();
    }
    let decided = |s: &Sighting| Some(s.sensor) == c.cause.sensor && Some(s.measured) == c.cause.measured;
    let one = |(track, s): &(TrackId, Sighting)| {
        let same = |f: &&Frame| (f.track, f.sensor, f.measured) == (*track, s.sensor, s.measured);
        let (before, origin) = (Some(c.at.since(s.measured)), Origin::Recorded);
        match found.iter().find(same).map(|f| of_frame(site, f, c)) {
            Some(link) => Link { origin, text: format!("{} (how far, is recomputed)", link.text), ..link },
            None => {
                let (sensor, measured) = (words::sensor(site, s.sensor), words::seconds(s.measured));
                let text = format!("{sensor}: measured at {measured}: moved track {track}");
                Link { kind: "frame", origin, at: None, seq: None, latency: None, before, text }
            }
        }
    };
    recorded.iter().rev().filter(|(_, s)| !decided(s)).map(one).collect()
}

fn of_frame(site: &Site, f: &Frame, c: &Command) -> Link {
    let number = f.source_seq.map_or_else(String::new, |n| format!(", its number {n}"));
    let from = f.from.map_or_else(|| "showed".to_owned(), |p| format!("moved from ({:.2}, {:.2})", p.at.x_m, p.at.y_m));
    let text = format!(
        "{}{number}: measured at {}: track {} {from} to ({:.2}, {:.2}) m",
        words::sensor(site, f.sensor),
        words::seconds(f.measured),
        f.track,
        f.to.at.x_m,
        f.to.at.y_m
    );
    let (at, seq) = (Some(f.tag.at), Some(f.tag.seq.0));
    let (latency, before) = (Some(f.tag.at.since(f.measured)), Some(c.at.since(f.measured)));
    Link { kind: "frame", origin: Origin::Recomputed, at, seq, latency, before, text }
}

/// What a sensor did in the stretch before a command.
#[derive(Default)]
struct Lately {
    /// From measured to arrived, of each of its inputs.
    delays: Vec<DurationNs>,
    heard_at: Option<LogicalNs>,
    /// The longest between two of its inputs, or between the last and the command; and when it began.
    silence: (DurationNs, LogicalNs),
    /// Its latest reading, in words, and since when it has been that one (`None`: since before the stretch).
    reading: Option<(String, Option<LogicalNs>)>,
    alive: Option<Tri>,
    verdict: &'static str,
}

impl Lately {
    fn usual(&self) -> Option<DurationNs> {
        let mut all = self.delays.clone();
        all.sort_unstable();
        all.get(all.len().checked_sub(1)? / 2).copied()
    }

    /// How late a delay is against the usual one; `None` where it is not.
    fn lateness(&self, delay: DurationNs) -> Option<String> {
        let usual = self.usual()?;
        let is_late = delay >= SLOW && delay.0 > usual.0.saturating_mul(SLOW_TIMES);
        is_late.then(|| {
            format!(
                "it arrived {} after it was measured, where {} were usual before",
                words::span(delay),
                words::span(usual)
            )
        })
    }

    fn heard(&mut self, tag: Tag, measured: LogicalNs) {
        let silence = self.heard_at.map_or(DurationNs::ZERO, |at| tag.at.since(at));
        if let Some(at) = self.heard_at.filter(|_| silence > self.silence.0) {
            self.silence = (silence, at);
        }
        self.heard_at = Some(tag.at);
        self.delays.push(tag.at.since(measured));
    }
}

fn of_sensor(site: &Site, id: SensorId, s: &Lately, c: &Command) -> Link {
    let mut text = words::sensor(site, id).to_owned();
    if let Some((reading, since)) = &s.reading {
        text += &match since {
            Some(at) => format!(": {reading} since {}", words::seconds(*at)),
            None => format!(": {reading} for longer than was looked back"),
        };
    }
    let most = s.delays.iter().max().copied().unwrap_or_default();
    text += &match s.usual() {
        Some(usual) => format!(
            "; {} inputs in the {USUAL} s before, arriving {} after being measured as a rule and {} at most; silent for \
             {} at most, from {} on",
            s.delays.len(),
            words::span(usual),
            words::span(most),
            words::span(s.silence.0),
            words::seconds(s.silence.1)
        ),
        None => format!("; nothing of it in the {USUAL} s before"),
    };
    text += match s.alive {
        Some(Tri::True) => "; alive",
        Some(Tri::False) => "; DEAD",
        _ => "; whether it is alive is not known",
    };
    if !s.verdict.is_empty() {
        text += &format!(", {}", s.verdict);
    }
    let before = s.heard_at.map(|at| c.at.since(at));
    Link { kind: "sensor", origin: Origin::Recomputed, at: s.heard_at, seq: None, latency: s.usual(), before, text }
}

/// What running the code again shows of the time before a command.
struct Seen {
    frames: Vec<Frame>,
    sensors: BTreeMap<SensorId, Lately>,
    wall: words::Tied,
    caution: Option<String>,
}

/// The last frames that moved the command's people, newest first, and how the sensors did that it hangs on, by running
/// the code again; and what is to be known about that.
fn before(recording: &mut Recording, command: &Command, tracks: &[TrackId]) -> Result<Seen, WhyError> {
    recording.rewind()?;
    let mut walk = Walk::begin(recording, Some(command.at.minus(USUAL)))?;
    let mut seen: BTreeMap<TrackId, (LogicalNs, Place)> = BTreeMap::new();
    let mut found: BTreeMap<TrackId, VecDeque<Frame>> = BTreeMap::new();
    let mut sensors: BTreeMap<SensorId, Lately> = BTreeMap::new();
    let mut scan = ScanBuf::new();
    let from = command.at.minus(USUAL);
    while let Some(item) = recording.next_item()? {
        let Item::Record(raw) = item else { continue };
        let Ok(record) = codec::decode(&raw, &mut scan) else { continue };
        let input = if let Record::Input { tag, input } = &record { Some((*tag, *input)) } else { None };
        let walked = walk.take(&record)?;
        let Some((tag, input)) = input else { continue };
        if walked == Walked::Stepped {
            let view = walk.machine().view();
            if let Some(o) = input.observation().filter(|_| tag.at >= from) {
                let lately = sensors.entry(o.sensor).or_default();
                lately.heard(tag, o.measured);
                let reading =
                    view.sensor(o.sensor).reading.map(|r| words::reading(walk.workshop().site(), o.sensor, &r));
                let is_new = lately.reading.as_ref().map(|(r, _)| r) != reading.as_ref();
                if is_new {
                    let since = lately.reading.is_some().then_some(o.measured);
                    lately.reading = reading.map(|r| (r, since));
                }
            }
            for track in tracks {
                let Some(o) = view.occupant(*track) else { continue };
                let before = seen.insert(*track, (o.seen_at, o.place));
                let Some(observation) = input.observation() else { continue };
                let is_near = tag.at >= command.at.minus(BEFORE) && tag.seq != command.id.seq;
                if is_near && before.is_none_or(|(at, place)| at != o.seen_at || place != o.place) {
                    let list = found.entry(*track).or_default();
                    list.push_front(Frame {
                        tag,
                        sensor: observation.sensor,
                        measured: observation.measured,
                        source_seq: observation.source_seq,
                        track: *track,
                        from: before.map(|b| b.1),
                        to: o.place,
                    });
                    list.truncate(FRAMES_MAX);
                }
            }
        }
        if tag.seq >= command.id.seq {
            break;
        }
    }
    let mut frames: Vec<Frame> = found.into_values().flatten().collect();
    frames.sort_by_key(|f| std::cmp::Reverse(f.tag.seq));
    let sensors = concerned(&walk, command, tracks, &frames, sensors);
    let view = walk.machine().view();
    let (wall, caution) = (view.wall().map(|w| (view.now(), w)), caution(&walk, command));
    Ok(Seen { frames, sensors, wall, caution })
}

/// The sensors that a command hangs on: whose input decided, whose frames moved its people, and those that its rule
/// reads; with what is known of them at the command.
fn concerned(
    walk: &Walk,
    command: &Command,
    tracks: &[TrackId],
    frames: &[Frame],
    mut all: BTreeMap<SensorId, Lately>,
) -> BTreeMap<SensorId, Lately> {
    let view = walk.machine().view();
    let mut wanted: Vec<SensorId> = frames.iter().map(|f| f.sensor).chain(command.cause.sensor).collect();
    if let Some(rule) = command.rule {
        let explained = walk.machine().rules().explain(rule, tracks, &view);
        let bound = |zone: &ZoneId| command.cause.bindings.iter().any(|(_, e)| *e == Entity::Zone(*zone));
        let own = explained.iter().filter(|e| e.bindings.iter().all(|(_, z)| bound(z)));
        wanted.extend(own.flat_map(|e| &e.parts).flat_map(|p| &p.gauges).filter_map(|g| match g {
            Gauge::Sensor { sensor, .. } => Some(*sensor),
            _ => None,
        }));
    }
    all.retain(|id, _| wanted.contains(id));
    for id in wanted {
        let (status, lately) = (view.sensor(id), all.entry(id).or_default());
        if lately.reading.is_none() {
            lately.reading = status.reading.map(|r| (words::reading(walk.workshop().site(), id, &r), None));
        }
        lately.heard_at = status.heard_at;
        lately.alive = Some(view.alive(id));
        lately.verdict = if status.health.compared > 0 { status.health.verdict.as_str() } else { "" };
        if let Some(at) = status.heard_at
            && command.at.since(at) > lately.silence.0
        {
            lately.silence = (command.at.since(at), at);
        }
    }
    all
}

fn caution(walk: &Walk, command: &Command) -> Option<String> {
    let again = walk.out().commands.iter().any(|c| c == command);
    if walk.skipped > 0 {
        Some(format!("{} inputs before the command stand behind a hole and were not run", walk.skipped))
    } else if !again {
        let now = "run again, the code does not decide this command here: recomputed links are what it would see now";
        Some(now.to_owned())
    } else {
        None
    }
}

impl Why {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{live, walk};
    use crate::why::parse_id;

    fn commands(path: &Path) -> Vec<Command> {
        let mut recording = Recording::open(path).unwrap();
        let (mut scan, mut all) = (ScanBuf::new(), Vec::new());
        while let Some(item) = recording.next_item().unwrap() {
            let Item::Record(raw) = item else { continue };
            if let Record::Command(c) = codec::decode(&raw, &mut scan).unwrap() {
                all.push(*c);
            }
        }
        all
    }

    #[test]
    fn a_pause_is_explained_down_to_the_frames_that_moved_the_person() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        std::fs::write(&path, live(&walk(30), 40)).unwrap();
        let pause = commands(&path).into_iter().find(|c| c.verb == "pause").expect("somebody leaves");
        let why = why(&path, pause.id).unwrap();
        let text = why.render();
        assert_eq!(why.caution, None, "{text}");
        let of = |kind: &'static str| why.links.iter().filter(move |l| l.kind == kind);
        assert!(of("rule").any(|l| l.text.starts_with("pause, level privacy, rules/first.rules:2")), "{text}");
        assert!(of("rule").any(|l| l.text.contains("leaves meeting") && l.origin == Origin::Recorded), "{text}");
        let condition = of("condition").next().unwrap();
        assert!(condition.text.contains("any p in members(staff) leaves meeting (rules/first.rules:3:"), "{text}");
        assert!(of("identity").count() + of("track").count() >= 2, "{text}");
        let frames: Vec<&Link> = of("frame").collect();
        assert!(frames.len() > 3, "{text}");
        assert_eq!(frames[0].seq, Some(pause.id.seq.0), "the deciding one comes first: {text}");
        assert!(frames[1..].iter().all(|f| f.origin == Origin::Recorded && f.text.contains("tags")), "{text}");
        // Each arrived when it was measured; the sensor's own account says so too, and that it is alive.
        assert!(frames[1..].iter().all(|f| f.latency == Some(DurationNs::ZERO)), "{text}");
        let tags = of("sensor").find(|l| l.text.starts_with("tags;")).unwrap_or_else(|| panic!("{text}"));
        assert!(tags.text.contains("silent for 100.000 ms at most") && tags.text.contains("; alive"), "{text}");
        assert!(why.answer[0].contains("pause sent meeting.recorder.pause()"), "{text}");
        assert!(why.answer[0].contains("leaves meeting"), "{text}");
        assert!(why.answer[1].contains("0.000 ms until it arrived, 0.000 ms that the rule waited"), "{text}");
        assert_eq!(why.answer.len(), 2, "nothing was late: {text}");
        assert!(why.to_json()["chain"][0]["time_of_day"].is_string(), "the walk has a wall clock");
        // Each is a frame of the person's own tag, every 100 ms.
        let times: Vec<i64> = frames[1..].iter().map(|f| f.at.unwrap().0 / 1_000_000).collect();
        assert!(times.windows(2).all(|w| w[0] - w[1] == 100), "{times:?}");
        assert_eq!(why.to_json()["chain"][0]["kind"], "command");
        assert_eq!(why.to_json()["command"]["command"], "pause");
    }

    #[test]
    fn every_command_of_a_walk_has_its_chain_and_what_is_none_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        std::fs::write(&path, live(&walk(12), 0)).unwrap();
        let all = commands(&path);
        assert!(all.len() > 2);
        for c in &all {
            let why = why(&path, c.id).unwrap();
            assert_eq!(why.caution, None, "{}", why.render());
            assert!(why.links.iter().any(|l| l.kind == "frame"), "{}", why.render());
        }
        let error = why(&path, parse_id("5.7").unwrap()).unwrap_err().to_string();
        assert!(error.contains("no command 5.7"), "{error}");
        assert!(matches!(parse_id("m7"), Err(WhyError::Id(_))));
    }
}
