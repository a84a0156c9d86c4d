//! `demo --headless --report`: what the position paper asks of a building, row by row, with the figures of this morning.
//!
//! The morning runs twice, without beacons and with them. Each time everything that the rows are computed from is kept
//! in a [`Log`]: where everybody truly was, what was commanded why, what devices said, how long each step took. The rows
//! ([`rows`]) are plain functions of it. *Human* figures run from what truly happened to the device's own report; the
//! *engine's* share is the step that decided, on this machine's clock.
//!
//! | file | what it holds |
//! |---|---|
//! | this | the log, and running a morning into it |
//! | `rows` | one function for each row |
//! | `table` | how people and programs read it |

mod rows;
mod table;

use super::{Beacons, Demo};
use crate::outcome::{Ended, Failure, Outcome};
use crate::site::Ready;
use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan, Rules, StepSink};
use osmose_drivers::recorder::{Frame, FrameSink, HOLD_BACK, Recorder, wav};
use osmose_model::canon;
use osmose_model::command::{Command, Value};
use osmose_model::ids::{ActuatorId, Name, PersonId, ZoneId};
use osmose_model::input::{Input, Report, Tag};
use osmose_model::observation::Body;
use osmose_model::site::{Site, SourceFile};
use osmose_model::stages::{Decide, Fuse};
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs};
use osmose_model::world::{EventKind, Presence};
use osmose_sensors::sim::{REPORT_AFTER_MIN, Sim, TrueCrossing, TrueGesture, TruePerson};
use std::io::Cursor;
use std::sync::Arc;
use std::time::Instant;

/// Seconds of a morning where nobody says: until the last scene of the script is over.
const SECONDS: f64 = 200.0;
/// Where everybody is is noted this often; a multiple of the slices that the building runs in.
const NOTED_EVERY: DurationNs = DurationNs::from_ms(60);
/// Beliefs are compared with the truth this often.
const COMPARED_EVERY: DurationNs = DurationNs::from_s(1);
/// A belief is about whoever is truly nearest to it, within this, metres.
const SAME_PLACE_M: f64 = 1.0;

/// A command, and what the rows ask of it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) rule: String,
    pub(super) command: Command,
    /// How long the step took that decided it, microseconds.
    pub(super) step_us: f64,
}

/// Somebody's true place at an instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) at: ArrivalNs,
    pub(super) id: u32,
    pub(super) heading_rad: f64,
    pub(super) walks: bool,
    pub(super) place: osmose_model::geometry::Place,
}

/// Everything that the rows are computed from.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) site: Arc<Site>,
    pub(super) end: ArrivalNs,
    pub(super) crossings: Vec<TrueCrossing>,
    pub(super) sent: Vec<Sent>,
    pub(super) reports: Vec<(ArrivalNs, Report)>,
    /// Who truly made which gesture.
    pub(super) waved: Vec<TrueGesture>,
    /// When the fire panel said that it burns.
    pub(super) fires: Vec<LogicalNs>,
    /// Everybody's places over time, of those in the zones that rows look at.
    pub(super) seen: Vec<Seen>,
    /// Beliefs of who somebody is: compared, and wrong.
    pub(super) named: (u64, u64),
    /// Each wrong belief as it began: who was taken for whom, where, when.
    pub(super) mistaken: Vec<String>,
    /// Where the known people were, every [`COMPARED_EVERY`].
    pub(super) whole: Vec<(ArrivalNs, u32, Option<PersonId>, osmose_model::geometry::Place)>,
    /// Times at which two were said to may have changed places.
    pub(super) swaps: u64,
    /// When frames of m7's recording that were written had been captured.
    pub(super) written: Vec<LogicalNs>,
    pub(super) recorder: osmose_drivers::recorder::Account,
    /// Every step's time, microseconds.
    pub(super) steps_us: Vec<f64>,
}

impl Log {
    /// A zone of the site by name; the script and the rows go with one site.
    pub(super) fn zone(&self, name: &str) -> Option<ZoneId> {
        self.site.zone_named(name)
    }

    pub(super) fn device(&self, name: &str) -> Option<ActuatorId> {
        self.site.actuator_named(name)
    }

    pub(super) fn person(&self, name: &str) -> Option<PersonId> {
        self.site.person_named(name)
    }

