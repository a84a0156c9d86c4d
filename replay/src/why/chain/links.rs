//! The links of a chain in words, each with what it is about.

use super::heard::{Deciding, Heard};
use super::seen::{Frame, Lately, USUAL};
use super::{About, Link, Origin};
use crate::rulebook::Rulebook;
use crate::words;
use crate::words::counted;
use osmose_model::command::{Command, Entity, Trigger};
use osmose_model::geometry::Place;
use osmose_model::ids::{SensorId, TrackId};
use osmose_model::input::Tag;
use osmose_model::site::Site;
use osmose_model::time::DurationNs;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Sighting, WorldEvent};

pub(super) fn tracks_of(command: &Command) -> Vec<TrackId> {
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

pub(super) fn of_command(site: &Site, book: &Rulebook, c: &Command, heard: &Heard) -> Link {
    let mut text = format!("{} by {}", words::command(site, c), words::sender(book, c));
    let total = heard.total_ns();
    match total {
        None => text += "; how long the engine took was not recorded (no running engine, or an older one)",
        Some(total) => {
            let hops: Vec<String> = heard.hops.iter().map(|(hop, ns)| format!("{hop} {}", micros(*ns))).collect();
            text += &format!("; handed over {} after its input was read ({})", micros(total), hops.join(", "));
        }
    }
    let latency = total.map(|ns| DurationNs(i64::try_from(ns).unwrap_or(i64::MAX)));
    let deadline = c.rule.and_then(|r| book.program()?.rule(r)?.deadline).map(|(d, _)| d);
    let is_ok = latency.zip(deadline).map(|(took, deadline)| took <= deadline);
    let place = site.actuators.get(c.device.index()).and_then(|a| Some((a.level?, a.pose?)));
    let place = place.map(|(level, p)| Place::flat(level, p.x_m, p.y_m));
    let link = Link::new("command", Origin::Recorded, words::command(site, c), text);
    let about = About { device: Some(c.device), place, is_ok, ..About::default() };
    Link { at: Some(c.at), seq: Some(c.id.seq.0), latency, about, ..link }
}

pub(super) fn micros(ns: u64) -> String {
    format!("{:.1} us", ns as f64 / 1e3)
}

pub(super) fn of_rule(site: &Site, book: &Rulebook, c: &Command) -> Vec<Link> {
    let link = |origin, title: &str, text: String| {
        let title = if title.is_empty() { text.clone() } else { title.to_owned() };
        Link { at: Some(c.at), ..Link::new("rule", origin, title, text) }
    };
    let mut links = Vec::new();
    if let Some(rule) = c.rule {
        let place = book.place(rule).map_or_else(String::new, |p| format!(", {}:{}", p.file, p.line));
        let level = book.level(rule).map_or_else(String::new, |l| format!(", level {l}"));
        // The number is recorded; its name is what the recorded rule files make of it.
        let name = book.name(rule);
        links.push(link(Origin::Recomputed, &name, format!("{name}{level}{place}")));
    }
    links.push(link(Origin::Recorded, "", format!("set off by {}", words::trigger(site, &c.cause.trigger))));
    for (name, e) in &c.cause.bindings {
        let told = link(Origin::Recorded, "", format!("{name} = {}", words::entity(site, e)));
        let about = match e {
            Entity::Track { track, .. } => About { track: Some(*track), ..About::default() },
            Entity::Zone(zone) => About { zone: Some(*zone), ..About::default() },
            Entity::Device(device) => About { device: Some(*device), ..About::default() },
            Entity::Person(_) => About::default(),
        };
        links.push(Link { about, ..told });
    }
    if c.cause.doubt {
        links.push(link(
            Origin::Recorded,
            "doubt decided",
            "doubt decided: somebody lost, or not surely known, was read as leaving".to_owned(),
        ));
    }
    links
}

pub(super) fn of_conditions(book: &Rulebook, c: &Command) -> Vec<Link> {
    let offsets: Vec<u32> = c.cause.conditions.iter().map(|x| x.offset).collect();
    let one = |x: &osmose_model::command::ConditionValue| {
        let at = c.rule.and_then(|r| book.condition(r, x.offset, &offsets));
        let title = at.as_ref().map_or_else(|| format!("the condition at byte {}", x.offset), |at| at.text.clone());
        let written =
            at.map_or_else(|| title.clone(), |at| format!("{} ({}:{}:{})", at.text, at.file, at.line, at.column));
        let value = x.value.map_or_else(String::new, |v| format!(", measured {v}"));
        let text = format!("{}: {written}{value}", x.truth.as_str());
        let about = About { offset: Some(x.offset), is_ok: Some(x.truth == Tri::True), ..About::default() };
        Link { at: Some(c.at), about, ..Link::new("condition", Origin::Recorded, title, text) }
    };
    c.cause.conditions.iter().map(one).collect()
}

/// What happened to a track at the command, and how it came to be there and to be who it is.
pub(super) fn of_track(site: &Site, track: TrackId, c: &Command, heard: &Heard) -> Vec<Link> {
    let link = |kind, (tag, event): &(Tag, WorldEvent)| {
        let at_zone = event.zone.map_or_else(String::new, |z| format!(" {}", words::zone(site, z)));
        let who = event.person.map_or_else(|| format!("track {track}"), |p| words::person(site, p).to_owned());
        let title = format!("{who} {}{at_zone}", event.kind.as_str());
        Link {
            at: Some(tag.at),
            seq: Some(tag.seq.0),
            latency: Some(tag.at.since(event.measured)),
            before: Some(c.at.since(event.measured)),
            about: About {
                track: Some(track),
                zone: event.zone,
                place: Some(event.place),
                sensor: event.sensor,
                ..About::default()
            },
            ..Link::new(kind, Origin::Recorded, title, words::event(site, event))
        }
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

pub(super) fn of_deciding(site: &Site, d: Deciding, c: &Command) -> Link {
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
    let title = d.sensor.map_or_else(|| d.what.to_owned(), |s| words::sensor(site, s).to_owned());
    let about = About { sensor: d.sensor, place: d.sensor.and_then(|s| stands(site, s)), ..About::default() };
    let (at, seq, before) = (Some(d.tag.at), Some(d.tag.seq.0), Some(c.at.since(d.measured)));
    Link { at, seq, latency, before, about, ..Link::new("frame", Origin::Recorded, title, text) }
}

/// Where a sensor stands.
fn stands(site: &Site, sensor: SensorId) -> Option<Place> {
    site.sensors.get(sensor.index()).map(|s| Place::flat(s.level, s.pose.x_m, s.pose.y_m))
}

/// The frames that moved the command's people, newest first: those recorded with it, and what they did as the code
/// finds out now. A trace made before causes had sightings has only the latter.
pub(super) fn of_sightings(site: &Site, c: &Command, found: &[Frame]) -> Vec<Link> {
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
                let about = About { sensor: Some(s.sensor), track: Some(*track), ..About::default() };
                Link { before, about, ..Link::new("frame", origin, sensor.to_owned(), text) }
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
    let about = About { sensor: Some(f.sensor), track: Some(f.track), place: Some(f.to), ..About::default() };
    let link = Link::new("frame", Origin::Recomputed, words::sensor(site, f.sensor).to_owned(), text);
    Link { at, seq, latency, before, about, ..link }
}

pub(super) fn of_sensor(site: &Site, id: SensorId, s: &Lately, c: &Command) -> Link {
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
            "; {} in the {USUAL} s before, arriving {} after being measured as a rule and {} at most; silent for \
             {} at most, from {} on",
            counted(s.delays.len(), "input"),
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
    let is_ok = s.alive.map(|alive| alive == Tri::True);
    let about = About { sensor: Some(id), place: stands(site, id), is_ok, ..About::default() };
    let link = Link::new("sensor", Origin::Recomputed, words::sensor(site, id).to_owned(), text);
    Link { at: s.heard_at, latency: s.usual(), before, about, ..link }
}
