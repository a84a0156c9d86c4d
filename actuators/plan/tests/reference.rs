//! Arbitration equals a slow, obvious reference over random sequences; a restored state continues identically; and
//! devices do not disturb each other.

mod common;
use common::*;
use osmose_model::command::{Command, Effect, LevelRank, Terms, Value};
use osmose_model::ids::{ActuatorId, HolderId};
use osmose_model::input::{OperatorAction, Report};
use osmose_model::stages::Arbitrate;
use osmose_plan::{Dropped, Plan, USER_LEVEL_DEFAULT};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A command, written by hand for the four devices of the test site.
type Told = (&'static str, Option<(&'static str, Value)>);

/// Which command gives a property a value (and which property that really is).
fn told(device: ActuatorId, property: &'static str, value: Value) -> (&'static str, Told) {
    let text = text(&value);
    let verb = match (device, property, text.as_str()) {
        (RECORDER, _, "recording") => "start",
        (RECORDER, _, "paused") => "pause",
        (RECORDER, _, "stopped") => "stop",
        (LIGHT, "state", "on") => "on",
        (LIGHT, "state", "off") => "off",
        (LIGHT, p, _) => return (p, ("set", Some((p, value)))),
        (DISPLAY, "state", "blank") => "blank",
        (DISPLAY, "state", "showing") => "show",
        (DISPLAY, _, _) => return ("page", ("show", Some(("page", value)))),
        (DOOR, "state", "open") => "open",
        (DOOR, "state", "closed") => "close",
        (DOOR, "lock", "open") => "unlock",
        (DOOR, "lock", "locked") => "lock",
        _ => unreachable!("the generator makes no {property} = {text}"),
    };
    (property, (verb, None))
}

/// The properties that a command sets, and whether it leads to a state.
fn sets(device: ActuatorId, verb: &str, arg: Option<(&'static str, Value)>) -> (Vec<(&'static str, Value)>, bool) {
    let state = match (device, verb) {
        (RECORDER, "start" | "resume") => Some("recording"),
        (RECORDER, "pause") => Some("paused"),
        (RECORDER, "stop") => Some("stopped"),
        (LIGHT, "on") => Some("on"),
        (LIGHT, "off") => Some("off"),
        (DISPLAY, "show" | "wake") => Some("showing"),
        (DISPLAY, "blank") => Some("blank"),
        (DOOR, "open") => Some("open"),
        (DOOR, "close") => Some("closed"),
        _ => None,
    };
    let lock = match (device, verb) {
        (DOOR, "lock") => Some(("lock", word("locked"))),
        (DOOR, "unlock") => Some(("lock", word("open"))),
        _ => None,
    };
    (state.map(|s| ("state", word(s))).into_iter().chain(lock).chain(arg).collect(), state.is_some())
}

fn properties(device: ActuatorId) -> &'static [&'static str] {
    match device {
        RECORDER => &["state"],
        LIGHT => &["state", "level", "colour"],
        DISPLAY => &["state", "page"],
        _ => &["state", "lock"],
    }
}

fn default_of(device: ActuatorId) -> Option<(&'static str, Value)> {
    match device {
        RECORDER => Some(("state", word("paused"))),
        LIGHT => Some(("state", word("off"))),
        DISPLAY => Some(("page", word("menu"))),
        _ => None,
    }
}

fn safe_of(device: ActuatorId) -> Option<(&'static str, Value)> {
    match device {
        RECORDER => Some(("state", word("paused"))),
        DISPLAY => Some(("page", word("menu"))),
        DOOR => Some(("state", word("open"))),
        _ => None,
    }
}

