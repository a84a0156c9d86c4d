//! The simulator as a performance tester uses it: `osmose simulate --truth`, `replay --tracks`, `score`, on the
//! co-working building and on the three real plans, and the same bytes for the same seed.
//!
//! Skips, and says so, where the plans are not there. The floors are far below what the tracker reaches: they find a
//! broken path, and not a slightly worse tracker.

mod common;

use common::engine::osmose;
use common::root;
use serde_json::Value;
use std::path::Path;

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

/// What the score says of so many simulated people in a site.
fn scored(site: &Path, people: &str, seconds: &str) -> Value {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str| dir.path().join(name);
    let (trace, again, truth, tracks) = (file("sim.mcap"), file("again.mcap"), file("truth.csv"), file("tracks.csv"));
    let simulate = |trace: &Path, truth: &Path| {
        let args = ["simulate", text(site), "--people", people, "--seconds", seconds, "--seed", "5", "-o", text(trace)];
        osmose(&[&args[..], &["--truth", text(truth)]].concat()).expect(0);
    };
    simulate(&trace, &truth);
    simulate(&again, &file("truth-again.csv"));
    let bytes = |path: &Path| std::fs::read(path).expect("written");
    assert!(bytes(&trace) == bytes(&again), "one seed gives the same trace");
    assert!(bytes(&truth) == bytes(&file("truth-again.csv")), "one seed gives the same truth");
    osmose(&["replay", text(&trace), "--tracks", text(&tracks)]).expect(0);
    let score = osmose(&["score", text(&truth), text(&tracks)]).expect(0).stdout;
    println!("{}: {score}", site.display());
    serde_json::from_str(&score).unwrap_or_else(|e| panic!("{score}: {e}"))
}

fn number(score: &Value, key: &str) -> f64 {
    score[key].as_f64().unwrap_or_else(|| panic!("{key} in {score}"))
}

#[test]
fn the_coworking_building_is_simulated_and_scored() {
    let score = scored(&root().join("examples/coworking"), "15", "12");
    assert_eq!(number(&score, "rows_at_unknown_times"), 0.0, "tracks and truth are of the same instants");
    // Some start where no ceiling sensor looks (stores, stairs, telephone rooms).
    assert!(number(&score, "mota") > 0.5 && number(&score, "motp") < 0.3, "{score}");
    assert!(number(&score, "idf1") <= 1.0, "{score}");
}

/// A plan that is given, with one sensor over all of each level.
fn real_plan(name: &str, people: &str) {
    let plan = root().join("../shared/floorplans").join(name);
    if !plan.is_dir() {
        println!("skipped: {} is not there", plan.display());
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let site = dir.path().join("site");
    osmose(&["plan", "convert", text(&plan), "-o", text(&site)]).expect(0);
    let json: Value =
        serde_json::from_slice(&std::fs::read(site.join("floorplan.geojson")).expect("a plan")).expect("GeoJSON");
    let levels = json["features"].as_array().expect("features").iter().filter(|f| f["feature_type"] == "level");
    let sensor = |level: &str| {
        format!(
            "[[sensor]]\nid = \"over-{level}\"\nkind = \"position\"\nlevel = \"{level}\"\ncoordinates = \"site\"\n\
             noise = {{ sigma_m = 0.15, p_detect = 0.95, clutter_per_scan = 0.5 }}\nclass = \"state\"\nrate_hz = 10\n\
             clock = \"arrival\"\nconnect = {{ udp = \"127.0.0.1:7801\", format = \"osmose\" }}\n\n"
        )
    };
    let devices: String = levels.map(|l| sensor(l["id"].as_str().expect("an id"))).collect();
    std::fs::write(site.join("devices.toml"), devices).expect("written");
    let score = scored(&site, people, "8");
    assert_eq!(number(&score, "rows_at_unknown_times"), 0.0, "{name}");
    assert!(number(&score, "mota") > 0.3 && number(&score, "motp") < 0.5, "{name}: {score}");
}

#[test]
fn the_example_office_is_simulated_and_scored() {
    real_plan("wrld-example-office", "6");
}

#[test]
fn westport_house_is_simulated_and_scored() {
    real_plan("wrld-westport-house", "20");
}

#[test]
fn ulm_university_is_simulated_and_scored() {
    real_plan("osmtoimdf-ulm-university", "30");
}
