//! The worst case: how many operations a rule's instance can take for anything that may happen.
//!
//! The bound follows the evaluator function by function (named beside each), with the site's own limits in place of
//! what is there at run time: as many people in a zone as `tracks_max` allows, every member of a group, every guard
//! passed, every command sent. `tests/common` holds what is counted against it in every step of every test.
//!
//! The matches here name every form, on purpose: a form of the language without a bound does not compile.

use super::ops::{Op, Ops};
use crate::eval::CONTEXTS_MAX;
use crate::program::{Cond, CondId, Instance, Num, NumId, Program, Shape, ValueExpr, Who};
use osmose_model::site::Site;
use osmose_model::world::Stimulus;

/// What kind of happening wakes an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kick {
    /// Something happened to a track.
    World,
    /// A sensor, a device, the clock, or a person at the controls.
    Other,
    /// A start, or a gap: everybody present is looked at anew.
    Afresh,
    /// A timer was due.
    Due,
}

/// Bounds for one program in one site.
#[derive(Clone, Debug)]
pub(crate) struct Bounds<'p> {
    program: &'p Program,
    /// Most people in one zone.
    tracks: u64,
    /// Known people.
    people: u64,
    groups: Vec<u64>,
    dampers_anywhere: bool,
}

impl<'p> Bounds<'p> {
    pub(crate) fn new(program: &'p Program, site: &Site) -> Self {
        Bounds {
            program,
            tracks: u64::from(site.engine.tracks_max),
            people: site.people.len() as u64,
            groups: site.groups.iter().map(|g| g.members.len() as u64).collect(),
            dampers_anywhere: program.rules.iter().any(|r| !r.dampers.is_empty()),
        }
    }

    /// The same for a site that allows so many tracks.
    pub(crate) fn with_tracks(&self, tracks: u64) -> Self {
        Bounds { tracks, ..self.clone() }
    }

    // ---- `Truth` ----

    /// `Truth::cond`
    pub(crate) fn cond(&self, id: CondId) -> Ops {
        let program = self.program;
        let all = |from: u32, to: u32| {
            program.children[from as usize..to as usize].iter().fold(Ops::NONE, |sum, c| sum.and(self.cond(*c)))
        };
        let below = match &program.conds[id as usize] {
            Cond::Const(_)
            | Cond::Occupied(_)
            | Cond::TrackIn(_)
            | Cond::TrackIs(_)
            | Cond::TrackIdentified
            | Cond::Event { .. }
            | Cond::OperatorReset
            | Cond::DeviceIs { .. }
            | Cond::DeviceUnknown { .. }
            | Cond::SwitchIs { .. }
            | Cond::Alive(_)
            | Cond::TimeIn { .. }
            | Cond::ModeIs { .. } => Ops::NONE,
            Cond::Not(inner) | Cond::IsUnknown(inner) | Cond::For { inner, .. } => self.cond(*inner),
            Cond::And { from, to } | Cond::Or { from, to } => all(*from, *to),
            Cond::Compare(_, a, b) => self.num(*a).and(self.num(*b)),
            Cond::PersonIn(..) => Ops::of(Op::Person, 1),
            Cond::AnyIn(..) => Ops::of(Op::Occupant, self.tracks),
            Cond::EveryIn(who, _) => self.every_in(*who),
            Cond::NoMotion { from, to } => Ops::of(Op::Sensor, u64::from(to - from)),
            Cond::NumberUnknown(num) => self.num(*num),
            Cond::Until { set, reset, .. } => self.cond(*set).and(self.cond(*reset)),
        };
        below.and(Ops::of(Op::Node, 1))
    }

    /// `Truth::every_in`
    fn every_in(&self, who: Who) -> Ops {
        match who {
            Who::Person(_) => Ops::of(Op::Person, 1),
            Who::Members(group) => Ops::of(Op::Person, self.groups.get(group.index()).copied().unwrap_or(0)),
            Who::Participants(_) => Ops::of(Op::Person, self.people),
            Who::InZone(_) => Ops::of(Op::Occupant, self.tracks),
            Who::Anyone => Ops::NONE,
        }
    }

