//! The host's clocks, read here and nowhere deeper: the core gets times as arguments.

use osmose_model::time::{ArrivalNs, UtcNs};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The host's monotonic clock, counted from the beginning of the log.
#[derive(Clone, Copy, Debug)]
pub struct HostClock {
    started: Instant,
    base: ArrivalNs,
}

impl HostClock {
    /// A clock that reads `base` now: zero for a new log, past the last input for one that is continued.
    #[must_use]
    pub fn starting_at(base: ArrivalNs) -> Self {
        Self { started: Instant::now(), base }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> ArrivalNs {
        ArrivalNs(self.base.0 + i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX / 2))
    }
}

/// The wall clock now; goes into the log as an anchor only.
#[must_use]
pub fn utc_now() -> UtcNs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcNs(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
