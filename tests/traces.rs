//! Trace files as their users meet them: whole, cut, damaged, and opened by a reader that is not ours.

mod common;

use common::engine::{Engine, osmose};
use common::job::play;
use common::site::TempSite;
use osmose_model::ids::Seq;
use osmose_model::time::LogicalNs;
use osmose_replay::trace::codec::Encoder;
use osmose_replay::trace::format::Topic;
use osmose_replay::trace::read::{Item, TraceReader};
use osmose_replay::trace::write::{Packing, TraceWriter};
use rustix::process::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A site whose engine ran the peer job, and its recording.
fn recorded() -> (TempSite, PathBuf) {
    let site = TempSite::example("peer-job");
    let (trace, devices) = (site.file("job.mcap"), site.devices(7802));
    let args = ["--state", "none", "--quiet", "--record", trace.to_str().expect("text")];
    let engine = Engine::run(site.path(), &args);
    play(&site.sender(7801), 4000.0, 6000, |played| {
        played.drain(&devices);
        played.expected.len().saturating_sub(played.came.len())
    });
    engine.stop(Signal::INT).expect(0);
    (site, trace)
}

fn trace_json(what: &str, path: &Path, code: i32) -> Value {
    let ended = osmose(&["trace", what, path.to_str().expect("text"), "--json"]).expect(code);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{}: {e}", ended.stdout))
}

fn replayed(path: &Path) -> common::engine::Ended {
    osmose(&["replay", path.to_str().expect("text"), "--verify"])
}

/// The number behind a word on stderr.
fn number(ended: &common::engine::Ended, before: &str) -> u64 {
    ended.word_after(before).parse().unwrap_or_else(|_| panic!("no number behind {before:?}: {}", ended.stderr))
}

#[test]
fn a_whole_trace_says_what_is_in_it_and_that_it_is_whole() {
    let (_site, trace) = recorded();
    let info = trace_json("info", &trace, 0);
    assert_eq!(info["whole"], true, "{info}");
    let text = osmose(&["trace", "info", trace.to_str().expect("text")]).expect(0).stdout;
    for part in ["peer-job", "positions: 6000 observations", "rules/peer-job.rules", "live"] {
        assert!(text.contains(part), "{part:?} in:\n{text}");
    }
    let check = trace_json("check", &trace, 0);
    assert_eq!(check["findings"], Value::Array(vec![]), "{check}");
    assert!(check["digests_compared"].as_u64() > Some(0) && check["inputs"].as_u64() >= Some(6000), "{check}");
}

#[test]
fn a_trace_cut_at_60_percent_replays_to_its_last_whole_record_and_says_what_is_missing() {
    let (site, trace) = recorded();
    let bytes = std::fs::read(&trace).expect("read");
    let (whole, cut) = (replayed(&trace).expect(0), site.file("cut.mcap"));
    std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).expect("written");
    let part = replayed(&cut).expect(0);
    let (all, some) = (number(&whole, "replayed "), number(&part, "replayed "));
    assert!(some > all / 10 && some < all, "{some} of {all} inputs: {}", part.stderr);
    assert!(part.stderr.contains("verified: the same, bit for bit"), "as far as it goes: {}", part.stderr);
    assert!(!whole.stderr.contains("cut"), "{}", whole.stderr);
    assert!(part.stderr.contains("cut"), "it says that the file is cut: {}", part.stderr);
    let info = trace_json("info", &cut, 0);
    assert_eq!(info["whole"], false);
    assert!(info["ending"].is_string(), "{info}");
    // Wherever it is cut, it opens, or is refused in words.
    for percent in (0..100).step_by(9) {
        std::fs::write(&cut, &bytes[..bytes.len() * percent / 100]).expect("written");
        let ended = replayed(&cut);
        assert!(!ended.stderr.contains("panicked") && ended.code() >= 0, "at {percent} %: {}", ended.stderr);
        assert!([0, 1, 4].contains(&ended.code()), "at {percent} %: {}", ended.stderr);
    }
}

