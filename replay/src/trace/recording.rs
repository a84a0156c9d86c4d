//! One trace, or a folder of traces that follow each other, read as one log; and beginning in its middle.
//!
//! Recordings rotate: an incident may begin in one file and end in the next. Each file of a folder begins with the
//! state that it goes on from, so that any of them can be opened alone.

use super::codec::{self, Record};
use super::format::{Build, Meta, Topic};
use super::index::TraceIndex;
use super::read::{Damage, Ending, Item, OpenError, ReadCounts, TraceReader};
use crate::wall::{LogClock, WallError};
use osmose_model::ids::Seq;
use osmose_model::input::Input;
use osmose_model::observation::ScanBuf;
use osmose_model::site::SourceFile;
use osmose_model::time::{LogicalNs, UtcNs, parse_decimal_ns};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Records of a log in their order, wherever they come from.
pub trait Items {
    /// Who wrote it, and what of.
    fn meta(&self) -> &Meta;
    /// How a build that wrote any of it differs from this one; `None` where this one wrote all.
    fn other_build(&self) -> Option<String> {
        self.meta().build.differs_from(&Build::this())
    }
    /// The site's files as they were when recording began, ascending by path.
    fn files(&self) -> &[SourceFile];
    /// The next record, or the next stretch that is missing; `None` at the end.
    ///
    /// # Errors
    /// Only the disk's.
    fn next_item(&mut self) -> std::io::Result<Option<Item<'_>>>;
    /// How it ended, once the last record was given out.
    fn ending(&self) -> &Ending;
    /// Bytes read and bytes there are.
    fn progress(&self) -> (u64, u64);
    /// What has been read so far.
    fn counts(&self) -> ReadCounts;
}

impl<R: Read> Items for TraceReader<R> {
    fn meta(&self) -> &Meta {
        self.meta()
    }
    fn files(&self) -> &[SourceFile] {
        self.files()
    }
    fn next_item(&mut self) -> std::io::Result<Option<Item<'_>>> {
        self.next_item()
    }
    fn ending(&self) -> &Ending {
        self.ending()
    }
    fn progress(&self) -> (u64, u64) {
        self.progress()
    }
    fn counts(&self) -> ReadCounts {
        self.counts()
    }
}

/// Why a file or folder cannot be read as one log.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A file is no trace.
    #[error("{path}: {source}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// The folder holds no trace.
    #[error("{0} holds no *.mcap file: give a trace, or the folder that recordings go to")]
    Empty(PathBuf),
    /// The folder holds several logs.
    #[error("{first} and {second} are not parts of one log (both hold {from} s to {to} s): give one of them")]
    Overlap {
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// Where they overlap.
        from: LogicalNs,
        /// Up to where.
        to: LogicalNs,
    },
    /// The folder or a file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Where a replay begins in the middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// Log time of the keyframe's record, which is the first one to be used.
    pub log_time: u64,
    /// The rules in force there, as the last installation before it gave them; `None`: the attached ones.
    pub rules: Option<Vec<u8>>,
}

/// A trace, or a folder of them.
pub struct Recording {
    parts: Vec<Part>,
    at: usize,
    reader: TraceReader<BufReader<File>>,
    /// The index of the part that it was asked for last: who scrubs asks again and again.
    index: Option<(usize, Arc<TraceIndex>)>,
    total_bytes: u64,
    passed: (u64, ReadCounts),
}

struct Part {
    path: PathBuf,
    bytes: u64,
    build: Build,
    /// By when it begins; parts of a single-file recording are not asked.
    first: LogicalNs,
}

/// The recordings in a folder: all of them, or those whose names sort no earlier than one.
fn files_in(dir: &Path, first: Option<&OsStr>) -> Result<Vec<PathBuf>, RecordingError> {
    let io = |source| RecordingError::Io { path: dir.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let entry = entry.map_err(io)?;
        let file = entry.path();
        let is_wanted = first.is_none_or(|first| entry.file_name().as_os_str() >= first);
        if is_wanted && file.extension().is_some_and(|e| e == "mcap") && file.is_file() {
            files.push(file);
        }
    }
    Ok(files)
}

