//! One step of fusion: an observation or an instant goes in, what changed comes out, in a fixed order.
//!
//! Order of events: by occupant, who was there first before the others (nearly always ascending by track); of one
//! occupant: appears, confirmed, identified, found, leaves (ascending by zone), enters (ascending by zone), lost. After a
//! scan come the identities of those who met, by pair. What is due before an observation comes before it.
//!
//! Observations are used in the order of when they were true, whenever they come (`late.rs`).

use crate::calibration::Calibration;
use crate::doors::Doors;
use crate::identity::Identities;
use crate::in_place::Stamped;
use crate::late::Late;
use crate::levels::Ways;
use crate::membership::{self, How};
use crate::merge::Carriers;
use crate::occupants::{NEVER, Occupants, Origin};
use crate::plan::Plan;
use crate::points::Clouds;
use crate::positions::Positions;
use crate::presence::Chains;
use crate::ranging::Ranging;
use crate::rssi::{Beacons, Receivers};
use crate::sensors::Sensors;
use crate::sink::Sink;
use crate::surely;
use crate::voices::Maker;
use arrayvec::ArrayVec;
use osmose_model::device::{Sensor, SensorKind};
use osmose_model::geometry::{Aabb, Place, Point};
use osmose_model::health::SensorHealth;
use osmose_model::ids::{CarriedKey, LevelId, PersonId, SensorId, TrackId, ZoneId};
use osmose_model::input::Tag;
use osmose_model::observation::{Body, Observation};
use osmose_model::site::Site;
use osmose_model::stages::{Fuse, Refusal, RestoreError};
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Occupant, Presence, Reading, SensorStatus, Sighting, Stimulus, ZoneCount};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How long a lost occupant that is no known person's device is remembered.
const FORGET_ANONYMOUS: DurationNs = DurationNs::from_s(600);
/// The same where sensors looked and saw nobody.
pub(crate) const FORGET_REFUTED: DurationNs = DurationNs::from_s(30);
/// A track that is yet to be confirmed is no more when it was not hit for so long: from then on the tracker does not
/// report it either (`silent_after_s`).
pub(crate) const UNCONFIRMED_FOR: DurationNs = DurationNs::from_s(2);

/// What was not used, dropped or forgotten so far: nothing of it is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Observations with a number that is not plausible, or of an unknown sensor or level.
    pub not_plausible: u64,
    /// Observations of kinds that are not used yet.
    pub kind_not_used: u64,
    /// New occupants for whom there was no room.
    pub tracks_full: u64,
    /// Observations too late to be put in their place, used as they came; fixes that came after a newer one stood aside.
    pub late_degraded: u64,
    /// Late observations that were put in their place: what had been used since ran again.
    pub late_rerun: u64,
    /// Detections of a scan on another level than their sensor's, left out.
    pub off_level: u64,
    /// Lost occupants forgotten after their time.
    pub forgotten: u64,
    /// Lost occupants forgotten early, to make room.
    pub evicted: u64,
    /// Tracks that appeared and went without being confirmed: false detections, mostly. Their going is no event.
    pub never_confirmed: u64,
    /// Zones not entered by somebody who was in as many as anybody can be.
    pub zones_full: u64,
    /// Close encounters of tracks whose identities were not mixed, for want of room.
    pub encounters_full: u64,
    /// Carried devices and anonymous tracks found to be one person.
    pub joined: u64,
    /// Carried devices and anonymous tracks found not to be one person any more.
    pub parted: u64,
    /// Tracks that went on under the same name on another level, by stairs or lift.
    pub changed_level: u64,
    /// Gestures and facings that fitted several people about as well: whose a gesture is is doubtful then, and a facing
    /// is nobody's.
    pub ambiguous: u64,
    /// Badge reads that bound nobody: nobody clearly stood at the reader, or stepped up to it.
    pub badges_unclear: u64,
    /// Stimuli beyond the limit of one step.
    pub stimuli_shed: u64,
}

