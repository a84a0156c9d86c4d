//! Carried devices by how strongly receivers hear them.
//!
//! A receiver expects `tx_dbm_1m - 10 n log10(d)` at the slant distance d (log-distance path loss: Rappaport 2002, 4.9),
//! plus what its radio map says beyond that law ([`Field`]), plus its own offset, learnt online (`calibration.rs`), plus
//! the device's (how strongly it sends), learnt here. Strength fades by 6 dB and more, and reports of one receiver that
//! follow each other fade alike: a report counts with its variance times `1 + FADING_S / dt`, so that hearing a device
//! more often does not make a wrong place sure. The place is a mixture of Gaussians (`cloud.rs`).
//!
//! A device is on the level whose receivers hear it strongest, by [`LEVEL_MARGIN_DB`] for [`LEVEL_AFTER`].

use crate::calibration::{Calibration, Residual};
use crate::carried::room_of;
use crate::cloud::{Cloud, Measured, Summary};
use crate::in_place::clone_in_place;
use crate::keys::SlotTable;
use crate::ranging::Bearing;
use crate::slant::TAG_HEIGHT_M;
use arrayvec::ArrayVec;
use osmose_model::device::{Sensor, SensorKind};
use osmose_model::geometry::{Aabb, Point};
use osmose_model::ids::{CarriedKey, LevelId, SensorId};
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs};
use serde::{Deserialize, Serialize};

/// Receivers remembered per device.
const HEARD_MAX: usize = 16;
/// A device begins with its third report.
const REPORTS_MIN: u32 = 3;
/// What was heard longer ago says nothing of where a device is now.
const HEARD_FOR: DurationNs = DurationNs::from_s(3);
/// A device not heard for so long begins anew.
const SILENT_MAX: DurationNs = DurationNs::from_s(30);
/// How long the fading of one report lasts, seconds.
const FADING_S: f64 = 1.0;
/// The shortest time between two reports of a receiver that is told apart, seconds.
const APART_S: f64 = 0.02;
/// Time between reports that is taken for receivers that could not be remembered, seconds.
const CROWDED_S: f64 = 0.5;
/// How often the strongest receiver's place is offered again, and with what weight: a mixture that has settled in the
/// wrong place finds out.
const OFFER_EVERY: DurationNs = DurationNs::from_s(1);
const OFFER_WEIGHT: f64 = 0.02;
/// How far round the strongest receiver a device is sought, metres.
const SEEK_M: f64 = 3.0;
/// A level is left for another that hears the device so much stronger, for so long.
const LEVEL_MARGIN_DB: f64 = 6.0;
const LEVEL_AFTER: DurationNs = DurationNs::from_s(3);
/// Prior variance of how much stronger or weaker than the receivers expect a device sends, dB².
const GAIN_VAR_DB2: f64 = 4.0;
/// How many consecutive innovations say what one would about that: where the place is known by other means, and not.
const ALIKE: f64 = 10.0;
const ALIKE_OWN: f64 = 500.0;
/// Nearer than this the law does not hold, metres.
const NEAR_M: f64 = 0.3;
/// Strengths beyond these are no radio's, dBm.
pub(crate) const RSSI_DBM: (f64, f64) = (-200.0, 50.0);
/// Weight of "no correction" among surveyed points.
const SURVEY_PRIOR: f64 = 0.3;
/// Cells of a radio map's grid, per side at most.
const FIELD_CELLS_MAX: usize = 64;

/// What a radio map says beyond the law, on a grid; zero outside.
#[derive(Clone, Debug)]
struct Field {
    min: Point,
    cell_m: f64,
    columns: usize,
    rows: usize,
    /// dB, by rows.
    beyond_db: Vec<f64>,
}

