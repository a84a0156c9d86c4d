//! `osmose bench latency --highest`: the highest rate at which nothing is lost, floors and engine in turn.
//!
//! There are three floors ([`crate::floor::Kind`]): the peers' own, which makes a call for every datagram; the same with as
//! large a buffer as the engine asks for; and one that takes and sends as many datagrams a call as the engine does. The
//! engine's ratio to each is told: to the first it says what batching and the engine make of the machine together, to the
//! last what the engine costs.
//!
//! A trial starts the process anew, sends for some seconds at one rate and counts. Nothing lost means: every expected command
//! came, and neither kernel nor engine counted a drop. The rate is doubled until a trial fails, then halved in; a later search
//! of the same side begins where the one before it ended, and goes up or down from there. A rate that the client itself could
//! not send ends the search, and the report says whose limit it was.

use crate::account::Account;
use crate::batch::{Client, Flood, Prepared};
use crate::floor::Kind;
use crate::host::{Host, kernel_drops};
use crate::interval;
use crate::latency::{LatencyError, free_port};
use crate::peer::{Peer, Place, Who};
use crate::report::{Rate, Ratio, Report};
use crate::sites::{Format, Plan};
use std::path::PathBuf;
use std::time::Duration;

/// How it is searched.
#[derive(Clone, Debug)]
pub struct Options {
    /// This program.
    pub binary: PathBuf,
    /// Of one trial.
    pub length: Duration,
    /// Searches of each side.
    pub pairs: usize,
    /// Observations of one datagram; more than one are native frames, which the floor cannot read.
    pub each: usize,
    /// The first rate, observations a second.
    pub from_hz: f64,
    /// Idle strategy.
    pub idle: String,
    /// `topology` of site.toml.
    pub topology: String,
    /// The core of the client.
    pub client_core: usize,
    /// The cores of floor and engine.
    pub cores: Vec<usize>,
}

/// Steps that halve the stretch between a rate that went well and one that did not.
const HALVINGS: usize = 4;
/// By how much a later search goes up or down at a time, and how often it halves what is left.
const NEAR: f64 = 1.15;
const NEAR_HALVINGS: usize = 2;
/// No machine of this day takes more.
const RATE_MAX: f64 = 64e6;
/// A client that is behind by this share of a trial has found its own limit.
const BEHIND_MAX: f64 = 0.02;

/// What became of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was lost.
    Whole,
    /// Something was.
    Lost,
    /// The client could not send that fast.
    ClientsLimit,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Highest {
    /// The highest rate of a trial in which nothing was lost, observations a second; 0 where there was none.
    pub rate_hz: f64,
    /// Whether the client ended it.
    pub is_clients: bool,
}

/// Searches the highest rate at which `trial` is whole.
///
/// # Errors
/// Those of a trial.
pub fn search<E>(from_hz: f64, mut trial: impl FnMut(f64) -> Result<Outcome, E>) -> Result<Highest, E> {
    let (mut good, mut rate) = (0.0, from_hz);
    let (mut bad, mut is_clients) = loop {
        match trial(rate)? {
            Outcome::Whole if rate < RATE_MAX => good = rate,
            Outcome::Whole => return Ok(Highest { rate_hz: rate, is_clients: false }),
            failed => break (rate, failed == Outcome::ClientsLimit),
        }
        rate *= 2.0;
    };
    // Below the first rate: down until something is whole.
    while good == 0.0 && bad > 100.0 {
        let half = bad / 2.0;
        match trial(half)? {
            Outcome::Whole => good = half,
            failed => (bad, is_clients) = (half, failed == Outcome::ClientsLimit),
        }
    }
    halve_in(HALVINGS, good, bad, is_clients, trial)
}

/// The same from near where it is thought to be: what an earlier search found.
///
/// # Errors
/// Those of a trial.
pub fn search_near<E>(near_hz: f64, mut trial: impl FnMut(f64) -> Result<Outcome, E>) -> Result<Highest, E> {
    let mut rate = near_hz;
    let first = trial(rate)?;
    if first == Outcome::Whole {
        while rate < RATE_MAX {
            match trial(rate * NEAR)? {
                Outcome::Whole => rate *= NEAR,
                failed => {
                    let is_clients = failed == Outcome::ClientsLimit;
                    return halve_in(NEAR_HALVINGS, rate, rate * NEAR, is_clients, trial);
                }
            }
        }
        return Ok(Highest { rate_hz: rate, is_clients: false });
    }
    let mut is_clients = first == Outcome::ClientsLimit;
    while rate > 100.0 {
        match trial(rate / NEAR)? {
            Outcome::Whole => return halve_in(NEAR_HALVINGS, rate / NEAR, rate, is_clients, trial),
            failed => (rate, is_clients) = (rate / NEAR, failed == Outcome::ClientsLimit),
        }
    }
    Ok(Highest { rate_hz: 0.0, is_clients })
}

