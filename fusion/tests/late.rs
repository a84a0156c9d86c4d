//! Late observations: whatever order they come in, the state is the one of those that come in order.

mod support;

use osmose_fusion::Fusion;
use osmose_model::device::{ClockKind, SensorKind};
use osmose_model::geometry::Place;
use osmose_model::ids::{CarriedKey, LevelId, Name, PersonId, SensorId, TrackId, ZoneId};
use osmose_model::observation::{Body, Detection, Direction};
use osmose_model::site::Site;
use osmose_model::stages::{Fuse, Refusal};
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, Stimulus};
use proptest::prelude::*;
use std::sync::Arc;
use support::{add_person, add_sensor, default_margins, rooms, said, tag};

const S: i64 = 1_000_000_000;
const MS: i64 = 1_000_000;
const SCAN: i64 = S / 10;
/// How late anything may be.
const LATE_MAX: i64 = 500 * MS;
const CEILING: SensorId = SensorId(1);
const OTHER: SensorId = SensorId(2);
const READER: SensorId = SensorId(3);
const ANCHORS: u16 = 4;
const MOTION: SensorId = SensorId(8);
/// At the door between the rooms; counts, hears and sees gestures in the first.
const DOOR: SensorId = SensorId(9);
const COUNTER: SensorId = SensorId(10);
const MIC: SensorId = SensorId(11);
const WALL: SensorId = SensorId(12);
const COMPASS: SensorId = SensorId(13);

fn seen(x_m: f64, y_m: f64) -> Detection {
    Detection { place: Place::flat(LevelId(0), x_m, y_m), sigma_m: None }
}

/// Two rooms under two ceiling sensors with clocks of their own, a location system (0), a badge reader between the rooms,
/// four anchors, Ana and Ben.
fn site() -> Site {
    let mut site = rooms(2, 50, default_margins());
    let other = add_sensor(&mut site, SensorKind::Position, 0, &[], Some(10.0));
    let reader = add_sensor(&mut site, SensorKind::Badge, 0, &[], None);
    for (x_m, y_m) in [(0.0, 0.0), (18.0, 0.0), (18.0, 6.0), (0.0, 6.0)] {
        let anchor = add_sensor(&mut site, SensorKind::Range, 0, &[], None);
        (site.sensors[anchor.index()].pose.x_m, site.sensors[anchor.index()].pose.y_m) = (x_m, y_m);
        site.sensors[anchor.index()].noise.sigma_m = 0.1;
    }
    for sensor in [CEILING, other] {
        site.sensors[sensor.index()].noise.sigma_m = 0.1;
        site.sensors[sensor.index()].noise.clutter_per_scan = 0.1;
    }
    (site.sensors[reader.index()].pose.x_m, site.sensors[reader.index()].pose.y_m) = (9.0, 3.0);
    // A motion detector in the first room.
    add_sensor(&mut site, SensorKind::Binary, 0, &[ZoneId(0)], None);
    let door = add_sensor(&mut site, SensorKind::Crossing, 0, &[ZoneId(0)], None);
    (site.sensors[door.index()].pose.x_m, site.sensors[door.index()].pose.y_m) = (8.0, 3.0);
    for kind in [SensorKind::Count, SensorKind::Voice, SensorKind::Gesture, SensorKind::Facing] {
        add_sensor(&mut site, kind, 0, &[ZoneId(0)], None);
    }
    site.sensors.iter_mut().for_each(|s| s.clock = ClockKind::Device);
    add_person(&mut site, "ana");
    add_person(&mut site, "ben");
    site
}

/// The same, with a motion detector that is dead after three silent seconds. When that is is a matter of arrival.
fn mortal_site() -> Site {
    let mut site = site();
    site.sensors[MOTION.index()].rate_hz = Some(1.0);
    site
}

/// One observation of a scene: when it is true, how much later it comes, and what it is.
#[derive(Clone, Copy, Debug)]
struct Said {
    ns: i64,
    delay: i64,
    what: u8,
    dx: f64,
    dy: f64,
}

impl Said {
    fn arrival(&self) -> i64 {
        self.ns + self.delay
    }

