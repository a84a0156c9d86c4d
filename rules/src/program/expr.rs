//! What a rule says, as flat nodes: conditions, numbers, values.

use osmose_model::command::Value;
use osmose_model::ids::{ActuatorId, GroupId, Name, PersonId, SensorId, WallId, ZoneId};
use osmose_model::observation::Direction;
use osmose_model::time::DurationNs;
use osmose_model::tri::Tri;
use osmose_model::world::EventKind;

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
    /// For how long nobody can say that a person is still in a zone with a recorder, seconds.
    UnsureFor(Var, ZoneId),
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
