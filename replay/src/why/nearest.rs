//! `osmose why --rule --at`: a rule that did nothing, and how near each of its conditions came.
//!
//! The code is run along the recording round the instant, and the rule is asked between steps how it stands: for
//! every room and every person that it could speak of. Told is the one that came nearest: whose most conditions held
//! at once. Nothing of this was recorded, so all of it is recomputed.

use super::WhyError;
use crate::drive::Workshop;
use crate::drive::walk::{Walk, Walked};
use crate::rulebook::Rulebook;
use crate::trace::codec::{self, Record};
use crate::trace::read::Item;
use crate::trace::recording::{Items, Recording};
use crate::words;
use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::ids::{Name, RuleId, TrackId, ZoneId};
use osmose_model::input::Tag;
use osmose_model::observation::ScanBuf;
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Presence, WorldEvent, WorldView};
use osmose_rules::eval::explain::{Explained, Gauge, Part, Whom};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How far before and behind the instant is looked where nobody says.
pub const ROUND: DurationNs = DurationNs::from_s(5);
/// Between two looks at least this long, unless something happened.
const LOOK_EVERY: DurationNs = DurationNs::from_ms(50);
/// Most people looked at at a time.
const TRACKS_MAX: usize = 200;
/// Most rooms and people followed; beyond, the later ones are left out and that is said.
const FOLLOWED_MAX: usize = 20_000;
/// Most of them told.
const TOLD_MAX: usize = 3;

/// One room or person of a rule: its variables.
type Key = (Vec<(Name, ZoneId)>, Option<(Name, TrackId)>);

/// How near one condition came.
#[derive(Clone, Debug)]
struct Near {
    part: Part,
    at: LogicalNs,
    /// Larger is nearer: truth first, then what is measured.
    score: (Tri, f64),
    /// Where the person was at that instant, relative to the zones of the condition: depth in metres, positive inside.
    depths: Vec<(ZoneId, f64)>,
}

/// One room or person, over the stretch looked at.
#[derive(Clone, Debug)]
struct Followed {
    parts: Vec<Near>,
    /// When the fewest conditions were missing, and how many.
    best: (usize, LogicalNs),
    off_until: Option<LogicalNs>,
    acted_at: Option<LogicalNs>,
    who: Option<String>,
}

/// How one condition came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Miss {
    /// The condition as written, with its place.
    pub condition: String,
    /// Its best truth in the stretch.
    pub truth: Tri,
    /// When it came nearest.
    pub at: LogicalNs,
    /// What was missing, or what it measured: space, time, identity, sensor health.
    pub misses: Vec<String>,
}

/// One room or person that the rule could have been about.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its variables, in words.
    pub bindings: String,
    /// How many conditions were missing at its best instant.
    pub missing: usize,
    /// That instant.
    pub at: LogicalNs,
    /// Every condition.
    pub conditions: Vec<Miss>,
    /// Why it would not have acted even so: switched off, damped.
    pub besides: Vec<String>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct WhyNot {
    /// The rule, with its place.
    pub rule: String,
    /// When was asked, and the stretch looked at.
    pub at: LogicalNs,
    /// Its beginning and end.
    pub looked: (LogicalNs, LogicalNs),
    /// Commands that the rule did send in the stretch.
    pub sent: Vec<String>,
    /// The nearest first.
    pub candidates: Vec<Candidate>,
    /// Rooms and people looked at in all.
    pub followed: usize,
    /// What is to be known about the answer.
    pub caution: Option<String>,
}

