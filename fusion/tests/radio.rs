//! Received strength, directions, heights, and sensors that lie, against where devices really were.
#![allow(
    clippy::disallowed_methods,
    reason = "the test's own world is simulated with std's mathematics: nothing of it enters the core"
)]

mod support;

use osmose_fusion::Fusion;
use osmose_model::device::SensorKind;
use osmose_model::geometry::{Place, Point};
use osmose_model::health::{SensorHealth, Verdict};
use osmose_model::ids::{CarriedKey, LevelId, SensorId, TrackId};
use osmose_model::observation::{BearingHit, Body};
use osmose_model::radio::{RadioMap, RadioPoint};
use osmose_model::site::Site;
use osmose_model::stages::{Fuse, Refusal};
use osmose_model::world::Stimulus;
use proptest::prelude::*;
use std::sync::Arc;
use support::dice::Dice;
use support::{add_sensor, default_margins, said, tag};

const S: i64 = 1_000_000_000;
const TAG: &str = "tag";
const CORNERS: [[f64; 3]; 6] =
    [[0.0, 0.0, 2.6], [20.0, 0.0, 2.8], [20.0, 12.0, 2.4], [0.0, 12.0, 2.6], [10.0, 12.0, 2.9], [10.0, 0.0, 0.3]];

/// A hall of 20 m x 12 m with a sensor of a kind at each of [`CORNERS`], a location system behind them, on each level.
fn site(kind: SensorKind, levels: u16) -> Site {
    let mut site = support::site(levels, 50, default_margins());
    for level in 0..levels {
        for [x_m, y_m, z_m] in CORNERS {
            let id = add_sensor(&mut site, kind, level, &[], None);
            let sensor = &mut site.sensors[id.index()];
            (sensor.pose.x_m, sensor.pose.y_m, sensor.pose.z_m) = (x_m, y_m, z_m);
            sensor.noise.sigma_m = 0.1;
            sensor.noise.sigma_rad = 0.05;
        }
        add_sensor(&mut site, SensorKind::Location, level, &[], None);
    }
    site
}

fn slant(sensor: usize, [x, y, z]: [f64; 3]) -> f64 {
    let [ax, ay, az] = CORNERS[sensor];
    ((x - ax) * (x - ax) + (y - ay) * (y - ay) + (z - az) * (z - az)).sqrt()
}

/// Round the hall at about 1 m/s, at a height.
fn walker(t_s: f64, z_m: f64) -> [f64; 3] {
    let angle = 0.2 * t_s;
    [10.0 + 6.0 * angle.cos(), 6.0 + 4.0 * angle.sin(), z_m]
}

fn strength(sensor: usize, at: [f64; 3]) -> f64 {
    -59.0 - 20.0 * slant(sensor, at).log10()
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
    fn observe_late(&mut self, sensor: usize, now: i64, ns: i64, body: Body<'_>) -> Result<(), Refusal> {
        self.seq += 1;
        self.out.clear();
        self.fusion.observe(tag(now, self.seq), &said(SensorId(sensor as u16), ns, body), &mut self.out)
    }
    fn observe(&mut self, sensor: usize, ns: i64, body: Body<'_>) -> Result<(), Refusal> {
        self.observe_late(sensor, ns, ns, body)
    }
    fn range(&mut self, sensor: usize, ns: i64, range_m: f64) -> Result<(), Refusal> {
        self.observe(sensor, ns, range(range_m))
    }
    fn rssi(&mut self, sensor: usize, ns: i64, rssi_dbm: f64) -> Result<(), Refusal> {
        self.observe(sensor, ns, Body::Rssi { device: CarriedKey::of(TAG), rssi_dbm })
    }
    fn bearing(&mut self, sensor: usize, ns: i64, rad: f64, device: Option<&str>) -> Result<(), Refusal> {
        let hit = BearingHit { bearing_rad: rad, sigma_rad: None, device: device.map(CarriedKey::of) };
        self.observe(sensor, ns, Body::Bearing(&[hit]))
    }
    fn place(&self) -> Option<Place> {
        self.fusion.occupant(TrackId(1)).map(|w| w.place)
    }
    fn off_m(&self, [x, y, _]: [f64; 3]) -> f64 {
        self.place().expect("it is somewhere").at.distance(Point::new(x, y))
    }
    fn health(&self, sensor: usize) -> SensorHealth {
        self.fusion.sensor(SensorId(sensor as u16)).health
    }
}

