//! Who a track is taken for: a belief per track over known people, kept apart from where the track is.
//!
//! A belief is categorical: at most [`CANDIDATES_MAX`] people, and the rest is nobody known. Three things change one:
//!
//! - A carried device of a known person is that person, as far as it is known on which track it is (`merge.rs`).
//! - A badge read binds its person to the one track that clearly stands at the reader (`badges.rs`), also if that was
//!   taken for somebody else. Since one person is one track, every other belief follows: whoever had been taken for that
//!   person gets what the bound track was taken for (a repaired swap), and whoever shared a name with it gets all of that.
//! - Two tracks that come close may change places. Their beliefs are mixed with the probability of that,
//!   `0.5 exp(-c D²/2)`, where D² is the Mahalanobis distance of their positions and velocities; over one encounter by its
//!   closest moment, once, and by more the longer they stay so close: every scan is another chance ([`STAY_S`]). When that is likely enough to matter, `swapped` is said. So is what is known of their devices:
//!   which of the two carries one is in doubt until its fixes tell.
//!
//! Voices and the likelihoods of other evidence multiply into the same beliefs when their kinds are used.

use crate::badges::{OPEN_READS_MAX, OpenRead};
use crate::fuse::Fusion;
use crate::in_place::StampedVec;
use crate::occupants::Occupants;
use crate::sink::Sink;
use arrayvec::ArrayVec;
use osmose_model::geometry::{Aabb, Place};
use osmose_model::ids::{LevelId, PersonId, SensorId, TrackId, ZoneId};
use osmose_model::limits::ZONES_PER_OCCUPANT_MAX;
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, Occupant, Presence, Stimulus};
use serde::{Deserialize, Serialize};

/// Most people that one track may be taken for.
pub const CANDIDATES_MAX: usize = 8;
/// A candidate less likely than this is dropped.
const CANDIDATE_P_MIN: f64 = 1e-4;
/// Tracks closer than this may change places, metres.
const MEET_M: f64 = 1.2;
/// Tracks farther apart than this have parted: the next time is another encounter, metres.
const PART_M: f64 = 1.7;
/// How sure tracks are of their covariances when they meet: the share of D² that counts. Of 20 people in 600 m² with
/// 6 reads a minute each, 6 of 10 rows bore the right name with any share from 0.25 to 1; the wrong ones were 5 in 100
/// and 16 in 100.
const SURE: f64 = 0.35;
/// Two who stay close may change places with every scan: so long counts as one more chance, of `0.5 exp(-c D²)`, seconds.
const STAY_S: f64 = 0.2;
/// How much somebody may change their pace while it is not clear which of two they are, m/s: those who stop face to face
/// and turn back look like those who pass.
const TURNS_MPS: f64 = 0.25;
/// The probability of having changed places from which on it is said.
const SWAP_SAID_P: f64 = 0.25;
/// The most that one encounter can mix: beyond, the order is as good as forgotten.
const SWAP_P_MAX: f64 = 0.5 - 1e-9;
/// Most encounters at once; further ones mix nothing until there is room, and are counted.
const ENCOUNTERS_MAX: usize = 4096;

/// By so much a name may be less likely than nobody known and yet be kept.
const EVEN_P: f64 = 0.01;

/// Who a track may be, ascending by person; what is missing to 1 is nobody known.
pub(crate) type Belief = ArrayVec<(PersonId, f64), CANDIDATES_MAX>;

/// Who an occupant may be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Posterior {
    /// Known people with their probability, ascending by person; those below 1e-4 are left out.
    pub candidates: ArrayVec<(PersonId, f64), CANDIDATES_MAX>,
    /// The probability of being nobody known, or one of those left out.
    pub unknown: f64,
}

/// Two tracks near each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Encounter {
    /// The lower and the higher track.
    pair: (TrackId, TrackId),
    /// The probability of having changed places that is mixed in already.
    mixed: f64,
    /// The moment by which it was.
    at: LogicalNs,
    /// Whether it was said.
    said: bool,
}