/// Why a rule did not act about an instant.
///
/// # Errors
/// [`WhyError`].
pub fn why_not(recording: &mut Recording, rule: &str, at: LogicalNs, round: DurationNs) -> Result<WhyNot, WhyError> {
    let looked = (at.minus(round), at.plus(round));
    let mut walk = Walk::begin(recording, Some(looked.0))?;
    let site = walk.workshop().site().clone();
    let mut book = book(&site, walk.in_force());
    let mut id = named(&book, rule);
    let mut look = Look { site: &site, followed: BTreeMap::new(), left_out: 0, events: Vec::new(), sent: Vec::new() };
    let (mut scan, mut last_look) = (ScanBuf::new(), LogicalNs(i64::MIN));
    let mut reached = false;
    while let Some(item) = recording.next_item()? {
        let Item::Record(raw) = item else { continue };
        let Ok(record) = codec::decode(&raw, &mut scan) else { continue };
        if let Record::Input { tag, .. } = &record
            && tag.at > looked.1
        {
            reached = true;
            break;
        }
        let installs =
            matches!(&record, Record::Input { input: osmose_model::input::Input::RulesInstalled { .. }, .. });
        if walk.take(&record)? != Walked::Stepped {
            continue;
        }
        if installs {
            book = self::book(&site, walk.in_force());
            id = named(&book, rule);
        }
        let now = walk.machine().last();
        let Some(id) = id.filter(|_| now.at >= looked.0) else { continue };
        look.took(now, &walk.out().events, &walk.out().commands, id);
        let happened = !walk.out().events.is_empty() || !walk.out().commands.is_empty();
        if happened || now.at.since(last_look) >= LOOK_EVERY {
            last_look = now.at;
            look.look(&walk, id);
        }
    }
    let last = walk.machine().last().at;
    let Some(id) = id else {
        let known = book
            .program()
            .map_or_else(String::new, |p| p.rules().iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(", "));
        return Err(WhyError::NoRule { name: rule.to_owned(), known });
    };
    if look.followed.is_empty() && !reached && last < at {
        return Err(WhyError::NotKnown(at));
    }
    Ok(look.answer(&book, id, at, looked, &walk, recording))
}

fn book(site: &Site, in_force: &[u8]) -> Rulebook {
    let files: Vec<SourceFile> = canon::decode_files(in_force).unwrap_or_default();
    Rulebook::new(site, &files)
}

fn named(book: &Rulebook, rule: &str) -> Option<RuleId> {
    book.program().and_then(|p| p.rule_named(rule))
}

struct Look<'a> {
    site: &'a Site,
    followed: BTreeMap<Key, Followed>,
    left_out: u64,
    events: Vec<(Tag, WorldEvent)>,
    sent: Vec<Command>,
}

