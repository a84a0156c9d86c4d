//! One log, four compositions: the same inputs through the rings and threads of each topology give the same digests.
//!
//! The inputs are scripted, with their arrival written in them, far ahead of the host's clock: so no tick comes from the
//! clock of the machine that runs the test, and the order is the script's alone.

use osmose_core::Core;
use osmose_core::sequencer::Head;
use osmose_model::canon;
use osmose_model::digest::Digest;
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{CarriedKey, LevelId, SensorId};
use osmose_model::input::{Class, Input};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::{Body, Observation};
use osmose_model::site::{Site, Topology};
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs};
use osmose_runtime::clock::HostClock;
use osmose_runtime::engine::{Engine, Setup, lanes};
use osmose_runtime::ingress::{Intake, lane_of};
use osmose_runtime::inlet::Inlet;
use osmose_runtime::lane::{LaneRx, LaneTx};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Inputs of one script.
const INPUTS: usize = 3000;
/// Before the first of them, by the log's clock: longer than any test runs.
const LEAD: DurationNs = DurationNs::from_s(3600);

/// The template's location sensor.
const TAGS: SensorId = SensorId(0);
const RULES: &str = "edition 1
rule light {
  while meeting is occupied
  hold  meeting.light.level = 80 %
  release after 1 s
  level comfort
}
rule pause {
  when any p in members(staff) leaves meeting
  do   meeting.recorder.pause()
  level privacy
}
";

fn site() -> Arc<Site> {
    let mut files = osmose_load::template("two rooms");
    for file in files.iter_mut().filter(|f| f.path.ends_with(".rules")) {
        RULES.clone_into(&mut file.text);
    }
    Arc::new(osmose_load::load(&files).site.expect("the template is a site"))
}

fn core(site: &Arc<Site>) -> Core {
    let files: Vec<_> = site.rule_files().cloned().collect();
    Core::new(site.clone(), osmose_rules::check(site, &files).program.expect("the rules compile"))
}

/// Canonical bytes of the `i`-th input: people walk back and forth through both rooms, a fix each 20 ms.
fn scripted(i: usize) -> (Head, Vec<u8>) {
    let arrival = ArrivalNs(LEAD.0 + i as i64 * 20_000_000);
    let (person, step) = (i % 5, (i / 5) as f64);
    let x_m = 5.0 + 4.5 * (step * 0.05 + person as f64).sin();
    let device = CarriedKey::of(["p1", "p2", "p3", "p4", "p5"][person]);
    let place = Place { at: Point::new(x_m, 2.0), z_m: None, level: LevelId(0) };
    let body = Body::Location { device, place, sigma_m: None };
    let observation = Observation { sensor: TAGS, source_seq: Some(i as u64), measured: LogicalNs(arrival.0), body };
    let mut bytes = vec![0; INPUT_BYTES_MAX];
    let n = canon::encode_input(&Input::Observation(observation), &mut bytes).expect("it fits");
    bytes.truncate(n);
    (Head { arrival, class: Class::State, source: 0, source_seq: i as u64 }, bytes)
}

/// Puts a share of the script into its lane, a few at a time, and then stops the engine.
struct Script {
    lanes: [LaneTx; 4],
    next: usize,
    stop: Arc<AtomicBool>,
}

impl Inlet for Script {
    fn do_work(&mut self, _: &HostClock) -> usize {
        let before = self.next;
        while self.next < INPUTS && self.next < before + 7 {
            let (head, bytes) = scripted(self.next);
            if self.lanes[lane_of(head.class)].push(head, head.arrival, &bytes).is_err() {
                break;
            }
            self.next += 1;
        }
        if self.next == INPUTS {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.next - before
    }
    fn wait(&mut self, _: Duration) -> bool {
        false
    }
    fn look_everywhere(&mut self) {}
    fn looks_always(&self) -> bool {
        true
    }
    fn report(&mut self, _: &Site) {}
    fn intake(&self) -> Intake {
        Intake::default()
    }
}

/// Both digests, and how many inputs were stepped and commands made.
fn run(topology: Topology) -> ((Digest, Digest), u64, u64) {
    let site = site();
    let stop = Arc::new(AtomicBool::new(false));
    let (tx, rx) = lanes();
    let setup = Setup {
        machine: core(&site),
        clock: HostClock::starting_at(ArrivalNs(0)),
        first: Vec::new(),
        journal: None,
        taps: Vec::new(),
        dry_run: true,
        resend_held: false,
        control: None,
    };
    let script = Script { lanes: tx, next: 0, stop: stop.clone() };
    let lanes: Vec<LaneRx> = rx.into();
    let engine = Engine::with_inlets(setup, topology, vec![Box::new(script)], lanes).expect("it composes");
    let summary = engine.run(&stop).expect("it runs");
    (summary.digests, summary.core.inputs, summary.core.commands)
}

#[test]
fn every_topology_decides_the_same() {
    let inline = run(Topology::Inline);
    let (_, inputs, commands) = inline;
    assert!(inputs >= INPUTS as u64 && commands > 10, "{inputs} inputs, {commands} commands");
    for topology in [Topology::Fused, Topology::Split, Topology::Dedicated] {
        assert_eq!(run(topology), inline, "{topology:?}");
    }
}
