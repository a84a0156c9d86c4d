//! Anonymous positions: tracks as occupants, what becomes of them, and who they are taken for.

mod support;

use osmose_fusion::Fusion;
use osmose_model::device::SensorKind;
use osmose_model::geometry::{Place, Point, Polygon};
use osmose_model::ids::{CarriedKey, LevelId, Name, PersonId, SensorId, TrackId, ZoneId};
use osmose_model::observation::{Body, Detection};
use osmose_model::site::Site;
use osmose_model::stages::{Fuse, Refusal};
use osmose_model::time::LogicalNs;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Occupant, Presence, Reading, Stimulus, WorldEvent, ZoneCount};
use proptest::prelude::*;
use std::sync::Arc;
use support::{add_person, default_margins, rooms, said, tag};

const S: i64 = 1_000_000_000;
const SCAN: i64 = S / 10;
/// The position sensor and the badge reader of `site()`.
const CEILING: SensorId = SensorId(1);
const READER: SensorId = SensorId(2);

fn seen(x_m: f64, y_m: f64) -> Detection {
    Detection { place: Place::flat(LevelId(0), x_m, y_m), sigma_m: None }
}

/// Two rooms under one exact ceiling sensor, a reader at the door between them, Ana and Ben.
fn site() -> Site {
    let mut site = rooms(2, 50, default_margins());
    site.sensors[1].noise.sigma_m = 0.1;
    site.sensors[1].noise.clutter_per_scan = 0.1;
    let reader = support::add_sensor(&mut site, SensorKind::Badge, 0, &[], None);
    site.sensors[reader.index()].pose.x_m = 9.0;
    site.sensors[reader.index()].pose.y_m = 3.0;
    add_person(&mut site, "ana");
    add_person(&mut site, "ben");
    site
}

struct Run {
    fusion: Fusion,
    seq: u64,
    out: Vec<Stimulus>,
}

impl Run {
    fn new(site: Site) -> Self {
        Self { fusion: Fusion::new(Arc::new(site)), seq: 0, out: Vec::new() }
    }
    fn observe(&mut self, sensor: SensorId, ns: i64, body: Body<'_>) -> Result<(), Refusal> {
        self.seq += 1;
        self.fusion.observe(tag(ns, self.seq), &said(sensor, ns, body), &mut self.out)
    }
    fn scan(&mut self, ns: i64, detections: &[Detection]) {
        self.observe(CEILING, ns, Body::Position(detections)).unwrap();
    }
    fn badge(&mut self, who: &str, ns: i64) {
        self.observe(READER, ns, Body::Badge { badge: CarriedKey::of(&format!("{who}-badge")) }).unwrap();
    }
    fn events(&mut self) -> Vec<WorldEvent> {
        let taken = std::mem::take(&mut self.out);
        taken.into_iter().filter_map(|s| if let Stimulus::World(e) = s { Some(e) } else { None }).collect()
    }
    fn kinds(&mut self) -> Vec<(u64, EventKind)> {
        self.events().iter().map(|e| (e.track.0, e.kind)).collect()
    }
    fn everybody(&self) -> Vec<Occupant> {
        let mut all = Vec::new();
        self.fusion.for_each_occupant(&mut |who| all.push(who.clone()));
        all
    }
}

use EventKind::{Appears, Confirmed, Enters, Identified, Leaves, Lost, Swapped};

#[test]
fn a_walker_appears_is_confirmed_and_goes_from_room_to_room() {
    let mut run = Run::new(site());
    for i in 0..60 {
        run.scan(i * SCAN, &[seen(4.0 + 0.13 * i as f64, 3.0)]);
    }
    let events = run.events();
    let said: Vec<_> = events.iter().map(|e| (e.kind, e.zone.map(|z| z.0))).collect();
    assert_eq!(said, [(Appears, None), (Confirmed, None), (Leaves, Some(0)), (Enters, Some(1))]);
    // Its detections cross 8.2 m at 3.3 s and 10 m at 4.7 s.
    let at = |i: usize| events[i].measured.0;
    assert!((at(2) - 33 * SCAN).abs() <= SCAN && (at(3) - 47 * SCAN).abs() <= SCAN, "{} {}", at(2), at(3));
    let who = run.fusion.occupant(TrackId(1)).unwrap();
    assert!((who.velocity_mps[0] - 1.3).abs() < 0.1 && who.existence > 0.99 && who.device.is_none());
}

