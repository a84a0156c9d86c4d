//! `osmose trace ...`: what is in a trace, whether it is whole, and traces made of traces.

mod export;
mod surgery;

use crate::outcome::{Ended, Failure, Outcome};
use crate::progress::Bar;
use export::{Anonymise, Export, Keep};
use osmose_replay::{check, info};
use std::path::PathBuf;
use surgery::{Cut, Index, Merge, Recover};

/// Look into trace files
#[derive(clap::Subcommand)]
pub(crate) enum Trace {
    /// What is in it: span, counts by kind and sensor, site, rules, build, gaps
    #[command(after_help = "Example:\n  osmose trace info incident.mcap")]
    Info(File),
    /// Whether it is whole: checksums, order, numbers, digests
    #[command(after_help = "Example:\n  osmose trace check incident.mcap --json")]
    Check(File),
    /// Add keyframes, so that a replay can begin in the middle; an import is run once
    #[command(
        after_help = "Examples:\n  osmose trace index day.mcap\n  osmose trace index walk.mcap -o indexed.mcap --every 10"
    )]
    Index(Index),
    /// Save what is whole of a damaged or cut file (exit status 3 where something was lost)
    #[command(after_help = "Example:\n  osmose trace recover broken.mcap -o saved.mcap")]
    Recover(Recover),
    /// A stretch of time as a trace of its own
    #[command(after_help = "Example:\n  osmose trace cut day.mcap --from 10:02:00 --to 10:03:00 -o incident.mcap")]
    Cut(Cut),
    /// Parts of one log as one file
    #[command(after_help = "Example:\n  osmose trace merge 10h.mcap 11h.mcap -o morning.mcap")]
    Merge(Merge),
    /// Keep a recording from expiring
    #[command(
        after_help = "Examples:\n  osmose trace keep traces/10h.mcap --because \"the pause that came late\"\n  osmose trace keep traces --from 10:02:00 --to 10:03:00"
    )]
    Keep(Keep),
    /// People, their devices and badges under pseudonyms; positions are kept
    #[command(
        after_help = "Example:\n  osmose trace anonymise incident.mcap -o shared.mcap\n\nWho knows where somebody sits finds him again: the result says what it does not claim."
    )]
    Anonymise(Anonymise),
    /// Write a trace for other programs
    #[command(
        after_help = "Examples:\n  osmose trace export incident.mcap --csv -o tables\n  osmose trace export incident.mcap --perfetto -o incident.pftrace\n  osmose trace export incident.mcap --foxglove -o scene.mcap"
    )]
    Export(Export),
}

#[derive(clap::Args)]
pub(crate) struct File {
    /// The trace, or the folder that recordings go to
    trace: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Trace {
    pub(crate) fn run(self) -> Ended {
        match self {
            Self::Index(c) => c.run(),
            Self::Recover(c) => c.run(),
            Self::Cut(c) => c.run(),
            Self::Merge(c) => c.run(),
            Self::Keep(c) => c.run(),
            Self::Anonymise(c) => c.run(),
            Self::Export(c) => c.run(),
            Self::Info(File { trace, json }) => {
                let mut bar = Bar::new();
                let info = info::info_with(&trace, &mut bar).map_err(Failure::found)?;
                bar.done();
                if json {
                    println!("{}", info.to_json())
                } else {
                    print!("{}", info.render())
                }
                Ok(Outcome::Success)
            }
            Self::Check(File { trace, json }) => {
                let mut bar = Bar::new();
                let report = check::check_with(&trace, &mut bar).map_err(Failure::found)?;
                bar.done();
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
