//! Declarations that are no rules: modes, counters, how holders combine, how long a hand's value lasts, and which of
//! two rules outranks the other.

use super::Checker;
use super::names::Meaning;
use super::rule::{Defaults, Scope, Source};
use crate::diag::Span;
use crate::program::{CounterInfo, ModeInfo};
use crate::syntax::ast::{self, AstNode, Expr, Item};
use osmose_model::command::Combine;
use osmose_model::device::ActuatorKind;
use osmose_model::ids::{ActuatorId, Name, RuleId};
use osmose_model::site::{Attribute, Site};

/// Most places of modes, and of counters, in the state.
const PLACES_MAX: usize = 4096;

/// The people's declared attributes that are numbers or yes-or-no, one column each.
pub(super) fn columns(site: &Site) -> Vec<(String, Vec<Option<f64>>)> {
    let mut names: Vec<&String> = site.people.iter().flat_map(|p| p.attributes.keys()).collect();
    names.extend(site.attributes.iter().filter(|(_, spec)| spec.on == "person").map(|(name, _)| name));
    names.sort_unstable();
    names.dedup();
    let number = |attribute: Option<&Attribute>| match attribute {
        Some(Attribute::Bool(value)) => Some(f64::from(u8::from(*value))),
        Some(Attribute::Number(value)) => Some(*value),
        _ => None,
    };
    let column = |name: &String| site.people.iter().map(|p| number(p.attributes.get(name))).collect();
    names.into_iter().map(|name| (name.clone(), column(name))).collect()
}

