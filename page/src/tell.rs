//! Commands and events in words that people at the page read.

use osmose_model::command::{Args, Command, Entity, Trigger, Value};
use osmose_model::ids::{ActuatorId, PersonId, RuleId, SensorId, TrackId, ZoneId};
use osmose_model::input::OperatorAction;
use osmose_model::site::Site;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, WorldEvent};
use osmose_replay::rulebook::Rulebook;

/// Names of the site and of its rules.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The site.
    pub site: &'a Site,
    /// The rules in force.
    pub book: &'a Rulebook,
}

impl<'a> Names<'a> {
    /// A zone's name.
    #[must_use]
    pub fn zone(&self, id: ZoneId) -> &'a str {
        self.site.zones.get(id.index()).map_or("an unknown zone", |z| &z.name)
    }
    /// A person's name.
    #[must_use]
    pub fn person(&self, id: PersonId) -> &'a str {
        self.site.people.get(id.index()).map_or("an unknown person", |p| &p.name)
    }
    /// A sensor's name.
    #[must_use]
    pub fn sensor(&self, id: SensorId) -> &'a str {
        self.site.sensors.get(id.index()).map_or("an unknown sensor", |s| &s.name)
    }
    /// A device's name.
    #[must_use]
    pub fn device(&self, id: ActuatorId) -> &'a str {
        self.site.actuators.get(id.index()).map_or("an unknown device", |a| &a.name)
    }
    /// Who a track is taken for; its number where that is nobody known.
    #[must_use]
    pub fn who(&self, track: TrackId, person: Option<PersonId>) -> String {
        person.map_or_else(|| format!("#{track}"), |p| self.person(p).to_owned())
    }
    /// A rule's name, or who else sends commands.
    #[must_use]
    pub fn sender(&self, c: &Command) -> String {
        match (c.rule, &c.cause.trigger) {
            (Some(rule), _) => self.book.name(rule),
            (None, Trigger::Operator) => "operator".to_owned(),
            (None, _) => "default".to_owned(),
        }
    }
    /// The level of a rule.
    #[must_use]
    pub fn level(&self, rule: Option<RuleId>) -> Option<&'a str> {
        rule.and_then(|r| self.book.level(r))
    }
    /// A rule's deadline, microseconds; the site's budget where it has none.
    #[must_use]
    pub fn budget_us(&self, rule: Option<RuleId>) -> u64 {
        let own = rule.and_then(|r| self.book.program()?.rule(r)?.deadline);
        own.map_or(u64::from(self.site.engine.budget_us), |(d, _)| (d.0 / 1000).max(1) as u64)
    }
    /// A value.
    #[must_use]
    pub fn value(&self, v: &Value) -> String {
        match v {
            Value::Bool(b) => b.to_string(),
            Value::Number(x) => format!("{}", (x * 1000.0).round() / 1000.0),
            Value::Name(n) => n.to_string(),
            Value::Text(t) => t.to_string(),
            Value::Person(p) => self.person(*p).to_owned(),
            Value::Zone(z) => self.zone(*z).to_owned(),
            Value::Track(t) => format!("#{t}"),
        }
    }
    /// Arguments as they stand in a rule.
    #[must_use]
    pub fn args(&self, args: &Args) -> String {
        let quoted = |v: &Value| match v {
            Value::Text(t) => format!("{:?}", t.as_str()),
            v => self.value(v),
        };
        args.iter().map(|(n, v)| format!("{n}: {}", quoted(v))).collect::<Vec<_>>().join(", ")
    }
    /// What an operator did.
    #[must_use]
    pub fn operator(&self, action: &OperatorAction) -> String {
        match action {
            OperatorAction::Act { actuator, verb, arg } => {
                let arg = arg.as_ref().map_or_else(String::new, |(n, v)| format!("{n}: {}", self.value(v)));
                format!("{}.{verb}({arg}) by hand", self.device(*actuator))
            }
            OperatorAction::RuleOff { rule, because, .. } => format!("rule {rule} switched off: {because}"),
            OperatorAction::Mode { mode, value } => format!("mode {mode} set to {value}"),
            OperatorAction::Reset { rule } => format!("{rule} reset"),
        }
    }

    /// An event: `ana left m7`.
    #[must_use]
    pub fn event(&self, e: &WorldEvent) -> String {
        let who = self.who(e.track, e.person);
        if let (EventKind::Swapped, Some(other)) = (e.kind, e.other) {
            return format!("{who} may have changed places with {}", self.who(other, None));
        }
        let zone = e.zone.map(|z| self.zone(z));
        happened(&who, e.kind, zone)
    }

    /// Whom a command is about: the track of its trigger, else the first track that its rule's variables stood for.
    #[must_use]
    pub fn about(&self, c: &Command) -> Option<(TrackId, Option<PersonId>, f64)> {
        let bound = c.cause.bindings.iter().filter_map(|(_, e)| match *e {
            Entity::Track { track, person, person_p } => Some((track, person, person_p)),
            _ => None,
        });
        match c.cause.trigger {
            Trigger::Event { track, .. } => {
                Some(bound.clone().find(|(t, ..)| *t == track).unwrap_or((track, None, 0.0)))
            }
            _ => bound.clone().next(),
        }
    }

    /// The zone that a command is about: of its trigger, of its rule's variables, or of its device.
    #[must_use]
    pub fn place(&self, c: &Command) -> Option<ZoneId> {
        let bound = c.cause.bindings.iter().find_map(|(_, e)| match *e {
            Entity::Zone(z) => Some(z),
            _ => None,
        });
        let event = match c.cause.trigger {
            Trigger::Event { zone, .. } => zone,
            _ => None,
        };
        event.or(bound).or_else(|| self.site.actuators.get(c.device.index())?.zone)
    }

    /// Why, in one line.
    #[must_use]
    pub fn why(&self, c: &Command) -> String {
        let mut text = match c.cause.trigger {
            Trigger::Event { kind, track, zone } => {
                let (person, p) = self.about(c).map_or((None, 0.0), |(_, person, p)| (person, p));
                let mut text = happened(&self.who(track, person), kind, zone.map(|z| self.zone(z)));
                text += &match person {
                    Some(_) => format!(", identity {p:.2}"),
                    None => ", nobody known".to_owned(),
                };
                text
            }
            Trigger::Sensor(s) => format!("{} has a new reading", self.sensor(s)),
            Trigger::Device(d) => format!("{} changed", self.device(d)),
            Trigger::Timer => "its time was up".to_owned(),
            Trigger::Clock => "the wall clock".to_owned(),
            Trigger::Start => "the rules were installed".to_owned(),
            Trigger::Operator => "by hand".to_owned(),
        };
        if let Some((written, truth)) = self.conditions(c).into_iter().map(|(w, t, _)| (w, t)).next_back() {
            text += &match truth {
                Tri::True => format!("; {written}"),
                Tri::Unknown => format!("; unknown whether {written}"),
                Tri::False => format!("; not any more {written}"),
            };
        }
        if c.cause.doubt {
            text += "; decided by doubt";
        }
        text
    }

    /// What the variables of a command's rule stood for: `p = ana, r = m7`.
    #[must_use]
    pub fn bindings(&self, c: &Command) -> String {
        let entity = |e: &Entity| match *e {
            Entity::Track { track, person, .. } => self.who(track, person),
            Entity::Person(p) => self.person(p).to_owned(),
            Entity::Zone(z) => self.zone(z).to_owned(),
            Entity::Device(d) => self.device(d).to_owned(),
        };
        let all: Vec<String> = c.cause.bindings.iter().map(|(name, e)| format!("{name} = {}", entity(e))).collect();
        all.join(", ")
    }

    /// Each recorded condition as it is written, its truth and its measured value.
    #[must_use]
    pub fn conditions(&self, c: &Command) -> Vec<(String, Tri, Option<f64>)> {
        let offsets: Vec<u32> = c.cause.conditions.iter().map(|x| x.offset).collect();
        let written = |offset| c.rule.and_then(|r| self.book.condition(r, offset, &offsets));
        let all = c.cause.conditions.iter();
        all.map(|x| {
            let text = written(x.offset).map_or_else(|| format!("condition at byte {}", x.offset), |line| line.text);
            (text, x.truth, x.value)
        })
        .collect()
    }
}

fn happened(who: &str, kind: EventKind, zone: Option<&str>) -> String {
    let (verb, link) = match kind {
        EventKind::Appears => ("appeared", " in "),
        EventKind::Confirmed => ("is there for certain", " in "),
        EventKind::Identified => ("was identified", " in "),
        EventKind::Enters => ("entered", " "),
        EventKind::Leaves => ("left", " "),
        EventKind::Swapped => ("may have changed places with another", " in "),
        EventKind::Lost => ("was lost", " in "),
        EventKind::Found => ("was found again", " in "),
    };
    zone.map_or_else(|| format!("{who} {verb}"), |zone| format!("{who} {verb}{link}{zone}"))
}