fn range(range_m: f64) -> Body<'static> {
    Body::Range { device: CarriedKey::of(TAG), range_m, sigma_m: None }
}

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}

#[test]
fn strengths_find_a_device_far_better_than_the_nearest_receiver_does() {
    for seed in 1..4 {
        let (mut run, mut dice) = (Run::new(site(SensorKind::Rssi, 1)), Dice(seed));
        let (mut off, mut nearest) = (Vec::new(), Vec::new());
        let mut fading = [0.0; 6];
        for i in 0..1200_i64 {
            let (ns, sensor) = (i * S / 20, (i % 6) as usize);
            let at = walker(ns as f64 / 1e9, 1.1);
            // Fading of 5 dB, alike for a second or so.
            fading[sensor] = 0.7 * fading[sensor] + 0.714 * 5.0 * dice.normal();
            run.rssi(sensor, ns, strength(sensor, at) + fading[sensor]).unwrap();
            if ns > 3 * S {
                off.push(run.off_m(at));
                let near = (0..6).map(|s| slant(s, [CORNERS[s][0], at[1], at[2]]).min(slant(s, at)));
                let best = near.enumerate().min_by(|a, b| slant(a.0, at).total_cmp(&slant(b.0, at))).unwrap().0;
                nearest.push(slant(best, at));
            }
        }
        let (off, nearest) = (median(off), median(nearest));
        println!("strengths: median {off:.2} m, the truly nearest receiver is {nearest:.2} m away");
        assert!(off < 3.4 && off < 0.65 * nearest, "{off} {nearest}");
    }
}

#[test]
fn a_radio_map_says_where_the_law_is_wrong() {
    // Behind a wall at x = 10 everything is 15 dB weaker to the west receivers than the law says.
    let shadow = |sensor: usize, at: [f64; 3]| if CORNERS[sensor][0] < 5.0 && at[0] > 10.0 { 15.0 } else { 0.0 };
    let off_with = |surveyed: bool| {
        let mut site = site(SensorKind::Rssi, 1);
        if surveyed {
            for (s, sensor) in site.sensors.iter_mut().enumerate().take(6) {
                let cells = (0..21).flat_map(|i| (0..13).map(move |j| [f64::from(i), f64::from(j), 1.1]));
                let point = |at: [f64; 3]| RadioPoint {
                    at: Point::new(at[0], at[1]),
                    rssi_dbm: strength(s, at) - shadow(s, at),
                };
                sensor.radio_map = RadioMap { points: cells.map(point).collect() };
            }
        }
        let (mut run, mut dice, mut off) = (Run::new(site), Dice(5), Vec::new());
        for i in 0..600_i64 {
            let (ns, s) = (i * S / 20, (i % 6) as usize);
            let at = walker(ns as f64 / 1e9, 1.1);
            run.rssi(s, ns, strength(s, at) - shadow(s, at) + 3.0 * dice.normal()).unwrap();
            if ns > 3 * S {
                off.push(run.off_m(at));
            }
        }
        median(off)
    };
    let (law, map) = (off_with(false), off_with(true));
    println!("half the hall in a radio shadow: median {law:.2} m by the law, {map:.2} m by the map");
    assert!(map < 2.6 && map < 0.7 * law, "{law} {map}");
}

