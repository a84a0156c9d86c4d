//! Units of quantities: what is written, what it is measured in, and how it is said in a message.

use osmose_model::device::Unit;

/// The unit that a written one stands for, and the factor to it. Times are in seconds.
pub(super) fn unit_of(text: &str) -> Option<(Unit, f64)> {
    Some(match text {
        "ns" => (Unit::Second, 1e-9),
        "us" => (Unit::Second, 1e-6),
        "ms" => (Unit::Second, 1e-3),
        "s" => (Unit::Second, 1.0),
        "min" => (Unit::Second, 60.0),
        "h" => (Unit::Second, 3600.0),
        "d" | "day" | "days" => (Unit::Second, 86_400.0),
        "mm" => (Unit::Metre, 1e-3),
        "cm" => (Unit::Metre, 1e-2),
        "m" => (Unit::Metre, 1.0),
        "km" => (Unit::Metre, 1e3),
        "deg" => (Unit::Degree, 1.0),
        "%" => (Unit::Percent, 1.0),
        "lx" => (Unit::Lux, 1.0),
        "ppm" => (Unit::Ppm, 1.0),
        "people" | "person" => (Unit::People, 1.0),
        "K" => (Unit::Kelvin, 1.0),
        "degC" => (Unit::DegC, 1.0),
        "W" => (Unit::Watt, 1.0),
        "kW" => (Unit::Watt, 1e3),
        "dB" => (Unit::Decibel, 1.0),
        "m/s" => (Unit::MetrePerSecond, 1.0),
        _ => return None,
    })
}

/// The power of ten (in nanoseconds) and the factor of a unit of time, so that durations stay exact integers.
pub(crate) fn nanoseconds_of(unit: &str) -> Option<i64> {
    Some(match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        _ => return None,
    })
}

/// A unit as a message says it.
pub(super) fn said(unit: Unit) -> &'static str {
    match unit {
        Unit::One => "a bare number",
        Unit::Metre => "a length (m)",
        Unit::Second => "a time (s)",
        Unit::Degree => "an angle (deg)",
        Unit::Percent => "a percentage (%)",
        Unit::Lux => "an illuminance (lx)",
        Unit::Ppm => "a concentration (ppm)",
        Unit::DegC => "a temperature (degC)",
        Unit::Kelvin => "a colour temperature (K)",
        Unit::People => "a number of people",
        Unit::MetrePerSecond => "a speed (m/s)",
        Unit::Decibel => "a level (dB)",
        Unit::Watt => "a power (W)",
    }
}

/// Whether a number of unit `given` may stand where `wanted` is: the same, or a bare number for people.
pub(super) fn fits(given: Unit, wanted: Unit) -> bool {
    given == wanted || matches!((given, wanted), (Unit::One, Unit::People) | (Unit::People, Unit::One))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::words::UNITS;

    #[test]
    fn every_unit_that_the_grammar_reads_means_something() {
        for unit in UNITS {
            assert!(unit_of(unit).is_some(), "{unit}");
            let time = unit_of(unit).is_some_and(|(u, _)| u == Unit::Second);
            assert_eq!(time, nanoseconds_of(unit).is_some(), "{unit}");
        }
        assert!(unit_of("%").is_some() && unit_of("m/s").is_some() && unit_of("furlong").is_none());
    }
}