impl Field {
    /// Smooths surveyed points (place, dB beyond the law): a mean weighted by a Gaussian of the points' spacing
    /// (Nadaraya 1964, Watson 1964) that falls back to zero where nobody surveyed.
    fn new(points: &[(Point, f64)]) -> Option<Self> {
        let hull = Aabb::around(points.iter().map(|p| p.0))?;
        let (w, h) = (hull.max.x_m - hull.min.x_m, hull.max.y_m - hull.min.y_m);
        let width_m = (0.75 * (w.max(1.0) * h.max(1.0) / points.len() as f64).sqrt()).clamp(0.5, 3.0);
        let round = hull.grown(2.0 * width_m);
        let (w, h) = (round.max.x_m - round.min.x_m, round.max.y_m - round.min.y_m);
        let cell_m = (width_m / 2.0).max(w.max(h) / (FIELD_CELLS_MAX - 1) as f64);
        let (columns, rows) = ((w / cell_m).ceil() as usize + 1, (h / cell_m).ceil() as usize + 1);
        let mut beyond_db = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            for column in 0..columns {
                let at = Point::new(round.min.x_m + column as f64 * cell_m, round.min.y_m + row as f64 * cell_m);
                let (mut weights, mut sum) = (SURVEY_PRIOR, 0.0);
                for (point, beyond) in points {
                    let weight = libm::exp(-0.5 * point.distance2(at) / (width_m * width_m));
                    weights += weight;
                    sum += weight * beyond;
                }
                beyond_db.push(sum / weights);
            }
        }
        Some(Self { min: round.min, cell_m, columns, rows, beyond_db })
    }

    /// Bilinear between the grid's points.
    fn at(&self, [x, y]: [f64; 2]) -> f64 {
        let (u, v) = ((x - self.min.x_m) / self.cell_m, (y - self.min.y_m) / self.cell_m);
        let (last_u, last_v) = ((self.columns - 1) as f64, (self.rows - 1) as f64);
        if !(u >= 0.0 && v >= 0.0 && u < last_u && v < last_v) {
            return 0.0;
        }
        let (i, j) = (u.floor() as usize, v.floor() as usize);
        let (fu, fv) = (u - i as f64, v - j as f64);
        let value = |i: usize, j: usize| self.beyond_db[j * self.columns + i];
        let low = value(i, j) * (1.0 - fu) + value(i + 1, j) * fu;
        let high = value(i, j + 1) * (1.0 - fu) + value(i + 1, j + 1) * fu;
        low * (1.0 - fv) + high * fv
    }
}

/// A receiver as fusion needs it.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub(crate) at: Point,
    pub(crate) level: LevelId,
    above_tag_m: f64,
    tx_dbm_1m: f64,
    exponent: f64,
    pub(crate) variance_db2: f64,
    field: Option<Field>,
}

impl Receiver {
    fn new(sensor: &Sensor) -> Self {
        let (pose, noise) = (sensor.pose, sensor.noise);
        let sigma_db = noise.sigma_db.clamp(0.1, 50.0);
        let mut receiver = Self {
            at: Point::new(pose.x_m, pose.y_m),
            level: sensor.level,
            above_tag_m: pose.z_m - TAG_HEIGHT_M,
            tx_dbm_1m: noise.tx_dbm_1m,
            exponent: noise.exponent,
            variance_db2: sigma_db * sigma_db,
            field: None,
        };
        let beyond = |p: &osmose_model::radio::RadioPoint| (p.at, p.rssi_dbm - receiver.law([p.at.x_m, p.at.y_m]));
        let points: Vec<(Point, f64)> = sensor.radio_map.points.iter().map(beyond).collect();
        receiver.field = Field::new(&points);
        receiver
    }

    fn distance_m(&self, [x, y]: [f64; 2]) -> f64 {
        let (dx, dy) = (x - self.at.x_m, y - self.at.y_m);
        (dx * dx + dy * dy + self.above_tag_m * self.above_tag_m).sqrt().max(NEAR_M)
    }

    fn law(&self, at: [f64; 2]) -> f64 {
        self.tx_dbm_1m - 10.0 * self.exponent * libm::log10(self.distance_m(at))
    }

    /// What is expected of a usual beacon at a place, dBm.
    pub(crate) fn expected_dbm(&self, at: [f64; 2]) -> f64 {
        self.law(at) + self.field.as_ref().map_or(0.0, |f| f.at(at))
    }

    /// How fast that falls with distance at a place, dB/m.
    fn slope_db_per_m(&self, at: [f64; 2]) -> f64 {
        10.0 * self.exponent / (std::f64::consts::LN_10 * self.distance_m(at))
    }
}

