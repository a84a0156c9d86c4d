//! `osmose import`: recorded CSV rows become a trace, through the same checks as live data.
//!
//! The trace holds inputs by arrival and nothing else: no ticks (a replay adds them where they are due, as the
//! sequencer does) and no decisions. First comes the wall clock where it is known, then the rules.

use crate::drive::Watch;
use crate::record::Recorder;
use crate::trace::format::{Meta, Origin};
use crate::trace::write::{Packing, WriteError};
use crate::wall::{self, WallError};
use crate::words::counted;
use osmose_model::canon;
use osmose_model::device::SensorKind;
use osmose_model::ids::{CarriedKey, Seq};
use osmose_model::input::{Class, Input, Report, Shed, Tag};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::Observation;
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::{ArrivalNs, LogicalNs, UtcNs, format_seconds};
use osmose_sensors::csv::CsvError;
use osmose_sensors::csv::merge::Merge;
use osmose_sensors::csv::reader::{FileReport, Reader};
use osmose_sensors::edge::{Sink, SourceKey};
use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be opened.
    #[error("{path} cannot be read: {source}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is none of its kind.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// The time zone or the epoch.
    #[error(transparent)]
    Wall(#[from] WallError),
    /// The trace cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The watch stopped it.
    #[error("it was stopped: nothing was imported")]
    Stopped,
}

/// What was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Each file's rows: read, kept, refused by reason.
    pub files: Vec<FileReport>,
    /// Observations written.
    pub observations: u64,
    /// First and last arrival, in the log's time.
    pub span: Option<(LogicalNs, LogicalNs)>,
    /// The wall clock at the log's zero.
    pub zero_utc: Option<UtcNs>,
}

impl ImportReport {
    /// Rows kept, over all files.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.files.iter().map(|f| f.kept).sum()
    }

    /// For people. Ends with a newline.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for f in &self.files {
            let refused: u64 = f.refused.values().map(|r| r.rows).sum();
            text += &format!("{}: {} read, {} kept, {refused} refused", f.file, counted(f.rows, "row"), f.kept);
            if let Some((first, last)) = f.span_ns {
                text += &format!(", from {} s to {} s", format_seconds(first), format_seconds(last));
            }
            text.push('\n');
            for (reason, r) in &f.refused {
                let lines: Vec<String> = r.lines.iter().map(u64::to_string).collect();
                let field = r.first.map_or("", |fault| fault.field);
                let of = if field.is_empty() { String::new() } else { format!(" ({field})") };
                let who = if r.subject.is_empty() { String::new() } else { format!(" `{}`", r.subject) };
                text += &format!("  refused {reason}{of}{who}: {}, lines {}", counted(r.rows, "row"), lines.join(" "));
                text += if (lines.len() as u64) < r.rows { " ...\n" } else { "\n" };
            }
            for (reason, n) in &f.remarked {
                text += &format!("  remarked {reason}: {n}\n");
            }
        }
        text += &counted(self.observations, "observation");
        if let Some((first, last)) = self.span {
            text += &format!(" from {first} s to {last} s of the trace");
        }
        match self.zero_utc {
            Some(utc) => text += &format!(", which begins at {}\n", wall::format_rfc3339(utc)),
            None => text += "; no wall clock (give --epoch to have times of day)\n",
        }
        text
    }
}

/// Imports files into the trace `out`. `epoch` is the instant at which the seconds of files without Unix times are 0.
///
/// # Errors
/// [`ImportError`]; rows that cannot be used are none, they are in the report. A trace that was begun is removed
/// again on an error.
pub fn import(
    site: &Site,
    files: &[(SensorKind, PathBuf)],
    epoch: Option<UtcNs>,
    out: &Path,
    watch: &mut dyn Watch,
) -> Result<ImportReport, ImportError> {
    let mut readers = Vec::with_capacity(files.len());
    let mut far = Far { watch, read: Rc::default(), total: 0, rows: 0 };
    for (kind, path) in files {
        let cannot = |source| ImportError::Open { path: path.clone(), source };
        let file = File::open(path).map_err(cannot)?;
        far.total += file.metadata().map_err(cannot)?.len();
        let input = BufReader::with_capacity(1 << 16, Counted { file, read: far.read.clone() });
        readers.push(Reader::new(*kind, &path.display().to_string(), Box::new(input))?);
    }
    let merge = Merge::new(site, readers, epoch)?;
    let anchor = merge.zero_utc().map(|utc| wall::anchor(utc, &site.frame.timezone)).transpose()?;
    let meta = Meta::new(Origin::Import, &site.name);
    let recorder = Recorder::create(out, &meta, &site.files, Packing::Lz4)?;
    let written = write(site, merge, anchor, recorder, &mut far);
    if written.is_err() {
        // Half an import would look like a whole one that ends early.
        let _ = std::fs::remove_file(out);
    }
    written
}

