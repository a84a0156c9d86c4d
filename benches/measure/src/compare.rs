//! `--compare`: this build against another, as ratios with their intervals.
//!
//! Against another program (`--compare OTHER-OSMOSE`) the runs are interleaved: new and old, old and new, so that both have
//! the same minutes of the machine. Against figures that were kept (`--compare OLD.json`) they cannot be: the runs are
//! resampled, and the report says that what the machine did between the two days is not in the interval. Either way at
//! least five runs of each.

use crate::interval::{self, RUNS_MIN};
use crate::report::{Ratio, Report, Row};

/// Why two reports cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompareError {
    /// Too few runs.
    #[error("{what}: {runs} run(s) of the {side} figures; at least {RUNS_MIN} are needed to compare (--runs)")]
    TooFew {
        /// Which row.
        what: String,
        /// New or old.
        side: &'static str,
        /// How many there are.
        runs: usize,
    },
    /// Other machines.
    #[error("the old figures are of another machine ({0}): figures are compared on one machine only")]
    OtherMachine(String),
    /// Nothing in common.
    #[error("the two reports have no row in common")]
    NothingInCommon,
}

/// Seed of the resampling: the same reports give the same interval.
const SEED: u64 = 0x05_0d_ec_0d_e0_05;

/// Rows that both have, in the new one's order.
fn common<'a>(new: &'a Report, old: &'a Report) -> Vec<(&'a Row, &'a Row)> {
    new.rows.iter().filter_map(|n| Some((n, old.rows.iter().find(|o| o.what == n.what)?))).collect()
}

/// Whether there are runs enough.
fn enough(row: &Row, side: &'static str) -> Result<(), CompareError> {
    let runs = row.runs_p50_ns.len();
    if runs < RUNS_MIN { Err(CompareError::TooFew { what: row.what.clone(), side, runs }) } else { Ok(()) }
}

/// Ratios of medians against figures that were kept: not interleaved.
///
/// # Errors
/// [`CompareError`].
pub fn with_kept(new: &Report, old: &Report) -> Result<Vec<Ratio>, CompareError> {
    if !new.host.is_like(&old.host) {
        return Err(CompareError::OtherMachine(old.host.line()));
    }
    let mut ratios = vec![];
    for (n, o) in common(new, old) {
        enough(n, "new")?;
        enough(o, "old")?;
        if let Some(interval) = interval::of_ratio(&n.runs_p50_ns, &o.runs_p50_ns, SEED) {
            let pairs = n.runs_p50_ns.iter().zip(&o.runs_p50_ns).map(|(a, b)| interval::ratio(*a, *b)).collect();
            let order =
                "not interleaved: kept figures, resampled; what the machine did between is not in it".to_owned();
            ratios.push(Ratio { what: format!("p50 of {}: new / old", n.what), interval, pairs, order });
        }
    }
    if ratios.is_empty() { Err(CompareError::NothingInCommon) } else { Ok(ratios) }
}

/// Ratios of the medians of runs that were interleaved: pair by pair.
///
/// # Errors
/// [`CompareError`].
pub fn interleaved(new: &[Report], old: &[Report]) -> Result<Vec<Ratio>, CompareError> {
    let (Some(first), Some(first_old)) = (new.first(), old.first()) else { return Err(CompareError::NothingInCommon) };
    let pairs = new.len().min(old.len());
    if pairs < RUNS_MIN {
        return Err(CompareError::TooFew { what: first.what.clone(), side: "interleaved", runs: pairs });
    }
    let p50 = |r: &Report, what: &str| -> Option<f64> {
        interval::median(&r.rows.iter().find(|row| row.what == what)?.runs_p50_ns)
    };
    let mut ratios = vec![];
    for (row, _) in common(first, first_old) {
        let all: Option<Vec<f64>> =
            new.iter().zip(old).map(|(n, o)| Some(interval::ratio(p50(n, &row.what)?, p50(o, &row.what)?))).collect();
        let all = all.unwrap_or_default();
        if let Some(interval) = interval::from_signs(&all) {
            let order = "interleaved pairs".to_owned();
            ratios.push(Ratio { what: format!("p50 of {}: new / old", row.what), interval, pairs: all, order });
        }
    }
    if ratios.is_empty() { Err(CompareError::NothingInCommon) } else { Ok(ratios) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::Dist;
    use crate::host::Host;

    fn report(p50s: &[f64]) -> Report {
        let mut report = Report::new("step", "test", Host { cores_online: 2, ..Host::default() });
        report.rows.push(Row::new("a fix", &Dist::new(), p50s.to_vec()));
        report
    }

    #[test]
    fn five_runs_are_needed_on_one_machine() {
        let (old, new) = (report(&[100.0; 5]), report(&[150.0; 5]));
        let ratios = with_kept(&new, &old).expect("comparable");
        assert_eq!((ratios[0].interval.median, ratios[0].interval.low, ratios[0].interval.high), (1.5, 1.5, 1.5));
        assert!(ratios[0].order.contains("not interleaved"));
        let few = with_kept(&report(&[1.0; 4]), &old).expect_err("four").to_string();
        assert!(few.contains("4 run(s) of the new figures; at least 5"), "{few}");
        let mut other = old.clone();
        other.host.cpu = "another".into();
        assert!(matches!(with_kept(&new, &other), Err(CompareError::OtherMachine(_))));
        let mut elsewhere = old.clone();
        elsewhere.rows[0].what = "something else".into();
        assert_eq!(with_kept(&new, &elsewhere), Err(CompareError::NothingInCommon));
    }

    #[test]
    fn interleaved_runs_are_compared_pair_by_pair() {
        let drift = [100.0, 200.0, 300.0, 400.0, 500.0, 600.0];
        let old: Vec<Report> = drift.iter().map(|v| report(&[*v])).collect();
        let new: Vec<Report> = drift.iter().map(|v| report(&[1.1 * v])).collect();
        let ratios = interleaved(&new, &old).expect("comparable");
        let i = ratios[0].interval;
        assert!((i.median - 1.1).abs() < 1e-12 && (i.high - i.low).abs() < 1e-12, "drift is in both of a pair: {i}");
        assert!((i.coverage - 0.96875).abs() < 1e-12);
        assert!(interleaved(&new[..4], &old[..4]).is_err());
    }
}