/// Most recognisers of voices of whom it is known whom they heard last; the one longest silent gives way.
const HEARD_MAX: usize = 64;
/// Whom recognisers of voices heard last, and when.
pub(crate) type LastHeard = ArrayVec<(SensorId, PersonId, LogicalNs), HEARD_MAX>;

/// Every belief.
#[derive(Clone, Debug)]
pub(crate) struct Identities {
    /// By slot.
    pub(crate) beliefs: StampedVec<Belief>,
    velocity_covariance: Vec<[f64; 3]>,
    /// When a badge last bound each slot's track.
    pub(crate) bound_at: Vec<LogicalNs>,
    /// Ascending by pair.
    encounters: Vec<Encounter>,
    /// Badge reads that wait for somebody to step up, by when they were read.
    pub(crate) reads: Vec<OpenRead>,
    pub(crate) heard: LastHeard,
    /// Tracks whose beliefs a read changed, reused.
    changed: Vec<u32>,
    /// Everybody else of whom anything is believed, reused.
    others: Vec<u32>,
    /// Who is near a reader, and how well they fit it, reused.
    pub(crate) at_reader: Vec<(u32, f64)>,
    /// Pairs near each other in this scan, reused.
    near: Vec<((TrackId, TrackId), (u32, u32))>,
}

/// What of the identities is saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedIdentities {
    beliefs: Vec<(TrackId, Belief)>,
    velocity_covariance: Vec<[f64; 3]>,
    bound_at: Vec<LogicalNs>,
    encounters: Vec<Encounter>,
    reads: Vec<OpenRead>,
    heard: LastHeard,
}

impl SavedIdentities {
    /// The same under other numbers: `order` says where each occupant's place was before, ascending by their old numbers,
    /// and `number` gives each that is there its new one. Encounters of somebody who is gone are left out: the next scan
    /// forgets them.
    pub(crate) fn renumbered(&self, order: &[usize], number: impl Fn(TrackId) -> Option<TrackId>) -> Self {
        let mut beliefs: Vec<_> = self.beliefs.iter().filter_map(|(t, b)| Some((number(*t)?, b.clone()))).collect();
        beliefs.sort_unstable_by_key(|(t, _)| *t);
        let pair = |e: &Encounter| {
            let (a, b) = (number(e.pair.0)?, number(e.pair.1)?);
            Some(Encounter { pair: (a.min(b), a.max(b)), ..*e })
        };
        let mut encounters: Vec<_> = self.encounters.iter().filter_map(pair).collect();
        encounters.sort_unstable_by_key(|e| e.pair);
        let velocity_covariance = order.iter().map(|&i| self.velocity_covariance[i]).collect();
        let bound_at = order.iter().map(|&i| self.bound_at[i]).collect();
        let reads = self.reads.iter().map(|read| read.renumbered(&number)).collect();
        Self { beliefs, velocity_covariance, bound_at, encounters, reads, heard: self.heard.clone() }
    }
}

pub(crate) fn p_of(belief: &Belief, person: PersonId) -> f64 {
    belief.iter().find(|(q, _)| *q == person).map_or(0.0, |&(_, p)| p)
}

/// Puts a candidate in its place; the least likely goes where there is no room.
fn put(belief: &mut Belief, person: PersonId, p: f64) {
    belief.retain(|(q, _)| *q != person);
    if p < CANDIDATE_P_MIN {
        return;
    }
    if belief.is_full() {
        let least = (0..belief.len()).min_by(|&a, &b| belief[a].1.total_cmp(&belief[b].1));
        match least {
            Some(least) if belief[least].1 < p => drop(belief.remove(least)),
            _ => return,
        }
    }
    let at = belief.partition_point(|(q, _)| *q < person);
    belief.insert(at, (person, p));
}

/// Makes a person as likely as `p`; the others share what is left, each as before among them.
fn raise(belief: &mut Belief, person: PersonId, p: f64) {
    let others: f64 = belief.iter().filter(|(q, _)| *q != person).map(|(_, p)| p).sum();
    if others + p > 1.0 {
        let scale = (1.0 - p) / others;
        belief.iter_mut().filter(|(q, _)| *q != person).for_each(|(_, p)| *p *= scale);
    }
    put(belief, person, p);
}

