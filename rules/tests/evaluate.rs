//! Rules in a small world: what the words of the language mean, one by one.

mod common;

use common::{Bench, name};
use osmose_model::input::OperatorAction;
use osmose_model::stages::Decide;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::{EventKind, Reading, Stimulus};
use osmose_rules::{Carried, Rules};

const PAUSE: &str = "rule pause-recording {
  for each room r where r.recorder
  when any p in participants(r) leaves r
  if r.recorder is recording
  do r.recorder.pause(reason: \"{p} left\")
  level privacy
}";

#[test]
fn a_participant_who_leaves_pauses_the_recording_of_his_room() {
    let mut b = Bench::new(PAUSE);
    b.appears(1, Some(0), Some(0)).appears(2, Some(2), Some(3)).device(0, "recording");
    // Cleo came later: she takes no part.
    b.goes(2, Some(0)).at(1.0).goes(2, Some(3));
    assert_eq!(b.took(), [] as [&str; 0]);
    b.at(2.0).goes(1, Some(3));
    assert_eq!(b.took(), ["2 pause-recording: m7.recorder.pause(reason: \"ana left\")"]);
    // Paused is not recording, and the session goes on: after a resume the next leave counts again.
    b.goes(1, Some(0)).goes(1, Some(3));
    assert_eq!(b.took(), [] as [&str; 0]);
    b.goes(1, Some(0)).device(0, "recording").at(3.0).goes(1, None);
    assert_eq!(b.took(), ["3 pause-recording: m7.recorder.pause(reason: \"ana left\")"]);
}

#[test]
fn somebody_whom_no_device_names_appears_in_a_zone_when_he_is_confirmed() {
    let rule = "rule seen { for each room r where r.recorder when p appears r do r.recorder.pause() }";
    let mut b = Bench::new(rule);
    b.appears(9, None, None).at(1.0);
    assert_eq!(b.took(), [] as [&str; 0], "in no zone yet");
    b.is_confirmed(9, 0);
    assert_eq!(b.took(), ["1 seen: m7.recorder.pause()"]);
    // Who is named by a device appears with his zones at once.
    b.at(2.0).appears(1, Some(0), Some(0));
    assert_eq!(b.took(), ["2 seen: m7.recorder.pause()"]);
}

#[test]
fn doubt_pauses_too_and_says_so() {
    let mut b = Bench::new(PAUSE);
    b.appears(1, Some(0), Some(0)).device(0, "recording").at(1.0).is_lost(1);
    assert_eq!(b.took(), ["1 pause-recording: m7.recorder.pause(reason: \"ana left\") (in doubt)"]);
    let mut b = Bench::new(PAUSE);
    b.appears(1, Some(0), Some(0)).device(0, "recording").is_identified(1, Some(0), 0.3);
    assert_eq!(b.took(), ["0 pause-recording: m7.recorder.pause(reason: \"track 1 left\") (in doubt)"]);
    // So does a participant who may have changed places with somebody outside, whichever of the two is named first.
    for (track, other) in [(1, 2), (2, 1)] {
        let mut b = Bench::new(PAUSE);
        b.appears(1, Some(0), Some(0))
            .appears(2, Some(2), Some(3))
            .device(0, "recording")
            .may_have_swapped(track, other);
        let took = b.took();
        assert!(took.len() == 1 && took[0].ends_with("left\") (in doubt)"), "{took:?}");
        let mut b = Bench::new(PAUSE);
        b.appears(1, Some(0), Some(3))
            .appears(2, Some(2), Some(3))
            .device(0, "recording")
            .may_have_swapped(track, other);
        assert_eq!(b.took(), [] as [&str; 0], "neither is inside");
    }
    // Somebody unknown inside a session counts as a participant.
    let mut b = Bench::new(PAUSE);
    b.device(0, "recording").appears(9, None, Some(3)).goes(9, Some(0)).goes(9, Some(3));
    assert_eq!(b.took(), ["0 pause-recording: m7.recorder.pause(reason: \"track 9 left\") (in doubt)"]);
    // Below privacy doubt starts nothing.
    let mut b = Bench::new(&PAUSE.replace("privacy", "comfort"));
    b.appears(1, Some(0), Some(0)).device(0, "recording").is_lost(1);
    assert_eq!(b.took(), [] as [&str; 0]);
}

