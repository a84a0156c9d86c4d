//! The evaluator: what a step's stimuli touch, in rule order, and what it makes of it.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | [`Rules`]: the stage of the core, and which instances a step wakes |
//! | `unit.rs` | one instance, or one person in it, at one instant: edges, levels, dampers' order |
//! | `truth.rs` | three-valued conditions, interval numbers, values |
//! | `fire.rs` | effects and their causes |
//! | `memory.rs` | `once per`, `suppress`, visits; identities that merge and swap |
//! | `session.rs` | who takes part in a recording |
//! | `timers.rs` | when each unit is due |
//! | [`explain`] | how near each condition is, without remembering that it was asked |
//! | `waits.rs` | which events pass an instance over |
//! | `state.rs` | all that is remembered |
//! | `carry.rs` | reload: what state goes over to new rules |
//!
//! A step allocates nothing once the tables have their size: they have it from construction, except the list of
//! touched instances, which grows to the busiest step so far.

mod carry;
pub mod explain;
mod fire;
mod memory;
mod session;
mod state;
mod timers;
mod truth;
mod unit;
mod waits;

pub use carry::Carried;
pub(crate) use state::{CONTEXTS_MAX, MEMORIES_MAX, instance_bytes, memory_bytes};
pub(crate) use truth::compare;

use crate::cost::{Op, Ops};
use crate::program::{Program, Shape};
use osmose_model::command::{Command, Effect};
use osmose_model::ids::{RuleId, TrackId};
use osmose_model::input::OperatorAction;
use osmose_model::stages::{Decide, RestoreError, Source};
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, Stimulus, WorldEvent, WorldView};
use state::State;
use timers::{NEVER, Timers};
use unit::Run;
use waits::Gate;

/// A unit to look at in this step. The order is the order of evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Touch {
    instance: u32,
    /// Which stimulus, [`BY_TIME`] where a timer was due.
    stimulus: u32,
    /// The person, where the timer was of one.
    track: Option<TrackId>,
}

const BY_TIME: u32 = u32::MAX;

/// The rules stage of the core: a program and what it remembers.
#[derive(Clone, Debug)]
pub struct Rules {
    program: Program,
    state: State,
    timers: Timers,
    /// By instance: the events that it waits for. Follows from the program, so it is no state.
    gates: Vec<Gate>,
    touched: Vec<Touch>,
    /// What was done since [`Rules::counted`] was asked last. No state: nothing is decided by it.
    ops: Ops,
    /// Timers that were due in the last step.
    due: u64,
}

impl Rules {
    /// A fresh evaluator: nothing has been seen. The core sends [`Stimulus::Start`] first.
    pub fn new(program: Program) -> Self {
        let state = State::new(&program);
        let timers = Timers::new(program.instances.len() + state::CONTEXTS_MAX);
        let touched = Vec::with_capacity(program.instances.len().max(1024));
        let gates = program.instances.iter().map(|i| Gate::of_instance(&program, i)).collect();
        Rules { program, state, timers, gates, touched, ops: Ops::NONE, due: 0 }
    }

    /// The program that runs.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// What was done since this was asked last, and how many timers were due in the last step: never more than the
    /// bound that `osmose check` prints ([`crate::cost::StepBound`]).
    pub fn counted(&mut self) -> (Ops, u64) {
        (self.ops.take(), self.due)
    }

    /// Persons that conditions had to leave out because too many were followed at a time.
    pub fn contexts_refused(&self) -> u64 {
        self.state.contexts.refused
    }

    /// Memories of `once per` and `suppress` that were forgotten because there were too many.
    pub fn memories_forgotten(&self) -> u64 {
        self.state.forgotten
    }

