//! A command's story as data that a page shows as it is: from the sample of a sensor to what the device answered, and
//! why a rule did nothing.
//!
//! The same chain that `osmose why` tells, from the other end: a sensor saw, somebody moved, conditions held, a rule
//! acted, a device was told. What the page draws on the floor plan stands beside what it prints.

use crate::rulebook::Rulebook;
use crate::trace::recording::Recording;
use crate::why::chain::{About, Link, Told, Why, why_within};
use crate::why::nearest::{Candidate, why_not};
use crate::why::{WhyError, parse_id};
use crate::words;
use osmose_model::ids::RuleId;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs};
use serde::Serialize;
use std::path::Path;

/// How far back a story looks for what happened to its people: enough for one visit, little enough for a click.
pub const BACK: DurationNs = DurationNs::from_s(900);

/// One link, in the order in which things happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoryLink {
    /// Its number, from 1; the floor plan bears the same one.
    pub n: usize,
    /// `sensor`, `frame`, `track`, `identity`, `condition`, `rule`, `command` or `device`.
    pub kind: &'static str,
    /// When, seconds of the log.
    pub at_s: Option<f64>,
    /// Local time of day then, where the log has a wall clock.
    pub time_of_day: Option<String>,
    /// How long this link took, microseconds: a sample until it arrived, an event until it was known, a command through
    /// the engine, a device until it answered.
    pub took_us: Option<f64>,
    /// How long before the command it was, seconds.
    pub before_s: Option<f64>,
    /// A few words.
    pub title: String,
    /// The whole sentence.
    pub detail: String,
    /// Whether it was as it should be; `None` where that is no question.
    pub ok: Option<bool>,
    /// `recorded` then, or `recomputed` now.
    pub source: &'static str,
    /// The sensor, by its id in devices.toml.
    pub sensor: Option<String>,
    /// The track.
    pub track: Option<u64>,
    /// The zone, by its name.
    pub zone: Option<String>,
    /// The device, by its id in devices.toml.
    pub device: Option<String>,
    /// Where it was, by level and site metres.
    pub place: Option<StoryPlace>,
}

/// A place on the plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoryPlace {
    /// The level's id.
    pub level: String,
    /// East, metres.
    pub x_m: f64,
    /// North, metres.
    pub y_m: f64,
}

/// A line of a rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleLine {
    /// Its number in the file, from 1.
    pub line: u32,
    /// As written.
    pub text: String,
    /// Whether a condition that decided stands in it, and whether all of those held.
    pub held: Option<bool>,
}

/// The rule that acted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleText {
    /// Its name.
    pub name: String,
    /// Its level.
    pub level: Option<String>,
    /// The file that it stands in.
    pub file: String,
    /// Its text, line by line.
    pub lines: Vec<RuleLine>,
}

/// A command's way through the engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Engine {
    /// From the input read to the command handed over, microseconds.
    pub took_us: f64,
    /// The rule's deadline, else the engine's budget, microseconds.
    pub budget_us: f64,
    /// Whether it took longer.
    pub late: bool,
    /// Where the time went: hop and microseconds.
    pub hops: Vec<(String, f64)>,
    /// The hop that took longest, where it was late.
    pub blame: Option<String>,
}

/// The way from what was true to what the device answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Human {
    /// All of it, microseconds; up to the command where the device answered nothing.
    pub took_us: f64,
    /// From the sample being true to its arrival.
    pub sensing_us: f64,
    /// From its arrival to the command, on the log's clock: what the rule waited for.
    pub settle_us: f64,
    /// Through the engine, where that is recorded.
    pub engine_us: Option<f64>,
    /// From the command to the device's answer, where it answered.
    pub device_us: Option<f64>,
}

/// How near a condition of a rule came.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearCondition {
    /// As written, with its place.
    pub condition: String,
    /// `true`, `false` or `unknown`, at its nearest.
    pub truth: &'static str,
    /// When it came nearest, seconds of the log.
    pub at_s: f64,
    /// What was missing: aspect (`space`, `time`, `identity`, `sensors`, ...), by how much, in which unit, in words.
    pub misses: Vec<NearMiss>,
}

