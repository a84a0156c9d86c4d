//! What a scan says about each track: its new existence, mixture, provenance and remembered speed, and who is dropped.

use super::config::{Motion, Population, Upkeep};
use super::estimate::{Gone, ScanReport};
use super::gaussian::Gaussian;
use super::mixture::Reduction;
use super::pair::Pair;
use super::rates::Tally;
use super::step::{Tracker, seconds};
use super::store::{Head, mean, velocity_doubt};

/// A velocity variance (trace, (m/s)2) at which the speed memory learns at half its rate.
const KNOWN_SPEED_VAR: f64 = 0.1;

impl Head {
    /// This track, dropped with a mixture.
    pub(super) fn gone(&self, mixture: &[Gaussian], unseen: bool) -> Gone {
        let [x_m, y_m, _, _] = mean(mixture);
        Gone { id: self.id, x_m, y_m, hit_ns: self.hit_ns, unseen }
    }

    /// Nobody could see it for so long that it is dropped.
    pub(super) fn is_lost(&self, t_ns: i64, upkeep: &Upkeep) -> bool {
        seconds(self.hit_ns, t_ns) > if self.shown { upkeep.silent_max_s } else { upkeep.silent_after_s }
    }

    /// Remembers the speed that the track now has, the better it is known the more, and learns from new ones how fast
    /// people here walk.
    fn remember_speed(&mut self, mixture: &[Gaussian], per_memory: f64, grown: bool, usual_mps: &mut f64, m: &Motion) {
        let [_, _, vx, vy] = mean(mixture);
        let known = KNOWN_SPEED_VAR / (KNOWN_SPEED_VAR + velocity_doubt(mixture));
        let now = (vx * vx + vy * vy).sqrt();
        self.speed += (per_memory * known).min(1.0) * (now - self.speed);
        // Once per track, when it is as old as a birth: people who stand for long count no more than those who pass.
        if !self.paced && self.shown && grown {
            self.paced = true;
            *usual_mps += (now - *usual_mps) / m.usual_speed_tracks;
        }
    }

    /// The probability that it is somebody who came since, to be counted once, when that is sure enough.
    fn birth(&mut self, population: &Population, grown: bool) -> f64 {
        if self.came > 0.0 && grown && self.existence > population.birth_existence {
            std::mem::take(&mut self.came)
        } else {
            0.0
        }
    }
}

impl Tracker {
    /// Gives every track that the scan concerns its posterior, drops those that are probably nobody. Returns how many
    /// proved to be births.
    pub(super) fn update(&mut self, t_ns: i64, sensor: usize, report: &mut ScanReport, tally: &mut Tally) -> f64 {
        // Wholly in sight: rounding apart, the probability of being detected is the sensor's own.
        let in_sight = (1.0 - 1e-9) * self.rates.of(sensor).p_detect;
        let (mut births, mut left) = (0.0, 0.0);
        for k in 0..self.touched.len() {
            let i = self.touched[k] as usize;
            let per_memory = self.since_s[k] / self.config.motion.speed_memory_s;
            let before = self.tracks.head(i).existence;
            self.apart.depart(self.tracks.stand(i));
            let mut head = self.update_one(k, t_ns, sensor);
            let upkeep = &self.config.upkeep;
            if head.existence > upkeep.report_existence && !head.shown {
                head.shown = true;
                report.shown += 1;
            }
            let grown = seconds(head.born_ns, t_ns) >= self.config.population.birth_age_s;
            if before > self.config.learning.look_existence && head.shown && grown && self.detectable[k] >= in_sight {
                tally.look(head.existence, 1.0 - self.graph.unseen[k]);
            }
            births += head.birth(&self.config.population, grown);
            let min = if head.shown { upkeep.shown_existence_min } else { upkeep.tentative_existence_min };
            let lost = head.is_lost(t_ns, upkeep);
            let newest = self.tracks.newest(i);
            // A scan that could not see a track is no reason to drop it: one begun below `min` waits for its own sensor.
            if (head.existence > min || self.detectable[k] <= 0.0) && !lost {
                head.remember_speed(newest, per_memory, grown, &mut self.usual_mps, &self.config.motion);
                self.tracks.keep(i, head);
            } else {
                if head.shown {
                    report.gone += 1;
                    self.gone.push(head.gone(newest, lost));
                }
                left += f64::from(u8::from(head.shown && !lost && grown));
                self.tracks.drop_one(i);
            }
        }
        self.tracks.turn_over(&mut self.touched);
        self.learn_leaving(t_ns, left);
        births
    }

