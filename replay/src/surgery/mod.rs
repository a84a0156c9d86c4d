//! What can be done to a trace: every operation reads one and writes another, and never changes a record.
//!
//! | file | what it holds |
//! |---|---|
//! | [`mod@index`] | keyframes for a trace that has none; an import is run once |
//! | [`mod@recover`] | what is whole of a damaged or cut file |
//! | [`mod@cut`] | a stretch of time as a trace of its own |
//! | [`mod@merge`] | parts of one log as one file |
//! | [`mod@keep`] | recordings that do not expire |
//! | [`mod@anonymise`] | a trace without names |

pub mod anonymise;
pub mod cut;
pub mod index;
pub mod keep;
pub mod merge;
pub mod recover;

use crate::drive::walk::WalkError;
use crate::drive::{ReplayError, Ticker, Watch, WorkshopError};
use crate::trace::codec::{self, Encoder, Record};
use crate::trace::format::{Meta, Topic};
use crate::trace::read::{Item, OpenError, RawRecord};
use crate::trace::recording::{Recording, RecordingError};
use crate::trace::write::{Packing, TraceWriter, WriteError};
use osmose_model::digest::Digest;
use osmose_model::ids::Seq;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::SourceFile;
use osmose_model::time::LogicalNs;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// Why a trace was not written.
#[derive(Debug, thiserror::Error)]
pub enum SurgeryError {
    /// A file is no recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A file is no trace.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The core cannot be run along it.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The inputs cannot be run.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// No core can be made of its files.
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    /// The new trace cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The disk refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// What was asked makes no sense for this trace.
    #[error("{0}")]
    Refused(String),
}

/// Writes records into a new trace; the file is removed again unless it is finished.
pub(crate) struct Copy {
    writer: Option<TraceWriter<BufWriter<File>>>,
    encoder: Encoder,
    path: PathBuf,
    pub(crate) records: u64,
}

impl Copy {
    pub(crate) fn create(path: &Path, meta: &Meta, files: &[SourceFile]) -> Result<Self, WriteError> {
        let meta = Meta { notes_installs: true, ..meta.clone() };
        let writer = TraceWriter::create(path, &meta, files, &Encoder::schemas(), Packing::Lz4)?;
        Ok(Self { writer: Some(writer), encoder: Encoder::default(), path: path.to_owned(), records: 0 })
    }

    /// Copies a record as it is.
    pub(crate) fn put(&mut self, raw: &RawRecord<'_>, record: &Record<'_>) -> Result<(), WriteError> {
        let Some(writer) = &mut self.writer else { return Err(WriteError::Ended) };
        if let Record::Input { tag, input: Input::RulesInstalled { .. } } = record {
            writer.note_install(tag.seq)?;
        }
        let time = |t: u64| LogicalNs(i64::try_from(t).unwrap_or(i64::MAX));
        self.records += 1;
        let seq = Seq(u64::from(raw.sequence));
        writer.append(raw.topic, time(raw.log_time), time(raw.publish_time), seq, raw.data)
    }

    /// Writes a whole state with both digests before it, as a recorder does.
    pub(crate) fn keyframe(
        &mut self,
        tag: Tag,
        state: &[u8],
        (input, decision): (Digest, Digest),
    ) -> Result<(), WriteError> {
        let Some(writer) = &mut self.writer else { return Err(WriteError::Ended) };
        let payload = self.encoder.digest(tag.seq, input, decision);
        writer.append(Topic::Digest, tag.at, tag.at, tag.seq, payload)?;
        let payload = self.encoder.keyframe(tag, state);
        writer.append(Topic::Keyframe, tag.at, tag.at, tag.seq, payload)
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> Result<(), WriteError> {
        match self.writer.take() {
            Some(writer) => writer.finish().map(drop),
            None => Err(WriteError::Ended),
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            // Half a trace would look like a whole one that ends early. Where it cannot be removed, nothing can be
            // done about it here: the caller has the reason.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A record, of a trace that must be whole.
///
/// # Errors
/// [`SurgeryError::Refused`] for damage, with the way to mend it.
fn whole(item: Item<'_>) -> Result<RawRecord<'_>, SurgeryError> {
    match item {
        Item::Record(raw) => Ok(raw),
        Item::Damage(d) => Err(SurgeryError::Refused(format!("{d}; `osmose trace recover` it first"))),
    }
}

/// Shows every input of a whole recording.
///
/// # Errors
/// The first damage, a record that cannot be read, or what `f` says.
fn for_each_input(
    recording: &mut Recording,
    watch: &mut dyn Watch,
    mut f: impl FnMut(Tag, &Input<'_>) -> Result<(), SurgeryError>,
) -> Result<(), SurgeryError> {
    let (mut scan, mut ticker) = (ScanBuf::new(), Ticker::new(watch));
    while let Some(item) = ticker.next_item(recording)? {
        let raw = whole(item)?;
        let record = codec::decode(&raw, &mut scan).map_err(|e| SurgeryError::Refused(e.to_string()))?;
        if let Record::Input { tag, input } = record {
            f(tag, &input)?;
        }
    }
    Ok(())
}
