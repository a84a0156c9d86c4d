//! The truth of conditions and the range of numbers, at one instant, for one unit.
//!
//! Conditions are three-valued (Kleene). A number is an interval: what is known exactly has no width, what is not
//! known at all is everything, and a count with people lost inside lies between. A comparison is true or false only
//! where every number of the interval agrees (interval arithmetic; Moore, "Interval Analysis", 1966).

use super::facts::{self, UNKNOWN, compare};
use super::state::{Contexts, Counter, NONE, Shared, Slot};
use super::window::Window;
use crate::cost::{Op, Ops};
use crate::program::{AcrossGaps, Cond, CondId, PersonRef, Program, RuleInfo, Sensed, SlotRef, Var, Who};
use osmose_model::command::{Args, Value};
use osmose_model::ids::{ActuatorId, Name, PersonId, SensorId, TrackId, ZoneId};
use osmose_model::time::DurationNs;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Occupant, Reading, Stimulus, WorldEvent, WorldView};
use serde::{Deserialize, Serialize};

/// The person that a rule's variable stands for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Bound {
    pub(super) track: TrackId,
    pub(super) person: Option<PersonId>,
    pub(super) person_p: f64,
}

impl Bound {
    /// The person of an event, as known at the event.
    pub(super) fn of_event(event: &WorldEvent) -> Self {
        Bound { track: event.track, person: event.person, person_p: event.person_p }
    }

    pub(super) fn of_track(world: &dyn WorldView, track: TrackId) -> Self {
        let occupant = world.occupant(track);
        Bound { track, person: occupant.and_then(|o| o.person), person_p: occupant.map_or(0.0, |o| o.person_p) }
    }

    /// The person, if known with at least `confidence`.
    pub(super) fn identified(&self, confidence: f64) -> Option<PersonId> {
        self.person.filter(|_| self.person_p >= confidence)
    }
}

/// What an evaluation may write down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peek {
    /// Everything.
    Nothing,
    /// What is of a person; what is of the instance is kept up otherwise.
    Instance,
    /// Nothing at all.
    All,
}

/// One evaluation.
pub(super) struct Truth<'a> {
    pub(super) world: &'a dyn WorldView,
    pub(super) program: &'a Program,
    pub(super) rule: &'a RuleInfo,
    /// The instance's number.
    pub(super) number: u32,
    pub(super) shared: &'a Shared,
    /// What the instance's own `for`s and `until`s remember.
    pub(super) slots: &'a mut [Slot],
    /// What those of persons remember, and whose memory is meant.
    pub(super) contexts: &'a mut Contexts,
    pub(super) context: Option<u32>,
    pub(super) windows: &'a mut [Window],
    pub(super) counters: &'a [Counter],
    /// Bookings that were released: calendar, zone, beginning.
    pub(super) released: &'a [(u16, Option<ZoneId>, i64)],
    pub(super) now: i64,
    /// The sensor that said something just now.
    pub(super) just: Option<SensorId>,
    /// The command that a policy decides on.
    pub(super) guarded: Option<(ActuatorId, &'a Args)>,
    /// The deciding event.
    pub(super) event: Option<&'a WorldEvent>,
    /// The events' outcome is asked for instead of the events: has he left, is he still in.
    pub(super) settled: bool,
    pub(super) bounds: [Option<Bound>; 3],
    /// The step's stimuli, where it is asked how things stood before somebody entered: he counts as outside of every
    /// zone that he enters in this step.
    pub(super) before: Option<&'a [Stimulus]>,
    pub(super) peek: Peek,
    /// A person at the controls resets the rule.
    pub(super) reset: bool,
    /// Inputs were missing for so long.
    pub(super) gap: Option<i64>,
    /// The earliest instant at which time alone may change the truth.
    pub(super) due: i64,
    /// Whether doubt was read as truth on the way.
    pub(super) doubt: bool,
    /// What was done, counted as the bound is made (`cost/bound.rs`).
    pub(super) ops: &'a mut Ops,
    /// Whether something is remembered that has yet to end.
    pub(super) keep: bool,
}

