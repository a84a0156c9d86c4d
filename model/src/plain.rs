//! Sites that are built in code: everything has what the loader gives it where the files say nothing.
//!
//! For calibration and for tests that do not know the loader; what matters to them they set themselves:
//! `Sensor { zones, ..Sensor::plain(id, "pir", SensorKind::Binary) }`.

use crate::device::{Actuator, ActuatorKind, ClockKind, Connect, Format, Noise, Normalise, Pose, Sensor, SensorKind};
use crate::geometry::Area;
use crate::ids::{ActuatorId, LevelId, PersonId, SensorId, ZoneId};
use crate::input::Class;
use crate::limits::LATE_MAX_MS;
use crate::radio::RadioMap;
use crate::site::{
    EngineConfig, Frame, Idle, Level, Person, RecordConfig, Site, SourceFile, Topology, Zone, ZoneMargins,
};
use crate::time::DurationNs;
use std::collections::BTreeMap;

impl Default for EngineConfig {
    /// `[engine]` where site.toml has none.
    fn default() -> Self {
        Self {
            topology: Topology::Auto,
            idle: Idle::Yield,
            budget_us: 1000,
            tracks_max: 1000,
            late_max: DurationNs::from_ms(LATE_MAX_MS),
        }
    }
}

impl Default for ZoneMargins {
    /// `[zones]` where site.toml has none.
    fn default() -> Self {
        Self { enter_margin_m: 0.0, exit_margin_m: 0.20, exit_delay: DurationNs::ZERO, lost: DurationNs::from_s(2) }
    }
}

impl Default for RecordConfig {
    /// No `[record]`: nothing is recorded unasked.
    fn default() -> Self {
        Self { dir: String::new(), rotate: DurationNs::from_s(3600), keep_days: 14, max_gib: 20.0 }
    }
}

impl Site {
    /// A site with nothing in it.
    ///
    /// ```
    /// use osmose_model::site::{Level, Site};
    /// let site = Site { levels: vec![Level::plain(0, "ground")], ..Site::plain("office") };
    /// assert_eq!((site.engine.budget_us, site.zones.len()), (1000, 0));
    /// ```
    #[must_use]
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            frame: Frame::default(),
            engine: EngineConfig::default(),
            margins: ZoneMargins::default(),
            record: RecordConfig::default(),
            levels: Vec::new(),
            zones: Vec::new(),
            walls: Vec::new(),
            openings: Vec::new(),
            fixtures: Vec::new(),
            sensors: Vec::new(),
            actuators: Vec::new(),
            people: Vec::new(),
            groups: Vec::new(),
            attributes: BTreeMap::new(),
            words: BTreeMap::new(),
            resources: Vec::new(),
            bookings: Vec::new(),
            files: Vec::<SourceFile>::new(),
            device_owners: Vec::new(),
            badge_owners: Vec::new(),
            carried_names: Vec::new(),
        }
    }
}

impl Level {
    /// The storey `ordinal`, 3 m above the one below, without an outline; its ordinal is its place in the site too.
    #[must_use]
    pub fn plain(ordinal: u16, name: &str) -> Self {
        Self {
            id: LevelId(ordinal),
            name: name.to_owned(),
            label: name.to_owned(),
            ordinal: i32::from(ordinal),
            elevation_m: 3.0 * f64::from(ordinal),
            height_m: 3.0,
            outline: Area::default(),
        }
    }
}

impl Zone {
    /// A room of the ground floor.
    #[must_use]
    pub fn plain(id: u16, name: &str, area: Area) -> Self {
        Self {
            id: ZoneId(id),
            name: name.to_owned(),
            label: name.to_owned(),
            category: "room".to_owned(),
            level: LevelId(0),
            area,
            margins: ZoneMargins::default(),
            attributes: BTreeMap::new(),
            connects: Vec::new(),
        }
    }
}

impl Person {
    /// Somebody in no group, who carries nothing.
    #[must_use]
    pub fn plain(id: u16, name: &str) -> Self {
        Self {
            id: PersonId(id),
            name: name.to_owned(),
            groups: Vec::new(),
            devices: Vec::new(),
            badges: Vec::new(),
            language: None,
            attributes: BTreeMap::new(),
        }
    }
}

impl Connect {
    /// `connect = "log"`: no socket, commands are log lines.
    #[must_use]
    pub fn log() -> Self {
        Self {
            udp: None,
            format: Format::Log,
            from: None,
            state_udp: None,
            normalise: Normalise::default(),
            key_file: None,
        }
    }
}

impl Sensor {
    /// A sensor of the ground floor at the site's origin, 2.5 m up, that nobody is connected to.
    #[must_use]
    pub fn plain(id: u16, name: &str, kind: SensorKind) -> Self {
        Self {
            id: SensorId(id),
            name: name.to_owned(),
            kind,
            role: None,
            level: LevelId(0),
            zones: Vec::new(),
            pose: Pose { x_m: 0.0, y_m: 0.0, z_m: 2.5, heading_rad: 0.0 },
            coordinates_are_relative: false,
            field_of_view: None,
            noise: Noise::default(),
            radio_map: RadioMap::default(),
            class: Class::State,
            rate_hz: None,
            clock: ClockKind::Arrival,
            expect_late: DurationNs::ZERO,
            unit: None,
            stale: None,
            connect: None,
        }
    }
}

impl Actuator {
    /// An actuator of no zone, whose commands are log lines.
    #[must_use]
    pub fn plain(id: u16, name: &str, kind: ActuatorKind) -> Self {
        Self {
            id: ActuatorId(id),
            name: name.to_owned(),
            kind,
            zone: None,
            level: None,
            pose: None,
            default: None,
            safe: None,
            lease: None,
            cells: Vec::new(),
            wall: None,
            connect: Connect::log(),
        }
    }
}
