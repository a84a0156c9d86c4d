//! The short way to read and to write the record that most of a trace may consist of: a location fix.
//!
//! **Writing.** Which bytes of a fix's record are values, and where, depends only on which of its optional values are
//! given: everything else is the same in every such record. So the last one is kept, and its values are replaced. The
//! result is the builder's, byte for byte.
//!
//! **Reading.**
//! Verifying a FlatBuffer walks all of it before the first field is read, which for a small record costs several times
//! as much as reading it. Here each field is read through its vtable with every access checked against the buffer's
//! end, and anything unexpected gives `None`: then the verified way is taken, which says what is wrong. Where the
//! verified way accepts a buffer, both give the same.

use crate::trace_schema as schema;
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{CarriedKey, LevelId, SensorId, Seq};
use osmose_model::input::Tag;
use osmose_model::observation::{Body, Observation};
use osmose_model::time::LogicalNs;

/// A table: where it begins, and where its vtable does.
#[derive(Clone, Copy)]
struct Table<'b> {
    bytes: &'b [u8],
    at: usize,
    vtable: usize,
    vtable_bytes: u16,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// What an offset points to: it counts from its own place, forwards.
fn follow(bytes: &[u8], at: usize) -> Option<usize> {
    at.checked_add(usize::try_from(u32::from_le_bytes(array(bytes, at)?)).ok()?)
}

impl<'b> Table<'b> {
    fn at(bytes: &'b [u8], at: usize) -> Option<Self> {
        let back = i64::from(i32::from_le_bytes(array(bytes, at)?));
        let vtable = usize::try_from(i64::try_from(at).ok()?.checked_sub(back)?).ok()?;
        Some(Self { bytes, at, vtable, vtable_bytes: u16_at(bytes, vtable)? })
    }

    /// Where a field stands; `None` where it is not given.
    fn field(&self, slot: u16) -> Option<Option<usize>> {
        if slot.checked_add(2)? > self.vtable_bytes {
            return Some(None);
        }
        let offset = usize::from(u16_at(self.bytes, self.vtable.checked_add(usize::from(slot))?)?);
        Some((offset != 0).then_some(self.at + offset))
    }

    fn scalar<const N: usize>(&self, slot: u16) -> Option<Option<[u8; N]>> {
        match self.field(slot)? {
            Some(at) => array(self.bytes, at).map(Some),
            None => Some(None),
        }
    }

    fn u8(&self, slot: u16) -> Option<u8> {
        self.scalar::<1>(slot).map(|b| b.map_or(0, |b| b[0]))
    }

    fn u16(&self, slot: u16) -> Option<u16> {
        self.scalar(slot).map(|b| b.map_or(0, u16::from_le_bytes))
    }

    fn u64(&self, slot: u16) -> Option<Option<u64>> {
        self.scalar(slot).map(|b| b.map(u64::from_le_bytes))
    }

    fn i64(&self, slot: u16) -> Option<i64> {
        self.scalar(slot).map(|b| b.map_or(0, i64::from_le_bytes))
    }

    fn f64(&self, slot: u16) -> Option<Option<f64>> {
        self.scalar(slot).map(|b| b.map(f64::from_le_bytes))
    }

    /// A field that is a table of its own; none of these may be missing.
    fn table(&self, slot: u16) -> Option<Self> {
        Self::at(self.bytes, follow(self.bytes, self.field(slot)??)?)
    }
}

