//! Replays of a recorded walk: the same bits again, every change found, every hole declared.

use super::*;
use crate::testing::{files, imported, live, rewritten, walk, workshop};
use crate::trace::codec::{Encoder, Record};
use crate::trace::format::{Build, Meta, Origin, Topic};
use crate::trace::read::{Ending, TraceReader};
use osmose_model::ids::Seq;
use osmose_model::input::Input;
use osmose_model::observation::{Body, Observation};
use osmose_model::time::LogicalNs;
use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

fn replay(trace: &[u8], options: Options) -> Summary {
    let reader = TraceReader::new(trace, trace.len() as u64).unwrap();
    let workshop = Osmose::of_files(reader.files()).unwrap();
    Replay::new(reader, workshop, options).unwrap().run(&mut ()).unwrap()
}

fn verified(trace: &[u8]) -> Summary {
    replay(trace, Options { verify: true, ..Options::default() })
}

/// A writer that a test can look into.
#[derive(Clone, Default)]
struct Kept(Rc<RefCell<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

/// Events, commands and tracks of a replay, as text.
fn outputs(trace: &[u8], options: Options) -> (Summary, String, String, String) {
    let (events, commands, tracks) = (Kept::default(), Kept::default(), Kept::default());
    let sinks = Sinks {
        tracks: Some((TracksFormat::Osmose, Box::new(tracks.clone()))),
        names: Names::Live,
        events: Some(Box::new(events.clone())),
        commands: Some(Box::new(commands.clone())),
        plot: None,
        each: None,
        record: None,
    };
    let summary = replay(trace, Options { sinks, ..options });
    (summary, events.text(), commands.text(), tracks.text())
}

#[test]
fn a_recorded_walk_replays_to_the_bit() {
    let summary = verified(&live(&walk(30), 100));
    assert_eq!(summary.verdict, Verdict::Same, "{}", summary.render());
    assert!(summary.holes.is_empty());
    assert_eq!(summary.ending, Ending::Whole);
    let c = summary.checked;
    assert!(c.events > 20 && c.commands > 5 && c.digests > 20 && c.keyframes > 5, "{c:?}");
    assert_eq!((c.events, c.commands), (summary.events, summary.commands));
    assert_eq!(summary.exit_status(), 0);
}

/// Changes the `n`-th location fix of a trace by `dx_m`.
fn nudged(trace: &[u8], n: usize, dx_m: f64) -> Vec<u8> {
    let mut seen = 0;
    let mut encoder = Encoder::default();
    let change = |_: Topic, record: &Record<'_>, payload: &[u8]| {
        if let Record::Input { tag, input: Input::Observation(o) } = record
            && let Body::Location { device, mut place, sigma_m } = o.body
        {
            seen += 1;
            if seen == n {
                place.at.x_m += dx_m;
                let body = Body::Location { device, place, sigma_m };
                let input = Input::Observation(Observation { body, ..*o });
                return Some(encoder.input(*tag, &input).to_vec());
            }
        }
        Some(payload.to_vec())
    };
    rewritten(trace, None, change, |_| false)
}

/// Never early: how late a step comes on a busy machine is nobody's to promise.
#[test]
fn a_speed_holds_the_replay_back_to_the_clock_from_the_stretch_on() {
    let trace = live(&walk(5), 0);
    let speed = 4.0;
    let (from, begun) = (LogicalNs(1_000_000_000), std::time::Instant::now());
    let steps = Rc::new(RefCell::new(Vec::new()));
    let seen = steps.clone();
    let each: sinks::Each = Box::new(move |tag, _, _, _| seen.borrow_mut().push((tag.at, begun.elapsed())));
    let sinks = Sinks { each: Some(each), ..Sinks::default() };
    let options = Options { from: Some(from), speed: Speed::Times(speed), sinks, ..Options::default() };
    let summary = replay(&trace, options);
    let steps = steps.borrow();
    assert_eq!(steps.len() as u64, summary.inputs);
    let first = steps.iter().find(|(at, _)| *at >= from).unwrap();
    for (at, passed) in steps.iter().filter(|(at, _)| *at >= from) {
        let due_s = at.since(first.0).as_s_f64() / speed;
        assert!((*passed - first.1).as_secs_f64() >= due_s - 1e-3, "at {at} s after {passed:?}");
    }
    let last = steps.last().unwrap();
    assert!((last.1 - first.1).as_secs_f64() > 0.9, "four seconds of it take one");
}

