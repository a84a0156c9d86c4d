//! What the system says. Everything is read below a root folder, so that a test can hand in another machine's files.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

/// A state that a core may sleep in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SleepState {
    /// Its name.
    pub(crate) name: String,
    /// How long waking from it takes, microseconds.
    pub(crate) wake_us: u64,
}

/// What the system says; `None` where it does not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// Cores that are online.
    pub(crate) cores_online: usize,
    /// Cores that this process may use.
    pub(crate) cores_allowed: Vec<usize>,
    /// Whether a hypervisor is below.
    pub(crate) virtual_machine: bool,
    /// Ticks of 10 ms that a hypervisor has taken, and all ticks, since the machine started.
    pub(crate) stolen_of: Option<(u64, u64)>,
    /// Frequency governors, each once.
    pub(crate) governors: Vec<String>,
    /// Cores kept free of other work.
    pub(crate) isolated: String,
    /// Sleep states that are in use.
    pub(crate) sleep_states: Vec<SleepState>,
    /// The clock source.
    pub(crate) clock: Option<String>,
    /// How late the kernel may let a timer of ours run, nanoseconds.
    pub(crate) timer_slack_ns: Option<u64>,
    /// `net.core.rmem_max`.
    pub(crate) receive_max: Option<u64>,
    /// `net.core.wmem_max`.
    pub(crate) send_max: Option<u64>,
    /// `vm.swappiness`.
    pub(crate) swappiness: Option<u64>,
    /// Swap in use, KiB.
    pub(crate) swap_used_kib: Option<u64>,
    /// Effective capabilities, as bits.
    pub(crate) capabilities: Option<u64>,
    /// Ports of the site that cannot be bound now, and why.
    pub(crate) ports_taken: Vec<(SocketAddr, String)>,
    /// Folders that must be written to and cannot be, and why.
    pub(crate) unwritable: Vec<(PathBuf, String)>,
    /// The file system of the state's folder, where it is one that stalls.
    pub(crate) slow_state: Option<(PathBuf, String)>,
}

/// CAP_SYS_NICE and CAP_IPC_LOCK, by number.
pub(crate) const CAP_SYS_NICE: u64 = 1 << 23;
/// See [`CAP_SYS_NICE`].
pub(crate) const CAP_IPC_LOCK: u64 = 1 << 14;
/// File systems that wait for a network or for another program.
const SLOW: &[&str] = &["nfs", "nfs4", "cifs", "smb3", "fuse", "sshfs", "9p", "ceph", "glusterfs", "overlay"];

/// Reads below a root.
struct Reader<'a>(&'a Path);

impl Reader<'_> {
    fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.0.join(path.trim_start_matches('/'))).ok()
    }

    fn line(&self, path: &str) -> Option<String> {
        self.text(path)?.lines().next().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty())
    }

    fn number(&self, path: &str) -> Option<u64> {
        self.line(path)?.split_whitespace().next()?.parse().ok()
    }

    fn entries(&self, path: &str) -> Vec<PathBuf> {
        let dir = std::fs::read_dir(self.0.join(path.trim_start_matches('/')));
        let mut found: Vec<PathBuf> = dir.into_iter().flatten().flatten().map(|e| e.path()).collect();
        found.sort();
        found
    }

    fn governors(&self) -> Vec<String> {
        let of = |cpu: PathBuf| std::fs::read_to_string(cpu.join("cpufreq/scaling_governor")).ok();
        let mut all: Vec<String> = self.entries("sys/devices/system/cpu").into_iter().filter_map(of).collect();
        all.iter_mut().for_each(|g| *g = g.trim().to_owned());
        all.sort();
        all.dedup();
        all
    }

    fn sleep_states(&self) -> Vec<SleepState> {
        let of = |state: PathBuf| {
            let read = |name: &str| std::fs::read_to_string(state.join(name)).ok().map(|t| t.trim().to_owned());
            let disabled = read("disable").is_some_and(|d| d != "0");
            let wake_us = read("latency")?.parse().ok()?;
            (!disabled).then_some(SleepState { name: read("name")?, wake_us })
        };
        self.entries("sys/devices/system/cpu/cpu0/cpuidle").into_iter().filter_map(of).collect()
    }

    /// What a hypervisor took, and all of it, from the sums of /proc/stat.
    fn stolen(&self) -> Option<(u64, u64)> {
        let text = self.text("proc/stat")?;
        let ticks: Vec<u64> = text.lines().next()?.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
        Some((*ticks.get(7)?, ticks.iter().take(8).sum()))
    }

    fn status(&self, key: &str) -> Option<String> {
        let text = self.text("proc/self/status")?;
        text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':').map(|v| v.trim().to_owned()))
    }

    fn swap_used_kib(&self) -> Option<u64> {
        let text = self.text("proc/meminfo")?;
        let of = |key: &str| -> Option<u64> {
            text.lines().find_map(|l| l.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
        };
        Some(of("SwapTotal:")?.saturating_sub(of("SwapFree:")?))
    }

    /// The type of the file system that a folder lies on: the longest mount point above it.
    fn file_system(&self, of: &Path) -> Option<String> {
        let text = self.text("proc/self/mounts")?;
        let mounts = text.lines().filter_map(|l| {
            let mut words = l.split(' ');
            let (point, sort) = (words.nth(1)?, words.next()?);
            of.starts_with(point).then(|| (point.len(), sort.to_owned()))
        });
        mounts.max_by_key(|(len, _)| *len).map(|(_, sort)| sort)
    }
}

