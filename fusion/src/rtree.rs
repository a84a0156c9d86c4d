//! R-trees (Guttman 1984) that allocate only while they grow: the nodes of all trees live in one store and are used
//! again, and every item knows its leaf, so that taking it out needs no search.
//!
//! A library's tree (rstar) gives each node its own allocation: 31 in 1,000 location fixes, where this has none. Items
//! are the caller's small numbers, each in at most one tree. A node that is full is split in the middle of its longer
//! side; one that falls below [`MIN_FILLED`] is dissolved and its entries are put in anew.
//!
//! Who walks about in a room moves among the same neighbours, so a leaf's box is not drawn in when one of its items
//! moves inwards: it stays as wide as its items have been lately, up to [`NEAR_M`], and most moves change one entry and
//! nothing above it (after the bottom-up updates of Lee et al. 2003).

use arrayvec::ArrayVec;
use osmose_model::geometry::{Aabb, Point};

/// Entries of a node.
const FANOUT: usize = 8;

/// A node with fewer entries, not being a root, is dissolved.
const MIN_FILLED: usize = 3;

/// How wide and high a leaf's box may be and hold more than its items need, metres: about a room.
const NEAR_M: f64 = 12.0;

/// No node.
const NONE: u32 = u32::MAX;

/// What a node leads to: an item from a leaf, a node from any other.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    reach: Aabb,
    to: u32,
}

#[derive(Clone, Debug)]
struct Node {
    entries: ArrayVec<Entry, FANOUT>,
    /// Holds the boxes of its entries, as the entry above says too; a leaf's may hold more.
    reach: Aabb,
    parent: u32,
    /// 0 for a leaf.
    height: u32,
}

impl Node {
    /// The box that holds its entries and no more.
    fn exact(&self) -> Aabb {
        self.entries.iter().fold(NOTHING, |all, entry| union(all, entry.reach))
    }
}

/// The box of nothing: what is joined to it stays as it is.
const NOTHING: Aabb = Aabb {
    min: Point { x_m: f64::INFINITY, y_m: f64::INFINITY },
    max: Point { x_m: f64::NEG_INFINITY, y_m: f64::NEG_INFINITY },
};

/// Some trees over one set of items.
#[derive(Clone, Debug)]
pub(crate) struct RTrees {
    nodes: Vec<Node>,
    free: Vec<u32>,
    /// By tree.
    roots: Vec<u32>,
    /// By item: the leaf that holds it.
    leaf_of: Vec<u32>,
}

impl RTrees {
    /// `trees` empty trees, with room for `items` items before anything is allocated again.
    pub(crate) fn new(trees: usize, items: usize) -> Self {
        // Leaves hold at least MIN_FILLED, and so do the levels above them: n/3 + n/9 + … < n/2.
        let nodes = items / 2 + 2 * trees + FANOUT;
        Self {
            nodes: Vec::with_capacity(nodes),
            free: Vec::with_capacity(nodes),
            roots: vec![NONE; trees],
            leaf_of: vec![NONE; items],
        }
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.free.clear();
        self.roots.fill(NONE);
        self.leaf_of.fill(NONE);
    }

    /// Puts an item into a tree; it is in none.
    pub(crate) fn insert(&mut self, tree: usize, item: u32, reach: Aabb) {
        if self.leaf_of.len() <= item as usize {
            self.leaf_of.resize(item as usize + 1, NONE);
        }
        debug_assert_eq!(self.leaf_of[item as usize], NONE, "an item is in one tree");
        self.put(tree, 0, Entry { reach, to: item });
    }

    /// Takes an item out of the tree that it is in; false where it is in none.
    pub(crate) fn remove(&mut self, tree: usize, item: u32) -> bool {
        let Some(leaf) = self.leaf_of.get(item as usize).copied().filter(|&leaf| leaf != NONE) else { return false };
        self.leaf_of[item as usize] = NONE;
        self.take(tree, leaf, item);
        true
    }

    /// Gives an item of a tree another box.
    pub(crate) fn update(&mut self, tree: usize, item: u32, reach: Aabb) {
        let leaf = self.leaf_of[item as usize];
        let node = &mut self.nodes[leaf as usize];
        let inside = contains(node.reach, reach);
        if let Some(entry) = node.entries.iter_mut().find(|entry| entry.to == item) {
            entry.reach = reach;
        }
        // Most who move stay among the same neighbours.
        if inside && is_near(node.reach) {
            return;
        }
        let (wider, exact) = (union(node.reach, reach), node.exact());
        if is_near(wider) {
            self.set_reach(leaf, wider);
        } else if inside || is_near(exact) {
            self.set_reach(leaf, exact);
        } else {
            self.remove(tree, item);
            self.insert(tree, item, reach);
        }
    }

