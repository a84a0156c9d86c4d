//! Laws of the whole tracker: order means nothing, restoring continues, bad input is refused whole, sensors answer only
//! for what they see, nothing leaks.

use super::config::{Config, SensorModel};
use super::estimate::{Detection, Refused, TrackEstimate};
use super::field::FieldOfView;
use super::save::{RestoreError, TrackerState};
use super::snapshot::Snapshot;
use super::step::Tracker;
use proptest::prelude::*;

const TENTH_NS: i64 = 100_000_000;

fn rectangle(x0: f64, y0: f64, x1: f64, y1: f64) -> SensorModel {
    SensorModel {
        sigma_m: 0.3,
        p_detect: 0.9,
        clutter_per_m2: 0.008,
        field_of_view: FieldOfView::Polygon { corners_m: vec![[x0, y0], [x1, y0], [x1, y1], [x0, y1]] },
    }
}

fn small() -> Config {
    let mut config = Config::default();
    config.limits.tracks_max = 64;
    config.limits.detections_max = 64;
    config.limits.edges_max = 1024;
    config
}

fn two_rooms() -> Tracker {
    Tracker::new(small(), vec![rectangle(0.0, 0.0, 10.0, 10.0), rectangle(20.0, 0.0, 30.0, 10.0)]).unwrap()
}

fn shown(tracker: &Tracker) -> Vec<TrackEstimate> {
    tracker.tracks().filter(|t| t.reported).collect()
}

/// A detection as generated: x, y, own standard deviation.
type Given = (f64, f64, Option<f64>);

/// Scans of up to a dozen detections in a room small enough for them to compete.
fn scans() -> impl Strategy<Value = Vec<(i64, usize, Vec<Given>)>> {
    let sigma = prop_oneof![3 => Just(None), 1 => (0.05..1.0f64).prop_map(Some)];
    let detection = (-1.0..11.0f64, -1.0..11.0f64, sigma);
    let scan = (0..3 * TENTH_NS, 0..2usize, proptest::collection::vec(detection, 0..12));
    proptest::collection::vec(scan, 1..25)
}

fn detections(given: &[Given]) -> Vec<Detection> {
    given.iter().map(|&(x_m, y_m, sigma_m)| Detection { x_m, y_m, sigma_m }).collect()
}

fn overlapping() -> Vec<SensorModel> {
    vec![rectangle(0.0, 0.0, 10.0, 10.0), rectangle(5.0, 0.0, 15.0, 10.0)]
}

