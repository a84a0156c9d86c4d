//! What a reader finds: records, damage, how the file ended, and why a file is no trace at all.

use super::format::{SCHEMA_VERSION, Topic};
use crate::words::counted;
use std::path::PathBuf;

/// Why a file cannot be opened as a trace at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It does not begin as MCAP does.
    #[error("this is no MCAP file: it does not begin with MCAP's magic bytes")]
    NotMcap,
    /// It is MCAP, and not a trace of this engine, or its head is damaged or cut.
    #[error("this MCAP file cannot be read as a trace: {0}")]
    NotATrace(String),
    /// A later version wrote it.
    #[error("the trace has schema version {found}, this build reads up to {SCHEMA_VERSION}: use a newer osmose")]
    TooNew {
        /// The trace's version.
        found: u32,
    },
}

/// What is wrong with a stretch of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DamageKind {
    /// A chunk's records are not the ones that were written.
    #[error("a chunk fails its checksum (recorded {saved:08x}, calculated {calculated:08x})")]
    ChunkCrc {
        /// What the chunk says.
        saved: u32,
        /// What its bytes give.
        calculated: u32,
    },
    /// A chunk cannot be unpacked.
    #[error("a chunk cannot be unpacked: {0}")]
    Chunk(String),
    /// A record is none that MCAP knows, or does not fit where it stands.
    #[error("the file's structure is broken: {0}")]
    Structure(String),
    /// A site file fails its checksum.
    #[error("the attached file `{0}` fails its checksum")]
    Attachment(String),
    /// The data section as a whole is not what was written.
    #[error("the data section fails its checksum: something outside the chunks was changed")]
    DataSection,
    /// The summary (index and statistics) is not what was written; the records do not need it.
    #[error("the summary fails its checksum: the index cannot be trusted, the records can")]
    Summary,
}

/// A stretch of the file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins, bytes from the file's start.
    pub at_byte: u64,
    /// How long it is.
    pub bytes: u64,
    /// What is wrong with it.
    pub kind: DamageKind,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at byte {} ({} bytes): {}", self.at_byte, self.bytes, self.kind)
    }
}

/// How the file ended. Known once the last record has been given out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Not reached yet.
    #[default]
    NotReached,
    /// As its writer ended it.
    Whole,
    /// It stops in the middle: the writer was killed, the disk was full, or the file was cut.
    Cut {
        /// End of the last whole chunk (or of the head), bytes from the file's start.
        whole_bytes: u64,
        /// Bytes behind that.
        left_bytes: u64,
        /// Whole records taken out of those bytes; no checksum covers them.
        unchecked_records: u64,
        /// Whether only the index is missing: every record that was written is there.
        only_index: bool,
    },
    /// Its structure is broken, and what follows could not be read.
    Broken,
}

impl Ending {
    /// A sentence on what is missing, where something is.
    #[must_use]
    pub fn render(&self) -> Option<String> {
        match *self {
            Self::NotReached | Self::Whole => None,
            Self::Broken => Some("the file is broken: what follows the last record above could not be read".to_owned()),
            Self::Cut { only_index: true, .. } => {
                Some("the file has no index (its writer was stopped, or it was cut): no record is missing".to_owned())
            }
            Self::Cut { whole_bytes, left_bytes, unchecked_records, .. } => Some(format!(
                "the file is cut: {} whole, {} of an unfinished part behind them ({} of it taken, unchecked); what came \
                 after is missing",
                counted(whole_bytes, "byte"),
                counted(left_bytes, "byte"),
                counted(unchecked_records, "whole record")
            )),
        }
    }
}

/// One record, not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// On which channel.
    pub topic: Topic,
    /// Logical time, nanoseconds (0 where that is negative).
    pub log_time: u64,
    /// When what it tells was true, nanoseconds.
    pub publish_time: u64,
    /// Low 32 bits of its input's number.
    pub sequence: u32,
    /// The FlatBuffer.
    pub data: &'a [u8],
    /// Whether the chunk's checksum covers it: true but in the last, cut chunk of a file.
    pub checked: bool,
}

/// What comes next in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A record.
    Record(RawRecord<'a>),
    /// Something is missing here.
    Damage(Damage),
}

/// Counts of what was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Records given out.
    pub records: u64,
    /// Chunks with a matching checksum.
    pub chunks: u64,
    /// Chunks that carry no checksum (another tool wrote them).
    pub chunks_without_crc: u64,
    /// Records on channels that this version does not know.
    pub unknown: u64,
}