#[test]
fn one_who_vanishes_in_view_is_lost_and_soon_forgotten() {
    let mut run = Run::new(site());
    for i in 0..20 {
        run.scan(i * SCAN, &[seen(4.0, 3.0)]);
    }
    run.events();
    for i in 20..400 {
        run.scan(i * SCAN, &[]);
        if i == 38 {
            assert_eq!(run.everybody()[0].presence, Presence::Seen, "not before the zone's lost time");
            assert!(run.everybody()[0].existence < 0.01, "though nobody believes in it");
        }
        if i == 100 {
            assert_eq!(run.fusion.count_in(ZoneId(0)), ZoneCount { seen: 0, lost: 1 });
        }
    }
    let events = run.events();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].kind, events[0].measured, events[0].zone), (Lost, LogicalNs(39 * SCAN), Some(ZoneId(0))));
    assert!(run.fusion.is_empty(), "30 s after it was lost");
    assert_eq!(run.fusion.count_in(ZoneId(0)), ZoneCount::default());
}

#[test]
fn one_who_walks_out_of_view_stays_lost_where_last_seen() {
    let mut site = site();
    let p = Point::new;
    site.sensors[1].field_of_view = Some(Polygon::simple(vec![p(0., 0.), p(6., 0.), p(6., 6.), p(0., 6.)]));
    let mut run = Run::new(site);
    for i in 0..20 {
        run.scan(i * SCAN, &[seen(3.5 + 0.13 * i as f64, 3.0)]);
    }
    for i in 20..1000 {
        run.scan(i * SCAN, &[]);
    }
    let all = run.everybody();
    assert_eq!((all.len(), all[0].presence), (1, Presence::Lost));
    assert_eq!(run.fusion.count_in(ZoneId(0)), ZoneCount { seen: 0, lost: 1 });
    run.fusion.advance(LogicalNs(700 * S), &mut run.out);
    assert!(run.fusion.is_empty(), "10 min after it was lost");
}

#[test]
fn a_false_detection_occupies_nothing_and_goes_unsaid() {
    let mut run = Run::new(site());
    run.scan(0, &[seen(4.0, 3.0)]);
    assert_eq!(run.kinds(), [(1, Appears)]);
    let who = run.everybody().remove(0);
    assert!(who.existence > 0.99, "an exact sensor is believed at once: {}", who.existence);
    for i in 1..10 {
        assert_eq!(run.fusion.count_in(ZoneId(0)), ZoneCount::default());
        assert_ne!(run.fusion.occupied(ZoneId(0)), Tri::True);
        run.scan(i * SCAN, &[]);
    }
    assert_eq!(run.kinds(), []);
    assert!(run.fusion.is_empty());
    let counts = run.fusion.counts();
    assert_eq!((counts.never_confirmed, counts.forgotten), (1, 0));
}

#[test]
fn clutter_all_over_occupies_no_room() {
    let mut run = Run::new(site());
    // One false detection a scan, on a walk of steps that no person could take (3.7 m and 2.3 m modulo the room).
    let (mut x, mut y) = (1, 1);
    for i in 0..300 {
        (x, y) = ((x + 37) % 79, (y + 23) % 59);
        run.scan(i * SCAN, &[seen(0.1 * f64::from(x), 0.1 * f64::from(y))]);
        assert_ne!(run.fusion.occupied(ZoneId(0)), Tri::True, "scan {i}");
    }
    assert!(run.events().iter().all(|e| e.kind == Appears));
    assert!(run.fusion.counts().never_confirmed > 10, "{:?}", run.fusion.counts());
}

#[test]
fn one_who_walks_in_occupies_the_room_three_scans_later_at_most() {
    for first in [0, 40] {
        let mut run = Run::new(site());
        for i in 0..first {
            run.scan(i * SCAN, &[]);
        }
        for i in 0..3 {
            run.scan((first + i) * SCAN, &[seen(4.0 + 0.13 * i as f64, 3.0)]);
        }
        assert_eq!(run.fusion.occupied(ZoneId(0)), Tri::True, "begun at scan {first}");
        assert_eq!(run.kinds(), [(1, Appears), (1, Confirmed)]);
        assert_eq!(run.fusion.count_in(ZoneId(0)), ZoneCount { seen: 1, lost: 0 });
    }
}

