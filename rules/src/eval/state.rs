//! Everything that the evaluator remembers, as plain data: what is saved, restored and carried over a reload.

use crate::program::{Instance, Program, SLOTS_PER_CONTEXT_MAX, Shape};
use arrayvec::ArrayVec;
use osmose_model::command::Value;
use osmose_model::ids::{PersonId, TrackId, ZoneId};
use osmose_model::tri::Tri;
use osmose_model::world::WorldEvent;
use serde::{Deserialize, Serialize};

/// Most persons in conditions at a time, over all rules; beyond it they are counted and left out.
pub(crate) const CONTEXTS_MAX: usize = 8192;
/// Most memories of dampers; beyond it the oldest is forgotten and counted.
pub(crate) const MEMORIES_MAX: usize = 16_384;
/// Most unidentified people that one session remembers.
const SESSION_TRACKS_MAX: usize = 64;

/// Stands for "no instant".
pub(super) const NONE: i64 = i64::MIN;

/// What one `for` or `until` remembers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Slot {
    /// Since when it holds (`for`), or when it was latched (`until`).
    pub(super) since: i64,
    /// Since when it may hold.
    pub(super) possible: i64,
    /// Since when it is not known any more whether it holds.
    pub(super) gap_from: i64,
}

impl Default for Slot {
    fn default() -> Self {
        Slot { since: NONE, possible: NONE, gap_from: NONE }
    }
}

/// Where a level rule stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Holds nothing.
    #[default]
    Off,
    /// Holds.
    On,
    /// Its condition holds, and its `if` did not when it began: holds nothing until the next beginning.
    Refused,
    /// Still holds, and lets go at `release_at`.
    Releasing,
}

/// What an instance, or a person in one, remembers beside its slots.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Unit {
    /// The condition's last value: `when` needs a known false before true.
    pub(super) last: Tri,
    /// Since when a new value waits for `settle`.
    pub(super) settle_from: i64,
    pub(super) phase: Phase,
    pub(super) release_at: i64,
}

impl Default for Unit {
    fn default() -> Self {
        Unit { last: Tri::Unknown, settle_from: NONE, phase: Phase::Off, release_at: NONE }
    }
}

/// A person in an instance's condition.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Context {
    /// The instance and the person that it is of, while it is in use.
    owner: (u32, TrackId),
    pub(super) unit: Unit,
    pub(super) slots: [Slot; SLOTS_PER_CONTEXT_MAX],
    /// The event that waits for `settle`.
    pub(super) pending: Option<WorldEvent>,
}

impl Context {
    fn of(instance: u32, track: TrackId) -> Self {
        Context { owner: (instance, track), unit: Unit::default(), slots: Default::default(), pending: None }
    }
}

/// Contexts, found by instance and track. Slots of the table keep their number for the timers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Contexts {
    /// (instance, track, place in `table`), ascending.
    pub(super) order: Vec<(u32, TrackId, u32)>,
    pub(super) table: Vec<Context>,
    free: Vec<u32>,
    /// Persons left out because the table was full.
    pub(super) refused: u64,
}

impl Contexts {
    fn new(capacity: usize) -> Self {
        let empty = Context::of(0, TrackId(0));
        Contexts {
            order: Vec::with_capacity(capacity),
            table: vec![empty; capacity],
            free: (0..capacity as u32).rev().collect(),
            refused: 0,
        }
    }

    pub(super) fn find(&self, instance: u32, track: TrackId) -> Option<u32> {
        let found = self.order.binary_search_by_key(&(instance, track), |e| (e.0, e.1));
        found.ok().map(|i| self.order[i].2)
    }

    /// The context, made where there is none; `None` where the table is full.
    pub(super) fn insert(&mut self, instance: u32, track: TrackId) -> Option<u32> {
        match self.order.binary_search_by_key(&(instance, track), |e| (e.0, e.1)) {
            Ok(i) => Some(self.order[i].2),
            Err(i) => {
                let Some(place) = self.free.pop() else {
                    self.refused += 1;
                    return None;
                };
                self.table[place as usize] = Context::of(instance, track);
                self.order.insert(i, (instance, track, place));
                Some(place)
            }
        }
    }

