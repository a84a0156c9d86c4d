//! The lines as others script against them: byte for byte where the guide shows them, by their laws elsewhere.

mod common;
use common::*;
use osmose_drivers::lines::{encode_commands_line, encode_event_line, encode_json};
use osmose_drivers::log::{LogOut, encode_log_line};
use osmose_drivers::udp::{Of, SendError, UdpOut};
use osmose_model::command::{Cause, Command, Text, Trigger, Value};
use osmose_model::ids::{ActuatorId, PersonId, Seq, TrackId, ZoneId};
use osmose_model::time::{DurationNs, LogicalNs, UtcNs};
use osmose_model::world::EventKind;
use proptest::prelude::*;
use serde_json::json;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

fn udp_line(command: &Command) -> String {
    let mut out = Vec::new();
    encode_json(&site(nowhere()), &rules, command, None, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn commands_line(command: &Command, utc: Option<UtcNs>) -> String {
    let mut out = Vec::new();
    encode_commands_line(&site(nowhere()), &rules, command, utc, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

/// The keys of the outermost object, in the order written.
fn keys(line: &str) -> Vec<String> {
    let (mut keys, mut depth, mut bytes) = (Vec::new(), 0, line.char_indices());
    while let Some((i, c)) = bytes.next() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            '"' => {
                let mut escaped = false;
                let end = bytes.find(|&(_, c)| {
                    let end = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    end
                });
                let end = end.expect("strings end").0;
                if depth == 1 && line[end + 1..].starts_with(':') {
                    keys.push(line[i + 1..end].to_owned());
                }
            }
            _ => {}
        }
    }
    keys
}

#[test]
fn the_udp_command_of_the_guide_byte_for_byte() {
    let expected = concat!(
        r#"{"device":"m7.recorder","command":"pause","args":{"reason":"ana left"},"rule":"pause-recording","#,
        r#""id":"7.0","t_s":12.345,"seq":42}"#,
        "\n",
    );
    assert_eq!(udp_line(&command()), expected);
    let no_seq = Command { source_seq: None, rule: None, ..command() };
    let line = udp_line(&no_seq);
    assert!(!line.contains("seq"), "left out where there is none: {line}");
    assert!(line.ends_with("\"rule\":null,\"id\":\"7.0\",\"t_s\":12.345}\n"), "{line}");
    // Under a lease the line says for how long it holds.
    let mut out = Vec::new();
    encode_json(&site(nowhere()), &rules, &no_seq, Some(DurationNs::from_ms(2500)), &mut out);
    assert!(String::from_utf8(out).expect("UTF-8").ends_with("\"t_s\":12.345,\"lease_s\":2.5}\n"));
}

#[test]
fn a_commands_line_tells_its_cause_in_names() {
    let line = commands_line(&command(), Some(UtcNs(1_700_000_000_250_000_000)));
    let expected = json!({
        "t_s": 12.345, "seq": 7, "source_seq": 42, "id": "7.0", "rule": "pause-recording",
        "device": "m7.recorder", "command": "pause", "args": { "reason": "ana left" },
        "cause": {
            "trigger": { "kind": "event", "event": "leaves", "track": 5, "zone": "m7" },
            "sensor": "uwb", "measured_t_s": 12.3,
            "bindings": { "p": { "track": 5, "person": "ana", "person_p": 0.98 }, "r": { "zone": "m7" } },
            "conditions": [
                { "offset": 120, "truth": "true", "value": null },
                { "offset": 160, "truth": "unknown", "value": 0.25 },
            ],
            "doubt": false,
            "sightings": [{ "track": 5, "sensor": "uwb", "measured_t_s": 12.2 }],
        },
        "utc": "2023-11-14T22:13:20.25Z",
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&line).expect("JSON"), expected);
    let order = ["t_s", "seq", "source_seq", "id", "rule", "device", "command", "args", "cause"];
    assert_eq!(keys(&commands_line(&command(), None)), order);
}

#[test]
fn every_trigger_has_its_kind() {
    let kinds = [
        (Trigger::Sensor(osmose_model::ids::SensorId(0)), json!({ "kind": "sensor", "sensor": "uwb" })),
        (Trigger::Device(ActuatorId(1)), json!({ "kind": "device", "device": "m7.light" })),
        (Trigger::Timer, json!({ "kind": "timer" })),
        (Trigger::Clock, json!({ "kind": "clock" })),
        (Trigger::Start, json!({ "kind": "start" })),
        (Trigger::Operator, json!({ "kind": "operator" })),
    ];
    for (trigger, expected) in kinds {
        let line = commands_line(&Command { cause: Cause::new(trigger), source_seq: None, ..command() }, None);
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(line["cause"]["trigger"], expected);
        assert_eq!((&line["source_seq"], &line["cause"]["sensor"]), (&json!(null), &json!(null)));
    }
}

#[test]
fn an_event_line_byte_for_byte_and_what_is_absent_is_null() {
    let mut out = Vec::new();
    encode_event_line(&site(nowhere()), tag(), &event(), None, &mut out);
    let expected = concat!(
        r#"{"t_s":12.345,"seq":7,"kind":"leaves","track":5,"person":"ana","zone":"m7","x_m":8.125,"y_m":3,"#,
        r#""level":"ground","person_p":0.98,"other":null,"sensor":"uwb","measured_t_s":12.3}"#,
        "\n",
    );
    assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
    for kind in EventKind::ALL {
        let mut out = Vec::new();
        let swap = osmose_model::world::WorldEvent {
            kind,
            person: None,
            zone: None,
            sensor: None,
            other: Some(TrackId(6)),
            ..event()
        };
        encode_event_line(&site(nowhere()), tag(), &swap, Some(UtcNs(0)), &mut out);
        let line: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!((&line["kind"], &line["other"]), (&json!(kind.as_str()), &json!(6)));
        assert_eq!((&line["person"], &line["zone"], &line["sensor"]), (&json!(null), &json!(null), &json!(null)));
        assert_eq!(line["utc"], json!("1970-01-01T00:00:00Z"));
    }
}

#[test]
fn numbers_that_the_site_does_not_know_are_null() {
    let strange = args(&[("p", Value::Person(PersonId(9))), ("z", Value::Zone(ZoneId(9)))]);
    let line = udp_line(&Command { device: ActuatorId(9), args: strange, ..command() });
    assert!(line.starts_with(r#"{"device":null,"command":"pause","args":{"p":null,"z":null}"#), "{line}");
}

#[test]
fn a_log_line_reads_as_a_sentence() {
    let line = |c: &Command| {
        let mut out = Vec::new();
        encode_log_line(&site(nowhere()), &rules, c, &mut out);
        String::from_utf8(out).expect("UTF-8")
    };
    assert_eq!(
        line(&command()),
        "12.345 s  m7.recorder.pause(reason: \"ana left\")  by pause-recording  as ana (track 5) leaves m7, \
         seen by uwb at 12.3 s\n"
    );
    let by_hand = Command { rule: None, cause: Cause::new(Trigger::Operator), ..command() };
    assert!(line(&by_hand).ends_with("  by hand\n"));
    let default = Command { rule: None, cause: Cause::new(Trigger::Timer), ..command() };
    assert!(line(&default).ends_with("  back to its default  as a timer is due\n"));
    let mut log = LogOut::new(Vec::new());
    log.write(&site(nowhere()), &rules, &command()).expect("a vector takes everything");
    assert_eq!((log.written(), log.errors()), (1, 0));
    assert_eq!(log.get_mut().iter().filter(|&&b| b == b'\n').count(), 1);
}

/// A writer that takes nothing.
struct Full;

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_log_that_cannot_be_written_says_so() {
    let mut log = LogOut::new(Full);
    assert!(log.write(&site(nowhere()), &rules, &command()).is_err());
    assert_eq!((log.written(), log.errors()), (0, 1));
}

#[test]
fn commands_arrive_over_udp_and_what_cannot_leave_is_counted() {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(receiver) = UdpSocket::bind(local) else {
            println!("skipped: this machine has no {local}");
            continue;
        };
        receiver.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let site = site(receiver.local_addr().expect("its address"));
        let mut udp = UdpOut::new(&site).expect("sockets");
        assert!(udp.reaches(ActuatorId(0)) && !udp.reaches(ActuatorId(1)));
        for n in 0..20 {
            let c = Command { source_seq: Some(n), ..command() };
            udp.send(&site, &rules, &c).expect("loopback takes it");
            let mut bytes = [0; 2048];
            let len = receiver.recv(&mut bytes).expect("it arrives");
            assert_eq!(String::from_utf8_lossy(&bytes[..len]), udp_line(&c));
        }
        for device in [1, 9] {
            let error = udp.send(&site, &rules, &Command { device: ActuatorId(device), ..command() });
            assert!(matches!(error, Err(SendError::NoAddress { .. })), "{error:?}");
        }
        let counts = udp.counts();
        assert_eq!((counts.sent, counts.no_address, counts.errors, counts.would_block), (20, 2, 0, 0));
    }
}

#[test]
fn queued_commands_arrive_in_their_order_and_need_fewer_calls_than_there_are() {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    receiver.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let site = site(receiver.local_addr().expect("its address"));
    let mut udp = UdpOut::new(&site).expect("sockets");
    // Their numbers grow from one digit to three: no two neighbours of some are of one length.
    let commands: Vec<Command> = (0..120).map(|n| Command { source_seq: Some(n), ..command() }).collect();
    for c in &commands {
        udp.queue_line(&site, Of { device: c.device, id: c.id }, udp_line(c).as_bytes()).expect("it has an address");
    }
    let nobody = Of { device: ActuatorId(1), id: command().id };
    let error = udp.queue_line(&site, nobody, udp_line(&command()).as_bytes());
    assert!(matches!(error, Err(SendError::NoAddress { .. })), "{error:?}");
    udp.flush();
    udp.flush();
    let mut bytes = [0; 2048];
    for c in &commands {
        let len = receiver.recv(&mut bytes).expect("it arrives, a datagram by itself");
        let (line, wanted) = (String::from_utf8_lossy(&bytes[..len]), udp_line(c));
        assert_eq!(line.split_once('}').map(|_| line.trim_end()), Some(wanted.trim_end()));
        assert!(line.ends_with('\n') && line.len() <= wanted.len() + 2, "blanks at most: {line:?}");
    }
    let counts = udp.counts();
    assert_eq!((counts.sent, counts.no_address, counts.errors, counts.would_block), (120, 1, 0, 0));
    println!("120 commands in {} calls", counts.calls);
    // A kernel without segmentation offload needs one for each.
    assert!(counts.calls <= 120, "{counts:?}");
    if cfg!(target_os = "linux") {
        assert!(counts.calls <= 4, "{counts:?}");
    }
}

#[test]
fn an_address_that_the_kernel_refuses_is_an_error_with_the_device_in_it() {
    // Broadcast without permission is refused by the kernel at once.
    let site = site("255.255.255.255:9".parse().expect("an address"));
    let mut udp = UdpOut::new(&site).expect("sockets");
    let error = udp.send(&site, &rules, &command()).expect_err("no broadcast");
    assert!(error.to_string().contains("m7.recorder at 255.255.255.255:9"), "{error}");
    assert_eq!((udp.counts().errors, udp.counts().sent), (1, 0));
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::Number),
        ".{0,7}".prop_filter_map("short", |s| osmose_model::ids::Name::new(&s)).prop_map(Value::Name),
        ".{0,20}".prop_filter_map("short", |s| Text::from(&s).ok()).prop_map(Value::Text),
        Just(Value::Person(PersonId(0))),
        Just(Value::Zone(ZoneId(0))),
        any::<u64>().prop_map(|t| Value::Track(TrackId(t))),
    ]
}

prop_compose! {
    fn any_command()(
        seq in any::<u64>(), n in any::<u32>(), at in any::<i64>(), source_seq in any::<Option<u64>>(), device in 0..3u16,
        values in proptest::collection::vec(any_value(), 0..=4),
    ) -> Command {
        let names = ["a", "b", "reason", "z"];
        let pairs: Vec<(&str, Value)> = names.into_iter().zip(values).collect();
        let id = osmose_model::command::CommandId { seq: Seq(seq), n };
        Command { id, at: LogicalNs(at), source_seq, device: ActuatorId(device), args: args(&pairs), ..command() }
    }
}

fn read_back(value: &Value, json: &serde_json::Value) -> bool {
    match value {
        Value::Bool(b) => json.as_bool() == Some(*b),
        // serde_json reads to within an ulp or two; that the text is exact is tested beside the writer.
        Value::Number(x) => json.as_f64().is_some_and(|y| (x - y).abs() <= x.abs() * 1e-15),
        Value::Name(n) => json.as_str() == Some(n.as_str()),
        Value::Text(t) => json.as_str() == Some(t.as_str()),
        Value::Person(_) => json == "ana",
        Value::Zone(_) => json == "m7",
        Value::Track(t) => json.as_u64() == Some(t.0),
    }
}

proptest! {
    #[test]
    fn any_command_is_one_json_line_with_one_seq_key(c in any_command()) {
        let line = udp_line(&c);
        prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(json["seq"].as_u64(), c.source_seq);
        let mut expected = vec!["device", "command", "args", "rule", "id", "t_s"];
        expected.extend(c.source_seq.map(|_| "seq"));
        prop_assert_eq!(keys(&line), expected);
        prop_assert_eq!(line.matches("\"seq\":").count(), usize::from(c.source_seq.is_some()));
        prop_assert_eq!(&json["id"], &json!(c.id.to_string()));
        let t_s = format!("\"t_s\":{}", osmose_model::time::format_seconds(c.at.0));
        prop_assert!(line.contains(&t_s));
        prop_assert_eq!(json["args"].as_object().unwrap().len(), c.args.len());
        for (name, value) in &c.args {
            prop_assert!(read_back(value, &json["args"][name.as_str()]), "{:?} in {}", value, line);
        }
        let line = commands_line(&c, None);
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(json["source_seq"].as_u64(), c.source_seq);
        prop_assert_eq!(json["seq"].as_u64(), Some(c.id.seq.0));
    }
}
