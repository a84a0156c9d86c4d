//! `osmose bench latency`, and the floor that it compares with.

use super::{Results, build, progress, this_program};
use crate::outcome::{Ended, Failure, Outcome};
use crate::stderr::say;
use crate::stop;
use osmose_bench::floor::Kind;
use osmose_bench::latency::{Options, measure};
use osmose_bench::report::hgrm;
use osmose_bench::sites::FloodBy;
use osmose_bench::{highest, leaves};
use std::net::SocketAddr;
use std::time::Duration;

/// Observations of one datagram at most: more would not fit one.
const EACH_MAX: usize = 256;

/// From due to commanded
#[derive(clap::Args)]
pub(crate) struct Latency {
    /// Events a second
    #[arg(long, value_name = "HZ", default_value_t = 10_000.0)]
    rate: f64,
    /// Seconds of each run
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    seconds: f64,
    /// Seconds before each run that are not measured
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    warm_up: f64,
    /// Pairs of runs, floor and engine in turn
    #[arg(long, value_name = "N", default_value_t = 6)]
    pairs: usize,
    /// How floor and engine wait
    #[arg(long, value_name = "yield|spin", value_delimiter = ',', default_value = "yield,spin")]
    idle: Vec<String>,
    /// How the engine is composed (inline, fused, split, dedicated)
    #[arg(long, value_name = "TOPOLOGY", default_value = "auto")]
    topology: String,
    /// Microseconds that are in time
    #[arg(long, value_name = "US", default_value_t = 1000)]
    budget_us: u64,
    /// Measure the engine in a third run of each pair too, while another socket of it is flooded: by a sensor that says ten
    /// times what it declares, or by somebody of whom nothing is taken
    #[arg(long, value_name = "rate|unknown", value_parser = ["rate", "unknown"], conflicts_with_all = ["highest", "leaves"])]
    flood: Option<String>,
    /// Search the highest rate without loss instead, with a client that sends many datagrams a call
    #[arg(long, conflicts_with = "leaves")]
    highest: bool,
    /// With --highest: observations of one datagram; more than one are native frames
    #[arg(long, value_name = "N", default_value_t = 1, requires = "highest")]
    per_datagram: usize,
    /// Measure so many leaves instead, every one accounted for, the engine alone
    #[arg(long, value_name = "N")]
    leaves: Option<u64>,
    /// The client's core [default: the last one]
    #[arg(long, value_name = "CORE")]
    client_core: Option<usize>,
    /// The cores of floor and engine [default: all others]
    #[arg(long, value_name = "CORE,...", value_delimiter = ',')]
    cores: Vec<usize>,
    #[command(flatten)]
    results: Results,
}

impl Latency {
    fn options(&self) -> Result<Options, Failure> {
        let allowed = osmose_bench::host::Host::read().cores_allowed;
        let (Some(&last), true) = (allowed.last(), allowed.len() > 1) else {
            return Err(Failure::found(
                "latency needs two cores, one for the client: this process may use one only. `osmose bench step` needs one.",
            ));
        };
        let client_core = self.client_core.unwrap_or(last);
        let others = || allowed.iter().copied().filter(|&c| c != client_core).collect();
        let cores: Vec<usize> = if self.cores.is_empty() { others() } else { self.cores.clone() };
        if cores.is_empty() || !cores.iter().chain([&client_core]).all(|c| allowed.contains(c)) {
            return Err(Failure::usage(format!("this process may use the cores {allowed:?} only")));
        }
        if !self.idle.iter().all(|i| ["yield", "spin"].contains(&i.as_str())) {
            return Err(Failure::usage("--idle is `yield`, `spin` or both"));
        }
        if self.pairs == 0 || !(self.rate >= 1.0 && self.seconds > 0.0 && self.warm_up >= 0.0) {
            return Err(Failure::usage("give at least one pair, one event a second and a time above 0"));
        }
        Ok(Options {
            binary: this_program()?,
            rate_hz: self.rate,
            length: Duration::from_secs_f64(self.seconds),
            warm_up: Duration::from_secs_f64(self.warm_up),
            pairs: self.pairs,
            idle: self.idle.clone(),
            topology: self.topology.clone(),
            client_core,
            cores,
            budget: Duration::from_micros(self.budget_us),
            flood: self.flood.as_ref().map(|by| if by == "rate" { FloodBy::Rate } else { FloodBy::Unknown }),
        })
    }

