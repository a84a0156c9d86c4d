//! Which command wins: arbitration between rules, people and defaults. Pure and deterministic: effects go in,
//! commands come out, and time is an argument.
//!
//! # Who wins a device
//!
//! Per property, in this order (`RULES`, "Who wins a device"):
//!
//! 1. the **hold** of the highest level; inside one level the latest (by the input at which it began or last changed
//!    its value), and among those of one input the lowest holder. Where the rules say `manual DEVICE`, what a person
//!    has set is such a hold too, of level `user` and on the whole device;
//! 2. where no rule holds any property of the device, the last **manual** value of each property, while it lasts;
//! 3. where there is none either, the device's **default** state.
//!
//! A value in force is sent when it (or its holder) changes and it is not the last value sent that still stands. A
//! report that contradicts the last command ends its standing, so the next wanted value is always sent.
//!
//! A **`do`** is sent every time, with two exceptions, each counted per device ([`Plan::dropped`]): a `forbid` of a
//! higher level, and a different value that a higher level holds on a property which the command sets. The command
//! that leads to the device's safe state is never dropped. A hold whose command is forbidden cannot win.
//!
//! **Manual** values come from an operator's command and from a *local change*: a report that differs from the one
//! before and that no command explains. A command explains what it asked for (a rounded number too), what lies on the
//! way there, and for two seconds what the command before it asked for.
//!
//! Of a device that a `manual` line names, a local change counts while a rule of a lower level holds it, and the manual
//! value is a hold of level `user`: rules below wait, rules above win and let it come back, a rule of the level itself
//! wins where it took hold later. A `do` of level `user` (what a button on the wall means) sets one too. It lasts until `auto` or until a `do` of a higher level moves the device; the
//! rules write the `auto` for `until vacant | for D | until 06:00`. Of any other device a local change counts while no
//! rule holds it, and lasts until a rule takes hold of the device or a `do` moves it. The command `auto`, which every
//! device understands here and none is sent, ends a manual value. A group of devices is its members: rules name each.
//!
//! Inside one step all holds, releases and forbids take effect first, then each `do` goes out in order, then each
//! device that was touched settles once: one leaves as another enters, and the light does not blink.
//!
//! | file | what it holds |
//! |---|---|
//! | `words.rs` | property ↔ command, by kind of device |
//! | `claims.rs` | holds and forbids in force |
//! | `device.rs` | what is known and wanted of one device |
//! | `settle.rs` | the decision itself |
//! | `lease.rs` | holds that the engine must renew at the device |
//! | `save.rs` | the state as bytes |
#![forbid(unsafe_code)]

mod claims;
mod device;
mod lease;
mod save;
mod settle;
mod words;

pub use device::Dropped;
pub use words::fail_safe;

use claims::{Claim, Claims, Want};
use device::{Device, Force, Slot, Standing};
use osmose_model::command::{Args, Cause, Combine, Command, Effect, LevelRank, Terms, Trigger, Value};
use osmose_model::digest::Digest;
use osmose_model::ids::{ActuatorId, HolderId, Name, RuleId, Seq};
use osmose_model::input::{OperatorAction, Report, Tag};
use osmose_model::limits::COMMANDS_PER_STEP_MAX;
use osmose_model::site::Site;
use osmose_model::stages::{Arbitrate, RestoreError};
use settle::Sink;

/// How many holders there is room for where nobody says otherwise.
pub const HOLDERS_DEFAULT: u32 = 8192;
/// The most holders that may ever be; a holder beyond the room is refused and counted.
pub const HOLDERS_MAX: u32 = 1 << 20;
/// The level at which people act where nobody says otherwise: `user` in the default order
/// `life-safety > security > privacy > user > comfort > info`.
pub const USER_LEVEL_DEFAULT: LevelRank = LevelRank(3);

/// What arbitration did not take or send at all. Counts stop at their largest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Effects of an unknown device, property or holder, or with a number that is none.
    pub refused_effects: u64,
    /// Reports of an unknown device or property, or with a number that is none.
    pub refused_reports: u64,
    /// Commands beyond [`osmose_model::limits::COMMANDS_PER_STEP_MAX`] of one input. A shed hold goes out with the
    /// next step; a shed `do` is lost.
    pub shed_commands: u64,
}

