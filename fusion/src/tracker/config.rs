//! Everything that may be set about a tracker, with the values that measured best, and what is refused.
//!
//! One set of numbers serves every density that was tried (5 to 100 people on 600 m2, and recorded crowds): they describe
//! how people walk, not one building. Rates are per second, so that any scan rate and any mix of sensors may be used.

use super::field::FieldOfView;
use serde::{Deserialize, Serialize};

/// How people move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Motion {
    /// White-acceleration noise density of the straight mode, m2/s3.
    pub noise_straight_m2ps3: f64,
    /// White-acceleration noise density of the turning mode, m2/s3.
    pub noise_turn_m2ps3: f64,
    /// Rate of switching from straight to turning, per second.
    pub turn_begin_per_s: f64,
    /// Rate of switching from turning to straight, per second.
    pub turn_end_per_s: f64,
    /// Walking speed that a new track is taken to have before the usual speed of the place is learnt, m/s.
    pub speed_mps: f64,
    /// Number of tracks over which that usual speed is averaged.
    pub usual_speed_tracks: f64,
    /// Time constant of a track's memory of its own speed, s.
    pub speed_memory_s: f64,
    /// Standard deviation of the pseudo-measurement "walks at the remembered speed", m/s.
    pub speed_sigma_mps: f64,
    /// Time over which that one pseudo-measurement's information is spread, s.
    pub speed_spread_s: f64,
    /// Velocity variance of a new track, per axis, (m/s)2.
    pub velocity_var_m2ps2: f64,
    /// A track that nobody could see for so long no longer walks on: its velocity is forgotten.
    pub coast_after_s: f64,
    /// Time constant of that forgetting, s.
    pub coast_decay_s: f64,
}

/// How people come and go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Population {
    /// Probability of being still there a second later, before it was learnt how long people stay.
    pub survival_per_s: f64,
    /// What that is worth: as much as so many seconds of watching one person.
    pub survival_prior_s: f64,
    /// Time constant of learning how long people stay, s.
    pub survival_memory_s: f64,
    /// Undetected people per m2 before the first scan; also the most that may gather where nobody looks.
    pub undetected_per_m2: f64,
    /// Birth rate before anything was learnt, per m2 and second.
    pub birth_per_m2_s: f64,
    /// Least learnt birth rate, per m2 and second.
    pub birth_min_per_m2_s: f64,
    /// Greatest learnt birth rate, per m2 and second.
    pub birth_max_per_m2_s: f64,
    /// Time over which the birth rate is averaged, s.
    pub birth_memory_s: f64,
    /// A track counts as a birth when it is as old as this, s ...
    pub birth_age_s: f64,
    /// ... and at least as sure to exist as this.
    pub birth_existence: f64,
}

/// How tracks are kept, gated and shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upkeep {
    /// Tracks are shown above this existence probability.
    pub report_existence: f64,
    /// Distance at which an estimate is as bad as none, m: the less sure a track is of its place, the surer it must be to
    /// exist before it is shown (`r (1 - d2/c2) > report_existence`).
    pub report_distance_m: f64,
    /// Tracks closer than this are reported as a set, not each by its mean (`apart`), m.
    pub apart_m: f64,
    /// Tracks never shown are dropped below this existence probability.
    pub tentative_existence_min: f64,
    /// Tracks once shown are dropped below this existence probability.
    pub shown_existence_min: f64,
    /// A track that no sensor could see for so long is no longer shown (it is unknown, not gone), s; one that was never shown
    /// is dropped: in clutter behind walls they would gather, and by then they may be anywhere.
    pub silent_after_s: f64,
    /// A track once shown that no sensor could see for so long is dropped, s.
    pub silent_max_s: f64,
    /// Half-width of the gate of shown tracks, in standard deviations.
    pub gate_shown: f64,
    /// Half-width of the gate of tentative tracks, in standard deviations.
    pub gate_tentative: f64,
    /// Track-to-measurement edges lighter than this times the clutter density are dropped.
    pub edge_min: f64,
    /// Belief propagation ends when no message changes by more than this, relative.
    pub association_tolerance: f64,
    /// Most sweeps of belief propagation over one cluster.
    pub association_sweeps_max: u32,
    /// Gaussians per shown track, 1 to 4.
    pub components: usize,
    /// Hypotheses of a track that get a state, before merging: 1 to 12.
    pub candidates: usize,
    /// Hypotheses lighter than this share of their track are dropped.
    pub candidate_min: f64,
    /// Gaussians closer than this (squared Mahalanobis distance of place plus that of velocity) are merged.
    pub merge_distance2: f64,
    /// Gaussians lighter than this are dropped after merging.
    pub component_min: f64,
}

