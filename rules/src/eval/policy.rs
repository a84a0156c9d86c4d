//! Guards: whether a command may go out, whoever sends it. What is not known to be allowed is not.

use super::fire::Decision;
use super::timers::NEVER;
use super::truth::{Peek, Truth};
use super::unit::{Run, Why};
use crate::program::{GuardInfo, HoldTarget, OnUnknown, PersonRef, RuleInfo};
use osmose_model::command::{Args, Cause, Effect, LevelRank, Trigger, Value};
use osmose_model::ids::{ActuatorId, Name, RuleId};
use osmose_model::tri::Tri;

impl Run<'_> {
    /// Whether every policy about a command lets it pass. Tells whom a policy tells where one does not.
    pub(super) fn lets_pass(
        &mut self,
        device: ActuatorId,
        verb: Name,
        args: &Args,
        by: Option<(RuleId, LevelRank)>,
    ) -> bool {
        let program = self.program;
        for guard in program.guards.iter().filter(|g| g.verb == verb && g.devices.binary_search(&device).is_ok()) {
            let about = guard.filter.is_none_or(|filter| self.guard_truth(guard, filter, device, args).may_be_true());
            if about && !self.guard_truth(guard, guard.allow, device, args).is_true() {
                self.tell_refused(guard, device, args, by);
                return false;
            }
        }
        true
    }

    /// Whether a value may be held: as the command that leads to it.
    pub(super) fn hold_passes(&mut self, hold: &HoldTarget, value: &Value, rule: RuleId, level: LevelRank) -> bool {
        let Some(actuator) = self.world.site().actuators.get(hold.device.index()) else { return true };
        let word = match value {
            Value::Name(word) => Some(word.as_str()),
            _ => None,
        };
        let by_state = word.filter(|_| hold.property == "state").and_then(|state| actuator.kind.verb_to(state));
        let by_property = actuator.kind.verbs().iter().find(|v| v.sets == Some(hold.property.as_str()));
        let verb = by_state.or(by_property).map_or("set", |v| v.verb);
        let Some(verb) = Name::new(verb) else { return true };
        let mut args = Args::new();
        args.push((hold.property, *value));
        self.lets_pass(hold.device, verb, &args, Some((rule, level)))
    }

    fn guard_truth(&mut self, guard: &GuardInfo, cond: u32, device: ActuatorId, args: &Args) -> Tri {
        self.guarded(guard, device, args, |truth| truth.cond(cond))
    }

    fn guarded<R>(
        &mut self,
        guard: &GuardInfo,
        device: ActuatorId,
        args: &Args,
        f: impl FnOnce(&mut Truth<'_>) -> R,
    ) -> R {
        // A guard is no rule: it has a confidence of its own and remembers nothing.
        let as_rule = RuleInfo {
            name: String::new(),
            file: String::new(),
            span: Default::default(),
            interlock: false,
            level: LevelRank(0),
            deadline: None,
            shape: 0,
            instances: 0..0,
            settle: Default::default(),
            release_after: Default::default(),
            dampers: Vec::new(),
            on_unknown: OnUnknown::Release,
            protective: false,
            confidence: guard.confidence,
            track_names: [None; 2],
            catch_up: None,
        };
        let mut truth = Truth {
            world: self.world,
            program: self.program,
            rule: &as_rule,
            number: u32::MAX,
            shared: &self.state.shared,
            slots: &mut [],
            contexts: &mut self.state.contexts,
            context: None,
            windows: &mut self.state.windows,
            counters: &self.state.counters,
            released: &self.state.released,
            now: self.now,
            just: None,
            guarded: Some((device, args)),
            event: None,
            settled: false,
            bounds: [None; 3],
            before: None,
            peek: Peek::All,
            ops: &mut *self.ops,
            reset: false,
            gap: None,
            due: NEVER,
            doubt: false,
            keep: false,
        };
        f(&mut truth)
    }

    /// `else drop and tell PERSON`
    fn tell_refused(&mut self, guard: &GuardInfo, device: ActuatorId, args: &Args, by: Option<(RuleId, LevelRank)>) {
        let Some((whom, notifier)) = guard.tell else { return };
        let person = match whom {
            PersonRef::Person(person) => Some(person),
            other => self.guarded(guard, device, args, |truth| truth.person(other)),
        };
        let (Some(person), Some(verb)) = (person, Name::new("send")) else { return };
        let device_name = self.world.site().actuators.get(device.index()).map_or("", |a| a.name.as_str());
        let mut text = osmose_model::command::Text::new();
        for c in guard.name.chars().chain(" refused ".chars()).chain(device_name.chars()) {
            if text.try_push(c).is_err() {
                break;
            }
        }
        let mut told = Args::new();
        told.extend(Name::new("text").map(|n| (n, Value::Text(text))));
        told.extend(Name::new("to").map(|n| (n, Value::Person(person))));
        let (rule, level) = by.unwrap_or((RuleId(u16::MAX), LevelRank(u8::MAX)));
        let trigger = if matches!(self.stimulus, Some(Why::Operator)) { Trigger::Operator } else { Trigger::Timer };
        let cause = match by {
            // The refused rule's own cause says why it wanted to.
            Some((rule, _)) => {
                let number = self.program.rules[rule.index()].instances.start;
                self.cause(number, &Decision::default())
            }
            None => Cause::new(trigger),
        };
        self.out.push(Effect::Do { rule, level, device: notifier, verb, args: told, cause });
    }
}
