//! What people do to a running engine: they save rules, people and calendars, break them, switch a rule off, act by hand. All of
//! it is in the recording, which replays to the same decisions.

mod common;

use common::engine::{Engine, osmose};
use common::site::TempSite;
use common::until;
use osmose_model::time::UtcNs;
use osmose_replay::wall::format_rfc3339;
use rustix::process::Signal;
use serde_json::Value;
use std::net::UdpSocket;
use std::time::{Duration, SystemTime};

struct Building {
    site: TempSite,
    engine: Engine,
    tag: UdpSocket,
    devices: UdpSocket,
    seq: u64,
}

impl Building {
    fn new(args: impl Fn(&TempSite) -> Vec<String>) -> Self {
        let site = TempSite::example("peer-job");
        let (tag, devices) = (site.sender(7801), site.devices(7802));
        devices.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let args = args(&site);
        let engine = Engine::run(site.path(), &args.iter().map(String::as_str).collect::<Vec<_>>());
        Building { site, engine, tag, devices, seq: 0 }
    }

    /// One whose run is recorded.
    fn recorded() -> Self {
        Self::new(|s| vec!["--record".into(), s.file("all.mcap").display().to_string()])
    }

    /// It stops, and its recording decides the same again.
    fn ends_and_replays(self) {
        let trace = self.site.file("all.mcap");
        self.engine.stop(Signal::INT).expect(0);
        let replayed = osmose(&["replay", trace.to_str().expect("text"), "--verify"]).expect(0);
        assert!(replayed.stderr.contains("verified: the same, bit for bit"), "{}", replayed.stderr);
    }

    fn is_at(&mut self, y_m: f64) {
        self.seq += 1;
        let fix = format!("{{\"id\":\"p1\",\"x\":14.0,\"y\":{y_m},\"seq\":{}}}", self.seq);
        self.tag.send(fix.as_bytes()).expect("loopback");
    }

    fn heard(&self) -> Option<Value> {
        let mut buffer = [0; 4096];
        let len = self.devices.recv(&mut buffer).ok()?;
        Some(serde_json::from_slice(&buffer[..len]).expect("JSON"))
    }

    /// p1 goes into room r1 and out again until its recorder hears `command`.
    fn leaving_gives(&mut self, command: &str) {
        until(&format!("`{command}` when p1 leaves"), || {
            self.is_at(3.0);
            self.is_at(7.0);
            let heard = self.heard()?;
            (heard["device"] == "r1.recorder" && heard["command"] == command).then_some(())
        });
    }

    /// p1 goes in and out again until nobody hears anything.
    fn leaving_gives_nothing(&mut self, what: &str) {
        until(what, || {
            while self.heard().is_some() {}
            self.is_at(3.0);
            self.is_at(7.0);
            self.heard().is_none().then_some(())
        });
    }

    /// As `leaving_gives`, with the name of whoever left.
    fn leaving_names(&mut self, command: &str, name: &str) {
        until(&format!("`{command}` of {name} when p1's tag leaves"), || {
            self.is_at(3.0);
            self.is_at(7.0);
            let heard = self.heard()?;
            (heard["command"] == command && heard["args"]["reason"] == name).then_some(())
        });
    }

    fn save(&self, from: &str, to: &str, until_said: &str) {
        let said = self.engine.stderr().matches(until_said).count();
        self.site.edit("rules/peer-job.rules", from, to);
        until(until_said, || (self.engine.stderr().matches(until_said).count() > said).then_some(()));
    }

    fn ask(&self, words: &[&str], code: i32) -> String {
        let mut args = vec![words[0], self.site.path().to_str().expect("text")];
        args.extend(&words[1..]);
        let ended = osmose(&args).expect(code);
        ended.stdout + &ended.stderr
    }
}

#[test]
fn saved_rules_take_effect_and_broken_ones_do_not() {
    let mut building = Building::recorded();
    building.leaving_gives("pause");
    building.save("do r.recorder.pause()", "do r.recorder.stop()", "rule(s) reloaded");
    building.leaving_gives("stop");
    building.save("do r.recorder.stop()", "do r.recorder.stopp()", "rules not reloaded");
    assert!(building.engine.stderr().contains("did you mean `stop`?"), "{}", building.engine.stderr());
    building.leaving_gives("stop");
    building.save("do r.recorder.stopp()", "do r.recorder.resume()", "rule(s) reloaded");
    building.leaving_gives("resume");

    building.ends_and_replays();
}

