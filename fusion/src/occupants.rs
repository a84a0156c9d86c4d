//! Who is in the building: a slot map of occupants, and every index over it kept in step.
//!
//! Whatever changes an occupant goes through here, so that the indexes (by track, device and person; per zone; the
//! R-trees; the deadlines; the order of those lost) cannot disagree with the occupants. Slots are reused, tracks never
//! are; nothing that is asked of this store depends on which slot somebody has.

use crate::births::Births;
use crate::deadlines::Deadlines;
use crate::in_place::{Stamped, StampedVec, clone_in_place};
use crate::index::OccupantIndex;
use crate::keys::SlotTable;
use crate::surely::Surely;
use arrayvec::ArrayVec;
use osmose_model::geometry::{Aabb, Place, Point};
use osmose_model::ids::{CarriedKey, LevelId, PersonId, TrackId, ZoneId};
use osmose_model::limits::ZONES_PER_OCCUPANT_MAX;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::{Occupant, Presence, ZoneCount};
use serde::{Deserialize, Serialize};

/// No slot: the end of the list of those lost.
const NOBODY: u32 = u32::MAX;
/// An instant that does not come.
pub(crate) const NEVER: LogicalNs = LogicalNs(i64::MAX);

/// Where an occupant comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// Fixes of a carried device.
    Device(CarriedKey),
    /// A tracker's track of anonymous positions, by the tracker's own number.
    Tracker {
        /// Whose tracker.
        level: LevelId,
        /// Its number there.
        id: u64,
    },
}

impl Slot {
    /// The carried device that it is, or that was found to be the same person's.
    pub(crate) fn device(&self) -> Option<CarriedKey> {
        self.origin.device().or(self.joined.and_then(Origin::device))
    }

    /// The tracker's track that it is, or that was found to be the same person's.
    pub(crate) fn tracked(&self) -> Option<(LevelId, u64)> {
        self.origin.tracked().or(self.joined.and_then(Origin::tracked))
    }

    /// Both a device and a track.
    pub(crate) fn is_joined(&self) -> bool {
        self.joined.is_some()
    }
}

impl Origin {
    /// The carried device, where it is one.
    pub(crate) fn device(self) -> Option<CarriedKey> {
        if let Self::Device(key) = self { Some(key) } else { None }
    }

    /// The tracker's level and number, where it is a track.
    pub(crate) fn tracked(self) -> Option<(LevelId, u64)> {
        if let Self::Tracker { level, id } = self { Some((level, id)) } else { None }
    }
}

/// Zones that somebody is outside of, and when that will count as left; ascending by zone.
pub(crate) type Exits = ArrayVec<(ZoneId, LogicalNs), ZONES_PER_OCCUPANT_MAX>;

/// An occupant and what fusion remembers beside it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) occupant: Occupant,
    pub(crate) origin: Origin,
    /// What else is the same person: a tracker's track where `origin` is a device, a device where it is a track.
    pub(crate) joined: Option<Origin>,
    /// When its device last said where it is, and the variance of that per axis, m².
    pub(crate) carried: Option<(LogicalNs, f64)>,
    /// When a scan last hit its track, and the variance of the track's place per axis, m².
    pub(crate) tracked_at: Option<(LogicalNs, f64)>,
    /// Where it was when it was last seen: `occupant.place` may have been predicted since.
    pub(crate) seen_place: Place,
    /// The box in the R-tree.
    pub(crate) boxed: Aabb,
    /// Where zones were last worked out, and how far from there nothing can change. A cache: never saved.
    pub(crate) anchor: Point,
    pub(crate) slack_m: f64,
    /// The least lost time of its zones.
    pub(crate) lost_after: DurationNs,
    /// The first of its pending exits.
    exit_due: LogicalNs,
    /// When it is forgotten, while lost: by its time, or earlier where silent sensors speak against it.
    forget_at: LogicalNs,
    forget_within: LogicalNs,
    /// While lost: how fast the silence of sensors takes its odds of being there, per second, and since when.
    pub(crate) silence_hz: f64,
    pub(crate) doubted_at: LogicalNs,
    /// When it was first seen.
    pub(crate) first_seen: LogicalNs,
    /// It is somebody: until then it is in no zone, nobody is taken for it and its going is not said.
    pub(crate) confirmed: bool,
    /// Sensors looked where it should be and saw nobody.
    pub(crate) refuted: bool,
    /// When another system last said where it is.
    pub(crate) located_at: Option<LogicalNs>,
    lost_before: u32,
    lost_behind: u32,
}

