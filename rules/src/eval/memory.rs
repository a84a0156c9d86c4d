//! What dampers remember, and of whom: `once per`, `suppress`, visits.
//!
//! Memory hangs on the person once identified, else on the track. When a track is identified memories merge and the
//! stricter wins; on a swap both keep the stricter (RULES.md, "Whose memory").

use super::state::{MEMORIES_MAX, Memory, NONE, One, State, Whom};
use super::truth::Bound;
use crate::check::VISIT_GAP;
use crate::program::{Damper, OfPeople, OncePer, Per, Program};
use osmose_model::world::{EventKind, WorldEvent};

/// Whom a damper counts the rule's persons by.
pub(super) fn whom(damper: &Damper, bounds: &[Option<Bound>; 2], confidence: f64) -> Whom {
    let one = |bound: Bound| bound.identified(confidence).map_or(One::Track(bound.track), One::Person);
    match damper.per {
        Per::Instance => Whom::Nobody,
        Per::Var(var) => match bounds.get(usize::from(var)).copied().flatten().map(one) {
            Some(One::Person(person)) => Whom::Person(person),
            Some(One::Track(track)) => Whom::Track(track),
            None => Whom::Nobody,
        },
        Per::Pair => match *bounds {
            [Some(a), Some(b)] => Whom::pair(one(a), one(b)),
            _ => Whom::Nobody,
        },
    }
}

fn place(memories: &[Memory], key: (u32, u8, Whom)) -> Result<usize, usize> {
    memories.binary_search_by_key(&key, Memory::key)
}

/// Whether the damper lets its rule act now.
pub(super) fn lets_pass(state: &State, damper: &Damper, key: (u32, u8, Whom), now: i64, day: Option<i64>) -> bool {
    let Ok(at) = place(&state.memories, key) else { return true };
    let memory = &state.memories[at];
    match damper.once {
        OncePer::Length(length) => now.saturating_sub(memory.at) >= length.0,
        OncePer::Visit => over(memory, now),
        OncePer::Day => match (day, memory.day) {
            (Some(today), Some(then)) => today != then,
            // Without a wall clock a day is 24 hours.
            _ => now.saturating_sub(memory.at) >= 86_400_000_000_000,
        },
    }
}

/// Whether a visit is over: away for longer than the gap.
fn over(memory: &Memory, now: i64) -> bool {
    memory.away_from != NONE && now.saturating_sub(memory.away_from) > VISIT_GAP.0
}

/// Remembers that the rule acted.
pub(super) fn remember(state: &mut State, key: (u32, u8, Whom), now: i64, day: Option<i64>) {
    let memory = Memory { instance: key.0, damper: key.1, whom: key.2, at: now, day, away_from: NONE };
    put(state, memory);
}

fn put(state: &mut State, memory: Memory) {
    match place(&state.memories, memory.key()) {
        Ok(at) => state.memories[at] = memory,
        Err(_) if state.memories.len() >= MEMORIES_MAX => {
            // Full: the oldest goes. It is counted, because its rule may act once too often.
            let oldest = (0..state.memories.len()).min_by_key(|i| state.memories[*i].at).unwrap_or(0);
            state.memories.remove(oldest);
            state.forgotten += 1;
            if let Err(at) = place(&state.memories, memory.key()) {
                state.memories.insert(at, memory);
            }
        }
        Err(at) => state.memories.insert(at, memory),
    }
}

/// Merges into what is there already: the later act and the longer presence win.
fn merge(state: &mut State, memory: Memory) {
    let merged = match place(&state.memories, memory.key()) {
        Err(_) => memory,
        Ok(at) => {
            let there = state.memories[at];
            let later = if there.at >= memory.at { there } else { memory };
            let away_from = if there.away_from == NONE || memory.away_from == NONE {
                NONE
            } else {
                there.away_from.max(memory.away_from)
            };
            Memory { away_from, ..later }
        }
    };
    put(state, merged);
}

