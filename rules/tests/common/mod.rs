//! A small site and a world that tests move by hand. No arbitration: what rules ask for happens at once.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it, as a module of its own")]

use osmose_model::command::{Command, CommandId, Effect, Value};
use osmose_model::device::{Actuator, ActuatorKind, BinaryRole, Cell, Sensor, SensorKind, Unit};
use osmose_model::geometry::{Area, Place, Point, Polygon, Segment};
use osmose_model::ids::{
    ActuatorId, GroupId, HolderId, LevelId, Name, PersonId, RuleId, SensorId, Seq, TrackId, WallId, ZoneId,
};
use osmose_model::input::OperatorAction;
use osmose_model::site::{
    Attribute, AttributeSpec, Booking, Frame, Group, Level, Person, Resource, Site, SourceFile, Wall, Zone,
};
use osmose_model::stages::{Decide, Source};
use osmose_model::time::{DurationNs, LogicalNs, NS_PER_S, UtcNs};
use osmose_model::tri::Tri;
use osmose_model::world::{
    EventKind, Occupant, Presence, Reading, SensorStatus, Sighting, Stimulus, WallTime, WorldEvent, WorldView,
    ZoneCount,
};
use osmose_rules::cost::{Ops, StepBound};
use osmose_rules::{Program, Rules, check};
use std::collections::BTreeMap;

pub fn name(text: &str) -> Name {
    Name::new(text).expect("short enough")
}

fn zone(id: u16, name: &str, category: &str, capacity: f64) -> Zone {
    let attributes = BTreeMap::from([
        ("bookable".to_owned(), Attribute::Bool(category == "conferenceroom")),
        ("capacity".to_owned(), Attribute::Number(capacity)),
    ]);
    Zone {
        label: name.to_uppercase(),
        category: category.to_owned(),
        attributes,
        ..Zone::plain(id, name, Area::default())
    }
}

fn actuator(id: u16, name: &str, kind: ActuatorKind, zone: Option<u16>, safe: Option<&str>) -> Actuator {
    Actuator {
        zone: zone.map(ZoneId),
        level: Some(LevelId(0)),
        safe: safe.and_then(Name::new),
        ..Actuator::plain(id, name, kind)
    }
}

fn sensor(
    id: u16,
    name: &str,
    kind: SensorKind,
    role: Option<BinaryRole>,
    unit: Option<Unit>,
    zones: &[u16],
) -> Sensor {
    Sensor { role, unit, zones: zones.iter().map(|z| ZoneId(*z)).collect(), ..Sensor::plain(id, name, kind) }
}

