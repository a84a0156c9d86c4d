//! Real and example plans are converted, and load as they were; a YAML plan becomes one; places on the ground hold.

use osmose_load::{Loaded, Severity, load};
use osmose_model::site::{Site, SourceFile};
use osmose_survey::faults::find;
use osmose_survey::{Form, hand_over, make_readable, write};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn geojson(text: String) -> Vec<SourceFile> {
    vec![SourceFile { path: "floorplan.geojson".to_owned(), text }]
}

/// The site of a plan, and of what is written of it; the second must load without an error.
fn there_and_back(loaded: &Loaded, name: &str) -> (Site, Loaded) {
    let errors = loaded.faults.iter().filter(|f| f.severity == Severity::Error);
    let mut site = loaded.site.clone().unwrap_or_else(|| panic!("{name}: {:#?}", errors.collect::<Vec<_>>()));
    let renamed = make_readable(&mut site);
    let again = load(&geojson(write(&site, &renamed)));
    let errors: Vec<_> = again.faults.iter().filter(|f| f.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");
    (site, again)
}

/// What is drawn is the same, to the digits that are written.
fn assert_same_plan(a: &Site, b: &Site) {
    let parts = |s: &Site| [s.levels.len(), s.zones.len(), s.walls.len(), s.openings.len(), s.fixtures.len()];
    assert_eq!(parts(a), parts(b));
    for (x, y) in a.levels.iter().zip(&b.levels) {
        assert_eq!((&x.name, &x.label, x.ordinal), (&y.name, &y.label, y.ordinal));
    }
    for (x, y) in a.zones.iter().zip(&b.zones) {
        assert_eq!(
            (&x.name, &x.label, &x.category, x.level, &x.connects),
            (&y.name, &y.label, &y.category, y.level, &y.connects)
        );
        assert!((x.area.area_m2() - y.area.area_m2()).abs() < 0.01, "{}", x.name);
    }
    for (x, y) in a.openings.iter().zip(&b.openings) {
        assert_eq!((&x.name, x.level, &x.joins, &x.door), (&y.name, y.level, &y.joins, &y.door));
        assert!(x.segments[0].a.distance(y.segments[0].a) < 1e-3);
    }
    for (x, y) in a.walls.iter().zip(&b.walls) {
        assert_eq!((&x.name, x.level, x.transparent, &x.material), (&y.name, y.level, y.transparent, &y.material));
    }
}

#[test]
fn the_real_plans_are_converted_and_what_is_wrong_with_them_is_found() {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/floorplans");
    if !plans.is_dir() {
        println!("skipped: the floor plans are not beside this checkout");
        return;
    }
    for (name, codes) in [
        ("osmtoimdf-ulm-university", &["no-door"][..]),
        ("wrld-westport-house", &["door-nowhere", "wall-gap"]),
        ("wrld-example-office", &[]),
    ] {
        let handed = hand_over(&plans.join(name)).unwrap();
        assert_eq!(handed.form, Form::Folder);
        let loaded = load(&handed.files);
        let (site, again) = there_and_back(&loaded, name);
        let after = again.site.as_ref().unwrap();
        assert_same_plan(&site, after);
        assert!(
            after.zones.iter().all(|z| !z.name.starts_with(|c: char| c.is_ascii_digit())),
            "ids that rules can spell"
        );
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        let found = find(after, &again.places);
        found.iter().for_each(|f| *count.entry(f.fault.code).or_default() += 1);
        println!("{name}: {count:?}");
        for code in codes {
            assert!(count.contains_key(code), "{name}: {code} in {count:?}");
        }
        assert!(found.iter().all(|f| !f.fault.message.is_empty() && !f.fault.help.is_empty()));
    }
}

#[test]
fn an_archive_of_a_plan_is_the_plan() {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/floorplans/wrld-westport-house");
    if !plans.is_dir() {
        println!("skipped: the floor plans are not beside this checkout");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("house.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for entry in plans.read_dir().unwrap().flatten() {
        let name = format!("house/{}", entry.file_name().display());
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, &std::fs::read(entry.path()).unwrap()).unwrap();
    }
    zip.finish().unwrap();
    let handed = hand_over(&path).unwrap();
    assert_eq!(handed.form, Form::Archive);
    assert_eq!(load(&handed.files).site.unwrap().zones, load(&hand_over(&plans).unwrap().files).site.unwrap().zones);
}

#[test]
fn the_examples_survive_being_written_again() {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for name in ["coworking", "incidents", "peer-job"] {
        let handed = hand_over(&examples.join(name)).unwrap();
        assert_eq!(handed.form, Form::Site);
        let settings = handed.files.iter().find(|f| f.path == "site.toml").unwrap().clone();
        let loaded = load(&handed.files);
        let mut site = loaded.site.unwrap();
        let mut files = geojson(write(&site, &[]));
        site.zones.retain(|z| z.category != osmose_model::site::CELL);
        files.push(settings);
        let again = load(&files).site.unwrap();
        assert_same_plan(&site, &again);
        for (a, b) in site.zones.iter().zip(&again.zones) {
            assert_eq!((&a.attributes, a.margins), (&b.attributes, b.margins), "{name}: {}", a.name);
        }
    }
}

const HOUSE: &str = "\
gps: { latitude: 52.2, longitude: 0.12 }
floors:
  - id: ground
    name: Ground floor
    bounds: [[0, 0, 0], [9, 6, 2.4]]
    rooms:
      - name: Living Room
        points: [[0, 0], [5, 0], [5, 6], [0, 6]]
      - name: Kitchen
        category: kitchen
        points:
          - [5, 0]
          - [9, 0]
          - [9, 6]
          - [5, 6]
    doors:
      - [[5, 2], [5, 3]]
      - { points: [[1, 0], [2, 0]], joins: [living-room, outside] }
nodes:
  - { name: hub, point: [1, 1, 1] }
";

#[test]
fn a_plan_in_yaml_becomes_one_that_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("house.yaml");
    std::fs::write(&path, HOUSE).unwrap();
    let handed = hand_over(&path).unwrap();
    assert_eq!(handed.left_out.len(), 2, "{:?}", handed.left_out);
    let loaded = load(&handed.files);
    let (site, again) = there_and_back(&loaded, "house");
    let found = find(again.site.as_ref().unwrap(), &again.places);
    assert!(found.is_empty(), "{found:#?}");
    insta::assert_snapshot!(write(&site, &[]));
}

