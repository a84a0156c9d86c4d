//! Badge reads all the way through the commands: twenty simulated people under one ceiling sensor, whose badges are read
//! at some of the doors that they walk through: `osmose import position … badge …` → `osmose replay` → `osmose score
//! --ids person`.
//!
//! Skips, and says so, where `python3` or the generator of the fusion measurements is not there. The floors are below
//! what is reached: they find a broken path and names given at random, not slightly worse ones. The mean over seeds 1 to 8
//! is printed by `SEEDS=8 cargo test --test badges -- --nocapture`. `docs/fusion.md` has the figures and says what the
//! three ways of naming rows mean: rows from before somebody's first read bear no name live, so a live IDF1 by person of 1 is out of
//! reach; by label (`--names labels`) they bear the label that gets the name; and `--names smoothed` names them by what was
//! heard later too.

mod common;

use common::engine::osmose;
use common::root;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Runs the generator with another probability of reading a badge at a door.
fn generated(dir: &Path, read_p: &str, seed: u64) -> Option<Value> {
    let script = root().join("../shared/measure/fusion/gen_scenario.py");
    let Ok(text) = std::fs::read_to_string(&script) else {
        println!("skipped: {} is not there", script.display());
        return None;
    };
    let changed = text.replace("rng.random() < 0.3:", &format!("rng.random() < {read_p}:"));
    assert!(read_p == "0.3" || changed != text, "the generator reads badges otherwise now");
    let own = dir.join("gen.py");
    std::fs::write(&own, changed).expect("written");
    let made = Command::new("python3").arg(&own).arg(dir).args(["--n", "20", "--seed", &seed.to_string()]).output();
    match made {
        Ok(out) if out.status.success() => serde_json::from_slice(&out.stdout).ok(),
        Ok(out) => panic!("{}", String::from_utf8_lossy(&out.stderr)),
        Err(e) => {
            println!("skipped: python3 cannot be run ({e})");
            None
        }
    }
}

fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).expect("a table");
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// The scene as a site: the floor, its walls, the ceiling sensor, a reader at each door, and everybody with a badge.
fn make_site(dir: &Path, meta: &Value) {
    let number = |key: &str| meta[key].as_f64().expect("a number");
    let corner = |i: usize| meta["area"][i].as_f64().expect("a corner");
    let (x0, y0, x1, y1) = (corner(0), corner(1), corner(2), corner(3));
    let ring = format!("[[[{x0},{y0}],[{x1},{y0}],[{x1},{y1}],[{x0},{y1}],[{x0},{y0}]]]");
    let feature = |id: &str, kind: &str, properties: &str, shape: &str, coordinates: &str| {
        format!(
            r#"{{"type":"Feature","id":"{id}","feature_type":"{kind}","properties":{properties},"geometry":{{"type":"{shape}","coordinates":{coordinates}}}}}"#
        )
    };
    let level = r#"{"category":"unspecified","name":"Ground","ordinal":0,"elevation_m":0.0,"height_m":3.0}"#;
    let floor = r#"{"category":"room","level":"ground","name":"Floor"}"#;
    let wall = r#"{"category":"wall","level":"ground","material":"solid","height_m":3.0}"#;
    let mut features =
        vec![feature("ground", "level", level, "Polygon", &ring), feature("floor", "unit", floor, "Polygon", &ring)];
    for (i, w) in rows(&dir.join("walls.csv")).iter().enumerate() {
        let line = format!("[[{},{}],[{},{}]]", w[0], w[1], w[2], w[3]);
        features.push(feature(&format!("wall-{i}"), "fixture", wall, "LineString", &line));
    }
    let plan = format!(
        r#"{{"type":"FeatureCollection","name":"doors","frame":"local","features":[{}]}}"#,
        features.join(",\n")
    );
    let (sigma, pd, clutter) = (number("sigma"), number("pd"), number("clutter"));
    let mut devices = format!(
        "[[sensor]]\nid = \"pos0\"\nkind = \"position\"\nlevel = \"ground\"\n\
         pose = {{ x_m = 15.0, y_m = 10.0, z_m = 2.8, heading_deg = 0.0 }}\ncoordinates = \"site\"\n\
         noise = {{ sigma_m = {sigma:?}, p_detect = {pd:?}, clutter_per_scan = {clutter:?} }}\n\
         class = \"state\"\nrate_hz = 10\nclock = \"device\"\nconnect = {{ udp = \"127.0.0.1:7801\", format = \"osmose\" }}\n"
    );
    let (mut people, mut badges) = (String::new(), String::from("t_s,sensor,badge\n"));
    let (mut readers, mut known) = (Vec::new(), Vec::new());
    for row in rows(&dir.join("badges.csv")) {
        let [t, reader, x, y, who] = row.as_slice() else { panic!("five columns: {row:?}") };
        if !readers.contains(reader) {
            readers.push(reader.clone());
            let _ = write!(
                devices,
                "[[sensor]]\nid = \"{reader}\"\nkind = \"badge\"\nlevel = \"ground\"\n\
                 pose = {{ x_m = {x}, y_m = {y}, z_m = 1.2, heading_deg = 0.0 }}\nclass = \"edge\"\nclock = \"device\"\n\
                 connect = {{ udp = \"127.0.0.1:7801\", format = \"osmose\" }}\n"
            );
        }
        if !known.contains(who) {
            known.push(who.clone());
            let _ = write!(people, "[[person]]\nid = \"{who}\"\nbadges = [\"badge-{who}\"]\n");
        }
        let _ = writeln!(badges, "{t},{reader},badge-{who}");
    }
    let mut positions = String::from("t_s,sensor,x_m,y_m\n");
    for row in rows(&dir.join("detections.csv")) {
        let _ = writeln!(positions, "{},{},{},{}", row[1], row[2], row[3], row[4]);
    }
    for (file, text) in [
        ("site.toml", "name = \"doors\"\n".to_owned()),
        ("floorplan.geojson", plan),
        ("devices.toml", devices),
        ("people.toml", people),
        ("position.csv", positions),
        ("badge.csv", badges),
    ] {
        std::fs::write(dir.join(file), text).expect("written");
    }
}

