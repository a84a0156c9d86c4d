//! What a step's results go to: the journal before the step, and behind it the devices, the side and the account.

use crate::clock::HostClock;
use crate::egress::{Egress, Handed, LineTx, Told};
use crate::journal::mapped::Mapped;
use crate::journal::{AppendError, Ring};
use crate::latency::Kind;
use crate::latency::exchange::Meter;
use crate::leases::Leases;
use crate::tap::{TapTx, Timing};
use osmose_core::{Core, Fusion, Outbox, Plan, Rules, StepSink};
use osmose_model::command::Command;
use osmose_model::ids::{ActuatorId, RuleId, Seq};
use osmose_model::input::{Input, Tag};
use osmose_model::stages::Decide;
use osmose_model::time::ArrivalNs;
use std::thread::Thread;

/// Who sends.
pub(crate) enum Outlet {
    /// This thread, at once.
    Here(Box<Egress>),
    /// A thread of its own.
    There(LineTx, Thread),
}

impl Outlet {
    pub(crate) fn reaches(&self, device: ActuatorId) -> bool {
        match self {
            Self::Here(egress) => egress.reaches(device),
            Self::There(lines, _) => lines.reaches(device),
        }
    }

    /// Hands the commands of one step over, or to the thread that will. Who hands over accounts for it; where nothing of
    /// it goes anywhere, nobody does.
    pub(crate) fn send(
        &mut self,
        commands: &[Command],
        machine: &Core,
        handed: Handed,
        clock: &HostClock,
        meter: &mut Meter,
    ) -> Sent {
        let rule_name = |rule: RuleId| machine.rules().rule_name(rule);
        let Some(last) = commands.iter().rposition(|c| self.reaches(c.device)) else { return Sent::Nothing };
        for (i, command) in commands.iter().enumerate() {
            if !self.reaches(command.device) {
                continue;
            }
            let deadline = command.rule.and_then(|r| machine.rules().program().rule(r)?.deadline);
            let (device, rule) = (command.device, command.rule);
            let (seq, n) = (command.id.seq, command.id.n);
            let handed = Handed { device, rule, deadline, last: i == last, seq, n, ..handed };
            let told = Told { command, lease: machine.plan().lease(device) };
            match self {
                Self::Here(egress) => egress.queue(told, &rule_name, handed, clock, meter),
                Self::There(lines, _) => lines.send(told, &rule_name, handed),
            }
        }
        match self {
            Self::Here(_) => Sent::Waits,
            Self::There(_, thread) => {
                thread.unpark();
                Sent::At(clock.now())
            }
        }
    }

    /// Says one more time what a device was told. It is no reaction to anything, so nobody accounts for it.
    pub(crate) fn say_again(
        &mut self,
        told: Told<'_>,
        machine: &Core,
        handed: Handed,
        clock: &HostClock,
        meter: &mut Meter,
    ) {
        let rule_name = |rule: RuleId| machine.rules().rule_name(rule);
        let handed = Handed { device: told.command.device, renewal: true, ..handed };
        match self {
            Self::Here(egress) => egress.queue(told, &rule_name, handed, clock, meter),
            Self::There(lines, thread) => {
                lines.send(told, &rule_name, handed);
                thread.unpark();
            }
        }
    }
}

/// What became of the commands of a step.
pub(crate) enum Sent {
    /// There were none that go anywhere.
    Nothing,
    /// The last one had left this thread.
    At(ArrivalNs),
    /// They are queued, to be handed over with those of the next steps or at once.
    Waits,
}

/// Everything that a step's results go to. Borrowed by the driver during a step.
pub(crate) struct Outputs {
    pub(crate) journal: Option<Ring<Mapped>>,
    pub(crate) tap: TapTx,
    pub(crate) outlet: Outlet,
    pub(crate) leases: Leases,
    pub(crate) clock: HostClock,
    /// What the input being stepped is, and when the kernel took it and we read it.
    pub(crate) kind: Kind,
    pub(crate) received: ArrivalNs,
    pub(crate) read: ArrivalNs,
    pub(crate) step_start: ArrivalNs,
    /// When the latest step ended: what it is now, as far as is known without asking.
    pub(crate) stepped_at: ArrivalNs,
    pub(crate) meter: Meter,
    /// More inputs wait to be stepped: commands may wait for theirs.
    pub(crate) more_waits: bool,
    /// More wait in the sockets.
    pub(crate) is_behind: bool,
    /// How often rules were installed.
    pub(crate) generation: u32,
    pub(crate) journal_lost: u64,
    /// The ring could not take an input: the next keyframe must come at once.
    pub(crate) journal_broken: bool,
}