/// `(1 - s) a + s b`.
fn mixture(a: &Belief, b: &Belief, s: f64) -> Belief {
    let mut out = Belief::new();
    let people = a.iter().chain(b.iter().filter(|(q, _)| a.iter().all(|(r, _)| r != q)));
    for &(person, _) in people {
        put(&mut out, person, (1.0 - s) * p_of(a, person) + s * p_of(b, person));
    }
    out
}

/// The likeliest candidate; nobody where it is likelier to be nobody known.
fn likeliest(belief: &Belief) -> (Option<PersonId>, f64) {
    let known: f64 = belief.iter().map(|&(_, p)| p).sum();
    match belief.iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))) {
        // An even chance keeps its name and counts as one, also where it was mixed of no more than almost sure and 0.
        Some(&(person, p)) if p + EVEN_P >= 1.0 - known => {
            (Some(person), if p + EVEN_P >= 0.5 { p.max(0.5) } else { p })
        }
        _ => (None, 0.0),
    }
}

/// x' S^-1 x for a symmetric 2 x 2 matrix S = (xx, xy, yy); infinite where S has no inverse.
fn mahalanobis2([x, y]: [f64; 2], [xx, xy, yy]: [f64; 3]) -> f64 {
    let det = xx * yy - xy * xy;
    let d2 = (yy * x * x - 2.0 * xy * x * y + xx * y * y) / det;
    if det > 0.0 && d2 >= 0.0 { d2 } else { f64::INFINITY }
}

