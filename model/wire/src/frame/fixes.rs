//! The short way into the frame that arrives most often where much arrives: location fixes and nothing else.
//!
//! The general way verifies the whole of a FlatBuffer, table by table and field by field, and reads it afterwards; for a
//! small table the first costs several times as much as the second. Here both are one. Tables of one shape share a vtable,
//! so where the fields stand is read once for all of them, and a table then costs one look at its end and one at each
//! field's alignment. Whatever is not as expected gives `None`: another body, a field that reaches out of the buffer, a text
//! that is not ASCII. Then the general way is taken, which says what it is, or what is wrong with it.
//!
//! So nothing is taken for granted and nothing is read unchecked, and what the short way takes the general way takes too,
//! with the same values: a property test compares them on damaged frames.

use super::VERSION;
use crate::frame_schema as schema;
use osmose_model::limits::DATAGRAM_BYTES_MAX;
use schema::{Clock, Frame, Location, Observation};

/// Observations of a frame beyond which the general way is taken: it bounds what offsets that point to the same table
/// again and again can make of a small datagram.
const FIXES_MAX: usize = 512;
/// The longest text.
const TEXT_BYTES_MAX: usize = 128;
/// The longest vtable: the general way counts it for every table.
const VTABLE_BYTES_MAX: u16 = 64;

/// One field of a table: its slot in the vtable, and how many bytes stand in the table.
type Field = (u16, u8);

const FRAME: [Field; 6] = [
    (Frame::VT_VERSION, 2),
    (Frame::VT_SENSOR, 4),
    (Frame::VT_SEQ, 8),
    (Frame::VT_TIME_NS, 8),
    (Frame::VT_CLOCK, 1),
    (Frame::VT_OBSERVATIONS, 4),
];
const OBSERVATION: [Field; 5] = [
    (Observation::VT_BODY_TYPE, 1),
    (Observation::VT_BODY, 4),
    (Observation::VT_SENSOR, 4),
    (Observation::VT_SEQ, 8),
    (Observation::VT_TIME_NS, 8),
];
const LOCATION: [Field; 6] = [
    (Location::VT_DEVICE, 4),
    (Location::VT_X_M, 8),
    (Location::VT_Y_M, 8),
    (Location::VT_Z_M, 8),
    (Location::VT_SIGMA_M, 8),
    (Location::VT_LEVEL, 4),
];

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// What an offset points to: it counts from its own place, forwards.
fn follow(bytes: &[u8], at: usize) -> Option<usize> {
    let offset = usize::try_from(u32::from_le_bytes(array(bytes, at)?)).ok()?;
    at.is_multiple_of(4).then(|| at.checked_add(offset)).flatten()
}

/// Where the fields of a table stand in it (0: not given), by its vtable.
#[derive(Clone, Copy, Debug)]
struct Layout<const N: usize> {
    vtable: usize,
    offsets: [u16; N],
    /// Where the last of them ends.
    end: usize,
}

impl<const N: usize> Layout<N> {
    /// That of no table.
    const fn none() -> Self {
        Self { vtable: usize::MAX, offsets: [0; N], end: 0 }
    }

    fn read(bytes: &[u8], vtable: usize, fields: &[Field; N]) -> Option<Self> {
        let len = u16_at(bytes, vtable)?;
        let is_even = vtable.is_multiple_of(2) && len.is_multiple_of(2);
        if !is_even || len > VTABLE_BYTES_MAX || vtable.checked_add(len.into())? > bytes.len() {
            return None;
        }
        let (mut offsets, mut end) = ([0; N], 4);
        for (offset, &(slot, size)) in offsets.iter_mut().zip(fields) {
            if slot < len {
                *offset = u16_at(bytes, vtable + usize::from(slot))?;
            }
            if *offset > 0 {
                end = end.max(usize::from(*offset) + usize::from(size));
            }
        }
        Some(Self { vtable, offsets, end })
    }
}

/// A table whose fields lie in the buffer and are aligned.
#[derive(Clone, Copy)]
struct Table<'b, const N: usize> {
    /// From its beginning on.
    bytes: &'b [u8],
    at: usize,
    offsets: [u16; N],
}

