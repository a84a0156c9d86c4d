//! Track rows by *label*: which rows are of one and the same person is decided by what was heard until each row, and only
//! what that person is called may be learnt later.
//!
//! Every track begins with a label of its own. Which label each track bears is believed apart from where the track is: a
//! matrix whose rows (tracks) and columns (labels) sum to one, since one label is one person. Two things change it:
//!
//! - Tracks that come close may change places: their rows are mixed by the probability of that, once per meeting, by its
//!   closest moment.
//! - A badge read binds its person to the label of the track that clearly stands at the reader; from then on a read of that
//!   person says where the label is. A track that gains it gives up a share of its other labels, and those who lose it get
//!   what was given up (two who had changed places are put right by one read), so that all sums stay.
//!
//! At each instant every row bears one label and no label is borne twice, the surest first. Nothing of that looks ahead; so
//! it is how well an engine can follow people *while* it runs. A name comes with the label's first read, and stands on
//! all of the label's rows.

use super::moments::{MEET_M, READER_REACH_M, neighbours, reader_fit, swap_p};
use super::{Read, Row, at, distance2};
use osmose_model::ids::{PersonId, TrackId};
use std::collections::{BTreeMap, BTreeSet};

/// Most labels that one track may bear; of more the least likely is dropped.
const LABELS_MAX: usize = 32;
/// Labels less likely than this are dropped.
const LABEL_P_MIN: f64 = 1e-5;
/// The most that one meeting can mix: beyond, the order is as good as forgotten.
const SWAP_P_MAX: f64 = 0.4999;
/// The least standard deviation per axis of where somebody stands who shows a badge.
const READER_SIGMA_M: f64 = 0.3;
/// How well it fits somebody anywhere else, on the same scale.
const ELSEWHERE: f64 = 1e-4;
/// How likely a track is to bear a label after all that it is not believed to bear.
const MISTAKEN_P: f64 = 0.02;
/// A badge binds a person to a label only where its track is so many times as likely as any other.
const CLEAR_WINNER: f64 = 3.0;
/// ... and the label so likely to be that track's.
const BOUND_P_MIN: f64 = 0.05;

/// The labels that a track may bear, by the track that began with them.
type Belief = Vec<(TrackId, f64)>;

fn p_of(belief: &Belief, label: TrackId) -> f64 {
    belief.iter().find(|(l, _)| *l == label).map_or(0.0, |&(_, p)| p)
}

/// Makes a label as likely as `p`, wherever the others are.
fn put(belief: &mut Belief, label: TrackId, p: f64) {
    if let Some(entry) = belief.iter_mut().find(|(l, _)| *l == label) {
        entry.1 = p;
        return;
    }
    if p < LABEL_P_MIN {
        return;
    }
    if belief.len() == LABELS_MAX {
        let least = (0..belief.len()).min_by(|&a, &b| belief[a].1.total_cmp(&belief[b].1));
        match least {
            Some(least) if belief[least].1 < p => drop(belief.swap_remove(least)),
            _ => return,
        }
    }
    belief.push((label, p));
}

/// Drops what is too unlikely and makes the rest sum to one.
fn tidy(belief: &mut Belief) {
    belief.retain(|(_, p)| *p >= LABEL_P_MIN);
    let sum: f64 = belief.iter().map(|(_, p)| p).sum();
    belief.iter_mut().for_each(|(_, p)| *p /= sum);
}

/// `(1 - s) a + s b`.
fn mixture(a: &Belief, b: &Belief, s: f64) -> Belief {
    let mut out = Belief::new();
    for &(label, p) in a {
        put(&mut out, label, (1.0 - s) * p + s * p_of(b, label));
    }
    for &(label, p) in b.iter().filter(|(label, _)| a.iter().all(|(l, _)| l != label)) {
        put(&mut out, label, s * p);
    }
    tidy(&mut out);
    out
}

/// Which label is whose.
#[derive(Clone, Debug, Default)]
struct Labels {
    beliefs: BTreeMap<TrackId, Belief>,
    /// Whom a label was bound to, and the other way round.
    owners: BTreeMap<TrackId, PersonId>,
    bound: BTreeMap<PersonId, TrackId>,
    /// What was mixed already of each meeting that is not over.
    meetings: BTreeMap<(TrackId, TrackId), f64>,
}

