//! `osmose bench replay` and `osmose bench corpus`.

use super::{Results, build, progress, this_program};
use crate::outcome::{Ended, Failure};
use osmose_bench::host::Host;
use osmose_bench::report::Report;
use osmose_bench::sites::{self, Plan};
use osmose_bench::{corpus, replay};
use std::path::PathBuf;

/// How fast recordings run again
#[derive(clap::Args)]
pub(crate) struct Replay {
    /// Traces, or folders that recordings go to [default: one that is simulated, 40 people who carry devices]
    traces: Vec<PathBuf>,
    /// Replays of each trace, as it is and verified in turn
    #[arg(long, value_name = "N", default_value_t = 6)]
    runs: usize,
    /// Seconds of the simulated trace
    #[arg(long, value_name = "S", default_value_t = 120.0)]
    seconds: f64,
    #[command(flatten)]
    results: Results,
}

impl Replay {
    pub(crate) fn run(self) -> Ended {
        if self.runs == 0 {
            return Err(Failure::usage("give at least one run"));
        }
        let mut report = Report::new("replay", &build(), Host::read());
        report.set("topology", "inline: replay in one thread, a second one reads ahead");
        report.set("rules", "those of each trace's own site");
        report
            .set("runs", format!("{} of each, as it is and verified in turn; opening and loading included", self.runs));
        // The folder of the simulated trace is kept until it was measured.
        let (mut traces, mut kept) = (self.traces.clone(), None);
        if traces.is_empty() {
            let (dir, trace) = self.simulated()?;
            kept = Some(dir);
            report.set("trace", format!("simulated: 40 people in the peer job's rooms, {} s, seed 1", self.seconds));
            traces.push(trace);
        }
        let mut progress = progress();
        for (i, trace) in traces.iter().enumerate() {
            progress(i, traces.len());
            let name = trace.file_name().map_or_else(|| "trace".into(), |n| n.to_string_lossy().into_owned());
            replay::measure(&mut report, &name, trace, self.runs).map_err(Failure::found)?;
        }
        drop(kept);
        self.results.tell(&report, &[], None)
    }

    fn simulated(&self) -> Result<(tempfile::TempDir, PathBuf), Failure> {
        let unwritten = |e: std::io::Error| Failure::found(format!("cannot write a site to simulate: {e}"));
        let dir = tempfile::tempdir().map_err(unwritten)?;
        sites::write(&Plan::default().files(), &dir.path().join("site")).map_err(unwritten)?;
        let member = corpus::Member {
            name: "simulated".to_owned(),
            site: "site".into(),
            people: Some(40),
            script: None,
            seconds: self.seconds,
            seed: 1,
            stresses: String::new(),
            digest: String::new(),
        };
        let trace = corpus::make(dir.path(), &member, &this_program()?).map_err(Failure::found)?;
        Ok((dir, trace))
    }
}

/// All of it over a folder of recordings
#[derive(clap::Args)]
pub(crate) struct Corpus {
    /// The folder, with its `corpus.toml`
    dir: PathBuf,
    /// Replays of each trace, as it is and verified in turn
    #[arg(long, value_name = "N", default_value_t = 6)]
    runs: usize,
    #[command(flatten)]
    results: Results,
}

impl Corpus {
    pub(crate) fn run(self) -> Ended {
        if self.runs == 0 {
            return Err(Failure::usage("give at least one run"));
        }
        let binary = this_program()?;
        let report =
            corpus::measure(&self.dir, &binary, self.runs, &build(), &mut progress()).map_err(Failure::found)?;
        self.results.tell(&report, &[], None)
    }
}
