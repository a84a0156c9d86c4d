//! Bad input: each kind is counted under its own name, told once with its source, and loses nothing beside it.

mod common;

use common::PATIENCE;
use common::engine::{Ended, Engine, osmose};
use common::site::TempSite;
use osmose_model::limits::DATAGRAM_BYTES_MAX;
use osmose_replay::info::info;
use osmose_wire::frame::{Body, Detection, Head, Sample, encode_frame};
use rustix::process::Signal;
use std::net::UdpSocket;

/// How often each bad thing is sent.
const TIMES: u64 = 100;
/// The ports: fixes as JSON, commands, native frames, reports of the one device that reports.
const JSON: u16 = 7801;
const COMMANDS: u16 = 7802;
const NATIVE: u16 = 7803;
const REPORTS: u16 = 7804;

/// What the peer job's site has besides: a sensor that speaks native frames, and a device that reports.
const MORE_DEVICES: &str = r#"
[[sensor]]
id = "ceiling"
kind = "position"
level = "ground"
pose = { x_m = 20.0, y_m = 15.0, z_m = 2.8, heading_deg = 0.0 }
noise = { sigma_m = 0.1, p_detect = 0.9, clutter_per_scan = 0.1 }
rate_hz = 10.0
connect = { udp = "127.0.0.1:7803", format = "osmose" }

[[actuator]]
id = "r0.light"
kind = "light"
zone = "r0"
connect = { udp = "127.0.0.1:7802", format = "json", state_udp = "127.0.0.1:7804" }
"#;

/// One kind of bad datagram.
struct Bad {
    /// The name that it is counted under.
    reason: &'static str,
    /// Against whom.
    whom: &'static str,
    socket: UdpSocket,
    /// The datagrams of round `i`, from 0.
    make: Box<dyn Fn(u64) -> Vec<Vec<u8>>>,
    /// How many of them the engine takes as observations all the same.
    taken: u64,
}

fn fix(id: &str, x: &str, seq: u64) -> Vec<u8> {
    format!("{{\"id\":\"{id}\",\"x\":{x},\"y\":2.0,\"seq\":{seq}}}").into_bytes()
}

fn frame(sensor: &str, seq: u64, body: Body<'_>) -> Vec<u8> {
    encode_frame(&Head { sensor, seq: Some(seq), time: None }, &[Sample::of(body)])
}

fn seen(x_m: f64, y_m: f64) -> Vec<Detection<'static>> {
    vec![Detection { x_m, y_m, ..Detection::default() }]
}