    /// Every item of a tree whose box meets `area`, in no particular order.
    pub(crate) fn for_each_meeting(&self, tree: usize, area: Aabb, f: &mut impl FnMut(u32)) {
        if let Some(&root) = self.roots.get(tree).filter(|&&root| root != NONE) {
            self.meeting(root, area, f);
        }
    }

    fn meeting(&self, node: u32, area: Aabb, f: &mut impl FnMut(u32)) {
        let node = &self.nodes[node as usize];
        for entry in node.entries.iter().filter(|entry| meet(entry.reach, area)) {
            match node.height {
                0 => f(entry.to),
                _ => self.meeting(entry.to, area, f),
            }
        }
    }

    /// Visits items of a tree nearest box first (within each node), leaving out whatever is farther than `visit` last
    /// said it still wants: the squared distance of the worst that it would keep. Branch and bound (Roussopoulos et
    /// al. 1995).
    pub(crate) fn nearest_first(&self, tree: usize, at: Point, mut visit: impl FnMut(u32) -> f64) {
        if let Some(&root) = self.roots.get(tree).filter(|&&root| root != NONE) {
            let mut wanted2 = f64::INFINITY;
            self.descend(root, at, &mut wanted2, &mut visit);
        }
    }

    fn descend(&self, node: u32, at: Point, wanted2: &mut f64, visit: &mut impl FnMut(u32) -> f64) {
        let node = &self.nodes[node as usize];
        let mut order: ArrayVec<(f64, u32), FANOUT> =
            node.entries.iter().map(|entry| (distance2(entry.reach, at), entry.to)).collect();
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (d2, to) in order {
            if d2 > *wanted2 {
                return;
            }
            match node.height {
                0 => *wanted2 = visit(to),
                _ => self.descend(to, at, wanted2, visit),
            }
        }
    }

    /// Puts an entry into a node of a height: the one that must grow least for it (Guttman's ChooseLeaf).
    fn put(&mut self, tree: usize, height: u32, entry: Entry) {
        let mut at = self.roots[tree];
        if at == NONE {
            at = self.node(height);
            self.roots[tree] = at;
            self.link(at, entry);
            self.set_reach(at, entry.reach);
            return;
        }
        while self.nodes[at as usize].height > height {
            let growth = |e: &Entry| (size(union(e.reach, entry.reach)) - size(e.reach), size(e.reach));
            let Some(best) = self.nodes[at as usize]
                .entries
                .iter()
                .map(|e| (growth(e), e.to))
                .min_by(|a, b| a.0.0.total_cmp(&b.0.0).then(a.0.1.total_cmp(&b.0.1)))
            else {
                break;
            };
            at = best.1;
        }
        self.add(tree, at, entry);
    }

    /// Adds an entry to a node, which is split where it is full.
    fn add(&mut self, tree: usize, node: u32, entry: Entry) {
        if !self.nodes[node as usize].entries.is_full() {
            self.link(node, entry);
            let wider = union(self.nodes[node as usize].reach, entry.reach);
            self.set_reach(node, if is_near(wider) { wider } else { self.nodes[node as usize].exact() });
            return;
        }
        let (height, parent) = (self.nodes[node as usize].height, self.nodes[node as usize].parent);
        let mut all: ArrayVec<Entry, { FANOUT + 1 }> = self.nodes[node as usize].entries.drain(..).collect();
        all.push(entry);
        sort_along_longer_side(&mut all);
        let other = self.node(height);
        for (i, &entry) in all.iter().enumerate() {
            self.link(if i < all.len() / 2 { node } else { other }, entry);
        }
        self.tighten(node);
        self.tighten(other);
        let lead = |to: u32| Entry { reach: self.nodes[to as usize].reach, to };
        let (first, second) = (lead(node), lead(other));
        if parent == NONE {
            let root = self.node(height + 1);
            self.link(root, first);
            self.link(root, second);
            self.set_reach(root, union(first.reach, second.reach));
            self.roots[tree] = root;
        } else {
            self.add(tree, parent, second);
        }
    }