clone_in_place!(Slot {
    occupant,
    origin,
    joined,
    carried,
    tracked_at,
    seen_place,
    boxed,
    anchor,
    slack_m,
    lost_after,
    exit_due,
    forget_at,
    forget_within,
    silence_hz,
    doubted_at,
    first_seen,
    confirmed,
    refuted,
    located_at,
    lost_before,
    lost_behind,
});

/// What of a slot is saved: all that cannot be worked out again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedSlot {
    pub(crate) occupant: Occupant,
    pub(crate) origin: Origin,
    pub(crate) joined: Option<Origin>,
    pub(crate) carried: Option<(LogicalNs, f64)>,
    pub(crate) tracked_at: Option<(LogicalNs, f64)>,
    pub(crate) seen_place: Place,
    pub(crate) boxed: Aabb,
    pub(crate) lost_after: DurationNs,
    pub(crate) forget_at: LogicalNs,
    pub(crate) forget_within: LogicalNs,
    pub(crate) silence_hz: f64,
    pub(crate) doubted_at: LogicalNs,
    pub(crate) first_seen: LogicalNs,
    pub(crate) confirmed: bool,
    pub(crate) refuted: bool,
    pub(crate) located_at: Option<LogicalNs>,
    pub(crate) exits: Exits,
    pub(crate) surely: Surely,
    /// The deadline as set, which may have been held back to stay behind the instant that set it.
    pub(crate) due: Option<LogicalNs>,
}

/// Everybody.
#[derive(Clone, Debug)]
pub(crate) struct Occupants {
    slots: StampedVec<Slot>,
    exits: StampedVec<Exits>,
    surely: StampedVec<Surely>,
    due_at: Vec<Option<LogicalNs>>,
    free: Vec<u32>,
    /// Ascending by track.
    order: Vec<(TrackId, u32)>,
    by_track: SlotTable,
    by_device: SlotTable,
    by_person: Stamped<Vec<Vec<u32>>>,
    /// Per zone, ascending by track.
    rosters: Stamped<Vec<Vec<(TrackId, u32)>>>,
    counts: Stamped<Vec<ZoneCount>>,
    pub(crate) index: OccupantIndex,
    pub(crate) due: Deadlines,
    lost_first: u32,
    lost_last: u32,
    pub(crate) next_track: u64,
    /// Who appeared lately.
    pub(crate) births: Births,
    max: usize,
}

/// Room for those in one of so many zones. Where everybody fits every zone there is room for that; else for as many as a
/// bounded memory holds, and a zone that fills beyond it takes more when it does.
fn roster_room(max: usize, zones: usize) -> usize {
    const ALL: usize = 1 << 20;
    max.min((ALL / zones.max(1)).max(32))
}

impl Occupants {
    /// Nobody; room for `max`.
    pub(crate) fn new(max: usize, levels: usize, zones: usize, people: usize) -> Self {
        Self {
            slots: StampedVec::with_capacity(max),
            exits: StampedVec::with_capacity(max),
            surely: StampedVec::with_capacity(max),
            due_at: Vec::with_capacity(max),
            free: Vec::with_capacity(max),
            order: Vec::with_capacity(max),
            by_track: SlotTable::new(max),
            by_device: SlotTable::new(max),
            by_person: Stamped::new((0..people).map(|_| Vec::with_capacity(4)).collect()),
            rosters: Stamped::new((0..zones).map(|_| Vec::with_capacity(roster_room(max, zones))).collect()),
            counts: Stamped::new(vec![ZoneCount::default(); zones]),
            index: OccupantIndex::new(levels, max),
            due: Deadlines::new(max),
            lost_first: NOBODY,
            lost_last: NOBODY,
            next_track: 1,
            births: Births::new(max),
            max,
        }
    }

