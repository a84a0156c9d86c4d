//! The rest of the language in a small world, one form after the other: pairs and places, sequences, steps, schedules
//! and the sun, calendars, modes and counters, windows, policies, templates, values that move.

mod common;

use common::{Bench, name, said};
use osmose_model::command::Value;
use osmose_model::ids::{CarriedKey, PersonId, SensorId, TrackId, ZoneId};
use osmose_model::input::OperatorAction;
use osmose_model::observation::Direction;
use osmose_model::time::LogicalNs;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Reading, Stimulus};

const NOTHING: [&str; 0] = [];

// ---- places and pairs ----

#[test]
fn who_may_have_left_pauses_and_the_pause_reaches_back_to_when_he_was_surely_inside() {
    let mut b = Bench::new(
        "rule doubt { when p in m7 and unsure-for(p, m7) > 700 ms do m7.recorder.pause(back_s: left-ago(p, m7)) level privacy }
         rule leaves { when p leaves m7 do m7.recorder.pause(back_s: left-ago(p, m7)) level privacy }",
    );
    let (m7, ana) = (ZoneId(0), TrackId(1));
    b.world.surely.insert((ana, m7), LogicalNs(1_000_000_000));
    b.appears(1, Some(0), Some(0)).at(1.5).stands(1, 0.0, 0.0, 0.0, None);
    assert_eq!(b.took(), NOTHING, "for half a second only");
    b.at(1.75).stands(1, 0.01, 0.0, 0.0, None);
    assert_eq!(b.took(), ["1.75 doubt: m7.recorder.pause(back_s: 0.75)"]);
    b.at(2.25).goes(1, Some(2));
    assert_eq!(b.took(), ["2.25 leaves: m7.recorder.pause(back_s: 1.25)"]);
}

#[test]
fn whether_somebody_may_have_left_is_known_only_where_a_recorder_stands() {
    let files =
        common::source("rule r { when p in lobby and unsure-for(p, lobby) > 1 s do lobby-display.wake() level info }");
    let found = osmose_rules::check(&common::site(), &files).diagnostics;
    let text = found.iter().map(|d| d.render("", false)).collect::<String>();
    assert!(text.contains("where a recorder stands"), "{text}");
}

const CARD: &str = "rule contact-card {
  when distance(a, b) < 1.2 m for 2 s until (distance(a, b) > 1.5 m)
  if a in lobby and b in lobby and a.consents and b.consents
  once per 1 h per pair do notify(a, b, card) level info
}";

fn card(t: &str) -> [String; 2] {
    [("ben", "ana"), ("ana", "ben")]
        .map(|(about, to)| format!("{t} contact-card: messages.send(about: {about}, card: card, to: {to})"))
}

#[test]
fn two_who_stay_near_get_each_others_card_once() {
    let mut b = Bench::new(CARD);
    b.appears(1, Some(0), Some(2)).appears(2, Some(1), Some(2)).appears(3, Some(2), Some(2));
    b.stands(1, 0.0, 0.0, 0.0, None).stands(2, 5.0, 0.0, 0.0, None).stands(3, 20.0, 0.0, 0.0, None).at(10.0);
    b.stands(2, 1.0, 0.0, 0.0, None).at(11.0);
    assert_eq!(b.took(), NOTHING, "not for two seconds yet");
    b.at(20.0);
    assert_eq!(b.took(), card("12"));
    // A band: 1.4 m is not apart; and apart and near again within the hour is the same pair, in either order.
    b.stands(2, 1.4, 0.0, 0.0, None).at(25.0).stands(2, 1.0, 0.0, 0.0, None).at(30.0);
    b.stands(1, 9.0, 0.0, 0.0, None).at(40.0).stands(1, 1.2, 0.0, 0.0, None).at(60.0);
    assert_eq!(b.took(), NOTHING);
    // Cleo consents to nothing.
    b.stands(3, 1.1, 0.0, 0.0, None).at(90.0);
    assert_eq!(b.took(), NOTHING);
    b.stands(1, 9.0, 0.0, 0.0, None).at(4000.0).stands(1, 1.2, 0.0, 0.0, None).at(4010.0);
    assert_eq!(b.took(), card("4002"));
}

#[test]
fn a_pair_is_kept_over_a_restart_and_nobody_is_near_when_lost() {
    let mut b = Bench::new(CARD);
    b.appears(1, Some(0), Some(2)).appears(2, Some(1), Some(2));
    b.stands(2, 5.0, 0.0, 0.0, None).at(1.0).stands(2, 1.0, 0.0, 0.0, None).at(2.5).restarts().at(9.0);
    assert_eq!(b.took(), card("3"));
    let mut b = Bench::new(CARD);
    b.appears(1, Some(0), Some(2)).appears(2, Some(1), Some(2));
    b.stands(2, 5.0, 0.0, 0.0, None).at(1.0).stands(2, 1.0, 0.0, 0.0, None).at(2.0).is_lost(2).at(30.0);
    assert_eq!(b.took(), NOTHING);
}

