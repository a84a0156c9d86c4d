//! What one event sets off until its step is over: every instance that it wakes, and, round by round, those that wait
//! for devices which the woken ones drive. Commands leave when the step is over, so a rule's reaction is the whole.

use super::Class;
use super::bound::{Bounds, Kick};
use super::ops::Ops;
use crate::program::{Instance, Program};
use osmose_model::ids::ActuatorId;
use osmose_model::limits::{CASCADE_ROUNDS_MAX, ZONES_PER_OCCUPANT_MAX};
use std::rc::Rc;

/// All that one event sets off.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reaction {
    pub(super) ops: Ops,
    /// The instances that the event itself wakes.
    pub(super) woken: Vec<u32>,
}

/// The worst for each rule.
pub(super) struct Worst {
    /// What the rule itself takes for one event, and of which class.
    pub(super) own: Vec<(Option<Class>, Ops)>,
    /// The largest reaction to an event that can decide the rule.
    pub(super) all: Vec<Rc<Reaction>>,
}

pub(super) struct Reactions<'p> {
    program: &'p Program,
    bounds: &'p Bounds<'p>,
    /// By instance: what it takes when the world, or something else, kicks it.
    world: Vec<Ops>,
    moved: Vec<Ops>,
    other: Vec<Ops>,
    due: Vec<Ops>,
    /// By instance: devices that it drives and that some rule waits for.
    stirs: Vec<Vec<ActuatorId>>,
}

impl<'p> Reactions<'p> {
    pub(super) fn new(program: &'p Program, bounds: &'p Bounds<'p>) -> Self {
        let each = |kick: Kick| program.instances.iter().map(|i| bounds.instance(i, kick)).collect();
        let waited_for = |d: &ActuatorId| program.index.by_device.get(d.index()).is_some_and(|l| !l.is_empty());
        let stirs = |i: &Instance| {
            let devices = i.sends().map(|s| s.device).chain(i.holds.iter().map(|h| h.device));
            let mut devices: Vec<ActuatorId> = devices.filter(waited_for).collect();
            devices.sort_unstable();
            devices.dedup();
            devices
        };
        Reactions {
            program,
            bounds,
            world: each(Kick::World),
            moved: each(Kick::Moved),
            other: each(Kick::Other),
            due: each(Kick::Due),
            stirs: program.instances.iter().map(stirs).collect(),
        }
    }

    /// What the woken instances set off in later rounds of the step.
    fn cascade(&self, woken: &[u32]) -> Ops {
        let mut ops = Ops::NONE;
        let mut woken = woken.to_vec();
        for _ in 1..CASCADE_ROUNDS_MAX {
            let mut devices: Vec<ActuatorId> = woken.iter().flat_map(|i| &self.stirs[*i as usize]).copied().collect();
            if devices.is_empty() {
                break;
            }
            devices.sort_unstable();
            devices.dedup();
            woken.clear();
            for device in devices {
                for number in &self.program.index.by_device[device.index()] {
                    ops = ops.and(self.other[*number as usize]);
                    woken.push(*number);
                }
            }
            woken.sort_unstable();
            woken.dedup();
        }
        ops
    }

    fn reaction(&self, lists: &[&[u32]], own: &[Ops], shared: Ops) -> Reaction {
        let mut ops = shared;
        let mut woken = Vec::new();
        for number in lists.iter().flat_map(|l| l.iter()) {
            ops = ops.and(own[*number as usize]);
            woken.push(*number);
        }
        Reaction { ops: ops.and(self.cascade(&woken)), woken }
    }