    /// `Truth::num`
    fn num(&self, id: NumId) -> Ops {
        let below = match &self.program.nums[id as usize] {
            Num::Const(_) | Num::Device { .. } | Num::Sensor(_) | Num::Confidence => Ops::NONE,
            Num::Count(zone) => Ops::of(Op::Sensor, self.program.watchers[zone.index()].len() as u64),
            Num::Add(a, b) | Num::Sub(a, b) | Num::Mul(a, b) | Num::Div(a, b) => self.num(*a).and(self.num(*b)),
        };
        below.and(Ops::of(Op::Node, 1))
    }

    /// `Truth::value`
    fn value(&self, id: u32) -> Ops {
        let below = match &self.program.values[id as usize] {
            ValueExpr::Const(_) | ValueExpr::Track | ValueExpr::Language | ValueExpr::Text(_) => Ops::NONE,
            ValueExpr::Number(num) => self.num(*num),
            ValueExpr::If(condition, a, b) => self.cond(*condition).and(self.value(*a)).and(self.value(*b)),
        };
        below.and(Ops::of(Op::Node, 1))
    }

    /// `Truth::measure`
    fn measure(&self, id: CondId) -> Ops {
        match &self.program.conds[id as usize] {
            Cond::Compare(_, a, _) => self.num(*a),
            Cond::Until { set, .. } => self.measure(*set),
            _ => Ops::NONE,
        }
    }

    // ---- `Run` ----

    fn maybe(&self, id: Option<CondId>) -> Ops {
        id.map_or(Ops::NONE, |id| self.cond(id))
    }

    /// A guard that is kept up to date beside the condition.
    fn kept_guard(&self, i: &Instance) -> Ops {
        if i.guard_remembers { self.maybe(i.guard) } else { Ops::NONE }
    }

    /// `Run::cause`
    fn cause(&self, i: &Instance) -> Ops {
        i.reported.iter().fold(Ops::NONE, |sum, (_, c)| sum.and(self.cond(*c)).and(self.measure(*c)))
    }

    /// `Run::fire`
    fn fire(&self, i: &Instance) -> Ops {
        let dampers = self.program.rules[i.rule.index()].dampers.len() as u64;
        let sends = i.sends.iter().flat_map(|s| &s.args).fold(Ops::NONE, |sum, (_, v)| sum.and(self.value(*v)));
        let own = Ops::of(Op::Memory, 2 * dampers).and(Ops::of(Op::Effect, i.sends.len() as u64));
        own.and(self.maybe(i.guard)).and(self.cause(i)).and(sends)
    }

    /// `Run::hold_all` and `Run::release_all`
    fn holds(&self, i: &Instance) -> Ops {
        let values = i.holds.iter().fold(Ops::NONE, |sum, h| sum.and(self.value(h.value)));
        let effects = Ops::of(Op::Effect, 2 * (i.holds.len() + i.forbids.len()) as u64);
        values.and(self.cause(i).times(2)).and(effects)
    }

    /// `Run::upkeep`
    fn upkeep(&self, i: &Instance) -> Ops {
        if i.slots == 0 { Ops::NONE } else { self.cond(i.condition).and(self.maybe(i.guard)) }
    }

    /// `Run::visit`
    fn visit(&self, i: &Instance) -> Ops {
        Ops::of(Op::Memory, self.program.rules[i.rule.index()].dampers.len() as u64)
    }

    /// Most people that one instance follows: as many as there can be, and the one who made it look for room.
    fn followed(&self) -> u64 {
        (self.tracks + 1).min(CONTEXTS_MAX as u64)
    }

    /// `Run::make_room`
    fn room(&self) -> Ops {
        Ops::of(Op::Occupant, self.followed())
    }

    /// `Run::person`, the look at how things stood before he entered included.
    fn person(&self, i: &Instance) -> Ops {
        let looks = self.cond(i.condition).times(2).and(self.kept_guard(i));
        looks.and(self.fire(i)).and(Ops::of(Op::Context, 4))
    }

    /// `Run::everybody`
    fn everybody(&self, i: &Instance, afresh: bool) -> Ops {
        let found = if afresh { self.tracks * i.track_zones.len() as u64 } else { 0 };
        let new = Ops::of(Op::Occupant, found).and(Ops::of(Op::Context, found));
        self.upkeep(i).and(new).and(self.room()).and(self.person(i).times(self.followed()))
    }

