//! Sensors and actuators: their kinds, what each kind declares, and what each kind of actuator can be told.

use crate::command::Value;
use crate::geometry::Polygon;
use crate::ids::{ActuatorId, LevelId, Name, SensorId, WallId, ZoneId};
use crate::input::Class;
use crate::time::DurationNs;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every variant, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word used in files.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word),+ } }
            /// The variant that a word names.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> { match word { $($word => Some(Self::$variant),)+ _ => None } }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

words!(
    /// What a sensor senses.
    SensorKind {
        /// Fixes of carried devices by another tracking system.
        Location = "location",
        /// Anonymous positions, in scans.
        Position = "position",
        /// Radar point clouds, clustered into scans.
        Points = "points",
        /// Slant ranges to carried devices.
        Range = "range",
        /// Differences of slant ranges.
        Tdoa = "tdoa",
        /// Received strength of beacons.
        Rssi = "rssi",
        /// Directions, in scans.
        Bearing = "bearing",
        /// Recognised voices.
        Voice = "voice",
        /// Which way somebody faces.
        Facing = "facing",
        /// Gestures.
        Gesture = "gesture",
        /// Two-state sensors, with a role.
        Binary = "binary",
        /// Badge readers.
        Badge = "badge",
        /// Directed door crossings.
        Crossing = "crossing",
        /// People counters.
        Count = "count",
        /// Measured quantities, with a unit.
        Value = "value",
        /// Push buttons.
        Button = "button",
    }
);
words!(
    /// What a two-state sensor is there for.
    BinaryRole {
        /// A fire panel's contact.
        Fire = "fire",
        /// An emergency stop.
        Estop = "estop",
        /// A motion detector.
        Motion = "motion",
        /// A door or window contact.
        Contact = "contact",
        /// A pressure mat or seat.
        Mat = "mat",
    }
);
words!(
    /// Whose clock an observation's time comes from.
    ClockKind {
        /// The host's, when the datagram was read.
        Arrival = "arrival",
        /// The device's own, of unknown epoch; mapped by a recorded clock map.
        Device = "device",
        /// UTC.
        Utc = "utc",
    }
);
words!(
    /// What an actuator does.
    ActuatorKind {
        /// Records sound or pictures.
        Recorder = "recorder",
        /// A lamp.
        Light = "light",
        /// Heating, ventilation, air conditioning.
        Hvac = "hvac",
        /// A screen.
        Display = "display",
        /// A loudspeaker, possibly aimed.
        Speaker = "speaker",
        /// A door.
        Door = "door",
        /// Messages to people.
        Notify = "notify",
    }
);
words!(
    /// The unit of a value.
    Unit {
        /// Metres.
        Metre = "m",
        /// Seconds.
        Second = "s",
        /// Degrees of angle.
        Degree = "deg",
        /// Per cent.
        Percent = "%",
        /// Lux.
        Lux = "lx",
        /// Parts per million.
        Ppm = "ppm",
        /// Degrees Celsius.
        DegC = "degC",
        /// Kelvin (colour temperature).
        Kelvin = "K",
        /// People.
        People = "people",
        /// Metres per second.
        MetrePerSecond = "m/s",
        /// Decibels.
        Decibel = "dB",
        /// Watts.
        Watt = "W",
        /// A bare number.
        One = "1",
    }
);

/// Where a device is and which way it looks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pose {
    /// East, site metres.
    pub x_m: f64,
    /// North, site metres.
    pub y_m: f64,
    /// Height above the level's floor, metres.
    pub z_m: f64,
    /// Direction, radians, counter-clockwise from +x.
    pub heading_rad: f64,
}

