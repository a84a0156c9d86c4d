//! In the steady state fusion allocates nothing but R-tree nodes, and those only when somebody walks out of their box.
//! Alone in its file: another test beside it would be counted too.

mod support;

use osmose_fusion::Fusion;
use osmose_model::device::SensorKind;
use osmose_model::geometry::{Place, Point, Segment};
use osmose_model::ids::{CarriedKey, LevelId, ZoneId};
use osmose_model::observation::{Body, Detection};
use osmose_model::stages::Fuse;
use osmose_model::world::Stimulus;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;
use support::{default_margins, fix, rooms, said, tag};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SCAN: i64 = 100_000_000;

#[test]
fn the_steady_state_allocates_nothing() {
    let mut site = rooms(4, 100, default_margins());
    support::add_person(&mut site, "ana");
    let motion = support::add_sensor(&mut site, SensorKind::Binary, 0, &[ZoneId(0)], Some(1.0));
    let reader = support::add_sensor(&mut site, SensorKind::Badge, 0, &[], None);
    let mut fusion = Fusion::new(Arc::new(site));
    let mut out: Vec<Stimulus> = Vec::with_capacity(8192);
    let mut hits = Vec::with_capacity(64);
    let devices: Vec<CarriedKey> = (0..20).map(|i| CarriedKey::of(&format!("p{i}"))).collect();
    let ana = CarriedKey::of("ana-badge");
    let (mut seq, mut events, mut found) = (0, 0, 0);
    let mut step = |scan: i64, fusion: &mut Fusion| {
        // Everybody goes to and fro over the wall at x = 8 m (7.6 to 8.4 m), each a little later than the one before; two
        // more are seen from above. Now and then somebody is lost, since nothing is said for three seconds.
        let ns = (scan + 30 * (scan / 50)) * SCAN;
        for (i, &device) in devices.iter().enumerate() {
            let phase = (scan + i as i64) % 20;
            let x_m = 7.6 + 0.08 * (if phase < 10 { phase } else { 20 - phase }) as f64;
            seq += 1;
            fusion.observe(tag(ns, seq), &fix(device, x_m, 0.2 + 0.3 * i as f64, ns), &mut out).unwrap();
        }
        let from_above = [20.0, 22.0].map(|x| Detection { place: Place::flat(LevelId(0), x, 3.0), sigma_m: None });
        let ceiling = said(osmose_model::ids::SensorId(1), ns, Body::Position(&from_above));
        fusion.observe(tag(ns, seq), &ceiling, &mut out).unwrap();
        fusion.observe(tag(ns, seq), &said(motion, ns, Body::Binary { on: scan % 2 == 0 }), &mut out).unwrap();
        fusion.observe(tag(ns, seq), &said(reader, ns, Body::Badge { badge: ana }), &mut out).unwrap();
        fusion.within(LevelId(0), Point::new(8.0, 3.0), 1.0, &mut hits);
        fusion.nearest(LevelId(0), Point::new(8.0, 3.0), 5, &mut hits);
        fusion.along(LevelId(0), Segment { a: Point::new(0.0, 3.0), b: Point::new(9.0, 3.0) }, 0.5, &mut hits);
        found += hits.len();
        fusion.for_each_in(ZoneId(0), &mut |_| found += 1);
        events += out.iter().filter(|s| matches!(s, Stimulus::World(_))).count();
        out.clear();
    };
    for scan in 0..200 {
        step(scan, &mut fusion);
    }
    // The counter sees every thread of the process, and the test harness has one that may allocate now and then: what a
    // step allocates would be seen in every stretch.
    let stretch = |i: i64| {
        let region = Region::new(ALLOCATOR);
        (200 + 40 * i..240 + 40 * i).for_each(|scan| step(scan, &mut fusion));
        let change = region.change();
        (change.allocations, change.reallocations)
    };
    assert_eq!((0..5).map(stretch).min(), Some((0, 0)));
    assert!(events > 500 && found > 1000, "{events} events and {found} hits: the steps did something");
}