#[test]
fn nobody_is_taken_for_a_track_that_is_not_confirmed() {
    let mut run = Run::new(site());
    run.scan(0, &[seen(9.0, 3.0)]);
    run.badge("ana", 1);
    let place = Place::flat(LevelId(0), 9.0, 3.0);
    let wave = Name::new("wave").unwrap();
    run.observe(READER, 2, Body::Gesture { place, gesture: wave }).unwrap();
    assert_eq!(run.fusion.sensor(READER).reading, Some(Reading::Gesture { gesture: wave, track: None, track_p: 0.0 }));
    assert_eq!((run.kinds(), run.fusion.track_of(PersonId(0))), (vec![(1, Appears)], None));
    let mut near = Vec::new();
    run.fusion.within(LevelId(0), place.at, 1.0, &mut near);
    assert_eq!(near, []);
}

#[test]
fn one_never_confirmed_out_of_view_goes_unsaid_too() {
    let mut site = site();
    let p = Point::new;
    site.sensors[1].field_of_view = Some(Polygon::simple(vec![p(0., 0.), p(4.1, 0.), p(4.1, 6.), p(0., 6.)]));
    let blind = support::add_sensor(&mut site, SensorKind::Position, 0, &[], Some(10.0));
    site.sensors[blind.index()].field_of_view = Some(Polygon::simple(vec![p(50., 0.), p(60., 0.), p(60., 6.)]));
    let mut run = Run::new(site);
    run.scan(0, &[seen(4.0, 3.0)]);
    assert_eq!(run.kinds(), [(1, Appears)]);
    for i in 1..50 {
        // Only the other sensor looks from now on: the track is neither hit nor refuted.
        run.observe(blind, i * SCAN, Body::Position(&[])).unwrap();
        assert_eq!(run.fusion.is_empty(), i >= 20, "scan {i}");
    }
    assert_eq!((run.kinds(), run.fusion.counts().never_confirmed), (vec![], 1));
}

#[test]
fn restored_between_appears_and_confirmed_it_is_confirmed_all_the_same() {
    let mut run = Run::new(site());
    run.scan(0, &[seen(4.0, 3.0)]);
    let mut bytes = Vec::new();
    run.fusion.save(&mut bytes);
    let mut other = Run::new(site());
    other.fusion.restore(&bytes).unwrap();
    assert_ne!(other.fusion.occupied(ZoneId(0)), Tri::True);
    run.out.clear();
    for run in [&mut run, &mut other] {
        run.scan(SCAN, &[seen(4.1, 3.0)]);
    }
    assert_eq!(run.out, other.out);
    assert_eq!((other.kinds(), other.fusion.occupied(ZoneId(0))), (vec![(1, Confirmed)], Tri::True));
}

#[test]
fn the_order_of_a_scan_means_nothing() {
    let people =
        |i: usize| [(2.0, 1.0), (5.0, 4.0), (12.0, 2.0), (14.0, 5.0)].map(|(x, y)| seen(x + 0.05 * i as f64, y));
    let (mut run, mut turned) = (Run::new(site()), Run::new(site()));
    for i in 0..50 {
        let scan = people(i);
        run.scan(i as i64 * SCAN, &scan);
        let mut other = scan;
        other.rotate_left(i % 4);
        other.swap(0, 2);
        turned.scan(i as i64 * SCAN, &other);
    }
    assert_eq!(run.out, turned.out);
    assert_eq!(run.everybody(), turned.everybody());
    assert_eq!(run.everybody().len(), 4);
}

#[test]
fn a_late_scan_is_used_as_it_comes_and_said_so() {
    let mut run = Run::new(site());
    run.scan(S, &[seen(4.0, 3.0)]);
    let before = run.everybody()[0].existence;
    let late = said(CEILING, S - SCAN, Body::Position(&[]));
    assert_eq!(run.fusion.observe(tag(S + 1, 9), &late, &mut run.out), Err(Refusal::LateDegraded));
    assert!(run.everybody()[0].existence < before, "the miss counted");
    assert_eq!(run.fusion.counts().late_degraded, 1);
}

#[test]
fn wild_scans_are_refused_whole_and_other_levels_left_out() {
    let mut run = Run::new(site());
    for bad in [seen(f64::NAN, 0.0), seen(1e12, 0.0), Detection { sigma_m: Some(f64::NAN), ..seen(1.0, 1.0) }] {
        assert_eq!(run.observe(CEILING, 0, Body::Position(&[seen(1.0, 1.0), bad])), Err(Refusal::NotPlausible));
    }
    assert!(run.fusion.is_empty());
    assert_eq!(run.observe(SensorId(0), 0, Body::Position(&[])), Err(Refusal::NotPlausible), "not a position sensor");
    let mut two = support::site(2, 10, default_margins());
    support::add_sensor(&mut two, SensorKind::Position, 0, &[], Some(10.0));
    let mut run = Run::new(two);
    let above = Detection { place: Place::flat(LevelId(1), 1.0, 1.0), sigma_m: None };
    run.observe(SensorId(0), 0, Body::Position(&[above])).unwrap();
    assert_eq!((run.fusion.counts().off_level, run.fusion.len()), (1, 0));
}

