//! The native frame: how a sensor writes one, and how the engine makes sure of one.

use crate::WireError;
use crate::frame_schema as schema;
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, VerifierOptions, WIPOffset};

pub mod fixes;

pub use schema::{Clock, Direction};

/// The version of the schema that this build writes and reads.
pub const VERSION: u16 = 1;

/// What the frame as a whole says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Head<'a> {
    /// The sensor's id in devices.toml.
    pub sensor: &'a str,
    /// The number of this frame among those from the sender's socket, rising by one.
    pub seq: Option<u64>,
    /// When it was true, nanoseconds, and by whose clock; the engine's time of arrival where absent.
    pub time: Option<(i64, Clock)>,
}

/// One anonymous detection, metres.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the schema, units last")]
pub struct Detection<'a> {
    pub x_m: f64,
    pub y_m: f64,
    pub z_m: Option<f64>,
    pub sigma_m: Option<f64>,
    pub level: Option<&'a str>,
}

/// One point of a radar's cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the schema, units last")]
pub struct CloudPoint<'a> {
    pub x_m: f64,
    pub y_m: f64,
    pub z_m: Option<f64>,
    pub doppler_mps: Option<f64>,
    pub intensity: Option<f64>,
    pub level: Option<&'a str>,
}

/// One direction, degrees counter-clockwise from the sensor's heading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the schema, units last")]
pub struct BearingHit<'a> {
    pub bearing_deg: f64,
    pub sigma_deg: Option<f64>,
    pub device: Option<&'a str>,
}

/// Where something is, metres, in the sensor's coordinates.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the schema, units last")]
pub struct At<'a> {
    pub x_m: f64,
    pub y_m: f64,
    pub z_m: Option<f64>,
    pub level: Option<&'a str>,
}

