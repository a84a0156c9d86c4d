//! Track rows named anew, once all of them are there: by what was heard before *and after* them, or by labels that look
//! at nothing later than each row (`labels`). Both weigh single moments alike (`moments`).
//!
//! A live engine can name nobody before their badge is read, and finds out only then that two people who met a minute ago
//! had changed places. A file of tracks is written when all is known: this keeps the rows and the badge reads of a replay,
//! finds where tracks met (`graph` weighs whether they changed places there) and gives every row the name that fits all of
//! it best. Rows of a carried device keep its owner's name. No decision is changed: the engine never sees these names.

mod graph;
mod labels;
mod moments;

use graph::{Graph, Meeting};
use moments::{MEET_M, READER_REACH_M, neighbours, reader_fit, swap_p};
use osmose_model::geometry::Place;
use osmose_model::ids::{PersonId, TrackId};
use osmose_model::time::LogicalNs;
use osmose_model::world::Occupant;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Meetings less likely than this to have mattered are left out.
const SWAP_P_MIN: f64 = 1e-4;
/// The least standard deviation per axis of where somebody stands who shows a badge.
const READER_SIGMA_M: f64 = 0.35;
/// A person whose badge is read somewhere is so many times as likely as nobody known to be a track that begins.
const KNOWN_P: f64 = 0.1;
/// Rows are named by somebody at least so likely.
const NAMED_P: f64 = 0.3;
/// Times that all evidence is gone through.
const ROUNDS: usize = 12;
/// Most numbers that the evidence may take (eight bytes each).
const NUMBERS_MAX: usize = 1 << 25;

/// What a track row says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) at: LogicalNs,
    pub(super) track: TrackId,
    pub(super) place: Place,
    pub(super) velocity_mps: [f64; 2],
    /// Who it is taken for, with which probability.
    pub(super) person: Option<(PersonId, f64)>,
    /// It has a carried device, which says who it is.
    device: bool,
}

impl Row {
    /// A row of an occupant at `at`, named as it is live: nobody below `person_p_min`.
    pub(super) fn of(at: LogicalNs, o: &Occupant, person_p_min: f64) -> Self {
        let person = o.person.filter(|_| o.person_p >= person_p_min).map(|p| (p, o.person_p));
        let device = o.device.is_some() && person.is_some();
        Row { at, track: o.track, place: o.place, velocity_mps: o.velocity_mps, person, device }
    }
}

/// A badge read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) at: LogicalNs,
    /// The reader's.
    pub(super) place: Place,
    /// The reader's, metres per axis.
    pub(super) sigma_m: f64,
    pub(super) person: PersonId,
}

/// Rows and reads, kept until all are there.
#[derive(Clone, Debug, Default)]
pub(super) struct Smoother {
    pub(super) rows: Vec<Row>,
    pub(super) reads: Vec<Read>,
}

/// Two tracks near each other: their closest moment so far.
#[derive(Clone, Copy, Debug)]
struct Near {
    at: LogicalNs,
    distance2: f64,
    faster2: f64,
    /// The last instant at which they were near.
    last: LogicalNs,
}

/// The pieces of each track: when each begins, and its number.
type Pieces = BTreeMap<TrackId, Vec<(LogicalNs, usize)>>;

fn distance2(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
}

fn at(place: Place) -> [f64; 2] {
    [place.at.x_m, place.at.y_m]
}

/// The piece of a track at an instant.
fn piece(pieces: &Pieces, track: TrackId, when: LogicalNs) -> Option<usize> {
    let pieces = pieces.get(&track)?;
    let next = pieces.partition_point(|(from, _)| *from <= when);
    Some(pieces[next.saturating_sub(1)].1)
}

impl Smoother {
    /// Gives every row the label that it bore when it was made, and that label's name ([`labels`]).
    pub(super) fn label_rows(&mut self) {
        labels::label_rows(&mut self.rows, &self.reads);
    }