/// The location fix that an input's record holds; `None` where it holds anything else, or is damaged.
pub fn decode_location(bytes: &[u8]) -> Option<(Tag, Observation<'static>)> {
    use schema::{Input, Location, Observation as Seen, Place as Spot};
    let input = Table::at(bytes, follow(bytes, 0)?)?;
    if input.u8(Input::VT_BODY_TYPE)? != schema::Body::Observation.0 {
        return None;
    }
    let seen = input.table(Input::VT_BODY)?;
    if seen.u8(Seen::VT_SENSED_TYPE)? != schema::Sensed::Location.0 {
        return None;
    }
    let location = seen.table(Seen::VT_SENSED)?;
    let spot = location.table(Location::VT_PLACE)?;
    let at = Point::new(spot.f64(Spot::VT_X_M)?.unwrap_or(0.0), spot.f64(Spot::VT_Y_M)?.unwrap_or(0.0));
    let body = Body::Location {
        device: CarriedKey(location.u64(Location::VT_DEVICE)?.unwrap_or(0)),
        place: Place { at, z_m: spot.f64(Spot::VT_Z_M)?, level: LevelId(spot.u16(Spot::VT_LEVEL)?) },
        sigma_m: location.f64(Location::VT_SIGMA_M)?,
    };
    let tag = Tag { at: LogicalNs(input.i64(Input::VT_AT_NS)?), seq: Seq(input.u64(Input::VT_SEQ)?.unwrap_or(0)) };
    let (sensor, measured) = (SensorId(seen.u16(Seen::VT_SENSOR)?), LogicalNs(seen.i64(Seen::VT_MEASURED_NS)?));
    Some((tag, Observation { sensor, source_seq: seen.u64(Seen::VT_SOURCE_SEQ)?, measured, body }))
}

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
    use super::*;
    use crate::trace::{TraceBuilder, decode_input, encode_input};
    use osmose_model::input::Input;
    use osmose_model::observation::ScanBuf;
    use proptest::prelude::*;

    prop_compose! {
        fn fix()(
            (sensor, source_seq, measured, device) in
                (any::<u16>(), any::<Option<u64>>(), any::<i64>(), any::<u64>()),
            (x_m, y_m, z_m, level, sigma_m) in
                (-1e6..1e6, -1e6..1e6, prop::option::of(-1e3..1e3), any::<u16>(), prop::option::of(0.0..1e3)),
            (at, seq) in (any::<i64>(), any::<u64>()),
        ) -> (Tag, Observation<'static>) {
            let place = Place { at: Point::new(x_m, y_m), z_m, level: LevelId(level) };
            let body = Body::Location { device: CarriedKey(device), place, sigma_m };
            let o = Observation { sensor: SensorId(sensor), source_seq, measured: LogicalNs(measured), body };
            (Tag { at: LogicalNs(at), seq: Seq(seq) }, o)
        }
    }

    proptest! {
        #[test]
        fn both_ways_give_the_same((tag, o) in fix()) {
            let mut builder = TraceBuilder::new();
            let bytes = encode_input(&mut builder, tag, &Input::Observation(o));
            prop_assert_eq!(decode_location(bytes), Some((tag, o)));
        }

        #[test]
        fn a_filled_template_is_what_a_fresh_builder_writes(fixes in prop::collection::vec(fix(), 1..12)) {
            let mut kept = TraceBuilder::new();
            for (tag, o) in fixes {
                let input = Input::Observation(o);
                let mut fresh = TraceBuilder::new();
                prop_assert_eq!(encode_input(&mut kept, tag, &input), encode_input(&mut fresh, tag, &input));
            }
        }

        #[test]
        fn what_is_damaged_is_no_fix_or_the_one_that_the_verified_way_gives(
            (tag, o) in fix(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut builder = TraceBuilder::new();
            let mut bytes = encode_input(&mut builder, tag, &Input::Observation(o)).to_vec();
            for (at, to) in changes {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
            bytes.truncate(cut.index(bytes.len() * 2).max(4));
            let mut scan = ScanBuf::new();
            if let (Some((tag, fix)), Ok((same_tag, same))) = (decode_location(&bytes), decode_input(&bytes, &mut scan)) {
                let shown = |tag: Tag, input: Input<'_>| format!("{tag:?} {input:?}");
                prop_assert_eq!(shown(tag, Input::Observation(fix)), shown(same_tag, same));
            }
        }
    }

    #[test]
    fn any_other_input_is_left_to_the_other_way() {
        let mut builder = TraceBuilder::new();
        let bytes = encode_input(&mut builder, Tag::default(), &Input::Tick);
        assert_eq!(decode_location(bytes), None);
        assert_eq!(decode_location(&[]), None);
        let body = Body::Binary { on: true };
        let o = Observation { sensor: SensorId(1), source_seq: None, measured: LogicalNs(0), body };
        assert_eq!(decode_location(encode_input(&mut builder, Tag::default(), &Input::Observation(o))), None);
    }
}
