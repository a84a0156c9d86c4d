//! Reload: new rules take over from old ones at one instant, with their timers where the shape is the same.

use super::state::State;
use super::{Rules, state};
use crate::program::{Instance, Program};
use osmose_model::command::{Cause, Effect, Trigger};
use osmose_model::ids::PersonId;
use osmose_model::stages::{Decide, Source};
use osmose_model::world::{Stimulus, WorldView};
use std::collections::BTreeSet;

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

/// What became of a rule's state, without its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept(u32),
    Restarted,
    New,
}

/// No instance.
const NOWHERE: u32 = u32::MAX;

/// What a reload needs and must not allocate: made with the rules, beside the path of an event.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    /// Rules, ascending by name.
    by_name: Vec<u16>,
    /// People, ascending by name.
    people: Vec<u16>,
    /// The windows of all instances, each one's in the order in which they are met; and by instance where its own begin.
    windows: Vec<u16>,
    windows_from: Vec<u32>,
    /// By rule: what became of it, once these rules are in force. Left in the rules that they took over from.
    fates: Vec<Fate>,
    /// By instance: the one of the next rules that it went over to.
    went_to: Vec<u32>,
    /// By person: who that is in the next rules' list.
    people_to: Vec<Option<PersonId>>,
}

impl Ready {
    pub(super) fn of(program: &Program) -> Self {
        let mut by_name: Vec<u16> = (0..program.rules.len() as u16).collect();
        // The first of a name stands for it, as it does where rules are looked up.
        by_name.sort_by(|a, b| program.rules[usize::from(*a)].name.cmp(&program.rules[usize::from(*b)].name));
        by_name.dedup_by(|b, a| program.rules[usize::from(*a)].name == program.rules[usize::from(*b)].name);
        let mut people: Vec<u16> = (0..program.people.len() as u16).collect();
        people.sort_by(|a, b| program.people[usize::from(*a)].cmp(&program.people[usize::from(*b)]));
        let (mut windows, mut windows_from) = (Vec::new(), vec![0]);
        for instance in &program.instances {
            if !program.windows.is_empty() {
                let roots = [Some(instance.condition), instance.guard];
                windows.extend(super::window::windows_below(program, roots.into_iter().flatten()));
            }
            windows_from.push(windows.len() as u32);
        }
        Ready {
            by_name,
            people,
            windows,
            windows_from,
            fates: Vec::with_capacity(program.rules.len()),
            went_to: vec![NOWHERE; program.instances.len()],
            people_to: vec![None; program.people.len()],
        }
    }

    fn rule_named(&self, program: &Program, name: &str) -> Option<usize> {
        let at = self.by_name.binary_search_by(|i| program.rules[usize::from(*i)].name.as_str().cmp(name)).ok()?;
        Some(usize::from(self.by_name[at]))
    }

    /// Whoever has this name; `near` is where he stands where nobody moved.
    fn person_named(&self, program: &Program, name: &str, near: usize) -> Option<PersonId> {
        if program.people.get(near).is_some_and(|p| p == name) {
            return Some(PersonId(near as u16));
        }
        let at = self.people.binary_search_by(|i| program.people[usize::from(*i)].as_str().cmp(name)).ok()?;
        Some(PersonId(self.people[at]))
    }

    fn windows_of(&self, instance: u32) -> &[u16] {
        let at = instance as usize;
        &self.windows[self.windows_from[at] as usize..self.windows_from[at + 1] as usize]
    }
}

impl Rules {
    /// Installs `program` in place of the running one, at the world's instant.
    ///
    /// The site's zones and devices must be those of the old program (geometry needs a restart); people may differ
    /// and are matched by name. Everything held is let go and, where its rule goes on, held again under its new
    /// number: arbitration sees both before it sends anything.
    pub fn install(&mut self, program: Program, world: &dyn WorldView, out: &mut Vec<Effect>) -> Vec<Carried> {
        let mut next = Rules::new(program);
        self.carry_into(&mut next, &mut |effect| out.push(effect.clone()));
        self.step(&[Stimulus::Start], Source::default(), world, out);
        let names: Vec<&str> = self.program.rules.iter().map(|r| r.name.as_str()).collect();
        next.carried(&names)
    }

