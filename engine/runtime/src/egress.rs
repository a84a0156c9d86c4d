//! From decisions to datagrams: the last stage. What talks to devices lives in `osmose-drivers`; this adds the dry run,
//! and the way to a thread of its own.
//!
//! A command becomes its line on the thread that decided it (the rules' names live there); where sending has a thread
//! of its own, lines wait for it in one byte ring. A ring that is full loses no command in silence: it is counted with
//! those that the kernel would not take. What is said again because its lease would run out (`leases.rs`) goes the same way.
//!
//! While more inputs wait to be stepped, commands wait for those of the next steps, a few microseconds at most (a few more
//! where even the sockets could not be emptied), so that under load many go out in one call. With nothing else to do each
//! goes out as soon as it is decided.

use crate::clock::HostClock;
use crate::journal::handed::HandedOver;
use crate::journal::mapped::Mapped;
use crate::lane::{put, take};
use crate::latency::Kind;
use crate::latency::exchange::Meter;
use crate::tap::Timing;
use osmose_core::{Late, fail_safe};
use osmose_drivers::udp::{Of, UdpCounts, UdpOut};
use osmose_drivers::{RuleNames, lines};
use osmose_model::command::{Command, CommandId};
use osmose_model::ids::{ActuatorId, RuleId, Seq};
use osmose_model::limits::COMMANDS_PER_STEP_MAX;
use osmose_model::site::{Idle, Site};
use osmose_model::time::{ArrivalNs, DurationNs};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of lines that wait for the sending thread.
const RING_BYTES: usize = 4 * 1024 * 1024;
/// Room for the largest command line, so that no command makes the buffer grow.
const LINE_BYTES: usize = 4096;
/// The sending thread looks up from its sleep at least this often.
const PARK_MAX: Duration = Duration::from_millis(50);
/// [`Handed`], and the lengths of the line that follows it and of the one that is sent in its place when it is late.
const HEAD: usize = 64 + 4 + 4;

/// Commands that wait for those of the next steps, so that they go out in one call: so many at most ...
const WAITING_MAX: usize = 60;
/// ... and for so long at most, by when the first of them was decided; ...
const WAIT_MAX: DurationNs = DurationNs::from_us(25);
/// ... for so long where more waits in the sockets: what comes out then has waited there for longer.
const WAIT_BEHIND_MAX: DurationNs = DurationNs::from_us(100);

/// Sends commands to their devices, or, in a dry run, to nobody.
pub struct Egress {
    site: Arc<Site>,
    out: Option<UdpOut>,
    line: Vec<u8>,
    /// What goes with the commands that are queued and not handed over yet.
    waiting: Vec<Handed>,
    /// By actuator: its last command was too late and not sent, or the device was made safe in its place. To say that
    /// command again would undo it, so nothing is renewed there until another one goes out.
    barred: Vec<bool>,
}

/// What a device is told.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) command: &'a Command,
    /// How long it holds there unless it is said again.
    pub(crate) lease: Option<DurationNs>,
}

impl Egress {
    /// Sends over UDP; a dry run opens no socket. What leaves is marked in `handed`, where state is kept.
    ///
    /// # Errors
    /// What the system says where no socket can be made.
    pub fn new(site: Arc<Site>, dry_run: bool, handed: Option<HandedOver<Mapped>>) -> std::io::Result<Self> {
        let mut out = if dry_run { None } else { Some(UdpOut::new(&site)?) };
        match (&mut out, handed) {
            (Some(out), Some(handed)) => out.tell(Box::new(handed)),
            (None, Some(mut handed)) => handed.owe_nothing(),
            (_, None) => {}
        }
        let (line, waiting) = (Vec::with_capacity(LINE_BYTES), Vec::with_capacity(WAITING_MAX + COMMANDS_PER_STEP_MAX));
        let barred = vec![false; site.actuators.len()];
        Ok(Self { site, out, line, waiting, barred })
    }

