//! What rules ask for ([`Effect`]), what leaves the engine ([`Command`]), and the cause recorded with it.
//!
//! A cause is written when the command is, from the values that decided it, so that any later build can explain a
//! command without running anything.

use crate::ids::{ActuatorId, HolderId, Name, PersonId, RuleId, SensorId, Seq, TrackId, ZoneId};
use crate::limits::{ARGS_MAX, BINDINGS_MAX, CAUSE_CONDITIONS_MAX, CAUSE_SIGHTINGS_MAX, TEXT_BYTES_MAX};
use crate::time::LogicalNs;
use crate::tri::Tri;
use crate::world::{EventKind, Sighting};
use arrayvec::{ArrayString, ArrayVec};
use serde::{Deserialize, Serialize};

/// A text held inline, cut at a character boundary where it is longer.
pub type Text = ArrayString<TEXT_BYTES_MAX>;

/// A value that a device can have or a command can carry.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A number in the property's own unit (`level` in percent, temperatures in degC). Never NaN.
    Number(f64),
    /// A word: a state, a page.
    Name(Name),
    /// Free text.
    Text(Text),
    /// A known person; written as the person's id.
    Person(PersonId),
    /// A zone; written as the zone's name.
    Zone(ZoneId),
    /// A track; written as its number.
    Track(TrackId),
}

/// How several holders of one level make one value of a property.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Combine {
    /// The latest holder's.
    #[default]
    Latest,
    /// The largest number, or the last in the order of the property's words.
    Max,
    /// The smallest, or the first.
    Min,
    /// Any one of them: the lowest holder's, whoever came later.
    Any,
}

/// What the rules in force say about who wins a device, beside their effects: told to arbitration whenever rules are
/// installed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// Every holder that the rules name is below.
    pub holders: u32,
    /// The level at which people act; as before where `None`.
    pub user_level: Option<LevelRank>,
    /// Holds of this level and above are leases: the engine renews them, and a device that is not renewed makes itself
    /// safe. None is where `None`.
    pub lease_level: Option<LevelRank>,
    /// `rule a over b`: pairs of which the first outranks the second inside their level, ascending, with all that
    /// follows from them.
    pub order: Vec<(RuleId, RuleId)>,
    /// How the holders of one level make one value of a device's property.
    pub combine: Vec<(ActuatorId, Name, Combine)>,
    /// Devices of which a person's value is a hold at [`Terms::user_level`] (`manual DEVICE ...`), ascending.
    pub by_hand: Vec<ActuatorId>,
}

/// Named arguments of a command, sorted by name.
pub type Args = ArrayVec<(Name, Value), ARGS_MAX>;

/// The id of a command: the input that decided it, and which of that input's commands it is (from 0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId {
    /// The deciding input.
    pub seq: Seq,
    /// Which of its commands.
    pub n: u32,
}

impl std::fmt::Display for CommandId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.seq, self.n)
    }
}

/// What set a rule off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Trigger {
    /// Something happened in the world.
    Event {
        /// What.
        kind: EventKind,
        /// To which track.
        track: TrackId,
        /// At which zone.
        zone: Option<ZoneId>,
    },
    /// A sensor's reading changed.
    Sensor(SensorId),
    /// A device's state changed.
    Device(ActuatorId),
    /// A timer of the rule was due.
    Timer,
    /// The wall clock reached a time.
    Clock,
    /// The rule was installed, or the engine started.
    Start,
    /// A person at the controls.
    Operator,
}

/// What a variable of the rule stood for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entity {
    /// A track, and who it was taken for.
    Track {
        /// The track.
        track: TrackId,
        /// The known person, if identified.
        person: Option<PersonId>,
        /// Probability of that identity.
        person_p: f64,
    },
    /// A known person who is on no track.
    Person(PersonId),
    /// A zone.
    Zone(ZoneId),
    /// A device.
    Device(ActuatorId),
}

/// The value that one condition had when the rule decided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConditionValue {
    /// Byte offset of the condition in the rule file that was installed, for the source line.
    pub offset: u32,
    /// Its truth.
    pub truth: Tri,
    /// The measured quantity behind it, where it has one (a distance, a count, a dwell in seconds).
    pub value: Option<f64>,
}

/// Why a command was sent, complete enough to explain it offline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// What set the rule off.
    pub trigger: Trigger,
    /// The sensor whose observation decided, if one did.
    pub sensor: Option<SensorId>,
    /// When that observation was true.
    pub measured: Option<LogicalNs>,
    /// The rule's variables, by name.
    pub bindings: ArrayVec<(Name, Entity), BINDINGS_MAX>,
    /// The rule's conditions, in the order written.
    pub conditions: ArrayVec<ConditionValue, CAUSE_CONDITIONS_MAX>,
    /// Whether doubt decided it: a lost track or an identity too weak, read as leaving.
    pub doubt: bool,
    /// The last observations that moved the people bound, by track, oldest first.
    pub sightings: ArrayVec<(TrackId, Sighting), CAUSE_SIGHTINGS_MAX>,
}

impl Cause {
    /// A cause with nothing known yet but what set it off.
    #[must_use]
    pub fn new(trigger: Trigger) -> Self {
        Self {
            trigger,
            sensor: None,
            measured: None,
            bindings: ArrayVec::new(),
            conditions: ArrayVec::new(),
            doubt: false,
            sightings: ArrayVec::new(),
        }
    }
}

/// How high a rule ranks; 0 is the highest level of the rule file's `levels` line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LevelRank(pub u8);

/// What the rules ask of a device; arbitration decides what of it is sent.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "held inline on purpose: a box would allocate on the hot path")]
pub enum Effect {
    /// A one-shot command.
    Do {
        /// Which rule.
        rule: RuleId,
        /// At which level.
        level: LevelRank,
        /// To which device.
        device: ActuatorId,
        /// Which command.
        verb: Name,
        /// Its arguments.
        args: Args,
        /// Why.
        cause: Cause,
    },
    /// A property is to have a value for as long as the holder holds it (again to change the value).
    Hold {
        /// Who holds: one per rule instance and held property.
        holder: HolderId,
        /// Which rule.
        rule: RuleId,
        /// At which level.
        level: LevelRank,
        /// Of which device.
        device: ActuatorId,
        /// Which property.
        property: Name,
        /// Its value.
        value: Value,
        /// Why.
        cause: Cause,
    },
    /// The holder lets go.
    Release {
        /// Who.
        holder: HolderId,
        /// Why.
        cause: Cause,
    },
    /// While held, no rule of a lower level may send this command to this device.
    Forbid {
        /// Who.
        holder: HolderId,
        /// Which rule.
        rule: RuleId,
        /// At which level.
        level: LevelRank,
        /// To which device.
        device: ActuatorId,
        /// Which command.
        verb: Name,
        /// Why.
        cause: Cause,
    },
}

/// One command to one device: what leaves the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Its id.
    pub id: CommandId,
    /// When it was decided, in the log's time.
    pub at: LogicalNs,
    /// The deciding observation's own number, where it has one.
    pub source_seq: Option<u64>,
    /// Which rule; `None` for a device's default and for operators.
    pub rule: Option<RuleId>,
    /// To which device.
    pub device: ActuatorId,
    /// Which command.
    pub verb: Name,
    /// Its arguments, sorted by name.
    pub args: Args,
    /// Why.
    pub cause: Cause,
}
