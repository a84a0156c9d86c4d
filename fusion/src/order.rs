//! The order of observations that does not depend on when they arrived: by when they were true, then by what they are.

use osmose_model::ids::SensorId;
use osmose_model::observation::{BearingHit, Body, CloudPoint, Detection, Observation};
use osmose_model::time::LogicalNs;
use serde::{Deserialize, Serialize};

/// The place of an observation among all others. Two of the same place say the same, so that their order means nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key {
    /// When it was true; where it could not be put in order, when it was used.
    pub(crate) at: LogicalNs,
    /// 0, and higher for those that were used as they came: behind all that were in by then.
    pub(crate) rank: u32,
    sensor: u16,
    kind: u8,
    /// Of what it says; of a scan, whatever the order of its items.
    content: u64,
}

impl Key {
    /// The place of an observation that is in order.
    pub(crate) fn of(observation: &Observation<'_>) -> Self {
        let Observation { sensor, measured, ref body, .. } = *observation;
        Self { at: measured, rank: 0, sensor: sensor.0, kind: body.kind() as u8, content: content(body) }
    }

    /// The place of a sensor's falling silent.
    pub(crate) fn silence(at: LogicalNs, rank: u32, sensor: SensorId) -> Self {
        Self { at, rank, sensor: sensor.0, kind: SILENCE, content: 0 }
    }

    /// The sensor that fell silent, where it is that.
    pub(crate) fn silent(&self) -> Option<SensorId> {
        (self.kind == SILENCE).then_some(SensorId(self.sensor))
    }

    /// A place behind everything at an instant that is in order, and behind `rank - 1` others.
    pub(crate) fn behind(at: LogicalNs, rank: u32) -> Self {
        Self { at, rank, sensor: u16::MAX, kind: u8::MAX, content: u64::MAX }
    }
}

/// The kind of a sensor's falling silent, which is none of an observation.
const SILENCE: u8 = u8::MAX - 1;

/// One round of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(state: u64, word: u64) -> u64 {
    let mut z = state.wrapping_add(word).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn all(words: impl IntoIterator<Item = u64>) -> u64 {
    words.into_iter().fold(0, mix)
}

/// A number that may be absent; absent is none that there is.
fn maybe(x: Option<f64>) -> u64 {
    x.map_or(u64::MAX, f64::to_bits)
}

fn detection(d: &Detection) -> u64 {
    all([
        d.place.at.x_m.to_bits(),
        d.place.at.y_m.to_bits(),
        maybe(d.place.z_m),
        u64::from(d.place.level.0),
        maybe(d.sigma_m),
    ])
}

fn point(p: &CloudPoint) -> u64 {
    let place = detection(&Detection { place: p.place, sigma_m: None });
    all([place, maybe(p.doppler_mps), maybe(p.intensity)])
}

fn hit(h: &BearingHit) -> u64 {
    all([h.bearing_rad.to_bits(), maybe(h.sigma_rad), h.device.map_or(u64::MAX, |d| d.0)])
}

/// Items in any order.
fn set<T>(items: &[T], of: impl Fn(&T) -> u64) -> u64 {
    items.iter().fold(items.len() as u64, |sum, item| sum.wrapping_add(of(item)))
}

fn content(body: &Body<'_>) -> u64 {
    let place = |p: &osmose_model::geometry::Place| detection(&Detection { place: *p, sigma_m: None });
    let text = |name: &osmose_model::ids::Name| all(name.as_str().bytes().map(u64::from));
    match body {
        Body::Position(items) => set(items, detection),
        Body::Points(items) => set(items, point),
        Body::Bearing(items) => set(items, hit),
        Body::Location { device, place: p, sigma_m } => all([device.0, place(p), maybe(*sigma_m)]),
        Body::Range { device, range_m, sigma_m } => all([device.0, range_m.to_bits(), maybe(*sigma_m)]),
        Body::Tdoa { other, device, diff_m, sigma_m } => {
            all([device.0, u64::from(other.0), diff_m.to_bits(), maybe(*sigma_m)])
        }
        Body::Rssi { device, rssi_dbm } => all([device.0, rssi_dbm.to_bits()]),
        Body::Voice { person, likelihood, bearing_rad } => {
            all([u64::from(person.0), likelihood.to_bits(), maybe(*bearing_rad)])
        }
        Body::Facing { place: p, heading_rad, sigma_rad } => all([place(p), heading_rad.to_bits(), maybe(*sigma_rad)]),
        Body::Gesture { place: p, gesture } => all([place(p), text(gesture)]),
        Body::Binary { on } => u64::from(*on),
        Body::Badge { badge } => badge.0,
        Body::Crossing { direction } => *direction as u64,
        Body::Count { people } => u64::from(*people),
        Body::Value { value } => value.to_bits(),
        Body::Button { button } => text(button),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::geometry::Place;
    use osmose_model::ids::LevelId;
    use proptest::prelude::*;

    fn key(sensor: u16, ns: i64, body: Body<'_>) -> Key {
        Key::of(&Observation { sensor: SensorId(sensor), source_seq: Some(7), measured: LogicalNs(ns), body })
    }

    #[test]
    fn time_comes_first_and_what_could_not_be_put_in_order_comes_behind() {
        let (on, off) = (Body::Binary { on: true }, Body::Binary { on: false });
        assert!(key(9, 1, on) < key(0, 2, off));
        assert!(key(0, 1, on) < key(1, 1, off));
        assert_ne!(key(0, 1, on), key(0, 1, off));
        assert!(key(u16::MAX, 5, on) < Key::behind(LogicalNs(5), 1));
        assert!(Key::behind(LogicalNs(5), 1) < Key::behind(LogicalNs(5), 2));
        assert!(Key::behind(LogicalNs(5), 9) < key(0, 6, on));
    }

    proptest! {
        #[test]
        fn the_order_of_a_scans_items_means_nothing_and_the_items_do(
            items in prop::collection::vec((-9.0..9.0f64, -9.0..9.0f64), 1..9), turn in 0usize..9,
        ) {
            let scan: Vec<Detection> = items.iter()
                .map(|&(x, y)| Detection { place: Place::flat(LevelId(0), x, y), sigma_m: None }).collect();
            let mut turned = scan.clone();
            turned.rotate_left(turn % scan.len());
            prop_assert_eq!(key(0, 0, Body::Position(&scan)), key(0, 0, Body::Position(&turned)));
            turned[0].place.at.x_m += 1.0;
            prop_assert_ne!(key(0, 0, Body::Position(&scan)), key(0, 0, Body::Position(&turned)));
            prop_assert_ne!(key(0, 0, Body::Position(&scan)), key(0, 0, Body::Position(&scan[1..])));
        }
    }
}
