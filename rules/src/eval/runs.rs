//! Steps that take time: a `do` that waits or asks is a run, and goes on when its time is up or its answer came. Also
//! what steps change inside the engine: modes, counters, released bookings.
//!
//! A rule has one run at a time for each person (or pair, or for itself where it is of nobody): who sets it off again
//! begins it anew. Runs are state: they are saved, and go on after a restart.

use super::fire::Decision;
use super::state::{RUNS_MAX, RunState};
use super::timers::NEVER;
use super::truth::Bound;
use super::unit::Run;
use super::{ROUNDS_MAX, Rules, run_unit};
use crate::cost::Op;
use crate::program::{CountOp, Step};
use osmose_model::command::Value;
use osmose_model::ids::{ActuatorId, Name, TrackId, ZoneId};
use osmose_model::time::DurationNs;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Presence, WorldEvent, WorldView};

fn tracks(bounds: &[Option<Bound>; 2]) -> [Option<TrackId>; 2] {
    bounds.map(|bound| bound.map(|b| b.track))
}

impl Run<'_> {
    /// Ends the run that an instance has for these persons.
    pub(super) fn end_run(&mut self, number: u32, bounds: &[Option<Bound>; 2]) {
        let same = |run: &RunState| run.instance == number && tracks(&run.bounds) == tracks(bounds);
        if let Some(place) = self.state.runs.iter().position(|run| run.as_ref().is_some_and(same)) {
            self.drop_run(place);
        }
    }

    fn drop_run(&mut self, place: usize) {
        self.state.runs[place] = None;
        self.timers.set(run_unit(self.program, place as u32), NEVER);
    }

    /// Waits at a step.
    pub(super) fn begin_run(
        &mut self,
        number: u32,
        decision: &Decision<'_>,
        step: usize,
        length: DurationNs,
        question: u32,
    ) {
        let Some(place) = self.state.runs.iter().position(Option::is_none) else {
            self.state.runs_dropped += 1;
            return;
        };
        let about = self.asked_about(number, step);
        let booking = about.and_then(|(calendar, zone)| self.booking_now(number, calendar, zone));
        self.state.runs[place] = Some(RunState {
            instance: number,
            bounds: decision.bounds,
            event: decision.event.copied(),
            doubt: decision.doubt,
            step: step as u16,
            question,
            booking,
        });
        self.timers.set(run_unit(self.program, place as u32), self.now.saturating_add(length.0));
    }

    /// Goes on with the runs whose time is up, in the order in which they were due.
    pub(super) fn go_on_with_due(&mut self) {
        for at in 0..self.due_runs.len() {
            let place = self.due_runs[at] as usize;
            debug_assert!(place < RUNS_MAX);
            let Some(run) = self.state.runs.get(place).copied().flatten() else { continue };
            let program = self.program;
            let instance = &program.instances[run.instance as usize];
            match &instance.steps[usize::from(run.step)] {
                Step::Wait { unless, .. } => {
                    let ended = unless.is_some_and(|cond| self.run_truth(&run, cond).is_true());
                    self.drop_run(place);
                    if !ended {
                        self.resume(&run, usize::from(run.step) + 1);
                    }
                }
                Step::Ask { otherwise, .. } => {
                    self.drop_run(place);
                    self.otherwise(&run, *otherwise);
                }
                _ => self.drop_run(place),
            }
        }
        self.due_runs.clear();
    }

    fn run_truth(&mut self, run: &RunState, cond: u32) -> Tri {
        let bounds = self.bounds_now(run);
        let decision = Decision { bounds, ..Decision::default() };
        self.with_truth(run.instance, &decision, |truth| truth.cond(cond))
    }

    /// The persons of a run as they are known now; as they were then where they are gone.
    fn bounds_now(&self, run: &RunState) -> [Option<Bound>; 2] {
        run.bounds.map(|bound| {
            bound.map(|was| match self.world.occupant(was.track) {
                Some(_) => Bound::of_track(self.world, was.track),
                None => was,
            })
        })
    }

    fn resume(&mut self, run: &RunState, from: usize) {
        let program = self.program;
        let instance = &program.instances[run.instance as usize];
        if self.is_off(instance) {
            return;
        }
        // What set it off is past: what it does now it does because the time is up.
        let decision = Decision { bounds: self.bounds_now(run), event: None, doubt: run.doubt, context: None };
        self.perform(run.instance, &decision, &instance.steps, from);
    }

    /// The calendar and zone whose booking a question is about: one that is released where it is answered with no.
    fn asked_about(&self, number: u32, step: usize) -> Option<(u16, Option<ZoneId>)> {
        let instance = &self.program.instances[number as usize];
        let Step::Ask { otherwise, .. } = instance.steps.get(step)? else { return None };
        instance.branches.get(*otherwise as usize)?.iter().find_map(|step| match step {
            Step::ReleaseBooking { calendar, zone } => Some((*calendar, *zone)),
            _ => None,
        })
    }

    fn booking_now(&mut self, number: u32, calendar: u16, zone: Option<ZoneId>) -> Option<i64> {
        self.with_truth(number, &Decision::default(), |truth| truth.booking(calendar, zone))
    }

    /// Whether the booking that goes on is another than the one that was asked about: whoever did not answer for that
    /// one did not give this one up.
    fn is_anothers_time(&mut self, run: &RunState) -> bool {
        let Some((calendar, zone)) = self.asked_about(run.instance, usize::from(run.step)) else { return false };
        let now = self.booking_now(run.instance, calendar, zone);
        now.is_some() && now != run.booking
    }

    /// A question was answered with no, or not in time.
    fn otherwise(&mut self, run: &RunState, branch: u32) {
        let program = self.program;
        let instance = &program.instances[run.instance as usize];
        if self.is_off(instance) || self.is_anothers_time(run) {
            return;
        }
        let decision = Decision { bounds: self.bounds_now(run), event: None, doubt: run.doubt, context: None };
        self.perform(run.instance, &decision, &instance.branches[branch as usize], 0);
    }

    /// Looks whether something ends an instance's waits, or answers its questions.
    #[inline(never)]
    pub(super) fn follow_runs(&mut self, number: u32) {
        let program = self.program;
        for place in 0..self.state.runs.len() {
            let Some(run) = self.state.runs[place].filter(|run| run.instance == number) else { continue };
            match &program.instances[number as usize].steps[usize::from(run.step)] {
                Step::Wait { unless: Some(cond), .. } if self.run_truth(&run, *cond).is_true() => self.drop_run(place),
                Step::Ask { send, otherwise, .. } => match self.answer(send.device, run.question) {
                    Some(true) => {
                        self.drop_run(place);
                        self.resume(&run, usize::from(run.step) + 1);
                    }
                    Some(false) => {
                        self.drop_run(place);
                        self.otherwise(&run, *otherwise);
                    }
                    None => {}
                },
                _ => {}
            }
        }
    }

    /// What the device last reported as the answer to a question: `NUMBER yes` or `NUMBER no`.
    fn answer(&self, device: ActuatorId, question: u32) -> Option<bool> {
        let said = self.world.device(device, Name::new("answer")?)?;
        let text = match &said {
            Value::Name(name) => name.as_str(),
            Value::Text(text) => text.as_str(),
            _ => return None,
        };
        let (number, word) = text.split_once(' ')?;
        (number.parse() == Ok(question)).then_some(word == "yes")
    }

    // ---- what steps change inside ----

    pub(super) fn set_mode(&mut self, place: u16, value: u16) {
        if std::mem::replace(&mut self.state.shared.modes[usize::from(place)], value) != value {
            self.woken.extend_from_slice(&self.program.index.by_mode[usize::from(place)]);
        }
    }

    pub(super) fn count(&mut self, place: u16, op: CountOp) {
        let (now, wall) = (self.now, self.world.wall());
        let today = wall.map(|w| w.local_day());
        let counter = &mut self.state.counters[usize::from(place)];
        match op {
            CountOp::Add { by, lasts, until } => {
                // Until a time of day that is not known it lasts a day at most.
                let clock = until.map(|of_day| match wall {
                    Some(wall) => match (of_day - wall.since_midnight().0).rem_euclid(super::clock::NS_PER_DAY) {
                        0 => super::clock::NS_PER_DAY,
                        ahead => ahead,
                    },
                    None => super::clock::NS_PER_DAY,
                });
                let lasts = clock.or(lasts.map(|length| length.0));
                counter.add(by, lasts.map(|length| now.saturating_add(length)), now, today);
            }
            CountOp::Take(by) => counter.take(by, now, today),
            CountOp::Reset => counter.reset(),
        }
        self.woken.extend_from_slice(&self.program.index.by_counter[usize::from(place)]);
    }

    pub(super) fn release_booking(&mut self, number: u32, calendar: u16, zone: Option<ZoneId>) {
        let Some(from) = self.booking_now(number, calendar, zone) else { return };
        if self.state.released.is_full() {
            // The oldest is long over.
            self.state.released.remove(0);
        }
        self.state.released.push((calendar, zone, from));
        self.woken.extend_from_slice(&self.program.index.by_booking);
    }

    /// Looks at the instances whose modes, counters or bookings this step changed, and at those that they change.
    pub(super) fn look_at_woken(&mut self) {
        for _ in 0..ROUNDS_MAX {
            if self.woken.is_empty() {
                return;
            }
            let mut woken = std::mem::take(self.woken);
            woken.sort_unstable();
            woken.dedup();
            for number in woken.iter().copied() {
                self.look(number);
                self.follow_runs(number);
            }
            // What they woke is looked at in the next round; the room goes back.
            woken.clear();
            woken.append(self.woken);
            *self.woken = woken;
        }
        self.woken.clear();
    }
}

