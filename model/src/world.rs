//! What fusion tells the rest: events, occupants, and the [`WorldView`] that rules read.
//!
//! Rules never see a tracker: they see occupants with zones that already carry the site's margins, and events that
//! say what changed. Fusion never sees a rule.

use crate::command::Value;
use crate::geometry::{Place, Point};
use crate::health::SensorHealth;
use crate::ids::{ActuatorId, CarriedKey, GroupId, LevelId, Name, PersonId, SensorId, TrackId, ZoneId};
use crate::limits::{SIGHTINGS_PER_OCCUPANT_MAX, ZONES_PER_OCCUPANT_MAX};
use crate::site::Site;
use crate::time::{DurationNs, LogicalNs, UtcNs};
use crate::tri::Tri;
use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

/// What can happen to a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// A track is there that was not known before: at a start, after a gap, or new.
    Appears,
    /// A tentative track is shown from now on.
    Confirmed,
    /// It is now taken for a known person (or for another than before).
    Identified,
    /// It came into a zone, having been known to be outside.
    Enters,
    /// It left a zone, having been known to be inside.
    Leaves,
    /// Its identity may have changed places with another track's.
    Swapped,
    /// It has not been seen for the zone's lost time: where it is is unknown, its last zone is kept.
    Lost,
    /// It was lost and is seen again.
    Found,
}

impl EventKind {
    /// Every kind, in declaration order.
    pub const ALL: [Self; 8] = [
        Self::Appears,
        Self::Confirmed,
        Self::Identified,
        Self::Enters,
        Self::Leaves,
        Self::Swapped,
        Self::Lost,
        Self::Found,
    ];
    /// The word written in `--events`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Appears => "appears",
            Self::Confirmed => "confirmed",
            Self::Identified => "identified",
            Self::Enters => "enters",
            Self::Leaves => "leaves",
            Self::Swapped => "swapped",
            Self::Lost => "lost",
            Self::Found => "found",
        }
    }
}

/// Something happened to a track.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorldEvent {
    /// What.
    pub kind: EventKind,
    /// To which track.
    pub track: TrackId,
    /// Who it is taken for, if anybody known (at the time of the event).
    pub person: Option<PersonId>,
    /// Probability of that identity, 0..=1.
    pub person_p: f64,
    /// The zone entered or left, or (for `Lost`) the last zone, innermost first.
    pub zone: Option<ZoneId>,
    /// The other track of a swap.
    pub other: Option<TrackId>,
    /// Where, as last known.
    pub place: Place,
    /// The sensor whose observation showed it; `None` where time alone did.
    pub sensor: Option<SensorId>,
    /// When that observation was true; the due time where time alone showed it.
    pub measured: LogicalNs,
}

/// Whether an occupant's place is current.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Presence {
    /// Seen within the lost time.
    Seen,
    /// Not seen for longer: the place and zones are the last known ones.
    Lost,
}

/// An observation that moved somebody. Its sensor and instant name it in a recording, whatever order it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Who saw.
    pub sensor: SensorId,
    /// When it was true.
    pub measured: LogicalNs,
}

/// Somebody in the building.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Occupant {
    /// The track.
    pub track: TrackId,
    /// Where, as last known.
    pub place: Place,
    /// Velocity, m/s; zero where not estimated.
    pub velocity_mps: [f64; 2],
    /// Position covariance, m²: xx, xy, yy.
    pub covariance_m2: [f64; 3],
    /// Which way they face, radians, where known.
    pub heading_rad: Option<f64>,
    /// Probability that there is somebody, 0..=1.
    pub existence: f64,
    /// The carried device that the track is, where it is one.
    pub device: Option<CarriedKey>,
    /// Who it is taken for, if anybody known.
    pub person: Option<PersonId>,
    /// Probability of that identity, 0..=1.
    pub person_p: f64,
    /// Whether `place` is current.
    pub presence: Presence,
    /// When the last observation that moved it was true.
    pub seen_at: LogicalNs,
    /// The last observations that moved it, oldest first: what a decision about it goes back to.
    pub moved_by: ArrayVec<Sighting, SIGHTINGS_PER_OCCUPANT_MAX>,
    /// The zones it is in (margins and delays applied), ascending; the last known ones when lost.
    pub zones: ArrayVec<ZoneId, ZONES_PER_OCCUPANT_MAX>,
}

