//! Names and dotted paths: what `r`, `m7.recorder`, `all doors`, `members(staff)` and `p` mean in this site.

use super::rule::Scope;
use super::{Checker, units};
use crate::diag::{Span, did_you_mean};
use crate::program::{Binding, Cond, Num, NumId, Var, Who};
use crate::syntax::ast::{self, AstNode, Expr};
use osmose_model::device::{ActuatorKind, PropertySpec, Unit};
use osmose_model::ids::{ActuatorId, GroupId, Name, PersonId, SensorId, WallId, ZoneId};
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
    /// Sunrise or sunset, and so long after (ns).
    SunClock {
        rises: bool,
        offset_ns: i64,
    },
    /// `time`
    TimeOfDay,
    /// `day`
    Day,
    /// `sun`
    Sun,
    Zone(ZoneId),
    Wall(WallId),
    Devices(Vec<ActuatorId>),
    /// A property of devices.
    Property {
        ids: Vec<ActuatorId>,
        spec: PropertySpec,
    },
    Sensors(Vec<SensorId>),
    Person(PersonId),
    Group(GroupId),
    /// One of the rule's person variables.
    Track(Var),
    /// Its language.
    TrackLanguage(Var),
    /// A parameter of a guard, before it says which argument.
    Parameter,
    /// A named argument of the guarded command.
    Argument(Name),
    /// Where the guarded device is aimed.
    Focus,
    /// A set of people.
    People(Who),
    /// `any p in SET` (or `every`).
    Quantified {
        any: bool,
        who: Who,
        var: Option<Var>,
    },
    /// A mode of which each zone has its own.
    ModePerZone(u16),
    /// A mode, and its place in the state.
    Mode {
        mode: u16,
        place: u16,
    },
    /// A counter of which each zone has its own.
    CounterPerZone(u16),
    /// A counter, and its place in the state.
    Counter {
        counter: u16,
        place: u16,
    },
    /// A calendar, of one zone or of none.
    Calendar {
        calendar: u16,
        zone: Option<ZoneId>,
    },
    /// Who booked what goes on.
    Organiser {
        calendar: u16,
        zone: Option<ZoneId>,
    },
    /// Something was wrong and has been reported.
    Wrong,
}

