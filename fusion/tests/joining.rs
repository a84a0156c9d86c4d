//! A carried device and the anonymous track of who carries it: one occupant, as long as they move together.

mod support;

use osmose_model::ids::{CarriedKey, PersonId, SensorId, TrackId, ZoneId};
use osmose_model::site::Site;
use osmose_model::stages::Fuse;
use osmose_model::world::{EventKind, Presence, ZoneCount};
use proptest::prelude::*;
use support::run::{Run, S, seen_on};
use support::{add_person, default_margins, rooms};

const BEACONS: SensorId = SensorId(0);
const CEILING: SensorId = SensorId(1);
const SCAN: i64 = S / 10;

/// Rooms under one ceiling sensor (0.1 m) and beacons (0.4 m); Ana and Ben have tags.
fn site() -> Site {
    let mut site = rooms(4, 50, default_margins());
    site.sensors[0].noise.sigma_m = 0.4;
    site.sensors[1].noise.sigma_m = 0.1;
    site.sensors[1].noise.clutter_per_scan = 0.1;
    add_person(&mut site, "ana");
    add_person(&mut site, "ben");
    site
}

/// Scans every 0.1 s and a fix of the tag every 0.5 s, each with its noise; `None` where it is silent.
fn walk(
    run: &mut Run,
    scans: std::ops::Range<i64>,
    people: impl Fn(f64) -> Vec<(f64, f64)>,
    tag: impl Fn(f64) -> Option<(f64, f64)>,
) {
    for i in scans {
        let t = i as f64 * 0.1;
        let mut scan = Vec::new();
        for (x, y) in people(t) {
            scan.push(seen_on(0, x + run.noise(0.1), y + run.noise(0.1)));
        }
        run.scan(CEILING, i * SCAN, &scan);
        if let (0, Some((x, y))) = (i % 5, tag(t)) {
            let at = (x + run.noise(0.4), y + run.noise(0.4));
            run.fix(BEACONS, i * SCAN, "ana-tag", 0, at);
        }
    }
}

fn along(t: f64) -> (f64, f64) {
    (1.0 + 1.2 * t, 3.0)
}

use EventKind::{Appears, Confirmed, Enters, Identified, Leaves, Lost, Swapped};

#[test]
fn a_device_takes_its_track_along_from_under_one_ceiling_to_the_next() {
    let mut run = Run::new(site());
    // Only the tag is heard; then the ceiling sees its bearer too; then only the tag again.
    walk(&mut run, 0..30, |_| vec![], |t| Some(along(t)));
    walk(&mut run, 30..130, |t| vec![along(t)], |t| Some(along(t)));
    assert_eq!(run.everybody().len(), 1, "{:?}", run.everybody());
    let who = run.everybody().remove(0);
    assert_eq!((who.track, who.person), (TrackId(1), Some(PersonId(0))));
    assert!(who.person_p > 0.9 && who.device == Some(CarriedKey::of("ana-tag")));
    assert!(
        (who.place.at.x_m - along(12.9).0).abs() < 0.35 && who.velocity_mps[0] > 1.0,
        "as the ceiling sees her: {who:?}"
    );
    walk(&mut run, 130..230, |_| vec![], |t| Some(along(t)));
    let events = run.events();
    let of_ana: Vec<_> =
        events.iter().filter(|e| e.track == TrackId(1)).map(|e| (e.kind, e.zone.map(|z| z.0))).collect();
    let expected = [
        (Appears, None),
        (Identified, None),
        (Leaves, Some(0)),
        (Enters, Some(1)),
        (Leaves, Some(1)),
        (Enters, Some(2)),
    ];
    assert_eq!(of_ana, expected, "{events:?}");
    assert_eq!(run.everybody().len(), 1);
    assert!(run.fusion.counts().joined >= 1 && run.fusion.counts().parted == 0);
}

