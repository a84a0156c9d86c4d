//! What a re-run changed, said: what was said before stands, and each difference is an event of its own, on the word of
//! the late observation. Ascending by track; of one track: appears or found, confirmed, identified, leaves, enters (each
//! ascending by zone), lost.

use crate::fuse::Fusion;
use crate::identity::zones_left;
use crate::late::LateState;
use crate::occupants::Occupants;
use crate::plan::Plan;
use crate::sink::Sink;
use crate::snapshot::Snapshot;
use osmose_model::ids::{SensorId, TrackId, ZoneId};
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::{EventKind, Occupant, Presence, Stimulus};

/// Everybody as they were last told of. Most stand as they do in the copy that is gone back to, and are told from there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// All tracks and their slots, ascending by track.
    all: Vec<(TrackId, u32)>,
    /// Those who stand otherwise than in the copy, ascending by track, and whether each was confirmed.
    others: Vec<(Occupant, bool)>,
}

impl Told {
    pub(crate) fn with_capacity(max: usize) -> Self {
        Self { all: Vec::with_capacity(max), others: Vec::with_capacity(max) }
    }
}

/// Somebody as they were told of.
struct Before<'a> {
    track: TrackId,
    slot: u32,
    who: &'a Occupant,
    confirmed: bool,
    /// They stood as in the copy.
    as_in_copy: bool,
}

impl Fusion {
    /// Notes everybody as they are told of now, before going back to a copy.
    pub(crate) fn note_told(&self, back: &Snapshot, told: &mut Told) {
        told.all.clear();
        told.all.extend_from_slice(self.occupants.tracks());
        let mut others = 0;
        for slot in self.occupants.in_order().filter(|&slot| !self.occupants.is_same_in(&back.occupants, slot)) {
            let entry = self.occupants.slot(slot);
            match told.others.get_mut(others) {
                Some((who, confirmed)) => {
                    who.clone_from(&entry.occupant);
                    *confirmed = entry.confirmed;
                }
                None => told.others.push((entry.occupant.clone(), entry.confirmed)),
            }
            others += 1;
        }
        told.others.truncate(others);
    }

    /// Says what is other than it was told before the pinned copy was gone back to. Numbers below `known` were told of
    /// before.
    pub(crate) fn say_difference(
        &mut self,
        told: &Told,
        known: u64,
        (sensor, measured): (SensorId, LogicalNs),
        at: LogicalNs,
        out: &mut Vec<Stimulus>,
    ) {
        let Self { late, occupants, plan, counts, .. } = self;
        let (state, horizon, occupants) = (&mut late.state, late.horizon, &*occupants);
        let Some(back) = late.history.pinned_copy() else { return };
        let copy = &back.occupants;
        let mut sink = Sink::new(out, &mut counts.stimuli_shed, Some(sensor), measured);
        let mut others = told.others.iter().peekable();
        let before = told.all.iter().map(|&(track, slot)| match others.next_if(|(who, _)| who.track == track) {
            Some((who, confirmed)) => Before { track, slot, who, confirmed: *confirmed, as_in_copy: false },
            None => {
                let entry = copy.slot(slot);
                Before { track, slot, who: &entry.occupant, confirmed: entry.confirmed, as_in_copy: true }
            }
        });
        let mut before = before.peekable();
        for &(track, slot) in occupants.tracks() {
            while let Some(gone) = before.next_if(|b| b.track < track) {
                say_gone(&gone, (occupants, plan), (state, at, horizon), &mut sink);
            }
            let was = before.next_if(|b| b.track == track);
            if was.as_ref().is_some_and(|b| b.as_in_copy && b.slot == slot && occupants.is_same_in(copy, slot)) {
                continue; // nothing happened to them
            }
            let entry = occupants.slot(slot);
            let now = &entry.occupant;
            match was {
                Some(b) => {
                    let last = plan.innermost(&now.zones);
                    say_other((b.who, b.confirmed), (now, entry.confirmed), last, &mut sink);
                }
                None if track < TrackId(known) => say_back(now, entry.confirmed, &state.back(track), &mut sink),
                None => say_new(now, entry.confirmed, &mut sink),
            }
        }
        for gone in before {
            say_gone(&gone, (occupants, plan), (state, at, horizon), &mut sink);
        }
    }
}

