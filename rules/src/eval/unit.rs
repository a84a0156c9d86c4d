//! One instance, or one person in it, at one instant: events, edges, levels, and the order of the dampers.

use super::fire::Decision;
use super::memory;
use super::state::{ALONE, Context, NONE, Phase, SCRATCH, State, Unit};
use super::timers::{NEVER, Timers};
use super::truth::{Bound, Peek, Truth, enters_in};
use crate::cost::{Op, Ops};
use crate::program::{Instance, OnUnknown, Program, Shape};
use osmose_model::command::Effect;
use osmose_model::ids::{TrackId, ZoneId};
use osmose_model::stages::Source;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Occupant, Reading, Stimulus, WorldEvent, WorldView};

/// Why a unit is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Why<'a> {
    Stimulus(&'a Stimulus),
    Time,
    Operator,
}

/// One step under way.
pub(super) struct Run<'a> {
    pub(super) program: &'a Program,
    pub(super) state: &'a mut State,
    pub(super) timers: &'a mut Timers,
    pub(super) world: &'a dyn WorldView,
    pub(super) out: &'a mut Vec<Effect>,
    pub(super) source: Source,
    pub(super) now: i64,
    /// All stimuli of the step.
    pub(super) stimuli: &'a [Stimulus],
    /// The one that is looked at now.
    pub(super) stimulus: Option<Why<'a>>,
    pub(super) reset: bool,
    pub(super) ops: &'a mut Ops,
    /// By rule: how often it acted.
    pub(super) acted: &'a mut [u64],
    /// The sensor that said something just now, where that is what is looked at.
    pub(super) just: Option<osmose_model::ids::SensorId>,
    /// Instances to look at before the step is over: a mode or counter of theirs changed.
    pub(super) woken: &'a mut Vec<u32>,
    /// Runs whose time is up.
    pub(super) due_runs: &'a mut Vec<u32>,
    /// Room to collect who is near, and who there is.
    pub(super) near: &'a mut Vec<TrackId>,
    pub(super) all: &'a mut Vec<TrackId>,
    /// When the scratch context is due, should it be kept.
    pub(super) scratch_due: i64,
}

