//! One clock map per source: from a device's claimed time to the log's time.
//!
//! A datagram arrives `offset + delay` after its claimed time, with an unknown constant offset between the clocks and
//! a delay that is never negative. So the smallest difference of late is the best estimate of the offset (the minimum
//! filter of one-way synchronisation, as in RFC 5905's clock filter): it is taken down at once, and up no faster than
//! a clock can drift. Two laws follow, and the tests hold them: a mapped time is never after its arrival, and device
//! times that do not go back map to log times that do not go back.

use osmose_model::ids::SensorId;
use osmose_model::time::{ArrivalNs, DeviceNs, DurationNs, LogicalNs, NS_PER_S};

/// Seconds over which the smallest difference is remembered.
const WINDOW_S: usize = 16;
/// How fast a device's clock may run off ours, parts per million: far beyond any quartz.
const DRIFT_PPM_MAX: i64 = 500;
/// A difference that jumps by more than this is a clock that was set.
const STEP_NS: i64 = NS_PER_S;
/// So many observations in a row must agree that the clock was set.
const STEP_RUN: u8 = 4;

/// A mapped time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// When it was true, in the log's time; never after the arrival.
    pub measured: LogicalNs,
    /// The device's clock was found to have been set, and the map began anew with this observation.
    pub stepped: bool,
    /// The claimed time is ahead of the arrival by more than a delay explains: the arrival was taken.
    pub ahead: bool,
}

/// The map of one source.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockMap {
    /// Arrival minus device time of an observation without delay; `None` before the first.
    offset_ns: Option<i64>,
    /// Smallest difference of each second, by the second's number; a ring.
    minima: [(i64, i64); WINDOW_S],
    /// Arrival of the latest observation, for the drift.
    last: ArrivalNs,
    /// Since when the map has held without a step.
    since: ArrivalNs,
    /// Latest device time.
    newest: DeviceNs,
    /// Observations in a row that say that the clock was set forward, or back.
    forward: u8,
    back: u8,
}

impl ClockMap {
    /// Maps one claimed time. `late_max` is how late an observation may be: a source of which everything has been
    /// later than that for a whole window has had its clock stopped, and the map begins anew.
    ///
    /// `None` where the difference of the clocks does not fit (a claimed time centuries off).
    pub fn map(&mut self, arrival: ArrivalNs, claimed: DeviceNs, late_max: DurationNs) -> Option<Mapped> {
        let diff = arrival.0.checked_sub(claimed.0)?;
        let Some(offset) = self.offset_ns else {
            self.begin(arrival, claimed, diff);
            return Some(Mapped { measured: LogicalNs(arrival.0), stepped: false, ahead: false });
        };
        if diff < offset.saturating_sub(STEP_NS) {
            // A claimed time far ahead: one such may be nonsense; several are a clock that was set.
            self.forward += 1;
            let stepped = self.forward >= STEP_RUN;
            if stepped {
                self.begin(arrival, claimed, diff);
            }
            return Some(Mapped { measured: LogicalNs(arrival.0), stepped, ahead: true });
        }
        self.forward = 0;
        let went_back = self.newest.0.saturating_sub(claimed.0) > STEP_NS;
        self.back = if went_back { self.back.saturating_add(1) } else { 0 };
        self.newest = self.newest.max(claimed);
        let minimum = self.remember(arrival, diff);
        let stopped = arrival.since(self.since).0 > WINDOW_S as i64 * NS_PER_S
            && minimum.saturating_sub(offset) > late_max.0.max(STEP_NS);
        if self.back >= STEP_RUN || stopped {
            self.begin(arrival, claimed, diff);
            return Some(Mapped { measured: LogicalNs(arrival.0), stepped: true, ahead: false });
        }
        let elapsed = arrival.since(self.last).0.clamp(0, 3600 * NS_PER_S);
        let risen = offset.saturating_add(elapsed / 1_000_000 * DRIFT_PPM_MAX);
        let offset = if diff < offset { diff } else { risen.min(minimum).max(offset) };
        self.offset_ns = Some(offset);
        self.last = self.last.max(arrival);
        // offset <= diff, so this is never after the arrival; `min` says so to the reader and to saturation.
        let measured = claimed.0.saturating_add(offset).min(arrival.0);
        Some(Mapped { measured: LogicalNs(measured), stepped: false, ahead: false })
    }

    fn begin(&mut self, arrival: ArrivalNs, claimed: DeviceNs, diff: i64) {
        *self = Self { offset_ns: Some(diff), last: arrival, since: arrival, newest: claimed, ..Self::default() };
        self.minima = [(i64::MIN, i64::MAX); WINDOW_S];
        self.remember(arrival, diff);
    }

    /// Notes a difference and gives the smallest of the window.
    fn remember(&mut self, arrival: ArrivalNs, diff: i64) -> i64 {
        let second = arrival.0.div_euclid(NS_PER_S);
        let slot = &mut self.minima[second.rem_euclid(WINDOW_S as i64) as usize];
        *slot = if slot.0 == second { (second, slot.1.min(diff)) } else { (second, diff) };
        let recent = self.minima.iter().filter(|(s, _)| *s > second - WINDOW_S as i64 && *s <= second);
        recent.map(|&(_, min)| min).min().unwrap_or(diff)
    }
}

