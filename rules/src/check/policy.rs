//! Policies: a guard on a command, whoever sends it.
//!
//! `guard audio.play(content, beam) where content.private` names parameters; `content.owner` is the command's argument
//! called `owner`, and `beam.focus` the place that the device is aimed at. The command goes out where `allow` is known
//! to hold, and is dropped where it is false or unknown.

use super::Checker;
use super::names::Meaning;
use super::rule::Scope;
use crate::program::{GuardInfo, PersonRef};
use crate::syntax::ast::{self, Action, AstNode, Clause, Expr};
use osmose_model::device::ActuatorKind;
use osmose_model::ids::{ActuatorId, Name};

impl Checker<'_> {
    /// `policy NAME { guard ... allow if ... else drop and tell ... }`
    pub(super) fn policy(&mut self, node: &ast::Policy) {
        let Some(name) = node.name() else { return };
        if !self.define(&name.text(), "policy", name.span()) {
            return;
        }
        let (mut guard, mut allow, mut otherwise) = (None, None, None);
        for clause in node.clauses() {
            let span = clause.span();
            let again = match clause {
                Clause::Guard(node) => guard.replace(node).is_some(),
                Clause::Allow(node) => allow.replace(node).is_some(),
                Clause::Else(node) => otherwise.replace(node).is_some(),
                _ => {
                    self.error("clause", span, "a policy has `guard`, `allow if` and `else`");
                    continue;
                }
            };
            if again {
                self.error("clause", span, "this clause stands twice");
            }
        }
        let (Some(guard), Some(allow)) = (guard, allow.and_then(|a| a.expr())) else {
            let help = "write `guard DEVICE.COMMAND(...)  allow if CONDITION  else drop`";
            return self.error_help("clause", name.span(), "a policy needs `guard` and `allow if`", help);
        };
        let Some(Expr::Call(call)) = guard.expr() else {
            return self.error_help("type", guard.span(), "expected a command", "write `guard speaker.play(content)`");
        };
        let Some((devices, verb)) = self.guarded(&call) else { return };
        let mut scope = Scope::default();
        for arg in call.args() {
            match arg.expr() {
                Some(Expr::Name(parameter)) => scope.parameters.push(parameter.text()),
                _ => self.error("arguments", arg.span(), "expected a name for what the command carries"),
            }
        }
        let filter = guard.filter().map(|expr| self.cond(&mut scope, &expr));
        let allow = self.cond(&mut scope, &allow);
        let tell = otherwise.and_then(|node| self.refused(&mut scope, &node));
        if scope.slots > 0 || scope.remembers {
            let message = "a guard decides at once and remembers nothing: no `for`, `until` or window here";
            self.error("type", guard.span(), message);
        }
        let confidence = if scope.confidence > 0.0 { scope.confidence } else { 0.5 };
        let info = GuardInfo { name: name.text(), devices, verb, filter, allow, confidence, tell };
        self.program.guards.push(info);
    }

    /// The devices and the command that a guard is about.
    fn guarded(&mut self, call: &ast::Call) -> Option<(Vec<ActuatorId>, Name)> {
        let Some(Expr::Field(field)) = call.expr() else {
            self.error_help("type", call.span(), "expected a command", "write `guard speaker.play(content)`");
            return None;
        };
        let (base, command) = (field.expr()?, field.name()?);
        let kind = match &base {
            // What a speaker plays is audio.
            Expr::Name(name) if name.text() == "audio" => Some(ActuatorKind::Speaker),
            Expr::Name(name) => ActuatorKind::from_word(&name.text()),
            _ => None,
        };
        let ids: Vec<ActuatorId> = match kind {
            Some(kind) => self.site.actuators.iter().filter(|a| a.kind == kind).map(|a| a.id).collect(),
            None => self.devices(&mut Scope::default(), &base)?,
        };
        let kind = kind.or_else(|| ids.first().map(|id| self.site.actuators[id.index()].kind))?;
        let verb = self.verb_of(kind, &command.text(), command.span())?;
        Some((ids, Name::new(verb.verb)?))
    }

    /// `else drop and tell content.owner`: whom to tell.
    fn refused(&mut self, scope: &mut Scope, node: &ast::Else) -> Option<(PersonRef, ActuatorId)> {
        let mut tell = None;
        for action in node.actions() {
            match action {
                Action::Drop(_) => {}
                Action::Tell(action) => {
                    let expr = action.expr()?;
                    let person = self.person_ref(scope, &expr);
                    tell = person.zip(self.notifier(action.span()));
                }
                other => self.error("clause", other.span(), "a policy may `drop` and `tell` only"),
            }
        }
        tell
    }

    /// The device that takes messages to people; `None` after reporting.
    pub(super) fn notifier(&mut self, span: crate::diag::Span) -> Option<ActuatorId> {
        let found = self.site.actuators.iter().find(|a| a.kind == ActuatorKind::Notify).map(|a| a.id);
        if found.is_none() {
            let help = "declare an actuator of kind `notify` in devices.toml";
            self.error_help("no-device", span, "this site has no device that takes messages to people", help);
        }
        found
    }

    /// The person that an expression names, as a value that a command carries; `None` after reporting.
    pub(super) fn recipient(&mut self, scope: &mut Scope, expr: &Expr) -> Option<crate::program::ValueExpr> {
        use crate::program::ValueExpr;
        use osmose_model::command::Value;
        match self.meaning(scope, expr) {
            Meaning::Track(var) => Some(ValueExpr::Track(var)),
            Meaning::Person(person) => Some(ValueExpr::Const(Value::Person(person))),
            Meaning::Group(group) => {
                let name = Name::new(&self.site.groups[group.index()].name)?;
                Some(ValueExpr::Const(Value::Name(name)))
            }
            Meaning::Organiser { calendar, zone } => Some(ValueExpr::Organiser { calendar, zone }),
            other => {
                self.wrong_kind(expr.span(), "a person or a group", &other);
                None
            }
        }
    }
}
