//! The other process: the engine or the floor, started on its own cores, stopped, and asked what it did.

use crate::account::Account;
use crate::floor::{Kind, Served};
use crate::host::kernel_drops;
use crate::sites::Plan;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a process may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// No engine: receive, decide, send.
    Floor(Kind),
    /// `osmose run`.
    Engine,
}

impl Who {
    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Floor(Kind::Peers) => "the peers' floor",
            Self::Floor(Kind::Buffered) => "floor",
            Self::Floor(Kind::Batched) => "batched floor",
            Self::Engine => "engine",
        }
    }
}

/// Why a process could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It did not start.
    #[error("cannot start {0}: {1}")]
    Start(String, std::io::Error),
    /// It ended, or was not ready in time; what it said.
    #[error("the {0} was not ready: {1}")]
    NotReady(&'static str, String),
    /// It gave no account.
    #[error("the {0} gave no account of what it did: {1}")]
    NoAccount(&'static str, String),
    /// A folder or file of ours cannot be written.
    #[error("cannot write the site to measure with: {0}")]
    Site(#[from] std::io::Error),
}

/// Latencies as the engine itself measured them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// From where to where.
    pub what: String,
    /// How many.
    pub samples: u64,
    /// Percentiles with 100 samples beyond them; `null` where there are fewer.
    pub p50_ns: Option<u64>,
    /// See `p50_ns`.
    pub p99_ns: Option<u64>,
    /// See `p50_ns`.
    pub p999_ns: Option<u64>,
    /// The largest.
    pub max_ns: u64,
    /// Samples beyond the histogram's bound.
    pub clipped: u64,
}

/// A named count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// What.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// One rule's reactions, from the kernel's stamp (or the due instant) to the transport.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OfRule {
    /// Which; `what` of its latencies too.
    pub rule: String,
    /// How long they took.
    pub latency: Measured,
    /// How many were beyond its deadline (the budget where it declares none).
    pub missed: u64,
}

/// One of the inputs that took longest, and where its time went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorstInput {
    /// Its number in the log.
    pub seq: u64,
    /// What it was.
    pub kind: String,
    /// The rule whose command went out last, where one did.
    pub rule: Option<String>,
    /// From the kernel's stamp until it was done with.
    pub whole_ns: i64,
    /// Until it was read.
    pub wait_ns: i64,
    /// From there until its step began.
    pub queued_ns: i64,
    /// Its step.
    pub step_ns: i64,
    /// From there until what it decided was handed over.
    pub send_ns: i64,
}

/// How one thread of the pipeline went round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfThread {
    /// Which.
    pub thread: String,
    /// How often.
    pub turns: u64,
    /// Turns that took longer than an event may.
    pub stalls: u64,
    /// The longest turn.
    pub longest_ns: i64,
}

/// What an engine writes of itself at its end (`osmose run --account`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineAccount {
    /// How it was composed.
    pub topology: String,
    /// Observations that the core stepped.
    pub observations: u64,
    /// Observations that came and were not stepped, by reason.
    pub dropped: Vec<Counted>,
    /// Observations that were stepped and that fusion refused or used with a remark, by reason.
    pub refused_by_fusion: Vec<Counted>,
    /// Commands that the core decided.
    pub commands: u64,
    /// Commands handed to the transport.
    pub sent: u64,
    /// Commands that were not, by reason.
    pub unsent: Vec<Counted>,
    /// What it measured of itself.
    pub latency: Vec<Measured>,
    /// Inputs that took longer than its budget.
    pub missed: u64,
    /// Its budget, microseconds.
    pub budget_us: u64,
    /// The rules that reacted, in their order.
    #[serde(default)]
    pub rules: Vec<OfRule>,
    /// The inputs that took longest, the longest first.
    #[serde(default)]
    pub worst: Vec<WorstInput>,
    /// The pipeline's threads.
    #[serde(default)]
    pub threads: Vec<OfThread>,
}

/// What a process did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Events that it took in.
    pub received: u64,
    /// Events that it, or the kernel at its socket, counted as dropped.
    pub dropped: Vec<Counted>,
    /// Commands that it handed to the kernel.
    pub sent: u64,
    /// What it measured of itself.
    pub latency: Vec<Measured>,
    /// How it was composed.
    pub topology: String,
}

/// A running process of ours.
#[derive(Debug)]
pub struct Peer {
    who: Who,
    child: Child,
    plan: Plan,
    said: mpsc::Receiver<String>,
    dir: tempfile::TempDir,
}

/// Where to run it.
#[derive(Clone, Debug)]
pub struct Place {
    /// This program.
    pub binary: PathBuf,
    /// The cores that it may use.
    pub cores: Vec<usize>,
}

