//! The rules with which the language began (RULES.md), word for word, in a site that has what they speak of: they check
//! clean together, and each does what its sentence says at its edges.

mod common;

use common::{Bench, name, site, source};
use osmose_model::command::Value;
use osmose_model::device::{Actuator, ActuatorKind};
use osmose_model::ids::{ActuatorId, GroupId, TrackId, WallId, ZoneId};
use osmose_model::input::OperatorAction;
use osmose_model::site::{Site, Zone};
use osmose_model::world::{Reading, Stimulus};
use osmose_rules::check;
use osmose_rules::conflict::{self, Proven};

const NOTHING: [&str; 0] = [];

/// As RULES.md has them, `levels` and `defaults` first.
const RULES: &str = r#"edition 1
defaults { settle 0 ms }                    # bounds, margins and lost times come from site.toml
levels life-safety > security > privacy > user > comfort > info     # total order; an equal-level conflict is an error

rule pause-recording {                       # group membership, deadline, debounce override
  for each room r where r.recorder
  when any p in participants(r) leaves r
  if   r.recorder is recording
  do   r.recorder.pause(reason: "{p} left")
  deadline 1 ms else count                   # from the deciding sample's arrival to the command handed over
  settle 0 ms
  level privacy
}
rule light-on-entry {                        # a level rule: holds while true, releases by itself
  for each room r
  while r is occupied
  hold  r.lights.level = if time in 22:00..06:00 then 30 % else 80 %
  release after 5 min
  level comfort
}
rule long-look      { when p in exhibit-3 for 10 min   once per visit   do exhibit-3.display.show("longread", language: p.language)   level info }
rule wave-at-wall {                          # a sequence by the same person
  for each wall w where w.display
  when p facing w (15 deg) for 300 ms  then p waves within 1.5 s
  if   p in members(w.folder) and confidence(p) >= 0.95
  do   w.display.wake(for: p)
  deadline 10 ms   suppress 3 s per p   level user
}
rule contact-card {                          # a moving pair, with a band so that it does not flap
  when distance(a, b) < 1.2 m for 2 s  until (distance(a, b) > 1.5 m)
  if   a in lobby and b in lobby and a.consents and b.consents
  once per 1 h per pair   do notify(a, b, card)   level info
}
rule ventilate {
  for each room r
  while count(people in r) > 80 % of r.capacity for 30 s  until (count(people in r) < 60 % of r.capacity for 2 min)
  hold  r.hvac.airflow = boost   level comfort
}
rule free-the-room {                         # two silences; a dead sensor is not silence
  for each room r where r.bookable
  when no motion in r for 15 min and nobody in r for 15 min and r.booking is started for 15 min
  if   all sensors of r are alive for 15 min
  do   r.booking.release() ; r.lights.off()   level comfort
}
interlock fire {                             # outranks what is below its level for as long as it holds
  while fire-panel is active  until (reset by operator)  on unknown keep
  hold  all doors.lock = open, all lights.level = 100 %, all displays.page = "evacuate", all recorders.state = paused
  forbid recorder.start, recorder.resume, audio.play     # never the command that a device calls its safe one
  deadline 5 ms else fail-safe   level life-safety
}
policy private-audio {                       # a guard on a command, whoever sends it
  guard audio.play(content, beam) where content.private
  allow if beam.aimed-at == content.owner and distance(beam.focus, content.owner) < 0.5 m and confidence(content.owner) >= 0.95
  else  drop and tell content.owner
}
prove fire outranks *
prove never (m7.recorder is recording and nobody in m7) for 3 s
"#;

/// The tests' site, with an exhibit, air in both rooms, and the wall that shows project-x's folder.
fn building() -> Site {
    let mut site = site();
    let like = site.zones[2].clone();
    site.zones.push(Zone { id: ZoneId(4), name: "exhibit-3".into(), category: "exhibit".into(), ..like });
    let mut add = |device: &Actuator| {
        let id = ActuatorId(site.actuators.len() as u16);
        site.actuators.push(Actuator { id, ..device.clone() });
    };
    let (hvac, display) = (Actuator { zone: Some(ZoneId(1)), ..site_device(7) }, site_device(8));
    add(&Actuator { name: "m9.hvac".into(), ..hvac });
    add(&Actuator { name: "exhibit-3.display".into(), zone: Some(ZoneId(4)), ..display });
    assert_eq!(site.actuators[12].kind, ActuatorKind::Hvac);
    site.walls[WallId(0).index()].name = "specs".into();
    site.groups[GroupId(0).index()].folder = Some("specs".into());
    site
}

