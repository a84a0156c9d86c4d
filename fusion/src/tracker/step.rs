//! The tracker: one scan after the other, each step in the order that the module's text gives.

use super::apart::Apart;
use super::associate::Association;
use super::config::{Config, ConfigError, SensorModel};
use super::connect::Passage;
use super::estimate::{Detection, Gone, Refused, ScanReport, TrackEstimate};
use super::field::Field;
use super::gate::Gate;
use super::gaussian::{COMPONENTS_MAX, Gaussian};
use super::mixture::{Room, Seen};
use super::pair::Pair;
use super::rates::{Rates, Sensed, Tally};
use super::store::{Head, Stand, Tracks, covariance, mean, stationary};
use super::undetected::Undetected;

/// Nanoseconds per second.
const NS_PER_S: f64 = 1e9;

/// A tracker of people on one floor. See the [module](super) for what it does and an example.
///
/// A clone continues exactly as its original; it makes its working room anew, so its first scans allocate.
#[derive(Clone, Debug)]
pub struct Tracker {
    pub(super) config: Config,
    pub(super) sensors: Vec<SensorModel>,
    pub(super) fields: Vec<Field>,
    pub(super) undetected: Undetected,
    pub(super) rates: Rates,
    pub(super) tracks: Tracks,
    /// Tracks that the last scan concerned and that are still there, ascending.
    pub(super) touched: Vec<u32>,
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
    pub(super) gate: Gate,
    pub(super) room: Box<Room>,
    pub(super) graph: Association,
    pub(super) apart: Apart,
    /// Rate of leaving before anything was learnt, per second.
    pub(super) leaving_prior_per_s: f64,
    /// Per track that the scan concerns: probability of being detected by this sensor if it exists.
    pub(super) detectable: Vec<f64>,
    /// Per such track: since when it had been left alone, s.
    pub(super) since_s: Vec<f64>,
    /// Per edge and Gaussian: likelihood by mode, weights inside; `likelihood_start` gives a track's first.
    pub(super) likelihoods: Vec<Pair>,
    pub(super) likelihood_start: Vec<u32>,
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
            rates: Rates::new(&sensors),
            fields,
            sensors,
            tracks: Tracks::new(limits.tracks_max),
            touched: Vec::with_capacity(limits.tracks_max),
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
            leaving_prior_per_s: -libm::log(config.population.survival_per_s),
            detectable: Vec::with_capacity(limits.tracks_max),
            since_s: Vec::with_capacity(limits.tracks_max),
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
        let mut passage = self.pass(t_ns);
        let mut report = ScanReport::default();
        self.choose(sensor, t_ns);
        self.connect(sensor, &mut passage, &mut report);
        let upkeep = &self.config.upkeep;
        let effort = self.graph.solve(upkeep.association_tolerance, upkeep.association_sweeps_max);
        report.clusters = effort.clusters;
        report.largest_cluster = effort.largest;
        report.sweeps = effort.sweeps;
        report.unconverged = effort.capped;
        let since_s = self.learnt_ns.map_or(0.0, |then| seconds(then, t_ns));
        let mut tally = Tally::default();
        let births = self.update(t_ns, sensor, &mut report, &mut tally);
        self.begin(t_ns, sensor, &mut report, &mut tally);
        self.undetected.thin(sensor, self.rates.of(sensor).p_detect);
        self.undetected.learn(&self.config.population, births, since_s);
        self.rates.learn(sensor, &self.sensors[sensor], &tally, &self.config.learning);
        self.learnt_ns = Some(t_ns);
        self.tell_apart();
        Ok(report)
    }

    /// Lets time pass without a scan: tracks move and grow uncertain (when they are asked for, or the next scan concerns
    /// them); nobody is dropped but who has been out of every sensor's sight for longer than `silent_max_s`, or
    /// `silent_after_s` where they were never shown.
    ///
    /// # Errors
    /// `t_ns` is older than the tracker's time.
    pub fn advance(&mut self, t_ns: i64) -> Result<(), Refused> {
        self.check_time(t_ns)?;
        self.gone.clear();
        self.pass(t_ns);
        self.touched.clear();
        let (gone, upkeep) = (&mut self.gone, &self.config.upkeep);
        self.tracks.retain(|tracks, i| {
            let head = tracks.head(i);
            let lost = head.is_lost(t_ns, upkeep);
            if lost && head.shown {
                gone.push(head.gone(tracks.mixture(i), true));
            }
            !lost
        });
        self.tell_all_apart();
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

    /// Those of them that the last scan concerned: whom its sensor may see, whoever is close to those, and whoever was
    /// left alone for a tenth of a second. Of the others it said nothing; they have moved on as they were moving.
    pub fn touched(&self) -> impl Iterator<Item = TrackEstimate> + '_ {
        self.touched.iter().map(|&i| self.estimate(i as usize))
    }

    /// Those of them that were shown.
    pub fn touched_shown(&self) -> impl Iterator<Item = TrackEstimate> + '_ {
        let shown = self.touched.iter().filter(|&&i| self.tracks.glances()[i as usize].shown);
        shown.map(|&i| self.estimate(i as usize))
    }

    /// How many the last scan concerned.
    pub fn touched_count(&self) -> usize {
        self.touched.len()
    }

    /// One track, by its name.
    pub fn track(&self, id: u64) -> Option<TrackEstimate> {
        self.tracks.of_id(id).map(|i| self.estimate(i))
    }

    /// How many tracks there are, tentative ones too.
    pub fn track_count(&self) -> usize {
        self.tracks.len()
    }

    /// Tracks that had been shown and were dropped by the last call of [`Tracker::scan`] or [`Tracker::advance`].
    pub fn gone(&self) -> &[Gone] {
        &self.gone
    }

    /// Learnt birth rate, per m2 and second.
    pub fn birth_per_m2_s(&self) -> f64 {
        self.undetected.birth
    }

    /// How often a sensor detects, as the tracker reckons now: as declared at first, corrected as it is used. None for no
    /// sensor's number.
    pub fn sensed(&self, sensor: usize) -> Option<Sensed> {
        (sensor < self.sensors.len()).then(|| self.rates.of(sensor))
    }

    /// The settings that it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The sensors that it was made with.
    pub fn sensors(&self) -> &[SensorModel] {
        &self.sensors
    }

    /// Finds what to report of the place of each track that changed, and of its neighbours; whatever changes tracks must
    /// end with it.
    pub(super) fn tell_apart(&mut self) {
        self.apart.solve(&mut self.tracks, &self.touched, self.config.upkeep.report_existence);
    }

    /// The same where any track may have changed.
    pub(super) fn tell_all_apart(&mut self) {
        self.apart.solve_all(&mut self.tracks, self.config.upkeep.report_existence);
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
        self.gate.given.clear();
        for (index, detection) in detections.iter().enumerate() {
            let sigma = detection.sigma_m.unwrap_or(model.sigma_m);
            // Adding 0 makes -0 the same as 0.
            let (x, y) = (detection.x_m + 0.0, detection.y_m + 0.0);
            self.gate.given.push(Seen { x, y, var: sigma * sigma, index: index as u32 });
        }
        self.gate.arrange();
        Ok(())
    }

    /// Begins a tentative track at every detection that may be a person whom no track claims.
    fn begin(&mut self, t_ns: i64, sensor: usize, report: &mut ScanReport, tally: &mut Tally) {
        let (sensed, field) = (self.rates.of(sensor), &self.fields[sensor]);
        let (motion, upkeep) = (&self.config.motion, &self.config.upkeep);
        let mode = stationary(motion.turn_begin_per_s, motion.turn_end_per_s);
        for (j, seen) in self.gate.seen.iter().enumerate() {
            // `other` is clutter plus what undetected people make of it.
            if field.contains(seen.x, seen.y) {
                tally.nobody(sensed.clutter_per_m2 / self.graph.total[j]);
            }
            let people = self.graph.other[j] - sensed.clutter_per_m2;
            let existence = people / self.graph.total[j];
            // Never so strict that a detection which no track claims could not begin one: else, in much clutter, nobody would
            // ever be found.
            let unclaimed = people / self.graph.other[j];
            if existence <= upkeep.tentative_existence_min.min(0.5 * unclaimed) {
                continue;
            }
            let shown = existence > upkeep.report_existence;
            let head = Head {
                id: self.next_id.max(birth_id(t_ns, j)),
                existence,
                speed: self.usual_mps,
                born_ns: t_ns,
                hit_ns: t_ns,
                as_of_ns: t_ns,
                shown,
                came: self.undetected.came(seen.x, seen.y),
                paced: false,
                count: 1,
                best: Some(seen.index),
                best_share: existence,
            };
            let start = Gaussian::born(seen.x, seen.y, seen.var, motion.velocity_var_m2ps2, mode);
            if self.tracks.push(head, &[start]) {
                self.touched.push(self.tracks.len() as u32 - 1);
                self.next_id = head.id + 1;
                report.begun += 1;
                report.shown += u32::from(shown);
            } else {
                report.refused_tracks += 1;
            }
        }
    }

    /// A track as it is now: one that was left alone is moved for it.
    fn estimate(&self, i: usize) -> TrackEstimate {
        let (head, mixture) = (self.tracks.head(i), self.tracks.mixture(i));
        let now_ns = self.now_ns.unwrap_or(head.as_of_ns);
        let stand = self.tracks.stand(i);
        if head.as_of_ns == now_ns {
            let ([x, y], [u, v]) = (stand.mean, stand.velocity);
            return self.estimate_of(head, mixture, [x, y, u, v], stand);
        }
        let (mut head, mut moved) = (*head, [Gaussian::default(); COMPONENTS_MAX]);
        let moved = &mut moved[..mixture.len()];
        moved.copy_from_slice(mixture);
        Passage::new(now_ns, self.leaving_per_s()).predict(&self.config.motion, &mut head, moved);
        self.estimate_of(&head, moved, mean(moved), stand)
    }

    fn estimate_of(&self, head: &Head, mixture: &[Gaussian], mean: [f64; 4], stand: &Stand) -> TrackEstimate {
        let [x_m, y_m, vx_mps, vy_mps] = mean;
        let (place_cov_m2, velocity_cov_m2ps2) = covariance(mixture);
        let upkeep = &self.config.upkeep;
        let (x_m, y_m) = (x_m + stand.shift[0], y_m + stand.shift[1]);
        let c2 = upkeep.report_distance_m * upkeep.report_distance_m;
        let worth = head.existence * (1.0 - (stand.doubt / c2).min(1.0));
        let silent_s = seconds(head.hit_ns, head.as_of_ns);
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

/// The number of a track that detection `j` (in canonical order) of a scan at `t_ns` begins. It depends on that detection
/// alone, so that the track has it again when the scan is run again and others were run before it: whoever runs late scans
/// in order knows the tracks that stayed by it. Numbers still only grow: the caller takes the next free one where that is
/// higher (scans within 2 us of each other).
fn birth_id(t_ns: i64, j: usize) -> u64 {
    ((t_ns.max(0).unsigned_abs() >> 11) << 12) | (j as u64).min(0xFFF)
}

/// Seconds from `then` to `now`, ns (0 if `now` is earlier or too far for an i64).
pub(super) fn seconds(then: i64, now: i64) -> f64 {
    now.saturating_sub(then).max(0) as f64 / NS_PER_S
}