    fn touch(&mut self, index: usize, stimulus: &Stimulus, world: &dyn WorldView) {
        let Rules { program, gates, touched, ops, .. } = self;
        let stimulus_number = index as u32;
        let event = if let Stimulus::World(event) = stimulus { Some(event) } else { None };
        let mut wake = |list: &[u32]| {
            ops.add(Op::Wake, list.len() as u64);
            let awake = list.iter().filter(|i| event.is_none_or(|event| gates[**i as usize].lets_in(event, world)));
            touched.extend(awake.map(|i| Touch { instance: *i, stimulus: stimulus_number, track: None }));
        };
        let lists = &program.index;
        match stimulus {
            Stimulus::World(event) => {
                wake(&lists.everywhere);
                if let Some(zone) = event.zone {
                    lists.by_zone.get(zone.index()).into_iter().for_each(|list| wake(list));
                }
                // Who enters or leaves a zone changes nothing elsewhere; all else concerns every zone that he is in.
                if matches!(event.kind, EventKind::Enters | EventKind::Leaves) {
                    return;
                }
                for track in [Some(event.track), event.other].into_iter().flatten() {
                    for zone in world.occupant(track).map_or(&[][..], |o| &o.zones) {
                        if Some(*zone) != event.zone {
                            lists.by_zone.get(zone.index()).into_iter().for_each(|list| wake(list));
                        }
                    }
                }
            }
            Stimulus::Moved(_) => {}
            Stimulus::Sensor(sensor) => lists.by_sensor.get(sensor.index()).into_iter().for_each(|l| wake(l)),
            Stimulus::Device(device) => lists.by_device.get(device.index()).into_iter().for_each(|l| wake(l)),
            Stimulus::Clock => wake(&lists.by_clock),
            Stimulus::Gap(_) | Stimulus::Start => {
                ops.add(Op::Wake, program.instances.len() as u64);
                touched.extend((0..program.instances.len() as u32).map(|instance| Touch {
                    instance,
                    stimulus: stimulus_number,
                    track: None,
                }))
            }
        }
    }

    /// Collects what is due by now.
    fn touch_due(&mut self, now: i64) {
        let instances = self.program.instances.len() as u32;
        self.due = 0;
        while let Some(unit) = self.timers.pop_due(now) {
            self.due += 1;
            self.ops.add(Op::Wake, 1);
            let touch = if unit < instances {
                Some(Touch { instance: unit, stimulus: BY_TIME, track: None })
            } else {
                let found = self.state.contexts.at_place(unit - instances);
                found.map(|(instance, track)| Touch { instance, stimulus: BY_TIME, track: Some(track) })
            };
            self.touched.extend(touch);
        }
    }

    fn run<'a>(
        &'a mut self,
        source: Source,
        stimuli: &'a [Stimulus],
        world: &'a dyn WorldView,
        out: &'a mut Vec<Effect>,
    ) -> (Run<'a>, &'a mut Vec<Touch>) {
        let Rules { program, state, timers, touched, ops, .. } = self;
        let now = world.now().0;
        let run = Run { program, state, timers, world, out, source, now, stimuli, stimulus: None, reset: false, ops };
        (run, touched)
    }

    /// Looks at every instance of one rule now.
    fn look_at_rule(&mut self, rule: RuleId, reset: bool, world: &dyn WorldView, out: &mut Vec<Effect>) {
        let Some(instances) = self.program.rule(rule).map(|r| r.instances.clone()) else { return };
        let (mut run, _) = self.run(Source::default(), &[], world, out);
        run.reset = reset;
        run.stimulus = Some(unit::Why::Operator);
        for instance in instances {
            run.look(instance);
        }
    }
}

impl Decide for Rules {
    fn step(&mut self, stimuli: &[Stimulus], source: Source, world: &dyn WorldView, out: &mut Vec<Effect>) {
        self.touched.clear();
        for (index, stimulus) in stimuli.iter().enumerate() {
            match stimulus {
                Stimulus::Device(device) => session::follow(&self.program, &mut self.state.shared, *device, world),
                Stimulus::World(event) => {
                    let looked_at = memory::follow(&self.program, &mut self.state, event);
                    self.ops.add(Op::Memory, looked_at);
                }
                Stimulus::Start => session::follow_all(&self.program, &mut self.state.shared, world),
                _ => {}
            }
            self.touch(index, stimulus, world);
        }
        self.touch_due(world.now().0);
        if self.touched.is_empty() {
            return;
        }
        // One list for one stimulus, as most steps have, is in order and without doubles already.
        if !self.touched.is_sorted_by(|a, b| a.instance < b.instance || a < b) {
            self.touched.sort_unstable();
            self.touched.dedup();
        }
        let (mut run, touched) = self.run(source, stimuli, world, out);
        let mut looked_at = None;
        for touch in touched.iter() {
            let event = match stimuli.get(touch.stimulus as usize) {
                Some(Stimulus::World(event)) => Some(event),
                _ => None,
            };
            run.stimulus = Some(stimuli.get(touch.stimulus as usize).map_or(unit::Why::Time, unit::Why::Stimulus));
            let shape = run.program.instances[touch.instance as usize].shape;
            match (shape, event, touch.track) {
                (Shape::Event, Some(event), _) => run.event(touch.instance, event),
                (Shape::EdgePerTrack, Some(event), _) => {
                    run.visit(touch.instance, event);
                    run.upkeep(touch.instance);
                    // Whom the event is about first: he may be new here.
                    run.person(touch.instance, event.track, Some(event));
                    if run.concerns_all(touch.instance, event) {
                        run.everybody(touch.instance);
                    }
                    if let Some(other) = event.other {
                        run.person(touch.instance, other, None);
                    }
                }
                (_, _, Some(track)) => run.person_due(touch.instance, track),
                // All that a level or an edge reads is as it is now: one look is enough for the whole step.
                (Shape::Level | Shape::Edge, ..) if looked_at == Some(touch.instance) => {}
                _ => run.look(touch.instance),
            }
            looked_at = Some(touch.instance);
        }
    }

