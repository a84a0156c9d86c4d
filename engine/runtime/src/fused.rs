//! The engine on one or two cores: in, sequence, step and out on one pinned thread; recording and the state folder on
//! a second, unpinned and polite one (or, `inline`, between two duty cycles of the only thread).
//!
//! One duty cycle of the pinned thread: read the sockets into the lanes, drain the lanes through the sequencer and the
//! core, let due ticks happen, send. When a cycle finds nothing it takes a keyframe if one is due, and then idles:
//! `spin` looks again at once; `yield` gives the processor away for a short window and then blocks in the poller
//! until a datagram comes or the next wake-up is due.

use crate::clock::HostClock;
use crate::cores::{ComposeError, Cores};
use crate::egress::Egress;
use crate::ingress::{BindError, CLASSES, Ingress, lane_of};
use crate::journal::mapped::Mapped;
use crate::journal::{AppendError, Ring};
use crate::lane::{LaneRx, lane};
use crate::tap::{Keyframe, Tap, TapRx, TapTx, Timing, tap_ring};
use hdrhistogram::Histogram;
use osmose_core::sequencer::next_head;
use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan, Rules, StepSink};
use osmose_drivers::udp::UdpCounts;
use osmose_model::ids::RuleId;
use osmose_model::input::{Class, Input, Tag};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::ScanBuf;
use osmose_model::site::{Idle, Topology};
use osmose_model::stages::Decide;
use osmose_model::time::{ArrivalNs, DurationNs};
use osmose_sensors::edge::Edge;
use osmose_sensors::edge::ledger::Count;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// After work, an idle thread yields for this long before it blocks.
const YIELD_WINDOW: DurationNs = DurationNs::from_us(50);
/// An idle thread blocks no longer than this, so that a stop is seen.
const BLOCK_MAX: Duration = Duration::from_millis(50);
/// A keyframe at least this often while inputs come.
const KEYFRAME_EVERY: DurationNs = DurationNs::from_s(30);
/// Uncovered share of the journal ring that makes a keyframe urgent: taken even under load.
const KEYFRAME_URGENT: f64 = 0.5;
/// Inputs and bytes that a lane holds.
const LANE_ITEMS: usize = 16 * 1024;
const LANE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that wait for the journal thread.
const TAP_BYTES: usize = 32 * 1024 * 1024;
/// Sockets up to which reading all of them beats asking the poller which.
const LOOK_EVERYWHERE_MAX: usize = 4;

/// What a running engine is made of. The machine comes resumed or new; its rules are in force already.
pub struct Setup {
    /// The core.
    pub machine: Core,
    /// The host's clock, based past the machine's last tag.
    pub clock: HostClock,
    /// Inputs that come before any datagram: rules installed, the wall clock's anchor, a gap after a restart.
    pub first: Vec<OwnedInput>,
    /// The journal ring; `None` where no state is kept.
    pub journal: Option<Ring<Mapped>>,
    /// Who watches at the side.
    pub taps: Vec<Box<dyn Tap>>,
    /// Decide, and send nothing.
    pub dry_run: bool,
    /// After a restart: send every held value once.
    pub resend_held: bool,
}

/// An input that owns its canonical bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedInput(pub Vec<u8>);

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The threads do not fit the cores.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// No socket to send from, or no thread to record on.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// How the engine did, for its last words.
#[derive(Debug)]
pub struct Summary {
    /// What the core counted.
    pub core: osmose_core::Stats,
    /// What became of the commands; `None` in a dry run.
    pub egress: Option<UdpCounts>,
    /// Read from the socket to handed to the transport, nanoseconds, of steps that sent something.
    pub react_ns: Histogram<u64>,
    /// One step alone, nanoseconds.
    pub step_ns: Histogram<u64>,
    /// Inputs that were not journaled because the ring was full or an input too large.
    pub journal_lost: u64,
    /// Records that the side did not see.
    pub side_lost: u64,
    /// Both digests at the end.
    pub digests: (osmose_model::digest::Digest, osmose_model::digest::Digest),
    /// The last tag.
    pub last: Tag,
    /// What the edge refused or noticed, by reason.
    pub edge: Vec<Count>,
}

