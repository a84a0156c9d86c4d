//! Carried devices by slant ranges and differences of ranges: one extended Kalman filter per device (`slant.rs`).
//!
//! A device begins where the measurements of three or more anchors meet (`begin.rs`). What a measurement is worth comes
//! with it: its sensor's bias, clock error and real noise (`calibration.rs`). A measurement that is older than the
//! device's newest, or whose clock is late, is compared with where the device was then by its velocity (the one-step
//! treatment of out-of-sequence measurements without their share of the process noise: Bar-Shalom 2002).
//!
//! A device is on the level of the anchors that hear it. Anchors of another level are heard through the floor: they
//! count only once those of its own have been silent for [`LEVEL_HELD`].
//!
//! Measurements of one instant are taken in the order of their tags. Each is linearised at what the ones before it made,
//! so another order moves the estimate by a small part of its standard deviation, and that is the whole tie-break.

use crate::begin;
use crate::calibration::Residual;
use crate::carried::room_of;
use crate::in_place::clone_in_place;
use crate::keys::SlotTable;
use crate::slant::{Estimate, Height, Met, N, Row, Tail, Z};
use arrayvec::ArrayVec;
use osmose_model::geometry::Point;
use osmose_model::ids::{CarriedKey, LevelId, SensorId};
use osmose_model::time::{DurationNs, LogicalNs};
use serde::{Deserialize, Serialize};

/// Measurements of this age no longer help a device to begin.
const RECENT: DurationNs = DurationNs::from_s(1);
/// A device not heard for so long begins anew.
const SILENT_MAX: DurationNs = DurationNs::from_s(5);
/// How long a device stays on a level whose anchors do not hear it, while another's do.
const LEVEL_HELD: DurationNs = DurationNs::from_s(2);
/// Measurements kept to begin with.
pub(crate) const RECENT_MAX: usize = 8;
/// How fast the share of measurements that look out of sight (or wild) is averaged, and the average at which the filter
/// is taken to be in the wrong place: then the device begins anew.
const DOUBT_GAIN: f64 = 0.15;
const DOUBT_MAX: f64 = 0.7;
/// A filter in more doubt than this teaches nobody: in a wrong place every sensor looks wrong.
const DOUBT_TEACHING: f64 = 0.3;
/// An innovation beyond so many standard deviations is beyond noise.
const STRANGE: f64 = 4.0;
/// How long a device that was in a wrong place waits for more anchors.
const WARY_FOR: DurationNs = DurationNs::from_ms(500);
/// How long a fix makes ranges something to compare with it only.
const FIXED_FOR: DurationNs = DurationNs::from_s(2);

/// An anchor: place, and height above the level's floor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Anchor {
    pub(crate) sensor: SensorId,
    pub(crate) at: Point,
    pub(crate) z_m: f64,
}

impl Anchor {
    /// Slant range of a place (x, y, z), and its slope over them.
    fn range(&self, [x, y, z]: [f64; 3]) -> (f64, [f64; 3]) {
        let (dx, dy, dz) = (x - self.at.x_m, y - self.at.y_m, z - self.z_m);
        // A millimetre keeps the slope finite right at an anchor.
        let r = (dx * dx + dy * dy + dz * dz).sqrt().max(1e-3);
        (r, [dx / r, dy / r, dz / r])
    }
}

/// A range to one anchor, or the difference of the ranges to two: `|p - a| - |p - b|`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ranged {
    /// The anchor whose range counts.
    pub(crate) a: Anchor,
    /// The anchor whose range is taken off, for a difference.
    pub(crate) b: Option<Anchor>,
    /// Metres, the declared bias taken off.
    pub(crate) value_m: f64,
    /// Its declared variance in line of sight, m².
    pub(crate) variance_m2: f64,
    /// By how much that variance falls short, 1 or more.
    pub(crate) inflation: f64,
    /// Its sensor is wrong all the time: it is compared and not used.
    pub(crate) ignored: bool,
    /// How likely it is out of sight, and by how much too long it then is on average.
    pub(crate) nlos_p: f64,
    pub(crate) nlos_scale_m: f64,
    /// What is known of the anchor's bias: mean (m) and variance (m²). Differences have none of their own: what they err
    /// by hangs on the place, and a constant learnt from them pulled the place of a real drone away (ARCHITECTURE.md).
    pub(crate) bias: (f64, f64),
    /// By how much its time is late, seconds.
    pub(crate) clock_s: f64,
    pub(crate) measured: LogicalNs,
}