/// Zones m7, m9 (rooms with recorder, light, motion), lobby (two lights, a door) and corridor; people ana, ben (group
/// project-x), cleo (group staff).
pub fn site() -> Site {
    use ActuatorKind::{Display, Door, Hvac, Light, Notify, Recorder, Speaker};
    let cell = |name: &str, x_m: f64, y_m: f64| Cell {
        name: name.to_owned(),
        area: Polygon::simple(vec![
            Point::new(x_m - 0.3, y_m - 0.3),
            Point::new(x_m + 0.3, y_m - 0.3),
            Point::new(x_m + 0.3, y_m + 0.3),
            Point::new(x_m - 0.3, y_m + 0.3),
        ]),
        enter_margin_m: None,
        exit_margin_m: None,
    };
    let consents = |id: u16| BTreeMap::from([("consents".to_owned(), Attribute::Bool(id != 2))]);
    let spec = |kind: &str, default| AttributeSpec { on: "zone".to_owned(), kind: kind.to_owned(), default };
    let person = |id: u16, name: &str, group: u16| Person {
        groups: vec![GroupId(group)],
        language: Some("en".to_owned()),
        attributes: consents(id),
        ..Person::plain(id, name)
    };
    let group = |id: u16, name: &str, members: &[u16]| Group {
        id: GroupId(id),
        name: name.to_owned(),
        folder: None,
        members: members.iter().map(|p| PersonId(*p)).collect(),
    };
    Site {
        // Cambridge, for the sun; times in UTC.
        frame: Frame { origin_deg: Some((52.2053, 0.1218)), ..Frame::default() },
        levels: vec![Level { label: "Ground".to_owned(), ..Level::plain(0, "ground") }],
        zones: vec![
            zone(0, "m7", "conferenceroom", 10.0),
            zone(1, "m9", "conferenceroom", 4.0),
            zone(2, "lobby", "lobby", 30.0),
            zone(3, "corridor", "walkway", 20.0),
        ],
        walls: vec![Wall {
            id: WallId(0),
            name: "lobby-wall".to_owned(),
            level: LevelId(0),
            segments: vec![Segment { a: Point::new(0.0, 10.0), b: Point::new(4.0, 10.0) }],
            transparent: false,
            material: String::new(),
        }],
        sensors: vec![
            sensor(0, "fire-panel", SensorKind::Binary, Some(BinaryRole::Fire), None, &[]),
            sensor(1, "m7.pir", SensorKind::Binary, Some(BinaryRole::Motion), None, &[0]),
            sensor(2, "m9.pir", SensorKind::Binary, Some(BinaryRole::Motion), None, &[1]),
            sensor(3, "lux-1", SensorKind::Value, None, Some(Unit::Lux), &[2]),
            sensor(4, "ceiling-lobby", SensorKind::Position, None, None, &[2]),
            sensor(5, "camera", SensorKind::Gesture, None, None, &[]),
            sensor(6, "reader", SensorKind::Badge, None, None, &[]),
            sensor(7, "gate", SensorKind::Crossing, None, None, &[2]),
            sensor(8, "desk", SensorKind::Button, None, None, &[]),
            sensor(9, "m7.lux", SensorKind::Value, None, Some(Unit::Lux), &[0]),
        ],
        actuators: vec![
            actuator(0, "m7.recorder", Recorder, Some(0), Some("paused")),
            actuator(1, "m9.recorder", Recorder, Some(1), Some("paused")),
            actuator(2, "m7.light", Light, Some(0), None),
            actuator(3, "m9.light", Light, Some(1), None),
            actuator(4, "lobby.light-a", Light, Some(2), None),
            actuator(5, "lobby.light-b", Light, Some(2), None),
            actuator(6, "front-door", Door, Some(2), Some("open")),
            actuator(7, "m7.hvac", Hvac, Some(0), None),
            actuator(8, "lobby-display", Display, Some(2), None),
            Actuator { wall: Some(WallId(0)), ..actuator(9, "wall-display", Display, None, None) },
            actuator(10, "messages", Notify, None, None),
            Actuator {
                cells: vec![cell("desk-1", 1.0, 1.0), cell("desk-2", 5.0, 1.0)],
                ..actuator(11, "lobby.speaker", Speaker, Some(2), None)
            },
        ],
        people: vec![person(0, "ana", 0), person(1, "ben", 0), person(2, "cleo", 1)],
        groups: vec![group(0, "project-x", &[0, 1]), group(1, "staff", &[2])],
        attributes: BTreeMap::from([
            ("bookable".to_owned(), spec("bool", Attribute::Bool(false))),
            ("capacity".to_owned(), spec("people", Attribute::Number(0.0))),
            (
                "consents".to_owned(),
                AttributeSpec { on: "person".to_owned(), kind: "bool".to_owned(), default: Attribute::Bool(false) },
            ),
        ]),
        words: BTreeMap::from([("room".to_owned(), vec!["conferenceroom".to_owned(), "office".to_owned()])]),
        resources: vec![Resource {
            name: "booking".to_owned(),
            kind: "calendar".to_owned(),
            file: "bookings.ics".to_owned(),
        }],
        // m7: 10:00 to 11:00 and 11:00 to 12:00 of day 0, both booked by ana.
        bookings: [10, 11]
            .into_iter()
            .map(|hour| Booking {
                calendar: 0,
                zone: Some(ZoneId(0)),
                from: UtcNs(hour * 3600 * NS_PER_S),
                to: UtcNs((hour + 1) * 3600 * NS_PER_S),
                organiser: Some(PersonId(0)),
            })
            .collect(),
        ..Site::plain("test")
    }
}

