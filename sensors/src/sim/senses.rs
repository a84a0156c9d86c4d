//! The simulated sensors: each with its own stream of randomness, its own phase and its own running number.
//!
//! What a kind senses stands in `scans` (places of people), `cloud` (radar), `radio` (carried devices), `sound` (who
//! talks), `lines` (doors and readers), `presence` (two-state sensors) and `rooms` (air and light); here is what they share: when they speak, and how long it takes to arrive.

use super::lines::{Doorway, Reader};
use super::nav::Nav;
use super::outbox::{Outbox, Said};
use super::people::{Act, People};
use super::presence::Presence;
use super::radio::Radio;
use super::rng::Rng;
use super::rooms::Rooms;
use super::scans::View;
use super::script::{Fault, Happening, Wrong};
use super::sound::Talk;
use crate::edge::clock::ClockMap;
use osmose_model::device::{BinaryRole, ClockKind, Sensor, SensorKind};
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::SensorId;
use osmose_model::limits::LATE_MAX_MS;
use osmose_model::observation::Body;
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, DeviceNs, DurationNs, LogicalNs, NS_PER_S};

/// How long what a kind says is on its way, milliseconds, least and most: processing and network.
const fn latency_ms(kind: SensorKind) -> [f64; 2] {
    match kind {
        SensorKind::Position | SensorKind::Facing | SensorKind::Gesture => [4.0, 9.0],
        SensorKind::Location => [8.0, 20.0],
        SensorKind::Points => [6.0, 14.0],
        SensorKind::Bearing => [5.0, 10.0],
        SensorKind::Voice => [60.0, 140.0],
        SensorKind::Value | SensorKind::Count => [5.0, 30.0],
        _ => [1.0, 3.0],
    }
}

/// How often a kind speaks where its sensor declares no rate, Hz; `None` where it speaks when something happens.
const fn default_rate_hz(kind: SensorKind) -> Option<f64> {
    match kind {
        SensorKind::Position | SensorKind::Facing | SensorKind::Points | SensorKind::Bearing => Some(10.0),
        SensorKind::Range | SensorKind::Tdoa => Some(10.0),
        SensorKind::Location | SensorKind::Count | SensorKind::Rssi => Some(1.0),
        SensorKind::Voice => Some(2.0),
        SensorKind::Value => Some(0.1),
        _ => None,
    }
}

/// Values and counts say their first within this time, however slow they are.
const FIRST_WITHIN: DurationNs = DurationNs::from_s(2);

/// The step that is being sensed.
pub(super) struct Moment<'a> {
    pub(super) site: &'a Site,
    pub(super) nav: &'a Nav,
    pub(super) people: &'a People,
    pub(super) from: ArrivalNs,
    pub(super) to: ArrivalNs,
}

impl Moment<'_> {
    /// What share of the step had passed at an instant.
    pub(super) fn share(&self, at: ArrivalNs) -> f64 {
        (at.since(self.from).as_s_f64() / self.to.since(self.from).as_s_f64()).clamp(0.0, 1.0)
    }
    /// The instant at which a share of the step had passed.
    pub(super) fn at(&self, share: f64) -> ArrivalNs {
        let step = self.to.since(self.from).as_s_f64();
        self.from.plus(DurationNs::from_s_f64(step * share).unwrap_or_default()).min(self.to)
    }
}

/// One sensor's voice: when it speaks next, and the numbers of what it says.
#[derive(Clone, Debug)]
pub(super) struct Voice {
    pub(super) rng: Rng,
    period: Option<DurationNs>,
    next: ArrivalNs,
    said: u64,
    last: ArrivalNs,
    faults: Vec<Fault>,
    /// What faults draw from: what they do not touch stays as it was.
    luck: Rng,
    /// The engine's map of the device's own clock, where that runs off.
    clock: Option<Box<ClockMap>>,
}

impl Voice {
    fn new(sensor: &Sensor, seed: u64, faults: &[Fault]) -> Self {
        let mut rng = Rng::stream(seed, &format!("sensor {}", sensor.name));
        let rate = sensor.rate_hz.filter(|r| r.is_finite() && *r > 0.0).or(default_rate_hz(sensor.kind));
        let period = rate.and_then(|r| DurationNs::from_s_f64(1.0 / r)).map(|p| p.max(DurationNs::from_ms(1)));
        let phase = rng.unit() * period.map_or(0.0, |p| p.min(FIRST_WITHIN).as_s_f64());
        let next = ArrivalNs((phase * NS_PER_S as f64) as i64);
        let faults: Vec<Fault> = faults.iter().filter(|f| f.sensor == sensor.id).copied().collect();
        let runs_off = sensor.clock == ClockKind::Device && faults.iter().any(|f| matches!(f.wrong, Wrong::Drift(_)));
        let clock = runs_off.then(Box::default);
        let luck = Rng::stream(seed, &format!("faults of {}", sensor.name));
        Self { rng, period, next, said: 0, last: ArrivalNs(0), faults, luck, clock }
    }

