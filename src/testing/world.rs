//! The building of a scripted test: fusion's place is taken by facts that come true at their instants, so that rules
//! and arbitration run as they do live, on the same machine, with nothing sensed.

use osmose_model::ids::{PersonId, SensorId, TrackId, ZoneId};
use osmose_model::input::Tag;
use osmose_model::observation::Observation;
use osmose_model::site::Site;
use osmose_model::stages::{Fuse, Refusal, RestoreError};
use osmose_model::time::LogicalNs;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Occupant, Presence, Reading, SensorStatus, Stimulus, WorldEvent, ZoneCount};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Something that comes true.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fact {
    /// Somebody is in a zone, or in none.
    At(TrackId, Option<PersonId>, Option<ZoneId>),
    /// Somebody is not seen any more.
    Lost(TrackId),
    /// He is seen again where he was.
    Found(TrackId),
    /// A sensor says something.
    Reads(SensorId, Reading),
    /// A sensor lives, is dead, or nobody knows.
    Alive(SensorId, Tri),
}

/// The scripted building. It goes on where the engine does not: a copy of it is the building of the next one.
#[derive(Clone)]
pub(crate) struct Scripted {
    site: Arc<Site>,
    people: BTreeMap<u64, Occupant>,
    sensors: Vec<SensorStatus>,
    alive: Vec<Tri>,
    /// Ascending by time.
    script: Vec<(LogicalNs, Fact)>,
    next: usize,
    /// What sensors say, in the order in which it is observed.
    said: VecDeque<(SensorId, Reading)>,
    began: LogicalNs,
}

impl Scripted {
    /// `facts` come true by themselves at their instants; what sensors say (`Fact::Reads`) when the next observation
    /// comes in, whatever it holds: rules hear of a sensor as they do live.
    pub(crate) fn new(site: Arc<Site>, began: LogicalNs, mut facts: Vec<(LogicalNs, Fact)>) -> Self {
        facts.sort_by_key(|(at, _)| *at);
        let said = facts.iter().filter_map(|(_, fact)| match fact {
            Fact::Reads(sensor, reading) => Some((*sensor, *reading)),
            _ => None,
        });
        let said = said.collect();
        facts.retain(|(_, fact)| !matches!(fact, Fact::Reads(..)));
        let script = facts;
        let sensors = vec![SensorStatus::default(); site.sensors.len()];
        let alive = vec![Tri::True; site.sensors.len()];
        Scripted { site, people: BTreeMap::new(), sensors, alive, script, next: 0, said, began }
    }

    fn event(&self, kind: EventKind, track: TrackId, zone: Option<ZoneId>, at: LogicalNs) -> Option<Stimulus> {
        let occupant = self.people.get(&track.0)?;
        Some(Stimulus::World(WorldEvent {
            kind,
            track,
            person: occupant.person,
            person_p: occupant.person_p,
            zone,
            other: None,
            place: occupant.place,
            sensor: None,
            measured: at,
        }))
    }

    fn apply(&mut self, fact: Fact, now: LogicalNs, out: &mut Vec<Stimulus>) {
        match fact {
            Fact::At(track, person, zone) => self.put(track, person, zone, now, out),
            Fact::Lost(track) | Fact::Found(track) => {
                let lost = matches!(fact, Fact::Lost(_));
                let Some(occupant) = self.people.get_mut(&track.0) else { return };
                occupant.presence = if lost { Presence::Lost } else { Presence::Seen };
                let zone = occupant.zones.first().copied();
                out.extend(match lost {
                    true => self.event(EventKind::Lost, track, zone, now),
                    false => self.event(EventKind::Found, track, None, now),
                });
            }
            Fact::Reads(sensor, reading) => {
                let status = &mut self.sensors[sensor.index()];
                status.reading = Some(reading);
                (status.reading_at, status.heard_at) = (Some(now), Some(now));
                status.count += 1;
                self.alive[sensor.index()] = Tri::True;
                out.push(Stimulus::Sensor(sensor));
            }
            Fact::Alive(sensor, alive) => {
                self.alive[sensor.index()] = alive;
                out.push(Stimulus::Sensor(sensor));
            }
        }
    }

