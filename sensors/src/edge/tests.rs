//! Datagrams through the whole edge.

use super::ledger::Whom;
use super::*;
use crate::testing::{add, add_actuator, json, map, site, time};
use osmose_model::command::Value;
use osmose_model::device::{ActuatorKind, Format, JsonMap, Normalise, SensorKind};
use osmose_model::geometry::{Place, RAD_PER_DEG};
use osmose_model::ids::{ActuatorId, LevelId, Name};
use osmose_model::observation::Direction;
use osmose_model::time::NS_PER_MS;
use osmose_wire::frame::{self, Body as WireBody, Detection as WireDetection, Head, Sample, encode_frame};
use proptest::prelude::*;

/// Everything that came out, in order, as text, and the observations' measured times.
#[derive(Default)]
struct Out {
    lines: Vec<String>,
    measured: Vec<i64>,
    remarks: Vec<&'static str>,
}

impl Sink for Out {
    fn named(&mut self, _: ArrivalNs, _: CarriedKey, text: &str) {
        self.lines.push(format!("named {text}"));
    }
    fn observation(&mut self, _: ArrivalNs, _: SourceKey, _: Class, o: &Observation<'_>) {
        self.measured.push(o.measured.0);
        let seq = o.source_seq.map_or_else(String::new, |s| format!(" #{s}"));
        self.lines.push(format!("{}{seq} {:?}", o.sensor, o.body));
    }
    fn report(&mut self, _: ArrivalNs, r: Report) {
        self.lines.push(format!("report {} {} {:?}", r.actuator, r.property, r.value));
    }
    fn shed(&mut self, _: ArrivalNs, s: Shed) {
        self.lines.push(format!("shed {} {:?}", s.count, s.reason));
    }
    fn remarked(&mut self, _: ArrivalNs, _: Whom, fault: Fault) {
        self.remarks.push(fault.reason.as_str());
    }
}

const FROM: ([u8; 4], u16) = ([127, 0, 0, 1], 50_000);

struct Bench {
    edge: Edge,
    out: Out,
    now: i64,
}

impl Bench {
    fn new(site: &Site) -> Self {
        Self { edge: Edge::new(site), out: Out::default(), now: 0 }
    }
    /// One datagram to port 0, 10 ms after the one before; gives the lines that came of it.
    fn send(&mut self, bytes: impl AsRef<[u8]>) -> Vec<String> {
        self.now += 10 * NS_PER_MS;
        self.send_at(self.now, FROM.into(), bytes)
    }
    fn send_at(&mut self, now: i64, from: SocketAddr, bytes: impl AsRef<[u8]>) -> Vec<String> {
        self.edge.datagram(PortId(0), from, ArrivalNs(now), bytes.as_ref(), &mut self.out);
        std::mem::take(&mut self.out.lines)
    }
    /// The names of everything counted, with how often, in order.
    fn counted(&self) -> String {
        self.edge.counters().map(|c| format!("{}={}", c.reason, c.count)).collect::<Vec<_>>().join(" ")
    }
}

fn peer_map() -> JsonMap {
    map(&[("device", "/id"), ("x_m", "/x"), ("y_m", "/y"), ("seq", "/seq")])
}

fn peer_site() -> Site {
    let mut site = site();
    add(&mut site, "uwb", SensorKind::Location, 7801, json(peer_map()));
    site
}

fn location(id: &str, x: f64, y: f64) -> String {
    let place = Place::flat(LevelId(0), x, y);
    format!("{:?}", Body::Location { device: CarriedKey::of(id), place, sigma_m: None })
}

