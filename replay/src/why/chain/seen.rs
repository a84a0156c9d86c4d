//! What running the code again shows of the time before a command: the frames that moved its people, and how the
//! sensors did that it hangs on.

use super::super::WhyError;
use crate::drive::walk::{Walk, Walked};
use crate::drive::{Ticker, Watch, Workshop};
use crate::trace::codec::{self, Record};
use crate::trace::read::Item;
use crate::trace::recording::Recording;
use crate::words;
use crate::words::counted;
use osmose_model::command::{Command, Entity};
use osmose_model::geometry::Place;
use osmose_model::ids::{SensorId, TrackId, ZoneId};
use osmose_model::input::Tag;
use osmose_model::observation::ScanBuf;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::WorldView;
use osmose_rules::eval::explain::Gauge;
use std::collections::{BTreeMap, VecDeque};

/// How far before a command the frames that moved its people are looked for.
const BEFORE: DurationNs = DurationNs::from_s(5);
/// Most frames told for one track.
const FRAMES_MAX: usize = 5;
/// How far before a command a sensor's usual delay is learnt from.
pub(super) const USUAL: DurationNs = DurationNs::from_s(60);
/// What arrives this many times later than usual, and [`SLOW`] at least, is told as late.
const SLOW_TIMES: i64 = 3;
/// What arrives sooner than this is never late.
const SLOW: DurationNs = DurationNs::from_ms(20);

/// A frame that moved somebody.
pub(super) struct Frame {
    pub(super) tag: Tag,
    pub(super) sensor: SensorId,
    pub(super) measured: LogicalNs,
    pub(super) source_seq: Option<u64>,
    pub(super) track: TrackId,
    pub(super) from: Option<Place>,
    pub(super) to: Place,
}

/// What a sensor did in the stretch before a command.
#[derive(Default)]
pub(super) struct Lately {
    /// From measured to arrived, of each of its inputs.
    pub(super) delays: Vec<DurationNs>,
    pub(super) heard_at: Option<LogicalNs>,
    /// The longest between two of its inputs, or between the last and the command; and when it began.
    pub(super) silence: (DurationNs, LogicalNs),
    /// Its latest reading, in words, and since when it has been that one (`None`: since before the stretch).
    pub(super) reading: Option<(String, Option<LogicalNs>)>,
    pub(super) alive: Option<Tri>,
    pub(super) verdict: &'static str,
}

impl Lately {
    pub(super) fn usual(&self) -> Option<DurationNs> {
        let mut all = self.delays.clone();
        all.sort_unstable();
        all.get(all.len().checked_sub(1)? / 2).copied()
    }

    /// How late a delay is against the usual one; `None` where it is not.
    pub(super) fn lateness(&self, delay: DurationNs) -> Option<String> {
        let usual = self.usual()?;
        let is_late = delay >= SLOW && delay.0 > usual.0.saturating_mul(SLOW_TIMES);
        is_late.then(|| {
            format!(
                "it arrived {} after it was measured, where {} were usual before",
                words::span(delay),
                words::span(usual)
            )
        })
    }

    fn heard(&mut self, tag: Tag, measured: LogicalNs) {
        let silence = self.heard_at.map_or(DurationNs::ZERO, |at| tag.at.since(at));
        if let Some(at) = self.heard_at.filter(|_| silence > self.silence.0) {
            self.silence = (silence, at);
        }
        self.heard_at = Some(tag.at);
        self.delays.push(tag.at.since(measured));
    }
}

/// What running the code again shows of the time before a command.
pub(super) struct Seen {
    pub(super) frames: Vec<Frame>,
    pub(super) sensors: BTreeMap<SensorId, Lately>,
    pub(super) wall: words::Tied,
    pub(super) caution: Option<String>,
}

