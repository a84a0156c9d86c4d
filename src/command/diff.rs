//! `osmose diff A B`: the commands of two traces, aligned in time.

use crate::outcome::{Ended, Failure, Outcome};
use osmose_replay::diff::traces::{Told, compare};
use std::path::PathBuf;

/// Compare the commands of two traces
#[derive(clap::Args)]
#[command(after_help = "Example:\n  osmose diff before.mcap after.mcap\n\nThe exit status is 1 where they differ.")]
pub(crate) struct Diff {
    /// One trace, or a folder of them
    a: PathBuf,
    /// The other
    b: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(crate) fn run(self) -> Ended {
        let a = Told::read(&self.a).map_err(Failure::found)?;
        let b = Told::read(&self.b).map_err(Failure::found)?;
        let found = compare(&a, &b, &self.a, &self.b).map_err(Failure::found)?;
        if self.json {
            println!("{}", found.to_json());
        } else {
            print!("{}", found.render());
        }
        Ok(if found.differences.is_empty() { Outcome::Success } else { Outcome::Found })
    }
}
