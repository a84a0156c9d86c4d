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
use osmose_model::ids::{RuleId, SensorId, TrackId};
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::{EventKind, Sighting, WorldEvent, WorldView};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

/// How far before a command the frames that moved its people are looked for.
const BEFORE: DurationNs = DurationNs::from_s(5);
/// Most frames told for one track.
const FRAMES_MAX: usize = 5;
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
    /// `command`, `rule`, `condition`, `track`, `identity`, `frame`.
    pub kind: &'static str,
    /// Where it comes from.
    pub origin: Origin,
    /// When, where it has a time.
    pub at: Option<LogicalNs>,
    /// The input that it is, where it is one.
    pub seq: Option<u64>,
    /// How long it took, where that is known: for a frame from being measured to being decided on.
    pub latency: Option<DurationNs>,
    /// In words.
    pub text: String,
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    /// The command, as `--commands` writes it.
    pub command: Value,
    /// From the command back to what sensors saw.
    pub links: Vec<Link>,
    /// What is to be known about the recomputed links.
    pub caution: Option<String>,
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
    let caution = match frames(&mut recording, command, &tracks) {
        Ok((found, caution)) => {
            links.extend(of_sightings(&site, command, &found));
            caution
        }
        Err(error) => {
            links.extend(of_sightings(&site, command, &[]));
            Some(format!("the frames before the deciding one cannot be found out: {error}"))
        }
    };
    let build = recording.meta().build.differs_from(&Build::this());
    let other =
        build.map(|why| format!("another build recorded this trace ({why}): recomputed links are this build's"));
    let mut line = Vec::new();
    let name = |rule: RuleId| book.program().and_then(|p| p.rule(rule)).map_or("", |r| r.name.as_str());
    lines::encode_commands_line(&site, &name, command, None, &mut line);
    let command = serde_json::from_slice(&line).unwrap_or(Value::Null);
    let caution = [other, caution].into_iter().flatten().collect::<Vec<_>>().join("; ");
    Ok(Why { command, links, caution: (!caution.is_empty()).then_some(caution) })
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
    let total = heard.hops.iter().map(|(_, ns)| ns).sum::<u64>();
    if heard.hops.is_empty() {
        text += "; how long it took was not recorded (no running engine, or an older one)";
    } else {
        let hops: Vec<String> = heard.hops.iter().map(|(hop, ns)| format!("{hop} {}", micros(*ns))).collect();
        text += &format!("; handed over {} after its input was read ({})", micros(total), hops.join(", "));
    }
    let latency = (!heard.hops.is_empty()).then(|| DurationNs(i64::try_from(total).unwrap_or(i64::MAX)));
    Link { kind: "command", origin: Origin::Recorded, at: Some(c.at), seq: Some(c.id.seq.0), latency, text }
}

fn micros(ns: u64) -> String {
    format!("{:.1} us", ns as f64 / 1e3)
}

fn of_rule(site: &Site, book: &Rulebook, c: &Command) -> Vec<Link> {
    let link = |origin, text| Link { kind: "rule", origin, at: None, seq: None, latency: None, text };
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
        Link { kind: "condition", origin: Origin::Recorded, at: Some(c.at), seq: None, latency: None, text }
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
        latency: Some(c.at.since(event.measured)),
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
        Some(s) => format!(
            "{} ({}){number}: measured {} s, here {} s later; it decided",
            words::sensor(site, s),
            d.what,
            d.measured,
            d.tag.at.since(d.measured)
        ),
        None => format!("{}{number}; it decided", d.what),
    };
    let (at, latency) = (Some(d.tag.at), Some(c.at.since(d.measured)));
    Link { kind: "frame", origin: Origin::Recorded, at, seq: Some(d.tag.seq.0), latency, text }
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
        let (latency, origin) = (Some(c.at.since(s.measured)), Origin::Recorded);
        match found.iter().find(same) {
            Some(frame) => Link { origin, ..of_frame(site, frame, c) },
            None => {
                let text = format!("{}: measured {} s: moved track {track}", words::sensor(site, s.sensor), s.measured);
                Link { kind: "frame", origin, at: None, seq: None, latency, text }
            }
        }
    };
    recorded.iter().rev().filter(|(_, s)| !decided(s)).map(one).collect()
}

