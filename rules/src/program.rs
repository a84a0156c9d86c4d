//! The compiled program: every rule unrolled over the site into instances, their conditions as flat nodes.
//!
//! A `for each room r` is unrolled when the site is known, so that an instance holds the ids it speaks of and the hot
//! path resolves nothing. Nodes refer to earlier nodes by index; a node that remembers (`for`, `until`) names a slot
//! of the unit (instance, or person in an instance) that it is evaluated for.

use crate::diag::Span;
use osmose_model::command::{LevelRank, Value};
use osmose_model::ids::{ActuatorId, GroupId, HolderId, Name, PersonId, RuleId, SensorId, ZoneId};
use osmose_model::time::DurationNs;
use osmose_model::tri::Tri;
use osmose_model::world::EventKind;

/// Most remembering conditions (`for`, `until`) in one rule whose condition speaks of a person.
pub const SLOTS_PER_CONTEXT_MAX: usize = 4;

/// Index of a condition node.
pub(crate) type CondId = u32;
/// Index of a number node.
pub(crate) type NumId = u32;

/// Whom an event or a quantifier speaks of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Who {
    /// Anybody.
    Anyone,
    /// One known person.
    Person(PersonId),
    /// A group.
    Members(GroupId),
    /// The session of a zone.
    Participants(ZoneId),
    /// Whoever is in a zone.
    InZone(ZoneId),
}

/// How a comparison compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
}

/// What a dwell does when its condition was unknown for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcrossGaps {
    /// Continues where the gap is shorter than the site's lost time, else restarts.
    ContinueIfShort,
    Continue,
    Restart,
    /// Restarts, and is unknown meanwhile.
    Unknown,
}

/// Where a remembering condition keeps its memory: with the instance, or with each person that it speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotRef {
    Instance(u8),
    Track(u8),
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cond {
    Const(Tri),
    Not(CondId),
    /// Children are `children[from..to]`.
    And {
        from: u32,
        to: u32,
    },
    Or {
        from: u32,
        to: u32,
    },
    Compare(Compare, NumId, NumId),
    Occupied(ZoneId),
    /// The bound person is in the zone.
    TrackIn(ZoneId),
    /// The bound person belongs to them.
    TrackIs(Who),
    /// The bound person is known with the rule's confidence.
    TrackIdentified,
    PersonIn(PersonId, ZoneId),
    /// Somebody of them is in the zone.
    AnyIn(Who, ZoneId),
    /// All of them are in the zone.
    EveryIn(Who, ZoneId),
    /// The deciding event is this one.
    Event {
        kind: EventKind,
        who: Who,
        zone: ZoneId,
    },
    /// A person at the controls has reset the rule.
    OperatorReset,
    DeviceIs {
        device: ActuatorId,
        property: Name,
        value: Value,
    },
    SwitchIs {
        sensor: SensorId,
        on: bool,
    },
    Alive(SensorId),
    /// No motion sensor in `sensors[from..to]` sees motion.
    NoMotion {
        from: u32,
        to: u32,
    },
    /// Time of day in `from_ns..to_ns` since midnight; over midnight where `to` is not after `from`.
    TimeIn {
        from_ns: i64,
        to_ns: i64,
    },
    ModeIs {
        mode: u16,
        value: u16,
    },
    IsUnknown(CondId),
    NumberUnknown(NumId),
    DeviceUnknown {
        device: ActuatorId,
        property: Name,
    },
    For {
        inner: CondId,
        length: DurationNs,
        across: AcrossGaps,
        slot: SlotRef,
    },
    Until {
        set: CondId,
        reset: CondId,
        slot: SlotRef,
    },
}

/// A number, evaluated as an interval: what is not known exactly has width.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Num {
    Const(f64),
    Count(ZoneId),
    Device {
        device: ActuatorId,
        property: Name,
    },
    Sensor(SensorId),
    /// Probability of the bound person's identity.
    Confidence,
    Add(NumId, NumId),
    Sub(NumId, NumId),
    Mul(NumId, NumId),
    Div(NumId, NumId),
}

