//! A recording as something that plays: go to an instant, step, run at a speed, and look at the core's own picture of
//! the building on the way.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | open, go to an instant, forwards with every step shown |
//! | `back.rs` | to the next or the last input, scan or event |
//! | `pace.rs` | playing at a speed, in bounded pieces |
//!
//! What a player shows is what the engine had then: the code is run again on the recorded inputs, from the last
//! keyframe on. It takes no clock; whoever plays says how much time has passed.

mod back;
mod pace;

pub use back::Landmark;
pub use pace::PIECE_STEPS_MAX;

use crate::drive::Workshop;
use crate::drive::walk::{Walk, WalkError, Walked};
use crate::rulebook::Rulebook;
use crate::trace::codec::{self, Record};
use crate::trace::format::{Meta, Topic};
use crate::trace::read::{Item, RawRecord};
use crate::trace::recording::{Items, Recording, RecordingError};
use osmose_core::{Core, Outbox};
use osmose_model::canon;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::Site;
use osmose_model::time::{LogicalNs, NS_PER_S};
use pace::Pace;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Forwards no further than this is gone by running on; beyond, a keyframe is looked for.
const NEAR_NS: i64 = 2 * NS_PER_S;

/// Why a recording cannot be played, or not on.
#[derive(Debug, thiserror::Error)]
pub enum PlayerError {
    /// The file or folder is no recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The core cannot be run along it.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The disk refused.
    #[error("the trace cannot be read on: {0}")]
    Io(#[from] std::io::Error),
    /// It holds nothing.
    #[error("{0} holds no record: there is nothing to play")]
    Empty(PathBuf),
}

/// One step of the core, as it happened then.
pub struct Stepped<'a> {
    /// The input's place in the order.
    pub tag: Tag,
    /// The input.
    pub input: Input<'a>,
    /// What it decided.
    pub out: &'a Outbox,
    /// The core behind it.
    pub machine: &'a Core,
}

/// What a move did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Inputs stepped.
    pub steps: u64,
    /// Inputs that stand behind a hole, and were not stepped.
    pub skipped: u64,
    /// The recording is over.
    pub ended: bool,
    /// More was asked than one piece of work may take: go on with the same question.
    pub more: bool,
}

/// The record behind the playhead, read and not yet taken.
#[derive(Default)]
struct Held {
    is_full: bool,
    log_time: u64,
    publish_time: u64,
    sequence: u32,
    checked: bool,
    data: Vec<u8>,
}

impl Held {
    fn hold(&mut self, raw: &RawRecord<'_>) {
        self.is_full = true;
        (self.log_time, self.publish_time, self.sequence) = (raw.log_time, raw.publish_time, raw.sequence);
        self.checked = raw.checked;
        self.data.clear();
        self.data.extend_from_slice(raw.data);
    }

    fn raw(&self) -> RawRecord<'_> {
        let Self { log_time, publish_time, sequence, checked, data, .. } = self;
        let (log_time, publish_time, sequence, checked) = (*log_time, *publish_time, *sequence, *checked);
        RawRecord { topic: Topic::Input, log_time, publish_time, sequence, data, checked }
    }
}

/// Up to where a move goes; inputs beyond are held back.
#[derive(Clone, Copy)]
enum Until {
    /// Up to and with the inputs of an instant.
    Instant(u64),
    /// Up to and with an input, by the low 32 bits of its number.
    Input(u32),
}

impl Until {
    fn is_beyond(self, raw: &RawRecord<'_>) -> bool {
        match self {
            Self::Instant(at) => raw.log_time > at,
            Self::Input(seq) => raw.sequence != seq && raw.sequence.wrapping_sub(seq) < u32::MAX / 2,
        }
    }
}

