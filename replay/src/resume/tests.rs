//! Runs that stop anywhere, in the middle of a record too, and go on as if they had not.

use super::*;
use crate::drive::{Options, Osmose, Replay, Verdict};
use crate::record::Recorder;
use crate::testing::{files, walk, workshop};
use crate::trace::codec::Encoder;
use crate::trace::format::{Meta, Origin};
use crate::trace::read::TraceReader;
use crate::trace::write::{Packing, TraceWriter};
use osmose_core::{CoreDriver, Fusion, Plan, Rules, StepSink};
use osmose_model::command::Command;
use osmose_model::ids::Seq;
use osmose_runtime::tap::{Keyframe, Tap};

const RING: u64 = 1 << 20;
const UTC: UtcNs = UtcNs(1_790_000_000_000_000_000);

/// What the pinned thread does with a step: journal first, then outputs; a keyframe every so often.
struct Engine {
    journal: Ring<Mapped>,
    tap: StateTap,
    recorder: Recorder<Vec<u8>>,
    commands: Vec<Command>,
    seqs: Vec<Seq>,
    keyframe_every: u64,
}

impl StepSink<Fusion, Rules, Plan> for Engine {
    fn sequenced(&mut self, tag: Tag, canonical: &[u8]) {
        self.journal.append(tag, canonical).unwrap();
        self.tap.input(tag, canonical);
        self.recorder.input(tag, canonical);
        self.seqs.push(tag.seq);
    }
    fn decided(&mut self, tag: Tag, _: &Input<'_>, out: &Outbox, machine: &osmose_core::Core) {
        self.commands.extend(out.commands.iter().cloned());
        out.events.iter().for_each(|e| self.recorder.event(tag, e));
        out.commands.iter().for_each(|c| self.recorder.command(c));
        self.recorder.digest(tag.seq, machine.input_digest(), machine.decision_digest());
        if tag.seq.0.is_multiple_of(self.keyframe_every) {
            let mut frame = Keyframe { tag, journal: self.journal.head(), ..Keyframe::default() };
            machine.save(&mut frame.state);
            assert!(self.tap.keyframe(&frame));
            self.journal.release_before(frame.journal);
        }
    }
}

fn run(
    started: Started<Osmose>,
    inputs: &[(ArrivalNs, Vec<u8>)],
    keyframe_every: u64,
) -> (CoreDriver, Engine, Vec<(ArrivalNs, Vec<u8>)>) {
    let head = started.head();
    let Started { machine, journal, tap, first, base, state, files, .. } = started;
    let meta = Meta::new(Origin::Live, "two rooms");
    let writer = TraceWriter::new(Vec::new(), &meta, &files, &Encoder::schemas(), Packing::Lz4).unwrap();
    let mut recorder = Recorder::new(writer);
    recorder.keyframe(head.0, &state, head.1);
    let mut engine = Engine { journal, tap, recorder, commands: vec![], seqs: vec![], keyframe_every };
    let mut driver = CoreDriver::new(machine);
    let mut scan = ScanBuf::new();
    let first: Vec<_> = first.into_iter().map(|bytes| (base, bytes)).collect();
    for (arrival, bytes) in first.iter().chain(inputs) {
        driver.feed_canonical(*arrival, bytes, &mut scan, &mut engine).unwrap();
    }
    (driver, engine, first)
}

/// Replays the recording of a run and compares it; gives how many inputs it had.
fn verified(engine: Engine) -> u64 {
    let trace = engine.recorder.finish().unwrap();
    let reader = TraceReader::new(&trace[..], trace.len() as u64).unwrap();
    let workshop = Osmose::of_files(reader.files()).unwrap();
    let options = Options { verify: true, ..Options::default() };
    let summary = Replay::new(reader, workshop, options).unwrap().run(&mut ()).unwrap();
    assert_eq!(summary.verdict, Verdict::Same, "{}", summary.render());
    assert!(summary.holes.iter().all(|h| h.went_on), "{}", summary.render());
    assert_eq!(summary.inputs, engine.seqs.len() as u64, "{}", summary.render());
    summary.inputs
}

fn saved(driver: &CoreDriver) -> Vec<u8> {
    let mut state = Vec::new();
    driver.machine().save(&mut state);
    state
}

