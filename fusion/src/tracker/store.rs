//! The tracks themselves: heads in one array, Gaussians in another, one track after the other, in the order of their ids.
//!
//! New tracks are appended and dropped ones squeezed out, so the order of ids is kept without sorting. Most tracks have
//! one Gaussian of the few that they may have; packed, those of a thousand tracks stay in a small cache. A scan writes
//! every track's new Gaussians to a second array, which then takes the place of the first.

use super::gaussian::{COMPONENTS_MAX, Gaussian, UU, VV};
use super::pair::Pair;
use serde::{Deserialize, Serialize};

/// Gaussians whose room is written before the first scan: those of a thousand people, 1 MB.
const TOUCHED: usize = 4096;

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
    /// First Gaussian of each track.
    start: Vec<u32>,
    /// All Gaussians, one track after the other.
    gaussians: Vec<Gaussian>,
    /// Those of the tracks that a scan has dealt with, while it does.
    next: Vec<Gaussian>,
    max: usize,
}

impl Tracks {
    /// Room for `max` tracks.
    pub(crate) fn new(max: usize) -> Self {
        Tracks {
            heads: Vec::with_capacity(max),
            start: Vec::with_capacity(max),
            gaussians: touched(max * COMPONENTS_MAX),
            next: touched(max * COMPONENTS_MAX),
            max,
        }
    }

    /// How many.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.heads.len()
    }

    /// Where the Gaussians of track `i` are.
    #[inline]
    fn places(&self, i: usize) -> std::ops::Range<usize> {
        let at = self.start[i] as usize;
        at..at + usize::from(self.heads[i].count)
    }

    /// Gaussians of track `i`.
    #[inline]
    pub(crate) fn mixture(&self, i: usize) -> &[Gaussian] {
        &self.gaussians[self.places(i)]
    }

    /// Gaussians of track `i`, to change.
    #[inline]
    pub(crate) fn mixture_mut(&mut self, i: usize) -> &mut [Gaussian] {
        let places = self.places(i);
        &mut self.gaussians[places]
    }

    /// All Gaussians, one track after the other.
    pub(crate) fn gaussians(&self) -> &[Gaussian] {
        &self.gaussians
    }

    /// Appends a track; false if there is no room.
    pub(crate) fn push(&mut self, head: Head, mixture: &[Gaussian]) -> bool {
        if self.heads.len() == self.max {
            return false;
        }
        self.start.push(self.gaussians.len() as u32);
        self.gaussians.extend_from_slice(mixture);
        self.heads.push(Head { count: mixture.len() as u8, ..head });
        true
    }

    /// The Gaussians of track `i` and, to append its new ones, those of the tracks before it.
    #[inline]
    pub(crate) fn rewrite(&mut self, i: usize) -> (&[Gaussian], &mut Vec<Gaussian>) {
        let places = self.places(i);
        (&self.gaussians[places], &mut self.next)
    }

    /// What was appended for track `from` becomes track `to`, which is not after it.
    #[inline]
    pub(crate) fn keep(&mut self, from: usize, to: usize, head: Head, count: usize) {
        debug_assert!(to <= from && count <= COMPONENTS_MAX);
        self.heads[to] = Head { count: count as u8, ..head };
        self.start[to] = (self.next.len() - count) as u32;
    }

    /// The `count` Gaussians that were appended last.
    #[inline]
    pub(crate) fn newest(&self, count: usize) -> &[Gaussian] {
        &self.next[self.next.len() - count..]
    }

    /// Those are dropped.
    pub(crate) fn drop_newest(&mut self, count: usize) {
        self.next.truncate(self.next.len() - count);
    }

    /// All tracks have been dealt with and `kept` are left: what was appended are the Gaussians now.
    pub(crate) fn turn_over(&mut self, kept: usize) {
        self.heads.truncate(kept);
        self.start.truncate(kept);
        std::mem::swap(&mut self.gaussians, &mut self.next);
        self.next.clear();
    }

    /// Forgets all tracks.
    pub(crate) fn clear(&mut self) {
        self.heads.clear();
        self.start.clear();
        self.gaussians.clear();
    }

    /// Drops the tracks of which `keep` says so, by their place.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Self, usize) -> bool) {
        let (mut kept, mut end) = (0, 0);
        for i in 0..self.heads.len() {
            if !keep(self, i) {
                continue;
            }
            let places = self.places(i);
            let count = places.len();
            self.gaussians.copy_within(places, end);
            self.heads[kept] = self.heads[i];
            self.start[kept] = end as u32;
            kept += 1;
            end += count;
        }
        self.heads.truncate(kept);
        self.start.truncate(kept);
        self.gaussians.truncate(end);
    }

    /// Mean x, y, vx, vy of track `i`.
    #[inline]
    pub(crate) fn mean(&self, i: usize) -> [f64; 4] {
        mean(self.mixture(i))
    }

    /// Covariance of track `i`, all spreads included: place xx, xy, yy and velocity uu, uv, vv.
    pub(crate) fn covariance(&self, i: usize) -> ([f64; 3], [f64; 3]) {
        // Most tracks are sure of one Gaussian. Adding 0 makes -0 the same as 0, as the sums below do.
        if let [only] = self.mixture(i)
            && only.weight == 1.0
        {
            let c = only.collapse();
            return (c.place.map(|x| x + 0.0), c.velocity.map(|x| x + 0.0));
        }
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

/// Room for so many Gaussians, of which as many as there are in a crowd are written once: the system gives memory when it
/// is first written, a microsecond for every four kilobytes, and the first scans, which have most to do, would wait for it.
fn touched(max: usize) -> Vec<Gaussian> {
    let mut room = Vec::with_capacity(max);
    room.resize(max.min(TOUCHED), Gaussian::default());
    room.clear();
    room
}

/// Mean x, y, vx, vy of a mixture.
#[inline]
pub(crate) fn mean(mixture: &[Gaussian]) -> [f64; 4] {
    let mut mean = [0.0; 4];
    for g in mixture {
        for (sum, c) in mean.iter_mut().zip(g.centre()) {
            *sum += g.weight * c;
        }
    }
    mean
}

/// Trace of the velocity covariance of a mixture inside its Gaussians, (m/s)2.
#[inline]
pub(crate) fn velocity_doubt(mixture: &[Gaussian]) -> f64 {
    mixture.iter().map(|g| g.weight * ((g.cov[UU] + g.cov[VV]) * g.mode).sum()).sum()
}

/// Mode probabilities in the long run for the given switching rates.
pub(crate) fn stationary(turn_begin_per_s: f64, turn_end_per_s: f64) -> Pair {
    let turning = turn_begin_per_s / (turn_begin_per_s + turn_end_per_s);
    Pair(1.0 - turning, turning)
}
