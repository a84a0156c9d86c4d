//! The integrators' guide holds: its files are written, its commands run in its order in an empty folder, and what it
//! shows of their output is what they print. Ports are rewritten to free ones.

mod common;

use common::root;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long a program may take that is to say something or to end.
const WITHIN: Duration = Duration::from_secs(30);

/// A fenced block: what stands behind the fence, and its lines.
struct Fenced {
    info: String,
    lines: Vec<String>,
}

fn blocks(guide: &str) -> Vec<Fenced> {
    let mut blocks = Vec::new();
    let mut open: Option<Fenced> = None;
    for line in guide.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some(Fenced { info: info.to_owned(), lines: Vec::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    blocks
}

/// A program in the background, and what it says.
struct Running {
    child: Child,
    said: Receiver<String>,
    heard: Vec<String>,
}

impl Running {
    fn start(line: &str, dir: &Path) -> Self {
        let mut child = shell(&format!("exec {line}"), dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bash runs");
        let (tx, said) = channel();
        let readers: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        for reader in readers {
            let tx = tx.clone();
            std::thread::spawn(move || {
                BufReader::new(reader).lines().map_while(Result::ok).for_each(|l| _ = tx.send(l));
            });
        }
        Self { child, said, heard: Vec::new() }
    }

    /// Waits until it says what the guide shows of it.
    fn wait_for(&mut self, shown: &str) {
        let until = Instant::now() + WITHIN;
        while !self.heard.iter().any(|l| matches(l, shown)) {
            match self.said.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.heard.push(line),
                Err(_) => panic!("{shown:?} was not said, but:\n{}", self.heard.join("\n")),
            }
        }
    }

    /// Ends it as Ctrl-C does; gives back all that it said.
    fn stop(mut self) -> String {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
        self.heard.extend(self.said.iter());
        self.heard.join("\n")
    }
}

fn shell(line: &str, dir: &Path) -> Command {
    let bin = PathBuf::from(env!("CARGO_BIN_EXE_osmose"));
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command.args(["-c", line]).current_dir(dir);
    command.env("PATH", format!("{}:{path}", bin.parent().expect("a folder").display()));
    command
}

/// Whether a line holds what is shown; `…` stands for anything.
fn matches(line: &str, shown: &str) -> bool {
    let mut rest = line;
    shown.split('…').map(str::trim).all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// The ports of the guide and free ones in their place. (The page's is one of TCP; that it is free there too is likely.)
fn ports() -> BTreeMap<String, String> {
    let free = |_| UdpSocket::bind("127.0.0.1:0").expect("loopback");
    // All are held until all are found, so that no two are one.
    let sockets: Vec<UdpSocket> = (0..4).map(free).collect();
    let port = |s: &UdpSocket| s.local_addr().expect("bound").port().to_string();
    ["7800", "7801", "7802", "7803"].iter().zip(&sockets).map(|(p, s)| ((*p).to_owned(), port(s))).collect()
}

#[test]
fn every_command_of_the_guide_does_what_the_guide_says() {
    let guide = std::fs::read_to_string(root().join("docs/integrators.md")).expect("the guide");
    let dir = tempfile::tempdir().expect("a folder");
    let ports = ports();
    let ported = |text: &str| ports.iter().fold(text.to_owned(), |t, (from, to)| t.replace(from, to));
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    let (mut commands, mut shown) = (0, 0);
    for block in blocks(&guide) {
        if let Some((_, file)) = block.info.split_once(' ') {
            std::fs::write(dir.path().join(file), block.lines.join("\n") + "\n").expect("written");
            continue;
        }
        assert_eq!(block.info, "console");
        let mut lines = block.lines.iter().peekable();
        while let Some(line) = lines.next() {
            let line = ported(line.strip_prefix("$ ").unwrap_or_else(|| panic!("{line:?} is no command")));
            let mut expected = Vec::new();
            while let Some(next) = lines.next_if(|l| !l.starts_with("$ ")) {
                expected.push(ported(next));
            }
            commands += 1;
            shown += expected.len();
            if let Some(line) = line.strip_suffix(" &") {
                let mut program = Running::start(line, dir.path());
                expected.iter().for_each(|e| program.wait_for(e));
                running.insert(line.split_whitespace().nth(1).unwrap_or_default().to_owned(), program);
                continue;
            }
            let said = match line.strip_prefix("stop ") {
                Some(name) => {
                    // Time to hear what was said to it: it is heard of by what the guide shows.
                    let mut program = running.remove(name).unwrap_or_else(|| panic!("{name} does not run"));
                    expected.iter().take(1).for_each(|e| program.wait_for(e));
                    std::thread::sleep(Duration::from_millis(500));
                    program.stop()
                }
                None => {
                    let output = shell(&line, dir.path()).output().expect("bash runs");
                    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                    assert!(output.status.success(), "{line}\n{said}");
                    said
                }
            };
            for e in &expected {
                assert!(said.lines().any(|l| matches(l, e)), "{line}\nsays nothing like {e:?}, but:\n{said}");
            }
            if line.starts_with("osmose new") {
                let devices = dir.path().join("my-office/devices.toml");
                let text = std::fs::read_to_string(&devices).expect("written");
                std::fs::write(&devices, ported(&text)).expect("written");
            }
        }
    }
    assert!(running.is_empty());
    println!("{commands} commands of the guide run, {shown} lines of output compared");
    assert!(commands >= 25 && shown >= 25);
}

/// The indented lines behind a heading of the README, without their comments.
fn tour(readme: &str) -> Vec<String> {
    let behind = readme.split("## Two minutes with it").nth(1).expect("the tour");
    let lines = behind.lines().filter_map(|l| l.strip_prefix("    "));
    let commands = lines.take_while(|l| !l.starts_with("rule "));
    commands.map(|l| l.split("  #").next().unwrap_or(l).trim_end().to_owned()).collect()
}

#[test]
fn the_tour_of_the_readme_shows_what_it_promises() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let lines = tour(&readme);
    assert!(lines.len() >= 7, "{lines:?}");
    let dir = tempfile::tempdir().expect("a folder");
    // As somebody types it: a job of their own for what runs behind, and a moment between two lines.
    let mut script = "set -em\n".to_owned();
    for line in &lines {
        match line.strip_suffix('&') {
            Some(run) => {
                script += &format!("{run} 2> run.err &\nuntil grep -q ready run.err; do sleep 0.05; done\n");
            }
            None => script += &format!("{line}\nsleep 0.3\n"),
        }
    }
    let ports = ports();
    let script = ports.iter().fold(script, |t, (from, to)| t.replace(from, to));
    let moved: String = ports.iter().map(|(from, to)| format!(" -e s/{from}/{to}/")).collect();
    let script =
        script.replacen(" && osmose check", &format!(" && sed -i{moved} my-office/devices.toml && osmose check"), 1);
    let output = shell(&script, dir.path()).output().expect("bash runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{script}\n{said}");
    for shown in [
        "meeting.light.set(level: 80)",
        "meeting.recorder.pause(reason: \"ana left\")",
        "verified: the same",
        "rule pause-recording",
    ] {
        assert!(said.contains(shown), "{shown} in\n{said}");
    }
}
