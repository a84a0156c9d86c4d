//! A day of people coming and going under sensors of every kind leaves no track, no state and no memory behind.
//! Alone in its file: memory is counted, and another test beside it would be counted too.

mod support;

use osmose_fusion::tracker::{Config, Detection as Seen, FieldOfView, SensorModel, Tracker};
use osmose_model::device::{ClockKind, SensorKind};
use osmose_model::geometry::{Place, Point, Polygon};
use osmose_model::ids::{CarriedKey, LevelId, Name, PersonId, SensorId, ZoneId};
use osmose_model::observation::{BearingHit, Body, CloudPoint, Detection, Direction};
use osmose_model::site::{Site, ZoneMargins};
use osmose_model::stages::Fuse;
use osmose_model::time::DurationNs;
use osmose_model::world::{EventKind, Presence, Stimulus};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use support::dice::Dice;
use support::run::{Run, S};
use support::{add_person, add_sensor, default_margins, rooms, said, tag};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes of memory in use.
fn memory() -> i64 {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as i64 - stats.bytes_deallocated as i64
}

const HOUR_S: i64 = 3600;
/// The last visitor of an hour is gone by then; anonymous ones are forgotten ten minutes after that.
const QUIET_S: i64 = 2600;

/// Where each kind of sensor is in the site: location and position first, then in the order of [`KINDS`].
const ANCHORS: u16 = 2;
const KINDS: [(SensorKind, &[u16], f64, f64); 20] = [
    (SensorKind::Range, &[], 0.0, 0.0),
    (SensorKind::Range, &[], 28.0, 0.0),
    (SensorKind::Range, &[], 14.0, 6.0),
    (SensorKind::Tdoa, &[], 0.0, 6.0),
    (SensorKind::Tdoa, &[], 28.0, 6.0),
    (SensorKind::Tdoa, &[], 14.0, 0.0),
    (SensorKind::Rssi, &[], 4.0, 3.0),
    (SensorKind::Rssi, &[], 14.0, 3.0),
    (SensorKind::Rssi, &[], 24.0, 3.0),
    (SensorKind::Bearing, &[], 14.0, 0.5),
    (SensorKind::Points, &[2], 24.0, 0.1),
    (SensorKind::Voice, &[1], 14.0, 3.0),
    (SensorKind::Gesture, &[0], 4.0, 3.0),
    (SensorKind::Facing, &[0], 4.0, 3.0),
    (SensorKind::Binary, &[0], 4.0, 3.0),
    (SensorKind::Badge, &[], 1.5, 3.0),
    (SensorKind::Crossing, &[0], 0.5, 3.0),
    (SensorKind::Count, &[1], 14.0, 3.0),
    (SensorKind::Value, &[1], 14.0, 3.0),
    (SensorKind::Button, &[1], 14.0, 3.0),
];

/// The sensor of that kind with that number among its kind.
fn sensor(kind: SensorKind, nth: usize) -> SensorId {
    let at = KINDS.iter().enumerate().filter(|(_, k)| k.0 == kind).nth(nth).expect("there is one").0;
    SensorId(ANCHORS + at as u16)
}

fn site() -> Site {
    let mut site = rooms(3, 60, ZoneMargins { lost: DurationNs::from_s(6), ..default_margins() });
    site.sensors[1].noise.sigma_m = 0.15;
    site.sensors[1].noise.clutter_per_scan = 0.5;
    site.sensors[1].rate_hz = Some(1.0);
    let corners = [(0.0, 0.0), (19.0, 0.0), (19.0, 6.0), (0.0, 6.0)];
    site.sensors[1].field_of_view = Some(Polygon::simple(corners.map(|(x, y)| Point::new(x, y)).to_vec()));
    for (kind, zones, x_m, y_m) in KINDS {
        let zones: Vec<ZoneId> = zones.iter().copied().map(ZoneId).collect();
        let id = add_sensor(&mut site, kind, 0, &zones, None);
        let sensor = &mut site.sensors[id.index()];
        (sensor.pose.x_m, sensor.pose.y_m) = (x_m, y_m);
        if matches!(kind, SensorKind::Range | SensorKind::Binary | SensorKind::Badge | SensorKind::Rssi) {
            sensor.clock = ClockKind::Device;
        }
    }
    for name in ["ana", "ben", "cleo"] {
        add_person(&mut site, name);
    }
    site
}