#[test]
fn a_session_of_a_group_does_not_depend_on_who_is_there() {
    let rules = format!(
        "{PAUSE}\nrule start {{ when p enters m9 do m7.recorder.start(participants: members(project-x)) level user }}"
    );
    let mut b = Bench::new(&rules);
    b.appears(1, Some(0), Some(0)).appears(2, Some(2), Some(0)).appears(3, None, None).goes(3, Some(1));
    b.took();
    b.goes(2, Some(3));
    assert_eq!(b.took(), [] as [&str; 0]);
    b.goes(1, Some(3));
    assert_eq!(b.took(), ["0 pause-recording: m7.recorder.pause(reason: \"ana left\")"]);
}

#[test]
fn a_level_rule_holds_and_lets_go_by_itself() {
    let mut b = Bench::new(
        "rule light { for each room r while r is occupied hold r.lights.level = if time in 22:00..06:00 then 30 % \
         else 80 % release after 5 min level comfort }",
    );
    b.appears(1, None, None).at(1.0).goes(1, Some(0));
    assert_eq!(b.took(), ["1 light: hold m7.light.level = 80"]);
    b.at(100.0).goes(1, None).at(399.0).goes(1, Some(0)).at(1000.0);
    assert_eq!(b.took(), [] as [&str; 0], "back before the five minutes were over");
    b.clock(21.5).at(3000.0);
    assert_eq!(b.took(), ["2800 light: hold m7.light.level = 30"], "night falls at its own due time");
    b.goes(1, None).at(9000.0);
    assert_eq!(b.took(), ["3300 release 0"]);
}

#[test]
fn unknown_starts_nothing_and_a_known_false_must_come_first() {
    let text = "rule greet { for each room r when r is occupied do r.light.on() level comfort }";
    let mut b = Bench::asleep(text);
    b.world.alive[1] = osmose_model::tri::Tri::False;
    b.step(&[Stimulus::Start]);
    // The sensor comes back from an outage as "on": no entry.
    b.reads(1, Reading::Switch(true));
    assert_eq!(b.took(), [] as [&str; 0]);
    b.reads(1, Reading::Switch(false)).reads(1, Reading::Switch(true));
    assert_eq!(b.took(), ["0 greet: m7.light.on()"]);
    // False, unknown, true: what was false before the outage does not count.
    b.reads(1, Reading::Switch(false)).dies(1).reads(1, Reading::Switch(true));
    assert_eq!(b.took(), [] as [&str; 0]);
    // At level privacy unknown counts as true, and the cause says so.
    let mut b = Bench::new(&text.replace("comfort", "privacy"));
    b.dies(1);
    assert_eq!(b.took(), ["0 greet: m7.light.on() (in doubt)"]);
}

#[test]
fn a_dwell_counts_per_person_and_once_per_visit() {
    let mut b = Bench::new(
        "rule long-look { when p in lobby for 10 min once per visit do lobby-display.show(\"longread\", \
         language: p.language, who: p) level info }",
    );
    b.appears(1, Some(0), Some(3)).appears(2, Some(1), Some(2)).at(60.0).goes(1, Some(2)).at(599.0);
    assert_eq!(b.took(), [] as [&str; 0]);
    b.at(700.0);
    let shown =
        |t: u32, who: &str| format!("{t} long-look: lobby-display.show(language: \"en\", page: longread, who: {who})");
    assert_eq!(b.took(), [shown(600, "ben"), shown(660, "ana")]);
    // Out for 20 s is the same visit; out for 40 s is another.
    b.goes(1, Some(3)).at(720.0).goes(1, Some(2)).at(2000.0);
    assert_eq!(b.took(), [] as [&str; 0]);
    b.goes(1, Some(3)).at(2040.0).goes(1, Some(2)).at(3000.0);
    assert_eq!(b.took(), [shown(2640, "ana")]);
}

