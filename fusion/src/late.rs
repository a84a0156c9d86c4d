//! Late observations, in their place.
//!
//! Where everybody is must not depend on when the network delivered what sensors saw. So observations are used in the
//! order of when they were true ([`Key`]): one that comes late makes the state go back to a copy from before it
//! (`snapshot.rs`), and everything since runs again, with it in its place. Time is part of that order: what a deadline did
//! (an exit that was over, somebody lost) is run again too. Nothing is said while it runs again; then what is other than it
//! was told is said (`difference.rs`). After the last late observation is in, the state is what it would have been had all
//! come in order, bit for bit, but for the numbers of those who appeared: those were said and stand.
//!
//! A re-run may cost [`RERUN_UPDATES_MAX`] updates; beyond, the observation is used as it comes, behind all that is in,
//! and counted `late_degraded`. Nothing is kept as long as everything is stamped on arrival: a site whose sensors all say
//! so pays nothing, until something comes late all the same (an import). That one is used as it comes, the next are not.

use crate::difference::Told;
use crate::fuse::Fusion;
use crate::history::History;
use crate::order::Key;
use arrayvec::ArrayVec;
use osmose_model::device::{ClockKind, SensorKind};
use osmose_model::ids::{SensorId, Seq, TrackId, ZoneId};
use osmose_model::input::Tag;
use osmose_model::limits::{EVENTS_PER_STEP_MAX, ZONES_PER_OCCUPANT_MAX};
use osmose_model::observation::{Body, Observation, ScanBuf};
use osmose_model::site::Site;
use osmose_model::stages::Refusal;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::{EventKind, Occupant, Stimulus};
use serde::{Deserialize, Serialize};

/// Most updates of one re-run, of those behind the late observation: about five milliseconds.
const RERUN_UPDATES_MAX: u32 = 10_000;
/// A copy is taken after so many times the updates that taking it costs ([`Fusion::copy_updates`]): half as often as what
/// runs is worth, since two of three observations come in order. Measured on the co-working morning, of which a third
/// come late: 1 and 4 cost 2 to 5 % more, 8 and 64 (of the time when a scan updated everybody) 10 to 60 %.
const COPY_EVERY: u32 = 2;
/// The same while observations run again: where one came late the next will too, and goes back no further than needed.
const COPY_EVERY_AGAIN: u32 = 1;
/// A site that declares no late sensor stops keeping copies when nothing came late for so long.
const DISARM_AFTER: DurationNs = DurationNs::from_s(60);
/// Most swaps remembered as said.
const SAID_MAX: usize = 64;

/// Most people remembered who were forgotten while they were last known in a zone.
const FORGOTTEN_MAX: usize = 64;

/// Somebody forgotten, and where they were last told to be: late observations may bring them back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Forgotten {
    track: TrackId,
    zones: ArrayVec<ZoneId, ZONES_PER_OCCUPANT_MAX>,
    at: LogicalNs,
}

/// A swap that was said: the tracks, and when.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SaidSwap {
    pair: (TrackId, Option<TrackId>),
    at: LogicalNs,
}

/// What is needed for late observations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Late {
    /// Some sensor's times are not those of arrival.
    declared: bool,
    /// How old an observation may be.
    pub(crate) horizon: DurationNs,
    pub(crate) state: LateState,
    pub(crate) history: History,
    /// What runs again, decoded.
    scan: ScanBuf,
    /// Whoever is forgotten while it runs again was not told to be: that is noted when all is in.
    pub(crate) runs_again: bool,
    /// What is said while it runs again, and is not.
    muted: Vec<Stimulus>,
    /// Everybody before a re-run.
    told: Told,
    /// Swaps found by a re-run.
    swaps: Vec<Stimulus>,
}

/// What of it is saved besides the history.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LateState {
    /// Observations and copies are kept.
    pub(crate) armed: bool,
    /// The newest instant of which anything was used.
    newest_at: LogicalNs,
    /// When something last came late.
    late_at: LogicalNs,
    /// Swaps said lately, oldest first.
    said: Vec<SaidSwap>,
    /// Who was forgotten lately, oldest first.
    forgotten: Vec<Forgotten>,
}

impl LateState {
    /// Somebody is forgotten who was last told to be in zones; what no late observation can bring back any more goes.
    pub(crate) fn note_forgotten(&mut self, who: &Occupant, at: LogicalNs, horizon: DurationNs) {
        self.forgotten.retain(|f| at.since(f.at) <= horizon);
        if self.armed && !who.zones.is_empty() && self.forgotten.len() < FORGOTTEN_MAX {
            self.forgotten.push(Forgotten { track: who.track, zones: who.zones.clone(), at });
        }
    }

