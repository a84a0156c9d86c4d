//! Whose a voice, a gesture or a facing is.
//!
//! A gesture and a facing come with a place. They are somebody's who is so near that the place fits, by the uncertainty
//! of both. Where it fits several, a gesture is the best one's with the probability that the fits give him, which lowers
//! what rules know of who made it, so that it is refused aloud and not passed over; a facing is his only where he fits
//! clearly better than any other, else nobody's. What was not clear is counted.
//!
//! A voice comes with a person and how much likelier they are than an unknown speaker, and perhaps with a bearing. Each
//! track in hearing (in the sensor's zones, else within [`HEARD_M`] and in sight) is the speaker with a share by how well
//! it fits the bearing. One person is one track, so the belief about where that person is, over all tracks and "on none",
//! is multiplied (Bayes) by `1 + share (L - 1)` for a track in hearing and by 1 for all else. Somebody lost may have gone
//! elsewhere unseen ([`MOVED_ON_P`]): heard there, they turn up, and leave where they were.

use crate::fuse::Fusion;
use arrayvec::ArrayVec;
use osmose_model::device::SensorKind;
use osmose_model::geometry::{Aabb, Place, Point, Segment};
use osmose_model::ids::{PersonId, SensorId};
use osmose_model::stages::Refusal;
use osmose_model::time::LogicalNs;
use osmose_model::world::{Presence, Stimulus};

/// A place fits within so many standard deviations (three would leave one gesture in ninety nobody's), and never farther
/// than that, metres.
const FITS_SIGMAS: f64 = 4.0;
const FITS_M: f64 = 2.0;
/// It is somebody's who fits so many times better than any other.
const CLEAR_WINNER: f64 = 3.0;
/// How far voices are heard by a sensor that names no zone, metres.
const HEARD_M: f64 = 6.0;
/// Weight of a speaker whom no tracker sees, against one right on the bearing.
const UNSEEN_WEIGHT: f64 = 0.05;
/// One bearing in so many is of an echo, and may be anybody's.
const ECHO_P: f64 = 0.1;
/// Of being on one of the tracks taken for nobody, when a person is on none that is known.
const NEWLY_HERE_P: f64 = 0.5;
/// Of a person who was last known on a track that is lost: how likely they are not on it any more, whatever was heard.
const MOVED_ON_P: f64 = 0.1;
/// No belief is surer than that, or no other voice could change it.
const BELIEVED_P_MAX: f64 = 0.999;
/// A person is on a track from here on, and no longer on the one that was lost.
const THERE_P: f64 = 0.5;
/// Likelihood ratios beyond these are taken for these: no recogniser is that sure.
const RATIO_RANGE: (f64, f64) = (1e-3, 1e4);
/// Most tracks that a voice is weighed over.
const HEARD_MAX: usize = 64;

/// Whom the place of a gesture or facing fits best.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maker {
    pub(crate) slot: u32,
    /// The probability that it was this one, of the two whom it fits best.
    pub(crate) p: f64,
    /// Nobody else fits nearly as well.
    pub(crate) is_clear: bool,
}

/// A track that a voice is weighed over.
#[derive(Clone, Copy, Debug)]
struct Hearing {
    slot: u32,
    /// How well it fits as the speaker; 0 out of hearing.
    weight: f64,
    /// The belief that it is the person.
    prior: f64,
}

impl Fusion {
    /// By whom a gesture or facing at a place is, measured with that standard deviation per axis.
    pub(crate) fn made_by(&mut self, place: Place, sigma_m: f64) -> Option<Maker> {
        let mut best: Option<(f64, u32)> = None;
        let mut second = 0.0_f64;
        let round = Aabb { min: place.at, max: place.at }.grown(FITS_M);
        self.occupants.index.for_each_meeting(place.level, round, |slot| {
            let entry = self.occupants.slot(slot);
            let who = &entry.occupant;
            let distance2 = who.place.at.distance2(place.at);
            let variance = sigma_m * sigma_m + 0.5 * (who.covariance_m2[0] + who.covariance_m2[2]);
            let fits = distance2 <= FITS_SIGMAS * FITS_SIGMAS * variance && distance2 <= FITS_M * FITS_M;
            if !entry.confirmed || who.presence != Presence::Seen || !fits {
                return;
            }
            let likelihood = libm::exp(-0.5 * distance2 / variance) / variance;
            match best {
                Some((l, s)) if (l, self.occupants.occupant(s).track) > (likelihood, who.track) => {
                    second = second.max(likelihood);
                }
                Some((l, _)) => (best, second) = (Some((likelihood, slot)), second.max(l)),
                None => best = Some((likelihood, slot)),
            }
        });
        let (likelihood, slot) = best?;
        let is_clear = likelihood >= CLEAR_WINNER * second;
        self.counts.ambiguous += u64::from(!is_clear);
        Some(Maker { slot, p: likelihood / (likelihood + second), is_clear })
    }