/// The state without the indices of detections, which follow the caller's order.
fn without_indices(tracker: &Tracker) -> TrackerState {
    let mut state = tracker.save();
    for head in &mut state.heads {
        head.best = None;
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_within_a_scan_means_nothing(scans in scans(), rotate in 0..12usize) {
        let mut one = Tracker::new(small(), overlapping()).unwrap();
        let mut other = one.clone();
        let mut t = 0;
        for (dt, sensor, given) in &scans {
            t += dt;
            let listed = detections(given);
            let mut mixed = listed.clone();
            mixed.reverse();
            let by = rotate % mixed.len().max(1);
            mixed.rotate_left(by);
            one.scan(t, *sensor, &listed).unwrap();
            other.scan(t, *sensor, &mixed).unwrap();
            prop_assert_eq!(without_indices(&one), without_indices(&other));
            for (a, b) in one.tracks().zip(other.tracks()) {
                prop_assert_eq!(a.detection.map(|j| listed[j]), b.detection.map(|j| mixed[j]));
                prop_assert_eq!((a.x_m, a.y_m), (b.x_m, b.y_m));
            }
        }
    }

    #[test]
    fn restoring_continues_bit_for_bit_at_every_step(scans in scans()) {
        let mut running = Tracker::new(small(), overlapping()).unwrap();
        let mut t = 0;
        for (n, (dt, sensor, given)) in scans.iter().enumerate() {
            let bytes = postcard::to_allocvec(&running.save()).unwrap();
            let state: TrackerState = postcard::from_bytes(&bytes).unwrap();
            let mut restored = Tracker::restore(small(), overlapping(), &state).unwrap();
            let (a, b): (Vec<_>, Vec<_>) = (running.tracks().collect(), restored.tracks().collect());
            prop_assert_eq!(a, b);
            t += dt;
            if n % 5 == 4 {
                running.advance(t).unwrap();
                restored.advance(t).unwrap();
            } else {
                let listed = detections(given);
                let (a, b) = (running.scan(t, *sensor, &listed), restored.scan(t, *sensor, &listed));
                prop_assert_eq!(a, b);
            }
            prop_assert_eq!(postcard::to_allocvec(&running.save()).unwrap(), postcard::to_allocvec(&restored.save()).unwrap());
        }
    }

    #[test]
    fn going_back_and_running_again_ends_in_the_same_state(scans in scans(), at in 0..25usize, cut in 0..25usize) {
        let (at, cut) = (at.min(scans.len()), cut.min(scans.len()));
        let mut tracker = Tracker::new(small(), overlapping()).unwrap();
        let mut in_order = tracker.clone();
        // Filled once before: what was in it must not matter.
        let mut kept = Snapshot::new(4);
        tracker.keep(&mut kept);
        let run = |tracker: &mut Tracker, range: std::ops::Range<usize>| {
            let t0: i64 = scans[..range.start].iter().map(|s| s.0).sum();
            scans[range].iter().fold(t0, |t, (dt, sensor, given)| {
                tracker.scan(t + dt, *sensor, &detections(given)).unwrap();
                t + dt
            });
        };
        run(&mut in_order, 0..scans.len());
        run(&mut tracker, 0..at);
        tracker.keep(&mut kept);
        let saved = tracker.save();
        let before: Vec<_> = tracker.tracks().collect();
        // Something else happens, which is taken back.
        run(&mut tracker, at..at.max(cut));
        tracker.scan(i64::MAX / 2, 0, &[Detection::at(1.0, 1.0)]).unwrap();
        tracker.go_back(&kept).unwrap();
        prop_assert_eq!(saved, tracker.save());
        prop_assert_eq!(before, tracker.tracks().collect::<Vec<_>>());
        run(&mut tracker, at..scans.len());
        prop_assert_eq!(tracker.save(), in_order.save());
        prop_assert!(tracker.tracks().eq(in_order.tracks()));
    }

    #[test]
    fn whatever_comes_the_state_is_sound(scans in scans(), scale in prop_oneof![Just(1.0), Just(1e-9), Just(9e5)]) {
        let mut tracker = Tracker::new(small(), overlapping()).unwrap();
        let mut t = 0;
        for (dt, sensor, given) in &scans {
            // Long gaps, places far apart and heaps in one place.
            t += dt * 100;
            let mut listed = detections(given);
            for d in &mut listed {
                (d.x_m, d.y_m) = (d.x_m * scale, d.y_m * scale);
            }
            tracker.scan(t, *sensor, &listed).unwrap();
            for track in tracker.tracks() {
                prop_assert!(track.existence > 0.0 && track.existence <= 1.0);
                prop_assert!([track.x_m, track.y_m, track.vx_mps, track.vy_mps].iter().all(|v| v.is_finite()));
                prop_assert!(track.place_cov_m2[0] > 0.0 && track.place_cov_m2[2] > 0.0);
            }
            let state = tracker.save();
            prop_assert!(Tracker::restore(small(), overlapping(), &state).is_ok());
        }
    }
}

/// A walker along x at 1.3 m/s, sampled every 0.1 s, with a repeatable wobble.
fn walker(k: i64) -> Detection {
    let wobble = [0.2, -0.1, 0.0, -0.25, 0.15, 0.05, -0.05][(k % 7) as usize];
    Detection::at(1.0 + 0.13 * k as f64 + wobble, 5.0 - wobble)
}

#[test]
fn bad_input_is_refused_whole() {
    let mut tracker = two_rooms();
    for k in 0..10 {
        tracker.scan(k * TENTH_NS, 0, &[walker(k)]).unwrap();
    }
    let before = tracker.save();
    let t = 10 * TENTH_NS;
    let sigma = |sigma_m| Detection { sigma_m: Some(sigma_m), ..walker(10) };
    for bad in [
        Detection::at(f64::NAN, 0.0),
        Detection::at(0.0, f64::INFINITY),
        Detection::at(1e12, 0.0),
        sigma(0.0),
        sigma(-1.0),
        sigma(f64::NAN),
        sigma(1e9),
    ] {
        let refused = tracker.scan(t, 0, &[walker(10), bad]).unwrap_err();
        assert!(matches!(refused, Refused::Place { index: 1, .. } | Refused::Sigma { index: 1, .. }), "{refused}");
        assert_eq!(tracker.save(), before);
    }
    assert_eq!(tracker.scan(t, 2, &[]), Err(Refused::Sensor { sensor: 2, sensors: 2 }));
    assert_eq!(tracker.scan(0, 0, &[]), Err(Refused::Late { late_ns: 9 * TENTH_NS }));
    assert_eq!(tracker.advance(0), Err(Refused::Late { late_ns: 9 * TENTH_NS }));
    let many = vec![walker(0); 65];
    assert_eq!(tracker.scan(t, 0, &many), Err(Refused::TooMany { detections: 65, max: 64 }));
    assert_eq!(tracker.save(), before);
}

#[test]
fn a_sensor_says_nothing_about_where_it_does_not_look() {
    let mut tracker = two_rooms();
    for k in 0..10 {
        tracker.scan(k * TENTH_NS, 0, &[walker(k)]).unwrap();
    }
    let before = shown(&tracker);
    assert_eq!(before.len(), 1);
    // The other room's sensor sees nobody, many times: the walker is as sure as survival alone allows.
    for k in 1..=10 {
        tracker.scan(9 * TENTH_NS + k, 1, &[]).unwrap();
    }
    let after = shown(&tracker);
    assert!((after[0].existence - before[0].existence).abs() < 1e-6);
    // Its own sensor's empty scans do count.
    for k in 1..=5 {
        tracker.scan((9 + k) * TENTH_NS, 0, &[]).unwrap();
    }
    assert!(shown(&tracker).is_empty());
    assert!(tracker.tracks().all(|t| t.existence < 0.5));
}

#[test]
fn scans_leave_alone_whom_their_sensor_cannot_see_and_time_does_not() {
    let mut tracker = two_rooms();
    for k in 0..20 {
        tracker.scan(k * TENTH_NS, 0, &[walker(k)]).unwrap();
    }
    let (last, before) = (19 * TENTH_NS, shown(&tracker)[0]);
    // Twenty scans of the other room within 80 ms: whoever is here is moved by none of them.
    for k in 1..=20 {
        tracker.scan(last + k * TENTH_NS / 25, 1, &[]).unwrap();
        assert_eq!(tracker.touched_count(), 0, "{k}");
    }
    let (now, before_of) = (shown(&tracker)[0], tracker.save().heads[0].as_of_ns);
    assert_eq!(before_of, last, "as of its last scan");
    // Whoever asks is told where they are now all the same.
    assert_eq!(Some(now), tracker.track(before.id));
    let walked_m = now.x_m - before.x_m;
    assert!((walked_m - 0.08 * before.vx_mps).abs() < 0.02 && walked_m > 0.05, "{walked_m}");
    assert!(now.place_cov_m2[0] > before.place_cov_m2[0] && now.existence < before.existence);
    // After a tenth of a second they are moved by whatever comes.
    tracker.scan(last + TENTH_NS, 1, &[]).unwrap();
    assert_eq!(tracker.touched().map(|t| t.id).collect::<Vec<_>>(), [before.id]);
    assert_eq!(tracker.save().heads[0].as_of_ns, last + TENTH_NS);
}

#[test]
fn who_was_never_shown_is_dropped_soon_where_nobody_looks_and_who_was_is_not() {
    let mut tracker = two_rooms();
    for k in 0..20 {
        tracker.scan(k * TENTH_NS, 0, &[walker(k)]).unwrap();
    }
    let tentative = |tracker: &Tracker| tracker.tracks().filter(|t| !t.shown).count();
    assert_eq!(tentative(&tracker), 0);
    // The room was looked at before, so that this is hardly somebody; then nobody looks there any more.
    tracker.scan(20 * TENTH_NS, 0, &[walker(20), Detection::at(2.0, 9.0)]).unwrap();
    for k in 21..=40 {
        tracker.scan(k * TENTH_NS, 1, &[]).unwrap();
        assert_eq!(tentative(&tracker), 1, "{k}");
    }
    tracker.scan(41 * TENTH_NS, 1, &[]).unwrap();
    assert_eq!((tentative(&tracker), tracker.gone().len()), (0, 0));
    assert_eq!(tracker.track_count(), 1, "who was shown is unknown, and not gone");
}

#[test]
fn who_stands_beside_somebody_seen_is_moved_with_them() {
    let mut tracker =
        Tracker::new(small(), vec![rectangle(0.0, 0.0, 5.0, 5.0), rectangle(5.0, 0.0, 10.0, 5.0)]).unwrap();
    // One at the edge of the first field, one 1.5 m away in the second, one far off in the second.
    for k in 0..20 {
        tracker.scan(2 * k * TENTH_NS, 0, &[Detection::at(4.9, 2.0)]).unwrap();
        tracker.scan((2 * k + 1) * TENTH_NS, 1, &[Detection::at(6.4, 2.0), Detection::at(9.5, 4.5)]).unwrap();
    }
    let t = 39 * TENTH_NS + TENTH_NS / 2;
    tracker.scan(t, 0, &[Detection::at(4.9, 2.0)]).unwrap();
    let mut seen: Vec<f64> = tracker.touched().filter(|t| t.shown).map(|t| t.x_m).collect();
    seen.sort_by(f64::total_cmp);
    assert!(seen.len() == 2 && (seen[0] - 4.9).abs() < 0.3 && (seen[1] - 6.4).abs() < 0.3, "{seen:?}");
}

#[test]
fn nobody_is_born_outside_the_field_of_view() {
    let mut tracker = two_rooms();
    for k in 0..10 {
        // Sensor 1 sees x = 20 to 30; a detection at x = 5 is outside.
        tracker.scan(k * TENTH_NS, 1, &[Detection::at(5.0, 5.0)]).unwrap();
    }
    assert_eq!(tracker.tracks().count(), 0);
}

#[test]
fn two_sensors_that_see_the_same_person_make_one_track() {
    let mut tracker = Tracker::new(small(), overlapping()).unwrap();
    for k in 0..40 {
        // 12.5 and 20 scans a second, interleaved; both see x = 5 to 10.
        let t = k * 80_000_000;
        tracker.scan(t, 0, &[Detection::at(7.0, 5.0)]).unwrap();
        tracker.scan(t + 30_000_000, 1, &[Detection::at(7.05, 5.02)]).unwrap();
    }
    let people = shown(&tracker);
    assert_eq!(people.len(), 1);
    assert!((people[0].x_m - 7.0).abs() < 0.15 && people[0].existence > 0.99);
}

/// Uniform in 0..1, by a linear congruential generator (Knuth's MMIX constants).
fn unit(dice: &mut u64) -> f64 {
    *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*dice >> 11) as f64 / (1u64 << 53) as f64
}