impl Ranged {
    /// What a place (x, y, z) would measure without bias, and its slope over the place.
    pub(crate) fn expected(&self, at: [f64; 3]) -> (f64, [f64; 3]) {
        let (r, g) = self.a.range(at);
        match self.b {
            None => (r, g),
            Some(b) => {
                let (s, h) = b.range(at);
                (r - s, [g[0] - h[0], g[1] - h[1], g[2] - h[2]])
            }
        }
    }

    /// Variance with everything in it that may be wrong: being out of sight (the second moment of an exponential excess
    /// is 2 scale²) and the unknown bias.
    pub(crate) fn wide_variance_m2(&self) -> f64 {
        self.variance_m2 * self.inflation + 2.0 * self.nlos_p * self.nlos_scale_m * self.nlos_scale_m + self.bias.1
    }

    /// Value with the anchor's bias taken off.
    pub(crate) fn unbiased_m(&self) -> f64 {
        self.value_m - self.bias.0
    }

    fn anchors(&self) -> (SensorId, Option<SensorId>) {
        (self.a.sensor, self.b.map(|b| b.sensor))
    }

    /// Finite and of positive variance, as a saved one must be.
    fn is_sound(&self) -> bool {
        let numbers = [self.value_m, self.variance_m2, self.inflation, self.bias.0, self.bias.1, self.clock_s];
        numbers.iter().all(|x| x.is_finite()) && self.variance_m2 > 0.0 && self.inflation > 0.0
    }
}

/// Where a device is by its filter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    /// x, y, and height above the floor, metres.
    pub(crate) at_m: [f64; 3],
    pub(crate) velocity_mps: [f64; 2],
    /// xx, xy, yy.
    pub(crate) covariance_m2: [f64; 3],
    /// When it was there: its newest measurement's time.
    pub(crate) when: LogicalNs,
}

/// What came of a measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    /// Where the device is, where the measurement told something of it.
    pub(crate) found: Option<Found>,
    /// How it differed from what was expected, where anything was.
    pub(crate) residual: Option<Residual>,
    /// The bias of its anchor as this device has it now: mean and variance.
    pub(crate) bias: Option<(f64, f64)>,
}

/// One device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Filter {
    device: CarriedKey,
    level: LevelId,
    /// Of its newest measurement.
    at: LogicalNs,
    /// Of the newest by an anchor of its level.
    own_at: LogicalNs,
    /// Of the newest fix by another system.
    fixed_at: Option<LogicalNs>,
    estimate: Option<Estimate>,
    /// The newest of each anchor or pair, while there is no estimate.
    recent: ArrayVec<Ranged, RECENT_MAX>,
    /// Its height, kept while it begins anew.
    height: Height,
    /// It was in a wrong place before: it begins only where more anchors agree than a place needs.
    wary: bool,
    /// Running share of measurements that looked out of sight or wild, 0..=1.
    doubt: f64,
}

/// What a measurement is expected to be: value without bias, its slope over the state, its change per second. `age_s` is
/// how long before the estimate it was true.
fn expected(e: &Estimate, z: &Ranged, age_s: f64) -> (f64, Row, f64) {
    let m = &e.mean;
    let (expected, g) = z.expected([m[0] - age_s * m[2], m[1] - age_s * m[3], m[Z]]);
    let mut slope: Row = [0.0; N];
    (slope[0], slope[1], slope[Z]) = (g[0], g[1], g[2]);
    (slope[2], slope[3]) = (-age_s * g[0], -age_s * g[1]);
    (expected, slope, g[0] * m[2] + g[1] * m[3])
}

/// Whether an innovation is beyond what noise does, by the declared variance.
fn is_strange(r: &Residual) -> bool {
    r.innovation * r.innovation > STRANGE * STRANGE * (r.predicted + r.declared)
}