    pub(super) fn remove(&mut self, instance: u32, track: TrackId) {
        if let Ok(i) = self.order.binary_search_by_key(&(instance, track), |e| (e.0, e.1)) {
            let (_, _, place) = self.order.remove(i);
            self.free.push(place);
        }
    }

    /// Takes out an instance's contexts of tracks that are gone, and says which places are free by it.
    pub(super) fn remove_gone(&mut self, instance: u32, gone: impl Fn(TrackId) -> bool, mut freed: impl FnMut(u32)) {
        let range = self.of(instance);
        let mut kept = range.start;
        for at in range.clone() {
            let entry = self.order[at];
            if gone(entry.1) {
                self.free.push(entry.2);
                freed(entry.2);
            } else {
                self.order[kept] = entry;
                kept += 1;
            }
        }
        self.order.drain(kept..range.end);
    }

    /// Where the contexts of an instance stand in `order`.
    pub(super) fn of(&self, instance: u32) -> std::ops::Range<usize> {
        let from = self.order.partition_point(|e| e.0 < instance);
        let to = self.order.partition_point(|e| e.0 <= instance);
        from..to
    }

    /// The instance and track whose context has this place.
    pub(super) fn at_place(&self, place: u32) -> Option<(u32, TrackId)> {
        let (instance, track) = self.table.get(place as usize)?.owner;
        (self.find(instance, track) == Some(place)).then_some((instance, track))
    }

    /// Takes another context's memory over, for the same person in another instance.
    pub(super) fn adopt(&mut self, place: u32, from: &Context) {
        let context = &mut self.table[place as usize];
        *context = Context { owner: context.owner, ..*from };
    }
}

/// Whom a damper counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Whom {
    /// The instance as a whole.
    Nobody,
    /// A person known well enough.
    Person(PersonId),
    /// A track that nobody knows.
    Track(TrackId),
}

/// When a damped rule acted last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) instance: u32,
    /// Which of the rule's dampers.
    pub(super) damper: u8,
    pub(super) whom: Whom,
    pub(super) at: i64,
    /// Local day of `at`, where it was known.
    pub(super) day: Option<i64>,
    /// Since when the person is away, for visits.
    pub(super) away_from: i64,
}

impl Memory {
    pub(super) fn key(&self) -> (u32, u8, Whom) {
        (self.instance, self.damper, self.whom)
    }
}

/// Who takes part in what a recorder records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) open: bool,
    /// Bit `p` is set where person `p` takes part.
    pub(super) people: Vec<u64>,
    /// Who was there at the beginning, known or not.
    pub(super) tracks: ArrayVec<TrackId, SESSION_TRACKS_MAX>,
}

impl Session {
    pub(super) fn has(&self, person: PersonId) -> bool {
        self.people.get(person.index() / 64).is_some_and(|word| word >> (person.index() % 64) & 1 == 1)
    }

    pub(super) fn add(&mut self, person: PersonId) {
        if let Some(word) = self.people.get_mut(person.index() / 64) {
            *word |= 1 << (person.index() % 64);
        }
    }
}

/// What conditions of every rule read beside the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shared {
    /// By zone.
    pub(super) sessions: Vec<Session>,
    /// By mode.
    pub(super) modes: Vec<u16>,
}

impl Shared {
    pub(super) fn session(&self, zone: ZoneId) -> &Session {
        &self.sessions[zone.index()]
    }
}

/// The whole state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Fingerprint of the program that the state is of.
    pub(super) program: u64,
    /// By instance.
    pub(super) units: Vec<Unit>,
    pub(super) slots: Vec<Slot>,
    pub(super) contexts: Contexts,
    /// Ascending by key.
    pub(super) memories: Vec<Memory>,
    /// Memories forgotten because there were too many.
    pub(super) forgotten: u64,
    pub(super) shared: Shared,
    /// By rule: until when it is switched off.
    pub(super) off_until: Vec<i64>,
    /// By holder: the value it holds, where it holds one.
    pub(super) held: Vec<Option<Value>>,
}