#[test]
fn a_pair_in_one_order_only_acts_for_each_order() {
    // Who is staff is asked of the first alone, so the pair is not the same in either order.
    let mut b = Bench::new(
        "rule help { when distance(p, q) < 2 m and p in members(staff) do notify(p, \"{q} is here\") level info }",
    );
    b.appears(1, Some(2), Some(2)).appears(2, Some(0), Some(2)).stands(2, 9.0, 0.0, 0.0, None);
    b.stands(2, 1.0, 0.0, 0.0, None);
    assert_eq!(b.took(), ["0 help: messages.send(text: \"ana is here\", to: cleo)"]);
}

#[test]
fn who_appears_near_has_not_come_near() {
    let mut b = Bench::new("rule near { when distance(a, b) < 2 m do lobby-display.wake() level info }");
    b.appears(1, None, Some(2)).appears(2, None, Some(2)).stands(2, 0.5, 0.0, 0.0, None);
    assert_eq!(b.took(), NOTHING);
    b.stands(2, 9.0, 0.0, 0.0, None).stands(2, 0.5, 0.0, 0.0, None);
    assert_eq!(b.took(), ["0 near: lobby-display.wake()"]);
}

const WAVE: &str = "rule wave-at-wall {
  for each wall w where w.display
  when p facing w (15 deg) for 300 ms then p waves within 1.5 s
  if confidence(p) >= 0.95
  do w.display.wake(for: p) deadline 10 ms suppress 3 s per p level user
}";

fn waves(b: &mut Bench, track: u64) {
    probably_waves(b, track, 1.0);
}

fn probably_waves(b: &mut Bench, track: u64, track_p: f64) {
    b.reads(5, Reading::Gesture { gesture: name("wave"), track: Some(TrackId(track)), track_p });
}

#[test]
fn who_probably_waved_is_known_no_better_than_that() {
    let mut b = Bench::new(
        "rule opens { when p waves if p in members(project-x) and confidence(p) >= 0.6 do lobby-display.wake() level user }
         rule sure { when p waves if p in members(project-x) and confidence(p) >= 0.9 do m7.light.on() level user }
         rule refused { when p waves if not (p in members(project-x) and confidence(p) >= 0.9) do m9.light.on()
           level security }",
    );
    b.appears(1, Some(0), Some(2)).at(1.0);
    probably_waves(&mut b, 1, 0.97);
    assert_eq!(b.took(), ["1 opens: lobby-display.wake()", "1 sure: m7.light.on()"]);
    b.at(2.0);
    probably_waves(&mut b, 1, 0.85);
    assert_eq!(b.took(), ["2 opens: lobby-display.wake()", "2 refused: m9.light.on()"]);
    // Of two as likely no member is known to have waved, whatever a rule asks for: its own 0.8 is not reached either.
    b.at(3.0);
    probably_waves(&mut b, 1, 0.5);
    assert_eq!(b.took(), ["3 refused: m9.light.on()"]);
}

#[test]
fn a_wave_counts_from_who_has_faced_the_wall() {
    let mut b = Bench::new(WAVE);
    b.appears(1, Some(0), Some(2)).stands(1, 2.0, 5.0, 0.0, Some(-90.0)).at(1.0);
    waves(&mut b, 1);
    assert_eq!(b.took(), NOTHING, "his back is to it");
    b.stands(1, 2.0, 5.0, 0.0, Some(90.0)).at(1.2);
    waves(&mut b, 1);
    assert_eq!(b.took(), NOTHING, "not for 300 ms");
    b.at(2.0);
    waves(&mut b, 1);
    assert_eq!(b.took(), ["2 wave-at-wall: wall-display.wake(for: ana)"]);
    b.at(3.0);
    waves(&mut b, 1);
    assert_eq!(b.took(), NOTHING, "suppressed for three seconds");
    // He turned away, and waves in time; and too late.
    b.at(10.0).stands(1, 2.0, 5.0, 0.0, Some(0.0)).at(11.4);
    waves(&mut b, 1);
    assert_eq!(b.took(), ["11.4 wave-at-wall: wall-display.wake(for: ana)"]);
    b.stands(1, 2.0, 5.0, 0.0, Some(90.0)).at(20.0).stands(1, 2.0, 5.0, 0.0, Some(0.0)).at(21.6);
    waves(&mut b, 1);
    assert_eq!(b.took(), NOTHING);
    // Another's wave is not his, and who is not known well enough may not.
    b.stands(1, 2.0, 5.0, 0.0, Some(90.0)).at(30.0).appears(2, Some(1), Some(2));
    waves(&mut b, 2);
    b.is_identified(1, Some(0), 0.9);
    waves(&mut b, 1);
    assert_eq!(b.took(), NOTHING);
}

