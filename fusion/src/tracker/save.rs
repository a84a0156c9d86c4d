//! Saving and restoring a tracker: what is saved is exactly what the next scan depends on.

use super::config::{Config, ConfigError, SensorModel};
use super::gaussian::{COMPONENTS_MAX, Gaussian};
use super::rates::Counted;
use super::step::Tracker;
use super::store::Head;
use serde::{Deserialize, Serialize};

/// A tracker's whole state, apart from its settings. Floats keep their bits in any format that keeps them (binary ones,
/// and JSON where the reader is exact).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackerState {
    /// Of the layout: another one is refused.
    pub(crate) version: u32,
    pub(crate) now_ns: Option<i64>,
    pub(crate) learnt_ns: Option<i64>,
    pub(crate) next_id: u64,
    pub(crate) birth: f64,
    pub(crate) usual_mps: f64,
    pub(crate) left: [f64; 2],
    /// Per sensor.
    pub(crate) counted: Vec<Counted>,
    pub(crate) undetected_ns: Option<i64>,
    pub(crate) undetected: Vec<f64>,
    pub(crate) initial: Vec<f64>,
    pub(crate) heads: Vec<Head>,
    /// The Gaussians of all tracks, one track after the other.
    pub(crate) gaussians: Vec<Gaussian>,
}

/// The version of [`TrackerState`] that this build writes and reads.
pub(crate) const VERSION: u32 = 4;

/// Why a saved state was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RestoreError {
    /// The settings themselves are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Written by a build with another layout.
    #[error("the saved tracker has layout version {found}, this build reads version {VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// It does not fit the settings (other fields of view or smaller limits).
    #[error("the saved tracker does not fit these settings: {0}")]
    Misfit(&'static str),
    /// It contradicts itself.
    #[error("the saved tracker is damaged: {0}")]
    Damaged(&'static str),
}

impl Tracker {
    /// The whole state. Allocates; not for the hot path ([`Tracker::keep`] is).
    pub fn save(&self) -> TrackerState {
        let all = || 0..self.tracks.len();
        TrackerState {
            version: VERSION,
            now_ns: self.now_ns,
            learnt_ns: self.learnt_ns,
            next_id: self.next_id,
            birth: self.undetected.birth,
            usual_mps: self.usual_mps,
            left: self.left,
            counted: self.rates.counted().to_vec(),
            undetected_ns: self.undetected.as_of_ns,
            undetected: self.undetected.cells.clone(),
            initial: self.undetected.initial.clone(),
            heads: all().map(|i| *self.tracks.head(i)).collect(),
            gaussians: all().flat_map(|i| self.tracks.mixture(i)).copied().collect(),
        }
    }

    /// Whether a state of so many cells, sensors and tracks fits these settings.
    pub(super) fn check_sizes(&self, cells: [usize; 2], sensors: usize, tracks: usize) -> Result<(), RestoreError> {
        if cells != [self.undetected.cells.len(); 2] {
            return Err(RestoreError::Misfit("the fields of view are others"));
        }
        if sensors != self.sensors.len() {
            return Err(RestoreError::Misfit("it has another number of sensors"));
        }
        if tracks > self.config.limits.tracks_max {
            return Err(RestoreError::Misfit("it has more tracks than tracks_max"));
        }
        Ok(())
    }

    /// Takes over what is not of one track. The sizes were checked.
    fn take_numbers(&mut self, state: &TrackerState) {
        self.now_ns = state.now_ns;
        self.learnt_ns = state.learnt_ns;
        self.next_id = state.next_id;
        self.undetected.birth = state.birth;
        self.undetected.as_of_ns = state.undetected_ns;
        self.usual_mps = state.usual_mps;
        self.left = state.left;
        self.rates.take(&state.counted, &self.sensors, &self.config.learning);
        self.undetected.cells.copy_from_slice(&state.undetected);
        self.undetected.initial.copy_from_slice(&state.initial);
    }

    /// A tracker that continues bit for bit where `state` was saved, given the same settings and sensors.
    ///
    /// # Errors
    /// Settings out of range, or a state that does not fit them or is damaged.
    pub fn restore(config: Config, sensors: Vec<SensorModel>, state: &TrackerState) -> Result<Tracker, RestoreError> {
        let mut tracker = Tracker::new(config, sensors)?;
        tracker.refill(state)?;
        Ok(tracker)
    }

    /// The same in place, of a tracker with these settings and sensors: what was made of them is not made again. Where the
    /// state is refused the tracker holds a part of it and is of no use.
    pub(crate) fn refill(&mut self, state: &TrackerState) -> Result<(), RestoreError> {
        if state.version != VERSION {
            return Err(RestoreError::Version { found: state.version });
        }
        let cells = [state.undetected.len(), state.initial.len()];
        self.check_sizes(cells, state.counted.len(), state.heads.len())?;
        self.gone.clear();
        self.tracks.clear();
        if !state
            .undetected
            .iter()
            .chain(&state.initial)
            .chain([&state.birth, &state.usual_mps])
            .chain(&state.left)
            .all(|u| u.is_finite() && *u >= 0.0)
        {
            return Err(RestoreError::Damaged("an intensity or a speed is none"));
        }
        if state.undetected_ns > state.now_ns {
            return Err(RestoreError::Damaged("the undetected are later than now"));
        }
        if !state.counted.iter().all(Counted::is_sound) {
            return Err(RestoreError::Damaged("what was counted of a sensor is impossible"));
        }
        let mut rest = state.gaussians.as_slice();
        let mut next_id = 0;
        for head in &state.heads {
            let count = usize::from(head.count);
            if count == 0 || count > COMPONENTS_MAX || count > rest.len() {
                return Err(RestoreError::Damaged("a track's Gaussians are missing"));
            }
            let (mixture, others) = rest.split_at(count);
            rest = others;
            let sound = head.existence > 0.0
                && head.existence <= 1.0
                && head.speed.is_finite()
                && head.best_share.is_finite()
                && head.came.is_finite()
                && mixture.iter().all(Gaussian::is_sound);
            if !sound {
                return Err(RestoreError::Damaged("a track's numbers are no probabilities or not finite"));
            }
            if state.now_ns.is_none_or(|now| head.as_of_ns > now) {
                return Err(RestoreError::Damaged("a track is later than now"));
            }
            if head.id < next_id || head.id >= state.next_id {
                return Err(RestoreError::Damaged("track ids are out of order"));
            }
            next_id = head.id + 1;
            self.tracks.push(*head, mixture);
        }
        if !rest.is_empty() {
            return Err(RestoreError::Damaged("there are Gaussians of no track"));
        }
        self.take_numbers(state);
        self.touched.clear();
        self.tell_all_apart();
        Ok(())
    }
}