    /// The zones in which somebody was last told to be before they were forgotten.
    pub(crate) fn back(&mut self, track: TrackId) -> ArrayVec<ZoneId, ZONES_PER_OCCUPANT_MAX> {
        let at = self.forgotten.iter().position(|f| f.track == track);
        at.map_or_else(ArrayVec::new, |at| self.forgotten.remove(at).zones)
    }
}

impl Late {
    /// For a site.
    pub(crate) fn new(site: &Site) -> Self {
        let expected = site.sensors.iter().map(|s| s.expect_late).max().unwrap_or_default();
        Self {
            declared: site.sensors.iter().any(|s| s.clock != ClockKind::Arrival || s.expect_late > DurationNs::ZERO),
            horizon: DurationNs(site.engine.late_max.0.saturating_add(expected.0)),
            ..Self::default()
        }
    }
}

impl Late {
    /// As [`Late::new`] makes it for a site of the same sensors; its room stays.
    pub(crate) fn begin_anew(&mut self) {
        let Self { declared: _, horizon: _, state, history, scan: _, runs_again, muted, told: _, swaps } = self;
        let LateState { armed, newest_at, late_at, said, forgotten } = state;
        (*armed, *newest_at, *late_at, *runs_again) = (false, LogicalNs::default(), LogicalNs::default(), false);
        said.clear();
        forgotten.clear();
        history.clear();
        history.pinned = None;
        muted.clear();
        swaps.clear();
    }
}

/// Whether the order matters in which observations of this kind are used. Of the others a newer one simply replaces an
/// older one.
const fn is_ordered(body: &Body<'_>) -> bool {
    !matches!(body, Body::Value { .. } | Body::Button { .. })
}

impl Fusion {
    /// Begins to keep observations and copies of the state.
    fn arm(&mut self) {
        let max = self.occupants.max();
        self.late.state.armed = true;
        if self.late.muted.capacity() == 0 {
            self.late.history = History::new();
            self.late.scan = ScanBuf::new();
            self.late.muted = Vec::with_capacity(EVENTS_PER_STEP_MAX);
            self.late.told = Told::with_capacity(max);
            self.late.swaps = Vec::with_capacity(SAID_MAX);
            self.late.state.said.reserve(SAID_MAX);
            self.late.state.forgotten.reserve(FORGOTTEN_MAX);
        }
        self.add_copy(Key::behind(self.late.state.newest_at, 1));
    }

    /// A site that says so keeps copies from the beginning.
    pub(crate) fn arm_where_declared(&mut self) {
        if self.late.declared {
            self.late.state.newest_at = LogicalNs(i64::MIN);
            self.arm();
        }
    }

    /// Keeps a copy of the state, behind which everything up to `key` is.
    fn add_copy(&mut self, key: Key) {
        let mut copy = self.late.history.spare().unwrap_or_else(|| Box::new(self.snapshot()));
        self.keep(key, &mut copy);
        self.late.history.add_copy(copy);
    }

    /// The same where enough has been done since the last one.
    fn add_copy_in_time(&mut self, key: Key) {
        let every = if self.late.runs_again { COPY_EVERY_AGAIN } else { COPY_EVERY };
        if self.late.history.since >= self.copy_updates().saturating_mul(every) {
            self.add_copy(key);
        }
    }

    /// How much work an observation was that has just been taken: one and, for a scan, one for each of its items and each
    /// track that it concerned.
    fn work_done(&self, observation: &Observation<'_>) -> u32 {
        let items = match observation.body {
            Body::Position(items) => items.len(),
            Body::Points(items) => items.len(),
            _ => return 1,
        };
        u32::try_from(1 + items + self.positions.worked()).unwrap_or(u32::MAX)
    }

    /// How much work an observation may be, in updates: at most as if it concerned every track of its level.
    fn updates(&self, observation: &Observation<'_>) -> u32 {
        let items = match observation.body {
            Body::Position(items) => items.len(),
            Body::Points(items) => items.len(),
            _ => return 1,
        };
        let level = self.site.sensors[observation.sensor.index()].level;
        u32::try_from(1 + items + self.positions.tracks_on(level)).unwrap_or(u32::MAX)
    }