/// Roughly normal with standard deviation 1.
fn normal(dice: &mut u64) -> f64 {
    (0..12).map(|_| unit(dice)).sum::<f64>() - 6.0
}

#[test]
fn who_sets_off_across_a_seam_stays_one_track() {
    let ceiling = |y0: f64, y1: f64| SensorModel { sigma_m: 0.12, ..rectangle(0.0, y0, 10.0, y1) };
    for seed in 0..40 {
        let mut tracker = Tracker::new(small(), vec![ceiling(0.0, 6.4), ceiling(5.9, 11.0)]).unwrap();
        let (mut dice, mut ids) = (seed, Vec::new());
        // Stands 0.2 m before the second field for 4 s, then walks across; one field is looked at every 80 ms, the other
        // every 50 ms.
        for ms in (0..6000_i64).step_by(10) {
            let y_m = 5.7 + 1.3 * (1e-3 * ms as f64 - 4.0).max(0.0);
            for (sensor, period_ms, sees) in [(0, 80, y_m <= 6.4), (1, 50, y_m >= 5.9)] {
                if ms % period_ms != 0 {
                    continue;
                }
                let (x_m, y_m) = (4.0 + 0.12 * normal(&mut dice), y_m + 0.12 * normal(&mut dice));
                let scan = if sees { vec![Detection::at(x_m, y_m)] } else { vec![] };
                tracker.scan(ms * 1_000_000, sensor, &scan).unwrap();
            }
            ids.extend(shown(&tracker).iter().filter(|t| t.existence > 0.97).map(|t| t.id));
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1, "seed {seed}: {ids:?}");
        assert!((shown(&tracker)[0].y_m - 8.3).abs() < 0.3);
    }
}

