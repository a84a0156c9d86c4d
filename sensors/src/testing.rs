//! Sites made by hand, for tests: this crate does not know the loader.

use osmose_model::device::{
    Actuator, ActuatorKind, ClockKind, Connect, FieldPath, Format, JsonMap, Pose, Sensor, SensorKind, TimePath,
};
use osmose_model::ids::{CarriedKey, PersonId};
use osmose_model::site::{Level, Person, Site};

/// A site with levels `ground` and `upper`, the person `ana` with device `p17` and badge `04:A2`, and nothing else.
pub(crate) fn site() -> Site {
    let (p17, badge) = (CarriedKey::of("p17"), CarriedKey::of("04:A2"));
    let mut carried_names = vec![(p17, "p17".to_owned()), (badge, "04:A2".to_owned())];
    carried_names.sort();
    Site {
        levels: vec![Level::plain(0, "ground"), Level::plain(1, "upper")],
        people: vec![Person { devices: vec![p17], badges: vec![badge], ..Person::plain(0, "ana") }],
        device_owners: vec![(p17, PersonId(0))],
        badge_owners: vec![(badge, PersonId(0))],
        carried_names,
        ..Site::plain("test")
    }
}

/// Adds a sensor that speaks `format` on 127.0.0.1:`port`, and gives it to be changed.
pub(crate) fn add<'s>(site: &'s mut Site, name: &str, kind: SensorKind, port: u16, format: Format) -> &'s mut Sensor {
    let id = site.sensors.len() as u16;
    let connect = Connect { udp: Some(([127, 0, 0, 1], port).into()), format, ..Connect::log() };
    site.sensors.push(Sensor {
        pose: Pose { x_m: 10.0, y_m: 20.0, z_m: 2.0, heading_rad: std::f64::consts::FRAC_PI_2 },
        connect: Some(connect),
        ..Sensor::plain(id, name, kind)
    });
    site.sensors.last_mut().expect("just pushed")
}

/// Adds an actuator that reports on 127.0.0.1:`port`.
pub(crate) fn add_actuator(site: &mut Site, name: &str, kind: ActuatorKind, port: u16) {
    let id = site.actuators.len() as u16;
    let connect = Connect { state_udp: Some(([127, 0, 0, 1], port).into()), ..Connect::log() };
    site.actuators.push(Actuator { connect, ..Actuator::plain(id, name, kind) });
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