impl State {
    pub(super) fn new(program: &Program) -> Self {
        let words = program.people.len().div_ceil(64);
        let mut sessions = vec![Session::default(); program.zones];
        for (_, zone) in &program.recorders {
            sessions[zone.index()].people = vec![0; words];
        }
        State {
            program: fingerprint(program),
            units: vec![Unit::default(); program.instances.len()],
            slots: vec![Slot::default(); program.slots as usize],
            contexts: Contexts::new(CONTEXTS_MAX),
            memories: Vec::with_capacity(MEMORIES_MAX),
            forgotten: 0,
            shared: Shared { sessions, modes: program.modes.iter().map(|m| m.default).collect() },
            off_until: vec![NONE; program.rules.len()],
            held: vec![None; program.holders as usize],
        }
    }

    /// Gives tables that grow their room back: a decoded vector has none to spare.
    pub(super) fn reserve(&mut self) {
        self.contexts.order.reserve(CONTEXTS_MAX.saturating_sub(self.contexts.order.len()));
        self.contexts.free.reserve(CONTEXTS_MAX.saturating_sub(self.contexts.free.len()));
        self.memories.reserve(MEMORIES_MAX.saturating_sub(self.memories.len()));
    }

    /// Whether every table has the size that `program` needs, so that no index of a restored state is out of range.
    pub(super) fn fits(&self, program: &Program) -> bool {
        let contexts = &self.contexts;
        let in_range =
            |e: &(u32, TrackId, u32)| (e.0 as usize) < program.instances.len() && (e.2 as usize) < contexts.table.len();
        self.units.len() == program.instances.len()
            && self.slots.len() == program.slots as usize
            && self.shared.sessions.len() == program.zones
            && self.shared.modes.len() == program.modes.len()
            && self.off_until.len() == program.rules.len()
            && self.held.len() == program.holders as usize
            && contexts.table.len() == CONTEXTS_MAX
            && contexts.order.len() + contexts.free.len() == CONTEXTS_MAX
            && contexts.free.iter().all(|p| (*p as usize) < CONTEXTS_MAX)
            && contexts.order.iter().all(in_range)
            && self.memories.iter().all(|m| (m.instance as usize) < program.instances.len())
    }
}

/// Names and shapes of all rules and their instances, as one number (FNV-1a).
pub(super) fn fingerprint(program: &Program) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut absorb = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for rule in &program.rules {
        absorb(rule.name.as_bytes());
        absorb(&rule.shape.to_le_bytes());
        absorb(&rule.instances.end.to_le_bytes());
    }
    for instance in &program.instances {
        for (_, zone) in &instance.bindings {
            absorb(&zone.0.to_le_bytes());
        }
    }
    absorb(&program.holders.to_le_bytes());
    absorb(&(program.people.len() as u64).to_le_bytes());
    hash
}

/// Bytes that one instance remembers at most, with so many people in its zones.
pub(crate) fn instance_bytes(program: &Program, instance: &Instance, tracks: u64) -> u64 {
    let rule = &program.rules[instance.rule.index()];
    let follows = instance.shape == Shape::EdgePerTrack || instance.shape == Shape::Event && rule.settle.0 != 0;
    let people = if follows { tracks.min(CONTEXTS_MAX as u64) } else { 0 };
    let damped =
        rule.dampers.iter().map(|d| if d.per_track { tracks.min(MEMORIES_MAX as u64) } else { 1 }).sum::<u64>();
    let held = (instance.holds.len() * size_of::<Option<Value>>()) as u64;
    let slots = u64::from(instance.slots) * size_of::<Slot>() as u64;
    let context = size_of::<Context>() + size_of::<(u32, TrackId, u32)>();
    size_of::<Unit>() as u64 + slots + held + people * context as u64 + damped * size_of::<Memory>() as u64
}

/// Bytes of the whole state, which all stand ready from the start.
pub(crate) fn memory_bytes(program: &Program) -> u64 {
    let context = size_of::<Context>() + size_of::<(u32, TrackId, u32)>() + size_of::<u32>();
    let sessions =
        program.zones * size_of::<Session>() + program.recorders.len() * program.people.len().div_ceil(64) * 8;
    let all = program.instances.len() * size_of::<Unit>()
        + program.slots as usize * size_of::<Slot>()
        + program.holders as usize * size_of::<Option<Value>>()
        + program.rules.len() * size_of::<i64>()
        + CONTEXTS_MAX * context
        + MEMORIES_MAX * size_of::<Memory>()
        + sessions;
    all as u64
}
