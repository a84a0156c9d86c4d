//! Conditions: from expressions to nodes of three-valued truth.

use super::names::Meaning;
use super::rule::Scope;
use super::{Checker, units};
use crate::diag::Span;
use crate::program::{AcrossGaps, Compare, Cond, CondId, Num, PersonRef, SlotRef, Var, Who};
use crate::syntax::ast::{self, AstNode, Expr};
use osmose_model::command::Value;
use osmose_model::device::{BinaryRole, PropertySpec, SensorKind};
use osmose_model::ids::{Name, SensorId, ZoneId};
use osmose_model::tri::Tri;

/// States that mean a two-state sensor is on, and that it is off.
const ON_WORDS: &[&str] = &["active", "on", "open", "pressed", "triggered"];
const OFF_WORDS: &[&str] = &["inactive", "off", "closed", "released", "quiet"];

impl Checker<'_> {
    pub(super) fn push_cond(&mut self, cond: Cond) -> CondId {
        self.program.conds.push(cond);
        (self.program.conds.len() - 1) as CondId
    }

    /// The node of a condition. What is wrong is reported and stands as unknown.
    pub(super) fn cond(&mut self, scope: &mut Scope, expr: &Expr) -> CondId {
        let node = self.cond_node(scope, expr);
        self.push_cond(node)
    }

    fn constant_cond(&self, id: CondId) -> Option<Tri> {
        match self.program.conds[id as usize] {
            Cond::Const(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn cond_node(&mut self, scope: &mut Scope, expr: &Expr) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let expr = &scope.resolved(expr);
        match expr {
            Expr::Paren(inner) => inner.expr().map_or(WRONG, |e| self.cond_node(scope, &e)),
            Expr::And(and) => self.joined(scope, and.exprs().collect(), true),
            Expr::Or(or) => self.joined(scope, or.exprs().collect(), false),
            Expr::Not(not) => {
                let Some(inner) = not.expr() else { return WRONG };
                let inner = self.cond(scope, &inner);
                self.constant_cond(inner).map_or(Cond::Not(inner), |value| Cond::Const(!value))
            }
            Expr::Cmp(cmp) => self.comparison(scope, cmp),
            Expr::In(inside) => self.inside(scope, inside),
            Expr::Is(is) => self.is(scope, is),
            Expr::Verb(verb) => self.verb(scope, verb),
            Expr::For(held) => self.held(scope, held),
            Expr::Until(until) => self.until(scope, until),
            Expr::Nobody(nobody) => self.nobody(scope, nobody),
            Expr::NoEvidence(none) => self.no_evidence(scope, none),
            Expr::Then(then) => self.sequence(scope, then),
            Expr::Within(within) => self.within(scope, within),
            Expr::Times(times) => self.times(scope, times),
            Expr::If(choice) => {
                self.error("type", choice.span(), "`if ... then ... else` chooses a value and is no condition");
                WRONG
            }
            _ => match self.meaning(scope, expr) {
                Meaning::Truth(cond) => cond,
                Meaning::Devices(ids) if scope.existence => Cond::Const(Tri::from(!ids.is_empty())),
                Meaning::Sensors(ids) if scope.existence => Cond::Const(Tri::from(!ids.is_empty())),
                Meaning::Argument(name) => Cond::Argument(name),
                other => {
                    self.wrong_kind(expr.span(), "a condition", &other);
                    WRONG
                }
            },
        }
    }

    fn joined(&mut self, scope: &mut Scope, parts: Vec<Expr>, and: bool) -> Cond {
        let ids: Vec<CondId> = parts.iter().map(|part| self.cond(scope, part)).collect();
        let values: Option<Vec<Tri>> = ids.iter().map(|id| self.constant_cond(*id)).collect();
        if let Some(values) = values {
            let value = if and { values.iter().min() } else { values.iter().max() };
            return Cond::Const(value.copied().unwrap_or_default());
        }
        self.join_ids(&ids, and)
    }

    pub(super) fn join_ids(&mut self, ids: &[CondId], and: bool) -> Cond {
        let from = self.program.children.len() as u32;
        self.program.children.extend_from_slice(ids);
        let to = self.program.children.len() as u32;
        if and { Cond::And { from, to } } else { Cond::Or { from, to } }
    }

    fn comparison(&mut self, scope: &mut Scope, cmp: &ast::Cmp) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let sides: Vec<Expr> = cmp.exprs().collect();
        let ([left, right], Some(operator)) = (sides.as_slice(), cmp.operator()) else { return WRONG };
        let compare = match operator.text() {
            "<" => Compare::Less,
            "<=" => Compare::LessEqual,
            ">" => Compare::Greater,
            ">=" => Compare::GreaterEqual,
            "==" => Compare::Equal,
            _ => Compare::NotEqual,
        };
        let equality = matches!(compare, Compare::Equal | Compare::NotEqual);
        let meaning = self.meaning(scope, left);
        match meaning {
            Meaning::Property { ref ids, spec } if equality && spec.unit.is_none() => {
                let (Expr::Name(_) | Expr::String(_)) = right else {
                    self.error("type", right.span(), format!("expected one of the words of `{}`", spec.property));
                    return WRONG;
                };
                let word = word_of(right);
                let cond = self.property_is(scope, ids, &spec, &word, right.span());
                return if compare == Compare::Equal { cond } else { self.negated(cond) };
            }
            Meaning::Text(ref text) if equality => {
                return match self.meaning(scope, right) {
                    Meaning::Text(other) => Cond::Const(Tri::from((*text == other) == (compare == Compare::Equal))),
                    other => {
                        self.wrong_kind(right.span(), "a text", &other);
                        WRONG
                    }
                };
            }
            Meaning::Person(_) | Meaning::Track(_) | Meaning::Argument(_) if equality => {
                let Some(a) = self.person_ref(scope, left) else { return WRONG };
                let Some(b) = self.person_ref(scope, right) else { return WRONG };
                let cond = Cond::SamePerson(a, b);
                return if compare == Compare::Equal { cond } else { self.negated(cond) };
            }
            Meaning::TimeOfDay => {
                let help = "write `time in 22:00..06:00`";
                self.error_help("type", left.span(), "a time of day is compared by `in`", help);
                return WRONG;
            }
            _ => {}
        }
        let left_number = self.as_number(scope, &meaning, left.span());
        let right_number = self.number(scope, right);
        let (Some((a, unit_a)), Some((b, unit_b))) = (left_number, right_number) else { return WRONG };
        if !units::fits(unit_b, unit_a) {
            self.unit_mismatch(left, unit_a, right, unit_b);
            return WRONG;
        }
        if let (Num::Confidence(PersonRef::Var(_)), Some(bound), Compare::GreaterEqual | Compare::Greater) =
            (&self.program.nums[a as usize], self.constant(b), compare)
        {
            // "the rule's confidence": the strictest that it asks for.
            scope.confidence = scope.confidence.max(bound.clamp(0.0, 1.0));
        }
        match (self.constant(a), self.constant(b)) {
            (Some(a), Some(b)) => Cond::Const(crate::eval::compare(compare, (a, a), (b, b))),
            _ => Cond::Compare(compare, a, b),
        }
    }

    pub(super) fn negated(&mut self, cond: Cond) -> Cond {
        match cond {
            Cond::Const(value) => Cond::Const(!value),
            other => Cond::Not(self.push_cond(other)),
        }
    }

    pub(super) fn zone(&mut self, scope: &mut Scope, expr: &Expr) -> Option<ZoneId> {
        match self.meaning(scope, expr) {
            Meaning::Zone(zone) => Some(zone),
            other => {
                self.wrong_kind(expr.span(), "a zone", &other);
                None
            }
        }
    }

    /// `p in r`, `p in members(g)`, `time in 22:00..06:00`, `x in 1..2`, `ben in m7`, `any p in S in r`
    fn inside(&mut self, scope: &mut Scope, inside: &ast::In) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let sides: Vec<Expr> = inside.exprs().collect();
        let [left, right] = sides.as_slice() else { return WRONG };
        if let Expr::Range(range) = right {
            return self.in_range(scope, left, range);
        }
        let subject = self.meaning(scope, left);
        let object = self.meaning(scope, right);
        match (subject, object) {
            (Meaning::Wrong, _) | (_, Meaning::Wrong) => WRONG,
            (Meaning::Track(var), Meaning::Zone(zone)) => {
                self.place_of_track(scope, var, zone);
                Cond::TrackIn(var, zone)
            }
            (Meaning::Track(var), Meaning::People(who)) => self.track_is(scope, var, who),
            (Meaning::Track(var), Meaning::Group(group)) => Cond::TrackIs(var, Who::Members(group)),
            (Meaning::Person(person), Meaning::Zone(zone)) => {
                scope.deps.everywhere = true;
                Cond::PersonIn(person, zone)
            }
            (Meaning::Person(person), Meaning::People(Who::Members(group)) | Meaning::Group(group)) => {
                Cond::Const(Tri::from(self.site.groups[group.index()].members.contains(&person)))
            }
            (Meaning::Quantified { any: true, who, var: Some(var) }, Meaning::Zone(zone)) => {
                self.place_of_track(scope, var, zone);
                scope.use_track(var);
                let member = self.track_is(scope, var, who);
                let member = self.push_cond(member);
                let place = self.push_cond(Cond::TrackIn(var, zone));
                self.join_ids(&[member, place], true)
            }
            (Meaning::Quantified { any, who, .. }, Meaning::Zone(zone)) => {
                scope.deps.zones.push(zone);
                scope.deps.everywhere |= !any;
                self.set_needs(scope, who);
                if any { Cond::AnyIn(who, zone) } else { Cond::EveryIn(who, zone) }
            }
            (Meaning::Track(_) | Meaning::Person(_) | Meaning::Quantified { .. }, object) => {
                self.wrong_kind(right.span(), "a zone or a set of people", &object);
                WRONG
            }
            (subject, _) => {
                self.wrong_kind(left.span(), "a person", &subject);
                WRONG
            }
        }
    }

    /// Notes that it matters whether a person is in a zone. Whom a `count` looks at is looked at with his zone.
    fn place_of_track(&mut self, scope: &mut Scope, var: Var, zone: ZoneId) {
        if var == crate::program::COUNTED {
            scope.deps.zones.push(zone);
        } else {
            scope.track_zones.push(zone);
        }
    }

    fn track_is(&mut self, scope: &mut Scope, var: Var, who: Who) -> Cond {
        if let Who::InZone(zone) = who {
            self.place_of_track(scope, var, zone);
            return Cond::TrackIn(var, zone);
        }
        self.set_needs(scope, who);
        Cond::TrackIs(var, who)
    }

    /// What must wake a condition that reads a set of people.
    pub(super) fn set_needs(&mut self, scope: &mut Scope, who: Who) {
        match who {
            Who::Participants(zone) => {
                let of_zone = self.program.recorders.iter().filter(|(_, z)| *z == zone).map(|(a, _)| *a);
                scope.deps.devices.extend(of_zone);
            }
            Who::InZone(zone) => scope.deps.zones.push(zone),
            Who::Anyone | Who::Person(_) | Who::Members(_) => {}
        }
    }

    fn in_range(&mut self, scope: &mut Scope, left: &Expr, range: &ast::Range) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let ends: Vec<Expr> = range.exprs().collect();
        let [low, high] = ends.as_slice() else { return WRONG };
        let subject = self.meaning(scope, left);
        if let Meaning::TimeOfDay = subject {
            return self.time_in(scope, low, high, range.span());
        }
        let value = self.as_number(scope, &subject, left.span());
        let (low_number, high_number) = (self.number(scope, low), self.number(scope, high));
        let (Some((value, unit)), Some((a, unit_a)), Some((b, unit_b))) = (value, low_number, high_number) else {
            return WRONG;
        };
        if !units::fits(unit_a, unit) {
            self.unit_mismatch(left, unit, low, unit_a);
        }
        if !units::fits(unit_b, unit) {
            self.unit_mismatch(left, unit, high, unit_b);
        }
        let above = self.push_cond(Cond::Compare(Compare::GreaterEqual, value, a));
        let below = self.push_cond(Cond::Compare(Compare::LessEqual, value, b));
        self.join_ids(&[above, below], true)
    }

    /// `r is occupied`, `r.recorder is recording`, `fire-panel is active`, `all sensors of r are alive`
    fn is(&mut self, scope: &mut Scope, is: &ast::Is) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let Some(subject_expr) = is.expr() else { return WRONG };
        let subject = self.meaning(scope, &subject_expr);
        if let Some(instant) = is.instant() {
            let cond = self.time_is(scope, &subject, &subject_expr, &instant);
            return if is.negated() { self.negated(cond) } else { cond };
        }
        let Some(state) = is.state() else { return WRONG };
        let (word, span) = (state.text(), state.span());
        let cond = match &subject {
            Meaning::Devices(ids) if word == "manual" => {
                scope.deps.devices.extend_from_slice(ids);
                let each: Vec<CondId> = ids.iter().map(|d| self.push_cond(Cond::SetByHand(*d))).collect();
                self.all_of_ids(&each)
            }
            Meaning::Day => self.day_is(scope, &word, span),
            Meaning::Sun => self.sun_is(scope, &word, span),
            Meaning::Calendar { calendar, zone } => {
                self.booking_is(scope, *calendar, *zone, &word, span, osmose_model::time::DurationNs::ZERO)
            }
            Meaning::Zone(zone) => self.zone_is(scope, *zone, &word, span),
            Meaning::Devices(ids) => match self.device_property(ids, "state", span) {
                Meaning::Property { ids, spec } => self.property_is(scope, &ids, &spec, &word, span),
                _ => WRONG,
            },
            Meaning::Property { ids, spec } => self.property_is(scope, ids, spec, &word, span),
            Meaning::Track(var) if word == "identified" => Cond::TrackIdentified(*var),
            Meaning::Mode { mode, place } => self.mode_is(scope, *mode, *place, &word, span),
            Meaning::Sensors(ids) if ids.len() == 1 && word == "unknown" && self.shows_number(ids[0]) => {
                match self.as_number(scope, &subject, span) {
                    Some((number, _)) => Cond::NumberUnknown(number),
                    None => WRONG,
                }
            }
            Meaning::Sensors(ids) => self.sensors_are(scope, ids, &word, span),
            Meaning::Number(number, _) if word == "unknown" => Cond::NumberUnknown(*number),
            Meaning::Truth(inner) if word == "unknown" => Cond::IsUnknown(self.push_cond(inner.clone())),
            Meaning::Wrong => WRONG,
            other => {
                let message = format!("{} is never `{word}`", other.said());
                if matches!(other, Meaning::Track(_) | Meaning::Person(_)) && self.site.group_named(&word).is_some() {
                    let help = format!("who belongs to a group is asked as in `p in members({word})`");
                    self.error_help("unknown-state", span, message, help);
                } else {
                    self.error("unknown-state", span, message);
                }
                WRONG
            }
        };
        if is.negated() { self.negated(cond) } else { cond }
    }

    fn zone_is(&mut self, scope: &mut Scope, zone: ZoneId, word: &str, span: Span) -> Cond {
        scope.deps.zones.push(zone);
        let watching: Vec<SensorId> =
            self.site.sensors.iter().filter(|s| s.zones.contains(&zone)).map(|s| s.id).collect();
        scope.deps.sensors.extend(watching);
        match word {
            "occupied" => Cond::Occupied(zone),
            "empty" | "vacant" => self.negated(Cond::Occupied(zone)),
            "unknown" => Cond::IsUnknown(self.push_cond(Cond::Occupied(zone))),
            _ => {
                self.unknown_name(span, "state of a zone", word, ["occupied", "empty", "vacant", "unknown"]);
                Cond::Const(Tri::Unknown)
            }
        }
    }

    fn property_is(
        &mut self,
        scope: &mut Scope,
        ids: &[osmose_model::ids::ActuatorId],
        spec: &PropertySpec,
        word: &str,
        span: Span,
    ) -> Cond {
        scope.deps.devices.extend_from_slice(ids);
        let (Some(property), Some(name)) = (Name::new(spec.property), Name::new(word)) else {
            self.error("unknown-state", span, "this word is too long to be a state");
            return Cond::Const(Tri::Unknown);
        };
        if word != "unknown" && !spec.words.is_empty() && !spec.words.contains(&word) {
            self.unknown_name(span, &format!("value of `{}`", spec.property), word, spec.words.iter().copied());
            return Cond::Const(Tri::Unknown);
        }
        let each: Vec<CondId> = ids
            .iter()
            .map(|device| {
                self.push_cond(match word {
                    "unknown" => Cond::DeviceUnknown { device: *device, property },
                    _ => Cond::DeviceIs { device: *device, property, value: Value::Name(name) },
                })
            })
            .collect();
        self.all_of_ids(&each)
    }

    /// All of them; one alone stands for itself.
    pub(super) fn all_of_ids(&mut self, ids: &[CondId]) -> Cond {
        match ids {
            [only] => self.program.conds[*only as usize].clone(),
            _ => self.join_ids(ids, true),
        }
    }

    fn sensors_are(&mut self, scope: &mut Scope, ids: &[SensorId], word: &str, span: Span) -> Cond {
        scope.deps.sensors.extend_from_slice(ids);
        let mut each = Vec::with_capacity(ids.len());
        for id in ids {
            let sensor = &self.site.sensors[id.index()];
            let switch = sensor.kind == SensorKind::Binary;
            let node = match word {
                "alive" => Cond::Alive(*id),
                "dead" => {
                    let alive = self.push_cond(Cond::Alive(*id));
                    Cond::Not(alive)
                }
                "unknown" if switch => {
                    let on = self.push_cond(Cond::SwitchIs { sensor: *id, on: true });
                    Cond::IsUnknown(on)
                }
                _ if switch && ON_WORDS.contains(&word) => Cond::SwitchIs { sensor: *id, on: true },
                _ if switch && OFF_WORDS.contains(&word) => Cond::SwitchIs { sensor: *id, on: false },
                _ => {
                    let mut known = vec!["alive", "dead"];
                    if switch {
                        known.push("unknown");
                        known.extend_from_slice(ON_WORDS);
                        known.extend_from_slice(OFF_WORDS);
                    }
                    let what = format!("state of a {} sensor", sensor.kind);
                    self.unknown_name(span, &what, word, known);
                    return Cond::Const(Tri::Unknown);
                }
            };
            each.push(self.push_cond(node));
        }
        self.all_of_ids(&each)
    }

    fn mode_is(&mut self, scope: &mut Scope, mode: u16, place: u16, word: &str, span: Span) -> Cond {
        scope.deps.modes.push(place);
        match self.mode_value(mode, word, span) {
            Some(value) => Cond::ModeIs { mode: place, value },
            None => Cond::Const(Tri::Unknown),
        }
    }

    /// The number of a mode's value; `None` after reporting.
    pub(super) fn mode_value(&mut self, mode: u16, word: &str, span: Span) -> Option<u16> {
        let info = self.program.modes[usize::from(mode)].clone();
        let found = info.values.iter().position(|v| v == word);
        if found.is_none() {
            let what = format!("value of mode `{}`", info.name);
            self.unknown_name(span, &what, word, info.values.iter().map(String::as_str));
        }
        found.map(|value| value as u16)
    }

    /// Room for what a condition remembers: per person where it speaks of the person.
    pub(super) fn slot(&mut self, scope: &mut Scope, span: Span, per_track: bool) -> SlotRef {
        self.slots(scope, span, per_track, 1)
    }

    /// The first of `wanted` such places.
    pub(super) fn slots(&mut self, scope: &mut Scope, span: Span, per_track: bool, wanted: usize) -> SlotRef {
        let count = if per_track { &mut scope.track_slots } else { &mut scope.slots };
        let slot = *count;
        if usize::from(slot) + wanted > 100 {
            self.error("too-many", span, "a rule may remember 100 things at most");
        } else {
            *count += wanted as u8;
        }
        if per_track { SlotRef::Track(slot) } else { SlotRef::Instance(slot) }
    }

    /// `COND for D`
    fn held(&mut self, scope: &mut Scope, held: &ast::For) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let parts: Vec<Expr> = held.exprs().collect();
        let [inner_expr, length] = parts.as_slice() else { return WRONG };
        let (events, uses) = (scope.events, scope.uses());
        let inner = self.cond(scope, inner_expr);
        if scope.events > events {
            self.error("type", held.span(), "an event lasts an instant; `for` stands behind a state such as `p in r`");
        }
        // A booking counts from its own beginning, and each one anew.
        if let Cond::Booked { calendar, zone, .. } = self.program.conds[inner as usize] {
            return match self.duration(length) {
                Some(length) => Cond::Booked { calendar, zone, length },
                None => WRONG,
            };
        }
        let per_track = scope.uses() > uses;
        let across = match held.across().map(|n| (n.text(), n.span())) {
            None => AcrossGaps::ContinueIfShort,
            Some((word, span)) => match word.as_str() {
                "continue" => AcrossGaps::Continue,
                "restart" => AcrossGaps::Restart,
                "unknown" => AcrossGaps::Unknown,
                _ => {
                    self.unknown_name(span, "way across gaps", &word, ["continue", "restart", "unknown"]);
                    AcrossGaps::ContinueIfShort
                }
            },
        };
        let Some(length) = self.duration(length) else { return WRONG };
        let slot = self.slot(scope, held.span(), per_track);
        Cond::For { inner, length, across, slot }
    }

    /// `COND until (COND)`
    fn until(&mut self, scope: &mut Scope, until: &ast::Until) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let parts: Vec<Expr> = until.exprs().collect();
        let [set, reset] = parts.as_slice() else { return WRONG };
        let uses = scope.uses();
        let was = (scope.in_until, scope.events_allowed);
        // What an event sets stays set, so that one may stand here in a `while` too; and either may end it.
        (scope.in_until, scope.events_allowed) = (false, true);
        let events = scope.events;
        let set = self.cond(scope, set);
        scope.in_until = true;
        let reset = self.cond(scope, reset);
        scope.instant |= scope.events > events;
        (scope.in_until, scope.events_allowed) = was;
        scope.events = events;
        let slot = self.slot(scope, until.span(), scope.uses() > uses);
        Cond::Until { set, reset, slot }
    }

    fn nobody(&mut self, scope: &mut Scope, nobody: &ast::Nobody) -> Cond {
        let Some(zone) = nobody.expr().and_then(|place| self.zone(scope, &place)) else {
            return Cond::Const(Tri::Unknown);
        };
        self.zone_is(scope, zone, if nobody.is_nobody() { "empty" } else { "occupied" }, nobody.span())
    }

    /// `no motion in r`
    fn no_evidence(&mut self, scope: &mut Scope, none: &ast::NoEvidence) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let Some(zone) = none.expr().and_then(|place| self.zone(scope, &place)) else { return WRONG };
        let Some(word) = none.names().next() else { return WRONG };
        if matches!(word.text().as_str(), "people" | "person" | "one") {
            return self.zone_is(scope, zone, "empty", none.span());
        }
        if word.text() != "motion" {
            self.unknown_name(word.span(), "evidence", &word.text(), ["motion", "people"]);
            return WRONG;
        }
        let fits = |s: &&osmose_model::device::Sensor| {
            s.zones.contains(&zone) && s.kind == SensorKind::Binary && s.role == Some(BinaryRole::Motion)
        };
        let ids: Vec<SensorId> = self.site.sensors.iter().filter(fits).map(|s| s.id).collect();
        if ids.is_empty() {
            let name = &self.site.zones[zone.index()].name;
            let message = format!("no motion sensor watches zone `{name}`, so whether there is motion is never known");
            let help = "say `nobody in ...`, or give a binary sensor with `role = \"motion\"` this zone";
            self.error_help("no-device", none.span(), message, help);
            return WRONG;
        }
        scope.deps.sensors.extend_from_slice(&ids);
        let from = self.program.sensors.len() as u32;
        self.program.sensors.extend_from_slice(&ids);
        Cond::NoMotion { from, to: self.program.sensors.len() as u32 }
    }
}

pub(super) fn word_of(expr: &Expr) -> String {
    match expr {
        Expr::Name(name) => name.text(),
        Expr::String(text) => text.text(),
        _ => String::new(),
    }
}
