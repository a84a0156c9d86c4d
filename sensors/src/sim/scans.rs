//! Sensors that look: scans of anonymous detections, fixes of carried devices, and which way people face.
//!
//! Somebody is seen who is inside the field of view with no opaque wall between; with probability `p_detect` then,
//! with an independent normal error of `sigma_m` on each axis. False detections are a Poisson number of mean
//! `clutter_per_scan`, uniform over the field of view.

use super::nav::{Nav, is_clear};
use super::outbox::{Outbox, detected};
use super::rng::Rng;
use super::senses::{Moment, Voice};
use super::walker::Walker;
use osmose_model::device::Sensor;
use osmose_model::geometry::{Aabb, Place, Point, Polygon, Segment};
use osmose_model::limits::SCAN_ITEMS_MAX;
use osmose_model::observation::Body;
use osmose_model::site::Site;
use osmose_model::time::ArrivalNs;

/// How often a false detection is thrown until it falls into the field of view; beyond it there is none.
const THROWS_MAX: usize = 64;

/// What a sensor can see.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) pose: Point,
    /// Its field of view; the level's floor where it declares none.
    field: Option<Polygon>,
    around: Aabb,
    /// Opaque walls that can stand between the sensor and what it looks at.
    walls: Vec<Segment>,
    /// It declares no field of view.
    pub(super) sees_all_levels: bool,
}

impl View {
    /// What a sensor can see of its level.
    pub(super) fn new(site: &Site, nav: &Nav, sensor: &Sensor) -> Self {
        let pose = Point::new(sensor.pose.x_m, sensor.pose.y_m);
        let field =
            sensor.field_of_view.clone().or_else(|| site.levels[sensor.level.index()].outline.parts.first().cloned());
        let floor = || nav.grid(sensor.level).bounds();
        let around = field.as_ref().and_then(Polygon::aabb).unwrap_or_else(floor);
        let reach = Aabb::around([around.min, around.max, pose]).unwrap_or(around);
        let near = |w: &&Segment| {
            let b = Aabb { min: reach.min, max: reach.max };
            let low = w.a.x_m.min(w.b.x_m) <= b.max.x_m && w.a.y_m.min(w.b.y_m) <= b.max.y_m;
            low && w.a.x_m.max(w.b.x_m) >= b.min.x_m && w.a.y_m.max(w.b.y_m) >= b.min.y_m
        };
        let walls = nav.opaque(sensor.level).iter().filter(near).copied().collect();
        let sees_all_levels = sensor.field_of_view.is_none();
        Self { pose, field, around, walls, sees_all_levels }
    }

    pub(super) fn is_in_field(&self, p: Point) -> bool {
        self.around.contains(p) && self.field.as_ref().is_none_or(|f| f.contains(p))
    }

    /// Whether somebody at a point of the sensor's level is seen: in the field of view, and no wall between.
    pub(super) fn sees(&self, p: Point) -> bool {
        self.is_in_field(p) && is_clear(&self.walls, self.pose, p)
    }

    /// One scan at `at`.
    pub(super) fn scan(
        &self,
        moment: &Moment<'_>,
        at: ArrivalNs,
        sensor: &Sensor,
        voice: &mut Voice,
        out: &mut Outbox,
    ) {
        let (share, said) = (moment.share(at), voice.says(sensor, at));
        let (noise, rng) = (sensor.noise, &mut voice.rng);
        out.scan(said, |detections| {
            for walker in moment.people.walkers.iter().filter(|w| w.is_here() && w.level == sensor.level) {
                let p = walker.along(share);
                if self.sees(p) && rng.chance(noise.p_detect) && detections.len() < SCAN_ITEMS_MAX {
                    let seen = blurred(p, noise.sigma_m, rng);
                    detections.push(detected(Place { at: seen, z_m: None, level: sensor.level }));
                }
            }
            for _ in 0..rng.poisson(noise.clutter_per_scan) {
                let Some(p) = self.throw(rng) else { continue };
                if detections.len() < SCAN_ITEMS_MAX {
                    detections.push(detected(Place { at: p, z_m: None, level: sensor.level }));
                }
            }
            // The order of a scan says nothing of who is who.
            rng.shuffle(detections);
        });
    }

    /// A uniform point of the field of view.
    pub(super) fn throw(&self, rng: &mut Rng) -> Option<Point> {
        let (min, max) = (self.around.min, self.around.max);
        let throws = (0..THROWS_MAX).map(|_| Point::new(rng.between(min.x_m, max.x_m), rng.between(min.y_m, max.y_m)));
        throws.into_iter().find(|&p| self.is_in_field(p))
    }

    /// One fix of every carried device in view. A system without a field of view covers every level, through walls:
    /// radio does.
    pub(super) fn fixes(
        &self,
        moment: &Moment<'_>,
        at: ArrivalNs,
        sensor: &Sensor,
        voice: &mut Voice,
        out: &mut Outbox,
    ) {
        let share = moment.share(at);
        for walker in moment.people.walkers.iter().filter(|w| w.is_here()) {
            let is_covered = walker.level == sensor.level && self.is_in_field(walker.along(share));
            if !(self.sees_all_levels || is_covered) {
                continue;
            }
            for &device in &walker.devices {
                let place = Place {
                    at: blurred(walker.along(share), sensor.noise.sigma_m, &mut voice.rng),
                    ..walker.place(share)
                };
                let said = voice.says(sensor, at);
                out.observation(said, Body::Location { device, place, sigma_m: None });
            }
        }
    }

    /// Which way everybody in the sensor's zones faces: where they walk, or what they turned to on purpose.
    pub(super) fn facings(
        &self,
        moment: &Moment<'_>,
        at: ArrivalNs,
        sensor: &Sensor,
        voice: &mut Voice,
        out: &mut Outbox,
    ) {
        let share = moment.share(at);
        let is_near = |w: &Walker| {
            let in_zone = sensor.zones.is_empty() || w.zones.iter().any(|z| sensor.zones.contains(z));
            w.is_here() && w.level == sensor.level && in_zone
        };
        for walker in moment.people.walkers.iter().filter(|w| is_near(w)) {
            let p = walker.along(share);
            if !self.sees(p) {
                continue;
            }
            let heading_rad = wrapped(walker.heading_rad + sensor.noise.sigma_rad * voice.rng.normal());
            let seen = blurred(p, sensor.noise.sigma_m, &mut voice.rng);
            let place = Place { at: seen, z_m: None, level: sensor.level };
            let said = voice.says(sensor, at);
            out.observation(said, Body::Facing { place, heading_rad, sigma_rad: None });
        }
    }
}

pub(super) fn blurred(p: Point, sigma_m: f64, rng: &mut Rng) -> Point {
    Point::new(p.x_m + sigma_m * rng.normal(), p.y_m + sigma_m * rng.normal())
}

/// An angle in -pi..=pi.
pub(super) fn wrapped(rad: f64) -> f64 {
    rad - std::f64::consts::TAU * (rad / std::f64::consts::TAU).round()
}
