//! Compares what the code decides with what the trace says it decided: every event, every command with its cause,
//! both digests, and the whole state at keyframes. By canonical bytes, so that equal means equal to the bit.

use super::standing::{self, Standing};
use super::summary::{Checked, Compared, Difference};
use crate::trace::codec::Record;
use osmose_core::Outbox;
use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::digest::Digest;
use osmose_model::ids::Seq;
use osmose_model::input::Tag;
use osmose_model::site::Site;
use osmose_model::world::WorldEvent;

/// Bytes that hold any event's or command's canonical form.
const DECISION_BYTES: usize = 8 * 1024;

/// What the last step decided, while the recording's side of it is read.
#[derive(Debug, Default)]
pub(super) struct Verifier {
    tag: Tag,
    events: Vec<WorldEvent>,
    commands: Vec<Command>,
    next_event: usize,
    next_command: usize,
    /// Whether the records of this step are all there (the recorder lost none).
    complete: bool,
    first: Option<Difference>,
    checked: Checked,
    recorded: Standing,
    replayed: Standing,
}

fn same<T>(a: &T, b: &T, encode: impl Fn(&T, &mut [u8]) -> Result<usize, canon::CanonError>) -> bool {
    let (mut x, mut y) = ([0u8; DECISION_BYTES], [0u8; DECISION_BYTES]);
    match (encode(a, &mut x), encode(b, &mut y)) {
        (Ok(n), Ok(m)) => x[..n] == y[..m],
        _ => false,
    }
}

impl Verifier {
    pub(super) fn checked(&self) -> Checked {
        self.checked
    }

    pub(super) fn difference(&self) -> Option<&Difference> {
        self.first.as_ref()
    }

    fn differs(&mut self, tag: Tag, what: Compared, recorded: Option<String>, replayed: Option<String>) {
        self.first.get_or_insert(Difference { tag, what, recorded, replayed, states: Default::default() });
    }

    /// The rest of what the recording has of the step in which both sides part belongs to its state there.
    pub(super) fn beyond(&mut self, record: &Record<'_>) {
        let Some(parted) = self.first.as_ref().map(|d| d.tag.seq) else { return };
        match record {
            Record::Event { tag, event } if tag.seq == parted => self.recorded.event(event),
            Record::Command(command) if command.id.seq == parted => self.recorded.command(command),
            _ => {}
        }
    }

    /// Whole states stand where both sides part.
    pub(super) fn states(&mut self, states: [Vec<String>; 2]) {
        if let Some(d) = &mut self.first {
            d.states = states;
        }
    }

    /// The first difference, with both sides' state.
    pub(super) fn into_difference(self, site: &Site) -> Option<Difference> {
        let mut difference = self.first?;
        if difference.what != Compared::Keyframe {
            difference.states = standing::of_decisions(site, &self.recorded, &self.replayed);
        }
        Some(difference)
    }

    /// A step is done: what it decided waits for the recording's side.
    pub(super) fn stepped(&mut self, tag: Tag, out: &Outbox) {
        self.tag = tag;
        self.events.clone_from(&out.events);
        self.commands.clone_from(&out.commands);
        (self.next_event, self.next_command, self.complete) = (0, 0, true);
        out.events.iter().for_each(|e| self.replayed.event(e));
        out.commands.iter().for_each(|c| self.replayed.command(c));
    }

    /// Whether something that the last step decided was not met in the recording yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.complete && (self.next_event < self.events.len() || self.next_command < self.commands.len())
    }

    /// The recording has come to the next input: whatever still waits is missing there.
    pub(super) fn close(&mut self) {
        if std::mem::take(&mut self.complete) {
            if let Some(e) = self.events.get(self.next_event) {
                let text = format!("{e:?}");
                self.differs(self.tag, Compared::Event, None, Some(text));
            } else if let Some(c) = self.commands.get(self.next_command) {
                let text = format!("{c:?}");
                self.differs(self.tag, Compared::Command, None, Some(text));
            }
        }
        self.forget();
    }

    /// The rest of this step's records is lost, or was never written: not a difference.
    pub(super) fn forget(&mut self) {
        self.complete = false;
        self.events.clear();
        self.commands.clear();
        (self.next_event, self.next_command) = (0, 0);
    }

    pub(super) fn event(&mut self, tag: Tag, recorded: &WorldEvent) {
        if !self.complete {
            return;
        }
        self.checked.events += 1;
        self.recorded.event(recorded);
        let replayed = (tag == self.tag).then(|| self.events.get(self.next_event)).flatten();
        self.next_event += usize::from(replayed.is_some());
        if !replayed.is_some_and(|e| same(e, recorded, canon::encode_event)) {
            let replayed = replayed.map(|e| format!("{e:?}"));
            self.differs(tag, Compared::Event, Some(format!("{recorded:?}")), replayed);
        }
    }

    pub(super) fn command(&mut self, recorded: &Command) {
        if !self.complete {
            return;
        }
        self.checked.commands += 1;
        self.recorded.command(recorded);
        let here = recorded.id.seq == self.tag.seq;
        let replayed = here.then(|| self.commands.get(self.next_command)).flatten();
        self.next_command += usize::from(replayed.is_some());
        if !replayed.is_some_and(|c| same(c, recorded, canon::encode_command)) {
            let tag = Tag { at: recorded.at, seq: recorded.id.seq };
            let replayed = replayed.map(|c| format!("{c:?}"));
            self.differs(tag, Compared::Command, Some(format!("{recorded:?}")), replayed);
        }
    }

    pub(super) fn digest(&mut self, seq: Seq, recorded: (Digest, Digest), last: Tag, replayed: (Digest, Digest)) {
        if seq != last.seq {
            return;
        }
        self.checked.digests += 1;
        for (what, a, b) in
            [(Compared::InputDigest, recorded.0, replayed.0), (Compared::DecisionDigest, recorded.1, replayed.1)]
        {
            if a != b {
                self.differs(last, what, Some(a.to_string()), Some(b.to_string()));
            }
        }
    }

    pub(super) fn keyframe(&mut self, tag: Tag, recorded: &[u8], replayed: &[u8]) {
        self.checked.keyframes += 1;
        if recorded != replayed {
            let side = |bytes: &[u8]| {
                let mut digest = Digest::default();
                digest.absorb(bytes);
                Some(format!("{} bytes with digest {digest}", bytes.len()))
            };
            self.differs(tag, Compared::Keyframe, side(recorded), side(replayed));
        }
    }
}