#[test]
fn a_dwell_goes_on_over_a_short_gap_and_starts_anew_after_a_long_one() {
    let text = "rule x { when p in lobby for 10 s do lobby-display.wake() level info }";
    let mut b = Bench::new(text);
    b.appears(1, None, None).goes(1, Some(2)).at(4.0).is_lost(1).at(5.0).is_found(1).at(20.0);
    assert_eq!(b.took(), ["10 x: lobby-display.wake()"]);
    let mut b = Bench::new(text);
    b.appears(1, None, None).goes(1, Some(2)).at(4.0).is_lost(1).at(7.0).is_found(1).at(20.0);
    assert_eq!(b.took(), ["17 x: lobby-display.wake()"]);
    let mut b = Bench::new(&text.replace("10 s do", "10 s across gaps: continue do"));
    b.appears(1, None, None).goes(1, Some(2)).at(4.0).is_lost(1).at(7.0).is_found(1).at(20.0);
    assert_eq!(b.took(), ["10 x: lobby-display.wake()"]);
}

#[test]
fn who_walks_straight_from_zone_to_zone_was_outside_of_the_second() {
    let mut b = Bench::new("rule x { when p in m9 do lobby-display.wake() level info }");
    b.appears(1, None, None).goes(1, Some(0)).goes(1, Some(1));
    assert_eq!(b.took(), ["0 x: lobby-display.wake()"]);
    b.appears(2, None, Some(1)).at(5.0);
    assert_eq!(b.took(), [] as [&str; 0], "who appears inside has not entered");
}

#[test]
fn what_does_not_speak_of_the_person_is_followed_without_one() {
    let text = "rule x { when p in lobby and fire-panel is active for 5 s and m7 is occupied do lobby-display.wake() \
                level info }";
    let mut b = Bench::new(text);
    b.reads(0, Reading::Switch(true)).at(4.0).appears(1, None, None).goes(1, Some(2)).appears(2, None, None).at(9.0);
    assert_eq!(b.took(), [] as [&str; 0]);
    b.goes(2, Some(0));
    assert_eq!(b.took(), ["9 x: lobby-display.wake()"], "somebody else's coming decides");
    b.goes(2, None).goes(1, None).goes(2, Some(0)).at(10.0).goes(1, Some(2));
    assert_eq!(b.took(), ["10 x: lobby-display.wake()"], "the panel had been active all the while");
}

#[test]
fn settle_waits_until_a_change_stands() {
    let text = "rule out { when p leaves m7 settle 3 s do m7.light.off() level comfort }";
    let mut b = Bench::new(text);
    b.appears(1, None, Some(0)).goes(1, None).at(2.0).goes(1, Some(0)).at(9.0);
    assert_eq!(b.took(), [] as [&str; 0]);
    b.goes(1, None).at(11.0);
    assert_eq!(b.took(), [] as [&str; 0]);
    b.at(20.0);
    assert_eq!(b.took(), ["12 out: m7.light.off()"]);
    let mut b = Bench::new("rule l { while m7 is occupied hold m7.light.level = 5 % settle 2 s level comfort }");
    b.appears(1, None, None).goes(1, Some(0)).at(1.0).goes(1, None).at(5.0).goes(1, Some(0)).at(9.0).goes(1, None);
    b.at(20.0);
    assert_eq!(b.took(), ["7 l: hold m7.light.level = 5", "11 release 0"]);
}

#[test]
fn what_is_held_on_after_its_condition_follows_its_value_from_the_first_moment_on() {
    let mut b = Bench::new(
        "rule l { while lux-1 < 50 lx hold m7.light.level = if lux-1 < 50 lx then 10 % else 20 % release after 1 s level comfort }",
    );
    b.reads(3, Reading::Quantity(5.0));
    assert_eq!(b.took(), ["0 l: hold m7.light.level = 10"]);
    b.reads(3, Reading::Quantity(55.0));
    assert_eq!(b.took(), ["0 l: hold m7.light.level = 20"], "another rule that wants 20 agrees with it");
    b.at(1.0);
    assert_eq!(b.took(), ["1 release 0"]);
}

