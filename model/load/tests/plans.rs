//! The three real floor plans load, each alone in a site's folder, and what is in them is found.
//!
//! They are not part of this repository: where they are not beside the checkout, the test says so and ends.

use osmose_load::{Loaded, Severity, load_dir};
use std::path::{Path, PathBuf};

fn plans() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/floorplans");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: the floor plans are not beside this checkout");
    None
}

/// A site's folder that holds nothing but a copy of a plan, loaded.
fn load_plan(plan: &Path) -> Loaded {
    let dir = tempfile::tempdir().unwrap();
    let floorplan = dir.path().join("floorplan");
    std::fs::create_dir(&floorplan).unwrap();
    for entry in std::fs::read_dir(plan).unwrap() {
        let entry = entry.unwrap();
        std::fs::write(floorplan.join(entry.file_name()), std::fs::read(entry.path()).unwrap()).unwrap();
    }
    load_dir(dir.path())
}

/// Levels, zones, walls, openings, fixtures, and zones that connect levels.
fn counts(name: &str) -> Option<([usize; 6], Loaded)> {
    let loaded = load_plan(&plans()?.join(name));
    for fault in &loaded.faults {
        println!("{fault}");
    }
    let errors: Vec<_> = loaded.faults.iter().filter(|f| f.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");
    let site = loaded.site.as_ref().unwrap();
    let ways = site.zones.iter().filter(|z| z.connects.len() >= 2).count();
    let counts =
        [site.levels.len(), site.zones.len(), site.walls.len(), site.openings.len(), site.fixtures.len(), ways];
    println!(
        "{name}: {} levels, {} zones ({ways} connect levels), {} walls, {} openings, {} fixtures; \"{}\" at {:?}",
        counts[0], counts[1], counts[2], counts[3], counts[4], site.name, site.frame.origin_deg
    );
    for level in &site.levels {
        let area = level.outline.area_m2();
        println!("  level {} `{}` ({}): {area:.0} m2", level.ordinal, level.name, level.label);
        let reach = level.outline.aabb().map_or(0.0, |b| b.min.distance(b.max));
        assert!(reach < 1000.0, "a building is no town: {reach} m");
    }
    Some((counts, loaded))
}

#[test]
fn ulm_university() {
    let Some((counts, loaded)) = counts("osmtoimdf-ulm-university") else { return };
    assert_eq!(counts[..4], [6, 554, 0, 0]);
    assert!(counts[5] > 0, "stairs and lifts lie over each other");
    let site = loaded.site.unwrap();
    assert!(loaded.faults.iter().any(|f| f.code == "not-used" && f.message.starts_with("610 features")));
    // The archive states each unit's area in m2 (`_area`): 174.293 for the first.
    let first = site.zones.iter().find(|z| z.name == "0cc78bc7-00a2-4f96-9c96-4b1c2cf3678c").unwrap();
    assert!((first.area.area_m2() / 174.293_302 - 1.0).abs() < 0.01, "{}", first.area.area_m2());
    assert_eq!(first.label, first.name, "a name that is null is the id");
}

#[test]
fn westport_house() {
    let Some((counts, loaded)) = counts("wrld-westport-house") else { return };
    assert_eq!(counts[0], 7);
    assert_eq!(counts[2], 44 + 21 + 43 + 31 + 41 + 41 + 41 + 38 + 10 + 7 + 7 + 6 + 39 + 20, "walls and windows");
    assert_eq!(counts[3], 11 + 25 + 122 + 114 + 15 + 10 + 36, "doors");
    let site = loaded.site.unwrap();
    assert_eq!((site.name.as_str(), site.frame.origin_deg), ("Westport House", Some((56.459_920, -2.977_999))));
    let ordinals: Vec<i32> = site.levels.iter().map(|l| l.ordinal).collect();
    assert!(ordinals.is_sorted() && ordinals[0] == 0);
    let large = site.zones.iter().find(|z| z.label == "Meeting Room Large").unwrap();
    assert_eq!((large.name.as_str(), large.category.as_str()), ("316", "room"));
    assert!(large.area.area_m2() > 5.0 && large.area.area_m2() < 500.0);
    let into = |category: &str| {
        let is =
            |z: &Option<_>| z.is_some_and(|z: osmose_model::ids::ZoneId| site.zones[z.index()].category == category);
        site.openings.iter().filter(|o| o.joins.iter().any(is)).count()
    };
    println!(
        "doors into rooms {}, bathrooms {}, lifts {}, stairs {}",
        into("room"),
        into("bathroom"),
        into("elevator"),
        into("stairs")
    );
    assert!(into("stairs") >= 1 && into("bathroom") >= 1);
    assert!(site.walls.iter().any(|w| w.transparent) && site.walls.iter().any(|w| !w.transparent));
}

#[test]
fn example_office() {
    let Some((counts, loaded)) = counts("wrld-example-office") else { return };
    assert_eq!(counts[..4], [1, 0, 0, 0]);
    assert!(loaded.faults.iter().any(|f| f.code == "no-zones"));
    assert!(loaded.faults.iter().any(|f| f.code == "not-used" && f.file == "floorplan/desks.geojson"));
}