/// A trace with another build's name on it, or this one's, and without one of its events.
fn one_event_less(trace: &Path, sources: Option<&str>) -> Vec<u8> {
    let mut reader = TraceReader::open(trace).expect("a trace");
    let (mut meta, files) = (reader.meta().clone(), reader.files().to_vec());
    if let Some(sources) = sources {
        meta.build.sources = sources.to_owned();
    }
    let mut writer = TraceWriter::new(Vec::new(), &meta, &files, &Encoder::schemas(), Packing::None).expect("memory");
    let mut events = 0;
    while let Some(item) = reader.next_item().expect("readable") {
        let Item::Record(raw) = item else { panic!("{item:?}") };
        events += u32::from(raw.topic == Topic::Event);
        if raw.topic != Topic::Event || events != 1 {
            let at = |ns: u64| LogicalNs(i64::try_from(ns).expect("within the log"));
            let (logged, published) = (at(raw.log_time), at(raw.publish_time));
            writer.append(raw.topic, logged, published, Seq(raw.sequence.into()), raw.data).expect("memory");
        }
    }
    assert!(events > 1, "there is one to leave out");
    writer.finish().expect("memory")
}

#[test]
fn what_another_build_decided_otherwise_is_not_comparable_and_it_is_said_before() {
    let site = TempSite::example("incidents");
    let (trace, script) = (site.file("sim.mcap"), site.path().join("late-pause.toml"));
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let (folder, script, out) = (text(site.path()), text(&script), text(&trace));
    osmose(&["simulate", &folder, "--script", &script, "--seconds", "20", "--seed", "1", "-o", &out]).expect(0);
    let info = trace_json("info", &trace, 0);
    let sources = info["build"]["sources"].as_str().expect("text");
    assert_eq!(sources.len(), 16, "{info}");
    let shown = osmose(&["trace", "info", &out]).expect(0).stdout;
    assert!(shown.contains(&format!("(sources {sources})")), "{shown}");
    let same = replayed(&trace).expect(0);
    assert!(same.stderr.contains("verified: the same, bit for bit"), "{}", same.stderr);
    assert!(!same.stderr.contains("another build"), "{}", same.stderr);
    let less = site.file("less.mcap");
    std::fs::write(&less, one_event_less(&trace, None)).expect("written");
    let failed = replayed(&less).expect(1);
    assert!(failed.stderr.contains("FAILED") && !failed.stderr.contains("another build"), "{}", failed.stderr);
    std::fs::write(&less, one_event_less(&trace, Some("00b2"))).expect("written");
    let other = replayed(&less).expect(4);
    let before = format!("another build recorded this trace (sources 00b2 against {sources})");
    let (said, ran) = (other.stderr.find(&before), other.stderr.find("replayed "));
    assert!(said.is_some() && said < ran, "{}", other.stderr);
    assert!(other.stderr.contains("not comparable: another build recorded this (sources 00b2"), "{}", other.stderr);
    assert!(!other.stderr.contains("FAILED"), "{}", other.stderr);
}

