//! A tracker allocates nothing once its first scan is done, nor does keeping a snapshot and going back to it.
//! Alone in its file: another test beside it would be counted too.

use osmose_fusion::tracker::{Config, Detection, FieldOfView, SensorModel, Snapshot, Tracker};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Thirty people on 20 x 20 m who walk in circles, and as many detections of nothing.
fn scan(k: i64, to: &mut Vec<Detection>) {
    to.clear();
    for person in 0..30 {
        let angle = 0.05 * k as f64 + person as f64;
        let radius_m = 2.0 + 0.25 * person as f64;
        to.push(Detection::at(10.0 + radius_m * libm::cos(angle), 10.0 + radius_m * libm::sin(angle)));
        let stray = (k * 31 + person * 17) as f64;
        to.push(Detection::at(stray * 0.377 % 20.0, stray * 0.713 % 20.0));
    }
}

#[test]
fn scans_and_snapshots_allocate_nothing() {
    let ceiling = SensorModel {
        sigma_m: 0.2,
        p_detect: 0.9,
        clutter_per_m2: 0.075,
        field_of_view: FieldOfView::Everywhere { area_m2: 400.0 },
    };
    let mut tracker = Tracker::new(Config::default(), vec![ceiling]).unwrap();
    let mut kept = Snapshot::new(512);
    let mut detections = Vec::with_capacity(64);
    let mut step = |k: i64, tracker: &mut Tracker| {
        scan(k, &mut detections);
        tracker.keep(&mut kept);
        tracker.scan(k * 100_000_000, 0, &detections).unwrap();
        tracker.go_back(&kept).unwrap();
        tracker.scan(k * 100_000_000, 0, &detections).unwrap();
        tracker.tracks().filter(|t| t.reported).count()
    };
    for k in 0..50 {
        step(k, &mut tracker);
    }
    // The counter sees every thread, and the test harness has one that may allocate now and then: what a scan allocates
    // would be seen in every stretch.
    let mut shown = 0;
    let stretch = |n: i64| {
        let region = Region::new(ALLOCATOR);
        (50 + 20 * n..70 + 20 * n).for_each(|k| shown += step(k, &mut tracker));
        let change = region.change();
        (change.allocations, change.reallocations)
    };
    assert_eq!((0..5).map(stretch).min(), Some((0, 0)));
    assert!(shown > 25 * 100, "{shown} people shown in 100 scans of 30");
}
