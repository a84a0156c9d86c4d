//! The journal ring: every input in its order, in a preallocated file that survives the process.
//!
//! An effect leaves once its input is in the ring. The file is mapped shared, so that appending is a copy into
//! memory and a kill of the process loses nothing (the kernel keeps the pages); only a power cut can lose what was
//! not yet written back. The ring is written by the stepping thread alone and read only by a restart: there is no
//! reader beside the writer, and so no atomics and no lock.
//!
//! One record, all little-endian, padded to a multiple of 8 bytes:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | CRC-32 over everything that follows, to the end of the padding |
//! | 4 | length of the payload; `0xffff_ffff` marks the jump back to the start (and has no CRC) |
//! | 8 | absolute offset of this record since the ring began (tells laps apart) |
//! | 8 | tag: instant |
//! | 8 | tag: number |
//! | n | payload: the input's canonical bytes |
//!
//! A scan starts at a keyframe's offset and ends at the first record whose offset or CRC is not right: that is the
//! newest whole record.

pub mod handed;
pub mod mapped;

use handed::HandedOver;
use mapped::Mapped;
use osmose_model::command::Command;
use osmose_model::ids::Seq;
use osmose_model::input::Tag;
use osmose_model::time::LogicalNs;

/// Bytes before a record's payload.
const RECORD_HEAD: usize = 32;
/// The length that marks a jump back to the start of the ring.
const JUMP: u32 = u32::MAX;

/// Where in the journal something stands: bytes since the ring began, never wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offset(pub u64);

/// Why an input could not be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Records that no keyframe covers would be overwritten.
    #[error("the journal ring is full: no keyframe covers its oldest records")]
    Full,
    /// The record is larger than the ring can hold.
    #[error("an input of {0} bytes does not fit the journal ring")]
    TooLarge(usize),
}

/// What a restart finds, and the engine goes on with.
#[derive(Debug)]
pub struct Kept {
    /// The inputs.
    pub ring: Ring<Mapped>,
    /// Which commands left.
    pub handed: HandedOver<Mapped>,
    /// Commands that were decided before the stop and never left, in their order: they go out first.
    pub owed: Vec<Command>,
}

/// A ring of records over any bytes (the mapped file, or memory in tests and `inline`).
#[derive(Debug)]
pub struct Ring<B> {
    bytes: B,
    head: u64,
    /// Nothing at or after this offset may be overwritten: the newest durable keyframe stands here.
    keep_from: u64,
}

fn padded(payload: usize) -> usize {
    (RECORD_HEAD + payload).next_multiple_of(8)
}

fn le_u32(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |b| u32::from_le_bytes(*b))
}

