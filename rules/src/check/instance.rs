//! One instance of a rule: its conditions and actions lowered, its dampers, and what is to wake it.

use super::Checker;
use super::rule::{Clauses, Deps, Scope};
use crate::diag::Span;
use crate::program::{CondId, Damper, Instance, OncePer, SLOTS_PER_CONTEXT_MAX, Shape};
use crate::syntax::ast::{self, AstNode, Expr};
use osmose_model::ids::{Name, RuleId, ZoneId};
use osmose_model::limits::CAUSE_CONDITIONS_MAX;

impl Checker<'_> {
    pub(super) fn instance(&mut self, id: RuleId, clauses: &Clauses, choice: Vec<(String, ZoneId)>) {
        let mut scope = Scope { bindings: choice, ..Scope::default() };
        let (root, level) = match (&clauses.when, &clauses.while_) {
            (Some(when), None) => (when.expr(), false),
            (None, Some(holds)) => (holds.expr(), true),
            _ => return,
        };
        let Some(root) = root else { return };
        (scope.may_bind_track, scope.events_allowed) = (!level, !level);
        let mut reported: Vec<(u32, CondId)> = Vec::new();
        let condition = self.root(&mut scope, &root, &mut reported);
        (scope.may_bind_track, scope.events_allowed) = (false, false);
        let shape = self.shape(&scope, level, &root);
        let event_zones = scope.deps.zones.clone();
        let (guard, guard_remembers) = self.guard(&mut scope, clauses, &mut reported);
        let mut instance = Instance {
            rule: id,
            shape,
            bindings: Vec::new(),
            condition,
            guard,
            guard_remembers,
            reported,
            sends: Vec::new(),
            holds: Vec::new(),
            forbids: Vec::new(),
            slot_base: 0,
            slots: 0,
            track_slots: 0,
            track_zones: Vec::new(),
            shared_zones: Vec::new(),
            everywhere: false,
        };
        instance.reported.truncate(CAUSE_CONDITIONS_MAX);
        for (name, zone) in scope.bindings.clone() {
            match Name::new(&name) {
                Some(name) => instance.bindings.push((name, zone)),
                None => self.error("too-long", root.span(), format!("the name `{name}` is too long")),
            }
        }
        self.actions(&mut scope, clauses, &mut instance);
        self.finish_instance(scope, instance, event_zones, clauses, &root);
    }

    /// A root condition; the parts of a plain `and` are reported one by one in causes.
    fn root(&mut self, scope: &mut Scope, root: &Expr, reported: &mut Vec<(u32, CondId)>) -> CondId {
        let parts: Vec<Expr> = match root {
            Expr::And(and) => and.exprs().collect(),
            other => vec![other.clone()],
        };
        let ids: Vec<CondId> = parts.iter().map(|part| self.cond(scope, part)).collect();
        reported.extend(parts.iter().zip(&ids).map(|(part, id)| (part.span().start, *id)));
        if let [only] = ids.as_slice() {
            return *only;
        }
        let joined = self.join_ids(&ids, true);
        self.push_cond(joined)
    }

    fn shape(&mut self, scope: &Scope, level: bool, root: &Expr) -> Shape {
        if level {
            return Shape::Level;
        }
        if scope.events > 0 {
            return Shape::Event;
        }
        if scope.track_uses == 0 {
            return Shape::Edge;
        }
        if scope.track_zones.is_empty() {
            let help = "name a zone, as in `p in lobby and ...`";
            self.error_help("type", root.span(), "this does not say where the person is", help);
        }
        Shape::EdgePerTrack
    }

    fn guard(
        &mut self,
        scope: &mut Scope,
        clauses: &Clauses,
        reported: &mut Vec<(u32, CondId)>,
    ) -> (Option<CondId>, bool) {
        let (slots, deps, zones) = (scope.slots + scope.track_slots, scope.deps.clone(), scope.track_zones.clone());
        let mut ids = Vec::new();
        for node in &clauses.ifs {
            if let Some(expr) = node.expr() {
                ids.push(self.root(scope, &expr, reported));
            }
        }
        let remembers = scope.slots + scope.track_slots > slots;
        if !remembers {
            // A guard is read when the rule fires: what it reads needs to wake nothing.
            (scope.deps, scope.track_zones) = (deps, zones);
        }
        let guard = match ids.as_slice() {
            [] => None,
            [only] => Some(*only),
            _ => {
                let joined = self.join_ids(&ids, true);
                Some(self.push_cond(joined))
            }
        };
        (guard, remembers)
    }

    fn actions(&mut self, scope: &mut Scope, clauses: &Clauses, instance: &mut Instance) {
        for node in &clauses.dos {
            for action in node.actions() {
                self.send(scope, &action, instance);
            }
        }
        for hold in &clauses.holds {
            for assign in hold.assigns() {
                self.hold(scope, &assign, instance);
            }
        }
        for forbid in &clauses.forbids {
            for expr in forbid.exprs() {
                self.forbid(scope, &expr, instance);
            }
        }
    }

    fn finish_instance(
        &mut self,
        scope: Scope,
        mut instance: Instance,
        event_zones: Vec<ZoneId>,
        clauses: &Clauses,
        root: &Expr,
    ) {
        let rule = instance.rule.index();
        let track_name = scope.track.as_deref().and_then(Name::new);
        if self.program.rules[rule].instances.start as usize == self.program.instances.len() {
            let dampers = self.dampers(clauses, &scope);
            let info = &mut self.program.rules[rule];
            info.dampers = dampers;
            info.track_name = track_name;
            if scope.confidence > 0.0 {
                info.confidence = scope.confidence;
            }
        }
        (instance.slots, instance.track_slots) = (scope.slots, scope.track_slots);
        instance.slot_base = self.program.slots;
        self.program.slots += u32::from(scope.slots);
        instance.track_zones.clone_from(&scope.track_zones);
        instance.track_zones.sort_unstable();
        instance.track_zones.dedup();
        if usize::from(scope.track_slots) > SLOTS_PER_CONTEXT_MAX {
            let message = format!("a rule may hold {SLOTS_PER_CONTEXT_MAX} `for` and `until` of a person");
            self.error("too-many", root.span(), message);
        }
        if instance.shape == Shape::Event && instance.track_slots > 0 {
            self.not_yet(root.span(), "`for` or `until` of a person in a rule with an event");
        }
        let number = self.program.instances.len() as u32;
        let mut deps = scope.deps;
        if instance.shape == Shape::Event && instance.slots == 0 {
            deps = Deps { zones: event_zones, ..Deps::default() };
        }
        instance.shared_zones.clone_from(&deps.zones);
        instance.everywhere = deps.everywhere;
        deps.zones.extend_from_slice(&scope.track_zones);
        self.wire(number, &deps);
        self.program.instances.push(instance);
    }

    fn wire(&mut self, number: u32, deps: &Deps) {
        let index = &mut self.program.index;
        let add = |list: &mut Vec<u32>| {
            if list.last() != Some(&number) {
                list.push(number);
            }
        };
        deps.zones.iter().for_each(|z| add(&mut index.by_zone[z.index()]));
        deps.sensors.iter().for_each(|s| add(&mut index.by_sensor[s.index()]));
        deps.devices.iter().for_each(|d| add(&mut index.by_device[d.index()]));
        if deps.clock {
            add(&mut index.by_clock);
        }
        if deps.everywhere {
            add(&mut index.everywhere);
        }
    }

    /// `once per X [per KEY]` and `suppress D [per KEY]`
    fn dampers(&mut self, clauses: &Clauses, scope: &Scope) -> Vec<Damper> {
        let mut dampers = Vec::new();
        if let Some(once) = &clauses.once {
            let period = match once.expr() {
                Some(Expr::Name(name)) if name.text() == "visit" => Some(OncePer::Visit),
                Some(Expr::Name(name)) if name.text() == "day" => Some(OncePer::Day),
                Some(Expr::Name(name)) => {
                    self.unknown_name(name.span(), "period", &name.text(), ["visit", "day"]);
                    None
                }
                Some(expr) => self.duration(&expr).map(OncePer::Length),
                None => None,
            };
            let per_track = self.per(once.names().next(), scope, once.span());
            if let Some(once_per) = period {
                if once_per == OncePer::Visit && scope.track.is_none() {
                    let message = "`once per visit` needs a person in `when`: whose visit?";
                    self.error("clause", once.span(), message);
                }
                dampers.push(Damper { once: once_per, per_track: per_track || once_per == OncePer::Visit });
            }
        }
        if let Some(suppress) = &clauses.suppress {
            let per_track = self.per(suppress.names().next(), scope, suppress.span());
            if let Some(length) = suppress.expr().and_then(|e| self.duration(&e)) {
                dampers.push(Damper { once: OncePer::Length(length), per_track });
            }
        }
        dampers
    }

    /// Whether `per KEY` counts by the person. Without a key, and by a `for each` variable, it counts by instance.
    fn per(&mut self, key: Option<ast::Name>, scope: &Scope, span: Span) -> bool {
        let Some(key) = key else { return false };
        let word = key.text();
        if scope.track.as_deref() == Some(word.as_str()) {
            return true;
        }
        if scope.binding(&word).is_some() {
            return false;
        }
        if word == "pair" {
            self.not_yet(span, "`per pair`");
            return false;
        }
        let known: Vec<String> = scope.bindings.iter().map(|b| b.0.clone()).chain(scope.track.clone()).collect();
        self.unknown_name(key.span(), "variable of this rule", &word, known.iter().map(String::as_str));
        false
    }
}
