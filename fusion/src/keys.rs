//! From a 64-bit key (a carried device, a track, a tracker's own number) to a slot: a table of fixed size with open
//! addressing, because a map that allocates or orders its keys costs more than the rest of a location fix.
//!
//! The same calls give the same table, but no answer depends on its layout: it is only ever asked for one key.

/// Marks a free cell; no slot has this number.
const FREE: u32 = u32::MAX;

/// Spreads keys over the cells: 2^64 divided by the golden ratio (Knuth, TAOCP 3, 6.4).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A place for a key.
#[derive(Clone, Copy, Debug)]
struct Cell {
    key: u64,
    slot: u32,
    /// Where in `used` this cell stands.
    used: u32,
}

const EMPTY: Cell = Cell { key: 0, slot: FREE, used: 0 };

/// A table of at most `max` keys, half empty at its fullest.
#[derive(Debug)]
pub(crate) struct SlotTable {
    cells: Vec<Cell>,
    /// The cells that are not free, in no order: copies are taken of these alone, since most of a table is empty.
    used: Vec<u32>,
    shift: u32,
}

impl Clone for SlotTable {
    fn clone(&self) -> Self {
        let mut used = Vec::with_capacity(self.used.capacity());
        used.extend_from_slice(&self.used);
        Self { cells: self.cells.clone(), used, shift: self.shift }
    }

    fn clone_from(&mut self, other: &Self) {
        if self.cells.len() != other.cells.len() {
            *self = other.clone();
            return;
        }
        for &cell in &self.used {
            self.cells[cell as usize] = EMPTY;
        }
        for &cell in &other.used {
            self.cells[cell as usize] = other.cells[cell as usize];
        }
        self.used.clone_from(&other.used);
    }
}

impl SlotTable {
    /// An empty table with room for `max` keys.
    pub(crate) fn new(max: usize) -> Self {
        let size = (2 * max.max(2)).next_power_of_two();
        Self { cells: vec![EMPTY; size], used: Vec::with_capacity(max), shift: 64 - size.trailing_zeros() }
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
        while self.cells[cell].slot != FREE && self.cells[cell].key != key {
            cell = self.next(cell);
        }
        cell
    }

    /// The slot of a key.
    pub(crate) fn get(&self, key: u64) -> Option<u32> {
        let slot = self.cells[self.find(key)].slot;
        (slot != FREE).then_some(slot)
    }

    /// Puts a key in, or gives it another slot. The caller holds at most `max` keys.
    pub(crate) fn insert(&mut self, key: u64, slot: u32) {
        let at = self.find(key);
        if self.cells[at].slot == FREE {
            self.cells[at].used = self.used.len() as u32;
            self.used.push(at as u32);
        }
        (self.cells[at].key, self.cells[at].slot) = (key, slot);
    }

    /// Takes a key out; the keys behind it close the gap, so that no search ends early.
    pub(crate) fn remove(&mut self, key: u64) {
        let mut gap = self.find(key);
        if self.cells[gap].slot == FREE {
            return;
        }
        let removed = self.cells[gap].used as usize;
        let mut cell = self.next(gap);
        while self.cells[cell].slot != FREE {
            let mask = self.cells.len() - 1;
            let home = self.home(self.cells[cell].key);
            // It may move into the gap unless its home lies between the gap and itself.
            if (cell.wrapping_sub(home) & mask) >= (cell.wrapping_sub(gap) & mask) {
                self.cells[gap] = self.cells[cell];
                self.used[self.cells[gap].used as usize] = gap as u32;
                gap = cell;
            }
            cell = self.next(cell);
        }
        self.cells[gap] = EMPTY;
        self.used.swap_remove(removed);
        if let Some(&moved) = self.used.get(removed) {
            self.cells[moved as usize].used = removed as u32;
        }
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
            let mut copy = SlotTable::new(24);
            for (key, slot, put) in steps {
                // A stride that makes keys collide at home.
                let key = key << 58;
                if put { table.insert(key, slot); map.insert(key, slot); } else { table.remove(key); map.remove(&key); }
                for k in 0..24u64 {
                    prop_assert_eq!(table.get(k << 58), map.get(&(k << 58)).copied());
                }
                // A copy over whatever was in there answers as the table does, and goes on as it does.
                if slot < 3 {
                    copy.clone_from(&table);
                }
                if slot == 2 {
                    std::mem::swap(&mut copy, &mut table);
                }
                prop_assert_eq!(table.used.len(), map.len());
            }
        }
    }
}