#[test]
fn levels_are_tracked_apart() {
    let mut two = support::site(2, 10, default_margins());
    for level in 0..2 {
        let id = support::add_sensor(&mut two, SensorKind::Position, level, &[], Some(10.0));
        two.sensors[id.index()].noise.clutter_per_scan = 0.01;
    }
    let mut run = Run::new(two);
    for i in 0..10 {
        for level in 0..2 {
            let here = Detection { place: Place::flat(LevelId(level), 5.0, 5.0), sigma_m: None };
            run.observe(SensorId(level), i * SCAN, Body::Position(&[here])).unwrap();
        }
    }
    let levels: Vec<u16> = run.everybody().iter().map(|w| w.place.level.0).collect();
    assert_eq!(levels, [0, 1]);
}

#[test]
fn a_badge_binds_whoever_clearly_stands_at_the_reader() {
    let mut run = Run::new(site());
    for i in 0..10 {
        run.scan(i * SCAN, &[seen(9.0, 3.2), seen(3.0, 3.0)]);
    }
    run.events();
    run.badge("ana", S);
    let events = run.events();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].kind, events[0].person), (Identified, Some(PersonId(0))));
    // One in a thousand reads is wrong, and somebody unseen may have shown it.
    assert!((0.99..0.999).contains(&events[0].person_p), "{}", events[0].person_p);
    let (track, p) = run.fusion.track_of(PersonId(0)).unwrap();
    assert_eq!((track, p), (events[0].track, events[0].person_p));
    assert!((run.fusion.occupant(track).unwrap().place.at.x_m - 9.0).abs() < 0.2);
    let reading = Reading::Badge { badge: CarriedKey::of("ana-badge"), person: Some(PersonId(0)) };
    assert_eq!(run.fusion.sensor(READER).reading, Some(reading));
    // Once more says nothing new; another's badge is not theirs.
    run.badge("ana", S + 1);
    run.badge("ben", S + 2);
    assert_eq!(run.kinds(), []);
    assert_eq!(run.fusion.track_of(PersonId(1)), None);
}

#[test]
fn a_badge_binds_nobody_where_two_stand_there_or_none() {
    let mut run = Run::new(site());
    for i in 0..10 {
        run.scan(i * SCAN, &[seen(9.0, 2.5), seen(9.0, 3.6)]);
    }
    run.events();
    run.badge("ana", S);
    assert_eq!(run.kinds(), []);
    let mut run = Run::new(site());
    for i in 0..10 {
        run.scan(i * SCAN, &[seen(3.0, 2.5)]);
    }
    run.events();
    run.badge("ana", S);
    assert_eq!(run.kinds(), []);
}

#[test]
fn a_badge_does_not_bind_through_a_wall_but_through_the_one_that_the_reader_hangs_on() {
    for (wall_x, bound) in [(9.5, false), (9.0, true)] {
        let mut site = site();
        support::add_wall(&mut site, 0, (wall_x, 0.0), (wall_x, 6.0), false);
        let mut run = Run::new(site);
        for i in 0..10 {
            run.scan(i * SCAN, &[seen(10.0, 3.0)]);
        }
        run.badge("ana", S);
        assert_eq!(run.fusion.track_of(PersonId(0)).is_some(), bound, "wall at {wall_x}");
    }
}

#[test]
fn a_second_read_elsewhere_moves_the_name() {
    let mut run = Run::new(site());
    for i in 0..10 {
        run.scan(i * SCAN, &[seen(9.0, 3.0), seen(3.0, 3.0)]);
    }
    run.badge("ana", S);
    // The first walks away, the second comes to the reader; both slowly enough to be followed.
    for i in 0..60 {
        let step = 0.1 * i as f64;
        run.scan(S + i * SCAN, &[seen(9.0 + step, 3.0 + 0.05 * step), seen(3.0 + step, 3.0)]);
    }
    let first = run.fusion.track_of(PersonId(0)).unwrap().0;
    run.events();
    run.badge("ana", 8 * S);
    let events = run.events();
    assert_eq!(events.iter().map(|e| e.kind).collect::<Vec<_>>(), [Identified]);
    assert_ne!(events[0].track, first);
    assert_eq!(run.fusion.occupant(first).unwrap().person, None);
    assert_eq!(run.fusion.track_of(PersonId(0)).unwrap().0, events[0].track);
}

