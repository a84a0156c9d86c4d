//! What places say: distance, speed, facing, nearness, approach, sight.

use super::names::Meaning;
use super::rule::Scope;
use super::{Checker, units};
use crate::program::{Compare, Cond, Num, NumId, PersonRef, Target, WindowInfo, WindowKind};
use crate::syntax::ast::{self, AstNode, Expr};
use osmose_model::device::{SensorKind, Unit};
use osmose_model::geometry::RAD_PER_DEG;
use osmose_model::time::{DurationNs, NS_PER_S};
use osmose_model::tri::Tri;

/// How far to either side of straight ahead counts as facing, where nothing is said.
const FACING_DEG: f64 = 20.0;
/// How near is near, where nothing is said.
const NEAR_M: f64 = 1.5;
/// How fast somebody comes nearer who approaches, where nothing is said.
const APPROACH_MPS: f64 = 0.3;
/// How fast something warms up is learnt from the last ten minutes of its rise.
const WARM_UP_WINDOW: DurationNs = DurationNs(600 * NS_PER_S);
/// What `baseline` is the mean of.
const BASELINE: DurationNs = DurationNs(24 * 3600 * NS_PER_S);

impl Checker<'_> {
    /// Something that has a place; `None` after reporting. Notes what can move it.
    fn target(&mut self, scope: &mut Scope, expr: &Expr) -> Option<Target> {
        match self.meaning(scope, expr) {
            Meaning::Track(var) => {
                scope.reads_motion(var);
                Some(Target::Person(PersonRef::Var(var)))
            }
            Meaning::Person(person) => {
                scope.deps.moved = true;
                Some(Target::Person(PersonRef::Person(person)))
            }
            Meaning::Argument(name) => Some(Target::Person(PersonRef::Argument(name))),
            Meaning::Focus => Some(Target::Focus),
            Meaning::Wall(wall) => Some(Target::Wall(wall)),
            Meaning::Zone(zone) => Some(Target::Zone(zone)),
            Meaning::Devices(ids) if ids.len() == 1 => {
                let device = &self.site.actuators[ids[0].index()];
                match (device.wall, device.pose) {
                    (Some(wall), None) => Some(Target::Wall(wall)),
                    (_, Some(_)) => Some(Target::Device(ids[0])),
                    (None, None) => {
                        let message = format!("where `{}` is is not known", device.name);
                        self.error_help(
                            "no-place",
                            expr.span(),
                            message,
                            "give it a `pose` or a `wall` in devices.toml",
                        );
                        None
                    }
                }
            }
            other => {
                self.wrong_kind(expr.span(), "something with a place: a person, wall, zone or device", &other);
                None
            }
        }
    }

    /// `distance(a, b)`
    pub(super) fn distance(&mut self, scope: &mut Scope, a: &Expr, b: &Expr) -> Meaning {
        let (Some(a), Some(b)) = (self.target(scope, a), self.target(scope, b)) else { return Meaning::Wrong };
        Meaning::Number(self.push_num(Num::Distance(a, b)), Unit::Metre)
    }

    /// `speed(p)`
    pub(super) fn speed(&mut self, scope: &mut Scope, of: &Expr) -> Meaning {
        match self.meaning(scope, of) {
            Meaning::Track(var) => {
                scope.reads_motion(var);
                Meaning::Number(self.push_num(Num::Speed(var)), Unit::MetrePerSecond)
            }
            other => self.wrong_kind(of.span(), "a person variable", &other),
        }
    }

    /// `spread(p)`
    pub(super) fn spread(&mut self, scope: &mut Scope, of: &Expr) -> Meaning {
        match self.meaning(scope, of) {
            Meaning::Track(var) => {
                scope.reads_motion(var);
                Meaning::Number(self.push_num(Num::Spread(var)), Unit::Metre)
            }
            other => self.wrong_kind(of.span(), "a person variable", &other),
        }
    }

    /// `left-ago(p, m7)`
    pub(super) fn left_ago(&mut self, scope: &mut Scope, who: &Expr, from: &Expr) -> Meaning {
        let (who_means, from_means) = (self.meaning(scope, who), self.meaning(scope, from));
        match (who_means, from_means) {
            (Meaning::Track(var), Meaning::Zone(zone)) => {
                Meaning::Number(self.push_num(Num::LeftAgo(var, zone)), Unit::Second)
            }
            (Meaning::Track(_), other) => self.wrong_kind(from.span(), "a zone", &other),
            (other, _) => self.wrong_kind(who.span(), "a person variable", &other),
        }
    }

    /// `unsure-for(p, m7)`
    pub(super) fn unsure_for(&mut self, scope: &mut Scope, who: &Expr, zone: &Expr) -> Meaning {
        let (who_means, zone_means) = (self.meaning(scope, who), self.meaning(scope, zone));
        match (who_means, zone_means) {
            (Meaning::Track(var), Meaning::Zone(of)) if self.program.recorders.iter().any(|(_, z)| *z == of) => {
                scope.reads_motion(var);
                Meaning::Number(self.push_num(Num::UnsureFor(var, of)), Unit::Second)
            }
            (Meaning::Track(_), Meaning::Zone(_)) => {
                self.error("type", zone.span(), "it is kept account of only where a recorder stands");
                Meaning::Wrong
            }
            (Meaning::Track(_), other) => self.wrong_kind(zone.span(), "a zone", &other),
            (other, _) => self.wrong_kind(who.span(), "a person variable", &other),
        }
    }

    /// `min(a, b)`, `max(a, b)`
    pub(super) fn extreme(&mut self, scope: &mut Scope, a: &Expr, b: &Expr, least: bool) -> Meaning {
        let (Some((x, unit_x)), Some((y, unit_y))) = (self.number(scope, a), self.number(scope, b)) else {
            return Meaning::Wrong;
        };
        if !units::fits(unit_y, unit_x) {
            self.unit_mismatch(a, unit_x, b, unit_y);
            return Meaning::Wrong;
        }
        Meaning::Number(self.fold(if least { Num::Min(x, y) } else { Num::Max(x, y) }), unit_x)
    }

    /// `mean(x, 10 min)`, `rate(x, 5 min)`, `baseline(x)`
    pub(super) fn window(&mut self, scope: &mut Scope, name: &str, args: &[Expr]) -> Meaning {
        let uses = scope.uses();
        let Some((of, unit)) = self.number(scope, &args[0]) else { return Meaning::Wrong };
        if scope.uses() > uses {
            self.error("type", args[0].span(), "a window is of the building and not of a person");
            return Meaning::Wrong;
        }
        let length = match args.get(1) {
            None => BASELINE,
            Some(length) => match self.duration(length) {
                Some(length) if length.0 >= NS_PER_S => length,
                Some(_) => {
                    self.error("type", length.span(), "a window is a second long at least");
                    return Meaning::Wrong;
                }
                None => return Meaning::Wrong,
            },
        };
        let kind = if name == "rate" { WindowKind::Change } else { WindowKind::Mean };
        if self.program.windows.len() >= 4096 {
            self.error("too-many", args[0].span(), "there are more than 4,096 windows");
            return Meaning::Wrong;
        }
        scope.remembers = true;
        self.program.windows.push(WindowInfo { of, kind, length });
        let place = (self.program.windows.len() - 1) as u16;
        Meaning::Number(self.push_num(Num::Window(place)), unit)
    }

    /// `warm-up(temp-m7, 21 degC)`
    pub(super) fn warm_up(&mut self, scope: &mut Scope, of: &Expr, goal: &Expr) -> Meaning {
        let uses = scope.uses();
        let (Some((value, unit)), Some((goal_num, goal_unit))) = (self.number(scope, of), self.number(scope, goal))
        else {
            return Meaning::Wrong;
        };
        if scope.uses() > uses {
            self.error("type", of.span(), "a window is of the building and not of a person");
            return Meaning::Wrong;
        }
        if unit != goal_unit {
            self.unit_mismatch(of, unit, goal, goal_unit);
            return Meaning::Wrong;
        }
        let Some(wanted) = self.constant(goal_num) else {
            self.error("type", goal.span(), "expected a plain number with its unit");
            return Meaning::Wrong;
        };
        if self.program.windows.len() >= 4096 {
            self.error("too-many", of.span(), "there are more than 4,096 windows");
            return Meaning::Wrong;
        }
        scope.remembers = true;
        self.program.windows.push(WindowInfo { of: value, kind: WindowKind::WarmUp(wanted), length: WARM_UP_WINDOW });
        let place = (self.program.windows.len() - 1) as u16;
        Meaning::Number(self.push_num(Num::Window(place)), Unit::Second)
    }

    /// `starts-in(m7.booking)`
    pub(super) fn starts_in(&mut self, scope: &mut Scope, of: &Expr) -> Meaning {
        match self.meaning(scope, of) {
            Meaning::Calendar { calendar, zone } => {
                (scope.deps.clock, scope.deps.booked) = (true, true);
                Meaning::Number(self.push_num(Num::StartsIn { calendar, zone }), Unit::Second)
            }
            other => self.wrong_kind(of.span(), "a calendar, as in `m7.booking`", &other),
        }
    }

    /// The bracket behind a verb, in the wanted unit.
    fn measure(&mut self, scope: &mut Scope, verb: &ast::Verb, unit: Unit, otherwise: f64) -> Option<f64> {
        let Some(expr) = verb.measure() else { return Some(otherwise) };
        let (number, found) = self.number(scope, &expr)?;
        if found != unit {
            let message = format!("expected {}, found {}", units::said(unit), units::said(found));
            self.error("unit", expr.span(), message);
            return None;
        }
        let Some(value) = self.constant(number) else {
            self.error("type", expr.span(), "expected a plain number with its unit");
            return None;
        };
        Some(value)
    }

    /// `p facing w (15 deg)`, `p near w (2 m)`, `p approaches w`, `a sees b`, `p inside z`, `p outside z`
    pub(super) fn spatial(
        &mut self,
        scope: &mut Scope,
        verb: &ast::Verb,
        word: &str,
        subject: &Expr,
        object: Option<&Expr>,
    ) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let Some(object) = object else {
            self.error_help("type", verb.span(), format!("`{word}` what?"), format!("write `p {word} m7`"));
            return WRONG;
        };
        match word {
            "inside" | "outside" => {
                let inside = match (self.meaning(scope, subject), self.meaning(scope, object)) {
                    (Meaning::Track(var), Meaning::Zone(zone)) => {
                        if var == crate::program::COUNTED {
                            scope.deps.zones.push(zone);
                        } else {
                            scope.track_zones.push(zone);
                        }
                        Cond::TrackIn(var, zone)
                    }
                    (Meaning::Person(person), Meaning::Zone(zone)) => {
                        scope.deps.everywhere = true;
                        Cond::PersonIn(person, zone)
                    }
                    (Meaning::Track(_) | Meaning::Person(_), other) => {
                        self.wrong_kind(object.span(), "a zone", &other);
                        return WRONG;
                    }
                    (other, _) => {
                        self.wrong_kind(subject.span(), "a person", &other);
                        return WRONG;
                    }
                };
                if word == "inside" { inside } else { self.negated(inside) }
            }
            "near" => {
                let Some(radius) = self.measure(scope, verb, Unit::Metre, NEAR_M) else { return WRONG };
                let Meaning::Number(distance, _) = self.distance(scope, subject, object) else { return WRONG };
                let radius = self.push_num(Num::Const(radius));
                Cond::Compare(Compare::LessEqual, distance, radius)
            }
            "sees" => {
                let (Some(a), Some(b)) = (self.target(scope, subject), self.target(scope, object)) else {
                    return WRONG;
                };
                Cond::Sees(a, b)
            }
            "facing" => {
                let Some(half) = self.measure(scope, verb, Unit::Degree, FACING_DEG) else { return WRONG };
                let Some((var, target)) = self.looker(scope, subject, object) else { return WRONG };
                Cond::Facing { var, target, half_rad: half * RAD_PER_DEG }
            }
            "approaches" | "approaching" => {
                let Some(speed_mps) = self.measure(scope, verb, Unit::MetrePerSecond, APPROACH_MPS) else {
                    return WRONG;
                };
                let Some((var, target)) = self.looker(scope, subject, object) else { return WRONG };
                Cond::Approaching { var, target, speed_mps }
            }
            other => {
                self.error("type", verb.span(), format!("`{other}` says nothing here"));
                WRONG
            }
        }
    }

    fn looker(&mut self, scope: &mut Scope, subject: &Expr, object: &Expr) -> Option<(crate::program::Var, Target)> {
        let Meaning::Track(var) = self.meaning(scope, subject) else {
            let help = "write `when p facing w`: `p` is each person";
            self.error_help("type", subject.span(), "expected a person variable", help);
            return None;
        };
        scope.reads_motion(var);
        Some((var, self.target(scope, object)?))
    }

    /// Whether a sensor shows a number.
    pub(super) fn shows_number(&self, sensor: osmose_model::ids::SensorId) -> bool {
        matches!(self.site.sensors[sensor.index()].kind, SensorKind::Value | SensorKind::Count)
    }

    /// The distance within which a condition on two persons may be true at all; `None` where it may be at any.
    pub(super) fn reach(&self, cond: crate::program::CondId) -> Option<f64> {
        let program = &self.program;
        let of_pair = |num: &NumId| {
            matches!(program.nums[*num as usize],
                Num::Distance(Target::Person(PersonRef::Var(a)), Target::Person(PersonRef::Var(b))) if a != b)
        };
        match &program.conds[cond as usize] {
            Cond::Compare(Compare::Less | Compare::LessEqual, a, b) if of_pair(a) => self.constant(*b),
            Cond::Compare(Compare::Greater | Compare::GreaterEqual, a, b) if of_pair(b) => self.constant(*a),
            Cond::And { from, to } => {
                let parts = &program.children[*from as usize..*to as usize];
                parts.iter().filter_map(|part| self.reach(*part)).min_by(f64::total_cmp)
            }
            Cond::Or { from, to } => {
                let parts = &program.children[*from as usize..*to as usize];
                let each: Option<Vec<f64>> = parts.iter().map(|part| self.reach(*part)).collect();
                each.and_then(|reaches| reaches.into_iter().max_by(f64::total_cmp))
            }
            Cond::For { inner, .. } => self.reach(*inner),
            Cond::Until { set, .. } => self.reach(*set),
            _ => None,
        }
    }
}
