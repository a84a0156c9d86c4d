//! The tracker: one scan after the other, each step in the order that the module's text gives.

use super::apart::Apart;
use super::associate::Association;
use super::config::{Config, ConfigError, SensorModel};
use super::estimate::{Detection, Gone, Refused, ScanReport, TrackEstimate};
use super::field::Field;
use super::gate::Gate;
use super::gaussian::{COMPONENTS_MAX, Expectation, Gaussian, Step};
use super::mixture::{Candidates, Reduction, Room, Seen};
use super::pair::Pair;
use super::store::{Head, Tracks, stationary};
use super::undetected::Undetected;

/// Nanoseconds per second.
const NS_PER_S: f64 = 1e9;

/// A tracker of people on one floor. See the [module](super) for what it does and an example.
///
/// A clone continues exactly as its original; it makes its working room anew, so its first scans allocate.
#[derive(Clone, Debug)]
pub struct Tracker {
    pub(super) config: Config,
    sensors: Vec<SensorModel>,
    fields: Vec<Field>,
    pub(super) undetected: Undetected,
    pub(super) tracks: Tracks,
    pub(super) now_ns: Option<i64>,
    /// Time of the last scan, up to which births were learnt.
    pub(super) learnt_ns: Option<i64>,
    pub(super) next_id: u64,
    /// Speed at which people here walk, m/s: what a new track is taken to have.
    pub(super) usual_mps: f64,
    /// Who left and how long people were watched, s: what survival is learnt from.
    pub(super) left: [f64; 2],
    /// Shown tracks dropped by the last call.
    pub(super) gone: Vec<Gone>,
    /// The scan's detections in canonical order.
    gate: Gate,
    room: Box<Room>,
    graph: Association,
    pub(super) apart: Apart,
    /// Per track and Gaussian: what it expects of a detection with the sensor's own variance.
    expectations: Vec<[Expectation; COMPONENTS_MAX]>,
    /// Per track: probability of being detected by this sensor if it exists.
    detectable: Vec<f64>,
    /// Per edge and Gaussian: likelihood by mode, weights inside; `likelihood_start` gives a track's first.
    likelihoods: Vec<Pair>,
    likelihood_start: Vec<u32>,
}

