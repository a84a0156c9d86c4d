//! The cheapest one-to-one assignment of rows to columns.
//!
//! Shortest augmenting paths with dual prices: R. Jonker and A. Volgenant, "A shortest augmenting path algorithm for
//! dense and sparse linear assignment problems", Computing 38 (1987), in the form for rectangular matrices of
//! D. F. Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Trans. Aerosp. Electron. Syst. 52 (2016).
//!
//! Several assignments may cost the same (two tracks on one spot), and then the choice shows in label switches and in
//! HOTA. The order of scanning is therefore part of the contract, and it is the one of SciPy's solver, which the published
//! scorers call: columns are looked at from the last to the first, a column that leaves takes its place from the end of the
//! list, the first cheapest column wins unless a later equally cheap one is still free, and a tall matrix is solved as its transpose.

use super::numeric::Matrix;

/// No row, or no column.
const NONE: usize = usize::MAX;

/// The assignment of min(rows, cols) pairs with the least total cost: (row, column), rows rising.
///
/// Every cost must be finite.
pub(super) fn assign(cost: &Matrix) -> Vec<(usize, usize)> {
    debug_assert!(cost.elements().iter().all(|c| c.is_finite()), "costs are finite");
    if cost.cols >= cost.rows {
        let columns = solve(cost);
        return columns.into_iter().enumerate().collect();
    }
    let transposed = Matrix::from_fn(cost.cols, cost.rows, |row, col| cost.at(col, row));
    let mut pairs: Vec<(usize, usize)> = solve(&transposed).into_iter().enumerate().map(|(c, r)| (r, c)).collect();
    pairs.sort_unstable();
    pairs
}

/// What one search for a free column leaves behind.
struct Search {
    /// Row from which a column was reached most cheaply.
    from: Vec<usize>,
    /// Cost of the cheapest path to a column.
    reach: Vec<f64>,
    /// Rows and columns that the search has settled.
    rows_settled: Vec<bool>,
    cols_settled: Vec<bool>,
    /// Columns not settled yet, in scanning order.
    open: Vec<usize>,
}

/// For each row of a matrix at least as wide as tall, its column.
fn solve(cost: &Matrix) -> Vec<usize> {
    let (rows, cols) = (cost.rows, cost.cols);
    let (mut row_price, mut col_price) = (vec![0.0; rows], vec![0.0; cols]);
    let (mut col_of, mut row_of) = (vec![NONE; rows], vec![NONE; cols]);
    let mut search = Search {
        from: vec![NONE; cols],
        reach: vec![f64::INFINITY; cols],
        rows_settled: vec![false; rows],
        cols_settled: vec![false; cols],
        open: Vec::with_capacity(cols),
    };
    for start in 0..rows {
        let (sink, length) = search.run(cost, start, &row_price, &col_price, &row_of);
        row_price[start] += length;
        for row in (0..rows).filter(|row| *row != start && search.rows_settled[*row]) {
            row_price[row] += length - search.reach[col_of[row]];
        }
        for col in (0..cols).filter(|col| search.cols_settled[*col]) {
            col_price[col] -= length - search.reach[col];
        }
        // Walk the path back, handing each column on to the row that reached it.
        let mut col = sink;
        loop {
            let row = search.from[col];
            row_of[col] = row;
            std::mem::swap(&mut col_of[row], &mut col);
            if row == start {
                break;
            }
        }
    }
    col_of
}

impl Search {
    /// The cheapest alternating path from the free row `start` to a free column: that column and the path's length.
    fn run(
        &mut self,
        cost: &Matrix,
        start: usize,
        row_price: &[f64],
        col_price: &[f64],
        row_of: &[usize],
    ) -> (usize, f64) {
        self.reach.fill(f64::INFINITY);
        self.rows_settled.fill(false);
        self.cols_settled.fill(false);
        self.open.clear();
        self.open.extend((0..cost.cols).rev());
        let (mut row, mut length) = (start, 0.0);
        loop {
            self.rows_settled[row] = true;
            let costs = cost.row(row);
            let (mut best, mut lowest) = (0, f64::INFINITY);
            for (place, &col) in self.open.iter().enumerate() {
                let via = length + costs[col] - row_price[row] - col_price[col];
                if via < self.reach[col] {
                    self.reach[col] = via;
                    self.from[col] = row;
                }
                let reach = self.reach[col];
                if reach < lowest || (reach == lowest && row_of[col] == NONE) {
                    (best, lowest) = (place, reach);
                }
            }
            length = lowest;
            // There are at least as many columns as rows, so an open column is always left.
            let col = self.open.swap_remove(best);
            self.cols_settled[col] = true;
            if row_of[col] == NONE {
                return (col, length);
            }
            row = row_of[col];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matrix(rows: &[&[f64]]) -> Matrix {
        Matrix::from_fn(rows.len(), rows[0].len(), |r, c| rows[r][c])
    }

    fn total(cost: &Matrix, pairs: &[(usize, usize)]) -> f64 {
        pairs.iter().map(|(r, c)| cost.at(*r, *c)).sum()
    }

    /// The least cost by trying every assignment of the rows from `row` on.
    fn exhaustive(cost: &Matrix, row: usize, used: &mut Vec<bool>, skips: usize) -> f64 {
        if row == cost.rows {
            return 0.0;
        }
        let mut best = if skips > 0 { exhaustive(cost, row + 1, used, skips - 1) } else { f64::INFINITY };
        for col in 0..cost.cols {
            if !used[col] {
                used[col] = true;
                best = best.min(cost.at(row, col) + exhaustive(cost, row + 1, used, skips));
                used[col] = false;
            }
        }
        best
    }

    #[test]
    fn takes_the_best_sum_and_not_the_nearest_first() {
        let cost = matrix(&[&[0.81, 2.25], &[0.01, 4.0]]);
        assert_eq!(assign(&cost), [(0, 1), (1, 0)]);
    }

    #[test]
    fn equal_costs_go_to_the_identity() {
        let cost = Matrix::from_fn(4, 4, |_, _| 3.0);
        assert_eq!(assign(&cost), [(0, 0), (1, 1), (2, 2), (3, 3)]);
    }

    #[test]
    fn nothing_to_assign() {
        assert!(assign(&Matrix::from_fn(0, 3, |_, _| 0.0)).is_empty());
        assert!(assign(&Matrix::from_fn(3, 0, |_, _| 0.0)).is_empty());
    }

    proptest! {
        #[test]
        fn costs_what_the_exhaustive_search_finds(rows in 1usize..6, cols in 1usize..6, seed in prop::collection::vec(0u8..6, 36)) {
            let cost = Matrix::from_fn(rows, cols, |r, c| f64::from(seed[r * 6 + c]));
            let pairs = assign(&cost);
            prop_assert_eq!(pairs.len(), rows.min(cols));
            let best = exhaustive(&cost, 0, &mut vec![false; cols], rows.saturating_sub(cols));
            prop_assert_eq!(total(&cost, &pairs), best);
        }
    }
}
