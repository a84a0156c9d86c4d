//! One instance of a rule: its conditions and actions lowered, its dampers, and what is to wake it.

use super::Checker;
use super::rule::{Clauses, Deps, Scope};
use crate::diag::Span;
use crate::program::{
    Binding, Cond, CondId, Damper, Instance, OfPeople, OncePer, Pairs, Per, SLOTS_PER_CONTEXT_MAX, Shape,
};
use crate::syntax::ast::{self, AstNode, Expr};
use osmose_model::ids::{Name, RuleId, ZoneId};
use osmose_model::limits::CAUSE_CONDITIONS_MAX;

impl Checker<'_> {
    pub(super) fn instance(
        &mut self,
        id: RuleId,
        clauses: &Clauses,
        choice: Vec<(String, Binding)>,
        values: Vec<(String, Expr)>,
    ) {
        let catch_up = self.program.rules[id.index()].catch_up;
        let mut scope = Scope { bindings: choice, values, catch_up, ..Scope::default() };
        let (root, level) = match (&clauses.when, &clauses.while_) {
            (Some(when), None) => (when.expr(), false),
            (None, Some(holds)) => (holds.expr(), true),
            _ => return,
        };
        let Some(root) = root else { return };
        (scope.may_bind_track, scope.events_allowed) = (!level, !level);
        self.first_cond = self.program.conds.len();
        let mut reported: Vec<(u32, CondId)> = Vec::new();
        let condition = self.root(&mut scope, &root, &mut reported);
        (scope.may_bind_track, scope.events_allowed, scope.acts) = (false, false, true);
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
            steps: Vec::new(),
            branches: Vec::new(),
            waits: false,
            holds: Vec::new(),
            forbids: Vec::new(),
            slot_base: 0,
            slots: 0,
            track_slots: 0,
            track_zones: Vec::new(),
            shared_zones: Vec::new(),
            everywhere: false,
            pairs: None,
            roams: false,
            reads_motion: false,
            instant: false,
        };
        instance.reported.truncate(CAUSE_CONDITIONS_MAX);
        for (name, binding) in scope.bindings.clone() {
            match Name::new(&name) {
                Some(name) => instance.bindings.push((name, binding)),
                None => self.error("too-long", root.span(), format!("the name `{name}` is too long")),
            }
        }
        self.actions(&mut scope, clauses, &mut instance);
        self.keep_up(&scope, &mut instance);
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
        let speaks = scope.uses() > 0;
        match (scope.tracks.len(), scope.events > 0) {
            (2, happens) => {
                if happens {
                    let help = "write what happens in one rule, and how near two are in another";
                    self.error_help("type", root.span(), "a rule with two persons waits for a state of both", help);
                }
                Shape::EdgePerPair
            }
            (_, true) if scope.track_slots > 0 || scope.moves => Shape::InstantPerTrack,
            (_, true) if scope.uses() > 0 && !self.any_cond(|cond| matches!(cond, Cond::Event { .. })) => {
                // Nobody's own event: everybody of whom the rest holds.
                Shape::InstantPerTrack
            }
            // What remembers, or is said by a sensor, is looked at stimulus by stimulus.
            (_, true) if self.any_cond(remembers_happening) => Shape::Instant,
            (_, true) => Shape::Event,
            (_, false) if !speaks => Shape::Edge,
            (_, false) => Shape::EdgePerTrack,
        }
    }

    /// Whether some condition of the instance that is lowered is of a sort.
    fn any_cond(&self, sort: impl Fn(&Cond) -> bool) -> bool {
        self.program.conds[self.first_cond..].iter().any(sort)
    }

    /// Whether a condition is true only at an instant at which something happens.
    fn happens(&self, cond: CondId) -> bool {
        let program = &self.program;
        let parts = |from: u32, to: u32| program.children[from as usize..to as usize].iter();
        match &program.conds[cond as usize] {
            Cond::Event { .. }
            | Cond::Sensed { .. }
            | Cond::Gesture { .. }
            | Cond::Crosses { .. }
            | Cond::Sequence { .. }
            | Cond::Times { .. } => true,
            Cond::And { from, to } => parts(*from, *to).any(|part| self.happens(*part)),
            Cond::Or { from, to } => parts(*from, *to).all(|part| self.happens(*part)),
            _ => false,
        }
    }

    /// The zones in one of which the rule's person must be for the condition to hold; `None` where it may anywhere.
    fn bound_to(&self, cond: CondId) -> Option<Vec<ZoneId>> {
        let program = &self.program;
        let parts = |from: u32, to: u32| program.children[from as usize..to as usize].iter();
        match &program.conds[cond as usize] {
            Cond::TrackIn(0, zone) => Some(vec![*zone]),
            Cond::And { from, to } => parts(*from, *to).find_map(|part| self.bound_to(*part)),
            Cond::Or { from, to } => {
                let each: Option<Vec<Vec<ZoneId>>> = parts(*from, *to).map(|part| self.bound_to(*part)).collect();
                each.map(|zones| zones.concat())
            }
            Cond::For { inner, .. } => self.bound_to(*inner),
            _ => None,
        }
    }

    /// A condition as one number that does not change when its two persons change places, where it says the same then.
    fn mirrored(&self, cond: CondId, swap: bool) -> u64 {
        crate::program::fold_condition(&self.program, cond, swap)
    }

    fn guard(
        &mut self,
        scope: &mut Scope,
        clauses: &Clauses,
        reported: &mut Vec<(u32, CondId)>,
    ) -> (Option<CondId>, bool) {
        let (slots, deps, zones) = (scope.slots + scope.track_slots, scope.deps.clone(), scope.track_zones.clone());
        let (had, moves) = (std::mem::take(&mut scope.remembers), scope.moves);
        let mut ids = Vec::new();
        for node in &clauses.ifs {
            if let Some(expr) = node.expr() {
                ids.push(self.root(scope, &expr, reported));
            }
        }
        let remembers = scope.slots + scope.track_slots > slots || scope.remembers;
        scope.remembers |= had;
        if !remembers {
            // A guard is read when the rule fires: what it reads needs to wake nothing.
            (scope.deps, scope.track_zones, scope.moves) = (deps, zones, moves);
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

    /// Puts what must be followed all along, and is read only when the rule acts, beside its guard.
    fn keep_up(&mut self, scope: &Scope, instance: &mut Instance) {
        if scope.kept.is_empty() {
            return;
        }
        let mut parts: Vec<CondId> = instance.guard.into_iter().collect();
        for num in &scope.kept {
            // Always true, and read every time.
            let read = self.push_cond(Cond::NumberUnknown(*num));
            let sure = self.push_cond(Cond::Const(osmose_model::tri::Tri::True));
            let both = self.join_ids(&[sure, read], false);
            parts.push(self.push_cond(both));
        }
        let guard = self.join_ids(&parts, true);
        instance.guard = Some(self.push_cond(guard));
        instance.guard_remembers = true;
    }

    fn actions(&mut self, scope: &mut Scope, clauses: &Clauses, instance: &mut Instance) {
        for node in &clauses.dos {
            for action in node.actions() {
                self.action(scope, &action, instance);
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
        let name = |at: usize| scope.tracks.get(at).and_then(|name| Name::new(name));
        let track_names = [name(0), name(1)];
        if self.program.rules[rule].instances.start as usize == self.program.instances.len() {
            let dampers = self.dampers(clauses, &scope);
            let info = &mut self.program.rules[rule];
            info.dampers = dampers;
            info.track_names = track_names;
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
            let message = format!("a rule may remember {SLOTS_PER_CONTEXT_MAX} things of a person");
            self.error("too-many", root.span(), message);
        }
        if instance.shape == Shape::Event && instance.track_slots > 0 {
            // The `if` remembers of the person: it is kept up with him.
            instance.shape = Shape::InstantPerTrack;
        }
        self.fit_shape(&scope, &mut instance, root);
        let number = self.program.instances.len() as u32;
        let mut deps = scope.deps;
        if instance.shape == Shape::Event && instance.slots == 0 && !instance.waits {
            deps = Deps { zones: event_zones, ..Deps::default() };
        }
        if instance.reads_motion {
            match self.bound_to(instance.condition).filter(|_| !instance.roams) {
                Some(zones) => deps.moved_in.extend(zones),
                None => deps.moved = true,
            }
        }
        instance.shared_zones.clone_from(&deps.zones);
        instance.everywhere = deps.everywhere;
        deps.zones.extend_from_slice(&scope.track_zones);
        self.wire(number, &deps);
        self.program.instances.push(instance);
    }

    /// How the instance follows its persons, and whether it says enough of them.
    fn fit_shape(&mut self, scope: &Scope, instance: &mut Instance, root: &Expr) {
        instance.instant = scope.instant || matches!(instance.shape, Shape::Instant | Shape::InstantPerTrack);
        instance.reads_motion = instance.shape.per_track() && scope.moves;
        if matches!(instance.shape, Shape::Instant | Shape::InstantPerTrack) && !self.happens(instance.condition) {
            let help = "write what happens beside it, joined by `and`; a state that begins is a rule of its own";
            self.error_help("type", root.span(), "this may hold without anything happening", help);
        }
        match instance.shape {
            Shape::EdgePerPair => {
                let Some(reach_m) = self.reach(instance.condition) else {
                    let help = "say how near they are, as in `distance(a, b) < 1.2 m and ...`";
                    return self.error_help("type", root.span(), "this does not say how near the two are", help);
                };
                let conds = [Some(instance.condition), instance.guard];
                let symmetric =
                    conds.iter().flatten().all(|cond| self.mirrored(*cond, false) == self.mirrored(*cond, true));
                instance.pairs = Some(Pairs { reach_m, symmetric });
                instance.reads_motion = true;
                instance.roams = true;
            }
            Shape::EdgePerTrack => {
                instance.roams = scope.moves && self.bound_to(instance.condition).is_none();
                if scope.track_zones.is_empty() && !instance.roams {
                    let help = "name a zone, as in `p in lobby and ...`";
                    self.error_help("type", root.span(), "this does not say where the person is", help);
                }
            }
            // Somebody who did the first part is followed wherever he goes next.
            Shape::InstantPerTrack => instance.roams = true,
            _ => {}
        }
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
        deps.moved_in.iter().for_each(|z| add(&mut index.moved_in[z.index()]));
        deps.modes.iter().for_each(|m| add(&mut index.by_mode[usize::from(*m)]));
        deps.counters.iter().for_each(|c| add(&mut index.by_counter[usize::from(*c)]));
        if deps.clock || deps.booked {
            add(&mut index.by_clock);
        }
        if deps.booked {
            add(&mut index.by_booking);
        }
        if deps.moved {
            add(&mut index.moved);
        }
        if deps.everywhere {
            add(&mut index.everywhere);
        }
    }

    /// Which dampers remember anything of people, once all instances are known.
    pub(super) fn note_dampers(&mut self) {
        let program = &mut self.program;
        for rule in &program.rules {
            for (number, damper) in rule.dampers.iter().enumerate().filter(|(_, d)| d.per != Per::Instance) {
                let (damper, pairs) = (number as u8, damper.per == Per::Pair);
                program.of_people.extend(rule.instances.clone().map(|instance| OfPeople { instance, damper, pairs }));
            }
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
            let per = self.per(once.names().next(), scope, once.span());
            if let Some(once_per) = period {
                if once_per == OncePer::Visit && scope.tracks.is_empty() {
                    let message = "`once per visit` needs a person in `when`: whose visit?";
                    self.error("clause", once.span(), message);
                }
                let visit = once_per == OncePer::Visit && per == Per::Instance;
                dampers.push(Damper { once: once_per, per: if visit { Per::Var(0) } else { per } });
            }
        }
        if let Some(suppress) = &clauses.suppress {
            let per = self.per(suppress.names().next(), scope, suppress.span());
            if let Some(length) = suppress.expr().and_then(|e| self.duration(&e)) {
                dampers.push(Damper { once: OncePer::Length(length), per });
            }
        }
        dampers
    }

    /// Whom `per KEY` counts by. Without a key, and by a `for each` variable, it counts by instance.
    fn per(&mut self, key: Option<ast::Name>, scope: &Scope, span: Span) -> Per {
        let Some(key) = key else { return Per::Instance };
        let word = key.text();
        if let Some(var) = scope.var(&word) {
            return Per::Var(var);
        }
        if scope.bound(&word).is_some() {
            return Per::Instance;
        }
        if word == "pair" {
            if scope.tracks.len() < 2 {
                let help = "name two persons in `when`, as in `distance(a, b) < 1.2 m`";
                self.error_help("clause", span, "`per pair` needs two persons", help);
            }
            return Per::Pair;
        }
        let known: Vec<String> =
            scope.bindings.iter().map(|b| b.0.clone()).chain(scope.tracks.iter().cloned()).collect();
        self.unknown_name(key.span(), "variable of this rule", &word, known.iter().map(String::as_str));
        Per::Instance
    }
}

/// Whether a condition's own memory is of what happens, so that each stimulus counts once.
fn remembers_happening(cond: &Cond) -> bool {
    matches!(cond, Cond::Sequence { .. } | Cond::Within { .. } | Cond::Times { .. } | Cond::Sensed { .. })
}