impl Facts {
    /// What the system below `root` says (`/`, but in tests); `ports` and `folders` are the site's.
    pub(crate) fn read(root: &Path, ports: &[SocketAddr], folders: &[PathBuf]) -> Self {
        let r = Reader(root);
        let allowed = core_affinity::get_core_ids().unwrap_or_default();
        let info = r.text("proc/cpuinfo").unwrap_or_default();
        let flags = info.lines().find(|l| l.starts_with("flags")).unwrap_or_default();
        Self {
            cores_online: info.lines().filter(|l| l.starts_with("processor")).count().max(1),
            cores_allowed: allowed.iter().map(|c| c.id).collect(),
            virtual_machine: flags.split(' ').any(|f| f == "hypervisor"),
            stolen_of: r.stolen(),
            governors: r.governors(),
            isolated: r.line("sys/devices/system/cpu/isolated").unwrap_or_default(),
            sleep_states: r.sleep_states(),
            clock: r.line("sys/devices/system/clocksource/clocksource0/current_clocksource"),
            timer_slack_ns: r.number("proc/self/timerslack_ns"),
            receive_max: r.number("proc/sys/net/core/rmem_max"),
            send_max: r.number("proc/sys/net/core/wmem_max"),
            swappiness: r.number("proc/sys/vm/swappiness"),
            swap_used_kib: r.swap_used_kib(),
            capabilities: r.status("CapEff").and_then(|c| u64::from_str_radix(&c, 16).ok()),
            ports_taken: ports.iter().filter_map(|&p| UdpSocket::bind(p).err().map(|e| (p, e.to_string()))).collect(),
            unwritable: folders.iter().filter_map(|f| unwritable(f)).collect(),
            slow_state: folders.first().and_then(|f| {
                let absolute = std::path::absolute(f).ok()?;
                let sort = r.file_system(&absolute)?;
                SLOW.iter().any(|s| sort.starts_with(s)).then_some((f.clone(), sort))
            }),
        }
    }
}

/// Why a folder, or the one that it would be made in, cannot be written to.
fn unwritable(folder: &Path) -> Option<(PathBuf, String)> {
    let there = folder.ancestors().find(|f| f.is_dir()).unwrap_or(Path::new("."));
    let probe = there.join(format!(".osmose-doctor-{}", std::process::id()));
    match std::fs::write(&probe, b"") {
        Ok(()) => {
            // It is ours, and empty: where it cannot be taken away again nothing is lost.
            let _ = std::fs::remove_file(&probe);
            None
        }
        Err(e) => Some((folder.to_owned(), e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, text).expect("written");
        }
        root
    }

    #[test]
    fn what_a_machine_says_is_read() {
        let cpu = "sys/devices/system/cpu";
        let root = machine(&[
            ("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu hypervisor\nprocessor\t: 1\n"),
            ("proc/stat", "cpu  100 0 50 800 10 0 0 40 0 0\n"),
            ("proc/self/status", "Name:\tx\nCapEff:\t0000000000800000\n"),
            ("proc/self/timerslack_ns", "50000\n"),
            ("proc/meminfo", "SwapTotal:  1000 kB\nSwapFree:  400 kB\n"),
            ("proc/sys/net/core/rmem_max", "212992\n"),
            (&format!("{cpu}/cpu0/cpufreq/scaling_governor"), "powersave\n"),
            (&format!("{cpu}/cpu1/cpufreq/scaling_governor"), "powersave\n"),
            (&format!("{cpu}/cpu0/cpuidle/state0/name"), "POLL\n"),
            (&format!("{cpu}/cpu0/cpuidle/state0/latency"), "0\n"),
            (&format!("{cpu}/cpu0/cpuidle/state1/name"), "C6\n"),
            (&format!("{cpu}/cpu0/cpuidle/state1/latency"), "133\n"),
            (&format!("{cpu}/cpu0/cpuidle/state2/name"), "C8\n"),
            (&format!("{cpu}/cpu0/cpuidle/state2/latency"), "500\n"),
            (&format!("{cpu}/cpu0/cpuidle/state2/disable"), "1\n"),
        ]);
        let facts = Facts::read(root.path(), &[], &[]);
        assert_eq!((facts.cores_online, facts.virtual_machine, facts.stolen_of), (2, true, Some((40, 1000))));
        assert_eq!(facts.governors, ["powersave"]);
        let names: Vec<_> = facts.sleep_states.iter().map(|s| (s.name.as_str(), s.wake_us)).collect();
        assert_eq!(names, [("POLL", 0), ("C6", 133)], "what is switched off does not count");
        assert_eq!(
            (facts.timer_slack_ns, facts.receive_max, facts.swap_used_kib),
            (Some(50_000), Some(212_992), Some(600))
        );
        assert_eq!(facts.capabilities, Some(CAP_SYS_NICE));
        assert_eq!(facts.send_max, None, "what is not there is not made up");
    }

    #[test]
    fn a_taken_port_and_a_folder_that_is_none_are_found() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let taken = socket.local_addr().expect("bound");
        let dir = tempfile::tempdir().expect("a folder");
        let folders = [dir.path().join("new/deep")];
        let facts = Facts::read(Path::new("/"), &[taken], &folders);
        assert_eq!(facts.ports_taken.len(), 1);
        assert!(facts.unwritable.is_empty(), "it can be made");
        assert!(std::fs::read_dir(dir.path()).expect("a folder").next().is_none(), "nothing is left behind");
    }
}