    /// The head of something sensed at `at`.
    pub(super) fn says(&mut self, sensor: &Sensor, at: ArrivalNs) -> Said {
        let [least, most] = latency_ms(sensor.kind);
        let latency = DurationNs((self.rng.between(least, most) * 1e6) as i64);
        let (mut leaves, mut is_lost, mut again, mut claimed_ns) = (at, false, None, at.0);
        for fault in &self.faults {
            let lasting = fault.from <= at && at < fault.to;
            match fault.wrong {
                Wrong::Silent if lasting => is_lost = true,
                Wrong::Late(late) if lasting => leaves = leaves.plus(late),
                Wrong::Held if lasting => leaves = leaves.max(fault.to),
                Wrong::Dropped(p) if lasting => is_lost |= self.luck.chance(p),
                Wrong::Twice(p) if lasting && self.luck.chance(p) => {
                    again = Some(DurationNs((self.luck.between(0.05, 3.0) * 1e6) as i64));
                }
                // What ran off stays off when the clock runs true again.
                Wrong::Drift(ppm) if fault.from <= at => {
                    let off = at.min(fault.to).since(fault.from).0 as f64 * ppm * 1e-6;
                    claimed_ns = claimed_ns.saturating_add(off as i64);
                }
                _ => {}
            }
        }
        let arrival = leaves.plus(latency).max(self.last.plus(DurationNs(1)));
        if !is_lost {
            self.last = arrival;
        }
        self.said += 1;
        let is_timed_by_arrival = sensor.clock == ClockKind::Arrival;
        let measured = match &mut self.clock {
            // As the edge does it: the engine knows no better than its map of the device's clock.
            Some(map) if !is_lost => {
                let mapped = map.map(arrival, DeviceNs(claimed_ns), DurationNs::from_ms(LATE_MAX_MS));
                mapped.map_or(arrival.0, |m| m.measured.0)
            }
            // A sensor with no clock of its own is timed when its datagram is read.
            _ if is_timed_by_arrival => arrival.0,
            _ => at.0,
        };
        let (class, measured) = (sensor.class, LogicalNs(measured));
        Said { arrival, class, sensor: sensor.id, source_seq: self.said, measured, is_lost, again, is_timed_by_arrival }
    }

    /// The next instant of a periodic sensor, where it is not after `to`.
    fn due(&mut self, to: ArrivalNs) -> Option<ArrivalNs> {
        let period = self.period?;
        let due = self.next;
        (due <= to).then(|| {
            self.next = due.plus(period);
            due
        })
    }
}

#[derive(Clone, Debug)]
enum Sense {
    Position(View),
    Location(View),
    Facing(View),
    Points(View),
    Bearing(View),
    Voice,
    Radio(Radio),
    Crossing(Option<Doorway>),
    Badge(Reader),
    Presence(Presence),
    Count,
    Value,
    /// Speaks only when the script says so, or not at all.
    Scripted,
}

/// Every sensor of the site.
#[derive(Clone, Debug)]
pub(super) struct Senses {
    channels: Vec<(Sense, Voice)>,
    talk: Talk,
}

impl Senses {
    /// The sensors of a site; what cannot be simulated is added to `notes` as sentences.
    pub(super) fn new(site: &Site, nav: &Nav, seed: u64, faults: &[Fault], notes: &mut Vec<String>) -> Self {
        if site.sensors.is_empty() {
            notes.push("The site has no sensor, so nobody is seen: declare some in devices.toml.".to_owned());
        }
        let channels = site.sensors.iter().map(|sensor| {
            let mut voice = Voice::new(sensor, seed, faults);
            let sense = match sensor.kind {
                SensorKind::Position => Sense::Position(View::new(site, nav, sensor)),
                SensorKind::Location => Sense::Location(View::new(site, nav, sensor)),
                SensorKind::Facing => Sense::Facing(View::new(site, nav, sensor)),
                SensorKind::Crossing => {
                    let doorway = Doorway::of(site, sensor);
                    if doorway.is_none() {
                        notes.push(format!("`{}` stands at no opening: it counts nobody.", sensor.name));
                    }
                    Sense::Crossing(doorway)
                }
                SensorKind::Badge => Sense::Badge(Reader::default()),
                SensorKind::Binary => {
                    let doorway =
                        if sensor.role == Some(BinaryRole::Contact) { Doorway::of(site, sensor) } else { None };
                    Sense::Presence(Presence::new(sensor, doorway, &mut voice.rng))
                }
                SensorKind::Count => Sense::Count,
                SensorKind::Value => Sense::Value,
                SensorKind::Gesture | SensorKind::Button => Sense::Scripted,
                SensorKind::Points => Sense::Points(View::new(site, nav, sensor)),
                SensorKind::Bearing => Sense::Bearing(View::new(site, nav, sensor)),
                SensorKind::Voice => Sense::Voice,
                SensorKind::Range | SensorKind::Tdoa | SensorKind::Rssi => {
                    let radio = Radio::new(site, nav, sensor);
                    if sensor.kind == SensorKind::Tdoa && radio.is_alone() {
                        let name = &sensor.name;
                        notes.push(format!(
                            "`{name}` has no second anchor on its level to differ from: it says nothing."
                        ));
                    }
                    Sense::Radio(radio)
                }
            };
            (sense, voice)
        });
        Self { channels: channels.collect(), talk: Talk::new(site, seed) }
    }

