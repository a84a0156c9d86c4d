//! The observations of the last moments in their order, and copies of the state along them.
//!
//! Copies stand densely near the end, where most late observations fall, and ever thinner further back, so that a re-run
//! of n observations goes back over about 2 n at most; the oldest one is older than anything may be late. What is older
//! than that copy is forgotten.

use crate::order::Key;
use crate::snapshot::Snapshot;
use arrayvec::ArrayVec;
use osmose_model::canon;
use osmose_model::ids::Seq;
use osmose_model::input::Input;
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::{Observation, ScanBuf};
use osmose_model::time::LogicalNs;
use std::collections::VecDeque;

/// Most observations remembered.
const ENTRIES_MAX: usize = 2048;
/// Most copies.
const SNAPSHOTS_MAX: usize = 12;

/// Sizes of the room in which observations are kept, and how much of each there is from the beginning: a fix needs
/// little, a scan of a crowd thousands of bytes. Whatever is larger, or more at a time, is allocated once and used again.
const ROOMS: [(usize, usize); 4] = [(256, 1024), (1024, 512), (4096, 256), (16 * 1024, 32)];

/// Rooms that are not in use, by size; those of the last kind are of any size above.
#[derive(Clone, Debug, Default)]
struct Rooms([Vec<Vec<u8>>; ROOMS.len() + 1]);

impl Rooms {
    fn new() -> Self {
        let some = |i: usize| {
            let (size, n) = ROOMS.get(i).copied().unwrap_or_default();
            let mut rooms = Vec::with_capacity(ENTRIES_MAX);
            rooms.extend((0..n).map(|_| Vec::with_capacity(size)));
            rooms
        };
        Self(std::array::from_fn(some))
    }

    /// An empty one that holds `len` bytes.
    fn take(&mut self, len: usize) -> Vec<u8> {
        let kind = ROOMS.iter().position(|&(size, _)| len <= size).unwrap_or(ROOMS.len());
        let size = ROOMS.get(kind).map_or(len, |&(size, _)| size);
        self.0[kind].pop().unwrap_or_else(|| Vec::with_capacity(size))
    }

    /// Takes one back.
    fn give(&mut self, mut room: Vec<u8>) {
        room.clear();
        // The largest kind that it can stand for; one that is too small for any came from a saved state.
        let kind = ROOMS.iter().rposition(|&(size, _)| size <= room.capacity());
        let is_larger = ROOMS.last().is_some_and(|&(size, _)| room.capacity() > size);
        if let Some(kind) = if is_larger { Some(ROOMS.len()) } else { kind } {
            self.0[kind].push(room);
        }
    }
}

/// An observation that is in.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    /// The input that it was.
    pub(crate) seq: Seq,
    /// How much work it was.
    pub(crate) updates: u32,
    /// In canonical form.
    pub(crate) bytes: Vec<u8>,
}

/// The last moments.
#[allow(
    clippy::vec_box,
    reason = "copies of thousands of bytes are moved along and between the lists at every late scan"
)]
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Ascending by key, all behind the oldest copy.
    entries: VecDeque<Entry>,
    /// Ascending by key. Boxed, for they are moved about.
    snapshots: Vec<Box<Snapshot>>,
    /// Emptied ones, for their room.
    spare: Vec<Box<Snapshot>>,
    /// A copy that is not to be dispensed with: what runs again is told from it.
    pub(crate) pinned: Option<Key>,
    rooms: Rooms,
    /// Updates since the newest copy.
    pub(crate) since: u32,
    /// How many observations were forgotten at the front: copies know their place by the count of all there ever were.
    forgotten: u64,
    /// Where an observation is encoded, reused.
    encoded: Vec<u8>,
}

