//! `osmose diff A B`: the commands of two traces, aligned in time.

use crate::outcome::{Ended, Failure, Outcome};
use crate::progress::Bar;
use osmose_replay::diff::traces::{Told, compare};
use std::path::{Path, PathBuf};

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
        let told = |path: &Path| {
            let mut bar = Bar::new();
            let told = Told::read(path, &mut bar).map_err(Failure::found);
            bar.done();
            told
        };
        let (a, b) = (told(&self.a)?, told(&self.b)?);
        let mut bar = Bar::new();
        let found = compare(&a, &b, (&self.a, &self.b), &mut bar).map_err(Failure::found)?;
        bar.done();
        if self.json {
            println!("{}", found.to_json());
        } else {
            print!("{}", found.render());
        }
        Ok(if found.differences.is_empty() { Outcome::Success } else { Outcome::Found })
    }
}
