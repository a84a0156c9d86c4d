//! Where to say that people are who stand close together, when it is not sure who is who.
//!
//! The mean of each track is the best single place for *that label*, but for the *set* of people it is poor: if either of
//! two tracks may be at A or at B, both means lie half-way, where nobody is (coalescence). What is wanted is the set that
//! is nearest to the true set whatever the labels (minimum mean OSPA: Guerriero, Svensson, Svensson and Willett 2010).
//! The summed density of the tracks says where people are without saying who: here it is shared out among the tracks
//! again, one person each, so that the shares are as compact as may be (a balanced k-means: two neighbours at a time pool
//! their Gaussians and cut the pool in two across its longest axis, if that makes them more compact). Only what is
//! reported changes, not the tracks: pulling the tracks themselves apart was measured to be worse.

use super::store::Tracks;

/// Most pieces of density that one track may hold while they are shared out.
const PIECES_MAX: usize = 8;

/// A piece of the summed density: the centre of a Gaussian, or of a part of one.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    weight: f64,
    at: [f64; 2],
}

/// The pieces of one track; weights sum to 1.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    pieces: [Piece; PIECES_MAX],
    count: usize,
    mean: [f64; 2],
    /// Weighted squared distance from the mean, m2.
    scatter: f64,
}

impl Share {
    fn add(&mut self, piece: Piece) {
        if self.count < PIECES_MAX {
            self.pieces[self.count] = piece;
            self.count += 1;
            return;
        }
        // Full: into the nearest.
        let mut nearest = (f64::INFINITY, 0);
        for (k, p) in self.pieces.iter().enumerate() {
            let d2 = distance2(p.at, piece.at);
            if d2 < nearest.0 {
                nearest = (d2, k);
            }
        }
        let p = &mut self.pieces[nearest.1];
        let weight = p.weight + piece.weight;
        for c in 0..2 {
            p.at[c] = (p.at[c] * p.weight + piece.at[c] * piece.weight) / weight;
        }
        p.weight = weight;
    }

    fn measure(&mut self) {
        let (mut weight, mut mean) = (0.0, [0.0; 2]);
        for p in &self.pieces[..self.count] {
            weight += p.weight;
            mean[0] += p.weight * p.at[0];
            mean[1] += p.weight * p.at[1];
        }
        self.mean = [mean[0] / weight, mean[1] / weight];
        self.scatter = self.pieces[..self.count].iter().map(|p| p.weight * distance2(p.at, self.mean)).sum();
    }
}

/// How far the reported place of each track is from its mean, m.
#[derive(Clone, Debug, Default)]
pub(crate) struct Apart {
    /// Per track.
    pub(crate) shift: Vec<[f64; 2]>,
    /// Expected squared error of the reported place of each track, m2.
    pub(crate) doubt: Vec<f64>,
    /// Reported tracks by x: (x, track).
    order: Vec<(f64, u32)>,
    shares: Vec<Share>,
    pairs: Vec<(f64, u32, u32)>,
}

fn distance2(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1])
}

impl Apart {
    pub(crate) fn new(tracks_max: usize) -> Self {
        Apart {
            doubt: Vec::with_capacity(tracks_max),
            shift: Vec::with_capacity(tracks_max),
            order: Vec::with_capacity(tracks_max),
            shares: Vec::with_capacity(tracks_max),
            pairs: Vec::with_capacity(tracks_max * 8),
        }
    }