#[test]
fn who_watches_a_replay_that_follows_the_clock_sees_it_go() {
    struct Looks(Vec<LogicalNs>);
    impl Watch for Looks {
        fn progress(&mut self, _: u64, _: u64, at: LogicalNs) -> std::ops::ControlFlow<()> {
            self.0.push(at);
            std::ops::ControlFlow::Continue(())
        }
    }
    let trace = live(&walk(3), 0);
    let looks = |speed| {
        let reader = TraceReader::new(&trace[..], trace.len() as u64).unwrap();
        let mut looks = Looks(Vec::new());
        let options = Options { speed, ..Options::default() };
        Replay::new(reader, workshop(), options).unwrap().run(&mut looks).unwrap();
        looks.0
    };
    let held_back = looks(Speed::Times(1000.0));
    assert!(held_back.is_sorted() && held_back.iter().filter(|at| at.0 > 1_000_000_000).count() > 20, "{held_back:?}");
    // As fast as it can, so short a log is over before anybody looks.
    assert_eq!(looks(Speed::Max), []);
}

#[test]
fn one_changed_coordinate_changes_the_input_digest() {
    let trace = live(&walk(10), 0);
    let (before, after) = (verified(&trace), verified(&nudged(&trace, 40, 1e-9)));
    assert_eq!(before.verdict, Verdict::Same);
    assert_ne!(before.digests.0, after.digests.0);
    assert_eq!(after.exit_status(), 1);
    let Verdict::Different(d) = after.verdict else { panic!("{:?}", after.verdict) };
    assert_eq!(d.what, summary::Compared::InputDigest, "{d}");
    assert_ne!(d.recorded, d.replayed);
}

#[test]
fn a_person_moved_across_a_line_changes_the_decisions_and_the_first_is_shown() {
    let trace = live(&walk(10), 0);
    let (before, after) = (verified(&trace), verified(&nudged(&trace, 41, 60.0)));
    assert_ne!(before.digests.1, after.digests.1);
    assert!(after.render().contains("first difference behind input"), "{}", after.render());
    let Verdict::Different(d) = after.verdict else { panic!("{:?}", after.verdict) };
    assert_eq!(d.what, summary::Compared::Event, "{d}");
    // Both sides' state there: somebody stands in another zone.
    let [recorded, replayed] = &d.states;
    assert!(recorded.len() == replayed.len() && recorded.iter().zip(replayed).all(|(a, b)| a != b), "{d}");
    assert!(recorded.iter().any(|l| l.starts_with("track 1: ana, in ")), "{d}");
    assert!(
        d.to_string().contains("state recorded: track ") && d.to_string().contains("state replayed: track "),
        "{d}"
    );
}

#[test]
fn a_state_that_is_another_is_looked_into() {
    let trace = live(&walk(10), 54);
    let other = live(&walk(10), 0);
    let moved = nudged(&other, 41, 60.0);
    // The states of a walk in which somebody stood elsewhere, put into the recording of the plain one.
    let mut states = Vec::new();
    let reader = TraceReader::new(&moved[..], moved.len() as u64).unwrap();
    let workshop = Osmose::of_files(reader.files()).unwrap();
    let keep = Rc::new(RefCell::new(Vec::new()));
    let seen = keep.clone();
    let mut machine = workshop.core().unwrap();
    let mut out = osmose_core::Outbox::new();
    let each = move |tag: osmose_model::input::Tag,
                     input: &Input<'_>,
                     _: &osmose_core::Outbox,
                     _: &dyn osmose_model::world::WorldView| {
        machine.step(tag, input, &mut out);
        if tag.seq.0.is_multiple_of(54) {
            let mut state = Vec::new();
            machine.save(&mut state);
            seen.borrow_mut().push((tag.seq, state));
        }
    };
    replay(&moved, Options { sinks: Sinks { each: Some(Box::new(each)), ..Sinks::default() }, ..Options::default() });
    states.append(&mut keep.borrow_mut());
    let mut encoder = Encoder::default();
    let change = |_: Topic, record: &Record<'_>, payload: &[u8]| match record {
        Record::Keyframe { tag, .. } => {
            let state = states.iter().find(|(seq, _)| *seq == tag.seq);
            Some(state.map_or_else(|| payload.to_vec(), |(_, s)| encoder.keyframe(*tag, s).to_vec()))
        }
        _ => Some(payload.to_vec()),
    };
    let Verdict::Different(d) = verified(&rewritten(&trace, None, change, |_| false)).verdict else { panic!("found") };
    assert_eq!(d.what, summary::Compared::Keyframe, "{d}");
    assert!(!d.states[0].is_empty() && d.states[0].len() == d.states[1].len(), "{d}");
}

