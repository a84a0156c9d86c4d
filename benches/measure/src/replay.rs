//! `osmose bench replay`: how fast recordings run again, observations a second and times real time.
//!
//! The trace is opened, its site loaded and its rules compiled each time: what is timed is what a facility engineer waits
//! for. `verify` compares every decision as well.

use crate::dist::Dist;
use crate::interval::median;
use crate::report::{Rate, Report};
use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan, Rules, StepSink};
use osmose_model::canon;
use osmose_model::device::SensorKind;
use osmose_model::digest::Digest;
use osmose_model::input::{Input, Tag};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::ScanBuf;
use osmose_model::site::SourceFile;
use osmose_model::time::ArrivalNs;
use osmose_replay::drive::{Options, Osmose, Replay};
use osmose_replay::info;
use osmose_replay::trace::codec::{self, Record};
use osmose_replay::trace::read::Item;
use osmose_replay::trace::recording::{Items, Recording};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Why a trace could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read or run.
    #[error("{} cannot be replayed: {why}", .path.display())]
    Failed {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It is not what it was: the engine decides otherwise than recorded.
    #[error("{} was replayed and is not the same: {what}\nA figure for a wrong answer is none.", .path.display())]
    Differs {
        /// Which.
        path: PathBuf,
        /// What the replay says.
        what: String,
    },
    /// There is nothing in it.
    #[error("{} holds no observation: there is nothing to measure", .0.display())]
    Empty(PathBuf),
}

fn failed(path: &Path) -> impl Fn(&dyn std::fmt::Display) -> ReplayError + '_ {
    move |why| ReplayError::Failed { path: path.to_owned(), why: why.to_string() }
}

/// One replay: seconds by the clock.
fn once(path: &Path, verify: bool) -> Result<f64, ReplayError> {
    let failed = failed(path);
    let begun = Instant::now();
    let recording = Recording::open(path).map_err(|e| failed(&e))?;
    let workshop = Osmose::of_files(recording.files()).map_err(|e| failed(&e))?;
    let options = Options { verify, ..Options::default() };
    let replay = Replay::new(recording, workshop, options).map_err(|e| failed(&e))?;
    let summary = replay.ahead().map_err(|e| failed(&e))?.run(&mut ()).map_err(|e| failed(&e))?;
    let took = begun.elapsed().as_secs_f64();
    if summary.exit_status() == 1 || !summary.holes.is_empty() {
        return Err(ReplayError::Differs { path: path.to_owned(), what: summary.render() });
    }
    Ok(took)
}

/// How much is in a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Content {
    /// Observations.
    pub observations: u64,
    /// Seconds between its first and last input.
    pub span_s: f64,
}

/// Looks into a trace.
///
/// # Errors
/// [`ReplayError`].
pub fn content(path: &Path) -> Result<Content, ReplayError> {
    let info = info::info(path).map_err(|e| failed(path)(&e))?;
    let observations = info.sensors.values().map(|s| s.observations).sum();
    let span_s = info.span.map_or(0.0, |(a, b)| b.at.since(a.at).as_s_f64());
    if observations == 0 {
        return Err(ReplayError::Empty(path.to_owned()));
    }
    Ok(Content { observations, span_s })
}

/// Replays a trace `runs` times as it is and `runs` times verified, in turn, and adds the rates to a report.
///
/// # Errors
/// [`ReplayError`]: above all where the replay is not what was recorded.
pub fn measure(report: &mut Report, name: &str, path: &Path, runs: usize) -> Result<(), ReplayError> {
    let content = content(path)?;
    let mut rates: [(bool, Vec<f64>); 2] = [(false, vec![]), (true, vec![])];
    for run in 0..runs {
        for i in 0..2 {
            let (verify, took) = &mut rates[(run + i) % 2];
            took.push(once(path, *verify)?);
        }
    }
    for (verify, took) in rates {
        let how = if verify { "verified" } else { "replayed" };
        let per_s: Vec<f64> = took.iter().map(|s| content.observations as f64 / s).collect();
        let times: Vec<f64> = took.iter().map(|s| content.span_s / s).collect();
        let mut rate = |unit: &str, runs: Vec<f64>| {
            let middle = median(&runs).unwrap_or(0.0);
            report.rates.push(Rate { what: format!("{name}, {how}"), per_s: middle, unit: unit.to_owned(), runs });
        };
        rate("observations/s", per_s);
        rate("x real time", times);
    }
    Ok(())
}

/// Times steps by kind of sensor.
struct Timer {
    by_kind: BTreeMap<SensorKind, Dist>,
    begun: Instant,
}

impl StepSink<Fusion, Rules, Plan> for Timer {
    fn sequenced(&mut self, _: Tag, _: &[u8]) {
        self.begun = Instant::now();
    }
    fn decided(&mut self, _: Tag, input: &Input<'_>, _: &Outbox, _: &Core) {
        let took = self.begun.elapsed();
        if let Input::Observation(o) = input {
            self.by_kind.entry(o.body.kind()).or_default().add_span(took);
        }
    }
}

/// What the steps of a trace's observations cost, by kind, and a digest over those observations.
#[derive(Clone, Debug)]
pub struct Steps {
    /// By kind of sensor.
    pub by_kind: Vec<(SensorKind, Dist)>,
    /// Over the canonical bytes of every observation, in order: the same for as long as the trace says the same.
    pub digest: Digest,
}

/// Steps a trace's inputs in this thread, each observation timed.
///
/// # Errors
/// [`ReplayError`].
pub fn steps(path: &Path) -> Result<Steps, ReplayError> {
    let failed = failed(path);
    let mut recording = Recording::open(path).map_err(|e| failed(&e))?;
    let files: Vec<SourceFile> = recording.files().to_vec();
    let core = Osmose::of_files(&files).and_then(|w| w.core()).map_err(|e| failed(&e))?;
    let mut driver = CoreDriver::new(core);
    let mut timer = Timer { by_kind: BTreeMap::new(), begun: Instant::now() };
    let (mut scan, mut digest, mut bytes) = (ScanBuf::new(), Digest::default(), vec![0; INPUT_BYTES_MAX]);
    while let Some(item) = recording.next_item().map_err(|e| failed(&e))? {
        let Item::Record(raw) = item else { continue };
        let Ok(Record::Input { tag, input }) = codec::decode(&raw, &mut scan) else { continue };
        match input {
            // Ticks are made where they are due.
            Input::Tick => continue,
            Input::Observation(_) => {
                if let Ok(n) = canon::encode_input(&input, &mut bytes) {
                    digest.absorb(&bytes[..n]);
                }
            }
            _ => {}
        }
        driver.feed(ArrivalNs(tag.at.0), &input, &mut timer);
    }
    Ok(Steps { by_kind: timer.by_kind.into_iter().collect(), digest })
}