#[test]
fn two_who_meet_may_have_changed_places() {
    let mut run = Run::new(site());
    // Ana is bound at the reader, Ben waits; then they come together and stay together.
    for i in 0..10 {
        run.scan(i * SCAN, &[seen(9.0, 3.0), seen(13.0, 3.0)]);
    }
    run.badge("ana", S);
    run.events();
    for i in 0..50 {
        let gap = (4.0 - 0.2 * i as f64).max(0.04);
        run.scan(S + i * SCAN, &[seen(13.0 - gap, 3.0), seen(13.0, 3.0)]);
    }
    let events = run.events();
    let swaps: Vec<_> = events.iter().filter(|e| e.kind == Swapped).collect();
    assert_eq!(swaps.len(), 1, "{events:?}");
    assert!(swaps[0].other.is_some_and(|o| o > swaps[0].track));
    let mut p_ana = 0.0;
    run.fusion.for_each_occupant(&mut |who| {
        if who.person == Some(PersonId(0)) {
            p_ana = who.person_p;
        }
    });
    // At last they are in one place: it may be either of them, and the name stays where it was.
    assert!((0.49..0.8).contains(&p_ana), "{p_ana}");
}

#[test]
fn strangers_who_meet_are_nobodys_business() {
    let mut run = Run::new(site());
    for i in 0..60 {
        let gap = (2.0 - 0.1 * i as f64).max(0.15);
        run.scan(i * SCAN, &[seen(5.0 - gap, 3.0), seen(5.0, 3.0)]);
    }
    assert!(run.events().iter().all(|e| e.kind != Swapped));
}

#[test]
fn gestures_and_facing_belong_to_whoever_is_at_hand() {
    let mut run = Run::new(site());
    for i in 0..10 {
        run.scan(i * SCAN, &[seen(4.0, 3.0), seen(6.0, 3.0)]);
    }
    run.out.clear();
    let wave = Name::new("wave").unwrap();
    let near = run.everybody().iter().find(|w| w.place.at.x_m < 5.0).unwrap().track;
    let place = Place::flat(LevelId(0), 4.2, 3.1);
    run.observe(READER, S, Body::Gesture { place, gesture: wave }).unwrap();
    assert_eq!(
        run.fusion.sensor(READER).reading,
        Some(Reading::Gesture { gesture: wave, track: Some(near), track_p: 1.0 })
    );
    run.observe(READER, S, Body::Facing { place, heading_rad: 1.5, sigma_rad: None }).unwrap();
    assert_eq!(run.fusion.occupant(near).unwrap().heading_rad, Some(1.5));
    let far = Place::flat(LevelId(0), 2.0, 1.0);
    run.observe(READER, S, Body::Gesture { place: far, gesture: wave }).unwrap();
    assert_eq!(run.fusion.sensor(READER).reading, Some(Reading::Gesture { gesture: wave, track: None, track_p: 0.0 }));
}

/// One step of a scene: how long after the last, and which of three walkers are detected, or a badge is read.
fn steps() -> impl Strategy<Value = Vec<(i64, u8, f64, f64)>> {
    prop::collection::vec((1_000_000i64..300_000_000, 0u8..12, -0.3..0.3f64, -0.3..0.3f64), 1..60)
}

