//! Recorded radio all the way through the commands: columns → `osmose import` → `osmose replay --tracks --events`, against
//! where the devices really were.
//!
//! Each test prints its figures; the bounds are looser than what is reached, so that they find a broken path and not a
//! slightly worse filter. Skips, and says so, where `python3` or the recordings are not there.

mod common;

use common::engine::{Ended, osmose};
use common::{json_lines, root};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Times and places of one device; the last cell is a height or a room.
type Path2 = Vec<(f64, f64, f64, String)>;

/// Makes a recording's folder; says why where it cannot.
fn made(kind: &str, more: &[&str], dir: &Path) -> bool {
    let corpora = root().join("../shared/corpora");
    let script = root().join("tests/corpora/radio.py");
    if !corpora.is_dir() {
        println!("skipped {kind}: {} is not there", corpora.display());
        return false;
    }
    match Command::new("python3").arg(script).arg(kind).arg(dir).arg(&corpora).args(more).output() {
        Ok(out) if out.status.success() && dir.join("devices.toml").exists() => true,
        Ok(out) => {
            let (said, wrong) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
            println!("skipped {kind}: {said}{wrong}");
            false
        }
        Err(e) => {
            println!("skipped {kind}: python3 cannot be run ({e})");
            false
        }
    }
}

/// A table's rows by column name.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).expect("a table");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let row = |line: &str| names.iter().zip(line.split(',')).map(|(n, v)| ((*n).to_owned(), v.to_owned())).collect();
    lines.map(row).collect()
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} of {row:?} is no number"))
}

/// Where a device truly was at a time, between two rows that are at most a second apart.
fn truth_at(path: &Path2, t_s: f64) -> Option<(f64, f64, &str)> {
    let i = path.partition_point(|row| row.0 < t_s);
    let (a, b) = (path.get(i.checked_sub(1)?)?, path.get(i)?);
    let gap = b.0 - a.0;
    if gap > 1.0 {
        return None;
    }
    let w = if gap > 0.0 { (t_s - a.0) / gap } else { 0.0 };
    Some((a.1 + w * (b.1 - a.1), a.2 + w * (b.2 - a.2), &a.3))
}

/// Median and 95th percentile.
fn spread(mut v: Vec<f64>) -> (f64, f64) {
    v.sort_by(f64::total_cmp);
    (v[v.len() / 2], v[(v.len() * 95 / 100).min(v.len() - 1)])
}

/// A recording that went through the commands.
struct Through {
    dir: tempfile::TempDir,
    truth: BTreeMap<String, Path2>,
    imported: Ended,
    replayed: Ended,
}

impl Through {
    fn new(kind: &str, more: &[&str], tables: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        if !made(kind, more, dir.path()) {
            return None;
        }
        let file = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
        let (site, trace) = (file(""), file("walk.mcap"));
        let paths: Vec<String> = tables.iter().map(|t| file(&format!("{t}.csv"))).collect();
        let mut args = vec!["import"];
        tables.iter().zip(&paths).for_each(|(kind, path)| args.extend([*kind, path.as_str()]));
        args.extend(["--site", &site, "-o", &trace]);
        let imported = osmose(&args).expect(0);
        let [tracks, events] = ["tracks.csv", "events.jsonl"].map(file);
        let replayed = osmose(&["replay", &trace, "--tracks", &tracks, "--events", &events]).expect(0);
        assert!(!replayed.stderr.contains("missing"), "{}", replayed.stderr);
        let mut truth: BTreeMap<String, Path2> = BTreeMap::new();
        for row in rows(&dir.path().join("truth.csv")) {
            let last = row.get("z").or(row.get("room")).expect("a height or a room").clone();
            let place = (number(&row, "t"), number(&row, "x"), number(&row, "y"), last);
            truth.entry(row["device"].clone()).or_default().push(place);
        }
        Some(Self { dir, truth, imported, replayed })
    }

    /// Errors in the plane and in height from `from_s` on, and how many tracks there were.
    fn errors(&self, from_s: f64) -> (Vec<f64>, Vec<f64>, usize) {
        let (mut off, mut high, mut tracks) = (Vec::new(), Vec::new(), std::collections::BTreeSet::new());
        for row in rows(&self.dir.path().join("tracks.csv")) {
            let t_s = number(&row, "t_s");
            tracks.insert(row["track"].clone());
            let Some((x, y, last)) = self.truth.get(&row["person"]).and_then(|path| truth_at(path, t_s)) else {
                continue;
            };
            if t_s < from_s {
                continue;
            }
            let (dx, dy) = (number(&row, "x_m") - x, number(&row, "y_m") - y);
            off.push((dx * dx + dy * dy).sqrt());
            if let (Ok(z), Ok(true_z)) = (row["z_m"].parse::<f64>(), last.parse::<f64>()) {
                high.push((z - true_z).abs());
            }
        }
        (off, high, tracks.len())
    }