/// How what is declared of a sensor is corrected by what it does ([`Tracker::sensed`](super::Tracker::sensed)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learning {
    /// What the declared detection probability is worth: as much as so many looks at one person. 1e12 never learns.
    pub prior_looks: f64,
    /// What the declared clutter is worth: as much as so many scans. 1e12 never learns.
    pub prior_scans: f64,
    /// Most looks that are remembered.
    pub looks_max: f64,
    /// Most scans whose false detections are remembered.
    pub scans_max: f64,
    /// A track counts as somebody in sight who was surer than this to exist before the scan.
    pub look_existence: f64,
}

/// Sizes that are allocated once; nothing grows beyond them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Most tracks, tentative ones included (in clutter about as many as shown ones).
    pub tracks_max: usize,
    /// Most detections in one scan.
    pub detections_max: usize,
    /// Most track-to-measurement edges in one scan; further ones are left out and counted.
    pub edges_max: usize,
    /// Most cells of the map of undetected people.
    pub cells_max: usize,
}

/// All settings of a tracker. `Config::default()` is what the figures in the crate's documents were measured with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// How people move.
    pub motion: Motion,
    /// How people come and go.
    pub population: Population,
    /// How tracks are kept, gated and shown.
    pub upkeep: Upkeep,
    /// How sensors are learnt.
    pub learning: Learning,
    /// Sizes that are allocated once.
    pub limits: Limits,
}

impl Default for Motion {
    fn default() -> Self {
        Motion {
            noise_straight_m2ps3: 0.03,
            noise_turn_m2ps3: 3.5,
            turn_begin_per_s: 0.2,
            turn_end_per_s: 1.0,
            speed_mps: 1.3,
            usual_speed_tracks: 30.0,
            speed_memory_s: 4.0,
            speed_sigma_mps: 0.25,
            speed_spread_s: 2.5,
            velocity_var_m2ps2: 1.7,
            coast_after_s: 2.0,
            coast_decay_s: 1.0,
        }
    }
}

impl Default for Population {
    fn default() -> Self {
        Population {
            survival_per_s: 0.997,
            survival_prior_s: 100.0,
            survival_memory_s: 120.0,
            undetected_per_m2: 0.03,
            birth_per_m2_s: 5e-4,
            birth_min_per_m2_s: 3e-4,
            birth_max_per_m2_s: 1e-3,
            birth_memory_s: 20.0,
            birth_age_s: 2.0,
            birth_existence: 0.9,
        }
    }
}

impl Default for Upkeep {
    fn default() -> Self {
        Upkeep {
            report_existence: 0.5,
            report_distance_m: 2.0,
            apart_m: 2.0,
            tentative_existence_min: 0.002,
            shown_existence_min: 0.01,
            silent_after_s: 2.0,
            silent_max_s: 60.0,
            gate_shown: 4.0,
            gate_tentative: 3.0,
            edge_min: 0.02,
            association_tolerance: 1e-3,
            association_sweeps_max: 200,
            components: 4,
            candidates: 12,
            candidate_min: 0.003,
            merge_distance2: 2.0,
            component_min: 0.01,
        }
    }
}