/// Every receiver of a site, by sensor; and the box that each level's devices are in.
#[derive(Clone, Debug)]
pub(crate) struct Receivers {
    of: Vec<Option<Receiver>>,
    bounds: Vec<Option<Aabb>>,
}

impl Receivers {
    pub(crate) fn new(site: &Site) -> Self {
        let of = |s: &Sensor| (s.kind == SensorKind::Rssi).then(|| Receiver::new(s));
        Self {
            of: site.sensors.iter().map(of).collect(),
            bounds: site.levels.iter().map(|l| l.outline.aabb()).collect(),
        }
    }

    pub(crate) fn get(&self, sensor: SensorId) -> Option<&Receiver> {
        self.of.get(sensor.index())?.as_ref()
    }

    fn bounds(&self, level: LevelId) -> Option<&Aabb> {
        self.bounds.get(level.index())?.as_ref()
    }
}

/// What a receiver heard last of a device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Heard {
    sensor: SensorId,
    level: LevelId,
    /// Smoothed, dBm.
    dbm: f64,
    at: LogicalNs,
}

/// One device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Beacon {
    device: CarriedKey,
    level: LevelId,
    /// Since when another level has heard it stronger.
    elsewhere_since: Option<LogicalNs>,
    /// Of its newest measurement.
    at: LogicalNs,
    cloud: Cloud,
    heard: ArrayVec<Heard, HEARD_MAX>,
    /// Measurements so far, while it has not begun.
    reports: u32,
    offered_at: LogicalNs,
    /// How much stronger than expected it sends, dB, and the variance of that.
    gain_db: f64,
    gain_var_db2: f64,
}

/// Where a device is by its cloud.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Located {
    pub(crate) level: LevelId,
    pub(crate) summary: Summary,
    /// When it was there.
    pub(crate) when: LogicalNs,
}

/// A report: which receiver, how strongly, when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) sensor: SensorId,
    pub(crate) dbm: f64,
    pub(crate) measured: LogicalNs,
}

impl Beacon {
    fn new(device: CarriedKey, level: LevelId, at: LogicalNs) -> Self {
        Self {
            device,
            level,
            elsewhere_since: None,
            at,
            cloud: Cloud::default(),
            heard: ArrayVec::new(),
            reports: 0,
            offered_at: at,
            gain_db: 0.0,
            gain_var_db2: GAIN_VAR_DB2,
        }
    }

    fn begin_anew(&mut self) {
        self.cloud.clear();
        self.heard.clear();
        self.reports = 0;
        self.elsewhere_since = None;
    }

    fn advance(&mut self, measured: LogicalNs) {
        if measured.since(self.at) > SILENT_MAX {
            self.begin_anew();
        }
        self.cloud.predict(measured.since(self.at).as_s_f64());
        self.at = self.at.max(measured);
    }

    /// Remembers a report; by how much its fading makes it say less than it seems to.
    fn hear(&mut self, r: Report, level: LevelId) -> f64 {
        let (newest, mut crowded) = (self.at, false);
        if let Some(known) = self.heard.iter_mut().find(|h| h.sensor == r.sensor) {
            let apart_s = r.measured.since(known.at).as_s_f64().abs().max(APART_S);
            known.dbm += (r.dbm - known.dbm) * if apart_s > 2.0 { 1.0 } else { 0.4 };
            known.at = known.at.max(r.measured);
            return 1.0 + FADING_S / apart_s;
        }
        if self.heard.is_full() {
            // Who was heard longest ago goes; of those heard lately the weakest.
            let old = |h: &Heard| newest.since(h.at) > HEARD_FOR;
            let worst = (0..self.heard.len()).min_by(|&a, &b| {
                let (a, b) = (&self.heard[a], &self.heard[b]);
                old(b).cmp(&old(a)).then(a.dbm.total_cmp(&b.dbm)).then(a.sensor.cmp(&b.sensor))
            });
            self.heard.swap_remove(worst.unwrap_or(0));
            crowded = true;
        }
        self.heard.push(Heard { sensor: r.sensor, level, dbm: r.dbm, at: r.measured });
        // In a crowd nobody knows when it was heard before: it may well have been.
        if crowded { 1.0 + FADING_S / CROWDED_S } else { 1.0 }
    }

