//! A site runs live: events in over UDP, commands out, everything recorded, and a clean end on a signal.

mod common;

use common::engine::{Ended, Engine, osmose};
use common::job::{Job, PEOPLE, Played, play};
use common::site::TempSite;
use common::{json_lines, until};
use osmose_replay::info::{Info, info};
use rustix::process::Signal;
use serde_json::Value;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

/// The example's ports: events in, commands out.
const EVENTS_IN: u16 = 7801;
const COMMANDS_OUT: u16 = 7802;

/// What a trace says that one sensor, the only one, said.
fn observations(info: &Info) -> u64 {
    info.sensors.values().map(|s| s.observations).sum()
}

fn whole(trace: &Path) -> Info {
    let info = info(trace).expect("the trace opens");
    assert!(info.skips.is_empty() && info.gaps.is_empty() && info.damage.is_empty(), "{}", info.render());
    assert_eq!((info.recorder_lost, info.undecodable), (0, 0), "{}", info.render());
    info
}

/// Plays the job at a pace; fails unless every command came once. Gives what was played and how the engine ended.
fn run_job(site: &TempSite, args: &[&str], rate_hz: f64, signal: Signal) -> (Played, Ended) {
    let devices = site.devices(COMMANDS_OUT);
    let engine = Engine::run(site.path(), args);
    assert!(engine.stderr().contains(&format!("ready udp={}", site.address(EVENTS_IN))), "{}", engine.stderr());
    let mut played = play(&site.sender(EVENTS_IN), rate_hz, (rate_hz * 2.0) as u64, |played| {
        played.drain(&devices);
        played.expected.len().saturating_sub(played.came.len())
    });
    let ended = engine.stop(signal).expect(0);
    // Whatever it still sent on its way out is in the socket now.
    played.drain(&devices);
    played.assert_each_once();
    let commands = played.expected.len();
    assert_eq!(ended.word_after("commands sent "), commands.to_string(), "{}", ended.stderr);
    println!("{} events at {rate_hz} a second, {commands} commands, each once", played.sent);
    (played, ended)
}

/// The job at a pace, recorded: what was sent is in the trace, and the trace replays to the same decisions.
fn job_is_done_and_recorded(rate_hz: f64, signal: Signal) {
    let site = TempSite::example("peer-job");
    let trace = site.file("job.mcap");
    let path = trace.to_str().expect("text");
    let (played, ended) = run_job(&site, &["--state", "none", "--record", path], rate_hz, signal);
    let info = whole(&trace);
    assert_eq!(observations(&info), played.sent, "{}\n{}", info.render(), ended.stderr);
    assert_eq!(info.commands.values().sum::<u64>(), played.expected.len() as u64);
    let logged = ended.stdout.lines().filter(|l| l.contains("pause")).count();
    assert_eq!(logged, played.expected.len(), "one line on stdout for each command");
    let replayed = osmose(&["replay", path, "--verify"]).expect(0);
    assert!(replayed.stderr.contains("verified: the same, bit for bit"), "{}", replayed.stderr);
    assert_eq!(
        replayed.word_after("input_digest "),
        ended.word_after("input digest "),
        "as the engine said at its end"
    );
    assert_eq!(replayed.word_after("decision_digest "), ended.word_after("decision digest "));
}

#[test]
fn the_peer_job_at_1000_events_a_second() {
    job_is_done_and_recorded(1000.0, Signal::INT);
}

#[test]
fn the_peer_job_at_10000_events_a_second() {
    job_is_done_and_recorded(10_000.0, Signal::TERM);
}

/// The job in a topology that the site asks for, on however many cores there are here.
fn job_in(topology: &str) {
    let site = TempSite::example("peer-job");
    site.edit("site.toml", "tracks_max = 256", &format!("tracks_max = 256\ntopology = \"{topology}\""));
    let trace = site.file("job.mcap");
    let path = trace.to_str().expect("text");
    let (played, ended) = run_job(&site, &["--state", "none", "--record", path], 2000.0, Signal::INT);
    assert_eq!(observations(&whole(&trace)), played.sent, "{}", ended.stderr);
    let replayed = osmose(&["replay", path, "--verify"]).expect(0);
    assert!(replayed.stderr.contains("verified: the same, bit for bit"), "{topology}: {}", replayed.stderr);
    let digest = |e: &Ended, words: &str| e.word_after(words).to_owned();
    assert_eq!(digest(&replayed, "decision_digest "), digest(&ended, "decision digest "), "{topology} against inline");
}

#[test]
fn every_topology_does_the_job_and_replays_inline_to_the_same_bits() {
    for topology in ["inline", "fused", "split", "dedicated"] {
        job_in(topology);
    }
}

