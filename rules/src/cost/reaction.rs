//! What one event sets off until its step is over: every instance that it wakes, and, round by round, those that wait
//! for devices which the woken ones drive. Commands leave when the step is over, so a rule's reaction is the whole.

use super::Class;
use super::bound::{Bounds, Kick};
use super::ops::{Op, Ops};
use crate::program::{Instance, Program};
use osmose_model::geometry::Aabb;
use osmose_model::ids::ActuatorId;
use osmose_model::limits::{CASCADE_ROUNDS_MAX, ZONES_PER_OCCUPANT_MAX};
use osmose_model::site::{Site, Zone};
use osmose_model::time::DurationNs;
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
    site: &'p Site,
    /// By instance: what it takes when the world, or something else, kicks it.
    world: Vec<Ops>,
    /// The same where nobody enters or leaves a zone: rules that wait for that pass it over (`eval/waits.rs`).
    about: Vec<Ops>,
    moved: Vec<Ops>,
    other: Vec<Ops>,
    due: Vec<Ops>,
    /// By instance: devices that it drives and that some rule waits for.
    stirs: Vec<Vec<ActuatorId>>,
}

/// Whether somebody may be in two zones at once: within the boxes round both, margins included, or in one of them still
/// while its exit is delayed.
fn may_share((a, a_box): &(&Zone, Option<Aabb>), (b, b_box): &(&Zone, Option<Aabb>)) -> bool {
    if [a, b].iter().any(|zone| zone.margins.exit_delay > DurationNs::ZERO) {
        return true;
    }
    let (Some(p), Some(q)) = (a_box, b_box) else { return false };
    let overlap = |p: (f64, f64), q: (f64, f64)| p.0 <= q.1 && q.0 <= p.1;
    a.level == b.level
        && overlap((p.min.x_m, p.max.x_m), (q.min.x_m, q.max.x_m))
        && overlap((p.min.y_m, p.max.y_m), (q.min.y_m, q.max.y_m))
}

impl<'p> Reactions<'p> {
    pub(super) fn new(program: &'p Program, bounds: &'p Bounds<'p>, site: &'p Site) -> Self {
        let each = |kick: Kick| program.instances.iter().map(|i| bounds.instance(i, kick)).collect();
        let waited_for = |d: &ActuatorId| program.index.by_device.get(d.index()).is_some_and(|l| !l.is_empty());
        let stirs = |i: &Instance| {
            let devices = i.sends().map(|s| s.device).chain(i.holds.iter().map(|h| h.device));
            let mut devices: Vec<ActuatorId> = devices.filter(waited_for).collect();
            devices.sort_unstable();
            devices.dedup();
            devices
        };
        let world: Vec<Ops> = each(Kick::World);
        let heeds = |i: &Instance| crate::eval::heeds_more_than_crossings(program, i);
        let passed = |(i, ops): (&Instance, &Ops)| if heeds(i) { *ops } else { Ops::of(Op::Wake, 1) };
        Reactions {
            program,
            bounds,
            site,
            about: program.instances.iter().zip(&world).map(passed).collect(),
            world,
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
        // Who is recognised, lost or swapped concerns every zone that he is in; and swaps are of two.
        let crowded = self.together();
        for (n, here) in crowded.iter().enumerate() {
            let elsewhere = crowded.get(usize::from(n == 0)).into_iter().flatten();
            let mut zones: Vec<usize> = here.iter().chain(elsewhere).copied().collect();
            zones.sort_unstable();
            zones.dedup();
            let mut lists: Vec<&[u32]> = vec![&index.everywhere, &index.moved];
            lists.extend(zones.iter().map(|zone| index.by_zone[*zone].as_slice()));
            f(Class::People, &self.about, self.reaction(&lists, &self.about, shared));
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

    /// The zones that one person may be in at once, of those that wake anything: a set for each zone, that covers all in
    /// which it is the smallest. The dearest set first.
    fn together(&self) -> Vec<Vec<usize>> {
        let by_zone = &self.program.index.by_zone;
        let cost = |zone: &usize| by_zone[*zone].iter().map(|i| self.about[*i as usize].total()).sum::<u64>();
        let mut zones: Vec<(&Zone, Option<Aabb>)> = (self.site.zones.iter().zip(by_zone))
            .filter(|(_, list)| !list.is_empty())
            .map(|(zone, _)| (zone, zone.area.aabb().map(|b| b.grown(zone.margins.exit_margin_m.max(0.0)))))
            .collect();
        let size = |b: &Option<Aabb>| b.map_or(0.0, |b| (b.max.x_m - b.min.x_m) * (b.max.y_m - b.min.y_m));
        zones.sort_by(|a, b| size(&a.1).total_cmp(&size(&b.1)).then(a.0.id.cmp(&b.0.id)));
        let mut sets: Vec<Vec<usize>> = Vec::with_capacity(zones.len());
        for (n, one) in zones.iter().enumerate() {
            let larger = zones[n + 1..].iter().filter(|other| may_share(one, other));
            let mut set: Vec<usize> = larger.map(|(zone, _)| zone.id.index()).collect();
            set.sort_by_key(|zone| std::cmp::Reverse(cost(zone)));
            set.truncate(ZONES_PER_OCCUPANT_MAX - 1);
            set.push(one.0.id.index());
            sets.push(set);
        }
        sets.sort_by_cached_key(|set| std::cmp::Reverse(set.iter().map(cost).sum::<u64>()));
        sets
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
