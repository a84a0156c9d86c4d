//! A small site to arbitrate over, and short ways to write effects.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use osmose_model::command::{Args, Cause, Command, Effect, LevelRank, Trigger, Value};
use osmose_model::device::{Actuator, ActuatorKind};
use osmose_model::ids::{ActuatorId, HolderId, Name, RuleId, Seq};
use osmose_model::input::Tag;
use osmose_model::site::Site;
use osmose_model::stages::Arbitrate;
use osmose_model::time::LogicalNs;
use osmose_plan::Plan;

pub(crate) fn name(s: &str) -> Name {
    Name::new(s).expect("a short name")
}

pub(crate) fn word(s: &str) -> Value {
    Value::Name(name(s))
}

fn actuator(id: usize, label: &str, kind: ActuatorKind, default: Option<&str>, safe: Option<&str>) -> Actuator {
    let lease = safe.map(|_| osmose_model::device::LEASE_DEFAULT);
    Actuator { default: default.map(name), safe: safe.map(name), lease, ..Actuator::plain(id as u16, label, kind) }
}

pub(crate) const RECORDER: ActuatorId = ActuatorId(0);
pub(crate) const LIGHT: ActuatorId = ActuatorId(1);
pub(crate) const DISPLAY: ActuatorId = ActuatorId(2);
pub(crate) const DOOR: ActuatorId = ActuatorId(3);

/// A recorder (default and safe: paused), a light (default off), a display (default page menu), a door (no default).
pub(crate) fn site() -> Site {
    let actuators = vec![
        actuator(0, "m7.recorder", ActuatorKind::Recorder, Some("paused"), Some("paused")),
        actuator(1, "m7.light", ActuatorKind::Light, Some("off"), None),
        actuator(2, "m7.display", ActuatorKind::Display, Some("menu"), Some("menu")),
        actuator(3, "m7.door", ActuatorKind::Door, None, Some("open")),
    ];
    site_of(actuators)
}

pub(crate) fn site_of(actuators: Vec<Actuator>) -> Site {
    Site { actuators, ..Site::plain("test") }
}

/// Lights numbered from 0, none with a default.
pub(crate) fn lights(n: usize) -> Site {
    site_of((0..n).map(|i| actuator(i, &format!("l{i}"), ActuatorKind::Light, Some("off"), None)).collect())
}

pub(crate) fn tag(seq: u64) -> Tag {
    Tag { at: LogicalNs(seq as i64 * 1_000_000), seq: Seq(seq) }
}

pub(crate) fn cause() -> Cause {
    Cause::new(Trigger::Timer)
}

pub(crate) fn args(pairs: &[(&str, Value)]) -> Args {
    pairs.iter().map(|&(n, v)| (name(n), v)).collect()
}

/// A `do` of rule `rule`.
pub(crate) fn perform(rule: u16, level: u8, device: ActuatorId, verb: &str, pairs: &[(&str, Value)]) -> Effect {
    let (rule, level) = (RuleId(rule), LevelRank(level));
    Effect::Do { rule, level, device, verb: name(verb), args: args(pairs), cause: cause() }
}

/// A hold by holder `holder`, of the rule of the same number.
pub(crate) fn hold(holder: u32, level: u8, device: ActuatorId, property: &str, value: Value) -> Effect {
    let (rule, level, holder) = (RuleId(holder as u16), LevelRank(level), HolderId(holder));
    Effect::Hold { holder, rule, level, device, property: name(property), value, cause: cause() }
}

pub(crate) fn release(holder: u32) -> Effect {
    Effect::Release { holder: HolderId(holder), cause: cause() }
}

pub(crate) fn forbid(holder: u32, level: u8, device: ActuatorId, verb: &str) -> Effect {
    let (rule, level, holder) = (RuleId(holder as u16), LevelRank(level), HolderId(holder));
    Effect::Forbid { holder, rule, level, device, verb: name(verb), cause: cause() }
}

pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Name(n) => n.to_string(),
        Value::Number(x) => x.to_string(),
        other => format!("{other:?}"),
    }
}

/// `device.verb(args) by rule`, short enough to compare in a test.
pub(crate) fn show(c: &Command) -> String {
    let args: Vec<String> = c.args.iter().map(|(n, v)| format!("{n}: {}", text(v))).collect();
    let by = c.rule.map_or_else(|| "-".to_owned(), |r| r.to_string());
    format!("{}.{}({}) by {by}", c.device, c.verb, args.join(", "))
}

/// One step; what went out, shown, and which devices changed.
pub(crate) fn step(plan: &mut Plan, seq: u64, effects: Vec<Effect>) -> (Vec<String>, Vec<ActuatorId>) {
    let (mut effects, mut out, mut changed) = (effects, Vec::new(), Vec::new());
    plan.step(tag(seq), Some(seq + 1000), 0, &mut effects, &mut out, &mut changed);
    assert!(effects.is_empty());
    for (n, c) in out.iter().enumerate() {
        assert_eq!((c.id.seq, c.id.n as usize, c.source_seq), (Seq(seq), n, Some(seq + 1000)));
        assert!(c.args.is_sorted_by_key(|a| a.0));
    }
    assert!(changed.is_sorted_by(|a, b| a < b), "ascending, once each: {changed:?}");
    (out.iter().map(show).collect(), changed)
}