fn site_device(id: usize) -> Actuator {
    site().actuators[id].clone()
}

fn bench() -> Bench {
    let mut b = Bench::on(building(), RULES);
    b.reads(0, Reading::Switch(false)).step(&[Stimulus::Start]);
    b.took();
    b
}

/// What rules of this name did, of all that was done.
fn took(b: &mut Bench, rule: &str) -> Vec<String> {
    let own = format!(" {rule}: ");
    b.took().into_iter().filter(|line| line.contains(&own)).collect()
}

#[test]
fn they_check_clean_together_and_the_proof_holds() {
    let site = building();
    let files = source(RULES);
    let checked = check(&site, &files);
    let said: Vec<String> = checked.diagnostics.iter().map(|d| d.render(RULES, false)).collect();
    assert!(said.is_empty(), "{}", said.join("\n\n"));
    let program = checked.program.expect("no error");
    let found = conflict::find(&program, &site, &files);
    let errors: Vec<String> =
        found.diagnostics.iter().filter(|d| d.is_error()).map(|d| d.render(RULES, false)).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n\n"));
    let (proofs, _) = conflict::prove(&program, &site, &files);
    assert_eq!(proofs.len(), 2);
    assert_eq!(proofs[0].proven, Proven::Yes, "{}", proofs[0].why);
    // Whoever starts a recorder by hand in an empty room makes it false: that is for replays to see.
    assert_eq!(proofs[1].proven, Proven::Open, "{}", proofs[1].why);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may read the design that lies beside the checkout")]
fn they_are_the_designs_own() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/design/RULES.md");
    let Ok(design) = std::fs::read_to_string(path) else {
        println!("skipped: the design's RULES.md is not beside this checkout");
        return;
    };
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (design, mut rules) = (squeezed(&design), 0);
    for rule in RULES.split("\n}\n") {
        let body = squeezed(rule);
        assert!(design.contains(&body), "RULES.md says it otherwise: {rule}");
        rules += 1;
    }
    assert!(rules >= 9, "{rules}");
}

#[test]
fn a_long_look_counts_each_visit_and_speaks_the_visitors_language() {
    let mut b = bench();
    let shown = "long-look: exhibit-3.display.show(language: \"en\", page: longread)";
    b.appears(1, Some(0), None).goes(1, Some(4)).at(599.0);
    assert_eq!(took(&mut b, "long-look"), NOTHING);
    b.at(700.0);
    assert_eq!(took(&mut b, "long-look"), [format!("600 {shown}")]);
    // Twenty seconds outside are the same visit; a minute is another.
    b.goes(1, None).at(720.0).goes(1, Some(4)).at(1500.0);
    assert_eq!(took(&mut b, "long-look"), NOTHING);
    b.goes(1, None).at(1560.0).goes(1, Some(4)).at(2200.0);
    assert_eq!(took(&mut b, "long-look"), [format!("2160 {shown}")]);
    // A stranger has no language that anybody knows.
    b.appears(2, None, None).goes(2, Some(4)).at(3000.0);
    assert_eq!(took(&mut b, "long-look"), ["2800 long-look: exhibit-3.display.show(language: \"\", page: longread)"]);
}

#[test]
fn a_wave_opens_the_folder_for_its_members_only() {
    let mut b = bench();
    let waves = |b: &mut Bench, track: u64| {
        b.reads(5, Reading::Gesture { gesture: name("wave"), track: Some(TrackId(track)) });
    };
    b.appears(1, Some(0), Some(2)).appears(2, Some(2), Some(2));
    b.stands(1, 2.0, 8.0, 0.0, Some(90.0)).stands(2, 2.0, 8.0, 0.0, Some(90.0)).at(1.0);
    waves(&mut b, 2);
    assert_eq!(took(&mut b, "wave-at-wall"), NOTHING, "cleo is not of project-x");
    waves(&mut b, 1);
    assert_eq!(took(&mut b, "wave-at-wall"), ["1 wave-at-wall: wall-display.wake(for: ana)"]);
    b.is_identified(1, Some(0), 0.94).at(10.0);
    waves(&mut b, 1);
    assert_eq!(took(&mut b, "wave-at-wall"), NOTHING, "not sure enough");
}