/// Arbitration over the actuators of one site. See the crate's own page for the order of precedence.
#[derive(Clone, Debug)]
pub struct Plan {
    devices: Vec<Device>,
    /// Of the names, kinds and defaults of the first devices, one for each number of them from none on: a saved state must
    /// have been saved for all of them, or for the first of them where devices were added since.
    fingerprints: Vec<Digest>,
    user_level: LevelRank,
    slots: Vec<Slot>,
    standings: Vec<Standing>,
    claims: Claims,
    /// Devices to settle, in the order touched, each once; between steps those whose commands were shed.
    dirty: Vec<ActuatorId>,
    /// By device: the effect that touched it last in this step, [`settle::CLEAN`] or [`settle::PENDING`].
    dirty_by: Vec<u32>,
    counts: Counts,
    /// `rule a over b`, ascending and transitive.
    over: Vec<(RuleId, RuleId)>,
    /// By slot: how the holders of one level make one value.
    combine: Vec<Combine>,
    /// By device: whether a person's value is a hold at the user level.
    by_hand: Vec<bool>,
    /// Holds of this level and above are leases.
    lease_level: Option<LevelRank>,
    /// By device: whether one is in force. Follows from the rest of the state, and is not saved.
    leased: Vec<bool>,
    /// How often that changed.
    lease_changes: u64,
}

impl Plan {
    /// Arbitration for a site's actuators with room for [`HOLDERS_DEFAULT`] holders. All memory is taken here.
    #[must_use]
    pub fn new(site: &Site) -> Self {
        Self::with_holders(site, HOLDERS_DEFAULT)
    }

    /// As [`Plan::new`] with room for `holders` holders ([`HOLDERS_MAX`] at most): one more than the largest
    /// [`HolderId`] that the rules number.
    #[must_use]
    pub fn with_holders(site: &Site, holders: u32) -> Self {
        let mut devices = Vec::with_capacity(site.actuators.len());
        let (mut first, mut fingerprint) = (0, Digest::default());
        let mut fingerprints = vec![fingerprint];
        for actuator in &site.actuators {
            let device = Device::new(actuator, first);
            first += device.count;
            fingerprint.absorb(actuator.name.as_bytes());
            fingerprint.absorb(actuator.kind.as_str().as_bytes());
            fingerprint.absorb(actuator.default.unwrap_or_default().as_str().as_bytes());
            fingerprints.push(fingerprint);
            devices.push(device);
        }
        let n = devices.len();
        Self {
            fingerprints,
            user_level: USER_LEVEL_DEFAULT,
            slots: vec![Slot::default(); first],
            standings: vec![Standing::default(); n],
            claims: Claims::new(holders.min(HOLDERS_MAX), first, n),
            dirty: Vec::with_capacity(n),
            dirty_by: vec![settle::CLEAN; n],
            counts: Counts::default(),
            over: Vec::new(),
            combine: vec![Combine::default(); first],
            by_hand: vec![false; n],
            lease_level: None,
            leased: vec![false; n],
            lease_changes: 0,
            devices,
        }
    }

    /// Makes room for `holders` holders in all, when rules are installed. Allocates; not for the hot path.
    pub fn reserve_holders(&mut self, holders: u32) {
        self.claims.reserve(holders.min(HOLDERS_MAX));
    }

    /// Puts terms in force. Allocates: for the start, and for tests; a running engine's go by [`Arbitrate::take_terms`].
    pub fn agree(&mut self, terms: &Terms) {
        self.reserve_holders(terms.holders);
        self.take(&mut terms.clone());
    }

    /// Takes terms over, and leaves in them what was in force before.
    fn take(&mut self, terms: &mut Terms) {
        self.user_level = terms.user_level.unwrap_or(self.user_level);
        std::mem::swap(&mut self.over, &mut terms.order);
        self.combine.fill(Combine::default());
        for (device, property, how) in &terms.combine {
            let slot = self.devices.get(device.index()).and_then(|d| d.slot_of(property.as_str()));
            if let Some(slot) = slot {
                self.combine[slot] = *how;
            }
        }
        for number in 0..self.devices.len() {
            let device = ActuatorId(number as u16);
            let by_hand = terms.by_hand.binary_search(&device).is_ok();
            if std::mem::replace(&mut self.by_hand[number], by_hand) != by_hand && self.has_manual(device) {
                self.touch(device, settle::PENDING);
            }
        }
        self.lease_level = terms.lease_level;
        self.note_leases();
    }