    /// Uses it under a tag.
    fn put(&self, fusion: &mut Fusion, at: i64, seq: u64, out: &mut Vec<Stimulus>) -> Result<(), Refusal> {
        let Self { ns, what, dx, dy, .. } = *self;
        let walk = 1.0 * (ns - S) as f64 / S as f64;
        let all = [seen(9.0 + dx, 3.0 + dy), seen(3.0 + walk + dy, 3.0 + dx), seen(15.0 - walk, 3.2 + dx)];
        let scan: Vec<Detection> = (0..3).filter(|k| what & (1 << k) != 0).map(|k| all[k]).collect();
        let p = all[1].place.at;
        let range = |anchor: u16| {
            let pose = site_pose(anchor);
            ((p.x_m - pose[0]) * (p.x_m - pose[0]) + (p.y_m - pose[1]) * (p.y_m - pose[1]) + 0.01).sqrt()
        };
        let (sensor, body) = match what {
            0..=7 => (CEILING, Body::Position(&scan)),
            8..=15 => (OTHER, Body::Position(&scan)),
            16 => (READER, Body::Badge { badge: CarriedKey::of("ana-badge") }),
            17 => (READER, Body::Badge { badge: CarriedKey::of("ben-badge") }),
            24 | 25 => (MOTION, Body::Binary { on: what == 24 }),
            26 => (DOOR, Body::Crossing { direction: Direction::In }),
            27 => (DOOR, Body::Crossing { direction: Direction::Out }),
            28 => (COUNTER, Body::Count { people: u32::from(dx > 0.0) + u32::from(dy > 0.0) }),
            29 => {
                let bearing_rad = (dy > 0.0).then_some(libm::atan2(3.0, 3.0 + walk) + 0.3 * dx);
                (MIC, Body::Voice { person: PersonId(u16::from(dx > 0.0)), likelihood: 30.0, bearing_rad })
            }
            30 => {
                let place = Place::flat(LevelId(0), 3.0 + walk + dx, 3.0 + dy);
                (WALL, Body::Gesture { place, gesture: Name::new("wave").unwrap() })
            }
            31 => {
                let place = Place::flat(LevelId(0), 3.0 + walk + dx, 3.0 + dy);
                (COMPASS, Body::Facing { place, heading_rad: dx, sigma_rad: None })
            }
            18 | 19 => {
                let place = Place::flat(LevelId(0), 15.0 - walk + dx, 3.2 + dy);
                (SensorId(0), Body::Location { device: CarriedKey::of("ben-tag"), place, sigma_m: None })
            }
            _ => {
                let anchor = u16::from(what) % 4;
                let range_m = range(anchor);
                (SensorId(ANCHORS + anchor), Body::Range { device: CarriedKey::of("tag"), range_m, sigma_m: None })
            }
        };
        fusion.observe(tag(at, seq), &said(sensor, ns, body), out)
    }
}

fn site_pose(anchor: u16) -> [f64; 2] {
    [[0.0, 0.0], [18.0, 0.0], [18.0, 6.0], [0.0, 6.0]][usize::from(anchor)]
}

/// A scene in the order of when things were true; ties are common.
fn scene() -> impl Strategy<Value = Vec<Said>> {
    let wait = prop_oneof![3 => 1i64..120 * MS, 1 => Just(0i64), 1 => Just(50 * MS), 1 => 300 * MS..3 * S];
    let delay = prop_oneof![2 => Just(0i64), 2 => 0..30 * MS, 2 => 0..=LATE_MAX];
    let what = prop_oneof![6 => 0u8..16, 1 => 16u8..20, 3 => 20u8..26, 2 => 26u8..32];
    let one = (wait, delay, what, -0.2..0.2f64, -0.2..0.2f64);
    prop::collection::vec(one, 1..70).prop_map(|steps| {
        let mut ns = S;
        let said = |(wait, delay, what, dx, dy)| {
            ns += wait;
            Said { ns, delay, what, dx, dy }
        };
        steps.into_iter().map(said).collect()
    })
}

