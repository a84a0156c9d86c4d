//! The resolved site: every name looked up, every length in metres, every default filled in.
//!
//! Built only by the loader (`osmose-load`), which refuses what does not resolve; the stages index it and trust it.

use crate::device::{Actuator, Sensor, SensorKind};
use crate::geometry::{Area, Point, Segment};
use crate::ids::{ActuatorId, CarriedKey, GroupId, LevelId, PersonId, SensorId, WallId, ZoneId};
use crate::time::{DurationNs, UtcNs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where the site's metres are on earth, and its time zone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// Latitude and longitude of the origin, degrees (WGS-84).
    pub origin_deg: Option<(f64, f64)>,
    /// Rotation of the site's +x from east, radians counter-clockwise.
    pub rotation_rad: f64,
    /// IANA name of the time zone, `UTC` where none is given.
    pub timezone: String,
}

/// How the engine is composed (`[engine]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Topology {
    /// By the number of cores.
    Auto,
    /// All in the caller's thread (tests, replay, simulation).
    Inline,
    /// One pinned thread; journal and operations beside it.
    Fused,
    /// In; sequence and step; out; journal and operations.
    Split,
    /// One thread for every agent.
    Dedicated,
}

/// What an idle pipeline thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Idle {
    /// Yields for a bounded window after work, then blocks until data or the next wake-up.
    Yield,
    /// Never blocks.
    Spin,
}

/// `[engine]` of site.toml.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineConfig {
    /// How it is composed.
    pub topology: Topology,
    /// What it does when idle.
    pub idle: Idle,
    /// The latency budget of one event, microseconds.
    pub budget_us: u32,
    /// Most tracks at once.
    pub tracks_max: u32,
    /// How old an observation may be when it arrives.
    pub late_max: DurationNs,
}

/// `[record]` of site.toml: where recordings go and how long they stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordConfig {
    /// The folder, relative to the site's; empty where site.toml has no `[record]`: then nothing is recorded unasked.
    pub dir: String,
    /// A new file after this long.
    pub rotate: DurationNs,
    /// Days until a file expires.
    pub keep_days: u32,
    /// GiB that the folder may hold.
    pub max_gib: f64,
}

/// A storey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Its place in `Site::levels` (ascending by ordinal, then name).
    pub id: LevelId,
    /// Its feature id.
    pub name: String,
    /// What people call it.
    pub label: String,
    /// Storeys above the ground floor.
    pub ordinal: i32,
    /// Height of its floor above the site's datum, metres.
    pub elevation_m: f64,
    /// Height of its ceiling above its floor, metres.
    pub height_m: f64,
    /// Its outline; empty where the plan gives none.
    pub outline: Area,
}

/// Hysteresis and delays of a zone, after omlox (`exit_tolerance`, `exit_delay`, `timeout`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZoneMargins {
    /// How deep inside counts as entered, metres.
    pub enter_margin_m: f64,
    /// How far outside counts as left, metres.
    pub exit_margin_m: f64,
    /// How long outside the margin before it counts as left.
    pub exit_delay: DurationNs,
    /// How long unseen before a track in it is lost.
    pub lost: DurationNs,
}

/// The value of a declared attribute (`[attributes]`) of a zone or person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Attribute {
    /// Yes or no.
    Bool(bool),
    /// A number, in the attribute's declared unit.
    Number(f64),
    /// A word or text.
    Text(String),
}

/// What an attribute is declared to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttributeSpec {
    /// `zone` or `person`.
    pub on: String,
    /// `bool`, a unit's word, or `text`.
    pub kind: String,
    /// Its value where a feature gives none.
    pub default: Attribute,
}

/// An area that has a name: a unit (room) or a geofence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    /// Its place in `Site::zones`.
    pub id: ZoneId,
    /// Its feature id, else its name: what rules call it.
    pub name: String,
    /// What people call it.
    pub label: String,
    /// The plan's category (`conferenceroom`, `walkway`, `geofence`).
    pub category: String,
    /// Its level.
    pub level: LevelId,
    /// Its area, site metres.
    pub area: Area,
    /// Its hysteresis and delays.
    pub margins: ZoneMargins,
    /// Attributes, declared ones filled in with their defaults.
    pub attributes: BTreeMap<String, Attribute>,
    /// Levels that it connects, for stairs and lifts; else empty.
    pub connects: Vec<LevelId>,
}

