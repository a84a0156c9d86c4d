//! What stands open in the trackers of other engines, each against the real engine from socket to socket: timers lost on
//! a restart, tags that die unseen, exits that are never reported, fences that flap, runs that race, sensors that come
//! back from an outage, devices that stay as they are when the engine is gone.
//!
//! The site is the one that `osmose new` writes: a meeting room west of x = 5 m, an office east of it, tags as JSON.

mod common;

use common::engine::Engine;
use common::site::TempSite;
use common::{PATIENCE, until};
use osmose_model::time::parse_decimal_ns;
use rustix::process::Signal;
use serde_json::Value;
use std::net::UdpSocket;

/// The ports of the site that `osmose new` writes: tags, commands; and one for the motion detector.
const TAGS: u16 = 7803;
const COMMANDS: u16 = 7802;
const MOTION: u16 = 7804;

/// A motion detector in the meeting room that counts as dead when it is silent for 2 s.
const DETECTOR: &str = "
[[sensor]]
id = \"pir\"
kind = \"binary\"
role = \"motion\"
level = \"ground\"
zones = [\"meeting\"]
stale_s = 2.0
connect = { udp = \"127.0.0.1:7804\", format = \"json\", map = { state = \"/on\", seq = \"/seq\" } }
";

struct Building {
    site: TempSite,
    engine: Option<Engine>,
    tags: UdpSocket,
    motion: UdpSocket,
    devices: UdpSocket,
    said: u64,
}

impl Building {
    /// The site with rules of the test's own; whoever is unseen for `lost_s` seconds is lost.
    fn new(rules: &str, lost_s: &str) -> Self {
        let files = osmose_load::template("complaints");
        let mut files: Vec<(String, String)> = files.into_iter().map(|f| (f.path, f.text)).collect();
        let text = |path: &str, files: &mut Vec<(String, String)>, edit: &dyn Fn(&str) -> String| {
            let file = files.iter_mut().find(|f| f.0 == path).expect("the template has it");
            file.1 = edit(&file.1);
        };
        text("devices.toml", &mut files, &|t| {
            let t = t.replace("safe = \"paused\"", "safe = \"paused\"\nlease_s = 1.5");
            t.replace("connect = \"log\"", "connect = { udp = \"127.0.0.1:7802\", format = \"json\" }") + DETECTOR
        });
        text("site.toml", &mut files, &|t| t.replace("lost_s = 2.0", &format!("lost_s = {lost_s}")));
        files.retain(|f| !f.0.starts_with("rules/"));
        let rules = format!("edition 1\nlevels life-safety > security > privacy > user > comfort > info\n{rules}");
        files.push(("rules/complaint.rules".into(), rules));
        let borrowed: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        let site = TempSite::of(&borrowed);
        let (tags, motion, devices) = (site.sender(TAGS), site.sender(MOTION), site.devices(COMMANDS));
        devices.set_read_timeout(Some(PATIENCE)).expect("a socket's mode");
        let engine = Some(Engine::run(site.path(), &[]));
        Self { site, engine, tags, motion, devices, said: 0 }
    }

    /// Ana's tag says that she is at x, in the middle of the room's depth.
    fn ana_is_at(&mut self, x_m: f64) {
        self.said += 1;
        let fix = format!("{{\"id\":\"p1\",\"x\":{x_m},\"y\":2.0,\"seq\":{}}}", self.said);
        self.tags.send(fix.as_bytes()).expect("loopback takes it");
    }

    fn motion_is(&mut self, on: bool) {
        self.said += 1;
        let state = format!("{{\"on\":{},\"seq\":{}}}", u8::from(on), self.said);
        self.motion.send(state.as_bytes()).expect("loopback takes it");
    }

    fn heard(&self) -> Option<Value> {
        let mut buffer = [0; 4096];
        let len = self.devices.recv(&mut buffer).ok()?;
        Some(serde_json::from_slice(&buffer[..len]).expect("JSON"))
    }

    /// The next command, which must be this one.
    fn hears(&self, device: &str, command: &str) -> Value {
        let line = self.heard().unwrap_or_else(|| panic!("no {device}.{command} came"));
        assert_eq!((&line["device"], &line["command"]), (&device.into(), &command.into()), "{line}");
        line
    }

    /// Makes the engine answer something that lies behind all it was told before, and demands that it said nothing else:
    /// Ben's tag comes into the office, which every set of rules here answers with `meeting.light.set(level: 1)`.
    fn said_nothing_else(&mut self) {
        self.said += 1;
        for (x, y) in [(9.5, 0.5), (8.0, 1.2)] {
            let fix = format!("{{\"id\":\"p2\",\"x\":{x},\"y\":{y},\"seq\":{}}}", self.said);
            self.tags.send(fix.as_bytes()).expect("loopback takes it");
            self.said += 1;
        }
        let line = self.hears("meeting.light", "set");
        assert_eq!((&line["args"]["level"], &line["rule"]), (&1.into(), &"fence".into()), "{line}");
        let gone = format!("{{\"id\":\"p2\",\"x\":9.5,\"y\":0.5,\"seq\":{}}}", self.said);
        self.tags.send(gone.as_bytes()).expect("loopback takes it");
    }

    fn killed_and_started(&mut self) {
        self.engine.take().expect("it runs").stop(Signal::KILL);
        self.engine = Some(Engine::run(self.site.path(), &[]));
    }

    fn ends(mut self) {
        self.engine.take().expect("it runs").stop(Signal::INT).expect(0);
    }
}

/// The rule that [`Building::said_nothing_else`] asks.
const FENCE: &str = "rule fence { when ben enters desk do meeting.light.level = 1 % level info }\n";

fn at_ns(command: &Value) -> i64 {
    parse_decimal_ns(&command["t_s"].to_string(), 0).expect("seconds")
}

#[test]
fn a_timer_survives_kill_9_and_a_restart() {
    let rules = "rule stay { when p in meeting for 2 s do meeting.recorder.start() level user }
                 rule come { when ana enters meeting do meeting.light.on() level info }\n";
    let mut b = Building::new(&(rules.to_owned() + FENCE), "3600.0");
    b.ana_is_at(9.5);
    b.ana_is_at(2.0);
    let came = b.hears("meeting.light", "on");
    b.killed_and_started();
    let started = b.hears("meeting.recorder", "start");
    assert_eq!(at_ns(&started) - at_ns(&came), 2_000_000_000, "two seconds of the log, the time of its death included");
    b.said_nothing_else();
    b.ends();
}

#[test]
fn a_tag_that_dies_is_unknown_then_what_the_rule_says_once() {
    // A level rule lets go where nobody knows, a protective edge acts, a question about the doubt itself is answered.
    let rules = "rule doubt { when (ana in meeting) is unknown do meeting.recorder.stop() level info }
                 rule light { while any p in members(staff) in meeting hold meeting.light.level = 80 % level comfort }
                 rule guard { when any p in members(staff) leaves meeting do meeting.recorder.pause(reason: \"{p}\") level privacy }\n";
    let mut b = Building::new(&(rules.to_owned() + FENCE), "1.5");
    b.ana_is_at(9.5);
    b.ana_is_at(2.0);
    assert_eq!(b.hears("meeting.light", "set")["args"]["level"], 80);
    // Silence. The order is that of the file, and the light's release settles behind what was done.
    assert_eq!(b.hears("meeting.recorder", "stop")["rule"], "doubt");
    let pause = b.hears("meeting.recorder", "pause");
    assert_eq!((&pause["rule"], &pause["args"]["reason"]), (&"guard".into(), &"ana".into()), "{pause}");
    b.hears("meeting.light", "off");
    // It comes back where it was: what was unknown is known again, and nobody has left.
    b.ana_is_at(2.0);
    assert_eq!(b.hears("meeting.light", "set")["args"]["level"], 80);
    // And it is carried out: that is the second leave, and no more than that.
    b.ana_is_at(6.0);
    assert_eq!(b.hears("meeting.recorder", "pause")["args"]["reason"], "ana");
    b.hears("meeting.light", "off");
    b.said_nothing_else();
    b.ends();
}

#[test]
fn a_participant_who_vanishes_in_the_doorway_pauses_the_recording() {
    let rules =
        "rule begin { when ana enters meeting do meeting.recorder.start(participants: people in meeting) level user }
                 rule pause { for each room r where r.recorder when any p in participants(r) leaves r
                   if r.recorder is recording do r.recorder.pause(reason: \"{p} left\") level privacy }\n";
    let mut b = Building::new(&(rules.to_owned() + FENCE), "1.0");
    b.ana_is_at(9.5);
    b.ana_is_at(2.0);
    b.hears("meeting.recorder", "start");
    // In the door, still on this side of the line by less than its margin, she is seen no more.
    for x in [3.0, 4.5, 5.05] {
        b.ana_is_at(x);
    }
    let pause = b.hears("meeting.recorder", "pause");
    assert_eq!(pause["args"]["reason"], "ana left", "{pause}");
    // Seen again outside: she has been reported already, and the recording is paused.
    b.ana_is_at(7.0);
    b.said_nothing_else();
    b.ends();
}

#[test]
fn a_person_on_a_fence_line_makes_no_flapping() {
    let rules = "rule come { when ana enters meeting do meeting.light.on() level info }
                 rule go { when ana leaves meeting do meeting.light.off() level info }\n";
    let mut b = Building::new(&(rules.to_owned() + FENCE), "3600.0");
    b.ana_is_at(9.5);
    b.ana_is_at(4.0);
    b.hears("meeting.light", "on");
    // Half a metre of swaying would flap; the room's margin is 0.1 m, and a tag on the line jitters by less.
    for step in 0..400 {
        b.ana_is_at(if step % 2 == 0 { 4.93 } else { 5.09 });
    }
    b.said_nothing_else();
    b.ana_is_at(5.2);
    b.hears("meeting.light", "off");
    // From outside the line itself is the bound: on it there is one entry, and none after it.
    for step in 0..400 {
        b.ana_is_at(if step % 2 == 0 { 4.99 } else { 5.08 });
    }
    b.hears("meeting.light", "on");
    b.said_nothing_else();
    b.ends();
}

#[test]
fn two_runs_of_one_rule_cannot_race() {
    let rules = "rule porch { when ana enters meeting do meeting.recorder.start(); wait 3 s; meeting.recorder.stop() level user }\n";
    let mut b = Building::new(&(rules.to_owned() + FENCE), "3600.0");
    b.ana_is_at(9.5);
    let mut starts = Vec::new();
    for _ in 0..5 {
        b.ana_is_at(2.0);
        starts.push(b.hears("meeting.recorder", "start"));
        b.ana_is_at(9.5);
    }
    // Each run takes the place of the one before: one end, and it is the last one's.
    let stop = b.hears("meeting.recorder", "stop");
    let last = starts.last().expect("five of them");
    let slow = at_ns(last) - at_ns(&starts[0]) > 3_000_000_000;
    if !slow {
        assert_eq!(at_ns(&stop) - at_ns(last), 3_000_000_000, "{starts:?} then {stop}");
        b.said_nothing_else();
    }
    b.ends();
}

#[test]
fn what_protects_is_said_again_until_it_ends_and_not_when_the_engine_is_gone() {
    let rules =
        "rule quiet { while ana in meeting on unknown release hold meeting.recorder.state = paused level privacy }\n";
    let mut b = Building::new(&(rules.to_owned() + FENCE), "3600.0");
    b.ana_is_at(9.5);
    b.ana_is_at(2.0);
    let pause = b.hears("meeting.recorder", "pause");
    assert_eq!((&pause["lease_s"], &pause["rule"]), (&1.5.into(), &"quiet".into()), "{pause}");
    for _ in 0..3 {
        let again = b.hears("meeting.recorder", "pause");
        assert_eq!((&again["id"], &again["t_s"]), (&pause["id"], &pause["t_s"]), "the same command: {again}");
        assert_eq!((&again["lease_s"], again.get("seq")), (&1.5.into(), None), "{again}");
    }
    // Whoever is killed renews nothing: nothing comes for longer than the lease. Its next life goes on with it.
    b.engine.take().expect("it runs").stop(Signal::KILL);
    b.devices.set_read_timeout(Some(std::time::Duration::from_millis(1600))).expect("a socket's mode");
    while b.heard().is_some_and(|line| line["id"] == pause["id"]) {}
    b.devices.set_read_timeout(Some(PATIENCE)).expect("a socket's mode");
    b.engine = Some(Engine::run(b.site.path(), &[]));
    for _ in 0..2 {
        assert_eq!(b.hears("meeting.recorder", "pause")["lease_s"], 1.5);
    }
    // She leaves: paused is the recorder's default too, so it is told only that the lease is over.
    b.ana_is_at(9.5);
    let last = until("the lease to end", || b.heard().filter(|line| line.get("lease_s").is_none()));
    assert_eq!((&last["command"], &last["device"]), (&"pause".into(), &"meeting.recorder".into()), "{last}");
    b.said_nothing_else();
    b.ends();
}

#[test]
fn a_sensor_back_from_an_outage_fires_nothing() {
    let rules = "rule came { when pir is active do meeting.recorder.start() level user }
                 rule blind { when not (pir is alive) do meeting.light.off() level info }\n";
    let mut b = Building::new(&(rules.to_owned() + FENCE), "3600.0");
    // It is heard, empty; it falls silent until it counts as dead; it comes back and says that somebody is there.
    b.motion_is(false);
    assert_eq!(b.hears("meeting.light", "off")["rule"], "blind");
    b.motion_is(true);
    b.said_nothing_else();
    // Without an outage in between the same word is an arrival. It is said again and again, as detectors do.
    until("the motion detector to be heard", || {
        b.motion_is(false);
        b.motion_is(true);
        b.devices.set_nonblocking(true).expect("a socket's mode");
        let line = b.heard();
        b.devices.set_nonblocking(false).expect("a socket's mode");
        line.filter(|line| line["command"] == "start")
    });
    b.ends();
}
