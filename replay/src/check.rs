//! `osmose trace check`: whether a trace is what was recorded, without running any of the engine's code.
//!
//! Checksums, order and numbers are the file's own; the digests are taken again over the records, so that inputs and
//! decisions that were exchanged behind the checksums' back are found too.

use crate::drive::Watch;
use crate::info::{Info, InfoError, survey};
use crate::trace::codec::{RECORDER_LOST, Record};
use crate::trace::read::{Ending, RawRecord};
use crate::trace::recording::{Items, Recording};
use crate::words::counted;
use osmose_model::canon;
use osmose_model::digest::Digest;
use osmose_model::ids::Seq;
use osmose_model::input::{Input, Tag};
use osmose_model::limits::INPUT_BYTES_MAX;
use serde_json::{Value, json};
use std::path::Path;

/// Most findings kept one by one.
const FINDINGS_MAX: usize = 1000;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// To know: the trace is whole, and something was lost before it.
    Warning,
    /// The trace is not what was recorded, or not all of it.
    Error,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A short name that scripts can rely on.
    pub code: &'static str,
    /// Behind which input, where that is known.
    pub after: Option<Tag>,
    /// A sentence.
    pub message: String,
}

/// What checking found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What is in the trace.
    pub info: Info,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// Records with digests that were taken again and compared.
    pub digests_compared: u64,
}

impl Report {
    /// The exit status: 0 where there is no error, else 1.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        u8::from(self.findings.iter().any(|f| f.severity == Severity::Error))
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let finding = |f: &Finding| {
            let severity = if f.severity == Severity::Error { "error" } else { "warning" };
            let t_s = f.after.map(|t| t.at.0 as f64 / 1e9);
            json!({"severity": severity, "code": f.code, "seq": f.after.map(|t| t.seq.0), "t_s": t_s, "message": f.message})
        };
        json!({
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "inputs": self.info.input_count(),
            "chunks": self.info.counts.chunks,
            "digests_compared": self.digests_compared,
        })
    }

    /// For people. Ends with a newline.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for f in &self.findings {
            let severity = if f.severity == Severity::Error { "error" } else { "warning" };
            let place = f.after.map_or_else(String::new, |t| format!(" behind input {} at {} s", t.seq, t.at));
            text += &format!("{severity}[{}]{place}: {}\n", f.code, f.message);
        }
        text += &format!(
            "{} in {} and {} checked: {}\n",
            counted(self.info.input_count(), "input"),
            counted(self.info.counts.chunks, "chunk"),
            counted(self.digests_compared, "digest"),
            if self.findings.is_empty() {
                "whole and in order".to_owned()
            } else {
                counted(self.findings.len(), "finding")
            }
        );
        text
    }
}

/// Checks a trace, or a folder of them as one log.
///
/// # Errors
/// [`InfoError`] where it is no trace at all or the disk refuses.
pub fn check(path: &Path) -> Result<Report, InfoError> {
    check_with(path, &mut ())
}

/// The same, while somebody watches how far it is.
///
/// # Errors
/// As [`check`]; where the watch stops it, [`InfoError::Io`].
pub fn check_with(path: &Path, watch: &mut dyn Watch) -> Result<Report, InfoError> {
    check_items(Recording::open(path)?, watch)
}

