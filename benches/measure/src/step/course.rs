//! Streams of observations: for each kind of sensor one that goes on for ever, the same on every run.
//!
//! People walk as in the peer job. Kinds that need somebody to be there (a badge, a gesture) get a fix of that person before
//! each of theirs, which is stepped and not timed.

use crate::dist::Dist;
use crate::job::{Job, room};
use crate::sites::Plan;
use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan as Arbitration, Rules, StepSink};
use osmose_model::canon;
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{CarriedKey, LevelId, Name, PersonId, SensorId};
use osmose_model::input::{Input, Tag};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::{BearingHit, Body, CloudPoint, Detection, Direction, Observation, ScanBuf};
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs};
use std::sync::Arc;
use std::time::Instant;

/// Between two observations of a stream of fixes.
const APART: DurationNs = DurationNs::from_us(100);
/// Between two scans.
const SCAN_APART: DurationNs = DurationNs::from_ms(100);
/// Points that a radar sees of one person.
const POINTS_EACH: usize = 8;

/// A kind of observation, as its row measures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the sensor kind of its name")]
pub enum Kind {
    Location,
    Position,
    Points,
    Range,
    Tdoa,
    Rssi,
    Bearing,
    Voice,
    Facing,
    Gesture,
    Binary,
    Badge,
    Crossing,
    Count,
    Value,
    Button,
}

impl Kind {
    /// Every kind, in the order of the guides.
    pub const ALL: [Self; 16] = [
        Self::Location,
        Self::Position,
        Self::Points,
        Self::Range,
        Self::Tdoa,
        Self::Rssi,
        Self::Bearing,
        Self::Voice,
        Self::Facing,
        Self::Gesture,
        Self::Binary,
        Self::Badge,
        Self::Crossing,
        Self::Count,
        Self::Value,
        Self::Button,
    ];

    /// What its row says.
    #[must_use]
    pub fn what(self) -> String {
        match self {
            Self::Location => "location fix, 20 people",
            Self::Position => "position: a scan of 20 people",
            Self::Points => "points: a cloud of 160 points, 20 people",
            Self::Range => "range, 4 anchors, 20 devices",
            Self::Tdoa => "tdoa, 4 anchors, 20 devices",
            Self::Rssi => "rssi, 4 receivers, 20 devices",
            Self::Bearing => "bearing: a scan of 20 directions",
            Self::Voice => "voice, in a room",
            Self::Facing => "facing, of somebody who is there",
            Self::Gesture => "gesture, of somebody who is there",
            Self::Binary => "binary: motion",
            Self::Badge => "badge, of somebody who is there",
            Self::Crossing => "crossing of a door",
            Self::Count => "count of a room",
            Self::Value => "value",
            Self::Button => "button",
        }
        .to_owned()
    }

    /// Whether somebody must be seen before each observation.
    fn needs_somebody(self) -> bool {
        matches!(self, Self::Voice | Self::Facing | Self::Gesture | Self::Badge | Self::Crossing)
    }

    /// Whether it comes in scans.
    fn is_scan(self) -> bool {
        matches!(self, Self::Position | Self::Points | Self::Bearing)
    }
}

/// Times steps while it is told to.
struct Timer {
    dist: Dist,
    counts: bool,
    begun: Instant,
}

impl StepSink<Fusion, Rules, Arbitration> for Timer {
    fn sequenced(&mut self, _: Tag, _: &[u8]) {
        self.begun = Instant::now();
    }

    fn decided(&mut self, _: Tag, input: &Input<'_>, _: &Outbox, _: &Core) {
        let took = self.begun.elapsed();
        // Ticks that fell due before the observation are not it.
        if self.counts && matches!(input, Input::Observation(_)) {
            self.dist.add_span(took);
        }
    }
}

/// A machine with its stream.
pub(super) struct Course {
    site: Arc<Site>,
    driver: CoreDriver,
    kind: Kind,
    job: Job,
    /// Where everybody of the job was last.
    places: Vec<Place>,
    keys: Vec<CarriedKey>,
    badges: Vec<CarriedKey>,
    now: ArrivalNs,
    number: u64,
    timer: Timer,
    encoded: Vec<u8>,
    scan: ScanBuf,
}

