//! The machine that figures belong to: without it beside them they are no figures.

use serde::{Deserialize, Serialize};
use std::path::Path;

/// What of a machine decides how late things are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The processor's name.
    pub cpu: String,
    /// Cores that are online.
    pub cores_online: usize,
    /// Cores that this process may use.
    pub cores_allowed: Vec<usize>,
    /// Kernel release.
    pub kernel: String,
    /// Whether it is a guest of a hypervisor: then others take time from it that it cannot see coming.
    pub virtual_machine: bool,
    /// The frequency governor of the first core; `None` where there is none (a guest mostly has none).
    pub governor: Option<String>,
    /// Cores kept free of other work (`isolcpus`).
    pub isolated: String,
    /// The clock source.
    pub clock: String,
    /// Processes that were running or waiting when it was read, over the last minute.
    pub load: String,
}

fn first_line(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().next().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty())
}

impl Host {
    /// What the system says now. Call it before anything is pinned.
    #[must_use]
    pub fn read() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = info.lines().find_map(|l| l.strip_prefix("model name").and_then(|l| l.split(':').nth(1)));
        let allowed = core_affinity::get_core_ids().unwrap_or_default();
        Self {
            cpu: cpu.map_or_else(|| "unknown".to_owned(), |c| c.trim().to_owned()),
            cores_online: std::thread::available_parallelism()
                .map_or(1, usize::from)
                .max(info.matches("processor\t").count()),
            cores_allowed: allowed.iter().map(|c| c.id).collect(),
            kernel: first_line("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
            virtual_machine: info.lines().any(|l| l.starts_with("flags") && l.split(' ').any(|f| f == "hypervisor")),
            governor: first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            isolated: first_line("/sys/devices/system/cpu/isolated").unwrap_or_default(),
            clock: first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource").unwrap_or_default(),
            load: first_line("/proc/loadavg").unwrap_or_default(),
        }
    }

    /// Whether figures of both may be laid beside each other: the same processor, cores and kernel.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.cpu, self.cores_online, &self.kernel) == (&other.cpu, other.cores_online, &other.kernel)
    }

    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        let cores: Vec<String> = self.cores_allowed.iter().map(usize::to_string).collect();
        let governor = self.governor.as_deref().map_or_else(|| "no governor".to_owned(), |g| format!("governor {g}"));
        let isolated = if self.isolated.is_empty() { "no core isolated" } else { "isolated cores" };
        format!(
            "{}, {} core(s) online, this process on {}; Linux {}{}; clock {}; {governor}; {isolated}{}; load {}",
            self.cpu,
            self.cores_online,
            cores.join(","),
            self.kernel,
            if self.virtual_machine { ", a virtual machine" } else { "" },
            self.clock,
            if self.isolated.is_empty() { String::new() } else { format!(" {}", self.isolated) },
            self.load,
        )
    }
}

/// What the kernel dropped for want of room at the UDP sockets bound to a port, in all; `None` where it does not say.
#[must_use]
pub fn kernel_drops(port: u16) -> Option<u64> {
    let mut found = None;
    for table in ["/proc/net/udp", "/proc/net/udp6"] {
        let text = std::fs::read_to_string(Path::new(table)).unwrap_or_default();
        if let Some(drops) = drops_in(&text, port) {
            found = Some(found.unwrap_or(0) + drops);
        }
    }
    found
}

/// The last column of the rows whose local address has this port.
fn drops_in(table: &str, port: u16) -> Option<u64> {
    let mut found = None;
    for line in table.lines().skip(1) {
        let mut words = line.split_whitespace();
        let local = words.nth(1).and_then(|a| a.rsplit(':').next());
        if local.and_then(|p| u16::from_str_radix(p, 16).ok()) == Some(port) {
            let drops: Option<u64> = words.last().and_then(|d| d.parse().ok());
            found = Some(found.unwrap_or(0) + drops.unwrap_or(0));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_read_from_the_kernel_s_own_table() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  351: 0100007F:1E79 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 20731 2 0000000000000000 17
  352: 0100007F:1E7A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 20732 2 0000000000000000 0\n";
        assert_eq!(drops_in(table, 7801), Some(17));
        assert_eq!(drops_in(table, 7802), Some(0));
        assert_eq!(drops_in(table, 7803), None);
    }

    #[test]
    fn a_socket_of_ours_is_in_that_table() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let port = socket.local_addr().expect("bound").port();
        if Path::new("/proc/net/udp").exists() {
            assert_eq!(kernel_drops(port), Some(0));
        }
    }

    #[test]
    fn a_machine_is_like_itself() {
        let host = Host::read();
        assert!(host.cores_online > 0 && host.is_like(&host.clone()));
        assert!(!host.is_like(&Host { kernel: "other".into(), ..host.clone() }));
    }
}