fn check_items(items: impl Items, watch: &mut dyn Watch) -> Result<Report, InfoError> {
    let mut digests = Digests::new();
    let info = survey(items, watch, |_: &RawRecord<'_>, record| digests.take(record))?;
    let mut report = Report { info, findings: Vec::new(), digests_compared: digests.compared };
    let mut findings = digests.findings;
    report.structure(&mut findings);
    findings.sort_by_key(|f| (std::cmp::Reverse(f.severity), f.after));
    findings.truncate(FINDINGS_MAX);
    report.findings = findings;
    Ok(report)
}

impl Report {
    /// What the survey saw, as findings.
    fn structure(&self, findings: &mut Vec<Finding>) {
        let info = &self.info;
        let mut found = |severity, code, after, message| findings.push(Finding { severity, code, after, message });
        for damage in &info.damage {
            found(Severity::Error, "damage", None, damage.to_string());
        }
        for s in &info.skips {
            let message = match s.after {
                Some(a) if s.before.seq > a.seq && s.before.at < a.at => "time goes back here".to_owned(),
                Some(a) if s.before.seq.0 > a.seq.0 + 1 => {
                    let missing = counted(s.before.seq.0 - a.seq.0 - 1, "input");
                    format!("{missing} missing before input {}", s.before.seq)
                }
                Some(_) => format!("numbers go back to input {}", s.before.seq),
                None => format!("begins with input {} and no keyframe: it cannot be replayed", s.before.seq),
            };
            found(Severity::Error, "order", s.after, message);
        }
        if info.more > 0 {
            found(Severity::Error, "order", None, counted(info.more, "more gap"));
        }
        if info.recorder_lost > 0 {
            let message =
                format!("the recorder could not keep up: {} not written", counted(info.recorder_lost, "record"));
            found(Severity::Error, "recorder", None, message);
        }
        if info.undecodable > 0 {
            let message = format!("{} that this build cannot read", counted(info.undecodable, "record"));
            found(Severity::Error, "record", None, message);
        }
        if info.counts.chunks_without_crc > 0 {
            let message =
                counted(info.counts.chunks_without_crc, "chunk") + " without a checksum: another tool wrote the file";
            found(Severity::Warning, "unchecked", None, message);
        }
        for (tag, gap) in &info.gaps {
            let message =
                format!("the engine declared a gap from {} s on ({} known lost)", gap.from, counted(gap.lost, "input"));
            found(Severity::Warning, "gap", Some(*tag), message);
        }
        if info.shed_count() > 0 {
            let message = counted(info.shed_count(), "observation")
                + " did not get in; `osmose trace info` says of which sensors";
            found(Severity::Warning, "shed", None, message);
        }
        if info.site.is_none() {
            let message = "the attached site does not load: a replay needs --site".to_owned();
            found(Severity::Warning, "site", None, message);
        }
        if let Some(message) = info.ending.render() {
            let only_index = matches!(info.ending, Ending::Cut { only_index: true, .. });
            let severity = if only_index { Severity::Warning } else { Severity::Error };
            found(severity, "cut", info.span.map(|s| s.1), message);
        }
    }
}

/// The digests taken again over the records: the links are those of the core, (tag, canonical input), and every
/// event and then every command of a step.
struct Digests {
    /// Both, behind `last`; `None` where records are missing.
    now: Option<(Digest, Digest)>,
    last: Tag,
    bytes: Vec<u8>,
    compared: u64,
    findings: Vec<Finding>,
}

impl Digests {
    fn new() -> Self {
        let now = Some(Default::default());
        Self { now, last: Tag::default(), bytes: vec![0; INPUT_BYTES_MAX], compared: 0, findings: Vec::new() }
    }

    fn take(&mut self, record: &Record<'_>) {
        match record {
            Record::Input { tag, input } => self.input(*tag, input),
            Record::Event { event, .. } => {
                if let (Some((_, decision)), Ok(n)) = (&mut self.now, canon::encode_event(event, &mut self.bytes)) {
                    decision.absorb(&self.bytes[..n]);
                }
            }
            Record::Command(c) => {
                if let (Some((_, decision)), Ok(n)) = (&mut self.now, canon::encode_command(c, &mut self.bytes)) {
                    decision.absorb(&self.bytes[..n]);
                }
            }
            Record::Digest { seq, input, decision } => self.compare(*seq, (*input, *decision)),
            Record::Keyframe { tag, .. } if *tag > self.last => self.last = *tag,
            Record::Counter(c) if c.reason == RECORDER_LOST => self.now = None,
            _ => {}
        }
    }

    fn input(&mut self, tag: Tag, input: &Input<'_>) {
        if tag.seq.0 != self.last.seq.0 + 1 {
            self.now = None;
        }
        self.last = tag;
        let Some((digest, _)) = &mut self.now else { return };
        let n = loop {
            match canon::encode_input(input, &mut self.bytes) {
                Ok(n) => break n,
                Err(canon::CanonError::NoRoom(n)) => self.bytes.resize(2 * n, 0),
                Err(_) => break 0,
            }
        };
        let mut head = [0u8; 16];
        head[..8].copy_from_slice(&tag.at.0.to_le_bytes());
        head[8..].copy_from_slice(&tag.seq.0.to_le_bytes());
        digest.absorb(&head);
        digest.absorb(&self.bytes[..n]);
    }

    fn compare(&mut self, seq: Seq, recorded: (Digest, Digest)) {
        // The digest of a keyframe may stand behind later inputs, or before the first of a resumed log.
        if self.last.seq == Seq(0) && seq != Seq(0) {
            self.now = Some(recorded);
            self.last.seq = seq;
            return;
        }
        if seq != self.last.seq {
            return;
        }
        if let Some(now) = self.now {
            self.compared += 1;
            for (what, a, b) in [("inputs", recorded.0, now.0), ("decisions", recorded.1, now.1)] {
                if a != b && self.findings.len() < FINDINGS_MAX {
                    let message = format!("the recorded {what} give the digest {b}, and {a} was recorded");
                    let after = Some(self.last);
                    self.findings.push(Finding { severity: Severity::Error, code: "digest", after, message });
                }
            }
        }
        // From here on the recorded ones hold again: one fault is one finding.
        self.now = Some(recorded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::InfoError;
    use crate::testing::{imported, live, rewritten, walk};
    use crate::trace::codec::Encoder;
    use crate::trace::format::Topic;
    use crate::trace::read::{OpenError, TraceReader};
    use crate::trace::recording::RecordingError;

    fn checked(trace: &[u8]) -> Report {
        check_items(TraceReader::new(trace, trace.len() as u64).unwrap(), &mut ()).unwrap()
    }

    fn codes(report: &Report) -> Vec<&'static str> {
        report.findings.iter().map(|f| f.code).collect()
    }

    #[test]
    fn a_whole_trace_checks_clean_and_its_digests_are_those_of_its_records() {
        let inputs = walk(20);
        let report = checked(&live(&inputs, 100));
        assert_eq!(codes(&report), [""; 0], "{}", report.render());
        assert!(report.digests_compared > 20 && report.exit_status() == 0);
        assert!(report.render().contains("whole and in order"));
        let info = &report.info;
        assert_eq!(info.inputs["observation"] + 2, inputs.len() as u64);
        assert!(info.inputs["tick"] > 0 && info.keyframes.0 > 0 && info.events["enters"] > 0);
        assert_eq!(info.sensors.values().map(|s| s.observations).sum::<u64>(), info.inputs["observation"]);
        let text = info.render();
        for part in ["two rooms", "rules/first.rules", "tags: 400 observations", "meeting.light", "2026-09-21T"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let json = info.to_json();
        assert_eq!(json["sensors"]["tags"]["observations"], 400);
        assert_eq!((&json["whole"], &json["source"]), (&Value::Bool(true), &Value::String("live".to_owned())));
        assert_eq!(json["last_digest"]["input_digest"].as_str().map(str::len), Some(16));
    }

    #[test]
    fn an_import_is_whole_too() {
        let report = checked(&imported(&walk(5)));
        assert_eq!((codes(&report).len(), report.digests_compared), (0, 0), "{}", report.render());
    }

    #[test]
    fn each_fault_has_its_code() {
        let trace = live(&walk(20), 100);
        let keep = |_: Topic, _: &Record<'_>, p: &[u8]| Some(p.to_vec());
        let plain = rewritten(&trace, None, keep, |n| n % 50 == 0);
        // A cut.
        let report = checked(&plain[..plain.len() * 6 / 10]);
        assert_eq!((codes(&report), report.exit_status()), (vec!["cut"], 1));
        // A bit.
        let mut flipped = plain.clone();
        let at = crate::testing::inside_chunk(&flipped, 2);
        flipped[at] ^= 1;
        assert!(codes(&checked(&flipped)).contains(&"damage") && codes(&checked(&flipped)).contains(&"order"));
        // An input left out, or exchanged for another, with every checksum right.
        let without = |n: u64| {
            rewritten(
                &trace,
                None,
                |_, r, p| (!matches!(r, Record::Input { tag, .. } if tag.seq.0 == n)).then(|| p.to_vec()),
                |_| false,
            )
        };
        assert_eq!(codes(&checked(&without(50))), ["order"]);
        let mut encoder = Encoder::default();
        let exchanged = rewritten(
            &trace,
            None,
            |_, r, p| match r {
                Record::Input { tag, .. } if tag.seq.0 == 50 => Some(encoder.input(*tag, &Input::Tick).to_vec()),
                _ => Some(p.to_vec()),
            },
            |_| false,
        );
        let report = checked(&exchanged);
        assert_eq!(codes(&report), ["digest"], "{}", report.render());
        assert!(report.render().contains("the recorded inputs give the digest"));
        // A decision left out.
        let mut n = 0;
        let less = rewritten(
            &trace,
            None,
            |t, _, p| {
                n += usize::from(t == Topic::Command);
                (t != Topic::Command || n != 3).then(|| p.to_vec())
            },
            |_| false,
        );
        assert_eq!(codes(&checked(&less)), ["digest"]);
    }

    #[test]
    fn what_is_no_trace_is_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.mcap");
        std::fs::write(&path, "hello").unwrap();
        let refused = check(&path).unwrap_err();
        let is_no_trace = |e: &RecordingError| matches!(e, RecordingError::Open { source: OpenError::NotMcap, .. });
        assert!(matches!(&refused, InfoError::Recording(e) if is_no_trace(e)), "{refused}");
        assert!(check(&dir.path().join("none")).unwrap_err().to_string().contains("none"));
    }
}
