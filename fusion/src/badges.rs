//! Badge reads: who showed one.
//!
//! A reader says that a badge is near it, and not whose track that is. Everybody near it is weighed by how well their place
//! fits and by how likely they were that person before ([`Fusion::bind_badge`]). Where one clearly fits best, the badge
//! binds its person to that track at once.
//!
//! Readers that read at arm's length and farther read while people are still on their way, with somebody else as near
//! now and then. Such a read stays open for a second, in which whoever showed the badge steps up to the reader or walks
//! through its door, and is decided by how near each came ([`OpenRead`]). If even then nobody fits clearly best, it binds
//! nobody, which is counted.

use crate::fuse::Fusion;
use crate::identity::p_of;
use arrayvec::ArrayVec;
use osmose_model::device::Sensor;
use osmose_model::geometry::{Aabb, Point, Segment};
use osmose_model::ids::{LevelId, PersonId, SensorId, TrackId};
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::{Presence, Stimulus};
use serde::{Deserialize, Serialize};

/// How far from a badge reader whoever shows a badge may stand, metres.
const READER_REACH_M: f64 = 2.0;
/// How far the line of sight from a reader begins off it, metres.
const READER_OFF_WALL_M: f64 = 0.1;
/// Where people are when their badge is read, metres per axis: as the reader's `noise.sigma_m` says, at least this, ...
const READER_SIGMA_MIN_M: f64 = 0.7;
/// ... where they step up to when they show it, ...
const CLOSEST_SIGMA_M: f64 = 0.4;
/// ... and one in ten somewhere near.
const READER_FAR_SIGMA_M: f64 = 0.7;
/// See there.
const READER_FAR_P: f64 = 0.1;
/// How well it fits that none of the tracks showed the badge, on the scale of [`fit`].
const NOBODY_SEEN: f64 = 1e-3;
/// How likely a track of whom nothing is known is to be the one person who shows a badge.
const NEW_P: f64 = 0.2;
/// How likely a track is to be taken for somebody else by mistake, whatever its belief says, ...
const MISTAKEN_P: f64 = 0.1;
/// ... when its last badge was read so long ago: of two reads at once the second is not of the same track, s.
const MISTAKEN_AFTER_S: f64 = 5.0;
/// A badge binds only where its track is so many times as likely as any other (TRACKING.md: a clear winner).
const CLEAR_WINNER: f64 = 3.0;
/// So long a read that nobody clearly fits stays open: somebody steps up to the reader, shows the badge and goes on.
const OPEN_FOR: DurationNs = DurationNs::from_s(1);
/// Most reads open at once; a further one closes the oldest.
pub(crate) const OPEN_READS_MAX: usize = 16;
/// Most tracks that an open read is weighed over.
const NEAR_MAX: usize = 8;

/// A read that nobody clearly fitted: how near each has come to the reader since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenRead {
    person: PersonId,
    reader: SensorId,
    at: LogicalNs,
    /// Each track with the best [`fit`] so far, ascending.
    near: ArrayVec<(TrackId, f64), NEAR_MAX>,
}

impl OpenRead {
    /// Somebody is so near now. Where there is no room the one who fits worst goes.
    fn note(&mut self, track: TrackId, fit: f64) {
        match self.near.binary_search_by_key(&track, |&(t, _)| t) {
            Ok(i) => self.near[i].1 = self.near[i].1.max(fit),
            Err(_) => {
                if self.near.is_full() {
                    let least = (0..NEAR_MAX).min_by(|&a, &b| self.near[a].1.total_cmp(&self.near[b].1));
                    match least.filter(|&l| self.near[l].1 < fit) {
                        Some(least) => drop(self.near.remove(least)),
                        None => return,
                    }
                }
                let rank = self.near.partition_point(|&(t, _)| t < track);
                self.near.insert(rank, (track, fit));
            }
        }
    }

