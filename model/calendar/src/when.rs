//! Instants as RFC 5545 writes them: `20260330T090000Z`, the same in a named zone or in none, and whole days.

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use rrule::Tz;

/// The zone of an IANA name.
pub(crate) fn zone(name: &str) -> Option<Tz> {
    name.parse::<chrono_tz::Tz>().ok().map(Tz::from)
}

/// A value of a date or a date and time: its instant, and whether it is a whole day.
///
/// A time that the clocks leap over is the instant just behind the leap, as RFC 5545 wants it; of one that comes twice
/// it is the first.
pub(crate) fn read(value: &str, zone: Tz) -> Option<(DateTime<Tz>, bool)> {
    let value = value.trim();
    if value.len() == 8 {
        let day = NaiveDate::parse_from_str(value, "%Y%m%d").ok()?;
        return Some((local(day.and_time(NaiveTime::MIN), zone)?, true));
    }
    let (value, zone) = match value.strip_suffix(['Z', 'z']) {
        Some(value) => (value, Tz::UTC),
        None => (value, zone),
    };
    let at = NaiveDateTime::parse_from_str(value, "%Y%m%dT%H%M%S").ok()?;
    Some((local(at, zone)?, false))
}

fn local(at: NaiveDateTime, zone: Tz) -> Option<DateTime<Tz>> {
    match zone.from_local_datetime(&at) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at),
        LocalResult::None => {
            // By the offset that held before: the nearest earlier hour that there was (leaps are of at most a day).
            (1..=24).find_map(|h| {
                let earlier = at.checked_sub_signed(TimeDelta::hours(h))?;
                zone.from_local_datetime(&earlier).earliest()?.checked_add_signed(TimeDelta::hours(h))
            })
        }
    }
}

/// `P1DT2H30M`, `PT15M`, `P2W`, in seconds; weeks and days count 7 and 24 hours. `None` for others, and for negative
/// ones.
pub(crate) fn duration_s(text: &str) -> Option<i64> {
    let text = text.trim();
    let rest = text.strip_prefix('+').unwrap_or(text).strip_prefix('P')?;
    let (mut total, mut number, mut time, mut any) = (0i64, None::<i64>, false, false);
    for c in rest.chars() {
        let unit = match (c, time) {
            ('0'..='9', _) => {
                let digit = i64::from(c.to_digit(10)?);
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
                continue;
            }
            ('T', false) if number.is_none() => {
                time = true;
                continue;
            }
            ('W', false) => 7 * 86_400,
            ('D', false) => 86_400,
            ('H', true) => 3_600,
            ('M', true) => 60,
            ('S', true) => 1,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
        any = true;
    }
    (any && number.is_none()).then_some(total)
}

/// The day of an instant, UTC.
pub(crate) fn day(at_s: i64) -> String {
    DateTime::from_timestamp(at_s, 0).map_or_else(|| at_s.to_string(), |at| at.format("%Y-%m-%d").to_string())
}
