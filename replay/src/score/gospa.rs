//! How far the set of tracks is from the set of people: GOSPA, OSPA and OSPA over whole tracks.
//!
//! - GOSPA: A. S. Rahmathullah, Á. F. García-Fernández, L. Svensson, "Generalized optimal sub-pattern assignment metric",
//!   FUSION 2017, with alpha = 2: (min over partial assignments of sum d^p + c^p/2 * (unassigned people + unassigned tracks))^(1/p).
//! - OSPA: D. Schuhmacher, B.-T. Vo, B.-N. Vo, "A consistent metric for performance evaluation of multi-object filters",
//!   IEEE Trans. Signal Process. 56 (2008).
//! - OSPA(2): M. Beard, B. T. Vo, B.-N. Vo, "OSPA(2): using the OSPA metric to evaluate multi-target tracking performance",
//!   ICCAIS 2017: OSPA between tracks, whose distance is the time average of the cut-off distance.

use super::assign::assign;
use super::numeric::{Matrix, mean, power, sum};
use super::scene::{Dot, Frame};

/// Cut-off distance and order of a metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    pub(super) cutoff_m: f64,
    pub(super) order: f64,
}

/// One frame's GOSPA, in m^order, and its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Gospa {
    pub(super) total: f64,
    pub(super) located: f64,
    pub(super) missed: f64,
    pub(super) false_tracks: f64,
    /// Pairs nearer than the cut-off.
    pub(super) pairs: usize,
    /// Sum of their squared distances, m^2.
    pub(super) squares: f64,
}

impl Metric {
    /// The cost of one missed person or one false track, in m^order.
    pub(super) fn half(&self) -> f64 {
        self.full() / 2.0
    }

    fn full(&self) -> f64 {
        self.cutoff_m.powf(self.order)
    }

    fn root(&self, x: f64) -> f64 {
        x.powf(1.0 / self.order)
    }

    /// Distances cut off, to the power of the order.
    fn costs(&self, distance: &Matrix) -> Matrix {
        distance.map(|d| power(d.min(self.cutoff_m), self.order))
    }

    /// GOSPA of one frame.
    pub(super) fn gospa(&self, distance: &Matrix) -> Gospa {
        let (n, m) = (distance.rows as f64, distance.cols as f64);
        let half = self.half();
        if distance.rows == 0 || distance.cols == 0 {
            return Gospa { total: n * half + m * half, missed: n * half, false_tracks: m * half, ..Gospa::default() };
        }
        let near: Vec<f64> = assign(&self.costs(distance))
            .into_iter()
            .map(|(i, j)| distance.at(i, j))
            .filter(|d| *d < self.cutoff_m)
            .collect();
        let located = sum(&near.iter().map(|d| power(*d, self.order)).collect::<Vec<_>>());
        let k = near.len() as f64;
        Gospa {
            total: located + (n - k) * half + (m - k) * half,
            located,
            missed: (n - k) * half,
            false_tracks: (m - k) * half,
            pairs: near.len(),
            squares: sum(&near.iter().map(|d| d * d).collect::<Vec<_>>()),
        }
    }

    /// OSPA of one frame, metres.
    pub(super) fn ospa(&self, distance: &Matrix) -> f64 {
        if distance.rows == 0 && distance.cols == 0 {
            return 0.0;
        }
        if distance.rows == 0 || distance.cols == 0 {
            return self.cutoff_m;
        }
        self.ospa_of_costs(&self.costs(distance))
    }

    fn ospa_of_costs(&self, costs: &Matrix) -> f64 {
        let chosen: Vec<f64> = assign(costs).into_iter().map(|(i, j)| costs.at(i, j)).collect();
        let surplus = self.full() * costs.rows.abs_diff(costs.cols) as f64;
        self.root((sum(&chosen) + surplus) / costs.rows.max(costs.cols) as f64)
    }

    /// Mean OSPA(2) over windows of `window` frames, half a window apart, metres; 0 where every window is empty.
    pub(super) fn ospa_of_tracks(&self, frames: &[Frame], window: usize) -> f64 {
        let last_start = frames.len().saturating_sub(window);
        let mut windows = Vec::new();
        for start in (0..=last_start).step_by((window / 2).max(1)) {
            let frames = &frames[start..frames.len().min(start + window)];
            let people = paths(frames, |frame| &frame.truth);
            let tracks = paths(frames, |frame| &frame.tracks);
            if people.is_empty() && tracks.is_empty() {
                continue;
            }
            if people.is_empty() || tracks.is_empty() {
                windows.push(self.cutoff_m);
                continue;
            }
            let costs = Matrix::from_fn(people.len(), tracks.len(), |i, j| {
                power(self.path_distance_m(&people[i], &tracks[j]), self.order)
            });
            windows.push(self.ospa_of_costs(&costs));
        }
        mean(&windows).unwrap_or(0.0)
    }