    /// Names every row anew.
    ///
    /// # Errors
    /// The stretch is too long to keep all that it would need in memory.
    pub(super) fn name_rows(&mut self) -> io::Result<()> {
        let people: Vec<PersonId> = self.reads.iter().map(|r| r.person).collect::<BTreeSet<_>>().into_iter().collect();
        self.rows.sort_by_key(|r| (r.at, r.track));
        let meetings = self.meetings();
        let mut pieces: Pieces = BTreeMap::new();
        for row in &self.rows {
            let number = pieces.len();
            pieces.entry(row.track).or_insert_with(|| vec![(row.at, number)]);
        }
        let firsts = pieces.len();
        let count = firsts + 2 * meetings.len();
        if (count + 4 * meetings.len()).saturating_mul(people.len() + 1) > NUMBERS_MAX {
            return Err(io::Error::other(format!(
                "names cannot be smoothed over a stretch with {} tracks, {} meetings and {} people: choose a shorter one with \
                 --from and --to, or take --names live",
                firsts,
                meetings.len(),
                people.len()
            )));
        }
        let mut graph = Graph::new(count, people.len(), 0..firsts, KNOWN_P);
        for (n, &(when, pair, swap_p)) in meetings.iter().enumerate() {
            let mut ends = [0; 4];
            for (k, track) in [pair.0, pair.1].into_iter().enumerate() {
                let Some(track) = pieces.get_mut(&track) else { continue };
                ends[k] = track[track.len() - 1].1;
                ends[k + 2] = firsts + 2 * n + k;
                track.push((when, ends[k + 2]));
            }
            graph.meeting(Meeting { pieces: ends, swap_p });
        }
        for read in &self.reads {
            self.hear(read, &people, &pieces, &mut graph);
        }
        graph.solve(ROUNDS);
        self.take_names(&people, &pieces, &graph);
        Ok(())
    }

    /// Rows of the instant nearest to `when`.
    fn rows_about(&self, when: LogicalNs) -> &[Row] {
        let next = self.rows.partition_point(|r| r.at < when);
        let after = self.rows.get(next).map(|r| r.at);
        let before = next.checked_sub(1).map(|k| self.rows[k].at);
        let nearest = match (before, after) {
            (Some(b), Some(a)) if when.since(b) < a.since(when) => b,
            (_, Some(a)) => a,
            (Some(b), None) => b,
            (None, None) => return &[],
        };
        let from = self.rows.partition_point(|r| r.at < nearest);
        let to = self.rows.partition_point(|r| r.at <= nearest);
        &self.rows[from..to]
    }

    /// A badge read, told to the graph.
    fn hear(&self, read: &Read, people: &[PersonId], pieces: &Pieces, graph: &mut Graph) {
        let Ok(person) = people.binary_search(&read.person) else { return };
        let sigma_m = read.sigma_m.max(READER_SIGMA_M);
        let (mut near, mut elsewhere) = (Vec::new(), Vec::new());
        for row in self.rows_about(read.at) {
            let Some(piece) = piece(pieces, row.track, row.at) else { continue };
            let d2 = distance2(at(row.place), at(read.place));
            if row.place.level == read.place.level && d2 < READER_REACH_M * READER_REACH_M {
                near.push((piece, reader_fit(d2, sigma_m)));
            } else {
                elsewhere.push(piece);
            }
        }
        graph.read(person, &near, elsewhere.into_iter());
    }

    /// When and between whom places may have been changed, with the probability of that; in order.
    fn meetings(&self) -> Vec<(LogicalNs, (TrackId, TrackId), f64)> {
        let mut open: BTreeMap<(TrackId, TrackId), Near> = BTreeMap::new();
        let mut found = Vec::new();
        let mut close = |pair: (TrackId, TrackId), n: &Near| {
            let swap_p = swap_p(n.distance2, n.faster2);
            if swap_p > SWAP_P_MIN {
                found.push((n.at, pair, swap_p));
            }
        };
        for rows in self.rows.chunk_by(|a, b| a.at == b.at) {
            let now = rows[0].at;
            neighbours(rows.iter(), |pair, (a, b), d2| {
                let faster2 = distance2(a.velocity_mps, b.velocity_mps);
                let here = Near { at: now, distance2: d2, faster2, last: now };
                match open.get_mut(&pair) {
                    Some(near) if d2 < near.distance2 => *near = here,
                    Some(near) => near.last = now,
                    None if d2 < MEET_M * MEET_M => drop(open.insert(pair, here)),
                    None => {}
                }
            });
            open.retain(|pair, near| {
                let stays = near.last == now;
                if !stays {
                    close(*pair, near);
                }
                stays
            });
        }
        open.iter().for_each(|(pair, near)| close(*pair, near));
        found.sort_by_key(|(when, pair, _)| (*when, *pair));
        found
    }

