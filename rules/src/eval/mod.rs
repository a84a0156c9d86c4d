//! The evaluator: what a step's stimuli touch, in rule order, and what it makes of it.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | [`Rules`]: the stage of the core, and which instances a step wakes |
//! | `unit.rs` | one instance at one instant: events and edges, dampers' order |
//! | `people.rs` | one person in it, or two: who is followed, and for how long |
//! | `level.rs` | `while`: holds, releases, and what lies between |
//! | `truth.rs` | three-valued conditions |
//! | `number.rs` | interval numbers, values |
//! | `facts.rs` | what the world says by itself, and interval numbers |
//! | `plain.rs` | a glance that finds most rules as they were |
//! | `fire.rs` | effects and their causes |
//! | `memory.rs` | `once per`, `suppress`, visits; identities that merge and swap |
//! | `session.rs` | who takes part in a recording |
//! | `space.rs` | distance, facing, sight |
//! | `clock.rs` | times of day, the sun, bookings |
//! | `sequence.rs` | what comes after what |
//! | `window.rs` | means and rises over a time |
//! | `runs.rs` | steps that wait, questions, modes and counters |
//! | `course.rs` | held values that move |
//! | `policy.rs` | guards on commands |
//! | `timers.rs` | when each unit is due |
//! | [`explain`] | how near each condition is, without remembering that it was asked |
//! | `waits.rs` | which events pass an instance over |
//! | `state.rs` | all that is remembered |
//! | `carry.rs` | reload: what state goes over to new rules |
//!
//! A step allocates nothing once the tables have their size: they have it from construction, except the list of
//! touched instances, which grows to the busiest step so far.

mod carry;
mod clock;
mod course;
pub mod explain;
mod facts;
mod fire;
mod level;
mod memory;
mod number;
mod people;
mod plain;
mod policy;
mod runs;
mod sequence;
mod session;
mod space;
mod state;
mod timers;
mod truth;
mod unit;
mod waits;
mod window;

pub use carry::Carried;
pub(crate) use facts::compare;
pub(crate) use plain::glanced;
pub(crate) use state::{CONTEXTS_MAX, MEMORIES_MAX, RUNS_MAX, instance_bytes, memory_bytes};
pub(crate) use waits::heeds_more_than_crossings;

use crate::cost::{Op, Ops};
use crate::program::{Program, Shape};
use carry::Ready;
use osmose_model::command::{Command, Effect, Terms};
use osmose_model::ids::{RuleId, SensorId, TrackId};
use osmose_model::input::OperatorAction;
use osmose_model::limits::COMMANDS_PER_STEP_MAX;
use osmose_model::site::Site;
use osmose_model::stages::{Decide, RestoreError, Source};
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, Reading, Stimulus, WorldEvent, WorldView};
use plain::{Glance, Plain, Seen};
use state::State;
use std::sync::Arc;
use timers::{NEVER, Timers};
use unit::Run;
use waits::Gate;

/// A unit to look at in this step. The order is the order of evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Touch {
    instance: u32,
    /// Which stimulus, [`BY_TIME`] where a timer was due.
    stimulus: u32,
    /// The persons, where the timer was of theirs.
    tracks: Option<(TrackId, TrackId)>,
}

const BY_TIME: u32 = u32::MAX;

/// The rules stage of the core: a program and what it remembers.
#[derive(Clone, Debug)]
pub struct Rules {
    program: Program,
    /// The site that it was compiled for, where it has other people than the one that the machine began with.
    site: Option<Arc<Site>>,
    state: State,
    timers: Timers,
    /// By instance: the events that it waits for. Follows from the program, so it is no state.
    gates: Vec<Gate>,
    /// By instance: its condition, where a glance at it is enough. Follows from the program too.
    plain: Vec<Plain>,
    touched: Vec<Touch>,
    /// What was done since [`Rules::counted`] was asked last. No state: nothing is decided by it.
    ops: Ops,
    /// By rule: how often it acted. No state either.
    acted: Vec<u64>,
    /// Timers that were due in the last step.
    due: u64,
    /// Some rule reads how people move inside a zone. Follows from the program.
    reads_moves: bool,
    woken: Vec<u32>,
    due_runs: Vec<u32>,
    near: Vec<TrackId>,
    all: Vec<TrackId>,
    /// What a reload needs of these rules, as the new ones or as the old. Follows from the program.
    ready: Ready,
}