    /// Sets the level at which operators act: the rank of `user` in the installed rules' `levels` line.
    pub fn set_user_level(&mut self, level: LevelRank) {
        self.user_level = level;
    }

    /// What was dropped at a device; zeros for one that does not exist.
    #[must_use]
    pub fn dropped(&self, actuator: ActuatorId) -> Dropped {
        self.standings.get(actuator.index()).map_or_else(Dropped::default, |s| s.dropped)
    }

    /// What was refused or shed altogether.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The rule, holder and level that hold a device's property now, where one does.
    #[must_use]
    pub fn holder(&self, actuator: ActuatorId, property: Name) -> Option<(RuleId, HolderId, LevelRank)> {
        let slot = self.devices.get(actuator.index())?.slot_of(property.as_str())?;
        let (holder, _) = self.slots[slot].applied?;
        self.claims.get(holder).map(|c| (c.rule, c.holder, c.level))
    }

    /// Takes a hold, release or forbid into the books; what it touches is settled later.
    fn book(&mut self, seq: Seq, number: u32, effect: &Effect) {
        let taken = match *effect {
            Effect::Do { .. } => true,
            Effect::Hold { holder, rule, level, device, property, value, ref cause } => {
                self.hold_slot(device, property, &value).is_some_and(|slot| {
                    let want = Want::Hold { slot: slot as u32, value };
                    self.claim(
                        seq,
                        number,
                        device,
                        Claim { holder, rule, level, since: seq, want, cause: cause.clone() },
                    )
                })
            }
            Effect::Forbid { holder, rule, level, device, verb, ref cause } => {
                let want = Want::Forbid { device, verb };
                self.claim(seq, number, device, Claim { holder, rule, level, since: seq, want, cause: cause.clone() })
            }
            Effect::Release { holder, .. } => {
                if let Some(want) = self.claims.remove(holder) {
                    let device = self.device_of(&want);
                    self.touch(device, number);
                }
                true
            }
        };
        if !taken {
            self.counts.refused_effects = self.counts.refused_effects.saturating_add(1);
        }
    }

    /// The slot that a hold is about; `None` where the device has no such property or the value is no number.
    fn hold_slot(&self, device: ActuatorId, property: Name, value: &Value) -> Option<usize> {
        let device = self.devices.get(device.index())?;
        let property = words::meant(device.kind, property.as_str(), value);
        device.slot_of(property).filter(|_| words::is_sound(value))
    }

    /// Puts a claim in force; `false` where the device or the holder's number is out of range.
    fn claim(&mut self, seq: Seq, number: u32, device: ActuatorId, claim: Claim) -> bool {
        if device.index() >= self.devices.len() || claim.holder.index() >= self.claims.room() {
            return false;
        }
        let unchanged = self.claims.get(claim.holder).is_some_and(|old| {
            let same_want = match (&old.want, &claim.want) {
                (Want::Hold { slot: a, value: v }, Want::Hold { slot: b, value: w }) => a == b && words::same(v, w),
                (a, b) => a == b,
            };
            same_want && old.level == claim.level && old.rule == claim.rule
        });
        if let Want::Hold { slot, value } = claim.want {
            let order = self.devices[device.index()].order(slot as usize, &value);
            if self.forbidden(device, order.verb, &order.args, Some(claim.level)) {
                let count = &mut self.standings[device.index()].dropped.forbidden;
                *count = count.saturating_add(1);
            }
        }
        if unchanged {
            return true;
        }
        if let Some(old) = self.claims.remove(claim.holder) {
            let before = self.device_of(&old);
            self.touch(before, number);
        }
        debug_assert_eq!(claim.since, seq);
        self.claims.insert(claim);
        self.touch(device, number);
        true
    }

    /// The device that a claim is about.
    fn device_of(&self, want: &Want) -> ActuatorId {
        match *want {
            Want::Forbid { device, .. } => device,
            Want::Hold { slot, .. } => {
                let after = self.devices.partition_point(|d| d.first <= slot as usize);
                ActuatorId((after.saturating_sub(1)) as u16)
            }
        }
    }

    /// Marks a device to be settled at the end of the step, on account of effect `number`.
    fn touch(&mut self, device: ActuatorId, number: u32) {
        if self.dirty_by[device.index()] == settle::CLEAN {
            self.dirty.push(device);
        }
        self.dirty_by[device.index()] = number;
    }
}

