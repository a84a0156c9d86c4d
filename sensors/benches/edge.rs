//! What the edge takes per datagram, on one thread: nanoseconds, the best and the median of many rounds.
//!
//!     cargo bench -p osmose-sensors
//!
//! The rounds run back to back with warm caches, so this is the work itself, not a latency under load.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Null, native_site, peer_site};
use osmose_model::site::Site;
use osmose_model::time::ArrivalNs;
use osmose_sensors::edge::{Edge, PortId};
use osmose_wire::frame::{Body, Detection, Head, Sample, encode_frame};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 200;
const PER_ROUND: usize = 1000;

fn bench(name: &str, site: &Site, bodies: &[Vec<u8>]) {
    let mut edge = Edge::new(site);
    let (mut sink, mut now) = (Null::default(), 0);
    let from = ([127, 0, 0, 1], 50_000).into();
    let mut rounds = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let start = Instant::now();
        for i in 0..PER_ROUND {
            now += 100_000;
            let body = &bodies[(round * PER_ROUND + i) % bodies.len()];
            edge.datagram(PortId(0), from, ArrivalNs(now), black_box(body), &mut sink);
        }
        rounds.push(start.elapsed().as_nanos() as f64 / PER_ROUND as f64);
    }
    rounds.sort_by(f64::total_cmp);
    assert!(sink.observations > 0, "{name}: nothing was taken");
    let (best, median) = (rounds[0], rounds[ROUNDS / 2]);
    println!("{name}: best {best:.0} ns, median {median:.0} ns per datagram ({} observations)", sink.observations);
}

fn main() {
    // More bodies than fit one second of memory for copies, so that none is taken for one.
    let fix = |i: usize| format!(r#"{{"id":"p{}","x":{}.345,"y":5.678,"seq":{i}}}"#, i % 200, i % 50).into_bytes();
    bench("json location", &peer_site(), &(1..200_001).map(fix).collect::<Vec<_>>());
    for items in [1usize, 10, 100] {
        let seen = vec![Detection { x_m: 1.5, y_m: 2.5, ..Detection::default() }; items];
        let scan = |seq| {
            let head = Head {
                sensor: "cam",
                seq: Some(seq),
                time: Some((seq as i64 * 100_000, osmose_wire::frame::Clock::Device)),
            };
            encode_frame(&head, &[Sample::of(Body::Position(&seen))])
        };
        bench(&format!("native scan of {items}"), &native_site(), &(1..20_001).map(scan).collect::<Vec<_>>());
    }
}
