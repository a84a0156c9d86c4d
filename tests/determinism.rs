//! One trace gives one digest: twice, live on threads and replayed in one; and one changed coordinate gives another.

mod common;

use common::engine::{Ended, Engine, osmose};
use common::job::play;
use common::json_lines;
use common::site::TempSite;
use osmose_model::ids::Seq;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::{Body, Observation, ScanBuf};
use osmose_replay::trace::codec::{Encoder, Record, decode};
use osmose_replay::trace::format::Topic;
use osmose_replay::trace::read::{Item, TraceReader};
use osmose_replay::trace::write::{Packing, TraceWriter};
use rustix::process::Signal;
use std::path::Path;

fn demo(seed: &str, commands: &Path) -> Ended {
    let file = commands.to_str().expect("text");
    osmose(&["demo", "--headless", "--seconds", "30", "--seed", seed, "--commands", file]).expect(0)
}

#[test]
fn the_demo_is_the_same_twice_and_another_with_another_seed() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str| dir.path().join(name);
    let (first, again, other) = (demo("7", &file("a")), demo("7", &file("b")), demo("8", &file("c")));
    let bytes = |name: &str| std::fs::read(file(name)).expect("written");
    assert!(!bytes("a").is_empty(), "it commands something");
    assert!(bytes("a") == bytes("b"), "the same seed writes the same bytes");
    assert_ne!(bytes("a"), bytes("c"));
    for digest in ["input digest ", "decision digest "] {
        assert_eq!(first.word_after(digest), again.word_after(digest));
        assert_ne!(first.word_after(digest), other.word_after(digest));
    }
    // The whole story is the same but for the engine's own microseconds, which stand in brackets at a line's end.
    let told = |e: &Ended| e.stdout.lines().map(|l| l.split("  [").next().unwrap_or(l).to_owned()).collect::<Vec<_>>();
    assert_eq!(told(&first), told(&again));
}

#[test]
fn the_demo_shows_a_sensors_frame_become_a_leave_and_a_pause() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("commands.jsonl");
    let ended = demo("7", &file);
    let pauses: Vec<_> = json_lines(&file)
        .into_iter()
        .filter(|c| c["device"] == "m7.recorder" && c["command"] == "pause" && c["rule"] == "pause-recording")
        .collect();
    let pause = pauses.first().expect("ana leaves m7 in the first half minute");
    assert_eq!(pause["args"]["reason"], "ana left", "{pause}");
    assert_eq!(
        (&pause["cause"]["trigger"]["event"], &pause["cause"]["trigger"]["zone"]),
        (&"leaves".into(), &"m7".into())
    );
    let sensor = pause["cause"]["sensor"].as_str().expect("a sensor's frame decided it");
    let frame = format!("frame of {sensor} -> +");
    let lines: Vec<_> = ended.stdout.lines().collect();
    let at = lines
        .iter()
        .position(|l| l.contains(">> m7.recorder.pause(back_s: ") && l.contains("reason: \"ana left\")"))
        .expect("the story tells it");
    let chain = lines[at + 1];
    for part in [frame.as_str(), " ms read, ana leaves m7 -> pause", "[decided in "] {
        assert!(chain.contains(part), "{part:?} in {chain:?}");
    }
}

/// Runs the command in another locale and time zone. Every process has hash seeds of its own besides, which the standard
/// library draws anew at each start.
fn osmose_in(locale: &str, zone: &str, args: &[&str]) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_osmose"));
    command.args(args).env("LANG", locale).env("LC_ALL", locale).env("TZ", zone);
    let out = command.output().expect("the binary starts");
    let text = [out.stdout, out.stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat();
    assert!(out.status.success(), "{locale} {zone}: {text}");
    text
}

fn word_after<'t>(text: &'t str, before: &str) -> &'t str {
    let rest = text.split(before).nth(1).unwrap_or_else(|| panic!("no {before:?} in {text}"));
    rest.split([' ', ',', '\n']).next().expect("split gives one")
}

#[test]
fn locale_time_zone_and_hash_seeds_decide_nothing() {
    let site = TempSite::example("peer-job");
    let (trace, _) = recorded(&site);
    let path = trace.to_str().expect("text");
    let places = [("C", "UTC"), ("tr_TR.UTF-8", "Asia/Kathmandu"), ("de_DE.UTF-8", "America/St_Johns"), ("C", "UTC")];
    let digests: Vec<[String; 4]> = places
        .iter()
        .map(|(locale, zone)| {
            let demo = osmose_in(locale, zone, &["demo", "--headless", "--seconds", "10", "--seed", "7"]);
            let replay = osmose_in(locale, zone, &["replay", path, "--verify"]);
            assert!(replay.contains("verified: the same, bit for bit"), "{replay}");
            let all = [
                (&demo, "input digest "),
                (&demo, "decision digest "),
                (&replay, "input_digest "),
                (&replay, "decision_digest "),
            ];
            all.map(|(text, before)| word_after(text, before).to_owned())
        })
        .collect();
    assert!(digests.iter().all(|d| *d == digests[0]), "{digests:?}");
}