#[test]
fn saved_people_hold_from_one_input_on_and_broken_ones_do_not() {
    let mut building = Building::new(|s| {
        // Whoever left is called by name.
        s.edit("rules/peer-job.rules", "r.recorder.pause()", "r.recorder.pause(reason: \"{p}\")");
        let file = |name: &str| s.file(name).display().to_string();
        vec!["--record".into(), file("all.mcap"), "--events".into(), file("events.jsonl")]
    });
    building.leaving_names("pause", "p1");
    // The tag of p1 has another owner, and p1 is not known any more: everybody behind would have another number.
    let saved = |b: &Building, from: &str, to: &str, until_said: &str| {
        b.site.edit("people.toml", from, to);
        until(until_said, || b.engine.stderr().contains(until_said).then_some(()));
    };
    let (p1, newcomer) = ("id = \"p1\"\ngroups = [\"participants\"]", "id = \"newcomer\"\ngroups = [\"participants\"]");
    saved(&building, p1, newcomer, "people reloaded");
    building.leaving_names("pause", "newcomer");
    let broken = newcomer.replace("participants", "partisans");
    saved(&building, newcomer, &broken, "people not reloaded");
    assert!(building.engine.stderr().contains("`partisans`"), "{}", building.engine.stderr());
    building.leaving_names("pause", "newcomer");
    building.site.edit("people.toml", &broken, newcomer);
    // Rules that are saved later keep them.
    // (With the people put right just before, or in one with them.)
    building.save("r.recorder.pause(", "r.recorder.stop(", "reloaded");
    building.leaving_names("stop", "newcomer");

    let Building { site, engine, tag, devices, seq } = building;
    let trace = site.file("all.mcap");
    engine.stop(Signal::INT).expect(0);
    let replayed = osmose(&["replay", trace.to_str().expect("text"), "--verify"]).expect(0);
    assert!(replayed.stderr.contains("verified: the same, bit for bit"), "{}", replayed.stderr);
    // Without names it decides the same, and who came later has none either.
    let (shared, said) = (site.file("shared.mcap"), site.file("said.jsonl"));
    let (shared, said) = (shared.to_str().expect("text"), said.to_str().expect("text"));
    osmose(&["trace", "anonymise", trace.to_str().expect("text"), "-o", shared]).expect(0);
    osmose(&["replay", shared, "--verify", "--commands", said]).expect(0);
    let said = std::fs::read_to_string(said).expect("written");
    assert!(said.contains("person-") && !said.contains("newcomer") && !said.contains("\"p1\""), "{said}");
    // Started again it goes on with them, although the numbers of the file are others.
    let engine = Engine::run(site.path(), &[]);
    assert!(engine.stderr().contains("resumed behind input"), "{}", engine.stderr());
    let mut building = Building { site, engine, tag, devices, seq };
    building.leaving_names("stop", "newcomer");
    building.engine.stop(Signal::INT).expect(0);
    // Logs name who is new.
    let named = common::json_lines(&building.site.file("events.jsonl"));
    assert!(named.iter().any(|e| e["person"] == "newcomer"), "no event of the newcomer");
}

/// A calendar of one booking of r1, so many hours from now on.
fn booked(from_h: i64, to_h: i64) -> String {
    let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let time = |h: i64| {
        let utc = UtcNs((now_s as i64 + h * 3600) * 1_000_000_000);
        format_rfc3339(utc).replace(['-', ':'], "")
    };
    format!(
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:{}\r\nDTEND:{}\r\nLOCATION:r1\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        time(from_h),
        time(to_h)
    )
}