impl Look<'_> {
    fn took(&mut self, now: Tag, events: &[WorldEvent], commands: &[Command], rule: RuleId) {
        self.events.extend(events.iter().map(|e| (now, *e)));
        self.sent.extend(commands.iter().filter(|c| c.rule == Some(rule)).cloned());
    }

    fn look(&mut self, walk: &Walk, rule: RuleId) {
        let view = walk.machine().view();
        let mut tracks = Vec::new();
        view.for_each_occupant(&mut |o| {
            if tracks.len() < TRACKS_MAX {
                tracks.push(o.track);
            }
        });
        let now = view.now();
        for explained in walk.machine().rules().explain(rule, &tracks, &view) {
            self.follow(&explained, now, &view);
        }
    }

    fn follow(&mut self, e: &Explained, now: LogicalNs, view: &dyn WorldView) {
        let key: Key = (e.bindings.clone(), e.track);
        if self.followed.len() >= FOLLOWED_MAX && !self.followed.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let occupant = e.track.and_then(|(_, t)| view.occupant(t));
        let depth = |zone: ZoneId| {
            let o = occupant?;
            let z = self.site.zones.get(zone.index()).filter(|z| z.level == o.place.level)?;
            Some((zone, z.area.depth(o.place.at)))
        };
        let near = |part: &Part| {
            let zones = part.gauges.iter().filter_map(|g| match g {
                Gauge::Event { zone, .. } | Gauge::InZone { zone, .. } => Some(*zone),
                _ => None,
            });
            let depths: Vec<(ZoneId, f64)> = zones.filter_map(depth).collect();
            Near { score: (part.truth, score(part, &depths)), part: part.clone(), at: now, depths }
        };
        let who = occupant.map(|o| {
            let lost = if o.presence == Presence::Lost { ", lost" } else { "" };
            match o.person {
                Some(p) => format!("{} {:.3}{lost}", words::person(self.site, p), o.person_p),
                None => format!("nobody known{lost}"),
            }
        });
        let missing = e.missing();
        let parts: Vec<Near> = e.parts.iter().map(near).collect();
        let entry = self.followed.entry(key).or_insert_with(|| Followed {
            parts: parts.clone(),
            best: (missing, now),
            off_until: None,
            acted_at: None,
            who: who.clone(),
        });
        for (kept, new) in entry.parts.iter_mut().zip(parts) {
            if new.score > kept.score {
                *kept = new;
            }
        }
        if missing < entry.best.0 {
            entry.best = (missing, now);
        }
        (entry.off_until, entry.acted_at) = (e.off_until, e.acted_at);
        if who.is_some() {
            entry.who = who;
        }
    }

    fn answer(
        self,
        book: &Rulebook,
        rule: RuleId,
        at: LogicalNs,
        looked: (LogicalNs, LogicalNs),
        walk: &Walk,
        recording: &Recording,
    ) -> WhyNot {
        let mut nearest: Vec<(&Key, &Followed)> = self.followed.iter().collect();
        let total = |f: &Followed| f.parts.iter().map(|n| n.score.1).sum::<f64>();
        nearest.sort_by(|a, b| a.1.best.0.cmp(&b.1.best.0).then(total(b.1).total_cmp(&total(a.1))));
        let candidates = nearest.iter().take(TOLD_MAX).map(|(k, f)| self.candidate(book, rule, k, f)).collect();
        let place = book.place(rule).map_or_else(String::new, |p| format!(" ({}:{})", p.file, p.line));
        let level = book.level(rule).map_or_else(String::new, |l| format!(", level {l}"));
        let mut caution = Vec::new();
        if let Some(tag) = walk.differs_at {
            let build = recording.meta().build.differs_from(&crate::trace::format::Build::this());
            let why = build.map_or_else(String::new, |w| format!(" (another build recorded it: {w})"));
            caution.push(format!("from {} s on this build decides otherwise than recorded{why}", tag.at));
        }
        if walk.skipped > 0 {
            caution.push(format!("{} inputs stand behind a hole and were not run", walk.skipped));
        }
        if self.left_out > 0 {
            caution.push(format!("more than {FOLLOWED_MAX} rooms and people: the later ones were left out"));
        }
        let sent = |c: &Command| format!("{} s {} (id {})", c.at, words::command(self.site, c), c.id);
        WhyNot {
            rule: format!("{}{level}{place}", book.name(rule)),
            at,
            looked,
            sent: self.sent.iter().map(sent).collect(),
            candidates,
            followed: self.followed.len(),
            caution: (!caution.is_empty()).then(|| caution.join("; ")),
        }
    }

    fn candidate(&self, book: &Rulebook, rule: RuleId, key: &Key, f: &Followed) -> Candidate {
        let mut bindings: Vec<String> =
            key.0.iter().map(|(name, z)| format!("{name} = {}", words::zone(self.site, *z))).collect();
        if let Some((name, track)) = key.1 {
            let who = f.who.as_deref().map_or_else(String::new, |w| format!(" ({w})"));
            bindings.push(format!("{name} = track {track}{who}"));
        }
        let offsets: Vec<u32> = f.parts.iter().map(|n| n.part.offset).collect();
        let conditions = f.parts.iter().map(|near| {
            let written = book.condition(rule, near.part.offset, &offsets);
            Miss {
                condition: written.map_or_else(
                    || format!("the condition at byte {}", near.part.offset),
                    |l| format!("{} ({}:{}:{})", l.text, l.file, l.line, l.column),
                ),
                truth: near.part.truth,
                at: near.at,
                misses: near.part.gauges.iter().filter_map(|g| self.gauge(g, near, key.1.map(|(_, t)| t))).collect(),
            }
        });
        let mut besides = Vec::new();
        if let Some(until) = f.off_until {
            besides.push(format!("an operator has switched the rule off until {until} s"));
        }
        if let Some(acted) = f.acted_at {
            besides.push(format!("it last acted here at {acted} s: `once per` or `suppress` may hold it back"));
        }
        let bindings = if bindings.is_empty() { "the rule as a whole".to_owned() } else { bindings.join(", ") };
        Candidate { bindings, missing: f.best.0, at: f.best.1, conditions: conditions.collect(), besides }
    }

    /// What one part of a condition measured at its nearest, in words.
    fn gauge(&self, g: &Gauge, near: &Near, track: Option<TrackId>) -> Option<String> {
        let site = self.site;
        let depth = |zone: ZoneId| near.depths.iter().find(|(z, _)| *z == zone).map(|(_, d)| *d);
        Some(match g {
            Gauge::Event { kind, whom, zone } => {
                let mut text = format!("space: {}", self.place(*zone, depth(*zone), *kind));
                text += &format!("; time: {}", self.nearest_event(*kind, *zone, track, near.at));
                if *whom != Whom::Anyone {
                    text += &format!("; of {}", self.whom(*whom));
                }
                text
            }
            Gauge::InZone { zone, inside } => {
                format!("space: {} ({})", self.place(*zone, depth(*zone), EventKind::Enters), inside.as_str())
            }
            Gauge::Identity { whom, person, p, needed } => {
                let wanted = whom.map_or_else(|| "anybody known".to_owned(), |w| self.whom(w));
                let who = person.map_or_else(|| "nobody known".to_owned(), |x| words::person(site, x).to_owned());
                let short = if p < needed { format!(", {:.3} short", needed - p) } else { String::new() };
                format!("identity: {who} with {p:.3} of {needed:.3} needed{short}; wanted is {wanted}")
            }
            Gauge::Dwell { reached_s, needed_s } => {
                let short = (needed_s - reached_s).max(0.0);
                format!("time: reached {reached_s:.3} of {needed_s:.3} s, {short:.3} s short")
            }
            Gauge::Number { left, how, right } => {
                let range = |r: &(f64, f64)| match r {
                    (a, b) if a == b => format!("{a}"),
                    (a, b) if a.is_infinite() && b.is_infinite() => "unknown".to_owned(),
                    (a, b) => format!("{a} to {b}"),
                };
                format!("number: {} {how} {}", range(left), range(right))
            }
            Gauge::Occupied(zone, truth) => {
                format!("presence: somebody in {}: {}; {}", words::zone(site, *zone), truth.as_str(), self.watch(*zone))
            }
            Gauge::Somebody { whom, zone, all } => {
                let who = if *all { "all of" } else { "any of" };
                format!("presence: {who} {} in {}", self.whom(*whom), words::zone(site, *zone))
            }
            Gauge::Device { device, property, found, wanted } => {
                let found = found.map_or_else(|| "unknown".to_owned(), |v| words::value(site, &v));
                let wanted = wanted.map_or_else(|| "unknown".to_owned(), |v| words::value(site, &v));
                format!("device: {}.{property} is {found}, wanted {wanted}", words::device(site, *device))
            }
            Gauge::Sensor { sensor, alive, heard_at } => {
                let heard = heard_at.map_or_else(|| "never heard".to_owned(), |t| format!("last heard at {t} s"));
                format!("sensor: {} alive {}, {heard}", words::sensor(site, *sensor), alive.as_str())
            }
            Gauge::TimeOfDay { now, from, to } => {
                let clock = |d: &DurationNs| {
                    let s = d.0 / 1_000_000_000;
                    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                };
                let now = now.map_or_else(|| "not known: no wall clock".to_owned(), |n| clock(&n));
                format!("time of day: {now}, wanted {} to {}", clock(from), clock(to))
            }
            Gauge::Mode { .. } => "mode: another one".to_owned(),
            Gauge::Operator => "operator: no reset".to_owned(),
        })
    }

    fn whom(&self, w: Whom) -> String {
        match w {
            Whom::Anyone => "anybody".to_owned(),
            Whom::Person(p) => words::person(self.site, p).to_owned(),
            Whom::Members(g) => {
                let name = self.site.groups.get(g.index()).map_or("?", |g| g.name.as_str());
                format!("the members of {name}")
            }
            Whom::Participants(z) => format!("the participants of {}", words::zone(self.site, z)),
            Whom::InZone(z) => format!("those in {}", words::zone(self.site, z)),
        }
    }

    /// Where the person was against what the zone's margins ask for.
    fn place(&self, zone: ZoneId, depth_m: Option<f64>, kind: EventKind) -> String {
        let name = words::zone(self.site, zone);
        let Some(depth_m) = depth_m else { return format!("nobody to place at {name}") };
        let Some(z) = self.site.zones.get(zone.index()) else { return format!("no zone {name}") };
        let side = if depth_m >= 0.0 { "inside" } else { "outside" };
        let leaving = matches!(kind, EventKind::Leaves | EventKind::Lost);
        let margin = if leaving { z.margins.exit_margin_m } else { z.margins.enter_margin_m };
        let short = if leaving { depth_m + margin } else { margin - depth_m };
        let say = if short > 0.0 {
            format!("{short:.2} m short of {} it", if leaving { "leaving" } else { "entering" })
        } else {
            "far enough".to_owned()
        };
        format!("{:.2} m {side} {name} (margin {margin:.2} m): {say}", depth_m.abs())
    }

    /// The event of this kind at this zone that came nearest in time.
    fn nearest_event(&self, kind: EventKind, zone: ZoneId, track: Option<TrackId>, at: LogicalNs) -> String {
        let here = self.events.iter().filter(|(_, e)| e.kind == kind && e.zone == Some(zone));
        let own = here.clone().filter(|(_, e)| Some(e.track) == track);
        let by_time = |e: &&(Tag, WorldEvent)| e.0.at.since(at).0.abs();
        match own.min_by_key(by_time).or_else(|| here.min_by_key(by_time)) {
            Some((tag, e)) => format!("{} at {} s", words::event(self.site, e), tag.at),
            None => format!("nobody {} {} in the stretch", kind.as_str(), words::zone(self.site, zone)),
        }
    }

    /// The sensors that watch a zone.
    fn watch(&self, zone: ZoneId) -> String {
        let names: Vec<&str> =
            self.site.sensors.iter().filter(|s| s.zones.contains(&zone)).map(|s| s.name.as_str()).collect();
        if names.is_empty() { "no sensor watches it".to_owned() } else { format!("watched by {}", names.join(", ")) }
    }
}

