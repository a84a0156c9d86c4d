//! Claims to observations: the one place where what devices say is checked, placed and looked up, whatever it was
//! encoded in.
//!
//! Behind this, numbers are finite and plausible, coordinates are site metres, angles are radians of the site frame,
//! and names are ids of the resolved site.

use crate::carried::{Carried, CarriedKind, News};
use crate::claim::{Claim, Number, Text};
use crate::reason::{Fault, Reason};
use osmose_model::device::{ClockKind, Normalise, Sensor, SensorKind};
use osmose_model::geometry::{Place, Point, RAD_PER_DEG};
use osmose_model::ids::{CarriedKey, LevelId, Name, PersonId, SensorId};
use osmose_model::input::Class;
use osmose_model::limits::{COORDINATE_ABS_MAX_M, SCAN_ITEMS_MAX};
use osmose_model::observation::{BearingHit, Body, CloudPoint, Detection, ScanBuf};
use osmose_model::site::Site;
use osmose_model::time::DurationNs;
use std::f64::consts::{PI, TAU};

/// What of a sensor its claims are resolved with.
#[derive(Clone, Copy, Debug)]
pub struct SensorPlan {
    /// Which sensor.
    pub id: SensorId,
    /// Its kind.
    pub kind: SensorKind,
    /// How urgent it is.
    pub class: Class,
    /// Whose clock its times are of.
    pub clock: ClockKind,
    /// How old an observation may be when it arrives.
    pub late_max: DurationNs,
    /// How ids are made comparable.
    pub normalise: Normalise,
    level: LevelId,
    at: Point,
    z_m: f64,
    heading_rad: f64,
    /// Sine and cosine of the heading, where coordinates are the sensor's own.
    turned: Option<(f64, f64)>,
}

impl SensorPlan {
    /// What of a site's sensor is needed. An always-late source may be as late as it declares on top of what all may.
    #[must_use]
    pub fn new(sensor: &Sensor, late_max: DurationNs) -> Self {
        let pose = sensor.pose;
        let turned = sensor.coordinates_are_relative.then(|| libm::sincos(pose.heading_rad));
        Self {
            id: sensor.id,
            kind: sensor.kind,
            class: sensor.class,
            clock: sensor.clock,
            late_max: DurationNs(late_max.0.saturating_add(sensor.expect_late.0)),
            normalise: sensor.connect.as_ref().map_or(Normalise::default(), |c| c.normalise),
            level: sensor.level,
            at: Point::new(pose.x_m, pose.y_m),
            z_m: pose.z_m,
            heading_rad: pose.heading_rad,
            turned,
        }
    }
}

/// Names of the site, and the carried devices met so far.
#[derive(Clone, Debug)]
pub struct Resolver {
    levels: Vec<(Box<str>, LevelId)>,
    people: Vec<(Box<str>, PersonId)>,
    sensors: Vec<(Box<str>, SensorId)>,
    /// The carried devices and badges.
    pub carried: Carried,
}

fn names<T: Copy>(all: impl Iterator<Item = (String, T)>) -> Vec<(Box<str>, T)> {
    let mut table: Vec<_> = all.map(|(name, id)| (name.into_boxed_str(), id)).collect();
    table.sort_by(|a, b| a.0.cmp(&b.0));
    table
}

fn find<T: Copy>(table: &[(Box<str>, T)], name: &str) -> Option<T> {
    table.binary_search_by(|(n, _)| (**n).cmp(name)).ok().map(|i| table[i].1)
}

/// Ranges within which numbers are plausible, both ends included.
const COORDINATE_M: (f64, f64) = (-COORDINATE_ABS_MAX_M, COORDINATE_ABS_MAX_M);
const SIGMA: (f64, f64) = (f64::MIN_POSITIVE, 1.0e4);
const RANGE_M: (f64, f64) = (0.0, COORDINATE_ABS_MAX_M);
const RSSI_DBM: (f64, f64) = (-200.0, 100.0);
const ANGLE_DEG: (f64, f64) = (-3600.0, 3600.0);
const LIKELIHOOD: (f64, f64) = (f64::MIN_POSITIVE, 1.0e300);
const SPEED_MPS: (f64, f64) = (-1000.0, 1000.0);
const PEOPLE: (f64, f64) = (0.0, 1.0e6);
const ANY: (f64, f64) = (f64::MIN, f64::MAX);

fn number(claim: &Claim<'_>, n: Number, (low, high): (f64, f64)) -> Result<Option<f64>, Fault> {
    match claim.number(n) {
        Some(v) if !v.is_finite() => Err(Fault::of(Reason::NotFinite, n.as_str())),
        Some(v) if v < low || v > high => Err(Fault::of(Reason::NotPlausible, n.as_str())),
        v => Ok(v),
    }
}

