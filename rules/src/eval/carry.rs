//! Reload: new rules take over from old ones at one instant, with their timers where the shape is the same.

use super::state::State;
use super::{Rules, state};
use crate::program::{Instance, Program};
use osmose_model::command::{Cause, Effect, Trigger};
use osmose_model::ids::PersonId;
use osmose_model::stages::{Decide, Source};
use osmose_model::world::{Stimulus, WorldView};

/// What became of one rule's state at a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Its state goes on, in this many of its instances.
    Kept {
        /// The rule.
        rule: String,
        /// Instances that were there before, too.
        instances: u32,
    },
    /// It has another shape than before and starts anew.
    Restarted {
        /// The rule.
        rule: String,
    },
    /// It was not there before.
    New {
        /// The rule.
        rule: String,
    },
    /// It is not there any more.
    Gone {
        /// The rule.
        rule: String,
    },
}

impl Rules {
    /// Installs `program` in place of the running one, at the world's instant.
    ///
    /// The site's zones and devices must be those of the old program (geometry needs a restart); people may differ
    /// and are matched by name. Everything held is let go and, where its rule goes on, held again under its new
    /// number: arbitration sees both before it sends anything.
    pub fn install(&mut self, program: Program, world: &dyn WorldView, out: &mut Vec<Effect>) -> Vec<Carried> {
        let report = self.carry_into(Rules::new(program), out);
        self.step(&[Stimulus::Start], Source::default(), world, out);
        report
    }

    /// What [`Rules::install`] does before it looks at everything once: state goes over, nothing is evaluated.
    pub(super) fn carry_into(&mut self, next: Rules, out: &mut Vec<Effect>) -> Vec<Carried> {
        self.release_everything(out);
        let old = std::mem::replace(self, next);
        let mut report = Vec::new();
        for number in 0..self.program.rules.len() {
            report.push(self.carry_rule(number, &old, out));
        }
        let kept = |r: &&crate::program::RuleInfo| self.program.rule_named(&r.name).is_none();
        report.extend(old.program.rules.iter().filter(kept).map(|r| Carried::Gone { rule: r.name.clone() }));
        self.carry_shared(&old);
        report
    }

    fn release_everything(&self, out: &mut Vec<Effect>) {
        let cause = Cause::new(Trigger::Start);
        for (number, instance) in self.program.instances.iter().enumerate() {
            for hold in &instance.holds {
                if self.state.held[hold.holder.index()].is_some() {
                    out.push(Effect::Release { holder: hold.holder, cause: cause.clone() });
                }
            }
            let phase = self.state.units[number].phase;
            if matches!(phase, state::Phase::On | state::Phase::Releasing) {
                for forbid in &instance.forbids {
                    out.push(Effect::Release { holder: forbid.holder, cause: cause.clone() });
                }
            }
        }
    }

    fn carry_rule(&mut self, number: usize, old: &Rules, out: &mut Vec<Effect>) -> Carried {
        let info = &self.program.rules[number];
        let rule = info.name.clone();
        let Some(before) = old.program.rule_named(&rule) else { return Carried::New { rule } };
        let old_info = &old.program.rules[before.index()];
        if old_info.shape != info.shape || old_info.interlock != info.interlock {
            return Carried::Restarted { rule };
        }
        self.state.off_until[number] = old.state.off_until[before.index()];
        let mut instances = 0;
        for to in info.instances.clone() {
            let wanted = &self.program.instances[to as usize];
            let same =
                |from: &u32| same_place(&old.program, &old.program.instances[*from as usize], &self.program, wanted);
            if let Some(from) = old_info.instances.clone().find(same) {
                carry_instance(&mut self.state, &self.program, to, &old.state, &old.program, from);
                self.carry_timers(to, old, from);
                self.carry_runs(to, old, from);
                self.carry_windows(to, old, from);
                self.carry_holds(to, old, from, out);
                instances += 1;
            }
        }
        Carried::Kept { rule, instances }
    }

