//! `.hgrm` and interval logs: the text forms that HdrHistogram's own plotters and processors read.
//!
//! Values are microseconds. What the histogram clipped and the true largest stand in comment lines of their own, since
//! the form has no place for them.

use crate::dist::Dist;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

/// Steps of a half-way to 100 %.
const TICKS: u32 = 5;

/// The percentile distribution of one thing.
#[must_use]
pub fn hgrm(dist: &Dist) -> String {
    let hist = dist.histogram();
    let us = |ns: f64| ns / 1e3;
    let mut out = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    let mut total = 0;
    for p in hist.iter_quantiles(TICKS) {
        total += p.count_since_last_iteration();
        let (value, q) = (us(p.value_iterated_to() as f64), p.quantile_iterated_to());
        let _ = if q < 1.0 {
            writeln!(out, "{value:>12.3} {q:>2.12} {total:>10} {:>14.2}", 1.0 / (1.0 - q))
        } else {
            writeln!(out, "{value:>12.3} {q:>2.12} {total:>10}")
        };
    }
    let _ = writeln!(out, "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]", us(hist.mean()), us(hist.stdev()));
    let _ = writeln!(out, "#[Max     = {:>12.3}, Total count    = {:>12}]", us(hist.max() as f64), hist.len());
    let _ = writeln!(out, "#[Buckets = {:>12}, SubBuckets     = {:>12}]", hist.buckets(), 2048);
    let _ = writeln!(out, "#[True max = {:.3}, Clipped = {}]", us(dist.max_ns() as f64), dist.clipped());
    out
}

/// A second of a run.
#[derive(Clone, Debug)]
pub struct Slice {
    /// What was measured; no spaces or commas.
    pub tag: &'static str,
    /// Since the beginning of the measurement.
    pub from: Duration,
    /// How long it was.
    pub length: Duration,
    /// What was in it.
    pub dist: Dist,
}

/// An interval log: one compressed histogram a second, as `HistogramLogProcessor` reads them.
///
/// # Errors
/// What the library says where a histogram cannot be written.
pub fn interval_log(began: SystemTime, slices: &[Slice]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder.add_comment("osmose bench; values are nanoseconds, maxima microseconds; raw, never corrected");
    builder.with_start_time(began).with_base_time(began).with_max_value_divisor(1e3);
    let mut log = builder.begin_log_with(&mut out, &mut serializer)?;
    for slice in slices {
        log.write_histogram(slice.dist.histogram(), slice.from, slice.length, Tag::new(slice.tag))
            .map_err(|e| std::io::Error::other(format!("an interval cannot be written: {e:?}")))?;
    }
    drop(log);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn an_interval_log_reads_back() {
        let mut dist = Dist::new();
        (1..=100u64).for_each(|us| dist.add(us * 1000));
        let slice = |s| Slice {
            tag: "engine",
            from: Duration::from_secs(s),
            length: Duration::from_secs(1),
            dist: dist.clone(),
        };
        let log = interval_log(SystemTime::UNIX_EPOCH, &[slice(0), slice(1)]).expect("written");
        let entries: Vec<_> = IntervalLogIterator::new(&log).collect::<Result<_, _>>().expect("readable");
        let intervals = entries.iter().filter_map(|e| match e {
            LogEntry::Interval(i) => Some((i.tag().map(|t| t.as_str().to_owned()), i.start_timestamp(), i.max())),
            _ => None,
        });
        let intervals: Vec<_> = intervals.collect();
        assert_eq!(intervals.len(), 2);
        assert_eq!(intervals[1].0.as_deref(), Some("engine"));
        assert_eq!(intervals[1].1, Duration::from_secs(1));
        assert!((intervals[0].2 - 100.0).abs() < 0.1, "{}", intervals[0].2);
    }
}