#[test]
fn what_is_wrong_in_yaml_is_said_with_its_line() {
    let said = |text: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        std::fs::write(&path, text).unwrap();
        let fault = hand_over(&path).unwrap_err();
        format!("{:?} {}", fault.line, fault.message)
    };
    assert_eq!(said("floors:\n  - rooms:\n      - name: x\n"), "Some(3) This room has no `points`.");
    assert_eq!(said("rooms:\n  - points: [[0, 0], [1, 'x'], [1, 1]]\n"), "Some(2) This corner is no pair of numbers.");
    assert_eq!(said("rooms:\n  - points: [[0, 0], [1, 0]]\n"), "Some(2) There are 2 corners; 3 are the least.");
    assert_eq!(said("hello: 1\n"), "Some(1) There is neither `floors` nor `rooms` in it.");
    assert!(said("").contains("empty"));
}

#[test]
fn a_drawing_in_millimetres_has_its_doors_found_behind_thick_walls() {
    // A wall of 240 mm between two rooms: what is behind it is not within a millimetre.
    let yaml = "rooms:\n  - { name: A, points: [[0, 0], [4000, 0], [4000, 3000], [0, 3000]] }\n  \
                - { name: B, points: [[4240, 0], [8000, 0], [8000, 3000], [4240, 3000]] }\ndoors:\n  - [[4120, 1000], [4120, 2000]]\n";
    let handed = osmose_survey::from_bytes("a.yaml", yaml.as_bytes().to_vec()).unwrap();
    let mut site = load(&handed.files).site.unwrap();
    assert!(site.openings[0].joins.iter().any(Option::is_none));
    let milli = osmose_survey::fit::Map { linear: [[0.001, 0.0], [0.0, 0.001]], shift_m: [0.0, 0.0] };
    osmose_survey::ground::move_plan(&mut site, &milli);
    let site = load(&geojson(write(&site, &[]))).site.unwrap();
    assert!(site.openings[0].joins.iter().all(Option::is_some), "{:?}", site.openings[0].joins);
}
