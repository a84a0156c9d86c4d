//! Whole recordings, made from seeds as the bench's corpus is (`benches/corpus/corpus.toml`), stepped with a counting
//! allocator: behind the first half, in which people and sensors are heard for the first time, nothing is allocated. Alone in
//! its file: another test beside it would be counted too.

use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan, Rules, StepSink};
use osmose_model::canon;
use osmose_model::input::{Input, Tag};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::ScanBuf;
use osmose_model::site::SourceFile;
use osmose_model::time::ArrivalNs;
use osmose_sensors::sim::{CROWD_STAY_S, Scenario, Sim};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::path::Path;
use std::sync::Arc;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A recording: its site, its script or how many people walk about, its length and its seed.
struct Recording {
    name: &'static str,
    site: &'static str,
    who: Who,
    seconds: i64,
    seed: u64,
}

enum Who {
    Script(&'static str),
    Crowd(usize),
}

/// The bench's corpus; the crowd is shorter, for a test build.
const CORPUS: [Recording; 4] = [
    Recording { name: "morning", site: "coworking", who: Who::Script("coworking/morning.toml"), seconds: 60, seed: 7 },
    Recording { name: "crowd", site: "coworking", who: Who::Crowd(80), seconds: 8, seed: 1 },
    Recording { name: "fixes", site: "peer-job", who: Who::Crowd(200), seconds: 60, seed: 2 },
    Recording {
        name: "incident",
        site: "incidents",
        who: Who::Script("incidents/late-pause.toml"),
        seconds: 40,
        seed: 1,
    },
];

/// Counts what was decided.
#[derive(Default)]
struct Decided {
    steps: u64,
    events: usize,
    commands: usize,
}

impl StepSink<Fusion, Rules, Plan> for Decided {
    fn sequenced(&mut self, _: Tag, _: &[u8]) {}
    fn decided(&mut self, _: Tag, _: &Input<'_>, out: &Outbox, _: &Core) {
        self.steps += 1;
        self.events += out.events.len();
        self.commands += out.commands.len();
    }
}

/// Everything of a recording, in canonical bytes, with the site's machine.
fn made(recording: &Recording) -> (Core, Vec<(ArrivalNs, Vec<u8>)>) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let site = Arc::new(osmose_load::load_dir(&examples.join(recording.site)).site.expect("the examples load"));
    let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
    let program = osmose_rules::check(&site, &rules).program.expect("their rules compile");
    let scenario = match recording.who {
        Who::Script(file) => {
            let script = std::fs::read_to_string(examples.join(file)).expect("the example has its script");
            Scenario::Morning { script }
        }
        Who::Crowd(people) => Scenario::Crowd { people, stay_s: CROWD_STAY_S },
    };
    let mut sim = Sim::new(&site, scenario, recording.seed).expect("the scenario fits the site");
    let (mut all, mut room) = (Vec::new(), vec![0; INPUT_BYTES_MAX]);
    sim.advance(ArrivalNs(recording.seconds * 1_000_000_000), &mut |arrival, _, _, input| {
        let n = canon::encode_input(&input, &mut room).expect("the limit holds any input");
        all.push((arrival, room[..n].to_vec()));
    });
    (Core::new(site, program), all)
}

#[test]
fn the_second_half_of_a_recording_allocates_nothing() {
    let mut bad = Vec::new();
    for recording in &CORPUS {
        let (machine, inputs) = made(recording);
        let (mut driver, mut scan, mut decided) = (CoreDriver::new(machine), ScanBuf::new(), Decided::default());
        let (first, second) = inputs.split_at(inputs.len() / 2);
        let mut step = |part: &[(ArrivalNs, Vec<u8>)]| {
            for (arrival, bytes) in part {
                driver.feed_canonical(*arrival, bytes, &mut scan, &mut decided).expect("what was encoded decodes");
            }
        };
        step(first);
        // The counter sees every thread of the process, and the harness has one that may allocate now and then: what steps
        // allocate shows in more than one stretch of many.
        let stretches: Vec<usize> = second
            .chunks(second.len().div_ceil(20).max(1))
            .map(|stretch| {
                let region = Region::new(GLOBAL);
                step(stretch);
                let change = region.change();
                change.allocations + change.reallocations
            })
            .collect();
        let most = stretches.iter().max().copied().unwrap_or(0);
        let n: usize = stretches.iter().sum::<usize>() - most;
        let Decided { steps, events, commands } = decided;
        println!(
            "{}: {steps} steps, {events} events, {commands} commands; {n} allocations {stretches:?}",
            recording.name
        );
        assert!(steps > 500 && events > 5, "{}: it was what it was meant to be", recording.name);
        if n > 0 {
            bad.push((recording.name, stretches));
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}