    /// Every event that there can be, once for all that are alike. Visits them one by one: keeping them all would cost
    /// a list of instances for each.
    fn for_each(&self, mut f: impl FnMut(Class, &[Ops], Reaction)) {
        let index = &self.program.index;
        let shared = self.bounds.shared();
        for list in &index.by_zone {
            let lists: &[&[u32]] = &[&index.everywhere, &index.moved, list];
            f(Class::People, &self.world, self.reaction(lists, &self.world, shared));
        }
        for list in index.moved_in.iter().filter(|l| !l.is_empty()) {
            f(Class::People, &self.moved, self.reaction(&[&index.moved, list], &self.moved, Ops::NONE));
        }
        if !index.moved.is_empty() {
            f(Class::People, &self.moved, self.reaction(&[&index.moved], &self.moved, Ops::NONE));
        }
        if index.by_zone.is_empty() {
            f(Class::People, &self.world, self.reaction(&[&index.everywhere, &index.moved], &self.world, shared));
        }
        // Who is recognised, lost or swapped concerns every zone that he is in: the dearest ones, to be safe.
        let cost = |list: &Vec<u32>| list.iter().map(|i| self.world[*i as usize].total()).sum::<u64>();
        let mut dearest: Vec<&Vec<u32>> = index.by_zone.iter().filter(|l| !l.is_empty()).collect();
        dearest.sort_by_key(|l| std::cmp::Reverse(cost(l)));
        dearest.truncate(ZONES_PER_OCCUPANT_MAX);
        if dearest.len() > 1 {
            let mut lists: Vec<&[u32]> = vec![&index.everywhere, &index.moved];
            lists.extend(dearest.iter().map(|l| l.as_slice()));
            f(Class::People, &self.world, self.reaction(&lists, &self.world, shared));
        }
        for list in index.by_sensor.iter().filter(|l| !l.is_empty()) {
            f(Class::Sensor, &self.other, self.reaction(&[list], &self.other, Ops::NONE));
        }
        for list in index.by_device.iter().filter(|l| !l.is_empty()) {
            f(Class::Device, &self.other, self.reaction(&[list], &self.other, Ops::NONE));
        }
        if !index.by_clock.is_empty() {
            f(Class::Clock, &self.other, self.reaction(&[&index.by_clock], &self.other, Ops::NONE));
        }
        for number in 0..self.program.instances.len() as u32 {
            f(Class::Timer, &self.due, self.reaction(&[&[number]], &self.due, Ops::NONE));
        }
    }

    /// By class: the most of all rules together.
    pub(super) fn classes(&self) -> Vec<(Class, Ops)> {
        let mut most = vec![Ops::NONE; Class::ALL.len()];
        self.for_each(|class, _, reaction| {
            let most = &mut most[class as usize];
            if reaction.ops.total() > most.total() {
                *most = reaction.ops;
            }
        });
        let start = |sum: Ops, i: &Instance| sum.and(self.bounds.instance(i, Kick::Afresh));
        most[Class::Start as usize] = self.program.instances.iter().fold(Ops::NONE, start);
        Class::ALL.into_iter().zip(most).collect()
    }

    /// For each rule its own worst event, and the worst reaction that it is part of.
    pub(super) fn worst_by_rule(&self) -> Worst {
        let rules = self.program.rules.len();
        let mut worst = Worst { own: vec![(None, Ops::NONE); rules], all: vec![Rc::default(); rules] };
        let mut own = vec![Ops::NONE; rules];
        self.for_each(|class, costs, reaction| {
            let reaction = Rc::new(reaction);
            let mut touched: Vec<usize> = Vec::new();
            for number in &reaction.woken {
                let rule = self.program.instances[*number as usize].rule.index();
                if own[rule] == Ops::NONE {
                    touched.push(rule);
                }
                own[rule] = own[rule].and(costs[*number as usize]);
            }
            for rule in touched {
                let ops = own[rule].take();
                if ops.total() > worst.own[rule].1.total() {
                    worst.own[rule] = (Some(class), ops);
                }
                if reaction.ops.total() > worst.all[rule].ops.total() {
                    worst.all[rule] = Rc::clone(&reaction);
                }
            }
        });
        worst
    }
}
