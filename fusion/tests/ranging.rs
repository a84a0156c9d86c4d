//! Carried devices by ranges and differences of ranges, against where they really were.

mod support;

use osmose_fusion::Fusion;
use osmose_model::device::SensorKind;
use osmose_model::geometry::Point;
use osmose_model::ids::{CarriedKey, PersonId, SensorId, TrackId};
use osmose_model::observation::Body;
use osmose_model::site::Site;
use osmose_model::stages::{Fuse, Refusal};
use osmose_model::world::{EventKind, Presence, Stimulus};
use proptest::prelude::*;
use std::sync::Arc;
use support::dice::Dice;
use support::{add_person, add_sensor, default_margins, fix, rectangle, said, tag};

const S: i64 = 1_000_000_000;
const ANCHORS: [[f64; 3]; 5] =
    [[0.0, 0.0, 2.6], [20.0, 0.0, 2.8], [20.0, 12.0, 2.4], [0.0, 12.0, 2.6], [10.0, 6.5, 2.9]];

/// A hall of 20 m x 12 m with an anchor (sensors 0 to 4) in each corner and one near the middle; a location system (5).
fn site(kind: SensorKind) -> Site {
    let mut site = support::site(1, 50, default_margins());
    support::add_zone(&mut site, "west", 0, rectangle(0.0, 0.0, 10.0, 12.0));
    support::add_zone(&mut site, "east", 0, rectangle(10.0, 0.0, 20.0, 12.0));
    for [x_m, y_m, z_m] in ANCHORS {
        let id = add_sensor(&mut site, kind, 0, &[], None);
        let sensor = &mut site.sensors[id.index()];
        (sensor.pose.x_m, sensor.pose.y_m, sensor.pose.z_m) = (x_m, y_m, z_m);
        sensor.noise.sigma_m = 0.1;
    }
    add_sensor(&mut site, SensorKind::Location, 0, &[], None);
    add_person(&mut site, "ana");
    site
}

fn slant(anchor: usize, at: Point) -> f64 {
    let [x, y, z] = ANCHORS[anchor];
    // Tags are taken to be carried at 1.1 m.
    (at.distance2(Point::new(x, y)) + (z - 1.1) * (z - 1.1)).sqrt()
}

/// Along the hall, round a corner, and back, at 1.3 m/s.
fn walker(t_s: f64) -> Point {
    let s = (1.3 * t_s) % 40.0;
    if s < 14.0 {
        Point::new(3.0 + s, 3.0)
    } else if s < 20.0 {
        Point::new(17.0, 3.0 + (s - 14.0))
    } else if s < 34.0 {
        Point::new(17.0 - (s - 20.0), 9.0)
    } else {
        Point::new(3.0, 9.0 - (s - 34.0))
    }
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
    fn observe(&mut self, sensor: usize, ns: i64, body: Body<'_>) -> Result<(), Refusal> {
        self.seq += 1;
        self.fusion.observe(tag(ns, self.seq), &said(SensorId(sensor as u16), ns, body), &mut self.out)
    }
    fn range(&mut self, anchor: usize, ns: i64, range_m: f64) -> Result<(), Refusal> {
        self.observe(anchor, ns, Body::Range { device: CarriedKey::of("ana-tag"), range_m, sigma_m: None })
    }
    fn kinds(&mut self) -> Vec<EventKind> {
        let taken = std::mem::take(&mut self.out);
        taken.into_iter().filter_map(|s| if let Stimulus::World(e) = s { Some(e.kind) } else { None }).collect()
    }
}

/// Root mean square distance from the truth over a minute, one measurement every 20 ms; from 2 s on.
fn rmse(kind: SensorKind, nlos_p: f64, seed: u64) -> f64 {
    let mut run = Run::new(site(kind));
    let mut dice = Dice(seed);
    let (mut sum, mut n) = (0.0, 0);
    for i in 0..3000_i64 {
        let ns = i * 20_000_000;
        let at = walker(ns as f64 / 1e9);
        let a = (i % 5) as usize;
        let b = (a + 1 + (i as usize / 5) % 4) % 5;
        let excess = if dice.unit() < nlos_p { -libm::log(1.0 - dice.unit()) } else { 0.0 };
        let noise = 0.1 * dice.normal() + excess;
        let device = CarriedKey::of("ana-tag");
        let body = if kind == SensorKind::Range {
            Body::Range { device, range_m: slant(a, at) + noise, sigma_m: None }
        } else {
            Body::Tdoa { other: SensorId(b as u16), device, diff_m: slant(b, at) - slant(a, at) + noise, sigma_m: None }
        };
        run.observe(a, ns, body).unwrap();
        if ns > 2 * S {
            sum += run.fusion.occupant(TrackId(1)).expect("it began").place.at.distance2(at);
            n += 1;
        }
    }
    assert_eq!(run.fusion.len(), 1);
    (sum / f64::from(n)).sqrt()
}

#[test]
fn ranges_put_a_device_where_it_is() {
    for seed in 1..4 {
        let (clear, blocked) = (rmse(SensorKind::Range, 0.0, seed), rmse(SensorKind::Range, 0.1, seed));
        println!("ranges of sigma 0.1 m: rmse {clear:.3} m in sight, {blocked:.3} m with one in ten 1 m too long");
        assert!(clear < 0.15 && blocked < 0.2, "{clear} {blocked}");
    }
}

#[test]
fn differences_put_a_device_where_it_is() {
    for seed in 1..4 {
        let (clear, blocked) = (rmse(SensorKind::Tdoa, 0.0, seed), rmse(SensorKind::Tdoa, 0.1, seed));
        println!("differences of sigma 0.1 m: rmse {clear:.3} m in sight, {blocked:.3} m with one in ten 1 m too long");
        assert!(clear < 0.2 && blocked < 0.25, "{clear} {blocked}");
    }
}