fn le_u64(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |b| u64::from_le_bytes(*b))
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Ring<B> {
    /// A ring over `bytes` that begins at `head`: [`Offset`] 0 for an empty one, or what [`scan`] of the same bytes
    /// ended at. The length is taken down to a multiple of 8.
    #[must_use]
    pub fn new(bytes: B, head: Offset) -> Self {
        Self { bytes, head: head.0, keep_from: head.0 }
    }

    /// The same where the records from `keep_from` on may not be overwritten: the newest durable keyframe stands there.
    #[must_use]
    pub fn going_on(bytes: B, keep_from: Offset, head: Offset) -> Self {
        Self { bytes, head: head.0, keep_from: keep_from.0.min(head.0) }
    }

    /// Bytes that the ring holds.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        (self.bytes.as_ref().len() / 8 * 8) as u64
    }

    /// Where the next record will stand.
    #[must_use]
    pub fn head(&self) -> Offset {
        Offset(self.head)
    }

    /// The bytes themselves, for a scan.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// A durable keyframe covers everything before `offset`: it may be overwritten.
    pub fn release_before(&mut self, offset: Offset) {
        self.keep_from = self.keep_from.max(offset.0.min(self.head));
    }

    /// The share of the ring that no durable keyframe covers, 0..=1: past a half it is time for one.
    #[must_use]
    pub fn uncovered(&self) -> f64 {
        (self.head - self.keep_from) as f64 / self.capacity().max(1) as f64
    }

    /// Appends one input; gives the offset behind it.
    ///
    /// # Errors
    /// [`AppendError`]; the ring is then as before.
    pub fn append(&mut self, tag: Tag, payload: &[u8]) -> Result<Offset, AppendError> {
        let cap = self.capacity();
        let need = padded(payload.len()) as u64;
        if need > cap / 2 {
            return Err(AppendError::TooLarge(payload.len()));
        }
        let left = cap - self.head % cap;
        let jump = if left < need { left } else { 0 };
        if self.head + jump + need - self.keep_from > cap {
            return Err(AppendError::Full);
        }
        if jump > 0 {
            let at = (self.head % cap) as usize;
            self.bytes.as_mut()[at + 4..at + 8].copy_from_slice(&JUMP.to_le_bytes());
            self.head += jump;
        }
        let at = (self.head % cap) as usize;
        let record = &mut self.bytes.as_mut()[at..at + need as usize];
        record[8..16].copy_from_slice(&self.head.to_le_bytes());
        record[16..24].copy_from_slice(&tag.at.0.to_le_bytes());
        record[24..32].copy_from_slice(&tag.seq.0.to_le_bytes());
        record[32..32 + payload.len()].copy_from_slice(payload);
        record[32 + payload.len()..].fill(0);
        record[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        let crc = crc32fast::hash(&record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
        self.head += need;
        Ok(Offset(self.head))
    }
}

/// The whole records of a ring from `from` on, oldest first: `(offset behind the record, tag, payload)`.
///
/// Ends at the first record that is not whole or is of another lap. Never panics, whatever the bytes.
pub fn scan(bytes: &[u8], from: Offset) -> impl Iterator<Item = (Offset, Tag, &[u8])> {
    let cap = (bytes.len() / 8 * 8) as u64;
    let mut at = from.0;
    std::iter::from_fn(move || {
        for _ in 0..2 {
            let start = (at.checked_rem(cap)?) as usize;
            if start + 8 <= bytes.len() && le_u32(&bytes[start + 4..]) == JUMP {
                at += cap - start as u64;
                continue;
            }
            let record = bytes.get(start..cap as usize)?;
            if record.len() < RECORD_HEAD {
                return None;
            }
            let len = le_u32(&record[4..]) as usize;
            let whole = record.get(..padded(len))?;
            if le_u64(&whole[8..]) != at || crc32fast::hash(&whole[4..]) != le_u32(whole) {
                return None;
            }
            let tag = Tag { at: LogicalNs(le_u64(&whole[16..]) as i64), seq: Seq(le_u64(&whole[24..])) };
            at += whole.len() as u64;
            return Some((Offset(at), tag, &whole[RECORD_HEAD..RECORD_HEAD + len]));
        }
        None
    })
}

/// The newest tag among whole records that stand behind `end`, where [`scan`] stopped: there are some only where a
/// record before them is damaged, and what was in between is lost. Costs one look at every eighth byte of the ring.
#[must_use]
pub fn newest_beyond(bytes: &[u8], end: Offset) -> Option<Tag> {
    let cap = bytes.len() / 8 * 8;
    let tag_at = |start: usize| {
        let record = bytes.get(start..cap)?;
        let len = le_u32(record.get(4..)?) as usize;
        let at = le_u64(record.get(8..)?);
        if at < end.0 || at.checked_rem(cap as u64)? != start as u64 || len > cap {
            return None;
        }
        let whole = record.get(..padded(len))?;
        let tag = Tag { at: LogicalNs(le_u64(&whole[16..]) as i64), seq: Seq(le_u64(&whole[24..])) };
        (crc32fast::hash(&whole[4..]) == le_u32(whole)).then_some(tag)
    };
    (0..cap).step_by(8).filter_map(tag_at).max_by_key(|t| t.seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tag(i: u64) -> Tag {
        Tag { at: LogicalNs(i as i64 * 10), seq: Seq(i) }
    }

    #[test]
    fn what_was_appended_is_scanned_across_laps() {
        let mut ring = Ring::new(vec![0u8; 1024], Offset(0));
        let mut kept = vec![];
        for i in 0..200u64 {
            let payload = vec![i as u8; (i % 90) as usize];
            // A keyframe after every fourth input: the ring keeps what came after it.
            if i % 4 == 0 {
                ring.release_before(ring.head());
                kept = vec![ring.head()];
            }
            ring.append(tag(i), &payload).expect("room");
            let seen: Vec<_> = scan(ring.bytes(), kept[0]).map(|(_, t, p)| (t.seq.0, p.to_vec())).collect();
            let wanted: Vec<_> = (i - i % 4..=i).map(|k| (k, vec![k as u8; (k % 90) as usize])).collect();
            assert_eq!(seen, wanted);
        }
    }

    #[test]
    fn records_that_no_keyframe_covers_are_never_overwritten() {
        let mut ring = Ring::new(vec![0u8; 512], Offset(0));
        let n = (0..).take_while(|&i| ring.append(tag(i), &[7; 40]).is_ok()).count();
        assert_eq!(n, 7, "512 bytes hold seven records of 72");
        assert_eq!(ring.append(tag(99), &[7; 40]), Err(AppendError::Full));
        assert_eq!(ring.append(tag(99), &[7; 400]), Err(AppendError::TooLarge(400)));
        assert_eq!(scan(ring.bytes(), Offset(0)).count(), 7);
    }

    #[test]
    fn records_behind_a_damaged_one_are_known_to_be_there() {
        let mut ring = Ring::new(vec![0u8; 4096], Offset(0));
        (0..20).for_each(|i| _ = ring.append(tag(i), &[5; 40]).expect("room"));
        let mut bytes = ring.bytes().to_vec();
        assert_eq!(newest_beyond(&bytes, ring.head()), None, "whole to the end");
        bytes[72 * 7 + 40] ^= 1;
        let (end, last, _) = scan(&bytes, Offset(0)).last().expect("seven are whole");
        assert_eq!(last, tag(6));
        assert_eq!(newest_beyond(&bytes, end), Some(tag(19)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_through_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), end in any::<u64>()) {
            prop_assert_eq!(newest_beyond(&bytes, Offset(end)), None, "32 bits of checksum");
        }

        #[test]
        fn a_flipped_bit_ends_the_scan_there_and_harms_nothing_before(
            sizes in proptest::collection::vec(0usize..50, 1..12), at in 0usize..700, bit in 0u8..8,
        ) {
            let mut ring = Ring::new(vec![0u8; 4096], Offset(0));
            let mut ends = vec![];
            for (i, n) in sizes.iter().enumerate() {
                ends.push(ring.append(tag(i as u64), &vec![3; *n]).unwrap().0);
            }
            let mut bytes = ring.bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let whole_before = ends.iter().filter(|&&e| e as usize <= at).count();
            let seen = scan(&bytes, Offset(0)).count();
            prop_assert!(seen == whole_before || at >= *ends.last().unwrap() as usize && seen == ends.len());
        }

        #[test]
        fn any_bytes_are_scanned_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), from in any::<u64>()) {
            prop_assert!(scan(&bytes, Offset(from)).take(100).count() <= 100);
        }
    }
}
