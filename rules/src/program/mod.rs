//! The compiled program: every rule unrolled over the site into instances, their conditions as flat nodes.
//!
//! A `for each room r` is unrolled when the site is known, so that an instance holds the ids it speaks of and the hot
//! path resolves nothing. Nodes refer to earlier nodes by index; a node that remembers (`for`, `until`) names a slot
//! of the unit (instance, or person in an instance) that it is evaluated for.
//!
//! | file | what it holds |
//! |---|---|
//! | `expr.rs` | conditions, numbers, values |
//! | `instance.rs` | a rule for one choice of its variables |
//! | `modes.rs` | a mode as operators and tests name it |
//! | `same.rs` | whether a condition says the same of two in either order |

mod expr;
mod instance;
mod modes;
mod same;

pub(crate) use expr::{
    AcrossGaps, BadgeOf, COUNTED, ClockRef, Compare, Cond, CondId, Num, NumId, PersonRef, Sensed, SeqKind, SeqPart,
    SlotRef, Target, TextPart, ValueExpr, Var, Who, WindowKind,
};
pub(crate) use instance::{
    Binding, CountOp, Course, Damper, ForbidTarget, HoldTarget, Instance, OnUnknown, OncePer, Pairs, Per, Send, Shape,
    Step,
};
pub use modes::NoSuchMode;
pub(crate) use same::fold_condition;

use crate::diag::Span;
use osmose_model::command::{Combine, LevelRank, Terms, Value};
use osmose_model::ids::{ActuatorId, Name, PersonId, RuleId, SensorId, ZoneId};
use osmose_model::time::DurationNs;

/// Most places of memory (`for`, `until`, a part of a sequence) in one rule whose condition speaks of a person.
pub const SLOTS_PER_CONTEXT_MAX: usize = 8;

/// What a rule does when a command is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// It is counted.
    Count,
    /// It is dropped and counted.
    Drop,
    /// The device goes to its safe state.
    FailSafe,
}

/// What is known of a rule beside its instances.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleInfo {
    /// Its name.
    pub name: String,
    /// The file it stands in, as given.
    pub file: String,
    /// Where in the file.
    pub span: Span,
    /// Whether it is an interlock.
    pub interlock: bool,
    /// Its level.
    pub level: LevelRank,
    /// Its deadline, and what happens beyond it.
    pub deadline: Option<(DurationNs, Late)>,
    /// Hash of what its state depends on: state is carried over a reload where it is the same.
    pub shape: u64,
    /// Its instances' numbers.
    pub instances: std::ops::Range<u32>,
    pub(crate) settle: DurationNs,
    pub(crate) release_after: DurationNs,
    pub(crate) dampers: Vec<Damper>,
    pub(crate) on_unknown: OnUnknown,
    /// Unknown counts as true in its conditions: its level is privacy or above.
    pub(crate) protective: bool,
    /// Identities below this are no identities.
    pub(crate) confidence: f64,
    /// The names of its person variables.
    pub(crate) track_names: [Option<Name>; 2],
    /// A schedule missed by no more than this still runs.
    pub(crate) catch_up: Option<DurationNs>,
}

/// A mode and its values.
#[derive(Clone, Debug, PartialEq)]
pub struct ModeInfo {
    /// Its name.
    pub name: String,
    /// Its values in order.
    pub values: Vec<String>,
    /// Which of them it starts with.
    pub default: u16,
    /// First of its places in the state; one, or one for every zone.
    pub(crate) base: u16,
    /// It is kept per zone.
    pub per_zone: bool,
}

/// A counter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CounterInfo {
    pub(crate) name: String,
    pub(crate) base: u16,
    pub(crate) per_zone: bool,
    /// It begins anew every local day.
    pub(crate) daily: bool,
    /// How long a count lasts, where it does not stay.
    pub(crate) lasts: Option<DurationNs>,
}

/// A number's recent past.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WindowInfo {
    pub(crate) of: NumId,
    pub(crate) kind: WindowKind,
    pub(crate) length: DurationNs,
}

/// A stretch of time that a calendar gives to a zone (or to none).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Booking {
    pub(crate) calendar: u16,
    pub(crate) zone: Option<ZoneId>,
    /// UTC, nanoseconds.
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) organiser: Option<PersonId>,
}

/// What a policy lets pass of one command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GuardInfo {
    pub(crate) name: String,
    /// Ascending.
    pub(crate) devices: Vec<ActuatorId>,
    pub(crate) verb: Name,
    /// Which calls it is about; all where `None`.
    pub(crate) filter: Option<CondId>,
    pub(crate) allow: CondId,
    pub(crate) confidence: f64,
    /// Who is told that it was not let pass, by which device, and what.
    pub(crate) tell: Option<(PersonRef, ActuatorId)>,
}

