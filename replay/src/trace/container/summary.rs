//! What stands behind the data: copies of schemas and channels, the statistics, the indexes, and the footer.
//!
//! Index records are kept as the bytes that will be written: a day has hundreds of thousands of them.

use super::CHANNELS;
use super::fields::{Fields, record};
use mcap::records::{MessageHeader, op};

/// What is gathered for the end of the file while it is written.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// Schema records.
    pub(super) schemas: Vec<u8>,
    /// Channel records.
    pub(super) channels: Vec<u8>,
    /// Chunk index records.
    pub(super) chunk_indexes: Vec<u8>,
    /// Attachment index records.
    pub(super) attachment_indexes: Vec<u8>,
    /// Metadata index records.
    pub(super) metadata_indexes: Vec<u8>,
    /// Chunks so far.
    pub(super) chunks: u32,
    /// Attachments so far.
    pub(super) attachments: u32,
    /// Metadata records so far.
    pub(super) metadata: u32,
    messages: [u64; CHANNELS],
    times: Option<(u64, u64)>,
}

impl Summary {
    /// Counts a message.
    pub(super) fn message(&mut self, header: &MessageHeader) {
        let time = header.log_time;
        self.messages[usize::from(header.channel_id) - 1] += 1;
        self.times = Some(self.times.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
    }

    /// The end of a file whose data section ends at byte `at`, behind its DataEnd record: the summary, the offsets of its
    /// groups, the footer and the closing magic.
    pub(super) fn to_bytes(&self, at: u64) -> Vec<u8> {
        let mut statistics = Vec::new();
        record(&mut statistics, op::STATISTICS, |body| self.statistics(body));
        let (mut out, mut offsets) = (Vec::new(), Vec::new());
        for (opcode, group) in [
            (op::SCHEMA, &self.schemas),
            (op::CHANNEL, &self.channels),
            (op::STATISTICS, &statistics),
            (op::CHUNK_INDEX, &self.chunk_indexes),
            (op::ATTACHMENT_INDEX, &self.attachment_indexes),
            (op::METADATA_INDEX, &self.metadata_indexes),
        ] {
            if group.is_empty() {
                continue;
            }
            record(&mut offsets, op::SUMMARY_OFFSET, |body| {
                body.push(opcode);
                body.u64(at + out.len() as u64);
                body.u64(group.len() as u64);
            });
            out.extend_from_slice(group);
        }
        let offsets_at = at + out.len() as u64;
        out.extend_from_slice(&offsets);
        record(&mut out, op::FOOTER, |body| {
            body.u64(at);
            body.u64(offsets_at);
            body.u32(0);
        });
        // The checksum covers the summary and the footer up to the checksum itself.
        let covered = out.len() - 4;
        let crc = crc32fast::hash(&out[..covered]);
        out[covered..].copy_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(mcap::MAGIC);
        out
    }

    fn statistics(&self, body: &mut Vec<u8>) {
        let (first, last) = self.times.unwrap_or((0, 0));
        body.u64(self.messages.iter().sum());
        body.u16(CHANNELS as u16);
        body.u32(CHANNELS as u32);
        body.u32(self.attachments);
        body.u32(self.metadata);
        body.u32(self.chunks);
        body.u64(first);
        body.u64(last);
        let counted = || (1u16..).zip(self.messages).filter(|(_, n)| *n > 0);
        body.u32(counted().count() as u32 * 10);
        for (channel, n) in counted() {
            body.u16(channel);
            body.u64(n);
        }
    }
}