/// Who visits in an hour: 0 with her own tag, 1 with his badge, 2 who is heard, 3 with a stranger's ranged tag, 4 with a
/// stranger's telephone, the others with nothing.
const VISITORS: i64 = 7;

/// Where a visitor is so many seconds into the hour: in along y = 3 m to a place of their own, and out again.
fn at(visitor: i64, into_s: i64) -> Option<(f64, f64)> {
    const WALK_MPS: f64 = 0.8;
    let since = (into_s - 60 - 120 * visitor) as f64;
    let depth_m = 3.0 + 3.9 * visitor as f64;
    let stay_s = 700.0 + 60.0 * visitor as f64;
    let there_s = depth_m / WALK_MPS;
    let along = match since {
        s if s < 0.0 => return None,
        s if s < there_s => s * WALK_MPS,
        s if s < there_s + stay_s => depth_m,
        s => depth_m - (s - there_s - stay_s) * WALK_MPS,
    };
    let aside = if along == depth_m { 1.0 - 0.3 * visitor as f64 } else { 0.0 };
    (along >= 0.0).then_some((0.2 + along, 3.0 + aside))
}

/// One second of the day.
fn second(run: &mut Run, dice: &mut Dice, t: i64, wave: Name) {
    let (hour, into) = (t / HOUR_S, t % HOUR_S);
    let ns = t * S;
    let body: Vec<Option<(f64, f64)>> = (0..VISITORS).map(|v| at(v, into)).collect();
    let mut scan: Vec<Detection> = Vec::new();
    let mut cloud: Vec<CloudPoint> = Vec::new();
    for &(x, y) in body.iter().flatten() {
        let place = |dice: &mut Dice, s: f64| Place::flat(LevelId(0), x + s * dice.normal(), y + s * dice.normal());
        if x < 19.0 && dice.unit() < 0.9 {
            scan.push(Detection { place: place(dice, 0.15), sigma_m: None });
        }
        if x > 19.0 {
            for _ in 0..6 {
                cloud.push(CloudPoint { place: place(dice, 0.1), doppler_mps: Some(0.4), intensity: None });
            }
        }
    }
    if dice.unit() < 0.4 {
        let place = Place::flat(LevelId(0), 19.0 * dice.unit(), 6.0 * dice.unit());
        scan.push(Detection { place, sigma_m: None });
    }
    // At night the ceiling looks less often.
    if into < QUIET_S || into % 5 == 0 {
        run.scan(SensorId(1), ns, &scan);
        run.observe(sensor(SensorKind::Points, 0), ns, Body::Points(&cloud)).unwrap();
    }
    let late = |run: &mut Run, dice: &mut Dice, sensor: SensorId, body: Body<'_>| {
        run.seq += 1;
        let measured = ns - (dice.unit() * 0.4e9) as i64;
        let taken = run.fusion.observe(tag(ns, run.seq), &said(sensor, measured, body), &mut run.out);
        assert!(taken.is_ok(), "{taken:?} of {sensor:?}");
    };
    if let Some((x, y)) = body[0].filter(|_| into % 2 == 0) {
        run.fix(SensorId(0), ns, "ana-tag", 0, (x, y));
    }
    if let (Some((x, _)), true) = (body[1], into % 3 == 0)
        && (x - 1.5).abs() < 2.0
    {
        late(run, dice, sensor(SensorKind::Badge, 0), Body::Badge { badge: CarriedKey::of("ben-badge") });
    }
    if let Some((x, y)) = body[3].filter(|_| into % 4 == 0) {
        let device = CarriedKey::of(&format!("tag of {hour}"));
        let range = |k: usize| libm::hypot(libm::hypot(x - KINDS[k].2, y - KINDS[k].3), 0.0);
        for k in 0..3 {
            let range_m = range(k) + 0.1 * dice.normal().abs();
            late(run, dice, SensorId(ANCHORS + k as u16), Body::Range { device, range_m, sigma_m: None });
        }
        for other in [4, 5] {
            let diff_m = range(other) - range(3) + 0.1 * dice.normal();
            let body = Body::Tdoa { other: SensorId(ANCHORS + other as u16), device, diff_m, sigma_m: None };
            run.observe(SensorId(ANCHORS + 3), ns, body).unwrap();
        }
    }
    if let Some((x, y)) = body[4].filter(|_| into % 9 == 0) {
        let device = CarriedKey::of(&format!("telephone of {hour}"));
        for (k, receiver) in KINDS.iter().enumerate().filter(|(_, k)| k.0 == SensorKind::Rssi) {
            let d = libm::hypot(x - receiver.2, y - receiver.3).max(0.5);
            let rssi_dbm = -59.0 - 20.0 * libm::log10(d) + 4.0 * dice.normal();
            late(run, dice, SensorId(ANCHORS + k as u16), Body::Rssi { device, rssi_dbm });
        }
        let bearing_rad = libm::atan2(y - 0.5, x - 14.0) + 0.05 * dice.normal();
        let hits = [BearingHit { bearing_rad, sigma_rad: None, device: Some(device) }];
        run.observe(sensor(SensorKind::Bearing, 0), ns, Body::Bearing(&hits)).unwrap();
    }
    if let Some((x, y)) = body[2].filter(|_| into % 10 == 0) {
        let voice = Body::Voice { person: PersonId(2), likelihood: 20.0, bearing_rad: None };
        run.observe(sensor(SensorKind::Voice, 0), ns, voice).unwrap();
        let place = Place::flat(LevelId(0), x, y);
        run.observe(sensor(SensorKind::Gesture, 0), ns, Body::Gesture { place, gesture: wave }).unwrap();
        let facing = Body::Facing { place, heading_rad: 0.1, sigma_rad: None };
        run.observe(sensor(SensorKind::Facing, 0), ns, facing).unwrap();
    }
    let somebody = body.iter().flatten().any(|p| p.0 < 8.0);
    if into % 30 == 7 {
        late(run, dice, sensor(SensorKind::Binary, 0), Body::Binary { on: somebody });
        let there = body.iter().flatten().filter(|p| (10.0..18.0).contains(&p.0)).count();
        run.observe(sensor(SensorKind::Count, 0), ns, Body::Count { people: there as u32 }).unwrap();
        run.observe(sensor(SensorKind::Value, 0), ns, Body::Value { value: 20.0 + dice.normal() }).unwrap();
        run.observe(sensor(SensorKind::Button, 0), ns, Body::Button { button: wave }).unwrap();
    }
    for v in 0..VISITORS {
        let direction = match (at(v, into - 1), at(v, into)) {
            (None, Some(_)) => Direction::In,
            (Some(_), None) => Direction::Out,
            _ => continue,
        };
        run.observe(sensor(SensorKind::Crossing, 0), ns, Body::Crossing { direction }).unwrap();
    }
}