impl Rules {
    /// A person who is found on a new track takes the memory of the lost one along: dwell, sequences, latches. Where
    /// both remember, what the new track has stays.
    pub(super) fn follow_identity(&mut self, event: &WorldEvent, world: &dyn WorldView) {
        let (EventKind::Identified, Some(person)) = (event.kind, event.person) else { return };
        let base = self.program.instances.len() as u32;
        self.ops.add(Op::Context, self.state.contexts.order.len() as u64);
        let mut at = 0;
        // What is carried over leaves the list, and another comes to its place.
        while let Some(&(instance, old, other, place)) = self.state.contexts.order.get(at) {
            at += 1;
            let rule = &self.program.rules[self.program.instances[instance as usize].rule.index()];
            let context = self.state.contexts[place];
            let lost = world.occupant(old).is_none_or(|o| o.presence == Presence::Lost);
            if old == event.track
                || other != super::state::ALONE
                || context.person != Some(person)
                || event.person_p < rule.confidence
                || !lost
                || self
                    .state
                    .contexts
                    .find(instance, event.track, other)
                    .is_some_and(|new| self.state.contexts[new].slots.iter().any(|s| s.since != super::state::NONE))
            {
                continue;
            }
            let due = self.timers.due(base + place);
            self.timers.set(base + place, NEVER);
            self.state.contexts.remove(instance, old, other);
            at -= 1;
            if let Some(new) = self.state.contexts.insert(instance, event.track, other) {
                self.state.contexts.adopt(new, &context);
                self.timers.set(base + new, due);
            }
        }
    }
}
