//! The way from cell to cell: A* over the grid with exact ties, then straightened where straight is no dearer.
//!
//! Costs are whole numbers (10 a straight step, 14 a slanting one, times the cell's weight), and the heap is ordered
//! by (total, rest, cell): the same plan gives the same way on every machine. Hart, Nilsson, Raphael 1968.

use super::grid::{Goer, Grid};
use osmose_model::geometry::Point;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Cost of a straight and of a slanting step, before the weight of the cell stepped to.
const STRAIGHT: u32 = 10;
const SLANTING: u32 = 14;
/// The lowest weight that a cell can have.
const WEIGHT_MIN: u32 = 10;

/// Room for searches, kept from one to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct PathFinder {
    /// Which search touched a cell last, what reaching it costs, and from where.
    seen: Vec<(u32, u32, u32)>,
    search: u32,
    open: BinaryHeap<Reverse<(u32, u32, u32)>>,
    cells: Vec<u32>,
}

impl PathFinder {
    /// The corners of a way from `from` to `to`, without `from` itself; empty where there is no way.
    pub(super) fn find(&mut self, grid: &Grid, from: Point, to: Point, way: &mut Vec<Point>) {
        way.clear();
        let (Some(start), Some(end)) = (grid.cell_at(from), grid.cell_at(to)) else { return };
        let floor = grid.floor(start);
        if floor == 0 || floor != grid.floor(end) {
            return;
        }
        // Behind a counter, those whose place it is go straight on; everybody else goes round.
        let who = if grid.is_restricted(start) && grid.is_restricted(end) { Goer::Staff } else { Goer::Anybody };
        self.search(grid, start, end, who);
        self.straighten(grid, (from, to), who, way);
    }

    /// Fills `cells` with the cheapest way, both ends included.
    fn search(&mut self, grid: &Grid, start: usize, end: usize, who: Goer) {
        if self.seen.len() < grid.len() {
            self.seen.resize(grid.len(), (0, 0, 0));
        }
        self.search = self.search.wrapping_add(1);
        if self.search == 0 {
            self.seen.fill((0, 0, 0));
            self.search = 1;
        }
        let row = grid.row();
        let rest = |cell: usize| {
            let (dx, dy) = ((cell % row).abs_diff(end % row) as u32, (cell / row).abs_diff(end / row) as u32);
            (STRAIGHT * dx.abs_diff(dy) + SLANTING * dx.min(dy)) * WEIGHT_MIN
        };
        self.open.clear();
        self.seen[start] = (self.search, 0, start as u32);
        self.open.push(Reverse((rest(start), rest(start), start as u32)));
        while let Some(Reverse((total, estimate, cell))) = self.open.pop() {
            let cell = cell as usize;
            if cell == end {
                break;
            }
            let cost = self.seen[cell].1;
            if cost + estimate < total {
                continue; // a cheaper way to this cell was found after this entry was made
            }
            for (next, slanting) in grid.neighbours(cell) {
                let step = if slanting { SLANTING } else { STRAIGHT } * u32::from(grid.weight_for(next, who));
                let through = cost + step;
                let (search, known, _) = self.seen[next];
                if search != self.search || through < known {
                    self.seen[next] = (self.search, through, cell as u32);
                    self.open.push(Reverse((through + rest(next), rest(next), next as u32)));
                }
            }
        }
        self.cells.clear();
        let mut cell = end;
        while cell != start {
            self.cells.push(cell as u32);
            cell = self.seen[cell].2 as usize;
        }
        self.cells.push(start as u32);
        self.cells.reverse();
    }

    /// Leaves out every corner that a straight line can skip without passing nearer to walls than the way does.
    fn straighten(&self, grid: &Grid, (from, to): (Point, Point), who: Goer, way: &mut Vec<Point>) {
        let last = self.cells.len() - 1;
        let point = |i: usize| match i {
            0 => from,
            i if i == last => to,
            i => grid.middle(self.cells[i] as usize),
        };
        let cost = |i: usize| self.seen[self.cells[i] as usize].1;
        let mut at = 0;
        while at < last {
            let mut next = at + 1;
            // One failure may be the corner of a table that the line clears further on: look a little further.
            let (mut ahead, mut failures) = (at + 2, 0);
            while ahead <= last && failures < 8 {
                let dearest = f64::from(cost(ahead) - cost(at)) * 1.02 + 1.0;
                if line_cost(grid, point(at), point(ahead), who).is_some_and(|c| c <= dearest) {
                    next = ahead;
                    failures = 0;
                } else {
                    failures += 1;
                }
                ahead += 1;
            }
            way.push(point(next));
            at = next;
        }
        if way.is_empty() {
            way.push(to);
        }
    }
}

/// What walking straight costs in the unit of the search; `None` where a cell on the line is not walkable.
///
/// Every cell that the line touches is visited in order (Amanatides and Woo, "A Fast Voxel Traversal Algorithm", 1987).
pub(super) fn line_cost(grid: &Grid, from: Point, to: Point, who: Goer) -> Option<f64> {
    let (a, b) = (grid.in_cells(from), grid.in_cells(to));
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = (dx * dx + dy * dy).sqrt();
    let (mut ix, mut iy) = (a.0.floor(), a.1.floor());
    let axis = |v: f64, d: f64, i: f64| {
        if d > 0.0 {
            (1.0, (i + 1.0 - v) / d, 1.0 / d)
        } else if d < 0.0 {
            (-1.0, (i - v) / d, -1.0 / d)
        } else {
            (0.0, f64::INFINITY, f64::INFINITY)
        }
    };
    let ((step_x, mut next_x, per_x), (step_y, mut next_y, per_y)) = (axis(a.0, dx, ix), axis(a.1, dy, iy));
    let weight_at = |ix: f64, iy: f64| {
        let within = ix >= 0.0 && iy >= 0.0 && ix < grid.row() as f64;
        let cell = if within { iy as usize * grid.row() + ix as usize } else { usize::MAX };
        (cell < grid.len()).then(|| grid.weight_for(cell, who)).filter(|&w| w > 0)
    };
    let (mut t, mut cost) = (0.0, 0.0);
    loop {
        let weight = f64::from(weight_at(ix, iy)?);
        let until = next_x.min(next_y).min(1.0);
        cost += (until - t).max(0.0) * length * weight * f64::from(STRAIGHT);
        if until >= 1.0 {
            return Some(cost);
        }
        t = until;
        if next_x <= until && next_y <= until {
            // Through a corner: both cells beside it must be free, or somebody would brush a wall.
            weight_at(ix + step_x, iy)?;
            weight_at(ix, iy + step_y)?;
        }
        if next_x <= until {
            ix += step_x;
            next_x += per_x;
        }
        if next_y <= until {
            iy += step_y;
            next_y += per_y;
        }
    }
}