/// One test, since memory is the process's.
#[test]
fn a_day_leaves_nothing_behind() {
    a_day_of_every_kind_of_sensor_leaves_nothing_behind();
    a_tracker_at_any_rate_holds_as_much_later_as_at_first();
}

fn a_day_of_every_kind_of_sensor_leaves_nothing_behind() {
    let mut run = Run::new(site());
    run.out.reserve(8192);
    let mut dice = Dice(24);
    let wave = Name::new("wave").expect("a name");
    let (mut saved_max, mut state_max, mut events) = ([0usize; 2], [0usize; 2], [0u64; 8]);
    let mut in_use = Vec::with_capacity(24);
    for hour in 0..24 {
        let mut occupants_max = 0;
        for t in hour * HOUR_S..(hour + 1) * HOUR_S {
            second(&mut run, &mut dice, t, wave);
            occupants_max = occupants_max.max(run.fusion.len());
            for stimulus in &run.out {
                if let Stimulus::World(e) = stimulus {
                    events[EventKind::ALL.iter().position(|k| *k == e.kind).expect("listed")] += 1;
                }
            }
            run.out.clear();
        }
        let all = run.everybody();
        // Known people who are lost are remembered until they are known to be elsewhere; nobody else is.
        assert!(all.len() <= 3 && all.iter().all(|w| w.presence == Presence::Lost && w.person.is_some()), "{all:#?}");
        // A name is as good as the belief behind it.
        for who in &all {
            let believed = run.fusion.posterior(who.track).expect("it is there");
            assert!(believed.candidates.iter().any(|(p, _)| Some(*p) == who.person), "{who:?}: {believed:?}");
        }
        let late = usize::from(hour >= 12);
        let saved = run.saved().len();
        saved_max[late] = saved_max[late].max(saved);
        state_max[late] = state_max[late].max(run.fusion.state_bytes().len());
        in_use.push(memory());
        assert!((7..30).contains(&occupants_max), "{occupants_max} at most in hour {hour}");
    }
    println!("events {:?}", EventKind::ALL.iter().map(|k| k.as_str()).zip(events).collect::<Vec<_>>());
    let grown: Vec<i64> = in_use.windows(2).map(|w| w[1] - w[0]).collect();
    println!("saved {saved_max:?} B, of it state {state_max:?} B; {:?}", run.fusion.counts());
    println!("memory {} B after an hour, then {grown:?}", in_use[0]);
    let counts = run.fusion.counts();
    assert!(counts.late_rerun > 20_000 && counts.late_degraded == 0 && counts.tracks_full == 0, "{counts:?}");
    // Besides the state the last observations are saved, more or less of them, and tentative tracks come and go.
    assert!(saved_max[1] <= saved_max[0] + saved_max[0] / 5, "{saved_max:?}");
    assert!(state_max[1] <= state_max[0] + 1024, "{state_max:?}");
    // Buffers and copies that are used again are made when they are first needed, in some hour; what leaks, leaks in every
    // one. A byte kept of each observation would be 10 kB an hour.
    assert!(grown[11..].iter().min().is_some_and(|least| *least <= 2048), "{grown:?}");
    assert!(in_use[23] <= in_use[0] + 2 * 1024 * 1024, "{in_use:?}");
    for kind in [EventKind::Appears, EventKind::Confirmed, EventKind::Identified, EventKind::Enters, EventKind::Leaves]
    {
        assert!(events[kind as usize] >= 24, "{kind:?}: {events:?}");
    }
}

