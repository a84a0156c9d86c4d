//! Where things stand in a trace: what is needed to begin in its middle.
//!
//! A file that its writer ended has the places of its chunks in its summary; one that was cut is looked through
//! once, by the heads of its records, without unpacking anything. Which chunks hold keyframes is said by MCAP's own
//! message indexes; which rules are in force at a keyframe by the notes in front of installations.

use super::chunk::HEAD_BYTES;
use super::format::{CHUNK_BYTES_MAX, INSTALL_NAME, Topic};
use super::lengths;
use mcap::records::{Record, op};
use osmose_model::time::LogicalNs;
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

/// Bytes of a footer record with the magic bytes behind it.
const TAIL_BYTES: u64 = HEAD_BYTES as u64 + 20 + mcap::MAGIC.len() as u64;
/// Most bytes of a summary that is read into memory: about two million chunks.
const SUMMARY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of a chunk's body that hold its first and last time.
const CHUNK_TIMES_BYTES: usize = 16;

/// One chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRef {
    /// Where its record begins, bytes from the file's start.
    pub at_byte: u64,
    /// Log time of its earliest record, nanoseconds; 0 where it holds none.
    pub first: u64,
    /// Log time of its latest record, nanoseconds.
    pub last: u64,
    /// Where the index of its keyframes stands, if it holds any.
    keyframes_at: Option<u64>,
}

/// Where a replay can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeekPoint {
    /// The chunk that holds the keyframe.
    pub chunk_at: u64,
    /// Log time of the keyframe's record.
    pub log_time: u64,
    /// The note of the last installation of rules before it, if there was one.
    pub install_at: Option<u64>,
}

/// The places of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceIndex {
    /// What each channel carries; `None` for channels that this version does not know.
    pub channels: BTreeMap<u16, Option<Topic>>,
    /// Chunks in the file's order.
    pub chunks: Vec<ChunkRef>,
    /// Where each note of an installation begins, ascending.
    pub installs: Vec<u64>,
    /// Whether the file's own summary said so; else it was looked through.
    pub from_summary: bool,
    /// Bytes of the summary; 0 where it was looked through.
    pub summary_bytes: u64,
    /// Bytes of the message indexes behind the chunks, as the summary counts them.
    pub message_index_bytes: u64,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Reads up to `n` bytes at a place; fewer only where the file ends.
fn read_at<R: Read + Seek>(source: &mut R, at: u64, n: u64, out: &mut Vec<u8>) -> std::io::Result<()> {
    source.seek(SeekFrom::Start(at))?;
    out.clear();
    source.take(n).read_to_end(out)?;
    Ok(())
}

impl TraceIndex {
    /// Reads the summary of a file of `len` bytes, or looks through it where it has none that holds.
    ///
    /// # Errors
    /// The disk's.
    pub fn read<R: Read + Seek>(source: &mut R, len: u64) -> std::io::Result<Self> {
        match Self::from_summary(source, len)? {
            Some(index) => Ok(index),
            None => Self::by_scan(source, len),
        }
    }

    /// The summary; `None` where the file has none, or it fails its checksum.
    fn from_summary<R: Read + Seek>(source: &mut R, len: u64) -> std::io::Result<Option<Self>> {
        let Some(tail_at) = len.checked_sub(TAIL_BYTES) else { return Ok(None) };
        let mut tail = Vec::new();
        read_at(source, tail_at, TAIL_BYTES, &mut tail)?;
        let footer = (tail.first() == Some(&op::FOOTER) && tail.ends_with(mcap::MAGIC)).then_some(&tail[HEAD_BYTES..]);
        let Some((start, crc)) = footer.and_then(|f| Some((u64_at(f, 0)?, u32_at(f, 16)?))) else { return Ok(None) };
        if start == 0 || crc == 0 || start > tail_at || tail_at - start > SUMMARY_BYTES_MAX {
            return Ok(None);
        }
        let mut summary = Vec::new();
        // MCAP: the checksum covers the summary up to and including the footer's own fields before it.
        let covered = tail_at - start + HEAD_BYTES as u64 + 16;
        read_at(source, start, covered, &mut summary)?;
        if summary.len() as u64 != covered || crc32fast::hash(&summary) != crc {
            return Ok(None);
        }
        summary.truncate((tail_at - start) as usize);
        Ok(Self::of_summary(&summary))
    }