fn write<W: Write>(
    site: &Site,
    mut merge: Merge,
    anchor: Option<osmose_model::input::Anchor>,
    recorder: Recorder<W>,
    far: &mut Far<'_>,
) -> Result<ImportReport, ImportError> {
    let mut rows = Rows::new(recorder);
    if let Some(anchor) = anchor {
        rows.put(ArrivalNs(0), &Input::Anchor(anchor));
    }
    let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
    let block = canon::encode_files(&rules);
    let begins = merge.next_arrival()?.unwrap_or_default();
    rows.put(begins, &Input::RulesInstalled { files: &block });
    while merge.next(&mut rows)? {
        far.look(rows.last.at)?;
    }
    let report = ImportReport {
        files: merge.reports().cloned().collect(),
        observations: rows.observations,
        span: rows.span,
        zero_utc: merge.zero_utc(),
    };
    rows.recorder.finish()?;
    Ok(report)
}

/// A file whose bytes are counted as they are read.
struct Counted {
    file: File,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(to)?;
        self.read.set(self.read.get() + n as u64);
        Ok(n)
    }
}

/// Rows between two looks at the watch.
const WATCH_EVERY: u64 = 4096;

/// How far the files are read, for whoever watches.
struct Far<'w> {
    watch: &'w mut dyn Watch,
    read: Rc<Cell<u64>>,
    total: u64,
    rows: u64,
}

impl Far<'_> {
    fn look(&mut self, at: LogicalNs) -> Result<(), ImportError> {
        self.rows += 1;
        let is_due = self.rows.is_multiple_of(WATCH_EVERY);
        if is_due && self.watch.progress(self.read.get().min(self.total), self.total, at).is_break() {
            return Err(ImportError::Stopped);
        }
        Ok(())
    }
}

/// Numbers what the merge hands over and records it.
struct Rows<W: Write> {
    recorder: Recorder<W>,
    last: Tag,
    bytes: Vec<u8>,
    observations: u64,
    span: Option<(LogicalNs, LogicalNs)>,
}

impl<W: Write> Rows<W> {
    fn new(recorder: Recorder<W>) -> Self {
        Self { recorder, last: Tag::default(), bytes: vec![0; INPUT_BYTES_MAX], observations: 0, span: None }
    }

    fn put(&mut self, arrival: ArrivalNs, input: &Input<'_>) {
        self.last = Tag { at: LogicalNs(arrival.0).max(self.last.at), seq: Seq(self.last.seq.0 + 1) };
        let n = loop {
            match canon::encode_input(input, &mut self.bytes) {
                Ok(n) => break n,
                // Only the text of the rules can be larger than an observation; it is limited by the loader.
                Err(canon::CanonError::NoRoom(room)) => self.bytes.resize(2 * room, 0),
                Err(_) => break 0,
            }
        };
        self.recorder.input(self.last, &self.bytes[..n]);
    }
}

impl<W: Write> Sink for Rows<W> {
    fn named(&mut self, arrival: ArrivalNs, key: CarriedKey, text: &str) {
        self.put(arrival, &Input::Named { key, text });
    }

    fn observation(&mut self, arrival: ArrivalNs, _: SourceKey, _: Class, observation: &Observation<'_>) {
        self.put(arrival, &Input::Observation(*observation));
        self.observations += 1;
        let first = self.span.map_or(self.last.at, |(first, _)| first);
        self.span = Some((first, self.last.at));
    }

    fn report(&mut self, arrival: ArrivalNs, report: Report) {
        self.put(arrival, &Input::Report(report));
    }

