//! To the next or the last input, scan or event.
//!
//! Forwards is stepping on. Backwards no core can go: what is wanted is looked for in the records from the last
//! keyframe on, and then gone to from there, so that it costs what a seek costs.

use super::{Moved, Player, PlayerError, Until};
use crate::trace::codec::{self, Record};
use crate::trace::format::Topic;
use crate::trace::read::{Item, RawRecord};
use crate::trace::recording::Items;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::{Body, ScanBuf};
use osmose_model::time::LogicalNs;

/// What somebody steps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landmark {
    /// Any input.
    Input,
    /// A sensor's word of where people are: a scan, or a fix.
    Scan,
    /// Something that happened: an event, a command, an operator's act, a gap.
    Event,
}

impl Landmark {
    /// Whether an input is one by itself.
    fn is_input(self, input: &Input<'_>) -> bool {
        match self {
            Self::Input => true,
            Self::Scan => input
                .observation()
                .is_some_and(|o| matches!(o.body, Body::Position(_) | Body::Points(_) | Body::Location { .. })),
            Self::Event => matches!(input, Input::Operator(_) | Input::Gap(_) | Input::RulesInstalled { .. }),
        }
    }

    /// Whether a record makes the input that it stands behind one.
    fn is_record(self, record: &Record<'_>) -> bool {
        match record {
            Record::Input { input, .. } => self.is_input(input),
            Record::Event { .. } | Record::Command(_) => self == Self::Event,
            _ => false,
        }
    }
}

impl Player {
    /// To the next landmark; where there is none, to the end.
    ///
    /// # Errors
    /// [`PlayerError`].
    pub fn forward(&mut self, landmark: Landmark) -> Result<Moved, PlayerError> {
        self.pace.restart();
        let moved = self.run(Until::Instant(u64::MAX), u64::MAX, &mut |s| {
            let decided = landmark == Landmark::Event && !(s.out.events.is_empty() && s.out.commands.is_empty());
            !(decided || landmark.is_input(&s.input))
        })?;
        self.now = if moved.ended { self.span.1 } else { self.last().at.max(self.now) };
        Ok(moved)
    }

    /// To the last landmark before the one that the playhead stands at; where there is none, to the start.
    ///
    /// # Errors
    /// [`PlayerError`].
    pub fn backward(&mut self, landmark: Landmark) -> Result<Moved, PlayerError> {
        self.pace.restart();
        let Some(tag) = self.landmark_before(landmark, self.last())? else {
            self.go_back(None)?;
            self.now = self.span.0;
            return self.run(Until::Instant(super::instant(self.span.0)), u64::MAX, &mut |_| true);
        };
        self.go_to(tag)
    }

    /// Goes to behind an input.
    fn go_to(&mut self, tag: Tag) -> Result<Moved, PlayerError> {
        // The keyframe of the instant before is older than the input, whichever of its instant it is.
        self.go_back(Some(tag.at))?;
        let moved = self.run(Until::Input(tag.seq.0 as u32), u64::MAX, &mut |_| true)?;
        self.now = tag.at;
        Ok(moved)
    }

    /// The last landmark before an input, by the records alone: keyframe by keyframe backwards.
    fn landmark_before(&mut self, landmark: Landmark, before: Tag) -> Result<Option<Tag>, PlayerError> {
        let mut end = before;
        self.held.is_full = false;
        loop {
            let begin = self.recording.seek_before(end.at)?;
            if begin.is_none() {
                self.recording.rewind()?;
            }
            let first = begin.as_ref().map_or(0, |b| b.log_time);
            let (found, first_tag) = self.last_in_stretch(landmark, end, first)?;
            if found.is_some() || begin.is_none() {
                return Ok(found);
            }
            end = first_tag.map_or(Tag { at: LogicalNs(i64::try_from(first).unwrap_or(0)), ..end }, |t| t.min(end));
        }
    }

    /// The last landmark from where the recording stands up to an input, and the first input met from `first` on.
    fn last_in_stretch(
        &mut self,
        landmark: Landmark,
        end: Tag,
        first: u64,
    ) -> Result<(Option<Tag>, Option<Tag>), PlayerError> {
        let (mut found, mut current, mut first_tag) = (None, None, None);
        let mut scan = ScanBuf::new();
        while let Some(item) = self.recording.next_item()? {
            let Item::Record(raw) = item else { continue };
            if raw.log_time < first || !is_of_interest(&raw) {
                continue;
            }
            let Ok(record) = codec::decode(&raw, &mut scan) else { continue };
            if let Record::Input { tag, .. } = &record {
                if tag.seq >= end.seq {
                    break;
                }
                current = Some(*tag);
                first_tag.get_or_insert(*tag);
            }
            if landmark.is_record(&record) {
                found = current.or(found);
            }
        }
        Ok((found, first_tag))
    }
}

fn is_of_interest(raw: &RawRecord<'_>) -> bool {
    matches!(raw.topic, Topic::Input | Topic::Event | Topic::Command)
}
