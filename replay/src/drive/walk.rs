//! The core along a recording, input by input, for whoever wants to look at it on the way: an index, a cut, a why.
//!
//! Unlike a replay it writes nothing out and compares digests only. It needs a trace with ticks: an import is run
//! once by `osmose trace index` and has them then.

use super::workshop::{Osmose, Workshop, WorkshopError};
use crate::trace::codec::{self, Record};
use crate::trace::format::Topic;
use crate::trace::read::Item;
use crate::trace::recording::{Items, Recording, RecordingError};
use osmose_core::{Core, Outbox, Rules};
use osmose_model::canon;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::SourceFile;
use osmose_model::time::LogicalNs;

/// Why nothing can be looked at.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The file or folder is no recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// No core can be made of its files.
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    /// The disk refused.
    #[error("the trace cannot be read on: {0}")]
    Io(#[from] std::io::Error),
    /// It is an import.
    #[error(
        "this trace holds inputs only (an import): run it once with `osmose trace index`, which adds its ticks, \
         decisions and keyframes"
    )]
    Import,
}

/// What a record did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walked {
    /// An input was stepped; its decisions are in [`Walk::out`].
    Stepped,
    /// An input behind a hole: the state is not known until the next keyframe.
    Skipped,
    /// Another record, or one that changed nothing.
    Passed,
}

/// The core along a recording.
pub struct Walk {
    workshop: Osmose,
    machine: Core,
    in_force: Vec<u8>,
    /// The rules that the recording begins with.
    own: Vec<u8>,
    out: Outbox,
    valid: bool,
    begun: bool,
    /// The first input behind which the recorded digests are others than today's.
    pub differs_at: Option<Tag>,
    /// Inputs that stand behind a hole.
    pub skipped: u64,
}

impl Walk {
    /// From the last keyframe before an instant, or from the start where there is none (or `before` is none). The
    /// recording then stands where the walk goes on.
    ///
    /// # Errors
    /// [`WalkError`].
    pub fn begin(recording: &mut Recording, before: Option<LogicalNs>) -> Result<Self, WalkError> {
        if !recording.meta().has_ticks {
            return Err(WalkError::Import);
        }
        let workshop = Osmose::of_files(recording.files())?;
        let own: Vec<SourceFile> = workshop.site().rule_files().cloned().collect();
        let own = canon::encode_files(&own);
        let rules = workshop.rules(&canon::decode_files(&own).unwrap_or_default())?;
        let mut walk = Self {
            machine: workshop.machine(rules),
            in_force: own.clone(),
            own,
            workshop,
            out: Outbox::new(),
            valid: true,
            begun: false,
            differs_at: None,
            skipped: 0,
        };
        if before.is_some() {
            walk.seek(recording, before)?;
        }
        Ok(walk)
    }

    /// The core as a recording that begins inside a log begins: cut out of a longer one, or with its first files expired.
    /// `None` where it begins with its log, or with no state. The recording is at its first record again.
    ///
    /// # Errors
    /// [`WalkError`].
    pub fn opening(recording: &mut Recording) -> Result<Option<Self>, WalkError> {
        let mut walk = None;
        let mut scan = ScanBuf::new();
        while let Some(item) = recording.next_item()? {
            let Item::Record(raw) = item else { break };
            match codec::decode(&raw, &mut scan) {
                Ok(Record::Input { .. }) => break,
                Ok(Record::Keyframe { tag, state }) => walk = Some((tag, state.to_vec())),
                _ => {}
            }
        }
        recording.rewind()?;
        let Some((tag, state)) = walk else { return Ok(None) };
        let mut walk = Self::begin(recording, None)?;
        let own = walk.own.clone();
        Ok(walk.restore(tag, &state, &own)?.then_some(walk))
    }