    /// The same under other numbers; whoever is gone is left out.
    pub(crate) fn renumbered(&self, number: impl Fn(TrackId) -> Option<TrackId>) -> Self {
        let mut near: ArrayVec<_, NEAR_MAX> =
            self.near.iter().filter_map(|&(t, fit)| Some((number(t)?, fit))).collect();
        near.sort_unstable_by_key(|&(t, _)| t);
        Self { near, ..*self }
    }

    /// Whether it can be of these people, sensors and tracks.
    pub(crate) fn is_sound(&self, people: usize, sensors: usize) -> bool {
        self.person.index() < people
            && self.reader.index() < sensors
            && self.near.is_sorted_by(|a, b| a.0 < b.0)
            && self.near.iter().all(|&(_, fit)| (0.0..=1.0).contains(&fit))
    }
}

/// How well a track fits a reader at a squared distance: 1 at the reader, for a track without error. Most people stand
/// right at it, a few somewhere near.
fn fit(distance2: f64, sigma_m: f64, track_m2: f64) -> f64 {
    let near_m2 = sigma_m * sigma_m;
    let normal = |m2: f64| libm::exp(-0.5 * distance2 / (m2 + track_m2)) * near_m2 / (m2 + track_m2);
    (1.0 - READER_FAR_P) * normal(near_m2) + READER_FAR_P * normal(READER_FAR_SIGMA_M * READER_FAR_SIGMA_M)
}