    fn of_summary(summary: &[u8]) -> Option<Self> {
        let mut index = Self { from_summary: true, summary_bytes: summary.len() as u64, ..Self::default() };
        let mut at = 0;
        // Channels come before the index of chunks, as the writer writes them.
        while at < summary.len() {
            let opcode = *summary.get(at)?;
            let body_bytes = usize::try_from(u64_at(summary, at + 1)?).ok()?;
            let body = summary.get(at + HEAD_BYTES..)?.get(..body_bytes)?;
            match opcode {
                op::CHANNEL => {
                    let Some(Record::Channel(c)) = lengths::parse(opcode, body) else { return None };
                    index.channels.insert(c.id, Topic::from_name(&c.topic));
                }
                op::CHUNK_INDEX => {
                    index.chunks.push(index.chunk_index(body)?);
                    // ChunkIndex: the length of the message indexes stands behind the map of their places.
                    index.message_index_bytes += u64_at(body, 36 + u32_at(body, 32)? as usize)?;
                }
                op::METADATA_INDEX => {
                    let Some(Record::MetadataIndex(m)) = lengths::parse(opcode, body) else { return None };
                    if m.name == INSTALL_NAME {
                        index.installs.push(m.offset);
                    }
                }
                _ => {}
            }
            at += HEAD_BYTES + body_bytes;
        }
        index.installs.sort_unstable();
        Some(index)
    }

    /// ChunkIndex (op=0x08): start and end time, offset, length, then a map of channels to their message indexes.
    /// By hand: a day has hundreds of thousands of them.
    fn chunk_index(&self, body: &[u8]) -> Option<ChunkRef> {
        let map_bytes = u32_at(body, 32)? as usize;
        let map = body.get(36..36 + map_bytes)?;
        let keyframes = map
            .chunks_exact(10)
            .find(|entry| u16_at(entry, 0).is_some_and(|c| self.channels.get(&c) == Some(&Some(Topic::Keyframe))));
        Some(ChunkRef {
            at_byte: u64_at(body, 16)?,
            first: u64_at(body, 0)?,
            last: u64_at(body, 8)?,
            keyframes_at: keyframes.and_then(|entry| u64_at(entry, 2)),
        })
    }

    /// Looks through a file without an index, head by head, up to its last whole record.
    fn by_scan<R: Read + Seek>(source: &mut R, len: u64) -> std::io::Result<Self> {
        let mut index = Self::default();
        let mut body = Vec::new();
        let mut at = mcap::MAGIC.len() as u64;
        loop {
            read_at(source, at, (HEAD_BYTES + CHUNK_TIMES_BYTES) as u64, &mut body)?;
            let (Some(&opcode), Some(body_bytes)) = (body.first(), u64_at(&body, 1)) else { break };
            let whole = body_bytes <= CHUNK_BYTES_MAX as u64 && at + HEAD_BYTES as u64 + body_bytes <= len;
            if !whole || !matches!(opcode, op::HEADER..=op::METADATA_INDEX) {
                break;
            }
            match opcode {
                op::CHUNK => {
                    let time = |i| u64_at(&body, HEAD_BYTES + i).unwrap_or(0);
                    let (first, last) = (time(0), time(8));
                    if index.channels.is_empty() {
                        index.channels = first_channels(source, at, body_bytes)?;
                    }
                    index.chunks.push(ChunkRef { at_byte: at, first, last, keyframes_at: None });
                }
                op::MESSAGE_INDEX => {
                    let channel = u16_at(&body, HEAD_BYTES);
                    let holds = channel.is_some_and(|c| index.channels.get(&c) == Some(&Some(Topic::Keyframe)));
                    if let Some(chunk) = index.chunks.last_mut().filter(|_| holds) {
                        chunk.keyframes_at = Some(at);
                    }
                }
                op::METADATA => {
                    read_at(source, at + HEAD_BYTES as u64, body_bytes, &mut body)?;
                    if matches!(lengths::parse(op::METADATA, &body), Some(Record::Metadata(m)) if m.name == INSTALL_NAME)
                    {
                        index.installs.push(at);
                    }
                }
                op::DATA_END => break,
                _ => {}
            }
            at += HEAD_BYTES as u64 + body_bytes;
        }
        Ok(index)
    }

