//! Carried devices by slant ranges and differences of ranges: one extended Kalman filter per device.
//!
//! The state is place and velocity in the plane, moving with white acceleration; the tag's height is taken as
//! [`TAG_HEIGHT_M`]. Each measurement may be in line of sight, or not and then too long by an exponentially distributed
//! excess; both are followed and joined by their moments, weighted by how well they explain the measurement (a Gaussian
//! sum of two, collapsed after each update: Alspach and Sorenson 1972). A device begins where the measurements of three
//! or more anchors meet (Levenberg-Marquardt from several starts, so that no first guess is needed).

use crate::in_place::clone_in_place;
use crate::keys::SlotTable;
use arrayvec::ArrayVec;
use osmose_model::geometry::Point;
use osmose_model::ids::{CarriedKey, LevelId, SensorId};
use osmose_model::time::{DurationNs, LogicalNs};
use serde::{Deserialize, Serialize};

/// Height of a carried tag above the floor, metres.
pub(crate) const TAG_HEIGHT_M: f64 = 1.1;
/// White-acceleration noise density, m²/s³: between walking on (0.03) and turning (3.5, TRACKING.md).
const ACCELERATION_M2PS3: f64 = 1.0;
/// Velocity variance of a device that begins, per axis, (m/s)².
const VELOCITY_VAR_M2PS2: f64 = 1.7;
/// Measurements of this age no longer help a device to begin.
const RECENT: DurationNs = DurationNs::from_s(1);
/// A device not heard for so long begins anew.
const SILENT_MAX: DurationNs = DurationNs::from_s(5);
/// Measurements kept to begin with.
const RECENT_MAX: usize = 8;
/// A device begins when its place is known at least so well (trace of the covariance), m².
const BEGIN_VAR_M2: f64 = 4.0;
/// A device begins only where its measurements agree: mean squared residual, in variances.
const BEGIN_MISFIT: f64 = 4.0;
/// An innovation beyond so many standard deviations, out of sight included, fits nothing.
const WILD: f64 = 5.0;
/// How fast the share of measurements that look out of sight (or wild) is averaged, and the average at which the filter
/// is taken to be in the wrong place: then the device begins anew.
const DOUBT_GAIN: f64 = 0.15;
const DOUBT_MAX: f64 = 0.7;
/// Steps of Levenberg-Marquardt from each start.
const FIT_STEPS: usize = 20;

/// An anchor: place and height above the tag, metres.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Anchor {
    pub(crate) sensor: SensorId,
    pub(crate) at: Point,
    pub(crate) above_m: f64,
}

impl Anchor {
    /// Slant range of a place, and its slope over x and y.
    fn range(&self, [x, y]: [f64; 2]) -> (f64, [f64; 2]) {
        let (dx, dy) = (x - self.at.x_m, y - self.at.y_m);
        // A millimetre keeps the slope finite right below an anchor.
        let r = (dx * dx + dy * dy + self.above_m * self.above_m).sqrt().max(1e-3);
        (r, [dx / r, dy / r])
    }
}

/// A range to one anchor, or the difference of the ranges to two: `|p - a| - |p - b|`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ranged {
    /// The anchor whose range counts.
    pub(crate) a: Anchor,
    /// The anchor whose range is taken off, for a difference.
    pub(crate) b: Option<Anchor>,
    /// Metres, its constant error taken off.
    pub(crate) value_m: f64,
    /// Its variance in line of sight, m².
    pub(crate) variance_m2: f64,
    /// How likely it is out of sight, and by how much too long it then is on average.
    pub(crate) nlos_p: f64,
    pub(crate) nlos_scale_m: f64,
    pub(crate) measured: LogicalNs,
}

impl Ranged {
    /// What a place would measure, and its slope.
    fn expected(&self, at: [f64; 2]) -> (f64, [f64; 2]) {
        let (r, g) = self.a.range(at);
        match self.b {
            None => (r, g),
            Some(b) => {
                let (s, h) = b.range(at);
                (r - s, [g[0] - h[0], g[1] - h[1]])
            }
        }
    }

    /// Variance with the chance of being out of sight in it: second moment of the excess is 2 scale² (exponential).
    fn wide_variance_m2(&self) -> f64 {
        self.variance_m2 + 2.0 * self.nlos_p * self.nlos_scale_m * self.nlos_scale_m
    }

    fn anchors(&self) -> (SensorId, Option<SensorId>) {
        (self.a.sensor, self.b.map(|b| b.sensor))
    }
}

/// Place and velocity with their covariance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Estimate {
    /// x, y (m), vx, vy (m/s).
    pub(crate) mean: [f64; 4],
    pub(crate) covariance: [[f64; 4]; 4],
}