/// How near a condition is by what it measures; larger is nearer.
fn score(part: &Part, depths: &[(ZoneId, f64)]) -> f64 {
    part.gauges
        .iter()
        .map(|g| match g {
            Gauge::Event { kind, zone, .. } => {
                let depth = depths.iter().find(|(z, _)| z == zone).map_or(f64::NEG_INFINITY, |(_, d)| *d);
                // Who waits for somebody to leave a zone is nearest where he is at its edge, from inside.
                if matches!(kind, EventKind::Leaves | EventKind::Lost) && depth.is_finite() {
                    -depth.abs()
                } else {
                    depth
                }
            }
            Gauge::InZone { zone, .. } => depths.iter().find(|(z, _)| z == zone).map_or(f64::NEG_INFINITY, |(_, d)| *d),
            Gauge::Identity { p, needed, .. } => p - needed,
            Gauge::Dwell { reached_s, needed_s } => reached_s - needed_s,
            Gauge::Number { left, right, .. } if left.0.is_finite() && right.0.is_finite() => -(left.0 - right.0).abs(),
            _ => 0.0,
        })
        .map(|s| s.max(-1e9))
        .sum()
}

impl WhyNot {
    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let s = |t: LogicalNs| t.0 as f64 / 1e9;
        let condition = |m: &Miss| json!({"condition": m.condition, "truth": m.truth.as_str(), "nearest_t_s": s(m.at), "misses": m.misses});
        let candidate = |c: &Candidate| {
            json!({"bindings": c.bindings, "missing": c.missing, "t_s": s(c.at), "besides": c.besides,
                "conditions": c.conditions.iter().map(condition).collect::<Vec<_>>()})
        };
        json!({"rule": self.rule, "t_s": s(self.at), "from_s": s(self.looked.0), "to_s": s(self.looked.1),
            "origin": "recomputed", "sent": self.sent, "looked_at": self.followed,
            "nearest": self.candidates.iter().map(candidate).collect::<Vec<_>>(), "caution": self.caution})
    }

    /// For people. Ends with a newline.
    #[must_use]
    pub fn render(&self) -> String {
        let (from, to) = self.looked;
        let mut text = format!("rule {}\nlooked at from {from} s to {to} s (recomputed)\n", self.rule);
        for sent in &self.sent {
            text += &format!("it DID act: {sent}\n");
        }
        if self.candidates.is_empty() {
            text += "there was nothing for it to look at: no such room, or nobody there\n";
        }
        for c in &self.candidates {
            text += &format!(
                "\n{}: {} of {} conditions missing at {} s\n",
                c.bindings,
                c.missing,
                c.conditions.len(),
                c.at
            );
            for m in &c.conditions {
                text += &format!("  {:<8}{}\n", m.truth.as_str(), m.condition);
                for miss in &m.misses {
                    text += &format!("          nearest at {} s: {miss}\n", m.at);
                }
            }
            for b in &c.besides {
                text += &format!("  besides {b}\n");
            }
        }
        if self.followed > self.candidates.len() {
            text += &format!("\n{} more rooms and people were farther off\n", self.followed - self.candidates.len());
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

    fn asked(rule: &str, at_s: i64) -> WhyNot {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        std::fs::write(&path, live(&walk(30), 40)).unwrap();
        let mut recording = Recording::open(&path).unwrap();
        why_not(&mut recording, rule, LogicalNs(at_s * 1_000_000_000), DurationNs::from_s(1)).unwrap()
    }

    #[test]
    fn who_had_not_left_yet_is_so_far_from_the_door() {
        // The second tag comes through the door's line at x = 5 m at 1.7 s: until 1 s nobody has left.
        let not = asked("pause", 0);
        let text = not.render();
        assert!(not.sent.is_empty() && !not.candidates.is_empty(), "{text}");
        let first = &not.candidates[0];
        let when = &first.conditions[0];
        assert_ne!(when.truth, Tri::True, "{text}");
        assert!(when.condition.contains("leaves meeting (rules/first.rules:3:"), "{text}");
        assert!(when.misses[0].contains("m short of leaving it"), "{text}");
        assert!(when.misses[0].contains("nobody leaves meeting in the stretch"), "{text}");
        assert!(when.misses.iter().any(|m| m.starts_with("identity: ")), "{text}");
        assert_eq!(not.to_json()["origin"], "recomputed");
    }

    #[test]
    fn a_rule_that_did_act_says_so_and_an_unknown_one_names_those_there_are() {
        // Both tags pass the line again and again within thirty seconds.
        let acted = (2..28).map(|s| asked("pause", s)).find(|n| !n.sent.is_empty()).expect("somebody leaves");
        assert!(acted.render().contains("it DID act"), "{}", acted.render());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        std::fs::write(&path, live(&walk(3), 0)).unwrap();
        let mut recording = Recording::open(&path).unwrap();
        let error = why_not(&mut recording, "pauze", LogicalNs(1), ROUND).unwrap_err().to_string();
        assert!(error.contains("pause, light"), "{error}");
        recording.rewind().unwrap();
        let late = why_not(&mut recording, "pause", LogicalNs(900_000_000_000), ROUND);
        assert!(matches!(late, Err(WhyError::NotKnown(_))));
    }
}