impl History {
    /// Nothing yet; copies are given later.
    pub(crate) fn new() -> Self {
        Self {
            entries: VecDeque::with_capacity(ENTRIES_MAX),
            snapshots: Vec::with_capacity(SNAPSHOTS_MAX + 1),
            spare: Vec::with_capacity(SNAPSHOTS_MAX + 1),
            pinned: None,
            rooms: Rooms::new(),
            since: 0,
            forgotten: 0,
            encoded: vec![0; INPUT_BYTES_MAX],
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entry(&self, i: usize) -> &Entry {
        &self.entries[i]
    }

    /// All copies, oldest first.
    pub(crate) fn snapshots(&self) -> &[Box<Snapshot>] {
        &self.snapshots
    }

    /// The copy that is pinned.
    pub(crate) fn pinned_copy(&self) -> Option<&Snapshot> {
        self.snapshots.iter().find(|s| Some(s.key) == self.pinned).map(|s| &**s)
    }

    /// What an entry observed; its items land in `scan`. `None` for bytes that are none, which saved ones may be.
    pub(crate) fn observation<'a>(&'a self, i: usize, scan: &'a mut ScanBuf) -> Option<Observation<'a>> {
        match canon::decode_input(&self.entries[i].bytes, scan) {
            Ok(Input::Observation(observation)) => Some(observation),
            _ => None,
        }
    }

    /// The key of the last observation, or of the oldest copy.
    pub(crate) fn newest(&self) -> Option<Key> {
        self.entries.back().map(|e| e.key).or(self.snapshots.last().map(|s| s.key))
    }

    /// Whether there is no room for another observation.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= ENTRIES_MAX
    }

    /// Puts an observation in its place, behind those of the same key; that place. `None` where it cannot be encoded,
    /// being beyond every limit.
    pub(crate) fn insert(&mut self, key: Key, seq: Seq, observation: &Observation<'_>) -> Option<usize> {
        let len = canon::encode_input(&Input::Observation(*observation), &mut self.encoded).ok()?;
        let mut bytes = self.rooms.take(len);
        bytes.extend_from_slice(&self.encoded[..len]);
        Some(self.insert_bytes(key, seq, bytes))
    }

    /// The same for one that is encoded already.
    pub(crate) fn insert_bytes(&mut self, key: Key, seq: Seq, bytes: Vec<u8>) -> usize {
        let at = self.behind(key);
        self.entries.insert(at, Entry { key, seq, updates: 0, bytes });
        at
    }

    /// Notes how much work an entry was.
    pub(crate) fn worked(&mut self, i: usize, updates: u32) {
        self.entries[i].updates = updates;
        self.since = self.since.saturating_add(updates);
    }

    /// Takes the last observation back.
    pub(crate) fn pop(&mut self) {
        if let Some(entry) = self.entries.pop_back() {
            self.rooms.give(entry.bytes);
        }
    }

    /// The place of the first observation behind a key.
    pub(crate) fn behind(&self, key: Key) -> usize {
        // Nearly always among the last.
        let near = self.entries.len().saturating_sub(8);
        match self.entries.range(near..).rposition(|e| e.key <= key) {
            Some(last) => near + last + 1,
            None => self.entries.partition_point(|e| e.key <= key),
        }
    }

    /// All work behind a key.
    pub(crate) fn updates_behind(&self, key: Key) -> u32 {
        self.entries.range(self.behind(key)..).fold(0, |sum, e| sum.saturating_add(e.updates))
    }

    /// The newest copy that an observation of this key may be put behind.
    pub(crate) fn copy_before(&self, key: Key) -> Option<usize> {
        self.snapshots.iter().rposition(|s| s.key < key && s.fired_at <= key.at)
    }

    /// Forgets the copies behind the `i`th: what they hold has changed.
    pub(crate) fn forget_copies_behind(&mut self, i: usize) {
        self.spare.extend(self.snapshots.drain(i + 1..));
    }

    /// An unused copy, if there is one.
    pub(crate) fn spare(&mut self) -> Option<Box<Snapshot>> {
        if self.snapshots.len() >= SNAPSHOTS_MAX {
            let dispensable = self.dispensable();
            return Some(self.snapshots.remove(dispensable));
        }
        self.spare.pop()
    }

    /// Adds a copy behind all others.
    pub(crate) fn add_copy(&mut self, mut copy: Box<Snapshot>) {
        // It stays right: whatever is put in before a copy makes that be forgotten.
        copy.behind = self.forgotten + self.behind(copy.key) as u64;
        self.snapshots.push(copy);
        self.since = 0;
    }

    /// The copy, neither the oldest nor the newest nor pinned, that leaves the smallest gap for its age (both in
    /// observations).
    fn dispensable(&self) -> usize {
        let all = self.forgotten + self.entries.len() as u64;
        let ages: ArrayVec<u64, { SNAPSHOTS_MAX + 1 }> = self.snapshots.iter().map(|s| all - s.behind).collect();
        let cost = |i: usize| (ages[i - 1] - ages[i + 1], ages[i + 1] + 1);
        let inner = (1..self.snapshots.len() - 1).filter(|&i| Some(self.snapshots[i].key) != self.pinned);
        let least = inner.min_by(|&a, &b| {
            let ((gap_a, age_a), (gap_b, age_b)) = (cost(a), cost(b));
            (gap_a * age_b).cmp(&(gap_b * age_a)).then(a.cmp(&b))
        });
        least.unwrap_or(self.snapshots.len() - 1)
    }

    /// Forgets what nothing can be put before any more: everything up to the last copy older than `horizon`.
    pub(crate) fn forget_before(&mut self, horizon: LogicalNs) {
        while self.snapshots.len() > 1 && self.snapshots[1].key.at < horizon {
            self.drop_oldest_copy();
        }
    }

    /// Makes room: forgets the oldest copy and what stands between it and the next. False where there is no next.
    pub(crate) fn drop_oldest_copy(&mut self) -> bool {
        if self.snapshots.len() < 2 {
            return false;
        }
        let oldest = self.snapshots.remove(0);
        self.spare.push(oldest);
        let known = (self.snapshots[0].behind - self.forgotten) as usize;
        self.forgotten += known as u64;
        self.entries.drain(..known).for_each(|e| self.rooms.give(e.bytes));
        true
    }

    /// Forgets everything; the room stays.
    pub(crate) fn clear(&mut self) {
        self.spare.append(&mut self.snapshots);
        self.forgotten += self.entries.len() as u64;
        self.entries.drain(..).for_each(|e| self.rooms.give(e.bytes));
        self.since = 0;
    }
}