    /// At each instant, one name per row and one row per name, the surest first.
    fn take_names(&mut self, people: &[PersonId], pieces: &Pieces, graph: &Graph) {
        let mut from = 0;
        while from < self.rows.len() {
            let now = self.rows[from].at;
            let count = self.rows[from..].partition_point(|r| r.at == now);
            let rows = &mut self.rows[from..from + count];
            from += count;
            let (mut claims, mut taken): (Vec<(f64, usize, usize)>, BTreeSet<PersonId>) = Default::default();
            for (n, row) in rows.iter_mut().enumerate() {
                if row.device {
                    taken.extend(row.person.map(|(p, _)| p));
                    continue;
                }
                row.person = None;
                let Some(piece) = piece(pieces, row.track, row.at) else { continue };
                let belief = graph.belief(piece);
                let least = belief[people.len()].max(NAMED_P);
                claims.extend((0..people.len()).filter(|&p| belief[p] >= least).map(|p| (belief[p], n, p)));
            }
            claims.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
            for (p, n, person) in claims {
                if rows[n].person.is_none() && taken.insert(people[person]) {
                    rows[n].person = Some((people[person], p));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::geometry::Point;
    use osmose_model::ids::LevelId;

    /// Two who walk towards each other, pass at `apart_m` and walk on; `crossed`: the tracks change people there.
    fn passing(apart_m: f64, reads: &[(i64, f64, f64, u16)]) -> Smoother {
        let mut smoother = Smoother::default();
        for tick in 0..=80i64 {
            let (x, y) = (0.1 * tick as f64 - 4.0, 0.5 * apart_m);
            for (track, sign) in [(1, 1.0), (2, -1.0)] {
                smoother.rows.push(Row {
                    at: LogicalNs(tick * 100_000_000),
                    track: TrackId(track),
                    place: Place { level: LevelId(0), at: Point::new(sign * x, sign * y), z_m: None },
                    velocity_mps: [0.0, sign],
                    person: None,
                    device: false,
                });
            }
        }
        let read = |&(tick, x_m, y_m, person): &(i64, f64, f64, u16)| Read {
            at: LogicalNs(tick * 100_000_000 + 30_000_000),
            place: Place::flat(LevelId(0), x_m, y_m),
            sigma_m: 0.1,
            person: PersonId(person),
        };
        smoother.reads = reads.iter().map(read).collect();
        smoother
    }

    fn names(smoother: &Smoother, tick: i64) -> Vec<Option<u16>> {
        let at = LogicalNs(tick * 100_000_000);
        smoother.rows.iter().filter(|r| r.at == at).map(|r| r.person.map(|(p, _)| p.0)).collect()
    }

    #[test]
    fn a_name_holds_before_the_badge_was_read_too() {
        let mut smoother = passing(6.0, &[(60, 2.0, 3.0, 7)]);
        smoother.name_rows().expect("short");
        for tick in [0, 40, 80] {
            assert_eq!(names(&smoother, tick), [Some(7), None]);
        }
    }

    #[test]
    fn who_is_read_on_the_other_side_had_changed_places_where_they_met() {
        // Person 7 on track 1 before, on track 2 afterwards.
        let mut smoother = passing(0.2, &[(10, -3.0, 0.1, 7), (70, -3.0, -0.1, 7)]);
        // Walking the same way, they cannot be told apart by where they go.
        smoother.rows.iter_mut().for_each(|r| r.velocity_mps = [0.0, 0.0]);
        smoother.name_rows().expect("short");
        assert_eq!(names(&smoother, 5), [Some(7), None]);
        assert_eq!(names(&smoother, 35), [Some(7), None]);
        assert_eq!(names(&smoother, 45), [None, Some(7)]);
        assert_eq!(names(&smoother, 80), [None, Some(7)]);
    }

    #[test]
    fn a_device_keeps_its_owner_and_nobody_else_has_that_name() {
        let mut smoother = passing(6.0, &[(60, 2.0, 3.0, 7)]);
        for row in smoother.rows.iter_mut().filter(|r| r.track == TrackId(2)) {
            (row.person, row.device) = (Some((PersonId(7), 1.0)), true);
        }
        smoother.name_rows().expect("short");
        assert_eq!(names(&smoother, 50), [None, Some(7)]);
    }

    #[test]
    fn no_rows_and_no_reads_are_no_fault() {
        Smoother::default().name_rows().expect("nothing to do");
        let mut unread = passing(1.0, &[]);
        unread.name_rows().expect("short");
        assert_eq!(names(&unread, 80), [None, None]);
    }
}
