//! What goes wrong in systems that replay, each as a test: the state of sources where a replay begins, work that was done
//! beside the log, the places where states are taken, and proof by repetition alone (`any_bytes.rs` changes the inputs).
//! On the engine's own stages; the building is the co-working example with its simulated people.

use osmose_core::{Core, CoreDriver, Outbox};
use osmose_model::canon;
use osmose_model::geometry::Place;
use osmose_model::ids::{CarriedKey, LevelId, Name, Seq};
use osmose_model::input::{Anchor, Input, Tag};
use osmose_model::observation::{Body, Observation, ScanBuf};
use osmose_model::site::SourceFile;
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs, NS_PER_S, UtcNs};
use osmose_model::world::WorldView;
use osmose_replay::drive::{Options, Osmose, Replay, Summary, Verdict, Workshop};
use osmose_replay::record::{InlineRecorder, Recorder};
use osmose_replay::trace::codec::{self, Encoder, Record};
use osmose_replay::trace::format::{Meta, Origin};
use osmose_replay::trace::read::{Item, TraceReader};
use osmose_replay::trace::recording::{Items, Recording};
use osmose_replay::trace::write::{Packing, TraceWriter};
use osmose_sensors::sim::{Scenario, Sim};
use std::path::Path;

type Inputs = Vec<(ArrivalNs, Vec<u8>)>;

fn push(inputs: &mut Inputs, at: ArrivalNs, input: &Input<'_>) {
    let mut bytes = vec![0; osmose_model::limits::INPUT_BYTES_MAX];
    let n = canon::encode_input(input, &mut bytes).expect("the limit holds any input");
    bytes.truncate(n);
    inputs.push((at, bytes));
}

fn rules_of(workshop: &Osmose) -> Vec<SourceFile> {
    workshop.site().rule_files().cloned().collect()
}

fn begin(workshop: &Osmose) -> Inputs {
    let mut inputs = Inputs::new();
    let files = canon::encode_files(&rules_of(workshop));
    push(&mut inputs, ArrivalNs(0), &Input::RulesInstalled { files: &files });
    let utc = UtcNs(1_772_440_200_000_000_000);
    push(&mut inputs, ArrivalNs(0), &Input::Anchor(Anchor { utc, offset: DurationNs::ZERO, next_change: None }));
    inputs
}

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

fn two_rooms() -> Osmose {
    let mut files = osmose_load::template("two rooms");
    files.iter_mut().filter(|f| f.path.ends_with(".rules")).for_each(|f| RULES.clone_into(&mut f.text));
    Osmose::of_files(&files).expect("the template loads")
}

/// A tag that goes to and fro through the door, ten times a second.
fn walk(workshop: &Osmose, seconds: i64) -> Inputs {
    let mut inputs = begin(workshop);
    let sensor = workshop.site().sensor_named("tags").expect("there");
    for step in 0..seconds * 10 {
        let at = step * NS_PER_S / 10;
        let phase = step % 60;
        let place = Place::flat(LevelId(0), 1.0 + 8.0 * phase.min(60 - phase) as f64 / 30.0, 2.0);
        let body = Body::Location { device: CarriedKey::of("p1"), place, sigma_m: None };
        let o = Observation { sensor, source_seq: Some(step as u64), measured: LogicalNs(at), body };
        push(&mut inputs, ArrivalNs(at), &Input::Observation(o));
    }
    inputs
}

fn coworking() -> Osmose {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/coworking");
    Osmose::new(std::sync::Arc::new(osmose_load::load_dir(&dir).site.expect("the example loads")))
}

/// The building's morning; nobody answers its devices.
fn morning(workshop: &Osmose, seconds: i64) -> Inputs {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/coworking/morning.toml");
    let script = std::fs::read_to_string(path).expect("the example has its script");
    let mut sim = Sim::new(workshop.site(), Scenario::Morning { script }, 7).expect("the script fits the site");
    let mut inputs = begin(workshop);
    sim.advance(ArrivalNs(seconds * NS_PER_S), &mut |arrival, _, _, input| push(&mut inputs, arrival, &input));
    inputs
}