fn needed(claim: &Claim<'_>, n: Number, range: (f64, f64)) -> Result<f64, Fault> {
    number(claim, n, range)?.ok_or(Fault::of(Reason::MissingField, n.as_str()))
}

fn needed_text<'a>(claim: &Claim<'a>, t: Text) -> Result<&'a str, Fault> {
    claim.text(t).filter(|s| !s.is_empty()).ok_or(Fault::of(Reason::MissingField, t.as_str()))
}

fn needed_name(claim: &Claim<'_>, t: Text) -> Result<Name, Fault> {
    Name::new(needed_text(claim, t)?).ok_or(Fault::of(Reason::TooLong, t.as_str()))
}

/// An angle brought into [-pi, pi).
fn wrapped(rad: f64) -> f64 {
    rad - TAU * ((rad + PI) / TAU).floor()
}

impl Resolver {
    /// The names of a site.
    #[must_use]
    pub fn new(site: &Site) -> Self {
        Self {
            levels: names(site.levels.iter().map(|l| (l.name.clone(), l.id))),
            people: names(site.people.iter().map(|p| (p.name.clone(), p.id))),
            sensors: names(site.sensors.iter().map(|s| (s.name.clone(), s.id))),
            carried: Carried::new(site),
        }
    }

    /// Takes the people and carried devices of a site whose people changed.
    pub fn install(&mut self, site: &Site) {
        self.people = names(site.people.iter().map(|p| (p.name.clone(), p.id)));
        self.carried.install(site);
    }

    /// The sensor of a name.
    #[must_use]
    pub fn sensor(&self, name: &str) -> Option<SensorId> {
        find(&self.sensors, name)
    }

    fn place(&self, plan: &SensorPlan, claim: &Claim<'_>) -> Result<Place, Fault> {
        let (x, y) = (needed(claim, Number::XM, COORDINATE_M)?, needed(claim, Number::YM, COORDINATE_M)?);
        let z = number(claim, Number::ZM, COORDINATE_M)?;
        let level = match claim.text(Text::Level) {
            Some(name) => find(&self.levels, name).ok_or(Fault::of(Reason::UnknownLevel, "level"))?,
            None => plan.level,
        };
        let (at, z_m) = match plan.turned {
            // Rotation by the heading, then the sensor's own place.
            Some((sin, cos)) => {
                let at = Point::new(plan.at.x_m + cos * x - sin * y, plan.at.y_m + sin * x + cos * y);
                (at, z.map(|z| plan.z_m + z))
            }
            None => (Point::new(x, y), z),
        };
        let place = Place { at, z_m, level };
        if place.is_plausible() { Ok(place) } else { Err(Fault::of(Reason::NotPlausible, "x_m")) }
    }

    fn bearing_rad(plan: &SensorPlan, deg: f64) -> f64 {
        wrapped(plan.heading_rad + deg * RAD_PER_DEG)
    }

