//! The table as people read it, and as JSON for programs.

use super::rows::{Figures, Row};
use std::fmt::Write;

/// Notes of a row that fails that are printed at most.
const NOTES_MAX: usize = 8;
/// Rules whose own figures are printed at most.
const RULES_MAX: usize = 12;

/// Median, 99th and 99.9th percentile and greatest of some figures, sorted on the way; `None` where there are none.
fn spread(figures: &[f64]) -> Option<[f64; 4]> {
    let mut all = figures.to_vec();
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all[((all.len() - 1) as f64 * share).round() as usize];
    (!all.is_empty()).then(|| [at(0.5), at(0.99), at(0.999), at(1.0)])
}

fn said(figures: &[f64], unit: &str) -> String {
    match spread(figures) {
        Some([p50, p99, p999, max]) => {
            format!("p50 {p50:.0}, p99 {p99:.0}, p99.9 {p999:.0}, max {max:.0} {unit} ({})", figures.len())
        }
        None => "-".to_owned(),
    }
}

/// The rules with most commands.
fn most(rules: &[(String, Figures)]) -> Vec<&(String, Figures)> {
    let mut all: Vec<_> = rules.iter().collect();
    all.sort_by_key(|(_, f)| std::cmp::Reverse(f.engine_us.len()));
    all.truncate(RULES_MAX);
    all
}

/// The table for people.
pub(super) fn text(seed: u64, seconds: f64, without: &[Row], with: &[Row]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "The co-working morning, seed {seed}, {seconds} s, from simulated truth. Human: from what truly happened to the"
    );
    let _ = writeln!(out, "device's report. Engine: the steps that decided, on this machine, in one thread.");
    for (title, rows) in [("without beacons", without), ("with beacons", with)] {
        let _ = writeln!(out, "\n{title}");
        for row in rows {
            let mark = if row.holds { "holds" } else { "FAILS" };
            let _ = writeln!(out, "  {:<5} {mark}  {}", row.id, row.asks);
            let _ = writeln!(out, "               {}", row.found);
            // What was not as asked, each with its time: the first few, or the table would not be one.
            for note in row.notes.iter().take(if row.holds { 0 } else { NOTES_MAX }) {
                let _ = writeln!(out, "               - {note}");
            }
            if !row.holds && row.notes.len() > NOTES_MAX {
                let _ = writeln!(out, "               - and {} more (--json has all)", row.notes.len() - NOTES_MAX);
            }
            if !row.engine_us.is_empty() || !row.human_ms.is_empty() {
                let (engine, human) = (said(&row.engine_us, "us"), said(&row.human_ms, "ms"));
                let _ = writeln!(out, "               human {human}; engine {engine}");
            }
            for (rule, f) in most(&row.rules) {
                let (engine, human) = (said(&f.engine_us, "us"), said(&f.human_ms, "ms"));
                let _ = writeln!(out, "               {rule}: human {human}; engine {engine}");
            }
            if row.rules.len() > RULES_MAX {
                let _ = writeln!(out, "               and {} rules more (--json has all)", row.rules.len() - RULES_MAX);
            }
        }
    }
    out
}

/// The table for programs: the same, a list of objects.
pub(super) fn json(without: &[Row], with: &[Row]) -> String {
    let figures = |figures: &[f64]| {
        spread(figures)
            .map(|[p50, p99, p999, max]| serde_json::json!({ "n": figures.len(), "p50": p50, "p99": p99, "p999": p999, "max": max }))
    };
    let rule = |(rule, f): &(String, Figures)| serde_json::json!({ "rule": rule, "engine_us": figures(&f.engine_us), "human_ms": figures(&f.human_ms) });
    let row = |row: &Row, beacons: bool| {
        serde_json::json!({
            "row": row.id, "beacons": beacons, "holds": row.holds, "asks": row.asks, "found": row.found, "notes": row.notes,
            "engine_us": figures(&row.engine_us), "human_ms": figures(&row.human_ms),
            "rules": row.rules.iter().map(rule).collect::<Vec<_>>(),
        })
    };
    let all: Vec<_> = without.iter().map(|r| row(r, false)).chain(with.iter().map(|r| row(r, true))).collect();
    format!("{}\n", serde_json::Value::from(all))
}
