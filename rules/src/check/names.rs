//! Names and dotted paths: what `r`, `m7.recorder`, `all doors`, `members(staff)` and `p` mean in this site.

use super::rule::Scope;
use super::{Checker, units};
use crate::diag::{Span, did_you_mean};
use crate::program::{Cond, Num, NumId, Who};
use crate::syntax::ast::{self, AstNode, Expr};
use osmose_model::device::{ActuatorKind, PropertySpec, SensorKind, Unit};
use osmose_model::ids::{ActuatorId, GroupId, PersonId, SensorId, ZoneId};
use osmose_model::site::Attribute;
use osmose_model::tri::Tri;

/// What an expression means.
#[derive(Clone, Debug)]
pub(super) enum Meaning {
    /// A number in a unit.
    Number(NumId, Unit),
    /// A condition.
    Truth(Cond),
    /// A text in quotes, or a text attribute.
    Text(String),
    /// A time of day, ns since midnight.
    Clock(i64),
    /// `time`
    TimeOfDay,
    Zone(ZoneId),
    Devices(Vec<ActuatorId>),
    /// A property of devices.
    Property {
        ids: Vec<ActuatorId>,
        spec: PropertySpec,
    },
    Sensors(Vec<SensorId>),
    Person(PersonId),
    Group(GroupId),
    /// The rule's person variable.
    Track,
    /// Its language.
    TrackLanguage,
    /// A set of people.
    People(Who),
    /// `any p in SET` (or `every`).
    Quantified {
        any: bool,
        who: Who,
    },
    Mode(u16),
    /// Something was wrong and has been reported.
    Wrong,
}

impl Meaning {
    /// What it is, for messages.
    pub(super) fn said(&self) -> String {
        match self {
            Meaning::Number(_, unit) => units::said(*unit).to_owned(),
            Meaning::Truth(_) => "a condition".to_owned(),
            Meaning::Text(_) | Meaning::TrackLanguage => "a text".to_owned(),
            Meaning::Clock(_) | Meaning::TimeOfDay => "a time of day".to_owned(),
            Meaning::Zone(_) => "a zone".to_owned(),
            Meaning::Devices(ids) if ids.len() == 1 => "a device".to_owned(),
            Meaning::Devices(_) => "a group of devices".to_owned(),
            Meaning::Property { spec, .. } => format!("the property `{}`", spec.property),
            Meaning::Sensors(_) => "a sensor".to_owned(),
            Meaning::Person(_) | Meaning::Track => "a person".to_owned(),
            Meaning::Group(_) => "a group".to_owned(),
            Meaning::People(_) | Meaning::Quantified { .. } => "people".to_owned(),
            Meaning::Mode(_) => "a mode".to_owned(),
            Meaning::Wrong => "something wrong".to_owned(),
        }
    }
}

/// Whether a word may be a person variable without being declared: one letter, with digits or not (`p`, `a`, `p2`).
fn is_variable(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase()) && chars.all(|c| c.is_ascii_digit())
}

/// The kind that a member names, and whether it is the plural: `recorder`, `lights`.
fn kind_of_member(member: &str) -> Option<(ActuatorKind, bool)> {
    let plural = |k: &&ActuatorKind| member.strip_suffix('s') == Some(k.as_str());
    let one = ActuatorKind::from_word(member).map(|kind| (kind, false));
    one.or_else(|| ActuatorKind::ALL.iter().find(plural).map(|kind| (*kind, true)))
}

