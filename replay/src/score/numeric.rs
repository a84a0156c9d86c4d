//! Sums, powers and rounding with the exact order of operations that the published scorers use.
//!
//! A score is compared to four decimals with figures from other programs, so a last-bit difference in a mean can turn
//! into a different printed digit wherever the true value lies on a rounding boundary. The reference scorers run on
//! NumPy, whose sums are pairwise with eight interleaved accumulators; here the same order is kept, so that the bits are
//! the same and no tolerance is needed.

/// NumPy's block length below which it does not split a sum in two.
const BLOCK: usize = 128;
/// Interleaved accumulators within a block.
const LANES: usize = 8;

/// Where NumPy cuts a sum of `len` terms in two: the middle, rounded down to whole lanes.
fn cut(len: usize) -> usize {
    let half = len / 2;
    half - half % LANES
}

/// Folds eight lanes in the order NumPy folds them.
fn fold(r: &[f64; LANES]) -> f64 {
    ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
}

/// The pairwise sum of `values`, in NumPy's order; 0 of nothing.
pub(super) fn sum(values: &[f64]) -> f64 {
    let len = values.len();
    if len > BLOCK {
        let (left, right) = values.split_at(cut(len));
        return sum(left) + sum(right);
    }
    let whole = if len < LANES { 0 } else { len - len % LANES };
    let mut total = 0.0;
    if whole > 0 {
        let mut lanes = [0.0; LANES];
        for eight in values[..whole].chunks_exact(LANES) {
            for (lane, value) in lanes.iter_mut().zip(eight) {
                *lane += value;
            }
        }
        total = fold(&lanes);
    }
    values[whole..].iter().fold(total, |total, value| total + value)
}

/// The pairwise sum of a vector of `len` terms that are all zero except `terms`, given as (index, value) in rising order of index.
///
/// The same bits as [`sum`] of the full vector (adding a zero changes nothing), without building it: association counts
/// over all pairs of people and tracks are nearly all zero.
pub(super) fn sum_sparse(len: usize, terms: &[(usize, f64)]) -> f64 {
    sum_sparse_from(0, len, terms)
}

fn sum_sparse_from(start: usize, len: usize, terms: &[(usize, f64)]) -> f64 {
    if terms.is_empty() {
        return 0.0;
    }
    if len > BLOCK {
        let left = cut(len);
        let split = terms.partition_point(|(index, _)| *index < start + left);
        return sum_sparse_from(start, left, &terms[..split])
            + sum_sparse_from(start + left, len - left, &terms[split..]);
    }
    let whole = if len < LANES { 0 } else { len - len % LANES };
    let split = terms.partition_point(|(index, _)| *index < start + whole);
    let mut lanes = [0.0; LANES];
    for (index, value) in &terms[..split] {
        lanes[(index - start) % LANES] += value;
    }
    terms[split..].iter().fold(fold(&lanes), |total, (_, value)| total + value)
}

/// The mean of `values`, `None` of nothing.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() { None } else { Some(sum(values) / values.len() as f64) }
}

/// `x^p` as NumPy's array power takes it: exponents 1, 2 and 1/2 are exact operations, the rest is `pow`.
pub(super) fn power(x: f64, p: f64) -> f64 {
    if p == 2.0 {
        x * x
    } else if p == 1.0 {
        x
    } else if p == 0.5 {
        x.sqrt()
    } else {
        x.powf(p)
    }
}

/// Rounds to `digits` decimals as Python's `round` does: half to even on the exact binary value, through its decimal text.
pub(super) fn round_to(x: f64, digits: usize) -> f64 {
    // Formatting is exact and breaks ties to even, and parsing is correctly rounded, so text is the precise way;
    // a value that is not finite has no decimals and stays as it is.
    if x.is_finite() { format!("{x:.digits$}").parse().unwrap_or(x) } else { x }
}

/// A dense matrix of costs or distances: `rows` x `cols`, row after row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) cols: usize,
    data: Vec<f64>,
}

impl Matrix {
    /// The matrix whose element (row, column) is `of(row, column)`.
    pub(super) fn from_fn(rows: usize, cols: usize, mut of: impl FnMut(usize, usize) -> f64) -> Self {
        let mut data = Vec::with_capacity(rows * cols);
        for row in 0..rows {
            for col in 0..cols {
                data.push(of(row, col));
            }
        }
        Self { rows, cols, data }
    }