/// Uses a scene as it comes (or all at once when it is true), and lets time pass to `end`.
fn run(scene: &[Said], in_order: bool, end: i64) -> (Fusion, Vec<Stimulus>) {
    let mut fusion = Fusion::new(Arc::new(site()));
    let mut out = Vec::new();
    let mut order: Vec<Said> = scene.to_vec();
    if !in_order {
        order.sort_by_key(Said::arrival);
    }
    for (i, said) in order.iter().enumerate() {
        let at = if in_order { said.ns } else { said.arrival() };
        let taken = said.put(&mut fusion, at, i as u64 + 1, &mut out);
        assert!(taken.is_ok(), "{taken:?} of {said:?}");
    }
    fusion.advance(LogicalNs(end), &mut out);
    (fusion, out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_order_they_come_in_the_state_is_that_of_those_in_order(scene in scene(), more in 0..4 * S) {
        let end = scene.iter().map(Said::arrival).max().unwrap_or(S) + more;
        let (in_order, _) = run(&scene, true, end);
        let (as_they_come, _) = run(&scene, false, end);
        prop_assert_eq!(as_they_come.counts().late_degraded, 0);
        prop_assert!(in_order.state_bytes() == as_they_come.state_bytes(), "{}", apart(&in_order, &as_they_come));
    }

    #[test]
    fn what_is_said_adds_up_to_what_there_is(scene in scene()) {
        // Of those without devices: one that joins a track goes on in that one's zones.
        let scene: Vec<Said> = scene.into_iter().filter(|s| s.what < 18).collect();
        let end = scene.iter().map(Said::arrival).max().unwrap_or(S) + S;
        let (fusion, out) = run(&scene, false, end);
        // Whoever was said to enter and not to leave since is in the zone, and the other way round.
        let mut inside = std::collections::BTreeMap::new();
        for stimulus in &out {
            // Whoever is confirmed (anew, after late observations unsaid it) has zones filled in silently.
            if let Stimulus::World(e) = stimulus
                && e.kind == EventKind::Confirmed
            {
                inside.retain(|(track, _), _| *track != e.track);
            }
            if let Stimulus::World(e) = stimulus
                && let (EventKind::Enters | EventKind::Leaves, Some(zone)) = (e.kind, e.zone)
            {
                prop_assert_ne!(inside.insert((e.track, zone), e.kind == EventKind::Enters), Some(e.kind == EventKind::Enters), "{:?}", e);
            }
        }
        for ((track, zone), is_in) in inside {
            let there = fusion.occupant(track).is_some_and(|w| w.zones.contains(&zone));
            prop_assert!(!is_in || there || fusion.occupant(track).is_none());
            prop_assert!(is_in || !there);
        }
    }

    #[test]
    fn restored_at_any_step_it_continues_bit_for_bit(scene in scene(), cut in 0usize..70) {
        let mut order = scene.clone();
        order.sort_by_key(Said::arrival);
        let mut whole = Fusion::new(Arc::new(mortal_site()));
        let mut resumed: Option<Fusion> = None;
        let mut early = Vec::new();
        for (i, said) in order.iter().enumerate() {
            if i == cut % order.len() {
                let mut bytes = Vec::new();
                whole.save(&mut bytes);
                let mut other = Fusion::new(Arc::new(mortal_site()));
                other.restore(&bytes).unwrap();
                let mut again = Vec::new();
                other.save(&mut again);
                prop_assert!(bytes == again);
                resumed = Some(other);
            }
            let (mut a, mut b) = (Vec::new(), Vec::new());
            let out = if resumed.is_some() { &mut a } else { &mut early };
            let taken = said.put(&mut whole, said.arrival(), i as u64 + 1, out);
            if let Some(resumed) = &mut resumed {
                prop_assert_eq!(said.put(resumed, said.arrival(), i as u64 + 1, &mut b), taken);
                prop_assert_eq!(&a, &b);
                prop_assert_eq!(resumed.next_wakeup(), whole.next_wakeup());
                prop_assert_eq!(resumed.counts(), whole.counts());
                let (mut x, mut y) = (Vec::new(), Vec::new());
                whole.save(&mut x);
                resumed.save(&mut y);
                prop_assert!(x == y, "saved otherwise after {said:?}");
            }
        }
    }

    #[test]
    fn a_copy_of_what_came_changes_nothing(scene in scene(), again in prop::collection::vec(any::<bool>(), 70)) {
        let end = scene.iter().map(Said::arrival).max().unwrap_or(S) + S;
        let (once, said_once) = run(&scene, false, end);
        let mut twice = Fusion::new(Arc::new(site()));
        let mut order = scene.clone();
        order.sort_by_key(Said::arrival);
        let mut out = Vec::new();
        for (i, said) in order.iter().enumerate() {
            for _ in 0..1 + usize::from(again[i % again.len()]) {
                said.put(&mut twice, said.arrival(), i as u64 + 1, &mut out).unwrap();
            }
        }
        twice.advance(LogicalNs(end), &mut out);
        prop_assert!(once.state_bytes() == twice.state_bytes());
        let events = |all: &[Stimulus]| all.iter().filter(|s| matches!(s, Stimulus::World(_))).count();
        prop_assert_eq!(events(&said_once), events(&out));
    }
}

/// What is other, a line for each occupant of the one and of the other.
fn apart(a: &Fusion, b: &Fusion) -> String {
    let lines = |fusion: &Fusion| who(fusion).iter().map(|w| format!("{w:?}")).collect::<Vec<_>>();
    let (a, b) = (lines(a), lines(b));
    let only = |a: &[String], b: &[String]| a.iter().filter(|l| !b.contains(l)).cloned().collect::<Vec<_>>().join("\n");
    format!("in order:\n{}\nas they come:\n{}", only(&a, &b), only(&b, &a))
}

fn who(fusion: &Fusion) -> Vec<osmose_model::world::Occupant> {
    let mut all = Vec::new();
    fusion.for_each_occupant(&mut |w| all.push(w.clone()));
    all
}

/// A walker from the first room into the second under one ceiling, from which one scan is missing.
fn walk(fusion: &mut Fusion, out: &mut Vec<Stimulus>, scans: std::ops::Range<i64>, missing: Option<i64>) {
    for i in scans.filter(|i| Some(*i) != missing) {
        let x_m = 4.0 + 0.13 * i as f64;
        let scan = [seen(x_m, 3.0)];
        fusion.observe(tag(i * SCAN, i as u64), &said(CEILING, i * SCAN, Body::Position(&scan)), out).unwrap();
    }
}

#[test]
fn what_a_late_scan_shows_is_said_once_and_what_was_said_stands() {
    let (mut fusion, mut out) = (Fusion::new(Arc::new(site())), Vec::new());
    // Nobody in view for two scans, then the one that shows somebody, late.
    let empty = |fusion: &mut Fusion, i: i64, out: &mut Vec<Stimulus>| {
        fusion.observe(tag(i * SCAN, i as u64), &said(CEILING, i * SCAN, Body::Position(&[])), out).unwrap();
    };
    walk(&mut fusion, &mut out, 1..30, None);
    let track = TrackId(1);
    assert_eq!(fusion.occupant(track).unwrap().zones.as_slice(), [ZoneId(0)]);
    out.clear();
    // It is seen to cross the door in scans that come late, out of order, together.
    for i in [38, 30, 36, 33, 31, 37, 32, 35, 34] {
        let scan = [seen(4.0 + 0.13 * i as f64, 3.0)];
        let late = said(CEILING, i * SCAN, Body::Position(&scan));
        fusion.observe(tag(38 * SCAN, 100 + i as u64), &late, &mut out).unwrap();
    }
    let events: Vec<_> =
        out.iter().filter_map(|s| if let Stimulus::World(e) = s { Some((e.kind, e.zone)) } else { None }).collect();
    assert_eq!(events, [(EventKind::Leaves, Some(ZoneId(0)))]);
    assert!(fusion.counts().late_rerun > 0);
    let (mut in_order, mut said_in_order) = (Fusion::new(Arc::new(site())), Vec::new());
    walk(&mut in_order, &mut said_in_order, 1..39, None);
    assert_eq!(in_order.state_bytes(), fusion.state_bytes());
    empty(&mut fusion, 39, &mut out);
}

#[test]
fn one_lost_for_want_of_a_late_scan_is_found_again() {
    let (mut fusion, mut out) = (Fusion::new(Arc::new(site())), Vec::new());
    walk(&mut fusion, &mut out, 1..20, None);
    out.clear();
    // The next scan was made 1.9 s later and comes 0.2 s after that, when the zone's 2 s are over.
    let (made, comes) = (19 * SCAN + 1900 * MS, 19 * SCAN + 2100 * MS);
    fusion.advance(LogicalNs(comes), &mut out);
    let scan = [seen(4.0 + 0.13 * 20.0, 3.0)];
    fusion.observe(tag(comes, 50), &said(CEILING, made, Body::Position(&scan)), &mut out).unwrap();
    let kinds: Vec<_> =
        out.iter().filter_map(|s| if let Stimulus::World(e) = s { Some(e.kind) } else { None }).collect();
    assert_eq!(kinds, [EventKind::Lost, EventKind::Found]);
    assert_eq!(fusion.occupant(TrackId(1)).unwrap().seen_at, LogicalNs(made));
}

#[test]
fn a_moment_of_changing_places_is_said_once_however_often_it_runs_again() {
    // Wherever the copies stand by the moment at which they meet.
    for (late, begin) in (0..3).flat_map(|late| (10..20).map(move |begin| (late, begin))) {
        let mut fusion = Fusion::new(Arc::new(site()));
        let (mut out, mut seq) = (Vec::new(), 0);
        let mut put = |fusion: &mut Fusion, at: i64, (sensor, ns): (SensorId, i64), body: Body<'_>| {
            seq += 1;
            fusion.observe(tag(at, seq), &said(sensor, ns, body), &mut out).unwrap();
        };
        // Ana is read, Ben waits; she comes to him and stays. Every third scan is a quarter of a second late.
        let delay = |k: i64| if k % 3 == late { 250 * MS } else { 0 };
        let mut scans: Vec<(i64, i64)> = (0..60).map(|k| (k * SCAN + delay(k), k)).collect();
        scans.sort_unstable();
        for (at, k) in scans {
            let gap = (4.0 - 0.2 * (k - begin).max(0) as f64).max(0.04);
            put(&mut fusion, at, (CEILING, k * SCAN), Body::Position(&[seen(13.0 - gap, 3.0), seen(13.0, 3.0)]));
            if k == 9 {
                let badge = CarriedKey::of("ana-badge");
                put(&mut fusion, at + MS, (READER, at + MS), Body::Badge { badge });
            }
        }
        let mut swaps = Vec::new();
        for stimulus in &out {
            if let Stimulus::World(e) = stimulus
                && e.kind == EventKind::Swapped
            {
                assert!(!swaps.contains(&(e.track, e.other, e.measured)), "said twice: {e:?}");
                swaps.push((e.track, e.other, e.measured));
            }
        }
        assert!(!swaps.is_empty(), "they met");
    }
}

