//! `devices.toml`: sensors and actuators, looked up in the plan and completed with their kinds' defaults.
//!
//! | file | what it reads |
//! |---|---|
//! | `sensor` | `[[sensor]]` |
//! | `noise` | the keys of `noise` by kind |
//! | `radio_map` | the survey of a receiver |
//! | `connect` | `connect`, JSON maps, addresses |
//! | `actuator` | `[[actuator]]` |
//! | `ports` | what devices on one port must agree on |

mod actuator;
mod connect;
mod noise;
mod ports;
mod radio_map;
mod sensor;

use crate::doc::{Doc, Fields, Range};
use crate::fault::{Faults, Places, Spot};
use crate::plan::{Plan, shape};
use crate::text::{Source, propose, shown};
use osmose_model::device::{Actuator, ActuatorKind, Pose, Sensor, SensorKind};
use osmose_model::geometry::{Point, Polygon, RAD_PER_DEG};
use osmose_model::ids::{LevelId, ZoneId};
use osmose_model::site::SourceFile;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// How far outside its level a device may stand, metres: on the outer face of a wall.
const OUTSIDE_MAX_M: f64 = 0.5;

/// Sensors and actuators, in file order.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    pub(crate) sensors: Vec<Sensor>,
    pub(crate) actuators: Vec<Actuator>,
    /// Where each sensor was written.
    sensor_spots: Vec<Spot>,
    actuator_spots: Vec<Spot>,
}

impl Devices {
    /// Adds where each device was written.
    pub(crate) fn note_places(&self, places: &mut Places) {
        let sensors = self.sensors.iter().map(|s| ("sensor", &s.name)).zip(&self.sensor_spots);
        let actuators = self.actuators.iter().map(|a| ("actuator", &a.name)).zip(&self.actuator_spots);
        places.0.extend(sensors.chain(actuators).map(|((sort, name), spot)| ((sort, name.clone()), spot.clone())));
    }
}

/// What devices are looked up in.
struct Reader<'p, 'a> {
    plan: &'p Plan,
    files: &'p [SourceFile],
    zones: BTreeMap<&'p str, ZoneId>,
    defaults: Option<&'a DeTable<'a>>,
    /// Ids in use, and where.
    ids: BTreeMap<String, Spot>,
}

/// Reads devices.toml against the plan; sensor kinds not in `fusion_uses` are warned of.
pub(crate) fn read(
    source: &Source<'_>,
    plan: &Plan,
    files: &[SourceFile],
    fusion_uses: &[SensorKind],
    faults: &mut Faults,
) -> Devices {
    let doc = Doc::parse(source, faults);
    let mut root = doc.fields();
    let defaults = root.raw_table("defaults");
    let mut sensors = root.tables(faults, "sensor");
    let mut actuators = root.tables(faults, "actuator");
    if root.has_own("defaults") && defaults.is_none() {
        faults.error(
            "wrong-type",
            &root.spot(),
            "defaults",
            "`defaults` is no table.",
            "Write `[defaults.position]`, one for each kind.",
        );
    }
    root.finish(faults, &[]);
    for list in [&mut sensors, &mut actuators] {
        if list.len() > usize::from(u16::MAX) {
            let message = format!("There are {} devices of one sort; {} are the most.", list.len(), u16::MAX);
            faults.error("too-many-devices", &Spot::file(source.path), "", message, "Split the site.");
            list.truncate(usize::from(u16::MAX));
        }
    }
    let zones = plan.zones.iter().map(|z| (z.name.as_str(), z.id)).collect();
    let mut reader = Reader { plan, files, zones, defaults, ids: BTreeMap::new() };
    check_defaults(source, defaults, faults);
    let mut out = Devices::default();
    for t in sensors {
        let spot = t.spot();
        if let Some(sensor) = reader.sensor(t, out.sensors.len(), faults) {
            out.sensors.push(sensor);
            out.sensor_spots.push(spot);
        }
    }
    for t in actuators {
        let spot = t.spot();
        if let Some(actuator) = reader.actuator(t, out.actuators.len(), faults) {
            out.actuators.push(actuator);
            out.actuator_spots.push(spot);
        }
    }
    ports::check(&out, faults);
    warn_of_unused_kinds(&out, fusion_uses, faults);
    out
}