    fn carry_timers(&mut self, to: u32, old: &Rules, from: u32) {
        self.timers.set(to, old.timers.due(from));
        let (old_base, base) = (old.program.instances.len() as u32, self.program.instances.len() as u32);
        for at in old.state.contexts.of(from) {
            let (_, track, other, old_place) = old.state.contexts.order[at];
            if let Some(place) = self.state.contexts.insert(to, track, other) {
                self.state.contexts.adopt(place, &old.state.contexts.table[old_place as usize]);
                let due = old.timers.due(old_base + old_place);
                self.timers.set(base + place, due);
            }
        }
    }

    /// Runs under way go on where they were: the steps are the same, or the rule's shape would be another.
    fn carry_runs(&mut self, to: u32, old: &Rules, from: u32) {
        for (place, run) in old.state.runs.iter().enumerate() {
            let Some(run) = run.filter(|run| run.instance == from) else { continue };
            self.state.runs[place] = Some(state::RunState { instance: to, ..run });
            let unit = super::run_unit(&old.program, place as u32);
            let at = old.timers.due(unit);
            self.timers.set(super::run_unit(&self.program, place as u32), at);
        }
    }

    /// The windows of a carried instance stand in the same order in both programs.
    fn carry_windows(&mut self, to: u32, old: &Rules, from: u32) {
        let of = |program: &Program, instance: &Instance| {
            let roots = [Some(instance.condition), instance.guard];
            super::window::windows_below(program, roots.into_iter().flatten())
        };
        let after = of(&self.program, &self.program.instances[to as usize]);
        let before = of(&old.program, &old.program.instances[from as usize]);
        for (to, from) in after.into_iter().zip(before) {
            if self.program.windows[usize::from(to)].length == old.program.windows[usize::from(from)].length
                && self.program.windows[usize::from(to)].kind == old.program.windows[usize::from(from)].kind
            {
                self.state.windows[usize::from(to)].clone_from(&old.state.windows[usize::from(from)]);
            }
        }
    }

    /// What a carried instance holds it holds on, with the same values, under its new numbers.
    fn carry_holds(&mut self, to: u32, old: &Rules, from: u32, out: &mut Vec<Effect>) {
        let instance = &self.program.instances[to as usize];
        let before = &old.program.instances[from as usize];
        let rule = instance.rule;
        let level = self.program.rules[rule.index()].level;
        let cause = Cause::new(Trigger::Start);
        for hold in &instance.holds {
            let same = before.holds.iter().find(|h| h.device == hold.device && h.property == hold.property);
            let Some(value) = same.and_then(|h| old.state.held[h.holder.index()]) else { continue };
            self.state.held[hold.holder.index()] = Some(value);
            self.state.courses[hold.holder.index()] =
                same.and_then(|h| old.state.courses[h.holder.index()]).filter(|_| hold.course.is_some());
            let (holder, device, property) = (hold.holder, hold.device, hold.property);
            out.push(Effect::Hold { holder, rule, level, device, property, value, cause: cause.clone() });
        }
        if matches!(old.state.units[from as usize].phase, state::Phase::On | state::Phase::Releasing) {
            for forbid in &instance.forbids {
                let (holder, device, verb) = (forbid.holder, forbid.device, forbid.verb);
                out.push(Effect::Forbid { holder, rule, level, device, verb, cause: cause.clone() });
            }
        }
    }

