//! The simulated building against what it promises: same bytes, honest errors, and nobody in a wall.

mod building;
mod people;
mod plans;
mod sensing;

use super::*;
use osmose_model::canon;
use osmose_model::digest::Digest;
use osmose_model::ids::SensorId;
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::Body;
use osmose_model::site::SourceFile;
use std::path::PathBuf;

/// A folder beside the crate's.
fn beside(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

/// The co-working building, and the script of its morning.
fn coworking() -> (Site, Scenario) {
    let dir = beside("examples/coworking");
    let script = std::fs::read_to_string(dir.join("morning.toml")).expect("examples/coworking/morning.toml");
    let loaded = osmose_load::load_dir(&dir);
    (loaded.site.expect("examples/coworking loads"), Scenario::Morning { script })
}

/// Two rooms of 6 x 6 m side by side, a door between them, and a glass wall to a third; sensors as given.
fn rooms(devices: &str) -> Site {
    const PLAN: &str = r#"{ "type": "FeatureCollection", "name": "rooms", "frame": "local", "features": [
        { "type": "Feature", "id": "ground", "feature_type": "level", "properties": { "category": "unspecified", "ordinal": 0, "height_m": 3.0 },
          "geometry": { "type": "Polygon", "coordinates": [[[0, 0], [18, 0], [18, 6], [0, 6], [0, 0]]] } },
        { "type": "Feature", "id": "a", "feature_type": "unit", "properties": { "category": "room", "level": "ground" },
          "geometry": { "type": "Polygon", "coordinates": [[[0, 0], [6, 0], [6, 6], [0, 6], [0, 0]]] } },
        { "type": "Feature", "id": "b", "feature_type": "unit", "properties": { "category": "room", "level": "ground" },
          "geometry": { "type": "Polygon", "coordinates": [[[6, 0], [12, 0], [12, 6], [6, 6], [6, 0]]] } },
        { "type": "Feature", "id": "c", "feature_type": "unit", "properties": { "category": "room", "level": "ground" },
          "geometry": { "type": "Polygon", "coordinates": [[[12, 0], [18, 0], [18, 6], [12, 6], [12, 0]]] } },
        { "type": "Feature", "id": "wall-ab-1", "feature_type": "fixture", "properties": { "category": "wall", "level": "ground" },
          "geometry": { "type": "LineString", "coordinates": [[6, 0], [6, 2.5]] } },
        { "type": "Feature", "id": "wall-ab-2", "feature_type": "fixture", "properties": { "category": "wall", "level": "ground" },
          "geometry": { "type": "LineString", "coordinates": [[6, 3.5], [6, 6]] } },
        { "type": "Feature", "id": "wall-bc", "feature_type": "fixture", "properties": { "category": "wall", "level": "ground", "material": "glass" },
          "geometry": { "type": "LineString", "coordinates": [[12, 0], [12, 6]] } },
        { "type": "Feature", "id": "door", "feature_type": "opening", "properties": { "category": "pedestrian", "level": "ground", "joins": ["a", "b"] },
          "geometry": { "type": "LineString", "coordinates": [[6, 2.5], [6, 3.5]] } }
    ] }"#;
    const PEOPLE: &str = "[[person]]\nid = \"ana\"\nbadges = [\"04A2\"]\ndevices = [\"p17\"]\n[[person]]\nid = \"bo\"\nbadges = [\"04A3\"]\n";
    let file = |path: &str, text: &str| SourceFile { path: path.into(), text: text.into() };
    let files = [
        file("devices.toml", devices),
        file("floorplan.geojson", PLAN),
        file("people.toml", PEOPLE),
        file("site.toml", "name = \"rooms\"\n"),
    ];
    let loaded = osmose_load::load(&files);
    let faults: Vec<String> = loaded.faults.iter().map(ToString::to_string).collect();
    loaded.site.unwrap_or_else(|| panic!("{}", faults.join("\n")))
}

fn morning(script: &str) -> Scenario {
    Scenario::Morning { script: script.into() }
}

fn seconds(s: f64) -> ArrivalNs {
    ArrivalNs((s * 1e9) as i64)
}

/// One thing that came out, in canonical bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Heard {
    arrival: ArrivalNs,
    source: u64,
    class: Class,
    bytes: Vec<u8>,
}

/// Everything that comes out by `until`, `slice` by slice.
fn hear(sim: &mut Sim, until: ArrivalNs, slice: DurationNs) -> Vec<Heard> {
    let (mut heard, mut room, mut at) = (Vec::new(), vec![0u8; INPUT_BYTES_MAX], ArrivalNs(0));
    while at < until {
        at = at.plus(slice).min(until);
        sim.advance(at, &mut |arrival, source, class, input| {
            let n = canon::encode_input(&input, &mut room).expect("within the limits");
            heard.push(Heard { arrival, source, class, bytes: room[..n].to_vec() });
        });
    }
    heard
}

fn digest(heard: &[Heard]) -> Digest {
    let mut digest = Digest::default();
    for h in heard {
        digest.absorb(&h.arrival.0.to_le_bytes());
        digest.absorb(&h.source.to_le_bytes());
        digest.absorb(&h.bytes);
    }
    digest
}

/// Calls `f` with every observation by `until`: when it arrived, from which sensor, measured when, and its body.
fn observe(sim: &mut Sim, until: ArrivalNs, mut f: impl FnMut(ArrivalNs, SensorId, ArrivalNs, Body<'_>)) {
    sim.advance(until, &mut |arrival, _, _, input| {
        if let Input::Observation(o) = input {
            f(arrival, o.sensor, ArrivalNs(o.measured.0), o.body);
        }
    });
}