impl Recording {
    /// Opens a trace, or every `*.mcap` of a folder in the order of their times.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        if !path.is_dir() {
            let reader = open(path)?;
            let (bytes, build) = (reader.progress().1, reader.meta().build.clone());
            let parts = vec![Part { path: path.to_owned(), bytes, build, first: LogicalNs(i64::MIN) }];
            return Ok(Self { parts, at: 0, reader, index: None, total_bytes: bytes, passed: Default::default() });
        }
        Self::open_all(files_in(path, None)?, path)
    }

    /// Opens `first` and what was recorded behind it in the same folder: of a folder that holds several logs, the one that
    /// goes on. Names sort as times do; `first` may have expired.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn open_since(first: &Path) -> Result<Self, RecordingError> {
        let dir = first.parent().unwrap_or(Path::new("."));
        Self::open_all(files_in(dir, first.file_name())?, dir)
    }

    /// Opens files that follow each other, in the order of their times.
    fn open_all(files: Vec<PathBuf>, dir: &Path) -> Result<Self, RecordingError> {
        let mut parts: Vec<(Part, LogicalNs)> = Vec::new();
        for file in files {
            let mut reader = open(&file)?;
            let span = reader.index().map_err(|source| RecordingError::Io { path: file.clone(), source })?.span();
            if let Some((first, last)) = span {
                let (bytes, build) = (reader.progress().1, reader.meta().build.clone());
                parts.push((Part { path: file, bytes, build, first }, last));
            }
        }
        parts.sort_by(|a, b| (a.0.first, a.1, &a.0.path).cmp(&(b.0.first, b.1, &b.0.path)));
        for pair in parts.windows(2) {
            let ((a, a_last), (b, b_last)) = (&pair[0], &pair[1]);
            // Files of one log meet in an instant, at most.
            if b.first < *a_last {
                let (first, second) = (a.path.clone(), b.path.clone());
                return Err(RecordingError::Overlap { first, second, from: b.first, to: *a_last.min(b_last) });
            }
        }
        let parts: Vec<Part> = parts.into_iter().map(|(p, _)| p).collect();
        let first = parts.first().ok_or_else(|| RecordingError::Empty(dir.to_owned()))?;
        let reader = open(&first.path)?;
        let total_bytes = parts.iter().map(|p| p.bytes).sum();
        Ok(Self { parts, at: 0, reader, index: None, total_bytes, passed: Default::default() })
    }

    /// The same log once more, to be read from its beginning beside this one. What is known of where things stand in it is
    /// not read again.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn again(&self) -> Result<Self, RecordingError> {
        let part = |p: &Part| Part { path: p.path.clone(), bytes: p.bytes, build: p.build.clone(), first: p.first };
        Ok(Self {
            parts: self.parts.iter().map(part).collect(),
            at: 0,
            reader: open(&self.parts[0].path)?,
            index: self.index.clone(),
            total_bytes: self.total_bytes,
            passed: Default::default(),
        })
    }

    /// What the checksums over whole files say, without unpacking anything; as far as that is wanted.
    ///
    /// # Errors
    /// The disk's.
    pub fn skim(&self, wanted: &dyn Fn() -> bool) -> std::io::Result<Vec<Damage>> {
        let one = |part: &Part| open(&part.path).map_err(std::io::Error::other)?.skim(wanted);
        Ok(self.parts.iter().map(one).collect::<std::io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// The files, in the order of their times.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().map(|p| p.path.as_path())
    }

    /// Goes to part `at`.
    fn turn_to(&mut self, at: usize) -> std::io::Result<()> {
        self.reader = open(&self.parts[at].path).map_err(std::io::Error::other)?;
        self.at = at;
        let bytes = self.parts[..at].iter().map(|p| p.bytes).sum();
        self.passed.0 = bytes;
        Ok(())
    }

    /// Goes back to the first record.
    ///
    /// # Errors
    /// The disk's.
    pub fn rewind(&mut self) -> std::io::Result<()> {
        self.turn_to(0)?;
        self.passed = Default::default();
        Ok(())
    }

    /// Goes to the chunk of the last keyframe before an instant; `None` (and nothing moved) where no keyframe can be
    /// begun from.
    ///
    /// # Errors
    /// The disk's.
    pub fn seek_before(&mut self, at: LogicalNs) -> std::io::Result<Option<Sought>> {
        let was = self.at;
        for part in (0..self.parts.len()).rev().filter(|p| self.parts[*p].first < at).collect::<Vec<_>>() {
            if part != self.at {
                self.turn_to(part)?;
            }
            if !self.reader.meta().notes_installs || !self.reader.meta().has_ticks {
                break;
            }
            let index = self.index()?;
            if let Some(point) = self.reader.keyframe_before(at, &index)? {
                let rules = match point.install_at {
                    Some(install_at) => self.installed(install_at, &index)?,
                    // A later file carries the rules in force at its beginning, which need not be the first one's.
                    None => (part > 0).then(|| self.attached_rules()),
                };
                self.reader.seek(point.chunk_at, &index)?;
                return Ok(Some(Sought { log_time: point.log_time, rules }));
            }
        }
        if self.at != was {
            self.turn_to(was)?;
        }
        Ok(None)
    }

    /// About when an input is: the last instant of the chunk that it is in. `None` where the log begins after it. Reading
    /// goes on from somewhere else.
    ///
    /// # Errors
    /// The disk's.
    pub fn instant_of(&mut self, seq: Seq) -> std::io::Result<Option<LogicalNs>> {
        // The last part that begins at or before it.
        let mut part = self.parts.len();
        while part > 0 {
            part -= 1;
            self.turn_to(part)?;
            let index = self.index()?;
            if self.first_input_from(0, &index)?.is_none_or(|first| first > seq) {
                continue;
            }
            let (mut low, mut high) = (0, index.chunks.len());
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                match self.first_input_from(middle, &index)? {
                    Some(first) if first <= seq => low = middle,
                    _ => high = middle,
                }
            }
            return Ok(index.chunks.get(low).map(|c| LogicalNs(i64::try_from(c.last).unwrap_or(i64::MAX))));
        }
        Ok(None)
    }

    /// The number of the first input from a chunk of the current part on.
    fn first_input_from(&mut self, chunk: usize, index: &TraceIndex) -> std::io::Result<Option<Seq>> {
        let Some(chunk) = index.chunks.get(chunk) else { return Ok(None) };
        self.reader.seek(chunk.at_byte, index)?;
        let mut scan = ScanBuf::default();
        while let Some(item) = self.reader.next_item()? {
            let Item::Record(raw) = item else { continue };
            if raw.topic == Topic::Input
                && let Ok(Record::Input { tag, .. }) = codec::decode(&raw, &mut scan)
            {
                return Ok(Some(tag.seq));
            }
        }
        Ok(None)
    }

    /// The index of the current part.
    fn index(&mut self) -> std::io::Result<Arc<TraceIndex>> {
        if let Some((_, index)) = self.index.as_ref().filter(|(part, _)| *part == self.at) {
            return Ok(index.clone());
        }
        let index = Arc::new(self.reader.index()?);
        self.index = Some((self.at, index.clone()));
        Ok(index)
    }

    /// Every set of rules that is in force somewhere in the log, each once, as [`osmose_model::canon::encode_files`] joins
    /// them; the one that it begins with first. Reading goes on at the beginning.
    ///
    /// # Errors
    /// The disk's.
    pub fn rule_sets(&mut self) -> std::io::Result<Vec<Vec<u8>>> {
        let mut sets: Vec<Vec<u8>> = Vec::new();
        let mut add = |set: Vec<u8>| {
            if !sets.contains(&set) {
                sets.push(set);
            }
        };
        for part in 0..self.parts.len() {
            self.turn_to(part)?;
            add(self.attached_rules());
            if self.reader.meta().notes_installs {
                let index = self.index()?;
                for at_byte in &index.installs {
                    self.installed(*at_byte, &index)?.into_iter().for_each(&mut add);
                }
                continue;
            }
            let mut scan = ScanBuf::default();
            while let Some(item) = self.reader.next_item()? {
                let Item::Record(raw) = item else { continue };
                if raw.topic == Topic::Input
                    && let Ok(Record::Input { input: Input::RulesInstalled { files }, .. }) =
                        codec::decode(&raw, &mut scan)
                {
                    add(files.to_owned());
                }
            }
        }
        self.rewind()?;
        Ok(sets)
    }

    /// The rules that the current part begins with.
    fn attached_rules(&self) -> Vec<u8> {
        let is_rules = |f: &&SourceFile| f.path.starts_with("rules/") && f.path.ends_with(".rules");
        let rules: Vec<SourceFile> = self.reader.files().iter().filter(is_rules).cloned().collect();
        osmose_model::canon::encode_files(&rules)
    }

    /// The files that the installation behind a note puts in force.
    fn installed(&mut self, at_byte: u64, index: &TraceIndex) -> std::io::Result<Option<Vec<u8>>> {
        self.reader.seek(at_byte, index)?;
        let mut scan = ScanBuf::default();
        // The record noted is the first of the next chunk.
        while let Some(item) = self.reader.next_item()? {
            let Item::Record(raw) = item else { break };
            if let Ok(Record::Input { input: Input::RulesInstalled { files }, .. }) = codec::decode(&raw, &mut scan) {
                return Ok(Some(files.to_owned()));
            }
        }
        Ok(None)
    }

    /// First and last instant, by the index of the first and last file.
    ///
    /// # Errors
    /// The disk's.
    pub fn span(&mut self) -> std::io::Result<Option<(LogicalNs, LogicalNs)>> {
        if self.parts.len() == 1 {
            return Ok(self.index()?.span());
        }
        let mut ends = Vec::new();
        for part in [0, self.parts.len() - 1] {
            let mut reader = open(&self.parts[part].path).map_err(std::io::Error::other)?;
            ends.extend(reader.index()?.span());
        }
        Ok(ends.first().zip(ends.last()).map(|(a, b)| (a.0, b.1)))
    }

    /// An instant and its wall-clock time: from the head, else from the first anchor of the log.
    fn tied(&self) -> std::io::Result<Option<(LogicalNs, UtcNs)>> {
        if let Some(tied) = self.reader.meta().wall {
            return Ok(Some(tied));
        }
        let mut scan = ScanBuf::default();
        for part in &self.parts {
            let mut reader = open(&part.path).map_err(std::io::Error::other)?;
            while let Some(item) = reader.next_item()? {
                let Item::Record(raw) = item else { continue };
                if let Ok(Record::Input { tag, input: Input::Anchor(a) }) = codec::decode(&raw, &mut scan) {
                    return Ok(Some((tag.at, a.utc)));
                }
            }
        }
        Ok(None)
    }

    /// What is needed to read the times that people type about this log.
    ///
    /// # Errors
    /// The disk's.
    pub fn log_clock(&mut self, timezone: &str) -> std::io::Result<LogClock> {
        let span = self.span()?.unwrap_or_default();
        Ok(LogClock { tied: self.tied()?, span, timezone: timezone.to_owned() })
    }

    /// An instant that somebody typed. Seconds of the trace need no look into it.
    ///
    /// # Errors
    /// [`InstantError`].
    pub fn instant(&mut self, text: &str, timezone: &str) -> Result<LogicalNs, InstantError> {
        if let Ok(ns) = parse_decimal_ns(text.trim(), 0) {
            return Ok(LogicalNs(ns));
        }
        Ok(self.log_clock(timezone)?.parse(text)?)
    }
}

