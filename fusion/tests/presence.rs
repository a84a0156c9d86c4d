//! Two-state sensors: evidence that somebody is there, and against those who were lost there.

mod support;

use osmose_model::device::{BinaryRole, SensorKind};
use osmose_model::ids::{SensorId, ZoneId};
use osmose_model::observation::Body;
use osmose_model::site::Site;
use osmose_model::stages::Fuse;
use osmose_model::time::LogicalNs;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Stimulus};
use proptest::prelude::*;
use support::run::{Run, S};
use support::{add_person, add_sensor, add_zone, default_margins, rectangle};

const ROOM: ZoneId = ZoneId(0);
const PIR: SensorId = SensorId(0);
const CUPBOARD: SensorId = SensorId(1);
const BEACONS: SensorId = SensorId(2);

/// A room with a motion detector that reports every 10 s, a cupboard's contact and beacons.
fn site() -> Site {
    let mut site = support::site(1, 10, default_margins());
    add_zone(&mut site, "room", 0, rectangle(0.0, 0.0, 8.0, 6.0));
    let pir = add_sensor(&mut site, SensorKind::Binary, 0, &[ROOM], Some(0.1));
    site.sensors[pir.index()].noise.hold_s = 8.0;
    let cupboard = add_sensor(&mut site, SensorKind::Binary, 0, &[ROOM], None);
    site.sensors[cupboard.index()].role = Some(BinaryRole::Contact);
    site.sensors[cupboard.index()].noise.false_per_hour = 0.05;
    add_sensor(&mut site, SensorKind::Location, 0, &[], None);
    add_person(&mut site, "ana");
    site
}

fn says(run: &mut Run, sensor: SensorId, s: i64, on: bool) {
    run.observe(sensor, s * S, Body::Binary { on }).unwrap();
}

/// The motion detector says nothing new every 10 s.
fn quiet(run: &mut Run, from_s: i64, to_s: i64) {
    for s in (from_s..to_s).step_by(10) {
        says(run, PIR, s, false);
    }
}

fn p(run: &Run) -> f64 {
    run.fusion.presence(ROOM).p.unwrap()
}

#[test]
fn one_firing_tells_and_silence_tells_the_contrary() {
    let mut run = Run::new(site());
    assert_eq!(run.fusion.presence(ROOM).p, None, "nothing was heard");
    quiet(&mut run, 0, 300);
    assert!(p(&run) < 0.02, "{}", p(&run));
    says(&mut run, PIR, 300, true);
    assert!(p(&run) > 0.5, "{}", p(&run));
    says(&mut run, PIR, 308, false);
    says(&mut run, PIR, 320, true);
    assert!(p(&run) > 0.95, "{}", p(&run));
    says(&mut run, PIR, 328, false);
    let soon = p(&run);
    quiet(&mut run, 330, 600);
    assert!(soon > 0.5 && p(&run) < 0.02, "{soon} {}", p(&run));
}

#[test]
fn a_dead_detector_says_nothing_by_its_silence() {
    let mut run = Run::new(site());
    for (s, on) in [(0, false), (10, true), (18, false), (25, true), (33, false)] {
        says(&mut run, PIR, s, on);
    }
    let before = p(&run);
    run.fusion.advance(LogicalNs(900 * S), &mut run.out);
    // Thirty seconds of silence while it was thought to be alive, then only people's coming and going.
    assert!(p(&run) > 0.25 && before > 0.5, "{before} {}", p(&run));
    let mut alive = Run::new(site());
    for (s, on) in [(0, false), (10, true), (18, false), (25, true), (33, false)] {
        says(&mut alive, PIR, s, on);
    }
    quiet(&mut alive, 40, 910);
    assert!(p(&alive) < 0.02, "{}", p(&alive));
}

#[test]
fn a_contact_tells_by_changing_and_nothing_by_rest() {
    let mut run = Run::new(site());
    says(&mut run, CUPBOARD, 0, false);
    let before = p(&run);
    says(&mut run, CUPBOARD, 10, true);
    assert!(p(&run) > 0.95 && before < 0.6, "{before} {}", p(&run));
    run.fusion.advance(LogicalNs(310 * S), &mut run.out);
    assert!(p(&run) > 0.8, "one may sit still for five minutes: {}", p(&run));
    assert_eq!(run.fusion.occupied(ROOM), Tri::Unknown, "no time is declared for which it counts");
}

