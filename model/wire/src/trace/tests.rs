//! Every record comes back as it was, to the bit; every cut is refused.

use super::*;
use osmose_model::canon;
use osmose_model::command::{Cause, Command, CommandId, ConditionValue, Entity, Text, Trigger, Value};
use osmose_model::digest::Digest;
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{ActuatorId, CarriedKey, LevelId, Name, PersonId, RuleId, SensorId, Seq, TrackId, ZoneId};
use osmose_model::input::{Anchor, Gap, GapReason, Input, OperatorAction, Report, Shed, ShedReason, Tag};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::{BearingHit, Body, CloudPoint, Detection, Direction, Observation, ScanBuf};
use osmose_model::time::{DurationNs, LogicalNs, UtcNs};
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Sighting, WorldEvent};
use proptest::prelude::*;
use proptest::{collection::vec, option::of};

/// Any bits at all: NaNs with payloads, minus zero and subnormals must come back as they were too.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<u64>().prop_map(f64::from_bits), -1e3..1e3f64, Just(-0.0), Just(0.0), Just(f64::INFINITY)]
}

fn place() -> impl Strategy<Value = Place> {
    (number(), number(), of(number()), any::<u16>()).prop_map(|(x, y, z_m, l)| Place {
        at: Point::new(x, y),
        z_m,
        level: LevelId(l),
    })
}

fn name() -> impl Strategy<Value = Name> {
    "[a-zé.-]{0,15}".prop_map(|s| Name::new(&s).unwrap())
}

fn text() -> impl Strategy<Value = Text> {
    "\\PC{0,20}".prop_map(|s| Text::from(&s).unwrap())
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        number().prop_map(Value::Number),
        name().prop_map(Value::Name),
        text().prop_map(Value::Text),
        any::<u16>().prop_map(|i| Value::Person(PersonId(i))),
        any::<u16>().prop_map(|i| Value::Zone(ZoneId(i))),
        any::<u64>().prop_map(|i| Value::Track(TrackId(i))),
    ]
}