#[test]
fn the_peer_job_is_a_location_fix() {
    let mut b = Bench::new(&peer_site());
    let lines = b.send(br#"{"id":"p17","x":12.345,"y":5.678,"seq":42}"#);
    assert_eq!(lines, [format!("0 #42 {}", location("p17", 12.345, 5.678))]);
    assert_eq!(b.out.measured, [10 * NS_PER_MS]);
    assert_eq!(b.counted(), "");
    assert_eq!(b.edge.taken(SensorId(0)), 1);
}

#[test]
fn an_undeclared_device_is_named_once_and_tracked() {
    let mut b = Bench::new(&peer_site());
    let first = b.send(br#"{"id":"x9","x":1,"y":2,"seq":1}"#);
    assert_eq!(first, ["named x9".to_owned(), format!("0 #1 {}", location("x9", 1.0, 2.0))]);
    assert_eq!(b.send(br#"{"id":"x9","x":1,"y":2,"seq":2}"#).len(), 1);
    assert_eq!(b.counted(), "unknown_device=1");
    // Escapes and numbers are ids too.
    assert_eq!(b.send(br#"{"id":"x\u0039","x":1,"y":2,"seq":3}"#), [format!("0 #3 {}", location("x9", 1.0, 2.0))]);
    assert_eq!(b.send(br#"{"id":9,"x":1,"y":2,"seq":4}"#)[0], "named 9");
}

#[test]
fn every_bad_body_is_counted_under_its_own_name_and_told_once() {
    let cases: [(&[u8], &str); 16] = [
        (b"{\"id\":\"p17\",\"x\":1,\"y\":", "malformed_json"),
        (b"\xff\xfe", "malformed_json"),
        (br#"{"id":"p17","x":NaN,"y":2}"#, "malformed_json"),
        (br#"{"id":"p17","x":1,"y":2} trailing"#, "malformed_json"),
        (br#"{"id":"p17","x":"12.345","y":2}"#, "wrong_type"),
        (br#"{"id":["p17"],"x":1,"y":2}"#, "wrong_type"),
        (br#"{"id":"p17","x":1,"y":2,"seq":-1}"#, "wrong_type"),
        (br#"{"id":"p17","x":1,"y":2,"seq":"1"}"#, "wrong_type"),
        (br#"{"id":"p17","x":1}"#, "missing_field"),
        (br#"{"id":"p17","x":1,"y":null}"#, "missing_field"),
        (br#"{"id":"","x":1,"y":2}"#, "missing_field"),
        (br#"[1,2,3]"#, "missing_field"),
        (br#"{"id":"p17","x":1e999,"y":2}"#, "not_finite"),
        (br#"{"id":"p17","x":2e6,"y":2}"#, "not_plausible"),
        (b"", "malformed_json"),
        (br#"{"id":"0123456789012345678901234567890123456789012345678901234567890123","x":1,"y":2}"#, "too_long"),
    ];
    for (bytes, reason) in cases {
        let mut b = Bench::new(&peer_site());
        for _ in 0..3 {
            assert!(b.send(bytes).is_empty(), "{reason}");
        }
        assert_eq!(b.counted(), format!("{reason}=3"), "{}", String::from_utf8_lossy(bytes));
        let told: Vec<_> = b.edge.first_times().collect();
        assert_eq!(told.len(), 1, "{reason}");
        let sentence = told[0].sentence(&peer_site(), |_| Some(FROM.into()));
        assert!(sentence.contains(reason) && sentence.contains("127.0.0.1:50000"), "{sentence}");
        assert_eq!(b.edge.first_times().count(), 0, "told once");
    }
    let mut b = Bench::new(&peer_site());
    b.send(vec![b' '; DATAGRAM_BYTES_MAX + 1]);
    assert_eq!(b.counted(), "too_long=1");
}

#[test]
fn scale_offset_and_type_of_each_kind() {
    let one = |kind: SensorKind, fields: &[(&str, &str)], body: &str| {
        let mut site = site();
        add(&mut site, "s", kind, 1, json(map(fields)));
        let mut b = Bench::new(&site);
        let mut lines = b.send(body);
        lines.retain(|l| !l.starts_with("named"));
        (lines.pop().unwrap_or_default(), b.counted())
    };
    let taken = |kind, fields: &[(&str, &str)], body: &str| one(kind, fields, body).0;
    let refused = |kind, fields: &[(&str, &str)], body: &str| one(kind, fields, body).1;
    let k = |id: &str| CarriedKey::of(id);
    use SensorKind as K;
    assert_eq!(
        taken(K::Range, &[("device", "/d"), ("range_m", "/r")], r#"{"d":"p17","r":3.5}"#),
        format!("0 {:?}", Body::Range { device: k("p17"), range_m: 3.5, sigma_m: None })
    );
    assert_eq!(refused(K::Range, &[("device", "/d"), ("range_m", "/r")], r#"{"d":"p17","r":-1}"#), "not_plausible=1");
    assert_eq!(
        taken(K::Tdoa, &[("device", "/d"), ("sensor_b", "/b"), ("diff_m", "/r")], r#"{"d":"p17","b":"s","r":-3.5}"#),
        format!("0 {:?}", Body::Tdoa { other: SensorId(0), device: k("p17"), diff_m: -3.5, sigma_m: None })
    );
    assert_eq!(
        refused(K::Tdoa, &[("device", "/d"), ("sensor_b", "/b"), ("diff_m", "/r")], r#"{"d":"p17","b":"?","r":1}"#),
        "unknown_sensor=1"
    );
    assert_eq!(taken(K::Binary, &[("state", "/s")], r#"{"s":"open"}"#), "0 Binary { on: true }");
    assert_eq!(taken(K::Binary, &[("state", "/s")], r#"{"s":0}"#), "0 Binary { on: false }");
    assert_eq!(taken(K::Binary, &[("state", "/s")], r#"{"s":true}"#), "0 Binary { on: true }");
    assert_eq!(refused(K::Binary, &[("state", "/s")], r#"{"s":"ajar"}"#), "unknown_state=1");
    assert_eq!(
        taken(K::Crossing, &[("direction", "/0/d")], r#"[{"d":"out"}]"#),
        format!("0 {:?}", Body::Crossing { direction: Direction::Out })
    );
    assert_eq!(refused(K::Crossing, &[("direction", "/d")], r#"{"d":"up"}"#), "unknown_direction=1");
    assert_eq!(taken(K::Count, &[("people", "")], "7"), "0 Count { people: 7 }");
    assert_eq!(refused(K::Count, &[("people", "")], "7.5"), "not_plausible=1");
    assert_eq!(taken(K::Button, &[("button", "/b")], r#"{"b":"red"}"#), "0 Button { button: \"red\" }");
    assert_eq!(
        refused(K::Voice, &[("person", "/p"), ("likelihood", "/l")], r#"{"p":"bob","l":2}"#),
        "unknown_person=1"
    );
    let mut site = site();
    let mut celsius = map(&[("value", "/a~1b/~0")]);
    (celsius.fields[0].1.scale, celsius.fields[0].1.offset) = (0.5, -10.0);
    add(&mut site, "s", K::Value, 1, json(celsius));
    let mut b = Bench::new(&site);
    assert_eq!(b.send(br#"{"a/b":{"~":50}}"#), ["0 Value { value: 15.0 }"]);
}

#[test]
fn each_is_a_scan_with_its_head_at_the_root_or_in_the_items() {
    let mut site = site();
    let mut m = map(&[("x_m", "/x"), ("y_m", "/y"), ("seq", "/n")]);
    (m.each, m.sensor) = (Some("/targets".into()), Some("/id".into()));
    let radar = add(&mut site, "radar", SensorKind::Position, 1, json(m.clone()));
    radar.coordinates_are_relative = true;
    add(&mut site, "other", SensorKind::Position, 1, json(m));
    let mut b = Bench::new(&site);
    // Turned by 90 degrees and moved to (10, 20): 3 m ahead is (10, 23).
    let lines = b.send(br#"{"targets":[{"x":3,"y":0},{"x":0,"y":1}],"n":5,"id":"radar"}"#);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("0 #5 Position(["), "{lines:?}");
    assert!(lines[0].contains("x_m: 10.0, y_m: 23.0") && lines[0].contains("x_m: 9.0, y_m: 20.0"), "{lines:?}");
    assert_eq!(b.send(br#"{"id":"other","n":6,"targets":[]}"#), ["1 #6 Position([])"], "saw nobody");
    let own = b.send(br#"{"targets":[{"x":1,"y":1,"id":"other","n":7},{"x":2,"y":1,"id":"radar"}]}"#);
    assert!(own[0].starts_with("1 #7") && own[0].matches("Detection").count() == 1, "{own:?}");
    assert_eq!(b.counted(), "mixed_sensors=1");
    assert!(b.send(br#"{"id":"other","n":8,"targets":[{"x":"1","y":1}]}"#).is_empty(), "not a scan that saw nobody");
    assert!(b.send(br#"{"id":"other","n":9,"targets":{}}"#).is_empty());
    assert!(b.send(br#"{"id":"other","n":10}"#).is_empty());
    assert!(b.send(br#"{"id":"nobody","n":11,"targets":[]}"#).is_empty());
    let told: Vec<_> = b.edge.first_times().map(|f| (f.fault.reason.as_str(), f.subject)).collect();
    assert!(told.contains(&("unknown_sensor", "nobody".to_owned())), "{told:?}");
}

#[test]
fn a_scan_of_too_many_items_keeps_the_limit_and_counts_the_rest() {
    let mut site = site();
    let mut m = map(&[("x_m", "/x"), ("y_m", "/y")]);
    m.each = Some(String::new());
    add(&mut site, "radar", SensorKind::Position, 1, json(m));
    let mut b = Bench::new(&site);
    let body = format!("[{}]", vec![r#"{"x":1,"y":2}"#; 4100].join(","));
    assert_eq!(b.send(body)[0].matches("Detection").count(), 4096);
    assert_eq!(b.counted(), "too_many_items=4");
}

#[test]
fn sensors_of_different_maps_share_a_port() {
    let mut site = site();
    let mut value = map(&[("value", "/v")]);
    value.sensor = Some("/id".into());
    let mut door = map(&[("state", "/open"), ("seq", "/n")]);
    door.sensor = Some("/door".into());
    add(&mut site, "temp", SensorKind::Value, 1, json(value.clone()));
    add(&mut site, "door-1", SensorKind::Binary, 1, json(door));
    add(&mut site, "lux", SensorKind::Value, 1, json(value));
    add(&mut site, "cam", SensorKind::Position, 1, Format::Osmose);
    add_actuator(&mut site, "m7.light", ActuatorKind::Light, 1);
    let mut b = Bench::new(&site);
    assert_eq!(b.edge.ports().len(), 1);
    assert_eq!(b.send(br#"{"id":"lux","v":3}"#), ["2 Value { value: 3.0 }"]);
    assert_eq!(b.send(br#"{"door":"door-1","open":true,"n":3}"#), ["1 #3 Binary { on: true }"]);
    assert_eq!(b.send(br#"{"id":"m7.light","level":40,"state":"on"}"#).len(), 2);
    let empty = encode_frame(&Head { sensor: "cam", ..Head::default() }, &[Sample::of(WireBody::Position(&[]))]);
    assert_eq!(b.send(empty), ["3 Position([])"]);
    assert!(b.send(br#"{"id":"door-1","v":3}"#).is_empty(), "its name stands elsewhere");
    assert!(b.send(br#"{"what":1}"#).is_empty());
    assert_eq!(b.counted(), "missing_field=1 unknown_sensor=1");
}

#[test]
fn reports_are_one_per_property_and_checked() {
    let mut site = site();
    add_actuator(&mut site, "m7.recorder", ActuatorKind::Recorder, 1);
    add_actuator(&mut site, "m7.light", ActuatorKind::Light, 1);
    let mut b = Bench::new(&site);
    let name = |n: &str| format!("{:?}", Value::Name(Name::new(n).unwrap()));
    let state = b.send(br#"{"id":"m7.recorder","state":"recording"}"#);
    assert_eq!(state, [format!("report 0 state {}", name("recording"))]);
    let two = b.send(br#"{"id":"m7.light","state":"\u006fn","level":40.5,"seq":1}"#);
    assert_eq!(two, [format!("report 1 state {}", name("on")), "report 1 level Number(40.5)".to_owned()]);
    assert!(b.send(br#"{"id":"m7.recorder","state":"dancing"}"#).is_empty());
    assert!(b.send(br#"{"id":"m7.light","level":"40"}"#).is_empty());
    assert!(b.send(br#"{"id":"m7.light","level":1e999}"#).is_empty());
    assert!(b.send(br#"{"id":"m7.light","mood":"good"}"#).is_empty());
    assert!(b.send(br#"{"id":"m8.light","state":"on"}"#).is_empty());
    assert!(b.send(br#"{"state":"on"}"#).is_empty());
    assert!(b.send(b"nonsense").is_empty());
    assert!(b.send(br#"{"id":"m7.light","state":"on","level":40.5,"seq":3}"#).len() == 2);
    let counted = "malformed_json=1 missing_field=1 unknown_actuator=1 unknown_state=1 wrong_type=1 not_finite=1 \
                   unknown_property=1 missing=1";
    assert_eq!(b.counted(), counted);
    assert_eq!(b.edge.count_of(Whom::Actuator(ActuatorId(1)), Reason::Missing), 1);
}

#[test]
fn numbers_are_followed_per_socket_and_copies_dropped() {
    let mut b = Bench::new(&peer_site());
    let fix = |seq: u64| format!(r#"{{"id":"p17","x":1,"y":{seq},"seq":{seq}}}"#);
    assert_eq!(b.send(fix(1)).len(), 1);
    let gap = b.send(fix(4));
    assert_eq!(gap[0], "shed 2 Missing");
    assert_eq!(gap.len(), 2);
    assert_eq!(b.send(fix(2)).len(), 1, "used although it went back");
    assert!(b.send(fix(2)).is_empty(), "the same datagram again");
    assert_eq!(b.send(r#"{"id":"p17","x":9,"y":9,"seq":2}"#).len(), 1, "the same number with other bytes");
    let other: SocketAddr = ([127, 0, 0, 1], 50_001).into();
    assert_eq!(b.send_at(b.now, other, fix(100)).len(), 1, "another socket has numbers of its own");
    assert_eq!(b.counted(), "seq_back=2 missing=2 duplicate=1");
    let later = b.now + 2 * 1_000_000_000;
    assert_eq!(b.send_at(later, FROM.into(), fix(2)).len(), 1, "a second later it is no copy");
    // Without a number and a time an honest repetition cannot be told from a copy, so it is one.
    let standing = br#"{"id":"p17","x":1,"y":1}"#;
    assert_eq!(b.send(standing).len() + b.send(standing).len(), 2);
}

#[test]
fn only_known_sockets_are_heard() {
    let mut site = peer_site();
    let stranger: SocketAddr = ([192, 168, 1, 9], 9).into();
    let fix = br#"{"id":"p17","x":1,"y":2}"#;
    let mut b = Bench::new(&site);
    assert!(b.send_at(1, stranger, fix).is_empty(), "from outside only who is declared");
    assert_eq!(b.counted(), "wrong_sender=1");
    site.sensors[0].connect.as_mut().unwrap().from = Some(stranger);
    let mut b = Bench::new(&site);
    assert_eq!(b.send_at(1, stranger, fix).len(), 1);
    assert!(b.send(fix).is_empty(), "not even loopback, where another is declared");
    assert_eq!(b.counted(), "wrong_sender=1");
}

#[test]
fn ids_are_compared_after_the_declared_normalisation() {
    let mut site = site();
    let reader = add(&mut site, "reader", SensorKind::Badge, 1, json(map(&[("badge", "/b")])));
    reader.connect.as_mut().unwrap().normalise = Normalise { lower: true, alnum: true };
    let mut b = Bench::new(&site);
    let declared = format!("0 {:?}", Body::Badge { badge: CarriedKey::of("04:A2") });
    for badge in ["04a2", "04-A2", "04:A2"] {
        assert_eq!(b.send(format!(r#"{{"b":"{badge}"}}"#)), std::slice::from_ref(&declared));
    }
    assert_eq!(b.send(br#"{"b":"FF"}"#)[0], "named ff");
    assert_eq!(b.counted(), "unknown_badge=1");
}

#[test]
fn times_of_a_device_are_mapped_and_too_late_is_shed() {
    let mut site = site();
    let mut m = peer_map();
    m.time = time("/t", -3, ClockKind::Device);
    add(&mut site, "uwb", SensorKind::Location, 1, json(m));
    let mut b = Bench::new(&site);
    let fix = |t: &str| format!(r#"{{"id":"p17","x":1,"y":2,"t":{t}}}"#);
    let ms = NS_PER_MS;
    b.send_at(1000 * ms, FROM.into(), fix("500000"));
    b.send_at(1150 * ms, FROM.into(), fix("500100.5"));
    assert_eq!(b.out.measured, [1000 * ms, 1100 * ms + ms / 2], "49.5 ms on the way were taken out");
    let late = b.send_at(2000 * ms, FROM.into(), fix("500200"));
    assert_eq!(late, ["shed 1 TooLate"]);
    assert!(b.send_at(2001 * ms, FROM.into(), fix("\"500201\"")).is_empty());
    assert!(b.send_at(2002 * ms, FROM.into(), br#"{"id":"p17","x":1,"y":2}"#).is_empty());
    assert!(b.send_at(2003 * ms, FROM.into(), fix("1e30")).is_empty());
    assert_eq!(b.counted(), "wrong_type=1 missing_field=1 not_plausible=1 too_late=1");
}

#[test]
fn native_frames_of_every_kind_decode() {
    let mut site = site();
    let (hits, points) = (
        [frame::BearingHit { bearing_deg: 90.0, sigma_deg: Some(2.0), device: None }],
        [frame::CloudPoint { x_m: 1.0, y_m: 2.0, doppler_mps: Some(-0.5), ..Default::default() }],
    );
    let seen = [WireDetection { x_m: 1.0, y_m: 2.0, z_m: Some(1.5), sigma_m: None, level: Some("upper") }];
    let at = frame::At { x_m: 1.0, y_m: 2.0, z_m: None, level: None };
    let bodies = [
        WireBody::Location { device: "p17", at, sigma_m: Some(0.1) },
        WireBody::Position(&seen),
        WireBody::Points(&points),
        WireBody::Range { device: "p17", range_m: 3.0, sigma_m: None },
        WireBody::Tdoa { sensor_b: "s0", device: "p17", diff_m: -1.0, sigma_m: None },
        WireBody::Rssi { device: "p17", rssi_dbm: -60.0 },
        WireBody::Bearing(&hits),
        WireBody::Voice { person: "ana", likelihood: 9.0, bearing_deg: Some(-90.0) },
        WireBody::Facing { at, heading_deg: 180.0, sigma_deg: None },
        WireBody::Gesture { at, gesture: "wave" },
        WireBody::Binary { on: true },
        WireBody::Badge { badge: "04:A2" },
        WireBody::Crossing { direction: frame::Direction::In },
        WireBody::Count { people: 3 },
        WireBody::Value { value: 21.5 },
        WireBody::Button { button: "red" },
    ];
    for (i, &kind) in SensorKind::ALL.iter().enumerate() {
        add(&mut site, &format!("s{i}"), kind, 1, Format::Osmose);
    }
    let names: Vec<_> = (0..16).map(|i| format!("s{i}")).collect();
    let samples: Vec<_> =
        bodies.iter().zip(&names).map(|(&body, name)| Sample { sensor: Some(name), ..Sample::of(body) }).collect();
    let mut b = Bench::new(&site);
    let lines = b.send(encode_frame(&Head { sensor: "s0", seq: Some(9), time: None }, &samples));
    assert_eq!((lines.len(), b.counted().as_str()), (16, ""));
    assert!(lines.iter().enumerate().all(|(i, l)| l.starts_with(&format!("{i} #9 "))), "{lines:?}");
    assert!(lines[1].contains("LevelId(1)") && lines[1].contains("z_m: Some(1.5)"));
    // 90 degrees to the left of a sensor that looks along +y is -x; -90 degrees of it is +x.
    let pi = std::f64::consts::PI;
    assert!(lines[6].contains(&format!("bearing_rad: {:?}", -pi)), "{}", lines[6]);
    assert!(lines[6].contains(&format!("sigma_rad: Some({:?})", 2.0 * RAD_PER_DEG)));
    assert!(lines[7].contains("bearing_rad: Some(0.0)"), "{}", lines[7]);
    assert!(lines[8].contains(&format!("heading_rad: {:?}", -pi)), "site frame: {}", lines[8]);
    // One of another kind than the sensor's, one of a sensor that nobody knows.
    let wrong = [Sample::of(bodies[13]), Sample { sensor: Some("s99"), ..Sample::of(bodies[13]) }];
    assert!(b.send(encode_frame(&Head { sensor: "s0", ..Head::default() }, &wrong)).is_empty());
    assert_eq!(b.counted(), "unknown_sensor=1 wrong_kind=1");
    let nan = [WireDetection { x_m: f64::NAN, ..Default::default() }, WireDetection { x_m: f64::INFINITY, ..seen[0] }];
    assert!(
        b.send(encode_frame(&Head { sensor: "s1", ..Head::default() }, &[Sample::of(WireBody::Position(&nan))]))
            .is_empty()
    );
    assert!(b.send(b"not a frame").is_empty());
    assert_eq!(b.counted(), "malformed_frame=1 unknown_sensor=1 wrong_kind=1 not_finite=2");
}

proptest! {
    #[test]
    fn nothing_that_anybody_sends_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[\\[\\]{}\",:a-z0-9.\\\\u -]{0,80}",
        flip in (any::<usize>(), any::<u8>()),
    ) {
        let mut site = peer_site();
        let mut m = map(&[("x_m", "/x"), ("y_m", "/y")]);
        m.each = Some("/a".into());
        add(&mut site, "radar", SensorKind::Position, 7801, json(m));
        add(&mut site, "cam", SensorKind::Position, 7801, Format::Osmose);
        add_actuator(&mut site, "m7.light", ActuatorKind::Light, 7801);
        let mut b = Bench::new(&site);
        b.send(&bytes);
        b.send(&text);
        let seen = [WireDetection::default(); 2];
        let mut frame = encode_frame(&Head { sensor: "cam", ..Head::default() }, &[Sample::of(WireBody::Position(&seen))]);
        let at = flip.0 % frame.len();
        frame[at] = flip.1;
        b.send(&frame);
    }
}

mod signed {
    use super::*;
    use crate::edge::keys::{KEY_BYTES, Key, Keys, seal};
    use osmose_model::device::FieldPath;

    const ABROAD: &str = "192.0.2.7:9000";

    fn key(k: u8) -> Key {
        Key::new([k; KEY_BYTES])
    }

    /// Two tags on one port: one signs, one does not.
    fn bench() -> (Site, Edge, Told) {
        let mut site = site();
        add(&mut site, "signs", SensorKind::Value, 7900, Format::Json(Box::new(value_map())))
            .connect
            .as_mut()
            .unwrap()
            .key_file = Some("keys/a".into());
        add(&mut site, "plain", SensorKind::Value, 7900, Format::Json(Box::new(value_map())));
        let mut keys = Keys::default();
        keys.insert("signs", key(1));
        let edge = Edge::with_keys(&site, &keys);
        (site, edge, Told::default())
    }

    fn value_map() -> JsonMap {
        let path = |p: &str| FieldPath { path: p.into(), scale: 1.0, offset: 0.0 };
        let fields = vec![("value".to_owned(), path("/v")), ("seq".to_owned(), path("/n"))];
        JsonMap { sensor: Some("/s".into()), fields, ..JsonMap::default() }
    }

    #[derive(Default)]
    struct Told {
        taken: Vec<SensorId>,
        remarks: Vec<&'static str>,
    }

    impl Sink for Told {
        fn named(&mut self, _: ArrivalNs, _: CarriedKey, _: &str) {}
        fn observation(&mut self, _: ArrivalNs, _: SourceKey, _: Class, o: &Observation<'_>) {
            self.taken.push(o.sensor);
        }
        fn report(&mut self, _: ArrivalNs, _: Report) {}
        fn shed(&mut self, _: ArrivalNs, _: Shed) {}
        fn remarked(&mut self, _: ArrivalNs, _: Whom, fault: Fault) {
            self.remarks.push(fault.reason.as_str());
        }
    }

    #[test]
    fn who_must_sign_is_taken_with_its_signature_alone_and_from_anywhere() {
        let (site, mut edge, mut told) = bench();
        let port = edge.ports().find(|p| p.addr.port() == 7900).unwrap().id;
        let (mut n, signs) = (0, site.sensors.iter().find(|s| s.name == "signs").unwrap().id);
        let mut send = |told: &mut Told, from: &str, bytes: &[u8]| {
            n += 1;
            edge.datagram(port, from.parse().unwrap(), ArrivalNs(n * 1_000_000_000), bytes, told);
            (std::mem::take(&mut told.taken), std::mem::take(&mut told.remarks))
        };
        let sealed = |k: u8, counter: u64, body: &str| {
            let mut out = vec![];
            seal("signs", &key(k), counter, body.as_bytes(), &mut out);
            out
        };
        let body = r#"{"s":"signs","v":1.5,"n":1}"#;
        assert_eq!(
            send(&mut told, "127.0.0.1:5000", body.as_bytes()),
            (vec![], vec!["not_signed"]),
            "also on loopback"
        );
        assert_eq!(send(&mut told, ABROAD, &sealed(1, 7, body)), (vec![signs], vec![]));
        assert_eq!(send(&mut told, ABROAD, &sealed(1, 7, body)), (vec![], vec!["replayed"]));
        assert_eq!(send(&mut told, ABROAD, &sealed(2, 8, body)), (vec![], vec!["bad_signature"]));
        assert_eq!(
            send(&mut told, ABROAD, &sealed(1, 9, r#"{"s":"plain","v":1.5,"n":2}"#)),
            (vec![], vec!["wrong_sender"]),
            "its signature says nothing for another, who is not heard from abroad"
        );
    }

    #[test]
    fn who_is_nobodys_device_is_dropped_before_it_is_looked_at() {
        let mut site = site();
        add(&mut site, "here", SensorKind::Value, 7901, Format::Json(Box::new(value_map())));
        let (mut edge, mut told) = (Edge::new(&site), Told::default());
        let port = edge.ports().find(|p| p.addr.port() == 7901).unwrap().id;
        edge.datagram(port, ABROAD.parse().unwrap(), ArrivalNs(1), b"\xff not even text", &mut told);
        assert_eq!(told.remarks, ["wrong_sender"]);
    }
}