/// Gives every row, in the order of time, the label that it bears as its track, and the name of that label. Rows of a known
/// person's device keep track and name.
pub(super) fn label_rows(rows: &mut [Row], reads: &[Read]) {
    rows.sort_by_key(|r| (r.at, r.track));
    let mut reads = reads.to_vec();
    reads.sort_by_key(|r| r.at);
    let mut labels = Labels::default();
    let (mut heard, mut from) = (0, 0);
    while from < rows.len() {
        let now = rows[from].at;
        let to = from + rows[from..].partition_point(|r| r.at == now);
        let here = &mut rows[from..to];
        labels.meet(here);
        while let Some(read) = reads.get(heard).filter(|r| r.at <= now) {
            labels.hear(read, here);
            heard += 1;
        }
        labels.put_on(here);
        from = to;
    }
    for row in rows.iter_mut().filter(|r| !r.device) {
        row.person = labels.owners.get(&row.track).map(|person| (*person, 1.0));
    }
}

impl Labels {
    /// New tracks get their own label, and those that come close are mixed.
    fn meet(&mut self, rows: &[Row]) {
        for row in rows.iter().filter(|r| !r.device) {
            self.beliefs.entry(row.track).or_insert_with(|| vec![(row.track, 1.0)]);
        }
        let mut near = Vec::new();
        neighbours(rows.iter().filter(|r| !r.device), |pair, (a, b), d2| {
            if d2 < MEET_M * MEET_M || self.meetings.contains_key(&pair) {
                near.push((pair, swap_p(d2, distance2(a.velocity_mps, b.velocity_mps)).min(SWAP_P_MAX)));
            }
        });
        near.sort_by_key(|(pair, _)| *pair);
        self.meetings.retain(|pair, _| near.binary_search_by_key(pair, |(p, _)| *p).is_ok());
        for (pair, swap_p) in near {
            self.mix(pair, swap_p);
        }
    }

    /// Mixes two tracks' labels by what this moment adds to the probability of having changed places.
    fn mix(&mut self, pair: (TrackId, TrackId), swap_p: f64) {
        let mixed = self.meetings.entry(pair).or_insert(0.0);
        if swap_p <= *mixed {
            return;
        }
        // Two mixings s1 and s2 in a row are one with 1 - 2s = (1 - 2 s1)(1 - 2 s2).
        let more = 0.5 * (1.0 - (1.0 - 2.0 * swap_p) / (1.0 - 2.0 * *mixed));
        *mixed = swap_p;
        let (Some(a), Some(b)) = (self.beliefs.get(&pair.0), self.beliefs.get(&pair.1)) else { return };
        let (a, b) = (mixture(a, b, more), mixture(b, a, more));
        self.beliefs.insert(pair.0, a);
        self.beliefs.insert(pair.1, b);
    }

    /// A badge was read: whoever fits it best bears its label, and all others follow.
    fn hear(&mut self, read: &Read, rows: &[Row]) {
        let here = || rows.iter().filter(|r| !r.device);
        if rows.iter().any(|r| r.device && r.person.is_some_and(|(person, _)| person == read.person)) {
            return; // their own device says where they are
        }
        let label = match self.bound.get(&read.person) {
            Some(label) => *label,
            None => match self.bind(read, here().map(|r| (r.track, fit(read, r)))) {
                Some(label) => label,
                None => return,
            },
        };
        let mut weights: BTreeMap<TrackId, f64> =
            here().map(|r| (r.track, (p_of(&self.beliefs[&r.track], label) + MISTAKEN_P) * fit(read, r))).collect();
        for (&track, belief) in &self.beliefs {
            let p = p_of(belief, label);
            if p > 0.0 {
                weights.entry(track).or_insert(p * ELSEWHERE);
            }
        }
        let all: f64 = weights.values().sum();
        if all > 0.0 {
            weights.values_mut().for_each(|w| *w /= all);
            self.settle(label, &weights);
        }
    }

