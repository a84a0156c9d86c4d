//! `osmose why --rule --at`: a rule that did nothing, and how near each of its conditions came.
//!
//! The code is run along the recording round the instant, and the rule is asked between steps how it stands: for
//! every room and every person that it could speak of. Told is the one that came nearest: whose most conditions held
//! at once. Nothing of this was recorded, so all of it is recomputed.

use super::WhyError;
use super::misses::{self, Sensed, Somebody};
use crate::drive::walk::{Walk, Walked};
use crate::drive::{Ticker, Watch, Workshop};
use crate::rulebook::Rulebook;
use crate::trace::codec::{self, Record};
use crate::trace::read::Item;
use crate::trace::recording::{Items, Recording};
use crate::words;
use crate::words::counted;
use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::ids::{Name, RuleId, TrackId, ZoneId};
use osmose_model::input::Tag;
use osmose_model::observation::ScanBuf;
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Presence, WorldEvent, WorldView};
use osmose_rules::eval::explain::{Explained, Gauge, Part};
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
/// Out of sight for longer than this is told of a person.
const UNSEEN: DurationNs = DurationNs::from_ms(250);
/// Most of them told.
const TOLD_MAX: usize = 3;

/// One room or person of a rule: its variables.
type Key = (Vec<(Name, ZoneId)>, Option<(Name, TrackId)>);

/// How near one condition came.
#[derive(Clone, Debug)]
pub(super) struct Near {
    pub(super) part: Part,
    pub(super) at: LogicalNs,
    /// Larger is nearer: truth first, then what is measured.
    score: (Tri, f64),
    /// Where the person was at that instant, relative to the zones of the condition: depth in metres, positive inside.
    pub(super) depths: Vec<(ZoneId, f64)>,
    /// How the sensors that it hangs on were then.
    pub(super) sensed: Vec<Sensed>,
    /// Where those were whom the condition names.
    pub(super) people: Vec<Somebody>,
    /// When it held, nearest to the instant asked about.
    pub(super) held_at: Option<LogicalNs>,
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
    /// The longest that the person was not seen, and until when.
    unseen: (DurationNs, LogicalNs),
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
    /// When it held in the stretch, nearest to the instant asked about.
    pub held_at: Option<LogicalNs>,
    /// What was missing, or what it measured: in space, in time, in identity, in the sensors' health.
    pub misses: Vec<Shortfall>,
}

/// What one aspect of a condition measured at its nearest.
#[derive(Clone, Debug, PartialEq)]
pub struct Shortfall {
    /// `space`, `time`, `identity`, `sensors`, `number`, `presence`, `device`, `mode` or `operator`.
    pub aspect: &'static str,
    /// By how much it fell short, 0 where it did not; `None` where that is no number.
    pub short: Option<f64>,
    /// The unit of `short`; empty for probabilities.
    pub unit: &'static str,
    /// In words.
    pub text: String,
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
    /// What else held it back or is to be known: switched off, damped, out of sight.
    pub besides: Vec<String>,
}

/// The answer.
#[derive(Clone, Debug)]
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
    /// The rules that were in force.
    pub book: Rulebook,
    /// The wall clock, where the log has one.
    wall: words::Tied,
}

