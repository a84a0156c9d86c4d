//! In the steady state the edge does not allocate: everything is laid out when it is made, or when somebody is first
//! heard.

mod common;

use common::{Null, native_site, peer_site};
use osmose_model::geometry::Point;
use osmose_model::ids::{LevelId, SensorId};
use osmose_model::input::{Input, Tag};
use osmose_model::observation as model;
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, LogicalNs};
use osmose_sensors::edge::{Edge, PortId};
use osmose_wire::frame::{Body, Clock, Detection, FrameBuilder, Head, Sample};
use osmose_wire::trace::{TraceBuilder, decode_input, encode_input};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations of the second half of `bodies`, after the first half has been heard.
fn allocations(site: &Site, bodies: &[Vec<u8>]) -> (usize, u64) {
    let mut edge = Edge::new(site);
    let (mut sink, mut now) = (Null::default(), 0);
    let mut send = |bodies: &[Vec<u8>]| {
        for body in bodies {
            now += 1_000_000;
            edge.datagram(PortId(0), ([127, 0, 0, 1], 50_000).into(), ArrivalNs(now), body, &mut sink);
        }
    };
    let (warm, steady) = bodies.split_at(bodies.len() / 2);
    send(warm);
    // The counter sees every thread of the process, and the test harness has one that may allocate now and then: what a
    // datagram allocates would be seen in every stretch.
    let stretch = |bodies: &[Vec<u8>]| {
        let region = Region::new(ALLOCATOR);
        send(bodies);
        let change = region.change();
        change.allocations + change.reallocations
    };
    let least = steady.chunks(steady.len() / 5).map(stretch).min();
    (least.expect("there are bodies"), sink.observations)
}

// One test, because the allocator counts for the whole process.
#[test]
fn a_datagram_allocates_nothing() {
    let fix = |seq: usize| {
        // Known and unknown people, escapes, gaps, copies and refused ones.
        let id = ["p17", "p\\u0031\\u0038", "stranger"][seq % 3];
        let x = if seq.is_multiple_of(50) { "\"12\"" } else { "12.345" };
        format!(r#"{{"id":"{id}","x":{x},"y":5.678,"seq":{}}}"#, seq - seq / 20 % 2).into_bytes()
    };
    let (count, taken) = allocations(&peer_site(), &(2..2002).map(fix).collect::<Vec<_>>());
    assert!(taken > 1800, "{taken}");
    assert_eq!(count, 0, "allocations in 1,000 JSON datagrams");

    let mut builder = FrameBuilder::new();
    let scan = |builder: &mut FrameBuilder, seq: u64| {
        let seen = [Detection { x_m: 1.0, y_m: 2.0, level: Some("ground"), ..Detection::default() }; 20];
        let head = Head { sensor: "cam", seq: Some(seq), time: Some((seq as i64 * 1_000_000, Clock::Device)) };
        builder.encode(&head, &[Sample::of(Body::Position(&seen))]).to_vec()
    };
    let (count, taken) = allocations(&native_site(), &(0..2000).map(|s| scan(&mut builder, s)).collect::<Vec<_>>());
    assert_eq!(taken, 2000);
    assert_eq!(count, 0, "allocations in 1,000 native frames");

    let seen = [Detection { x_m: 1.0, y_m: 2.0, level: Some("ground"), ..Detection::default() }; 20];
    let head = Head { sensor: "cam", seq: Some(1), time: None };
    let region = Region::new(ALLOCATOR);
    for _ in 0..100 {
        std::hint::black_box(builder.encode(&head, &[Sample::of(Body::Position(&seen))]));
    }
    let change = region.change();
    assert_eq!(change.allocations + change.reallocations, 0, "allocations of the sender's builder");

    // A record of a trace: written and read back into reused room.
    let items = [model::detection(LevelId(0), Point::new(1.0, 2.0)); 50];
    let body = model::Body::Position(&items);
    let measured = LogicalNs(5);
    let input = Input::Observation(model::Observation { sensor: SensorId(1), source_seq: Some(7), measured, body });
    let (mut records, mut scan) = (TraceBuilder::new(), model::ScanBuf::new());
    encode_input(&mut records, Tag::default(), &input);
    let region = Region::new(ALLOCATOR);
    for _ in 0..100 {
        let bytes = encode_input(&mut records, Tag::default(), &input);
        assert_eq!(decode_input(bytes, &mut scan), Ok((Tag::default(), input)));
    }
    let change = region.change();
    assert_eq!(change.allocations + change.reallocations, 0, "allocations of a trace's records");
}
