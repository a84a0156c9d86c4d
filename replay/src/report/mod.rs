//! `osmose report`: an incident as one page that opens anywhere and prints: no scripts, no links, no fonts.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | what is collected: one replay, and one look through the records |
//! | `page.rs` | the page |
//! | `lanes.rs` | its timeline |

mod lanes;
mod page;

use crate::drive::sinks::Each;
use crate::drive::{Options, Osmose, Replay, ReplayError, Sinks, Summary, Watch, Workshop, WorkshopError};
use crate::info::{Info, InfoError, survey};
use crate::promises::{self, Promise};
use crate::rulebook::Rulebook;
use crate::timeline::Timeline;
use crate::trace::codec::Record;
use crate::trace::recording::{Items, Recording, RecordingError};
use crate::words;
use osmose_core::Outbox;
use osmose_model::command::Command;
use osmose_model::ids::{SensorId, ZoneId};
use osmose_model::input::{Input, Tag};
use osmose_model::site::SourceFile;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::WorldView;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;

/// Columns of the timeline.
const BINS: usize = 240;
/// Most commands listed.
const COMMANDS_MAX: usize = 500;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file or folder is no recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// It cannot be looked through.
    #[error(transparent)]
    Info(#[from] InfoError),
    /// Its site does not load.
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    /// Its inputs cannot be run.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The disk refused.
    #[error("the trace cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

/// How one hop's latencies were spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spread {
    count: usize,
    p50_ns: u64,
    p99_ns: u64,
    max_ns: u64,
}

impl Spread {
    fn of(mut all: Vec<u64>) -> Self {
        all.sort_unstable();
        // Nearest rank: the smallest value that so many are not above.
        let rank = |q: f64| all.get(((q * all.len() as f64).ceil() as usize).max(1) - 1).copied().unwrap_or(0);
        Self { count: all.len(), p50_ns: rank(0.5), p99_ns: rank(0.99), max_ns: all.last().copied().unwrap_or(0) }
    }
}

/// A command that was handed over after its rule's deadline; where it has none, after the engine's budget.
#[derive(Clone, Debug)]
struct Late {
    command: Command,
    took: DurationNs,
    deadline: DurationNs,
}

/// What one sensor said, how late it came, and for how long it said nothing.
#[derive(Clone, Debug)]
struct Heard {
    first: LogicalNs,
    last: LogicalNs,
    longest: DurationNs,
    longest_from: LogicalNs,
    /// From measured to arrived.
    delays: Delays,
}

impl Heard {
    /// The longest silence, the one at the end included.
    fn silence(&self, end: LogicalNs) -> (DurationNs, LogicalNs) {
        let at_end = end.since(self.last);
        if at_end > self.longest { (at_end, self.last) } else { (self.longest, self.longest_from) }
    }
}

/// Buckets of a power of two.
const STEPS: u64 = 8;

/// How delays were spread, in buckets of at most an eighth of their value: a day of samples in a few kilobytes.
#[derive(Clone, Debug)]
struct Delays {
    counts: Vec<u64>,
    max_ns: u64,
}

impl Default for Delays {
    fn default() -> Self {
        Self { counts: vec![0; 64 * STEPS as usize], max_ns: 0 }
    }
}

