//! What goes into a tracker and what comes out, in plain numbers.

use super::config::{COORDINATE_MAX_M, SIGMA_RANGE_M};

/// One anonymous position of a scan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Place, m.
    pub x_m: f64,
    /// Place, m.
    pub y_m: f64,
    /// Standard deviation per axis, m; the sensor's own where absent.
    pub sigma_m: Option<f64>,
}

impl Detection {
    /// A detection as uncertain as its sensor says.
    pub const fn at(x_m: f64, y_m: f64) -> Self {
        Detection { x_m, y_m, sigma_m: None }
    }

    /// Why detection number `index` cannot be used, if so.
    pub(crate) fn check(&self, index: usize) -> Result<(), Refused> {
        // `abs() <= max` is false for NaN.
        if !(self.x_m.abs() <= COORDINATE_MAX_M && self.y_m.abs() <= COORDINATE_MAX_M) {
            return Err(Refused::Place { index, x_m: self.x_m, y_m: self.y_m });
        }
        match self.sigma_m {
            Some(sigma_m) if !(SIGMA_RANGE_M.0..=SIGMA_RANGE_M.1).contains(&sigma_m) => {
                Err(Refused::Sigma { index, sigma_m })
            }
            _ => Ok(()),
        }
    }
}

/// Why a scan was refused. Nothing of it was used and the tracker is as it was.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Not one of the sensors that the tracker was made with.
    #[error("sensor number {sensor} is unknown: the tracker has {sensors}")]
    Sensor {
        /// The number given.
        sensor: usize,
        /// How many there are.
        sensors: usize,
    },
    /// Older than what has been used.
    #[error("the scan is {late_ns} ns older than the tracker's time: restore an earlier state and run again in order")]
    Late {
        /// By how much, ns.
        late_ns: i64,
    },
    /// More detections than the limit.
    #[error("the scan has {detections} detections, the limit is {max}")]
    TooMany {
        /// How many were given.
        detections: usize,
        /// The limit.
        max: usize,
    },
    /// A coordinate that is not a number or beyond 1e7 m.
    #[error("detection {index} is at ({x_m}, {y_m}) m: coordinates must be numbers up to 1e7 m")]
    Place {
        /// Index in the scan.
        index: usize,
        /// As given, m.
        x_m: f64,
        /// As given, m.
        y_m: f64,
    },
    /// A standard deviation that is not a number or outside 0.001 to 1000 m.
    #[error("detection {index} has a standard deviation of {sigma_m} m: it must be 0.001 to 1000 m")]
    Sigma {
        /// Index in the scan.
        index: usize,
        /// As given, m.
        sigma_m: f64,
    },
}

/// What one scan did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Tracks shown for the first time.
    pub shown: u32,
    /// Tracks dropped that had been shown ([`Tracker::gone`](super::Tracker::gone) lists them).
    pub gone: u32,
    /// Tentative tracks begun.
    pub begun: u32,
    /// New tracks left out because the tracker was full.
    pub refused_tracks: u32,
    /// Edges between a track and a detection left out because there was no room.
    pub refused_edges: u32,
    /// Clusters of tracks that shared detections.
    pub clusters: u32,
    /// Tracks in the largest cluster.
    pub largest_cluster: u32,
    /// Most sweeps of belief propagation over one cluster.
    pub sweeps: u32,
    /// Clusters whose belief propagation was ended by the limit of sweeps.
    pub unconverged: u32,
}

/// A track as it is at the tracker's time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackEstimate {
    /// Its name; never used again for another track of this tracker.
    pub id: u64,
    /// Mean place, m.
    pub x_m: f64,
    /// Mean place, m.
    pub y_m: f64,
    /// Mean velocity, m/s.
    pub vx_mps: f64,
    /// Mean velocity, m/s.
    pub vy_mps: f64,
    /// Covariance of the place: xx, xy, yy, m2.
    pub place_cov_m2: [f64; 3],
    /// Covariance of the velocity: xx, xy, yy, (m/s)2.
    pub velocity_cov_m2ps2: [f64; 3],
    /// Probability that it is a person.
    pub existence: f64,
    /// To be shown now: sure enough to exist, and not out of every sensor's sight for too long.
    pub reported: bool,
    /// Was reported at some time. A shown track that is not reported is *unknown*, not gone.
    pub shown: bool,
    /// Scan that began it, ns.
    pub born_ns: i64,
    /// Last scan in which it was probably detected, ns.
    pub hit_ns: i64,
    /// In the last scan: index of the detection that moved it most.
    pub detection: Option<usize>,
    /// Probability that this detection was its own.
    pub detection_share: f64,
}

/// A track that was dropped after it had been shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gone {
    /// Its name.
    pub id: u64,
    /// Last mean place, m.
    pub x_m: f64,
    /// Last mean place, m.
    pub y_m: f64,
    /// Last scan in which it was probably detected, ns.
    pub hit_ns: i64,
    /// True if it was dropped because no sensor could see it for too long, false if sensors looked and saw nobody.
    pub unseen: bool,
}
