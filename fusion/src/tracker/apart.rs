//! Where to say that people are who stand close together, when it is not sure who is who.
//!
//! The mean of each track is the best single place for *that label*, but for the *set* of people it is poor: if either of
//! two tracks may be at A or at B, both means lie half-way, where nobody is (coalescence). What is wanted is the set that
//! is nearest to the true set whatever the labels (minimum mean OSPA: Guerriero, Svensson, Svensson and Willett 2010).
//! The summed density of the tracks says where people are without saying who: here it is shared out among the tracks
//! again, one person each, so that the shares are as compact as may be (a balanced k-means: two neighbours at a time pool
//! their Gaussians and cut the pool in two across its longest axis, if that makes them more compact). Only what is
//! reported changes, not the tracks: pulling the tracks themselves apart was measured to be worse.

use super::cells::Cells;
use super::gaussian::Gaussian;
use super::store::{Glance, Stand, Tracks, mean};

/// Most pieces of density that one track may hold while they are shared out.
const PIECES_MAX: usize = 8;
/// Times that all pairs are gone through at most.
const ROUNDS_MAX: u32 = 3;
/// Pairs per track for which there is room; the farthest ones beyond are left alone.
const PAIRS_PER_TRACK: usize = 8;
/// Most looks from a touched track to another, beyond which all are settled without looking.
const LOOKS_MAX: usize = 1024;
/// A cut must make two shares more compact by at least this, m2 (a centimetre squared).
const GAIN_MIN_M2: f64 = 1e-4;

/// A piece of the summed density: the centre of a Gaussian, or of a part of one.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    weight: f64,
    at: [f64; 2],
}

/// A track that may be reported.
#[derive(Clone, Copy, Debug, Default)]
struct Spot {
    track: u32,
    mean: [f64; 2],
    /// Distance of the farthest piece from the mean, m.
    reach: f64,
}

/// The pieces of one track; weights sum to 1.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    track: u32,
    count: u32,
    /// Round in which it last changed.
    changed: u32,
    mean: [f64; 2],
    /// Weighted squared distance of the pieces from the mean, m2.
    scatter: f64,
    /// Distance of the farthest piece from the mean, m.
    reach: f64,
    pieces: [Piece; PIECES_MAX],
}

/// Finds what is reported of each track's place ([`Stand`]).
#[derive(Clone, Debug, Default)]
pub(crate) struct Apart {
    /// Somebody who was told apart from a neighbour was moved or dropped.
    is_unsettled: bool,
    /// Tracks that may be reported, as they come and by cell.
    given: Vec<Spot>,
    spots: Vec<Spot>,
    cells: Cells,
    /// Neighbours that may have to be told apart: squared distance and two tracks, nearest first.
    pairs: Vec<(f64, u32, u32)>,
    /// Per track: its place in `shares`, `NONE` for those without such a neighbour.
    place: Vec<u32>,
    shares: Vec<Share>,
    /// Distance beyond which two tracks are never neighbours, m.
    near_m: f64,
    /// Most pairs. Not the capacity of `pairs`, which a clone does not keep.
    pairs_max: usize,
}

const NONE: u32 = u32::MAX;

impl Stand {
    /// Where track `i` is, by itself.
    fn of(tracks: &Tracks, i: usize, existence_min: f64) -> Self {
        let mixture = tracks.mixture(i);
        let [x, y, u, v] = mean(mixture);
        let reportable = tracks.head(i).existence > existence_min;
        let mut stand = Stand { mean: [x, y], velocity: [u, v], reportable, ..Stand::default() };
        if stand.reportable {
            stand.own_doubt = inner_doubt(mixture);
        }
        if mixture.len() > 1 {
            let mut farthest2 = 0.0f64;
            for g in mixture {
                let [x, y, _, _] = g.centre();
                let d2 = distance2(stand.mean, [x, y]);
                farthest2 = farthest2.max(d2);
                stand.own_doubt += if stand.reportable { g.weight * d2 } else { 0.0 };
            }
            stand.reach = farthest2.sqrt();
        }
        stand.by_itself();
        stand
    }

