//! `osmose plan` as its users call it: from what they were handed to a site that checks clean.

mod common;

use common::root;
use std::path::Path;
use std::process::{Command, Output};

fn osmose(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_osmose")).args(args).output().expect("osmose runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

const HOUSE: &str = "\
rooms:
  - { name: Hall, points: [[0, 0], [6, 0], [6, 5], [0, 5]] }
  - { name: Study, points: [[6, 0], [10, 0], [10, 5], [6, 5]] }
doors:
  - [[6, 2], [6, 3]]
  - { points: [[1, 0], [2, 0]], joins: [hall, outside] }
";

#[test]
fn a_plan_in_yaml_becomes_a_site_that_checks_clean() {
    let dir = tempfile::tempdir().expect("a folder");
    let (yaml, site) = (dir.path().join("house.yaml"), dir.path().join("house"));
    std::fs::write(&yaml, HOUSE).expect("written");
    let output = osmose(&["plan", "convert", text(&yaml), "-o", text(&site)]);
    assert!(output.status.success() && said(&output).contains("Nothing is left to do"), "{}", said(&output));
    let again = osmose(&["plan", "convert", text(&yaml), "-o", text(&site)]);
    assert!(again.status.code() == Some(1) && said(&again).contains("--force"), "{}", said(&again));
    let check = osmose(&["check", text(&site)]);
    assert!(check.status.success() && said(&check).contains("0 error(s), 0 warning(s)"), "{}", said(&check));
}

#[test]
fn a_drawing_in_millimetres_is_placed_by_its_corners() {
    let dir = tempfile::tempdir().expect("a folder");
    let millimetres = HOUSE.lines().map(scaled).collect::<Vec<_>>().join("\n");
    let (yaml, control, plan) =
        (dir.path().join("house.yaml"), dir.path().join("corners.csv"), dir.path().join("floorplan.geojson"));
    std::fs::write(&yaml, millimetres).expect("written");
    std::fs::write(
        &control,
        "name,plan_x,plan_y,x_m,y_m\nsw,0,0,2,1\nse,10000,0,12,1\nne,10000,5000,12,6\nnw,0,5000,2,6.02\n",
    )
    .expect("written");
    let output = osmose(&["plan", "convert", text(&yaml), "--control", text(&control), "-o", text(&plan)]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("scaled by 0.001"), "{}", said(&output));
    assert!(said(&output).lines().any(|l| l.trim_start().starts_with("nw ")), "what is left at each corner is shown");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&plan).expect("the plan")).expect("GeoJSON");
    let hall = json["features"].as_array().and_then(|f| f.iter().find(|f| f["id"] == "hall")).expect("the hall");
    let corner = &hall["geometry"]["coordinates"][0][1];
    assert!((corner[0].as_f64().unwrap_or_default() - 8.0).abs() < 0.02, "{corner}");

    let fit = osmose(&["plan", "fit", text(&control), "--json"]);
    let fit: serde_json::Value = serde_json::from_slice(&fit.stdout).expect("JSON");
    assert!(fit["rms_m"].as_f64().is_some_and(|m| m > 0.001 && m < 0.02), "{fit}");
    std::fs::write(&control, "plan_x,plan_y,x_m,y_m\n1,2,3,x\n").expect("written");
    let wrong = osmose(&["plan", "fit", text(&control)]);
    assert!(wrong.status.code() == Some(1) && said(&wrong).contains("corners.csv:2"), "{}", said(&wrong));
}

/// A line with every number a thousand times as large.
fn scaled(line: &str) -> String {
    let mut scaled = String::new();
    let mut digits = String::new();
    for c in line.chars().chain(std::iter::once('\n')) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            scaled += &(digits.parse::<u32>().expect("a number") * 1000).to_string();
            digits.clear();
        }
        scaled.push(c);
    }
    scaled.trim_end().to_owned()
}

#[test]
fn faults_are_listed_counted_and_drawn() {
    let dir = tempfile::tempdir().expect("a folder");
    let (yaml, svg) = (dir.path().join("house.yaml"), dir.path().join("plan.svg"));
    std::fs::write(&yaml, HOUSE.replace("  - [[6, 2], [6, 3]]\n", "").replace("[6, 0], [10, 0]", "[5, 0], [10, 0]"))
        .expect("written");
    let check = osmose(&["plan", "check", text(&yaml)]);
    assert!(check.status.success() && said(&check).contains("[no-door]"), "{}", said(&check));
    assert_eq!(osmose(&["plan", "check", text(&yaml), "--strict"]).status.code(), Some(1));
    let json: Vec<serde_json::Value> =
        serde_json::from_slice(&osmose(&["plan", "check", text(&yaml), "--json"]).stdout).expect("a list");
    let door = json.iter().find(|f| f["code"] == "no-door").expect("a room without a door");
    assert!(door["x_m"].is_number() && door["level"].is_string() && door["help"].is_string(), "{door}");
    let draw = osmose(&["plan", "draw", text(&yaml), "--faults", "-o", text(&svg)]);
    assert!(draw.status.success() && said(&draw).contains("  1  warning["), "{}", said(&draw));
    let drawn = std::fs::read_to_string(&svg).expect("the drawing");
    assert!(drawn.contains("class=\"fault\"") && drawn.contains("</svg>"));
    let wrong = osmose(&["plan", "draw", text(&yaml), "--level", "roof", "-o", text(&svg)]);
    assert!(wrong.status.code() == Some(2) && said(&wrong).contains("no level `roof`"), "{}", said(&wrong));
}

#[test]
fn the_demo_building_is_surveyed() {
    let site = root().join("examples/coworking");
    let check = osmose(&["plan", "check", text(&site), "--all"]);
    assert!(check.status.success(), "{}", said(&check));
}

#[test]
fn real_archives_are_converted_and_what_is_left_is_named() {
    let plans = root().join("../shared/floorplans");
    if !plans.is_dir() {
        println!("skipped: the floor plans are not beside this checkout");
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    for (name, left) in [
        ("osmtoimdf-ulm-university", "no-door"),
        ("wrld-westport-house", "door-nowhere"),
        ("wrld-example-office", "no-zones"),
    ] {
        let site = dir.path().join(name);
        let output = osmose(&["plan", "convert", text(&plans.join(name)), "-o", text(&site)]);
        assert!(output.status.success() && said(&output).contains(left), "{name}: {}", said(&output));
        let check = osmose(&["check", text(&site)]);
        assert!(check.status.success(), "{name}: {}", said(&check));
    }
}
