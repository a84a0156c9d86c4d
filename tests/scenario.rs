//! The co-working morning, once without beacons and once with them: each row of the requirements with its figures.
//!
//! Each run of the command serves all tests: it is the report that users see. Eight mornings are judged, of seeds that
//! differ in who stands beside whom at the reader and in the cells. At 8 the reader reports another's badge, as it does once
//! in a thousand reads: nobody can know whom to guide then.

mod common;

use common::engine::osmose;
use serde_json::Value;
use std::sync::OnceLock;

fn run(seed: &str) -> Vec<Value> {
    // A row that fails ends it with 1: that is for its own test to say.
    let ended = osmose(&["demo", "--headless", "--report", "--json", "--seed", seed]);
    assert!(matches!(ended.code(), 0 | 1) && !ended.stderr.contains("panicked"), "{}", ended.stderr);
    let rows: Vec<Value> = serde_json::from_str(&ended.stdout).expect("a list of rows");
    rows.iter().for_each(|row| println!("{row}"));
    rows
}

/// Mornings that are judged. At 2 a badge is read while others are nearer; at 6, 27 and 28 people become known between two
/// cells, cross a cell's corner and stand on its line.
const SEEDS: [&str; 8] = ["1", "2", "6", "9", "16", "27", "28", "30"];
/// Runs at a time.
const AT_ONCE: usize = 2;

/// Every row of every morning.
fn rows() -> &'static Vec<Value> {
    static ROWS: OnceLock<Vec<Value>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let runs = SEEDS.chunks(AT_ONCE).flat_map(|seeds| {
            std::thread::scope(|scope| {
                let running: Vec<_> = seeds.iter().map(|seed| scope.spawn(|| run(seed))).collect();
                running.into_iter().map(|r| r.join().expect("a run that ends")).collect::<Vec<_>>()
            })
        });
        runs.flatten().collect()
    })
}

/// A row's runs, without beacons and with them in turn, each of which holds.
fn holds(id: &str) -> Vec<&'static Value> {
    let all: Vec<&Value> = rows().iter().filter(|r| r["row"] == id).collect();
    assert_eq!(all.len(), 2 * SEEDS.len(), "{id} is there twice a morning");
    for row in &all {
        assert_eq!(row["holds"], true, "{row}");
    }
    let with = |beacons: bool| all.iter().filter(|r| r["beacons"] == beacons).count();
    assert_eq!((with(false), with(true)), (SEEDS.len(), SEEDS.len()));
    all
}

fn human_max_ms(row: &Value) -> f64 {
    row["human_ms"]["max"].as_f64().unwrap_or_else(|| panic!("no human figure in {row}"))
}

/// Every arrival is guided and heard in nearly all cells of their way, no cell speaks to nobody, and no silence at a hand-over
/// is longer than the row allows.
#[test]
fn a1_eight_arrivals_are_guided_by_the_cells_of_their_way() {
    for row in holds("A1") {
        let found = row["found"].as_str().expect("text");
        assert!(found.starts_with("8 of 8 guided, heard in ") && found.contains(" 0 words to nobody"), "{found}");
        let cells: Vec<f64> = found[24..].split(' ').filter_map(|w| w.parse().ok()).take(2).collect();
        assert!(cells[0] >= 0.9 * cells[1], "{found}");
    }
}

#[test]
fn a2_the_light_is_on_before_the_door_is_crossed() {
    for row in holds("A2") {
        assert!(human_max_ms(row) < 0.0, "before the crossing: {row}");
    }
}

#[test]
fn a3_a_wave_opens_the_folder_for_members_and_a_stranger_blanks_it() {
    for row in holds("A3") {
        assert!(human_max_ms(row) < 150.0, "{row}");
    }
    for row in holds("A3b") {
        assert!(human_max_ms(row) < 500.0, "{row}");
    }
}

#[test]
fn a5_a_message_reaches_one_and_nobody_else() {
    for row in holds("A5") {
        assert!(row["found"].as_str().expect("text").contains(" 0 other beams active"), "{row}");
    }
}

