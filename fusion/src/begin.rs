//! Where the measurements of several anchors meet: how a ranged device begins.
//!
//! Weighted least squares over x, y and height, with the device's usual height as one more measurement; by
//! Levenberg-Marquardt (Levenberg 1944, Marquardt 1963) from several starts, so that no first guess is needed and the
//! mirror image's valley is left. Where all together do not agree, one may be left out: an anchor that lies must not
//! keep a device from being found. Runs only while a device has no estimate.

use crate::ranging::Ranged;
use crate::slant::{Estimate, Height};

/// A device begins when its place is known at least so well (trace of the covariance of x and y), m².
const PLACE_VAR_MAX_M2: f64 = 4.0;
/// A device begins only where its measurements agree: mean squared residual, in variances.
const MISFIT_MAX: f64 = 4.0;
/// Fewest measurements of which one may be left out.
pub(crate) const SPARE_FROM: usize = 5;
/// Steps of Levenberg-Marquardt from each start.
const STEPS: usize = 20;

/// Some measurements (all but `without`), and the height that is likely.
#[derive(Clone, Copy)]
struct Case<'a> {
    recent: &'a [Ranged],
    without: Option<usize>,
    height: Height,
}

impl<'a> Case<'a> {
    fn used(self) -> impl Iterator<Item = &'a Ranged> {
        self.recent.iter().enumerate().filter(move |(i, _)| Some(*i) != self.without).map(|(_, z)| z)
    }

    /// Squared residuals in variances at a place.
    fn misfit(self, at: [f64; 3]) -> f64 {
        let off = at[2] - self.height.mean_m;
        let of = |z: &Ranged| {
            let off = z.unbiased_m() - z.expected(at).0;
            off * off / z.wide_variance_m2()
        };
        off * off / self.height.variance_m2 + self.used().map(of).sum::<f64>()
    }

    /// Normal equations at a place: the information matrix and its right-hand side.
    fn normal(self, at: [f64; 3]) -> ([[f64; 3]; 3], [f64; 3]) {
        let known = 1.0 / self.height.variance_m2;
        let (mut a, mut b) = ([[0.0; 3]; 3], [0.0, 0.0, known * (self.height.mean_m - at[2])]);
        a[2][2] = known;
        for z in self.used() {
            let (expected, g) = z.expected(at);
            let w = 1.0 / z.wide_variance_m2();
            let off = z.unbiased_m() - expected;
            for i in 0..3 {
                b[i] += w * g[i] * off;
                for j in 0..3 {
                    a[i][j] += w * g[i] * g[j];
                }
            }
        }
        (a, b)
    }

    /// The bottom of the valley that a start lies in, and the misfit there.
    fn fit(self, start: [f64; 2]) -> ([f64; 3], f64) {
        let mut at = [start[0], start[1], self.height.mean_m];
        let (mut cost, mut damping) = (self.misfit(at), 1e-3);
        for _ in 0..STEPS {
            let (mut a, b) = self.normal(at);
            for (i, row) in a.iter_mut().enumerate() {
                row[i] = row[i] * (1.0 + damping) + 1e-9;
            }
            let Some(step) = solved(&a, b) else { break };
            let next = [at[0] + step[0], at[1] + step[1], at[2] + step[2]];
            let next_cost = self.misfit(next);
            // False for NaN too.
            if next_cost < cost {
                (at, cost, damping) = (next, next_cost, damping * 0.3);
            } else {
                damping *= 10.0;
            }
        }
        (at, cost)
    }

    /// The best of the fits from some starts.
    fn best(self, starts: impl Iterator<Item = [f64; 2]>) -> ([f64; 3], f64) {
        let nowhere = ([0.0; 3], f64::INFINITY);
        starts.map(|start| self.fit(start)).fold(nowhere, |best, other| if other.1 < best.1 { other } else { best })
    }

    fn agrees(self, cost: f64) -> bool {
        cost <= MISFIT_MAX * self.used().count() as f64
    }
}