impl Course {
    pub(super) fn new(plan: &Plan, kind: Kind) -> Result<Self, String> {
        let ready = plan.load()?;
        let people = plan.people;
        let place = |k: usize| {
            let (x0, y0, x1, y1) = room(k % crate::job::ROOMS);
            Place::flat(LevelId(0), f64::midpoint(x0, x1), f64::midpoint(y0, y1))
        };
        let mut course = Self {
            driver: CoreDriver::new(ready.core()),
            site: ready.site,
            kind,
            job: Job::of_people(people),
            places: (0..people).map(place).collect(),
            keys: (0..people).map(|k| CarriedKey::of(&format!("p{k}"))).collect(),
            badges: (0..people).map(|k| CarriedKey::of(&format!("b{k}"))).collect(),
            now: ArrivalNs(0),
            number: 0,
            timer: Timer { dist: Dist::new(), counts: false, begun: Instant::now() },
            encoded: vec![0; INPUT_BYTES_MAX],
            scan: ScanBuf::new(),
        };
        course.warm_up();
        Ok(course)
    }

    /// Everybody is seen, and the stream has run for long enough that what is allocated once is allocated.
    fn warm_up(&mut self) {
        let first = self.places.len().max(200);
        if self.kind == Kind::Location || self.kind.needs_somebody() {
            (0..first).for_each(|_| self.fix(false));
        }
        (0..200).for_each(|_| self.one(false));
    }

    /// So many observations of the kind, each timed.
    pub(super) fn measure(&mut self, observations: usize) -> Dist {
        self.timer.dist = Dist::new();
        let mut left = observations;
        while left > 0 {
            self.one(true);
            left -= 1;
        }
        std::mem::take(&mut self.timer.dist)
    }

    fn one(&mut self, counts: bool) {
        if self.kind == Kind::Location {
            return self.fix(counts);
        }
        if self.kind.needs_somebody() {
            self.fix(false);
        } else {
            // The others move as well, unseen.
            for _ in 0..if self.kind.is_scan() { self.places.len() / 4 } else { 1 } {
                let e = self.job.event();
                self.places[e.person] = Place::flat(LevelId(0), e.x_m, e.y_m);
            }
        }
        self.now = self.now.plus(if self.kind.is_scan() { SCAN_APART } else { APART });
        self.sense(counts);
    }

    /// The next fix of the job.
    fn fix(&mut self, counts: bool) {
        let e = self.job.event();
        let place = Place::flat(LevelId(0), e.x_m, e.y_m);
        self.places[e.person] = place;
        self.now = self.now.plus(APART);
        let body = Body::Location { device: self.keys[e.person], place, sigma_m: None };
        self.step("positions", body, counts);
    }

    /// Encodes and steps one observation.
    fn step(&mut self, sensor: &str, body: Body<'_>, counts: bool) {
        self.number += 1;
        let sensor = self.site.sensor_named(sensor).unwrap_or(SensorId(0));
        let (source_seq, measured) = (Some(self.number), LogicalNs(self.now.0));
        let input = Input::Observation(Observation { sensor, source_seq, measured, body });
        let n = canon::encode_input(&input, &mut self.encoded).unwrap_or(0);
        self.timer.counts = counts;
        let fed = self.driver.feed_canonical(self.now, &self.encoded[..n], &mut self.scan, &mut self.timer);
        debug_assert!(fed.is_ok(), "what was encoded decodes: {fed:?}");
    }