impl<'b, const N: usize> Table<'b, N> {
    /// The table at `at`. `layout` is that of the one before, and then its own.
    fn read(bytes: &'b [u8], at: usize, fields: &[Field; N], layout: &mut Layout<N>) -> Option<Self> {
        if !at.is_multiple_of(4) {
            return None;
        }
        let back = i64::from(i32::from_le_bytes(array(bytes, at)?));
        let vtable = usize::try_from(i64::try_from(at).ok()?.checked_sub(back)?).ok()?;
        if vtable != layout.vtable {
            *layout = Layout::read(bytes, vtable, fields)?;
        }
        let whole = bytes.get(at..at.checked_add(layout.end)?)?;
        for (offset, (_, size)) in layout.offsets.iter().zip(fields) {
            let is_aligned = (at + usize::from(*offset)).is_multiple_of(usize::from(*size));
            if *offset > 0 && !is_aligned {
                return None;
            }
        }
        Some(Self { bytes: whole, at, offsets: layout.offsets })
    }

    fn is_given(&self, field: usize) -> bool {
        self.offsets[field] > 0
    }

    /// A field's bytes, where it is given. It lies in the buffer: its size is the one that `fields` says.
    fn value<const S: usize>(&self, field: usize) -> Option<[u8; S]> {
        let offset = usize::from(self.offsets[field]);
        if offset > 0 { array(self.bytes, offset) } else { None }
    }

    fn f64(&self, field: usize) -> Option<f64> {
        self.value(field).map(f64::from_le_bytes)
    }

    /// Where that stands in the buffer which an offset in a given field points to.
    fn follow(&self, field: usize) -> Option<usize> {
        let offset = u32::from_le_bytes(self.value(field)?);
        (self.at + usize::from(self.offsets[field])).checked_add(usize::try_from(offset).ok()?)
    }

    /// A text that is given; `None` where it is no short text of ASCII, ended as it must be.
    fn text(&self, bytes: &[u8], field: usize) -> Option<Span> {
        let at = self.follow(field)?;
        let len = usize::try_from(u32::from_le_bytes(array(bytes, at)?)).ok()?;
        let (from, end) = (at + 4, at.checked_add(4)?.checked_add(len)?);
        let is_text = at.is_multiple_of(4) && len <= TEXT_BYTES_MAX && *bytes.get(end)? == 0;
        (is_text && bytes[from..end].is_ascii()).then_some(Span { from: from as u32, end: end as u32 })
    }

    /// The same where it may be missing.
    fn maybe_text(&self, bytes: &[u8], field: usize) -> Option<Option<Span>> {
        if self.is_given(field) { self.text(bytes, field).map(Some) } else { Some(None) }
    }
}

/// A text, by where it stands in the buffer: some ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: u32,
    end: u32,
}

impl Span {
    fn of(self, bytes: &[u8]) -> &str {
        // It was looked at: this holds.
        std::str::from_utf8(&bytes[self.from as usize..self.end as usize]).unwrap_or_default()
    }
}

/// One fix, its texts by place.
#[derive(Clone, Copy, Debug)]
struct Seen {
    sensor: Option<Span>,
    seq: Option<u64>,
    time_ns: Option<i64>,
    device: Span,
    level: Option<Span>,
    x_m: Option<f64>,
    y_m: Option<f64>,
    z_m: Option<f64>,
    sigma_m: Option<f64>,
}

/// Room for the fixes of one frame, kept from frame to frame.
#[derive(Clone, Debug)]
pub struct Fixes(Vec<Seen>);

impl Default for Fixes {
    fn default() -> Self {
        Self(Vec::with_capacity(FIXES_MAX))
    }
}

/// A frame that holds fixes only, verified.
#[derive(Clone, Copy, Debug)]
pub struct FixFrame<'b> {
    /// The sensor's id.
    pub sensor: &'b str,
    /// The frame's number.
    pub seq: Option<u64>,
    /// When it was true, nanoseconds of `clock`.
    pub time_ns: Option<i64>,
    /// Whose clock.
    pub clock: Clock,
    bytes: &'b [u8],
    seen: &'b [Seen],
}

/// One fix of such a frame; what the fields mean is the schema's.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the schema, units last")]
pub struct Fix<'b> {
    pub sensor: Option<&'b str>,
    pub seq: Option<u64>,
    pub time_ns: Option<i64>,
    pub device: &'b str,
    pub level: Option<&'b str>,
    pub x_m: Option<f64>,
    pub y_m: Option<f64>,
    pub z_m: Option<f64>,
    pub sigma_m: Option<f64>,
}

