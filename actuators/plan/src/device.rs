//! One device as arbitration knows it: what it is (fixed by the site), and what is known and wanted of it now.

use crate::words::{self, Order};
use osmose_model::command::{Args, CommandId, Value};
use osmose_model::device::{Actuator, ActuatorKind};
use osmose_model::ids::{HolderId, Name, Seq};
use osmose_model::time::{DurationNs, LogicalNs};
use serde::{Deserialize, Serialize};

/// What the site fixes about a device.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) kind: ActuatorKind,
    /// Its first slot; one slot per property of its kind, in the kind's order (`state` first).
    pub(crate) first: usize,
    /// How many slots.
    pub(crate) count: usize,
    /// Its `state` when the engine is in doubt.
    pub(crate) safe: Option<Name>,
    /// For how long a leased command holds at it; `None` where nothing is leased.
    pub(crate) lease: Option<DurationNs>,
    /// What it falls back to: the slot, its value, and the command that leads there.
    pub(crate) default: Option<(usize, Value, Order)>,
}

impl Device {
    pub(crate) fn new(actuator: &Actuator, first: usize) -> Self {
        let kind = actuator.kind;
        let default = actuator.default.and_then(|state| {
            let value = Value::Name(state);
            let property = words::meant(kind, words::STATE, &value);
            let index = words::property_index(kind, property)?;
            Some((first + index, value, words::order_for(kind, property, &value)))
        });
        Self { kind, first, count: kind.properties().len(), safe: actuator.safe, lease: actuator.lease, default }
    }

    /// The slot of a property, if the kind has it.
    pub(crate) fn slot_of(&self, property: &str) -> Option<usize> {
        words::property_index(self.kind, property).map(|i| self.first + i)
    }

    /// The command that gives the property of `slot` a value.
    pub(crate) fn order(&self, slot: usize, value: &Value) -> Order {
        let property = self.kind.properties()[slot - self.first].property;
        words::order_for(self.kind, property, value)
    }

    /// The device's slots.
    pub(crate) fn slots(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.count
    }
}

/// The last value that a property was sent, as far as it still stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Last {
    /// Nothing was sent, or the device has said otherwise since.
    #[default]
    Unknown,
    /// This was sent.
    Sent(Value),
    /// A command that is about another property may have moved it (a lamp whose `level` is set comes on).
    Touched,
}

/// A report this soon behind a command may still tell of the command before.
const REPORT_LAG: DurationNs = DurationNs::from_s(2);

/// What is known and wanted of one property of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slot {
    /// What the device last said.
    pub(crate) reported: Option<Value>,
    /// What it was last told.
    pub(crate) commanded: Option<Value>,
    /// What was last sent, as far as it stands.
    pub(crate) last: Last,
    /// What was sent before that, and when the last was.
    pub(crate) before: Option<Value>,
    pub(crate) sent_at: LogicalNs,
    /// The command that told it so.
    pub(crate) sent_by: CommandId,
    /// What a person wanted of it, while that lasts.
    pub(crate) manual: Option<Value>,
    /// Whose hold is applied, and with which value.
    pub(crate) applied: Option<(HolderId, Value)>,
    /// A one-shot command has moved it away from the value held.
    pub(crate) overridden: bool,
}

impl Slot {
    /// The last report, else the last command, else unknown.
    pub(crate) fn known(&self) -> Option<Value> {
        self.reported.or(self.commanded)
    }

    /// Whether `value` was the last one sent and still stands.
    pub(crate) fn stands(&self, value: &Value) -> bool {
        matches!(&self.last, Last::Sent(v) if words::same(v, value))
    }

    /// Takes in what a command does to the property; gives whether what is known of it changed.
    /// `whole`: the command leads to a state and so may move every property. `one_shot`: no hold sent it.
    pub(crate) fn command(
        &mut self,
        (at, id): (LogicalNs, CommandId),
        outcome: Option<Value>,
        is_state: bool,
        whole: bool,
        one_shot: bool,
    ) -> bool {
        let before = self.known();
        match outcome {
            Some(value) => {
                self.before = self.commanded;
                self.sent_at = at;
                self.sent_by = id;
                self.last = Last::Sent(value);
                self.commanded = Some(value);
                self.overridden = one_shot && self.applied.is_some_and(|(_, held)| !words::same(&held, &value));
            }
            None if whole => {
                self.last = Last::Touched;
                self.overridden |= one_shot && self.applied.is_some();
            }
            None if is_state => self.last = Last::Touched,
            None => {}
        }
        self.known() != before
    }

    /// Whether a report follows from what the device was told: it is there, it is on the way there from where it was
    /// last seen, or it tells of the command just before.
    fn explained(&self, at: LogicalNs, value: &Value) -> bool {
        let sent = match &self.last {
            Last::Sent(sent) => sent,
            Last::Touched => return true,
            Last::Unknown => return false,
        };
        let on_the_way = match (&self.reported, sent, value) {
            (Some(Value::Number(from)), Value::Number(to), Value::Number(here)) => {
                from.min(*to) <= *here && *here <= from.max(*to)
            }
            _ => false,
        };
        let late = at.since(self.sent_at) <= REPORT_LAG;
        words::explains(sent, value)
            || on_the_way
            || late && self.before.is_some_and(|before| words::explains(&before, value))
    }

    /// Takes in what the device said. `locked`: a rule holds the device now, and a hand does not count against it.
    /// Gives whether what is known of the property changed, and whether it is now a manual value.
    pub(crate) fn report(&mut self, at: LogicalNs, value: Value, locked: bool) -> (bool, bool) {
        let before = self.known();
        let moved = self.reported.is_some_and(|r| !words::same(&r, &value));
        let news = self.reported.is_none() || moved;
        let explained = self.explained(at, &value);
        self.reported = Some(value);
        let mut local = false;
        if news && !explained {
            // It is not where it was sent: whatever is wanted next must be sent, even if it is the same again.
            self.last = Last::Unknown;
            local = moved && !locked;
            if local {
                self.manual = Some(value);
            }
        } else if news && self.last == Last::Touched {
            self.last = Last::Unknown;
        }
        (self.known() != before, local)
    }
}

/// What a device is doing on whose account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Force {
    /// Nobody wants anything of it: it is as it was found, at its default, or as the last `do` left it.
    #[default]
    Idle,
    /// At least one of its properties is held by a rule.
    Held,
    /// No rule holds it, and a person has set it.
    Manual,
    /// It should fall back to its default and may not, because that command is forbidden.
    Blocked,
}

/// What was not sent to a device, and why. Counts stop at their largest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Commands and holds of a lower level than a `forbid` in force.
    pub forbidden: u32,
    /// One-shot commands against a value that a higher level holds.
    pub overruled: u32,
}

/// The part of a device's standing that its properties do not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) force: Force,
    pub(crate) dropped: Dropped,
    /// The input at which a person last set it.
    pub(crate) by_hand_since: Seq,
}

/// Whether two sets of arguments hold the same pairs (both sorted by name).
pub(crate) fn sorted(mut args: Args) -> Args {
    args.sort_unstable_by_key(|a| a.0);
    args
}