fn of_frame(site: &Site, f: &Frame, c: &Command) -> Link {
    let number = f.source_seq.map_or_else(String::new, |n| format!(", its number {n}"));
    let from = f.from.map_or_else(|| "showed".to_owned(), |p| format!("moved from ({:.2}, {:.2})", p.at.x_m, p.at.y_m));
    let text = format!(
        "{}{number}: measured {} s, here {} s later: track {} {from} to ({:.2}, {:.2}) m",
        words::sensor(site, f.sensor),
        f.measured,
        f.tag.at.since(f.measured),
        f.track,
        f.to.at.x_m,
        f.to.at.y_m
    );
    let latency = Some(c.at.since(f.measured));
    Link { kind: "frame", origin: Origin::Recomputed, at: Some(f.tag.at), seq: Some(f.tag.seq.0), latency, text }
}

/// The last frames that moved the command's people, newest first, by running the code again; and what is to be known
/// about that.
fn frames(
    recording: &mut Recording,
    command: &Command,
    tracks: &[TrackId],
) -> Result<(Vec<Frame>, Option<String>), WhyError> {
    recording.rewind()?;
    let mut walk = Walk::begin(recording, Some(command.at.minus(BEFORE)))?;
    let mut seen: BTreeMap<TrackId, (LogicalNs, Place)> = BTreeMap::new();
    let mut found: BTreeMap<TrackId, VecDeque<Frame>> = BTreeMap::new();
    let mut scan = ScanBuf::new();
    while let Some(item) = recording.next_item()? {
        let Item::Record(raw) = item else { continue };
        let Ok(record) = codec::decode(&raw, &mut scan) else { continue };
        let input = if let Record::Input { tag, input } = &record { Some((*tag, *input)) } else { None };
        let walked = walk.take(&record)?;
        let Some((tag, input)) = input else { continue };
        if walked == Walked::Stepped {
            let view = walk.machine().view();
            for track in tracks {
                let Some(o) = view.occupant(*track) else { continue };
                let before = seen.insert(*track, (o.seen_at, o.place));
                let Some(observation) = input.observation() else { continue };
                if before.is_none_or(|(at, place)| at != o.seen_at || place != o.place) && tag.seq != command.id.seq {
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
    let again = walk.out().commands.iter().any(|c| c == command);
    let caution = if walk.skipped > 0 {
        Some(format!("{} inputs before the command stand behind a hole and were not run", walk.skipped))
    } else if !again {
        Some(
            "run again, the code does not decide this command here: recomputed links are what it would see now"
                .to_owned(),
        )
    } else {
        None
    };
    let mut frames: Vec<Frame> = found.into_values().flatten().collect();
    frames.sort_by_key(|f| std::cmp::Reverse(f.tag.seq));
    Ok((frames, caution))
}

impl Why {
    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let link = |l: &Link| {
            json!({"kind": l.kind, "origin": l.origin.as_str(), "t_s": l.at.map(|t| t.0 as f64 / 1e9), "seq": l.seq,
                "latency_s": l.latency.map(DurationNs::as_s_f64), "text": l.text})
        };
        json!({"command": self.command, "chain": self.links.iter().map(link).collect::<Vec<_>>(), "caution": self.caution})
    }

    /// For people. Ends with a newline.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut kind = "";
        for l in &self.links {
            let head = if l.kind == kind { "" } else { l.kind };
            kind = l.kind;
            let at = l.at.map_or_else(String::new, |t| format!("{t} s"));
            let seq = l.seq.map_or_else(String::new, |s| format!("input {s}, "));
            let latency = match (l.kind, l.latency) {
                ("command", _) | (_, None) => String::new(),
                (_, Some(d)) => format!(" [{} s before the command]", d),
            };
            text += &format!("{head:<10}{at:>14}  {seq}{}{latency} ({})\n", l.text, l.origin.as_str());
        }
        if let Some(caution) = &self.caution {
            text += &format!("note: {caution}\n");
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
        assert!(frames[1..].iter().all(|f| f.origin == Origin::Recomputed && f.text.contains("tags")), "{text}");
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
