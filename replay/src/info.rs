//! `osmose trace info`: what is in a trace, from one pass over it.

use crate::drive::{Ticker, Watch};
use crate::trace::codec::{self, RECORDER_LOST, Record};
use crate::trace::format::Meta;
use crate::trace::read::{Damage, Ending, Item, OpenError, RawRecord, ReadCounts};
use crate::trace::recording::{Items, Recording, RecordingError};
use crate::wall::{LogClock, format_rfc3339};
use crate::words::counted;
use osmose_model::digest::Digest;
use osmose_model::ids::{ActuatorId, SensorId, Seq};
use osmose_model::input::{Gap, GapReason, Input, ShedReason, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::Site;
use osmose_model::time::{LogicalNs, UtcNs};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Most gaps and skips listed one by one; beyond, they are counted.
const LISTED_MAX: usize = 1000;

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum InfoError {
    /// The file is no trace.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file or folder is no recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The disk refused.
    #[error("the trace cannot be read on: {0}")]
    Io(#[from] std::io::Error),
}

/// What one sensor said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SensorCount {
    /// Observations.
    pub observations: u64,
    /// Observations that did not get in, by reason.
    pub shed: BTreeMap<&'static str, u64>,
}

/// Numbers missing between two inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The last input before; `None` at the start.
    pub after: Option<Tag>,
    /// The first behind.
    pub before: Tag,
}

/// What is in a trace.
#[derive(Clone, Debug)]
pub struct Info {
    /// Who wrote it, and what of.
    pub meta: Meta,
    /// The site as the attached files make it; `None` where they do not load in this build.
    pub site: Option<Site>,
    /// Attached files and their bytes.
    pub files: Vec<(String, u64)>,
    /// Bytes of the file.
    pub bytes: u64,
    /// First and last input.
    pub span: Option<(Tag, Tag)>,
    /// The first anchor: an instant of the log and its wall-clock time.
    pub wall: Option<(LogicalNs, UtcNs)>,
    /// Inputs by kind.
    pub inputs: BTreeMap<&'static str, u64>,
    /// What each sensor said.
    pub sensors: BTreeMap<SensorId, SensorCount>,
    /// Events by kind.
    pub events: BTreeMap<&'static str, u64>,
    /// Commands by device.
    pub commands: BTreeMap<ActuatorId, u64>,
    /// Records with both digests.
    pub digests: u64,
    /// The last one: input, over the inputs, over the decisions.
    pub last_digest: Option<(Seq, Digest, Digest)>,
    /// Keyframes, and the bytes of the largest.
    pub keyframes: (u64, u64),
    /// Stretches that the engine itself declared missing.
    pub gaps: Vec<(Tag, Gap)>,
    /// Numbers that are missing.
    pub skips: Vec<Skip>,
    /// Gaps and skips beyond the listed ones.
    pub more: u64,
    /// Records that the recorder could not keep up with.
    pub recorder_lost: u64,
    /// Records that this build cannot decode.
    pub undecodable: u64,
    /// Damage to the file.
    pub damage: Vec<Damage>,
    /// How it ended.
    pub ending: Ending,
    /// What was read.
    pub counts: ReadCounts,
}

/// Reads a whole trace.
///
/// # Errors
/// [`InfoError`]; damage is none, it is in the information.
pub fn info(path: &Path) -> Result<Info, InfoError> {
    info_with(path, &mut ())
}

/// The same, while somebody watches how far it is.
///
/// # Errors
/// As [`info`]; where the watch stops it, [`InfoError::Io`].
pub fn info_with(path: &Path, watch: &mut dyn Watch) -> Result<Info, InfoError> {
    survey(Recording::open(path)?, watch, |_, _| {})
}

