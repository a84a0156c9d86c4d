//! `osmose replay TRACE`: the code again on the recorded inputs; what it decides can be written out and compared.

use crate::outcome::{Ended, Failure, Outcome};
use crate::progress::Bar;
use crate::stderr::say;
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::DurationNs;
use osmose_page::what_if::{Beside, in_words};
use osmose_replay::branch::{self, Keeping, WhatIf};
use osmose_replay::diff;
use osmose_replay::drive::what_if::Both;
use osmose_replay::drive::{self, Names, Options, ReplayError, Sinks, Speed, TracksFormat, Workshop};
use osmose_replay::promises;
use osmose_replay::score;
use osmose_replay::trace::recording::{Items, Recording};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Run the code again on a trace's recorded inputs
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  osmose replay incident.mcap --verify\n  osmose replay walk.mcap --tracks tracks.csv \
                  --events events.jsonl\n  osmose replay incident.mcap --rules new.rules --commands -\n  osmose replay walk.mcap --plot walk.svg --truth truth.csv\n  osmose replay incident.mcap --web\n\nA time is \
                  seconds of the trace (12.5, as t_s in --events), HH:MM:SS in the site's zone, or RFC 3339.\nA file \
                  name of - is stdout. What `prove` could not show of the rules is watched: exit status 1 where it was broken."
)]
pub(crate) struct Replay {
    /// The trace, or the folder that recordings go to
    trace: PathBuf,
    /// Another site's folder, in place of the one that the trace carries
    #[arg(long, value_name = "DIR")]
    site: Option<PathBuf>,
    /// Other rules, in place of the recorded ones
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// What if this sensor had not been there (as often as there are sensors)
    #[arg(long, value_name = "SENSOR")]
    without: Vec<String>,
    /// What if this sensor had spoken so many milliseconds later
    #[arg(long, value_name = "SENSOR=MS", value_parser = delay)]
    delay: Vec<(String, i64)>,
    /// The difference that other rules, sensors or another site make, as JSON
    #[arg(long)]
    json: bool,
    /// Write and compare from this time on
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Stop after this time
    #[arg(long, value_name = "T")]
    to: Option<String>,
    /// Seconds of the trace in one second; 1 follows the clock
    #[arg(long, value_name = "X|max", default_value = "max", value_parser = speed)]
    speed: Speed,
    /// Compare every decision and both digests with the recording
    #[arg(long)]
    verify: bool,
    /// Threads to replay on, where keyframes let it be cut; as many as there are cores if not given
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Write tracks as CSV
    #[arg(long, value_name = "FILE.csv")]
    tracks: Option<PathBuf>,
    /// The header of --tracks
    #[arg(long, value_enum, default_value = "osmose")]
    tracks_format: Format,
    /// Whom rows of --tracks name: who was believed to be there at that moment; the label that each row bore at that moment,
    /// with the name that the label got, be it later; or who is likeliest by everything heard before and after
    #[arg(long, value_enum, default_value = "live", requires = "tracks")]
    names: Naming,
    /// Write events as JSON lines
    #[arg(long, value_name = "FILE.jsonl")]
    events: Option<PathBuf>,
    /// Write commands as JSON lines
    #[arg(long, value_name = "FILE.jsonl")]
    commands: Option<PathBuf>,
    /// Write the run as a trace of its own, to be asked `why`, compared by `diff`, or played
    #[arg(long, value_name = "FILE.mcap")]
    record: Option<PathBuf>,
    /// Draw detections, tracks and identities on the floor plan
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Show it in a browser: people as they were, a timeline to scrub, why each command was sent
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["json", "verify", "tracks", "events", "commands", "plot", "site"])]
    web: Option<String>,
    /// With --web: another recording of the same inputs beside it
    #[arg(long, value_name = "TRACE", requires = "web")]
    beside: Option<PathBuf>,
    /// Where people really were, drawn beside them: columns t, id, x, y and perhaps level
    #[arg(long, value_name = "FILE.csv", requires = "plot")]
    truth: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Osmose,
    Eval,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Naming {
    Live,
    Labels,
    Smoothed,
}

fn speed(text: &str) -> Result<Speed, String> {
    match text {
        "max" => Ok(Speed::Max),
        _ => text.parse().map(Speed::Times).map_err(|_| "give a number above 0, or max".into()),
    }
}

fn delay(text: &str) -> Result<(String, i64), String> {
    let parsed = text.split_once('=').and_then(|(name, ms)| Some((name.to_owned(), ms.parse().ok()?)));
    parsed.filter(|(_, ms)| *ms >= 0).ok_or_else(|| "give SENSOR=MS, such as ceiling-1=250".into())
}