#[test]
fn a_track_takes_the_name_of_the_device_that_turns_up_on_it() {
    let mut run = Run::new(site());
    walk(&mut run, 0..40, |t| vec![along(t), (5.0, 1.0)], |_| None);
    walk(&mut run, 40..100, |t| vec![along(t), (5.0, 1.0)], |t| Some(along(t)));
    let all = run.everybody();
    assert_eq!(all.len(), 2, "{all:?}");
    let ana = run.fusion.track_of(PersonId(0)).unwrap();
    assert!(ana.0.0 <= 2 && ana.1 > 0.9, "an old track, not a new one: {ana:?}");
    let events = run.events();
    assert_eq!(events.iter().filter(|e| e.kind == Confirmed).count(), 2);
    assert_eq!(events.iter().filter(|e| e.kind == Enters && e.zone == Some(ZoneId(1))).count(), 1, "{events:?}");
    // The tag falls silent: she keeps her name.
    walk(&mut run, 100..500, |t| vec![(along(t).0.min(14.0), 3.0), (5.0, 1.0)], |_| None);
    assert_eq!(run.fusion.track_of(PersonId(0)).unwrap().0, ana.0);
    assert_eq!(run.fusion.occupant(ana.0).unwrap().device, None);
}

#[test]
fn nobody_is_counted_twice() {
    let mut run = Run::new(site());
    let (mut twice, mut scans) = (0, 0);
    for i in 0..100 {
        walk(&mut run, i..i + 1, |_| vec![(4.0, 3.0)], |_| Some((4.0, 3.0)));
        twice += u32::from(run.fusion.count_in(ZoneId(0)).seen > 1);
        scans += u32::from(run.fusion.count_in(ZoneId(0)).seen == 1);
    }
    assert!(twice <= 15 && scans >= 80, "{twice} of 100 scans twice");
    assert_eq!(run.fusion.count_in(ZoneId(0)), ZoneCount { seen: 1, lost: 0 });
}

#[test]
fn between_two_people_it_waits_until_they_part() {
    let mut run = Run::new(site());
    let people =
        |t: f64| vec![(2.0 + 0.7 * t.min(4.0), 2.8), (2.0 + 0.7 * t.min(4.0), 3.2 + 0.8 * (t - 4.0).clamp(0.0, 3.0))];
    let tag = |t: f64| Some(people(t)[1]);
    walk(&mut run, 0..40, people, tag);
    walk(&mut run, 40..120, people, tag);
    let all = run.everybody();
    assert_eq!(all.len(), 2, "{all:?}");
    let (track, p) = run.fusion.track_of(PersonId(0)).unwrap();
    let who = run.fusion.occupant(track).unwrap();
    assert!(p > 0.9 && who.place.at.y_m > 5.0, "{who:?}");
}

#[test]
fn a_tag_left_on_a_desk_parts_from_who_walks_on() {
    let mut run = Run::new(site());
    walk(&mut run, 0..60, |_| vec![(4.0, 3.0)], |_| Some((4.0, 3.0)));
    assert_eq!(run.everybody().len(), 1);
    run.events();
    let away = |t: f64| vec![(4.0 + 1.2 * (t - 6.0), 3.0)];
    walk(&mut run, 60..130, away, |_| Some((4.0, 3.0)));
    let all = run.everybody();
    assert_eq!(all.len(), 2, "{all:?}");
    for who in &all {
        assert_eq!((who.person, who.person_p), (Some(PersonId(0)), 0.5), "either may be Ana");
    }
    let events = run.events();
    assert_eq!(events.iter().filter(|e| e.kind == Swapped).count(), 1, "{events:?}");
    assert_eq!(run.fusion.count_in(ZoneId(0)), ZoneCount { seen: 1, lost: 0 }, "the tag");
    // She comes back for it: one again.
    walk(&mut run, 130..320, |t| vec![(12.4 - 1.2 * (t - 13.0).min(7.0), 3.0)], |_| Some((4.0, 3.0)));
    let all = run.everybody();
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].person_p > 0.9);
}

#[test]
fn a_tag_that_somebody_else_carries_off_takes_the_name_along() {
    let mut run = Run::new(site());
    let two = |t: f64| vec![(4.0, 3.0), (12.0 - 1.2 * t.min(6.0) + 1.2 * (t - 8.0).max(0.0), 3.4)];
    walk(&mut run, 0..75, two, |_| Some((4.0, 3.0)));
    let first = run.fusion.track_of(PersonId(0)).unwrap();
    assert!((run.fusion.occupant(first.0).unwrap().place.at.y_m - 3.0).abs() < 0.3);
    walk(&mut run, 75..150, two, |t| Some(two(t)[1]));
    let (track, p) = run.fusion.track_of(PersonId(0)).unwrap();
    let who = run.fusion.occupant(track).unwrap();
    assert!(p > 0.9 && who.place.at.x_m > 8.0, "{who:?} of {:?}", run.everybody());
    assert_eq!(run.everybody().len(), 2);
}

