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
    /// The time as of which it is: that of the last scan that concerned it.
    pub(crate) as_of_ns: i64,
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

/// Where a track is and what is reported of that, worked out of its Gaussians whenever they change.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Stand {
    /// Mean place, m.
    pub(crate) mean: [f64; 2],
    /// Mean velocity, m/s.
    pub(crate) velocity: [f64; 2],
    /// Distance of the farthest Gaussian from there, m.
    pub(crate) reach: f64,
    /// Expected squared error of the mean, m2.
    pub(crate) own_doubt: f64,
    /// Sure enough to exist to be reported.
    pub(crate) reportable: bool,
    /// It was told apart from a neighbour, so that what is reported hangs on both.
    pub(crate) parted: bool,
    /// From the mean to what is reported, m.
    pub(crate) shift: [f64; 2],
    /// Expected squared error of what is reported, m2; 0 for tracks too unsure to be reported.
    pub(crate) doubt: f64,
}

/// All tracks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracks {
    pub(crate) heads: Vec<Head>,
    /// One for each head.
    pub(crate) stands: Vec<Stand>,
    /// First Gaussian of each track.
    start: Vec<u32>,
    /// All Gaussians, one track after the other.
    gaussians: Vec<Gaussian>,
    /// Those of the tracks that a scan has dealt with, while it does.
    next: Vec<Gaussian>,
    /// Where those and the others are put together, where that cannot be done in place.
    together: Vec<Gaussian>,
    /// Every track that the scan has dealt with stays and has as many Gaussians as before.
    same_shape: bool,
    max: usize,
}

impl Tracks {
    /// Room for `max` tracks.
    pub(crate) fn new(max: usize) -> Self {
        Tracks {
            heads: Vec::with_capacity(max),
            stands: Vec::with_capacity(max),
            start: Vec::with_capacity(max),
            gaussians: touched(max * COMPONENTS_MAX),
            next: touched(max * COMPONENTS_MAX),
            together: Vec::with_capacity(max * COMPONENTS_MAX),
            same_shape: true,
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

    /// Head and Gaussians of track `i`, to change.
    #[inline]
    pub(crate) fn one_mut(&mut self, i: usize) -> (&mut Head, &mut [Gaussian]) {
        let places = self.places(i);
        (&mut self.heads[i], &mut self.gaussians[places])
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
        self.stands.push(Stand::default());
        true
    }

    /// The Gaussians of track `i` and, to append its new ones, those of the tracks that were dealt with before it.
    #[inline]
    pub(crate) fn rewrite(&mut self, i: usize) -> (&[Gaussian], &mut Vec<Gaussian>) {
        let places = self.places(i);
        (&self.gaussians[places], &mut self.next)
    }

    /// The `count` Gaussians that were appended last are track `i`'s.
    #[inline]
    pub(crate) fn keep(&mut self, i: usize, head: Head, count: usize) {
        debug_assert!(0 < count && count <= COMPONENTS_MAX);
        self.same_shape &= usize::from(self.heads[i].count) == count;
        self.heads[i] = Head { count: count as u8, ..head };
    }

    /// The `count` Gaussians that were appended last.
    #[inline]
    pub(crate) fn newest(&self, count: usize) -> &[Gaussian] {
        &self.next[self.next.len() - count..]
    }

    /// Track `i`, for which `count` Gaussians were appended, is dropped.
    pub(crate) fn drop_one(&mut self, i: usize, count: usize) {
        self.next.truncate(self.next.len() - count);
        self.same_shape = false;
        self.heads[i].count = 0;
    }

    /// All of `touched` have been dealt with: what was appended are their Gaussians now. They are then named by their new
    /// places, those who were dropped left out.
    pub(crate) fn turn_over(&mut self, touched: &mut Vec<u32>) {
        if touched.len() == self.heads.len() {
            // Nothing else is left: what was appended is all.
            self.squeeze(touched);
            std::mem::swap(&mut self.gaussians, &mut self.next);
        } else if self.same_shape {
            let mut from = 0;
            for &i in &*touched {
                let places = self.places(i as usize);
                let count = places.len();
                self.gaussians[places].copy_from_slice(&self.next[from..from + count]);
                from += count;
            }
        } else {
            let (mut from, mut rest) = (0, 0);
            self.together.clear();
            for &i in &*touched {
                let (i, count) = (i as usize, usize::from(self.heads[i as usize].count));
                self.together.extend_from_slice(&self.gaussians[rest..self.start[i] as usize]);
                self.together.extend_from_slice(&self.next[from..from + count]);
                from += count;
                rest = self.start.get(i + 1).map_or(self.gaussians.len(), |&next| next as usize);
            }
            self.together.extend_from_slice(&self.gaussians[rest..]);
            self.squeeze(touched);
            std::mem::swap(&mut self.gaussians, &mut self.together);
        }
        self.next.clear();
        self.same_shape = true;
    }

    /// Squeezes out who was dropped; the Gaussians of the others stand one behind the other by now.
    fn squeeze(&mut self, touched: &mut Vec<u32>) {
        // Before the first of the touched everybody stands as before.
        let Some(&first) = touched.first() else { return };
        let first = first as usize;
        let (mut kept, mut end) = (first, self.start[first] as usize);
        let (mut dealt_with, mut still_there) = (0, 0);
        for i in first..self.heads.len() {
            let is_touched = touched.get(dealt_with) == Some(&(i as u32));
            dealt_with += usize::from(is_touched);
            let count = usize::from(self.heads[i].count);
            if count == 0 {
                continue;
            }
            if kept < i {
                self.heads[kept] = self.heads[i];
                self.stands[kept] = self.stands[i];
            }
            self.start[kept] = end as u32;
            if is_touched {
                touched[still_there] = kept as u32;
                still_there += 1;
            }
            kept += 1;
            end += count;
        }
        touched.truncate(still_there);
        self.heads.truncate(kept);
        self.stands.truncate(kept);
        self.start.truncate(kept);
    }

    /// Forgets all tracks.
    pub(crate) fn clear(&mut self) {
        self.heads.clear();
        self.stands.clear();
        self.start.clear();
        self.gaussians.clear();
    }

    /// Becomes these, of which there are no more than there is room for.
    pub(crate) fn take(&mut self, heads: &[Head], gaussians: &[Gaussian], stands: &[Stand]) {
        self.clear();
        self.heads.extend_from_slice(heads);
        self.stands.extend_from_slice(stands);
        self.gaussians.extend_from_slice(gaussians);
        let mut end = 0;
        self.start.extend(heads.iter().map(|head| {
            let at = end;
            end += u32::from(head.count);
            at
        }));
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
            self.stands[kept] = self.stands[i];
            self.start[kept] = end as u32;
            kept += 1;
            end += count;
        }
        self.heads.truncate(kept);
        self.stands.truncate(kept);
        self.start.truncate(kept);
        self.gaussians.truncate(end);
    }
}

/// Covariance of a mixture, all spreads included: place xx, xy, yy and velocity uu, uv, vv.
pub(crate) fn covariance(mixture: &[Gaussian]) -> ([f64; 3], [f64; 3]) {
    // Most tracks are sure of one Gaussian. Adding 0 makes -0 the same as 0, as the sums below do.
    if let [only] = mixture
        && only.weight == 1.0
    {
        let c = only.collapse();
        return (c.place.map(|x| x + 0.0), c.velocity.map(|x| x + 0.0));
    }
    let mean = mean(mixture);
    let (mut place, mut velocity) = ([0.0; 3], [0.0; 3]);
    for g in mixture {
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
