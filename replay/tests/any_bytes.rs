//! A trace that is cut anywhere, or has any bit turned: opened without panic, its whole records given out, and what
//! is wrong with it found or without effect.

use osmose_core::CoreDriver;
use osmose_model::geometry::Place;
use osmose_model::ids::{CarriedKey, LevelId};
use osmose_model::input::{Anchor, Input};
use osmose_model::observation::{Body, Observation, ScanBuf};
use osmose_model::site::SourceFile;
use osmose_model::time::ArrivalNs;
use osmose_model::time::{DurationNs, LogicalNs, UtcNs};
use osmose_replay::drive::{Options, Osmose, Replay, Workshop};
use osmose_replay::record::{InlineRecorder, Recorder};
use osmose_replay::trace::codec::{self, Encoder};
use osmose_replay::trace::format::{Meta, Origin};
use osmose_replay::trace::read::{DamageKind, Ending, Item, TraceReader};
use osmose_replay::trace::write::{Packing, Schemas, TraceWriter};

/// A short live trace: a tag that walks through a door, recorded with a chunk every so often.
fn trace(steps: i64, nudge_m: f64) -> Vec<u8> {
    let files = osmose_load::template("two rooms");
    let workshop = Osmose::of_files(&files).expect("the template loads");
    let meta = Meta::new(Origin::Live, "two rooms");
    // Without the schemas' text and without states: they are most of a file and no reader here looks into them.
    let schemas = Schemas { tables: Encoder::schemas().tables, bfbs: b"small" };
    let writer = TraceWriter::new(Vec::new(), &meta, &files, &schemas, Packing::Lz4).expect("memory");
    let mut sink = InlineRecorder::new(Recorder::new(writer), 0);
    let mut driver = CoreDriver::new(workshop.core().expect("compiles"));
    let rules: Vec<SourceFile> = workshop.site().rule_files().cloned().collect();
    let block = osmose_model::canon::encode_files(&rules);
    driver.feed(ArrivalNs(0), &Input::RulesInstalled { files: &block }, &mut sink);
    let utc = UtcNs(1_790_000_000_000_000_000);
    driver.feed(ArrivalNs(0), &Input::Anchor(Anchor { utc, offset: DurationNs::ZERO, next_change: None }), &mut sink);
    let sensor = workshop.site().sensor_named("tags").expect("there");
    for step in 0..steps {
        let at = step * 100_000_000;
        let nudge = if step == steps / 2 { nudge_m } else { 0.0 };
        let place = Place::flat(LevelId(0), 1.0 + step as f64 * 0.1 + nudge, 2.0);
        let body = Body::Location { device: CarriedKey::of("p1"), place, sigma_m: None };
        let o = Observation { sensor, source_seq: Some(step as u64), measured: LogicalNs(at), body };
        driver.feed(ArrivalNs(at), &Input::Observation(o), &mut sink);
    }
    sink.into_inner().finish().expect("memory")
}

/// All that a reader gives out: records as they stand in the file, whether damage was found, and how it ended.
fn read(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, Vec<DamageKind>, Ending)> {
    let mut reader = TraceReader::new(bytes, bytes.len() as u64).ok()?;
    let (mut records, mut damage, mut scan) = (Vec::new(), Vec::new(), ScanBuf::new());
    while let Some(item) = reader.next_item().expect("memory") {
        match item {
            Item::Damage(d) => damage.push(d.kind),
            Item::Record(raw) => {
                // Decoding must not panic either, whatever is in it.
                let _ = codec::decode(&raw, &mut scan);
                records.push(raw.data.to_vec());
            }
        }
    }
    Some((records, damage, reader.ending().clone()))
}

#[test]
fn every_cut_point_opens_and_yields_a_front_of_the_whole_records() {
    let whole = trace(60, 0.0);
    let (all, damage, ending) = read(&whole).expect("opens");
    assert!(damage.is_empty() && ending == Ending::Whole && all.len() > 60);
    let (mut opened, mut longest) = (0_u32, 0);
    for cut in 0..whole.len() {
        let Some((records, _, ending)) = read(&whole[..cut]) else { continue };
        opened += 1;
        assert_ne!(ending, Ending::Whole, "cut at byte {cut} of {}", whole.len());
        assert!(records.len() <= all.len() && records[..] == all[..records.len()], "cut at byte {cut}");
        // More bytes never give fewer records.
        assert!(records.len() >= longest, "cut at byte {cut}: {} records after {longest}", records.len());
        longest = records.len();
    }
    println!("{} cut points, {opened} opened, up to {longest} of {} records", whole.len(), all.len());
    assert_eq!(longest, all.len(), "the last cut points lose the index only");
}

#[test]
fn a_thousand_turned_bits_are_found_or_harmless() {
    let whole = trace(60, 0.0);
    let (all, ..) = read(&whole).expect("opens");
    let files = TraceReader::new(&whole[..], whole.len() as u64).expect("opens").files().to_vec();
    let meta = TraceReader::new(&whole[..], whole.len() as u64).expect("opens").meta().clone();
    let mut state = 0x243f_6a88_85a3_08d3_u64;
    let (mut refused, mut found, mut harmless) = (0, 0, 0);
    for _ in 0..1000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bit = (state >> 16) as usize % (whole.len() * 8);
        let mut turned = whole.clone();
        turned[bit / 8] ^= 1 << (bit % 8);
        match read(&turned) {
            None => refused += 1,
            Some((records, damage, ending)) if damage.is_empty() && ending == Ending::Whole => {
                harmless += 1;
                let reader = TraceReader::new(&turned[..], turned.len() as u64).expect("opens");
                assert!(records == all, "bit {bit} changed a record and nobody saw it");
                assert!(reader.files() == files && *reader.meta() == meta, "bit {bit} changed the head");
            }
            Some(_) => found += 1,
        }
    }
    println!("1000 bits: {refused} refused, {found} found, {harmless} harmless");
    assert!(found > 500, "{found} found");
}

#[test]
fn inputs_that_differ_in_one_coordinate_give_another_digest_and_the_same_inputs_the_same() {
    let digest = |trace: &[u8]| {
        let reader = TraceReader::new(trace, trace.len() as u64).expect("opens");
        let workshop = Osmose::of_files(reader.files()).expect("loads");
        let options = Options { verify: true, ..Options::default() };
        Replay::new(reader, workshop, options).expect("runs").run(&mut ()).expect("runs").digests
    };
    let plain = digest(&trace(60, 0.0));
    assert_eq!(plain, digest(&trace(60, 0.0)));
    for nudge_m in [1e-9, 0.01, -0.3] {
        assert_ne!(plain.0, digest(&trace(60, nudge_m)).0, "{nudge_m} m");
    }
    // Far enough to cross a line earlier: the decisions differ too.
    assert_ne!(plain.1, digest(&trace(60, 3.0)).1);
}