#[derive(Clone, Debug)]
enum Op {
    Do { rule: u16, level: u8, device: ActuatorId, verb: &'static str, arg: Option<(&'static str, Value)> },
    Hold { holder: u32, level: u8, device: ActuatorId, property: &'static str, value: Value },
    Forbid { holder: u32, level: u8, device: ActuatorId, verb: &'static str },
    Release { holder: u32 },
}

#[derive(Clone, Debug)]
enum Move {
    Step(Vec<Op>),
    Report(ActuatorId, &'static str, Value),
    Act(ActuatorId, &'static str, Option<(&'static str, Value)>),
}

#[derive(Clone, Copy, PartialEq)]
enum Doing {
    Idle,
    Held,
    Manual,
    Blocked,
}

#[derive(Clone, Copy, PartialEq)]
enum Was {
    Sent(Value),
    Touched,
}

/// What the reference knows of one device.
#[derive(Clone)]
struct Known {
    doing: Doing,
    reported: BTreeMap<&'static str, Value>,
    commanded: BTreeMap<&'static str, Value>,
    last: BTreeMap<&'static str, Was>,
    manual: BTreeMap<&'static str, Value>,
    applied: BTreeMap<&'static str, (u32, Value)>,
    dropped: Dropped,
    /// What it was told before the last command, and when a hand was last at it.
    before: BTreeMap<&'static str, Value>,
    since: u64,
}

/// The reference: everything in plain lists, searched from end to end each time.
struct Reference {
    /// (claim, since)
    claims: Vec<(Op, u64)>,
    devices: Vec<Known>,
    sent: Vec<String>,
    /// Devices to settle with the next step.
    pending: Vec<ActuatorId>,
    /// The device, if any, of which a hand's value is a hold.
    by_hand: Option<ActuatorId>,
    seq: u64,
}

fn holder_of(op: &Op) -> u32 {
    match op {
        Op::Hold { holder, .. } | Op::Forbid { holder, .. } | Op::Release { holder } => *holder,
        Op::Do { .. } => u32::MAX,
    }
}

fn device_of(op: &Op) -> ActuatorId {
    match op {
        Op::Hold { device, .. } | Op::Forbid { device, .. } | Op::Do { device, .. } => *device,
        Op::Release { .. } => unreachable!("a release is no claim"),
    }
}

impl Reference {
    fn new(by_hand: Option<ActuatorId>) -> Self {
        let known = Known {
            doing: Doing::Idle,
            reported: BTreeMap::new(),
            commanded: BTreeMap::new(),
            last: BTreeMap::new(),
            manual: BTreeMap::new(),
            applied: BTreeMap::new(),
            dropped: Dropped::default(),
            before: BTreeMap::new(),
            since: 0,
        };
        Self { claims: Vec::new(), devices: vec![known; 4], sent: Vec::new(), pending: Vec::new(), by_hand, seq: 0 }
    }

    fn forbidden(&self, device: ActuatorId, verb: &str, arg: Option<(&'static str, Value)>, level: u8) -> bool {
        let stopped = self.claims.iter().any(|(c, _)| {
            matches!(c, Op::Forbid { level: l, device: d, verb: v, .. } if *d == device && *v == verb && *l < level)
        });
        stopped && !Self::is_safe(device, verb, arg)
    }

    fn is_safe(device: ActuatorId, verb: &str, arg: Option<(&'static str, Value)>) -> bool {
        safe_of(device).is_some_and(|safe| sets(device, verb, arg).0.contains(&safe))
    }

    fn in_hand(&self, device: ActuatorId) -> bool {
        self.by_hand == Some(device) && !self.devices[device.index()].manual.is_empty()
    }

    /// The hold that wins a property, where it stands above a hand on the device.
    fn winner(&self, device: ActuatorId, property: &str) -> Option<(u8, u32, Value, u64)> {
        let since = self.devices[device.index()].since;
        let user = USER_LEVEL_DEFAULT.0;
        self.best(device, property)
            .filter(|(level, .., at)| !self.in_hand(device) || *level < user || *level == user && *at > since)
    }

    fn taken(&mut self, device: ActuatorId) {
        self.devices[device.index()].since = self.seq;
        if self.by_hand == Some(device) || self.devices[device.index()].doing != Doing::Held {
            self.devices[device.index()].doing = Doing::Manual;
            if !self.pending.contains(&device) {
                self.pending.push(device);
            }
        }
    }

    /// (level, holder, value, since) of the hold that would win a property without a hand.
    fn best(&self, device: ActuatorId, property: &str) -> Option<(u8, u32, Value, u64)> {
        let mut holds: Vec<(u8, u32, Value, u64)> = Vec::new();
        for (claim, since) in &self.claims {
            let Op::Hold { holder, level, device: d, property: p, value } = claim else { continue };
            let (p, (verb, arg)) = told(*d, p, *value);
            if *d == device && p == property && !self.forbidden(device, verb, arg, *level) {
                holds.push((*level, *holder, *value, *since));
            }
        }
        holds.sort_by_key(|&(level, holder, _, since)| (level, u64::MAX - since, holder));
        holds.first().copied()
    }

    fn send(&mut self, device: ActuatorId, told: Told, by: Option<u16>, one_shot: bool) {
        let (verb, arg) = told;
        let (set, whole) = sets(device, verb, arg);
        let was_in_hand = one_shot && self.in_hand(device);
        let known = &mut self.devices[device.index()];
        for &property in properties(device) {
            match set.iter().find(|(p, _)| *p == property) {
                Some(&(_, value)) => {
                    match known.commanded.insert(property, value) {
                        Some(old) => known.before.insert(property, old),
                        None => known.before.remove(property),
                    };
                    known.last.insert(property, Was::Sent(value));
                }
                None if whole || property == "state" => {
                    known.last.insert(property, Was::Touched);
                }
                None => {}
            }
            if one_shot && (whole || set.iter().any(|(p, _)| *p == property)) {
                known.manual.remove(property);
            }
        }
        if was_in_hand && self.devices[device.index()].manual.is_empty() {
            for &property in properties(device) {
                match self.best(device, property) {
                    Some((_, holder, value, _)) => {
                        self.devices[device.index()].applied.insert(property, (holder, value));
                        self.devices[device.index()].doing = Doing::Held;
                    }
                    None => _ = self.devices[device.index()].applied.remove(property),
                }
            }
        }
        let known = &mut self.devices[device.index()];
        if one_shot && known.doing == Doing::Blocked || known.doing == Doing::Manual && known.manual.is_empty() {
            known.doing = Doing::Idle;
        }
        let args = arg.map_or_else(String::new, |(p, v)| format!("{p}: {}", text(&v)));
        let by = by.map_or_else(|| "-".to_owned(), |r| r.to_string());
        self.sent.push(format!("{device}.{verb}({args}) by {by}"));
    }

    fn perform(&mut self, device: ActuatorId, told: Told, by: Option<u16>, level: u8) -> bool {
        let (verb, arg) = told;
        if verb == "auto" {
            let was_in_hand = self.in_hand(device);
            let known = &mut self.devices[device.index()];
            known.manual.clear();
            if known.doing == Doing::Manual {
                known.doing = Doing::Held;
                self.settle(device);
            } else if was_in_hand {
                self.settle(device);
            }
            return true;
        }
        if self.forbidden(device, verb, arg, level) {
            self.devices[device.index()].dropped.forbidden += 1;
            return false;
        }
        let hand = |p: &str, v: &Value| {
            self.in_hand(device)
                && level > USER_LEVEL_DEFAULT.0
                && self.devices[device.index()].manual.get(p) != Some(v)
        };
        let against = sets(device, verb, arg)
            .0
            .iter()
            .any(|(p, v)| hand(p, v) || self.winner(device, p).is_some_and(|(l, _, held, _)| l < level && held != *v));
        if against && !Self::is_safe(device, verb, arg) {
            self.devices[device.index()].dropped.overruled += 1;
            return false;
        }
        self.send(device, told, by, true);
        true
    }

    fn step(&mut self, seq: u64, ops: &[Op]) {
        let mut touched: Vec<ActuatorId> = std::mem::take(&mut self.pending);
        for op in ops {
            if let Op::Hold { level, device, property, value, .. } = op {
                let (verb, arg) = told(*device, property, *value).1;
                if self.forbidden(*device, verb, arg, *level) {
                    self.devices[device.index()].dropped.forbidden += 1;
                }
            }
            if matches!(op, Op::Do { .. }) {
                continue;
            }
            let old = self.claims.iter().position(|(c, _)| holder_of(c) == holder_of(op));
            let unchanged = old.is_some_and(|i| match (&self.claims[i].0, op) {
                (
                    Op::Hold { level: a, device: d, property: p, value: v, .. },
                    Op::Hold { level: b, device: e, property: q, value: w, .. },
                ) => (a, d, told(*d, p, *v).0, v) == (b, e, told(*e, q, *w).0, w),
                (Op::Forbid { level: a, device: d, verb: v, .. }, Op::Forbid { level: b, device: e, verb: w, .. }) => {
                    (a, d, v) == (b, e, w)
                }
                _ => false,
            });
            if unchanged {
                continue;
            }
            if let Some(i) = old {
                touched.push(device_of(&self.claims.remove(i).0));
            }
            if !matches!(op, Op::Release { .. }) {
                self.claims.push((op.clone(), seq));
                touched.push(device_of(op));
            }
        }
        for op in ops {
            if let Op::Do { rule, level, device, verb, arg } = op {
                let sent = self.perform(*device, (verb, *arg), Some(*rule), *level);
                if sent && *level == USER_LEVEL_DEFAULT.0 && self.by_hand == Some(*device) {
                    self.set_by_hand(*device, (verb, *arg));
                    touched.append(&mut self.pending);
                }
            }
        }
        let mut done = Vec::new();
        for device in touched {
            if !done.contains(&device) {
                done.push(device);
                self.settle(device);
            }
        }
    }

    fn settle(&mut self, device: ActuatorId) {
        let stands = |me: &Self, p, v| me.devices[device.index()].last.get(p) == Some(&Was::Sent(v));
        let mut held = false;
        for &property in properties(device) {
            let Some((_, holder, value, _)) = self.winner(device, property) else {
                self.devices[device.index()].applied.remove(property);
                continue;
            };
            held = true;
            let before = self.devices[device.index()].applied.insert(property, (holder, value));
            if before != Some((holder, value)) && !stands(self, property, value) {
                self.send(device, told(device, property, value).1, Some(holder as u16), false);
            }
        }
        let doing = self.devices[device.index()].doing;
        if held {
            if doing != Doing::Held && self.by_hand != Some(device) {
                self.devices[device.index()].manual.clear();
            }
            self.devices[device.index()].doing = Doing::Held;
            return;
        }
        if matches!(doing, Doing::Idle | Doing::Manual) {
            return;
        }
        for &property in properties(device) {
            let Some(&value) = self.devices[device.index()].manual.get(property) else { continue };
            let order = told(device, property, value).1;
            if self.forbidden(device, order.0, order.1, USER_LEVEL_DEFAULT.0) {
                self.devices[device.index()].manual.remove(property);
            } else if !stands(self, property, value) {
                self.send(device, order, None, false);
            }
        }
        if !self.devices[device.index()].manual.is_empty() {
            self.devices[device.index()].doing = Doing::Manual;
            return;
        }
        if properties(device).iter().any(|p| self.best(device, p).is_some()) {
            return self.settle(device);
        }
        self.devices[device.index()].doing = Doing::Idle;
        if let Some((property, value)) = default_of(device) {
            let order = told(device, property, value).1;
            if self.forbidden(device, order.0, order.1, u8::MAX) {
                self.devices[device.index()].doing = Doing::Blocked;
                self.devices[device.index()].dropped.forbidden += u32::from(doing != Doing::Blocked);
            } else if !stands(self, property, value) {
                self.send(device, order, None, false);
            }
        }
    }

    fn report(&mut self, device: ActuatorId, property: &'static str, value: Value) {
        let known = &mut self.devices[device.index()];
        let before = known.reported.insert(property, value);
        if before == Some(value) {
            return;
        }
        let close = |a: f64, b: f64| (a - b).abs() <= f64::max(0.5, 0.01 * a.abs());
        // Reports in these tests come within two seconds of every command.
        let tells_of_before = match (known.before.get(property), value) {
            (Some(Value::Number(a)), Value::Number(b)) => close(*a, b),
            (Some(a), b) => *a == b,
            (None, _) => false,
        };
        match (known.last.get(property), value) {
            (Some(Was::Touched), _) => {
                known.last.remove(property);
                return;
            }
            (Some(Was::Sent(Value::Number(a))), Value::Number(b)) if close(*a, b) => return,
            (Some(Was::Sent(a)), _) if *a == value => return,
            (Some(Was::Sent(Value::Number(to))), Value::Number(here)) if matches!(before, Some(Value::Number(from)) if from.min(*to) <= here && here <= from.max(*to)) =>
            {
                return;
            }
            (Some(Was::Sent(_)), _) if tells_of_before => return,
            _ => known.last.remove(property),
        };
        let user = USER_LEVEL_DEFAULT.0;
        let locked = match self.by_hand == Some(device) {
            true => properties(device).iter().any(|p| self.best(device, p).is_some_and(|(level, ..)| level < user)),
            false => self.devices[device.index()].doing == Doing::Held,
        };
        if before.is_some() && !locked {
            self.devices[device.index()].manual.insert(property, value);
            self.taken(device);
        }
    }

    fn act(&mut self, device: ActuatorId, told: Told) {
        if self.perform(device, told, None, USER_LEVEL_DEFAULT.0) {
            self.set_by_hand(device, told);
        }
    }

    fn set_by_hand(&mut self, device: ActuatorId, told: Told) {
        for (property, value) in sets(device, told.0, told.1).0 {
            self.devices[device.index()].manual.insert(property, value);
        }
        if !self.devices[device.index()].manual.is_empty() {
            self.taken(device);
        }
    }
}

fn any_property() -> impl Strategy<Value = (ActuatorId, &'static str, Value)> {
    let words = |d, p, all: &'static [&'static str]| proptest::sample::select(all).prop_map(move |w| (d, p, word(w)));
    let numbers = |p| proptest::sample::select(&[0.0, 30.0, 80.0][..]).prop_map(move |x| (LIGHT, p, Value::Number(x)));
    prop_oneof![
        words(RECORDER, "state", &["recording", "paused", "stopped"]),
        words(LIGHT, "state", &["on", "off"]),
        numbers("level"),
        numbers("colour"),
        words(DISPLAY, "state", &["showing", "blank", "menu"]),
        words(DISPLAY, "page", &["menu", "evacuate"]),
        words(DOOR, "state", &["open", "closed"]),
        words(DOOR, "lock", &["open", "locked"]),
    ]
}

fn any_command() -> impl Strategy<Value = (ActuatorId, &'static str, Option<(&'static str, Value)>)> {
    let plain = |d, all: &'static [&'static str]| proptest::sample::select(all).prop_map(move |v| (d, v, None));
    let page = proptest::sample::select(&["menu", "evacuate"][..]);
    prop_oneof![
        plain(RECORDER, &["start", "pause", "resume", "stop"]),
        plain(LIGHT, &["on", "off", "auto"]),
        (0..3u8).prop_map(|x| (LIGHT, "set", Some(("level", Value::Number(f64::from(x) * 40.0))))),
        plain(DISPLAY, &["wake", "blank"]),
        page.prop_map(|p| (DISPLAY, "show", Some(("page", word(p))))),
        plain(DOOR, &["open", "close", "lock", "unlock"]),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    let hold = (0..8u32, 0..6u8, any_property());
    prop_oneof![
        4 => hold.prop_map(|(holder, level, (device, property, value))| Op::Hold { holder, level, device, property, value }),
        3 => (0..12u32).prop_map(|holder| Op::Release { holder }),
        2 => (0..6u8, any_command())
            .prop_map(|(level, (device, verb, arg))| Op::Do { rule: 99, level, device, verb, arg }),
        1 => (8..12u32, 0..6u8, any_command())
            .prop_map(|(holder, level, (device, verb, _))| Op::Forbid { holder, level, device, verb }),
    ]
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        6 => proptest::collection::vec(any_op(), 0..5).prop_map(Move::Step),
        2 => any_property().prop_map(|(d, p, v)| match told(d, p, v).0 { "page" => Move::Report(d, "page", v), p => Move::Report(d, p, v) }),
        1 => any_command().prop_map(|(d, v, a)| Move::Act(d, v, a)),
    ]
}

