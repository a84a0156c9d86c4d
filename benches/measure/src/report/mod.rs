//! What a measurement found, and how it is told: a table, JSON, `.hgrm` and interval logs, a page.
//!
//! | file | what it holds |
//! |---|---|
//! | [`table`] | for people at a terminal |
//! | [`hgrm`] | for HdrHistogram's own tools |
//! | [`page`] | one page that needs nothing else, with the percentile plot |

pub mod hgrm;
pub mod page;
pub mod table;

use crate::account::Account;
use crate::dist::{Dist, QUANTILES};
use crate::hiccup::{Found, Misses};
use crate::host::Host;
use crate::interval::Interval;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// The shape of the JSON; raised where a field changes its meaning.
pub const VERSION: u32 = 1;

/// A percentile that may be told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentile {
    /// From 0 to 1.
    pub q: f64,
    /// Nanoseconds; `None` where fewer than 100 samples lie beyond it.
    pub ns: Option<u64>,
}

/// One thing that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What.
    pub what: String,
    /// How many samples.
    pub samples: u64,
    /// Its percentiles, all runs together.
    pub percentiles: Vec<Percentile>,
    /// The true largest, nanoseconds.
    pub max_ns: u64,
    /// Samples beyond the histogram's bound.
    pub clipped: u64,
    /// The median of each run by itself, nanoseconds: what comparisons are made of.
    pub runs_p50_ns: Vec<f64>,
    /// Beyond the budget, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misses: Option<Misses>,
    /// Quantile and nanoseconds, for the plot.
    pub curve: Vec<(f64, u64)>,
}

impl Row {
    /// A row of a distribution, with the median of each run.
    #[must_use]
    pub fn new(what: &str, dist: &Dist, runs_p50_ns: Vec<f64>) -> Self {
        Self {
            what: what.to_owned(),
            samples: dist.len(),
            percentiles: QUANTILES.iter().map(|&q| Percentile { q, ns: dist.quantile_ns(q) }).collect(),
            max_ns: dist.max_ns(),
            clipped: dist.clipped(),
            runs_p50_ns,
            misses: None,
            curve: dist.curve(),
        }
    }

    /// A row of a span that the engine measured itself: no curve, and those percentiles only that it tells.
    #[must_use]
    pub fn of_measured(m: &crate::peer::Measured) -> Self {
        let told = |q: f64| match q {
            0.5 => m.p50_ns,
            0.99 => m.p99_ns,
            0.999 => m.p999_ns,
            _ => None,
        };
        Self {
            what: format!("engine's own: {}", m.what),
            samples: m.samples,
            percentiles: QUANTILES.iter().map(|&q| Percentile { q, ns: told(q) }).collect(),
            max_ns: m.max_ns,
            clipped: m.clipped,
            runs_p50_ns: vec![],
            misses: None,
            curve: vec![],
        }
    }

    /// With what was beyond a budget.
    #[must_use]
    pub fn with_misses(mut self, misses: Misses) -> Self {
        self.misses = Some(misses);
        self
    }
}

/// A rate that was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// What.
    pub what: String,
    /// How many.
    pub per_s: f64,
    /// Of what: observations, seconds of the trace, ...
    pub unit: String,
    /// Each run by itself.
    pub runs: Vec<f64>,
}

/// A ratio with its interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// What over what.
    pub what: String,
    /// How sure.
    pub interval: Interval,
    /// Each pair by itself.
    pub pairs: Vec<f64>,
    /// How the runs stood to each other.
    pub order: String,
}

/// What a probe found on one core, beside the figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hiccups {
    /// Whose core.
    pub of: String,
    /// The distribution of its lateness.
    pub row: Row,
    /// Gaps that were long enough to be laid beside misses.
    pub gaps: u64,
    /// How it looked: pinned, real-time class.
    pub how: String,
}

impl Hiccups {
    /// What a probe found.
    #[must_use]
    pub fn of_probe(of: &str, found: &Found) -> Self {
        let pinned = if found.pinned { "pinned" } else { "NOT PINNED" };
        let class =
            if found.real_time { "real-time class" } else { "ordinary class: a spinning neighbour counts as a hiccup" };
        Self {
            of: of.to_owned(),
            row: Row::new("lateness of a thread that sleeps 1 ms", &found.late, vec![]),
            gaps: found.gaps.all().len() as u64 + found.gaps.not_kept,
            how: format!("{pinned}, {class}"),
        }
    }
}

/// A judged budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// What, against which budget.
    pub what: String,
    /// The verdict.
    pub verdict: Verdict,
}

/// Everything that one `osmose bench` found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// Which measurement.
    pub what: String,
    /// Which build of Osmose.
    pub build: String,
    /// The machine.
    pub host: Host,
    /// Topology, idle strategy, rule set, load: what was measured.
    pub setup: Vec<(String, String)>,
    /// Distributions.
    pub rows: Vec<Row>,
    /// Rates.
    pub rates: Vec<Rate>,
    /// Ratios.
    pub ratios: Vec<Ratio>,
    /// The machine's own hiccups.
    pub hiccups: Vec<Hiccups>,
    /// What was sent, received and dropped.
    pub accounts: Vec<Account>,
    /// What may be said of budgets.
    pub verdicts: Vec<Judged>,
    /// What else the reader must know.
    pub notes: Vec<String>,
}

impl Report {
    /// An empty report of this machine.
    #[must_use]
    pub fn new(what: &str, build: &str, host: Host) -> Self {
        Self {
            version: VERSION,
            what: what.to_owned(),
            build: build.to_owned(),
            host,
            setup: vec![],
            rows: vec![],
            rates: vec![],
            ratios: vec![],
            hiccups: vec![],
            accounts: vec![],
            verdicts: vec![],
            notes: vec![],
        }
    }

    /// Adds a line of the setup.
    pub fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        self.setup.push((key.to_owned(), value.to_string()));
    }

    /// As JSON.
    ///
    /// # Panics
    /// Never: the report has no maps with keys that are no text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a report is JSON");
        text.push('\n');
        text
    }

    /// Reads a report back.
    ///
    /// # Errors
    /// A sentence: it is no report, or of another version.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let report: Self = serde_json::from_str(text).map_err(|e| format!("it is no report of `osmose bench`: {e}"))?;
        if report.version != VERSION {
            return Err(format!("it is of version {}, this build reads {VERSION}", report.version));
        }
        Ok(report)
    }

    /// Whether every account is closed.
    ///
    /// # Errors
    /// The first that is not.
    pub fn close(&self) -> Result<(), crate::account::Unaccounted> {
        self.accounts.iter().try_for_each(Account::close)
    }
}