/// The fusion stage: who is where.
#[derive(Clone, Debug)]
pub struct Fusion {
    pub(crate) site: Arc<Site>,
    pub(crate) plan: Plan,
    pub(crate) ways: Ways,
    pub(crate) occupants: Occupants,
    pub(crate) sensors: Sensors,
    pub(crate) positions: Positions,
    pub(crate) identities: Identities,
    pub(crate) ranging: Ranging,
    pub(crate) receivers: Receivers,
    pub(crate) beacons: Beacons,
    pub(crate) calibration: Calibration,
    pub(crate) carriers: Stamped<Carriers>,
    pub(crate) chains: Stamped<Chains>,
    pub(crate) clouds: Clouds,
    pub(crate) doors: Doors,
    pub(crate) counts: Counts,
    /// The latest instant that was told.
    pub(crate) now: LogicalNs,
    /// The last instant at which time alone changed an occupant.
    pub(crate) fired_at: LogicalNs,
    pub(crate) late: Late,
    /// Slots due at an instant, reused.
    pub(crate) due: Vec<u32>,
}

impl Fusion {
    /// Fusion for a site: nobody is there yet. Everything is allocated to the site's limits now.
    #[must_use]
    pub fn new(site: Arc<Site>) -> Self {
        let max = (site.engine.tracks_max.max(1) as usize).min(1_000_000);
        let mut fusion = Self {
            plan: Plan::new(&site),
            ways: Ways::new(&site),
            occupants: Occupants::new(max, site.levels.len(), site.zones.len(), site.people.len()),
            sensors: Sensors::new(&site),
            positions: Positions::new(&site, max),
            identities: Identities::new(max),
            ranging: Ranging::new(if site.sensors.iter().any(is_ranging) { max } else { 0 }),
            receivers: Receivers::new(&site),
            beacons: Beacons::new(if site.sensors.iter().any(is_radio) { max } else { 0 }),
            calibration: Calibration::new(&site.sensors),
            carriers: Stamped::new(Carriers::new(&site, max)),
            chains: Stamped::new(Chains::new(&site, max)),
            clouds: Clouds::new(&site),
            doors: Doors::new(&site),
            counts: Counts::default(),
            now: LogicalNs::default(),
            fired_at: LogicalNs(i64::MIN),
            late: Late::new(&site),
            due: Vec::with_capacity(max),
            site,
        };
        fusion.arm_where_declared();
        fusion
    }

    /// What was not used, dropped or forgotten so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The site.
    #[must_use]
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// How well a sensor's measurements agree with what all sensors together say, as of the latest instant told.
    #[must_use]
    pub fn health(&self, sensor: SensorId) -> SensorHealth {
        self.calibration.health(sensor, self.sensors.alive(sensor, self.now))
    }

    /// How many occupants there are, seen or lost.
    #[must_use]
    pub fn len(&self) -> usize {
        self.occupants.len()
    }