impl Default for Learning {
    fn default() -> Self {
        Learning { prior_looks: 200.0, prior_scans: 100.0, looks_max: 10_000.0, scans_max: 1000.0, look_existence: 0.9 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { tracks_max: 4096, detections_max: 4096, edges_max: 32_768, cells_max: 1024 }
    }
}

/// One sensor that reports anonymous positions in scans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensorModel {
    /// Standard deviation of a detection, per axis, m. Of a detection that carries its own, that is used instead.
    pub sigma_m: f64,
    /// Probability that a person in the field of view is detected in a scan, above 0 and below 1.
    pub p_detect: f64,
    /// False detections per scan and m2 of the field of view.
    pub clutter_per_m2: f64,
    /// Where it sees.
    pub field_of_view: FieldOfView,
}

/// Why a configuration or a sensor was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A number outside its range.
    #[error("{name} is {value}, it must be {must}")]
    Range {
        /// The setting.
        name: &'static str,
        /// What it was set to.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// A field of view that is no polygon.
    #[error(
        "the field of view of sensor {sensor} has {corners} corners, area {area_m2} m2: it needs at least 3 finite corners and an area"
    )]
    FieldOfView {
        /// Index of the sensor.
        sensor: usize,
        /// Corners given.
        corners: usize,
        /// Area found.
        area_m2: f64,
    },
    /// No sensor, or more than 65,535.
    #[error("a tracker needs 1 to 65535 sensors, not {0}")]
    Sensors(usize),
}

/// The largest coordinate that a detection or a corner may have, m.
pub const COORDINATE_MAX_M: f64 = 1e7;
/// The least and the largest standard deviation that a detection may have, m.
pub const SIGMA_RANGE_M: (f64, f64) = (1e-3, 1e3);

/// Err if `value` is not finite or outside `low..=high`.
fn within(name: &'static str, value: f64, low: f64, high: f64, must: &'static str) -> Result<(), ConfigError> {
    if value.is_finite() && value >= low && value <= high {
        Ok(())
    } else {
        Err(ConfigError::Range { name, value, must })
    }
}

