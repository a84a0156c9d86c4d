//! What the tests of this crate share: a small site, a walk through it, and traces of the walk.

use crate::drive::{Osmose, Workshop};
use crate::record::{InlineRecorder, Recorder};
use crate::trace::codec::{self, Encoder, Record};
use crate::trace::format::{Meta, Origin, Topic};
use crate::trace::read::{Item, TraceReader};
use crate::trace::write::{Packing, TraceWriter};
use osmose_core::CoreDriver;
use osmose_model::canon;
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{CarriedKey, LevelId, SensorId, Seq};
use osmose_model::input::{Anchor, Input, Tag};
use osmose_model::observation::{Body, Detection, Observation, ScanBuf};
use osmose_model::site::SourceFile;
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs, UtcNs};

const RULES: &str = "edition 1
rule pause {
  when any p in members(staff) leaves meeting
  do   meeting.recorder.pause()
  level privacy
}
rule light {
  while meeting is occupied
  hold  meeting.light.level = 80 %
  release after 3 s
  level comfort
}
";

/// The template's site with rules that make commands at once and by a timer.
pub(crate) fn files() -> Vec<SourceFile> {
    let mut files = osmose_load::template("two rooms");
    for file in &mut files {
        if file.path.ends_with(".rules") {
            RULES.clone_into(&mut file.text);
        }
    }
    files
}

/// Its site.
pub(crate) fn workshop_site() -> std::sync::Arc<osmose_model::site::Site> {
    workshop().site().clone()
}

pub(crate) fn workshop() -> Osmose {
    Osmose::of_files(&files()).expect("the template loads")
}

/// Canonical inputs of a walk of `seconds`, with their arrivals: two tags that go to and fro between the rooms, and
/// a ceiling sensor that sees a third person now and then; rules installed and the wall clock first.
pub(crate) fn walk(seconds: i64) -> Vec<(ArrivalNs, Vec<u8>)> {
    let workshop = workshop();
    let site = workshop.site();
    let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
    let block = canon::encode_files(&rules);
    let mut inputs = Vec::new();
    let mut push = |at_ms: i64, input: &Input<'_>| {
        let mut bytes = vec![0; osmose_model::limits::INPUT_BYTES_MAX];
        let n = canon::encode_input(input, &mut bytes).expect("fits");
        bytes.truncate(n);
        inputs.push((ArrivalNs(at_ms * 1_000_000), bytes));
    };
    push(0, &Input::RulesInstalled { files: &block });
    let utc = UtcNs(1_790_000_000_000_000_000);
    push(0, &Input::Anchor(Anchor { utc, offset: DurationNs::from_s(3600), next_change: None }));
    let tags = site.sensor_named("tags").expect("there");
    let ceiling = site.sensor_named("ceiling-meeting").expect("there");
    for step in 0..seconds * 10 {
        let at_ms = step * 100 + 3;
        for (i, tag) in ["p1", "p2"].iter().enumerate() {
            // A triangle wave along x through the door, each tag with a period of its own.
            let period = 80 + 34 * i as i64;
            let phase = (step + 13 * i as i64) % period;
            let x_m = 1.0 + 8.0 * (2 * phase.min(period - phase)) as f64 / period as f64;
            let place = Place::flat(LevelId(0), x_m, 2.0);
            let body = Body::Location { device: CarriedKey::of(tag), place, sigma_m: None };
            push(at_ms, &observation(tags, at_ms, Some(step as u64), body));
        }
        if step % 2 == 0 {
            let seen = step / 50 % 2 == 0;
            let at = Point::new(1.0 + (step % 50) as f64 * 0.05, 1.0);
            let detections = [osmose_model::observation::detection(LevelId(0), at)];
            let detections: &[Detection] = if seen { &detections } else { &[] };
            push(at_ms, &observation(ceiling, at_ms - 2, None, Body::Position(detections)));
        }
    }
    inputs
}

