//! How well a sensor's measurements agree with what all sensors together say: the account that fusion keeps of each.
//!
//! Units depend on the kind: metres for ranges and their differences, decibels for received strength, radians for
//! bearings.

use serde::{Deserialize, Serialize};

/// What the account of a sensor comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Too few of its measurements could be compared so far.
    #[default]
    Unknown,
    /// Its errors are what it declares.
    Consistent,
    /// Its errors are much smaller than it declares: a smaller sigma would serve better.
    Cautious,
    /// Its errors are larger than it declares: it is given less weight than it asks for.
    Overconfident,
    /// It errs by a constant, which is estimated and taken off.
    Biased,
    /// Its times are off by a constant, which is estimated and taken off.
    ClockOff,
    /// Most of what it says fits nothing: it is all but ignored.
    Unreliable,
    /// It has not been heard for longer than it may be silent.
    Silent,
}

impl Verdict {
    /// The word used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Consistent => "consistent",
            Self::Cautious => "cautious",
            Self::Overconfident => "overconfident",
            Self::Biased => "biased",
            Self::ClockOff => "clock off",
            Self::Unreliable => "unreliable",
            Self::Silent => "silent",
        }
    }

    /// Whether somebody should look at the sensor or at what is declared of it.
    #[must_use]
    pub const fn is_trouble(self) -> bool {
        !matches!(self, Self::Unknown | Self::Consistent | Self::Cautious)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The account of one sensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SensorHealth {
    /// What it comes to.
    pub verdict: Verdict,
    /// Measurements that were compared with an estimate.
    pub compared: u64,
    /// Running mean of the normalised innovation squared, by the declared accuracy; 1 where that is right.
    pub nis: f64,
    /// Share of measurements that fit only as outliers (out of sight, reflected), 0..=1.
    pub outliers: f64,
    /// Observations per second, from the time between them; 0 before the second.
    pub rate_hz: f64,
    /// Its constant error beyond the declared one, in the kind's unit.
    pub bias: f64,
    /// Standard deviation of that estimate.
    pub bias_sigma: f64,
    /// By how much its times are later than what they tell of, seconds, relative to the other sensors.
    pub clock_s: f64,
    /// Standard deviation of that estimate.
    pub clock_sigma_s: f64,
    /// Standard deviation that its measurements are now used with, as a multiple of the declared one; 1 or more.
    pub sigma_factor: f64,
}
