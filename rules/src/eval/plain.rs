//! A glance at rules whose condition is plain: it reads how things are, and remembers at most since when. Where the glance
//! finds a condition as it was at the last look, another look would change nothing, and is left out. Most looks are such:
//! twenty rules on a room's count are each as they were when one more person comes in.
//!
//! The glance knows nothing of its own: leaves are those of `facts.rs`, and whatever it cannot tell is looked at properly.

use super::facts::{self, compare};
use super::state::{NONE, Phase, Slot, Unit};
use crate::cost::{Op, Ops};
use crate::program::{Compare, Cond, CondId, Instance, Num, NumId, Program, Shape, SlotRef, ValueExpr};
use osmose_model::ids::{SensorId, ZoneId};
use osmose_model::tri::Tri;
use osmose_model::world::WorldView;

/// How an instance is glanced at. Small, since every event goes through those of all rules that it wakes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plain {
    /// It has to be looked at.
    No,
    /// It compares a number with a constant.
    Number { how: Compare, what: Quantity, than: f64 },
    /// Any other plain condition; where the instance's memory begins.
    Condition { cond: CondId, slots: u32 },
    /// It remembers nothing, and acts only where this is not false.
    Guard(CondId),
}

/// A number that many rules ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    Count(ZoneId),
    Sensor(SensorId),
}

impl Plain {
    /// Of an instance, where what a glance sees decides alone whether a look changes anything.
    pub(super) fn of_instance(program: &Program, instance: &Instance) -> Self {
        let rule = &program.rules[instance.rule.index()];
        let const_value = |value: u32| matches!(program.values[value as usize], ValueExpr::Const(_));
        // A policy may refuse what is held, and let it pass at the next look.
        let holds_steadily =
            program.guards.is_empty() && instance.holds.iter().all(|h| h.course.is_none() && const_value(h.value));
        let remembers_a_state = match instance.shape {
            Shape::Edge => rule.catch_up.is_none(),
            Shape::Level => holds_steadily,
            _ => false,
        };
        let cond = instance.condition;
        let is_bare = !instance.guard_remembers && !instance.waits;
        if remembers_a_state && is_bare && !instance.instant && cond_is_plain(program, cond) {
            return number(program, cond).unwrap_or(Self::Condition { cond, slots: instance.slot_base });
        }
        let remembers_nothing =
            instance.shape == Shape::Event && instance.slots == 0 && rule.dampers.is_empty() && rule.settle.0 == 0;
        match instance.guard {
            Some(guard) if remembers_nothing && is_bare && cond_is_plain(program, guard) => Self::Guard(guard),
            _ => Self::No,
        }
    }
}

/// The condition that a glance at an instance reads.
pub(crate) fn glanced(program: &Program, instance: &Instance) -> Option<CondId> {
    match Plain::of_instance(program, instance) {
        Plain::No => None,
        Plain::Number { .. } => Some(instance.condition),
        Plain::Condition { cond, .. } | Plain::Guard(cond) => Some(cond),
    }
}

/// A condition as a number against a constant.
fn number(program: &Program, cond: CondId) -> Option<Plain> {
    let Cond::Compare(how, what, than) = &program.conds[cond as usize] else { return None };
    let what = match &program.nums[*what as usize] {
        Num::Count(zone) => Quantity::Count(*zone),
        Num::Sensor(sensor) => Quantity::Sensor(*sensor),
        _ => return None,
    };
    let Num::Const(than) = program.nums[*than as usize] else { return None };
    Some(Plain::Number { how: *how, what, than })
}

fn cond_is_plain(program: &Program, id: CondId) -> bool {
    let all = |from: u32, to: u32| {
        program.children[from as usize..to as usize].iter().all(|child| cond_is_plain(program, *child))
    };
    match &program.conds[id as usize] {
        Cond::Const(_) | Cond::Occupied(_) | Cond::SwitchIs { .. } | Cond::Alive(_) | Cond::NoMotion { .. } => true,
        Cond::DeviceIs { .. } | Cond::DeviceUnknown { .. } => true,
        Cond::And { from, to } | Cond::Or { from, to } => all(*from, *to),
        Cond::Not(inner) | Cond::IsUnknown(inner) => cond_is_plain(program, *inner),
        Cond::Compare(_, a, b) => num_is_plain(program, *a) && num_is_plain(program, *b),
        Cond::NumberUnknown(num) => num_is_plain(program, *num),
        Cond::For { inner, slot: SlotRef::Instance(_), .. } => cond_is_plain(program, *inner),
        Cond::Until { set, reset, slot: SlotRef::Instance(_) } => {
            cond_is_plain(program, *set) && cond_is_plain(program, *reset)
        }
        _ => false,
    }
}

fn num_is_plain(program: &Program, id: NumId) -> bool {
    match &program.nums[id as usize] {
        Num::Const(_) | Num::Count(_) | Num::Device { .. } | Num::Sensor(_) => true,
        Num::Min(a, b) | Num::Max(a, b) | Num::Add(a, b) | Num::Sub(a, b) | Num::Mul(a, b) | Num::Div(a, b) => {
            num_is_plain(program, *a) && num_is_plain(program, *b)
        }
        _ => false,
    }
}

/// What one step has seen already, in which the world stands still: rules of one event mostly ask of one room.
#[derive(Debug, Default)]
pub(super) struct Seen {
    number: Option<(Quantity, (f64, f64))>,
    occupied: Option<(ZoneId, Tri)>,
    nodes: u64,
    sensors: u64,
}

impl Seen {
    /// Counts what was done.
    pub(super) fn count(self, ops: &mut Ops) {
        ops.add(Op::Node, self.nodes);
        ops.add(Op::Sensor, self.sensors);
    }
}