    fn take_over(&mut self, next: Self, _: &dyn WorldView, out: &mut Vec<Effect>) {
        self.carry_into(next, out);
    }

    fn holders(&self) -> u32 {
        self.program.holders
    }

    fn on_command(&mut self, command: &Command, world: &dyn WorldView) {
        session::on_command(&self.program, &mut self.state.shared, command, world);
    }

    fn on_operator(&mut self, action: &OperatorAction, world: &dyn WorldView, out: &mut Vec<Effect>) {
        match action {
            OperatorAction::Act { .. } => {}
            OperatorAction::RuleOff { rule, until, .. } => {
                if let Some(rule) = self.program.rule_named(rule.as_str()) {
                    self.state.off_until[rule.index()] = until.0;
                    self.look_at_rule(rule, false, world, out);
                }
            }
            OperatorAction::Reset { rule } => {
                if let Some(rule) = self.program.rule_named(rule.as_str()) {
                    self.look_at_rule(rule, true, world, out);
                }
            }
            OperatorAction::Mode { mode, value } => {
                let Some(number) = self.program.modes.iter().position(|m| m.name == mode.as_str()) else { return };
                let values = &self.program.modes[number].values;
                let Some(value) = values.iter().position(|v| v == value.as_str()) else { return };
                self.state.shared.modes[number] = value as u16;
                for rule in 0..self.program.rules.len() {
                    self.look_at_rule(RuleId(rule as u16), false, world, out);
                }
            }
        }
    }

    fn next_wakeup(&self) -> Option<LogicalNs> {
        self.timers.next()
    }

    fn rule_name(&self, rule: RuleId) -> &str {
        self.program.rule(rule).map_or("", |r| r.name.as_str())
    }

    fn save(&self, out: &mut Vec<u8>) {
        let saved = (&self.state, self.timers.due_times());
        // Writing to a vector cannot fail, and every type here serialises.
        if let Ok(bytes) = postcard::to_allocvec(&saved) {
            out.extend_from_slice(&bytes);
        }
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let malformed = |why: String| RestoreError::Malformed { part: "rules", why };
        let (mut state, due): (State, Vec<i64>) = postcard::from_bytes(bytes).map_err(|e| malformed(e.to_string()))?;
        let wanted = state::fingerprint(&self.program);
        if state.program != wanted {
            let say = |program: u64| format!("rules {program:016x}");
            return Err(RestoreError::Mismatch { part: "rules", found: say(state.program), wanted: say(wanted) });
        }
        if !state.fits(&self.program) || due.len() != self.timers.due_times().len() {
            return Err(malformed("its tables are not of this program's size".to_owned()));
        }
        state.reserve();
        self.state = state;
        self.timers = Timers::new(due.len());
        for (unit, at) in due.iter().enumerate().filter(|(_, at)| **at != NEVER) {
            self.timers.set(unit as u32, *at);
        }
        Ok(())
    }
}

/// The events that bring somebody to a place, and those that take him away.
fn arrives(event: &WorldEvent) -> bool {
    use osmose_model::world::EventKind::{Appears, Confirmed, Enters, Found};
    matches!(event.kind, Appears | Confirmed | Enters | Found)
}