impl Fusion {
    /// A badge of a known person was read: binds them to whoever clearly stands at the reader, or keeps the read open.
    ///
    /// Of those near it, each is weighed by how well its place fits and by how likely it was that person before. A track
    /// taken for somebody else is rarely the one, but where it alone stands at the reader it was taken wrongly.
    pub(crate) fn bind_badge(&mut self, person: PersonId, from: (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        let mut found = self.find_at_reader(from.0, from.1);
        let reader = &self.site.sensors[from.0.index()];
        for (slot, weight) in &mut found {
            let fits = self.fit_at(reader, *slot, from.1, reader.noise.sigma_m.max(READER_SIGMA_MIN_M));
            *weight = fits.unwrap_or(0.0) * self.may_show(*slot, person, from.1);
        }
        let is_told = self.decide_read(&found, person, from, from, out);
        self.identities.reads.retain(|read| read.person != person);
        if !is_told {
            self.leave_open(&found, person, from);
        }
        self.identities.at_reader = found;
    }

    /// Nobody clearly fits a read: whoever comes nearest shows.
    fn leave_open(&mut self, found: &[(u32, f64)], person: PersonId, (sensor, at): (SensorId, LogicalNs)) {
        if self.identities.reads.len() >= OPEN_READS_MAX {
            self.identities.reads.remove(0);
            self.counts.badges_unclear += 1;
        }
        let mut read = OpenRead { person, reader: sensor, at, near: ArrayVec::new() };
        self.approach(&mut read, found, at);
        self.identities.reads.push(read);
    }

    /// Notes how near to its reader those are who are about an open read.
    fn approach(&self, read: &mut OpenRead, found: &[(u32, f64)], now: LogicalNs) {
        let reader = &self.site.sensors[read.reader.index()];
        for &(slot, _) in found {
            if let Some(fit) = self.fit_at(reader, slot, now, CLOSEST_SIGMA_M) {
                read.note(self.occupants.occupant(slot).track, fit);
            }
        }
    }

    /// After a scan: who has stepped up to a reader whose last read is open, and who it was that showed a badge a while ago.
    pub(crate) fn follow_reads(&mut self, level: LevelId, from: (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        if self.identities.reads.is_empty() {
            return;
        }
        let mut reads = std::mem::take(&mut self.identities.reads);
        for read in &mut reads {
            if self.site.sensors[read.reader.index()].level != level {
                continue;
            }
            let found = self.find_at_reader(read.reader, from.1);
            self.approach(read, &found, from.1);
            self.identities.at_reader = found;
        }
        while let Some(due) = reads.iter().position(|r| from.1.since(r.at) >= OPEN_FOR) {
            let read = reads.remove(due);
            self.close(&read, from, out);
        }
        self.identities.reads = reads;
    }

    /// An open read's time is over: it is of whoever clearly came nearest, or of nobody.
    fn close(&mut self, read: &OpenRead, from: (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        let mut found = std::mem::take(&mut self.identities.at_reader);
        found.clear();
        for &(track, fit) in &read.near {
            if let Some(slot) = self.occupants.of_track(track).filter(|&slot| self.is_somebody(slot)) {
                found.push((slot, fit * self.may_show(slot, read.person, read.at)));
            }
        }
        self.sort_at_reader(&mut found);
        if !self.decide_read(&found, read.person, (read.reader, read.at), from, out) {
            self.counts.badges_unclear += 1;
        }
        self.identities.at_reader = found;
    }

    /// Binds a read's person to the one who clearly fits best. Whether it is told who that is: also where their own device
    /// does.
    fn decide_read(
        &mut self,
        found: &[(u32, f64)],
        person: PersonId,
        (reader, read_at): (SensorId, LogicalNs),
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> bool {
        let is_carried = |slot: u32| !self.is_anonymous(slot) && self.occupants.occupant(slot).person == Some(person);
        if found.iter().any(|&(slot, _)| is_carried(slot)) {
            return true;
        }
        let (mut all, mut best, mut second) = (NOBODY_SEEN, None, NOBODY_SEEN);
        for &(slot, weight) in found {
            all += weight;
            match best {
                Some((w, _)) if w >= weight => second = second.max(weight),
                Some((w, _)) => (best, second) = (Some((weight, slot)), second.max(w)),
                None => best = Some((weight, slot)),
            }
        }
        match best {
            Some((weight, slot)) if weight > CLEAR_WINNER * second && self.is_anonymous(slot) => {
                let right_p = 1.0 - self.site.sensors[reader.index()].noise.p_wrong.clamp(0.0, 1.0);
                self.identities.bound_at[slot as usize] = read_at;
                self.bind(slot, person, right_p * weight / all, from, out);
                true
            }
            _ => false,
        }
    }

    /// Everybody in reach and sight of a reader, those first who were there first; their weights are still to be given.
    fn find_at_reader(&mut self, sensor: SensorId, now: LogicalNs) -> Vec<(u32, f64)> {
        let reader = &self.site.sensors[sensor.index()];
        let at = Point::new(reader.pose.x_m, reader.pose.y_m);
        let mut found = std::mem::take(&mut self.identities.at_reader);
        found.clear();
        self.occupants.index.for_each_meeting(reader.level, Aabb { min: at, max: at }.grown(READER_REACH_M), |slot| {
            if self.is_somebody(slot) && self.fit_at(reader, slot, now, READER_SIGMA_MIN_M).is_some() {
                found.push((slot, 0.0));
            }
        });
        self.sort_at_reader(&mut found);
        found
    }

    /// The tree lists people in an order of its own; sums have another, which no late observation changes.
    fn sort_at_reader(&self, found: &mut [(u32, f64)]) {
        let occupants = &self.occupants;
        found.sort_unstable_by_key(|&(slot, _)| (occupants.slot(slot).first_seen, occupants.slot(slot).origin));
    }

    fn is_somebody(&self, slot: u32) -> bool {
        self.occupants.slot(slot).confirmed && self.occupants.occupant(slot).presence == Presence::Seen
    }

    /// How well somebody's place fits a reader; none for whoever is out of its reach or sight.
    fn fit_at(&self, reader: &Sensor, slot: u32, when: LogicalNs, sigma_m: f64) -> Option<f64> {
        let at = Point::new(reader.pose.x_m, reader.pose.y_m);
        let who = self.occupants.occupant(slot);
        // A walker is a step farther than when last seen.
        let since_s = when.since(who.seen_at).as_s_f64().clamp(0.0, 0.5);
        let [vx, vy] = who.velocity_mps;
        let place = Point::new(who.place.at.x_m + vx * since_s, who.place.at.y_m + vy * since_s);
        let distance2 = place.distance2(at);
        if distance2 > READER_REACH_M * READER_REACH_M || !self.is_read_in_sight(reader.level, at, place) {
            return None;
        }
        let track_m2 = 0.5 * (who.covariance_m2[0] + who.covariance_m2[2]);
        Some(fit(distance2, sigma_m, track_m2))
    }

    /// How likely somebody was to show a person's badge, whatever their place: by whom they are taken for. Nobody shows
    /// one whose own device says who they are: that person's it need not say, and another's it is not.
    fn may_show(&self, slot: u32, person: PersonId, when: LogicalNs) -> f64 {
        if !self.is_anonymous(slot) {
            return 0.0;
        }
        let belief = &self.identities.beliefs[slot as usize];
        let unknown = 1.0 - belief.iter().map(|(_, p)| p).sum::<f64>();
        let bound_s = when.since(self.identities.bound_at[slot as usize]).as_s_f64();
        // Whoever showed a badge just now does not show another one.
        let since_read = (bound_s / MISTAKEN_AFTER_S).clamp(0.0, 1.0);
        p_of(belief, person) / NEW_P + since_read * (unknown.max(0.0) + MISTAKEN_P)
    }

    /// Whether no wall stands between a badge reader and a place. The wall that the reader may hang on is none.
    fn is_read_in_sight(&self, level: LevelId, reader: Point, at: Point) -> bool {
        let share = (READER_OFF_WALL_M / reader.distance(at).max(READER_OFF_WALL_M)).min(1.0);
        let near = Point::new(reader.x_m + share * (at.x_m - reader.x_m), reader.y_m + share * (at.y_m - reader.y_m));
        self.plan.line_of_sight(level, Segment { a: near, b: at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_read_keeps_the_best_of_each_and_lets_the_worst_go() {
        let mut read = OpenRead { person: PersonId(1), reader: SensorId(0), at: LogicalNs(0), near: ArrayVec::new() };
        for (track, fit) in [(5, 0.2), (3, 0.4), (5, 0.6), (5, 0.1)] {
            read.note(TrackId(track), fit);
        }
        assert_eq!(read.near.as_slice(), [(TrackId(3), 0.4), (TrackId(5), 0.6)]);
        for track in 10..16 {
            read.note(TrackId(track), 0.3 + 0.01 * track as f64);
        }
        read.note(TrackId(20), 0.1);
        assert!(read.near.len() == NEAR_MAX && read.near.iter().all(|(t, _)| *t != TrackId(20)));
        read.note(TrackId(20), 0.9);
        assert!(read.near.iter().any(|(t, _)| *t == TrackId(20)) && read.near.iter().all(|(t, _)| *t != TrackId(3)));
        assert!(read.is_sound(2, 1) && !read.is_sound(1, 1) && !read.is_sound(2, 0));
        let shifted = read.renumbered(|t| (t.0 != 20).then_some(TrackId(100 - t.0)));
        assert!(shifted.is_sound(2, 1) && shifted.near.len() == NEAR_MAX - 1);
    }

    #[test]
    fn who_stepped_up_to_the_reader_clearly_fits_better_than_who_passed_it() {
        let (at_it, passed) = (fit(0.02, CLOSEST_SIGMA_M, 0.01), fit(0.67, CLOSEST_SIGMA_M, 0.01));
        assert!(at_it > CLEAR_WINNER * passed, "{at_it} {passed}");
        // On their way, as the badge is read, they are alike.
        let (on_the_way, passing) = (fit(0.9, READER_SIGMA_MIN_M, 0.01), fit(0.67, READER_SIGMA_MIN_M, 0.01));
        assert!(on_the_way < passing && passing < CLEAR_WINNER * on_the_way);
    }
}
