//! How long a scan takes, and that it allocates nothing: simulated walkers at several densities, one core.
//!
//!     cargo bench -p osmose-fusion --bench step
//!
//! Prints p50, p99 and the greatest time per scan, and allocations per scan once the first scan is done. Times hold for
//! the machine and its other load; compare figures of one run only.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and is no core code"
)]
#![allow(missing_docs, reason = "a program, not a library")]

use osmose_fusion::tracker::{Config, Detection, FieldOfView, SensorModel, Tracker};
use std::time::Instant;

/// A small generator (Steele, Lea and Flood 2014, SplitMix64): the same scenes on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.next())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.next())
    }
}

/// People who walk at 1.3 m/s, each towards one random place after the other, seen with noise, misses and clutter.
fn scene(people: usize, width_m: f64, height_m: f64, clutter: usize, scans: usize) -> Vec<Vec<Detection>> {
    let mut random = Random(people as u64);
    let place = |random: &mut Random| [random.next() * width_m, random.next() * height_m];
    let mut walkers: Vec<([f64; 2], [f64; 2])> =
        (0..people).map(|_| (place(&mut random), place(&mut random))).collect();
    let mut out = Vec::with_capacity(scans);
    for _ in 0..scans {
        let mut scan = Vec::new();
        for (at, goal) in &mut walkers {
            let (dx, dy) = (goal[0] - at[0], goal[1] - at[1]);
            let far = (dx * dx + dy * dy).sqrt();
            if far < 0.13 {
                *goal = place(&mut random);
            } else {
                *at = [at[0] + 0.13 * dx / far, at[1] + 0.13 * dy / far];
            }
            if random.next() < 0.9 {
                scan.push(Detection::at(at[0] + 0.3 * random.normal(), at[1] + 0.3 * random.normal()));
            }
        }
        for _ in 0..clutter {
            let [x, y] = place(&mut random);
            scan.push(Detection::at(x, y));
        }
        out.push(scan);
    }
    out
}

fn main() {
    println!(
        "{:>6} {:>6} {:>9} {:>9} {:>9} {:>9} {:>7} {:>7}",
        "people", "scans", "p50 us", "p99 us", "max us", "mean us", "alloc", "tracks"
    );
    for (people, width_m, height_m, clutter, scans) in [
        (5, 30.0, 20.0, 5, 600),
        (20, 30.0, 20.0, 5, 600),
        (50, 30.0, 20.0, 5, 600),
        (100, 30.0, 20.0, 5, 600),
        (1000, 212.0, 141.0, 250, 200),
    ] {
        let scene = scene(people, width_m, height_m, clutter, scans);
        let area_m2 = width_m * height_m;
        let sensor = SensorModel {
            sigma_m: 0.3,
            p_detect: 0.9,
            clutter_per_m2: clutter as f64 / area_m2,
            field_of_view: FieldOfView::Everywhere { area_m2 },
        };
        let mut tracker = Tracker::new(Config::default(), vec![sensor]).expect("the settings are in range");
        let mut times_ns = Vec::with_capacity(scans);
        let mut allocations = 0;
        for (k, detections) in scene.iter().enumerate() {
            let mut taken_ns = 0;
            let counted = allocation_counter::measure(|| {
                let begin = Instant::now();
                tracker.scan(k as i64 * 100_000_000, 0, detections).expect("the scan is in order");
                taken_ns = begin.elapsed().as_nanos() as u64;
            });
            times_ns.push(taken_ns);
            allocations += if k == 0 { 0 } else { counted.count_total };
        }
        let shown = tracker.tracks().filter(|t| t.reported).count();
        let mean_us = times_ns.iter().sum::<u64>() as f64 / 1e3 / scans as f64;
        times_ns.sort_unstable();
        let at_us = |share: f64| times_ns[((scans - 1) as f64 * share) as usize] as f64 / 1e3;
        println!(
            "{people:>6} {scans:>6} {:>9.1} {:>9.1} {:>9.1} {mean_us:>9.1} {:>7.3} {shown:>7}",
            at_us(0.5),
            at_us(0.99),
            at_us(1.0),
            allocations as f64 / (scans - 1) as f64,
        );
    }
}
