//! A bounded search for a moment at which conditions are as asked, over what conditions read: people in zones, time of
//! day, device states, sensors, modes. What it says cannot be, cannot be; what it finds is concrete.
//!
//! Each thing that a condition reads is a variable with finitely many values that stand for all (a count on either
//! side of every threshold, an instant in every stretch between two times of day, each word of a state and one other).
//! Conditions that remember are variables too, bound to what they look at: a `for` is true only while its condition
//! is. What has no model here (a person's attribute, an event) is free: it may be anything, so nothing is shown by it.

use crate::eval::compare;
use crate::program::{ClockRef, Compare, Cond, CondId, Num, NumId, Program, ValueExpr};
use osmose_model::command::Value;
use osmose_model::ids::{ActuatorId, Name, PersonId, SensorId, ZoneId};
use osmose_model::time::{DurationNs, NS_PER_S};
use osmose_model::tri::Tri;
use std::collections::BTreeMap;

/// Most assignments tried for one question.
const TRIES_MAX: u32 = 60_000;
const DAY_NS: i64 = 86_400 * NS_PER_S;

/// Which moment a variable is of: 0 is the one asked about, others lie before it.
pub(super) type Moment = u8;

/// What conditions read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// How many people are in a zone beside those named.
    People(ZoneId),
    /// Where a known person is.
    Person(PersonId),
    Device(ActuatorId, Name),
    Switch(SensorId),
    Number(SensorId),
    Alive(SensorId),
    Mode(u16),
    Time,
    /// Which event decides: an index into `Problem::events`.
    Event,
    /// A `for` or `until`: what it remembers says.
    Memory(CondId),
    /// Whatever else: nothing is known of it.
    Free(CondId),
}

/// A variable's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Is {
    Unknown,
    Truth(Tri),
    Number(f64),
    Count(u32),
    /// A person is in this zone, or elsewhere.
    At(Option<ZoneId>),
    Value(Value),
    /// A value that no rule names.
    OtherValue,
    Word(u16),
    /// Nanoseconds since midnight.
    Clock(i64),
    Event(usize),
}

pub(super) type Assignment = BTreeMap<(Moment, What), Is>;

/// Something asked of a condition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    pub(super) cond: CondId,
    pub(super) moment: Moment,
    /// Whether true, false, unknown will do.
    pub(super) truths: [bool; 3],
}

impl Goal {
    pub(super) fn is_true(cond: CondId) -> Self {
        Goal { cond, moment: 0, truths: [true, false, false] }
    }

    fn allows(&self, value: Tri) -> bool {
        match value {
            Tri::True => self.truths[0],
            Tri::False => self.truths[1],
            Tri::Unknown => self.truths[2],
        }
    }
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// It can be so, and this is how.
    Moment(Assignment),
    /// It cannot be.
    Never,
    /// The search was cut short.
    TooMany,
}

/// A question: goals that hold together, and two values that must differ, where that is asked.
pub(super) struct Problem<'p> {
    pub(super) program: &'p Program,
    pub(super) goals: Vec<Goal>,
    pub(super) differ: Option<(u32, u32)>,
    /// A condition that a device has a value, asked as a goal: (device, property, value) must not be so.
    pub(super) device_is: Option<(ActuatorId, Name, Value)>,
    /// By moment: how long before moment 0 it may lie.
    pub(super) lags: Vec<DurationNs>,
    /// Events that conditions name.
    pub(super) events: Vec<(osmose_model::world::EventKind, ZoneId)>,
}

/// A value as far as it is decided.
enum Worth {
    Open,
    Is(Value),
    /// Depends on what is not modelled: may be anything.
    Any,
}

struct Search<'q, 'p> {
    problem: &'q Problem<'p>,
    variables: Vec<((Moment, What), Vec<Is>)>,
    assigned: Assignment,
    tries: u32,
}

impl<'p> Problem<'p> {
    pub(super) fn new(program: &'p Program, goals: Vec<Goal>) -> Self {
        Problem { program, goals, differ: None, device_is: None, lags: vec![DurationNs::ZERO], events: Vec::new() }
    }

