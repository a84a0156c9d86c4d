//! The engine composed: which agents run on which threads.
//!
//! | topology | threads |
//! |---|---|
//! | `inline` | none: everything in the caller's, the side is shown things between two cycles |
//! | `fused` | in, sequence, step and out in the caller's, pinned; journal and recording beside it |
//! | `split` | in; sequence and step (the caller's); out; journal and recording |
//! | `dedicated` | as `split`, with as many threads for sockets as there are cores and ports for |
//!
//! All are the same agents: an [`Inlet`] fills lanes, the stepper takes from them, lines go out. What differs is who
//! calls whom, so every topology makes the same decisions of the same log.

use crate::clock::HostClock;
use crate::control::ControlRx;
use crate::cores::{ComposeError, Cores};
use crate::egress::{Egress, LineRx};
use crate::ingress::{BindError, CLASSES, Ingress, Intake, lane_of};
use crate::inlet::{self, Inlet};
use crate::journal::Kept;
use crate::lane::{LaneRx, LaneTx, lane};
use crate::latency::exchange::{Collector, Latencies};
use crate::leases::Leases;
use crate::outputs::{Outlet, Outputs};
use crate::publish::{Pictures, Publisher, publisher};
use crate::shadow::Shadow;
use crate::stepper::{AtSide, Source, Stepper};
use crate::tap::{Tap, TapRx, tap_ring};
use osmose_core::{Core, CoreDriver};
use osmose_drivers::udp::UdpCounts;
use osmose_model::input::{Class, Tag};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::ScanBuf;
use osmose_model::site::{Site, Topology};
use osmose_model::time::DurationNs;
use osmose_sensors::edge::Edge;
use osmose_sensors::edge::keys::Keys;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Inputs and bytes that a lane holds.
const LANE: (usize, usize) = (16 * 1024, 4 * 1024 * 1024);
/// The same for `state`: past half of it older items give way, so half of it is what comes while a machine that others share
/// takes the processor away, some 30 ms at a million observations a second.
const LANE_OF_STATE: (usize, usize) = (64 * 1024, 8 * 1024 * 1024);
/// Bytes that wait for the journal thread.
const TAP_BYTES: usize = 32 * 1024 * 1024;
/// Rules that may come by a reload beyond those at the start and still have rows of their own in the account.
const RULES_TO_COME: usize = 32;
/// Threads for sockets at most.
const INLETS_MAX: usize = 4;
/// Cores that `dedicated` keeps for other threads than those for sockets: step, out, journal, operations.
const CORES_BESIDE_INLETS: usize = 4;

/// What a running engine is made of. The machine comes resumed or new; its rules are in force already.
pub struct Setup {
    /// The core.
    pub machine: Core,
    /// The host's clock, based past the machine's last tag.
    pub clock: HostClock,
    /// Inputs that come before any datagram: rules installed, the wall clock's anchor, a gap after a restart.
    pub first: Vec<OwnedInput>,
    /// The journal ring, and what left; `None` where no state is kept.
    pub journal: Option<Kept>,
    /// Who watches at the side.
    pub taps: Vec<Box<dyn Tap>>,
    /// Decide, and send nothing.
    pub dry_run: bool,
    /// After a restart: send every held value once.
    pub resend_held: bool,
    /// What operators do and which rules are installed while it runs; `None` where nobody can.
    pub control: Option<ControlRx>,
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
#[derive(Clone, Debug)]
pub struct Summary {
    /// What the core counted.
    pub core: osmose_core::Stats,
    /// What became of the commands; `None` in a dry run.
    pub egress: Option<UdpCounts>,
    /// Commands that found the way to the sending thread full.
    pub lines_lost: u64,
    /// Inputs that were not journaled because the ring was full or an input too large.
    pub journal_lost: u64,
    /// Records that the side did not see.
    pub side_lost: u64,
    /// Both digests at the end.
    pub digests: (osmose_model::digest::Digest, osmose_model::digest::Digest),
    /// The last tag.
    pub last: Tag,
    /// What came in, and what became of it before it was stepped.
    pub intake: Intake,
}

/// A composed engine, its sockets bound.
pub struct Engine {
    topology: Topology,
    cores: Cores,
    addresses: Vec<SocketAddr>,
    inlets: Vec<Box<dyn Inlet>>,
    lanes: Vec<LaneRx>,
    setup: Setup,
    collector: Collector,
    publisher: Option<Publisher>,
}

/// The two ends of one inlet's lanes, by [`lane_of`].
#[must_use]
pub fn lanes() -> ([LaneTx; CLASSES], [LaneRx; CLASSES]) {
    debug_assert!(lane_of(Class::Safety) == 0 && lane_of(Class::Bulk) == CLASSES - 1);
    let [(a, b), (c, d), (e, f), (g, h)] = std::array::from_fn(|i| {
        let (items, bytes) = if i == lane_of(Class::State) { LANE_OF_STATE } else { LANE };
        lane(items, bytes)
    });
    ([a, c, e, g], [b, d, f, h])
}

impl Engine {
    /// Binds every socket. Nothing runs yet. Nothing is taken from devices whose `connect` names a key file.
    ///
    /// # Errors
    /// [`StartError`], with the address or the setting to mend.
    pub fn compose(setup: Setup) -> Result<Self, StartError> {
        Self::compose_signed(setup, &Keys::default())
    }

