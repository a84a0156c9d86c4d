//! What may be said: a budget is met, missed, or cannot be proven on this machine.

use crate::dist::Dist;
use serde::{Deserialize, Serialize};

/// The percentile that a budget is held against.
pub const JUDGED_AT: f64 = 0.999;

/// What became of a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict", content = "because")]
pub enum Verdict {
    /// p99.9 lies within the budget.
    Met,
    /// It does not.
    Missed,
    /// Nobody can say, and why not.
    NotProvable(String),
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Met => f.write_str("met"),
            Self::Missed => f.write_str("missed"),
            Self::NotProvable(why) => write!(f, "not provable on this machine: {why}"),
        }
    }
}

/// Judges latencies against a budget, by what the probe found on the core that they were made on.
///
/// Where the probe, which wants nothing but to run, is at its own p99.9 later than a tenth of the budget, the machine
/// decides about the figures and not the engine. Too few samples prove nothing either.
#[must_use]
pub fn judge(latency: &Dist, probe: &Dist, budget_ns: u64) -> Verdict {
    judge_at(latency.quantile_ns(JUDGED_AT), latency.len(), probe, budget_ns)
}

/// The same for a p99.9 that somebody else measured; `None` where there were too few samples for it.
#[must_use]
pub fn judge_at(p999_ns: Option<u64>, samples: u64, probe: &Dist, budget_ns: u64) -> Verdict {
    let us = |ns: u64| ns as f64 / 1e3;
    match (p999_ns, probe.quantile_ns(JUDGED_AT)) {
        (_, Some(late)) if late > budget_ns / 10 => Verdict::NotProvable(format!(
            "its own p99.9 lateness is {:.1} us, more than a tenth of the budget of {:.0} us",
            us(late),
            us(budget_ns)
        )),
        (_, None) => Verdict::NotProvable(format!(
            "the probe woke {} times, and its p99.9 needs 100000; measure for longer",
            probe.len()
        )),
        (None, _) => Verdict::NotProvable(format!(
            "{samples} latencies are too few for p99.9, which needs 100000; measure for longer"
        )),
        (Some(p999), _) if p999 <= budget_ns => Verdict::Met,
        _ => Verdict::Missed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dist(n: u64, ns: u64, worst: u64, worst_ns: u64) -> Dist {
        let mut d = Dist::new();
        (0..n - worst).for_each(|_| d.add(ns));
        (0..worst).for_each(|_| d.add(worst_ns));
        d
    }

    #[test]
    fn a_machine_that_hiccups_proves_nothing_either_way() {
        let budget = 1_000_000;
        let good = dist(100_000, 50_000, 0, 0);
        let quiet = dist(100_000, 5_000, 50, 5_000_000);
        assert_eq!(judge(&good, &quiet, budget), Verdict::Met);
        let late = dist(100_000, 50_000, 200, 2_000_000);
        assert_eq!(judge(&late, &quiet, budget), Verdict::Missed);
        let noisy = dist(100_000, 5_000, 200, 101_000);
        for latencies in [&good, &late] {
            let text = judge(latencies, &noisy, budget).to_string();
            assert!(text.starts_with("not provable on this machine: its own p99.9"), "{text}");
        }
        // Exactly a tenth is still quiet enough.
        assert_eq!(judge(&good, &dist(100_000, 100_000, 0, 0), budget), Verdict::Met);
    }

    #[test]
    fn too_few_samples_prove_nothing() {
        let quiet = dist(100_000, 5_000, 0, 0);
        let few = dist(99_999, 5_000, 0, 0);
        assert!(matches!(judge(&few, &quiet, 1_000_000), Verdict::NotProvable(why) if why.contains("99999 latencies")));
        assert!(matches!(judge(&quiet, &few, 1_000_000), Verdict::NotProvable(why) if why.contains("99999 times")));
    }
}