#[test]
fn an_import_gets_its_ticks_and_gives_the_live_decisions() {
    let inputs = walk(30);
    let (_, events, commands, _) = outputs(&live(&inputs, 0), Options::default());
    let (summary, events2, commands2, _) = outputs(&imported(&inputs), Options { verify: true, ..Options::default() });
    assert!(summary.ticks_added > 0);
    assert_eq!(summary.inputs, inputs.len() as u64);
    assert!(events.lines().count() > 20 && commands.lines().count() > 5);
    assert_eq!(events, events2);
    assert_eq!(commands, commands2);
    assert_eq!(summary.verdict, Verdict::NothingToVerify);
    assert_eq!(summary.exit_status(), 4);
}

#[test]
fn a_cut_trace_replays_to_its_last_whole_record_and_says_so() {
    let whole = rewritten(&live(&walk(20), 50), None, |_, _, p| Some(p.to_vec()), |n| n % 40 == 0);
    let inputs = verified(&whole).inputs;
    // Behind three fifths comes the index.
    for percent in [30, 40, 55] {
        let cut = &whole[..whole.len() * percent / 100];
        let summary = verified(cut);
        assert_eq!(summary.verdict, Verdict::Same, "{}", summary.render());
        assert!(
            summary.inputs > 0 && summary.inputs < inputs,
            "{percent} % of {} bytes: {} of {inputs}",
            whole.len(),
            summary.inputs
        );
        assert!(matches!(summary.ending, Ending::Cut { only_index: false, .. }));
        assert!(summary.render().contains("the file is cut"), "{}", summary.render());
    }
}

/// The same trace with the inputs numbered `lost` (and what they decided) left out.
fn with_hole(trace: &[u8], lost: std::ops::Range<u64>) -> Vec<u8> {
    let change = |_: Topic, record: &Record<'_>, payload: &[u8]| {
        let seq = match record {
            Record::Input { tag, .. } | Record::Event { tag, .. } | Record::Keyframe { tag, .. } => tag.seq,
            Record::Command(c) => c.id.seq,
            Record::Digest { seq, .. } => *seq,
            _ => Seq(0),
        };
        (!lost.contains(&seq.0)).then(|| payload.to_vec())
    };
    rewritten(trace, None, change, |_| false)
}

#[test]
fn a_hole_is_declared_and_crossed_only_with_a_keyframe() {
    let trace = live(&walk(20), 100);
    let summary = verified(&with_hole(&trace, 130..140));
    assert_eq!(summary.verdict, Verdict::Same, "{}", summary.render());
    let [hole] = &summary.holes[..] else { panic!("{:?}", summary.holes) };
    assert_eq!((hole.after.unwrap().seq, hole.before.unwrap().seq), (Seq(129), Seq(140)));
    // The keyframe behind input 200 brings the state back: 140 to 200 are skipped.
    assert_eq!((hole.skipped, hole.went_on), (61, true));
    assert_eq!(summary.inputs, verified(&trace).inputs - 10 - 61);
    assert!(summary.render().contains("10 inputs missing"), "{}", summary.render());
    // Without keyframes it ends there.
    let summary = verified(&with_hole(&live(&walk(20), 0), 130..140));
    assert_eq!((summary.inputs, summary.holes[0].went_on), (129, false));
    assert!(summary.render().contains("the replay ends here"));
}

#[test]
fn a_damaged_chunk_is_a_hole_with_its_place() {
    let mut trace = rewritten(&live(&walk(20), 100), None, |_, _, p| Some(p.to_vec()), |n| n % 50 == 0);
    let at = crate::testing::inside_chunk(&trace, 2);
    trace[at] ^= 4;
    let summary = verified(&trace);
    assert_eq!(summary.verdict, Verdict::Same, "{}", summary.render());
    assert!(matches!(summary.holes[0].kind, HoleKind::Damage(_)));
    assert!(summary.holes[0].went_on && summary.holes[0].skipped > 0, "{}", summary.render());
}

#[test]
fn a_hole_in_an_import_is_told_to_the_core_and_the_rest_replayed() {
    let inputs = walk(20);
    let whole = replay(&imported(&inputs), Options::default());
    let summary = replay(&with_hole(&imported(&inputs), 100..110), Options::default());
    assert_eq!(summary.inputs, whole.inputs - 10);
    assert_eq!(summary.holes.len(), 1);
    assert!(summary.holes[0].went_on && summary.holes[0].skipped == 0);
}

