//! Readings, who is alive, and whether anybody is in a zone by every declared evidence.

mod support;

use osmose_fusion::Fusion;
use osmose_model::device::{BinaryRole, SensorKind};
use osmose_model::ids::{CarriedKey, Name, SensorId, ZoneId};
use osmose_model::observation::{Body, Direction};
use osmose_model::site::Site;
use osmose_model::stages::Fuse;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::{Reading, Stimulus};
use std::sync::Arc;
use support::{add_sensor, add_zone, default_margins, fix, rectangle, said, tag};

const S: i64 = 1_000_000_000;
const ROOM: ZoneId = ZoneId(0);

fn room(sensors: &[(SensorKind, Option<BinaryRole>, Option<f64>)]) -> Site {
    let mut site = support::site(1, 10, default_margins());
    add_zone(&mut site, "room", 0, rectangle(0.0, 0.0, 8.0, 6.0));
    for &(kind, role, rate_hz) in sensors {
        let id = add_sensor(&mut site, kind, 0, &[ROOM], rate_hz);
        site.sensors[id.index()].role = role;
    }
    site
}

fn hear(fusion: &mut Fusion, sensor: u16, ns: i64, body: Body<'_>) -> Vec<Stimulus> {
    let mut out = Vec::new();
    fusion.observe(tag(ns, ns as u64), &said(SensorId(sensor), ns, body), &mut out).unwrap();
    out
}

#[test]
fn every_reading_is_kept_and_wakes_rules() {
    let kinds = [
        SensorKind::Binary,
        SensorKind::Badge,
        SensorKind::Crossing,
        SensorKind::Count,
        SensorKind::Value,
        SensorKind::Button,
    ];
    let site = room(&kinds.map(|k| (k, (k == SensorKind::Binary).then_some(BinaryRole::Fire), None)));
    let mut fusion = Fusion::new(Arc::new(site));
    let name = Name::new("scene-1").unwrap();
    let badge = CarriedKey::of("04A2");
    let cases = [
        (Body::Binary { on: true }, Reading::Switch(true)),
        (Body::Badge { badge }, Reading::Badge { badge, person: None }),
        (Body::Crossing { direction: Direction::In }, Reading::Crossing(Direction::In)),
        (Body::Count { people: 3 }, Reading::People(3)),
        (Body::Value { value: 21.5 }, Reading::Quantity(21.5)),
        (Body::Button { button: name }, Reading::Button(name)),
    ];
    for (i, (body, reading)) in cases.into_iter().enumerate() {
        let sensor = SensorId(i as u16);
        assert_eq!(fusion.alive(sensor, LogicalNs(S)), Tri::Unknown, "speaks only when something happens");
        let out = hear(&mut fusion, sensor.0, S + i as i64, body);
        assert!(out.contains(&Stimulus::Sensor(sensor)));
        let status = fusion.sensor(sensor);
        assert_eq!((status.reading, status.count), (Some(reading), 1));
        assert_eq!(
            (status.reading_at, status.heard_at),
            (Some(LogicalNs(S + i as i64)), Some(LogicalNs(S + i as i64)))
        );
        assert_eq!(fusion.alive(sensor, LogicalNs(1_000_000 * S)), Tri::True);
    }
}

#[test]
fn a_late_reading_does_not_replace_a_newer_one() {
    let mut fusion = Fusion::new(Arc::new(room(&[(SensorKind::Value, None, None)])));
    hear(&mut fusion, 0, 2 * S, Body::Value { value: 2.0 });
    let mut out = Vec::new();
    fusion.observe(tag(2 * S, 9), &said(SensorId(0), S, Body::Value { value: 1.0 }), &mut out).unwrap();
    assert_eq!(out, []);
    assert_eq!(fusion.sensor(SensorId(0)).reading, Some(Reading::Quantity(2.0)));
    assert_eq!(fusion.sensor(SensorId(0)).count, 2);
}