/// A live run of the peer job, recorded.
fn recorded(site: &TempSite) -> (std::path::PathBuf, Ended) {
    let (trace, devices) = (site.file("job.mcap"), site.devices(7802));
    let args = ["--state", "none", "--quiet", "--record", trace.to_str().expect("text")];
    let engine = Engine::run(site.path(), &args);
    let played = play(&site.sender(7801), 2000.0, 1000, |played| {
        played.drain(&devices);
        played.expected.len().saturating_sub(played.came.len())
    });
    let ended = engine.stop(Signal::INT).expect(0);
    assert_eq!(played.sent, 1000);
    (trace, ended)
}

/// Copies a trace; `change` may write an input anew, or not.
fn rewritten(
    from: &Path,
    to: &Path,
    mut change: impl FnMut(Tag, &Observation<'_>) -> Option<Observation<'static>>,
) -> Seq {
    let mut reader = TraceReader::open(from).expect("it opens");
    let (schemas, mut encoder, mut scan) = (Encoder::schemas(), Encoder::default(), ScanBuf::new());
    let mut writer = TraceWriter::create(to, reader.meta(), reader.files(), &schemas, Packing::Lz4).expect("written");
    let mut changed = vec![];
    while let Some(item) = reader.next_item().expect("it reads") {
        let Item::Record(raw) = item else { panic!("{item:?}") };
        let (at, measured) = (raw.log_time as i64, raw.publish_time as i64);
        let (mut payload, mut seq) = (raw.data.to_vec(), Seq(u64::from(raw.sequence)));
        if raw.topic == Topic::Input
            && let Record::Input { tag, input: Input::Observation(o) } = decode(&raw, &mut scan).expect("it decodes")
            && let Some(other) = change(tag, &o)
        {
            payload = encoder.input(tag, &Input::Observation(other)).to_vec();
            seq = tag.seq;
            changed.push(seq);
        }
        let time = |ns| osmose_model::time::LogicalNs(ns);
        writer.append(raw.topic, time(at), time(measured), seq, &payload).expect("written");
    }
    writer.finish().expect("written");
    assert_eq!(changed.len(), 1, "one input is changed");
    changed[0]
}

/// A fix of the same device at another place, by `dx_m`.
fn moved(o: &Observation<'_>, dx_m: f64) -> Option<Observation<'static>> {
    let Body::Location { device, mut place, sigma_m } = o.body else { return None };
    place.at.x_m += dx_m;
    let body = Body::Location { device, place, sigma_m };
    Some(Observation { sensor: o.sensor, measured: o.measured, source_seq: o.source_seq, body })
}

#[test]
fn a_live_run_replays_bit_for_bit_and_one_changed_coordinate_is_found() {
    let site = TempSite::example("peer-job");
    let (trace, live) = recorded(&site);
    let replay = |path: &Path, verify: &str| osmose(&["replay", path.to_str().expect("text"), verify]);
    // `fused` live, `inline` in the replay: the same decisions.
    let same = replay(&trace, "--verify").expect(0);
    assert!(same.stderr.contains("verified: the same, bit for bit"), "{}", same.stderr);
    assert_eq!(same.word_after("input_digest "), live.word_after("input digest "));
    assert_eq!(same.word_after("decision_digest "), live.word_after("decision digest "));

    // A fix of somebody in the middle of his stay, inside his room: a nanometre further east he is inside all the same.
    let hair = site.file("hair.mcap");
    let is_picked = |o: &Observation<'_>| o.source_seq == Some(350);
    let seq = rewritten(&trace, &hair, |_, o| is_picked(o).then(|| moved(o, 1e-9)).flatten());
    let differs = replay(&hair, "--verify").expect(1);
    assert!(differs.stderr.contains("first difference"), "{}", differs.stderr);
    let same_decisions = replay(&hair, "--speed=max").expect(0);
    assert_ne!(same_decisions.word_after("input_digest "), same.word_after("input_digest "), "input {seq} is another");
    assert_eq!(
        same_decisions.word_after("decision_digest "),
        same.word_after("decision_digest "),
        "nobody crossed a line"
    );

    // A room's width further he is in the corridor or the next room: he left, and a recorder pauses.
    let line = site.file("line.mcap");
    rewritten(&trace, &line, |_, o| is_picked(o).then(|| moved(o, 8.0)).flatten());
    let crossed = replay(&line, "--speed=max").expect(0);
    assert_ne!(crossed.word_after("input_digest "), same.word_after("input_digest "));
    assert_ne!(crossed.word_after("decision_digest "), same.word_after("decision_digest "), "somebody crossed a line");
    let verdict = replay(&line, "--verify").expect(1);
    assert!(verdict.stderr.contains("recorded: ") && verdict.stderr.contains("replayed: "), "{}", verdict.stderr);
}
