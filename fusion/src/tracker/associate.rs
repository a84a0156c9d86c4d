//! Whose detection is whose: marginal probabilities over all joint assignments of a scan.
//!
//! Exact marginals cost exponential time, so they are found by loopy belief propagation (Williams and Lau 2014,
//! "Approximate evaluation of marginal association probabilities with belief propagation"), which converges to a unique
//! fixed point, is exact where tracks and detections form a tree, and is run here on each connected cluster by itself.
//! It must run until it has converged: stopping early leaves shares of detections over, which then start false tracks.
//!
//! Messages, for track i with edges psi_ij = (share of seeing j) / (share of not being seen), and for detection j with
//! `other_j` = clutter plus undetected people per m2:
//!
//! ```text
//! nu_ij = 1 / (other_j + sum over i' /= i of mu_i'j)        from the detection
//! mu_ij = psi_ij / (1 + sum over j' /= j of psi_ij' nu_ij') from the track
//! ```
//!
//! Then P(i sees j) = psi_ij nu_ij / (1 + sum psi nu), and P(j is nobody known) = other_j / (other_j + sum mu).

/// The bipartite graph of a scan and the marginals found on it. All arrays are allocated once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Association {
    /// First edge of each track, and one more: edges of track i are `start[i]..start[i + 1]`.
    pub(crate) start: Vec<u32>,
    /// Detection of each edge.
    pub(crate) detection: Vec<u32>,
    /// Weight of each edge, relative to not being seen, m2-free: psi.
    pub(crate) psi: Vec<f64>,
    /// Message of each edge from the track.
    mu: Vec<f64>,
    /// Marginal of each edge: probability that the track exists and made the detection.
    pub(crate) marginal: Vec<f64>,
    /// Marginal of each track not having been seen (existing or not).
    pub(crate) unseen: Vec<f64>,
    /// Per detection: clutter and undetected people, per m2.
    pub(crate) other: Vec<f64>,
    /// Per detection: `other` and all messages.
    pub(crate) total: Vec<f64>,
    /// Union-find over tracks.
    parent: Vec<u32>,
    /// First track that has an edge to the detection, `NONE` if no one.
    owner: Vec<u32>,
    /// Cluster of each track.
    number: Vec<u32>,
    /// Tracks ordered by cluster, and where each cluster begins.
    members: Vec<u32>,
    cluster_start: Vec<u32>,
    /// Sweep in which the detection's total last changed by more than the tolerance.
    changed: Vec<u32>,
    /// Most edges.
    edges_max: usize,
}

/// What an association pass had to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effort {
    /// Clusters of tracks that share detections.
    pub(crate) clusters: u32,
    /// Tracks in the largest.
    pub(crate) largest: u32,
    /// Most sweeps over one cluster.
    pub(crate) sweeps: u32,
    /// Clusters that reached the limit of sweeps.
    pub(crate) capped: u32,
}

const NONE: u32 = u32::MAX;

impl Association {
    /// Room for so many tracks, detections and edges.
    pub(crate) fn new(tracks_max: usize, detections_max: usize, edges_max: usize) -> Self {
        let reserve_u32 = Vec::<u32>::with_capacity;
        let reserve = Vec::<f64>::with_capacity;
        Association {
            start: reserve_u32(tracks_max + 1),
            detection: reserve_u32(edges_max),
            psi: reserve(edges_max),
            mu: reserve(edges_max),
            marginal: reserve(edges_max),
            unseen: reserve(tracks_max),
            other: reserve(detections_max),
            total: reserve(detections_max),
            parent: reserve_u32(tracks_max),
            owner: reserve_u32(detections_max),
            number: reserve_u32(tracks_max),
            members: reserve_u32(tracks_max),
            cluster_start: reserve_u32(tracks_max + 1),
            changed: reserve_u32(detections_max),
            edges_max,
        }
    }

    /// Forgets the last scan.
    pub(crate) fn clear(&mut self) {
        self.start.clear();
        self.start.push(0);
        self.detection.clear();
        self.psi.clear();
        self.other.clear();
    }

