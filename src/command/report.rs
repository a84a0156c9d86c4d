//! `osmose report TRACE -o report.html`: an incident as one page.

use crate::outcome::{Ended, Failure, Outcome};
use crate::progress::Bar;
use osmose_replay::report::report;
use std::path::PathBuf;

/// Write an incident as one page: who was where, what was done and why, what was late, what is missing
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  osmose report incident.mcap -o incident.html\n\nThe page needs no network and no scripts, and prints."
)]
pub(crate) struct Report {
    /// The trace, or the folder that recordings go to
    trace: PathBuf,
    /// The page to write
    #[arg(short, long, value_name = "FILE.html")]
    output: PathBuf,
}

impl Report {
    pub(crate) fn run(self) -> Ended {
        let mut bar = Bar::new();
        let page = report(&self.trace, &mut bar).map_err(Failure::found)?;
        bar.done();
        std::fs::write(&self.output, page)
            .map_err(|e| Failure::found(format!("cannot write {}: {e}", self.output.display())))?;
        Ok(Outcome::Success)
    }
}
