//! Whose detection is whose: marginal probabilities over all joint assignments of a scan.
//!
//! Tracks that share detections form clusters, and each cluster is solved by itself. Clusters of up to three tracks are
//! solved exactly ([`exact`](super::exact)). For larger ones that would cost exponential time, so their marginals are
//! found by loopy belief propagation (Williams and Lau 2014, "Approximate evaluation of marginal association probabilities
//! with belief propagation"), which converges to a unique fixed point and is exact where tracks and detections form a tree.
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

use super::exact::{Few, TRACKS_MAX};

/// By how much more than it should a message moves (successive over-relaxation, Young 1954): in crowds messages creep in
/// one direction, and with 1.3 they take six in ten of the visits that they take with 1 (100 people: 11,200 and 18,200
/// edges a scan; 1.2: 13,200, 1.4: 10,500, but 1.5: 14,400).
const STRETCH: f64 = 1.3;
/// Sweeps in which it does: the first two go far anyway, and a cluster that takes so many is better off without.
const STRETCHED: std::ops::Range<u32> = 3..50;

/// The bipartite graph of a scan and the marginals found on it. All arrays are allocated once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Association {
    /// First edge of each track, and one more: edges of track i are `start[i]..start[i + 1]`.
    pub(crate) start: Vec<u32>,
    /// Detection of each edge, ascending within a track.
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
    /// Per detection: `other` over the probability of being nobody known.
    pub(crate) total: Vec<f64>,
    /// Per detection: how many tracks have an edge to it.
    takers: Vec<u32>,
    /// Union-find over tracks.
    parent: Vec<u32>,
    /// First track that has an edge to the detection, `NONE` if no one.
    owner: Vec<u32>,
    /// Tracks that share a detection with another, ascending.
    sharing: Vec<u32>,
    /// Cluster of each track that is the first of its cluster.
    number: Vec<u32>,
    /// Tracks ordered by cluster, and where each cluster begins.
    members: Vec<u32>,
    cluster_start: Vec<u32>,
    /// Sweep in which the detection's total last changed by more than the tolerance.
    changed: Vec<u32>,
    /// Room to solve a small cluster.
    few: Few,
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
            takers: reserve_u32(detections_max),
            parent: reserve_u32(tracks_max),
            owner: reserve_u32(detections_max),
            sharing: reserve_u32(tracks_max),
            number: reserve_u32(tracks_max),
            members: reserve_u32(tracks_max),
            cluster_start: reserve_u32(tracks_max + 1),
            changed: reserve_u32(detections_max),
            few: Few::default(),
            edges_max,
        }
    }

    /// Forgets the last scan and takes the detections of a new one: clutter plus undetected people per m2 at each.
    pub(crate) fn begin(&mut self, other: impl Iterator<Item = f64>) {
        self.start.clear();
        self.start.push(0);
        self.detection.clear();
        self.psi.clear();
        self.other.clear();
        self.other.extend(other);
        self.takers.clear();
        self.takers.resize(self.other.len(), 0);
    }

    /// Adds an edge to the track being described, to a later detection than the one before; false if there is no room.
    #[inline]
    pub(crate) fn push_edge(&mut self, detection: u32, psi: f64) -> bool {
        if self.psi.len() == self.edges_max {
            return false;
        }
        self.detection.push(detection);
        self.psi.push(psi);
        self.takers[detection as usize] += 1;
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
        let (tracks, edges) = (self.start.len() - 1, self.psi.len());
        self.mu.clear();
        self.mu.resize(edges, 0.0);
        self.marginal.clear();
        self.marginal.resize(edges, 0.0);
        self.unseen.clear();
        self.unseen.resize(tracks, 1.0);
        self.total.clear();
        self.total.extend_from_slice(&self.other);
        self.sharing.clear();
        let mut effort = Effort::default();
        for i in 0..tracks {
            let edges = self.edges(i);
            if edges.is_empty() {
                continue; // unseen
            }
            if self.detection[edges.clone()].iter().any(|&j| self.takers[j as usize] > 1) {
                self.sharing.push(i as u32);
            } else {
                self.solve_alone(i, edges);
                effort = Effort { clusters: effort.clusters + 1, largest: 1, sweeps: 1, ..effort };
            }
        }
        if self.sharing.is_empty() {
            return effort;
        }
        self.cluster();
        self.changed.clear();
        self.changed.resize(self.other.len(), 0);
        for c in 0..self.cluster_start.len() - 1 {
            let (from, to) = (self.cluster_start[c] as usize, self.cluster_start[c + 1] as usize);
            effort.clusters += 1;
            effort.largest = effort.largest.max((to - from) as u32);
            if to - from <= TRACKS_MAX && self.solve_few(from, to) {
                continue;
            }
            let sweeps = self.propagate(from, to, tolerance, sweeps_max);
            effort.sweeps = effort.sweeps.max(sweeps);
            effort.capped += u32::from(sweeps == sweeps_max);
        }
        effort
    }

    /// A track that shares no detection: belief propagation ends after one sweep, and is exact.
    #[inline]
    fn solve_alone(&mut self, i: usize, edges: std::ops::Range<usize>) {
        let mut sum = 1.0;
        for e in edges.clone() {
            let share = self.psi[e] / self.other[self.detection[e] as usize];
            self.marginal[e] = share;
            sum += share;
        }
        let scale = 1.0 / sum;
        for e in edges {
            let share = self.marginal[e];
            self.total[self.detection[e] as usize] += self.psi[e] / (sum - share);
            self.marginal[e] = share * scale;
        }
        self.unseen[i] = scale;
    }

    /// A cluster of few tracks, exactly; false if it has too many detections for that or too large weights.
    fn solve_few(&mut self, from: usize, to: usize) -> bool {
        let Association { few, members, start, detection, psi, other, marginal, unseen, total, .. } = self;
        let edges = |i: u32| start[i as usize] as usize..start[i as usize + 1] as usize;
        few.clear();
        for &i in &members[from..to] {
            if !few.push(&detection[edges(i)], &psi[edges(i)], other) {
                return false;
            }
        }
        if !few.solve() {
            return false;
        }
        for (k, &i) in members[from..to].iter().enumerate() {
            unseen[i as usize] = few.marginals(k, &detection[edges(i)], &mut marginal[edges(i)]);
        }
        few.nobody(|j, p| total[j as usize] = other[j as usize] / p);
        true
    }

    /// Groups tracks that share detections: union-find, clusters in the order of their first track.
    fn cluster(&mut self) {
        let Association { start, detection, parent, owner, sharing, number, members, cluster_start, .. } = self;
        parent.clear();
        parent.extend(0..start.len() as u32 - 1);
        owner.clear();
        owner.resize(self.other.len(), NONE);
        for &i in &*sharing {
            for &j in &detection[start[i as usize] as usize..start[i as usize + 1] as usize] {
                let owner = &mut owner[j as usize];
                if *owner == NONE {
                    *owner = i;
                } else {
                    let (a, b) = (root(parent, *owner), root(parent, i));
                    // The smaller index is the root, so that roots come first in track order.
                    parent[a.max(b) as usize] = a.min(b);
                }
            }
        }
        // Counting sort by cluster; a root comes before all that point to it, so its number is known when they ask.
        cluster_start.clear();
        number.clear();
        number.resize(parent.len(), 0);
        for &i in &*sharing {
            let r = root(parent, i);
            if r == i {
                number[i as usize] = cluster_start.len() as u32;
                cluster_start.push(0);
            }
            cluster_start[number[r as usize] as usize] += 1;
        }
        // Counts become ends ...
        let mut sum = 0;
        for c in &mut *cluster_start {
            sum += *c;
            *c = sum;
        }
        cluster_start.push(sum);
        members.clear();
        members.resize(sharing.len(), 0);
        // ... and, filling from the back, ends become starts.
        for &i in sharing.iter().rev() {
            let place = &mut cluster_start[number[root(parent, i) as usize] as usize];
            *place -= 1;
            members[*place as usize] = i;
        }
    }

    /// Belief propagation over `members[from..to]`, tracks in order, each using the newest messages (Gauss-Seidel: about
    /// half the sweeps of the simultaneous order), stretched ([`STRETCH`]). A track is visited again only if one of its
    /// detections changed. Returns the sweeps used.
    fn propagate(&mut self, from: usize, to: usize, tolerance: f64, sweeps_max: u32) -> u32 {
        let mut sweep = 0;
        loop {
            sweep += 1;
            let stretch = if STRETCHED.contains(&sweep) { STRETCH } else { 1.0 };
            let mut moved = false;
            for m in from..to {
                let i = self.members[m] as usize;
                let edges = self.edges(i);
                // A track looks again if a detection changed in this sweep (before it) or in the last one (after it).
                let changed = &self.changed;
                if sweep > 1 && !self.detection[edges.clone()].iter().any(|&j| changed[j as usize] + 1 >= sweep) {
                    continue;
                }
                moved |= self.visit(edges, sweep, stretch, tolerance);
            }
            if !moved || sweep == sweeps_max {
                break;
            }
        }
        for m in from..to {
            let i = self.members[m] as usize;
            let edges = self.edges(i);
            let scale = 1.0 / self.share_out(edges.clone());
            self.marginal[edges].iter_mut().for_each(|share| *share *= scale);
            self.unseen[i] = scale;
        }
        sweep
    }

    /// Writes `psi nu` of a track's edges over their marginals; returns 1 + their sum.
    #[inline(always)]
    fn share_out(&mut self, edges: std::ops::Range<usize>) -> f64 {
        let Association { detection, psi, mu, marginal, other, total, .. } = self;
        let (detection, psi) = (&detection[edges.clone()], &psi[edges.clone()]);
        let (mu, shares) = (&mu[edges.clone()], &mut marginal[edges]);
        let total = &mut total[..other.len()];
        let mut sum = 1.0;
        for (((&j, psi), mu), share) in detection.iter().zip(psi).zip(mu).zip(shares) {
            // max: a difference of large messages must not fall below what is certainly there.
            // Not `f64::max`, which looks after NaN.
            let (rest, least) = (total[j as usize] - mu, other[j as usize]);
            *share = psi / if rest > least { rest } else { least };
            sum += *share;
        }
        sum
    }

    /// New messages of one track. True if one changed by more than the tolerance: relative to all that its detection is
    /// told, because the others hear only the sum.
    #[inline(always)]
    fn visit(&mut self, edges: std::ops::Range<usize>, sweep: u32, stretch: f64, tolerance: f64) -> bool {
        let sum = self.share_out(edges.clone());
        let Association { detection, psi, mu, marginal, total, changed, .. } = self;
        let (detection, psi) = (&detection[edges.clone()], &psi[edges.clone()]);
        let (mu, shares) = (&mut mu[edges.clone()], &marginal[edges]);
        let changed = &mut changed[..total.len()];
        let mut moved = false;
        for (((&j, psi), mu), share) in detection.iter().zip(psi).zip(mu).zip(shares) {
            let found = psi / (sum - share);
            // Never far below what was found: a message is positive.
            let (stretched, least) = (*mu + stretch * (found - *mu), 0.5 * found);
            let new = if stretched > least { stretched } else { least };
            let change = new - *mu;
            *mu = new;
            let (total, changed) = (&mut total[j as usize], &mut changed[j as usize]);
            *total += change;
            // Without a branch: nobody could foretell it.
            let much = change.abs() > tolerance * *total;
            *changed = (*changed).max(sweep * u32::from(much));
            moved |= much;
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
    fn made(psi: &[Vec<f64>], other: &[f64]) -> Association {
        let mut graph = Association::new(16, 16, 256);
        graph.begin(other.iter().copied());
        for row in psi {
            for (j, &weight) in row.iter().enumerate() {
                if weight > 0.0 {
                    assert!(graph.push_edge(j as u32, weight));
                }
            }
            graph.end_track();
        }
        graph
    }

    fn solve(psi: &[Vec<f64>], other: &[f64], tolerance: f64) -> Association {
        let mut graph = made(psi, other);
        graph.solve(tolerance, 10_000);
        graph
    }

    /// Belief propagation where `solve` would be exact.
    fn propagated(psi: &[Vec<f64>], other: &[f64], tolerance: f64) -> Association {
        let mut graph = solve(psi, other, tolerance);
        graph.mu.fill(0.0);
        graph.total.copy_from_slice(other);
        graph.changed.clear();
        graph.changed.resize(other.len(), 0);
        for c in 0..graph.cluster_start.len().saturating_sub(1) {
            graph.propagate(graph.cluster_start[c] as usize, graph.cluster_start[c + 1] as usize, tolerance, 10_000);
        }
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

    /// Up to four tracks and as many detections.
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
            let graph = propagated(&psi, &other, 1e-10);
            prop_assert!(worst(&graph, &simultaneous(&psi, &other)) < 1e-5);
            // No detection is shared out more than once.
            for j in 0..other.len() {
                let used: f64 = (0..graph.psi.len()).filter(|&e| graph.detection[e] as usize == j).map(|e| graph.marginal[e]).sum();
                prop_assert!(used <= 1.0 + 1e-6);
            }
        }

        #[test]
        fn few_tracks_are_solved_exactly((psi, other) in graphs()) {
            let graph = solve(&psi, &other, 1e-10);
            let want = exact(&psi, &other);
            if psi.len() <= TRACKS_MAX {
                prop_assert!(worst(&graph, &want) < 1e-7);
                for (j, (total, other)) in graph.total.iter().zip(&other).enumerate() {
                    let known: f64 = want.iter().map(|row| row[j]).sum();
                    prop_assert!((other / total - (1.0 - known)).abs() < 1e-7);
                }
            }
        }

        #[test]
        fn without_loops_they_are_exact(weights in proptest::collection::vec(0.001..8.0f64, 7)) {
            // A chain: track 0 - detection 0 - track 1 - detection 1 - track 2, and one more detection for track 0.
            let w = &weights;
            let psi = vec![vec![w[0], 0.0, w[1]], vec![w[2], w[3], 0.0], vec![0.0, w[4], 0.0]];
            let other = [0.01, 0.02, 0.01 + 0.01 * w[5]];
            let graph = propagated(&psi, &other, 1e-12);
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
        assert_eq!(graph.members, [0, 2, 1, 4]);
        assert_eq!(graph.cluster_start, [0, 2, 4]);
        assert_eq!(graph.unseen[3], 1.0);
    }
}