impl Outputs {
    pub(crate) fn new(
        journal: Option<Ring<Mapped>>,
        tap: TapTx,
        (outlet, leases): (Outlet, Leases),
        clock: HostClock,
        meter: Meter,
    ) -> Self {
        let now = clock.now();
        Self {
            journal,
            tap,
            outlet,
            leases,
            clock,
            kind: Kind::Control,
            received: now,
            read: now,
            step_start: now,
            stepped_at: now,
            meter,
            more_waits: false,
            is_behind: false,
            generation: 0,
            journal_lost: 0,
            journal_broken: false,
        }
    }

    /// What goes with a command that no input decided.
    pub(crate) fn handed_now(&self, seq: Seq, now: ArrivalNs) -> Handed {
        Handed {
            device: ActuatorId(0),
            kind: Kind::Control,
            last: false,
            renewal: false,
            rule: None,
            generation: self.generation,
            deadline: None,
            seq,
            n: 0,
            timing: Timing { received: now, read: now, step_start: now, step_end: now, sent: now },
        }
    }

    /// Tells devices what is due of leases.
    pub(crate) fn tend_leases(&mut self, machine: &Core, now: ArrivalNs) {
        let handed = self.handed_now(machine.last().seq, now);
        let Self { leases, outlet, clock, meter, .. } = self;
        let mut said = false;
        leases.tend(machine, now, |command, lease| {
            said = true;
            outlet.say_again(Told { command, lease }, machine, handed, clock, meter);
        });
        if said {
            self.flush();
        }
    }

    /// Hands over every command that waits for those of further steps; what was recorded meanwhile goes to the side. Gives
    /// when the last one left, where any waited.
    pub(crate) fn flush(&mut self) -> Option<ArrivalNs> {
        let Outlet::Here(egress) = &mut self.outlet else { return None };
        let sent = egress.flush(&self.clock, &mut self.meter)?;
        self.tap.release(sent);
        Some(sent)
    }

    /// Whether what waits may wait for the inputs of the next turn, which follows at once.
    pub(crate) fn may_wait_for_next_turn(&self) -> bool {
        matches!(&self.outlet, Outlet::Here(egress) if egress.may_wait(self.stepped_at, self.is_behind))
    }

    /// Whether the commands of a step that ended now may wait for those of the next.
    fn may_wait(&self, out: &Outbox) -> bool {
        self.more_waits
            // What a fire alarm, a door or a button decides waits for nobody.
            && !matches!(self.kind, Kind::Safety | Kind::Edge)
            && self.tap.has_room_to_hold(out)
            && self.may_wait_for_next_turn()
    }
}

impl StepSink<Fusion, Rules, Plan> for Outputs {
    fn sequenced(&mut self, tag: Tag, canonical: &[u8]) {
        if let Some(journal) = &mut self.journal {
            match journal.append(tag, canonical) {
                Ok(_) => {}
                Err(AppendError::Full | AppendError::TooLarge(_)) => {
                    self.journal_lost += 1;
                    self.journal_broken = true;
                }
            }
        }
        if !self.tap.has_room_to_hold_input(canonical) {
            self.flush();
        }
        self.tap.input(tag, canonical);
        self.step_start = self.clock.now();
    }

    fn decided(&mut self, tag: Tag, input: &Input<'_>, out: &Outbox, machine: &Core) {
        let step_end = self.clock.now();
        self.stepped_at = step_end;
        let (step_start, sent) = (self.step_start, step_end);
        let (kind, received, read) = match input {
            Input::Tick => (Kind::Timer, ArrivalNs(tag.at.0), ArrivalNs(tag.at.0)),
            _ => (self.kind, self.received, self.read),
        };
        if matches!(input, Input::RulesInstalled { .. }) {
            // What waits was decided by the rules before.
            self.flush();
            self.generation += 1;
            if matches!(self.outlet, Outlet::Here(_)) {
                self.meter.rules_changed();
            }
        }
        let mut timing = Timing { received, read, step_start, step_end, sent };
        let handed = Handed { kind, timing, ..self.handed_now(tag.seq, step_end) };
        self.leases.sent(&out.commands, machine, step_end);
        let may_wait = self.may_wait(out);
        let digests = (machine.input_digest(), machine.decision_digest());
        match self.outlet.send(&out.commands, machine, handed, &self.clock, &mut self.meter) {
            Sent::Nothing => self.meter.done(kind, tag.seq, timing, None, false),
            Sent::At(sent) => timing.sent = sent,
            Sent::Waits if may_wait => {
                self.meter.stepped(kind, &timing);
                return self.tap.hold(tag, out, digests, timing);
            }
            Sent::Waits => {}
        }
        if !may_wait && let Some(sent) = self.flush() {
            timing.sent = sent;
        }
        // Behind the commands: the histograms' memory is seldom in a cache.
        self.meter.stepped(kind, &timing);
        self.tap.decided(tag, out, digests, timing);
    }
}