    /// How well an occupant fits as who was heard; 0 out of hearing.
    fn speaks(&self, slot: u32, sensor: SensorId, bearing_rad: Option<f64>) -> f64 {
        let said = &self.site.sensors[sensor.index()];
        let entry = self.occupants.slot(slot);
        let who = &entry.occupant;
        if !entry.confirmed || who.presence != Presence::Seen || who.place.level != said.level {
            return 0.0;
        }
        let ear = Point::new(said.pose.x_m, said.pose.y_m);
        let distance2 = who.place.at.distance2(ear);
        let in_hearing = if said.zones.is_empty() {
            let sight = Segment { a: ear, b: who.place.at };
            distance2 <= HEARD_M * HEARD_M && self.plan.line_of_sight(said.level, sight)
        } else {
            said.zones.iter().any(|zone| who.zones.contains(zone))
        };
        if !in_hearing {
            return 0.0;
        }
        let Some(bearing) = bearing_rad else { return 1.0 };
        let to = libm::atan2(who.place.at.y_m - ear.y_m, who.place.at.x_m - ear.x_m);
        let turn = std::f64::consts::TAU;
        let off = to - bearing;
        let off = off - turn * (off / turn).round();
        // What the place is uncertain by is seen from there under that angle; nobody is nearer than the microphone's size.
        let place = 0.5 * (who.covariance_m2[0] + who.covariance_m2[2]) / distance2.max(0.25);
        let variance = said.noise.sigma_rad * said.noise.sigma_rad + place;
        ECHO_P + (1.0 - ECHO_P) * libm::exp(-0.5 * off * off / variance.max(1e-6))
    }

    /// A voice was recognised.
    pub(crate) fn observe_voice(
        &mut self,
        person: PersonId,
        likelihood: f64,
        bearing_rad: Option<f64>,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let said = &self.site.sensors[from.0.index()];
        let sound = said.kind == SensorKind::Voice
            && person.index() < self.site.people.len()
            && likelihood.is_finite()
            && likelihood > 0.0
            && bearing_rad.is_none_or(f64::is_finite);
        if !sound {
            return Err(Refusal::NotPlausible);
        }
        // What is said several times a second is one utterance, and shares its error.
        let rate_hz = said.rate_hz;
        let silent_s = self.silent_s(from.0, person, from.1);
        let worth = rate_hz.filter(|hz| *hz > 1.0).map_or(silent_s.min(1.0), |hz| 1.0 / hz);
        let ratio = libm::pow(likelihood.clamp(RATIO_RANGE.0, RATIO_RANGE.1), worth);
        let mut heard: ArrayVec<Hearing, HEARD_MAX> = ArrayVec::new();
        for slot in self.occupants.in_order() {
            let weight = self.speaks(slot, from.0, bearing_rad);
            let believed = self.believed(slot, person).min(BELIEVED_P_MAX);
            let is_lost = self.occupants.occupant(slot).presence == Presence::Lost;
            let prior = if is_lost { (1.0 - MOVED_ON_P) * believed } else { believed };
            if weight > 0.0 || prior > 0.0 {
                let _ = heard.try_push(Hearing { slot, weight, prior });
            }
        }
        // Sums have an order that no late observation changes, which numbers are not.
        let occupants = &self.occupants;
        heard.sort_unstable_by_key(|h| (occupants.slot(h.slot).first_seen, occupants.slot(h.slot).origin));
        if heard.iter().all(|h| h.weight == 0.0) {
            return Ok(());
        }
        self.share_out(&mut heard);
        let all: f64 = UNSEEN_WEIGHT + heard.iter().map(|h| h.weight).sum::<f64>();
        let nowhere = (1.0 - heard.iter().map(|h| h.prior).sum::<f64>()).max(0.0);
        for h in &mut heard {
            h.prior *= 1.0 + h.weight / all * (ratio - 1.0);
        }
        let sum: f64 = nowhere + heard.iter().map(|h| h.prior).sum::<f64>();
        if sum <= 0.0 {
            return Ok(());
        }
        let seen = |h: &&Hearing| h.weight > 0.0 && h.prior >= THERE_P * sum;
        let there = heard.iter().find(seen).map(|h| h.slot);
        for h in &heard {
            let was = self.occupants.occupant(h.slot).person == Some(person) && self.is_anonymous(h.slot);
            if let Some(there) = there.filter(|there| was && *there != h.slot)
                && self.turns_up(h.slot, there, from, out)
            {
                continue;
            }
            if self.is_anonymous(h.slot) {
                self.believe(h.slot, person, (h.prior / sum).min(1.0));
                self.name_by_belief(h.slot, from, out);
            }
        }
        Ok(())
    }

    /// A person who is on no known track may be on any that is taken for nobody: each in hearing gets a share of that.
    fn share_out(&self, heard: &mut ArrayVec<Hearing, HEARD_MAX>) {
        let known: f64 = heard.iter().map(|h| h.prior).sum();
        let free = |h: &Hearing| {
            if self.is_anonymous(h.slot) && h.weight > 0.0 { self.unknown_p(h.slot).min(1.0 - h.prior) } else { 0.0 }
        };
        let all: f64 = heard.iter().map(free).sum();
        let elsewhere = (1.0 - known).max(0.0) * NEWLY_HERE_P;
        if all <= 0.0 || known > 1.0 {
            return;
        }
        let shares: ArrayVec<f64, HEARD_MAX> = heard.iter().map(|h| elsewhere * free(h) / all.max(1.0)).collect();
        heard.iter_mut().zip(shares).for_each(|(h, share)| h.prior += share);
    }
}
