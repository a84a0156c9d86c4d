//! Where the occupants are: one `rstar` R-tree per level, with boxes larger than the occupants.
//!
//! A box reaches [`SLACK_M`] beyond the place at which it was drawn, so that somebody walking takes about eight fixes
//! to leave it and the tree is left alone in between. Queries therefore look at boxes first and at places second; what
//! they find is sorted by the caller, so the shape of the tree never shows.

use osmose_model::geometry::{Aabb, Place, Point};
use osmose_model::ids::LevelId;
use rstar::{AABB, RTree, RTreeNode, RTreeObject};
use std::ops::ControlFlow;

/// How far a box reaches beyond the place at which it was drawn, metres.
const SLACK_M: f64 = 1.0;

/// One occupant's box.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Leaf {
    envelope: AABB<[f64; 2]>,
    slot: u32,
}

impl RTreeObject for Leaf {
    type Envelope = AABB<[f64; 2]>;
    fn envelope(&self) -> AABB<[f64; 2]> {
        self.envelope
    }
}

fn envelope(b: Aabb) -> AABB<[f64; 2]> {
    AABB::from_corners([b.min.x_m, b.min.y_m], [b.max.x_m, b.max.y_m])
}

/// The trees of all levels.
#[derive(Clone, Debug)]
pub(crate) struct OccupantIndex {
    trees: Vec<RTree<Leaf>>,
}

impl OccupantIndex {
    /// Nobody, on `levels` levels.
    pub(crate) fn new(levels: usize) -> Self {
        Self { trees: (0..levels).map(|_| RTree::new()).collect() }
    }

    /// The box to give somebody at a place.
    pub(crate) fn box_round(at: Point) -> Aabb {
        Aabb { min: at, max: at }.grown(SLACK_M)
    }

    /// Puts an occupant in.
    pub(crate) fn insert(&mut self, level: LevelId, slot: u32, boxed: Aabb) {
        self.trees[level.index()].insert(Leaf { envelope: envelope(boxed), slot });
    }

    /// Takes an occupant out; level and box are those that it was put in with.
    pub(crate) fn remove(&mut self, level: LevelId, slot: u32, boxed: Aabb) {
        let removed = self.trees[level.index()].remove(&Leaf { envelope: envelope(boxed), slot });
        debug_assert!(removed.is_some(), "an occupant's box is where it was put");
    }

    /// Moves an occupant from one place to another; its box changes only where it no longer holds the place.
    pub(crate) fn shift(&mut self, slot: u32, from: LevelId, boxed: &mut Aabb, to: Place) {
        if from == to.level && boxed.contains(to.at) {
            return;
        }
        self.remove(from, slot, *boxed);
        *boxed = Self::box_round(to.at);
        self.insert(to.level, slot, *boxed);
    }

    /// Nobody on any level; then the boxes given.
    pub(crate) fn rebuild(&mut self, boxes: impl IntoIterator<Item = (LevelId, u32, Aabb)>) {
        let mut leaves: Vec<Vec<Leaf>> = self.trees.iter().map(|_| Vec::new()).collect();
        for (level, slot, boxed) in boxes {
            leaves[level.index()].push(Leaf { envelope: envelope(boxed), slot });
        }
        self.trees = leaves.into_iter().map(RTree::bulk_load).collect();
    }

    /// Every slot of a level whose box meets `area`, in no particular order.
    pub(crate) fn for_each_meeting(&self, level: LevelId, area: Aabb, mut f: impl FnMut(u32)) {
        let Some(tree) = self.trees.get(level.index()) else { return };
        let _: ControlFlow<()> = tree.locate_in_envelope_intersecting_int(envelope(area), |leaf| {
            f(leaf.slot);
            ControlFlow::Continue(())
        });
    }

    /// Visits slots of a level nearest box first (within each node), leaving out whatever is farther than `visit` last
    /// said it still wants: the squared distance of the worst that it would keep.
    pub(crate) fn nearest_first(&self, level: LevelId, at: Point, mut visit: impl FnMut(u32) -> f64) {
        let Some(tree) = self.trees.get(level.index()) else { return };
        if tree.size() > 0 {
            let mut wanted2 = f64::INFINITY;
            descend(tree.root().children(), [at.x_m, at.y_m], &mut wanted2, &mut visit);
        }
    }
}

/// Branch and bound (Roussopoulos et al. 1995): children in order of their box's distance, none beyond `wanted2`.
fn descend(children: &[RTreeNode<Leaf>], at: [f64; 2], wanted2: &mut f64, visit: &mut impl FnMut(u32) -> f64) {
    let distance2 = |node: &RTreeNode<Leaf>| match node {
        RTreeNode::Leaf(leaf) => leaf.envelope.distance_2(&at),
        RTreeNode::Parent(parent) => parent.envelope().distance_2(&at),
    };
    // rstar keeps at most 6 children (its default parameters); a root made by bulk loading no more.
    let mut order: arrayvec::ArrayVec<(f64, usize), 16> = arrayvec::ArrayVec::new();
    for (i, node) in children.iter().enumerate() {
        if order.try_push((distance2(node), i)).is_err() {
            break;
        }
    }
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let rest = (order.len()..children.len()).map(|i| (0.0, i));
    for (d2, i) in order.iter().copied().chain(rest) {
        if d2 > *wanted2 {
            continue;
        }
        match &children[i] {
            RTreeNode::Leaf(leaf) => *wanted2 = visit(leaf.slot),
            RTreeNode::Parent(parent) => descend(parent.children(), at, wanted2, visit),
        }
    }
}
