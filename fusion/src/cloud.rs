//! Where somebody may be, as a few Gaussians: for measurements that say something about the place and not where it is,
//! as received strength (a ring round the receiver) and a direction (a ray) do.
//!
//! Each Gaussian is place and velocity in the plane. Velocity is an Ornstein-Uhlenbeck process, so that who is not
//! measured well does not run away in a straight line. A measurement moves each Gaussian by an unscented update on its
//! place (five points, kappa = 1: Julier and Uhlmann 1997) and weighs it by how well it explains the measurement;
//! Gaussians that say the same are merged by their moments (Salmond 1990). No randomness, no allocation.

use crate::slant::mirror;
use arrayvec::ArrayVec;
use osmose_model::geometry::Aabb;
use serde::{Deserialize, Serialize};

/// Gaussians kept after a measurement.
const PARTS_MAX: usize = 8;
/// Gaussians at once, newly offered ones with them.
const ROOM: usize = 12;
/// Standard deviation of a velocity per axis, m/s, and how fast it forgets itself, seconds.
const SPEED_MPS: f64 = 1.0;
const SPEED_DECAY_S: f64 = 2.0;
/// What else moves a place (a turn, a hand), m²/s.
const WALK_M2PS: f64 = 0.2;
/// Gaussians nearer to each other than this (squared Mahalanobis distance) are one.
const MERGE: f64 = 1.0;
/// Gaussians of less weight are dropped.
const WEIGHT_MIN: f64 = 1e-3;
/// Likelihood, as a density of standardised innovations, below which no Gaussian is punished further.
const LIKELIHOOD_MIN: f64 = 1e-5;
/// An innovation counts for at most so many standard deviations.
const INNOVATION_MAX: f64 = 4.0;
/// How far inside its box a place that left it is taken to be known, metres.
const BOX_SIGMA_M: f64 = 0.5;

/// One Gaussian: x, y (m), vx, vy (m/s).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    weight: f64,
    mean: [f64; 4],
    covariance: [[f64; 4]; 4],
}

/// The mixture; empty where nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cloud {
    parts: ArrayVec<Part, ROOM>,
}

/// Mean and covariance of a whole mixture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) at_m: [f64; 2],
    pub(crate) velocity_mps: [f64; 2],
    /// xx, xy, yy.
    pub(crate) covariance_m2: [f64; 3],
}

/// What a mixture expected of a measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Expected {
    /// Measured less expected.
    pub(crate) innovation: f64,
    /// Variance of what was expected.
    pub(crate) predicted: f64,
    /// Mean likelihood of the standardised innovation, 0..=1.
    pub(crate) likelihood: f64,
}

/// A number measured: what a place would give, how two values differ, the value, its variance, and how long before the
/// cloud's time it was true.
pub(crate) struct Measured<F: Fn([f64; 2]) -> f64> {
    pub(crate) expected: F,
    pub(crate) difference: fn(f64, f64) -> f64,
    pub(crate) value: f64,
    pub(crate) variance: f64,
    pub(crate) age_s: f64,
}

