//! What a sensor says, as a trace holds it: scans as vectors of structs, the rest as tables.

use super::values::{put_place, take_name, take_place};
use crate::WireError;
use crate::trace_schema as schema;
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{CarriedKey, LevelId, PersonId, SensorId};
use osmose_model::limits::SCAN_ITEMS_MAX;
use osmose_model::observation::{BearingHit, Body, CloudPoint, Detection, Direction, Observation, ScanBuf};
use osmose_model::time::LogicalNs;

/// An optional number as a struct holds it: NaN where it is not given, and the bit that says so.
const fn opt(value: Option<f64>, bit: u8) -> (f64, u8) {
    match value {
        Some(v) => (v, bit),
        None => (f64::NAN, 0),
    }
}

fn given(value: f64, flags: u8, bit: u8) -> Option<f64> {
    (flags & bit != 0).then_some(value)
}

fn put_detection(d: &Detection) -> schema::Detection {
    let ((z, a), (sigma, b)) = (opt(d.place.z_m, 1), opt(d.sigma_m, 2));
    schema::Detection::new(d.place.at.x_m, d.place.at.y_m, z, sigma, d.place.level.0, a | b)
}

pub(super) fn detection(d: &schema::Detection) -> Detection {
    let at = Point::new(d.x_m(), d.y_m());
    let place = Place { at, z_m: given(d.z_m(), d.given(), 1), level: LevelId(d.level()) };
    Detection { place, sigma_m: given(d.sigma_m(), d.given(), 2) }
}

fn put_point(p: &CloudPoint) -> schema::CloudPoint {
    let ((z, a), (doppler, b), (intensity, c)) = (opt(p.place.z_m, 1), opt(p.doppler_mps, 2), opt(p.intensity, 4));
    let at = p.place.at;
    schema::CloudPoint::new(at.x_m, at.y_m, z, doppler, intensity, p.place.level.0, a | b | c)
}

fn take_point(p: &schema::CloudPoint) -> CloudPoint {
    let at = Point::new(p.x_m(), p.y_m());
    let place = Place { at, z_m: given(p.z_m(), p.given(), 1), level: LevelId(p.level()) };
    let flags = p.given();
    CloudPoint { place, doppler_mps: given(p.doppler_mps(), flags, 2), intensity: given(p.intensity(), flags, 4) }
}

fn put_hit(b: &BearingHit) -> schema::BearingHit {
    let (sigma, flag) = opt(b.sigma_rad, 1);
    let device = b.device.map_or(0, |d| d.0);
    schema::BearingHit::new(b.bearing_rad, sigma, device, flag | if b.device.is_some() { 2 } else { 0 })
}

pub(super) fn bearing_hit(b: &schema::BearingHit) -> BearingHit {
    let device = (b.given() & 2 != 0).then(|| CarriedKey(b.device()));
    BearingHit { bearing_rad: b.bearing_rad(), sigma_rad: given(b.sigma_rad(), b.given(), 1), device }
}

type Put = (schema::Sensed, WIPOffset<UnionWIPOffset>);

fn put_body(fbb: &mut FlatBufferBuilder<'static>, body: &Body<'_>) -> Put {
    use schema::Sensed as S;
    match *body {
        Body::Position(items) => {
            let detections = Some(fbb.create_vector_from_iter(items.iter().map(put_detection)));
            let body = schema::Position::create(fbb, &schema::PositionArgs { detections });
            (S::Position, body.as_union_value())
        }
        Body::Points(items) => {
            let points = Some(fbb.create_vector_from_iter(items.iter().map(put_point)));
            (S::Points, schema::Points::create(fbb, &schema::PointsArgs { points }).as_union_value())
        }
        Body::Bearing(items) => {
            let hits = Some(fbb.create_vector_from_iter(items.iter().map(put_hit)));
            (S::Bearing, schema::Bearing::create(fbb, &schema::BearingArgs { hits }).as_union_value())
        }
        Body::Location { device, ref place, sigma_m } => {
            let place = Some(put_place(fbb, place));
            let args = schema::LocationArgs { device: device.0, place, sigma_m };
            (S::Location, schema::Location::create(fbb, &args).as_union_value())
        }
        Body::Range { device, range_m, sigma_m } => {
            let args = schema::RangeArgs { device: device.0, range_m, sigma_m };
            (S::Range, schema::Range::create(fbb, &args).as_union_value())
        }
        Body::Tdoa { other, device, diff_m, sigma_m } => {
            let args = schema::TdoaArgs { other: other.0, device: device.0, diff_m, sigma_m };
            (S::Tdoa, schema::Tdoa::create(fbb, &args).as_union_value())
        }
        Body::Rssi { device, rssi_dbm } => {
            let body = schema::Rssi::create(fbb, &schema::RssiArgs { device: device.0, rssi_dbm });
            (S::Rssi, body.as_union_value())
        }
        Body::Voice { person, likelihood, bearing_rad } => {
            let args = schema::VoiceArgs { person: person.0, likelihood, bearing_rad };
            (S::Voice, schema::Voice::create(fbb, &args).as_union_value())
        }
        Body::Facing { ref place, heading_rad, sigma_rad } => {
            let place = Some(put_place(fbb, place));
            let args = schema::FacingArgs { place, heading_rad, sigma_rad };
            (S::Facing, schema::Facing::create(fbb, &args).as_union_value())
        }
        Body::Gesture { ref place, gesture } => {
            let (place, gesture) = (Some(put_place(fbb, place)), Some(fbb.create_string(gesture.as_str())));
            (S::Gesture, schema::Gesture::create(fbb, &schema::GestureArgs { place, gesture }).as_union_value())
        }
        Body::Binary { on } => (S::Binary, schema::Binary::create(fbb, &schema::BinaryArgs { on }).as_union_value()),
        Body::Badge { badge } => {
            let body = schema::Badge::create(fbb, &schema::BadgeArgs { badge: badge.0 });
            (S::Badge, body.as_union_value())
        }
        Body::Crossing { direction } => {
            let direction = match direction {
                Direction::In => schema::Direction::In,
                Direction::Out => schema::Direction::Out,
            };
            (S::Crossing, schema::Crossing::create(fbb, &schema::CrossingArgs { direction }).as_union_value())
        }
        Body::Count { people } => {
            (S::Count, schema::Count::create(fbb, &schema::CountArgs { people }).as_union_value())
        }
        Body::Value { value } => {
            (S::Quantity, schema::Quantity::create(fbb, &schema::QuantityArgs { value }).as_union_value())
        }
        Body::Button { button } => {
            let button = Some(fbb.create_string(button.as_str()));
            (S::Button, schema::Button::create(fbb, &schema::ButtonArgs { button }).as_union_value())
        }
    }
}

