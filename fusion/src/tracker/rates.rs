//! How often each sensor detects who is there, and how often nobody: learnt while it runs.
//!
//! What a site declares of a sensor is a guess, and a detection probability that is a twentieth wrong costs more than most
//! ideas gain. So every scan is counted: of the tracks that surely are somebody in sight, how many it saw; of its
//! detections, how many were nobody; both by the probabilities that the association found, which is one step of
//! expectation and maximisation (Dempster, Laird and Rubin 1977) over all that is remembered. The declared values are the
//! prior, of a beta distribution and a gamma distribution, worth so many looks and scans ([`Learning`]). What is
//! remembered is bounded, not by time but by what was counted: a night in which nobody comes teaches nothing and makes
//! nothing forgotten.
//!
//! What is used stays near what was declared ([`Sensed::bounded`]), so that a sensor that is covered or gone mad does not
//! teach the tracker to believe it.

use super::config::{Learning, SensorModel};
use serde::{Deserialize, Serialize};

/// The least share of the declared detection probability, and of its complement, that is used.
const DETECT_SHARE_MIN: f64 = 0.5;
/// See there.
const MISS_SHARE_MIN: f64 = 0.1;
/// Never more sure than that.
const DETECT_MAX: f64 = 0.999;
/// By so much may the false detections be fewer or more than declared.
const CLUTTER_FACTOR: f64 = 5.0;

/// How often a sensor detects: what the tracker reckons with now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sensed {
    /// Probability that a person in the field of view is detected in a scan.
    pub p_detect: f64,
    /// False detections per scan and m2 of the field of view.
    pub clutter_per_m2: f64,
}

/// What was counted of a sensor's scans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// People in sight, and those of them who were detected.
    looks: f64,
    hits: f64,
    /// Scans, and detections of nobody in them.
    scans: f64,
    clutter: f64,
}

/// What one scan adds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    looks: f64,
    hits: f64,
    clutter: f64,
}

impl Tally {
    /// A track that is somebody with probability `existence` (after the scan) was in sight, and seen with probability `hit`.
    #[inline]
    pub(crate) fn look(&mut self, existence: f64, hit: f64) {
        self.looks += existence;
        self.hits += hit.min(existence);
    }

    /// A detection is nobody with that probability.
    #[inline]
    pub(crate) fn nobody(&mut self, p: f64) {
        self.clutter += p;
    }
}

impl Counted {
    /// True if every number is one that counting can reach.
    pub(crate) fn is_sound(&self) -> bool {
        [self.looks, self.hits, self.scans, self.clutter].iter().all(|n| n.is_finite() && *n >= 0.0)
            && self.hits <= self.looks
    }

    /// A scan was counted; what is more than may be remembered fades.
    fn add(&mut self, tally: &Tally, learning: &Learning) {
        let keep = (1.0 - tally.looks / learning.looks_max).max(0.0);
        (self.looks, self.hits) = (self.looks * keep + tally.looks, self.hits * keep + tally.hits);
        let keep = (1.0 - 1.0 / learning.scans_max).max(0.0);
        (self.scans, self.clutter) = (self.scans * keep + 1.0, self.clutter * keep + tally.clutter);
    }
}

impl Sensed {
    /// As declared.
    fn declared(model: &SensorModel) -> Self {
        Sensed { p_detect: model.p_detect, clutter_per_m2: model.clutter_per_m2 }
    }

    /// What was declared, corrected by what was counted: the means of the two posteriors.
    fn learnt(model: &SensorModel, area_m2: f64, counted: &Counted, learning: &Learning) -> Self {
        let (looks, scans) = (learning.prior_looks, learning.prior_scans);
        let clutter = model.clutter_per_m2 * area_m2;
        let found = Sensed {
            p_detect: (model.p_detect * looks + counted.hits) / (looks + counted.looks),
            clutter_per_m2: (clutter * scans + counted.clutter) / ((scans + counted.scans) * area_m2),
        };
        found.bounded(model)
    }

    /// Held near what was declared: people are missed at least a tenth as often and detected at least half as often, and
    /// clutter is within a factor of five.
    fn bounded(self, model: &SensorModel) -> Self {
        let p_max = (1.0 - MISS_SHARE_MIN * (1.0 - model.p_detect)).min(DETECT_MAX);
        let clutter = model.clutter_per_m2;
        Sensed {
            p_detect: self.p_detect.clamp(DETECT_SHARE_MIN * model.p_detect, p_max.max(model.p_detect)),
            clutter_per_m2: self.clutter_per_m2.clamp(clutter / CLUTTER_FACTOR, clutter * CLUTTER_FACTOR),
        }
    }
}

/// What is known of every sensor.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    counted: Vec<Counted>,
    sensed: Vec<Sensed>,
    /// Of each field of view, m2.
    areas_m2: Vec<f64>,
}

