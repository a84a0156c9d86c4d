//! `osmose import KIND FILE.csv ...`: recordings of sensors as CSV become a trace that replays through the whole engine.

use crate::outcome::{Ended, Failure, Outcome};
use crate::progress::Bar;
use osmose_model::device::SensorKind;
use osmose_replay::{import, wall};
use std::path::PathBuf;

/// Turn CSV recordings into a trace
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  osmose import position walk.csv --site my-office -o walk.mcap\n  osmose import position \
                  walk.csv badge doors.csv --site my-office -o day.mcap --epoch 2026-03-02T08:30:00Z\n\nThe columns of \
                  each kind stand in the header line of its file; a wrong one is refused with the right ones."
)]
pub(crate) struct Import {
    /// A sensor kind and a file of its rows, as often as there are files
    #[arg(required = true, value_name = "KIND FILE.csv", num_args = 2..)]
    files: Vec<String>,
    /// The site whose sensors these are
    #[arg(long, value_name = "DIR")]
    site: PathBuf,
    /// The trace to write; it must not exist yet
    #[arg(short, long, value_name = "FILE.mcap")]
    output: PathBuf,
    /// When second 0 of the files was, where their times are not Unix times
    #[arg(long, value_name = "RFC3339")]
    epoch: Option<String>,
}

impl Import {
    pub(crate) fn run(self) -> Ended {
        let mut files = vec![];
        for pair in self.files.chunks(2) {
            let [kind, file] = pair else {
                return Err(Failure::usage(format!(
                    "{:?} has no file: give KIND FILE.csv, as often as there are files",
                    pair[0]
                )));
            };
            let known = || SensorKind::ALL.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", ");
            let kind = SensorKind::from_word(kind)
                .ok_or_else(|| Failure::usage(format!("{kind:?} is no kind of sensor; the kinds are {}", known())))?;
            files.push((kind, PathBuf::from(file)));
        }
        let epoch = self.epoch.as_deref().map(wall::parse_rfc3339).transpose().map_err(Failure::usage)?;
        let site = crate::site::ready(&self.site)?.site;
        let mut bar = Bar::new();
        let report = import::import(&site, &files, epoch, &self.output, &mut bar).map_err(Failure::found)?;
        bar.done();
        print!("{}", report.render());
        // A file that gave nothing is more likely a wrong file than an empty one.
        Ok(if report.kept() == 0 { Outcome::Found } else { Outcome::Success })
    }
}