/// Why a text is no instant of a log.
#[derive(Debug, thiserror::Error)]
pub enum InstantError {
    /// It is none.
    #[error(transparent)]
    Wall(#[from] WallError),
    /// The log cannot be read.
    #[error("the trace cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

fn open(path: &Path) -> Result<TraceReader<BufReader<File>>, RecordingError> {
    TraceReader::open(path).map_err(|source| match source {
        OpenError::Io { path, source } => RecordingError::Io { path, source },
        source => RecordingError::Open { path: path.to_owned(), source },
    })
}

impl Items for Recording {
    fn meta(&self) -> &Meta {
        self.reader.meta()
    }
    fn other_build(&self) -> Option<String> {
        // An engine may have been replaced between two files of a folder.
        let this = Build::this();
        self.parts.iter().find_map(|part| part.build.differs_from(&this))
    }
    fn files(&self) -> &[SourceFile] {
        self.reader.files()
    }
    fn next_item(&mut self) -> std::io::Result<Option<Item<'_>>> {
        loop {
            if let Some(found) = self.reader.advance()? {
                return Ok(Some(self.reader.item(found)));
            }
            if self.at + 1 == self.parts.len() {
                return Ok(None);
            }
            let counts = self.counts();
            self.turn_to(self.at + 1)?;
            self.passed.1 = counts;
        }
    }
    fn ending(&self) -> &Ending {
        self.reader.ending()
    }
    fn progress(&self) -> (u64, u64) {
        (self.passed.0 + self.reader.progress().0, self.total_bytes)
    }
    fn counts(&self) -> ReadCounts {
        let (a, b) = (self.passed.1, self.reader.counts());
        ReadCounts {
            records: a.records + b.records,
            chunks: a.chunks + b.chunks,
            chunks_without_crc: a.chunks_without_crc + b.chunks_without_crc,
            unknown: a.unknown + b.unknown,
        }
    }
}