/// Somebody who is seen in zones, known as a person or not.
pub fn someone(track: u64, person: Option<u16>, person_p: f64, zones: impl IntoIterator<Item = u16>) -> Occupant {
    Occupant {
        track: TrackId(track),
        place: Place::flat(LevelId(0), 0.0, 0.0),
        velocity_mps: [0.0; 2],
        covariance_m2: [0.1, 0.0, 0.1],
        heading_rad: None,
        existence: 1.0,
        device: None,
        person: person.map(PersonId),
        person_p,
        presence: Presence::Seen,
        seen_at: LogicalNs(0),
        moved_by: [Sighting { sensor: SensorId(0), measured: LogicalNs(0) }].into_iter().collect(),
        zones: zones.into_iter().map(ZoneId).collect(),
    }
}

pub fn source(text: &str) -> Vec<SourceFile> {
    vec![SourceFile { path: "rules/a.rules".to_owned(), text: text.to_owned() }]
}

/// What `check` says of a text, drawn as for a terminal.
pub fn said(text: &str) -> String {
    let checked = check(&site(), &source(text));
    checked.diagnostics.iter().map(|d| d.render(text, false)).collect::<Vec<_>>().join("\n\n")
}

pub fn compiled(site: &Site, text: &str) -> Program {
    let checked = check(site, &source(text));
    let drawn: Vec<String> = checked.diagnostics.iter().map(|d| d.render(text, false)).collect();
    checked.program.unwrap_or_else(|| panic!("{}", drawn.join("\n\n")))
}

/// The world as the test says it is.
#[derive(Clone)]
pub struct World {
    pub site: Site,
    pub now: i64,
    pub wall: Option<WallTime>,
    pub people: BTreeMap<u64, Occupant>,
    pub devices: BTreeMap<(ActuatorId, Name), Value>,
    pub sensors: Vec<SensorStatus>,
    pub alive: Vec<Tri>,
    /// When who was last surely in which zone; of nobody else it is known.
    pub surely: BTreeMap<(TrackId, ZoneId), LogicalNs>,
}

impl World {
    pub fn new(site: Site) -> Self {
        let count = site.sensors.len();
        World {
            site,
            now: 0,
            wall: None,
            people: BTreeMap::new(),
            devices: BTreeMap::new(),
            sensors: vec![SensorStatus::default(); count],
            alive: vec![Tri::True; count],
            surely: BTreeMap::new(),
        }
    }
}

impl WorldView for World {
    fn site(&self) -> &Site {
        &self.site
    }
    fn now(&self) -> LogicalNs {
        LogicalNs(self.now)
    }
    fn wall(&self) -> Option<WallTime> {
        self.wall.map(|w| WallTime { utc: UtcNs(w.utc.0 + self.now), ..w })
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
        let evidence = |s: &&Sensor| s.kind != SensorKind::Value && s.zones.contains(&zone);
        for sensor in self.site.sensors.iter().filter(evidence) {
            let status = self.sensors[sensor.id.index()];
            value = value.or(match (self.alive[sensor.id.index()], status.reading) {
                (Tri::True, Some(Reading::Switch(on))) => Tri::from(on),
                (Tri::True, _) => Tri::False,
                _ => Tri::Unknown,
            });
        }
        value
    }
    fn track_of(&self, person: PersonId) -> Option<(TrackId, f64)> {
        let on = self.people.values().filter(|o| o.person == Some(person));
        on.max_by(|a, b| a.person_p.total_cmp(&b.person_p)).map(|o| (o.track, o.person_p))
    }
    fn surely_in(&self, track: TrackId, zone: ZoneId) -> Option<LogicalNs> {
        self.surely.get(&(track, zone)).copied()
    }
    fn is_member(&self, person: PersonId, group: GroupId) -> bool {
        self.site.groups[group.index()].members.contains(&person)
    }
    fn device(&self, actuator: ActuatorId, property: Name) -> Option<Value> {
        self.devices.get(&(actuator, property)).copied()
    }
    fn sensor(&self, sensor: SensorId) -> SensorStatus {
        self.sensors[sensor.index()]
    }
    fn alive(&self, sensor: SensorId) -> Tri {
        self.alive[sensor.index()]
    }
}

/// Rules in a world, with everything that they asked for written down.
#[derive(Clone)]
pub struct Bench {
    pub rules: Rules,
    pub world: World,
    pub log: Vec<String>,
    seq: u64,
    bound: StepBound,
    /// What was counted, where it is asked to be kept.
    pub counts_kept: bool,
    pub counted: Ops,
    /// What is held now.
    pub holding: BTreeMap<HolderId, (RuleId, ActuatorId, Name, Value)>,
}