/// Halves the stretch between a rate that went well and one that did not.
fn halve_in<E>(
    times: usize,
    mut good: f64,
    mut bad: f64,
    mut is_clients: bool,
    mut trial: impl FnMut(f64) -> Result<Outcome, E>,
) -> Result<Highest, E> {
    for _ in 0..times {
        let middle = f64::midpoint(good, bad);
        match trial(middle)? {
            Outcome::Whole => good = middle,
            failed => (bad, is_clients) = (middle, failed == Outcome::ClientsLimit),
        }
    }
    Ok(Highest { rate_hz: good, is_clients })
}

/// Searches and reports.
///
/// # Errors
/// [`LatencyError`].
pub fn measure(o: &Options, build: &str, progress: &mut dyn FnMut(usize, usize)) -> Result<Report, LatencyError> {
    let mut report = Report::new("latency --highest", build, Host::read());
    let cores: Vec<String> = o.cores.iter().map(usize::to_string).collect();
    report.set("job", "20 rooms, 200 people, 18 % of observations yield a command");
    report.set(
        "datagrams",
        format!("{} observation(s) each, {}", o.each, if o.each > 1 { "native frames" } else { "JSON" }),
    );
    report.set("search", format!("{} of each side, trials of {:.1} s behind a ramp; nothing lost means every command came and nobody counted a drop", o.pairs, o.length.as_secs_f64()));
    report.set("idle", &o.idle);
    report.set("topology asked for", &o.topology);
    report.set(
        "cores",
        format!(
            "floor and engine on {}, the client on {}; it sends up to 64 datagrams a call",
            cores.join(","),
            o.client_core
        ),
    );
    let _ = core_affinity::set_for_current(core_affinity::CoreId { id: o.client_core });
    let floors = Kind::ALL.map(Who::Floor).into_iter().filter(|_| o.each == 1);
    let mut found: Vec<(Who, Vec<Highest>)> = floors.chain([Who::Engine]).map(|w| (w, vec![])).collect();
    let n = found.len();
    for pair in 0..o.pairs {
        for i in 0..n {
            progress(pair * n + i, o.pairs * n);
            let (who, all) = &mut found[(pair + i) % n];
            let mut accounts = vec![];
            let one = |rate: f64| trial(*who, rate, o, &mut accounts);
            let before = all.last().map(|h: &Highest| h.rate_hz).filter(|rate| *rate > 0.0);
            let found = match before {
                Some(rate) => search_near(rate, one)?,
                None => search(o.from_hz, one)?,
            };
            all.push(found);
            // Of the last trial of each: every one was closed when it ended.
            report.accounts.extend(accounts.pop());
        }
    }
    for (who, all) in &found {
        let runs: Vec<f64> = all.iter().map(|h| h.rate_hz).collect();
        let what = format!("highest rate without loss, {}", who.as_str());
        report.rates.push(Rate {
            what,
            per_s: interval::median(&runs).unwrap_or(0.0),
            unit: "observations/s".into(),
            runs,
        });
        if all.iter().any(|h| h.is_clients) {
            report.notes.push(format!(
                "{}: the client's own limit ended the search: it could not send faster, so the rate is a lower bound",
                who.as_str()
            ));
        }
    }
    report.ratios.extend(ratios(&found));
    Ok(report)
}

/// What the engine does beside each floor.
fn ratios(found: &[(Who, Vec<Highest>)]) -> Vec<Ratio> {
    let Some(((_, engine), floors)) = found.split_last() else { return vec![] };
    let beside = |(who, floor): &(Who, Vec<Highest>)| {
        let pairs: Vec<f64> = engine.iter().zip(floor).map(|(e, f)| interval::ratio(e.rate_hz, f.rate_hz)).collect();
        let interval = interval::from_signs(&pairs)?;
        let what = format!("highest rate without loss: engine / {}", who.as_str());
        Some(Ratio { what, interval, pairs, order: "searches in turn".to_owned() })
    };
    floors.iter().filter_map(beside).collect()
}

