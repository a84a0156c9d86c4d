//! One instance, or one person in it, at one instant: events, edges, levels, and the order of the dampers.

use super::fire::Decision;
use super::memory;
use super::state::{Context, NONE, Phase, State, Unit};
use super::timers::{NEVER, Timers};
use super::truth::{Bound, Truth, enters_in};
use crate::cost::{Op, Ops};
use crate::program::{Instance, OnUnknown, Program, Shape};
use osmose_model::command::Effect;
use osmose_model::ids::{TrackId, ZoneId};
use osmose_model::stages::Source;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Occupant, Stimulus, WorldEvent, WorldView};

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
        peek: bool,
        before: bool,
        f: impl FnOnce(&mut Truth<'_>) -> R,
    ) -> (R, i64) {
        let gap = self.gap();
        let program = self.program;
        let instance = &program.instances[number as usize];
        let from = instance.slot_base as usize;
        let slots = self.state.slots.get_mut(from..from + usize::from(instance.slots)).unwrap_or_default();
        let track_slots = match decision.context {
            Some(place) => &mut self.state.contexts.table[place as usize].slots[..],
            None => &mut [],
        };
        let mut truth = Truth {
            world: self.world,
            program,
            rule: &program.rules[instance.rule.index()],
            shared: &self.state.shared,
            slots,
            track_slots,
            now: self.now,
            event: decision.event,
            settled: false,
            bound: decision.bound,
            before: before.then_some(self.stimuli),
            peek,
            reset: self.reset,
            gap,
            due: NEVER,
            doubt: false,
            ops: &mut *self.ops,
        };
        let result = f(&mut truth);
        (result, truth.due)
    }

    /// Looks at an instance for another reason than an event.
    pub(super) fn look(&mut self, number: u32) {
        match self.instance(number).shape {
            Shape::Event => self.upkeep(number),
            Shape::Edge => self.edge(number),
            Shape::Level => self.level(number),
            Shape::EdgePerTrack => self.everybody(number),
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

    // ---- event rules ----

    /// Keeps the instance's own `for`s up to date where its condition is asked only now and then, or of persons.
    pub(super) fn upkeep(&mut self, number: u32) {
        let (condition, guard, remembers) = {
            let instance = self.instance(number);
            (instance.condition, instance.guard, instance.slots > 0)
        };
        if !remembers {
            return;
        }
        let ((), due) = self.evaluate(number, &Decision::default(), false, false, |truth| {
            truth.cond(condition);
            guard.map(|guard| truth.cond(guard));
        });
        self.set_due(number, due);
    }

    /// An event that an event rule may wait for.
    pub(super) fn event(&mut self, number: u32, event: &WorldEvent) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        if !rule.dampers.is_empty() {
            self.visit(number, event);
        }
        if instance.slots > 0 {
            self.upkeep(number);
        }
        let bound = Bound::of_event(event);
        let mut decision = Decision { bound: Some(bound), event: Some(event), ..Decision::default() };
        let condition = instance.condition;
        let ((value, doubt), _) =
            self.evaluate(number, &decision, true, false, |truth| (truth.cond(condition), truth.doubt));
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
            let Some(place) = self.state.contexts.insert(number, event.track) else { return };
            let context = &mut self.state.contexts.table[place as usize];
            context.pending = Some(*event);
            context.unit.settle_from = self.now;
            let timer = self.context_timer(place);
            self.timers.set(timer, self.now.saturating_add(rule.settle.0));
        } else if self.finds(number, event.track) && !self.stands(number, event) {
            self.drop_person(number, event.track);
        }
    }

    fn finds(&mut self, number: u32, track: TrackId) -> bool {
        self.ops.add(Op::Context, 1);
        self.state.contexts.find(number, track).is_some()
    }

    /// Whether what an event brought about is still so.
    fn stands(&mut self, number: u32, event: &WorldEvent) -> bool {
        let protective = self.program.rules[self.instance(number).rule.index()].protective;
        let condition = self.instance(number).condition;
        let decision = Decision { bound: Some(Bound::of_event(event)), event: Some(event), ..Decision::default() };
        let (value, _) = self.evaluate(number, &decision, true, false, |truth| {
            truth.settled = true;
            truth.cond(condition)
        });
        value.is_true() || protective && value.may_be_true()
    }

    fn settled_event(&mut self, number: u32, track: TrackId, place: u32) {
        let pending = self.state.contexts.table[place as usize].pending;
        self.drop_person(number, track);
        let Some(event) = pending else { return };
        if self.stands(number, &event) {
            let doubt = event.kind == EventKind::Lost;
            let decision = Decision { bound: Some(Bound::of_event(&event)), event: Some(&event), doubt, context: None };
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
        let (condition, guard) = (instance.condition, instance.guard.filter(|_| instance.guard_remembers));
        let ((value, doubt), due) = self.evaluate(number, &decision, false, false, |truth| {
            let value = truth.cond(condition);
            let doubt = truth.doubt;
            guard.map(|guard| truth.cond(guard));
            (value, doubt)
        });
        let counts = value.is_true() || rule.protective && value.may_be_true();
        let long_gap = self.gap().is_some_and(|gap| gap >= program.lost.0);
        let unit = &mut self.state.units[number as usize];
        if long_gap {
            // What was false before the gap is not known to have been false right before now.
            unit.last = Tri::Unknown;
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

    /// Every person that the instance follows, or should.
    pub(super) fn everybody(&mut self, number: u32) {
        self.upkeep(number);
        if matches!(self.stimulus, Some(Why::Stimulus(Stimulus::Start | Stimulus::Gap(_)))) {
            self.make_room(number);
            let program = self.program;
            let (world, contexts, ops) = (self.world, &mut self.state.contexts, &mut *self.ops);
            for zone in &program.instances[number as usize].track_zones {
                world.for_each_in(*zone, &mut |occupant: &Occupant| {
                    ops.add(Op::Occupant, 1);
                    ops.add(Op::Context, 1);
                    // Who is left out for lack of room is counted by the table.
                    let _ = contexts.insert(number, occupant.track);
                });
            }
        }
        // One after the other by track: looking at a person may take him out of the list.
        let mut next = self.state.contexts.of(number).start;
        while let Some(&(owner, track, _)) = self.state.contexts.order.get(next) {
            if owner != number {
                break;
            }
            self.person(number, track, None);
            next = self.state.contexts.order.partition_point(|e| (e.0, e.1) <= (number, track));
        }
    }

    /// One person of a rule that follows persons.
    pub(super) fn person(&mut self, number: u32, track: TrackId, event: Option<&WorldEvent>) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        let mut decision = Decision { bound: Some(self.bound(track, event)), event, doubt: false, context: None };
        // Found, or found missing and made.
        self.ops.add(Op::Context, 2);
        let known = self.state.contexts.find(number, track);
        if known.is_none() {
            self.make_room(number);
        }
        let place = match known {
            Some(place) => place,
            None if !self.concerns(instance, track) => return,
            None => match self.state.contexts.insert(number, track) {
                Some(place) => place,
                None => return,
            },
        };
        decision.context = Some(place);
        let condition = instance.condition;
        if known.is_none() {
            // Who enters was known to be outside: that is how things stood before.
            if instance.track_zones.iter().any(|zone| enters_in(self.stimuli, track, *zone)) {
                let (before, _) = self.evaluate(number, &decision, true, true, |truth| truth.cond(condition));
                self.state.contexts.table[place as usize].unit.last = before;
            }
        }
        let guard = instance.guard.filter(|_| instance.guard_remembers);
        let ((value, doubt), due) = self.evaluate(number, &decision, false, false, |truth| {
            let value = truth.cond(condition);
            let doubt = truth.doubt;
            guard.map(|guard| truth.cond(guard));
            (value, doubt)
        });
        let counts = value.is_true() || rule.protective && value.may_be_true();
        let long_gap = self.gap().is_some_and(|gap| gap >= program.lost.0);
        let context: &mut Context = &mut self.state.contexts.table[place as usize];
        if long_gap {
            context.unit.last = Tri::Unknown;
        }
        let (fires, settle_due) = Self::advance_edge(&mut context.unit, value, counts, rule.settle.0, self.now);
        let timer = self.context_timer(place);
        self.timers.set(timer, due.min(settle_due));
        if fires {
            decision.doubt = doubt || value == Tri::Unknown;
            self.fire(number, decision);
        }
        let gone = value == Tri::False && !self.concerns(instance, track) || self.world.occupant(track).is_none();
        if gone {
            self.drop_person(number, track);
        }
    }

    /// A timer of a person was due.
    pub(super) fn person_due(&mut self, number: u32, track: TrackId) {
        let Some(place) = self.state.contexts.find(number, track) else { return };
        match self.instance(number).shape {
            Shape::Event => self.settled_event(number, track, place),
            _ => self.person(number, track, None),
        }
    }

    fn bound(&self, track: TrackId, event: Option<&WorldEvent>) -> Bound {
        match event {
            Some(event) if event.track == track => Bound::of_event(event),
            _ => Bound::of_track(self.world, track),
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

    fn drop_person(&mut self, number: u32, track: TrackId) {
        self.ops.add(Op::Context, 2);
        if let Some(place) = self.state.contexts.find(number, track) {
            let timer = self.context_timer(place);
            self.timers.set(timer, NEVER);
            self.state.contexts.remove(number, track);
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
        memory::visit(self.state, number, &rule.dampers, &bound, away, self.now, rule.confidence);
    }

    // ---- levels ----

    /// `while`: holds, releases, and what lies between.
    fn level(&mut self, number: u32) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        let decision = Decision::default();
        let (condition, guard) = (instance.condition, instance.guard.filter(|_| instance.guard_remembers));
        let ((value, doubt), mut due) = self.evaluate(number, &decision, false, false, |truth| {
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
            self.begin(number, doubt);
        } else if changes {
            self.end(number, if off { 0 } else { rule.release_after.0 });
        } else if matches!(unit.phase, Phase::On | Phase::Releasing) {
            self.hold_all(number, doubt, false);
        }
        self.let_go_when_due(number, off);
        let after = &self.state.units[number as usize];
        if after.phase == Phase::Releasing {
            due = due.min(after.release_at);
        }
        self.set_due(number, due);
    }

    /// The condition of a `while` became true. `if` is asked now, and not again while it holds.
    fn begin(&mut self, number: u32, doubt: bool) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let protective = program.rules[instance.rule.index()].protective;
        let unit = &mut self.state.units[number as usize];
        let releasing = unit.phase == Phase::Releasing;
        unit.release_at = NONE;
        if releasing {
            // It still holds: it goes on as if it had never ended.
            unit.phase = Phase::On;
            self.hold_all(number, doubt, false);
            return;
        }
        let granted = instance.guard.is_none_or(|guard| {
            let value = self.with_truth(number, &Decision::default(), |truth| truth.cond(guard));
            value.is_true() || protective && value.may_be_true()
        });
        self.state.units[number as usize].phase = if granted { Phase::On } else { Phase::Refused };
        if granted {
            self.hold_all(number, doubt, true);
        }
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