#[test]
fn a_device_is_on_the_level_that_hears_it_strongest_and_changes_it_only_when_that_lasts() {
    let mut run = Run::new(site(SensorKind::Rssi, 2));
    let at = [6.0, 4.0, 1.1];
    // Sensors 0 to 5 are on level 0, 7 to 12 on level 1, which hears 15 dB less through the floor.
    let mut now = 0;
    let mut hear = |run: &mut Run, seconds: i64, upstairs: bool| {
        for i in 0..seconds * 24 {
            now += S / 24;
            let (s, above) = ((i % 6) as usize, (i / 6) % 2 == 1);
            let weaker = if above == upstairs { 0.0 } else { 15.0 };
            run.rssi(if above { s + 7 } else { s }, now, strength(s, at) - weaker).unwrap();
        }
        run.place().map(|p| p.level)
    };
    assert_eq!(hear(&mut run, 5, false), Some(LevelId(0)));
    assert_eq!(hear(&mut run, 2, true), Some(LevelId(0)), "two seconds prove nothing");
    assert_eq!(hear(&mut run, 1, false), Some(LevelId(0)));
    assert_eq!(hear(&mut run, 6, true), Some(LevelId(1)));
    assert_eq!(run.fusion.len(), 1);
}

#[test]
fn directions_of_a_device_cross_where_it_is() {
    let mut run = Run::new(site(SensorKind::Bearing, 1));
    let mut dice = Dice(3);
    let mut off = Vec::new();
    for i in 0..900_i64 {
        let (ns, s) = (i * S / 15, (i % 6) as usize);
        let at = walker(ns as f64 / 1e9, 1.1);
        let rad = (at[1] - CORNERS[s][1]).atan2(at[0] - CORNERS[s][0]) + 0.05 * dice.normal();
        run.bearing(s, ns, rad, Some(TAG)).unwrap();
        if ns > 3 * S {
            off.push(run.off_m(at));
        }
    }
    let off = median(off);
    println!("directions of sigma 3 degrees: median {off:.2} m");
    assert!(off < 0.6, "{off}");
}

/// Median error with ranges of sigma 1 m, and with directions of nobody in particular beside them.
fn with_directions(also: bool) -> f64 {
    let mut plan = site(SensorKind::Range, 1);
    for s in 0..6 {
        plan.sensors[s].noise.sigma_m = 1.0;
    }
    let camera = add_sensor(&mut plan, SensorKind::Bearing, 0, &[], None).index();
    (plan.sensors[camera].pose.x_m, plan.sensors[camera].pose.y_m) = (10.0, -2.0);
    plan.sensors[camera].noise.sigma_rad = 0.02;
    let (mut run, mut dice, mut off) = (Run::new(plan), Dice(9), Vec::new());
    for i in 0..1200_i64 {
        let ns = i * S / 20;
        let at = walker(ns as f64 / 1e9, 1.1);
        let s = (i % 6) as usize;
        run.range(s, ns, (slant(s, at) + dice.normal()).max(0.0)).unwrap();
        if also && i > 40 {
            let hits: Vec<BearingHit> = [(at[1] + 2.0).atan2(at[0] - 10.0) + 0.02 * dice.normal(), 6.0 * dice.unit()]
                .map(|bearing_rad| BearingHit { bearing_rad, sigma_rad: None, device: None })
                .into();
            run.observe(camera, ns, Body::Bearing(&hits)).unwrap();
        }
        if ns > 3 * S {
            off.push(run.off_m(at));
        }
    }
    median(off)
}

#[test]
fn directions_of_somebody_help_whom_they_fit() {
    let (without, with) = (with_directions(false), with_directions(true));
    println!("ranges of sigma 1 m: median {without:.2} m alone, {with:.2} m with directions of somebody");
    assert!(with < 0.85 * without, "{without} {with}");
}

#[test]
fn heights_are_found_where_anchors_stand_high_and_low() {
    let (mut run, mut dice) = (Run::new(site(SensorKind::Range, 1)), Dice(2));
    let mut off = Vec::new();
    for i in 0..3000_i64 {
        let ns = i * S / 50;
        let z_m = 1.6 + 0.8 * (0.5 * ns as f64 / 1e9).sin();
        let at = walker(ns as f64 / 1e9, z_m);
        let s = (i % 6) as usize;
        run.range(s, ns, slant(s, at) + 0.05 * dice.normal()).unwrap();
        if ns > 10 * S {
            off.push((run.place().unwrap().z_m.unwrap() - z_m).abs());
        }
    }
    let off = median(off);
    println!("heights between 0.8 and 2.4 m: median error {off:.2} m");
    assert!(off < 0.3, "{off}");
}

