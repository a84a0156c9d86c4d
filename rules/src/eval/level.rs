//! `while`: what a rule holds while its condition is true, from the beginning to the release.

use super::fire::Decision;
use super::state::{NONE, Phase, Unit};
use super::timers::NEVER;
use super::truth::{Bound, Peek};
use super::unit::Run;
use crate::program::OnUnknown;
use osmose_model::tri::Tri;
use osmose_model::world::WorldEvent;

impl Run<'_> {
    // ---- levels ----

    /// `while`: holds, releases, and what lies between.
    pub(super) fn level(&mut self, number: u32, event: Option<&WorldEvent>) {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let rule = &program.rules[instance.rule.index()];
        let bound = event.filter(|_| instance.instant).map(Bound::of_event);
        let decision =
            Decision { bounds: [bound, None], event: event.filter(|_| instance.instant), ..Decision::default() };
        let (condition, guard) = (instance.condition, instance.guard.filter(|_| instance.guard_remembers));
        let ((value, doubt), mut due) = self.evaluate(number, &decision, Peek::Nothing, false, |truth| {
            let value = truth.cond(condition);
            let doubt = truth.doubt;
            guard.map(|guard| truth.cond(guard));
            // What is held may hang on time too: so that it is looked at again in time, and its `for`s run.
            instance.holds.iter().filter(|h| !h.at_start).for_each(|h| {
                truth.value(h.value);
            });
            (value, doubt)
        });
        let off = self.is_off(instance);
        let before = self.state.units[number as usize];
        let is_on = matches!(before.phase, Phase::On | Phase::Refused);
        let wanted = !off && reads_as(value, rule.on_unknown, is_on);
        let doubt = doubt || value == Tri::Unknown && wanted;
        let mut unit = Unit { last: value, ..before };
        if wanted == is_on || off {
            unit.settle_from = NONE;
        } else if unit.settle_from == NONE {
            unit.settle_from = self.now;
        }
        let settled_at = unit.settle_from.saturating_add(rule.settle.0);
        let changes = wanted != is_on && (off || self.now >= settled_at);
        if changes {
            unit.settle_from = NONE;
        } else if unit.settle_from != NONE {
            due = due.min(settled_at);
        }
        self.state.units[number as usize] = unit;
        if changes && wanted {
            due = due.min(self.begin(number, doubt));
        } else if changes {
            let release_after = if off { 0 } else { rule.release_after.0 };
            self.end(number, release_after);
            if release_after > 0 && self.state.units[number as usize].phase == Phase::Releasing {
                // What is held on is held at the value of now, and not at that of the moment before.
                due = due.min(self.hold_all(number, doubt, false));
            }
        } else if matches!(unit.phase, Phase::On | Phase::Releasing) {
            due = due.min(self.hold_all(number, doubt, false));
        }
        self.let_go_when_due(number, off);
        let after = &self.state.units[number as usize];
        if after.phase == Phase::Releasing {
            due = due.min(after.release_at);
        }
        self.set_due(number, due);
    }

    /// The condition of a `while` became true. `if` is asked now, and not again while it holds. Gives when what is held
    /// moves on.
    fn begin(&mut self, number: u32, doubt: bool) -> i64 {
        let program = self.program;
        let instance = &program.instances[number as usize];
        let protective = program.rules[instance.rule.index()].protective;
        let unit = &mut self.state.units[number as usize];
        let releasing = unit.phase == Phase::Releasing;
        unit.release_at = NONE;
        if releasing {
            // It still holds: it goes on as if it had never ended.
            unit.phase = Phase::On;
            return self.hold_all(number, doubt, false);
        }
        let granted = instance.guard.is_none_or(|guard| {
            let value = self.with_truth(number, &Decision::default(), |truth| truth.cond(guard));
            value.is_true() || protective && value.may_be_true()
        });
        self.state.units[number as usize].phase = if granted { Phase::On } else { Phase::Refused };
        if granted { self.hold_all(number, doubt, true) } else { NEVER }
    }

    fn end(&mut self, number: u32, release_after: i64) {
        let unit = &mut self.state.units[number as usize];
        match unit.phase {
            Phase::On => {
                unit.phase = Phase::Releasing;
                unit.release_at = self.now.saturating_add(release_after);
            }
            Phase::Refused => unit.phase = Phase::Off,
            Phase::Off | Phase::Releasing => {}
        }
    }

    fn let_go_when_due(&mut self, number: u32, off: bool) {
        let unit = &mut self.state.units[number as usize];
        if unit.phase == Phase::Releasing && (off || self.now >= unit.release_at) {
            unit.phase = Phase::Off;
            unit.release_at = NONE;
            self.release_all(number);
        }
    }
}

/// Whether a `while` is to hold, given its condition's value and whether it does so now.
fn reads_as(value: Tri, on_unknown: OnUnknown, is_on: bool) -> bool {
    match (value, on_unknown) {
        (Tri::True, _) => true,
        (Tri::False, _) => false,
        (Tri::Unknown, OnUnknown::Keep) => is_on,
        (Tri::Unknown, OnUnknown::Release) => false,
        (Tri::Unknown, OnUnknown::Hold) => true,
    }
}
