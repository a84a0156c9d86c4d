//! Tracking people from anonymous positions: a track-oriented Poisson multi-Bernoulli filter with Gaussian mixtures.
//!
//! Sensors report scans: sets of positions, of which some are people (each detected with probability `p_detect`, at most
//! once) and some are nothing (clutter). Out come tracks with a probability of existing, a place, a velocity and an id
//! that stays. Several sensors with different, overlapping or disjoint fields of view may feed one tracker at any rates:
//! a miss counts only where the sensor looked.
//!
//! One scan, in order:
//!
//! 1. `touch` and `gaussian`: the tracks that the sensor may see move; each of their Gaussians is an interacting multiple model of walking on and turning
//!    (Blom and Bar-Shalom 1988), and a weak pseudo-measurement keeps the track at the speed it was seen to walk at.
//! 2. `undetected`: people not yet detected are a Poisson intensity that grows by a learnt birth rate.
//! 3. `gate` (over `cells`), `connect` and `associate`: which detection is whose, as marginal probabilities; exact in small
//!    clusters (`exact`), by belief propagation (Williams and Lau 2014) in large ones.
//! 4. `update` and `mixture`: a track's new Gaussians are its old ones met with its detections, merged to a few.
//! 5. `rates`: how often the sensor detects who is there and who is not is learnt, starting from what was declared.
//! 6. Every detection nobody claims begins a tentative track; existence follows Williams 2015 ("Marginal multi-Bernoulli
//!    filters: RFS derivation of MHT, JIPDA and association-based MeMBer", the track-oriented form).
//!
//! Nothing here reads a clock or allocates after construction, sums are in a fixed order, and detections are sorted before
//! use: the same scans give the same bits, in whatever order a scan lists its detections.
//!
//! ```
//! use osmose_fusion::tracker::{Config, Detection, FieldOfView, SensorModel, Tracker};
//! let ceiling = SensorModel {
//!     sigma_m: 0.3,
//!     p_detect: 0.9,
//!     clutter_per_m2: 5.0 / 600.0, // 5 false detections a scan on 600 m2
//!     field_of_view: FieldOfView::Everywhere { area_m2: 600.0 },
//! };
//! let mut tracker = Tracker::new(Config::default(), vec![ceiling])?;
//! for scan in 0..20 {
//!     let x_m = 3.0 + 0.13 * f64::from(scan); // somebody walks along x at 1.3 m/s, seen 10 times a second
//!     tracker.scan(i64::from(scan) * 100_000_000, 0, &[Detection::at(x_m, 4.0)])?;
//! }
//! let walker = tracker.tracks().find(|t| t.reported).expect("one person");
//! assert!((walker.x_m - 5.47).abs() < 0.2 && (walker.vx_mps - 1.3).abs() < 0.2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apart;
mod associate;
mod cells;
mod config;
mod connect;
mod estimate;
mod exact;
mod field;
mod gate;
mod gaussian;
mod mixture;
mod pair;
mod rates;
mod save;
mod sight;
mod snapshot;
mod step;
mod store;
#[cfg(test)]
mod tests;
mod touch;
mod undetected;
mod update;

pub use config::{
    COORDINATE_MAX_M, Config, ConfigError, Learning, Limits, Motion, Population, SIGMA_RANGE_M, SensorModel, Upkeep,
};
pub use estimate::{Detection, Gone, Refused, ScanReport, TrackEstimate};
pub use field::FieldOfView;
pub use rates::Sensed;
pub use save::{RestoreError, TrackerState};
pub use snapshot::Snapshot;
pub use step::Tracker;