#[test]
fn a_calendar_that_moves_holds_from_one_input_on_and_a_broken_one_does_not() {
    let mut building = Building::new(|s| {
        s.write(
            "site.toml",
            &(s.read("site.toml") + "\n[[resource]]\nid = \"booking\"\nkind = \"calendar\"\nfile = \"rooms.ics\"\n"),
        );
        s.write("rooms.ics", &booked(24, 25));
        let rules = "\nrule begins { when r1.booking is started do r2.recorder.start() }\n\
                     rule ends { when r1.booking is free do r2.recorder.stop() }\n";
        s.write("rules/peer-job.rules", &(s.read("rules/peer-job.rules") + rules));
        vec!["--record".into(), s.file("all.mcap").display().to_string()]
    });
    let save = |b: &Building, text: &str, until_said: &str| {
        let said = b.engine.stderr().matches(until_said).count();
        b.site.write("rooms.ics", text);
        until(until_said, || (b.engine.stderr().matches(until_said).count() > said).then_some(()));
    };
    let hears = |b: &Building, command: &str| {
        until(&format!("`{command}` of the calendar"), || {
            let heard = b.heard()?;
            assert_eq!(heard["device"], "r2.recorder", "{heard}");
            assert_eq!(heard["command"], command, "nothing else comes between");
            Some(())
        });
    };
    // Tomorrow's meeting is moved to now.
    save(&building, &booked(-1, 1), "the calendar rooms.ics reloaded, 1 booking(s)");
    hears(&building, "start");
    // What is no calendar changes nothing, and other rules are taken all the same, with the calendar that holds.
    save(&building, "BEGIN:VEVENT\n", "rooms.ics not reloaded");
    building.save("recorder.pause()", "recorder.resume()", "rule(s) reloaded");
    building.leaving_gives("resume");
    // Neither do rules that do not compile hold a calendar up: those in force go on with it.
    building.save("recorder.resume()", "recorder.resumee()", "rules not reloaded");
    while building.heard().is_some() {}
    save(&building, &booked(24, 25), "the calendar rooms.ics reloaded, 1 booking(s)");
    hears(&building, "stop");
    building.leaving_gives("resume");
    building.save("recorder.resumee()", "recorder.resume()", "rule(s) reloaded");

    let Building { site, engine, tag, devices, seq } = building;
    let trace = site.file("all.mcap");
    engine.stop(Signal::INT).expect(0);
    let verified = |trace: &std::path::Path| {
        let replayed = osmose(&["replay", trace.to_str().expect("text"), "--verify"]).expect(0);
        assert!(replayed.stderr.contains("verified: the same, bit for bit"), "{}", replayed.stderr);
    };
    verified(&trace);
    let shared = site.file("shared.mcap");
    let paths = [&trace, &shared].map(|p| p.to_str().expect("text").to_owned());
    osmose(&["trace", "anonymise", &paths[0], "-o", &paths[1]]).expect(0);
    verified(&shared);
    // Moved while nobody ran: it holds from the start on, and rules that are saved then keep it.
    site.write("rooms.ics", &booked(-1, 1));
    let again = site.file("again.mcap");
    let engine = Engine::run(site.path(), &["--record", again.to_str().expect("text")]);
    assert!(engine.stderr().contains("with changed rules"), "{}", engine.stderr());
    let mut building = Building { site, engine, tag, devices, seq };
    hears(&building, "start");
    building.save("recorder.resume()", "recorder.pause()", "rule(s) reloaded");
    building.leaving_gives("pause");
    building.engine.stop(Signal::INT).expect(0);
    verified(&again);
}

#[test]
fn operators_act_and_what_they_switched_off_comes_back() {
    let mut building = Building::recorded();
    building.leaving_gives("pause");
    building.ask(&["act", "r3.recorder", "start"], 0);
    until("the command by hand", || {
        let heard = building.heard()?;
        (heard["device"] == "r3.recorder" && heard["command"] == "start").then_some(())
    });
    assert!(building.ask(&["act", "r3.recordr", "start"], 1).contains("did you mean `r3.recorder`?"));
    assert!(building.ask(&["act", "r3.recorder", "fly"], 1).contains("has no command `fly`"));
    assert!(building.ask(&["rule", "off", "pause-recordings", "--for", "1h", "--because", "x"], 1).contains("no rule"));
    assert!(building.ask(&["rule", "off", "pause-recording"], 2).contains("--because"));

    building.ask(&["rule", "off", "pause-recording", "--for", "1h", "--because", "the recorders are serviced"], 0);
    building.leaving_gives_nothing("the rule to be off");
    building.ask(&["rule", "on", "pause-recording"], 0);
    building.leaving_gives("pause");
    // For so short a time that it is over at once.
    building.ask(&["rule", "off", "pause-recording", "--for", "0.1s", "--because", "a moment"], 0);
    building.leaving_gives("pause");

    building.ends_and_replays();
}

#[test]
fn a_mode_is_set_by_hand_and_only_one_that_the_rules_have() {
    let mut building = Building::recorded();
    building.leaving_gives("pause");
    assert!(building.ask(&["mode", "house", "away"], 1).contains("the rules declare none"));
    building.save("leaves r\n", "leaves r\n  if house is home\n", "rules not reloaded");
    building.save("edition 1\n", "edition 1\nmode house { home default, away }\n", "rule(s) reloaded");
    building.leaving_gives("pause");
    assert!(building.ask(&["mode", "hous", "away"], 1).contains("did you mean `house`?"));
    assert!(building.ask(&["mode", "house", "gone"], 1).contains("it is: home, away"));
    assert!(building.ask(&["mode", "house.r1", "away"], 1).contains("one for the whole building"));
    building.ask(&["mode", "house", "away"], 0);
    building.leaving_gives_nothing("nothing to be done while nobody is at home");
    building.ask(&["mode", "house", "home"], 0);
    building.leaving_gives("pause");

    building.ends_and_replays();
}

#[test]
fn without_an_engine_there_is_nobody_to_ask() {
    let site = TempSite::example("peer-job");
    let path = site.path().to_str().expect("text");
    let ended = osmose(&["act", path, "r1.recorder", "pause"]).expect(1);
    assert!(ended.stderr.contains("no engine answers"), "{}", ended.stderr);
}
