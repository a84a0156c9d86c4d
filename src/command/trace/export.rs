//! `osmose trace export|keep|anonymise`: a trace for other programs, for later, and for others.

use crate::outcome::{Ended, Failure, Outcome};
use crate::progress::Bar;
use osmose_replay::counted;
use osmose_replay::drive::{Osmose, Workshop};
use osmose_replay::export::{foxglove, map, perfetto, tables};
use osmose_replay::surgery::{anonymise, keep};
use osmose_replay::trace::recording::{Items, Recording};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Export {
    /// The trace, or the folder that recordings go to
    trace: PathBuf,
    #[command(flatten)]
    form: Form,
    /// The file to write (with --csv: the folder)
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
}

/// Which form: exactly one.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Form {
    /// Tables: what sensors said (as `osmose import` reads it), events, commands
    #[arg(long)]
    csv: bool,
    /// Where each track went
    #[arg(long)]
    geojson: bool,
    /// The way of each command through the engine, for ui.perfetto.dev
    #[arg(long)]
    perfetto: bool,
    /// People, plan and log, for Foxglove and Lichtblick
    #[arg(long)]
    foxglove: bool,
}

impl Export {
    pub(crate) fn run(self) -> Ended {
        let recording = Recording::open(&self.trace).map_err(Failure::found)?;
        let mut bar = Bar::new();
        let said = if self.form.csv {
            let done = tables::tables(recording, &self.output, &mut bar).map_err(Failure::found)?;
            bar.done();
            for (path, rows) in &done.files {
                println!("{}: {}", path.display(), counted(*rows, "row"));
            }
            for sensor in &done.relative {
                println!("{sensor} is declared with coordinates = \"sensor\": the tables hold site coordinates");
            }
            done.epoch.map_or_else(String::new, |e| format!("second 0 is {e} (give it to `osmose import --epoch`)"))
        } else if self.form.geojson {
            let tracks = map::tracks(recording, &mut bar).map_err(Failure::found)?;
            let count = tracks["features"].as_array().map_or(0, Vec::len);
            self.write(tracks.to_string().as_bytes())?;
            counted(count, "track")
        } else if self.form.perfetto {
            let (bytes, commands) = perfetto::timeline(recording, &mut bar).map_err(Failure::found)?;
            self.write(&bytes)?;
            format!("{}; open the file in ui.perfetto.dev", counted(commands, "command"))
        } else {
            let done = foxglove::foxglove(recording, &self.output, &mut bar).map_err(Failure::found)?;
            format!("{}, {} of log", counted(done.scenes, "scene"), counted(done.lines, "line"))
        };
        bar.done();
        if !said.is_empty() {
            println!("{said}");
        }
        Ok(Outcome::Success)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let failed = |e| Failure::found(format!("{} cannot be written: {e}", self.output.display()));
        std::fs::write(&self.output, bytes).map_err(failed)
    }
}

#[derive(clap::Args)]
pub(crate) struct Keep {
    /// The recording, or the folder that recordings go to
    trace: PathBuf,
    /// Of a folder, those that reach behind this time
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Of a folder, those that begin before this time
    #[arg(long, value_name = "T")]
    to: Option<String>,
    /// Why: it stands in the file beside the recording
    #[arg(long, value_name = "TEXT", default_value = "kept by hand")]
    because: String,
    /// Let it go again
    #[arg(long)]
    no_longer: bool,
}

impl Keep {
    pub(crate) fn run(self) -> Ended {
        if self.no_longer {
            let was = keep::let_go(&self.trace).map_err(Failure::found)?;
            println!("{}", if was { "it may expire again" } else { "it was not kept" });
            return Ok(Outcome::Success);
        }
        let (mut from, mut to) = (None, None);
        if self.from.is_some() || self.to.is_some() {
            let mut recording = Recording::open(&self.trace).map_err(Failure::found)?;
            let workshop = Osmose::of_files(recording.files()).map_err(Failure::found)?;
            let zone = workshop.site().frame.timezone.clone();
            let mut instant = |text: &Option<String>| {
                text.as_deref().map(|t| recording.instant(t, &zone).map_err(Failure::usage)).transpose()
            };
            (from, to) = (instant(&self.from)?, instant(&self.to)?);
        }
        for path in keep::keep(&self.trace, from, to, &self.because).map_err(Failure::found)? {
            println!("{} stays ({})", path.display(), keep::mark(&path).display());
        }
        Ok(Outcome::Success)
    }
}

#[derive(clap::Args)]
pub(crate) struct Anonymise {
    /// The trace
    trace: PathBuf,
    /// Of a trace that begins inside a log: let go who was where then, since that state bears names
    #[arg(long)]
    forget_state: bool,
    /// The trace to write; it must not exist yet
    #[arg(short, long, value_name = "FILE.mcap")]
    output: PathBuf,
}

impl Anonymise {
    pub(crate) fn run(self) -> Ended {
        let mut bar = Bar::new();
        let opening = if self.forget_state { anonymise::Opening::Forgotten } else { anonymise::Opening::Refused };
        let done = anonymise::anonymise(&self.trace, opening, &self.output, &mut bar).map_err(Failure::found)?;
        bar.done();
        print!("{}", done.render());
        Ok(Outcome::Success)
    }
}