/// Somebody known who was told to be lost is somebody else now: they left the zones in which that one is not.
fn turned_up(gone: &Occupant, confirmed: bool, occupants: &Occupants, sink: &mut Sink<'_>) -> Occupant {
    let mut gone = gone.clone();
    let Some(person) = gone.person.filter(|_| confirmed && gone.presence == Presence::Lost) else { return gone };
    let seen = |slot: &&u32| occupants.occupant(**slot).presence == Presence::Seen;
    let Some(&found) = occupants.of_person(person).iter().find(seen) else { return gone };
    for zone in zones_left(&gone, occupants.occupant(found)) {
        gone.zones.retain(|z| *z != zone);
        sink.event(EventKind::Leaves, &gone, Some(zone), None);
    }
    gone
}

/// Somebody who was told of is not there.
fn say_gone(
    before: &Before<'_>,
    (occupants, plan): (&Occupants, &Plan),
    (state, at, horizon): (&mut LateState, LogicalNs, DurationNs),
    sink: &mut Sink<'_>,
) {
    let gone = turned_up(before.who, before.confirmed, occupants, sink);
    state.note_forgotten(&gone, at, horizon);
    if before.confirmed && gone.presence == Presence::Seen {
        sink.event(EventKind::Lost, &gone, plan.innermost(&gone.zones), None);
    }
}

/// Somebody is there who was not.
fn say_new(now: &Occupant, confirmed: bool, sink: &mut Sink<'_>) {
    sink.event(EventKind::Appears, now, None, None);
    if confirmed {
        sink.event(EventKind::Confirmed, now, None, None);
    }
    if now.person.is_some() {
        sink.event(EventKind::Identified, now, None, None);
    }
}

/// Somebody is there again who was told of, and forgotten when last known in the zones `was`.
fn say_back(now: &Occupant, confirmed: bool, was: &[ZoneId], sink: &mut Sink<'_>) {
    if confirmed {
        sink.event(EventKind::Found, now, None, None);
    }
    if now.person.is_some() {
        sink.event(EventKind::Identified, now, None, None);
    }
    if confirmed {
        say_zones(was, now, sink);
    }
}

/// Which zones somebody left and entered since they were told to be in `was`.
fn say_zones(was: &[ZoneId], now: &Occupant, sink: &mut Sink<'_>) {
    for &zone in was.iter().filter(|z| !now.zones.contains(z)) {
        sink.event(EventKind::Leaves, now, Some(zone), None);
    }
    for &zone in now.zones.iter().filter(|z| !was.contains(z)) {
        sink.event(EventKind::Enters, now, Some(zone), None);
    }
}

/// Somebody is otherwise than was told.
fn say_other(
    (before, was_confirmed): (&Occupant, bool),
    (now, confirmed): (&Occupant, bool),
    last: Option<ZoneId>,
    sink: &mut Sink<'_>,
) {
    let said = sink.len();
    let (was_seen, seen) = (before.presence == Presence::Seen, now.presence == Presence::Seen);
    if was_confirmed && !confirmed {
        // What was taken for somebody is yet to prove it: nobody knows.
        if was_seen {
            sink.event(EventKind::Lost, before, last, None);
        }
        return;
    }
    if !was_seen && seen {
        sink.event(EventKind::Found, now, None, None);
    }
    if confirmed && !was_confirmed {
        // Zones are filled in silently, as whenever somebody is confirmed.
        sink.event(EventKind::Confirmed, now, None, None);
    }
    if now.person.is_some() && now.person != before.person {
        sink.event(EventKind::Identified, now, None, None);
    }
    if confirmed && was_confirmed {
        say_zones(&before.zones, now, sink);
    }
    if was_seen && !seen && confirmed {
        sink.event(EventKind::Lost, now, last, None);
    }
    if sink.len() == said && before.place != now.place {
        sink.push(Stimulus::Moved(now.track));
    }
}
