//! When each unit (an instance, or a person in an instance) is due next: a binary heap with places, so that a due
//! time can be moved or taken back in O(log n) and nothing stale ever lies in it. Allocates at construction only.

use osmose_model::time::LogicalNs;

/// Stands for "never".
pub(super) const NEVER: i64 = i64::MAX;

const NOWHERE: u32 = u32::MAX;

/// Due times of units `0..n`.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    due: Vec<i64>,
    /// Units in heap order: earliest first, ties by unit.
    heap: Vec<u32>,
    /// Where in `heap` each unit is.
    place: Vec<u32>,
}

impl Timers {
    pub(super) fn new(units: usize) -> Self {
        Timers { due: vec![NEVER; units], heap: Vec::with_capacity(units), place: vec![NOWHERE; units] }
    }

    /// The due times of all units, for saving.
    pub(super) fn due_times(&self) -> &[i64] {
        &self.due
    }

    pub(super) fn due(&self, unit: u32) -> i64 {
        self.due[unit as usize]
    }

    pub(super) fn next(&self) -> Option<LogicalNs> {
        self.heap.first().map(|unit| LogicalNs(self.due[*unit as usize]))
    }

    /// Makes `unit` due at `at`, or never.
    pub(super) fn set(&mut self, unit: u32, at: i64) {
        let before = std::mem::replace(&mut self.due[unit as usize], at);
        let place = self.place[unit as usize];
        if before == at {
            return;
        }
        match (place, at) {
            (NOWHERE, NEVER) => {}
            (NOWHERE, _) => {
                self.heap.push(unit);
                self.place[unit as usize] = (self.heap.len() - 1) as u32;
                self.rise(self.heap.len() - 1);
            }
            (place, NEVER) => self.take_out(place as usize),
            (place, _) => {
                self.rise(place as usize);
                self.sink(self.place[unit as usize] as usize);
            }
        }
    }

    /// The earliest unit that is due by `now`, taken out.
    pub(super) fn pop_due(&mut self, now: i64) -> Option<u32> {
        let unit = *self.heap.first()?;
        if self.due[unit as usize] > now {
            return None;
        }
        self.set(unit, NEVER);
        Some(unit)
    }

    fn take_out(&mut self, place: usize) {
        let unit = self.heap[place];
        let last = self.heap.len() - 1;
        self.swap(place, last);
        self.heap.truncate(last);
        self.place[unit as usize] = NOWHERE;
        if place < last {
            let moved = self.heap[place];
            self.rise(place);
            self.sink(self.place[moved as usize] as usize);
        }
    }

    fn before(&self, a: usize, b: usize) -> bool {
        let key = |i: usize| (self.due[self.heap[i] as usize], self.heap[i]);
        key(a) < key(b)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.place[self.heap[a] as usize] = a as u32;
        self.place[self.heap[b] as usize] = b as u32;
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 && self.before(at, (at - 1) / 2) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut first = at;
            if left < self.heap.len() && self.before(left, first) {
                first = left;
            }
            if right < self.heap.len() && self.before(right, first) {
                first = right;
            }
            if first == at {
                return;
            }
            self.swap(at, first);
            at = first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_plain_list(moves in prop::collection::vec((0u32..16, 0i64..8), 0..200)) {
            let mut timers = Timers::new(16);
            let mut plain = [NEVER; 16];
            for (unit, at) in moves {
                if at == 7 {
                    // Time passes: everything due by 3 comes out, earliest first, ties by unit.
                    let mut expected: Vec<(i64, u32)> = (0..16).map(|u| (plain[u as usize], u)).filter(|e| e.0 <= 3).collect();
                    expected.sort_unstable();
                    for (_, unit) in expected {
                        prop_assert_eq!(timers.pop_due(3), Some(unit));
                        plain[unit as usize] = NEVER;
                    }
                    prop_assert_eq!(timers.pop_due(3), None);
                } else {
                    let at = if at == 6 { NEVER } else { at };
                    timers.set(unit, at);
                    plain[unit as usize] = at;
                }
                let earliest = plain.iter().copied().min().filter(|at| *at != NEVER);
                prop_assert_eq!(timers.next(), earliest.map(LogicalNs));
            }
        }
    }
}