#[test]
fn spinning_gives_the_same_commands_or_says_why_it_may_not() {
    let site = TempSite::example("peer-job");
    site.edit("site.toml", "tracks_max = 256", "tracks_max = 256\nidle = \"spin\"");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores > 1 {
        run_job(&site, &["--state", "none"], 1000.0, Signal::INT);
    } else {
        let refused = osmose(&["run", site.path().to_str().expect("text"), "--state", "none"]).expect(1);
        assert!(refused.stderr.contains("idle = \"yield\""), "the way to mend it: {}", refused.stderr);
    }
}

#[test]
fn what_waited_while_the_process_was_stopped_is_missed_from_the_kernels_stamp_on() {
    let site = TempSite::example("peer-job");
    let (devices, to) = (site.devices(COMMANDS_OUT), site.sender(EVENTS_IN));
    let engine = Engine::run(site.path(), &["--state", "none", "--quiet"]);
    let (mut job, mut played) = (Job::new(), Played::default());
    let mut send = |played: &mut Played, n: usize| {
        for event in job.by_ref().take(n) {
            to.send(event.datagram().as_bytes()).expect("loopback takes it");
            played.sent += 1;
            event.left.map(|room| played.expected.insert(event.seq, room));
        }
    };
    let stops = 3;
    for _ in 0..stops {
        send(&mut played, 200);
        engine.frozen(|| {
            send(&mut played, 50);
            std::thread::sleep(Duration::from_millis(5));
        });
    }
    until("every command", || {
        played.drain(&devices);
        (played.came.len() >= played.expected.len()).then_some(())
    });
    let ended = engine.stop(Signal::INT).expect(0);
    played.assert_each_once();
    let missed: u64 = ended.word_after("budget of 1000 us: missed ").parse().expect("a number");
    assert!(missed >= stops * 50, "each of them waited for 5 ms: {}", ended.stderr);
    let worst: f64 = ended.word_after("), ").parse().expect("microseconds");
    assert!(worst >= 5000.0, "{}", ended.stderr);
}

/// Counts the leaves of participants (everybody but each 10th) among events that came as datagrams.
fn participants_who_left(socket: &UdpSocket, left: &mut usize) {
    let mut buffer = [0; 2048];
    while let Ok(n) = socket.recv(&mut buffer) {
        let event: Value = serde_json::from_slice(&buffer[..n]).expect("one JSON value a datagram");
        let person = event["person"].as_str().and_then(|p| p.strip_prefix('p')).and_then(|k| k.parse::<u64>().ok());
        *left += usize::from(event["kind"] == "leaves" && person.is_some_and(|k| !k.is_multiple_of(10)));
    }
}

#[test]
fn a_dry_run_sends_nothing_and_records_the_same_decisions() {
    let site = TempSite::example("peer-job");
    let (devices, events) = (site.devices(COMMANDS_OUT), UdpSocket::bind("127.0.0.1:0").expect("a socket"));
    events.set_nonblocking(true).expect("a socket's mode");
    let (trace, to) = (site.file("dry.mcap"), events.local_addr().expect("bound").to_string());
    let path = trace.to_str().expect("text");
    let args = ["--state", "none", "--dry-run", "--record", path, "--events", &to];
    let engine = Engine::run(site.path(), &args);
    let mut left = 0;
    let mut played = play(&site.sender(EVENTS_IN), 1000.0, 2000, |played| {
        participants_who_left(&events, &mut left);
        played.expected.len().saturating_sub(left)
    });
    let ended = engine.stop(Signal::INT).expect(0);
    participants_who_left(&events, &mut left);
    assert_eq!(left, played.expected.len(), "events as datagrams");
    assert_eq!(played.drain(&devices), 0, "a dry run sends nothing");
    assert!(!ended.stderr.contains("commands sent"), "{}", ended.stderr);
    // The decisions: by running the recording again, and compared with the recorded ones.
    let commands = site.file("commands.jsonl");
    osmose(&["replay", path, "--verify", "--commands", commands.to_str().expect("text")]).expect(0);
    for line in json_lines(&commands) {
        assert_eq!(line["command"], "pause", "{line}");
        let seq = line["source_seq"].as_u64().expect("the event's own number");
        played.came.entry(seq).or_default().push(line["device"].as_str().expect("a device").to_owned());
    }
    played.assert_each_once();
}

#[test]
fn events_go_to_a_file_as_json_lines() {
    let site = TempSite::example("peer-job");
    let file = site.file("events.jsonl");
    let args = ["--state", "none", "--quiet", "--events", file.to_str().expect("text")];
    let (played, ended) = run_job(&site, &args, 1000.0, Signal::TERM);
    assert_eq!(ended.stdout, "", "--quiet writes no line");
    let events = json_lines(&file);
    let kind = |kind: &str| events.iter().filter(|e| e["kind"] == kind).count();
    let left = events.iter().filter(|e| e["kind"] == "leaves" && e["zone"].is_string());
    let of_participants = left.filter(|e| !e["person"].as_str().is_some_and(|p| p == "p0" || p.ends_with('0')));
    assert_eq!(of_participants.count(), played.expected.len());
    assert_eq!(kind("appears"), PEOPLE as usize, "each of them once");
    assert!(kind("enters") > 0 && kind("enters") <= kind("leaves"), "they begin inside: {}", kind("enters"));
    assert_eq!(events.len().to_string(), ended.word_after(" inputs, "), "all that the account counts");
    let times: Vec<f64> = events.iter().map(|e| e["t_s"].as_f64().expect("a time")).collect();
    assert!(times.is_sorted(), "in the log's order");
}