    /// It is reported where it is.
    fn by_itself(&mut self) {
        (self.shift, self.doubt, self.parted) = ([0.0; 2], self.own_doubt, false);
    }
}

/// Squared distance of two tracks whose pieces overlap, m2; none where they do not or are no neighbours.
#[inline]
fn overlap(a: [f64; 2], a_reach: f64, b: [f64; 2], b_reach: f64, near_m: f64) -> Option<f64> {
    let (d2, overlap) = (distance2(a, b), a_reach + b_reach);
    (overlap > 0.0 && d2 <= overlap * overlap && d2 <= near_m * near_m).then_some(d2)
}

impl Apart {
    /// Room for so many tracks; tracks within `near_m` of each other are told apart.
    pub(crate) fn new(tracks_max: usize, near_m: f64) -> Self {
        Apart {
            is_unsettled: false,
            given: Vec::with_capacity(tracks_max),
            spots: Vec::with_capacity(tracks_max),
            cells: Cells::new(),
            pairs: Vec::with_capacity(tracks_max * PAIRS_PER_TRACK),
            place: Vec::with_capacity(tracks_max),
            shares: Vec::with_capacity(tracks_max),
            near_m,
            pairs_max: tracks_max * PAIRS_PER_TRACK,
        }
    }

    /// A track that stood so is moved or dropped: who was told apart from it is told anew.
    #[inline]
    pub(crate) fn depart(&mut self, stand: &Stand) {
        self.is_unsettled |= stand.parted;
    }

    /// Finds what to report of the `touched` tracks and of all who are told apart from their neighbours, where one of those
    /// is among them. What it leaves is what [`Apart::solve_all`] would.
    pub(crate) fn solve(&mut self, tracks: &mut Tracks, touched: &[u32], existence_min: f64) {
        for &i in touched {
            tracks.set_stand(i as usize, Stand::of(tracks, i as usize, existence_min));
        }
        if std::mem::take(&mut self.is_unsettled) || self.overlaps_any(tracks.glances(), touched) {
            self.settle(tracks);
        }
    }

    /// Finds what to report of all tracks surer to exist than `existence_min`.
    pub(crate) fn solve_all(&mut self, tracks: &mut Tracks, existence_min: f64) {
        self.is_unsettled = false;
        for i in 0..tracks.len() {
            tracks.set_stand(i, Stand::of(tracks, i, existence_min));
        }
        self.settle(tracks);
    }

    /// Whether one of the `touched` has a neighbour that it must be told apart from; true where finding out costs more.
    fn overlaps_any(&self, all: &[Glance], touched: &[u32]) -> bool {
        // Most are in one place, and two such do not overlap.
        if !all.iter().any(|g| g.reportable && g.reach > 0.0) {
            return false;
        }
        if touched.len() * all.len() > LOOKS_MAX {
            return true;
        }
        touched.iter().any(|&i| {
            let a = &all[i as usize];
            let overlaps = |(j, b): (usize, &Glance)| {
                j != i as usize && b.reportable && overlap(a.mean, a.reach, b.mean, b.reach, self.near_m).is_some()
            };
            a.reportable && all.iter().enumerate().any(overlaps)
        })
    }

    /// Shares out what all tracks hold that are near each other.
    fn settle(&mut self, tracks: &mut Tracks) {
        if !self.find_spots(tracks) {
            return; // nobody is in two places
        }
        self.find_pairs();
        self.share_out(tracks);
        self.tell_apart();
        for share in &self.shares {
            let i = share.track as usize;
            if share.changed > 0 {
                let [x, y] = tracks.stand(i).mean;
                let doubt = inner_doubt(tracks.mixture(i)) + share.scatter;
                let stand = tracks.reported_mut(i);
                stand.shift = [share.mean[0] - x, share.mean[1] - y];
                (stand.doubt, stand.parted) = (doubt, true);
            }
        }
    }

    /// Lists the tracks that may be reported, each by its mean; true if one of them may be in several places.
    fn find_spots(&mut self, tracks: &mut Tracks) -> bool {
        self.given.clear();
        let mut several = false;
        for i in 0..tracks.len() {
            // The others are by themselves.
            if tracks.stand(i).parted {
                tracks.reported_mut(i).by_itself();
            }
            let g = tracks.glances()[i];
            if g.reportable {
                self.given.push(Spot { track: i as u32, mean: g.mean, reach: g.reach });
                several |= g.reach > 0.0;
            }
        }
        several
    }