fn out(path: &Path) -> Result<Box<dyn Write>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdout()));
    }
    let file = File::create(path).map_err(|e| Failure::found(format!("cannot write {}: {e}", path.display())))?;
    Ok(Box::new(BufWriter::new(file)))
}

impl Replay {
    pub(crate) fn run(self) -> Ended {
        if let Some(addr) = &self.web {
            return self.show(addr);
        }
        let mut reader = Recording::open(&self.trace).map_err(Failure::found)?;
        let workshop = match &self.site {
            Some(dir) => drive::Osmose::new(crate::site::ready(dir)?.site),
            None => drive::Osmose::of_files(reader.files()).map_err(Failure::found)?,
        };
        let timezone = &workshop.site().frame.timezone;
        let mut instant = |text: &Option<String>| {
            text.as_deref().map(|t| reader.instant(t, timezone).map_err(Failure::usage)).transpose()
        };
        let (from, to) = (instant(&self.from)?, instant(&self.to)?);
        let sensor = |name: &str| {
            let site = workshop.site();
            site.sensor_named(name).ok_or_else(|| Failure::usage(format!("the site has no sensor {name:?}")))
        };
        let without = self.without.iter().map(|s| sensor(s)).collect::<Result<Vec<_>, _>>()?;
        let delayed = (self.delay.iter())
            .map(|(s, ms)| Ok((sensor(s)?, DurationNs::from_ms(*ms))))
            .collect::<Result<Vec<_>, Failure>>()?;
        let rules = self.rules.as_deref().map(read_rules).transpose()?;
        let tracks_format = match self.tracks_format {
            Format::Osmose => TracksFormat::Osmose,
            Format::Eval => TracksFormat::Eval,
        };
        let names = match self.names {
            Naming::Live => Names::Live,
            Naming::Labels => Names::Labels,
            Naming::Smoothed => Names::Smoothed,
        };
        let truth = self.truth.as_deref().map(score::load_truth).transpose().map_err(Failure::found)?;
        let sinks = Sinks {
            tracks: self.tracks.as_deref().map(out).transpose()?.map(|o| (tracks_format, o)),
            names,
            events: self.events.as_deref().map(out).transpose()?,
            commands: self.commands.as_deref().map(out).transpose()?,
            plot: self.plot.as_deref().map(out).transpose()?.map(|o| (truth, o)),
            each: None,
            record: self.record.as_deref().map(|out| keeping(out, &reader, &workshop, rules.as_deref())).transpose()?,
        };
        let Self { speed, verify, .. } = self;
        let (recorded, site) = (reader.files().to_vec(), workshop.site().clone());
        let again = Options {
            from,
            to,
            rules: rules.clone(),
            without: without.clone(),
            delayed: delayed.clone(),
            ..Options::default()
        };
        let options =
            Options { from, to, speed, verify, rules: rules.clone(), without, delayed, sinks, ..Options::default() };
        let replay = drive::Replay::new(reader, workshop, options).map_err(refused)?;
        let replay = replay.from_keyframe().map_err(Failure::found)?;
        if let Some(caution) = replay.caution() {
            say!("{caution}");
        }
        let mut bar = Bar::new();
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let summary = replay.run_on(self.threads.unwrap_or_else(cores), &mut bar).map_err(Failure::found)?;
        bar.done();
        say!("{}", summary.render().trim_end());
        if let Some(both) = &summary.what_if {
            show_what_if(&site, &recorded, rules, both, self.json);
        }
        let watched = Recording::open(&self.trace).map_err(Failure::found)?;
        let mut bar = Bar::new();
        let promises = promises::watch(watched, &site.files, again, &mut bar).map_err(Failure::found)?;
        bar.done();
        if !promises.is_empty() {
            say!("{}", promises::render(&promises).trim_end());
        }
        Ok(match summary.exit_status() {
            0 if promises.iter().any(promises::Promise::is_broken) => Outcome::Found,
            0 => Outcome::Success,
            4 => Outcome::NothingToVerify,
            _ => Outcome::Found,
        })
    }
}

/// A trace to be written of the run: it carries the site and the rules that it runs.
fn keeping(
    out: &Path,
    recording: &Recording,
    workshop: &drive::Osmose,
    rules: Option<&[SourceFile]>,
) -> Result<Box<dyn drive::sinks::Keep>, Failure> {
    let mut files = workshop.site().files.clone();
    if let Some(rules) = rules {
        files.retain(|f| !(f.path.starts_with("rules/") && f.path.ends_with(".rules")));
        files.extend_from_slice(rules);
        files.sort_by(|a, b| a.path.cmp(&b.path));
    }
    Ok(Box::new(Keeping::create(out, recording, &files).map_err(Failure::found)?))
}

