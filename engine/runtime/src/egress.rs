//! From decisions to datagrams: the last stage on the pinned thread. What talks to devices lives in `osmose-drivers`;
//! this adds only the dry run.

use osmose_drivers::RuleNames;
use osmose_drivers::udp::{UdpCounts, UdpOut};
use osmose_model::command::Command;
use osmose_model::site::Site;
use std::sync::Arc;

/// Sends commands to their devices, or, in a dry run, to nobody.
pub struct Egress {
    site: Arc<Site>,
    out: Option<UdpOut>,
}

impl Egress {
    /// Sends over UDP; a dry run opens no socket.
    ///
    /// # Errors
    /// What the system says where no socket can be made.
    pub fn new(site: Arc<Site>, dry_run: bool) -> std::io::Result<Self> {
        let out = if dry_run { None } else { Some(UdpOut::new(&site)?) };
        Ok(Self { site, out })
    }

    /// Hands one command to its device's transport. What the transport does not take is counted ([`Egress::counts`]).
    pub fn send(&mut self, command: &Command, rules: &RuleNames<'_>) {
        // A device that only logs is no failure: the log is written beside the pinned thread.
        if let Some(out) = self.out.as_mut().filter(|out| out.reaches(command.device)) {
            // A failure is counted by the driver and shown in the engine's account; the next command may go through.
            let _ = out.send(&self.site, rules, command);
        }
    }

    /// What became of the commands so far; `None` in a dry run.
    #[must_use]
    pub fn counts(&self) -> Option<UdpCounts> {
        self.out.as_ref().map(UdpOut::counts)
    }
}