#[test]
fn fire_holds_all_that_it_names_until_somebody_resets_it() {
    let mut b = bench();
    b.reads(0, Reading::Switch(true));
    let began = took(&mut b, "fire");
    let held = |line: &str| began.iter().any(|l| l == &format!("0 fire: {line}"));
    for line in [
        "hold front-door.lock = open",
        "hold m7.light.level = 100",
        "hold lobby.light-b.level = 100",
        "hold lobby-display.page = evacuate",
        "hold exhibit-3.display.page = evacuate",
        "hold m9.recorder.state = paused",
        "forbid m7.recorder.start",
        "forbid m9.recorder.resume",
        "forbid lobby.speaker.play",
    ] {
        assert!(held(line), "{line} in {began:#?}");
    }
    // The panel dies, or falls silent: it keeps until a person says that it is over.
    b.dies(0).at(60.0).reads(0, Reading::Switch(false)).at(120.0);
    assert!(b.took().iter().all(|l| !l.contains("release")), "it keeps");
    b.operator(OperatorAction::Reset { rule: name("fire") });
    assert_eq!(b.took().iter().filter(|l| l.contains("release")).count(), began.len());
}

#[test]
fn a_room_is_freed_after_two_silences_and_not_by_a_dead_sensor() {
    let quiet = || {
        let mut b = bench();
        b.reads(1, Reading::Switch(false)).reads(9, Reading::Quantity(1.0)).clock(9.75).at(890.0);
        b
    };
    let mut b = quiet();
    b.at(3000.0);
    assert_eq!(took(&mut b, "free-the-room"), ["1800 free-the-room: m7.light.off()"], "15 min behind ten o'clock");
    let mut b = quiet();
    b.at(1000.0).dies(1).at(1001.0).reads(1, Reading::Switch(false)).at(1850.0);
    assert_eq!(took(&mut b, "free-the-room"), NOTHING, "what nobody watched was no silence");
}

#[test]
fn air_comes_when_the_room_is_full_and_the_band_keeps_it() {
    let mut b = bench();
    // m9 has room for four: above 3.2 for half a minute, until below 2.4 for two.
    for track in 1..=4 {
        b.appears(track, None, Some(1));
    }
    b.at(40.0);
    assert_eq!(took(&mut b, "ventilate"), ["30 ventilate: hold m9.hvac.airflow = boost"]);
    b.goes(4, None).at(400.0);
    assert_eq!(b.took(), NOTHING, "three are in the band");
    b.goes(3, None).at(500.0).goes(3, Some(1)).at(505.0).goes(3, None).at(700.0);
    assert_eq!(b.took().iter().filter(|l| l.contains("release")).collect::<Vec<_>>().len(), 1, "two minutes below it");
}

#[test]
fn lights_follow_and_are_dimmer_at_night() {
    let mut b = bench();
    b.clock(21.99).appears(1, None, None).goes(1, Some(0)).at(60.0);
    assert_eq!(
        took(&mut b, "light-on-entry"),
        ["0 light-on-entry: hold m7.light.level = 80", "36 light-on-entry: hold m7.light.level = 30"]
    );
    b.device(2, "on").reports(2, "level", Value::Number(30.0)).goes(1, None).at(400.0);
    assert_eq!(b.took(), ["360 release 0"]);
}

#[test]
fn a_participant_who_leaves_pauses_the_recorder_of_that_room_and_nobody_else_does() {
    let mut b = bench();
    b.appears(1, Some(0), Some(0)).appears(2, Some(2), Some(0)).device(0, "recording");
    assert_eq!(took(&mut b, "pause-recording"), NOTHING);
    // Who comes later is no participant; and neither is who takes part in nothing.
    b.appears(3, Some(1), None).at(1.0).goes(3, Some(0)).at(2.0).goes(3, None);
    assert_eq!(took(&mut b, "pause-recording"), NOTHING);
    b.at(5.0).goes(1, Some(3));
    assert_eq!(took(&mut b, "pause-recording"), ["5 pause-recording: m7.recorder.pause(reason: \"ana left\")"]);
    // Nothing is paused that does not record, and a session over which nobody watches is one in doubt.
    b.goes(1, Some(0)).at(6.0).goes(1, Some(3));
    assert_eq!(took(&mut b, "pause-recording"), NOTHING);
    b.goes(1, Some(0)).device(0, "recording").at(7.0).is_lost(1);
    let lost = took(&mut b, "pause-recording");
    assert!(lost.len() == 1 && lost[0].ends_with("(in doubt)"), "{lost:?}");
}