/// A composed engine, its sockets bound.
pub struct Fused {
    pinned: Pinned,
    side: TapRx,
    taps: Vec<Box<dyn Tap>>,
    cores: Cores,
}

struct Pinned {
    ingress: Ingress,
    lanes: [LaneRx; CLASSES],
    driver: CoreDriver,
    out: Outputs,
    clock: HostClock,
    idle: Idle,
    bytes: Vec<u8>,
    scan: ScanBuf,
    keyframe: Option<Box<Keyframe>>,
    keyframe_at: ArrivalNs,
    keyframe_inputs: u64,
    first: Vec<OwnedInput>,
    resend_held: bool,
}

/// Everything that a step's results go to. Borrowed by the driver during a step.
struct Outputs {
    journal: Option<Ring<Mapped>>,
    tap: TapTx,
    egress: Egress,
    clock: HostClock,
    /// When the input being stepped was read, or due.
    read: ArrivalNs,
    step_start: ArrivalNs,
    react_ns: Histogram<u64>,
    step_ns: Histogram<u64>,
    journal_lost: u64,
    /// The ring could not take an input: the next keyframe must come at once.
    journal_broken: bool,
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
        self.tap.input(tag, canonical);
        self.step_start = self.clock.now();
    }

    fn decided(&mut self, tag: Tag, input: &Input<'_>, out: &Outbox, machine: &Core) {
        let step_end = self.clock.now();
        self.step_ns.saturating_record(step_end.since(self.step_start).0.max(1) as u64);
        let mut timing = Timing { read: self.read, step_start: self.step_start, step_end, sent: step_end };
        if matches!(input, Input::Tick) {
            timing.read = ArrivalNs(tag.at.0);
        }
        if !out.commands.is_empty() {
            let rule_name = |rule: RuleId| machine.rules().rule_name(rule);
            for command in &out.commands {
                self.egress.send(command, &rule_name);
            }
            timing.sent = self.clock.now();
            self.react_ns.saturating_record(timing.sent.since(timing.read).0.max(1) as u64);
        }
        self.tap.decided(tag, out, (machine.input_digest(), machine.decision_digest()), timing);
    }
}

/// A histogram of one nanosecond to one minute, three digits; what is beyond is kept at the bound.
fn histogram() -> Histogram<u64> {
    // The bounds are constants that the crate accepts.
    Histogram::new_with_bounds(1, 60_000_000_000, 3)
        .unwrap_or_else(|_| Histogram::new(3).expect("three digits are allowed"))
}

impl Fused {
    /// Binds every socket and allocates every ring. Nothing runs yet.
    ///
    /// # Errors
    /// [`StartError`], with the address or the setting to mend.
    pub fn compose(setup: Setup) -> Result<Self, StartError> {
        let cores = Cores::read();
        let site = setup.machine.site().clone();
        cores.allow(site.engine.idle, 1)?;
        let ((tx0, rx0), (tx1, rx1), (tx2, rx2), (tx3, rx3)) = {
            let one = || lane(LANE_ITEMS, LANE_BYTES);
            (one(), one(), one(), one())
        };
        debug_assert!(lane_of(Class::Safety) == 0 && lane_of(Class::Bulk) == CLASSES - 1);
        let ingress = Ingress::bind(Edge::new(&site), [tx0, tx1, tx2, tx3])?;
        let (tap, side) = tap_ring(TAP_BYTES);
        let out = Outputs {
            journal: setup.journal,
            tap,
            egress: Egress::new(site.clone(), setup.dry_run)?,
            clock: setup.clock,
            read: setup.clock.now(),
            step_start: setup.clock.now(),
            react_ns: histogram(),
            step_ns: histogram(),
            journal_lost: 0,
            journal_broken: false,
        };
        let pinned = Pinned {
            ingress,
            lanes: [rx0, rx1, rx2, rx3],
            driver: CoreDriver::new(setup.machine),
            out,
            clock: setup.clock,
            idle: site.engine.idle,
            bytes: vec![0; INPUT_BYTES_MAX],
            scan: ScanBuf::new(),
            keyframe: Some(Box::default()),
            keyframe_at: setup.clock.now(),
            keyframe_inputs: 0,
            first: setup.first,
            resend_held: setup.resend_held,
        };
        Ok(Self { pinned, side, taps: setup.taps, cores })
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> impl Iterator<Item = std::net::SocketAddr> + '_ {
        self.pinned.ingress.addresses()
    }

