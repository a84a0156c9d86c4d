//! The six automations that integrators write every week (AUTOMATIONS.md), each with its edge cases.

mod common;

use common::{Bench, name, site};
use osmose_model::command::Value;
use osmose_model::ids::{CarriedKey, PersonId};
use osmose_model::input::OperatorAction;
use osmose_model::observation::Direction;
use osmose_model::site::{Booking, Site};
use osmose_model::time::{DurationNs, UtcNs};
use osmose_model::world::{Reading, Stimulus, WallTime};

const NOTHING: [&str; 0] = [];

// ---- 1: motion light with lux and night mode ----

/// Two seconds of presence keep the passer-by out, and they must follow a room that was known to be empty: a sensor back
/// from an outage is no entry. `if` asks for the lux at switch-on only; the warning is a second rule that begins where
/// the first lets go, so the lamp goes from 80 % to 20 % without going off between.
const MOTION_LIGHT: &str = "
mode house { day default, night }
rule light {
  while (m7 is empty then m7 is occupied for 2 s within 3 s) until (m7 is empty)
  if m7.lux < 50 lx or m7.lux is unknown and sun is down
  hold m7.light.level = if house is night then 5 % else 80 % over 1 s
  release after 5 min level comfort
}
rule warn {
  while m7 is empty for 5 min and not (m7 is empty for 330 s) and house is day
  if m7.light.level > 5 %
  hold m7.light.level = 20 % level comfort
}
rule light over warn
manual m7.light until vacant 2 min
";

fn room() -> Bench {
    let mut b = Bench::new(MOTION_LIGHT);
    b.reads(1, Reading::Switch(false)).reads(9, Reading::Quantity(20.0)).appears(1, None, None).appears(2, None, None);
    b.reports(2, "level", Value::Number(80.0)).clock(20.0).at(1.0);
    b.took();
    b
}

#[test]
fn the_motion_light_comes_warns_and_goes() {
    let mut b = room();
    b.goes(1, Some(0)).at(2.0).goes(1, None).at(10.0);
    assert_eq!(b.took(), NOTHING, "a passer-by at the open door");
    b.goes(1, Some(0)).at(13.0);
    assert_eq!(b.took(), ["12 light: hold m7.light.level = 80"]);
    // The lamp's own light does not switch it off; a still reader is kept by another sensor than the motion detector.
    b.reads(9, Reading::Quantity(400.0)).reads(1, Reading::Switch(false)).at(1000.0);
    assert_eq!(b.took(), NOTHING);
    // One leaves as another enters: no blink.
    b.goes(2, Some(0)).goes(1, None).at(1100.0);
    assert_eq!(b.took(), NOTHING);
    b.goes(2, None).at(2000.0);
    assert_eq!(b.took(), ["1400 release 0", "1400 warn: hold m7.light.level = 20", "1430 release 1"]);
}

#[test]
fn the_motion_light_at_night_has_no_warning_and_fades_over() {
    let mut b = room();
    b.operator(OperatorAction::Mode { mode: name("house"), value: name("night") });
    b.goes(1, Some(0)).at(10.0);
    let took = b.took();
    assert_eq!(took.last().map(String::as_str), Some("4 light: hold m7.light.level = 5"), "{took:?}");
    // A change of mode in the middle of a visit fades.
    b.operator(OperatorAction::Mode { mode: name("house"), value: name("day") }).at(20.0);
    let took = b.took();
    assert_eq!(took.last().map(String::as_str), Some("11 light: hold m7.light.level = 80"));
    assert!(took.len() >= 5, "in steps: {took:?}");
    b.operator(OperatorAction::Mode { mode: name("house"), value: name("night") }).at(30.0);
    b.took();
    b.goes(1, None).at(1000.0);
    assert_eq!(b.took(), ["330 release 0"]);
}

#[test]
fn the_motion_light_by_lux_that_is_known_or_not() {
    let mut b = room();
    b.reads(9, Reading::Quantity(300.0)).goes(1, Some(0)).at(10.0);
    assert_eq!(b.took(), NOTHING, "it is bright");
    // Nobody knows how bright it is: dark after sunset, and only then.
    for (hour, lit) in [(20.0, true), (12.0, false)] {
        let mut b = room();
        b.clock(hour).dies(9).goes(1, Some(0)).at(10.0);
        assert_eq!(!b.took().is_empty(), lit, "at {hour}");
    }
}

