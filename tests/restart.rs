//! kill -9 and start again: the engine goes on where it stopped, with its timers and holds, and says so.

mod common;

use common::engine::{Ended, Engine, osmose};
use common::job::{Job, Played};
use common::site::TempSite;
use common::{PATIENCE, until};
use osmose_model::time::parse_decimal_ns;
use osmose_replay::info::info;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;

/// The ports of the site that `osmose new` writes: tags as JSON, commands.
const TAGS: u16 = 7803;
const COMMANDS: u16 = 7802;

/// A hold, a timer that begins with it, and a release that waits.
const RULES: &str = "edition 1
levels life-safety > security > privacy > user > comfort > info
rule light {
  while meeting is occupied
  hold  meeting.light.level = 80 %
  release after 4 s
  level comfort
}
rule long-stay {
  when p in meeting for 3 s
  do   meeting.recorder.start()
  level user
}
rule gone {
  when any p in members(staff) leaves meeting
  do   meeting.recorder.pause()
  level privacy
}
";

/// The site that `osmose new` writes, with these rules; its recorder is reached over UDP too, and nobody is lost soon.
fn site() -> TempSite {
    let files = osmose_load::template("restart");
    let files: Vec<_> = files.iter().map(|f| (f.path.as_str(), f.text.as_str())).collect();
    let site = TempSite::of(&files);
    site.write("rules/first.rules", RULES);
    let light = format!("connect = {{ udp = \"{}\", format = \"json\" }}", site.address(COMMANDS));
    site.edit("devices.toml", "connect = \"log\"", &light);
    site.edit("site.toml", "lost_s = 2.0", "lost_s = 3600.0");
    site
}

/// What the devices hear, and the one tag that somebody carries.
struct World {
    devices: UdpSocket,
    tag: UdpSocket,
    fixes: u64,
    ids: BTreeSet<String>,
}

impl World {
    fn of(site: &TempSite) -> Self {
        let devices = site.devices(COMMANDS);
        devices.set_read_timeout(Some(PATIENCE)).expect("a socket's mode");
        Self { devices, tag: site.sender(TAGS), fixes: 0, ids: BTreeSet::new() }
    }

    fn fix(&mut self, x_m: f64) {
        self.fixes += 1;
        let text = format!("{{\"id\":\"p1\",\"x\":{x_m},\"y\":2.0,\"seq\":{}}}", self.fixes);
        self.tag.send(text.as_bytes()).expect("loopback takes it");
    }

    /// The next command; no id may come twice.
    fn hears(&mut self, device: &str, command: &str) -> Value {
        let mut buffer = [0; 2048];
        let len = self.devices.recv(&mut buffer).unwrap_or_else(|e| panic!("no {device}.{command} came: {e}"));
        let line: Value = serde_json::from_slice(&buffer[..len]).expect("JSON");
        assert_eq!((&line["device"], &line["command"]), (&device.into(), &command.into()), "{line}");
        let id = line["id"].as_str().expect("an id").to_owned();
        assert!(self.ids.insert(id), "an id came twice: {line}");
        line
    }

    fn silence(&self) {
        self.devices.set_nonblocking(true).expect("a socket's mode");
        let mut buffer = [0; 2048];
        if let Ok(len) = self.devices.recv(&mut buffer) {
            panic!("nothing was to come: {}", String::from_utf8_lossy(&buffer[..len]));
        }
        self.devices.set_nonblocking(false).expect("a socket's mode");
    }
}

/// The exact instant of a command, nanoseconds of the log.
fn at_ns(command: &Value) -> i64 {
    parse_decimal_ns(&command["t_s"].to_string(), 0).expect("seconds")
}

/// The number of the input that decided a command.
fn seq(command: &Value) -> u64 {
    command["id"].as_str().and_then(|id| id.split_once('.')).and_then(|(seq, _)| seq.parse().ok()).expect("seq.n")
}

fn killed(engine: Engine) {
    let ended: Ended = engine.stop(Signal::KILL);
    assert_eq!(ended.code(), -1, "it had no time to say anything");
}

#[test]
fn a_killed_engine_goes_on_with_its_timers_and_holds() {
    let site = site();
    let mut world = World::of(&site);

    let engine = Engine::run(site.path(), &[]);
    assert!(engine.stderr().contains("a new log"), "{}", engine.stderr());
    world.fix(2.0);
    let lit = world.hears("meeting.light", "set");
    assert_eq!(lit["args"]["level"], 80, "{lit}");
    killed(engine);

    // It comes back: the hold is said once more, and the three seconds end when they were to end.
    let trace = site.file("second.mcap");
    let record = ["--record", trace.to_str().expect("text")];
    let engine = Engine::run(site.path(), &record);
    assert!(engine.stderr().contains("resumed behind input"), "{}", engine.stderr());
    let again = world.hears("meeting.light", "set");
    assert_eq!(again["args"], lit["args"]);
    assert!(seq(&again) > seq(&lit), "numbers go on: {lit} then {again}");
    let long = world.hears("meeting.recorder", "start");
    assert_eq!(at_ns(&long) - at_ns(&lit), 3_000_000_000, "due three seconds after he came in: {lit} then {long}");
    assert!(seq(&long) > seq(&lit), "numbers go on");
    // What is recorded reaches the disk while the engine runs.
    until("the command to be in the recording", || {
        let so_far = info(&trace).ok()?;
        so_far.commands.values().any(|&n| n > 0).then_some(())
    });
    // Out he goes; the release waits, and the engine is killed again while it does.
    world.fix(8.0);
    let left = world.hears("meeting.recorder", "pause");
    killed(engine);

    let engine = Engine::run(site.path(), &[]);
    let again = world.hears("meeting.light", "set");
    assert_eq!(again["args"], lit["args"], "still held");
    let off = world.hears("meeting.light", "off");
    assert_eq!(at_ns(&off) - at_ns(&left), 4_000_000_000, "due four seconds after he left: {left} then {off}");
    assert!(seq(&off) > seq(&left), "numbers go on");
    let ended = engine.stop(Signal::TERM).expect(0);
    world.silence();
    assert!(ended.stderr.contains("resumed behind input"), "{}", ended.stderr);

    // The recording of the second run begins with the state that it went on from, and replays by itself, cut as it is.
    let info = info(&trace).expect("it opens");
    let (first, _) = info.span.expect("it holds inputs");
    assert!(first.seq.0 > 1, "it begins inside the log: {}", info.render());
    let replayed = osmose(&["replay", trace.to_str().expect("text"), "--verify"]).expect(0);
    assert!(replayed.stderr.contains("verified: the same"), "{}", replayed.stderr);
}

