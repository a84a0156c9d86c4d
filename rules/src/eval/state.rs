//! Everything that the evaluator remembers, as plain data: what is saved, restored and carried over a reload.

use super::truth::Bound;
use super::window::Window;
use crate::fnv::Fnv;
use crate::program::{Instance, Per, Program, SLOTS_PER_CONTEXT_MAX, Shape};
use arrayvec::ArrayVec;
use osmose_model::command::Value;
use osmose_model::ids::{PersonId, TrackId, ZoneId};
use osmose_model::tri::Tri;
use osmose_model::world::WorldEvent;
use serde::{Deserialize, Serialize};
use std::ops::{Index, IndexMut};

/// Most persons in conditions at a time, over all rules; beyond it they are counted and left out.
pub(crate) const CONTEXTS_MAX: usize = 8192;
/// Most runs under way (a `do` that waits); beyond it the rest of a run is dropped and counted.
pub(crate) const RUNS_MAX: usize = 1024;
/// Most counts of one counter that end by themselves; beyond it the one that ends first goes.
const ENDING_MAX: usize = 64;
/// Most released bookings that are remembered.
const RELEASED_MAX: usize = 256;
/// Stands in a context's key for "no second person".
pub(super) const ALONE: TrackId = TrackId(u64::MAX);

/// The second key of the contexts in which `count(q in z where ...)` number `nth` remembers whom it counts.
pub(super) fn counted(nth: u8) -> TrackId {
    TrackId(u64::MAX - 1 - u64::from(nth))
}

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
    /// The instance and the person (or the two) that it is of, while it is in use.
    owner: (u32, TrackId, TrackId),
    /// Who the first was taken for last.
    pub(super) person: Option<PersonId>,
    pub(super) unit: Unit,
    pub(super) slots: [Slot; SLOTS_PER_CONTEXT_MAX],
    /// The event that waits for `settle`.
    pub(super) pending: Option<WorldEvent>,
}

impl Context {
    fn of(instance: u32, track: TrackId, other: TrackId) -> Self {
        let owner = (instance, track, other);
        Context { owner, person: None, unit: Unit::default(), slots: Default::default(), pending: None }
    }
}

/// The place of the context that an evaluation uses before it is known whether there is anything to remember.
pub(super) const SCRATCH: u32 = CONTEXTS_MAX as u32;

/// A context's key and its place in the table.
pub(super) type Entry = (u32, TrackId, TrackId, u32);

/// Contexts, found by instance and tracks. They keep their number for the timers.
#[derive(Debug, Deserialize)]
#[serde(from = "SavedContexts")]
pub(super) struct Contexts {
    /// Ascending by key.
    pub(super) order: Vec<Entry>,
    /// By number, as far as one was ever in use: there is room for all, and what nobody used costs no memory.
    table: Vec<Context>,
    scratch: Context,
    free: Vec<u32>,
    /// Persons left out because the table was full.
    pub(super) refused: u64,
}

/// Contexts as they are saved: those in use.
#[derive(Deserialize)]
struct SavedContexts {
    used: Vec<(Entry, Context)>,
    free: Vec<u32>,
    refused: u64,
}

impl Serialize for Contexts {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        /// [`SavedContexts`], lent.
        #[derive(Serialize)]
        struct Lent<'c> {
            used: Vec<(Entry, &'c Context)>,
            free: &'c [u32],
            refused: u64,
        }
        let used = self.order.iter().filter_map(|e| Some((*e, self.table.get(e.3 as usize)?))).collect();
        Lent { used, free: &self.free, refused: self.refused }.serialize(to)
    }
}

impl From<SavedContexts> for Contexts {
    fn from(saved: SavedContexts) -> Self {
        let mut contexts = Contexts::without_free();
        contexts.order.extend(saved.used.iter().map(|(entry, _)| *entry));
        // A number that cannot be is found by whoever looks whether the state fits.
        for (entry, context) in saved.used.iter().filter(|(entry, _)| (entry.3 as usize) < CONTEXTS_MAX) {
            *contexts.make(entry.3) = *context;
        }
        contexts.free.extend_from_slice(&saved.free);
        contexts.refused = saved.refused;
        contexts
    }
}

impl Clone for Contexts {
    /// With as much room as any.
    fn clone(&self) -> Self {
        let mut other = Contexts::without_free();
        other.order.extend_from_slice(&self.order);
        other.table.extend_from_slice(&self.table);
        other.free.extend_from_slice(&self.free);
        (other.scratch, other.refused) = (self.scratch, self.refused);
        other
    }
}

impl Index<u32> for Contexts {
    type Output = Context;

    fn index(&self, place: u32) -> &Context {
        if place == SCRATCH { &self.scratch } else { &self.table[place as usize] }
    }
}

