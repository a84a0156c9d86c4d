//! The time domains. They are separate types with no implicit conversion, because every mix-up of a device's
//! clock, the host's and the log's has been a bug in somebody's tracker.
//!
//! | type | whose clock | set by |
//! |---|---|---|
//! | [`DeviceNs`] | what a device claims | the device |
//! | [`ArrivalNs`] | the host's monotonic clock | the edge, once, when a datagram is read |
//! | [`LogicalNs`] | the log's | the sequencer: `max(previous, arrival)` |
//! | [`UtcNs`] | wall clock | only through a recorded [`crate::input::Anchor`] |

use serde::{Deserialize, Serialize};
use std::fmt;

/// Nanoseconds in a second.
pub const NS_PER_S: i64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub const NS_PER_MS: i64 = 1_000_000;
/// Nanoseconds in a microsecond.
pub const NS_PER_US: i64 = 1_000;

macro_rules! time_domain {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub i64);

        impl $name {
            /// This instant `d` later; saturates at the ends of the range.
            #[must_use]
            pub const fn plus(self, d: DurationNs) -> Self { Self(self.0.saturating_add(d.0)) }
            /// This instant `d` earlier; saturates at the ends of the range.
            #[must_use]
            pub const fn minus(self, d: DurationNs) -> Self { Self(self.0.saturating_sub(d.0)) }
            /// How long after `earlier` this instant is; negative where it is before.
            #[must_use]
            pub const fn since(self, earlier: Self) -> DurationNs { DurationNs(self.0.saturating_sub(earlier.0)) }
        }

        impl fmt::Display for $name {
            /// Seconds with up to nine decimals and no trailing zeros: `12.345`.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(&format_seconds(self.0)) }
        }
    };
}

time_domain!(
    /// A device's own clock, as it claims it, in nanoseconds of that device's epoch.
    DeviceNs
);
time_domain!(
    /// The host's monotonic clock when a datagram was read, in nanoseconds since the log began.
    ArrivalNs
);
time_domain!(
    /// The log's time: non-decreasing along the one total order, in nanoseconds since the log began.
    LogicalNs
);
time_domain!(
    /// Nanoseconds since 1970-01-01T00:00:00Z, known only through a recorded anchor.
    UtcNs
);

/// A length of time in nanoseconds, of no particular clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DurationNs(pub i64);

impl DurationNs {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// `s` whole seconds.
    #[must_use]
    pub const fn from_s(s: i64) -> Self {
        Self(s.saturating_mul(NS_PER_S))
    }
    /// `ms` whole milliseconds.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms.saturating_mul(NS_PER_MS))
    }
    /// `us` whole microseconds.
    #[must_use]
    pub const fn from_us(us: i64) -> Self {
        Self(us.saturating_mul(NS_PER_US))
    }
    /// The nearest nanosecond to `s` seconds; `None` for NaN, infinities and what does not fit.
    #[must_use]
    pub fn from_s_f64(s: f64) -> Option<Self> {
        let ns = (s * 1e9).round();
        (ns.is_finite() && ns.abs() < 9.2e18).then_some(Self(ns as i64))
    }
    /// In seconds, as a float for arithmetic in filters.
    #[must_use]
    pub fn as_s_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl fmt::Display for DurationNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format_seconds(self.0))
    }
}

/// Nanoseconds as seconds text, exact, without trailing zeros: `1_500_000_000` → `"1.5"`.
///
/// ```
/// use osmose_model::time::format_seconds;
/// assert_eq!(format_seconds(12_345_000_000), "12.345");
/// assert_eq!(format_seconds(-1), "-0.000000001");
/// assert_eq!(format_seconds(2_000_000_000), "2");
/// ```
#[must_use]
pub fn format_seconds(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let abs = ns.unsigned_abs();
    let (whole, frac) = (abs / 1_000_000_000, abs % 1_000_000_000);
    if frac == 0 {
        return format!("{sign}{whole}");
    }
    let digits = format!("{frac:09}");
    format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
}

