//! What rules cost, before they run: worst-case operations from the site's own bounds, microseconds from a table, and
//! deadlines that cannot be met.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | [`assess`]: every rule's bound, summed by class of event |
//! | `ops.rs` | operations and what each takes |
//! | `calibrate.rs` | what each takes on this machine |
//! | `bound.rs` | the worst case, form by form |
//! | `reaction.rs` | what an event sets off, through devices that wake rules, to the end of the step |
//! | `deadline.rs` | rules that cannot keep their deadline, with the clause to blame |
//! | `human.rs` | what a person waits: sensing, dampers, engine |
//!
//! The bound is for one event: one person enters a room, one sensor changes, one timer is due. A scan that brings ten
//! events in one step takes up to ten times as long.

pub(crate) mod bound;
mod calibrate;
mod deadline;
mod human;
mod ops;
mod reaction;

pub use calibrate::calibrate;
pub use human::Human;
pub use ops::{Op, Ops, PerOp, Table, TableError};

use crate::diag::Diagnostic;
use crate::program::{Instance, Program};
use bound::{Bounds, Kick};
use osmose_model::ids::RuleId;
use osmose_model::site::{Site, SourceFile};
use osmose_model::world::Stimulus;
use reaction::Reactions;
use serde::Serialize;

/// A class of event: what wakes rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Somebody enters, leaves, appears, is lost, found or recognised.
    People,
    /// A sensor says something new.
    Sensor,
    /// A device's state changes, by report or command.
    Device,
    /// The wall clock becomes known or jumps.
    Clock,
    /// Something is due: a `for`, a `release after`, a time of day.
    Timer,
    /// A start, or rules installed: everything is looked at once.
    Start,
}

impl Class {
    /// Every class, in declaration order.
    pub const ALL: [Self; 6] = [Self::People, Self::Sensor, Self::Device, Self::Clock, Self::Timer, Self::Start];

    /// The word in `check`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Sensor => "sensor",
            Self::Device => "device",
            Self::Clock => "clock",
            Self::Timer => "timer",
            Self::Start => "start",
        }
    }
}

/// What one rule costs.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleCost {
    /// Most operations for one event, of the class where they are most (starts aside).
    pub ops: Ops,
    /// That class; `None` for a rule without instances.
    pub class: Option<Class>,
    /// The same in microseconds.
    pub us: f64,
    /// From an event that can decide it to its command handed over, microseconds: the engine, all rules that the event
    /// wakes, and what their commands wake.
    pub reaction_us: f64,
    /// Its deadline, microseconds.
    pub deadline_us: Option<f64>,
    /// Bytes that it remembers at most.
    pub memory_bytes: u64,
    /// What a person waits.
    pub human: Human,
}

impl RuleCost {
    /// How much of the deadline is left in the worst case, microseconds; negative where it cannot be met.
    pub fn margin_us(&self) -> Option<f64> {
        self.deadline_us.map(|deadline| deadline - self.reaction_us)
    }
}

/// What a site's rules cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// By rule, numbered as [`RuleId`].
    pub rules: Vec<RuleCost>,
    /// By class: most operations of all rules together for one event, and microseconds.
    pub classes: Vec<(Class, Ops, f64)>,
    /// Bytes of all rules' state.
    pub memory_bytes: u64,
    /// Deadlines that cannot be met, each an error with the clause to blame.
    pub diagnostics: Vec<Diagnostic>,
}

impl Costs {
    /// One rule's.
    pub fn rule(&self, id: RuleId) -> Option<&RuleCost> {
        self.rules.get(id.index())
    }
}

/// Assesses a compiled program in its site. `files` are those that it was compiled from, for pointing at clauses.
pub fn assess(program: &Program, site: &Site, files: &[SourceFile], table: &Table) -> Costs {
    let bounds = Bounds::new(program, site);
    let reactions = Reactions::new(program, &bounds, site);
    let worst = reactions.worst_by_rule();
    let mut rules = Vec::with_capacity(program.rules.len());
    for (number, rule) in program.rules.iter().enumerate() {
        let own = &program.instances[rule.instances.start as usize..rule.instances.end as usize];
        let (class, ops) = worst.own[number];
        let reaction_us = table.engine_us + table.us(&worst.all[number].ops);
        rules.push(RuleCost {
            ops,
            class,
            us: table.us(&ops),
            reaction_us,
            deadline_us: rule.deadline.map(|(length, _)| length.0 as f64 / 1e3),
            memory_bytes: memory(program, site, own),
            human: human::wait(program, site, rule, own, reaction_us),
        });
    }
    let classes = reactions.classes().into_iter().map(|(class, ops)| (class, ops, table.us(&ops))).collect();
    let memory_bytes = crate::eval::memory_bytes(program);
    let mut costs = Costs { rules, classes, memory_bytes, diagnostics: Vec::new() };
    costs.diagnostics = deadline::check(program, site, files, table, &costs, &worst);
    costs
}

/// What the rule's own instances remember, people in conditions included.
fn memory(program: &Program, site: &Site, own: &[Instance]) -> u64 {
    own.iter().map(|i| crate::eval::instance_bytes(program, i, u64::from(site.engine.tracks_max))).sum()
}

/// A bound on what the evaluator may count in one step, for tests and benches: hold it against
/// [`Rules::counted`](crate::Rules::counted).
#[derive(Clone, Debug)]
pub struct StepBound {
    program: Program,
    site: Site,
    due: Ops,
}

impl StepBound {
    /// For a program in a site.
    pub fn new(program: &Program, site: &Site) -> Self {
        StepBound { program: program.clone(), site: site.clone(), due: Bounds::new(program, site).due() }
    }

    /// The most that a step of these stimuli may take. `zones` gives the zones that the tracks of a stimulus are in;
    /// `due` is how many timers were due.
    pub fn of(
        &self,
        stimuli: &[Stimulus],
        mut zones: impl FnMut(&Stimulus) -> Vec<osmose_model::ids::ZoneId>,
        due: u64,
    ) -> Ops {
        let bounds = Bounds::new(&self.program, &self.site);
        let all = stimuli.iter().fold(Ops::NONE, |sum, s| sum.and(bounds.stimulus(s, &zones(s))));
        all.and(self.due.times(due))
    }

    /// The most that switching a rule, a mode or a reset may take.
    pub fn operator(&self) -> Ops {
        let bounds = Bounds::new(&self.program, &self.site);
        let look = |sum: Ops, i: &Instance| sum.and(bounds.instance(i, Kick::Other));
        self.program.instances.iter().fold(Ops::NONE, look)
    }
}