/// The same over any reader; `see` is shown every record that decodes.
pub(crate) fn survey(
    mut reader: impl Items,
    watch: &mut dyn Watch,
    mut see: impl FnMut(&RawRecord<'_>, &Record<'_>),
) -> Result<Info, InfoError> {
    let files = reader.files();
    let mut info = Info {
        meta: reader.meta().clone(),
        site: osmose_load::load(files).site,
        files: files.iter().map(|f| (f.path.clone(), f.text.len() as u64)).collect(),
        bytes: reader.progress().1,
        span: None,
        wall: reader.meta().wall,
        inputs: BTreeMap::new(),
        sensors: BTreeMap::new(),
        events: BTreeMap::new(),
        commands: BTreeMap::new(),
        digests: 0,
        last_digest: None,
        keyframes: (0, 0),
        gaps: Vec::new(),
        skips: Vec::new(),
        more: 0,
        recorder_lost: 0,
        undecodable: 0,
        damage: Vec::new(),
        ending: Ending::NotReached,
        counts: ReadCounts::default(),
    };
    let (mut scan, mut ticker) = (ScanBuf::new(), Ticker::new(watch));
    while let Some(item) = ticker.next_item(&mut reader)? {
        match item {
            Item::Damage(damage) => info.damage.push(damage),
            Item::Record(raw) => match codec::decode(&raw, &mut scan) {
                Ok(record) => {
                    info.take(&record);
                    see(&raw, &record);
                }
                Err(_) => info.undecodable += 1,
            },
        }
    }
    info.ending = reader.ending().clone();
    info.counts = reader.counts();
    Ok(info)
}

const fn kind(input: &Input<'_>) -> &'static str {
    match input {
        Input::Observation(_) => "observation",
        Input::Tick => "tick",
        Input::Anchor(_) => "anchor",
        Input::Report(_) => "report",
        Input::RulesInstalled { .. } => "rules_installed",
        Input::SiteInstalled { .. } => "site_installed",
        Input::Named { .. } => "named",
        Input::Shed(_) => "shed",
        Input::Gap(_) => "gap",
        Input::Operator(_) => "operator",
    }
}

const fn shed_reason(reason: ShedReason) -> &'static str {
    match reason {
        ShedReason::Replaced => "replaced",
        ShedReason::Full => "full",
        ShedReason::TooLate => "too_late",
        ShedReason::Missing => "missing",
    }
}

const fn gap_reason(reason: GapReason) -> &'static str {
    match reason {
        GapReason::Down => "down",
        GapReason::Journal => "journal",
    }
}

impl Info {
    fn take(&mut self, record: &Record<'_>) {
        match record {
            Record::Input { tag, input } => self.input(*tag, input),
            Record::Event { event, .. } => *self.events.entry(event.kind.as_str()).or_default() += 1,
            Record::Command(c) => *self.commands.entry(c.device).or_default() += 1,
            Record::Digest { seq, input, decision } => {
                self.digests += 1;
                self.last_digest = Some((*seq, *input, *decision));
            }
            Record::Keyframe { tag, state } => {
                self.keyframes = (self.keyframes.0 + 1, self.keyframes.1.max(state.len() as u64));
                // A trace of a resumed log begins with the state before its first input.
                if self.span.is_none() {
                    self.span = Some((*tag, *tag));
                }
            }
            Record::Counter(c) if c.reason == RECORDER_LOST => self.recorder_lost += c.count,
            Record::Counter(_) | Record::Name(_) | Record::Latency(_) => {}
        }
    }

    fn input(&mut self, tag: Tag, input: &Input<'_>) {
        *self.inputs.entry(kind(input)).or_default() += 1;
        let last = self.span.map(|(_, last)| last);
        if tag.seq.0 != last.map_or(1, |l| l.seq.0.wrapping_add(1)) || last.is_some_and(|l| tag.at < l.at) {
            if self.skips.len() < LISTED_MAX {
                self.skips.push(Skip { after: last, before: tag });
            } else {
                self.more += 1;
            }
        }
        self.span = Some((self.span.map_or(tag, |(first, _)| first), tag));
        match input {
            Input::Observation(o) => self.sensors.entry(o.sensor).or_default().observations += 1,
            Input::Shed(s) => {
                *self.sensors.entry(s.sensor).or_default().shed.entry(shed_reason(s.reason)).or_default() += s.count;
            }
            Input::Anchor(a) => _ = self.wall.get_or_insert((tag.at, a.utc)),
            Input::Gap(gap) if self.gaps.len() < LISTED_MAX => self.gaps.push((tag, *gap)),
            Input::Gap(_) => self.more += 1,
            _ => {}
        }
    }