#[test]
fn suppress_counts_per_person_and_memories_follow_identities() {
    let mut b = Bench::new("rule hi { when p enters lobby suppress 60 s per p do lobby-display.wake() level info }");
    b.appears(1, Some(0), None).appears(2, None, None);
    b.goes(1, Some(2)).goes(2, Some(2));
    assert_eq!(b.took().len(), 2);
    b.at(10.0).goes(1, None).goes(1, Some(2)).goes(2, None).goes(2, Some(2));
    assert_eq!(b.took(), [] as [&str; 0]);
    // Track 2 turns out to be ben; ben's new track 3 is still the same visitor.
    b.is_identified(2, Some(1), 0.9).appears(3, Some(1), None).at(20.0).goes(3, Some(2));
    assert_eq!(b.took(), [] as [&str; 0]);
    b.at(61.0).goes(3, None).goes(3, Some(2));
    assert_eq!(b.took(), ["61 hi: lobby-display.wake()"]);
}

#[test]
fn counts_with_a_band_and_a_share_of_the_capacity() {
    let mut b = Bench::new(
        "rule ventilate { for each room r while count(people in r) > 20 % of r.capacity for 30 s \
         until (count(people in r) < 2 for 10 s) hold r.hvac.airflow = boost level comfort }"
            .replace("for each room r while", "for each room r where r.hvac while")
            .as_str(),
    );
    for track in 1..=3 {
        b.appears(track, None, Some(0));
    }
    b.at(29.0);
    assert_eq!(b.took(), [] as [&str; 0]);
    b.at(40.0).goes(1, None).at(100.0);
    assert_eq!(b.took(), ["30 ventilate: hold m7.hvac.airflow = boost"], "two of ten are within the band");
    b.goes(2, None).at(109.0);
    assert_eq!(b.took(), [] as [&str; 0]);
    b.at(200.0);
    assert_eq!(b.took(), ["110 release 0"]);
}

#[test]
fn a_blind_sensor_makes_a_count_a_lower_bound() {
    let mut b = Bench::new(
        "rule crowd { when count(people in lobby) > 1 do lobby-display.wake() level info }
         rule clear { when count(people in lobby) < 1 do lobby-display.blank() level info }",
    );
    b.appears(1, None, Some(2)).dies(4).goes(1, None);
    assert_eq!(b.took(), [] as [&str; 0], "nobody seen by half a pair of eyes is no all-clear");
    b.at(1.0).step(&[Stimulus::Sensor(osmose_model::ids::SensorId(4))]).goes(1, Some(2)).appears(2, None, Some(2));
    assert_eq!(b.took(), [] as [&str; 0], "from unknown to true is no edge");
}

const FIRE: &str = "interlock fire {
  while fire-panel is active until (reset by operator) on unknown keep
  hold all doors.lock = open, all lights.level = 100 %
  forbid recorder.start
  level life-safety
}";

#[test]
fn an_interlock_latches_until_it_is_reset_and_keeps_through_unknown() {
    let mut b = Bench::new(FIRE);
    assert_eq!(b.took(), [] as [&str; 0], "a panel that has said nothing is no fire");
    b.reads(0, Reading::Switch(false)).at(1.0).reads(0, Reading::Switch(true));
    let took = b.took();
    assert_eq!(took.len(), 1 + 4 + 2);
    assert_eq!(took[0], "1 fire: hold front-door.lock = open");
    assert_eq!(took[6], "1 fire: forbid m9.recorder.start");
    b.dies(0).at(2.0).reads(0, Reading::Switch(false));
    assert_eq!(b.took(), [] as [&str; 0]);
    b.operator(OperatorAction::Reset { rule: name("fire") });
    assert_eq!(b.took().len(), 7, "everything is let go");
    b.reads(0, Reading::Switch(true));
    b.took();
    b.operator(OperatorAction::Reset { rule: name("fire") });
    assert_eq!(b.took(), [] as [&str; 0], "no reset while it burns");
}

