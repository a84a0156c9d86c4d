//! Sites made by hand, for tests: this crate does not know the loader.

use osmose_model::device::{Actuator, ActuatorKind, ClockKind, Connect, FieldPath, Format, JsonMap, Noise, Normalise};
use osmose_model::device::{Pose, Sensor, SensorKind, TimePath};
use osmose_model::geometry::Area;
use osmose_model::ids::{ActuatorId, CarriedKey, LevelId, PersonId, SensorId};
use osmose_model::input::Class;
use osmose_model::site::{EngineConfig, Frame, Idle, Level, Person, RecordConfig, Site, Topology, ZoneMargins};
use osmose_model::time::DurationNs;
use std::collections::BTreeMap;

/// A site with levels `ground` and `upper`, the person `ana` with device `p17` and badge `04:A2`, and nothing else.
pub(crate) fn site() -> Site {
    let level = |i: u16, name: &str| Level {
        id: LevelId(i),
        name: name.into(),
        label: name.into(),
        ordinal: i32::from(i),
        elevation_m: 3.0 * f64::from(i),
        height_m: 3.0,
        outline: Area::default(),
    };
    let (p17, badge) = (CarriedKey::of("p17"), CarriedKey::of("04:A2"));
    let mut carried_names = vec![(p17, "p17".to_owned()), (badge, "04:A2".to_owned())];
    carried_names.sort();
    let ana = Person {
        id: PersonId(0),
        name: "ana".into(),
        groups: vec![],
        devices: vec![p17],
        badges: vec![badge],
        language: None,
        attributes: BTreeMap::new(),
    };
    Site {
        name: "test".into(),
        frame: Frame::default(),
        engine: EngineConfig {
            topology: Topology::Inline,
            idle: Idle::Yield,
            budget_us: 1000,
            tracks_max: 100,
            late_max: DurationNs::from_ms(500),
        },
        margins: ZoneMargins {
            enter_margin_m: 0.0,
            exit_margin_m: 0.2,
            exit_delay: DurationNs::ZERO,
            lost: DurationNs::from_s(2),
        },
        record: RecordConfig { dir: "traces".into(), rotate: DurationNs::from_s(3600), keep_days: 1, max_gib: 1.0 },
        levels: vec![level(0, "ground"), level(1, "upper")],
        zones: vec![],
        walls: vec![],
        openings: vec![],
        fixtures: vec![],
        sensors: vec![],
        actuators: vec![],
        people: vec![ana],
        groups: vec![],
        attributes: BTreeMap::new(),
        words: BTreeMap::new(),
        resources: vec![],
        bookings: vec![],
        files: vec![],
        device_owners: vec![(p17, PersonId(0))],
        badge_owners: vec![(badge, PersonId(0))],
        carried_names,
    }
}

/// Adds a sensor that speaks `format` on 127.0.0.1:`port`, and gives it to be changed.
pub(crate) fn add<'s>(site: &'s mut Site, name: &str, kind: SensorKind, port: u16, format: Format) -> &'s mut Sensor {
    let id = SensorId(site.sensors.len() as u16);
    let connect = Connect {
        udp: Some(([127, 0, 0, 1], port).into()),
        format,
        from: None,
        state_udp: None,
        normalise: Normalise::default(),
        key_file: None,
    };
    site.sensors.push(Sensor {
        id,
        name: name.into(),
        kind,
        role: None,
        level: LevelId(0),
        zones: vec![],
        pose: Pose { x_m: 10.0, y_m: 20.0, z_m: 2.0, heading_rad: std::f64::consts::FRAC_PI_2 },
        coordinates_are_relative: false,
        field_of_view: None,
        noise: Noise::default(),
        class: Class::State,
        rate_hz: None,
        clock: ClockKind::Arrival,
        radio_map: Default::default(),
        expect_late: DurationNs::ZERO,
        unit: None,
        stale: None,
        connect: Some(connect),
    });
    site.sensors.last_mut().expect("just pushed")
}

/// Adds an actuator that reports on 127.0.0.1:`port`.
pub(crate) fn add_actuator(site: &mut Site, name: &str, kind: ActuatorKind, port: u16) {
    let id = ActuatorId(site.actuators.len() as u16);
    let connect = Connect {
        udp: None,
        format: Format::Log,
        from: None,
        state_udp: Some(([127, 0, 0, 1], port).into()),
        normalise: Normalise::default(),
        key_file: None,
    };
    site.actuators.push(Actuator {
        id,
        name: name.into(),
        kind,
        zone: None,
        level: None,
        pose: None,
        default: None,
        safe: None,
        lease: None,
        cells: vec![],
        wall: None,
        connect,
    });
}

/// A map of fields to pointers.
pub(crate) fn map(fields: &[(&str, &str)]) -> JsonMap {
    let path = |p: &str| FieldPath { path: p.to_owned(), scale: 1.0, offset: 0.0 };
    let mut fields: Vec<_> = fields.iter().map(|(f, p)| ((*f).to_owned(), path(p))).collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    JsonMap { fields, ..JsonMap::default() }
}

/// A time in a body.
pub(crate) fn time(pointer: &str, unit_pow10: i32, clock: ClockKind) -> Option<TimePath> {
    Some(TimePath { path: pointer.to_owned(), unit_pow10, clock })
}

/// As a format.
pub(crate) fn json(map: JsonMap) -> Format {
    Format::Json(Box::new(map))
}