    /// The same for a site some of whose devices sign what they say.
    ///
    /// # Errors
    /// [`StartError`], with the address or the setting to mend.
    pub fn compose_signed(setup: Setup, keys: &Keys) -> Result<Self, StartError> {
        let cores = Cores::read();
        let site = setup.machine.site().clone();
        let topology = cores.topology(site.engine.topology);
        let n = inlets_for(topology, Edge::new(&site).ports().len(), cores.allowed());
        let (mut inlets, mut addresses, mut ends) = (Vec::<Box<dyn Inlet>>::new(), vec![], vec![]);
        for i in 0..n {
            let (tx, rx) = lanes();
            let ingress = Ingress::bind(Edge::with_keys(&site, keys), tx, |port| usize::from(port.0) % n == i)?;
            addresses.extend(ingress.addresses());
            inlets.push(Box::new(ingress));
            ends.extend(rx);
        }
        let mut engine = Self::with_inlets(setup, topology, inlets, ends)?;
        engine.addresses = addresses;
        Ok(engine)
    }

    /// An engine whose inputs come from elsewhere than the site's sockets: `inlets` fill the other ends of `lanes`.
    ///
    /// # Errors
    /// [`StartError::Compose`] where as many threads may not spin.
    pub fn with_inlets(
        setup: Setup,
        topology: Topology,
        inlets: Vec<Box<dyn Inlet>>,
        lanes: Vec<LaneRx>,
    ) -> Result<Self, StartError> {
        let cores = Cores::read();
        let spinning = if is_threaded(topology) { inlets.len() + 2 } else { 1 };
        cores.allow(setup.machine.site().engine.idle, spinning)?;
        let machine = &setup.machine;
        let budget = DurationNs::from_us(machine.site().engine.budget_us.into());
        let rules = machine.rules().program().rules().len();
        let collector = Collector::new(budget, rules + RULES_TO_COME);
        Ok(Self { topology, cores, addresses: Vec::new(), inlets, lanes, setup, collector, publisher: None })
    }

    /// How long things take, kept up to date while it runs; for a thread at the side.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        self.collector.latencies()
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.addresses.iter().copied()
    }

    /// Somebody looks on: from here on the stepping thread publishes pictures of the world, and this is the end that
    /// they come out of.
    pub fn look_on(&mut self) -> Pictures {
        let (publisher, pictures) = publisher(self.setup.machine.site());
        self.publisher = Some(publisher);
        pictures
    }

