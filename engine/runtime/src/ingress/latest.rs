//! Under overload only the latest counts: a bounded table in which a newer item takes the place of an older one of the same
//! key. What waits leaves in the order in which it came, so a replaced item's turn is lost and the newer one has the last:
//! else what stands between the two would come late, and fusion would have to go back for each of them.
//!
//! All memory is taken at the start. An item is at most [`Latest::new`]'s size; what is larger finds no room here.

use osmose_core::sequencer::Head;
use osmose_model::ids::SensorId;
use osmose_model::observation::{Body, Observation};
use osmose_model::time::ArrivalNs;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// What a newer item replaces: the same thing said by the same sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    sensor: SensorId,
    /// The carried device; 0 for what a sensor says of itself, and for a whole scan.
    device: u64,
    /// The other anchor of a time difference, and which kind of body.
    about: u32,
}

/// The key of an observation of the class `state`; `None` where every single one counts. Second: it is a scan.
pub(super) fn key_of(o: &Observation<'_>) -> Option<(Key, bool)> {
    let key = |about: u32, device: u64| Key { sensor: o.sensor, device, about };
    Some(match &o.body {
        Body::Location { device, .. } => (key(1, device.0), false),
        // The anchor is the sensor.
        Body::Range { device, .. } => (key(2, device.0), false),
        Body::Tdoa { other, device, .. } => (key(3 | u32::from(other.0) << 8, device.0), false),
        Body::Rssi { device, .. } => (key(4, device.0), false),
        Body::Value { .. } => (key(5, 0), false),
        Body::Position(_) => (key(6, 0), true),
        Body::Bearing(_) => (key(7, 0), true),
        _ => return None,
    })
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits.
    Stored,
    /// It waits in the place of an older one.
    Replaced,
    /// It is too large, or too many wait.
    NoRoom,
}

#[derive(Clone, Debug)]
struct Slot {
    key: Option<Key>,
    /// Changes with every item: a turn of an older item is void.
    version: u32,
    head: Head,
    received: ArrivalNs,
    len: usize,
}

/// The table.
#[derive(Clone, Debug)]
pub(super) struct Latest {
    slots: Vec<Slot>,
    bytes: Box<[u8]>,
    item_bytes: usize,
    by_key: HashMap<Key, u32, BuildHasherDefault<KeyHasher>>,
    /// Whose turn it is, first to last: the slot and the version. At most twice as many as items: void ones are swept out.
    turns: VecDeque<(u32, u32)>,
    waiting: usize,
    free: Vec<u32>,
}

impl Latest {
    /// Room for `items` of at most `item_bytes` each.
    pub(super) fn new(items: usize, item_bytes: usize) -> Self {
        let head = Head { arrival: ArrivalNs(0), class: osmose_model::input::Class::State, source: 0, source_seq: 0 };
        let slot = Slot { key: None, version: 0, head, received: ArrivalNs(0), len: 0 };
        Self {
            slots: vec![slot; items],
            bytes: vec![0; items * item_bytes].into_boxed_slice(),
            item_bytes,
            // Twice the room: what is removed leaves traces, and they are swept up without asking for memory.
            by_key: HashMap::with_capacity_and_hasher(2 * items, BuildHasherDefault::default()),
            turns: VecDeque::with_capacity(2 * items),
            waiting: 0,
            free: (0..items as u32).rev().collect(),
        }
    }

    /// Takes one item.
    pub(super) fn put(&mut self, key: Key, head: Head, received: ArrivalNs, bytes: &[u8]) -> Put {
        if bytes.len() > self.item_bytes {
            return Put::NoRoom;
        }
        let (n, put) = match self.by_key.get(&key) {
            Some(&n) => (n, Put::Replaced),
            None => {
                let Some(n) = self.free.pop() else { return Put::NoRoom };
                self.by_key.insert(key, n);
                self.waiting += 1;
                (n, Put::Stored)
            }
        };
        let at = n as usize * self.item_bytes;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        let version = self.slots[n as usize].version.wrapping_add(1);
        self.slots[n as usize] = Slot { key: Some(key), version, head, received, len: bytes.len() };
        if self.turns.len() == 2 * self.slots.len() {
            let slots = &self.slots;
            self.turns.retain(|&(n, v)| is_due(&slots[n as usize], v));
        }
        self.turns.push_back((n, version));
        put
    }

