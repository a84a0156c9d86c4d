//! The stepping agent: lanes in, the sequencer and the core, results out. One thread runs it, whatever the topology.
//!
//! One duty cycle: take in what the lanes hold, let due ticks happen. Where sockets or sending have no threads of their
//! own, the cycle does their work too. When a cycle finds nothing it takes a keyframe if one is due, and then idles:
//! `spin` looks again at once; `yield` gives the processor away for a short window and then blocks until a datagram
//! comes (or another thread unparks this one) or the next wake-up is due.

use crate::clock::HostClock;
use crate::control::{Control, ControlRx, Spent};
use crate::egress::Handed;
use crate::engine::{OwnedInput, Summary};
use crate::ingress::Intake;
use crate::inlet::{BLOCK_MAX, Inlet, YIELD_WINDOW};
use crate::journal::Ring;
use crate::lane::{LaneHead, LaneRx};
use crate::latency::Kind;
use crate::outputs::{Outlet, Outputs};
use crate::publish::Publisher;
use crate::tap::{Keyframe, Returned, Timing, Wanted};
use osmose_core::sequencer::Head;
use osmose_core::{CoreDriver, Outbox};
use osmose_model::command::Command;
use osmose_model::input::Class;
use osmose_model::observation::ScanBuf;
use osmose_model::site::Idle;
use osmose_model::time::{ArrivalNs, DurationNs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A keyframe this often while inputs come, at the first moment when nothing else waits.
const KEYFRAME_EVERY: DurationNs = DurationNs::from_s(30);
/// Where there is no such moment for this long, the keyframe is taken all the same: a log under constant load must be
/// sought in too, and its files must be able to end.
const KEYFRAME_LATEST: DurationNs = DurationNs::from_s(60);
/// Uncovered share of the journal ring that makes a keyframe urgent: taken even under load.
const KEYFRAME_URGENT: f64 = 0.5;
/// Uncovered share at which nobody is waited for: the core at the side is too far behind.
const KEYFRAME_NOW: f64 = 0.8;
/// Inputs stepped before the sockets are looked at again, where more waits in them: a safety input may be among it.
const TURN_BEHIND: usize = 32;
/// The last stretch to a due instant, which a parked thread does not sleep.
const PARK_SLACK: Duration = Duration::from_micros(100);
/// The same for one that polls.
const POLL_SLACK: Duration = Duration::from_millis(1);

/// Who fills the lanes.
pub(crate) enum Source {
    /// This thread, between two steps.
    Here(Box<dyn Inlet>),
    /// Threads of their own, which unpark this one and end before it does.
    Threads,
}

/// The stepping agent and all that it owns.
pub(crate) struct Stepper {
    pub(crate) source: Source,
    pub(crate) lanes: Vec<LaneRx>,
    pub(crate) driver: CoreDriver,
    pub(crate) out: Outputs,
    pub(crate) clock: HostClock,
    pub(crate) idle: Idle,
    /// An `edge` input that waited for longer goes before what arrived earlier and is less urgent.
    pub(crate) edge_patience: DurationNs,
    pub(crate) bytes: Vec<u8>,
    pub(crate) scan: ScanBuf,
    pub(crate) keyframe: Option<Box<Keyframe>>,
    pub(crate) at_side: AtSide,
    pub(crate) keyframe_at: ArrivalNs,
    pub(crate) keyframe_inputs: u64,
    /// Somebody at the side wants keyframes although no state is kept.
    pub(crate) keyframes_wanted: bool,
    pub(crate) first: Vec<OwnedInput>,
    /// Commands that were decided before a restart and never left.
    pub(crate) owed: Vec<Command>,
    pub(crate) resend_held: bool,
    pub(crate) control: Option<ControlRx>,
    /// Where somebody looks on.
    pub(crate) publisher: Option<Publisher>,
}

/// Whether the core at the side can be saved in the place of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtSide {
    /// There is none.
    Nobody,
    /// It follows.
    Follows,
    /// It was asked for a keyframe.
    Asked,
    /// It has missed something: it goes on from the next keyframe that is filled here.
    Stale,
}

