//! Wall-clock times at the edge of a log: anchors for it, and the times that people type.
//!
//! The core has no time-zone database; what it needs of one is in each recorded anchor: the offset, and when that
//! changes next. The database is bundled, so that the same text means the same instant on every machine.

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use osmose_model::input::Anchor;
use osmose_model::time::{DurationNs, LogicalNs, UtcNs, parse_decimal_ns};

/// Most days of a log that a time of day is looked for in.
const DAYS_MAX: usize = 4000;
/// Most choices named where a time of day is not one instant.
const CHOICES_MAX: usize = 5;

/// Why a text is no instant, or a time zone none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WallError {
    /// No such zone.
    #[error("`{0}` is no time zone: site.toml's `timezone` takes an IANA name such as \"Europe/London\"")]
    Zone(String),
    /// Beyond what a calendar holds.
    #[error("{0} ns since 1970 is outside the calendar")]
    Range(i64),
    /// No form of a time.
    #[error(
        "`{0}` is no time: write seconds of the trace (12.5), a time of day (10:02:11.5), or RFC 3339 (2026-05-01T10:02:11Z)"
    )]
    Text(String),
    /// A wall-clock time, and the log has none.
    #[error("`{0}` is a wall-clock time, and this trace has no wall clock: give seconds of the trace (12.5)")]
    NoWallClock(String),
    /// The time of day does not occur in the log.
    #[error("{text} is not within the trace, which runs from {from} to {to} ({zone})")]
    Outside {
        /// What was asked.
        text: String,
        /// First local time.
        from: String,
        /// Last local time.
        to: String,
        /// The zone.
        zone: String,
    },
    /// The time of day occurs more than once.
    #[error("{text} is more than one instant of the trace: write one of {}", choices.join(", "))]
    Ambiguous {
        /// What was asked.
        text: String,
        /// The instants, RFC 3339.
        choices: Vec<String>,
    },
}

fn zone(name: &str) -> Result<TimeZone, WallError> {
    let name = if name.is_empty() { "UTC" } else { name };
    TimeZoneDatabase::bundled().get(name).map_err(|_| WallError::Zone(name.to_owned()))
}

fn timestamp(utc: UtcNs) -> Result<Timestamp, WallError> {
    Timestamp::from_nanosecond(i128::from(utc.0)).map_err(|_| WallError::Range(utc.0))
}

fn utc_ns(t: Timestamp) -> Option<UtcNs> {
    i64::try_from(t.as_nanosecond()).ok().map(UtcNs)
}

/// The anchor that ties a log to `utc` in a time zone (an IANA name; empty means UTC).
///
/// # Errors
/// [`WallError::Zone`], [`WallError::Range`].
///
/// ```
/// use osmose_model::time::{DurationNs, UtcNs};
/// // 2026-07-01T00:00:00Z: London is an hour ahead, until 2026-10-25T01:00:00Z.
/// let anchor = osmose_replay::wall::anchor(UtcNs(1_782_864_000_000_000_000), "Europe/London").unwrap();
/// assert_eq!(anchor.offset, DurationNs::from_s(3600));
/// assert_eq!(anchor.next_change, Some((UtcNs(1_792_890_000_000_000_000), DurationNs::ZERO)));
/// ```
pub fn anchor(utc: UtcNs, timezone: &str) -> Result<Anchor, WallError> {
    let (zone, at) = (zone(timezone)?, timestamp(utc)?);
    let offset = zone.to_offset(at);
    // A transition may change the name or the saving alone: only another offset counts.
    let next_change = zone
        .following(at)
        .take(16)
        .find(|t| t.offset() != offset)
        .and_then(|t| Some((utc_ns(t.timestamp())?, DurationNs::from_s(i64::from(t.offset().seconds())))));
    Ok(Anchor { utc, offset: DurationNs::from_s(i64::from(offset.seconds())), next_change })
}

/// RFC 3339 to UTC.
///
/// # Errors
/// [`WallError::Text`].
///
/// ```
/// use osmose_model::time::UtcNs;
/// assert_eq!(osmose_replay::wall::parse_rfc3339("1970-01-01T01:00:00+01:00"), Ok(UtcNs(0)));
/// ```
pub fn parse_rfc3339(text: &str) -> Result<UtcNs, WallError> {
    let bad = || WallError::Text(text.to_owned());
    utc_ns(text.trim().parse::<Timestamp>().map_err(|_| bad())?).ok_or_else(bad)
}

/// UTC as RFC 3339.
#[must_use]
pub fn format_rfc3339(utc: UtcNs) -> String {
    timestamp(utc).map_or_else(|_| format!("{utc} s since 1970"), |t| t.to_string())
}

/// What is needed of a log to read the times that people type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogClock {
    /// An instant of the log and its wall-clock time, where known.
    pub tied: Option<(LogicalNs, UtcNs)>,
    /// First and last instant of the log.
    pub span: (LogicalNs, LogicalNs),
    /// The site's time zone.
    pub timezone: String,
}