#[test]
fn a_known_persons_device_that_falls_silent_out_of_sight_is_lost_and_never_left() {
    let mut run = Run::new(site());
    walk(&mut run, 0..60, |t| vec![(2.0 + 0.5 * t, 3.0)], |t| Some((2.0 + 0.5 * t, 3.0)));
    run.events();
    run.fusion.advance(osmose_model::time::LogicalNs(5000 * S), &mut run.out);
    let all = run.everybody();
    assert_eq!((all.len(), all[0].presence), (1, Presence::Lost));
    assert!(run.events().iter().all(|e| e.kind == Lost));
    // Next seen outside of the room: it leaves.
    run.fix(BEACONS, 5001 * S, "ana-tag", 0, (50.0, 50.0));
    let kinds: Vec<_> = run.events().iter().map(|e| (e.kind, e.zone.map(|z| z.0))).collect();
    assert!(kinds.contains(&(Leaves, Some(0))), "{kinds:?}");
}

/// A step: how long after the last, what happens, and where.
type Step = (i64, u8, f64, f64);

fn play(run: &mut Run, i: usize, ns: i64, (_, what, dx, dy): Step) {
    let t = 0.1 * i as f64;
    let people = [(2.0 + t + dx, 3.0 + dy), (9.0 + dy, 3.0 + dx), (14.0 - t, 3.3 + dx)];
    match what {
        0..=3 => run.fix(BEACONS, ns, "ana-tag", 0, people[usize::from(what) % 3]),
        4 | 5 => run.fix(BEACONS, ns, "ben-tag", 0, people[usize::from(what) % 3]),
        6 => run.fix(BEACONS, ns, "a-strangers", 0, people[2]),
        bits => {
            let scan: Vec<_> =
                (0..3).filter(|k| bits & (1 << k) != 0).map(|k| seen_on(0, people[k].0, people[k].1)).collect();
            run.scan(CEILING, ns, &scan);
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((50_000_000i64..600_000_000, 0u8..32, -0.2..0.2f64, -0.2..0.2f64), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn restored_at_any_step_it_continues_bit_for_bit(steps in steps(), cut in 0usize..120) {
        let mut whole = Run::new(site());
        let mut resumed: Option<Run> = None;
        let mut ns = S;
        for (i, &step) in steps.iter().enumerate() {
            if i == cut % steps.len() {
                whole.out.clear();
                resumed = Some(whole.resumed());
            }
            ns += step.0;
            play(&mut whole, i, ns, step);
            if let Some(resumed) = &mut resumed {
                play(resumed, i, ns, step);
                prop_assert_eq!(&resumed.out, &whole.out);
                prop_assert_eq!(resumed.saved(), whole.saved());
            }
        }
    }

    #[test]
    fn a_device_is_on_one_occupant_and_zones_count_each_once(steps in steps()) {
        let mut run = Run::new(site());
        let mut ns = S;
        for (i, &step) in steps.iter().enumerate() {
            ns += step.0;
            play(&mut run, i, ns, step);
            let all = run.everybody();
            for name in ["ana-tag", "ben-tag", "a-strangers"] {
                prop_assert!(all.iter().filter(|w| w.device == Some(CarriedKey::of(name))).count() <= 1);
            }
            for zone in 0..4 {
                let inside = |p| all.iter().filter(|w| w.zones.contains(&ZoneId(zone)) && w.presence == p).count() as u32;
                let count = ZoneCount { seen: inside(Presence::Seen), lost: inside(Presence::Lost) };
                prop_assert_eq!(run.fusion.count_in(ZoneId(zone)), count);
            }
            prop_assert!(all.iter().all(|w| (0.0..=1.0).contains(&w.person_p) && w.person.is_some() == (w.person_p > 0.0)));
        }
    }

    #[test]
    fn who_enters_was_outside_and_who_leaves_was_inside(steps in steps()) {
        let mut run = Run::new(site());
        let mut ns = S;
        let mut inside = std::collections::BTreeSet::new();
        for (i, &step) in steps.iter().enumerate() {
            ns += step.0;
            play(&mut run, i, ns, step);
            for event in run.events() {
                let key = (event.track, event.zone);
                match event.kind {
                    Enters => prop_assert!(inside.insert(key), "{:?} enters again", event),
                    Leaves => drop(inside.remove(&key)),
                    _ => {}
                }
            }
        }
    }
}
