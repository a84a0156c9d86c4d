//! Directions, in scans: of carried devices that the sensor knows, and of somebody.
//!
//! A direction of a known device is a measurement of it: of its ranged estimate where it is ranged at the time, else of
//! its cloud (`rssi.rs`), which a first direction begins along the ray. A direction of somebody belongs to whoever it
//! fits: of each occupant in view the likelihood of the direction is taken with the chance of being detected, against
//! all others and against clutter (probabilistic data association: Bar-Shalom and Tse 1975); it is used where one
//! occupant has it all but surely ([`CLEAR`]), with its variance divided by that probability, and for carried devices
//! only: where several fit, a direction says nothing about which of them it is, and tracks of anonymous positions have
//! measurements of their own.

use crate::calibration::Residual;
use crate::fuse::Fusion;
use crate::occupants::Origin;
use crate::ranging::Bearing;
use osmose_model::geometry::{Aabb, Point};
use osmose_model::ids::{CarriedKey, LevelId, SensorId};
use osmose_model::limits::SCAN_ITEMS_MAX;
use osmose_model::observation::BearingHit;
use osmose_model::stages::Refusal;
use osmose_model::time::LogicalNs;
use osmose_model::world::{Presence, Stimulus};
use std::f64::consts::{PI, TAU};

/// The least and the largest standard deviation that a direction may have, radians.
const SIGMA_RAD: (f64, f64) = (1e-4, TAU);
/// Directions are no angles beyond this: several turns are a unit error.
const ANGLE_MAX_RAD: f64 = 16.0;
/// A direction is somebody's who has it with this probability.
const CLEAR: f64 = 0.8;
/// Within how many standard deviations a direction fits somebody.
const GATE: f64 = 3.5;
/// How far a direction reaches, metres.
const REACH_M: f64 = 30.0;

/// An angle brought to -pi..=pi.
pub(crate) fn wrapped(angle_rad: f64) -> f64 {
    let turns = (angle_rad / TAU).round();
    (angle_rad - turns * TAU).clamp(-PI, PI)
}

/// A sensor of directions at work.
#[derive(Clone, Copy)]
struct View {
    from: Point,
    level: LevelId,
    p_detect: f64,
    /// False directions per radian and scan.
    clutter_per_rad: f64,
}

impl Fusion {
    /// A scan of directions.
    pub(crate) fn observe_bearings(
        &mut self,
        hits: &[BearingHit],
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let sensor = &self.site.sensors[from.0.index()];
        let noise = sensor.noise;
        let sigma_rad = |hit: &BearingHit| hit.sigma_rad.unwrap_or(noise.sigma_rad);
        // `abs() <= max` and `contains` are false for NaN.
        let plausible = |hit: &BearingHit| {
            hit.bearing_rad.abs() <= ANGLE_MAX_RAD && (SIGMA_RAD.0..=SIGMA_RAD.1).contains(&sigma_rad(hit))
        };
        if hits.len() > SCAN_ITEMS_MAX || !hits.iter().all(plausible) {
            return Err(Refusal::NotPlausible);
        }
        let view = View {
            from: Point::new(sensor.pose.x_m, sensor.pose.y_m),
            level: sensor.level,
            p_detect: noise.p_detect.clamp(1e-3, 1.0),
            clutter_per_rad: noise.clutter_per_scan.max(1e-6) / TAU,
        };
        let mut taken = Ok(());
        for hit in hits {
            let sigma_rad = sigma_rad(hit);
            let bearing = Bearing {
                value_rad: wrapped(hit.bearing_rad - self.calibration.bias(from.0).0),
                variance_rad2: sigma_rad * sigma_rad,
                inflation: self.calibration.inflation(from.0),
                clock_s: self.calibration.clock_s(from.0),
                measured: from.1,
            };
            let one = match hit.device {
                Some(device) => self.bear_device(device, view, bearing, from, out),
                None => self.bear_somebody(view, bearing, from, out),
            };
            taken = taken.and(one);
        }
        taken
    }

