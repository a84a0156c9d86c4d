//! How sure a ratio is: the interval of a median, without any assumption about how times are distributed.
//!
//! Runs on a shared machine have no normal distribution, and there are few of them. Two intervals that need none are
//! here: from signs (order statistics), for pairs of runs, and by resampling, for two sets of runs that are no pairs.
//! Both say which share of cases they cover; five runs can never give 95 % from signs, and then it says 93.8 %.

use serde::{Deserialize, Serialize};

/// The share of cases that an interval is meant to cover.
pub const COVERAGE: f64 = 0.95;
/// Fewest runs that may be compared.
pub const RUNS_MIN: usize = 5;
/// Resamples of a bootstrap.
const RESAMPLES: usize = 10_000;

/// A median and what it may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The median.
    pub median: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The share of cases in which such an interval holds the true median, from 0 to 1.
    pub coverage: f64,
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { median, low, high, coverage } = self;
        write!(f, "{median:.3} [{low:.3}, {high:.3}] ({:.1} %)", coverage * 100.0)
    }
}

/// The middle of values; of an even number, half way between the two in the middle. `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => None,
        _ if n.is_multiple_of(2) => Some(between(sorted[n / 2 - 1], sorted[n / 2])),
        _ => Some(sorted[n / 2]),
    }
}

/// Half way; two infinities of one sign have that same one between them.
fn between(a: f64, b: f64) -> f64 {
    if a == b { a } else { f64::midpoint(a, b) }
}

/// The interval of a median from signs: between the k-th smallest and the k-th largest value, where k is the largest for
/// which the binomial distribution of signs leaves no more than `1 - COVERAGE` outside (Conover, Practical Nonparametric
/// Statistics, 3.2). With too few values for that it is the smallest and largest, and the coverage says how much that is.
/// `None` of nothing.
#[must_use]
pub fn from_signs(values: &[f64]) -> Option<Interval> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    let (mut k, mut outside) = (1, two_tails(n, 0));
    while 2 * (k + 1) <= n && two_tails(n, k) <= 1.0 - COVERAGE {
        outside = two_tails(n, k);
        k += 1;
    }
    Some(Interval { median: median(&sorted)?, low: sorted[k - 1], high: sorted[n - k], coverage: 1.0 - outside })
}

/// The chance that of `n` fair coins no more than `k` show heads, or no more than `k` tails.
fn two_tails(n: usize, k: usize) -> f64 {
    let mut term = 0.5f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut sum = term;
    for i in 0..k {
        term *= (n - i) as f64 / (i + 1) as f64;
        sum += term;
    }
    (2.0 * sum).min(1.0)
}

/// The interval of `median(new) / median(old)` for runs that are no pairs, by resampling both with replacement (Efron's
/// percentile bootstrap). `seed` makes it the same on every call. `None` where either side has no runs.
#[must_use]
pub fn of_ratio(new: &[f64], old: &[f64], seed: u64) -> Option<Interval> {
    let whole = median(new)? / median(old)?;
    let mut random = seed | 1;
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let mut again =
                |of: &[f64]| -> Vec<f64> { (0..of.len()).map(|_| of[pick(&mut random, of.len())]).collect() };
            let (new, old) = (again(new), again(old));
            Some(median(&new)? / median(&old)?)
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let tail = ((1.0 - COVERAGE) / 2.0 * ratios.len() as f64) as usize;
    Some(Interval { median: whole, low: ratios[tail], high: ratios[ratios.len() - 1 - tail], coverage: COVERAGE })
}

/// A place below `n`, by xorshift64*.
fn pick(random: &mut u64, n: usize) -> usize {
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    ((random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n as u64) as usize
}

/// One figure over another. Two nothings are alike; something over nothing is beyond every bound.
#[must_use]
pub fn ratio(this: f64, floor: f64) -> f64 {
    if this == floor { 1.0 } else { this / floor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Table of the sign test for a median (two-sided, at least 95 %): how many values, and which of them from each end.
    #[test]
    fn the_interval_from_signs_is_that_of_the_tables() {
        for (n, k, coverage) in [
            (5, 1, 0.9375),
            (6, 1, 0.96875),
            (8, 1, 0.992_187_5),
            (9, 2, 0.960_937_5),
            (10, 2, 0.978_515_625),
            (12, 3, 0.961_425_781_25),
            (15, 4, 0.964_843_75),
            (20, 6, 0.958_610_534_667_968_8),
        ] {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let i = from_signs(&values).expect("values");
            assert_eq!((i.low, i.high), (f64::from(k), f64::from(n + 1 - k)), "{n} values");
            assert!((i.coverage - coverage).abs() < 1e-12, "{n} values: {}", i.coverage);
        }
        assert_eq!(from_signs(&[]), None);
        let one = from_signs(&[3.0]).expect("one value");
        assert_eq!((one.low, one.median, one.high, one.coverage), (3.0, 3.0, 3.0, 0.0));
    }

    #[test]
    fn signs_cover_the_true_median_as_often_as_they_say() {
        let (mut random, mut held, rounds) = (7u64, 0, 4_000);
        for _ in 0..rounds {
            // Skewed as latencies are: the square of a uniform number, whose median is a quarter.
            let values: Vec<f64> =
                (0..12).map(|_| (pick(&mut random, 1 << 20) as f64 / (1 << 20) as f64).powi(2)).collect();
            let i = from_signs(&values).expect("values");
            held += i32::from(i.low <= 0.25 && 0.25 <= i.high);
        }
        let share = f64::from(held) / f64::from(rounds);
        assert!((share - 0.9614).abs() < 0.015, "{share}");
    }

    #[test]
    fn a_ratio_of_equal_runs_is_one_and_of_doubled_ones_two() {
        let old = [10.0, 11.0, 12.0, 13.0, 14.0];
        let same = of_ratio(&old, &old, 1).expect("runs");
        assert!(same.median == 1.0 && same.low < 1.0 && same.high > 1.0, "{same}");
        let twice = old.map(|v| 2.0 * v);
        let i = of_ratio(&twice, &old, 1).expect("runs");
        assert!(i.median == 2.0 && i.low > 1.4 && i.high < 2.9, "{i}");
        assert_eq!(of_ratio(&twice, &old, 1), of_ratio(&twice, &old, 1), "a seed gives one answer");
        assert_eq!(of_ratio(&[5.0; 5], &[5.0; 5], 3).map(|i| (i.low, i.high)), Some((1.0, 1.0)));
        assert_eq!(of_ratio(&[], &old, 1), None);
    }

    #[test]
    fn shares_of_nothing_are_compared_too() {
        assert_eq!(ratio(0.0, 0.0), 1.0);
        assert_eq!(ratio(2.0, 0.0), f64::INFINITY);
        assert_eq!(median(&[f64::INFINITY, f64::INFINITY]), Some(f64::INFINITY));
    }

    proptest! {
        #[test]
        fn the_median_lies_in_its_interval_whatever_the_order(mut values in prop::collection::vec(0.1f64..1e3, 1..40)) {
            let i = from_signs(&values).expect("values");
            prop_assert!(i.low <= i.median && i.median <= i.high && (0.0..=1.0).contains(&i.coverage));
            values.reverse();
            prop_assert_eq!(from_signs(&values), Some(i));
        }
    }
}
