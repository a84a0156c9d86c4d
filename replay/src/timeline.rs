//! A recording at a glance: how many people were where, what devices were told, and every instant worth going to.
//!
//! One pass over the records, without running the core (it is taken back once, where the recording begins inside a log): a day takes seconds, so whoever shows it reads it in a thread
//! of its own. People are counted from the recorded events: who appeared, entered, left and was lost.

use crate::drive::walk::{Walk, WalkError};
use crate::drive::{Osmose, Ticker, Watch, Workshop};
use crate::rulebook::Rulebook;
use crate::trace::codec::{self, RECORDER_LOST, Record};
use crate::trace::format::Topic;
use crate::trace::read::{Item, RawRecord};
use crate::trace::recording::{Items, Recording};
use crate::words;
use crate::words::counted;
use osmose_core::clock::WallClock;
use osmose_model::canon;
use osmose_model::command::{Command, CommandId, Trigger};
use osmose_model::ids::{ActuatorId, RuleId, SensorId, TrackId, ZoneId};
use osmose_model::input::{Anchor, GapReason, Input, OperatorAction, ShedReason, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::{EventKind, WallTime, WorldEvent, WorldView};
use std::collections::BTreeMap;
use std::path::Path;

mod lanes;
#[cfg(test)]
mod tests;

pub(crate) use lanes::Whereabouts;
pub use lanes::{DeviceLane, Lane};

/// Most marks kept; beyond, they are counted.
pub const MARKS_MAX: usize = 200_000;
/// Most columns.
pub const BINS_MAX: usize = 10_000;
/// What a mark is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MarkKind {
    /// A rule, a device's default or an operator sent a command in time (or it is not recorded how long it took).
    Command,
    /// A command was handed over after its rule's deadline (where it has none, after the engine's budget).
    Late,
    /// A person at the controls did something.
    Operator,
    /// Rules were installed.
    Rules,
    /// A sensor that is to speak was silent for too long; `until` says when it was heard again.
    Dead,
    /// Inputs did not get in.
    Shed,
    /// A stretch is missing: declared by the engine, lost by the recorder, or damaged in the file.
    Gap,
    /// Two people's identities may have changed places.
    Swapped,
}

impl MarkKind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Late => "late",
            Self::Operator => "operator",
            Self::Rules => "rules",
            Self::Dead => "dead",
            Self::Shed => "shed",
            Self::Gap => "gap",
            Self::Swapped => "swapped",
        }
    }
}

/// An instant worth going to.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// When.
    pub at: LogicalNs,
    /// Until when, of what has a length and an end.
    pub until: Option<LogicalNs>,
    /// The input that it came of, where it came of one.
    pub seq: Option<u64>,
    /// What it is about.
    pub kind: MarkKind,
    /// In words: what, and for a command why.
    pub text: String,
    /// The command.
    pub command: Option<CommandId>,
    /// The rule's name.
    pub rule: Option<String>,
    /// The rule's level.
    pub level: Option<String>,
    /// The rank of that level, 0 the highest.
    pub rank: Option<u8>,
    /// Whom it is about.
    pub track: Option<TrackId>,
    /// Which room.
    pub zone: Option<ZoneId>,
    /// Which device.
    pub device: Option<ActuatorId>,
    /// Which sensor.
    pub sensor: Option<SensorId>,
    /// How long a command took from its input read to handed over, where a running engine recorded it.
    pub took: Option<DurationNs>,
    /// The deadline of its rule, where it has none the engine's budget.
    pub deadline: Option<DurationNs>,
}

impl Mark {
    fn new(kind: MarkKind, at: LogicalNs, seq: Option<u64>, text: String) -> Self {
        Self {
            at,
            until: None,
            seq,
            kind,
            text,
            command: None,
            rule: None,
            level: None,
            rank: None,
            track: None,
            zone: None,
            device: None,
            sensor: None,
            took: None,
            deadline: None,
        }
    }
}

/// A recording at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// First and last instant.
    pub span: (LogicalNs, LogicalNs),
    /// An instant and its local wall-clock time, where the log has one.
    pub wall: Option<(LogicalNs, WallTime)>,
    /// Columns of every lane.
    pub bins: usize,
    /// How many people were where, by zone; zones where nobody ever was are left out.
    pub lanes: Vec<Lane>,
    /// What devices were, by device; those that nothing is known of are left out.
    pub devices: Vec<DeviceLane>,
    /// Instants worth going to, ascending by time.
    pub marks: Vec<Mark>,
    /// Marks beyond the kept ones.
    pub more: u64,
}

