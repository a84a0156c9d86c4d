//! From decisions to datagrams: the last stage. What talks to devices lives in `osmose-drivers`; this adds the dry run,
//! and the way to a thread of its own.
//!
//! A command becomes its line on the thread that decided it (the rules' names live there); where sending has a thread
//! of its own, lines wait for it in one byte ring. A ring that is full loses no command in silence: it is counted with
//! those that the kernel would not take.

use crate::clock::HostClock;
use crate::lane::{put, take};
use crate::latency::{histogram, record};
use hdrhistogram::Histogram;
use osmose_drivers::udp::{UdpCounts, UdpOut};
use osmose_drivers::{RuleNames, lines};
use osmose_model::command::Command;
use osmose_model::ids::ActuatorId;
use osmose_model::site::{Idle, Site};
use osmose_model::time::ArrivalNs;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of lines that wait for the sending thread.
const RING_BYTES: usize = 4 * 1024 * 1024;
/// Room for the largest command line, so that no command makes the buffer grow.
const LINE_BYTES: usize = 4096;
/// The sending thread looks up from its sleep at least this often.
const PARK_MAX: Duration = Duration::from_millis(50);
/// Device, time of reading, length.
const HEAD: usize = 2 + 8 + 4;

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

    /// Parts it into the end that decides and the end that sends, for two threads.
    #[must_use]
    pub fn part(self) -> (LineTx, LineRx) {
        let (tx, rx) = rtrb::RingBuffer::new(RING_BYTES);
        let reaches = (0..self.site.actuators.len())
            .map(|i| self.out.as_ref().is_some_and(|out| out.reaches(ActuatorId(i as u16))))
            .collect();
        let line = Vec::with_capacity(LINE_BYTES);
        (
            LineTx { site: self.site.clone(), ring: tx, reaches, line, full: 0 },
            LineRx { egress: self, ring: rx, line: vec![0; LINE_BYTES] },
        )
    }
}

/// The deciding end of the way to the sending thread.
pub struct LineTx {
    site: Arc<Site>,
    ring: rtrb::Producer<u8>,
    /// By actuator: whether it is reached at all.
    reaches: Vec<bool>,
    line: Vec<u8>,
    full: u64,
}

impl LineTx {
    /// Writes a command's line into the ring; `read` is when its input was read, or due.
    pub fn send(&mut self, command: &Command, rules: &RuleNames<'_>, read: ArrivalNs) {
        if !self.reaches.get(command.device.index()).copied().unwrap_or(false) {
            return;
        }
        // Head and line go in together: the other end never sees one without the other.
        self.line.clear();
        self.line.extend_from_slice(&[0; HEAD]);
        lines::encode_json(&self.site, rules, command, &mut self.line);
        let len = (self.line.len() - HEAD) as u32;
        self.line[..2].copy_from_slice(&command.device.0.to_le_bytes());
        self.line[2..10].copy_from_slice(&read.0.to_le_bytes());
        self.line[10..HEAD].copy_from_slice(&len.to_le_bytes());
        self.full += u64::from(!put(&mut self.ring, &self.line));
    }

    /// Commands that found the ring full.
    #[must_use]
    pub fn full(&self) -> u64 {
        self.full
    }
}

/// The sending end.
pub struct LineRx {
    egress: Egress,
    ring: rtrb::Consumer<u8>,
    line: Vec<u8>,
}

/// What the sending thread tells at its end.
#[derive(Debug)]
pub struct Sent {
    /// What became of the commands; `None` in a dry run.
    pub counts: Option<UdpCounts>,
    /// Read from the socket to handed to the transport, nanoseconds.
    pub react_ns: Histogram<u64>,
}

impl LineRx {
    /// Sends what waits; gives how many lines.
    fn do_work(&mut self, clock: &HostClock, react_ns: &mut Histogram<u64>) -> usize {
        let mut n = 0;
        let mut head = [0; HEAD];
        while take(&mut self.ring, HEAD, &mut head) {
            let device = ActuatorId(u16::from_le_bytes([head[0], head[1]]));
            let read = head[2..10].first_chunk().map_or(0, |b| i64::from_le_bytes(*b));
            let len = head[10..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b)) as usize;
            if self.line.len() < len {
                self.line.resize(len, 0);
            }
            if !take(&mut self.ring, len, &mut self.line) {
                break;
            }
            if let Some(out) = &mut self.egress.out {
                // As in [`Egress::send`]: the driver counts what it could not hand over.
                let _ = out.send_line(&self.egress.site, device, &self.line[..len]);
            }
            record(react_ns, clock.now().since(ArrivalNs(read)));
            n += 1;
        }
        n
    }

    /// Sends until the deciding end is gone and nothing waits. Whoever decides unparks this thread.
    #[must_use]
    pub fn run(mut self, clock: HostClock, idle: Idle) -> Sent {
        let mut react_ns = histogram();
        loop {
            let over = self.ring.is_abandoned();
            if self.do_work(&clock, &mut react_ns) > 0 {
                continue;
            }
            if over {
                break;
            }
            match idle {
                Idle::Spin => std::hint::spin_loop(),
                Idle::Yield => std::thread::park_timeout(PARK_MAX),
            }
        }
        Sent { counts: self.egress.counts(), react_ns }
    }
}