    /// Inputs in all.
    #[must_use]
    pub fn input_count(&self) -> u64 {
        self.inputs.values().sum()
    }

    /// Observations that did not get in, in all.
    #[must_use]
    pub fn shed_count(&self) -> u64 {
        self.sensors.values().flat_map(|s| s.shed.values()).sum()
    }

    /// What is needed to read the times that people type about this trace.
    #[must_use]
    pub fn log_clock(&self) -> LogClock {
        let (first, last) = self.span.unwrap_or_default();
        let timezone = self.site.as_ref().map_or_else(String::new, |s| s.frame.timezone.clone());
        LogClock { tied: self.wall, span: (first.at, last.at), timezone }
    }

    fn utc_at(&self, at: LogicalNs) -> Option<String> {
        self.wall.map(|(tied, utc)| format_rfc3339(UtcNs(utc.0.saturating_add(at.0.saturating_sub(tied.0)))))
    }

    fn sensor_name(&self, id: SensorId) -> String {
        let name = self.site.as_ref().and_then(|s| s.sensors.get(id.index())).map(|s| s.name.clone());
        name.unwrap_or_else(|| format!("sensor {id}"))
    }

    fn device_name(&self, id: ActuatorId) -> String {
        let name = self.site.as_ref().and_then(|s| s.actuators.get(id.index())).map(|a| a.name.clone());
        name.unwrap_or_else(|| format!("device {id}"))
    }