/// Four people walk to and fro under one ceiling at `hz` for `hours`; most tracks, most bytes of state and most growth of
/// memory, in the first fifth and after it.
fn tracked(hz: i64, hours: f64) -> ([usize; 2], [usize; 2], i64) {
    let ceiling = SensorModel {
        sigma_m: 0.15,
        p_detect: 0.9,
        clutter_per_m2: 0.02,
        field_of_view: FieldOfView::Everywhere { area_m2: 100.0 },
    };
    let mut tracker = Tracker::new(Config::default(), vec![ceiling]).expect("a sound model");
    let mut dice = Dice(7);
    let mut seen: Vec<Seen> = Vec::with_capacity(64);
    let scans = (hours * 3600.0) as i64 * hz;
    let (mut tracks, mut state, mut before, mut grown) = ([0; 2], [0; 2], 0, 0);
    for k in 0..scans {
        let s = k as f64 / hz as f64;
        let late = usize::from(k > scans / 5);
        seen.clear();
        for person in 0..4 {
            // Everybody is away for a third of every five minutes.
            let phase = (s + 70.0 * f64::from(person)) % 300.0;
            if phase < 200.0 && dice.unit() < 0.9 {
                let x = 1.0 + 0.04 * if phase < 100.0 { phase } else { 200.0 - phase };
                let y = 1.0 + 2.0 * f64::from(person);
                seen.push(Seen::at(2.0 * x + 0.15 * dice.normal(), y + 0.15 * dice.normal()));
            }
        }
        for _ in 0..2 {
            seen.push(Seen::at(10.0 * dice.unit(), 10.0 * dice.unit()));
        }
        tracker.scan(k * S / hz, 0, &seen).expect("a sound scan");
        tracks[late] = tracks[late].max(tracker.tracks().count());
        if k == scans / 5 {
            before = memory();
        }
        if k % 997 == 0 {
            state[late] = state[late].max(serde_json::to_vec(&tracker.save()).expect("writable").len());
        }
    }
    grown += memory() - before;
    (tracks, state, grown)
}

fn a_tracker_at_any_rate_holds_as_much_later_as_at_first() {
    for (hz, hours) in [(1, 10.0), (10, 1.0)] {
        let (tracks, state, grown) = tracked(hz, hours);
        println!("{hz} Hz for {hours} h: {tracks:?} tracks and {state:?} B of state at most, {grown} B more memory");
        assert!(tracks.iter().all(|n| (4..60).contains(n)) && tracks[1] <= tracks[0] + tracks[0] / 2, "{tracks:?}");
        assert!(state[1] <= 2 * state[0], "{state:?}");
        assert!(grown <= 1024, "{grown} bytes in {hours} h at {hz} Hz");
    }
}
