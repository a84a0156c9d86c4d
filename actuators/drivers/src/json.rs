//! JSON written straight into a byte vector: only what command and event lines need, without a tree in between.
//!
//! Written by hand because two things must be exact that general writers leave open: times are integer nanoseconds
//! that never pass through a float, and every number has one form, so that equal decisions give equal bytes.

use osmose_model::time::UtcNs;
use std::io::Write;

/// `{` or `[` written; the next member needs no comma.
const OPENERS: [u8; 2] = [b'{', b'['];
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a string with its quotes, escaped as RFC 8259 demands and no further: UTF-8 stays as it is.
///
/// ```
/// let mut out = Vec::new();
/// osmose_drivers::json::string("a \"b\"\n", &mut out);
/// assert_eq!(out, br#""a \"b\"\n""#);
/// ```
pub fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (i, &b) in bytes.iter().enumerate() {
        if b >= 0x20 && b != b'"' && b != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[from..i]);
        from = i + 1;
        match b {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', b]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]),
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

/// Appends a whole number.
pub fn integer(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a float with the fewest digits that read back as the same double (`80`, `0.1`, `1e21`), with an exponent
/// exactly where ECMAScript writes one; `null` for what JSON has no number for (NaN and infinities never enter state,
/// so it stands for a fault elsewhere).
pub fn float(x: f64, out: &mut Vec<u8>) {
    let magnitude = x.abs();
    let written = if !x.is_finite() {
        out.extend_from_slice(b"null");
        Ok(())
    } else if magnitude < 9.0e15 && x.trunc() == x && (x != 0.0 || x.is_sign_positive()) {
        if x < 0.0 {
            out.push(b'-');
        }
        integer(magnitude as u64, out);
        Ok(())
    } else if magnitude != 0.0 && !(1.0e-6..1.0e21).contains(&magnitude) {
        write!(out, "{x:e}")
    } else {
        write!(out, "{x}")
    };
    debug_assert!(written.is_ok(), "writing into a vector does not fail");
}

/// Appends nanoseconds as seconds, exact, without trailing zeros: what
/// [`osmose_model::time::format_seconds`] writes, without allocating.
pub fn seconds(ns: i64, out: &mut Vec<u8>) {
    if ns < 0 {
        out.push(b'-');
    }
    let magnitude = ns.unsigned_abs();
    integer(magnitude / 1_000_000_000, out);
    fraction(magnitude % 1_000_000_000, out);
}

/// Appends `.` and the digits of a fraction of a second in nanoseconds, without trailing zeros; nothing for 0.
fn fraction(ns: u64, out: &mut Vec<u8>) {
    if ns == 0 {
        return;
    }
    let (mut digits, mut rest) = ([b'0'; 9], ns);
    for d in digits.iter_mut().rev() {
        *d = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let len = digits.iter().rposition(|&d| d != b'0').map_or(0, |i| i + 1);
    out.push(b'.');
    out.extend_from_slice(&digits[..len]);
}

fn two_digits(n: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8]);
}

/// Appends an instant as a quoted RFC 3339 text in UTC, exact to the nanosecond: `"2026-03-01T12:00:00.25Z"`.
///
/// The date is computed from the day number in the proleptic Gregorian calendar by counting 400-year eras from
/// 1 March of year 0 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
///
/// ```
/// use osmose_model::time::UtcNs;
/// let mut out = Vec::new();
/// osmose_drivers::json::utc(UtcNs(1_700_000_000_250_000_000), &mut out);
/// assert_eq!(out, br#""2023-11-14T22:13:20.25Z""#);
/// ```
pub fn utc(at: UtcNs, out: &mut Vec<u8>) {
    const NS_PER_DAY: i64 = 86_400_000_000_000;
    let (day, ns) = (at.0.div_euclid(NS_PER_DAY), at.0.rem_euclid(NS_PER_DAY) as u64);
    let z = day + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    // Nanoseconds in an i64 reach from 1677 to 2262, so the year has four digits.
    let s = ns / 1_000_000_000;
    out.push(b'"');
    two_digits(year as u64 / 100, out);
    two_digits(year as u64 % 100, out);
    for (mark, n) in
        [(b'-', month as u64), (b'-', day_of_month as u64), (b'T', s / 3600), (b':', s / 60 % 60), (b':', s % 60)]
    {
        out.push(mark);
        two_digits(n, out);
    }
    fraction(ns % 1_000_000_000, out);
    out.extend_from_slice(b"Z\"");
}

/// Appends a member's key, with the comma before it where one is due. `key` needs no escaping.
pub fn key(key: &str, out: &mut Vec<u8>) {
    comma(out);
    out.push(b'"');
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends the comma before an element, unless it is the first.
pub fn comma(out: &mut Vec<u8>) {
    if out.last().is_some_and(|b| !OPENERS.contains(b)) {
        out.push(b',');
    }
}

/// Appends `null`.
pub fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

/// Appends a string, or `null`.
pub fn string_or_null(text: Option<&str>, out: &mut Vec<u8>) {
    match text {
        Some(text) => string(text, out),
        None => null(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::time::format_seconds;
    use proptest::prelude::*;

    fn written(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn floats_are_short() {
        let cases = [(80.0, "80"), (0.1, "0.1"), (-2.5, "-2.5"), (-0.0, "-0"), (0.0, "0"), (1e21, "1e21")];
        for (x, text) in cases.into_iter().chain([(1.5e-9, "1.5e-9"), (f64::NAN, "null"), (-7.0, "-7")]) {
            assert_eq!(written(|o| float(x, o)), text);
        }
    }

    #[test]
    fn instants_on_both_sides_of_leap_days_and_of_the_epoch() {
        let day = 86_400_000_000_000;
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (11_016 * day, "2000-02-29T00:00:00Z"),
            (11_017 * day, "2000-03-01T00:00:00Z"),
            (19_782 * day + day - 1, "2024-02-29T23:59:59.999999999Z"),
            (47_540 * day, "2100-02-28T00:00:00Z"),
            (47_541 * day, "2100-03-01T00:00:00Z"),
        ];
        for (ns, text) in cases {
            assert_eq!(written(|o| utc(UtcNs(ns), o)), format!("\"{text}\""));
        }
    }

    proptest! {
        #[test]
        fn strings_read_back(text in any::<String>()) {
            let json = written(|o| string(&text, o));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn floats_read_back_and_are_short(x in any::<f64>()) {
            prop_assume!(x.is_finite());
            let json = written(|o| float(x, o));
            prop_assert_eq!(json.parse::<f64>().unwrap().to_bits(), x.to_bits());
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).unwrap().is_number());
            // 17 digits, sign, point, and either an exponent (e-308) or the zeros of 0.00000x.
            prop_assert!(json.len() <= 25, "{}", json);
        }

        #[test]
        fn seconds_are_what_the_model_writes(ns in any::<i64>()) {
            prop_assert_eq!(written(|o| seconds(ns, o)), format_seconds(ns));
        }

        #[test]
        fn integers_are_decimal(n in any::<u64>()) {
            prop_assert_eq!(written(|o| integer(n, o)), n.to_string());
        }
    }
}