    /// Shows the item whose turn it is; it is gone if `take` says true. False where nothing waits or it was not taken.
    pub(super) fn offer(&mut self, take: impl FnOnce(Head, ArrivalNs, &[u8]) -> bool) -> bool {
        while self.turns.front().is_some_and(|&(n, v)| !is_due(&self.slots[n as usize], v)) {
            self.turns.pop_front();
        }
        let Some(&(n, _)) = self.turns.front() else { return false };
        let (slot, at) = (&mut self.slots[n as usize], n as usize * self.item_bytes);
        if !take(slot.head, slot.received, &self.bytes[at..at + slot.len]) {
            return false;
        }
        self.turns.pop_front();
        self.waiting -= 1;
        self.free.push(n);
        if let Some(key) = slot.key.take() {
            self.by_key.remove(&key);
        }
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }
}

/// Whether a turn is that of the item that is in the slot now.
fn is_due(slot: &Slot, version: u32) -> bool {
    slot.key.is_some() && slot.version == version
}

/// Folds a key into 64 bits and stirs them: keys come from the site's own numbers and from hashes of ids, and the table
/// is bounded, so nobody gains by making them collide.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.write_u64(b.into()));
    }
    fn write_u16(&mut self, x: u16) {
        self.write_u64(x.into());
    }
    fn write_u32(&mut self, x: u32) {
        self.write_u64(x.into());
    }
    fn write_u64(&mut self, x: u64) {
        // The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
        let mut z = (self.0 ^ x).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = z ^ (z >> 31);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::input::Class;
    use proptest::prelude::*;

    fn head(n: u64) -> Head {
        Head { arrival: ArrivalNs(n as i64), class: Class::State, source: 0, source_seq: n }
    }

    fn key(device: u64) -> Key {
        Key { sensor: SensorId(1), device, about: 1 }
    }

    fn next(latest: &mut Latest) -> Option<(u64, Vec<u8>)> {
        let mut got = None;
        latest.offer(|head, received, bytes| {
            assert_eq!(received, head.arrival);
            got = Some((head.source_seq, bytes.to_vec()));
            true
        });
        got
    }

    #[test]
    fn a_newer_item_replaces_the_older_and_has_the_last_turn() {
        let mut latest = Latest::new(2, 8);
        let mut put = |k, n: u64, bytes: &[u8]| latest.put(key(k), head(n), ArrivalNs(n as i64), bytes);
        assert_eq!(put(7, 1, b"old"), Put::Stored);
        assert_eq!(put(8, 2, b"other"), Put::Stored);
        assert_eq!(put(7, 3, b"new"), Put::Replaced);
        assert_eq!(put(9, 4, b"third"), Put::NoRoom, "both slots are taken");
        assert_eq!(put(7, 5, b"much too long"), Put::NoRoom);
        assert!(!latest.offer(|_, _, _| false), "who does not take it leaves it there");
        assert_eq!(next(&mut latest), Some((2, b"other".to_vec())));
        assert_eq!(next(&mut latest), Some((3, b"new".to_vec())));
        assert_eq!(next(&mut latest), None);
        assert!(latest.is_empty());
    }

    proptest! {
        /// Against a list that is searched from the front.
        #[test]
        fn it_is_a_queue_of_the_latest_of_each_key(moves in proptest::collection::vec((0u64..12, any::<bool>()), 0..400)) {
            let (mut latest, mut list) = (Latest::new(8, 8), Vec::<(u64, u64)>::new());
            for (n, (k, take)) in moves.into_iter().enumerate() {
                let n = n as u64;
                if take {
                    let wanted = (!list.is_empty()).then(|| list.remove(0).1);
                    prop_assert_eq!(next(&mut latest).map(|(n, _)| n), wanted);
                    continue;
                }
                let put = latest.put(key(k), head(n), ArrivalNs(n as i64), &n.to_le_bytes());
                let older = list.iter().position(|(key, _)| *key == k);
                let wanted = match older {
                    Some(at) => {
                        list.remove(at);
                        list.push((k, n));
                        Put::Replaced
                    }
                    None if list.len() < 8 => {
                        list.push((k, n));
                        Put::Stored
                    }
                    None => Put::NoRoom,
                };
                prop_assert_eq!(put, wanted);
            }
        }
    }
}