#[test]
fn near_speed_sight_and_approach() {
    let mut b = Bench::new(
        "rule near { when p near lobby-wall (2 m) do lobby-display.wake() level info }
         rule slow { when p in lobby and speed(p) < 0.2 m/s for 5 s do lobby-display.blank() level info }
         rule comes { when p approaches lobby-wall (1 m/s) do m7.light.on() level info }
         rule line { when p crosses lobby-wall do m9.light.on() level info }",
    );
    b.appears(1, None, None).stands(1, 2.0, 0.0, 1.5, None).goes(1, Some(2)).at(1.0);
    b.stands(1, 2.0, 9.0, 0.1, None);
    assert_eq!(b.took(), ["1 near: lobby-display.wake()"]);
    b.at(5.0).stands(1, 2.0, 9.0, 0.5, None).at(6.0).stands(1, 2.0, 9.0, 0.1, None).at(12.0);
    assert_eq!(b.took(), ["11 slow: lobby-display.blank()"]);
    b.world.people.get_mut(&1).expect("he is there").velocity_mps = [0.0, 1.2];
    b.step(&[Stimulus::Moved(TrackId(1))]);
    assert_eq!(b.took(), ["12 comes: m7.light.on()"]);
    b.at(13.0).stands(1, 2.0, 11.0, 0.0, None);
    assert_eq!(b.took(), ["13 line: m9.light.on()"]);
}

#[test]
fn how_uncertain_a_place_is() {
    let mut b = Bench::new("rule here { when p enters lobby if spread(p) < 0.3 m do lobby-display.wake() level info }");
    // The bench's people are known to the root of 0.1 m²; a beacon's word is worth less than a camera's.
    b.appears(1, None, None).goes(1, Some(2));
    assert_eq!(b.took(), NOTHING, "0.32 m is too much");
    b.goes(1, None);
    b.world.people.get_mut(&1).expect("he is there").covariance_m2 = [0.04, 0.0, 0.01];
    b.at(1.0).goes(1, Some(2));
    assert_eq!(b.took(), ["1 here: lobby-display.wake()"]);
}

// ---- sequences ----

#[test]
fn a_sequence_of_zones_by_the_same_person() {
    let mut b =
        Bench::new("rule x { when p leaves lobby then p enters m7 within 8 s do lobby-display.wake() level info }");
    b.appears(1, None, Some(2)).appears(2, None, Some(2)).goes(1, None).at(2.0).goes(2, None).at(8.0).goes(1, Some(0));
    assert_eq!(b.took(), ["8 x: lobby-display.wake()"]);
    b.at(10.5).goes(2, Some(0));
    assert_eq!(b.took(), NOTHING, "half a second too late");
    // Straight from one to the other, in one step; and again only after another leave.
    b.goes(2, Some(2)).goes(2, Some(0));
    assert_eq!(b.took(), ["10.5 x: lobby-display.wake()"]);
    b.goes(2, None).goes(2, Some(0));
    assert_eq!(b.took(), NOTHING);
    // The track breaks in between, and the same person is found on another.
    let mut b =
        Bench::new("rule x { when p leaves lobby then p enters m7 within 8 s do lobby-display.wake() level info }");
    b.appears(1, Some(0), Some(2)).goes(1, None).at(1.0).is_lost(1).appears(9, None, None);
    b.is_identified(9, Some(0), 0.99).at(3.0).goes(9, Some(0));
    assert_eq!(b.took(), ["3 x: lobby-display.wake()"]);
}

#[test]
fn a_sequence_survives_a_restart() {
    let mut b =
        Bench::new("rule x { when p leaves lobby then p enters m7 within 8 s do lobby-display.wake() level info }");
    b.appears(1, None, Some(2)).goes(1, None).at(2.0).restarts().goes(1, Some(0));
    assert_eq!(b.took(), ["2 x: lobby-display.wake()"]);
}

#[test]
fn what_does_not_happen_in_time_is_noticed() {
    let text =
        "rule lost { when p enters lobby then not p enters m7 within 60 s do notify(cleo, \"help {p}\") level info }";
    let mut b = Bench::new(text);
    b.appears(1, Some(0), None).goes(1, Some(2)).at(30.0).goes(1, Some(0)).at(200.0);
    assert_eq!(b.took(), NOTHING, "he came");
    b.goes(1, Some(2)).at(210.0).goes(1, None).at(230.0).goes(1, Some(2)).at(400.0);
    assert_eq!(b.took(), ["260 lost: messages.send(text: \"help ana\", to: cleo)"]);
    b.at(1000.0);
    assert_eq!(b.took(), NOTHING, "once for one beginning");
}

