//! The tracks themselves, each in a place of its own that it keeps, and who they are in the order of their ids.
//!
//! New tracks are appended and dropped ones squeezed out of that order, so it is kept without sorting; a place that became
//! free is the next newcomer's. What a scan asks of every track, concerned or not, stands close together ([`Glance`]). A
//! copy takes over the tracks alone that are others by now ([`StampedVec`]): of a building's tracks a scan concerns few.

use super::gaussian::{COMPONENTS_MAX, Gaussian, UU, VV};
use super::pair::Pair;
use crate::in_place::StampedVec;
use serde::{Deserialize, Serialize};

/// Tracks whose room is written before the first scan: a thousand people's, 1 MB.
const TOUCHED: usize = 1024;

/// What stands once per track, apart from its Gaussians.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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

impl Head {
    /// It made a detection in the last scan, as far as is remembered.
    fn is_hit(&self) -> bool {
        self.best.is_some() || self.best_share != 0.0
    }
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

/// One track, with room for all Gaussians that it may have.
#[derive(Debug, Default)]
struct Track {
    head: Head,
    stand: Stand,
    mixture: [Gaussian; COMPONENTS_MAX],
}

impl Clone for Track {
    fn clone(&self) -> Self {
        let mut copy = Self::default();
        copy.clone_from(self);
        copy
    }

    fn clone_from(&mut self, other: &Self) {
        (self.head, self.stand) = (other.head, other.stand);
        let count = usize::from(other.head.count);
        self.mixture[..count].copy_from_slice(&other.mixture[..count]);
    }
}

/// What a scan asks of every track. It follows head and stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance {
    /// Of the stand.
    pub(crate) mean: [f64; 2],
    pub(crate) reach: f64,
    pub(crate) reportable: bool,
    /// Of the head.
    pub(crate) as_of_ns: i64,
    pub(crate) existence: f64,
    pub(crate) shown: bool,
    /// Where the track is kept; `NOWHERE` once it is dropped.
    place: u32,
}

const NOWHERE: u32 = u32::MAX;

/// All that there is of tracks between scans.
#[derive(Clone, Debug)]
pub(crate) struct Roll {
    /// By place.
    tracks: StampedVec<Track>,
    /// Ascending by id.
    glances: Vec<Glance>,
    /// Places of nobody.
    free: Vec<u32>,
    /// Places of the tracks that made a detection in the last scan.
    hits: Vec<u32>,
}

impl Roll {
    /// Room for `max` tracks.
    pub(crate) fn new(max: usize) -> Self {
        Roll {
            tracks: StampedVec::with_capacity(max),
            glances: Vec::with_capacity(max),
            free: Vec::with_capacity(max),
            hits: Vec::with_capacity(max),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.glances.len()
    }

    /// Is what another one is: its copy, or what it is a copy of.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.tracks.copy_those(&other.tracks, other.glances.iter().map(|g| g.place as usize));
        self.glances.clone_from(&other.glances);
        self.free.clone_from(&other.free);
        self.hits.clone_from(&other.hits);
    }
}

/// All tracks, named by their place in the order of ids.
#[derive(Clone, Debug)]
pub(crate) struct Tracks {
    pub(crate) roll: Roll,
    /// The new Gaussians of the track that a scan deals with.
    next: Vec<Gaussian>,
    /// The scan dropped somebody.
    is_thinned: bool,
    max: usize,
}

impl Tracks {
    /// Room for `max` tracks.
    pub(crate) fn new(max: usize) -> Self {
        let mut roll = Roll::new(max);
        // The system gives memory when it is first written, a microsecond for every four kilobytes, and the first scans, which
        // have most to do, would wait for it.
        roll.tracks.write_first(max.min(TOUCHED));
        Tracks { roll, next: Vec::with_capacity(COMPONENTS_MAX), is_thinned: false, max }
    }

