//! A rule for one choice of its variables: what wakes it, what it does and holds, how often it may.

use super::{CondId, Var};
use osmose_model::ids::{ActuatorId, GroupId, HolderId, Name, PersonId, RuleId, SensorId, WallId, ZoneId};
use osmose_model::time::DurationNs;

/// One command of a `do`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Send {
    pub(crate) device: ActuatorId,
    pub(crate) verb: Name,
    /// Sorted by name; the value's index in `values`.
    pub(crate) args: Vec<(Name, u32)>,
}

/// What a counter is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum CountOp {
    /// So many more, each for as long as the counter says, or for this long, or until this time of day.
    Add {
        by: u32,
        lasts: Option<DurationNs>,
        until: Option<i64>,
    },
    /// So many fewer, the oldest first.
    Take(u32),
    Reset,
}

/// One step of a `do`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Send(Send),
    /// Waits; the rest is not done where `unless` comes true meanwhile.
    Wait {
        length: DurationNs,
        unless: Option<CondId>,
    },
    /// Sends a question and waits for its answer. A yes goes on with the next step; a no or nothing in time does
    /// `branches[otherwise]` instead, and that is the end.
    Ask {
        send: Send,
        length: DurationNs,
        otherwise: u32,
    },
    /// Sets a mode.
    Mode {
        mode: u16,
        value: u16,
    },
    Count {
        counter: u16,
        op: CountOp,
    },
    /// What is booked now in the zone is booked no more.
    ReleaseBooking {
        calendar: u16,
        zone: Option<ZoneId>,
    },
}

/// How a held value may move.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Course {
    /// A change takes so long, in a straight line; zero where at once.
    pub(crate) over: DurationNs,
    /// At most one new value in this long.
    pub(crate) every: DurationNs,
    /// At most this much at a time.
    pub(crate) step: Option<f64>,
    /// Not for less than this.
    pub(crate) band: Option<f64>,
}

/// One held property of one device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HoldTarget {
    pub(crate) holder: HolderId,
    pub(crate) device: ActuatorId,
    pub(crate) property: Name,
    pub(crate) value: u32,
    pub(crate) at_start: bool,
    /// How it moves, where not at once.
    pub(crate) course: Option<Course>,
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
    /// `when` with an event verb and no memory: decided at the event.
    Event,
    /// `when` with something that happens, and what it remembers kept with the instance: acts whenever it is true.
    Instant,
    /// The same, and what it remembers kept per person.
    InstantPerTrack,
    /// `when` on a state, per pair of persons.
    EdgePerPair,
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

impl Shape {
    /// Whether it follows persons.
    pub(crate) fn per_track(self) -> bool {
        matches!(self, Shape::InstantPerTrack | Shape::EdgePerTrack | Shape::EdgePerPair)
    }
}

/// What a `for each` variable stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Zone(ZoneId),
    Wall(WallId),
    Device(ActuatorId),
    Sensor(SensorId),
    Person(PersonId),
    Group(GroupId),
}

/// Two persons in one rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pairs {
    /// Its condition is false of two who are further apart, metres.
    pub(crate) reach_m: f64,
    /// It says the same of the two in either order, so that a pair is looked at once.
    pub(crate) symmetric: bool,
}

/// A rule for one choice of its `for each` variables.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Instance {
    pub(crate) rule: RuleId,
    pub(crate) shape: Shape,
    /// `for each` variables and what they stand for, in order.
    pub(crate) bindings: Vec<(Name, Binding)>,
    /// Root of `when` or `while`.
    pub(crate) condition: CondId,
    /// Root of all `if`s joined, and whether it remembers anything and so must be kept up to date.
    pub(crate) guard: Option<CondId>,
    pub(crate) guard_remembers: bool,
    /// Conditions that a cause reports, with the place of each in its file.
    pub(crate) reported: Vec<(u32, CondId)>,
    /// What a `do` does, one after the other.
    pub(crate) steps: Vec<Step>,
    /// What is done instead where a question is not answered with yes.
    pub(crate) branches: Vec<Vec<Step>>,
    /// Some step waits, so that runs may be under way.
    pub(crate) waits: bool,
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
    /// It has two persons.
    pub(crate) pairs: Option<Pairs>,
    /// Its persons may be anywhere: whoever moves is looked at.
    pub(crate) roams: bool,
    /// It reads where and how fast its persons are, not only their zones.
    pub(crate) reads_motion: bool,
    /// Something in its condition holds for an instant only, so every stimulus of a step is looked at by itself.
    pub(crate) instant: bool,
}

impl Instance {
    /// Every command that it may send.
    pub(crate) fn sends(&self) -> impl Iterator<Item = &Send> {
        self.steps.iter().chain(self.branches.iter().flatten()).filter_map(|step| match step {
            Step::Send(send) | Step::Ask { send, .. } => Some(send),
            _ => None,
        })
    }
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
    pub(crate) per: Per,
}

/// By whom a damper counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    /// By the instance.
    Instance,
    /// By one of its persons.
    Var(Var),
    /// By two persons, in either order.
    Pair,
}
