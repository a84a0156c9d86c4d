//! A carried device as one Gaussian: place, velocity, height, and the constant error of each anchor's ranges to it.
//!
//! State, in this order: x, y (m), vx, vy (m/s), height above the floor z (m), then one bias (m) for each anchor that
//! ranges to the device, so that what place and biases know of each other is kept. The plane moves with white
//! acceleration (Bar-Shalom, Li, Kirubarajan 2001, 6.2.2). The height is an Ornstein-Uhlenbeck process round a mean
//! and a spread of the device's own, both learnt ([`Height`]): anchors that stand in one plane tell nothing of it, and
//! then it stays where tags are usually carried instead of drifting. Measurements come one number at a time; each is
//! an extended Kalman update with a heavy tail ([`Tail`]).

use osmose_model::ids::SensorId;
use osmose_model::time::LogicalNs;
use serde::{Deserialize, Serialize};

/// Place, velocity, height.
pub(crate) const CORE: usize = 5;
/// Anchors whose bias is kept with a device; a ninth is used with its bias as noise.
pub(crate) const LINKS: usize = 8;
/// Numbers of a state.
pub(crate) const N: usize = CORE + LINKS;
/// Where the height stands in a state.
pub(crate) const Z: usize = 4;
/// One row of a state's covariance, or the slope of a measurement over a state.
pub(crate) type Row = [f64; N];

/// White-acceleration noise density, m²/s³: between walking on (0.03) and turning (3.5, TRACKING.md).
const ACCELERATION_M2PS3: f64 = 1.0;
/// Velocity variance of a device that begins, per axis, (m/s)².
const VELOCITY_VAR_M2PS2: f64 = 1.7;
/// How fast a height forgets where it was, seconds.
const HEIGHT_DECAY_S: f64 = 2.0;
/// Over how long a device's own height is learnt, seconds.
const HEIGHT_LEARN_S: f64 = 10.0;
/// Standard deviations that a learnt height may have, metres: from a badge on a lanyard to a drone.
const HEIGHT_SIGMA_M: (f64, f64) = (0.2, 2.0);
/// Height of a carried tag above the floor until its own is learnt, and the variance of that guess, metres.
pub(crate) const TAG_HEIGHT_M: f64 = 1.1;
const TAG_HEIGHT_VAR_M2: f64 = 0.35 * 0.35;
/// Variance of the bias of an anchor of which nothing is known, m²: antenna delays of uncalibrated UWB radios.
pub(crate) const BIAS_VAR_M2: f64 = 0.2 * 0.2;
/// How a bias wanders (temperature, a hand round the tag), m²/s.
const BIAS_WALK_M2PS: f64 = 1e-5;
/// An anchor that was not heard for so long gives its bias's place to another.
const LINK_SILENT_S: f64 = 5.0;
/// An innovation beyond so many standard deviations, out of sight included, fits nothing.
const WILD: f64 = 5.0;
/// Degrees of freedom of the heavy tail: finite variance, and an error of ten sigma weighs next to nothing.
const STUDENT_DOF: f64 = 3.0;

/// What a device's height is like: the mean and variance that it returns to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Height {
    pub(crate) mean_m: f64,
    pub(crate) variance_m2: f64,
}

impl Default for Height {
    fn default() -> Self {
        Self { mean_m: TAG_HEIGHT_M, variance_m2: TAG_HEIGHT_VAR_M2 }
    }
}

impl Height {
    /// Learns from an estimate of the height for `dt_s`, as far as that estimate knows more than this prior does.
    fn learn(&mut self, z_m: f64, variance_m2: f64, dt_s: f64) {
        let known = (1.0 - variance_m2 / self.variance_m2).max(0.0);
        let gain = (dt_s / HEIGHT_LEARN_S).min(0.1) * known;
        let off = z_m - self.mean_m;
        self.mean_m += gain * off;
        self.variance_m2 += gain * ((1.0 - gain) * off * off - self.variance_m2);
        let (low, high) = HEIGHT_SIGMA_M;
        self.variance_m2 = self.variance_m2.clamp(low * low, high * high);
    }
}