/// Every kind of bad input there is on a socket.
fn every_kind(site: &TempSite) -> Vec<Bad> {
    let mut all = vec![];
    let mut kind = |port, reason, whom, taken, make: Box<dyn Fn(u64) -> Vec<Vec<u8>>>| {
        all.push(Bad { reason, whom, socket: site.sender(port), make, taken });
    };
    // JSON that is none, a literal that JSON does not have, and bytes that are no text.
    let broken = |i: u64| match i % 3 {
        0 => b"{\"id\":\"p190\",\"x\":".to_vec(),
        1 => fix("p190", "NaN", i),
        _ => vec![b'{', 0xff, 0xfe],
    };
    kind(JSON, "malformed_json", "port ", 0, Box::new(move |i| vec![broken(i)]));
    kind(JSON, "wrong_type", "sensor positions", 0, Box::new(|i| vec![fix("p190", "\"12.3\"", i)]));
    let infinite = |i: u64| fix("p190", if i.is_multiple_of(2) { "1e999" } else { "-1e999" }, i);
    kind(JSON, "not_finite", "sensor positions", 0, Box::new(move |i| vec![infinite(i)]));
    kind(JSON, "not_plausible", "sensor positions", 0, Box::new(|i| vec![fix("p190", "1e30", i)]));
    let no_x = |i| format!("{{\"id\":\"p190\",\"y\":2.0,\"seq\":{i}}}").into_bytes();
    kind(JSON, "missing_field", "sensor positions", 0, Box::new(move |i| vec![no_x(i)]));
    // As large as a datagram can be, with a name that fills it.
    let head = fix("", "1.0", 7).len() + 2;
    let large = move |i| fix(&"p".repeat(DATAGRAM_BYTES_MAX - head), "1.0", i + 100);
    kind(JSON, "too_long", "sensor positions", 0, Box::new(move |i| vec![large(i)]));
    // A copy; a number that went back; a number left out.
    kind(JSON, "duplicate", "sensor positions", TIMES, Box::new(|i| vec![fix("p190", "41.0", i); 2]));
    kind(
        JSON,
        "seq_back",
        "sensor positions",
        TIMES + 1,
        Box::new(|i| {
            let mut datagrams = if i == 0 { vec![fix("p190", "42.0", 1000)] } else { vec![] };
            datagrams.push(fix("p190", &format!("42.{i:03}"), 900 - 2 * i));
            datagrams
        }),
    );
    kind(
        JSON,
        "missing",
        "sensor positions",
        TIMES + 1,
        Box::new(|i| {
            let mut datagrams = if i == 0 { vec![fix("p190", "43.0", 0)] } else { vec![] };
            datagrams.push(fix("p190", "43.0", 2 * i + 2));
            datagrams
        }),
    );
    kind(
        NATIVE,
        "malformed_frame",
        "port ",
        0,
        Box::new(|i| {
            let mut bytes = frame("ceiling", i, Body::Position(&seen(1.0, 1.0)));
            bytes.truncate(8 + i as usize % 60);
            vec![bytes]
        }),
    );
    let odd = |i: u64| [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][(i % 3) as usize];
    kind(
        NATIVE,
        "not_finite",
        "sensor ceiling",
        0,
        Box::new(move |i| vec![frame("ceiling", i, Body::Position(&seen(odd(i), 1.0)))]),
    );
    kind(NATIVE, "unknown_sensor", "port ", 0, Box::new(|i| vec![frame("cellar", i, Body::Position(&seen(1.0, 1.0)))]));
    kind(
        NATIVE,
        "wrong_kind",
        "sensor ceiling",
        0,
        Box::new(|i| vec![frame("ceiling", i, Body::Badge { badge: "04A2" })]),
    );
    let report = |id: &str, state: &str| format!("{{\"id\":\"{id}\",\"state\":{state}}}").into_bytes();
    kind(REPORTS, "unknown_actuator", "port ", 0, Box::new(move |_| vec![report("r99.light", "\"on\"")]));
    kind(REPORTS, "unknown_state", "device r0.light", 0, Box::new(move |_| vec![report("r0.light", "\"sideways\"")]));
    all
}

/// How often the account at the end counts a reason against somebody.
fn counted(ended: &Ended, whom: &str, reason: &str) -> u64 {
    let behind = |l: &str| l.strip_prefix(whom).and_then(|l| l.rsplit_once(": ")).map(|(_, c)| c.to_owned());
    let counts = ended.stderr.lines().filter_map(behind);
    counts
        .filter_map(|c| c.split_once(' ').filter(|(_, r)| *r == reason).and_then(|(n, _)| n.parse::<u64>().ok()))
        .sum()
}

/// Two fixes of one person: inside room 1, then out of it; waits for the command that the second one gives.
fn a_good_leave(good: &UdpSocket, devices: &UdpSocket, round: u64) {
    for (n, x) in ["14.0", "19.0"].iter().enumerate() {
        good.send(&fix("p1", x, 2 * round + n as u64)).expect("loopback takes it");
    }
    let mut buffer = [0; 2048];
    let len = devices.recv(&mut buffer).expect("every good leave gives its command");
    let command: serde_json::Value = serde_json::from_slice(&buffer[..len]).expect("JSON");
    assert_eq!((&command["device"], &command["seq"]), (&"r1.recorder".into(), &(2 * round + 1).into()), "{command}");
}

#[test]
fn every_bad_thing_is_counted_under_its_name_and_told_once_and_nothing_good_is_lost() {
    let site = TempSite::example_with("peer-job", MORE_DEVICES);
    let (devices, good, trace) = (site.devices(COMMANDS), site.sender(JSON), site.file("bad.mcap"));
    devices.set_read_timeout(Some(PATIENCE)).expect("a socket's mode");
    let args = ["--state", "none", "--record", trace.to_str().expect("text")];
    let engine = Engine::run(site.path(), &args);
    let kinds = every_kind(&site);
    for round in 0..TIMES {
        for bad in &kinds {
            for datagram in (bad.make)(round) {
                bad.socket.send(&datagram).expect("loopback takes it");
            }
        }
        a_good_leave(&good, &devices, round);
    }
    let ended = engine.stop(Signal::INT).expect(0);
    for bad in &kinds {
        let n = counted(&ended, bad.whom, bad.reason);
        assert_eq!(n, TIMES, "{} against {}:\n{}", bad.reason, bad.whom, ended.stderr);
        let told: Vec<_> = ended
            .stderr
            .lines()
            .filter(|l| l.contains("WARN") && l.contains(bad.whom) && l.contains(&format!(": {} ", bad.reason)))
            .collect();
        assert_eq!(told.len(), 1, "{} is told once: {told:?}\n{}", bad.reason, ended.stderr);
        let source = format!("from {}", bad.socket.local_addr().expect("bound"));
        assert!(told[0].contains(&source), "{source} in {:?}", told[0]);
    }
    println!("{} kinds of bad input, {TIMES} of each", kinds.len());
    // What could be used is in the recording, whole: nothing was lost beside the bad.
    let info = info(&trace).expect("it opens");
    let taken: u64 = kinds.iter().map(|b| b.taken).sum::<u64>() + 2 * TIMES;
    let in_trace: u64 = info.sensors.values().map(|s| s.observations).sum();
    assert_eq!(in_trace, taken, "{}\n{}", info.render(), ended.stderr);
    let shed: u64 = info.sensors.values().filter_map(|s| s.shed.get("missing")).sum();
    assert_eq!(shed, TIMES, "what the numbers left out is in the log: {}", info.render());
    osmose(&["replay", trace.to_str().expect("text"), "--verify"]).expect(0);
}

