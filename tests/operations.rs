//! What a running engine tells of itself: its account, its metrics, and systemd's watchdog.

mod common;

use common::engine::Engine;
use common::job::play;
use common::site::TempSite;
use common::until;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The example's ports: events in, commands out.
const EVENTS_IN: u16 = 7801;
const COMMANDS_OUT: u16 = 7802;

/// The address behind `metrics=http://` of the line `ready`.
fn endpoint(engine: &Engine) -> String {
    let said = engine.stderr();
    let from =
        said.find("metrics=http://").unwrap_or_else(|| panic!("no endpoint in {said}")) + "metrics=http://".len();
    said[from..].split('/').next().unwrap_or_default().to_owned()
}

fn ask(to: &str) -> String {
    let mut stream = TcpStream::connect(to).expect("it listens");
    stream.set_read_timeout(Some(common::PATIENCE)).expect("a timeout");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The value of a metric's line.
fn value(metrics: &str, line: &str) -> Option<f64> {
    metrics.lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok())
}

#[test]
fn metrics_are_told_and_a_stalled_reader_of_them_hurts_nobody() {
    let site = TempSite::example("peer-job");
    let devices = site.devices(COMMANDS_OUT);
    let account = site.file("account.json");
    let path = account.to_str().expect("text");
    let engine = Engine::run(site.path(), &["--state", "none", "--metrics", "127.0.0.1:0", "--account", path]);
    let to = endpoint(&engine);
    // Two who ask and never read, one who asks half a question: they are there all the time.
    let stalled: Vec<TcpStream> = (0..3)
        .map(|i| {
            let mut stream = TcpStream::connect(&to).expect("it listens");
            let question: &[u8] = if i < 2 { b"GET /metrics HTTP/1.1\r\n\r\n" } else { b"GET /met" };
            stream.write_all(question).expect("written");
            stream
        })
        .collect();
    let mut played = play(&site.sender(EVENTS_IN), 2000.0, 3000, |played| {
        played.drain(&devices);
        played.expected.len().saturating_sub(played.came.len())
    });
    // The sums come in four times a second.
    let metrics = until("the metrics of every event", || {
        let metrics = ask(&to);
        (value(&metrics, "osmose_inputs_total{kind=\"state\"}")? >= 3000.0).then_some(metrics)
    });
    let rule = "osmose_rule_reactions_total{rule=\"pause-recording\"}";
    assert_eq!(value(&metrics, rule), Some(played.expected.len() as f64), "{metrics}");
    assert!(value(&metrics, "osmose_thread_turns_total{thread=\"step\"}").is_some_and(|n| n > 0.0), "{metrics}");
    // The sockets' own counts come with the same sums.
    assert_eq!(value(&metrics, "osmose_datagrams_total"), Some(3000.0), "{metrics}");
    assert_eq!(value(&metrics, "osmose_observations_taken_total{class=\"state\"}"), Some(3000.0), "{metrics}");
    assert_eq!(value(&metrics, "osmose_observations_shed_total{why=\"replaced\"}"), Some(0.0), "{metrics}");
    assert!(metrics.contains("osmose_datagrams_dropped_by_kernel_total{port="), "{metrics}");
    assert!(metrics.contains("osmose_latency_seconds_bucket{") && metrics.contains("# EOF"), "{metrics}");
    let of_rule = "osmose_rule_latency_seconds_count{rule=\"pause-recording\"}";
    assert_eq!(value(&metrics, of_rule), Some(played.expected.len() as f64), "{metrics}");
    drop(stalled);
    engine.stop(Signal::TERM).expect(0);
    played.drain(&devices);
    played.assert_each_once();
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(&account).expect("written")).expect("JSON");
    assert_eq!(told["observations"], 3000, "{told}");
    assert_eq!(told["sent"], played.expected.len(), "{told}");
    assert_eq!(told["dropped"].as_array().map(Vec::len), Some(0), "{told}");
    // By class, by segment, by rule; the worst with their numbers; each thread's stalls.
    let spans = told["latency"].as_array().expect("a list");
    for what in ["kernel to handed over, state", "step", "kernel to read"] {
        assert!(spans.iter().any(|s| s["what"] == what && s["samples"].as_u64() > Some(0)), "{what}: {told}");
    }
    let rule = &told["rules"][0];
    assert_eq!(
        (&rule["rule"], &rule["latency"]["samples"]),
        (&"pause-recording".into(), &played.expected.len().into())
    );
    let worst = told["worst"].as_array().expect("a list");
    assert_eq!(worst.len(), 32, "{told}");
    for late in worst {
        let part = |key: &str| late[key].as_i64().expect("a number");
        let parts = part("wait_ns") + part("queued_ns") + part("step_ns") + part("send_ns");
        assert_eq!(part("whole_ns"), parts, "{late}");
        assert!(
            (1..=told["observations"].as_u64().expect("a number") + 500).contains(&late["seq"].as_u64().expect("seq"))
        );
    }
    assert!(worst.is_sorted_by(|a, b| a["whole_ns"].as_i64() >= b["whole_ns"].as_i64()), "the worst first");
    assert!(told["threads"].as_array().is_some_and(|t| t.iter().any(|t| t["turns"].as_u64() > Some(0))), "{told}");
}