/// Declared accuracy of a sensor, each number where its kind has it; resolved with the kind's default at load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// Standard deviation per axis (position, location) or of the measurement (range, tdoa), metres.
    pub sigma_m: f64,
    /// Probability that somebody in view is detected, in (0, 1].
    pub p_detect: f64,
    /// Mean number of false detections per scan over the field of view.
    pub clutter_per_scan: f64,
    /// Constant error of a range, metres.
    pub bias_m: f64,
    /// Share of non-line-of-sight measurements.
    pub nlos_p: f64,
    /// Scale of their positive error, metres.
    pub nlos_scale_m: f64,
    /// Strength at one metre, dBm.
    pub tx_dbm_1m: f64,
    /// Path-loss exponent.
    pub exponent: f64,
    /// Standard deviation of strength, dB.
    pub sigma_db: f64,
    /// Standard deviation of a bearing or heading, radians.
    pub sigma_rad: f64,
    /// False reports per hour of a two-state sensor.
    pub false_per_hour: f64,
    /// How long a two-state sensor stays on after its cause, seconds.
    pub hold_s: f64,
    /// Probability that a badge read names the wrong badge.
    pub p_wrong: f64,
}

impl Default for Noise {
    /// Plain values that suit a ceiling depth sensor, an UWB anchor and a PIR; `osmose check` says where a kind's
    /// own were not declared.
    fn default() -> Self {
        Self {
            sigma_m: 0.3,
            p_detect: 0.9,
            clutter_per_scan: 1.0,
            bias_m: 0.0,
            nlos_p: 0.1,
            nlos_scale_m: 1.0,
            tx_dbm_1m: -59.0,
            exponent: 2.0,
            sigma_db: 6.0,
            sigma_rad: 5.0 * crate::geometry::RAD_PER_DEG,
            false_per_hour: 1.0,
            hold_s: 0.0,
            p_wrong: 0.001,
        }
    }
}

/// A JSON pointer (RFC 6901) with a linear conversion: `value * scale + offset`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldPath {
    /// The pointer, beginning with `/`, or empty for the whole value.
    pub path: String,
    /// Factor.
    pub scale: f64,
    /// Added after.
    pub offset: f64,
}

/// Where a JSON body carries its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimePath {
    /// The pointer.
    pub path: String,
    /// Power of ten of the unit in seconds: 0, -3, -6, -9.
    pub unit_pow10: i32,
    /// Whose clock it is.
    pub clock: ClockKind,
}

/// How a JSON body becomes an observation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JsonMap {
    /// Pointer to the array that is one scan; the other pointers are relative to its elements.
    pub each: Option<String>,
    /// Pointer to the sensor's id, where several share a port.
    pub sensor: Option<String>,
    /// Field of the observation (`x_m`, `device`, `state`, …) to where it stands; ascending by field.
    pub fields: Vec<(String, FieldPath)>,
    /// Where its time stands.
    pub time: Option<TimePath>,
}

/// How a datagram is encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Format {
    /// The native frame (`docs/wire.md`).
    Osmose,
    /// JSON through a map.
    Json(Box<JsonMap>),
    /// Log lines only (actuators).
    Log,
}

/// How a device is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connect {
    /// Where the engine listens (sensors) or sends (actuators); `None` for `log`.
    pub udp: Option<SocketAddr>,
    /// How bodies are encoded.
    pub format: Format,
    /// The only sender taken, where declared.
    pub from: Option<SocketAddr>,
    /// Where the engine listens for this actuator's reports.
    pub state_udp: Option<SocketAddr>,
    /// How ids in bodies are normalised before they are compared.
    pub normalise: Normalise,
    /// The file, seen from the site's folder, that holds the key which this device signs with; it must, where one is
    /// named. The key itself is no part of a site: sites are recorded.
    pub key_file: Option<String>,
}

/// How an id in a body is made comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Normalise {
    /// Letters to lower case.
    pub lower: bool,
    /// Only letters and digits are kept.
    pub alnum: bool,
}

