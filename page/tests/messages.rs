//! What the page is told of a building in which somebody comes, starts a recording by a device's report, and leaves.

use osmose_core::{Core, Outbox};
use osmose_model::command::Value as DeviceValue;
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{CarriedKey, LevelId, Name, SensorId, Seq};
use osmose_model::input::{Input, OperatorAction, Report, Tag};
use osmose_model::observation::{Body, Observation};
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, LogicalNs};
use osmose_page::chronicle::Chronicle;
use osmose_page::hello::{Mode, hello};
use osmose_page::note::Note;
use osmose_page::request::Of;
use osmose_page::script::test_at;
use osmose_page::snap::Snaps;
use osmose_page::story::story;
use osmose_replay::rulebook::Rulebook;
use osmose_runtime::publish::Picture;
use osmose_runtime::tap::Timing;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A building, its core, and the page's memory of it.
struct Building {
    core: Core,
    chronicle: Chronicle,
    picture: Picture,
    out: Outbox,
    told: Vec<Value>,
}

const RULES: &str = "edition 1
rule pause {
  when any p in members(staff) leaves meeting
  if   meeting.recorder is recording
  do   meeting.recorder.pause(reason: \"{p} left\")
  deadline 1 ms else count
  level privacy
}
";

impl Building {
    fn new() -> Self {
        Self::with(RULES)
    }

    fn with(rules: &str) -> Self {
        let mut files = osmose_load::template("two rooms");
        files.iter_mut().filter(|f| f.path.ends_with(".rules")).for_each(|f| rules.clone_into(&mut f.text));
        let site = Arc::new(osmose_load::load(&files).site.expect("the template is a site"));
        let rules: Vec<_> = site.rule_files().cloned().collect();
        let program = osmose_rules::check(&site, &rules).program.expect("the rules compile");
        let book = Arc::new(Rulebook::new(&site, &rules));
        let picture = Picture::new(&site);
        let chronicle = Chronicle::new(site.clone(), book);
        Self { core: Core::new(site, program), chronicle, picture, out: Outbox::new(), told: Vec::new() }
    }

    fn site(&self) -> &Arc<Site> {
        &self.chronicle.site
    }

    /// Steps an input a tenth of a second after the last; commands took 200 us each.
    fn step(&mut self, input: &Input<'_>) {
        let seq = self.core.last().seq.0 + 1;
        let tag = Tag { at: LogicalNs(seq as i64 * 100_000_000), seq: Seq(seq) };
        self.core.step(tag, input, &mut self.out);
        let mut notes: Vec<Note> = Note::of(&self.chronicle.site, tag, input).into_iter().collect();
        notes.extend(self.out.events.iter().map(|e| Note::Event(tag, *e)));
        let (read, sent) = (ArrivalNs(tag.at.0), ArrivalNs(tag.at.0 + 200_000));
        let timing = Timing { received: read, read, step_start: read, step_end: sent, sent };
        notes.extend(self.out.commands.iter().map(|c| Note::Command(tag, Box::new(c.clone()), Some(timing))));
        self.told.extend(notes.into_iter().filter_map(|n| self.chronicle.take(n)));
        self.picture.take_whole(&self.core, read);
    }

    fn walk_to(&mut self, x_m: f64, y_m: f64) {
        let device = self.site().people[0].devices[0];
        self.see(device, x_m, y_m);
    }

    fn see(&mut self, device: CarriedKey, x_m: f64, y_m: f64) {
        let place = Place { at: Point::new(x_m, y_m), z_m: None, level: LevelId(0) };
        let seq = self.core.last().seq.0 + 1;
        let measured = LogicalNs(seq as i64 * 100_000_000 - 30_000_000);
        let body = Body::Location { device, place, sigma_m: None };
        self.step(&Input::Observation(Observation { sensor: SensorId(0), source_seq: Some(seq), measured, body }));
    }

    fn report(&mut self, device: &str, state: &str) {
        let actuator = self.site().actuator_named(device).expect("a device");
        let (property, value) = (Name::new("state").unwrap(), DeviceValue::Name(Name::new(state).unwrap()));
        self.step(&Input::Report(Report { actuator, property, value, source_seq: None }));
    }

    fn centre(&self, zone: &str) -> (f64, f64) {
        let id = self.site().zone_named(zone).expect("a zone");
        let b = self.site().zones[id.index()].area.aabb().expect("it has an area");
        ((b.min.x_m + b.max.x_m) / 2.0, (b.min.y_m + b.max.y_m) / 2.0)
    }
}

/// Somebody known is in the meeting, it is recorded, they leave; the recorder answers.
fn left() -> Building {
    let mut b = Building::new();
    let ((mx, my), (lx, ly)) = (b.centre("meeting"), outside(&b));
    for _ in 0..5 {
        b.walk_to(mx, my);
    }
    b.report("meeting.recorder", "recording");
    b.walk_to(mx, my);
    for _ in 0..5 {
        b.walk_to(lx, ly);
    }
    b.report("meeting.recorder", "paused");
    b
}

/// The middle of another room than the meeting.
fn outside(b: &Building) -> (f64, f64) {
    let other = b.site().zones.iter().find(|z| z.name != "meeting").expect("another room").name.clone();
    b.centre(&other)
}

fn pause(b: &Building) -> Value {
    let found = b.told.iter().find(|e| e["kind"] == "command" && e["command"] == "pause");
    found.unwrap_or_else(|| panic!("no pause: {:#?}", b.told)).clone()
}

#[test]
fn a_command_is_told_with_its_reason_its_time_and_its_budget() {
    let b = left();
    let c = pause(&b);
    let who = &b.site().people[0].name;
    assert_eq!(
        (&c["rule"], &c["level"], &c["device"]),
        (&json!("pause"), &json!("privacy"), &json!("meeting.recorder"))
    );
    assert_eq!((&c["engine_us"], &c["budget_us"], &c["late"]), (&json!(200), &json!(1000), &json!(false)));
    assert_eq!(c["person"], json!(who));
    let why = c["why"].as_str().unwrap();
    assert!(why.starts_with(&format!("{who} left meeting, identity 1.00")), "{why}");
    assert!(why.ends_with("; meeting.recorder is recording"), "{why}");
    // The recorder's answer completes it: a sample 30 ms old, and an answer some steps later.
    let report = b.told.iter().find(|e| e["kind"] == "report").expect("the answer");
    assert_eq!(report["id"], c["id"]);
    assert!(report["human_us"].as_u64().unwrap() > 30_000 + 200);
}

#[test]
fn a_story_leads_from_the_frame_to_the_command_and_marks_the_line_that_decided() {
    let b = left();
    let id = pause(&b)["id"].as_str().unwrap().to_owned();
    let told = story(Of::Command, &id, &b.chronicle, &b.picture);
    let kinds: Vec<&str> = told["links"].as_array().unwrap().iter().map(|l| l["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["frame", "track", "condition", "rule", "command"]);
    assert_eq!(told["links"][0]["took_us"], -30_000);
    // What the rule's letters stood for.
    assert_eq!(told["links"][2]["detail"], json!([format!("where p = {}", b.site().people[0].name)]));
    let lines = told["rule"]["lines"].as_array().unwrap();
    let decided: Vec<&str> =
        lines.iter().filter(|l| l["decides"] == true).map(|l| l["text"].as_str().unwrap().trim()).collect();
    assert!(decided.iter().any(|l| l.contains("meeting.recorder is recording")), "{decided:?}");
    let parts: u64 = told["human"].as_array().unwrap().iter().map(|p| p[1].as_u64().unwrap()).sum();
    let human = b.told.iter().find(|e| e["kind"] == "report").unwrap()["human_us"].as_u64().unwrap();
    assert_eq!(parts, human, "the parts are the whole");
}

#[test]
fn stories_of_people_rooms_and_devices_say_how_they_are_and_what_followed() {
    let b = left();
    let track = b.picture.people[0].track.0.to_string();
    let person = story(Of::Track, &track, &b.chronicle, &b.picture);
    assert_eq!(person["title"], json!(b.site().people[0].name));
    assert_eq!(person["identity"][0]["person"], json!(b.site().people[0].name));
    assert!(person["followed"].as_array().unwrap().iter().any(|e| e["command"] == "pause"), "{person}");
    let room = story(Of::Zone, "meeting", &b.chronicle, &b.picture);
    assert_eq!(room["people"], json!([]), "they left");
    assert!(room["devices"].to_string().contains("paused"), "{room}");
    let device = story(Of::Device, "meeting.recorder", &b.chronicle, &b.picture);
    assert!(device["facts"].to_string().contains("paused"), "{device}");
    let sensor = story(Of::Device, &b.site().sensors[0].name, &b.chronicle, &b.picture);
    assert!(sensor["facts"].to_string().contains("Last frame"), "{sensor}");
    for (of, id) in
        [(Of::Command, "9.9"), (Of::Command, "x"), (Of::Track, "77"), (Of::Zone, "nowhere"), (Of::Device, "")]
    {
        let none = story(of, id, &b.chronicle, &b.picture);
        assert!(none["lead"].as_str().is_some_and(|l| !l.is_empty()), "{none}");
        assert!(none["facts"].is_null() && none["links"].is_null());
    }
}

#[test]
fn a_moment_as_a_test_is_one_that_the_rules_language_reads() {
    let b = left();
    let at_s = pause(&b)["t_s"].as_f64().unwrap();
    let text = test_at(LogicalNs((at_s * 1e9) as i64), &b.chronicle).expect("there is a command");
    let who = &b.site().people[0].name;
    assert!(text.contains(&format!("at 0 s {who} in meeting")), "{text}");
    assert!(text.contains("at 1 s meeting.recorder is recording"), "{text}");
    assert!(text.contains(&format!("at 5 s {who} is outside")), "{text}");
    assert!(text.contains(&format!("expect meeting.recorder.pause(reason: \"{who} left\") at 5 s +- 1 ms")), "{text}");
    let parsed = osmose_rules::parse("tests/moment.rules", &format!("edition 1\n{text}"));
    assert!(parsed.diagnostics.is_empty(), "{text}\n{:#?}", parsed.diagnostics);
    assert_eq!(test_at(LogicalNs(-1), &b.chronicle), None, "nothing was before the beginning");
}

#[test]
fn snapshots_are_whole_or_what_changed_and_always_json() {
    let mut b = left();
    let mut snaps = Snaps::default();
    let mut write = |b: &Building, whole| -> Value {
        let text = snaps.write(b.chronicle.names(), &b.picture, &b.chronicle.seen, whole);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    };
    let first = write(&b, true);
    assert_eq!(first["zones"].as_object().unwrap().len(), b.site().zones.len());
    assert_eq!(first["devices"]["meeting.recorder"][0], "paused");
    let track = &first["tracks"][0];
    assert_eq!((&track[10], track[11].as_f64()), (&json!(b.site().people[0].name), Some(1.0)));
    assert_eq!(first["seen"][0][0], json!(b.site().sensors[0].name));
    let second = write(&b, false);
    assert_eq!((&second["zones"], &second["devices"]), (&json!({}), &json!({})), "nothing has changed");
    let (x, y) = b.centre("meeting");
    b.walk_to(x, y);
    let third = write(&b, false);
    assert_eq!(third["zones"]["meeting"], json!([1, "known", 0]));
    assert!(third["devices"].as_object().unwrap().len() < b.site().actuators.len(), "{third}");
}

#[test]
fn a_lamp_whose_level_a_rule_holds_is_not_said_to_be_off() {
    let mut b =
        Building::with("edition 1\nrule light {\n  while meeting is occupied\n  hold meeting.light.level = 80 %\n}\n");
    b.report("meeting.light", "off");
    let told = |b: &Building| -> Value {
        let text = Snaps::default().write(b.chronicle.names(), &b.picture, &b.chronicle.seen, true);
        serde_json::from_str::<Value>(&text).expect("JSON")["devices"]["meeting.light"].clone()
    };
    assert_eq!(told(&b)[0], "off", "nobody holds it");
    let (x, y) = b.centre("meeting");
    for _ in 0..5 {
        b.walk_to(x, y);
    }
    let lamp = told(&b);
    assert_eq!((&lamp[0], &lamp[3]), (&json!("level 80"), &json!({"level": "80"})), "{lamp}");
    let room = story(Of::Zone, "meeting", &b.chronicle, &b.picture)["devices"].to_string();
    assert!(room.contains("level 80; held by") && !room.contains("off"), "{room}");
}

#[test]
fn what_rules_and_sites_call_things_stays_text() {
    let mut b = Building::new();
    let nasty = "</script><b>\"\\\u{2028}";
    let site = Arc::make_mut(&mut b.chronicle.site);
    site.zones[0].label = nasty.to_owned();
    site.people[0].name = nasty.to_owned();
    let told = hello(b.chronicle.names(), Mode::Live, 1, Map::new());
    let again: Value = serde_json::from_str(&told.to_string()).expect("JSON");
    assert!(again.to_string().contains("<b>"), "it travels as it is; the page puts it in as text");
    b.walk_to(1.0, 1.0);
    let text = Snaps::default().write(b.chronicle.names(), &b.picture, &b.chronicle.seen, true);
    let snap: Value = serde_json::from_str(&text).expect("JSON");
    assert!(snap["tracks"].is_array());
}

#[test]
fn events_are_kept_to_a_limit_and_a_page_that_missed_too_many_is_told() {
    let mut b = left();
    let newest = b.core.last().seq.0;
    // However much else has happened, a page that opens is told what was done.
    let last = b.chronicle.last(1);
    let kinds: Vec<&str> = last["list"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|k| **k == "command").count(), 1, "{kinds:?}");
    assert!(kinds.len() <= 2, "{kinds:?}");
    assert_eq!(b.chronicle.since(newest).unwrap()["list"], json!([]));
    let all = b.chronicle.since(0).expect("all of it is remembered");
    assert_eq!(all["list"].as_array().unwrap().len(), b.told.iter().filter(|e| e["kind"] != "report").count());
    let operator = OperatorAction::Mode { mode: Name::new("house").unwrap(), value: Name::new("away").unwrap() };
    for _ in 0..osmose_page::chronicle::EVENTS_MAX {
        let tag = Tag { at: b.core.last().at, seq: Seq(newest + 1) };
        b.chronicle.take(Note::Operator(tag, operator));
    }
    assert_eq!(b.chronicle.events().count(), osmose_page::chronicle::EVENTS_MAX);
    assert!(b.chronicle.since(0).is_none(), "what came first is forgotten, and that is said");
}
