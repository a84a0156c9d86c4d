//! What one event costs: nanoseconds per step of the core, and per hop on the way to it and from it.
//!
//!     cargo bench --bench step
//!
//! Every single call is timed, and the whole distribution is told: an engine is as late as its worst event. The figures
//! belong to the machine they were taken on, its interruptions included: what other programs, the kernel and a
//! hypervisor take away shows in the tail of every row. The first row is the floor of that, measured in this same run:
//! the same clock read twice with nothing in between, for two seconds. Nothing here asserts.

#[path = "../tests/common/job.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest of it")]
mod job;

/// What `job` takes from the tests' common part: how long it would wait for an engine; there is none here.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

use hdrhistogram::Histogram;
use osmose_core::sequencer::Head;
use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan, Rules, StepSink};
use osmose_drivers::lines::encode_json;
use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::ids::{CarriedKey, RuleId, Seq};
use osmose_model::input::{Class, Input, Report, Shed, Tag};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::{Body, Observation, ScanBuf};
use osmose_model::site::{Site, SourceFile, Topology};
use osmose_model::stages::Decide;
use osmose_model::time::{ArrivalNs, LogicalNs};
use osmose_runtime::cores::Cores;
use osmose_runtime::journal::mapped::Mapped;
use osmose_runtime::journal::{Offset, Ring};
use osmose_runtime::lane::lane;
use osmose_runtime::tap::{Wanted, tap_ring};
use osmose_sensors::edge::{Edge, Sink, SourceKey};
use osmose_sensors::sim::{Scenario, Sim};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Events of the peer job.
const EVENTS: usize = 200_000;
/// Seconds of the co-working building's morning.
const MORNING_S: i64 = 30;
/// How long the floor is looked at.
const FLOOR: Duration = Duration::from_secs(2);

/// The distribution of one thing, each call by itself.
struct Row {
    what: &'static str,
    ns: Histogram<u64>,
}

impl Row {
    fn new(what: &'static str) -> Self {
        Self { what, ns: Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("bounds that the crate accepts") }
    }

    fn add(&mut self, took: Duration) {
        self.ns.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1));
    }

    fn time<T>(&mut self, f: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let out = black_box(f());
        self.add(begun.elapsed());
        out
    }

    fn print(&self) {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|q| self.ns.value_at_quantile(q));
        let (what, n, max) = (self.what, self.ns.len(), self.ns.max());
        println!("{what:<44} {p50:>8} {p99:>8} {p999:>8} {max:>10} {n:>9}");
    }
}

/// Two readings of the clock one behind the other: its own cost, and whatever took the processor away between them.
fn floor() -> Row {
    let mut row = Row::new("(floor) the clock read twice");
    let begun = Instant::now();
    while begun.elapsed() < FLOOR {
        row.time(|| ());
    }
    row
}

/// A site of the examples with its rules compiled.
fn example(name: &str) -> (Arc<Site>, Core) {
    let loaded = osmose_load::load_dir(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name));
    let site = Arc::new(loaded.site.expect("the examples load"));
    let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
    let program = osmose_rules::check(&site, &rules).program.expect("their rules compile");
    (site.clone(), Core::new(site, program))
}

/// Canonical inputs with their arrivals.
#[derive(Default)]
struct Inputs(Vec<(ArrivalNs, Vec<u8>)>);

impl Inputs {
    fn push(&mut self, arrival: ArrivalNs, input: &Input<'_>) {
        let mut bytes = vec![0; INPUT_BYTES_MAX];
        let n = canon::encode_input(input, &mut bytes).expect("the limit holds any input");
        bytes.truncate(n);
        bytes.shrink_to_fit();
        self.0.push((arrival, bytes));
    }
}

impl Sink for Inputs {
    fn named(&mut self, arrival: ArrivalNs, key: CarriedKey, text: &str) {
        self.push(arrival, &Input::Named { key, text });
    }
    fn observation(&mut self, arrival: ArrivalNs, _: SourceKey, _: Class, observation: &Observation<'_>) {
        self.push(arrival, &Input::Observation(*observation));
    }
    fn report(&mut self, arrival: ArrivalNs, report: Report) {
        self.push(arrival, &Input::Report(report));
    }
    fn shed(&mut self, arrival: ArrivalNs, shed: Shed) {
        self.push(arrival, &Input::Shed(shed));
    }
}