/// The category of the zones that are made of the floor areas that speakers aim at.
pub const CELL: &str = "cell";

/// The attribute that holds what IMDF calls a zone's `restriction`: a text, there only where the plan gives one.
pub const RESTRICTION: &str = "restriction";

impl Zone {
    /// Whether only some may be in it: the plan gives it a `restriction` (`employeesonly`, `restricted`).
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        self.attributes.contains_key(RESTRICTION)
    }

    /// Whether it is a part of the building, and no area that is only drawn over such parts.
    #[must_use]
    pub fn is_part(&self) -> bool {
        !matches!(self.category.as_str(), "geofence" | CELL)
    }
}

/// A wall: a line, or the outline of a fixture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wall {
    /// Its place in `Site::walls`.
    pub id: WallId,
    /// Its feature id.
    pub name: String,
    /// Its level.
    pub level: LevelId,
    /// Its straight pieces.
    pub segments: Vec<Segment>,
    /// Whether one can see through it (glass).
    pub transparent: bool,
    /// What it is made of, as the plan says (`solid`, `glass`, `railing`); empty where it says nothing.
    pub material: String,
}

/// A door or another way through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// Its feature id.
    pub name: String,
    /// Its level.
    pub level: LevelId,
    /// Where it is.
    pub segments: Vec<Segment>,
    /// The zones it joins; `None` stands for outside.
    pub joins: Vec<Option<ZoneId>>,
    /// How its door opens, as the plan says (`swing`, `sliding`); empty where there is none, or it says nothing.
    pub door: String,
}

/// A piece of furniture or equipment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fixture {
    /// Its feature id.
    pub name: String,
    /// The plan's category.
    pub category: String,
    /// Its level.
    pub level: LevelId,
    /// Its outline (a line where the plan draws one).
    pub outline: Vec<Point>,
}

/// A known person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// Its place in `Site::people`.
    pub id: PersonId,
    /// Id in people.toml.
    pub name: String,
    /// Groups, ascending.
    pub groups: Vec<GroupId>,
    /// Carried devices.
    pub devices: Vec<CarriedKey>,
    /// Badges.
    pub badges: Vec<CarriedKey>,
    /// Language tag.
    pub language: Option<String>,
    /// Attributes, declared ones filled in.
    pub attributes: BTreeMap<String, Attribute>,
}

/// A group of people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its place in `Site::groups`.
    pub id: GroupId,
    /// Id in people.toml.
    pub name: String,
    /// Its shared folder, where it has one.
    pub folder: Option<String>,
    /// Members, ascending.
    pub members: Vec<PersonId>,
}

/// Something beside people and devices that rules read (a calendar).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Id in site.toml.
    pub name: String,
    /// Its kind (`calendar`).
    pub kind: String,
    /// Its file, relative to the site's folder.
    pub file: String,
}

/// A stretch of time that a calendar gives to a zone, or to the whole site (a holiday). Repetitions are written out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    /// Which calendar: its place in `Site::resources`.
    pub calendar: u16,
    /// For which zone.
    pub zone: Option<ZoneId>,
    /// From when.
    pub from: UtcNs,
    /// Until when, exclusive.
    pub to: UtcNs,
    /// Who booked it, where the site knows them.
    pub organiser: Option<PersonId>,
}

/// One file of the site's folder as it was read: what a recording carries to be self-contained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Path relative to the site's folder, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A site, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub frame: Frame,
    /// `[engine]`.
    pub engine: EngineConfig,
    /// `[zones]`: what zones have that declare nothing of their own.
    pub margins: ZoneMargins,
    /// `[record]`.
    pub record: RecordConfig,
    /// Storeys, ascending by ordinal. At least one.
    pub levels: Vec<Level>,
    /// Units and geofences, in the plan's order.
    pub zones: Vec<Zone>,
    /// Walls.
    pub walls: Vec<Wall>,
    /// Doors.
    pub openings: Vec<Opening>,
    /// Furniture.
    pub fixtures: Vec<Fixture>,
    /// Sensors, in file order.
    pub sensors: Vec<Sensor>,
    /// Actuators, in file order.
    pub actuators: Vec<Actuator>,
    /// Known people, in file order.
    pub people: Vec<Person>,
    /// Groups, in file order.
    pub groups: Vec<Group>,
    /// `[attributes]`.
    pub attributes: BTreeMap<String, AttributeSpec>,
    /// `[words]`: a word of the rules to the unit categories that it means.
    pub words: BTreeMap<String, Vec<String>>,
    /// `[[resource]]`.
    pub resources: Vec<Resource>,
    /// What the calendars among them say, ascending by calendar and beginning.
    pub bookings: Vec<Booking>,
    /// Every file that it was read from, ascending by path; rule files too.
    pub files: Vec<SourceFile>,
    /// Carried devices to people, ascending by key.
    pub device_owners: Vec<(CarriedKey, PersonId)>,
    /// Badges to people, ascending by key.
    pub badge_owners: Vec<(CarriedKey, PersonId)>,
    /// Ids of declared carried devices and badges, ascending by key.
    pub carried_names: Vec<(CarriedKey, String)>,
}

