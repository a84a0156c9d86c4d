//! `osmose run SITE`: the engine, live.

use crate::control::Desk;
use crate::ops::Ops;
use crate::outcome::{Ended, Failure, Outcome};
use crate::site::{Ready, ready};
use crate::stderr::say;
use crate::stop;
use crate::web::{Serving, Web};
use osmose_core::Core;
use osmose_model::site::Site;
use osmose_model::stages::Refusal;
use osmose_model::time::ArrivalNs;
use osmose_page::so_far::Written;
use osmose_replay::counted;
use osmose_replay::drive::Osmose;
use osmose_replay::record::Recorder;
use osmose_replay::resume::{self, Started};
use osmose_replay::rotate::{Plan, Rotating};
use osmose_replay::trace::codec::NameOf;
use osmose_replay::trace::format::{Meta, Origin};
use osmose_replay::trace::write::Packing;
use osmose_rules::Program;
use osmose_runtime::clock::{HostClock, utc_now};
use osmose_runtime::control::controls;
use osmose_runtime::engine::{Engine, OwnedInput, Setup, Summary};
use osmose_runtime::latency::Segment;
use osmose_runtime::latency::exchange::Latencies;
use osmose_runtime::latency::totals::Totals;
use osmose_runtime::logs::{CommandLog, EventLog, Known, Names};
use osmose_runtime::tap::Tap;
use osmose_sensors::edge::ledger::Whom;
use osmose_sensors::edge::{Edge, Port};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What operators did and the engine has not taken in yet, at most.
pub(crate) const CONTROLS_MAX: usize = 64;

/// Run a site live
#[derive(clap::Args)]
#[command(after_help = "Example:\n  osmose run my-office --record morning.mcap\n\nSIGINT and SIGTERM end it cleanly.")]
pub(crate) struct Run {
    /// The site's folder
    site: PathBuf,
    /// Record inputs and decisions into this trace, which must not exist yet [default: files that rotate and expire as the
    /// table `record` of site.toml says; where there is none, nothing is recorded]
    #[arg(long, value_name = "FILE.mcap|none")]
    record: Option<PathBuf>,
    /// Where state is kept, so that a restart goes on where the engine stopped [default: SITE/.osmose]
    #[arg(long, value_name = "DIR|none")]
    state: Option<String>,
    /// Write events as JSON lines to a file, or as datagrams to HOST:PORT
    #[arg(long, value_name = "FILE|ADDR")]
    events: Option<String>,
    /// Decide and record, but send nothing to devices
    #[arg(long)]
    dry_run: bool,
    /// Write no line for each command on stdout
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    web: Web,
    #[command(flatten)]
    ops: Ops,
}

impl Run {
    pub(crate) fn run(self) -> Ended {
        let ops = self.ops.bind()?;
        let Ready { site, program } = ready(&self.site)?;
        let keys = crate::keys::read(&site, &self.site)?;
        let at_start = rule_names(&program);
        let names = Arc::new(Mutex::new(Known { site: site.clone(), rules: at_start.clone() }));
        let levels = program.levels().to_vec();
        let mut taps = self.logs(&names)?;
        let mut page = self.web.bind(&site, self.dry_run, &mut taps)?;
        let (to_engine, control) = controls(CONTROLS_MAX);
        let stop = stop::on_signal()?;
        // Read together: what the log says of the wall clock is tied to its own clock.
        let (clock, utc) = (HostClock::starting_at(ArrivalNs(0)), utc_now());
        let recording;
        let setup = match self.state_dir() {
            None => {
                let first = resume::first_inputs(&Osmose::new(site.clone()), utc).map_err(Failure::found)?;
                recording = self.begin_recording(&site, &at_start, None, &mut taps)?;
                Setup {
                    machine: Core::new(site.clone(), program),
                    clock,
                    first: first.into_iter().map(OwnedInput).collect(),
                    journal: None,
                    taps,
                    dry_run: self.dry_run,
                    resend_held: false,
                    control: Some(control),
                }
            }
            Some(dir) => {
                let started = resume::start(&Osmose::new(site.clone()), &dir, utc).map_err(Failure::found)?;
                say!("state in {}: {}", dir.display(), started.resumed.render());
                recording = self.begin_recording(&site, &at_start, Some(&started), &mut taps)?;
                let resend_held = started.resend_held();
                taps.push(Box::new(started.tap));
                Setup {
                    machine: started.machine,
                    clock: clock.counting_from(started.base),
                    first: started.first.into_iter().map(OwnedInput).collect(),
                    journal: Some(started.journal),
                    taps,
                    dry_run: self.dry_run,
                    resend_held,
                    control: Some(control),
                }
            }
        };
        if let (Some(page), Some(written)) = (&mut page, recording) {
            page.look_back(&site, written);
        }
        let clock = setup.clock;
        // People and calendars may have been saved beside the engine before it was started again.
        let recorded = setup.machine.site().clone();
        let site = setup.machine.site_to_come().clone();
        names.lock().unwrap_or_else(PoisonError::into_inner).site = site.clone();
        let mut engine = Engine::compose_signed(setup, &keys).map_err(Failure::found)?;
        let mut ops = ops.serve(&engine, &site, &names, &stop)?;
        let desk = Desk::new(self.site.clone(), (recorded, site.clone()), levels, clock, names, to_engine);
        let desk = desk.open(self.state_dir().as_deref(), stop.clone());
        tracing::info!(topology = ?engine.topology(), "composed");
        let page = Serving::of(page, &mut engine, &stop)?;
        page.say_ready(&engine, ops.told());
        ops.ready(&stop)?;
        let latencies = engine.latencies();
        let summary = engine.run(&stop).map_err(|e| Failure::found(format!("the engine could not run: {e}")))?;
        if let Some(desk) = desk {
            // It looks for the stop several times a second.
            _ = desk.join();
        }
        page.end();
        account(&site, &summary, &latencies);
        ops.end(&summary)?;
        Ok(Outcome::Success)
    }

