//! `osmose bench step`.

use super::{Results, build, progress};
use crate::outcome::{Ended, Failure};
use osmose_bench::step::{Options, measure};

/// Nanoseconds per observation
#[derive(clap::Args)]
pub(crate) struct Step {
    /// Turns; each measures every row once
    #[arg(long, value_name = "N", default_value_t = 6)]
    runs: usize,
    /// Observations of each row in each turn
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    observations: usize,
    /// Numbers of people
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [10usize, 100, 1_000, 10_000])]
    occupants: Vec<usize>,
    /// Numbers of rules beside the job's own
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [1usize, 10, 100, 1_000, 10_000])]
    rules: Vec<usize>,
    /// No row for each kind of observation
    #[arg(long)]
    no_kinds: bool,
    /// Measure on this core, and its hiccups beside
    #[arg(long, value_name = "CORE")]
    core: Option<usize>,
    #[command(flatten)]
    results: Results,
}

impl Step {
    pub(crate) fn run(self) -> Ended {
        if self.runs == 0 || self.observations == 0 {
            return Err(Failure::usage("give at least one turn of one observation"));
        }
        if let Some(ended) = self.results.against_program(self.runs, &self.one_run()) {
            return ended;
        }
        let options = Options {
            runs: self.runs,
            observations: self.observations,
            occupants: self.occupants,
            rules: self.rules,
            kinds: !self.no_kinds,
            core: self.core,
        };
        let measured = measure(&options, &build(), &mut progress()).map_err(Failure::found)?;
        self.results.tell(&measured.report, &measured.dists, None)
    }

    /// The arguments of one run of the same.
    fn one_run(&self) -> Vec<String> {
        let list = |l: &[usize]| l.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let mut args: Vec<String> = ["bench", "step", "--runs", "1"].map(str::to_owned).into();
        args.extend(["--observations".to_owned(), self.observations.to_string()]);
        args.extend(["--occupants".to_owned(), list(&self.occupants), "--rules".to_owned(), list(&self.rules)]);
        if self.no_kinds {
            args.push("--no-kinds".to_owned());
        }
        if let Some(core) = self.core {
            args.extend(["--core".to_owned(), core.to_string()]);
        }
        args
    }
}