    /// The element at (row, column).
    pub(super) fn at(&self, row: usize, col: usize) -> f64 {
        self.row(row)[col]
    }

    /// One row.
    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.data[row * self.cols..][..self.cols]
    }

    /// Every element changed by `of`.
    pub(super) fn map(&self, of: impl FnMut(&f64) -> f64) -> Self {
        Self { rows: self.rows, cols: self.cols, data: self.data.iter().map(of).collect() }
    }

    /// All elements, row after row.
    pub(super) fn elements(&self) -> &[f64] {
        &self.data
    }

    /// The sum of each row.
    pub(super) fn row_sums(&self) -> Vec<f64> {
        (0..self.rows).map(|row| sum(self.row(row))).collect()
    }

    /// The sum of each column. NumPy adds whole rows one after another, except that a single column is one contiguous run.
    pub(super) fn column_sums(&self) -> Vec<f64> {
        if self.cols == 1 {
            return vec![sum(&self.data)];
        }
        let mut sums = vec![0.0; self.cols];
        for row in 0..self.rows {
            for (total, value) in sums.iter_mut().zip(self.row(row)) {
                *total += value;
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounds_half_to_even_of_the_binary_value() {
        // Exact ties in binary go to the even digit; 2.675 and 1.00005 lie just below theirs.
        for (x, digits, want) in
            [(0.03125, 4, 0.0312), (0.09375, 4, 0.0938), (0.5, 0, 0.0), (1.5, 0, 2.0), (2.5, 0, 2.0), (2.675, 2, 2.67)]
        {
            assert_eq!(round_to(x, digits), want, "{x} to {digits}");
        }
        assert_eq!(round_to(-0.00001, 4).to_bits(), (-0.0f64).to_bits());
        assert!(round_to(f64::NAN, 4).is_nan());
    }

    #[test]
    fn sums_in_lanes_not_in_sequence() {
        // 2^53 swallows a one that is added to it alone; eight lanes keep seven ones apart and add them first.
        let mut values = vec![9_007_199_254_740_992.0];
        values.extend([1.0; 7]);
        let sequential: f64 = values.iter().sum();
        assert_eq!(sequential, 9_007_199_254_740_992.0);
        assert_eq!(sum(&values), 9_007_199_254_740_992.0 + 6.0, "((2^53+1)+2)+4");
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[1.0, 2.0]), Some(1.5));
    }

    #[test]
    fn sums_have_numpys_bits() {
        // numpy.sqrt(numpy.arange(n) * 0.1).sum(), whose terms are exact operations; from 127 on a plain loop gives other bits.
        for (n, bits) in [
            (5, 0x3fff_1910_b5a2_747c),
            (13, 0x4022_7faa_75b7_05c4),
            (127, 0x4072_be17_4350_ab46_u64),
            (128, 0x4072_f71c_33d4_b6be),
            (129, 0x4073_305a_7f60_369a),
            (300, 0x4091_1290_eb8c_cd36),
            (1000, 0x40ba_0599_f1ad_1e48),
            (5000, 0x40f2_31c5_a759_b84e),
        ] {
            let values: Vec<f64> = (0..n).map(|i| (f64::from(i) * 0.1).sqrt()).collect();
            assert_eq!(sum(&values).to_bits(), bits, "{n} terms");
        }
    }

    proptest! {
        #[test]
        fn sparse_and_dense_sums_agree_bit_for_bit(values in prop::collection::vec((0u8..4, -1e3f64..1e3), 0..700)) {
            let full: Vec<f64> = values.iter().map(|(keep, v)| if *keep == 0 { *v } else { 0.0 }).collect();
            let terms: Vec<(usize, f64)> = full.iter().copied().enumerate().filter(|(_, v)| *v != 0.0).collect();
            prop_assert_eq!(sum_sparse(full.len(), &terms).to_bits(), sum(&full).to_bits());
        }

        #[test]
        fn a_sum_is_close_to_the_sequential_one(values in prop::collection::vec(0.0f64..1e3, 0..700)) {
            let sequential: f64 = values.iter().sum();
            prop_assert!((sum(&values) - sequential).abs() <= 1e-9 * (1.0 + sequential));
        }
    }
}
