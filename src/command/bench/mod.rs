//! `osmose bench ...`: what it costs, how late it is, how fast it replays. What is measured lives in `osmose-bench`; this
//! reads the command line and writes the results.

mod compare;
mod latency;
mod replay;
mod step;

use crate::outcome::{Ended, Failure, Outcome};
use osmose_bench::dist::Dist;
use osmose_bench::report::{Report, hgrm, page, table};
use std::path::{Path, PathBuf};

/// Measure Osmose on this machine
#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// Nanoseconds per observation: by kind, by occupants, by rules
    #[command(
        after_help = "Examples:\n  osmose bench step --page step.html\n  osmose bench step --calibrate my-office\n\nNothing is asserted and nothing subtracted; what two readings of the clock cost is the first row."
    )]
    Step(step::Step),
    /// From the moment an event is due to its command received, two processes on loopback, beside the floor
    #[command(
        after_help = "Examples:\n  osmose bench latency --seconds 10 --pairs 6 --json latency.json --page latency.html\n  osmose bench latency --idle spin --rate 10000 --hgrm out\n\nThe floor is a process with no engine: receive, point in polygon, send. Exit status 1 where anything is unaccounted for."
    )]
    Latency(latency::Latency),
    /// How fast recordings run again: observations a second and times real time
    #[command(
        after_help = "Examples:\n  osmose bench replay morning.mcap --runs 6\n  osmose bench replay --seconds 600 --json replay.json\n\nA replay that is not what was recorded gives no figure."
    )]
    Replay(replay::Replay),
    /// All of it over a folder of recordings that are made from seeds
    #[command(after_help = "Example:\n  osmose bench corpus benches/corpus --page corpus.html")]
    Corpus(replay::Corpus),
    /// The process that `latency` compares with
    #[command(hide = true)]
    Floor(latency::Floor),
}

impl Bench {
    pub(crate) fn run(self) -> Ended {
        match self {
            Self::Step(c) => c.run(),
            Self::Latency(c) => c.run(),
            Self::Floor(c) => c.run(),
            Self::Replay(c) => c.run(),
            Self::Corpus(c) => c.run(),
        }
    }
}

/// Where results go, beside the table on stdout.
#[derive(clap::Args)]
struct Results {
    /// Also write everything as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write one page with the percentile plot, which needs nothing else
    #[arg(long, value_name = "FILE.html")]
    page: Option<PathBuf>,
    /// Also write a percentile distribution for each row (FILE-ROW.hgrm), and an interval log (FILE.hlog) where there is one
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
    /// Compare with kept figures, or with another build's program: then runs are interleaved, at least five of each
    #[arg(long, value_name = "OLD.json|PROGRAM")]
    compare: Option<PathBuf>,
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|e| Failure::found(format!("cannot write {}: {e}", path.display())))
}

impl Results {
    /// Where another program is to be compared with: measures both in turn and tells. `args` are those of one run, without
    /// its results; `None` where there is no such program to compare with.
    fn against_program(&self, pairs: usize, args: &[String]) -> Option<Ended> {
        let other = self.compare.as_deref()?;
        match compare::look(other) {
            Ok(compare::Other::Kept(_)) => None,
            Ok(compare::Other::Program) => Some(
                this_program()
                    .and_then(|this| compare::interleaved(&this, other, pairs, args))
                    .and_then(|report| self.write(&report, &[], None)),
            ),
            Err(failure) => Some(Err(failure)),
        }
    }

    /// Prints the table and writes what was asked for.
    fn tell(&self, report: &Report, dists: &[(String, Dist)], log: Option<&[u8]>) -> Ended {
        let mut report = report.clone();
        if let Some(old) = &self.compare
            && let compare::Other::Kept(old) = compare::look(old)?
        {
            compare::kept(&mut report, &old)?;
        }
        self.write(&report, dists, log)
    }

    fn write(&self, report: &Report, dists: &[(String, Dist)], log: Option<&[u8]>) -> Ended {
        print!("{}", table::render(report));
        if let Some(path) = &self.json {
            write(path, report.to_json().as_bytes())?;
        }
        if let Some(path) = &self.page {
            write(path, page::render(report).as_bytes())?;
        }
        if let Some(path) = &self.hgrm {
            for (name, dist) in dists {
                write(&beside(path, &format!("-{}.hgrm", file_name(name))), hgrm::hgrm(dist).as_bytes())?;
            }
            if let Some(log) = log {
                write(&beside(path, ".hlog"), log)?;
            }
        }
        report.close().map_err(Failure::found)?;
        Ok(Outcome::Success)
    }
}

/// A path with something behind its last name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().map_or_else(|| "bench".into(), |n| n.to_string_lossy().into_owned());
    path.with_file_name(format!("{}{suffix}", name.trim_end_matches(".hgrm")))
}

/// A row's name as part of a file's: letters and digits, everything else a dash.
fn file_name(row: &str) -> String {
    let dashed: String =
        row.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    dashed.split('-').filter(|w| !w.is_empty()).collect::<Vec<_>>().join("-")
}

/// This program, to be started again.
fn this_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|e| Failure::found(format!("cannot find this program: {e}")))
}

/// Which build measures itself.
fn build() -> String {
    let profile = if cfg!(debug_assertions) { "debug build: NOT for figures" } else { "release build" };
    format!("osmose {} ({profile})", env!("CARGO_PKG_VERSION"))
}

/// A line on stderr that says how far it is, where stderr is a terminal.
fn progress() -> impl FnMut(usize, usize) {
    let bar = indicatif::ProgressBar::new(0);
    if !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let style = indicatif::ProgressStyle::with_template("{bar:30} {percent:>3} %  {eta} left");
    bar.set_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()));
    move |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_its_file() {
        assert_eq!(file_name("engine, blocking"), "engine-blocking");
        assert_eq!(beside(Path::new("out/lat.hgrm"), "-floor.hgrm"), Path::new("out/lat-floor.hgrm"));
    }
}