impl LogClock {
    /// An instant from seconds of the trace (`12.5`), a time of day in the site's zone (`10:02:11.5`), or RFC 3339.
    ///
    /// # Errors
    /// [`WallError`]; a time of day that names more than one instant is refused with the choices.
    pub fn parse(&self, text: &str) -> Result<LogicalNs, WallError> {
        let text = text.trim();
        if let Ok(ns) = parse_decimal_ns(text, 0) {
            return Ok(LogicalNs(ns));
        }
        let no_clock = || WallError::NoWallClock(text.to_owned());
        if let Ok(utc) = parse_rfc3339(text) {
            return self.logical(utc).ok_or_else(no_clock);
        }
        let looks = text.len() >= 5 && text.as_bytes()[2] == b':';
        let time: Time = text.parse().ok().filter(|_| looks).ok_or_else(|| WallError::Text(text.to_owned()))?;
        self.time_of_day(text, time)
    }

    fn logical(&self, utc: UtcNs) -> Option<LogicalNs> {
        self.tied.map(|(at, tied)| LogicalNs(at.0.saturating_add(utc.0.saturating_sub(tied.0))))
    }

    fn time_of_day(&self, text: &str, time: Time) -> Result<LogicalNs, WallError> {
        let (at, tied) = self.tied.ok_or_else(|| WallError::NoWallClock(text.to_owned()))?;
        let zone = zone(&self.timezone)?;
        let utc = |l: LogicalNs| timestamp(UtcNs(tied.0.saturating_add(l.0.saturating_sub(at.0))));
        let (from, to) = (utc(self.span.0)?, utc(self.span.1)?);
        let (first, last): (Date, Date) = (zone.to_datetime(from).date(), zone.to_datetime(to).date());
        let mut found: Vec<Timestamp> = Vec::new();
        for date in first.series(jiff::Span::new().days(1)).take(DAYS_MAX).take_while(|d| *d <= last) {
            let local = date.to_datetime(time);
            let offsets = match zone.to_ambiguous_timestamp(local).offset() {
                AmbiguousOffset::Unambiguous { offset } => vec![offset],
                // The hour that the clocks skip is no time at all.
                AmbiguousOffset::Gap { .. } => vec![],
                AmbiguousOffset::Fold { before, after } => vec![before, after],
            };
            found.extend(offsets.into_iter().filter_map(|o| o.to_timestamp(local).ok()));
        }
        // A log that ends at 10:02:11.3 holds the second 10:02:11 as asked for.
        found.retain(|t| *t >= from.saturating_sub(SignedDuration::from_secs(1)).unwrap_or(from) && *t <= to);
        match found[..] {
            [one] => utc_ns(one).and_then(|u| self.logical(u)).ok_or_else(|| WallError::Text(text.to_owned())),
            [] => Err(WallError::Outside {
                text: text.to_owned(),
                from: zone.to_datetime(from).to_string(),
                to: zone.to_datetime(to).to_string(),
                zone: self.timezone.clone(),
            }),
            _ => Err(WallError::Ambiguous {
                text: text.to_owned(),
                choices: found.iter().take(CHOICES_MAX).map(Timestamp::to_string).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::time::NS_PER_S;

    fn clock(hours: i64) -> LogClock {
        // 2026-10-24T22:30:00Z is 23:30 in London; the clocks go back at 2026-10-25T01:00:00Z.
        let utc = parse_rfc3339("2026-10-24T22:30:00Z").unwrap();
        LogClock {
            tied: Some((LogicalNs(5 * NS_PER_S), utc)),
            span: (LogicalNs(5 * NS_PER_S), LogicalNs((5 + hours * 3600) * NS_PER_S)),
            timezone: "Europe/London".to_owned(),
        }
    }

    #[test]
    fn the_three_forms_of_a_time() {
        let c = clock(1);
        assert_eq!(c.parse("12.5"), Ok(LogicalNs(12_500_000_000)));
        assert_eq!(c.parse("2026-10-24T22:30:01.5Z"), Ok(LogicalNs(6_500_000_000)));
        assert_eq!(c.parse("23:30:02.25"), Ok(LogicalNs(7_250_000_000)));
        assert_eq!(c.parse("00:10:00"), Ok(LogicalNs((5 + 40 * 60) * NS_PER_S)), "past midnight");
        assert!(matches!(c.parse("noon"), Err(WallError::Text(_))));
        assert!(matches!(c.parse("25:00:00"), Err(WallError::Text(_))));
        assert!(matches!(c.parse("12:00:00"), Err(WallError::Outside { .. })));
        let none = LogClock { tied: None, ..c };
        assert_eq!(none.parse("3"), Ok(LogicalNs(3 * NS_PER_S)));
        assert!(matches!(none.parse("23:30:02"), Err(WallError::NoWallClock(_))));
    }

    #[test]
    fn a_time_of_day_that_comes_twice_is_refused_with_the_choices() {
        let c = clock(6);
        let Err(WallError::Ambiguous { choices, .. }) = c.parse("01:30:00") else { panic!("the clocks went back") };
        assert_eq!(choices, ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]);
        let Err(WallError::Ambiguous { choices, .. }) = clock(49).parse("12:00:00") else { panic!("two noons") };
        assert_eq!(choices.len(), 2);
        assert_eq!(c.parse(&choices[0]), Ok(LogicalNs((5 + 13 * 3600 + 1800) * NS_PER_S)));
    }

    #[test]
    fn a_zone_that_never_changes_says_so_and_an_unknown_one_is_refused() {
        let a = anchor(UtcNs(0), "").unwrap();
        assert_eq!((a.offset, a.next_change), (DurationNs::ZERO, None));
        assert_eq!(anchor(UtcNs(0), "Mars/Olympus"), Err(WallError::Zone("Mars/Olympus".to_owned())));
    }
}
