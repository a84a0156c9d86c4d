//! Radio: ranges and range differences to carried devices, and how strongly beacons are heard.
//!
//! A device is carried [`TAG_M`] above the floor. A slant range has the anchor's `bias_m` and a normal error of
//! `sigma_m`; where a wall stands between, or by chance with `nlos_p`, the first path is no straight one and an
//! exponential excess of mean `nlos_scale_m` comes on top (Maranò et al. 2010 measure such). A strength follows the
//! log-distance law `tx_dbm_1m - 10 exponent log10 d` (Rappaport, Wireless Communications, 4.9) with a normal error of
//! `sigma_db`, and each wall takes [`WALL_DB`]; what falls below [`DEAF_DBM`] is not heard.

use super::nav::Nav;
use super::outbox::Outbox;
use super::rng::Rng;
use super::senses::{Moment, Voice};
use osmose_model::device::{Sensor, SensorKind};
use osmose_model::geometry::{Point, Segment};
use osmose_model::ids::SensorId;
use osmose_model::observation::Body;
use osmose_model::site::Site;
use osmose_model::time::ArrivalNs;

/// How high above the floor people carry their devices, metres: a pocket, a hand.
const TAG_M: f64 = 1.1;
/// Farther away nothing is received, metres.
const REACH_M: f64 = 60.0;
/// What a wall takes of a strength, dB (ITU-R P.1238 gives 3 to 6 for light walls at 2.4 GHz).
const WALL_DB: f64 = 4.0;
/// Weaker is not heard, dBm.
const DEAF_DBM: f64 = -98.0;

/// An anchor: where it is, and what stands round it.
#[derive(Clone, Debug)]
pub(super) struct Radio {
    at: Point,
    z_m: f64,
    /// The anchor that differences are to, and where that is.
    other: Option<(SensorId, Point, f64)>,
    walls: Vec<Segment>,
}

impl Radio {
    /// An anchor of a site. The other anchor of a difference is the first of its kind on the level, and for that one the
    /// second.
    pub(super) fn new(site: &Site, nav: &Nav, sensor: &Sensor) -> Self {
        let is_other = |s: &&Sensor| s.kind == sensor.kind && s.level == sensor.level && s.id != sensor.id;
        let other = site.sensors.iter().find(is_other).filter(|_| sensor.kind == SensorKind::Tdoa);
        Self {
            at: Point::new(sensor.pose.x_m, sensor.pose.y_m),
            z_m: sensor.pose.z_m,
            other: other.map(|s| (s.id, Point::new(s.pose.x_m, s.pose.y_m), s.pose.z_m)),
            walls: nav.opaque(sensor.level).to_vec(),
        }
    }

    /// Whether it has no other anchor to differ from.
    pub(super) fn is_alone(&self) -> bool {
        self.other.is_none()
    }

    fn walls_between(&self, anchor: Point, tag: Point) -> usize {
        let line = Segment { a: anchor, b: tag };
        self.walls.iter().filter(|w| w.crosses(line)).count()
    }

    /// A measured slant range, without the anchor's bias.
    fn range(&self, anchor: (Point, f64), tag: Point, sensor: &Sensor, rng: &mut Rng) -> f64 {
        let (flat, rise) = (anchor.0.distance(tag), anchor.1 - TAG_M);
        let noise = sensor.noise;
        let is_bent = rng.chance(noise.nlos_p) || self.walls_between(anchor.0, tag) > 0;
        let excess = if is_bent { rng.exponential(noise.nlos_scale_m) } else { 0.0 };
        (flat * flat + rise * rise).sqrt() + excess
    }

    /// Everything that the anchor receives at `at`: of each device in reach, one measurement.
    pub(super) fn hear(
        &self,
        moment: &Moment<'_>,
        at: ArrivalNs,
        sensor: &Sensor,
        voice: &mut Voice,
        out: &mut Outbox,
    ) {
        let share = moment.share(at);
        let noise = sensor.noise;
        for walker in moment.people.walkers.iter().filter(|w| w.is_here() && w.level == sensor.level) {
            let tag = walker.along(share);
            if tag.distance2(self.at) > REACH_M * REACH_M {
                continue;
            }
            for &device in &walker.devices {
                let rng = &mut voice.rng;
                let body = match (sensor.kind, self.other) {
                    (SensorKind::Tdoa, Some((other, there, there_z_m))) => {
                        let near_m = self.range((self.at, self.z_m), tag, sensor, rng);
                        let far_m = self.range((there, there_z_m), tag, sensor, rng);
                        Body::Tdoa {
                            other,
                            device,
                            diff_m: far_m - near_m + noise.sigma_m * rng.normal(),
                            sigma_m: None,
                        }
                    }
                    (SensorKind::Tdoa, None) => return,
                    (SensorKind::Range, _) => {
                        let true_m = self.range((self.at, self.z_m), tag, sensor, rng);
                        let range_m = (true_m + noise.bias_m + noise.sigma_m * rng.normal()).max(0.0);
                        Body::Range { device, range_m, sigma_m: None }
                    }
                    _ => {
                        let (flat, rise) = (self.at.distance(tag), self.z_m - TAG_M);
                        let distance_m = (flat * flat + rise * rise).sqrt().max(0.1);
                        let walls = self.walls_between(self.at, tag) as f64;
                        let lost_db = 10.0 * noise.exponent * libm::log10(distance_m) + WALL_DB * walls;
                        let rssi_dbm = noise.tx_dbm_1m - lost_db + noise.sigma_db * rng.normal();
                        if rssi_dbm < DEAF_DBM {
                            continue;
                        }
                        Body::Rssi { device, rssi_dbm: rssi_dbm.min(0.0) }
                    }
                };
                let said = voice.says(sensor, at);
                out.observation(said, body);
            }
        }
    }
}
