//! One step: an input with its tag in, events and commands out.
//!
//! The three stages know the vocabulary and not each other; this file is the only place where they meet. It is
//! generic over them so that tests can put a stage of their own in, and so that nothing here can reach behind a
//! stage's trait.

use crate::clock::WallClock;
use crate::outbox::Outbox;
use osmose_model::canon;
use osmose_model::command::{Args, Command, Effect, Terms, Value};
use osmose_model::digest::Digest;
use osmose_model::geometry::Point;
use osmose_model::ids::{ActuatorId, GroupId, LevelId, Name, PersonId, SensorId, TrackId, ZoneId};
use osmose_model::input::{Input, OperatorAction, Tag};
use osmose_model::limits::{CASCADE_ROUNDS_MAX, COMMANDS_PER_STEP_MAX, EVENTS_PER_STEP_MAX, INPUT_BYTES_MAX};
use osmose_model::site::Site;
use osmose_model::stages::{Arbitrate, Decide, Fuse, Refusal, RestoreError, Source};
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::{Occupant, SensorStatus, Stimulus, WallTime, WorldView, ZoneCount};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The engine's own machine: the tracker, the rule evaluator and the arbitration that Osmose ships.
pub type Core = Machine<osmose_fusion::Fusion, osmose_rules::Rules, osmose_plan::Plan>;

/// Rules of the engine's own machine that wait to be in force.
pub type StagedRules = Staged<osmose_rules::Rules, osmose_plan::Plan>;

impl StagedRules {
    /// Rules for a running engine of this site, ready to be in force.
    #[must_use]
    pub fn of_site(site: &Site, rules: osmose_rules::Rules) -> Self {
        Self::new(rules, |terms| osmose_plan::Plan::with_holders(site, terms.holders))
    }
}

/// Bytes that hold any event's or command's canonical form.
const DECISION_BYTES_MAX: usize = 8 * 1024;

/// What a step counted since the log began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Inputs stepped.
    pub inputs: u64,
    /// Observations that fusion refused or degraded, by reason in the order of [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
    /// Events written.
    pub events: u64,
    /// Commands written.
    pub commands: u64,
    /// Events and commands beyond the limits of one step.
    pub shed: u64,
    /// Steps in which rules kept waking each other beyond the limit.
    pub cascades_cut: u64,
}

/// Everything of the machine's own that `save` keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Own {
    last: Tag,
    clock: WallClock,
    input_digest: Digest,
    decision_digest: Digest,
    stats: Stats,
}

/// Rules that wait for the input that puts them in force, with all the memory that they need then; behind that input, what
/// was in force before. It is made and dropped beside the path of an event.
#[derive(Clone, Debug)]
pub struct Staged<D, A> {
    rules: D,
    terms: Terms,
    /// An arbitration with room for the holders of these rules.
    room: A,
    /// Room for what they may decide at once, where it is more than the least.
    effects: Vec<Effect>,
    /// Behind the input: the site that was in force before, where these rules came with another.
    site: Option<Arc<Site>>,
}

impl<D: Decide, A: Arbitrate> Staged<D, A> {
    /// Of rules; `room` is given what these ask of arbitration ([`Arbitrate::room_for`]).
    pub fn new(rules: D, room: impl FnOnce(&Terms) -> A) -> Self {
        let terms = rules.terms();
        let room = room(&terms);
        // Every machine has room for the least.
        let more = rules.effects_room();
        let effects = Vec::with_capacity(if more > EFFECTS_MIN { more } else { 0 });
        Self { rules, terms, room, effects, site: None }
    }

    /// The rules.
    pub fn rules(&self) -> &D {
        &self.rules
    }
}

/// Least room for what a step may decide.
const EFFECTS_MIN: usize = 4 * COMMANDS_PER_STEP_MAX;

/// The deterministic core over three stages.
#[derive(Clone, Debug)]
pub struct Machine<F, D, A> {
    site: Arc<Site>,
    fusion: F,
    rules: D,
    plan: A,
    own: Own,
    staged: Option<Box<Staged<D, A>>>,
    /// What was in force before the last installation.
    replaced: Option<Box<Staged<D, A>>>,
    stimuli: Vec<Stimulus>,
    effects: Vec<Effect>,
    changed: Vec<ActuatorId>,
    canon: Vec<u8>,
    /// Where an input is encoded whose caller has no canonical bytes.
    encoded: Vec<u8>,
}