/// One trial. Whatever was lost is accounted for, or the whole measurement fails.
fn trial(who: Who, rate_hz: f64, o: &Options, accounts: &mut Vec<Account>) -> Result<Outcome, LatencyError> {
    let plan = Plan {
        events: free_port().map_err(LatencyError::Sockets)?,
        commands: free_port().map_err(LatencyError::Sockets)?,
        format: if o.each > 1 { Format::Native } else { Format::Json },
        idle: o.idle.clone(),
        topology: o.topology.clone(),
        ..Plan::default()
    };
    let count = (rate_hz * o.length.as_secs_f64()) as usize;
    let prepared = if o.each > 1 { Prepared::native(count, o.each) } else { Prepared::json(count) };
    let client = Client::open(plan.events, plan.commands).map_err(LatencyError::Sockets)?;
    let peer = Peer::start(who, &plan, &Place { binary: o.binary.clone(), cores: o.cores.clone() })?;
    let flood = client.flood(&prepared, rate_hz).map_err(LatencyError::Sockets)?;
    let events_dropped = kernel_drops(plan.events.port()).unwrap_or(0);
    let commands_dropped = kernel_drops(plan.commands.port()).unwrap_or(0);
    let tally = peer.stop()?;
    if flood.wrong > 0 {
        return Err(LatencyError::Wrong { who: who.as_str(), bogus: flood.wrong, again: 0 });
    }
    // The engine counts observations, the kernel what it dropped: datagrams, or whole runs of them.
    let sent = flood.sent * o.each as u64;
    let mut events = Account::new(&format!("observations to the {}", who.as_str()), sent, tally.received);
    for d in tally.dropped.iter().filter(|d| !d.name.contains("kernel")) {
        events = events.with_drops(&d.name, d.count);
    }
    events = events.with_kernel_drops("dropped by the kernel at its socket", events_dropped, o.each as u64);
    events.close()?;
    let commands = tally.commands(who, flood.received, commands_dropped);
    commands.close()?;
    let whole = events.lost() == 0 && commands.lost() == 0 && flood.received == flood.expected;
    accounts.push(events);
    Ok(outcome(&flood, whole, o.length))
}

fn outcome(flood: &Flood, whole: bool, length: Duration) -> Outcome {
    let behind = flood.behind_s > BEHIND_MAX * length.as_secs_f64();
    match (whole, behind) {
        (true, false) => Outcome::Whole,
        (false, false) => Outcome::Lost,
        // A client that spends itself on what comes back cannot send: it may be either's limit, and it is not proven to be
        // the other's.
        (_, true) => Outcome::ClientsLimit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_most(limit: f64) -> impl FnMut(f64) -> Result<Outcome, ()> {
        move |rate| Ok(if rate <= limit { Outcome::Whole } else { Outcome::Lost })
    }

    #[test]
    fn the_search_ends_just_below_the_limit() {
        for limit in [1_000.0, 40_000.0, 123_456.0, 999_999.0] {
            let found = search(40_000.0, at_most(limit)).expect("no trial fails");
            assert!(found.rate_hz <= limit && found.rate_hz > 0.9 * limit, "{limit}: {found:?}");
            assert!(!found.is_clients);
        }
        assert_eq!(search(40_000.0, at_most(0.0)).expect("no trial fails").rate_hz, 0.0);
        assert!(search(40_000.0, at_most(f64::INFINITY)).expect("no trial fails").rate_hz >= RATE_MAX);
    }

    #[test]
    fn a_later_search_needs_few_trials_and_finds_the_same() {
        for (limit, near) in
            [(123_456.0, 120_000.0), (123_456.0, 150_000.0), (90_000.0, 130_000.0), (200_000.0, 90_000.0)]
        {
            let mut trials = 0;
            let mut trial = at_most(limit);
            let found = search_near(near, |rate| {
                trials += 1;
                trial(rate)
            });
            let found = found.expect("no trial fails");
            assert!(found.rate_hz <= limit && found.rate_hz > 0.95 * limit, "{limit} from {near}: {found:?}");
            assert!(trials <= 10, "{trials} trials for {limit} from {near}");
        }
        assert_eq!(search_near(40_000.0, at_most(0.0)).expect("no trial fails").rate_hz, 0.0);
    }

    #[test]
    fn the_client_s_own_limit_is_said() {
        let found = search(40_000.0, |rate| -> Result<Outcome, ()> {
            Ok(if rate <= 100_000.0 { Outcome::Whole } else { Outcome::ClientsLimit })
        });
        assert!(found.expect("no trial fails").is_clients);
    }
}