impl Tracker {
    /// A tracker of nobody yet. Sensors are then named by their index in `sensors`.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn new(config: Config, sensors: Vec<SensorModel>) -> Result<Self, ConfigError> {
        config.check()?;
        if sensors.is_empty() || sensors.len() > 65_535 {
            return Err(ConfigError::Sensors(sensors.len()));
        }
        for (index, sensor) in sensors.iter().enumerate() {
            sensor.check(index)?;
        }
        let fields: Vec<Field> = sensors.iter().map(|s| Field::new(&s.field_of_view)).collect();
        let limits = &config.limits;
        Ok(Tracker {
            undetected: Undetected::new(&config.population, &sensors, &fields, limits.cells_max),
            fields,
            sensors,
            tracks: Tracks::new(limits.tracks_max),
            now_ns: None,
            learnt_ns: None,
            next_id: 1,
            usual_mps: config.motion.speed_mps,
            left: [0.0; 2],
            gone: Vec::with_capacity(limits.tracks_max),
            gate: Gate::new(limits.detections_max),
            apart: Apart::new(limits.tracks_max, config.upkeep.apart_m),
            room: Box::default(),
            graph: Association::new(limits.tracks_max, limits.detections_max, limits.edges_max),
            expectations: Vec::with_capacity(limits.tracks_max),
            detectable: Vec::with_capacity(limits.tracks_max),
            likelihoods: Vec::with_capacity(limits.edges_max * COMPONENTS_MAX),
            likelihood_start: Vec::with_capacity(limits.tracks_max),
            config,
        })
    }

    /// Uses a scan that sensor number `sensor` made at `t_ns`: everything it detected, nothing for nobody.
    ///
    /// # Errors
    /// The scan is refused whole, and nothing is changed, if it is older than the tracker's time, of an unknown sensor,
    /// too long, or has a detection that is not a number, beyond 1e7 m or without variance.
    pub fn scan(&mut self, t_ns: i64, sensor: usize, detections: &[Detection]) -> Result<ScanReport, Refused> {
        self.take_in(t_ns, sensor, detections)?;
        self.gone.clear();
        self.predict(t_ns);
        let mut report = ScanReport::default();
        self.connect(sensor, &mut report);
        let upkeep = &self.config.upkeep;
        let effort = self.graph.solve(upkeep.association_tolerance, upkeep.association_sweeps_max);
        report.clusters = effort.clusters;
        report.largest_cluster = effort.largest;
        report.sweeps = effort.sweeps;
        report.unconverged = effort.capped;
        let since_s = self.learnt_ns.map_or(0.0, |then| seconds(then, t_ns));
        let births = self.update(t_ns, sensor, &mut report);
        self.remember_speeds(t_ns, since_s);
        self.begin(t_ns, sensor, &mut report);
        self.undetected.thin(sensor, self.sensors[sensor].p_detect);
        self.undetected.learn(&self.config.population, births, since_s);
        self.learnt_ns = Some(t_ns);
        self.tell_apart();
        Ok(report)
    }

    /// Lets time pass without a scan: tracks move and grow uncertain; nobody is dropped but who has been out of every
    /// sensor's sight for longer than `silent_max_s`.
    ///
    /// # Errors
    /// `t_ns` is older than the tracker's time.
    pub fn advance(&mut self, t_ns: i64) -> Result<(), Refused> {
        self.check_time(t_ns)?;
        self.gone.clear();
        self.predict(t_ns);
        let mut kept = 0;
        for i in 0..self.tracks.len() {
            if self.is_lost(i, t_ns) {
                self.note_gone(i, true);
            } else {
                self.tracks.shift(i, kept);
                kept += 1;
            }
        }
        self.tracks.truncate(kept);
        self.tell_apart();
        Ok(())
    }

    /// Time of the last scan or advance, ns.
    pub fn now_ns(&self) -> Option<i64> {
        self.now_ns
    }

    /// All tracks, tentative ones too, in the order of their ids. Allocates nothing.
    pub fn tracks(&self) -> impl Iterator<Item = TrackEstimate> + '_ {
        (0..self.tracks.len()).map(|i| self.estimate(i))
    }

    /// Tracks that had been shown and were dropped by the last call of [`Tracker::scan`] or [`Tracker::advance`].
    pub fn gone(&self) -> &[Gone] {
        &self.gone
    }

    /// Learnt birth rate, per m2 and second.
    pub fn birth_per_m2_s(&self) -> f64 {
        self.undetected.birth
    }

    /// The settings that it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The sensors that it was made with.
    pub fn sensors(&self) -> &[SensorModel] {
        &self.sensors
    }

    /// Finds what to report of each track's place; whatever changes the tracks must end with it.
    pub(super) fn tell_apart(&mut self) {
        self.apart.solve(&self.tracks, self.config.upkeep.report_existence);
    }

    fn check_time(&self, t_ns: i64) -> Result<(), Refused> {
        match self.now_ns {
            Some(now) if t_ns < now => Err(Refused::Late { late_ns: now.saturating_sub(t_ns) }),
            _ => Ok(()),
        }
    }

    /// Checks a scan and copies it in canonical order: by x, y, variance, so that the order given means nothing.
    fn take_in(&mut self, t_ns: i64, sensor: usize, detections: &[Detection]) -> Result<(), Refused> {
        self.check_time(t_ns)?;
        let Some(model) = self.sensors.get(sensor) else {
            return Err(Refused::Sensor { sensor, sensors: self.sensors.len() });
        };
        let max = self.config.limits.detections_max;
        if detections.len() > max {
            return Err(Refused::TooMany { detections: detections.len(), max });
        }
        for (index, detection) in detections.iter().enumerate() {
            detection.check(index)?;
        }
        self.gate.seen.clear();
        for (index, detection) in detections.iter().enumerate() {
            let sigma = detection.sigma_m.unwrap_or(model.sigma_m);
            // Adding 0 makes -0 the same as 0.
            let (x, y) = (detection.x_m + 0.0, detection.y_m + 0.0);
            self.gate.seen.push(Seen { x, y, var: sigma * sigma, index: index as u32, row: 0 });
        }
        self.gate.arrange();
        Ok(())
    }

    /// Moves everything to `t_ns`.
    fn predict(&mut self, t_ns: i64) {
        let since = self.now_ns.replace(t_ns);
        let Some(then) = since else { return };
        let dt_s = seconds(then, t_ns);
        if dt_s <= 0.0 {
            return;
        }
        let motion = &self.config.motion;
        let (walk, coast) = (Step::walk(motion, dt_s), Step::coast(motion, dt_s));
        let survival = libm::exp(-self.leaving_per_s() * dt_s);
        for i in 0..self.tracks.len() {
            let head = &mut self.tracks.heads[i];
            head.existence *= survival;
            let (speed, silent_s) = (head.speed, seconds(head.hit_ns, t_ns));
            let step = if silent_s > motion.coast_after_s { &coast } else { &walk };
            for gaussian in self.tracks.mixture_mut(i) {
                gaussian.predict(step, speed);
            }
        }
        self.undetected.predict(&self.config.population, survival, dt_s);
    }

    /// Builds the graph of tracks and detections: expectations, gates, likelihoods, edges.
    fn connect(&mut self, sensor: usize, report: &mut ScanReport) {
        let model = &self.sensors[sensor];
        let field = &self.fields[sensor];
        let own_var = model.sigma_m * model.sigma_m;
        let widest_var = self.gate.seen.iter().map(|s| s.var).fold(own_var, f64::max);
        let edge_min = self.config.upkeep.edge_min * model.clutter_per_m2;
        self.graph.clear();
        self.expectations.clear();
        self.detectable.clear();
        self.likelihoods.clear();
        self.likelihood_start.clear();
        for seen in &self.gate.seen {
            let undetected = if field.contains(seen.x, seen.y) { self.undetected.at(seen.x, seen.y) } else { 0.0 };
            self.graph.other.push(model.clutter_per_m2 + model.p_detect * undetected);
        }
        for i in 0..self.tracks.len() {
            let head = &self.tracks.heads[i];
            let mixture = self.tracks.mixture(i);
            let gate = if head.shown { self.config.upkeep.gate_shown } else { self.config.upkeep.gate_tentative };
            let mut expectations = [Expectation::default(); COMPONENTS_MAX];
            let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
            let mut detectable = 0.0;
            let mut reaches = [0.0; COMPONENTS_MAX];
            for ((g, e), reach) in mixture.iter().zip(&mut expectations).zip(&mut reaches) {
                *e = g.expect(own_var);
                let centre = g.centre();
                *reach = field.reach(centre[0], centre[1]);
                if *reach > 0.0 {
                    // A miss speaks only against who is inside; a detection may be of who is thought just outside.
                    if *reach == 1.0 {
                        detectable += g.weight * model.p_detect;
                    }
                    e.density = e.density * (g.weight * model.p_detect * *reach);
                    g.widen(widest_var, gate, &mut low, &mut high);
                } else {
                    e.density = Pair::default();
                }
            }
            let per_psi = head.existence / (1.0 - head.existence * detectable);
            self.likelihood_start.push(self.likelihoods.len() as u32);
            for row in self.gate.rows(low[1], high[1]) {
                for j in self.gate.from(row, low[0]) {
                    let seen = &self.gate.seen[j];
                    if seen.x > high[0] {
                        break;
                    }
                    if seen.y < low[1] || seen.y > high[1] {
                        continue;
                    }
                    let mut each = [Pair::default(); COMPONENTS_MAX];
                    let mut sum = 0.0;
                    for (((g, e), reach), l) in mixture.iter().zip(&expectations).zip(&reaches).zip(&mut each) {
                        *l = if seen.var == own_var {
                            g.likelihood(e, seen.x, seen.y)
                        } else if e.density == Pair::default() {
                            Pair::default()
                        } else {
                            g.likelihood(&g.expect(seen.var), seen.x, seen.y) * (g.weight * model.p_detect * reach)
                        };
                        sum += l.sum();
                    }
                    let psi = per_psi * sum;
                    if psi < edge_min || psi <= 0.0 {
                        continue;
                    }
                    if self.graph.push_edge(j as u32, psi) {
                        self.likelihoods.extend_from_slice(&each[..mixture.len()]);
                    } else {
                        report.refused_edges += 1;
                    }
                }
            }
            self.graph.end_track();
            self.expectations.push(expectations);
            self.detectable.push(detectable);
        }
    }

    /// Gives every track its posterior, drops those that are probably nobody. Returns how many proved to be births.
    fn update(&mut self, t_ns: i64, sensor: usize, report: &mut ScanReport) -> f64 {
        let mut births = 0.0;
        let mut left = 0.0;
        let mut kept = 0;
        for i in 0..self.tracks.len() {
            let existence = self.update_one(i, t_ns, sensor);
            let upkeep = &self.config.upkeep;
            let population = &self.config.population;
            let head = &mut self.tracks.heads[i];
            head.existence = existence;
            if existence > upkeep.report_existence && !head.shown {
                head.shown = true;
                report.shown += 1;
            }
            if head.came > 0.0
                && existence > population.birth_existence
                && seconds(head.born_ns, t_ns) >= population.birth_age_s
            {
                births += head.came;
                head.came = 0.0;
            }
            let min = if head.shown { upkeep.shown_existence_min } else { upkeep.tentative_existence_min };
            let lost = self.is_lost(i, t_ns);
            // A scan that could not see a track is no reason to drop it: one begun below `min` waits for its own sensor.
            if (existence > min || self.detectable[i] <= 0.0) && !lost {
                self.tracks.shift(i, kept);
                kept += 1;
            } else {
                let head = &self.tracks.heads[i];
                report.gone += u32::from(head.shown);
                let watched = head.shown && !lost && seconds(head.born_ns, t_ns) >= self.config.population.birth_age_s;
                left += f64::from(u8::from(watched));
                self.note_gone(i, lost);
            }
        }
        self.tracks.truncate(kept);
        self.learn_leaving(t_ns, left);
        births
    }

    /// Rate at which people leave, per second: those who left by the time that people were watched, and a prior.
    fn leaving_per_s(&self) -> f64 {
        let population = &self.config.population;
        let prior = -libm::log(population.survival_per_s);
        (self.left[0] + prior * population.survival_prior_s) / (self.left[1] + population.survival_prior_s)
    }

    /// Learns from the tracks that were dropped and those that were watched since the last scan.
    fn learn_leaving(&mut self, t_ns: i64, left: f64) {
        let dt_s = self.learnt_ns.map_or(0.0, |then| seconds(then, t_ns));
        let fade = libm::exp(-dt_s / self.config.population.survival_memory_s);
        let people: f64 = self.tracks.heads.iter().filter(|h| h.shown).map(|h| h.existence).sum();
        self.left = [self.left[0] * fade + left, self.left[1] * fade + people * dt_s];
    }

    /// Posterior mixture, provenance and remembered speed of track `i`; returns its existence.
    fn update_one(&mut self, i: usize, t_ns: i64, sensor: usize) -> f64 {
        let upkeep = &self.config.upkeep;
        let edges = self.graph.edges(i);
        let head = self.tracks.heads[i];
        let mixture = self.tracks.mixture(i);
        let (n, detectable) = (mixture.len(), self.detectable[i]);
        // Existing and unseen, given unseen.
        let silent = head.existence * (1.0 - detectable) / (1.0 - head.existence * detectable);
        let missed = self.graph.unseen[i] * silent;
        let seen: f64 = self.graph.marginal[edges.clone()].iter().sum();
        let existence = (missed + seen).min(1.0);
        let mut candidates = Candidates::new(upkeep.candidates, upkeep.candidate_min);
        let per_existence = 1.0 / existence;
        let (mut best, mut best_share) = (None, 0.0);
        let mut at = self.likelihood_start[i] as usize;
        for e in edges {
            let share = self.graph.marginal[e];
            let likelihoods = &self.likelihoods[at..at + n];
            at += n;
            if share > best_share {
                best_share = share;
                best = Some(self.gate.seen[self.graph.detection[e] as usize].index);
            }
            if share * per_existence < upkeep.candidate_min {
                continue;
            }
            let total: f64 = likelihoods.iter().map(|l| l.sum()).sum();
            let scale = share * per_existence / total;
            for (k, l) in likelihoods.iter().enumerate() {
                candidates.offer(l.sum() * scale, k, Some(self.graph.detection[e]), *l);
            }
        }
        let scale = missed * per_existence / (1.0 - detectable);
        for (k, g) in mixture.iter().enumerate() {
            let centre = g.centre();
            let inside = self.fields[sensor].contains(centre[0], centre[1]);
            let hidden = if inside { 1.0 - self.sensors[sensor].p_detect } else { 1.0 };
            candidates.offer(scale * g.weight * hidden, k, None, Pair::default());
        }
        let components = if head.shown { upkeep.components } else { 1 };
        let how =
            Reduction { merge_distance2: upkeep.merge_distance2, component_min: upkeep.component_min, components };
        let count = candidates.settle(mixture, &self.gate.seen, how, &mut self.room);
        if count > 0 {
            self.tracks.set_mixture(i, &self.room.out[..count]);
        }
        let head = &mut self.tracks.heads[i];
        head.best = best;
        head.best_share = best_share;
        if seen > 0.5 * existence {
            head.hit_ns = t_ns;
        }
        existence
    }

    /// Lets every track remember the speed that it now has, the better it is known the more, and learns from
    /// new ones how fast people here walk.
    fn remember_speeds(&mut self, t_ns: i64, dt_s: f64) {
        let motion = &self.config.motion;
        let per_memory = dt_s / motion.speed_memory_s;
        for i in 0..self.tracks.len() {
            let [_, _, vx, vy] = self.tracks.mean(i);
            let known = KNOWN_SPEED_VAR / (KNOWN_SPEED_VAR + self.tracks.velocity_doubt(i));
            let head = &mut self.tracks.heads[i];
            let now = (vx * vx + vy * vy).sqrt();
            head.speed += (per_memory * known).min(1.0) * (now - head.speed);
            // Once per track, when it is as old as a birth: people who stand for long count no more than those who pass.
            if !head.paced && head.shown && seconds(head.born_ns, t_ns) >= self.config.population.birth_age_s {
                head.paced = true;
                self.usual_mps += (now - self.usual_mps) / motion.usual_speed_tracks;
            }
        }
    }

    /// Begins a tentative track at every detection that may be a person whom no track claims.
    fn begin(&mut self, t_ns: i64, sensor: usize, report: &mut ScanReport) {
        let model = &self.sensors[sensor];
        let (motion, upkeep) = (&self.config.motion, &self.config.upkeep);
        let mode = stationary(motion.turn_begin_per_s, motion.turn_end_per_s);
        for (j, seen) in self.gate.seen.iter().enumerate() {
            // `other` is clutter plus what undetected people make of it.
            let people = self.graph.other[j] - model.clutter_per_m2;
            let existence = people / self.graph.total[j];
            // Never so strict that a detection which no track claims could not begin one: else, in much clutter, nobody would
            // ever be found.
            let unclaimed = people / self.graph.other[j];
            if existence <= upkeep.tentative_existence_min.min(0.5 * unclaimed) {
                continue;
            }
            let shown = existence > upkeep.report_existence;
            let head = Head {
                id: self.next_id,
                existence,
                speed: self.usual_mps,
                born_ns: t_ns,
                hit_ns: t_ns,
                shown,
                came: self.undetected.came(seen.x, seen.y),
                paced: false,
                count: 1,
                best: Some(seen.index),
                best_share: existence,
            };
            let start = Gaussian::born(seen.x, seen.y, seen.var, motion.velocity_var_m2ps2, mode);
            if self.tracks.push(head, &[start]) {
                self.next_id += 1;
                report.begun += 1;
                report.shown += u32::from(shown);
            } else {
                report.refused_tracks += 1;
            }
        }
    }

    /// True if no sensor could see track `i` for too long.
    fn is_lost(&self, i: usize, t_ns: i64) -> bool {
        seconds(self.tracks.heads[i].hit_ns, t_ns) > self.config.upkeep.silent_max_s
    }

    /// Lists track `i` as gone if it had been shown.
    fn note_gone(&mut self, i: usize, unseen: bool) {
        let head = self.tracks.heads[i];
        if head.shown {
            let [x_m, y_m, _, _] = self.tracks.mean(i);
            self.gone.push(Gone { id: head.id, x_m, y_m, hit_ns: head.hit_ns, unseen });
        }
    }

    fn estimate(&self, i: usize) -> TrackEstimate {
        let head = &self.tracks.heads[i];
        let [x_m, y_m, vx_mps, vy_mps] = self.tracks.mean(i);
        let (place_cov_m2, velocity_cov_m2ps2) = self.tracks.covariance(i);
        let upkeep = &self.config.upkeep;
        let shift = self.apart.shift[i];
        let (x_m, y_m) = (x_m + shift[0], y_m + shift[1]);
        let c2 = upkeep.report_distance_m * upkeep.report_distance_m;
        let d2 = self.apart.doubt[i];
        let worth = head.existence * (1.0 - (d2 / c2).min(1.0));
        let silent_s = self.now_ns.map_or(0.0, |now| seconds(head.hit_ns, now));
        TrackEstimate {
            id: head.id,
            x_m,
            y_m,
            vx_mps,
            vy_mps,
            place_cov_m2,
            velocity_cov_m2ps2,
            existence: head.existence,
            reported: worth > upkeep.report_existence && silent_s <= upkeep.silent_after_s,
            shown: head.shown,
            born_ns: head.born_ns,
            hit_ns: head.hit_ns,
            detection: head.best.map(|j| j as usize),
            detection_share: head.best_share,
        }
    }
}

/// A velocity variance (trace, (m/s)2) at which the speed memory learns at half its rate.
const KNOWN_SPEED_VAR: f64 = 0.1;

/// Seconds from `then` to `now`, ns (0 if `now` is earlier or too far for an i64).
fn seconds(then: i64, now: i64) -> f64 {
    now.saturating_sub(then).max(0) as f64 / NS_PER_S
}