/// Takes what the edge says and keeps nothing: decoding alone is timed.
struct Nobody;

impl Sink for Nobody {
    fn named(&mut self, _: ArrivalNs, _: CarriedKey, _: &str) {}
    fn observation(&mut self, _: ArrivalNs, _: SourceKey, _: Class, observation: &Observation<'_>) {
        black_box(observation);
    }
    fn report(&mut self, _: ArrivalNs, _: Report) {}
    fn shed(&mut self, _: ArrivalNs, _: Shed) {}
}

/// Times the steps of inputs that `pick` names, and keeps their commands.
struct Steps {
    row: Row,
    pick: fn(&Input<'_>) -> bool,
    begun: Instant,
    commands: Vec<Command>,
}

impl StepSink<Fusion, Rules, Plan> for Steps {
    fn sequenced(&mut self, _: Tag, _: &[u8]) {
        self.begun = Instant::now();
    }
    fn decided(&mut self, _: Tag, input: &Input<'_>, out: &Outbox, _: &Core) {
        let took = self.begun.elapsed();
        if (self.pick)(input) {
            self.row.add(took);
        }
        self.commands.extend(out.commands.iter().cloned());
    }
}

/// Feeds inputs to a fresh core, in this thread.
fn steps(what: &'static str, machine: Core, inputs: &Inputs, pick: fn(&Input<'_>) -> bool) -> (Steps, CoreDriver) {
    let mut sink = Steps { row: Row::new(what), pick, begun: Instant::now(), commands: vec![] };
    let (mut driver, mut scan) = (CoreDriver::new(machine), ScanBuf::new());
    for (arrival, bytes) in &inputs.0 {
        driver.feed_canonical(*arrival, bytes, &mut scan, &mut sink).expect("what was encoded decodes");
    }
    (sink, driver)
}

/// The co-working building's morning; nobody answers its devices, so that every pass is the same.
fn morning(site: &Site) -> Inputs {
    let script = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/coworking/morning.toml"));
    let plan = Scenario::Morning { script: script.expect("the example has its script") };
    let mut sim = Sim::new(site, plan, 7).expect("the script fits the site");
    let mut inputs = Inputs::default();
    sim.advance(ArrivalNs(MORNING_S * 1_000_000_000), &mut |arrival, _, _, input| inputs.push(arrival, &input));
    inputs
}

fn lanes(inputs: &Inputs) -> Row {
    let mut row = Row::new("lane: push and pop");
    let (mut tx, mut rx) = lane(1024, 1 << 20);
    let mut room = vec![0; INPUT_BYTES_MAX];
    for (i, (arrival, bytes)) in inputs.0.iter().enumerate() {
        let head = Head { arrival: *arrival, class: Class::State, source: 0, source_seq: i as u64 };
        row.time(|| tx.push(head, *arrival, bytes).is_ok() && rx.pop(&mut room).is_some());
    }
    row
}

fn journal(inputs: &Inputs) -> Row {
    let mut row = Row::new("journal: append, mapped file");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mapped = Mapped::open(&dir.path().join("journal.ring"), 64 << 20).expect("a mapped file");
    let mut ring = Ring::new(mapped, Offset(0));
    for (i, (arrival, bytes)) in inputs.0.iter().enumerate() {
        let tag = Tag { at: LogicalNs(arrival.0), seq: Seq(i as u64 + 1) };
        row.time(|| ring.append(tag, bytes)).expect("room");
        let head = ring.head();
        ring.release_before(head);
    }
    row
}

fn taps(inputs: &Inputs) -> Row {
    let mut row = Row::new("tap: record an input");
    let (mut tx, mut rx) = tap_ring(1 << 20);
    for (i, (arrival, bytes)) in inputs.0.iter().enumerate() {
        let tag = Tag { at: LogicalNs(arrival.0), seq: Seq(i as u64 + 1) };
        row.time(|| tx.input(tag, bytes));
        if i % 64 == 0 {
            rx.drain(&mut []);
        }
    }
    assert_eq!(tx.lost_in_all(), 0, "what was lost was not recorded, and so not timed");
    row
}