#[test]
fn a_late_badge_binds_who_stood_at_the_reader_then() {
    let mut fusion = Fusion::new(Arc::new(site()));
    let mut out = Vec::new();
    for i in 1..24 {
        // The first stands at the reader until 2 s and then walks off, the second comes as the first goes.
        let away = (0.13 * (i - 19) as f64).max(0.0);
        let scan = [seen(9.0 + 2.0 * away, 3.0), seen(5.0 + 0.15 * i as f64, 1.0)];
        fusion.observe(tag(i * SCAN, i as u64), &said(CEILING, i * SCAN, Body::Position(&scan)), &mut out).unwrap();
    }
    let first = TrackId(1).min(TrackId(2));
    let at_reader = who(&fusion).iter().find(|w| w.place.at.y_m > 2.0).unwrap().track;
    assert!(at_reader >= first);
    let late = said(READER, 19 * SCAN + MS, Body::Badge { badge: CarriedKey::of("ana-badge") });
    fusion.observe(tag(23 * SCAN, 99), &late, &mut out).unwrap();
    assert_eq!(fusion.track_of(PersonId(0)).map(|t| t.0), Some(at_reader));
}

#[test]
fn beyond_the_cap_it_is_used_as_it_comes_and_counted() {
    let mut site = support::site(1, 2000, default_margins());
    let sensor = add_sensor(&mut site, SensorKind::Position, 0, &[], Some(10.0));
    site.sensors[sensor.index()].clock = ClockKind::Device;
    site.sensors[sensor.index()].noise.sigma_m = 0.1;
    let mut fusion = Fusion::new(Arc::new(site));
    let crowd: Vec<Detection> = (0..1200).map(|i| seen(2.0 * f64::from(i % 40), 2.0 * f64::from(i / 40))).collect();
    let mut out = Vec::with_capacity(8192);
    let mut scan = |fusion: &mut Fusion, at: i64, ns: i64| {
        out.clear();
        fusion.observe(tag(at, 1), &said(sensor, ns, Body::Position(&crowd)), &mut out)
    };
    for i in 1..8 {
        scan(&mut fusion, i * SCAN, i * SCAN).unwrap();
    }
    // One scan back is within the cap, four are beyond.
    assert_eq!(scan(&mut fusion, 7 * SCAN + 1, 7 * SCAN - 50 * MS), Ok(()));
    assert_eq!(scan(&mut fusion, 7 * SCAN + 1, 7 * SCAN - 450 * MS), Err(Refusal::LateDegraded));
    assert_eq!((fusion.counts().late_degraded, fusion.counts().late_rerun), (1, 1));
    let mut bytes = Vec::new();
    fusion.save(&mut bytes);
    let mut other = Fusion::new(Arc::clone(fusion.site()));
    other.restore(&bytes).unwrap();
    assert!(other.state_bytes() == fusion.state_bytes());
}
