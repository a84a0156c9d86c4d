//! From a track's Gaussians and its detections' shares to its new Gaussians, few again.
//!
//! A track keeps several Gaussians because the mean of "this person" and "that person" is nobody: two people who meet
//! would coalesce. First only weights are made; the few heaviest hypotheses get a state; those that say nearly the same
//! are merged keeping moments (Salmond 1990), into the heavier one, as in Runnalls 2007 but by distance and not by cost.

use super::gaussian::{COMPONENTS_MAX, Collapsed, Gain, Gaussian};
use super::pair::Pair;

/// Most hypotheses of one track that get a state.
pub(crate) const CANDIDATES_MAX: usize = 12;

/// A detection as the tracker keeps it within a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// Place, m.
    pub(crate) x: f64,
    /// Place, m.
    pub(crate) y: f64,
    /// Variance per axis, m2.
    pub(crate) var: f64,
    /// Index in the caller's slice.
    pub(crate) index: u32,
    /// Row of the gate (`gate`).
    pub(crate) row: u32,
}

/// One hypothesis: Gaussian `component` met detection `seen`, or none.
#[derive(Clone, Copy, Debug, Default)]
struct Candidate {
    weight: f64,
    component: u8,
    seen: Option<u32>,
    likelihood: Pair,
}

/// The heaviest hypotheses of one track, heaviest first; equal weights in the order they were offered.
#[derive(Debug)]
pub(crate) struct Candidates {
    list: [Candidate; CANDIDATES_MAX],
    len: usize,
    cap: usize,
    /// The lightest weight that is still taken.
    min: f64,
}

/// How a mixture is kept small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reduction {
    pub(crate) merge_distance2: f64,
    pub(crate) component_min: f64,
    pub(crate) components: usize,
}

impl Candidates {
    /// None yet; takes at most `cap`, each of at least weight `min`.
    pub(crate) fn new(cap: usize, min: f64) -> Self {
        Candidates { list: [Candidate::default(); CANDIDATES_MAX], len: 0, cap, min }
    }

    /// Offers a hypothesis.
    #[inline]
    pub(crate) fn offer(&mut self, weight: f64, component: usize, seen: Option<u32>, likelihood: Pair) {
        // Written so that a NaN weight is not taken.
        let heavy = weight >= self.min;
        if !heavy || (self.len == self.cap && weight <= self.list[self.len - 1].weight) {
            return;
        }
        let mut at = if self.len == self.cap { self.len - 1 } else { self.len };
        while at > 0 && self.list[at - 1].weight < weight {
            self.list[at] = self.list[at - 1];
            at -= 1;
        }
        self.list[at] = Candidate { weight, component: component as u8, seen, likelihood };
        self.len = (self.len + 1).min(self.cap);
    }

    /// Builds the states, merges and prunes them into `room.out`, weights summing to 1. Returns how many: 0 if nothing
    /// was offered.
    pub(crate) fn settle(&self, prior: &[Gaussian], detections: &[Seen], how: Reduction, room: &mut Room) -> usize {
        if self.len == 0 {
            return 0;
        }
        // Variance that each Gaussian's gain was made for; none is negative.
        let mut made_for = [-1.0; COMPONENTS_MAX];
        for (state, candidate) in room.states.iter_mut().zip(&self.list[..self.len]) {
            let k = usize::from(candidate.component);
            match candidate.seen {
                None => *state = prior[k],
                Some(j) => {
                    let seen = &detections[j as usize];
                    if made_for[k] != seen.var {
                        prior[k].gain(seen.var, &mut room.gains[k]);
                        made_for[k] = seen.var;
                    }
                    prior[k].update(&room.gains[k], seen.x, seen.y, candidate.likelihood, state);
                }
            }
            state.weight = candidate.weight;
        }
        reduce(self.len, how, room)
    }
}

/// Room to work in, kept from track to track because clearing it would cost more than using it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    states: [Gaussian; CANDIDATES_MAX],
    gains: [Gain; COMPONENTS_MAX],
    merged: [Gaussian; CANDIDATES_MAX],
    /// The result of [`Candidates::settle`].
    pub(crate) out: [Gaussian; COMPONENTS_MAX],
}

/// Merges and prunes the first `len` states (heaviest first) into `room.out`; weights then sum to 1. Returns how many.
fn reduce(len: usize, how: Reduction, room: &mut Room) -> usize {
    let Room { states, merged, out, .. } = room;
    if len == 1 {
        out[0] = states[0];
        out[0].weight = 1.0;
        return 1;
    }
    let mut centres = [[0.0; 4]; CANDIDATES_MAX];
    for (centre, state) in centres.iter_mut().zip(&states[..len]) {
        *centre = state.centre();
    }
    // Groups by number: of one state (itself) or of several (a place in `merged`); heaviest first when all are found.
    let mut groups = [(0.0, 0u8, false); CANDIDATES_MAX];
    let mut found = 0;
    let mut taken = [false; CANDIDATES_MAX];
    for i in 0..len {
        if taken[i] {
            continue;
        }
        let mut members = [i as u8; CANDIDATES_MAX];
        let mut count = 1;
        if i + 1 < len {
            let near = Nearness::to(&states[i].collapse());
            for j in i + 1..len {
                if !taken[j] && near.distance2(&centres[j]) < how.merge_distance2 {
                    taken[j] = true;
                    members[count] = j as u8;
                    count += 1;
                }
            }
        }
        let group = if count == 1 {
            (states[i].weight, i as u8, false)
        } else {
            merged[found] = super::gaussian::merged(states, &members[..count]);
            (merged[found].weight, found as u8, true)
        };
        // Merging may change the order. Insertion sort: short, and equal weights keep their order.
        let mut at = found;
        while at > 0 && groups[at - 1].0 < group.0 {
            groups[at] = groups[at - 1];
            at -= 1;
        }
        groups[at] = group;
        found += 1;
    }
    let least = how.component_min * groups[..found].iter().map(|g| g.0).sum::<f64>();
    let mut kept = 0;
    let mut total = 0.0;
    for &(weight, k, of_many) in groups[..found].iter().take(how.components) {
        if kept == 0 || weight >= least {
            out[kept] = if of_many { merged[usize::from(k)] } else { states[usize::from(k)] };
            kept += 1;
            total += weight;
        }
    }
    let scale = 1.0 / total;
    for g in &mut out[..kept] {
        g.weight *= scale;
    }
    kept
}

/// Squared distance from one Gaussian, in its own standard deviations, place and velocity apart.
struct Nearness {
    mean: [f64; 4],
    place: [f64; 3],
    velocity: [f64; 3],
}

impl Nearness {
    fn to(base: &Collapsed) -> Self {
        Nearness { mean: base.mean, place: inverse2(&base.place), velocity: inverse2(&base.velocity) }
    }

    fn distance2(&self, at: &[f64; 4]) -> f64 {
        let d = [at[0] - self.mean[0], at[1] - self.mean[1], at[2] - self.mean[2], at[3] - self.mean[3]];
        let form = |m: &[f64; 3], a: f64, b: f64| m[0] * a * a + 2.0 * m[1] * a * b + m[2] * b * b;
        form(&self.place, d[0], d[1]) + form(&self.velocity, d[2], d[3])
    }
}

/// Inverse of a symmetric 2x2 matrix (xx, xy, yy).
fn inverse2(m: &[f64; 3]) -> [f64; 3] {
    let per_det = 1.0 / (m[0] * m[2] - m[1] * m[1]);
    [m[2] * per_det, -m[1] * per_det, m[0] * per_det]
}