/// A measurement meets an estimate: how it differed, its anchor's bias after it, whether it fitted at all.
fn meet(e: &mut Estimate, z: &Ranged, age_s: f64, now: LogicalNs) -> (Met, Residual, Option<(f64, f64)>) {
    let link = if z.b.is_none() { e.link(z.a.sensor, z.bias, now) } else { None };
    let (expected, mut slope, rate_per_s) = expected(e, z, age_s);
    let (bias, extra) = match (link, z.b) {
        (Some(i), _) => {
            slope[i] = 1.0;
            (e.mean[i], 0.0)
        }
        (None, None) => z.bias,
        (None, Some(_)) => (0.0, 0.0),
    };
    let innovation = z.value_m - expected - bias;
    let tail = match z.b {
        None => Tail::Excess { p: z.nlos_p, scale_m: z.nlos_scale_m },
        Some(_) => Tail::Student,
    };
    let met = e.update(innovation, &slope, z.variance_m2 * z.inflation + extra, tail);
    let (predicted, outlier) = (met.predicted, met.outlier);
    let residual = Residual { innovation, predicted, declared: z.variance_m2, outlier, rate_per_s, known: false };
    (met, residual, link.map(|i| (e.mean[i], e.covariance[i][i])))
}

/// The same without moving the estimate.
fn compare(e: &Estimate, z: &Ranged, age_s: f64, known: bool) -> Residual {
    let (expected, slope, rate_per_s) = expected(e, z, age_s);
    let (innovation, predicted) = (z.value_m - expected - z.bias.0, e.expect(&slope));
    let mut r = Residual { innovation, predicted, declared: z.variance_m2, outlier: 0.0, rate_per_s, known };
    r.outlier = f64::from(u8::from(is_strange(&r)));
    r
}

impl Filter {
    fn new(device: CarriedKey, level: LevelId, at: LogicalNs) -> Self {
        let (recent, height) = (ArrayVec::new(), Height::default());
        Self { device, level, at, own_at: at, fixed_at: None, estimate: None, recent, height, wary: false, doubt: 0.0 }
    }

    fn forget_all(&mut self) {
        if let Some(estimate) = self.estimate.take() {
            self.height = estimate.height;
        }
        self.recent.clear();
        self.doubt = 0.0;
    }

    fn found(&self) -> Option<Found> {
        let e = self.estimate.as_ref()?;
        let (m, p) = (&e.mean, &e.covariance);
        Some(Found {
            at_m: [m[0], m[1], m[Z]],
            velocity_mps: [m[2], m[3]],
            covariance_m2: [p[0][0], p[0][1], p[1][1]],
            when: self.at,
        })
    }

    /// Whether it is for anchors of `level` to say where the device is at `measured`; if so it is there from now on.
    fn is_on(&mut self, level: LevelId, measured: LogicalNs) -> bool {
        if measured.since(self.at) > SILENT_MAX {
            self.forget_all();
            self.wary = false;
        }
        if level != self.level {
            if measured.since(self.own_at) <= LEVEL_HELD {
                return false;
            }
            self.forget_all();
            self.level = level;
        }
        self.own_at = self.own_at.max(measured);
        true
    }

    /// Brings the filter to a measurement's time, if that is newer.
    fn advance(&mut self, measured: LogicalNs) {
        let dt = measured.since(self.at).max(DurationNs::ZERO);
        self.at = self.at.max(measured);
        if let Some(estimate) = &mut self.estimate {
            estimate.predict(dt.as_s_f64());
        }
    }

    /// Takes a measurement.
    fn take(&mut self, level: LevelId, z: Ranged) -> Taken {
        if !self.is_on(level, z.measured) {
            return Taken::default();
        }
        self.advance(z.measured);
        let Some(estimate) = &mut self.estimate else {
            if !z.ignored {
                self.gather(z);
            }
            return Taken { found: self.found(), ..Taken::default() };
        };
        let age_s = self.at.since(z.measured).as_s_f64() + z.clock_s;
        let known = self.fixed_at.is_some_and(|at| z.measured.since(at) < FIXED_FOR);
        if known || z.ignored {
            let residual = compare(estimate, &z, age_s, known);
            let teaches = known || self.doubt < DOUBT_TEACHING;
            return Taken { residual: teaches.then_some(residual), ..Taken::default() };
        }
        let teaches = self.doubt < DOUBT_TEACHING;
        let (met, residual, bias) = meet(estimate, &z, age_s, self.at);
        let sound = estimate.is_sound();
        let strange = if is_strange(&residual) { 1.0 } else { met.outlier };
        self.doubt += DOUBT_GAIN * (strange - self.doubt);
        if !sound || self.doubt > DOUBT_MAX {
            self.forget_all();
            self.wary = true;
            return Taken::default();
        }
        let found = if met.wild { None } else { self.found() };
        let residual = teaches.then_some(residual);
        Taken { found, residual, bias }
    }