impl Config {
    /// Checks every number.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let positive = "positive, at most 1e6";
        let m = &self.motion;
        for (name, value) in [
            ("noise_straight_m2ps3", m.noise_straight_m2ps3),
            ("noise_turn_m2ps3", m.noise_turn_m2ps3),
            ("turn_begin_per_s", m.turn_begin_per_s),
            ("turn_end_per_s", m.turn_end_per_s),
            ("speed_mps", m.speed_mps),
            ("speed_memory_s", m.speed_memory_s),
            ("usual_speed_tracks", m.usual_speed_tracks),
            ("speed_sigma_mps", m.speed_sigma_mps),
            ("speed_spread_s", m.speed_spread_s),
            ("velocity_var_m2ps2", m.velocity_var_m2ps2),
            ("coast_after_s", m.coast_after_s),
            ("coast_decay_s", m.coast_decay_s),
        ] {
            within(name, value, 1e-6, 1e6, positive)?;
        }
        let p = &self.population;
        within("survival_per_s", p.survival_per_s, 1e-6, 1.0, "above 0, at most 1")?;
        for (name, value) in [
            ("undetected_per_m2", p.undetected_per_m2),
            ("birth_per_m2_s", p.birth_per_m2_s),
            ("birth_min_per_m2_s", p.birth_min_per_m2_s),
            ("birth_memory_s", p.birth_memory_s),
            ("survival_prior_s", p.survival_prior_s),
            ("survival_memory_s", p.survival_memory_s),
        ] {
            within(name, value, 1e-12, 1e6, positive)?;
        }
        within("birth_max_per_m2_s", p.birth_max_per_m2_s, p.birth_min_per_m2_s, 1e6, "at least birth_min_per_m2_s")?;
        within("birth_age_s", p.birth_age_s, 0.0, 1e6, "0 to 1e6")?;
        let u = &self.upkeep;
        for (name, value) in [
            ("birth_existence", p.birth_existence),
            ("report_existence", u.report_existence),
            ("tentative_existence_min", u.tentative_existence_min),
            ("shown_existence_min", u.shown_existence_min),
            ("candidate_min", u.candidate_min),
            ("component_min", u.component_min),
            ("association_tolerance", u.association_tolerance),
        ] {
            within(name, value, 1e-12, 1.0 - 1e-9, "above 0 and below 1")?;
        }
        for (name, value) in [
            ("report_distance_m", u.report_distance_m),
            ("apart_m", u.apart_m),
            ("silent_after_s", u.silent_after_s),
            ("silent_max_s", u.silent_max_s),
            ("gate_shown", u.gate_shown),
            ("gate_tentative", u.gate_tentative),
            ("merge_distance2", u.merge_distance2),
        ] {
            within(name, value, 1e-6, 1e6, positive)?;
        }
        within("edge_min", u.edge_min, 0.0, 1.0, "0 to 1")?;
        within("association_sweeps_max", f64::from(u.association_sweeps_max), 1.0, 1e6, "1 to 1e6")?;
        within("components", u.components as f64, 1.0, super::gaussian::COMPONENTS_MAX as f64, "1 to 4")?;
        within("candidates", u.candidates as f64, 1.0, super::mixture::CANDIDATES_MAX as f64, "1 to 12")?;
        let g = &self.learning;
        for (name, value) in [
            ("prior_looks", g.prior_looks),
            ("prior_scans", g.prior_scans),
            ("looks_max", g.looks_max),
            ("scans_max", g.scans_max),
        ] {
            within(name, value, 1.0, 1e12, "1 to 1e12")?;
        }
        within("look_existence", g.look_existence, 0.0, 1.0, "0 to 1")?;
        let l = &self.limits;
        within("tracks_max", l.tracks_max as f64, 1.0, 1e6, "1 to 1e6")?;
        within("detections_max", l.detections_max as f64, 1.0, 1e6, "1 to 1e6")?;
        within("edges_max", l.edges_max as f64, 1.0, 1e8, "1 to 1e8")?;
        within("cells_max", l.cells_max as f64, 1.0, 1e6, "1 to 1e6")
    }
}

impl SensorModel {
    /// Checks the numbers of sensor number `sensor`.
    ///
    /// # Errors
    /// The first number that is out of its range.
    pub fn check(&self, sensor: usize) -> Result<(), ConfigError> {
        within("sigma_m", self.sigma_m, SIGMA_RANGE_M.0, SIGMA_RANGE_M.1, "0.001 to 1000 m")?;
        within("p_detect", self.p_detect, 1e-3, 0.999, "0.001 to 0.999")?;
        within(
            "clutter_per_m2",
            self.clutter_per_m2,
            1e-9,
            1e3,
            "1e-9 to 1000 per m2 (a sensor without false detections: 1e-6)",
        )?;
        self.field_of_view.check(sensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_and_bad_numbers_are_named() {
        assert_eq!(Config::default().check(), Ok(()));
        let mut bad = Config::default();
        bad.motion.speed_memory_s = f64::NAN;
        let Err(ConfigError::Range { name, .. }) = bad.check() else { panic!("NaN accepted") };
        assert_eq!(name, "speed_memory_s");
        let mut bad = Config::default();
        bad.upkeep.components = 5;
        assert!(bad.check().is_err());
    }

    #[test]
    fn a_sensor_that_always_detects_is_refused() {
        let sensor = |p_detect, sigma_m| SensorModel {
            sigma_m,
            p_detect,
            clutter_per_m2: 0.01,
            field_of_view: FieldOfView::Everywhere { area_m2: 600.0 },
        };
        assert_eq!(sensor(0.9, 0.3).check(0), Ok(()));
        assert!(sensor(1.0, 0.3).check(0).is_err());
        assert!(sensor(0.9, 0.0).check(0).is_err());
    }
}
