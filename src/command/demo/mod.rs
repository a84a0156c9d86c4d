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
    after_help = "Examples:\n  osmose demo\n  osmose demo --headless --seconds 30 --seed 7 --record morning.mcap\n  osmose demo --record morning.mcap\n  osmose demo --site my-copy-of-coworking"
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
    /// Record everything into a trace [default: live, with a page, the newest of it into a temporary folder that is removed
    /// at the end, so that the page can look back]
    #[arg(long, value_name = "FILE.mcap|none")]
    record: Option<PathBuf>,
    /// A copy of examples/coworking in place of the one inside the program; live, its rules and people are followed as
    /// they are saved
    #[arg(long, value_name = "DIR")]
    site: Option<PathBuf>,
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

/// The demo's site, embedded so that the command works from any folder.
const EMBEDDED: [(&str, &str); 7] = embedded![
    "bookings.ics",
    "devices.toml",
    "floorplan.geojson",
    "morning.toml",
    "people.toml",
    "rules/coworking.rules",
    "site.toml"
];
/// The script of the morning, beside the site's files.
const SCRIPT: &str = "morning.toml";

/// Takes the `# ` away from the sensor that is commented out.
fn with_beacons(devices: &str) -> String {
    let mut is_block = false;
    let lines = devices.lines().map(|line| {
        is_block = line == "# [[sensor]]" || is_block && line.starts_with("# ");
        if is_block { &line[2..] } else { line }
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

impl Demo {
    /// What the site is called in messages.
    fn place(&self) -> String {
        self.site.as_ref().map_or_else(|| "examples/coworking".to_owned(), |dir| dir.display().to_string())
    }

    /// A file of the demo's folder, the embedded one or the one that was named.
    fn read(&self, path: &str) -> Result<String, Failure> {
        if let Some(dir) = &self.site {
            let file = dir.join(path);
            return std::fs::read_to_string(&file).map_err(|e| {
                Failure::found(format!("{}: {e}. --site wants a copy of examples/coworking.", file.display()))
            });
        }
        let found = EMBEDDED.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| Failure::found(format!("the demo has no {path}")))
    }

    /// The files of the site. The beacons stand in devices.toml as a comment.
    fn files(&self, beacons: Beacons) -> Result<Vec<SourceFile>, Failure> {
        let mut paths: Vec<String> = EMBEDDED.iter().map(|(path, _)| (*path).to_owned()).collect();
        if let Some(dir) = &self.site {
            // Its rules may have been put into other files.
            paths.retain(|p| !p.starts_with("rules/"));
            let rules = dir.join("rules").read_dir().into_iter().flatten().flatten();
            let names = rules.map(|e| e.file_name().to_string_lossy().into_owned());
            paths.extend(names.filter(|n| n.ends_with(".rules")).map(|n| format!("rules/{n}")));
            paths.sort();
        }
        let site = paths.into_iter().filter(|path| path != SCRIPT);
        site.map(|path| {
            let text = self.read(&path)?;
            let is_doubled = path == "devices.toml" && beacons == Beacons::On;
            Ok(SourceFile { text: if is_doubled { with_beacons(&text) } else { text }, path })
        })
        .collect()
    }

    /// The demo's morning in its building.
    fn simulate(&self, site: &osmose_model::site::Site) -> Result<Sim, Failure> {
        let script = self.read(SCRIPT)?;
        Sim::new(site, Scenario::Morning { script }, self.seed)
            .map_err(|e| Failure::found(format!("{}/{SCRIPT}: {e}", self.place())))
    }

    pub(crate) fn run(self) -> Ended {
        if self.report {
            return report::run(&self);
        }
        let ready = crate::site::ready_files(&self.files(Beacons::Off)?, &self.place())?;
        if self.headless { headless::run(ready, &self) } else { live::run(ready, &self) }
    }
}
