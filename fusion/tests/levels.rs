//! Stairs and lifts: whoever goes through them is the same on the next level; nobody else changes level.

mod support;

use osmose_model::device::SensorKind;
use osmose_model::ids::{CarriedKey, LevelId, PersonId, SensorId, TrackId, ZoneId};
use osmose_model::observation::Body;
use osmose_model::site::Site;
use osmose_model::stages::Fuse;
use osmose_model::world::{EventKind, Presence};
use support::run::{Run, S, seen_on};
use support::{add_person, add_sensor, add_zone, default_margins, rectangle};

const SCAN: i64 = S / 10;
const GROUND: SensorId = SensorId(0);
const UPPER: SensorId = SensorId(1);
const READER: SensorId = SensorId(2);
const STAIRS: ZoneId = ZoneId(0);
const STAIRS_ABOVE: ZoneId = ZoneId(1);
const HALL_ABOVE: ZoneId = ZoneId(2);

/// Two levels, each under one sensor; stairs from (10, 0) to (14, 4) on both, a hall above, a reader on the ground.
fn site(category: &str) -> Site {
    let mut site = support::site(2, 20, default_margins());
    for level in 0..2 {
        let id = add_sensor(&mut site, SensorKind::Position, level, &[], Some(10.0));
        site.sensors[id.index()].noise.sigma_m = 0.1;
        site.sensors[id.index()].noise.clutter_per_scan = 0.05;
    }
    let reader = add_sensor(&mut site, SensorKind::Badge, 0, &[], None);
    (site.sensors[reader.index()].pose.x_m, site.sensors[reader.index()].pose.y_m) = (4.0, 2.0);
    for (name, level) in [("stairs", 0), ("stairs-above", 1)] {
        let id = add_zone(&mut site, name, level, rectangle(10.0, 0.0, 14.0, 4.0));
        site.zones[id.index()].category = category.into();
        site.zones[id.index()].connects = vec![LevelId(0), LevelId(1)];
    }
    add_zone(&mut site, "hall-above", 1, rectangle(0.0, 0.0, 10.0, 4.0));
    add_person(&mut site, "ana");
    add_person(&mut site, "ben");
    site
}

/// Ana walks from (2, 2) into the stairs on the ground, starting at `start`, and is read at the reader on the way.
fn ana_goes_in(run: &mut Run, start: i64) -> i64 {
    for i in 0..75 {
        let x = 2.0 + 0.13 * i as f64;
        run.scan(GROUND, start + i * SCAN, &[seen_on(0, x, 2.0)]);
        run.scan(UPPER, start + i * SCAN, &[]);
        if i == 16 {
            let badge = CarriedKey::of("ana-badge");
            run.observe(READER, start + i * SCAN, Body::Badge { badge }).unwrap();
        }
    }
    start + 75 * SCAN
}

/// Nobody is seen from then on for so many scans.
fn nobody(run: &mut Run, start: i64, scans: i64) -> i64 {
    for i in 0..scans {
        run.scan(GROUND, start + i * SCAN, &[]);
        run.scan(UPPER, start + i * SCAN, &[]);
    }
    start + scans * SCAN
}

/// Somebody comes out above at a place and walks to lower x.
fn comes_out(run: &mut Run, start: i64, (x, y): (f64, f64)) -> i64 {
    for i in 0..30 {
        run.scan(GROUND, start + i * SCAN, &[]);
        run.scan(UPPER, start + i * SCAN, &[seen_on(1, x - 0.13 * i as f64, y)]);
    }
    start + 30 * SCAN
}

use EventKind::{Enters, Found, Leaves, Lost, Swapped};

#[test]
fn who_climbs_the_stairs_is_the_same_above() {
    let mut run = Run::new(site("stairs"));
    let t = ana_goes_in(&mut run, 0);
    let t = nobody(&mut run, t, 80);
    assert_eq!(run.fusion.occupant(TrackId(1)).unwrap().presence, Presence::Lost);
    run.events();
    comes_out(&mut run, t, (11.0, 2.0));
    let all = run.everybody();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((all[0].track, all[0].place.level, all[0].person), (TrackId(1), LevelId(1), Some(PersonId(0))));
    assert!(all[0].person_p > 0.99 && all[0].zones.as_slice() == [HALL_ABOVE], "{:?}", all[0]);
    let events = run.events();
    let hers: Vec<_> = events.iter().filter(|e| e.track == TrackId(1)).map(|e| (e.kind, e.zone)).collect();
    let expected = [
        (Found, None),
        (Leaves, Some(STAIRS)),
        (Enters, Some(STAIRS_ABOVE)),
        (Enters, Some(HALL_ABOVE)),
        (Leaves, Some(STAIRS_ABOVE)),
    ];
    assert_eq!(hers, expected);
    assert_eq!(run.fusion.counts().changed_level, 1);
}