    /// Runs until `stop` is set, then takes in what still waits, writes everything out and gives the account.
    /// The calling thread becomes the pinned one.
    ///
    /// # Errors
    /// Where the journal thread cannot be started.
    pub fn run(self, stop: &Arc<AtomicBool>) -> std::io::Result<Summary> {
        let Self { mut pinned, mut side, mut taps, cores } = self;
        if pinned.driver.machine().site().engine.topology == Topology::Inline {
            // No thread at all: what goes to the side is shown between two duty cycles.
            pinned.run(stop, &mut || _ = side.drain(&mut taps));
            let summary = pinned.finish();
            while side.drain(&mut taps) > 0 {}
            taps.iter_mut().for_each(|t| t.finish());
            return Ok(summary);
        }
        let polite = cores.allowed() < 2;
        let journal = std::thread::Builder::new()
            .name("osmose-journal".into())
            .spawn(move || journal_thread(side, taps, polite))?;
        match cores.pin() {
            Some(core) => tracing::info!(core, "the pipeline is pinned"),
            None => tracing::warn!("the pipeline could not be pinned to a core: latency will vary with the scheduler"),
        }
        pinned.run(stop, &mut || {});
        let summary = pinned.finish();
        // The pinned thread's end of the rings is gone now, so the journal thread ends when it has shown everything.
        if journal.join().is_err() {
            tracing::error!("the journal thread failed; what it had not written is missing in the recording");
        }
        Ok(summary)
    }
}

impl Pinned {
    /// Runs until `stop`; `beside` is called once in every cycle (it is what `inline` has in place of a thread).
    fn run(&mut self, stop: &AtomicBool, beside: &mut dyn FnMut()) {
        // They hold for the instant when the clock was made: the wall clock in them was read with it.
        for OwnedInput(bytes) in std::mem::take(&mut self.first) {
            self.feed(self.clock.base(), &bytes);
        }
        if std::mem::take(&mut self.resend_held) {
            self.resend();
        }
        let mut worked_at = self.clock.now();
        let few = self.ingress.ports() <= LOOK_EVERYWHERE_MAX;
        while !stop.load(Ordering::Relaxed) {
            if few {
                self.ingress.look_everywhere();
            }
            let worked = self.duty();
            beside();
            let now = self.clock.now();
            if worked > 0 {
                worked_at = now;
                self.keyframe_if_due(now, false);
                continue;
            }
            self.keyframe_if_due(now, true);
            self.ingress.report_first_times(self.driver.machine().site());
            match self.idle {
                Idle::Spin if few => std::hint::spin_loop(),
                Idle::Spin => _ = self.ingress.wait(Duration::ZERO),
                Idle::Yield if now.since(worked_at) < YIELD_WINDOW => std::thread::yield_now(),
                Idle::Yield => self.block(now),
            }
        }
        // What had reached us when the stop came is still taken in.
        self.ingress.look_everywhere();
        while self.duty() > 0 {
            self.ingress.look_everywhere();
        }
        self.ingress.report_first_times(self.driver.machine().site());
    }

    /// One duty cycle; gives how many inputs were stepped.
    fn duty(&mut self) -> usize {
        self.ingress.do_work(&self.clock);
        let mut n = 0;
        while let Some(i) = next_head(self.lanes.iter().map(LaneRx::peek)) {
            let Some((head, len)) = self.lanes[i].pop(&mut self.bytes) else { break };
            let bytes = std::mem::take(&mut self.bytes);
            self.feed(head.arrival, &bytes[..len]);
            self.bytes = bytes;
            n += 1;
        }
        let now = self.clock.now();
        self.driver.run_until(now, &mut self.out);
        self.keyframe_inputs += n as u64;
        n
    }

