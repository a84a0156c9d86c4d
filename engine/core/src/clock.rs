//! Local wall-clock time, from recorded anchors only: the core has no time-zone database.

use osmose_model::input::Anchor;
use osmose_model::time::{LogicalNs, UtcNs};
use osmose_model::world::WallTime;
use serde::{Deserialize, Serialize};

/// The last anchor and the instant it was tied to. Unknown until the first one.
///
/// ```
/// use osmose_core::clock::WallClock;
/// use osmose_model::{input::Anchor, time::{DurationNs, LogicalNs, UtcNs}};
/// let mut clock = WallClock::default();
/// assert!(clock.at(LogicalNs(0)).is_none());
/// let change = (UtcNs(5_000), DurationNs::from_s(3600));
/// clock.set(LogicalNs(100), Anchor { utc: UtcNs(4_000), offset: DurationNs::ZERO, next_change: Some(change) });
/// assert_eq!(clock.at(LogicalNs(1_099)).unwrap().offset, DurationNs::ZERO);
/// assert_eq!(clock.at(LogicalNs(1_100)).unwrap().offset, DurationNs::from_s(3600));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallClock {
    anchor: Option<(LogicalNs, Anchor)>,
}

impl WallClock {
    /// Ties the log's instant `at` to a wall-clock time.
    pub fn set(&mut self, at: LogicalNs, anchor: Anchor) {
        self.anchor = Some((at, anchor));
    }

    /// Local time at an instant; the offset changes at the announced UTC instant.
    #[must_use]
    pub fn at(&self, now: LogicalNs) -> Option<WallTime> {
        let (tied, anchor) = self.anchor?;
        let utc = UtcNs(anchor.utc.0.saturating_add(now.since(tied).0));
        let offset = match anchor.next_change {
            Some((from, offset)) if utc >= from => offset,
            _ => anchor.offset,
        };
        Some(WallTime { utc, offset })
    }
}