/// Instances to wake, by what happened. Every list is ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Index {
    pub(crate) by_zone: Vec<Vec<u32>>,
    pub(crate) by_sensor: Vec<Vec<u32>>,
    pub(crate) by_device: Vec<Vec<u32>>,
    pub(crate) by_clock: Vec<u32>,
    /// Instances that read where known people are, whatever the zone.
    pub(crate) everywhere: Vec<u32>,
    /// Instances that a booking's release matters to.
    pub(crate) by_booking: Vec<u32>,
    /// Instances that look at whoever moves.
    pub(crate) moved: Vec<u32>,
    /// By zone: instances that look at who moves inside.
    pub(crate) moved_in: Vec<Vec<u32>>,
    /// By place of a mode, and by place of a counter, in the state.
    pub(crate) by_mode: Vec<Vec<u32>>,
    pub(crate) by_counter: Vec<Vec<u32>>,
}

/// A way that a rule can go once it acts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// A property gets this value, which an `if` chose.
    Value(Name, Value),
    /// A kind of device gets this command, on the way or behind `else`.
    Command(osmose_model::device::ActuatorKind, Name),
}

/// A checked and compiled set of rules for one site.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub(crate) rules: Vec<RuleInfo>,
    pub(crate) levels: Vec<String>,
    pub(crate) modes: Vec<ModeInfo>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) conds: Vec<Cond>,
    pub(crate) nums: Vec<Num>,
    pub(crate) children: Vec<CondId>,
    pub(crate) sensors: Vec<SensorId>,
    pub(crate) values: Vec<ValueExpr>,
    pub(crate) index: Index,
    pub(crate) slots: u32,
    pub(crate) holders: u32,
    /// Recorders and the zone whose session each opens.
    pub(crate) recorders: Vec<(ActuatorId, ZoneId)>,
    /// Sensors that watch each zone for people, by zone: a count is a lower bound where one is dead.
    pub(crate) watchers: Vec<Vec<SensorId>>,
    pub(crate) zones: usize,
    /// Names of the site's people, so that sessions survive a change of the people file.
    pub(crate) people: Vec<String>,
    /// Names of its groups, for the same.
    pub(crate) groups: Vec<String>,
    /// Kinds of its actuators.
    pub(crate) kinds: Vec<osmose_model::device::ActuatorKind>,
    pub(crate) lost: DurationNs,
    pub(crate) sequence: Vec<SeqPart>,
    pub(crate) counters: Vec<CounterInfo>,
    pub(crate) windows: Vec<WindowInfo>,
    /// By column: a declared attribute by person; a number, 1 or 0 for yes or no, nothing where not given.
    pub(crate) columns: Vec<(String, Vec<Option<f64>>)>,
    /// Ascending by calendar, then beginning.
    pub(crate) bookings: Vec<Booking>,
    pub(crate) guards: Vec<GuardInfo>,
    /// What is remembered of people: the dampers that count by them.
    pub(crate) of_people: Vec<OfPeople>,
    /// Straight pieces of all walls, and of the zone with the most: what one look at a place may go through.
    pub(crate) pieces: u32,
    /// Straight pieces of each zone.
    pub(crate) zone_pieces: Vec<u32>,
    /// Latitude and longitude, degrees, for the sun.
    pub(crate) place_deg: Option<(f64, f64)>,
    /// `rule a over b`, and what follows from it: ascending pairs.
    pub(crate) over: Vec<(RuleId, RuleId)>,
    /// `combine`, by device and property.
    pub(crate) combine: Vec<(ActuatorId, Name, Combine)>,
    /// Devices that a `manual` line names, ascending.
    pub(crate) by_hand: Vec<ActuatorId>,
}

/// A damper of an instance that counts by a person, or by two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OfPeople {
    pub(crate) instance: u32,
    /// Which of the rule's dampers.
    pub(crate) damper: u8,
    pub(crate) pairs: bool,
}

impl Program {
    /// The rules and interlocks, numbered as [`RuleId`].
    pub fn rules(&self) -> &[RuleInfo] {
        &self.rules
    }

    /// A rule by its number.
    pub fn rule(&self, id: RuleId) -> Option<&RuleInfo> {
        self.rules.get(id.index())
    }

    /// The number of a rule by its name.
    pub fn rule_named(&self, name: &str) -> Option<RuleId> {
        self.rules.iter().position(|r| r.name == name).map(|i| RuleId(i as u16))
    }

    /// Level names, the highest first, numbered as [`LevelRank`].
    pub fn levels(&self) -> &[String] {
        &self.levels
    }

    /// Modes.
    pub fn modes(&self) -> &[ModeInfo] {
        &self.modes
    }

    /// Straight pieces that the distance between two things may go through.
    pub(crate) fn pieces_between(&self, a: Target, b: Target) -> u32 {
        let of = |target| match target {
            Target::Zone(zone) => self.zone_pieces[zone.index()],
            Target::Wall(_) => self.pieces,
            Target::Person(_) | Target::Device(_) | Target::Focus => 0,
        };
        of(a) + of(b)
    }

    /// The mode that a place in the state is of.
    pub(crate) fn mode_at(&self, place: u16) -> Option<&ModeInfo> {
        self.modes.iter().rev().find(|m| m.base <= place)
    }

    /// How many instances the rules were unrolled to.
    pub fn instance_count(&self) -> usize {
        self.instances.len()
    }

