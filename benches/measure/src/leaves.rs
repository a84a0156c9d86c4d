//! `osmose bench latency --leaves N`: so many leaves under full sensor load, every one of them accounted for.
//!
//! What is judged is the engine's own account: from the datagram read to the pause handed to the transport, with the wait in
//! the socket beside it, and the way from due to received as the client saw it.

use crate::client::{Load, Sockets, play};
use crate::dist::Dist;
use crate::hiccup::{Gaps, Misses, Probe};
use crate::host::{Host, kernel_drops};
use crate::latency::{LatencyError, free_port};
use crate::peer::{Measured, Peer, Place, Who};
use crate::report::{Hiccups, Judged, Report, Row};
use crate::sites::Plan;
use crate::verdict::Verdict;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How it is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// This program.
    pub binary: PathBuf,
    /// Leaves that must each yield a pause.
    pub leaves: u64,
    /// Events a second: 18 % of them are leaves.
    pub rate_hz: f64,
    /// Idle strategy.
    pub idle: String,
    /// `topology` of site.toml.
    pub topology: String,
    /// The core of the client.
    pub client_core: usize,
    /// The cores of the engine.
    pub cores: Vec<usize>,
    /// What a pause may take, read to handed over.
    pub budget: Duration,
}

/// The share of events that are leaves.
const LEAVES_SHARE: f64 = 0.18;
/// What the engine calls the span that is judged.
pub const JUDGED: &str = "read to handed over";

/// Measures and reports; gives the client's latencies too.
///
/// # Errors
/// [`LatencyError`].
pub fn measure(o: &Options, build: &str) -> Result<(Report, Dist), LatencyError> {
    let mut report = Report::new("latency --leaves", build, Host::read());
    let cores: Vec<String> = o.cores.iter().map(usize::to_string).collect();
    report.set("job", format!("20 rooms, 200 people; {:.0} events/s, open loop, until {} leaves", o.rate_hz, o.leaves));
    report.set("rules", "the peer job's: one rule, an instance for each of 20 rooms");
    report.set("idle", &o.idle);
    report.set("cores", format!("the engine on {}, the client spins on {}", cores.join(","), o.client_core));
    let _ = core_affinity::set_for_current(core_affinity::CoreId { id: o.client_core });
    let plan = Plan {
        events: free_port().map_err(LatencyError::Sockets)?,
        commands: free_port().map_err(LatencyError::Sockets)?,
        idle: o.idle.clone(),
        topology: o.topology.clone(),
        ..Plan::default()
    };
    let sockets = Sockets::open(plan.events, plan.commands).map_err(LatencyError::Sockets)?;
    let peer = Peer::start(Who::Engine, &plan, &Place { binary: o.binary.clone(), cores: o.cores.clone() })?;
    let events = o.leaves as f64 / LEAVES_SHARE;
    let length = Duration::from_secs_f64(events / o.rate_hz.max(1.0));
    let load = Load { rate_hz: o.rate_hz, length, warm_up: Duration::ZERO, budget: o.budget };
    let (least, began) = (o.budget / 10, Instant::now());
    let probe = o.cores.last().map(|&c| Probe::start(c, began, least)).transpose().map_err(LatencyError::Probe)?;
    let run = play(&sockets, &load, least);
    let found = probe.map(Probe::stop);
    let client_drops = kernel_drops(plan.commands.port()).unwrap_or(0);
    let tally = peer.stop()?;
    if run.bogus + run.again > 0 {
        return Err(LatencyError::Wrong { who: "engine", bogus: run.bogus, again: run.again });
    }
    report.set("topology", &tally.topology);
    report.accounts.push(tally.events(Who::Engine, run.sent));
    report.accounts.push(tally.commands(Who::Engine, run.received, client_drops));
    report.close()?;
    let offset_ns = run.began.0.saturating_duration_since(began).as_nanos() as u64;
    let moved = found.as_ref().map(|f| f.gaps.by_clock_begun_later(offset_ns));
    let gaps: Vec<&Gaps> = moved.iter().chain([&run.gaps]).collect();
    let misses = Misses::label(&run.misses, o.budget.as_nanos() as u64, &gaps);
    let row = Row::new("due to received, as the client saw it", &run.latency, vec![]);
    report.rows.push(row.with_misses(misses));
    report.rows.extend(tally.latency.iter().map(Row::of_measured));
    if let Some(found) = &found {
        report.hiccups.push(Hiccups::of_probe("core of the engine", found));
    }
    let nothing = Dist::new();
    let probe = found.as_ref().map_or(&nothing, |f| &f.late);
    report.verdicts.push(Judged {
        what: format!("p99.9 from read to the pause handed over within {} ms", o.budget.as_secs_f64() * 1e3),
        verdict: judge(tally.latency.iter().find(|m| m.what == JUDGED), probe, o.budget.as_nanos() as u64),
    });
    report.notes.push(format!("{} leaves, {} pauses, each once", run.expected, run.received));
    Ok((report, run.latency))
}

/// The rule of [`crate::verdict::judge`], for a span that the engine measured itself.
fn judge(span: Option<&Measured>, probe: &Dist, budget_ns: u64) -> Verdict {
    let Some(span) = span else { return Verdict::NotProvable(format!("the engine gave no span `{JUDGED}`")) };
    crate::verdict::judge_at(span.p999_ns, span.samples, probe, budget_ns)
}