    /// Puts one command behind those that wait, or does what its rule asks for where it is too late for it. What the
    /// transport does not take is counted ([`Egress::counts`]).
    pub(crate) fn queue(
        &mut self,
        told: Told<'_>,
        rules: &RuleNames<'_>,
        handed: Handed,
        clock: &HostClock,
        meter: &mut Meter,
    ) {
        // A device that only logs is no failure: the log is written beside the pinned thread.
        if !self.reaches(handed.device) {
            return;
        }
        let late = handed.late(clock, meter);
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let safe = match late {
            Some(Late::FailSafe) => safe_command(&self.site, told.command),
            Some(Late::Count | Late::Drop) | None => None,
        };
        match &safe {
            Some(safe) => lines::encode_json(&self.site, rules, safe, None, &mut line),
            // A device without a safe state is told what was decided: late is better than never.
            None => lines::encode_json(&self.site, rules, told.command, told.lease, &mut line),
        }
        self.put(handed, late, safe.is_some(), &line);
        self.line = line;
    }

    /// Puts a line behind those that wait: the command's, or (`made_safe`) the one in its place.
    fn put(&mut self, handed: Handed, late: Option<Late>, made_safe: bool, line: &[u8]) {
        self.waiting.push(handed);
        let barred = self.barred.get_mut(handed.device.index());
        let (Some(out), Some(barred)) = (&mut self.out, barred) else { return };
        // A failure is counted by the driver and shown in the engine's account; the next command may go through.
        if handed.renewal {
            if !*barred {
                let _ = out.queue_again(&self.site, handed.device, line);
            }
            return;
        }
        let is_dropped = late == Some(Late::Drop);
        *barred = is_dropped || made_safe;
        if !is_dropped {
            let of = Of { device: handed.device, id: CommandId { seq: handed.seq, n: handed.n } };
            let _ = out.queue_line(&self.site, of, line);
        }
    }

    /// Whether what waits may wait on at `now`; `is_behind`: more waits in the sockets.
    pub(crate) fn may_wait(&self, now: ArrivalNs, is_behind: bool) -> bool {
        let most = if is_behind { WAIT_BEHIND_MAX } else { WAIT_MAX };
        self.waiting.len() < WAITING_MAX
            && self.waiting.first().is_none_or(|first| now.since(first.timing.step_end) < most)
    }

    /// Hands over what waits, and accounts for it; gives when it had left. `None` where nothing waited.
    pub(crate) fn flush(&mut self, clock: &HostClock, meter: &mut Meter) -> Option<ArrivalNs> {
        if self.waiting.is_empty() {
            return None;
        }
        if let Some(out) = &mut self.out {
            out.flush();
        }
        let sent = clock.now();
        for handed in self.waiting.drain(..) {
            handed.account(sent, meter);
        }
        Some(sent)
    }

    /// Other people may be in the site: names are looked up in it.
    pub(crate) fn install(&mut self, site: &Arc<Site>) {
        self.site = site.clone();
    }

    /// What became of the commands so far; `None` in a dry run.
    #[must_use]
    pub fn counts(&self) -> Option<UdpCounts> {
        self.out.as_ref().map(UdpOut::counts)
    }

    /// Whether a command to this device goes anywhere.
    #[must_use]
    pub fn reaches(&self, device: ActuatorId) -> bool {
        self.out.as_ref().is_some_and(|out| out.reaches(device))
    }

    /// Parts it into the end that decides and the end that sends, for two threads.
    #[must_use]
    pub fn part(self) -> (LineTx, LineRx) {
        let (tx, rx) = rtrb::RingBuffer::new(RING_BYTES);
        let reaches = (0..self.site.actuators.len()).map(|i| self.reaches(ActuatorId(i as u16))).collect();
        let line = Vec::with_capacity(LINE_BYTES);
        (
            LineTx { site: self.site.clone(), ring: tx, reaches, line, full: 0 },
            LineRx { egress: self, ring: rx, line: vec![0; LINE_BYTES], generation: 0 },
        )
    }
}

/// What a device is told in place of a command that is too late, where it has a safe state.
fn safe_command(site: &Site, late: &Command) -> Option<Command> {
    site.actuators.get(late.device.index()).and_then(|a| fail_safe(a, late))
}

