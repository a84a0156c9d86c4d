//! What comes after what: sequences, repetitions, and "it happened lately".
//!
//! A sequence keeps one instant per part: when the parts up to it were last complete. The latest such instant is the
//! best one for everything that may follow, so nothing older need be kept, and the memory has a fixed size. Where the
//! next part is an absence the earliest is kept instead: it is the one whose time is up first.

use super::state::{NONE, Slot};
use super::truth::Truth;
use crate::program::{CondId, SeqKind, SlotRef};
use osmose_model::time::DurationNs;
use osmose_model::tri::Tri;

/// In a slot of a state that is a part: it held when it was last looked at.
const HELD: i64 = 1;

impl Truth<'_> {
    /// Whether something counts as so: known, or at level privacy or above not known to be otherwise.
    fn counts(&self, value: Tri) -> bool {
        value.is_true() || self.rule.protective && value.may_be_true()
    }

    fn slot_at(&mut self, slot: SlotRef, further: u32) -> Option<Slot> {
        self.slot(slot.plus(further)).map(|slot| *slot)
    }

    fn put_slot(&mut self, slot: SlotRef, further: u32, memory: Slot) {
        if self.peeks(slot) {
            return;
        }
        if let Some(kept) = self.slot(slot.plus(further)) {
            *kept = memory;
        }
    }

    /// Whether the last part has come about now.
    #[inline(never)]
    pub(super) fn sequence(&mut self, from: u32, to: u32, slot: SlotRef) -> Tri {
        let program = self.program;
        let parts = &program.sequence[from as usize..to as usize];
        let last = parts.len() - 1;
        if self.peeks(slot) {
            let done = self.slot_at(slot, last as u32).is_some_and(|memory| memory.since == self.now);
            return Tri::from(done);
        }
        if self.slot(slot).is_none() {
            // The sequence is of a person, and nobody is bound.
            return Tri::False;
        }
        let now = self.now;
        let mut done = false;
        // From the back: what comes about now follows only what came about before.
        for number in (0..parts.len()).rev() {
            let part = parts[number];
            let value = self.cond(part.cond);
            let is = self.counts(value);
            let Some(mut memory) = self.slot_at(slot, number as u32) else { return Tri::False };
            let before = if number == 0 { None } else { self.slot_at(slot, number as u32 - 1).map(|m| m.since) };
            let in_time = |at: i64| part.within.is_none_or(|within| now.saturating_sub(at) <= within.0);
            let ready = before.is_none_or(|at| at != NONE && in_time(at));
            let rose = is && memory.possible != HELD;
            let reached = match part.kind {
                SeqKind::Event => (is && ready).then_some(now),
                SeqKind::State if number == 0 => (is || memory.possible == HELD).then_some(now),
                // Once begun in time it stands for as long as it holds.
                SeqKind::State => (rose && ready || memory.gap_from == HELD).then_some(now),
                SeqKind::Absent => self.absent(part.within, before, is, slot, number),
            };
            if part.kind == SeqKind::State {
                memory.gap_from = if is && reached.is_some() && number > 0 { HELD } else { NONE };
                memory.possible = if is { HELD } else { NONE };
            }
            if let Some(at) = reached {
                let waits_for_absence = parts.get(number + 1).is_some_and(|next| next.kind == SeqKind::Absent);
                if !waits_for_absence || memory.since == NONE {
                    memory.since = at;
                }
                let completes = match part.kind {
                    // A later part that is a state completes where it begins.
                    SeqKind::State if number > 0 => rose && ready,
                    _ => true,
                };
                done |= number == last && completes;
            }
            self.put_slot(slot, number as u32, memory);
        }
        self.remember_sequence(parts, slot, done);
        Tri::from(done)
    }

    /// When an absence is complete: its whole time went by behind the part before. What was to be absent ends it.
    fn absent(
        &mut self,
        within: Option<DurationNs>,
        before: Option<i64>,
        is: bool,
        slot: SlotRef,
        number: usize,
    ) -> Option<i64> {
        let at = before.filter(|at| *at != NONE)?;
        let due = at.saturating_add(within.map_or(0, |w| w.0));
        if is || self.now >= due {
            self.put_slot(slot, number as u32 - 1, Slot::default());
        } else {
            self.due_at(due);
        }
        (!is && self.now >= due).then_some(self.now)
    }

    /// Asks for the instants at which a part under way is too late or an absence complete, and to be kept meanwhile.
    fn remember_sequence(&mut self, parts: &[crate::program::SeqPart], slot: SlotRef, done: bool) {
        let (now, last) = (self.now, parts.len() - 1);
        for (number, next) in parts.iter().enumerate().skip(1) {
            let Some(memory) = self.slot_at(slot, number as u32 - 1) else { return };
            if memory.since == NONE {
                continue;
            }
            match next.within {
                Some(within) if next.kind == SeqKind::Absent => {
                    self.due_at(memory.since.saturating_add(within.0));
                    self.keep = true;
                }
                Some(within) if now.saturating_sub(memory.since) > within.0 => {
                    // Too late: forgotten, so that whose it was need be followed no more.
                    self.put_slot(slot, number as u32 - 1, Slot { since: NONE, ..memory });
                }
                Some(within) => {
                    self.due_at(memory.since.saturating_add(within.0).saturating_add(1));
                    self.keep = true;
                }
                None => self.keep = true,
            }
        }
        if done {
            // It begins anew: what led here leads nowhere again.
            for (number, part) in parts.iter().enumerate().take(last) {
                if let Some(memory) = self.slot_at(slot, number as u32) {
                    let still = part.kind == SeqKind::State && number == 0 && memory.possible == HELD;
                    let since = if still { now } else { NONE };
                    self.put_slot(slot, number as u32, Slot { since, ..memory });
                }
            }
        }
    }

    /// Whether it happened not longer than `length` ago.
    #[inline(never)]
    pub(super) fn lately(&mut self, event: CondId, length: DurationNs, slot: SlotRef) -> Tri {
        let value = self.cond(event);
        let now = self.now;
        let Some(mut memory) = self.slot_at(slot, 0) else { return value };
        if value.is_true() {
            memory.since = now;
        }
        if value == Tri::Unknown {
            memory.possible = now;
        }
        self.put_slot(slot, 0, memory);
        let fresh = |at: i64| at != NONE && now.saturating_sub(at) <= length.0;
        for at in [memory.since, memory.possible].into_iter().filter(|at| fresh(*at)) {
            self.due_at(at.saturating_add(length.0).saturating_add(1));
            self.keep = true;
        }
        if fresh(memory.since) {
            Tri::True
        } else if fresh(memory.possible) {
            Tri::Unknown
        } else {
            Tri::False
        }
    }

    /// Whether this is the last of `times` within `length`. Counting begins anew then.
    #[inline(never)]
    pub(super) fn repeated(&mut self, event: CondId, times: u8, length: DurationNs, slot: SlotRef) -> Tri {
        let now = self.now;
        let (first, last) = (0, u32::from(times) - 1);
        if self.peeks(slot) {
            return Tri::from(self.slot_at(slot, last).is_some_and(|memory| memory.since == now));
        }
        let value = self.cond(event);
        if self.slot(slot).is_none() {
            return Tri::False;
        }
        if self.counts(value) {
            // The instants move on by one place; the oldest falls out.
            for place in first..last {
                let next = self.slot_at(slot, place + 1).unwrap_or_default();
                let next = if place + 1 == last && next.possible == HELD { Slot::default() } else { next };
                self.put_slot(slot, place, next);
            }
            self.put_slot(slot, last, Slot { since: now, ..Slot::default() });
            let oldest = self.slot_at(slot, first).map_or(NONE, |memory| memory.since);
            if oldest != NONE && now.saturating_sub(oldest) <= length.0 {
                for place in first..last {
                    self.put_slot(slot, place, Slot::default());
                }
                // Kept for whoever asks at this instant, and counted no more.
                self.put_slot(slot, last, Slot { since: now, possible: HELD, ..Slot::default() });
                return Tri::True;
            }
        }
        let newest = self.slot_at(slot, last).map_or(NONE, |memory| memory.since);
        if newest != NONE && now.saturating_sub(newest) <= length.0 {
            self.due_at(newest.saturating_add(length.0).saturating_add(1));
            self.keep = true;
        }
        Tri::False
    }
}
