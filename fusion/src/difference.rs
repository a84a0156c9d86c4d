//! What a re-run changed, said: what was said before stands, and each difference is an event of its own, on the word of
//! the late observation. Ascending by track; of one track: appears or found, confirmed, identified, leaves, enters (each
//! ascending by zone), lost.

use crate::fuse::Fusion;
use crate::identity::zones_left;
use crate::occupants::Occupants;
use crate::sink::Sink;
use osmose_model::ids::{SensorId, TrackId, ZoneId};
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, Occupant, Presence, Stimulus};

/// Everybody as they were last told of, ascending by track, and whether each was confirmed.
pub(crate) type Told = Vec<(Occupant, bool)>;

impl Fusion {
    /// Notes everybody as they are told of now.
    pub(crate) fn note_told(&self, told: &mut Told) {
        told.clear();
        told.extend(self.occupants.in_order().map(|slot| {
            let entry = self.occupants.slot(slot);
            (entry.occupant.clone(), entry.confirmed)
        }));
    }

    /// Says what is other than it was told. Numbers below `known` were told of before.
    pub(crate) fn say_difference(
        &mut self,
        told: &Told,
        known: u64,
        (sensor, measured): (SensorId, LogicalNs),
        at: LogicalNs,
        out: &mut Vec<Stimulus>,
    ) {
        let (state, horizon, occupants) = (&mut self.late.state, self.late.horizon, &self.occupants);
        let mut sink = Sink::new(out, &mut self.counts.stimuli_shed, Some(sensor), measured);
        let mut before = told.iter().peekable();
        for slot in self.occupants.in_order() {
            let entry = self.occupants.slot(slot);
            let now = &entry.occupant;
            while let Some((gone, confirmed)) = before.next_if(|(b, _)| b.track < now.track) {
                let gone = turned_up(gone, *confirmed, occupants, &mut sink);
                state.note_forgotten(&gone, at, horizon);
                say_gone(&gone, *confirmed, self.plan.innermost(&gone.zones), &mut sink);
            }
            match before.next_if(|(b, _)| b.track == now.track) {
                Some((b, confirmed)) => {
                    let last = self.plan.innermost(&now.zones);
                    say_other((b, *confirmed), (now, entry.confirmed), last, &mut sink);
                }
                None if now.track < TrackId(known) => say_back(now, entry.confirmed, &state.back(now.track), &mut sink),
                None => say_new(now, entry.confirmed, &mut sink),
            }
        }
        for (gone, confirmed) in before {
            let gone = turned_up(gone, *confirmed, occupants, &mut sink);
            state.note_forgotten(&gone, at, horizon);
            say_gone(&gone, *confirmed, self.plan.innermost(&gone.zones), &mut sink);
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
fn say_gone(gone: &Occupant, confirmed: bool, zone: Option<ZoneId>, sink: &mut Sink<'_>) {
    if confirmed && gone.presence == Presence::Seen {
        sink.event(EventKind::Lost, gone, zone, None);
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
