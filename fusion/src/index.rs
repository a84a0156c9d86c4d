//! Where the occupants are: an R-tree per level, with boxes larger than the occupants.
//!
//! A box reaches [`SLACK_M`] beyond the place at which it was drawn, so that somebody walking takes about eight fixes
//! to leave it and the tree is left alone in between. Queries therefore look at boxes first and at places second; what
//! they find is sorted by the caller, so the shape of the tree never shows.

use crate::rtree::RTrees;
use osmose_model::geometry::{Aabb, Place, Point};
use osmose_model::ids::LevelId;

/// How far a box reaches beyond the place at which it was drawn, metres.
const SLACK_M: f64 = 1.0;

/// The trees of all levels.
#[derive(Clone, Debug)]
pub(crate) struct OccupantIndex {
    trees: RTrees,
}

impl OccupantIndex {
    /// Nobody, on `levels` levels; room for `max`.
    pub(crate) fn new(levels: usize, max: usize) -> Self {
        Self { trees: RTrees::new(levels, max) }
    }

    /// The box to give somebody at a place.
    pub(crate) fn box_round(at: Point) -> Aabb {
        Aabb { min: at, max: at }.grown(SLACK_M)
    }

    /// Puts an occupant in.
    pub(crate) fn insert(&mut self, level: LevelId, slot: u32, boxed: Aabb) {
        self.trees.insert(level.index(), slot, boxed);
    }

    /// Takes an occupant out; the level is the one that it was put in with.
    pub(crate) fn remove(&mut self, level: LevelId, slot: u32) {
        let removed = self.trees.remove(level.index(), slot);
        debug_assert!(removed, "an occupant's box is where it was put");
    }

    /// Moves an occupant from one place to another; its box changes only where it no longer holds the place.
    pub(crate) fn shift(&mut self, slot: u32, from: LevelId, boxed: &mut Aabb, to: Place) {
        if from == to.level && boxed.contains(to.at) {
            return;
        }
        *boxed = Self::box_round(to.at);
        if from == to.level {
            self.trees.update(from.index(), slot, *boxed);
        } else {
            self.remove(from, slot);
            self.insert(to.level, slot, *boxed);
        }
    }

    /// Nobody on any level; then the boxes given.
    pub(crate) fn rebuild(&mut self, boxes: impl IntoIterator<Item = (LevelId, u32, Aabb)>) {
        self.trees.clear();
        for (level, slot, boxed) in boxes {
            self.insert(level, slot, boxed);
        }
    }

    /// Every slot of a level whose box meets `area`, in no particular order.
    pub(crate) fn for_each_meeting(&self, level: LevelId, area: Aabb, mut f: impl FnMut(u32)) {
        self.trees.for_each_meeting(level.index(), area, &mut f);
    }

    /// Visits slots of a level nearest box first (within each node), leaving out whatever is farther than `visit` last
    /// said it still wants: the squared distance of the worst that it would keep.
    pub(crate) fn nearest_first(&self, level: LevelId, at: Point, visit: impl FnMut(u32) -> f64) {
        self.trees.nearest_first(level.index(), at, visit);
    }
}