impl Normalise {
    /// The comparable form of an id, and whether it differs.
    #[must_use]
    pub fn apply<'a>(&self, id: &'a str) -> std::borrow::Cow<'a, str> {
        if !self.lower && !self.alnum {
            return std::borrow::Cow::Borrowed(id);
        }
        let keep = |c: &char| !self.alnum || c.is_ascii_alphanumeric();
        let fold = |c: char| if self.lower { c.to_ascii_lowercase() } else { c };
        std::borrow::Cow::Owned(id.chars().filter(keep).map(fold).collect())
    }
}

/// A sensor, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sensor {
    /// Its place in `Site::sensors`.
    pub id: SensorId,
    /// Its id in devices.toml.
    pub name: String,
    /// What it senses.
    pub kind: SensorKind,
    /// What a two-state sensor is for.
    pub role: Option<BinaryRole>,
    /// Its level.
    pub level: LevelId,
    /// The zones it covers or guards, as declared.
    pub zones: Vec<ZoneId>,
    /// Where it is.
    pub pose: Pose,
    /// Whether its coordinates are relative to `pose`.
    pub coordinates_are_relative: bool,
    /// What it can see, site metres; the whole level where `None`.
    pub field_of_view: Option<Polygon>,
    /// Its accuracy.
    pub noise: Noise,
    /// What a receiver hears at surveyed points; empty for the path-loss law alone and for other kinds.
    pub radio_map: crate::radio::RadioMap,
    /// How urgent what it says is.
    pub class: Class,
    /// How often it says something, Hz, where it is periodic.
    pub rate_hz: Option<f64>,
    /// Whose clock its times are of.
    pub clock: ClockKind,
    /// It is always late by up to this: sorted for that long first.
    pub expect_late: DurationNs,
    /// Unit of a value.
    pub unit: Option<Unit>,
    /// After how long a value or a silent sensor counts as unknown.
    pub stale: Option<DurationNs>,
    /// How it is reached; `None` where it is only simulated or imported.
    pub connect: Option<Connect>,
}

/// A periodic sensor that misses so many of its words is taken for dead.
const PERIODS_MAX: f64 = 3.0;

impl Sensor {
    /// How long it may be silent before it counts as dead: its declared `stale` time, else three of its periods; `None`
    /// where it speaks only when something happens.
    #[must_use]
    pub fn silence_max(&self) -> Option<DurationNs> {
        let by_rate = self.rate_hz.filter(|hz| *hz > 0.0).and_then(|hz| DurationNs::from_s_f64(PERIODS_MAX / hz));
        self.stale.or(by_rate).map(|d| d.max(DurationNs(1)))
    }

    /// For how long a contact's change says that somebody is there: its declared `hold_s`, else not at all.
    #[must_use]
    pub fn change_counts_for(&self) -> Option<DurationNs> {
        let is_contact = self.kind == SensorKind::Binary && self.role == Some(BinaryRole::Contact);
        DurationNs::from_s_f64(self.noise.hold_s).filter(|hold| is_contact && *hold > DurationNs::ZERO)
    }

    /// What its word about its zones is worth, if anything. A door's or window's contact says nothing about people,
    /// unless a time is declared for which a change of it does (a cupboard's, a tap's).
    #[must_use]
    pub fn evidence(&self) -> Option<Evidence> {
        match (self.kind, self.role) {
            (SensorKind::Binary, Some(BinaryRole::Motion | BinaryRole::Mat)) => Some(Evidence::Switch),
            (SensorKind::Binary, Some(BinaryRole::Contact)) => self.change_counts_for().map(|_| Evidence::Change),
            (SensorKind::Count, _) => Some(Evidence::Count),
            (SensorKind::Location | SensorKind::Position | SensorKind::Points, _) => Some(Evidence::Tracks),
            (SensorKind::Bearing | SensorKind::Voice | SensorKind::Facing, _) => Some(Evidence::Unused),
            _ => None,
        }
    }
}

/// What a sensor's word about somebody being in a zone is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// On means somebody; off, while alive, means it sees nobody.
    Switch,
    /// A change means that somebody was there, for as long as it holds; no change for so long that it sees nobody.
    Change,
    /// A number of people.
    Count,
    /// It feeds tracks; where there are none and it is alive, it sees nobody.
    Tracks,
    /// It senses people, but fusion does not use its kind yet: what it would say is unknown.
    Unused,
}