    /// Adds an edge to the track being described; false if there is no room.
    #[inline]
    pub(crate) fn push_edge(&mut self, detection: u32, psi: f64) -> bool {
        if self.psi.len() == self.edges_max {
            return false;
        }
        self.detection.push(detection);
        self.psi.push(psi);
        true
    }

    /// The track being described is complete.
    #[inline]
    pub(crate) fn end_track(&mut self) {
        self.start.push(self.psi.len() as u32);
    }

    /// Edges of track `i`.
    #[inline]
    pub(crate) fn edges(&self, i: usize) -> std::ops::Range<usize> {
        self.start[i] as usize..self.start[i + 1] as usize
    }

    /// Finds the marginals.
    pub(crate) fn solve(&mut self, tolerance: f64, sweeps_max: u32) -> Effort {
        let (tracks, detections, edges) = (self.start.len() - 1, self.other.len(), self.psi.len());
        self.mu.clear();
        self.mu.resize(edges, 0.0);
        self.marginal.clear();
        self.marginal.resize(edges, 0.0);
        self.unseen.clear();
        self.unseen.resize(tracks, 1.0);
        self.total.clear();
        self.total.extend_from_slice(&self.other);
        self.changed.clear();
        self.changed.resize(detections, 0);
        self.cluster(tracks, detections);
        let mut effort = Effort::default();
        for c in 0..self.cluster_start.len() - 1 {
            let (from, to) = (self.cluster_start[c] as usize, self.cluster_start[c + 1] as usize);
            if self.edges(self.members[from] as usize).is_empty() {
                continue; // a track without edges is a cluster of its own, and unseen
            }
            effort.clusters += 1;
            effort.largest = effort.largest.max((to - from) as u32);
            let sweeps = self.propagate(from, to, tolerance, sweeps_max);
            effort.sweeps = effort.sweeps.max(sweeps);
            effort.capped += u32::from(sweeps == sweeps_max && to - from > 1);
        }
        effort
    }

    /// Groups tracks that share detections: union-find, clusters in the order of their first track.
    fn cluster(&mut self, tracks: usize, detections: usize) {
        self.parent.clear();
        self.parent.extend(0..tracks as u32);
        self.owner.clear();
        self.owner.resize(detections, NONE);
        for i in 0..tracks {
            for e in self.edges(i) {
                let owner = &mut self.owner[self.detection[e] as usize];
                if *owner == NONE {
                    *owner = i as u32;
                } else {
                    let (a, b) = (root(&mut self.parent, *owner), root(&mut self.parent, i as u32));
                    // The smaller index is the root, so that roots come first in track order.
                    self.parent[a.max(b) as usize] = a.min(b);
                }
            }
        }
        // Counting sort by cluster; a root comes before all that point to it, so its number is known when they ask.
        self.cluster_start.clear();
        self.number.clear();
        for i in 0..tracks {
            let r = root(&mut self.parent, i as u32) as usize;
            let number = if r == i { self.cluster_start.len() as u32 } else { self.number[r] };
            if r == i {
                self.cluster_start.push(0);
            }
            self.number.push(number);
            self.cluster_start[number as usize] += 1;
        }
        // Counts become ends ...
        let mut sum = 0;
        for c in &mut self.cluster_start {
            sum += *c;
            *c = sum;
        }
        self.cluster_start.push(sum);
        self.members.clear();
        self.members.resize(tracks, 0);
        // ... and, filling from the back, ends become starts.
        for i in (0..tracks).rev() {
            let place = &mut self.cluster_start[self.number[i] as usize];
            *place -= 1;
            self.members[*place as usize] = i as u32;
        }
    }