/// What a condition measured at its nearest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearMiss {
    /// In what.
    pub aspect: &'static str,
    /// By how much it fell short; 0 where it did not.
    pub short: Option<f64>,
    /// Of which unit.
    pub unit: &'static str,
    /// In words.
    pub text: String,
}

/// One room or person that a rule could have been about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Near {
    /// Its variables, in words.
    pub about: String,
    /// How many conditions were missing at its best instant.
    pub missing: usize,
    /// That instant, seconds of the log.
    pub at_s: f64,
    /// Every condition.
    pub conditions: Vec<NearCondition>,
    /// What else held it back.
    pub besides: Vec<String>,
}

/// A story.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Story {
    /// `command` or `rule`.
    pub of: &'static str,
    /// The command's id or the rule's name.
    pub id: String,
    /// When, seconds of the log.
    pub at_s: f64,
    /// In one line.
    pub title: String,
    /// In sentences.
    pub answer: Vec<String>,
    /// Link by link, in the order in which things happened.
    pub links: Vec<StoryLink>,
    /// The rule, where one acted or is asked about.
    pub rule: Option<RuleText>,
    /// Its way through the engine, where that was recorded.
    pub engine: Option<Engine>,
    /// From what was true to the device, where a sample decided.
    pub human: Option<Human>,
    /// Of a rule that did nothing: what came nearest, nearest first.
    pub nearest_miss: Vec<Near>,
    /// What is to be known before trusting it.
    pub caution: Option<String>,
}

fn us(d: DurationNs) -> f64 {
    d.0 as f64 / 1e3
}

fn seconds(at: LogicalNs) -> f64 {
    at.0 as f64 / 1e9
}

/// The story of a command of a trace, or of a folder of them, by its id (`482.0`). A day's trace takes a fraction of a
/// second: read it beside the page, not in its way.
///
/// # Errors
/// [`WhyError`].
pub fn command(path: &Path, id: &str) -> Result<Story, WhyError> {
    let why = why_within(path, parse_id(id)?, BACK)?;
    Ok(of_why(&why))
}

fn of_why(why: &Why) -> Story {
    let told = &why.told;
    let c = &told.command;
    let mut links: Vec<StoryLink> = ordered(&why.links).map(|l| of_link(&told.site, l, why.wall())).collect();
    if let Some((at, what)) = &told.answered {
        let device = words::device(&told.site, c.device).to_owned();
        links.push(StoryLink {
            kind: "device",
            at_s: Some(seconds(*at)),
            time_of_day: words::time_of_day(*at, why.wall()),
            took_us: Some(us(at.since(c.at))),
            title: format!("{device}: {what}"),
            detail: format!("{device} said of itself: {what}, {} after the command", words::span(at.since(c.at))),
            source: "recorded",
            device: Some(device),
            ..links.last().cloned().unwrap_or_else(|| empty_link("device"))
        });
    }
    (1..).zip(&mut links).for_each(|(n, l)| l.n = n);
    Story {
        of: "command",
        id: c.id.to_string(),
        at_s: seconds(c.at),
        title: words::command(&told.site, c),
        answer: why.answer.clone(),
        links,
        rule: c.rule.and_then(|rule| rule_text(&told.book, rule, &why.links)),
        engine: engine(told),
        human: human(told),
        nearest_miss: Vec::new(),
        caution: why.caution.clone(),
    }
}

/// What was first comes first: frames and sensors, then people, conditions, the rule, the command.
fn ordered(links: &[Link]) -> impl Iterator<Item = &Link> {
    const ORDER: [&str; 7] = ["sensor", "frame", "track", "identity", "condition", "rule", "command"];
    ORDER.iter().flat_map(|kind| {
        let of_kind: Vec<&Link> = links.iter().filter(|l| l.kind == *kind).collect();
        // The chain tells the newest first; conditions and the rule's own links are told as written.
        let newest_first = matches!(*kind, "frame" | "track" | "identity");
        let (a, b) = if newest_first { (None, Some(of_kind.into_iter().rev())) } else { (Some(of_kind), None) };
        a.into_iter().flatten().chain(b.into_iter().flatten())
    })
}

fn empty_link(kind: &'static str) -> StoryLink {
    StoryLink {
        n: 0,
        kind,
        at_s: None,
        time_of_day: None,
        took_us: None,
        before_s: None,
        title: String::new(),
        detail: String::new(),
        ok: None,
        source: "recorded",
        sensor: None,
        track: None,
        zone: None,
        device: None,
        place: None,
    }
}

