//! What a call, `all ...` and `any ... in ...` mean: people and numbers of them.

use super::Checker;
use super::names::{Meaning, kind_of_member};
use super::rule::Scope;
use crate::diag::Span;
use crate::program::{COUNTED, Num, PersonRef, Who};
use crate::syntax::ast::{self, AstNode, Expr};
use osmose_model::device::{ActuatorKind, SensorKind, Unit};
use osmose_model::ids::{ActuatorId, SensorId, ZoneId};

impl Checker<'_> {
    pub(super) fn call(&mut self, scope: &mut Scope, call: &ast::Call) -> Meaning {
        let Some(Expr::Name(function)) = call.expr() else {
            let help = "write `when WHAT HAPPENS do DEVICE.COMMAND()`; `then` is for what happens next";
            self.error_help("not-a-value", call.span(), "a command is no value; it stands behind `do`", help);
            return Meaning::Wrong;
        };
        let args: Vec<Expr> = call.args().filter_map(|a| a.expr()).collect();
        let filter = call.args().find_map(|a| a.filter());
        let name = function.text();
        if let Some(filter) = filter.as_ref().filter(|_| name != "count") {
            self.error("arguments", filter.span(), "`where` stands in `count(...)` only");
            return Meaning::Wrong;
        }
        let wanted = match name.as_str() {
            "participants" | "members" | "confidence" | "count" | "speed" | "spread" | "baseline" | "list"
            | "lasting" | "starts-in" => 1,
            "distance" | "rate" | "mean" | "min" | "max" | "left-ago" | "unsure-for" | "warm-up" => 2,
            _ => args.len(),
        };
        match name.as_str() {
            _ if args.len() != wanted => {
                let many = if wanted == 1 { "one argument" } else { "two arguments" };
                self.error("arguments", call.span(), format!("`{name}` takes {many}, not {}", args.len()));
                Meaning::Wrong
            }
            "participants" => self.participants(scope, &args[0]),
            "members" => self.members(scope, &args[0]),
            "confidence" => match self.person_ref(scope, &args[0]) {
                Some(person) => Meaning::Number(self.push_num(Num::Confidence(person)), Unit::One),
                None => Meaning::Wrong,
            },
            "count" => match filter {
                Some(filter) => self.count_where(scope, &args[0], &filter),
                None => self.count(scope, &args[0]),
            },
            "distance" => self.distance(scope, &args[0], &args[1]),
            "speed" => self.speed(scope, &args[0]),
            "spread" => self.spread(scope, &args[0]),
            "left-ago" => self.left_ago(scope, &args[0], &args[1]),
            "unsure-for" => self.unsure_for(scope, &args[0], &args[1]),
            "starts-in" => self.starts_in(scope, &args[0]),
            "min" | "max" => self.extreme(scope, &args[0], &args[1], name == "min"),
            "rate" | "mean" | "baseline" => self.window(scope, &name, &args),
            "warm-up" => self.warm_up(scope, &args[0], &args[1]),
            "lasting" => self.lasting(scope, call.span(), &args[0]),
            "notify" | "list" => {
                let help = "`notify(...)` stands behind `do`, `{list(z)}` in a text";
                self.error_help("not-a-value", call.span(), format!("`{name}` is no value here"), help);
                Meaning::Wrong
            }
            _ => {
                let known = crate::syntax::words::FUNCTIONS.iter().map(|f| f.0);
                self.unknown_name(function.span(), "function", &name, known);
                Meaning::Wrong
            }
        }
    }

    fn participants(&mut self, scope: &mut Scope, of: &Expr) -> Meaning {
        match self.meaning(scope, of) {
            Meaning::Zone(zone) if self.program.recorders.iter().any(|(_, z)| *z == zone) => {
                Meaning::People(Who::Participants(zone))
            }
            Meaning::Zone(zone) => {
                let name = &self.site.zones[zone.index()].name;
                let message = format!("zone `{name}` has no recorder, so it never has a session with participants");
                let help = match scope.binding_of(zone) {
                    Some(binder) => format!("leave such zones out: `for each ... {binder} where {binder}.recorder`"),
                    None => "a session begins with `recorder.start`".to_owned(),
                };
                self.error_help("no-device", of.span(), message, help);
                Meaning::Wrong
            }
            other => self.wrong_kind(of.span(), "a zone", &other),
        }
    }

    fn members(&mut self, scope: &mut Scope, of: &Expr) -> Meaning {
        if let Expr::Name(name) = of {
            // Groups first: a zone may bear a group's name.
            if let Some(group) = self.site.group_named(&name.text()) {
                return Meaning::People(Who::Members(group));
            }
            if scope.binding(&name.text()).is_none() && self.site_name(&name.text()).is_none() {
                let known: Vec<String> = self.site.groups.iter().map(|g| g.name.clone()).collect();
                self.unknown_name(name.span(), "group", &name.text(), known.iter().map(String::as_str));
                return Meaning::Wrong;
            }
        }
        let text = match of {
            Expr::String(text) => Some(text.text()),
            _ => match self.meaning(scope, of) {
                Meaning::Group(group) => return Meaning::People(Who::Members(group)),
                Meaning::Text(text) => Some(text),
                other => return self.wrong_kind(of.span(), "a group", &other),
            },
        };
        let by_folder = |text: &str| self.site.groups.iter().find(|g| g.folder.as_deref() == Some(text)).map(|g| g.id);
        match text.as_deref().and_then(|t| self.site.group_named(t).or_else(|| by_folder(t))) {
            Some(group) => Meaning::People(Who::Members(group)),
            None => {
                let known: Vec<String> = self.site.groups.iter().map(|g| g.name.clone()).collect();
                let text = text.unwrap_or_default();
                self.unknown_name(of.span(), "group", &text, known.iter().map(String::as_str));
                Meaning::Wrong
            }
        }
    }

    /// Whom an expression names when the rule runs; `None` after reporting.
    pub(super) fn person_ref(&mut self, scope: &mut Scope, expr: &Expr) -> Option<PersonRef> {
        match self.meaning(scope, expr) {
            Meaning::Track(var) => Some(PersonRef::Var(var)),
            Meaning::Person(person) => Some(PersonRef::Person(person)),
            Meaning::Argument(name) => Some(PersonRef::Argument(name)),
            other => {
                self.wrong_kind(expr.span(), "a person", &other);
                None
            }
        }
    }

    /// `count(q in r where COND)`: `q` is each of the people in `r`.
    fn count_where(&mut self, scope: &mut Scope, of: &Expr, filter: &Expr) -> Meaning {
        let sides: Vec<Expr> = match of {
            Expr::In(inside) => inside.exprs().collect(),
            _ => Vec::new(),
        };
        let [Expr::Name(who), place] = sides.as_slice() else {
            self.error_help("type", of.span(), "expected whom to count", "write `count(q in r where ...)`");
            return Meaning::Wrong;
        };
        let zone = match self.meaning(scope, place) {
            Meaning::Zone(zone) => zone,
            other => return self.wrong_kind(place.span(), "a zone", &other),
        };
        if scope.counted.is_some() {
            self.error("type", of.span(), "a `count` with `where` cannot stand inside another");
            return Meaning::Wrong;
        }
        if scope.counts >= 4 {
            self.error("too-many", of.span(), "a rule may hold four `count` with `where` at most");
            return Meaning::Wrong;
        }
        let name = who.text();
        if scope.var(&name).is_some() || scope.bound(&name).is_some() || self.site_name(&name).is_some() {
            self.error("defined-twice", who.span(), format!("`{name}` already names something"));
            return Meaning::Wrong;
        }
        // What the condition remembers it remembers of each person counted, in a context of its own.
        let (slots, uses, events) = (std::mem::take(&mut scope.track_slots), scope.track_uses, scope.events_allowed);
        let outer = scope.may_bind_track;
        (scope.counted, scope.may_bind_track, scope.events_allowed) = (Some(name), false, false);
        let cond = self.cond(scope, filter);
        (scope.counted, scope.may_bind_track, scope.events_allowed) = (None, outer, events);
        let used = std::mem::replace(&mut scope.track_slots, slots);
        let nth = scope.counts;
        scope.counts += 1;
        if usize::from(used) > crate::program::SLOTS_PER_CONTEXT_MAX {
            self.error("too-many", filter.span(), "this `where` remembers too many things");
        }
        if used > 0 && scope.track_uses.iter().zip(uses).take(2).any(|(now, before)| *now != before) {
            let message = "what is remembered here cannot depend on the rule's own person";
            self.error_help("type", filter.span(), message, "leave out `for`, or the other person");
        }
        scope.track_uses[usize::from(COUNTED)] = 0;
        scope.remembers |= used > 0;
        scope.deps.zones.push(zone);
        scope.deps.sensors.extend_from_slice(&self.program.watchers[zone.index()]);
        if scope.counted_moves {
            scope.deps.moved_in.push(zone);
        }
        Meaning::Number(self.push_num(Num::CountWhere { zone, cond, nth, slots: used }), Unit::People)
    }

    /// `lasting(p in queue)`: how long it has been so. A condition waits with `for`; this is for what is said.
    fn lasting(&mut self, scope: &mut Scope, span: Span, of: &Expr) -> Meaning {
        if !scope.acts || scope.counted.is_some() {
            let help = "write `COND for 5 min`; `lasting(COND)` stands in `if`, in texts and in values of a `do`";
            self.error_help("type", span, "a condition waits by `for`", help);
            return Meaning::Wrong;
        }
        let uses = scope.uses();
        let cond = self.cond(scope, of);
        let slot = self.slot(scope, span, scope.uses() > uses);
        let number = self.push_num(Num::Lasting { cond, slot });
        scope.kept.push(number);
        Meaning::Number(number, Unit::Second)
    }

    /// `count(people in r)`
    fn count(&mut self, scope: &mut Scope, of: &Expr) -> Meaning {
        if let Expr::In(inside) = of {
            let sides: Vec<Expr> = inside.exprs().collect();
            if let [Expr::Name(people), place] = sides.as_slice()
                && people.text() == "people"
            {
                return match self.meaning(scope, place) {
                    Meaning::Zone(zone) => {
                        scope.deps.zones.push(zone);
                        scope.deps.sensors.extend_from_slice(&self.program.watchers[zone.index()]);
                        Meaning::Number(self.push_num(Num::Count(zone)), Unit::People)
                    }
                    other => self.wrong_kind(place.span(), "a zone", &other),
                };
            }
        }
        self.error_help("type", of.span(), "expected whom to count", "write `count(people in r)`");
        Meaning::Wrong
    }

    pub(super) fn sensors_of(&self, zone: Option<ZoneId>, kind: Option<SensorKind>) -> Vec<SensorId> {
        let fits = |s: &&osmose_model::device::Sensor| {
            zone.is_none_or(|z| s.zones.contains(&z)) && kind.is_none_or(|k| s.kind == k)
        };
        self.site.sensors.iter().filter(fits).map(|s| s.id).collect()
    }

    /// `all sensors of r`, `all doors`, `all lights of r`
    pub(super) fn all_of(&mut self, scope: &mut Scope, all: &ast::AllOf) -> Meaning {
        let Some(name) = all.names().next() else { return Meaning::Wrong };
        let word = name.text();
        if !all.is_all() {
            let help = format!("write `all {word}`, or `any p in ...` for people");
            self.error_help("type", all.span(), format!("`any {word}` says nothing by itself"), help);
            return Meaning::Wrong;
        }
        let zone = match all.expr() {
            None => None,
            Some(place) => match self.meaning(scope, &place) {
                Meaning::Zone(zone) => Some(zone),
                other => return self.wrong_kind(place.span(), "a zone", &other),
            },
        };
        if word == "sensors" {
            let ids = self.sensors_of(zone, None);
            if ids.is_empty() {
                self.error("no-device", all.span(), "no sensor names this zone, so nothing can be said of its sensors");
                return Meaning::Wrong;
            }
            return Meaning::Sensors(ids);
        }
        let Some((kind, true)) = kind_of_member(&word) else {
            let known: Vec<String> =
                ActuatorKind::ALL.iter().map(|k| format!("{k}s")).chain(["sensors".to_owned()]).collect();
            self.unknown_name(name.span(), "kind of device", &word, known.iter().map(String::as_str));
            return Meaning::Wrong;
        };
        let fits = |a: &&osmose_model::device::Actuator| a.kind == kind && zone.is_none_or(|z| a.zone == Some(z));
        let ids: Vec<ActuatorId> = self.site.actuators.iter().filter(fits).map(|a| a.id).collect();
        if ids.is_empty() {
            let file = self.file.clone();
            let message = format!("there is no {kind} here, so this does nothing");
            self.report(crate::diag::Diagnostic::warning("no-device", &file, all.span(), message));
        }
        Meaning::Devices(ids)
    }

    /// `any p in participants(r)`: binds `p`.
    pub(super) fn quantified(&mut self, scope: &mut Scope, quantified: &ast::Quantified) -> Meaning {
        let (Some(name), Some(set)) = (quantified.names().next(), quantified.expr()) else { return Meaning::Wrong };
        let who = match self.meaning(scope, &set) {
            Meaning::People(who) => who,
            Meaning::Zone(zone) => Who::InZone(zone),
            Meaning::Group(group) => Who::Members(group),
            other => {
                self.wrong_kind(set.span(), "a set of people", &other);
                return Meaning::Wrong;
            }
        };
        let text = name.text();
        if scope.binding(&text).is_some() || self.site_name(&text).is_some() {
            let message = format!("`{text}` already names something; choose another name for the person");
            self.error("defined-twice", name.span(), message);
            return Meaning::Wrong;
        }
        let mut var = None;
        if scope.may_bind_track && quantified.is_any() {
            let uses = scope.track_uses;
            var = self.bind_track(scope, &text, name.span());
            // It speaks of the person only where what it stands in does.
            scope.track_uses = uses;
            if var.is_none() {
                return Meaning::Wrong;
            }
        }
        Meaning::Quantified { any: quantified.is_any(), who, var }
    }
}
