//! When what devices hold under a lease is said again. Whether a lease is in force is arbitration's to know
//! (`osmose_plan`, `lease.rs`); this knows what was last told, and by which clock it runs out there.
//!
//! The thread that steps renews, not the one that sends: a device that hears from it knows that somebody still watches.
//! A lease that begins or ends without a command (what is held stands already) is told at once. Devices are few and
//! renewals rare, so the list is walked from end to end, and only when a lease has changed or is due.

use osmose_core::Core;
use osmose_model::command::Command;
use osmose_model::ids::ActuatorId;
use osmose_model::time::{ArrivalNs, DurationNs};

/// A lease is renewed this many times before it runs out, so that two datagrams may be lost.
const RENEWALS: i64 = 3;
/// Devices told again in one duty cycle, so that an evacuated building's doors do not hold up an event.
const DEVICES_PER_TURN: usize = 4;

/// One device that can be under a lease and is reached.
struct Leasable {
    device: ActuatorId,
    /// It believes to be under a lease.
    told: bool,
    /// When it must hear the next renewal.
    due: ArrivalNs,
}

/// What devices were last told of leases.
pub(crate) struct Leases {
    devices: Vec<Leasable>,
    /// [`osmose_core::Plan::lease_changes`] at the last walk that came to the end.
    seen: Option<u64>,
    /// The first of the renewals due.
    next: Option<ArrivalNs>,
}

impl Leases {
    /// The leases that a machine has in force as it is: what devices heard before it was stopped.
    pub(crate) fn new(machine: &Core, reaches: impl Fn(ActuatorId) -> bool) -> Self {
        let leasable = machine.site().actuators.iter().filter(|a| a.lease.is_some() && reaches(a.id));
        let leasable = leasable.map(|a| {
            let told = machine.plan().lease(a.id).is_some();
            Leasable { device: a.id, told, due: ArrivalNs(i64::MIN) }
        });
        Self { devices: leasable.collect(), seen: None, next: None }
    }

    /// These commands have just been sent, each with the lease that its device is under now.
    pub(crate) fn sent(&mut self, commands: &[Command], machine: &Core, now: ArrivalNs) {
        if self.devices.is_empty() {
            return;
        }
        for command in commands {
            // Ascending by number, as the site's are.
            let Ok(at) = self.devices.binary_search_by_key(&command.device, |l| l.device) else { continue };
            let lease = machine.plan().lease(command.device);
            let leasable = &mut self.devices[at];
            leasable.told = lease.is_some();
            if let Some(lease) = lease {
                leasable.due = due(now, lease);
                self.next = earlier(self.next, leasable.due);
            }
        }
    }

    /// Tells devices what is due of leases: `say` a command under a lease, or (`None`) that it is over.
    pub(crate) fn tend(&mut self, machine: &Core, now: ArrivalNs, mut say: impl FnMut(&Command, Option<DurationNs>)) {
        let changes = machine.plan().lease_changes();
        if self.seen == Some(changes) && self.next.is_none_or(|next| now < next) {
            return;
        }
        let (mut next, mut turns) = (None, 0);
        for leasable in &mut self.devices {
            let lease = machine.plan().lease(leasable.device);
            let is_due = leasable.told != lease.is_some() || lease.is_some() && leasable.due <= now;
            if is_due && turns == DEVICES_PER_TURN {
                // The rest comes in the next cycle.
                self.seen = None;
                return;
            }
            turns += usize::from(is_due);
            match lease {
                Some(lease) => {
                    if is_due {
                        machine.plan().renew(leasable.device, |command| say(command, Some(lease)));
                        leasable.due = due(now, lease);
                    }
                    next = earlier(next, leasable.due);
                }
                None if is_due => {
                    if let Some(command) = machine.plan().last_told(leasable.device) {
                        say(&command, None);
                    }
                }
                None => {}
            }
            leasable.told = lease.is_some();
        }
        (self.seen, self.next) = (Some(changes), next);
    }
}

fn due(now: ArrivalNs, lease: DurationNs) -> ArrivalNs {
    ArrivalNs(now.0.saturating_add(lease.0 / RENEWALS))
}

fn earlier(next: Option<ArrivalNs>, due: ArrivalNs) -> Option<ArrivalNs> {
    Some(next.map_or(due, |next| next.min(due)))
}