    /// What a rule sent, with a verb.
    pub(super) fn sent_by<'a>(&'a self, rule: &'a str, verb: &'a str) -> impl Iterator<Item = &'a Sent> {
        self.sent.iter().filter(move |s| s.rule == rule && s.command.verb == verb)
    }

    /// When a device first said at `from` or later that a property has a value.
    pub(super) fn said(&self, device: ActuatorId, property: &str, value: &str, from: i64) -> Option<ArrivalNs> {
        let is_it = |r: &Report| {
            r.actuator == device && r.property == property && matches!(r.value, Value::Name(n) if n == value)
        };
        self.reports.iter().find(|(at, r)| at.0 >= from && is_it(r)).map(|(at, _)| *at)
    }

    /// The spans of time in which a device said that it is in a state.
    pub(super) fn spans(&self, device: ActuatorId, state: &str) -> Vec<(ArrivalNs, ArrivalNs)> {
        let (mut all, mut since) = (Vec::new(), None);
        for (at, r) in self.reports.iter().filter(|(_, r)| r.actuator == device && r.property == "state") {
            let is_in = matches!(r.value, Value::Name(n) if n == state);
            match (is_in, since) {
                (true, None) => since = Some(*at),
                (false, Some(from)) => {
                    all.push((from, *at));
                    since = None;
                }
                _ => {}
            }
        }
        all.extend(since.map(|from| (from, self.end)));
        all
    }

    /// Every true stay in a zone: who, from when, until when.
    pub(super) fn stays(&self, zone: ZoneId) -> Vec<(u32, Option<PersonId>, ArrivalNs, ArrivalNs)> {
        let mut all: Vec<(u32, Option<PersonId>, ArrivalNs, ArrivalNs)> = Vec::new();
        let mut open: Vec<(u32, ArrivalNs)> = Vec::new();
        for c in self.crossings.iter().filter(|c| c.zone == zone) {
            let at = open.iter().position(|(id, _)| *id == c.id);
            match (c.entered, at) {
                (true, None) => open.push((c.id, c.at)),
                (false, Some(i)) => all.push((c.id, c.person, open.swap_remove(i).1, c.at)),
                _ => {}
            }
        }
        let person = |id: u32| self.crossings.iter().find(|c| c.id == id).and_then(|c| c.person);
        all.extend(open.into_iter().map(|(id, from)| (id, person(id), from, self.end)));
        all.sort_by_key(|s| (s.2, s.0));
        all
    }

    /// Who truly is in a zone at an instant.
    pub(super) fn inside(&self, zone: ZoneId, at: ArrivalNs) -> Vec<(u32, Option<PersonId>)> {
        let there = self.stays(zone).into_iter().filter(|s| s.2 <= at && at < s.3);
        there.map(|s| (s.0, s.1)).collect()
    }
}

/// Where the frames of the simulated recording go: only when each was captured is kept.
#[derive(Debug, Default)]
struct Kept(Vec<LogicalNs>);

impl FrameSink for Kept {
    fn write(&mut self, frame: &Frame) -> std::io::Result<()> {
        self.0.push(frame.captured);
        Ok(())
    }
}

struct Sink {
    log: Log,
    commands: Vec<Command>,
    begun: Instant,
    zone_names: Vec<ZoneId>,
    /// Mistakes about people that were told already.
    taken_for: Vec<String>,
}

impl StepSink<Fusion, Rules, Plan> for Sink {
    fn sequenced(&mut self, _: Tag, _: &[u8]) {
        self.begun = Instant::now();
    }

    fn decided(&mut self, tag: Tag, input: &Input<'_>, out: &Outbox, machine: &Core) {
        let step_us = self.begun.elapsed().as_secs_f64() * 1e6;
        let log = &mut self.log;
        log.steps_us.push(step_us);
        match input {
            Input::Report(report) => log.reports.push((ArrivalNs(tag.at.0), *report)),
            Input::Observation(o)
                if log.site.sensors[o.sensor.index()].name == "fire-panel"
                    && matches!(o.body, Body::Binary { on: true }) =>
            {
                log.fires.push(o.measured);
            }
            _ => {}
        }
        log.swaps += out.events.iter().filter(|e| e.kind == EventKind::Swapped).count() as u64;
        for command in &out.commands {
            let rule = command.rule.map_or_else(String::new, |r| machine.rules().rule_name(r).to_owned());
            log.sent.push(Sent { rule, command: command.clone(), step_us });
        }
        self.commands.extend(out.commands.iter().cloned());
    }
}

