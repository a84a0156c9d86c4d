//! The worst case: how many operations a rule's instance can take for anything that may happen.
//!
//! The bound follows the evaluator function by function (named beside each), with the site's own limits in place of
//! what is there at run time: as many people in a zone as `tracks_max` allows, every member of a group, every guard
//! passed, every command sent. `tests/common` holds what is counted against it in every step of every test.
//!
//! The matches here name every form, on purpose: a form of the language without a bound does not compile.

use super::ops::{Op, Ops};
use crate::eval::{CONTEXTS_MAX, MEMORIES_MAX, ROUNDS_MAX, RUNS_MAX};
use crate::program::{Cond, CondId, Instance, Num, NumId, Program, Send, Shape, Step, TextPart, ValueExpr, Who};
use osmose_model::site::Site;
use osmose_model::world::Stimulus;

/// What kind of happening wakes an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kick {
    /// Something happened to a track.
    World,
    /// A track moved.
    Moved,
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
    /// What `memory::follow` looks at, at most.
    memories: u64,
    /// `Run::look_at_woken`: what rules that wait for modes, counters and bookings take, in every round.
    woken: Ops,
    follows_anybody: bool,
}

/// `memory::follow`: two for each damper that counts by one person; what counts by pairs is gone through, and a memory may
/// be met again under its new name.
fn memories(program: &Program) -> u64 {
    let single = program.of_people.iter().filter(|of| !of.pairs).count() as u64;
    let pairs = if program.of_people.iter().any(|of| of.pairs) { 2 * MEMORIES_MAX as u64 } else { 0 };
    2 * single + pairs
}

impl<'p> Bounds<'p> {
    pub(crate) fn new(program: &'p Program, site: &Site) -> Self {
        let bounds = Bounds {
            program,
            tracks: u64::from(site.engine.tracks_max),
            people: site.people.len() as u64,
            groups: site.groups.iter().map(|g| g.members.len() as u64).collect(),
            memories: memories(program),
            woken: Ops::NONE,
            follows_anybody: program
                .instances
                .iter()
                .any(|i| i.shape.per_track() || i.shape == Shape::Event && program.rules[i.rule.index()].settle.0 != 0),
        };
        let woken = bounds.rounds();
        Bounds { woken, ..bounds }
    }

    fn rounds(&self) -> Ops {
        let index = &self.program.index;
        let mut waiting: Vec<u32> =
            index.by_mode.iter().chain(&index.by_counter).chain([&index.by_booking]).flatten().copied().collect();
        waiting.sort_unstable();
        waiting.dedup();
        let once = waiting.iter().map(|number| &self.program.instances[*number as usize]);
        let once = once.fold(Ops::NONE, |sum, i| sum.and(self.look(i, false)).and(self.runs(i)));
        once.times(ROUNDS_MAX as u64)
    }

