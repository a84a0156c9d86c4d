//! A recording with one thing otherwise, as a recording of its own: other rules, a sensor that was not there or spoke
//! later. Both are then played side by side, and what was done otherwise is listed.

use crate::diff::traces::{DiffError, Told, compare as compare_traces};
use crate::diff::{Change, diff};
use crate::drive::sinks::Keep;
use crate::drive::what_if::Both;
use crate::drive::{Options, Osmose, Replay, ReplayError, Sinks, Verdict, Watch, WorkshopError};
use crate::record::Recorder;
use crate::surgery::index::EVERY;
use crate::trace::format::{Build, Meta};
use crate::trace::recording::{Items, Recording, RecordingError};
use crate::trace::write::{Packing, WriteError};
use crate::words;
use osmose_core::Outbox;
use osmose_core::step::encode_growing;
use osmose_model::command::CommandId;
use osmose_model::digest::Digest;
use osmose_model::ids::{ActuatorId, SensorId};
use osmose_model::input::{Input, Tag};
use osmose_model::site::SourceFile;
use osmose_model::time::{DurationNs, LogicalNs};
use std::fs::File;
use std::io::{BufWriter, Error};
use std::path::{Path, PathBuf};

/// Why there is no such recording.
#[derive(Debug, thiserror::Error)]
pub enum BranchError {
    /// The file or folder is no recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// Its site does not load, or the other rules do not compile.
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    /// The inputs cannot be run.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The new trace cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The two cannot be compared.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// No thread could be started to read ahead.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// What is otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WhatIf {
    /// These rules instead of the recorded ones.
    pub rules: Option<Vec<SourceFile>>,
    /// These sensors had not been there.
    pub without: Vec<SensorId>,
    /// These sensors had spoken later.
    pub delayed: Vec<(SensorId, DurationNs)>,
}

/// A replay as it is being recorded: inputs, decisions, and a keyframe every [`EVERY`].
pub struct Keeping {
    recorder: Option<Recorder<BufWriter<File>>>,
    path: PathBuf,
    bytes: Vec<u8>,
    state: Vec<u8>,
    due: Option<LogicalNs>,
}

impl Keeping {
    /// Begins a trace of what is run of `recording` under these site files.
    ///
    /// # Errors
    /// [`WriteError`]; an existing file is one.
    pub fn create(path: &Path, recording: &impl Items, files: &[SourceFile]) -> Result<Self, WriteError> {
        let meta = Meta { build: Build::this(), has_ticks: true, has_decisions: true, ..recording.meta().clone() };
        let recorder = Recorder::create(path, &meta, files, Packing::Lz4)?;
        let (bytes, state) = (vec![0; osmose_model::limits::INPUT_BYTES_MAX], Vec::new());
        Ok(Self { recorder: Some(recorder), path: path.to_owned(), bytes, state, due: None })
    }
}

impl Keep for Keeping {
    fn step(
        &mut self,
        tag: Tag,
        input: &Input<'_>,
        out: &Outbox,
        digests: (Digest, Digest),
        save: &mut dyn FnMut(&mut Vec<u8>),
    ) -> std::io::Result<()> {
        let Some(recorder) = &mut self.recorder else { return Ok(()) };
        let n = encode_growing(input, &mut self.bytes);
        recorder.input(tag, &self.bytes[..n]);
        out.events.iter().for_each(|e| recorder.event(tag, e));
        out.commands.iter().for_each(|c| recorder.command(c));
        if tag.at >= *self.due.get_or_insert(tag.at.plus(EVERY)) {
            self.due = Some(tag.at.plus(EVERY));
            self.state.clear();
            save(&mut self.state);
            recorder.keyframe(tag, &self.state, digests);
        } else if !(out.events.is_empty() && out.commands.is_empty()) {
            recorder.digest(tag.seq, digests.0, digests.1);
        }
        match recorder.failed() {
            Some(error) => Err(Error::other(error.to_string())),
            None => Ok(()),
        }
    }

    fn state(&mut self, tag: Tag, state: &[u8], digests: (Digest, Digest)) -> std::io::Result<()> {
        if let Some(recorder) = &mut self.recorder {
            recorder.keyframe(tag, state, digests);
        }
        Ok(())
    }

