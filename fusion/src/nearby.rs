//! Which zones a point may be near, looked up and not searched: a grid over each level, made once, whose cells list the
//! zones whose boxes come within reach of them.
//!
//! Zones never move, and each fix that crosses a boundary asks for them. A tree answers in some sixty nanoseconds and in
//! the order of its nodes; a cell's list is found by two multiplications and is ascending already. It may name a zone
//! that is a little farther away than the reach: whoever asks looks at the zone's own box next.

use osmose_model::geometry::{Aabb, Point};
use osmose_model::ids::ZoneId;

/// The least side of a cell, metres.
const SIDE_MIN_M: f64 = 2.0;
/// Most cells of a level, and most entries in the lists of all of its cells: beyond, cells are made larger.
const CELLS_MAX: f64 = 65_536.0;
const ENTRIES_MAX: u64 = 1 << 20;
/// A number of cells along a side that no level needs.
const ALONG_MAX: f64 = 65_536.0;

/// The grid of one level.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nearby {
    from: Point,
    cells_per_m: f64,
    /// Cells along x, and along y.
    along: (usize, usize),
    /// Where each cell's list begins, and where the last one ends.
    begins: Vec<u32>,
    /// The lists of all cells, each ascending.
    zones: Vec<ZoneId>,
}

impl Nearby {
    /// A grid over some zones' boxes, ascending by zone, that names each within `reach_m` of its box.
    pub(crate) fn new(boxes: &[(ZoneId, Aabb)], reach_m: f64) -> Self {
        let grown: Vec<(ZoneId, Aabb)> = boxes.iter().map(|&(zone, b)| (zone, b.grown(reach_m))).collect();
        let Some(whole) = Aabb::around(grown.iter().flat_map(|(_, b)| [b.min, b.max])) else { return Self::default() };
        let (width_m, height_m) = (whole.max.x_m - whole.min.x_m, whole.max.y_m - whole.min.y_m);
        let mut side_m = SIDE_MIN_M;
        loop {
            let along = |length_m: f64| (length_m / side_m).floor() + 1.0;
            let (nx, ny) = (along(width_m), along(height_m));
            if nx <= ALONG_MAX && ny <= ALONG_MAX && nx * ny <= CELLS_MAX {
                let grid = Self {
                    from: whole.min,
                    cells_per_m: 1.0 / side_m,
                    along: (nx as usize, ny as usize),
                    ..Self::default()
                };
                let entries: u64 = grown.iter().map(|(_, b)| grid.cells_of(*b).count() as u64).sum();
                // One cell holds every zone once, which is as few as can be.
                if entries <= ENTRIES_MAX || nx * ny <= 1.0 {
                    return grid.filled(&grown);
                }
            }
            side_m *= 2.0;
        }
    }

    fn filled(mut self, grown: &[(ZoneId, Aabb)]) -> Self {
        let cells = self.along.0 * self.along.1;
        let mut counts = vec![0u32; cells + 1];
        for (_, b) in grown {
            self.cells_of(*b).for_each(|cell| counts[cell + 1] += 1);
        }
        for cell in 0..cells {
            counts[cell + 1] += counts[cell];
        }
        let mut next = counts.clone();
        let mut zones = vec![ZoneId(0); counts[cells] as usize];
        for &(zone, b) in grown {
            for cell in self.cells_of(b) {
                zones[next[cell] as usize] = zone;
                next[cell] += 1;
            }
        }
        (self.begins, self.zones) = (counts, zones);
        self
    }

    /// A coordinate's place along a side; never less for a larger coordinate, so that a point in a box is in its cells.
    fn place(&self, offset_m: f64) -> f64 {
        (offset_m * self.cells_per_m).floor()
    }

