//! The tracks themselves: one flat array per field, in the order of their ids, never longer than the limit.
//!
//! New tracks are appended and dropped ones squeezed out, so the order of ids is kept without sorting.

use super::gaussian::{COMPONENTS_MAX, Gaussian};
use super::pair::Pair;
use serde::{Deserialize, Serialize};

/// What stands once per track, apart from its Gaussians.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Never used again for another track.
    pub(crate) id: u64,
    /// Probability that this is a person.
    pub(crate) existence: f64,
    /// Remembered speed, m/s.
    pub(crate) speed: f64,
    /// Scan that began it.
    pub(crate) born_ns: i64,
    /// Last scan in which it was probably detected.
    pub(crate) hit_ns: i64,
    /// Was above the report threshold once.
    pub(crate) shown: bool,
    /// Probability that it came after the first scan; 0 once that was counted as a birth.
    pub(crate) came: f64,
    /// Its speed was counted towards the usual one.
    pub(crate) paced: bool,
    /// How many Gaussians.
    pub(crate) count: u8,
    /// In the last scan: the detection most likely its own (index in the caller's slice), and how likely.
    pub(crate) best: Option<u32>,
    /// Probability that `best` was its own.
    pub(crate) best_share: f64,
}

/// All tracks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracks {
    pub(crate) heads: Vec<Head>,
    /// `COMPONENTS_MAX` places for each track, the first `count` in use.
    gaussians: Vec<Gaussian>,
    max: usize,
}

impl Tracks {
    /// Room for `max` tracks.
    pub(crate) fn new(max: usize) -> Self {
        Tracks { heads: Vec::with_capacity(max), gaussians: Vec::with_capacity(max * COMPONENTS_MAX), max }
    }

    /// How many.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.heads.len()
    }

    /// Gaussians of track `i`.
    #[inline]
    pub(crate) fn mixture(&self, i: usize) -> &[Gaussian] {
        let at = i * COMPONENTS_MAX;
        &self.gaussians[at..at + usize::from(self.heads[i].count)]
    }

    /// Gaussians of track `i`, to change.
    #[inline]
    pub(crate) fn mixture_mut(&mut self, i: usize) -> &mut [Gaussian] {
        let at = i * COMPONENTS_MAX;
        &mut self.gaussians[at..at + usize::from(self.heads[i].count)]
    }

    /// Gives track `i` a new mixture (at most `COMPONENTS_MAX`).
    #[inline]
    pub(crate) fn set_mixture(&mut self, i: usize, mixture: &[Gaussian]) {
        let at = i * COMPONENTS_MAX;
        self.gaussians[at..at + mixture.len()].copy_from_slice(mixture);
        self.heads[i].count = mixture.len() as u8;
    }

    /// Appends a track; false if there is no room.
    pub(crate) fn push(&mut self, head: Head, mixture: &[Gaussian]) -> bool {
        if self.heads.len() == self.max {
            return false;
        }
        self.heads.push(head);
        self.gaussians.extend_from_slice(mixture);
        self.gaussians.resize(self.heads.len() * COMPONENTS_MAX, Gaussian::default());
        let last = self.heads.len() - 1;
        self.heads[last].count = mixture.len() as u8;
        true
    }

    /// Moves track `from` to the place of track `to`, which is before it.
    #[inline]
    pub(crate) fn shift(&mut self, from: usize, to: usize) {
        if from != to {
            self.heads[to] = self.heads[from];
            let (a, n) = (from * COMPONENTS_MAX, usize::from(self.heads[from].count));
            self.gaussians.copy_within(a..a + n, to * COMPONENTS_MAX);
        }
    }

    /// Forgets all tracks from `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.heads.truncate(len);
        self.gaussians.truncate(len * COMPONENTS_MAX);
    }

    /// Mean x, y, vx, vy of track `i`.
    #[inline]
    pub(crate) fn mean(&self, i: usize) -> [f64; 4] {
        let mut mean = [0.0; 4];
        for g in self.mixture(i) {
            for (sum, c) in mean.iter_mut().zip(g.centre()) {
                *sum += g.weight * c;
            }
        }
        mean
    }

    /// Trace of the velocity covariance of track `i` inside its Gaussians, (m/s)2.
    pub(crate) fn velocity_doubt(&self, i: usize) -> f64 {
        use super::gaussian::{UU, VV};
        self.mixture(i).iter().map(|g| g.weight * ((g.cov[UU] + g.cov[VV]) * g.mode).sum()).sum()
    }

    /// Covariance of track `i`, all spreads included: place xx, xy, yy and velocity uu, uv, vv.
    pub(crate) fn covariance(&self, i: usize) -> ([f64; 3], [f64; 3]) {
        let mean = self.mean(i);
        let (mut place, mut velocity) = ([0.0; 3], [0.0; 3]);
        for g in self.mixture(i) {
            let c = g.collapse();
            let d = [c.mean[0] - mean[0], c.mean[1] - mean[1], c.mean[2] - mean[2], c.mean[3] - mean[3]];
            let spread_place = [d[0] * d[0], d[0] * d[1], d[1] * d[1]];
            let spread_velocity = [d[2] * d[2], d[2] * d[3], d[3] * d[3]];
            for k in 0..3 {
                place[k] += g.weight * (c.place[k] + spread_place[k]);
                velocity[k] += g.weight * (c.velocity[k] + spread_velocity[k]);
            }
        }
        (place, velocity)
    }
}

/// Mode probabilities in the long run for the given switching rates.
pub(crate) fn stationary(turn_begin_per_s: f64, turn_end_per_s: f64) -> Pair {
    let turning = turn_begin_per_s / (turn_begin_per_s + turn_end_per_s);
    Pair(1.0 - turning, turning)
}
