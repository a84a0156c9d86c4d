//! The example sites load with no error, hold what their READMEs say, and the peer job is what its generator writes.

use osmose_load::{Severity, load_dir};
use osmose_model::geometry::Point;
use osmose_model::site::Site;
use std::path::{Path, PathBuf};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

/// The site, and the codes of its warnings.
fn load(name: &str) -> (Site, Vec<&'static str>) {
    let loaded = load_dir(&example(name));
    let errors: Vec<_> = loaded.faults.iter().filter(|f| f.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    (loaded.site.unwrap(), loaded.faults.iter().map(|f| f.code).collect())
}

#[test]
fn coworking() {
    let (site, warnings) = load("coworking");
    assert!(warnings.iter().all(|w| *w == "not-used-yet"), "{warnings:?}");
    println!(
        "coworking: {} levels, {} zones, {} walls, {} openings, {} sensors, {} actuators, {} people",
        site.levels.len(),
        site.zones.len(),
        site.walls.len(),
        site.openings.len(),
        site.sensors.len(),
        site.actuators.len(),
        site.people.len()
    );
    assert_eq!((site.levels.len(), site.zones.len(), site.walls.len(), site.openings.len()), (2, 90, 106, 29));
    assert_eq!((site.sensors.len(), site.actuators.len(), site.people.len()), (64, 84, 15));
    let m7 = &site.zones[site.zone_named("m7").unwrap().index()];
    assert_eq!((m7.margins.exit_margin_m, m7.label.as_str()), (0.1, "M7"));
    assert!(site.zone_is_a(m7.id, "room"));
    let stairs = &site.zones[site.zone_named("stairs").unwrap().index()];
    assert_eq!(stairs.connects.len(), 2);
    // IMDF's `restriction` needs no declaration, and a speaker's cell may have margins of its own.
    let zone = |name: &str| &site.zones[site.zone_named(name).unwrap().index()];
    assert!(zone("barista-zone").is_restricted() && !zone("cafe").is_restricted());
    let margins = |name: &str| (zone(name).margins.enter_margin_m, zone(name).margins.exit_margin_m);
    assert_eq!(margins("over-lobby-e1.lobby-e1"), (0.05, 0.2));
    assert_eq!(margins("beam-m7.m7-n1"), (site.margins.enter_margin_m, site.margins.exit_margin_m));
    let display = &site.actuators[site.actuator_named("m7.display").unwrap().index()];
    assert_eq!(site.walls[display.wall.unwrap().index()].name, "m7-wall");
    let door = site.openings.iter().find(|o| o.name == "door-m7").unwrap();
    assert_eq!(door.joins, [Some(m7.id), site.zone_named("corridor-2")]);
    assert!(site.group_named("visitors").is_some());
}

#[test]
fn the_peer_job_is_the_one_measured() {
    let (site, warnings) = load("peer-job");
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!((site.zones.len(), site.people.len(), site.actuators.len(), site.sensors.len()), (20, 200, 20, 1));
    for (r, zone) in site.zones.iter().enumerate() {
        let (x, y) = ((r % 5) as f64 * 10.0, (r / 5) as f64 * 8.0);
        let corners = [(x, y), (x + 8.0, y), (x + 8.0, y + 6.0), (x, y + 6.0)].map(|(x, y)| Point::new(x, y));
        assert_eq!((zone.name.as_str(), zone.area.parts[0].outer.as_slice()), (format!("r{r}").as_str(), &corners[..]));
        let recorder = &site.actuators[site.actuator_named(&format!("r{r}.recorder")).unwrap().index()];
        assert_eq!((recorder.zone, recorder.connect.udp), (Some(zone.id), Some("127.0.0.1:7802".parse().unwrap())));
    }
    let participants = site.group_named("participants").unwrap();
    for (k, person) in site.people.iter().enumerate() {
        assert_eq!(person.name, format!("p{k}"));
        assert_eq!(person.groups.contains(&participants), k % 10 != 0);
        let key = osmose_model::ids::CarriedKey::of(&person.name);
        assert_eq!(site.owner_of_device(key), Some(person.id));
    }
}

/// The committed files are the generator's; where there is no Python, the test says so and ends.
#[test]
fn the_peer_job_is_what_its_generator_writes() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("generate.py");
    std::fs::copy(example("peer-job").join("generate.py"), &script).unwrap();
    match std::process::Command::new("python3").arg(&script).status() {
        Err(e) => {
            println!("skipped: python3 does not run here ({e})");
            return;
        }
        Ok(status) => assert!(status.success()),
    }
    let files = osmose_load::read_dir(dir.path()).unwrap();
    assert_eq!(files, osmose_load::read_dir(&example("peer-job")).unwrap());
    assert_eq!(files.len(), 5);
}