impl Stepper {
    /// Runs until `stop` (where other threads fill the lanes: until they have ended, as they do on `stop`) and then
    /// takes in what still waits. `beside` is called once in every cycle: it is what `inline` has in place of a thread.
    pub(crate) fn run(&mut self, stop: &AtomicBool, beside: &mut dyn FnMut()) {
        self.send_owed();
        // They hold for the instant when the clock was made: the wall clock in them was read with it.
        for OwnedInput(bytes) in std::mem::take(&mut self.first) {
            self.feed_control(self.clock.base(), &bytes);
        }
        if std::mem::take(&mut self.resend_held) {
            self.resend();
        }
        let mut worked_at = self.clock.now();
        while !self.is_over(stop) {
            let worked = self.duty();
            beside();
            let now = self.clock.now();
            if let Source::Here(inlet) = &self.source
                && self.out.meter.is_asked()
            {
                self.out.meter.took_in(inlet.tally());
            }
            self.out.meter.turn(now, worked > 0);
            self.out.tend_leases(self.driver.machine(), now);
            if let Some(publisher) = &mut self.publisher {
                publisher.look_on(self.driver.machine(), now);
            }
            if worked > 0 {
                worked_at = now;
                self.keyframe_if_due(now, false);
                continue;
            }
            self.keyframe_if_due(now, true);
            self.rest(now, worked_at);
        }
        // What had reached us when the stop came is still taken in.
        loop {
            if let Source::Here(inlet) = &mut self.source {
                inlet.look_everywhere();
            }
            if self.duty() == 0 {
                break;
            }
        }
        if let Source::Here(inlet) = &mut self.source {
            inlet.finish(&self.clock);
        }
        while self.duty() > 0 {}
        if let Source::Here(inlet) = &mut self.source {
            inlet.report(self.driver.machine().site());
        }
    }

    /// Whether nothing will come any more.
    fn is_over(&self, stop: &AtomicBool) -> bool {
        match self.source {
            Source::Here(_) => stop.load(Ordering::Relaxed),
            Source::Threads => self.lanes.iter().all(LaneRx::is_abandoned),
        }
    }

    /// One duty cycle; gives how many inputs were stepped.
    fn duty(&mut self) -> usize {
        if let Source::Here(inlet) = &mut self.source {
            if inlet.looks_always() {
                inlet.look_everywhere();
            }
            inlet.do_work(&self.clock);
        }
        let mut n = 0;
        // While more waits in the sockets, a safety input may be among it: it must not wait for all that is here.
        self.out.is_behind = self.is_behind();
        let turn = if self.out.is_behind { TURN_BEHIND } else { usize::MAX };
        while n < turn {
            let Some(i) = self.next_lane() else { break };
            let Some(LaneHead { head, received, len }) = self.lanes[i].pop(&mut self.bytes) else { break };
            let bytes = std::mem::take(&mut self.bytes);
            (self.out.kind, self.out.received, self.out.read) = (Kind::of(head.class), received, head.arrival);
            self.out.more_waits = self.out.is_behind || self.lanes.iter().any(|lane| !lane.is_empty());
            self.feed(head.arrival, &bytes[..len as usize]);
            self.bytes = bytes;
            n += 1;
        }
        self.out.more_waits = false;
        // Where this turn ended with more to come, commands may wait for the next one's.
        if n < turn || !self.out.may_wait_for_next_turn() {
            self.out.flush();
        }
        n += self.take_control();
        self.driver.run_until(self.clock.now(), &mut self.out);
        self.keyframe_inputs += n as u64;
        n
    }

    fn is_behind(&self) -> bool {
        match &self.source {
            Source::Here(inlet) => inlet.is_behind(),
            // The lanes of `state` may be long; those of `safety` fill beside them and are looked at before each step.
            Source::Threads => false,
        }
    }

    /// The lane whose head comes next: in the order of the merge ([`osmose_core::sequencer::next_head`]), but an `edge`
    /// input that has waited for long goes before all but `safety`, since the lane of `state` may be long under overload.
    fn next_lane(&self) -> Option<usize> {
        let rank = |h: Head| match h.class {
            Class::Safety => 0,
            Class::Edge if self.out.stepped_at.since(h.arrival) > self.edge_patience => 1,
            _ => 2,
        };
        let heads = self.lanes.iter().enumerate().filter_map(|(i, lane)| lane.peek().map(|h| ((rank(h), h), i)));
        heads.min().map(|(_, i)| i)
    }

    /// Takes in at most one thing that an operator did or installed, and gives back what is left of it: nothing of it is
    /// freed here.
    fn take_control(&mut self) -> usize {
        let Some(control) = self.control.as_mut().and_then(ControlRx::pop) else { return 0 };
        let spent = match control {
            Control::Input(input) => {
                self.feed_control(self.clock.now(), &input.0);
                Spent::Input(input)
            }
            Control::Rules { staged, again, input, names } => {
                let again = self.out.tap.stage(self.driver.machine().last(), again);
                // Rules come one by one, each with its input: none wait when others come.
                let waited = self.driver.machine_mut().stage(staged);
                self.feed_control(self.clock.now(), &input.0);
                let before = self.driver.machine_mut().replaced().or(waited);
                // People may have changed with the rules; whoever writes their names must know. The site of before lives on
                // in what is given back.
                let site = self.driver.machine().site();
                match &mut self.out.outlet {
                    Outlet::Here(egress) => egress.install(site),
                    Outlet::There(lines, _) => lines.install(site),
                }
                Spent::Rules { before, again, input, names }
            }
        };
        if let Some(control) = &mut self.control {
            control.give_back(spent);
        }
        1
    }