    /// Belief propagation over `members[from..to]`, tracks in order, each using the newest messages (Gauss-Seidel: about
    /// half the sweeps of the simultaneous order). A track is visited again only if one of its detections changed.
    /// Returns the sweeps used.
    fn propagate(&mut self, from: usize, to: usize, tolerance: f64, sweeps_max: u32) -> u32 {
        let mut sweep = 0;
        loop {
            sweep += 1;
            let mut moved = false;
            for m in from..to {
                let i = self.members[m] as usize;
                let edges = self.edges(i);
                // A track looks again if a detection changed in this sweep (before it) or in the last one (after it).
                if sweep > 1 && !edges.clone().any(|e| self.changed[self.detection[e] as usize] + 1 >= sweep) {
                    continue;
                }
                moved |= self.visit(edges, sweep, tolerance);
            }
            if !moved || sweep == sweeps_max || to - from == 1 {
                break;
            }
        }
        for m in from..to {
            let i = self.members[m] as usize;
            let mut sum = 1.0;
            for e in self.edges(i) {
                let j = self.detection[e] as usize;
                let share = self.psi[e] / (self.total[j] - self.mu[e]).max(self.other[j]);
                self.marginal[e] = share;
                sum += share;
            }
            let scale = 1.0 / sum;
            for e in self.edges(i) {
                self.marginal[e] *= scale;
            }
            self.unseen[i] = scale;
        }
        sweep
    }

    /// New messages of one track. True if one changed by more than the tolerance.
    #[inline]
    fn visit(&mut self, edges: std::ops::Range<usize>, sweep: u32, tolerance: f64) -> bool {
        let mut sum = 1.0;
        for e in edges.clone() {
            let j = self.detection[e] as usize;
            // max: a difference of large messages must not fall below what is certainly there.
            let share = self.psi[e] / (self.total[j] - self.mu[e]).max(self.other[j]);
            self.marginal[e] = share; // kept for the second pass
            sum += share;
        }
        let mut moved = false;
        for e in edges {
            let j = self.detection[e] as usize;
            let mu = self.psi[e] / (sum - self.marginal[e]);
            let change = mu - self.mu[e];
            self.mu[e] = mu;
            self.total[j] += change;
            if change.abs() > tolerance * mu {
                self.changed[j] = sweep;
                moved = true;
            }
        }
        moved
    }
}