    /// Whether nobody is there, seen or lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next instant at which anything is due.
    fn first_due(&self) -> Option<LogicalNs> {
        match (self.occupants.due.first(), self.sensors.due.first()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Lets everything that is due by `now` happen, instant by instant.
    pub(crate) fn advance_to(&mut self, now: LogicalNs, out: &mut Vec<Stimulus>) {
        while let Some(due) = self.first_due().filter(|due| *due <= now) {
            self.now = self.now.max(due);
            self.due.clear();
            while self.occupants.due.first() == Some(due) {
                if let Some((_, slot)) = self.occupants.due.pop() {
                    self.fired_at = due;
                    self.due.push(slot as u32);
                }
            }
            let occupants = &self.occupants;
            let since = |slot: u32| (occupants.slot(slot).first_seen, occupants.slot(slot).origin);
            self.due.sort_unstable_by_key(|&slot| since(slot));
            for i in 0..self.due.len() {
                self.come_due(self.due[i], due, out);
            }
            while self.sensors.due.first() == Some(due) {
                if let Some(sensor) = self.sensors.pop_due() {
                    if self.sensors.alive(sensor, due) == Tri::False {
                        self.fall_silent(sensor, due);
                    }
                    let mut sink = Sink::new(out, &mut self.counts.stimuli_shed, None, due);
                    sink.push(Stimulus::Sensor(sensor));
                }
            }
        }
        self.now = self.now.max(now);
    }

    /// One occupant's deadline: exits that are over, then lost, or forgotten.
    fn come_due(&mut self, slot: u32, due: LogicalNs, out: &mut Vec<Stimulus>) {
        let mut sink = Sink::new(out, &mut self.counts.stimuli_shed, None, due);
        membership::expire_exits(&self.plan, &mut self.occupants, slot, &mut sink);
        if self.occupants.vanishes_at(slot) <= due {
            if !self.occupants.slot(slot).confirmed {
                self.dismiss(slot);
                return;
            }
            match self.occupants.occupant(slot).presence {
                Presence::Seen => self.lose(slot, None, due, out),
                Presence::Lost => {
                    self.forget(slot);
                    self.counts.forgotten += 1;
                    return;
                }
            }
        }
        self.occupants.schedule(slot, due);
    }

    /// An occupant is lost: said once, its zones stay as they were last known.
    pub(crate) fn lose(&mut self, slot: u32, sensor: Option<SensorId>, at: LogicalNs, out: &mut Vec<Stimulus>) {
        let entry = self.occupants.slot(slot);
        let forget_at = match entry.device() {
            Some(key) if self.site.owner_of_device(key).is_some() => NEVER,
            // Somebody known is unknown from now on, and not gone: until they are known to be elsewhere.
            _ if entry.occupant.person.is_some() && !entry.refuted => NEVER,
            _ if entry.refuted => at.plus(FORGET_REFUTED),
            _ => at.plus(FORGET_ANONYMOUS),
        };
        self.occupants.lose(slot, forget_at);
        let who = self.occupants.occupant(slot);
        let zone = self.plan.innermost(&who.zones);
        Sink::new(out, &mut self.counts.stimuli_shed, sensor, at).event(EventKind::Lost, who, zone, None);
        self.occupants.slot_mut(slot).doubted_at = at;
        self.doubt(slot, at, None);
    }

    /// An occupant is no more.
    pub(crate) fn forget(&mut self, slot: u32) {
        if let Some((level, id)) = self.occupants.slot(slot).tracked() {
            self.positions.release(level, id);
        }
        if !self.late.runs_again {
            let who = self.occupants.occupant(slot);
            self.late.state.note_forgotten(who, self.now, self.late.horizon);
        }
        self.occupants.remove(slot);
    }

    /// A track that was never confirmed is no more: nothing is said, since nobody acted on it.
    pub(crate) fn dismiss(&mut self, slot: u32) {
        self.forget(slot);
        self.counts.never_confirmed += 1;
    }

    /// A new occupant: its zones are filled in unless it is yet to be confirmed, then `appears` is said. Whoever has
    /// been lost longest makes room.
    pub(crate) fn appear(
        &mut self,
        newcomer: Newcomer,
        origin: Origin,
        sink_of: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<u32, Refusal> {
        if self.occupants.is_full() {
            let Some(oldest) = self.occupants.longest_lost() else {
                return Err(Refusal::TracksFull);
            };
            self.forget(oldest);
            self.counts.evicted += 1;
        }
        let occupant = newcomer.occupant(Sighting { sensor: sink_of.0, measured: sink_of.1 });
        let lost_after = match origin {
            Origin::Device(_) => self.plan.lost_after(&[]),
            Origin::Tracker { .. } => UNCONFIRMED_FOR,
        };
        let slot = self.occupants.add(occupant, origin, lost_after).ok_or(Refusal::TracksFull)?;
        self.identities.begin(slot);
        let mut sink = Sink::new(out, &mut self.counts.stimuli_shed, Some(sink_of.0), sink_of.1);
        if self.occupants.slot(slot).confirmed {
            let refused = membership::settle(&self.plan, &mut self.occupants, slot, How::Silently, &mut sink);
            self.counts.zones_full += refused;
            surely::note(&self.plan, &mut self.occupants, slot, sink_of.1);
        }
        sink.event(EventKind::Appears, self.occupants.occupant(slot), None, None);
        Ok(slot)
    }

    /// An occupant proved to be somebody at its place: its zones are filled in, then `confirmed` is said.
    pub(crate) fn confirm(&mut self, slot: u32, (sensor, measured): (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        self.occupants.slot_mut(slot).confirmed = true;
        let mut sink = Sink::new(out, &mut self.counts.stimuli_shed, Some(sensor), measured);
        let refused = membership::settle(&self.plan, &mut self.occupants, slot, How::Silently, &mut sink);
        self.counts.zones_full += refused;
        surely::note(&self.plan, &mut self.occupants, slot, measured);
        sink.event(EventKind::Confirmed, self.occupants.occupant(slot), None, None);
        self.occupants.schedule(slot, self.now);
    }

    /// An occupant is seen at a place: found if it was lost, its zones worked out, its deadline set anew.
    pub(crate) fn sight(
        &mut self,
        slot: u32,
        place: Place,
        (sensor, measured): (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) {
        let mut sink = Sink::new(out, &mut self.counts.stimuli_shed, Some(sensor), measured);
        let said = sink.len();
        let before = self.occupants.occupant(slot).place;
        let entry = self.occupants.slot_mut(slot);
        entry.occupant.seen_at = entry.occupant.seen_at.max(measured);
        entry.occupant.note_sighting(Sighting { sensor, measured });
        entry.seen_place = place;
        if before != place {
            self.occupants.shift(slot, place);
        }
        let found = self.occupants.occupant(slot).presence == Presence::Lost;
        if found {
            self.occupants.find(slot);
            self.occupants.slot_mut(slot).refuted = false;
            sink.event(EventKind::Found, self.occupants.occupant(slot), None, None);
        }
        let somebody = self.occupants.slot(slot).confirmed;
        let moved_far = found || before.level != place.level || !membership::is_settled(&self.occupants, slot);
        if somebody && moved_far {
            let how = if found { How::Found } else { How::Usually };
            let refused = membership::settle(&self.plan, &mut self.occupants, slot, how, &mut sink);
            self.counts.zones_full += refused;
        }
        if somebody {
            surely::note(&self.plan, &mut self.occupants, slot, measured);
        }
        if sink.len() == said && before != place {
            sink.push(Stimulus::Moved(self.occupants.occupant(slot).track));
        }
        self.occupants.schedule(slot, self.now);
    }

    /// Takes an occupant for somebody; said where that is somebody else than before.
    pub(crate) fn identify(
        &mut self,
        slot: u32,
        person: Option<PersonId>,
        person_p: f64,
        (sensor, measured): (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) {
        let before = self.occupants.occupant(slot).person;
        self.occupants.name(slot, person, person_p);
        if before.is_some() && person.is_none() && self.occupants.occupant(slot).presence == Presence::Lost {
            self.occupants.hasten(slot, self.now.plus(FORGET_ANONYMOUS));
            self.occupants.schedule(slot, self.now);
        }
        if person.is_some() && person != before {
            Sink::new(out, &mut self.counts.stimuli_shed, Some(sensor), measured).event(
                EventKind::Identified,
                self.occupants.occupant(slot),
                None,
                None,
            );
        }
    }

    /// Whether a place is plausible and on a level that there is.
    pub(crate) fn is_here(&self, place: Place) -> bool {
        place.is_plausible() && place.level.index() < self.plan.levels()
    }

    /// A sensor's reading; rules are woken unless a newer one is known.
    fn take_reading(&mut self, reading: Reading, (sensor, measured): (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        if self.sensors.read(sensor, reading, measured) {
            Sink::new(out, &mut self.counts.stimuli_shed, Some(sensor), measured).push(Stimulus::Sensor(sensor));
        }
    }

    /// What an observation says, by kind.
    pub(crate) fn take(&mut self, observation: &Observation<'_>, out: &mut Vec<Stimulus>) -> Result<(), Refusal> {
        let from = (observation.sensor, observation.measured);
        self.calibration.hear(from.0, from.1);
        match observation.body {
            Body::Location { device, place, sigma_m } => {
                return self.observe_location(device, place, sigma_m, from, out);
            }
            Body::Range { device, range_m, sigma_m } => return self.observe_range(device, range_m, sigma_m, from, out),
            Body::Tdoa { other, device, diff_m, sigma_m } => {
                return self.observe_difference(device, other, diff_m, sigma_m, from, out);
            }
            Body::Rssi { device, rssi_dbm } => return self.observe_rssi(device, rssi_dbm, from, out),
            Body::Bearing(hits) => return self.observe_bearings(hits, from, out),
            Body::Position(items) => return self.observe_scan(items, from, out),
            Body::Points(items) => return self.observe_points(items, from, out),
            Body::Binary { on } => {
                self.take_reading(Reading::Switch(on), from, out);
                // A late report of an older state changes nothing.
                if self.sensors.status(from.0).reading_at == Some(from.1) {
                    self.weigh_switch(from.0, Some(on), from.1);
                }
            }
            Body::Badge { badge } => {
                let person = self.site.owner_of_badge(badge);
                self.take_reading(Reading::Badge { badge, person }, from, out);
                if let Some(person) = person {
                    self.bind_badge(person, from, out);
                }
            }
            Body::Crossing { direction } => {
                self.take_reading(Reading::Crossing(direction), from, out);
                self.observe_crossing(direction, from, out);
            }
            Body::Count { people } => {
                self.take_reading(Reading::People(people), from, out);
                self.observe_count(people, from);
            }
            Body::Voice { person, likelihood, bearing_rad } => {
                return self.observe_voice(person, likelihood, bearing_rad, from, out);
            }
            Body::Value { value } if value.is_finite() => self.take_reading(Reading::Quantity(value), from, out),
            Body::Value { .. } => return Err(Refusal::NotPlausible),
            Body::Button { button } => self.take_reading(Reading::Button(button), from, out),
            Body::Gesture { place, gesture } => {
                if !self.is_here(place) {
                    return Err(Refusal::NotPlausible);
                }
                let sigma_m = self.site.sensors[from.0.index()].noise.sigma_m;
                let made = self.made_by(place, sigma_m);
                let track = made.map(|m| self.occupants.occupant(m.slot).track);
                let track_p = made.map_or(0.0, |m| m.p);
                self.take_reading(Reading::Gesture { gesture, track, track_p }, from, out);
            }
            Body::Facing { place, heading_rad, .. } => {
                if !self.is_here(place) || !heading_rad.is_finite() {
                    return Err(Refusal::NotPlausible);
                }
                let sigma_m = self.site.sensors[from.0.index()].noise.sigma_m;
                // Which way somebody else looks is worse than not to know.
                if let Some(Maker { slot, .. }) = self.made_by(place, sigma_m).filter(|m| m.is_clear) {
                    let who = &mut self.occupants.slot_mut(slot).occupant;
                    who.heading_rad = Some(heading_rad);
                    let track = who.track;
                    Sink::new(out, &mut self.counts.stimuli_shed, Some(from.0), from.1).push(Stimulus::Moved(track));
                }
            }
        }
        Ok(())
    }
}

/// Whether a sensor is an anchor that ranges.
fn is_ranging(sensor: &Sensor) -> bool {
    matches!(sensor.kind, SensorKind::Range | SensorKind::Tdoa)
}

/// Whether a sensor hears how strongly, or from where, a device sends.
fn is_radio(sensor: &Sensor) -> bool {
    matches!(sensor.kind, SensorKind::Rssi | SensorKind::Bearing)
}

/// Somebody who was not known before.
pub(crate) struct Newcomer {
    pub(crate) place: Place,
    pub(crate) covariance_m2: [f64; 3],
    pub(crate) velocity_mps: [f64; 2],
    pub(crate) existence: f64,
    pub(crate) device: Option<CarriedKey>,
}

impl Newcomer {
    fn occupant(self, sighting: Sighting) -> Occupant {
        Occupant {
            track: TrackId::default(),
            place: self.place,
            velocity_mps: self.velocity_mps,
            covariance_m2: self.covariance_m2,
            heading_rad: None,
            existence: self.existence,
            device: self.device,
            person: None,
            person_p: 0.0,
            presence: Presence::Seen,
            seen_at: sighting.measured,
            moved_by: [sighting].into_iter().collect(),
            zones: ArrayVec::new(),
        }
    }
}

impl Fuse for Fusion {
    fn take_people(&mut self, site: &Arc<Site>, out: &mut Vec<Stimulus>) {
        Self::take_people(self, site, out);
    }
    fn observe(&mut self, tag: Tag, observation: &Observation<'_>, out: &mut Vec<Stimulus>) -> Result<(), Refusal> {
        self.advance_to(tag.at, out);
        if observation.sensor.index() >= self.site.sensors.len() {
            self.counts.not_plausible += 1;
            return Err(Refusal::NotPlausible);
        }
        if self.sensors.hear(observation.sensor, self.now) {
            Sink::new(out, &mut self.counts.stimuli_shed, Some(observation.sensor), observation.measured)
                .push(Stimulus::Sensor(observation.sensor));
        }
        let taken = self.take_in_place(tag, observation, out);
        match taken {
            Ok(()) => {}
            Err(Refusal::NotPlausible) => self.counts.not_plausible += 1,
            Err(Refusal::KindNotUsed) => self.counts.kind_not_used += 1,
            Err(Refusal::TracksFull) => self.counts.tracks_full += 1,
            Err(Refusal::LateDegraded) => self.counts.late_degraded += 1,
        }
        taken
    }

    fn advance(&mut self, now: LogicalNs, out: &mut Vec<Stimulus>) {
        self.advance_to(now, out);
    }

    fn next_wakeup(&self) -> Option<LogicalNs> {
        self.first_due()
    }

    fn occupant(&self, track: TrackId) -> Option<&Occupant> {
        self.occupants.of_track(track).map(|slot| self.occupants.occupant(slot))
    }

    fn for_each_occupant(&self, f: &mut dyn FnMut(&Occupant)) {
        self.occupants.in_order().for_each(|slot| f(self.occupants.occupant(slot)));
    }

    fn for_each_in(&self, zone: ZoneId, f: &mut dyn FnMut(&Occupant)) {
        self.occupants.in_zone(zone).for_each(|slot| f(self.occupants.occupant(slot)));
    }

    fn for_each_near(&self, level: LevelId, at: Point, radius_m: f64, f: &mut dyn FnMut(&Occupant)) {
        self.occupants.index.for_each_meeting(level, Aabb { min: at, max: at }.grown(radius_m), |slot| {
            let who = self.occupants.occupant(slot);
            if self.occupants.slot(slot).confirmed && who.place.at.distance(at) <= radius_m {
                f(who);
            }
        });
    }

    fn count_in(&self, zone: ZoneId) -> ZoneCount {
        self.occupants.count_in(zone)
    }

    fn occupied(&self, zone: ZoneId) -> Tri {
        let count = self.occupants.count_in(zone);
        if count.seen > 0 {
            return Tri::True;
        }
        let by_tracks = if count.lost > 0 { Tri::Unknown } else { Tri::False };
        let by_sensors = match (self.doors.somebody(zone), self.sensors.has_evidence(zone)) {
            (Some(by_doors), true) => by_doors.or(self.sensors.somebody(zone, self.now)),
            (Some(by_doors), false) => by_doors,
            (None, _) => self.sensors.somebody(zone, self.now),
        };
        by_tracks.or(by_sensors)
    }

    fn track_of(&self, person: PersonId) -> Option<(TrackId, f64)> {
        let rank = |slot: &u32| {
            let who = self.occupants.occupant(*slot);
            (who.presence == Presence::Seen, who.person_p, who.seen_at, std::cmp::Reverse(who.track))
        };
        let best = self.occupants.of_person(person).iter().copied().max_by(|a, b| {
            let (a, b) = (rank(a), rank(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)).then(a.3.cmp(&b.3))
        })?;
        let who = self.occupants.occupant(best);
        Some((who.track, who.person_p))
    }

    fn surely_in(&self, track: TrackId, zone: ZoneId) -> Option<LogicalNs> {
        surely::last(&self.plan, &self.occupants, track, zone)
    }

    fn sensor(&self, sensor: SensorId) -> SensorStatus {
        SensorStatus { health: self.health(sensor), ..self.sensors.status(sensor) }
    }

    fn alive(&self, sensor: SensorId, now: LogicalNs) -> Tri {
        self.sensors.alive(sensor, now)
    }

    fn save(&self, out: &mut Vec<u8>) {
        self.save_into(out);
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.restore_from(bytes)
    }
}