fn sum(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

impl Identities {
    /// No beliefs, room for `max` tracks.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            beliefs: StampedVec::of(vec![Belief::new(); max]),
            velocity_covariance: vec![[0.0; 3]; max],
            bound_at: vec![LogicalNs(i64::MIN); max],
            encounters: Vec::with_capacity(ENCOUNTERS_MAX),
            reads: Vec::with_capacity(OPEN_READS_MAX),
            heard: LastHeard::new(),
            changed: Vec::with_capacity(max),
            others: Vec::with_capacity(max),
            at_reader: Vec::with_capacity(max),
            near: Vec::with_capacity(ENCOUNTERS_MAX),
        }
    }

    /// A copy with room for as many encounters.
    pub(crate) fn kept(&self) -> Self {
        let mut kept = self.clone();
        kept.encounters.reserve(ENCOUNTERS_MAX);
        kept
    }

    /// Is what another one is, of the first `slots` slots: the others are nobody's.
    pub(crate) fn copy_from(&mut self, other: &Self, slots: usize) {
        self.beliefs.copy_first(&other.beliefs, slots);
        self.bound_at[..slots].copy_from_slice(&other.bound_at[..slots]);
        self.velocity_covariance[..slots].copy_from_slice(&other.velocity_covariance[..slots]);
        self.encounters.clone_from(&other.encounters);
        self.reads.clone_from(&other.reads);
        self.heard.clone_from(&other.heard);
    }

    /// A slot has a new occupant, of whom nothing is believed.
    pub(crate) fn begin(&mut self, slot: u32) {
        self.beliefs[slot as usize].clear();
        self.velocity_covariance[slot as usize] = [0.0; 3];
        self.bound_at[slot as usize] = LogicalNs(i64::MIN);
    }

    /// How sure a track's velocity is, (m/s)²: xx, xy, yy.
    pub(crate) fn set_velocity_covariance(&mut self, slot: u32, covariance: [f64; 3]) {
        self.velocity_covariance[slot as usize] = covariance;
    }

    /// How far apart two tracks are at a moment: the squared Mahalanobis distance of their places and velocities.
    fn apart2(&self, occupants: &Occupants, a: u32, b: u32) -> f64 {
        let (p, q) = (occupants.occupant(a), occupants.occupant(b));
        let apart = [p.place.at.x_m - q.place.at.x_m, p.place.at.y_m - q.place.at.y_m];
        let faster = [p.velocity_mps[0] - q.velocity_mps[0], p.velocity_mps[1] - q.velocity_mps[1]];
        let turns = [2.0 * TURNS_MPS * TURNS_MPS, 0.0, 2.0 * TURNS_MPS * TURNS_MPS];
        let velocity = sum(self.velocity_covariance[a as usize], self.velocity_covariance[b as usize]);
        let velocity = sum(velocity, turns);
        mahalanobis2(apart, sum(p.covariance_m2, q.covariance_m2)) + mahalanobis2(faster, velocity)
    }

    pub(crate) fn saved(&self, occupants: &Occupants) -> SavedIdentities {
        let slots = || occupants.in_order().map(|slot| (slot as usize, occupants.occupant(slot).track));
        SavedIdentities {
            beliefs: slots()
                .filter(|&(slot, _)| !self.beliefs[slot].is_empty())
                .map(|(slot, track)| (track, self.beliefs[slot].clone()))
                .collect(),
            velocity_covariance: slots().map(|(slot, _)| self.velocity_covariance[slot]).collect(),
            bound_at: slots().map(|(slot, _)| self.bound_at[slot]).collect(),
            encounters: self.encounters.clone(),
            reads: self.reads.clone(),
            heard: self.heard.clone(),
        }
    }

    /// Takes saved beliefs back; false where they are not of these occupants.
    pub(crate) fn refill(
        &mut self,
        saved: SavedIdentities,
        occupants: &Occupants,
        (people, sensors): (usize, usize),
    ) -> bool {
        let finite = |c: &[f64; 3]| c.iter().all(|x| x.is_finite());
        let sizes = [saved.velocity_covariance.len(), saved.bound_at.len()];
        if sizes != [occupants.len(); 2] || !saved.velocity_covariance.iter().all(finite) {
            return false;
        }
        for (slot, (covariance, at)) in occupants.in_order().zip(saved.velocity_covariance.iter().zip(&saved.bound_at))
        {
            self.velocity_covariance[slot as usize] = *covariance;
            self.bound_at[slot as usize] = *at;
        }
        for (track, belief) in saved.beliefs {
            let sound = belief.iter().all(|(q, p)| q.index() < people && (0.0..=1.0).contains(p))
                && belief.is_sorted_by(|a, b| a.0 < b.0);
            match occupants.of_track(track) {
                Some(slot) if sound => self.beliefs[slot as usize] = belief,
                _ => return false,
            }
        }
        let sound = saved.encounters.is_sorted_by(|a, b| a.pair < b.pair)
            && saved.encounters.len() <= ENCOUNTERS_MAX
            && saved.encounters.iter().all(|e| (0.0..=SWAP_P_MAX).contains(&e.mixed));
        self.encounters.extend(saved.encounters);
        let reads_sound =
            saved.reads.len() <= OPEN_READS_MAX && saved.reads.iter().all(|read| read.is_sound(people, sensors));
        self.reads.extend(saved.reads);
        let heard_sound = saved.heard.iter().all(|(s, p, _)| s.index() < sensors && p.index() < people);
        self.heard = saved.heard;
        sound && reads_sound && heard_sound
    }
}

impl Fusion {
    /// Who an occupant may be, by every evidence so far; `None` where there is no such track.
    #[must_use]
    pub fn posterior(&self, track: TrackId) -> Option<Posterior> {
        let slot = self.occupants.of_track(track)?;
        let who = self.occupants.occupant(slot);
        let mut candidates = self.identities.beliefs[slot as usize].clone();
        if let (Some(person), false) = (who.person, self.is_anonymous(slot)) {
            // Their own device says so.
            candidates.clear();
            put(&mut candidates, person, who.person_p);
        }
        let known: f64 = candidates.iter().map(|&(_, p)| p).sum();
        Some(Posterior { candidates, unknown: (1.0 - known).max(0.0) })
    }

    /// Believes an occupant to be a person with that probability; what else it was taken for shares the rest.
    pub(crate) fn believe(&mut self, slot: u32, person: PersonId, p: f64) {
        let before = std::mem::take(&mut self.identities.beliefs[slot as usize]);
        let was = p_of(&before, person);
        let rest = if was < 1.0 { (1.0 - p) / (1.0 - was) } else { 0.0 };
        let mut belief = Belief::new();
        for &(other, q) in before.iter().filter(|(q, _)| *q != person) {
            put(&mut belief, other, rest * q);
        }
        put(&mut belief, person, p);
        self.identities.beliefs[slot as usize] = belief;
    }