impl Timeline {
    /// Reads a trace, or a folder of them, into so many columns.
    ///
    /// # Errors
    /// [`WalkError`].
    pub fn read(path: &Path, bins: usize, watch: &mut dyn Watch) -> Result<Self, WalkError> {
        let mut recording = Recording::open(path)?;
        if !recording.meta().has_decisions {
            return Err(WalkError::Import);
        }
        let site = Osmose::of_files(recording.files())?.site().clone();
        let span = recording.span()?.unwrap_or_default();
        let mut reading = Reading::new(&site, span, bins.clamp(1, BINS_MAX));
        // A trace that was cut out of a longer one has its anchor in its head.
        if let Some((at, utc)) = recording.meta().wall
            && let Ok(anchor) = crate::wall::anchor(utc, &site.frame.timezone)
        {
            reading.anchored(at, anchor);
        }
        // So has it who was where, and what sensors had been heard of.
        if let Some(walk) = Walk::opening(&mut recording)? {
            reading.begin(&walk.machine().view());
        }
        let (mut scan, mut ticker) = (ScanBuf::new(), Ticker::new(watch));
        while let Some(item) = ticker.next_item(&mut recording)? {
            match item {
                Item::Damage(damage) => reading.damage(&damage.to_string()),
                Item::Record(raw) => reading.raw(&raw, &mut scan),
            }
        }
        if let Some(sentence) = recording.ending().render() {
            reading.damage(&sentence);
        }
        Ok(reading.finish())
    }

    /// The first mark after an instant that is wanted.
    pub fn next(&self, at: LogicalNs, wanted: impl Fn(&Mark) -> bool) -> Option<&Mark> {
        let first = self.marks.partition_point(|m| m.at <= at);
        self.marks[first..].iter().find(|m| wanted(m))
    }

    /// The last mark before an instant that is wanted.
    pub fn previous(&self, at: LogicalNs, wanted: impl Fn(&Mark) -> bool) -> Option<&Mark> {
        let end = self.marks.partition_point(|m| m.at < at);
        self.marks[..end].iter().rev().find(|m| wanted(m))
    }

    /// The mark of a command.
    #[must_use]
    pub fn mark_of(&self, id: CommandId) -> Option<&Mark> {
        self.marks.iter().find(|m| m.command == Some(id))
    }

    /// The column of an instant.
    #[must_use]
    pub fn bin_of(&self, at: LogicalNs) -> usize {
        lanes::bin_of(self.span, self.bins, at)
    }
}

/// What is known on the way.
struct Reading<'s> {
    site: &'s Site,
    book: Rulebook,
    line: Timeline,
    now: LogicalNs,
    people: lanes::People,
    told: lanes::Told,
    clock: WallClock,
    /// By sensor: when it was heard last, and the mark of its silence, where it is silent.
    heard: Vec<(Option<LogicalNs>, Option<usize>)>,
    /// From when on sensors that were never heard are waited for.
    waited_from: LogicalNs,
    /// When silences are looked for next.
    look_at: LogicalNs,
    /// Marks of the commands of the input being read, and the hops of its way through the engine.
    pending: Vec<usize>,
    hops_ns: BTreeMap<u32, u64>,
}

/// Silences are looked for this often.
const LOOK_EVERY: DurationNs = DurationNs::from_ms(20);

impl<'s> Reading<'s> {
    fn new(site: &'s Site, span: (LogicalNs, LogicalNs), bins: usize) -> Self {
        let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
        let line =
            Timeline { span, wall: None, bins, lanes: Vec::new(), devices: Vec::new(), marks: Vec::new(), more: 0 };
        Self {
            site,
            book: Rulebook::new(site, &rules),
            line,
            now: span.0,
            people: lanes::People::new(site, span, bins),
            told: lanes::Told::new(site),
            clock: WallClock::default(),
            heard: vec![(None, None); site.sensors.len()],
            waited_from: span.0,
            look_at: span.0,
            pending: Vec::new(),
            hops_ns: BTreeMap::new(),
        }
    }

