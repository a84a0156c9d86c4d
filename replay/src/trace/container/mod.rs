//! The MCAP container as this build writes it (<https://mcap.dev/spec>), for one reader of many: what it costs the
//! recording thread.
//!
//! The `mcap` crate's writer hands its codec each small record; here a chunk is gathered as it is and packed in one
//! call ([`chunk`]). Reading stays with `mcap`'s own types, and a test holds the two writers against each other.

mod chunk;
mod fields;
mod summary;
#[cfg(test)]
mod tests;

use super::format::Topic;
use super::write::Packing;
use chunk::OpenChunk;
use fields::{Fields, record};
use mcap::records::{MessageHeader, op};
use std::collections::BTreeMap;
use std::io::Write;
use summary::Summary;

/// Channels of a file, numbered from 1, each with the schema of its own number.
const CHANNELS: usize = Topic::ALL.len();

/// Where the file goes: counted, and with the checksum of the data section.
struct Sink<W> {
    /// `None` once the file was ended and given back.
    out: Option<W>,
    at: u64,
    crc: crc32fast::Hasher,
    /// A write failed: what stands in the file is not known, so nothing is written behind it.
    failed: bool,
}

impl<W: Write> Sink<W> {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.with(|out| out.write_all(bytes))?;
        self.at += bytes.len() as u64;
        self.crc.update(bytes);
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.with(W::flush)
    }

    fn with(&mut self, write: impl FnOnce(&mut W) -> std::io::Result<()>) -> std::io::Result<()> {
        self.check()?;
        let result = self.out.as_mut().map_or(Ok(()), write);
        self.failed = result.is_err();
        result
    }

    fn check(&self) -> std::io::Result<()> {
        if self.failed { Err(std::io::Error::other("an earlier write failed")) } else { Ok(()) }
    }
}

/// An MCAP file that is being written. Dropping it ends the file where the disk allows.
pub(super) struct Container<W: Write> {
    sink: Sink<W>,
    chunk: OpenChunk,
    chunk_target_bytes: usize,
    summary: Summary,
    scratch: Vec<u8>,
    ended: bool,
}

impl<W: Write> Container<W> {
    /// Writes the magic and the header. A chunk is closed beyond `chunk_target_bytes` unpacked.
    pub(super) fn new(
        out: W,
        profile: &str,
        library: &str,
        packing: Packing,
        chunk_target_bytes: usize,
    ) -> std::io::Result<Self> {
        let sink = Sink { out: Some(out), at: 0, crc: crc32fast::Hasher::new(), failed: false };
        let chunk = OpenChunk::new(packing, chunk_target_bytes);
        let (summary, scratch) = (Summary::default(), Vec::new());
        let mut this = Self { sink, chunk, chunk_target_bytes, summary, scratch, ended: false };
        this.sink.put(mcap::MAGIC)?;
        this.between_chunks(op::HEADER, |body| {
            body.text(profile);
            body.text(library);
        })?;
        Ok(this)
    }

    /// Writes a record that stands outside chunks; gives where it begins and its length.
    fn between_chunks(&mut self, opcode: u8, body: impl FnOnce(&mut Vec<u8>)) -> std::io::Result<(u64, u64)> {
        self.close_chunk()?;
        self.scratch.clear();
        record(&mut self.scratch, opcode, body);
        let at = self.sink.at;
        self.sink.put(&self.scratch)?;
        Ok((at, self.scratch.len() as u64))
    }

    /// Writes a metadata record; the chunk before it is closed.
    pub(super) fn metadata(&mut self, name: &str, map: &BTreeMap<String, String>) -> std::io::Result<()> {
        let (at, len) = self.between_chunks(op::METADATA, |body| {
            body.text(name);
            body.texts(map);
        })?;
        record(&mut self.summary.metadata_indexes, op::METADATA_INDEX, |body| {
            body.u64(at);
            body.u64(len);
            body.text(name);
        });
        self.summary.metadata += 1;
        Ok(())
    }

