//! Time passes and a scan's detections meet the tracks: each track is moved and then, while it is at hand, its gate, the
//! likelihoods of the detections in it and its edges in the association graph are found.

use super::config::Motion;
use super::estimate::ScanReport;
use super::gaussian::{COMPONENTS_MAX, Expectation, Step};
use super::pair::Pair;
use super::step::{Tracker, seconds};
use super::store::Tracks;

/// What the time since the last step does to every track.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passage {
    walk: Step,
    coast: Step,
    /// Probability of being still there.
    survival: f64,
    t_ns: i64,
    coast_after_s: f64,
}

impl Passage {
    fn new(motion: &Motion, survival: f64, dt_s: f64, t_ns: i64) -> Self {
        let (walk, coast) = (Step::walk(motion, dt_s), Step::coast(motion, dt_s));
        Passage { walk, coast, survival, t_ns, coast_after_s: motion.coast_after_s }
    }

    /// Moves track `i`.
    #[inline]
    pub(super) fn predict(&self, tracks: &mut Tracks, i: usize) {
        let head = &mut tracks.heads[i];
        head.existence *= self.survival;
        let (speed, silent_s) = (head.speed, seconds(head.hit_ns, self.t_ns));
        let step = if silent_s > self.coast_after_s { &self.coast } else { &self.walk };
        for gaussian in tracks.mixture_mut(i) {
            gaussian.predict(step, speed);
        }
    }
}

impl Tracker {
    /// It is `t_ns` now; the undetected are moved, the tracks are left to the caller. None if no time has passed.
    pub(super) fn pass(&mut self, t_ns: i64) -> Option<Passage> {
        let dt_s = seconds(self.now_ns.replace(t_ns)?, t_ns);
        if dt_s <= 0.0 {
            return None;
        }
        let survival = libm::exp(-self.leaving_per_s() * dt_s);
        self.undetected.predict(&self.config.population, survival, dt_s);
        Some(Passage::new(&self.config.motion, survival, dt_s, t_ns))
    }

    /// Moves every track and builds the graph of tracks and detections.
    pub(super) fn connect(&mut self, sensor: usize, passage: Option<&Passage>, report: &mut ScanReport) {
        let Tracker { config, tracks, gate, graph, undetected, .. } = self;
        let (detectable, likelihoods, likelihood_start) =
            (&mut self.detectable, &mut self.likelihoods, &mut self.likelihood_start);
        let (field, upkeep, sensed) = (&self.fields[sensor], &config.upkeep, self.rates.of(sensor));
        let own_var = self.sensors[sensor].sigma_m * self.sensors[sensor].sigma_m;
        let widest_var = gate.seen.iter().map(|s| s.var).fold(own_var, f64::max);
        let edge_min = upkeep.edge_min * sensed.clutter_per_m2;
        detectable.clear();
        likelihoods.clear();
        likelihood_start.clear();
        graph.begin(gate.seen.iter().map(|seen| {
            let undetected = if field.contains(seen.x, seen.y) { undetected.at(seen.x, seen.y) } else { 0.0 };
            sensed.clutter_per_m2 + sensed.p_detect * undetected
        }));
        let mut expectations = [Expectation::default(); COMPONENTS_MAX];
        let mut reaches = [0.0; COMPONENTS_MAX];
        for i in 0..tracks.len() {
            if let Some(passage) = passage {
                passage.predict(tracks, i);
            }
            let (head, mixture) = (&tracks.heads[i], tracks.mixture(i));
            let gate_sigmas = if head.shown { upkeep.gate_shown } else { upkeep.gate_tentative };
            let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
            let mut seen_by = 0.0;
            for ((g, e), reach) in mixture.iter().zip(&mut expectations).zip(&mut reaches) {
                let centre = g.centre();
                *reach = field.reach(centre[0], centre[1]);
                *e = Expectation::default();
                if *reach > 0.0 {
                    // A miss speaks only against who is inside and behind no wall; a detection may be of who is thought just outside.
                    if *reach == 1.0 {
                        seen_by += g.weight * sensed.p_detect * field.watched(centre[0], centre[1]);
                    }
                    // Where nothing was detected, nothing is expected of a detection.
                    if !gate.seen.is_empty() {
                        *e = g.expect(own_var);
                        e.density = e.density * (g.weight * sensed.p_detect * *reach);
                        g.widen(widest_var, gate_sigmas, &mut low, &mut high);
                    }
                }
            }
            let per_psi = head.existence / (1.0 - head.existence * seen_by);
            likelihood_start.push(likelihoods.len() as u32);
            gate.for_each_in(low, high, |j, seen| {
                let mut each = [Pair::default(); COMPONENTS_MAX];
                let mut sum = 0.0;
                for (((g, e), reach), l) in mixture.iter().zip(&expectations).zip(&reaches).zip(&mut each) {
                    *l = if seen.var == own_var {
                        g.likelihood(e, seen.x, seen.y)
                    } else if e.density == Pair::default() {
                        Pair::default()
                    } else {
                        g.likelihood(&g.expect(seen.var), seen.x, seen.y) * (g.weight * sensed.p_detect * reach)
                    };
                    sum += l.sum();
                }
                let psi = per_psi * sum;
                if psi < edge_min || psi <= 0.0 {
                    return;
                }
                if graph.push_edge(j, psi) {
                    likelihoods.extend_from_slice(&each[..mixture.len()]);
                } else {
                    report.refused_edges += 1;
                }
            });
            graph.end_track();
            detectable.push(seen_by);
        }
    }
}
