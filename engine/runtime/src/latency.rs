//! How long things took: histograms whose bounds are set once, so that recording never allocates.

use hdrhistogram::Histogram;
use osmose_model::time::DurationNs;

/// A histogram of one nanosecond to one minute, three digits; what is beyond is kept at the bound.
///
/// # Panics
/// Never: the bounds are constants that the library accepts.
#[must_use]
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3)
        .unwrap_or_else(|_| Histogram::new(3).expect("three digits are allowed"))
}

/// Records a span; one that is none (clocks of two cores may differ by a little) counts as a nanosecond.
pub(crate) fn record(into: &mut Histogram<u64>, span: DurationNs) {
    into.saturating_record(span.0.max(1) as u64);
}