impl Delays {
    fn add(&mut self, ns: u64) {
        let log = u64::from(ns.max(STEPS).ilog2());
        let part = (ns.max(STEPS) >> (log - 3)) & (STEPS - 1);
        self.counts[(log * STEPS + part) as usize] += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// The value that a share of all are not above, to an eighth.
    fn at(&self, share: f64) -> u64 {
        let total: u64 = self.counts.iter().sum();
        let rank = ((share * total as f64).ceil() as u64).max(1);
        let mut below = 0;
        let found = self.counts.iter().position(|n| {
            below += n;
            below >= rank
        });
        // The upper edge of the topmost bucket is beyond what 64 bits hold.
        let last_in = |i: u64| (u128::from(STEPS + i % STEPS + 1) << (i / STEPS).saturating_sub(3)) - 1;
        found.map_or(0, |i| u64::try_from(last_in(i as u64)).unwrap_or(u64::MAX).min(self.max_ns))
    }
}

/// What a replay shows on the way.
struct Collected {
    span: (LogicalNs, LogicalNs),
    /// By zone, then by column: most people in it.
    people: Vec<Vec<u32>>,
    /// By zone: people in it after the last step.
    now: Vec<u32>,
    /// Somebody was looked for at all: a cut begins with people in its rooms.
    begun: bool,
    column: usize,
    /// How the sensors agreed with each other at the end, by sensor.
    verdicts: BTreeMap<SensorId, &'static str>,
    sensors: BTreeMap<SensorId, Heard>,
    commands: Vec<Command>,
    more_commands: u64,
    /// The first instant at which the wall clock was known.
    wall: words::Tied,
}

impl Collected {
    fn new(span: (LogicalNs, LogicalNs), zones: usize) -> Self {
        Self {
            span,
            people: vec![vec![0; BINS]; zones],
            now: vec![0; zones],
            begun: false,
            column: 0,
            verdicts: BTreeMap::new(),
            sensors: BTreeMap::new(),
            commands: Vec::new(),
            more_commands: 0,
            wall: None,
        }
    }

    fn column_of(&self, at: LogicalNs) -> usize {
        let (from, to) = self.span;
        let length = to.since(from).0.max(1);
        let part = at.since(from).0.clamp(0, length - 1);
        (i128::from(part) * BINS as i128 / i128::from(length)) as usize
    }

    fn step(&mut self, tag: Tag, input: &Input<'_>, out: &Outbox, view: &dyn WorldView) {
        if let Some(o) = input.observation() {
            let at = tag.at;
            let heard = self.sensors.entry(o.sensor).or_insert_with(|| Heard {
                first: at,
                last: at,
                longest: DurationNs::ZERO,
                longest_from: at,
                delays: Delays::default(),
            });
            if at.since(heard.last) > heard.longest {
                (heard.longest, heard.longest_from) = (at.since(heard.last), heard.last);
            }
            heard.last = at;
            heard.delays.add(at.since(o.measured).0.unsigned_abs());
        }
        if self.wall.is_none() {
            self.wall = view.wall().map(|w| (tag.at, w));
        }
        self.count(tag, !out.events.is_empty(), view);
        self.take_commands(out);
    }

    /// Who is where, and since the last step was.
    fn count(&mut self, tag: Tag, something_happened: bool, view: &dyn WorldView) {
        let column = self.column_of(tag.at);
        if column == self.column && !something_happened && self.begun {
            return;
        }
        self.begun = true;
        for zone in 0..self.people.len() {
            // Until now it was as the last step left it.
            for c in self.column..=column {
                self.people[zone][c] = self.people[zone][c].max(self.now[zone]);
            }
            self.now[zone] = view.count_in(ZoneId(zone as u16)).seen;
            self.people[zone][column] = self.people[zone][column].max(self.now[zone]);
        }
        if column != self.column {
            let judged = view.site().sensors.iter().map(|s| (s.id, view.sensor(s.id).health));
            let judged = judged.filter(|(_, h)| h.compared > 0).map(|(id, h)| (id, h.verdict.as_str()));
            self.verdicts = judged.collect();
        }
        self.column = column;
    }

