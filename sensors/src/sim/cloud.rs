//! A radar's cloud: a handful of points on the body of everybody in view, with the speed at which each comes nearer.
//!
//! Somebody in view is detected with probability `p_detect`, by a Poisson number of points, spread over the body and
//! blurred by `sigma_m` on each axis; `clutter_per_scan` points more lie anywhere. A body that moves shows its radial
//! speed; one that stands still sways by a few centimetres a second, which is what keeps it in a radar's sight.

use super::outbox::Outbox;
use super::scans::{View, blurred};
use super::senses::{Moment, Voice};
use osmose_model::device::Sensor;
use osmose_model::geometry::{Place, Point};
use osmose_model::limits::SCAN_ITEMS_MAX;
use osmose_model::observation::CloudPoint;
use osmose_model::time::ArrivalNs;

/// Points that a body reflects in one frame, mean, beyond the one that makes it seen.
const POINTS_MEAN: f64 = 6.0;
/// How far points are spread over a body, metres, standard deviation.
const BODY_M: f64 = 0.15;
/// How fast those who stand still sway, and the error of a radial speed, m/s, standard deviations.
const SWAY_MPS: f64 = 0.04;
const DOPPLER_SIGMA_MPS: f64 = 0.05;
/// Reflected intensity of a body a metre away, in the radar's own unit; falls with the fourth power of distance
/// (Skolnik, Introduction to Radar Systems, the radar equation), here no nearer than a metre.
const INTENSITY_1M: f64 = 1000.0;

impl View {
    /// One frame at `at`.
    pub(super) fn cloud(
        &self,
        moment: &Moment<'_>,
        at: ArrivalNs,
        sensor: &Sensor,
        voice: &mut Voice,
        out: &mut Outbox,
    ) {
        let (share, said) = (moment.share(at), voice.says(sensor, at));
        let (noise, rng) = (sensor.noise, &mut voice.rng);
        let step_s = moment.to.since(moment.from).as_s_f64();
        let mut points: Vec<CloudPoint> = Vec::new();
        for walker in moment.people.walkers.iter().filter(|w| w.is_here() && w.level == sensor.level) {
            let body = walker.along(share);
            if !self.sees(body) || !rng.chance(noise.p_detect) {
                continue;
            }
            let distance_m = body.distance(self.pose).max(0.1);
            let (ux, uy) = ((body.x_m - self.pose.x_m) / distance_m, (body.y_m - self.pose.y_m) / distance_m);
            let (vx, vy) = (walker.at.x_m - walker.before.x_m, walker.at.y_m - walker.before.y_m);
            let radial_mps = if walker.has_moved() { (vx * ux + vy * uy) / step_s } else { SWAY_MPS * rng.normal() };
            for _ in 0..=rng.poisson(POINTS_MEAN) {
                let at = blurred(blurred(body, BODY_M, rng), noise.sigma_m, rng);
                let z_m = rng.between(0.3, 1.7);
                points.push(CloudPoint {
                    place: Place { at, z_m: Some(z_m), level: sensor.level },
                    doppler_mps: Some(radial_mps + DOPPLER_SIGMA_MPS * rng.normal()),
                    intensity: Some(INTENSITY_1M / distance_m.max(1.0).powi(4) * libm::exp(0.5 * rng.normal())),
                });
            }
        }
        for _ in 0..rng.poisson(noise.clutter_per_scan) {
            let Some(at) = self.throw(rng) else { continue };
            points.push(CloudPoint {
                place: Place { at: Point::new(at.x_m, at.y_m), z_m: Some(rng.between(0.0, 2.5)), level: sensor.level },
                doppler_mps: Some(DOPPLER_SIGMA_MPS * rng.normal()),
                intensity: Some(rng.exponential(1.0)),
            });
        }
        // The order of a frame says nothing of who is who.
        rng.shuffle(&mut points);
        points.truncate(SCAN_ITEMS_MAX);
        out.cloud(said, points);
    }
}
