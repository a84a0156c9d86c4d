//! Square cells over whatever points there are, so that those in a box are found without looking at the others.
//!
//! The cells are laid anew each time over the points' own bounds, so any site has them, however large or far away. Points
//! are put in the order of their cells (rows of cells from low to high y, in a row from low to high x) by counting, which
//! costs no comparison, and the cells that a box meets in one row are one run of that order.

/// Fewest and most cells that may be laid.
const CELLS_MIN: usize = 64;
/// Most cells; with so many, clearing them takes a microsecond or two.
const CELLS_MAX: usize = 16_384;
/// Cells per point up to those limits: more would be empty.
const CELLS_PER_POINT: usize = 16;

/// A grid of square cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells {
    /// Least corner of the points, m.
    low: [f64; 2],
    /// Cells per metre.
    per_m: f64,
    /// Columns and rows, at least one of each if there is a point.
    size: [usize; 2],
    /// First point of each cell, and one more.
    start: Vec<u32>,
}

impl Cells {
    /// No points yet.
    pub(crate) fn new() -> Self {
        Cells { start: Vec::with_capacity(CELLS_MAX + 1), ..Cells::default() }
    }

    /// Puts `given` into `sorted` in the order of cells of at least `side_m`; in a cell they keep their order.
    pub(crate) fn arrange<T: Copy>(
        &mut self,
        given: &[T],
        place: impl Fn(&T) -> [f64; 2],
        side_m: f64,
        sorted: &mut Vec<T>,
    ) {
        self.lay(given, &place, side_m);
        sorted.clear();
        sorted.extend_from_slice(given);
        for point in given {
            let cell = self.cell(place(point));
            self.start[cell] += 1;
        }
        // Counts become ends ...
        let mut sum = 0;
        for count in &mut self.start {
            sum += *count;
            *count = sum;
        }
        // ... and, filling from the back, ends become starts.
        for point in given.iter().rev() {
            let cell = self.cell(place(point));
            self.start[cell] -= 1;
            sorted[self.start[cell] as usize] = *point;
        }
    }

    /// Chooses the size of the cells and empties them.
    fn lay<T>(&mut self, given: &[T], place: impl Fn(&T) -> [f64; 2], side_m: f64) {
        self.start.clear();
        self.size = [0; 2];
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for point in given {
            let at = place(point);
            for a in 0..2 {
                low[a] = low[a].min(at[a]);
                high[a] = high[a].max(at[a]);
            }
        }
        if given.is_empty() {
            return;
        }
        let cells_max = (CELLS_PER_POINT * given.len()).clamp(CELLS_MIN, CELLS_MAX) as f64;
        let mut per_m = 1.0 / side_m;
        let (columns, rows) = loop {
            let columns = ((high[0] - low[0]) * per_m).floor() + 1.0;
            let rows = ((high[1] - low[1]) * per_m).floor() + 1.0;
            if columns * rows <= cells_max {
                break (columns, rows);
            }
            per_m *= 0.5;
        };
        (self.low, self.per_m, self.size) = (low, per_m, [columns as usize, rows as usize]);
        self.start.resize(self.size[0] * self.size[1] + 1, 0);
    }

    /// The cell of one of the points.
    #[inline]
    fn cell(&self, at: [f64; 2]) -> usize {
        let column = ((at[0] - self.low[0]) * self.per_m) as u32 as usize;
        let row = ((at[1] - self.low[1]) * self.per_m) as u32 as usize;
        row * self.size[0] + column
    }

    /// Points of each cell in turn.
    pub(crate) fn runs(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        self.start.windows(2).map(|w| w[0] as usize..w[1] as usize)
    }

    /// Rows and columns from `low` to `high` along one axis of `size` cells.
    #[inline]
    fn span(&self, axis: usize, low: f64, high: f64) -> std::ops::Range<usize> {
        // Casts saturate: before the first is 0, NaN (no box) too.
        let last = (high - self.low[axis]) * self.per_m;
        if last >= 0.0 {
            let first = ((low - self.low[axis]) * self.per_m) as u32 as usize;
            first.min(self.size[axis])..(last as u32 as usize).saturating_add(1).min(self.size[axis])
        } else {
            0..0
        }
    }

    /// Calls `visit` with each run of points whose cells meet the box, in order; not all of them are in the box.
    #[inline]
    pub(crate) fn for_each_run(&self, low: [f64; 2], high: [f64; 2], mut visit: impl FnMut(std::ops::Range<usize>)) {
        let columns = self.span(0, low[0], high[0]);
        if columns.is_empty() {
            return;
        }
        for row in self.span(1, low[1], high[1]) {
            let first = row * self.size[0];
            visit(self.start[first + columns.start] as usize..self.start[first + columns.end] as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_box_holds_what_it_holds(
            points in proptest::collection::vec((-60.0..60.0f64, -60.0..60.0f64), 0..60),
            centre in (-70.0..70.0f64, -70.0..70.0f64),
            half in (0.0..20.0f64, 0.0..20.0f64),
            scale in prop_oneof![Just(1.0), Just(1e-3), Just(1e5)],
        ) {
            let given: Vec<[f64; 2]> = points.iter().map(|&(x, y)| [x * scale, y * scale]).collect();
            let (mut cells, mut sorted) = (Cells::new(), Vec::new());
            cells.arrange(&given, |p| *p, 2.5, &mut sorted);
            prop_assert!(cells.start.len() <= CELLS_MAX + 1);
            let low = [(centre.0 - half.0) * scale, (centre.1 - half.1) * scale];
            let high = [(centre.0 + half.0) * scale, (centre.1 + half.1) * scale];
            let inside = |p: &[f64; 2]| (0..2).all(|a| p[a] >= low[a] && p[a] <= high[a]);
            let mut found = Vec::new();
            cells.for_each_run(low, high, |run| found.extend(run.filter(|&j| inside(&sorted[j]))));
            let slow: Vec<usize> = (0..sorted.len()).filter(|&j| inside(&sorted[j])).collect();
            prop_assert_eq!(found, slow);
            let together: Vec<usize> = cells.runs().flatten().collect();
            prop_assert_eq!(together, (0..given.len()).collect::<Vec<_>>());
            // The same points, none lost.
            let key = |p: &[f64; 2]| (p[0].to_bits(), p[1].to_bits());
            let (mut a, mut b): (Vec<_>, Vec<_>) = (given.iter().map(key).collect(), sorted.iter().map(key).collect());
            a.sort_unstable();
            b.sort_unstable();
            prop_assert_eq!(a, b);
        }
    }
}
