//! The chunk that is being filled: records gathered as they are, packed in one call when it is closed.
//!
//! Packing a chunk at once costs the recording thread less than handing a codec each small record: no copy into the
//! codec's own buffer, no second checksum, and blocks that fit LZ4's table of 16-bit places. Every buffer is used again.

use super::CHANNELS;
use super::fields::{Fields, record};
use crate::trace::chunk::{CHUNK_HEAD_BYTES, HEAD_BYTES};
use crate::trace::write::Packing;
use mcap::records::{MessageHeader, op};
use std::io::Write;

/// Bytes of a message record in front of its payload: opcode, length, channel, sequence, log and publish time.
const MESSAGE_HEAD_BYTES: usize = HEAD_BYTES + 22;

/// A chunk's records before they are packed, and where each message stands among them.
#[derive(Debug, Default)]
pub(super) struct OpenChunk {
    packing: Packing,
    records: Vec<u8>,
    packed: Vec<u8>,
    head: Vec<u8>,
    indexes: Vec<u8>,
    /// For each channel the entries of its message index: log time and offset, as they are written.
    entries: [Vec<u8>; CHANNELS],
    /// Log time of the earliest and the latest message.
    times: Option<(u64, u64)>,
}

/// A closed chunk, ready to be written: the pieces follow each other in the file.
pub(super) struct Sealed<'a> {
    /// The chunk record up to its packed records.
    pub(super) head: &'a [u8],
    /// The packed records.
    pub(super) records: &'a [u8],
    /// The message indexes.
    pub(super) indexes: &'a [u8],
}

impl OpenChunk {
    pub(super) fn new(packing: Packing, room_bytes: usize) -> Self {
        Self { packing, records: Vec::with_capacity(room_bytes), ..Self::default() }
    }

    /// Bytes of the records so far, unpacked.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Appends a record that is no message: a schema or a channel.
    pub(super) fn record(&mut self, opcode: u8, body: impl FnOnce(&mut Vec<u8>)) {
        record(&mut self.records, opcode, body);
    }

    /// Appends a message. Its channel is one of `1..=CHANNELS`.
    pub(super) fn message(&mut self, header: &MessageHeader, data: &[u8]) {
        let time = header.log_time;
        self.times = Some(self.times.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
        let mut entry = [0; 16];
        entry[..8].copy_from_slice(&time.to_le_bytes());
        entry[8..].copy_from_slice(&(self.records.len() as u64).to_le_bytes());
        self.entries[usize::from(header.channel_id) - 1].extend_from_slice(&entry);

        let len = (MESSAGE_HEAD_BYTES - HEAD_BYTES + data.len()) as u64;
        let mut head = [op::MESSAGE; MESSAGE_HEAD_BYTES];
        head[1..9].copy_from_slice(&len.to_le_bytes());
        head[9..11].copy_from_slice(&header.channel_id.to_le_bytes());
        head[11..15].copy_from_slice(&header.sequence.to_le_bytes());
        head[15..23].copy_from_slice(&time.to_le_bytes());
        head[23..].copy_from_slice(&header.publish_time.to_le_bytes());
        self.records.extend_from_slice(&head);
        self.records.extend_from_slice(data);
    }

    /// Packs what was gathered into a chunk that begins at byte `at` of the file, and appends its chunk index record to
    /// `summary`.
    pub(super) fn seal(&mut self, at: u64, summary: &mut Vec<u8>) -> std::io::Result<Sealed<'_>> {
        self.pack()?;
        let records = if self.packing == Packing::None { &self.records } else { &self.packed };
        let name = compression_name(self.packing);
        let (first, last) = self.times.unwrap_or((0, 0));
        let (unpacked_bytes, packed_bytes) = (self.records.len() as u64, records.len() as u64);

        self.head.clear();
        self.head.push(op::CHUNK);
        self.head.u64((CHUNK_HEAD_BYTES + name.len()) as u64 + packed_bytes);
        self.head.u64(first);
        self.head.u64(last);
        self.head.u64(unpacked_bytes);
        self.head.u32(crc32fast::hash(&self.records));
        self.head.text(name);
        self.head.u64(packed_bytes);
        let chunk_bytes = self.head.len() as u64 + packed_bytes;

        self.indexes.clear();
        let mut places = Vec::with_capacity(CHANNELS * 10);
        for (channel, entries) in (1u16..).zip(&self.entries).filter(|(_, entries)| !entries.is_empty()) {
            places.u16(channel);
            places.u64(at + chunk_bytes + self.indexes.len() as u64);
            record(&mut self.indexes, op::MESSAGE_INDEX, |body| {
                body.u16(channel);
                body.u32(entries.len() as u32);
                body.extend_from_slice(entries);
            });
        }

        record(summary, op::CHUNK_INDEX, |body| {
            body.u64(first);
            body.u64(last);
            body.u64(at);
            body.u64(chunk_bytes);
            body.u32(places.len() as u32);
            body.extend_from_slice(&places);
            body.u64(self.indexes.len() as u64);
            body.text(name);
            body.u64(packed_bytes);
            body.u64(unpacked_bytes);
        });
        Ok(Sealed { head: &self.head, records, indexes: &self.indexes })
    }

    /// Makes room for the next chunk.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.entries.iter_mut().for_each(Vec::clear);
        self.times = None;
    }

    fn pack(&mut self) -> std::io::Result<()> {
        self.packed.clear();
        match self.packing {
            Packing::None => Ok(()),
            Packing::Lz4 => pack_lz4(&self.records, &mut self.packed),
            Packing::Zstd => zstd::stream::copy_encode(self.records.as_slice(), &mut self.packed, 0),
        }
    }
}

fn compression_name(packing: Packing) -> &'static str {
    match packing {
        Packing::None => "",
        Packing::Lz4 => "lz4",
        Packing::Zstd => "zstd",
    }
}

/// One LZ4 frame of independent blocks without checksums: the chunk has its own, and some readers of MCAP get those of
/// blocks wrong.
fn pack_lz4(records: &[u8], packed: &mut Vec<u8>) -> std::io::Result<()> {
    let mut encoder = lz4::EncoderBuilder::new()
        .block_size(lz4::BlockSize::Max64KB)
        .block_mode(lz4::BlockMode::Independent)
        .block_checksum(lz4::liblz4::BlockChecksum::NoBlockChecksum)
        .checksum(lz4::ContentChecksum::NoChecksum)
        .auto_flush(true)
        .build(packed)?;
    encoder.write_all(records)?;
    encoder.finish().1
}