    /// What became of these rules' state when others took over, whose names these are, in their order.
    pub fn carried(&self, names: &[impl AsRef<str>]) -> Vec<Carried> {
        let fates = names.iter().zip(&self.ready.fates).map(|(name, fate)| {
            let rule = name.as_ref().to_owned();
            match *fate {
                Fate::Kept(instances) => Carried::Kept { rule, instances },
                Fate::Restarted => Carried::Restarted { rule },
                Fate::New => Carried::New { rule },
            }
        });
        let stays: BTreeSet<&str> = names.iter().map(AsRef::as_ref).collect();
        let gone = self.program.rules.iter().filter(|r| !stays.contains(r.name.as_str()));
        fates.chain(gone.map(|r| Carried::Gone { rule: r.name.clone() })).collect()
    }

    /// What [`Rules::install`] does before it looks at everything once: these rules and `next` change places, state goes
    /// over, nothing is evaluated. Neither allocates nor frees.
    pub(super) fn carry_into(&mut self, next: &mut Rules, out: &mut dyn FnMut(&Effect)) {
        self.release_everything(out);
        std::mem::swap(self, next);
        let old = next;
        old.ready.went_to.fill(NOWHERE);
        self.ready.fates.clear();
        for number in 0..self.program.rules.len() {
            let fate = self.carry_rule(number, old, out);
            self.ready.fates.push(fate);
        }
        self.carry_memories(old);
        self.carry_runs(old);
        self.carry_shared(old);
        // The report goes with the old rules to whoever drops them, and the room that the busiest step needed stays here.
        std::mem::swap(&mut self.ready.fates, &mut old.ready.fates);
        keep_larger(&mut self.touched, &mut old.touched);
        keep_larger(&mut self.woken, &mut old.woken);
        keep_larger(&mut self.near, &mut old.near);
        keep_larger(&mut self.all, &mut old.all);
    }

    fn release_everything(&self, out: &mut dyn FnMut(&Effect)) {
        let cause = Cause::new(Trigger::Start);
        for (number, instance) in self.program.instances.iter().enumerate() {
            for hold in &instance.holds {
                if self.state.held[hold.holder.index()].is_some() {
                    out(&Effect::Release { holder: hold.holder, cause: cause.clone() });
                }
            }
            let phase = self.state.units[number].phase;
            if matches!(phase, state::Phase::On | state::Phase::Releasing) {
                for forbid in &instance.forbids {
                    out(&Effect::Release { holder: forbid.holder, cause: cause.clone() });
                }
            }
        }
    }

    fn carry_rule(&mut self, number: usize, old: &mut Rules, out: &mut dyn FnMut(&Effect)) -> Fate {
        let info = &self.program.rules[number];
        let Some(before) = old.ready.rule_named(&old.program, &info.name) else { return Fate::New };
        let old_info = &old.program.rules[before];
        if old_info.shape != info.shape || old_info.interlock != info.interlock {
            return Fate::Restarted;
        }
        self.state.off_until[number] = old.state.off_until[before];
        let (range, instances) = (old_info.instances.clone(), info.instances.clone());
        let (mut kept, mut next) = (0, range.start);
        for to in instances {
            let wanted = &self.program.instances[to as usize];
            let same =
                |from: &u32| same_place(&old.program, &old.program.instances[*from as usize], &self.program, wanted);
            // Both are in one order but for what was added or taken away: what comes next is seldom far.
            let Some(from) = (next..range.end).chain(range.start..next).find(same) else { continue };
            next = from + 1;
            old.ready.went_to[from as usize] = to;
            carry_instance(&mut self.state, &self.program, to, &old.state, &old.program, from);
            self.carry_timers(to, old, from);
            self.carry_windows(to, old, from);
            self.carry_holds(to, old, from, out);
            kept += 1;
        }
        Fate::Kept(kept)
    }

