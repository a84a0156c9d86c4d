//! The report for people at a terminal: the machine first, then raw figures, then what may be said of them.

use super::{Report, Row};
use crate::dist::QUANTILES;
use std::fmt::Write as _;

/// Nanoseconds as people read them: four digits, the unit behind.
#[must_use]
pub fn span(ns: u64) -> String {
    let ns_f = ns as f64;
    match ns {
        0..10_000 => format!("{ns} ns"),
        10_000..10_000_000 => format!("{:.1} us", ns_f / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} ms", ns_f / 1e6),
        _ => format!("{:.1} s", ns_f / 1e9),
    }
}

/// `0.999` as `p99.9`.
#[must_use]
pub fn percentile_name(q: f64) -> String {
    let hundredths = format!("{:.3}", q * 100.0);
    format!("p{}", hundredths.trim_end_matches('0').trim_end_matches('.'))
}

fn head(out: &mut String) {
    let _ = write!(out, "{:<52}", "");
    for q in QUANTILES {
        let _ = write!(out, " {:>10}", percentile_name(q));
    }
    let _ = writeln!(out, " {:>10} {:>10} {:>8}", "max", "samples", "clipped");
}

fn row(out: &mut String, r: &Row) {
    let _ = write!(out, "{:<52}", r.what);
    for p in &r.percentiles {
        let _ = write!(out, " {:>10}", p.ns.map_or_else(|| "-".to_owned(), span));
    }
    let _ = writeln!(out, " {:>10} {:>10} {:>8}", span(r.max_ns), r.samples, r.clipped);
    let Some(m) = &r.misses else { return };
    let share = |n: u64| n as f64 / r.samples.max(1) as f64 * 100.0;
    let _ = writeln!(out, "  beyond {}: {} ({:.3} %)", span(m.budget_ns), m.all, share(m.all));
    let _ = writeln!(
        out,
        "    of these {} overlap a hiccup of the machine; the rest: {} ({:.3} %)",
        m.in_hiccup,
        m.rest,
        share(m.rest)
    );
}

/// The whole report.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "osmose bench {}, {}", report.what, report.build);
    let _ = writeln!(out, "machine: {}", report.host.line());
    for (key, value) in &report.setup {
        let _ = writeln!(out, "{key}: {value}");
    }
    if !report.hiccups.is_empty() {
        let _ = writeln!(out, "\nthe machine's own hiccups, measured at the same time (nothing is subtracted)");
        head(&mut out);
        for h in &report.hiccups {
            row(&mut out, &Row { what: h.of.clone(), ..h.row.clone() });
            let _ = writeln!(out, "  {}; {} gaps long enough to be laid beside misses", h.how, h.gaps);
        }
    }
    if !report.rows.is_empty() {
        let _ = writeln!(out, "\nraw figures; - where fewer than 100 samples lie beyond");
        head(&mut out);
        report.rows.iter().for_each(|r| row(&mut out, r));
    }
    for rate in &report.rates {
        let _ = writeln!(out, "\n{}: {:.0} {} (median of {} runs)", rate.what, rate.per_s, rate.unit, rate.runs.len());
        let runs: Vec<String> = rate.runs.iter().map(|r| format!("{r:.0}")).collect();
        let _ = writeln!(out, "  each: {}", runs.join(", "));
    }
    if !report.ratios.is_empty() {
        let _ = writeln!(out, "\nratios: median [interval] (cases that such an interval covers)");
        for r in &report.ratios {
            let _ = writeln!(out, "{:<52} {}; {} of {}", r.what, r.interval, r.order, r.pairs.len());
        }
    }
    if !report.accounts.is_empty() {
        let _ = writeln!(out, "\naccounts");
        for a in &report.accounts {
            let _ = writeln!(out, "{a}");
            if let Err(error) = a.close() {
                let _ = writeln!(out, "  FAILED: {error}");
            }
        }
    }
    if !report.verdicts.is_empty() {
        let _ = writeln!(out, "\nverdicts");
        for v in &report.verdicts {
            let _ = writeln!(out, "{}: {}", v.what, v.verdict);
        }
    }
    for note in &report.notes {
        let _ = writeln!(out, "\nnote: {note}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_percentiles_read_as_people_write_them() {
        assert_eq!(
            [0, 9_999, 10_000, 1_234_567, 45_678_901, 61_000_000_000].map(span),
            ["0 ns", "9999 ns", "10.0 us", "1234.6 us", "45.7 ms", "61.0 s"]
        );
        assert_eq!(QUANTILES.map(percentile_name), ["p50", "p90", "p99", "p99.9", "p99.99", "p99.999"]);
    }
}