/// The last frames that moved the command's people, newest first, and how the sensors did that it hangs on, by running
/// the code again; and what is to be known about that.
pub(super) fn before(
    recording: &mut Recording,
    command: &Command,
    tracks: &[TrackId],
    watch: &mut dyn Watch,
) -> Result<Seen, WhyError> {
    recording.rewind()?;
    let mut walk = Walk::begin(recording, Some(command.at.minus(USUAL)))?;
    let mut seen: BTreeMap<TrackId, (LogicalNs, Place)> = BTreeMap::new();
    let mut found: BTreeMap<TrackId, VecDeque<Frame>> = BTreeMap::new();
    let mut sensors: BTreeMap<SensorId, Lately> = BTreeMap::new();
    let mut scan = ScanBuf::new();
    let from = command.at.minus(USUAL);
    let mut ticker = Ticker::new(watch);
    while let Some(item) = ticker.next_item(recording)? {
        let Item::Record(raw) = item else { continue };
        let Ok(record) = codec::decode(&raw, &mut scan) else { continue };
        let input = if let Record::Input { tag, input } = &record { Some((*tag, *input)) } else { None };
        let walked = walk.take(&record)?;
        let Some((tag, input)) = input else { continue };
        if walked == Walked::Stepped {
            let view = walk.machine().view();
            if let Some(o) = input.observation().filter(|_| tag.at >= from) {
                let lately = sensors.entry(o.sensor).or_default();
                lately.heard(tag, o.measured);
                let reading =
                    view.sensor(o.sensor).reading.map(|r| words::reading(walk.workshop().site(), o.sensor, &r));
                let is_new = lately.reading.as_ref().map(|(r, _)| r) != reading.as_ref();
                if is_new {
                    let since = lately.reading.is_some().then_some(o.measured);
                    lately.reading = reading.map(|r| (r, since));
                }
            }
            for track in tracks {
                let Some(o) = view.occupant(*track) else { continue };
                let before = seen.insert(*track, (o.seen_at, o.place));
                let Some(observation) = input.observation() else { continue };
                let is_near = tag.at >= command.at.minus(BEFORE) && tag.seq != command.id.seq;
                if is_near && before.is_none_or(|(at, place)| at != o.seen_at || place != o.place) {
                    let list = found.entry(*track).or_default();
                    list.push_front(Frame {
                        tag,
                        sensor: observation.sensor,
                        measured: observation.measured,
                        source_seq: observation.source_seq,
                        track: *track,
                        from: before.map(|b| b.1),
                        to: o.place,
                    });
                    list.truncate(FRAMES_MAX);
                }
            }
        }
        if tag.seq >= command.id.seq {
            break;
        }
    }
    let mut frames: Vec<Frame> = found.into_values().flatten().collect();
    frames.sort_by_key(|f| std::cmp::Reverse(f.tag.seq));
    let sensors = concerned(&walk, command, tracks, &frames, sensors);
    let view = walk.machine().view();
    let (wall, caution) = (view.wall().map(|w| (view.now(), w)), caution(&walk, command));
    Ok(Seen { frames, sensors, wall, caution })
}

/// The sensors that a command hangs on: whose input decided, whose frames moved its people, and those that its rule
/// reads; with what is known of them at the command.
fn concerned(
    walk: &Walk,
    command: &Command,
    tracks: &[TrackId],
    frames: &[Frame],
    mut all: BTreeMap<SensorId, Lately>,
) -> BTreeMap<SensorId, Lately> {
    let view = walk.machine().view();
    let mut wanted: Vec<SensorId> = frames.iter().map(|f| f.sensor).chain(command.cause.sensor).collect();
    if let Some(rule) = command.rule {
        let explained = walk.machine().rules().explain(rule, tracks, &view);
        let bound = |zone: &ZoneId| command.cause.bindings.iter().any(|(_, e)| *e == Entity::Zone(*zone));
        let own = explained.iter().filter(|e| e.bindings.iter().all(|(_, z)| bound(z)));
        wanted.extend(own.flat_map(|e| &e.parts).flat_map(|p| &p.gauges).filter_map(|g| match g {
            Gauge::Sensor { sensor, .. } => Some(*sensor),
            _ => None,
        }));
    }
    all.retain(|id, _| wanted.contains(id));
    for id in wanted {
        let (status, lately) = (view.sensor(id), all.entry(id).or_default());
        if lately.reading.is_none() {
            lately.reading = status.reading.map(|r| (words::reading(walk.workshop().site(), id, &r), None));
        }
        lately.heard_at = status.heard_at;
        lately.alive = Some(view.alive(id));
        lately.verdict = if status.health.compared > 0 { status.health.verdict.as_str() } else { "" };
        if let Some(at) = status.heard_at
            && command.at.since(at) > lately.silence.0
        {
            lately.silence = (command.at.since(at), at);
        }
    }
    all
}

fn caution(walk: &Walk, command: &Command) -> Option<String> {
    let again = walk.out().commands.iter().any(|c| c == command);
    if walk.skipped > 0 {
        Some(format!("not run, because behind a hole before the command: {}", counted(walk.skipped, "input")))
    } else if !again {
        let now = "run again, the code does not decide this command here: recomputed links are what it would see now";
        Some(now.to_owned())
    } else {
        None
    }
}