    fn carry_timers(&mut self, to: u32, old: &Rules, from: u32) {
        self.timers.set(to, old.timers.due(from));
        let (old_base, base) = (old.program.instances.len() as u32, self.program.instances.len() as u32);
        for at in old.state.contexts.of(from) {
            let (_, track, other, old_place) = old.state.contexts.order[at];
            if let Some(place) = self.state.contexts.insert(to, track, other) {
                self.state.contexts.adopt(place, &old.state.contexts[old_place]);
                let due = old.timers.due(old_base + old_place);
                self.timers.set(base + place, due);
            }
        }
    }

    /// Runs under way go on where they were: the steps are the same, or the rule's shape would be another.
    fn carry_runs(&mut self, old: &Rules) {
        for (place, run) in old.state.runs.iter().enumerate() {
            let Some(run) = *run else { continue };
            let to = old.ready.went_to[run.instance as usize];
            if to == NOWHERE {
                continue;
            }
            self.state.runs[place] = Some(state::RunState { instance: to, ..run });
            let unit = super::run_unit(&old.program, place as u32);
            let at = old.timers.due(unit);
            self.timers.set(super::run_unit(&self.program, place as u32), at);
        }
    }

    fn carry_memories(&mut self, old: &Rules) {
        for memory in &old.state.memories {
            let to = old.ready.went_to[memory.instance as usize];
            if to != NOWHERE {
                self.state.memories.push(state::Memory { instance: to, ..*memory });
            }
        }
    }

    /// The windows of a carried instance stand in the same order in both programs.
    fn carry_windows(&mut self, to: u32, old: &Rules, from: u32) {
        let (after, before) = (self.ready.windows_of(to), old.ready.windows_of(from));
        for (to, from) in after.iter().map(|w| usize::from(*w)).zip(before.iter().map(|w| usize::from(*w))) {
            let (window, was) = (&self.program.windows[to], &old.program.windows[from]);
            if window.length == was.length && window.kind == was.kind {
                self.state.windows[to].clone_from(&old.state.windows[from]);
            }
        }
    }

    /// What a carried instance holds it holds on, with the same values, under its new numbers.
    fn carry_holds(&mut self, to: u32, old: &Rules, from: u32, out: &mut dyn FnMut(&Effect)) {
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
            out(&Effect::Hold { holder, rule, level, device, property, value, cause: cause.clone() });
        }
        if matches!(old.state.units[from as usize].phase, state::Phase::On | state::Phase::Releasing) {
            for forbid in &instance.forbids {
                let (holder, device, verb) = (forbid.holder, forbid.device, forbid.verb);
                out(&Effect::Forbid { holder, rule, level, device, verb, cause: cause.clone() });
            }
        }
    }

    fn carry_shared(&mut self, old: &mut Rules) {
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
        for (number, name) in old.program.people.iter().enumerate() {
            old.ready.people_to[number] = self.ready.person_named(&self.program, name, number);
        }
        let moved = &old.ready.people_to;
        for (session, before) in self.state.shared.sessions.iter_mut().zip(&old.state.shared.sessions) {
            session.open = before.open;
            session.tracks.clone_from(&before.tracks);
            for (person, to) in moved.iter().enumerate() {
                if let Some(to) = to.filter(|_| before.has(PersonId(person as u16))) {
                    session.add(to);
                }
            }
        }
        let person = |p: PersonId| moved.get(p.index()).copied().flatten();
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
        for context in self.state.contexts.each_mut() {
            context.person = context.person.and_then(person);
        }
        let bound = |b: super::truth::Bound| super::truth::Bound { person: b.person.and_then(person), ..b };
        for run in self.state.runs.iter_mut().flatten() {
            run.bounds = run.bounds.map(|b| b.map(bound));
        }
        self.state.memories.sort_unstable_by_key(state::Memory::key);
    }
}

/// Of two buffers the one with more room stays.
fn keep_larger<T>(own: &mut Vec<T>, other: &mut Vec<T>) {
    if other.capacity() > own.capacity() {
        std::mem::swap(own, other);
        own.clear();
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
}