    /// `Run::look`
    fn look(&self, i: &Instance, afresh: bool) -> Ops {
        match i.shape {
            Shape::Event => self.upkeep(i),
            Shape::Edge => self.cond(i.condition).and(self.kept_guard(i)).and(self.fire(i)),
            Shape::Level => {
                let values = i.holds.iter().fold(Ops::NONE, |sum, h| sum.and(self.value(h.value)));
                let guards = self.kept_guard(i).and(self.maybe(i.guard));
                self.cond(i.condition).and(guards).and(values).and(self.holds(i))
            }
            Shape::EdgePerTrack => self.everybody(i, afresh),
        }
    }

    /// `Run::event`
    fn event(&self, i: &Instance) -> Ops {
        let settles = self.program.rules[i.rule.index()].settle.0 != 0;
        let once = self.visit(i).and(self.upkeep(i)).and(self.cond(i.condition));
        // What waits for `settle` fires from its timer; until then it is put by, or asked whether it still stands.
        let waits = self.cond(i.condition).and(Ops::of(Op::Context, 4));
        once.and(if settles { waits } else { self.fire(i) })
    }

    /// What one instance takes for one happening.
    pub(crate) fn instance(&self, i: &Instance, kick: Kick) -> Ops {
        let wake = Ops::of(Op::Wake, 1);
        wake.and(match (kick, i.shape) {
            (Kick::World, Shape::Event) => self.event(i),
            (Kick::World, Shape::EdgePerTrack) => {
                let all = i.everywhere || !i.shared_zones.is_empty();
                let all = if all { self.everybody(i, false) } else { Ops::NONE };
                self.visit(i).and(self.upkeep(i)).and(self.room()).and(self.person(i).times(2)).and(all)
            }
            (Kick::World | Kick::Other, _) => self.look(i, false),
            (Kick::Afresh, _) => self.look(i, true),
            // The instance's own timer, or one of a person in it (`Run::person_due`).
            (Kick::Due, Shape::Event) if self.program.rules[i.rule.index()].settle.0 == 0 => self.upkeep(i),
            (Kick::Due, Shape::Event) => {
                self.upkeep(i).or(self.cond(i.condition).and(self.fire(i)).and(Ops::of(Op::Context, 4)))
            }
            // An instance has a timer of its own where it remembers anything beside its persons.
            (Kick::Due, Shape::EdgePerTrack) if i.slots == 0 => self.person(i),
            (Kick::Due, Shape::EdgePerTrack) => self.everybody(i, false).or(self.person(i)),
            (Kick::Due, _) => self.look(i, false),
        })
    }

    /// `memory::follow`: what an event takes for all rules together.
    pub(crate) fn shared(&self) -> Ops {
        Ops::of(Op::Memory, if self.dampers_anywhere { 2 * crate::eval::MEMORIES_MAX as u64 } else { 0 })
    }

    /// What all rules together take for one stimulus; where `zones` are those that the tracks of an event are in.
    pub(crate) fn stimulus(&self, stimulus: &Stimulus, zones: &[osmose_model::ids::ZoneId]) -> Ops {
        let index = &self.program.index;
        let list = |list: Option<&Vec<u32>>, kick: Kick| {
            list.into_iter()
                .flatten()
                .fold(Ops::NONE, |sum, number| sum.and(self.instance(&self.program.instances[*number as usize], kick)))
        };
        match stimulus {
            Stimulus::World(event) => {
                let mut all = list(Some(&index.everywhere), Kick::World).and(self.shared());
                for zone in event.zone.iter().chain(zones.iter().filter(|z| Some(**z) != event.zone)) {
                    all = all.and(list(index.by_zone.get(zone.index()), Kick::World));
                }
                all
            }
            Stimulus::Moved(_) => Ops::NONE,
            Stimulus::Sensor(sensor) => list(index.by_sensor.get(sensor.index()), Kick::Other),
            Stimulus::Device(device) => list(index.by_device.get(device.index()), Kick::Other),
            Stimulus::Clock => list(Some(&index.by_clock), Kick::Other),
            Stimulus::Gap(_) | Stimulus::Start => {
                self.program.instances.iter().fold(Ops::NONE, |sum, i| sum.and(self.instance(i, Kick::Afresh)))
            }
        }
    }

    /// The most that one due timer takes.
    pub(crate) fn due(&self) -> Ops {
        self.program.instances.iter().fold(Ops::NONE, |most, i| most.or(self.instance(i, Kick::Due)))
    }
}
