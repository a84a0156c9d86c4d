//! A carried device and the anonymous track of who carries it are one occupant: joined when the belief in `merge.rs` is
//! sure, parted when it is sure of the contrary, exchanged when it is sure of another track.
//!
//! The one that was there first goes on under its own track, so that rules and events see one person go on; the other is
//! gone (`lost` is said of an anonymous one, so that whoever counts a zone counts again). Where both say where somebody
//! is, the more exact one is taken: a fix as it is given, or what the tracker makes of its scans.
//!
//! When a device and its track part, its owner went with one of them: both are taken for the owner with an even chance
//! and `swapped` is said. A device that moves is carried again, and its owner is with it.

use crate::fuse::{Fusion, Newcomer};
use crate::merge::{Near, SILENT_MAX};
use crate::occupants::Origin;
use crate::sink::Sink;
use crate::tracker::TrackEstimate;
use arrayvec::ArrayVec;
use osmose_model::geometry::{Aabb, Place};
use osmose_model::ids::{CarriedKey, LevelId, PersonId, SensorId};
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::{EventKind, Presence, Stimulus};

/// A device and a track are one from this probability on, and no more below that one.
const JOIN_P: f64 = 0.9;
const PART_P: f64 = 0.1;
/// Another device may be as likely as this share on the same track, and no likelier.
const RIVAL_SHARE: f64 = 1.0 / 3.0;
/// Tracks are looked for within so many standard deviations and this much more, and never farther than that, metres.
const REACH_SIGMAS: f64 = 3.0;
const REACH_M: f64 = 0.7;
const REACH_MAX_M: f64 = 10.0;
/// Most tracks or devices looked at for one fix; those nearest.
const NEAR_MAX: usize = 8;
/// A track not seen for so long says nothing about a fix, nor a fix about it.
const CURRENT_FOR: DurationNs = DurationNs::from_s(1);
/// A fix is the better word for so long, where it is more exact.
const FIX_FOR: DurationNs = DurationNs::from_s(2);
/// Devices looked at when a track is new stand at most so far off, metres.
const DEVICES_WITHIN_M: f64 = 4.0;
/// A device that was put down and is so far from there (and three standard deviations) is carried again, metres.
const CARRIED_AGAIN_M: f64 = 3.0;
/// What each of two is taken for the owner with, after they parted.
const EVEN_CHANCE: f64 = 0.5;

impl Fusion {
    /// Tracks about a fix, nearest first.
    fn tracks_near(&self, device: CarriedKey, place: Place, var_m2: f64, at: LogicalNs) -> ArrayVec<Near, NEAR_MAX> {
        let mut found: ArrayVec<(f64, u32), NEAR_MAX> = ArrayVec::new();
        let reach_m = (REACH_SIGMAS * var_m2.sqrt() + REACH_M).min(REACH_MAX_M);
        let round = Aabb { min: place.at, max: place.at }.grown(reach_m);
        self.occupants.index.for_each_meeting(place.level, round, |slot| {
            let entry = self.occupants.slot(slot);
            let distance2 = entry.occupant.place.at.distance2(place.at);
            if !entry.confirmed || entry.tracked().is_none() || distance2 > reach_m * reach_m {
                return;
            }
            let before = |&(d2, s): &(f64, u32)| {
                d2 < distance2 || (d2 == distance2 && self.occupants.occupant(s).track < entry.occupant.track)
            };
            let rank = found.partition_point(before);
            if found.is_full() && rank < NEAR_MAX {
                found.pop();
            }
            let _ = found.try_insert(rank.min(found.len()), (distance2, slot));
        });
        let near = found.iter().filter_map(|&(distance2_m2, slot)| self.near(device, slot, distance2_m2, at));
        near.collect()
    }