/// What rules see during a step.
struct World<'a, F, A> {
    site: &'a Site,
    fusion: &'a F,
    plan: &'a A,
    now: LogicalNs,
    wall: Option<WallTime>,
}

impl<F: Fuse, A: Arbitrate> WorldView for World<'_, F, A> {
    fn site(&self) -> &Site {
        self.site
    }
    fn now(&self) -> LogicalNs {
        self.now
    }
    fn wall(&self) -> Option<WallTime> {
        self.wall
    }
    fn occupant(&self, track: TrackId) -> Option<&Occupant> {
        self.fusion.occupant(track)
    }
    fn for_each_occupant(&self, f: &mut dyn FnMut(&Occupant)) {
        self.fusion.for_each_occupant(f);
    }
    fn for_each_in(&self, zone: ZoneId, f: &mut dyn FnMut(&Occupant)) {
        self.fusion.for_each_in(zone, f);
    }
    fn for_each_near(&self, level: LevelId, at: Point, radius_m: f64, f: &mut dyn FnMut(&Occupant)) {
        self.fusion.for_each_near(level, at, radius_m, f);
    }
    fn count_in(&self, zone: ZoneId) -> ZoneCount {
        self.fusion.count_in(zone)
    }
    fn occupied(&self, zone: ZoneId) -> Tri {
        self.fusion.occupied(zone)
    }
    fn track_of(&self, person: PersonId) -> Option<(TrackId, f64)> {
        self.fusion.track_of(person)
    }
    fn surely_in(&self, track: TrackId, zone: ZoneId) -> Option<LogicalNs> {
        self.fusion.surely_in(track, zone)
    }
    fn is_member(&self, person: PersonId, group: GroupId) -> bool {
        self.site.groups.get(group.index()).is_some_and(|g| g.members.binary_search(&person).is_ok())
    }
    fn device(&self, actuator: ActuatorId, property: Name) -> Option<Value> {
        self.plan.device(actuator, property)
    }
    fn sensor(&self, sensor: SensorId) -> SensorStatus {
        self.fusion.sensor(sensor)
    }
    fn alive(&self, sensor: SensorId) -> Tri {
        self.fusion.alive(sensor, self.now)
    }
}

impl<F: Fuse, D: Decide, A: Arbitrate> Machine<F, D, A> {
    /// A machine in its first state. It does nothing until it is stepped.
    #[must_use]
    pub fn from_stages(site: Arc<Site>, fusion: F, rules: D, plan: A) -> Self {
        Self {
            site,
            fusion,
            effects: Vec::with_capacity(rules.effects_room().max(EFFECTS_MIN)),
            rules,
            plan,
            own: Own::default(),
            staged: None,
            replaced: None,
            stimuli: Vec::with_capacity(2 * EVENTS_PER_STEP_MAX),
            changed: Vec::with_capacity(1024),
            canon: vec![0; INPUT_BYTES_MAX.max(DECISION_BYTES_MAX)],
            encoded: vec![0; INPUT_BYTES_MAX],
        }
    }

    /// Makes ready the rules that the next [`Input::RulesInstalled`] puts in force. Allocates what they need for that; where
    /// that must not be here, see [`Machine::stage`].
    pub fn stage_rules(&mut self, rules: D) {
        let staged = Staged::new(rules, |terms| self.plan.room_for(terms));
        self.stage(Box::new(staged));
    }

    /// The same for rules that were made ready elsewhere: neither this nor the input that puts them in force allocates or
    /// frees. Gives back what had waited in their place.
    pub fn stage(&mut self, staged: Box<Staged<D, A>>) -> Option<Box<Staged<D, A>>> {
        self.staged.replace(staged)
    }

    /// What was in force before the last installation, to be looked at and dropped beside the path.
    pub fn replaced(&mut self) -> Option<Box<Staged<D, A>>> {
        self.replaced.take()
    }

    /// The site once the staged rules are in force; the present one where none wait, or those that do bring no other.
    #[must_use]
    pub fn site_to_come(&self) -> &Arc<Site> {
        self.staged.as_ref().and_then(|staged| staged.rules.site()).unwrap_or(&self.site)
    }

