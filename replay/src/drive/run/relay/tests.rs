//! On several threads a replay writes and finds what it does on one, whatever is in the log.

use super::*;
use crate::drive::{Osmose, Verdict};
use crate::testing::{inside_chunk, live, live_with, rewritten, walk, with_install, workshop};
use crate::trace::codec::Record;
use crate::trace::format::Topic;
use osmose_model::site::SourceFile;
use osmose_model::time::NS_PER_S;
use std::path::Path;

fn open(path: &Path, events: &Written, commands: &Written, options: Options) -> Replay<Recording, Osmose> {
    let reader = Recording::open(path).unwrap();
    let workshop = Osmose::of_files(reader.files()).unwrap();
    let (events, commands) = (events.clone(), commands.clone());
    let sinks = Sinks { events: Some(Box::new(events)), commands: Some(Box::new(commands)), ..Sinks::default() };
    Replay::new(reader, workshop, Options { sinks, ..options }).unwrap().from_keyframe().unwrap()
}

type Said = (Summary, Vec<u8>, Vec<u8>);

fn on(path: &Path, threads: usize, options: Options) -> Said {
    let (events, commands) = (Written::default(), Written::default());
    let replay = open(path, &events, &commands, options);
    let summary = replay.run_on(NonZeroUsize::new(threads).unwrap(), &mut ()).unwrap();
    (summary, events.take(), commands.take())
}

/// A stretch of a log, seconds.
type Stretch = (Option<i64>, Option<i64>);

/// Replays a trace on one thread and on several, and gives what the one says.
fn compared(trace: &[u8], (from_s, to_s): Stretch, verify: bool) -> Said {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.mcap");
    std::fs::write(&path, trace).unwrap();
    let at = |s: Option<i64>| s.map(|s| LogicalNs(s * NS_PER_S));
    let options = || Options { from: at(from_s), to: at(to_s), verify, ..Options::default() };
    let one = on(&path, 1, options());
    for threads in [2, 5] {
        let several = on(&path, threads, options());
        assert_eq!(one.0, several.0, "{threads} threads");
        assert!(one.1 == several.1 && one.2 == several.2, "{threads} threads write otherwise");
    }
    one
}

#[test]
fn it_is_cut_into_legs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.mcap");
    std::fs::write(&path, live(&walk(60), 100)).unwrap();
    let replay = open(&path, &Written::default(), &Written::default(), Options::default());
    let legs = replay.legs(NonZeroUsize::new(8).unwrap()).unwrap();
    assert!(legs.len() >= 8, "{}", legs.len());
    assert!(legs.windows(2).all(|w| w[0].keyframe_at < w[1].keyframe_at));
    let (mut run, from) = (replay.run, Some(LogicalNs(30 * NS_PER_S)));
    assert!(run.may_be_cut());
    run.options.beside.push(SourceFile { path: "rules/other.rules".to_owned(), text: "edition 1\n".to_owned() });
    assert!(!run.may_be_cut(), "a recorded state is not one of other rules");
    let options = Options { from, ..Options::default() };
    let legs =
        open(&path, &Written::default(), &Written::default(), options).legs(NonZeroUsize::new(8).unwrap()).unwrap();
    assert!(legs.iter().skip(1).all(|l| l.before.is_some_and(|b| b > LogicalNs(29 * NS_PER_S))));
}

#[test]
fn several_threads_say_what_one_says() {
    let trace = live(&walk(90), 60);
    for verify in [false, true] {
        for stretch in [(None, None), (Some(31), None), (None, Some(47)), (Some(20), Some(70)), (Some(40), Some(41))] {
            let (summary, events, _) = compared(&trace, stretch, verify);
            let expected = if verify { Verdict::Same } else { Verdict::NotAsked };
            assert_eq!(summary.verdict, expected, "{}", summary.render());
            assert!(summary.inputs > 0 && (!events.is_empty() || stretch == (Some(40), Some(41))));
        }
    }
}

