//! What recording costs, how fast a replay goes, how soon it begins in the middle of a day, and how much an index takes.
//!
//!     cargo bench -p osmose-replay --bench replay                    (everything; the day is a quiet one)
//!     cargo bench -p osmose-replay --bench replay -- record          (one of: record, fixes, morning, seek)
//!     cargo bench -p osmose-replay --bench replay -- seek --busy     (the day is the co-working building's: 10 minutes and
//!                                                                     6 GiB to make it)
//!     cargo bench -p osmose-replay --bench replay -- fixes --keep D  (the traces stay in the folder D)
//!
//! Distributions, not means; the first row is the floor: the same clock read twice with nothing in between. What
//! other programs and a hypervisor take away is in every tail. Nothing here asserts.

use mcap::records::MessageHeader;
use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan, Rules, StepSink};
use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::geometry::Place;
use osmose_model::ids::{CarriedKey, LevelId, SensorId, Seq};
use osmose_model::input::{Anchor, Input, Tag};
use osmose_model::observation::{Body, Observation, ScanBuf};
use osmose_model::site::SourceFile;
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs, NS_PER_S, UtcNs};
use osmose_replay::drive::{Options, Osmose, Replay, Sinks, Workshop};
use osmose_replay::record::Recorder;
use osmose_replay::trace::codec::Encoder;
use osmose_replay::trace::format::{Meta, Origin};
use osmose_replay::trace::index::TraceIndex;
use osmose_replay::trace::recording::Recording;
use osmose_replay::trace::write::Packing;
use osmose_runtime::tap::Tap;
use osmose_sensors::sim::{REPORT_AFTER_MIN, Scenario, Sim};
use std::collections::BTreeMap;
use std::fs::File;
use std::hint::black_box;
use std::io::BufWriter;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Location fixes recorded and replayed.
const FIXES: usize = 1_000_000;
/// People who carry a device, in the stream of fixes.
const PEOPLE: usize = 50;
/// Seconds of the co-working building's morning.
const MORNING_S: i64 = 300;
/// A keyframe this often, as a running engine takes them.
const KEYFRAME_EVERY_S: i64 = 30;
/// A chunk this often, as a running engine flushes.
const FLUSH_EVERY: DurationNs = DurationNs::from_ms(200);
/// Places in the day that a replay is begun at.
const SEEKS: u64 = 40;
/// How long the floor is looked at.
const FLOOR: Duration = Duration::from_secs(1);

/// The distribution of one thing, each call by itself.
struct Row {
    what: String,
    ns: Vec<u64>,
}

impl Row {
    fn new(what: &str) -> Self {
        Self { what: what.to_owned(), ns: Vec::with_capacity(FIXES) }
    }