#[test]
fn a_trace_that_begins_inside_a_log_needs_a_keyframe() {
    let trace = live(&walk(20), 100);
    // Everything up to input 200 is left out, its keyframe stays.
    let from = |keep_keyframe: bool| {
        let change = move |_: Topic, record: &Record<'_>, payload: &[u8]| {
            let keep = match record {
                Record::Input { tag, .. } | Record::Event { tag, .. } => tag.seq.0 > 200,
                Record::Keyframe { tag, .. } => tag.seq.0 > 200 || keep_keyframe && tag.seq.0 == 200,
                Record::Command(c) => c.id.seq.0 > 200,
                Record::Digest { seq, .. } => seq.0 > 200,
                _ => true,
            };
            keep.then(|| payload.to_vec())
        };
        rewritten(&trace, None, change, |_| false)
    };
    let summary = verified(&from(true));
    assert_eq!((summary.verdict.clone(), summary.began_at), (Verdict::Same, Some(Seq(200))), "{}", summary.render());
    assert!(summary.holes.is_empty());
    assert_eq!(summary.digests, verified(&trace).digests);
    let summary = verified(&from(false));
    assert!(matches!(summary.holes[0].kind, HoleKind::Beginning));
    assert!(summary.holes[0].went_on, "the keyframe behind input 300 brings it back");
    assert_eq!(summary.verdict, Verdict::Same, "{}", summary.render());
}

#[test]
fn another_build_is_said_before_and_a_difference_is_not_called_a_failure() {
    let mut meta = Meta::new(Origin::Live, "two rooms");
    meta.build = Build { version: "0.0.9".to_owned(), ..meta.build };
    let trace = live(&walk(10), 0);
    let same = rewritten(&trace, Some(meta.clone()), |_, _, p| Some(p.to_vec()), |_| false);
    let reader = TraceReader::new(&same[..], same.len() as u64).unwrap();
    let ready = Replay::new(reader, workshop(), Options { verify: true, ..Options::default() }).unwrap();
    assert!(ready.caution().unwrap().contains("version 0.0.9"));
    assert_eq!(ready.run(&mut ()).unwrap().verdict, Verdict::Same);
    let other = rewritten(&nudged(&trace, 41, 60.0), Some(meta), |_, _, p| Some(p.to_vec()), |_| false);
    let summary = verified(&other);
    assert!(matches!(summary.verdict, Verdict::NotComparable { .. }), "{}", summary.render());
    assert_eq!(summary.exit_status(), 4);
}

#[test]
fn other_sources_of_the_same_version_are_another_build() {
    let trace = nudged(&live(&walk(10), 0), 41, 60.0);
    assert!(matches!(verified(&trace).verdict, Verdict::Different(_)), "of this build, a difference is a failure");
    // Of sources that are named, and of a build that did not name them.
    for (sources, told) in [("00b2", "sources 00b2 against "), ("", "sources unknown against ")] {
        let mut meta = Meta::new(Origin::Live, "two rooms");
        meta.build.sources = sources.to_owned();
        let other = rewritten(&trace, Some(meta), |_, _, p| Some(p.to_vec()), |_| false);
        let summary = verified(&other);
        let Verdict::NotComparable { why, .. } = &summary.verdict else { panic!("{}", summary.render()) };
        assert!(why.starts_with(told), "{why}");
        assert_eq!(summary.exit_status(), 4);
    }
}

