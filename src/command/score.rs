//! `osmose score TRUTH TRACKS`: one JSON line with the published multi-target metrics.

use crate::outcome::{Ended, Failure, Outcome};
use osmose_replay::score;
use std::path::PathBuf;

/// Score tracks against the truth
#[derive(clap::Args)]
#[command(after_help = "Example:\n  osmose replay walk.mcap --tracks tracks.csv && osmose score truth.csv tracks.csv")]
pub(crate) struct Score {
    /// CSV `t,id,x,y[,level]`
    truth: PathBuf,
    /// CSV as `osmose replay --tracks` writes it, in either format
    tracks: PathBuf,
    /// What a track is called by: its own number, or the person it is taken for
    #[arg(long, value_enum, default_value = "track")]
    ids: Ids,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Ids {
    Track,
    Person,
}

impl Score {
    pub(crate) fn run(self) -> Ended {
        let ids = match self.ids {
            Ids::Track => score::Ids::Track,
            Ids::Person => score::Ids::Person,
        };
        let truth = score::load_truth(&self.truth).map_err(Failure::found)?;
        let tracks = score::load_tracks(&self.tracks).map_err(Failure::found)?;
        let options = score::Options { ids, ..score::Options::default() };
        let report = score::evaluate(&truth, &tracks, &options).map_err(Failure::found)?;
        println!("{}", report.to_json());
        Ok(Outcome::Success)
    }
}
