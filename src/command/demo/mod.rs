//! `osmose demo`: the co-working building of `examples/coworking`, with simulated people and sensors.
//!
//! `--headless` lets virtual time run as fast as it can, through the core in this thread: the same commands, byte for
//! byte, for the same seed. Without it the building lives in real time: simulated sensors send datagrams to a running
//! engine over loopback, as real ones would.

mod headless;
mod live;
mod ports;
mod report;
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
    /// Print what a building is asked for, row by row, with this morning's figures [seconds: 200]
    #[arg(long, requires = "headless", conflicts_with_all = ["commands", "record"])]
    report: bool,
    /// The report as JSON
    #[arg(long, requires = "report")]
    json: bool,
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

/// Whether people's beacons are heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beacons {
    Off,
    On,
}

/// The demo's site, embedded so that the command works from any folder. The beacons stand in devices.toml as a comment.
fn files(beacons: Beacons) -> Vec<SourceFile> {
    let all = embedded![
        "bookings.ics",
        "devices.toml",
        "floorplan.geojson",
        "people.toml",
        "rules/coworking.rules",
        "site.toml"
    ];
    let told = |path: &str, text: &str| {
        if path == "devices.toml" && beacons == Beacons::On { with_beacons(text) } else { text.to_owned() }
    };
    all.iter().map(|(path, text)| SourceFile { path: (*path).into(), text: told(path, text) }).collect()
}

/// Takes the `# ` away from the sensor that is commented out.
fn with_beacons(devices: &str) -> String {
    let mut is_block = false;
    let lines = devices.lines().map(|line| {
        is_block = line == "# [[sensor]]" || is_block && line.starts_with("# ");
        if is_block { &line[2..] } else { line }
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The demo's morning, by a script that is embedded too.
fn simulate(site: &osmose_model::site::Site, seed: u64) -> Result<Sim, Failure> {
    let script = include_str!("../../../examples/coworking/morning.toml").to_owned();
    Sim::new(site, Scenario::Morning { script }, seed)
        .map_err(|e| Failure::found(format!("examples/coworking/morning.toml: {e}")))
}

impl Demo {
    pub(crate) fn run(self) -> Ended {
        if self.report {
            return report::run(&self);
        }
        let ready = crate::site::ready_files(&files(Beacons::Off), "examples/coworking")?;
        if self.headless { headless::run(ready, &self) } else { live::run(ready, &self) }
    }
}