impl Clone for Occupant {
    fn clone(&self) -> Self {
        Self { moved_by: self.moved_by.clone(), zones: self.zones.clone(), ..*self }
    }

    /// The same in place, of its lists as much as there is: it is done many times a second wherever late data are put in
    /// order.
    fn clone_from(&mut self, other: &Self) {
        let Self {
            track,
            place,
            velocity_mps,
            covariance_m2,
            heading_rad,
            existence,
            device,
            person,
            person_p,
            presence,
            seen_at,
            moved_by,
            zones,
        } = other;
        (self.track, self.place, self.velocity_mps) = (*track, *place, *velocity_mps);
        (self.covariance_m2, self.heading_rad, self.existence) = (*covariance_m2, *heading_rad, *existence);
        (self.device, self.person, self.person_p) = (*device, *person, *person_p);
        (self.presence, self.seen_at) = (*presence, *seen_at);
        replace_list(&mut self.moved_by, moved_by);
        replace_list(&mut self.zones, zones);
    }
}

/// Becomes the same list.
fn replace_list<T: Copy, const N: usize>(list: &mut ArrayVec<T, N>, other: &ArrayVec<T, N>) {
    list.clear();
    list.extend(other.iter().copied());
}

impl Occupant {
    /// Notes that an observation moved it; the oldest one noted gives way.
    pub fn note_sighting(&mut self, sighting: Sighting) {
        if self.moved_by.last() == Some(&sighting) {
            return;
        }
        if self.moved_by.is_full() {
            self.moved_by.remove(0);
        }
        self.moved_by.push(sighting);
    }

    /// How uncertain its place is in the worst direction: the longest half-axis of the one-sigma ellipse, metres.
    #[must_use]
    pub fn spread_m(&self) -> f64 {
        let [xx, xy, yy] = self.covariance_m2;
        let (half, off) = (0.5 * (xx + yy), 0.5 * (xx - yy));
        (half + (off * off + xy * xy).sqrt()).max(0.0).sqrt()
    }

    /// Whether it is in the zone: unknown when it was lost there.
    #[must_use]
    pub fn is_in(&self, zone: ZoneId) -> Tri {
        match (self.zones.contains(&zone), self.presence) {
            (false, _) => Tri::False,
            (true, Presence::Seen) => Tri::True,
            (true, Presence::Lost) => Tri::Unknown,
        }
    }
}

/// A sensor's latest reading, for sensors that rules read directly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reading {
    /// On or off, open or closed, active or not.
    Switch(bool),
    /// A quantity in the sensor's unit.
    Quantity(f64),
    /// People counted.
    People(u32),
    /// The button pressed last.
    Button(Name),
    /// The badge read last, and whose it is.
    Badge {
        /// Which badge.
        badge: CarriedKey,
        /// Whose, if anybody's known.
        person: Option<PersonId>,
    },
    /// The last crossing.
    Crossing(crate::observation::Direction),
    /// The last gesture, and who made it.
    Gesture {
        /// Which gesture.
        gesture: Name,
        /// The track that its place fits best, if any is near enough.
        track: Option<TrackId>,
        /// The probability that it was that one and not the one that fits next best.
        track_p: f64,
    },
}

/// How a sensor is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SensorStatus {
    /// The latest reading, for kinds that have one.
    pub reading: Option<Reading>,
    /// When that reading was true.
    pub reading_at: Option<LogicalNs>,
    /// When the sensor was last heard, whatever it said.
    pub heard_at: Option<LogicalNs>,
    /// Observations taken so far.
    pub count: u64,
    /// How well it agrees with the others; unknown for kinds that move nobody.
    pub health: SensorHealth,
}

