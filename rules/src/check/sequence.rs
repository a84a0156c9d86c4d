//! What comes after what: `A then B within 5 s`, `A 3 times within 10 s`, `A within 8 s` (it happened lately), and
//! absence: `A then not B within 5 s`.

use super::Checker;
use super::rule::Scope;
use crate::program::{Cond, CondId, SeqKind, SeqPart};
use crate::syntax::ast::{self, AstNode, Expr};
use osmose_model::tri::Tri;

/// Most parts of one sequence, and most repetitions: each keeps an instant.
const PARTS_MAX: usize = 8;

impl Checker<'_> {
    /// A condition that may happen as well as hold, and whether it happens.
    fn happening(&mut self, scope: &mut Scope, expr: &Expr) -> (CondId, bool) {
        let (events, allowed) = (scope.events, scope.events_allowed);
        scope.events_allowed = true;
        let cond = self.cond(scope, expr);
        scope.events_allowed = allowed;
        (cond, scope.events > events)
    }

    /// `A then B within D then not C within E`: an event, at the instant that completes it.
    pub(super) fn sequence(&mut self, scope: &mut Scope, then: &ast::Then) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let written = then.parts();
        if written.len() > PARTS_MAX {
            self.error("too-many", then.span(), format!("a sequence has {PARTS_MAX} parts at most"));
            return WRONG;
        }
        if !scope.events_allowed {
            let help = "a sequence happens at an instant: it stands in `when`, or in `(... ) until (...)`";
            self.error_help("type", then.span(), "a sequence is an event", help);
            return WRONG;
        }
        let (uses, events) = (scope.uses(), scope.events);
        let mut parts: Vec<SeqPart> = Vec::with_capacity(written.len());
        for (number, (expr, within)) in written.iter().enumerate() {
            // `not B` is the absence of B, for as long as `within` says.
            let absent = match (number, strip(expr)) {
                (1.., Expr::Not(not)) => not.expr(),
                _ => None,
            };
            let (cond, happens) = self.happening(scope, absent.as_ref().unwrap_or(expr));
            let kind = match (&absent, happens) {
                (Some(_), _) => SeqKind::Absent,
                (None, true) => SeqKind::Event,
                (None, false) => SeqKind::State,
            };
            let within = match within {
                Some(expr) => match self.duration(expr) {
                    Some(length) => Some(length),
                    None => return WRONG,
                },
                None if kind == SeqKind::Absent => {
                    let help = "write `then not ... within 5 s`";
                    self.error_help("type", expr.span(), "absence needs to know for how long", help);
                    return WRONG;
                }
                None => None,
            };
            parts.push(SeqPart { cond, within, kind });
        }
        scope.events = events + 1;
        let slot = self.slots(scope, then.span(), scope.uses() > uses, parts.len());
        let from = self.program.sequence.len() as u32;
        self.program.sequence.extend_from_slice(&parts);
        Cond::Sequence { from, to: self.program.sequence.len() as u32, slot }
    }

    /// `(p enters m7) within 8 s`: a state, for so long after it happened.
    pub(super) fn within(&mut self, scope: &mut Scope, within: &ast::Within) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let parts: Vec<Expr> = within.exprs().collect();
        let [event, length] = parts.as_slice() else { return WRONG };
        let (uses, events) = (scope.uses(), scope.events);
        let (cond, _) = self.happening(scope, event);
        scope.instant |= scope.events > events;
        scope.events = events;
        let Some(length) = self.duration(length) else { return WRONG };
        let slot = self.slot(scope, within.span(), scope.uses() > uses);
        Cond::Within { event: cond, length, slot }
    }

    /// `p enters m7 3 times within 10 s`: an event, at the last of them.
    pub(super) fn times(&mut self, scope: &mut Scope, times: &ast::Times) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let parts: Vec<Expr> = times.exprs().collect();
        let [event, count, length] = parts.as_slice() else { return WRONG };
        let Expr::Quantity(quantity) = count else { return WRONG };
        let many: Option<u8> = quantity.number().and_then(|n| n.text().parse().ok());
        let Some(many) = many.filter(|n| (2..=PARTS_MAX as u8).contains(n)) else {
            self.error("too-many", count.span(), format!("expected 2 to {PARTS_MAX} times"));
            return WRONG;
        };
        let (uses, events) = (scope.uses(), scope.events);
        let (cond, happens) = self.happening(scope, event);
        if !happens {
            let help = "a state is counted each time it begins: write `(... then ...)`, or count what happens";
            self.error_help("type", event.span(), "`times` counts what happens, and this is a state", help);
            return WRONG;
        }
        scope.events = events + 1;
        let Some(length) = self.duration(length) else { return WRONG };
        let slot = self.slots(scope, times.span(), scope.uses() > uses, usize::from(many));
        Cond::Times { event: cond, times: many, length, slot }
    }
}

/// An expression without brackets around it.
fn strip(expr: &Expr) -> Expr {
    match expr {
        Expr::Paren(paren) => paren.expr().map_or_else(|| expr.clone(), |inner| strip(&inner)),
        other => other.clone(),
    }
}
