//! Datagrams that came twice: bounded memory of the last second.
//!
//! Two datagrams are one where everything is the same: sensor, device, number, time and bytes. The bytes decide all
//! of the others, so their hash is what is kept. Only a datagram that carries a number or a time of its own can be
//! told from an honest repetition, so only those are looked up.

use osmose_model::time::{ArrivalNs, NS_PER_S};

/// Sets of the table, a power of two.
const SETS: usize = 4096;
/// Entries of a set: beyond it the oldest gives way.
const WAYS: usize = 4;
/// How long a datagram is remembered.
const WINDOW_NS: i64 = NS_PER_S;

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    arrival: ArrivalNs,
}

/// Hashes of the datagrams of the last second: 16,384 of them, set-associative, allocated once.
#[derive(Clone, Debug)]
pub struct Duplicates {
    sets: Vec<[Entry; WAYS]>,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self::new()
    }
}

impl Duplicates {
    /// Nothing remembered.
    #[must_use]
    pub fn new() -> Self {
        let none = Entry { hash: 0, arrival: ArrivalNs(i64::MIN) };
        Self { sets: vec![[none; WAYS]; SETS] }
    }

    /// Whether the same bytes came to the same port within the last second; they are remembered from now on.
    pub fn seen(&mut self, port: u16, bytes: &[u8], arrival: ArrivalNs) -> bool {
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, u64::from(port));
        let set = &mut self.sets[hash as usize & (SETS - 1)];
        let recent = |e: &Entry| (0..=WINDOW_NS).contains(&arrival.0.saturating_sub(e.arrival.0));
        if set.iter().any(|e| e.hash == hash && recent(e)) {
            return true;
        }
        let mut oldest = 0;
        for way in 1..WAYS {
            if set[way].arrival < set[oldest].arrival {
                oldest = way;
            }
        }
        set[oldest] = Entry { hash, arrival };
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_within_a_second_only() {
        let mut d = Duplicates::new();
        assert!(!d.seen(0, b"a", ArrivalNs(0)));
        assert!(d.seen(0, b"a", ArrivalNs(WINDOW_NS)));
        assert!(!d.seen(1, b"a", ArrivalNs(5)), "another port is another sensor");
        assert!(!d.seen(0, b"b", ArrivalNs(5)));
        assert!(!d.seen(0, b"a", ArrivalNs(WINDOW_NS + 1)), "a copy does not prolong the memory");
    }

    #[test]
    fn ten_thousand_a_second_are_all_remembered_but_a_few() {
        let mut d = Duplicates::new();
        let at = |i: u64| ArrivalNs(i as i64 * 100_000);
        for i in 0..10_000u64 {
            assert!(!d.seen(0, &i.to_le_bytes(), at(i)));
        }
        let found = (5000..10_000u64).filter(|i| d.seen(0, &i.to_le_bytes(), at(10_000))).count();
        assert!(found > 4700, "{found} of 5000");
    }
}
