//! Effects and their causes: what a rule asks for, with everything needed to explain it offline.

use super::memory;
use super::state::NONE;
use super::timers::NEVER;
use super::truth::{Bound, Peek, Truth};
use super::unit::{Run, Why};
use crate::cost::Op;
use crate::program::{Binding, Instance, Send, Step, ValueExpr};
use osmose_model::command::{Args, Cause, ConditionValue, Effect, Entity, Trigger, Value};
use osmose_model::tri::Tri;
use osmose_model::world::{Stimulus, WorldEvent};

/// What an instance decided on: the persons and the event, and whether doubt decided.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Decision<'e> {
    pub(super) bounds: [Option<Bound>; 2],
    pub(super) event: Option<&'e WorldEvent>,
    pub(super) doubt: bool,
    /// The context whose slots the condition reads, for rules that follow persons.
    pub(super) context: Option<u32>,
}

impl Run<'_> {
    /// Lets `if` and the dampers decide, then does the steps of a `do`. Not inlined, because most looks at a unit
    /// do not come here and should not pay for its frame.
    #[inline(never)]
    pub(super) fn fire(&mut self, number: u32, mut decision: Decision<'_>) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        if self.is_off(instance) {
            return;
        }
        if let Some(guard) = instance.guard {
            let (value, doubt) = self.with_truth(number, &decision, |truth| (truth.cond(guard), truth.doubt));
            if !(value.is_true() || rule.protective && value.may_be_true()) {
                return;
            }
            decision.doubt |= doubt || value == Tri::Unknown;
        }
        if !self.dampers_pass(number, &decision.bounds) {
            return;
        }
        if instance.waits {
            // Two runs of one rule for one person cannot race: the new one takes the old one's place.
            self.end_run(number, &decision.bounds);
        }
        self.acted[instance.rule.index()] += 1;
        self.perform(number, &decision, &instance.steps, 0);
    }

    /// Does steps from number `from` on, until one waits.
    pub(super) fn perform(&mut self, number: u32, decision: &Decision<'_>, steps: &[Step], from: usize) {
        let mut cause = None;
        for (nth, step) in steps.iter().enumerate().skip(from) {
            match step {
                Step::Send(send) => {
                    let made = cause.get_or_insert_with(|| self.cause(number, decision));
                    // The last command takes the cause itself: most rules send one, and a copy costs as much as all
                    // else here.
                    let made = if nth + 1 == steps.len() { cause.take() } else { Some(made.clone()) };
                    if let Some(made) = made {
                        self.send(number, decision, send, made, None);
                    }
                }
                Step::Wait { length, .. } => return self.begin_run(number, decision, nth, *length, 0),
                Step::Ask { send, length, .. } => {
                    self.state.question = self.state.question.wrapping_add(1).max(1);
                    let question = self.state.question;
                    let cause = self.cause(number, decision);
                    self.send(number, decision, send, cause, Some(question));
                    return self.begin_run(number, decision, nth, *length, question);
                }
                Step::Mode { mode, value } => self.set_mode(*mode, *value),
                Step::Count { counter, op } => self.count(*counter, *op),
                Step::ReleaseBooking { calendar, zone } => self.release_booking(number, *calendar, *zone),
            }
        }
    }

    fn send(&mut self, number: u32, decision: &Decision<'_>, send: &Send, cause: Cause, question: Option<u32>) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let level = program.rules[instance.rule.index()].level;
        let mut args = Args::new();
        for (name, value) in &send.args {
            let asks = question.filter(|_| program.values[*value as usize] == ValueExpr::Question);
            // A number that is not known is left out rather than guessed; the checker bounds how many there are.
            let value = match asks {
                Some(question) => Some(Value::Number(f64::from(question))),
                None => self.with_truth(number, decision, |truth| truth.value(*value)),
            };
            if let Some(value) = value {
                let _ = args.try_push((*name, value));
            }
        }
        let (device, verb, rule) = (send.device, send.verb, instance.rule);
        if !program.guards.is_empty() && !self.lets_pass(device, verb, &args, Some((rule, level))) {
            return;
        }
        self.ops.add(Op::Effect, 1);
        self.out.push(Effect::Do { rule, level, device, verb, args, cause });
    }

    fn dampers_pass(&mut self, number: u32, bounds: &[Option<Bound>; 2]) -> bool {
        let rule = &self.program.rules[self.program.instances[number as usize].rule.index()];
        if rule.dampers.is_empty() {
            return true;
        }
        // Each is asked, and written where all let pass.
        self.ops.add(Op::Memory, 2 * rule.dampers.len() as u64);
        let day = self.world.wall().map(|w| w.local_day());
        let key = |i: usize| (number, i as u8, memory::whom(&rule.dampers[i], bounds, rule.confidence));
        let pass =
            (0..rule.dampers.len()).all(|i| memory::lets_pass(self.state, &rule.dampers[i], key(i), self.now, day));
        if pass {
            (0..rule.dampers.len()).for_each(|i| memory::remember(self.state, key(i), self.now, day));
        }
        pass
    }

    /// Evaluates something for the instance (or the person in it) without remembering anything.
    pub(super) fn with_truth<R>(
        &mut self,
        number: u32,
        decision: &Decision<'_>,
        f: impl FnOnce(&mut Truth<'_>) -> R,
    ) -> R {
        self.evaluate(number, decision, Peek::All, false, f).0
    }

    pub(super) fn cause(&mut self, number: u32, decision: &Decision<'_>) -> Cause {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        let mut cause = Cause::new(self.trigger(decision));
        cause.sensor = decision.event.map_or(self.source.sensor, |e| e.sensor);
        cause.measured = decision.event.map_or(self.source.measured, |e| Some(e.measured));
        cause.doubt = decision.doubt;
        for (name, binding) in &instance.bindings {
            let entity = match binding {
                Binding::Zone(zone) => Entity::Zone(*zone),
                Binding::Device(device) => Entity::Device(*device),
                Binding::Person(person) => Entity::Person(*person),
                // A cause has no word for these: the rule's own conditions name them.
                Binding::Wall(_) | Binding::Sensor(_) | Binding::Group(_) => continue,
            };
            // The checker leaves room for every variable and one person.
            let _ = cause.bindings.try_push((*name, entity));
        }
        for (name, bound) in rule.track_names.iter().zip(&decision.bounds) {
            if let (Some(name), Some(bound)) = (name, bound) {
                let track = Entity::Track { track: bound.track, person: bound.person, person_p: bound.person_p };
                let _ = cause.bindings.try_push((*name, track));
            }
        }
        self.sightings(decision, &mut cause);
        let conditions = &mut cause.conditions;
        self.with_truth(number, decision, |truth| {
            for (offset, cond) in &instance.reported {
                let (value, measure) = (truth.cond(*cond), truth.measure(*cond));
                let _ = conditions.try_push(ConditionValue { offset: *offset, truth: value, value: measure });
            }
        });
        cause
    }

    /// What moved the people whom the rule is about, those of its variables before the one of the event.
    fn sightings(&self, decision: &Decision<'_>, cause: &mut Cause) {
        let bound = decision.bounds.iter().flatten().map(|bound| bound.track);
        for track in bound.chain(decision.event.map(|event| event.track)) {
            if cause.sightings.iter().any(|(t, _)| *t == track) {
                continue;
            }
            let Some(occupant) = self.world.occupant(track) else { continue };
            cause
                .sightings
                .extend(occupant.moved_by.iter().map(|s| (track, *s)).take(cause.sightings.remaining_capacity()));
        }
    }

    fn trigger(&self, decision: &Decision<'_>) -> Trigger {
        if let Some(event) = decision.event {
            return Trigger::Event { kind: event.kind, track: event.track, zone: event.zone };
        }
        match self.stimulus {
            Some(Why::Stimulus(Stimulus::World(event))) => {
                Trigger::Event { kind: event.kind, track: event.track, zone: event.zone }
            }
            Some(Why::Stimulus(Stimulus::Sensor(sensor))) => Trigger::Sensor(*sensor),
            Some(Why::Stimulus(Stimulus::Device(device))) => Trigger::Device(*device),
            Some(Why::Stimulus(Stimulus::Clock)) => Trigger::Clock,
            Some(Why::Stimulus(Stimulus::Start)) => Trigger::Start,
            Some(Why::Operator) => Trigger::Operator,
            _ => Trigger::Timer,
        }
    }

    /// Tells arbitration what a level rule holds now: new holds, and values that changed. Gives when a value that moves
    /// is due to move on.
    pub(super) fn hold_all(&mut self, number: u32, doubt: bool, begins: bool) -> i64 {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        let decision = Decision { doubt, ..Decision::default() };
        let mut cause: Option<Cause> = None;
        let mut due = NEVER;
        for hold in &instance.holds {
            let before = self.state.held[hold.holder.index()];
            if before.is_some() && hold.at_start {
                continue;
            }
            let Some(mut value) = self.with_truth(number, &decision, |truth| truth.value(hold.value)) else { continue };
            if let (Some(course), Value::Number(wanted)) = (&hold.course, value) {
                let (now, again) = self.on_course(hold, course, wanted);
                value = Value::Number(now);
                due = due.min(again);
            }
            if before == Some(value) {
                continue;
            }
            if !program.guards.is_empty() && !self.hold_passes(hold, &value, instance.rule, rule.level) {
                continue;
            }
            self.state.held[hold.holder.index()] = Some(value);
            self.ops.add(Op::Effect, 1);
            let cause = cause.get_or_insert_with(|| self.cause(number, &decision)).clone();
            let (holder, device, property) = (hold.holder, hold.device, hold.property);
            self.out.push(Effect::Hold {
                holder,
                rule: instance.rule,
                level: rule.level,
                device,
                property,
                value,
                cause,
            });
        }
        if begins {
            self.acted[instance.rule.index()] += 1;
            self.ops.add(Op::Effect, instance.forbids.len() as u64);
            for forbid in &instance.forbids {
                let cause = cause.get_or_insert_with(|| self.cause(number, &decision)).clone();
                let (holder, device, verb) = (forbid.holder, forbid.device, forbid.verb);
                self.out.push(Effect::Forbid { holder, rule: instance.rule, level: rule.level, device, verb, cause });
            }
        }
        due
    }

    /// Lets go of everything that a level rule holds.
    pub(super) fn release_all(&mut self, number: u32) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let cause = self.cause(number, &Decision::default());
        self.ops.add(Op::Effect, (instance.holds.len() + instance.forbids.len()) as u64);
        for hold in &instance.holds {
            self.state.courses[hold.holder.index()] = None;
            if self.state.held[hold.holder.index()].take().is_some() {
                self.out.push(Effect::Release { holder: hold.holder, cause: cause.clone() });
            }
        }
        for forbid in &instance.forbids {
            self.out.push(Effect::Release { holder: forbid.holder, cause: cause.clone() });
        }
    }

    pub(super) fn is_off(&self, instance: &Instance) -> bool {
        let until = self.state.off_until[instance.rule.index()];
        until != NONE && self.now < until
    }
}
