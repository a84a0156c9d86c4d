//! Three-valued truth (Kleene's strong logic): a dead sensor, a lost track and an empty room are different things.

use serde::{Deserialize, Serialize};
use std::ops::Not;

/// False, unknown or true, in that order, so that `min` is *and* and `max` is *or*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tri {
    /// Known not to hold.
    False,
    /// Not known either way.
    #[default]
    Unknown,
    /// Known to hold.
    True,
}

impl Tri {
    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }
    /// At least one holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.max(other)
    }
    /// Whether it is known to hold: the reading of a condition that grants or starts something.
    #[must_use]
    pub fn is_true(self) -> bool {
        self == Self::True
    }
    /// Whether it may hold: the reading of a condition that stops or protects.
    #[must_use]
    pub fn may_be_true(self) -> bool {
        self != Self::False
    }
    /// Lower-case word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::False => "false",
            Self::Unknown => "unknown",
            Self::True => "true",
        }
    }
}

impl Not for Tri {
    type Output = Self;
    fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }
}

impl From<bool> for Tri {
    fn from(b: bool) -> Self {
        if b { Self::True } else { Self::False }
    }
}

#[cfg(test)]
mod tests {
    use super::Tri::{self, False, True, Unknown};

    #[test]
    fn kleene_tables() {
        let all = [False, Unknown, True];
        for a in all {
            assert_eq!(!!a, a);
            for b in all {
                // De Morgan ties the three operators together.
                assert_eq!(!a.and(b), (!a).or(!b));
                assert_eq!(a.and(b), b.and(a));
            }
        }
        assert_eq!(Unknown.and(False), False);
        assert_eq!(Unknown.or(True), True);
        assert_eq!(Tri::from(true), True);
    }
}