    pub(super) fn solve(&self) -> Found {
        let mut search = Search { problem: self, variables: self.variables(), assigned: Assignment::new(), tries: 0 };
        match search.deepen(0) {
            Some(true) => Found::Moment(search.assigned),
            Some(false) => Found::Never,
            None => Found::TooMany,
        }
    }

    /// Whether what is asked reads a device's property at all.
    pub(super) fn reads(&self, device: ActuatorId, property: Name) -> bool {
        let mut seen = Vec::new();
        self.goals.iter().for_each(|g| self.collect(g.cond, g.moment, &mut seen));
        seen.contains(&(0, What::Device(device, property)))
    }

    // ---- variables ----

    fn variables(&self) -> Vec<((Moment, What), Vec<Is>)> {
        let mut seen: Vec<(Moment, What)> = Vec::new();
        for goal in &self.goals {
            self.collect(goal.cond, goal.moment, &mut seen);
        }
        if let Some((a, b)) = self.differ {
            self.collect_value(a, &mut seen);
            self.collect_value(b, &mut seen);
        }
        for (moment, lag) in self.lags.iter().enumerate().skip(1) {
            // A moment before has its clock tied to that of moment 0.
            let reads_time = seen.contains(&(moment as Moment, What::Time));
            if reads_time && lag.0 > 0 && !seen.contains(&(0, What::Time)) {
                // First, so that what lies before is tied to it as soon as it is tried.
                seen.insert(0, (0, What::Time));
            }
        }
        seen.into_iter().map(|key| (key, self.values_of(key.1))).collect()
    }

    fn collect(&self, id: CondId, moment: Moment, seen: &mut Vec<(Moment, What)>) {
        let mut note = |what: What| {
            if !seen.contains(&(moment, what)) {
                seen.push((moment, what));
            }
        };
        match &self.program.conds[id as usize] {
            Cond::Const(_) => {}
            Cond::Not(inner) | Cond::IsUnknown(inner) => self.collect(*inner, moment, seen),
            Cond::And { from, to } | Cond::Or { from, to } => {
                for child in &self.program.children[*from as usize..*to as usize] {
                    self.collect(*child, moment, seen);
                }
            }
            Cond::Occupied(zone) => note(What::People(*zone)),
            Cond::PersonIn(person, _) => note(What::Person(*person)),
            Cond::DeviceIs { device, property, .. } | Cond::DeviceUnknown { device, property } => {
                note(What::Device(*device, *property));
            }
            Cond::SwitchIs { sensor, .. } => note(What::Switch(*sensor)),
            Cond::Alive(sensor) => note(What::Alive(*sensor)),
            Cond::TimeIn { from: ClockRef::At(_), to: ClockRef::At(_) } => note(What::Time),
            Cond::ModeIs { mode, .. } => note(What::Mode(*mode)),
            Cond::NoMotion { from, to } => {
                self.program.sensors[*from as usize..*to as usize].iter().for_each(|s| note(What::Switch(*s)));
            }
            Cond::Event { .. } => {
                note(What::Event);
                note(What::Free(id));
            }
            Cond::Compare(_, a, b) => match self.comparison(*a, *b) {
                Some((what, _, _)) => note(what),
                None => note(What::Free(id)),
            },
            Cond::For { inner, .. } => {
                note(What::Memory(id));
                self.collect(*inner, moment, seen);
            }
            Cond::Until { set, reset, .. } => {
                note(What::Memory(id));
                self.collect(*set, moment, seen);
                self.collect(*reset, moment, seen);
            }
            // No model: it may be anything.
            _ => note(What::Free(id)),
        }
    }

    fn collect_value(&self, id: u32, seen: &mut Vec<(Moment, What)>) {
        if let ValueExpr::If(condition, then, otherwise) = &self.program.values[id as usize] {
            self.collect(*condition, 0, seen);
            self.collect_value(*then, seen);
            self.collect_value(*otherwise, seen);
        }
    }

