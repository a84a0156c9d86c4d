//! Beginning at a saved state: where a replay of a stretch may begin, and where the state got lost on the way.

use super::{Options, Order, Replay, ReplayError, Run, compile};
use crate::drive::standing;
use crate::drive::workshop::Workshop;
use crate::trace::codec::{self, Record};
use crate::trace::format::Topic;
use crate::trace::read::Item;
use crate::trace::recording::{Items, Recording, Sought};
use osmose_core::Driver;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::time::LogicalNs;

impl<W: Workshop> Replay<Recording, W> {
    /// Begins at the last keyframe that stands well before `from`, where there is one and the code is the recorded
    /// one; else at the start, as without this.
    ///
    /// # Errors
    /// [`ReplayError::Io`].
    pub fn from_keyframe(mut self) -> Result<Self, ReplayError> {
        let Some(from) = self.run.options.from else { return Ok(self) };
        // A recording of the run is one of all of it.
        if self.run.writing.sinks.record.is_some() || !self.run.may_begin_inside() {
            return Ok(self);
        }
        // Track rows depend on whether a scan came lately, so what was lately belongs to what is replayed.
        self.begin_before(from.minus(self.run.writing.quiet()))?;
        Ok(self)
    }

    /// Begins at the last keyframe before an instant; false where that cannot be, and it begins at the start.
    pub(super) fn begin_before(&mut self, at: LogicalNs) -> Result<bool, ReplayError> {
        let Some(sought) = self.reader.seek_before(at)? else { return Ok(false) };
        let own = self.run.in_force.clone();
        if let Some(rules) = &sought.rules {
            self.run.in_force = Some(rules.clone());
        }
        let begun = self.run.begin_at(&sought, &mut self.reader, &mut self.scan)?;
        if !begun {
            self.run.in_force = own;
            self.reader.rewind()?;
        }
        Ok(begun)
    }
}

impl<W: Workshop> Run<W> {
    /// Whether a recorded state is one of this run: its inputs, site and rules are the recorded ones.
    pub(super) fn may_begin_inside(&self) -> bool {
        self.order == Order::Recorded && self.in_force.is_some()
    }

    /// A whole state: compared where the state is known, taken back where it was lost.
    pub(super) fn keyframe(&mut self, tag: Tag, state: &[u8]) -> Result<(), ReplayError> {
        let last = self.driver.machine().last();
        if self.valid && tag == last {
            if self.comparing(tag.at).is_some() {
                self.save.clear();
                self.driver.machine().save(&mut self.save);
                if let Some(v) = &mut self.verifier {
                    v.keyframe(tag, state, &self.save);
                }
                if self.verifier.as_ref().is_some_and(|v| v.difference().is_some()) {
                    self.look_into(state)?;
                }
            }
            return Ok(());
        }
        if self.other_ticks && self.read.is_none() && self.begin_otherwise(tag, state)? {
            return Ok(());
        }
        // A state of before something already read (or of other rules) cannot be gone on from.
        let behind = self.read.is_some_and(|read| tag.seq < read.seq);
        if self.valid && self.read.is_some() || behind || self.order == Order::Arrival {
            return Ok(());
        }
        if !self.restore(tag, state)? {
            // Another build's state, or another site's: stay in the hole until one fits.
            return Ok(());
        }
        let digests = self.digests();
        if let Some(record) = &mut self.writing.sinks.record {
            record.state(tag, state, digests)?;
        }
        self.valid = true;
        for hole in self.summary.holes.iter_mut().filter(|h| !h.went_on) {
            hole.went_on = true;
        }
        if self.read.is_none() {
            self.summary.began_at = Some(tag.seq);
        }
        self.read = Some(tag);
        Ok(())
    }

