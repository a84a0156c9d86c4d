//! The short way to read the records that most of a trace consists of: location fixes, scans and bearings.
//!
//! Verifying a FlatBuffer walks all of it before the first field is read, which for a small record costs several times
//! as much as reading it. Here each field is read through its vtable with every access checked against the buffer's
//! end, and anything unexpected gives `None`: then the verified way is taken, which says what is wrong. Where the
//! verified way accepts a buffer, both give the same.

use super::input::decode_input;
use super::observation::{bearing_hit, detection};
use crate::WireError;
use crate::trace_schema as schema;
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{CarriedKey, LevelId, SensorId, Seq};
use osmose_model::input::{Input, Tag};
use osmose_model::limits::SCAN_ITEMS_MAX;
use osmose_model::observation::{Body, Observation, ScanBuf};
use osmose_model::time::LogicalNs;

/// A table: where it begins, and where its vtable does.
#[derive(Clone, Copy)]
pub(super) struct Table<'b> {
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
pub(super) fn follow(bytes: &[u8], at: usize) -> Option<usize> {
    at.checked_add(usize::try_from(u32::from_le_bytes(array(bytes, at)?)).ok()?)
}

impl<'b> Table<'b> {
    pub(super) fn at(bytes: &'b [u8], at: usize) -> Option<Self> {
        let back = i64::from(i32::from_le_bytes(array(bytes, at)?));
        let vtable = usize::try_from(i64::try_from(at).ok()?.checked_sub(back)?).ok()?;
        Some(Self { bytes, at, vtable, vtable_bytes: u16_at(bytes, vtable)? })
    }

    /// Where a field stands; `None` where it is not given.
    pub(super) fn field(&self, slot: u16) -> Option<Option<usize>> {
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
    pub(super) fn table(&self, slot: u16) -> Option<Self> {
        Self::at(self.bytes, follow(self.bytes, self.field(slot)??)?)
    }

    /// A field that is a vector of things of `N` bytes each: their bytes.
    fn vector<const N: usize>(&self, slot: u16) -> Option<&'b [[u8; N]]> {
        let at = follow(self.bytes, self.field(slot)??)?;
        let n = usize::try_from(u32::from_le_bytes(array(self.bytes, at)?)).ok()?;
        let bytes = self.bytes.get(at + 4..)?.get(..n.checked_mul(N)?)?;
        Some(bytes.as_chunks().0)
    }
}

/// What was sensed, with the items of a scan put aside.
enum Sensed {
    Location { device: CarriedKey, place: Place, sigma_m: Option<f64> },
    Position,
    Bearing,
}

/// An observation without what it sensed.
type Head = (Tag, SensorId, Option<u64>, LogicalNs);

/// Reads an input of a record that a checksum covers, and so is what was written: the short way where there is one, else
/// as [`decode_input`].
///
/// # Errors
/// As [`decode_input`].
pub fn decode_checked_input<'a>(bytes: &'a [u8], scan: &'a mut ScanBuf) -> Result<(Tag, Input<'a>), WireError> {
    let Some(((tag, sensor, source_seq, measured), sensed)) = read(bytes, scan) else {
        return decode_input(bytes, scan);
    };
    let body = match sensed {
        Sensed::Location { device, place, sigma_m } => Body::Location { device, place, sigma_m },
        Sensed::Position => Body::Position(&scan.detections),
        Sensed::Bearing => Body::Bearing(&scan.bearings),
    };
    Ok((tag, Input::Observation(Observation { sensor, source_seq, measured, body })))
}

/// The observation that an input's record holds; `None` where it holds anything that has no short way, or is damaged.
fn read(bytes: &[u8], scan: &mut ScanBuf) -> Option<(Head, Sensed)> {
    use schema::{Bearing, Input, Observation as Seen, Position};
    let input = Table::at(bytes, follow(bytes, 0)?)?;
    if input.u8(Input::VT_BODY_TYPE)? != schema::Body::Observation.0 {
        return None;
    }
    let seen = input.table(Input::VT_BODY)?;
    let sensed = seen.table(Seen::VT_SENSED)?;
    let sensed = match schema::Sensed(seen.u8(Seen::VT_SENSED_TYPE)?) {
        schema::Sensed::Location => location(sensed)?,
        schema::Sensed::Position => {
            take_all(sensed.vector(Position::VT_DETECTIONS)?, &mut scan.detections, |b| {
                detection(&schema::Detection(*b))
            })?;
            Sensed::Position
        }
        schema::Sensed::Bearing => {
            take_all(sensed.vector(Bearing::VT_HITS)?, &mut scan.bearings, |b| bearing_hit(&schema::BearingHit(*b)))?;
            Sensed::Bearing
        }
        _ => return None,
    };
    let tag = Tag { at: LogicalNs(input.i64(Input::VT_AT_NS)?), seq: Seq(input.u64(Input::VT_SEQ)?.unwrap_or(0)) };
    let (sensor, measured) = (SensorId(seen.u16(Seen::VT_SENSOR)?), LogicalNs(seen.i64(Seen::VT_MEASURED_NS)?));
    Some(((tag, sensor, seen.u64(Seen::VT_SOURCE_SEQ)?, measured), sensed))
}

