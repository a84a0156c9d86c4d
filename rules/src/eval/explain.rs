//! Why a rule does not act: every condition of it as it stands now, with what it measures, and nothing remembered.
//!
//! Read-only and off the hot path: a replay asks it between two steps, to find how near each condition came.

use super::Rules;
use super::state::{ALONE, Memory, NONE, Slot};
use super::timers::NEVER;
use super::truth::{Bound, Peek, Truth};
use crate::cost::Ops;
use crate::program::{Binding, ClockRef, Compare, Cond, CondId, Instance, Var, Who};
use osmose_model::command::Value;
use osmose_model::ids::{ActuatorId, GroupId, Name, PersonId, RuleId, SensorId, TrackId, ZoneId};
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, WorldView};

/// Most gauges of one condition: beyond, the rest of a very long one is not listed.
pub const GAUGES_MAX: usize = 16;

/// Whom a condition speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Anybody.
    Anyone,
    /// A known person.
    Person(PersonId),
    /// A group.
    Members(GroupId),
    /// Those of a zone's session.
    Participants(ZoneId),
    /// Whoever is in a zone.
    InZone(ZoneId),
}

/// What one part of a condition measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gauge {
    /// An event is waited for.
    Event {
        /// Which.
        kind: EventKind,
        /// Of whom.
        whom: Whom,
        /// At which zone.
        zone: ZoneId,
    },
    /// The person is or is not in a zone.
    InZone {
        /// Which zone.
        zone: ZoneId,
        /// Whether he counts as inside, margins and delays applied.
        inside: Tri,
    },
    /// Who the person is.
    Identity {
        /// Whom the condition wants; `None`: anybody known.
        whom: Option<Whom>,
        /// Who he is taken for.
        person: Option<PersonId>,
        /// With which probability.
        p: f64,
        /// The probability that the rule asks for.
        needed: f64,
    },
    /// A condition must hold for a while.
    Dwell {
        /// Since when it has held, seconds; 0 where it does not.
        reached_s: f64,
        /// How long it must, seconds.
        needed_s: f64,
    },
    /// A comparison of numbers; what is not known exactly has width.
    Number {
        /// The left side: lowest and highest possible.
        left: (f64, f64),
        /// As written: `<`, `<=`, `>`, `>=`, `=`, `!=`.
        how: &'static str,
        /// The right side.
        right: (f64, f64),
    },
    /// Whether anybody is in a zone.
    Occupied(ZoneId, Tri),
    /// Where somebody of a set is.
    Somebody {
        /// Of whom.
        whom: Whom,
        /// In which zone.
        zone: ZoneId,
        /// Whether it must be all of them.
        all: bool,
    },
    /// A device's property.
    Device {
        /// Which device.
        device: ActuatorId,
        /// Which property.
        property: Name,
        /// What it is.
        found: Option<Value>,
        /// What it is to be; `None` where the condition is about its being unknown.
        wanted: Option<Value>,
    },
    /// A sensor that is read, or that must be alive.
    Sensor {
        /// Which.
        sensor: SensorId,
        /// Whether it is alive.
        alive: Tri,
        /// When it was last heard.
        heard_at: Option<LogicalNs>,
    },
    /// A time of day.
    TimeOfDay {
        /// Now, since local midnight; `None` without a wall clock.
        now: Option<DurationNs>,
        /// From.
        from: DurationNs,
        /// To.
        to: DurationNs,
    },
    /// A mode.
    Mode {
        /// Which.
        mode: u16,
        /// Its value.
        found: u16,
        /// What it is to be.
        wanted: u16,
    },
    /// A reset by hand is waited for.
    Operator,
}

/// One condition as a cause reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its place in the rule's file, bytes.
    pub offset: u32,
    /// Its truth.
    pub truth: Tri,
    /// What it measures.
    pub gauges: Vec<Gauge>,
}

/// One instance of a rule, or one person in it, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The `for each` variables that stand for zones.
    pub bindings: Vec<(Name, ZoneId)>,
    /// The person's variable and track, for rules that speak of a person.
    pub track: Option<(Name, TrackId)>,
    /// Every condition, in the order written.
    pub parts: Vec<Part>,
    /// Until when the rule is switched off by hand, if it is.
    pub off_until: Option<LogicalNs>,
    /// When `once per` or `suppress` last counted it as having acted, for this instance.
    pub acted_at: Option<LogicalNs>,
}

impl Explained {
    /// Conditions that do not hold.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.parts.iter().filter(|p| p.truth != Tri::True).count()
    }
}