    /// Goes to the last keyframe before an instant, or to the start where there is none (or `before` is none). The
    /// recording then stands where the walk goes on. Gives whether it was a keyframe.
    ///
    /// # Errors
    /// [`WalkError`].
    pub fn seek(&mut self, recording: &mut Recording, before: Option<LogicalNs>) -> Result<bool, WalkError> {
        self.out.clear();
        if let Some(sought) = before.map(|at| recording.seek_before(at)).transpose()?.flatten() {
            let rules = sought.rules.unwrap_or_else(|| self.own.clone());
            let mut scan = ScanBuf::new();
            while let Some(Item::Record(raw)) = recording.next_item()? {
                if raw.log_time > sought.log_time {
                    break;
                }
                if raw.topic != Topic::Keyframe || raw.log_time != sought.log_time {
                    continue;
                }
                let Ok(Record::Keyframe { tag, state }) = codec::decode(&raw, &mut scan) else { break };
                if self.restore(tag, state, &rules)? {
                    return Ok(true);
                }
                break;
            }
        }
        recording.rewind()?;
        let own = self.own.clone();
        self.machine = self.fresh(&own)?;
        self.in_force = own;
        (self.valid, self.begun) = (true, false);
        Ok(false)
    }

    /// The core.
    #[must_use]
    pub fn machine(&self) -> &Core {
        &self.machine
    }

    /// Where cores come from: the recording's own site.
    #[must_use]
    pub fn workshop(&self) -> &Osmose {
        &self.workshop
    }

    /// What the last step decided.
    #[must_use]
    pub fn out(&self) -> &Outbox {
        &self.out
    }

    /// Whether the state is the one that the recording had here.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.valid
    }

    /// The rule files in force, joined as [`canon::encode_files`] does.
    #[must_use]
    pub fn in_force(&self) -> &[u8] {
        &self.in_force
    }

    /// A core in its first state under these rules, joined as [`canon::encode_files`] does.
    fn fresh(&self, files: &[u8]) -> Result<Core, WorkshopError> {
        let rules = self.rules(files)?;
        Ok(self.workshop.machine(rules))
    }

    /// Rules as fresh as if nothing had been seen.
    fn rules(&self, files: &[u8]) -> Result<Rules, WorkshopError> {
        let sources = canon::decode_files(files).map_err(|e| WorkshopError::Rules(e.to_string()))?;
        self.workshop.rules(&sources)
    }

    /// Takes a recorded state back under these rules; where it does not fit, all is as it was.
    fn restore(&mut self, tag: Tag, state: &[u8], files: &[u8]) -> Result<bool, WorkshopError> {
        let mut machine = self.fresh(files)?;
        let fits = machine.restore(state).is_ok() && machine.last() == tag;
        if fits {
            self.machine = machine;
            files.clone_into(&mut self.in_force);
            self.valid = true;
            self.begun = true;
        }
        Ok(fits)
    }

    /// Takes the next record of the recording.
    ///
    /// # Errors
    /// [`WorkshopError`] where rules installed on the way do not compile in this build.
    pub fn take(&mut self, record: &Record<'_>) -> Result<Walked, WorkshopError> {
        match record {
            Record::Input { tag, input } => self.input(*tag, input),
            Record::Digest { seq, input, decision } if self.valid && *seq == self.machine.last().seq => {
                if (self.machine.input_digest(), self.machine.decision_digest()) != (*input, *decision) {
                    self.differs_at.get_or_insert(self.machine.last());
                }
                Ok(Walked::Passed)
            }
            Record::Keyframe { tag, state } => {
                let last = self.machine.last();
                if !self.valid && tag.seq >= last.seq || !self.begun && *tag != last {
                    let in_force = self.in_force.clone();
                    self.restore(*tag, state, &in_force)?;
                }
                Ok(Walked::Passed)
            }
            _ => Ok(Walked::Passed),
        }
    }

    fn input(&mut self, tag: Tag, input: &Input<'_>) -> Result<Walked, WorkshopError> {
        let last = self.machine.last();
        self.begun = true;
        if tag.seq.0 != last.seq.0.wrapping_add(1) || tag.at < last.at {
            self.valid = false;
        }
        if let Input::RulesInstalled { files } = input
            && self.in_force != *files
        {
            let rules = self.rules(files)?;
            (*files).clone_into(&mut self.in_force);
            self.machine.stage_rules(rules);
        }
        if !self.valid {
            self.skipped += 1;
            return Ok(Walked::Skipped);
        }
        self.machine.step(tag, input, &mut self.out);
        Ok(Walked::Stepped)
    }
}