impl<'b> FixFrame<'b> {
    /// Its fixes, in order.
    pub fn fixes(&self) -> impl Iterator<Item = Fix<'b>> + Clone + use<'b> {
        let bytes = self.bytes;
        self.seen.iter().map(move |seen| {
            let Seen { seq, time_ns, x_m, y_m, z_m, sigma_m, .. } = *seen;
            let text = |span: Option<Span>| span.map(|s| s.of(bytes));
            let (sensor, level) = (text(seen.sensor), text(seen.level));
            Fix { sensor, seq, time_ns, device: seen.device.of(bytes), level, x_m, y_m, z_m, sigma_m }
        })
    }
}

impl Fixes {
    /// Reads a frame that holds fixes only; `None` where it is anything else, or damaged.
    ///
    /// ```
    /// use osmose_wire::frame::{At, Body, Head, Sample, encode_frame, fixes::Fixes};
    /// let at = At { x_m: 1.5, y_m: 2.0, ..At::default() };
    /// let body = Body::Location { device: "p17", at, sigma_m: None };
    /// let bytes = encode_frame(&Head { sensor: "positions", ..Head::default() }, &[Sample::of(body)]);
    /// let mut room = Fixes::default();
    /// let frame = room.read(&bytes).unwrap();
    /// assert_eq!((frame.sensor, frame.fixes().next().unwrap().device), ("positions", "p17"));
    /// assert!(room.read(&bytes[..20]).is_none());
    /// ```
    pub fn read<'b>(&'b mut self, bytes: &'b [u8]) -> Option<FixFrame<'b>> {
        if !super::is_frame(bytes) || bytes.len() > DATAGRAM_BYTES_MAX {
            return None;
        }
        let frame = Table::read(bytes, follow(bytes, 0)?, &FRAME, &mut Layout::none())?;
        if frame.value(0).map(u16::from_le_bytes).is_some_and(|version| version != VERSION) {
            return None;
        }
        let sensor = frame.text(bytes, 1)?.of(bytes);
        let clock = Clock(frame.value::<1>(4).map_or(0, |[b]| b));
        let vector = frame.follow(5)?;
        let n = usize::try_from(u32::from_le_bytes(array(bytes, vector)?)).ok()?;
        if !vector.is_multiple_of(4) || n > FIXES_MAX || vector.checked_add(4 + 4 * n)? > bytes.len() {
            return None;
        }
        self.0.clear();
        let mut layouts = (Layout::none(), Layout::none());
        for i in 0..n {
            let at = follow(bytes, vector + 4 + 4 * i)?;
            self.0.push(fix(bytes, at, &mut layouts)?);
        }
        let (seq, time_ns) = (frame.value(2).map(u64::from_le_bytes), frame.value(3).map(i64::from_le_bytes));
        Some(FixFrame { sensor, seq, time_ns, clock, bytes, seen: &self.0 })
    }
}