#[test]
fn rules_that_changed_meanwhile_take_effect_at_once_and_no_id_comes_twice() {
    let site = site();
    let mut world = World::of(&site);
    let engine = Engine::run(site.path(), &[]);
    world.fix(2.0);
    let lit = world.hears("meeting.light", "set");
    killed(engine);
    site.edit("rules/first.rules", "80 %", "50 %");
    let engine = Engine::run(site.path(), &[]);
    assert!(engine.stderr().contains("with changed rules"), "{}", engine.stderr());
    // The input that installs them decides the new value, and what is held is said once after a restart: twice the
    // same value, under two ids (`hears` compares them).
    for _ in 0..2 {
        let dimmed = world.hears("meeting.light", "set");
        assert_eq!(dimmed["args"]["level"], 50, "{dimmed}");
        assert!(seq(&dimmed) > seq(&lit), "numbers go on");
    }
    engine.stop(Signal::INT).expect(0);
}

/// Plays the job's next events, never more than a few commands ahead of what came back.
fn play_on(job: &mut Job, played: &mut Played, to: &UdpSocket, devices: &UdpSocket, events: u64) {
    let goal = played.sent + events;
    while played.sent < goal {
        until("the commands that are owed", || {
            played.drain(devices);
            (played.expected.len() < played.came.len() + 20).then_some(())
        });
        let event = job.next().expect("it never ends");
        to.send(event.datagram().as_bytes()).expect("loopback takes it");
        played.sent += 1;
        event.left.map(|room| played.expected.insert(event.seq, room));
    }
}

#[test]
fn killed_under_load_it_sends_no_command_twice_and_none_that_was_not_due() {
    let site = TempSite::example("peer-job");
    let (devices, to) = (site.devices(7802), site.sender(7801));
    let mut job = Job::new();
    let mut halves = vec![];
    for half in 0..3 {
        let engine = Engine::run(site.path(), &["--quiet"]);
        assert_eq!(engine.stderr().contains("resumed behind input"), half > 0, "{}", engine.stderr());
        let mut played = Played::default();
        play_on(&mut job, &mut played, &to, &devices, 1000);
        // In the middle of its work: what it read is in the journal, what is in the socket dies with it.
        killed(engine);
        played.drain(&devices);
        assert!(played.came.len() > 50, "{} commands", played.came.len());
        halves.push(played);
    }
    // What was decided and had not left when the engine was killed comes from the next one.
    let expected: BTreeMap<u64, u64> = halves.iter().flat_map(|p| p.expected.clone()).collect();
    let mut seen = BTreeSet::new();
    for played in &halves {
        for (seq, came) in &played.came {
            assert_eq!(came, &[format!("r{}.recorder", expected[seq])], "event {seq}");
            assert!(seen.insert(*seq), "event {seq} was answered before the engine was killed, and again");
        }
    }
    let ids: Vec<&String> = halves.iter().flat_map(|p| &p.ids).collect();
    let (count, unique) = (ids.len(), ids.iter().collect::<BTreeSet<_>>().len());
    assert_eq!(count, unique, "ids never repeat");
}

#[test]
fn what_a_dry_run_decided_is_owed_to_nobody() {
    let site = site();
    let mut world = World::of(&site);
    let dry = Engine::run(site.path(), &["--dry-run"]);
    world.fix(2.0);
    world.fix(8.0);
    until("the pause that a dry run decides", || dry.stdout().contains("pause").then_some(()));
    killed(dry);
    let engine = Engine::run(site.path(), &[]);
    assert!(!engine.stderr().contains("had not left"), "{}", engine.stderr());
    // What is held is said once after any restart; the pause is not.
    assert_eq!(world.hears("meeting.light", "set")["args"]["level"], 80);
    engine.stop(Signal::INT).expect(0);
    world.silence();
}

#[test]
fn two_engines_do_not_share_a_state_and_one_without_state_keeps_none() {
    let (site, other) = (site(), tempfile::tempdir().expect("a folder"));
    let state = other.path().to_str().expect("text");
    let first = Engine::run(site.path(), &["--state", state]);
    let refused = osmose(&["run", site.path().to_str().expect("text"), "--state", state]).expect(1);
    assert!(refused.stderr.contains("another osmose runs on") && refused.stderr.contains(state), "{}", refused.stderr);
    first.stop(Signal::INT).expect(0);
    let second = Engine::run(site.path(), &["--state", state]);
    assert!(second.stderr().contains("resumed behind input"), "a clean stop is gone on from too: {}", second.stderr());
    second.stop(Signal::INT).expect(0);
    let none = Engine::run(site.path(), &["--state", "none"]).stop(Signal::INT).expect(0);
    assert!(!none.stderr.contains("resumed"), "{}", none.stderr);
    assert!(!site.file(".osmose").exists(), "nothing is kept where nobody asked for it");
}