#[test]
fn a6_the_recording_pauses_when_one_leaves_and_keeps_nothing_from_then_on() {
    for row in holds("A6") {
        let found = row["found"].as_str().expect("text");
        assert!(found.contains(" 0 frames kept from after one"), "{found}");
        assert!(human_max_ms(row) < 600.0, "{row}");
    }
}

#[test]
fn i7_the_music_pauses_for_who_faces_the_counter_and_not_for_who_passes() {
    for row in holds("I7") {
        assert!(row["found"].as_str().expect("text").contains(" 0 pauses for nobody"), "{row}");
        // 300 ms of looking, and what a tracker takes to see that somebody walks no more.
        assert!(human_max_ms(row) < 1000.0, "{row}");
    }
}

#[test]
fn i8_the_podcast_stops_when_the_lone_worker_gets_up() {
    for row in holds("I8") {
        assert!(human_max_ms(row) < 1000.0, "{row}");
        assert!(row["found"].as_str().expect("text").contains(" way through 2 rooms"), "{row}");
    }
}

#[test]
fn b1_people_are_known_with_no_beacons_at_all() {
    holds("B1");
}

#[test]
fn b3_and_fire_overrides_all() {
    holds("fire");
    for row in holds("B3") {
        let n = |figures: &Value| figures["n"].as_u64().unwrap_or(0);
        assert!(n(&row["engine_us"]) > 100 && n(&row["human_ms"]) > 100, "{row}");
        // Each rule has its own, and together they are all of them.
        let rules = row["rules"].as_array().expect("rules");
        assert!(rules.iter().any(|r| r["rule"] == "guide-to-m7" && r["human_ms"]["p999"].is_number()), "{row}");
        assert_eq!(rules.iter().map(|r| n(&r["engine_us"])).sum::<u64>(), n(&row["engine_us"]));
    }
}

/// A table that `osmose trace export` wrote, as rows of fields.
fn table(path: &std::path::Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).expect("a table");
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// The morning of seed 2: ana's badge is read while others are as near to the reader. Nobody is taken for her yet; within a
/// second she steps up to it and is, by a sensor that sees her there. The others' reads say at once who they are.
#[test]
fn b1_an_open_read_is_decided_by_who_steps_up_to_the_reader() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str| dir.path().join(name);
    let text = |path: std::path::PathBuf| path.to_str().expect("a path of letters").to_owned();
    let (trace, tables) = (text(file("morning.mcap")), text(file("tables")));
    osmose(&["demo", "--headless", "--seed", "2", "--seconds", "16", "--record", &trace]).expect(0);
    osmose(&["replay", &trace, "--events", &text(file("events.jsonl"))]).expect(0);
    osmose(&["trace", "export", &trace, "--csv", "-o", &tables]).expect(0);
    let reads: Vec<f64> = table(&file("tables/badge.csv")).iter().map(|row| row[0].parse().expect("a time")).collect();
    let events = std::fs::read_to_string(file("events.jsonl")).expect("events");
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let known: Vec<Value> = events.filter(|e| e["kind"] == "identified").collect();
    assert!(reads.len() == 8 && known.len() == 8, "{reads:?} {known:?}");
    for (read, e) in reads.iter().zip(&known) {
        let waited_s = e["measured_t_s"].as_f64().expect("a time") - read;
        let (by_reader, is_ana) = (e["sensor"] == "badge-entrance", e["person"] == "ana");
        assert!(if is_ana { !by_reader && (0.9..1.2).contains(&waited_s) } else { by_reader }, "{read} {e}");
        // The reader hangs at 16.6, 2.2.
        let (x_m, y_m) = (e["x_m"].as_f64().expect("metres"), e["y_m"].as_f64().expect("metres"));
        assert!(!is_ana || (x_m - 16.6).hypot(y_m - 2.2) < 0.4, "{e}");
    }
}