impl IndexMut<u32> for Contexts {
    fn index_mut(&mut self, place: u32) -> &mut Context {
        if place == SCRATCH { &mut self.scratch } else { &mut self.table[place as usize] }
    }
}

/// What nobody uses.
const EMPTY: (u32, TrackId, TrackId) = (0, TrackId(0), ALONE);

impl Contexts {
    fn new() -> Self {
        let mut contexts = Contexts::without_free();
        contexts.free.extend((0..CONTEXTS_MAX as u32).rev());
        contexts
    }

    /// With room for all, and nothing in it yet.
    fn without_free() -> Self {
        let (instance, track, other) = EMPTY;
        Contexts {
            order: Vec::with_capacity(CONTEXTS_MAX),
            table: Vec::with_capacity(CONTEXTS_MAX),
            scratch: Context::of(instance, track, other),
            free: Vec::with_capacity(CONTEXTS_MAX),
            refused: 0,
        }
    }

    /// The context of this number, which may be one that nobody used yet.
    fn make(&mut self, place: u32) -> &mut Context {
        let at = place as usize;
        if at >= self.table.len() {
            let (instance, track, other) = EMPTY;
            // Within the room that there is.
            self.table.resize(at + 1, Context::of(instance, track, other));
        }
        &mut self.table[at]
    }

    /// Every context that was ever in use.
    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = &mut Context> {
        self.table.iter_mut()
    }

    fn search(&self, key: (u32, TrackId, TrackId)) -> Result<usize, usize> {
        self.order.binary_search_by_key(&key, |e| (e.0, e.1, e.2))
    }

    pub(super) fn find(&self, instance: u32, track: TrackId, other: TrackId) -> Option<u32> {
        self.search((instance, track, other)).ok().map(|i| self.order[i].3)
    }

    /// The context, made where there is none; `None` where the table is full.
    pub(super) fn insert(&mut self, instance: u32, track: TrackId, other: TrackId) -> Option<u32> {
        match self.search((instance, track, other)) {
            Ok(i) => Some(self.order[i].3),
            Err(i) => {
                let Some(place) = self.free.pop() else {
                    self.refused += 1;
                    return None;
                };
                *self.make(place) = Context::of(instance, track, other);
                self.order.insert(i, (instance, track, other, place));
                Some(place)
            }
        }
    }

    /// An empty context to look at somebody with.
    pub(super) fn scratch(&mut self, instance: u32, track: TrackId, other: TrackId) -> u32 {
        self.scratch = Context::of(instance, track, other);
        SCRATCH
    }

    /// Gives what the scratch context remembers a place of its own; `None` where the table is full.
    pub(super) fn keep_scratch(&mut self) -> Option<u32> {
        let scratch = self.scratch;
        let (instance, track, other) = scratch.owner;
        let place = self.insert(instance, track, other)?;
        self[place] = scratch;
        Some(place)
    }

    pub(super) fn remove(&mut self, instance: u32, track: TrackId, other: TrackId) {
        if let Ok(i) = self.search((instance, track, other)) {
            let (.., place) = self.order.remove(i);
            self.free.push(place);
        }
    }

    /// Takes out an instance's contexts of tracks that are gone, and says which places are free by it.
    pub(super) fn remove_gone(&mut self, instance: u32, gone: impl Fn(TrackId) -> bool, mut freed: impl FnMut(u32)) {
        let range = self.of(instance);
        let mut kept = range.start;
        for at in range.clone() {
            let entry = self.order[at];
            if gone(entry.1) && entry.2 == ALONE {
                self.free.push(entry.3);
                freed(entry.3);
            } else {
                self.order[kept] = entry;
                kept += 1;
            }
        }
        self.order.drain(kept..range.end);
    }

    /// Forgets everybody under a key of an instance of whom `stays` says no.
    pub(super) fn forget_outside(&mut self, instance: u32, key: TrackId, stays: impl Fn(TrackId) -> bool) {
        let mut at = self.of(instance).start;
        while let Some(&(owner, track, other, _)) = self.order.get(at) {
            if owner != instance {
                break;
            }
            if other == key && !stays(track) {
                self.remove(instance, track, other);
            } else {
                at += 1;
            }
        }
    }

    /// The places in `order` of an instance's contexts.
    pub(super) fn of(&self, instance: u32) -> std::ops::Range<usize> {
        let from = self.order.partition_point(|e| e.0 < instance);
        let to = self.order.partition_point(|e| e.0 <= instance);
        from..to
    }

    /// The instance and tracks whose context has this place.
    pub(super) fn at_place(&self, place: u32) -> Option<(u32, TrackId, TrackId)> {
        let (instance, track, other) = self.table.get(place as usize)?.owner;
        (self.find(instance, track, other) == Some(place)).then_some((instance, track, other))
    }