#[test]
fn repetition_counts_what_happens() {
    let mut b =
        Bench::new("rule knock { when desk presses call 3 times within 10 s do lobby-display.wake() level info }");
    let press = |b: &mut Bench, t: f64, button: &str| {
        b.at(t).reads(8, Reading::Button(name(button)));
    };
    for (t, button) in [(1.0, "call"), (5.0, "call"), (6.0, "other"), (11.0, "call")] {
        press(&mut b, t, button);
    }
    assert_eq!(b.took(), ["11 knock: lobby-display.wake()"]);
    // Counting begins anew; the same sensor coming back to life says nothing.
    for t in [12.0, 13.0] {
        press(&mut b, t, "call");
    }
    b.at(14.0).step(&[Stimulus::Sensor(SensorId(8))]);
    press(&mut b, 24.0, "call");
    assert_eq!(b.took(), NOTHING);
    press(&mut b, 25.0, "call");
    press(&mut b, 26.0, "call");
    assert_eq!(b.took(), ["26 knock: lobby-display.wake()"]);
}

#[test]
fn it_happened_lately_is_a_state() {
    let mut b = Bench::new(
        "rule back { when p enters lobby if not (p leaves lobby within 3 s) do lobby-display.wake() level info }
         rule shine { while fire-panel is active or (desk presses light within 30 s) hold m7.light.level = 50 % level info }",
    );
    b.appears(1, None, None).goes(1, Some(2));
    assert_eq!(b.took(), ["0 back: lobby-display.wake()"]);
    b.at(10.0).goes(1, None).at(12.0).goes(1, Some(2)).goes(1, None).at(16.0).goes(1, Some(2));
    assert_eq!(b.took(), ["16 back: lobby-display.wake()"]);
    b.reads(8, Reading::Button(name("light"))).at(40.0).reads(8, Reading::Button(name("light"))).at(100.0);
    assert_eq!(b.took(), ["16 shine: hold m7.light.level = 50", "70.000000001 release 0"]);
}

// ---- steps ----

#[test]
fn a_run_waits_and_is_ended_or_begun_anew() {
    let text =
        "rule porch { when p enters lobby do m7.light.on(); wait 30 s unless p in m7; m7.light.off() level info }";
    let mut b = Bench::new(text);
    b.appears(1, None, None).goes(1, Some(2)).at(20.0).restarts().at(40.0);
    assert_eq!(b.took(), ["0 porch: m7.light.on()", "30 porch: m7.light.off()"], "over a restart");
    b.goes(1, Some(0)).at(50.0).goes(1, Some(2)).at(60.0).goes(1, Some(0)).at(200.0);
    assert_eq!(b.took(), ["50 porch: m7.light.on()"], "he went where the wait ends");
    // Two runs of one rule cannot race: the second takes the first one's place.
    b.goes(1, Some(2)).at(210.0).goes(1, None).at(220.0).goes(1, Some(2)).at(300.0);
    assert_eq!(b.took(), ["200 porch: m7.light.on()", "220 porch: m7.light.on()", "250 porch: m7.light.off()"]);
    // Another person's run is his own.
    b.appears(2, None, None).goes(1, None).goes(1, Some(2)).at(310.0).goes(2, Some(2)).at(400.0);
    assert_eq!(b.took().len(), 4);
}

#[test]
fn a_question_is_answered_or_not() {
    let text = "rule ask { when p enters lobby do ask ana \"Let {p} in?\" answered within 60 s else { m9.light.off(); \
                m7.light.off() }; m7.light.on() level info }";
    let mut b = Bench::new(text);
    b.appears(1, Some(1), None).goes(1, Some(2));
    assert_eq!(b.took(), ["0 ask: messages.send(ask: 1, text: \"Let ben in?\", to: ana)"]);
    b.at(5.0).reports(10, "answer", Value::Text("7 yes".try_into().expect("short")));
    assert_eq!(b.took(), NOTHING, "the answer to another question");
    b.reports(10, "answer", Value::Text("1 yes".try_into().expect("short"))).at(100.0);
    assert_eq!(b.took(), ["5 ask: m7.light.on()"]);
    b.goes(1, None).goes(1, Some(2)).at(110.0).reports(10, "answer", Value::Text("2 no".try_into().expect("short")));
    assert_eq!(b.took()[1..], ["110 ask: m9.light.off()", "110 ask: m7.light.off()"]);
    b.goes(1, None).goes(1, Some(2)).restarts().at(300.0);
    assert_eq!(b.took()[1..], ["170 ask: m9.light.off()", "170 ask: m7.light.off()"]);
}