#[test]
fn scans_of_elsewhere_do_not_hinder_who_walks_in() {
    let room = |x0: f64| SensorModel { sigma_m: 0.12, clutter_per_m2: 0.03, ..rectangle(x0, 0.0, x0 + 4.0, 3.0) };
    let mut tracker = Tracker::new(small(), vec![room(0.0), room(20.0)]).unwrap();
    // Both rooms are empty for 20 s, 20 scans a second each; then somebody walks into the first.
    for k in 0..420_i64 {
        let scan = if k >= 400 { vec![Detection::at(2.0, 0.065 * (k - 400) as f64)] } else { vec![] };
        tracker.scan(k * TENTH_NS / 2, 0, &scan).unwrap();
        tracker.scan(k * TENTH_NS / 2 + TENTH_NS / 4, 1, &[]).unwrap();
        assert!(k < 410 || shown(&tracker).len() == 1, "{} scans after the first", k - 400);
    }
}

#[test]
fn a_silent_track_is_unknown_and_not_gone() {
    let mut tracker = two_rooms();
    for k in 0..10 {
        tracker.scan(k * TENTH_NS, 0, &[walker(k)]).unwrap();
    }
    let id = shown(&tracker)[0].id;
    tracker.advance(11 * TENTH_NS).unwrap();
    assert_eq!(shown(&tracker)[0].id, id, "just now");
    let mut t = 11 * TENTH_NS;
    while t < 50_000_000_000 {
        t += 10 * TENTH_NS;
        tracker.advance(t).unwrap();
        assert!(tracker.gone().is_empty());
    }
    assert!(shown(&tracker).is_empty());
    let silent = tracker.tracks().find(|t| t.id == id).expect("kept");
    assert!(silent.shown && silent.existence > 0.5 && silent.place_cov_m2[0] > 1.0);
    tracker.advance(t + 20_000_000_000).unwrap();
    assert_eq!(tracker.tracks().count(), 0);
    let gone = tracker.gone();
    assert_eq!((gone.len(), gone[0].id, gone[0].unseen), (1, id, true));
}