    /// Takes another context's memory over, for the same person in another instance.
    pub(super) fn adopt(&mut self, place: u32, from: &Context) {
        let context = &mut self[place];
        *context = Context { owner: context.owner, ..*from };
    }
}

/// One of the two of a pair that a damper counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum One {
    Person(PersonId),
    Track(TrackId),
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
    /// Two, the lesser first.
    Pair(One, One),
}

impl Whom {
    /// The same with each one replaced.
    pub(super) fn map(self, f: impl Fn(One) -> One) -> Whom {
        let one = |one| match f(one) {
            One::Person(person) => Whom::Person(person),
            One::Track(track) => Whom::Track(track),
        };
        match self {
            Whom::Nobody => Whom::Nobody,
            Whom::Person(person) => one(One::Person(person)),
            Whom::Track(track) => one(One::Track(track)),
            Whom::Pair(a, b) => Whom::pair(f(a), f(b)),
        }
    }

    /// Two in the order of their names.
    pub(super) fn pair(a: One, b: One) -> Whom {
        Whom::Pair(a.min(b), a.max(b))
    }
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

/// What a counter has counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Counter {
    /// Counts that stay.
    stays: u32,
    /// The local day that they are of, for one that begins anew every day.
    day: Option<i64>,
    pub(super) daily: bool,
    /// When each count ends that does not stay, ascending.
    ends: ArrayVec<i64, ENDING_MAX>,
}

impl Counter {
    /// What it shows at `now`; on another day than it was last told, nothing that stays counts.
    pub(super) fn value(&self, now: i64, today: Option<i64>) -> u32 {
        let stays = if self.is_old(today) { 0 } else { self.stays };
        stays.saturating_add(self.ends.iter().filter(|end| **end > now).count() as u32)
    }

    fn is_old(&self, today: Option<i64>) -> bool {
        self.daily && today.is_some() && self.day.is_some() && self.day != today
    }

    /// When the next count ends.
    pub(super) fn next_end(&self, now: i64) -> Option<i64> {
        self.ends.iter().copied().find(|end| *end > now)
    }

    fn clean(&mut self, now: i64, today: Option<i64>) {
        if self.is_old(today) {
            self.stays = 0;
        }
        if self.daily {
            self.day = today.or(self.day);
        }
        self.ends.retain(|end| *end > now);
    }

    /// So many more, until `end` where they do not stay.
    pub(super) fn add(&mut self, by: u32, end: Option<i64>, now: i64, today: Option<i64>) {
        self.clean(now, today);
        match end {
            None => self.stays = self.stays.saturating_add(by),
            Some(end) => {
                for _ in 0..by {
                    if self.ends.is_full() {
                        self.ends.remove(0);
                    }
                    let at = self.ends.partition_point(|e| *e <= end);
                    self.ends.insert(at, end);
                }
            }
        }
    }

    /// So many fewer: first what ends next.
    pub(super) fn take(&mut self, by: u32, now: i64, today: Option<i64>) {
        self.clean(now, today);
        for _ in 0..by {
            if self.ends.is_empty() {
                self.stays = self.stays.saturating_sub(1);
            } else {
                self.ends.remove(0);
            }
        }
    }

    pub(super) fn reset(&mut self) {
        self.stays = 0;
        self.ends.clear();
    }
}

/// A `do` that waits in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RunState {
    pub(super) instance: u32,
    /// Whom it is about.
    pub(super) bounds: [Option<Bound>; 2],
    pub(super) event: Option<WorldEvent>,
    pub(super) doubt: bool,
    /// The step that waits.
    pub(super) step: u16,
    /// The number of the question, where that is what it waits for.
    pub(super) question: u32,
    /// When the booking began (UTC) that the question is about, where it is about one.
    pub(super) booking: Option<i64>,
}

