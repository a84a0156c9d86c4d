//! A fusion with a script: observations in, events out, and a small source of noise.

use super::{said, tag};
use osmose_fusion::Fusion;
use osmose_model::geometry::Place;
use osmose_model::ids::{CarriedKey, LevelId, SensorId};
use osmose_model::observation::{Body, Detection};
use osmose_model::site::Site;
use osmose_model::stages::{Fuse, Refusal};
use osmose_model::world::{EventKind, Occupant, Stimulus, WorldEvent};
use std::sync::Arc;

/// Nanoseconds in a second.
pub const S: i64 = 1_000_000_000;

/// A fusion and what it said.
pub struct Run {
    pub fusion: Fusion,
    pub seq: u64,
    pub out: Vec<Stimulus>,
    dice: u64,
}

/// A detection on a level.
pub fn seen_on(level: u16, x_m: f64, y_m: f64) -> Detection {
    Detection { place: Place::flat(LevelId(level), x_m, y_m), sigma_m: None }
}

impl Run {
    pub fn new(site: Site) -> Self {
        Self { fusion: Fusion::new(Arc::new(site)), seq: 0, out: Vec::new(), dice: 7 }
    }

    /// Restored from what this one saves.
    pub fn resumed(&self) -> Self {
        let mut bytes = Vec::new();
        self.fusion.save(&mut bytes);
        let mut fusion = Fusion::new(Arc::clone(self.fusion.site()));
        fusion.restore(&bytes).unwrap();
        Self { fusion, seq: self.seq, out: Vec::new(), dice: self.dice }
    }

    pub fn saved(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.fusion.save(&mut bytes);
        bytes
    }

    pub fn observe(&mut self, sensor: SensorId, ns: i64, body: Body<'_>) -> Result<(), Refusal> {
        self.seq += 1;
        self.fusion.observe(tag(ns, self.seq), &said(sensor, ns, body), &mut self.out)
    }

    pub fn scan(&mut self, sensor: SensorId, ns: i64, detections: &[Detection]) {
        self.observe(sensor, ns, Body::Position(detections)).unwrap();
    }

    pub fn fix(&mut self, sensor: SensorId, ns: i64, device: &str, level: u16, (x_m, y_m): (f64, f64)) {
        let place = Place::flat(LevelId(level), x_m, y_m);
        let body = Body::Location { device: CarriedKey::of(device), place, sigma_m: None };
        self.observe(sensor, ns, body).unwrap();
    }

    /// Normal noise of that standard deviation (sum of twelve uniforms; a linear congruential generator, Knuth's MMIX
    /// constants).
    pub fn noise(&mut self, sigma: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.unit()).sum();
        sigma * (sum - 6.0)
    }

    pub fn unit(&mut self) -> f64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Events since the last call.
    pub fn events(&mut self) -> Vec<WorldEvent> {
        let taken = std::mem::take(&mut self.out);
        taken.into_iter().filter_map(|s| if let Stimulus::World(e) = s { Some(e) } else { None }).collect()
    }

    pub fn kinds(&mut self) -> Vec<(u64, EventKind)> {
        self.events().iter().map(|e| (e.track.0, e.kind)).collect()
    }

    pub fn everybody(&self) -> Vec<Occupant> {
        let mut all = Vec::new();
        self.fusion.for_each_occupant(&mut |who| all.push(who.clone()));
        all
    }
}