    /// Keeps a measurement to begin with, and begins where that is possible.
    fn gather(&mut self, z: Ranged) {
        let now = self.at;
        self.recent.retain(|old| now.since(old.measured) <= RECENT && old.anchors() != z.anchors());
        if self.recent.is_full() {
            self.recent.remove(0);
        }
        self.recent.push(z);
        // Three ranges meet somewhere even if one of them lies; five do not. Where there are no five, three must do.
        let waited = self.recent.first().map_or(DurationNs::ZERO, |first| now.since(first.measured));
        if self.wary && self.recent.len() < begin::SPARE_FROM && waited < WARY_FOR {
            return;
        }
        self.estimate = begin::place(&self.recent, self.height).filter(Estimate::is_sound);
        if self.estimate.is_some() {
            self.recent.clear();
        }
    }

    /// Takes where another system says the device is, as a measurement.
    fn fix(&mut self, level: LevelId, at: Point, variance_m2: f64, measured: LogicalNs) {
        if !self.is_on(level, measured) {
            return;
        }
        self.advance(measured);
        self.fixed_at = self.fixed_at.max(Some(measured));
        let age_s = self.at.since(measured).as_s_f64();
        let Some(e) = &mut self.estimate else {
            let v = [variance_m2, variance_m2, self.height.variance_m2];
            let covariance = [[v[0], 0.0, 0.0], [0.0, v[1], 0.0], [0.0, 0.0, v[2]]];
            self.estimate = Some(Estimate::new([at.x_m, at.y_m, self.height.mean_m], covariance, self.height));
            self.recent.clear();
            return;
        };
        for (axis, measured_m) in [at.x_m, at.y_m].into_iter().enumerate() {
            let mut slope: Row = [0.0; N];
            (slope[axis], slope[axis + 2]) = (1.0, -age_s);
            let expected = e.mean[axis] - age_s * e.mean[axis + 2];
            e.update(measured_m - expected, &slope, variance_m2, Tail::None);
        }
        if !e.is_sound() {
            self.forget_all();
        }
    }

    /// A direction to the device, seen from a sensor at `from` (site metres): how it differed, where it is then.
    fn bear(&mut self, from: Point, bearing: Bearing) -> Taken {
        self.advance(bearing.measured);
        let age_s = self.at.since(bearing.measured).as_s_f64() + bearing.clock_s;
        let Some(e) = &mut self.estimate else { return Taken::default() };
        let m = &e.mean;
        let (dx, dy) = (m[0] - age_s * m[2] - from.x_m, m[1] - age_s * m[3] - from.y_m);
        // Nearer than its own uncertainty a device may be on any side.
        let r2 = (dx * dx + dy * dy).max(e.covariance[0][0] + e.covariance[1][1]);
        let mut slope: Row = [0.0; N];
        (slope[0], slope[1]) = (-dy / r2, dx / r2);
        (slope[2], slope[3]) = (-age_s * slope[0], -age_s * slope[1]);
        let rate_per_s = slope[0] * m[2] + slope[1] * m[3];
        let innovation = crate::bearing::wrapped(bearing.value_rad - libm::atan2(dy, dx));
        let met = e.update(innovation, &slope, bearing.variance_rad2 * bearing.inflation, Tail::Student);
        if !e.is_sound() {
            self.forget_all();
            return Taken::default();
        }
        let (predicted, outlier) = (met.predicted, met.outlier);
        let residual =
            Residual { innovation, predicted, declared: bearing.variance_rad2, outlier, rate_per_s, known: false };
        Taken { found: self.found(), residual: Some(residual), bias: None }
    }

    fn is_sound(&self) -> bool {
        self.estimate.as_ref().is_none_or(Estimate::is_sound)
            && (0.0..=1.0).contains(&self.doubt)
            && self.recent.iter().all(Ranged::is_sound)
            && self.height.mean_m.is_finite()
            && self.height.variance_m2 > 0.0
    }
}