fn of_link(site: &Site, l: &Link, wall: words::Tied) -> StoryLink {
    let About { sensor, track, zone, device, place, is_ok, .. } = l.about;
    let level = |p: osmose_model::geometry::Place| site.levels.get(p.level.index()).map(|l| l.name.clone());
    StoryLink {
        at_s: l.at.map(seconds),
        time_of_day: l.at.and_then(|at| words::time_of_day(at, wall)),
        took_us: l.latency.map(us),
        before_s: l.before.map(DurationNs::as_s_f64),
        title: l.title.clone(),
        detail: l.text.clone(),
        ok: is_ok,
        source: l.origin.as_str(),
        sensor: sensor.map(|s| words::sensor(site, s).to_owned()),
        track: track.map(|t| t.0),
        zone: zone.map(|z| words::zone(site, z).to_owned()),
        device: device.map(|d| words::device(site, d).to_owned()),
        place: place.and_then(|p| Some(StoryPlace { level: level(p)?, x_m: p.at.x_m, y_m: p.at.y_m })),
        ..empty_link(l.kind)
    }
}

/// The rule's lines, those marked in which a condition stands that decided.
fn rule_text(book: &Rulebook, rule: RuleId, links: &[Link]) -> Option<RuleText> {
    let (place, text) = (book.place(rule)?, book.text(rule)?);
    let decided: Vec<(u32, bool)> = links
        .iter()
        .filter(|l| l.kind == "condition")
        .filter_map(|l| Some((book.condition(rule, l.about.offset?, &[])?.line, l.about.is_ok.unwrap_or(false))))
        .collect();
    let line = |(line, text): (u32, &str)| {
        let mut here = decided.iter().filter(|(at, _)| *at == line).map(|(_, ok)| *ok).peekable();
        let held = here.peek().is_some().then(|| here.all(|ok| ok));
        RuleLine { line, text: text.to_owned(), held }
    };
    Some(RuleText {
        name: book.name(rule),
        level: book.level(rule).map(str::to_owned),
        lines: (place.line..).zip(text.lines()).map(line).collect(),
        file: place.file,
    })
}

fn engine(told: &Told) -> Option<Engine> {
    if told.hops.is_empty() {
        return None;
    }
    let hops: Vec<(String, f64)> = told.hops.iter().map(|(hop, ns)| (hop.clone(), *ns as f64 / 1e3)).collect();
    let deadline = told.command.rule.and_then(|r| told.book.program()?.rule(r)?.deadline).map(|(d, _)| us(d));
    let budget_us = deadline.unwrap_or_else(|| f64::from(told.site.engine.budget_us));
    let took_us: f64 = hops.iter().map(|(_, us)| us).sum();
    let late = took_us > budget_us;
    let slowest = hops.iter().max_by(|a, b| a.1.total_cmp(&b.1)).filter(|_| late).map(|(hop, _)| hop.clone());
    Some(Engine { took_us, budget_us, late, hops, blame: slowest })
}

fn human(told: &Told) -> Option<Human> {
    let (measured, arrived) = told.sample?;
    let at = told.command.at;
    let engine_us = engine(told).map(|e| e.took_us);
    let device_us = told.answered.as_ref().map(|(answered, _)| us(answered.since(at)));
    let (sensing_us, settle_us) = (us(arrived.since(measured)), us(at.since(arrived)));
    // The device's answer is counted from the command's place in the log, so that the engine's way is in it.
    let took_us = sensing_us + settle_us + device_us.or(engine_us).unwrap_or(0.0);
    Some(Human { took_us, sensing_us, settle_us, engine_us, device_us })
}

/// Why a rule did nothing about an instant, in a trace or a folder of them: what came nearest, condition by condition.
///
/// # Errors
/// [`WhyError`].
pub fn rule(path: &Path, name: &str, at: LogicalNs, round: DurationNs) -> Result<Story, WhyError> {
    let not = why_not(&mut Recording::open(path)?, name, at, round, &mut ())?;
    let sent = not.sent.iter().map(|s| format!("It did act: {s}."));
    Ok(Story {
        of: "rule",
        id: name.to_owned(),
        at_s: seconds(at),
        title: not.rule.clone(),
        answer: sent.collect(),
        links: Vec::new(),
        rule: not.book.program().and_then(|p| p.rule_named(name)).and_then(|r| rule_text(&not.book, r, &[])),
        engine: None,
        human: None,
        nearest_miss: not.candidates.iter().map(near).collect(),
        caution: not.caution,
    })
}