#[test]
fn a_datagram_larger_than_any_may_be_is_too_long_and_not_half_read() {
    // Over IPv6 a datagram may have 20 bytes more than over IPv4, where our limit comes from.
    let Ok(probe) = UdpSocket::bind("[::1]:0") else {
        println!("skipped: no IPv6 on loopback");
        return;
    };
    let site = TempSite::example("peer-job");
    let port = site.address(JSON).rsplit(':').next().expect("a port").to_owned();
    site.edit("devices.toml", &site.address(JSON), &format!("[::1]:{port}"));
    let (devices, to) = (site.devices(COMMANDS), format!("[::1]:{port}"));
    devices.set_read_timeout(Some(PATIENCE)).expect("a socket's mode");
    let engine = Engine::run(site.path(), &["--state", "none"]);
    let mut fits = fix("p1", "19.0", 0);
    fits.resize(DATAGRAM_BYTES_MAX, b' ');
    let mut over = fits.clone();
    over.push(b' ');
    probe.connect(&to).expect("loopback");
    probe.send(&fix("p1", "14.0", 0)).expect("sent");
    probe.send(&over).expect("loopback takes it");
    probe.send(&fits).expect("loopback takes it");
    let mut buffer = [0; 2048];
    devices.recv(&mut buffer).expect("the largest that fits is taken");
    let ended = engine.stop(Signal::INT).expect(0);
    assert_eq!(counted(&ended, "port ", "too_long"), 1, "{}", ended.stderr);
    assert_eq!(ended.word_after("commands sent "), "1", "{}", ended.stderr);
}

#[test]
fn a_site_that_cannot_be_read_is_refused_with_its_file() {
    let refused = |site: &TempSite, names: &[&str]| {
        for command in ["check", "run"] {
            let mut args = vec![command, site.path().to_str().expect("text")];
            args.extend(if command == "run" { &["--state", "none"][..] } else { &[] });
            let ended = osmose(&args).expect(1);
            for name in names {
                let said = format!("{}{}", ended.stdout, ended.stderr);
                assert!(said.contains(name), "`{command}` names {name:?}:\n{said}");
            }
        }
    };
    let broken = |file: &str, text: &str, names: &[&str]| {
        let site = TempSite::example("peer-job");
        site.write(file, text);
        refused(&site, names);
    };
    broken("site.toml", "name = \"x\"\n[engine\n", &["site.toml:2"]);
    broken("floorplan.geojson", "{\"type\": \"FeatureCollection\", \"features\": [", &["floorplan.geojson"]);
    broken("devices.toml", "[[sensor]]\nid = \"a\"\nkind = \"telepathy\"\n", &["devices.toml:3", "telepathy"]);
    broken("people.toml", "[[person]]\nid = 7\n", &["people.toml:2"]);
    broken("rules/peer-job.rules", "edition 1\nrule r { when }\n", &["peer-job.rules", "2"]);
    let site = TempSite::example("peer-job");
    std::fs::write(site.file("site.toml"), [0xff, 0xfe, 0x00]).expect("written");
    refused(&site, &["site.toml"]);
    std::fs::remove_file(site.file("site.toml")).expect("removed");
    refused(&site, &["site.toml"]);
    let nowhere = osmose(&["run", site.file("nowhere").to_str().expect("text"), "--state", "none"]).expect(1);
    assert!(nowhere.stderr.contains("nowhere"), "{}", nowhere.stderr);
}