    fn carry_shared(&mut self, old: &Rules) {
        for mode in &self.program.modes {
            let same = |m: &&crate::program::ModeInfo| m.name == mode.name && m.per_zone == mode.per_zone;
            let Some(before) = old.program.modes.iter().find(same) else { continue };
            let places = if mode.per_zone { self.program.zones } else { 1 };
            for place in 0..places {
                let was = usize::from(old.state.shared.modes[usize::from(before.base) + place]);
                let value = before.values.get(was).and_then(|was| mode.values.iter().position(|v| v == was));
                if let Some(value) = value {
                    self.state.shared.modes[usize::from(mode.base) + place] = value as u16;
                }
            }
        }
        for counter in &self.program.counters {
            let same = |c: &&crate::program::CounterInfo| c.name == counter.name && c.per_zone == counter.per_zone;
            let Some(before) = old.program.counters.iter().find(same) else { continue };
            let places = if counter.per_zone { self.program.zones } else { 1 };
            for place in 0..places {
                let to = &mut self.state.counters[usize::from(counter.base) + place];
                to.clone_from(&old.state.counters[usize::from(before.base) + place]);
                to.daily = counter.daily;
            }
        }
        self.state.released.clone_from(&old.state.released);
        self.state.question = old.state.question;
        // Where a person of the old list stands in the new one.
        let moved: Vec<Option<usize>> =
            old.program.people.iter().map(|name| self.program.people.iter().position(|p| p == name)).collect();
        for (session, before) in self.state.shared.sessions.iter_mut().zip(&old.state.shared.sessions) {
            session.open = before.open;
            session.tracks.clone_from(&before.tracks);
            for (person, to) in moved.iter().enumerate() {
                if let Some(to) = to.filter(|_| before.has(PersonId(person as u16))) {
                    session.add(PersonId(to as u16));
                }
            }
        }
        let person = |p: PersonId| moved.get(p.index()).copied().flatten().map(|p| PersonId(p as u16));
        self.state.memories.retain_mut(|memory| match memory.whom {
            state::Whom::Person(before) => person(before).map(|p| memory.whom = state::Whom::Person(p)).is_some(),
            state::Whom::Pair(a, b) => {
                let stays = |one| match one {
                    state::One::Person(p) => person(p).is_some(),
                    state::One::Track(_) => true,
                };
                let moved = |one| match one {
                    state::One::Person(p) => state::One::Person(person(p).unwrap_or(p)),
                    track => track,
                };
                memory.whom = state::Whom::pair(moved(a), moved(b));
                stays(a) && stays(b)
            }
            _ => true,
        });
        for context in &mut self.state.contexts.table {
            context.person = context.person.and_then(person);
        }
        let bound = |b: super::truth::Bound| super::truth::Bound { person: b.person.and_then(person), ..b };
        for run in self.state.runs.iter_mut().flatten() {
            run.bounds = run.bounds.map(|b| b.map(bound));
        }
        self.state.memories.sort_unstable_by_key(state::Memory::key);
    }
}

/// Whether two instances of one rule, of an old program and a new one, are of the same things of the site.
fn same_place(old: &Program, a: &Instance, new: &Program, b: &Instance) -> bool {
    use crate::program::Binding::{Group, Person};
    let same = |a: &crate::program::Binding, b: &crate::program::Binding| match (a, b) {
        // People and groups may have other numbers where their list was saved anew.
        (Person(a), Person(b)) => old.people.get(a.index()) == new.people.get(b.index()),
        (Group(a), Group(b)) => old.groups.get(a.index()) == new.groups.get(b.index()),
        (a, b) => a == b,
    };
    a.shape == b.shape
        && a.slots == b.slots
        && a.track_slots == b.track_slots
        && a.bindings.len() == b.bindings.len()
        && a.bindings.iter().zip(&b.bindings).all(|(a, b)| same(&a.1, &b.1))
}

fn carry_instance(state: &mut State, program: &Program, to: u32, old: &State, old_program: &Program, from: u32) {
    let (new, before) = (&program.instances[to as usize], &old_program.instances[from as usize]);
    state.units[to as usize] = old.units[from as usize];
    let (a, b) = (new.slot_base as usize, before.slot_base as usize);
    for slot in 0..usize::from(new.slots) {
        state.slots[a + slot] = old.slots[b + slot];
    }
    for memory in old.memories.iter().filter(|m| m.instance == from) {
        state.memories.push(state::Memory { instance: to, ..*memory });
    }
}