#[test]
fn the_motion_light_over_outage_and_restart() {
    // A presence sensor back from an outage as "on" is no entry.
    let mut b = room();
    b.at(10.0).dies(1).at(15.0).reads(1, Reading::Switch(true)).at(100.0);
    assert_eq!(b.took(), NOTHING);
    b.reads(1, Reading::Switch(false)).at(110.0).reads(1, Reading::Switch(true)).at(120.0);
    assert_eq!(b.took(), ["112 light: hold m7.light.level = 80"], "this is one");
    let mut b = room();
    b.goes(1, Some(0)).at(20.0);
    b.took();
    // Restart with the room occupied, its state lost: the light is kept as found.
    let mut lost = Bench::asleep(MOTION_LIGHT);
    lost.appears(1, None, Some(0)).reads(9, Reading::Quantity(20.0)).step(&[Stimulus::Start]).at(60.0);
    assert_eq!(lost.took(), NOTHING);
    // With its state it goes on as if nothing had been.
    b.restarts().at(100.0).step(&[Stimulus::Start]).at(200.0);
    assert_eq!(b.took(), NOTHING);
    b.goes(1, None).at(350.0).restarts().at(2000.0);
    assert_eq!(b.took(), ["500 release 0", "500 warn: hold m7.light.level = 20", "530 release 1"]);
}

#[test]
fn what_a_hand_set_ends_when_the_room_was_empty() {
    let mut b = room();
    b.goes(1, Some(0)).at(10.0).reports(2, "manual", Value::Bool(true)).at(1000.0).goes(1, None).at(1100.0);
    b.took();
    b.goes(1, Some(0)).at(1150.0).goes(1, None).at(1400.0);
    let took = b.took();
    assert!(took.iter().any(|line| line == "1270 manual m7.light: m7.light.auto()"), "{took:?}");
}

// ---- 2: adaptive brightness ----

const ADAPTIVE: &str = "
rule follow-the-sun {
  while m7.light is on and not (m7.light is manual)
  hold m7.light.colour = if sun is unknown then 3500 K else min(max(2700 K + sun.elevation * 1 / 1 deg * 60 K, 2700 K), 5000 K)
    every 10 s step 50 K band 20 K
  level comfort
}";

#[test]
fn adaptive_brightness_never_turns_a_light_on_and_moves_slowly() {
    let text = ADAPTIVE.replace("if sun is unknown then", "if sun.elevation is unknown then");
    let mut b = Bench::new(&text);
    b.device(2, "off").at(100.0);
    assert_eq!(b.took(), NOTHING);
    b.device(2, "on").at(110.0);
    assert_eq!(b.took(), ["100 follow-the-sun: hold m7.light.colour = 3500"], "no valid clock");
    // The clock becomes known in the evening: down to 2,700 K in steps, one command in 10 s.
    b.clock(20.0).at(400.0);
    let took = b.took();
    assert_eq!(took.len(), 16, "{took:?}");
    assert_eq!(took[0], "110 follow-the-sun: hold m7.light.colour = 3450");
    assert_eq!(took[15], "260 follow-the-sun: hold m7.light.colour = 2700");
    // Set by hand it leaves the scheme, and comes back when it is let go.
    b.reports(2, "manual", Value::Bool(true)).at(500.0).reports(2, "manual", Value::Bool(false)).at(600.0);
    let took = b.took();
    assert_eq!(took[0], "400 release 0");
    assert!(took[1].starts_with("500 follow-the-sun: hold m7.light.colour = 2700"), "{took:?}");
    b.device(2, "off").at(700.0);
    assert_eq!(b.took(), ["600 release 0"]);
}

#[test]
fn adaptive_brightness_is_coldest_at_noon_in_summer() {
    let text = ADAPTIVE.replace("if sun is unknown then", "if sun.elevation is unknown then");
    let mut b = Bench::new(&text);
    // The 21st of June, 1970, at noon in Greenwich: 61 degrees over Cambridge.
    let utc = UtcNs(171 * 86_400_000_000_000 + 12 * 3_600_000_000_000);
    b.world.wall = Some(WallTime { utc, offset: DurationNs::ZERO });
    b.device(2, "on").at(600.0);
    let took = b.took();
    assert_eq!(took, ["0 follow-the-sun: hold m7.light.colour = 5000"]);
}

// ---- 3: guest mode ----