#[test]
fn where_no_recorded_state_is_of_this_build_a_stretch_is_run_from_the_start_and_it_is_said_why() {
    let mut meta = Meta::new(Origin::Live, "two rooms");
    meta.build.sources = "00b2".to_owned();
    let mut encoder = Encoder::default();
    let other = rewritten(
        &live(&walk(10), 54),
        Some(meta),
        |_, record, payload| match record {
            Record::Keyframe { tag, .. } => Some(encoder.keyframe(*tag, b"another layout").to_vec()),
            _ => Some(payload.to_vec()),
        },
        |_| false,
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("walk.mcap");
    std::fs::write(&path, other).unwrap();
    let recording = crate::trace::recording::Recording::open(&path).unwrap();
    let options = Options { from: Some(LogicalNs(9_000_000_000)), verify: true, ..Options::default() };
    let replay = Replay::new(recording, workshop(), options).unwrap();
    assert!(!replay.caution().unwrap().contains("beginning"), "nothing was tried yet");
    let replay = replay.from_keyframe().unwrap();
    let caution = replay.caution().unwrap();
    assert!(caution.ends_with("so it runs from the log's beginning"), "{caution}");
    assert_eq!(replay.run(&mut ()).unwrap().began_at, None);
}

#[test]
fn missing_and_surplus_decisions_are_differences() {
    let trace = live(&walk(10), 0);
    for topic in [Topic::Event, Topic::Command] {
        let mut n = 0;
        let less = rewritten(
            &trace,
            None,
            |t, _, p| {
                n += usize::from(t == topic);
                (t != topic || n != 2).then(|| p.to_vec())
            },
            |_| false,
        );
        let Verdict::Different(d) = verified(&less).verdict else { panic!("a missing {topic} was not found") };
        assert!(d.recorded.is_none() || d.replayed.is_some(), "{d}");
    }
}

#[test]
fn from_and_to_bound_what_is_written_and_compared() {
    let trace = live(&walk(20), 0);
    let (_, all, ..) = outputs(&trace, Options::default());
    let span =
        Options { from: Some(LogicalNs(5_000_000_000)), to: Some(LogicalNs(9_000_000_000)), ..Options::default() };
    let (summary, some, _, tracks) = outputs(&trace, Options { verify: true, ..span });
    assert_eq!(summary.verdict, Verdict::Same);
    assert!(summary.stopped);
    assert!(!some.is_empty() && all.contains(&some) && some.len() < all.len());
    let times: Vec<f64> = tracks.lines().skip(1).map(|l| l.split(',').next().unwrap().parse().unwrap()).collect();
    assert!(times.first().unwrap() >= &5.0 && times.last().unwrap() <= &9.0);
}

#[test]
fn track_rows_stand_at_the_scans_measured_times() {
    let (_, _, _, tracks) = outputs(&live(&walk(6), 0), Options::default());
    let mut lines = tracks.lines();
    assert_eq!(lines.next(), Some("t_s,track,x_m,y_m,vx_mps,vy_mps,person,person_p,z_m,level"));
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    // Scans come every 200 ms and were measured 2 ms before they arrived.
    assert!(rows.iter().all(|r| r[0].ends_with("01") && r.len() == 10), "{rows:?}");
    assert!(rows.iter().any(|r| r[6] == "ana" && r[7] == "1" && r[9] == "ground"));
    // Without scans, the grid.
    let mut inputs = walk(6);
    let mut scan = osmose_model::observation::ScanBuf::new();
    inputs.retain(|(_, bytes)| {
        let input = osmose_model::canon::decode_input(bytes, &mut scan).unwrap();
        !matches!(input, Input::Observation(Observation { body: Body::Position(_), .. }))
    });
    for trace in [live(&inputs, 0), imported(&inputs)] {
        let (_, _, _, tracks) = outputs(&trace, Options::default());
        let times: std::collections::BTreeSet<&str> =
            tracks.lines().skip(1).map(|l| l.split(',').next().unwrap()).collect();
        assert_eq!(times.len(), 59, "0.1 to 5.9: {times:?}");
        assert!(times.contains("0.1") && times.contains("5.9"));
    }
}

/// A walk in which every scan is followed by another one of the same millisecond, at once or behind the next fix.
#[test]
fn two_scans_of_one_millisecond_give_a_track_one_row() {
    let (single, mut doubled, mut waiting) = (walk(6), Vec::new(), Vec::new());
    let mut scan = osmose_model::observation::ScanBuf::new();
    for (n, (arrival, bytes)) in single.iter().enumerate() {
        doubled.push((*arrival, bytes.clone()));
        doubled.extend(waiting.drain(..).map(|bytes| (*arrival, bytes)));
        let Ok(Input::Observation(o)) = osmose_model::canon::decode_input(bytes, &mut scan) else { continue };
        if let Body::Position(_) = o.body {
            let again = Observation { measured: LogicalNs(o.measured.0 + 300_000), ..o };
            let mut bytes = vec![0; osmose_model::limits::INPUT_BYTES_MAX];
            let len = osmose_model::canon::encode_input(&Input::Observation(again), &mut bytes).unwrap();
            bytes.truncate(len);
            if n % 4 < 2 {
                doubled.push((*arrival, bytes));
            } else {
                waiting.push(bytes);
            }
        }
    }
    assert!(doubled.len() > single.len() + 20);
    let frames = |inputs: &[_]| {
        let (_, _, _, tracks) = outputs(&live(inputs, 0), Options::default());
        let frame = |t: &str| (t.parse::<f64>().unwrap() * 1000.0).round_ties_even() as i64;
        let rows = tracks.lines().skip(1).map(|l| l.split(',').collect::<Vec<_>>());
        rows.map(|r| (frame(r[0]), r[1].to_owned())).collect::<Vec<_>>()
    };
    let (one, two) = (frames(&single), frames(&doubled));
    let of = |rows: &[(i64, String)]| rows.iter().map(|r| r.0).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(of(&one), of(&two), "the same instants");
    let mut unique = two.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), two.len(), "each track once an instant");
}

