//! `osmose bench step`: what one observation costs the core, in nanoseconds, each call by itself.
//!
//! No socket, no thread: canonical inputs are stepped in this thread, and the clock is read before and after each step. What
//! those two readings cost is a row of its own and is not subtracted. Rows are measured in turns, so that an hour in which
//! the machine was slow is every row's hour; comparisons are made from the medians of the turns.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the turns, the rows and their ratios |
//! | `course.rs` | streams of observations, one for each row |

mod course;

use crate::dist::Dist;
use crate::hiccup::Probe;
use crate::host::Host;
use crate::interval;
use crate::report::{Hiccups, Ratio, Report, Row};
use crate::sites::Plan;
use course::Course;
pub use course::Kind;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// What is measured, and for how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// Turns: each measures every row once.
    pub runs: usize,
    /// Observations of a row in one turn.
    pub observations: usize,
    /// Numbers of people whose fixes come.
    pub occupants: Vec<usize>,
    /// Numbers of rules.
    pub rules: Vec<usize>,
    /// Whether a row for every kind of observation is measured.
    pub kinds: bool,
    /// The core to measure on; `None` leaves it to the system.
    pub core: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            runs: 6,
            observations: 20_000,
            occupants: vec![10, 100, 1_000, 10_000],
            rules: vec![1, 10, 100, 1_000, 10_000],
            kinds: true,
            core: None,
        }
    }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A site of ours does not load, or a thread does not start.
    #[error("{0}")]
    Failed(String),
}

/// What was found.
#[derive(Debug)]
pub struct Measurement {
    /// The report.
    pub report: Report,
    /// Each row's distribution.
    pub dists: Vec<(String, Dist)>,
}

/// A row under measurement.
struct Lane {
    what: String,
    course: Option<Course>,
    all: Dist,
    runs_p50_ns: Vec<f64>,
}

impl Lane {
    fn new(what: impl Into<String>, course: Option<Course>) -> Self {
        Self { what: what.into(), course, all: Dist::new(), runs_p50_ns: vec![] }
    }

    /// One turn: so many observations, each timed.
    fn turn(&mut self, observations: usize) {
        let one = match &mut self.course {
            Some(course) => course.measure(observations),
            None => clock_alone(observations),
        };
        // The median of a turn is a figure for comparisons, not a percentile that is told: no sample rule.
        self.runs_p50_ns.push(one.histogram().value_at_quantile(0.5) as f64);
        self.all.merge(&one);
    }
}

/// Two readings of the clock one behind the other: the floor of every row.
fn clock_alone(n: usize) -> Dist {
    let mut dist = Dist::new();
    for _ in 0..n {
        let begun = Instant::now();
        black_box(());
        dist.add_span(begun.elapsed());
    }
    dist
}

/// The rows that were asked for, the clock's own first.
fn lanes(options: &Options) -> Result<Vec<Lane>, StepError> {
    let fixes = |plan: &Plan| Course::new(plan, Kind::Location).map_err(StepError::Failed);
    let mut lanes = vec![Lane::new("(floor) the clock read twice", None)];
    lanes.push(Lane::new(PEER_ROW, Some(fixes(&Plan::default())?)));
    if options.kinds {
        let plan = Plan { every_kind: true, people: 20, ..Plan::default() };
        for kind in Kind::ALL {
            lanes.push(Lane::new(kind.what(), Some(Course::new(&plan, kind).map_err(StepError::Failed)?)));
        }
    }
    for &people in &options.occupants {
        let what = format!("location fix, {people} occupants");
        lanes.push(Lane::new(what, Some(fixes(&Plan { people, ..Plan::default() })?)));
    }
    for &rules in &options.rules {
        let plan = Plan { untouched: rules, ..Plan::default() };
        lanes.push(Lane::new(untouched_row(rules), Some(fixes(&plan)?)));
    }
    for &rules in options.rules.iter().filter(|&&n| n <= WOKEN_MAX) {
        let what = format!("location fix, {rules} rules that exits of their room wake");
        lanes.push(Lane::new(what, Some(fixes(&Plan { woken: rules, ..Plan::default() })?)));
    }
    Ok(lanes)
}