    fn finish(&mut self) -> std::io::Result<()> {
        match self.recorder.take() {
            Some(recorder) => recorder.finish().map(drop).map_err(|e| Error::other(e.to_string())),
            None => Ok(()),
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        if self.recorder.take().is_some() {
            // Half a run would look like a whole one that ends early.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What is known of a branch beside its trace: from when on it is a hypothesis.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    both: Both,
}

impl Branch {
    /// From when on the branch hangs on what a device would have answered to commands that were never sent.
    #[must_use]
    pub fn hypothesis_from(&self) -> Option<LogicalNs> {
        self.both.hypothesis_from()
    }

    /// Which devices' answers come from their models, since when.
    pub fn modelled(&self) -> impl Iterator<Item = (ActuatorId, LogicalNs)> + '_ {
        self.both.parted.iter().map(|(device, since)| (*device, *since))
    }
}

/// Runs a recording with something otherwise, and writes that run to `out`, a trace of its own with keyframes. People
/// stay as recorded; a device that would have been told something else answers from then on as its model does.
///
/// # Errors
/// [`BranchError`]; nothing is left in `out` then.
pub fn record(path: &Path, what_if: &WhatIf, out: &Path, watch: &mut dyn Watch) -> Result<Branch, BranchError> {
    let recording = Recording::open(path)?;
    let is_rules = |f: &SourceFile| f.path.starts_with("rules/") && f.path.ends_with(".rules");
    let mut files = recording.files().to_vec();
    if let Some(rules) = &what_if.rules {
        files.retain(|f| !is_rules(f));
        files.extend(rules.iter().cloned());
        files.sort_by(|a, b| a.path.cmp(&b.path));
    }
    let workshop = Osmose::of_files(&files)?;
    let keeping = Keeping::create(out, &recording, &files)?;
    let sinks = Sinks { record: Some(Box::new(keeping)), ..Sinks::default() };
    let WhatIf { without, delayed, .. } = what_if.clone();
    let options = Options { without, delayed, sinks, ..Options::default() };
    let summary = Replay::new(recording, workshop, options)?.ahead()?.run(watch)?;
    Ok(Branch { both: summary.what_if.unwrap_or_default() })
}

/// Something that was done on one side and not, or otherwise, on the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Parted {
    /// When: the earlier of both.
    pub at: LogicalNs,
    /// What kind of difference.
    pub change: Change,
    /// The command on the first side.
    pub a: Option<CommandId>,
    /// The command on the second side.
    pub b: Option<CommandId>,
    /// To which device, by its id in devices.toml.
    pub device: String,
    /// In words.
    pub text: String,
    /// It hangs on this device's model since then; `None` where everything that it hangs on is recorded.
    pub hypothesis: Option<(String, LogicalNs)>,
}

/// What was done otherwise in `b` than in `a`, in time. `branch`: what [`record`] said of `b`, where it wrote it.
///
/// # Errors
/// [`BranchError`].
pub fn compare(a: &Path, b: &Path, branch: Option<&Branch>) -> Result<Vec<Parted>, BranchError> {
    let (told_a, told_b) = (Told::read(a, &mut ())?, Told::read(b, &mut ())?);
    let found = match branch {
        Some(branch) => diff(told_a.side(), told_b.side(), Some(&branch.both)),
        None => compare_traces(&told_a, &told_b, (a, b), &mut ())?,
    };
    let parted = |d: &crate::diff::Difference<'_>| {
        let on_a = d.a.map(|c| (told_a.side().site, c));
        let (site, c) = on_a.or_else(|| d.b.map(|c| (told_b.side().site, c)))?;
        Some(Parted {
            at: d.at,
            change: d.change,
            a: d.a.map(|c| c.id),
            b: d.b.map(|c| c.id),
            device: words::device(site, c.device).to_owned(),
            text: found.line(d),
            hypothesis: d.hypothesis.map(|h| (words::device(site, h.of).to_owned(), h.since)),
        })
    };
    Ok(found.differences.iter().filter_map(parted).collect())
}

/// Whether a recording is what this build makes of its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// `same`, `different`, `not comparable` (another build recorded it, and bits differ) or `nothing to verify`.
    pub verdict: &'static str,
    /// Events and commands compared one by one.
    pub decisions: u64,
    /// Digests compared.
    pub digests: u64,
    /// Stretches that are missing.
    pub holes: usize,
    /// All of it in words, with the first difference where there is one.
    pub text: String,
}