/// What was sensed, by kind of sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the variants and fields are those of the schema, units last")]
pub enum Body<'a> {
    Location { device: &'a str, at: At<'a>, sigma_m: Option<f64> },
    Position(&'a [Detection<'a>]),
    Points(&'a [CloudPoint<'a>]),
    Range { device: &'a str, range_m: f64, sigma_m: Option<f64> },
    Tdoa { sensor_b: &'a str, device: &'a str, diff_m: f64, sigma_m: Option<f64> },
    Rssi { device: &'a str, rssi_dbm: f64 },
    Bearing(&'a [BearingHit<'a>]),
    Voice { person: &'a str, likelihood: f64, bearing_deg: Option<f64> },
    Facing { at: At<'a>, heading_deg: f64, sigma_deg: Option<f64> },
    Gesture { at: At<'a>, gesture: &'a str },
    Binary { on: bool },
    Badge { badge: &'a str },
    Crossing { direction: Direction },
    Count { people: u32 },
    Value { value: f64 },
    Button { button: &'a str },
}

/// One observation of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Which sensor, where it is not the frame's.
    pub sensor: Option<&'a str>,
    /// Its own number; the frame's where absent.
    pub seq: Option<u64>,
    /// When it was true, by the frame's clock; the frame's time where absent.
    pub time_ns: Option<i64>,
    /// What was sensed.
    pub body: Body<'a>,
}

impl<'a> Sample<'a> {
    /// A sample of the frame's own sensor and time.
    #[must_use]
    pub const fn of(body: Body<'a>) -> Self {
        Self { sensor: None, seq: None, time_ns: None, body }
    }
}

/// Writes frames, one after another, into room that it keeps: in the steady state it allocates nothing.
///
/// ```
/// use osmose_wire::frame::{Body, Detection, FrameBuilder, Head, Sample, verify_frame};
/// let mut builder = FrameBuilder::new();
/// let seen = [Detection { x_m: 1.5, y_m: 2.0, ..Detection::default() }];
/// let head = Head { sensor: "ceiling-1", seq: Some(42), time: None };
/// let bytes = builder.encode(&head, &[Sample::of(Body::Position(&seen))]);
/// let frame = verify_frame(bytes).unwrap();
/// assert_eq!((frame.sensor(), frame.seq()), ("ceiling-1", Some(42)));
/// ```
pub struct FrameBuilder {
    fbb: FlatBufferBuilder<'static>,
    /// Offsets of the items of the scan under construction.
    items: Vec<u32>,
    /// Offsets of the observations written so far.
    observations: Vec<u32>,
}

impl Default for FrameBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for FrameBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameBuilder").finish_non_exhaustive()
    }
}

impl FrameBuilder {
    /// A builder with room for ordinary frames.
    #[must_use]
    pub fn new() -> Self {
        let fbb = FlatBufferBuilder::with_capacity(4096);
        Self { fbb, items: Vec::with_capacity(256), observations: Vec::with_capacity(16) }
    }

    /// One frame. It is the sender's to keep it within [`osmose_model::limits::DATAGRAM_BYTES_MAX`].
    pub fn encode(&mut self, head: &Head<'_>, samples: &[Sample<'_>]) -> &[u8] {
        self.fbb.reset();
        self.observations.clear();
        for sample in samples {
            let body = self.body(&sample.body);
            let sensor = sample.sensor.map(|s| self.fbb.create_string(s));
            let args = schema::ObservationArgs {
                body_type: body_type(&sample.body),
                body: Some(body),
                sensor,
                seq: sample.seq,
                time_ns: sample.time_ns,
            };
            let offset = schema::Observation::create(&mut self.fbb, &args);
            self.observations.push(offset.value());
        }
        let observations = vector::<schema::Observation<'static>>(&mut self.fbb, &self.observations);
        let sensor = self.fbb.create_string(head.sensor);
        let args = schema::FrameArgs {
            version: Some(VERSION),
            sensor: Some(sensor),
            seq: head.seq,
            time_ns: head.time.map(|(ns, _)| ns),
            clock: head.time.map_or(Clock::Device, |(_, clock)| clock),
            observations: Some(observations),
        };
        let frame = schema::Frame::create(&mut self.fbb, &args);
        schema::finish_frame_buffer(&mut self.fbb, frame);
        self.fbb.finished_data()
    }

    fn detections(&mut self, items: &[Detection<'_>]) -> WIPOffset<UnionWIPOffset> {
        self.items.clear();
        for d in items {
            let level = d.level.map(|l| self.fbb.create_shared_string(l));
            let args =
                schema::DetectionArgs { x_m: Some(d.x_m), y_m: Some(d.y_m), z_m: d.z_m, sigma_m: d.sigma_m, level };
            self.items.push(schema::Detection::create(&mut self.fbb, &args).value());
        }
        let detections = Some(vector::<schema::Detection<'static>>(&mut self.fbb, &self.items));
        schema::Position::create(&mut self.fbb, &schema::PositionArgs { detections }).as_union_value()
    }

    fn points(&mut self, items: &[CloudPoint<'_>]) -> WIPOffset<UnionWIPOffset> {
        self.items.clear();
        for p in items {
            let level = p.level.map(|l| self.fbb.create_shared_string(l));
            let args = schema::CloudPointArgs {
                x_m: Some(p.x_m),
                y_m: Some(p.y_m),
                z_m: p.z_m,
                doppler_mps: p.doppler_mps,
                intensity: p.intensity,
                level,
            };
            self.items.push(schema::CloudPoint::create(&mut self.fbb, &args).value());
        }
        let points = Some(vector::<schema::CloudPoint<'static>>(&mut self.fbb, &self.items));
        schema::Points::create(&mut self.fbb, &schema::PointsArgs { points }).as_union_value()
    }

    fn bearings(&mut self, items: &[BearingHit<'_>]) -> WIPOffset<UnionWIPOffset> {
        self.items.clear();
        for b in items {
            let device = b.device.map(|d| self.fbb.create_string(d));
            let args = schema::BearingHitArgs { bearing_deg: Some(b.bearing_deg), sigma_deg: b.sigma_deg, device };
            self.items.push(schema::BearingHit::create(&mut self.fbb, &args).value());
        }
        let hits = Some(vector::<schema::BearingHit<'static>>(&mut self.fbb, &self.items));
        schema::Bearing::create(&mut self.fbb, &schema::BearingArgs { hits }).as_union_value()
    }

    fn body(&mut self, body: &Body<'_>) -> WIPOffset<UnionWIPOffset> {
        let fbb = &mut self.fbb;
        match *body {
            Body::Position(items) => self.detections(items),
            Body::Points(items) => self.points(items),
            Body::Bearing(items) => self.bearings(items),
            Body::Location { device, at, sigma_m } => {
                let (device, level) = (Some(fbb.create_string(device)), at.level.map(|l| fbb.create_string(l)));
                let (x_m, y_m, z_m) = (Some(at.x_m), Some(at.y_m), at.z_m);
                let args = schema::LocationArgs { device, x_m, y_m, z_m, sigma_m, level };
                schema::Location::create(fbb, &args).as_union_value()
            }
            Body::Range { device, range_m, sigma_m } => {
                let device = Some(fbb.create_string(device));
                let args = schema::RangeArgs { device, range_m: Some(range_m), sigma_m };
                schema::Range::create(fbb, &args).as_union_value()
            }
            Body::Tdoa { sensor_b, device, diff_m, sigma_m } => {
                let (sensor_b, device) = (Some(fbb.create_string(sensor_b)), Some(fbb.create_string(device)));
                let args = schema::TdoaArgs { sensor_b, device, diff_m: Some(diff_m), sigma_m };
                schema::Tdoa::create(fbb, &args).as_union_value()
            }
            Body::Rssi { device, rssi_dbm } => {
                let device = Some(fbb.create_string(device));
                schema::Rssi::create(fbb, &schema::RssiArgs { device, rssi_dbm: Some(rssi_dbm) }).as_union_value()
            }
            Body::Voice { person, likelihood, bearing_deg } => {
                let person = Some(fbb.create_string(person));
                let args = schema::VoiceArgs { person, likelihood: Some(likelihood), bearing_deg };
                schema::Voice::create(fbb, &args).as_union_value()
            }
            Body::Facing { at, heading_deg, sigma_deg } => {
                let level = at.level.map(|l| fbb.create_string(l));
                let (x_m, y_m, z_m) = (Some(at.x_m), Some(at.y_m), at.z_m);
                let args = schema::FacingArgs { x_m, y_m, z_m, heading_deg: Some(heading_deg), sigma_deg, level };
                schema::Facing::create(fbb, &args).as_union_value()
            }
            Body::Gesture { at, gesture } => {
                let (gesture, level) = (Some(fbb.create_string(gesture)), at.level.map(|l| fbb.create_string(l)));
                let (x_m, y_m, z_m) = (Some(at.x_m), Some(at.y_m), at.z_m);
                schema::Gesture::create(fbb, &schema::GestureArgs { x_m, y_m, z_m, gesture, level }).as_union_value()
            }
            Body::Binary { on } => schema::Binary::create(fbb, &schema::BinaryArgs { on: Some(on) }).as_union_value(),
            Body::Badge { badge } => {
                let badge = Some(fbb.create_string(badge));
                schema::Badge::create(fbb, &schema::BadgeArgs { badge }).as_union_value()
            }
            Body::Crossing { direction } => {
                let args = schema::CrossingArgs { direction: Some(direction) };
                schema::Crossing::create(fbb, &args).as_union_value()
            }
            Body::Count { people } => {
                schema::Count::create(fbb, &schema::CountArgs { people: Some(people) }).as_union_value()
            }
            Body::Value { value } => {
                schema::Value::create(fbb, &schema::ValueArgs { value: Some(value) }).as_union_value()
            }
            Body::Button { button } => {
                let button = Some(fbb.create_string(button));
                schema::Button::create(fbb, &schema::ButtonArgs { button }).as_union_value()
            }
        }
    }
}

/// One frame, written into a builder that is made for it: for a sender that does not mind.
#[must_use]
pub fn encode_frame(head: &Head<'_>, samples: &[Sample<'_>]) -> Vec<u8> {
    FrameBuilder::new().encode(head, samples).to_vec()
}

const fn body_type(body: &Body<'_>) -> schema::Body {
    match body {
        Body::Location { .. } => schema::Body::Location,
        Body::Position(_) => schema::Body::Position,
        Body::Points(_) => schema::Body::Points,
        Body::Range { .. } => schema::Body::Range,
        Body::Tdoa { .. } => schema::Body::Tdoa,
        Body::Rssi { .. } => schema::Body::Rssi,
        Body::Bearing(_) => schema::Body::Bearing,
        Body::Voice { .. } => schema::Body::Voice,
        Body::Facing { .. } => schema::Body::Facing,
        Body::Gesture { .. } => schema::Body::Gesture,
        Body::Binary { .. } => schema::Body::Binary,
        Body::Badge { .. } => schema::Body::Badge,
        Body::Crossing { .. } => schema::Body::Crossing,
        Body::Count { .. } => schema::Body::Count,
        Body::Value { .. } => schema::Body::Value,
        Body::Button { .. } => schema::Body::Button,
    }
}

/// A vector of tables from their offsets. The runtime's own `create_vector` wants a slice of typed offsets, which
/// would tie the scratch room to one table; plain numbers serve all.
pub(crate) fn vector<'f, T: 'f>(
    fbb: &mut FlatBufferBuilder<'f>,
    offsets: &[u32],
) -> WIPOffset<flatbuffers::Vector<'f, flatbuffers::ForwardsUOffset<T>>> {
    fbb.start_vector::<WIPOffset<T>>(offsets.len());
    for &offset in offsets.iter().rev() {
        fbb.push(WIPOffset::<T>::new(offset));
    }
    WIPOffset::new(fbb.end_vector::<WIPOffset<T>>(offsets.len()).value())
}

/// Bounds of the verification of a frame: a datagram has no room for more tables than this, but its offsets could
/// point to the same ones again and again.
const OPTIONS: VerifierOptions = VerifierOptions {
    max_depth: 8,
    max_tables: 16_384,
    max_apparent_size: 1 << 20,
    ignore_missing_null_terminator: false,
};

/// Makes sure that a datagram is one whole frame of a version that this build reads. Do it once; what it gives can be
/// read without further checks of the format (names, ranges and plausibility are still to be checked).
///
/// # Errors
/// [`WireError`]: it is no frame, it is damaged, or it is of a later version.
pub fn verify_frame(bytes: &[u8]) -> Result<schema::Frame<'_>, WireError> {
    if !is_frame(bytes) {
        return Err(WireError::NotAFrame);
    }
    let frame = schema::root_as_frame_with_opts(&OPTIONS, bytes).map_err(WireError::Damaged)?;
    match frame.version() {
        None | Some(VERSION) => Ok(frame),
        Some(other) => Err(WireError::Version(other)),
    }
}

/// Whether bytes begin as a frame does; nothing else is known of them.
#[must_use]
pub fn is_frame(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(schema::FRAME_IDENTIFIER.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_two_sensors_comes_back_whole() {
        let seen = [
            Detection { x_m: 1.5, y_m: -0.0, z_m: Some(1.1), sigma_m: None, level: Some("ground") },
            Detection { x_m: 0.0, ..Detection::default() },
        ];
        let samples = [
            Sample { time_ns: Some(-5), ..Sample::of(Body::Position(&seen)) },
            Sample { sensor: Some("door-1"), seq: Some(7), ..Sample::of(Body::Binary { on: false }) },
        ];
        let mut builder = FrameBuilder::new();
        let head = Head { sensor: "ceiling-1", seq: Some(u64::MAX), time: Some((12, Clock::Utc)) };
        // Twice, because the second frame is written into used room.
        let first = builder.encode(&head, &samples).to_vec();
        assert_eq!(builder.encode(&head, &samples), first);
        let frame = verify_frame(&first).unwrap();
        assert_eq!((frame.sensor(), frame.seq(), frame.time_ns()), ("ceiling-1", Some(u64::MAX), Some(12)));
        assert_eq!((frame.version(), frame.clock()), (Some(VERSION), Clock::Utc));
        let observations = frame.observations();
        assert_eq!(observations.len(), 2);
        let position = observations.get(0).body_as_position().unwrap().detections();
        assert_eq!(position.get(0).y_m().map(f64::to_bits), Some((-0.0f64).to_bits()));
        assert_eq!((position.get(0).level(), position.get(0).z_m()), (Some("ground"), Some(1.1)));
        assert_eq!((position.get(1).x_m(), position.get(1).z_m()), (Some(0.0), None));
        let door = observations.get(1);
        assert_eq!((door.sensor(), door.seq(), door.time_ns()), (Some("door-1"), Some(7), None));
        assert_eq!(door.body_as_binary().unwrap().on(), Some(false));
    }

    #[test]
    fn no_cut_or_changed_byte_panics_and_every_cut_is_refused() {
        let hits = [BearingHit { bearing_deg: 12.0, sigma_deg: Some(1.0), device: Some("p17") }];
        let bytes = encode_frame(&Head { sensor: "mic", ..Head::default() }, &[Sample::of(Body::Bearing(&hits))]);
        for cut in 0..bytes.len() {
            assert!(verify_frame(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut refused = 0;
        for i in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[i] ^= 1 << bit;
                match verify_frame(&changed) {
                    // What verifies can be read to its end.
                    Ok(frame) => drop(format!("{frame:?}")),
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > bytes.len(), "only {refused} single-bit changes were noticed");
        assert_eq!(verify_frame(b"{\"id\":\"p17\"}"), Err(WireError::NotAFrame));
    }

    #[test]
    fn a_later_version_is_refused_by_its_number() {
        let mut fbb = FlatBufferBuilder::new();
        let sensor = Some(fbb.create_string("a"));
        let observations = Some(vector::<schema::Observation<'_>>(&mut fbb, &[]));
        let args = schema::FrameArgs { version: Some(2), sensor, observations, ..Default::default() };
        let frame = schema::Frame::create(&mut fbb, &args);
        schema::finish_frame_buffer(&mut fbb, frame);
        assert_eq!(verify_frame(fbb.finished_data()), Err(WireError::Version(2)));
    }
}