impl Estimate {
    /// Lets `dt_s` pass.
    fn predict(&mut self, dt_s: f64) {
        let q = ACCELERATION_M2PS3;
        let p = &mut self.covariance;
        for axis in 0..2 {
            self.mean[axis] += dt_s * self.mean[axis + 2];
        }
        // F P F': first the rows of place, then the columns.
        let (place, velocity) = p.split_at_mut(2);
        for (row, rates) in place.iter_mut().zip(velocity) {
            row.iter_mut().zip(rates).for_each(|(c, rate)| *c += dt_s * *rate);
        }
        for row in p.iter_mut() {
            for axis in 0..2 {
                row[axis] += dt_s * row[axis + 2];
            }
        }
        for axis in 0..2 {
            p[axis][axis] += q * dt_s * dt_s * dt_s / 3.0;
            p[axis][axis + 2] += q * dt_s * dt_s / 2.0;
            p[axis + 2][axis] += q * dt_s * dt_s / 2.0;
            p[axis + 2][axis + 2] += q * dt_s;
        }
    }

    /// Meets a measurement; the probability that it was out of sight. `None` where it fits nothing and was not used.
    fn update(&mut self, z: &Ranged) -> Option<f64> {
        let (expected, h) = z.expected([self.mean[0], self.mean[1]]);
        let p = &self.covariance;
        let ph: [f64; 4] = std::array::from_fn(|i| p[i][0] * h[0] + p[i][1] * h[1]);
        let spread = h[0] * ph[0] + h[1] * ph[1];
        let innovation = z.value_m - expected;
        let excess = z.nlos_scale_m;
        // In sight; out of sight: longer by `excess`, of the exponential's variance. A difference may err either way.
        let signs: &[f64] = if z.b.is_some() { &[0.0, 1.0, -1.0] } else { &[0.0, 1.0] };
        let mut terms: ArrayVec<(f64, f64, f64), 3> = ArrayVec::new();
        let (mut total, mut away_total, mut fits) = (0.0, 0.0, false);
        for &sign in signs {
            let away = f64::from(u8::from(sign != 0.0));
            let prior = if away == 0.0 { 1.0 - z.nlos_p } else { z.nlos_p / (signs.len() - 1) as f64 };
            let s = spread + z.variance_m2 + away * excess * excess;
            let off = innovation - sign * excess;
            fits |= prior > 0.0 && off * off <= WILD * WILD * s;
            let weight = prior * libm::exp(-0.5 * off * off / s) / s.sqrt();
            total += weight;
            away_total += away * weight;
            terms.push((weight, s, off));
        }
        if !(fits && total > 0.0) {
            return None;
        }
        // Each term moves the mean by `off/s` along ph and takes 1/s of ph ph' off the covariance; joined by moments.
        let (mut step, mut step2, mut gain) = (0.0, 0.0, 0.0);
        for (weight, s, off) in terms {
            let w = weight / total;
            step += w * off / s;
            step2 += w * (off / s) * (off / s);
            gain += w / s;
        }
        let shrink = gain - (step2 - step * step).max(0.0);
        for i in 0..4 {
            self.mean[i] += ph[i] * step;
            for j in 0..4 {
                self.covariance[i][j] -= shrink * ph[i] * ph[j];
            }
        }
        Some(away_total / total)
    }

    /// Finite, of plausible size, and with variances above zero.
    pub(crate) fn is_sound(&self) -> bool {
        let max = osmose_model::limits::COORDINATE_ABS_MAX_M;
        self.mean.iter().all(|m| m.abs() <= max)
            && self.covariance.iter().flatten().all(|c| c.abs() <= max * max)
            && (0..4).all(|i| self.covariance[i][i] > 0.0)
    }
}

/// One device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Filter {
    device: CarriedKey,
    level: LevelId,
    /// Of its last measurement.
    at: LogicalNs,
    estimate: Option<Estimate>,
    /// The newest of each anchor or pair, while there is no estimate.
    recent: ArrayVec<Ranged, RECENT_MAX>,
    /// Running share of measurements that looked out of sight or wild, 0..=1.
    doubt: f64,
}

/// Squared residuals in variances at a place.
fn misfit(recent: &[Ranged], at: [f64; 2]) -> f64 {
    let of = |z: &Ranged| {
        let off = z.value_m - z.expected(at).0;
        off * off / z.wide_variance_m2()
    };
    recent.iter().map(of).sum()
}

/// Normal equations at a place: the information matrix (xx, xy, yy) and its right-hand side.
fn normal(recent: &[Ranged], at: [f64; 2]) -> ([f64; 3], [f64; 2]) {
    let (mut a, mut b) = ([0.0; 3], [0.0; 2]);
    for z in recent {
        let (expected, g) = z.expected(at);
        let w = 1.0 / z.wide_variance_m2();
        let off = z.value_m - expected;
        a = [a[0] + w * g[0] * g[0], a[1] + w * g[0] * g[1], a[2] + w * g[1] * g[1]];
        b = [b[0] + w * g[0] * off, b[1] + w * g[1] * off];
    }
    (a, b)
}