    /// The label of the track that clearly showed a badge, now that of its person: the likeliest that is nobody's yet.
    fn bind(&mut self, read: &Read, tracks: impl Iterator<Item = (TrackId, f64)>) -> Option<TrackId> {
        let Self { beliefs, owners, bound, .. } = self;
        let free = |track: TrackId| beliefs[&track].iter().filter(|(label, _)| !owners.contains_key(label));
        let mut weighed: Vec<(f64, TrackId)> =
            tracks.map(|(track, fit)| (fit * (free(track).map(|(_, p)| p).sum::<f64>() + MISTAKEN_P), track)).collect();
        weighed.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let &(best, track) = weighed.first()?;
        if weighed.get(1).is_some_and(|(second, _)| best <= CLEAR_WINNER * second) {
            return None;
        }
        let (label, p) = free(track).copied().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))?;
        if p < BOUND_P_MIN {
            return None;
        }
        owners.insert(label, read.person);
        bound.insert(read.person, label);
        Some(label)
    }

    /// A label is now where `shares` say. Who gains it gives up as much of its others, and that goes to those who lose it.
    fn settle(&mut self, label: TrackId, shares: &BTreeMap<TrackId, f64>) {
        let mut given: BTreeMap<TrackId, f64> = BTreeMap::new();
        let mut losers = Vec::new();
        for (&track, &share) in shares {
            let Some(belief) = self.beliefs.get_mut(&track) else { continue };
            let had = p_of(belief, label);
            if share > had {
                let left = (1.0 - share) / (1.0 - had);
                for (other, p) in belief.iter_mut().filter(|(l, _)| *l != label) {
                    *given.entry(*other).or_insert(0.0) += *p * (1.0 - left);
                    *p *= left;
                }
            } else {
                losers.push((track, had - share));
            }
            put(belief, label, share);
        }
        let all: f64 = given.values().sum();
        for (track, loss) in losers {
            let Some(belief) = self.beliefs.get_mut(&track) else { continue };
            for (&other, &gift) in &given {
                put(belief, other, p_of(belief, other) + loss * gift / all);
            }
        }
        for track in shares.keys() {
            self.beliefs.entry(*track).and_modify(tidy);
        }
    }

    /// One label per row and one row per label, the surest first; who is left over gets a label that nobody here bears.
    fn put_on(&self, rows: &mut [Row]) {
        let mut claims: Vec<(f64, usize, TrackId)> = Vec::new();
        for (n, row) in rows.iter().enumerate().filter(|(_, r)| !r.device) {
            claims.extend(self.beliefs[&row.track].iter().map(|&(label, p)| (p, n, label)));
        }
        claims.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut taken = BTreeSet::new();
        let mut given: Vec<Option<TrackId>> = vec![None; rows.len()];
        for (_, n, label) in claims {
            if given[n].is_none() && taken.insert(label) {
                given[n] = Some(label);
            }
        }
        // There are as many tracks here as rows, and each began with a label.
        let own: Vec<TrackId> = rows.iter().filter(|r| !r.device).map(|r| r.track).collect();
        let mut spare = own.into_iter().filter(|label| !taken.contains(label));
        for (row, label) in rows.iter_mut().zip(given).filter(|(r, _)| !r.device) {
            row.track = label.or_else(|| spare.next()).unwrap_or(row.track);
        }
    }
}

/// How well a row fits being who shows a badge, 1 right at the reader.
fn fit(read: &Read, row: &Row) -> f64 {
    // Moved back to the read.
    let since_s = read.at.since(row.at).as_s_f64();
    let [x_m, y_m] = at(row.place);
    let [vx, vy] = row.velocity_mps;
    let d2 = distance2([x_m + vx * since_s, y_m + vy * since_s], at(read.place));
    if row.place.level != read.place.level || d2 >= READER_REACH_M * READER_REACH_M {
        return ELSEWHERE;
    }
    ELSEWHERE + reader_fit(d2, read.sigma_m.max(READER_SIGMA_M))
}

#[cfg(test)]
mod tests {
    use super::super::Smoother;
    use super::*;
    use osmose_model::geometry::{Place, Point};
    use osmose_model::ids::LevelId;
    use osmose_model::time::LogicalNs;
    use proptest::prelude::*;

    /// Two who walk towards each other along x, pass at `apart_m` and walk on, for 8 s; `reads` are (tenths, x, y, person).
    fn labelled(apart_m: f64, reads: &[(i64, f64, f64, u16)]) -> Vec<Row> {
        let mut smoother = Smoother::default();
        for tick in 0..=80i64 {
            let (x, y) = (0.1 * tick as f64 - 4.0, 0.5 * apart_m);
            for (track, sign) in [(1, 1.0), (2, -1.0)] {
                smoother.rows.push(Row {
                    at: LogicalNs(tick * 100_000_000),
                    track: TrackId(track),
                    place: Place { level: LevelId(0), at: Point::new(sign * x, sign * y), z_m: None },
                    // Walking the same way, so that they cannot be told apart by where they go.
                    velocity_mps: [0.0, 0.0],
                    person: None,
                    device: false,
                });
            }
        }
        smoother.reads = reads
            .iter()
            .map(|&(tick, x_m, y_m, person)| Read {
                at: LogicalNs(tick * 100_000_000 - 30_000_000),
                place: Place::flat(LevelId(0), x_m, y_m),
                sigma_m: 0.1,
                person: PersonId(person),
            })
            .collect();
        smoother.label_rows();
        smoother.rows
    }