    /// Takes one input: the tag must follow the last one. What was decided replaces what is in `out`.
    ///
    /// # Panics
    /// Where the tag's number does not follow, or its time goes back: the order is broken and nothing that came
    /// after could be trusted.
    pub fn step(&mut self, tag: Tag, input: &Input<'_>, out: &mut Outbox) {
        let mut buffer = std::mem::take(&mut self.encoded);
        let len = encode_growing(input, &mut buffer);
        self.step_canonical(tag, input, &buffer[..len], out);
        self.encoded = buffer;
    }

    /// The same for a caller that has the input's canonical bytes already (the journal wrote them).
    ///
    /// # Panics
    /// As [`Machine::step`].
    pub fn step_canonical(&mut self, tag: Tag, input: &Input<'_>, canonical: &[u8], out: &mut Outbox) {
        let last = self.own.last;
        assert!(tag.seq.0 == last.seq.0 + 1, "input {} follows {}: the order is broken", tag.seq, last.seq);
        assert!(tag.at >= last.at, "time goes back at input {}: {} after {}", tag.seq, tag.at, last.at);
        self.own.last = tag;
        self.own.stats.inputs += 1;
        absorb_input(&mut self.own.input_digest, tag, canonical);
        out.clear();
        self.stimuli.clear();
        self.effects.clear();
        let source = self.take_in(tag, input, out);
        self.collect_events(out);
        self.decide(tag, input.source_seq(), source, out);
        self.seal(out);
    }

    /// The stages' part that is not rules: what the input says of the world, as stimuli.
    fn take_in(&mut self, tag: Tag, input: &Input<'_>, out: &mut Outbox) -> Source {
        match input {
            Input::Observation(o) => {
                if let Err(why) = self.fusion.observe(tag, o, &mut self.stimuli) {
                    out.refused = Some(why);
                    self.own.stats.refused[why as usize] += 1;
                }
                return Source { sensor: Some(o.sensor), measured: Some(o.measured) };
            }
            Input::Tick => self.fusion.advance(tag.at, &mut self.stimuli),
            Input::Anchor(anchor) => {
                self.own.clock.set(tag.at, *anchor);
                self.stimuli.push(Stimulus::Clock);
            }
            Input::Report(report) => {
                self.changed.clear();
                self.plan.on_report(tag, report, &mut self.changed);
                self.stimuli.extend(self.changed.iter().map(|&a| Stimulus::Device(a)));
            }
            Input::RulesInstalled { .. } => {
                self.install(tag);
                self.stimuli.push(Stimulus::Start);
            }
            Input::Gap(gap) => self.stimuli.push(Stimulus::Gap(tag.at.since(gap.from).max(DurationNs::ZERO))),
            Input::Operator(action) => self.take_operator(tag, action, out),
            Input::SiteInstalled { .. } | Input::Named { .. } | Input::Shed(_) => {}
        }
        Source::default()
    }

    /// Puts the staged rules in force. Neither allocates nor frees: what was in force before takes their place.
    fn install(&mut self, tag: Tag) {
        let Some(mut staged) = self.staged.take() else { return };
        let Self { site, fusion, rules, plan, effects, stimuli, .. } = self;
        let Staged { rules: next, terms, room, effects: more, site: before } = &mut *staged;
        if let Some(other) = next.site().filter(|other| !Arc::ptr_eq(other, site)) {
            // Other people came with the rules: who is where is told of them first.
            *before = Some(std::mem::replace(site, Arc::clone(other)));
            fusion.take_people(site, stimuli);
        }
        plan.take_terms(terms, room);
        rules.take_over(next, &mut |effect| plan.carry(tag.seq, effect));
        if more.capacity() > effects.capacity() {
            std::mem::swap(more, effects);
        }
        self.replaced = Some(staged);
    }

    fn take_operator(&mut self, tag: Tag, action: &OperatorAction, out: &mut Outbox) {
        self.changed.clear();
        let first = out.commands.len();
        if let OperatorAction::Act { actuator, verb, arg } = action {
            // A policy holds whoever sends the command.
            let Self { site, fusion, rules, plan, own, effects, .. } = self;
            let world = World { site, fusion, plan, now: tag.at, wall: own.clock.at(tag.at) };
            let args: Args = arg.iter().copied().collect();
            if !rules.lets_pass(*actuator, *verb, &args, &world, effects) {
                return;
            }
        }
        self.plan.on_operator(tag, first as u32, action, &mut out.commands, &mut self.changed);
        let Self { site, fusion, rules, plan, own, effects, .. } = self;
        let world = World { site, fusion, plan, now: tag.at, wall: own.clock.at(tag.at) };
        rules.on_operator(action, &world, effects);
        for command in &out.commands[first..] {
            rules.on_command(command, &world);
        }
        self.stimuli.extend(self.changed.iter().map(|&a| Stimulus::Device(a)));
    }

