//! `osmose trace index|recover|cut|merge`: traces made of traces.

use crate::outcome::{Ended, Failure, Outcome};
use crate::progress::Bar;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_replay::counted;
use osmose_replay::drive::{Osmose, Workshop};
use osmose_replay::surgery::{cut, index, merge, recover};
use osmose_replay::trace::recording::{Items, Recording};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Index {
    /// The trace
    trace: PathBuf,
    /// Write another file instead of replacing the trace
    #[arg(short, long, value_name = "FILE.mcap")]
    output: Option<PathBuf>,
    /// Seconds of the trace between two keyframes
    #[arg(long, value_name = "S", default_value_t = 30.0)]
    every: f64,
}

impl Index {
    pub(crate) fn run(self) -> Ended {
        let every = DurationNs::from_s_f64(self.every).filter(|d| d.0 > 0);
        let every = every.ok_or_else(|| Failure::usage(format!("{} s is no time between keyframes", self.every)))?;
        let beside = self.trace.with_extension("mcap.indexing");
        if self.output.is_none() && beside.exists() {
            return Err(Failure::found(format!(
                "{} is being written by another `osmose trace index`, or was left by one that was interrupted: remove it where \
                 none is running",
                beside.display()
            )));
        }
        let out = self.output.as_ref().unwrap_or(&beside);
        let mut bar = Bar::new();
        let done = index::index(&self.trace, every, out, &mut bar).map_err(Failure::found)?;
        bar.done();
        if self.output.is_none() {
            let failed = |e| Failure::found(format!("{} cannot take the place of the trace: {e}", beside.display()));
            std::fs::rename(&beside, &self.trace).map_err(failed)?;
        }
        let ran =
            if done.ran { "; it was an import, and now holds its ticks and the decisions of this build" } else { "" };
        println!("{} along {}{ran}", counted(done.keyframes, "keyframe"), counted(done.inputs, "input"));
        Ok(Outcome::Success)
    }
}

#[derive(clap::Args)]
pub(crate) struct Recover {
    /// The damaged trace
    trace: PathBuf,
    /// The trace to write; it must not exist yet
    #[arg(short, long, value_name = "FILE.mcap")]
    output: PathBuf,
}

impl Recover {
    pub(crate) fn run(self) -> Ended {
        let mut bar = Bar::new();
        let found = recover::recover(&self.trace, &self.output, &mut bar).map_err(Failure::found)?;
        bar.done();
        print!("{}", found.render());
        Ok(if found.lost() { Outcome::Lost } else { Outcome::Success })
    }
}

#[derive(clap::Args)]
pub(crate) struct Cut {
    /// The trace, or the folder that recordings go to
    trace: PathBuf,
    /// From this time on; the beginning where not given
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Up to this time; the end where not given
    #[arg(long, value_name = "T")]
    to: Option<String>,
    /// The trace to write; it must not exist yet
    #[arg(short, long, value_name = "FILE.mcap")]
    output: PathBuf,
}

impl Cut {
    pub(crate) fn run(self) -> Ended {
        let mut recording = Recording::open(&self.trace).map_err(Failure::found)?;
        let workshop = Osmose::of_files(recording.files()).map_err(Failure::found)?;
        let zone = workshop.site().frame.timezone.clone();
        let mut instant = |text: &Option<String>, none: i64| {
            text.as_deref().map_or(Ok(LogicalNs(none)), |t| recording.instant(t, &zone).map_err(Failure::usage))
        };
        let (from, to) = (instant(&self.from, i64::MIN)?, instant(&self.to, i64::MAX)?);
        if to < from {
            return Err(Failure::usage(format!(
                "from {from} s to {to} s is no stretch of time: --to is before --from"
            )));
        }
        let mut bar = Bar::new();
        let cut = cut::cut(&mut recording, from, to, &self.output, &mut bar).map_err(Failure::found)?;
        bar.done();
        let (a, b) = cut.span;
        let inputs = counted(cut.inputs, "input");
        println!("{inputs}, {} s to {} s, behind the state of input {}", a.at, b.at, cut.after.seq);
        Ok(Outcome::Success)
    }
}

#[derive(clap::Args)]
pub(crate) struct Merge {
    /// The parts, in any order
    #[arg(required = true, num_args = 2..)]
    parts: Vec<PathBuf>,
    /// The trace to write; it must not exist yet
    #[arg(short, long, value_name = "FILE.mcap")]
    output: PathBuf,
}

impl Merge {
    pub(crate) fn run(self) -> Ended {
        let mut bar = Bar::new();
        let merged = merge::merge(&self.parts, &self.output, &mut bar).map_err(Failure::found)?;
        bar.done();
        println!("{}", counted(merged.inputs, "input"));
        if merged.missing > 0 {
            println!("{} missing between the parts: a replay declares the hole", counted(merged.missing, "input"));
        }
        Ok(Outcome::Success)
    }
}
