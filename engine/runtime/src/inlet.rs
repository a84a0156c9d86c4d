//! Where inputs come from: the sockets of one or more threads, or (in tests) a script.
//!
//! An inlet fills lanes. In `inline` and `fused` the stepping thread runs it between two steps; in `split` and
//! `dedicated` each has a thread of its own (`serve`), which wakes the stepping thread when it has put something in.

use crate::clock::HostClock;
use crate::ingress::Ingress;
use osmose_model::site::{Idle, Site};
use osmose_model::time::DurationNs;
use osmose_sensors::edge::ledger::Count;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::Duration;

/// After work, an idle thread yields for this long before it blocks.
pub(crate) const YIELD_WINDOW: DurationNs = DurationNs::from_us(50);
/// An idle thread blocks no longer than this, so that a stop is seen.
pub(crate) const BLOCK_MAX: Duration = Duration::from_millis(50);
/// Sockets up to which reading all of them beats asking the poller which.
const LOOK_EVERYWHERE_MAX: usize = 4;

/// Fills lanes.
pub trait Inlet: Send {
    /// Puts what waits into the lanes, a bounded batch; gives how many inputs.
    fn do_work(&mut self, clock: &HostClock) -> usize;
    /// Waits until something may be there, or `timeout` is over; gives whether something may be.
    fn wait(&mut self, timeout: Duration) -> bool;
    /// Before the last looks: whatever reached this machine by now must be seen.
    fn look_everywhere(&mut self);
    /// Whether looking costs less than asking whether to look: then it is looked at in every cycle.
    fn looks_always(&self) -> bool;
    /// Says what was noticed for the first time; called when nothing else is to do.
    fn report(&mut self, site: &Site);
    /// What it refused or noticed, at the end.
    fn counts(&self) -> Vec<Count>;
}

impl Inlet for Ingress {
    fn do_work(&mut self, clock: &HostClock) -> usize {
        Self::do_work(self, clock)
    }
    fn wait(&mut self, timeout: Duration) -> bool {
        Self::wait(self, timeout)
    }
    fn look_everywhere(&mut self) {
        Self::look_everywhere(self);
    }
    fn looks_always(&self) -> bool {
        self.ports() <= LOOK_EVERYWHERE_MAX
    }
    fn report(&mut self, site: &Site) {
        self.report_first_times(site);
    }
    fn counts(&self) -> Vec<Count> {
        self.edge().counters().collect()
    }
}

/// The body of an inlet's own thread: until `stop`, then once more everything that came before it. Gives what it
/// counted; its ends of the lanes are gone with it, which is how the stepping thread knows.
pub(crate) fn serve(
    mut inlet: Box<dyn Inlet>,
    site: &Site,
    clock: HostClock,
    idle: Idle,
    stop: &AtomicBool,
    stepper: &Thread,
) -> Vec<Count> {
    let always = inlet.looks_always();
    let mut worked_at = clock.now();
    while !stop.load(Ordering::Relaxed) {
        if always {
            inlet.look_everywhere();
        }
        if inlet.do_work(&clock) > 0 {
            stepper.unpark();
            worked_at = clock.now();
            continue;
        }
        match idle {
            Idle::Spin if always => std::hint::spin_loop(),
            Idle::Spin => _ = inlet.wait(Duration::ZERO),
            Idle::Yield if clock.now().since(worked_at) < YIELD_WINDOW => std::thread::yield_now(),
            Idle::Yield => {
                inlet.report(site);
                inlet.wait(BLOCK_MAX);
            }
        }
    }
    inlet.look_everywhere();
    while inlet.do_work(&clock) > 0 {
        stepper.unpark();
        inlet.look_everywhere();
    }
    inlet.report(site);
    inlet.counts()
}
