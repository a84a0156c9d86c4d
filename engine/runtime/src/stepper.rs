//! The stepping agent: lanes in, the sequencer and the core, results out. One thread runs it, whatever the topology.
//!
//! One duty cycle: take in what the lanes hold, let due ticks happen. Where sockets or sending have no threads of their
//! own, the cycle does their work too. When a cycle finds nothing it takes a keyframe if one is due, and then idles:
//! `spin` looks again at once; `yield` gives the processor away for a short window and then blocks until a datagram
//! comes (or another thread unparks this one) or the next wake-up is due.

use crate::clock::HostClock;
use crate::control::{Control, ControlRx, Spent};
use crate::egress::{Egress, Handed, LineTx, Told};
use crate::engine::{OwnedInput, Summary};
use crate::ingress::Intake;
use crate::inlet::{BLOCK_MAX, Inlet, YIELD_WINDOW};
use crate::journal::mapped::Mapped;
use crate::journal::{AppendError, Ring};
use crate::lane::{LaneHead, LaneRx};
use crate::latency::Kind;
use crate::latency::exchange::Meter;
use crate::leases::Leases;
use crate::publish::Publisher;
use crate::tap::{Keyframe, Returned, TapTx, Timing, Wanted};
use osmose_core::sequencer::Head;
use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan, Rules, StepSink};
use osmose_model::command::Command;
use osmose_model::ids::{ActuatorId, RuleId, Seq};
use osmose_model::input::{Class, Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::Idle;
use osmose_model::stages::Decide;
use osmose_model::time::{ArrivalNs, DurationNs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
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

/// Who sends.
pub(crate) enum Outlet {
    /// This thread, at once.
    Here(Box<Egress>),
    /// A thread of its own.
    There(LineTx, Thread),
}

impl Outlet {
    pub(crate) fn reaches(&self, device: ActuatorId) -> bool {
        match self {
            Self::Here(egress) => egress.reaches(device),
            Self::There(lines, _) => lines.reaches(device),
        }
    }

    /// Hands the commands of one step over, or to the thread that will. Who hands over accounts for it; where nothing of
    /// it goes anywhere, nobody does.
    fn send(
        &mut self,
        commands: &[Command],
        machine: &Core,
        handed: Handed,
        clock: &HostClock,
        meter: &mut Meter,
    ) -> Sent {
        let rule_name = |rule: RuleId| machine.rules().rule_name(rule);
        let Some(last) = commands.iter().rposition(|c| self.reaches(c.device)) else { return Sent::Nothing };
        for (i, command) in commands.iter().enumerate() {
            if !self.reaches(command.device) {
                continue;
            }
            let deadline = command.rule.and_then(|r| machine.rules().program().rule(r)?.deadline);
            let (device, rule) = (command.device, command.rule);
            let (seq, n) = (command.id.seq, command.id.n);
            let handed = Handed { device, rule, deadline, last: i == last, seq, n, ..handed };
            let told = Told { command, lease: machine.plan().lease(device) };
            match self {
                Self::Here(egress) => egress.queue(told, &rule_name, handed, clock, meter),
                Self::There(lines, _) => lines.send(told, &rule_name, handed),
            }
        }
        match self {
            Self::Here(_) => Sent::Waits,
            Self::There(_, thread) => {
                thread.unpark();
                Sent::At(clock.now())
            }
        }
    }

    /// Says one more time what a device was told. It is no reaction to anything, so nobody accounts for it.
    fn say_again(&mut self, told: Told<'_>, machine: &Core, handed: Handed, clock: &HostClock, meter: &mut Meter) {
        let rule_name = |rule: RuleId| machine.rules().rule_name(rule);
        let handed = Handed { device: told.command.device, renewal: true, ..handed };
        match self {
            Self::Here(egress) => egress.queue(told, &rule_name, handed, clock, meter),
            Self::There(lines, thread) => {
                lines.send(told, &rule_name, handed);
                thread.unpark();
            }
        }
    }
}

/// What became of the commands of a step.
enum Sent {
    /// There were none that go anywhere.
    Nothing,
    /// The last one had left this thread.
    At(ArrivalNs),
    /// They are queued, to be handed over with those of the next steps or at once.
    Waits,
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

/// Everything that a step's results go to. Borrowed by the driver during a step.
pub(crate) struct Outputs {
    journal: Option<Ring<Mapped>>,
    tap: TapTx,
    outlet: Outlet,
    leases: Leases,
    clock: HostClock,
    /// What the input being stepped is, and when the kernel took it and we read it.
    kind: Kind,
    received: ArrivalNs,
    read: ArrivalNs,
    step_start: ArrivalNs,
    /// When the latest step ended: what it is now, as far as is known without asking.
    stepped_at: ArrivalNs,
    meter: Meter,
    /// More inputs wait to be stepped: commands may wait for theirs.
    more_waits: bool,
    /// More wait in the sockets.
    is_behind: bool,
    /// How often rules were installed.
    generation: u32,
    journal_lost: u64,
    /// The ring could not take an input: the next keyframe must come at once.
    journal_broken: bool,
}

impl Outputs {
    pub(crate) fn new(
        journal: Option<Ring<Mapped>>,
        tap: TapTx,
        (outlet, leases): (Outlet, Leases),
        clock: HostClock,
        meter: Meter,
    ) -> Self {
        let now = clock.now();
        Self {
            journal,
            tap,
            outlet,
            leases,
            clock,
            kind: Kind::Control,
            received: now,
            read: now,
            step_start: now,
            stepped_at: now,
            meter,
            more_waits: false,
            is_behind: false,
            generation: 0,
            journal_lost: 0,
            journal_broken: false,
        }
    }

    /// What goes with a command that no input decided.
    fn handed_now(&self, seq: Seq, now: ArrivalNs) -> Handed {
        Handed {
            device: ActuatorId(0),
            kind: Kind::Control,
            last: false,
            renewal: false,
            rule: None,
            generation: self.generation,
            deadline: None,
            seq,
            n: 0,
            timing: Timing { received: now, read: now, step_start: now, step_end: now, sent: now },
        }
    }

    /// Tells devices what is due of leases.
    fn tend_leases(&mut self, machine: &Core, now: ArrivalNs) {
        let handed = self.handed_now(machine.last().seq, now);
        let Self { leases, outlet, clock, meter, .. } = self;
        let mut said = false;
        leases.tend(machine, now, |command, lease| {
            said = true;
            outlet.say_again(Told { command, lease }, machine, handed, clock, meter);
        });
        if said {
            self.flush();
        }
    }

    /// Hands over every command that waits for those of further steps; what was recorded meanwhile goes to the side.
    fn flush(&mut self) {
        if let Outlet::Here(egress) = &mut self.outlet
            && let Some(sent) = egress.flush(&self.clock, &mut self.meter)
        {
            self.tap.release(sent);
        }
    }

    /// Whether the commands of a step that ended now may wait for those of the next.
    fn may_wait(&self, out: &Outbox) -> bool {
        self.more_waits
            // What a fire alarm, a door or a button decides waits for nobody.
            && !matches!(self.kind, Kind::Safety | Kind::Edge)
            && self.tap.has_room_to_hold(out)
            && matches!(&self.outlet, Outlet::Here(egress) if egress.may_wait(self.stepped_at, self.is_behind))
    }
}

impl Outputs {
    /// Whether what waits may wait for the inputs of the next turn, which follows at once.
    fn may_wait_for_next_turn(&self) -> bool {
        matches!(&self.outlet, Outlet::Here(egress) if egress.may_wait(self.stepped_at, self.is_behind))
    }
}

impl StepSink<Fusion, Rules, Plan> for Outputs {
    fn sequenced(&mut self, tag: Tag, canonical: &[u8]) {
        if let Some(journal) = &mut self.journal {
            match journal.append(tag, canonical) {
                Ok(_) => {}
                Err(AppendError::Full | AppendError::TooLarge(_)) => {
                    self.journal_lost += 1;
                    self.journal_broken = true;
                }
            }
        }
        if !self.tap.has_room_to_hold_input(canonical) {
            self.flush();
        }
        self.tap.input(tag, canonical);
        self.step_start = self.clock.now();
    }

    fn decided(&mut self, tag: Tag, input: &Input<'_>, out: &Outbox, machine: &Core) {
        let step_end = self.clock.now();
        self.stepped_at = step_end;
        let (step_start, sent) = (self.step_start, step_end);
        let (kind, received, read) = match input {
            Input::Tick => (Kind::Timer, ArrivalNs(tag.at.0), ArrivalNs(tag.at.0)),
            _ => (self.kind, self.received, self.read),
        };
        if matches!(input, Input::RulesInstalled { .. }) {
            // What waits was decided by the rules before.
            self.flush();
            self.generation += 1;
            if matches!(self.outlet, Outlet::Here(_)) {
                self.meter.rules_changed();
            }
        }
        let mut timing = Timing { received, read, step_start, step_end, sent };
        let handed = Handed {
            device: ActuatorId(0),
            kind,
            last: false,
            renewal: false,
            rule: None,
            generation: self.generation,
            deadline: None,
            seq: tag.seq,
            n: 0,
            timing,
        };
        self.leases.sent(&out.commands, machine, step_end);
        let may_wait = self.may_wait(out);
        let digests = (machine.input_digest(), machine.decision_digest());
        match self.outlet.send(&out.commands, machine, handed, &self.clock, &mut self.meter) {
            Sent::Nothing => self.meter.done(kind, tag.seq, timing, None, false),
            Sent::At(sent) => timing.sent = sent,
            Sent::Waits if may_wait => {
                self.meter.stepped(kind, &timing);
                return self.tap.hold(tag, out, digests, timing);
            }
            Sent::Waits => {}
        }
        if !may_wait
            && let Outlet::Here(egress) = &mut self.outlet
            && let Some(sent) = egress.flush(&self.clock, &mut self.meter)
        {
            timing.sent = sent;
            self.tap.release(sent);
        }
        // Behind the commands: the histograms' memory is seldom in a cache.
        self.meter.stepped(kind, &timing);
        self.tap.decided(tag, out, digests, timing);
    }
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