/// `[defaults.KIND]`: known kinds, and keys that the kind's devices have.
fn check_defaults(source: &Source<'_>, defaults: Option<&DeTable<'_>>, faults: &mut Faults) {
    let kinds = || SensorKind::ALL.iter().map(|k| k.as_str()).chain(ActuatorKind::ALL.iter().map(|k| k.as_str()));
    for (key, value) in defaults.into_iter().flatten() {
        let kind = key.get_ref().as_ref();
        let spot = source.spot(if key.span().is_empty() { value.span().start } else { key.span().start });
        let (keys, noise): (&[&str], &[&str]) = match (SensorKind::from_word(kind), ActuatorKind::from_word(kind)) {
            (Some(k), _) => (sensor::KEYS, noise::keys(k)),
            (None, Some(_)) => (actuator::KEYS, &[]),
            (None, None) => {
                let message = format!("`[defaults.{}]` is of a kind that there is not.", shown(kind));
                faults.error(
                    "unknown-kind",
                    &spot,
                    kind,
                    message,
                    propose(kind, kinds().collect::<Vec<_>>(), "Name a kind of sensor or actuator."),
                );
                continue;
            }
        };
        let DeValue::Table(table) = value.get_ref() else {
            let message = format!("`defaults.{kind}` is no table.");
            faults.error("wrong-type", &spot, kind, message, format!("Write `[defaults.{kind}]` and keys below it."));
            continue;
        };
        let mut unknown = |table: &DeTable<'_>, keys: &[&str], of: &str| {
            for (key, value) in table {
                let name = key.get_ref().as_ref();
                if !keys.contains(&name) {
                    let at = if key.span().is_empty() { value.span().start } else { key.span().start };
                    let message = format!("`[defaults.{kind}]` has a key `{}`{of}, which nothing reads.", shown(name));
                    faults.error(
                        "unknown-key",
                        &source.spot(at),
                        kind,
                        message,
                        propose(name, keys.iter().copied(), "Take it out."),
                    );
                }
            }
        };
        unknown(table, keys, "");
        if let Some(DeValue::Table(t)) = table.get("noise").map(|v| v.get_ref()) {
            unknown(t, noise, " in `noise`");
        }
    }
}

/// One warning for each kind that is decoded and recorded, but moves no track yet.
fn warn_of_unused_kinds(devices: &Devices, fusion_uses: &[SensorKind], faults: &mut Faults) {
    for kind in SensorKind::ALL.iter().filter(|k| !fusion_uses.contains(k)) {
        let of_kind: Vec<usize> = (0..devices.sensors.len()).filter(|&i| devices.sensors[i].kind == *kind).collect();
        let Some(&first) = of_kind.first() else { continue };
        let names: Vec<String> = of_kind.iter().take(5).map(|&i| format!("`{}`", devices.sensors[i].name)).collect();
        let more = if of_kind.len() > names.len() { ", …" } else { "" };
        let message = format!(
            "Fusion does not use `{kind}` yet: {}{more} {} decoded and recorded, and {} no track.",
            names.join(", "),
            if of_kind.len() == 1 { "is" } else { "are" },
            if of_kind.len() == 1 { "changes" } else { "change" },
        );
        let sensor = &devices.sensors[first].name;
        faults.warning(
            "not-used-yet",
            &devices.sensor_spots[first],
            sensor,
            message,
            "Do not let a rule depend on it alone.",
        );
    }
}