/// Solves `a x = b` for a symmetric positive definite matrix (Cholesky); `None` where it is none.
fn solved(a: &[[f64; 3]; 3], b: [f64; 3]) -> Option<[f64; 3]> {
    let pivot = |x: f64| (x > 0.0).then(|| x.sqrt());
    let l00 = pivot(a[0][0])?;
    let (l10, l20) = (a[1][0] / l00, a[2][0] / l00);
    let l11 = pivot(a[1][1] - l10 * l10)?;
    let l21 = (a[2][1] - l20 * l10) / l11;
    let l22 = pivot(a[2][2] - l20 * l20 - l21 * l21)?;
    let y0 = b[0] / l00;
    let y1 = (b[1] - l10 * y0) / l11;
    let y2 = (b[2] - l20 * y0 - l21 * y1) / l22;
    let x2 = y2 / l22;
    let x1 = (y1 - l21 * x2) / l11;
    Some([(y0 - l10 * x1 - l20 * x2) / l00, x1, x2])
}

/// The inverse of a symmetric positive definite matrix, symmetric to the last bit.
fn inverse(a: &[[f64; 3]; 3]) -> Option<[[f64; 3]; 3]> {
    let columns = [solved(a, [1.0, 0.0, 0.0])?, solved(a, [0.0, 1.0, 0.0])?, solved(a, [0.0, 0.0, 1.0])?];
    Some(std::array::from_fn(|i| std::array::from_fn(|j| (columns[i][j] + columns[j][i]) / 2.0)))
}

/// A device where the measurements meet, if they determine a place and agree.
pub(crate) fn place(recent: &[Ranged], height: Height) -> Option<Estimate> {
    if recent.len() < 3 {
        return None;
    }
    let anchors = || recent.iter().flat_map(|z| [Some(z.a), z.b]).flatten();
    let n = anchors().count() as f64;
    let centre = anchors().fold([0.0; 2], |c, a| [c[0] + a.at.x_m / n, c[1] + a.at.y_m / n]);
    let half_way = anchors().map(|a| [(centre[0] + a.at.x_m) / 2.0, (centre[1] + a.at.y_m) / 2.0]);
    let all = Case { recent, without: None, height };
    let (mut case, mut best) = (all, all.best(std::iter::once(centre).chain(half_way)));
    if !all.agrees(best.1) && recent.len() >= SPARE_FROM {
        for without in 0..recent.len() {
            let fewer = Case { without: Some(without), ..all };
            let other = fewer.best([centre, [best.0[0], best.0[1]]].into_iter());
            if fewer.agrees(other.1) && (!case.agrees(best.1) || other.1 < best.1) {
                (case, best) = (fewer, other);
            }
        }
    }
    let covariance = inverse(&case.normal(best.0).0)?;
    let known = covariance[0][0] + covariance[1][1] <= PLACE_VAR_MAX_M2;
    (known && case.agrees(best.1)).then(|| Estimate::new(best.0, covariance, height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn solving_undoes_multiplying(l in prop::array::uniform6(0.1..3.0f64), x in prop::array::uniform3(-5.0..5.0f64)) {
            let l = [[l[0], 0.0, 0.0], [l[1] - 1.5, l[2], 0.0], [l[3] - 1.5, l[4] - 1.5, l[5]]];
            let a: [[f64; 3]; 3] = std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| l[i][k] * l[j][k]).sum()));
            let b: [f64; 3] = std::array::from_fn(|i| (0..3).map(|j| a[i][j] * x[j]).sum());
            let back = solved(&a, b).unwrap();
            prop_assert!((0..3).all(|i| (back[i] - x[i]).abs() < 1e-3), "{back:?} {x:?}");
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_no_solution() {
        assert_eq!(solved(&[[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [1.0; 3]), None);
        assert_eq!(solved(&[[f64::NAN; 3]; 3], [1.0; 3]), None);
    }
}
