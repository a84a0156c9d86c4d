//! What one location fix costs, zones, R-tree and deadline included, and what it allocates.
//!
//! `cargo bench -p osmose-fusion --bench location`: closed loop, one thread, walkers at 1.3 m/s seen 10 times a second.
//! Every fix is timed by itself (the clock costs about 20 ns of each figure) and allocations are counted.

#[path = "../tests/support/mod.rs"]
mod support;

use osmose_fusion::Fusion;
use osmose_model::ids::CarriedKey;
use osmose_model::stages::Fuse;
use osmose_model::world::Stimulus;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Steps of a linear congruential generator (Knuth's MMIX constants): a bench needs no better.
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

struct Walker {
    device: CarriedKey,
    at: [f64; 2],
    step: [f64; 2],
}

// A bench is not part of the core: it may read the clock.
#[expect(clippy::disallowed_types, reason = "a bench reads the clock")]
fn run(people: usize, rooms: usize, extent_m: [f64; 2], scans: usize) {
    let mut fusion = Fusion::new(Arc::new(support::rooms(rooms, people as u32, support::default_margins())));
    let mut dice = Dice(7);
    let mut walkers: Vec<Walker> = (0..people)
        .map(|i| {
            let heading = dice.unit() * std::f64::consts::TAU;
            Walker {
                device: CarriedKey::of(&format!("p{i}")),
                at: [dice.unit() * extent_m[0], dice.unit() * extent_m[1]],
                step: [0.13 * libm::cos(heading), 0.13 * libm::sin(heading)],
            }
        })
        .collect();
    let mut out: Vec<Stimulus> = Vec::with_capacity(8192);
    let mut each_ns: Vec<u64> = Vec::with_capacity(scans * people);
    let (mut seq, mut events) = (0, 0);
    let mut before = (0, 0);
    for scan in 0..scans {
        if scan == scans / 2 {
            let s = ALLOCATOR.stats();
            before = (s.allocations + s.reallocations, s.bytes_allocated);
            each_ns.clear();
        }
        for (i, w) in walkers.iter_mut().enumerate() {
            for ((at, step), end_m) in w.at.iter_mut().zip(&mut w.step).zip(extent_m) {
                *at += *step;
                if *at < 0.0 || *at > end_m {
                    *step = -*step;
                }
            }
            let ns = (scan * 100_000_000 + i * (100_000_000 / people)) as i64;
            seq += 1;
            let (tag, fix) = (support::tag(ns, seq), support::fix(w.device, w.at[0], w.at[1], ns));
            out.clear();
            let start = std::time::Instant::now();
            let taken = fusion.observe(tag, &fix, &mut out);
            each_ns.push(start.elapsed().as_nanos() as u64);
            assert_eq!(taken, Ok(()));
            events += out.iter().filter(|s| matches!(s, Stimulus::World(_))).count();
        }
    }
    let s = ALLOCATOR.stats();
    let fixes = each_ns.len();
    let allocations = s.allocations + s.reallocations - before.0;
    let mean = each_ns.iter().sum::<u64>() / fixes as u64;
    each_ns.sort_unstable();
    let at = |q: f64| each_ns[((fixes - 1) as f64 * q) as usize];
    println!(
        "{people:>6} people, {rooms:>3} zones: mean {mean} ns, p50 {} ns, p90 {} ns, p99 {} ns, p99.9 {} ns, max {} ns; \
         {:.2} allocations per 1,000 fixes ({:.1} bytes a fix); {events} events",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        each_ns[fixes - 1],
        1000.0 * allocations as f64 / fixes as f64,
        (s.bytes_allocated - before.1) as f64 / fixes as f64,
    );
}

fn main() {
    println!("one core of {:?}, each fix timed by itself", std::thread::available_parallelism());
    run(200, 20, [40.0, 40.0], 2000);
    run(10_000, 200, [40.0, 400.0], 40);
}