impl Bench {
    /// Rules that have seen the start of an empty building.
    pub fn new(text: &str) -> Self {
        let mut bench = Bench::asleep(text);
        bench.step(&[Stimulus::Start]);
        bench
    }

    /// Rules that have seen nothing yet.
    pub fn asleep(text: &str) -> Self {
        Bench::on(site(), text)
    }

    /// The same in another site.
    pub fn on(site: Site, text: &str) -> Self {
        let rules = Rules::new(compiled(&site, text));
        let bound = StepBound::new(rules.program(), &site);
        Bench {
            rules,
            world: World::new(site),
            log: Vec::new(),
            seq: 0,
            bound,
            counts_kept: false,
            counted: Ops::NONE,
            holding: BTreeMap::new(),
        }
    }

    /// Lets time pass to `s` seconds: whatever is due on the way is looked at when it is due.
    pub fn at(&mut self, s: f64) -> &mut Self {
        let to = (s * 1e9).round() as i64;
        while let Some(due) = self.rules.next_wakeup().filter(|due| due.0 <= to) {
            assert!(due.0 > self.world.now || self.world.now == 0, "a timer does not move on");
            self.world.now = due.0.max(self.world.now);
            self.step(&[]);
        }
        self.world.now = to;
        self
    }

    /// One step of the core, with commands obeyed at once, for a few rounds.
    pub fn step(&mut self, stimuli: &[Stimulus]) -> &mut Self {
        self.step_of(stimuli, None)
    }

    /// The same on account of what a sensor said.
    pub fn step_of(&mut self, stimuli: &[Stimulus], sensor: Option<SensorId>) -> &mut Self {
        let mut stimuli = stimuli.to_vec();
        for _ in 0..8 {
            let mut out = Vec::new();
            let source = Source { sensor, measured: None };
            self.rules.counted();
            self.rules.step(&stimuli, source, &self.world, &mut out);
            self.hold_to_bound(&stimuli);
            stimuli = self.obey(out);
            if stimuli.is_empty() {
                break;
            }
        }
        self
    }

    /// What the step did is never more than what `osmose check` says it may be.
    fn hold_to_bound(&mut self, stimuli: &[Stimulus]) {
        let (counted, due) = self.rules.counted();
        if self.counts_kept {
            self.counted = self.counted.and(counted);
        }
        let world = &self.world;
        let zones = |stimulus: &Stimulus| {
            let tracks = match stimulus {
                Stimulus::World(event) => [Some(event.track), event.other],
                Stimulus::Moved(track) => [Some(*track), None],
                _ => return Vec::new(),
            };
            let tracks = tracks.into_iter().flatten();
            tracks.filter_map(|t| world.occupant(t)).flat_map(|o| o.zones.to_vec()).collect()
        };
        let bound = self.bound.of(stimuli, zones, due);
        assert!(counted.within(&bound), "did {counted}; the bound is {bound}");
    }

    fn obey(&mut self, effects: Vec<Effect>) -> Vec<Stimulus> {
        let mut changed = Vec::new();
        for effect in effects {
            let line = self.line(&effect);
            self.log.push(format!("{} {line}", LogicalNs(self.world.now)));
            match effect {
                Effect::Hold { holder, rule, device, property, value, .. } => {
                    self.holding.insert(holder, (rule, device, property, value));
                }
                Effect::Release { holder, .. } => _ = self.holding.remove(&holder),
                _ => {}
            }
            let Effect::Do { rule, device, verb, args, cause, .. } = effect else { continue };
            self.seq += 1;
            let at = LogicalNs(self.world.now);
            let id = CommandId { seq: Seq(self.seq), n: 0 };
            let command = Command { id, at, source_seq: None, rule: Some(rule), device, verb, args, cause };
            self.rules.on_command(&command, &self.world);
            let kind = self.world.site.actuators[device.index()].kind;
            if let Some(state) = kind.verbs().iter().find(|v| verb == v.verb).and_then(|v| v.leads_to) {
                self.world.devices.insert((device, name("state")), Value::Name(name(state)));
                changed.push(Stimulus::Device(device));
            }
        }
        changed
    }

