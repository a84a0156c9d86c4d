//! The demo in virtual time: simulator and core in one thread, slice by slice.

use super::Demo;
use super::story::{Story, Took};
use crate::command::simulate;
use crate::outcome::{Ended, Failure, Outcome};
use crate::site::Ready;
use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan, Rules, StepSink};
use osmose_drivers::lines::encode_commands_line;
use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::ids::RuleId;
use osmose_model::input::{Anchor, Input, Tag};
use osmose_model::site::SourceFile;
use osmose_model::stages::Decide;
use osmose_model::time::{ArrivalNs, DurationNs, UtcNs};
use osmose_sensors::sim::REPORT_AFTER_MIN;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Instant;

/// Seconds that the building lives where nobody says.
const SECONDS: f64 = 60.0;
/// The demo's morning: Monday 2 March 2026, 08:30 UTC, winter time.
const MORNING: UtcNs = UtcNs(1_772_440_200_000_000_000);

/// The morning's wall clock.
pub(super) fn morning_anchor() -> Anchor {
    Anchor { utc: MORNING, offset: DurationNs::ZERO, next_change: None }
}

struct Sink {
    story: Story,
    commands: Vec<Command>,
    file: Option<BufWriter<File>>,
    recording: Option<simulate::Recording>,
    line: Vec<u8>,
    begun: Instant,
    failed: Option<std::io::Error>,
}

impl StepSink<Fusion, Rules, Plan> for Sink {
    fn sequenced(&mut self, tag: Tag, canonical: &[u8]) {
        if let Some(recording) = &mut self.recording {
            simulate::sequenced(recording, tag, canonical);
        }
        self.begun = Instant::now();
    }

    fn decided(&mut self, tag: Tag, input: &Input<'_>, out: &Outbox, machine: &Core) {
        let took = Took { step: self.begun.elapsed(), whole: None };
        if let Some(recording) = &mut self.recording {
            recording.decided(tag, input, out, machine);
        }
        let rule = |r: RuleId| machine.rules().rule_name(r);
        self.story.sensed(input);
        self.story.stepped(took);
        out.events.iter().for_each(|e| self.story.event(tag, e));
        for command in &out.commands {
            self.story.command(command, &rule, took);
            if let Some(file) = &mut self.file {
                self.line.clear();
                encode_commands_line(machine.site(), &rule, command, None, &mut self.line);
                if let Err(e) = file.write_all(&self.line) {
                    self.failed.get_or_insert(e);
                }
            }
        }
        self.commands.extend(out.commands.iter().cloned());
    }
}

pub(super) fn run(ready: Ready, demo: &Demo) -> Ended {
    let Ready { site, program } = ready;
    let mut sim = demo.simulate(&site)?;
    let create = |path: &std::path::PathBuf| {
        File::create(path)
            .map(BufWriter::new)
            .map_err(|e| Failure::found(format!("cannot write {}: {e}", path.display())))
    };
    let file = demo.commands.as_ref().map(create).transpose()?;
    let recording = demo
        .record
        .as_deref()
        .filter(|p| p.as_os_str() != "none")
        .map(|path| simulate::begin(path, &site, &program))
        .transpose()?;
    let mut sink = Sink {
        recording,
        story: Story::new(site.clone()),
        commands: vec![],
        file,
        line: vec![],
        begun: Instant::now(),
        failed: None,
    };
    sink.story.opening(sim.notes());
    let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
    let mut driver = CoreDriver::new(Core::new(site, program));
    let began = ArrivalNs(0);
    driver.feed(began, &Input::RulesInstalled { files: &canon::encode_files(&rules) }, &mut sink);
    driver.feed(began, &Input::Anchor(morning_anchor()), &mut sink);
    let end = ArrivalNs((demo.seconds.unwrap_or(SECONDS) * 1e9) as i64);
    let (mut now, mut crossings) = (began, vec![]);
    let wall = Instant::now();
    while now < end {
        now = now.plus(REPORT_AFTER_MIN).min(end);
        sim.take_crossings(&mut crossings);
        sink.story.crossings(&mut crossings);
        sim.advance(now, &mut |arrival, _, _, input| driver.feed(arrival, &input, &mut sink));
        for command in sink.commands.drain(..) {
            sim.command(ArrivalNs(command.at.0), &command);
        }
        sink.story.second(now, sim.truth(now).count(), Some(driver.machine()));
    }
    driver.run_until(end, &mut sink);
    sink.recording.take().map(simulate::finish).transpose()?;
    let written = sink.file.as_mut().map_or(Ok(()), |f| f.flush());
    if let Some(error) = sink.failed.or(written.err()) {
        return Err(Failure::found(format!("the commands could not all be written: {error}")));
    }
    sink.story.closing(end, wall.elapsed(), driver.machine());
    Ok(Outcome::Success)
}