    /// Events are the stimuli that people read.
    fn collect_events(&mut self, out: &mut Outbox) {
        for stimulus in &self.stimuli {
            if let Stimulus::World(event) = stimulus {
                if out.events.len() < EVENTS_PER_STEP_MAX {
                    out.events.push(*event);
                } else {
                    out.shed += 1;
                }
            }
        }
    }

    /// Rules and arbitration, until no command changes a device that a rule waits for.
    fn decide(&mut self, tag: Tag, source_seq: Option<u64>, source: Source, out: &mut Outbox) {
        for round in 0.. {
            self.changed.clear();
            let first = out.commands.len();
            {
                let Self { site, fusion, rules, plan, own, effects, stimuli, .. } = self;
                let world = World { site, fusion, plan, now: tag.at, wall: own.clock.at(tag.at) };
                rules.step(stimuli, source, &world, effects);
            }
            let (effects, changed) = (&mut self.effects, &mut self.changed);
            self.plan.step(tag, source_seq, first as u32, effects, &mut out.commands, changed);
            self.effects.clear();
            {
                let Self { site, fusion, rules, plan, own, .. } = self;
                let world = World { site, fusion, plan, now: tag.at, wall: own.clock.at(tag.at) };
                for command in &out.commands[first..] {
                    rules.on_command(command, &world);
                }
            }
            if self.changed.is_empty() {
                break;
            }
            if round + 1 == CASCADE_ROUNDS_MAX {
                self.own.stats.cascades_cut += 1;
                break;
            }
            self.stimuli.clear();
            self.stimuli.extend(self.changed.iter().map(|&a| Stimulus::Device(a)));
        }
    }

    /// Counts and digests what was decided.
    fn seal(&mut self, out: &mut Outbox) {
        if out.commands.len() > COMMANDS_PER_STEP_MAX {
            out.shed += (out.commands.len() - COMMANDS_PER_STEP_MAX) as u32;
            out.commands.truncate(COMMANDS_PER_STEP_MAX);
        }
        self.own.stats.events += out.events.len() as u64;
        self.own.stats.commands += out.commands.len() as u64;
        self.own.stats.shed += u64::from(out.shed);
        let buffer = &mut self.canon;
        if buffer.len() < DECISION_BYTES_MAX {
            buffer.resize(DECISION_BYTES_MAX, 0);
        }
        for event in &out.events {
            if let Ok(n) = canon::encode_event(event, buffer) {
                self.own.decision_digest.absorb(&buffer[..n]);
            }
        }
        for command in &out.commands {
            absorb_command(&mut self.own.decision_digest, command, buffer);
        }
    }

    /// Sends every held value once, after a restart; counts and digests nothing, since it decides nothing.
    ///
    /// The commands bear the number of the last input, which may have decided commands itself: they are numbered behind
    /// all that one input may decide, so that no id comes twice.
    pub fn resend_held(&mut self, out: &mut Outbox) {
        out.clear();
        self.plan.resend(self.own.last, COMMANDS_PER_STEP_MAX as u32, &mut out.commands);
    }

    /// Goes on behind `tag` although the inputs before it were never stepped: they are known to have been, and are lost.
    /// Their numbers are not given out again. A tag that is not ahead changes nothing.
    pub fn skip_to(&mut self, tag: Tag) {
        if tag.seq > self.own.last.seq {
            self.own.last = Tag { at: tag.at.max(self.own.last.at), seq: tag.seq };
        }
    }