#[test]
fn a_periodic_sensor_dies_after_three_periods_and_says_so_at_that_instant() {
    let mut fusion = Fusion::new(Arc::new(room(&[(SensorKind::Value, None, Some(2.0))])));
    assert_eq!(fusion.alive(SensorId(0), LogicalNs(S)), Tri::Unknown);
    assert_eq!(fusion.alive(SensorId(0), LogicalNs(3 * S / 2)), Tri::False, "never heard");
    let out = hear(&mut fusion, 0, S, Body::Value { value: 1.0 });
    assert_eq!(out[0], Stimulus::Sensor(SensorId(0)));
    let due = LogicalNs(S + 3 * S / 2);
    assert_eq!(fusion.next_wakeup(), Some(due));
    assert_eq!(fusion.alive(SensorId(0), LogicalNs(due.0 - 1)), Tri::True);
    assert_eq!(fusion.alive(SensorId(0), due), Tri::False);
    let mut out = Vec::new();
    fusion.advance(due, &mut out);
    assert_eq!((out.as_slice(), fusion.next_wakeup()), (&[Stimulus::Sensor(SensorId(0))][..], None));
}

#[test]
fn a_declared_stale_time_counts_for_any_kind() {
    let mut site = room(&[(SensorKind::Button, None, None)]);
    site.sensors[0].stale = Some(DurationNs::from_s(60));
    let mut fusion = Fusion::new(Arc::new(site));
    hear(&mut fusion, 0, S, Body::Button { button: Name::default() });
    assert_eq!(fusion.alive(SensorId(0), LogicalNs(60 * S)), Tri::True);
    assert_eq!(fusion.alive(SensorId(0), LogicalNs(61 * S)), Tri::False);
}

#[test]
fn nobody_is_in_a_room_only_if_every_evidence_is_alive_and_silent() {
    let site = room(&[
        (SensorKind::Binary, Some(BinaryRole::Motion), Some(1.0)),
        (SensorKind::Count, None, None),
        (SensorKind::Binary, Some(BinaryRole::Contact), None),
        (SensorKind::Location, None, None),
    ]);
    let mut fusion = Fusion::new(Arc::new(site));
    assert_eq!(fusion.occupied(ROOM), Tri::Unknown, "nothing was heard yet");
    hear(&mut fusion, 0, S, Body::Binary { on: false });
    hear(&mut fusion, 1, S, Body::Count { people: 0 });
    assert_eq!(fusion.occupied(ROOM), Tri::Unknown, "the location system was never heard");
    let mut out = Vec::new();
    let elsewhere = fix(CarriedKey::of("p"), 20.0, 20.0, S);
    fusion.observe(tag(S, 3), &said(SensorId(3), S, elsewhere.body), &mut out).unwrap();
    assert_eq!(fusion.occupied(ROOM), Tri::False, "an open door is no evidence");
    hear(&mut fusion, 1, S + 1, Body::Count { people: 2 });
    assert_eq!(fusion.occupied(ROOM), Tri::True);
    hear(&mut fusion, 1, S + 2, Body::Count { people: 0 });
    hear(&mut fusion, 0, S + 3, Body::Binary { on: true });
    assert_eq!(fusion.occupied(ROOM), Tri::True);
    fusion.advance(LogicalNs(10 * S), &mut out);
    assert_eq!(fusion.occupied(ROOM), Tri::Unknown, "the motion detector is dead");
    hear(&mut fusion, 0, 10 * S, Body::Binary { on: false });
    assert_eq!(fusion.occupied(ROOM), Tri::False);
    // One lost in the room may still be there.
    let inside = fix(CarriedKey::of("p"), 4.0, 3.0, 10 * S);
    fusion.observe(tag(10 * S, 30), &said(SensorId(3), 10 * S, inside.body), &mut out).unwrap();
    assert_eq!(fusion.occupied(ROOM), Tri::True);
    for t in 11..14 {
        hear(&mut fusion, 0, t * S, Body::Binary { on: false });
    }
    assert_eq!(fusion.occupied(ROOM), Tri::Unknown);
}

#[test]
fn a_room_without_sensors_is_unknown_and_unused_kinds_keep_it_so() {
    let fusion = Fusion::new(Arc::new(room(&[])));
    assert_eq!(fusion.occupied(ROOM), Tri::Unknown);
    let mut fusion = Fusion::new(Arc::new(room(&[(SensorKind::Count, None, None), (SensorKind::Voice, None, None)])));
    hear(&mut fusion, 0, S, Body::Count { people: 0 });
    assert_eq!(fusion.occupied(ROOM), Tri::Unknown, "who is silent may be there");
}