    /// How many holders there are: every [`HolderId`](osmose_model::ids::HolderId) is below.
    pub fn holder_count(&self) -> u32 {
        self.holders
    }

    /// Pairs of rules of which the first outranks the second inside their level, ascending and transitive.
    pub fn over(&self) -> &[(RuleId, RuleId)] {
        &self.over
    }

    /// How the holders of one level combine, for the properties that declare it.
    pub fn combine(&self) -> &[(ActuatorId, Name, Combine)] {
        &self.combine
    }

    /// What these rules say about who wins a device. People act at the level `user`, and holds are
    /// leases from `privacy` up, where there are such levels.
    pub fn terms(&self) -> Terms {
        let rank =
            |word: &str| self.levels.iter().position(|l| l == word).and_then(|r| u8::try_from(r).ok()).map(LevelRank);
        Terms {
            holders: self.holders,
            lease_level: rank("privacy"),
            user_level: rank("user"),
            order: self.over.clone(),
            combine: self.combine.clone(),
            by_hand: self.by_hand.clone(),
        }
    }

    /// The devices that may be told something else because `device` is in another state, ascending: those of every rule
    /// that reads it, those of rules that read a mode or counter which such a rule sets, and those under a policy, which
    /// may read anything.
    pub fn followers(&self, device: ActuatorId) -> Vec<ActuatorId> {
        let mut wake = self.index.by_device.get(device.index()).cloned().unwrap_or_default();
        let mut seen = vec![false; self.instances.len()];
        let mut devices: Vec<ActuatorId> = self.guards.iter().flat_map(|g| &g.devices).copied().collect();
        while let Some(number) = wake.pop() {
            let number = number as usize;
            if std::mem::replace(&mut seen[number], true) {
                continue;
            }
            let instance = &self.instances[number];
            devices.extend(instance.sends().map(|s| s.device));
            devices.extend(instance.holds.iter().map(|h| h.device));
            devices.extend(instance.forbids.iter().map(|f| f.device));
            for step in instance.steps.iter().chain(instance.branches.iter().flatten()) {
                match step {
                    Step::Mode { mode, .. } => wake.extend(&self.index.by_mode[usize::from(*mode)]),
                    Step::Count { counter, .. } => wake.extend(&self.index.by_counter[usize::from(*counter)]),
                    _ => {}
                }
            }
        }
        devices.sort_unstable();
        devices.dedup();
        devices
    }

    /// The ways that a rule can go once it acts: a value that an `if` chooses, and, where it has several steps, each
    /// command. What every action takes is no way; a rule without a choice has none.
    pub fn ways(&self, rule: RuleId) -> Vec<Way> {
        let mut ways: Vec<Way> = Vec::new();
        let mut add = |way: Way| {
            if !ways.contains(&way) {
                ways.push(way);
            }
        };
        for instance in self.instances.iter().filter(|i| i.rule == rule) {
            let held = instance.holds.iter().map(|h| (h.property, h.value));
            let sent = instance.sends().flat_map(|s| s.args.iter().copied());
            for (property, value) in held.chain(sent) {
                if let ValueExpr::If(..) = self.values[value as usize] {
                    self.chosen(value, &mut |value| add(Way::Value(property, value)));
                }
            }
            let waits = instance.steps.iter().any(|s| matches!(s, Step::Wait { .. } | Step::Ask { .. }));
            if waits || !instance.branches.is_empty() {
                instance.sends().for_each(|send| add(Way::Command(self.kind_of(send), send.verb)));
            }
        }
        ways
    }

    /// The constants that a value may come to.
    fn chosen(&self, value: u32, found: &mut dyn FnMut(Value)) {
        match self.values[value as usize] {
            ValueExpr::Const(value) => found(value),
            ValueExpr::If(_, then, otherwise) => {
                self.chosen(then, found);
                self.chosen(otherwise, found);
            }
            _ => {}
        }
    }

    fn kind_of(&self, send: &Send) -> osmose_model::device::ActuatorKind {
        self.kinds[send.device.index()]
    }

    /// The devices that a rule can drive, ascending.
    pub fn drives(&self, rule: RuleId) -> Vec<ActuatorId> {
        let mut devices: Vec<ActuatorId> = Vec::new();
        for instance in self.instances.iter().filter(|i| i.rule == rule) {
            devices.extend(instance.sends().map(|s| s.device));
            devices.extend(instance.holds.iter().map(|h| h.device));
        }
        devices.sort_unstable();
        devices.dedup();
        devices
    }

    /// The devices that a rule holds under a lease, where they take one: what it holds at level `privacy` or above.
    pub fn leases(&self, rule: RuleId) -> Vec<ActuatorId> {
        let lowest = self.terms().lease_level;
        if self.rule(rule).is_none_or(|info| lowest.is_none_or(|lowest| info.level > lowest)) {
            return Vec::new();
        }
        let of_rule = self.instances.iter().filter(|i| i.rule == rule);
        let mut devices: Vec<ActuatorId> = of_rule.flat_map(|i| &i.holds).map(|h| h.device).collect();
        devices.sort_unstable();
        devices.dedup();
        devices
    }
}
