//! Reads a trace in order, with bounded memory, and trusts nothing in it that a checksum does not cover.
//!
//! The file is framed here rather than by the `mcap` crate, because a reader of incidents must say exactly where a
//! file ends or is damaged, go on behind a damaged chunk, and take what is whole of a chunk that was cut. Only the
//! small records (header, metadata, channels) are parsed by `mcap`.
//!
//! | what | its checksum |
//! |---|---|
//! | records | the chunk's CRC, checked before the first record of the chunk is given out |
//! | metadata | a CRC among its own keys |
//! | site files | the attachment's CRC |
//! | everything, once more | the data section's and the summary's CRC, where the file was read from start to end |

use super::chunk::{CHUNK_HEAD_BYTES, COMPRESSION_NAME_MAX, ChunkHead, HEAD_BYTES, Packed, split_record};
use super::format::{
    ATTACHMENT_PREFIX, CHUNK_BYTES_MAX, CHUNK_TARGET_BYTES, METADATA_NAME, Meta, SCHEMA_VERSION, Topic,
};
pub use super::found::{Damage, DamageKind, Ending, Item, OpenError, RawRecord, ReadCounts};
use super::index::{SeekPoint, TraceIndex};
use super::lengths;
use mcap::records::{Record, op};
use osmose_model::site::SourceFile;
use osmose_model::time::LogicalNs;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of a footer: two offsets and the summary's CRC.
const FOOTER_BYTES: usize = 20;
/// Most channels: a trace has eight.
const CHANNELS_MAX: usize = 64;

/// A trace being read.
pub struct TraceReader<R> {
    source: Source<R>,
    meta: Meta,
    files: Vec<SourceFile>,
    channels: BTreeMap<u16, Option<Topic>>,
    /// The record read last, and the unpacked chunk that records are given out of.
    body: Vec<u8>,
    chunk: Vec<u8>,
    chunk_in_body: bool,
    chunk_left: Range<usize>,
    chunk_checked: bool,
    /// Chunks stay packed: nothing but checksums is wanted.
    skims: bool,
    chunk_at: u64,
    stage: Stage,
    ending: Ending,
    counts: ReadCounts,
    damage: Vec<Damage>,
    given: usize,
    data_crc: Option<crc32fast::Hasher>,
    summary_crc: crc32fast::Hasher,
    whole_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Data,
    Summary,
    Over,
}

/// A reader that knows how far it is and how much there is.
struct Source<R> {
    inner: R,
    at: u64,
    len: u64,
}

impl<R: Read> Source<R> {
    fn left(&self) -> u64 {
        self.len.saturating_sub(self.at)
    }

    /// Reads up to `n` bytes to the end of `out`; fewer only where the source ends.
    fn fill(&mut self, out: &mut Vec<u8>, n: usize) -> std::io::Result<usize> {
        let got = (&mut self.inner).take(n as u64).read_to_end(out)?;
        self.at += got as u64;
        Ok(got)
    }
}

/// What comes next, by its place in the reader's buffers.
pub(super) enum Found {
    /// Index into the damage found so far.
    Damage(usize),
    /// A record of the chunk that is unpacked.
    Record(Topic, mcap::records::MessageHeader, Range<usize>),
}

/// What lies between two records of the file.
enum Framed {
    /// Opcode; the body is in `TraceReader::body`.
    Whole(u8),
    /// The file ends inside this record: its opcode (if even that is there), and what there is of the body.
    Cut(Option<u8>),
    /// No record can be here.
    Broken(String),
}

impl TraceReader<BufReader<File>> {
    /// Opens a file and reads its head: metadata and site files.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        Self::new(BufReader::with_capacity(CHUNK_TARGET_BYTES as usize, file), len).map_err(|e| match e {
            OpenError::Io { source, .. } => io(source),
            other => other,
        })
    }
}

impl<R: Read + Seek> TraceReader<R> {
    /// Goes on reading at a record of the file (a chunk, or the note of an installation) that `index` names.
    /// The checksum over the whole data section is not taken then; each chunk's is.
    ///
    /// # Errors
    /// The disk's.
    pub fn seek(&mut self, at_byte: u64, index: &TraceIndex) -> std::io::Result<()> {
        self.source.inner.seek(SeekFrom::Start(at_byte))?;
        self.source.at = at_byte;
        self.channels.clone_from(&index.channels);
        self.chunk_left = 0..0;
        self.stage = Stage::Data;
        self.ending = Ending::NotReached;
        self.data_crc = None;
        self.summary_crc = crc32fast::Hasher::new();
        Ok(())
    }