#[test]
fn a_device_appears_once_three_anchors_agree_and_is_who_carries_it() {
    let mut run = Run::new(site(SensorKind::Range));
    let at = Point::new(4.0, 3.0);
    for anchor in [0, 1, 0, 1] {
        run.range(anchor, S, slant(anchor, at)).unwrap();
    }
    assert_eq!(run.kinds(), [], "two anchors leave two places");
    run.range(2, S, slant(2, at)).unwrap();
    assert_eq!(run.kinds(), [EventKind::Appears, EventKind::Identified]);
    let who = run.fusion.occupant(TrackId(1)).unwrap();
    assert!(who.place.at.distance(at) < 0.01, "{:?}", who.place);
    assert_eq!((who.person, who.zones.len()), (Some(PersonId(0)), 1));
    run.fusion.advance(osmose_model::time::LogicalNs(60 * S), &mut run.out);
    assert_eq!(run.fusion.occupant(TrackId(1)).unwrap().presence, Presence::Lost);
    // Silent for so long it begins anew, elsewhere, as the same track.
    let there = Point::new(16.0, 9.0);
    for anchor in 0..3 {
        run.range(anchor, 61 * S, slant(anchor, there)).unwrap();
    }
    let who = run.fusion.occupant(TrackId(1)).unwrap();
    assert!(who.place.at.distance(there) < 0.01 && who.presence == Presence::Seen);
    assert_eq!(run.kinds(), [EventKind::Lost, EventKind::Found, EventKind::Leaves, EventKind::Enters]);
}

#[test]
fn anchors_that_contradict_each_other_begin_nothing() {
    let mut run = Run::new(site(SensorKind::Range));
    for (anchor, range_m) in [(0, 2.0), (1, 2.0), (2, 2.0), (3, 2.0)] {
        run.range(anchor, S, range_m).unwrap();
    }
    assert!(run.fusion.is_empty());
}

#[test]
fn a_device_that_jumps_is_found_again() {
    let mut run = Run::new(site(SensorKind::Range));
    for i in 0..200_i64 {
        let at = if i < 100 { Point::new(4.0, 3.0) } else { Point::new(16.0, 9.0) };
        let anchor = (i % 5) as usize;
        run.range(anchor, i * 20_000_000, slant(anchor, at)).unwrap();
    }
    let who = run.fusion.occupant(TrackId(1)).unwrap();
    assert!(who.place.at.distance(Point::new(16.0, 9.0)) < 0.1, "{:?}", who.place);
}

#[test]
fn a_fix_outranks_ranges_for_a_while() {
    let mut run = Run::new(site(SensorKind::Range));
    run.observe(5, 0, fix(CarriedKey::of("ana-tag"), 5.0, 5.0, 0).body).unwrap();
    for anchor in 0..5 {
        run.range(anchor, S, slant(anchor, Point::new(16.0, 9.0))).unwrap();
    }
    assert_eq!(run.fusion.occupant(TrackId(1)).unwrap().place.at, Point::new(5.0, 5.0));
    for anchor in 0..5 {
        run.range(anchor, 2 * S, slant(anchor, Point::new(16.0, 9.0))).unwrap();
    }
    let at = run.fusion.occupant(TrackId(1)).unwrap().place.at;
    assert!(at.distance(Point::new(16.0, 9.0)) < 0.1, "{at:?}");
}

#[test]
fn wild_ranges_are_refused() {
    let mut run = Run::new(site(SensorKind::Range));
    let device = CarriedKey::of("ana-tag");
    for range_m in [f64::NAN, -1.0, f64::INFINITY, 1e12] {
        assert_eq!(run.range(0, 0, range_m), Err(Refusal::NotPlausible));
    }
    let sigma = Body::Range { device, range_m: 1.0, sigma_m: Some(f64::NAN) };
    assert_eq!(run.observe(0, 0, sigma), Err(Refusal::NotPlausible));
    for other in [SensorId(0), SensorId(99)] {
        let body = Body::Tdoa { other, device, diff_m: 0.0, sigma_m: None };
        assert_eq!(run.observe(0, 0, body), Err(Refusal::NotPlausible));
    }
    assert!(run.fusion.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn restored_at_any_step_it_continues_bit_for_bit(
        steps in prop::collection::vec((0usize..5, 0.0..25.0f64, 1i64..600_000_000, any::<bool>()), 1..80), cut in 0usize..80,
    ) {
        let mut whole = Run::new(site(SensorKind::Range));
        let mut resumed: Option<Run> = None;
        let mut ns = 0;
        for (i, &(anchor, noise, wait, wild)) in steps.iter().enumerate() {
            if i == cut % steps.len() {
                let mut bytes = Vec::new();
                whole.fusion.save(&mut bytes);
                let mut other = Run::new(site(SensorKind::Range));
                other.fusion.restore(&bytes).unwrap();
                other.seq = whole.seq;
                resumed = Some(other);
                whole.out.clear();
            }
            ns += wait;
            let range_m = if wild { noise } else { slant(anchor, walker(ns as f64 / 1e9)) };
            let taken = whole.range(anchor, ns, range_m);
            if let Some(resumed) = &mut resumed {
                prop_assert_eq!(resumed.range(anchor, ns, range_m), taken);
                prop_assert_eq!(&resumed.out, &whole.out);
                let (mut a, mut b) = (Vec::new(), Vec::new());
                whole.fusion.save(&mut a);
                resumed.fusion.save(&mut b);
                prop_assert_eq!(a, b);
            }
        }
    }
}