    /// Takes an entry out of a node, which is dissolved where too few are left in it.
    fn take(&mut self, tree: usize, node: u32, to: u32) {
        let entries = &mut self.nodes[node as usize].entries;
        if let Some(i) = entries.iter().position(|entry| entry.to == to) {
            entries.swap_remove(i);
        }
        let (height, parent, left) = {
            let node = &self.nodes[node as usize];
            (node.height, node.parent, node.entries.len())
        };
        if parent != NONE && left < MIN_FILLED {
            let rest: ArrayVec<Entry, FANOUT> = self.nodes[node as usize].entries.drain(..).collect();
            self.free.push(node);
            self.take(tree, parent, node);
            for entry in rest {
                self.put(tree, height, entry);
            }
        } else if parent == NONE && left == 0 {
            self.free.push(node);
            self.roots[tree] = NONE;
        } else if parent == NONE && left == 1 && height > 0 {
            let only = self.nodes[node as usize].entries[0].to;
            self.free.push(node);
            self.nodes[only as usize].parent = NONE;
            self.roots[tree] = only;
        } else {
            self.tighten(node);
        }
    }

    /// A node without entries.
    fn node(&mut self, height: u32) -> u32 {
        let node = Node { entries: ArrayVec::new(), reach: NOTHING, parent: NONE, height };
        match self.free.pop() {
            Some(again) => {
                self.nodes[again as usize] = node;
                again
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        }
    }

    fn link(&mut self, node: u32, entry: Entry) {
        self.nodes[node as usize].entries.push(entry);
        match self.nodes[node as usize].height {
            0 => self.leaf_of[entry.to as usize] = node,
            _ => self.nodes[entry.to as usize].parent = node,
        }
    }

    /// Draws a node's box round what it holds, and those above it.
    fn tighten(&mut self, node: u32) {
        self.set_reach(node, self.nodes[node as usize].exact());
    }

    /// Gives a node a box, and draws those above it anew, up to where nothing changes.
    fn set_reach(&mut self, mut node: u32, mut reach: Aabb) {
        while self.nodes[node as usize].reach != reach {
            self.nodes[node as usize].reach = reach;
            let parent = self.nodes[node as usize].parent;
            if parent == NONE {
                return;
            }
            let above = &mut self.nodes[parent as usize];
            if let Some(entry) = above.entries.iter_mut().find(|entry| entry.to == node) {
                entry.reach = reach;
            }
            (node, reach) = (parent, above.exact());
        }
    }
}

/// By the middles of the boxes, along the side on which they lie farther apart.
fn sort_along_longer_side(entries: &mut [Entry]) {
    let middle = |e: &Entry| [e.reach.min.x_m + e.reach.max.x_m, e.reach.min.y_m + e.reach.max.y_m];
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for entry in entries.iter() {
        for (axis, at) in middle(entry).into_iter().enumerate() {
            low[axis] = low[axis].min(at);
            high[axis] = high[axis].max(at);
        }
    }
    let axis = usize::from(high[1] - low[1] > high[0] - low[0]);
    entries.sort_unstable_by(|a, b| middle(a)[axis].total_cmp(&middle(b)[axis]).then(a.to.cmp(&b.to)));
}

fn union(a: Aabb, b: Aabb) -> Aabb {
    Aabb {
        min: Point::new(a.min.x_m.min(b.min.x_m), a.min.y_m.min(b.min.y_m)),
        max: Point::new(a.max.x_m.max(b.max.x_m), a.max.y_m.max(b.max.y_m)),
    }
}

/// Whether a box is no larger than one that may hold more than it needs.
fn is_near(a: Aabb) -> bool {
    a.max.x_m - a.min.x_m <= NEAR_M && a.max.y_m - a.min.y_m <= NEAR_M
}

fn size(a: Aabb) -> f64 {
    (a.max.x_m - a.min.x_m) * (a.max.y_m - a.min.y_m)
}

fn meet(a: Aabb, b: Aabb) -> bool {
    a.min.x_m <= b.max.x_m && b.min.x_m <= a.max.x_m && a.min.y_m <= b.max.y_m && b.min.y_m <= a.max.y_m
}

fn contains(outer: Aabb, inner: Aabb) -> bool {
    outer.contains(inner.min) && outer.contains(inner.max)
}

/// The squared distance of a point from a box; 0 inside.
fn distance2(a: Aabb, at: Point) -> f64 {
    let dx = (a.min.x_m - at.x_m).max(at.x_m - a.max.x_m).max(0.0);
    let dy = (a.min.y_m - at.y_m).max(at.y_m - a.max.y_m).max(0.0);
    dx * dx + dy * dy
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn around(x_m: f64, y_m: f64, by_m: f64) -> Aabb {
        Aabb { min: Point::new(x_m, y_m), max: Point::new(x_m, y_m) }.grown(by_m)
    }

    impl RTrees {
        /// What every tree must be: boxes that hold what is below them and no more (a leaf's, where it is small, may), no
        /// thin node, leaves at height 0, items that know their leaf. The number of items.
        fn audit(&self, tree: usize) -> usize {
            let root = self.roots[tree];
            if root == NONE { 0 } else { self.audit_node(root, NONE) }
        }

        fn audit_node(&self, at: u32, parent: u32) -> usize {
            let node = &self.nodes[at as usize];
            assert_eq!(node.parent, parent);
            let exact = node.exact();
            let may_hold_more = node.height == 0 && is_near(node.reach);
            assert!(exact == node.reach || may_hold_more && contains(node.reach, exact), "{node:?}");
            assert!(node.entries.len() >= if parent == NONE { 1 + usize::from(node.height > 0) } else { MIN_FILLED });
            if node.height == 0 {
                assert!(node.entries.iter().all(|entry| self.leaf_of[entry.to as usize] == at));
                return node.entries.len();
            }
            let below = |entry: &Entry| {
                let child = &self.nodes[entry.to as usize];
                assert_eq!((child.height + 1, child.reach), (node.height, entry.reach));
                self.audit_node(entry.to, at)
            };
            node.entries.iter().map(below).sum()
        }
    }

    #[derive(Clone, Debug)]
    enum Deed {
        Insert(Aabb),
        Remove(usize),
        Update(usize, Aabb),
    }

    fn deed() -> impl Strategy<Value = Deed> {
        // Whole metres: boxes that touch, cover each other and are equal come up.
        let place = (0..40i32, 0..40i32, 0..3i32).prop_map(|(x, y, by)| around(x.into(), y.into(), by.into()));
        prop_oneof![
            3 => place.clone().prop_map(Deed::Insert),
            2 => any::<usize>().prop_map(Deed::Remove),
            3 => (any::<usize>(), place).prop_map(|(i, to)| Deed::Update(i, to)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn finds_what_a_list_finds(deeds in prop::collection::vec((0..2usize, deed()), 1..400)) {
            let mut trees = RTrees::new(2, 0);
            let mut lists: [Vec<(u32, Aabb)>; 2] = [Vec::new(), Vec::new()];
            for (item, (tree, deed)) in (0u32..).zip(deeds) {
                let list = &mut lists[tree];
                match deed {
                    Deed::Insert(reach) => {
                        trees.insert(tree, item, reach);
                        list.push((item, reach));
                    }
                    Deed::Remove(i) if !list.is_empty() => {
                        let (item, _) = list.swap_remove(i % list.len());
                        prop_assert!(trees.remove(tree, item));
                        prop_assert!(!trees.remove(tree, item));
                    }
                    Deed::Update(i, reach) if !list.is_empty() => {
                        let i = i % list.len();
                        list[i].1 = reach;
                        trees.update(tree, list[i].0, reach);
                    }
                    _ => {}
                }
                prop_assert_eq!(trees.audit(tree), lists[tree].len());
            }
            for (tree, list) in lists.iter().enumerate() {
                for at in [around(10.0, 10.0, 4.0), around(20.5, 33.0, 0.0), around(0.0, 0.0, 50.0)] {
                    let mut found = Vec::new();
                    trees.for_each_meeting(tree, at, &mut |item| found.push(item));
                    let mut wanted: Vec<u32> = list.iter().filter(|(_, b)| meet(*b, at)).map(|&(i, _)| i).collect();
                    found.sort_unstable();
                    wanted.sort_unstable();
                    prop_assert_eq!(found, wanted);
                    let mut least2 = f64::INFINITY;
                    trees.nearest_first(tree, at.min, |item| {
                        let reach = list.iter().find(|(i, _)| *i == item).map(|&(_, b)| b);
                        least2 = least2.min(reach.map_or(f64::INFINITY, |b| distance2(b, at.min)));
                        least2
                    });
                    let wanted2 = list.iter().map(|(_, b)| distance2(*b, at.min)).fold(f64::INFINITY, f64::min);
                    prop_assert_eq!(least2, wanted2);
                }
            }
        }
    }

    #[test]
    fn a_thousand_that_come_and_go_leave_no_nodes_behind() {
        let mut trees = RTrees::new(1, 1_000);
        let room = trees.nodes.capacity();
        for round in 0..20u32 {
            for item in 0..1_000 {
                let (x, y) = (item * 7919 % 1_000, (item + round) * 104_729 % 1_000);
                trees.insert(0, item, around(x.into(), y.into(), 1.0));
            }
            assert_eq!(trees.audit(0), 1_000);
            assert!((0..1_000).rev().all(|item| trees.remove(0, item)));
            assert_eq!((trees.audit(0), trees.free.len()), (0, trees.nodes.len()));
        }
        assert_eq!(trees.nodes.capacity(), room, "room was made once");
    }
}
