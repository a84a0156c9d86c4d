//! `osmose bench latency`: from the moment an event was due to the command in the client's hand, two processes on loopback.
//!
//! Floor and engine are measured in alternating pairs (floor first, then engine first), because a machine that others share
//! is another one a minute later: what is compared is the two of a pair, and the median of the pairs' ratios is told with
//! its interval.

use crate::client::{Load, Run, Sockets, play};
use crate::dist::{Dist, is_told};
use crate::floor::Kind;
use crate::hiccup::{Found, Misses, Probe};
use crate::host::{Host, kernel_drops};
use crate::interval;
use crate::peer::{Peer, PeerError, Place, Who};
use crate::report::hgrm::Slice;
use crate::report::{Hiccups, Judged, Ratio, Report, Row};
use crate::sites::{FLOODED_HZ, FloodBy, Plan};
use crate::verdict;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// How it is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// This program.
    pub binary: PathBuf,
    /// Events a second.
    pub rate_hz: f64,
    /// Each run, measured.
    pub length: Duration,
    /// Each run, before it is measured.
    pub warm_up: Duration,
    /// Pairs of runs.
    pub pairs: usize,
    /// Idle strategies, each measured by itself: `yield` blocks, `spin` does not.
    pub idle: Vec<String>,
    /// `topology` of site.toml.
    pub topology: String,
    /// The core of the client.
    pub client_core: usize,
    /// The cores of floor and engine.
    pub cores: Vec<usize>,
    /// What is too late.
    pub budget: Duration,
    /// Each pair has a third run, of the engine while another of its sockets is flooded.
    pub flood: Option<FloodBy>,
}

