//! How many people are in a zone that is counted at its doors: directed crossings add and take one, a counter corrects.
//!
//! Per counted zone a distribution over 0 to [`PEOPLE_MAX`] people. A crossing moves it by one, smeared by what crossing
//! sensors get wrong: a report of nobody, the wrong direction, somebody who slipped through unreported beside those who
//! were (as often as `p_detect` says). One who goes out of a zone thought to be empty had come in unseen. A counter's word
//! multiplies it (Bayes) by how likely it is for each number, its errors growing with the number; a counter says much the
//! same for seconds, so its word counts in full once in [`COUNT_EVERY_S`]. Where there is no crossing sensor, people come
//! and go unseen between two counts.
//!
//! A crossing also tells of tracks: one at the door that was seen once is somebody, and if one person only was lost near
//! it, that is who went out.

use crate::fuse::Fusion;
use crate::in_place::StampedVec;
use crate::sink::Sink;
use arrayvec::ArrayVec;
use osmose_model::device::SensorKind;
use osmose_model::geometry::{Aabb, Point};
use osmose_model::ids::{SensorId, ZoneId};
use osmose_model::observation::Direction;
use osmose_model::site::Site;
use osmose_model::time::LogicalNs;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Presence, Stimulus};
use serde::{Deserialize, Serialize};

/// The most people that are told apart; more count as that many.
pub const PEOPLE_MAX: usize = 31;
/// Share of reported crossings that were nobody, and that went the other way.
const FALSE_P: f64 = 0.02;
const WRONG_WAY_P: f64 = 0.02;
/// A counter's word counts in full once in so many seconds.
const COUNT_EVERY_S: f64 = 10.0;
/// A counter is wrong by this many people on average, and by this share of them more.
const COUNT_OFF: f64 = 0.35;
const COUNT_OFF_SHARE: f64 = 0.08;
/// Share of counts that mean nothing.
const COUNT_GROSS_P: f64 = 0.02;
/// How often somebody comes or goes unseen where no crossing sensor counts, per second.
const UNSEEN_HZ: f64 = 1.0 / 60.0;
/// From this probability on a counted zone is occupied, and below the other it is empty.
const SURE_P: f64 = 0.95;
/// A track so near a door crosses it; one lost so near may have gone out, metres.
const AT_DOOR_M: f64 = 1.5;
const LOST_AT_DOOR_M: f64 = 3.0;
/// How much the odds of somebody lost in a zone fall with a count of nobody, and rise with one of enough people.
const COUNTED_NOBODY: f64 = 0.1;
const COUNTED_ENOUGH: f64 = 3.0;

/// How many people are in a counted zone.
#[derive(Clone, Debug, PartialEq)]
pub struct People {
    /// The mean number.
    pub mean: f64,
    /// Its variance.
    pub variance: f64,
    /// The probability that nobody is there.
    pub nobody_p: f64,
}

/// A counted zone's distribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// `p[k]`: the probability of `k` people.
    p: ArrayVec<f64, { PEOPLE_MAX + 1 }>,
    /// When a counter's word last counted.
    counted_at: Option<LogicalNs>,
    /// When it last was weighed against those lost in the zone.
    weighed_at: Option<LogicalNs>,
    /// Whether any crossing or count was heard.
    heard: bool,
}

/// Every counted zone.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    counted: StampedVec<Option<Counted>>,
    /// Whether crossing sensors count it.
    has_doors: Vec<bool>,
    /// Whether trackers see it: then its doors say nothing of its being occupied.
    is_tracked: Vec<bool>,
}

impl Counted {
    /// Nothing is known: the more people the less likely.
    fn unknown() -> Self {
        let mut p = ArrayVec::new();
        let mut weight = 0.5;
        for _ in 0..=PEOPLE_MAX {
            p.push(weight);
            weight *= 0.5;
        }
        let mut unknown = Self { p, counted_at: None, weighed_at: None, heard: false };
        unknown.normalise();
        unknown
    }

