//! The decision itself: what goes out when a rule commands, and when what is wanted of a device has changed.

use crate::Plan;
use crate::device::{Force, sorted};
use crate::words::{self, Order};
use osmose_model::command::{Args, Cause, Command, CommandId, Effect, LevelRank, Trigger, Value};
use osmose_model::ids::{ActuatorId, Name, RuleId};
use osmose_model::input::Tag;

/// A device that nothing has touched.
pub(crate) const CLEAN: u32 = u32::MAX;
/// A device whose commands were shed, to be settled with the next step.
pub(crate) const PENDING: u32 = u32::MAX - 1;
/// A device touched by what went over from old rules to new ones.
pub(crate) const CARRIED: u32 = u32::MAX - 2;

/// Where a step's commands go, and their numbering.
pub(crate) struct Sink<'a> {
    pub(crate) tag: Tag,
    pub(crate) source_seq: Option<u64>,
    /// The next command's number.
    pub(crate) n: u32,
    /// One more than the last number that may be given out.
    pub(crate) n_max: u32,
    pub(crate) out: &'a mut Vec<Command>,
    pub(crate) changed: &'a mut Vec<ActuatorId>,
}

impl Sink<'_> {
    /// Puts what changed in order, each device once.
    pub(crate) fn finish(self) {
        self.changed.sort_unstable();
        self.changed.dedup();
    }

    fn note_changed(&mut self, device: ActuatorId) {
        // Commands to one device come together, so this keeps the list near its final length.
        if self.changed.last() != Some(&device) && !self.changed.contains(&device) {
            self.changed.push(device);
        }
    }
}

/// The cause of a value that a holder wanted already and that goes out only now: the holder's own conditions, with
/// what set it off now.
fn now_because(of: &Cause, now: &Cause) -> Cause {
    Cause { trigger: now.trigger, sensor: now.sensor, measured: now.measured, ..of.clone() }
}

/// The cause that an effect carries.
fn cause_of(effect: &Effect) -> &Cause {
    match effect {
        Effect::Do { cause, .. }
        | Effect::Hold { cause, .. }
        | Effect::Release { cause, .. }
        | Effect::Forbid { cause, .. } => cause,
    }
}

impl Plan {
    /// Whether a forbid of a higher level than `level` (`None`: below every level) stops a command; never the safe one.
    pub(crate) fn forbidden(&self, device: ActuatorId, verb: Name, args: &Args, level: Option<LevelRank>) -> bool {
        let mut forbids = self.claims.forbids(device);
        let stops = forbids.any(|(claim, forbidden)| forbidden == verb && level.is_none_or(|l| claim.level < l));
        stops && !self.is_safe(device, verb, args)
    }

    fn is_safe(&self, device: ActuatorId, verb: Name, args: &Args) -> bool {
        let d = &self.devices[device.index()];
        words::is_safe(d.kind, d.safe, verb.as_str(), args)
    }

    /// Whether a hold stands above what a person has set: of a higher level, or of the same one and later.
    fn above_hand(&self, device: ActuatorId, claim: &crate::Claim) -> bool {
        let since = self.standings[device.index()].by_hand_since;
        claim.level < self.user_level || claim.level == self.user_level && claim.since > since
    }

    /// Whether a person's value is in force as a hold: the rules say `manual` of the device, and one is set.
    fn in_hand(&self, device: ActuatorId) -> bool {
        self.by_hand[device.index()] && self.has_manual(device)
    }

    /// The hold that wins a slot, with its value: of all where no hand is on the device, else of those above the hand.
    fn winner(&self, device: ActuatorId, slot: usize) -> Option<(&crate::Claim, Value)> {
        let found = self.best(device, slot)?;
        (!self.in_hand(device) || self.above_hand(device, found.0)).then_some(found)
    }

    /// Whether a rule holds the device so that a hand at it does not count.
    pub(crate) fn locked(&self, device: ActuatorId) -> bool {
        let standing = &self.standings[device.index()];
        if !self.by_hand[device.index()] {
            return standing.force == Force::Held;
        }
        let mut slots = self.devices[device.index()].slots();
        slots.any(|slot| self.best(device, slot).is_some_and(|(claim, _)| claim.level < self.user_level))
    }