    /// The probability that an occupant is a person: by its device, else by belief.
    pub(crate) fn believed(&self, slot: u32, person: PersonId) -> f64 {
        let who = self.occupants.occupant(slot);
        match (self.is_anonymous(slot), who.person == Some(person)) {
            (true, _) => p_of(&self.identities.beliefs[slot as usize], person),
            (false, true) => who.person_p,
            (false, false) => 0.0,
        }
    }

    /// For how long a recogniser has not heard a person, seconds, without end where it heard somebody else since; and notes
    /// that it hears them now.
    pub(crate) fn silent_s(&mut self, sensor: SensorId, person: PersonId, now: LogicalNs) -> f64 {
        let heard = &mut self.identities.heard;
        let last = heard.iter().position(|(s, ..)| *s == sensor).map(|i| heard.remove(i));
        if heard.is_full() {
            heard.remove(0);
        }
        heard.push((sensor, person, now));
        match last {
            Some((_, who, at)) if who == person => now.since(at).as_s_f64().max(0.0),
            _ => f64::INFINITY,
        }
    }

    /// The probability that an occupant is nobody known, by belief.
    pub(crate) fn unknown_p(&self, slot: u32) -> f64 {
        let known: f64 = self.identities.beliefs[slot as usize].iter().map(|&(_, p)| p).sum();
        (1.0 - known).max(0.0)
    }

    /// Believes an occupant not to be a person.
    pub(crate) fn disbelieve(&mut self, slot: u32, person: PersonId) {
        self.identities.beliefs[slot as usize].retain(|(q, _)| *q != person);
    }