    /// The next instant at which a tick would change something.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<LogicalNs> {
        match (self.fusion.next_wakeup(), self.rules.next_wakeup()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The last tag stepped.
    #[must_use]
    pub fn last(&self) -> Tag {
        self.own.last
    }
    /// Over every (tag, canonical input) so far.
    #[must_use]
    pub fn input_digest(&self) -> Digest {
        self.own.input_digest
    }
    /// Over every event and command so far.
    #[must_use]
    pub fn decision_digest(&self) -> Digest {
        self.own.decision_digest
    }
    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.own.stats
    }
    /// The site it runs.
    #[must_use]
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }
    /// Who is where.
    #[must_use]
    pub fn fusion(&self) -> &F {
        &self.fusion
    }
    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &D {
        &self.rules
    }
    /// Who holds what.
    #[must_use]
    pub fn plan(&self) -> &A {
        &self.plan
    }
    /// The world as it stands after the last step.
    #[must_use]
    pub fn view(&self) -> impl WorldView + '_ {
        let now = self.own.last.at;
        World { site: &self.site, fusion: &self.fusion, plan: &self.plan, now, wall: self.own.clock.at(now) }
    }

    /// The whole state: [`Machine::restore`] of it into a machine of the same site and rules continues bit for bit.
    pub fn save(&self, out: &mut Vec<u8>) {
        let mut part = postcard::to_stdvec(&self.own).unwrap_or_default();
        append_part(&part, out);
        part.clear();
        self.fusion.save(&mut part);
        append_part(&part, out);
        part.clear();
        self.rules.save(&mut part);
        append_part(&part, out);
        part.clear();
        self.plan.save(&mut part);
        append_part(&part, out);
    }

    /// Takes back a saved state.
    ///
    /// # Errors
    /// [`RestoreError`] where the bytes are not a state of this site and these rules; build a new machine then.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let malformed = |e: postcard::Error| RestoreError::Malformed { part: "the core", why: e.to_string() };
        let parts: [Vec<u8>; 4] = postcard::from_bytes(bytes).map_err(malformed)?;
        let own: Own = postcard::from_bytes(&parts[0]).map_err(malformed)?;
        self.fusion.restore(&parts[1])?;
        self.rules.restore(&parts[2])?;
        self.plan.restore(&parts[3])?;
        self.own = own;
        Ok(())
    }
}

/// Most bytes that one input may take: the files of a very large site.
const INSTALL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Encodes an input to the front of `buffer`, which grows only for the files of an installation; a sample always fits
/// [`INPUT_BYTES_MAX`]. Gives the length; 0 where the input is beyond every limit.
pub fn encode_growing(input: &Input<'_>, buffer: &mut Vec<u8>) -> usize {
    loop {
        match canon::encode_input(input, buffer) {
            Ok(n) => return n,
            Err(canon::CanonError::NoRoom(n)) if n < INSTALL_BYTES_MAX => buffer.resize(2 * n.max(1024), 0),
            Err(_) => return 0,
        }
    }
}

/// One link of the input digest: the tag (fixed sixteen bytes) and the canonical input.
fn absorb_input(digest: &mut Digest, tag: Tag, canonical: &[u8]) {
    let mut head = [0u8; 16];
    head[..8].copy_from_slice(&tag.at.0.to_le_bytes());
    head[8..].copy_from_slice(&tag.seq.0.to_le_bytes());
    digest.absorb(&head);
    digest.absorb(canonical);
}

/// Appends bytes behind their length, as postcard writes a list of bytes but in one piece.
fn append_part(part: &[u8], out: &mut Vec<u8>) {
    let mut n = part.len();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out.extend_from_slice(part);
}

fn absorb_command(digest: &mut Digest, command: &Command, buffer: &mut [u8]) {
    if let Ok(n) = canon::encode_command(command, buffer) {
        digest.absorb(&buffer[..n]);
    }
}

impl Core {
    /// The engine's own stages for a site, with compiled rules in force.
    #[must_use]
    pub fn new(site: Arc<Site>, program: osmose_rules::Program) -> Self {
        Self::with_rules(site, osmose_rules::Rules::new(program))
    }

    /// The same for rules that are ready to evaluate.
    #[must_use]
    pub fn with_rules(site: Arc<Site>, rules: osmose_rules::Rules) -> Self {
        let site = rules.site().cloned().unwrap_or(site);
        let fusion = osmose_fusion::Fusion::new(site.clone());
        let terms = rules.terms();
        let mut plan = osmose_plan::Plan::with_holders(&site, terms.holders);
        plan.agree(&terms);
        Self::from_stages(site, fusion, rules, plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_postcard_makes_of_its_bytes() {
        for n in [0, 1, 127, 128, 300, 16_383, 16_384, 70_000] {
            let part = vec![7u8; n];
            let mut out = vec![];
            append_part(&part, &mut out);
            assert_eq!(out, postcard::to_stdvec(&part).expect("memory takes it"));
        }
    }
}