impl Rates {
    /// As declared.
    pub(crate) fn new(sensors: &[SensorModel]) -> Self {
        let sensed = sensors.iter().map(Sensed::declared).collect();
        let areas_m2 = sensors.iter().map(|s| s.field_of_view.area_m2()).collect();
        Rates { counted: vec![Counted::default(); sensors.len()], sensed, areas_m2 }
    }

    /// What to reckon with.
    #[inline]
    pub(crate) fn of(&self, sensor: usize) -> Sensed {
        self.sensed[sensor]
    }

    /// A scan was used.
    pub(crate) fn learn(&mut self, sensor: usize, model: &SensorModel, tally: &Tally, learning: &Learning) {
        self.counted[sensor].add(tally, learning);
        self.sensed[sensor] = Sensed::learnt(model, self.areas_m2[sensor], &self.counted[sensor], learning);
    }

    /// Of how many sensors.
    pub(crate) fn len(&self) -> usize {
        self.counted.len()
    }

    /// Is what another one is; allocates only what there is no room for.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.counted.clone_from(&other.counted);
        self.sensed.clone_from(&other.sensed);
    }

    /// What was counted, to be saved.
    pub(crate) fn counted(&self) -> &[Counted] {
        &self.counted
    }

    /// Knows again what was saved, of the same sensors.
    pub(crate) fn take(&mut self, counted: &[Counted], sensors: &[SensorModel], learning: &Learning) {
        self.counted.copy_from_slice(counted);
        for ((model, counted), (sensed, area_m2)) in
            sensors.iter().zip(counted).zip(self.sensed.iter_mut().zip(&self.areas_m2))
        {
            // Before the first scan exactly what was declared, not declared * n / n.
            *sensed = if *counted == Counted::default() {
                Sensed::declared(model)
            } else {
                Sensed::learnt(model, *area_m2, counted, learning)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::field::FieldOfView;
    use super::*;

    fn sensor() -> SensorModel {
        SensorModel {
            sigma_m: 0.3,
            p_detect: 0.9,
            clutter_per_m2: 0.01,
            field_of_view: FieldOfView::Everywhere { area_m2: 500.0 },
        }
    }

    /// After so many scans with ten people in sight, of whom so many are seen, and so many false detections.
    fn after(scans: usize, hits: f64, clutter: f64) -> Sensed {
        let (model, learning) = (sensor(), Learning::default());
        let mut rates = Rates::new(&[sensor()]);
        for _ in 0..scans {
            let mut tally = Tally::default();
            (0..10).for_each(|_| tally.look(1.0, 0.1 * hits));
            tally.nobody(clutter);
            rates.learn(0, &model, &tally, &learning);
        }
        rates.of(0)
    }

    #[test]
    fn it_starts_with_what_is_declared_and_ends_with_what_is_seen() {
        assert_eq!(after(0, 0.0, 0.0), Sensed::declared(&sensor()));
        let soon = after(20, 8.0, 7.0);
        assert!(soon.p_detect < 0.9 && soon.p_detect > 0.85 && soon.clutter_per_m2 > 0.01);
        let late = after(5000, 8.0, 7.0);
        assert!((late.p_detect - 0.8).abs() < 0.01, "{late:?}");
        assert!((late.clutter_per_m2 - 7.0 / 500.0).abs() < 0.001, "{late:?}");
    }

    #[test]
    fn a_blind_or_mad_sensor_is_not_believed() {
        let blind = after(5000, 0.0, 0.0);
        assert_eq!((blind.p_detect, blind.clutter_per_m2), (0.45, 0.002));
        let mad = after(5000, 10.0, 5000.0);
        assert!((mad.p_detect - 0.99).abs() < 1e-12 && (mad.clutter_per_m2 - 0.05).abs() < 1e-12, "{mad:?}");
    }

    #[test]
    fn scans_without_anybody_teach_nothing_about_detecting() {
        let (model, learning) = (sensor(), Learning::default());
        let mut rates = Rates::new(&[sensor()]);
        let mut tally = Tally::default();
        (0..10).for_each(|_| tally.look(1.0, 0.7));
        (0..3000).for_each(|_| rates.learn(0, &model, &tally, &learning));
        let before = rates.of(0).p_detect;
        (0..100_000).for_each(|_| rates.learn(0, &model, &Tally::default(), &learning));
        assert_eq!(rates.of(0).p_detect, before);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (model, learning) = (sensor(), Learning::default());
        let mut rates = Rates::new(&[sensor()]);
        let mut tally = Tally::default();
        (0..10).for_each(|_| tally.look(1.0, 0.9));
        (0..200_000).for_each(|_| rates.learn(0, &model, &tally, &learning));
        let counted = rates.counted()[0];
        assert!(counted.is_sound());
        assert!(counted.looks <= learning.looks_max + 1e-6 && counted.scans <= learning.scans_max + 1e-6);
    }
}