    /// How it is composed; never `auto`.
    #[must_use]
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// Runs until `stop` is set, then takes in what still waits, writes everything out and gives the account.
    /// The calling thread becomes the stepping one.
    ///
    /// # Errors
    /// Where no socket to send from can be opened, or a thread cannot be started.
    pub fn run(self, stop: &Arc<AtomicBool>) -> std::io::Result<Summary> {
        let Self { topology, cores, inlets, lanes, mut setup, mut collector, publisher, .. } = self;
        let site = setup.machine.site().clone();
        let (clock, taps) = (setup.clock, std::mem::take(&mut setup.taps));
        let (ring, handed, owed) = match setup.journal.take() {
            Some(Kept { ring, handed, owed }) => (Some(ring), Some(handed), owed),
            None => (None, None, Vec::new()),
        };
        let egress = Egress::new(site.clone(), setup.dry_run, handed)?;
        let (mut tap, mut side) = tap_ring(if taps.is_empty() { 0 } else { TAP_BYTES });
        if taps.is_empty() {
            tap.nobody_listens();
        }
        let meter = collector.meter("step", true, clock.now());
        let mut threads = Threads { cores: &cores, site: &site, clock, next_core: 1, collector: &mut collector };
        let (source, outlet, beside) = if is_threaded(topology) {
            let (lines_tx, lines_rx) = egress.part();
            let sender = threads.sender(lines_rx)?;
            let inlets = inlets.into_iter().map(|i| threads.inlet(i, stop)).collect::<Result<Vec<_>, _>>()?;
            let outlet = Outlet::There(lines_tx, sender.thread().clone());
            (Source::Threads, outlet, Some((inlets, sender)))
        } else {
            (Source::Here(one(inlets)), Outlet::Here(Box::new(egress)), None)
        };
        let keyframes_wanted = taps.iter().any(|t| t.wants_keyframes());
        let at_side = if has_shadow(topology, &cores, !taps.is_empty() && (keyframes_wanted || ring.is_some())) {
            side.cast(Shadow::new(setup.machine.clone()));
            AtSide::Follows
        } else {
            AtSide::Nobody
        };
        let leases = Leases::new(&setup.machine, |device| outlet.reaches(device));
        let out = Outputs::new(ring, tap, (outlet, leases), clock, meter);
        let mut stepper = stepper(setup, source, lanes, out);
        stepper.publisher = publisher;
        stepper.owe(owed);
        (stepper.keyframes_wanted, stepper.at_side) = (keyframes_wanted, at_side);
        let mut summary = if topology == Topology::Inline {
            inline(stepper, side, taps, &mut collector, stop)
        } else {
            let journal = journal(&cores, side, taps, collector)?;
            pin(&cores);
            stepper.run(stop, &mut || {});
            let summary = stepper.finish();
            // The stepper's ends of the rings are gone now, so the others end when they have dealt with everything.
            match journal.join() {
                Ok(of_all) => collector = of_all,
                Err(_) => {
                    tracing::error!("the journal thread failed; what it had not written is missing in the recording");
                    collector = Collector::new(DurationNs::ZERO, 0);
                }
            }
            summary
        };
        if let Some((inlets, sender)) = beside {
            for inlet in inlets {
                match inlet.join() {
                    Ok(intake) => summary.intake.add(intake),
                    Err(_) => tracing::error!("a thread of sockets failed; its counters are missing"),
                }
            }
            match sender.join() {
                Ok(counts) => summary.egress = counts,
                Err(_) => tracing::error!("the sending thread failed; its counters are missing"),
            }
        }
        // Every thread has ended and handed out the last of what it measured.
        collector.take();
        Ok(summary)
    }
}

/// Whether sockets and sending have threads of their own.
fn is_threaded(topology: Topology) -> bool {
    matches!(topology, Topology::Split | Topology::Dedicated)
}

/// Whether a core at the side is saved in the place of the one that acts: where keyframes are taken, and there is a second
/// processor that it can be stepped on.
fn has_shadow(topology: Topology, cores: &Cores, keyframes: bool) -> bool {
    keyframes && topology != Topology::Inline && cores.allowed() > 1
}

/// How many threads read sockets.
fn inlets_for(topology: Topology, ports: usize, cores: usize) -> usize {
    match topology {
        Topology::Dedicated => ports.min(cores.saturating_sub(CORES_BESIDE_INLETS)).clamp(1, INLETS_MAX),
        _ => 1,
    }
}

/// The inlet of an engine that has one.
fn one(mut inlets: Vec<Box<dyn Inlet>>) -> Box<dyn Inlet> {
    debug_assert!(inlets.len() == 1, "a thread that does everything has one inlet");
    inlets.remove(0)
}

