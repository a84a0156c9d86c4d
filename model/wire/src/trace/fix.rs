//! The short way to write the record that most of a trace may consist of: a location fix.
//!
//! Which bytes of a fix's record are values, and where, depends only on which of its optional values are given: everything
//! else is the same in every such record. So the last one is kept, and its values are replaced. The result is the builder's,
//! byte for byte.

use super::short::{Table, follow};
use crate::trace_schema as schema;
use osmose_model::input::Tag;
use osmose_model::observation::{Body, Observation};

/// Which optional values a fix has: its number, its height, its sigma.
type Shape = [bool; 3];

/// The last fix of a shape that was written, and where its values stand in it.
#[derive(Debug, Default)]
pub(super) struct Template {
    bytes: Vec<u8>,
    shape: Shape,
    /// In the order of [`values`].
    places: Vec<usize>,
}

fn shape(o: &Observation<'_>) -> Option<Shape> {
    let Body::Location { ref place, sigma_m, .. } = o.body else { return None };
    Some([o.source_seq.is_some(), place.z_m.is_some(), sigma_m.is_some()])
}

/// The values of a fix's record in order; those that are not given have no bytes.
fn values(tag: Tag, o: &Observation<'_>) -> Option<[([u8; 8], usize); 11]> {
    let Body::Location { device, place, sigma_m } = o.body else { return None };
    let wide = |bytes: [u8; 8]| (bytes, 8);
    let narrow = |n: u16| {
        let [a, b] = n.to_le_bytes();
        ([a, b, 0, 0, 0, 0, 0, 0], 2)
    };
    let maybe = |bytes: Option<[u8; 8]>| bytes.map_or(([0; 8], 0), wide);
    Some([
        wide(tag.at.0.to_le_bytes()),
        wide(tag.seq.0.to_le_bytes()),
        narrow(o.sensor.0),
        maybe(o.source_seq.map(u64::to_le_bytes)),
        wide(o.measured.0.to_le_bytes()),
        wide(device.0.to_le_bytes()),
        maybe(sigma_m.map(f64::to_le_bytes)),
        wide(place.at.x_m.to_le_bytes()),
        wide(place.at.y_m.to_le_bytes()),
        maybe(place.z_m.map(f64::to_le_bytes)),
        narrow(place.level.0),
    ])
}

/// Where the values stand in a record of a fix; 0 for those that are not given.
fn places(bytes: &[u8]) -> Option<Vec<usize>> {
    use schema::{Input, Location, Observation as Seen, Place as Spot};
    let input = Table::at(bytes, follow(bytes, 0)?)?;
    let seen = input.table(Input::VT_BODY)?;
    let location = seen.table(Seen::VT_SENSED)?;
    let spot = location.table(Location::VT_PLACE)?;
    let slots = [
        (input, Input::VT_AT_NS),
        (input, Input::VT_SEQ),
        (seen, Seen::VT_SENSOR),
        (seen, Seen::VT_SOURCE_SEQ),
        (seen, Seen::VT_MEASURED_NS),
        (location, Location::VT_DEVICE),
        (location, Location::VT_SIGMA_M),
        (spot, Spot::VT_X_M),
        (spot, Spot::VT_Y_M),
        (spot, Spot::VT_Z_M),
        (spot, Spot::VT_LEVEL),
    ];
    slots.into_iter().map(|(table, slot)| table.field(slot).map(|at| at.unwrap_or(0))).collect()
}

impl Template {
    /// Whether an observation is a fix of the shape that is kept.
    pub(super) fn fits(&self, o: &Observation<'_>) -> bool {
        !self.bytes.is_empty() && shape(o) == Some(self.shape)
    }

    /// The record of an observation that fits.
    pub(super) fn fill(&mut self, tag: Tag, o: &Observation<'_>) -> &[u8] {
        for ((value, n), at) in values(tag, o).iter().flatten().zip(&self.places) {
            // The places are of this very record, which never changes its length.
            self.bytes[*at..*at + n].copy_from_slice(&value[..*n]);
        }
        &self.bytes
    }

    /// Keeps the record of an observation, where it is a fix.
    pub(super) fn keep(&mut self, o: &Observation<'_>, record: &[u8]) {
        let Some((shape, places)) = shape(o).zip(places(record)) else { return };
        self.bytes.clear();
        self.bytes.extend_from_slice(record);
        (self.shape, self.places) = (shape, places);
    }
}

#[cfg(test)]
mod tests {
    use crate::trace::short::tests::fix;
    use crate::trace::{TraceBuilder, encode_input};
    use osmose_model::input::Input;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_filled_template_is_what_a_fresh_builder_writes(fixes in prop::collection::vec(fix(), 1..12)) {
            let mut kept = TraceBuilder::new();
            for (tag, o) in fixes {
                let input = Input::Observation(o);
                let mut fresh = TraceBuilder::new();
                prop_assert_eq!(encode_input(&mut kept, tag, &input), encode_input(&mut fresh, tag, &input));
            }
        }
    }
}