impl Part {
    /// Unscented update; the innovation, the variance of the expectation, and the likelihood.
    fn meet<F: Fn([f64; 2]) -> f64>(&mut self, z: &Measured<F>) -> (f64, f64, f64) {
        let p = &self.covariance;
        let l00 = p[0][0].max(1e-9).sqrt();
        let l10 = p[0][1] / l00;
        let l11 = (p[1][1] - l10 * l10).max(1e-9).sqrt();
        let reach = 3.0_f64.sqrt();
        let at = [self.mean[0] - z.age_s * self.mean[2], self.mean[1] - z.age_s * self.mean[3]];
        let point = |u: f64, v: f64| (z.expected)([at[0] + reach * l00 * u, at[1] + reach * (l10 * u + l11 * v)]);
        let centre = point(0.0, 0.0);
        // As differences from the centre's value, so that angles may wrap.
        let around = [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)];
        let off = around.map(|(u, v)| (z.difference)(point(u, v), centre));
        let mean = off.iter().sum::<f64>() / 6.0;
        let variance = off.iter().map(|o| (o - mean) * (o - mean)).sum::<f64>() / 6.0 + mean * mean / 3.0;
        // Covariance of place and value, as a slope over the place: P slope = L c.
        let (c0, c1) = (reach * (off[0] - off[1]) / 6.0, reach * (off[2] - off[3]) / 6.0);
        let slope1 = c1 / l11;
        let slope0 = (c0 - l10 * slope1) / l00;
        let ph: [f64; 4] = std::array::from_fn(|i| p[i][0] * slope0 + p[i][1] * slope1);
        let innovation = (z.difference)(z.value, centre + mean);
        let s = variance + z.variance;
        let distance2 = innovation * innovation / s;
        let likelihood = libm::exp(-0.5 * distance2);
        let used = if distance2 > INNOVATION_MAX * INNOVATION_MAX {
            innovation * INNOVATION_MAX / distance2.sqrt()
        } else {
            innovation
        };
        for i in 0..4 {
            self.mean[i] += ph[i] * used / s;
            for j in 0..4 {
                self.covariance[i][j] -= ph[i] * ph[j] / s;
            }
        }
        self.weight *= (likelihood + LIKELIHOOD_MIN) / s.sqrt();
        (innovation, variance, likelihood)
    }

    /// Pulls a place that lies outside its box back to the edge.
    fn keep_within(&mut self, bounds: &Aabb) {
        let edges = [(bounds.min.x_m, bounds.max.x_m), (bounds.min.y_m, bounds.max.y_m)];
        for (axis, (low, high)) in edges.into_iter().enumerate() {
            let innovation = self.mean[axis].clamp(low, high) - self.mean[axis];
            if innovation == 0.0 {
                continue;
            }
            let ph: [f64; 4] = std::array::from_fn(|i| self.covariance[i][axis]);
            let s = ph[axis] + BOX_SIGMA_M * BOX_SIGMA_M;
            for i in 0..4 {
                self.mean[i] += ph[i] * innovation / s;
                for j in 0..4 {
                    self.covariance[i][j] -= ph[i] * ph[j] / s;
                }
            }
        }
    }

    /// Squared Mahalanobis distance of another's place.
    fn distance2(&self, other: &Self) -> f64 {
        let p = &self.covariance;
        let (dx, dy) = (other.mean[0] - self.mean[0], other.mean[1] - self.mean[1]);
        let det = (p[0][0] * p[1][1] - p[0][1] * p[0][1]).max(1e-12);
        (dx * dx * p[1][1] - 2.0 * dx * dy * p[0][1] + dy * dy * p[0][0]) / det
    }

    /// Takes another in, by their moments.
    fn absorb(&mut self, other: &Self) {
        let weight = self.weight + other.weight;
        let (u, v) = (self.weight / weight, other.weight / weight);
        let d: [f64; 4] = std::array::from_fn(|i| self.mean[i] - other.mean[i]);
        for i in 0..4 {
            self.mean[i] = u * self.mean[i] + v * other.mean[i];
            for j in 0..4 {
                self.covariance[i][j] = u * self.covariance[i][j] + v * other.covariance[i][j] + u * v * (d[i] * d[j]);
            }
        }
        self.weight = weight;
    }

    fn is_sound(&self) -> bool {
        let max = osmose_model::limits::COORDINATE_ABS_MAX_M;
        self.weight.is_finite()
            && self.weight >= 0.0
            && self.mean.iter().all(|m| m.abs() <= max)
            && self.covariance.iter().flatten().all(|c| c.abs() <= max * max)
            && (0..4).all(|i| self.covariance[i][i] > 0.0)
    }
}

