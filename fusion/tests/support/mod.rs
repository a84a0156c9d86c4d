//! Sites to test with: rooms in rows, sensors of every kind, people with devices and badges. Built by hand, since the
//! loader is another crate's.
#![allow(dead_code, unreachable_pub)] // Each test file uses its own part of it.

pub mod dice;
pub mod run;

use osmose_model::device::{BinaryRole, Pose, Sensor, SensorKind};
use osmose_model::geometry::{Area, Place, Point, Polygon, Segment};
use osmose_model::ids::{CarriedKey, LevelId, PersonId, SensorId, Seq, WallId, ZoneId};
use osmose_model::input::Tag;
use osmose_model::observation::{Body, Observation};
use osmose_model::site::{EngineConfig, Level, Person, Site, Wall, Zone, ZoneMargins};
use osmose_model::time::LogicalNs;

/// Margins as site.toml has them by default.
pub fn default_margins() -> ZoneMargins {
    ZoneMargins::default()
}

/// No margin, no delay.
pub fn no_margins() -> ZoneMargins {
    ZoneMargins { exit_margin_m: 0.0, ..ZoneMargins::default() }
}

/// A rectangle as an area.
pub fn rectangle(x0: f64, y0: f64, x1: f64, y1: f64) -> Area {
    let p = Point::new;
    Area { parts: vec![Polygon::simple(vec![p(x0, y0), p(x1, y0), p(x1, y1), p(x0, y1)])] }
}

/// A site of `levels` empty levels of 100 m x 100 m, for at most `tracks_max` tracks.
pub fn site(levels: u16, tracks_max: u32, margins: ZoneMargins) -> Site {
    let outline = rectangle(0.0, 0.0, 100.0, 100.0);
    let level = |i| Level { height_m: 2.8, outline: outline.clone(), ..Level::plain(i, &format!("level-{i}")) };
    Site {
        engine: EngineConfig { tracks_max, ..EngineConfig::default() },
        margins,
        levels: (0..levels).map(level).collect(),
        ..Site::plain("test")
    }
}

/// Adds a zone with the site's margins.
pub fn add_zone(site: &mut Site, name: &str, level: u16, area: Area) -> ZoneId {
    let id = ZoneId(site.zones.len() as u16);
    let margins = site.margins;
    site.zones.push(Zone { level: LevelId(level), margins, ..Zone::plain(id.0, name, area) });
    id
}

/// Adds a wall.
pub fn add_wall(site: &mut Site, level: u16, a: (f64, f64), b: (f64, f64), transparent: bool) {
    let id = WallId(site.walls.len() as u16);
    let segments = vec![Segment { a: Point::new(a.0, a.1), b: Point::new(b.0, b.1) }];
    site.walls.push(Wall {
        id,
        name: format!("wall-{id}"),
        level: LevelId(level),
        segments,
        transparent,
        material: String::new(),
    });
}

/// Adds a sensor on a level.
pub fn add_sensor(site: &mut Site, kind: SensorKind, level: u16, zones: &[ZoneId], rate_hz: Option<f64>) -> SensorId {
    let id = SensorId(site.sensors.len() as u16);
    site.sensors.push(Sensor {
        role: (kind == SensorKind::Binary).then_some(BinaryRole::Motion),
        level: LevelId(level),
        zones: zones.to_vec(),
        pose: Pose { x_m: 0.0, y_m: 0.0, z_m: 1.2, heading_rad: 0.0 },
        rate_hz,
        ..Sensor::plain(id.0, &format!("{kind}-{id}"), kind)
    });
    id
}

/// Adds a person with a device and a badge, named after them.
pub fn add_person(site: &mut Site, name: &str) -> PersonId {
    let id = PersonId(site.people.len() as u16);
    let (device, badge) = (CarriedKey::of(&format!("{name}-tag")), CarriedKey::of(&format!("{name}-badge")));
    site.people.push(Person { devices: vec![device], badges: vec![badge], ..Person::plain(id.0, name) });
    site.device_owners.push((device, id));
    site.device_owners.sort_unstable();
    site.badge_owners.push((badge, id));
    site.badge_owners.sort_unstable();
    id
}

/// `n` rooms of 8 m x 6 m with 2 m corridors, four in a row, a location sensor (id 0) and a position sensor (id 1).
pub fn rooms(n: usize, tracks_max: u32, margins: ZoneMargins) -> Site {
    let mut site = site(1, tracks_max, margins);
    for i in 0..n {
        let (x, y) = (10.0 * (i % 4) as f64, 8.0 * (i / 4) as f64);
        add_zone(&mut site, &format!("room-{i}"), 0, rectangle(x, y, x + 8.0, y + 6.0));
    }
    add_sensor(&mut site, SensorKind::Location, 0, &[], None);
    add_sensor(&mut site, SensorKind::Position, 0, &[], Some(10.0));
    site
}

/// A tag at an instant.
pub fn tag(ns: i64, seq: u64) -> Tag {
    Tag { at: LogicalNs(ns), seq: Seq(seq) }
}

/// A fix on level 0.
pub fn fix(device: CarriedKey, x_m: f64, y_m: f64, ns: i64) -> Observation<'static> {
    said(SensorId(0), ns, Body::Location { device, place: Place::flat(LevelId(0), x_m, y_m), sigma_m: None })
}

/// What a sensor says.
pub fn said(sensor: SensorId, ns: i64, body: Body<'_>) -> Observation<'_> {
    Observation { sensor, source_seq: None, measured: LogicalNs(ns), body }
}