    /// Lists neighbours whose pieces overlap: where they do not, a cut would give each its own again.
    fn find_pairs(&mut self) {
        let Apart { given, spots, cells, pairs, near_m, pairs_max, .. } = self;
        let near_m = *near_m;
        cells.arrange(given, |s| s.mean, near_m, spots);
        pairs.clear();
        for a in given.iter().filter(|a| a.reach > 0.0) {
            let low = [a.mean[0] - near_m, a.mean[1] - near_m];
            let high = [a.mean[0] + near_m, a.mean[1] + near_m];
            cells.for_each_run(low, high, |run| {
                for b in &spots[run] {
                    // Two that both reach out find each other twice.
                    if (a.track < b.track || b.reach == 0.0)
                        && pairs.len() < *pairs_max
                        && let Some(d2) = overlap(a.mean, a.reach, b.mean, b.reach, near_m)
                    {
                        pairs.push((d2, a.track.min(b.track), a.track.max(b.track)));
                    }
                }
            });
        }
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    }

    /// The pieces of every track that has a neighbour.
    fn share_out(&mut self, tracks: &Tracks) {
        self.shares.clear();
        self.place.clear();
        self.place.resize(tracks.len(), NONE);
        for &(_, i, j) in &self.pairs {
            for track in [i, j] {
                let place = &mut self.place[track as usize];
                if *place == NONE {
                    *place = self.shares.len() as u32;
                    let mut share = Share { track, ..Share::default() };
                    for g in tracks.mixture(track as usize) {
                        let [x, y, _, _] = g.centre();
                        share.add(Piece { weight: g.weight, at: [x, y] });
                    }
                    share.measure();
                    self.shares.push(share);
                }
            }
        }
    }

    /// Goes through the pairs until nothing becomes more compact.
    fn tell_apart(&mut self) {
        for round in 1..=ROUNDS_MAX {
            let mut moved = false;
            for n in 0..self.pairs.len() {
                let (_, i, j) = self.pairs[n];
                let (i, j) = (self.place[i as usize] as usize, self.place[j as usize] as usize);
                if self.shares[i].changed.max(self.shares[j].changed) + 1 >= round {
                    moved |= self.part(i, j, round);
                }
            }
            if !moved {
                break;
            }
        }
    }

    /// Shares the pieces of `i` and `j` out between them again; false if they are as compact as they can be.
    fn part(&mut self, i: usize, j: usize, round: u32) -> bool {
        let (a, b) = (&self.shares[i], &self.shares[j]);
        let mut pool = Pool::of(a, b);
        if pool.is_parted(a.count as usize) {
            return false; // the cut would give each its own
        }
        pool.sort();
        if pool.scatter_of_halves() >= a.scatter + b.scatter - GAIN_MIN_M2 {
            return false;
        }
        let mut low = Share { track: a.track, changed: round, ..Share::default() };
        let mut high = Share { track: b.track, changed: round, ..Share::default() };
        let piece = |k: u8| {
            let k = usize::from(k);
            if k < a.count as usize { a.pieces[k] } else { b.pieces[k - a.count as usize] }
        };
        pool.cut(|k, to_low, to_high| {
            let at = piece(k).at;
            if to_low > 0.0 {
                low.add(Piece { weight: to_low, at });
            }
            if to_high > 0.0 {
                high.add(Piece { weight: to_high, at });
            }
        });
        if low.count == 0 || high.count == 0 {
            return false;
        }
        low.measure();
        high.measure();
        self.shares[i] = low;
        self.shares[j] = high;
        true
    }
}

/// The pieces of two shares, to be cut in two of weight 1 across their longest axis.
struct Pool {
    /// Along the axis; weight; place from the middle of the two means, m; number of the piece, the second share's behind the
    /// first one's.
    pieces: [(f64, f64, [f64; 2], u8); 2 * PIECES_MAX],
    len: usize,
}