    /// A direction of a device.
    fn bear_device(
        &mut self,
        device: CarriedKey,
        view: View,
        bearing: Bearing,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        if let Some(known) = self.fixed_place(device, view.level, from.1) {
            self.compare_bearing(view, bearing, known, from.0);
            return Ok(());
        }
        if let Some(taken) = self.ranging.bear(device, view.level, view.from, bearing, crate::carried::LOCATED_FOR) {
            if let Some(residual) = taken.residual {
                self.calibration.learn_with_bias(from.0, &residual);
            }
            return taken.found.map_or(Ok(()), |found| self.place_found(device, view.level, found, from.0, out));
        }
        let (located, residual) = self.beacons.bear(device, (view.from, view.level), bearing, &self.receivers);
        if let Some(residual) = residual {
            self.calibration.learn_with_bias(from.0, &residual);
        }
        located.map_or(Ok(()), |located| self.place_located(device, located, from.0, out))
    }

    /// A direction of a device whose place is known by better means says what the sensor is like.
    fn compare_bearing(&mut self, view: View, bearing: Bearing, known: ([f64; 2], f64), sensor: SensorId) {
        let ([x, y], variance_m2) = known;
        let (dx, dy) = (x - view.from.x_m, y - view.from.y_m);
        let r2 = dx * dx + dy * dy;
        if r2 <= 4.0 * variance_m2 || r2 <= 0.01 {
            return;
        }
        let residual = Residual {
            innovation: wrapped(bearing.value_rad - libm::atan2(dy, dx)),
            predicted: variance_m2 / r2,
            declared: bearing.variance_rad2,
            outlier: 0.0,
            rate_per_s: 0.0,
            known: true,
        };
        self.calibration.learn_with_bias(sensor, &residual);
    }

    /// A direction of somebody: of the one carried device that it all but surely belongs to.
    fn bear_somebody(
        &mut self,
        view: View,
        bearing: Bearing,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let Some((slot, p)) = self.whose(view, bearing).filter(|(_, p)| *p >= CLEAR) else { return Ok(()) };
        match self.occupants.slot(slot).origin {
            Origin::Device(device) => {
                let weaker = Bearing { inflation: bearing.inflation / p, ..bearing };
                self.bear_device(device, view, weaker, from, out)
            }
            Origin::Tracker { .. } => Ok(()),
        }
    }

    /// Whom a direction fits best, and with what probability it is of them; the lower track where equal.
    fn whose(&self, view: View, bearing: Bearing) -> Option<(u32, f64)> {
        let (mut total, mut best) = (view.clutter_per_rad, None);
        let reach = Aabb { min: view.from, max: view.from }.grown(REACH_M);
        self.occupants.index.for_each_meeting(view.level, reach, |slot| {
            let who = self.occupants.occupant(slot);
            if !self.occupants.slot(slot).confirmed || who.presence != Presence::Seen {
                return;
            }
            let (dx, dy) = (who.place.at.x_m - view.from.x_m, who.place.at.y_m - view.from.y_m);
            let r2 = dx * dx + dy * dy;
            let [xx, xy, yy] = who.covariance_m2;
            // Variance across the ray, as an angle.
            let across = (xx * dy * dy - 2.0 * xy * dx * dy + yy * dx * dx) / (r2 * r2).max(1e-6);
            let s = across + bearing.variance_rad2 * bearing.inflation;
            let off = wrapped(bearing.value_rad - libm::atan2(dy, dx));
            if r2 > REACH_M * REACH_M || off * off > GATE * GATE * s {
                return;
            }
            let likelihood = view.p_detect * libm::exp(-0.5 * off * off / s) / (TAU * s).sqrt();
            total += likelihood;
            let better = |(l, track, _): (f64, _, u32)| likelihood > l || (likelihood == l && who.track < track);
            if best.is_none_or(better) {
                best = Some((likelihood, who.track, slot));
            }
        });
        best.map(|(likelihood, _, slot)| (slot, likelihood / total))
    }
}

#[cfg(test)]
mod tests {
    use super::wrapped;
    use proptest::prelude::*;
    use std::f64::consts::{PI, TAU};

    proptest! {
        #[test]
        fn wrapping_keeps_the_direction(angle in -100.0..100.0f64) {
            let w = wrapped(angle);
            prop_assert!((-PI..=PI).contains(&w));
            let turns = (angle - w) / TAU;
            prop_assert!((turns - turns.round()).abs() < 1e-9);
        }
    }
}
