//! `[[sensor]]`.

use super::{Reader, connect, noise, radio_map};
use crate::doc::{Fields, Range};
use crate::fault::{Faults, Spot};
use crate::plan::shape;
use crate::text::{propose, shown};
use osmose_model::device::{BinaryRole, ClockKind, Pose, Sensor, SensorKind, Unit};
use osmose_model::geometry::{Aabb, Point, Polygon};
use osmose_model::ids::{LevelId, SensorId, ZoneId};
use osmose_model::input::Class;
use osmose_model::time::DurationNs;

/// Every key of a sensor.
pub(super) const KEYS: &[&str] = &[
    "id",
    "kind",
    "level",
    "zones",
    "pose",
    "coordinates",
    "field_of_view",
    "noise",
    "class",
    "rate_hz",
    "clock",
    "connect",
    "role",
    "unit",
    "stale_s",
    "expect_late_ms",
];

const CLASSES: &[(&str, Class)] =
    &[("safety", Class::Safety), ("edge", Class::Edge), ("state", Class::State), ("bulk", Class::Bulk)];
const CLOCKS: &[(&str, ClockKind)] =
    &[("arrival", ClockKind::Arrival), ("device", ClockKind::Device), ("utc", ClockKind::Utc)];

/// Whether what the kind says can only be placed with the sensor's own place.
const fn needs_pose(kind: SensorKind) -> bool {
    matches!(kind, SensorKind::Range | SensorKind::Tdoa | SensorKind::Rssi | SensorKind::Bearing)
}

/// How urgent a kind is where nothing is said.
const fn usual_class(kind: SensorKind, role: Option<BinaryRole>) -> Class {
    use SensorKind as K;
    match (kind, role) {
        (K::Binary, Some(BinaryRole::Fire | BinaryRole::Estop)) => Class::Safety,
        (K::Binary | K::Badge | K::Crossing | K::Button | K::Gesture, _) => Class::Edge,
        (K::Points, _) => Class::Bulk,
        _ => Class::State,
    }
}