/// How a measurement may err beyond its Gaussian noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tail {
    /// Not at all.
    None,
    /// With probability `p` it is out of sight: too long by an exponentially distributed excess of mean `scale_m`.
    /// Both cases are followed and joined by their moments, weighted by how well they explain the measurement (a
    /// Gaussian sum of two, collapsed at once: Alspach and Sorenson 1972).
    Excess {
        /// Probability of being out of sight.
        p: f64,
        /// Mean excess, metres.
        scale_m: f64,
    },
    /// Either way, by Student's t: the variance is divided by the weight `(k + 1) / (k + d²)` of a measurement at the
    /// squared normalised distance d² (one step of iteratively reweighted least squares; Lange, Little, Taylor 1989).
    Student,
}

/// What an update did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Met {
    /// Variance of the prediction, in the measurement's unit squared.
    pub(crate) predicted: f64,
    /// Probability that the measurement was an outlier, 0..=1.
    pub(crate) outlier: f64,
    /// It fitted nothing and was not used.
    pub(crate) wild: bool,
}

/// Whose bias stands at a place of the state, and when that anchor was last heard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Link {
    sensor: SensorId,
    heard: LogicalNs,
}

/// A device's state with its covariance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Estimate {
    pub(crate) mean: Row,
    pub(crate) covariance: [Row; N],
    links: [Option<Link>; LINKS],
    pub(crate) height: Height,
}

impl Estimate {
    /// A device at rest at a place known by `covariance` (x, y, z).
    pub(crate) fn new(at: [f64; 3], covariance: [[f64; 3]; 3], height: Height) -> Self {
        let (mut mean, mut p) = ([0.0; N], [[0.0; N]; N]);
        let place = [0, 1, Z];
        for (i, &row) in place.iter().enumerate() {
            mean[row] = at[i];
            for (j, &column) in place.iter().enumerate() {
                p[row][column] = covariance[i][j];
            }
        }
        (p[2][2], p[3][3]) = (VELOCITY_VAR_M2PS2, VELOCITY_VAR_M2PS2);
        for (i, row) in p.iter_mut().enumerate().skip(CORE) {
            row[i] = BIAS_VAR_M2;
        }
        Self { mean, covariance: p, links: [None; LINKS], height }
    }

    /// Lets `dt_s` pass.
    pub(crate) fn predict(&mut self, dt_s: f64) {
        if dt_s <= 0.0 {
            return;
        }
        self.height.learn(self.mean[Z], self.covariance[Z][Z], dt_s);
        let keep = libm::exp(-dt_s / HEIGHT_DECAY_S);
        self.mean[0] += dt_s * self.mean[2];
        self.mean[1] += dt_s * self.mean[3];
        self.mean[Z] = self.height.mean_m + keep * (self.mean[Z] - self.height.mean_m);
        // F P F': first the rows of place and height, then the columns.
        let p = &mut self.covariance;
        let (place, others) = p.split_at_mut(2);
        for (row, rates) in place.iter_mut().zip(&others[..2]) {
            row.iter_mut().zip(rates).for_each(|(c, rate)| *c += dt_s * *rate);
        }
        p[Z].iter_mut().for_each(|c| *c *= keep);
        for row in p.iter_mut() {
            row[0] += dt_s * row[2];
            row[1] += dt_s * row[3];
            row[Z] *= keep;
        }
        // Rows and columns were added in another order: the upper half stands for both.
        mirror(p);
        let q = ACCELERATION_M2PS3;
        for axis in 0..2 {
            p[axis][axis] += q * dt_s * dt_s * dt_s / 3.0;
            p[axis][axis + 2] += q * dt_s * dt_s / 2.0;
            p[axis + 2][axis] += q * dt_s * dt_s / 2.0;
            p[axis + 2][axis + 2] += q * dt_s;
        }
        p[Z][Z] += self.height.variance_m2 * (1.0 - keep * keep);
        for (i, row) in p.iter_mut().enumerate().skip(CORE) {
            if row[i] < BIAS_VAR_M2 {
                row[i] += BIAS_WALK_M2PS * dt_s;
            }
        }
    }

    /// Where the bias of an anchor stands in the state; it begins as `prior` (mean, variance) where it is new. `None`
    /// where every place is taken by an anchor that was heard lately.
    pub(crate) fn link(&mut self, sensor: SensorId, prior: (f64, f64), now: LogicalNs) -> Option<usize> {
        let known = self.links.iter().position(|l| l.is_some_and(|l| l.sensor == sensor));
        let i = known.or_else(|| {
            let i = self.links.iter().position(|l| l.is_none_or(|l| now.since(l.heard).as_s_f64() > LINK_SILENT_S))?;
            self.mean[CORE + i] = prior.0;
            for other in 0..N {
                self.covariance[CORE + i][other] = 0.0;
                self.covariance[other][CORE + i] = 0.0;
            }
            self.covariance[CORE + i][CORE + i] = prior.1;
            Some(i)
        })?;
        self.links[i] = Some(Link { sensor, heard: now });
        Some(CORE + i)
    }

