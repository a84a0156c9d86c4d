//! `osmose simulate SITE`: a site lived in by simulated people, as fast as it can, recorded into a trace.
//!
//! The same core as a live engine's, in this thread: the trace holds its ticks, decisions and keyframes, so that replay,
//! why and find work on it. One seed gives one trace, byte for byte, with the truth beside it where it is wanted.

use crate::outcome::{Ended, Failure, Outcome};
use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan, Rules, StepSink};
use osmose_model::command::Command;
use osmose_model::device::SensorKind;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::Body;
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs, UtcNs, format_seconds};
use osmose_replay::counted;
use osmose_replay::record::{InlineRecorder, Recorder};
use osmose_replay::score::frame_ms;
use osmose_replay::trace::codec::NameOf;
use osmose_replay::trace::format::{Meta, Origin};
use osmose_replay::trace::write::Packing;
use osmose_replay::wall;
use osmose_rules::Program;
use osmose_sensors::sim::{CROWD_STAY_S, REPORT_AFTER_MIN, Scenario, Sim};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A keyframe behind this many inputs.
const KEYFRAME_EVERY: u64 = 5000;
/// The truth is written this often.
const TRUTH_EVERY: DurationNs = DurationNs::from_ms(100);

/// Let simulated people live in a site, and record it
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  osmose simulate my-office --people 40 --seconds 600 -o crowd.mcap --truth truth.csv\n  osmose \
                  simulate examples/incidents --script examples/incidents/late-pause.toml --seconds 40 --seed 1 \
                  --epoch 2026-03-02T10:02:00Z -o late-pause.mcap"
)]
#[command(group(clap::ArgGroup::new("scenario").required(true).args(["script", "people"])))]
pub(crate) struct Simulate {
    /// The site's folder
    site: PathBuf,
    /// Who comes, where they go and what goes wrong, as a script
    #[arg(long, value_name = "FILE.toml", conflicts_with = "people")]
    script: Option<PathBuf>,
    /// So many people who walk from room to room
    #[arg(long, value_name = "N")]
    people: Option<usize>,
    /// So many seconds of the building's time
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    seconds: f64,
    /// Another seed is another day
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// With what goes wrong in real buildings: clocks that run off, datagrams lost, doubled and held up, dead sensors
    #[arg(long)]
    worn: bool,
    /// When it begins (RFC 3339); without it there is no wall clock, and the time of day is unknown
    #[arg(long, value_name = "RFC3339")]
    epoch: Option<String>,
    /// The trace to write; it must not exist yet
    #[arg(short, long, value_name = "FILE.mcap")]
    output: PathBuf,
    /// Where everybody truly was: t, id, x, y, level, name
    #[arg(long, value_name = "FILE.csv")]
    truth: Option<PathBuf>,
    /// When the truth is written [default: at the time of every scan, as `replay --tracks` writes tracks and `score`
    /// compares them; ten times a second where the site has no sensor that scans]
    #[arg(long, value_enum, requires = "truth")]
    truth_at: Option<TruthAt>,
}

/// When the truth is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TruthAt {
    /// Ten times a second.
    Tenths,
    /// When each scan of positions was measured.
    Scans,
}

/// A recording of a core in this thread.
pub(crate) type Recording = InlineRecorder<BufWriter<File>>;

/// Begins the recording of a simulated site.
pub(crate) fn begin(path: &Path, site: &Site, program: &Program) -> Result<Recording, Failure> {
    let meta = Meta::new(Origin::Simulate, &site.name);
    let mut recorder = Recorder::create(path, &meta, &site.files, Packing::default()).map_err(Failure::found)?;
    for (rule, info) in program.rules().iter().enumerate() {
        recorder.name(NameOf::Rule, rule as u64, &info.name);
    }
    Ok(InlineRecorder::new(recorder, KEYFRAME_EVERY))
}

/// An input was sequenced.
pub(crate) fn sequenced(recording: &mut Recording, tag: Tag, canonical: &[u8]) {
    <Recording as StepSink<Fusion, Rules, Plan>>::sequenced(recording, tag, canonical);
}

/// Ends the recording.
pub(crate) fn finish(recording: Recording) -> Result<(), Failure> {
    recording.into_inner().finish().map(drop).map_err(Failure::found)
}

/// Records every step and keeps its commands for the simulated devices.
struct Sink {
    recording: Recording,
    commands: Vec<Command>,
}

impl StepSink<Fusion, Rules, Plan> for Sink {
    fn sequenced(&mut self, tag: Tag, canonical: &[u8]) {
        sequenced(&mut self.recording, tag, canonical);
    }

    fn decided(&mut self, tag: Tag, input: &Input<'_>, out: &Outbox, machine: &Core) {
        self.recording.decided(tag, input, out, machine);
        self.commands.extend(out.commands.iter().cloned());
    }
}

/// The true places as a table that `osmose score` and `replay --plot --truth` read.
struct Truth {
    out: BufWriter<File>,
    next: ArrivalNs,
    /// The milliseconds that are written, which a score takes for one instant each: several sensors may scan within one, and
    /// scans come in any order.
    written: BTreeSet<i64>,
}

impl Truth {
    fn create(path: &Path) -> Result<Self, Failure> {
        let unwritten = |e| Failure::found(format!("cannot write {}: {e}", path.display()));
        let mut out = BufWriter::new(File::create(path).map_err(unwritten)?);
        out.write_all(b"t,id,x,y,level,name\n").map_err(unwritten)?;
        Ok(Self { out, next: ArrivalNs(0), written: BTreeSet::new() })
    }