fn near(c: &Candidate) -> Near {
    let condition = |m: &crate::why::nearest::Miss| NearCondition {
        condition: m.condition.clone(),
        truth: m.truth.as_str(),
        at_s: seconds(m.at),
        misses: m
            .misses
            .iter()
            .map(|s| NearMiss { aspect: s.aspect, short: s.short, unit: s.unit, text: s.text.clone() })
            .collect(),
    };
    Near {
        about: c.bindings.clone(),
        missing: c.missing,
        at_s: seconds(c.at),
        conditions: c.conditions.iter().map(condition).collect(),
        besides: c.besides.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{live, walk};
    use crate::timeline::Timeline;

    #[test]
    fn a_pause_is_told_from_the_sensor_to_the_device_with_its_rule() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        std::fs::write(&path, live(&walk(30), 40)).unwrap();
        let line = Timeline::read(&path, 10, &mut ()).unwrap();
        let pause = line.marks.iter().find(|m| m.text.contains(".pause(")).expect("somebody leaves");
        let id = pause.command.unwrap().to_string();
        let story = command(&path, &id).unwrap();
        assert_eq!((story.of, story.id.as_str(), story.caution.as_deref()), ("command", id.as_str(), None));
        assert!(story.links.iter().map(|l| l.n).eq(1..=story.links.len()));
        let kinds: Vec<&str> = story.links.iter().map(|l| l.kind).collect();
        let first = |kind: &str| kinds.iter().position(|k| *k == kind).unwrap_or_else(|| panic!("{kind}: {kinds:?}"));
        let order = ["frame", "track", "condition", "rule", "command"].map(first);
        assert!(order.is_sorted(), "{kinds:?}");
        let frames: Vec<f64> = story.links.iter().filter(|l| l.kind == "frame").filter_map(|l| l.at_s).collect();
        assert!(frames.len() > 2 && frames.is_sorted(), "{frames:?}");
        let of = |kind: &str| story.links.iter().find(|l| l.kind == kind).unwrap();
        let decided = story.links.iter().rfind(|l| l.kind == "frame").unwrap();
        assert!(decided.sensor.as_deref() == Some("tags") && decided.place.is_some(), "{:#?}", story.links);
        assert!(of("track").track.is_some() && of("condition").ok == Some(true));
        assert_eq!(of("command").device.as_deref(), Some("meeting.recorder"));
        let rule = story.rule.as_ref().unwrap();
        assert_eq!((rule.name.as_str(), rule.level.as_deref()), ("pause", Some("privacy")));
        let held: Vec<&str> = rule.lines.iter().filter(|l| l.held == Some(true)).map(|l| l.text.trim()).collect();
        assert_eq!(held, ["when any p in members(staff) leaves meeting"]);
        assert_eq!(rule.lines[0].line, 2, "rules/first.rules: edition is its first line");
        assert!(story.human.is_some_and(|h| h.took_us >= 0.0) && story.engine.is_none());
        let json = serde_json::to_value(command(&path, &id).unwrap()).unwrap();
        assert_eq!(json["links"][0]["n"], 1);
        assert!(matches!(command(&path, "m7"), Err(WhyError::Id(_))));
    }

    #[test]
    fn a_rule_that_did_nothing_is_told_by_what_came_nearest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        std::fs::write(&path, live(&walk(30), 40)).unwrap();
        let story = rule(&path, "pause", LogicalNs(500_000_000), DurationNs::from_ms(500)).unwrap();
        assert!(!story.nearest_miss.is_empty() && story.links.is_empty());
        let first = &story.nearest_miss[0].conditions[0];
        assert!(first.condition.contains("leaves meeting") && first.misses.iter().any(|m| m.aspect == "space"));
        assert!(story.rule.is_some_and(|r| r.lines.iter().all(|l| l.held.is_none()) && r.name == "pause"));
    }
}
