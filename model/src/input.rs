//! All that can reach the core, and its place in the one total order. Nothing else does: no clock, file, socket,
//! environment or random source. What is here is journaled, digested and replayed.

use crate::command::Value;
use crate::ids::{ActuatorId, CarriedKey, Name, SensorId, Seq};
use crate::observation::Observation;
use crate::time::{DurationNs, LogicalNs, UtcNs};
use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};

/// The place of an input in the one total order: time never goes back, and `seq` is its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag {
    /// When, in the log's time.
    pub at: LogicalNs,
    /// Which, from 1 without gaps.
    pub seq: Seq,
}

/// How urgent an input is, decided per sensor in `devices.toml`; decides what may be shed under overload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// Fire, e-stop, person down: never dropped, drained first.
    Safety,
    /// Doors, buttons, badges, reports: lossless.
    Edge,
    /// Positions, ranges, values: a newer one may replace an older one of the same key.
    State,
    /// Point clouds: whole frames, oldest first.
    Bulk,
}

/// The log's time tied to the wall clock; the only way that UTC and time of day enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// UTC at the tag's instant.
    pub utc: UtcNs,
    /// Local time minus UTC from here on.
    pub offset: DurationNs,
    /// When the offset changes next (UTC) and to what; `None` where it is not known to.
    pub next_change: Option<(UtcNs, DurationNs)>,
}

/// What a device says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which device.
    pub actuator: ActuatorId,
    /// Which property: `state` for what it is doing, or one of its others (`level`, `lock`).
    pub property: Name,
    /// Its value.
    pub value: Value,
    /// The device's own number, where it gives one.
    pub source_seq: Option<u64>,
}

/// Why inputs did not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ShedReason {
    /// A newer one of the same key replaced them.
    Replaced,
    /// The ring of their class was full.
    Full,
    /// Older than `late_max_ms`.
    TooLate,
    /// A gap in the source's own numbers: lost before they got here.
    Missing,
}

/// Inputs that did not get in, counted: nothing is lost silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shed {
    /// From which sensor.
    pub sensor: SensorId,
    /// How many.
    pub count: u64,
    /// Why.
    pub reason: ShedReason,
}

/// A stretch of time whose inputs are not in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last instant before it.
    pub from: LogicalNs,
    /// Inputs known to be lost in it; 0 where nobody knows (the engine was down).
    pub lost: u64,
    /// Why.
    pub reason: GapReason,
}

/// Why there is a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GapReason {
    /// The engine was not running.
    Down,
    /// The disk stalled and the journal ring was full.
    Journal,
}

/// The text of an operator's reason, held inline.
pub type ReasonText = ArrayString<{ crate::limits::TEXT_BYTES_MAX }>;

/// What a person did at the engine's own controls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum OperatorAction {
    /// A command to a device by hand.
    Act {
        /// Which device.
        actuator: ActuatorId,
        /// Which command.
        verb: Name,
        /// Its one argument, where it takes one: name and value.
        arg: Option<(Name, Value)>,
    },
    /// A rule switched off until an instant.
    RuleOff {
        /// Which rule, by name.
        rule: Name,
        /// Until when.
        until: LogicalNs,
        /// Why.
        because: ReasonText,
    },
    /// A mode set.
    Mode {
        /// Which mode.
        mode: Name,
        /// To what.
        value: Name,
    },
    /// A rule's `reset by operator`.
    Reset {
        /// Which rule, by name.
        rule: Name,
    },
}

/// One input of the core. Borrows the items of a scan and the text of what is installed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input<'a> {
    /// A sensor said something.
    Observation(Observation<'a>),
    /// Time passed; the tag says to when: the instant that something was due, never the instant somebody woke.
    Tick,
    /// The wall clock, tied to the tag.
    Anchor(Anchor),
    /// A device said something of itself.
    Report(Report),
    /// New rules hold from here on, and with them other people and calendars where there are. The text travels with it,
    /// so that a log is self-contained.
    RulesInstalled {
        /// All rule files, and `people.toml` and the calendars that were saved since the log began, name and text, as
        /// [`crate::canon::encode_files`] joins them.
        files: &'a [u8],
    },
    /// New people, devices and attributes hold from here on (geometry needs a restart).
    SiteInstalled {
        /// All site files, name and text, as [`crate::canon::encode_files`] joins them.
        files: &'a [u8],
    },
    /// The text of a carried device's or badge's id, before the first observation that uses its key.
    Named {
        /// Its key.
        key: CarriedKey,
        /// Its id as the source writes it (normalised).
        text: &'a str,
    },
    /// Inputs did not get in.
    Shed(Shed),
    /// A stretch is missing.
    Gap(Gap),
    /// Somebody acted by hand.
    Operator(OperatorAction),
}

impl<'a> Input<'a> {
    /// The observation, if it is one.
    #[must_use]
    pub fn observation(&self) -> Option<&Observation<'a>> {
        match self {
            Self::Observation(o) => Some(o),
            _ => None,
        }
    }

    /// The deciding sample's own number, where it has one.
    #[must_use]
    pub fn source_seq(&self) -> Option<u64> {
        match self {
            Self::Observation(o) => o.source_seq,
            Self::Report(r) => r.source_seq,
            _ => None,
        }
    }
}
