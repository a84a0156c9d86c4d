//! The short way to write and to read the canonical bytes of a location fix: the input that comes most often where many
//! come. The bytes are those of the general way; a property test compares them.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | 0: an observation |
//! | 1-3 | sensor, a varint |
//! | 1-11 | the source's number: 0, or 1 and a varint |
//! | 1-10 | measured, a zigzag varint |
//! | 1 | 0: a location |
//! | 1-10 | device, a varint |
//! | 16 | x and y |
//! | 1 or 9 | height: 0, or 1 and the number |
//! | 1-3 | level, a varint |
//! | 1 or 9 | sigma: 0, or 1 and the number |

use crate::geometry::{Place, Point};
use crate::ids::{CarriedKey, LevelId, SensorId};
use crate::observation::{Body, Observation};
use crate::time::LogicalNs;

/// Bytes of the longest fix.
const BYTES_MAX: usize = 1 + 3 + 11 + 10 + 1 + 10 + 16 + 9 + 3 + 9;

/// Writes bytes one behind the other; the room is that of the longest fix.
struct Writer<'a> {
    room: &'a mut [u8; BYTES_MAX],
    at: usize,
}

impl Writer<'_> {
    fn byte(&mut self, byte: u8) {
        self.room[self.at] = byte;
        self.at += 1;
    }

    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.byte(n as u8 | 0x80);
            n >>= 7;
        }
        self.byte(n as u8);
    }

    fn f64(&mut self, x: f64) {
        self.room[self.at..self.at + 8].copy_from_slice(&x.to_le_bytes());
        self.at += 8;
    }

    fn maybe_f64(&mut self, x: Option<f64>) {
        self.byte(u8::from(x.is_some()));
        if let Some(x) = x {
            self.f64(x);
        }
    }
}

/// Writes a fix to the front of `out` and gives its length; `None` where it is another observation, or where `out` has no
/// room for every fix.
pub(super) fn encode(o: &Observation<'_>, out: &mut [u8]) -> Option<usize> {
    let Body::Location { device, place, sigma_m } = o.body else { return None };
    let mut to = Writer { room: out.first_chunk_mut()?, at: 0 };
    to.byte(0);
    to.varint(o.sensor.0.into());
    to.byte(u8::from(o.source_seq.is_some()));
    if let Some(seq) = o.source_seq {
        to.varint(seq);
    }
    to.varint((o.measured.0 << 1 ^ o.measured.0 >> 63) as u64);
    to.byte(0);
    to.varint(device.0);
    to.f64(place.at.x_m);
    to.f64(place.at.y_m);
    to.maybe_f64(place.z_m);
    to.varint(place.level.0.into());
    to.maybe_f64(sigma_m);
    Some(to.at)
}

/// Reads bytes one behind the other.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// A number as [`Writer::varint`] writes it; `None` for any other way of writing it.
    fn varint(&mut self) -> Option<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 || shift > 0 && byte == 0 {
                return None;
            }
            n |= bits << shift;
            if byte < 0x80 {
                return Some(n);
            }
        }
        None
    }

    fn u16(&mut self) -> Option<u16> {
        self.varint()?.try_into().ok()
    }

    fn f64(&mut self) -> Option<f64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(f64::from_le_bytes(*bytes))
    }

    /// Something that is given or not.
    fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }
}