impl<'p, 'a> Reader<'p, 'a> {
    /// Reads `id` and takes it.
    fn id(&mut self, t: &mut Fields<'a>, sort: &str, faults: &mut Faults) -> Option<&'a str> {
        let (id, spot) = t.required(faults, "id")?;
        t.call(sort, id);
        if let Some(first) = self.ids.insert(id.to_owned(), spot.clone()) {
            let message = format!("Two devices have the id `{}`; the other is at {first}.", shown(id));
            faults.error("duplicate-id", &spot, id, message, "Give one of them another id.");
        }
        Some(id)
    }

    /// The kind's own defaults.
    fn defaults_of(&self, kind: &str) -> Option<&'a DeTable<'a>> {
        match self.defaults?.get(kind)?.get_ref() {
            DeValue::Table(t) => Some(t),
            _ => None,
        }
    }

    fn find_zone(&self, t: &Fields<'_>, name: &str, spot: &Spot, faults: &mut Faults) -> Option<ZoneId> {
        let found = self.zones.get(name).copied();
        // Where the plan could not be read, every zone would be unknown: one fault is enough.
        if found.is_none() && !self.zones.is_empty() && !self.plan.refused_zones.contains(name) {
            let message = format!("The {} names the zone `{}`, which the plan does not have.", t.what(), shown(name));
            faults.error(
                "unknown-zone",
                spot,
                t.name(),
                message,
                propose(name, self.zones.keys().copied(), "Name a unit or geofence of the plan."),
            );
        }
        found
    }

    /// `level`, else the level of the zones, else the only one; 0 (and a fault) where none can be told.
    fn level(&self, t: &mut Fields<'_>, zones: &[ZoneId], faults: &mut Faults) -> LevelId {
        let said = t.string(faults, "level");
        let of_zones = zones.first().map(|z| self.plan.zones[z.index()].level);
        let levels = &self.plan.levels;
        if levels.is_empty() {
            return LevelId(0);
        }
        let names = || levels.iter().map(|l| l.name.as_str()).collect::<Vec<_>>();
        match said {
            Some((name, spot)) => match levels.iter().find(|l| l.name == name).map(|l| l.id) {
                Some(level) => {
                    if let Some(zone) = zones.iter().map(|z| &self.plan.zones[z.index()]).find(|z| z.level != level) {
                        let message = format!(
                            "The {} is on level `{name}`, but its zone `{}` is on `{}`.",
                            t.what(),
                            zone.name,
                            levels[zone.level.index()].name
                        );
                        faults.error(
                            "level-differs",
                            &spot,
                            t.name(),
                            message,
                            "Correct the level, or name a zone of that level.",
                        );
                    }
                    level
                }
                None => {
                    let message =
                        format!("The {} is on level `{}`, which the plan does not have.", t.what(), shown(name));
                    faults.error(
                        "unknown-level",
                        &spot,
                        t.name(),
                        message,
                        propose(name, names(), "Name a level of the plan."),
                    );
                    LevelId(0)
                }
            },
            None if of_zones.is_some() || levels.len() == 1 => of_zones.unwrap_or_default(),
            None => {
                let message =
                    format!("The {} is on no level: it names none, and the plan has {}.", t.what(), levels.len());
                let help = propose("", names(), "Add `level = \"…\"`.");
                faults.error("missing-key", &t.spot(), t.name(), message, help);
                LevelId(0)
            }
        }
    }

    /// `pose`, checked against the building.
    fn pose(&self, t: &mut Fields<'_>, level: LevelId, faults: &mut Faults) -> Option<Pose> {
        let mut p = t.table(faults, "pose")?;
        let spot = p.spot();
        let x_m = p.number(faults, "x_m", Range::Any);
        let y_m = p.number(faults, "y_m", Range::Any);
        let z_m = p.number(faults, "z_m", Range::Within(-100.0, 1000.0)).unwrap_or(0.0);
        let heading = p.number(faults, "heading_deg", Range::Within(-360.0, 360.0)).unwrap_or(0.0);
        let missing = p.get("x_m").is_none() || p.get("y_m").is_none();
        p.finish(faults, &[]);
        if missing {
            let message = format!("The pose of {} has no `x_m` or no `y_m`.", t.what());
            faults.error(
                "missing-key",
                &spot,
                t.name(),
                message,
                "Write `pose = { x_m = …, y_m = …, z_m = …, heading_deg = … }`.",
            );
        }
        let pose = Pose { x_m: x_m?, y_m: y_m?, z_m, heading_rad: heading * RAD_PER_DEG };
        self.check_place(t, Point::new(pose.x_m, pose.y_m), level, &spot, faults);
        Some(pose)
    }

    fn check_place(&self, t: &Fields<'_>, at: Point, level: LevelId, spot: &Spot, faults: &mut Faults) {
        if self.plan.levels.is_empty() {
            return;
        }
        let outside_m = self.plan.outside_m(level, at);
        if outside_m <= OUTSIDE_MAX_M {
            return;
        }
        // Longitude and latitude in either order, next to the site's own, are degrees.
        let is_near = |a: f64, b: f64| (a - b).abs() < 0.05;
        let as_degrees = self.plan.origin_deg.is_some_and(|(lat, lon)| {
            is_near(at.x_m, lon) && is_near(at.y_m, lat) || is_near(at.x_m, lat) && is_near(at.y_m, lon)
        });
        if as_degrees {
            let message =
                format!("The {} stands at ({}, {}): these are degrees where metres belong.", t.what(), at.x_m, at.y_m);
            faults.error(
                "degrees-as-metres",
                spot,
                t.name(),
                message,
                "Give its place in metres east and north of the site's origin.",
            );
            return;
        }
        let level = &self.plan.levels[level.index()].name;
        let message = format!(
            "The {} stands at {}, {outside_m:.1} m outside the building on level `{level}`.",
            t.what(),
            shape::place(at)
        );
        let help = if self.plan.is_geographic {
            "Correct its pose or its level; the plan is in degrees, but devices are in metres east and north of the site's origin."
        } else {
            "Correct its pose or its level."
        };
        faults.error("outside-building", spot, t.name(), message, help);
    }

    /// A list of corners as a polygon.
    fn polygon(
        &self,
        t: &Fields<'_>,
        what: &str,
        corners: Vec<[f64; 2]>,
        spot: &Spot,
        faults: &mut Faults,
    ) -> Option<Polygon> {
        let ring: Vec<Point> = corners.iter().map(|&[x, y]| Point::new(x, y)).collect();
        let near = ring.first().copied().unwrap_or_default();
        match shape::area(vec![vec![ring]]) {
            Ok(drawn) => drawn.area.parts.into_iter().next(),
            Err(why) => {
                why.report(what, near, spot, t.name(), faults);
                None
            }
        }
    }
}