    /// What if, in a trace that begins inside a log: people and devices are as the recorded state has them there, and from
    /// there on it is otherwise. Other rules, and rules of the search's own beside them, are installed over it, as a running
    /// engine installs them. False where the state is none of this site.
    fn begin_otherwise(&mut self, tag: Tag, state: &[u8]) -> Result<bool, ReplayError> {
        let recorded = compile(&self.workshop, &self.recorded, &Options::default())?;
        let mut machine = self.workshop.machine(recorded);
        if machine.restore(state).is_err() || machine.last() != tag {
            return Ok(false);
        }
        (self.driver, self.made_with) = (Driver::new(machine), None);
        // A recording of the run carries the other rules from its beginning: it begins behind their installation.
        let mut record = self.writing.sinks.record.take();
        // Those that are in force already go on with what they remember; what watches them begins here.
        let files = self.throughout.as_ref().unwrap_or(&self.recorded);
        let Options { beside, beside_of, .. } = &self.options;
        let watched = !beside.is_empty() || beside_of.iter().any(|(set, _)| set == files);
        let others = (watched || *files != self.recorded).then(|| files.clone());
        if let Some(files) = others {
            let rules = compile(&self.workshop, &files, &self.options)?;
            self.driver.machine_mut().stage_rules(rules);
            self.feed(tag.at, &Input::RulesInstalled { files: &files })?;
        }
        if let Some(record) = &mut record {
            self.save.clear();
            self.driver.machine().save(&mut self.save);
            let digests = self.digests();
            record.state(self.driver.machine().last(), &self.save, digests)?;
        }
        self.writing.sinks.record = record;
        self.summary.began_at = Some(tag.seq);
        self.read = Some(tag);
        Ok(true)
    }

    /// Both sides' state at a keyframe where they part.
    fn look_into(&mut self, recorded: &[u8]) -> Result<(), ReplayError> {
        let Some(files) = &self.in_force else { return Ok(()) };
        let mut other = self.workshop.machine(compile(&self.workshop, files, &self.options)?);
        let states = match other.restore(recorded) {
            Ok(()) => standing::of_states(&other.view(), &self.driver.machine().view()),
            Err(why) => [vec![format!("cannot be taken back: {why}")], Vec::new()],
        };
        if let Some(v) = &mut self.verifier {
            v.states(states);
        }
        Ok(())
    }

    /// A machine in a saved state; false where the state is none of these rules and this site.
    fn restore(&mut self, tag: Tag, state: &[u8]) -> Result<bool, ReplayError> {
        let Some(files) = &self.in_force else { return Ok(false) };
        // To make a machine takes milliseconds: the one at hand is taken where nothing was read yet, and made anew where that
        // spoils it.
        if self.made_with.as_ref() == Some(files) && self.read.is_none() {
            let machine = self.driver.machine_mut();
            if machine.restore(state).is_ok() && machine.last() == tag {
                return Ok(true);
            }
            self.driver = Driver::new(self.workshop.machine(compile(&self.workshop, files, &self.options)?));
            return Ok(false);
        }
        let mut machine = self.workshop.machine(compile(&self.workshop, files, &self.options)?);
        let fits = machine.restore(state).is_ok() && machine.last() == tag;
        if fits {
            (self.driver, self.made_with) = (Driver::new(machine), Some(files.clone()));
        }
        Ok(fits)
    }

    /// Reads on to the keyframe that was sought and takes its state; false where that cannot be.
    fn begin_at(&mut self, sought: &Sought, reader: &mut Recording, scan: &mut ScanBuf) -> Result<bool, ReplayError> {
        while let Some(Item::Record(raw)) = reader.next_item()? {
            if raw.log_time > sought.log_time {
                break;
            }
            if raw.topic != Topic::Keyframe || raw.log_time != sought.log_time {
                continue;
            }
            let Ok(Record::Keyframe { tag, state }) = codec::decode(&raw, scan) else { break };
            if !self.restore(tag, state)? {
                self.state_refused = true;
                break;
            }
            self.summary.began_at = Some(tag.seq);
            self.read = Some(tag);
            return Ok(true);
        }
        Ok(false)
    }
}
