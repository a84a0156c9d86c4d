//! The compiled program: every rule unrolled over the site into instances, their conditions as flat nodes.
//!
//! A `for each room r` is unrolled when the site is known, so that an instance holds the ids it speaks of and the hot
//! path resolves nothing. Nodes refer to earlier nodes by index; a node that remembers (`for`, `until`) names a slot
//! of the unit (instance, or person in an instance) that it is evaluated for.

use crate::diag::Span;
use osmose_model::command::{Combine, LevelRank, Terms, Value};
use osmose_model::ids::{ActuatorId, GroupId, HolderId, Name, PersonId, RuleId, SensorId, WallId, ZoneId};
use osmose_model::observation::Direction;
use osmose_model::time::DurationNs;
use osmose_model::tri::Tri;
use osmose_model::world::EventKind;

/// Most places of memory (`for`, `until`, a part of a sequence) in one rule whose condition speaks of a person.
pub const SLOTS_PER_CONTEXT_MAX: usize = 8;

/// Index of a condition node.
pub(crate) type CondId = u32;
/// Index of a number node.
pub(crate) type NumId = u32;

/// Which of a rule's persons: 0 and 1 are its variables, [`COUNTED`] is who `count(q in z where ...)` looks at.
pub(crate) type Var = u8;
/// The person that a `count` with `where` looks at.
pub(crate) const COUNTED: Var = 2;

/// Something that has a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    Person(PersonRef),
    Wall(WallId),
    /// Where a device hangs.
    Device(ActuatorId),
    /// The middle of the floor area that the guarded device is aimed at.
    Focus,
    Zone(ZoneId),
}

/// A time of day that may move with the sun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ClockRef {
    /// Nanoseconds since midnight.
    At(i64),
    /// Sunrise (or sunset) and so many nanoseconds; the day's value is kept in an instance's slot.
    Sun { rises: bool, offset_ns: i64, slot: u8 },
}

/// Whose badge was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadgeOf {
    Anybody,
    /// Anybody known.
    Known,
    /// Nobody known.
    Unknown,
    Members(GroupId),
    Person(PersonId),
}

/// What a sensor said just now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sensed {
    /// A button was pressed (this one, or any).
    Pressed(Option<Name>),
    Badge(BadgeOf),
    Crossed(Direction),
}

/// A part of a sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SeqPart {
    pub(crate) cond: CondId,
    /// The longest time behind the part before; any where `None`.
    pub(crate) within: Option<DurationNs>,
    pub(crate) kind: SeqKind,
}

/// How a part of a sequence comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeqKind {
    /// By happening.
    Event,
    /// By a state: the first for as long as it holds, a later one when it begins to hold.
    State,
    /// By not happening (or not being so) for the whole time.
    Absent,
}

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

impl SlotRef {
    /// The place that is so many further on.
    pub(crate) fn plus(self, further: u32) -> Self {
        match self {
            SlotRef::Instance(slot) => SlotRef::Instance(slot.saturating_add(further as u8)),
            SlotRef::Track(slot) => SlotRef::Track(slot.saturating_add(further as u8)),
        }
    }
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
    /// A bound person is in the zone.
    TrackIn(Var, ZoneId),
    /// A bound person belongs to them.
    TrackIs(Var, Who),
    /// A bound person is known with the rule's confidence.
    TrackIdentified(Var),
    /// A declared yes-or-no attribute of a bound person, by its column.
    TrackAttribute(Var, u16),
    /// Two that both name a person name the same one.
    SamePerson(PersonRef, PersonRef),
    /// A named argument of the guarded command is true.
    Argument(Name),
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
        var: Var,
    },
    /// One of `sensors[from..to]` said this just now.
    Sensed {
        from: u32,
        to: u32,
        what: Sensed,
    },
    /// A bound person made this gesture just now, before one of `sensors[from..to]`.
    Gesture {
        var: Var,
        gesture: Name,
        from: u32,
        to: u32,
    },
    /// A bound person looks at it, to within the angle, and it can be seen from there.
    Facing {
        var: Var,
        target: Target,
        half_rad: f64,
    },
    /// A bound person comes nearer by at least this much a second.
    Approaching {
        var: Var,
        target: Target,
        speed_mps: f64,
    },
    /// Nothing that one cannot see through stands between.
    Sees(Target, Target),
    /// A bound person's way from where he was to where he is leads through it; the slot keeps where he was.
    Crosses {
        var: Var,
        wall: WallId,
        slot: SlotRef,
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
    /// Time of day in `from..to`; over midnight where `to` is not after `from`.
    TimeIn {
        from: ClockRef,
        to: ClockRef,
    },
    /// It is this time of day, or not longer past than `window`; once a local day, which the slot remembers.
    TimeIs {
        at: ClockRef,
        window: DurationNs,
        slot: u8,
    },
    /// The local day of the week is one of these (bit 0 is Monday).
    DayIn(u8),
    /// The sun is above the horizon; the slot keeps until when that is known.
    SunUp {
        slot: u8,
    },
    /// A booking of the calendar (in the zone) that is not released began at least `length` ago and goes on.
    Booked {
        calendar: u16,
        zone: Option<ZoneId>,
        length: DurationNs,
    },
    /// `mode` is the mode's place in the state: of one kept per zone the zone's own.
    ModeIs {
        mode: u16,
        value: u16,
    },
    /// A person set the device, and that lasts.
    SetByHand(ActuatorId),
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
    /// It happened, not longer than `length` ago.
    Within {
        event: CondId,
        length: DurationNs,
        slot: SlotRef,
    },
    /// It happened `times` times within `length`, this being the last; the slots keep when.
    Times {
        event: CondId,
        times: u8,
        length: DurationNs,
        slot: SlotRef,
    },
    /// The parts `sequence[from..to]` came one after the other, the last just now; one slot each.
    Sequence {
        from: u32,
        to: u32,
        slot: SlotRef,
    },
}

