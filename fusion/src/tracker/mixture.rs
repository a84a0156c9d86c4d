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
}

/// One hypothesis: Gaussian `component` met detection `seen`, or none.
#[derive(Clone, Copy, Debug, Default)]
struct Candidate {
    weight: f64,
    component: u8,
    seen: Option<u32>,
    likelihood: Pair,
}

/// How a mixture is kept small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reduction {
    /// Most hypotheses that get a state.
    pub(crate) candidates: usize,
    /// The lightest hypothesis that does.
    pub(crate) candidate_min: f64,
    pub(crate) merge_distance2: f64,
    pub(crate) component_min: f64,
    pub(crate) components: usize,
}

/// Room to work in, kept from track to track because clearing it would cost more than using it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    /// The heaviest hypotheses of one track, heaviest first; equal weights in the order they were offered.
    list: [Candidate; CANDIDATES_MAX],
    len: usize,
    states: [Gaussian; CANDIDATES_MAX],
    gains: [Gain; COMPONENTS_MAX],
    merged: [Gaussian; CANDIDATES_MAX],
}

impl Room {
    /// A new track: nothing was offered.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Offers a hypothesis. Taken are at most `how.candidates`, each of at least `how.candidate_min`.
    #[inline]
    pub(crate) fn offer(
        &mut self,
        how: &Reduction,
        weight: f64,
        component: usize,
        seen: Option<u32>,
        likelihood: Pair,
    ) {
        // Written so that a NaN weight is not taken.
        let heavy = weight >= how.candidate_min;
        if !heavy || (self.len == how.candidates && weight <= self.list[self.len - 1].weight) {
            return;
        }
        let mut at = if self.len == how.candidates { self.len - 1 } else { self.len };
        while at > 0 && self.list[at - 1].weight < weight {
            self.list[at] = self.list[at - 1];
            at -= 1;
        }
        self.list[at] = Candidate { weight, component: component as u8, seen, likelihood };
        self.len = (self.len + 1).min(how.candidates);
    }

    /// Builds the states, merges and prunes them and appends them to `out`, weights summing to 1. Returns how many: 0 if
    /// nothing was offered.
    pub(crate) fn settle(
        &mut self,
        prior: &[Gaussian],
        detections: &[Seen],
        how: &Reduction,
        out: &mut Vec<Gaussian>,
    ) -> usize {
        if self.len == 0 {
            return 0;
        }
        // Variance that each Gaussian's gain was made for; none is negative.
        let mut made_for = [-1.0; COMPONENTS_MAX];
        for (state, candidate) in self.states.iter_mut().zip(&self.list[..self.len]) {
            let k = usize::from(candidate.component);
            match candidate.seen {
                None => *state = prior[k],
                Some(j) => {
                    let seen = &detections[j as usize];
                    if made_for[k] != seen.var {
                        prior[k].gain(seen.var, &mut self.gains[k]);
                        made_for[k] = seen.var;
                    }
                    prior[k].update(&self.gains[k], seen.x, seen.y, candidate.likelihood, state);
                }
            }
            state.weight = candidate.weight;
        }
        self.reduce(how, out)
    }

    /// The same for a track of one Gaussian that met one detection and nothing else.
    #[inline]
    pub(crate) fn settle_one(&mut self, prior: &Gaussian, seen: &Seen, likelihood: Pair, out: &mut Vec<Gaussian>) {
        prior.gain(seen.var, &mut self.gains[0]);
        let mut state = Gaussian { weight: 1.0, ..Gaussian::default() };
        prior.update(&self.gains[0], seen.x, seen.y, likelihood, &mut state);
        out.push(state);
    }

    /// Merges and prunes the states (heaviest first) into `out`; weights then sum to 1. Returns how many.
    fn reduce(&mut self, how: &Reduction, out: &mut Vec<Gaussian>) -> usize {
        let Room { states, merged, len, .. } = self;
        let len = *len;
        if len == 1 {
            out.push(Gaussian { weight: 1.0, ..states[0] });
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
        let first = out.len();
        let mut total = 0.0;
        for &(weight, k, of_many) in groups[..found].iter().take(how.components) {
            if out.len() == first || weight >= least {
                out.push(if of_many { merged[usize::from(k)] } else { states[usize::from(k)] });
                total += weight;
            }
        }
        let scale = 1.0 / total;
        for g in &mut out[first..] {
            g.weight *= scale;
        }
        out.len() - first
    }
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
