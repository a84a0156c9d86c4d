//! `osmose trace ...`: what is in a trace, and whether it is whole.

use crate::outcome::{Ended, Failure, Outcome};
use osmose_replay::{check, info};
use std::path::PathBuf;

/// Look into trace files
#[derive(clap::Subcommand)]
pub(crate) enum Trace {
    /// What is in it: span, counts by kind and sensor, site, rules, build, gaps
    #[command(after_help = "Example:\n  osmose trace info incident.mcap")]
    Info(File),
    /// Whether it is whole: checksums, order, numbers, digests
    #[command(after_help = "Example:\n  osmose trace check incident.mcap --json")]
    Check(File),
}

#[derive(clap::Args)]
pub(crate) struct File {
    /// The trace
    trace: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Trace {
    pub(crate) fn run(self) -> Ended {
        match self {
            Self::Info(File { trace, json }) => {
                let info = info::info(&trace).map_err(Failure::found)?;
                if json {
                    println!("{}", info.to_json())
                } else {
                    print!("{}", info.render())
                }
                Ok(Outcome::Success)
            }
            Self::Check(File { trace, json }) => {
                let report = check::check(&trace).map_err(Failure::found)?;
                if json {
                    println!("{}", report.to_json())
                } else {
                    print!("{}", report.render())
                }
                Ok(if report.exit_status() == 0 { Outcome::Success } else { Outcome::Found })
            }
        }
    }
}