impl Replay {
    /// The recording on a page; beside it another one, or what would have been with other rules or sensors.
    fn show(&self, addr: &str) -> Ended {
        let is_what_if = self.rules.is_some() || !self.without.is_empty() || !self.delay.is_empty();
        if let Some(other) = &self.beside {
            if is_what_if {
                return Err(Failure::usage("give either --beside or what is to be otherwise, not both"));
            }
            let name = other.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
            let note = "B is a recording of its own.".to_owned();
            return crate::web::replay(addr, &self.trace, Some(Beside { name, path: other.clone(), note, is_what_if }));
        }
        if !is_what_if {
            return crate::web::replay(addr, &self.trace, None);
        }
        let dir = std::env::temp_dir().join(format!("osmose-what-if-{}", std::process::id()));
        std::fs::create_dir_all(&dir).map_err(|e| Failure::found(format!("cannot write to {}: {e}", dir.display())))?;
        let path = dir.join("what-if.mcap");
        let ended = self
            .branch_off(&path)
            .and_then(|words| crate::web::replay(addr, &self.trace, Some(Beside::what_if(path.clone(), &words))));
        // It was made for this page alone; where it cannot be removed, the system's cleaning will.
        let _ = std::fs::remove_dir_all(&dir);
        ended
    }

    /// Runs the recording with something otherwise, into a trace; gives what is otherwise, in words.
    fn branch_off(&self, out: &Path) -> Result<Vec<String>, Failure> {
        let reader = Recording::open(&self.trace).map_err(Failure::found)?;
        let workshop = drive::Osmose::of_files(reader.files()).map_err(Failure::found)?;
        let sensor = |name: &str| {
            let site = workshop.site();
            site.sensor_named(name).ok_or_else(|| Failure::usage(format!("the site has no sensor {name:?}")))
        };
        let what_if = WhatIf {
            rules: self.rules.as_deref().map(read_rules).transpose()?,
            without: self.without.iter().map(|s| sensor(s)).collect::<Result<_, _>>()?,
            delayed: (self.delay.iter())
                .map(|(s, ms)| Ok((sensor(s)?, DurationNs::from_ms(*ms))))
                .collect::<Result<_, Failure>>()?,
        };
        say!("running the recording again, otherwise");
        let mut bar = Bar::new();
        branch::record(&self.trace, &what_if, out, &mut bar).map_err(Failure::found)?;
        bar.done();
        let mut parts = in_words(&self.without, self.delay.iter().map(|(s, ms)| (s, *ms)));
        parts.extend(
            self.rules.as_deref().and_then(Path::file_name).map(|f| format!("rules of {}", f.to_string_lossy())),
        );
        Ok(parts)
    }
}

/// The recorded commands beside those of other rules, sensors or another site.
fn show_what_if(site: &Site, recorded: &[SourceFile], rules: Option<Vec<SourceFile>>, both: &Both, json: bool) {
    let now = rules.unwrap_or_else(|| site.rule_files().cloned().collect());
    let (then, now) = diff::traces::what_if_books(site, recorded, &now);
    let side = |name, commands, book| diff::Side { name, commands, site, book };
    let found = diff::diff(side("recorded", &both.recorded, &then), side("what if", &both.replayed, &now), Some(both));
    if json {
        println!("{}", found.to_json());
    } else {
        print!("{}", found.render());
        if both.reports_left_out > 0 {
            println!(
                "{} recorded reports of devices that parted were left out, {} came from their models",
                both.reports_left_out, both.reports_modelled
            );
        }
    }
}

/// What was asked for contradicts itself: that is the command line's fault.
fn refused(error: ReplayError) -> Failure {
    use ReplayError::{Backwards, Speed, VerifyOtherInputs, VerifyOtherRules};
    match error {
        Backwards { .. } | Speed(_) | VerifyOtherInputs | VerifyOtherRules => Failure::usage(error),
        other => Failure::found(other),
    }
}

fn read_rules(path: &Path) -> Result<Vec<SourceFile>, Failure> {
    let text =
        std::fs::read_to_string(path).map_err(|e| Failure::found(format!("cannot read {}: {e}", path.display())))?;
    let name = path.file_name().map_or_else(|| "other.rules".into(), |n| n.to_string_lossy().into_owned());
    Ok(vec![SourceFile { path: format!("rules/{name}"), text }])
}
