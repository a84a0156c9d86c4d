//! Time passes and a scan's detections meet the tracks: each that the scan concerns is moved and then, while it is at hand,
//! its gate, the likelihoods of the detections in it and its edges in the association graph are found.

use super::config::Motion;
use super::estimate::ScanReport;
use super::gaussian::{COMPONENTS_MAX, Expectation, Gaussian, Step};
use super::pair::Pair;
use super::step::{Tracker, seconds};
use super::store::Head;

/// What time does to tracks, up to `t_ns`. Most tracks that a scan concerns were last moved by the same scan, so what was
/// worked out for the one before is kept.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    t_ns: i64,
    leaving_per_s: f64,
    since_ns: i64,
    walk: Option<Step>,
    coast: Option<Step>,
    survival: f64,
}

impl Passage {
    /// Up to `t_ns`, where so many leave per second.
    pub(super) fn new(t_ns: i64, leaving_per_s: f64) -> Self {
        Passage { t_ns, leaving_per_s, since_ns: t_ns, walk: None, coast: None, survival: 1.0 }
    }

    /// Moves a track; false if no time has passed since it was moved last.
    #[inline]
    pub(super) fn predict(&mut self, motion: &Motion, head: &mut Head, mixture: &mut [Gaussian]) -> bool {
        let dt_s = seconds(head.as_of_ns, self.t_ns);
        if dt_s <= 0.0 {
            return false;
        }
        if self.since_ns != head.as_of_ns {
            self.since_ns = head.as_of_ns;
            self.survival = libm::exp(-self.leaving_per_s * dt_s);
            (self.walk, self.coast) = (None, None);
        }
        head.existence *= self.survival;
        let step = if seconds(head.hit_ns, self.t_ns) > motion.coast_after_s {
            self.coast.get_or_insert_with(|| Step::coast(motion, dt_s))
        } else {
            self.walk.get_or_insert_with(|| Step::walk(motion, dt_s))
        };
        for gaussian in mixture {
            gaussian.predict(step, head.speed);
        }
        head.as_of_ns = self.t_ns;
        true
    }
}

impl Tracker {
    /// It is `t_ns` now; the undetected are moved, the tracks are left to the caller.
    pub(super) fn pass(&mut self, t_ns: i64) -> Passage {
        let leaving_per_s = self.leaving_per_s();
        self.now_ns = Some(t_ns);
        self.undetected.pass(&self.config.population, leaving_per_s, t_ns);
        Passage::new(t_ns, leaving_per_s)
    }

    /// Moves every track that the scan concerns and builds the graph of those and the detections.
    pub(super) fn connect(&mut self, sensor: usize, passage: &mut Passage, report: &mut ScanReport) {
        let Tracker { config, tracks, touched, gate, graph, undetected, .. } = self;
        let (detectable, likelihoods, likelihood_start, since_s) =
            (&mut self.detectable, &mut self.likelihoods, &mut self.likelihood_start, &mut self.since_s);
        let (field, upkeep, sensed) = (&self.fields[sensor], &config.upkeep, self.rates.of(sensor));
        let own_var = self.sensors[sensor].sigma_m * self.sensors[sensor].sigma_m;
        let widest_var = gate.seen.iter().map(|s| s.var).fold(own_var, f64::max);
        let edge_min = upkeep.edge_min * sensed.clutter_per_m2;
        detectable.clear();
        likelihoods.clear();
        likelihood_start.clear();
        since_s.clear();
        graph.begin(gate.seen.iter().map(|seen| {
            let undetected = if field.contains(seen.x, seen.y) { undetected.at(seen.x, seen.y) } else { 0.0 };
            sensed.clutter_per_m2 + sensed.p_detect * undetected
        }));
        let mut expectations = [Expectation::default(); COMPONENTS_MAX];
        let mut reaches = [0.0; COMPONENTS_MAX];
        for &i in &*touched {
            let (head, mixture) = tracks.one_mut(i as usize);
            since_s.push(seconds(head.as_of_ns, passage.t_ns));
            passage.predict(&config.motion, head, mixture);
            let mixture = &*mixture;
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