/// A recording with a keyframe behind every `keyframe_every`-th input; `staged` rules are made ready before the input of
/// that place.
fn recorded(
    workshop: &Osmose,
    inputs: &Inputs,
    keyframe_every: u64,
    staged: Option<(usize, &[SourceFile])>,
) -> Vec<u8> {
    let meta = Meta::new(Origin::Live, "lessons");
    let files = &workshop.site().files;
    let writer = TraceWriter::new(Vec::new(), &meta, files, &Encoder::schemas(), Packing::Lz4).expect("memory");
    let mut sink = InlineRecorder::new(Recorder::new(writer), keyframe_every);
    let mut driver = CoreDriver::new(workshop.core().expect("the rules compile"));
    let mut scan = ScanBuf::new();
    for (i, (arrival, bytes)) in inputs.iter().enumerate() {
        if let Some((_, rules)) = staged.filter(|(at, _)| *at == i) {
            driver.machine_mut().stage_rules(workshop.rules(rules).expect("they compile"));
        }
        driver.feed_canonical(*arrival, bytes, &mut scan, &mut sink).expect("canonical");
    }
    sink.into_inner().finish().expect("memory")
}

/// Every input of a trace with its tag, ticks too.
fn tagged(trace: &[u8]) -> Vec<(Tag, Vec<u8>)> {
    let mut reader = TraceReader::new(trace, trace.len() as u64).expect("opens");
    let (mut all, mut scan) = (Vec::new(), ScanBuf::new());
    while let Some(item) = reader.next_item().expect("memory") {
        let Item::Record(raw) = item else { panic!("{item:?}") };
        if let Record::Input { tag, input } = codec::decode(&raw, &mut scan).expect("decodes") {
            let mut one = Inputs::new();
            push(&mut one, ArrivalNs(tag.at.0), &input);
            all.extend(one.into_iter().map(|(_, bytes)| (tag, bytes)));
        }
    }
    all
}

fn step(machine: &mut Core, (tag, bytes): &(Tag, Vec<u8>), scan: &mut ScanBuf, out: &mut Outbox) {
    machine.step(*tag, &canon::decode_input(bytes, scan).expect("canonical"), out);
}

fn saved(machine: &Core) -> Vec<u8> {
    let mut state = Vec::new();
    machine.save(&mut state);
    state
}

fn restored(workshop: &Osmose, state: &[u8]) -> Core {
    let mut machine = workshop.core().expect("the rules compile");
    machine.restore(state).expect("its own state");
    machine
}

fn verified(path: &Path, from: Option<LogicalNs>) -> Summary {
    let recording = Recording::open(path).expect("opens");
    let workshop = Osmose::of_files(recording.files()).expect("loads");
    let options = Options { verify: true, from, ..Options::default() };
    let replay = Replay::new(recording, workshop, options).expect("ready").from_keyframe().expect("readable");
    replay.run(&mut ()).expect("runs")
}

fn written(trace: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("trace.mcap");
    std::fs::write(&path, trace).expect("written");
    (dir, path)
}

#[test]
fn a_saved_state_goes_on_to_the_bit_at_every_step_of_a_short_trace() {
    let workshop = two_rooms();
    let inputs = tagged(&recorded(&workshop, &walk(&workshop, 12), 0, None));
    let (mut whole, mut scan, mut out) = (workshop.core().expect("compiles"), ScanBuf::new(), Outbox::new());
    let mut states = vec![saved(&whole)];
    for input in &inputs {
        step(&mut whole, input, &mut scan, &mut out);
        states.push(saved(&whole));
    }
    assert!(whole.stats().commands > 2 && whole.stats().events > 4, "{:?}", whole.stats());
    for cut in 0..inputs.len() {
        let mut other = restored(&workshop, &states[cut]);
        // All of it is taken back, not what a later input would have brought again anyway.
        assert_eq!(saved(&other), states[cut], "at input {cut}");
        for (input, state) in inputs[cut..].iter().zip(&states[cut + 1..]).take(25) {
            step(&mut other, input, &mut scan, &mut out);
            assert_eq!(saved(&other), *state, "taken back at input {cut}, at input {}", input.0.seq);
        }
    }
    println!("{} steps", inputs.len());
}