    /// A two-state sensor has been silent for too long: what it no longer says is weighed, and remembered with what was
    /// observed, since no re-run could tell when it had been heard.
    pub(crate) fn fall_silent(&mut self, sensor: SensorId, due: LogicalNs) {
        if self.site.sensors[sensor.index()].kind != SensorKind::Binary {
            return;
        }
        self.weigh_switch(sensor, None, due);
        if !self.late.state.armed {
            return;
        }
        let newest = self.late.history.newest().unwrap_or_default();
        let at = due.max(newest.at);
        let key = Key::silence(at, if at == newest.at { newest.rank.saturating_add(1) } else { 1 }, sensor);
        if !self.late.history.is_full() {
            let entry = self.late.history.insert_bytes(key, Seq::default(), Vec::new());
            self.late.history.worked(entry, 1);
        }
    }

    /// Uses an observation in its place. The sensor is one of the site's, and all that was due by the tag has happened.
    ///
    /// # Errors
    /// Why it was not used, or `LateDegraded` where it was used as it came.
    pub(crate) fn take_in_place(
        &mut self,
        tag: Tag,
        observation: &Observation<'_>,
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let measured = observation.measured;
        if !is_ordered(&observation.body) {
            return self.take(observation, out);
        }
        if !self.late.state.armed {
            if measured >= tag.at {
                self.late.state.newest_at = self.late.state.newest_at.max(measured);
                return self.take(observation, out);
            }
            self.late.state.late_at = tag.at;
            self.arm();
        } else if !self.late.declared && tag.at.since(self.late.state.late_at) > DISARM_AFTER && measured >= tag.at {
            self.late.history.clear();
            self.late.state.armed = false;
            return self.take_in_place(tag, observation, out);
        }
        self.late.history.forget_before(tag.at.minus(self.late.horizon));
        let key = Key::of(observation);
        let in_order = self.late.history.newest().is_none_or(|newest| key > newest) && measured >= self.fired_at;
        if in_order {
            return self.take_next(tag, (key, measured), observation, out);
        }
        let at = self.late.history.behind(key);
        if at > 0 && self.late.history.entry(at - 1).key == key {
            // A copy of what is in: it says nothing new.
            return Ok(());
        }
        self.late.state.late_at = tag.at;
        let again = self.late.history.updates_behind(key).saturating_add(self.updates(observation));
        match self.late.history.copy_before(key) {
            Some(copy)
                if again.saturating_add(self.copy_updates()) <= RERUN_UPDATES_MAX && !self.late.history.is_full() =>
            {
                self.run_again(tag, (key, copy), observation, out)
            }
            _ => self.take_as_it_comes(tag, observation, out),
        }
    }

    /// Uses an observation behind all that are in, as of `at`.
    fn take_next(
        &mut self,
        tag: Tag,
        (key, at): (Key, LogicalNs),
        observation: &Observation<'_>,
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        if self.late.history.is_full() && !self.late.history.drop_oldest_copy() {
            self.late.history.clear();
            self.add_copy(Key::behind(self.late.state.newest_at, 1));
        }
        let known = |births: u64| self.occupants.births.knows_since(births);
        if self.late.history.snapshots().first().is_some_and(|oldest| !known(oldest.births)) {
            // So many appeared that not all of their numbers are remembered: nothing goes back to before them.
            self.late.history.clear();
            self.add_copy(Key::behind(self.late.state.newest_at, 1));
        }
        let first = out.len();
        // Time goes no further than the observation, so that what it makes due before the tag happens in its turn.
        self.now = at;
        let entry = self.late.history.insert(key, tag.seq, observation);
        let taken = self.take(observation, out);
        self.late.state.newest_at = self.late.state.newest_at.max(at);
        match (entry, taken) {
            (Some(_), Err(Refusal::KindNotUsed)) => self.late.history.pop(),
            (Some(i), _) => {
                self.late.history.worked(i, self.work_done(observation));
                self.add_copy_in_time(key);
            }
            (None, _) => {}
        }
        for stimulus in &out[first..] {
            if let Some(swap) = swap_of(stimulus, tag.at) {
                note_said(&mut self.late.state.said, swap);
            }
        }
        self.advance_to(tag.at, out);
        taken
    }

    /// Uses an observation that cannot be put in its place behind all that are in.
    fn take_as_it_comes(
        &mut self,
        tag: Tag,
        observation: &Observation<'_>,
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let newest = self.late.history.newest().unwrap_or_default();
        let at = newest.at.max(self.fired_at).max(observation.measured);
        let rank = if at == newest.at { newest.rank.saturating_add(1) } else { 1 };
        self.take_next(tag, (Key::behind(at, rank), at), observation, out)?;
        Err(Refusal::LateDegraded)
    }

