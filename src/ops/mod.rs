//! Operations beside a running engine: what it tells of itself, and the proof that it lives. All of it on threads of its
//! own that read sums at the side; no pipeline thread knows of any of it.
//!
//! | file | what it holds |
//! |---|---|
//! | [`account`] | the closing account as JSON, for programs |
//! | [`metrics`] | the sums in Prometheus' text form |
//! | [`serve`] | the endpoint on loopback that gives them out |
//! | [`watchdog`] | systemd's watchdog, fed only while every pipeline thread goes round |

mod account;
mod metrics;
mod serve;
mod watchdog;

use crate::outcome::Failure;
use metrics::Shown;
use osmose_model::site::{Site, Topology};
use osmose_runtime::engine::{Engine, Summary};
use osmose_runtime::latency::exchange::Latencies;
use osmose_runtime::logs::Names;
use serve::{Endpoint, ServeError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

/// What a running engine tells of itself
#[derive(clap::Args)]
pub(crate) struct Ops {
    /// Tell metrics in Prometheus' form, on loopback only: `http://ADDR/metrics`
    #[arg(long, value_name = "ADDR|none", default_value = "none")]
    metrics: String,
    /// Write the closing account as JSON: what came in, what became of it, how long it took
    #[arg(long, value_name = "FILE")]
    account: Option<PathBuf>,
}

/// What is bound and waits for its engine.
pub(crate) struct Bound {
    metrics: Option<Endpoint>,
    account: Option<PathBuf>,
}

/// The threads beside an engine.
pub(crate) struct Serving {
    latencies: Latencies,
    topology: Topology,
    account: Option<PathBuf>,
    names: Names,
    threads: Vec<JoinHandle<()>>,
    told: String,
}

impl Ops {
    /// Binds what was asked for, before anything else is begun.
    pub(crate) fn bind(&self) -> Result<Bound, Failure> {
        let account = self.account.clone();
        if self.metrics == "none" {
            return Ok(Bound { metrics: None, account });
        }
        let addr = self.metrics.parse::<SocketAddr>();
        let addr = addr
            .map_err(|_| Failure::usage(format!("--metrics takes 127.0.0.1:PORT or none, not {:?}", self.metrics)))?;
        let endpoint = Endpoint::bind(addr).map_err(|e| match e {
            ServeError::NotLoopback(_) => Failure::usage(e),
            ServeError::Bind(..) => Failure::found(e),
        })?;
        Ok(Bound { metrics: Some(endpoint), account })
    }
}

impl Bound {
    /// Serves from an engine that is about to run, until `stop`.
    pub(crate) fn serve(
        self,
        engine: &Engine,
        site: &Site,
        names: &Names,
        stop: &Arc<AtomicBool>,
    ) -> Result<Serving, Failure> {
        let (latencies, topology) = (engine.latencies(), engine.topology());
        let mut serving = Serving {
            latencies: latencies.clone(),
            topology,
            account: self.account,
            names: names.clone(),
            threads: vec![],
            told: String::new(),
        };
        if let Some(endpoint) = self.metrics {
            let failed = |e: std::io::Error| Failure::found(format!("cannot serve metrics: {e}"));
            let topology = format!("{topology:?}").to_lowercase();
            let ports = engine.addresses().map(|a| a.port()).collect();
            let shown = Shown { latencies, names: names.clone(), site: site.name.clone(), topology, ports };
            serving.told = format!(" metrics=http://{}/metrics", endpoint.address().map_err(failed)?);
            let thread = endpoint.serve(stop.clone(), move || metrics::render(&shown)).map_err(failed)?;
            serving.threads.push(thread);
        }
        Ok(serving)
    }
}

impl Serving {
    /// Where metrics are told, for the line that says that everything is bound; empty where they are not.
    pub(crate) fn told(&self) -> &str {
        &self.told
    }

    /// Tells systemd, where it listens, that everything is bound, and from now on that the pipeline lives.
    pub(crate) fn ready(&mut self, stop: &Arc<AtomicBool>) -> Result<(), Failure> {
        let failed = |e| Failure::found(format!("cannot start the thread for systemd's watchdog: {e}"));
        self.threads.extend(watchdog::start(self.latencies.clone(), stop.clone()).map_err(failed)?);
        Ok(())
    }

    /// Writes the account of an engine that has ended, and waits for the threads.
    pub(crate) fn end(self, summary: &Summary) -> Result<(), Failure> {
        watchdog::stopping();
        if let Some(path) = &self.account {
            let unwritten = |e: &dyn std::fmt::Display| Failure::found(format!("cannot write {}: {e}", path.display()));
            let rules = self.names.lock().unwrap_or_else(PoisonError::into_inner).rules.clone();
            let told = self.latencies.with(|t| account::account(self.topology, summary, t, &rules));
            let text = serde_json::to_string_pretty(&told).map_err(|e| unwritten(&e))?;
            std::fs::write(path, text + "\n").map_err(|e| unwritten(&e))?;
        }
        // They look for the stop several times a second; one that failed has said so.
        self.threads.into_iter().for_each(|t| _ = t.join());
        Ok(())
    }
}
