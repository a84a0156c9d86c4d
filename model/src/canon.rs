//! The canonical bytes of an input and of a decision: what the journal keeps and what the digests are taken over.
//!
//! Canonical means: one value has one encoding, on every build and machine (postcard's wire format: fixed field
//! order, varints, IEEE doubles in little-endian). A scan's items follow its head, so that decoding fills a reused
//! [`ScanBuf`] and allocates nothing.

mod short;

use crate::command::Command;
use crate::geometry::Place;
use crate::ids::{CarriedKey, Name, PersonId, SensorId};
use crate::input::{Anchor, Gap, Input, OperatorAction, Report, Shed, Tag};
use crate::observation::{BearingHit, Body, CloudPoint, Detection, Direction, Observation, ScanBuf};
use crate::site::SourceFile;
use crate::time::LogicalNs;
use crate::world::WorldEvent;
use serde::{Deserialize, Serialize};

/// Why bytes are not a canonical input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonError {
    /// The bytes end early, or hold a tag that no version wrote.
    #[error("not a canonical record: {0}")]
    Malformed(postcard::Error),
    /// A scan says it has more items than any may.
    #[error("a scan of {0} items, the limit is {max}", max = crate::limits::SCAN_ITEMS_MAX)]
    TooManyItems(u32),
    /// Bytes are left over behind the record.
    #[error("{0} bytes behind the record")]
    Trailing(usize),
    /// The buffer given is too small for the record.
    #[error("the record does not fit {0} bytes")]
    NoRoom(usize),
}

impl From<postcard::Error> for CanonError {
    fn from(e: postcard::Error) -> Self {
        Self::Malformed(e)
    }
}

