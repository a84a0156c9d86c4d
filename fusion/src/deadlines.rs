//! When each of many things is due, and which is first: a tournament of minima, eight to a match.
//!
//! A location fix moves a deadline each time, so the structure must make that cheap and stay exact: a change walks up
//! only as far as it changes a minimum, and the first instant is always at the top. Nothing allocates after
//! construction.

use crate::in_place::clone_in_place;
use osmose_model::time::LogicalNs;

/// How many compete in one match: eight instants are one cache line.
const FAN: usize = 8;
/// Nothing is due.
const NEVER: i64 = i64::MAX;

/// A deadline for each of a fixed number of things.
#[derive(Debug)]
pub(crate) struct Deadlines {
    /// Round 0 holds the deadlines, each further round the minima of groups of eight; the last has one group.
    rounds: Vec<Vec<i64>>,
    /// The minimum of the last round: it is asked for with every input, and twice.
    least: i64,
}

clone_in_place!(Deadlines { rounds, least });

impl Deadlines {
    /// `n` things, none of them due.
    pub(crate) fn new(n: usize) -> Self {
        let mut rounds = Vec::new();
        let mut len = n.max(1);
        loop {
            let padded = len.div_ceil(FAN) * FAN;
            rounds.push(vec![NEVER; padded]);
            if padded == FAN {
                return Self { rounds, least: NEVER };
            }
            len = padded / FAN;
        }
    }

    fn least(group: &[i64]) -> i64 {
        group.iter().copied().fold(NEVER, i64::min)
    }

    /// Sets when `i` is due; `None` for never.
    pub(crate) fn set(&mut self, i: usize, due: Option<LogicalNs>) {
        let mut at = i;
        let mut value = due.map_or(NEVER, |d| d.0);
        for round in &mut self.rounds {
            if std::mem::replace(&mut round[at], value) == value {
                return;
            }
            at /= FAN;
            value = Self::least(&round[at * FAN..(at + 1) * FAN]);
        }
        self.least = value;
    }

    /// The first instant at which anything is due.
    pub(crate) fn first(&self) -> Option<LogicalNs> {
        (self.least != NEVER).then_some(LogicalNs(self.least))
    }

    /// Takes the lowest-numbered thing that is due at `first()`, and sets it to never.
    pub(crate) fn pop(&mut self) -> Option<(LogicalNs, usize)> {
        let due = self.first()?;
        let mut at = 0;
        for round in self.rounds.iter().rev() {
            let group = &round[at * FAN..(at + 1) * FAN];
            at = at * FAN + group.iter().position(|&d| d == due.0)?;
        }
        self.set(at, None);
        Some((due, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_is_the_least_and_pops_come_in_order(
            n in 1usize..700,
            sets in prop::collection::vec((0usize..700, prop::option::of(0i64..50)), 0..300),
        ) {
            let mut deadlines = Deadlines::new(n);
            let mut plain = vec![None; n];
            for (i, due) in sets {
                plain[i % n] = due;
                deadlines.set(i % n, due.map(LogicalNs));
                prop_assert_eq!(deadlines.first().map(|d| d.0), plain.iter().flatten().min().copied());
            }
            let mut expected: Vec<(i64, usize)> = plain.iter().enumerate().filter_map(|(i, d)| d.map(|d| (d, i))).collect();
            expected.sort_unstable();
            let popped: Vec<(i64, usize)> = std::iter::from_fn(|| deadlines.pop()).map(|(d, i)| (d.0, i)).collect();
            prop_assert_eq!(popped, expected);
        }
    }
}
