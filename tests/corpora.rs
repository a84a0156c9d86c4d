//! Recorded people all the way through the commands: columns → `osmose import` → `osmose replay --tracks --events` →
//! `osmose score`.
//!
//! Skips, and says so, where `python3` or the recordings are not there. The floors are far below what the tracker
//! reaches: they find a broken path, and not a slightly worse tracker.

mod common;

use common::engine::osmose;
use common::{json_lines, root};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Makes a recording's site, import file and truth; says why where it cannot.
fn prepared(kind: &str, dir: &Path) -> Option<()> {
    let corpora = root().join("../shared/corpora");
    if !corpora.is_dir() {
        println!("skipped {kind}: {} is not there", corpora.display());
        return None;
    }
    let made =
        Command::new("python3").arg(root().join("tests/corpora/columns.py")).arg(kind).arg(dir).arg(&corpora).output();
    match made {
        Ok(out) if out.status.success() && dir.join("position.csv").exists() => Some(()),
        Ok(out) => {
            println!(
                "skipped {kind}: {}{}",
                String::from_utf8_lossy(&out.stdout),
                String::from_utf8_lossy(&out.stderr)
            );
            None
        }
        Err(e) => {
            println!("skipped {kind}: python3 cannot be run ({e})");
            None
        }
    }
}

/// Keeps the rows of a table whose time, in the first column, is below `end_s`.
fn keep_before(table: &Path, end_s: f64) {
    let text = std::fs::read_to_string(table).expect("a table");
    let early = |row: &&str| row.split(',').next().and_then(|t| t.parse::<f64>().ok()).is_none_or(|t| t < end_s);
    let kept: Vec<&str> = text.lines().filter(early).collect();
    std::fs::write(table, kept.join("\n") + "\n").expect("written");
}

/// One recording through the four commands; `end_s` keeps a part of a long one. `None` where it was skipped.
fn through(kind: &str, end_s: Option<f64>) -> Option<Value> {
    let dir = tempfile::tempdir().expect("a folder");
    prepared(kind, dir.path())?;
    let file = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    if let Some(end_s) = end_s {
        ["position.csv", "truth.csv"].iter().for_each(|table| keep_before(&dir.path().join(table), end_s));
    }
    let (site, trace) = (dir.path().to_str().expect("text"), file("walk.mcap"));
    let imported = osmose(&["import", "position", &file("position.csv"), "--site", site, "-o", &trace]).expect(0);
    let [tracks, events] = ["tracks.csv", "events.jsonl"].map(file);
    let replayed = osmose(&["replay", &trace, "--tracks", &tracks, "--events", &events]).expect(0);
    assert!(!replayed.stderr.contains("missing"), "{}", replayed.stderr);
    let scored = osmose(&["score", &file("truth.csv"), &tracks]).expect(0);
    let score: Value = serde_json::from_str(&scored.stdout).expect("one JSON line");
    let events = json_lines(Path::new(&events));
    let of = |kind: &str| events.iter().filter(|e| e["kind"] == kind).count();
    assert!(of("appears") > 0 && of("enters") > 0 && of("leaves") > 0, "people come and go: {} events", events.len());
    println!("{kind}: {}", imported.stdout.trim().replace('\n', "; "));
    println!(
        "{kind}: MOTA {} IDF1 {} GOSPA {}; {} events; {}",
        score["mota"],
        score["idf1"],
        score["gospa"],
        events.len(),
        replayed.stderr.lines().next().unwrap_or_default()
    );
    Some(score)
}

fn above(score: &Value, key: &str, floor: f64) {
    let value = score[key].as_f64().unwrap_or_else(|| panic!("no {key} in {score}"));
    assert!(value > floor, "{key} {value} in {score}");
}

#[test]
fn pets_real_detections() {
    if let Some(score) = through("pets", None) {
        above(&score, "mota", 0.5);
        above(&score, "idf1", 0.3);
    }
}

#[test]
fn hermes_a_corridor() {
    if let Some(score) = through("hermes", None) {
        above(&score, "mota", 0.6);
        above(&score, "idf1", 0.4);
    }
}

#[test]
fn edinburgh_an_atrium() {
    // A whole day takes minutes without optimisation: its first hour stands for it there.
    let end_s = if cfg!(debug_assertions) { Some(3600.0) } else { None };
    if let Some(score) = through("edinburgh", end_s) {
        above(&score, "mota", 0.5);
        above(&score, "idf1", 0.4);
    }
}