/// Keyframes taken of a state.
const KEYFRAMES: usize = 500;

/// What a keyframe costs the stepping thread where a core at the side is saved in its place: it says that one is wanted.
fn keyframes_asked(core: &Core) -> Row {
    let mut row = Row::new("keyframe: asked of the core at the side");
    let (mut tx, mut rx) = tap_ring(1 << 20);
    let digests = (core.input_digest(), core.decision_digest());
    for _ in 0..KEYFRAMES {
        row.time(|| tx.want(Wanted { tag: core.last(), journal: Offset(0), digests }));
        rx.drain(&mut []);
    }
    row
}

/// What it costs who saves: that core, or the stepping thread where there is one processor only.
fn keyframes_saved(what: &'static str, core: &Core) -> Row {
    let (mut row, mut state) = (Row::new(what), Vec::new());
    for _ in 0..KEYFRAMES {
        state.clear();
        row.time(|| core.save(&mut state));
    }
    row
}

fn decoding(site: &Site, datagrams: &[String]) -> Row {
    let mut row = Row::new("edge: a JSON fix checked, decoded and placed");
    let mut edge = Edge::new(site);
    let port = edge.ports().next().expect("the site listens").id;
    let from = "127.0.0.1:50000".parse().expect("an address");
    for (i, text) in datagrams.iter().enumerate() {
        let at = ArrivalNs(i as i64 * 1_000_000);
        row.time(|| edge.datagram(port, from, at, text.as_bytes(), &mut Nobody));
    }
    row
}

fn encoding(site: &Site, core: &Core, commands: &[Command]) -> Row {
    let mut row = Row::new("command: encode as JSON");
    let rule = |r: RuleId| core.rules().rule_name(r);
    let mut line = Vec::with_capacity(4096);
    for command in commands {
        line.clear();
        row.time(|| encode_json(site, &rule, command, None, &mut line));
    }
    row
}

fn main() {
    let cores = Cores::read();
    println!(
        "topology: inline, one thread, not pinned; {} cores allowed of {} online (`auto` is {:?} here)",
        cores.allowed(),
        cores.online(),
        cores.topology(Topology::Auto)
    );
    println!("what interrupts this machine, a hypervisor included, is in every tail: compare with the floor\n");
    println!("{:<44} {:>8} {:>8} {:>8} {:>10} {:>9}", "nanoseconds", "p50", "p99", "p99.9", "max", "calls");
    floor().print();

    let (site, core) = example("peer-job");
    let datagrams: Vec<String> = job::Job::new().take(EVENTS).map(|e| e.datagram()).collect();
    let (mut inputs, mut edge) = (Inputs::default(), Edge::new(&site));
    let port = edge.ports().next().expect("the site listens").id;
    let from = "127.0.0.1:50000".parse().expect("an address");
    for (i, text) in datagrams.iter().enumerate() {
        edge.datagram(port, from, ArrivalNs(i as i64 * 1_000_000), text.as_bytes(), &mut inputs);
    }
    let is_fix = |i: &Input<'_>| matches!(i, Input::Observation(Observation { body: Body::Location { .. }, .. }));
    let (fixes, driver) = steps("step: a location fix (200 people, 20 rules)", core, &inputs, is_fix);
    fixes.row.print();

    let (building, core) = example("coworking");
    let people = morning(&building);
    let is_scan = |i: &Input<'_>| matches!(i, Input::Observation(Observation { body: Body::Position(_), .. }));
    let (scans, building_at_work) = steps("step: a position scan (co-working, 20 people)", core, &people, is_scan);
    scans.row.print();

    decoding(&site, &datagrams).print();
    lanes(&inputs).print();
    journal(&inputs).print();
    taps(&inputs).print();
    encoding(&site, driver.machine(), &fixes.commands).print();
    keyframes_asked(building_at_work.machine()).print();
    keyframes_saved("keyframe: the peer job's state saved at once", driver.machine()).print();
    keyframes_saved("keyframe: the building's state saved at once", building_at_work.machine()).print();
}