/// The layout of what is saved; a saved state of another is refused.
const LAYOUT: u32 = 2;

/// How often rules may wake each other within a step through modes and counters.
pub(crate) const ROUNDS_MAX: usize = 8;

/// The timer of a run.
fn run_unit(program: &Program, place: u32) -> u32 {
    (program.instances.len() + state::CONTEXTS_MAX) as u32 + place
}

impl Rules {
    /// A fresh evaluator: nothing has been seen. The core sends [`Stimulus::Start`] first.
    pub fn new(program: Program) -> Self {
        let state = State::new(&program);
        let timers = Timers::new(program.instances.len() + state::CONTEXTS_MAX + state::RUNS_MAX);
        let touched = Vec::with_capacity(program.instances.len() + 1024);
        let gates = program.instances.iter().map(|i| Gate::of_instance(&program, i)).collect();
        let plain = program.instances.iter().map(|i| Plain::of_instance(&program, i)).collect();
        let woken = Vec::with_capacity(program.instances.len().max(64));
        let (near, all) = (Vec::with_capacity(4096), Vec::with_capacity(4096));
        let reads_moves = program.index.moved_in.iter().any(|list| !list.is_empty());
        let due_runs = Vec::with_capacity(state::RUNS_MAX);
        let (ops, due, acted) = (Ops::NONE, 0, vec![0; program.rules.len()]);
        let (site, ready) = (None, Ready::of(&program));
        Rules {
            program,
            site,
            state,
            timers,
            gates,
            plain,
            touched,
            ops,
            acted,
            due,
            reads_moves,
            woken,
            due_runs,
            near,
            all,
            ready,
        }
    }

    /// The same for a program that was compiled for a site with other people or bookings: whoever installs it installs
    /// them too.
    #[must_use]
    pub fn of_site(program: Program, site: Arc<Site>) -> Self {
        Rules { site: Some(site), ..Self::new(program) }
    }