/// A floor area that a speaker can aim at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Its name.
    pub name: String,
    /// Its area, site metres.
    pub area: Polygon,
    /// How deep inside of it counts as entered, metres, where that is not as in the site's other zones.
    pub enter_margin_m: Option<f64>,
    /// How far outside of it counts as left, metres, likewise.
    pub exit_margin_m: Option<f64>,
}

/// The lease of a device with a safe state that declares no other. A device renewed every third of it misses two
/// datagrams before it makes itself safe.
pub const LEASE_DEFAULT: DurationNs = DurationNs::from_s(10);

/// An actuator, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Actuator {
    /// Its place in `Site::actuators`.
    pub id: ActuatorId,
    /// Its id in devices.toml.
    pub name: String,
    /// What it does.
    pub kind: ActuatorKind,
    /// The zone it serves.
    pub zone: Option<ZoneId>,
    /// Its level.
    pub level: Option<LevelId>,
    /// Where it is.
    pub pose: Option<Pose>,
    /// Its `state` when nobody wants anything of it.
    pub default: Option<Name>,
    /// Its `state` when the engine is gone or in doubt.
    pub safe: Option<Name>,
    /// For how long a command that is sent under a lease holds at the device unless it is renewed; `None` where a hold
    /// of it is no lease.
    pub lease: Option<DurationNs>,
    /// Floor areas that a speaker can aim at.
    pub cells: Vec<Cell>,
    /// The wall that a display hangs on.
    pub wall: Option<WallId>,
    /// How it is reached.
    pub connect: Connect,
}

/// One command that a kind of actuator takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerbSpec {
    /// The command.
    pub verb: &'static str,
    /// The `state` that it leads to, where it does.
    pub leads_to: Option<&'static str>,
    /// The property that its argument of the same name sets, where it does.
    pub sets: Option<&'static str>,
}

/// One property that a kind of actuator has and rules can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropertySpec {
    /// The property.
    pub property: &'static str,
    /// Its unit, for numbers.
    pub unit: Option<Unit>,
    /// Its words, where it takes only these; empty where any word or number goes.
    pub words: &'static [&'static str],
}

const fn verb(verb: &'static str, leads_to: Option<&'static str>, sets: Option<&'static str>) -> VerbSpec {
    VerbSpec { verb, leads_to, sets }
}