const GUESTS: &str = "
counter parties per zone
rule party { when desk presses guests do lobby.parties.add(for: 2 h) level user }
rule gone { when nobody in lobby for 30 min and lobby.parties > 0 do lobby.parties.reset(); notify(cleo, \"guests left\") level user }
rule over { when lobby.parties < 1 do notify(cleo, \"guest mode over\") level info }
rule quiet { while lobby.parties >= 1 hold lobby-display.page = \"welcome\" level info }
rule alarm { when p enters lobby if not (p is identified) and lobby.parties < 1 do notify(cleo, \"stranger\") level user }
policy consent { guard recorder.start() allow if ben.consents and nobody in m9 else drop }
rule start { when desk presses record do m7.recorder.start() level user }
";

#[test]
fn guest_mode_ends_with_the_last_party_and_widens_nothing() {
    let mut b = Bench::new(GUESTS);
    let press = |b: &mut Bench, what: &str| {
        b.reads(8, Reading::Button(name(what)));
    };
    b.appears(1, None, None).appears(2, Some(2), Some(2));
    b.goes(1, Some(2)).goes(1, None);
    assert_eq!(b.took(), ["0 alarm: messages.send(text: stranger, to: cleo)"]);
    press(&mut b, "guests");
    assert_eq!(b.took(), ["0 quiet: hold lobby-display.page = welcome"]);
    b.goes(1, Some(2)).goes(1, None).at(3600.0);
    assert_eq!(b.took(), NOTHING, "anonymous presence no longer alarms");
    // A second party an hour later; the mode and both expiries survive a restart.
    press(&mut b, "guests");
    b.restarts().at(7300.0);
    assert_eq!(b.took(), NOTHING, "the first party's time is up, the second's is not");
    // Down over the end: ended at the start, and said.
    b.world.now = 20_000_000_000_000;
    b.restarts().step(&[]);
    assert_eq!(b.took(), ["20000 over: messages.send(text: guest mode over, to: cleo)", "20000 release 0"]);
    // Never permits a recording without consent, whoever asks.
    b.reads(2, Reading::Switch(true));
    press(&mut b, "record");
    assert_eq!(b.took(), NOTHING);
    b.reads(2, Reading::Switch(false));
    press(&mut b, "record");
    assert_eq!(b.took(), ["20000 start: m7.recorder.start()"]);
}

#[test]
fn guest_mode_ends_when_the_guests_have_left() {
    let mut b = Bench::new(GUESTS);
    b.appears(1, None, None).goes(1, Some(2));
    b.took();
    b.reads(8, Reading::Button(name("guests"))).at(100.0).goes(1, None).at(3000.0);
    assert_eq!(
        b.took(),
        [
            "0 quiet: hold lobby-display.page = welcome",
            "1900 gone: messages.send(text: guests left, to: cleo)",
            "1900 over: messages.send(text: guest mode over, to: cleo)",
            "1900 release 0"
        ]
    );
}

// ---- 4: meeting-room no-show ----

const NO_SHOW: &str = "
rule no-show {
  for each room r where r.bookable
  when r.booking is started for 10 min and nobody in r for 15 min
  if all sensors of r are alive for 15 min and not (m7.recorder is recording)
  do ask r.booking.organiser \"Still coming?\" answered within 3 min else { r.booking.release(); r.lights.off() }
  level comfort
}";

#[test]
fn a_no_show_is_asked_about_and_then_let_go() {
    let asked = "no-show: messages.send(ask: 1, text: Still coming?, to: ana)";
    let silent = |b: &mut Bench| {
        b.device(0, "stopped").reads(1, Reading::Switch(false)).reads(9, Reading::Quantity(1.0)).clock(9.75);
    };
    let mut b = Bench::new(NO_SHOW);
    silent(&mut b);
    b.at(1600.0);
    assert_eq!(b.took(), [format!("1500 {asked}")], "ten minutes behind ten o'clock");
    b.restarts().at(1700.0);
    assert_eq!(b.took(), ["1680 no-show: m7.light.off()"]);
    // Somebody was there in the window; a swinging blind counts as somebody until it hangs still for long enough.
    let mut b = Bench::new(NO_SHOW);
    silent(&mut b);
    b.at(700.0).reads(1, Reading::Switch(true)).reads(1, Reading::Switch(false)).at(1599.0);
    assert_eq!(b.took(), NOTHING);
    b.at(1601.0);
    assert_eq!(b.took(), [format!("1600 {asked}")]);
    // A sensor that was dead in the window says nothing, and so nothing is done.
    let mut b = Bench::new(NO_SHOW);
    silent(&mut b);
    b.at(800.0).dies(9).at(810.0).reads(9, Reading::Quantity(1.0)).at(1690.0);
    assert_eq!(b.took(), NOTHING);
    // A running recording is never taken away.
    let mut b = Bench::new(NO_SHOW);
    silent(&mut b);
    b.device(0, "recording").at(3000.0);
    assert_eq!(b.took(), NOTHING);
    // A party that overstays keeps the room, and the one that follows is asked in its own time only.
    let mut b = Bench::new(NO_SHOW);
    silent(&mut b);
    b.appears(1, None, Some(0)).at(4600.0).goes(1, None).at(5200.0);
    assert_eq!(b.took(), NOTHING);
    b.at(5600.0);
    assert_eq!(b.took(), ["5500 no-show: messages.send(ask: 1, text: Still coming?, to: ana)"]);
    // A restart inside the window without what was recorded: skipped, not guessed.
    let mut b = Bench::asleep(NO_SHOW);
    b.step(&[Stimulus::Start]);
    silent(&mut b);
    b.clock(10.15).at(60.0);
    assert_eq!(b.took(), NOTHING);
}

#[test]
fn a_no_show_is_asked_about_at_the_time_to_which_the_booking_was_moved() {
    let asked = "no-show: messages.send(ask: 1, text: Still coming?, to: ana)";
    // m7 is booked by ana from a time on (hours of the day) to another, in this order.
    let booked = |of: &[(f64, f64)]| {
        let mut site = site();
        let like = site.bookings[0].clone();
        let utc = |hour: f64| UtcNs((hour * 3600e9) as i64);
        site.bookings =
            of.iter().map(|(from, to)| Booking { from: utc(*from), to: utc(*to), ..like.clone() }).collect();
        site
    };
    let silent = |site: Site| {
        let mut b = Bench::on(site, NO_SHOW);
        b.step(&[Stimulus::Start]);
        b.device(0, "stopped").reads(1, Reading::Switch(false)).reads(9, Reading::Quantity(1.0)).clock(9.75);
        b
    };
    // Ten o'clock is at 900 s. At five past, nobody being there, it is moved to half past.
    let mut b = silent(booked(&[(10.0, 11.0)]));
    b.at(1200.0).goes_on_in(booked(&[(10.5, 11.0)]), NO_SHOW).at(3299.0);
    assert_eq!(b.took(), NOTHING, "not at ten minutes past ten");
    b.at(3400.0);
    assert_eq!(b.took(), [format!("3300 {asked}")]);
    // Moved before, to a time that is ten minutes past already: asked at once.
    let mut b = silent(booked(&[(12.0, 13.0)]));
    b.at(1600.0).goes_on_in(booked(&[(10.0, 11.0)]), NO_SHOW);
    assert_eq!(b.took(), [format!("1600 {asked}")]);
    // Moved away after the question, and the room given to others: theirs is not let go.
    let mut b = silent(booked(&[(10.0, 11.0)]));
    b.at(1501.0);
    assert_eq!(b.took(), [format!("1500 {asked}")]);
    b.goes_on_in(booked(&[(10.2, 11.0), (14.0, 15.0)]), NO_SHOW).at(1800.0);
    assert_eq!(b.took(), NOTHING);
    b.at(2300.0);
    assert_eq!(b.took(), [format!("2220 {}", asked.replace('1', "2"))], "they are asked in their own time");
    // Neither is the next one, where the question's time ends inside of it.
    let mut b = silent(booked(&[(10.0, 10.2), (10.2, 11.0)]));
    b.at(2000.0);
    assert_eq!(b.took(), [format!("1500 {asked}")]);
}

// ---- 5: queue length ----

const QUEUE: &str = "
rule second-till {
  when count(q in lobby where speed(q) < 0.5 m/s for 10 s and not (q is identified and q in members(staff))) > 2 for 2 min
    until (count(q in lobby where speed(q) < 0.5 m/s for 10 s and not (q is identified and q in members(staff))) < 2 for 3 min)
  do notify(cleo, \"open a second till\") once per 10 min level info
}";

#[test]
fn a_long_queue_calls_for_help_once() {
    let mut b = Bench::new(QUEUE);
    for (track, person) in [(1, None), (2, None), (3, None), (9, Some(2))] {
        b.appears(track, person, Some(2)).stands(track, 1.0, 1.0, 0.1, None);
    }
    b.at(129.0);
    assert_eq!(b.took(), NOTHING);
    b.at(200.0);
    assert_eq!(b.took(), ["130 second-till: messages.send(text: open a second till, to: cleo)"]);
    // Between the two bounds nothing changes; half the area blind is a lower bound and no all-clear.
    b.goes(3, None).at(400.0).dies(4).goes(2, None).at(700.0);
    b.appears(5, None, Some(2)).appears(6, None, Some(2)).appears(7, None, Some(2)).at(1000.0);
    assert_eq!(b.took(), NOTHING, "it was never known to be short");
    // Seen again, and short for three minutes: it may call again.
    for track in [5, 6, 7] {
        b.goes(track, None);
    }
    b.reads(4, Reading::People(1)).at(1300.0);
    for track in [5, 6, 7] {
        b.goes(track, Some(2)).stands(track, 1.0, 1.0, 0.1, None);
    }
    b.at(1500.0);
    assert_eq!(b.took(), ["1430 second-till: messages.send(text: open a second till, to: cleo)"]);
}

#[test]
fn who_walks_through_a_queue_does_not_stand_in_it() {
    let mut b = Bench::new(QUEUE);
    for track in [1, 2] {
        b.appears(track, None, Some(2)).stands(track, 1.0, 1.0, 0.1, None);
    }
    // The third never stands still for ten seconds.
    b.appears(3, None, Some(2));
    for second in 0..60 {
        b.at(f64::from(second) * 5.0).stands(3, 1.0, 1.0, if second % 2 == 0 { 1.2 } else { 0.1 }, None);
    }
    assert_eq!(b.took(), NOTHING);
    b.stands(3, 1.0, 1.0, 0.1, None).at(295.0 + 131.0);
    assert_eq!(b.took(), ["425 second-till: messages.send(text: open a second till, to: cleo)"]);
}

// ---- 6: tailgating ----

/// Each known badge is a credit of 8 s; each crossing inwards takes one. One that finds none waits 400 ms, for a read
/// that comes late, and is then an alarm. Fire suspends the alarm; the counting goes on.
/// Rules act in the order of the file, and what one has counted the next one sees: so `follow` stands before `pass`.
const TAILGATE: &str = "
counter credit within 8 s
counter debt
rule read { when reader reads known if debt < 1 do credit.add() level security }
rule late { when reader reads known if debt >= 1 do debt.take() level security }
rule follow {
  when gate crosses in
  if credit < 1 and not (gate crosses out within 3 s)
  do debt.add(); wait 400 ms unless debt < 1; debt.take(); lobby-display.show(\"tone\"); notify(cleo, \"tailgating\")
  level security
}
rule pass { when gate crosses in if credit >= 1 do credit.take() level security }
interlock fire { while fire-panel is active hold lobby-display.page = \"evacuate\" forbid notify.send level life-safety }
";

#[test]
fn every_crossing_needs_its_own_badge() {
    let badge = |b: &mut Bench, t: f64| {
        b.at(t).reads(6, Reading::Badge { badge: CarriedKey(1), person: Some(PersonId(0)) });
    };
    let cross = |b: &mut Bench, t: f64, direction| {
        b.at(t).reads(7, Reading::Crossing(direction));
    };
    let alarms = |b: &mut Bench| b.took().iter().filter(|line| line.contains("tailgating")).count();
    let mut b = Bench::new(TAILGATE);
    // Two reads then two crossings; two crossings and one read; a read that expired.
    badge(&mut b, 1.0);
    badge(&mut b, 2.0);
    cross(&mut b, 3.0, Direction::In);
    cross(&mut b, 4.0, Direction::In);
    b.at(10.0);
    assert_eq!(alarms(&mut b), 0);
    badge(&mut b, 20.0);
    cross(&mut b, 21.0, Direction::In);
    cross(&mut b, 21.5, Direction::In);
    b.at(30.0);
    assert_eq!(alarms(&mut b), 1);
    badge(&mut b, 40.0);
    cross(&mut b, 48.5, Direction::In);
    b.at(50.0);
    assert_eq!(alarms(&mut b), 1, "read but nobody entered: the credit expired");
    // The read 300 ms behind the crossing.
    cross(&mut b, 60.0, Direction::In);
    badge(&mut b, 60.3);
    b.at(70.0);
    assert_eq!(alarms(&mut b), 0);
    cross(&mut b, 71.0, Direction::In);
    b.at(72.0);
    assert_eq!(alarms(&mut b), 1, "that read was the other's");
    // Out and in again within three seconds.
    cross(&mut b, 80.0, Direction::Out);
    cross(&mut b, 82.0, Direction::In);
    b.at(90.0);
    assert_eq!(alarms(&mut b), 0);
    // A restart between read and crossing: the credit survives.
    badge(&mut b, 100.0);
    b.restarts();
    cross(&mut b, 104.0, Direction::In);
    b.at(110.0);
    assert_eq!(alarms(&mut b), 0);
}
