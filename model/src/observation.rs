//! What a sensor says, after decoding, checking and placing in site coordinates.
//!
//! Everything here was verified at the edge: numbers are finite and plausible, the sensor is known, times are mapped.
//! Angles are radians, counter-clockwise from +x of the site frame; lengths are site metres.

use crate::geometry::{Place, Point};
use crate::ids::{CarriedKey, LevelId, Name, PersonId, SensorId};
use crate::time::LogicalNs;
use serde::{Deserialize, Serialize};

/// One anonymous detection of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Where.
    pub place: Place,
    /// Standard deviation per axis where the sensor gives one, metres; else the sensor's declared one holds.
    pub sigma_m: Option<f64>,
}

/// One point of a radar's cloud.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloudPoint {
    /// Where.
    pub place: Place,
    /// Radial speed, m/s, positive away from the sensor.
    pub doppler_mps: Option<f64>,
    /// Reflected intensity in the radar's own unit.
    pub intensity: Option<f64>,
}

/// One direction of a scan of bearings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BearingHit {
    /// Direction from the sensor in the site frame, radians.
    pub bearing_rad: f64,
    /// Standard deviation where given, radians.
    pub sigma_rad: Option<f64>,
    /// The carried device that the direction belongs to, where the sensor knows.
    pub device: Option<CarriedKey>,
}

/// Through a door, relative to the sensor's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Into the sensor's zone.
    In,
    /// Out of the sensor's zone.
    Out,
}

/// What was sensed, by kind of sensor. Scans borrow their items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body<'a> {
    /// A fix of a carried device by another tracking system; used as given.
    Location {
        /// Which device.
        device: CarriedKey,
        /// Where.
        place: Place,
        /// Standard deviation per axis where given, metres.
        sigma_m: Option<f64>,
    },
    /// A scan of anonymous detections; empty where the sensor looked and saw nobody.
    Position(&'a [Detection]),
    /// A scan of radar points.
    Points(&'a [CloudPoint]),
    /// A slant range from the sensor (an anchor) to a device.
    Range {
        /// Which device.
        device: CarriedKey,
        /// Distance, metres.
        range_m: f64,
        /// Standard deviation where given, metres.
        sigma_m: Option<f64>,
    },
    /// A difference of slant ranges: |p - other| - |p - sensor|.
    Tdoa {
        /// The second anchor.
        other: SensorId,
        /// Which device.
        device: CarriedKey,
        /// Difference, metres.
        diff_m: f64,
        /// Standard deviation where given, metres.
        sigma_m: Option<f64>,
    },
    /// Received strength of a beacon.
    Rssi {
        /// Which device.
        device: CarriedKey,
        /// Strength, dBm.
        rssi_dbm: f64,
    },
    /// A scan of directions.
    Bearing(&'a [BearingHit]),
    /// A voice recognised.
    Voice {
        /// Whose voice it may be.
        person: PersonId,
        /// Likelihood ratio against an unknown speaker, > 0.
        likelihood: f64,
        /// Direction in the site frame where known, radians.
        bearing_rad: Option<f64>,
    },
    /// Somebody at a point faces a way.
    Facing {
        /// Where.
        place: Place,
        /// Which way, radians.
        heading_rad: f64,
        /// Standard deviation where given, radians.
        sigma_rad: Option<f64>,
    },
    /// Somebody at a point made a gesture.
    Gesture {
        /// Where.
        place: Place,
        /// Which gesture.
        gesture: Name,
    },
    /// A switch changed or was reported: motion, contact, mat, fire, e-stop.
    Binary {
        /// On, open or active.
        on: bool,
    },
    /// A badge was read.
    Badge {
        /// Which badge.
        badge: CarriedKey,
    },
    /// Somebody went through the sensor's door.
    Crossing {
        /// Which way.
        direction: Direction,
    },
    /// The sensor counts people in its zone.
    Count {
        /// How many.
        people: u32,
    },
    /// A measured quantity in the sensor's declared unit.
    Value {
        /// How much.
        value: f64,
    },
    /// A button was pressed.
    Button {
        /// Which one.
        button: Name,
    },
}

/// One frame of one sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation<'a> {
    /// Which sensor.
    pub sensor: SensorId,
    /// The source's own number, where it gives one.
    pub source_seq: Option<u64>,
    /// When it was true, mapped to the log's time: never after the input's tag.
    pub measured: LogicalNs,
    /// What was sensed.
    pub body: Body<'a>,
}

/// Room for the items of one scan, reused from input to input so that decoding allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct ScanBuf {
    /// Detections of a position scan.
    pub detections: Vec<Detection>,
    /// Points of a cloud.
    pub points: Vec<CloudPoint>,
    /// Directions of a bearing scan.
    pub bearings: Vec<BearingHit>,
}

impl ScanBuf {
    /// Room for the largest scans ([`crate::limits::SCAN_ITEMS_MAX`]).
    #[must_use]
    pub fn new() -> Self {
        let n = crate::limits::SCAN_ITEMS_MAX;
        Self { detections: Vec::with_capacity(n), points: Vec::with_capacity(n), bearings: Vec::with_capacity(n) }
    }
    /// Empties every buffer and keeps the room.
    pub fn clear(&mut self) {
        self.detections.clear();
        self.points.clear();
        self.bearings.clear();
    }
}

impl Body<'_> {
    /// The kind of sensor that says this.
    #[must_use]
    pub fn kind(&self) -> crate::device::SensorKind {
        use crate::device::SensorKind as K;
        match self {
            Self::Location { .. } => K::Location,
            Self::Position(_) => K::Position,
            Self::Points(_) => K::Points,
            Self::Range { .. } => K::Range,
            Self::Tdoa { .. } => K::Tdoa,
            Self::Rssi { .. } => K::Rssi,
            Self::Bearing(_) => K::Bearing,
            Self::Voice { .. } => K::Voice,
            Self::Facing { .. } => K::Facing,
            Self::Gesture { .. } => K::Gesture,
            Self::Binary { .. } => K::Binary,
            Self::Badge { .. } => K::Badge,
            Self::Crossing { .. } => K::Crossing,
            Self::Count { .. } => K::Count,
            Self::Value { .. } => K::Value,
            Self::Button { .. } => K::Button,
        }
    }

    /// The carried device it is about, if one.
    #[must_use]
    pub fn device(&self) -> Option<CarriedKey> {
        match *self {
            Self::Location { device, .. }
            | Self::Range { device, .. }
            | Self::Tdoa { device, .. }
            | Self::Rssi { device, .. } => Some(device),
            _ => None,
        }
    }
}

/// A detection at a point of a level, with the sensor's declared accuracy.
#[must_use]
pub fn detection(level: LevelId, at: Point) -> Detection {
    Detection { place: Place { at, z_m: None, level }, sigma_m: None }
}
