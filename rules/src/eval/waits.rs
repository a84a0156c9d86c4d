//! Which events an event rule waits for, found from its condition when it is installed: all other events in its zones
//! pass it over, and cost it a look at a bit, or whether somebody known is of a group.

use super::truth::Bound;
use crate::program::{Cond, CondId, Instance, OncePer, Program, Shape, Who};
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, WorldEvent, WorldView};

/// What has to be so of an event before an instance looks at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    waits: Waits,
    /// For this kind of event: whose it has to be, where one not of them makes the whole condition false.
    of: Option<(EventKind, Who)>,
    confidence: f64,
}

impl Gate {
    pub(super) fn of_instance(program: &Program, instance: &Instance) -> Self {
        let rule = &program.rules[instance.rule.index()];
        // What waits for `settle`, a `for`, and a visit see every event: each may end them.
        let remembers = instance.slots > 0 || instance.guard_remembers || instance.waits;
        let follows = rule.settle.0 != 0 || remembers || rule.dampers.iter().any(|d| d.once == OncePer::Visit);
        if instance.shape != Shape::Event || follows {
            return Gate { waits: Waits::ALL, of: None, confidence: rule.confidence };
        }
        let whose = |id: &CondId| match &program.conds[*id as usize] {
            Cond::Event { kind, who, .. } => Some((*kind, *who)),
            _ => None,
        };
        let of = match &program.conds[instance.condition as usize] {
            Cond::And { from, to } => program.children[*from as usize..*to as usize].iter().find_map(whose),
            _ => whose(&instance.condition),
        };
        let waits = Waits::of_condition(program, instance.condition, rule.protective);
        Gate { waits, of, confidence: rule.confidence }
    }

    /// Whether the instance has to look at an event. It does not where its condition is known to be false.
    pub(super) fn lets_in(&self, event: &WorldEvent, world: &dyn WorldView) -> bool {
        if !self.waits.has(event.kind) {
            return false;
        }
        let Some((kind, who)) = self.of else { return true };
        if kind != event.kind {
            return true;
        }
        match (who, Bound::of_event(event).identified(self.confidence)) {
            (Who::Person(wanted), Some(person)) => person == wanted,
            (Who::Members(group), Some(person)) => world.is_member(person, group),
            // Who is not known may be anybody; sessions and zones are looked at with all else.
            _ => true,
        }
    }
}

/// Whether an instance looks at events of other kinds than somebody's entering and leaving a zone.
pub(crate) fn heeds_more_than_crossings(program: &Program, instance: &Instance) -> bool {
    let waits = Gate::of_instance(program, instance).waits;
    EventKind::ALL.into_iter().any(|kind| !matches!(kind, EventKind::Enters | EventKind::Leaves) && waits.has(kind))
}

/// A set of event kinds, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waits(u8);

impl Waits {
    const NONE: Self = Waits(0);
    const ALL: Self = Waits(u8::MAX);

    const fn of(kind: EventKind) -> Self {
        Waits(1 << kind as u8)
    }

    const fn or(self, other: Self) -> Self {
        Waits(self.0 | other.0)
    }

    const fn and(self, other: Self) -> Self {
        Waits(self.0 & other.0)
    }

    const fn has(self, kind: EventKind) -> bool {
        self.0 & Self::of(kind).0 != 0
    }

    /// Kinds of event outside of which the condition is known to be false.
    fn of_condition(program: &Program, id: CondId, protective: bool) -> Self {
        let parts = |from: u32, to: u32| {
            program.children[from as usize..to as usize].iter().map(|c| Waits::of_condition(program, *c, protective))
        };
        match &program.conds[id as usize] {
            Cond::Const(Tri::False) => Waits::NONE,
            Cond::And { from, to } => parts(*from, *to).fold(Waits::ALL, Waits::and),
            Cond::Or { from, to } => parts(*from, *to).fold(Waits::NONE, Waits::or),
            // At level privacy or above these count as leaving where it is in doubt (`Truth::doubtful_leave`).
            Cond::Event { kind: EventKind::Leaves, .. } if protective => {
                use EventKind::{Identified, Leaves, Lost, Swapped};
                [Leaves, Lost, Swapped, Identified].map(Waits::of).into_iter().fold(Waits::NONE, Waits::or)
            }
            // Who is not named by a device appears in zones when he is confirmed (`Truth::event`).
            Cond::Event { kind: EventKind::Appears, .. } => {
                Waits::of(EventKind::Appears).or(Waits::of(EventKind::Confirmed))
            }
            Cond::Event { kind, .. } => Waits::of(*kind),
            _ => Waits::ALL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_bit() {
        let kinds = EventKind::ALL.map(Waits::of);
        assert_eq!(kinds.into_iter().fold(Waits::NONE, Waits::or), Waits::ALL);
        assert_eq!(kinds.iter().map(|k| k.0.count_ones()).sum::<u32>(), 8);
        assert!(Waits::ALL.has(EventKind::Found) && !Waits::NONE.has(EventKind::Found));
    }
}