/// What a step wakes rules with, in the order it came about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stimulus {
    /// Something happened to a track.
    World(WorldEvent),
    /// A track moved (without any event): for distances and dwell.
    Moved(TrackId),
    /// A sensor has a new reading (see [`WorldView::sensor`]).
    Sensor(SensorId),
    /// A device's property has a new value, by report or by command.
    Device(ActuatorId),
    /// The wall clock became known or jumped.
    Clock,
    /// Inputs are missing from here: what was known may be stale.
    Gap(DurationNs),
    /// The engine started, or these rules were installed: evaluate everything once.
    Start,
}

/// Local wall-clock time, from the last anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallTime {
    /// UTC.
    pub utc: UtcNs,
    /// Local time minus UTC.
    pub offset: DurationNs,
}

impl WallTime {
    /// Nanoseconds since local midnight.
    #[must_use]
    pub fn since_midnight(self) -> DurationNs {
        DurationNs(self.utc.0.saturating_add(self.offset.0).rem_euclid(86_400 * crate::time::NS_PER_S))
    }
    /// Days since 1970-01-01, local; 1970-01-01 was a Thursday.
    #[must_use]
    pub fn local_day(self) -> i64 {
        self.utc.0.saturating_add(self.offset.0).div_euclid(86_400 * crate::time::NS_PER_S)
    }
}

/// What rules may read. Every iteration is in ascending id order.
pub trait WorldView {
    /// The site.
    fn site(&self) -> &Site;
    /// The current instant: the tag's.
    fn now(&self) -> LogicalNs;
    /// Local wall-clock time; `None` until an anchor came.
    fn wall(&self) -> Option<WallTime>;
    /// One occupant; `None` once the track is gone.
    fn occupant(&self, track: TrackId) -> Option<&Occupant>;
    /// Every occupant, seen or lost, ascending by track.
    fn for_each_occupant(&self, f: &mut dyn FnMut(&Occupant));
    /// Every occupant whose zones hold `zone`, seen or lost, ascending by track.
    fn for_each_in(&self, zone: ZoneId, f: &mut dyn FnMut(&Occupant));
    /// Every occupant at most `radius_m` from a point of a level, seen or lost, in no particular order: sort what it
    /// gives before using it.
    fn for_each_near(&self, level: LevelId, at: Point, radius_m: f64, f: &mut dyn FnMut(&Occupant)) {
        self.for_each_occupant(&mut |occupant| {
            if occupant.place.level == level && occupant.place.at.distance(at) <= radius_m {
                f(occupant);
            }
        });
    }
    /// How many occupants are in the zone: seen ones, and ones lost there.
    fn count_in(&self, zone: ZoneId) -> ZoneCount;
    /// Whether anybody is in the zone. True on any track or live evidence of presence; false only where every
    /// declared evidence (sensors that name the zone) is alive and silent; else unknown.
    fn occupied(&self, zone: ZoneId) -> Tri;
    /// The track a person is on, with the probability of the identity; the likeliest where several.
    fn track_of(&self, person: PersonId) -> Option<(TrackId, f64)>;
    /// When an occupant was last surely inside of a zone in which a recorder stands: farther from every way out than three
    /// standard deviations of its place, or came into it; the log's beginning where it never did, `None` of other zones.
    fn surely_in(&self, track: TrackId, zone: ZoneId) -> Option<LogicalNs> {
        let _ = (track, zone);
        None
    }
    /// Whether a person belongs to a group.
    fn is_member(&self, person: PersonId, group: GroupId) -> bool;
    /// A device's property: its last report, else its last command, else unknown.
    fn device(&self, actuator: ActuatorId, property: Name) -> Option<Value>;
    /// How a sensor is doing.
    fn sensor(&self, sensor: SensorId) -> SensorStatus;
    /// Whether a sensor is alive: heard within the time its kind and declared rate promise; unknown until first
    /// heard, for kinds that speak only when something happens.
    fn alive(&self, sensor: SensorId) -> Tri;
}

/// How many people are in a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneCount {
    /// Seen inside.
    pub seen: u32,
    /// Last seen inside, and lost since: may still be there.
    pub lost: u32,
}