#[test]
fn an_if_of_a_level_rule_is_asked_once_when_it_begins() {
    let mut b = Bench::new("rule l { while m7 is occupied if lux-1 < 50 lx hold m7.light.level = 80 % level comfort }");
    b.reads(3, Reading::Quantity(20.0)).appears(1, None, None).goes(1, Some(0));
    assert_eq!(b.took(), ["0 l: hold m7.light.level = 80"]);
    b.reads(3, Reading::Quantity(500.0)).at(10.0);
    assert_eq!(b.took(), [] as [&str; 0], "the lamp's own light does not switch it off");
    b.goes(1, None).goes(1, Some(0)).reads(3, Reading::Quantity(20.0)).at(20.0);
    assert_eq!(b.took(), ["10 release 0"], "it was bright when it began");
}

#[test]
fn two_silences_free_a_room_and_a_dead_sensor_is_no_silence() {
    let text = "rule free { for each room r where r.bookable and r.hvac when no motion in r for 15 min and nobody in r \
                for 15 min if all sensors of r are alive for 15 min do r.lights.off() level comfort }";
    let mut b = Bench::new(text);
    b.reads(1, Reading::Switch(false)).appears(1, None, Some(0)).at(100.0).goes(1, None).at(2000.0);
    assert_eq!(b.took(), ["1000 free: m7.light.off()"]);
    let mut b = Bench::new(text);
    b.reads(1, Reading::Switch(false)).appears(1, None, Some(0)).at(100.0).goes(1, None);
    b.at(500.0).dies(1).at(600.0).reads(1, Reading::Switch(false)).at(1400.0);
    assert_eq!(b.took(), [] as [&str; 0]);
}

#[test]
fn members_modes_and_people_by_name() {
    let mut b = Bench::new(
        "mode house { home default, away }
         rule a { when p enters lobby if p in members(staff) and house is away do lobby-display.wake() level info }
         rule b { while ben in m7 hold m7.light.level = 40 % level info }
         rule c { while any q in members(project-x) in m9 hold m9.light.level = 10 % level info }
         rule d { when any p in members(project-x) enters m9 do m9.light.on() level info }",
    );
    b.appears(1, Some(2), None).goes(1, Some(2)).goes(1, None);
    assert_eq!(b.took(), [] as [&str; 0]);
    b.operator(OperatorAction::Mode { mode: name("house"), value: name("away") }).goes(1, Some(2));
    assert_eq!(b.took(), ["0 a: lobby-display.wake()"]);
    b.appears(2, Some(1), Some(0)).goes(2, Some(1)).goes(1, Some(1));
    assert_eq!(
        b.took(),
        ["0 b: hold m7.light.level = 40", "0 release 0", "0 c: hold m9.light.level = 10", "0 d: m9.light.on()"]
    );
    b.goes(2, None);
    assert_eq!(b.took(), ["0 release 1"]);
}

#[test]
fn a_rule_switched_off_lets_go_and_comes_back_by_itself() {
    let mut b = Bench::new("rule l { while m7 is occupied hold m7.light.level = 5 % release after 1 h level comfort }");
    b.appears(1, None, None).goes(1, Some(0));
    b.took();
    let off = |s: i64| OperatorAction::RuleOff {
        rule: name("l"),
        until: LogicalNs(s * 1_000_000_000),
        because: Default::default(),
    };
    b.at(1.0).operator(off(60));
    assert_eq!(b.took(), ["1 release 0"]);
    b.at(100.0);
    assert_eq!(b.took(), ["60 l: hold m7.light.level = 5"]);
}

#[test]
fn a_gap_in_the_inputs_is_no_edge() {
    let mut b = Bench::new("rule l { when m7 is occupied do m7.light.on() level comfort }");
    b.appears(1, None, None).at(10.0);
    // While nothing came in, somebody walked into m7.
    b.world.people.get_mut(&1).expect("he is there").zones.push(osmose_model::ids::ZoneId(0));
    b.step(&[Stimulus::Gap(DurationNs::from_s(5))]);
    assert_eq!(b.took(), [] as [&str; 0]);
    b.goes(1, None).goes(1, Some(0));
    assert_eq!(b.took(), ["10 l: m7.light.on()"]);
}