/// The fix at `at`.
fn fix(bytes: &[u8], at: usize, (of_observation, of_location): &mut (Layout<5>, Layout<6>)) -> Option<Seen> {
    let observation = Table::read(bytes, at, &OBSERVATION, of_observation)?;
    if observation.value::<1>(0)? != [schema::Body::Location.0] {
        return None;
    }
    let location = Table::read(bytes, observation.follow(1)?, &LOCATION, of_location)?;
    Some(Seen {
        sensor: observation.maybe_text(bytes, 2)?,
        seq: observation.value(3).map(u64::from_le_bytes),
        time_ns: observation.value(4).map(i64::from_le_bytes),
        device: location.text(bytes, 0)?,
        level: location.maybe_text(bytes, 5)?,
        x_m: location.f64(1),
        y_m: location.f64(2),
        z_m: location.f64(3),
        sigma_m: location.f64(4),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{At, Body, Head, Sample, encode_frame, verify_frame};
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    struct Said {
        device: String,
        sensor: Option<String>,
        level: Option<String>,
        numbers: (Option<u64>, Option<i64>, Option<f64>, Option<f64>),
        at: (f64, f64),
    }

    fn said() -> impl Strategy<Value = Said> {
        let text = || prop::option::of("[a-z]{0,9}");
        let numbers =
            (any::<Option<u64>>(), any::<Option<i64>>(), prop::option::of(-9.0..9.0), prop::option::of(0.0..9.0));
        ("[a-z0-9]{0,12}", text(), text(), numbers, (-1e3..1e3, -1e3..1e3))
            .prop_map(|(device, sensor, level, numbers, at)| Said { device, sensor, level, numbers, at })
    }

    fn encoded(head: (Option<u64>, Option<(i64, bool)>), all: &[Said]) -> Vec<u8> {
        let samples: Vec<Sample<'_>> = all
            .iter()
            .map(|s| {
                let (seq, time_ns, z_m, sigma_m) = s.numbers;
                let at = At { x_m: s.at.0, y_m: s.at.1, z_m, level: s.level.as_deref() };
                let body = Body::Location { device: &s.device, at, sigma_m };
                Sample { sensor: s.sensor.as_deref(), seq, time_ns, body }
            })
            .collect();
        let time = head.1.map(|(ns, utc)| (ns, if utc { Clock::Utc } else { Clock::Device }));
        encode_frame(&Head { sensor: "positions", seq: head.0, time }, &samples)
    }

    /// What the general way says; `None` where it refuses, or finds anything but fixes.
    fn general(bytes: &[u8]) -> Option<(String, Vec<String>)> {
        let frame = verify_frame(bytes).ok()?;
        let head = format!("{:?} {:?} {:?} {:?}", frame.sensor(), frame.seq(), frame.time_ns(), frame.clock());
        let fixes = frame.observations().iter().map(|o| {
            let l = o.body_as_location()?;
            Some(format!(
                "{:?}",
                Fix {
                    sensor: o.sensor(),
                    seq: o.seq(),
                    time_ns: o.time_ns(),
                    device: l.device(),
                    level: l.level(),
                    x_m: l.x_m(),
                    y_m: l.y_m(),
                    z_m: l.z_m(),
                    sigma_m: l.sigma_m(),
                }
            ))
        });
        Some((head, fixes.collect::<Option<_>>()?))
    }

    fn short(bytes: &[u8]) -> Option<(String, Vec<String>)> {
        let mut room = Fixes::default();
        let frame = room.read(bytes)?;
        let head = format!("{:?} {:?} {:?} {:?}", frame.sensor, frame.seq, frame.time_ns, frame.clock);
        Some((head, frame.fixes().map(|f| format!("{f:?}")).collect()))
    }

    proptest! {
        #[test]
        fn both_ways_read_the_same(head in any::<(Option<u64>, Option<(i64, bool)>)>(), all in prop::collection::vec(said(), 0..12)) {
            let bytes = encoded(head, &all);
            let read = short(&bytes);
            prop_assert!(read.is_some());
            prop_assert_eq!(read, general(&bytes));
        }

        #[test]
        fn what_is_damaged_is_left_to_the_general_way_or_read_as_it_reads_it(
            head in any::<(Option<u64>, Option<(i64, bool)>)>(),
            all in prop::collection::vec(said(), 1..4),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..5),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = encoded(head, &all);
            for (at, to, small) in changes {
                let at = at.index(bytes.len());
                // Offsets are small numbers: a step beside the right one is worth more tries than any other.
                bytes[at] = if small { bytes[at].wrapping_add(to % 17).wrapping_sub(8) } else { to };
            }
            bytes.truncate(cut.index(bytes.len() * 2).max(4));
            if let Some(read) = short(&bytes) {
                prop_assert_eq!(Some(read), general(&bytes));
            }
        }
    }

    #[test]
    fn every_change_of_one_byte_is_left_to_the_general_way_or_read_as_it_reads_it() {
        let said = Said {
            device: "p17".into(),
            sensor: Some("b".into()),
            level: Some("ground".into()),
            numbers: (Some(1), Some(2), Some(0.5), Some(0.1)),
            at: (1.0, 2.0),
        };
        let bytes = encoded((Some(7), Some((9, true))), &[said.clone(), said]);
        let (mut taken, mut left) = (0, 0);
        for at in 0..bytes.len() {
            for to in 0..=u8::MAX {
                let mut changed = bytes.clone();
                changed[at] = to;
                match short(&changed) {
                    Some(read) => {
                        taken += 1;
                        assert_eq!(Some(read), general(&changed), "byte {at} set to {to}");
                    }
                    None => left += 1,
                }
            }
        }
        assert!(taken > 1000 && left > 1000, "{taken} taken, {left} left");
    }

    #[test]
    fn other_bodies_and_many_fixes_are_left_to_the_general_way() {
        let button = encode_frame(&Head::default(), &[Sample::of(Body::Button { button: "go" })]);
        assert!(Fixes::default().read(&button).is_none() && verify_frame(&button).is_ok());
        let one = Sample::of(Body::Location { device: "a", at: At::default(), sigma_m: None });
        let many = encode_frame(&Head::default(), &vec![one; FIXES_MAX + 1]);
        assert!(Fixes::default().read(&many).is_none() && verify_frame(&many).is_ok());
        assert!(Fixes::default().read(&encode_frame(&Head::default(), &vec![one; FIXES_MAX])).is_some());
    }
}