#[test]
fn a_run_that_stops_anywhere_goes_on_to_the_bit() {
    let inputs = walk(12);
    // The walk's own rules and clock come from the start here.
    let inputs = &inputs[2..];
    for (stop, keyframe_every) in [(1, 1000), (40, 1000), (57, 13), (130, 50), (200, 7), (250, 1000)] {
        let dir = tempfile::tempdir().unwrap();
        let open = |utc| start_with(&workshop(), dir.path(), utc, RING).unwrap();
        let (driver, engine, _) = run(open(UTC), &inputs[..stop], keyframe_every);
        let (state, last) = (saved(&driver), driver.machine().last());
        let sent = engine.commands.len();
        // The process is gone: nothing is ended, only the mapping stays with the kernel.
        drop((driver, engine));

        let started = open(UtcNs(UTC.0 + last.at.0));
        assert_eq!(started.resumed.last, last, "stop at {stop}");
        assert_eq!(started.state, state, "stop at {stop}: the state is the one at the last journaled input");
        assert_eq!(started.resumed.rerun, last.seq.0 - started.resumed.keyframe.unwrap().0);
        assert!(started.resumed.refused.is_empty() && started.resend_held());
        assert!(started.base.0 > last.at.0 && started.base.0 <= last.at.0 + 2);
        let (driver, engine, first) = run(started, &inputs[stop..], keyframe_every);
        assert_eq!(engine.seqs[0], Seq(last.seq.0 + 1), "numbers go on");
        assert!(engine.seqs.windows(2).all(|w| w[1].0 == w[0].0 + 1));

        // The same log without a stop: the inputs of the restart stand where they stood.
        let other = tempfile::tempdir().unwrap();
        let begun = start_with(&workshop(), other.path(), UTC, RING).unwrap();
        let all: Vec<_> = inputs[..stop].iter().chain(&first).chain(&inputs[stop..]).cloned().collect();
        let (uninterrupted, whole, _) = run(begun, &all, 1000);
        assert_eq!(saved(&driver), saved(&uninterrupted), "stop at {stop}");
        assert_eq!(engine.commands, whole.commands[sent..], "timers and holds are intact");
        // The recording of the second run begins inside the log and is as good as any.
        assert!(verified(engine) > 0);
    }
}

#[test]
fn a_torn_last_record_is_left_out() {
    let inputs = walk(8);
    let dir = tempfile::tempdir().unwrap();
    let (driver, engine, _) = run(start_with(&workshop(), dir.path(), UTC, RING).unwrap(), &inputs[2..90], 1000);
    let (last, head) = (driver.machine().last(), engine.journal.head());
    drop((driver, engine));
    let path = dir.path().join(crate::state::JOURNAL);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[head.0 as usize % RING as usize - 9] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let started = start_with(&workshop(), dir.path(), UTC, RING).unwrap();
    assert_eq!(started.resumed.last.seq.0, last.seq.0 - 1);
    // What comes next is not confused by what lies behind in the ring.
    let (driver, engine, _) = run(started, &inputs[90..100], 1000);
    let last = driver.machine().last();
    drop((driver, engine));
    assert_eq!(start_with(&workshop(), dir.path(), UTC, RING).unwrap().resumed.last, last);
}

#[test]
fn the_older_keyframe_finds_its_way_across_restarts() {
    let inputs = walk(8);
    let dir = tempfile::tempdir().unwrap();
    let open = || start_with(&workshop(), dir.path(), UTC, RING);
    let (a, b, _) = run(open().unwrap(), &inputs[2..60], 1000);
    drop((a, b));
    let (driver, engine, _) = run(open().unwrap(), &inputs[60..90], 1000);
    let last = driver.machine().last();
    drop((driver, engine));
    // The newest keyframe, of the second start, is lost; the one of the first start is left.
    let mut newest: Vec<_> = ["keyframe-0", "keyframe-1"].map(|n| dir.path().join(n)).to_vec();
    newest.sort_by_key(|p| std::fs::metadata(p).unwrap().modified().unwrap());
    std::fs::write(&newest[1], b"spoilt").unwrap();
    let started = open().unwrap();
    assert_eq!((started.resumed.last, started.resumed.keyframe), (last, Some(Seq(0))));
}

