//! From decisions to datagrams: the last stage on the pinned thread.

use osmose_drivers::{UdpOut, encode_json};
use osmose_model::command::Command;
use osmose_model::ids::RuleId;
use osmose_model::site::Site;
use std::sync::Arc;

/// What was sent and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EgressStats {
    /// Commands handed to the transport.
    pub sent: u64,
    /// Commands that the transport did not take (its buffer was full, nobody is there).
    pub failed: u64,
    /// Commands of devices that only log, and of a dry run.
    pub logged: u64,
}

/// Sends commands to their devices.
pub struct Egress {
    site: Arc<Site>,
    out: Option<UdpOut>,
    line: Vec<u8>,
    stats: EgressStats,
}

impl Egress {
    /// Sends over UDP; a dry run sends nothing and counts everything as logged.
    ///
    /// # Errors
    /// What the system says where no socket can be made.
    pub fn new(site: Arc<Site>, dry_run: bool) -> std::io::Result<Self> {
        let out = if dry_run { None } else { Some(UdpOut::new()?) };
        Ok(Self { site, out, line: Vec::with_capacity(4096), stats: EgressStats::default() })
    }

    /// Hands one command to its device's transport.
    pub fn send(&mut self, command: &Command, rule_name: &dyn Fn(RuleId) -> &str) {
        let Self { site, out, line, stats } = self;
        let addr = site.actuators[command.device.index()].connect.udp;
        let (Some(out), Some(addr)) = (out.as_mut(), addr) else {
            stats.logged += 1;
            return;
        };
        line.clear();
        encode_json(site, rule_name, command, line);
        match out.send(addr, line) {
            Ok(()) => stats.sent += 1,
            Err(_) => stats.failed += 1,
        }
    }

    /// What was sent.
    #[must_use]
    pub fn stats(&self) -> EgressStats {
        self.stats
    }
}