impl Pool {
    /// Of the first share's pieces and then the second's.
    fn of(a: &Share, b: &Share) -> Self {
        let centre = [0.5 * (a.mean[0] + b.mean[0]), 0.5 * (a.mean[1] + b.mean[1])];
        let mut pool = Pool { pieces: [(0.0, 0.0, [0.0; 2], 0); 2 * PIECES_MAX], len: 0 };
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for p in a.pieces().iter().chain(b.pieces()) {
            let d = [p.at[0] - centre[0], p.at[1] - centre[1]];
            xx += p.weight * d[0] * d[0];
            xy += p.weight * d[0] * d[1];
            yy += p.weight * d[1] * d[1];
            pool.pieces[pool.len] = (0.0, p.weight, d, pool.len as u8);
            pool.len += 1;
        }
        let axis = longest_axis([xx, xy, yy], [b.mean[0] - a.mean[0], b.mean[1] - a.mean[1]]);
        for (along, _, d, _) in &mut pool.pieces[..pool.len] {
            *along = d[0] * axis[0] + d[1] * axis[1];
        }
        pool
    }

    /// Whether the first `count` pieces all lie before the others.
    fn is_parted(&self, count: usize) -> bool {
        let (first, second) = self.pieces[..self.len].split_at(count);
        let last = first.iter().fold(f64::NEG_INFINITY, |last, p| if p.0 > last { p.0 } else { last });
        second.iter().all(|p| p.0 >= last)
    }

    /// Along the axis, by insertion: at most 16 pieces, and equal ones keep their order.
    fn sort(&mut self) {
        for n in 1..self.len {
            let piece = self.pieces[n];
            let mut at = n;
            while at > 0 && self.pieces[at - 1].0 > piece.0 {
                self.pieces[at] = self.pieces[at - 1];
                at -= 1;
            }
            self.pieces[at] = piece;
        }
    }

    /// Calls `give` with each piece's number and what of its weight goes to the lower half, of weight 1, and to the upper.
    fn cut(&self, mut give: impl FnMut(u8, f64, f64)) {
        let mut room = 1.0;
        for &(_, weight, _, number) in &self.pieces[..self.len] {
            // What is left of rounding is not worth a piece.
            if weight <= room + 1e-9 {
                give(number, weight, 0.0);
                room -= weight;
            } else {
                let part = if room > 1e-6 { room } else { 0.0 };
                give(number, part, weight - room.max(0.0));
                room = 0.0;
            }
        }
    }

    /// What the scatter of the two halves would be, m2: by `sum w d2 - (sum w d)2 / sum w`, small numbers from the middle.
    fn scatter_of_halves(&self) -> f64 {
        let mut room = 1.0;
        let (mut whole, mut low, mut high) = (0.0, [0.0; 3], [0.0; 3]);
        for &(_, weight, d, _) in &self.pieces[..self.len] {
            let part = if weight < room { weight } else { room };
            let rest = weight - part;
            room -= part;
            whole += weight * (d[0] * d[0] + d[1] * d[1]);
            for (k, term) in [1.0, d[0], d[1]].into_iter().enumerate() {
                low[k] += part * term;
                high[k] += rest * term;
            }
        }
        let mean_part = |m: [f64; 3]| if m[0] > 0.0 { (m[1] * m[1] + m[2] * m[2]) / m[0] } else { 0.0 };
        whole - mean_part(low) - mean_part(high)
    }
}

impl Share {
    fn pieces(&self) -> &[Piece] {
        &self.pieces[..self.count as usize]
    }