/// Identities that change take their memories along. Returns how many memories were looked at, at most two for each damper
/// that counts by one person: what counts by pairs is gone through.
pub(super) fn follow(program: &Program, state: &mut State, event: &WorldEvent) -> u64 {
    if state.memories.is_empty() {
        return 0;
    }
    let mut looked_at = 0;
    match (event.kind, event.person, event.other) {
        (EventKind::Identified, Some(person), _) => {
            let known = |one| if one == One::Track(event.track) { One::Person(person) } else { one };
            for of in &program.of_people {
                let rule = program.instances[of.instance as usize].rule.index();
                let is_known = event.person_p >= program.rules[rule].confidence;
                looked_at += match (is_known, of.pairs) {
                    (false, _) => 0,
                    (true, false) => rename(state, of, Whom::Track(event.track), Whom::Person(person)),
                    (true, true) => rename_pairs(state, of, known),
                };
            }
        }
        (EventKind::Swapped, _, Some(other)) => {
            let swapped = |one| match one {
                One::Track(track) if track == event.track => One::Track(other),
                One::Track(track) if track == other => One::Track(event.track),
                one => one,
            };
            for of in &program.of_people {
                looked_at += match of.pairs {
                    false => {
                        copy(state, of, Whom::Track(event.track), Whom::Track(other));
                        copy(state, of, Whom::Track(other), Whom::Track(event.track));
                        2
                    }
                    true => copy_pairs(state, of, swapped),
                };
            }
        }
        _ => {}
    }
    looked_at
}

/// What a damper remembers of one is of another from now on; gives how many memories were looked at.
fn rename(state: &mut State, of: &OfPeople, from: Whom, to: Whom) -> u64 {
    if let Ok(at) = place(&state.memories, (of.instance, of.damper, from)) {
        let memory = state.memories.remove(at);
        merge(state, Memory { whom: to, ..memory });
    }
    2
}

/// What a damper remembers of one it remembers of another too.
fn copy(state: &mut State, of: &OfPeople, from: Whom, to: Whom) {
    if let Ok(at) = place(&state.memories, (of.instance, of.damper, from)) {
        let memory = state.memories[at];
        merge(state, Memory { whom: to, ..memory });
    }
}

/// Where a damper's memories stand.
fn range(state: &State, of: &OfPeople) -> std::ops::Range<usize> {
    let key = |m: &Memory| (m.instance, m.damper);
    let from = state.memories.partition_point(|m| key(m) < (of.instance, of.damper));
    let behind = state.memories[from..].partition_point(|m| key(m) == (of.instance, of.damper));
    from..from + behind
}

/// The same of pairs, each of which may be renamed.
fn rename_pairs(state: &mut State, of: &OfPeople, known: impl Fn(One) -> One) -> u64 {
    let (mut looked_at, mut at) = (0, range(state, of).start);
    while let Some(memory) =
        state.memories.get(at).copied().filter(|m| (m.instance, m.damper) == (of.instance, of.damper))
    {
        looked_at += 1;
        let theirs = memory.whom.map(&known);
        if theirs == memory.whom {
            at += 1;
            continue;
        }
        state.memories.remove(at);
        let length = state.memories.len();
        merge(state, Memory { whom: theirs, ..memory });
        // One that went in before this place moved it along.
        at += usize::from(state.memories.len() > length && theirs < memory.whom);
    }
    looked_at
}

/// The same of pairs, each of which may be remembered by other names too.
fn copy_pairs(state: &mut State, of: &OfPeople, swapped: impl Fn(One) -> One) -> u64 {
    let (mut looked_at, mut at) = (0, range(state, of).start);
    while let Some(memory) =
        state.memories.get(at).copied().filter(|m| (m.instance, m.damper) == (of.instance, of.damper))
    {
        looked_at += 1;
        let (length, theirs) = (state.memories.len(), memory.whom.map(&swapped));
        if theirs != memory.whom {
            merge(state, Memory { whom: theirs, ..memory });
        }
        // A copy that went in before this place moved it along.
        let moved = state.memories.len() > length && state.memories[at] != memory;
        at += if moved { 2 } else { 1 };
    }
    looked_at
}

/// Somebody of a rule's zones went away or came back: his visits there pause or go on.
pub(super) fn visit(
    state: &mut State,
    instance: u32,
    dampers: &[Damper],
    bounds: [Option<Bound>; 2],
    away: bool,
    at: i64,
    conf: f64,
) {
    for (number, damper) in dampers.iter().enumerate().filter(|(_, d)| d.once == OncePer::Visit) {
        let key = (instance, number as u8, whom(damper, &bounds, conf));
        let Ok(found) = place(&state.memories, key) else { continue };
        let memory = &mut state.memories[found];
        if away {
            if memory.away_from == NONE {
                memory.away_from = at;
            }
        } else if over(memory, at) {
            state.memories.remove(found);
        } else {
            memory.away_from = NONE;
        }
    }
}
