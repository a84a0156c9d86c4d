//! `osmose find TRACE 'CONDITION'`: every moment when a condition of the rule language became true.

use crate::outcome::{Ended, Failure, Outcome};
use crate::progress::Bar;
use osmose_replay::counted;
use osmose_replay::drive::{Osmose, Workshop};
use osmose_replay::find::{FindError, find};
use osmose_replay::trace::recording::{Items, Recording};
use std::path::PathBuf;

/// List every moment when a condition became true
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  osmose find day.mcap 'p leaves m7 and m7.recorder is recording'\n  osmose find day.mcap \
                  'count(people in lobby) > 8'\n  osmose find day.mcap 'for each room r when r is occupied'"
)]
pub(crate) struct Find {
    /// The trace, or the folder that recordings go to
    trace: PathBuf,
    /// A condition as in the `when` of a rule
    condition: String,
    /// From this time on
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Up to this time
    #[arg(long, value_name = "T")]
    to: Option<String>,
    /// As JSON lines
    #[arg(long)]
    json: bool,
}

impl Find {
    pub(crate) fn run(self) -> Ended {
        let mut recording = Recording::open(&self.trace).map_err(Failure::found)?;
        let workshop = Osmose::of_files(recording.files()).map_err(Failure::found)?;
        let zone = workshop.site().frame.timezone.clone();
        let mut instant = |text: &Option<String>| {
            text.as_deref().map(|t| recording.instant(t, &zone).map_err(Failure::usage)).transpose()
        };
        let (from, to) = (instant(&self.from)?, instant(&self.to)?);
        let mut bar = Bar::new();
        let moments = find(recording, &self.condition, from, to, &mut bar).map_err(|e| match e {
            FindError::Condition(_) => Failure::usage(e),
            other => Failure::found(other),
        })?;
        bar.done();
        for moment in &moments {
            if self.json {
                println!("{}", moment.to_json());
            } else {
                println!("{moment}");
            }
        }
        if !self.json {
            println!("{}", counted(moments.len(), "moment"));
        }
        Ok(Outcome::Success)
    }
}