fn location(location: Table<'_>) -> Option<Sensed> {
    use schema::{Location, Place as Spot};
    let spot = location.table(Location::VT_PLACE)?;
    let at = Point::new(spot.f64(Spot::VT_X_M)?.unwrap_or(0.0), spot.f64(Spot::VT_Y_M)?.unwrap_or(0.0));
    Some(Sensed::Location {
        device: CarriedKey(location.u64(Location::VT_DEVICE)?.unwrap_or(0)),
        place: Place { at, z_m: spot.f64(Spot::VT_Z_M)?, level: LevelId(spot.u16(Spot::VT_LEVEL)?) },
        sigma_m: location.f64(Location::VT_SIGMA_M)?,
    })
}

fn take_all<const N: usize, T>(found: &[[u8; N]], items: &mut Vec<T>, take: impl Fn(&[u8; N]) -> T) -> Option<()> {
    if found.len() > SCAN_ITEMS_MAX {
        return None;
    }
    items.clear();
    items.extend(found.iter().map(take));
    Some(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::trace::{TraceBuilder, encode_input};
    use osmose_model::observation::{BearingHit, Detection};
    use proptest::prelude::*;

    prop_compose! {
        pub(in crate::trace) fn fix()(
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

    prop_compose! {
        fn hit()(bearing_rad in -4.0..4.0, sigma_rad in prop::option::of(0.0..1.0), device in any::<Option<u64>>())
            -> BearingHit { BearingHit { bearing_rad, sigma_rad, device: device.map(CarriedKey) } }
    }

    /// What one place of an input is filled with: a fix, and its place and bearing as scans.
    fn bodies<'s>(o: &Observation<'static>, scan: &'s mut ScanBuf, hits: &[BearingHit]) -> [Body<'s>; 3] {
        scan.clear();
        let Body::Location { place, sigma_m, .. } = o.body else { unreachable!("it is a fix") };
        scan.detections.extend(hits.iter().map(|_| Detection { place, sigma_m }));
        scan.bearings.extend_from_slice(hits);
        [o.body, Body::Position(&scan.detections), Body::Bearing(&scan.bearings)]
    }

    /// Whether the short way is taken, and what it gives.
    fn shortly(bytes: &[u8]) -> Option<String> {
        let mut scan = ScanBuf::new();
        read(bytes, &mut scan)?;
        Some(format!("{:?}", decode_checked_input(bytes, &mut scan).unwrap()))
    }

    proptest! {
        #[test]
        fn both_ways_give_the_same((tag, o) in fix(), hits in prop::collection::vec(hit(), 0..6)) {
            let (mut builder, mut scan, mut other) = (TraceBuilder::new(), ScanBuf::new(), ScanBuf::new());
            for body in bodies(&o, &mut scan, &hits) {
                let input = Input::Observation(Observation { body, ..o });
                let bytes = encode_input(&mut builder, tag, &input);
                prop_assert_eq!(shortly(bytes), Some(format!("{:?}", (tag, input))));
                prop_assert_eq!(decode_input(bytes, &mut other), Ok((tag, input)));
            }
        }

        #[test]
        fn what_is_damaged_is_none_or_what_the_verified_way_gives(
            (tag, o) in fix(),
            hits in prop::collection::vec(hit(), 0..6),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let (mut builder, mut scan, mut other) = (TraceBuilder::new(), ScanBuf::new(), ScanBuf::new());
            for body in bodies(&o, &mut scan, &hits) {
                let mut bytes = encode_input(&mut builder, tag, &Input::Observation(Observation { body, ..o })).to_vec();
                for (at, to) in &changes {
                    let at = at.index(bytes.len());
                    bytes[at] = *to;
                }
                bytes.truncate(cut.index(bytes.len() * 2).max(4));
                if let (Some(shortly), Ok(same)) = (shortly(&bytes), decode_input(&bytes, &mut other)) {
                    prop_assert_eq!(shortly, format!("{same:?}"));
                }
            }
        }
    }

    #[test]
    fn any_other_input_is_left_to_the_other_way() {
        let mut builder = TraceBuilder::new();
        assert_eq!(shortly(encode_input(&mut builder, Tag::default(), &Input::Tick)), None);
        assert_eq!(shortly(&[]), None);
        let body = Body::Binary { on: true };
        let o = Observation { sensor: SensorId(1), source_seq: None, measured: LogicalNs(0), body };
        let (tag, input) = (Tag::default(), Input::Observation(o));
        let bytes = encode_input(&mut builder, tag, &input);
        assert_eq!(shortly(bytes), None);
        assert_eq!(decode_checked_input(bytes, &mut ScanBuf::new()), Ok((tag, input)));
    }
}