    /// Any of some occupants may be any of the others: each is believed to be what all of them together are.
    pub(crate) fn share_beliefs(&mut self, slots: &[u32], from: (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        let mut shared = Belief::new();
        let n = slots.len().max(1) as f64;
        for &slot in slots {
            for (person, p) in self.identities.beliefs[slot as usize].clone() {
                let sum = p_of(&shared, person) + p / n;
                put(&mut shared, person, sum);
            }
        }
        for &slot in slots {
            self.identities.beliefs[slot as usize] = shared.clone();
            self.name_by_belief(slot, from, out);
        }
    }

    /// One occupant goes on under another's slot: what was believed of it goes along.
    pub(crate) fn take_over_belief(&mut self, to: u32, from: u32) {
        self.identities.beliefs[to as usize] = self.identities.beliefs[from as usize].clone();
    }

    /// Takes an occupant for whom its belief says.
    pub(crate) fn name_by_belief(&mut self, slot: u32, from: (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        let (person, p) = likeliest(&self.identities.beliefs[slot as usize]);
        self.identify(slot, person, p, from, out);
    }

    /// Whether a track's identity is a belief: not that of a known person's own device.
    pub(crate) fn is_anonymous(&self, slot: u32) -> bool {
        self.occupants.slot(slot).device().is_none_or(|key| self.site.owner_of_device(key).is_none())
    }

    /// Takes a track for a person with probability `p`, and draws the conclusions for everybody else.
    ///
    /// One person is one track. So the others are the less likely to be that person; and whoever the track had been taken
    /// for is somebody else now: one of those who lost the person (the two had changed places), or one of those who might
    /// have been taken for them before.
    pub(crate) fn bind(
        &mut self,
        slot: u32,
        person: PersonId,
        p: f64,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) {
        let before = self.identities.beliefs[slot as usize].clone();
        let was = p_of(&before, person);
        if p <= was {
            return;
        }
        // What is left of every other belief: of this track in others, of other tracks in this person.
        let left = (1.0 - p) / (1.0 - was).max(1e-12);
        let mut belief = Belief::new();
        for &(q, old) in before.iter().filter(|(q, _)| *q != person) {
            put(&mut belief, q, left * old);
        }
        put(&mut belief, person, p);
        self.identities.beliefs[slot as usize] = belief;
        let Self { identities: Identities { beliefs, changed, others, .. }, occupants, .. } = self;
        changed.clear();
        changed.push(slot);
        // Numbers depend on what came late; since when somebody is there does not.
        others.clear();
        others.extend(occupants.in_order().filter(|&s| s != slot && !beliefs[s as usize].is_empty()));
        others.sort_unstable_by_key(|&s| (occupants.slot(s).first_seen, occupants.slot(s).origin));
        // How much of the person, and of those the track had been taken for, the others hold.
        let mut lost = 0.0;
        let mut held: ArrayVec<f64, CANDIDATES_MAX> = before.iter().map(|_| 0.0).collect();
        for &other in &*others {
            let belief = &beliefs[other as usize];
            lost += p_of(belief, person) * (1.0 - left);
            for (held, (q, _)) in held.iter_mut().zip(&before) {
                *held += p_of(belief, *q);
            }
        }
        let swapped = lost.min(1.0);
        for &other in &*others {
            let belief = &mut beliefs[other as usize];
            let was_person = p_of(belief, person);
            let loses = was_person * (1.0 - left);
            if was_person > 0.0 {
                put(belief, person, was_person * left);
            }
            let mut gains = false;
            for (held, &(q, old)) in held.iter().zip(&before).filter(|(_, (q, _))| *q != person) {
                let free = old * (1.0 - left);
                let has = p_of(belief, q);
                let by_swap = if lost > 0.0 { swapped * loses / lost } else { 0.0 };
                let by_hold = if *held > 0.0 { (1.0 - swapped) * has / held } else { 0.0 };
                let gain = free * (by_swap + by_hold);
                if gain > 0.0 {
                    raise(belief, q, (has + gain).min(1.0));
                    gains = true;
                }
            }
            if (gains || was_person > 0.0) && changed.len() < changed.capacity() {
                changed.push(other);
            }
        }
        changed.sort_unstable_by_key(|s| occupants.occupant(*s).track);
        for i in 0..self.identities.changed.len() {
            let s = self.identities.changed[i];
            if !self.is_anonymous(s) {
                continue;
            }
            let was_here = s != slot && self.occupants.occupant(s).person == Some(person);
            let is_there = p_of(&self.identities.beliefs[slot as usize], person) >= 0.5;
            if !(was_here && is_there && self.turns_up(s, slot, from, out)) {
                self.name_by_belief(s, from, out);
            }
        }
    }

    /// Somebody known was lost and is now known to be another occupant: the lost one leaves where the other is not, and is
    /// no more. False where they were not lost.
    pub(crate) fn turns_up(
        &mut self,
        lost: u32,
        found: u32,
        (sensor, at): (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> bool {
        if self.occupants.occupant(lost).presence != Presence::Lost {
            return false;
        }
        let left = zones_left(self.occupants.occupant(lost), self.occupants.occupant(found));
        for zone in left {
            self.occupants.part(lost, zone);
            let mut sink = Sink::new(out, &mut self.counts.stimuli_shed, Some(sensor), at);
            sink.event(EventKind::Leaves, self.occupants.occupant(lost), Some(zone), None);
        }
        self.forget(lost);
        true
    }

    /// The probability that an occupant is in a zone, by how sure its place is: of a normal beyond the nearest boundary,
    /// taken for a straight line (`Phi(depth / sigma)`, sigma the standard deviation of the place per axis). `None` where
    /// there is no such track; of one who is lost it is that of the place where it was last known.
    #[must_use]
    pub fn in_zone_p(&self, track: TrackId, zone: ZoneId) -> Option<f64> {
        let who = self.occupants.occupant(self.occupants.of_track(track)?);
        if zone.index() >= self.site.zones.len() {
            return None;
        }
        let depth = self.plan.depth(zone, who.place.level, who.place.at);
        let sigma_m = (0.5 * (who.covariance_m2[0] + who.covariance_m2[2])).max(1e-6).sqrt();
        Some(0.5 * libm::erfc(-depth / sigma_m * std::f64::consts::FRAC_1_SQRT_2))
    }

    /// After a scan: mixes the beliefs of tracks that are close to each other.
    pub(crate) fn mix_identities(&mut self, level: LevelId, from: (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        self.find_meetings(level);
        for i in 0..self.identities.near.len() {
            let (pair, (a, b)) = self.identities.near[i];
            let apart2 = self.identities.apart2(&self.occupants, a, b);
            self.meet(pair, (a, b), apart2, from, out);
        }
        // Those who have parted, or are gone, meet anew the next time.
        let occupants = &self.occupants;
        self.identities.encounters.retain(|e| {
            let place = |track| occupants.of_track(track).map(|slot| occupants.occupant(slot).place);
            match (place(e.pair.0), place(e.pair.1)) {
                (Some(p), Some(q)) => p.level == q.level && p.at.distance2(q.at) <= PART_M * PART_M,
                _ => false,
            }
        });
    }

    /// Pairs of tracks of a level that are close, of whom at least one is believed to be somebody, ascending.
    fn find_meetings(&mut self, level: LevelId) {
        let Self { identities: Identities { near, beliefs, .. }, occupants, positions, .. } = self;
        near.clear();
        // Of one whom the tracker dropped nothing is there that could go on under another's number.
        let tracked = |slot: u32| {
            let slot = occupants.slot(slot);
            slot.confirmed && slot.tracked().is_some() && !slot.refuted
        };
        for track in positions.known() {
            // The scan may have ended a track since.
            let Some(a) = occupants.of_track(track) else { continue };
            let who = occupants.occupant(a);
            if !tracked(a)
                || beliefs[a as usize].is_empty()
                || who.place.level != level
                || who.presence != Presence::Seen
            {
                continue;
            }
            let Place { at, .. } = who.place;
            occupants.index.for_each_meeting(level, Aabb { min: at, max: at }.grown(MEET_M), |b| {
                let other = occupants.occupant(b);
                if b == a || other.presence != Presence::Seen || !tracked(b) || near.len() == ENCOUNTERS_MAX {
                    return;
                }
                if other.place.at.distance2(at) <= MEET_M * MEET_M {
                    let (low, high) = if who.track < other.track { (a, b) } else { (b, a) };
                    let pair = (occupants.occupant(low).track, occupants.occupant(high).track);
                    near.push((pair, (low, high)));
                }
            });
        }
        // By who was there first, not by their numbers: those were given out by what had come by then, and where three
        // meet the order decides.
        let since = |slot: u32| (occupants.slot(slot).first_seen, occupants.slot(slot).origin);
        near.sort_unstable_by_key(|&(_, (a, b))| (since(a).min(since(b)), since(a).max(since(b))));
        // A pair of two who are believed to be somebody is found from both sides, unless a track has ended since: once is
        // enough.
        near.dedup_by_key(|&mut (pair, _)| pair);
    }

    /// Mixes two beliefs by what this moment adds to the probability of having changed places. Mixings s1 and s2 in a row
    /// are one with `1 - 2s = (1 - 2 s1)(1 - 2 s2)`.
    fn meet(
        &mut self,
        pair: (TrackId, TrackId),
        (a, b): (u32, u32),
        apart2: f64,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) {
        let encounters = &mut self.identities.encounters;
        let at = match encounters.binary_search_by_key(&pair, |e| e.pair) {
            Ok(at) => at,
            Err(_) if encounters.len() >= ENCOUNTERS_MAX => {
                self.counts.encounters_full += 1;
                return;
            }
            Err(at) => {
                encounters.insert(at, Encounter { pair, mixed: 0.0, at: from.1, said: false });
                at
            }
        };
        let encounter = &mut encounters[at];
        // As likely as at their closest, once; and another chance for so long as they have stayed.
        let closest = 0.5 * libm::exp(-0.5 * SURE * apart2);
        let stayed_s = from.1.since(encounter.at).as_s_f64().clamp(0.0, STAY_S);
        let chance = libm::pow(1.0 - libm::exp(-SURE * apart2), stayed_s / STAY_S);
        let stayed = 0.5 * (1.0 - (1.0 - 2.0 * encounter.mixed) * chance);
        encounter.at = encounter.at.max(from.1);
        let swap_p = closest.max(stayed).min(SWAP_P_MAX);
        if swap_p <= encounter.mixed {
            return;
        }
        let more = 0.5 * (1.0 - (1.0 - 2.0 * swap_p) / (1.0 - 2.0 * encounter.mixed));
        encounter.mixed = swap_p;
        let say = swap_p >= SWAP_SAID_P && !encounter.said;
        encounter.said |= say;
        if self.is_anonymous(a) && self.is_anonymous(b) {
            let (p, q) = (&self.identities.beliefs[a as usize], &self.identities.beliefs[b as usize]);
            let (p, q) = (mixture(p, q, more), mixture(q, p, more));
            self.identities.beliefs[a as usize] = p;
            self.identities.beliefs[b as usize] = q;
            self.name_by_belief(a, from, out);
            self.name_by_belief(b, from, out);
        }
        self.doubt_devices((a, b), more, from, out);
        if say {
            Sink::new(out, &mut self.counts.stimuli_shed, Some(from.0), from.1).event(
                EventKind::Swapped,
                self.occupants.occupant(a),
                None,
                Some(pair.1),
            );
        }
    }
}

/// The zones of somebody lost in which they are not, now that they are known to be another occupant. Ascending.
pub(crate) fn zones_left(lost: &Occupant, found: &Occupant) -> ArrayVec<ZoneId, ZONES_PER_OCCUPANT_MAX> {
    lost.zones.iter().copied().filter(|zone| !found.zones.contains(zone)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn belief(ps: &[f64]) -> Belief {
        let total: f64 = ps.iter().sum::<f64>().max(1.0);
        ps.iter().enumerate().map(|(i, p)| (PersonId(i as u16), p / total)).collect()
    }

    #[test]
    fn an_even_chance_keeps_its_name_and_less_does_not() {
        let ana = Belief::from_iter([(PersonId(3), 1.0)]);
        let nobody = Belief::new();
        assert_eq!(likeliest(&mixture(&ana, &nobody, 0.5)), (Some(PersonId(3)), 0.5));
        assert_eq!(likeliest(&mixture(&nobody, &ana, 0.4)), (None, 0.0));
        // Of two who were almost sure and may be either now, both are.
        let ben = Belief::from_iter([(PersonId(4), 0.995)]);
        assert_eq!(likeliest(&mixture(&ben, &ana, 0.5)), (Some(PersonId(3)), 0.5));
        assert_eq!(likeliest(&mixture(&ben, &nobody, 0.5)), (Some(PersonId(4)), 0.5));
    }

    #[test]
    fn a_full_belief_drops_its_least() {
        let mut full: Belief = (0..8).map(|i| (PersonId(i), 0.01 * f64::from(i + 1))).collect();
        put(&mut full, PersonId(20), 0.5);
        assert_eq!((p_of(&full, PersonId(0)), p_of(&full, PersonId(20)), full.len()), (0.0, 0.5, 8));
    }

    proptest! {
        #[test]
        fn mixing_keeps_the_sum_over_both_tracks(
            a in prop::collection::vec(0.01..1.0f64, 0..4), b in prop::collection::vec(0.01..1.0f64, 0..4), s in 0.0..0.5f64,
        ) {
            let (a, b) = (belief(&a), belief(&b));
            let (p, q) = (mixture(&a, &b, s), mixture(&b, &a, s));
            for i in 0..4 {
                let person = PersonId(i);
                let before = p_of(&a, person) + p_of(&b, person);
                let after = p_of(&p, person) + p_of(&q, person);
                prop_assert!((before - after).abs() <= 2.0 * CANDIDATE_P_MIN, "{} {}", before, after);
            }
        }

        #[test]
        fn mahalanobis_of_a_diagonal_is_the_plain_one(x in -3.0..3.0f64, y in -3.0..3.0f64, v in 0.01..4.0f64) {
            let d2 = mahalanobis2([x, y], [v, 0.0, v]);
            prop_assert!((d2 - (x * x + y * y) / v).abs() < 1e-9 * (1.0 + d2));
        }
    }
}