    fn device(
        &mut self,
        plan: &SensorPlan,
        claim: &Claim<'_>,
        news: &mut impl FnMut(News<'_>),
    ) -> Result<CarriedKey, Fault> {
        let text = needed_text(claim, Text::Device)?;
        self.carried.look_up(text, plan.normalise, CarriedKind::Device, news)
    }

    /// Adds one item of a scan to `scan`.
    ///
    /// # Errors
    /// [`Fault`] where the item is not taken; the scan is as before.
    pub fn scan_item(
        &mut self,
        plan: &SensorPlan,
        claim: &Claim<'_>,
        scan: &mut ScanBuf,
        news: &mut impl FnMut(News<'_>),
    ) -> Result<(), Fault> {
        let len = scan.detections.len().max(scan.points.len()).max(scan.bearings.len());
        if len >= SCAN_ITEMS_MAX {
            return Err(Fault::whole(Reason::TooManyItems));
        }
        match plan.kind {
            SensorKind::Points => {
                let place = self.place(plan, claim)?;
                let doppler_mps = number(claim, Number::DopplerMps, SPEED_MPS)?;
                let intensity = number(claim, Number::Intensity, ANY)?;
                scan.points.push(CloudPoint { place, doppler_mps, intensity });
            }
            SensorKind::Bearing => {
                let bearing_rad = Self::bearing_rad(plan, needed(claim, Number::BearingDeg, ANGLE_DEG)?);
                let sigma_rad = number(claim, Number::SigmaDeg, SIGMA)?.map(|s| s * RAD_PER_DEG);
                let device = match claim.text(Text::Device) {
                    Some(_) => Some(self.device(plan, claim, news)?),
                    None => None,
                };
                scan.bearings.push(BearingHit { bearing_rad, sigma_rad, device });
            }
            _ => {
                let place = self.place(plan, claim)?;
                let sigma_m = number(claim, Number::SigmaM, SIGMA)?;
                scan.detections.push(Detection { place, sigma_m });
            }
        }
        Ok(())
    }

    /// What a sensor of a kind without scans says.
    ///
    /// # Errors
    /// [`Fault`] where it is not taken.
    pub fn single(
        &mut self,
        plan: &SensorPlan,
        claim: &Claim<'_>,
        news: &mut impl FnMut(News<'_>),
    ) -> Result<Body<'static>, Fault> {
        Ok(match plan.kind {
            SensorKind::Location => {
                let (place, sigma_m) = (self.place(plan, claim)?, number(claim, Number::SigmaM, SIGMA)?);
                Body::Location { device: self.device(plan, claim, news)?, place, sigma_m }
            }
            SensorKind::Range => {
                let range_m = needed(claim, Number::RangeM, RANGE_M)?;
                let sigma_m = number(claim, Number::SigmaM, SIGMA)?;
                Body::Range { device: self.device(plan, claim, news)?, range_m, sigma_m }
            }
            SensorKind::Tdoa => {
                let (diff_m, sigma_m) =
                    (needed(claim, Number::DiffM, COORDINATE_M)?, number(claim, Number::SigmaM, SIGMA)?);
                let other = self.sensor(needed_text(claim, Text::SensorB)?);
                let other = other.ok_or(Fault::of(Reason::UnknownSensor, "sensor_b"))?;
                Body::Tdoa { other, device: self.device(plan, claim, news)?, diff_m, sigma_m }
            }
            SensorKind::Rssi => {
                let rssi_dbm = needed(claim, Number::RssiDbm, RSSI_DBM)?;
                Body::Rssi { device: self.device(plan, claim, news)?, rssi_dbm }
            }
            SensorKind::Voice => {
                let person = find(&self.people, needed_text(claim, Text::Person)?);
                let person = person.ok_or(Fault::of(Reason::UnknownPerson, "person"))?;
                let likelihood = needed(claim, Number::Likelihood, LIKELIHOOD)?;
                let bearing = number(claim, Number::BearingDeg, ANGLE_DEG)?;
                Body::Voice { person, likelihood, bearing_rad: bearing.map(|b| Self::bearing_rad(plan, b)) }
            }
            SensorKind::Facing => {
                let place = self.place(plan, claim)?;
                // Of the site frame, unless the sensor's coordinates are its own: then its directions are too.
                let own = if plan.turned.is_some() { plan.heading_rad } else { 0.0 };
                let heading_rad = wrapped(own + needed(claim, Number::HeadingDeg, ANGLE_DEG)? * RAD_PER_DEG);
                let sigma_rad = number(claim, Number::SigmaDeg, SIGMA)?.map(|s| s * RAD_PER_DEG);
                Body::Facing { place, heading_rad, sigma_rad }
            }
            SensorKind::Gesture => {
                Body::Gesture { place: self.place(plan, claim)?, gesture: needed_name(claim, Text::Gesture)? }
            }
            SensorKind::Binary => Body::Binary { on: claim.state.ok_or(Fault::of(Reason::MissingField, "state"))? },
            SensorKind::Badge => {
                let badge = needed_text(claim, Text::Badge)?;
                Body::Badge { badge: self.carried.look_up(badge, plan.normalise, CarriedKind::Badge, news)? }
            }
            SensorKind::Crossing => {
                let direction = claim.direction.ok_or(Fault::of(Reason::MissingField, "direction"))?;
                Body::Crossing { direction }
            }
            SensorKind::Count => {
                let people = needed(claim, Number::People, PEOPLE)?;
                if people.trunc() != people {
                    return Err(Fault::of(Reason::NotPlausible, "people"));
                }
                Body::Count { people: people as u32 }
            }
            SensorKind::Value => Body::Value { value: needed(claim, Number::Value, ANY)? },
            SensorKind::Button => Body::Button { button: needed_name(claim, Text::Button)? },
            SensorKind::Position | SensorKind::Points | SensorKind::Bearing => {
                return Err(Fault::whole(Reason::WrongKind));
            }
        })
    }

    /// The body of a scan that [`Resolver::scan_item`] filled.
    #[must_use]
    pub fn scan_body<'a>(kind: SensorKind, scan: &'a ScanBuf) -> Body<'a> {
        match kind {
            SensorKind::Points => Body::Points(&scan.points),
            SensorKind::Bearing => Body::Bearing(&scan.bearings),
            _ => Body::Position(&scan.detections),
        }
    }
}