    fn line(&self, effect: &Effect) -> String {
        let device = |d: &ActuatorId| self.world.site.actuators[d.index()].name.clone();
        let value = |v: &Value| match v {
            Value::Name(n) => n.to_string(),
            Value::Text(t) => format!("{t:?}"),
            Value::Number(n) => format!("{n}"),
            Value::Person(p) => self.world.site.people[p.index()].name.clone(),
            other => format!("{other:?}"),
        };
        match effect {
            Effect::Do { rule, device: d, verb, args, cause, .. } => {
                let args: Vec<String> = args.iter().map(|(n, v)| format!("{n}: {}", value(v))).collect();
                let doubt = if cause.doubt { " (in doubt)" } else { "" };
                format!("{}: {}.{verb}({}){doubt}", self.rules.rule_name(*rule), device(d), args.join(", "))
            }
            Effect::Hold { rule, device: d, property, value: v, .. } => {
                format!("{}: hold {}.{property} = {}", self.rules.rule_name(*rule), device(d), value(v))
            }
            Effect::Release { holder, .. } => format!("release {holder}"),
            Effect::Forbid { rule, device: d, verb, .. } => {
                format!("{}: forbid {}.{verb}", self.rules.rule_name(*rule), device(d))
            }
        }
    }

    pub fn operator(&mut self, action: OperatorAction) -> &mut Self {
        let mut out = Vec::new();
        self.rules.on_operator(&action, &self.world, &mut out);
        let changed = self.obey(out);
        if !changed.is_empty() {
            self.step(&changed);
        }
        self
    }

    fn event(&self, kind: EventKind, track: u64, zone: Option<u16>) -> WorldEvent {
        let occupant = self.world.people.get(&track);
        WorldEvent {
            kind,
            track: TrackId(track),
            person: occupant.and_then(|o| o.person),
            person_p: occupant.map_or(0.0, |o| o.person_p),
            zone: zone.map(ZoneId),
            other: None,
            place: Place::flat(LevelId(0), 0.0, 0.0),
            sensor: None,
            measured: LogicalNs(self.world.now),
        }
    }

    pub fn tell(&mut self, kind: EventKind, track: u64, zone: Option<u16>) -> &mut Self {
        let event = self.event(kind, track, zone);
        self.step(&[Stimulus::World(event)])
    }

    /// Two may have changed places.
    pub fn may_have_swapped(&mut self, track: u64, other: u64) -> &mut Self {
        let event = WorldEvent { other: Some(TrackId(other)), ..self.event(EventKind::Swapped, track, None) };
        self.step(&[Stimulus::World(event)])
    }

    /// Somebody new is seen (in a zone or outside of all), known as a person or not.
    pub fn appears(&mut self, track: u64, person: Option<u16>, zone: Option<u16>) -> &mut Self {
        let seen_at = LogicalNs(self.world.now);
        let p = if person.is_some() { 0.99 } else { 0.0 };
        let occupant = Occupant { seen_at, ..someone(track, person, p, zone) };
        self.world.people.insert(track, occupant);
        self.tell(EventKind::Appears, track, zone)
    }

    /// Somebody who appeared in no zone is now sure to be there: his zones are known.
    pub fn is_confirmed(&mut self, track: u64, zone: u16) -> &mut Self {
        self.world.people.get_mut(&track).expect("he is there").zones = [ZoneId(zone)].into_iter().collect();
        self.tell(EventKind::Confirmed, track, None)
    }

    /// Somebody walks into a zone, or out of all.
    pub fn goes(&mut self, track: u64, zone: Option<u16>) -> &mut Self {
        let occupant = self.world.people.get_mut(&track).expect("he is there");
        let before = occupant.zones.first().copied();
        occupant.presence = Presence::Seen;
        occupant.zones.clear();
        occupant.zones.extend(zone.map(ZoneId));
        let mut stimuli = Vec::new();
        if let Some(before) = before.filter(|b| Some(b.0) != zone) {
            stimuli.push(Stimulus::World(self.event(EventKind::Leaves, track, Some(before.0))));
        }
        if let Some(zone) = zone.filter(|z| Some(ZoneId(*z)) != before) {
            stimuli.push(Stimulus::World(self.event(EventKind::Enters, track, Some(zone))));
        }
        self.step(&stimuli)
    }