    /// A person has set the device just now.
    pub(crate) fn taken_by_hand(&mut self, tag: Tag, device: ActuatorId) {
        let standing = &mut self.standings[device.index()];
        standing.by_hand_since = tag.seq;
        if self.by_hand[device.index()] || standing.force != Force::Held {
            standing.force = Force::Manual;
            // Rules below let go of it, and those above are asked, when the step settles.
            self.touch(device, PENDING);
        }
    }

    /// The hold that would win a slot if no hand were on the device. A hold whose command is forbidden cannot win.
    fn best(&self, device: ActuatorId, slot: usize) -> Option<(&crate::Claim, Value)> {
        let none_forbidden = self.claims.forbids(device).next().is_none();
        let kind = self.devices[device.index()].kind;
        let property = slot - self.devices[device.index()].first;
        let words = kind.properties().get(property).map_or(&[][..], |p| p.words);
        self.claims.winner(slot, self.combine[slot], &self.over, words, |claim, value| {
            none_forbidden || {
                let order = self.devices[device.index()].order(slot, value);
                !self.forbidden(device, order.verb, &order.args, Some(claim.level))
            }
        })
    }

    /// Whether a higher level than `level` holds another value of a property that the command would set.
    fn overruled(&self, device: ActuatorId, verb: Name, args: &Args, level: LevelRank) -> bool {
        let d = &self.devices[device.index()];
        let by_hand = self.in_hand(device) && level > self.user_level;
        let against = d.slots().enumerate().any(|(i, slot)| {
            let Some(value) = words::outcome(d.kind, i, verb.as_str(), args) else { return false };
            if by_hand && self.slots[slot].manual.is_none_or(|manual| !words::same(&manual, &value)) {
                return true;
            }
            self.winner(device, slot).is_some_and(|(w, held)| w.level < level && !words::same(&held, &value))
        });
        against && !self.is_safe(device, verb, args)
    }

    /// Sends a one-shot command of a rule, or (`by` is `None`) of an operator, unless it is forbidden or overruled.
    /// Gives whether it was sent.
    pub(crate) fn perform(
        &mut self,
        device: ActuatorId,
        verb: Name,
        args: &Args,
        by: Option<(RuleId, LevelRank)>,
        cause: &Cause,
        sink: &mut Sink<'_>,
    ) -> bool {
        let sound = args.iter().all(|(_, v)| words::is_sound(v));
        if device.index() >= self.devices.len() || !sound {
            self.counts.refused_effects = self.counts.refused_effects.saturating_add(1);
            return false;
        }
        if verb == *"auto" {
            return self.let_go(device, cause, sink);
        }
        let level = by.map_or(self.user_level, |(_, level)| level);
        let forbidden = self.forbidden(device, verb, args, Some(level));
        if forbidden || self.overruled(device, verb, args, level) {
            let dropped = &mut self.standings[device.index()].dropped;
            let count = if forbidden { &mut dropped.forbidden } else { &mut dropped.overruled };
            *count = count.saturating_add(1);
            return false;
        }
        let order = Order { verb, args: sorted(args.clone()) };
        self.send(device, order, by.map(|(rule, _)| rule), cause.clone(), true, sink)
    }