    fn normalise(&mut self) {
        let sum: f64 = self.p.iter().sum();
        if sum > 0.0 {
            self.p.iter_mut().for_each(|p| *p /= sum);
        }
    }

    /// With those probabilities one person less, as many, one more. None goes below nobody or above the most.
    fn step(&mut self, less: f64, same: f64, more: f64) {
        let before = self.p.clone();
        for k in 0..=PEOPLE_MAX {
            let below = if k == 0 { less * before[0] } else { more * before[k - 1] };
            let above = if k == PEOPLE_MAX { more * before[k] } else { less * before[k + 1] };
            self.p[k] = same * before[k] + below + above;
        }
        self.normalise();
    }

    fn cross(&mut self, direction: Direction, p_detect: f64) {
        self.heard = true;
        let right = 1.0 - FALSE_P - WRONG_WAY_P;
        match direction {
            Direction::In => self.step(WRONG_WAY_P, FALSE_P, right),
            Direction::Out => self.step(right, FALSE_P, WRONG_WAY_P),
        }
        let missed = 0.5 * (1.0 - p_detect);
        self.step(missed, 1.0 - 2.0 * missed, missed);
    }

    fn count(&mut self, people: u32, at: LogicalNs, has_doors: bool) {
        let dt_s = self.counted_at.map_or(f64::INFINITY, |last| at.since(last).as_s_f64());
        if dt_s <= 0.0 {
            return;
        }
        if !has_doors && dt_s.is_finite() {
            let unseen = 0.5 * (1.0 - libm::exp(-dt_s * UNSEEN_HZ));
            self.step(unseen, 1.0 - 2.0 * unseen, unseen);
        }
        let worth = (dt_s / COUNT_EVERY_S).min(1.0);
        let n = f64::from(people).min(PEOPLE_MAX as f64);
        for (k, p) in self.p.iter_mut().enumerate() {
            let off = COUNT_OFF + COUNT_OFF_SHARE * k as f64;
            let like = (1.0 - COUNT_GROSS_P) * libm::exp(-(n - k as f64).abs() / off) / off + COUNT_GROSS_P;
            *p *= libm::pow(like, worth);
        }
        self.normalise();
        self.counted_at = Some(at);
        self.heard = true;
    }

    fn people(&self) -> People {
        let mean: f64 = self.p.iter().enumerate().map(|(k, p)| k as f64 * p).sum();
        let variance = self.p.iter().enumerate().map(|(k, p)| (k as f64 - mean) * (k as f64 - mean) * p).sum();
        People { mean, variance, nobody_p: self.p[0] }
    }

    fn is_sound(&self) -> bool {
        self.p.len() == PEOPLE_MAX + 1 && self.p.iter().all(|p| (0.0..=1.0).contains(p))
    }
}

impl Doors {
    /// The zones that crossing sensors or counters name.
    pub(crate) fn new(site: &Site) -> Self {
        let n = site.zones.len();
        let (mut counted, mut has_doors, mut is_tracked) = (vec![None; n], vec![false; n], vec![false; n]);
        for sensor in &site.sensors {
            for zone in &sensor.zones {
                match sensor.kind {
                    SensorKind::Crossing | SensorKind::Count => {
                        counted[zone.index()] = Some(Counted::unknown());
                        has_doors[zone.index()] |= sensor.kind == SensorKind::Crossing;
                    }
                    SensorKind::Location | SensorKind::Position | SensorKind::Points => is_tracked[zone.index()] = true,
                    _ => {}
                }
            }
        }
        Self { counted: StampedVec::of(counted), has_doors, is_tracked }
    }

    /// How many are in a zone; `None` where nothing counts it, or nothing was heard.
    pub(crate) fn people(&self, zone: ZoneId) -> Option<People> {
        self.counted.parts().get(zone.index())?.as_ref().filter(|c| c.heard).map(Counted::people)
    }