    pub fn is_lost(&mut self, track: u64) -> &mut Self {
        let occupant = self.world.people.get_mut(&track).expect("he is there");
        occupant.presence = Presence::Lost;
        let zone = occupant.zones.first().map(|z| z.0);
        self.tell(EventKind::Lost, track, zone)
    }

    pub fn is_found(&mut self, track: u64) -> &mut Self {
        self.world.people.get_mut(&track).expect("he is there").presence = Presence::Seen;
        self.tell(EventKind::Found, track, None)
    }

    pub fn is_identified(&mut self, track: u64, person: Option<u16>, p: f64) -> &mut Self {
        let occupant = self.world.people.get_mut(&track).expect("he is there");
        (occupant.person, occupant.person_p) = (person.map(PersonId), p);
        self.tell(EventKind::Identified, track, None)
    }

    pub fn reads(&mut self, sensor: u16, reading: Reading) -> &mut Self {
        let status = &mut self.world.sensors[usize::from(sensor)];
        status.reading = Some(reading);
        status.count += 1;
        self.world.alive[usize::from(sensor)] = Tri::True;
        self.step_of(&[Stimulus::Sensor(SensorId(sensor))], Some(SensorId(sensor)))
    }

    /// Somebody goes to a point, at a speed, facing a way (degrees), without leaving his zones.
    pub fn stands(&mut self, track: u64, x_m: f64, y_m: f64, speed_mps: f64, facing_deg: Option<f64>) -> &mut Self {
        let occupant = self.world.people.get_mut(&track).expect("he is there");
        occupant.place = Place::flat(LevelId(0), x_m, y_m);
        occupant.velocity_mps = [speed_mps, 0.0];
        occupant.heading_rad = facing_deg.map(|deg| deg * osmose_model::geometry::RAD_PER_DEG);
        self.step(&[Stimulus::Moved(TrackId(track))])
    }

    /// Somebody is not there any more at all.
    pub fn is_gone(&mut self, track: u64) -> &mut Self {
        self.world.people.remove(&track);
        self
    }

    /// A device says something of one of its properties.
    pub fn reports(&mut self, device: u16, property: &str, value: Value) -> &mut Self {
        self.world.devices.insert((ActuatorId(device), name(property)), value);
        self.step(&[Stimulus::Device(ActuatorId(device))])
    }

    /// Restarts: what is saved is taken back by a fresh evaluator.
    pub fn restarts(&mut self) -> &mut Self {
        let mut bytes = Vec::new();
        self.rules.save(&mut bytes);
        let mut fresh = Rules::new(self.rules.program().clone());
        fresh.restore(&bytes).expect("it is the same program's");
        let mut again = Vec::new();
        fresh.save(&mut again);
        assert_eq!(bytes, again, "what is restored is what was saved");
        self.rules = fresh;
        self
    }

    /// The rules are installed anew for a site with other people or other bookings.
    pub fn goes_on_in(&mut self, site: Site, text: &str) -> &mut Self {
        self.world.site = site;
        let program = compiled(&self.world.site, text);
        self.bound = StepBound::new(&program, &self.world.site);
        let mut out = Vec::new();
        self.rules.install(program, &self.world, &mut out);
        self.obey(out);
        self
    }

    pub fn dies(&mut self, sensor: u16) -> &mut Self {
        self.world.alive[usize::from(sensor)] = Tri::False;
        self.step(&[Stimulus::Sensor(SensorId(sensor))])
    }

    pub fn device(&mut self, device: u16, state: &str) -> &mut Self {
        self.world.devices.insert((ActuatorId(device), name("state")), Value::Name(name(state)));
        self.step(&[Stimulus::Device(ActuatorId(device))])
    }

    /// Sets the wall clock: local time of day in hours.
    pub fn clock(&mut self, hours: f64) -> &mut Self {
        let utc = UtcNs((hours * 3600.0) as i64 * NS_PER_S - self.world.now);
        self.world.wall = Some(WallTime { utc, offset: DurationNs::ZERO });
        self.step(&[Stimulus::Clock])
    }

    /// What was asked for since the last question.
    pub fn took(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}