    /// Writes an attachment with its checksum; the chunk before it is closed. Both its times are 0.
    pub(super) fn attachment(&mut self, name: &str, media_type: &str, data: &[u8]) -> std::io::Result<()> {
        let (at, len) = self.between_chunks(op::ATTACHMENT, |body| {
            let body_at = body.len();
            body.u64(0);
            body.u64(0);
            body.text(name);
            body.text(media_type);
            body.u64(data.len() as u64);
            body.extend_from_slice(data);
            let crc = crc32fast::hash(&body[body_at..]);
            body.u32(crc);
        })?;
        record(&mut self.summary.attachment_indexes, op::ATTACHMENT_INDEX, |body| {
            body.u64(at);
            body.u64(len);
            body.u64(0);
            body.u64(0);
            body.u64(data.len() as u64);
            body.text(name);
            body.text(media_type);
        });
        self.summary.attachments += 1;
        Ok(())
    }

    /// Declares a channel and its schema, both of one number, in the chunk and again in the summary.
    pub(super) fn channel(&mut self, number: u16, topic: &str, table: &str, encoding: &str, schema: &[u8]) {
        let schema_body = |body: &mut Vec<u8>| {
            body.u16(number);
            body.text(table);
            body.text(encoding);
            body.u32(schema.len() as u32);
            body.extend_from_slice(schema);
        };
        let channel_body = |body: &mut Vec<u8>| {
            body.u16(number);
            body.u16(number);
            body.text(topic);
            body.text(encoding);
            body.texts(&BTreeMap::new());
        };
        self.chunk.record(op::SCHEMA, schema_body);
        self.chunk.record(op::CHANNEL, channel_body);
        record(&mut self.summary.schemas, op::SCHEMA, schema_body);
        record(&mut self.summary.channels, op::CHANNEL, channel_body);
    }

    /// Appends a message to the chunk, or to the next one where this is full. Its channel was declared.
    pub(super) fn message(&mut self, header: &MessageHeader, data: &[u8]) -> std::io::Result<()> {
        self.sink.check()?;
        if self.chunk.len() > self.chunk_target_bytes {
            self.close_chunk()?;
        }
        self.summary.message(header);
        self.chunk.message(header, data);
        Ok(())
    }

    /// Closes the chunk and hands all of it to the operating system.
    pub(super) fn flush(&mut self) -> std::io::Result<()> {
        self.close_chunk()?;
        self.sink.flush()
    }

    fn close_chunk(&mut self) -> std::io::Result<()> {
        self.sink.check()?;
        if self.chunk.len() == 0 {
            return Ok(());
        }
        let sealed = self.chunk.seal(self.sink.at, &mut self.summary.chunk_indexes)?;
        for piece in [sealed.head, sealed.records, sealed.indexes] {
            self.sink.put(piece)?;
        }
        self.summary.chunks += 1;
        self.chunk.clear();
        Ok(())
    }

    /// Ends the file with its summary and index, and gives back what was written to.
    pub(super) fn finish(mut self) -> std::io::Result<W> {
        self.end()?;
        self.sink.out.take().ok_or_else(|| std::io::Error::other("the file was ended already"))
    }

    fn end(&mut self) -> std::io::Result<()> {
        self.ended = true;
        self.close_chunk()?;
        self.scratch.clear();
        let crc = self.sink.crc.clone().finalize();
        record(&mut self.scratch, op::DATA_END, |body| body.u32(crc));
        self.sink.put(&self.scratch)?;
        let end = self.summary.to_bytes(self.sink.at);
        self.sink.put(&end)?;
        self.sink.flush()
    }
}

impl<W: Write> Drop for Container<W> {
    fn drop(&mut self) {
        if !self.ended {
            // Nobody is left to be told; who wants to know calls `finish`.
            let _ = self.end();
        }
    }
}