    /// Puts an observation in its place: goes back to a copy and runs everything since again.
    fn run_again(
        &mut self,
        tag: Tag,
        (key, copy): (Key, usize),
        observation: &Observation<'_>,
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let Some(at) = self.late.history.insert(key, tag.seq, observation) else {
            return self.take(observation, out);
        };
        self.counts.late_rerun += 1;
        let mut told = std::mem::take(&mut self.late.told);
        let mut swaps = std::mem::take(&mut self.late.swaps);
        swaps.clear();
        let known = self.occupants.next_track;
        let mut history = std::mem::take(&mut self.late.history);
        history.forget_copies_behind(copy);
        history.since = 0;
        history.pinned = Some(history.snapshots()[copy].key);
        let back = &history.snapshots()[copy];
        self.note_told(back, &mut told);
        self.go_back(back);
        let first = history.behind(back.key);
        self.late.history = history;
        self.late.runs_again = true;
        let mut result = Ok(());
        for i in first..self.late.history.len() {
            let taken = self.run_entry(i, i == at, out, &mut swaps);
            if i == at {
                result = taken;
            }
            let key = self.late.history.entry(i).key;
            self.add_copy_in_time(key);
        }
        let mut muted = std::mem::take(&mut self.late.muted);
        muted.clear();
        self.advance_to(tag.at, &mut muted);
        self.late.muted = muted;
        self.occupants.births.done();
        self.late.runs_again = false;
        let word = (observation.sensor, observation.measured);
        self.say_difference(&told, known, word, tag.at, out);
        self.late.history.pinned = None;
        self.say_swaps(&swaps, tag.at, out);
        (self.late.told, self.late.swaps) = (told, swaps);
        result
    }

    /// Runs one entry of the history. Of what it says, readings of the late one are told, and swaps noted.
    pub(crate) fn run_entry(
        &mut self,
        i: usize,
        is_late_one: bool,
        out: &mut Vec<Stimulus>,
        swaps: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let (mut scan, mut muted) = (std::mem::take(&mut self.late.scan), std::mem::take(&mut self.late.muted));
        let history = std::mem::take(&mut self.late.history);
        muted.clear();
        let mut taken = Ok(());
        let mut updates = 0;
        let key = history.entry(i).key;
        if let Some(sensor) = key.silent() {
            self.advance_to(key.at, &mut muted);
            updates = 1;
            self.weigh_switch(sensor, None, key.at);
        } else if let Some(observation) = history.observation(i, &mut scan) {
            self.advance_to(key.at, &mut muted);
            taken = self.take(&observation, &mut muted);
            updates = self.work_done(&observation);
        }
        for stimulus in &muted {
            match stimulus {
                Stimulus::Sensor(_) if is_late_one && out.len() < EVENTS_PER_STEP_MAX => out.push(*stimulus),
                _ if swap_of(stimulus, self.now).is_some() && swaps.len() < SAID_MAX => swaps.push(*stimulus),
                _ => {}
            }
        }
        (self.late.scan, self.late.muted, self.late.history) = (scan, muted, history);
        self.late.history.worked(i, updates);
        taken
    }

    /// Says who may have changed places, unless it was said since they did: a re-run meets again what was said before it,
    /// the more of it the older the copy is that it began at.
    fn say_swaps(&mut self, swaps: &[Stimulus], now: LogicalNs, out: &mut Vec<Stimulus>) {
        for stimulus in swaps {
            let (Some(swap), Stimulus::World(event)) = (swap_of(stimulus, now), stimulus) else { continue };
            if self.late.state.said.iter().any(|s| s.pair == swap.pair && s.at >= event.measured) {
                continue;
            }
            note_said(&mut self.late.state.said, swap);
            if out.len() < EVENTS_PER_STEP_MAX {
                out.push(*stimulus);
            } else {
                self.counts.stimuli_shed += 1;
            }
        }
    }
}

/// The swap that a stimulus says.
fn swap_of(stimulus: &Stimulus, at: LogicalNs) -> Option<SaidSwap> {
    match stimulus {
        Stimulus::World(e) if e.kind == EventKind::Swapped => Some(SaidSwap { pair: (e.track, e.other), at }),
        _ => None,
    }
}

fn note_said(said: &mut Vec<SaidSwap>, swap: SaidSwap) {
    if said.len() >= SAID_MAX {
        said.remove(0);
    }
    said.push(swap);
}