    /// Makes room for so many known people, where there are more than before.
    pub(crate) fn make_room_for(&mut self, people: usize) {
        let more = people.max(self.by_person.len());
        self.by_person.resize_with(more, || Vec::with_capacity(4));
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn is_full(&self) -> bool {
        self.order.len() >= self.max
    }

    pub(crate) fn slot(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    pub(crate) fn occupant(&self, slot: u32) -> &Occupant {
        &self.slots[slot as usize].occupant
    }

    /// To change what no index is over: velocity, covariance, heading, existence, the membership cache.
    pub(crate) fn slot_mut(&mut self, slot: u32) -> &mut Slot {
        &mut self.slots[slot as usize]
    }

    pub(crate) fn of_track(&self, track: TrackId) -> Option<u32> {
        self.by_track.get(track.0)
    }

    pub(crate) fn of_device(&self, device: CarriedKey) -> Option<u32> {
        self.by_device.get(device.0)
    }

    /// Tracks and their slots, ascending by track.
    pub(crate) fn tracks(&self) -> &[(TrackId, u32)] {
        &self.order
    }

    /// Slots ascending by track.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = u32> + '_ {
        self.order.iter().map(|&(_, slot)| slot)
    }

    /// Slots of a zone ascending by track.
    pub(crate) fn in_zone(&self, zone: ZoneId) -> impl Iterator<Item = u32> + '_ {
        self.rosters.get(zone.index()).into_iter().flatten().map(|&(_, slot)| slot)
    }

    pub(crate) fn count_in(&self, zone: ZoneId) -> ZoneCount {
        self.counts.get(zone.index()).copied().unwrap_or_default()
    }

    /// Slots of a person, in no particular order.
    pub(crate) fn of_person(&self, person: PersonId) -> &[u32] {
        self.by_person.get(person.index()).map_or(&[], |v| v)
    }

    /// Whoever has been lost longest.
    pub(crate) fn longest_lost(&self) -> Option<u32> {
        (self.lost_first != NOBODY).then_some(self.lost_first)
    }

    /// Adds an occupant under the next track; it is in no zone and not lost, and its deadline is not set. A device is
    /// somebody's from the first, a tracker's track is to be confirmed. `None` where there is no room.
    pub(crate) fn add(&mut self, mut occupant: Occupant, origin: Origin, lost_after: DurationNs) -> Option<u32> {
        if self.is_full() {
            return None;
        }
        occupant.track = match self.births.again(origin, occupant.place) {
            Some(again) => again,
            None => {
                self.next_track += 1;
                TrackId(self.next_track - 1)
            }
        };
        self.births.note(origin, occupant.track, occupant.place);
        let boxed = OccupantIndex::box_round(occupant.place.at);
        let slot = self.put(SavedSlot {
            first_seen: occupant.seen_at,
            seen_place: occupant.place,
            occupant,
            origin,
            joined: None,
            carried: None,
            tracked_at: None,
            boxed,
            lost_after,
            forget_at: NEVER,
            forget_within: NEVER,
            silence_hz: 0.0,
            doubted_at: LogicalNs(0),
            confirmed: matches!(origin, Origin::Device(_)),
            refuted: false,
            located_at: None,
            exits: Exits::new(),
            surely: Surely::new(),
            due: None,
        });
        self.index.insert(self.occupant(slot).place.level, slot, boxed);
        Some(slot)
    }

