//! A scan's detections in canonical order, and those in a box.
//!
//! The order (cell, x, y, variance) depends on the detections, not on the order in which a scan lists them: two that are
//! alike in all of that are alike.

use super::cells::Cells;
use super::mixture::Seen;

/// Least side of a cell, m: about the width of a gate, which then meets four cells.
const CELL_M: f64 = 3.0;

/// A scan's detections, ready to be looked up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    /// As they were given; to be filled before [`Gate::arrange`].
    pub(crate) given: Vec<Seen>,
    /// In canonical order.
    pub(crate) seen: Vec<Seen>,
    cells: Cells,
}

impl Gate {
    /// Room for so many detections.
    pub(crate) fn new(detections_max: usize) -> Self {
        Gate {
            given: Vec::with_capacity(detections_max),
            seen: Vec::with_capacity(detections_max),
            cells: Cells::new(),
        }
    }

    /// Puts what is in `given` into `seen`.
    pub(crate) fn arrange(&mut self) {
        self.cells.arrange(&self.given, |s| [s.x, s.y], CELL_M, &mut self.seen);
        for run in self.cells.runs() {
            if run.len() > 1 {
                self.seen[run].sort_unstable_by(|a, b| {
                    (a.x.total_cmp(&b.x))
                        .then(a.y.total_cmp(&b.y))
                        .then(a.var.total_cmp(&b.var))
                        .then(a.index.cmp(&b.index))
                });
            }
        }
    }

    /// Calls `visit` with each detection in a box, ascending.
    #[inline]
    pub(crate) fn for_each_in(&self, low: [f64; 2], high: [f64; 2], mut visit: impl FnMut(u32, &Seen)) {
        self.cells.for_each_run(low, high, |run| {
            let first = run.start;
            for (n, s) in self.seen[run].iter().enumerate() {
                if s.x >= low[0] && s.x <= high[0] && s.y >= low[1] && s.y <= high[1] {
                    visit((first + n) as u32, s);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_given_means_nothing(
            points in proptest::collection::vec((-9.0..9.0f64, -9.0..9.0f64, 0..3u8), 0..60),
            rotate in 0..60usize,
        ) {
            // On a lattice, so that some are alike in one coordinate or both.
            let made = |points: &[(f64, f64, u8)]| {
                let mut gate = Gate::new(64);
                for (k, &(x, y, var)) in points.iter().enumerate() {
                    gate.given.push(Seen { x: x.round(), y: y.round(), var: f64::from(var), index: k as u32 });
                }
                gate.arrange();
                gate.seen.iter().map(|s| (s.x, s.y, s.var)).collect::<Vec<_>>()
            };
            let mut mixed = points.clone();
            mixed.rotate_left(rotate % points.len().max(1));
            prop_assert_eq!(made(&points), made(&mixed));
        }
    }
}
