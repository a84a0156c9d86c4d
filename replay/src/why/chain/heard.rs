//! What a trace says up to and at a command: the command, what its input was, what happened to its people.

use super::super::WhyError;
use crate::drive::{Ticker, Watch};
use crate::trace::codec::{self, Record};
use crate::trace::format::Topic;
use crate::trace::read::{Item, RawRecord};
use crate::trace::recording::Recording;
use osmose_model::command::{Command, CommandId};
use osmose_model::ids::{SensorId, TrackId};
use osmose_model::input::{Input, Report, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::{EventKind, WorldEvent};
use std::collections::BTreeMap;

/// A device that says nothing of itself for this long after a command has not answered it.
pub const ANSWER_MAX: DurationNs = DurationNs::from_s(10);
/// Most tracks whose events are remembered on the way to the command.
const TRACKS_MAX: usize = 100_000;

/// What the trace says up to and at the command.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) command: Option<Command>,
    /// The files of the last installation before it.
    pub(super) rules: Option<Vec<u8>>,
    /// Of each track: the last event of each kind.
    pub(super) tracks: BTreeMap<TrackId, BTreeMap<EventKind, (Tag, WorldEvent)>>,
    /// Events of the deciding input.
    pub(super) events: Vec<(Tag, WorldEvent)>,
    pub(super) deciding: Option<Deciding>,
    pub(super) hops: Vec<(String, u64)>,
    /// What the device said of itself first, afterwards.
    pub(super) answered: Option<(LogicalNs, String)>,
    pub(super) last: Option<CommandId>,
}

/// The input that decided.
#[derive(Clone, Copy)]
pub(super) struct Deciding {
    pub(super) tag: Tag,
    pub(super) sensor: Option<SensorId>,
    pub(super) measured: LogicalNs,
    pub(super) source_seq: Option<u64>,
    pub(super) what: &'static str,
}

fn deciding(tag: Tag, input: &Input<'_>) -> Deciding {
    let what = match input {
        Input::Observation(o) => o.body.kind().as_str(),
        Input::Tick => "a timer was due",
        Input::Anchor(_) => "the wall clock was set",
        Input::Report(_) => "a device's report",
        Input::RulesInstalled { .. } => "rules were installed",
        Input::Gap(_) => "a gap",
        Input::Operator(_) => "an operator's action",
        Input::SiteInstalled { .. } | Input::Named { .. } | Input::Shed(_) => "a note",
    };
    let o = input.observation();
    let measured = o.map_or(tag.at, |o| o.measured);
    Deciding { tag, sensor: o.map(|o| o.sensor), measured, source_seq: input.source_seq(), what }
}

impl Heard {
    /// Nanoseconds from the input read to the command handed over, where a running engine recorded them.
    pub(super) fn total_ns(&self) -> Option<u64> {
        (!self.hops.is_empty()).then(|| self.hops.iter().map(|(_, ns)| ns).sum())
    }

    /// An input that the command did not come of. False where nothing more is to be heard.
    fn other_input(&mut self, raw: &RawRecord<'_>, id: CommandId, scan: &mut ScanBuf) -> bool {
        let low = id.seq.0 as u32;
        let is_behind = raw.sequence.wrapping_sub(low) < u32::MAX / 2;
        // Most of a trace are inputs of no interest: their number is in the record's head, and an installation of
        // rules is larger than any tick.
        if !is_behind && !may_install(raw.data) {
            return true;
        }
        let Ok(Record::Input { tag, input }) = codec::decode(raw, scan) else { return true };
        if tag.seq < id.seq {
            if let Input::RulesInstalled { files } = input {
                self.rules = Some(files.to_owned());
            }
            return true;
        }
        let Some(command) = &self.command else { return false };
        match input {
            Input::Report(report) if report.actuator == command.device => {
                self.answered = Some((tag.at, answer(&report)));
                false
            }
            _ => tag.at <= command.at.plus(ANSWER_MAX),
        }
    }

    fn record(&mut self, record: Record<'_>, low: u32, id: CommandId) {
        match record {
            Record::Input { tag, input } if tag.seq == id.seq => {
                if let Input::RulesInstalled { files } = input {
                    self.rules = Some(files.to_owned());
                }
                self.deciding = Some(deciding(tag, &input));
            }
            Record::Event { tag, event } if tag.seq <= id.seq => {
                if tag.seq == id.seq {
                    self.events.push((tag, event));
                }
                if self.tracks.len() < TRACKS_MAX || self.tracks.contains_key(&event.track) {
                    self.tracks.entry(event.track).or_default().insert(event.kind, (tag, event));
                }
            }
            Record::Command(c) if c.id == id => self.command = Some(*c),
            Record::Command(c) if c.id < id => self.last = Some(c.id),
            Record::Latency(l) if low == id.seq.0 as u32 && l.count == 1 => {
                self.hops.push((l.hop.to_owned(), l.max_ns));
            }
            _ => {}
        }
    }
}

fn answer(report: &Report) -> String {
    // Names of people and zones are of no device's own state.
    let value = match report.value {
        osmose_model::command::Value::Name(n) => n.to_string(),
        osmose_model::command::Value::Number(x) => x.to_string(),
        osmose_model::command::Value::Bool(b) => b.to_string(),
        other => format!("{other:?}"),
    };
    format!("{} {value}", report.property)
}

/// Reads up to the command, what its input made, and what its device answered; from so long before it, where that is
/// given, else from the start.
pub(super) fn listen(
    recording: &mut Recording,
    id: CommandId,
    back: Option<DurationNs>,
    watch: &mut dyn Watch,
) -> Result<Heard, WhyError> {
    let mut heard = Heard::default();
    if let Some(back) = back
        && let Some(at) = recording.instant_of(id.seq)?
        && let Some(sought) = recording.seek_before(at.minus(back))?
    {
        heard.rules = sought.rules;
    } else {
        recording.rewind()?;
    }
    let (mut scan, low) = (ScanBuf::new(), id.seq.0 as u32);
    let mut ticker = Ticker::new(watch);
    while let Some(item) = ticker.next_item(recording)? {
        let Item::Record(raw) = item else { continue };
        if raw.topic == Topic::Input && raw.sequence != low {
            if !heard.other_input(&raw, id, &mut scan) {
                break;
            }
            continue;
        }
        let Ok(record) = codec::decode(&raw, &mut scan) else { continue };
        heard.record(record, raw.sequence, id);
    }
    Ok(heard)
}

/// Whether an input may be an installation of rules: those carry the text of files.
fn may_install(data: &[u8]) -> bool {
    const EDITION: &[u8] = b".rules";
    data.len() > 64 && data.windows(EDITION.len()).any(|w| w == EDITION)
}
