//! `osmose trace index`: a trace with keyframes, so that a replay can begin in its middle.
//!
//! A recording is copied record by record, with the state of the core along it put between. An import holds inputs
//! by arrival and nothing else: it is run once, and what comes of that (ticks, decisions, keyframes) is recorded.

use super::{Copy, SurgeryError};
use crate::drive::walk::{Walk, Walked};
use crate::drive::{Ticker, Watch, Workshop};
use crate::record::Recorder;
use crate::trace::codec::{self, Record};
use crate::trace::format::{Build, Meta, Topic};
use crate::trace::recording::{Items, Recording};
use crate::trace::write::Packing;
use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan, Rules, StepSink};
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// A keyframe this often where nobody says: a replay of this much takes a few milliseconds.
pub const EVERY: DurationNs = DurationNs::from_s(30);

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Inputs stepped.
    pub inputs: u64,
    /// Keyframes written.
    pub keyframes: u64,
    /// Whether the trace was an import, and now holds ticks and decisions of this build.
    pub ran: bool,
}

/// Writes `out`: the recording `path` with a keyframe every so often.
///
/// # Errors
/// [`SurgeryError`]; a recording whose decisions are not those of this build is refused, because the states of this
/// build would not be the ones that it went through.
pub fn index(path: &Path, every: DurationNs, out: &Path, watch: &mut dyn Watch) -> Result<Indexed, SurgeryError> {
    let recording = Recording::open(path)?;
    if recording.meta().has_ticks { copy(recording, every, out, watch) } else { run(recording, every, out, watch) }
}

fn copy(
    mut recording: Recording,
    every: DurationNs,
    out: &Path,
    watch: &mut dyn Watch,
) -> Result<Indexed, SurgeryError> {
    let mut walk = Walk::begin(&mut recording, None)?;
    let mut copy = Copy::create(out, recording.meta(), recording.files())?;
    let (mut indexed, mut scan, mut state) = (Indexed::default(), ScanBuf::new(), Vec::new());
    let mut due: Option<LogicalNs> = None;
    let mut ticker = Ticker::new(watch);
    while let Some(item) = ticker.next_item(&mut recording)? {
        let raw = super::whole(item)?;
        let record = codec::decode(&raw, &mut scan).map_err(|e| SurgeryError::Refused(e.to_string()))?;
        if let Record::Input { tag, .. } = &record {
            let last = walk.machine().last();
            let begins = *due.get_or_insert(tag.at.plus(every));
            if walk.is_valid() && last.seq.0 > 0 && tag.at >= begins {
                state.clear();
                walk.machine().save(&mut state);
                copy.keyframe(last, &state, (walk.machine().input_digest(), walk.machine().decision_digest()))?;
                indexed.keyframes += 1;
                due = Some(tag.at.plus(every));
            }
        }
        // The recorded states stay, but where one stands at a trace's beginning it is the only one that can.
        let first_state = raw.topic == Topic::Keyframe && indexed.inputs == 0;
        if walk.take(&record).map_err(SurgeryError::Workshop)? == Walked::Stepped {
            indexed.inputs += 1;
        }
        if let Some(tag) = walk.differs_at {
            let build = recording.other_build();
            let why = build.map_or_else(String::new, |why| format!(" (another build recorded it: {why})"));
            return Err(SurgeryError::Refused(format!(
                "behind input {} at {} s this build decides otherwise than recorded{why}: its states would not be \
                 those of the recording",
                tag.seq, tag.at
            )));
        }
        if raw.topic != Topic::Keyframe || first_state {
            copy.put(&raw, &record)?;
        }
    }
    copy.finish()?;
    Ok(indexed)
}

/// Records a run, with a keyframe every so often.
pub(super) struct Run {
    recorder: Recorder<BufWriter<File>>,
    every: DurationNs,
    due: Option<LogicalNs>,
    state: Vec<u8>,
    indexed: Indexed,
}

impl Run {
    pub(super) fn new(recorder: Recorder<BufWriter<File>>, every: DurationNs) -> Self {
        let indexed = Indexed { ran: true, ..Indexed::default() };
        Self { recorder, every, due: None, state: Vec::new(), indexed }
    }

    pub(super) fn into_parts(self) -> (Recorder<BufWriter<File>>, Indexed) {
        (self.recorder, self.indexed)
    }
}

impl StepSink<Fusion, Rules, Plan> for Run {
    fn sequenced(&mut self, tag: Tag, canonical: &[u8]) {
        self.recorder.input(tag, canonical);
    }

