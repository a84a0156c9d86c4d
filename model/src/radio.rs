//! A radio map: what a receiver hears of a beacon at surveyed points.
//!
//! In a site it is a CSV file in the folder `radio/`, named by `radio_map` in the receiver's `noise`, with the header
//! `sensor,x_m,y_m,rssi_dbm` (site metres; one file may serve many receivers, each takes its own rows).

use crate::geometry::Point;
use serde::{Deserialize, Serialize};

/// One surveyed point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RadioPoint {
    /// Where the beacon was, on the receiver's level.
    pub at: Point,
    /// How strongly it was heard there (the mean where it was heard often), dBm.
    pub rssi_dbm: f64,
}

/// What one receiver hears, in the file's order; empty where it was not surveyed and the path-loss law stands alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RadioMap {
    /// The surveyed points.
    pub points: Vec<RadioPoint>,
}