/// The maps of all sensors.
#[derive(Clone, Debug)]
pub struct Clocks(Vec<ClockMap>);

impl Clocks {
    /// One map for each of `sensors` sensors, nothing learned.
    #[must_use]
    pub fn new(sensors: usize) -> Self {
        Self(vec![ClockMap::default(); sensors])
    }
    /// The map of a sensor.
    pub fn of(&mut self, sensor: SensorId) -> &mut ClockMap {
        &mut self.0[sensor.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::time::NS_PER_MS;
    use proptest::prelude::*;

    const LATE: DurationNs = DurationNs(500 * NS_PER_MS);

    proptest! {
        #[test]
        fn never_after_arrival_and_in_order(
            epoch in -1_000_000_000_000_000_000i64..1_000_000_000_000_000_000,
            steps in proptest::collection::vec((0i64..2_000_000_000, 0i64..300_000_000), 1..200),
        ) {
            // Device times rise by what is drawn; each arrives after a drawn delay, and not before the one before.
            let (mut map, mut device, mut arrival) = (ClockMap::default(), epoch, 0i64);
            let (mut truth, mut before) = (0i64, i64::MIN);
            for (step, delay) in steps {
                truth += step;
                device += step;
                arrival = arrival.max(truth + delay);
                let m = map.map(ArrivalNs(arrival), DeviceNs(device), LATE).unwrap();
                prop_assert!(m.measured.0 <= arrival);
                prop_assert!(m.measured.0 >= before, "{} went back to {}", before, m.measured.0);
                before = m.measured.0;
            }
        }

        #[test]
        fn any_times_map_or_are_refused_without_panic(times in proptest::collection::vec((any::<i64>(), any::<i64>()), 0..40)) {
            let mut map = ClockMap::default();
            for (arrival, claimed) in times {
                if let Some(m) = map.map(ArrivalNs(arrival), DeviceNs(claimed), LATE) {
                    prop_assert!(m.measured.0 <= arrival);
                }
            }
        }
    }

    /// Observations every 100 ms with a delay of 1 ms to 21 ms, and a clock that runs `ppm` off ours.
    fn errors_ms(ppm: i64, seconds: i64) -> Vec<i64> {
        let mut map = ClockMap::default();
        let one = |i: i64| {
            let truth = i * 100 * NS_PER_MS;
            let delay = NS_PER_MS + (i * 7919 % 21) * NS_PER_MS;
            let device = 77 * NS_PER_S + truth + truth / 1_000_000 * ppm;
            let m = map.map(ArrivalNs(truth + delay), DeviceNs(device), LATE).unwrap();
            (m.measured.0 - truth) / NS_PER_MS
        };
        (0..seconds * 10).map(one).collect()
    }

    #[test]
    fn the_delay_is_taken_out_and_drift_is_followed() {
        for ppm in [-100, 0, 100] {
            let errors = errors_ms(ppm, 600);
            // Learned after the first few seconds: within the smallest delay and the drift of one window.
            assert!(errors[100..].iter().all(|e| (-2..=4).contains(e)), "{ppm} ppm: {:?}", &errors[5900..]);
        }
    }

    #[test]
    fn one_wild_time_changes_nothing_and_a_set_clock_is_learned_anew() {
        let mut map = ClockMap::default();
        let mut at = |second: i64, claimed_s: i64| {
            map.map(ArrivalNs(second * NS_PER_S), DeviceNs(claimed_s * NS_PER_S), LATE).unwrap()
        };
        assert_eq!(at(1, 101).measured.0, NS_PER_S);
        let wild = at(2, 9_000_000);
        assert!(wild.ahead && !wild.stepped);
        assert_eq!(wild.measured.0, 2 * NS_PER_S);
        assert_eq!(at(3, 103).measured.0, 3 * NS_PER_S);
        // Set back by 50 s: too late for a while, then believed.
        let back: Vec<_> = (4..8).map(|s| at(s, 50 + s)).collect();
        assert_eq!(back[0].measured.0, -46 * NS_PER_S);
        assert!(back[3].stepped);
        assert_eq!(at(8, 58).measured.0, 8 * NS_PER_S);
        // Set forward: the arrival is taken, then believed.
        let forward: Vec<_> = (9..13).map(|s| at(s, 500 + s)).collect();
        assert!(forward.iter().all(|m| m.ahead) && forward[3].stepped);
        assert!(!at(13, 513).ahead);
    }

    #[test]
    fn a_clock_that_stood_still_is_believed_after_a_window() {
        let mut map = ClockMap::default();
        map.map(ArrivalNs(0), DeviceNs(0), LATE).unwrap();
        let after_sleep = |s: i64| (ArrivalNs((60 + s) * NS_PER_S), DeviceNs((1 + s) * NS_PER_S));
        let maps: Vec<_> = (0..20)
            .map(|s| {
                let (arrival, claimed) = after_sleep(s);
                map.map(arrival, claimed, LATE).unwrap().stepped
            })
            .collect();
        assert!(maps.contains(&true));
        let (arrival, claimed) = after_sleep(30);
        assert_eq!(map.map(arrival, claimed, LATE).unwrap().measured.0, arrival.0);
    }
}