/// A minute of ranges of which anchor 2 lies; median error of the last half, the share of it beyond half a metre, and what
/// became of it.
fn liar(mut lie: impl FnMut(&mut Dice, f64) -> f64, seed: u64) -> (f64, f64, Run) {
    let (mut run, mut dice) = (Run::new(site(SensorKind::Range, 1)), Dice(seed));
    let mut off = Vec::new();
    for i in 0..3000_i64 {
        let ns = i * S / 50;
        let at = walker(ns as f64 / 1e9, 1.1);
        let s = (i % 6) as usize;
        let true_m = slant(s, at) + 0.1 * dice.normal();
        let range_m = if s == 2 { lie(&mut dice, true_m) } else { true_m };
        run.range(s, ns, range_m).unwrap();
        if ns > 30 * S {
            off.push(run.off_m(at));
        }
    }
    let beyond = off.iter().filter(|o| **o > 0.5).count() as f64 / off.len() as f64;
    (median(off), beyond, run)
}

#[test]
fn an_anchor_that_errs_by_three_metres_is_noticed_and_hardly_moves_anybody() {
    for seed in 1..4 {
        let (off, beyond, run) = liar(|_, true_m| true_m + 3.0, seed);
        let h = run.health(2);
        println!("3 m too long: median {off:.3} m, {:.1} % beyond 0.5 m; {h:?}", 100.0 * beyond);
        assert!(matches!(h.verdict, Verdict::Unreliable | Verdict::Biased | Verdict::Overconfident), "{h:?}");
        assert!(h.sigma_factor > 3.0 || (h.bias - 3.0).abs() < 0.5, "{h:?}");
        assert!(off < 0.15 && beyond < 0.1, "{off} {beyond}");
        for honest in [0, 1, 3, 4, 5] {
            let h = run.health(honest);
            assert!(matches!(h.verdict, Verdict::Consistent | Verdict::Cautious), "anchor {honest}: {h:?}");
        }
    }
}

#[test]
fn an_anchor_that_says_anything_is_noticed_and_ignored() {
    // Of the second, biases learnt before the anchor was found out stay in the place for a while.
    for seed in 1..3 {
        let (off, beyond, run) = liar(|dice, _| 20.0 * dice.unit(), seed);
        let h = run.health(2);
        println!("any range: median {off:.3} m, {:.1} % beyond 0.5 m; {h:?}", 100.0 * beyond);
        (0..6).for_each(|s| {
            println!("  anchor {s}: {} sigma x {:.2}", run.health(s).verdict, run.health(s).sigma_factor)
        });
        assert!(h.verdict == Verdict::Unreliable && h.sigma_factor > 5.0, "{h:?}");
        assert!(off < 0.6, "{off}");
        assert!((0..6).filter(|s| *s != 2).all(|s| !run.health(s).verdict.is_trouble()));
    }
}

#[test]
fn an_anchor_that_falls_silent_is_said_to_be() {
    let mut plan = site(SensorKind::Range, 1);
    plan.sensors[2].rate_hz = Some(8.0);
    let mut run = Run::new(plan);
    for i in 0..600_i64 {
        let (ns, s) = (i * S / 50, (i % 6) as usize);
        if s != 2 || ns < 6 * S {
            run.range(s, ns, slant(s, walker(ns as f64 / 1e9, 1.1))).unwrap();
        }
    }
    assert_eq!(run.health(2).verdict, Verdict::Silent);
    assert!((run.health(0).rate_hz - 50.0 / 6.0).abs() < 0.2, "{:?}", run.health(0));
}