fn whom(who: Who) -> Whom {
    match who {
        Who::Anyone => Whom::Anyone,
        Who::Person(p) => Whom::Person(p),
        Who::Members(g) => Whom::Members(g),
        Who::Participants(z) => Whom::Participants(z),
        Who::InZone(z) => Whom::InZone(z),
    }
}

const fn sign(how: Compare) -> &'static str {
    match how {
        Compare::Less => "<",
        Compare::LessEqual => "<=",
        Compare::Greater => ">",
        Compare::GreaterEqual => ">=",
        Compare::Equal => "=",
        Compare::NotEqual => "!=",
    }
}

impl Rules {
    /// How every instance of a rule stands, for each of `tracks` where the rule speaks of a person. Changes nothing.
    #[must_use]
    pub fn explain(&self, rule: RuleId, tracks: &[TrackId], world: &dyn WorldView) -> Vec<Explained> {
        let Some(info) = self.program.rule(rule) else { return Vec::new() };
        let mut all = Vec::new();
        for number in info.instances.clone() {
            match info.track_names[0] {
                Some(name) => {
                    let of = |track: &TrackId| self.explain_one(number, Some((name, *track)), world);
                    all.extend(tracks.iter().map(of));
                }
                None => all.push(self.explain_one(number, None, world)),
            }
        }
        all
    }

    fn explain_one(&self, number: u32, track: Option<(Name, TrackId)>, world: &dyn WorldView) -> Explained {
        let (program, state) = (&self.program, &self.state);
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        let from = instance.slot_base as usize;
        // Copies: what is asked here must not be remembered.
        let mut slots: Vec<Slot> =
            state.slots.get(from..from + usize::from(instance.slots)).unwrap_or_default().to_vec();
        let context = track.and_then(|(_, t)| state.contexts.find(number, t, ALONE));
        let (mut contexts, mut windows) = (state.contexts.clone(), state.windows.clone());
        let mut ops = Ops::NONE;
        let mut truth = Truth {
            world,
            program,
            rule,
            shared: &state.shared,
            slots: &mut slots,
            number,
            contexts: &mut contexts,
            context,
            windows: &mut windows,
            counters: &state.counters,
            released: &state.released,
            just: None,
            guarded: None,
            now: world.now().0,
            event: None,
            settled: false,
            bounds: [track.map(|(_, t)| Bound::of_track(world, t)), None, None],
            before: None,
            peek: Peek::All,
            reset: false,
            gap: None,
            due: NEVER,
            doubt: false,
            ops: &mut ops,
            keep: false,
        };
        let parts = parts(instance, &mut truth);
        let off = state.off_until[instance.rule.index()];
        let of_instance = |m: &&Memory| m.instance == number;
        let acted = state.memories.iter().filter(of_instance).map(|m| m.at).max().filter(|at| *at != NONE);
        Explained {
            bindings: instance
                .bindings
                .iter()
                .filter_map(|(name, binding)| match binding {
                    Binding::Zone(zone) => Some((*name, *zone)),
                    _ => None,
                })
                .collect(),
            track,
            parts,
            off_until: (off > world.now().0).then_some(LogicalNs(off)),
            acted_at: acted.map(LogicalNs),
        }
    }
}

fn parts(instance: &Instance, truth: &mut Truth<'_>) -> Vec<Part> {
    let one = |(offset, id): &(u32, CondId)| {
        let mut gauges = Vec::new();
        gather(truth, *id, &mut gauges);
        Part { offset: *offset, truth: truth.cond(*id), gauges }
    };
    instance.reported.iter().map(one).collect()
}