/// A piece of a text with holes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TextPart {
    Literal(String),
    /// Who the bound person is.
    Track,
    /// The bound person's language.
    Language,
}

/// A value that a command carries or a hold keeps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ValueExpr {
    Const(Value),
    Number(NumId),
    /// The bound person.
    Track,
    /// The bound person's language, as text; empty where not known.
    Language,
    Text(Vec<TextPart>),
    /// The condition, and the index in `values` of either value. Unknown takes the second.
    If(CondId, u32, u32),
}

/// One command of a `do`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Send {
    pub(crate) device: ActuatorId,
    pub(crate) verb: Name,
    /// Sorted by name; the value's index in `values`.
    pub(crate) args: Vec<(Name, u32)>,
}

/// One held property of one device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HoldTarget {
    pub(crate) holder: HolderId,
    pub(crate) device: ActuatorId,
    pub(crate) property: Name,
    pub(crate) value: u32,
    pub(crate) at_start: bool,
}

/// One forbidden command of one device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ForbidTarget {
    pub(crate) holder: HolderId,
    pub(crate) device: ActuatorId,
    pub(crate) verb: Name,
}

/// How an instance wakes and what it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `when` with an event verb: decided at the event.
    Event,
    /// `when` on a state, of the instance as a whole.
    Edge,
    /// `when` on a state, per person.
    EdgePerTrack,
    /// `while`.
    Level,
}

/// What a running level rule does when its condition turns unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnUnknown {
    /// Stays as it is.
    Keep,
    /// Counts as false.
    Release,
    /// Counts as true.
    Hold,
}

/// A rule for one choice of its `for each` variables.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Instance {
    pub(crate) rule: RuleId,
    pub(crate) shape: Shape,
    /// `for each` variables and what they stand for, in order.
    pub(crate) bindings: Vec<(Name, ZoneId)>,
    /// Root of `when` or `while`.
    pub(crate) condition: CondId,
    /// Root of all `if`s joined, and whether it remembers anything and so must be kept up to date.
    pub(crate) guard: Option<CondId>,
    pub(crate) guard_remembers: bool,
    /// Conditions that a cause reports, with the place of each in its file.
    pub(crate) reported: Vec<(u32, CondId)>,
    pub(crate) sends: Vec<Send>,
    pub(crate) holds: Vec<HoldTarget>,
    pub(crate) forbids: Vec<ForbidTarget>,
    /// First of the instance's slots in the evaluator's table.
    pub(crate) slot_base: u32,
    /// How many slots the instance has.
    pub(crate) slots: u8,
    /// How many slots each person in it has besides.
    pub(crate) track_slots: u8,
    /// Zones that the bound person is asked about: a person in one of them has a context.
    pub(crate) track_zones: Vec<ZoneId>,
    /// Zones whose events change what holds for every person in it alike (`m7 is occupied`).
    pub(crate) shared_zones: Vec<ZoneId>,
    /// Every event does.
    pub(crate) everywhere: bool,
}

/// How often a rule may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OncePer {
    /// Once while the person's visit lasts.
    Visit,
    /// Once a local day.
    Day,
    /// Once in this long.
    Length(DurationNs),
}

/// A damper with whom it counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damper {
    pub(crate) once: OncePer,
    pub(crate) per_track: bool,
}

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
    /// The name of its person variable.
    pub(crate) track_name: Option<Name>,
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
    pub(crate) lost: DurationNs,
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

    /// How many instances the rules were unrolled to.
    pub fn instance_count(&self) -> usize {
        self.instances.len()
    }

    /// How many holders there are: every [`HolderId`] is below.
    pub fn holder_count(&self) -> u32 {
        self.holders
    }

    /// The devices that a rule can drive, ascending.
    pub fn drives(&self, rule: RuleId) -> Vec<ActuatorId> {
        let mut devices: Vec<ActuatorId> = Vec::new();
        for instance in self.instances.iter().filter(|i| i.rule == rule) {
            devices.extend(instance.sends.iter().map(|s| s.device));
            devices.extend(instance.holds.iter().map(|h| h.device));
        }
        devices.sort_unstable();
        devices.dedup();
        devices
    }
}