    /// Variance of what is expected of a measurement with a slope.
    pub(crate) fn expect(&self, slope: &Row) -> f64 {
        let of = |(row, h): (&Row, &f64)| h * row.iter().zip(slope).map(|(c, g)| c * g).sum::<f64>();
        self.covariance.iter().zip(slope).map(of).sum::<f64>().max(0.0)
    }

    /// Meets a measurement: `innovation` (measured less expected), the expected value's slope over the state, the
    /// measurement's variance.
    pub(crate) fn update(&mut self, innovation: f64, slope: &Row, variance: f64, tail: Tail) -> Met {
        let ph: Row = std::array::from_fn(|i| self.covariance[i].iter().zip(slope).map(|(c, h)| c * h).sum());
        let predicted = ph.iter().zip(slope).map(|(c, h)| c * h).sum::<f64>().max(0.0);
        let (step, shrink, outlier) = match tail {
            Tail::None => {
                let s = predicted + variance;
                (innovation / s, 1.0 / s, 0.0)
            }
            Tail::Student => {
                let distance2 = innovation * innovation / (predicted + variance);
                let weight = (STUDENT_DOF + 1.0) / (STUDENT_DOF + distance2);
                let s = predicted + variance / weight;
                (innovation / s, 1.0 / s, (1.0 - weight).max(0.0))
            }
            Tail::Excess { p, scale_m } => match longer(innovation, predicted, variance, p, scale_m) {
                Some(joined) => joined,
                None => return Met { predicted, outlier: 1.0, wild: true },
            },
        };
        for i in 0..N {
            self.mean[i] += ph[i] * step;
            for j in 0..N {
                self.covariance[i][j] -= shrink * (ph[i] * ph[j]);
            }
        }
        Met { predicted, outlier, wild: false }
    }

    /// Finite, of plausible size, and with variances above zero.
    pub(crate) fn is_sound(&self) -> bool {
        let max = osmose_model::limits::COORDINATE_ABS_MAX_M;
        self.mean.iter().all(|m| m.abs() <= max)
            && self.covariance.iter().flatten().all(|c| c.abs() <= max * max)
            && (0..N).all(|i| self.covariance[i][i] > 0.0)
            && self.height.mean_m.abs() <= max
            && self.height.variance_m2 > 0.0
            && self.height.variance_m2 <= max
    }
}

/// Copies the upper half of a matrix to its lower half.
#[allow(clippy::needless_range_loop, reason = "both indices change places")]
pub(crate) fn mirror<const M: usize>(p: &mut [[f64; M]; M]) {
    for i in 1..M {
        for j in 0..i {
            p[i][j] = p[j][i];
        }
    }
}