    /// The cells that a box inside the grid meets.
    fn cells_of(&self, b: Aabb) -> impl Iterator<Item = usize> + use<> {
        let last = (self.along.0.saturating_sub(1), self.along.1.saturating_sub(1));
        let along = |low_m: f64, high_m: f64, last: usize| {
            let place = |m| self.place(m).clamp(0.0, last as f64) as usize;
            place(low_m)..=place(high_m)
        };
        let xs = along(b.min.x_m - self.from.x_m, b.max.x_m - self.from.x_m, last.0);
        let ys = along(b.min.y_m - self.from.y_m, b.max.y_m - self.from.y_m, last.1);
        let row = self.along.0;
        ys.flat_map(move |y| xs.clone().map(move |x| y * row + x))
    }

    /// The zones that a point may be within reach of, ascending: all that it is, and perhaps some a cell farther.
    pub(crate) fn at(&self, at: Point) -> &[ZoneId] {
        let (x, y) = (self.place(at.x_m - self.from.x_m), self.place(at.y_m - self.from.y_m));
        // False for a grid without cells.
        if !(x >= 0.0 && y >= 0.0 && x < self.along.0 as f64 && y < self.along.1 as f64) {
            return &[];
        }
        let cell = y as usize * self.along.0 + x as usize;
        &self.zones[self.begins[cell] as usize..self.begins[cell + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REACH_M: f64 = 2.0;

    fn any_boxes() -> impl Strategy<Value = Vec<(ZoneId, Aabb)>> {
        let one = (-60.0..60.0f64, -60.0..60.0f64, 0.0..30.0f64, 0.0..30.0f64);
        proptest::collection::vec(one, 0..30).prop_map(|all| {
            let aabb =
                |(x, y, w, h): (f64, f64, f64, f64)| Aabb { min: Point::new(x, y), max: Point::new(x + w, y + h) };
            all.into_iter().enumerate().map(|(i, b)| (ZoneId(i as u16), aabb(b))).collect()
        })
    }

    proptest! {
        #[test]
        fn every_zone_in_reach_is_named_in_order_and_none_far_away(
            boxes in any_boxes(), points in proptest::collection::vec((-80.0..80.0f64, -80.0..80.0f64), 1..40),
        ) {
            let grid = Nearby::new(&boxes, REACH_M);
            // Corners lie on the edges of cells more often than chance has it.
            let corners = boxes.iter().flat_map(|(_, b)| [b.min, b.max]);
            for at in points.into_iter().map(|(x, y)| Point::new(x, y)).chain(corners) {
                let named = grid.at(at);
                prop_assert!(named.is_sorted_by(|a, b| a < b));
                for (zone, b) in &boxes {
                    let is_named = named.contains(zone);
                    prop_assert!(is_named || !b.grown(REACH_M).contains(at), "{zone} is missing at {at:?}");
                    prop_assert!(!is_named || b.grown(REACH_M + SIDE_MIN_M + 1e-9).contains(at), "{zone} at {at:?}");
                }
            }
        }
    }

    #[test]
    fn a_level_of_any_size_has_a_grid_of_bounded_size() {
        let wide = |i: u16| (ZoneId(i), Aabb { min: Point::new(0.0, 0.0), max: Point::new(1e6, 1e6) });
        let boxes: Vec<_> = (0..2_000).map(wide).collect();
        let grid = Nearby::new(&boxes, REACH_M);
        assert!(grid.zones.len() as u64 <= ENTRIES_MAX && grid.begins.len() as f64 <= CELLS_MAX + 1.0);
        assert_eq!(grid.at(Point::new(5e5, 1e6)).len(), 2_000);
        assert!(grid.at(Point::new(-3.0, 5.0)).is_empty());
        assert!(Nearby::new(&[], REACH_M).at(Point::new(0.0, 0.0)).is_empty(), "a level without zones");
        let point = Aabb { min: Point::new(7.0, 7.0), max: Point::new(7.0, 7.0) };
        assert_eq!(Nearby::new(&[(ZoneId(3), point)], 0.0).at(Point::new(7.0, 7.0)), [ZoneId(3)]);
    }
}