    /// The mean over the times at which either path exists of their cut-off distance, the cut-off where only one does.
    fn path_distance_m(&self, a: &[Option<Dot>], b: &[Option<Dot>]) -> f64 {
        let (mut total, mut times) = (0.0, 0usize);
        for pair in a.iter().zip(b) {
            total += match pair {
                (None, None) => continue,
                (Some(a), Some(b)) => a.distance_m(b).min(self.cutoff_m),
                _ => self.cutoff_m,
            };
            times += 1;
        }
        total / times as f64
    }
}

/// The path of every label in some frames, in the order of first appearance; of two rows of one label at one time the later.
fn paths(frames: &[Frame], dots: impl Fn(&Frame) -> &Vec<Dot>) -> Vec<Vec<Option<Dot>>> {
    let mut place = std::collections::BTreeMap::new();
    let mut paths: Vec<Vec<Option<Dot>>> = Vec::new();
    for (time, frame) in frames.iter().enumerate() {
        for dot in dots(frame) {
            let path = *place.entry(dot.label).or_insert_with(|| {
                paths.push(vec![None; frames.len()]);
                paths.len() - 1
            });
            paths[path][time] = Some(*dot);
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const M: Metric = Metric { cutoff_m: 2.0, order: 2.0 };

    fn distances(x: &[(f64, f64)], y: &[(f64, f64)]) -> Matrix {
        Matrix::from_fn(x.len(), y.len(), |i, j| (x[i].0 - y[j].0).hypot(x[i].1 - y[j].1))
    }

    #[test]
    fn one_located_one_missed() {
        let g = M.gospa(&distances(&[(0.0, 0.0), (10.0, 0.0)], &[(1.0, 0.0)]));
        assert_eq!(g, Gospa { total: 3.0, located: 1.0, missed: 2.0, false_tracks: 0.0, pairs: 1, squares: 1.0 });
    }

    #[test]
    fn farther_than_the_cutoff_is_a_miss_and_a_false_track() {
        let g = M.gospa(&distances(&[(0.0, 0.0)], &[(5.0, 0.0)]));
        assert_eq!((g.total, g.located, g.missed, g.false_tracks), (4.0, 0.0, 2.0, 2.0));
    }

    #[test]
    fn empty_sets() {
        assert_eq!(M.gospa(&distances(&[], &[])), Gospa::default());
        assert_eq!(M.gospa(&distances(&[], &[(0.0, 0.0), (1.0, 1.0)])).false_tracks, 4.0);
        assert_eq!(M.ospa(&distances(&[], &[])), 0.0);
        assert_eq!(M.ospa(&distances(&[(0.0, 0.0)], &[])), 2.0);
    }

    #[test]
    fn the_best_assignment_and_not_the_greedy_one() {
        let g = M.gospa(&distances(&[(0.0, 0.0), (1.0, 0.0)], &[(0.9, 0.0), (-1.5, 0.0)]));
        assert!((g.total - (1.5 * 1.5 + 0.1 * 0.1)).abs() < 1e-12, "{g:?}");
    }

    #[test]
    fn other_orders() {
        let first = Metric { cutoff_m: 2.0, order: 1.0 };
        assert_eq!(first.gospa(&distances(&[(0.0, 0.0), (10.0, 0.0)], &[(1.0, 0.0)])).total, 2.0);
        assert_eq!(M.ospa(&distances(&[(0.0, 0.0), (10.0, 0.0)], &[(1.0, 0.0)])), 2.5f64.sqrt());
    }

    #[test]
    fn a_distance_at_the_cutoff_is_no_pair() {
        let g = M.gospa(&distances(&[(0.0, 0.0)], &[(2.0, 0.0)]));
        assert_eq!((g.pairs, g.total), (0, 4.0));
    }

    /// The definition itself: every partial assignment, tried one after the other.
    fn by_definition(distance: &Matrix, row: usize, used: &mut Vec<bool>) -> f64 {
        if row == distance.rows {
            return used.iter().filter(|used| !**used).count() as f64 * M.half();
        }
        let mut best = M.half() + by_definition(distance, row + 1, used);
        for col in 0..distance.cols {
            if !used[col] {
                used[col] = true;
                best = best.min(distance.at(row, col).powi(2) + by_definition(distance, row + 1, used));
                used[col] = false;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn gospa_is_the_minimum_over_all_partial_assignments(
            x in prop::collection::vec((0.0f64..3.0, 0.0f64..3.0), 0..5),
            y in prop::collection::vec((0.0f64..3.0, 0.0f64..3.0), 0..5),
        ) {
            let distance = distances(&x, &y);
            let g = M.gospa(&distance);
            let best = by_definition(&distance, 0, &mut vec![false; y.len()]);
            prop_assert!((g.total - best).abs() < 1e-9, "{} {}", g.total, best);
            prop_assert!((g.located + g.missed + g.false_tracks - g.total).abs() < 1e-12);
        }
    }
}
