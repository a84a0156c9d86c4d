//! Conditions on the calendar and the sun. All of it is unknown until there is a wall clock.
//!
//! Where the sun stands follows the low-precision formulas of the Astronomical Almanac (as in Michalsky, "The
//! Astronomical Almanac's algorithm for approximate solar position (1950-2050)", Solar Energy 40, 1988): 0.01 degrees.

use super::facts::UNKNOWN;
use super::state::NONE;
use super::truth::Truth;
use crate::program::{ClockRef, SlotRef};
use osmose_model::geometry::{DEG_PER_RAD, RAD_PER_DEG};
use osmose_model::ids::ZoneId;
use osmose_model::time::{DurationNs, NS_PER_S};
use osmose_model::tri::Tri;
use osmose_model::world::WallTime;

pub(super) const NS_PER_DAY: i64 = 86_400 * NS_PER_S;
/// The sun's upper edge is on the horizon when its middle is this low: half its width and the air's refraction.
const HORIZON_DEG: f64 = -0.833;
/// How often the sun's height is looked at where a number hangs on it.
const SUN_STEP: i64 = 60 * NS_PER_S;

/// Height of the sun's middle over the horizon, degrees, without refraction.
pub(crate) fn sun_elevation_deg(utc_ns: i64, lat_deg: f64, lon_deg: f64) -> f64 {
    // Days since 2000-01-01T12:00Z.
    let days = utc_ns as f64 / NS_PER_DAY as f64 - 10_957.5;
    let turn = |deg: f64| libm::fmod(deg, 360.0) * RAD_PER_DEG;
    let anomaly = turn(357.528 + 0.985_600_3 * days);
    let longitude = turn(280.460 + 0.985_647_4 * days + 1.915 * libm::sin(anomaly) + 0.020 * libm::sin(2.0 * anomaly));
    let obliquity = (23.439 - 0.000_000_4 * days) * RAD_PER_DEG;
    let (sin_longitude, cos_longitude) = libm::sincos(longitude);
    let ascension = libm::atan2(libm::cos(obliquity) * sin_longitude, cos_longitude);
    let declination = libm::asin(libm::sin(obliquity) * sin_longitude);
    let sidereal = turn(280.460_618_37 + 360.985_647_366_29 * days + lon_deg);
    let (sin_lat, cos_lat) = libm::sincos(lat_deg * RAD_PER_DEG);
    let (sin_dec, cos_dec) = libm::sincos(declination);
    let height = sin_lat * sin_dec + cos_lat * cos_dec * libm::cos(sidereal - ascension);
    libm::asin(height.clamp(-1.0, 1.0)) * DEG_PER_RAD
}

/// The next instant after `utc_ns`, within two days, at which the sun rises or sets; to the second.
pub(crate) fn next_sun_change(utc_ns: i64, lat_deg: f64, lon_deg: f64) -> Option<i64> {
    const STRIDE: i64 = 600 * NS_PER_S;
    let up = |at: i64| sun_elevation_deg(at, lat_deg, lon_deg) > HORIZON_DEG;
    let now = up(utc_ns);
    let later = (1..=288).map(|k| utc_ns + k * STRIDE).find(|at| up(*at) != now)?;
    let (mut same, mut other) = (later - STRIDE, later);
    while other - same > NS_PER_S {
        let middle = same + (other - same) / 2;
        *(if up(middle) == now { &mut same } else { &mut other }) = middle;
    }
    Some(other)
}

/// Sunrise (or sunset) of a local day, nanoseconds since its midnight; `None` where there is none.
fn sun_of_day(day: i64, offset: DurationNs, rises: bool, (lat_deg, lon_deg): (f64, f64)) -> Option<i64> {
    let midnight = day.saturating_mul(NS_PER_DAY).saturating_sub(offset.0);
    let mut at = midnight;
    // Two changes a day at most; the one that ends with the sun up is its rise.
    for _ in 0..2 {
        let change = next_sun_change(at, lat_deg, lon_deg).filter(|c| c - midnight < NS_PER_DAY)?;
        if (sun_elevation_deg(change, lat_deg, lon_deg) > HORIZON_DEG) == rises {
            return Some(change - midnight);
        }
        at = change;
    }
    None
}