/// The fixed part of an input; scans carry their item count and the items follow.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Head<'a> {
    Observation(ObservationHead),
    Tick,
    Anchor(Anchor),
    Report(Report),
    RulesInstalled { files: &'a [u8] },
    SiteInstalled { files: &'a [u8] },
    Named { key: CarriedKey, text: &'a str },
    Shed(Shed),
    Gap(Gap),
    Operator(OperatorAction),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct ObservationHead {
    sensor: SensorId,
    source_seq: Option<u64>,
    measured: LogicalNs,
    body: BodyHead,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum BodyHead {
    Location { device: CarriedKey, place: Place, sigma_m: Option<f64> },
    Position(u32),
    Points(u32),
    Range { device: CarriedKey, range_m: f64, sigma_m: Option<f64> },
    Tdoa { other: SensorId, device: CarriedKey, diff_m: f64, sigma_m: Option<f64> },
    Rssi { device: CarriedKey, rssi_dbm: f64 },
    Bearing(u32),
    Voice { person: PersonId, likelihood: f64, bearing_rad: Option<f64> },
    Facing { place: Place, heading_rad: f64, sigma_rad: Option<f64> },
    Gesture { place: Place, gesture: Name },
    Binary { on: bool },
    Badge { badge: CarriedKey },
    Crossing { direction: Direction },
    Count { people: u32 },
    Value { value: f64 },
    Button { button: Name },
}

fn body_head(body: &Body<'_>) -> BodyHead {
    match *body {
        Body::Location { device, place, sigma_m } => BodyHead::Location { device, place, sigma_m },
        Body::Position(items) => BodyHead::Position(items.len() as u32),
        Body::Points(items) => BodyHead::Points(items.len() as u32),
        Body::Range { device, range_m, sigma_m } => BodyHead::Range { device, range_m, sigma_m },
        Body::Tdoa { other, device, diff_m, sigma_m } => BodyHead::Tdoa { other, device, diff_m, sigma_m },
        Body::Rssi { device, rssi_dbm } => BodyHead::Rssi { device, rssi_dbm },
        Body::Bearing(items) => BodyHead::Bearing(items.len() as u32),
        Body::Voice { person, likelihood, bearing_rad } => BodyHead::Voice { person, likelihood, bearing_rad },
        Body::Facing { place, heading_rad, sigma_rad } => BodyHead::Facing { place, heading_rad, sigma_rad },
        Body::Gesture { place, gesture } => BodyHead::Gesture { place, gesture },
        Body::Binary { on } => BodyHead::Binary { on },
        Body::Badge { badge } => BodyHead::Badge { badge },
        Body::Crossing { direction } => BodyHead::Crossing { direction },
        Body::Count { people } => BodyHead::Count { people },
        Body::Value { value } => BodyHead::Value { value },
        Body::Button { button } => BodyHead::Button { button },
    }
}

/// Appends one value to `out[at..]` and gives the end.
fn put<T: Serialize>(value: &T, out: &mut [u8], at: usize) -> Result<usize, CanonError> {
    let room = out.len();
    let tail = out.get_mut(at..).ok_or(CanonError::NoRoom(room))?;
    match postcard::to_slice(value, tail) {
        Ok(written) => Ok(at + written.len()),
        Err(postcard::Error::SerializeBufferFull) => Err(CanonError::NoRoom(room)),
        Err(e) => Err(e.into()),
    }
}

fn put_all<T: Serialize>(items: &[T], out: &mut [u8], mut at: usize) -> Result<usize, CanonError> {
    for item in items {
        at = put(item, out, at)?;
    }
    Ok(at)
}

/// Whether canonical bytes are those of an observation, by their first byte alone: whoever needs only the others need
/// not decode every scan.
///
/// ```
/// use osmose_model::{canon, input::Input};
/// let mut out = [0u8; 8];
/// let n = canon::encode_input(&Input::Tick, &mut out).unwrap();
/// assert!(!canon::is_observation(&out[..n]));
/// ```
#[must_use]
pub fn is_observation(canonical: &[u8]) -> bool {
    // The number of the variant, which is its place in `Head`.
    canonical.first() == Some(&0)
}

/// Writes the canonical bytes of an input to the front of `out` and gives their length.
///
/// # Errors
/// [`CanonError::NoRoom`] where `out` is too small ([`crate::limits::INPUT_BYTES_MAX`] always suffices for an
/// observation within the limits).
///
/// ```
/// use osmose_model::{canon, input::Input, observation::ScanBuf};
/// let mut out = [0u8; 64];
/// let n = canon::encode_input(&Input::Tick, &mut out).unwrap();
/// assert_eq!(canon::decode_input(&out[..n], &mut ScanBuf::new()), Ok(Input::Tick));
/// ```
pub fn encode_input(input: &Input<'_>, out: &mut [u8]) -> Result<usize, CanonError> {
    if let Input::Observation(o) = input
        && let Some(n) = short::encode(o, out)
    {
        return Ok(n);
    }
    encode_any(input, out)
}

/// The general way, which holds for every input.
fn encode_any(input: &Input<'_>, out: &mut [u8]) -> Result<usize, CanonError> {
    let head = match *input {
        Input::Observation(Observation { sensor, source_seq, measured, ref body }) => {
            Head::Observation(ObservationHead { sensor, source_seq, measured, body: body_head(body) })
        }
        Input::Tick => Head::Tick,
        Input::Anchor(a) => Head::Anchor(a),
        Input::Report(r) => Head::Report(r),
        Input::RulesInstalled { files } => Head::RulesInstalled { files },
        Input::SiteInstalled { files } => Head::SiteInstalled { files },
        Input::Named { key, text } => Head::Named { key, text },
        Input::Shed(s) => Head::Shed(s),
        Input::Gap(g) => Head::Gap(g),
        Input::Operator(o) => Head::Operator(o),
    };
    let at = put(&head, out, 0)?;
    match input {
        Input::Observation(Observation { body: Body::Position(items), .. }) => put_all(items, out, at),
        Input::Observation(Observation { body: Body::Points(items), .. }) => put_all(items, out, at),
        Input::Observation(Observation { body: Body::Bearing(items), .. }) => put_all(items, out, at),
        _ => Ok(at),
    }
}

/// Reads `n` items from `bytes` into `items`, and gives what is left.
fn take_all<'a, T: Deserialize<'a>>(mut bytes: &'a [u8], n: u32, items: &mut Vec<T>) -> Result<&'a [u8], CanonError> {
    if n as usize > crate::limits::SCAN_ITEMS_MAX {
        return Err(CanonError::TooManyItems(n));
    }
    items.clear();
    for _ in 0..n {
        let (item, rest) = postcard::take_from_bytes(bytes)?;
        items.push(item);
        bytes = rest;
    }
    Ok(bytes)
}

/// Reads an input from its canonical bytes; the items of a scan land in `scan`.
///
/// # Errors
/// [`CanonError`] where the bytes are not exactly one canonical input. Never panics.
pub fn decode_input<'a>(bytes: &'a [u8], scan: &'a mut ScanBuf) -> Result<Input<'a>, CanonError> {
    let Some((o, is_scan)) = short::decode(bytes, &mut scan.detections) else { return decode_any(bytes, scan) };
    Ok(Input::Observation(if is_scan { Observation { body: Body::Position(&scan.detections), ..o } } else { o }))
}

/// The general way, which says what is wrong with bytes that are no input.
fn decode_any<'a>(bytes: &'a [u8], scan: &'a mut ScanBuf) -> Result<Input<'a>, CanonError> {
    let (head, rest): (Head<'a>, _) = postcard::take_from_bytes(bytes)?;
    let observation = match head {
        Head::Observation(o) => o,
        other => {
            if !rest.is_empty() {
                return Err(CanonError::Trailing(rest.len()));
            }
            return Ok(match other {
                Head::Observation(_) | Head::Tick => Input::Tick,
                Head::Anchor(a) => Input::Anchor(a),
                Head::Report(r) => Input::Report(r),
                Head::RulesInstalled { files } => Input::RulesInstalled { files },
                Head::SiteInstalled { files } => Input::SiteInstalled { files },
                Head::Named { key, text } => Input::Named { key, text },
                Head::Shed(s) => Input::Shed(s),
                Head::Gap(g) => Input::Gap(g),
                Head::Operator(o) => Input::Operator(o),
            });
        }
    };
    let ScanBuf { detections, points, bearings } = scan;
    let (body, rest) = match observation.body {
        BodyHead::Position(n) => {
            let rest = take_all::<Detection>(rest, n, detections)?;
            (Body::Position(detections), rest)
        }
        BodyHead::Points(n) => {
            let rest = take_all::<CloudPoint>(rest, n, points)?;
            (Body::Points(points), rest)
        }
        BodyHead::Bearing(n) => {
            let rest = take_all::<BearingHit>(rest, n, bearings)?;
            (Body::Bearing(bearings), rest)
        }
        BodyHead::Location { device, place, sigma_m } => (Body::Location { device, place, sigma_m }, rest),
        BodyHead::Range { device, range_m, sigma_m } => (Body::Range { device, range_m, sigma_m }, rest),
        BodyHead::Tdoa { other, device, diff_m, sigma_m } => (Body::Tdoa { other, device, diff_m, sigma_m }, rest),
        BodyHead::Rssi { device, rssi_dbm } => (Body::Rssi { device, rssi_dbm }, rest),
        BodyHead::Voice { person, likelihood, bearing_rad } => (Body::Voice { person, likelihood, bearing_rad }, rest),
        BodyHead::Facing { place, heading_rad, sigma_rad } => (Body::Facing { place, heading_rad, sigma_rad }, rest),
        BodyHead::Gesture { place, gesture } => (Body::Gesture { place, gesture }, rest),
        BodyHead::Binary { on } => (Body::Binary { on }, rest),
        BodyHead::Badge { badge } => (Body::Badge { badge }, rest),
        BodyHead::Crossing { direction } => (Body::Crossing { direction }, rest),
        BodyHead::Count { people } => (Body::Count { people }, rest),
        BodyHead::Value { value } => (Body::Value { value }, rest),
        BodyHead::Button { button } => (Body::Button { button }, rest),
    };
    if !rest.is_empty() {
        return Err(CanonError::Trailing(rest.len()));
    }
    let ObservationHead { sensor, source_seq, measured, .. } = observation;
    Ok(Input::Observation(Observation { sensor, source_seq, measured, body }))
}

/// Writes the canonical bytes of a tag; 20 bytes always suffice.
///
/// # Errors
/// [`CanonError::NoRoom`] where `out` is too small.
pub fn encode_tag(tag: &Tag, out: &mut [u8]) -> Result<usize, CanonError> {
    put(tag, out, 0)
}

/// Writes the canonical bytes of an event.
///
/// # Errors
/// [`CanonError::NoRoom`] where `out` is too small; 1 KiB always suffices.
pub fn encode_event(event: &WorldEvent, out: &mut [u8]) -> Result<usize, CanonError> {
    put(event, out, 0)
}

/// Writes the canonical bytes of a command.
///
/// # Errors
/// [`CanonError::NoRoom`] where `out` is too small; 4 KiB always suffices.
pub fn encode_command(command: &Command, out: &mut [u8]) -> Result<usize, CanonError> {
    put(command, out, 0)
}

/// Reads an event from its canonical bytes.
///
/// # Errors
/// [`CanonError::Malformed`] where they are none.
pub fn decode_event(bytes: &[u8]) -> Result<WorldEvent, CanonError> {
    Ok(postcard::from_bytes(bytes)?)
}

/// Reads a command from its canonical bytes.
///
/// # Errors
/// [`CanonError::Malformed`] where they are none.
pub fn decode_command(bytes: &[u8]) -> Result<Command, CanonError> {
    Ok(postcard::from_bytes(bytes)?)
}

/// Joins files into the one block that travels in an input (rules or site installed).
#[must_use]
pub fn encode_files(files: &[SourceFile]) -> Vec<u8> {
    postcard::to_stdvec(files).unwrap_or_default()
}

/// Takes such a block apart again.
///
/// # Errors
/// [`CanonError::Malformed`] where it is none.
pub fn decode_files(bytes: &[u8]) -> Result<Vec<SourceFile>, CanonError> {
    Ok(postcard::from_bytes(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LevelId;
    use proptest::prelude::*;

    fn any_place() -> impl Strategy<Value = Place> {
        (0u16..4, -1e6..1e6f64, -1e6..1e6f64, proptest::option::of(-10.0..10.0f64))
            .prop_map(|(l, x, y, z)| Place { z_m: z, ..Place::flat(LevelId(l), x, y) })
    }

    fn any_detections() -> impl Strategy<Value = Vec<Detection>> {
        let one = (any_place(), proptest::option::of(0.01..5.0f64));
        proptest::collection::vec(one.prop_map(|(place, sigma_m)| Detection { place, sigma_m }), 0..40)
    }

    fn round_trip(input: Input<'_>) {
        let mut out = vec![0u8; crate::limits::INPUT_BYTES_MAX];
        let n = encode_input(&input, &mut out).unwrap();
        let mut scan = ScanBuf::new();
        assert_eq!(decode_input(&out[..n], &mut scan), Ok(input));
        // Every proper prefix is refused, and so is a byte too many.
        for cut in 0..n {
            assert!(decode_input(&out[..cut], &mut ScanBuf::new()).is_err(), "cut at {cut} of {n}");
        }
        assert_eq!(decode_input(&out[..=n], &mut scan), Err(CanonError::Trailing(1)));
    }

    proptest! {
        #[test]
        fn scans_round_trip(items in any_detections(), sensor in 0u16..99, seq in any::<Option<u64>>(), t in any::<i64>()) {
            let body = Body::Position(&items);
            round_trip(Input::Observation(Observation { sensor: SensorId(sensor), source_seq: seq, measured: LogicalNs(t), body }));
        }

        #[test]
        fn fixes_round_trip(place in any_place(), key in any::<u64>(), t in any::<i64>()) {
            let body = Body::Location { device: CarriedKey(key), place, sigma_m: None };
            round_trip(Input::Observation(Observation { sensor: SensorId(1), source_seq: Some(7), measured: LogicalNs(t), body }));
        }

        #[test]
        fn any_bytes_are_refused_or_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_input(&bytes, &mut ScanBuf::new());
        }
    }

    #[test]
    fn the_other_inputs_round_trip() {
        round_trip(Input::Tick);
        round_trip(Input::Named { key: CarriedKey::of("p17"), text: "p17" });
        round_trip(Input::Shed(Shed { sensor: SensorId(3), count: 4, reason: crate::input::ShedReason::Missing }));
        let files = encode_files(&[SourceFile { path: "rules/a.rules".into(), text: "edition 1".into() }]);
        round_trip(Input::RulesInstalled { files: &files });
        assert_eq!(decode_files(&files).unwrap()[0].path, "rules/a.rules");
    }
}