    /// How many.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.roll.len()
    }

    /// What is asked of every track, ascending by id.
    #[inline]
    pub(crate) fn glances(&self) -> &[Glance] {
        &self.roll.glances
    }

    #[inline]
    fn track(&self, i: usize) -> &Track {
        &self.roll.tracks[self.roll.glances[i].place as usize]
    }

    #[inline]
    fn track_mut(&mut self, i: usize) -> &mut Track {
        &mut self.roll.tracks[self.roll.glances[i].place as usize]
    }

    /// The head of track `i`.
    #[inline]
    pub(crate) fn head(&self, i: usize) -> &Head {
        &self.track(i).head
    }

    /// Where track `i` is.
    #[inline]
    pub(crate) fn stand(&self, i: usize) -> &Stand {
        &self.track(i).stand
    }

    /// Gaussians of track `i`.
    #[inline]
    pub(crate) fn mixture(&self, i: usize) -> &[Gaussian] {
        let track = self.track(i);
        &track.mixture[..usize::from(track.head.count)]
    }

    /// The track of that id.
    pub(crate) fn of_id(&self, id: u64) -> Option<usize> {
        let id_of = |g: &Glance| self.roll.tracks[g.place as usize].head.id;
        self.roll.glances.binary_search_by_key(&id, id_of).ok()
    }

    /// Head and Gaussians of track `i`, to move it; [`Tracks::keep`] is to follow.
    #[inline]
    pub(crate) fn one_mut(&mut self, i: usize) -> (&mut Head, &mut [Gaussian]) {
        let Track { head, mixture, .. } = self.track_mut(i);
        let count = usize::from(head.count);
        (head, &mut mixture[..count])
    }

    /// Track `i` stands there.
    #[inline]
    pub(crate) fn set_stand(&mut self, i: usize, stand: Stand) {
        let glance = &mut self.roll.glances[i];
        (glance.mean, glance.reach, glance.reportable) = (stand.mean, stand.reach, stand.reportable);
        self.track_mut(i).stand = stand;
    }

    /// What is reported of track `i`, to change.
    pub(crate) fn reported_mut(&mut self, i: usize) -> &mut Stand {
        &mut self.track_mut(i).stand
    }

    /// Appends a track; false if there is no room.
    pub(crate) fn push(&mut self, head: Head, mixture: &[Gaussian]) -> bool {
        let Roll { tracks, glances, free, hits } = &mut self.roll;
        if glances.len() == self.max {
            return false;
        }
        let place = free.pop().unwrap_or_else(|| {
            tracks.push(Track::default());
            tracks.len() as u32 - 1
        });
        let track = &mut tracks[place as usize];
        track.head = Head { count: mixture.len() as u8, ..head };
        track.stand = Stand::default();
        track.mixture[..mixture.len()].copy_from_slice(mixture);
        if head.is_hit() {
            hits.push(place);
        }
        let Stand { mean, reach, reportable, .. } = track.stand;
        let Head { as_of_ns, existence, shown, .. } = head;
        glances.push(Glance { mean, reach, reportable, as_of_ns, existence, shown, place });
        true
    }

    /// A scan begins: nobody made a detection in it so far.
    pub(crate) fn forget_hits(&mut self) {
        let Roll { tracks, hits, .. } = &mut self.roll;
        for place in hits.drain(..) {
            let head = &mut tracks[place as usize].head;
            (head.best, head.best_share) = (None, 0.0);
        }
    }

    /// The Gaussians of track `i` and room for its new ones.
    #[inline]
    pub(crate) fn rewrite(&mut self, i: usize) -> (&[Gaussian], &mut Vec<Gaussian>) {
        let Track { head, mixture, .. } = &self.roll.tracks[self.roll.glances[i].place as usize];
        self.next.clear();
        (&mixture[..usize::from(head.count)], &mut self.next)
    }

    /// The Gaussians that track `i` has after the scan: the new ones, or, where none were made, those that it had.
    #[inline]
    pub(crate) fn newest(&self, i: usize) -> &[Gaussian] {
        if self.next.is_empty() { self.mixture(i) } else { &self.next }
    }

    /// Track `i` stays, with its newest Gaussians.
    #[inline]
    pub(crate) fn keep(&mut self, i: usize, head: Head) {
        let Roll { tracks, glances, hits, .. } = &mut self.roll;
        let glance = &mut glances[i];
        (glance.as_of_ns, glance.existence, glance.shown) = (head.as_of_ns, head.existence, head.shown);
        let track = &mut tracks[glance.place as usize];
        let count = if self.next.is_empty() { track.head.count } else { self.next.len() as u8 };
        track.head = Head { count, ..head };
        track.mixture[..self.next.len()].copy_from_slice(&self.next);
        if head.is_hit() {
            hits.push(glance.place);
        }
    }

    /// Track `i` is dropped; it is named as before until all were dealt with.
    pub(crate) fn drop_one(&mut self, i: usize) {
        let place = std::mem::replace(&mut self.roll.glances[i].place, NOWHERE);
        self.roll.free.push(place);
        self.is_thinned = true;
    }

    /// All of `touched` have been dealt with. They are then named by their new places, those who were dropped left out.
    pub(crate) fn turn_over(&mut self, touched: &mut Vec<u32>) {
        if !std::mem::take(&mut self.is_thinned) {
            return;
        }
        // Before the first of the touched everybody stands as before.
        let Some(&first) = touched.first() else { return };
        let glances = &mut self.roll.glances;
        let (mut kept, mut dealt_with, mut still_there) = (first as usize, 0, 0);
        for i in first as usize..glances.len() {
            let is_touched = touched.get(dealt_with) == Some(&(i as u32));
            dealt_with += usize::from(is_touched);
            if glances[i].place == NOWHERE {
                continue;
            }
            glances[kept] = glances[i];
            if is_touched {
                touched[still_there] = kept as u32;
                still_there += 1;
            }
            kept += 1;
        }
        touched.truncate(still_there);
        glances.truncate(kept);
    }

    /// Forgets all tracks.
    pub(crate) fn clear(&mut self) {
        let Roll { tracks, glances, free, hits } = &mut self.roll;
        glances.clear();
        hits.clear();
        free.clear();
        free.extend((0..tracks.len() as u32).rev());
    }

    /// Drops the tracks of which `keep` says so, by their place.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Self, usize) -> bool) {
        let mut kept = 0;
        for i in 0..self.len() {
            if keep(self, i) {
                self.roll.glances[kept] = self.roll.glances[i];
                kept += 1;
            } else {
                self.roll.hits.retain(|&hit| hit != self.roll.glances[i].place);
                self.roll.free.push(self.roll.glances[i].place);
            }
        }
        self.roll.glances.truncate(kept);
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