#[test]
fn other_rules_replace_the_recorded_ones_and_cannot_be_verified() {
    let trace = live(&walk(10), 0);
    let none = vec![osmose_model::site::SourceFile { path: "rules/none.rules".into(), text: "edition 1\n".into() }];
    let with = replay(&trace, Options::default());
    let without = replay(&trace, Options { rules: Some(none.clone()), ..Options::default() });
    assert!(with.commands > 0 && without.commands == 0);
    assert_eq!(with.events, without.events);
    let reader = TraceReader::new(&trace[..], trace.len() as u64).unwrap();
    let both = Options { rules: Some(none), verify: true, ..Options::default() };
    assert!(matches!(Replay::new(reader, workshop(), both), Err(ReplayError::VerifyOtherRules)));
}

#[test]
fn the_site_of_a_trace_is_in_it() {
    let trace = live(&walk(1), 0);
    let reader = TraceReader::new(&trace[..], trace.len() as u64).unwrap();
    assert_eq!(reader.files(), files());
}

#[test]
fn a_plot_shows_what_was_seen_who_was_there_and_the_truth() {
    let picture = Kept::default();
    let truth =
        crate::score::read_truth("t,id,x,y\n0.5,true-ana,1,1\n2,true-ana,2,1\n".as_bytes(), "truth.csv").unwrap();
    let sinks = Sinks { plot: Some((Some(truth), Box::new(picture.clone()))), ..Sinks::default() };
    replay(&live(&walk(30), 100), Options { sinks, ..Options::default() });
    let svg = picture.text();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    let count = |what: &str| svg.matches(what).count();
    assert!(count("<path class=\"path s") >= 2, "a track and the legend: {svg}");
    assert_eq!(count("truth: true-ana"), 1, "{svg}");
    assert!(count("class=\"zone\"") >= 2 && count("class=\"seen\"") >= 1, "{svg}");
    assert_eq!(count("<g"), count("</g>"));
}

/// Beginning at a keyframe is beginning at the start, for what is asked for: at random places of a walk with keyframes
/// and rules installed half-way, the same digests, events, commands and track rows.
#[test]
fn a_replay_from_a_keyframe_is_the_one_from_the_start() {
    // Other rules from 30 s on, of the same names and shapes: a saved state alone does not tell which ones hold.
    let mut later: Vec<_> = files().into_iter().filter(|f| f.path.ends_with(".rules")).collect();
    later.iter_mut().for_each(|f| f.text = f.text.replace("80 %", "60 %"));
    let (at, inputs) = crate::testing::with_install(&walk(60), 30, &later);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("walk.mcap");
    std::fs::write(&path, crate::testing::live_with(&inputs, 97, &[(at, later)])).unwrap();
    let run = |from: LogicalNs, to: LogicalNs, seek: bool| {
        let (events, commands, tracks) = (Kept::default(), Kept::default(), Kept::default());
        let sinks = Sinks {
            tracks: Some((TracksFormat::Osmose, Box::new(tracks.clone()))),
            names: Names::Live,
            events: Some(Box::new(events.clone())),
            commands: Some(Box::new(commands.clone())),
            plot: None,
            each: None,
            record: None,
        };
        let recording = crate::trace::recording::Recording::open(&path).unwrap();
        let options = Options { from: Some(from), to: Some(to), verify: true, sinks, ..Options::default() };
        let replay = Replay::new(recording, workshop(), options).unwrap();
        let replay = if seek { replay.from_keyframe().unwrap() } else { replay };
        let summary = replay.run(&mut ()).unwrap();
        assert_ne!(summary.verdict, Verdict::NothingToVerify);
        let texts = [events.text(), commands.text(), tracks.text()];
        (summary.verdict, summary.digests, texts, summary.began_at.is_some())
    };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut sought = 0;
    for _ in 0..24 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let from = LogicalNs((state >> 20) as i64 % 57_000_000_000);
        let to = from.plus(osmose_model::time::DurationNs::from_s(3));
        let (a, b) = (run(from, to, false), run(from, to, true));
        assert_eq!(a.0, Verdict::Same, "from {from}");
        assert_eq!((&a.0, a.1, &a.2), (&b.0, b.1, &b.2), "from {from}");
        assert!(!a.3);
        sought += u32::from(b.3);
    }
    assert!(sought >= 20, "{sought} of 24 began at a keyframe");
}