#[test]
fn a_saved_state_goes_on_to_the_bit_at_random_steps_of_a_long_trace() {
    let workshop = coworking();
    let inputs = tagged(&recorded(&workshop, &morning(&workshop, 40), 0, None));
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut cuts: Vec<usize> = (0..12)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 17) as usize % (inputs.len() - 1)
        })
        .collect();
    cuts.sort_unstable();
    let (mut whole, mut scan, mut out) = (workshop.core().expect("compiles"), ScanBuf::new(), Outbox::new());
    // Each is taken back at its cut and goes on beside the whole run for 600 inputs.
    let mut beside: Vec<(usize, Core)> = Vec::new();
    let mut compared = 0;
    for (i, input) in inputs.iter().enumerate() {
        for cut in cuts.iter().filter(|c| **c == i) {
            beside.push((*cut, restored(&workshop, &saved(&whole))));
        }
        step(&mut whole, input, &mut scan, &mut out);
        beside.iter_mut().for_each(|(_, machine)| step(machine, input, &mut scan, &mut out));
        beside.retain(|(cut, machine)| {
            let over = i - cut == 600 || i + 1 == inputs.len();
            if over {
                assert_eq!(world(machine), world(&whole), "taken back at input {cut} of {}", inputs.len());
                assert!(saved(machine) == saved(&whole), "what nobody can read too: input {cut} of {}", inputs.len());
                compared += 1;
            }
            !over
        });
    }
    assert_eq!(compared, cuts.len());
    assert!(whole.stats().commands > 0 && whole.stats().events > 100, "{:?}", whole.stats());
}

/// What is known of each sensor: how it does by its innovations, its bias, its clock, its last value.
fn sources(machine: &Core) -> Vec<String> {
    let view = machine.view();
    view.site().sensors.iter().map(|s| format!("{:?}", view.sensor(s.id))).collect()
}

/// All that anybody can read of a machine, to the bit: floats in words are exact.
fn world(machine: &Core) -> Vec<String> {
    let view = machine.view();
    let mut all = vec![format!(
        "{:?} {} {} wakes {:?}",
        machine.last(),
        machine.input_digest(),
        machine.decision_digest(),
        machine.next_wakeup()
    )];
    view.for_each_occupant(&mut |o| all.push(format!("{o:?}")));
    for actuator in &view.site().actuators {
        let known = actuator.kind.properties().iter().map(|p| view.device(actuator.id, Name::new(p.property)?));
        all.push(format!("{} {:?}", actuator.name, known.collect::<Vec<_>>()));
    }
    all.extend(sources(machine));
    all
}

#[test]
fn what_is_known_of_the_sources_is_taken_back_where_a_replay_begins() {
    let workshop = coworking();
    let trace = recorded(&workshop, &morning(&workshop, 20), 4000, None);
    let inputs = tagged(&trace);
    let mut reader = TraceReader::new(&trace[..], trace.len() as u64).expect("opens");
    let mut frame = None;
    let mut scan = ScanBuf::new();
    while let Some(Item::Record(raw)) = reader.next_item().expect("memory") {
        if let Ok(Record::Keyframe { tag, state }) = codec::decode(&raw, &mut scan) {
            frame = Some((tag, state.to_vec()));
        }
    }
    let (tag, state) = frame.expect("a keyframe in 20 s");
    let (mut whole, mut out) = (workshop.core().expect("compiles"), Outbox::new());
    let mut began = restored(&workshop, &state);
    // A replay that forgot its sources would begin like this one.
    let mut fresh = workshop.core().expect("compiles");
    fresh.skip_to(tag);
    for input in &inputs {
        step(&mut whole, input, &mut scan, &mut out);
        if input.0.seq > tag.seq {
            step(&mut began, input, &mut scan, &mut out);
            step(&mut fresh, input, &mut scan, &mut out);
        }
    }
    assert!(inputs.len() as u64 > tag.seq.0 + 100, "something comes behind the keyframe");
    assert_eq!(sources(&began), sources(&whole));
    assert_ne!(sources(&fresh), sources(&whole), "forgetting them would show");
    assert_eq!(world(&began), world(&whole));
    assert!(saved(&began) == saved(&whole), "what nobody can read too");
}