impl Arbitrate for Plan {
    fn room_for(&self, terms: &Terms) -> Self {
        let mut room = self.clone();
        room.reserve_holders(terms.holders);
        room
    }

    fn take_terms(&mut self, terms: &mut Terms, room: &mut Self) {
        self.claims.move_to_larger(&mut room.claims);
        self.take(terms);
    }

    fn carry(&mut self, seq: Seq, effect: &Effect) {
        self.book(seq, settle::CARRIED, effect);
    }

    /// As the trait says; `effects` is empty afterwards.
    fn step(
        &mut self,
        tag: Tag,
        source_seq: Option<u64>,
        first_n: u32,
        effects: &mut Vec<Effect>,
        out: &mut Vec<Command>,
        changed: &mut Vec<ActuatorId>,
    ) {
        let n_max = COMMANDS_PER_STEP_MAX as u32;
        let mut sink = Sink { tag, source_seq, n: first_n, n_max, out, changed };
        for (number, effect) in effects.iter().enumerate() {
            self.book(tag.seq, number as u32, effect);
        }
        for effect in effects.iter() {
            if let Effect::Do { rule, level, device, verb, args, cause } = effect {
                let sent = self.perform(*device, *verb, args, Some((*rule, *level)), cause, &mut sink);
                // A rule of level `user` acts for a person: it says what a button on the wall means.
                if sent && *level == self.user_level && self.by_hand[device.index()] {
                    self.keep_manual(tag, *device, *verb, args);
                }
            }
        }
        self.settle_dirty(effects, &mut sink);
        sink.finish();
        effects.clear();
    }

    fn on_report(&mut self, tag: Tag, report: &Report, changed: &mut Vec<ActuatorId>) {
        let device = self.devices.get(report.actuator.index());
        let slot = device.and_then(|d| d.slot_of(report.property.as_str())).filter(|_| words::is_sound(&report.value));
        let Some(slot) = slot else {
            self.counts.refused_reports = self.counts.refused_reports.saturating_add(1);
            return;
        };
        let locked = self.locked(report.actuator);
        let (news, local) = self.slots[slot].report(tag.at, report.value, locked);
        if local {
            self.taken_by_hand(tag, report.actuator);
        }
        if news {
            changed.push(report.actuator);
            changed.sort_unstable();
            changed.dedup();
        }
    }

    /// A command by hand ([`OperatorAction::Act`]) goes out as a rule's `do` of level `user` would, and what it sets
    /// is the manual value from then on. The other actions are the rules' own and do nothing here.
    fn on_operator(
        &mut self,
        tag: Tag,
        first_n: u32,
        action: &OperatorAction,
        out: &mut Vec<Command>,
        changed: &mut Vec<ActuatorId>,
    ) {
        let OperatorAction::Act { actuator, verb, arg } = action else { return };
        let mut args = Args::new();
        args.extend(*arg);
        let n_max = COMMANDS_PER_STEP_MAX as u32;
        let mut sink = Sink { tag, source_seq: None, n: first_n, n_max, out, changed };
        if self.perform(*actuator, *verb, &args, None, &Cause::new(Trigger::Operator), &mut sink) {
            self.keep_manual(tag, *actuator, *verb, &args);
        }
        sink.finish();
    }

    /// Every value that a rule holds or a person has set, once, by device and property; one that a later `do` has
    /// moved away from is left alone, so that a restart does not undo it. Has no limit on the number of commands, and
    /// may allocate: it runs once after a start.
    fn resend(&mut self, tag: Tag, first_n: u32, out: &mut Vec<Command>) {
        // What is sent again is known already, so no device's property changes by it.
        let mut changed = Vec::new();
        let mut sink = Sink { tag, source_seq: None, n: first_n, n_max: u32::MAX, out, changed: &mut changed };
        self.resend_all(&mut sink);
    }

    fn device(&self, actuator: ActuatorId, property: Name) -> Option<Value> {
        let device = self.devices.get(actuator.index())?;
        if property == *"manual" {
            // Not a property of its own: whether a person's value is in force.
            return Some(Value::Bool(self.standings[actuator.index()].force == Force::Manual));
        }
        self.slots[device.slot_of(property.as_str())?].known()
    }

    fn save(&self, out: &mut Vec<u8>) {
        save::save(self, out);
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        save::restore(self, bytes)
    }
}