/// The fix that canonical bytes hold; `None` where they hold anything else, or nothing whole.
pub(super) fn decode(bytes: &[u8]) -> Option<Observation<'static>> {
    let mut from = Reader(bytes);
    if from.byte()? != 0 {
        return None;
    }
    let sensor = SensorId(from.u16()?);
    let source_seq = from.maybe(Reader::varint)?;
    let zigzag = from.varint()?;
    let measured = LogicalNs((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
    if from.byte()? != 0 {
        return None;
    }
    let device = CarriedKey(from.varint()?);
    let at = Point::new(from.f64()?, from.f64()?);
    let z_m = from.maybe(Reader::f64)?;
    let level = LevelId(from.u16()?);
    let sigma_m = from.maybe(Reader::f64)?;
    let body = Body::Location { device, place: Place { at, z_m, level }, sigma_m };
    from.0.is_empty().then_some(Observation { sensor, source_seq, measured, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::{decode_any, encode_any};
    use crate::input::Input;
    use crate::observation::ScanBuf;
    use proptest::prelude::*;

    prop_compose! {
        fn any_fix()(
            (sensor, source_seq, measured, device) in (any::<u16>(), any::<Option<u64>>(), any::<i64>(), any::<u64>()),
            (x_m, y_m, z_m, level, sigma_m) in
                (-1e6..1e6, -1e6..1e6, prop::option::of(-1e3..1e3), any::<u16>(), prop::option::of(0.0..1e3)),
        ) -> Observation<'static> {
            let place = Place { at: Point::new(x_m, y_m), z_m, level: LevelId(level) };
            let body = Body::Location { device: CarriedKey(device), place, sigma_m };
            Observation { sensor: SensorId(sensor), source_seq, measured: LogicalNs(measured), body }
        }
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_general_way(o in any_fix()) {
            let (mut short, mut general) = ([7; BYTES_MAX], [7; BYTES_MAX]);
            let n = encode(&o, &mut short).expect("a fix");
            prop_assert_eq!(encode_any(&Input::Observation(o), &mut general), Ok(n));
            prop_assert_eq!(&short[..n], &general[..n]);
            prop_assert_eq!(decode(&short[..n]), Some(o));
        }

        #[test]
        fn what_is_damaged_is_no_fix_or_the_one_that_the_general_way_reads(
            o in any_fix(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in 0..4usize,
        ) {
            let mut bytes = [0; BYTES_MAX];
            let n = encode(&o, &mut bytes).expect("a fix");
            for (at, to) in changes {
                bytes[at.index(n)] = to;
            }
            let bytes = &bytes[..n.saturating_sub(cut)];
            if let Some(read) = decode(bytes) {
                let mut scan = ScanBuf::new();
                let general = decode_any(bytes, &mut scan);
                // As text, since NaN is not equal to itself.
                prop_assert_eq!(format!("{:?}", general.map(|_| ())), "Ok(())");
                let general = decode_any(bytes, &mut scan).expect("just so");
                prop_assert_eq!(format!("{:?}", Input::Observation(read)), format!("{general:?}"));
            }
        }
    }

    #[test]
    fn the_extremes_are_those_of_the_general_way() {
        for n in [i64::MIN, -1, 0, 1, 63, 64, -64, -65, i64::MAX] {
            let body = Body::Location {
                device: CarriedKey(n as u64),
                place: Place::flat(LevelId(0), 0.0, -0.0),
                sigma_m: None,
            };
            let o =
                Observation { sensor: SensorId(u16::MAX), source_seq: Some(u64::MAX), measured: LogicalNs(n), body };
            let (mut short, mut general) = ([0; BYTES_MAX], [0; BYTES_MAX]);
            let len = encode(&o, &mut short).expect("a fix");
            assert_eq!(encode_any(&Input::Observation(o), &mut general), Ok(len));
            assert_eq!((&short[..], decode(&short[..len])), (&general[..], Some(o)));
        }
        assert_eq!(encode(&Observation { body: Body::Binary { on: true }, ..sample() }, &mut [0; BYTES_MAX]), None);
        assert_eq!(encode(&sample(), &mut [0; BYTES_MAX - 1]), None, "the general way says whether it fits");
        assert_eq!((decode(&[]), decode(&[1])), (None, None));
    }

    fn sample() -> Observation<'static> {
        let body = Body::Location { device: CarriedKey(1), place: Place::flat(LevelId(0), 1.0, 2.0), sigma_m: None };
        Observation { sensor: SensorId(1), source_seq: None, measured: LogicalNs(0), body }
    }
}
