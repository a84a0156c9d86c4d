//! The short way to write and to read the canonical bytes of location fixes and of scans of positions: the inputs that come
//! most often where many come. The bytes are those of the general way; property tests compare them.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | 0: an observation |
//! | 1-3 | sensor, a varint |
//! | 1-11 | the source's number: 0, or 1 and a varint |
//! | 1-10 | measured, a zigzag varint |
//! | 1 | 0: a location, 1: a scan |
//! | 1-10 | of a location its device, of a scan the number of items, a varint |
//! | 20-37 | of a location its place, of a scan each item |
//!
//! | bytes | of a place |
//! |---|---|
//! | 16 | x and y |
//! | 1 or 9 | height: 0, or 1 and the number |
//! | 1-3 | level, a varint |
//! | 1 or 9 | sigma: 0, or 1 and the number |

use crate::geometry::{Place, Point};
use crate::ids::{CarriedKey, LevelId, SensorId};
use crate::limits::SCAN_ITEMS_MAX;
use crate::observation::{Body, Detection, Observation};
use crate::time::LogicalNs;

/// Bytes of the longest head.
const HEAD_BYTES_MAX: usize = 1 + 3 + 11 + 10 + 1 + 10;
/// Bytes of the longest place with its sigma.
const PLACE_BYTES_MAX: usize = 16 + 9 + 3 + 9;

/// Writes bytes one behind the other; the room is that of the longest head or place.
struct Writer<'a, const N: usize> {
    room: &'a mut [u8; N],
    at: usize,
}