impl Meaning {
    /// What it is, for messages.
    pub(super) fn said(&self) -> String {
        match self {
            Meaning::Number(_, unit) => units::said(*unit).to_owned(),
            Meaning::Truth(_) => "a condition".to_owned(),
            Meaning::Text(_) | Meaning::TrackLanguage(_) => "a text".to_owned(),
            Meaning::Clock(_) | Meaning::SunClock { .. } | Meaning::TimeOfDay => "a time of day".to_owned(),
            Meaning::Day => "a day".to_owned(),
            Meaning::Sun => "the sun".to_owned(),
            Meaning::Zone(_) => "a zone".to_owned(),
            Meaning::Wall(_) => "a wall".to_owned(),
            Meaning::Parameter | Meaning::Argument(_) => "an argument of the command".to_owned(),
            Meaning::Focus => "a place".to_owned(),
            Meaning::Devices(ids) if ids.len() == 1 => "a device".to_owned(),
            Meaning::Devices(_) => "a group of devices".to_owned(),
            Meaning::Property { spec, .. } => format!("the property `{}`", spec.property),
            Meaning::Sensors(_) => "a sensor".to_owned(),
            Meaning::Person(_) | Meaning::Track(_) | Meaning::Organiser { .. } => "a person".to_owned(),
            Meaning::Group(_) => "a group".to_owned(),
            Meaning::People(_) | Meaning::Quantified { .. } => "people".to_owned(),
            Meaning::Mode { .. } | Meaning::ModePerZone(_) => "a mode".to_owned(),
            Meaning::Counter { .. } | Meaning::CounterPerZone(_) => "a counter".to_owned(),
            Meaning::Calendar { .. } => "a calendar".to_owned(),
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
pub(super) fn kind_of_member(member: &str) -> Option<(ActuatorKind, bool)> {
    let plural = |k: &&ActuatorKind| member.strip_suffix('s') == Some(k.as_str());
    let one = ActuatorKind::from_word(member).map(|kind| (kind, false));
    one.or_else(|| ActuatorKind::ALL.iter().find(plural).map(|kind| (*kind, true)))
}

impl Checker<'_> {
    /// What `expr` means. Reports what does not resolve.
    pub(super) fn meaning(&mut self, scope: &mut Scope, expr: &Expr) -> Meaning {
        let expr = &scope.resolved(expr);
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
        if let Some(cell) = self.site.zone_named(&path) {
            return Some(Meaning::Zone(cell));
        }
        self.site.sensor_named(&path).map(|id| Meaning::Sensors(vec![id]))
    }

    fn dotted(&self, scope: &Scope, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Name(name) => {
                let text = name.text();
                Some(match scope.bound(&text) {
                    Some(binding) => self.name_of(binding).to_owned(),
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

    pub(super) fn site_name(&self, text: &str) -> Option<Meaning> {
        let site = self.site;
        site.zone_named(text)
            .map(Meaning::Zone)
            .or_else(|| site.actuator_named(text).map(|id| Meaning::Devices(vec![id])))
            .or_else(|| site.sensor_named(text).map(|id| Meaning::Sensors(vec![id])))
            .or_else(|| site.person_named(text).map(Meaning::Person))
            .or_else(|| site.group_named(text).map(Meaning::Group))
            .or_else(|| site.walls.iter().find(|w| w.name == text).map(|w| Meaning::Wall(w.id)))
            .or_else(|| self.kept_name(text))
            .or_else(|| self.calendar_named(text).map(|calendar| Meaning::Calendar { calendar, zone: None }))
    }

    /// What a name of a mode or a counter means.
    fn kept_name(&self, text: &str) -> Option<Meaning> {
        if let Some(at) = self.program.modes.iter().position(|m| m.name == text) {
            let mode = &self.program.modes[at];
            let one = Meaning::Mode { mode: at as u16, place: mode.base };
            return Some(if mode.per_zone { Meaning::ModePerZone(at as u16) } else { one });
        }
        let at = self.program.counters.iter().position(|c| c.name == text)?;
        let counter = &self.program.counters[at];
        let one = Meaning::Counter { counter: at as u16, place: counter.base };
        Some(if counter.per_zone { Meaning::CounterPerZone(at as u16) } else { one })
    }

    fn calendar_named(&self, text: &str) -> Option<u16> {
        let found = self.site.resources.iter().position(|r| r.kind == "calendar" && r.name == text);
        found.map(|at| at as u16)
    }

    /// The site's name of what a variable stands for.
    pub(super) fn name_of(&self, binding: Binding) -> &str {
        let site = self.site;
        match binding {
            Binding::Zone(id) => &site.zones[id.index()].name,
            Binding::Wall(id) => &site.walls[id.index()].name,
            Binding::Device(id) => &site.actuators[id.index()].name,
            Binding::Sensor(id) => &site.sensors[id.index()].name,
            Binding::Person(id) => &site.people[id.index()].name,
            Binding::Group(id) => &site.groups[id.index()].name,
        }
    }

    fn name_meaning(&mut self, scope: &mut Scope, text: &str, span: Span) -> Meaning {
        if let Some(binding) = scope.bound(text) {
            return match binding {
                Binding::Zone(id) => Meaning::Zone(id),
                Binding::Wall(id) => Meaning::Wall(id),
                Binding::Device(id) => Meaning::Devices(vec![id]),
                Binding::Sensor(id) => Meaning::Sensors(vec![id]),
                Binding::Person(id) => Meaning::Person(id),
                Binding::Group(id) => Meaning::Group(id),
            };
        }
        if let Some(var) = scope.var(text) {
            scope.use_track(var);
            return Meaning::Track(var);
        }
        if scope.parameters.iter().any(|p| p == text) {
            return Meaning::Parameter;
        }
        match text {
            "time" => return Meaning::TimeOfDay,
            "day" => return Meaning::Day,
            "sun" => return Meaning::Sun,
            "sunrise" | "sunset" => return Meaning::SunClock { rises: text == "sunrise", offset_ns: 0 },
            _ => {}
        }
        if let Some(found) = self.site_name(text) {
            return found;
        }
        if is_variable(text) && scope.may_bind_track {
            return self.bind_track(scope, text, span).map_or(Meaning::Wrong, Meaning::Track);
        }
        if is_variable(text) {
            let help = "`when p in ...` speaks of each person; elsewhere write `any p in members(...) in ...`";
            self.error_help("unknown-name", span, format!("`{text}` stands for nobody here"), help);
        } else {
            self.unknown_site_name(scope, span, text);
        }
        Meaning::Wrong
    }

    /// Makes a word the name of a person; `None` after reporting a third.
    pub(super) fn bind_track(&mut self, scope: &mut Scope, text: &str, span: Span) -> Option<Var> {
        if let Some(var) = scope.var(text) {
            scope.use_track(var);
            return Some(var);
        }
        if scope.tracks.len() == 2 {
            let message =
                format!("`{text}` would be a third person beside `{}` and `{}`", scope.tracks[0], scope.tracks[1]);
            self.error_help("too-many", span, message, "a rule speaks of two at most; `count(...)` speaks of more");
            return None;
        }
        scope.tracks.push(text.to_owned());
        let var = (scope.tracks.len() - 1) as Var;
        scope.use_track(var);
        Some(var)
    }

    fn unknown_site_name(&mut self, scope: &Scope, span: Span, text: &str) {
        let site = self.site;
        let names = (site.zones.iter().map(|z| &z.name))
            .chain(site.actuators.iter().map(|a| &a.name))
            .chain(site.sensors.iter().map(|s| &s.name))
            .chain(site.people.iter().map(|p| &p.name))
            .chain(site.groups.iter().map(|g| &g.name))
            .chain(self.program.modes.iter().map(|m| &m.name))
            .chain(self.program.counters.iter().map(|c| &c.name))
            .chain(site.walls.iter().map(|w| &w.name))
            .chain(site.resources.iter().map(|r| &r.name));
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
            Meaning::Wall(wall) => self.wall_member(scope, wall, &member, span),
            Meaning::Devices(ids) if member == "zone" => self.zone_of_device(&ids, span),
            Meaning::Devices(ids) => self.device_property(&ids, &member, span),
            Meaning::Track(var) if member == "language" => Meaning::TrackLanguage(var),
            Meaning::Track(var) => self.track_member(var, &member, span),
            Meaning::Parameter if member == "focus" => Meaning::Focus,
            Meaning::Parameter => match Name::new(&member) {
                Some(name) => Meaning::Argument(name),
                None => self.no_member(span, "a command", &member, &[]),
            },
            Meaning::Sun if member == "elevation" => {
                scope.deps.clock = true;
                self.sun_place(span);
                Meaning::Number(self.push_num(Num::SunElevation), Unit::Degree)
            }
            Meaning::ModePerZone(mode) => match self.zone_called(scope, &member, span) {
                Some(zone) => Meaning::Mode { mode, place: self.program.modes[usize::from(mode)].base + zone.0 },
                None => Meaning::Wrong,
            },
            Meaning::CounterPerZone(counter) => match self.zone_called(scope, &member, span) {
                Some(zone) => {
                    Meaning::Counter { counter, place: self.program.counters[usize::from(counter)].base + zone.0 }
                }
                None => Meaning::Wrong,
            },
            Meaning::Calendar { calendar, zone: None } if self.zone_word(scope, &member).is_some() => {
                Meaning::Calendar { calendar, zone: self.zone_word(scope, &member) }
            }
            Meaning::Calendar { calendar, zone } if matches!(member.as_str(), "organiser" | "organizer") => {
                Meaning::Organiser { calendar, zone }
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

    fn zone_word(&self, scope: &Scope, word: &str) -> Option<ZoneId> {
        scope.binding(word).or_else(|| self.site.zone_named(word))
    }

    fn zone_called(&mut self, scope: &Scope, word: &str, span: Span) -> Option<ZoneId> {
        let found = self.zone_word(scope, word);
        if found.is_none() {
            let known: Vec<String> = self.site.zones.iter().map(|z| z.name.clone()).collect();
            self.unknown_name(span, "zone", word, known.iter().map(String::as_str));
        }
        found
    }

    fn zone_of_device(&mut self, ids: &[ActuatorId], span: Span) -> Meaning {
        let zones: Vec<ZoneId> = ids.iter().filter_map(|id| self.site.actuators[id.index()].zone).collect();
        match zones.as_slice() {
            [zone] => Meaning::Zone(*zone),
            _ => {
                self.error("no-device", span, "this is no single device that serves a zone");
                Meaning::Wrong
            }
        }
    }

    /// `p.consents`: a declared attribute of whoever `p` is.
    fn track_member(&mut self, var: Var, member: &str, span: Span) -> Meaning {
        let Some(column) = self.program.columns.iter().position(|(name, _)| name == member) else {
            let known: Vec<String> =
                self.program.columns.iter().map(|c| c.0.clone()).chain(["language".to_owned()]).collect();
            return self.no_member(span, "a person", member, &known);
        };
        let declared = self.site.attributes.get(member).map(|spec| spec.kind.as_str());
        let is_bool = declared.map_or_else(
            || {
                let of = |p: &osmose_model::site::Person| p.attributes.get(member).cloned();
                self.site.people.iter().filter_map(of).all(|a| matches!(a, Attribute::Bool(_)))
            },
            |kind| kind == "bool",
        );
        if is_bool {
            return Meaning::Truth(Cond::TrackAttribute(var, column as u16));
        }
        let unit = declared.and_then(units::unit_of).map_or(Unit::One, |(unit, _)| unit);
        Meaning::Number(self.push_num(Num::TrackAttribute(var, column as u16)), unit)
    }

    /// `w.display`, `w.folder`
    fn wall_member(&mut self, scope: &Scope, wall: WallId, member: &str, span: Span) -> Meaning {
        let site = self.site;
        if let Some((kind, many)) = kind_of_member(member) {
            let on_wall = site.actuators.iter().filter(|a| a.wall == Some(wall) && a.kind == kind);
            let ids: Vec<ActuatorId> = on_wall.map(|a| a.id).collect();
            let name = &site.walls[wall.index()].name;
            if scope.existence {
                return Meaning::Truth(Cond::Const(Tri::from(!ids.is_empty())));
            }
            if ids.is_empty() || ids.len() > 1 && !many {
                let message = format!("wall `{name}` has {} of kind {kind}", ids.len());
                let help = format!("leave such walls out: `for each wall w where w.{member}`, or name a device");
                self.error_help("no-device", span, message, help);
                return Meaning::Wrong;
            }
            return Meaning::Devices(ids);
        }
        if member == "folder" {
            // A wall shows the folder of the group that is called as the wall, or of the zone that its display serves.
            let wall = &site.walls[wall.index()];
            let zone = site.actuators.iter().find(|a| a.wall == Some(wall.id)).and_then(|a| a.zone);
            let of_zone = zone.and_then(|z| site.zones[z.index()].attributes.get("folder"));
            let folder = match of_zone {
                Some(Attribute::Text(text)) => text.clone(),
                _ => wall.name.clone(),
            };
            return Meaning::Text(folder);
        }
        self.no_member(span, "a wall", member, &["display".to_owned(), "folder".to_owned()])
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
            let name = &site.zones[zone.index()].name;
            // A cell is its speaker's, whichever zone that serves.
            let aims_at = |a: &osmose_model::device::Actuator| {
                let own = name.strip_prefix(a.name.as_str()).and_then(|rest| rest.strip_prefix('.'));
                own.is_some_and(|own| a.cells.iter().any(|cell| cell.name == own))
            };
            let is_its = |a: &osmose_model::device::Actuator| a.zone == Some(zone) || aims_at(a);
            let of_zone = site.actuators.iter().filter(|a| a.kind == kind && is_its(a));
            let ids: Vec<ActuatorId> = of_zone.map(|a| a.id).collect();
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
        if let Some(calendar) = self.calendar_named(member) {
            return Meaning::Calendar { calendar, zone: Some(zone) };
        }
        match self.kept_name(member) {
            Some(Meaning::ModePerZone(mode)) => {
                return Meaning::Mode { mode, place: self.program.modes[usize::from(mode)].base + zone.0 };
            }
            Some(Meaning::CounterPerZone(counter)) => {
                return Meaning::Counter { counter, place: self.program.counters[usize::from(counter)].base + zone.0 };
            }
            _ => {}
        }
        // A value sensor of the zone by its own last name: `r.lux` is the sensor `m7.lux` of m7.
        let own = format!(".{member}");
        let sensors = site.sensors.iter().filter(|s| s.zones.contains(&zone) && s.name.ends_with(&own));
        let ids: Vec<SensorId> = sensors.map(|s| s.id).collect();
        if let [only] = ids.as_slice() {
            return match scope.existence {
                true => Meaning::Truth(Cond::Const(Tri::True)),
                false => Meaning::Sensors(vec![*only]),
            };
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

    pub(super) fn wrong_kind(&mut self, span: Span, wanted: &str, found: &Meaning) -> Meaning {
        if !matches!(found, Meaning::Wrong) {
            let message = format!("expected {wanted}, found {}", found.said());
            if matches!(found, Meaning::Text(..)) {
                self.error_help("type", span, message, "a text holds values in braces, as in \"hello {p}\"");
            } else {
                self.error("type", span, message);
            }
        }
        Meaning::Wrong
    }
}