#[test]
fn metrics_are_not_told_to_the_network() {
    let site = TempSite::example("peer-job");
    let refused =
        common::engine::osmose(&["run", site.path().to_str().expect("text"), "--metrics", "0.0.0.0:0"]).expect(2);
    assert!(refused.stderr.contains("not loopback"), "{}", refused.stderr);
}

#[test]
fn systemd_is_told_that_it_is_ready_that_it_lives_and_that_it_ends() {
    let site = TempSite::example("peer-job");
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("notify");
    let systemd = UnixDatagram::bind(&path).expect("a socket");
    systemd.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let mut child = Command::new(env!("CARGO_BIN_EXE_osmose"))
        .args(["run", site.path().to_str().expect("text"), "--state", "none", "--quiet"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "1000000")
        .env_remove("WATCHDOG_PID")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut said = String::new();
    let mut hear = |what: &str, times: usize| {
        until(what, || {
            let mut buffer = [0; 1024];
            if let Ok(n) = systemd.recv(&mut buffer) {
                said += &String::from_utf8_lossy(&buffer[..n]);
            }
            (said.matches(what).count() >= times).then_some(())
        });
    };
    hear("READY=1\n", 1);
    // Nothing comes in, and its threads go round all the same.
    hear("WATCHDOG=1\n", 3);
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    hear("STOPPING=1\n", 1);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn an_idle_engine_hardly_uses_its_core() {
    let site = TempSite::example("peer-job");
    let engine = Engine::run(site.path(), &["--quiet", "--metrics", "127.0.0.1:0"]);
    // What it does at its start is not idling.
    std::thread::sleep(Duration::from_millis(500));
    let (before, begun) = (engine.cpu(), std::time::Instant::now());
    std::thread::sleep(Duration::from_secs(4));
    let (used, passed) = (engine.cpu() - before, begun.elapsed());
    let share = used.as_secs_f64() / passed.as_secs_f64();
    println!("idle, its state kept and its metrics told: {:.1} % of a core", 100.0 * share);
    assert!(share < 0.02, "{:.1} % of a core", 100.0 * share);
    engine.stop(Signal::INT).expect(0);
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    let unit = include_str!("../dist/osmose.service");
    assert!(unit.contains("WatchdogSec=") && unit.contains("Restart=always") && unit.contains("Type=notify"));
    // The program and its manual need not be installed where this runs.
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("osmose.service");
    let lines = unit.lines().filter(|l| !l.starts_with("Documentation="));
    let text: Vec<String> = lines.map(|l| l.replace("/usr/bin/osmose", "/bin/true")).collect();
    std::fs::write(&path, text.join("\n")).expect("written");
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").arg(&path).output() else {
        println!("skip: there is no systemd-analyze here");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    let own: Vec<&str> = said.lines().filter(|l| l.contains("osmose.service")).collect();
    assert!(own.is_empty(), "{said}");
}