    fn take_commands(&mut self, out: &Outbox) {
        for c in &out.commands {
            if self.commands.len() < COMMANDS_MAX {
                self.commands.push(c.clone());
            } else {
                self.more_commands += 1;
            }
        }
    }
}

/// Everything on the page.
struct Report {
    title: String,
    info: Info,
    summary: Summary,
    plan: String,
    collected: Collected,
    book: Rulebook,
    /// By hop.
    hops: BTreeMap<String, Spread>,
    late: Vec<Late>,
    /// Commands whose way through the engine was recorded.
    timed: usize,
    /// From the sample that decided to the command, of those that a sample decided.
    sensed: Spread,
    /// The local time of day of an instant, where the log has a wall clock.
    wall: words::Tied,
    /// What is on the timeline beside people; nothing of an import.
    line: Option<Timeline>,
    /// What the rules promise and nobody could prove, and whether it held.
    promises: Vec<Promise>,
}

/// A buffer that a replay writes into and that is read afterwards.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The report of a trace, or of a folder of them, as a page.
///
/// # Errors
/// [`ReportError`].
pub fn report(path: &Path, watch: &mut dyn Watch) -> Result<String, ReportError> {
    let mut recording = Recording::open(path)?;
    let workshop = Osmose::of_files(recording.files())?;
    let site = workshop.site().clone();
    let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
    let book = Rulebook::new(&site, &rules);
    // What was recorded: counts, gaps, and how long each command took.
    let (mut hops, mut steps) = (BTreeMap::<String, Vec<u64>>::new(), BTreeMap::<u32, u64>::new());
    let mut recorded: Vec<Command> = Vec::new();
    let info = survey(Recording::open(path)?, watch, |raw, record| match record {
        Record::Latency(l) if l.count == 1 => {
            hops.entry(l.hop.to_owned()).or_default().push(l.max_ns);
            *steps.entry(raw.sequence).or_default() += l.max_ns;
        }
        Record::Command(c) if recorded.len() < 1_000_000 => recorded.push((**c).clone()),
        _ => {}
    })?;
    let took = |c: &Command| steps.get(&(c.id.seq.0 as u32)).copied();
    let late = recorded.iter().filter_map(|c| {
        let own = c.rule.and_then(|r| book.program()?.rule(r)?.deadline).map(|(d, _)| d);
        let deadline = own.unwrap_or(DurationNs::from_us(i64::from(site.engine.budget_us)));
        let took = DurationNs(i64::try_from(took(c)?).ok()?);
        (took > deadline).then(|| Late { command: c.clone(), took, deadline })
    });
    let (late, timed) = (late.collect(), recorded.iter().filter(|c| took(c).is_some()).count());
    // What can be seen by running it: who was where.
    let span = info.span.map_or_else(Default::default, |(a, b)| (a.at, b.at));
    let collected = Rc::new(RefCell::new(Collected::new(span, site.zones.len())));
    let sink = collected.clone();
    let each: Each = Box::new(move |tag, input, out, view| sink.borrow_mut().step(tag, input, out, view));
    let plan = Shared::default();
    let sinks = Sinks { plot: Some((None, Box::new(plan.clone()))), each: Some(each), ..Sinks::default() };
    recording.rewind()?;
    let verify = info.meta.has_decisions;
    let options = Options { sinks, verify, ..Options::default() };
    let summary = Replay::new(recording, workshop, options)?.run(watch)?;
    let collected = match Rc::try_unwrap(collected) {
        Ok(cell) => cell.into_inner(),
        Err(_) => Collected::new(span, site.zones.len()),
    };
    let plan = String::from_utf8_lossy(&plan.0.borrow()).into_owned();
    let hops = hops.into_iter().map(|(hop, all)| (hop, Spread::of(all))).collect();
    let title = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
    let sensed = recorded.iter().filter_map(|c| u64::try_from(c.at.since(c.cause.measured?).0).ok()).collect();
    let (sensed, wall) = (Spread::of(sensed), collected.wall);
    let line = if info.meta.has_decisions { Timeline::read(path, 1, watch).ok() } else { None };
    let promises = promises::watch(Recording::open(path)?, &site.files, Options::default(), watch)?;
    let report =
        Report { title, info, summary, plan, collected, book, hops, late, timed, sensed, wall, line, promises };
    Ok(page::render(&report, &site))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{live, walk};

    #[test]
    fn the_page_holds_everything_and_needs_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk <1>.mcap");
        std::fs::write(&path, live(&walk(30), 100)).unwrap();
        let page = report(&path, &mut ()).unwrap();
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
        for part in [
            "walk &lt;1&gt;.mcap",
            "<h2>Where people went</h2>",
            "<h2>Who was where, room by room</h2>",
            "<h2>What was done, and why</h2>",
            "<h2>Late commands</h2>",
            "<h2>What the rules promise</h2>",
            "Nothing was left to watch",
            "<h2>Sensors</h2>",
            "<h2>Gaps</h2>",
            "<h2>Latency</h2>",
            "meeting.recorder.pause",
            "leaves meeting",
            "verified: the same, bit for bit",
            "<svg",
            "@media print",
        ] {
            assert!(page.contains(part), "{part}");
        }
        for needs in ["<script", "http://", "https://", "<link", "@import", "<img", "javascript:"] {
            let without = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!without.contains(needs), "{needs}");
        }
        assert_eq!(page.matches("<table").count(), page.matches("</table>").count());
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }

    #[test]
    fn what_the_rules_promise_is_on_the_page_with_when_it_was_broken() {
        let promises = "prove never (meeting is occupied and meeting.recorder is paused) for 1 s\n\
                        prove never count(people in meeting) >= 40\n";
        let mut rules: Vec<SourceFile> = crate::testing::workshop().site().rule_files().cloned().collect();
        rules.push(SourceFile { path: "rules/promises.rules".to_owned(), text: format!("edition 1\n{promises}") });
        let (at, inputs) = crate::testing::with_install(&walk(40), 10, &rules);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        std::fs::write(&path, crate::testing::live_with(&inputs, 50, &[(at, rules)])).unwrap();
        let page = report(&path, &mut ()).unwrap();
        assert!(page.contains("Promises broken") && page.contains("<small>of 2 watched</small>"), "the figure");
        assert!(page.contains("rules/promises.rules:2") && page.contains("held in all of this"));
        assert!(page.contains("<td class=\"bad\">MISSED: broken</td>") && page.contains("set off by "));
    }

    #[test]
    fn the_timeline_counts_people_where_they_were() {
        let mut collected = Collected::new((LogicalNs(0), LogicalNs(240)), 1);
        assert_eq!([0, 1, 120, 239, 240, 999].map(|t| collected.column_of(LogicalNs(t))), [0, 1, 120, 239, 239, 239]);
        collected.span = (LogicalNs(5), LogicalNs(5));
        assert_eq!(collected.column_of(LogicalNs(5)), 0);
    }

    #[test]
    fn delays_are_told_to_an_eighth_and_the_greatest_as_it_is() {
        let mut d = Delays::default();
        assert_eq!((d.at(0.5), d.max_ns), (0, 0));
        for ns in [0, 3, 1000, 1_000_000, 10_000_000, 420_000_000, u64::MAX] {
            d = Delays::default();
            d.add(ns);
            let told = d.at(0.5);
            assert_eq!(d.max_ns, ns);
            assert!(told == ns, "one alone is told as it is: {told} of {ns}");
        }
        let mut d = Delays::default();
        (1..=1000).for_each(|ms| d.add(ms * 1_000_000));
        for (share, exact) in [(0.5, 500e6), (0.99, 990e6), (1.0, 1000e6)] {
            let told = d.at(share) as f64;
            assert!(told >= exact && told <= exact * 1.126, "{share}: {told} of {exact}");
        }
    }

    #[test]
    fn a_silence_that_lasts_to_the_end_counts() {
        let at = |s: i64| LogicalNs(s * 1_000_000_000);
        let heard = Heard {
            first: at(0),
            last: at(9),
            longest: DurationNs::from_s(4),
            longest_from: at(2),
            delays: Delays::default(),
        };
        assert_eq!(heard.silence(at(10)), (DurationNs::from_s(4), at(2)));
        assert_eq!(heard.silence(at(60)), (DurationNs::from_s(51), at(9)));
    }

    #[test]
    fn the_spread_is_by_nearest_rank() {
        let s = Spread::of((1..=100).rev().collect());
        assert_eq!((s.count, s.p50_ns, s.p99_ns, s.max_ns), (100, 50, 99, 100));
        assert_eq!(Spread::of(vec![]), Spread::default());
        assert_eq!(Spread::of(vec![7]), Spread { count: 1, p50_ns: 7, p99_ns: 7, max_ns: 7 });
    }
}