#[test]
fn clocks_and_biases_come_out_while_another_system_locates_the_device() {
    let (mut run, mut dice) = (Run::new(site(SensorKind::Range, 1)), Dice(4));
    for i in 0..6000_i64 {
        let ns = i * S / 50;
        let s = (i % 6) as usize;
        // Every range is of 0.3 s ago; anchor 1 measures 0.4 m too much.
        let then = walker(ns as f64 / 1e9 - 0.3, 1.1);
        let bias = if s == 1 { 0.4 } else { 0.0 };
        run.range(s, ns, slant(s, then) + bias + 0.05 * dice.normal()).unwrap();
        if i % 5 == 0 {
            let [x, y, _] = walker(ns as f64 / 1e9, 1.1);
            run.observe(6, ns, support::fix(CarriedKey::of(TAG), x, y, ns).body).unwrap();
            assert_eq!(run.place().unwrap().at, Point::new(x, y), "a fix is used as given");
        }
    }
    for s in 0..6 {
        let h = run.health(s);
        println!("anchor {s}: {h:?}");
        assert!((h.clock_s - 0.3).abs() < 0.08, "anchor {s}: {h:?}");
        let bias = if s == 1 { 0.4 } else { 0.0 };
        assert!((h.bias - bias).abs() < 0.15, "anchor {s}: {h:?}");
    }
    assert_eq!(run.health(0).verdict, Verdict::ClockOff);
}

#[test]
fn late_ranges_are_used_where_the_device_was_then() {
    let rmse = |late: bool| {
        let (mut run, mut dice) = (Run::new(site(SensorKind::Range, 1)), Dice(6));
        let mut rows: Vec<(i64, i64)> = (0..3000).map(|i| (i * S / 50, i)).collect();
        if late {
            // Every third is up to 0.4 s late.
            rows.iter_mut().filter(|r| r.1 % 3 == 0).for_each(|r| r.0 += (0.4e9 * dice.unit()) as i64);
            rows.sort_unstable();
        }
        let (mut sum, mut n) = (0.0, 0);
        for (now, i) in rows {
            let (ns, s) = (i * S / 50, (i % 6) as usize);
            let at = walker(ns as f64 / 1e9, 1.1);
            // Too late to be run in order is used as it comes, and said to be.
            let taken = run.observe_late(s, now, ns, range(slant(s, at) + 0.1 * dice.normal()));
            assert!(matches!(taken, Ok(()) | Err(Refusal::LateDegraded)), "{taken:?}");
            if now > 3 * S {
                let off = run.off_m(walker(now as f64 / 1e9, 1.1));
                (sum, n) = (sum + off * off, n + 1);
            }
        }
        (sum / f64::from(n)).sqrt()
    };
    let (prompt, late) = (rmse(false), rmse(true));
    println!("ranges: rmse {prompt:.3} m in order, {late:.3} m with every third up to 0.4 s late");
    assert!(late < 1.5 * prompt, "{prompt} {late}");
}

#[test]
fn what_is_not_plausible_is_refused_with_a_reason_and_moves_nobody() {
    let refused = Err(Refusal::NotPlausible);
    let mut run = Run::new(site(SensorKind::Rssi, 1));
    for dbm in [f64::NAN, f64::INFINITY, -1e12, 1e12, 60.0] {
        assert_eq!(run.rssi(0, 0, dbm), refused, "{dbm}");
    }
    assert_eq!(run.rssi(6, 0, -50.0), refused, "a location system hears nothing");
    let mut run = Run::new(site(SensorKind::Bearing, 1));
    for rad in [f64::NAN, f64::NEG_INFINITY, 1e12] {
        assert_eq!(run.bearing(0, 0, rad, Some(TAG)), refused, "{rad}");
    }
    for sigma_rad in [0.0, f64::NAN, -1.0, 1e12] {
        let hit = BearingHit { bearing_rad: 0.0, sigma_rad: Some(sigma_rad), device: None };
        assert_eq!(run.observe(0, 0, Body::Bearing(&[hit])), refused, "{sigma_rad}");
    }
    let mut run = Run::new(site(SensorKind::Range, 1));
    for sigma_m in [0.0, f64::NAN, -1.0, 1e12] {
        let body = Body::Range { device: CarriedKey::of(TAG), range_m: 3.0, sigma_m: Some(sigma_m) };
        assert_eq!(run.observe(0, 0, body), refused, "{sigma_m}");
    }
    assert!(run.fusion.is_empty() && run.fusion.counts().not_plausible == 4);
}

