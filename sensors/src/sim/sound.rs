//! Sound: who talks, which microphones hear where from, and whose voice is recognised.
//!
//! In each zone that a microphone or a recogniser names, those who stay there take turns: one talks at a time, for an
//! exponential time, and then another; somebody alone is on the telephone now and then. A sensor of bearings without a
//! field of view is an array of microphones, and hears who talks; one with a field of view sees everybody in it.

use super::outbox::Outbox;
use super::rng::Rng;
use super::scans::{View, wrapped};
use super::senses::{Moment, Voice};
use super::walker::Walker;
use osmose_model::device::{Sensor, SensorKind};
use osmose_model::geometry::Point;
use osmose_model::ids::{PersonId, ZoneId};
use osmose_model::limits::SCAN_ITEMS_MAX;
use osmose_model::observation::{BearingHit, Body};
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, DurationNs};

/// How long somebody talks before another does, seconds, mean.
const TURN_S: f64 = 4.0;
/// Of a time in which somebody is alone, how much they talk.
const ALONE_P: f64 = 0.15;
/// The logarithm of the likelihood ratio of a voice that is the person's, against an unknown speaker's: mean and
/// standard deviation. A recogniser whose scores are normal with equal variance for both has a mean of half the
/// variance (Brümmer and du Preez 2006 on calibrated ratios), so an equal-error rate of 1 - Phi(sigma / 2) = 6.7 %.
const LOG_RATIO_MEAN: f64 = 4.5;
const LOG_RATIO_SIGMA: f64 = 3.0;

/// Who talks in a zone.
#[derive(Clone, Debug)]
struct Turn {
    zone: ZoneId,
    rng: Rng,
    speaker: Option<usize>,
    until: ArrivalNs,
}

/// Who talks where.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    turns: Vec<Turn>,
    persons: usize,
}

impl Talk {
    /// Nobody talks yet, in the zones that are listened to.
    pub(super) fn new(site: &Site, seed: u64) -> Self {
        let listens =
            |s: &&Sensor| s.kind == SensorKind::Voice || (s.kind == SensorKind::Bearing && s.field_of_view.is_none());
        let mut zones: Vec<ZoneId> = site.sensors.iter().filter(listens).flat_map(|s| s.zones.clone()).collect();
        zones.sort_unstable();
        zones.dedup();
        let turns = zones.into_iter().map(|zone| {
            let rng = Rng::stream(seed, &format!("talk in {}", site.zones[zone.index()].name));
            Turn { zone, rng, speaker: None, until: ArrivalNs(0) }
        });
        Self { turns: turns.collect(), persons: site.people.len() }
    }

    /// Lets turns end, and begin.
    pub(super) fn step(&mut self, moment: &Moment<'_>) {
        for turn in &mut self.turns {
            let is_there = |w: &Walker| w.is_here() && w.zones.contains(&turn.zone);
            let walkers = &moment.people.walkers;
            let has_left = turn.speaker.is_some_and(|i| !is_there(&walkers[i]));
            if !has_left && moment.from < turn.until {
                continue;
            }
            let before = turn.speaker;
            // The last speaker lets others talk, where there are any.
            let there = walkers.iter().enumerate().filter(|(_, w)| is_there(w)).map(|(i, _)| i);
            let (mut others, mut n) = (there.filter(|i| Some(*i) != before).collect::<Vec<_>>(), 0);
            if let Some(again) = before.filter(|&i| is_there(&walkers[i])) {
                n = 1;
                if others.is_empty() {
                    others.push(again);
                }
            }
            n += others.len();
            turn.speaker = if n > 1 || turn.rng.chance(ALONE_P) {
                (!others.is_empty()).then(|| others[turn.rng.below(others.len())])
            } else {
                None
            };
            let lasting = DurationNs::from_s_f64(0.5 + turn.rng.exponential(TURN_S)).unwrap_or_default();
            turn.until = moment.from.plus(lasting);
        }
    }

    /// Who talks within hearing of a sensor.
    fn speakers<'a>(&'a self, moment: &'a Moment<'_>, sensor: &'a Sensor) -> impl Iterator<Item = &'a Walker> {
        let here = self.turns.iter().filter(|t| sensor.zones.contains(&t.zone));
        here.filter_map(|t| t.speaker.map(|i| &moment.people.walkers[i]))
    }

    /// Whose voice it is, of everybody who talks in the sensor's zones: with likelihood and bearing. A stranger's is
    /// taken for that of somebody known, with a ratio that seldom speaks for it; with `p_wrong` so is a known one's.
    pub(super) fn recognise(
        &self,
        moment: &Moment<'_>,
        at: ArrivalNs,
        sensor: &Sensor,
        voice: &mut Voice,
        out: &mut Outbox,
    ) {
        let share = moment.share(at);
        for walker in self.speakers(moment, sensor) {
            if self.persons == 0 {
                return;
            }
            let rng = &mut voice.rng;
            let mistaken = PersonId(rng.below(self.persons) as u16);
            let known = walker.person.filter(|_| !rng.chance(sensor.noise.p_wrong));
            let log_ratio = known.map_or(-LOG_RATIO_MEAN, |_| LOG_RATIO_MEAN) + LOG_RATIO_SIGMA * rng.normal();
            let body = Body::Voice {
                person: known.unwrap_or(mistaken),
                likelihood: libm::exp(log_ratio.clamp(-9.0, 9.0)),
                bearing_rad: Some(blurred_bearing(sensor, walker.along(share), rng)),
            };
            let said = voice.says(sensor, at);
            out.observation(said, body);
        }
    }
}

impl View {
    /// One scan of directions at `at`: each with probability `p_detect` and a normal error of `sigma_deg`, and false
    /// ones from anywhere.
    pub(super) fn bearings(
        &self,
        moment: &Moment<'_>,
        at: ArrivalNs,
        sensor: &Sensor,
        talk: &Talk,
        voice: &mut Voice,
        out: &mut Outbox,
    ) {
        let (share, said) = (moment.share(at), voice.says(sensor, at));
        let rng = &mut voice.rng;
        let mut hits: Vec<BearingHit> = Vec::new();
        let mut hit = |walker: &Walker, rng: &mut Rng| {
            if rng.chance(sensor.noise.p_detect) {
                let bearing_rad = blurred_bearing(sensor, walker.along(share), rng);
                hits.push(BearingHit { bearing_rad, sigma_rad: None, device: None });
            }
        };
        if self.sees_all_levels {
            talk.speakers(moment, sensor).for_each(|w| hit(w, rng));
        } else {
            let here = moment.people.walkers.iter().filter(|w| w.is_here() && w.level == sensor.level);
            here.filter(|w| self.sees(w.along(share))).for_each(|w| hit(w, rng));
        }
        for _ in 0..rng.poisson(sensor.noise.clutter_per_scan) {
            let bearing_rad = rng.between(-std::f64::consts::PI, std::f64::consts::PI);
            hits.push(BearingHit { bearing_rad, sigma_rad: None, device: None });
        }
        rng.shuffle(&mut hits);
        hits.truncate(SCAN_ITEMS_MAX);
        out.bearings(said, hits);
    }
}

fn blurred_bearing(sensor: &Sensor, p: Point, rng: &mut Rng) -> f64 {
    let true_rad = libm::atan2(p.y_m - sensor.pose.y_m, p.x_m - sensor.pose.x_m);
    wrapped(true_rad + sensor.noise.sigma_rad * rng.normal())
}
