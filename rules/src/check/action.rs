//! What rules ask of devices: commands of a `do`, properties of a `hold`, commands of a `forbid`.

use super::Checker;
use super::names::Meaning;
use super::rule::Scope;
use crate::diag::{Diagnostic, Span};
use crate::program::{CountOp, Course, ForbidTarget, HoldTarget, Instance, Send, Step, ValueExpr};
use crate::syntax::ast::{self, Action, AstNode, Expr};
use osmose_model::command::Value;
use osmose_model::device::{ActuatorKind, PropertySpec, VerbSpec};
use osmose_model::ids::{ActuatorId, HolderId, Name, ZoneId};
use osmose_model::limits::ARGS_MAX;

impl Checker<'_> {
    fn kind_of(&self, ids: &[ActuatorId]) -> Option<ActuatorKind> {
        ids.first().map(|id| self.site.actuators[id.index()].kind)
    }

    /// The steps of one action of a `do`, behind those of the actions before it.
    pub(super) fn action(&mut self, scope: &mut Scope, action: &Action, instance: &mut Instance) {
        let mut steps = std::mem::take(&mut instance.steps);
        self.step(scope, action, &mut steps, Some(instance));
        instance.steps = steps;
    }

    /// `within`: the instance, where steps that wait may stand here.
    fn step(&mut self, scope: &mut Scope, action: &Action, steps: &mut Vec<Step>, within: Option<&mut Instance>) {
        let span = action.span();
        if steps.len() >= 64 {
            return self.error("too-many", span, "a `do` has 64 steps at most");
        }
        match action {
            Action::Wait(wait) => match within {
                Some(instance) => self.wait(scope, wait, steps, instance),
                None => self.error("clause", span, "`wait` cannot stand behind `else`: make it a rule of its own"),
            },
            Action::Ask(ask) => match within {
                Some(instance) => self.ask(scope, ask, steps, instance),
                None => self.error("clause", span, "`ask` cannot stand behind `else`: make it a rule of its own"),
            },
            Action::Tell(tell) => {
                let Some(to) = tell.expr() else { return };
                let text = match tell.text() {
                    Some(text) => self.free_value(scope, &Expr::String(text)),
                    None => None,
                };
                let rest: Vec<(Name, u32)> = text.map(|text| (name("text"), text)).into_iter().collect();
                self.message(scope, &to, rest, steps);
            }
            Action::Drop(_) => self.error("clause", span, "`drop` belongs to a `policy`"),
            Action::Send(send) => match (send.assign(), send.expr()) {
                (Some(assign), _) => self.send_assign(scope, &assign, steps),
                (None, Some(Expr::Call(call))) => self.send_call(scope, &call, steps),
                _ => self.error_help("type", span, "expected a command", "write `DEVICE.COMMAND()`"),
            },
        }
    }

    /// `send(to: PERSON, ...)` to the device that takes messages.
    fn message(&mut self, scope: &mut Scope, to: &Expr, mut args: Vec<(Name, u32)>, steps: &mut Vec<Step>) {
        let Some(device) = self.notifier(to.span()) else { return };
        let Some(to) = self.recipient(scope, to) else { return };
        args.push((name("to"), self.push_value(to)));
        args.sort_unstable();
        steps.push(Step::Send(Send { device, verb: name("send"), args }));
    }

    /// `wait 30 s [unless COND]`
    fn wait(&mut self, scope: &mut Scope, wait: &ast::WaitAction, steps: &mut Vec<Step>, instance: &mut Instance) {
        let Some(length) = wait.expr().and_then(|e| self.duration(&e)) else { return };
        let unless = wait.unless().map(|expr| {
            let slots = (scope.slots, scope.track_slots);
            let cond = self.cond(scope, &expr);
            if slots != (scope.slots, scope.track_slots) {
                let help = "what ends a wait is asked as it is now: leave out `for`, `until` and `within`";
                self.error_help("type", expr.span(), "this remembers", help);
            }
            cond
        });
        instance.waits = true;
        steps.push(Step::Wait { length, unless });
    }

    /// `ask PERSON "..." answered within 5 min else ...`
    fn ask(&mut self, scope: &mut Scope, ask: &ast::AskAction, steps: &mut Vec<Step>, instance: &mut Instance) {
        let (Some(to), Some(length)) = (ask.expr(), ask.within()) else {
            let help = "write `ask ana \"Still coming?\" answered within 5 min else ...`";
            return self.error_help("clause", ask.span(), "a question needs somebody and a time to answer", help);
        };
        let Some(length) = self.duration(&length) else { return };
        let Some(text) = ask.text() else {
            return self.error("clause", ask.span(), "what is asked? write it in quotes behind the person");
        };
        let (Some(device), Some(to)) = (self.notifier(to.span()), self.recipient(scope, &to)) else { return };
        let Some(text) = self.free_value(scope, &Expr::String(text)) else { return };
        let mut args = vec![
            (name("to"), self.push_value(to)),
            (name("text"), text),
            (name("ask"), self.push_value(ValueExpr::Question)),
        ];
        args.sort_unstable();
        let mut otherwise: Vec<Step> = Vec::new();
        for action in ask.otherwise() {
            self.step(scope, &action, &mut otherwise, None);
        }
        instance.branches.push(otherwise);
        instance.waits = true;
        scope.deps.devices.push(device);
        let send = Send { device, verb: name("send"), args };
        steps.push(Step::Ask { send, length, otherwise: (instance.branches.len() - 1) as u32 });
    }

    /// `do r.lights.level = 30 %`, `do house = away`
    fn send_assign(&mut self, scope: &mut Scope, assign: &ast::Assign, steps: &mut Vec<Step>) {
        let (Some(target), Some(value)) = (assign.target(), assign.value()) else { return };
        if let Meaning::Mode { mode, place } = self.meaning(scope, &target) {
            let word = super::cond::word_of(&scope.resolved(&value));
            if let Some(value) = self.mode_value(mode, &word, value.span()) {
                steps.push(Step::Mode { mode: place, value });
            }
            return;
        }
        for (span, what) in [(assign.every(), "every"), (assign.step(), "step"), (assign.band(), "band")] {
            if let Some(expr) = span {
                self.error("clause", expr.span(), format!("`{what}` belongs to a `hold`: a command is sent once"));
            }
        }
        let over = match assign.over() {
            Some(expr) => match self.duration(&expr) {
                Some(length) => Some(length),
                None => return,
            },
            None => None,
        };
        let Some((ids, spec, value)) = self.assignment(scope, assign) else { return };
        let Some(property) = Name::new(spec.property) else { return };
        let mut args = vec![(property, value)];
        if let Some(over) = over {
            // The device fades by itself: it is told how long.
            args.push((name("over_s"), self.push_value(ValueExpr::Const(Value::Number(over.as_s_f64())))));
            args.sort_unstable();
        }
        for device in ids {
            steps.push(Step::Send(Send { device, verb: name("set"), args: args.clone() }));
        }
    }

    /// Target and value of an assignment; `None` after reporting.
    fn assignment(&mut self, scope: &mut Scope, assign: &ast::Assign) -> Option<(Vec<ActuatorId>, PropertySpec, u32)> {
        let (target, value) = (assign.target()?, assign.value()?);
        let (ids, spec) = match self.meaning(scope, &target) {
            Meaning::Property { ids, spec } => (ids, spec),
            // `all doors.lock` where the site has no door: warned of already, and nothing to do.
            Meaning::Devices(ids) if ids.is_empty() => return None,
            Meaning::Devices(ids) => {
                let properties = self.kind_of(&ids).map_or(&[][..], ActuatorKind::properties);
                let known: Vec<&str> = properties.iter().map(|p| p.property).collect();
                let help = format!("name one of: {}", known.join(", "));
                self.error_help("type", target.span(), "which property of the device?", help);
                return None;
            }
            other => {
                self.wrong_kind(target.span(), "a device's property", &other);
                return None;
            }
        };
        let value = self.property_value(scope, &spec, &value)?;
        Some((ids, spec, value))
    }

    /// `notify(a, b, card)`: each person is told of it, and who the others are.
    fn notify(&mut self, scope: &mut Scope, call: &ast::Call, steps: &mut Vec<Step>) {
        let args: Vec<Expr> = call.args().filter_map(|a| a.expr()).collect();
        let Some((what, people)) = args.split_last().filter(|(_, people)| !people.is_empty()) else {
            let help = "write `notify(p, \"text\")`";
            return self.error_help("arguments", call.span(), "`notify` takes whom to tell, then what", help);
        };
        let what = match what {
            Expr::String(_) => self.free_value(scope, what).map(|text| (name("text"), text)),
            Expr::Name(word) if scope.var(&word.text()).is_none() => {
                let card = |word| (name("card"), self.push_value(ValueExpr::Const(Value::Name(word))));
                Name::new(&word.text()).map(card)
            }
            other => self.free_value(scope, other).map(|value| (name("text"), value)),
        };
        let Some(what) = what else { return };
        for (place, person) in people.iter().enumerate() {
            let mut rest = vec![what];
            // Of two each learns of the other.
            if let [a, b] = people
                && let Some(other) = self.recipient(scope, if place == 0 { b } else { a })
            {
                rest.push((name("about"), self.push_value(other)));
            }
            self.message(scope, person, rest, steps);
        }
    }

    /// `r.visits.add()`, `credit.add(2, for: 8 s)`, `credit.take()`, `visits.reset()`
    fn count_call(
        &mut self,
        scope: &mut Scope,
        (counter, place): (u16, u16),
        word: &ast::Name,
        call: &ast::Call,
        steps: &mut Vec<Step>,
    ) {
        let (mut by, mut lasts, mut until) = (1_u32, self.program.counters[usize::from(counter)].lasts, None);
        for arg in call.args() {
            let Some(expr) = arg.expr() else { continue };
            match arg.name().map(|n| n.text()).as_deref() {
                None => match self.number(scope, &expr).and_then(|(id, _)| self.constant(id)) {
                    Some(value) if (1.0..=32.0).contains(&value) => by = value as u32,
                    _ => return self.error("type", expr.span(), "expected how many: a plain number from 1 to 32"),
                },
                Some("for") => match self.duration(&expr) {
                    Some(length) => lasts = Some(length),
                    None => return,
                },
                Some("until") => match self.meaning(scope, &expr) {
                    Meaning::Clock(ns) => until = Some(ns),
                    other => {
                        self.wrong_kind(expr.span(), "a time of day such as 18:00", &other);
                        return;
                    }
                },
                Some(other) => {
                    return self.unknown_name(arg.span(), "argument of a counter", other, ["for", "until"]);
                }
            }
        }
        let op = match word.text().as_str() {
            "add" => CountOp::Add { by, lasts, until },
            "take" => CountOp::Take(by),
            "reset" => CountOp::Reset,
            other => {
                return self.unknown_name(word.span(), "command of a counter", other, ["add", "take", "reset"]);
            }
        };
        steps.push(Step::Count { counter: place, op });
    }

    fn send_call(&mut self, scope: &mut Scope, call: &ast::Call, steps: &mut Vec<Step>) {
        let (base, command) = match call.expr() {
            Some(Expr::Field(field)) => match (field.expr(), field.name()) {
                (Some(base), Some(command)) => (base, command),
                _ => return,
            },
            Some(Expr::Name(function)) if function.text() == "notify" => return self.notify(scope, call, steps),
            _ => return self.error_help("type", call.span(), "expected a command", "write `DEVICE.COMMAND()`"),
        };
        let ids = match self.meaning(scope, &base) {
            Meaning::Devices(ids) => ids,
            Meaning::Counter { counter, place } => {
                return self.count_call(scope, (counter, place), &command, call, steps);
            }
            Meaning::Calendar { calendar, zone } => {
                if command.text() != "release" {
                    return self.unknown_name(command.span(), "command of a calendar", &command.text(), ["release"]);
                }
                return self.release(scope, calendar, zone, steps);
            }
            other => {
                self.wrong_kind(base.span(), "a device", &other);
                return;
            }
        };
        let Some(kind) = self.kind_of(&ids) else { return };
        let Some(verb) = self.verb_of(kind, &command.text(), command.span()) else { return };
        let mut args: Vec<(Name, u32)> = Vec::new();
        for arg in call.args() {
            if let Some(arg) = self.argument(scope, kind, &verb, &arg) {
                if args.iter().any(|(n, _)| *n == arg.0) {
                    self.error("arguments", call.span(), format!("argument `{}` stands twice", arg.0));
                }
                args.push(arg);
            }
        }
        if args.len() > ARGS_MAX {
            self.error("arguments", call.span(), format!("a command takes {ARGS_MAX} arguments at most"));
        }
        args.sort_unstable();
        for device in ids {
            steps.push(Step::Send(Send { device, verb: name(verb.verb), args: args.clone() }));
        }
    }

    /// `r.booking.release()`: the building forgets the booking, and an actuator called as the calendar, where there is
    /// one, is told to let go of it.
    fn release(&mut self, scope: &mut Scope, calendar: u16, zone: Option<ZoneId>, steps: &mut Vec<Step>) {
        let resource = &self.site.resources[usize::from(calendar)];
        let outside = self.site.actuator_named(&resource.name);
        if let Some(device) = outside.filter(|id| self.site.actuators[id.index()].kind == ActuatorKind::Notify) {
            let mut args = vec![(name("release"), self.push_value(ValueExpr::Const(Value::Name(name("now")))))];
            if let Some(zone) = zone {
                args.push((name("zone"), self.push_value(ValueExpr::Const(Value::Zone(zone)))));
            }
            args.push((name("to"), self.push_value(ValueExpr::Organiser { calendar, zone })));
            args.sort_unstable();
            // Told before it is forgotten: whose it was is known only until then.
            steps.push(Step::Send(Send { device, verb: name("send"), args }));
        }
        scope.deps.booked = true;
        steps.push(Step::ReleaseBooking { calendar, zone });
    }

    pub(super) fn verb_of(&mut self, kind: ActuatorKind, word: &str, span: Span) -> Option<VerbSpec> {
        if word == "set" && !kind.verbs().iter().any(|v| v.verb == "set") {
            return Some(VerbSpec { verb: "set", leads_to: None, sets: None });
        }
        if let Some(verb) = kind.verbs().iter().find(|v| v.verb == word) {
            return Some(*verb);
        }
        if word == "auto" {
            // Every device can be let go of: what a person set ends.
            return Some(VerbSpec { verb: "auto", leads_to: None, sets: None });
        }
        let known: Vec<&str> = kind.verbs().iter().map(|v| v.verb).collect();
        let mut diagnostic =
            Diagnostic::error("unknown-command", &self.file, span, format!("a {kind} has no command `{word}`"));
        diagnostic = match crate::diag::did_you_mean(word, known.iter().copied()) {
            Some(near) => diagnostic.label(span, format!("did you mean `{near}`?")),
            None => diagnostic.help(format!("it has: {}", known.join(", "))),
        };
        self.report(diagnostic);
        None
    }

    fn argument(
        &mut self,
        scope: &mut Scope,
        kind: ActuatorKind,
        verb: &VerbSpec,
        arg: &ast::Arg,
    ) -> Option<(Name, u32)> {
        let expr = arg.expr()?;
        let word = match (arg.name(), verb.sets) {
            (Some(name), _) => name.text(),
            (None, Some(property)) => property.to_owned(),
            (None, None) => {
                let message = format!("`{}` takes named arguments only", verb.verb);
                self.error_help("arguments", expr.span(), message, "write `name: value`");
                return None;
            }
        };
        let Some(key) = Name::new(&word) else {
            self.error("too-long", arg.span(), format!("the name `{word}` is too long"));
            return None;
        };
        if kind == ActuatorKind::Recorder && verb.verb == "start" && word == "participants" {
            return Some((key, self.session_of(scope, &expr)?));
        }
        let typed = verb.sets == Some(word.as_str()) || verb.verb == "set";
        let value = match kind.properties().iter().find(|p| typed && p.property == word) {
            Some(spec) => self.property_value(scope, spec, &expr)?,
            None if verb.verb == "set" => {
                self.device_property_missing(kind, &word, arg.span());
                return None;
            }
            None => self.free_value(scope, &expr)?,
        };
        Some((key, value))
    }

    fn device_property_missing(&mut self, kind: ActuatorKind, word: &str, span: Span) {
        let known: Vec<&str> = kind.properties().iter().map(|p| p.property).collect();
        self.unknown_name(span, &format!("property of a {kind}"), word, known);
    }

    /// Whose session `recorder.start(participants: ...)` opens: `people in r` (those present) or `members(g)`.
    fn session_of(&mut self, scope: &mut Scope, expr: &Expr) -> Option<u32> {
        let people = |e: &Expr| matches!(e, Expr::Name(n) if n.text() == "people");
        let present = match expr {
            Expr::In(inside) => inside.exprs().next().is_some_and(|e| people(&e)),
            Expr::Name(name) => name.text() == "present",
            _ => false,
        };
        if present {
            let value = crate::program::ValueExpr::Const(osmose_model::command::Value::Name(name("present")));
            self.program.values.push(value);
            return Some(self.program.values.len() as u32 - 1);
        }
        match self.meaning(scope, expr) {
            Meaning::Group(_) | Meaning::People(crate::program::Who::Members(_)) => self.free_value(scope, expr),
            other => {
                self.wrong_kind(expr.span(), "`people in ...` or `members(...)`", &other);
                None
            }
        }
    }

    fn next_holder(&mut self) -> HolderId {
        self.program.holders += 1;
        HolderId(self.program.holders - 1)
    }

    pub(super) fn hold(&mut self, scope: &mut Scope, assign: &ast::Assign, instance: &mut Instance) {
        let Some((ids, spec, value)) = self.assignment(scope, assign) else { return };
        let Some(property) = Name::new(spec.property) else { return };
        let course = self.course(scope, assign, &spec);
        for device in ids {
            if instance.holds.iter().any(|h| h.device == device && h.property == property) {
                let name = &self.site.actuators[device.index()].name;
                let message = format!("`{name}.{property}` is held twice by this rule");
                self.error("defined-twice", assign.span(), message);
                continue;
            }
            let holder = self.next_holder();
            instance.holds.push(HoldTarget { holder, device, property, value, at_start: assign.at_start(), course });
        }
    }

    /// `over 2 s`, `every 10 s`, `step 20 %`, `band 5 %`
    fn course(&mut self, scope: &mut Scope, assign: &ast::Assign, spec: &PropertySpec) -> Option<Course> {
        let parts = [assign.over(), assign.every(), assign.step(), assign.band()];
        let first = parts.iter().flatten().next()?;
        if spec.unit.is_none() {
            let message = format!("`{}` is no number, so it changes at once", spec.property);
            self.error("type", first.span(), message);
            return None;
        }
        let length = |checker: &mut Self, expr: &Option<Expr>| expr.as_ref().and_then(|e| checker.duration(e));
        let (over, every) = (length(self, &parts[0]), length(self, &parts[1]));
        let mut amount = |expr: &Option<Expr>| {
            let expr = expr.as_ref()?;
            let (number, unit) = self.number(scope, expr)?;
            if Some(unit) != spec.unit {
                let said = super::units::said(spec.unit.unwrap_or(unit));
                self.error("unit", expr.span(), format!("expected {said}, found {}", super::units::said(unit)));
                return None;
            }
            self.constant(number).filter(|v| *v > 0.0)
        };
        let (step, band) = (amount(&parts[2]), amount(&parts[3]));
        Some(Course { over: over.unwrap_or_default(), every: every.unwrap_or_default(), step, band })
    }

    /// `recorder.start` (every recorder) or `m7.recorder.start`
    pub(super) fn forbid(&mut self, scope: &mut Scope, expr: &Expr, instance: &mut Instance) {
        let Expr::Field(field) = expr else {
            self.error_help("type", expr.span(), "expected a command", "write `KIND.COMMAND` or `DEVICE.COMMAND`");
            return;
        };
        let (Some(base), Some(command)) = (field.expr(), field.name()) else { return };
        let kind_word = match &base {
            // What a speaker plays is audio.
            Expr::Name(name) if name.text() == "audio" => Some(ActuatorKind::Speaker),
            Expr::Name(name) if scope.bound(&name.text()).is_none() => ActuatorKind::from_word(&name.text()),
            _ => None,
        };
        let (kind, ids) = match kind_word {
            Some(kind) => {
                let of_kind = self.site.actuators.iter().filter(|a| a.kind == kind);
                (kind, of_kind.map(|a| a.id).collect())
            }
            None => {
                let Some(ids) = self.devices(scope, &base) else { return };
                let Some(kind) = self.kind_of(&ids) else { return };
                (kind, ids)
            }
        };
        let Some(verb) = self.verb_of(kind, &command.text(), command.span()) else { return };
        for device in ids {
            let actuator = &self.site.actuators[device.index()];
            if actuator.safe.is_some_and(|safe| verb.leads_to == Some(safe.as_str())) {
                let message = format!("this forbids the command that leads `{}` to its safe state", actuator.name);
                let diagnostic = Diagnostic::warning("forbid-safe", &self.file, expr.span(), message);
                self.report(diagnostic);
            }
            let holder = self.next_holder();
            instance.forbids.push(ForbidTarget { holder, device, verb: name(verb.verb) });
        }
    }
}

/// A word of the model's own, which is short enough.
fn name(word: &str) -> Name {
    Name::new(word).unwrap_or_default()
}