/// How a held value moves to where it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CourseState {
    /// Where it is going, from where, since when.
    pub(super) to: f64,
    pub(super) from: f64,
    pub(super) began: i64,
    /// When the last value went out.
    pub(super) changed: i64,
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
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// By holder: how the value moves, where it does.
    pub(super) courses: Vec<Option<CourseState>>,
    pub(super) counters: Vec<Counter>,
    pub(super) windows: Vec<Window>,
    /// Runs under way, by place.
    pub(super) runs: Vec<Option<RunState>>,
    /// Runs that could not go on for lack of room.
    pub(super) runs_dropped: u64,
    /// Number of the last question asked.
    pub(super) question: u32,
    /// Bookings that were released: calendar, zone, beginning (UTC).
    pub(super) released: ArrayVec<(u16, Option<ZoneId>, i64), RELEASED_MAX>,
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
            contexts: Contexts::new(),
            memories: Vec::with_capacity(MEMORIES_MAX),
            forgotten: 0,
            shared: Shared { sessions, modes: default_modes(program) },
            off_until: vec![NONE; program.rules.len()],
            held: vec![None; program.holders as usize],
            courses: vec![None; program.holders as usize],
            counters: new_counters(program),
            windows: program.windows.iter().map(|w| Window::new(w.length)).collect(),
            runs: vec![None; RUNS_MAX],
            runs_dropped: 0,
            question: 0,
            released: ArrayVec::new(),
        }
    }

    /// Gives tables that grow their room back: a decoded vector has none to spare.
    pub(super) fn reserve(&mut self) {
        self.memories.reserve(MEMORIES_MAX.saturating_sub(self.memories.len()));
    }

    /// Whether every table has the size that `program` needs, so that no index of a restored state is out of range.
    pub(super) fn fits(&self, program: &Program) -> bool {
        let contexts = &self.contexts;
        let in_range = |e: &Entry| (e.0 as usize) < program.instances.len() && (e.3 as usize) < CONTEXTS_MAX;
        let run_fits = |run: &RunState| {
            program.instances.get(run.instance as usize).is_some_and(|i| usize::from(run.step) < i.steps.len())
        };
        self.units.len() == program.instances.len()
            && self.slots.len() == program.slots as usize
            && self.shared.sessions.len() == program.zones
            && self.shared.modes.len() == program.index.by_mode.len()
            && self.courses.len() == program.holders as usize
            && self.counters.len() == program.index.by_counter.len()
            && self.windows.len() == program.windows.len()
            && self.runs.len() == RUNS_MAX
            && self.runs.iter().flatten().all(run_fits)
            && self.off_until.len() == program.rules.len()
            && self.held.len() == program.holders as usize
            && contexts.order.len() + contexts.free.len() == CONTEXTS_MAX
            && contexts.free.iter().all(|p| (*p as usize) < CONTEXTS_MAX)
            && contexts.order.iter().all(in_range)
            && self.memories.iter().all(|m| (m.instance as usize) < program.instances.len())
    }
}

/// The value that every place of a mode starts with.
pub(super) fn default_modes(program: &Program) -> Vec<u16> {
    let mut modes = vec![0; program.index.by_mode.len()];
    for mode in &program.modes {
        let places = if mode.per_zone { program.zones } else { 1 };
        modes[usize::from(mode.base)..usize::from(mode.base) + places].fill(mode.default);
    }
    modes
}

fn new_counters(program: &Program) -> Vec<Counter> {
    let mut counters = vec![Counter::default(); program.index.by_counter.len()];
    for info in &program.counters {
        let places = if info.per_zone { program.zones } else { 1 };
        for counter in &mut counters[usize::from(info.base)..usize::from(info.base) + places] {
            counter.daily = info.daily;
        }
    }
    counters
}

/// Names and shapes of all rules and their instances, as one number.
pub(super) fn fingerprint(program: &Program) -> u64 {
    let mut hash = Fnv::new();
    for rule in &program.rules {
        hash.absorb(rule.name.as_bytes());
        hash.absorb(&rule.shape.to_le_bytes());
        hash.absorb(&rule.instances.end.to_le_bytes());
    }
    for instance in &program.instances {
        for (_, binding) in &instance.bindings {
            hash.absorb(format!("{binding:?}").as_bytes());
        }
    }
    for mode in &program.modes {
        hash.absorb(mode.name.as_bytes());
        mode.values.iter().for_each(|value| hash.absorb(value.as_bytes()));
    }
    program.counters.iter().for_each(|counter| hash.absorb(counter.name.as_bytes()));
    hash.absorb(&program.holders.to_le_bytes());
    hash.absorb(&(program.people.len() as u64).to_le_bytes());
    hash.number()
}

/// Bytes that one instance remembers at most, with so many people in its zones.
pub(crate) fn instance_bytes(program: &Program, instance: &Instance, tracks: u64) -> u64 {
    let rule = &program.rules[instance.rule.index()];
    let follows = instance.shape.per_track() || instance.shape == Shape::Event && rule.settle.0 != 0;
    let people = if follows { tracks.min(CONTEXTS_MAX as u64) } else { 0 };
    let damped = rule
        .dampers
        .iter()
        .map(|d| if d.per != Per::Instance { tracks.min(MEMORIES_MAX as u64) } else { 1 })
        .sum::<u64>();
    let held = (instance.holds.len() * size_of::<Option<Value>>()) as u64;
    let slots = u64::from(instance.slots) * size_of::<Slot>() as u64;
    let context = size_of::<Context>() + size_of::<Entry>();
    size_of::<Unit>() as u64 + slots + held + people * context as u64 + damped * size_of::<Memory>() as u64
}

/// Bytes of the whole state, which all stand ready from the start.
pub(crate) fn memory_bytes(program: &Program) -> u64 {
    let context = size_of::<Context>() + size_of::<Entry>() + size_of::<u32>();
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