#[test]
fn who_comes_back_into_sight_is_the_same_track() {
    let mut tracker = two_rooms();
    for k in 0..20 {
        tracker.scan(k * TENTH_NS, 0, &[walker(k)]).unwrap();
    }
    let id = shown(&tracker)[0].id;
    for k in 40..50 {
        tracker.scan(k * TENTH_NS, 0, &[walker(k)]).unwrap();
    }
    assert_eq!(shown(&tracker).iter().map(|t| t.id).collect::<Vec<_>>(), [id], "two seconds without a scan");
}

#[test]
fn people_who_meet_and_part_stay_two() {
    let mut tracker = two_rooms();
    for k in 0..70 {
        let s = 0.1 * k as f64;
        // Towards each other along two lines 0.5 m apart.
        let a = Detection::at(1.0 + 1.2 * s, 5.0);
        let b = Detection::at(9.0 - 1.2 * s, 5.5);
        tracker.scan(k * TENTH_NS, 0, &[a, b]).unwrap();
        if k > 2 {
            assert_eq!(shown(&tracker).len(), 2, "scan {k}");
        }
    }
    let people = shown(&tracker);
    assert!((people[0].x_m - people[1].x_m).abs() > 0.2);
}

#[test]
fn a_day_leaks_nothing() {
    let mut config = small();
    config.limits.tracks_max = 32;
    let mut tracker = Tracker::new(config, vec![rectangle(0.0, 0.0, 10.0, 10.0)]).unwrap();
    let mut most = 0;
    let mut gone = 0;
    // 24 h, a scan a second; somebody stays 100 s of every 300, and each scan has a false detection somewhere.
    for k in 0..86_400i64 {
        let clutter = Detection::at((k * 37 % 101) as f64 * 0.099, (k * 53 % 103) as f64 * 0.097);
        let person = Detection::at(5.0 + 0.02 * (k % 7) as f64, 4.0);
        let scan = [clutter, person];
        let seen = if k % 300 < 100 { 2 } else { 1 };
        let report = tracker.scan(k * 1_000_000_000, 0, &scan[..seen]).unwrap();
        assert_eq!((report.refused_tracks, report.refused_edges), (0, 0));
        gone += tracker.gone().len();
        most = most.max(tracker.tracks().count());
    }
    assert!(most < 20, "{most} tracks at once");
    assert!((288..=1200).contains(&gone), "{gone} people went in 288 visits");
}