    /// For programs: one object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let seconds = |at: LogicalNs| at.0 as f64 / 1e9;
        let tag = |t: Tag| json!({"seq": t.seq.0, "t_s": seconds(t.at), "utc": self.utc_at(t.at)});
        let sensor = |(id, s): (&SensorId, &SensorCount)| {
            let kind = self.site.as_ref().and_then(|site| site.sensors.get(id.index())).map(|s| s.kind.as_str());
            (self.sensor_name(*id), json!({"kind": kind, "observations": s.observations, "shed": s.shed}))
        };
        let commands = self.commands.iter().map(|(id, n)| (self.device_name(*id), json!(n)));
        let gap = |(t, g): &(Tag, Gap)| json!({"at": tag(*t), "from_s": seconds(g.from), "lost": g.lost, "reason": gap_reason(g.reason)});
        let digest = self.last_digest.map(|(seq, input, decision)| {
            json!({"seq": seq.0, "input_digest": input.to_string(), "decision_digest": decision.to_string()})
        });
        json!({
            "schema_version": self.meta.schema_version,
            "build": {
                "version": self.meta.build.version, "target": self.meta.build.target, "git": self.meta.build.git,
                "sources": self.meta.build.sources,
            },
            "source": self.meta.origin.as_str(),
            "site": self.meta.site,
            "ticks": self.meta.has_ticks,
            "decisions": self.meta.has_decisions,
            "bytes": self.bytes,
            "files": self.files.iter().map(|(path, bytes)| json!({"path": path, "bytes": bytes})).collect::<Vec<_>>(),
            "first": self.span.map(|s| tag(s.0)),
            "last": self.span.map(|s| tag(s.1)),
            "inputs": self.inputs,
            "sensors": self.sensors.iter().map(sensor).collect::<serde_json::Map<_, _>>(),
            "events": self.events,
            "commands": commands.collect::<serde_json::Map<_, _>>(),
            "digests": self.digests,
            "last_digest": digest,
            "keyframes": self.keyframes.0,
            "keyframe_bytes_max": self.keyframes.1,
            "gaps": self.gaps.iter().map(gap).collect::<Vec<_>>(),
            "skips": self.skips.iter()
                .map(|s| json!({"after": s.after.map(tag), "before": tag(s.before)})).collect::<Vec<_>>(),
            "recorder_lost": self.recorder_lost,
            "undecodable": self.undecodable,
            "chunks": self.counts.chunks,
            "chunks_without_crc": self.counts.chunks_without_crc,
            "damage": self.damage.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "whole": self.ending == Ending::Whole,
            "ending": self.ending.render(),
        })
    }

    /// For people. Ends with a newline.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| text += &format!("{name:<10} {value}\n");
        let list = |entries: Vec<(String, u64)>| {
            let parts: Vec<String> = entries.into_iter().map(|(name, n)| format!("{name} {n}")).collect();
            if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
        };
        let counts = |map: &BTreeMap<&'static str, u64>| list(map.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect());
        line("site", format!("{} ({} attached)", self.meta.site, counted(self.files.len(), "file")));
        line("source", format!("{}, by {}", self.meta.origin.as_str(), self.meta.build));
        let rules: Vec<&str> = self.files.iter().map(|f| f.0.as_str()).filter(|p| p.ends_with(".rules")).collect();
        line("rules", if rules.is_empty() { "none".to_owned() } else { rules.join(", ") });
        match self.span {
            None => line("span", "no input".to_owned()),
            Some((first, last)) => {
                let utc = |at| self.utc_at(at).map_or_else(String::new, |u| format!(" ({u})"));
                let (a, b) = (utc(first.at), utc(last.at));
                let spans = format!("{} s{a} to {} s{b}, {} s", first.at, last.at, last.at.since(first.at));
                line("span", format!("{spans}, inputs {} to {}", first.seq, last.seq));
            }
        }
        line("inputs", format!("{}: {}", self.input_count(), counts(&self.inputs)));
        for (id, s) in &self.sensors {
            let shed = if s.shed.is_empty() { String::new() } else { format!(", shed: {}", counts(&s.shed)) };
            let heard = counted(s.observations, "observation");
            line("  sensor", format!("{}: {heard}{shed}", self.sensor_name(*id)));
        }
        line("events", counts(&self.events));
        line("commands", list(self.commands.iter().map(|(id, n)| (self.device_name(*id), *n)).collect()));
        if let Some((seq, input, decision)) = self.last_digest {
            line("digests", format!("{}, last behind input {seq}: input {input} decision {decision}", self.digests));
        }
        line(
            "keyframes",
            match self.keyframes {
                (0, _) => "none: replays begin at the start (`osmose trace index` adds them)".to_owned(),
                (n, largest) => format!("{n}, the largest {}", counted(largest, "byte")),
            },
        );
        let (records, chunks) = (counted(self.counts.records, "record"), counted(self.counts.chunks, "chunk"));
        line("file", format!("{}, {records} in {chunks}", counted(self.bytes, "byte")));
        for (tag, gap) in &self.gaps {
            let what = format!(
                "{} from {} s to {} s, {} known lost",
                gap_reason(gap.reason),
                gap.from,
                tag.at,
                counted(gap.lost, "input")
            );
            line("gap", what);
        }
        for s in &self.skips {
            let after = s.after.map_or_else(|| "the start".to_owned(), |t| format!("input {}", t.seq));
            line("missing", format!("between {after} and input {} at {} s", s.before.seq, s.before.at));
        }
        if self.more > 0 {
            line("missing", counted(self.more, "more gap"));
        }
        if self.recorder_lost > 0 {
            line(
                "missing",
                format!("{} that the recorder could not keep up with", counted(self.recorder_lost, "record")),
            );
        }
        if self.undecodable > 0 {
            line("missing", format!("{} that this build cannot read", counted(self.undecodable, "record")));
        }
        for damage in &self.damage {
            line("damage", damage.to_string());
        }
        if let Some(ending) = self.ending.render() {
            line("ending", ending);
        }
        text
    }
}