fn stepper(setup: Setup, source: Source, lanes: Vec<LaneRx>, out: Outputs) -> Stepper {
    Stepper {
        source,
        lanes,
        out,
        clock: setup.clock,
        idle: setup.machine.site().engine.idle,
        edge_patience: DurationNs::from_us(i64::from(setup.machine.site().engine.budget_us) / 4),
        driver: CoreDriver::new(setup.machine),
        bytes: vec![0; INPUT_BYTES_MAX],
        scan: ScanBuf::new(),
        keyframe: Some(Box::default()),
        at_side: AtSide::Nobody,
        keyframe_at: setup.clock.now(),
        keyframe_inputs: 0,
        keyframes_wanted: false,
        first: setup.first,
        owed: Vec::new(),
        resend_held: setup.resend_held,
        control: setup.control,
        publisher: None,
    }
}

/// No thread at all: what goes to the side is shown between two duty cycles.
fn inline(
    mut stepper: Stepper,
    mut side: TapRx,
    mut taps: Vec<Box<dyn Tap>>,
    collector: &mut Collector,
    stop: &AtomicBool,
) -> Summary {
    stepper.run(stop, &mut || {
        side.drain(&mut taps);
        collector.collect();
    });
    let summary = stepper.finish();
    while side.drain(&mut taps) > 0 {}
    taps.iter_mut().for_each(|t| t.finish());
    summary
}

fn pin(cores: &Cores) {
    match cores.pin(0) {
        Some(core) => tracing::info!(core, "the pipeline is pinned"),
        None => tracing::warn!("the pipeline could not be pinned to a core: latency will vary with the scheduler"),
    }
}

/// Starts the threads beside the stepping one.
struct Threads<'a> {
    cores: &'a Cores,
    site: &'a Arc<Site>,
    clock: HostClock,
    /// The stepping thread has core 0 of [`Cores::pin`].
    next_core: usize,
    collector: &'a mut Collector,
}

impl Threads<'_> {
    fn core(&mut self) -> usize {
        self.next_core += 1;
        self.next_core - 1
    }

    fn sender(&mut self, lines: LineRx) -> std::io::Result<JoinHandle<Option<UdpCounts>>> {
        let (cores, core, clock, idle) = (self.cores.clone(), self.core(), self.clock, self.site.engine.idle);
        let meter = self.collector.meter("out", true, clock.now());
        Builder::new().name("osmose-out".into()).spawn(move || {
            // Where it has no core of its own it goes where the scheduler puts it.
            let _ = cores.pin(core);
            lines.run(clock, idle, meter)
        })
    }

    fn inlet(&mut self, inlet: Box<dyn Inlet>, stop: &Arc<AtomicBool>) -> std::io::Result<JoinHandle<Intake>> {
        let (cores, core, clock, site) = (self.cores.clone(), self.core(), self.clock, self.site.clone());
        let (stop, stepper) = (stop.clone(), std::thread::current());
        let meter = self.collector.meter(&format!("in {core}"), false, clock.now());
        Builder::new().name("osmose-in".into()).spawn(move || {
            let _ = cores.pin(core);
            let (idle, stop, to_wake) = (site.engine.idle, &*stop, &stepper);
            let intake =
                inlet::serve(inlet, inlet::Serving { site: &site, clock, idle, stop, stepper: to_wake, meter });
            // Its lanes are gone: the stepping thread must see that.
            stepper.unpark();
            intake
        })
    }
}

fn journal(
    cores: &Cores,
    side: TapRx,
    taps: Vec<Box<dyn Tap>>,
    collector: Collector,
) -> std::io::Result<JoinHandle<Collector>> {
    let cores = cores.clone();
    Builder::new().name("osmose-journal".into()).spawn(move || journal_thread(side, taps, collector, &cores))
}

/// Shows what waits to the taps, and sleeps: 2 ms where there is a core for it, 50 ms where the pinned thread has the only
/// one.
fn journal_thread(mut side: TapRx, mut taps: Vec<Box<dyn Tap>>, mut collector: Collector, cores: &Cores) -> Collector {
    if !cores.step_aside() {
        tracing::warn!("the journal thread cannot be kept out of the pipeline's way: it may delay it");
    }
    let nap = Duration::from_millis(if cores.allowed() < 2 { 50 } else { 2 });
    loop {
        let over = side.is_over();
        collector.collect();
        if side.drain(&mut taps) == 0 {
            taps.iter_mut().for_each(|t| t.idle());
            if over {
                break;
            }
            std::thread::sleep(nap);
        }
    }
    taps.iter_mut().for_each(|t| t.finish());
    collector
}