/// Runs a recording and compares every decision and digest: in a thread of its own, it takes as long as a replay.
///
/// # Errors
/// [`BranchError`].
pub fn verify(path: &Path, watch: &mut dyn Watch) -> Result<Verified, BranchError> {
    let recording = Recording::open(path)?;
    let workshop = Osmose::of_files(recording.files())?;
    let options = Options { verify: true, ..Options::default() };
    let summary = Replay::new(recording, workshop, options)?.ahead()?.run(watch)?;
    let verdict = match summary.verdict {
        Verdict::Same => "same",
        Verdict::Different(_) => "different",
        Verdict::NotComparable { .. } => "not comparable",
        Verdict::NothingToVerify | Verdict::NotAsked => "nothing to verify",
    };
    let checked = summary.checked;
    let (decisions, digests) = (checked.events + checked.commands, checked.digests);
    Ok(Verified { verdict, decisions, digests, holes: summary.holes.len(), text: summary.render() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::Player;
    use crate::testing::{files, live, live_with, walk, with_install};

    fn rules(from: &str, to: &str) -> Vec<SourceFile> {
        let mut rules: Vec<_> = files().into_iter().filter(|f| f.path.ends_with(".rules")).collect();
        rules.iter_mut().for_each(|f| f.text = f.text.replace(from, to));
        rules
    }

    #[test]
    fn a_branch_is_a_recording_that_verifies_and_differs_where_its_rules_do() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a.mcap", "b.mcap"].map(|name| dir.path().join(name));
        // Rules are installed on the way; the branch runs its own throughout.
        let later = rules("80 %", "60 %");
        let (at, inputs) = with_install(&walk(40), 20, &later);
        std::fs::write(&a, live_with(&inputs, 50, &[(at, later)])).unwrap();
        let what_if = WhatIf { rules: Some(rules("80 %", "30 %")), ..WhatIf::default() };
        let branch = record(&a, &what_if, &b, &mut ()).unwrap();
        for (path, verdict) in [(&a, "same"), (&b, "same")] {
            let verified = verify(path, &mut ()).unwrap();
            assert_eq!(verified.verdict, verdict, "{}", verified.text);
            assert!(verified.decisions > 10 && verified.digests > 5 && verified.holes == 0, "{verified:?}");
        }
        let parted = compare(&a, &b, Some(&branch)).unwrap();
        assert!(!parted.is_empty() && parted.windows(2).all(|w| w[0].at <= w[1].at));
        assert!(parted.iter().all(|p| p.device == "meeting.light" && p.a.or(p.b).is_some()), "{parted:?}");
        assert_eq!(compare(&a, &a, None).unwrap(), []);
        assert!(record(&a, &what_if, &b, &mut ()).is_err(), "nothing is replaced");
        // Both are played side by side: people stay as recorded.
        let (mut one, mut other) = (Player::open(&a).unwrap(), Player::open(&b).unwrap());
        for at_s in [5, 25, 12] {
            let at = LogicalNs(at_s * 1_000_000_000);
            let people = [&mut one, &mut other].map(|player| {
                use osmose_model::world::WorldView;
                player.seek(at).unwrap();
                let mut all = Vec::new();
                player.machine().view().for_each_occupant(&mut |o| all.push(o.clone()));
                all
            });
            assert_eq!(people[0], people[1], "{at_s} s");
        }
        assert_eq!(other.caution(), None);
    }

    #[test]
    fn a_sensor_that_was_not_there_is_missing_in_the_branch() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a.mcap", "b.mcap"].map(|name| dir.path().join(name));
        std::fs::write(&a, live(&walk(30), 50)).unwrap();
        let tags = crate::testing::workshop_site().sensor_named("tags").unwrap();
        let what_if = WhatIf { without: vec![tags], ..WhatIf::default() };
        let branch = record(&a, &what_if, &b, &mut ()).unwrap();
        let parted = compare(&a, &b, Some(&branch)).unwrap();
        assert!(parted.iter().any(|p| p.change == Change::Gone && p.text.contains("pause")), "{parted:?}");
        let info = crate::info::info(&b).unwrap();
        assert!(info.sensors.get(&tags).is_none_or(|s| s.observations == 0));
        assert_eq!(verify(&b, &mut ()).unwrap().verdict, "same");
    }
}