    /// Adds a piece; where there is no room, to the nearest one.
    fn add(&mut self, piece: Piece) {
        if (self.count as usize) < PIECES_MAX {
            self.pieces[self.count as usize] = piece;
            self.count += 1;
            return;
        }
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

    /// Finds mean, scatter and reach of the pieces.
    fn measure(&mut self) {
        let (mut weight, mut sum) = (0.0, [0.0; 2]);
        for p in self.pieces() {
            weight += p.weight;
            sum[0] += p.weight * p.at[0];
            sum[1] += p.weight * p.at[1];
        }
        self.mean = [sum[0] / weight, sum[1] / weight];
        let (mut scatter, mut farthest2) = (0.0, 0.0f64);
        for p in self.pieces() {
            let d2 = distance2(p.at, self.mean);
            scatter += p.weight * d2;
            farthest2 = farthest2.max(d2);
        }
        self.scatter = scatter;
        self.reach = farthest2.sqrt();
    }
}

/// Direction in which points of the moments `[xx, xy, yy]` about their middle are longest, on the side of `towards` (not of
/// unit length).
fn longest_axis([xx, xy, yy]: [f64; 3], towards: [f64; 2]) -> [f64; 2] {
    // Eigenvector of the larger eigenvalue of [[xx, xy], [xy, yy]], by whichever form does not cancel.
    let half = 0.5 * (xx - yy);
    let root = (half * half + xy * xy).sqrt();
    let axis = if half >= 0.0 { [half + root, xy] } else { [xy, root - half] };
    if axis[0] * towards[0] + axis[1] * towards[1] < 0.0 { [-axis[0], -axis[1]] } else { axis }
}

/// Expected squared error of a mixture's place if it were known which of its Gaussians is right, m2.
#[inline]
fn inner_doubt(mixture: &[Gaussian]) -> f64 {
    mixture.iter().map(|g| g.weight * g.place_doubt()).sum()
}

/// Squared distance, m2.
fn distance2(a: [f64; 2], b: [f64; 2]) -> f64 {
    let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
    dx * dx + dy * dy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(track: u32, pieces: &[(f64, f64, f64)]) -> Share {
        let mut share = Share { track, ..Share::default() };
        for &(weight, x, y) in pieces {
            share.add(Piece { weight, at: [x, y] });
        }
        share.measure();
        share
    }

    fn parted(shares: Vec<Share>) -> Apart {
        let mut apart = Apart::new(8, 3.0);
        apart.given = shares.iter().map(|s| Spot { track: s.track, mean: s.mean, reach: s.reach }).collect();
        apart.find_pairs();
        apart.place = (0..shares.len() as u32).collect();
        apart.shares = shares;
        apart.tell_apart();
        apart
    }

    #[test]
    fn two_tracks_that_may_be_either_of_two_places_take_one_each() {
        let apart = parted(vec![
            share(0, &[(0.55, 0.0, 0.0), (0.45, 1.0, 0.2)]),
            share(1, &[(0.45, 0.0, 0.0), (0.55, 1.0, 0.2)]),
        ]);
        assert!(distance2(apart.shares[0].mean, [0.0, 0.0]) < 1e-12);
        assert!(distance2(apart.shares[1].mean, [1.0, 0.2]) < 1e-12);
    }

    #[test]
    fn tracks_that_do_not_overlap_stay() {
        let (a, b) = (share(0, &[(0.5, 0.0, 0.0), (0.5, 0.3, 0.0)]), share(1, &[(0.5, 1.0, 0.0), (0.5, 1.4, 0.0)]));
        let apart = parted(vec![a, b]);
        assert!(apart.pairs.is_empty());
        assert_eq!((apart.shares[0].mean, apart.shares[1].mean), (a.mean, b.mean));
    }

    #[test]
    fn density_is_kept_and_scatter_never_grows() {
        let shares = vec![
            share(0, &[(0.4, 0.0, 0.0), (0.3, 0.8, 0.1), (0.3, 0.2, 0.9)]),
            share(1, &[(0.5, 0.1, 0.1), (0.5, 0.9, 0.0)]),
            share(2, &[(0.2, 0.0, 1.0), (0.8, 0.7, 0.2)]),
        ];
        let total = |shares: &[Share]| {
            let mut t = (0.0, [0.0; 2]);
            for s in shares {
                t.0 += s.scatter;
                t.1 = [t.1[0] + s.mean[0], t.1[1] + s.mean[1]];
            }
            t
        };
        let before = total(&shares);
        let apart = parted(shares);
        let after = total(&apart.shares);
        assert!(after.0 < 0.9 * before.0, "{} of {}", after.0, before.0);
        assert!(distance2(before.1, after.1) < 1e-20, "the mean of all people stays");
        for s in &apart.shares {
            assert!((s.pieces().iter().map(|p| p.weight).sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }
}