/// What the leaves below a condition measure.
fn gather(t: &mut Truth<'_>, id: CondId, out: &mut Vec<Gauge>) {
    if out.len() >= GAUGES_MAX {
        return;
    }
    let program = t.program;
    let sensor = |t: &Truth<'_>, s: SensorId| Gauge::Sensor {
        sensor: s,
        alive: t.world.alive(s),
        heard_at: t.world.sensor(s).heard_at,
    };
    let identity = |t: &Truth<'_>, var: Var, wanted: Option<Who>| Gauge::Identity {
        whom: wanted.map(whom),
        person: t.bounds[usize::from(var)].and_then(|b| b.person),
        p: t.bounds[usize::from(var)].map_or(0.0, |b| b.person_p),
        needed: t.rule.confidence,
    };
    match &program.conds[id as usize] {
        Cond::Const(_) => {}
        Cond::Not(inner) | Cond::IsUnknown(inner) => gather(t, *inner, out),
        Cond::And { from, to } | Cond::Or { from, to } => {
            program.children[*from as usize..*to as usize].iter().for_each(|child| gather(t, *child, out));
        }
        Cond::Compare(how, a, b) => out.push(Gauge::Number { left: t.num(*a), how: sign(*how), right: t.num(*b) }),
        Cond::NumberUnknown(num) => {
            let range = t.num(*num);
            out.push(Gauge::Number { left: range, how: "=", right: range });
        }
        Cond::Occupied(zone) => out.push(Gauge::Occupied(*zone, t.world.occupied(*zone))),
        Cond::TrackIn(var, zone) => {
            let bound = t.bounds[usize::from(*var)];
            let inside = bound.and_then(|b| t.world.occupant(b.track)).map_or(Tri::Unknown, |o| o.is_in(*zone));
            out.push(Gauge::InZone { zone: *zone, inside });
        }
        Cond::TrackIs(var, who) => out.push(identity(t, *var, Some(*who))),
        Cond::TrackIdentified(var) | Cond::TrackAttribute(var, _) => out.push(identity(t, *var, None)),
        Cond::PersonIn(person, zone) => {
            out.push(Gauge::Somebody { whom: Whom::Person(*person), zone: *zone, all: false });
        }
        Cond::AnyIn(who, zone) => out.push(Gauge::Somebody { whom: whom(*who), zone: *zone, all: false }),
        Cond::EveryIn(who, zone) => out.push(Gauge::Somebody { whom: whom(*who), zone: *zone, all: true }),
        Cond::Event { kind, who, zone, var } => {
            out.push(Gauge::Event { kind: *kind, whom: whom(*who), zone: *zone });
            if *who != Who::Anyone {
                out.push(identity(t, *var, Some(*who)));
            }
        }
        Cond::OperatorReset => out.push(Gauge::Operator),
        Cond::DeviceIs { device, property, value } => out.push(Gauge::Device {
            device: *device,
            property: *property,
            found: t.world.device(*device, *property),
            wanted: Some(*value),
        }),
        Cond::DeviceUnknown { device, property } => out.push(Gauge::Device {
            device: *device,
            property: *property,
            found: t.world.device(*device, *property),
            wanted: None,
        }),
        Cond::SwitchIs { sensor: s, .. } | Cond::Alive(s) => out.push(sensor(t, *s)),
        Cond::NoMotion { from, to } => {
            let sensors = &program.sensors[*from as usize..*to as usize];
            out.extend(sensors.iter().take(GAUGES_MAX).map(|s| sensor(t, *s)));
        }
        Cond::TimeIn { from: ClockRef::At(from_ns), to: ClockRef::At(to_ns) } => out.push(Gauge::TimeOfDay {
            now: t.world.wall().map(|w| w.since_midnight()),
            from: DurationNs(*from_ns),
            to: DurationNs(*to_ns),
        }),
        Cond::ModeIs { mode, value } => {
            let info = program.modes.iter().rposition(|m| m.base <= *mode).unwrap_or(0) as u16;
            out.push(Gauge::Mode { mode: info, found: t.shared.modes[usize::from(*mode)], wanted: *value })
        }
        Cond::For { inner, length, slot, .. } => {
            let since = t.slot(*slot).map_or(NONE, |m| m.since);
            let reached = if since == NONE { DurationNs::ZERO } else { DurationNs(t.now.saturating_sub(since)) };
            out.push(Gauge::Dwell { reached_s: reached.as_s_f64(), needed_s: length.as_s_f64() });
            gather(t, *inner, out);
        }
        Cond::Until { set, reset, .. } => {
            gather(t, *set, out);
            gather(t, *reset, out);
        }
        Cond::Within { event, .. } | Cond::Times { event, .. } => gather(t, *event, out),
        Cond::Sequence { from, to, .. } => {
            program.sequence[*from as usize..*to as usize].iter().for_each(|part| gather(t, part.cond, out));
        }
        Cond::Sensed { from, to, .. } | Cond::Gesture { from, to, .. } => {
            let sensors = &program.sensors[*from as usize..*to as usize];
            out.extend(sensors.iter().take(GAUGES_MAX).map(|s| sensor(t, *s)));
        }
        // Their truth says all there is to say.
        Cond::SamePerson(..)
        | Cond::Argument(_)
        | Cond::Facing { .. }
        | Cond::Approaching { .. }
        | Cond::Sees(..)
        | Cond::Crosses { .. }
        | Cond::TimeIn { .. }
        | Cond::TimeIs { .. }
        | Cond::DayIn(_)
        | Cond::SunUp { .. }
        | Cond::Booked { .. }
        | Cond::SetByHand(_) => {}
    }
}