    /// Sends a command and takes in what it does; `false` where the step has sent as many as it may.
    fn send(
        &mut self,
        device: ActuatorId,
        order: Order,
        rule: Option<RuleId>,
        cause: Cause,
        one_shot: bool,
        sink: &mut Sink<'_>,
    ) -> bool {
        if sink.n >= sink.n_max {
            self.counts.shed_commands = self.counts.shed_commands.saturating_add(1);
            return false;
        }
        let Order { verb, args } = order;
        let d = &self.devices[device.index()];
        let whole = words::leads_to(d.kind, verb.as_str()).is_some();
        let was_in_hand = one_shot && self.in_hand(device);
        let id = CommandId { seq: sink.tag.seq, n: sink.n };
        for (i, slot) in d.slots().enumerate() {
            let outcome = words::outcome(d.kind, i, verb.as_str(), &args);
            let slot = &mut self.slots[slot];
            if one_shot && (whole || outcome.is_some()) {
                slot.manual = None;
            }
            if slot.command((sink.tag.at, id), outcome, i == 0, whole, one_shot) {
                sink.note_changed(device);
            }
        }
        if was_in_hand && !self.has_manual(device) {
            self.pass_over_holds(device);
        }
        let force = self.standings[device.index()].force;
        if (force == Force::Manual && !self.has_manual(device)) || (force == Force::Blocked && one_shot) {
            // The command takes the device over: neither the manual value nor the default is due any more.
            self.standings[device.index()].force = Force::Idle;
        }
        sink.n += 1;
        let (at, source_seq) = (sink.tag.at, sink.source_seq);
        sink.out.push(Command { id, at, source_seq, rule, device, verb, args, cause });
        self.note_lease(device);
        true
    }

    /// A command ended what a person had set: the holds that waited below count as overridden by it, as they would had
    /// they been in force.
    fn pass_over_holds(&mut self, device: ActuatorId) {
        for slot in self.devices[device.index()].slots() {
            let applied = self.best(device, slot).map(|(claim, value)| (claim.holder, value));
            self.slots[slot].applied = applied;
            self.slots[slot].overridden = applied.is_some();
            if applied.is_some() {
                self.standings[device.index()].force = Force::Held;
            }
        }
    }

    /// What a person has set ends: the device goes to what a rule holds, else to its default.
    fn let_go(&mut self, device: ActuatorId, cause: &Cause, sink: &mut Sink<'_>) -> bool {
        let was_in_hand = self.in_hand(device);
        for slot in self.devices[device.index()].slots() {
            self.slots[slot].manual = None;
        }
        if self.standings[device.index()].force == Force::Manual {
            sink.note_changed(device);
            // As where the last hold ends: the next in order is due.
            self.standings[device.index()].force = Force::Held;
        } else if !was_in_hand {
            return true;
        }
        let settled = self.settle(device, Some(cause), sink);
        self.note_lease(device);
        settled
    }

    pub(crate) fn has_manual(&self, device: ActuatorId) -> bool {
        self.slots[self.devices[device.index()].slots()].iter().any(|s| s.manual.is_some())
    }

    /// What an operator's command sets is the manual value from now on.
    pub(crate) fn keep_manual(&mut self, tag: Tag, device: ActuatorId, verb: Name, args: &Args) {
        let d = &self.devices[device.index()];
        for (i, slot) in d.slots().enumerate() {
            if let Some(value) = words::outcome(d.kind, i, verb.as_str(), args) {
                self.slots[slot].manual = Some(value);
            }
        }
        if self.has_manual(device) {
            self.taken_by_hand(tag, device);
        }
    }

    /// Settles every device that this step (or a shed command before it) touched, in the order touched.
    pub(crate) fn settle_dirty(&mut self, effects: &[Effect], sink: &mut Sink<'_>) {
        let mut kept = 0;
        for i in 0..self.dirty.len() {
            let device = self.dirty[i];
            let by = self.dirty_by[device.index()];
            self.dirty_by[device.index()] = CLEAN;
            let carried = (by == CARRIED).then(|| Cause::new(Trigger::Start));
            let now = carried.as_ref().or_else(|| effects.get(by as usize).map(cause_of));
            let settled = self.settle(device, now, sink);
            self.note_lease(device);
            if !settled {
                self.dirty_by[device.index()] = PENDING;
                self.dirty[kept] = device;
                kept += 1;
            }
        }
        self.dirty.truncate(kept);
    }