/// A sensor that floods says so many times what it declares.
const FLOOD_TIMES: f64 = 10.0;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum LatencyError {
    /// The other process.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// No socket.
    #[error("cannot open the client's sockets: {0}")]
    Sockets(std::io::Error),
    /// No thread.
    #[error("cannot start the probe: {0}")]
    Probe(std::io::Error),
    /// Something vanished.
    #[error(transparent)]
    Unaccounted(#[from] crate::account::Unaccounted),
    /// Something came that nobody asked for.
    #[error("{bogus} commands came that nobody expected, and {again} came twice, from the {who}: the run is void")]
    Wrong {
        /// From whom.
        who: &'static str,
        /// Not expected.
        bogus: u64,
        /// Twice.
        again: u64,
    },
}

/// Everything of one of the two (or three), over all runs.
struct Side {
    who: Who,
    flooded: bool,
    figures: Figures,
}

impl Side {
    fn new(who: Who, flooded: bool) -> Self {
        Self { who, flooded, figures: Figures::default() }
    }

    fn row_name(&self, idle: &str) -> String {
        format!("{}{}, {}", self.who.as_str(), if self.flooded { " under a flood" } else { "" }, how(idle))
    }
}

/// What was measured of it.
#[derive(Default)]
struct Figures {
    all: Dist,
    misses: Misses,
    runs: Vec<RunFigures>,
    late: Option<Found>,
    client: Dist,
    slices: Vec<Slice>,
    began: Option<SystemTime>,
    accounts: Vec<crate::account::Account>,
}

/// One run in figures.
struct RunFigures {
    p50_ns: f64,
    p999_ns: Option<f64>,
    over_share: f64,
}

/// What it gave: the report, and an interval log of every measured second by side.
pub struct Measurement {
    /// The report.
    pub report: Report,
    /// The latencies of each row of the report, for `.hgrm`.
    pub dists: Vec<(String, Dist)>,
    /// When the first run began, and all seconds.
    pub slices: (SystemTime, Vec<Slice>),
}

/// A port of loopback that nobody holds, by asking for one and letting it go.
///
/// # Errors
/// What the system says.
pub fn free_port() -> std::io::Result<SocketAddr> {
    UdpSocket::bind("127.0.0.1:0")?.local_addr()
}

/// Measures and reports.
///
/// # Errors
/// [`LatencyError`].
pub fn measure(
    options: &Options,
    build: &str,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Measurement, LatencyError> {
    let mut report = Report::new("latency", build, Host::read());
    let mut measurement = Measurement { report: report.clone(), dists: vec![], slices: (SystemTime::now(), vec![]) };
    describe(&mut report, options);
    let pinned = core_affinity::set_for_current(core_affinity::CoreId { id: options.client_core });
    if !pinned {
        report.notes.push("The client could not be pinned: the scheduler's moves are in the figures.".to_owned());
    }
    let runs = if options.flood.is_some() { 3 } else { 2 };
    let total = options.idle.len() * options.pairs * runs;
    let (mut done, mut is_first) = (0, true);
    for idle in &options.idle {
        let mut sides = vec![Side::new(Who::Floor(Kind::Buffered), false), Side::new(Who::Engine, false)];
        sides.extend(options.flood.map(|_| Side::new(Who::Engine, true)));
        for pair in 0..options.pairs {
            for i in 0..runs {
                progress(done, total);
                one_run(idle, options, &mut sides[(pair + i) % runs])?;
                done += 1;
            }
        }
        summarise(&mut report, idle, options, &sides);
        for side in sides {
            let name = side.row_name(idle);
            let side = side.figures;
            measurement.dists.push((name, side.all));
            measurement.slices.1.extend(side.slices);
            if let (Some(began), true) = (side.began, is_first) {
                measurement.slices.0 = began;
            }
            is_first = false;
        }
    }
    measurement.report = report;
    Ok(measurement)
}

fn how(idle: &str) -> &'static str {
    if idle == "spin" { "spinning" } else { "blocking" }
}

fn describe(report: &mut Report, o: &Options) {
    let cores = |c: &[usize]| c.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    report.set(
        "job",
        format!("20 rooms, 200 people, 18 % of events yield a command; {:.0} events/s, open loop", o.rate_hz),
    );
    report.set(
        "runs",
        format!(
            "{} pairs, floor and engine in turn, {:.1} s each behind {:.1} s of warm-up",
            o.pairs,
            o.length.as_secs_f64(),
            o.warm_up.as_secs_f64()
        ),
    );
    report.set("rules", "the peer job's: one rule, an instance for each of 20 rooms");
    report.set("idle", o.idle.join(", "));
    report.set("topology asked for", &o.topology);
    report.set("cores", format!("floor and engine on {}, the client spins on {}", cores(&o.cores), o.client_core));
    report.set("recording", "off; no state is kept");
    let hz = FLOODED_HZ * FLOOD_TIMES;
    if let Some(by) = o.flood {
        let who = match by {
            FloodBy::Rate => format!("a sensor that declares {FLOODED_HZ:.0} readings/s says {hz:.0}/s"),
            FloodBy::Unknown => format!("{hz:.0} datagrams/s from somebody of whom nothing is taken"),
        };
        report.set("flood", format!("on a socket of its own, sent by the client: {who}"));
    }
}

fn one_run(idle: &str, o: &Options, side: &mut Side) -> Result<(), LatencyError> {
    let who = side.who;
    let flooded = o.flood.map(|by| Ok((free_port()?, by))).transpose().map_err(LatencyError::Sockets)?;
    let plan = Plan {
        events: free_port().map_err(LatencyError::Sockets)?,
        commands: free_port().map_err(LatencyError::Sockets)?,
        idle: idle.to_owned(),
        topology: o.topology.clone(),
        flooded,
        ..Plan::default()
    };
    let mut sockets = Sockets::open(plan.events, plan.commands).map_err(LatencyError::Sockets)?;
    if let (Some((to, _)), true) = (flooded, side.flooded) {
        sockets = sockets.flooding(to, FLOODED_HZ * FLOOD_TIMES).map_err(LatencyError::Sockets)?;
    }
    let peer = Peer::start(who, &plan, &Place { binary: o.binary.clone(), cores: o.cores.clone() })?;
    let (least, began) = (o.budget / 10, Instant::now());
    let probe = o.cores.last().map(|&c| Probe::start(c, began, least)).transpose().map_err(LatencyError::Probe)?;
    let load = Load { rate_hz: o.rate_hz, length: o.length, warm_up: o.warm_up, budget: o.budget };
    let run = play(&sockets, &load, least);
    let offset_ns = run.began.0.saturating_duration_since(began).as_nanos() as u64;
    let found = probe.map(Probe::stop);
    let client_drops = kernel_drops(plan.commands.port()).unwrap_or(0);
    let tally = peer.stop()?;
    if run.bogus + run.again > 0 {
        return Err(LatencyError::Wrong { who: who.as_str(), bogus: run.bogus, again: run.again });
    }
    for account in [tally.events(who, run.sent + run.flooded), tally.commands(who, run.received, client_drops)] {
        account.close()?;
        side.figures.accounts.push(account);
    }
    side.figures.take(&run, found, offset_ns, o.budget);
    Ok(())
}

impl Figures {
    fn take(&mut self, run: &Run, found: Option<Found>, offset_ns: u64, budget: Duration) {
        let budget_ns = budget.as_nanos() as u64;
        let n = run.latency.len();
        // The probe began a little before the client's clock.
        let moved = found.as_ref().map(|f| f.gaps.by_clock_begun_later(offset_ns));
        let cores: Vec<&crate::hiccup::Gaps> = moved.iter().chain([&run.gaps]).collect();
        let mut misses = Misses::label(&run.misses, budget_ns, &cores);
        misses.all += run.misses_not_kept;
        misses.rest += run.misses_not_kept;
        self.misses.merge(&misses);
        let hist = run.latency.histogram();
        self.runs.push(RunFigures {
            p50_ns: hist.value_at_quantile(0.5) as f64,
            p999_ns: is_told(n, 0.999).then(|| hist.value_at_quantile(0.999) as f64),
            over_share: run.latency.beyond(budget_ns) as f64 / n.max(1) as f64,
        });
        self.all.merge(&run.latency);
        for gap in run.gaps.all() {
            self.client.add(gap.to_ns - gap.from_ns);
        }
        self.began.get_or_insert(run.began.1);
        let base = self.slices.last().map_or(Duration::ZERO, |s| s.from + s.length);
        self.slices.extend(run.slices.iter().cloned().map(|s| Slice { from: s.from + base, ..s }));
        if let Some(found) = found {
            match &mut self.late {
                Some(all) => {
                    all.late.merge(&found.late);
                    found.gaps.all().iter().for_each(|g| all.gaps.note(g.from_ns, g.to_ns));
                }
                None => self.late = Some(found),
            }
        }
    }
}

fn summarise(report: &mut Report, idle: &str, o: &Options, sides: &[Side]) {
    for side in sides {
        let (name, figures) = (side.row_name(idle), &side.figures);
        let p50s = figures.runs.iter().map(|r| r.p50_ns).collect();
        report.rows.push(Row::new(&name, &figures.all, p50s).with_misses(figures.misses));
        if let Some(found) = &figures.late {
            report.hiccups.push(Hiccups::of_probe(&format!("core of the {name}"), found));
        }
        if !figures.client.is_empty() {
            report.notes.push(format!(
                "The client's own core was taken away {} times for {:.0} us or more beside the {name}, at most {:.1} ms; misses that overlap these count as overlapping a hiccup.",
                figures.client.len(),
                o.budget.as_secs_f64() * 1e5,
                figures.client.max_ns() as f64 / 1e6
            ));
        }
        report.accounts.extend(merged(&figures.accounts));
    }
    let budget_ms = o.budget.as_secs_f64() * 1e3;
    let [floor, engines @ ..] = sides else { return };
    for engine in engines {
        compare(
            report,
            (engine, if engine.flooded { "engine under a flood" } else { "engine" }),
            (floor, "floor"),
            idle,
            o,
        );
        let nothing = Dist::new();
        let probe = engine.figures.late.as_ref().map_or(&nothing, |f| &f.late);
        report.verdicts.push(Judged {
            what: format!("p99.9 of the {}, within {budget_ms} ms", engine.row_name(idle)),
            verdict: verdict::judge(&engine.figures.all, probe, o.budget.as_nanos() as u64),
        });
    }
    if let [engine, flooded] = engines {
        compare(report, (flooded, "engine under a flood"), (engine, "engine"), idle, o);
    }
}

/// The ratios of two sides, by the pairs of their runs.
fn compare(report: &mut Report, (a, a_name): (&Side, &str), (b, b_name): (&Side, &str), idle: &str, o: &Options) {
    let how = how(idle);
    let mut ratio = |what: &str, of: &dyn Fn(&RunFigures) -> Option<f64>| {
        let both = a.figures.runs.iter().zip(&b.figures.runs);
        let pairs: Option<Vec<f64>> = both.map(|(a, b)| Some(interval::ratio(of(a)?, of(b)?))).collect();
        let pairs = pairs.unwrap_or_default();
        if let Some(interval) = interval::from_signs(&pairs) {
            let order = "alternating pairs".to_owned();
            report.ratios.push(Ratio { what: format!("{what}, {how}: {a_name} / {b_name}"), interval, pairs, order });
        }
    };
    ratio("p50", &|r| Some(r.p50_ns));
    ratio("p99.9", &|r| r.p999_ns);
    ratio(&format!("share over {} ms", o.budget.as_secs_f64() * 1e3), &|r| Some(r.over_share));
}

/// Accounts of several runs as one for each way.
fn merged(accounts: &[crate::account::Account]) -> Vec<crate::account::Account> {
    let mut all: Vec<crate::account::Account> = vec![];
    for a in accounts {
        let Some(into) = all.iter_mut().find(|b| b.way == a.way) else {
            all.push(a.clone());
            continue;
        };
        into.sent += a.sent;
        into.received += a.received;
        for (by, n) in &a.dropped {
            match into.dropped.iter_mut().find(|(b, _)| b == by) {
                Some((_, m)) => *m += n,
                None => into.dropped.push((by.clone(), *n)),
            }
        }
    }
    all
}
