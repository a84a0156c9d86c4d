//! Finding the detections in a box: rows of equal height, in each row sorted by x.
//!
//! The rows are made anew for each scan from its own detections, so any site has them, however large or far away. That
//! order is also the canonical one of a scan: it depends on the detections, not on the order in which they were listed.

use super::mixture::Seen;

/// Least height of a row, m.
const ROW_M: f64 = 1.5;
/// Most rows.
const ROWS_MAX: usize = 1024;

/// A scan's detections, ready to be looked up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    /// In order of (row, x, y, variance, given order).
    pub(crate) seen: Vec<Seen>,
    /// First detection of each row, and one more.
    start: Vec<u32>,
    /// y of the lowest detection, m.
    low: f64,
    /// Rows per metre.
    per_m: f64,
}

impl Gate {
    /// Room for so many detections.
    pub(crate) fn new(detections_max: usize) -> Self {
        Gate {
            seen: Vec::with_capacity(detections_max),
            start: Vec::with_capacity(ROWS_MAX + 2),
            low: 0.0,
            per_m: 1.0 / ROW_M,
        }
    }

    /// Sorts what was pushed to `seen`.
    pub(crate) fn arrange(&mut self) {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for s in &self.seen {
            low = low.min(s.y);
            high = high.max(s.y);
        }
        self.start.clear();
        if self.seen.is_empty() {
            return;
        }
        self.low = low;
        self.per_m = 1.0 / ROW_M.max((high - low) / (ROWS_MAX - 1) as f64);
        for s in &mut self.seen {
            s.row = ((s.y - low) * self.per_m) as u32;
        }
        self.seen.sort_unstable_by(|a, b| {
            (a.row.cmp(&b.row))
                .then(a.x.total_cmp(&b.x))
                .then(a.y.total_cmp(&b.y))
                .then(a.var.total_cmp(&b.var))
                .then(a.index.cmp(&b.index))
        });
        for (j, s) in self.seen.iter().enumerate() {
            while self.start.len() <= s.row as usize {
                self.start.push(j as u32);
            }
        }
        self.start.push(self.seen.len() as u32);
    }

    /// Rows that a box reaches.
    #[inline]
    pub(crate) fn rows(&self, low_y: f64, high_y: f64) -> std::ops::Range<usize> {
        let rows = self.start.len().saturating_sub(1);
        // Casts saturate: below the first row is 0, NaN (no box) too.
        let first = ((low_y - self.low) * self.per_m) as usize;
        let last = (high_y - self.low) * self.per_m;
        if last >= 0.0 { first.min(rows)..(last as usize + 1).min(rows) } else { 0..0 }
    }

    /// Detections of `row` that are not left of `low_x`: from the first of them to the end of the row.
    #[inline]
    pub(crate) fn from(&self, row: usize, low_x: f64) -> std::ops::Range<usize> {
        let (begin, end) = (self.start[row] as usize, self.start[row + 1] as usize);
        begin + self.seen[begin..end].partition_point(|s| s.x < low_x)..end
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
            let mut gate = Gate::new(64);
            for (k, &(x, y)) in points.iter().enumerate() {
                gate.seen.push(Seen { x: x * scale, y: y * scale, var: 0.1, index: k as u32, row: 0 });
            }
            gate.arrange();
            let low = [(centre.0 - half.0) * scale, (centre.1 - half.1) * scale];
            let high = [(centre.0 + half.0) * scale, (centre.1 + half.1) * scale];
            let inside = |s: &Seen| s.x >= low[0] && s.x <= high[0] && s.y >= low[1] && s.y <= high[1];
            let mut found = Vec::new();
            for row in gate.rows(low[1], high[1]) {
                for j in gate.from(row, low[0]) {
                    if gate.seen[j].x > high[0] {
                        break;
                    }
                    if inside(&gate.seen[j]) {
                        found.push(j);
                    }
                }
            }
            let slow: Vec<usize> = (0..gate.seen.len()).filter(|&j| inside(&gate.seen[j])).collect();
            prop_assert_eq!(found, slow);
        }
    }
}
