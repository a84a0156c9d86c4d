//! One instance, or one person in it, at one instant: events, edges, levels, and the order of the dampers.

use super::fire::Decision;
use super::state::{ALONE, NONE, State, Unit};
use super::timers::{NEVER, Timers};
use super::truth::{Bound, Peek, Truth};
use crate::cost::{Op, Ops};
use crate::program::{Instance, Program, Shape};
use osmose_model::command::Effect;
use osmose_model::ids::TrackId;
use osmose_model::stages::Source;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Stimulus, WorldEvent, WorldView};

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
    pub(super) fn instance(&self, number: u32) -> &'_ Instance {
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

    pub(super) fn set_due(&mut self, number: u32, due: i64) {
        let rule = self.instance(number).rule.index();
        let off = self.state.off_until[rule];
        let due = if off > self.now { due.min(off) } else { due };
        self.timers.set(number, due);
    }

    pub(super) fn context_timer(&self, place: u32) -> u32 {
        self.program.instances.len() as u32 + place
    }

    /// Somebody in a rule with one person, on account of an event or not.
    pub(super) fn alone<'e>(&self, track: TrackId, event: Option<&'e WorldEvent>) -> Decision<'e> {
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
    pub(super) fn settle_instant(&mut self, number: u32, counts: bool, due: i64, decision: Decision<'_>) -> i64 {
        let settle = self.program.rules[self.instance(number).rule.index()].settle.0;
        if settle == 0 {
            if counts {
                self.fire(number, decision);
            }
            return due;
        }
        let now = self.now;
        let unit = match decision.context {
            Some(place) => &mut self.state.contexts[place].unit,
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
            let context = &mut self.state.contexts[place];
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

    pub(super) fn settled_event(&mut self, number: u32, track: TrackId, place: u32) {
        let pending = self.state.contexts[place].pending;
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
    pub(super) fn advance_edge(unit: &mut Unit, value: Tri, counts: bool, settle: i64, now: i64) -> (bool, i64) {
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

    pub(super) fn long_gap(&self) -> bool {
        self.gap().is_some_and(|gap| gap >= self.program.lost.0)
    }
}