#[test]
fn a_file_without_an_index_is_looked_through_and_gives_the_same_places() {
    let trace = live(&walk(30), 50);
    let mut whole = TraceReader::new(std::io::Cursor::new(&trace[..]), trace.len() as u64).unwrap();
    let index = whole.index().unwrap();
    assert!(index.from_summary && index.has_keyframes());
    let cut = &trace[..trace.len() - 3];
    let mut reader = TraceReader::new(std::io::Cursor::new(cut), cut.len() as u64).unwrap();
    let by_scan = reader.index().unwrap();
    assert!(!by_scan.from_summary);
    assert_eq!((&by_scan.chunks, &by_scan.installs), (&index.chunks, &index.installs));
    assert_eq!(by_scan.channels, index.channels);
    let at = LogicalNs(21_000_000_000);
    let point = whole.keyframe_before(at, &index).unwrap();
    assert_eq!(reader.keyframe_before(at, &by_scan).unwrap(), point);
    let at_s = point.unwrap().log_time as f64 / 1e9;
    assert!((18.0..21.0).contains(&at_s), "the last keyframe before 21 s stands at {at_s} s");
}

#[test]
fn what_if_says_who_would_have_been_told_what_and_from_when_devices_are_on_their_own() {
    let trace = live(&walk(20), 0);
    let mut other: Vec<_> = files().into_iter().filter(|f| f.path.ends_with(".rules")).collect();
    other.iter_mut().for_each(|f| f.text = f.text.replace("80 %", "60 %"));
    let summary = replay(&trace, Options { rules: Some(other), ..Options::default() });
    let both = summary.what_if.expect("asked");
    // Ticks of the other rules come where those are due, not at the next input.
    assert!(summary.ticks_added > 0);
    let device = workshop().site().actuator_named("meeting.light").unwrap();
    let lit = |list: &[osmose_model::command::Command]| {
        list.iter().find(|c| c.device == device).map(|c| (c.at, c.args.clone())).expect("the light is lit")
    };
    assert_eq!(lit(&both.recorded).0, lit(&both.replayed).0);
    assert_ne!(lit(&both.recorded).1, lit(&both.replayed).1);
    assert_eq!(both.parted.get(&device), Some(&lit(&both.recorded).0));
    assert_eq!(both.parted.len(), 1, "only the light would have been told something else");
    assert_eq!(both.hypothesis_from(), both.parted.values().min().copied());
    // The same rules give the same commands, at the same times.
    let own: Vec<_> = files().into_iter().filter(|f| f.path.ends_with(".rules")).collect();
    let same = replay(&trace, Options { rules: Some(own), ..Options::default() }).what_if.expect("asked");
    assert_eq!(same.parted, std::collections::BTreeMap::new());
    let told = |list: &[osmose_model::command::Command]| -> Vec<_> {
        list.iter().map(|c| (c.at, c.device, c.verb, c.args.clone())).collect()
    };
    assert_eq!(told(&same.recorded), told(&same.replayed));
    // Without the tags nobody known leaves.
    let tags = workshop().site().sensor_named("tags").unwrap();
    let without = replay(&trace, Options { without: vec![tags], ..Options::default() });
    let known = |c: &osmose_model::command::Command| {
        let person = |e: &osmose_model::command::Entity| {
            matches!(e, osmose_model::command::Entity::Track { person: Some(_), .. })
        };
        c.verb == "pause" && c.cause.bindings.iter().any(|(_, e)| person(e))
    };
    assert!(both.recorded.iter().any(known));
    assert!(!without.what_if.expect("asked").replayed.iter().any(known));
    // With the tags 400 ms late, what they decide is 400 ms late too.
    let late = osmose_model::time::DurationNs::from_ms(400);
    let delayed = replay(&trace, Options { delayed: vec![(tags, late)], ..Options::default() }).what_if.unwrap();
    let pauses = |list: &[osmose_model::command::Command]| -> Vec<i64> {
        list.iter().filter(|c| known(c)).map(|c| c.at.0).collect()
    };
    let (then, now) = (pauses(&delayed.recorded), pauses(&delayed.replayed));
    assert!(!then.is_empty() && then.len() == now.len(), "{then:?} {now:?}");
    assert!(then.iter().zip(&now).all(|(a, b)| b - a == 400_000_000), "{then:?} {now:?}");
    // Later than the site takes, they count for nothing, and the summary says so.
    let late = osmose_model::time::DurationNs::from_ms(osmose_model::limits::LATE_MAX_MS + 100);
    let refused = replay(&trace, Options { delayed: vec![(tags, late)], ..Options::default() });
    assert!(refused.too_late > 0 && refused.render().contains("counted for nothing"), "{}", refused.render());
    assert!(!refused.what_if.expect("asked").replayed.iter().any(known));
}