#[test]
fn holes_are_declared_once_and_gone_on_behind() {
    let trace = live(&walk(90), 60);
    for part in [1, 4] {
        let mut damaged = trace.clone();
        damaged[inside_chunk(&trace, part)] ^= 4;
        let (summary, ..) = compared(&damaged, (None, None), true);
        assert!(!summary.holes.is_empty(), "{}", summary.render());
    }
    let cut = &trace[..trace.len() / 2];
    assert!(compared(cut, (None, None), true).0.inputs > 0);
}

#[test]
fn the_checksum_over_the_whole_file_is_taken_where_the_whole_is_replayed() {
    let mut trace = live(&walk(90), 60);
    let end = [mcap::records::op::DATA_END, 4, 0, 0, 0, 0, 0, 0, 0];
    let checksum = trace.windows(end.len()).rposition(|w| w == end).unwrap() + end.len();
    trace[checksum] ^= 1;
    let holes = |stretch| compared(&trace, stretch, false).0.holes.len();
    assert_eq!([(None, None), (Some(40), None), (None, Some(40))].map(holes), [1, 0, 0]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.mcap");
    std::fs::write(&path, &trace).unwrap();
    let recording = Recording::open(&path).unwrap();
    let said = [true, false].map(|wanted| recording.skim(&|| wanted).unwrap().len());
    assert_eq!(said, [1, 0]);
}

/// Leaves out the `n`-th event of a trace.
fn without_event(trace: &[u8], n: usize) -> Vec<u8> {
    let mut seen = 0;
    let change = |_: Topic, record: &Record<'_>, payload: &[u8]| {
        seen += usize::from(matches!(record, Record::Event { .. }));
        let is_it = matches!(record, Record::Event { .. }) && seen == n;
        (!is_it).then(|| payload.to_vec())
    };
    rewritten(trace, None, change, |n| n % 200 == 0)
}

/// Changes the state of the `n`-th keyframe: as if other code had made it.
fn other_state(trace: &[u8], n: usize) -> Vec<u8> {
    let mut seen = 0;
    let mut encoder = crate::trace::codec::Encoder::default();
    let change = |_: Topic, record: &Record<'_>, payload: &[u8]| {
        if let Record::Keyframe { tag, state } = record {
            seen += 1;
            if seen == n {
                let mut state = state.to_vec();
                let last = state.len() - 1;
                state[last] ^= 1;
                return Some(encoder.keyframe(*tag, &state).to_vec());
            }
        }
        Some(payload.to_vec())
    };
    rewritten(trace, None, change, |n| n % 200 == 0)
}

#[test]
fn the_first_difference_is_the_same_one() {
    let trace = live(&walk(90), 60);
    for n in [3, 20, 40] {
        let (summary, ..) = compared(&without_event(&trace, n), (None, None), true);
        assert!(matches!(summary.verdict, Verdict::Different(_)), "{}", summary.render());
    }
    for n in [2, 9, 14] {
        compared(&other_state(&trace, n), (None, None), false);
        let (summary, ..) = compared(&other_state(&trace, n), (None, None), true);
        assert!(matches!(summary.verdict, Verdict::Different(_)), "{}", summary.render());
    }
}

#[test]
fn legs_behind_an_installation_run_its_rules() {
    let mut rules: Vec<SourceFile> = workshop().site().rule_files().cloned().collect();
    rules[0].text = rules[0].text.replace("80 %", "40 %");
    let (at, inputs) = with_install(&walk(90), 30, &rules);
    let trace = live_with(&inputs, 60, &[(at, rules)]);
    let (summary, _, commands) = compared(&trace, (None, None), true);
    assert_eq!(summary.verdict, Verdict::Same, "{}", summary.render());
    let text = String::from_utf8(commands).unwrap();
    assert!(text.contains("0.4") || text.contains("40"), "{text}");
}

/// Stops at its first look.
struct Stop;

impl Watch for Stop {
    fn progress(&mut self, _: u64, _: u64, _: LogicalNs) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

#[test]
fn who_watches_may_stop_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.mcap");
    std::fs::write(&path, live(&walk(400), 60)).unwrap();
    let replay = open(&path, &Written::default(), &Written::default(), Options::default());
    let summary = replay.run_on(NonZeroUsize::new(2).unwrap(), &mut Stop).unwrap();
    assert!(summary.stopped && summary.inputs < 10_000, "{}", summary.render());
}
