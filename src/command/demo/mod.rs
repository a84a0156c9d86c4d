//! `osmose demo`: the co-working building of `examples/coworking`, with simulated people and sensors.
//!
//! `--headless` lets virtual time run as fast as it can, through the core in this thread: the same commands, byte for
//! byte, for the same seed. Without it the building lives in real time: simulated sensors send datagrams to a running
//! engine over loopback, as real ones would.

mod headless;
mod live;
mod ports;
mod senders;
mod story;

use crate::outcome::{Ended, Failure};
use osmose_model::site::SourceFile;
use osmose_sensors::sim::{Scenario, Sim};
use std::path::PathBuf;

/// Run the co-working building with simulated sensors
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  osmose demo\n  osmose demo --headless --seconds 30 --seed 7 --record morning.mcap"
)]
pub(crate) struct Demo {
    /// As fast as it can, in virtual time
    #[arg(long)]
    headless: bool,
    /// Stop after this many seconds of the building's time [default: 60 headless, else until Ctrl-C]
    #[arg(long, value_name = "N")]
    seconds: Option<f64>,
    /// Another seed is another morning
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Also write every command as a JSON line
    #[arg(long, value_name = "FILE.jsonl")]
    commands: Option<PathBuf>,
    /// Record everything into a trace (with --headless; `osmose run --record` does it live)
    #[arg(long, value_name = "FILE.mcap", requires = "headless")]
    record: Option<PathBuf>,
    #[command(flatten)]
    web: crate::web::Web,
}

macro_rules! embedded {
    ($($path:literal),+ $(,)?) => {
        [$(($path, include_str!(concat!("../../../examples/coworking/", $path)))),+]
    };
}

/// The demo's site, embedded so that the command works from any folder.
fn files() -> Vec<SourceFile> {
    let all = embedded![
        "bookings.ics",
        "devices.toml",
        "floorplan.geojson",
        "people.toml",
        "rules/coworking.rules",
        "site.toml"
    ];
    all.iter().map(|(path, text)| SourceFile { path: (*path).into(), text: (*text).into() }).collect()
}

/// The demo's morning, by a script that is embedded too.
fn simulate(site: &osmose_model::site::Site, seed: u64) -> Result<Sim, Failure> {
    let script = include_str!("../../../examples/coworking/morning.toml").to_owned();
    Sim::new(site, Scenario::Morning { script }, seed)
        .map_err(|e| Failure::found(format!("examples/coworking/morning.toml: {e}")))
}

impl Demo {
    pub(crate) fn run(self) -> Ended {
        let ready = crate::site::ready_files(&files(), "examples/coworking")?;
        if self.headless { headless::run(ready, &self) } else { live::run(ready, &self) }
    }
}
