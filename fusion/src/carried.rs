//! Carried devices: where another system says they are, taken as given, or where ranges, strengths or directions put them.
//!
//! A fix is used unsmoothed and ungated; only one that is older than the device's newest is left out. Where a device was
//! located within [`LOCATED_FOR`] the fix is the better word, and so are ranges against received strength: the poorer
//! kind then moves nobody, and is compared with the better one, so that its sensors' biases and clocks are learnt. A
//! walk through the building with a tag that another system locates calibrates every anchor and receiver.

use crate::fuse::{Fusion, Newcomer};
use crate::occupants::Origin;
use crate::ranging::{Anchor, Found, Ranged};
use crate::rssi::{Located, RSSI_DBM, Report};
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{CarriedKey, LevelId, SensorId};
use osmose_model::limits::COORDINATE_ABS_MAX_M;
use osmose_model::stages::Refusal;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::Stimulus;

/// How long a fix outranks ranges, and ranges strengths.
pub(crate) const LOCATED_FOR: DurationNs = DurationNs::from_s(2);
/// How long what was learnt of a device is kept while it is silent: telephones change their names every quarter of an
/// hour, and each would leave its last one behind.
const DEVICE_KEPT_FOR: DurationNs = DurationNs::from_s(1800);
/// The least and the largest standard deviation that a range may have, metres.
const RANGE_SIGMA_M: (f64, f64) = (1e-3, 1e3);

/// Whose room a new device takes, of devices by when they were last heard: the one silent for longest (the lower key where
/// equal), where it was for long or where there is no other room. `None`: there is other room.
pub(crate) fn room_of(
    all: impl Iterator<Item = (LogicalNs, CarriedKey)>,
    is_full: bool,
    now: LogicalNs,
) -> Option<usize> {
    let (oldest, (heard, _)) = all.enumerate().min_by_key(|(_, heard)| *heard)?;
    (is_full || now.since(heard) > DEVICE_KEPT_FOR).then_some(oldest)
}

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
        self.ranging.fix(device, place.level, place.at, sigma_m, from.1);
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
        Anchor { sensor, at: Point::new(pose.x_m, pose.y_m), z_m: pose.z_m }
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
        let worse = |other: SensorId| self.calibration.inflation(sensor).max(self.calibration.inflation(other));
        Ok(Ranged {
            a,
            b,
            value_m,
            variance_m2: sigma_m * sigma_m,
            // A pair is as bad as its worse anchor.
            inflation: worse(a.sensor),
            ignored: self.calibration.is_wrong(sensor) || self.calibration.is_wrong(a.sensor),
            nlos_p: noise.nlos_p.clamp(0.0, 0.99),
            nlos_scale_m: noise.nlos_scale_m.clamp(0.0, 1e3),
            bias: if b.is_none() { self.calibration.bias(sensor) } else { (0.0, 0.0) },
            clock_s: self.calibration.clock_s(sensor),
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
        let level: LevelId = self.site.sensors[from.0.index()].level;
        let taken = self.ranging.take(device, level, z);
        if let Some(residual) = taken.residual {
            if residual.known {
                self.calibration.learn_with_bias(z.a.sensor, &residual);
            } else {
                self.calibration.learn(z.a.sensor, &residual, taken.bias);
            }
            if let Some(b) = z.b {
                self.calibration.learn(b.sensor, &residual, None);
            }
        }
        let outranked = self.fixed(device, from.1).is_some();
        match taken.found.filter(|_| !outranked) {
            Some(found) => self.place_found(device, level, found, from.0, out),
            None => Ok(()),
        }
    }

    /// How strongly a receiver hears a device.
    pub(crate) fn observe_rssi(
        &mut self,
        device: CarriedKey,
        rssi_dbm: f64,
        (sensor, measured): (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        // `contains` is false for NaN.
        if !(RSSI_DBM.0..=RSSI_DBM.1).contains(&rssi_dbm) || self.receivers.get(sensor).is_none() {
            return Err(Refusal::NotPlausible);
        }
        let report = Report { sensor, dbm: rssi_dbm, measured };
        let level = self.site.sensors[sensor.index()].level;
        if let Some(known) = self.located(device, level, measured) {
            self.beacons.compare(device, report, known, &self.receivers, &mut self.calibration);
            return Ok(());
        }
        match self.beacons.take(device, report, &self.receivers, &mut self.calibration) {
            Some(located) => self.place_located(device, located, sensor, out),
            None => Ok(()),
        }
    }

    /// The slot of a device that another system located within [`LOCATED_FOR`].
    fn fixed(&self, device: CarriedKey, measured: LogicalNs) -> Option<u32> {
        let slot = self.occupants.of_device(device)?;
        let at = self.occupants.slot(slot).located_at?;
        (measured.since(at) < LOCATED_FOR).then_some(slot)
    }

    /// Where a device is on a level by a fix of lately, with its variance per axis (m²).
    pub(crate) fn fixed_place(
        &self,
        device: CarriedKey,
        level: LevelId,
        measured: LogicalNs,
    ) -> Option<([f64; 2], f64)> {
        let who = self.occupants.occupant(self.fixed(device, measured)?);
        let variance = (who.covariance_m2[0] + who.covariance_m2[2]) / 2.0;
        (who.place.level == level).then_some(([who.place.at.x_m, who.place.at.y_m], variance))
    }

    /// Where a device is on a level, with its variance per axis (m²), by better means than strength and direction: by a
    /// fix or by ranges of lately.
    pub(crate) fn located(
        &mut self,
        device: CarriedKey,
        level: LevelId,
        measured: LogicalNs,
    ) -> Option<([f64; 2], f64)> {
        if self.fixed(device, measured).is_some() {
            return self.fixed_place(device, level, measured);
        }
        let found = self.ranging.found(device, level, measured, LOCATED_FOR)?;
        Some(([found.at_m[0], found.at_m[1]], (found.covariance_m2[0] + found.covariance_m2[2]) / 2.0))
    }

    /// Moves a device's occupant to where ranges put it.
    pub(crate) fn place_found(
        &mut self,
        device: CarriedKey,
        level: LevelId,
        found: Found,
        sensor: SensorId,
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let [x_m, y_m, z_m] = found.at_m;
        let place = Place { at: Point::new(x_m, y_m), z_m: Some(z_m), level };
        if !self.is_here(place) {
            return Err(Refusal::NotPlausible);
        }
        let (velocity_mps, covariance_m2) = (found.velocity_mps, found.covariance_m2);
        let there = Where { place, velocity_mps, covariance_m2 };
        self.place_device(device, there, (sensor, found.when), out).map(|_| ())
    }

    /// Moves a device's occupant to where strengths and directions put it.
    pub(crate) fn place_located(
        &mut self,
        device: CarriedKey,
        located: Located,
        sensor: SensorId,
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let [x_m, y_m] = located.summary.at_m;
        let place = Place::flat(located.level, x_m, y_m);
        if !self.is_here(place) {
            return Err(Refusal::NotPlausible);
        }
        let (velocity_mps, covariance_m2) = (located.summary.velocity_mps, located.summary.covariance_m2);
        let there = Where { place, velocity_mps, covariance_m2 };
        self.place_device(device, there, (sensor, located.when), out).map(|_| ())
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
