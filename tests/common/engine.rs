//! The built binary: run to its end, or started, watched and stopped.

use super::{PATIENCE, until};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The exit status as a number; -1 for a death by a signal.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Fails unless it ended with `code` and nothing panicked.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// The first word behind `before` on either output.
    pub(crate) fn word_after(&self, before: &str) -> &str {
        let find = |text: &'_ str| text.find(before).map(|i| i + before.len());
        let rest =
            find(&self.stdout).map(|i| &self.stdout[i..]).or_else(|| find(&self.stderr).map(|i| &self.stderr[i..]));
        let rest = rest.unwrap_or_else(|| panic!("no {before:?} in:\n{}\n{}", self.stdout, self.stderr));
        rest.split([' ', ',', ';', '\n']).next().unwrap_or_default()
    }
}

/// One output, read as it comes.
struct Output {
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Output {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let into = text.clone();
        let reader = std::thread::spawn(move || {
            let (mut stream, mut line) = (BufReader::new(stream), Vec::new());
            while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                into.lock().expect("no reader panics").push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader }
    }

    fn so_far(&self) -> String {
        self.text.lock().expect("no reader panics").clone()
    }

    /// All of it, once the process is gone.
    fn whole(self) -> String {
        self.reader.join().expect("the reader ends with the stream");
        std::mem::take(&mut self.text.lock().expect("no reader panics"))
    }
}

/// A process of ours; killed when dropped.
pub(crate) struct Engine {
    child: Child,
    outputs: Option<(Output, Output)>,
}

impl Engine {
    fn spawn(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osmose"));
        command.args(args);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stdout = Output::of(child.stdout.take().expect("piped"));
        let stderr = Output::of(child.stderr.take().expect("piped"));
        Self { child, outputs: Some((stdout, stderr)) }
    }

    /// `osmose run SITE ARGS`, once it has bound its sockets.
    pub(crate) fn run(site: &Path, args: &[&str]) -> Self {
        let mut all = vec!["run", site.to_str().expect("a temporary folder's name is text")];
        all.extend(args);
        Self::ready(&all, "ready udp=")
    }

    /// `osmose demo ARGS`, once it has bound its sockets.
    pub(crate) fn demo(args: &[&str]) -> Self {
        let mut all = vec!["demo"];
        all.extend(args);
        Self::ready(&all, "ready udp=")
    }

    /// `osmose replay ARGS`, once its page is served.
    pub(crate) fn replay(args: &[&str]) -> Self {
        let mut all = vec!["replay"];
        all.extend(args);
        Self::ready(&all, "ready web=")
    }

    fn ready(args: &[&str], line: &str) -> Self {
        let mut engine = Self::spawn(args);
        engine.wait_for(line);
        engine
    }

    /// `osmose run SITE ARGS` where no file may grow beyond so many KiB, which a writer is told as an error.
    pub(crate) fn run_with_file_limit(site: &Path, args: &[&str], kib: u32) -> Self {
        let mut command = Command::new("sh");
        // Who ignores the signal gets the error instead; both are passed on to what is run. dash counts in 512 bytes.
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", 2 * kib);
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_osmose"), "run"]).arg(site).args(args);
        let mut engine = Self::of(command);
        engine.wait_for("ready udp=");
        engine
    }

    /// Waits until a line stands on stderr.
    fn wait_for(&mut self, line: &str) {
        until(line, || {
            assert!(self.child.try_wait().expect("its status").is_none(), "it ended:\n{}", self.stderr());
            self.stderr().contains(line).then_some(())
        });
    }

    /// What it said on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.outputs.as_ref().map_or_else(String::new, |(_, e)| e.so_far())
    }

    /// What it said on stdout so far.
    pub(crate) fn stdout(&self) -> String {
        self.outputs.as_ref().map_or_else(String::new, |(o, _)| o.so_far())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it still runs");
    }

    /// Stops the process (SIGSTOP) while `meanwhile` runs: to it, no time passes and nothing is lost.
    pub(crate) fn frozen(&self, meanwhile: impl FnOnce()) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.child.id());
        until("the process to stop", || {
            let stat = std::fs::read_to_string(&stat).expect("a process of ours");
            let (_, state) = stat.rsplit_once(") ").expect("pid (name) state ...");
            state.starts_with('T').then_some(())
        });
        meanwhile();
        self.signal(Signal::CONT);
    }

    /// How long processors have worked for it so far; in ticks of the kernel, of which there are a hundred a second.
    #[allow(dead_code, reason = "not every test that runs an engine asks")]
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("a process of ours");
        let (_, fields) = stat.rsplit_once(") ").expect("pid (name) state ...");
        let ticks = fields.split(' ').skip(11).take(2).map(|n| n.parse::<u64>().expect("utime, stime"));
        Duration::from_millis(10 * ticks.sum::<u64>())
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn stop(self, signal: Signal) -> Ended {
        self.signal(signal);
        self.wait()
    }

    /// Waits for its end.
    fn wait(mut self) -> Ended {
        let status = until("the process to end", || self.child.try_wait().expect("its status"));
        let (stdout, stderr) = self.outputs.take().expect("taken once");
        Ended { status, stdout: stdout.whole(), stderr: stderr.whole() }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It has ended already where a test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `osmose ARGS` to its end, within [`PATIENCE`].
pub(crate) fn osmose(args: &[&str]) -> Ended {
    const { assert!(PATIENCE.as_secs() > 0) };
    Engine::spawn(args).wait()
}
