//! The numbers that occupants were announced under lately, so that one who is run again has the same.
//!
//! A re-run forgets everybody who appeared since the state that it goes back to, and lets them appear again. Their
//! numbers were said: rules, traces and people know them. Whoever comes from the same track or device has its number
//! again; a track that another detection began has the number of the one that began where it is and that has not
//! appeared again by then. Numbers are never given to anybody else.

use crate::occupants::Origin;
use osmose_model::geometry::Place;
use osmose_model::ids::TrackId;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Most births remembered, and as many more as there can be occupants.
const BIRTHS_MAX: usize = 512;
/// A track that another detection began is taken to be the one that began at most so far away, metres.
const SAME_PLACE_M: f64 = 1.0;

/// Somebody appeared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Birth {
    origin: Origin,
    track: TrackId,
    place: Place,
}

/// Who appeared lately, and who is to appear again.
#[derive(Clone, Debug)]
pub(crate) struct Births {
    /// In the order in which they appeared.
    log: Vec<Birth>,
    /// How many appeared before those in the log.
    before: u64,
    /// Those whom a re-run has not met yet.
    undone: VecDeque<Birth>,
    max: usize,
}

impl Births {
    /// Nobody appeared yet; room for those of `occupants` at once.
    pub(crate) fn new(occupants: usize) -> Self {
        let max = BIRTHS_MAX + occupants;
        Self { log: Vec::with_capacity(max), before: 0, undone: VecDeque::with_capacity(max), max }
    }

    /// Whether everybody behind the first `count` is remembered.
    pub(crate) fn knows_since(&self, count: u64) -> bool {
        count >= self.before
    }

    /// How many appeared so far.
    pub(crate) fn count(&self) -> u64 {
        self.before + self.log.len() as u64
    }

    /// Somebody appeared.
    pub(crate) fn note(&mut self, origin: Origin, track: TrackId, place: Place) {
        if self.log.len() == self.max {
            // A quarter at once, so that a step seldom moves the rest.
            self.log.drain(..self.max / 4);
            self.before += (self.max / 4) as u64;
        }
        self.log.push(Birth { origin, track, place });
    }

    /// Everybody behind the first `count` is to appear again.
    pub(crate) fn undo_to(&mut self, count: u64) {
        let from = usize::try_from(count.saturating_sub(self.before)).unwrap_or(usize::MAX).min(self.log.len());
        self.undone.clear();
        self.undone.extend(self.log.drain(from..));
        self.before = self.before.min(count);
    }

    /// The number that somebody who appears had before, if anybody is run again.
    pub(crate) fn again(&mut self, origin: Origin, place: Place) -> Option<TrackId> {
        let exact = self.undone.iter().position(|b| b.origin == origin);
        let found = exact.or_else(|| {
            let Origin::Tracker { level, .. } = origin else { return None };
            let here = |b: &Birth| matches!(b.origin, Origin::Tracker { level: l, .. } if l == level);
            let distance2 = |b: &Birth| b.place.at.distance2(place.at);
            let near = self.undone.iter().enumerate().filter(|(_, b)| here(b));
            let near = near.filter(|(_, b)| distance2(b) <= SAME_PLACE_M * SAME_PLACE_M);
            near.min_by(|a, b| distance2(a.1).total_cmp(&distance2(b.1)).then(a.0.cmp(&b.0))).map(|(i, _)| i)
        })?;
        self.undone.remove(found).map(|b| b.track)
    }

    /// The re-run is over: whoever did not appear again does not.
    pub(crate) fn done(&mut self) {
        self.undone.clear();
    }

    /// Those behind the first `count`, for `save`.
    pub(crate) fn since(&self, count: u64) -> &[Birth] {
        let from = usize::try_from(count.saturating_sub(self.before)).unwrap_or(usize::MAX).min(self.log.len());
        &self.log[from..]
    }

    /// Saved ones are to appear again; false where they are too many.
    pub(crate) fn refill(&mut self, saved: &[Birth]) -> bool {
        self.undone.extend(&saved[..saved.len().min(self.max)]);
        saved.len() <= self.max
    }
}