    /// Feeds what comes from within. It may be of an earlier instant; it is accounted for from now on.
    fn feed_control(&mut self, at: ArrivalNs, canonical: &[u8]) {
        let now = self.clock.now();
        (self.out.kind, self.out.received, self.out.read) = (Kind::Control, now, now);
        self.feed(at, canonical);
    }

    /// Nothing is to do: spins, yields, or blocks. When the next wake-up is due is asked for only before blocking.
    fn rest(&mut self, now: ArrivalNs, worked_at: ArrivalNs) {
        if let Source::Here(inlet) = &mut self.source {
            inlet.report(self.driver.machine().site());
        }
        match (&mut self.source, self.idle) {
            (_, Idle::Yield) if now.since(worked_at) < YIELD_WINDOW => std::thread::yield_now(),
            (_, Idle::Yield) => self.block(now),
            (Source::Here(inlet), Idle::Spin) if !inlet.looks_always() => _ = inlet.wait(Duration::ZERO),
            (_, Idle::Spin) => std::hint::spin_loop(),
        }
    }

    /// Blocks until something comes, the next wake-up is due, or a while has passed.
    fn block(&mut self, now: ArrivalNs) {
        let until_due = self.until_due(now);
        // A thread wakes later than it asked to: the last stretch to a due instant is yielded away. The poller's clock
        // has millisecond steps and rounds up.
        let slack = match &self.source {
            Source::Here(_) => POLL_SLACK,
            Source::Threads => PARK_SLACK,
        };
        let wait = until_due.checked_sub(slack).filter(|w| !w.is_zero());
        let asleep = self.clock.now();
        match (&mut self.source, wait) {
            (Source::Here(inlet), Some(wait)) => _ = inlet.wait(wait),
            (Source::Here(inlet), None) => {
                if !inlet.wait(Duration::ZERO) {
                    std::thread::yield_now();
                }
            }
            // An inlet that pushes after our look has unparked us: parking then returns at once.
            (Source::Threads, Some(wait)) => std::thread::park_timeout(wait),
            (Source::Threads, None) => std::thread::yield_now(),
        }
        if let Some(wait) = wait {
            self.out.meter.slept(asleep, wait + slack, self.clock.now());
        }
    }

    /// Until the next wake-up is due, at most [`BLOCK_MAX`].
    fn until_due(&self, now: ArrivalNs) -> Duration {
        let due = self.driver.machine().next_wakeup();
        due.map_or(BLOCK_MAX, |w| Duration::from_nanos(w.0.saturating_sub(now.0).max(0) as u64)).min(BLOCK_MAX)
    }

    fn feed(&mut self, arrival: ArrivalNs, canonical: &[u8]) {
        let fed = self.driver.feed_canonical(arrival, canonical, &mut self.scan, &mut self.out);
        debug_assert!(fed.is_ok(), "what the edge encoded decodes: {fed:?}");
    }

    /// Commands that were decided before a restart and never left go out first. They are in no state that was saved since.
    pub(crate) fn owe(&mut self, owed: Vec<Command>) {
        if !owed.is_empty() {
            self.keyframe_at = ArrivalNs(i64::MIN);
        }
        self.owed = owed;
    }

    /// They are as late as they are: that counts from when they were decided, and a rule's own deadline holds.
    fn send_owed(&mut self) {
        for command in std::mem::take(&mut self.owed) {
            let machine = self.driver.machine();
            let (now, at) = (self.clock.now(), ArrivalNs(command.at.0));
            let timing = Timing { received: at, read: at, step_start: now, step_end: now, sent: now };
            let handed = Handed { timing, ..self.out.handed_now(command.id.seq, now) };
            let commands = std::slice::from_ref(&command);
            self.out.leases.sent(commands, machine, now);
            let Outputs { outlet, clock, meter, .. } = &mut self.out;
            let _ = outlet.send(commands, machine, handed, clock, meter);
        }
        self.out.flush();
    }

    fn resend(&mut self) {
        let mut held = Outbox::new();
        self.driver.machine_mut().resend_held(&mut held);
        let now = self.clock.now();
        let machine = self.driver.machine();
        let handed = self.out.handed_now(machine.last().seq, now);
        self.out.leases.sent(&held.commands, machine, now);
        let Outputs { outlet, clock, meter, .. } = &mut self.out;
        let _ = outlet.send(&held.commands, machine, handed, clock, meter);
        self.out.flush();
    }