impl<'a, const N: usize> Writer<'a, N> {
    /// From a place in a buffer on; `None` where that has no room for the longest.
    fn new(out: &'a mut [u8], at: usize) -> Option<Self> {
        Some(Self { room: out.get_mut(at..)?.first_chunk_mut()?, at: 0 })
    }

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

/// Writes a fix or a scan to the front of `out` and gives its length; `None` where it is another observation, or where `out`
/// has no room for every one of so many items.
pub(super) fn encode(o: &Observation<'_>, out: &mut [u8]) -> Option<usize> {
    let (kind, number) = match o.body {
        Body::Location { device, .. } => (0, device.0),
        Body::Position(items) => (1, u64::from(items.len() as u32)),
        _ => return None,
    };
    let mut to = Writer::<HEAD_BYTES_MAX>::new(out, 0)?;
    to.byte(0);
    to.varint(o.sensor.0.into());
    to.byte(u8::from(o.source_seq.is_some()));
    if let Some(seq) = o.source_seq {
        to.varint(seq);
    }
    to.varint((o.measured.0 << 1 ^ o.measured.0 >> 63) as u64);
    to.byte(kind);
    to.varint(number);
    let mut at = to.at;
    match o.body {
        Body::Location { place, sigma_m, .. } => at += encode_place(place, sigma_m, out, at)?,
        Body::Position(items) => {
            for item in items {
                at += encode_place(item.place, item.sigma_m, out, at)?;
            }
        }
        _ => return None,
    }
    Some(at)
}

fn encode_place(place: Place, sigma_m: Option<f64>, out: &mut [u8], at: usize) -> Option<usize> {
    let mut to = Writer::<PLACE_BYTES_MAX>::new(out, at)?;
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

    /// A place and its sigma.
    fn place(&mut self) -> Option<(Place, Option<f64>)> {
        let at = Point::new(self.f64()?, self.f64()?);
        let z_m = self.maybe(Reader::f64)?;
        let level = LevelId(self.u16()?);
        Some((Place { at, z_m, level }, self.maybe(Reader::f64)?))
    }
}

/// The fix or scan that canonical bytes hold, and whether it is a scan: then the items are in `items`, and the body is still
/// to be given them. `None` where the bytes hold anything else, or nothing whole.
pub(super) fn decode(bytes: &[u8], items: &mut Vec<Detection>) -> Option<(Observation<'static>, bool)> {
    let mut from = Reader(bytes);
    if from.byte()? != 0 {
        return None;
    }
    let sensor = SensorId(from.u16()?);
    let source_seq = from.maybe(Reader::varint)?;
    let zigzag = from.varint()?;
    let measured = LogicalNs((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
    let kind = from.byte()?;
    let body = match kind {
        0 => {
            let device = CarriedKey(from.varint()?);
            let (place, sigma_m) = from.place()?;
            Body::Location { device, place, sigma_m }
        }
        1 => {
            let n = usize::try_from(from.varint()?).ok().filter(|n| *n <= SCAN_ITEMS_MAX)?;
            items.clear();
            for _ in 0..n {
                let (place, sigma_m) = from.place()?;
                items.push(Detection { place, sigma_m });
            }
            Body::Position(&[])
        }
        _ => return None,
    };
    from.0.is_empty().then_some((Observation { sensor, source_seq, measured, body }, kind == 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::{CanonError, decode_any, decode_input, encode_any};
    use crate::input::Input;
    use crate::observation::ScanBuf;
    use proptest::prelude::*;

    /// Room for every observation of the tests.
    const ROOM: usize = HEAD_BYTES_MAX + 8 * PLACE_BYTES_MAX;

    fn any_place() -> impl Strategy<Value = (Place, Option<f64>)> {
        let numbers = (-1e6..1e6, -1e6..1e6, prop::option::of(-1e3..1e3), any::<u16>(), prop::option::of(0.0..1e3));
        numbers.prop_map(|(x_m, y_m, z_m, level, sigma_m)| {
            (Place { at: Point::new(x_m, y_m), z_m, level: LevelId(level) }, sigma_m)
        })
    }

    /// A fix of a device, or a scan of what `items` are.
    fn observation<'a>(
        (sensor, source_seq, measured, device): (u16, Option<u64>, i64, Option<u64>),
        items: &'a [Detection],
    ) -> Observation<'a> {
        let body = match (device, items.first()) {
            (Some(device), Some(&Detection { place, sigma_m })) => {
                Body::Location { device: CarriedKey(device), place, sigma_m }
            }
            _ => Body::Position(items),
        };
        Observation { sensor: SensorId(sensor), source_seq, measured: LogicalNs(measured), body }
    }

    fn any_items() -> impl Strategy<Value = Vec<Detection>> {
        let item = any_place().prop_map(|(place, sigma_m)| Detection { place, sigma_m });
        prop::collection::vec(item, 0..7)
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_general_way(head in any::<(u16, Option<u64>, i64, Option<u64>)>(), items in any_items()) {
            let o = observation(head, &items);
            let (mut short, mut general) = ([7; ROOM], [7; ROOM]);
            let n = encode(&o, &mut short).expect("a fix or a scan");
            prop_assert_eq!(encode_any(&Input::Observation(o), &mut general), Ok(n));
            prop_assert_eq!(&short[..n], &general[..n]);
            prop_assert!(decode(&short[..n], &mut Vec::new()).is_some());
            let mut scan = ScanBuf::new();
            prop_assert_eq!(decode_input(&short[..n], &mut scan), Ok(Input::Observation(o)));
        }

        #[test]
        fn what_is_damaged_is_none_or_what_the_general_way_reads(
            head in any::<(u16, Option<u64>, i64, Option<u64>)>(), items in any_items(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in 0..4usize,
        ) {
            let mut bytes = [0; ROOM];
            let n = encode(&observation(head, &items), &mut bytes).expect("a fix or a scan");
            for (at, to) in changes {
                bytes[at.index(n)] = to;
            }
            let bytes = &bytes[..n.saturating_sub(cut)];
            let (mut a, mut b) = (ScanBuf::new(), ScanBuf::new());
            // As text, since NaN is not equal to itself.
            let (read, general) = (format!("{:?}", decode_input(bytes, &mut a)), format!("{:?}", decode_any(bytes, &mut b)));
            prop_assert_eq!(read, general);
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
            let (mut short, mut general) = ([0; ROOM], [0; ROOM]);
            let len = encode(&o, &mut short).expect("a fix");
            assert_eq!(encode_any(&Input::Observation(o), &mut general), Ok(len));
            assert_eq!((&short[..], decode(&short[..len], &mut Vec::new())), (&general[..], Some((o, false))));
        }
        assert_eq!(encode(&Observation { body: Body::Binary { on: true }, ..sample() }, &mut [0; ROOM]), None);
        assert_eq!(encode(&sample(), &mut [0; HEAD_BYTES_MAX - 1]), None, "the general way says whether it fits");
        assert_eq!((decode(&[], &mut Vec::new()), decode(&[1], &mut Vec::new())), (None, None));
        // A scan of one item too many, without any.
        let mut bytes = [0; ROOM];
        let n = encode(&Observation { body: Body::Position(&[]), ..sample() }, &mut bytes).expect("an empty scan");
        let number = SCAN_ITEMS_MAX as u32 + 1;
        bytes[n - 1..n + 1].copy_from_slice(&[number as u8 | 0x80, (number >> 7) as u8]);
        let mut scan = ScanBuf::new();
        assert_eq!(decode_input(&bytes[..=n], &mut scan), Err(CanonError::TooManyItems(number)));
    }

    fn sample() -> Observation<'static> {
        let body = Body::Location { device: CarriedKey(1), place: Place::flat(LevelId(0), 1.0, 2.0), sigma_m: None };
        Observation { sensor: SensorId(1), source_seq: None, measured: LogicalNs(0), body }
    }
}