    /// A comparison of one thing that is read with a constant: the thing, the constant, and whether it stands left.
    fn comparison(&self, a: NumId, b: NumId) -> Option<(What, f64, bool)> {
        let what = |id: NumId| match &self.program.nums[id as usize] {
            Num::Count(zone) => Some(What::People(*zone)),
            Num::Sensor(sensor) => Some(What::Number(*sensor)),
            Num::Device { device, property } => Some(What::Device(*device, *property)),
            _ => None,
        };
        let constant = |id: NumId| match &self.program.nums[id as usize] {
            Num::Const(value) => Some(*value),
            _ => None,
        };
        match (what(a), constant(b)) {
            (Some(what), Some(value)) => Some((what, value, true)),
            _ => Some((what(b)?, constant(a)?, false)),
        }
    }

    /// Every condition that the goals and values hold.
    fn each_condition(&self, mut f: impl FnMut(&Cond)) {
        let mut open: Vec<CondId> = self.goals.iter().map(|g| g.cond).collect();
        let mut values: Vec<u32> = self.differ.into_iter().flat_map(|(a, b)| [a, b]).collect();
        while let Some(value) = values.pop() {
            if let ValueExpr::If(condition, a, b) = &self.program.values[value as usize] {
                open.push(*condition);
                values.extend([*a, *b]);
            }
        }
        while let Some(id) = open.pop() {
            let cond = &self.program.conds[id as usize];
            f(cond);
            match cond {
                Cond::Not(inner) | Cond::IsUnknown(inner) | Cond::For { inner, .. } => open.push(*inner),
                Cond::And { from, to } | Cond::Or { from, to } => {
                    open.extend_from_slice(&self.program.children[*from as usize..*to as usize]);
                }
                Cond::Until { set, reset, .. } => open.extend([*set, *reset]),
                _ => {}
            }
        }
    }

    fn thresholds(&self, of: What) -> Vec<f64> {
        let mut found = Vec::new();
        self.each_condition(|cond| {
            if let Cond::Compare(_, a, b) = cond
                && let Some((what, value, _)) = self.comparison(*a, *b)
                && what == of
            {
                found.push(value);
            }
        });
        found.sort_by(f64::total_cmp);
        found.dedup();
        found
    }

    fn values_of(&self, what: What) -> Vec<Is> {
        let truths = || [Tri::True, Tri::False, Tri::Unknown].map(Is::Truth).to_vec();
        let mut values = match what {
            What::People(_) => {
                let mut counts: Vec<u32> = vec![1, 0];
                for threshold in self.thresholds(what) {
                    // What is no count stands beside one.
                    let near = threshold.clamp(0.0, 1e6) as u32;
                    counts.extend([near + 1, near, near.saturating_sub(1)]);
                }
                let mut kept: Vec<u32> = Vec::new();
                counts.into_iter().for_each(|c| {
                    if !kept.contains(&c) {
                        kept.push(c)
                    }
                });
                kept.into_iter().map(Is::Count).collect()
            }
            What::Person(person) => {
                let mut zones: Vec<Is> = Vec::new();
                self.each_condition(|cond| {
                    if let Cond::PersonIn(p, zone) = cond
                        && *p == person
                        && !zones.contains(&Is::At(Some(*zone)))
                    {
                        zones.push(Is::At(Some(*zone)));
                    }
                });
                zones.push(Is::At(None));
                zones
            }
            What::Device(device, property) => {
                let mut values = self.device_values(device, property);
                values.extend(around(&self.thresholds(what)).into_iter().map(|v| Is::Value(Value::Number(v))));
                values.push(Is::OtherValue);
                values
            }
            What::Number(_) => around(&self.thresholds(what)).into_iter().map(Is::Number).collect(),
            What::Mode(mode) => {
                let values = self.program.mode_at(mode).map_or(0, |m| m.values.len());
                return (0..values as u16).map(Is::Word).collect();
            }
            What::Time => self.instants().into_iter().map(Is::Clock).collect(),
            What::Event => return (0..self.events.len()).map(Is::Event).collect(),
            What::Switch(_) | What::Alive(_) | What::Memory(_) | What::Free(_) => return truths(),
        };
        values.push(Is::Unknown);
        values
    }

    fn device_values(&self, device: ActuatorId, property: Name) -> Vec<Is> {
        let mut values = Vec::new();
        let mut note = |value: Value| {
            if !values.contains(&Is::Value(value)) {
                values.push(Is::Value(value));
            }
        };
        self.each_condition(|cond| {
            if let Cond::DeviceIs { device: d, property: p, value } = cond
                && (*d, *p) == (device, property)
            {
                note(*value);
            }
        });
        if let Some((d, p, value)) = self.device_is
            && (d, p) == (device, property)
        {
            note(value);
        }
        values
    }

