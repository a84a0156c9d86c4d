//! The building of a scripted test: fusion's place is taken by facts that come true at their instants, so that rules
//! and arbitration run as they do live, on the same machine, with nothing sensed.

use osmose_model::device::{Evidence, SensorKind};
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
    /// What a change of a sensor said of its zones is over.
    Quiet(SensorId),
}

/// The scripted building. It goes on where the engine does not: a copy of it is the building of the next one.
#[derive(Clone)]
pub(crate) struct Scripted {
    site: Arc<Site>,
    people: BTreeMap<u64, Occupant>,
    sensors: Vec<SensorStatus>,
    /// Until when a change of each says that somebody is there.
    changed_until: Vec<Option<LogicalNs>>,
    alive: Vec<Tri>,
    /// Per zone: the sensors whose word counts for it, ascending.
    evidence: Vec<Vec<(SensorId, Evidence)>>,
    /// Ascending by time.
    script: Vec<(LogicalNs, Fact)>,
    next: usize,
    /// What sensors say, in the order in which it is observed.
    said: VecDeque<(SensorId, Reading)>,
    began: LogicalNs,
    now: LogicalNs,
}

impl Scripted {
    /// `facts` come true by themselves at their instants; what sensors say (`Fact::Reads`) when the next observation
    /// comes in, whatever it holds: rules hear of a sensor as they do live.
    ///
    /// Every sensor lives from the beginning, and has said nothing: one that feeds tracks sees nobody then, what a
    /// detector or a counter would say is unknown until it speaks.
    pub(crate) fn new(site: Arc<Site>, began: LogicalNs, mut facts: Vec<(LogicalNs, Fact)>) -> Self {
        let over = |(at, fact): &(LogicalNs, Fact)| match fact {
            Fact::Reads(sensor, _) => {
                Some((at.plus(site.sensors[sensor.index()].change_counts_for()?), Fact::Quiet(*sensor)))
            }
            _ => None,
        };
        let quiet: Vec<(LogicalNs, Fact)> = facts.iter().filter_map(over).collect();
        facts.extend(quiet);
        facts.sort_by_key(|(at, _)| *at);
        let said = facts.iter().filter_map(|(_, fact)| match fact {
            Fact::Reads(sensor, reading) => Some((*sensor, *reading)),
            _ => None,
        });
        let said = said.collect();
        facts.retain(|(_, fact)| !matches!(fact, Fact::Reads(..)));
        let script = facts;
        let sensors = vec![SensorStatus::default(); site.sensors.len()];
        let (changed_until, alive) = (vec![None; site.sensors.len()], vec![Tri::True; site.sensors.len()]);
        let mut evidence = vec![Vec::new(); site.zones.len()];
        for sensor in &site.sensors {
            // Whoever is counted at a door is told by the script: a door that lives has nobody else to tell of.
            let counts_through = (sensor.kind == SensorKind::Crossing).then_some(Evidence::Tracks);
            let Some(worth) = sensor.evidence().or(counts_through) else { continue };
            site.zones_told_by(sensor).for_each(|zone| evidence[zone.index()].push((sensor.id, worth)));
        }
        let people = BTreeMap::new();
        Scripted { site, people, sensors, changed_until, alive, evidence, script, next: 0, said, began, now: began }
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
                if status.reading.replace(reading).is_some_and(|before| before != reading) {
                    let counts_for = self.site.sensors[sensor.index()].change_counts_for();
                    self.changed_until[sensor.index()] = counts_for.map(|length| now.plus(length));
                }
                (status.reading_at, status.heard_at) = (Some(now), Some(now));
                status.count += 1;
                self.alive[sensor.index()] = Tri::True;
                out.push(Stimulus::Sensor(sensor));
            }
            Fact::Alive(sensor, alive) => {
                self.alive[sensor.index()] = alive;
                out.push(Stimulus::Sensor(sensor));
            }
            Fact::Quiet(sensor) => out.push(Stimulus::Sensor(sensor)),
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

impl Scripted {
    /// What a sensor's word says of somebody being there, as fusion weighs it.
    fn says(&self, sensor: SensorId, worth: Evidence) -> Tri {
        let now = self.sensors[sensor.index()];
        match (worth, self.alive[sensor.index()], now.reading) {
            (Evidence::Unused, ..) | (_, Tri::False | Tri::Unknown, _) => Tri::Unknown,
            (Evidence::Tracks, Tri::True, _) => Tri::False,
            (Evidence::Switch, Tri::True, Some(Reading::Switch(on))) => on.into(),
            (Evidence::Change, Tri::True, _) => {
                self.changed_until[sensor.index()].is_some_and(|until| self.now < until).into()
            }
            (Evidence::Count, Tri::True, Some(Reading::People(n))) => (n > 0).into(),
            (Evidence::Switch | Evidence::Count, Tri::True, _) => Tri::Unknown,
        }
    }
}

impl Fuse for Scripted {
    fn observe(&mut self, tag: Tag, _: &Observation<'_>, out: &mut Vec<Stimulus>) -> Result<(), Refusal> {
        let (sensor, reading) = self.said.pop_front().ok_or(Refusal::KindNotUsed)?;
        self.now = tag.at;
        self.apply(Fact::Reads(sensor, reading), tag.at, out);
        Ok(())
    }
    fn advance(&mut self, now: LogicalNs, out: &mut Vec<Stimulus>) {
        self.now = now;
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
        let evidence = &self.evidence[zone.index()];
        if evidence.is_empty() {
            // As live: nobody says that it is empty.
            return value.or(Tri::Unknown);
        }
        evidence.iter().fold(value, |value, (sensor, worth)| value.or(self.says(*sensor, *worth)))
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