#[test]
fn who_begins_elsewhere_is_a_newcomer() {
    // Beside the stairs above; much too late; not gone in at the stairs below.
    for (x, wait, start_x) in [(5.0, 30, 2.0), (11.0, 700, 2.0), (11.0, 30, -20.0)] {
        let mut run = Run::new(site("stairs"));
        let mut t = 0;
        for i in 0..75 {
            run.scan(GROUND, t, &[seen_on(0, start_x + 0.13 * i as f64, 2.0)]);
            t += SCAN;
        }
        let t = nobody(&mut run, t, wait);
        comes_out(&mut run, t, (x, 2.0));
        let above: Vec<_> = run.everybody().into_iter().filter(|w| w.place.level == LevelId(1)).collect();
        assert_eq!(above.len(), 1);
        assert_ne!(above[0].track, TrackId(1), "{above:?}");
        assert_eq!(run.fusion.counts().changed_level, 0);
    }
}

#[test]
fn who_is_still_seen_below_is_not_above() {
    let mut run = Run::new(site("stairs"));
    let t = ana_goes_in(&mut run, 0);
    for i in 0..30 {
        run.scan(GROUND, t + i * SCAN, &[seen_on(0, 11.75, 2.0)]);
        run.scan(UPPER, t + i * SCAN, &[seen_on(1, 11.75, 2.0)]);
    }
    assert_eq!(run.everybody().len(), 2);
    assert_eq!(run.fusion.occupant(TrackId(1)).unwrap().place.level, LevelId(0));
}

#[test]
fn a_lift_may_take_longer_than_stairs() {
    for (category, same) in [("elevator", true), ("stairs", false)] {
        let mut run = Run::new(site(category));
        let t = ana_goes_in(&mut run, 0);
        let t = nobody(&mut run, t, 600);
        comes_out(&mut run, t, (11.0, 2.0));
        let ana = run.everybody().into_iter().find(|w| w.track == TrackId(1)).map(|w| w.place.level);
        assert_eq!(ana, Some(LevelId(u16::from(same))), "{category}");
    }
}

#[test]
fn of_two_on_the_stairs_nobody_knows_who_comes_first() {
    let mut run = Run::new(site("stairs"));
    let mut t = 0;
    for i in 0..90 {
        // Ana is read at the reader and goes in; a stranger follows 2 m behind.
        let x = 2.0 + 0.13 * f64::from(i);
        let mut scan = Vec::new();
        scan.extend((x < 12.0).then(|| seen_on(0, x, 2.0)));
        scan.extend((x - 2.0 < 12.0 && x > 4.0).then(|| seen_on(0, x - 2.0, 2.6)));
        run.scan(GROUND, t, &scan);
        run.scan(UPPER, t, &[]);
        if i == 14 {
            run.observe(READER, t, Body::Badge { badge: CarriedKey::of("ana-badge") }).unwrap();
        }
        t += SCAN;
    }
    assert!(run.fusion.track_of(PersonId(0)).unwrap().1 > 0.99);
    let t = nobody(&mut run, t, 60);
    run.events();
    comes_out(&mut run, t, (11.0, 2.0));
    let events = run.events();
    assert_eq!(events.iter().filter(|e| e.kind == Swapped).count(), 1, "{events:?}");
    for who in run.everybody() {
        let posterior = run.fusion.posterior(who.track).unwrap();
        assert_eq!(posterior.candidates.len(), 1);
        assert!((posterior.candidates[0].1 - 0.5).abs() < 0.01 && (posterior.unknown - 0.5).abs() < 0.01, "{who:?}");
    }
}

#[test]
fn who_went_into_the_stairs_is_not_forgotten_though_sensors_look_there() {
    let mut run = Run::new(site("stairs"));
    let t = ana_goes_in(&mut run, 0);
    run.events();
    nobody(&mut run, t, 900);
    assert_eq!(run.everybody().len(), 1);
    assert_eq!(run.events().iter().map(|e| (e.kind, e.zone)).collect::<Vec<_>>(), [(Lost, Some(STAIRS))]);
}

#[test]
fn restored_on_the_stairs_she_arrives_all_the_same() {
    let mut run = Run::new(site("stairs"));
    let t = ana_goes_in(&mut run, 0);
    let t = nobody(&mut run, t, 40);
    let mut resumed = run.resumed();
    run.out.clear();
    comes_out(&mut run, t, (11.0, 2.0));
    comes_out(&mut resumed, t, (11.0, 2.0));
    assert_eq!(run.out, resumed.out);
    assert_eq!(run.saved(), resumed.saved());
    assert_eq!(run.everybody()[0].track, TrackId(1));
}