impl Peer {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// [`PeerError`].
    pub fn start(who: Who, plan: &Plan, place: &Place) -> Result<Self, PeerError> {
        let dir = tempfile::tempdir()?;
        let mut command = Command::new(&place.binary);
        match who {
            Who::Floor(kind) => {
                command.args(["bench", "floor", "--events", &plan.events.to_string()]);
                command.args(["--commands", &plan.commands.to_string(), "--kind", kind.as_str()]);
                if plan.idle == "spin" {
                    command.arg("--spin");
                }
            }
            Who::Engine => {
                let site = dir.path().join("site");
                crate::sites::write(&plan.files(), &site)?;
                command.arg("run").arg(&site).args(["--state", "none", "--record", "none", "--web", "none", "--quiet"]);
                command.arg("--account").arg(account_file(dir.path()));
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            spawn_on(command, &place.cores).map_err(|e| PeerError::Start(place.binary.display().to_string(), e))?;
        let (lines, said) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    if lines.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let mut peer = Self { who, child, plan: plan.clone(), said, dir };
        peer.wait_ready()?;
        Ok(peer)
    }

    fn wait_ready(&mut self) -> Result<(), PeerError> {
        let mut heard = Vec::new();
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(line) if line.starts_with("ready udp=") => return Ok(()),
                Ok(line) => heard.push(line),
                Err(_) => return Err(PeerError::NotReady(self.who.as_str(), heard.join("\n"))),
            }
        }
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it and takes its account.
    ///
    /// # Errors
    /// [`PeerError::NoAccount`].
    pub fn stop(mut self) -> Result<Tally, PeerError> {
        let drops_at = |port| kernel_drops(port).unwrap_or(0);
        let drops = drops_at(self.plan.events.port()) + self.plan.flooded.map_or(0, |(to, _)| drops_at(to.port()));
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let mut text = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            let _ = stdout.read_to_string(&mut text);
        }
        let ended = self.child.wait();
        let said: Vec<String> = self.said.try_iter().collect();
        let missing = |why: String| PeerError::NoAccount(self.who.as_str(), format!("{why}\n{}", said.join("\n")));
        if !ended.as_ref().is_ok_and(std::process::ExitStatus::success) {
            return Err(missing(format!("it ended with {ended:?}")));
        }
        let mut tally = match self.who {
            Who::Floor(_) => {
                let served: Served = serde_json::from_str(&text).map_err(|e| missing(e.to_string()))?;
                Tally {
                    received: served.received,
                    sent: served.sent,
                    topology: "one thread".into(),
                    ..Tally::default()
                }
            }
            Who::Engine => {
                let text =
                    std::fs::read_to_string(account_file(self.dir.path())).map_err(|e| missing(e.to_string()))?;
                let account: EngineAccount = serde_json::from_str(&text).map_err(|e| missing(e.to_string()))?;
                Tally {
                    received: account.observations,
                    dropped: account.dropped,
                    sent: account.sent,
                    latency: account.latency,
                    topology: account.topology,
                }
            }
        };
        if drops > 0 {
            tally.dropped.push(Counted { name: "dropped by the kernel at its socket".into(), count: drops });
        }
        Ok(tally)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn account_file(dir: &Path) -> PathBuf {
    dir.join("account.json")
}

/// Starts a process whose threads may use these cores only: it inherits the mask of the thread that starts it.
fn spawn_on(mut command: Command, cores: &[usize]) -> std::io::Result<Child> {
    let mut set = rustix::thread::CpuSet::new();
    cores.iter().for_each(|&c| set.set(c));
    let starter = std::thread::spawn(move || {
        if set.count() > 0 {
            rustix::thread::sched_setaffinity(None, &set)?;
        }
        command.spawn()
    });
    starter.join().unwrap_or_else(|_| Err(std::io::Error::other("the thread that starts processes failed")))
}

impl Tally {
    /// The account of events: what the client sent against what the other side took in.
    #[must_use]
    pub fn events(&self, who: Who, sent: u64) -> Account {
        let account = Account::new(&format!("events to the {}", who.as_str()), sent, self.received);
        self.dropped.iter().fold(account, |a, d| a.with_drops(&d.name, d.count))
    }

    /// The account of commands: what the other side sent against what came, drops at the client's own socket counted.
    #[must_use]
    pub fn commands(&self, who: Who, received: u64, client_drops: u64) -> Account {
        Account::new(&format!("commands of the {}", who.as_str()), self.sent, received).with_kernel_drops(
            "dropped by the kernel at the client's socket",
            client_drops,
            1,
        )
    }
}