/// One scene through the commands: IDF1 by person, IDF1 by track, and the shares of rows with the right and a wrong name;
/// then IDF1 by person and those shares of rows by label, and the same of rows named by what was heard later too.
fn scored(read_p: &str, seed: u64) -> Option<[f64; 10]> {
    let dir = tempfile::tempdir().expect("a folder");
    let meta = generated(dir.path(), read_p, seed)?;
    make_site(dir.path(), &meta);
    let file = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    let (site, trace) = (dir.path().to_str().expect("text"), file("walk.mcap"));
    let (position, badge) = (file("position.csv"), file("badge.csv"));
    osmose(&["import", "position", &position, "badge", &badge, "--site", site, "-o", &trace]).expect(0);
    let replay = |names: &str| {
        let tracks = file(&format!("{names}.csv"));
        osmose(&["replay", &trace, "--tracks", &tracks, "--tracks-format", "eval", "--names", names]).expect(0);
        tracks
    };
    let (live, labels, smoothed) = (replay("live"), replay("labels"), replay("smoothed"));
    let score = |tracks: &str, ids: &str| -> Value {
        let scored = osmose(&["score", &file("truth.csv"), tracks, "--ids", ids]).expect(0);
        serde_json::from_str(&scored.stdout).expect("one JSON line")
    };
    let of = |v: &Value, key: &str| v[key].as_f64().unwrap_or_else(|| panic!("no {key} in {v}"));
    let named = |tracks: &str| {
        let v = score(tracks, "person");
        [of(&v, "idf1"), of(&v, "ident_right"), of(&v, "ident_wrong")]
    };
    let ([by_person, right, wrong], labels, later) = (named(&live), named(&labels), named(&smoothed));
    let by_track = of(&score(&live, "track"), "idf1");
    let all = [by_person, by_track, right, wrong].into_iter().chain(labels).chain(later);
    all.collect::<Vec<_>>().try_into().ok()
}

#[test]
fn badges_name_those_who_pass_a_door() {
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1u64);
    for (read_p, wrong_max, labels_min, smoothed_min) in [("0.3", 0.25, 0.6, 0.6), ("0.95", 0.25, 0.8, 0.85)] {
        let mut sum = [0.0; 10];
        for seed in 1..=seeds {
            let Some(one) = scored(read_p, seed) else { return };
            sum.iter_mut().zip(one).for_each(|(s, v)| *s += v / seeds as f64);
        }
        let [by_person, by_track, right, wrong, rest @ ..] = sum;
        let [labels, label_right, label_wrong, smoothed, smoothed_right, smoothed_wrong] = rest;
        println!(
            "20 people, {read_p} of door reads, {seeds} seeds: IDF1 by person {by_person:.3}, by track {by_track:.3}; \
             rows with the right name {right:.3}, with a wrong one {wrong:.3}; by label: IDF1 by person {labels:.3}, \
             rows with the right name {label_right:.3}, with a wrong one {label_wrong:.3}; smoothed: IDF1 by person {smoothed:.3}, \
             rows with the right name {smoothed_right:.3}, with a wrong one {smoothed_wrong:.3}"
        );
        assert!(by_track > 0.6 && by_person > 0.45, "{by_person} {by_track}");
        assert!(right > 2.0 * wrong && wrong < wrong_max, "{right} right, {wrong} wrong");
        assert!(labels > labels_min && label_right > label_wrong, "{labels} {label_right} {label_wrong}");
        assert!(smoothed > by_person.max(smoothed_min) && smoothed_right > right, "{smoothed} {smoothed_right}");
    }
}