    /// Where state is kept; `None` where it is not.
    fn state_dir(&self) -> Option<PathBuf> {
        match self.state.as_deref() {
            Some("none") => None,
            Some(dir) => Some(dir.into()),
            None => Some(self.site.join(".osmose")),
        }
    }

    /// The command line's logs.
    fn logs(&self, names: &Names) -> Result<Vec<Box<dyn Tap>>, Failure> {
        let mut taps: Vec<Box<dyn Tap>> = vec![];
        if let Some(to) = &self.events {
            let open = |e| Failure::found(format!("cannot write events to {to}: {e}"));
            taps.push(Box::new(EventLog::open(names.clone(), to).map_err(open)?));
        }
        if !self.quiet {
            taps.push(Box::new(CommandLog::new(names.clone(), std::io::stdout())));
        }
        Ok(taps)
    }

    /// Begins to record, into `--record` or as site.toml says, and gives where. The recording of a resumed log begins with
    /// the state that it goes on from.
    fn begin_recording(
        &self,
        site: &Site,
        names: &[String],
        from: Option<&Started<Osmose>>,
        taps: &mut Vec<Box<dyn Tap>>,
    ) -> Result<Option<Written>, Failure> {
        let meta = Meta::new(Origin::Live, &site.name);
        let files = from.map_or(&site.files, |s| &s.files);
        let from = from.filter(|s| s.resend_held());
        let Some(path) = &self.record else {
            let Some(plan) = Plan::of(&site.record, &self.site) else { return Ok(None) };
            let mut rotating = Rotating::create(plan, meta, files, names.to_vec()).map_err(Failure::found)?;
            if let Some(started) = from {
                let (tag, digests) = started.head();
                rotating.resumed(tag, &started.state, digests);
            }
            say!("recording to {}", rotating.path().display());
            let written = Written::Since(rotating.path().to_owned());
            taps.push(Box::new(rotating));
            return Ok(Some(written));
        };
        if path.as_os_str() == "none" {
            return Ok(None);
        }
        let mut recorder = Recorder::create(path, &meta, files, Packing::default()).map_err(Failure::found)?;
        if let Some(started) = from {
            let (tag, digests) = started.head();
            recorder.keyframe(tag, &started.state, digests);
        }
        taps.push(Box::new(with_names(recorder, names)));
        Ok(Some(Written::File(path.clone())))
    }
}

/// A recorder of a run that begins: what its rules are called is told once.
pub(crate) fn with_names<W: std::io::Write>(mut recorder: Recorder<W>, names: &[String]) -> Recorder<W> {
    for (rule, name) in names.iter().enumerate() {
        recorder.name(NameOf::Rule, rule as u64, name);
    }
    recorder
}

/// The names of rules by id, for logs.
fn rule_names(program: &Program) -> Arc<[String]> {
    program.rules().iter().map(|r| r.name.clone()).collect()
}

