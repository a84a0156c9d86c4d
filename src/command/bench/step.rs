//! `osmose bench step`.

use super::{Results, build, progress};
use crate::outcome::{Ended, Failure, Outcome};
use osmose_bench::host::Host;
use osmose_bench::step::{Options, measure};
use osmose_rules::cost::{self, Op, Table};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

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
    /// Measure what one operation of a rule takes instead, for `osmose check`: written to SITE/.osmose/cost.json
    #[arg(long, value_name = "SITE")]
    calibrate: Option<PathBuf>,
    #[command(flatten)]
    results: Results,
}

impl Step {
    pub(crate) fn run(self) -> Ended {
        if let Some(site) = &self.calibrate {
            return calibrate(site);
        }
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

/// Measures one operation of each kind on this machine and writes the table that `osmose check` counts with.
fn calibrate(site: &Path) -> Ended {
    if crate::site::site_files(site).is_empty() {
        return Err(Failure::usage(format!("{} is no site's folder", site.display())));
    }
    let host = Host::read();
    let machine = format!("{}, {} core(s), Linux {}", host.cpu, host.cores_online, host.kernel);
    let begun = Instant::now();
    let mut now_ns = || u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    // What is beside the rules is no operation of theirs: `osmose bench latency` measures it, end to end.
    let engine_us = Table::committed().engine_us;
    let table = cost::calibrate(&mut now_ns, machine, engine_us);
    let dir = site.join(".osmose");
    let path = dir.join("cost.json");
    let unwritten = |e: std::io::Error| Failure::found(format!("cannot write {}: {e}", path.display()));
    // As the folder of the state is made: it may hold who was where.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(unwritten)?;
    std::fs::write(&path, table.to_json()).map_err(unwritten)?;
    println!("{}: {}", path.display(), table.machine);
    for op in Op::ALL {
        println!("  {:<10} {:>8.1} ns", op.as_str(), table.ns_of(op));
    }
    println!("  beside the rules {engine_us} us: the committed figure, which this did not measure");
    Ok(Outcome::Success)
}