    /// Whether somebody is in a zone by its doors; `None` where they do not count it or trackers see it.
    pub(crate) fn somebody(&self, zone: ZoneId) -> Option<Tri> {
        let i = zone.index();
        if !self.has_doors.get(i).copied().unwrap_or(false) || self.is_tracked[i] {
            return None;
        }
        let nobody_p = self.people(zone).map(|people| people.nobody_p);
        Some(match nobody_p {
            Some(p) if p < 1.0 - SURE_P => Tri::True,
            Some(p) if p > SURE_P => Tri::False,
            _ => Tri::Unknown,
        })
    }

    /// Becomes a copy of another of the same site, in the room it has.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.counted.copy_from(&other.counted);
    }

    pub(crate) fn saved(&self) -> Vec<Option<Counted>> {
        self.counted.parts().to_vec()
    }

    /// Takes saved ones back; false where they are another site's.
    pub(crate) fn refill(&mut self, saved: Vec<Option<Counted>>) -> bool {
        let sound = saved.len() == self.counted.len()
            && saved.iter().zip(self.counted.parts()).all(|(a, b)| a.is_some() == b.is_some())
            && saved.iter().flatten().all(Counted::is_sound);
        if sound {
            saved.into_iter().enumerate().for_each(|(i, counted)| self.counted[i] = counted);
        }
        sound
    }
}

impl Fusion {
    /// How many people are in a zone by its doors and counters; `None` where none counts it, or none was heard.
    #[must_use]
    pub fn people(&self, zone: ZoneId) -> Option<People> {
        self.doors.people(zone)
    }

    /// Somebody went through a door.
    pub(crate) fn observe_crossing(
        &mut self,
        direction: Direction,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) {
        let p_detect = self.site.sensors[from.0.index()].noise.p_detect.clamp(0.5, 1.0);
        for i in 0..self.site.sensors[from.0.index()].zones.len() {
            let zone = self.site.sensors[from.0.index()].zones[i];
            if let Some(counted) = &mut self.doors.counted[zone.index()] {
                counted.cross(direction, p_detect);
            }
            if direction == Direction::Out {
                self.see_off(zone, from, out);
            }
        }
        self.prove_at_door(from, out);
    }