/// Where measurements meet, from one start: Levenberg (1944), Marquardt (1963).
fn fit(recent: &[Ranged], start: [f64; 2]) -> ([f64; 2], f64) {
    let (mut at, mut cost, mut damping) = (start, misfit(recent, start), 1e-3);
    for _ in 0..FIT_STEPS {
        let ([xx, xy, yy], b) = normal(recent, at);
        let (xx, yy) = (xx * (1.0 + damping) + 1e-9, yy * (1.0 + damping) + 1e-9);
        let det = xx * yy - xy * xy;
        if det <= 0.0 {
            break;
        }
        let next = [at[0] + (yy * b[0] - xy * b[1]) / det, at[1] + (xx * b[1] - xy * b[0]) / det];
        let next_cost = misfit(recent, next);
        // False for NaN too.
        if next_cost < cost {
            (at, cost, damping) = (next, next_cost, damping * 0.3);
        } else {
            damping *= 10.0;
        }
    }
    (at, cost)
}

impl Filter {
    /// A place from the recent measurements, if they determine one and agree.
    fn begin(&self) -> Option<Estimate> {
        let recent = self.recent.as_slice();
        if recent.len() < 3 {
            return None;
        }
        let anchors = || recent.iter().flat_map(|z| [Some(z.a), z.b]).flatten();
        let n = anchors().count() as f64;
        let centre = anchors().fold([0.0; 2], |c, a| [c[0] + a.at.x_m / n, c[1] + a.at.y_m / n]);
        // The centre may sit in the mirror image's valley: also from half-way to each anchor.
        let half = |a: Anchor| [(centre[0] + a.at.x_m) / 2.0, (centre[1] + a.at.y_m) / 2.0];
        let mut best = fit(recent, centre);
        for a in anchors() {
            let other = fit(recent, half(a));
            if other.1 < best.1 {
                best = other;
            }
        }
        let (at, cost) = best;
        let ([xx, xy, yy], _) = normal(recent, at);
        let det = xx * yy - xy * xy;
        if !(det > 0.0 && (xx + yy) / det <= BEGIN_VAR_M2 && cost <= BEGIN_MISFIT * recent.len() as f64) {
            return None;
        }
        let mut covariance = [[0.0; 4]; 4];
        (covariance[0][0], covariance[1][1]) = (yy / det, xx / det);
        (covariance[0][1], covariance[1][0]) = (-xy / det, -xy / det);
        (covariance[2][2], covariance[3][3]) = (VELOCITY_VAR_M2PS2, VELOCITY_VAR_M2PS2);
        let estimate = Estimate { mean: [at[0], at[1], 0.0, 0.0], covariance };
        estimate.is_sound().then_some(estimate)
    }

    fn forget_all(&mut self) {
        self.estimate = None;
        self.recent.clear();
        self.doubt = 0.0;
    }

    /// Takes a measurement; the estimate where there is one after it.
    fn take(&mut self, level: LevelId, z: Ranged) -> Option<Estimate> {
        if level != self.level || z.measured.since(self.at) > SILENT_MAX {
            self.forget_all();
            self.level = level;
        }
        let dt = z.measured.since(self.at).max(DurationNs::ZERO);
        self.at = self.at.max(z.measured);
        if let Some(estimate) = &mut self.estimate {
            estimate.predict(dt.as_s_f64());
            let away = estimate.update(&z);
            let sound = estimate.is_sound();
            self.doubt += DOUBT_GAIN * (away.unwrap_or(1.0) - self.doubt);
            if !sound || self.doubt > DOUBT_MAX {
                self.forget_all();
                return None;
            }
            return self.estimate.filter(|_| away.is_some());
        }
        let now = self.at;
        self.recent.retain(|old| now.since(old.measured) <= RECENT && old.anchors() != z.anchors());
        if self.recent.is_full() {
            self.recent.remove(0);
        }
        self.recent.push(z);
        self.estimate = self.begin();
        if self.estimate.is_some() {
            self.recent.clear();
        }
        self.estimate
    }
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

    /// Takes a measurement of a device; its place where that is known after it. Where there is no room, the device
    /// silent for longest (the lower key where equal) makes some.
    pub(crate) fn take(&mut self, device: CarriedKey, level: LevelId, z: Ranged) -> Option<Estimate> {
        let i = match self.by_device.get(device.0) {
            Some(i) => i as usize,
            None => {
                let fresh =
                    Filter { device, level, at: z.measured, estimate: None, recent: ArrayVec::new(), doubt: 0.0 };
                let i = if self.filters.len() < self.max {
                    self.filters.push(fresh);
                    self.filters.len() - 1
                } else {
                    let oldest = (0..self.max).min_by_key(|&i| (self.filters[i].at, self.filters[i].device))?;
                    self.by_device.remove(self.filters[oldest].device.0);
                    self.filters[oldest] = fresh;
                    oldest
                };
                self.by_device.insert(device.0, i as u32);
                i
            }
        };
        self.filters[i].take(level, z)
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
            && saved.iter().all(|f| {
                f.estimate.is_none_or(|e| e.is_sound())
                    && (0.0..=1.0).contains(&f.doubt)
                    && f.recent.iter().all(|z| z.value_m.is_finite() && z.variance_m2 > 0.0)
            });
        if sound {
            for (i, filter) in saved.iter().enumerate() {
                self.by_device.insert(filter.device.0, i as u32);
            }
            self.filters.extend(saved);
        }
        sound
    }
}