fn effect(op: &Op) -> Effect {
    match *op {
        Op::Do { rule, level, device, verb, arg } => {
            perform(rule, level, device, verb, &arg.into_iter().collect::<Vec<_>>())
        }
        Op::Hold { holder, level, device, property, value } => hold(holder, level, device, property, value),
        Op::Forbid { holder, level, device, verb } => forbid(holder, level, device, verb),
        Op::Release { holder } => release(holder),
    }
}

/// Plays one move on a plan; the commands it sent.
fn play(plan: &mut Plan, seq: u64, m: &Move) -> Vec<Command> {
    let (mut out, mut changed) = (Vec::new(), Vec::new());
    match m {
        Move::Step(ops) => {
            let mut effects: Vec<Effect> = ops.iter().map(effect).collect();
            plan.step(tag(seq), None, 0, &mut effects, &mut out, &mut changed);
        }
        Move::Report(actuator, property, value) => {
            let report = Report { actuator: *actuator, property: name(property), value: *value, source_seq: None };
            plan.on_report(tag(seq), &report, &mut changed);
        }
        Move::Act(actuator, verb, arg) => {
            let arg = arg.map(|(n, v)| (name(n), v));
            let action = OperatorAction::Act { actuator: *actuator, verb: name(verb), arg };
            plan.on_operator(tag(seq), 0, &action, &mut out, &mut changed);
        }
    }
    out
}