#[test]
fn two_who_stay_near_get_each_others_card_where_both_agreed() {
    let mut b = bench();
    let near = |b: &mut Bench, t: f64, track: u64, x_m: f64| {
        b.at(t).stands(track, x_m, 0.0, 0.0, None);
    };
    b.appears(1, Some(0), Some(2)).appears(2, Some(1), Some(2)).appears(3, Some(2), Some(2));
    near(&mut b, 0.0, 2, 20.0);
    near(&mut b, 0.0, 3, 40.0);
    near(&mut b, 1.0, 2, 1.0);
    b.at(10.0);
    let cards = took(&mut b, "contact-card");
    assert_eq!(cards.len(), 2, "{cards:?}");
    assert!(cards.iter().all(|c| c.starts_with("3 contact-card: messages.send(")), "{cards:?}");
    // In the band they are near still; within the hour the same two get no other.
    near(&mut b, 20.0, 2, 1.4);
    near(&mut b, 30.0, 2, 9.0);
    near(&mut b, 40.0, 2, 1.0);
    // Cleo agreed to nothing.
    near(&mut b, 50.0, 3, 0.5);
    b.at(60.0);
    assert_eq!(took(&mut b, "contact-card"), NOTHING);
}

#[test]
fn what_is_private_is_played_at_its_owner_only() {
    let play = "rule play { when desk presses play
        do lobby.speaker.play(private: true, owner: ana, aimed-at: ana, cell: \"desk-1\") level user }";
    let mut b = Bench::on(building(), &format!("{RULES}\n{play}"));
    let press = |b: &mut Bench| {
        b.reads(8, Reading::Button(name("play")));
        b.took().into_iter().filter(|line| line.contains(" play: ")).collect::<Vec<_>>()
    };
    b.appears(1, Some(0), Some(2)).stands(1, 1.1, 1.0, 0.0, None);
    b.took();
    assert_eq!(
        press(&mut b),
        ["0 play: lobby.speaker.play(aimed-at: ana, cell: desk-1, owner: ana, private: Bool(true))"]
    );
    b.stands(1, 4.0, 1.0, 0.0, None);
    b.took();
    assert_eq!(press(&mut b), ["0 play: messages.send(text: \"private-audio refused lobby.speaker\", to: ana)"]);
}

#[test]
fn nouns_and_names_of_the_rest() {
    let mut site = building();
    site.zones[3].name = "room 12".to_owned();
    let mut b = Bench::on(
        site,
        "rule who { when desk presses who do lobby-display.show(\"in: {list(people in lobby)}\") level info }
         rule usual { when lux-1 > baseline(lux-1) + 100 lx do lobby-display.wake() level info }
         rule once { while m7 is occupied hold m7.light.level = lux-1 / 10 lx * 1 % at start level info }
         rule follows { while m7 is occupied hold m9.light.level = lux-1 / 10 lx * 1 % level info }
         rule quoted { when p enters \"room 12\" do m9.light.on() level user }",
    );
    b.appears(1, Some(0), Some(2)).appears(2, Some(1), Some(2)).appears(3, None, None).goes(3, Some(3));
    assert_eq!(b.took(), ["0 quoted: m9.light.on()"], "a name that is no word");
    b.reads(8, Reading::Button(name("who")));
    assert_eq!(b.took(), ["0 who: lobby-display.show(page: \"in: ana, ben\")"]);
    // What is usual is the mean of a day.
    for hour in 0..24 {
        b.at(f64::from(hour) * 3600.0).reads(3, Reading::Quantity(50.0));
    }
    b.at(86_400.0).reads(3, Reading::Quantity(120.0));
    assert_eq!(b.took(), NOTHING);
    b.reads(3, Reading::Quantity(200.0));
    assert_eq!(b.took(), ["86400 usual: lobby-display.wake()"]);
    // One value is worked out when the hold begins, the other all the while.
    b.goes(3, Some(0));
    assert_eq!(b.took(), ["86400 once: hold m7.light.level = 20", "86400 follows: hold m9.light.level = 20"]);
    b.reads(3, Reading::Quantity(300.0));
    assert_eq!(b.took(), ["86400 follows: hold m9.light.level = 30"]);
}