#[test]
fn a_snapshot_of_something_else_is_refused() {
    let mut tracker = two_rooms();
    tracker.scan(0, 0, &[walker(0)]).unwrap();
    let before = tracker.save();
    assert_eq!(tracker.go_back(&Snapshot::new(1)), Err(RestoreError::Version { found: 0 }));
    let mut kept = Snapshot::new(1);
    Tracker::new(small(), vec![rectangle(0.0, 0.0, 90.0, 10.0)]).unwrap().keep(&mut kept);
    assert!(matches!(tracker.go_back(&kept), Err(RestoreError::Misfit(_))));
    assert_eq!(tracker.save(), before);
}

#[test]
fn damaged_states_are_refused() {
    let mut tracker = two_rooms();
    for k in 0..10 {
        tracker.scan(k * TENTH_NS, 0, &[walker(k)]).unwrap();
    }
    let restore = |change: &dyn Fn(&mut TrackerState)| {
        let mut state = tracker.save();
        change(&mut state);
        Tracker::restore(small(), tracker.sensors().to_vec(), &state).map(|_| ())
    };
    assert_eq!(restore(&|_| ()), Ok(()));
    assert_eq!(restore(&|s| s.version = 99), Err(RestoreError::Version { found: 99 }));
    let damaged = |r: Result<(), RestoreError>| assert!(matches!(r, Err(RestoreError::Damaged(_))), "{r:?}");
    damaged(restore(&|s| s.heads[0].existence = f64::NAN));
    damaged(restore(&|s| s.heads[0].count = 5));
    damaged(restore(&|s| s.gaussians[0].mean[0].0 = f64::INFINITY));
    damaged(restore(&|s| s.next_id = 0));
    damaged(restore(&|s| s.birth = -1.0));
    damaged(restore(&|s| s.gaussians.push(s.gaussians[0])));
    assert!(matches!(restore(&|s| s.undetected.push(0.0)), Err(RestoreError::Misfit(_))));
}

/// Scans of ten people who walk to and fro along lines 1 m apart in a room of 10 x 10 m, each detected nine times in ten,
/// among one false detection a scan.
fn lanes(scans: i64) -> Vec<(Vec<[f64; 2]>, Vec<Detection>)> {
    let mut dice = 11;
    let mut made = Vec::new();
    for k in 0..scans {
        let (mut people, mut scan) = (Vec::new(), Vec::new());
        for lane in 0..10 {
            // A triangle wave between 1 and 9 m at about 1.3 m/s.
            let along = (0.13 * k as f64 + 1.7 * f64::from(lane)) % 16.0;
            people.push([1.0 + if along < 8.0 { along } else { 16.0 - along }, 0.5 + f64::from(lane)]);
        }
        for [x_m, y_m] in &people {
            let noise = [0.3 * normal(&mut dice), 0.3 * normal(&mut dice)];
            if unit(&mut dice) < 0.9 {
                scan.push(Detection::at(x_m + noise[0], y_m + noise[1]));
            }
        }
        // On average one: none, one or two.
        for _ in 0..(3.0 * unit(&mut dice)) as u32 {
            scan.push(Detection::at(10.0 * unit(&mut dice), 10.0 * unit(&mut dice)));
        }
        made.push((people, scan));
    }
    made
}