/// Why a text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeTextError {
    /// Not digits with at most one point and an optional sign (or exponent).
    #[error("not a decimal number")]
    NotANumber,
    /// More than about 292 years.
    #[error("out of range")]
    OutOfRange,
}

/// Decimal text in units of `10^unit_pow10` seconds to integer nanoseconds, never through a float.
///
/// `unit_pow10` is 0 for seconds, -3 for milliseconds, -6 and -9 for micro- and nanoseconds. Digits beyond the
/// nanosecond are rounded half away from zero. An exponent (`1.5e3`) is accepted, as JSON numbers may carry one.
///
/// # Errors
/// [`TimeTextError`] where the text is no number or does not fit.
///
/// ```
/// use osmose_model::time::parse_decimal_ns;
/// assert_eq!(parse_decimal_ns("12.345", 0), Ok(12_345_000_000));
/// assert_eq!(parse_decimal_ns("1700000000123", -3), Ok(1_700_000_000_123_000_000));
/// assert_eq!(parse_decimal_ns("0.1", 0), Ok(100_000_000));
/// ```
pub fn parse_decimal_ns(text: &str, unit_pow10: i32) -> Result<i64, TimeTextError> {
    let text = text.trim();
    let (text, negative) = match text.as_bytes().first() {
        Some(b'-') => (&text[1..], true),
        Some(b'+') => (&text[1..], false),
        _ => (text, false),
    };
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(i) => (&text[..i], text[i + 1..].parse::<i32>().map_err(|_| TimeTextError::NotANumber)?),
        None => (text, 0),
    };
    if exponent.abs() > 40 {
        return Err(TimeTextError::OutOfRange);
    }
    let (whole, frac) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && frac.is_empty() || !whole.bytes().chain(frac.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(TimeTextError::NotANumber);
    }
    // value = digits * 10^-(frac.len()) * 10^exponent * 10^unit * 10^9 nanoseconds
    let shift = 9 + unit_pow10 + exponent - frac.len() as i32;
    let mut value: i128 = 0;
    for b in whole.bytes().chain(frac.bytes()) {
        value =
            value.checked_mul(10).and_then(|v| v.checked_add(i128::from(b - b'0'))).ok_or(TimeTextError::OutOfRange)?;
    }
    for _ in 0..shift.max(0) {
        value = value.checked_mul(10).ok_or(TimeTextError::OutOfRange)?;
    }
    for i in 0..(-shift).max(0) {
        let last = i == -shift - 1;
        value = if last { (value + 5) / 10 } else { value / 10 };
    }
    let value = if negative { -value } else { value };
    i64::try_from(value).map_err(|_| TimeTextError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_to_nanoseconds_never_passes_a_float() {
        // 0.1 + 0.2 as floats is not 0.3; as text it is.
        let sum = parse_decimal_ns("0.1", 0).unwrap() + parse_decimal_ns("0.2", 0).unwrap();
        assert_eq!(sum, parse_decimal_ns("0.3", 0).unwrap());
        assert_eq!(parse_decimal_ns("1.0000000005", 0), Ok(1_000_000_001));
        assert_eq!(parse_decimal_ns("-2.5", -3), Ok(-2_500_000));
        assert_eq!(parse_decimal_ns("1.5e3", 0), Ok(1_500_000_000_000));
        for bad in ["", ".", "-", "1.2.3", "abc", "1e", "NaN", "inf", "0x10", "1,5"] {
            assert_eq!(parse_decimal_ns(bad, 0), Err(TimeTextError::NotANumber), "{bad}");
        }
        assert_eq!(parse_decimal_ns("99999999999999", 0), Err(TimeTextError::OutOfRange));
    }

    proptest! {
        #[test]
        fn seconds_text_round_trips(ns in any::<i64>()) {
            prop_assume!(ns != i64::MIN);
            prop_assert_eq!(parse_decimal_ns(&format_seconds(ns), 0), Ok(ns));
        }

        #[test]
        fn any_text_is_refused_or_read_without_panic(text in ".{0,24}", unit in -9i32..=0) {
            let _ = parse_decimal_ns(&text, unit);
        }
    }
}