fn play(run: &mut Run, i: usize, ns: i64, step: (i64, u8, f64, f64)) -> Result<(), Refusal> {
    let (_, what, dx, dy) = step;
    match what {
        8 => run.observe(READER, ns, Body::Badge { badge: CarriedKey::of("ana-badge") }),
        9 => run.observe(READER, ns, Body::Badge { badge: CarriedKey::of("ben-badge") }),
        10 => run.observe(SensorId(0), ns, support::fix(CarriedKey::of("ben-tag"), 4.0 + dx, 3.0 + dy, ns).body),
        11 => {
            // Late by up to 0.2 s.
            run.seq += 1;
            let late = said(CEILING, ns - (dx.abs() * 0.6e9) as i64, Body::Position(&[]));
            run.fusion.observe(tag(ns, run.seq), &late, &mut run.out)
        }
        bits => {
            let walk = 0.1 * i as f64;
            let all = [seen(9.0 + dx, 3.0 + dy), seen(3.0 + walk + dy, 3.0 + dx), seen(15.0 - walk, 3.2 + dx)];
            let scan: Vec<_> = (0..3).filter(|k| bits & (1 << k) != 0).map(|k| all[k]).collect();
            run.observe(CEILING, ns, Body::Position(&scan))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn restored_at_any_step_it_continues_bit_for_bit(steps in steps(), cut in 0usize..60) {
        let mut whole = Run::new(site());
        let mut resumed: Option<Run> = None;
        let mut ns = S;
        for (i, &step) in steps.iter().enumerate() {
            if i == cut % steps.len() {
                let mut bytes = Vec::new();
                whole.fusion.save(&mut bytes);
                let mut other = Run::new(site());
                other.fusion.restore(&bytes).unwrap();
                other.seq = whole.seq;
                resumed = Some(other);
                whole.out.clear();
            }
            ns += step.0;
            let taken = play(&mut whole, i, ns, step);
            if let Some(resumed) = &mut resumed {
                prop_assert_eq!(play(resumed, i, ns, step), taken);
                prop_assert_eq!(&resumed.out, &whole.out);
                prop_assert_eq!(resumed.fusion.next_wakeup(), whole.fusion.next_wakeup());
                let (mut a, mut b) = (Vec::new(), Vec::new());
                whole.fusion.save(&mut a);
                resumed.fusion.save(&mut b);
                prop_assert_eq!(a, b);
            }
        }
    }

    #[test]
    fn a_person_is_believed_on_tracks_that_there_are(steps in steps()) {
        let mut run = Run::new(site());
        let mut ns = S;
        for (i, &step) in steps.iter().enumerate() {
            ns += step.0;
            let _ = play(&mut run, i, ns, step);
            for person in [PersonId(0), PersonId(1)] {
                let all = run.everybody();
                let best = all.iter().filter(|w| w.person == Some(person)).map(|w| (w.presence == Presence::Seen, w.person_p));
                let best = best.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
                let told = run.fusion.track_of(person);
                prop_assert_eq!(told.map(|t| t.1), best.map(|b| b.1));
                if let Some((track, _)) = told {
                    prop_assert!(all.iter().any(|w| w.track == track && w.person == Some(person)));
                }
            }
            for who in run.everybody() {
                prop_assert!((0.0..=1.0).contains(&who.person_p) && who.person.is_some() == (who.person_p > 0.0));
            }
        }
    }
}

#[test]
fn those_seen_and_likely_are_what_the_tracker_reports() {
    use osmose_fusion::tracker::{self, Config, FieldOfView, SensorModel, Tracker};
    let mut run = Run::new(site());
    let ceiling = SensorModel {
        sigma_m: 0.1,
        p_detect: 0.9,
        clutter_per_m2: 0.1 / 10_000.0,
        field_of_view: FieldOfView::Everywhere { area_m2: 10_000.0 },
    };
    let mut plain = Tracker::new(Config::default(), vec![ceiling]).unwrap();
    // A linear congruential generator (Knuth's MMIX constants) makes misses, clutter and noise.
    let mut dice = 7_u64;
    let mut unit = || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut shown = 0;
    for i in 0..300 {
        let walk = 0.1 * i as f64;
        let mut scan: Vec<Detection> = Vec::new();
        for (x, y) in [(2.0 + walk, 3.0), (30.0 - walk, 3.5), (5.0, 5.0), (40.0, 0.5 * walk)] {
            if unit() < 0.9 {
                scan.push(seen(x + 0.2 * (unit() - 0.5), y + 0.2 * (unit() - 0.5)));
            }
        }
        if unit() < 0.3 {
            scan.push(seen(50.0 * unit(), 50.0 * unit()));
        }
        run.scan(i * SCAN, &scan);
        let items: Vec<_> = scan.iter().map(|d| tracker::Detection::at(d.place.at.x_m, d.place.at.y_m)).collect();
        plain.scan(i * SCAN, 0, &items).unwrap();
        let mut reported: Vec<(f64, f64)> = plain.tracks().filter(|t| t.reported).map(|t| (t.x_m, t.y_m)).collect();
        let all = run.everybody();
        let likely = all.iter().filter(|w| w.presence == Presence::Seen && w.existence > 0.5);
        let mut told: Vec<(f64, f64)> = likely.map(|w| (w.place.at.x_m, w.place.at.y_m)).collect();
        reported.sort_by(|a, b| a.partial_cmp(b).unwrap());
        told.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(told, reported, "scan {i}");
        shown += told.len();
    }
    assert!(shown > 1000, "{shown}");
}
