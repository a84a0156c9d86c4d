//! Native frames (`docs/wire.md`) to claims.

use crate::claim::{Claim, Number, Text};
use osmose_model::device::SensorKind;
use osmose_model::observation::Direction;
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

/// The items of a scan, one claim each, in order; nothing for a body that is no scan.
pub fn for_each_item<'a>(observation: &schema::Observation<'a>, f: &mut impl FnMut(&Claim<'a>)) {
    if let Some(position) = observation.body_as_position() {
        for d in position.detections() {
            let numbers =
                [(Number::XM, d.x_m()), (Number::YM, d.y_m()), (Number::ZM, d.z_m()), (Number::SigmaM, d.sigma_m())];
            f(&Claim::default().with(&numbers).with_texts(&[(Text::Level, d.level())]));
        }
    } else if let Some(points) = observation.body_as_points() {
        for p in points.points() {
            let at = [(Number::XM, p.x_m()), (Number::YM, p.y_m()), (Number::ZM, p.z_m())];
            let more = [(Number::DopplerMps, p.doppler_mps()), (Number::Intensity, p.intensity())];
            f(&Claim::default().with(&at).with(&more).with_texts(&[(Text::Level, p.level())]));
        }
    } else if let Some(bearing) = observation.body_as_bearing() {
        for b in bearing.hits() {
            let numbers = [(Number::BearingDeg, b.bearing_deg()), (Number::SigmaDeg, b.sigma_deg())];
            f(&Claim::default().with(&numbers).with_texts(&[(Text::Device, b.device())]));
        }
    }
}

/// The one claim of a body that is no scan; an empty one for a scan.
#[must_use]
pub fn claim<'a>(o: &schema::Observation<'a>) -> Claim<'a> {
    let mut claim = Claim::default();
    if let Some(b) = o.body_as_location() {
        let numbers =
            [(Number::XM, b.x_m()), (Number::YM, b.y_m()), (Number::ZM, b.z_m()), (Number::SigmaM, b.sigma_m())];
        claim = claim.with(&numbers).with_texts(&[(Text::Device, Some(b.device())), (Text::Level, b.level())]);
    } else if let Some(b) = o.body_as_range() {
        claim = claim.with(&[(Number::RangeM, b.range_m()), (Number::SigmaM, b.sigma_m())]);
        claim.set_text(Text::Device, Some(b.device()));
    } else if let Some(b) = o.body_as_tdoa() {
        claim = claim.with(&[(Number::DiffM, b.diff_m()), (Number::SigmaM, b.sigma_m())]);
        claim = claim.with_texts(&[(Text::SensorB, Some(b.sensor_b())), (Text::Device, Some(b.device()))]);
    } else if let Some(b) = o.body_as_rssi() {
        claim.set_number(Number::RssiDbm, b.rssi_dbm());
        claim.set_text(Text::Device, Some(b.device()));
    } else if let Some(b) = o.body_as_voice() {
        claim = claim.with(&[(Number::Likelihood, b.likelihood()), (Number::BearingDeg, b.bearing_deg())]);
        claim.set_text(Text::Person, Some(b.person()));
    } else if let Some(b) = o.body_as_facing() {
        claim = claim.with(&[(Number::XM, b.x_m()), (Number::YM, b.y_m()), (Number::ZM, b.z_m())]);
        claim = claim.with(&[(Number::HeadingDeg, b.heading_deg()), (Number::SigmaDeg, b.sigma_deg())]);
        claim.set_text(Text::Level, b.level());
    } else if let Some(b) = o.body_as_gesture() {
        claim = claim.with(&[(Number::XM, b.x_m()), (Number::YM, b.y_m()), (Number::ZM, b.z_m())]);
        claim = claim.with_texts(&[(Text::Gesture, Some(b.gesture())), (Text::Level, b.level())]);
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
