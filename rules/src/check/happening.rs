//! What happens, as a condition: somebody enters, a badge is read, a button is pressed, a hand is waved, a line is crossed.

use super::Checker;
use super::cond::word_of;
use super::names::Meaning;
use super::rule::Scope;
use crate::program::{BadgeOf, Cond, Sensed, Who};
use crate::syntax::ast::{self, AstNode, Expr};
use osmose_model::device::SensorKind;
use osmose_model::ids::{Name, SensorId};
use osmose_model::observation::Direction;
use osmose_model::tri::Tri;
use osmose_model::world::EventKind;

impl Checker<'_> {
    /// `any p in S leaves r`, `p enters r`, `reset by operator`
    pub(super) fn verb(&mut self, scope: &mut Scope, verb: &ast::Verb) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let exprs: Vec<Expr> = verb.exprs().collect();
        let (Some(subject), Some(word)) = (exprs.first(), verb.verb()) else { return WRONG };
        let kind = match word.text() {
            "enters" => EventKind::Enters,
            "leaves" => EventKind::Leaves,
            "appears" => EventKind::Appears,
            "vanishes" => EventKind::Lost,
            "by" => return self.by_operator(scope, verb, subject, exprs.get(1)),
            "reads" => return self.reads(scope, verb, subject, exprs.get(1)),
            "presses" => return self.presses(scope, verb, subject, exprs.get(1)),
            "waves" | "makes" => return self.gesture(scope, verb, subject, exprs.get(1)),
            "crosses" => return self.crosses(scope, verb, subject, exprs.get(1)),
            other => return self.spatial(scope, verb, other, subject, exprs.get(1)),
        };
        let Some(place) = exprs.get(1) else {
            self.error_help(
                "type",
                verb.span(),
                format!("`{}` what?", word.text()),
                "name a zone, as in `p enters m7`",
            );
            return WRONG;
        };
        let (who, var) = match self.meaning(scope, subject) {
            Meaning::Track(var) => (Who::Anyone, var),
            Meaning::Person(person) => (Who::Person(person), 0),
            Meaning::Quantified { any: true, who, var } => {
                if let Some(var) = var {
                    scope.use_track(var);
                }
                (who, var.unwrap_or(0))
            }
            other => {
                self.wrong_kind(subject.span(), "a person or `any p in ...`", &other);
                return WRONG;
            }
        };
        let Some(zone) = self.zone(scope, place) else { return WRONG };
        if !self.event_fits(scope, verb) {
            return WRONG;
        }
        scope.deps.zones.push(zone);
        scope.track_zones.push(zone);
        self.set_needs(scope, who);
        Cond::Event { kind, who, zone, var }
    }

    /// Whether something that happens may stand here; counts it where it may.
    pub(super) fn event_fits(&mut self, scope: &mut Scope, verb: &ast::Verb) -> bool {
        if scope.events_allowed {
            scope.events += 1;
            return true;
        }
        let word = verb.verb().map(|t| t.text().to_owned()).unwrap_or_default();
        let message = format!("`{word}` is an event: it is true for an instant only");
        self.error_help(
            "type",
            verb.span(),
            message,
            "events stand in `when`; a state is `p in r`, and `(p enters r within 10 s)` that it happened lately",
        );
        false
    }

    /// Sensors of one kind that a subject names; `None` after reporting.
    fn sensors_of_verb(&mut self, scope: &mut Scope, subject: &Expr, kind: SensorKind) -> Option<(u32, u32)> {
        let ids = match self.meaning(scope, subject) {
            Meaning::Sensors(ids) => ids,
            other => {
                self.wrong_kind(subject.span(), &format!("a {kind} sensor"), &other);
                return None;
            }
        };
        if let Some(id) = ids.iter().find(|id| self.site.sensors[id.index()].kind != kind) {
            let sensor = &self.site.sensors[id.index()];
            let message =
                format!("sensor `{}` is of kind {}, and this needs one of kind {kind}", sensor.name, sensor.kind);
            self.error("type", subject.span(), message);
            return None;
        }
        scope.deps.sensors.extend_from_slice(&ids);
        let from = self.program.sensors.len() as u32;
        self.program.sensors.extend_from_slice(&ids);
        Some((from, self.program.sensors.len() as u32))
    }

    /// `reader reads`, `reader reads known`, `reader reads staff`
    fn reads(&mut self, scope: &mut Scope, verb: &ast::Verb, subject: &Expr, whose: Option<&Expr>) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        if !self.event_fits(scope, verb) {
            return WRONG;
        }
        let Some((from, to)) = self.sensors_of_verb(scope, subject, SensorKind::Badge) else { return WRONG };
        let of = match whose {
            None => BadgeOf::Anybody,
            Some(Expr::Name(name)) if name.text() == "known" => BadgeOf::Known,
            Some(Expr::Name(name)) if name.text() == "unknown" => BadgeOf::Unknown,
            Some(expr) => match self.meaning(scope, expr) {
                Meaning::Group(group) | Meaning::People(Who::Members(group)) => BadgeOf::Members(group),
                Meaning::Person(person) => BadgeOf::Person(person),
                other => {
                    self.wrong_kind(expr.span(), "whose badge: `known`, `unknown`, a group or a person", &other);
                    return WRONG;
                }
            },
        };
        Cond::Sensed { from, to, what: Sensed::Badge(of) }
    }

    /// `desk presses`, `desk presses call`
    fn presses(&mut self, scope: &mut Scope, verb: &ast::Verb, subject: &Expr, which: Option<&Expr>) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        if !self.event_fits(scope, verb) {
            return WRONG;
        }
        let Some((from, to)) = self.sensors_of_verb(scope, subject, SensorKind::Button) else { return WRONG };
        let button = match which.map(word_of) {
            None => None,
            Some(word) => match Name::new(&word) {
                Some(name) => Some(name),
                None => {
                    self.error("too-long", verb.span(), "the name of this button is too long");
                    return WRONG;
                }
            },
        };
        Cond::Sensed { from, to, what: Sensed::Pressed(button) }
    }

    /// `p waves`, `p makes thumbs-up`
    fn gesture(&mut self, scope: &mut Scope, verb: &ast::Verb, subject: &Expr, which: Option<&Expr>) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        if !self.event_fits(scope, verb) {
            return WRONG;
        }
        let waves = verb.verb().is_some_and(|t| t.text() == "waves");
        let word = match which {
            Some(expr) if !waves => word_of(expr),
            _ => "wave".to_owned(),
        };
        let Some(gesture) = Name::new(&word).filter(|_| !word.is_empty()) else {
            self.error("type", verb.span(), "expected a gesture's name, as in `p makes thumbs-up`");
            return WRONG;
        };
        let Meaning::Track(var) = self.meaning(scope, subject) else {
            self.error_help("type", subject.span(), "expected a person variable", "write `p waves`");
            return WRONG;
        };
        let cameras: Vec<SensorId> =
            self.site.sensors.iter().filter(|s| s.kind == SensorKind::Gesture).map(|s| s.id).collect();
        if cameras.is_empty() {
            let message = "no sensor of this site sees gestures, so this never happens";
            self.error_help("no-device", verb.span(), message, "declare a sensor of kind `gesture`");
            return WRONG;
        }
        // Only a camera's word makes it true: where people walk wakes nothing.
        scope.deps.sensors.extend_from_slice(&cameras);
        let from = self.program.sensors.len() as u32;
        self.program.sensors.extend_from_slice(&cameras);
        Cond::Gesture { var, gesture, from, to: self.program.sensors.len() as u32 }
    }

    /// `gate crosses in` (a crossing sensor), `p crosses w` (a person and a wall or line)
    fn crosses(&mut self, scope: &mut Scope, verb: &ast::Verb, subject: &Expr, what: Option<&Expr>) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        if !self.event_fits(scope, verb) {
            return WRONG;
        }
        let uses = scope.uses();
        match (self.meaning(scope, subject), what) {
            (Meaning::Wrong, _) => WRONG,
            (Meaning::Track(var), Some(line)) if verb.direction().is_none() => match self.meaning(scope, line) {
                Meaning::Wall(wall) => {
                    scope.reads_motion(var);
                    let slot = self.slot(scope, verb.span(), scope.uses() > uses);
                    Cond::Crosses { var, wall, slot }
                }
                other => {
                    self.wrong_kind(line.span(), "a wall or line of the plan", &other);
                    WRONG
                }
            },
            _ => {
                let direction = match (verb.direction().as_deref(), what.map(word_of).as_deref()) {
                    (Some("in"), _) => Direction::In,
                    (Some("out"), _) | (None, Some("out")) => Direction::Out,
                    _ => {
                        let help = "write `gate crosses in`, `gate crosses out`, or `p crosses LINE`";
                        self.error_help("type", verb.span(), "which way?", help);
                        return WRONG;
                    }
                };
                let Some((from, to)) = self.sensors_of_verb(scope, subject, SensorKind::Crossing) else { return WRONG };
                Cond::Sensed { from, to, what: Sensed::Crossed(direction) }
            }
        }
    }

    fn by_operator(&mut self, scope: &mut Scope, verb: &ast::Verb, subject: &Expr, by: Option<&Expr>) -> Cond {
        let says = |e: &Expr, word: &str| matches!(e, Expr::Name(n) if n.text() == word);
        if !says(subject, "reset") || !by.is_some_and(|e| says(e, "operator")) {
            self.error_help("type", verb.span(), "expected `reset by operator`", "it stands in `until (...)`");
        } else if !scope.in_until {
            self.error("type", verb.span(), "`reset by operator` stands in `until (...)` only");
        }
        Cond::OperatorReset
    }
}