fn find_key<T: Copy>(table: &[(CarriedKey, T)], key: CarriedKey) -> Option<T> {
    table.binary_search_by_key(&key, |&(k, _)| k).ok().map(|i| table[i].1)
}

impl Site {
    /// The person who carries a device.
    #[must_use]
    pub fn owner_of_device(&self, key: CarriedKey) -> Option<PersonId> {
        find_key(&self.device_owners, key)
    }
    /// The person whose badge it is.
    #[must_use]
    pub fn owner_of_badge(&self, key: CarriedKey) -> Option<PersonId> {
        find_key(&self.badge_owners, key)
    }
    /// The declared id behind a key.
    #[must_use]
    pub fn carried_name(&self, key: CarriedKey) -> Option<&str> {
        let i = self.carried_names.binary_search_by_key(&key, |&(k, _)| k).ok()?;
        Some(&self.carried_names[i].1)
    }
    /// The sensor of a name.
    #[must_use]
    pub fn sensor_named(&self, name: &str) -> Option<SensorId> {
        self.sensors.iter().find(|s| s.name == name).map(|s| s.id)
    }
    /// The actuator of a name.
    #[must_use]
    pub fn actuator_named(&self, name: &str) -> Option<ActuatorId> {
        self.actuators.iter().find(|a| a.name == name).map(|a| a.id)
    }
    /// The zone of a name.
    #[must_use]
    pub fn zone_named(&self, name: &str) -> Option<ZoneId> {
        self.zones.iter().find(|z| z.name == name).map(|z| z.id)
    }
    /// The person of a name.
    #[must_use]
    pub fn person_named(&self, name: &str) -> Option<PersonId> {
        self.people.iter().find(|p| p.name == name).map(|p| p.id)
    }
    /// The group of a name.
    #[must_use]
    pub fn group_named(&self, name: &str) -> Option<GroupId> {
        self.groups.iter().find(|g| g.name == name).map(|g| g.id)
    }
    /// The level of a name.
    #[must_use]
    pub fn level_named(&self, name: &str) -> Option<LevelId> {
        self.levels.iter().find(|l| l.name == name).map(|l| l.id)
    }
    /// Whether a zone's category is one that the rules' word means (`room` → `conferenceroom`, `office`, …);
    /// a word that is not declared means the category of that name.
    #[must_use]
    pub fn zone_is_a(&self, zone: ZoneId, word: &str) -> bool {
        let category = &self.zones[zone.index()].category;
        match self.words.get(word) {
            Some(categories) => categories.contains(category),
            None => category == word,
        }
    }
    /// The zones about which a sensor is heard: those that it declares; a tracking sensor that declares neither zones nor
    /// a field of view sees its whole level.
    pub fn zones_told_by<'a>(&'a self, sensor: &'a Sensor) -> impl Iterator<Item = ZoneId> + 'a {
        let whole_level = sensor.zones.is_empty()
            && sensor.field_of_view.is_none()
            && matches!(sensor.kind, SensorKind::Location | SensorKind::Position | SensorKind::Points);
        let on_level = self.zones.iter().filter(move |z| whole_level && z.level == sensor.level).map(|z| z.id);
        sensor.zones.iter().copied().chain(on_level)
    }
    /// Where its calendars stand, each a file beside site.toml.
    pub fn calendar_paths(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().filter(|r| r.kind == "calendar").map(|r| r.file.as_str())
    }
    /// The rule files, ascending by path.
    pub fn rule_files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|f| f.path.starts_with("rules/") && f.path.ends_with(".rules"))
    }
}
