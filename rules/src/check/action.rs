//! What rules ask of devices: commands of a `do`, properties of a `hold`, commands of a `forbid`.

use super::Checker;
use super::names::Meaning;
use super::rule::Scope;
use crate::diag::{Diagnostic, Span};
use crate::program::{ForbidTarget, HoldTarget, Instance, Send};
use crate::syntax::ast::{self, Action, AstNode, Expr};
use osmose_model::device::{ActuatorKind, PropertySpec, VerbSpec};
use osmose_model::ids::{ActuatorId, HolderId, Name};
use osmose_model::limits::ARGS_MAX;

impl Checker<'_> {
    fn kind_of(&self, ids: &[ActuatorId]) -> Option<ActuatorKind> {
        ids.first().map(|id| self.site.actuators[id.index()].kind)
    }

    pub(super) fn send(&mut self, scope: &mut Scope, action: &Action, instance: &mut Instance) {
        let span = action.span();
        match action {
            Action::Wait(_) => self.not_yet(span, "`wait`"),
            Action::Ask(_) => self.not_yet(span, "`ask`"),
            Action::Tell(_) => self.not_yet(span, "`tell`"),
            Action::Drop(_) => self.error("clause", span, "`drop` belongs to a `policy`"),
            Action::Send(send) => match (send.assign(), send.expr()) {
                (Some(assign), _) => self.send_assign(scope, &assign, instance),
                (None, Some(Expr::Call(call))) => self.send_call(scope, &call, instance),
                _ => self.error_help("type", span, "expected a command", "write `DEVICE.COMMAND()`"),
            },
        }
    }

    /// `do r.lights.level = 30 %`
    fn send_assign(&mut self, scope: &mut Scope, assign: &ast::Assign, instance: &mut Instance) {
        let Some((ids, spec, value)) = self.assignment(scope, assign) else { return };
        let Some(property) = Name::new(spec.property) else { return };
        for device in ids {
            instance.sends.push(Send { device, verb: name("set"), args: vec![(property, value)] });
        }
    }

    /// Target and value of an assignment; `None` after reporting.
    fn assignment(&mut self, scope: &mut Scope, assign: &ast::Assign) -> Option<(Vec<ActuatorId>, PropertySpec, u32)> {
        let (target, value) = (assign.target()?, assign.value()?);
        if let Some(fade) = assign.over() {
            self.not_yet(fade.span(), "a fade with `over`");
        }
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

    fn send_call(&mut self, scope: &mut Scope, call: &ast::Call, instance: &mut Instance) {
        let (base, command) = match call.expr() {
            Some(Expr::Field(field)) => match (field.expr(), field.name()) {
                (Some(base), Some(command)) => (base, command),
                _ => return,
            },
            Some(Expr::Name(function)) if function.text() == "notify" => {
                return self.not_yet(function.span(), "`notify(...)`");
            }
            _ => return self.error_help("type", call.span(), "expected a command", "write `DEVICE.COMMAND()`"),
        };
        let Some(ids) = self.devices(scope, &base) else { return };
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
            instance.sends.push(Send { device, verb: name(verb.verb), args: args.clone() });
        }
    }

    fn verb_of(&mut self, kind: ActuatorKind, word: &str, span: Span) -> Option<VerbSpec> {
        if word == "set" && !kind.verbs().iter().any(|v| v.verb == "set") {
            return Some(VerbSpec { verb: "set", leads_to: None, sets: None });
        }
        if let Some(verb) = kind.verbs().iter().find(|v| v.verb == word) {
            return Some(*verb);
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
        for device in ids {
            if instance.holds.iter().any(|h| h.device == device && h.property == property) {
                let name = &self.site.actuators[device.index()].name;
                let message = format!("`{name}.{property}` is held twice by this rule");
                self.error("defined-twice", assign.span(), message);
                continue;
            }
            let holder = self.next_holder();
            instance.holds.push(HoldTarget { holder, device, property, value, at_start: assign.at_start() });
        }
    }

    /// `recorder.start` (every recorder) or `m7.recorder.start`
    pub(super) fn forbid(&mut self, scope: &mut Scope, expr: &Expr, instance: &mut Instance) {
        let Expr::Field(field) = expr else {
            self.error_help("type", expr.span(), "expected a command", "write `KIND.COMMAND` or `DEVICE.COMMAND`");
            return;
        };
        let (Some(base), Some(command)) = (field.expr(), field.name()) else { return };
        let kind_word = match &base {
            Expr::Name(name) if scope.binding(&name.text()).is_none() => ActuatorKind::from_word(&name.text()),
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