    fn shed(&mut self, arrival: ArrivalNs, shed: Shed) {
        self.put(arrival, &Input::Shed(shed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::{Options, Osmose, Replay, Sinks, TracksFormat, Verdict, Workshop};
    use crate::testing::workshop;
    use crate::trace::codec::{self, Record};
    use crate::trace::read::{Item, TraceReader};
    use osmose_model::observation::ScanBuf;

    /// Imports texts; gives the folder, the report and the trace's path.
    fn imported(files: &[(SensorKind, &str)], epoch: Option<&str>) -> (tempfile::TempDir, ImportReport, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<(SensorKind, PathBuf)> = files
            .iter()
            .enumerate()
            .map(|(i, (kind, text))| {
                let path = dir.path().join(format!("{i}.csv"));
                std::fs::write(&path, text).unwrap();
                (*kind, path)
            })
            .collect();
        let out = dir.path().join("out.mcap");
        let epoch = epoch.map(|e| wall::parse_rfc3339(e).unwrap());
        let report = import(workshop().site(), &paths, epoch, &out, &mut ()).unwrap();
        (dir, report, out)
    }

    fn inputs(path: &Path) -> Vec<String> {
        let mut reader = TraceReader::open(path).unwrap();
        let mut scan = ScanBuf::new();
        let mut all = Vec::new();
        while let Some(item) = reader.next_item().unwrap() {
            let Item::Record(raw) = item else { panic!("{item:?}") };
            if let Record::Input { tag, input } = codec::decode(&raw, &mut scan).unwrap() {
                let text = format!("{input:?}");
                let name = text.split(['(', ' ', '{']).next().unwrap_or_default();
                all.push(format!("{} {} {name}", tag.seq, tag.at));
            }
        }
        all
    }

    #[test]
    fn two_files_merge_by_arrival_behind_the_wall_clock_and_the_rules() {
        let tags =
            "t_s,sensor,device,x_m,y_m\n0.5,tags,p1,1,2\n1.5,tags,stranger,6,2\nx,tags,p1,1,2\n2,nosuch,p1,1,2\n";
        let scans = "t_s,sensor,x_m,y_m\n1,ceiling-meeting,1,1\n1,ceiling-meeting,2,2\n2,ceiling-meeting,,\n";
        let files = [(SensorKind::Location, tags), (SensorKind::Position, scans)];
        let (_dir, report, path) = imported(&files, Some("2026-07-01T00:00:00Z"));
        assert_eq!(
            inputs(&path),
            [
                "1 0 Anchor",
                "2 0.5 RulesInstalled",
                "3 0.5 Observation",
                "4 1 Observation",
                "5 1.5 Named",
                "6 1.5 Observation",
                "7 2 Observation"
            ]
        );
        assert_eq!((report.files[0].rows, report.files[0].kept, report.kept()), (4, 2, 5));
        assert_eq!(report.observations, 4);
        let text = report.render();
        for part in ["4 rows read, 2 kept, 2 refused", "unknown_sensor", "`nosuch`", "lines 5", "2026-07-01T00:00:00Z"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn an_import_replays_to_tracks_and_its_trace_is_never_overwritten() {
        let mut rows = String::from("t_s,sensor,device,x_m,y_m\n");
        for i in 0..50 {
            rows += &format!("{}.{},tags,p1,{},2\n", i / 10, i % 10, 1.0 + f64::from(i) * 0.15);
        }
        let (dir, report, path) = imported(&[(SensorKind::Location, &rows)], None);
        assert_eq!((report.kept(), report.zero_utc), (50, None));
        let reader = TraceReader::open(&path).unwrap();
        let workshop = Osmose::of_files(reader.files()).unwrap();
        let tracks = dir.path().join("tracks.csv");
        let file = Box::new(File::create(&tracks).unwrap());
        let sinks = Sinks { tracks: Some((TracksFormat::Eval, file)), ..Sinks::default() };
        let summary =
            Replay::new(reader, workshop, Options { sinks, ..Options::default() }).unwrap().run(&mut ()).unwrap();
        assert_eq!(summary.verdict, Verdict::NotAsked);
        let text = std::fs::read_to_string(&tracks).unwrap();
        assert_eq!(text.lines().next(), Some("t,track_id,x,y,identity"));
        assert!(text.contains("\n0.1,1,1.15,2,ana\n"), "{text}");
        assert_eq!(text.lines().count(), 1 + 50);
        let again = import(crate::testing::workshop().site(), &[], None, &path, &mut ());
        assert!(matches!(again, Err(ImportError::Write(WriteError::Exists(_)))));
    }

    #[test]
    fn unix_times_tie_the_wall_clock() {
        let rows = "t_s,sensor,device,x_m,y_m\n1782864000.25,tags,p1,1,2\n1782864001,tags,p1,1,2\n";
        let (_dir, report, path) = imported(&[(SensorKind::Location, rows)], None);
        assert_eq!(report.zero_utc, Some(UtcNs(1_782_864_000_250_000_000)));
        assert_eq!(inputs(&path)[..3], ["1 0 Anchor", "2 0 RulesInstalled", "3 0 Observation"]);
        assert_eq!(inputs(&path)[3], "4 0.75 Observation");
    }
}
