//! Native frames (`docs/wire.md`) to claims.

use crate::claim::{Claim, Number, Text};
use osmose_model::device::SensorKind;
use osmose_model::observation::Direction;
use osmose_wire::frame::fixes::Fix;
use osmose_wire::frame_schema as schema;

/// The kind of sensor that a body is of; `None` for a body that a later version added.
#[must_use]
pub fn kind_of(body: schema::Body) -> Option<SensorKind> {
    Some(match body {
        schema::Body::Location => SensorKind::Location,
        schema::Body::Position => SensorKind::Position,
        schema::Body::Points => SensorKind::Points,
        schema::Body::Range => SensorKind::Range,
        schema::Body::Tdoa => SensorKind::Tdoa,
        schema::Body::Rssi => SensorKind::Rssi,
        schema::Body::Bearing => SensorKind::Bearing,
        schema::Body::Voice => SensorKind::Voice,
        schema::Body::Facing => SensorKind::Facing,
        schema::Body::Gesture => SensorKind::Gesture,
        schema::Body::Binary => SensorKind::Binary,
        schema::Body::Badge => SensorKind::Badge,
        schema::Body::Crossing => SensorKind::Crossing,
        schema::Body::Count => SensorKind::Count,
        schema::Body::Value => SensorKind::Value,
        schema::Body::Button => SensorKind::Button,
        _ => return None,
    })
}

/// The items of a scan, one claim each, in order; nothing for a body that is no scan. One claim is reused: every item
/// of a kind sets the same fields.
pub fn for_each_item<'a>(observation: &schema::Observation<'a>, f: &mut impl FnMut(&Claim<'a>)) {
    let mut claim = Claim::default();
    if let Some(position) = observation.body_as_position() {
        for d in position.detections() {
            claim.set_number(Number::XM, d.x_m());
            claim.set_number(Number::YM, d.y_m());
            claim.set_number(Number::ZM, d.z_m());
            claim.set_number(Number::SigmaM, d.sigma_m());
            claim.set_text(Text::Level, d.level());
            f(&claim);
        }
    } else if let Some(points) = observation.body_as_points() {
        for p in points.points() {
            claim.set_number(Number::XM, p.x_m());
            claim.set_number(Number::YM, p.y_m());
            claim.set_number(Number::ZM, p.z_m());
            claim.set_number(Number::DopplerMps, p.doppler_mps());
            claim.set_number(Number::Intensity, p.intensity());
            claim.set_text(Text::Level, p.level());
            f(&claim);
        }
    } else if let Some(bearing) = observation.body_as_bearing() {
        for b in bearing.hits() {
            claim.set_number(Number::BearingDeg, b.bearing_deg());
            claim.set_number(Number::SigmaDeg, b.sigma_deg());
            claim.set_text(Text::Device, b.device());
            f(&claim);
        }
    }
}

/// What a location fix claims, into a claim that holds nothing else: every fix sets the same fields.
pub fn fix_into<'a>(fix: &Fix<'a>, claim: &mut Claim<'a>) {
    let numbers = [(Number::XM, fix.x_m), (Number::YM, fix.y_m), (Number::ZM, fix.z_m), (Number::SigmaM, fix.sigma_m)];
    claim.set_numbers(&numbers);
    claim.set_text(Text::Device, Some(fix.device));
    claim.set_text(Text::Level, fix.level);
}

/// The one claim of a body that is no scan; an empty one for a scan.
#[must_use]
pub fn claim<'a>(o: &schema::Observation<'a>) -> Claim<'a> {
    let mut claim = Claim::default();
    let at = |x, y, z| [(Number::XM, x), (Number::YM, y), (Number::ZM, z)];
    if let Some(b) = o.body_as_location() {
        claim.set_numbers(&at(b.x_m(), b.y_m(), b.z_m()));
        claim.set_number(Number::SigmaM, b.sigma_m());
        claim.set_text(Text::Device, Some(b.device()));
        claim.set_text(Text::Level, b.level());
    } else if let Some(b) = o.body_as_range() {
        claim.set_numbers(&[(Number::RangeM, b.range_m()), (Number::SigmaM, b.sigma_m())]);
        claim.set_text(Text::Device, Some(b.device()));
    } else if let Some(b) = o.body_as_tdoa() {
        claim.set_numbers(&[(Number::DiffM, b.diff_m()), (Number::SigmaM, b.sigma_m())]);
        claim.set_text(Text::SensorB, Some(b.sensor_b()));
        claim.set_text(Text::Device, Some(b.device()));
    } else if let Some(b) = o.body_as_rssi() {
        claim.set_number(Number::RssiDbm, b.rssi_dbm());
        claim.set_text(Text::Device, Some(b.device()));
    } else if let Some(b) = o.body_as_voice() {
        claim.set_numbers(&[(Number::Likelihood, b.likelihood()), (Number::BearingDeg, b.bearing_deg())]);
        claim.set_text(Text::Person, Some(b.person()));
    } else if let Some(b) = o.body_as_facing() {
        claim.set_numbers(&at(b.x_m(), b.y_m(), b.z_m()));
        claim.set_numbers(&[(Number::HeadingDeg, b.heading_deg()), (Number::SigmaDeg, b.sigma_deg())]);
        claim.set_text(Text::Level, b.level());
    } else if let Some(b) = o.body_as_gesture() {
        claim.set_numbers(&at(b.x_m(), b.y_m(), b.z_m()));
        claim.set_text(Text::Gesture, Some(b.gesture()));
        claim.set_text(Text::Level, b.level());
    } else if let Some(b) = o.body_as_binary() {
        claim.state = b.on();
    } else if let Some(b) = o.body_as_badge() {
        claim.set_text(Text::Badge, Some(b.badge()));
    } else if let Some(b) = o.body_as_crossing() {
        claim.direction = match b.direction() {
            Some(schema::Direction::In) => Some(Direction::In),
            Some(schema::Direction::Out) => Some(Direction::Out),
            _ => None,
        };
    } else if let Some(b) = o.body_as_count() {
        claim.set_number(Number::People, b.people().map(f64::from));
    } else if let Some(b) = o.body_as_value() {
        claim.set_number(Number::Value, b.value());
    } else if let Some(b) = o.body_as_button() {
        claim.set_text(Text::Button, Some(b.button()));
    }
    claim
}