/// Why a rule did not act about an instant.
///
/// # Errors
/// [`WhyError`].
pub fn why_not(
    recording: &mut Recording,
    rule: &str,
    at: LogicalNs,
    round: DurationNs,
    watch: &mut dyn Watch,
) -> Result<WhyNot, WhyError> {
    let looked = (at.minus(round), at.plus(round));
    let mut walk = Walk::begin(recording, Some(looked.0))?;
    let site = walk.workshop().site().clone();
    let mut book = book(&site, walk.in_force());
    let mut id = named(&book, rule);
    let mut look =
        Look { site: &site, at, followed: BTreeMap::new(), left_out: 0, events: Vec::new(), sent: Vec::new() };
    let (mut scan, mut last_look) = (ScanBuf::new(), LogicalNs(i64::MIN));
    let (mut reached, mut ticker) = (false, Ticker::new(watch));
    while let Some(item) = ticker.next_item(recording)? {
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
    /// The instant asked about.
    at: LogicalNs,
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
            let sensed = misses::sensors_of(self.site, part).map(|s| Sensed::of(view, s)).collect();
            let people = misses::people_of(view, part);
            let held_at = (part.truth == Tri::True).then_some(now);
            Near {
                score: (part.truth, score(part, &depths)),
                part: part.clone(),
                at: now,
                depths,
                sensed,
                people,
                held_at,
            }
        };
        let who = occupant.map(|o| {
            let lost = if o.presence == Presence::Lost { ", lost" } else { "" };
            match o.person {
                Some(p) => format!("{}, p {:.3}{lost}", words::person(self.site, p), o.person_p),
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
            unseen: (DurationNs::ZERO, now),
        });
        // Of instants that are equally near, the one asked about is told, or the nearest to it.
        let asked = self.at;
        let off = |t: LogicalNs| t.since(asked).0.saturating_abs();
        for (kept, new) in entry.parts.iter_mut().zip(parts) {
            let held_at = [kept.held_at, new.held_at].into_iter().flatten().min_by_key(|t| off(*t));
            if new.score > kept.score || new.score == kept.score && off(now) < off(kept.at) {
                *kept = new;
            }
            kept.held_at = held_at;
        }
        if missing < entry.best.0 || missing == entry.best.0 && off(now) < off(entry.best.1) {
            entry.best = (missing, now);
        }
        if let Some(unseen) = occupant.map(|o| now.since(o.seen_at)).filter(|d| *d > entry.unseen.0) {
            entry.unseen = (unseen, now);
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
            let build = recording.other_build();
            let why = build.map_or_else(String::new, |w| format!(" (another build recorded it: {w})"));
            caution.push(format!("from {} s on this build decides otherwise than recorded{why}", tag.at));
        }
        if walk.skipped > 0 {
            caution.push(format!("not run, because behind a hole: {}", counted(walk.skipped, "input")));
        }
        if self.left_out > 0 {
            caution.push(format!("more than {FOLLOWED_MAX} rooms and people: the later ones were left out"));
        }
        let view = walk.machine().view();
        let wall = view.wall().map(|w| (view.now(), w));
        let sent =
            |c: &Command| format!("{} {} (id {})", words::instant(c.at, wall), words::command(self.site, c), c.id);
        WhyNot {
            rule: format!("{}{level}{place}", book.name(rule)),
            at,
            looked,
            sent: self.sent.iter().map(sent).collect(),
            candidates,
            followed: self.followed.len(),
            caution: (!caution.is_empty()).then(|| caution.join("; ")),
            book: book.clone(),
            wall,
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
                held_at: near.held_at,
                misses: misses::of(self.site, &self.events, self.at, near, key.1.map(|(_, t)| t)),
            }
        });
        let mut besides = Vec::new();
        if let Some(until) = f.off_until {
            besides.push(format!("an operator has switched the rule off until {}", words::seconds(until)));
        }
        if let Some(acted) = f.acted_at {
            besides.push(format!(
                "it last acted here at {}: `once per` or `suppress` may hold it back",
                words::seconds(acted)
            ));
        }
        if let Some((_, track)) = key.1.filter(|_| f.unseen.0 > UNSEEN) {
            besides.push(format!(
                "nothing was heard of track {track} for {}, until {}",
                words::span(f.unseen.0),
                words::seconds(f.unseen.1)
            ));
        }
        let bindings = if bindings.is_empty() { "the rule as a whole".to_owned() } else { bindings.join(", ") };
        Candidate { bindings, missing: f.best.0, at: f.best.1, conditions: conditions.collect(), besides }
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
        let clock = |t: LogicalNs| words::time_of_day(t, self.wall);
        let shortfall = |m: &Shortfall| json!({"aspect": m.aspect, "short": m.short, "unit": m.unit, "text": m.text});
        let condition = |m: &Miss| {
            json!({"condition": m.condition, "truth": m.truth.as_str(), "nearest_t_s": s(m.at),
                "held_t_s": m.held_at.map(s), "misses": m.misses.iter().map(shortfall).collect::<Vec<_>>()})
        };
        let candidate = |c: &Candidate| {
            json!({"bindings": c.bindings, "missing": c.missing, "t_s": s(c.at), "besides": c.besides,
                "conditions": c.conditions.iter().map(condition).collect::<Vec<_>>()})
        };
        json!({"rule": self.rule, "t_s": s(self.at), "time_of_day": clock(self.at), "from_s": s(self.looked.0),
            "to_s": s(self.looked.1), "origin": "recomputed", "sent": self.sent, "looked_at": self.followed,
            "nearest": self.candidates.iter().map(candidate).collect::<Vec<_>>(), "caution": self.caution})
    }

    /// For people. Ends with a newline.
    #[must_use]
    pub fn render(&self) -> String {
        let (from, to) = self.looked;
        let mut text = format!("rule {}\n", self.rule);
        text += &format!(
            "asked about {}, looked at from {} to {}; all that follows is recomputed\n",
            words::instant(self.at, self.wall),
            words::seconds(from),
            words::seconds(to)
        );
        for sent in &self.sent {
            text += &format!("it DID act: {sent}\n");
        }
        if self.candidates.is_empty() {
            text += "there was nothing for it to look at: no such room, or nobody there\n";
        }
        for c in &self.candidates {
            let (conditions, at) = (c.conditions.len(), words::instant(c.at, self.wall));
            text += &match c.missing {
                0 => format!("\n{}: every condition held at {at}\n", c.bindings),
                n => format!(
                    "\n{}: {n} of {} missing at {at}, its best moment\n",
                    c.bindings,
                    counted(conditions, "condition")
                ),
            };
            for m in &c.conditions {
                text += &format!("  {:<8}{}\n", m.truth.as_str(), m.condition);
                text += &format!("          at its nearest, {}:\n", words::instant(m.at, self.wall));
                for miss in &m.misses {
                    text += &format!("            {:<9} {}\n", miss.aspect, miss.text);
                }
            }
            for b in &c.besides {
                text += &format!("  besides, {b}\n");
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
        why_not(&mut recording, rule, LogicalNs(at_s * 1_000_000_000), DurationNs::from_s(1), &mut ()).unwrap()
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
        let of = |aspect: &str| {
            when.misses.iter().find(|m| m.aspect == aspect).unwrap_or_else(|| panic!("{aspect}: {text}"))
        };
        assert!(of("space").text.contains("m short of leaving it"), "{text}");
        assert!(of("space").short.is_some_and(|m| m > 0.0 && m < 10.0) && of("space").unit == "m", "{text}");
        assert!(of("time").text.contains("nobody leaves meeting in the stretch"), "{text}");
        assert!(of("identity").text.contains("wanted is"), "{text}");
        assert!(when.misses.iter().any(|m| m.aspect == "sensors" && m.text.starts_with("tags: alive")), "{text}");
        let json = not.to_json();
        assert_eq!((json["origin"].as_str(), json["time_of_day"].is_string()), (Some("recomputed"), true));
        assert_eq!(json["nearest"][0]["conditions"][0]["misses"][0]["aspect"], "space");
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
        let error = why_not(&mut recording, "pauze", LogicalNs(1), ROUND, &mut ()).unwrap_err().to_string();
        assert!(error.contains("pause, light"), "{error}");
        recording.rewind().unwrap();
        let late = why_not(&mut recording, "pause", LogicalNs(900_000_000_000), ROUND, &mut ());
        assert!(matches!(late, Err(WhyError::NotKnown(_))));
    }
}