    fn write(&mut self, sim: &Sim, site: &Site, now: ArrivalNs) -> std::io::Result<()> {
        while self.next <= now {
            self.write_at(sim, site, self.next)?;
            self.next = self.next.plus(TRUTH_EVERY);
        }
        Ok(())
    }

    /// Where everybody is at an instant, where its millisecond was not written before.
    fn write_once(&mut self, sim: &Sim, site: &Site, at: ArrivalNs) -> std::io::Result<()> {
        if self.written.insert(frame_ms(LogicalNs(at.0))) { self.write_at(sim, site, at) } else { Ok(()) }
    }

    /// Where everybody is at an instant. A scan's lies a little back, where the simulator knows it to half a step: a
    /// centimetre or two of somebody who walks.
    fn write_at(&mut self, sim: &Sim, site: &Site, at: ArrivalNs) -> std::io::Result<()> {
        let t = format_seconds(at.0);
        for p in sim.truth(at) {
            let level = site.levels.get(p.place.level.index()).map_or("", |l| l.name.as_str());
            writeln!(self.out, "{t},{},{:.4},{:.4},{level},{}", p.id, p.place.at.x_m, p.place.at.y_m, p.name)?;
        }
        Ok(())
    }
}

impl Simulate {
    fn scenario(&self) -> Result<(Scenario, String), Failure> {
        match (&self.script, self.people) {
            (Some(path), _) => {
                let read = |e| Failure::found(format!("cannot read {}: {e}", path.display()));
                let script = std::fs::read_to_string(path).map_err(read)?;
                Ok((Scenario::Morning { script }, format!("{}: ", path.display())))
            }
            (None, Some(people)) => Ok((Scenario::Crowd { people, stay_s: CROWD_STAY_S }, String::new())),
            (None, None) => Err(Failure::usage("give --script FILE.toml or --people N")),
        }
    }

    pub(crate) fn run(self) -> Ended {
        let length = DurationNs::from_s_f64(self.seconds).filter(|d| d.0 > 0);
        let length =
            length.ok_or_else(|| Failure::usage(format!("{} s is no time for anything to happen", self.seconds)))?;
        let epoch: Option<UtcNs> =
            self.epoch.as_deref().map(wall::parse_rfc3339).transpose().map_err(Failure::usage)?;
        let crate::site::Ready { site, program } = crate::site::ready(&self.site)?;
        let (scenario, of) = self.scenario()?;
        let build = if self.worn { Sim::worn } else { Sim::new };
        let mut sim = build(&site, scenario, self.seed).map_err(|e| Failure::found(format!("{of}{e}")))?;
        sim.notes().iter().for_each(|n| println!("note: {n}"));
        let anchor = epoch.map(|utc| wall::anchor(utc, &site.frame.timezone)).transpose().map_err(Failure::found)?;
        let mut sink = Sink { recording: begin(&self.output, &site, &program)?, commands: Vec::new() };
        let mut truth = self.truth.as_deref().map(Truth::create).transpose()?;
        let unwritten = |e: std::io::Error| Failure::found(format!("the truth could not all be written: {e}"));
        let mut driver = CoreDriver::new(Core::new(site.clone(), program));
        if let Some(anchor) = anchor {
            driver.feed(ArrivalNs(0), &Input::Anchor(anchor), &mut sink);
        }
        let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
        let block = osmose_model::canon::encode_files(&rules);
        driver.feed(ArrivalNs(0), &Input::RulesInstalled { files: &block }, &mut sink);
        let end = ArrivalNs(length.0);
        let scanning = |s: &osmose_model::device::Sensor| matches!(s.kind, SensorKind::Position | SensorKind::Points);
        let truth_at = self.truth_at.unwrap_or(match site.sensors.iter().any(scanning) {
            true => TruthAt::Scans,
            false => TruthAt::Tenths,
        });
        let (mut now, mut scans) = (ArrivalNs(0), Vec::new());
        while now < end {
            now = now.plus(REPORT_AFTER_MIN).min(end);
            sim.advance(now, &mut |arrival, _, _, input| {
                let scan = input.observation().filter(|o| matches!(o.body, Body::Position(_) | Body::Points(_)));
                scans.extend(scan.map(|o| ArrivalNs(o.measured.0)));
                driver.feed(arrival, &input, &mut sink);
            });
            for command in sink.commands.drain(..) {
                sim.command(ArrivalNs(command.at.0), &command);
            }
            if let Some(truth) = &mut truth {
                match truth_at {
                    TruthAt::Tenths => truth.write(&sim, &site, now).map_err(unwritten)?,
                    TruthAt::Scans => {
                        scans.iter().try_for_each(|&at| truth.write_once(&sim, &site, at)).map_err(unwritten)?;
                    }
                }
            }
            scans.clear();
        }
        driver.run_until(end, &mut sink);
        finish(sink.recording)?;
        truth.map_or(Ok(()), |mut t| t.out.flush()).map_err(unwritten)?;
        let stats = driver.machine().stats();
        println!(
            "{} s of {}: {}, {}, {} in {}",
            format_seconds(end.0),
            site.name,
            counted(stats.inputs, "input"),
            counted(stats.events, "event"),
            counted(stats.commands, "command"),
            self.output.display()
        );
        Ok(Outcome::Success)
    }
}
