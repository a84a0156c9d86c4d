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

    /// The same clock with another count: it read `base` at the instant when it was made.
    ///
    /// A log that is continued learns only after its state was read where it goes on. The wall clock was read before
    /// that, together with this clock, and the two must stay together: else each restart would move time by as long
    /// as the reading took.
    #[must_use]
    pub fn counting_from(self, base: ArrivalNs) -> Self {
        Self { base, ..self }
    }

    /// What it read when it was made.
    #[must_use]
    pub fn base(&self) -> ArrivalNs {
        self.base
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_with_another_count_goes_on_from_the_instant_when_it_was_made() {
        let clock = HostClock::starting_at(ArrivalNs(0));
        std::thread::sleep(std::time::Duration::from_millis(5));
        let moved = clock.counting_from(ArrivalNs(1_000_000_000));
        assert_eq!(moved.base(), ArrivalNs(1_000_000_000));
        assert!(moved.now().0 >= 1_005_000_000, "{:?}", moved.now());
        assert!(clock.now().0 >= 5_000_000);
    }
}