/// The glances on account of one stimulus.
pub(super) struct Glance<'a> {
    program: &'a Program,
    world: &'a dyn WorldView,
    seen: &'a mut Seen,
}

impl<'a> Glance<'a> {
    pub(super) fn new(program: &'a Program, world: &'a dyn WorldView, seen: &'a mut Seen) -> Self {
        Self { program, world, seen }
    }

    /// Whether an instance would be as it is after a look on account of what happens in the world, at a sensor or a
    /// device. (Starts, gaps and the clock change more than what a glance sees.)
    #[inline]
    pub(super) fn finds_as_it_was(&mut self, plain: &Plain, unit: &Unit, slots: &[Slot]) -> bool {
        let value = match *plain {
            Plain::No => return false,
            Plain::Number { how, what, than } => {
                self.seen.nodes += 3;
                compare(how, self.quantity(what), (than, than))
            }
            Plain::Condition { cond, slots: from } => {
                let slots = slots.get(from as usize..).unwrap_or_default();
                match self.cond(cond, slots) {
                    Some(value) => value,
                    None => return false,
                }
            }
            Plain::Guard(guard) => return self.cond(guard, &[]) == Some(Tri::False),
        };
        value == unit.last && unit.settle_from == NONE && unit.phase != Phase::Releasing
    }

    fn quantity(&mut self, what: Quantity) -> (f64, f64) {
        if let Some((of, number)) = self.seen.number
            && of == what
        {
            return number;
        }
        let number = match what {
            Quantity::Count(zone) => {
                let watchers = &self.program.watchers[zone.index()];
                self.seen.sensors += watchers.len() as u64;
                facts::count(self.world, zone, watchers)
            }
            Quantity::Sensor(sensor) => facts::sensor_number(self.world, sensor),
        };
        self.seen.number = Some((what, number));
        number
    }

    fn occupied(&mut self, zone: ZoneId) -> Tri {
        match self.seen.occupied {
            Some((of, value)) if of == zone => value,
            _ => {
                let value = self.world.occupied(zone);
                self.seen.occupied = Some((zone, value));
                value
            }
        }
    }

    /// A condition's value; `None` where to ask for it changes what is remembered.
    fn cond(&mut self, id: CondId, slots: &[Slot]) -> Option<Tri> {
        self.seen.nodes += 1;
        let (program, world) = (self.program, self.world);
        Some(match &program.conds[id as usize] {
            Cond::Const(value) => *value,
            Cond::Not(inner) => !self.cond(*inner, slots)?,
            Cond::And { from, to } => self.fold(*from, *to, slots, Tri::True, Tri::and)?,
            Cond::Or { from, to } => self.fold(*from, *to, slots, Tri::False, Tri::or)?,
            Cond::Compare(how, a, b) => compare(*how, self.num(*a)?, self.num(*b)?),
            Cond::Occupied(zone) => self.occupied(*zone),
            Cond::DeviceIs { device, property, value } => facts::device_is(world, *device, *property, value),
            Cond::DeviceUnknown { device, property } => facts::device_unknown(world, *device, *property),
            Cond::SwitchIs { sensor, on } => facts::switch_is(world, *sensor, *on),
            Cond::Alive(sensor) => world.alive(*sensor),
            Cond::NoMotion { from, to } => {
                self.seen.sensors += u64::from(to - from);
                facts::no_motion(world, &program.sensors[*from as usize..*to as usize])
            }
            Cond::IsUnknown(inner) => Tri::from(self.cond(*inner, slots)? == Tri::Unknown),
            Cond::NumberUnknown(num) => Tri::from(self.num(*num)? == facts::UNKNOWN),
            Cond::For { inner, length, slot: SlotRef::Instance(slot), .. } => {
                let value = self.cond(*inner, slots)?;
                let memory = slots.get(usize::from(*slot))?;
                match value {
                    Tri::False if *memory == Slot::default() => Tri::False,
                    Tri::True if memory.since != NONE && memory.gap_from == NONE => {
                        Tri::from(world.now().0 >= memory.since.saturating_add(length.0))
                    }
                    _ => return None,
                }
            }
            Cond::Until { set, reset, slot: SlotRef::Instance(slot) } => {
                let (set, reset) = (self.cond(*set, slots)?, self.cond(*reset, slots)?);
                let is_on = slots.get(usize::from(*slot))?.since != NONE;
                let stays = set == Tri::True || is_on && reset != Tri::True;
                match (is_on, stays) {
                    (true, true) => Tri::True,
                    (false, false) => set,
                    _ => return None,
                }
            }
            _ => return None,
        })
    }

    fn fold(&mut self, from: u32, to: u32, slots: &[Slot], start: Tri, join: impl Fn(Tri, Tri) -> Tri) -> Option<Tri> {
        let program = self.program;
        // Every part is asked: each may remember something that would change.
        program.children[from as usize..to as usize]
            .iter()
            .try_fold(start, |value, child| Some(join(value, self.cond(*child, slots)?)))
    }

    fn num(&mut self, id: NumId) -> Option<(f64, f64)> {
        self.seen.nodes += 1;
        let (program, world) = (self.program, self.world);
        Some(match &program.nums[id as usize] {
            Num::Const(value) => (*value, *value),
            Num::Count(zone) => self.quantity(Quantity::Count(*zone)),
            Num::Device { device, property } => facts::device_number(world, *device, *property),
            Num::Sensor(sensor) => self.quantity(Quantity::Sensor(*sensor)),
            how @ (Num::Min(a, b)
            | Num::Max(a, b)
            | Num::Add(a, b)
            | Num::Sub(a, b)
            | Num::Mul(a, b)
            | Num::Div(a, b)) => facts::joined(how, self.num(*a)?, self.num(*b)?),
            _ => return None,
        })
    }
}