    /// One observation of the kind.
    fn sense(&mut self, counts: bool) {
        let n = self.number as usize;
        let who = n % self.places.len();
        let (place, device) = (self.places[who], self.keys[who]);
        // Small and the same on every run: the noise of a sensor, without a random source.
        let jitter = |i: usize| (i.wrapping_mul(2_654_435_761) % 1000) as f64 / 1000.0 - 0.5;
        let anchor = n / self.places.len() % 4;
        match self.kind {
            Kind::Location => {}
            Kind::Position => {
                let seen = |(i, p): (usize, &Place)| Detection {
                    place: moved(p, jitter(n + i) * 0.2, jitter(n + 7 * i) * 0.2),
                    sigma_m: None,
                };
                let scan: Vec<Detection> = self.places.iter().enumerate().map(seen).collect();
                self.step("ceiling", Body::Position(&scan), counts);
            }
            Kind::Points => {
                let cloud = |(i, p): (usize, &Place)| {
                    let p = *p;
                    (0..POINTS_EACH).map(move |j| CloudPoint {
                        place: moved(&p, jitter(n + i * 31 + j) * 0.4, jitter(n + i * 17 + 5 * j) * 0.4),
                        doppler_mps: Some(jitter(n + j)),
                        intensity: None,
                    })
                };
                let scan: Vec<CloudPoint> = self.places.iter().enumerate().flat_map(cloud).collect();
                self.step("radar", Body::Points(&scan), counts);
            }
            Kind::Range => {
                let name = ["range-0", "range-1", "range-2", "range-3"][anchor];
                let range_m = self.distance(name, place) + jitter(n) * 0.2;
                self.step(name, Body::Range { device, range_m, sigma_m: None }, counts);
            }
            Kind::Tdoa => {
                let names = ["tdoa-0", "tdoa-1", "tdoa-2", "tdoa-3"];
                let (a, b) = (names[anchor], names[(anchor + 1) % 4]);
                let diff_m = self.distance(b, place) - self.distance(a, place) + jitter(n) * 0.2;
                let other = self.site.sensor_named(b).unwrap_or(SensorId(0));
                self.step(a, Body::Tdoa { other, device, diff_m, sigma_m: None }, counts);
            }
            Kind::Rssi => {
                let name = ["rssi-0", "rssi-1", "rssi-2", "rssi-3"][anchor];
                let rssi_dbm = -59.0 - 20.0 * self.distance(name, place).max(0.5).log10() + jitter(n) * 6.0;
                self.step(name, Body::Rssi { device, rssi_dbm }, counts);
            }
            Kind::Bearing => {
                let name = ["bearing-0", "bearing-1", "bearing-2", "bearing-3"][anchor];
                let from = self.site.sensor_named(name).map_or(Point::new(0.0, 0.0), |s| {
                    let pose = self.site.sensors[s.index()].pose;
                    Point::new(pose.x_m, pose.y_m)
                });
                let hit = |(i, p): (usize, &Place)| BearingHit {
                    bearing_rad: (p.at.y_m - from.y_m).atan2(p.at.x_m - from.x_m) + jitter(n + i) * 0.05,
                    sigma_rad: None,
                    device: None,
                };
                let hits: Vec<BearingHit> = self.places.iter().enumerate().map(hit).collect();
                self.step(name, Body::Bearing(&hits), counts);
            }
            Kind::Voice => {
                let person = PersonId(who as u16);
                self.step("voice", Body::Voice { person, likelihood: 20.0, bearing_rad: None }, counts);
            }
            Kind::Facing => {
                let heading_rad = jitter(n) * 6.0;
                self.step("facing", Body::Facing { place, heading_rad, sigma_rad: None }, counts);
            }
            Kind::Gesture => {
                let gesture = Name::new("wave").unwrap_or_default();
                self.step("gesture", Body::Gesture { place, gesture }, counts);
            }
            Kind::Binary => self.step("motion", Body::Binary { on: n.is_multiple_of(2) }, counts),
            Kind::Badge => {
                let badge = self.badges[who];
                self.step("reader", Body::Badge { badge }, counts);
            }
            Kind::Crossing => {
                let direction = if n.is_multiple_of(2) { Direction::In } else { Direction::Out };
                self.step("door", Body::Crossing { direction }, counts);
            }
            Kind::Count => self.step("counter", Body::Count { people: (n % 12) as u32 }, counts),
            Kind::Value => self.step("lux", Body::Value { value: 40.0 + jitter(n) }, counts),
            Kind::Button => {
                let button = Name::new("ring").unwrap_or_default();
                self.step("bell", Body::Button { button }, counts);
            }
        }
    }

    /// From a sensor to a device that is carried at 1.2 m, metres.
    fn distance(&self, sensor: &str, to: Place) -> f64 {
        let Some(id) = self.site.sensor_named(sensor) else { return 1.0 };
        let pose = self.site.sensors[id.index()].pose;
        let (dx, dy, dz) = (to.at.x_m - pose.x_m, to.at.y_m - pose.y_m, 1.2 - pose.z_m);
        (dx * dx + dy * dy + dz * dz).sqrt()
    }
}

fn moved(p: &Place, dx_m: f64, dy_m: f64) -> Place {
    Place::flat(p.level, p.at.x_m + dx_m, p.at.y_m + dy_m)
}