fn observation(sensor: SensorId, at_ms: i64, source_seq: Option<u64>, body: Body<'_>) -> Input<'_> {
    Input::Observation(Observation { sensor, source_seq, measured: LogicalNs(at_ms * 1_000_000), body })
}

/// The walk with other rules installed from `at_s` on, and the number of the input that installs them.
pub(crate) fn with_install(
    inputs: &[(ArrivalNs, Vec<u8>)],
    at_s: i64,
    rules: &[SourceFile],
) -> (usize, Vec<(ArrivalNs, Vec<u8>)>) {
    let mut bytes = vec![0; osmose_model::limits::INPUT_BYTES_MAX];
    let block = canon::encode_files(rules);
    let n = canon::encode_input(&Input::RulesInstalled { files: &block }, &mut bytes).expect("fits");
    bytes.truncate(n);
    let mut inputs = inputs.to_vec();
    let at = inputs.partition_point(|(a, _)| a.0 < at_s * 1_000_000_000);
    inputs.insert(at, (inputs[at].0, bytes));
    (at, inputs)
}

/// A live trace of a walk: ticks, decisions, digests, and a keyframe behind every `keyframe_every`-th input.
pub(crate) fn live(inputs: &[(ArrivalNs, Vec<u8>)], keyframe_every: u64) -> Vec<u8> {
    live_with(inputs, keyframe_every, &[])
}

/// The same with rules that the input of a number installs.
pub(crate) fn live_with(
    inputs: &[(ArrivalNs, Vec<u8>)],
    keyframe_every: u64,
    installs: &[(usize, Vec<SourceFile>)],
) -> Vec<u8> {
    let meta = Meta::new(Origin::Live, "two rooms");
    let writer = TraceWriter::new(Vec::new(), &meta, &files(), &Encoder::schemas(), Packing::Lz4).expect("memory");
    let mut sink = InlineRecorder::new(Recorder::new(writer), keyframe_every);
    let mut driver = CoreDriver::new(workshop().core().expect("compiles"));
    let mut scan = ScanBuf::new();
    for (i, (arrival, bytes)) in inputs.iter().enumerate() {
        if let Some((_, rules)) = installs.iter().find(|(at, _)| *at == i) {
            driver.machine_mut().stage_rules(workshop().rules(rules).expect("compiles"));
        }
        driver.feed_canonical(*arrival, bytes, &mut scan, &mut sink).expect("canonical");
    }
    sink.into_inner().finish().expect("memory")
}

/// An import of the same walk: the inputs by arrival, nothing else.
pub(crate) fn imported(inputs: &[(ArrivalNs, Vec<u8>)]) -> Vec<u8> {
    let meta = Meta::new(Origin::Import, "two rooms");
    let writer = TraceWriter::new(Vec::new(), &meta, &files(), &Encoder::schemas(), Packing::Lz4).expect("memory");
    let mut recorder = Recorder::new(writer);
    for (i, (arrival, bytes)) in inputs.iter().enumerate() {
        recorder.input(Tag { at: LogicalNs(arrival.0), seq: Seq(i as u64 + 1) }, bytes);
    }
    recorder.finish().expect("memory")
}

/// Writes a trace again, record by record; `change` may alter a payload, or leave a record out (`None`). A new chunk
/// begins where `new_chunk` says so.
pub(crate) fn rewritten(
    trace: &[u8],
    meta: Option<Meta>,
    mut change: impl FnMut(Topic, &Record<'_>, &[u8]) -> Option<Vec<u8>>,
    new_chunk: impl Fn(u64) -> bool,
) -> Vec<u8> {
    let mut reader = TraceReader::new(trace, trace.len() as u64).expect("opens");
    let meta = meta.unwrap_or_else(|| reader.meta().clone());
    let files = reader.files().to_vec();
    let mut writer = TraceWriter::new(Vec::new(), &meta, &files, &Encoder::schemas(), Packing::None).expect("memory");
    let mut scan = ScanBuf::new();
    let mut n = 0;
    while let Some(item) = reader.next_item().expect("memory") {
        let Item::Record(raw) = item else { panic!("{item:?}") };
        let record = codec::decode(&raw, &mut scan).expect("decodes");
        if let Some(payload) = change(raw.topic, &record, raw.data) {
            let time = |t: u64| LogicalNs(t as i64);
            writer
                .append(raw.topic, time(raw.log_time), time(raw.publish_time), Seq(u64::from(raw.sequence)), &payload)
                .expect("memory");
        }
        n += 1;
        if new_chunk(n) {
            writer.flush().expect("memory");
        }
    }
    writer.finish().expect("memory")
}

/// A byte in the middle of the chunk of a number, from 0: where the chunks lie depends on how large states are.
pub(crate) fn inside_chunk(trace: &[u8], n: usize) -> usize {
    let mut source = std::io::Cursor::new(trace);
    let index = crate::trace::index::TraceIndex::read(&mut source, trace.len() as u64).expect("memory");
    let at = |i: usize| index.chunks[i].at_byte as usize;
    // Message indexes follow a chunk; a third of the way to the next one is inside it.
    at(n) + (at(n + 1) - at(n)) / 3
}