impl Cloud {
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.parts.clear();
    }

    /// Adds a Gaussian at rest, of `weight` against all there are together; the least one makes room.
    pub(crate) fn offer(&mut self, at: [f64; 2], covariance_m2: [f64; 3], weight: f64) {
        if self.parts.is_full() {
            self.parts.pop();
        }
        let total: f64 = self.parts.iter().map(|p| p.weight).sum();
        let weight = if self.parts.is_empty() { weight } else { weight * total };
        let mut covariance = [[0.0; 4]; 4];
        let [xx, xy, yy] = covariance_m2;
        (covariance[0][0], covariance[0][1], covariance[1][0], covariance[1][1]) = (xx, xy, xy, yy);
        (covariance[2][2], covariance[3][3]) = (SPEED_MPS * SPEED_MPS, SPEED_MPS * SPEED_MPS);
        self.parts.push(Part { weight, mean: [at[0], at[1], 0.0, 0.0], covariance });
    }

    /// Lets `dt_s` pass (exact discretisation of the Ornstein-Uhlenbeck velocity).
    pub(crate) fn predict(&mut self, dt_s: f64) {
        if dt_s <= 0.0 {
            return;
        }
        let tau = SPEED_DECAY_S;
        let keep = libm::exp(-dt_s / tau);
        let reach = tau * (1.0 - keep);
        let var = SPEED_MPS * SPEED_MPS;
        let place = (var * tau * (2.0 * dt_s - tau * (3.0 - 4.0 * keep + keep * keep))).max(0.0) + WALK_M2PS * dt_s;
        let (cross, velocity) = (var * tau * (1.0 - keep) * (1.0 - keep), var * (1.0 - keep * keep));
        for part in &mut self.parts {
            let p = &mut part.covariance;
            for axis in 0..2 {
                part.mean[axis] += reach * part.mean[axis + 2];
                part.mean[axis + 2] *= keep;
            }
            let (place_rows, velocity_rows) = p.split_at_mut(2);
            for (row, rates) in place_rows.iter_mut().zip(velocity_rows) {
                for (c, rate) in row.iter_mut().zip(rates) {
                    *c += reach * *rate;
                    *rate *= keep;
                }
            }
            for row in p.iter_mut() {
                for j in 0..2 {
                    row[j] += reach * row[j + 2];
                    row[j + 2] *= keep;
                }
            }
            // Rows and columns were added in another order: the upper half stands for both.
            mirror(p);
            for axis in 0..2 {
                p[axis][axis] += place;
                p[axis][axis + 2] += cross;
                p[axis + 2][axis] += cross;
                p[axis + 2][axis + 2] += velocity;
            }
        }
    }

    /// Meets a measurement; what was expected of it. The mixture must not be empty.
    pub(crate) fn meet<F: Fn([f64; 2]) -> f64>(&mut self, z: &Measured<F>, bounds: Option<&Aabb>) -> Expected {
        let total: f64 = self.parts.iter().map(|p| p.weight).sum();
        let (mut mean, mut square, mut predicted, mut likelihood) = (0.0, 0.0, 0.0, 0.0);
        for part in &mut self.parts {
            let share = part.weight / total;
            let (innovation, variance, fit) = part.meet(z);
            mean += share * innovation;
            square += share * innovation * innovation;
            predicted += share * variance;
            likelihood += share * fit;
            if let Some(bounds) = bounds {
                part.keep_within(bounds);
            }
        }
        self.reduce();
        Expected { innovation: mean, predicted: predicted + (square - mean * mean).max(0.0), likelihood }
    }

    /// Weights to one; drops, merges, and keeps the heaviest.
    fn reduce(&mut self) {
        self.parts.retain(|p| p.is_sound());
        let total: f64 = self.parts.iter().map(|p| p.weight).sum();
        if total.is_nan() || total <= 0.0 {
            self.parts.clear();
            return;
        }
        self.parts.iter_mut().for_each(|p| p.weight /= total);
        self.parts.retain(|p| p.weight >= WEIGHT_MIN);
        let parts = self.parts.as_mut_slice();
        // A stable order by insertion: equal weights stay as they came.
        for i in 1..parts.len() {
            let mut j = i;
            while j > 0 && parts[j - 1].weight < parts[j].weight {
                parts.swap(j - 1, j);
                j -= 1;
            }
        }
        let mut i = 0;
        while i < self.parts.len() {
            let mut j = i + 1;
            while j < self.parts.len() {
                if self.parts[i].distance2(&self.parts[j]) < MERGE {
                    let other = self.parts.remove(j);
                    self.parts[i].absorb(&other);
                } else {
                    j += 1;
                }
            }
            i += 1;
        }
        self.parts.truncate(PARTS_MAX);
    }

    /// Mean and covariance of the whole; `None` where it is empty.
    pub(crate) fn summary(&self) -> Option<Summary> {
        let total: f64 = self.parts.iter().map(|p| p.weight).sum();
        if self.parts.is_empty() || total.is_nan() || total <= 0.0 {
            return None;
        }
        let mean: [f64; 4] = std::array::from_fn(|i| self.parts.iter().map(|p| p.weight / total * p.mean[i]).sum());
        let moment = |i: usize, j: usize| {
            let of = |p: &Part| p.covariance[i][j] + (p.mean[i] - mean[i]) * (p.mean[j] - mean[j]);
            self.parts.iter().map(|p| p.weight / total * of(p)).sum()
        };
        let covariance_m2 = [moment(0, 0), moment(0, 1), moment(1, 1)];
        Some(Summary { at_m: [mean[0], mean[1]], velocity_mps: [mean[2], mean[3]], covariance_m2 })
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.parts.iter().all(Part::is_sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slant::tests::is_covariance;
    use osmose_model::geometry::Point;
    use proptest::prelude::*;

    fn ring(centre: [f64; 2]) -> impl Fn([f64; 2]) -> f64 {
        move |[x, y]| {
            let d2 = (x - centre[0]) * (x - centre[0]) + (y - centre[1]) * (y - centre[1]) + 1.0;
            -59.0 - 10.0 * libm::log10(d2)
        }
    }

    fn strength(centre: [f64; 2], value: f64, variance: f64) -> Measured<impl Fn([f64; 2]) -> f64> {
        Measured { expected: ring(centre), difference: |a, b| a - b, value, variance, age_s: 0.0 }
    }

    proptest! {
        #[test]
        fn every_covariance_stays_symmetric_and_positive_definite(
            steps in prop::collection::vec(
                (0.0..3.0f64, prop::array::uniform2(-20.0..20.0f64), -100.0..-40.0f64, 0.5..12.0f64, any::<bool>()), 1..80),
        ) {
            let bounds = Aabb { min: Point::new(-15.0, -15.0), max: Point::new(15.0, 15.0) };
            let mut cloud = Cloud::default();
            for (dt_s, centre, value, sigma, new) in steps {
                if cloud.is_empty() || new {
                    cloud.offer(centre, [9.0, 0.0, 9.0], 0.1);
                }
                cloud.predict(dt_s);
                let expected = cloud.meet(&strength(centre, value, sigma * sigma), Some(&bounds));
                prop_assert!(expected.predicted >= 0.0 && (0.0..=1.0).contains(&expected.likelihood));
                prop_assert!(cloud.parts.iter().all(|p| is_covariance(&p.covariance)), "{cloud:?}");
                prop_assert!(cloud.parts.len() <= PARTS_MAX);
                let weight: f64 = cloud.parts.iter().map(|p| p.weight).sum();
                // Of nine at most, those below the least weight were dropped, and the lightest where all nine are heavier.
                let most = PARTS_MAX as f64 + 1.0;
                let least = (1.0 - most * WEIGHT_MIN) * (1.0 - 1.0 / most);
                prop_assert!(cloud.is_empty() || (least..=1.0 + 1e-9).contains(&weight), "{weight}");
            }
        }
    }

    #[test]
    fn the_same_as_a_grid_of_all_places() {
        // Four receivers, noise-free: the mixture's mean against the posterior mean over a fine grid.
        let (receivers, truth) = ([[0.0, 0.0], [10.0, 0.0], [0.0, 8.0], [10.0, 8.0]], [3.0, 5.0]);
        let mut cloud = Cloud::default();
        cloud.offer([5.0, 4.0], [16.0, 0.0, 16.0], 1.0);
        for _ in 0..5 {
            for r in receivers {
                cloud.meet(&strength(r, ring(r)(truth), 36.0), None);
            }
        }
        let (mut sum, mut mean) = (0.0, [0.0; 2]);
        for i in 0..400 {
            for j in 0..400 {
                let at = [-10.0 + 0.075 * f64::from(i), -10.0 + 0.075 * f64::from(j)];
                let off = |r: [f64; 2]| ring(r)(at) - ring(r)(truth);
                let prior = ((at[0] - 5.0) * (at[0] - 5.0) + (at[1] - 4.0) * (at[1] - 4.0)) / 16.0;
                let misfit = receivers.iter().map(|r| 5.0 * off(*r) * off(*r) / 36.0).sum::<f64>() + prior;
                let w = libm::exp(-0.5 * misfit);
                sum += w;
                mean = [mean[0] + w * at[0], mean[1] + w * at[1]];
            }
        }
        let got = cloud.summary().unwrap().at_m;
        let off = [got[0] - mean[0] / sum, got[1] - mean[1] / sum];
        assert!(off[0].abs() < 0.4 && off[1].abs() < 0.4, "{got:?}, on the grid {:?}", [mean[0] / sum, mean[1] / sum]);
    }

    #[test]
    fn two_places_stay_two_until_something_tells_them_apart() {
        let mut cloud = Cloud::default();
        cloud.offer([-6.0, 0.0], [1.0, 0.0, 1.0], 0.5);
        cloud.offer([6.0, 0.0], [1.0, 0.0, 1.0], 1.0);
        let z = strength([0.0, 0.0], ring([0.0, 0.0])([6.0, 0.0]), 9.0);
        cloud.meet(&z, None);
        assert_eq!(cloud.parts.len(), 2);
        let near = [8.0, 0.0];
        for _ in 0..5 {
            cloud.meet(&strength(near, ring(near)([6.0, 0.0]), 9.0), None);
        }
        assert!(cloud.summary().unwrap().at_m[0] > 5.0, "{cloud:?}");
    }
}