impl Run<'_> {
    fn instance(&self, number: u32) -> &'_ Instance {
        &self.program.instances[number as usize]
    }

    fn gap(&self) -> Option<i64> {
        match self.stimulus {
            Some(Why::Stimulus(Stimulus::Gap(gap))) => Some(gap.0),
            _ => None,
        }
    }

    /// Evaluates something for a unit; returns it with the instant at which time alone may change it.
    pub(super) fn evaluate<R>(
        &mut self,
        number: u32,
        decision: &Decision<'_>,
        peek: Peek,
        before: bool,
        f: impl FnOnce(&mut Truth<'_>) -> R,
    ) -> (R, i64) {
        let gap = self.gap();
        let program = self.program;
        let instance = &program.instances[number as usize];
        let from = instance.slot_base as usize;
        let slots = self.state.slots.get_mut(from..from + usize::from(instance.slots)).unwrap_or_default();
        let [first, second] = decision.bounds;
        let mut truth = Truth {
            world: self.world,
            program,
            rule: &program.rules[instance.rule.index()],
            shared: &self.state.shared,
            number,
            slots,
            contexts: &mut self.state.contexts,
            context: decision.context,
            windows: &mut self.state.windows,
            counters: &self.state.counters,
            released: &self.state.released,
            now: self.now,
            just: self.just,
            guarded: None,
            event: decision.event,
            settled: false,
            bounds: [first, second, None],
            before: before.then_some(self.stimuli),
            peek,
            reset: self.reset,
            gap,
            due: NEVER,
            doubt: false,
            ops: &mut *self.ops,
            keep: false,
        };
        let result = f(&mut truth);
        (result, truth.due)
    }

    /// Looks at an instance for another reason than an event.
    pub(super) fn look(&mut self, number: u32) {
        match self.instance(number).shape {
            Shape::Event => self.upkeep(number, None),
            Shape::Instant => self.instant(number, None),
            Shape::Edge => self.edge(number),
            Shape::Level => self.level(number, None),
            Shape::EdgePerTrack | Shape::InstantPerTrack => self.everybody(number),
            Shape::EdgePerPair => self.every_pair(number),
        }
    }

    fn set_due(&mut self, number: u32, due: i64) {
        let rule = self.instance(number).rule.index();
        let off = self.state.off_until[rule];
        let due = if off > self.now { due.min(off) } else { due };
        self.timers.set(number, due);
    }

    fn context_timer(&self, place: u32) -> u32 {
        self.program.instances.len() as u32 + place
    }

    /// Somebody in a rule with one person, on account of an event or not.
    fn alone<'e>(&self, track: TrackId, event: Option<&'e WorldEvent>) -> Decision<'e> {
        Decision { bounds: [Some(self.bound(track, event)), None], event, doubt: false, context: None }
    }

    // ---- event rules ----

    /// Keeps the instance's own `for`s up to date where its condition is asked only now and then, or of persons.
    pub(super) fn upkeep(&mut self, number: u32, event: Option<&WorldEvent>) {
        let (condition, guard, remembers) = {
            let instance = self.instance(number);
            (instance.condition, instance.guard, instance.slots > 0 || instance.guard_remembers)
        };
        if !remembers {
            return;
        }
        let decision = Decision { event, ..Decision::default() };
        let ((), due) = self.evaluate(number, &decision, Peek::Nothing, false, |truth| {
            truth.cond(condition);
            guard.map(|guard| truth.cond(guard));
        });
        self.set_due(number, due);
    }

    /// The truth of an instance's condition, whether doubt was read as truth on the way to it, and when time alone may
    /// change it. A guard that remembers sees what there is, too.
    fn judge(&mut self, number: u32, decision: &Decision<'_>) -> ((Tri, bool), i64) {
        let instance = &self.program.instances[number as usize];
        let (condition, guard) = (instance.condition, instance.guard.filter(|_| instance.guard_remembers));
        self.evaluate(number, decision, Peek::Nothing, false, |truth| {
            let value = truth.cond(condition);
            let doubt = truth.doubt;
            guard.map(|guard| truth.cond(guard));
            (value, doubt)
        })
    }

    /// Something that happens, and is remembered with the instance: acts whenever its condition is true.
    pub(super) fn instant(&mut self, number: u32, event: Option<&WorldEvent>) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        let bound = event.map(Bound::of_event);
        let mut decision = Decision { bounds: [bound, None], event, ..Decision::default() };
        let ((value, doubt), due) = self.judge(number, &decision);
        let counts = value.is_true() || rule.protective && value.may_be_true();
        decision.doubt = doubt || value == Tri::Unknown;
        let due = self.settle_instant(number, counts, due, decision);
        self.set_due(number, due);
    }

    /// What happened acts at once, or once `settle` is over; gives when to look again.
    fn settle_instant(&mut self, number: u32, counts: bool, due: i64, decision: Decision<'_>) -> i64 {
        let settle = self.program.rules[self.instance(number).rule.index()].settle.0;
        if settle == 0 {
            if counts {
                self.fire(number, decision);
            }
            return due;
        }
        let now = self.now;
        let unit = match decision.context {
            Some(place) => &mut self.state.contexts.table[place as usize].unit,
            None => &mut self.state.units[number as usize],
        };
        if counts {
            unit.settle_from = now;
        }
        if unit.settle_from == NONE {
            return due;
        }
        let at = unit.settle_from.saturating_add(settle);
        if now < at {
            return due.min(at);
        }
        unit.settle_from = NONE;
        self.fire(number, decision);
        due
    }

    /// An event that an event rule may wait for.
    pub(super) fn event(&mut self, number: u32, event: &WorldEvent) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        if !rule.dampers.is_empty() {
            self.visit(number, event);
        }
        if instance.slots > 0 || instance.guard_remembers {
            self.upkeep(number, Some(event));
        }
        let bounds = [Some(Bound::of_event(event)), None];
        let mut decision = Decision { bounds, event: Some(event), ..Decision::default() };
        let condition = instance.condition;
        let ((value, doubt), _) =
            self.evaluate(number, &decision, Peek::All, false, |truth| (truth.cond(condition), truth.doubt));
        let counts = value.is_true() || rule.protective && value.may_be_true();
        decision.doubt = doubt || value == Tri::Unknown;
        if rule.settle.0 == 0 {
            if counts {
                self.fire(number, decision);
            }
            return;
        }
        if counts {
            self.ops.add(Op::Context, 1);
            let Some(place) = self.state.contexts.insert(number, event.track, ALONE) else { return };
            let context = &mut self.state.contexts.table[place as usize];
            context.pending = Some(*event);
            context.unit.settle_from = self.now;
            let timer = self.context_timer(place);
            self.timers.set(timer, self.now.saturating_add(rule.settle.0));
        } else if self.finds(number, event.track) && !self.stands(number, event) {
            self.drop_person(number, event.track, ALONE);
        }
    }

    fn finds(&mut self, number: u32, track: TrackId) -> bool {
        self.ops.add(Op::Context, 1);
        self.state.contexts.find(number, track, ALONE).is_some()
    }

    /// Whether what an event brought about is still so.
    fn stands(&mut self, number: u32, event: &WorldEvent) -> bool {
        let protective = self.program.rules[self.instance(number).rule.index()].protective;
        let condition = self.instance(number).condition;
        let bounds = [Some(Bound::of_event(event)), None];
        let decision = Decision { bounds, event: Some(event), ..Decision::default() };
        let (value, _) = self.evaluate(number, &decision, Peek::All, false, |truth| {
            truth.settled = true;
            truth.cond(condition)
        });
        value.is_true() || protective && value.may_be_true()
    }

    fn settled_event(&mut self, number: u32, track: TrackId, place: u32) {
        let pending = self.state.contexts.table[place as usize].pending;
        self.drop_person(number, track, ALONE);
        let Some(event) = pending else { return };
        if self.stands(number, &event) {
            let doubt = event.kind == EventKind::Lost;
            let bounds = [Some(Bound::of_event(&event)), None];
            let decision = Decision { bounds, event: Some(&event), doubt, context: None };
            self.fire(number, decision);
        }
    }

    // ---- edges ----

    /// The common course of an edge: arms on a known false, waits for `settle`, and says whether to fire now.
    /// Returns it with the instant at which to look again.
    fn advance_edge(unit: &mut Unit, value: Tri, counts: bool, settle: i64, now: i64) -> (bool, i64) {
        let rose = unit.last == Tri::False && counts;
        unit.last = value;
        if rose {
            unit.settle_from = now;
        }
        if unit.settle_from == NONE {
            return (false, NEVER);
        }
        if !counts {
            unit.settle_from = NONE;
            return (false, NEVER);
        }
        let at = unit.settle_from.saturating_add(settle);
        if now >= at {
            unit.settle_from = NONE;
            return (true, NEVER);
        }
        (false, at)
    }

    /// `when` on a state of the instance as a whole.
    fn edge(&mut self, number: u32) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        let decision = Decision::default();
        let ((value, doubt), due) = self.judge(number, &decision);
        let counts = value.is_true() || rule.protective && value.may_be_true();
        let long_gap = self.long_gap() && rule.catch_up.is_none();
        let unit = &mut self.state.units[number as usize];
        if long_gap {
            // What was false before the gap is not known to have been false right before now.
            unit.last = Tri::Unknown;
        } else if rule.catch_up.is_some() && unit.last == Tri::False && value == Tri::Unknown {
            // A schedule that waits for the clock to be known waits on: it may have been missed meanwhile.
            self.set_due(number, due);
            return;
        }
        let (fires, settle_due) = Self::advance_edge(unit, value, counts, rule.settle.0, self.now);
        self.set_due(number, due.min(settle_due));
        if fires {
            self.fire(number, Decision { doubt: doubt || value == Tri::Unknown, ..decision });
        }
    }

    /// Whether an event changes what holds for every person in the instance.
    pub(super) fn concerns_all(&self, number: u32, event: &WorldEvent) -> bool {
        let instance = self.instance(number);
        let shared = |zone: &ZoneId| instance.shared_zones.contains(zone);
        let tracks = [Some(event.track), event.other].into_iter().flatten();
        instance.everywhere
            || event.zone.is_some_and(|zone| shared(&zone))
            || tracks.into_iter().any(|t| self.world.occupant(t).is_some_and(|o| o.zones.iter().any(shared)))
    }

    fn long_gap(&self) -> bool {
        self.gap().is_some_and(|gap| gap >= self.program.lost.0)
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
                let unit = &mut self.state.contexts.table[place as usize].unit;
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
            let person = self.state.contexts.table[place as usize].person;
            decision.bounds[0] = Some(Bound { track, person, person_p: f64::from(u8::from(person.is_some())) });
        }
        let condition = instance.condition;
        if known.is_none() && !instance.roams {
            // Who enters was known to be outside: that is how things stood before.
            if instance.track_zones.iter().any(|zone| enters_in(self.stimuli, track, *zone)) {
                let (before, _) = self.evaluate(number, &decision, Peek::All, true, |truth| truth.cond(condition));
                self.state.contexts.table[place as usize].unit.last = before;
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
        let context: &mut Context = &mut self.state.contexts.table[place as usize];
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
        keep |= self.state.contexts.table[place as usize].unit.settle_from != NONE;
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
    fn every_pair(&mut self, number: u32) {
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
                let unit = &mut self.state.contexts.table[place as usize].unit;
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

    fn bound(&self, track: TrackId, event: Option<&WorldEvent>) -> Bound {
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

    fn drop_person(&mut self, number: u32, track: TrackId, other: TrackId) {
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

    // ---- levels ----

    /// `while`: holds, releases, and what lies between.
    pub(super) fn level(&mut self, number: u32, event: Option<&WorldEvent>) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        let bound = event.filter(|_| instance.instant).map(Bound::of_event);
        let decision =
            Decision { bounds: [bound, None], event: event.filter(|_| instance.instant), ..Decision::default() };
        let (condition, guard) = (instance.condition, instance.guard.filter(|_| instance.guard_remembers));
        let ((value, doubt), mut due) = self.evaluate(number, &decision, Peek::Nothing, false, |truth| {
            let value = truth.cond(condition);
            let doubt = truth.doubt;
            guard.map(|guard| truth.cond(guard));
            // What is held may hang on time too: so that it is looked at again in time, and its `for`s run.
            instance.holds.iter().filter(|h| !h.at_start).for_each(|h| {
                truth.value(h.value);
            });
            (value, doubt)
        });
        let off = self.is_off(instance);
        let before = self.state.units[number as usize];
        let is_on = matches!(before.phase, Phase::On | Phase::Refused);
        let wanted = !off && reads_as(value, rule.on_unknown, is_on);
        let doubt = doubt || value == Tri::Unknown && wanted;
        let mut unit = Unit { last: value, ..before };
        if wanted == is_on || off {
            unit.settle_from = NONE;
        } else if unit.settle_from == NONE {
            unit.settle_from = self.now;
        }
        let settled_at = unit.settle_from.saturating_add(rule.settle.0);
        let changes = wanted != is_on && (off || self.now >= settled_at);
        if changes {
            unit.settle_from = NONE;
        } else if unit.settle_from != NONE {
            due = due.min(settled_at);
        }
        self.state.units[number as usize] = unit;
        if changes && wanted {
            due = due.min(self.begin(number, doubt));
        } else if changes {
            let release_after = if off { 0 } else { rule.release_after.0 };
            self.end(number, release_after);
            if release_after > 0 && self.state.units[number as usize].phase == Phase::Releasing {
                // What is held on is held at the value of now, and not at that of the moment before.
                due = due.min(self.hold_all(number, doubt, false));
            }
        } else if matches!(unit.phase, Phase::On | Phase::Releasing) {
            due = due.min(self.hold_all(number, doubt, false));
        }
        self.let_go_when_due(number, off);
        let after = &self.state.units[number as usize];
        if after.phase == Phase::Releasing {
            due = due.min(after.release_at);
        }
        self.set_due(number, due);
    }

    /// The condition of a `while` became true. `if` is asked now, and not again while it holds. Gives when what is held
    /// moves on.
    fn begin(&mut self, number: u32, doubt: bool) -> i64 {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let protective = program.rules[instance.rule.index()].protective;
        let unit = &mut self.state.units[number as usize];
        let releasing = unit.phase == Phase::Releasing;
        unit.release_at = NONE;
        if releasing {
            // It still holds: it goes on as if it had never ended.
            unit.phase = Phase::On;
            return self.hold_all(number, doubt, false);
        }
        let granted = instance.guard.is_none_or(|guard| {
            let value = self.with_truth(number, &Decision::default(), |truth| truth.cond(guard));
            value.is_true() || protective && value.may_be_true()
        });
        self.state.units[number as usize].phase = if granted { Phase::On } else { Phase::Refused };
        if granted { self.hold_all(number, doubt, true) } else { NEVER }
    }

    fn end(&mut self, number: u32, release_after: i64) {
        let unit = &mut self.state.units[number as usize];
        match unit.phase {
            Phase::On => {
                unit.phase = Phase::Releasing;
                unit.release_at = self.now.saturating_add(release_after);
            }
            Phase::Refused => unit.phase = Phase::Off,
            Phase::Off | Phase::Releasing => {}
        }
    }

    fn let_go_when_due(&mut self, number: u32, off: bool) {
        let unit = &mut self.state.units[number as usize];
        if unit.phase == Phase::Releasing && (off || self.now >= unit.release_at) {
            unit.phase = Phase::Off;
            unit.release_at = NONE;
            self.release_all(number);
        }
    }
}

/// Whether a `while` is to hold, given its condition's value and whether it does so now.
fn reads_as(value: Tri, on_unknown: OnUnknown, is_on: bool) -> bool {
    match (value, on_unknown) {
        (Tri::True, _) => true,
        (Tri::False, _) => false,
        (Tri::Unknown, OnUnknown::Keep) => is_on,
        (Tri::Unknown, OnUnknown::Release) => false,
        (Tri::Unknown, OnUnknown::Hold) => true,
    }
}
