//! Somebody known who is lost is unknown, not gone; and leaves where they were when they turn up elsewhere.

mod support;

use osmose_model::device::{ClockKind, SensorKind};
use osmose_model::geometry::{Point, Polygon};
use osmose_model::ids::{CarriedKey, PersonId, SensorId, TrackId, ZoneId};
use osmose_model::observation::Body;
use osmose_model::site::Site;
use osmose_model::stages::Fuse;
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, Presence, ZoneCount};
use support::run::{Run, S, seen_on};
use support::{add_person, add_sensor, default_margins, rooms, said, tag};

const CEILING: SensorId = SensorId(1);
const OTHER: SensorId = SensorId(2);
const READER: SensorId = SensorId(3);
const OTHER_READER: SensorId = SensorId(4);
const ANA: PersonId = PersonId(0);

/// Two rooms, each under its own ceiling and with a reader of its own: at (4, 3) and at (14, 3).
fn site() -> Site {
    let mut site = rooms(2, 20, default_margins());
    add_sensor(&mut site, SensorKind::Position, 0, &[], Some(10.0));
    for (sensor, x) in [(CEILING, 0.0), (OTHER, 10.0)] {
        let corners = [(0.0, 0.0), (8.0, 0.0), (8.0, 6.0), (0.0, 6.0)].map(|(dx, y)| Point::new(x + dx, y));
        let sensor = &mut site.sensors[sensor.index()];
        sensor.field_of_view = Some(Polygon::simple(corners.to_vec()));
        (sensor.noise.sigma_m, sensor.noise.clutter_per_scan) = (0.1, 0.1);
    }
    for x in [4.0, 14.0] {
        let reader = add_sensor(&mut site, SensorKind::Badge, 0, &[], None);
        (site.sensors[reader.index()].pose.x_m, site.sensors[reader.index()].pose.y_m) = (x, 3.0);
    }
    add_person(&mut site, "ana");
    site
}

/// Ana is read in the first room, walks out of its ceiling's view and is lost. Somebody else may stand in the second all
/// along: track 2.
fn lost(site: Site, beside: bool) -> Run {
    let mut run = Run::new(site);
    for i in 0..100 {
        let ns = i * S / 10;
        let x = 4.0 + 0.13 * (i - 20).max(0) as f64;
        let scan = [seen_on(0, x, 3.0)];
        run.scan(CEILING, ns, if i < 50 { &scan } else { &[] });
        if i == 15 {
            run.observe(READER, ns, Body::Badge { badge: CarriedKey::of("ana-badge") }).unwrap();
        }
        if beside {
            run.scan(OTHER, ns + 1, &[seen_on(0, 14.0, 3.0)]);
        }
    }
    run
}

#[test]
fn somebody_known_is_unknown_for_hours_and_never_left() {
    let mut run = lost(site(), false);
    run.fusion.advance(LogicalNs(7200 * S), &mut run.out);
    let all = run.everybody();
    assert_eq!((all.len(), all[0].presence, all[0].person), (1, Presence::Lost, Some(ANA)));
    assert!(run.events().iter().all(|e| e.kind != EventKind::Leaves));
    assert_eq!(run.fusion.count_in(ZoneId(0)), ZoneCount { seen: 0, lost: 1 });
}

/// What is said of leaving: once, of the first room, by the lost track.
fn left_once(run: &mut Run) {
    let events = run.events();
    let leaves: Vec<_> = events.iter().filter(|e| e.kind == EventKind::Leaves).collect();
    assert_eq!(leaves.len(), 1, "{events:?}");
    assert_eq!((leaves[0].zone, leaves[0].person, leaves[0].track), (Some(ZoneId(0)), Some(ANA), TrackId(1)));
    assert!(events.iter().any(|e| (e.kind, e.track, e.person) == (EventKind::Identified, TrackId(2), Some(ANA))));
    let all = run.everybody();
    let who: Vec<_> = all.iter().map(|w| (w.track, w.person, w.presence)).collect();
    assert_eq!(who, [(TrackId(2), Some(ANA), Presence::Seen)]);
    assert_eq!(run.fusion.count_in(ZoneId(0)), ZoneCount::default());
}