impl Truth<'_> {
    pub(super) fn cond(&mut self, id: CondId) -> Tri {
        let program = self.program;
        self.ops.add(Op::Node, 1);
        match &program.conds[id as usize] {
            Cond::Const(value) => *value,
            Cond::Not(inner) => !self.cond(*inner),
            // Every part is evaluated: each may hold a `for` that must see its condition change.
            Cond::And { from, to } => self.fold(*from, *to, Tri::True, Tri::and),
            Cond::Or { from, to } => self.fold(*from, *to, Tri::False, Tri::or),
            Cond::Compare(how, a, b) => {
                let (a, b) = (self.num(*a), self.num(*b));
                compare(*how, a, b)
            }
            Cond::Occupied(zone) => self.world.occupied(*zone),
            Cond::TrackIn(var, zone) => self.track_in(*var, *zone),
            Cond::TrackIs(var, who) => match self.bounds[usize::from(*var)] {
                Some(bound) => self.is_of(*who, &bound, false),
                None => Tri::Unknown,
            },
            Cond::TrackIdentified(var) => {
                let bound = &self.bounds[usize::from(*var)];
                Tri::from(bound.is_some_and(|b| b.identified(self.rule.confidence).is_some()))
            }
            Cond::TrackAttribute(var, column) => match self.attribute(*var, *column) {
                Some(value) => Tri::from(value != 0.0),
                None => Tri::Unknown,
            },
            Cond::SamePerson(a, b) => match (self.person(*a), self.person(*b)) {
                (Some(a), Some(b)) => Tri::from(a == b),
                _ => Tri::Unknown,
            },
            Cond::Argument(name) => self.argument_is(*name),
            Cond::PersonIn(person, zone) => {
                self.ops.add(Op::Person, 1);
                self.person_in(*person, *zone)
            }
            Cond::AnyIn(who, zone) => self.any_in(*who, *zone),
            Cond::EveryIn(who, zone) => self.every_in(*who, *zone),
            Cond::Event { kind, who, zone, var } => self.event(*kind, *who, *zone, *var),
            Cond::Sensed { from, to, what } => self.sensed(*from, *to, what),
            Cond::Gesture { var, gesture, from, to } => self.gesture(*var, *gesture, *from, *to),
            Cond::Facing { .. } | Cond::Approaching { .. } | Cond::Sees(..) | Cond::Crosses { .. } => {
                self.ops.add(Op::Node, u64::from(program.pieces));
                self.placed(&program.conds[id as usize])
            }
            Cond::OperatorReset => Tri::from(self.reset),
            Cond::DeviceIs { device, property, value } => facts::device_is(self.world, *device, *property, value),
            Cond::DeviceUnknown { device, property } => facts::device_unknown(self.world, *device, *property),
            Cond::SwitchIs { sensor, on } => facts::switch_is(self.world, *sensor, *on),
            Cond::Alive(sensor) => self.world.alive(*sensor),
            Cond::NoMotion { from, to } => {
                self.ops.add(Op::Sensor, u64::from(to - from));
                facts::no_motion(self.world, &program.sensors[*from as usize..*to as usize])
            }
            Cond::TimeIn { from, to } => self.time_in(*from, *to),
            Cond::TimeIs { at, window, slot } => self.time_is(*at, *window, *slot),
            Cond::DayIn(days) => self.day_in(*days),
            Cond::SunUp { slot } => self.sun_up(*slot),
            Cond::Booked { calendar, zone, length } => self.booked(*calendar, *zone, *length),
            Cond::SetByHand(device) => self.set_by_hand(*device),
            Cond::ModeIs { mode, value } => Tri::from(self.shared.modes[usize::from(*mode)] == *value),
            Cond::IsUnknown(inner) => Tri::from(self.cond(*inner) == Tri::Unknown),
            Cond::NumberUnknown(num) => Tri::from(self.num(*num) == UNKNOWN),
            Cond::For { inner, length, across, slot } => {
                let value = self.cond(*inner);
                self.dwell(value, *length, *across, *slot)
            }
            Cond::Until { set, reset, slot } => {
                let (set, reset) = (self.cond(*set), self.cond(*reset));
                self.latch(set, reset, *slot)
            }
            Cond::Within { event, length, slot } => self.lately(*event, *length, *slot),
            Cond::Times { event, times, length, slot } => self.repeated(*event, *times, *length, *slot),
            Cond::Sequence { from, to, slot } => self.sequence(*from, *to, *slot),
        }
    }

    fn fold(&mut self, from: u32, to: u32, start: Tri, join: impl Fn(Tri, Tri) -> Tri) -> Tri {
        (from..to).fold(start, |value, child| {
            let child = self.program.children[child as usize];
            join(value, self.cond(child))
        })
    }

    // ---- people ----

    /// Whom something names, where that is known well enough.
    pub(super) fn person(&self, of: PersonRef) -> Option<PersonId> {
        match of {
            PersonRef::Person(person) => Some(person),
            PersonRef::Var(var) => self.bounds[usize::from(var)]?.identified(self.rule.confidence),
            PersonRef::Argument(name) => match self.argument(name)? {
                Value::Person(person) => Some(person),
                Value::Track(track) => Bound::of_track(self.world, track).identified(self.rule.confidence),
                Value::Name(name) => self.world.site().person_named(name.as_str()),
                Value::Text(text) => self.world.site().person_named(text.as_str()),
                _ => None,
            },
        }
    }

    pub(super) fn argument(&self, name: Name) -> Option<Value> {
        let (_, args) = self.guarded?;
        args.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    #[inline(never)]
    fn argument_is(&self, name: Name) -> Tri {
        match self.argument(name) {
            Some(Value::Bool(value)) => Tri::from(value),
            // What is not said is not so.
            None => Tri::False,
            Some(_) => Tri::Unknown,
        }
    }

    pub(super) fn attribute(&self, var: Var, column: u16) -> Option<f64> {
        let person = self.person(PersonRef::Var(var))?;
        self.program.columns.get(usize::from(column))?.1.get(person.index()).copied().flatten()
    }

    fn track_in(&self, var: Var, zone: ZoneId) -> Tri {
        let Some(bound) = self.bounds[usize::from(var)] else { return Tri::Unknown };
        if self.before.is_some_and(|stimuli| enters_in(stimuli, bound.track, zone)) {
            return Tri::False;
        }
        let occupant = self.world.occupant(bound.track);
        occupant.map_or(Tri::Unknown, |o| o.is_in(zone))
    }

    /// Whether somebody belongs to a set. Who is not known well enough may be anybody; inside a session he counts as
    /// a participant (RULES.md, "Participants"). `here`: the deciding event is at the session's zone.
    fn is_of(&mut self, who: Who, bound: &Bound, here: bool) -> Tri {
        let person = bound.identified(self.rule.confidence);
        match (who, person) {
            (Who::Anyone, _) => Tri::True,
            (Who::Person(wanted), Some(person)) => Tri::from(person == wanted),
            (Who::Members(group), Some(person)) => Tri::from(self.world.is_member(person, group)),
            (Who::Person(_) | Who::Members(_), None) => Tri::Unknown,
            (Who::Participants(zone), person) => {
                let session = self.shared.session(zone);
                if !session.open {
                    return Tri::False;
                }
                if person.is_some_and(|p| session.has(p)) || session.tracks.contains(&bound.track) {
                    return Tri::True;
                }
                if person.is_some() {
                    return Tri::False;
                }
                let inside = || self.world.occupant(bound.track).is_some_and(|o| o.zones.contains(&zone));
                if !here && !inside() {
                    return Tri::Unknown;
                }
                self.doubt = true;
                Tri::True
            }
            (Who::InZone(zone), _) => {
                self.world.occupant(bound.track).map_or(Tri::Unknown, |occupant| occupant.is_in(zone))
            }
        }
    }

    fn person_in(&self, person: PersonId, zone: ZoneId) -> Tri {
        match self.world.track_of(person) {
            Some((track, p)) if p >= self.rule.confidence => {
                self.world.occupant(track).map_or(Tri::Unknown, |o| o.is_in(zone))
            }
            // Nobody at all is there, so neither is he; else he may be among those whom nobody knows.
            _ if self.world.occupied(zone) == Tri::False => Tri::False,
            _ => Tri::Unknown,
        }
    }

    #[inline(never)]
    fn any_in(&mut self, who: Who, zone: ZoneId) -> Tri {
        let world = self.world;
        let mut value = Tri::False;
        world.for_each_in(zone, &mut |occupant: &Occupant| {
            self.ops.add(Op::Occupant, 1);
            let bound = Bound { track: occupant.track, person: occupant.person, person_p: occupant.person_p };
            value = value.or(occupant.is_in(zone).and(self.is_of(who, &bound, false)));
        });
        value
    }

    #[inline(never)]
    fn every_in(&mut self, who: Who, zone: ZoneId) -> Tri {
        let world = self.world;
        let mut value = Tri::True;
        match who {
            Who::Person(person) => {
                self.ops.add(Op::Person, 1);
                value = self.person_in(person, zone);
            }
            Who::Members(group) => {
                for person in world.site().groups.get(group.index()).map_or(&[][..], |g| &g.members) {
                    self.ops.add(Op::Person, 1);
                    value = value.and(self.person_in(*person, zone));
                }
            }
            Who::Participants(of) => {
                let session = self.shared.session(of);
                self.ops.add(Op::Person, self.program.people.len() as u64);
                for person in (0..self.program.people.len()).map(|p| PersonId(p as u16)).filter(|p| session.has(*p)) {
                    value = value.and(self.person_in(person, zone));
                }
            }
            Who::InZone(of) => world.for_each_in(of, &mut |occupant: &Occupant| {
                self.ops.add(Op::Occupant, 1);
                value = value.and((!occupant.is_in(of)).or(occupant.is_in(zone)));
            }),
            Who::Anyone => value = Tri::Unknown,
        }
        value
    }

    // ---- events ----

    fn event(&mut self, kind: EventKind, who: Who, zone: ZoneId, var: Var) -> Tri {
        let Some(bound) = self.bounds[usize::from(var)] else { return Tri::False };
        if self.settled {
            let inside = self.track_in(var, zone);
            let stands = match kind {
                EventKind::Leaves | EventKind::Lost => !inside,
                _ => inside,
            };
            return stands.and(self.who_at_event(who, zone, &bound));
        }
        let Some(event) = self.event.filter(|event| event.track == bound.track) else { return Tri::False };
        let here = event.zone == Some(zone)
            || event.zone.is_none() && self.world.occupant(event.track).is_some_and(|o| o.zones.contains(&zone));
        // Somebody whom no device names appears in zones only once confirmed: before that he is in none.
        let appeared = kind == EventKind::Appears && event.kind == EventKind::Confirmed;
        if event.kind == kind || appeared {
            return if here { self.who_at_event(who, zone, &bound) } else { Tri::False };
        }
        if kind == EventKind::Leaves && self.rule.protective {
            return self.doubtful_leave(event, who, zone, &bound);
        }
        Tri::False
    }

    /// Somebody of a zone who leaves it is outside when the event comes, and still is one of those it speaks of.
    fn who_at_event(&mut self, who: Who, zone: ZoneId, bound: &Bound) -> Tri {
        if who == Who::InZone(zone) { Tri::True } else { self.is_of(who, bound, who == Who::Participants(zone)) }
    }

    /// At level privacy or above somebody also "leaves" when he is lost, or is no longer known well enough, while
    /// last seen inside (RULES.md, "Unknown").
    #[inline(never)]
    fn doubtful_leave(&mut self, event: &WorldEvent, who: Who, zone: ZoneId, bound: &Bound) -> Tri {
        let is_in = |track| self.world.occupant(track).map_or(event.zone == Some(zone), |o| o.zones.contains(&zone));
        // Of two who may have changed places either may be the one who is inside no more.
        let other = event.other.filter(|_| event.kind == EventKind::Swapped);
        if !is_in(event.track) && !other.is_some_and(is_in) {
            return Tri::False;
        }
        let value = match event.kind {
            EventKind::Lost => self.who_at_event(who, zone, bound),
            // Which of the two was meant is not known any more.
            EventKind::Swapped if who != Who::Anyone => Tri::Unknown,
            EventKind::Identified if who != Who::Anyone && bound.identified(self.rule.confidence).is_none() => {
                Tri::Unknown
            }
            _ => Tri::False,
        };
        self.doubt |= value != Tri::False;
        value
    }

    // ---- devices, sensors and time ----

    // What is seldom asked is kept out of `cond`, which calls itself: a device's value would widen its every frame.

    #[inline(never)]
    fn set_by_hand(&self, device: ActuatorId) -> Tri {
        match Name::new("manual").and_then(|property| self.world.device(device, property)) {
            Some(Value::Bool(by_hand)) => Tri::from(by_hand),
            _ => Tri::False,
        }
    }

    /// Whether one of these sensors said this just now.
    #[inline(never)]
    fn sensed(&self, from: u32, to: u32, what: &Sensed) -> Tri {
        let of = &self.program.sensors[from as usize..to as usize];
        let Some(sensor) = self.just.filter(|s| of.contains(s)) else { return Tri::False };
        use crate::program::BadgeOf;
        match (what, self.world.sensor(sensor).reading) {
            (Sensed::Pressed(None), Some(Reading::Button(_))) => Tri::True,
            (Sensed::Pressed(Some(wanted)), Some(Reading::Button(button))) => Tri::from(button == *wanted),
            (Sensed::Crossed(wanted), Some(Reading::Crossing(direction))) => Tri::from(direction == *wanted),
            (Sensed::Badge(of), Some(Reading::Badge { person, .. })) => match (of, person) {
                (BadgeOf::Anybody, _) | (BadgeOf::Known, Some(_)) | (BadgeOf::Unknown, None) => Tri::True,
                (BadgeOf::Members(group), Some(person)) => Tri::from(self.world.is_member(person, *group)),
                (BadgeOf::Person(wanted), Some(person)) => Tri::from(person == *wanted),
                _ => Tri::False,
            },
            _ => Tri::False,
        }
    }

    /// Whether a bound person made a gesture just now. One that was seen and is nobody's may be his.
    #[inline(never)]
    fn gesture(&self, var: Var, wanted: Name, from: u32, to: u32) -> Tri {
        let of = &self.program.sensors[from as usize..to as usize];
        let Some(sensor) = self.just.filter(|s| of.contains(s)) else { return Tri::False };
        match (self.world.sensor(sensor).reading, self.bounds[usize::from(var)]) {
            (Some(Reading::Gesture { gesture, track: Some(track), .. }), Some(bound)) => {
                Tri::from(gesture == wanted && track == bound.track)
            }
            _ => Tri::False,
        }
    }

    pub(super) fn due_at(&mut self, at: i64) {
        if at > self.now {
            self.due = self.due.min(at);
        }
    }

    // ---- what remembers ----

    /// The memory of a `for` or `until`; none where it is of a person and nobody is bound.
    pub(super) fn slot(&mut self, slot: SlotRef) -> Option<&mut Slot> {
        match slot {
            SlotRef::Instance(slot) => self.slots.get_mut(usize::from(slot)),
            SlotRef::Track(slot) => {
                let context = &mut self.contexts[self.context?];
                context.slots.get_mut(usize::from(slot))
            }
        }
    }

    /// Whether what the slot remembers is to be left as it is.
    pub(super) fn peeks(&self, slot: SlotRef) -> bool {
        match self.peek {
            Peek::Nothing => false,
            Peek::Instance => matches!(slot, SlotRef::Instance(_)),
            Peek::All => true,
        }
    }

    /// Whether a condition has been seen to hold for `length`. Unknown only where it may have held for that long.
    #[inline(never)]
    fn dwell(&mut self, value: Tri, length: DurationNs, across: AcrossGaps, slot: SlotRef) -> Tri {
        let now = self.now;
        let Some(mut memory) = self.slot(slot).copied() else { return Tri::Unknown };
        let survives = |gap: i64| match across {
            AcrossGaps::Continue => true,
            AcrossGaps::Restart | AcrossGaps::Unknown => false,
            AcrossGaps::ContinueIfShort => gap < self.program.lost.0,
        };
        if value == Tri::False {
            memory = Slot::default();
        } else if memory.possible == NONE {
            memory.possible = now;
        }
        if value == Tri::Unknown && memory.since != NONE && memory.gap_from == NONE {
            memory.gap_from = now;
        }
        if value == Tri::True {
            let broken = memory.gap_from != NONE && !survives(now - memory.gap_from)
                || self.gap.is_some_and(|gap| !survives(gap));
            if memory.since == NONE || broken {
                memory.since = now;
            }
            memory.gap_from = NONE;
        }
        if !self.peeks(slot)
            && let Some(kept) = self.slot(slot)
        {
            *kept = memory;
        }
        self.keep |= memory.possible != NONE;
        let (from, then) = match value {
            Tri::False => return Tri::False,
            Tri::Unknown => (memory.possible, Tri::Unknown),
            Tri::True => (memory.since, Tri::True),
        };
        let at = from.saturating_add(length.0);
        if now >= at {
            return then;
        }
        self.due_at(at);
        Tri::False
    }

    /// Set wins over reset: `until` ends nothing while its condition still holds.
    #[inline(never)]
    fn latch(&mut self, set: Tri, reset: Tri, slot: SlotRef) -> Tri {
        let (now, peek) = (self.now, self.peeks(slot));
        let Some(memory) = self.slot(slot) else { return Tri::Unknown };
        let mut on = memory.since != NONE;
        if set == Tri::True {
            on = true;
        } else if reset == Tri::True {
            on = false;
        }
        if !peek {
            memory.since = match (on, memory.since) {
                (false, _) => NONE,
                (true, NONE) => now,
                (true, since) => since,
            };
        }
        self.keep |= on;
        if on { Tri::True } else { set }
    }
}

/// Whether somebody enters a zone by one of a step's stimuli.
pub(super) fn enters_in(stimuli: &[Stimulus], track: TrackId, zone: ZoneId) -> bool {
    stimuli.iter().any(|stimulus| {
        matches!(stimulus, Stimulus::World(e) if e.kind == EventKind::Enters && e.track == track && e.zone == Some(zone))
    })
}