    /// The strongest receiver lately, of one level or of all others; the lower sensor where equal.
    fn strongest(&self, own: bool) -> Option<&Heard> {
        let lately = |h: &&Heard| self.at.since(h.at) <= HEARD_FOR && (h.level == self.level) == own;
        self.heard.iter().filter(lately).max_by(|a, b| a.dbm.total_cmp(&b.dbm).then(b.sensor.cmp(&a.sensor)))
    }

    /// Goes over to another level where that has been clear for long enough.
    fn choose_level(&mut self) {
        let (own, other) = (self.strongest(true).copied(), self.strongest(false).copied());
        let margin = own.map_or(f64::INFINITY, |own| other.map_or(f64::NEG_INFINITY, |o| o.dbm - own.dbm));
        let Some(other) = other.filter(|_| margin >= LEVEL_MARGIN_DB) else {
            self.elsewhere_since = None;
            return;
        };
        let since = *self.elsewhere_since.get_or_insert(self.at);
        if own.is_none() || self.at.since(since) >= LEVEL_AFTER {
            self.level = other.level;
            self.cloud.clear();
            self.elsewhere_since = None;
        }
    }

    fn measured<'a>(
        &self,
        receiver: &'a Receiver,
        bias_db: f64,
        dbm: f64,
        variance: f64,
        age_s: f64,
    ) -> Measured<impl Fn([f64; 2]) -> f64 + use<'a>> {
        let offset = bias_db + self.gain_db;
        let expected = move |at: [f64; 2]| receiver.expected_dbm(at) + offset;
        Measured { expected, difference: |a, b| a - b, value: dbm, variance, age_s }
    }

    /// Round the strongest receiver, and then by everything heard so far.
    fn begin(&mut self, receivers: &Receivers, calibration: &Calibration) {
        let Some(centre) = self.strongest(true).and_then(|h| receivers.get(h.sensor)).map(|r| r.at) else { return };
        for i in 0..9 {
            let (dx, dy) = (f64::from(i % 3) - 1.0, f64::from(i / 3) - 1.0);
            let at = [centre.x_m + SEEK_M * dx, centre.y_m + SEEK_M * dy];
            // Each weighs as much as each: against all before it, 1 of i.
            let weight = if i == 0 { 1.0 } else { 1.0 / f64::from(i) };
            self.cloud.offer(at, [SEEK_M * SEEK_M / 2.0, 0.0, SEEK_M * SEEK_M / 2.0], weight);
        }
        self.offered_at = self.at;
        for h in self.heard.clone() {
            let lately = h.level == self.level && self.at.since(h.at) <= HEARD_FOR;
            if let Some(receiver) = receivers.get(h.sensor).filter(|_| lately && !self.cloud.is_empty()) {
                let bias = calibration.bias(h.sensor).0;
                let z = self.measured(receiver, bias, h.dbm, 2.0 * receiver.variance_db2, 0.0);
                self.cloud.meet(&z, receivers.bounds(self.level));
            }
        }
    }

    /// Learns how strongly the device sends.
    fn learn_gain(&mut self, innovation: f64, variance: f64, alike: f64) {
        let noise = alike * variance;
        let gain = self.gain_var_db2 / (self.gain_var_db2 + noise);
        let bound = 3.0 * noise.sqrt();
        self.gain_db += gain * innovation.clamp(-bound, bound);
        self.gain_var_db2 *= 1.0 - gain;
    }

    /// Takes a report of a receiver.
    fn take(&mut self, r: Report, receivers: &Receivers, calibration: &mut Calibration) -> Option<Located> {
        let receiver = receivers.get(r.sensor)?;
        self.advance(r.measured);
        let fading = self.hear(r, receiver.level);
        self.reports = self.reports.saturating_add(1);
        self.choose_level();
        if receiver.level != self.level {
            return None;
        }
        if self.cloud.is_empty() {
            if self.reports >= REPORTS_MIN {
                self.begin(receivers, calibration);
            }
            return self.located();
        }
        if self.at.since(self.offered_at) >= OFFER_EVERY {
            self.offered_at = self.at;
            if let Some(strongest) = self.strongest(true).and_then(|h| receivers.get(h.sensor)) {
                let at = [strongest.at.x_m, strongest.at.y_m];
                self.cloud.offer(at, [SEEK_M * SEEK_M, 0.0, SEEK_M * SEEK_M], OFFER_WEIGHT);
            }
        }
        let variance = receiver.variance_db2 * calibration.inflation(r.sensor) * fading;
        let age_s = self.at.since(r.measured).as_s_f64();
        let z = self.measured(receiver, calibration.bias(r.sensor).0, r.dbm, variance, age_s);
        let met = self.cloud.meet(&z, receivers.bounds(self.level));
        let residual = Residual {
            innovation: met.innovation,
            predicted: met.predicted,
            declared: receiver.variance_db2,
            outlier: 0.0,
            rate_per_s: 0.0,
            known: false,
        };
        calibration.learn_with_bias(r.sensor, &residual);
        self.learn_gain(met.innovation, met.predicted + receiver.variance_db2, ALIKE_OWN);
        self.located()
    }

    /// Takes a report of a device whose place (and its variance) is known by better means: only what receivers and the
    /// device are like is learnt.
    fn compare(&mut self, r: Report, known: ([f64; 2], f64), receivers: &Receivers, calibration: &mut Calibration) {
        let Some(receiver) = receivers.get(r.sensor) else { return };
        self.begin_anew();
        self.at = self.at.max(r.measured);
        let (at, variance_m2) = known;
        let slope = receiver.slope_db_per_m(at);
        let offset = calibration.bias(r.sensor).0 + self.gain_db;
        let innovation = r.dbm - receiver.expected_dbm(at) - offset;
        let predicted = slope * slope * variance_m2;
        let declared = receiver.variance_db2;
        let residual = Residual { innovation, predicted, declared, outlier: 0.0, rate_per_s: 0.0, known: true };
        calibration.learn_with_bias(r.sensor, &residual);
        self.learn_gain(innovation, predicted + declared, ALIKE);
    }

    /// Takes a direction from a sensor at `from` on `level`; how it differed from what was expected.
    fn bear(&mut self, from: Point, level: LevelId, b: Bearing, receivers: &Receivers) -> Option<Residual> {
        self.advance(b.measured);
        self.reports = self.reports.saturating_add(1);
        if self.cloud.is_empty() {
            self.level = level;
            self.begin_along(from, b);
            return None;
        }
        if level != self.level {
            return None;
        }
        let expected = move |[x, y]: [f64; 2]| libm::atan2(y - from.y_m, x - from.x_m);
        let age_s = self.at.since(b.measured).as_s_f64() + b.clock_s;
        let variance = b.variance_rad2 * b.inflation;
        let difference = |a: f64, b: f64| crate::bearing::wrapped(a - b);
        let z = Measured { expected, difference, value: b.value_rad, variance, age_s };
        let met = self.cloud.meet(&z, receivers.bounds(self.level));
        let outlier = if met.likelihood < 1e-3 { 1.0 } else { 0.0 };
        Some(Residual {
            innovation: met.innovation,
            predicted: met.predicted,
            declared: b.variance_rad2,
            outlier,
            rate_per_s: 0.0,
            known: false,
        })
    }

    /// Along a ray: near, and ever less surely farther away.
    fn begin_along(&mut self, from: Point, b: Bearing) {
        let (sin, cos) = libm::sincos(b.value_rad);
        for (i, range_m) in [1.5, 4.0, 8.0, 14.0].into_iter().enumerate() {
            let along = range_m * range_m / 6.0;
            let across = range_m * range_m * b.variance_rad2 * b.inflation + 0.1;
            let covariance = [
                along * cos * cos + across * sin * sin,
                (along - across) * sin * cos,
                along * sin * sin + across * cos * cos,
            ];
            let at = [from.x_m + range_m * cos, from.y_m + range_m * sin];
            self.cloud.offer(at, covariance, if i == 0 { 1.0 } else { 1.0 / i as f64 });
        }
        self.offered_at = self.at;
    }

    /// Where it is, once enough was heard of it.
    fn located(&self) -> Option<Located> {
        let summary = self.cloud.summary().filter(|_| self.reports >= REPORTS_MIN)?;
        Some(Located { level: self.level, summary, when: self.at })
    }

    fn is_sound(&self) -> bool {
        self.cloud.is_sound()
            && self.heard.iter().all(|h| h.dbm.is_finite())
            && self.gain_db.is_finite()
            && self.gain_var_db2 > 0.0
            && self.gain_var_db2 <= GAIN_VAR_DB2
    }
}