/// Something that names a person when the rule runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PersonRef {
    Person(PersonId),
    Var(Var),
    /// A named argument of the guarded command.
    Argument(Name),
}

/// What a window says of a number's recent past.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum WindowKind {
    /// Its mean over the time.
    Mean,
    /// How much it rose since then.
    Change,
    /// How long a quantity that is driven to this goal takes to come near it, as learnt from how it rose before, seconds.
    WarmUp(f64),
}

/// A number, evaluated as an interval: what is not known exactly has width.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Num {
    Const(f64),
    Count(ZoneId),
    /// People in a zone of whom a condition on [`COUNTED`] holds. Its memory is kept per person in contexts whose
    /// second key is `nth` from the end.
    CountWhere {
        zone: ZoneId,
        cond: CondId,
        nth: u8,
        slots: u8,
    },
    /// Between two places, metres.
    Distance(Target, Target),
    /// Of a bound person, m/s.
    Speed(Var),
    /// How uncertain the place of a bound person is: the standard deviation in its worst direction, metres.
    Spread(Var),
    /// How long ago a person may have left a zone, at the longest, seconds.
    LeftAgo(Var, ZoneId),
    /// Seconds until the next booking begins; 0 while one goes on.
    StartsIn {
        /// Which calendar.
        calendar: u16,
        /// Of which zone.
        zone: Option<ZoneId>,
    },
    /// A declared number of a bound person, by its column.
    TrackAttribute(Var, u16),
    /// A counter, by its place in the state.
    Counter(u16),
    /// `windows[i]`.
    Window(u16),
    /// How long a condition has held, seconds; at the instant at which it ends, how long it did.
    Lasting {
        cond: CondId,
        slot: SlotRef,
    },
    /// Height of the sun, degrees.
    SunElevation,
    Device {
        device: ActuatorId,
        property: Name,
    },
    Sensor(SensorId),
    /// Probability of a person's identity.
    Confidence(PersonRef),
    /// A named argument of the guarded command.
    Argument(Name),
    Min(NumId, NumId),
    Max(NumId, NumId),
    Add(NumId, NumId),
    Sub(NumId, NumId),
    Mul(NumId, NumId),
    Div(NumId, NumId),
}

/// A piece of a text with holes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TextPart {
    Literal(String),
    /// Who a bound person is.
    Track(Var),
    /// A bound person's language.
    Language(Var),
    /// The people in a zone, by name.
    People(ZoneId),
    /// A number.
    Number(NumId),
}

/// A value that a command carries or a hold keeps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ValueExpr {
    Const(Value),
    Number(NumId),
    /// A bound person.
    Track(Var),
    /// A bound person's language, as text; empty where not known.
    Language(Var),
    Text(Vec<TextPart>),
    /// Who booked what goes on in the zone.
    Organiser {
        calendar: u16,
        zone: Option<ZoneId>,
    },
    /// The number of the question being asked.
    Question,
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

    /// The mode that a place in the state is of.
    pub(crate) fn mode_at(&self, place: u16) -> Option<&ModeInfo> {
        self.modes.iter().rev().find(|m| m.base <= place)
    }

    /// How many instances the rules were unrolled to.
    pub fn instance_count(&self) -> usize {
        self.instances.len()
    }

    /// How many holders there are: every [`HolderId`] is below.
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