    /// Label and person of both rows of an instant, the one in the west first.
    fn borne(rows: &[Row], tick: i64) -> [(u64, Option<u16>); 2] {
        let mut here: Vec<&Row> = rows.iter().filter(|r| r.at == LogicalNs(tick * 100_000_000)).collect();
        here.sort_by(|a, b| a.place.at.x_m.total_cmp(&b.place.at.x_m));
        [here[0], here[1]].map(|r| (r.track.0, r.person.map(|(p, _)| p.0)))
    }

    #[test]
    fn a_label_has_its_name_from_its_first_row_on() {
        let rows = labelled(6.0, &[(60, 2.0, 3.0, 7)]);
        assert_eq!(borne(&rows, 0), [(1, Some(7)), (2, None)]);
        assert_eq!(borne(&rows, 80), [(2, None), (1, Some(7))]);
    }

    #[test]
    fn a_read_puts_two_right_who_had_changed_places_from_there_on() {
        // Person 7 on track 1 before, on track 2 afterwards.
        let rows = labelled(0.2, &[(10, -3.0, 0.1, 7), (70, -3.0, -0.1, 7)]);
        assert_eq!(borne(&rows, 5), [(1, Some(7)), (2, None)]);
        // Nothing looks ahead: until the read the tracks bear what they bore ...
        assert_eq!(borne(&rows, 60), [(2, None), (1, Some(7))]);
        // ... and then the one who lost the label has the other's.
        assert_eq!(borne(&rows, 75), [(1, Some(7)), (2, None)]);
    }

    #[test]
    fn a_read_between_two_binds_nobody() {
        let rows = labelled(0.2, &[(40, 0.0, 0.0, 7)]);
        assert!((0..=80).all(|tick| borne(&rows, tick).iter().all(|(_, person)| person.is_none())));
    }

    #[test]
    fn no_rows_and_no_reads_are_no_fault() {
        Smoother::default().label_rows();
        assert_eq!(borne(&labelled(1.0, &[]), 80).map(|(_, person)| person), [None, None]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn later_reads_change_no_earlier_label_and_no_label_is_borne_twice(
            apart_m in 0.0..1.5f64,
            reads in prop::collection::vec((1..80i64, -4.0..4.0f64, -1.0..1.0f64, 0..3u16), 0..8),
            until in 1..80i64,
        ) {
            let all = labelled(apart_m, &reads);
            let early: Vec<_> = reads.iter().copied().filter(|r| r.0 <= until).collect();
            let some = labelled(apart_m, &early);
            for tick in 0..=80 {
                let here = borne(&all, tick);
                prop_assert_ne!(here[0].0, here[1].0);
                if tick <= until {
                    prop_assert_eq!(here.map(|b| b.0), borne(&some, tick).map(|b| b.0));
                }
            }
        }

        #[test]
        fn all_sums_stay_whatever_a_read_says(
            weights in prop::collection::vec(prop::collection::vec(0.01..1.0f64, 4), 4),
            shares in prop::collection::vec(0.01..1.0f64, 4),
        ) {
            // A doubly stochastic start: a mixture of the four rotations.
            let mut labels = Labels::default();
            let total: f64 = weights[0].iter().sum();
            for track in 0..4u64 {
                let belief = (0..4u64).map(|l| (TrackId(l), weights[0][((l + 4 - track) % 4) as usize] / total)).collect();
                labels.beliefs.insert(TrackId(track), belief);
            }
            let all: f64 = shares.iter().sum();
            let told = shares.iter().enumerate().map(|(t, s)| (TrackId(t as u64), s / all)).collect();
            labels.settle(TrackId(0), &told);
            for k in 0..4u64 {
                let row: f64 = labels.beliefs[&TrackId(k)].iter().map(|(_, p)| p).sum();
                let column: f64 = labels.beliefs.values().map(|b| p_of(b, TrackId(k))).sum();
                prop_assert!((row - 1.0).abs() < 1e-9 && (column - 1.0).abs() < 1e-9, "{} {}", row, column);
                prop_assert!((p_of(&labels.beliefs[&TrackId(k)], TrackId(0)) - shares[k as usize] / all).abs() < 1e-9);
            }
        }
    }
}