/// One measurement of any kind: sensor, kind, how far off, how long after the one before.
fn steps() -> impl Strategy<Value = Vec<(usize, u8, f64, i64)>> {
    prop::collection::vec((0usize..6, 0u8..5, -3.0..3.0f64, 0i64..400_000_000), 1..80)
}

/// A hall whose sensors are of every radio kind in turn.
fn mixed() -> Site {
    let mut plan = site(SensorKind::Range, 1);
    for kind in [SensorKind::Rssi, SensorKind::Bearing, SensorKind::Tdoa] {
        for [x_m, y_m, z_m] in CORNERS {
            let id = add_sensor(&mut plan, kind, 0, &[], None);
            let sensor = &mut plan.sensors[id.index()];
            (sensor.pose.x_m, sensor.pose.y_m, sensor.pose.z_m) = (x_m, y_m, z_m);
        }
    }
    plan
}

fn step(run: &mut Run, (s, kind, off, _): (usize, u8, f64, i64), ns: i64) -> Result<(), Refusal> {
    let at = walker(ns as f64 / 1e9, 1.1);
    let device = CarriedKey::of(TAG);
    match kind {
        0 => run.range(s, ns, (slant(s, at) + off).max(0.0)),
        1 => run.rssi(s + 7, ns, strength(s, at) + 4.0 * off),
        2 => run.bearing(s + 13, ns, (at[1] - CORNERS[s][1]).atan2(at[0] - CORNERS[s][0]) + 0.1 * off, Some(TAG)),
        3 => run.bearing(s + 13, ns, off, None),
        _ => {
            let (a, b) = (s, (s + 1) % 6);
            let other = SensorId((b + 19) as u16);
            run.observe(
                a + 19,
                ns,
                Body::Tdoa { other, device, diff_m: slant(b, at) - slant(a, at) + off, sigma_m: None },
            )
        }
    }
}

fn saved(run: &Run) -> Vec<u8> {
    let mut bytes = Vec::new();
    run.fusion.save(&mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn restored_at_any_step_it_continues_bit_for_bit(steps in steps(), cut in 0usize..80) {
        let mut whole = Run::new(mixed());
        let (mut resumed, mut ns): (Option<Run>, i64) = (None, 0);
        for (i, &one) in steps.iter().enumerate() {
            if i == cut % steps.len() {
                let mut other = Run::new(mixed());
                other.fusion.restore(&saved(&whole)).unwrap();
                other.seq = whole.seq;
                resumed = Some(other);
            }
            ns += one.3;
            let taken = step(&mut whole, one, ns);
            if let Some(resumed) = &mut resumed {
                prop_assert_eq!(step(resumed, one, ns), taken);
                prop_assert_eq!(&resumed.out, &whole.out);
                prop_assert_eq!(saved(resumed), saved(&whole));
            }
        }
    }

    #[test]
    fn ranges_of_one_instant_may_come_in_any_order(
        order in Just([0usize, 1, 2, 3, 4, 5]).prop_shuffle(), noise in prop::array::uniform6(-0.2..0.2f64), start in 0.0..20.0f64,
    ) {
        let place_after = |order: [usize; 6]| {
            let mut run = Run::new(site(SensorKind::Range, 1));
            // A second to settle, in one order for both, then one instant in two.
            for i in 0..60_i64 {
                let (ns, s) = (i * S / 60, (i % 6) as usize);
                run.range(s, ns, slant(s, walker(start, 1.1))).unwrap();
            }
            for s in order {
                run.range(s, S, slant(s, walker(start, 1.1)) + noise[s]).unwrap();
            }
            let who = run.fusion.occupant(TrackId(1)).unwrap();
            (who.place.at, (who.covariance_m2[0] + who.covariance_m2[2]).sqrt())
        };
        let ((a, sigma_m), (b, _)) = (place_after([0, 1, 2, 3, 4, 5]), place_after(order));
        prop_assert!(a.distance(b) < 0.25 * sigma_m, "{a:?} {b:?} {sigma_m}");
    }
}