/// One person who steps out of room 1 and back, by hand.
struct Walker {
    socket: UdpSocket,
    seq: u64,
}

impl Walker {
    fn at(&mut self, x_m: f64) -> u64 {
        self.seq += 1;
        let fix = format!("{{\"id\":\"p1\",\"x\":{x_m},\"y\":3.0,\"seq\":{}}}", self.seq);
        self.socket.send(fix.as_bytes()).expect("loopback takes it");
        self.seq
    }

    /// Inside, then out; gives the number of the fix that shows it.
    fn steps_out(&mut self) -> u64 {
        self.at(14.0);
        self.at(19.0)
    }
}

#[test]
fn what_a_device_reports_is_what_rules_see() {
    let site = TempSite::example("peer-job");
    // Room 1's recorder reports, and is paused only where it is known to record; room 2's answers everybody who leaves 1.
    let connect = format!("connect = {{ udp = \"{}\", format = \"json\"", site.address(COMMANDS_OUT));
    let recorder = "id = \"r1.recorder\"\nkind = \"recorder\"\nzone = \"r1\"\n";
    let reports = UdpSocket::bind("127.0.0.1:0").expect("a socket").local_addr().expect("bound");
    site.edit(
        "devices.toml",
        &format!("{recorder}{connect}"),
        &format!("{recorder}{connect}, state_udp = \"{reports}\""),
    );
    let rules = "edition 1
rule pause-where-it-records {
  when any p in members(participants) leaves r1
  if   r1.recorder is recording
  do   r1.recorder.pause()
  settle 0 ms
  level user
}
rule answer {
  when any p in members(participants) leaves r1
  do   r2.recorder.pause()
  settle 0 ms
  level user
}
";
    site.write("rules/peer-job.rules", rules);
    let devices = site.devices(COMMANDS_OUT);
    let trace = site.file("reports.mcap");
    let engine = Engine::run(site.path(), &["--state", "none", "--record", trace.to_str().expect("text")]);
    let mut walker = Walker { socket: site.sender(EVENTS_IN), seq: 0 };
    let report = |state: &str| {
        let text = format!("{{\"id\":\"r1.recorder\",\"state\":\"{state}\"}}");
        devices.send_to(text.as_bytes(), reports).expect("loopback takes it");
    };
    let mut reported = 0;
    let mut leave = || {
        let seq = walker.steps_out();
        let mut told = vec![];
        devices.set_read_timeout(Some(common::PATIENCE)).expect("a socket's mode");
        // Room 2's answer comes behind room 1's, if there is one: rules act in the order of their file.
        while told.last().is_none_or(|d| d != "r2.recorder") {
            let mut buffer = [0; 2048];
            let n = devices.recv(&mut buffer).expect("an answer to every leave");
            let line: Value = serde_json::from_slice(&buffer[..n]).expect("JSON");
            assert_eq!(line["seq"], seq, "{line}");
            told.push(line["device"].as_str().expect("a device").to_owned());
        }
        told
    };
    // A report travels on another socket than a fix: it is in once a leave shows it.
    let mut becomes = |state: &str, wanted: &[&str]| {
        report(state);
        reported += 1;
        until(&format!("the report `{state}` to be seen"), || (leave() == wanted).then_some(()));
    };
    becomes("recording", &["r1.recorder", "r2.recorder"]);
    becomes("paused", &["r2.recorder"]);
    becomes("recording", &["r1.recorder", "r2.recorder"]);
    engine.stop(Signal::INT).expect(0);
    let info = whole(&trace);
    let in_trace = info.inputs.get("report").copied();
    assert_eq!(in_trace, Some(reported), "{:?}", info.inputs);
}

#[test]
fn a_port_that_is_taken_and_a_recording_that_exists_are_refused_in_words() {
    let site = TempSite::example("peer-job");
    let path = site.path().to_str().expect("text");
    {
        let _holder = UdpSocket::bind(site.address(EVENTS_IN)).expect("free so far");
        let refused = osmose(&["run", path, "--state", "none"]).expect(1);
        assert!(refused.stderr.contains(&site.address(EVENTS_IN)), "{}", refused.stderr);
        assert!(refused.stderr.contains("may hold the port"), "{}", refused.stderr);
    }
    let trace = site.file("there.mcap");
    std::fs::write(&trace, "mine").expect("written");
    let refused = osmose(&["run", path, "--state", "none", "--record", trace.to_str().expect("text")]).expect(1);
    assert!(refused.stderr.contains("there.mcap"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(&trace).expect("still there"), "mine");
}