    pub(crate) fn solve(&mut self, tracks: &Tracks, existence_min: f64, reach_m: f64, spread: f64) {
        self.shift.clear();
        self.shift.resize(tracks.len(), [0.0; 2]);
        self.doubt.clear();
        self.doubt.resize(tracks.len(), 0.0);
        self.order.clear();
        self.shares.clear();
        self.pairs.clear();
        for i in 0..tracks.len() {
            let mut share = Share::default();
            if tracks.heads[i].existence > existence_min {
                for g in tracks.mixture(i) {
                    let c = g.centre();
                    share.add(Piece { weight: g.weight, at: [c[0], c[1]] });
                    self.doubt[i] += g.weight * g.place_doubt();
                }
                share.measure();
                self.order.push((share.mean[0], i as u32));
            }
            self.shares.push(share);
        }
        self.order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for n in 0..self.order.len() {
            let (x, i) = self.order[n];
            for &(other_x, j) in &self.order[n + 1..] {
                if other_x - x > reach_m {
                    break;
                }
                let (a, b) = (&self.shares[i as usize], &self.shares[j as usize]);
                let d2 = distance2(a.mean, b.mean);
                if d2 <= reach_m * reach_m && (a.count > 1 || b.count > 1) && self.pairs.len() < self.pairs.capacity() {
                    self.pairs.push((d2, i.min(j), i.max(j)));
                }
            }
        }
        self.pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        for _ in 0..(spread as usize) {
            let mut moved = false;
            for n in 0..self.pairs.len() {
                let (_, i, j) = self.pairs[n];
                moved |= self.part(i as usize, j as usize);
            }
            if !moved {
                break;
            }
        }
        for &(_, i) in &self.order {
            let i = i as usize;
            let [x, y, _, _] = tracks.mean(i);
            self.doubt[i] += self.shares[i].scatter;
            self.shift[i] = [self.shares[i].mean[0] - x, self.shares[i].mean[1] - y];
        }
    }

    fn part(&mut self, i: usize, j: usize) -> bool {
        let (a, b) = (&self.shares[i], &self.shares[j]);
        let centre = [0.5 * (a.mean[0] + b.mean[0]), 0.5 * (a.mean[1] + b.mean[1])];
        let mut pool = [(0.0, Piece::default()); 2 * PIECES_MAX];
        let mut n = 0;
        let mut cov = [0.0; 3];
        for p in a.pieces[..a.count].iter().chain(&b.pieces[..b.count]) {
            let d = [p.at[0] - centre[0], p.at[1] - centre[1]];
            cov[0] += p.weight * d[0] * d[0];
            cov[1] += p.weight * d[0] * d[1];
            cov[2] += p.weight * d[1] * d[1];
            pool[n].1 = *p;
            n += 1;
        }
        // Longest axis of the pool.
        let (h, k) = (0.5 * (cov[0] - cov[2]), cov[1]);
        let root = (h * h + k * k).sqrt();
        let mut axis = if h >= 0.0 { [h + root, k] } else { [k, root - h] };
        if axis[0] * (b.mean[0] - a.mean[0]) + axis[1] * (b.mean[1] - a.mean[1]) < 0.0 {
            axis = [-axis[0], -axis[1]];
        }
        let pool = &mut pool[..n];
        for (along, p) in pool.iter_mut() {
            *along = (p.at[0] - centre[0]) * axis[0] + (p.at[1] - centre[1]) * axis[1];
        }
        for m in 1..n {
            let mut at = m;
            while at > 0 && pool[at - 1].0 > pool[at].0 {
                pool.swap(at - 1, at);
                at -= 1;
            }
        }
        let (mut low, mut high) = (Share::default(), Share::default());
        let mut room = 1.0;
        for (_, p) in pool.iter() {
            if p.weight <= room + 1e-9 {
                low.add(*p);
                room -= p.weight;
            } else {
                if room > 1e-6 {
                    low.add(Piece { weight: room, at: p.at });
                }
                high.add(Piece { weight: p.weight - room.max(0.0), at: p.at });
                room = 0.0;
            }
        }
        if low.count == 0 || high.count == 0 {
            return false;
        }
        low.measure();
        high.measure();
        if low.scatter + high.scatter < a.scatter + b.scatter - 1e-4 {
            self.shares[i] = low;
            self.shares[j] = high;
            return true;
        }
        false
    }
}