/// What goes with a command to where it is handed over, so that it is known there whether it was late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handed {
    pub(crate) device: ActuatorId,
    pub(crate) kind: Kind,
    /// It is the last one of its step.
    pub(crate) last: bool,
    /// It was said before, and is said again because its lease would run out.
    pub(crate) renewal: bool,
    pub(crate) rule: Option<RuleId>,
    /// How often rules were installed before it was decided: the same number may stand for another rule.
    pub(crate) generation: u32,
    /// The rule's own deadline, and what is to be done beyond it.
    pub(crate) deadline: Option<(DurationNs, Late)>,
    pub(crate) seq: Seq,
    /// Which of that input's commands.
    pub(crate) n: u32,
    /// All but `sent`.
    pub(crate) timing: Timing,
}

/// What may be done with a late command, by the number that stands for it in the ring.
const LATE: [Late; 3] = [Late::Count, Late::Drop, Late::FailSafe];

impl Handed {
    fn to_bytes(self) -> [u8; 64] {
        let mut b = [0; 64];
        b[..2].copy_from_slice(&self.device.0.to_le_bytes());
        b[2] = self.kind as u8;
        let late = self.deadline.map_or(0, |(_, late)| LATE.iter().position(|l| *l == late).unwrap_or(0));
        b[3] = u8::from(self.last) | u8::from(self.renewal) << 1 | (late as u8) << 2;
        b[4..8].copy_from_slice(&self.rule.map_or(u32::MAX, |r| u32::from(r.0)).to_le_bytes());
        b[8..12].copy_from_slice(&self.generation.to_le_bytes());
        // A deadline is at most a few seconds; what does not fit is none.
        let deadline_us = self.deadline.map_or(0, |(d, _)| u32::try_from(d.0 / 1000).unwrap_or(0));
        b[12..16].copy_from_slice(&deadline_us.to_le_bytes());
        b[16..24].copy_from_slice(&self.seq.0.to_le_bytes());
        let t = self.timing;
        for (i, at) in [t.received, t.read, t.step_start, t.step_end].iter().enumerate() {
            b[24 + 8 * i..32 + 8 * i].copy_from_slice(&at.0.to_le_bytes());
        }
        b[56..60].copy_from_slice(&self.n.to_le_bytes());
        b
    }

    fn of_bytes(b: &[u8; 64]) -> Self {
        let word = |at: usize| b[at..at + 8].first_chunk().map_or(0, |w| u64::from_le_bytes(*w));
        let half = |at: usize| b[at..at + 4].first_chunk().map_or(0, |w| u32::from_le_bytes(*w));
        let at = |i: usize| ArrivalNs(word(24 + 8 * i) as i64);
        Self {
            device: ActuatorId(u16::from_le_bytes([b[0], b[1]])),
            kind: Kind::ALL.get(usize::from(b[2])).copied().unwrap_or(Kind::Control),
            last: b[3] & 1 != 0,
            renewal: b[3] & 2 != 0,
            rule: Some(half(4)).filter(|r| *r != u32::MAX).and_then(|r| r.try_into().ok()).map(RuleId),
            generation: half(8),
            deadline: Some(half(12))
                .filter(|us| *us > 0)
                .and_then(|us| Some((DurationNs::from_us(us.into()), *LATE.get(usize::from(b[3] >> 2))?))),
            seq: Seq(word(16)),
            n: half(56),
            timing: Timing { received: at(0), read: at(1), step_start: at(2), step_end: at(3), sent: at(3) },
        }
    }

    /// What is to be done because it is too late; counted. `None` where it is not.
    fn late(&self, clock: &HostClock, meter: &mut Meter) -> Option<Late> {
        let (deadline, late) = self.deadline?;
        let is_late = clock.now().since(self.timing.received) > deadline;
        is_late.then(|| {
            meter.was_late(late);
            late
        })
    }

