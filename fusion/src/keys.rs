//! From a 64-bit key (a carried device, a track, a tracker's own number) to a slot: a table of fixed size with open
//! addressing, because a map that allocates or orders its keys costs more than the rest of a location fix.
//!
//! The same calls give the same table, but no answer depends on its layout: it is only ever asked for one key.

use crate::in_place::clone_in_place;

/// Marks a free cell; no slot has this number.
const FREE: u32 = u32::MAX;

/// Spreads keys over the cells: 2^64 divided by the golden ratio (Knuth, TAOCP 3, 6.4).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A table of at most `max` keys, half empty at its fullest.
#[derive(Debug)]
pub(crate) struct SlotTable {
    cells: Vec<(u64, u32)>,
    shift: u32,
}

clone_in_place!(SlotTable { cells, shift });

impl SlotTable {
    /// An empty table with room for `max` keys.
    pub(crate) fn new(max: usize) -> Self {
        let size = (2 * max.max(2)).next_power_of_two();
        Self { cells: vec![(0, FREE); size], shift: 64 - size.trailing_zeros() }
    }

    fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(SPREAD) >> self.shift) as usize
    }

    fn next(&self, cell: usize) -> usize {
        (cell + 1) & (self.cells.len() - 1)
    }

    /// The cell of a key, or the free one where it would go.
    fn find(&self, key: u64) -> usize {
        let mut cell = self.home(key);
        while self.cells[cell].1 != FREE && self.cells[cell].0 != key {
            cell = self.next(cell);
        }
        cell
    }

    /// The slot of a key.
    pub(crate) fn get(&self, key: u64) -> Option<u32> {
        let slot = self.cells[self.find(key)].1;
        (slot != FREE).then_some(slot)
    }

    /// Puts a key in, or gives it another slot. The caller holds at most `max` keys.
    pub(crate) fn insert(&mut self, key: u64, slot: u32) {
        let cell = self.find(key);
        self.cells[cell] = (key, slot);
    }

    /// Takes a key out; the keys behind it close the gap, so that no search ends early.
    pub(crate) fn remove(&mut self, key: u64) {
        let mut gap = self.find(key);
        if self.cells[gap].1 == FREE {
            return;
        }
        let mut cell = self.next(gap);
        while self.cells[cell].1 != FREE {
            let mask = self.cells.len() - 1;
            let home = self.home(self.cells[cell].0);
            // It may move into the gap unless its home lies between the gap and itself.
            if (cell.wrapping_sub(home) & mask) >= (cell.wrapping_sub(gap) & mask) {
                self.cells[gap] = self.cells[cell];
                gap = cell;
            }
            cell = self.next(cell);
        }
        self.cells[gap] = (0, FREE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_answers_as_a_map_does(steps in prop::collection::vec((0u64..24, 0u32..9, any::<bool>()), 0..200)) {
            let (mut table, mut map) = (SlotTable::new(24), BTreeMap::new());
            for (key, slot, put) in steps {
                // A stride that makes keys collide at home.
                let key = key << 58;
                if put { table.insert(key, slot); map.insert(key, slot); } else { table.remove(key); map.remove(&key); }
                for k in 0..24u64 {
                    prop_assert_eq!(table.get(k << 58), map.get(&(k << 58)).copied());
                }
            }
        }
    }
}