    /// An instant in every stretch between two times of day that conditions name, and either side of each.
    fn instants(&self) -> Vec<i64> {
        let mut edges = Vec::new();
        self.each_condition(|cond| {
            if let Cond::TimeIn { from: ClockRef::At(from_ns), to: ClockRef::At(to_ns) } = cond {
                edges.extend([from_ns.rem_euclid(DAY_NS), to_ns.rem_euclid(DAY_NS)]);
            }
        });
        edges.sort_unstable();
        edges.dedup();
        let Some(first) = edges.first().copied() else { return vec![12 * 3600 * NS_PER_S] };
        let next = edges.iter().copied().skip(1).chain([first + DAY_NS]);
        let mut instants: Vec<i64> =
            edges.iter().zip(next).map(|(a, b)| (a + (b - a) / 2).rem_euclid(DAY_NS)).collect();
        instants.extend(&edges);
        instants.extend(edges.iter().map(|e| (e - 1).rem_euclid(DAY_NS)));
        instants
    }
}

/// A number in every stretch between constants, and each constant.
fn around(constants: &[f64]) -> Vec<f64> {
    let (Some(first), Some(last)) = (constants.first(), constants.last()) else { return vec![0.0] };
    let mut values = vec![last + 1.0, first - 1.0];
    values.extend(constants.windows(2).map(|w| w[0] + (w[1] - w[0]) / 2.0));
    values.extend(constants);
    values
}

impl Search<'_, '_> {
    /// Assigns variables from `next` on; `None` where it tried too often.
    fn deepen(&mut self, next: usize) -> Option<bool> {
        self.tries += 1;
        if self.tries > TRIES_MAX {
            return None;
        }
        match self.verdict() {
            Some(false) => return Some(false),
            Some(true) => return Some(true),
            None => {}
        }
        let Some((key, values)) = self.variables.get(next).cloned() else { return Some(false) };
        for value in values {
            self.assigned.insert(key, value);
            if self.deepen(next + 1)? {
                return Some(true);
            }
        }
        self.assigned.remove(&key);
        Some(false)
    }

    /// Whether everything asked is so, as far as it is decided.
    fn verdict(&self) -> Option<bool> {
        if !self.memories_fit() || !self.clocks_fit() {
            return Some(false);
        }
        let mut all = true;
        for goal in &self.problem.goals {
            match self.truth(goal.cond, goal.moment) {
                Some(value) if goal.allows(value) => {}
                Some(_) => return Some(false),
                None => all = false,
            }
        }
        if let Some((device, property, value)) = &self.problem.device_is {
            match self.assigned.get(&(0, What::Device(*device, *property))) {
                Some(Is::Value(found)) if found == value => {}
                Some(_) => return Some(false),
                None => all = false,
            }
        }
        if let Some((a, b)) = self.problem.differ {
            match (self.worth(a), self.worth(b)) {
                (Worth::Is(a), Worth::Is(b)) if a == b => return Some(false),
                (Worth::Open, _) | (_, Worth::Open) => all = false,
                _ => {}
            }
        }
        // A memory that is decided before what it looks at may yet be refused.
        let settled = self.problem.goals.iter().all(|g| self.looked_at(g.cond, g.moment))
            && self.problem.differ.is_none_or(|(a, b)| self.choice_looked_at(a) && self.choice_looked_at(b));
        (all && settled).then_some(true)
    }

    fn choice_looked_at(&self, id: u32) -> bool {
        match &self.problem.program.values[id as usize] {
            ValueExpr::If(condition, a, b) => {
                self.looked_at(*condition, 0) && self.choice_looked_at(*a) && self.choice_looked_at(*b)
            }
            _ => true,
        }
    }