impl<'a> Reader<'_, 'a> {
    pub(super) fn sensor(&mut self, mut t: Fields<'a>, n: usize, faults: &mut Faults) -> Option<Sensor> {
        let name = self.id(&mut t, "sensor", faults);
        let kind = kind_of(&mut t, faults);
        let (name, kind) = (name?, kind?);
        t.over(self.defaults_of(kind.as_str()));

        let said_zones = t.strings(faults, "zones");
        let zones: Vec<ZoneId> =
            said_zones.iter().filter_map(|(z, spot)| self.find_zone(&t, z, spot, faults)).collect();
        let level = self.level(&mut t, &zones, faults);
        let pose = self.pose(&mut t, level, faults);
        let relative = t.word(faults, "coordinates", &[("site", false), ("sensor", true)]).unwrap_or(false);
        if pose.is_none() && !t.has_own("pose") && (relative || needs_pose(kind)) {
            let why =
                if relative { "its coordinates are its own".to_owned() } else { format!("it is a `{kind}` sensor") };
            let message = format!("The {} has no `pose`, but {why}.", t.what());
            faults.error(
                "missing-key",
                &t.spot(),
                name,
                message,
                "Add `pose = { x_m = …, y_m = …, z_m = …, heading_deg = … }`.",
            );
        }
        let field_of_view = self.field_of_view(&mut t, level, faults);
        let role = self.role(&mut t, kind, faults);
        let unit = unit_of(&mut t, kind, faults);
        let class = t.word(faults, "class", CLASSES).unwrap_or_else(|| usual_class(kind, role));
        if matches!(role, Some(BinaryRole::Fire | BinaryRole::Estop)) && class != Class::Safety {
            let message =
                format!("The {} is for safety, but its class is not: under overload it would wait.", t.what());
            faults.warning("not-safety", &t.spot(), name, message, "Write `class = \"safety\"`.");
        }
        let (noise, radio_map) = noise::read(&mut t, kind, faults);
        let radio_map = radio_map.map(|(path, spot)| radio_map::read(&t, (path, &spot), self.files, faults));
        let rate_hz = t.number(faults, "rate_hz", Range::Within(1e-6, 1e6));
        let clock = t.word(faults, "clock", CLOCKS).unwrap_or(ClockKind::Arrival);
        let expect_late = t.number(faults, "expect_late_ms", Range::Within(0.0, 60_000.0));
        let stale = t.number(faults, "stale_s", Range::Positive).and_then(DurationNs::from_s_f64);
        let connect = connect::sensor(&mut t, kind, clock, faults);
        t.finish(faults, &[]);
        Some(Sensor {
            id: SensorId(n as u16),
            name: name.to_owned(),
            kind,
            role,
            level,
            pose: pose.unwrap_or_else(|| self.usual_pose(level, &zones, field_of_view.as_ref())),
            zones,
            coordinates_are_relative: relative,
            field_of_view,
            noise,
            radio_map: radio_map.unwrap_or_default(),
            class,
            rate_hz,
            clock,
            expect_late: expect_late.and_then(|ms| DurationNs::from_s_f64(ms / 1e3)).unwrap_or(DurationNs::ZERO),
            unit,
            stale,
            connect,
        })
    }

    fn role(&self, t: &mut Fields<'_>, kind: SensorKind, faults: &mut Faults) -> Option<BinaryRole> {
        let words: Vec<(&'static str, BinaryRole)> = BinaryRole::ALL.iter().map(|r| (r.as_str(), *r)).collect();
        if kind != SensorKind::Binary {
            refuse(t, "role", "binary", faults);
            return None;
        }
        let said = t.get("role").is_some();
        let role = t.word(faults, "role", &words);
        if !said {
            let message = format!("The {} does not say what it is for.", t.what());
            let help = propose("", words.iter().map(|(w, _)| *w), "Add `role = \"…\"`.");
            faults.error("missing-key", &t.spot(), t.name(), message, help);
        }
        role
    }

    /// Where a sensor counts as standing that says nothing of it: amid what it sees.
    fn usual_pose(&self, level: LevelId, zones: &[ZoneId], view: Option<&Polygon>) -> Pose {
        let of_zone = || zones.first().and_then(|z| self.plan.zones[z.index()].area.aabb());
        let of_level = || self.plan.levels.get(level.index()).and_then(|l| l.outline.aabb());
        let around: Option<Aabb> = view.and_then(Polygon::aabb).or_else(of_zone).or_else(of_level);
        let middle = around
            .map_or(Point::default(), |b| Point::new((b.min.x_m + b.max.x_m) / 2.0, (b.min.y_m + b.max.y_m) / 2.0));
        Pose { x_m: middle.x_m, y_m: middle.y_m, z_m: 0.0, heading_rad: 0.0 }
    }

    fn field_of_view(&self, t: &mut Fields<'_>, level: LevelId, faults: &mut Faults) -> Option<Polygon> {
        let val = t.get("field_of_view")?;
        let spot = val.spot();
        let Some(corners) = val.as_pairs() else {
            let message = format!("`field_of_view` of {} is no list of corners.", t.what());
            faults.error("wrong-type", &spot, t.name(), message, "Write `[[x, y], [x, y], [x, y]]` in site metres.");
            return None;
        };
        let what = format!("the field of view of {}", t.what());
        let view = self.polygon(t, &what, corners, &spot, faults)?;
        self.check_view(t, &view, level, &spot, faults);
        Some(view)
    }

    /// A view beyond the building is a slip where all of it is, and worth knowing where some of it is.
    fn check_view(&self, t: &Fields<'_>, view: &Polygon, level: LevelId, spot: &Spot, faults: &mut Faults) {
        if self.plan.levels.is_empty() {
            return;
        }
        let outside: Vec<Point> =
            view.outer.iter().copied().filter(|&p| self.plan.outside_m(level, p) > super::OUTSIDE_MAX_M).collect();
        let Some(&first) = outside.first() else { return };
        let level = &self.plan.levels[level.index()];
        if outside.len() == view.outer.len() && !level.outline.parts.iter().any(|p| view.contains(p.outer[0])) {
            let message = format!(
                "The {} looks at nothing of level `{}`: its view begins at {}.",
                t.what(),
                level.name,
                shape::place(first)
            );
            faults.error(
                "view-outside-level",
                spot,
                t.name(),
                message,
                "Give the corners in site metres, on its own level.",
            );
        } else {
            let message =
                format!("The view of {} reaches outside level `{}`, at {}.", t.what(), level.name, shape::place(first));
            faults.warning(
                "view-outside-level",
                spot,
                t.name(),
                message,
                "End it at the building's wall where nobody is tracked outside.",
            );
        }
    }
}

fn kind_of(t: &mut Fields<'_>, faults: &mut Faults) -> Option<SensorKind> {
    let (word, spot) = t.required(faults, "kind")?;
    let kind = SensorKind::from_word(word);
    if kind.is_none() {
        let message = format!("The {} has the kind `{}`, which there is not.", t.what(), shown(word));
        let help = propose(word, SensorKind::ALL.iter().map(|k| k.as_str()).collect::<Vec<_>>(), "");
        faults.error("unknown-kind", &spot, t.name(), message, help);
    }
    kind
}

/// A key that only one kind has.
fn refuse(t: &mut Fields<'_>, key: &'static str, kind: &str, faults: &mut Faults) {
    if let Some(val) = t.get(key) {
        let message = format!("The {} has `{key}`, which only `{kind}` sensors have.", t.what());
        faults.error("unknown-key", &val.spot(), t.name(), message, "Take it out, or correct the kind.");
    }
}

fn unit_of(t: &mut Fields<'_>, kind: SensorKind, faults: &mut Faults) -> Option<Unit> {
    if kind != SensorKind::Value {
        refuse(t, "unit", "value", faults);
        return None;
    }
    let words: Vec<&str> = Unit::ALL.iter().map(|u| u.as_str()).collect();
    let Some((word, spot)) = t.string(faults, "unit") else {
        if t.get("unit").is_none() {
            let message = format!("The {} does not say its unit.", t.what());
            faults.error("missing-key", &t.spot(), t.name(), message, propose("", words, "Add `unit = \"…\"`."));
        }
        return None;
    };
    let unit = Unit::from_word(word);
    if unit.is_none() {
        let message = format!("The {} has the unit `{}`, which there is not.", t.what(), shown(word));
        faults.error("unknown-unit", &spot, t.name(), message, propose(word, words, ""));
    }
    unit
}