/// Every device that is heard by strength or direction.
#[derive(Debug)]
pub(crate) struct Beacons {
    beacons: Vec<Beacon>,
    by_device: SlotTable,
    max: usize,
}

clone_in_place!(Beacons { beacons, by_device, max });

impl Beacons {
    /// Room for `max` devices.
    pub(crate) fn new(max: usize) -> Self {
        Self { beacons: Vec::with_capacity(max), by_device: SlotTable::new(max), max }
    }

    /// The device's; the one silent for longest makes room (the lower key where equal).
    fn of_or_new(&mut self, device: CarriedKey, level: LevelId, at: LogicalNs) -> Option<&mut Beacon> {
        if let Some(i) = self.by_device.get(device.0) {
            return self.beacons.get_mut(i as usize);
        }
        let fresh = Beacon::new(device, level, at);
        let heard = self.beacons.iter().map(|d| (d.at, d.device));
        let i = match room_of(heard, self.beacons.len() >= self.max, at) {
            None if self.max == 0 => return None,
            None => {
                self.beacons.push(fresh);
                self.beacons.len() - 1
            }
            Some(oldest) => {
                self.by_device.remove(self.beacons[oldest].device.0);
                self.beacons[oldest] = fresh;
                oldest
            }
        };
        self.by_device.insert(device.0, i as u32);
        self.beacons.get_mut(i)
    }