#[test]
fn one_flipped_bit_is_found_by_its_chunks_checksum() {
    let (site, trace) = recorded();
    let mut bytes = std::fs::read(&trace).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = site.file("damaged.mcap");
    std::fs::write(&damaged, bytes).expect("written");
    let check = trace_json("check", &damaged, 1);
    assert!(check["findings"].as_array().is_some_and(|f| f.iter().any(|f| f["code"] == "damage")), "{check}");
    let ended = replayed(&damaged);
    assert!(ended.stderr.contains("missing "), "the replay says what it could not run: {}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn a_site_that_says_so_is_recorded_into_files_that_rotate_and_expire() {
    let site = TempSite::example("peer-job");
    let devices = site.devices(7802);
    let settings = site.read("site.toml");
    let table = "\n[record]\ndir = \"traces\"\nrotate = \"1s\"\nkeep_days = 14\nmax_gib = 1\n";
    std::fs::write(site.path().join("site.toml"), settings + table).expect("written");
    let folder = site.path().join("traces");
    let files = || {
        let all = std::fs::read_dir(&folder).expect("made").map(|e| e.expect("readable").path());
        let mut all: Vec<PathBuf> = all.filter(|p| p.extension().is_some_and(|e| e == "mcap")).collect();
        all.sort();
        all
    };
    let run = |n: u64| {
        let engine = Engine::run(site.path(), &["--quiet"]);
        play(&site.sender(7801), 1000.0, n, |played| {
            played.drain(&devices);
            played.expected.len().saturating_sub(played.came.len())
        });
        let said = engine.stop(Signal::INT).expect(0);
        assert!(said.stderr.contains("recording to "), "{}", said.stderr);
    };
    // Long enough that the state at the stop ends one file and begins another; then the log goes on in a third.
    run(2000);
    let first = files();
    assert_eq!(first.len(), 2, "{first:?}");
    run(300);
    assert!(files().len() >= 3, "{:?}", files());
    let folder = folder.to_str().expect("text");
    let whole = osmose(&["replay", folder, "--verify"]).expect(0);
    assert!(whole.stderr.contains("verified: the same, bit for bit"), "{}", whole.stderr);
    assert_eq!(whole.stderr.matches("missing after input").count(), 1, "the time between both runs: {}", whole.stderr);
    // What is kept outlives a limit that nothing else fits in.
    osmose(&["trace", "keep", first[0].to_str().expect("text"), "--because", "the late pause"]).expect(0);
    let small = site.read("site.toml").replace("max_gib = 1", "max_gib = 0.000001");
    std::fs::write(site.path().join("site.toml"), small).expect("written");
    run(100);
    let left = files();
    assert!(left.contains(&first[0]) && !left.contains(&first[1]), "{left:?}");
    // Nothing is recorded where that is asked for.
    let engine = Engine::run(site.path(), &["--quiet", "--state", "none", "--record", "none"]);
    engine.stop(Signal::INT).expect(0);
    assert_eq!(files(), left);
}

/// Counts the messages on each topic with CRC validation on, streaming and seeking.
const READER: &str = r#"
import json, sys
from mcap.reader import NonSeekingReader, SeekingReader
counts = []
for reader_of in (NonSeekingReader, SeekingReader):
    with open(sys.argv[1], "rb") as f:
        topics = {}
        for schema, channel, message in reader_of(f, validate_crcs=True).iter_messages():
            assert schema.encoding == "flatbuffer" and len(schema.data) > 0
            topics[channel.topic] = topics.get(channel.topic, 0) + 1
        counts.append(topics)
assert counts[0] == counts[1], counts
with open(sys.argv[1], "rb") as f:
    names = sorted(a.name for a in NonSeekingReader(f, validate_crcs=True).iter_attachments())
print(json.dumps({"topics": counts[0], "attachments": names}))
"#;

#[test]
fn an_independent_reader_opens_a_live_recording_with_crc_validation() {
    let python = |args: &[&str]| Command::new("python3").args(args).output().ok();
    if python(&["-c", "import mcap, lz4"]).is_none_or(|o| !o.status.success()) {
        println!("skipped: python3 with the packages mcap and lz4 is not there");
        return;
    }
    let (_site, trace) = recorded();
    let out = python(&["-c", READER, trace.to_str().expect("text")]).expect("it ran a moment ago");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let seen: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let info = osmose_replay::info::info(&trace).expect("it opens");
    assert_eq!(seen["topics"]["input"], info.input_count(), "{seen}");
    assert_eq!(seen["topics"]["command"], info.commands.values().sum::<u64>(), "{seen}");
    assert_eq!(seen["attachments"].as_array().map(Vec::len), Some(info.files.len()), "{seen}");
}
