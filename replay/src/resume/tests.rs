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
use osmose_drivers::udp::{Leaving, Of};
use osmose_model::command::Command;
use osmose_model::ids::Seq;
use osmose_runtime::tap::{Keyframe, Tap};

const RING: u64 = 1 << 20;
const UTC: UtcNs = UtcNs(1_790_000_000_000_000_000);

/// What the pinned thread does with a step: journal first, then outputs; a keyframe every so often.
struct Engine {
    journal: Ring<Mapped>,
    handed: HandedOver<Mapped>,
    /// From this input on, commands are decided and do not leave; of this one, they are being handed over.
    killed_at: Seq,
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
        for of in out.commands.iter().map(|c| Of { device: c.device, id: c.id }) {
            if tag.seq <= self.killed_at {
                self.handed.begins(of);
            }
            if tag.seq < self.killed_at {
                Leaving::left(&mut self.handed, of);
            }
        }
        out.events.iter().for_each(|e| self.recorder.event(tag, e));
        out.commands.iter().for_each(|c| self.recorder.command(c));
        self.recorder.digest(tag.seq, machine.input_digest(), machine.decision_digest());
        // What waits is handed over before a keyframe is taken.
        if tag.seq.0.is_multiple_of(self.keyframe_every) && tag.seq < self.killed_at {
            let mut frame = Keyframe { tag, journal: self.journal.head(), ..Keyframe::default() };
            machine.save(&mut frame.state);
            assert!(self.tap.keyframe(&frame));
            self.journal.release_before(frame.journal);
        }
    }
}

/// The driver and what a run went to, and the inputs that a start put before the others.
type Ran = (CoreDriver, Engine, Vec<(ArrivalNs, Vec<u8>)>);

fn run(started: Started<Osmose>, inputs: &[(ArrivalNs, Vec<u8>)], keyframe_every: u64) -> Ran {
    run_killed_at(started, inputs, keyframe_every, Seq(u64::MAX))
}

fn run_killed_at(
    started: Started<Osmose>,
    inputs: &[(ArrivalNs, Vec<u8>)],
    keyframe_every: u64,
    killed_at: Seq,
) -> Ran {
    let head = started.head();
    let Started { machine, journal, tap, first, base, state, files, .. } = started;
    let meta = Meta::new(Origin::Live, "two rooms");
    let writer = TraceWriter::new(Vec::new(), &meta, &files, &Encoder::schemas(), Packing::Lz4).unwrap();
    let mut recorder = Recorder::new(writer);
    recorder.keyframe(head.0, &state, head.1);
    let Kept { ring: journal, handed, .. } = journal;
    let (commands, seqs) = (vec![], vec![]);
    let mut engine = Engine { journal, handed, killed_at, tap, recorder, commands, seqs, keyframe_every };
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

/// The site with every device reached over UDP.
fn all_reached() -> Osmose {
    let mut files = files();
    let devices = files.iter_mut().find(|f| f.path == "devices.toml").unwrap();
    let udp = "connect = { udp = \"127.0.0.1:7802\", format = \"json\" }";
    devices.text = devices.text.replace("connect = \"log\"", udp);
    Osmose::of_files(&files).unwrap()
}

#[test]
fn what_was_decided_and_never_left_is_owed_until_it_leaves_or_is_too_old() {
    let inputs = &walk(60)[2..];
    let dir = tempfile::tempdir().unwrap();
    let open = |utc| start_with(&all_reached(), dir.path(), utc, RING).unwrap();
    // The ids of what an undisturbed run decides for devices that are reached.
    let (driver, engine, _) = run(open(UTC), inputs, 20);
    let site = driver.machine().site().clone();
    let reached = |c: &&Command| address_of(&site.actuators[c.device.index()]).is_some();
    let all: Vec<Command> = engine.commands.iter().filter(reached).cloned().collect();
    assert!(all.len() >= 4, "{} commands", all.len());
    let last = driver.machine().last();
    drop((driver, engine));
    assert_eq!(open(UtcNs(UTC.0 + last.at.0)).resumed.owed, 0, "everything left");

    // Killed at one of the last commands, and everything behind it is decided and goes nowhere.
    let dir = tempfile::tempdir().unwrap();
    let open = |utc| start_with(&all_reached(), dir.path(), utc, RING).unwrap();
    let killed_at = all[all.len() - 3].id.seq;
    let ids = |commands: &[Command]| commands.iter().map(|c| c.id).collect::<Vec<_>>();
    let (in_doubt, behind): (Vec<Command>, Vec<Command>) =
        all.iter().filter(|c| c.id.seq >= killed_at).cloned().partition(|c| c.id.seq == killed_at);
    let newest = behind.iter().map(|c| c.at).max().expect("some are behind");
    let stop = inputs.iter().position(|(arrival, _)| arrival.0 > newest.0).unwrap_or(inputs.len());
    let (driver, engine, _) = run_killed_at(open(UTC), &inputs[..stop], 20, killed_at);
    let last = driver.machine().last();
    drop((driver, engine));
    for again in 0..2 {
        // Killed once more before anything went out: it is owed still.
        let started = open(UtcNs(UTC.0 + last.at.0));
        let old = |c: &&Command| last.at.0 - c.at.0 > OWED_MAX.0;
        let young: Vec<Command> = behind.iter().filter(|c| !old(c)).cloned().collect();
        assert!(!young.is_empty(), "{behind:?}");
        assert_eq!(ids(&started.journal.owed), ids(&young), "start {again}: {}", started.resumed.render());
        assert_eq!(started.resumed.in_doubt, ids(&in_doubt), "start {again}");
        assert_eq!(started.resumed.owed, young.len() as u64);
    }
    // Handed over, it is not owed any more.
    let started = open(UtcNs(UTC.0 + last.at.0));
    let Kept { ring, mut handed, owed } = started.journal;
    for command in &owed {
        let of = Of { device: command.device, id: command.id };
        handed.begins(of);
        Leaving::left(&mut handed, of);
    }
    drop((ring, handed));
    let started = open(UtcNs(UTC.0 + last.at.0));
    assert_eq!((started.journal.owed.len(), started.resumed.owed), (0, 0), "{}", started.resumed.render());
}

#[test]
fn what_never_left_is_named_and_not_sent_once_it_is_too_old() {
    let inputs = &walk(12)[2..];
    let dir = tempfile::tempdir().unwrap();
    let open = |utc| start_with(&workshop(), dir.path(), utc, RING).unwrap();
    let (driver, engine, _) = run_killed_at(open(UTC), inputs, 1_000_000, Seq(0));
    let last = driver.machine().last();
    drop((driver, engine));
    let started = open(UtcNs(UTC.0 + last.at.0 + OWED_MAX.0 + 1));
    assert!(started.journal.owed.is_empty() && started.resumed.owed == 0);
    let said = started.resumed.render();
    assert!(!started.resumed.too_old.is_empty() && said.contains("too old to be sent"), "{said}");
    drop(started);
    // That was said once; the state is another now.
    assert!(open(UtcNs(UTC.0 + last.at.0)).resumed.too_old.is_empty());
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
