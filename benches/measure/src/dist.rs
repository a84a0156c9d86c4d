//! A distribution of times, and which of its percentiles may be said.
//!
//! The histogram has bounds that are set once; what lies beyond them is counted and kept apart, with the true largest
//! value beside it, because a histogram that clips in silence makes the worst case look like its bound.

use hdrhistogram::Histogram;
use std::time::Duration;

/// Fewest samples beyond a percentile for it to be told: with fewer, one sample more or less moves it.
pub const BEYOND_MIN: u64 = 100;
/// The percentiles that are told, where there are samples enough.
pub const QUANTILES: [f64; 6] = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];
/// The largest time that the histogram tells apart, nanoseconds.
const BOUND_NS: u64 = 60_000_000_000;

/// Times of one thing, each call or event by itself.
#[derive(Clone, Debug)]
pub struct Dist {
    hist: Histogram<u64>,
    max_ns: u64,
    clipped: u64,
}

impl Default for Dist {
    fn default() -> Self {
        Self::new()
    }
}

impl Dist {
    /// No times.
    ///
    /// # Panics
    /// Never: the bounds are constants that the library accepts.
    #[must_use]
    pub fn new() -> Self {
        let hist = Histogram::new_with_bounds(1, BOUND_NS, 3).expect("bounds that the crate accepts");
        Self { hist, max_ns: 0, clipped: 0 }
    }

    /// Adds a time.
    pub fn add(&mut self, ns: u64) {
        self.max_ns = self.max_ns.max(ns);
        self.clipped += u64::from(ns > BOUND_NS);
        self.hist.saturating_record(ns.max(1));
    }

    /// Adds a span.
    pub fn add_span(&mut self, span: Duration) {
        self.add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds everything of another.
    pub fn merge(&mut self, other: &Self) {
        // Both have the same bounds, so there is nothing that could not be added.
        let _ = self.hist.add(&other.hist);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.clipped += other.clipped;
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.hist.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hist.is_empty()
    }

    /// The largest, as it was measured: not the bound that it may have been clipped to.
    #[must_use]
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// How many were beyond the histogram's bound.
    #[must_use]
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    /// The histogram itself.
    #[must_use]
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.hist
    }

    /// A percentile, nanoseconds; `None` where fewer than [`BEYOND_MIN`] samples lie beyond it.
    ///
    /// ```
    /// use osmose_bench::dist::Dist;
    /// let mut d = Dist::new();
    /// (1..=1000).for_each(|ns| d.add(ns));
    /// assert_eq!(d.quantile_ns(0.9), Some(900));
    /// assert_eq!(d.quantile_ns(0.99), None, "ten samples beyond it are too few");
    /// ```
    #[must_use]
    pub fn quantile_ns(&self, q: f64) -> Option<u64> {
        is_told(self.len(), q).then(|| self.hist.value_at_quantile(q).min(self.max_ns))
    }

    /// How many are longer than `ns`.
    #[must_use]
    pub fn beyond(&self, ns: u64) -> u64 {
        self.hist.len() - self.hist.count_between(0, ns)
    }

    /// The curve that a percentile plot draws: quantile and value, as far as the sample rule lets it be told.
    #[must_use]
    pub fn curve(&self) -> Vec<(f64, u64)> {
        let points = self.hist.iter_quantiles(8).map(|p| (p.quantile_iterated_to(), p.value_iterated_to()));
        points.filter(|(q, _)| is_told(self.len(), *q)).map(|(q, v)| (q, v.min(self.max_ns))).collect()
    }
}

/// Whether a percentile of `n` samples may be told.
#[must_use]
pub fn is_told(n: u64, q: f64) -> bool {
    // A share of 0.001 is no binary fraction: without the slack 100,000 samples would have 99.99999 beyond p99.9.
    n as f64 * (1.0 - q) + 1e-6 >= BEYOND_MIN as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_needs_a_hundred_samples_beyond_it() {
        for (n, q, told) in [
            (199, 0.5, false),
            (200, 0.5, true),
            (9_999, 0.99, false),
            (10_000, 0.99, true),
            (99_999, 0.999, false),
            (100_000, 0.999, true),
            (1_000_000, 0.9999, true),
            (1_000_000, 0.99999, false),
        ] {
            assert_eq!(is_told(n, q), told, "{n} samples, {q}");
        }
    }

    #[test]
    fn what_is_clipped_is_counted_and_the_true_largest_is_kept() {
        let mut d = Dist::new();
        d.add(BOUND_NS);
        d.add(BOUND_NS + 1);
        d.add(5 * BOUND_NS);
        assert_eq!((d.len(), d.clipped(), d.max_ns()), (3, 2, 5 * BOUND_NS));
        let mut other = Dist::new();
        other.add(7 * BOUND_NS);
        d.merge(&other);
        assert_eq!((d.len(), d.clipped(), d.max_ns()), (4, 3, 7 * BOUND_NS));
    }

    #[test]
    fn nothing_beyond_the_bound_of_a_budget_is_missed() {
        let mut d = Dist::new();
        for us in 1..=2000u64 {
            d.add(us * 1000);
        }
        // Three digits: a thousandth of the value is what the histogram cannot tell apart.
        assert!((998..=1000).contains(&d.beyond(1_000_000)), "{}", d.beyond(1_000_000));
        assert_eq!(d.beyond(10_000_000), 0);
    }

    #[test]
    fn the_curve_ends_where_samples_do() {
        let mut d = Dist::new();
        (1..=10_000).for_each(|ns| d.add(ns));
        let last = d.curve().last().copied().expect("points");
        assert!(last.0 <= 0.99 && last.0 > 0.9, "{last:?}");
        assert!(Dist::new().curve().is_empty());
    }
}