    fn decided(&mut self, tag: Tag, _: &Input<'_>, out: &Outbox, machine: &Core) {
        out.events.iter().for_each(|e| self.recorder.event(tag, e));
        out.commands.iter().for_each(|c| self.recorder.command(c));
        self.indexed.inputs += 1;
        let digests = (machine.input_digest(), machine.decision_digest());
        if tag.at >= *self.due.get_or_insert(tag.at.plus(self.every)) {
            self.due = Some(tag.at.plus(self.every));
            self.state.clear();
            machine.save(&mut self.state);
            self.recorder.keyframe(tag, &self.state, digests);
            self.indexed.keyframes += 1;
        } else if !out.events.is_empty() || !out.commands.is_empty() {
            self.recorder.digest(tag.seq, digests.0, digests.1);
        }
    }
}

fn run(
    mut recording: Recording,
    every: DurationNs,
    out: &Path,
    watch: &mut dyn Watch,
) -> Result<Indexed, SurgeryError> {
    let workshop = crate::drive::Osmose::of_files(recording.files())?;
    let meta = Meta { build: Build::this(), has_ticks: true, has_decisions: true, ..recording.meta().clone() };
    let recorder = Recorder::create(out, &meta, recording.files(), Packing::Lz4)?;
    let mut sink = Run::new(recorder, every);
    let mut driver = CoreDriver::new(workshop.core()?);
    let own: Vec<_> = workshop.site().rule_files().cloned().collect();
    let mut in_force = osmose_model::canon::encode_files(&own);
    let result = feed(&mut recording, &workshop, &mut driver, &mut sink, (&mut in_force, watch));
    if result.is_err() {
        let _ = std::fs::remove_file(out);
    }
    result?;
    let (recorder, indexed) = sink.into_parts();
    recorder.finish()?;
    Ok(indexed)
}

fn feed(
    recording: &mut Recording,
    workshop: &crate::drive::Osmose,
    driver: &mut CoreDriver,
    sink: &mut Run,
    (in_force, watch): (&mut Vec<u8>, &mut dyn Watch),
) -> Result<(), SurgeryError> {
    super::for_each_input(recording, watch, |tag, input| {
        if let Input::RulesInstalled { files } = input
            && in_force != files
        {
            let sources = osmose_model::canon::decode_files(files).map_err(|e| SurgeryError::Refused(e.to_string()))?;
            driver.machine_mut().stage_rules(workshop.rules(&sources)?);
            (*files).clone_into(in_force);
        }
        driver.feed(ArrivalNs(tag.at.0), input, sink);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::{Options, Osmose, Replay, Verdict};
    use crate::testing::{imported, live, walk};

    fn verified(path: &Path, from: Option<LogicalNs>) -> crate::drive::Summary {
        let recording = Recording::open(path).unwrap();
        let workshop = Osmose::of_files(recording.files()).unwrap();
        let options = Options { verify: true, from, ..Options::default() };
        Replay::new(recording, workshop, options).unwrap().from_keyframe().unwrap().run(&mut ()).unwrap()
    }

    #[test]
    fn an_indexed_trace_begins_anywhere_and_decides_the_same() {
        let dir = tempfile::tempdir().unwrap();
        for (name, trace) in [("live", live(&walk(40), 0)), ("import", imported(&walk(40)))] {
            let (plain, out) = (dir.path().join(name), dir.path().join(format!("{name}.mcap")));
            std::fs::write(&plain, &trace).unwrap();
            let indexed = index(&plain, DurationNs::from_s(5), &out, &mut ()).unwrap();
            assert!(indexed.keyframes >= 7 && indexed.ran == (name == "import"), "{name}: {indexed:?}");
            let whole = verified(&out, None);
            assert_eq!((whole.verdict.clone(), whole.began_at), (Verdict::Same, None), "{}", whole.render());
            assert_eq!(whole.checked.keyframes, indexed.keyframes);
            for at_s in [7, 12, 23, 38] {
                let part = verified(&out, Some(LogicalNs(at_s * 1_000_000_000)));
                assert!(part.began_at.is_some() && part.inputs < whole.inputs, "{name} at {at_s}");
                assert_eq!((part.verdict, part.digests), (Verdict::Same, whole.digests), "{name} at {at_s}");
            }
        }
    }

    #[test]
    fn what_this_build_decides_otherwise_is_not_indexed() {
        let dir = tempfile::tempdir().unwrap();
        let mut n = 0;
        let less = crate::testing::rewritten(
            &live(&walk(20), 0),
            None,
            |t, r, p| {
                n += usize::from(t == Topic::Digest);
                let Record::Digest { seq, input, .. } = r else { return Some(p.to_vec()) };
                let wrong = osmose_model::digest::Digest(7);
                Some(if n == 9 { codec::Encoder::default().digest(*seq, *input, wrong).to_vec() } else { p.to_vec() })
            },
            |_| false,
        );
        let path = dir.path().join("x.mcap");
        std::fs::write(&path, less).unwrap();
        let out = dir.path().join("out.mcap");
        let error = index(&path, EVERY, &out, &mut ()).unwrap_err().to_string();
        assert!(error.contains("decides otherwise than recorded"), "{error}");
        assert!(!out.exists(), "nothing half-written stays");
    }
}