impl Sink {
    /// Notes where everybody is who counts as in a zone that a row looks at: its exit margin included.
    fn note(&mut self, sim: &Sim, now: ArrivalNs) {
        let site = self.log.site.clone();
        let counts = |zone: &ZoneId, p: &TruePerson<'_>| {
            let zone = &site.zones[zone.index()];
            zone.level == p.place.level && zone.area.depth(p.place.at) >= -zone.margins.exit_margin_m
        };
        for p in sim.truth(now).filter(|p| self.zone_names.iter().any(|z| counts(z, p))) {
            let (heading_rad, walks) = (p.heading_rad, p.walks);
            self.log.seen.push(Seen { at: now, id: p.id, heading_rad, walks, place: p.place });
        }
    }

    /// Compares whom people are taken for with who they are.
    fn compare(&mut self, sim: &Sim, machine: &Core, now: ArrivalNs) {
        let truth: Vec<_> = sim.truth(now).map(|p| (p.place, p.person)).collect();
        let whole = sim.truth(now).filter(|p| p.person.is_some()).map(|p| (now, p.id, p.person, p.place));
        self.log.whole.extend(whole);
        let (mut named, mut wrong, mut mistaken) = (self.log.named.0, self.log.named.1, Vec::new());
        let site = self.log.site.clone();
        let name = |p: Option<PersonId>| p.map_or("nobody known", |p| site.people[p.index()].name.as_str());
        machine.fusion().for_each_occupant(&mut |o| {
            let Some(person) = o.person.filter(|_| o.presence == Presence::Seen && o.person_p >= 0.9) else { return };
            let near = truth.iter().filter(|(place, _)| place.level == o.place.level);
            let near = near.map(|(place, who)| (place.at.distance(o.place.at), *who));
            if let Some((_, who)) = near.min_by(|a, b| a.0.total_cmp(&b.0)).filter(|n| n.0 <= SAME_PLACE_M) {
                named += 1;
                wrong += u64::from(who != Some(person));
                if who != Some(person) {
                    let what = format!("{} taken for {}", name(who), name(Some(person)));
                    mistaken.push((what, o.place.at));
                }
            }
        });
        self.log.named = (named, wrong);
        // Each mistake once, as it begins.
        for (what, at) in mistaken {
            if !self.taken_for.contains(&what) {
                let (t, x, y) = (now.0 as f64 / 1e9, at.x_m, at.y_m);
                self.log.mistaken.push(format!("{what} from {t:.0} s, at {x:.1}, {y:.1}"));
                self.taken_for.push(what);
            }
        }
    }
}

/// m7's microphone for a whole morning: frames whose samples say when they were captured.
fn microphone(seconds: f64) -> Result<Vec<u8>, Failure> {
    let form = wav::Form { rate_hz: 8000, channels: 1 };
    let failed = |e: wav::WavError| Failure::found(format!("the simulated microphone: {e}"));
    let mut bytes = Cursor::new(Vec::new());
    let mut sink = wav::WavSink::new(&mut bytes, form).map_err(failed)?;
    let frames = (seconds / osmose_drivers::recorder::FRAME.as_s_f64()).ceil() as u32;
    let per_frame = form.samples_per_frame().unwrap_or_default();
    for n in 0..frames {
        let frame = Frame { captured: LogicalNs(0), samples: vec![(n % 30_000) as i16; per_frame] };
        sink.write(&frame).map_err(|e| failed(hound_io(e)))?;
    }
    sink.finish().map_err(failed)?;
    Ok(bytes.into_inner())
}

fn hound_io(e: std::io::Error) -> wav::WavError {
    wav::WavError::Wav(e.into())
}

/// The recorder of m7 as a device would run it: driven by commands alone.
fn obey(recorder: &mut Recorder<Kept>, command: &Command) {
    let back = |name: &str| command.args.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    match command.verb.as_str() {
        "start" | "resume" => recorder.open(command.at),
        "pause" | "stop" => {
            let back = match back("back_s") {
                Some(Value::Number(s)) => DurationNs::from_s_f64(s),
                _ => None,
            };
            recorder.pause(command.at, back);
        }
        // What arbitration holds in a state is `set` where no command of the kind leads to it.
        _ => {}
    }
}

