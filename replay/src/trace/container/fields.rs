//! The fields of MCAP records as the specification lays them out: numbers little-endian, strings and maps with their
//! length in bytes in front.

use std::collections::BTreeMap;

/// Appends fields to a record that is being built.
pub(super) trait Fields {
    /// A `uint16`.
    fn u16(&mut self, value: u16);
    /// A `uint32`.
    fn u32(&mut self, value: u32);
    /// A `uint64`, or a timestamp.
    fn u64(&mut self, value: u64);
    /// A `String`: its bytes, their number in front.
    fn text(&mut self, text: &str);
    /// A `Map<string, string>`.
    fn texts(&mut self, map: &BTreeMap<String, String>);
}

impl Fields for Vec<u8> {
    fn u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.extend_from_slice(text.as_bytes());
    }

    fn texts(&mut self, map: &BTreeMap<String, String>) {
        self.u32(map.iter().map(|(key, value)| 8 + key.len() + value.len()).sum::<usize>() as u32);
        for (key, value) in map {
            self.text(key);
            self.text(value);
        }
    }
}

/// Appends one record to `out`: its opcode, its length, and what `body` writes.
pub(super) fn record(out: &mut Vec<u8>, opcode: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(opcode);
    let len_at = out.len();
    out.u64(0);
    let body_at = out.len();
    body(out);
    let len = (out.len() - body_at) as u64;
    out[len_at..body_at].copy_from_slice(&len.to_le_bytes());
}