/// An input that owns what it borrows.
#[derive(Clone, Debug)]
enum Owned {
    Plain(Input<'static>),
    Position(Observation<'static>, Vec<Detection>),
    Points(Observation<'static>, Vec<CloudPoint>),
    Bearing(Observation<'static>, Vec<BearingHit>),
    Rules(Vec<u8>),
    Site(Vec<u8>),
    Named(u64, String),
}

impl Owned {
    fn input(&self) -> Input<'_> {
        match self {
            Self::Plain(input) => *input,
            Self::Position(o, items) => Input::Observation(Observation { body: Body::Position(items), ..*o }),
            Self::Points(o, items) => Input::Observation(Observation { body: Body::Points(items), ..*o }),
            Self::Bearing(o, items) => Input::Observation(Observation { body: Body::Bearing(items), ..*o }),
            Self::Rules(files) => Input::RulesInstalled { files },
            Self::Site(files) => Input::SiteInstalled { files },
            Self::Named(key, text) => Input::Named { key: CarriedKey(*key), text },
        }
    }
}

fn head() -> impl Strategy<Value = Observation<'static>> {
    (any::<u16>(), any::<Option<u64>>(), any::<i64>()).prop_map(|(sensor, source_seq, at)| Observation {
        sensor: SensorId(sensor),
        source_seq,
        measured: LogicalNs(at),
        body: Body::Position(&[]),
    })
}

fn single() -> impl Strategy<Value = Body<'static>> {
    let key = || any::<u64>().prop_map(CarriedKey);
    prop_oneof![
        (key(), place(), of(number())).prop_map(|(device, place, sigma_m)| Body::Location { device, place, sigma_m }),
        (key(), number(), of(number())).prop_map(|(device, range_m, sigma_m)| Body::Range { device, range_m, sigma_m }),
        (any::<u16>(), key(), number(), of(number())).prop_map(|(other, device, diff_m, sigma_m)| Body::Tdoa {
            other: SensorId(other),
            device,
            diff_m,
            sigma_m
        }),
        (key(), number()).prop_map(|(device, rssi_dbm)| Body::Rssi { device, rssi_dbm }),
        (any::<u16>(), number(), of(number())).prop_map(|(person, likelihood, bearing_rad)| Body::Voice {
            person: PersonId(person),
            likelihood,
            bearing_rad
        }),
        (place(), number(), of(number())).prop_map(|(place, heading_rad, sigma_rad)| Body::Facing {
            place,
            heading_rad,
            sigma_rad
        }),
        (place(), name()).prop_map(|(place, gesture)| Body::Gesture { place, gesture }),
        any::<bool>().prop_map(|on| Body::Binary { on }),
        key().prop_map(|badge| Body::Badge { badge }),
        prop_oneof![Just(Direction::In), Just(Direction::Out)].prop_map(|direction| Body::Crossing { direction }),
        any::<u32>().prop_map(|people| Body::Count { people }),
        number().prop_map(|value| Body::Value { value }),
        name().prop_map(|button| Body::Button { button }),
    ]
}

fn action() -> impl Strategy<Value = OperatorAction> {
    prop_oneof![
        (any::<u16>(), name(), of((name(), value()))).prop_map(|(a, verb, arg)| OperatorAction::Act {
            actuator: ActuatorId(a),
            verb,
            arg
        }),
        (name(), any::<i64>(), text()).prop_map(|(rule, t, because)| OperatorAction::RuleOff {
            rule,
            until: LogicalNs(t),
            because
        }),
        (name(), name()).prop_map(|(mode, value)| OperatorAction::Mode { mode, value }),
        name().prop_map(|rule| OperatorAction::Reset { rule }),
    ]
}

fn input() -> impl Strategy<Value = Owned> {
    let detection = (place(), of(number())).prop_map(|(place, sigma_m)| Detection { place, sigma_m });
    let point = (place(), of(number()), of(number())).prop_map(|(place, doppler_mps, intensity)| CloudPoint {
        place,
        doppler_mps,
        intensity,
    });
    let hit = (number(), of(number()), of(any::<u64>())).prop_map(|(bearing_rad, sigma_rad, d)| BearingHit {
        bearing_rad,
        sigma_rad,
        device: d.map(CarriedKey),
    });
    let plain = prop_oneof![
        4 => (head(), single()).prop_map(|(o, body)| Input::Observation(Observation { body, ..o })),
        1 => Just(Input::Tick),
        1 => (any::<i64>(), any::<i64>(), of((any::<i64>(), any::<i64>()))).prop_map(|(utc, offset, next)| {
            let next_change = next.map(|(at, offset)| (UtcNs(at), DurationNs(offset)));
            Input::Anchor(Anchor { utc: UtcNs(utc), offset: DurationNs(offset), next_change })
        }),
        2 => (any::<u16>(), name(), value(), any::<Option<u64>>()).prop_map(|(a, property, value, source_seq)| {
            Input::Report(Report { actuator: ActuatorId(a), property, value, source_seq })
        }),
        1 => (any::<u16>(), any::<u64>(), 0usize..4).prop_map(|(sensor, count, r)| {
            let reason = [ShedReason::Replaced, ShedReason::Full, ShedReason::TooLate, ShedReason::Missing][r];
            Input::Shed(Shed { sensor: SensorId(sensor), count, reason })
        }),
        1 => (any::<i64>(), any::<u64>(), any::<bool>()).prop_map(|(from, lost, down)| {
            let reason = if down { GapReason::Down } else { GapReason::Journal };
            Input::Gap(Gap { from: LogicalNs(from), lost, reason })
        }),
        2 => action().prop_map(Input::Operator),
    ];
    prop_oneof![
        6 => plain.prop_map(Owned::Plain),
        2 => (head(), vec(detection, 0..20)).prop_map(|(o, items)| Owned::Position(o, items)),
        2 => (head(), vec(point, 0..20)).prop_map(|(o, items)| Owned::Points(o, items)),
        2 => (head(), vec(hit, 0..20)).prop_map(|(o, items)| Owned::Bearing(o, items)),
        1 => vec(any::<u8>(), 0..60).prop_map(Owned::Rules),
        1 => vec(any::<u8>(), 0..60).prop_map(Owned::Site),
        1 => (any::<u64>(), "\\PC{0,20}").prop_map(|(key, text)| Owned::Named(key, text)),
    ]
}

fn canonical(input: &Input<'_>) -> Vec<u8> {
    let mut out = vec![0; INPUT_BYTES_MAX];
    let n = canon::encode_input(input, &mut out).unwrap();
    out.truncate(n);
    out
}

fn event() -> impl Strategy<Value = WorldEvent> {
    let ids = (any::<u64>(), of(any::<u16>()), of(any::<u16>()), of(any::<u64>()), of(any::<u16>()));
    (0usize..8, ids, number(), place(), any::<i64>()).prop_map(|(kind, ids, person_p, place, measured)| {
        let (track, person, zone, other, sensor) = ids;
        WorldEvent {
            kind: EventKind::ALL[kind],
            track: TrackId(track),
            person: person.map(PersonId),
            person_p,
            zone: zone.map(ZoneId),
            other: other.map(TrackId),
            place,
            sensor: sensor.map(SensorId),
            measured: LogicalNs(measured),
        }
    })
}

fn trigger() -> impl Strategy<Value = Trigger> {
    prop_oneof![
        (0usize..8, any::<u64>(), of(any::<u16>())).prop_map(|(k, t, z)| Trigger::Event {
            kind: EventKind::ALL[k],
            track: TrackId(t),
            zone: z.map(ZoneId)
        }),
        any::<u16>().prop_map(|s| Trigger::Sensor(SensorId(s))),
        any::<u16>().prop_map(|d| Trigger::Device(ActuatorId(d))),
        Just(Trigger::Timer),
        Just(Trigger::Clock),
        Just(Trigger::Start),
        Just(Trigger::Operator),
    ]
}

fn entity() -> impl Strategy<Value = Entity> {
    prop_oneof![
        (any::<u64>(), of(any::<u16>()), number()).prop_map(|(t, p, person_p)| Entity::Track {
            track: TrackId(t),
            person: p.map(PersonId),
            person_p
        }),
        any::<u16>().prop_map(|p| Entity::Person(PersonId(p))),
        any::<u16>().prop_map(|z| Entity::Zone(ZoneId(z))),
        any::<u16>().prop_map(|d| Entity::Device(ActuatorId(d))),
    ]
}

fn cause() -> impl Strategy<Value = Cause> {
    let truth = prop_oneof![Just(Tri::False), Just(Tri::Unknown), Just(Tri::True)];
    let condition =
        (any::<u32>(), truth, of(number())).prop_map(|(offset, truth, value)| ConditionValue { offset, truth, value });
    let sighting = (any::<u64>(), any::<u16>(), any::<i64>())
        .prop_map(|(t, s, m)| (TrackId(t), Sighting { sensor: SensorId(s), measured: LogicalNs(m) }));
    let lists = (vec((name(), entity()), 0..=4), vec(condition, 0..=8), vec(sighting, 0..=8));
    (trigger(), of(any::<u16>()), of(any::<i64>()), lists, any::<bool>()).prop_map(|(trigger, s, m, lists, doubt)| {
        Cause {
            trigger,
            sensor: s.map(SensorId),
            measured: m.map(LogicalNs),
            bindings: lists.0.into_iter().collect(),
            conditions: lists.1.into_iter().collect(),
            doubt,
            sightings: lists.2.into_iter().collect(),
        }
    })
}

fn command() -> impl Strategy<Value = Command> {
    let ids = (any::<u64>(), any::<u32>(), any::<i64>(), any::<Option<u64>>(), of(any::<u16>()), any::<u16>());
    (ids, name(), vec((name(), value()), 0..=4), cause()).prop_map(|(ids, verb, args, cause)| Command {
        id: CommandId { seq: Seq(ids.0), n: ids.1 },
        at: LogicalNs(ids.2),
        source_seq: ids.3,
        rule: ids.4.map(RuleId),
        device: ActuatorId(ids.5),
        verb,
        args: args.into_iter().collect(),
        cause,
    })
}

/// The canonical bytes of what `encode` writes: equal exactly when the values are, NaNs included.
fn bytes_of<E: std::fmt::Debug>(encode: impl Fn(&mut [u8]) -> Result<usize, E>) -> Vec<u8> {
    let mut out = vec![0; 16 * 1024];
    let n = encode(&mut out).unwrap();
    out.truncate(n);
    out
}

proptest! {
    #[test]
    fn an_input_comes_back_to_the_bit(inputs in vec((input(), any::<i64>(), any::<u64>()), 1..4)) {
        let (mut builder, mut scan) = (TraceBuilder::new(), ScanBuf::new());
        for (owned, at, seq) in &inputs {
            let tag = Tag { at: LogicalNs(*at), seq: Seq(*seq) };
            let bytes = encode_input(&mut builder, tag, &owned.input()).to_vec();
            let (tag_back, back) = decode_input(&bytes, &mut scan).unwrap();
            prop_assert_eq!(tag_back, tag);
            prop_assert_eq!(canonical(&back), canonical(&owned.input()));
        }
    }

    #[test]
    fn a_cut_input_is_refused_and_a_changed_one_does_not_panic(
        owned in input(), cut in any::<prop::sample::Index>(), put in any::<u8>(),
    ) {
        let mut builder = TraceBuilder::new();
        let mut bytes = encode_input(&mut builder, Tag::default(), &owned.input()).to_vec();
        let at = cut.index(bytes.len());
        bytes[at] ^= put;
        let _ = decode_input(&bytes, &mut ScanBuf::new());
        bytes[at] ^= put;
        // What stands at the end of a buffer may be padding of the table written first, so only cuts that reach
        // into it are sure to be noticed.
        bytes.truncate(at / 2);
        prop_assert!(decode_input(&bytes, &mut ScanBuf::new()).is_err());
    }

    #[test]
    fn an_event_comes_back_to_the_bit(event in event(), at in any::<i64>(), seq in any::<u64>()) {
        let tag = Tag { at: LogicalNs(at), seq: Seq(seq) };
        let mut builder = TraceBuilder::new();
        let (tag_back, back) = decode_event(encode_event(&mut builder, tag, &event)).unwrap();
        prop_assert_eq!(tag_back, tag);
        prop_assert_eq!(bytes_of(|o| canon::encode_event(&back, o)), bytes_of(|o| canon::encode_event(&event, o)));
    }

    #[test]
    fn a_command_comes_back_to_the_bit(command in command()) {
        let mut builder = TraceBuilder::new();
        let back = decode_command(encode_command(&mut builder, &command)).unwrap();
        prop_assert_eq!(bytes_of(|o| canon::encode_command(&back, o)), bytes_of(|o| canon::encode_command(&command, o)));
    }

    #[test]
    fn records_of_the_log_come_back(seq in any::<u64>(), a in any::<u64>(), at in any::<i64>(), state in vec(any::<u8>(), 0..50), text in "\\PC{0,9}") {
        let mut b = TraceBuilder::new();
        let digests = Digests { seq: Seq(seq), input: Digest(a), decision: Digest(!a) };
        prop_assert_eq!(decode_digest(encode_digest(&mut b, &digests)), Ok(digests));
        let keyframe = Keyframe { seq: Seq(seq), at: LogicalNs(at), state: &state };
        prop_assert_eq!(decode_keyframe(encode_keyframe(&mut b, &keyframe)), Ok(keyframe));
        let name = NameRecord { of: NameOf::Carried, id: a, text: &text };
        prop_assert_eq!(decode_name(encode_name(&mut b, &name)), Ok(name));
        let latency = Latency { at: LogicalNs(at), hop: &text, count: seq, max_ns: a, ..Latency::default() };
        prop_assert_eq!(decode_latency(encode_latency(&mut b, &latency)), Ok(latency));
        let counter = Counter { at: LogicalNs(at), source: &text, reason: "too_late", count: a };
        prop_assert_eq!(decode_counter(encode_counter(&mut b, &counter)), Ok(counter));
    }

    #[test]
    fn any_bytes_are_refused_or_read_without_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode_input(&bytes, &mut ScanBuf::new());
        let _ = decode_command(&bytes);
        let _ = decode_event(&bytes);
        let _ = decode_keyframe(&bytes);
    }
}

