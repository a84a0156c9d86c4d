//! What one item of a body claims: numbers and texts by field, as the device gives them, before any check.
//!
//! A native frame, a JSON body and a row of CSV all become claims, so that one place ([`crate::resolve`]) checks
//! and places them all alike.

use osmose_model::device::SensorKind;
use osmose_model::observation::Direction;

macro_rules! fields {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each variant's word, units last, says what it is")]
        pub enum $name { $($variant),+ }

        impl $name {
            /// Every one, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Its name in `map` and in CSV headers.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word),+ } }
        }
    };
}

fields!(
    /// Fields that hold a number.
    Number {
        XM = "x_m",
        YM = "y_m",
        ZM = "z_m",
        SigmaM = "sigma_m",
        RangeM = "range_m",
        DiffM = "diff_m",
        RssiDbm = "rssi_dbm",
        BearingDeg = "bearing_deg",
        SigmaDeg = "sigma_deg",
        HeadingDeg = "heading_deg",
        Likelihood = "likelihood",
        DopplerMps = "doppler_mps",
        Intensity = "intensity",
        People = "people",
        Value = "value",
    }
);
fields!(
    /// Fields that hold a text.
    Text {
        Device = "device",
        Level = "level",
        SensorB = "sensor_b",
        Person = "person",
        Gesture = "gesture",
        Badge = "badge",
        Button = "button",
    }
);

/// One field of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A number.
    Number(Number),
    /// A text.
    Text(Text),
    /// On or off.
    State,
    /// In or out.
    Direction,
}

impl Field {
    /// The field of a name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let number = Number::ALL.iter().find(|n| n.as_str() == word).map(|&n| Self::Number(n));
        let text = || Text::ALL.iter().find(|t| t.as_str() == word).map(|&t| Self::Text(t));
        let other = || match word {
            "state" => Some(Self::State),
            "direction" => Some(Self::Direction),
            _ => None,
        };
        number.or_else(text).or_else(other)
    }
    /// Its name in `map` and in CSV headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number(n) => n.as_str(),
            Self::Text(t) => t.as_str(),
            Self::State => "state",
            Self::Direction => "direction",
        }
    }
}

/// What one item claims. Absent is `None`; nothing is checked yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim<'a> {
    /// Numbers, and a bit for each that is there: half the size of options, and an item is made for every detection.
    numbers: [f64; Number::ALL.len()],
    given: u16,
    texts: [Option<&'a str>; Text::ALL.len()],
    /// On or off.
    pub state: Option<bool>,
    /// In or out.
    pub direction: Option<Direction>,
}

impl<'a> Claim<'a> {
    /// The number of a field.
    #[must_use]
    pub const fn number(&self, n: Number) -> Option<f64> {
        if self.given & (1 << n as u16) != 0 { Some(self.numbers[n as usize]) } else { None }
    }
    /// The text of a field.
    #[must_use]
    pub const fn text(&self, t: Text) -> Option<&'a str> {
        self.texts[t as usize]
    }
    /// Sets a number, or takes it away.
    pub const fn set_number(&mut self, n: Number, value: Option<f64>) {
        match value {
            Some(v) => {
                self.numbers[n as usize] = v;
                self.given |= 1 << n as u16;
            }
            None => self.given &= !(1 << n as u16),
        }
    }
    /// Sets a text, or takes it away.
    pub const fn set_text(&mut self, t: Text, value: Option<&'a str>) {
        self.texts[t as usize] = value;
    }
    /// Sets numbers, in a row.
    pub fn set_numbers(&mut self, numbers: &[(Number, Option<f64>)]) {
        for &(n, value) in numbers {
            self.set_number(n, value);
        }
    }
}

/// A two-state sensor's word: `1 on open active true` or `0 off closed inactive false`, in any case.
#[must_use]
pub fn state_of_word(word: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|w| word.eq_ignore_ascii_case(w));
    match () {
        () if is(&["1", "on", "open", "active", "true"]) => Some(true),
        () if is(&["0", "off", "closed", "inactive", "false"]) => Some(false),
        () => None,
    }
}

/// A crossing's word: `in` or `out`, in any case.
#[must_use]
pub fn direction_of_word(word: &str) -> Option<Direction> {
    match () {
        () if word.eq_ignore_ascii_case("in") => Some(Direction::In),
        () if word.eq_ignore_ascii_case("out") => Some(Direction::Out),
        () => None,
    }
}

/// The fields that a kind of sensor needs, and those that it takes beside them.
///
/// ```
/// use osmose_model::device::SensorKind;
/// let (needs, takes) = osmose_sensors::claim::fields_of(SensorKind::Rssi);
/// assert_eq!(needs, ["device", "rssi_dbm"]);
/// assert!(takes.is_empty());
/// ```
#[must_use]
pub const fn fields_of(kind: SensorKind) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        SensorKind::Location => (&["device", "x_m", "y_m"], &["sigma_m", "z_m", "level"]),
        SensorKind::Position => (&["x_m", "y_m"], &["sigma_m", "z_m", "level"]),
        SensorKind::Points => (&["x_m", "y_m"], &["z_m", "level", "doppler_mps", "intensity"]),
        SensorKind::Range => (&["device", "range_m"], &["sigma_m"]),
        SensorKind::Tdoa => (&["sensor_b", "device", "diff_m"], &["sigma_m"]),
        SensorKind::Rssi => (&["device", "rssi_dbm"], &[]),
        SensorKind::Bearing => (&["bearing_deg"], &["sigma_deg", "device"]),
        SensorKind::Voice => (&["person", "likelihood"], &["bearing_deg"]),
        SensorKind::Facing => (&["x_m", "y_m", "heading_deg"], &["sigma_deg", "z_m", "level"]),
        SensorKind::Gesture => (&["x_m", "y_m", "gesture"], &["z_m", "level"]),
        SensorKind::Binary => (&["state"], &[]),
        SensorKind::Badge => (&["badge"], &[]),
        SensorKind::Crossing => (&["direction"], &[]),
        SensorKind::Count => (&["people"], &[]),
        SensorKind::Value => (&["value"], &[]),
        SensorKind::Button => (&["button"], &[]),
    }
}

/// Whether a kind comes in scans: several items that were seen at once.
#[must_use]
pub const fn is_scan(kind: SensorKind) -> bool {
    matches!(kind, SensorKind::Position | SensorKind::Points | SensorKind::Bearing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_every_kind_has_a_name_that_is_known() {
        for &kind in SensorKind::ALL {
            let (needs, takes) = fields_of(kind);
            assert!(!needs.is_empty(), "{kind}");
            for word in needs.iter().chain(takes) {
                let field = Field::from_word(word);
                assert_eq!(field.map(Field::as_str), Some(*word), "{kind}");
            }
        }
        assert_eq!(Field::from_word("x"), None);
    }

    #[test]
    fn words_of_states_and_directions() {
        assert_eq!(state_of_word("OPEN"), Some(true));
        assert_eq!(state_of_word("0"), Some(false));
        assert_eq!(state_of_word("maybe"), None);
        assert_eq!(direction_of_word("Out"), Some(Direction::Out));
        assert_eq!(direction_of_word("through"), None);
    }
}
