//! A chunk of an MCAP file: its header, its packing, and the records in it.

use super::format::RECORD_BYTES_MAX;
use std::io::Read;

/// Bytes in front of every MCAP record: opcode and length.
pub(super) const HEAD_BYTES: usize = 9;
/// Bytes of a chunk's own header without its compression's name.
pub(super) const CHUNK_HEAD_BYTES: usize = 40;
/// Most bytes of a compression's name ("lz4", "zstd").
pub(super) const COMPRESSION_NAME_MAX: usize = 16;

/// The record at the front of `bytes`: opcode and body; `None` where it is not whole.
pub(super) fn split_record(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let len = usize::try_from(u64::from_le_bytes(head[1..].try_into().ok()?)).ok()?;
    Some((head[0], rest.get(..len)?)).filter(|_| len <= RECORD_BYTES_MAX + HEAD_BYTES + 32)
}

/// How a chunk's records are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packed {
    Plain,
    Lz4,
    Zstd,
}

impl Packed {
    /// Unpacks at most `max` bytes to the end of `out`; on an error, what came before it is there.
    pub(super) fn unpack(self, packed: &[u8], max: usize, out: &mut Vec<u8>) -> std::io::Result<()> {
        // One byte more than promised is enough to see that the promise is broken.
        let limit = max as u64 + 1;
        match self {
            Self::Plain => out.extend_from_slice(packed),
            Self::Lz4 => drop(lz4::Decoder::new(packed)?.take(limit).read_to_end(out)?),
            Self::Zstd => drop(zstd::stream::read::Decoder::with_buffer(packed)?.take(limit).read_to_end(out)?),
        }
        Ok(())
    }
}

/// The fields of a chunk's header that a reader needs.
#[derive(Clone, Copy)]
pub(super) struct ChunkHead {
    pub(super) unpacked_bytes: u64,
    pub(super) crc: u32,
    pub(super) packing: Packed,
    pub(super) packed_bytes: u64,
    pub(super) records_at: usize,
}

impl ChunkHead {
    /// Chunk (op=0x06) of the MCAP specification: start and end time, uncompressed size and CRC, compression,
    /// length of the records.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let u32_at = |at: usize| Some(u32::from_le_bytes(body.get(at..at + 4)?.try_into().ok()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?));
        let name_bytes = u32_at(28)? as usize;
        if name_bytes > COMPRESSION_NAME_MAX {
            return None;
        }
        let packing = match body.get(32..32 + name_bytes)? {
            b"" => Packed::Plain,
            b"lz4" => Packed::Lz4,
            b"zstd" => Packed::Zstd,
            _ => return None,
        };
        Some(Self {
            unpacked_bytes: u64_at(16)?,
            crc: u32_at(24)?,
            packing,
            packed_bytes: u64_at(32 + name_bytes)?,
            records_at: CHUNK_HEAD_BYTES + name_bytes,
        })
    }
}