/// Tracks the lanes with a sensor of which that is declared: what the tracker then reckons with, and the mean squared GOSPA
/// (c = 2 m, nearest first) of the last two thirds of the scans.
fn in_lanes(declared: (f64, f64), learn: bool) -> (f64, f64, f64) {
    let mut config = small();
    if !learn {
        (config.learning.prior_looks, config.learning.prior_scans) = (1e12, 1e12);
    }
    let sensor =
        SensorModel { p_detect: declared.0, clutter_per_m2: declared.1 / 100.0, ..rectangle(0.0, 0.0, 10.0, 10.0) };
    let mut tracker = Tracker::new(config, vec![sensor]).unwrap();
    let (lanes, mut sum) = (lanes(900), 0.0);
    for (k, (people, scan)) in lanes.iter().enumerate() {
        tracker.scan(k as i64 * TENTH_NS, 0, scan).unwrap();
        let mut left = people.clone();
        for track in shown(&tracker) {
            let d2 = |p: &[f64; 2]| {
                let (dx, dy) = (p[0] - track.x_m, p[1] - track.y_m);
                dx * dx + dy * dy
            };
            let nearest = (0..left.len()).min_by(|&a, &b| d2(&left[a]).total_cmp(&d2(&left[b])));
            match nearest.filter(|&n| d2(&left[n]) < 4.0) {
                Some(n) if k >= 300 => sum += d2(&left.swap_remove(n)),
                Some(n) => drop(left.swap_remove(n)),
                None if k >= 300 => sum += 2.0,
                None => {}
            }
        }
        sum += if k >= 300 { 2.0 * left.len() as f64 } else { 0.0 };
    }
    let sensed = tracker.sensed(0).unwrap();
    (sensed.p_detect, 100.0 * sensed.clutter_per_m2, sum / 600.0)
}

#[test]
fn what_is_declared_wrongly_is_learnt_and_costs_little_then() {
    let (_, _, best) = in_lanes((0.9, 1.0), false);
    let mut learnt = 0.0;
    for declared in [(0.9, 1.0), (0.8, 1.0), (0.97, 1.0), (0.9, 2.0), (0.9, 0.4)] {
        let (p_detect, clutter, gospa2) = in_lanes(declared, true);
        println!("declared {declared:?}: learnt {p_detect:.3}, {clutter:.2}; GOSPA² {gospa2:.3}, at best {best:.3}");
        assert!((p_detect - 0.9).abs() < 0.015, "declared {declared:?}: {p_detect}");
        assert!((clutter - 1.0).abs() < 0.25, "declared {declared:?}: {clutter}");
        assert!(gospa2 < 1.06 * best, "declared {declared:?}: {gospa2} where {best} is possible");
        if declared.0 < 0.9 {
            learnt = gospa2;
        }
    }
    let (p_detect, clutter, worse) = in_lanes((0.8, 1.0), false);
    println!("declared 0.8 and not learnt: GOSPA² {worse:.3}");
    assert!(worse > 1.02 * learnt, "then there would be nothing to learn: {worse}, {learnt}");
    assert!((p_detect - 0.8).abs() < 1e-6 && (clutter - 1.0).abs() < 1e-6);
}

#[test]
fn a_field_that_reaches_behind_a_wall_takes_nobody_away_there() {
    let corridor = rectangle(0.0, 4.0, 12.0, 6.0);
    let corners_m = vec![[2.0, 0.0], [10.0, 0.0], [10.0, 5.6], [2.0, 5.6]];
    // The room's field reaches 1.6 m into the corridor; its wall has no door.
    let walls_m = vec![[0.0, 4.0, 12.0, 4.0]];
    let of_room = |field_of_view| SensorModel { p_detect: 0.97, field_of_view, ..corridor.clone() };
    let walled = of_room(FieldOfView::Walled { corners_m: corners_m.clone(), from_m: [6.0, 2.0], walls_m });
    let as_declared = of_room(FieldOfView::Polygon { corners_m });
    let lost = [walled, as_declared].map(|room| {
        let mut tracker = Tracker::new(small(), vec![corridor.clone(), room]).unwrap();
        let (mut lost, mut dice) = (0, 5);
        for k in 0..80_i64 {
            let (x_m, t_ns) = (1.0 + 0.13 * k as f64, k * TENTH_NS);
            // Walks along the wall, 0.8 m off; every third time the corridor's sensor misses.
            let at = Detection::at(x_m + 0.05 * normal(&mut dice), 4.8);
            tracker.scan(t_ns, 0, if k % 3 == 2 { &[] } else { std::slice::from_ref(&at) }).unwrap();
            tracker.scan(t_ns + TENTH_NS / 2, 1, &[]).unwrap();
            lost += usize::from(k > 2 && shown(&tracker).len() != 1);
        }
        lost
    });
    assert!(lost[0] == 0 && lost[1] > 20, "{lost:?} of 77 scans without the walker");
}
