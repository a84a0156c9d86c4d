//! The host's clocks, read here and nowhere deeper: the core gets times as arguments.

use osmose_model::time::{ArrivalNs, DurationNs, UtcNs};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Two readings of the monotonic clock this close together hold the wall clock between them.
const TOGETHER_MAX: DurationNs = DurationNs::from_us(20);

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

    /// Both clocks at one instant; `None` where something came between every two readings of three tries.
    #[must_use]
    pub fn with_utc(&self) -> Option<(ArrivalNs, UtcNs)> {
        let mut before = self.now();
        for _ in 0..3 {
            let utc = utc_now();
            let after = self.now();
            if after.since(before) < TOGETHER_MAX {
                return Some((before, utc));
            }
            before = after;
        }
        None
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> ArrivalNs {
        ArrivalNs(self.base.0 + i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX / 2))
    }
}

/// The kernel's receive stamps, which are of the wall clock, as instants of the host's monotonic one.
///
/// The two are compared once a cycle. Where the wall clock was set in between (by more than a clock that is being slewed
/// can drift), what was stamped before cannot be told from what was stamped after: such stamps are discarded.
#[derive(Clone, Debug, Default)]
pub struct StampMap {
    /// Monotonic minus wall clock, nanoseconds, and when that was read.
    offset: Option<(i64, ArrivalNs)>,
    /// Stamps are not believed before this instant.
    distrust_until: ArrivalNs,
    steps: u64,
    discarded: u64,
}

/// Two readings of the same two clocks differ by no more than this, whatever interrupts them in between.
const STEP_MIN: DurationNs = DurationNs::from_us(500);
/// A clock that is being set by slewing runs off by at most a thousandth (Linux allows half of that).
const SLEW_PER: i64 = 1000;
/// After a step, what still waits in sockets may carry stamps from before it.
const DISTRUST: DurationNs = DurationNs::from_ms(50);

impl StampMap {
    /// Both clocks were read: `now` and, at the same instant, `utc`.
    pub fn compare(&mut self, now: ArrivalNs, utc: UtcNs) {
        let offset = now.0.wrapping_sub(utc.0);
        if let Some((before, at)) = self.offset {
            let allowed = STEP_MIN.0 + now.since(at).0.max(0) / SLEW_PER;
            if offset.abs_diff(before) > allowed as u64 {
                self.steps += 1;
                self.distrust_until = now.plus(DISTRUST);
            }
        }
        self.offset = Some((offset, now));
    }

    /// When a datagram that was read at `read` was taken by the kernel; the instant of reading where that cannot be known.
    pub fn map(&mut self, stamp: Option<UtcNs>, read: ArrivalNs) -> ArrivalNs {
        let (Some(stamp), Some((offset, _))) = (stamp, self.offset) else { return read };
        let mapped = ArrivalNs(stamp.0.wrapping_add(offset));
        // A stamp from the future was of a clock that has been set back since; a little is two clocks read in turn.
        if read < self.distrust_until || mapped.since(read) > STEP_MIN {
            self.discarded += 1;
            return read;
        }
        mapped.min(read)
    }

    /// How often the wall clock was set.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }
    /// Stamps that were not believed; those datagrams count from when they were read.
    #[must_use]
    pub fn discarded(&self) -> u64 {
        self.discarded
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

    const S: i64 = 1_000_000_000;

    #[test]
    fn a_stamp_is_mapped_through_a_clock_that_is_slewed() {
        let mut map = StampMap::default();
        assert_eq!(map.map(Some(UtcNs(5)), ArrivalNs(9)), ArrivalNs(9), "nothing is known yet");
        for i in 0..100 {
            // Half a thousandth too fast, looked at now and then.
            let (now, utc) = (ArrivalNs(i * S), UtcNs(1_700_000_000 * S + i * S + i * S / 2000));
            map.compare(now, utc);
            assert_eq!(map.map(Some(UtcNs(utc.0 - 3000)), now), ArrivalNs(now.0 - 3000));
        }
        assert_eq!((map.steps(), map.discarded()), (0, 0));
        assert_eq!(map.map(None, ArrivalNs(4)), ArrivalNs(4), "the kernel gave none");
    }

    #[test]
    fn stamps_across_a_step_are_discarded_whichever_way_it_goes() {
        for step in [3600 * S, -3600 * S, 2_000_000, -2_000_000] {
            let mut map = StampMap::default();
            let utc = |now: i64, stepped: bool| UtcNs(1_700_000_000 * S + now + if stepped { step } else { 0 });
            map.compare(ArrivalNs(S), utc(S, false));
            // Stamped before the step, read after it.
            let (stamp, read) = (utc(2 * S, false), ArrivalNs(2 * S + 1000));
            map.compare(read, utc(read.0, true));
            assert_eq!(map.map(Some(stamp), read), read, "{step}");
            assert_eq!((map.steps(), map.discarded()), (1, 1));
            // A while later stamps are believed again.
            let read = ArrivalNs(3 * S);
            map.compare(read, utc(read.0, true));
            assert_eq!(map.map(Some(UtcNs(utc(read.0, true).0 - 700)), read), ArrivalNs(read.0 - 700));
        }
    }

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