const PEER_ROW: &str = "location fix, 200 people, 20 rules (the peer job)";
/// Woken rules are meant to show what waking costs; ten thousand of them in twenty rooms are no site.
const WOKEN_MAX: usize = 1_000;

fn untouched_row(rules: usize) -> String {
    format!("location fix, {rules} further rules that it does not touch")
}

/// Measures, in turns, and reports.
///
/// # Errors
/// [`StepError`]: a sentence for people.
pub fn measure(
    options: &Options,
    build: &str,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Measurement, StepError> {
    let mut report = Report::new("step", build, Host::read());
    report.set("topology", "inline: the core alone in one thread, no sockets");
    report.set("idle", "none: one step follows the other");
    report.set("rules", "the peer job's (20 rooms, one rule for each), and what a row names beside them");
    report.set("turns", format!("{} of {} observations a row, rows in turn", options.runs, options.observations));
    let pinned = options.core.is_some_and(|id| core_affinity::set_for_current(core_affinity::CoreId { id }));
    report.set("core", options.core.filter(|_| pinned).map_or_else(|| "not pinned".to_owned(), |c| c.to_string()));
    let mut lanes = lanes(options)?;
    let began = Instant::now();
    let failed = |e: std::io::Error| StepError::Failed(format!("no thread can be started: {e}"));
    let probe = options.core.map(|c| Probe::start(c, began, Duration::from_micros(100))).transpose().map_err(failed)?;
    let rows = lanes.len();
    for run in 0..options.runs {
        for (i, lane) in lanes.iter_mut().enumerate() {
            progress(run * rows + i, options.runs * rows);
            lane.turn(options.observations);
        }
    }
    if let Some(found) = probe.map(Probe::stop) {
        report.hiccups.push(Hiccups::of_probe("core of the steps", &found));
    }
    report.ratios = ratios(&lanes);
    let mut dists = vec![];
    for lane in lanes {
        report.rows.push(Row::new(&lane.what, &lane.all, lane.runs_p50_ns));
        dists.push((lane.what, lane.all));
    }
    report.notes.push(
        "A step alone, in a warm cache: no socket, no decoding, no journal. Do not add it up with other figures; `osmose bench latency` \
         measures the whole way."
            .to_owned(),
    );
    Ok(Measurement { report, dists })
}

/// What rules that an event does not touch add, turn by turn.
fn ratios(lanes: &[Lane]) -> Vec<Ratio> {
    let base = lanes.iter().find(|l| l.what == PEER_ROW);
    let untouched = lanes.iter().filter(|l| l.what.ends_with("further rules that it does not touch"));
    let pairs_of = |lane: &Lane| -> Option<Ratio> {
        let pairs: Vec<f64> =
            lane.runs_p50_ns.iter().zip(&base?.runs_p50_ns).map(|(a, b)| interval::ratio(*a, *b)).collect();
        let interval = interval::from_signs(&pairs)?;
        let order = "turns side by side".to_owned();
        Some(Ratio { what: format!("p50 of: {} / without them", lane.what), interval, pairs, order })
    };
    untouched.filter_map(pairs_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_run_gives_every_row_its_samples() {
        let options =
            Options { runs: 2, observations: 300, occupants: vec![10], rules: vec![1, 10], kinds: true, core: None };
        let report = measure(&options, "test", &mut |_, _| {}).unwrap_or_else(|e| panic!("{e}")).report;
        assert_eq!(report.rows.len(), 2 + Kind::ALL.len() + 1 + 2 + 2);
        for row in &report.rows {
            assert_eq!((row.samples, row.runs_p50_ns.len()), (600, 2), "{}", row.what);
            assert_eq!(row.percentiles[3].ns, None, "600 samples have no p99.9: {}", row.what);
        }
        assert_eq!(report.ratios.len(), 2);
    }
}