    /// The same for a site that allows so many tracks.
    pub(crate) fn with_tracks(&self, tracks: u64) -> Self {
        let bounds = Bounds { tracks, ..self.clone() };
        let woken = bounds.rounds();
        Bounds { woken, ..bounds }
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
            | Cond::TrackIn(..)
            | Cond::TrackIs(..)
            | Cond::TrackIdentified(_)
            | Cond::TrackAttribute(..)
            | Cond::SamePerson(..)
            | Cond::Argument(_)
            | Cond::Sensed { .. }
            | Cond::Gesture { .. }
            | Cond::TimeIs { .. }
            | Cond::DayIn(_)
            | Cond::SunUp { .. }
            | Cond::Booked { .. }
            | Cond::SetByHand(_)
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
            Cond::Facing { .. } | Cond::Approaching { .. } | Cond::Sees(..) | Cond::Crosses { .. } => {
                Ops::of(Op::Node, u64::from(program.pieces))
            }
            Cond::Within { event, .. } | Cond::Times { event, .. } => self.cond(*event),
            Cond::Sequence { from, to, .. } => {
                let parts = &program.sequence[*from as usize..*to as usize];
                parts.iter().fold(Ops::NONE, |sum, part| sum.and(self.cond(part.cond)))
            }
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
            Num::Const(_)
            | Num::Device { .. }
            | Num::Sensor(_)
            | Num::Confidence(_)
            | Num::Speed(_)
            | Num::Spread(_)
            | Num::UnsureFor(..)
            | Num::TrackAttribute(..)
            | Num::Counter(_)
            | Num::SunElevation
            | Num::StartsIn { .. }
            | Num::Argument(_) => Ops::NONE,
            Num::Distance(a, b) => Ops::of(Op::Node, u64::from(self.program.pieces_between(*a, *b))),
            Num::LeftAgo(_, zone) => Ops::of(Op::Node, u64::from(self.program.zone_pieces[zone.index()])),
            Num::Lasting { cond, .. } => self.cond(*cond),
            Num::Window(place) => self.num(self.program.windows[usize::from(*place)].of),
            Num::CountWhere { zone, cond, slots, .. } => {
                let each = Ops::of(Op::Occupant, 1).and(Ops::of(Op::Context, if *slots > 0 { 2 } else { 0 }));
                let swept = if *slots > 0 { CONTEXTS_MAX as u64 } else { 0 };
                let watchers = self.program.watchers[zone.index()].len() as u64;
                let fixed = Ops::of(Op::Sensor, watchers).and(Ops::of(Op::Context, swept));
                each.and(self.cond(*cond)).times(self.tracks).and(fixed)
            }
            Num::Count(zone) => Ops::of(Op::Sensor, self.program.watchers[zone.index()].len() as u64),
            Num::Add(a, b) | Num::Sub(a, b) | Num::Mul(a, b) | Num::Div(a, b) | Num::Min(a, b) | Num::Max(a, b) => {
                self.num(*a).and(self.num(*b))
            }
        };
        below.and(Ops::of(Op::Node, 1))
    }

    /// `Truth::value`
    fn value(&self, id: u32) -> Ops {
        let below = match &self.program.values[id as usize] {
            ValueExpr::Const(_)
            | ValueExpr::Track(_)
            | ValueExpr::Language(_)
            | ValueExpr::Organiser { .. }
            | ValueExpr::Question => Ops::NONE,
            ValueExpr::Text(parts) => parts.iter().fold(Ops::NONE, |sum, part| match part {
                TextPart::Number(num) => sum.and(self.num(*num)),
                TextPart::People(_) => sum.and(Ops::of(Op::Occupant, self.tracks)),
                TextPart::Literal(_) | TextPart::Track(_) | TextPart::Language(_) => sum,
            }),
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
        Ops::of(Op::Memory, 2 * dampers).and(self.maybe(i.guard)).and(self.perform(i))
    }

    /// `Run::perform`: every step and every branch.
    fn perform(&self, i: &Instance) -> Ops {
        let send = |sum: Ops, send: &Send| {
            let args = send.args.iter().fold(sum, |sum, (_, v)| sum.and(self.value(*v)));
            args.and(Ops::of(Op::Effect, 1)).and(self.policies(send.device))
        };
        // A question has a cause of its own; the other commands of a run share one.
        let asks = i.steps.iter().filter(|s| matches!(s, Step::Ask { .. } | Step::Wait { .. })).count() as u64;
        i.sends().fold(Ops::NONE, send).and(self.cause(i).times(1 + asks))
    }

    /// `Run::lets_pass`: every guard that may be about a device, and whom it tells.
    fn policies(&self, device: osmose_model::ids::ActuatorId) -> Ops {
        let about = self.program.guards.iter().filter(|g| g.devices.contains(&device));
        about.fold(Ops::NONE, |sum, guard| {
            let told = self.program.instances.iter().fold(Ops::NONE, |most, i| most.or(self.cause(i)));
            sum.and(self.maybe(guard.filter)).and(self.cond(guard.allow)).and(told)
        })
    }

    /// `Run::follow_runs` and `Run::go_on_with_due`: as many runs as there may be under way, each gone on with.
    fn runs(&self, i: &Instance) -> Ops {
        if !i.waits {
            return Ops::NONE;
        }
        let unless = i.steps.iter().fold(Ops::NONE, |sum, step| match step {
            Step::Wait { unless: Some(cond), .. } => sum.and(self.cond(*cond)),
            _ => sum,
        });
        let many = if i.shape.per_track() || i.shape == Shape::Event { self.followed() } else { 1 };
        unless.and(self.perform(i)).times(many.min(RUNS_MAX as u64))
    }

    /// What the steps of an instance may wake within the step.
    fn wakes(&self, i: &Instance) -> Ops {
        let inside = |s: &Step| matches!(s, Step::Mode { .. } | Step::Count { .. } | Step::ReleaseBooking { .. });
        let wakes = i.steps.iter().chain(i.branches.iter().flatten()).any(inside);
        if wakes { self.woken } else { Ops::NONE }
    }

    /// `Run::hold_all` and `Run::release_all`
    fn holds(&self, i: &Instance) -> Ops {
        let values = i.holds.iter().fold(Ops::NONE, |sum, h| sum.and(self.value(h.value)));
        let effects = Ops::of(Op::Effect, 2 * (i.holds.len() + i.forbids.len()) as u64);
        let guards = i.holds.iter().fold(Ops::NONE, |sum, h| sum.and(self.policies(h.device)));
        values.and(self.cause(i).times(2)).and(effects).and(guards)
    }

    /// `Run::upkeep`
    fn upkeep(&self, i: &Instance) -> Ops {
        let remembers = i.slots > 0 || i.guard_remembers;
        if remembers { self.cond(i.condition).and(self.maybe(i.guard)) } else { Ops::NONE }
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
        let found = if i.roams { self.tracks + CONTEXTS_MAX as u64 } else { found };
        let new = Ops::of(Op::Occupant, found).and(Ops::of(Op::Context, found));
        self.upkeep(i).and(new).and(self.room()).and(self.person(i).times(self.followed()))
    }

    /// `Run::pairs_of`: somebody with everybody, in either order.
    fn pairs_of(&self, i: &Instance) -> Ops {
        let orders = if i.pairs.is_some_and(|p| p.symmetric) { 1 } else { 2 };
        let scanned = Ops::of(Op::Occupant, 2 * self.tracks + CONTEXTS_MAX as u64);
        self.pair(i).times(orders * self.tracks).and(scanned)
    }

    fn pair(&self, i: &Instance) -> Ops {
        let looks = self.cond(i.condition).and(self.kept_guard(i));
        looks.and(self.fire(i)).and(Ops::of(Op::Context, 4))
    }

    /// `Run::every_pair`: those that are remembered, then everybody's.
    fn every_pair(&self, i: &Instance) -> Ops {
        let remembered = self.pair(i).times(CONTEXTS_MAX as u64);
        let all = self.pairs_of(i).times(self.tracks).and(Ops::of(Op::Occupant, self.tracks));
        self.upkeep(i).and(remembered).and(all)
    }

    /// `Run::look`
    fn look(&self, i: &Instance, afresh: bool) -> Ops {
        match i.shape {
            Shape::Event => self.upkeep(i),
            Shape::Edge | Shape::Instant => self.cond(i.condition).and(self.kept_guard(i)).and(self.fire(i)),
            Shape::Level => {
                let values = i.holds.iter().fold(Ops::NONE, |sum, h| sum.and(self.value(h.value)));
                let guards = self.kept_guard(i).and(self.maybe(i.guard));
                self.cond(i.condition).and(guards).and(values).and(self.holds(i))
            }
            Shape::EdgePerTrack | Shape::InstantPerTrack => self.everybody(i, afresh),
            Shape::EdgePerPair => self.every_pair(i),
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
        let wake = Ops::of(Op::Wake, 1).and(self.wakes(i)).and(self.runs(i));
        // What the world says is glanced at first (`eval/plain.rs`).
        let glanced = matches!(kick, Kick::World | Kick::Moved | Kick::Other);
        let glance = crate::eval::glanced(self.program, i).filter(|_| glanced);
        let wake = wake.and(glance.map_or(Ops::NONE, |cond| self.cond(cond)));
        wake.and(match (kick, i.shape) {
            (Kick::World, Shape::Event) => self.event(i),
            (Kick::World, Shape::EdgePerPair) => {
                let all = i.everywhere || !i.shared_zones.is_empty();
                let all = if all { self.every_pair(i) } else { Ops::NONE };
                self.upkeep(i).and(self.pairs_of(i).times(2)).and(all)
            }
            (Kick::Moved, Shape::EdgePerPair) => self.pairs_of(i),
            (Kick::Moved, Shape::EdgePerTrack | Shape::InstantPerTrack) => {
                self.upkeep(i).and(self.room()).and(self.person(i))
            }
            (Kick::Due, Shape::EdgePerPair) => self.every_pair(i).or(self.pair(i)),
            (Kick::World, Shape::EdgePerTrack | Shape::InstantPerTrack) => {
                let all = i.everywhere || !i.shared_zones.is_empty();
                let all = if all { self.everybody(i, false) } else { Ops::NONE };
                self.visit(i).and(self.upkeep(i)).and(self.room()).and(self.person(i).times(2)).and(all)
            }
            (Kick::World | Kick::Other | Kick::Moved, _) => self.look(i, false),
            (Kick::Afresh, _) => self.look(i, true),
            // The instance's own timer, or one of a person in it (`Run::person_due`).
            (Kick::Due, Shape::Event) if self.program.rules[i.rule.index()].settle.0 == 0 => self.upkeep(i),
            (Kick::Due, Shape::Event) => {
                self.upkeep(i).or(self.cond(i.condition).and(self.fire(i)).and(Ops::of(Op::Context, 4)))
            }
            // An instance has a timer of its own where it remembers anything beside its persons.
            (Kick::Due, Shape::EdgePerTrack | Shape::InstantPerTrack) if i.slots == 0 && !i.guard_remembers => {
                self.person(i)
            }
            (Kick::Due, Shape::EdgePerTrack | Shape::InstantPerTrack) => self.everybody(i, false).or(self.person(i)),
            (Kick::Due, _) => self.look(i, false),
        })
    }

    /// `memory::follow`: what an event takes for all rules together.
    pub(crate) fn shared(&self) -> Ops {
        // `Rules::follow_identity`
        let contexts = if self.follows_anybody { self.contexts() } else { 0 };
        Ops::of(Op::Memory, self.memories).and(Ops::of(Op::Context, contexts))
    }

    /// Most people, of all rules together, of whom anything is remembered: as many for each instance as it follows. Pairs,
    /// what waits for `settle` and what a `count` remembers have no such bound of their own.
    fn contexts(&self) -> u64 {
        let program = self.program;
        let counts = program.nums.iter().any(|n| matches!(n, Num::CountWhere { slots, .. } if *slots > 0));
        let unbounded = |i: &Instance| i.shape == Shape::EdgePerPair || program.rules[i.rule.index()].settle.0 != 0;
        if counts || program.instances.iter().any(unbounded) {
            return CONTEXTS_MAX as u64;
        }
        let following = program.instances.iter().filter(|i| i.shape.per_track()).count() as u64;
        (following * self.followed()).min(CONTEXTS_MAX as u64)
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
                all = all.and(list(Some(&index.moved), Kick::World));
                for zone in event.zone.iter().chain(zones.iter().filter(|z| Some(**z) != event.zone)) {
                    all = all.and(list(index.by_zone.get(zone.index()), Kick::World));
                }
                all
            }
            Stimulus::Moved(_) => {
                let inside = zones.iter().map(|zone| list(index.moved_in.get(zone.index()), Kick::Moved));
                inside.fold(list(Some(&index.moved), Kick::Moved), Ops::and)
            }
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