    /// Fills a slot and every index but the R-tree.
    fn put(&mut self, saved: SavedSlot) -> u32 {
        let track = saved.occupant.track;
        let entry = Slot {
            anchor: saved.occupant.place.at,
            slack_m: 0.0,
            exit_due: first_exit(&saved.exits),
            occupant: saved.occupant,
            origin: saved.origin,
            joined: saved.joined,
            carried: saved.carried,
            tracked_at: saved.tracked_at,
            seen_place: saved.seen_place,
            boxed: saved.boxed,
            lost_after: saved.lost_after,
            forget_at: saved.forget_at,
            forget_within: saved.forget_within,
            silence_hz: saved.silence_hz,
            doubted_at: saved.doubted_at,
            first_seen: saved.first_seen,
            confirmed: saved.confirmed,
            refuted: saved.refuted,
            located_at: saved.located_at,
            lost_before: NOBODY,
            lost_behind: NOBODY,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = entry;
                self.exits[slot as usize] = saved.exits;
                self.surely[slot as usize] = saved.surely;
                self.due_at[slot as usize] = saved.due;
                slot
            }
            None => {
                self.slots.push(entry);
                self.exits.push(saved.exits);
                self.surely.push(saved.surely);
                self.due_at.push(saved.due);
                (self.slots.len() - 1) as u32
            }
        };
        self.due.set(slot as usize, saved.due);
        // Nearly always the highest.
        let at = self.order.partition_point(|&(t, _)| t < track);
        self.order.insert(at, (track, slot));
        self.by_track.insert(track.0, slot);
        let occupant = &self.slots[slot as usize].occupant;
        if let Some(device) = occupant.device {
            self.by_device.insert(device.0, slot);
        }
        if let Some(person) = occupant.person {
            self.by_person[person.index()].push(slot);
        }
        for zone in occupant.zones.clone() {
            self.enrol(zone, slot);
        }
        slot
    }

    /// Forgets an occupant.
    pub(crate) fn remove(&mut self, slot: u32) {
        if self.occupant(slot).presence == Presence::Lost {
            self.unlink_lost(slot);
        }
        let zones = self.occupant(slot).zones.clone();
        for zone in zones {
            self.strike(zone, slot);
        }
        self.name(slot, None, 0.0);
        let occupant = self.occupant(slot);
        let (track, device, level) = (occupant.track, occupant.device, occupant.place.level);
        // A copy in which it still is must not take the empty slot for it.
        self.slots.touch(slot as usize);
        self.index.remove(level, slot);
        self.by_track.remove(track.0);
        if let Some(device) = device
            && self.by_device.get(device.0) == Some(slot)
        {
            self.by_device.remove(device.0);
        }
        if let Ok(at) = self.order.binary_search_by_key(&track, |&(t, _)| t) {
            self.order.remove(at);
        }
        self.set_due(slot, None);
        self.free.push(slot);
    }

    /// Moves an occupant.
    pub(crate) fn shift(&mut self, slot: u32, to: Place) {
        let entry = &mut self.slots[slot as usize];
        self.index.shift(slot, entry.occupant.place.level, &mut entry.boxed, to);
        entry.occupant.place = to;
    }

    /// Takes it for somebody, or for nobody known.
    pub(crate) fn name(&mut self, slot: u32, person: Option<PersonId>, person_p: f64) {
        let occupant = &mut self.slots[slot as usize].occupant;
        let before = occupant.person;
        (occupant.person, occupant.person_p) = (person, person_p);
        if before == person {
            return;
        }
        if let Some(before) = before {
            self.by_person[before.index()].retain(|&s| s != slot);
        }
        if let Some(person) = person {
            self.by_person[person.index()].push(slot);
        }
    }

    /// Gives it a carried device, or takes it away.
    pub(crate) fn set_device(&mut self, slot: u32, device: Option<CarriedKey>) {
        let occupant = &mut self.slots[slot as usize].occupant;
        let before = std::mem::replace(&mut occupant.device, device);
        if let Some(before) = before
            && self.by_device.get(before.0) == Some(slot)
        {
            self.by_device.remove(before.0);
        }
        if let Some(device) = device {
            self.by_device.insert(device.0, slot);
        }
    }

    /// It is not seen any more, and is forgotten at `forget_at`.
    pub(crate) fn lose(&mut self, slot: u32, forget_at: LogicalNs) {
        let entry = &mut self.slots[slot as usize];
        entry.occupant.presence = Presence::Lost;
        entry.forget_at = forget_at;
        for zone in &entry.occupant.zones {
            let count = &mut self.counts[zone.index()];
            (count.seen, count.lost) = (count.seen - 1, count.lost + 1);
        }
        self.link_lost(slot);
    }

    /// One who is lost is forgotten by `forget_at` at the latest.
    pub(crate) fn hasten(&mut self, slot: u32, forget_at: LogicalNs) {
        let entry = &mut self.slots[slot as usize];
        entry.forget_at = entry.forget_at.min(forget_at);
    }

    /// One who is lost is forgotten by then because sensors are silent; `None` where they are not.
    pub(crate) fn forget_within(&mut self, slot: u32, at: Option<LogicalNs>) {
        self.slots[slot as usize].forget_within = at.unwrap_or(NEVER);
    }

    /// It is seen again.
    pub(crate) fn find(&mut self, slot: u32) {
        self.unlink_lost(slot);
        let entry = &mut self.slots[slot as usize];
        entry.occupant.presence = Presence::Seen;
        (entry.forget_at, entry.forget_within, entry.silence_hz) = (NEVER, NEVER, 0.0);
        for zone in &entry.occupant.zones {
            let count = &mut self.counts[zone.index()];
            (count.seen, count.lost) = (count.seen + 1, count.lost - 1);
        }
    }

    /// Puts it in a zone; false where it is in as many as it can be.
    pub(crate) fn join(&mut self, slot: u32, zone: ZoneId) -> bool {
        let zones = &mut self.slots[slot as usize].occupant.zones;
        if let Err(at) = zones.binary_search(&zone) {
            if zones.try_insert(at, zone).is_err() {
                return false;
            }
            self.enrol(zone, slot);
        }
        true
    }

    /// Takes it out of a zone.
    pub(crate) fn part(&mut self, slot: u32, zone: ZoneId) {
        let zones = &mut self.slots[slot as usize].occupant.zones;
        if let Ok(at) = zones.binary_search(&zone) {
            zones.remove(at);
            self.strike(zone, slot);
        }
        self.cancel_exit(slot, zone);
    }

    /// It is outside a zone that it is in; `due` stands unless that was known already.
    pub(crate) fn begin_exit(&mut self, slot: u32, zone: ZoneId, due: LogicalNs) {
        let exits = &mut self.exits[slot as usize];
        // As many exits as zones at most, so there is room.
        if let Err(at) = exits.binary_search_by_key(&zone, |&(z, _)| z)
            && exits.try_insert(at, (zone, due)).is_ok()
        {
            self.slots[slot as usize].exit_due = first_exit(&self.exits[slot as usize]);
        }
    }

    /// It is back inside, or out for good.
    pub(crate) fn cancel_exit(&mut self, slot: u32, zone: ZoneId) {
        let entry = &mut self.slots[slot as usize];
        if entry.exit_due == NEVER {
            return;
        }
        let exits = &mut self.exits[slot as usize];
        exits.retain(|&mut (z, _)| z != zone);
        entry.exit_due = first_exit(exits);
    }

    /// The lowest zone whose exit is due by `now`.
    pub(crate) fn due_exit(&self, slot: u32, now: LogicalNs) -> Option<ZoneId> {
        if self.slots[slot as usize].exit_due > now {
            return None;
        }
        self.exits[slot as usize].iter().find(|&&(_, due)| due <= now).map(|&(zone, _)| zone)
    }

    /// When it was last surely in recorded rooms (`surely.rs`).
    pub(crate) fn surely(&self, slot: u32) -> &Surely {
        &self.surely[slot as usize]
    }

    /// To note it.
    pub(crate) fn surely_mut(&mut self, slot: u32) -> &mut Surely {
        &mut self.surely[slot as usize]
    }

    /// When it will be lost (while seen) or forgotten (while lost), if ever.
    pub(crate) fn vanishes_at(&self, slot: u32) -> LogicalNs {
        let entry = &self.slots[slot as usize];
        match entry.occupant.presence {
            Presence::Seen => entry.occupant.seen_at.plus(entry.lost_after),
            Presence::Lost => entry.forget_at.min(entry.forget_within),
        }
    }

    /// Sets its deadline by its state, never at or before `now`: an instant that has passed is due next.
    pub(crate) fn schedule(&mut self, slot: u32, now: LogicalNs) {
        let due = self.vanishes_at(slot).min(self.slots[slot as usize].exit_due);
        self.set_due(slot, (due != NEVER).then_some(due.max(now.plus(DurationNs(1)))));
    }

    fn set_due(&mut self, slot: u32, due: Option<LogicalNs>) {
        self.due_at[slot as usize] = due;
        self.due.set(slot as usize, due);
    }

    fn enrol(&mut self, zone: ZoneId, slot: u32) {
        let occupant = &self.slots[slot as usize].occupant;
        let count = &mut self.counts[zone.index()];
        match occupant.presence {
            Presence::Seen => count.seen += 1,
            Presence::Lost => count.lost += 1,
        }
        let roster = &mut self.rosters[zone.index()];
        let at = roster.partition_point(|&(t, _)| t < occupant.track);
        roster.insert(at, (occupant.track, slot));
    }

    fn strike(&mut self, zone: ZoneId, slot: u32) {
        let occupant = &self.slots[slot as usize].occupant;
        let count = &mut self.counts[zone.index()];
        match occupant.presence {
            Presence::Seen => count.seen -= 1,
            Presence::Lost => count.lost -= 1,
        }
        let roster = &mut self.rosters[zone.index()];
        if let Ok(at) = roster.binary_search_by_key(&occupant.track, |&(t, _)| t) {
            roster.remove(at);
        }
    }

    fn link_lost(&mut self, slot: u32) {
        let last = std::mem::replace(&mut self.lost_last, slot);
        let entry = &mut self.slots[slot as usize];
        (entry.lost_before, entry.lost_behind) = (last, NOBODY);
        match last {
            NOBODY => self.lost_first = slot,
            last => self.slots[last as usize].lost_behind = slot,
        }
    }

    fn unlink_lost(&mut self, slot: u32) {
        let Slot { lost_before, lost_behind, .. } = self.slots[slot as usize];
        match lost_before {
            NOBODY => self.lost_first = lost_behind,
            before => self.slots[before as usize].lost_behind = lost_behind,
        }
        match lost_behind {
            NOBODY => self.lost_last = lost_before,
            behind => self.slots[behind as usize].lost_before = lost_before,
        }
    }

    /// How many slots there are, free ones included.
    pub(crate) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// Room for a copy of so many: as [`Occupants::keep`] fills it, without tables and trees.
    pub(crate) fn kept(&self) -> Self {
        let mut kept = Self::new(0, 0, self.rosters.len(), self.by_person.len());
        kept.slots = StampedVec::with_capacity(self.max);
        kept.exits = StampedVec::with_capacity(self.max);
        kept.surely = StampedVec::with_capacity(self.max);
        kept.due_at.reserve(self.max);
        kept.free.reserve(self.max);
        kept.order.reserve(self.max);
        kept
    }

    /// Fills a copy to go back to: all but the tables, trees, rosters and what is due first, which going back works out, and
    /// the numbers given out, which are never taken back.
    pub(crate) fn keep(&self, to: &mut Self) {
        self.copy_into(to);
        to.rosters.stamp_as(&self.rosters);
    }

    fn copy_into(&self, to: &mut Self) {
        to.slots.copy_from(&self.slots);
        to.exits.copy_from(&self.exits);
        to.surely.copy_from(&self.surely);
        to.due_at.clone_from(&self.due_at);
        to.free.clone_from(&self.free);
        to.order.clone_from(&self.order);
        to.by_person.copy_from(&self.by_person, Vec::clone_from);
        to.counts.copy_from(&self.counts, Vec::clone_from);
        (to.lost_first, to.lost_last) = (self.lost_first, self.lost_last);
    }

    /// Whether an occupant stands in a copy as it does here.
    #[inline]
    pub(crate) fn is_same_in(&self, copy: &Self, slot: u32) -> bool {
        self.slots.is_same_in(&copy.slots, slot as usize)
    }

    /// Whether an occupant is in both under the same slot, box and device: then tables and trees hold for both.
    #[inline]
    fn is_placed_as_in(&self, other: &Self, who: (TrackId, u32)) -> bool {
        self.is_same_in(other, who.1) || self.is_moved_in_its_box(other, who)
    }

    /// The same where the occupant is another one by now.
    fn is_moved_in_its_box(&self, other: &Self, (track, slot): (TrackId, u32)) -> bool {
        let place = |s: &Slot| (s.boxed, s.occupant.place.level, s.occupant.device);
        let there = other.order.binary_search_by_key(&track, |&(t, _)| t).ok().map(|i| other.order[i].1);
        there == Some(slot) && place(self.slot(slot)) == place(other.slot(slot))
    }

    /// Is again what it was when the copy was filled.
    pub(crate) fn go_back(&mut self, to: &Self) {
        for i in 0..self.order.len() {
            let (track, slot) = self.order[i];
            if !self.is_placed_as_in(to, (track, slot)) {
                let (level, device) = (self.occupant(slot).place.level, self.occupant(slot).device);
                self.index.remove(level, slot);
                self.by_track.remove(track.0);
                if let Some(device) = device.filter(|d| self.by_device.get(d.0) == Some(slot)) {
                    self.by_device.remove(device.0);
                }
            }
        }
        for &(track, slot) in &to.order {
            if !to.is_placed_as_in(self, (track, slot)) {
                let Slot { occupant, boxed, .. } = to.slot(slot);
                self.index.insert(occupant.place.level, slot, *boxed);
                self.by_track.insert(track.0, slot);
                if let Some(device) = occupant.device {
                    self.by_device.insert(device.0, slot);
                }
            }
        }
        for (slot, due) in self.due_at.iter().enumerate() {
            let then = to.due_at.get(slot).copied().flatten();
            if *due != then {
                self.due.set(slot, then);
            }
        }
        to.copy_into(self);
        let Self { rosters, order, slots, .. } = self;
        rosters.copy_from(&to.rosters, |rosters, _| {
            rosters.iter_mut().for_each(Vec::clear);
            for &(track, slot) in order.iter() {
                for zone in &slots[slot as usize].occupant.zones {
                    rosters[zone.index()].push((track, slot));
                }
            }
        });
    }

    /// Everybody, ascending by track, and the tracks of those lost, longest first.
    pub(crate) fn saved(&self) -> (Vec<SavedSlot>, Vec<TrackId>) {
        let everybody = self.in_order().map(|slot| {
            let entry = &self.slots[slot as usize];
            SavedSlot {
                occupant: entry.occupant.clone(),
                origin: entry.origin,
                joined: entry.joined,
                carried: entry.carried,
                tracked_at: entry.tracked_at,
                seen_place: entry.seen_place,
                boxed: entry.boxed,
                lost_after: entry.lost_after,
                forget_at: entry.forget_at,
                forget_within: entry.forget_within,
                silence_hz: entry.silence_hz,
                doubted_at: entry.doubted_at,
                first_seen: entry.first_seen,
                confirmed: entry.confirmed,
                refuted: entry.refuted,
                located_at: entry.located_at,
                exits: self.exits[slot as usize].clone(),
                surely: self.surely[slot as usize].clone(),
                due: self.due_at[slot as usize],
            }
        });
        let mut lost = Vec::new();
        let mut at = self.lost_first;
        while at != NOBODY {
            lost.push(self.occupant(at).track);
            at = self.slots[at as usize].lost_behind;
        }
        (everybody.collect(), lost)
    }

    /// Fills an empty store; the parts were checked. False where they contradict each other.
    pub(crate) fn refill(&mut self, everybody: Vec<SavedSlot>, lost: &[TrackId]) -> bool {
        for saved in everybody {
            self.put(saved);
        }
        let boxes: Vec<_> = self
            .in_order()
            .map(|slot| (self.occupant(slot).place.level, slot, self.slots[slot as usize].boxed))
            .collect();
        self.index.rebuild(boxes);
        let mut sorted = lost.to_vec();
        sorted.sort_unstable();
        let is_lost = |slot: &u32| self.occupant(*slot).presence == Presence::Lost;
        if !self.in_order().filter(is_lost).map(|slot| self.occupant(slot).track).eq(sorted) {
            return false;
        }
        for &track in lost {
            if let Some(slot) = self.of_track(track) {
                self.link_lost(slot);
            }
        }
        true
    }
}

fn first_exit(exits: &Exits) -> LogicalNs {
    exits.iter().map(|&(_, due)| due).min().unwrap_or(NEVER)
}
