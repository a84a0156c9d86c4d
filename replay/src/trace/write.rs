//! Writes a trace: MCAP with FlatBuffers records, so that any MCAP tool opens it and a later build can read it.
//!
//! Every chunk is built in memory and written whole with its checksum, so that a file whose writer was killed ends
//! at a whole chunk. Metadata and the site's files come first: what a cut file still has can be replayed.

use super::container::Container;
use super::format::{
    ATTACHMENT_PREFIX, CHUNK_TARGET_BYTES, ENCODING, FLUSH_EVERY_NS, INSTALL_NAME, METADATA_NAME, Meta, PROFILE,
    RECORD_BYTES_MAX, Topic,
};
use mcap::records::MessageHeader;
use osmose_model::ids::Seq;
use osmose_model::site::SourceFile;
use osmose_model::time::LogicalNs;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Why a trace could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file is there already.
    #[error("{0} exists already; choose another name, or remove it first: a recording is never overwritten")]
    Exists(PathBuf),
    /// The file cannot be created.
    #[error("{path} cannot be created: {source}")]
    Create {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The disk refused.
    #[error("the trace cannot be written: {0}")]
    Io(#[from] std::io::Error),
    /// The trace was ended already.
    #[error("the trace was ended already")]
    Ended,
    /// A record is larger than a reader would take.
    #[error("a record of {0} bytes on `{1}`, the limit is {RECORD_BYTES_MAX}")]
    TooLarge(usize, Topic),
}

/// How chunks are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// Not at all: the least work while recording.
    None,
    /// LZ4: about a third of the size for a few microseconds a chunk. The default.
    #[default]
    Lz4,
    /// Zstandard: for archives; it stalls a writer for more than 1 ms.
    Zstd,
}

/// The root table and the reflection data (`.bfbs`) of each topic's records.
#[derive(Clone, Copy, Debug)]
pub struct Schemas<'a> {
    /// Fully qualified root tables, in the order of [`Topic::ALL`].
    pub tables: [&'a str; Topic::ALL.len()],
    /// The `.bfbs` that defines them all.
    pub bfbs: &'a [u8],
}

/// Writes one trace. Dropping it ends the file properly where the disk allows; [`TraceWriter::finish`] says so.
pub struct TraceWriter<W: Write> {
    mcap: Container<W>,
    dirty: bool,
    flush_due_ns: i64,
}

/// Creates a new file for a trace, readable and writable by its owner only: it says who was where.
///
/// # Errors
/// [`WriteError::Exists`], [`WriteError::Create`].
pub fn create_private(path: &Path) -> Result<File, WriteError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => WriteError::Exists(path.to_owned()),
        _ => WriteError::Create { path: path.to_owned(), source },
    })
}

impl TraceWriter<BufWriter<File>> {
    /// Creates the file `path` (mode 0600) and writes the head: metadata, the site's files, schemas, channels.
    ///
    /// # Errors
    /// [`WriteError`]; an existing file is one, and is left as it was.
    pub fn create(
        path: &Path,
        meta: &Meta,
        files: &[SourceFile],
        schemas: &Schemas<'_>,
        packing: Packing,
    ) -> Result<Self, WriteError> {
        Self::new(BufWriter::new(create_private(path)?), meta, files, schemas, packing)
    }
}

impl<W: Write> TraceWriter<W> {
    /// Writes the head of a trace to `out`.
    ///
    /// # Errors
    /// [`WriteError::Io`] where `out` refuses.
    pub fn new(
        out: W,
        meta: &Meta,
        files: &[SourceFile],
        schemas: &Schemas<'_>,
        packing: Packing,
    ) -> Result<Self, WriteError> {
        let library = format!("osmose/{}", meta.build.version);
        let mut mcap = Container::new(out, PROFILE, &library, packing, CHUNK_TARGET_BYTES as usize)?;
        mcap.metadata(METADATA_NAME, &meta.to_map())?;
        for file in files {
            let name = format!("{ATTACHMENT_PREFIX}{}", file.path);
            mcap.attachment(&name, media_type(&file.path), file.text.as_bytes())?;
        }
        for topic in Topic::ALL {
            let table = schemas.tables[topic.index()];
            mcap.channel(channel(topic), topic.as_str(), table, ENCODING, schemas.bfbs);
        }
        // The head is on disk before the first record is: a trace that is killed at once still says what it is.
        mcap.flush()?;
        Ok(Self { mcap, dirty: false, flush_due_ns: i64::MIN })
    }

    /// Appends one record. `at` is its logical time, `measured` when what it tells was true (equal to `at` where
    /// that is no other), `seq` its input's number; only the low 32 bits of that fit MCAP's own field, the payload
    /// has it whole.
    ///
    /// # Errors
    /// [`WriteError::TooLarge`], or the disk's refusal; after the latter every further call fails too.
    pub fn append(
        &mut self,
        topic: Topic,
        at: LogicalNs,
        measured: LogicalNs,
        seq: Seq,
        payload: &[u8],
    ) -> Result<(), WriteError> {
        if payload.len() > RECORD_BYTES_MAX {
            return Err(WriteError::TooLarge(payload.len(), topic));
        }
        let header = MessageHeader {
            channel_id: channel(topic),
            sequence: seq.0 as u32,
            log_time: mcap_time(at),
            publish_time: mcap_time(measured),
        };
        self.mcap.message(&header, payload)?;
        self.dirty = true;
        Ok(())
    }

    /// Notes that the next record installs rules, and begins a chunk with it, so that who seeks finds it.
    ///
    /// # Errors
    /// The disk's refusal.
    pub fn note_install(&mut self, seq: Seq) -> Result<(), WriteError> {
        self.mcap.metadata(INSTALL_NAME, &[("seq".to_owned(), seq.0.to_string())].into())?;
        Ok(())
    }

    /// Closes the chunk and hands all of it to the operating system where anything waited for
    /// [`FLUSH_EVERY_NS`]; to be called more often than that. Gives whether it did.
    ///
    /// # Errors
    /// The disk's refusal.
    pub fn poll_flush(&mut self, now_ns: i64) -> Result<bool, WriteError> {
        if !self.dirty {
            // Nothing waits: the time starts with the next record, at the latest now.
            self.flush_due_ns = now_ns.saturating_add(FLUSH_EVERY_NS);
            return Ok(false);
        }
        if now_ns < self.flush_due_ns {
            return Ok(false);
        }
        self.flush()?;
        self.flush_due_ns = now_ns.saturating_add(FLUSH_EVERY_NS);
        Ok(true)
    }

    /// Closes the chunk and hands all of it to the operating system.
    ///
    /// # Errors
    /// The disk's refusal.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.mcap.flush()?;
        self.dirty = false;
        Ok(())
    }

    /// Ends the file with its summary and index, and gives back what was written to.
    ///
    /// # Errors
    /// The disk's refusal.
    pub fn finish(self) -> Result<W, WriteError> {
        Ok(self.mcap.finish()?)
    }
}

/// The number of a topic's channel.
fn channel(topic: Topic) -> u16 {
    topic.index() as u16 + 1
}

/// MCAP's times are unsigned; what lies before the log's beginning is written as its beginning (the payload has the
/// true value).
fn mcap_time(at: LogicalNs) -> u64 {
    u64::try_from(at.0).unwrap_or(0)
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("toml") => "application/toml",
        Some("geojson") => "application/geo+json",
        Some("json") => "application/json",
        _ => "text/plain",
    }
}