/// The history as it is saved: what stands behind the saved state, which is that of the oldest copy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SavedLate {
    state: LateState,
    /// Of the oldest copy.
    fired_at: LogicalNs,
    /// The keys of the copies, the oldest first.
    copies: Vec<Key>,
    entries: Vec<(Key, Seq, Vec<u8>)>,
    since: u32,
    births: Vec<crate::births::Birth>,
}

impl Fusion {
    /// The state that the history stands behind, where there is a history.
    pub(crate) fn base(&self) -> Option<Self> {
        let oldest = self.late.history.snapshots().first()?;
        let mut base = Self {
            site: self.site.clone(),
            plan: self.plan.clone(),
            ways: self.ways.clone(),
            occupants: self.occupants.clone(),
            sensors: self.sensors.clone(),
            positions: self.positions.clone(),
            identities: self.identities.clone(),
            ranging: self.ranging.clone(),
            receivers: self.receivers.clone(),
            beacons: self.beacons.clone(),
            calibration: self.calibration.clone(),
            clouds: self.clouds.clone(),
            carriers: self.carriers.clone(),
            chains: self.chains.clone(),
            doors: self.doors.clone(),
            counts: self.counts,
            now: self.now,
            fired_at: self.fired_at,
            late: Late::default(),
            due: Vec::new(),
        };
        base.go_back(oldest);
        Some(base)
    }

    /// What is saved of the history.
    pub(crate) fn saved_late(&self) -> SavedLate {
        let history = &self.late.history;
        let (fired_at, births) = match history.snapshots().first() {
            Some(oldest) => (oldest.fired_at, self.occupants.births.since(oldest.births).to_vec()),
            None => (self.fired_at, Vec::new()),
        };
        let entry = |i| {
            let e = history.entry(i);
            (e.key, e.seq, e.bytes.clone())
        };
        SavedLate {
            state: self.late.state.clone(),
            fired_at,
            copies: history.snapshots().iter().map(|s| s.key).collect(),
            entries: (0..history.len()).map(entry).collect(),
            since: history.since,
            births,
        }
    }

    /// Takes a saved history back, into the state that it stands behind, and runs it again up to `now`.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub(crate) fn refill_late(&mut self, saved: SavedLate, now: LogicalNs) -> Result<(), &'static str> {
        let SavedLate { state, fired_at, copies, entries, since, births } = saved;
        self.fired_at = fired_at;
        if !state.armed {
            self.late.history.clear();
            (self.late.state, self.now) = (state, now);
            return Ok(());
        }
        let sound = state.said.len() <= SAID_MAX
            && state.forgotten.len() <= FORGOTTEN_MAX
            && copies.is_sorted_by(|a, b| a < b)
            && entries.is_sorted_by(|a, b| a.0 < b.0)
            && entries.first().is_none_or(|e| copies.first().is_some_and(|c| *c < e.0))
            && entries.iter().all(|e| e.0.at <= now)
            && !copies.is_empty();
        if !sound || !self.occupants.births.refill(&births) {
            return Err("its last observations are in no order");
        }
        self.late.history.clear();
        self.arm();
        self.late.history.clear();
        self.late.state = state;
        self.late.state.said.reserve(SAID_MAX);
        self.late.state.forgotten.reserve(FORGOTTEN_MAX);
        self.late.runs_again = true;
        self.add_copy(copies[0]);
        let (mut out, mut swaps) = (Vec::new(), Vec::new());
        let mut scan = ScanBuf::new();
        for (i, (key, seq, bytes)) in entries.into_iter().enumerate() {
            if self.late.history.is_full() {
                return Err("it has too many last observations");
            }
            self.late.history.insert_bytes(key, seq, bytes);
            let sensors = self.site.sensors.len();
            let known = self.late.history.observation(i, &mut scan);
            let known = known.is_some_and(|o| o.sensor.index() < sensors && o.measured <= key.at);
            if !key.silent().map_or(known, |sensor| sensor.index() < sensors) {
                return Err("one of its last observations is none");
            }
            // What it says was said, and whether it was used was told.
            let _ = self.run_entry(i, false, &mut out, &mut swaps);
            swaps.clear();
            if copies.binary_search(&key).is_ok() {
                self.add_copy(key);
            }
        }
        self.occupants.births.done();
        self.advance_to(now, &mut out);
        self.now = now;
        self.late.runs_again = false;
        if self.late.history.snapshots().len() != copies.len() || self.late.history.since != since {
            return Err("its last observations are others than it says");
        }
        Ok(())
    }
}
