//! Recorded people all the way through the commands: columns → `osmose import` → `osmose replay --tracks --events` →
//! `osmose score`.
//!
//! Skips, and says so, where `python3` or the recordings are not there. The floors are far below what the tracker
//! reaches: they find a broken path, and not a slightly worse tracker.

mod common;

use common::engine::osmose;
use common::{json_lines, root};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Makes a recording's site, import file and truth, of another file of its folder where one is named; says why where it
/// cannot.
fn prepared(kind: &str, dir: &Path, file: Option<&str>) -> Option<()> {
    let corpora = root().join("../shared/corpora");
    if !corpora.is_dir() {
        println!("skipped {kind}: {} is not there", corpora.display());
        return None;
    }
    let mut python = Command::new("python3");
    python.arg(root().join("tests/corpora/columns.py")).arg(kind).arg(dir).arg(&corpora);
    let made = python.args(file.into_iter().flat_map(|file| ["--file", file])).output();
    match made {
        Ok(out) if out.status.success() && dir.join("devices.toml").exists() => Some(()),
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
    prepared(kind, dir.path(), None)?;
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

/// A table's rows as time, name and place.
fn places(table: &Path) -> Vec<(f64, String, f64, f64)> {
    let text = std::fs::read_to_string(table).expect("a table");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        Some((cells[0].parse().ok()?, cells[1].to_owned(), cells[2].parse().ok()?, cells[3].parse().ok()?))
    };
    text.lines().skip(1).filter_map(row).collect()
}

/// How often anybody crosses a line (`x` or `y` = `at_m`), upwards and downwards. Within 0.2 m of it nobody has.
fn crossings(rows: &[(f64, String, f64, f64)], along_x: bool, at_m: f64) -> (u32, u32) {
    let mut sides: BTreeMap<&str, bool> = BTreeMap::new();
    let (mut up, mut down) = (0, 0);
    for (_, who, x, y) in rows {
        let off = if along_x { x - at_m } else { y - at_m };
        if off.abs() < 0.2 {
            continue;
        }
        match sides.insert(who, off > 0.0) {
            Some(false) if off > 0.0 => up += 1,
            Some(true) if off < 0.0 => down += 1,
            _ => {}
        }
    }
    (up, down)
}

/// Line crossings in a laboratory bottleneck: five lines across and five along the hall, counted from tracks.
fn lines_of(file: &str) -> Option<f64> {
    let dir = tempfile::tempdir().expect("a folder");
    prepared("hermes", dir.path(), Some(file))?;
    let path = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    let (site, trace, tracks) = (path(""), path("walk.mcap"), path("tracks.csv"));
    osmose(&["import", "position", &path("position.csv"), "--site", &site, "-o", &trace]).expect(0);
    osmose(&["replay", &trace, "--tracks", &tracks]).expect(0);
    let (truth, tracks) = (places(Path::new(&path("truth.csv"))), places(Path::new(&tracks)));
    let range = |values: Vec<f64>| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        (low, values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    };
    let (mut truly, mut off) = (0, 0);
    for along_x in [true, false] {
        let (low, high) = range(truth.iter().map(|r| if along_x { r.2 } else { r.3 }).collect());
        for i in 1..6 {
            let at_m = low + (high - low) * f64::from(i) / 6.0;
            let (real, counted) = (crossings(&truth, along_x, at_m), crossings(&tracks, along_x, at_m));
            let axis = if along_x { 'x' } else { 'y' };
            println!(
                "hermes {file}: line {axis} = {at_m:.2} m: {} up and {} down, counted {} and {}",
                real.0, real.1, counted.0, counted.1
            );
            truly += real.0 + real.1;
            off += real.0.abs_diff(counted.0) + real.1.abs_diff(counted.1);
        }
    }
    let error = f64::from(off) / f64::from(truly.max(1));
    println!("hermes {file}: {truly} crossings of ten lines, off by {off}: {:.1} %", 100.0 * error);
    Some(error)
}

#[test]
fn hermes_line_crossings_under_eighty_one_at_once() {
    if let Some(error) = lines_of("bo-360-120-120.txt.gz") {
        assert!(error < 0.25, "{error}");
    }
}

#[test]
fn hermes_line_crossings_in_a_corridor() {
    if let Some(error) = lines_of("boa-300-065-105.txt.gz") {
        assert!(error < 0.25, "{error}");
    }
}

/// A radar's clouds with one person in them: how often there is exactly one track, and how many tracks in all.
fn radar(file: &str) -> Option<(f64, usize)> {
    let dir = tempfile::tempdir().expect("a folder");
    prepared("mmgait", dir.path(), Some(file))?;
    let path = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    let (site, trace, tracks) = (path(""), path("walk.mcap"), path("tracks.csv"));
    let imported = osmose(&["import", "points", &path("points.csv"), "--site", &site, "-o", &trace]).expect(0);
    osmose(&["replay", &trace, "--tracks", &tracks]).expect(0);
    let scans: BTreeSet<String> = std::fs::read_to_string(path("points.csv"))
        .expect("points")
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next().map(str::to_owned))
        .collect();
    let mut at_once: BTreeMap<u64, u32> = BTreeMap::new();
    let mut each: BTreeMap<String, u32> = BTreeMap::new();
    for (t_s, track, ..) in places(Path::new(&tracks)) {
        *at_once.entry((t_s * 1e3).round() as u64).or_default() += 1;
        *each.entry(track).or_default() += 1;
    }
    let one = at_once.values().filter(|n| **n == 1).count();
    let more = at_once.values().filter(|n| **n > 1).count();
    let share = |n: usize| n as f64 / scans.len().max(1) as f64;
    let longest = each.values().max().copied().unwrap_or(0) as usize;
    println!("mmgait {file}: {}", imported.stdout.trim().replace('\n', "; "));
    println!(
        "mmgait {file}: exactly one {:.3} of {} scans, none {:.3}, more {:.3}; {} tracks, the longest {:.3} of the time",
        share(one),
        scans.len(),
        1.0 - share(one) - share(more),
        share(more),
        each.len(),
        share(longest)
    );
    Some((share(one), each.len()))
}

#[test]
fn mmgait_one_person_before_a_radar() {
    for file in [
        "room1_1_fixed_route_77Ghz_radar_077.csv.gz",
        "room2_1_fixed_route_60Ghz_radar_022.csv.gz",
        "room2_1_fixed_route_77Ghz_radar_022.csv.gz",
        "room2_1_free_route_77Ghz_radar_089.csv.gz",
    ] {
        if let Some((one, tracks)) = radar(file) {
            assert!(one > 0.2 && tracks > 0, "{file}: {one} {tracks}");
        }
    }
}