impl Checker<'_> {
    /// What `expr` means. Reports what does not resolve.
    pub(super) fn meaning(&mut self, scope: &mut Scope, expr: &Expr) -> Meaning {
        if let Some(found) = self.whole_device_path(scope, expr) {
            return found;
        }
        match expr {
            Expr::Paren(paren) => match paren.expr() {
                Some(inner) => self.meaning(scope, &inner),
                None => Meaning::Wrong,
            },
            Expr::Name(name) => self.name_meaning(scope, &name.text(), name.span()),
            Expr::String(text) => self.quoted(&text.text()),
            Expr::Clock(clock) => match clock.since_midnight_ns() {
                Some(ns) => Meaning::Clock(ns as i64),
                None => {
                    self.error("time-of-day", clock.span(), "this is no time of day; write 00:00 to 24:00");
                    Meaning::Wrong
                }
            },
            Expr::Field(field) => self.field(scope, field),
            Expr::Call(call) => self.call(scope, call),
            Expr::AllOf(all) => self.all_of(scope, all),
            Expr::Quantified(quantified) => self.quantified(scope, quantified),
            Expr::Quantity(_) | Expr::PercentOf(_) | Expr::Bin(_) | Expr::Neg(_) => self.number_meaning(scope, expr),
            _ => Meaning::Truth(self.cond_node(scope, expr)),
        }
    }

    /// `m7.recorder` as a whole may be a device's id, with `r` standing for its zone's name.
    fn whole_device_path(&mut self, scope: &Scope, expr: &Expr) -> Option<Meaning> {
        let Expr::Field(field) = expr else { return None };
        let path = self.dotted(scope, &Expr::Field(field.clone()))?;
        if let Some(id) = self.site.actuator_named(&path) {
            return Some(Meaning::Devices(vec![id]));
        }
        self.site.sensor_named(&path).map(|id| Meaning::Sensors(vec![id]))
    }

    fn dotted(&self, scope: &Scope, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Name(name) => {
                let text = name.text();
                Some(match scope.binding(&text) {
                    Some(zone) => self.site.zones[zone.index()].name.clone(),
                    None => text,
                })
            }
            Expr::String(text) => Some(text.text()),
            Expr::Field(field) => {
                let base = self.dotted(scope, &field.expr()?)?;
                Some(format!("{base}.{}", field.name()?.text()))
            }
            _ => None,
        }
    }

    /// A quoted name, where the site has one; else a text.
    fn quoted(&mut self, text: &str) -> Meaning {
        self.site_name(text).unwrap_or_else(|| Meaning::Text(text.to_owned()))
    }

    fn site_name(&self, text: &str) -> Option<Meaning> {
        let site = self.site;
        site.zone_named(text)
            .map(Meaning::Zone)
            .or_else(|| site.actuator_named(text).map(|id| Meaning::Devices(vec![id])))
            .or_else(|| site.sensor_named(text).map(|id| Meaning::Sensors(vec![id])))
            .or_else(|| site.person_named(text).map(Meaning::Person))
            .or_else(|| site.group_named(text).map(Meaning::Group))
            .or_else(|| self.program.modes.iter().position(|m| m.name == text).map(|m| Meaning::Mode(m as u16)))
    }

    fn name_meaning(&mut self, scope: &mut Scope, text: &str, span: Span) -> Meaning {
        if let Some(zone) = scope.binding(text) {
            return Meaning::Zone(zone);
        }
        if scope.track.as_deref() == Some(text) {
            scope.use_track();
            return Meaning::Track;
        }
        if text == "time" {
            return Meaning::TimeOfDay;
        }
        if let Some(found) = self.site_name(text) {
            return found;
        }
        if is_variable(text) && scope.may_bind_track {
            if let Some(other) = scope.track.clone() {
                self.not_yet(span, &format!("a second person in one rule (`{text}` beside `{other}`)"));
                return Meaning::Wrong;
            }
            scope.track = Some(text.to_owned());
            scope.use_track();
            return Meaning::Track;
        }
        if is_variable(text) {
            let help = "`when p in ...` speaks of each person; elsewhere write `any p in members(...) in ...`";
            self.error_help("unknown-name", span, format!("`{text}` stands for nobody here"), help);
        } else {
            self.unknown_site_name(scope, span, text);
        }
        Meaning::Wrong
    }

    fn unknown_site_name(&mut self, scope: &Scope, span: Span, text: &str) {
        let site = self.site;
        let names = (site.zones.iter().map(|z| &z.name))
            .chain(site.actuators.iter().map(|a| &a.name))
            .chain(site.sensors.iter().map(|s| &s.name))
            .chain(site.people.iter().map(|p| &p.name))
            .chain(site.groups.iter().map(|g| &g.name))
            .chain(self.program.modes.iter().map(|m| &m.name));
        let mut known: Vec<String> = names.cloned().collect();
        known.extend(scope.bindings.iter().map(|(name, _)| name.clone()));
        self.unknown_name(span, "zone, device, sensor, person, group or mode", text, known.iter().map(String::as_str));
    }

    fn field(&mut self, scope: &mut Scope, field: &ast::Field) -> Meaning {
        let (Some(base), Some(name)) = (field.expr(), field.name()) else { return Meaning::Wrong };
        let (member, span) = (name.text(), name.span());
        match self.meaning(scope, &base) {
            Meaning::Wrong => Meaning::Wrong,
            Meaning::Zone(zone) => self.zone_member(scope, zone, &member, span),
            Meaning::Devices(ids) => self.device_property(&ids, &member, span),
            Meaning::Track if member == "language" => Meaning::TrackLanguage,
            Meaning::Track => {
                self.not_yet(span, &format!("`.{member}` of a person who is only known when the rule runs"));
                Meaning::Wrong
            }
            Meaning::Person(person) => {
                let person = &self.site.people[person.index()];
                if member == "language" {
                    return Meaning::Text(person.language.clone().unwrap_or_default());
                }
                let attribute = person.attributes.get(&member).cloned();
                let known: Vec<String> = person.attributes.keys().cloned().chain(["language".to_owned()]).collect();
                match attribute {
                    Some(attribute) => self.attribute("person", &member, &attribute),
                    None => self.no_member(span, "a person", &member, &known),
                }
            }
            Meaning::Group(group) if member == "folder" => {
                Meaning::Text(self.site.groups[group.index()].folder.clone().unwrap_or_default())
            }
            other => {
                let said = other.said();
                self.no_member(span, &said, &member, &[])
            }
        }
    }

    fn no_member(&mut self, span: Span, of: &str, member: &str, known: &[String]) -> Meaning {
        let message = format!("{of} has no `{member}`");
        let diagnostic = crate::diag::Diagnostic::error("unknown-member", &self.file, span, message);
        let diagnostic = match did_you_mean(member, known.iter().map(String::as_str)) {
            Some(near) => diagnostic.label(span, format!("did you mean `{near}`?")),
            None if known.is_empty() => diagnostic,
            None => diagnostic.help(format!("it has: {}", known.join(", "))),
        };
        self.report(diagnostic);
        Meaning::Wrong
    }

    /// `r.recorder`, `r.lights`, `r.capacity`
    fn zone_member(&mut self, scope: &Scope, zone: ZoneId, member: &str, span: Span) -> Meaning {
        let site = self.site;
        if let Some((kind, many)) = kind_of_member(member) {
            let of_zone = site.actuators.iter().filter(|a| a.zone == Some(zone) && a.kind == kind);
            let ids: Vec<ActuatorId> = of_zone.map(|a| a.id).collect();
            let name = &site.zones[zone.index()].name;
            if scope.existence {
                return Meaning::Truth(Cond::Const(Tri::from(!ids.is_empty())));
            }
            if ids.is_empty() {
                let message = format!("zone `{name}` has no {kind}");
                let help = match scope.binding_of(zone) {
                    Some(binder) => format!("leave such zones out: `for each ... {binder} where {binder}.{member}`"),
                    None => format!("give an actuator of kind `{kind}` the zone `{name}` in devices.toml"),
                };
                self.error_help("no-device", span, message, help);
                return Meaning::Wrong;
            }
            if ids.len() > 1 && !many {
                let names: Vec<&str> = ids.iter().map(|id| site.actuators[id.index()].name.as_str()).collect();
                let message = format!("zone `{name}` has {} of kind {kind}: {}", ids.len(), names.join(", "));
                self.error_help("ambiguous", span, message, format!("name one by its id, or all as `.{kind}s`"));
                return Meaning::Wrong;
            }
            return Meaning::Devices(ids);
        }
        if member == "sensors" {
            return Meaning::Sensors(self.sensors_of(Some(zone), None));
        }
        if let Some(attribute) = site.zones[zone.index()].attributes.get(member) {
            let attribute = attribute.clone();
            return self.attribute("zone", member, &attribute);
        }
        let mut known: Vec<String> = site.zones[zone.index()].attributes.keys().cloned().collect();
        known.extend(ActuatorKind::ALL.iter().flat_map(|k| [k.to_string(), format!("{k}s")]));
        self.no_member(span, &format!("zone `{}`", site.zones[zone.index()].name), member, &known)
    }

    fn attribute(&mut self, on: &str, name: &str, attribute: &Attribute) -> Meaning {
        match attribute {
            Attribute::Bool(value) => Meaning::Truth(Cond::Const(Tri::from(*value))),
            Attribute::Number(value) => {
                let declared = self.site.attributes.get(name).filter(|spec| spec.on == on);
                let unit = declared.and_then(|spec| units::unit_of(&spec.kind)).map_or(Unit::One, |(unit, _)| unit);
                Meaning::Number(self.push_num(Num::Const(*value)), unit)
            }
            Attribute::Text(text) => Meaning::Text(text.clone()),
        }
    }

    pub(super) fn device_property(&mut self, ids: &[ActuatorId], property: &str, span: Span) -> Meaning {
        let Some(first) = ids.first() else { return Meaning::Wrong };
        let kind = self.site.actuators[first.index()].kind;
        let specs = kind.properties();
        match specs.iter().find(|s| s.property == property) {
            Some(spec) => Meaning::Property { ids: ids.to_vec(), spec: *spec },
            None => {
                let known: Vec<String> = specs.iter().map(|s| s.property.to_owned()).collect();
                self.no_member(span, &format!("a {kind}"), property, &known)
            }
        }
    }

    fn call(&mut self, scope: &mut Scope, call: &ast::Call) -> Meaning {
        let Some(Expr::Name(function)) = call.expr() else {
            self.error("not-a-value", call.span(), "a command is no value; it stands behind `do`");
            return Meaning::Wrong;
        };
        let args: Vec<Expr> = call.args().filter_map(|a| a.expr()).collect();
        if let Some(filter) = call.args().find_map(|a| a.filter()) {
            self.not_yet(filter.span(), "`where` inside brackets");
            return Meaning::Wrong;
        }
        let name = function.text();
        match name.as_str() {
            "participants" | "members" | "confidence" | "count" if args.len() != 1 => {
                self.error("arguments", call.span(), format!("`{name}` takes one argument, not {}", args.len()));
                Meaning::Wrong
            }
            "participants" => self.participants(scope, &args[0]),
            "members" => self.members(scope, &args[0]),
            "confidence" => match self.meaning(scope, &args[0]) {
                Meaning::Track => Meaning::Number(self.push_num(Num::Confidence), Unit::One),
                other => self.wrong_kind(args[0].span(), "a person variable", &other),
            },
            "count" => self.count(scope, &args[0]),
            "distance" | "speed" | "rate" | "mean" | "baseline" | "list" | "notify" => {
                self.not_yet(function.span(), &format!("`{name}(...)`"));
                Meaning::Wrong
            }
            _ => {
                let known = ["participants", "members", "confidence", "count", "distance", "rate", "mean", "list"];
                self.unknown_name(function.span(), "function", &name, known);
                Meaning::Wrong
            }
        }
    }

    pub(super) fn wrong_kind(&mut self, span: Span, wanted: &str, found: &Meaning) -> Meaning {
        if !matches!(found, Meaning::Wrong) {
            self.error("type", span, format!("expected {wanted}, found {}", found.said()));
        }
        Meaning::Wrong
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
        match text.as_deref().and_then(|t| self.site.group_named(t)) {
            Some(group) => Meaning::People(Who::Members(group)),
            None => {
                let known: Vec<String> = self.site.groups.iter().map(|g| g.name.clone()).collect();
                let text = text.unwrap_or_default();
                self.unknown_name(of.span(), "group", &text, known.iter().map(String::as_str));
                Meaning::Wrong
            }
        }
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

    fn sensors_of(&self, zone: Option<ZoneId>, kind: Option<SensorKind>) -> Vec<SensorId> {
        let fits = |s: &&osmose_model::device::Sensor| {
            zone.is_none_or(|z| s.zones.contains(&z)) && kind.is_none_or(|k| s.kind == k)
        };
        self.site.sensors.iter().filter(fits).map(|s| s.id).collect()
    }

    /// `all sensors of r`, `all doors`, `all lights of r`
    fn all_of(&mut self, scope: &mut Scope, all: &ast::AllOf) -> Meaning {
        let Some(name) = all.names().next() else { return Meaning::Wrong };
        let word = name.text();
        if !all.is_all() {
            self.not_yet(all.span(), &format!("`any {word}` without `in`"));
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
    fn quantified(&mut self, scope: &mut Scope, quantified: &ast::Quantified) -> Meaning {
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
        match scope.track.clone() {
            Some(other) if other != text => {
                self.not_yet(name.span(), &format!("a second person in one rule (`{text}` beside `{other}`)"));
                return Meaning::Wrong;
            }
            _ if scope.may_bind_track => scope.track = Some(text),
            _ => {}
        }
        Meaning::Quantified { any: quantified.is_any(), who }
    }
}