/// A direction, its sensor's bias taken off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bearing {
    /// Counter-clockwise from +x of the site, radians.
    pub(crate) value_rad: f64,
    /// Declared variance, and by how much it falls short.
    pub(crate) variance_rad2: f64,
    pub(crate) inflation: f64,
    /// By how much its time is late, seconds.
    pub(crate) clock_s: f64,
    pub(crate) measured: LogicalNs,
}

/// Every device that is heard by ranges.
#[derive(Debug)]
pub(crate) struct Ranging {
    filters: Vec<Filter>,
    by_device: SlotTable,
    max: usize,
}

clone_in_place!(Ranging { filters, by_device, max });

impl Ranging {
    /// Room for `max` devices.
    pub(crate) fn new(max: usize) -> Self {
        Self { filters: Vec::with_capacity(max), by_device: SlotTable::new(max), max }
    }

    fn of(&mut self, device: CarriedKey) -> Option<&mut Filter> {
        let i = self.by_device.get(device.0)? as usize;
        self.filters.get_mut(i)
    }

    /// The filter of a device. Where there is no room for another, the device silent for longest (the lower key where
    /// equal) makes some.
    fn of_or_new(&mut self, device: CarriedKey, level: LevelId, at: LogicalNs) -> Option<&mut Filter> {
        let i = match self.by_device.get(device.0) {
            Some(i) => i as usize,
            None => {
                let fresh = Filter::new(device, level, at);
                let heard = self.filters.iter().map(|d| (d.at, d.device));
                let i = match room_of(heard, self.filters.len() >= self.max, at) {
                    None if self.max == 0 => return None,
                    None => {
                        self.filters.push(fresh);
                        self.filters.len() - 1
                    }
                    Some(oldest) => {
                        self.by_device.remove(self.filters[oldest].device.0);
                        self.filters[oldest] = fresh;
                        oldest
                    }
                };
                self.by_device.insert(device.0, i as u32);
                i
            }
        };
        self.filters.get_mut(i)
    }

    /// Takes a measurement of a device.
    pub(crate) fn take(&mut self, device: CarriedKey, level: LevelId, z: Ranged) -> Taken {
        self.of_or_new(device, level, z.measured).map_or_else(Taken::default, |f| f.take(level, z))
    }

    /// Where another system says that a device is, for a device that is ranged too: ranges are then compared with it.
    pub(crate) fn fix(&mut self, device: CarriedKey, level: LevelId, at: Point, sigma_m: f64, measured: LogicalNs) {
        let variance_m2 = (sigma_m * sigma_m).max(1e-6);
        if let Some(filter) = self.of(device) {
            filter.fix(level, at, variance_m2, measured);
        }
    }

    /// Takes a direction to a device that is ranged at the time; `None` where it is not.
    pub(crate) fn bear(
        &mut self,
        device: CarriedKey,
        level: LevelId,
        from: Point,
        bearing: Bearing,
        live: DurationNs,
    ) -> Option<Taken> {
        let filter = self.of(device)?;
        let lives = filter.estimate.is_some() && bearing.measured.since(filter.own_at) < live;
        (lives && filter.level == level).then(|| filter.bear(from, bearing))
    }

    /// Where a device is on a level by its ranges, if those are not older than `live`.
    pub(crate) fn found(
        &mut self,
        device: CarriedKey,
        level: LevelId,
        now: LogicalNs,
        live: DurationNs,
    ) -> Option<Found> {
        let filter = self.of(device)?;
        let lives = filter.level == level && now.since(filter.own_at) < live;
        if lives { filter.found() } else { None }
    }

    /// How many devices there are.
    pub(crate) fn len(&self) -> usize {
        self.filters.len()
    }

    /// Every filter, ascending by device.
    pub(crate) fn saved(&self) -> Vec<Filter> {
        let mut all = self.filters.clone();
        all.sort_unstable_by_key(|f| f.device);
        all
    }

    /// Takes saved filters back; false where they cannot be.
    pub(crate) fn refill(&mut self, saved: Vec<Filter>) -> bool {
        let sound = saved.len() <= self.max
            && saved.is_sorted_by(|a, b| a.device < b.device)
            && saved.iter().all(Filter::is_sound);
        if sound {
            for (i, filter) in saved.iter().enumerate() {
                self.by_device.insert(filter.device.0, i as u32);
            }
            self.filters.extend(saved);
        }
        sound
    }
}