#[test]
fn changed_rules_come_in_by_an_input_and_a_changed_site_begins_a_new_log() {
    let inputs = walk(4);
    let dir = tempfile::tempdir().unwrap();
    let (a, b, _) = run(start_with(&workshop(), dir.path(), UTC, RING).unwrap(), &inputs[2..60], 1000);
    drop((a, b));
    let edited = |path: &str, from: &str, to: &str| {
        let mut files = files();
        let file = files.iter_mut().find(|f| f.path == path).unwrap();
        assert!(file.text.contains(from));
        file.text = file.text.replace(from, to);
        Osmose::of_files(&files).unwrap()
    };
    let rules = edited("rules/first.rules", "80 %", "70 %");
    let started = start_with(&rules, dir.path(), UTC, RING).unwrap();
    assert!(started.resumed.rules_changed);
    let before = started.resumed.last;
    assert_eq!(started.first.len(), 3, "gap, wall clock, rules");
    let (driver, engine, _) = run(started, &[], 1000);
    let (state, last) = (saved(&driver), driver.machine().last());
    drop(driver);
    assert_eq!(verified(engine), last.seq.0 - before.seq.0, "its recording carries the rules of before and of after");
    // The second start finds them in the journal, and in force.
    let started = start_with(&rules, dir.path(), UTC, RING).unwrap();
    assert_eq!((&started.state, started.resumed.last, started.resumed.rules_changed), (&state, last, false));
    drop(started);

    let people = edited("people.toml", "id = \"ben\"", "id = \"bob\"");
    let started = start_with(&people, dir.path(), UTC, RING).unwrap();
    assert_eq!((started.resumed.keyframe, started.resumed.last), (None, Tag::default()));
    // The state itself says that it is of other people: they may also be saved beside the running engine.
    let said = started.resumed.render();
    assert!(said.contains("cannot be taken back") && said.contains("people"), "{said}");
}

#[test]
fn two_engines_do_not_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let first = start_with(&workshop(), dir.path(), UTC, RING).unwrap();
    let second = start_with(&workshop(), dir.path(), UTC, RING);
    assert!(matches!(second.err(), Some(ResumeError::Held(_))));
    drop(first);
    assert!(start_with(&workshop(), dir.path(), UTC, RING).is_ok());
}

#[test]
fn downtime_by_the_wall_clock_passes_in_the_log_too() {
    let dir = tempfile::tempdir().unwrap();
    let (driver, engine, _) = run(start_with(&workshop(), dir.path(), UTC, RING).unwrap(), &walk(4)[2..60], 1000);
    let last = driver.machine().last();
    drop((driver, engine));
    let hour = 3_600_000_000_000;
    let started = start_with(&workshop(), dir.path(), UtcNs(UTC.0 + last.at.0 + hour), RING).unwrap();
    assert_eq!(started.resumed.down, Some(DurationNs(hour)));
    assert_eq!(started.base, ArrivalNs(last.at.0 + hour + 1));
    let (driver, engine, _) = run(started, &[], 1000);
    // What was due in that hour happened at its own instant: the room emptied, the light was released.
    assert!(engine.seqs.len() > 2 && driver.machine().last().at.0 > last.at.0 + hour);
}

#[test]
fn a_damaged_journal_says_what_is_lost_and_gives_no_number_out_again() {
    let inputs = walk(12);
    let dir = tempfile::tempdir().unwrap();
    let open = |utc| start_with(&workshop(), dir.path(), utc, RING).unwrap();
    let (driver, engine, _) = run(open(UTC), &inputs[2..100], 1_000_000);
    let last = driver.machine().last();
    drop((driver, engine));
    let path = StateFolder::open(dir.path()).unwrap().journal();
    let mut ring = std::fs::read(&path).unwrap();
    let hit = scan(&ring, Offset(0)).nth(60).map(|(behind, ..)| behind.0 as usize + 40).unwrap();
    ring[hit] ^= 1;
    std::fs::write(&path, ring).unwrap();

    let started = open(UtcNs(UTC.0 + last.at.0));
    assert_eq!(started.resumed.last, last, "numbers go on behind the newest whole record");
    assert!(started.resumed.lost > 0 && started.resumed.lost < last.seq.0);
    assert!(started.resumed.render().contains("the journal is damaged"), "{}", started.resumed.render());
    let (_, engine, _) = run(started, &inputs[100..], 1_000_000);
    assert!(engine.seqs[0] == Seq(last.seq.0 + 1));
    verified(engine);
}
