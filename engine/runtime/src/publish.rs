//! The picture: what those who look on (the live page) see of the running core, published by the stepping thread.
//!
//! Some thirty times a second, and less often while nothing happens, the stepping thread copies who is where, what each
//! device is doing and how each sensor is into a [`Picture`] whose room was taken at the start, and hands it over in a
//! ring. Three pictures go round: one being filled, one on its way, one being looked at. Where nobody takes the one on
//! its way no other is made: a slow onlooker, or none, costs the stepping thread a look at a ring and no more.

use osmose_core::{Core, Fusion, Stats};
use osmose_fusion::Posterior;
use osmose_model::command::{LevelRank, Value};
use osmose_model::geometry::Place;
use osmose_model::ids::{ActuatorId, Name, PersonId, RuleId, SensorId, TrackId, ZoneId};
use osmose_model::input::Tag;
use osmose_model::limits::{SIGHTINGS_PER_OCCUPANT_MAX, ZONES_PER_OCCUPANT_MAX};
use osmose_model::site::Site;
use osmose_model::stages::Fuse;
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::{Occupant, Presence, SensorStatus, Sighting, WallTime, WorldView, ZoneCount};

/// A picture this often while inputs come: a page draws between two of them.
const PICTURE_EVERY: DurationNs = DurationNs(33_000_000);
/// While nothing happens the clock goes on all the same.
const PICTURE_IDLE_EVERY: DurationNs = DurationNs::from_ms(250);
/// How sensors are changes slowly and costs more to ask: in every one of so many pictures.
const SENSORS_EVERY: u32 = 8;
/// Most properties that one kind of actuator has.
pub const PROPERTIES_MAX: usize = 3;

/// Somebody in the picture.
#[derive(Clone, Debug)]
pub struct Somebody {
    /// The track.
    pub track: TrackId,
    /// Where, as last known.
    pub place: Place,
    /// Velocity, m/s.
    pub velocity_mps: [f64; 2],
    /// Position covariance, m²: xx, xy, yy.
    pub covariance_m2: [f64; 3],
    /// Which way they face, radians, where known.
    pub heading_rad: Option<f64>,
    /// Probability that there is somebody.
    pub existence: f64,
    /// Who it is taken for, if anybody known.
    pub person: Option<PersonId>,
    /// Probability of that identity.
    pub person_p: f64,
    /// Who else it may be.
    pub identity: Option<Posterior>,
    /// Whether the place is current.
    pub presence: Presence,
    /// When the last observation that moved it was true.
    pub seen_at: LogicalNs,
    /// The last observations that moved it, oldest first.
    pub moved_by: arrayvec::ArrayVec<Sighting, SIGHTINGS_PER_OCCUPANT_MAX>,
    /// The zones it is in, ascending.
    pub zones: arrayvec::ArrayVec<ZoneId, ZONES_PER_OCCUPANT_MAX>,
}

/// A zone in the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ZoneNow {
    /// How many are in it.
    pub count: ZoneCount,
    /// How many of them are nobody known.
    pub unidentified: u32,
    /// Whether anybody is in it, by every evidence.
    pub occupied: Tri,
}

/// One property of a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PropertyNow {
    /// Which.
    pub property: Name,
    /// Its last report, else its last command, else unknown.
    pub value: Option<Value>,
    /// The rule that holds it, and at which level.
    pub held_by: Option<(RuleId, LevelRank)>,
}

/// A sensor in the picture.
#[derive(Clone, Copy, Debug, Default)]
pub struct SensorNow {
    /// Its reading and health.
    pub status: SensorStatus,
    /// Whether it is alive.
    pub alive: Tri,
}

/// The world after one input, with nothing in it that hangs on the core.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The last input in it.
    pub tag: Tag,
    /// When it was taken, on the host's clock: the log's time goes on between inputs.
    pub at: ArrivalNs,
    /// The wall clock at the tag.
    pub wall: Option<WallTime>,
    /// Everybody, ascending by track.
    pub people: Vec<Somebody>,
    /// Those for whom there was no room.
    pub people_beyond: u32,
    /// By zone.
    pub zones: Vec<ZoneNow>,
    /// By actuator: its properties, `state` first.
    pub devices: Vec<arrayvec::ArrayVec<PropertyNow, PROPERTIES_MAX>>,
    /// By actuator: how many commands were forbidden, and how many overruled, since the start.
    pub denied: Vec<[u32; 2]>,
    /// By sensor.
    pub sensors: Vec<SensorNow>,
    /// By rule: until when it is switched off by hand, where it is.
    pub rules_off: Vec<(RuleId, LogicalNs)>,
    /// What the core counted.
    pub stats: Stats,
    room: usize,
    sensors_in: u32,
}

impl Picture {
    /// An empty picture with all the room that a site's may need.
    #[must_use]
    pub fn new(site: &Site) -> Self {
        let room = site.engine.tracks_max as usize;
        Self {
            tag: Tag::default(),
            at: ArrivalNs(0),
            wall: None,
            people: Vec::with_capacity(room),
            people_beyond: 0,
            zones: vec![ZoneNow::default(); site.zones.len()],
            devices: vec![arrayvec::ArrayVec::new(); site.actuators.len()],
            denied: vec![[0; 2]; site.actuators.len()],
            sensors: vec![SensorNow::default(); site.sensors.len()],
            rules_off: Vec::with_capacity(RULES_OFF_MAX),
            stats: Stats::default(),
            room,
            sensors_in: 0,
        }
    }

    /// As [`Picture::take`], sensors too: for whoever takes pictures as they are asked for.
    pub fn take_whole(&mut self, machine: &Core, at: ArrivalNs) {
        self.sensors_in = 0;
        self.take(machine, at);
    }

