//! How much a source may say: a leaky bucket for each sensor that declares its `rate_hz` and of whose class something may
//! be lost. What is beyond ten times that is dropped before it is decoded, so that a sensor gone mad costs next to nothing.
//!
//! Sensors that speak of carried devices (fixes, ranges, RSSI) say as much as there are devices: their rate limits nobody.

use osmose_model::device::SensorKind;
use osmose_model::ids::SensorId;
use osmose_model::input::Class;
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, DurationNs};

/// Times its declared rate that a sensor may say, for as long as it likes.
const TIMES: f64 = 10.0;
/// How long's worth of that it may say at once: a sensor that was cut off may catch up.
const BURST: DurationNs = DurationNs::from_s(30);
/// What was dropped is said at most this often.
const SAY_EVERY: DurationNs = DurationNs::from_ms(100);

/// One sensor's bucket, as of the generic cell rate algorithm (ITU-T I.371): when it would be empty.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    each: DurationNs,
    empty_at: ArrivalNs,
    owed: u64,
    said: ArrivalNs,
}

/// Every sensor's, by its number.
#[derive(Clone, Debug)]
pub(super) struct Rates(Vec<Option<Bucket>>);

impl Rates {
    pub(super) fn new(site: &Site) -> Self {
        let bucket = |s: &osmose_model::device::Sensor| {
            let of_devices = matches!(
                s.kind,
                SensorKind::Location | SensorKind::Range | SensorKind::Tdoa | SensorKind::Rssi | SensorKind::Badge
            );
            let limited = matches!(s.class, Class::State | Class::Bulk) && !of_devices;
            let each = DurationNs::from_s_f64(1.0 / (s.rate_hz.filter(|hz| *hz > 0.0 && limited)? * TIMES))?;
            let never = ArrivalNs(i64::MIN / 2);
            Some(Bucket { each, empty_at: never, owed: 0, said: never })
        };
        Self(site.sensors.iter().map(bucket).collect())
    }

    /// Whether a sensor may say one thing more at `arrival`.
    pub(super) fn may(&mut self, sensor: SensorId, arrival: ArrivalNs) -> bool {
        let Some(bucket) = &mut self.0[sensor.index()] else { return true };
        let empty_at = bucket.empty_at.max(arrival);
        if empty_at.since(arrival) > BURST {
            bucket.owed += 1;
            return false;
        }
        bucket.empty_at = empty_at.plus(bucket.each);
        true
    }

    /// How many of a sensor's were dropped and not said; where it is time to say so.
    pub(super) fn owed(&mut self, sensor: SensorId, arrival: ArrivalNs) -> Option<u64> {
        let bucket = self.0[sensor.index()].as_mut()?;
        if bucket.owed == 0 || arrival.since(bucket.said) < SAY_EVERY {
            return None;
        }
        bucket.said = arrival;
        Some(std::mem::take(&mut bucket.owed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_times_the_declared_rate_passes_for_ever_and_no_more() {
        let each = DurationNs::from_ms(10);
        let never = ArrivalNs(i64::MIN / 2);
        let mut rates = Rates(vec![Some(Bucket { each, empty_at: never, owed: 0, said: never })]);
        let mut passed = |from_ms: i64, step_us: i64, n: i64| {
            let at = |i| ArrivalNs((from_ms * 1000 + i * step_us) * 1000);
            (0..n).filter(|&i| rates.may(SensorId(0), at(i))).count() as i64
        };
        assert_eq!(passed(0, 10_000, 1000), 1000, "at its limit");
        assert_eq!(passed(100_000, 100, 10_000), 3100, "half a minute's worth at once, and one second's");
        assert_eq!(rates.owed(SensorId(0), ArrivalNs(200_000_000_000)), Some(6900));
        assert_eq!(rates.owed(SensorId(0), ArrivalNs(201_000_000_000)), None, "said once");
    }
}