    /// The program that runs.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The rules that are switched off by hand at an instant, and until when; ascending.
    pub fn switched_off(&self, now: LogicalNs) -> impl Iterator<Item = (RuleId, LogicalNs)> + '_ {
        let off = self.state.off_until.iter().enumerate().filter(move |(_, until)| **until > now.0);
        off.map(|(i, until)| (RuleId(i as u16), LogicalNs(*until)))
    }

    /// What was done since this was asked last, and how many timers were due in the last step: never more than the
    /// bound that `osmose check` prints ([`crate::cost::StepBound`]).
    pub fn counted(&mut self) -> (Ops, u64) {
        (self.ops.take(), self.due)
    }

    /// How often a rule has acted since this was made, whatever it did: sent, counted, set a mode, began to hold or to
    /// forbid. For tests of rules.
    pub fn acted(&self, rule: RuleId) -> u64 {
        self.acted.get(rule.index()).copied().unwrap_or(0)
    }

    /// Persons that conditions had to leave out because too many were followed at a time.
    pub fn contexts_refused(&self) -> u64 {
        self.state.contexts.refused
    }

    /// Runs of a `do` that could not wait for lack of room; their rest was not done.
    pub fn runs_dropped(&self) -> u64 {
        self.state.runs_dropped
    }

    /// Memories of `once per` and `suppress` that were forgotten because there were too many.
    pub fn memories_forgotten(&self) -> u64 {
        self.state.forgotten
    }

    fn touch(&mut self, index: usize, stimulus: &Stimulus, world: &dyn WorldView, seen: &mut Seen) {
        let Rules { program, state, gates, plain, touched, reads_moves, ops, .. } = self;
        let mut glance = Glance::new(program, world, seen);
        let stimulus_number = index as u32;
        let event = if let Stimulus::World(event) = stimulus { Some(event) } else { None };
        let mut wake = |list: &[u32]| {
            ops.add(Op::Wake, list.len() as u64);
            for &instance in list {
                let i = instance as usize;
                if event.is_none_or(|event| gates[i].lets_in(event, world))
                    && !glance.finds_as_it_was(&plain[i], &state.units[i], &state.slots)
                {
                    touched.push(Touch { instance, stimulus: stimulus_number, tracks: None });
                }
            }
        };
        let lists = &program.index;
        match stimulus {
            Stimulus::World(event) => {
                wake(&lists.everywhere);
                wake(&lists.moved);
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
            Stimulus::Moved(track) => {
                wake(&lists.moved);
                // Most sites have no rule that reads how people move inside their zones.
                if *reads_moves {
                    for zone in world.occupant(*track).map_or(&[][..], |o| &o.zones) {
                        lists.moved_in.get(zone.index()).into_iter().for_each(|list| wake(list));
                    }
                }
            }
            Stimulus::Sensor(sensor) => lists.by_sensor.get(sensor.index()).into_iter().for_each(|l| wake(l)),
            Stimulus::Device(device) => lists.by_device.get(device.index()).into_iter().for_each(|l| wake(l)),
            Stimulus::Clock => wake(&lists.by_clock),
            Stimulus::Gap(_) | Stimulus::Start => {
                ops.add(Op::Wake, program.instances.len() as u64);
                touched.extend((0..program.instances.len() as u32).map(|instance| Touch {
                    instance,
                    stimulus: stimulus_number,
                    tracks: None,
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
            let contexts = state::CONTEXTS_MAX as u32;
            let touch = if unit < instances {
                Some(Touch { instance: unit, stimulus: BY_TIME, tracks: None })
            } else if unit < instances + contexts {
                let found = self.state.contexts.at_place(unit - instances);
                found.map(|(instance, a, b)| Touch { instance, stimulus: BY_TIME, tracks: Some((a, b)) })
            } else {
                self.due_runs.push(unit - instances - contexts);
                None
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
        let Rules { program, state, timers, touched, woken, due_runs, near, all, ops, acted, .. } = self;
        let now = world.now().0;
        let run = Run {
            program,
            state,
            timers,
            world,
            out,
            source,
            now,
            stimuli,
            stimulus: None,
            reset: false,
            ops,
            acted,
            just: None,
            woken,
            due_runs,
            near,
            all,
            scratch_due: NEVER,
        };
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
            run.follow_runs(instance);
        }
        run.look_at_woken();
    }
}

impl Decide for Rules {
    fn step(&mut self, stimuli: &[Stimulus], source: Source, world: &dyn WorldView, out: &mut Vec<Effect>) {
        self.touched.clear();
        let mut seen = Seen::default();
        for (index, stimulus) in stimuli.iter().enumerate() {
            match stimulus {
                Stimulus::Device(device) => session::follow(&self.program, &mut self.state.shared, *device, world),
                Stimulus::World(event) => {
                    let looked_at = memory::follow(&self.program, &mut self.state, event);
                    self.ops.add(Op::Memory, looked_at);
                    self.follow_identity(event, world);
                }
                Stimulus::Start => session::follow_all(&self.program, &mut self.state.shared, world),
                _ => {}
            }
            self.touch(index, stimulus, world, &mut seen);
        }
        seen.count(&mut self.ops);
        self.touch_due(world.now().0);
        if self.touched.is_empty() && self.due_runs.is_empty() {
            return;
        }
        // One list for one stimulus, as most steps have, is in order and without doubles already.
        if !self.touched.is_sorted_by(|a, b| a.instance < b.instance || a < b) {
            self.touched.sort_unstable();
            self.touched.dedup();
        }
        let (mut run, touched) = self.run(source, stimuli, world, out);
        if !run.due_runs.is_empty() {
            run.go_on_with_due();
        }
        let mut looked_at = None;
        for touch in touched.iter() {
            let event = match stimuli.get(touch.stimulus as usize) {
                Some(Stimulus::World(event)) => Some(event),
                _ => None,
            };
            run.stimulus = Some(stimuli.get(touch.stimulus as usize).map_or(unit::Why::Time, unit::Why::Stimulus));
            let instance = &run.program.instances[touch.instance as usize];
            let (shape, instant, waits) = (instance.shape, instance.instant, instance.waits);
            run.just = if instant { said_just_now(stimuli, touch.stimulus, source, world) } else { None };
            match (shape, event, touch.tracks) {
                (Shape::Event, Some(event), _) => run.event(touch.instance, event),
                (_, _, Some((a, b))) => run.person_due(touch.instance, a, b),
                (Shape::Instant, ..) => run.instant(touch.instance, event),
                (Shape::EdgePerTrack | Shape::InstantPerTrack, Some(event), _) => {
                    run.visit(touch.instance, event);
                    run.upkeep(touch.instance, Some(event));
                    // Whom the event is about first: he may be new here.
                    run.person(touch.instance, event.track, Some(event));
                    if run.concerns_all(touch.instance, event) {
                        run.everybody(touch.instance);
                    }
                    if let Some(other) = event.other {
                        run.person(touch.instance, other, None);
                    }
                }
                (Shape::EdgePerTrack | Shape::InstantPerTrack, ..) => {
                    match whose(stimuli.get(touch.stimulus as usize), run.just, world) {
                        Some(track) => {
                            run.upkeep(touch.instance, None);
                            run.person(touch.instance, track, None);
                        }
                        None => run.look(touch.instance),
                    }
                }
                (Shape::EdgePerPair, Some(event), _) => {
                    run.upkeep(touch.instance, None);
                    run.pairs_of(touch.instance, event.track);
                    if let Some(other) = event.other {
                        run.pairs_of(touch.instance, other);
                    }
                    if run.concerns_all(touch.instance, event) {
                        run.look(touch.instance);
                    }
                }
                (Shape::EdgePerPair, ..) => match whose(stimuli.get(touch.stimulus as usize), run.just, world) {
                    Some(track) => run.pairs_of(touch.instance, track),
                    None => run.look(touch.instance),
                },
                (Shape::Level, ..) if instant => run.level(touch.instance, event),
                // All that a level or an edge reads is as it is now: one look is enough for the whole step.
                (Shape::Level | Shape::Edge, ..) if looked_at == Some(touch.instance) => {}
                _ => run.look(touch.instance),
            }
            if waits {
                run.follow_runs(touch.instance);
            }
            looked_at = Some(touch.instance);
        }
        run.just = None;
        run.look_at_woken();
    }

    fn take_over(&mut self, next: &mut Self, out: &mut dyn FnMut(&Effect)) {
        self.carry_into(next, out);
    }

    fn effects_room(&self) -> usize {
        self.program.holders as usize + 4 * COMMANDS_PER_STEP_MAX
    }

    fn site(&self) -> Option<&Arc<Site>> {
        self.site.as_ref()
    }

    fn terms(&self) -> Terms {
        self.program.terms()
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
                let found = self.program.mode_named(world.site(), mode.as_str(), value.as_str());
                let Ok((place, value)) = found else { return };
                let (mut run, _) = self.run(Source::default(), &[], world, out);
                run.stimulus = Some(unit::Why::Operator);
                run.set_mode(place, value);
                run.look_at_woken();
            }
        }
    }

    fn lets_pass(
        &mut self,
        device: osmose_model::ids::ActuatorId,
        verb: osmose_model::ids::Name,
        args: &osmose_model::command::Args,
        world: &dyn WorldView,
        out: &mut Vec<Effect>,
    ) -> bool {
        if self.program.guards.is_empty() {
            return true;
        }
        let (mut run, _) = self.run(Source::default(), &[], world, out);
        run.stimulus = Some(unit::Why::Operator);
        run.lets_pass(device, verb, args, None)
    }

    fn next_wakeup(&self) -> Option<LogicalNs> {
        self.timers.next()
    }

    fn rule_name(&self, rule: RuleId) -> &str {
        self.program.rule(rule).map_or("", |r| r.name.as_str())
    }

    fn save(&self, out: &mut Vec<u8>) {
        let due = self.timers.due_times();
        let set: Vec<(u32, i64)> =
            due.iter().enumerate().filter(|(_, at)| **at != NEVER).map(|(unit, at)| (unit as u32, *at)).collect();
        let saved = (LAYOUT, &self.state, due.len() as u64, set);
        // Writing to a vector cannot fail, and every type here serialises.
        if let Ok(bytes) = postcard::to_allocvec(&saved) {
            out.extend_from_slice(&bytes);
        }
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let malformed = |why: String| RestoreError::Malformed { part: "rules", why };
        let (layout, bytes): (u32, &[u8]) = postcard::take_from_bytes(bytes).map_err(|e| malformed(e.to_string()))?;
        if layout != LAYOUT {
            let say = |layout: u32| format!("layout {layout}");
            return Err(RestoreError::Mismatch { part: "rules", found: say(layout), wanted: say(LAYOUT) });
        }
        let (mut state, units, due): (State, u64, Vec<(u32, i64)>) =
            postcard::from_bytes(bytes).map_err(|e| malformed(e.to_string()))?;
        let wanted = state::fingerprint(&self.program);
        if state.program != wanted {
            let say = |program: u64| format!("rules {program:016x}");
            return Err(RestoreError::Mismatch { part: "rules", found: say(state.program), wanted: say(wanted) });
        }
        let wanted = self.timers.due_times().len();
        let in_range = due.iter().all(|(unit, _)| (*unit as usize) < wanted);
        if !state.fits(&self.program) || units != wanted as u64 || !in_range {
            return Err(malformed("its tables are not of this program's size".to_owned()));
        }
        state.reserve();
        self.state = state;
        self.timers = Timers::new(wanted);
        for (unit, at) in due {
            self.timers.set(unit, at);
        }
        Ok(())
    }
}

/// The sensor that said something new by this stimulus: the last of the step's that is about it, so that a sensor that
/// comes back to life and speaks in one says it once.
fn said_just_now(stimuli: &[Stimulus], number: u32, source: Source, world: &dyn WorldView) -> Option<SensorId> {
    let Some(Stimulus::Sensor(sensor)) = stimuli.get(number as usize) else { return None };
    let again = stimuli.iter().skip(number as usize + 1).any(|s| *s == Stimulus::Sensor(*sensor));
    let stale =
        source.measured.is_some() && world.sensor(*sensor).reading_at.is_some_and(|at| Some(at) != source.measured);
    (source.sensor == Some(*sensor) && !again && !stale).then_some(*sensor)
}

/// The one person that a stimulus is about, where it is about one.
fn whose(stimulus: Option<&Stimulus>, just: Option<SensorId>, world: &dyn WorldView) -> Option<TrackId> {
    match stimulus {
        Some(Stimulus::Moved(track)) => Some(*track),
        Some(Stimulus::Sensor(sensor)) if just == Some(*sensor) => match world.sensor(*sensor).reading {
            Some(Reading::Gesture { track, .. }) => track,
            _ => None,
        },
        _ => None,
    }
}

/// The events that bring somebody to a place, and those that take him away.
fn arrives(event: &WorldEvent) -> bool {
    use osmose_model::world::EventKind::{Appears, Confirmed, Enters, Found};
    matches!(event.kind, Appears | Confirmed | Enters | Found)
}