    /// Fills it with how the core stands now. Allocates nothing. Sensors are asked in one picture of several.
    pub fn take(&mut self, machine: &Core, at: ArrivalNs) {
        let view = machine.view();
        let site = machine.site();
        (self.tag, self.at, self.wall, self.stats) = (machine.last(), at, view.wall(), machine.stats());
        self.people.clear();
        self.people_beyond = 0;
        let (people, beyond, room) = (&mut self.people, &mut self.people_beyond, self.room);
        self.zones.iter_mut().for_each(|z| z.unidentified = 0);
        let zones = &mut self.zones;
        machine.fusion().for_each_occupant(&mut |o| {
            if people.len() < room {
                people.push(Somebody::of(o, machine.fusion()));
            } else {
                *beyond += 1;
            }
            if o.person.is_none() {
                for zone in &o.zones {
                    if let Some(zone) = zones.get_mut(zone.index()) {
                        zone.unidentified += 1;
                    }
                }
            }
        });
        for (i, zone) in self.zones.iter_mut().enumerate() {
            let id = ZoneId(i as u16);
            (zone.count, zone.occupied) = (view.count_in(id), view.occupied(id));
        }
        for (i, (device, actuator)) in self.devices.iter_mut().zip(&site.actuators).enumerate() {
            let id = ActuatorId(i as u16);
            device.clear();
            for property in actuator.kind.properties().iter().filter_map(|p| Name::new(p.property)) {
                let held_by = machine.plan().holder(id, property).map(|(rule, _, level)| (rule, level));
                let now = PropertyNow { property, value: view.device(id, property), held_by };
                if device.try_push(now).is_err() {
                    break;
                }
            }
        }
        for (i, denied) in self.denied.iter_mut().enumerate() {
            let dropped = machine.plan().dropped(ActuatorId(i as u16));
            *denied = [dropped.forbidden, dropped.overruled];
        }
        if self.sensors_in == 0 {
            self.sensors_in = SENSORS_EVERY;
            for (i, sensor) in self.sensors.iter_mut().enumerate() {
                let id = SensorId(i as u16);
                *sensor = SensorNow { status: view.sensor(id), alive: view.alive(id) };
            }
        }
        self.sensors_in -= 1;
        self.rules_off.clear();
        let off = machine.rules().switched_off(self.tag.at);
        self.rules_off.extend(off.take(RULES_OFF_MAX));
    }
}

/// Most rules switched off that a picture names.
const RULES_OFF_MAX: usize = 64;

impl Somebody {
    fn of(o: &Occupant, fusion: &Fusion) -> Self {
        Self {
            track: o.track,
            place: o.place,
            velocity_mps: o.velocity_mps,
            covariance_m2: o.covariance_m2,
            heading_rad: o.heading_rad,
            existence: o.existence,
            person: o.person,
            person_p: o.person_p,
            identity: fusion.posterior(o.track),
            presence: o.presence,
            seen_at: o.seen_at,
            moved_by: o.moved_by.clone(),
            zones: o.zones.clone(),
        }
    }
}

/// Both ends of the way from the stepping thread to those who look on.
#[must_use]
pub fn publisher(site: &Site) -> (Publisher, Pictures) {
    let (tx, rx) = rtrb::RingBuffer::new(1);
    let (mut back_tx, back_rx) = rtrb::RingBuffer::new(2);
    // One on each side, and one that is on its way or back already.
    let picture = || Box::new(Picture::new(site));
    let _ = back_tx.push(picture());
    let publisher = Publisher { spare: Some(picture()), ring: tx, back: back_rx, taken_at: ArrivalNs(i64::MIN / 2) };
    (publisher, Pictures { now: picture(), ring: rx, back: back_tx })
}

/// The stepping thread's end.
#[derive(Debug)]
pub struct Publisher {
    spare: Option<Box<Picture>>,
    ring: rtrb::Producer<Box<Picture>>,
    back: rtrb::Consumer<Box<Picture>>,
    taken_at: ArrivalNs,
}

impl Publisher {
    /// Publishes a picture where one is due and somebody takes them; gives whether it did.
    pub fn look_on(&mut self, machine: &Core, now: ArrivalNs) -> bool {
        if now.since(self.taken_at) < PICTURE_EVERY || self.ring.slots() == 0 {
            return false;
        }
        let Some(mut picture) = self.spare.take().or_else(|| self.back.pop().ok()) else { return false };
        let is_still = picture.tag == machine.last() && now.since(self.taken_at) < PICTURE_IDLE_EVERY;
        if is_still {
            self.spare = Some(picture);
            return false;
        }
        picture.take(machine, now);
        self.taken_at = now;
        match self.ring.push(picture) {
            Ok(()) => true,
            Err(rtrb::PushError::Full(picture)) => {
                self.spare = Some(picture);
                false
            }
        }
    }
}

/// The onlookers' end.
#[derive(Debug)]
pub struct Pictures {
    now: Box<Picture>,
    ring: rtrb::Consumer<Box<Picture>>,
    back: rtrb::Producer<Box<Picture>>,
}

impl Pictures {
    /// Goes on to the newest picture; gives whether there is another than before.
    pub fn look(&mut self) -> bool {
        let mut is_new = false;
        while let Ok(next) = self.ring.pop() {
            let old = std::mem::replace(&mut self.now, next);
            // There are three pictures and two places for those on their way back.
            let _ = self.back.push(old);
            is_new = true;
        }
        is_new
    }

    /// The picture looked at; an empty one before the first.
    #[must_use]
    pub fn now(&self) -> &Picture {
        &self.now
    }

    /// Whether the stepping thread is gone.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ring.is_abandoned()
    }
}