pub(super) fn put_observation(
    fbb: &mut FlatBufferBuilder<'static>,
    o: &Observation<'_>,
) -> WIPOffset<schema::Observation<'static>> {
    let (sensed_type, sensed) = put_body(fbb, &o.body);
    let args = schema::ObservationArgs {
        sensor: o.sensor.0,
        source_seq: o.source_seq,
        measured_ns: o.measured.0,
        sensed_type,
        sensed: Some(sensed),
    };
    schema::Observation::create(fbb, &args)
}

/// Fills `items` from a vector of structs.
fn take_all<'b, S, T>(
    vector: flatbuffers::Vector<'b, S>,
    items: &mut Vec<T>,
    take: impl Fn(&'b S) -> T,
) -> Result<(), WireError>
where
    S: flatbuffers::Follow<'b, Inner = &'b S> + 'b,
{
    if vector.len() > SCAN_ITEMS_MAX {
        return Err(WireError::TooManyItems(vector.len()));
    }
    items.clear();
    items.extend(vector.iter().map(take));
    Ok(())
}

pub(super) fn take_observation<'a>(
    o: schema::Observation<'a>,
    scan: &'a mut ScanBuf,
) -> Result<Observation<'a>, WireError> {
    let body = take_body(&o, scan)?.ok_or(WireError::Unknown { what: "observation" })?;
    let measured = LogicalNs(o.measured_ns());
    Ok(Observation { sensor: SensorId(o.sensor()), source_seq: o.source_seq(), measured, body })
}

/// The body; `None` for a kind that a later version added.
fn take_body<'a>(o: &schema::Observation<'a>, scan: &'a mut ScanBuf) -> Result<Option<Body<'a>>, WireError> {
    use schema::Sensed as S;
    let key = CarriedKey;
    Ok(match o.sensed_type() {
        S::Position => match o.sensed_as_position() {
            Some(b) => {
                take_all(b.detections(), &mut scan.detections, detection)?;
                Some(Body::Position(&scan.detections))
            }
            None => None,
        },
        S::Points => match o.sensed_as_points() {
            Some(b) => {
                take_all(b.points(), &mut scan.points, take_point)?;
                Some(Body::Points(&scan.points))
            }
            None => None,
        },
        S::Bearing => match o.sensed_as_bearing() {
            Some(b) => {
                take_all(b.hits(), &mut scan.bearings, bearing_hit)?;
                Some(Body::Bearing(&scan.bearings))
            }
            None => None,
        },
        S::Location => o.sensed_as_location().map(|b| Body::Location {
            device: key(b.device()),
            place: take_place(b.place()),
            sigma_m: b.sigma_m(),
        }),
        S::Range => o.sensed_as_range().map(|b| Body::Range {
            device: key(b.device()),
            range_m: b.range_m(),
            sigma_m: b.sigma_m(),
        }),
        S::Tdoa => o.sensed_as_tdoa().map(|b| Body::Tdoa {
            other: SensorId(b.other()),
            device: key(b.device()),
            diff_m: b.diff_m(),
            sigma_m: b.sigma_m(),
        }),
        S::Rssi => o.sensed_as_rssi().map(|b| Body::Rssi { device: key(b.device()), rssi_dbm: b.rssi_dbm() }),
        S::Voice => o.sensed_as_voice().map(|b| Body::Voice {
            person: PersonId(b.person()),
            likelihood: b.likelihood(),
            bearing_rad: b.bearing_rad(),
        }),
        S::Facing => o.sensed_as_facing().map(|b| Body::Facing {
            place: take_place(b.place()),
            heading_rad: b.heading_rad(),
            sigma_rad: b.sigma_rad(),
        }),
        S::Gesture => match o.sensed_as_gesture() {
            Some(b) => Some(Body::Gesture { place: take_place(b.place()), gesture: take_name(b.gesture())? }),
            None => None,
        },
        S::Binary => o.sensed_as_binary().map(|b| Body::Binary { on: b.on() }),
        S::Badge => o.sensed_as_badge().map(|b| Body::Badge { badge: key(b.badge()) }),
        S::Crossing => o.sensed_as_crossing().and_then(|b| match b.direction() {
            schema::Direction::In => Some(Body::Crossing { direction: Direction::In }),
            schema::Direction::Out => Some(Body::Crossing { direction: Direction::Out }),
            _ => None,
        }),
        S::Count => o.sensed_as_count().map(|b| Body::Count { people: b.people() }),
        S::Quantity => o.sensed_as_quantity().map(|b| Body::Value { value: b.value() }),
        S::Button => match o.sensed_as_button() {
            Some(b) => Some(Body::Button { button: take_name(b.button())? }),
            None => None,
        },
        _ => None,
    })
}