    /// Brings one device to what is now wanted of it; `false` where commands were shed on the way.
    fn settle(&mut self, device: ActuatorId, now: Option<&Cause>, sink: &mut Sink<'_>) -> bool {
        let (mut held, mut all_sent) = (false, true);
        for slot in self.devices[device.index()].slots() {
            let Some((claim, value)) = self.winner(device, slot) else {
                self.slots[slot].applied = None;
                self.slots[slot].overridden = false;
                continue;
            };
            held = true;
            let holds = Some((claim.holder, value));
            if self.slots[slot].applied == holds {
                continue;
            }
            if !self.slots[slot].stands(&value) {
                let fresh = claim.since == sink.tag.seq;
                let cause = match now {
                    Some(now) if !fresh => now_because(&claim.cause, now),
                    _ => claim.cause.clone(),
                };
                let (rule, order) = (claim.rule, self.devices[device.index()].order(slot, &value));
                if !self.send(device, order, Some(rule), cause, false, sink) {
                    all_sent = false;
                    continue;
                }
            }
            self.slots[slot].applied = holds;
            self.slots[slot].overridden = false;
        }
        let before = self.standings[device.index()].force;
        if held {
            if before != Force::Held && !self.by_hand[device.index()] {
                // A rule takes hold: what a person had set before ends here.
                for slot in self.devices[device.index()].slots() {
                    self.slots[slot].manual = None;
                }
            }
            self.standings[device.index()].force = Force::Held;
            return all_sent;
        }
        match before {
            Force::Held | Force::Blocked => self.fall_back(device, now, sink),
            Force::Idle | Force::Manual => true,
        }
    }

    /// Nobody holds the device any more: what a person set, else its default. `false` where a command was shed.
    fn fall_back(&mut self, device: ActuatorId, now: Option<&Cause>, sink: &mut Sink<'_>) -> bool {
        let cause = || now.cloned().unwrap_or_else(|| Cause::new(Trigger::Timer));
        for slot in self.devices[device.index()].slots() {
            let Some(value) = self.slots[slot].manual else { continue };
            let order = self.devices[device.index()].order(slot, &value);
            if self.forbidden(device, order.verb, &order.args, Some(self.user_level)) {
                self.slots[slot].manual = None;
            } else if !self.slots[slot].stands(&value) && !self.send(device, order, None, cause(), false, sink) {
                return false;
            }
        }
        if self.has_manual(device) {
            self.standings[device.index()].force = Force::Manual;
            return true;
        }
        // What a person had set is forbidden and gone: a rule that waited below it has the device.
        let mut slots = self.devices[device.index()].slots();
        if self.by_hand[device.index()] && slots.any(|slot| self.best(device, slot).is_some()) {
            return self.settle(device, now, sink);
        }
        if let Some((slot, value, order)) = &self.devices[device.index()].default {
            if self.forbidden(device, order.verb, &order.args, None) {
                let standing = &mut self.standings[device.index()];
                if standing.force != Force::Blocked {
                    standing.dropped.forbidden = standing.dropped.forbidden.saturating_add(1);
                }
                standing.force = Force::Blocked;
                return true;
            }
            let order = order.clone();
            if !self.slots[*slot].stands(value) && !self.send(device, order, None, cause(), false, sink) {
                return false;
            }
        }
        self.standings[device.index()].force = Force::Idle;
        true
    }

    /// Sends every held and manual value that still stands, once.
    pub(crate) fn resend_all(&mut self, sink: &mut Sink<'_>) {
        for number in 0..self.devices.len() {
            let device = ActuatorId(number as u16);
            for slot in self.devices[number].slots() {
                let Slotted { value, rule, cause } = match self.in_force(device, slot) {
                    Some(s) if !self.slots[slot].overridden => s,
                    _ => continue,
                };
                let order = self.devices[number].order(slot, &value);
                self.send(device, order, rule, cause, false, sink);
            }
        }
    }

    /// The value that a rule holds, or else a person has set, on a slot.
    fn in_force(&self, device: ActuatorId, slot: usize) -> Option<Slotted> {
        let start = Cause::new(Trigger::Start);
        if let Some((holder, value)) = self.slots[slot].applied {
            let claim = self.claims.get(holder)?;
            let cause = now_because(&claim.cause, &start);
            return Some(Slotted { value, rule: Some(claim.rule), cause });
        }
        let manual = self.standings[device.index()].force == Force::Manual;
        let value = self.slots[slot].manual.filter(|_| manual)?;
        Some(Slotted { value, rule: None, cause: start })
    }
}

/// A value in force, on whose account, and why.
struct Slotted {
    value: Value,
    rule: Option<RuleId>,
    cause: Cause,
}