    /// Everything that is sensed in a step.
    pub(super) fn step(&mut self, moment: &Moment<'_>, rooms: &Rooms, out: &mut Outbox) {
        self.talk.step(moment);
        let talk = &self.talk;
        for (sensor, (sense, voice)) in moment.site.sensors.iter().zip(&mut self.channels) {
            match sense {
                Sense::Crossing(Some(doorway)) => doorway.sense(moment, sensor, voice, out),
                Sense::Badge(reader) => reader.sense(moment, sensor, voice, out),
                Sense::Presence(presence) => presence.sense(moment, sensor, voice, out),
                _ => {}
            }
            while let Some(at) = voice.due(moment.to) {
                match sense {
                    Sense::Position(view) => view.scan(moment, at, sensor, voice, out),
                    Sense::Location(view) => view.fixes(moment, at, sensor, voice, out),
                    Sense::Facing(view) => view.facings(moment, at, sensor, voice, out),
                    Sense::Points(view) => view.cloud(moment, at, sensor, voice, out),
                    Sense::Bearing(view) => view.bearings(moment, at, sensor, talk, voice, out),
                    Sense::Voice => talk.recognise(moment, at, sensor, voice, out),
                    Sense::Radio(radio) => radio.hear(moment, at, sensor, voice, out),
                    Sense::Presence(presence) => presence.repeat(at, sensor, voice, out),
                    Sense::Count => {
                        let is_in = |w: &&super::walker::Walker| {
                            w.is_here() && w.zones.iter().any(|z| sensor.zones.contains(z))
                        };
                        let people = moment.people.walkers.iter().filter(is_in).count() as u32;
                        let said = voice.says(sensor, at);
                        out.observation(said, Body::Count { people });
                    }
                    Sense::Value => {
                        if let Some(value) = rooms.reading(sensor, &mut voice.rng) {
                            let said = voice.says(sensor, at);
                            out.observation(said, Body::Value { value });
                        }
                    }
                    Sense::Crossing(_) | Sense::Badge(_) | Sense::Scripted => {}
                }
            }
        }
        for &(sensor, walker, act) in &moment.people.acts {
            self.act(moment, sensor, walker, act, out);
        }
    }

    fn act(&mut self, moment: &Moment<'_>, sensor: SensorId, walker: usize, act: Act, out: &mut Outbox) {
        let (sensor, walker) = (&moment.site.sensors[sensor.index()], &moment.people.walkers[walker]);
        let voice = &mut self.channels[sensor.id.index()].1;
        let body = match act {
            Act::Press(button) => Body::Button { button },
            Act::Gesture(gesture) => {
                let at = walker.before;
                let sigma_m = sensor.noise.sigma_m;
                let seen = Point::new(at.x_m + sigma_m * voice.rng.normal(), at.y_m + sigma_m * voice.rng.normal());
                Body::Gesture { place: Place { at: seen, z_m: None, level: walker.level }, gesture }
            }
        };
        let said = voice.says(sensor, moment.from);
        out.observation(said, body);
    }

    /// Something that the script makes a sensor say.
    pub(super) fn happen(&mut self, site: &Site, at: ArrivalNs, sensor: SensorId, what: Happening, out: &mut Outbox) {
        let sensor = &site.sensors[sensor.index()];
        let (sense, voice) = &mut self.channels[sensor.id.index()];
        match (what, sense) {
            (Happening::Switch(on), Sense::Presence(presence)) => presence.set(on, at, sensor, voice, out),
            (Happening::Button(button), _) => {
                let said = voice.says(sensor, at);
                out.observation(said, Body::Button { button });
            }
            (Happening::Switch(_), _) => {}
        }
    }
}
