//! `osmose doctor SITE`: what costs latency on this machine, and how to mend it.

use crate::doctor::facts::Facts;
use crate::doctor::findings::{Weight, findings, render};
use crate::outcome::{Ended, Failure, Outcome};
use osmose_bench::hiccup::Probe;
use osmose_bench::report::table::span;
use osmose_runtime::cores::Cores;
use osmose_sensors::edge::Edge;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Say what costs latency on this machine, and how to mend it
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  osmose doctor my-office\n  osmose doctor my-office --probe 10 --json\n\nExit status 1 where the site cannot run like this; what only costs latency is 0."
)]
pub(crate) struct Doctor {
    /// The site's folder
    site: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Also watch the pipeline's core for so many seconds: what the machine itself takes away
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    probe: f64,
}

impl Doctor {
    pub(crate) fn run(self) -> Ended {
        let crate::site::Ready { site, .. } = crate::site::ready(&self.site)?;
        let cores = Cores::read();
        let ports: Vec<_> = Edge::new(&site).ports().map(|p| p.addr).collect();
        let mut folders = vec![self.site.join(".osmose")];
        if !site.record.dir.is_empty() {
            folders.push(self.site.join(&site.record.dir));
        }
        let topology = cores.topology(site.engine.topology);
        let fits = cores.allow(osmose_model::site::Idle::Spin, 1).map_err(|e| e.to_string());
        let facts = Facts::read(Path::new("/"), &ports, &folders);
        let all = findings(&facts, topology, site.engine.idle, fits);
        let hiccups = self.watch(&facts)?;
        if self.json {
            let json = serde_json::json!({ "findings": all, "hiccups": hiccups });
            println!("{json:#}");
        } else {
            print!("{}", render(&all));
            hiccups.iter().for_each(|h| println!("{}", h.sentence));
        }
        let failing = all.iter().any(|f| f.weight == Weight::Fails);
        Ok(if failing { Outcome::Found } else { Outcome::Success })
    }

    /// The hiccups of the core that the pipeline is pinned to.
    fn watch(&self, facts: &Facts) -> Result<Option<Watched>, Failure> {
        let (Some(&core), true) = (facts.cores_allowed.last(), self.probe > 0.0) else { return Ok(None) };
        let length = Duration::try_from_secs_f64(self.probe).map_err(|e| Failure::usage(format!("--probe: {e}")))?;
        let probe = Probe::start(core, Instant::now(), Duration::from_micros(100))
            .map_err(|e| Failure::found(format!("cannot start the probe: {e}")))?;
        std::thread::sleep(length);
        let found = probe.stop();
        let gaps = found.gaps.all().len();
        let sentence = format!(
            "hiccups of core {core} in {:.1} s: {} wakings, {gaps} of them late by 100 us or more, the latest by {}{}",
            self.probe,
            found.late.len(),
            span(found.late.max_ns()),
            if found.real_time { "" } else { " (without the real-time class: other programs count as hiccups)" }
        );
        Ok(Some(Watched { core, wakings: found.late.len(), gaps, max_ns: found.late.max_ns(), sentence }))
    }
}

/// What the probe found.
#[derive(serde::Serialize)]
struct Watched {
    core: usize,
    wakings: u64,
    gaps: usize,
    max_ns: u64,
    #[serde(skip)]
    sentence: String,
}