#[test]
fn who_turns_up_elsewhere_leaves_where_they_were() {
    let mut run = lost(site(), true);
    run.events();
    run.observe(OTHER_READER, 10 * S, Body::Badge { badge: CarriedKey::of("ana-badge") }).unwrap();
    left_once(&mut run);
}

#[test]
fn who_turned_up_elsewhere_by_a_late_badge_leaves_too() {
    let mut site = site();
    site.sensors[OTHER_READER.index()].clock = ClockKind::Device;
    let mut run = lost(site, true);
    run.events();
    // Told 200 ms after it was shown: what came since runs again, and says nothing by itself.
    let late = said(OTHER_READER, 98 * S / 10, Body::Badge { badge: CarriedKey::of("ana-badge") });
    run.fusion.observe(tag(10 * S, 999), &late, &mut run.out).unwrap();
    assert_eq!(run.fusion.counts().late_rerun, 1);
    left_once(&mut run);
}

#[test]
fn who_is_seen_on_elsewhere_leaves_as_they_are_found() {
    let mut run = lost(site(), false);
    run.events();
    for i in 100..130 {
        run.scan(OTHER, i * S / 10, &[seen_on(0, 14.0, 3.0)]);
    }
    let kinds: Vec<_> = run.events().iter().map(|e| (e.kind, e.zone, e.person)).collect();
    let (from, to) = (Some(ZoneId(0)), Some(ZoneId(1)));
    let want = [(EventKind::Found, None), (EventKind::Leaves, from), (EventKind::Enters, to)];
    assert_eq!(kinds, want.map(|(kind, zone)| (kind, zone, Some(ANA))));
}

/// Somebody comes to the place where ana stands, or where she stood until just before and nobody is any more: how often it
/// was said that two may have changed places, and whom the newcomer is taken for then.
fn stepped_to(is_gone: bool) -> (usize, Option<PersonId>) {
    let mut run = Run::new(site());
    for i in 0..68 {
        let ns = i * S / 10;
        let walker = seen_on(0, 4.0 + 0.13 * ((i - 57).clamp(-23, 0)) as f64, 3.05);
        let scan = [seen_on(0, 4.0, 3.0), walker];
        run.scan(CEILING, ns, if is_gone && i >= 50 { &scan[1..] } else { &scan });
        if i == 15 {
            run.observe(READER, ns, Body::Badge { badge: CarriedKey::of("ana-badge") }).unwrap();
        }
    }
    let ana = run.everybody().into_iter().find(|w| w.person == Some(ANA)).expect("she is still known");
    assert_eq!(ana.presence, Presence::Seen, "not lost yet");
    let swaps = run.events().iter().filter(|e| e.kind == EventKind::Swapped).count();
    let walker = run.everybody().into_iter().find(|w| w.track == TrackId(1)).expect("the newcomer");
    (swaps, walker.person)
}

#[test]
fn nobody_changes_places_with_a_ghost() {
    assert_eq!(stepped_to(true), (0, None), "what the tracker dropped is nobody to change places with");
    // While she stands there, the two may have.
    assert_eq!(stepped_to(false).0, 1);
}

#[test]
fn how_likely_somebody_is_in_a_zone_goes_with_how_deep_and_how_sure() {
    let mut run = Run::new(site());
    for i in 0..30 {
        run.scan(CEILING, i * S / 10, &[seen_on(0, 7.98, 3.0), seen_on(0, 4.0, 3.0)]);
    }
    let p = |x: f64| {
        let all = run.everybody();
        let who = all.iter().find(|w| (w.place.at.x_m - x).abs() < 0.3).expect("somebody");
        run.fusion.in_zone_p(who.track, ZoneId(0)).unwrap()
    };
    assert!((0.5..0.9).contains(&p(7.98)) && p(4.0) > 0.9999, "{} {}", p(7.98), p(4.0));
    assert_eq!(run.fusion.in_zone_p(TrackId(99), ZoneId(0)), None);
    assert_eq!(run.fusion.in_zone_p(TrackId(1), ZoneId(99)), None);
}