fn everything_known(plan: &Plan) -> Vec<(ActuatorId, &'static str, Option<Value>)> {
    let devices = (0..4).map(ActuatorId);
    devices.flat_map(|d| properties(d).iter().map(move |&p| (d, p, plan.device(d, name(p))))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitration_is_the_slow_obvious_one(
        moves in proptest::collection::vec(any_move(), 1..40), by_hand in any::<bool>(),
    ) {
        let by_hand = by_hand.then_some(LIGHT);
        let (mut plan, mut reference) = (Plan::new(&site()), Reference::new(by_hand));
        let lease_level = Some(LevelRank(2));
        plan.agree(&Terms { by_hand: by_hand.into_iter().collect(), lease_level, ..Terms::default() });
        for (seq, m) in (1..).zip(&moves) {
            reference.seq = seq;
            let got: Vec<String> = play(&mut plan, seq, m).iter().map(show).collect();
            reference.sent.clear();
            match m {
                Move::Step(ops) => reference.step(seq, ops),
                Move::Report(d, p, v) => reference.report(*d, p, *v),
                Move::Act(d, v, a) => reference.act(*d, (v, *a)),
            }
            prop_assert_eq!(&got, &reference.sent, "at {:?}", m);
            for (d, p, value) in everything_known(&plan) {
                let known = &reference.devices[d.index()];
                prop_assert_eq!(value, known.reported.get(p).or(known.commanded.get(p)).copied());
                let held = plan.holder(d, name(p)).map(|(_, h, l)| (l, h));
                let winner = reference.winner(d, p).map(|(l, h, ..)| (LevelRank(l), HolderId(h)));
                // A hand takes a device from its holder as the next step settles.
                prop_assert!(held == winner || reference.pending.contains(&d), "{held:?} and {winner:?}");
                prop_assert_eq!(plan.dropped(d), known.dropped);
                // A lease is a hold of a high level of a device with a safe state, and nothing else is renewed.
                let mut renewals = 0;
                plan.renew(d, |_| renewals += 1);
                let high = |p: &str| plan.holder(d, name(p)).is_some_and(|(.., level)| level <= LevelRank(2));
                prop_assert!(renewals <= properties(d).iter().filter(|p| high(p)).count());
                prop_assert_eq!(plan.lease(d).is_some(), renewals > 0 && safe_of(d).is_some());
            }
        }
    }

    #[test]
    fn changed_names_every_device_of_which_something_else_is_known(
        batches in proptest::collection::vec(proptest::collection::vec(any_op(), 0..5), 1..20),
    ) {
        let mut plan = Plan::new(&site());
        for (seq, ops) in (1..).zip(&batches) {
            let before = everything_known(&plan);
            let (_, changed) = step(&mut plan, seq, ops.iter().map(effect).collect());
            let after = everything_known(&plan);
            let mut differ: Vec<ActuatorId> =
                before.iter().zip(&after).filter(|(b, a)| b != a).map(|(b, _)| b.0).collect();
            differ.dedup();
            // A value may go away and come back inside one step: then it is named too.
            prop_assert!(differ.iter().all(|d| changed.contains(d)), "{differ:?} in {changed:?}");
        }
    }

    #[test]
    fn a_restored_state_continues_identically(
        moves in proptest::collection::vec(any_move(), 1..30), cut in 0..30usize,
    ) {
        let (mut plan, mut other) = (Plan::new(&site()), Plan::new(&site()));
        let terms = Terms { lease_level: Some(LevelRank(2)), ..Terms::default() };
        plan.agree(&terms);
        other.agree(&terms);
        let (mut bytes, mut again) = (Vec::new(), Vec::new());
        for (i, m) in moves.iter().enumerate() {
            if i == cut % moves.len() {
                plan.save(&mut bytes);
                other.restore(&bytes).unwrap();
                other.save(&mut again);
                prop_assert_eq!(&bytes, &again);
            }
            let seq = i as u64 + 1;
            let sent = play(&mut plan, seq, m);
            if !bytes.is_empty() {
                prop_assert_eq!(sent, play(&mut other, seq, m));
                for device in (0..4).map(ActuatorId) {
                    prop_assert_eq!(plan.lease(device), other.lease(device));
                }
                prop_assert_eq!(everything_known(&plan), everything_known(&other));
            }
        }
        let (mut a, mut b) = (Vec::new(), Vec::new());
        plan.save(&mut a);
        other.save(&mut b);
        prop_assert_eq!(a, b);
    }

    #[test]
    fn devices_do_not_disturb_each_other(batches in proptest::collection::vec(proptest::collection::vec(any_op(), 0..6), 1..20)) {
        // One holder holds one thing here, so that an effect is about one device only.
        let own = |op: &Op| match *op {
            Op::Hold { holder, level, device, property, value } =>
                Op::Hold { holder: holder * 4 + u32::from(device.0), level, device, property, value },
            Op::Forbid { holder, level, device, verb } => Op::Forbid { holder: holder * 4 + u32::from(device.0), level, device, verb },
            ref other => other.clone(),
        };
        let about = |op: &Op| match op {
            Op::Release { holder } => ActuatorId((holder % 4) as u16),
            other => device_of(other),
        };
        let (mut together, mut sorted) = (Plan::new(&site()), Plan::new(&site()));
        for (seq, ops) in (1..).zip(&batches) {
            let ops: Vec<Op> = ops.iter().map(own).collect();
            let mut by_device = ops.clone();
            by_device.sort_by_key(|op| std::cmp::Reverse(about(op)));
            let mut a = step(&mut together, seq, ops.iter().map(effect).collect()).0;
            let mut b = step(&mut sorted, seq, by_device.iter().map(effect).collect()).0;
            a.sort();
            b.sort();
            prop_assert_eq!(a, b);
        }
        prop_assert_eq!(everything_known(&together), everything_known(&sorted));
    }
}