/// The same walk with a lamp that answers: 15 ms after it is told something it says what it has become.
fn answered(inputs: &[(osmose_model::time::ArrivalNs, Vec<u8>)]) -> Vec<(osmose_model::time::ArrivalNs, Vec<u8>)> {
    use osmose_model::input::Report;
    let site = workshop().site().clone();
    let light = site.actuator_named("meeting.light").unwrap();
    let mut all = inputs.to_vec();
    let say = |all: &mut Vec<_>, at_ns: i64, property, value| {
        let report = Input::Report(Report { actuator: light, property, value, source_seq: None });
        let mut bytes = vec![0; 512];
        let n = osmose_model::canon::encode_input(&report, &mut bytes).unwrap();
        bytes.truncate(n);
        all.push((osmose_model::time::ArrivalNs(at_ns), bytes));
    };
    // It is dim when the log begins, and says so.
    let level = osmose_model::ids::Name::new("level").unwrap();
    say(&mut all, 1, level, osmose_model::command::Value::Number(20.0));
    let told = replay(&live(inputs, 0), Options { rules: Some(rule_files()), ..Options::default() });
    for command in told.what_if.expect("asked").recorded.iter().filter(|c| c.device == light) {
        let kind = site.actuators[light.index()].kind;
        let at_ns = command.at.0 + 15_000_000;
        kind.outcomes(command.verb, &command.args, |property, value| say(&mut all, at_ns, property, value));
    }
    all.sort_by_key(|(at, _)| *at);
    all
}

fn rule_files() -> Vec<osmose_model::site::SourceFile> {
    files().into_iter().filter(|f| f.path.ends_with(".rules")).collect()
}

/// What the lamp's level is known to be behind each input, where it changes.
fn levels(trace: &[u8], options: Options) -> (Summary, Vec<(i64, f64)>) {
    let seen: Rc<RefCell<Vec<(i64, f64)>>> = Rc::default();
    let (keep, light) = (seen.clone(), workshop().site().actuator_named("meeting.light").unwrap());
    let level = osmose_model::ids::Name::new("level").unwrap();
    let each = move |tag: osmose_model::input::Tag,
                     _: &Input<'_>,
                     _: &osmose_core::Outbox,
                     view: &dyn osmose_model::world::WorldView| {
        if let Some(osmose_model::command::Value::Number(x)) = view.device(light, level)
            && keep.borrow().last().is_none_or(|(_, last)| *last != x)
        {
            keep.borrow_mut().push((tag.at.0, x));
        }
    };
    let sinks = Sinks { each: Some(Box::new(each)), ..Sinks::default() };
    let summary = replay(trace, Options { sinks, ..options });
    let levels = seen.borrow().clone();
    (summary, levels)
}

#[test]
fn a_device_that_would_have_been_told_something_else_is_what_its_model_makes_of_that() {
    let trace = live(&answered(&walk(20)), 0);
    let (_, then) = levels(&trace, Options::default());
    assert!(then.iter().any(|(_, x)| *x == 80.0), "{then:?}");
    let mut other = rule_files();
    other.iter_mut().for_each(|f| f.text = f.text.replace("80 %", "60 %"));
    let (summary, now) = levels(&trace, Options { rules: Some(other), ..Options::default() });
    let both = summary.what_if.expect("asked");
    assert!(both.reports_left_out > 0 && both.reports_modelled > 0, "{}", both.reports_modelled);
    // The recorded reports say 80 %; what the lamp would have become is 60 %, as often as it was lit.
    assert!(now.iter().all(|(_, x)| *x != 80.0) && now.iter().any(|(_, x)| *x == 60.0), "{now:?}");
    let lit = |list: &[(i64, f64)], level: f64| list.iter().filter(|(_, x)| *x == level).count();
    assert_eq!(lit(&now, 60.0), lit(&then, 80.0), "{now:?} {then:?}");
    // With the recorded rules nothing parts, and no model is asked.
    let same = levels(&trace, Options { rules: Some(rule_files()), ..Options::default() });
    let both = same.0.what_if.expect("asked");
    assert_eq!((both.reports_left_out, both.reports_modelled, both.parted.len()), (0, 0, 0));
    assert_eq!(same.1, then);
}