/// A condition on two persons as a number (FNV-1a over its shape) that is the same whatever the order of what is joined;
/// with `swap` the persons change places. Equal numbers mean that it says the same of a pair in either order.
pub(crate) fn fold_condition(program: &Program, cond: CondId, swap: bool) -> u64 {
    let of = |var: Var| if swap && var < COUNTED { 1 - var } else { var };
    let person = |p: PersonRef| match p {
        PersonRef::Var(var) => PersonRef::Var(of(var)),
        other => other,
    };
    let target = |t: Target| match t {
        Target::Person(p) => Target::Person(person(p)),
        other => other,
    };
    let join = |from: u32, to: u32| {
        let parts = program.children[from as usize..to as usize].iter();
        parts.fold(0_u64, |sum, part| sum.wrapping_add(fold_condition(program, *part, swap)))
    };
    let both = |a: CondId, b: CondId| (fold_condition(program, a, swap), fold_condition(program, b, swap));
    let text = match &program.conds[cond as usize] {
        Cond::And { from, to } => format!("and {}", join(*from, *to)),
        Cond::Or { from, to } => format!("or {}", join(*from, *to)),
        Cond::Not(inner) => format!("not {}", fold_condition(program, *inner, swap)),
        Cond::IsUnknown(inner) => format!("unknown {}", fold_condition(program, *inner, swap)),
        Cond::For { inner, length, across, .. } => {
            format!("for {} {length:?} {across:?}", fold_condition(program, *inner, swap))
        }
        Cond::Until { set, reset, .. } => format!("until {:?}", both(*set, *reset)),
        Cond::TrackIn(var, zone) => format!("in {} {zone:?}", of(*var)),
        Cond::TrackIs(var, who) => format!("is {} {who:?}", of(*var)),
        Cond::TrackIdentified(var) => format!("identified {}", of(*var)),
        Cond::TrackAttribute(var, column) => format!("has {} {column}", of(*var)),
        Cond::SamePerson(a, b) => {
            let mut pair = [person(*a), person(*b)];
            pair.sort_unstable();
            format!("same {pair:?}")
        }
        Cond::Facing { var, target: t, half_rad } => format!("facing {} {:?} {half_rad}", of(*var), target(*t)),
        Cond::Approaching { var, target: t, speed_mps } => {
            format!("approaching {} {:?} {speed_mps}", of(*var), target(*t))
        }
        Cond::Sees(a, b) => {
            let mut pair = [format!("{:?}", target(*a)), format!("{:?}", target(*b))];
            pair.sort_unstable();
            format!("sees {pair:?}")
        }
        Cond::Compare(how, a, b) => {
            format!("{how:?} {} {}", fold_number(program, *a, swap), fold_number(program, *b, swap))
        }
        Cond::NumberUnknown(a) => format!("unknown {}", fold_number(program, *a, swap)),
        other => format!("{other:?}"),
    };
    fnv(&text)
}

fn fold_number(program: &Program, num: NumId, swap: bool) -> u64 {
    let of = |var: Var| if swap && var < COUNTED { 1 - var } else { var };
    let person = |p: PersonRef| match p {
        PersonRef::Var(var) => PersonRef::Var(of(var)),
        other => other,
    };
    let target = |t: Target| match t {
        Target::Person(p) => Target::Person(person(p)),
        other => other,
    };
    let part = |a: NumId| fold_number(program, a, swap);
    let text = match &program.nums[num as usize] {
        Num::Distance(a, b) => {
            let mut pair = [format!("{:?}", target(*a)), format!("{:?}", target(*b))];
            pair.sort_unstable();
            format!("distance {pair:?}")
        }
        Num::Speed(var) => format!("speed {}", of(*var)),
        Num::Spread(var) => format!("spread {}", of(*var)),
        Num::LeftAgo(var, zone) => format!("left {} {zone:?}", of(*var)),
        Num::TrackAttribute(var, column) => format!("has {} {column}", of(*var)),
        Num::Confidence(p) => format!("confidence {:?}", person(*p)),
        Num::Add(a, b) => format!("add {}", part(*a).wrapping_add(part(*b))),
        Num::Mul(a, b) => format!("mul {}", part(*a).wrapping_add(part(*b))),
        Num::Min(a, b) => format!("min {}", part(*a).wrapping_add(part(*b))),
        Num::Max(a, b) => format!("max {}", part(*a).wrapping_add(part(*b))),
        Num::Sub(a, b) => format!("sub {} {}", part(*a), part(*b)),
        Num::Div(a, b) => format!("div {} {}", part(*a), part(*b)),
        other => format!("{other:?}"),
    };
    fnv(&text)
}

fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