    fn add(&mut self, took: Duration) {
        self.ns.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    fn time<T>(&mut self, f: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let out = black_box(f());
        self.add(begun.elapsed());
        out
    }

    fn print(&self) {
        let mut ns = self.ns.clone();
        ns.sort_unstable();
        let at = |q: f64| ns.get((q * ns.len() as f64) as usize).or(ns.last()).copied().unwrap_or(0);
        let mean = ns.iter().sum::<u64>() as f64 / ns.len().max(1) as f64;
        let (what, n, [p50, p99, p999, max]) = (&self.what, ns.len(), [0.5, 0.99, 0.999, 1.0].map(at));
        println!("{what:<52} {p50:>9} {p99:>9} {p999:>9} {max:>11} {mean:>9.0} {n:>8}");
    }

    fn head() {
        let [p50, p99, p999, max, mean, n] = ["p50", "p99", "p99.9", "max", "mean", "calls"];
        println!("{:<52} {p50:>9} {p99:>9} {p999:>9} {max:>11} {mean:>9} {n:>8}", "nanoseconds");
    }
}

fn floor() {
    let mut row = Row::new("(floor) the clock read twice");
    let begun = Instant::now();
    while begun.elapsed() < FLOOR {
        row.time(|| ());
    }
    row.print();
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

/// A site of the examples, and its files as a recording carries them.
fn site(name: &str) -> (Osmose, Vec<SourceFile>) {
    let loaded = osmose_load::load_dir(&example(name));
    let site = loaded.site.expect("the examples load");
    let files = site.files.clone();
    (Osmose::new(std::sync::Arc::new(site)), files)
}

/// Writes what a driver does into a trace with keyframes and chunks at the log's own times, as a running engine's
/// recorder does at the clock's.
struct Live {
    recorder: Recorder<BufWriter<File>>,
    keyframe_due: LogicalNs,
    flush_due: LogicalNs,
    state: Vec<u8>,
    save: Row,
    state_bytes: usize,
    commands: Vec<Command>,
}

impl Live {
    fn create(path: &Path, files: &[SourceFile]) -> Self {
        let meta = Meta::new(Origin::Live, "bench");
        Self {
            recorder: Recorder::create(path, &meta, files, Packing::default()).expect("a new file"),
            keyframe_due: LogicalNs(KEYFRAME_EVERY_S * NS_PER_S),
            flush_due: LogicalNs(0),
            state: Vec::new(),
            save: Row::new("state saved, on the stepping thread"),
            state_bytes: 0,
            commands: Vec::new(),
        }
    }
}

impl StepSink<Fusion, Rules, Plan> for Live {
    fn sequenced(&mut self, tag: Tag, canonical: &[u8]) {
        self.recorder.input(tag, canonical);
    }

    fn decided(&mut self, tag: Tag, _: &Input<'_>, out: &Outbox, machine: &Core) {
        out.events.iter().for_each(|e| self.recorder.event(tag, e));
        out.commands.iter().for_each(|c| self.recorder.command(c));
        self.commands.extend(out.commands.iter().cloned());
        let digests = (machine.input_digest(), machine.decision_digest());
        if !out.events.is_empty() || !out.commands.is_empty() {
            self.recorder.digest(tag.seq, digests.0, digests.1);
        }
        if tag.at >= self.keyframe_due {
            self.keyframe_due = tag.at.plus(DurationNs::from_s(KEYFRAME_EVERY_S));
            self.state.clear();
            self.save.time(|| machine.save(&mut self.state));
            self.state_bytes = self.state.len();
            self.recorder.keyframe(tag, &self.state, digests);
        }
        if tag.at >= self.flush_due {
            self.flush_due = tag.at.plus(FLUSH_EVERY);
            self.recorder.flush();
        }
    }
}

/// The inputs that every log begins with.
fn begin(workshop: &Osmose, driver: &mut CoreDriver, sink: &mut Live) {
    let rules: Vec<SourceFile> = workshop.site().rule_files().cloned().collect();
    driver.feed(ArrivalNs(0), &Input::RulesInstalled { files: &canon::encode_files(&rules) }, sink);
    let utc = UtcNs(1_772_440_200_000_000_000);
    driver.feed(ArrivalNs(0), &Input::Anchor(Anchor { utc, offset: DurationNs::ZERO, next_change: None }), sink);
}

/// The `i`-th fix of people who walk round through rooms, `hz` fixes a second in all.
fn fix(i: usize, hz: f64, people: usize) -> (ArrivalNs, Observation<'static>) {
    let at = ArrivalNs((i as f64 / hz * 1e9) as i64);
    let (who, turn) = (i % people, i as f64 / hz / 60.0);
    let angle = std::f64::consts::TAU * (turn + who as f64 / people as f64);
    let place = Place::flat(LevelId(0), 24.0 + 20.0 * angle.cos(), 15.0 + 12.0 * angle.sin());
    let body = Body::Location { device: CarriedKey::of(&format!("p{}", who + 1)), place, sigma_m: None };
    (at, Observation { sensor: SensorId(0), source_seq: Some(i as u64), measured: LogicalNs(at.0), body })
}

fn fixes_trace(path: &Path, fixes: usize, hz: f64, people: usize) -> Live {
    let (workshop, files) = site("peer-job");
    let mut live = Live::create(path, &files);
    let mut driver = CoreDriver::new(workshop.core().expect("the rules compile"));
    begin(&workshop, &mut driver, &mut live);
    for i in 0..fixes {
        let (at, observation) = fix(i, hz, people);
        driver.feed(at, &Input::Observation(observation), &mut live);
        live.commands.clear();
    }
    live
}

fn morning_trace(path: &Path, seconds: i64) -> Live {
    let (workshop, files) = site("coworking");
    let script =
        std::fs::read_to_string(example("coworking").join("morning.toml")).expect("the example has its script");
    let mut sim = Sim::new(workshop.site(), Scenario::Morning { script }, 7).expect("the script fits the site");
    let mut live = Live::create(path, &files);
    let mut driver = CoreDriver::new(workshop.core().expect("the rules compile"));
    begin(&workshop, &mut driver, &mut live);
    let (mut now, end) = (ArrivalNs(0), ArrivalNs(seconds * NS_PER_S));
    while now < end {
        now = now.plus(REPORT_AFTER_MIN).min(end);
        sim.advance(now, &mut |arrival, _, _, input| driver.feed(arrival, &input, &mut live));
        for command in live.commands.drain(..) {
            sim.command(ArrivalNs(command.at.0), &command);
        }
    }
    live
}

/// What one input costs the recording thread, beside the same bytes written by the `mcap` crate alone.
fn record(dir: &Path) {
    let (_, files) = site("peer-job");
    let inputs: Vec<(Tag, Vec<u8>)> = (0..FIXES)
        .map(|i| {
            let (at, observation) = fix(i, 500.0, PEOPLE);
            let mut bytes = vec![0; 512];
            let n = canon::encode_input(&Input::Observation(observation), &mut bytes).expect("room");
            bytes.truncate(n);
            (Tag { at: LogicalNs(at.0), seq: Seq(i as u64 + 1) }, bytes)
        })
        .collect();
    Row::head();
    floor();
    for (name, packing) in [("lz4", Packing::Lz4), ("none", Packing::None)] {
        let meta = Meta::new(Origin::Live, "bench");
        let path = dir.join(format!("record-{name}"));
        let mut recorder = Recorder::create(&path, &meta, &files, packing).expect("a new file");
        let mut row = Row::new(&format!("a fix recorded, packing {name}"));
        let begun = Instant::now();
        for (tag, canonical) in &inputs {
            row.time(|| Tap::input(&mut recorder, *tag, canonical));
        }
        let whole = begun.elapsed();
        Tap::finish(&mut recorder);
        assert!(recorder.failed().is_none() && recorder.unreadable() == 0);
        row.print();
        let (mut encoder, mut scan) = (Encoder::default(), ScanBuf::new());
        let payloads: Vec<Vec<u8>> = (inputs.iter())
            .map(|(tag, bytes)| encoder.input(*tag, &canon::decode_input(bytes, &mut scan).expect("one")).to_vec())
            .collect();
        let raw = raw_mcap(&dir.join(format!("raw-{name}")), packing, &inputs, &payloads);
        println!(
            "{:<52} {:.0} ns a fix with two looks at the clock, raw mcap {:.0} ns; {:.1} bytes a fix in the file",
            "  the whole of it",
            whole.as_nanos() as f64 / FIXES as f64,
            raw.as_nanos() as f64 / FIXES as f64,
            std::fs::metadata(&path).expect("written").len() as f64 / FIXES as f64
        );
    }
}

/// The same payloads by the `mcap` crate alone: no encoding, no look at the time.
fn raw_mcap(path: &Path, packing: Packing, inputs: &[(Tag, Vec<u8>)], payloads: &[Vec<u8>]) -> Duration {
    let compression = match packing {
        Packing::Lz4 => Some(mcap::Compression::Lz4),
        Packing::Zstd => Some(mcap::Compression::Zstd),
        Packing::None => None,
    };
    let options = mcap::WriteOptions::new().compression(compression).chunk_size(Some(256 * 1024));
    let mut writer = options.create(BufWriter::new(File::create(path).expect("a new file"))).expect("a head");
    let schema = writer.add_schema("osmose.trace.Input", "flatbuffer", Encoder::schemas().bfbs).expect("room");
    let channel_id = writer.add_channel(schema, "input", "flatbuffer", &BTreeMap::new()).expect("room");
    let mut row = Row::new("  the same bytes by the mcap crate alone");
    let begun = Instant::now();
    for ((tag, _), payload) in inputs.iter().zip(payloads) {
        let time = tag.at.0 as u64;
        let header = MessageHeader { channel_id, sequence: tag.seq.0 as u32, log_time: time, publish_time: time };
        row.time(|| writer.write_to_known_channel(&header, payload)).expect("the disk takes it");
    }
    let whole = begun.elapsed();
    writer.finish().expect("the disk takes it");
    row.print();
    whole
}

/// How much of a file is index: what stands behind the data, and the message indexes between the chunks.
fn sizes(path: &Path, live: &Live) {
    let mut file = File::open(path).expect("written");
    let len = file.metadata().expect("written").len();
    let index = TraceIndex::read(&mut file, len).expect("readable");
    println!(
        "  {:.1} MB, {} chunks; summary {:.1} MB, message indexes {:.1} MB; the last state {} bytes",
        len as f64 / 1e6,
        index.chunks.len(),
        index.summary_bytes as f64 / 1e6,
        index.message_index_bytes as f64 / 1e6,
        live.state_bytes
    );
}

/// Time that this thread has had a processor for; what other programs took is not in it. Zero where the system does not
/// say.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

/// A replay's time by the clock, its time on a processor, and its inputs.
fn replayed(path: &Path, verify: bool, threads: NonZeroUsize) -> (Duration, Duration, u64) {
    let (begun, had) = (Instant::now(), on_cpu());
    let recording = Recording::open(path).expect("opens");
    let workshop = Osmose::of_files(osmose_replay::trace::recording::Items::files(&recording)).expect("loads");
    let options = Options { verify, ..Options::default() };
    let replay = Replay::new(recording, workshop, options).expect("ready");
    let summary = replay.run_on(threads, &mut ()).expect("runs");
    assert!(summary.holes.is_empty() && summary.exit_status() == 0, "{}", summary.render());
    (begun.elapsed(), on_cpu() - had, summary.inputs)
}

/// Replays a trace several times, and says how fast by the clock; on one thread also by the time on a processor alone.
fn rates(path: &Path, what: &str, of: f64) {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    for (verify, threads) in [false, true].into_iter().flat_map(|v| [(v, NonZeroUsize::MIN), (v, cores)]) {
        for _ in 0..3 {
            let (took, cpu, inputs) = replayed(path, verify, threads);
            let rate = |d: Duration| of / d.as_secs_f64();
            let done = if verify { "verified" } else { "replayed" };
            print!("  {done} on {threads} in {:.3} s: {:.0} {what}", took.as_secs_f64(), rate(took));
            if threads == NonZeroUsize::MIN {
                let per_input = cpu.as_nanos() as f64 / inputs as f64;
                print!(
                    "; on a processor {:.3} s: {:.0} {what}, {per_input:.0} ns an input",
                    cpu.as_secs_f64(),
                    rate(cpu)
                );
            }
            println!();
        }
    }
}

fn fixes(dir: &Path) {
    let path = dir.join("fixes.mcap");
    let mut live = fixes_trace(&path, FIXES, 500.0, PEOPLE);
    Tap::finish(&mut live.recorder);
    println!("\n{FIXES} location fixes of {PEOPLE} people, 20 rules (examples/peer-job)");
    sizes(&path, &live);
    rates(&path, "fixes/s", FIXES as f64);
}

fn morning(dir: &Path) {
    let path = dir.join("morning.mcap");
    let mut live = morning_trace(&path, MORNING_S);
    Tap::finish(&mut live.recorder);
    println!("\n{MORNING_S} s of the co-working building, 20 people (examples/coworking)");
    sizes(&path, &live);
    rates(&path, "x real time", MORNING_S as f64);
    println!();
    Row::head();
    live.save.print();
}

fn seek(dir: &Path, busy: bool) {
    let path = dir.join("day.mcap");
    let day_s = 24 * 3600;
    let begun = Instant::now();
    let mut live =
        if busy { morning_trace(&path, day_s) } else { fixes_trace(&path, 10 * day_s as usize, 10.0, PEOPLE) };
    Tap::finish(&mut live.recorder);
    let of = if busy { "of the co-working building" } else { "of 10 location fixes a second" };
    println!("\n24 hours {of}, made in {:.0} s", begun.elapsed().as_secs_f64());
    sizes(&path, &live);
    Row::head();
    let mut opened = Row::new("open, to the site loaded and its rules compiled");
    let mut ready = Row::new("... to the state of the keyframe taken back");
    let mut first = Row::new("... to the first step of the stretch asked for");
    let mut whole = Row::new("... to the end of a stretch of 9 s");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..SEEKS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let from = LogicalNs((state >> 11) as i64 % (day_s - 60) * NS_PER_S);
        let begun = Instant::now();
        let recording = Recording::open(&path).expect("opens");
        let workshop = Osmose::of_files(osmose_replay::trace::recording::Items::files(&recording)).expect("loads");
        opened.add(begun.elapsed());
        let began = std::rc::Rc::new(std::cell::Cell::new(None));
        let seen = began.clone();
        let each = move |tag: Tag, _: &Input<'_>, _: &Outbox, _: &dyn osmose_model::world::WorldView| {
            if tag.at >= from && seen.get().is_none() {
                seen.set(Some(begun.elapsed()));
            }
        };
        let sinks = Sinks { each: Some(Box::new(each)), ..Sinks::default() };
        let to = Some(from.plus(DurationNs::from_s(9)));
        let options = Options { from: Some(from), to, sinks, ..Options::default() };
        let replay = Replay::new(recording, workshop, options).expect("ready").from_keyframe().expect("readable");
        ready.add(begun.elapsed());
        let summary = replay.ahead().expect("a thread").run(&mut ()).expect("runs");
        whole.add(begun.elapsed());
        assert!(summary.began_at.is_some() || from.0 < 31 * NS_PER_S, "{}", summary.render());
        first.add(began.get().expect("something happens in 9 s"));
    }
    [opened, ready, first, whole].iter().for_each(Row::print);
}

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let kept = args.iter().position(|a| a == "--keep").map(|i| {
        args.remove(i);
        PathBuf::from(args.remove(i))
    });
    let wanted = |name: &str| args.iter().all(|a| a.starts_with("--")) || args.iter().any(|a| a == name);
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let dir = kept.as_deref().unwrap_or(temporary.path());
    println!("topology: inline, one thread and one that reads ahead, not pinned; nothing else should run beside it\n");
    if wanted("record") {
        record(dir);
    }
    if wanted("fixes") {
        fixes(dir);
    }
    if wanted("morning") {
        morning(dir);
    }
    if wanted("seek") {
        seek(dir, args.iter().any(|a| a == "--busy"));
    }
}
