//! `osmose why`: why a command was sent, or why a rule sent none.

use crate::outcome::{Ended, Failure, Outcome};
use crate::progress::Bar;
use osmose_model::time::DurationNs;
use osmose_replay::drive::{Osmose, Workshop};
use osmose_replay::trace::recording::{Items, Recording};
use osmose_replay::why::{chain, nearest, parse_id};
use std::path::PathBuf;

/// Say why a command was sent, or why a rule sent none
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  osmose why incident.mcap --command 482.0\n  osmose why incident.mcap --rule pause-recording --at 10:02:14\n\n\
                  The id of a command is in `osmose replay --commands`, and in what devices are sent. Every link says \
                  whether it was recorded then or is recomputed now."
)]
#[command(group(clap::ArgGroup::new("question").required(true).args(["command", "rule"])))]
pub(crate) struct Why {
    /// The trace, or the folder that recordings go to
    trace: PathBuf,
    /// Why this command was sent
    #[arg(long, value_name = "ID", conflicts_with_all = ["rule", "at"])]
    command: Option<String>,
    /// Why this rule did not act ...
    #[arg(long, value_name = "NAME", requires = "at")]
    rule: Option<String>,
    /// ... about this time
    #[arg(long, value_name = "T", requires = "rule")]
    at: Option<String>,
    /// How many seconds before and behind it are looked at
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    round: f64,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Why {
    pub(crate) fn run(self) -> Ended {
        if let Some(id) = &self.command {
            let id = parse_id(id).map_err(Failure::usage)?;
            let mut bar = Bar::new();
            let why = chain::why(&self.trace, id, &mut bar).map_err(Failure::found)?;
            bar.done();
            if self.json {
                println!("{}", why.to_json());
            } else {
                print!("{}", why.render());
            }
            return Ok(Outcome::Success);
        }
        let (Some(rule), Some(at)) = (&self.rule, &self.at) else {
            return Err(Failure::usage("give --command ID, or --rule NAME with --at TIME"));
        };
        let round = DurationNs::from_s_f64(self.round).filter(|d| d.0 > 0);
        let round = round.ok_or_else(|| Failure::usage(format!("{} s is no time to look round", self.round)))?;
        let mut recording = Recording::open(&self.trace).map_err(Failure::found)?;
        let workshop = Osmose::of_files(recording.files()).map_err(Failure::found)?;
        let at = recording.instant(at, &workshop.site().frame.timezone).map_err(Failure::usage)?;
        let mut bar = Bar::new();
        let not = nearest::why_not(&mut recording, rule, at, round, &mut bar).map_err(Failure::found)?;
        bar.done();
        if self.json {
            println!("{}", not.to_json());
        } else {
            print!("{}", not.render());
        }
        Ok(Outcome::Success)
    }
}