#[test]
fn a_name_that_is_too_long_is_refused() {
    let mut fbb = flatbuffers::FlatBufferBuilder::new();
    let button = Some(fbb.create_string("a name of more than thirty-one bytes"));
    use crate::trace_schema as s;
    let sensed = s::Button::create(&mut fbb, &s::ButtonArgs { button }).as_union_value();
    let args = s::ObservationArgs { sensed_type: s::Sensed::Button, sensed: Some(sensed), ..Default::default() };
    let body = s::Observation::create(&mut fbb, &args).as_union_value();
    let args = s::InputArgs { body_type: s::Body::Observation, body: Some(body), ..Default::default() };
    let root = s::Input::create(&mut fbb, &args);
    fbb.finish(root, None);
    let mut scan = ScanBuf::new();
    let refused = decode_input(fbb.finished_data(), &mut scan);
    assert_eq!(refused, Err(WireError::TooLong { what: "name", bytes: 36 }));
}

#[test]
fn the_binary_schemas_name_every_record() {
    let holds = |name: &str| crate::TRACE_BFBS.windows(name.len()).any(|w| w == name.as_bytes());
    for record in Record::ALL {
        assert!(holds(schema_name(record)), "{record:?}");
    }
    assert_eq!(crate::TRACE_BFBS.get(4..8), Some(&b"BFBS"[..]));
    assert_eq!(crate::FRAME_BFBS.get(4..8), Some(&b"BFBS"[..]));
}