    /// The lines about sensors of the replay's summary.
    fn sensors(&self) -> Vec<&str> {
        self.replayed.stderr.lines().filter(|l| l.starts_with("sensor ")).collect()
    }
}

#[test]
fn uwb_util_a_drone_by_time_differences() {
    for flight in ["apr25_tdoa2_traj1", "apr25_tdoa3_traj13"] {
        let Some(run) = Through::new("util", &["--file", flight], &["tdoa"]) else { return };
        let (off, high, tracks) = run.errors(3.0);
        let ((plane, plane_95), (z, z_95)) = (spread(off), spread(high));
        println!("{flight}: error in the plane median {plane:.3} m, 95 % {plane_95:.3} m; height {z:.3}, {z_95:.3} m");
        assert_eq!(tracks, 1);
        assert!(plane < 0.2 && plane_95 < 0.8 && z < 0.5, "{plane} {plane_95} {z}");
    }
}

#[test]
fn uwb_cuhksz_ranges_with_unknown_biases() {
    let Some(run) = Through::new("cuhksz", &[], &["range"]) else { return };
    let (off, _, tracks) = run.errors(3.0);
    let (median, worst) = spread(off);
    println!("cuhksz, ranges alone: error median {median:.3} m, 95 % {worst:.3} m, {tracks} tracks");
    run.sensors().iter().for_each(|l| println!("  {l}"));
    assert_eq!(tracks, 3);
    assert!(median < 0.1 && worst < 0.35, "{median} {worst}");
}

#[test]
fn uwb_cuhksz_clocks_and_biases_against_another_system() {
    // As recorded, and with the anchors' clocks half a second late.
    let mut clocks = Vec::new();
    for late in ["0", "0.5"] {
        let Some(run) = Through::new("cuhksz", &["--clock", late], &["range", "location"]) else { return };
        println!("cuhksz, ranges {late} s late, compared with motion capture ten times a second:");
        run.sensors().iter().for_each(|l| println!("  {l}"));
        let clock =
            |l: &&str| l.split("clock ").last().and_then(|c| c.split(' ').next()).and_then(|c| c.parse::<f64>().ok());
        let of_anchors: Vec<f64> = run.sensors().iter().filter_map(clock).collect();
        assert_eq!(of_anchors.len(), 8);
        clocks.push(of_anchors.iter().sum::<f64>() / 8.0);
    }
    println!(
        "cuhksz: the anchors' clocks are {:.3} s late, and {:.3} s where they were set 0.5 s late",
        clocks[0], clocks[1]
    );
    assert!((clocks[1] - clocks[0] - 0.5).abs() < 0.12, "{clocks:?}");
}

/// Median and 95 % error of one walk, and of the nearest receiver.
fn walk(file: &str, more: &[&str]) -> Option<((f64, f64), (f64, f64))> {
    let mut args = vec!["--file", file];
    args.extend(more);
    let run = Through::new("ble", &args, &["rssi"])?;
    let (off, _, tracks) = run.errors(3.0);
    assert_eq!(tracks, 1, "{file}");
    let at = |row: &BTreeMap<String, String>| {
        let (t_s, x, y) = (number(row, "t"), number(row, "x"), number(row, "y"));
        let (tx, ty, _) = truth_at(&run.truth["tag"], t_s).filter(|_| t_s > 3.0)?;
        Some(((x - tx) * (x - tx) + (y - ty) * (y - ty)).sqrt())
    };
    let nearest = rows(&run.dir.path().join("nearest.csv")).iter().filter_map(at).collect();
    Some((spread(off), spread(nearest)))
}

const WALKS: [&str; 6] = [
    "straight_01",
    "straight_02",
    "straight_03",
    "straight_04",
    "rectangular_with_rotation",
    "zigzagging_with_rotation",
];

#[test]
fn ble_positions_beat_the_nearest_receiver() {
    let (mut sums, mut n) = ([0.0; 3], 0.0);
    for file in WALKS {
        let Some((law, nearest)) = walk(file, &[]) else { return };
        let Some((map, _)) = walk(file, &["--map"]) else { return };
        println!(
            "{file}: median {:.2} m (95 % {:.2}) by path loss, {:.2} m ({:.2}) by the radio map, nearest receiver {:.2} m ({:.2})",
            law.0, law.1, map.0, map.1, nearest.0, nearest.1
        );
        assert!(law.0 < 0.75 * nearest.0 && map.0 < 0.75 * nearest.0, "{file}");
        sums = [sums[0] + law.0, sums[1] + map.0, sums[2] + nearest.0];
        n += 1.0;
    }
    let [law, map, nearest] = sums.map(|s| s / n);
    println!(
        "mean of the medians: {law:.2} m by path loss, {map:.2} m by the radio map, nearest receiver {nearest:.2} m"
    );
    assert!(law < 0.55 * nearest && map < 0.55 * nearest, "{law} {map} {nearest}");
}