    /// Takes a report; where the device is after it, where that is known.
    pub(crate) fn take(
        &mut self,
        device: CarriedKey,
        r: Report,
        receivers: &Receivers,
        calibration: &mut Calibration,
    ) -> Option<Located> {
        let level = receivers.get(r.sensor)?.level;
        self.of_or_new(device, level, r.measured)?.take(r, receivers, calibration)
    }

    /// Takes a report of a device whose place and its variance (m²) are known by better means.
    pub(crate) fn compare(
        &mut self,
        device: CarriedKey,
        r: Report,
        known: ([f64; 2], f64),
        receivers: &Receivers,
        calibration: &mut Calibration,
    ) {
        let Some(level) = receivers.get(r.sensor).map(|r| r.level) else { return };
        if let Some(beacon) = self.of_or_new(device, level, r.measured) {
            beacon.compare(r, known, receivers, calibration);
        }
    }

    /// Takes a direction; where the device is after it, and how the direction differed.
    pub(crate) fn bear(
        &mut self,
        device: CarriedKey,
        (from, level): (Point, LevelId),
        b: Bearing,
        receivers: &Receivers,
    ) -> (Option<Located>, Option<Residual>) {
        let Some(beacon) = self.of_or_new(device, level, b.measured) else { return (None, None) };
        let residual = beacon.bear(from, level, b, receivers);
        (beacon.located(), residual)
    }

    /// How many devices there are.
    pub(crate) fn len(&self) -> usize {
        self.beacons.len()
    }

    /// Every device, ascending.
    pub(crate) fn saved(&self) -> Vec<Beacon> {
        let mut all = self.beacons.clone();
        all.sort_unstable_by_key(|b| b.device);
        all
    }

    /// Takes saved devices back; false where they cannot be.
    pub(crate) fn refill(&mut self, saved: Vec<Beacon>) -> bool {
        let sound = saved.len() <= self.max
            && saved.is_sorted_by(|a, b| a.device < b.device)
            && saved.iter().all(Beacon::is_sound);
        if sound {
            for (i, beacon) in saved.iter().enumerate() {
                self.by_device.insert(beacon.device.0, i as u32);
            }
            self.beacons.extend(saved);
        }
        sound
    }
}