    /// Whether each memory below that is decided has what it looks at decided too.
    fn looked_at(&self, id: CondId, moment: Moment) -> bool {
        let program = self.problem.program;
        let decided = self.assigned.contains_key(&(moment, What::Memory(id)));
        match &program.conds[id as usize] {
            Cond::For { inner, .. } => {
                (!decided || self.truth(*inner, moment).is_some()) && self.looked_at(*inner, moment)
            }
            Cond::Until { set, reset, .. } => {
                let known = self.truth(*set, moment).is_some() && self.truth(*reset, moment).is_some();
                (!decided || known) && self.looked_at(*set, moment) && self.looked_at(*reset, moment)
            }
            Cond::Not(inner) | Cond::IsUnknown(inner) => self.looked_at(*inner, moment),
            Cond::And { from, to } | Cond::Or { from, to } => {
                program.children[*from as usize..*to as usize].iter().all(|c| self.looked_at(*c, moment))
            }
            _ => true,
        }
    }

    /// `for`: true only while its condition is, unknown only where that is not false. `until`: true while set, or
    /// latched and not reset; false only where not set.
    fn memories_fit(&self) -> bool {
        self.assigned.iter().all(|((moment, what), is)| {
            let (What::Memory(id), Is::Truth(value)) = (what, is) else { return true };
            match &self.problem.program.conds[*id as usize] {
                Cond::For { inner, .. } => match (value, self.truth(*inner, *moment)) {
                    (_, None) | (Tri::False, _) => true,
                    (Tri::True, Some(inner)) => inner == Tri::True,
                    (Tri::Unknown, Some(inner)) => inner != Tri::False,
                },
                Cond::Until { set, reset, .. } => {
                    let (Some(set), Some(reset)) = (self.truth(*set, *moment), self.truth(*reset, *moment)) else {
                        return true;
                    };
                    match value {
                        Tri::True => set == Tri::True || reset != Tri::True,
                        Tri::False => set == Tri::False,
                        Tri::Unknown => set == Tri::Unknown,
                    }
                }
                _ => true,
            }
        })
    }

    /// A moment before lies before by no more than its lag.
    fn clocks_fit(&self) -> bool {
        let Some(Is::Clock(now)) = self.assigned.get(&(0, What::Time)) else { return true };
        self.problem.lags.iter().enumerate().skip(1).all(|(moment, lag)| {
            match self.assigned.get(&(moment as Moment, What::Time)) {
                Some(Is::Clock(then)) => (now - then).rem_euclid(DAY_NS) <= lag.0,
                _ => true,
            }
        })
    }

    fn get(&self, moment: Moment, what: What) -> Option<Is> {
        self.assigned.get(&(moment, what)).copied()
    }