const fn property(property: &'static str, unit: Option<Unit>, words: &'static [&'static str]) -> PropertySpec {
    PropertySpec { property, unit, words }
}

impl ActuatorKind {
    /// The commands that the kind takes. `set` (one argument, the property's name) is understood by every kind.
    #[must_use]
    pub const fn verbs(self) -> &'static [VerbSpec] {
        match self {
            Self::Recorder => {
                const {
                    &[
                        verb("start", Some("recording"), None),
                        verb("pause", Some("paused"), None),
                        verb("resume", Some("recording"), None),
                        verb("stop", Some("stopped"), None),
                    ]
                }
            }
            Self::Light => {
                const { &[verb("on", Some("on"), None), verb("off", Some("off"), None), verb("set", None, Some("level"))] }
            }
            Self::Hvac => {
                const { &[verb("on", Some("on"), None), verb("off", Some("off"), None), verb("set", None, Some("airflow"))] }
            }
            Self::Display => {
                const {
                    &[
                        verb("show", Some("showing"), Some("page")),
                        verb("wake", Some("showing"), None),
                        verb("blank", Some("blank"), None),
                    ]
                }
            }
            Self::Speaker => {
                const {
                    &[
                        verb("play", Some("playing"), None),
                        verb("pause", Some("paused"), None),
                        verb("stop", Some("silent"), None),
                        verb("aim", None, Some("cell")),
                    ]
                }
            }
            Self::Door => {
                const {
                    &[
                        verb("open", Some("open"), None),
                        verb("close", Some("closed"), None),
                        verb("lock", None, None),
                        verb("unlock", None, None),
                    ]
                }
            }
            Self::Notify => const { &[verb("send", None, None)] },
        }
    }

    /// The properties that the kind has; `state` is one of every kind.
    #[must_use]
    pub const fn properties(self) -> &'static [PropertySpec] {
        match self {
            Self::Recorder => const { &[property("state", None, &["recording", "paused", "stopped"])] },
            Self::Light => {
                const {
                    &[
                        property("state", None, &["on", "off"]),
                        property("level", Some(Unit::Percent), &[]),
                        property("colour", Some(Unit::Kelvin), &[]),
                    ]
                }
            }
            Self::Hvac => {
                const {
                    &[
                        property("state", None, &["on", "off"]),
                        property("airflow", None, &["off", "low", "normal", "boost"]),
                        property("setpoint", Some(Unit::DegC), &[]),
                    ]
                }
            }
            // A display's state may be any page's name: `default = "menu"` is what it falls back to.
            Self::Display => const { &[property("state", None, &[]), property("page", None, &[])] },
            Self::Speaker => {
                const {
                    &[
                        property("state", None, &["playing", "paused", "silent"]),
                        property("volume", Some(Unit::Percent), &[]),
                        property("cell", None, &[]),
                    ]
                }
            }
            Self::Door => {
                const { &[property("state", None, &["open", "closed"]), property("lock", None, &["open", "locked"])] }
            }
            // `answer` is what the device reports of a question: the question's number, and `yes` or `no`.
            Self::Notify => const { &[property("state", None, &["idle"]), property("answer", None, &[])] },
        }
    }

    /// What a command does to a device of this kind that works as its table says: each property that it gives a value,
    /// and the value. This is the device's model where there is no device to ask: in a simulation, and in a replay that
    /// asks what would have been.
    pub fn outcomes(self, verb: Name, args: &[(Name, Value)], mut set: impl FnMut(Name, Value)) {
        let word = |text: &str| Value::Name(Name::new(text).unwrap_or_default());
        let spec = self.verbs().iter().find(|v| verb == v.verb);
        if let (Some(state), Some(to)) = (Name::new("state"), spec.and_then(|s| s.leads_to)) {
            set(state, word(to));
        }
        let lock = Name::new("lock").unwrap_or_default();
        match verb.as_str() {
            "lock" => set(lock, word("locked")),
            "unlock" => set(lock, word("open")),
            // Every kind understands `set`, with the property's own name.
            "set" => args.iter().for_each(|&(name, value)| set(name, value)),
            _ => {
                let known = |name: &Name| self.properties().iter().any(|p| *name == p.property);
                args.iter().filter(|(n, _)| known(n)).for_each(|&(name, value)| set(name, value));
            }
        }
    }

    /// The command that leads to a `state`, if one does (the first declared).
    #[must_use]
    pub fn verb_to(self, state: &str) -> Option<&'static VerbSpec> {
        self.verbs().iter().find(|v| v.leads_to == Some(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_every_state_word_has_a_way_to_it() {
        for &k in SensorKind::ALL {
            assert_eq!(SensorKind::from_word(k.as_str()), Some(k));
        }
        for &k in ActuatorKind::ALL {
            let state = k.properties().iter().find(|p| p.property == "state").expect("every kind has a state");
            for v in k.verbs() {
                if let Some(to) = v.leads_to {
                    let any = state.words.is_empty();
                    assert!(any || state.words.contains(&to), "{k}.{} leads to {to}, which is no state", v.verb);
                }
            }
        }
    }

    #[test]
    fn ids_are_compared_after_the_declared_normalisation() {
        let n = Normalise { lower: true, alnum: true };
        assert_eq!(n.apply("04:A2-FF"), "04a2ff");
        assert_eq!(Normalise::default().apply("04:A2"), "04:A2");
    }
}
