//! Where inputs come from: the sockets of one or more threads, or (in tests) a script.
//!
//! An inlet fills lanes. In `inline` and `fused` the stepping thread runs it between two steps; in `split` and
//! `dedicated` each has a thread of its own (`serve`), which wakes the stepping thread when it has put something in.

use crate::clock::HostClock;
use crate::ingress::{Ingress, Intake, Tally};
use crate::latency::exchange::Meter;
use osmose_model::site::{Idle, Site};
use osmose_model::time::DurationNs;
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
    /// Whether more waits, as far as is known: then it is worth looking again before much is stepped.
    fn is_behind(&self) -> bool {
        false
    }
    /// Nothing more will come: what was held back goes into the lanes now.
    fn finish(&mut self, clock: &HostClock) {
        let _ = clock;
    }
    /// Before the last looks: whatever reached this machine by now must be seen.
    fn look_everywhere(&mut self);
    /// Whether looking costs less than asking whether to look: then it is looked at in every cycle.
    fn looks_always(&self) -> bool;
    /// Says what was noticed for the first time; called when nothing else is to do.
    fn report(&mut self, site: &Site);
    /// What came in so far, and what became of it. It may ask the kernel: it is called at the end.
    fn intake(&self) -> Intake;
    /// The same several times a second, for whoever looks on: it allocates nothing and asks nobody.
    fn tally(&self) -> Tally {
        Tally::default()
    }
}

impl Inlet for Ingress {
    fn do_work(&mut self, clock: &HostClock) -> usize {
        Self::do_work(self, clock)
    }
    fn wait(&mut self, timeout: Duration) -> bool {
        Self::wait(self, timeout)
    }
    fn is_behind(&self) -> bool {
        Self::is_behind(self)
    }
    fn finish(&mut self, clock: &HostClock) {
        self.say_losses(clock);
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
    fn intake(&self) -> Intake {
        Self::intake(self)
    }
    fn tally(&self) -> Tally {
        Self::tally(self)
    }
}

/// What an inlet's own thread needs beside the inlet.
pub(crate) struct Serving<'a> {
    pub(crate) site: &'a Site,
    pub(crate) clock: HostClock,
    pub(crate) idle: Idle,
    pub(crate) stop: &'a AtomicBool,
    /// Whom to wake when something was put in.
    pub(crate) stepper: &'a Thread,
    pub(crate) meter: Meter,
}

/// The body of an inlet's own thread: until `stop`, then once more everything that came before it. Gives what came in;
/// its ends of the lanes are gone with it, which is how the stepping thread knows.
pub(crate) fn serve(mut inlet: Box<dyn Inlet>, serving: Serving<'_>) -> Intake {
    let Serving { site, clock, idle, stop, stepper, mut meter } = serving;
    let always = inlet.looks_always();
    let mut worked_at = clock.now();
    while !stop.load(Ordering::Relaxed) {
        if always {
            inlet.look_everywhere();
        }
        let worked = inlet.do_work(&clock) > 0;
        let now = clock.now();
        if meter.is_asked() {
            meter.took_in(inlet.tally());
        }
        meter.turn(now, worked);
        if worked {
            stepper.unpark();
            worked_at = now;
            continue;
        }
        match idle {
            Idle::Spin if always => std::hint::spin_loop(),
            Idle::Spin => _ = inlet.wait(Duration::ZERO),
            Idle::Yield if now.since(worked_at) < YIELD_WINDOW => std::thread::yield_now(),
            Idle::Yield => {
                inlet.report(site);
                let asleep = clock.now();
                inlet.wait(BLOCK_MAX);
                meter.slept(asleep, BLOCK_MAX, clock.now());
            }
        }
    }
    inlet.look_everywhere();
    while inlet.do_work(&clock) > 0 {
        stepper.unpark();
        inlet.look_everywhere();
    }
    inlet.finish(&clock);
    stepper.unpark();
    inlet.report(site);
    meter.took_in(inlet.tally());
    meter.finish();
    inlet.intake()
}