#[test]
fn saved_and_restored_it_goes_on_bit_for_bit() {
    let text = format!(
        "{PAUSE}\n{FIRE}\nrule d {{ when p in lobby for 10 s once per visit do lobby-display.wake() level info }}\n\
        rule l {{ for each room r while r is occupied hold r.lights.level = 80 % release after 5 min level comfort }}"
    );
    let mut b = Bench::new(&text);
    b.appears(1, Some(0), Some(0))
        .appears(2, None, Some(2))
        .device(0, "recording")
        .at(4.0)
        .goes(2, None)
        .goes(2, Some(2));
    b.took();
    let mut saved = Vec::new();
    b.rules.save(&mut saved);
    let mut again = b.clone();
    again.rules = Rules::new(common::compiled(&b.world.site, &text));
    again.rules.restore(&saved).expect("it is of the same program");
    for bench in [&mut b, &mut again] {
        bench.at(6.0).goes(1, None).at(9.0).reads(0, Reading::Switch(true)).at(1000.0);
    }
    assert_eq!(b.log, again.log);
    assert!(b.log.len() > 8, "{:?}", b.log);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    b.rules.save(&mut x);
    again.rules.save(&mut y);
    assert_eq!(x, y);
    let mut other = Rules::new(common::compiled(&b.world.site, FIRE));
    assert!(other.restore(&saved).is_err(), "another program's state is refused");
    assert!(other.restore(&saved[..saved.len() / 2]).is_err(), "half a state is refused");
}

#[test]
fn a_reload_keeps_the_timers_of_rules_whose_shape_is_the_same() {
    let old = "rule a { while m7 is occupied hold m7.light.level = 80 % release after 60 s level comfort }
               rule b { when p in lobby for 10 s do lobby-display.wake() level info }
               rule c { when p enters m9 do m9.light.on() level info }";
    let new = "rule z { when p enters m9 do m9.light.off() level info }
               rule b { when p in lobby for 20 s do lobby-display.wake() level user }
               rule a { while m7 is occupied hold m7.light.level = 80 % release after 60 s level comfort }";
    let mut b = Bench::new(old);
    b.appears(1, None, Some(0)).appears(2, None, None).at(3.0).goes(2, Some(2)).at(5.0);
    b.took();
    let mut out = Vec::new();
    let program = common::compiled(&b.world.site, new);
    let carried = b.rules.install(program, &b.world, &mut out);
    assert_eq!(
        carried,
        [
            Carried::New { rule: "z".into() },
            Carried::Kept { rule: "b".into(), instances: 1 },
            Carried::Kept { rule: "a".into(), instances: 1 },
            Carried::Gone { rule: "c".into() },
        ]
    );
    assert_eq!(out.len(), 2, "let go under the old number, held under the new: {out:?}");
    b.goes(1, None).at(100.0);
    assert_eq!(b.took(), ["23 b: lobby-display.wake()", "65 release 0"]);
}

#[test]
fn a_cause_names_the_event_the_variables_and_the_conditions() {
    let mut b = Bench::new(PAUSE);
    b.appears(1, Some(0), Some(0)).device(0, "recording");
    let mut out = Vec::new();
    b.world.people.get_mut(&1).expect("he is there").zones.clear();
    let event = osmose_model::world::WorldEvent {
        kind: EventKind::Leaves,
        track: osmose_model::ids::TrackId(1),
        person: Some(osmose_model::ids::PersonId(0)),
        person_p: 0.99,
        zone: Some(osmose_model::ids::ZoneId(0)),
        other: None,
        place: osmose_model::geometry::Place::flat(osmose_model::ids::LevelId(0), 1.0, 2.0),
        sensor: Some(osmose_model::ids::SensorId(4)),
        measured: LogicalNs(7),
    };
    b.rules.step(&[Stimulus::World(event)], Default::default(), &b.world, &mut out);
    insta::assert_debug_snapshot!(out);
}

/// A track ends without an event. Where nothing lets its memory go, a busy lobby fills the table in a day.
#[test]
fn who_is_gone_is_not_followed_for_ever() {
    let mut bench = Bench::new("rule long { when p in lobby for 1 h do lobby-display.wake() }");
    bench.world.site.engine.tracks_max = 4;
    for track in 0..20_000 {
        bench.appears(track, None, Some(2));
        bench.world.people.remove(&track);
    }
    assert_eq!(bench.rules.contexts_refused(), 0);
}