/// The step along the gain, how much is taken off the covariance along it, and the probability of being out of sight,
/// of a range that may be too long. `None` where it fits neither way.
fn longer(innovation: f64, predicted: f64, variance: f64, p: f64, scale_m: f64) -> Option<(f64, f64, f64)> {
    // In sight; out of sight: longer by `scale_m`, of the exponential's variance.
    let cases = [(1.0 - p, 0.0), (p, scale_m)].map(|(prior, excess)| {
        let (s, off) = (predicted + variance + excess * excess, innovation - excess);
        (prior * libm::exp(-0.5 * off * off / s) / s.sqrt(), s, off, prior > 0.0 && off * off <= WILD * WILD * s)
    });
    let total = cases[0].0 + cases[1].0;
    if !(total > 0.0 && cases.iter().any(|c| c.3)) {
        return None;
    }
    // Each case moves the mean by `off / s` along the gain and takes 1/s off the covariance; joined by moments.
    let (mut step, mut step2, mut gain) = (0.0, 0.0, 0.0);
    for (weight, s, off, _) in cases {
        let w = weight / total;
        step += w * off / s;
        step2 += w * (off / s) * (off / s);
        gain += w / s;
    }
    Some((step, gain - (step2 - step * step).max(0.0), cases[1].0 / total))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether a matrix is symmetric to the last bit and positive definite (Cholesky finds every pivot above zero).
    #[allow(clippy::needless_range_loop, reason = "the textbook's indices")]
    pub(crate) fn is_covariance<const M: usize>(p: &[[f64; M]; M]) -> bool {
        let mut l = [[0.0; M]; M];
        for i in 0..M {
            for j in 0..=i {
                if p[i][j] != p[j][i] {
                    return false;
                }
                let sum: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
                if i == j {
                    let pivot = p[i][i] - sum;
                    if pivot.is_nan() || pivot <= 0.0 {
                        return false;
                    }
                    l[i][i] = pivot.sqrt();
                } else {
                    l[i][j] = (p[i][j] - sum) / l[j][j];
                }
            }
        }
        true
    }

    fn begun() -> Estimate {
        let p = [[1.0, 0.1, 0.0], [0.1, 1.0, 0.0], [0.0, 0.0, 0.1]];
        Estimate::new([1.0, 2.0, 1.1], p, Height::default())
    }

    fn tail() -> impl Strategy<Value = Tail> {
        prop_oneof![
            Just(Tail::None),
            Just(Tail::Student),
            (0.0..0.99f64, 0.0..5.0f64).prop_map(|(p, scale_m)| Tail::Excess { p, scale_m }),
        ]
    }

    proptest! {
        #[test]
        fn the_covariance_stays_symmetric_and_positive_definite(
            steps in prop::collection::vec(
                (0.0..2.0f64, -30.0..30.0f64, prop::array::uniform5(-1.0..1.0f64), 0u16..12, 1e-3..3.0f64, tail()), 1..120),
        ) {
            let mut e = begun();
            let mut now = LogicalNs(0);
            for (dt_s, innovation, core, anchor, sigma, tail) in steps {
                e.predict(dt_s);
                now = now.plus(osmose_model::time::DurationNs((dt_s * 1e9) as i64));
                let mut slope = [0.0; N];
                slope[..CORE].copy_from_slice(&core);
                if let Some(i) = e.link(SensorId(anchor), (0.0, BIAS_VAR_M2), now) {
                    slope[i] = 1.0;
                }
                let met = e.update(innovation, &slope, sigma * sigma, tail);
                prop_assert!((0.0..=1.0).contains(&met.outlier) && met.predicted >= 0.0);
                prop_assert!(is_covariance(&e.covariance), "{:?}", e.covariance);
            }
        }

        #[test]
        fn two_short_predictions_are_one_long_one(a in 0.01..1.0f64, b in 0.01..1.0f64) {
            // With the height's own learning out of the way: it steps in time.
            let still = |mut e: Estimate| { e.covariance[Z][Z] = e.height.variance_m2; e };
            let (mut twice, mut once) = (still(begun()), still(begun()));
            (twice.mean[2], once.mean[2]) = (1.0, 1.0);
            twice.predict(a);
            twice.predict(b);
            once.predict(a + b);
            for i in 0..CORE {
                prop_assert!((twice.mean[i] - once.mean[i]).abs() < 1e-9);
                for j in 0..CORE {
                    prop_assert!((twice.covariance[i][j] - once.covariance[i][j]).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn a_measurement_that_is_ten_sigma_off_hardly_moves_anything() {
        let mut slope = [0.0; N];
        slope[0] = 1.0;
        for tail in [Tail::Student, Tail::Excess { p: 0.1, scale_m: 1.0 }] {
            let mut e = begun();
            e.covariance[0][0] = 0.01;
            (e.covariance[0][1], e.covariance[1][0]) = (0.0, 0.0);
            let met = e.update(2.0, &slope, 0.01, tail);
            assert!(met.outlier > 0.9 && (e.mean[0] - 1.0).abs() < 0.1, "{tail:?}: {met:?}, {}", e.mean[0]);
        }
    }

    #[test]
    fn a_height_is_learnt_where_it_is_measured_and_only_there() {
        let mut up = [0.0; N];
        up[Z] = 1.0;
        let (mut seen, mut unseen) = (begun(), begun());
        for _ in 0..2000 {
            seen.predict(0.02);
            seen.update(2.5 - seen.mean[Z], &up, 0.01, Tail::None);
            unseen.predict(0.02);
        }
        assert!((seen.mean[Z] - 2.5).abs() < 0.05 && (seen.height.mean_m - 2.5).abs() < 0.1, "{:?}", seen.height);
        assert_eq!(unseen.height.mean_m, TAG_HEIGHT_M);
        assert!((unseen.mean[Z] - TAG_HEIGHT_M).abs() < 1e-9 && unseen.covariance[Z][Z] < 0.13);
    }
}