/// Sees each step of a move; false ends it there.
type Sees<'a> = &'a mut dyn FnMut(&Stepped<'_>) -> bool;

/// A recording being played. The playhead stands behind every input whose time is not later.
pub struct Player {
    path: PathBuf,
    recording: Recording,
    walk: Walk,
    scan: ScanBuf,
    held: Held,
    span: (LogicalNs, LogicalNs),
    now: LogicalNs,
    ended: bool,
    pace: Pace,
    book: Rulebook,
    book_of: Vec<u8>,
}

impl Player {
    /// Opens a trace, or a folder of them, at its first instant.
    ///
    /// # Errors
    /// [`PlayerError`]; an import holds no ticks and says what to do about it.
    ///
    /// ```no_run
    /// use osmose_model::time::LogicalNs;
    /// use osmose_model::world::WorldView;
    /// use osmose_replay::player::Player;
    /// let mut player = Player::open("incident.mcap".as_ref())?;
    /// player.seek(LogicalNs(134_300_000_000))?;
    /// player.machine().view().for_each_occupant(&mut |o| println!("{} at {:?}", o.track, o.place.at));
    /// # Ok::<(), osmose_replay::player::PlayerError>(())
    /// ```
    pub fn open(path: &Path) -> Result<Self, PlayerError> {
        let mut recording = Recording::open(path)?;
        let span = recording.span()?.ok_or_else(|| PlayerError::Empty(path.to_owned()))?;
        let walk = Walk::begin(&mut recording, None)?;
        let book_of = walk.in_force().to_vec();
        let book = Rulebook::new(walk.workshop().site(), &canon::decode_files(&book_of).unwrap_or_default());
        let mut player = Self {
            path: path.to_owned(),
            recording,
            walk,
            scan: ScanBuf::new(),
            held: Held::default(),
            span,
            now: span.0,
            ended: false,
            pace: Pace::default(),
            book,
            book_of,
        };
        player.advance(span.0, &mut |_| {})?;
        Ok(player)
    }

    /// What it was opened from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who wrote it, and what of.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        self.recording.meta()
    }

    /// What is to be said before anybody trusts the picture: another build recorded the trace, or its decisions were
    /// seen to be others than this build's.
    #[must_use]
    pub fn caution(&self) -> Option<String> {
        let build = self.recording.other_build();
        let other = build.map(|why| format!("another build recorded this trace ({why}): decisions may differ"));
        let differs = self.walk.differs_at.map(|tag| format!("from {} s on this build decides otherwise", tag.at));
        let all: Vec<String> = [other, differs].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// The recording's own site.
    #[must_use]
    pub fn site(&self) -> &Arc<Site> {
        self.walk.workshop().site()
    }

    /// First and last instant.
    #[must_use]
    pub fn span(&self) -> (LogicalNs, LogicalNs) {
        self.span
    }

    /// The playhead.
    #[must_use]
    pub fn now(&self) -> LogicalNs {
        self.now
    }

    /// The last input taken.
    #[must_use]
    pub fn last(&self) -> Tag {
        self.walk.machine().last()
    }

    /// The core as it was then.
    #[must_use]
    pub fn machine(&self) -> &Core {
        self.walk.machine()
    }

    /// Whether the core's state is the one that the recording had here: not behind a hole, until the next keyframe.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.walk.is_valid()
    }

    /// Whether the last record was taken.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.ended
    }

    /// What the rules in force here are called, and where they stand.
    #[must_use]
    pub fn rulebook(&self) -> &Rulebook {
        &self.book
    }

    /// Goes to an instant: behind every input whose time is not later. Outside of the recording, to its nearer end.
    ///
    /// # Errors
    /// [`PlayerError`].
    pub fn seek(&mut self, to: LogicalNs) -> Result<Moved, PlayerError> {
        let to = to.max(self.span.0).min(self.span.1);
        self.pace.restart();
        if to < self.now || to.since(self.now).0 > NEAR_NS {
            // A keyframe may be that of an input at the very instant: one before it is always right.
            self.go_back(Some(to))?;
        }
        let moved = self.run(Until::Instant(instant(to)), u64::MAX, &mut |_| true)?;
        self.now = to;
        Ok(moved)
    }

    /// Goes on to an instant and shows each step on the way; an instant that has passed is no move.
    ///
    /// # Errors
    /// [`PlayerError`].
    pub fn advance(&mut self, to: LogicalNs, sees: &mut dyn FnMut(&Stepped<'_>)) -> Result<Moved, PlayerError> {
        let to = to.min(self.span.1);
        let moved = self.run(Until::Instant(instant(to)), u64::MAX, &mut |s| {
            sees(s);
            true
        })?;
        self.now = self.now.max(to);
        Ok(moved)
    }

    /// To the last keyframe before an instant, or to the start.
    fn go_back(&mut self, before: Option<LogicalNs>) -> Result<(), PlayerError> {
        self.held.is_full = false;
        self.ended = false;
        self.walk.seek(&mut self.recording, before)?;
        self.reread();
        Ok(())
    }

    /// Takes records until an input lies beyond `until`, `steps_max` inputs are stepped, or `sees` has seen enough.
    fn run(&mut self, until: Until, steps_max: u64, sees: Sees<'_>) -> Result<Moved, PlayerError> {
        let mut moved = Moved::default();
        let mut enough = false;
        while !self.ended && !enough {
            let held = self.held.is_full.then(|| std::mem::take(&mut self.held));
            let raw = match &held {
                Some(held) => held.raw(),
                None => match self.recording.next_item()? {
                    None => {
                        self.ended = true;
                        break;
                    }
                    Some(Item::Damage(_)) => continue,
                    Some(Item::Record(raw)) => raw,
                },
            };
            if raw.topic == Topic::Input && (until.is_beyond(&raw) || moved.steps == steps_max) {
                moved.more = !until.is_beyond(&raw);
                match held {
                    Some(held) => self.held = held,
                    None => self.held.hold(&raw),
                }
                break;
            }
            let Ok(record) = codec::decode(&raw, &mut self.scan) else { continue };
            let walked = self.walk.take(&record).map_err(WalkError::from)?;
            let Record::Input { tag, input } = record else { continue };
            match walked {
                Walked::Stepped => {
                    moved.steps += 1;
                    let (out, machine) = (self.walk.out(), self.walk.machine());
                    enough = !sees(&Stepped { tag, input, out, machine });
                }
                Walked::Skipped => moved.skipped += 1,
                Walked::Passed => {}
            }
        }
        moved.ended = self.ended;
        self.reread();
        Ok(moved)
    }

    /// Another set of rules may be in force here.
    fn reread(&mut self) {
        if self.book_of != self.walk.in_force() {
            self.walk.in_force().clone_into(&mut self.book_of);
            let files = canon::decode_files(&self.book_of).unwrap_or_default();
            self.book = Rulebook::new(self.walk.workshop().site(), &files);
        }
    }
}

/// An instant as the log's records bear it.
fn instant(at: LogicalNs) -> u64 {
    u64::try_from(at.0).unwrap_or(0)
}

#[cfg(test)]
mod tests;
