//! Doors and counters: how many are in a zone, and what a crossing says of the tracks at the door.

mod support;

use osmose_model::device::SensorKind;
use osmose_model::ids::{SensorId, ZoneId};
use osmose_model::observation::{Body, Direction};
use osmose_model::site::Site;
use osmose_model::stages::Fuse;
use osmose_model::time::LogicalNs;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Presence};
use proptest::prelude::*;
use support::run::{Run, S, seen_on};
use support::{add_sensor, add_zone, default_margins, rectangle};

const ROOM: ZoneId = ZoneId(0);
const DOOR: SensorId = SensorId(0);
const COUNTER: SensorId = SensorId(1);

/// A room counted at its door at (8, 3) and by a counter; no tracker.
fn counted() -> Site {
    let mut site = support::site(1, 20, default_margins());
    add_zone(&mut site, "room", 0, rectangle(0.0, 0.0, 8.0, 6.0));
    let door = add_sensor(&mut site, SensorKind::Crossing, 0, &[ROOM], None);
    (site.sensors[door.index()].pose.x_m, site.sensors[door.index()].pose.y_m) = (8.0, 3.0);
    site.sensors[door.index()].noise.p_detect = 0.97;
    add_sensor(&mut site, SensorKind::Count, 0, &[ROOM], None);
    site
}

fn cross(run: &mut Run, s: i64, direction: Direction) {
    run.observe(DOOR, s * S, Body::Crossing { direction }).unwrap();
}

fn count(run: &mut Run, s: i64, people: u32) {
    run.observe(COUNTER, s * S, Body::Count { people }).unwrap();
}

#[test]
fn who_came_through_the_door_is_there() {
    let mut site = counted();
    site.sensors.truncate(1);
    let mut run = Run::new(site);
    assert_eq!((run.fusion.people(ROOM), run.fusion.occupied(ROOM)), (None, Tri::Unknown));
    // At first nobody knows how many there are; those who are known to have come in are.
    for s in 0..3 {
        cross(&mut run, s, Direction::In);
    }
    assert_eq!(run.fusion.occupied(ROOM), Tri::True);
    assert!(run.fusion.presence(ROOM).p.unwrap() > 0.99);
    // More go out than came in: those were there before, or came in unseen; then nobody is left.
    for s in 10..20 {
        cross(&mut run, s, Direction::Out);
    }
    assert_eq!(run.fusion.occupied(ROOM), Tri::False);
    cross(&mut run, 30, Direction::In);
    let people = run.fusion.people(ROOM).unwrap();
    assert!((people.mean - 1.0).abs() < 0.2 && run.fusion.occupied(ROOM) != Tri::False, "{people:?}");
}

#[test]
fn a_counter_corrects_the_doors() {
    let mut run = Run::new(counted());
    count(&mut run, 0, 0);
    for s in 1..5 {
        cross(&mut run, s, Direction::In);
    }
    let doors = run.fusion.people(ROOM).unwrap();
    assert!((doors.mean - 4.0).abs() < 0.4, "{doors:?}");
    for s in 20..60 {
        count(&mut run, s, 6);
    }
    let both = run.fusion.people(ROOM).unwrap();
    assert!((both.mean - 6.0).abs() < 0.5 && both.nobody_p < 1e-3, "{both:?}");
}

/// A room under a ceiling, with a door sensor at (8, 3).
fn watched() -> Site {
    let mut site = counted();
    site.sensors.truncate(1);
    let ceiling = add_sensor(&mut site, SensorKind::Position, 0, &[ROOM], Some(10.0));
    site.sensors[ceiling.index()].noise.sigma_m = 0.1;
    site.sensors[ceiling.index()].noise.clutter_per_scan = 0.1;
    site
}

#[test]
fn a_track_at_the_door_is_somebody_at_once() {
    for (x, sooner) in [(7.6, true), (3.0, false)] {
        let mut run = Run::new(watched());
        run.scan(SensorId(1), 0, &[seen_on(0, x, 3.0)]);
        run.observe(DOOR, 1, Body::Crossing { direction: Direction::In }).unwrap();
        let confirmed = run.events().iter().any(|e| e.kind == EventKind::Confirmed);
        assert_eq!(confirmed, sooner, "seen at {x}");
    }
}

#[test]
fn one_lost_at_the_door_went_out_and_of_two_nobody_knows_which() {
    for two in [false, true] {
        let mut run = Run::new(watched());
        for i in 0..20 {
            let mut scan = vec![seen_on(0, 7.0, 3.0)];
            scan.extend(two.then(|| seen_on(0, 6.0, 1.5)));
            run.scan(SensorId(1), i * S / 10, &scan);
        }
        run.fusion.advance(LogicalNs(6 * S), &mut run.out);
        assert!(run.everybody().iter().all(|w| w.presence == Presence::Lost));
        run.events();
        run.observe(DOOR, 7 * S, Body::Crossing { direction: Direction::Out }).unwrap();
        let left = run.events().iter().filter(|e| e.kind == EventKind::Leaves && e.zone == Some(ROOM)).count();
        assert_eq!(left, usize::from(!two));
    }
}

#[test]
fn a_count_of_nobody_speaks_against_those_lost_there() {
    let mut site = counted();
    add_sensor(&mut site, SensorKind::Location, 0, &[], None);
    let mut run = Run::new(site);
    run.fix(SensorId(2), 0, "a-strangers", 0, (4.0, 3.0));
    let mut forgotten = None;
    for s in 3..200 {
        count(&mut run, s, 0);
        run.fusion.advance(LogicalNs(s * S + 1), &mut run.out);
        forgotten = forgotten.or(run.fusion.is_empty().then_some(s));
    }
    assert!(forgotten.is_some_and(|s| (10..120).contains(&s)), "{forgotten:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn restored_at_any_step_it_continues_bit_for_bit(
        steps in prop::collection::vec((1i64..9_000_000_000, 0u8..6, 0u32..9), 1..80), cut in 0usize..80,
    ) {
        let mut site = counted();
        let ceiling = add_sensor(&mut site, SensorKind::Position, 0, &[ROOM], Some(10.0));
        let play = |run: &mut Run, ns: i64, (what, n): (u8, u32)| match what {
            0 => run.observe(DOOR, ns, Body::Crossing { direction: Direction::In }).unwrap(),
            1 => run.observe(DOOR, ns, Body::Crossing { direction: Direction::Out }).unwrap(),
            2 => run.observe(COUNTER, ns, Body::Count { people: n }).unwrap(),
            3 => run.scan(ceiling, ns, &[]),
            _ => run.scan(ceiling, ns, &[seen_on(0, 7.0 - 0.1 * f64::from(n), 3.0)]),
        };
        let mut whole = Run::new(site);
        let mut resumed: Option<Run> = None;
        let mut ns = 0;
        for (i, &(dt, what, n)) in steps.iter().enumerate() {
            if i == cut % steps.len() {
                whole.out.clear();
                resumed = Some(whole.resumed());
            }
            ns += dt;
            play(&mut whole, ns, (what, n));
            if let Some(resumed) = &mut resumed {
                play(resumed, ns, (what, n));
                prop_assert_eq!(&resumed.out, &whole.out);
                prop_assert_eq!(resumed.saved(), whole.saved());
            }
        }
    }
}