    /// Takes a keyframe when one is due and nothing else waits; under load when it is long overdue, or the ring needs
    /// one.
    fn keyframe_if_due(&mut self, now: ArrivalNs, is_idle: bool) {
        self.take_returned();
        let urgent = match &self.out.journal {
            Some(journal) => self.out.journal_broken || journal.uncovered() > KEYFRAME_URGENT,
            None if self.keyframes_wanted => false,
            None => return,
        };
        let patience = if is_idle { KEYFRAME_EVERY } else { KEYFRAME_LATEST };
        let due = self.keyframe_inputs > 0 && now.since(self.keyframe_at) >= patience;
        if !urgent && !due {
            return;
        }
        if self.ask_side() {
            self.note_keyframe(now);
            return;
        }
        let waits = self.at_side == AtSide::Asked;
        if waits && self.out.journal.as_ref().is_none_or(|journal| journal.uncovered() < KEYFRAME_NOW) {
            return;
        }
        let Some(frame) = self.keyframe.take() else { return };
        // It goes by a way of its own: what is held back goes before it.
        self.out.flush();
        self.note_keyframe(now);
        let frame = self.fill(frame);
        match self.out.tap.keyframe(frame) {
            Ok(()) if self.at_side == AtSide::Stale => self.at_side = AtSide::Follows,
            Ok(()) => {}
            Err(frame) => self.keyframe = Some(frame),
        }
    }

    fn note_keyframe(&mut self, now: ArrivalNs) {
        (self.keyframe_at, self.keyframe_inputs, self.out.journal_broken) = (now, 0, false);
    }

    /// Takes note of what became of keyframes.
    fn take_returned(&mut self) {
        while let Some(returned) = self.out.tap.returned() {
            let durable = match returned {
                Returned::Filled(frame, durable) => {
                    let journal = frame.journal;
                    self.keyframe = Some(frame);
                    durable.then_some(journal)
                }
                Returned::Saved(durable) => {
                    self.at_side = AtSide::Follows;
                    durable
                }
                Returned::Stale => {
                    tracing::info!(
                        "the core at the side has missed inputs: the next keyframe is saved by the one that acts"
                    );
                    // It is due still.
                    (self.at_side, self.keyframe_inputs) = (AtSide::Stale, self.keyframe_inputs.max(1));
                    self.keyframe_at = ArrivalNs(i64::MIN);
                    None
                }
            };
            if let (Some(offset), Some(journal)) = (durable, &mut self.out.journal) {
                journal.release_before(offset);
            }
        }
    }

    /// Asks the core at the side for a keyframe of what this one is now; false where that cannot be.
    fn ask_side(&mut self) -> bool {
        if self.at_side != AtSide::Follows {
            return false;
        }
        let machine = self.driver.machine();
        let journal = self.out.journal.as_ref().map_or_else(Default::default, Ring::head);
        let digests = (machine.input_digest(), machine.decision_digest());
        let is_asked = self.out.tap.want(Wanted { tag: machine.last(), journal, digests });
        self.at_side = if is_asked { AtSide::Asked } else { AtSide::Stale };
        is_asked
    }

    fn fill(&self, mut frame: Box<Keyframe>) -> Box<Keyframe> {
        let machine = self.driver.machine();
        frame.tag = machine.last();
        frame.journal = self.out.journal.as_ref().map_or_else(Default::default, Ring::head);
        frame.digests = (machine.input_digest(), machine.decision_digest());
        frame.state.clear();
        machine.save(&mut frame.state);
        frame
    }

    /// The last keyframe, and the account. The ends of the rings go with it, so that the threads at their other ends
    /// know that nothing follows.
    pub(crate) fn finish(mut self) -> Summary {
        self.take_returned();
        let frame = self.keyframe.take().unwrap_or_default();
        let frame = self.fill(frame);
        let _ = self.out.tap.keyframe(frame);
        let machine = self.driver.machine();
        let (egress, lines_lost) = match &self.out.outlet {
            Outlet::Here(egress) => (egress.counts(), 0),
            Outlet::There(lines, _) => (None, lines.full()),
        };
        let intake = match &self.source {
            Source::Here(inlet) => inlet.intake(),
            Source::Threads => Intake::default(),
        };
        let summary = Summary {
            core: machine.stats(),
            egress,
            lines_lost,
            journal_lost: self.out.journal_lost,
            side_lost: self.out.tap.lost_in_all(),
            digests: (machine.input_digest(), machine.decision_digest()),
            last: machine.last(),
            intake,
        };
        if let Source::Here(inlet) = &self.source {
            self.out.meter.took_in(inlet.tally());
        }
        self.out.meter.finish();
        summary
    }
}