    /// Rate at which people leave, per second: those who left by the time that people were watched, and a prior.
    pub(super) fn leaving_per_s(&self) -> f64 {
        let population = &self.config.population;
        let prior = self.leaving_prior_per_s;
        (self.left[0] + prior * population.survival_prior_s) / (self.left[1] + population.survival_prior_s)
    }

    /// Learns from the tracks that were dropped and those that were watched since the last scan.
    fn learn_leaving(&mut self, t_ns: i64, left: f64) {
        let dt_s = self.learnt_ns.map_or(0.0, |then| seconds(then, t_ns));
        let fade = libm::exp(-dt_s / self.config.population.survival_memory_s);
        let people: f64 = self.tracks.glances().iter().filter(|g| g.shown).map(|g| g.existence).sum();
        self.left = [self.left[0] * fade + left, self.left[1] * fade + people * dt_s];
    }

    /// Works out the posterior mixture of the `k`th of the touched tracks; returns its new head.
    fn update_one(&mut self, k: usize, t_ns: i64, sensor: usize) -> Head {
        let upkeep = &self.config.upkeep;
        let i = self.touched[k] as usize;
        let mut head = *self.tracks.head(i);
        let (edges, detectable) = (self.graph.edges(k), self.detectable[k]);
        // Existing and unseen, given unseen.
        let silent = head.existence * (1.0 - detectable) / (1.0 - head.existence * detectable);
        let missed = self.graph.unseen[k] * silent;
        let shares = &self.graph.marginal[edges.clone()];
        let detections = &self.graph.detection[edges];
        let seen: f64 = shares.iter().sum();
        head.existence = (missed + seen).min(1.0);
        (head.best, head.best_share) = (None, 0.0);
        for (&j, &share) in detections.iter().zip(shares) {
            if share > head.best_share {
                head.best_share = share;
                head.best = Some(self.gate.seen[j as usize].index);
            }
        }
        if seen > 0.5 * head.existence {
            head.hit_ns = t_ns;
        }
        let per_existence = 1.0 / head.existence;
        let likelihoods = &self.likelihoods[self.likelihood_start[k] as usize..];
        let (prior, out) = self.tracks.rewrite(i);
        // Most tracks are sure: one Gaussian that met one detection, or none.
        if let [only] = prior {
            if detections.is_empty() {
                return head;
            }
            if detections.len() == 1
                && missed * per_existence < upkeep.candidate_min
                && seen * per_existence >= upkeep.candidate_min
            {
                self.room.settle_one(only, &self.gate.seen[detections[0] as usize], likelihoods[0], out);
                return head;
            }
        }
        let how = Reduction {
            candidates: upkeep.candidates,
            candidate_min: upkeep.candidate_min,
            merge_distance2: upkeep.merge_distance2,
            component_min: upkeep.component_min,
            components: if head.shown { upkeep.components } else { 1 },
        };
        self.room.clear();
        for ((&j, &share), likelihoods) in detections.iter().zip(shares).zip(likelihoods.chunks_exact(prior.len())) {
            if share * per_existence < upkeep.candidate_min {
                continue;
            }
            let total: f64 = likelihoods.iter().map(|l| l.sum()).sum();
            let scale = share * per_existence / total;
            for (k, l) in likelihoods.iter().enumerate() {
                self.room.offer(&how, l.sum() * scale, k, Some(j), *l);
            }
        }
        let scale = missed * per_existence / (1.0 - detectable);
        for (k, g) in prior.iter().enumerate() {
            let centre = g.centre();
            let hidden = 1.0 - self.rates.of(sensor).p_detect * self.fields[sensor].watched(centre[0], centre[1]);
            self.room.offer(&how, scale * g.weight * hidden, k, None, Pair::default());
        }
        self.room.settle(prior, &self.gate.seen, &how, out);
        head
    }
}