    /// What was so already where the recording begins.
    fn begin(&mut self, view: &dyn WorldView) {
        self.people.begin(view);
        self.told.begin(self.line.span.0, view);
        // Whoever was not heard by now never was.
        self.waited_from = LogicalNs(0);
        for (heard, sensor) in self.heard.iter_mut().zip(&self.site.sensors) {
            heard.0 = view.sensor(sensor.id).heard_at;
        }
    }

    fn mark(&mut self, mark: Mark) -> Option<usize> {
        if self.line.marks.len() == MARKS_MAX {
            self.line.more += 1;
            return None;
        }
        self.line.marks.push(mark);
        Some(self.line.marks.len() - 1)
    }

    fn damage(&mut self, text: &str) {
        self.mark(Mark::new(MarkKind::Gap, self.now, None, text.to_owned()));
    }

    fn raw(&mut self, raw: &RawRecord<'_>, scan: &mut ScanBuf) {
        // States and digests say nothing here, and are most of the bytes.
        if matches!(raw.topic, Topic::Keyframe | Topic::Digest | Topic::Name) {
            return;
        }
        match codec::decode(raw, scan) {
            Ok(record) => self.record(raw.sequence, &record),
            Err(why) => self.damage(&format!("a record cannot be read: {why}")),
        }
    }

    fn record(&mut self, low: u32, record: &Record<'_>) {
        match record {
            Record::Input { tag, input } => self.input(*tag, input),
            Record::Event { tag, event } => self.event(*tag, event),
            Record::Command(c) => self.command(c),
            Record::Latency(l) if l.count == 1 && !self.pending.is_empty() => {
                *self.hops_ns.entry(low).or_default() += l.max_ns;
            }
            Record::Counter(c) if c.reason == RECORDER_LOST => {
                self.damage(&format!("the recorder lost {}", counted(c.count, "record")));
            }
            _ => {}
        }
    }

    fn input(&mut self, tag: Tag, input: &Input<'_>) {
        self.settle();
        self.now = tag.at;
        if tag.at >= self.look_at {
            self.look_for_silence(tag.at);
            self.look_at = tag.at.plus(LOOK_EVERY);
        }
        let (at, seq) = (tag.at, Some(tag.seq.0));
        match input {
            Input::Observation(o) => self.hear(o.sensor, tag.at),
            Input::Anchor(anchor) => self.anchored(at, *anchor),
            Input::Report(report) => self.told.reported(at, report),
            Input::RulesInstalled { files } => {
                let files = canon::decode_files(files).unwrap_or_default();
                let names: Vec<&str> = files.iter().map(|f| f.path.as_str()).collect();
                self.mark(Mark::new(MarkKind::Rules, at, seq, format!("rules installed: {}", names.join(", "))));
                self.book = Rulebook::new(self.site, &files);
            }
            Input::Shed(shed) => {
                let text =
                    format!("{}: {} {}", words::sensor(self.site, shed.sensor), shed.count, shed_words(shed.reason));
                let mark = Mark::new(MarkKind::Shed, at, seq, text);
                self.mark(Mark { sensor: Some(shed.sensor), ..mark });
            }
            Input::Gap(gap) => {
                let why = match gap.reason {
                    GapReason::Down => "the engine was not running",
                    GapReason::Journal => "the disk stalled",
                };
                let lost = if gap.lost > 0 { format!(", {} lost", counted(gap.lost, "input")) } else { String::new() };
                let mark = Mark::new(MarkKind::Gap, gap.from, seq, format!("{why}{lost}"));
                self.mark(Mark { until: Some(at), ..mark });
            }
            Input::Operator(action) => self.operator(tag, action),
            Input::Tick | Input::SiteInstalled { .. } | Input::Named { .. } => {}
        }
    }

    fn anchored(&mut self, at: LogicalNs, anchor: Anchor) {
        self.clock.set(at, anchor);
        if self.line.wall.is_none() {
            self.line.wall = self.clock.at(at).map(|w| (at, w));
        }
    }

    fn operator(&mut self, tag: Tag, action: &OperatorAction) {
        let (text, device) = match action {
            OperatorAction::Act { actuator, verb, .. } => {
                (format!("an operator: {}.{verb}()", words::device(self.site, *actuator)), Some(*actuator))
            }
            OperatorAction::RuleOff { rule, until, because } => {
                (format!("an operator switched {rule} off until {}: {because}", words::seconds(*until)), None)
            }
            OperatorAction::Mode { mode, value } => (format!("an operator set {mode} to {value}"), None),
            OperatorAction::Reset { rule } => (format!("an operator reset {rule}"), None),
        };
        let mark = Mark::new(MarkKind::Operator, tag.at, Some(tag.seq.0), text);
        self.mark(Mark { device, ..mark });
    }