impl Truth<'_> {
    /// The time of day that a clock reference means today; `None` where the sun does not rise or set.
    fn clock_today(&mut self, clock: ClockRef, wall: WallTime) -> Option<i64> {
        match clock {
            ClockRef::At(ns) => Some(ns),
            ClockRef::Sun { rises, offset_ns, slot } => {
                let day = wall.local_day();
                let place = self.program.place_deg?;
                let memory = self.slot(SlotRef::Instance(slot))?;
                // Worked out once a day; the zone's offset moves the midnight it counts from.
                if memory.since != day || memory.gap_from != wall.offset.0 {
                    let found = sun_of_day(day, wall.offset, rises, place);
                    (memory.since, memory.possible, memory.gap_from) = (day, found.unwrap_or(NONE), wall.offset.0);
                }
                let at = memory.possible;
                (at != NONE).then(|| (at + offset_ns).rem_euclid(NS_PER_DAY))
            }
        }
    }

    /// The next instant, in the log's time, at which it is so long past midnight.
    fn due_at_time(&mut self, of_day: i64, time: i64) {
        let ahead = (of_day - time).rem_euclid(NS_PER_DAY);
        self.due_at(self.now.saturating_add(if ahead == 0 { NS_PER_DAY } else { ahead }));
    }

    #[inline(never)]
    pub(super) fn time_in(&mut self, from: ClockRef, to: ClockRef) -> Tri {
        let Some(wall) = self.world.wall() else { return Tri::Unknown };
        let time = wall.since_midnight().0;
        let (from, to) = (self.clock_today(from, wall), self.clock_today(to, wall));
        let (Some(from), Some(to)) = (from, to) else {
            self.due_at_time(0, time);
            return Tri::Unknown;
        };
        for edge in [from, to] {
            self.due_at_time(edge, time);
        }
        let (after, before) = (time >= from, time < to);
        Tri::from(if from < to { after && before } else { after || before })
    }

    /// Whether it is this time of day, or not longer past than `window`, for the first time this local day.
    #[inline(never)]
    pub(super) fn time_is(&mut self, at: ClockRef, window: DurationNs, slot: u8) -> Tri {
        let Some(wall) = self.world.wall() else { return Tri::Unknown };
        let time = wall.since_midnight().0;
        let Some(at) = self.clock_today(at, wall) else {
            self.due_at_time(0, time);
            return Tri::False;
        };
        self.due_at_time(at, time);
        let past = (time - at).rem_euclid(NS_PER_DAY);
        if past >= window.0 {
            // The day's time is over, also where the clock is set back before it.
            let today = wall.local_day();
            if let Some(memory) = self.slot(SlotRef::Instance(slot)).filter(|m| m.since == today) {
                memory.gap_from = today;
            }
            return Tri::False;
        }
        self.due_at_time((at + window.0).rem_euclid(NS_PER_DAY), time);
        // A clock that is set back comes to the same time twice, and the schedule runs once.
        let day = (wall.utc.0 + wall.offset.0 - past).div_euclid(NS_PER_DAY);
        let peeks = self.peeks(SlotRef::Instance(slot));
        let Some(memory) = self.slot(SlotRef::Instance(slot)) else { return Tri::Unknown };
        if memory.since == day {
            if memory.gap_from == day {
                return Tri::False;
            }
            return Tri::from((0..window.0).contains(&(wall.utc.0 - memory.possible)));
        }
        if !peeks {
            (memory.since, memory.possible, memory.gap_from) = (day, wall.utc.0 - past, NONE);
        }
        Tri::True
    }

    #[inline(never)]
    pub(super) fn day_in(&mut self, days: u8) -> Tri {
        let Some(wall) = self.world.wall() else { return Tri::Unknown };
        self.due_at_time(0, wall.since_midnight().0);
        // 1970-01-01 was a Thursday, the fourth day from Monday.
        let weekday = (wall.local_day() + 3).rem_euclid(7);
        Tri::from(days >> weekday & 1 == 1)
    }

    #[inline(never)]
    pub(super) fn sun_up(&mut self, slot: u8) -> Tri {
        let (Some(wall), Some((lat, lon))) = (self.world.wall(), self.program.place_deg) else { return Tri::Unknown };
        let utc = wall.utc.0;
        let Some(memory) = self.slot(SlotRef::Instance(slot)) else { return Tri::Unknown };
        // Known from `gap_from` until `since`: `possible` says which.
        if memory.since == NONE || utc >= memory.since || utc < memory.gap_from {
            let up = sun_elevation_deg(utc, lat, lon) > HORIZON_DEG;
            let until = next_sun_change(utc, lat, lon).unwrap_or(utc.saturating_add(NS_PER_DAY));
            (memory.since, memory.possible, memory.gap_from) = (until, i64::from(up), utc);
        }
        let (up, until) = (memory.possible == 1, memory.since);
        self.due_at(self.now.saturating_add(until - utc));
        Tri::from(up)
    }

    pub(super) fn sun_elevation(&mut self) -> (f64, f64) {
        let (Some(wall), Some((lat, lon))) = (self.world.wall(), self.program.place_deg) else { return UNKNOWN };
        self.due_at(self.now.saturating_add(SUN_STEP));
        let height = sun_elevation_deg(wall.utc.0, lat, lon);
        (height, height)
    }

    /// The booking that goes on now and is not released.
    fn booked_now(&self, calendar: u16, zone: Option<ZoneId>, utc: i64) -> Option<&crate::program::Booking> {
        let of = &self.program.bookings;
        // Nothing that began later counts; among those before, the latest that still goes on.
        let until = of.partition_point(|b| (b.calendar, b.from) <= (calendar, utc));
        let fits = |b: &&crate::program::Booking| {
            b.calendar == calendar && b.zone == zone && utc < b.to && !self.released.contains(&(calendar, zone, b.from))
        };
        of[..until].iter().rev().take_while(|b| b.calendar == calendar).find(fits)
    }

    /// Whether a booking began at least `length` ago and goes on.
    #[inline(never)]
    pub(super) fn booked(&mut self, calendar: u16, zone: Option<ZoneId>, length: DurationNs) -> Tri {
        let Some(wall) = self.world.wall() else { return Tri::Unknown };
        let (utc, now) = (wall.utc.0, self.now);
        let found = self.booked_now(calendar, zone, utc).map(|b| (b.from, b.to));
        let next = {
            let of = &self.program.bookings;
            let from = of.partition_point(|b| (b.calendar, b.from) <= (calendar, utc));
            of[from..].iter().take_while(|b| b.calendar == calendar).find(|b| b.zone == zone).map(|b| b.from)
        };
        for at in [next, found.map(|f| f.1), found.map(|f| f.0.saturating_add(length.0))].into_iter().flatten() {
            if at > utc {
                self.due_at(now.saturating_add(at - utc));
            }
        }
        Tri::from(found.is_some_and(|(from, _)| utc - from >= length.0))
    }

    /// Seconds until the next booking begins, 0 while one goes on; more than any time where none is to come.
    #[inline(never)]
    pub(super) fn starts_in(&mut self, calendar: u16, zone: Option<ZoneId>) -> (f64, f64) {
        let Some(wall) = self.world.wall() else { return super::facts::UNKNOWN };
        let (utc, now) = (wall.utc.0, self.now);
        if let Some(until) = self.booked_now(calendar, zone, utc).map(|b| b.to) {
            self.due_at(now.saturating_add(until - utc));
            return (0.0, 0.0);
        }
        let of = &self.program.bookings;
        let from = of.partition_point(|b| (b.calendar, b.from) <= (calendar, utc));
        let is_next =
            |b: &&crate::program::Booking| b.zone == zone && !self.released.contains(&(calendar, zone, b.from));
        match of[from..].iter().take_while(|b| b.calendar == calendar).find(is_next).map(|b| b.from) {
            Some(next) => {
                self.due_at(now.saturating_add(next - utc));
                let s = (next - utc) as f64 / 1e9;
                (s, s)
            }
            None => (f64::MAX, f64::MAX),
        }
    }

    pub(super) fn organiser(&self, calendar: u16, zone: Option<ZoneId>) -> Option<osmose_model::ids::PersonId> {
        let wall = self.world.wall()?;
        self.booked_now(calendar, zone, wall.utc.0)?.organiser
    }

    /// Which booking goes on, to be released: its beginning.
    pub(super) fn booking(&self, calendar: u16, zone: Option<ZoneId>) -> Option<i64> {
        let wall = self.world.wall()?;
        self.booked_now(calendar, zone, wall.utc.0).map(|b| b.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds since 1970 of midnight UTC of a day.
    fn midnight(days_since_1970: i64) -> i64 {
        days_since_1970 * NS_PER_DAY
    }

    #[test]
    fn the_sun_rises_and_sets_when_almanacs_say() {
        // Greenwich, 2026-06-21 (day 20,625): 03:43 and 20:21 UTC; 2026-12-21 (day 20,808): 08:04 and 15:53 UTC, each
        // to the minute (US Naval Observatory, "Rise, Set, and Twilight Times").
        for (day, rise_min, set_min) in [(20_625, 3 * 60 + 43, 20 * 60 + 21), (20_808, 8 * 60 + 4, 15 * 60 + 53)] {
            let place = (51.4779, 0.0);
            let minutes = |rises| sun_of_day(day, DurationNs::ZERO, rises, place).map(|ns| ns as f64 / 60e9);
            let (rise, set) = (minutes(true).expect("it rises"), minutes(false).expect("it sets"));
            assert!((rise - f64::from(rise_min)).abs() < 1.5, "rises at minute {rise}, not {rise_min}");
            assert!((set - f64::from(set_min)).abs() < 1.5, "sets at minute {set}, not {set_min}");
        }
    }

    #[test]
    fn beyond_the_polar_circle_it_may_not_set() {
        assert_eq!(sun_of_day(20_625, DurationNs::ZERO, false, (78.2, 15.6)), None);
        assert!(sun_elevation_deg(midnight(20_625), 78.2, 15.6) > 5.0);
    }
}