#[test]
fn rules_compiled_beside_the_engine_take_effect_at_their_own_input_in_every_replay() {
    let workshop = two_rooms();
    let mut later = rules_of(&workshop);
    later.iter_mut().for_each(|f| f.text = f.text.replace("80 %", "60 %"));
    let block = canon::encode_files(&later);
    // Installed while somebody is in the meeting room, so that it changes what is held at once.
    let installed_at = |seconds_in: usize| {
        let mut inputs = walk(&workshop, 30);
        let at = 2 + seconds_in;
        let arrival = inputs[at].0;
        let mut one = Inputs::new();
        push(&mut one, arrival, &Input::RulesInstalled { files: &block });
        inputs.splice(at..at, one);
        let trace = recorded(&workshop, &inputs, 50, Some((at, &later)));
        let is_install =
            |b: &[u8]| matches!(canon::decode_input(b, &mut ScanBuf::new()), Ok(Input::RulesInstalled { .. }));
        let seqs: Vec<Seq> = tagged(&trace).iter().filter(|(_, b)| is_install(b)).map(|(t, _)| t.seq).collect();
        (trace, seqs[1])
    };
    let dimmed = |trace: &[u8]| -> Vec<Seq> {
        let mut reader = TraceReader::new(trace, trace.len() as u64).expect("opens");
        let (mut all, mut scan) = (Vec::new(), ScanBuf::new());
        while let Some(Item::Record(raw)) = reader.next_item().expect("memory") {
            if let Ok(Record::Command(c)) = codec::decode(&raw, &mut scan)
                && format!("{:?}", c.args).contains("60")
            {
                all.push(c.id.seq);
            }
        }
        all
    };
    let mut decisions = Vec::new();
    for at in [40, 41] {
        let (trace, seq) = installed_at(at);
        assert_eq!(dimmed(&trace).first(), Some(&seq), "the new value is decided by the very input that installs it");
        let (_dir, path) = written(&trace);
        for from in [None, Some(LogicalNs(3 * NS_PER_S)), Some(LogicalNs(20 * NS_PER_S))] {
            let summary = verified(&path, from);
            assert_eq!(summary.verdict, Verdict::Same, "{}", summary.render());
            decisions.push(summary.digests);
        }
    }
    assert!(decisions[..3].iter().all(|d| *d == decisions[0]) && decisions[3..].iter().all(|d| *d == decisions[3]));
    assert_ne!(decisions[0].1, decisions[3].1, "one input later is another log, and is seen to be");
}

#[test]
fn a_replay_crosses_keyframes_and_begins_at_one_as_often_as_it_is_asked_to() {
    let workshop = two_rooms();
    let (_dir, path) = written(&recorded(&workshop, &walk(&workshop, 60), 40, None));
    let whole = verified(&path, None);
    assert_eq!((&whole.verdict, whole.began_at), (&Verdict::Same, None), "{}", whole.render());
    assert!(whole.checked.keyframes > 10, "each state on the way is compared: {:?}", whole.checked);
    let from = Some(LogicalNs(31 * NS_PER_S));
    let (once, twice) = (verified(&path, from), verified(&path, from));
    assert!(once.began_at.is_some() && once.checked.keyframes > 3, "{}", once.render());
    assert_eq!(once, twice, "two replays of one keyframe");
    assert_eq!((once.verdict, once.digests), (Verdict::Same, whole.digests));
}