    fn feed(&mut self, arrival: ArrivalNs, canonical: &[u8]) {
        self.out.read = arrival;
        let fed = self.driver.feed_canonical(arrival, canonical, &mut self.scan, &mut self.out);
        debug_assert!(fed.is_ok(), "what the edge encoded decodes: {fed:?}");
    }

    fn resend(&mut self) {
        let mut held = Outbox::new();
        self.driver.machine_mut().resend_held(&mut held);
        let machine = self.driver.machine();
        let rule_name = |rule: RuleId| machine.rules().rule_name(rule);
        for command in &held.commands {
            self.out.egress.send(command, &rule_name);
        }
    }

    /// Blocks until something comes, the next wake-up is due, or a while has passed.
    fn block(&mut self, now: ArrivalNs) {
        let until_due = self
            .driver
            .machine()
            .next_wakeup()
            .map_or(BLOCK_MAX, |w| Duration::from_nanos(w.0.saturating_sub(now.0).max(0) as u64));
        // The poller's clock has millisecond steps and rounds up: the last stretch to a due instant is yielded away.
        match until_due.min(BLOCK_MAX).checked_sub(Duration::from_millis(1)) {
            Some(wait) if !wait.is_zero() => _ = self.ingress.wait(wait),
            _ => {
                if !self.ingress.wait(Duration::ZERO) {
                    std::thread::yield_now();
                }
            }
        }
    }

    /// Takes a keyframe when one is due and nothing else waits; under load only when the ring needs one.
    fn keyframe_if_due(&mut self, now: ArrivalNs, is_idle: bool) {
        while let Some((frame, durable)) = self.out.tap.returned() {
            if durable && let Some(journal) = &mut self.out.journal {
                journal.release_before(frame.journal);
            }
            self.keyframe = Some(frame);
        }
        let Some(journal) = &self.out.journal else { return };
        let urgent = self.out.journal_broken || journal.uncovered() > KEYFRAME_URGENT;
        let due = is_idle && self.keyframe_inputs > 0 && now.since(self.keyframe_at) >= KEYFRAME_EVERY;
        if !urgent && !due {
            return;
        }
        let Some(frame) = self.keyframe.take() else { return };
        self.keyframe_at = now;
        self.keyframe_inputs = 0;
        self.out.journal_broken = false;
        let frame = self.fill(frame);
        if let Err(frame) = self.out.tap.keyframe(frame) {
            self.keyframe = Some(frame);
        }
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

    fn finish(mut self) -> Summary {
        while let Some((frame, _)) = self.out.tap.returned() {
            self.keyframe = Some(frame);
        }
        let frame = self.keyframe.take().unwrap_or_default();
        let frame = self.fill(frame);
        let _ = self.out.tap.keyframe(frame);
        let machine = self.driver.machine();
        Summary {
            core: machine.stats(),
            egress: self.out.egress.counts(),
            journal_lost: self.out.journal_lost,
            side_lost: self.out.tap.lost_in_all(),
            digests: (machine.input_digest(), machine.decision_digest()),
            last: machine.last(),
            edge: self.ingress.edge().counters().collect(),
            react_ns: self.out.react_ns,
            step_ns: self.out.step_ns,
        }
    }
}

/// Shows what waits to the taps, and sleeps: 2 ms where there is a core for it, 50 ms at the lowest priority where
/// the pinned thread has the only one.
fn journal_thread(mut side: TapRx, mut taps: Vec<Box<dyn Tap>>, polite: bool) {
    if polite && let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 19) {
        tracing::warn!(%error, "the journal thread keeps its priority: it may delay the pipeline on this one core");
    }
    let nap = Duration::from_millis(if polite { 50 } else { 2 });
    loop {
        let over = side.is_over();
        if side.drain(&mut taps) == 0 {
            taps.iter_mut().for_each(|t| t.idle());
            if over {
                break;
            }
            std::thread::sleep(nap);
        }
    }
    taps.iter_mut().for_each(|t| t.finish());
}