#[test]
fn a_contact_with_a_hold_occupies_for_that_long_and_wakes_rules_when_it_is_over() {
    let mut site = site();
    site.sensors[CUPBOARD.index()].noise.hold_s = 60.0;
    site.sensors.truncate(2);
    let mut run = Run::new(site);
    quiet(&mut run, 0, 10);
    says(&mut run, CUPBOARD, 5, false);
    assert_eq!(run.fusion.occupied(ROOM), Tri::False);
    says(&mut run, CUPBOARD, 6, true);
    assert_eq!(run.fusion.occupied(ROOM), Tri::True);
    quiet(&mut run, 10, 66);
    assert_eq!(run.fusion.occupied(ROOM), Tri::True);
    let mut resumed = run.resumed();
    assert_eq!(run.fusion.next_wakeup(), Some(LogicalNs(66 * S)));
    for run in [&mut run, &mut resumed] {
        run.out.clear();
        run.fusion.advance(LogicalNs(66 * S), &mut run.out);
        assert_eq!(run.out, [Stimulus::Sensor(CUPBOARD)]);
        assert_eq!(run.fusion.occupied(ROOM), Tri::False);
    }
}

/// A stranger's (or Ana's) tag is heard in the room and then no more; when the occupant is forgotten, seconds later.
fn forgotten_after(tag: &str, s_of_quiet: i64, firing: bool) -> Option<i64> {
    let mut run = Run::new(site());
    quiet(&mut run, 0, 10);
    run.fix(BEACONS, 10 * S, tag, 0, (4.0, 3.0));
    for s in 11..s_of_quiet {
        if s % 10 == 0 {
            says(&mut run, PIR, s, firing && s % 40 == 20);
        }
        run.fusion.advance(LogicalNs(s * S), &mut run.out);
        if run.fusion.is_empty() {
            return Some(s - 10);
        }
    }
    None
}

#[test]
fn a_silent_detector_speaks_against_who_was_lost_in_its_room() {
    let soon = forgotten_after("a-strangers", 700, false).unwrap();
    assert!((50..120).contains(&soon), "{soon} s");
    assert_eq!(forgotten_after("a-strangers", 600, true), None, "while it fires somebody is there");
    assert_eq!(forgotten_after("ana-tag", 2000, false), None, "a known person is unknown, never left");
}

#[test]
fn who_is_lost_where_no_detector_looks_is_remembered_for_ten_minutes() {
    let mut site = site();
    site.sensors[0].zones.clear();
    let mut run = Run::new(site);
    quiet(&mut run, 0, 10);
    run.fix(BEACONS, 10 * S, "a-strangers", 0, (4.0, 3.0));
    run.fusion.advance(LogicalNs(600 * S), &mut run.out);
    assert_eq!(run.everybody().len(), 1);
    assert!(run.everybody()[0].existence > 0.9);
    run.fusion.advance(LogicalNs(613 * S), &mut run.out);
    assert!(run.fusion.is_empty());
}

#[test]
fn the_longer_the_silence_the_less_likely_the_lost() {
    let mut run = Run::new(site());
    quiet(&mut run, 0, 10);
    run.fix(BEACONS, 10 * S, "ana-tag", 0, (4.0, 3.0));
    let mut before = 1.0;
    for s in 2..20 {
        says(&mut run, PIR, 10 * s, false);
        run.fusion.advance(LogicalNs(10 * s * S), &mut run.out);
        let now = p(&run);
        assert!(now < before || now < 0.01, "{now} after {before}");
        before = now;
    }
    // It fires: she may be there after all.
    says(&mut run, PIR, 200, true);
    assert!(p(&run) > 0.5, "{}", p(&run));
    assert_eq!(run.events().iter().filter(|e| e.kind == EventKind::Lost).count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn restored_at_any_step_it_continues_bit_for_bit(
        steps in prop::collection::vec((1i64..40_000_000_000, 0u8..6), 1..80), cut in 0usize..80,
    ) {
        let play = |run: &mut Run, ns: i64, what: u8| match what {
            0 | 1 => run.observe(PIR, ns, Body::Binary { on: what == 1 }).unwrap(),
            2 | 3 => run.observe(CUPBOARD, ns, Body::Binary { on: what == 3 }).unwrap(),
            4 => run.fix(BEACONS, ns, "a-strangers", 0, (4.0, 3.0)),
            _ => run.fix(BEACONS, ns, "ana-tag", 0, (5.0, 3.0)),
        };
        let mut site = site();
        site.sensors[CUPBOARD.index()].noise.hold_s = 30.0;
        let mut whole = Run::new(site);
        let mut resumed: Option<Run> = None;
        let mut ns = 0;
        for (i, &(dt, what)) in steps.iter().enumerate() {
            if i == cut % steps.len() {
                whole.out.clear();
                resumed = Some(whole.resumed());
            }
            ns += dt;
            play(&mut whole, ns, what);
            if let Some(resumed) = &mut resumed {
                play(resumed, ns, what);
                prop_assert_eq!(&resumed.out, &whole.out);
                prop_assert_eq!(resumed.fusion.next_wakeup(), whole.fusion.next_wakeup());
                prop_assert_eq!(resumed.saved(), whole.saved());
            }
            let told = whole.fusion.presence(ROOM);
            prop_assert!(told.p.is_none_or(|p| (0.0..=1.0).contains(&p)));
            prop_assert!(told.occupied != Tri::True || told.p.is_some());
        }
    }
}