    pub(crate) fn run(self) -> Ended {
        let options = self.options()?;
        if let Some(ended) = self.results.against_program(self.pairs, &self.one_run()) {
            return ended;
        }
        if self.highest {
            return self.highest(options);
        }
        if let Some(leaves) = self.leaves {
            return self.leaves(options, leaves);
        }
        let measured = measure(&options, &build(), &mut progress()).map_err(Failure::found)?;
        let (began, slices) = &measured.slices;
        let log = hgrm::interval_log(*began, slices)
            .map_err(|e| Failure::found(format!("the interval log cannot be written: {e}")))?;
        self.results.tell(&measured.report, &measured.dists, Some(&log))
    }
}

impl Latency {
    /// The arguments of one pair of runs of the same.
    fn one_run(&self) -> Vec<String> {
        let cores: Vec<String> = self.cores.iter().map(usize::to_string).collect();
        let mut args: Vec<String> = vec!["bench".into(), "latency".into()];
        let mut give = |key: &str, value: String| args.extend([key.to_owned(), value]);
        give("--rate", self.rate.to_string());
        give("--seconds", self.seconds.to_string());
        give("--warm-up", self.warm_up.to_string());
        give("--pairs", "1".to_owned());
        give("--idle", self.idle.join(","));
        give("--topology", self.topology.clone());
        give("--budget-us", self.budget_us.to_string());
        if let Some(by) = &self.flood {
            give("--flood", by.clone());
        }
        if let Some(core) = self.client_core {
            give("--client-core", core.to_string());
        }
        if !cores.is_empty() {
            give("--cores", cores.join(","));
        }
        args
    }

    /// The strategy of those measurements that have one only.
    fn one_idle(&self) -> Result<String, Failure> {
        match self.idle.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(Failure::usage("give one strategy: --idle yield or --idle spin")),
        }
    }

    fn highest(&self, o: Options) -> Ended {
        let options = highest::Options {
            binary: o.binary,
            length: o.length,
            pairs: o.pairs,
            each: self.per_datagram.clamp(1, EACH_MAX),
            from_hz: o.rate_hz,
            idle: self.one_idle()?,
            topology: o.topology,
            client_core: o.client_core,
            cores: o.cores,
        };
        let report = highest::measure(&options, &build(), &mut progress()).map_err(Failure::found)?;
        self.results.tell(&report, &[], None)
    }

    fn leaves(&self, o: Options, leaves: u64) -> Ended {
        let options = leaves::Options {
            binary: o.binary,
            leaves,
            rate_hz: o.rate_hz,
            idle: self.one_idle()?,
            topology: o.topology,
            client_core: o.client_core,
            cores: o.cores,
            budget: o.budget,
        };
        let (report, dist) = leaves::measure(&options, &build()).map_err(Failure::found)?;
        self.results.tell(&report, &[("due to received".to_owned(), dist)], None)
    }
}

/// Receive, point in polygon, send: no engine
#[derive(clap::Args)]
pub(crate) struct Floor {
    #[arg(long)]
    events: SocketAddr,
    #[arg(long)]
    commands: SocketAddr,
    #[arg(long)]
    spin: bool,
    /// peers: a call for each datagram; buffered: with the engine's buffer; batched: many to a call
    #[arg(long, default_value = "buffered", value_parser = ["peers", "buffered", "batched"])]
    kind: String,
}

impl Floor {
    pub(crate) fn run(self) -> Ended {
        let stop = stop::on_signal()?;
        let ready = || say!("ready udp={}", self.events);
        let kind = Kind::from_word(&self.kind).ok_or_else(|| Failure::usage("--kind is peers, buffered or batched"))?;
        let served = osmose_bench::floor::serve((self.events, self.commands), kind, self.spin, &stop, ready)
            .map_err(|e| Failure::found(format!("the floor cannot listen on {}: {e}", self.events)))?;
        println!("{}", serde_json::to_string(&served).map_err(Failure::found)?);
        Ok(Outcome::Success)
    }
}