/// The engine's last words, on stderr: nothing was lost silently.
pub(crate) fn account(site: &Site, s: &Summary, latencies: &Latencies) {
    say!(
        "{}, {}, {}; last input {} at {} s",
        counted(s.core.inputs, "input"),
        counted(s.core.events, "event"),
        counted(s.core.commands, "command"),
        s.last.seq,
        s.last.at
    );
    if let Some(u) = s.egress {
        say!(
            "commands sent {}, not sent {} (buffer full {}, refused {})",
            u.sent,
            u.would_block + u.errors,
            u.would_block,
            u.errors
        );
        if u.renewed > 0 {
            say!("of them {} said again because they hold under a lease", u.renewed);
        }
    }
    latencies.with(deadlines);
    for (why, n) in Refusal::ALL.iter().zip(s.core.refused).filter(|(_, n)| *n > 0) {
        say!("fusion: {n} {why}");
    }
    let taken = s.intake.taken.iter().sum::<u64>();
    if s.intake.datagrams > 0 {
        say!("datagrams read {}, observations taken {taken}", s.intake.datagrams);
    }
    let (dropped, made_safe) = latencies.with(|t| (t.late_dropped(), t.late_made_safe()));
    let lost = [
        ("late commands not sent, as their rules say", dropped),
        ("late commands in whose place the device was made safe", made_safe),
        ("datagrams dropped by the kernel, whose buffer was full", s.intake.kernel_drops),
        ("replaced by newer ones under overload", s.intake.replaced),
        ("found the way to the engine full", s.intake.full),
        ("beyond a step's limits", s.core.shed),
        ("cascades cut", s.core.cascades_cut),
        ("commands lost on the way to the sending thread", s.lines_lost),
        ("not journaled", s.journal_lost),
        ("not recorded", s.side_lost),
    ];
    for (what, n) in lost.iter().filter(|(_, n)| *n > 0) {
        say!("{what}: {n}");
    }
    let ports: Vec<_> = Edge::new(site).ports().collect();
    for c in &s.intake.counts {
        say!("{}: {} {}", whom(site, &ports, c.whom), c.count, c.reason);
    }
    say!("input digest {}, decision digest {}", s.digests.0, s.digests.1);
}

/// How long things took from the kernel's stamp on, and what was late.
fn deadlines(t: &Totals) {
    let us = |ns: u64| ns as f64 / 1e3;
    let (react, step) = (t.over_all(Segment::React), t.over_all(Segment::Step));
    if react.count() > 0 {
        say!(
            "kernel to handed over: p50 {:.1} us, p99 {:.1} us, max {:.1} us over {} reactions; a step: p50 {:.1} us, p99 {:.1} us",
            us(react.at(0.5)),
            us(react.at(0.99)),
            us(react.max_ns()),
            react.count(),
            us(step.at(0.5)),
            us(step.at(0.99))
        );
    }
    let whole = t.over_all(Segment::Whole);
    if whole.count() > 0 {
        let (missed, budget) = (t.missed_in_all(), us(t.budget().0.unsigned_abs()));
        say!("budget of {budget} us: missed {missed} of {}", whole.count());
    }
    if let Some(worst) = t.worst().first().filter(|w| w.whole > t.budget()) {
        let part = |from: ArrivalNs, to: ArrivalNs| us(to.since(from).0.max(0).unsigned_abs());
        let w = worst.timing;
        say!(
            "the latest: input {} ({}), {:.1} us: {:.1} us until it was read, {:.1} us until it was stepped, {:.1} us until it was handed over",
            worst.seq,
            worst.kind.as_str(),
            us(worst.whole.0.unsigned_abs()),
            part(w.received, w.read),
            part(w.read, w.step_end),
            part(w.step_end, w.sent)
        );
    }
    for thread in t.threads().iter().filter(|thread| thread.stalls > 0) {
        say!(
            "thread {}: stalled {}, for {:.1} us at most",
            thread.name,
            counted(thread.stalls, "time"),
            us(thread.longest.0.unsigned_abs())
        );
    }
}

/// Whom the edge counted something against, by name.
pub(crate) fn whom(site: &Site, ports: &[Port], whom: Whom) -> String {
    match whom {
        Whom::Sensor(s) => format!("sensor {}", site.sensors[s.index()].name),
        Whom::Actuator(a) => format!("device {}", site.actuators[a.index()].name),
        Whom::Port(p) => match ports.iter().find(|port| port.id == p) {
            Some(port) => format!("port {}", port.addr),
            None => format!("port {}", p.0),
        },
    }
}