    fn put(
        &mut self,
        track: TrackId,
        person: Option<PersonId>,
        zone: Option<ZoneId>,
        now: LogicalNs,
        out: &mut Vec<Stimulus>,
    ) {
        let known = self.people.contains_key(&track.0);
        let level = zone.map_or(self.site.levels[0].id, |z| self.site.zones[z.index()].level);
        let place = osmose_model::geometry::Place::flat(level, 0.0, 0.0);
        let occupant = self.people.entry(track.0).or_insert_with(|| Occupant {
            track,
            place,
            velocity_mps: [0.0; 2],
            covariance_m2: [0.01, 0.0, 0.01],
            heading_rad: None,
            existence: 1.0,
            device: None,
            person,
            person_p: if person.is_some() { 0.99 } else { 0.0 },
            presence: Presence::Seen,
            seen_at: now,
            moved_by: [].into_iter().collect(),
            zones: [].into_iter().collect(),
        });
        let before = occupant.zones.first().copied();
        let was_lost = occupant.presence == Presence::Lost;
        (occupant.presence, occupant.seen_at, occupant.place) = (Presence::Seen, now, place);
        occupant.zones.clear();
        occupant.zones.extend(zone);
        if !known {
            // Who is there when the test begins was there before; who comes later comes from outside.
            let was_there = now <= self.began;
            out.extend(self.event(EventKind::Appears, track, zone.filter(|_| was_there), now));
            if was_there {
                return;
            }
        } else if was_lost {
            out.extend(self.event(EventKind::Found, track, None, now));
        }
        if before == zone {
            return;
        }
        if let Some(before) = before {
            out.extend(self.event(EventKind::Leaves, track, Some(before), now));
        }
        if zone.is_some() {
            out.extend(self.event(EventKind::Enters, track, zone, now));
        }
    }
}

impl Fuse for Scripted {
    fn observe(&mut self, tag: Tag, _: &Observation<'_>, out: &mut Vec<Stimulus>) -> Result<(), Refusal> {
        let (sensor, reading) = self.said.pop_front().ok_or(Refusal::KindNotUsed)?;
        self.apply(Fact::Reads(sensor, reading), tag.at, out);
        Ok(())
    }
    fn advance(&mut self, now: LogicalNs, out: &mut Vec<Stimulus>) {
        while let Some((_, fact)) = self.script.get(self.next).copied().filter(|(at, _)| *at <= now) {
            self.next += 1;
            self.apply(fact, now, out);
        }
    }
    fn next_wakeup(&self) -> Option<LogicalNs> {
        self.script.get(self.next).map(|(at, _)| *at)
    }
    fn occupant(&self, track: TrackId) -> Option<&Occupant> {
        self.people.get(&track.0)
    }
    fn for_each_occupant(&self, f: &mut dyn FnMut(&Occupant)) {
        self.people.values().for_each(f);
    }
    fn for_each_in(&self, zone: ZoneId, f: &mut dyn FnMut(&Occupant)) {
        self.people.values().filter(|o| o.zones.contains(&zone)).for_each(f);
    }
    fn count_in(&self, zone: ZoneId) -> ZoneCount {
        let mut count = ZoneCount::default();
        self.for_each_in(zone, &mut |o| match o.presence {
            Presence::Seen => count.seen += 1,
            Presence::Lost => count.lost += 1,
        });
        count
    }
    fn occupied(&self, zone: ZoneId) -> Tri {
        let mut value = Tri::False;
        self.for_each_in(zone, &mut |o| value = value.or(o.is_in(zone)));
        for sensor in self.site.sensors.iter().filter(|s| s.zones.contains(&zone)) {
            value = value.or(match (self.alive[sensor.id.index()], self.sensors[sensor.id.index()].reading) {
                (Tri::True, Some(Reading::Switch(on))) if sensor.role.is_some() => Tri::from(on),
                (Tri::True, _) => Tri::False,
                _ => Tri::Unknown,
            });
        }
        value
    }
    fn track_of(&self, person: PersonId) -> Option<(TrackId, f64)> {
        self.people.values().find(|o| o.person == Some(person)).map(|o| (o.track, o.person_p))
    }
    fn sensor(&self, sensor: SensorId) -> SensorStatus {
        self.sensors[sensor.index()]
    }
    fn alive(&self, sensor: SensorId, _: LogicalNs) -> Tri {
        self.alive[sensor.index()]
    }
    fn save(&self, _: &mut Vec<u8>) {}
    /// Nothing of it is saved: who restores an engine beside it gives it the building that stands.
    fn restore(&mut self, _: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}