    /// A track at the door that is yet to be confirmed is somebody: the door says so too. Of several the nearest.
    fn prove_at_door(&mut self, from: (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        let sensor = &self.site.sensors[from.0.index()];
        let door = Point::new(sensor.pose.x_m, sensor.pose.y_m);
        let mut nearest: Option<(f64, u32)> = None;
        let mut confirmed_there = false;
        self.occupants.index.for_each_meeting(sensor.level, Aabb { min: door, max: door }.grown(AT_DOOR_M), |slot| {
            let entry = self.occupants.slot(slot);
            let distance2 = entry.occupant.place.at.distance2(door);
            if distance2 > AT_DOOR_M * AT_DOOR_M || entry.occupant.presence != Presence::Seen {
                return;
            }
            confirmed_there |= entry.confirmed;
            let track = |slot: u32| self.occupants.occupant(slot).track;
            let nearer = nearest.is_none_or(|(d2, s)| (distance2, track(slot)) < (d2, track(s)));
            if !entry.confirmed && entry.occupant.existence >= 0.5 && nearer {
                nearest = Some((distance2, slot));
            }
        });
        // One person per crossing: whoever is known to be at the door is who crossed it.
        if let (Some((_, slot)), false) = (nearest, confirmed_there) {
            self.prove(slot, from, out);
        }
    }

    /// Somebody went out of a zone: where nobody is seen at the door and one person only was lost near it, that is who.
    fn see_off(&mut self, zone: ZoneId, (sensor, at): (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        let said = &self.site.sensors[sensor.index()];
        let door = Point::new(said.pose.x_m, said.pose.y_m);
        let near =
            |slot: u32, reach_m: f64| self.occupants.slot(slot).seen_place.at.distance2(door) <= reach_m * reach_m;
        let mut seen_there = false;
        self.occupants.index.for_each_meeting(said.level, Aabb { min: door, max: door }.grown(AT_DOOR_M), |slot| {
            let entry = self.occupants.slot(slot);
            seen_there |= entry.confirmed && entry.occupant.presence == Presence::Seen && near(slot, AT_DOOR_M);
        });
        let lost =
            |slot: &u32| self.occupants.occupant(*slot).presence == Presence::Lost && near(*slot, LOST_AT_DOOR_M);
        let gone = {
            let mut gone = self.occupants.in_zone(zone).filter(lost);
            (gone.next(), gone.next())
        };
        let ((Some(slot), None), false) = (gone, seen_there) else { return };
        self.occupants.part(slot, zone);
        let mut sink = Sink::new(out, &mut self.counts.stimuli_shed, Some(sensor), at);
        sink.event(EventKind::Leaves, self.occupants.occupant(slot), Some(zone), None);
        self.occupants.schedule(slot, self.now);
    }

    /// A counter said how many are in its zones.
    pub(crate) fn observe_count(&mut self, people: u32, (sensor, at): (SensorId, LogicalNs)) {
        for i in 0..self.site.sensors[sensor.index()].zones.len() {
            let zone = self.site.sensors[sensor.index()].zones[i];
            let has_doors = self.doors.has_doors[zone.index()];
            let Some(counted) = &mut self.doors.counted[zone.index()] else { continue };
            counted.count(people, at, has_doors);
            let full = counted.weighed_at.is_none_or(|last| at.since(last).as_s_f64() >= COUNT_EVERY_S);
            if full {
                counted.weighed_at = Some(at);
            }
            let there = self.occupants.count_in(zone);
            if !full || there.lost == 0 {
                continue;
            }
            let ratio = match people {
                0 => COUNTED_NOBODY,
                n if n >= there.seen + there.lost => COUNTED_ENOUGH,
                _ => continue,
            };
            self.doubt_lost(zone, at, Some(ratio));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn those_who_came_in_are_there_until_they_go_out() {
        let mut zone = Counted::unknown();
        zone.count(0, LogicalNs(0), true);
        for _ in 0..3 {
            zone.cross(Direction::In, 0.98);
        }
        let three = zone.people();
        assert!((three.mean - 3.0).abs() < 0.35 && three.nobody_p < 0.01, "{three:?}");
        for _ in 0..3 {
            zone.cross(Direction::Out, 0.98);
        }
        let none = zone.people();
        assert!(none.nobody_p > 0.6 && none.variance > 0.05, "{none:?}");
        zone.count(0, LogicalNs(60_000_000_000), true);
        assert!(zone.people().nobody_p > 0.9);
    }

    #[test]
    fn a_counter_corrects_what_doors_missed_and_its_repetitions_are_one() {
        let (mut once, mut often) = (Counted::unknown(), Counted::unknown());
        for zone in [&mut once, &mut often] {
            zone.count(0, LogicalNs(0), true);
            (0..5).for_each(|_| zone.cross(Direction::In, 0.8));
        }
        once.count(7, LogicalNs(10_000_000_000), true);
        for i in 1..=10 {
            often.count(7, LogicalNs(i * 1_000_000_000), true);
        }
        assert!((5.5..7.5).contains(&once.people().mean), "between both: {:?}", once.people());
        assert!((once.people().mean - often.people().mean).abs() < 0.05);
    }

    proptest! {
        #[test]
        fn it_stays_a_distribution(steps in prop::collection::vec((0u8..3, 0u32..60, 0i64..30_000_000_000), 1..200)) {
            let mut zone = Counted::unknown();
            let mut at = 0;
            for (what, n, dt) in steps {
                at += dt;
                match what {
                    0 => zone.cross(Direction::In, 0.9),
                    1 => zone.cross(Direction::Out, 0.9),
                    _ => zone.count(n, LogicalNs(at), n % 2 == 0),
                }
                prop_assert!(zone.is_sound());
                prop_assert!((zone.p.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            }
        }
    }
}