    /// It was handed over at `sent`.
    pub(crate) fn account(mut self, sent: ArrivalNs, meter: &mut Meter) {
        self.timing.sent = sent;
        if let Some(rule) = self.rule {
            meter.reacted(rule, sent.since(self.timing.received), self.deadline.map(|d| d.0));
        }
        if self.last {
            meter.done(self.kind, self.seq, self.timing, self.rule, true);
        }
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
    /// Whether a command to this device goes anywhere.
    #[must_use]
    pub fn reaches(&self, device: ActuatorId) -> bool {
        self.reaches.get(device.index()).copied().unwrap_or(false)
    }

    /// Writes a command's line into the ring, with what is to be known where it is handed over.
    pub(crate) fn send(&mut self, told: Told<'_>, rules: &RuleNames<'_>, handed: Handed) {
        // Head and line go in together: the other end never sees one without the other.
        self.line.clear();
        self.line.extend_from_slice(&handed.to_bytes());
        self.line.extend_from_slice(&[0; 8]);
        lines::encode_json(&self.site, rules, told.command, told.lease, &mut self.line);
        let len = self.line.len() - HEAD;
        if matches!(handed.deadline, Some((_, Late::FailSafe)))
            && let Some(safe) = safe_command(&self.site, told.command)
        {
            lines::encode_json(&self.site, rules, &safe, None, &mut self.line);
        }
        let safe = self.line.len() - HEAD - len;
        self.line[HEAD - 8..HEAD - 4].copy_from_slice(&(len as u32).to_le_bytes());
        self.line[HEAD - 4..HEAD].copy_from_slice(&(safe as u32).to_le_bytes());
        self.full += u64::from(!put(&mut self.ring, &self.line));
    }

    /// Other people may be in the site: names are looked up in it.
    pub(crate) fn install(&mut self, site: &Arc<Site>) {
        self.site = site.clone();
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
    /// Of the latest command.
    generation: u32,
}

impl LineRx {
    /// Sends what waits; gives how many lines.
    fn do_work(&mut self, clock: &HostClock, meter: &mut Meter) -> usize {
        let mut n = 0;
        let mut head = [0; HEAD];
        while take(&mut self.ring, HEAD, &mut head) {
            let handed = head.first_chunk().map(Handed::of_bytes);
            let size = |at: usize| head[at..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b)) as usize;
            let (len, safe) = (size(HEAD - 8), size(HEAD - 4));
            if self.line.len() < len + safe {
                self.line.resize(len + safe, 0);
            }
            let (true, Some(handed)) = (take(&mut self.ring, len + safe, &mut self.line), handed) else { break };
            if std::mem::replace(&mut self.generation, handed.generation) != handed.generation {
                // What waits was decided by the rules before.
                self.egress.flush(clock, meter);
                meter.rules_changed();
            }
            let late = handed.late(clock, meter);
            let made_safe = late == Some(Late::FailSafe) && safe > 0;
            let line = if made_safe { &self.line[len..len + safe] } else { &self.line[..len] };
            self.egress.put(handed, late, made_safe, line);
            if self.egress.waiting.len() >= WAITING_MAX {
                self.egress.flush(clock, meter);
            }
            n += 1;
        }
        self.egress.flush(clock, meter);
        n
    }

    /// Sends until the deciding end is gone and nothing waits. Whoever decides unparks this thread. Gives what became
    /// of the commands; `None` in a dry run.
    #[must_use]
    pub(crate) fn run(mut self, clock: HostClock, idle: Idle, mut meter: Meter) -> Option<UdpCounts> {
        loop {
            let over = self.ring.is_abandoned();
            let worked = self.do_work(&clock, &mut meter) > 0;
            let now = clock.now();
            meter.turn(now, worked);
            if worked {
                continue;
            }
            if over {
                break;
            }
            match idle {
                Idle::Spin => std::hint::spin_loop(),
                Idle::Yield => {
                    std::thread::park_timeout(PARK_MAX);
                    meter.slept(now, PARK_MAX, clock.now());
                }
            }
        }
        meter.finish();
        self.egress.counts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_with_a_command_comes_out_as_it_went_in() {
        let at = |n| ArrivalNs(n);
        let timing = Timing { received: at(-1), read: at(2), step_start: at(3), step_end: at(4), sent: at(4) };
        let handed = Handed {
            device: ActuatorId(513),
            kind: Kind::Timer,
            last: true,
            renewal: true,
            rule: Some(RuleId(700)),
            generation: 3,
            deadline: Some((DurationNs::from_us(250), Late::FailSafe)),
            seq: Seq(u64::MAX - 1),
            n: 77,
            timing,
        };
        assert_eq!(Handed::of_bytes(&handed.to_bytes()), handed);
        let plain = Handed { rule: None, deadline: None, last: false, renewal: false, ..handed };
        assert_eq!(Handed::of_bytes(&plain.to_bytes()), plain);
    }
}
