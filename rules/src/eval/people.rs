//! Rules that follow persons: who is looked at, what is remembered of him (or of two), and when that is let go.

use super::fire::Decision;
use super::memory;
use super::state::{ALONE, Context, NONE, SCRATCH};
use super::timers::NEVER;
use super::truth::{Bound, Peek, enters_in};
use super::unit::{Run, Why};
use crate::cost::Op;
use crate::program::{Instance, Shape};
use osmose_model::ids::{TrackId, ZoneId};
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Occupant, Reading, Stimulus, WorldEvent};

impl Run<'_> {
    /// Whether an event changes what holds for every person in the instance.
    pub(super) fn concerns_all(&self, number: u32, event: &WorldEvent) -> bool {
        let instance = self.instance(number);
        let shared = |zone: &ZoneId| instance.shared_zones.contains(zone);
        let tracks = [Some(event.track), event.other].into_iter().flatten();
        instance.everywhere
            || event.zone.is_some_and(|zone| shared(&zone))
            || tracks.into_iter().any(|t| self.world.occupant(t).is_some_and(|o| o.zones.iter().any(shared)))
    }

    /// Everybody in the building, for an instance whose persons may be anywhere.
    fn everybody_anywhere(&mut self, number: u32) {
        let mut all = std::mem::take(self.near);
        all.clear();
        // Its room is kept; a building with more people than it holds grows it once.
        self.world.for_each_occupant(&mut |occupant: &Occupant| all.push(occupant.track));
        self.ops.add(Op::Occupant, (all.len() + self.state.contexts.of(number).len()) as u64);
        // Who is gone and still remembered is looked at too.
        let known = all.len();
        for at in self.state.contexts.of(number) {
            let (_, track, other, _) = self.state.contexts.order[at];
            if other == ALONE && all[..known].binary_search(&track).is_err() {
                all.push(track);
            }
        }
        for &track in &all {
            self.person(number, track, None);
        }
        all.truncate(known);
        *self.near = all;
    }

    /// Every person that the instance follows, or should.
    pub(super) fn everybody(&mut self, number: u32) {
        self.upkeep(number, None);
        if self.instance(number).roams {
            return self.everybody_anywhere(number);
        }
        if matches!(self.stimulus, Some(Why::Stimulus(Stimulus::Start | Stimulus::Gap(_)))) {
            self.make_room(number);
            let program = self.program;
            let (world, contexts, ops) = (self.world, &mut self.state.contexts, &mut *self.ops);
            for zone in &program.instances[number as usize].track_zones {
                world.for_each_in(*zone, &mut |occupant: &Occupant| {
                    ops.add(Op::Occupant, 1);
                    ops.add(Op::Context, 1);
                    // Who is left out for lack of room is counted by the table.
                    let _ = contexts.insert(number, occupant.track, ALONE);
                });
            }
        }
        // One after the other by track: looking at a person may take him out of the list.
        let mut next = self.state.contexts.of(number).start;
        while let Some(&(owner, track, other, _)) = self.state.contexts.order.get(next) {
            if owner != number {
                break;
            }
            if other == ALONE {
                self.person(number, track, None);
            }
            next = self.state.contexts.order.partition_point(|e| (e.0, e.1, e.2) <= (number, track, other));
        }
    }

    /// Whether somebody has been here since before this step, so that what was false of him was known to be.
    fn was_here(&self, track: TrackId) -> bool {
        let fresh = |s: &Stimulus| match s {
            Stimulus::World(e) => {
                e.track == track && matches!(e.kind, EventKind::Appears | EventKind::Confirmed | EventKind::Found)
            }
            Stimulus::Start | Stimulus::Gap(_) => true,
            _ => false,
        };
        !self.stimuli.iter().any(fresh)
    }

    /// One person of a rule that follows persons.
    pub(super) fn person(&mut self, number: u32, track: TrackId, event: Option<&WorldEvent>) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let mut decision = self.alone(track, event);
        // Found, or found missing and made.
        self.ops.add(Op::Context, 2);
        let known = self.state.contexts.find(number, track, ALONE);
        if known.is_none() && !instance.roams {
            self.make_room(number);
        }
        let place = match known {
            Some(place) => place,
            // Nothing is remembered of him: he is looked at with an empty memory, which is kept if anything comes of it.
            None if instance.roams => {
                let place = self.state.contexts.scratch(number, track, ALONE);
                let was_here = self.was_here(track);
                let unit = &mut self.state.contexts[place].unit;
                // Had it held when he was looked at last, it would have been remembered.
                unit.last = if was_here { Tri::False } else { Tri::Unknown };
                place
            }
            None if !self.concerns(instance, track) => return,
            None => match self.state.contexts.insert(number, track, ALONE) {
                Some(place) => place,
                None => return,
            },
        };
        decision.context = Some(place);
        if self.world.occupant(track).is_none() && decision.bounds[0].is_some_and(|b| b.person.is_none()) {
            // He is gone: who he was is remembered.
            let person = self.state.contexts[place].person;
            decision.bounds[0] = Some(Bound { track, person, person_p: f64::from(u8::from(person.is_some())) });
        }
        let condition = instance.condition;
        if known.is_none() && !instance.roams {
            // Who enters was known to be outside: that is how things stood before.
            if instance.track_zones.iter().any(|zone| enters_in(self.stimuli, track, *zone)) {
                let (before, _) = self.evaluate(number, &decision, Peek::All, true, |truth| truth.cond(condition));
                self.state.contexts[place].unit.last = before;
            }
        }
        let (value, keep) = self.look_at_context(number, place, decision);
        let stays = match instance.roams {
            true => value != Tri::False || keep,
            false => value != Tri::False || self.concerns(instance, track) || keep && instance.instant,
        };
        let gone = self.world.occupant(track).is_none() && !(keep && instance.roams);
        self.settle_context(number, (track, ALONE), place, stays && !gone);
    }

    /// Looks at whom a context is of; gives the condition's value and whether something has yet to end.
    fn look_at_context(&mut self, number: u32, place: u32, mut decision: Decision<'_>) -> (Tri, bool) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        let (condition, guard) = (instance.condition, instance.guard.filter(|_| instance.guard_remembers));
        // What is of the instance was kept up before; a rule that acts at instants must not see them twice.
        let peek = if instance.instant { Peek::Instance } else { Peek::Nothing };
        let ((value, doubt, mut keep), due) = self.evaluate(number, &decision, peek, false, |truth| {
            let value = truth.cond(condition);
            let doubt = truth.doubt;
            guard.map(|guard| truth.cond(guard));
            (value, doubt, truth.keep)
        });
        let counts = value.is_true() || rule.protective && value.may_be_true();
        let long_gap = self.long_gap();
        decision.doubt = doubt || value == Tri::Unknown;
        let context: &mut Context = &mut self.state.contexts[place];
        if let Some(person) = decision.bounds[0].and_then(|b| b.identified(rule.confidence)) {
            context.person = Some(person);
        }
        let again = if instance.shape == Shape::InstantPerTrack {
            self.settle_instant(number, counts, due, decision)
        } else {
            if long_gap {
                context.unit.last = Tri::Unknown;
            }
            let (fires, settle_due) = Self::advance_edge(&mut context.unit, value, counts, rule.settle.0, self.now);
            if fires {
                self.fire(number, decision);
            }
            due.min(settle_due)
        };
        keep |= self.state.contexts[place].unit.settle_from != NONE;
        if place == SCRATCH {
            self.scratch_due = again;
        } else {
            let timer = self.context_timer(place);
            self.timers.set(timer, again);
        }
        (value, keep)
    }

    /// Keeps or forgets a context once it was looked at.
    fn settle_context(&mut self, number: u32, (track, other): (TrackId, TrackId), place: u32, stays: bool) {
        if !stays {
            if place != SCRATCH {
                self.drop_person(number, track, other);
            }
        } else if place == SCRATCH
            && let Some(kept) = self.state.contexts.keep_scratch()
        {
            let timer = self.context_timer(kept);
            self.timers.set(timer, self.scratch_due);
        }
    }

    // ---- pairs ----

    /// Every pair that somebody is part of, after he moved or something happened to him.
    pub(super) fn pairs_of(&mut self, number: u32, track: TrackId) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let Some(pairs) = instance.pairs else { return };
        let mut near = std::mem::take(self.near);
        near.clear();
        if let Some(who) = self.world.occupant(track) {
            self.world.for_each_near(who.place.level, who.place.at, pairs.reach_m, &mut |occupant: &Occupant| {
                if occupant.track != track {
                    near.push(occupant.track);
                }
            });
        }
        for at in self.state.contexts.of(number) {
            let (_, a, b, _) = self.state.contexts.order[at];
            if a == track || b == track {
                near.push(if a == track { b } else { a });
            }
        }
        self.ops.add(Op::Occupant, (near.len() + self.state.contexts.of(number).len()) as u64);
        // Whoever finds the near ones gives them in no order, and some are remembered besides.
        near.sort_unstable();
        near.dedup();
        for other in near.iter().copied() {
            let (low, high) = (track.min(other), track.max(other));
            self.pair(number, low, high);
            if !pairs.symmetric {
                self.pair(number, high, low);
            }
        }
        *self.near = near;
    }

    /// Every pair there is.
    pub(super) fn every_pair(&mut self, number: u32) {
        self.upkeep(number, None);
        // Pairs that are remembered first, because one of the two may be gone; then everybody's.
        let mut next = self.state.contexts.of(number).start;
        while let Some(&(owner, a, b, _)) = self.state.contexts.order.get(next) {
            if owner != number {
                break;
            }
            self.pair(number, a, b);
            next = self.state.contexts.order.partition_point(|e| (e.0, e.1, e.2) <= (number, a, b));
        }
        let mut all = std::mem::take(self.all);
        all.clear();
        self.world.for_each_occupant(&mut |occupant: &Occupant| all.push(occupant.track));
        self.ops.add(Op::Occupant, all.len() as u64);
        for track in all.iter().copied() {
            self.pairs_of(number, track);
        }
        *self.all = all;
    }

    fn pair(&mut self, number: u32, a: TrackId, b: TrackId) {
        self.ops.add(Op::Context, 2);
        let bounds = [Some(self.bound(a, None)), Some(self.bound(b, None))];
        let mut decision = Decision { bounds, ..Decision::default() };
        let place = match self.state.contexts.find(number, a, b) {
            Some(place) => place,
            None => {
                let place = self.state.contexts.scratch(number, a, b);
                let were_here = self.was_here(a) && self.was_here(b);
                let unit = &mut self.state.contexts[place].unit;
                unit.last = if were_here { Tri::False } else { Tri::Unknown };
                place
            }
        };
        decision.context = Some(place);
        let (value, keep) = self.look_at_context(number, place, decision);
        let gone = self.world.occupant(a).is_none() || self.world.occupant(b).is_none();
        self.settle_context(number, (a, b), place, (value != Tri::False || keep) && !gone);
    }

    /// A timer of a person or of two was due.
    pub(super) fn person_due(&mut self, number: u32, track: TrackId, other: TrackId) {
        let Some(place) = self.state.contexts.find(number, track, other) else { return };
        match self.instance(number).shape {
            Shape::Event => self.settled_event(number, track, place),
            _ if other != ALONE => self.pair(number, track, other),
            _ => self.person(number, track, None),
        }
    }

    pub(super) fn bound(&self, track: TrackId, event: Option<&WorldEvent>) -> Bound {
        let bound = match event {
            Some(event) if event.track == track => Bound::of_event(event),
            _ => Bound::of_track(self.world, track),
        };
        match self.just.and_then(|sensor| self.world.sensor(sensor).reading) {
            // Who made a gesture is known no better than it is known whose the gesture is.
            Some(Reading::Gesture { track: Some(by), track_p, .. }) if by == track => {
                Bound { person_p: bound.person_p * track_p, ..bound }
            }
            _ => bound,
        }
    }

    fn concerns(&self, instance: &Instance, track: TrackId) -> bool {
        let zones = self.world.occupant(track).map_or(&[][..], |o| &o.zones);
        zones.iter().any(|zone| instance.track_zones.contains(zone))
    }

    /// Lets go of who is gone, once an instance follows as many as there can be: a track ends without an event, so
    /// nothing else would take it out of a rule that looks at each person by his own events only.
    fn make_room(&mut self, number: u32) {
        let most = self.world.site().engine.tracks_max as usize;
        let followed = self.state.contexts.of(number).len();
        if followed < most {
            return;
        }
        self.ops.add(Op::Occupant, followed as u64);
        let (world, timers, base) = (self.world, &mut *self.timers, self.program.instances.len() as u32);
        let gone = |track| world.occupant(track).is_none();
        self.state.contexts.remove_gone(number, gone, |place| timers.set(base + place, NEVER));
    }

    pub(super) fn drop_person(&mut self, number: u32, track: TrackId, other: TrackId) {
        self.ops.add(Op::Context, 2);
        if let Some(place) = self.state.contexts.find(number, track, other) {
            let timer = self.context_timer(place);
            self.timers.set(timer, NEVER);
            self.state.contexts.remove(number, track, other);
        }
    }

    /// Lets the visits of whom an event is about pause or go on.
    pub(super) fn visit(&mut self, number: u32, event: &WorldEvent) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        if rule.dampers.is_empty() || self.state.memories.is_empty() {
            return;
        }
        let zones = &instance.track_zones;
        let inside = self.world.occupant(event.track).is_some_and(|o| o.zones.iter().any(|z| zones.contains(z)));
        let here = event.zone.is_none_or(|zone| zones.contains(&zone));
        let away = match event.kind {
            EventKind::Lost => true,
            EventKind::Leaves => here && !inside,
            _ if super::arrives(event) => false,
            _ => return,
        };
        if !away && !inside {
            return;
        }
        let bound = Bound::of_event(event);
        self.ops.add(Op::Memory, rule.dampers.len() as u64);
        memory::visit(self.state, number, &rule.dampers, [Some(bound), None], away, self.now, rule.confidence);
    }
}
