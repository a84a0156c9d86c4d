//! Carried devices: where another system says they are, taken as given, or where ranges put them.
//!
//! A fix is used unsmoothed and ungated; only one that is older than the device's newest is left out. Ranges of a device
//! that was located within [`LOCATED_FOR`] are heard and not used: the fix is the better word.

use crate::fuse::{Fusion, Newcomer};
use crate::occupants::Origin;
use crate::ranging::{Anchor, Estimate, Ranged, TAG_HEIGHT_M};
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{CarriedKey, LevelId, SensorId};
use osmose_model::limits::COORDINATE_ABS_MAX_M;
use osmose_model::stages::Refusal;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::Stimulus;

/// How long a fix outranks ranges.
const LOCATED_FOR: DurationNs = DurationNs::from_s(2);
/// The least and the largest standard deviation that a range may have, metres.
const RANGE_SIGMA_M: (f64, f64) = (1e-3, 1e3);

/// Where a device is, by whatever means.
struct Where {
    place: Place,
    velocity_mps: [f64; 2],
    covariance_m2: [f64; 3],
}

impl Fusion {
    /// A fix of a carried device, used as given.
    pub(crate) fn observe_location(
        &mut self,
        device: CarriedKey,
        place: Place,
        sigma_m: Option<f64>,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let sigma_m = sigma_m.unwrap_or(self.site.sensors[from.0.index()].noise.sigma_m);
        if !(self.is_here(place) && sigma_m.is_finite() && sigma_m >= 0.0) {
            return Err(Refusal::NotPlausible);
        }
        let variance = sigma_m * sigma_m;
        let covariance_m2 = [variance, 0.0, variance];
        let slot = self.place_device(device, Where { place, velocity_mps: [0.0; 2], covariance_m2 }, from, out)?;
        self.occupants.slot_mut(slot).located_at = Some(from.1);
        Ok(())
    }

    /// A slant range from a sensor to a carried device.
    pub(crate) fn observe_range(
        &mut self,
        device: CarriedKey,
        range_m: f64,
        sigma_m: Option<f64>,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        if range_m < 0.0 {
            return Err(Refusal::NotPlausible);
        }
        let noise = self.site.sensors[from.0.index()].noise;
        let z = self.ranged(from, self.anchor(from.0), None, range_m - noise.bias_m, sigma_m)?;
        self.observe_ranged(device, z, from, out)
    }

    /// A difference of slant ranges, `|p - other| - |p - sensor|`.
    pub(crate) fn observe_difference(
        &mut self,
        device: CarriedKey,
        other: SensorId,
        diff_m: f64,
        sigma_m: Option<f64>,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let here = &self.site.sensors[from.0.index()];
        let fits = |there: &osmose_model::device::Sensor| there.level == here.level && other != from.0;
        if !self.site.sensors.get(other.index()).is_some_and(fits) {
            return Err(Refusal::NotPlausible);
        }
        let z = self.ranged(from, self.anchor(other), Some(self.anchor(from.0)), diff_m, sigma_m)?;
        self.observe_ranged(device, z, from, out)
    }

    /// Where a sensor stands, as an anchor.
    fn anchor(&self, sensor: SensorId) -> Anchor {
        let pose = self.site.sensors[sensor.index()].pose;
        Anchor { sensor, at: Point::new(pose.x_m, pose.y_m), above_m: pose.z_m - TAG_HEIGHT_M }
    }

    /// A checked measurement with its sensor's accuracy.
    fn ranged(
        &self,
        (sensor, measured): (SensorId, LogicalNs),
        a: Anchor,
        b: Option<Anchor>,
        value_m: f64,
        sigma_m: Option<f64>,
    ) -> Result<Ranged, Refusal> {
        let noise = self.site.sensors[sensor.index()].noise;
        let sigma_m = sigma_m.unwrap_or(noise.sigma_m);
        // `abs() <= max` and `contains` are false for NaN.
        if !(value_m.abs() <= COORDINATE_ABS_MAX_M && (RANGE_SIGMA_M.0..=RANGE_SIGMA_M.1).contains(&sigma_m)) {
            return Err(Refusal::NotPlausible);
        }
        Ok(Ranged {
            a,
            b,
            value_m,
            variance_m2: sigma_m * sigma_m,
            nlos_p: noise.nlos_p.clamp(0.0, 0.99),
            nlos_scale_m: noise.nlos_scale_m.clamp(0.0, 1e3),
            measured,
        })
    }

    /// A measurement of a device through its filter.
    fn observe_ranged(
        &mut self,
        device: CarriedKey,
        z: Ranged,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let located_at = self.occupants.of_device(device).and_then(|slot| self.occupants.slot(slot).located_at);
        if located_at.is_some_and(|at| from.1.since(at) < LOCATED_FOR) {
            return Ok(());
        }
        let level: LevelId = self.site.sensors[from.0.index()].level;
        let Some(Estimate { mean, covariance: p }) = self.ranging.take(device, level, z) else { return Ok(()) };
        let found = Where {
            place: Place::flat(level, mean[0], mean[1]),
            velocity_mps: [mean[2], mean[3]],
            covariance_m2: [p[0][0], p[0][1], p[1][1]],
        };
        if !self.is_here(found.place) {
            return Err(Refusal::NotPlausible);
        }
        self.place_device(device, found, from, out).map(|_| ())
    }

    /// Moves a device's occupant, or lets it appear (taken for whose device it is). Where a tracker's track is found to be
    /// who carries it, the two are one.
    fn place_device(
        &mut self,
        device: CarriedKey,
        found: Where,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<u32, Refusal> {
        let Where { place, velocity_mps, covariance_m2 } = found;
        let variance = 0.5 * (covariance_m2[0] + covariance_m2[2]);
        let known = self.occupants.of_device(device);
        if let Some(slot) = known {
            // A track that it is one with may have been seen since: only its own fixes make a fix late.
            let entry = self.occupants.slot_mut(slot);
            if from.1 < entry.carried.map_or(entry.occupant.seen_at, |(at, _)| at) {
                return Err(Refusal::LateDegraded);
            }
            entry.carried = Some((from.1, variance));
        }
        let bearer = self.look_for_bearer(device, place, variance, from, out);
        // The device may have got another occupant by that.
        if let Some(slot) = bearer.or_else(|| self.occupants.of_device(device)) {
            self.occupants.slot_mut(slot).carried = Some((from.1, variance));
            if self.is_better_tracked(slot, variance, from.1) {
                let tracked_at = self.occupants.occupant(slot).place;
                self.sight(slot, tracked_at, from, out);
            } else {
                let who = &mut self.occupants.slot_mut(slot).occupant;
                (who.velocity_mps, who.covariance_m2) = (velocity_mps, covariance_m2);
                self.sight(slot, place, from, out);
            }
            return Ok(slot);
        }
        let newcomer = Newcomer { place, covariance_m2, velocity_mps, existence: 1.0, device: Some(device) };
        let slot = self.appear(newcomer, Origin::Device(device), from, out)?;
        self.occupants.slot_mut(slot).carried = Some((from.1, variance));
        if let Some(person) = self.site.owner_of_device(device) {
            self.identify(slot, Some(person), 1.0, from, out);
        }
        self.occupants.schedule(slot, self.now);
        Ok(slot)
    }
}