    /// An occupant's track about a fix of a device. Somebody else's device on it leaves it no room for this one; a second
    /// one of the same person does not.
    fn near(&self, device: CarriedKey, slot: u32, distance2_m2: f64, at: LogicalNs) -> Option<Near> {
        let entry = self.occupants.slot(slot);
        let (_, id) = entry.tracked()?;
        let (seen, var_m2) = entry.tracked_at?;
        let owner = |d: CarriedKey| self.site.owner_of_device(d);
        let others = |d: &CarriedKey| entry.is_joined() && owner(*d).is_some() && owner(*d) != owner(device);
        let other = entry.device().filter(others).and_then(|d| self.carriers.of(d));
        let free_p = other.map_or(1.0, |c| 1.0 - c.p(id));
        Some(Near { id, distance2_m2, var_m2, current: at.since(seen) < CURRENT_FOR, free_p })
    }

    /// A fix of a device: weighs who carries it, and joins, parts or exchanges where that is clear. The occupant that the
    /// device has by that, where it has another one.
    pub(crate) fn look_for_bearer(
        &mut self,
        device: CarriedKey,
        place: Place,
        var_m2: f64,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Option<u32> {
        if !self.carriers.is_needed() {
            return None;
        }
        let level = place.level;
        let known = self.occupants.of_device(device);
        let current = known.and_then(|slot| self.occupants.slot(slot).tracked());
        if !self.positions.is_tracking(level) && current.is_none() {
            return None;
        }
        let near = self.tracks_near(device, place, var_m2, from.1);
        let positions = &self.positions;
        let lives = |id| positions.slot_of(level, id).is_some();
        self.carriers.take((device, level), from.1, (place.at, var_m2), &near, lives);
        self.note_carried_again(device, place, var_m2, from, out);
        let carrier = self.carriers.of(device)?;
        let p_of_current = current.filter(|c| c.0 == level).map_or(0.0, |(_, id)| carrier.p(id));
        let best = carrier.best().filter(|(_, p)| *p >= JOIN_P);
        match (known, current, best) {
            (Some(slot), Some((_, id)), Some((best, p))) if id == best => {
                self.name_owner(slot, device, p, from, out);
                None
            }
            (_, _, Some((best, p))) if self.may_bear(best, level, device, p) => match (known, current) {
                (Some(slot), Some(_)) => self.exchange(slot, device, (level, best), from, out),
                (Some(slot), None) => self.merge(slot, device, (level, best), from, out),
                (None, _) => self.attach(device, (level, best), p, from, out),
            },
            (Some(slot), Some(_), _) if p_of_current < PART_P => self.part_ways(slot, device, place, from, out),
            // Still taken for one, and no surer than that: what asks who it is must know.
            (Some(slot), Some(_), _) => {
                self.name_owner(slot, device, p_of_current, from, out);
                None
            }
            _ => None,
        }
    }

    /// Whether a device may be joined to a track: it is somebody's who is there, and no other device is about as likely.
    fn may_bear(&self, id: u64, level: LevelId, device: CarriedKey, p: f64) -> bool {
        let Some(slot) = self.positions.slot_of(level, id) else { return false };
        let entry = self.occupants.slot(slot);
        if !entry.confirmed || entry.occupant.presence != Presence::Seen {
            return false;
        }
        let believed = |other: CarriedKey| self.carriers.of(other).map_or(0.0, |c| c.p(id));
        let mut clear = true;
        let round = Aabb { min: entry.occupant.place.at, max: entry.occupant.place.at }.grown(DEVICES_WITHIN_M);
        self.occupants.index.for_each_meeting(level, round, |other| {
            if let Some(rival) = self.occupants.slot(other).device().filter(|d| *d != device) {
                clear &= believed(rival) < RIVAL_SHARE * p;
            }
        });
        clear
    }

    /// Takes an occupant for its device's owner.
    fn name_owner(
        &mut self,
        slot: u32,
        device: CarriedKey,
        p: f64,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) {
        if let Some(person) = self.site.owner_of_device(device) {
            self.believe(slot, person, p);
            self.identify(slot, Some(person), p, from, out);
        }
    }

    /// Two occupants may have changed places with that probability: so may the tracks that their devices are joined to.
    /// Devices that are not joined yet are weighed by their next fix.
    pub(crate) fn doubt_devices(
        &mut self,
        (a, b): (u32, u32),
        swap_p: f64,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) {
        let tracked = |slot: u32| self.occupants.slot(slot).tracked();
        let (Some((level, of_a)), Some((_, of_b))) = (tracked(a), tracked(b)) else { return };
        for (slot, id) in [(a, of_a), (b, of_b)] {
            let entry = self.occupants.slot(slot);
            let Some(device) = entry.device().filter(|_| entry.is_joined()) else { continue };
            let Some(carrier) = self.carriers.of_mut(device).filter(|c| c.is_on(level)) else { continue };
            carrier.mix(of_a, of_b, swap_p);
            let p = carrier.p(id);
            self.name_owner(slot, device, p, from, out);
        }
    }

    /// An owner is with their device: whoever else is taken for them by belief no longer is.
    fn claim(&mut self, person: PersonId, by: u32, from: (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        let mut others: ArrayVec<u32, 16> = ArrayVec::new();
        for &slot in self.occupants.of_person(person) {
            if slot != by && self.is_anonymous(slot) {
                let _ = others.try_push(slot);
            }
        }
        others.sort_unstable_by_key(|slot| self.occupants.occupant(*slot).track);
        for slot in others {
            if self.turns_up(slot, by, from, out) {
                continue;
            }
            self.disbelieve(slot, person);
            self.name_by_belief(slot, from, out);
        }
    }

    /// What a device and its track are to each other from now on: one, under this occupant.
    fn become_one(
        &mut self,
        slot: u32,
        device: CarriedKey,
        (level, id): (LevelId, u64),
        p: f64,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) {
        let track = Origin::Tracker { level, id };
        let entry = self.occupants.slot_mut(slot);
        entry.joined = Some(if entry.origin.device().is_some() { track } else { Origin::Device(device) });
        entry.refuted = false;
        self.occupants.set_device(slot, Some(device));
        self.positions.assign(level, id, slot);
        if let Some(carrier) = self.carriers.of_mut(device) {
            carrier.put_down = None;
        }
        self.name_owner(slot, device, p, from, out);
        if let Some(person) = self.site.owner_of_device(device) {
            self.claim(person, slot, from, out);
        }
        self.counts.joined += 1;
    }

    /// A device that was not there joins the track that clearly carries it.
    fn attach(
        &mut self,
        device: CarriedKey,
        track: (LevelId, u64),
        p: f64,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Option<u32> {
        let slot = self.positions.slot_of(track.0, track.1)?;
        if self.occupants.slot(slot).device().is_some() {
            // That device goes on by itself, and the track is a newcomer that this one may join at the next scan.
            self.leave_to_device(slot);
            self.positions.release(track.0, track.1);
            return None;
        }
        self.become_one(slot, device, track, p, from, out);
        Some(slot)
    }

    /// A device's occupant and a track's become one: the one that was there first.
    fn merge(
        &mut self,
        carried: u32,
        device: CarriedKey,
        (level, id): (LevelId, u64),
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Option<u32> {
        let tracked = self.positions.slot_of(level, id)?;
        let p = self.carriers.of(device).map_or(1.0, |c| c.p(id));
        if self.occupants.slot(tracked).device().is_some() {
            // Another device was taken to be on this track, and is less likely now: it goes on by itself.
            self.leave_to_device(tracked);
            self.become_one(carried, device, (level, id), p, from, out);
            self.take_place(carried, (level, id), from, out);
            return None;
        }
        let (kept, gone) = if self.was_first(carried, tracked) { (carried, tracked) } else { (tracked, carried) };
        let followed = self.occupants.slot(tracked).tracked_at;
        let fixed = self.occupants.slot(carried).carried;
        let strangers = self.site.owner_of_device(device).is_none();
        if strangers && kept == carried && self.unknown_p(gone) < self.unknown_p(kept) {
            self.take_over_belief(kept, gone);
        }
        self.bid_farewell(gone, from, out);
        if gone == carried {
            self.occupants.set_device(carried, None);
            self.occupants.name(carried, None, 0.0);
        }
        self.positions.release(level, id);
        self.occupants.remove(gone);
        let entry = self.occupants.slot_mut(kept);
        (entry.tracked_at, entry.carried) = (followed, fixed);
        self.become_one(kept, device, (level, id), p, from, out);
        if kept == carried {
            self.take_place(kept, (level, id), from, out);
            if strangers {
                // It is named by what it is believed to be from now on: a name without a belief would never go.
                self.name_by_belief(kept, from, out);
            }
        } else {
            let who = self.occupants.occupant(kept);
            let name = (who.person, who.person_p);
            if name.0.is_none() {
                self.name_by_belief(kept, from, out);
            }
        }
        Some(kept)
    }

    /// Whether one occupant was there before another: by when it was first seen, not by its number, which may have been
    /// given out before late observations showed the other.
    fn was_first(&self, slot: u32, other: u32) -> bool {
        let since = |slot: u32| (self.occupants.slot(slot).first_seen, self.occupants.slot(slot).origin);
        since(slot) < since(other)
    }

    /// An occupant that goes on under another's track: said where it was anybody anonymous, in each of its zones.
    fn bid_farewell(&mut self, slot: u32, (sensor, at): (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        if !self.occupants.slot(slot).confirmed {
            return;
        }
        self.occupants.name(slot, None, 0.0);
        let who = self.occupants.occupant(slot);
        let mut sink = Sink::new(out, &mut self.counts.stimuli_shed, Some(sensor), at);
        let innermost = self.plan.innermost(&who.zones);
        sink.event(EventKind::Lost, who, innermost, None);
        for &zone in who.zones.iter().filter(|z| Some(**z) != innermost) {
            sink.event(EventKind::Lost, who, Some(zone), None);
        }
    }

    /// A device is on another track than the one it was joined to: the two tracks change places.
    fn exchange(
        &mut self,
        carried: u32,
        device: CarriedKey,
        better: (LevelId, u64),
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Option<u32> {
        let other = self.positions.slot_of(better.0, better.1)?;
        let worse = self.occupants.slot(carried).tracked()?;
        let p = self.carriers.of(device).map_or(1.0, |c| c.p(better.1));
        let (a, b) = (self.occupants.slot(carried).tracked_at, self.occupants.slot(other).tracked_at);
        for (slot, (level, id), seen) in [(carried, better, b), (other, worse, a)] {
            let entry = self.occupants.slot_mut(slot);
            let track = Origin::Tracker { level, id };
            if entry.origin.tracked().is_some() {
                entry.origin = track
            } else {
                entry.joined = Some(track)
            }
            entry.tracked_at = seen;
            self.positions.assign(level, id, slot);
        }
        self.name_owner(carried, device, p, from, out);
        let mut both = [(carried, better), (other, worse)];
        both.sort_unstable_by_key(|(slot, _)| self.occupants.occupant(*slot).track);
        for (slot, track) in both {
            self.take_place(slot, track, from, out);
        }
        None
    }

    /// Puts an occupant where its track is.
    pub(crate) fn take_place(
        &mut self,
        slot: u32,
        (level, id): (LevelId, u64),
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) {
        let Some(estimate) = self.positions.estimate(level, id) else { return };
        let place = Place::flat(level, estimate.x_m, estimate.y_m);
        if place.is_plausible() {
            let who = &mut self.occupants.slot_mut(slot).occupant;
            who.velocity_mps = [estimate.vx_mps, estimate.vy_mps];
            who.covariance_m2 = estimate.place_cov_m2;
            who.existence = estimate.existence;
            self.identities.set_velocity_covariance(slot, estimate.velocity_cov_m2ps2);
            self.sight(slot, place, from, out);
        }
    }

    /// A device is not on its track any more: two occupants again, either of whom may be its owner.
    fn part_ways(
        &mut self,
        slot: u32,
        device: CarriedKey,
        place: Place,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Option<u32> {
        let (level, id) = self.occupants.slot(slot).tracked()?;
        if self.occupants.slot(slot).tracked_at.is_none_or(|(seen, _)| from.1.since(seen) >= FIX_FOR) {
            // The track was not seen for a while: the device tells where they went together.
            self.leave_to_device(slot);
            self.positions.release(level, id);
            return None;
        }
        self.counts.parted += 1;
        let owner = self.site.owner_of_device(device);
        if let Some(carrier) = self.carriers.of_mut(device) {
            carrier.put_down = owner.map(|_| place.at);
        }
        let carried = self.occupants.slot(slot).carried;
        let followed = self.occupants.slot(slot).tracked_at;
        let entry = self.occupants.slot_mut(slot);
        let keeps_device = entry.origin.device().is_some();
        entry.joined = None;
        let new = if keeps_device {
            entry.tracked_at = None;
            self.positions.release(level, id);
            let estimate = self.positions.estimate(level, id)?;
            let newcomer = Newcomer {
                place: Place::flat(level, estimate.x_m, estimate.y_m),
                covariance_m2: estimate.place_cov_m2,
                velocity_mps: [estimate.vx_mps, estimate.vy_mps],
                existence: estimate.existence,
                device: None,
            };
            // Where there is no room the track is a newcomer at its next scan.
            let new = self.appear(newcomer, Origin::Tracker { level, id }, from, out).ok()?;
            self.occupants.slot_mut(new).tracked_at = followed;
            self.positions.assign(level, id, new);
            self.confirm(new, from, out);
            new
        } else {
            entry.carried = None;
            self.occupants.set_device(slot, None);
            let (_, var_m2) = carried.unwrap_or((from.1, 1.0));
            let newcomer = Newcomer {
                place,
                covariance_m2: [var_m2, 0.0, var_m2],
                velocity_mps: [0.0; 2],
                existence: 1.0,
                device: Some(device),
            };
            let new = self.appear(newcomer, Origin::Device(device), from, out).ok()?;
            self.occupants.slot_mut(new).carried = carried;
            self.occupants.schedule(new, self.now);
            new
        };
        let (of_device, of_track) = if keeps_device { (slot, new) } else { (new, slot) };
        if let Some(person) = owner {
            self.believe(of_track, person, EVEN_CHANCE);
            let mut both = [of_device, of_track];
            both.sort_unstable_by_key(|s| self.occupants.occupant(*s).track);
            for s in both {
                self.identify(s, Some(person), EVEN_CHANCE, from, out);
            }
            let other = self.occupants.occupant(both[1]).track;
            let first = self.occupants.occupant(both[0]);
            let mut sink = Sink::new(out, &mut self.counts.stimuli_shed, Some(from.0), from.1);
            sink.event(EventKind::Swapped, first, None, Some(other));
        }
        Some(of_device)
    }

    /// A device that was put down and moves is carried by its owner again.
    fn note_carried_again(
        &mut self,
        device: CarriedKey,
        place: Place,
        var_m2: f64,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) {
        let Some(carrier) = self.carriers.of_mut(device) else { return };
        let away_m = CARRIED_AGAIN_M + REACH_SIGMAS * var_m2.sqrt();
        if carrier.put_down.is_none_or(|at| at.distance2(place.at) <= away_m * away_m) {
            return;
        }
        carrier.put_down = None;
        let (Some(slot), Some(person)) = (self.occupants.of_device(device), self.site.owner_of_device(device)) else {
            return;
        };
        self.identify(slot, Some(person), 1.0, from, out);
        self.claim(person, slot, from, out);
    }

    /// Whether what the tracker knows of an occupant is better than a fix of that variance per axis.
    pub(crate) fn is_better_tracked(&self, slot: u32, var_m2: f64, at: LogicalNs) -> bool {
        let entry = self.occupants.slot(slot);
        entry.is_joined() && entry.tracked_at.is_some_and(|(seen, v)| at.since(seen) < CURRENT_FOR && v <= var_m2)
    }

    /// Whether a fix lately was better than what the tracker knows.
    pub(crate) fn is_better_carried(&self, slot: u32, estimate: &TrackEstimate, at: LogicalNs) -> bool {
        let entry = self.occupants.slot(slot);
        let hit_lately = at.since(LogicalNs(estimate.hit_ns)) < CURRENT_FOR;
        let [xx, _, yy] = estimate.place_cov_m2;
        let fixed_lately =
            entry.carried.is_some_and(|(fix, v)| at.since(fix) < FIX_FOR && (!hit_lately || v < 0.5 * (xx + yy)));
        entry.is_joined() && fixed_lately
    }

    /// A device that was silent for long no longer says who its track is: the track goes on by itself, taken for the
    /// device's owner.
    pub(crate) fn let_silent_device_go(&mut self, slot: u32, at: LogicalNs) {
        let entry = self.occupants.slot(slot);
        let (Some((level, id)), true) = (entry.tracked(), entry.is_joined()) else { return };
        if entry.carried.is_none_or(|(fix, _)| at.since(fix) <= SILENT_MAX) {
            return;
        }
        let entry = self.occupants.slot_mut(slot);
        entry.origin = Origin::Tracker { level, id };
        (entry.joined, entry.carried) = (None, None);
        self.occupants.set_device(slot, None);
    }

    /// The track of an occupant that has a device is no more, or another's: the device goes on by itself.
    pub(crate) fn leave_to_device(&mut self, slot: u32) {
        let Some(device) = self.occupants.slot(slot).device() else { return };
        let entry = self.occupants.slot_mut(slot);
        entry.origin = Origin::Device(device);
        (entry.joined, entry.tracked_at) = (None, None);
        entry.refuted = false;
        entry.occupant.existence = 1.0;
    }

    /// A track was proved to be somebody: joins it to a device that is there already and is clearly on it. True where
    /// the track is that device's occupant now, and no newcomer.
    pub(crate) fn is_carriers(&mut self, slot: u32, from: (SensorId, LogicalNs), out: &mut Vec<Stimulus>) -> bool {
        let Some((level, id)) = self.occupants.slot(slot).tracked().filter(|_| self.carriers.is_needed()) else {
            return false;
        };
        let here = self.occupants.occupant(slot).place;
        let mut devices: ArrayVec<(CarriedKey, u32), NEAR_MAX> = ArrayVec::new();
        let round = Aabb { min: here.at, max: here.at }.grown(DEVICES_WITHIN_M);
        self.occupants.index.for_each_meeting(level, round, |other| {
            let entry = self.occupants.slot(other);
            let fresh = entry.carried.is_some_and(|(fix, _)| from.1.since(fix) < FIX_FOR);
            if let Some(device) = entry.origin.device().filter(|_| fresh && !entry.is_joined()) {
                let rank = devices.partition_point(|&(d, _)| d < device);
                let _ = devices.try_insert(rank, (device, other));
            }
        });
        for &(device, carried) in &devices {
            let entry = self.occupants.slot(carried);
            let Some((fix_at, var_m2)) = entry.carried else { continue };
            // The fix is a little old: who walks at a metre a second is that much farther.
            let age_s = from.1.since(fix_at).as_s_f64();
            let var_m2 = var_m2 + age_s * age_s;
            let at = entry.occupant.place.at;
            let Some(near) = self.near(device, slot, at.distance2(here.at), from.1) else { continue };
            let positions = &self.positions;
            let lives = |id| positions.slot_of(level, id).is_some();
            self.carriers.take((device, level), fix_at, (at, var_m2), &[near], lives);
        }
        let sure = |&(device, _): &(CarriedKey, u32)| self.carriers.of(device).is_some_and(|c| c.p(id) >= JOIN_P);
        let Some(&(device, carried)) = devices.iter().find(|d| sure(d)) else { return false };
        let rivals = devices.iter().filter(|(d, _)| *d != device);
        let p = |d: CarriedKey| self.carriers.of(d).map_or(0.0, |c| c.p(id));
        if rivals.map(|(d, _)| p(*d)).any(|rival| rival >= RIVAL_SHARE * p(device)) {
            return false;
        }
        if self.was_first(slot, carried) {
            self.confirm(slot, from, out);
        }
        self.merge(carried, device, (level, id), from, out);
        true
    }
}