// ---- modes and counters ----

#[test]
fn modes_are_set_by_rules_and_kept_per_zone() {
    let mut b = Bench::new(
        "mode house { home default, away }
         mode guest per zone { off default, on }
         rule leave { when desk presses away do house = away level user }
         rule dark { while house is away hold m7.light.level = 1 % level comfort }
         rule party { for each room r when p enters r do r.guest = on level user }
         rule quiet { for each room r while r.guest is on hold r.lights.level = 70 % level info }",
    );
    b.reads(8, Reading::Button(name("away")));
    assert_eq!(b.took(), ["0 dark: hold m7.light.level = 1"], "in the same step");
    b.appears(1, None, None).goes(1, Some(1));
    assert_eq!(b.took(), ["0 quiet: hold m9.light.level = 70"]);
    b.operator(OperatorAction::Mode { mode: name("guest.m9"), value: name("off") });
    assert_eq!(b.took(), ["0 release 2"]);
    b.operator(OperatorAction::Mode { mode: name("house"), value: name("home") });
    assert_eq!(b.took(), ["0 release 0"]);
}

#[test]
fn counters_count_and_what_ends_by_itself_ends() {
    let mut b = Bench::new(
        "counter visits per zone since day
         counter credit within 8 s
         rule count { for each room r when p enters r do r.visits.add() level info }
         rule busy { when m7.visits >= 2 do notify(cleo, \"{m7.visits} came\") level info }
         rule read { when reader reads known do credit.add() level info }
         rule pass { when gate crosses in if credit < 1 do lobby-display.wake() level info }
         rule spent { when gate crosses in if credit >= 1 do credit.take() level info }",
    );
    b.clock(9.0).appears(1, None, None);
    b.goes(1, Some(0)).goes(1, None).goes(1, Some(0));
    assert_eq!(b.took(), ["0 busy: messages.send(text: \"2 came\", to: cleo)"]);
    // A new day begins anew.
    b.at(16.0 * 3600.0).goes(1, None).goes(1, Some(0)).goes(1, None);
    assert_eq!(b.took(), NOTHING);
    b.goes(1, Some(0));
    assert_eq!(b.took().len(), 1);
    let badge = |person| Reading::Badge { badge: CarriedKey(7), person };
    b.reads(6, badge(Some(PersonId(0)))).at(57_605.0).reads(7, Reading::Crossing(Direction::In));
    assert_eq!(b.took(), NOTHING);
    b.reads(7, Reading::Crossing(Direction::In));
    assert_eq!(b.took(), ["57605 pass: lobby-display.wake()"], "one read, two crossings");
    b.reads(6, badge(Some(PersonId(0)))).at(57_613.0).reads(7, Reading::Crossing(Direction::In));
    b.reads(6, badge(None)).reads(7, Reading::Crossing(Direction::Out)).reads(7, Reading::Crossing(Direction::In));
    assert_eq!(b.took().len(), 2, "the credit expired, and nobody's badge is none");
}

// ---- time ----

#[test]
fn a_schedule_runs_once_a_day_on_its_days() {
    // Day 0 was a Thursday: days 2 and 3 are a weekend.
    let mut b = Bench::new("rule up { when time is 07:00 and day is weekday do m7.light.on() level info }");
    b.clock(6.0).at(6.0 * 86_400.0);
    let took: Vec<String> = [3600.0, 90_000.0, 4.0 * 86_400.0 + 3600.0, 5.0 * 86_400.0 + 3600.0]
        .map(|t: f64| format!("{t} up: m7.light.on()"))
        .to_vec();
    assert_eq!(b.took(), took);
    // The clock becomes known behind the time, within the minute: that is no schedule reached.
    let mut b = Bench::new("rule up { when time is 07:00 do m7.light.on() level info }");
    b.clock(7.005).at(100.0);
    assert_eq!(b.took(), NOTHING);
    // Set back over it, it does not run twice.
    let mut b = Bench::new("rule up { when time is 07:00 do m7.light.on() level info }");
    b.clock(6.999).at(120.0).clock(6.999).at(200.0);
    assert_eq!(b.took(), ["4 up: m7.light.on()"]);
}

#[test]
fn a_schedule_missed_while_down_runs_late_where_it_says_so() {
    let text = "rule up { when time is 07:00 do m7.light.on() catch up within 1 h level info }";
    for (back_h, plain, caught) in [(7.5, 0, 1), (8.1, 0, 0)] {
        for (text, wanted) in [(text.to_owned(), caught), (text.replace("catch up within 1 h ", ""), plain)] {
            let mut b = Bench::new(&text);
            b.clock(6.9).at(60.0);
            // Down from 06:55 on; the journal says so when it is back.
            b.world.now = ((back_h - 6.9) * 3600.0) as i64 * 1_000_000_000;
            let gap = osmose_model::time::DurationNs(b.world.now - 60_000_000_000);
            b.restarts().step(&[Stimulus::Gap(gap)]).at(20_000.0);
            assert_eq!(b.took().len(), wanted, "back at {back_h}, {text}");
        }
    }
}

#[test]
fn the_sun_over_the_site_switches() {
    // Day 0 is 1970-01-01: in Cambridge the sun rises about 08:07 and sets about 15:57 UTC.
    let mut b = Bench::new(
        "rule dusk { while time in sunset - 30 min..23:00 hold m7.light.level = 40 % level info }
         rule night { while sun is down hold m9.light.level = 5 % level info }",
    );
    assert_eq!(b.took(), NOTHING, "without a clock nothing is known");
    b.clock(6.0);
    assert_eq!(b.took(), ["0 night: hold m9.light.level = 5"]);
    b.at(18.0 * 3600.0);
    let took = b.took();
    let at = |line: &str| line.split(' ').next().and_then(|t| t.parse::<f64>().ok()).expect("a time") / 3600.0 + 6.0;
    assert_eq!(took.len(), 4, "{took:?}");
    assert!((at(&took[0]) - 8.12).abs() < 0.1 && took[0].ends_with("release 1"), "{took:?}");
    assert!((at(&took[1]) - 15.45).abs() < 0.1 && took[1].contains("dusk"), "{took:?}");
    assert!((at(&took[2]) - 15.95).abs() < 0.1 && took[2].contains("night"), "{took:?}");
    assert!((at(&took[3]) - 23.0).abs() < 1e-6 && took[3].ends_with("release 0"), "{took:?}");
}

#[test]
fn each_booking_counts_from_its_own_beginning() {
    let mut b = Bench::new(
        "rule free { for each room r where r.bookable when r.booking is started for 10 min and nobody in r for 10 min \
         do ask r.booking.organiser \"Still coming?\" answered within 3 min else { r.booking.release(); r.lights.off() } \
         level comfort }
         rule on { while m7.booking is started hold m9.light.level = 3 % level info }",
    );
    b.reads(1, Reading::Switch(false)).clock(9.8).at(1000.0);
    assert_eq!(b.took(), ["720 on: hold m9.light.level = 3"]);
    b.at(2000.0);
    assert_eq!(
        b.took(),
        [
            "1320 free: messages.send(ask: 1, text: Still coming?, to: ana)",
            "1500 free: m7.light.off()",
            "1500 release 0"
        ],
        "asked, not answered, released"
    );
    // The next one begins at eleven and is asked about ten minutes later.
    b.at(5000.0);
    assert_eq!(
        b.took(),
        ["4320 on: hold m9.light.level = 3", "4920 free: messages.send(ask: 2, text: Still coming?, to: ana)"]
    );
    b.reports(10, "answer", Value::Text("2 yes".try_into().expect("short"))).at(9000.0);
    assert_eq!(b.took(), ["7920 release 0"], "it ends at noon");
}

// ---- counts and windows ----

#[test]
fn a_count_of_some_remembers_of_each() {
    let mut b = Bench::new(
        "rule queue { while count(q in lobby where speed(q) < 0.5 m/s for 10 s and not (q is identified and q in members(staff))) > 1 \
         for 20 s hold m7.light.level = 9 % level info }",
    );
    for (track, person) in [(1, None), (2, None), (3, Some(2))] {
        b.appears(track, person, Some(2)).stands(track, 1.0, 1.0, 0.1, None);
    }
    b.at(29.0);
    assert_eq!(b.took(), NOTHING);
    // One walks for a moment: he joins the queue anew.
    b.stands(2, 1.0, 1.0, 1.0, None).at(30.0).stands(2, 1.0, 1.0, 0.1, None).at(100.0);
    assert_eq!(b.took(), ["60 queue: hold m7.light.level = 9"], "cleo is staff; he who walked queued anew");
}

#[test]
fn windows_say_how_a_number_went() {
    let mut b = Bench::new(
        "rule dim { while mean(lux-1, 60 s) < 50 lx hold m7.light.level = 80 % level info }
         rule jump { when rate(lux-1, 60 s) > 100 lx do lobby-display.wake() level info }",
    );
    b.reads(3, Reading::Quantity(40.0)).at(20.0);
    assert_eq!(b.took(), NOTHING, "less than half of it is known");
    b.at(65.0);
    assert_eq!(b.took(), ["30 dim: hold m7.light.level = 80"]);
    // A cloud of a few seconds does not move a minute's mean; what stays does.
    b.reads(3, Reading::Quantity(80.0)).at(68.0).reads(3, Reading::Quantity(40.0)).at(120.0);
    assert_eq!(b.took(), NOTHING);
    b.reads(3, Reading::Quantity(400.0)).at(200.0);
    let took = b.took();
    assert_eq!(took[0], "120 jump: lobby-display.wake()");
    assert!(took[1].ends_with("release 0") && took.len() == 2, "{took:?}");
}

// ---- values that move ----

#[test]
fn a_fade_goes_in_steps_and_over_a_restart() {
    let mut b = Bench::new("rule f { while m7 is occupied hold m7.light.level = 50 % over 2 s level info }");
    b.reports(2, "level", Value::Number(10.0)).appears(1, None, None).goes(1, Some(0)).at(1.0);
    let took = b.took();
    assert_eq!(took[0], "0 f: hold m7.light.level = 10");
    assert_eq!(took.last().map(String::as_str), Some("1 f: hold m7.light.level = 30"));
    assert_eq!(took.len(), 11);
    b.restarts().at(10.0);
    let took = b.took();
    assert_eq!((took.len(), took.last().map(String::as_str)), (10, Some("2 f: hold m7.light.level = 50")));
}

#[test]
fn a_value_follows_slowly_and_not_for_little() {
    let mut b = Bench::new(
        "rule s { while m7 is occupied hold m7.light.level = lux-1 / 10 lx * 1 % every 10 s step 20 % band 3 % level info }",
    );
    b.reads(3, Reading::Quantity(100.0)).appears(1, None, None).goes(1, Some(0));
    assert_eq!(b.took(), ["0 s: hold m7.light.level = 10"]);
    b.at(15.0).reads(3, Reading::Quantity(120.0)).at(16.0);
    assert_eq!(b.took(), NOTHING, "two per cent are within the band");
    b.reads(3, Reading::Quantity(600.0)).at(100.0);
    assert_eq!(
        b.took(),
        ["16 s: hold m7.light.level = 30", "26 s: hold m7.light.level = 50", "36 s: hold m7.light.level = 60"]
    );
}

// ---- policies and templates ----

#[test]
fn a_policy_holds_whoever_sends_the_command() {
    let text = "policy private-audio {
           guard audio.play(content, beam) where content.private
           allow if beam.aimed-at == content.owner and distance(beam.focus, content.owner) < 0.5 m
             and confidence(content.owner) >= 0.95
           else drop and tell content.owner
         }
         rule play { when desk presses play
           do lobby.speaker.play(private: true, owner: ana, aimed-at: ana, cell: \"desk-1\") level user }
         rule loud { when desk presses loud do lobby.speaker.play(title: \"news\") level user }";
    let mut b = Bench::new(text);
    b.appears(1, Some(0), Some(2)).stands(1, 4.0, 1.0, 0.0, None).reads(8, Reading::Button(name("play")));
    assert_eq!(b.took(), ["0 play: messages.send(text: \"private-audio refused lobby.speaker\", to: ana)"]);
    b.stands(1, 1.2, 1.0, 0.0, None).reads(8, Reading::Button(name("play")));
    assert_eq!(b.took(), ["0 play: lobby.speaker.play(aimed-at: ana, cell: desk-1, owner: ana, private: Bool(true))"]);
    // In doubt about who he is it stays silent; what is not private is not asked about.
    b.is_identified(1, Some(0), 0.9).reads(8, Reading::Button(name("play"))).reads(8, Reading::Button(name("loud")));
    let took = b.took();
    assert!(took[0].contains("refused") && took[1].contains("title: news"), "{took:?}");
}

#[test]
fn a_template_is_a_rule_for_every_use() {
    let text = "template motion-light(r: room, lux: number, delay: duration = 5 min) {
           while r is occupied if r.lux < lux hold r.lights.level = 80 % release after delay level comfort
         }
         use motion-light(r: m7, lux: 50 lx, delay: 10 s) as m7-light";
    let mut b = Bench::new(text);
    b.reads(9, Reading::Quantity(20.0)).appears(1, None, None).goes(1, Some(0)).at(5.0).goes(1, None).at(60.0);
    assert_eq!(b.took(), ["0 m7-light: hold m7.light.level = 80", "15 release 0"]);
    let said = said(
        "template t(r: room, d: duration) { when r is occupied for d do r.lights.on() }
use t(r: lobby, d: 5 s)
use t(r: m7)
use t(r: m7, d: 5 lx)
use u(r: m7)",
    );
    for part in
        ["`lobby` is no room", "parameter `d` is not given", "found an illuminance (lx)", "no template is called `u`"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn nothing_is_known_of_the_sun_without_a_place_and_so_on() {
    for (text, part) in [
        ("rule a { when a enters m7 and b enters m7 and c enters m7 do m7.light.on() }", "a third person"),
        ("rule a { when a in m7 and b in m7 do m7.light.on() }", "does not say how near the two are"),
        ("rule a { when p in lobby then not p in m7 do m7.light.on() }", "for how long"),
        ("rule a { when p leaves lobby then p enters m7 within 3 s or fire-panel is active do m7.light.on() }", "x"),
        ("rule a { when desk presses x or fire-panel is active do m7.light.on() }", "without anything happening"),
        ("rule a { when m7 is occupied do m7.light.on() once per 1 h per pair }", "needs two persons"),
        ("rule a { when m7 is occupied do m7.light.on() for 5 min }", "stands behind what has held so long"),
        ("rule a { while m7 is occupied hold m7.light.level = 5 % step 3 lx }", "found an illuminance"),
        ("rule a { while m7 is occupied hold m7.light.state = on over 2 s }", "changes at once"),
        ("rule a { when time is noon do m7.light.on() }", "time of day"),
        ("counter c per zone rule a { when m7.c > 3 do m7.light.on() }", ""),
        ("rule a { when distance(p, m7) < 3 s do m7.light.on() }", "expected a length"),
        ("combine light.colour = biggest", "way to combine"),
        (
            "rule a { when p enters m7 do m7.light.on() } rule b { when p enters m7 do m7.light.off() } rule a over b rule b over a",
            "over itself",
        ),
    ] {
        let said = said(text);
        assert!(part == "x" || said.contains(part), "{text}: {said}");
    }
}

#[test]
fn a_gap_forgets_nothing_that_is_state_and_starts_nothing() {
    // A sensor that comes back from an outage fires nothing, whatever it says.
    let mut b = Bench::new("rule x { when m7 is occupied do m7.light.on() level info }");
    b.reads(1, Reading::Switch(false)).dies(1);
    b.world.sensors[1].reading = Some(Reading::Switch(true));
    b.world.alive[1] = Tri::True;
    b.at(5.0).step(&[Stimulus::Sensor(SensorId(1))]);
    assert_eq!(b.took(), NOTHING);
    b.tell(EventKind::Found, 77, None);
    assert_eq!(b.took(), NOTHING, "an event of nobody known does nothing");
}

// ---- how long ----

#[test]
fn how_long_somebody_waited_is_told_when_he_is_served() {
    let text = "rule served { when p enters m7 if lasting(p enters lobby until (p enters m7)) > 1 s
                do notify(cleo, \"{p} waited {lasting(p enters lobby until (p enters m7))} s\") level info }";
    let mut b = Bench::new(text);
    b.appears(1, Some(0), None).at(10.0).goes(1, Some(2)).at(30.0).is_lost(1).restarts().at(40.0).is_found(1);
    b.at(70.0).goes(1, None).at(75.5).goes(1, Some(0));
    assert_eq!(b.took(), ["75.5 served: messages.send(text: \"ana waited 65.5 s\", to: cleo)"]);
    // Who did not queue did not wait; who queues again waits anew; and the track breaks on the way.
    b.at(80.0).goes(1, None).goes(1, Some(0));
    assert_eq!(b.took(), NOTHING);
    b.goes(1, None).at(100.0).goes(1, Some(2)).at(110.0).is_lost(1).appears(9, None, None);
    b.is_identified(9, Some(0), 0.99).at(130.0).goes(9, Some(0));
    assert_eq!(b.took(), ["130 served: messages.send(text: \"ana waited 30 s\", to: cleo)"]);
}

#[test]
fn a_length_of_time_is_no_condition_and_a_state_only_lasts() {
    for (text, part) in [
        ("rule a { when lasting(m7 is occupied) > 5 s do m7.light.on() }", "COND for 5 min"),
        ("rule a { when p enters m7 do notify(cleo, \"{lasting(p enters m7)}\") }", "it is true for an instant only"),
        ("rule a { when p enters m7 if lasting(m7 is occupied) > 5 lx do m7.light.on() }", "found an illuminance"),
    ] {
        let said = said(text);
        assert!(said.contains(part), "{text}: {said}");
    }
    // Of the room itself, in a value that is held.
    let mut b = Bench::new(
        "rule a { while m7 is occupied hold m7.light.level = lasting(m7 is occupied) / 1 s * 1 % every 10 s level info }",
    );
    b.appears(1, None, None).goes(1, Some(0));
    assert_eq!(b.took(), ["0 a: hold m7.light.level = 0"]);
}