    /// The index of the file, by its own summary or by a look through it; reading goes on where it was.
    ///
    /// # Errors
    /// The disk's.
    pub fn index(&mut self) -> std::io::Result<TraceIndex> {
        let index = TraceIndex::read(&mut self.source.inner, self.source.len)?;
        self.source.inner.seek(SeekFrom::Start(self.source.at))?;
        Ok(index)
    }

    /// Where the last keyframe before an instant stands, if there is one; reading goes on where it was.
    ///
    /// # Errors
    /// The disk's.
    pub fn keyframe_before(&mut self, at: LogicalNs, index: &TraceIndex) -> std::io::Result<Option<SeekPoint>> {
        let found = index.keyframe_before(&mut self.source.inner, at)?;
        self.source.inner.seek(SeekFrom::Start(self.source.at))?;
        Ok(found)
    }
}

impl<R: Read> TraceReader<R> {
    /// Reads the head of a trace of `len` bytes.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn new(inner: R, len: u64) -> Result<Self, OpenError> {
        let mut source = Source { inner, at: 0, len };
        let mut body = Vec::new();
        source.fill(&mut body, mcap::MAGIC.len()).map_err(no_path)?;
        if body != mcap::MAGIC {
            return Err(OpenError::NotMcap);
        }
        let mut data_crc = crc32fast::Hasher::new();
        data_crc.update(mcap::MAGIC);
        let mut reader = Self {
            source,
            meta: Meta::new(super::format::Origin::Live, ""),
            files: Vec::new(),
            channels: BTreeMap::new(),
            body,
            chunk: Vec::new(),
            chunk_in_body: false,
            chunk_left: 0..0,
            chunk_checked: false,
            skims: false,
            chunk_at: 0,
            stage: Stage::Data,
            ending: Ending::NotReached,
            counts: ReadCounts::default(),
            damage: Vec::new(),
            given: 0,
            data_crc: Some(data_crc),
            summary_crc: crc32fast::Hasher::new(),
            whole_bytes: 0,
        };
        reader.read_head()?;
        Ok(reader)
    }

    /// Who wrote it, and what of.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The site's files as they were when recording began, ascending by path.
    #[must_use]
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// How the file ended, once the last record was given out.
    #[must_use]
    pub fn ending(&self) -> &Ending {
        &self.ending
    }

    /// What has been read so far.
    #[must_use]
    pub fn counts(&self) -> ReadCounts {
        self.counts
    }

    /// All damage found so far.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Bytes read and bytes there are, for a progress bar.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.source.at, self.source.len)
    }

    /// The next record, or the next stretch that is missing; `None` at the end.
    ///
    /// # Errors
    /// Only the disk's; damage is an item, because what follows it can often be used.
    pub fn next_item(&mut self) -> std::io::Result<Option<Item<'_>>> {
        Ok(self.advance()?.map(|found| self.item(found)))
    }

    /// Reads to the end without unpacking anything, for the checksum over the whole data section alone: what is said where
    /// that does not hold. (Who reads pieces of a file checks its chunks, and not what lies between them.) Stops, and says
    /// nothing, once that is not wanted any more.
    ///
    /// # Errors
    /// The disk's.
    pub fn skim(mut self, wanted: &dyn Fn() -> bool) -> std::io::Result<Option<Damage>> {
        self.skims = true;
        while self.stage != Stage::Over {
            if !wanted() {
                return Ok(None);
            }
            self.next_in_file()?;
        }
        Ok(self.damage.into_iter().find(|d| d.kind == DamageKind::DataSection))
    }

    /// Goes on to the next item. Beside [`TraceReader::item`], so that who reads several files can go on to the next
    /// one where this gives nothing.
    pub(super) fn advance(&mut self) -> std::io::Result<Option<Found>> {
        loop {
            if self.given < self.damage.len() {
                self.given += 1;
                return Ok(Some(Found::Damage(self.given - 1)));
            }
            if let Some((topic, header, range)) = self.next_in_chunk() {
                self.counts.records += 1;
                if let Ending::Cut { unchecked_records, .. } = &mut self.ending {
                    *unchecked_records += 1;
                }
                return Ok(Some(Found::Record(topic, header, range)));
            }
            if self.given < self.damage.len() {
                continue;
            }
            if self.stage == Stage::Over {
                return Ok(None);
            }
            self.next_in_file()?;
        }
    }

    /// What [`TraceReader::advance`] came to.
    pub(super) fn item(&self, found: Found) -> Item<'_> {
        match found {
            Found::Damage(at) => Item::Damage(self.damage[at].clone()),
            Found::Record(topic, header, range) => {
                let bytes = if self.chunk_in_body { &self.body } else { &self.chunk };
                Item::Record(RawRecord {
                    topic,
                    log_time: header.log_time,
                    publish_time: header.publish_time,
                    sequence: header.sequence,
                    data: &bytes[range],
                    checked: self.chunk_checked,
                })
            }
        }
    }

    /// Reads up to the first chunk: header, metadata, attachments.
    fn read_head(&mut self) -> Result<(), OpenError> {
        let mut meta = None;
        while meta.is_none() {
            let opcode = match self.frame().map_err(no_path)? {
                Framed::Whole(opcode) => opcode,
                Framed::Cut(_) => return Err(OpenError::NotATrace("the file ends inside its head".to_owned())),
                Framed::Broken(why) => return Err(OpenError::NotATrace(why)),
            };
            match opcode {
                op::HEADER => {}
                op::METADATA => {
                    let Some(Record::Metadata(found)) = lengths::parse(opcode, &self.body) else {
                        return Err(OpenError::NotATrace("its metadata cannot be read".to_owned()));
                    };
                    if found.name == METADATA_NAME {
                        meta = Some(Meta::from_map(&found.metadata).map_err(OpenError::NotATrace)?);
                    }
                }
                _ => return Err(OpenError::NotATrace("another program wrote it (no `osmose` metadata)".to_owned())),
            }
            self.passed(opcode);
        }
        self.meta = meta.unwrap_or_else(|| Meta::new(super::format::Origin::Live, ""));
        if self.meta.schema_version > SCHEMA_VERSION {
            return Err(OpenError::TooNew { found: self.meta.schema_version });
        }
        // Attachments follow, up to the first chunk, which waits then for the first call of `next_item`.
        while self.stage == Stage::Data && self.chunk_left.is_empty() {
            self.next_in_file().map_err(no_path)?;
            if self.counts.chunks + self.counts.chunks_without_crc > 0 || !self.damage.is_empty() {
                break;
            }
        }
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(())
    }

    /// Reads one record of the file into `body`.
    fn frame(&mut self) -> std::io::Result<Framed> {
        self.body.clear();
        self.chunk_left = 0..0;
        self.whole_bytes = self.source.at;
        if self.source.fill(&mut self.body, HEAD_BYTES)? < HEAD_BYTES {
            return Ok(Framed::Cut(self.body.first().copied()));
        }
        let opcode = self.body[0];
        let len = u64::from_le_bytes(self.body[1..HEAD_BYTES].try_into().unwrap_or_default());
        self.body.clear();
        if !matches!(opcode, op::HEADER..=op::DATA_END) {
            return Ok(Framed::Broken(format!("there is no record of kind {opcode:#04x}")));
        }
        if len > CHUNK_BYTES_MAX as u64 + (CHUNK_HEAD_BYTES + COMPRESSION_NAME_MAX) as u64 {
            return Ok(Framed::Broken(format!("a record of {len} bytes")));
        }
        let want = len.min(self.source.left()) as usize;
        let got = self.source.fill(&mut self.body, want)?;
        Ok(if (got as u64) < len { Framed::Cut(Some(opcode)) } else { Framed::Whole(opcode) })
    }

    /// Takes the record just framed into the checksum of its section.
    fn passed(&mut self, opcode: u8) {
        let len = (self.body.len() as u64).to_le_bytes();
        let crc = match (self.stage, &mut self.data_crc) {
            (Stage::Data, Some(crc)) => crc,
            (Stage::Summary, _) => &mut self.summary_crc,
            _ => return,
        };
        crc.update(&[opcode]);
        crc.update(&len);
        crc.update(&self.body);
    }

    /// Reads the next record of the file: unpacks a chunk, keeps an attachment, passes by the rest.
    fn next_in_file(&mut self) -> std::io::Result<()> {
        let opcode = match self.frame()? {
            Framed::Whole(opcode) => opcode,
            Framed::Cut(opcode) => {
                self.cut(opcode);
                return Ok(());
            }
            Framed::Broken(why) => {
                self.broken(why);
                return Ok(());
            }
        };
        if self.stage == Stage::Summary {
            return self.summary(opcode);
        }
        if opcode == op::DATA_END {
            let saved = self.body.get(..4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
            if let Some(crc) = self.data_crc.take().map(crc32fast::Hasher::finalize)
                && saved != 0
                && crc != saved
            {
                self.report(DamageKind::DataSection);
            }
            self.stage = Stage::Summary;
            return Ok(());
        }
        self.passed(opcode);
        match opcode {
            op::CHUNK if self.skims => {}
            op::CHUNK => {
                if let Err(kind) = self.unpack(false) {
                    self.report(kind);
                }
            }
            op::ATTACHMENT => {
                if let Err(kind) = self.attachment() {
                    self.report(kind);
                }
            }
            op::HEADER | op::METADATA | op::MESSAGE_INDEX => {}
            other => self.broken(format!("a record of kind {other:#04x} between the chunks")),
        }
        Ok(())
    }

    /// A record behind the data: passes it by, up to the footer and the closing magic.
    fn summary(&mut self, opcode: u8) -> std::io::Result<()> {
        if opcode != op::FOOTER {
            self.passed(opcode);
            return Ok(());
        }
        self.stage = Stage::Over;
        self.ending = Ending::Whole;
        if self.body.len() != FOOTER_BYTES {
            self.report(DamageKind::Summary);
            return Ok(());
        }
        let (fields, saved) = self.body.split_at(FOOTER_BYTES - 4);
        let saved = saved.try_into().map_or(0, u32::from_le_bytes);
        self.summary_crc.update(&[op::FOOTER]);
        self.summary_crc.update(&(FOOTER_BYTES as u64).to_le_bytes());
        self.summary_crc.update(fields);
        if saved != 0 && self.summary_crc.clone().finalize() != saved {
            self.report(DamageKind::Summary);
        }
        let mut magic = Vec::new();
        self.source.fill(&mut magic, mcap::MAGIC.len() + 1)?;
        if magic.len() < mcap::MAGIC.len() && mcap::MAGIC.starts_with(&magic) {
            self.ending = self.cut_ending(true);
        } else if magic != mcap::MAGIC {
            self.report(DamageKind::Structure("it does not end with MCAP's magic bytes".to_owned()));
        }
        Ok(())
    }

    fn report(&mut self, kind: DamageKind) {
        let at_byte = self.whole_bytes;
        self.damage.push(Damage { at_byte, bytes: self.source.at - at_byte, kind });
    }

    /// The structure is broken here: nothing behind it can be framed.
    fn broken(&mut self, why: String) {
        let (at_byte, bytes) = (self.whole_bytes, self.source.len.saturating_sub(self.whole_bytes));
        self.damage.push(Damage { at_byte, bytes, kind: DamageKind::Structure(why) });
        self.ending = Ending::Broken;
        self.stage = Stage::Over;
    }

    fn cut_ending(&self, only_index: bool) -> Ending {
        let left_bytes = self.source.len.saturating_sub(self.whole_bytes);
        Ending::Cut { whole_bytes: self.whole_bytes, left_bytes, unchecked_records: 0, only_index }
    }

    /// The file ends inside a record: takes what is whole of a chunk.
    fn cut(&mut self, opcode: Option<u8>) {
        self.ending = self.cut_ending(self.stage == Stage::Summary || opcode == Some(op::DATA_END));
        if self.stage == Stage::Data
            && opcode == Some(op::CHUNK)
            && let Err(kind) = self.unpack(true)
        {
            self.broken(kind.to_string());
        }
        self.stage = Stage::Over;
    }

    /// Keeps an attached site file.
    fn attachment(&mut self) -> Result<(), DamageKind> {
        let broken = || DamageKind::Structure("an attachment cannot be read".to_owned());
        let Some(Record::Attachment { header, data, crc: saved }) = lengths::parse(op::ATTACHMENT, &self.body) else {
            return Err(broken());
        };
        let covered = self.body.len().checked_sub(4).ok_or_else(broken)?;
        let calculated = crc32fast::hash(&self.body[..covered]);
        let text = std::str::from_utf8(&data).ok();
        let (Some(text), true) = (text, saved == calculated || saved == 0) else {
            return Err(DamageKind::Attachment(header.name));
        };
        if let Some(path) = header.name.strip_prefix(ATTACHMENT_PREFIX) {
            self.files.push(SourceFile { path: path.to_owned(), text: text.to_owned() });
        }
        Ok(())
    }

    /// Makes the records of the chunk in `body` ready to be given out; of a cut chunk what is there.
    fn unpack(&mut self, cut: bool) -> Result<(), DamageKind> {
        let short = || DamageKind::Chunk("its header is short".to_owned());
        let head = match ChunkHead::parse(&self.body) {
            Some(head) => head,
            None if cut => return Ok(()),
            None => return Err(short()),
        };
        let (at, len) = (head.records_at, self.body.len());
        let there = len.saturating_sub(at);
        if !cut && there as u64 != head.packed_bytes || cut && there as u64 > head.packed_bytes {
            return Err(DamageKind::Chunk("its lengths disagree".to_owned()));
        }
        if head.unpacked_bytes > CHUNK_BYTES_MAX as u64 {
            return Err(DamageKind::Chunk(format!("{} bytes, the limit is {CHUNK_BYTES_MAX}", head.unpacked_bytes)));
        }
        let unpacked_bytes = head.unpacked_bytes as usize;
        self.chunk_in_body = head.packing == Packed::Plain;
        let records = if self.chunk_in_body {
            at..len
        } else {
            self.chunk.clear();
            let result = head.packing.unpack(&self.body[at..], unpacked_bytes, &mut self.chunk);
            // A cut stream always ends in an error; what came out before it is whole.
            if let (Err(e), false) = (result, cut) {
                return Err(DamageKind::Chunk(e.to_string()));
            }
            0..self.chunk.len()
        };
        if !cut {
            if records.len() != unpacked_bytes {
                return Err(DamageKind::Chunk("it holds less than it says".to_owned()));
            }
            let bytes = if self.chunk_in_body { &self.body } else { &self.chunk };
            let calculated = crc32fast::hash(&bytes[records.clone()]);
            if head.crc != 0 && calculated != head.crc {
                return Err(DamageKind::ChunkCrc { saved: head.crc, calculated });
            }
            let counter = if head.crc != 0 { &mut self.counts.chunks } else { &mut self.counts.chunks_without_crc };
            *counter += 1;
        }
        self.chunk_left = records;
        self.chunk_checked = !cut && head.crc != 0;
        self.chunk_at = self.whole_bytes;
        Ok(())
    }

    /// The next message of the chunk: its topic, header, and where its data stands.
    fn next_in_chunk(&mut self) -> Option<(Topic, mcap::records::MessageHeader, Range<usize>)> {
        while !self.chunk_left.is_empty() {
            let bytes = if self.chunk_in_body { &self.body } else { &self.chunk };
            let rest = &bytes[self.chunk_left.clone()];
            let Some((opcode, body)) = split_record(rest) else {
                // The end of a cut chunk; in a checked one, a writer that is not ours.
                self.chunk_left = 0..0;
                if self.chunk_checked {
                    self.report(DamageKind::Structure("a chunk ends inside a record".to_owned()));
                }
                return None;
            };
            let data_at = self.chunk_left.start + HEAD_BYTES;
            self.chunk_left.start = data_at + body.len();
            if !matches!(opcode, op::MESSAGE | op::CHANNEL | op::SCHEMA) {
                self.report(DamageKind::Structure(format!("a record of kind {opcode:#04x} inside a chunk")));
                return None;
            }
            if opcode == op::MESSAGE
                && let Some((header, data)) = lengths::message(body)
                && let Some(Some(topic)) = self.channels.get(&header.channel_id)
            {
                return Some((*topic, header, self.chunk_left.start - data.len()..self.chunk_left.start));
            }
            match (opcode, lengths::parse(opcode, body)) {
                (op::MESSAGE, Some(Record::Message { header, .. })) => match self.channels.get(&header.channel_id) {
                    Some(_) => self.counts.unknown += 1,
                    None => self.report(DamageKind::Structure("a record on a channel that is not there".to_owned())),
                },
                (op::CHANNEL, Some(Record::Channel(channel))) if self.channels.len() < CHANNELS_MAX => {
                    self.channels.insert(channel.id, Topic::from_name(&channel.topic));
                }
                (op::SCHEMA, Some(_)) => {}
                _ => self.report(DamageKind::Structure(format!("a record of kind {opcode:#04x} inside a chunk"))),
            }
            if self.given < self.damage.len() {
                return None;
            }
        }
        None
    }
}

fn no_path(source: std::io::Error) -> OpenError {
    OpenError::Io { path: PathBuf::new(), source }
}