/// Root of `i`, halving the path on the way.
fn root(parent: &mut [u32], mut i: u32) -> u32 {
    while parent[i as usize] != i {
        let up = parent[parent[i as usize] as usize];
        parent[i as usize] = up;
        i = up;
    }
    i
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Weights of all edges: `psi[track][detection]`, 0 for none.
    fn solve(psi: &[Vec<f64>], other: &[f64], tolerance: f64) -> Association {
        let mut graph = Association::new(16, 16, 256);
        graph.clear();
        graph.other.extend_from_slice(other);
        for row in psi {
            for (j, &weight) in row.iter().enumerate() {
                if weight > 0.0 {
                    assert!(graph.push_edge(j as u32, weight));
                }
            }
            graph.end_track();
        }
        graph.solve(tolerance, 10_000);
        graph
    }

    /// Exact marginals by going through all joint assignments: `[track][detection]`, the last column is unseen.
    fn exact(psi: &[Vec<f64>], other: &[f64]) -> Vec<Vec<f64>> {
        fn go(
            i: usize,
            weight: f64,
            used: &mut Vec<Option<usize>>,
            psi: &[Vec<f64>],
            other: &[f64],
            sum: &mut [Vec<f64>],
        ) {
            if i == psi.len() {
                for (k, choice) in used.iter().enumerate() {
                    sum[k][choice.unwrap_or(other.len())] += weight;
                }
                return;
            }
            used.push(None);
            go(i + 1, weight, used, psi, other, sum);
            used.pop();
            for j in 0..other.len() {
                if psi[i][j] > 0.0 && !used.contains(&Some(j)) {
                    used.push(Some(j));
                    go(i + 1, weight * psi[i][j] / other[j], used, psi, other, sum);
                    used.pop();
                }
            }
        }
        let mut sum = vec![vec![0.0; other.len() + 1]; psi.len()];
        go(0, 1.0, &mut Vec::new(), psi, other, &mut sum);
        for row in &mut sum {
            let total: f64 = row.iter().sum();
            row.iter_mut().for_each(|p| *p /= total);
        }
        sum
    }

    /// The messages as the paper writes them, all at once, many times: the slow reference of the same fixed point.
    fn simultaneous(psi: &[Vec<f64>], other: &[f64]) -> Vec<Vec<f64>> {
        let (n, m) = (psi.len(), other.len());
        let mut mu = vec![vec![0.0; m]; n];
        let mut nu = vec![vec![0.0; m]; n];
        for _ in 0..20_000 {
            for (i, row) in nu.iter_mut().enumerate() {
                for (j, cell) in row.iter_mut().enumerate() {
                    *cell = 1.0 / (other[j] + (0..n).filter(|&k| k != i).map(|k| mu[k][j]).sum::<f64>());
                }
            }
            for (i, row) in mu.iter_mut().enumerate() {
                for (j, cell) in row.iter_mut().enumerate() {
                    let rest: f64 = (0..m).filter(|&k| k != j).map(|k| psi[i][k] * nu[i][k]).sum();
                    *cell = psi[i][j] / (1.0 + rest);
                }
            }
        }
        let marginals = |i: usize| {
            let sum: f64 = 1.0 + (0..m).map(|j| psi[i][j] * nu[i][j]).sum::<f64>();
            (0..m).map(|j| psi[i][j] * nu[i][j] / sum).chain([1.0 / sum]).collect()
        };
        (0..n).map(marginals).collect()
    }

    fn worst(graph: &Association, want: &[Vec<f64>]) -> f64 {
        let mut worst = 0.0f64;
        for (i, row) in want.iter().enumerate() {
            let mut seen = 0.0;
            for e in graph.edges(i) {
                let j = graph.detection[e] as usize;
                worst = worst.max((graph.marginal[e] - row[j]).abs());
                seen += graph.marginal[e];
            }
            worst = worst.max((graph.unseen[i] - row[row.len() - 1]).abs());
            assert!((seen + graph.unseen[i] - 1.0).abs() < 1e-9);
        }
        worst
    }

    fn graphs() -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<f64>)> {
        let weight = prop_oneof![2 => Just(0.0), 3 => 0.001..8.0f64];
        (1..5usize).prop_flat_map(move |n| {
            let row = proptest::collection::vec(weight.clone(), n);
            (proptest::collection::vec(row, 1..5), proptest::collection::vec(0.005..0.05f64, n))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_order_of_messages_does_not_matter_in_the_end((psi, other) in graphs()) {
            let graph = solve(&psi, &other, 1e-10);
            prop_assert!(worst(&graph, &simultaneous(&psi, &other)) < 1e-5);
            // No detection is shared out more than once.
            for j in 0..other.len() {
                let used: f64 = (0..graph.psi.len()).filter(|&e| graph.detection[e] as usize == j).map(|e| graph.marginal[e]).sum();
                prop_assert!(used <= 1.0 + 1e-6);
            }
        }

        #[test]
        fn without_loops_they_are_exact(weights in proptest::collection::vec(0.001..8.0f64, 7)) {
            // A chain: track 0 - detection 0 - track 1 - detection 1 - track 2, and one more detection for track 0.
            let w = &weights;
            let psi = vec![vec![w[0], 0.0, w[1]], vec![w[2], w[3], 0.0], vec![0.0, w[4], 0.0]];
            let other = [0.01, 0.02, 0.01 + 0.01 * w[5]];
            let graph = solve(&psi, &other, 1e-12);
            prop_assert!(worst(&graph, &exact(&psi, &other)) < 1e-9);
        }
    }

    #[test]
    fn clusters_are_what_detections_connect() {
        let psi = vec![
            vec![1.0, 0.0, 0.0],
            vec![0.0, 1.0, 0.0],
            vec![1.0, 0.0, 0.0],
            vec![0.0, 0.0, 0.0],
            vec![0.0, 1.0, 1.0],
        ];
        let mut graph = solve(&psi, &[0.01; 3], 1e-6);
        let effort = graph.solve(1e-6, 100);
        assert_eq!((effort.clusters, effort.largest, effort.capped), (2, 2, 0));
        assert_eq!(graph.members, [0, 2, 1, 4, 3]);
        assert_eq!(graph.cluster_start, [0, 2, 4, 5]);
        assert_eq!(graph.unseen[3], 1.0);
    }
}
