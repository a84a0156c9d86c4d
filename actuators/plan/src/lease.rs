//! Leases: a hold of a high level that holds at the device only as long as the engine renews it.
//!
//! What protects people must not hang on a last command's having arrived, nor go on when nobody watches any more. So a
//! device with a declared safe state is told, with every command while such a hold is in force, for how long the command
//! holds; the engine says it again before that is over; and a device that hears nothing for so long makes itself safe.
//!
//! Who holds what decides whether a lease is in force, so it is known here; *when* to renew hangs on the host's clock and
//! on what has left, so that is the runtime's (`osmose-runtime`, `egress/`). A renewal is the very command again: it
//! decides nothing, has no number of its own, and is not recorded.

use crate::Plan;
use crate::device::Last;
use crate::words::Order;
use osmose_model::command::{Cause, Command, Trigger, Value};
use osmose_model::ids::{ActuatorId, RuleId};
use osmose_model::time::DurationNs;

impl Plan {
    /// For how long a command to the device holds there unless it is renewed, while a hold of it is a lease: one of the
    /// level `privacy` or above, of a device with a safe state, that no one-shot command has moved it away from.
    #[must_use]
    pub fn lease(&self, device: ActuatorId) -> Option<DurationNs> {
        let is_leased = self.leased.get(device.index()).copied().unwrap_or(false);
        self.devices.get(device.index()).filter(|_| is_leased)?.lease
    }

    /// How often a lease began or ended: whoever renews need not look at devices while it is the same.
    #[must_use]
    pub fn lease_changes(&self) -> u64 {
        self.lease_changes
    }

    /// What a device under a lease is told again: the values held, as the commands that they were sent by (with their
    /// number and time, without the observation's).
    pub fn renew(&self, device: ActuatorId, mut say: impl FnMut(&Command)) {
        let Some(d) = self.devices.get(device.index()) else { return };
        for slot in d.slots() {
            if let Some((rule, value)) = self.leased_value(slot) {
                say(&self.again(device, slot, value, Some(rule)));
            }
        }
    }

    /// What a device is told whose lease ended while it is to stay as it is: its last value that still stands, once
    /// more. Nothing where it was never told anything.
    #[must_use]
    pub fn last_told(&self, device: ActuatorId) -> Option<Command> {
        let mut slots = self.devices.get(device.index())?.slots();
        let (slot, value) = slots.find_map(|slot| match self.slots[slot].last {
            Last::Sent(value) => Some((slot, value)),
            Last::Unknown | Last::Touched => None,
        })?;
        let holder = self.slots[slot].applied.and_then(|(holder, _)| self.claims.get(holder));
        Some(self.again(device, slot, value, holder.map(|claim| claim.rule)))
    }

    /// The rule and the value of a hold that is a lease on a slot.
    fn leased_value(&self, slot: usize) -> Option<(RuleId, Value)> {
        let lowest = self.lease_level?;
        let (holder, value) = self.slots[slot].applied.filter(|_| !self.slots[slot].overridden)?;
        let claim = self.claims.get(holder)?;
        // Levels count from the highest down.
        (claim.level <= lowest).then_some((claim.rule, value))
    }

    fn again(&self, device: ActuatorId, slot: usize, value: Value, rule: Option<RuleId>) -> Command {
        let Order { verb, args } = self.devices[device.index()].order(slot, &value);
        let (id, at) = (self.slots[slot].sent_by, self.slots[slot].sent_at);
        Command { id, at, source_seq: None, rule, device, verb, args, cause: Cause::new(Trigger::Timer) }
    }

    /// Whoever holds the device may have changed.
    pub(crate) fn note_lease(&mut self, device: ActuatorId) {
        let d = &self.devices[device.index()];
        let is_leased = d.lease.is_some() && d.slots().any(|slot| self.leased_value(slot).is_some());
        if std::mem::replace(&mut self.leased[device.index()], is_leased) != is_leased {
            self.lease_changes += 1;
        }
    }

    /// The same of every device.
    pub(crate) fn note_leases(&mut self) {
        for number in 0..self.devices.len() {
            self.note_lease(ActuatorId(number as u16));
        }
    }
}