#[test]
fn ble_reports_that_come_late_are_used_at_their_time_or_refused() {
    let file = "zigzagging_with_rotation";
    let Some((prompt, _)) = walk(file, &[]) else { return };
    let Some((late, _)) = walk(file, &["--late", "0.45"]) else { return };
    println!("{file}: median {:.2} m in order, {:.2} m with every report up to 0.45 s late", prompt.0, late.0);
    // What is late says where somebody was: at a metre a second that is a fifth of a metre.
    assert!(late.0 < prompt.0 + 0.5, "{prompt:?} {late:?}");
    let Some(run) = Through::new("ble", &["--file", file, "--late", "1.0"], &["rssi"]) else { return };
    let refused = run.imported.stdout.lines().chain(run.imported.stderr.lines()).find(|l| l.contains("too_late"));
    println!("{file}: with up to 1 s: {}", refused.unwrap_or("nothing refused").trim());
    assert!(refused.is_some(), "{}", run.imported.stdout);
}

/// Stays in a room: room, from, to.
fn stays(path: &Path2) -> Vec<(&str, f64, f64)> {
    let mut stays: Vec<(&str, f64, f64)> = Vec::new();
    for (t_s, _, _, room) in path {
        match stays.last_mut() {
            Some(last) if last.0 == room && t_s - last.2 < 60.0 => last.2 = *t_s,
            _ => stays.push((room, *t_s, *t_s)),
        }
    }
    stays.retain(|s| s.2 - s.1 >= 2.0);
    stays
}

#[test]
fn ble_uwb_flat_rooms() {
    const NEAR_S: f64 = 3.0;
    for (name, more) in [("path loss", &[][..]), ("radio map", &["--map"][..])] {
        let Some(run) = Through::new("flat", more, &["rssi"]) else { return };
        let (off, _, tracks) = run.errors(3.0);
        assert_eq!(tracks, 1);
        let (median, worst) = spread(off);
        let stays = stays(&run.truth["tag"]);
        let events = json_lines(&run.dir.path().join("events.jsonl"));
        let of = |kind: &str| -> Vec<(f64, String)> {
            let at = |e: &serde_json::Value| {
                (e["t_s"].as_f64().expect("a time"), e["zone"].as_str().unwrap_or("").to_owned())
            };
            events.iter().filter(|e| e["kind"] == kind).map(at).collect()
        };
        let (enters, leaves) = (of("enters"), of("leaves"));
        let within = |(t_s, zone): &(f64, String)| {
            stays.iter().any(|(room, from, to)| room == zone && (from - NEAR_S..=to + NEAR_S).contains(t_s))
        };
        let right = enters.iter().filter(|e| within(e)).count();
        // Whoever leaves a room is truly not in it soon after.
        let gone = |(t_s, zone): &&(f64, String)| {
            !stays.iter().any(|(room, from, to)| room == zone && (*from..=to - NEAR_S).contains(t_s))
        };
        let left = leaves.iter().filter(gone).count();
        let mut delays: Vec<f64> = Vec::new();
        for (room, from, to) in &stays[1..] {
            delays.extend(
                enters.iter().find(|(t, z)| z == room && (from - NEAR_S..=*to).contains(t)).map(|e| e.0 - from),
            );
        }
        let minutes = stays.iter().map(|s| s.2 - s.1).sum::<f64>() / 60.0;
        let found = delays.len();
        let share = |n: usize, of: usize| n as f64 / of.max(1) as f64;
        let flaps = (enters.len() - found.min(enters.len())) as f64 / minutes;
        println!(
            "flat by {name}: error median {median:.2} m, 95 % {worst:.2} m; {} stays in {minutes:.0} min: enter precision {:.2}, \
             recall {:.2}, delay {:.1} s; leave precision {:.2}; {flaps:.1} flaps a minute",
            stays.len(),
            share(right, enters.len()),
            share(found, stays.len() - 1),
            if delays.is_empty() { f64::NAN } else { spread(delays).0 },
            share(left, leaves.len()),
        );
        assert!(median < 2.4 && share(right, enters.len()) > 0.35 && share(found, stays.len() - 1) > 0.35);
    }
}