/// Runs a morning.
fn morning(demo: &Demo, beacons: Beacons) -> Result<Log, Failure> {
    let Ready { site, program } = crate::site::ready_files(&demo.files(beacons)?, &demo.place())?;
    let mut sim = demo.simulate(&site)?;
    let seconds = demo.seconds.unwrap_or(SECONDS);
    let end = ArrivalNs((seconds * 1e9) as i64);
    let recorder_of_m7 = site.actuator_named("m7.recorder");
    let sound = microphone(seconds)?;
    let failed = |e: wav::WavError| Failure::found(format!("the simulated microphone: {e}"));
    let mut source = wav::WavSource::new(&sound[..], LogicalNs(0)).map_err(failed)?;
    let mut recorder = Recorder::new(Kept::default(), HOLD_BACK);
    let zone_names = ["counter-zone"].iter().filter_map(|name| site.zone_named(name)).collect();
    let log = Log {
        site: site.clone(),
        end,
        crossings: vec![],
        sent: vec![],
        reports: vec![],
        waved: vec![],
        fires: vec![],
        seen: vec![],
        named: (0, 0),
        mistaken: vec![],
        whole: vec![],
        swaps: 0,
        written: vec![],
        recorder: recorder.account(),
        steps_us: vec![],
    };
    let mut sink = Sink { log, commands: vec![], begun: Instant::now(), zone_names, taken_for: vec![] };
    let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
    let mut driver = CoreDriver::new(Core::new(site, program));
    driver.feed(ArrivalNs(0), &Input::RulesInstalled { files: &canon::encode_files(&rules) }, &mut sink);
    driver.feed(ArrivalNs(0), &Input::Anchor(super::headless::morning_anchor()), &mut sink);
    let (mut now, mut noted, mut compared) = (ArrivalNs(0), ArrivalNs(0), ArrivalNs(0));
    let mut frame = source.next_frame().map_err(failed)?;
    while now < end {
        now = now.plus(REPORT_AFTER_MIN).min(end);
        sim.advance(now, &mut |arrival, _, _, input| driver.feed(arrival, &input, &mut sink));
        for command in sink.commands.drain(..) {
            if Some(command.device) == recorder_of_m7 {
                obey(&mut recorder, &command);
            }
            sim.command(ArrivalNs(command.at.0), &command);
        }
        while let Some(next) = frame.take_if(|f| f.ends().0 <= now.0) {
            recorder.capture(next).map_err(|e| Failure::found(format!("the simulated recorder: {e}")))?;
            frame = source.next_frame().map_err(failed)?;
        }
        sim.take_crossings(&mut sink.log.crossings);
        sim.take_gestures(&mut sink.log.waved);
        if now >= noted {
            sink.note(&sim, now);
            noted = noted.plus(NOTED_EVERY);
        }
        if now >= compared {
            sink.compare(&sim, driver.machine(), now);
            compared = compared.plus(COMPARED_EVERY);
        }
    }
    driver.run_until(end, &mut sink);
    let mut log = sink.log;
    log.recorder = recorder.account();
    log.written = recorder.finish().map_err(|e| Failure::found(format!("the simulated recorder: {e}")))?.0;
    // Steps tell crossings a little ahead of their time.
    log.crossings.sort_by_key(|c| (c.at, c.id, c.zone));
    Ok(log)
}

/// Runs the morning without and with beacons, and prints the table.
pub(super) fn run(demo: &Demo) -> Ended {
    let without = rows::all(&morning(demo, Beacons::Off)?);
    let with = rows::all(&morning(demo, Beacons::On)?);
    let seconds = demo.seconds.unwrap_or(SECONDS);
    print!(
        "{}",
        if demo.json { table::json(&without, &with) } else { table::text(demo.seed, seconds, &without, &with) }
    );
    let failed: Vec<&str> = without.iter().chain(&with).filter(|r| !r.holds).map(|r| r.id).collect();
    if failed.is_empty() { Ok(Outcome::Success) } else { Ok(Outcome::Found) }
}

/// The name of a value that a command carries, for rows that compare it.
pub(super) fn is_word(args: &[(Name, Value)], name: &str, word: &str) -> bool {
    args.iter().any(|(n, v)| *n == name && matches!(v, Value::Name(w) if *w == word))
}