    /// First and last log time of all chunks.
    #[must_use]
    pub fn span(&self) -> Option<(LogicalNs, LogicalNs)> {
        // A chunk without a record has no time.
        let held = self.chunks.iter().filter(|c| c.last > 0);
        let first = held.clone().map(|c| c.first).min()?;
        let last = held.map(|c| c.last).max()?;
        let logical = |t: u64| LogicalNs(i64::try_from(t).unwrap_or(i64::MAX));
        Some((logical(first), logical(last)))
    }

    /// Whether any chunk holds a keyframe.
    #[must_use]
    pub fn has_keyframes(&self) -> bool {
        self.chunks.iter().any(|c| c.keyframes_at.is_some())
    }

    /// The last keyframe that stands before `at`.
    ///
    /// # Errors
    /// The disk's.
    pub fn keyframe_before<R: Read + Seek>(&self, source: &mut R, at: LogicalNs) -> std::io::Result<Option<SeekPoint>> {
        let before = u64::try_from(at.0).unwrap_or(0);
        let mut body = Vec::new();
        for chunk in self.chunks.iter().rev().filter(|c| c.first < before) {
            let Some(keyframes_at) = chunk.keyframes_at else { continue };
            read_at(source, keyframes_at, HEAD_BYTES as u64, &mut body)?;
            let Some(bytes) = u64_at(&body, 1).filter(|n| *n <= CHUNK_BYTES_MAX as u64) else { continue };
            read_at(source, keyframes_at + HEAD_BYTES as u64, bytes, &mut body)?;
            // MessageIndex (op=0x07): channel, bytes of the entries, entries of (log time, offset in the chunk).
            let times = body.get(6..).unwrap_or_default().chunks_exact(16).filter_map(|e| u64_at(e, 0));
            if let Some(log_time) = times.filter(|t| *t < before).max() {
                let notes = self.installs.partition_point(|i| *i < chunk.at_byte);
                let install_at = notes.checked_sub(1).map(|i| self.installs[i]);
                return Ok(Some(SeekPoint { chunk_at: chunk.at_byte, log_time, install_at }));
            }
        }
        Ok(None)
    }
}

/// The channels that the first chunk declares: a file without a summary has them nowhere else.
fn first_channels<R: Read + Seek>(
    source: &mut R,
    at: u64,
    bytes: u64,
) -> std::io::Result<BTreeMap<u16, Option<Topic>>> {
    use super::chunk::{ChunkHead, split_record};
    let (mut body, mut records) = (Vec::new(), Vec::new());
    read_at(source, at + HEAD_BYTES as u64, bytes, &mut body)?;
    let mut channels = BTreeMap::new();
    let Some(head) = ChunkHead::parse(&body).filter(|h| h.unpacked_bytes <= CHUNK_BYTES_MAX as u64) else {
        return Ok(channels);
    };
    let packed = body.get(head.records_at..).unwrap_or_default();
    if head.packing.unpack(packed, head.unpacked_bytes as usize, &mut records).is_err() {
        return Ok(channels);
    }
    let mut left = records.as_slice();
    while let Some((opcode, record)) = split_record(left) {
        if let (op::CHANNEL, Some(Record::Channel(c))) = (opcode, lengths::parse(opcode, record)) {
            channels.insert(c.id, Topic::from_name(&c.topic));
        }
        left = &left[HEAD_BYTES + record.len()..];
    }
    Ok(channels)
}