    fn event(&mut self, tag: Tag, event: &WorldEvent) {
        self.people.event(self.site, tag.at, event);
        if event.kind == EventKind::Swapped {
            let mark = Mark::new(MarkKind::Swapped, tag.at, Some(tag.seq.0), words::event(self.site, event));
            self.mark(Mark { track: Some(event.track), ..mark });
        }
    }

    fn command(&mut self, c: &Command) {
        self.told.commanded(self.site, c);
        let text = format!("{}: {}", words::command(self.site, c), words::cause(self.site, &c.cause));
        let (track, at_zone) = match c.cause.trigger {
            Trigger::Event { track, zone, .. } => (Some(track), zone),
            _ => (None, None),
        };
        let device_zone = self.site.actuators.get(c.device.index()).and_then(|a| a.zone);
        let info = |rule: RuleId| self.book.program().and_then(|p| p.rule(rule));
        let own = c.rule.and_then(info);
        let budget = DurationNs::from_us(i64::from(self.site.engine.budget_us));
        let mark = Mark {
            command: Some(c.id),
            rule: c.rule.map(|r| self.book.name(r)),
            level: c.rule.and_then(|r| self.book.level(r)).map(str::to_owned),
            rank: own.map(|r| r.level.0),
            track,
            zone: device_zone.or(at_zone),
            device: Some(c.device),
            sensor: c.cause.sensor,
            deadline: Some(own.and_then(|r| r.deadline).map_or(budget, |(d, _)| d)),
            ..Mark::new(MarkKind::Command, c.at, Some(c.id.seq.0), text)
        };
        let place = self.mark(mark);
        self.pending.extend(place);
    }

    /// The commands of an input are all there, and so is how long they took.
    fn settle(&mut self) {
        for i in self.pending.drain(..) {
            let mark = &mut self.line.marks[i];
            let low = mark.seq.unwrap_or(0) as u32;
            mark.took = self.hops_ns.get(&low).map(|ns| DurationNs(i64::try_from(*ns).unwrap_or(i64::MAX)));
            if mark.took > mark.deadline && mark.took.is_some() {
                mark.kind = MarkKind::Late;
            }
        }
        self.hops_ns.clear();
    }

    fn hear(&mut self, sensor: SensorId, at: LogicalNs) {
        let Some((heard, silence)) = self.heard.get_mut(sensor.index()) else { return };
        *heard = Some(at);
        if let Some(i) = silence.take() {
            self.line.marks[i].until = Some(at);
        }
    }

    /// Sensors that have been silent for longer than they may be.
    fn look_for_silence(&mut self, now: LogicalNs) {
        for i in 0..self.heard.len() {
            let sensor = &self.site.sensors[i];
            let (heard, None) = self.heard[i] else { continue };
            let Some(most) = sensor.silence_max() else { continue };
            let dead_at = heard.unwrap_or(self.waited_from).plus(most);
            if now < dead_at {
                continue;
            }
            let text = match heard {
                Some(at) => format!("{} is silent: last heard at {}", sensor.name, words::seconds(at)),
                None => format!("{} was never heard", sensor.name),
            };
            let mark = Mark::new(MarkKind::Dead, dead_at.max(self.line.span.0), None, text);
            self.heard[i].1 = self.mark(Mark { sensor: Some(sensor.id), ..mark });
        }
    }

    fn finish(mut self) -> Timeline {
        self.settle();
        self.look_for_silence(self.now);
        self.line.lanes = self.people.finish(self.now);
        self.line.devices = self.told.finish();
        // What has a beginning in the past (a gap, a silence) was found at its end.
        self.line.marks.sort_by_key(|m| (m.at, m.seq));
        self.line
    }
}

const fn shed_words(reason: ShedReason) -> &'static str {
    match reason {
        ShedReason::Replaced => "replaced by newer ones",
        ShedReason::Full => "did not get in: its ring was full",
        ShedReason::TooLate => "came too late to be used",
        ShedReason::Missing => "lost before they got here",
    }
}