    /// The truth of a condition, where what it reads is decided.
    fn truth(&self, id: CondId, moment: Moment) -> Option<Tri> {
        let program = self.problem.program;
        match &program.conds[id as usize] {
            Cond::Const(value) => Some(*value),
            Cond::Not(inner) => self.truth(*inner, moment).map(|v| !v),
            Cond::And { from, to } => self.all(*from, *to, moment, Tri::True, Tri::False, Tri::and),
            Cond::Or { from, to } => self.all(*from, *to, moment, Tri::False, Tri::True, Tri::or),
            Cond::IsUnknown(inner) => self.truth(*inner, moment).map(|v| Tri::from(v == Tri::Unknown)),
            Cond::Occupied(zone) => match self.get(moment, What::People(*zone))? {
                Is::Count(count) => Some(Tri::from(count > 0 || self.somebody_known_in(moment, *zone))),
                _ => Some(Tri::Unknown),
            },
            Cond::PersonIn(person, zone) => match self.get(moment, What::Person(*person))? {
                Is::At(at) => Some(Tri::from(at == Some(*zone))),
                _ => Some(Tri::Unknown),
            },
            Cond::DeviceIs { device, property, value } => match self.get(moment, What::Device(*device, *property))? {
                Is::Value(found) => Some(Tri::from(found == *value)),
                Is::OtherValue => Some(Tri::False),
                _ => Some(Tri::Unknown),
            },
            Cond::DeviceUnknown { device, property } => {
                self.get(moment, What::Device(*device, *property)).map(|is| Tri::from(is == Is::Unknown))
            }
            Cond::SwitchIs { sensor, on } => match self.get(moment, What::Switch(*sensor))? {
                Is::Truth(Tri::Unknown) => Some(Tri::Unknown),
                Is::Truth(found) => Some(Tri::from((found == Tri::True) == *on)),
                _ => Some(Tri::Unknown),
            },
            Cond::Alive(sensor) => match self.get(moment, What::Alive(*sensor))? {
                Is::Truth(value) => Some(value),
                _ => Some(Tri::Unknown),
            },
            Cond::NoMotion { from, to } => {
                let sensors = &program.sensors[*from as usize..*to as usize];
                sensors.iter().try_fold(Tri::True, |value, sensor| match self.get(moment, What::Switch(*sensor))? {
                    Is::Truth(motion) => Some(value.and(!motion)),
                    _ => Some(Tri::Unknown),
                })
            }
            Cond::TimeIn { from: ClockRef::At(from_ns), to: ClockRef::At(to_ns) } => {
                match self.get(moment, What::Time)? {
                    Is::Clock(at) => {
                        let (after, before) = (at >= *from_ns, at < *to_ns);
                        Some(Tri::from(if from_ns < to_ns { after && before } else { after || before }))
                    }
                    _ => Some(Tri::Unknown),
                }
            }
            Cond::ModeIs { mode, value } => {
                self.get(moment, What::Mode(*mode)).map(|is| Tri::from(is == Is::Word(*value)))
            }
            Cond::Event { kind, zone, .. } => match self.get(moment, What::Event)? {
                Is::Event(at) if self.problem.events[at] == (*kind, *zone) => self.free(moment, id),
                _ => Some(Tri::False),
            },
            Cond::Compare(how, a, b) => match self.problem.comparison(*a, *b) {
                Some((what, value, left)) => self.compared(moment, *how, what, value, left),
                None => self.free(moment, id),
            },
            Cond::For { .. } | Cond::Until { .. } => match self.get(moment, What::Memory(id))? {
                Is::Truth(value) => Some(value),
                _ => Some(Tri::Unknown),
            },
            _ => self.free(moment, id),
        }
    }

    fn free(&self, moment: Moment, id: CondId) -> Option<Tri> {
        match self.get(moment, What::Free(id))? {
            Is::Truth(value) => Some(value),
            _ => Some(Tri::Unknown),
        }
    }

    fn all(&self, from: u32, to: u32, moment: Moment, start: Tri, ends: Tri, join: fn(Tri, Tri) -> Tri) -> Option<Tri> {
        let mut value = Some(start);
        for child in &self.problem.program.children[from as usize..to as usize] {
            match (self.truth(*child, moment), value) {
                (Some(found), _) if found == ends => return Some(ends),
                (Some(found), Some(so_far)) => value = Some(join(so_far, found)),
                _ => value = None,
            }
        }
        value
    }

    fn somebody_known_in(&self, moment: Moment, zone: ZoneId) -> bool {
        self.known_in(moment, zone) > 0
    }

    fn known_in(&self, moment: Moment, zone: ZoneId) -> u32 {
        let here = |((m, what), is): (&(Moment, What), &Is)| {
            *m == moment && matches!(what, What::Person(_)) && *is == Is::At(Some(zone))
        };
        self.assigned.iter().filter(|e| here((e.0, e.1))).count() as u32
    }

    fn compared(&self, moment: Moment, how: Compare, what: What, constant: f64, left: bool) -> Option<Tri> {
        let number = match (self.get(moment, what)?, what) {
            (Is::Count(count), What::People(zone)) => f64::from(count + self.known_in(moment, zone)),
            (Is::Number(value) | Is::Value(Value::Number(value)), _) => value,
            _ => return Some(Tri::Unknown),
        };
        let (number, constant) = ((number, number), (constant, constant));
        Some(if left { compare(how, number, constant) } else { compare(how, constant, number) })
    }

    fn worth(&self, id: u32) -> Worth {
        match &self.problem.program.values[id as usize] {
            ValueExpr::Const(value) => Worth::Is(*value),
            ValueExpr::If(condition, then, otherwise) => match self.truth(*condition, 0) {
                None => Worth::Open,
                Some(Tri::True) => self.worth(*then),
                Some(_) => self.worth(*otherwise),
            },
            _ => Worth::Any,
        }
    }
}