impl Checker<'_> {
    /// Whether something is kept per zone; `None` after reporting another kind.
    fn kept_per_zone(&mut self, per: Option<ast::Name>) -> Option<bool> {
        let Some(per) = per else { return Some(false) };
        if per.text() == "zone" || per.text() == "room" {
            return Some(true);
        }
        self.unknown_name(per.span(), "kind to keep something per", &per.text(), ["zone", "room"]);
        None
    }

    fn places(&self, per_zone: bool) -> usize {
        if per_zone { self.site.zones.len() } else { 1 }
    }

    pub(super) fn mode(&mut self, mode: &ast::Mode) {
        let Some(name) = mode.name() else { return };
        if !self.define(&name.text(), "mode", name.span()) {
            return;
        }
        let Some(per_zone) = self.kept_per_zone(mode.per()) else { return };
        let base = self.program.index.by_mode.len();
        let mut info = ModeInfo { name: name.text(), values: Vec::new(), default: 0, base: base as u16, per_zone };
        for value in mode.values() {
            if value.is_default() {
                info.default = info.values.len() as u16;
            }
            info.values.extend(value.name().map(|n| n.text()));
        }
        if info.values.len() < 2 || info.values.len() > 256 {
            let message = format!("mode `{}` has {} values; it needs 2 to 256", info.name, info.values.len());
            self.error_help("mode", mode.span(), message, "write `mode house { home default, away }`");
            return;
        }
        if base + self.places(per_zone) > PLACES_MAX {
            self.error("too-many", mode.span(), format!("all modes together may have {PLACES_MAX} places"));
            return;
        }
        self.program.index.by_mode.resize(base + self.places(per_zone), Vec::new());
        self.program.modes.push(info);
    }

    pub(super) fn counter(&mut self, counter: &ast::Counter) {
        let Some(name) = counter.name() else { return };
        if !self.define(&name.text(), "counter", name.span()) {
            return;
        }
        let Some(per_zone) = self.kept_per_zone(counter.per()) else { return };
        let daily = match counter.since().map(|n| (n.text(), n.span())) {
            None => false,
            Some((word, _)) if word == "reset" => false,
            Some((word, _)) if word == "day" => true,
            Some((word, span)) => return self.unknown_name(span, "beginning of a count", &word, ["reset", "day"]),
        };
        let lasts = match counter.within() {
            None => None,
            Some(expr) => match self.duration(&expr) {
                Some(length) => Some(length),
                None => return,
            },
        };
        let base = self.program.index.by_counter.len();
        if base + self.places(per_zone) > PLACES_MAX {
            self.error("too-many", counter.span(), format!("all counters together may have {PLACES_MAX} places"));
            return;
        }
        self.program.index.by_counter.resize(base + self.places(per_zone), Vec::new());
        let info = CounterInfo { name: name.text(), base: base as u16, per_zone, daily, lasts };
        self.program.counters.push(info);
    }

    /// The devices and the property that `light.level`, `m7.light.level` or `all lights.level` names.
    fn devices_of_target(&mut self, target: &Expr) -> Option<(Vec<ActuatorId>, Option<String>)> {
        let of_kind = |site: &Site, kind: ActuatorKind| -> Vec<ActuatorId> {
            site.actuators.iter().filter(|a| a.kind == kind).map(|a| a.id).collect()
        };
        let kind = |expr: &Expr| match expr {
            Expr::Name(name) => ActuatorKind::from_word(&name.text()),
            _ => None,
        };
        if let Some(kind) = kind(target) {
            return Some((of_kind(self.site, kind), None));
        }
        if let Expr::Field(field) = target
            && let (Some(base), Some(member)) = (field.expr(), field.name())
            && let Some(kind) = kind(&base)
        {
            return Some((of_kind(self.site, kind), Some(member.text())));
        }
        match self.meaning(&mut Scope::default(), target) {
            Meaning::Devices(ids) => Some((ids, None)),
            Meaning::Property { ids, spec } => Some((ids, Some(spec.property.to_owned()))),
            other => {
                self.wrong_kind(target.span(), "a device or a kind of device", &other);
                None
            }
        }
    }

    /// `combine light.level = max`
    pub(super) fn combine(&mut self, node: &ast::Combine) {
        let (Some(target), Some(how)) = (node.expr(), node.names().next()) else { return };
        let combine = match how.text().as_str() {
            "max" => Combine::Max,
            "min" => Combine::Min,
            "any" => Combine::Any,
            "latest" => Combine::Latest,
            other => return self.unknown_name(how.span(), "way to combine", other, ["max", "min", "any", "latest"]),
        };
        let Some((ids, property)) = self.devices_of_target(&target) else { return };
        let Some(property) = property else {
            return self.error_help("type", target.span(), "which property?", "write `combine light.level = max`");
        };
        for id in ids {
            let kind = self.site.actuators[id.index()].kind;
            let Some(spec) = kind.properties().iter().find(|p| p.property == property) else {
                let known: Vec<&str> = kind.properties().iter().map(|p| p.property).collect();
                return self.unknown_name(target.span(), &format!("property of a {kind}"), &property, known);
            };
            let ordered = spec.unit.is_some() || !spec.words.is_empty();
            if !ordered && matches!(combine, Combine::Max | Combine::Min) {
                let message = format!("`{property}` has no order, so it has no `{}`", how.text());
                return self.error_help("type", how.span(), message, "write `latest` or `any`");
            }
            let Some(name) = Name::new(&property) else { continue };
            if let Some(before) = self.program.combine.iter().position(|(d, p, _)| *d == id && *p == name) {
                // A device's own line wins over its kind's, whichever comes first.
                if !matches!(target, Expr::Field(ref f) if matches!(f.expr(), Some(Expr::Name(n)) if ActuatorKind::from_word(&n.text()).is_some()))
                {
                    self.program.combine[before].2 = combine;
                }
                continue;
            }
            self.program.combine.push((id, name, combine));
        }
        self.program.combine.sort_unstable_by_key(|e| (e.0, e.1));
    }

    /// `manual m7.light until vacant 2 min`: what a hand sets is a hold at level `user`, and a rule of that level lets it
    /// go. Without an end it lasts until `auto()`.
    pub(super) fn manual(&mut self, node: &ast::Manual) {
        let Some(target) = node.expr() else { return };
        let Some((ids, property)) = self.devices_of_target(&target) else { return };
        if property.is_some() {
            return self.error_help("type", target.span(), "a hand has the whole device", "name the device alone");
        }
        let until = match (node.until_word(), node.until_clock(), node.length()) {
            (Some(word), _, _) if word.text() == "vacant" => {
                Some(node.exprs().nth(1).map_or_else(|| "0 s".to_owned(), |e| e.syntax().text().to_string()))
            }
            (Some(word), ..) => {
                return self.unknown_name(word.span(), "end of a manual value", &word.text(), ["vacant"]);
            }
            _ => None,
        };
        for id in ids {
            if let Err(place) = self.program.by_hand.binary_search(&id) {
                self.program.by_hand.insert(place, id);
            }
            let actuator = &self.site.actuators[id.index()];
            let device = format!("{:?}", actuator.name);
            let when = match (&until, node.until_clock(), node.length()) {
                (Some(empty), ..) => {
                    let Some(zone) = actuator.zone else {
                        let message = format!("`{}` serves no zone, so it is never known to be vacant", actuator.name);
                        self.error_help("no-zone", node.span(), message, "write `for 4 h`, or give it a zone");
                        continue;
                    };
                    let zone = format!("{:?}", self.site.zones[zone.index()].name);
                    format!("{zone} is empty for {empty} and {device} is manual")
                }
                (None, Some(clock), _) => format!("time is {} and {device} is manual", clock.syntax().text()),
                (None, None, Some(length)) => format!("{device} is manual for {}", length.syntax().text()),
                (None, None, None) => continue,
            };
            let level = self.program.levels.iter().find(|l| *l == "user").or(self.program.levels.last()).cloned();
            let level = level.unwrap_or_default();
            let text = format!(
                "rule {:?} {{ when {when} do {device}.auto() level {level} }}",
                format!("manual {}", actuator.name)
            );
            self.made_rule(&text, node.span());
        }
    }

    /// A rule that the checker writes for a declaration. What is wrong with it is said of the declaration.
    fn made_rule(&mut self, text: &str, at: Span) {
        let parsed = crate::syntax::parse("", text);
        let from = self.diagnostics.len();
        self.made += 1;
        for item in parsed.file().items() {
            if let Item::Rule(rule) = item {
                self.rule(Source::from(&rule).placed(at), &Defaults::default());
            }
        }
        for diagnostic in &mut self.diagnostics[from..] {
            (diagnostic.span, diagnostic.labels) = (at, Vec::new());
        }
    }

    /// `rule a over b`, once every rule is known.
    pub(super) fn orders(&mut self, path: &str, file: &ast::File) {
        path.clone_into(&mut self.file);
        for item in file.items() {
            let Item::RuleOrder(order) = item else { continue };
            let names: Vec<ast::Name> = order.names().collect();
            let [above, below] = names.as_slice() else { continue };
            let (Some(a), Some(b)) = (self.rule_for_order(above), self.rule_for_order(below)) else { continue };
            let (first, second) = (&self.program.rules[a.index()], &self.program.rules[b.index()]);
            if first.level != second.level {
                let message = format!("`{}` and `{}` are of two levels, which order them", first.name, second.name);
                self.error_help("order", order.span(), message, "leave the line out");
            } else {
                self.orders.push((a, b));
            }
        }
    }

    fn rule_for_order(&mut self, name: &ast::Name) -> Option<RuleId> {
        let found = self.program.rule_named(&name.text());
        if found.is_none() {
            let known: Vec<String> = self.program.rules.iter().map(|r| r.name.clone()).collect();
            self.unknown_name(name.span(), "rule", &name.text(), known.iter().map(String::as_str));
        }
        found
    }

    /// All that follows from the orders written: `a over b` and `b over c` make `a over c`. A circle is an error.
    pub(super) fn finish_orders(&mut self) {
        let mut over = std::mem::take(&mut self.orders);
        over.sort_unstable();
        over.dedup();
        loop {
            let mut more: Vec<(RuleId, RuleId)> = Vec::new();
            for (a, b) in &over {
                let onward = over.iter().filter(|(from, _)| from == b).map(|(_, to)| (*a, *to));
                more.extend(onward.filter(|pair| over.binary_search(pair).is_err()));
            }
            if more.is_empty() {
                break;
            }
            over.extend(more);
            over.sort_unstable();
            over.dedup();
        }
        if let Some((rule, _)) = over.iter().find(|(a, b)| a == b) {
            let info = &self.program.rules[rule.index()];
            let (file, span, name) = (info.file.clone(), info.span, info.name.clone());
            self.file = file;
            self.error("order", span, format!("`{name}` is over itself, by way of the `rule ... over ...` lines"));
            over.clear();
        }
        self.program.over = over;
    }
}
