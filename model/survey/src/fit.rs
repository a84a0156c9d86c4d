//! The map from plan to ground that leaves the least sum of squares at the control points, and what it leaves at each.
//!
//! All three kinds have a closed form in the plane. About the centroids, with p and q as complex numbers, the similarity
//! is q = a p with a = sum(conj(p) q) / sum(|p|2), and the rigid map its a / |a| (Umeyama 1991, in two dimensions); the
//! affine map solves the 2 x 2 normal equations of each coordinate.

use osmose_model::geometry::{DEG_PER_RAD, Point};
use std::fmt;

/// What a map may do to the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Turn and move.
    Rigid,
    /// Turn, move and scale: a drawing that is true to shape.
    Similarity,
    /// Any straight map: scanned paper that shrank more one way than the other.
    Affine,
}

impl Kind {
    /// Every kind, with its word.
    pub const ALL: [(&'static str, Self); 3] =
        [("rigid", Self::Rigid), ("similarity", Self::Similarity), ("affine", Self::Affine)];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rigid => "rigid",
            Self::Similarity => "similarity",
            Self::Affine => "affine",
        }
    }

    /// The fewest points that fix it.
    #[must_use]
    pub fn points_min(self) -> usize {
        if self == Self::Affine { 3 } else { 2 }
    }

    /// Numbers that the points must fix.
    #[must_use]
    pub fn parameters(self) -> usize {
        match self {
            Self::Rigid => 3,
            Self::Similarity => 4,
            Self::Affine => 6,
        }
    }
}

/// A straight map of the plane: `x' = a x + b y + x0`, `y' = c x + d y + y0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Map {
    /// `[[a, b], [c, d]]`.
    pub linear: [[f64; 2]; 2],
    /// `[x0, y0]`, metres.
    pub shift_m: [f64; 2],
}

impl Map {
    /// The map that leaves everything where it is.
    pub const IDENTITY: Self = Self { linear: [[1.0, 0.0], [0.0, 1.0]], shift_m: [0.0, 0.0] };

    /// Where a point goes.
    #[must_use]
    pub fn apply(&self, p: Point) -> Point {
        let [[a, b], [c, d]] = self.linear;
        Point::new(a * p.x_m + b * p.y_m + self.shift_m[0], c * p.x_m + d * p.y_m + self.shift_m[1])
    }

    /// How it turns, radians counter-clockwise: the rotation of its polar decomposition.
    #[must_use]
    pub fn turn_rad(&self) -> f64 {
        let [[a, b], [c, d]] = self.linear;
        libm::atan2(c - b, a + d)
    }

    /// How it scales areas, as a length: the root of the determinant's size.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.determinant().abs().sqrt()
    }

    /// Whether it turns the plan over.
    #[must_use]
    pub fn is_mirrored(&self) -> bool {
        self.determinant() < 0.0
    }

    fn determinant(&self) -> f64 {
        let [[a, b], [c, d]] = self.linear;
        a * d - b * c
    }
}

impl fmt::Display for Map {
    /// `turned by 12.00 degrees, scaled by 0.0254, moved by (3.20, -1.00) m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y] = self.shift_m;
        let turn = self.turn_rad() * DEG_PER_RAD;
        write!(f, "turned by {turn:.3} degrees, scaled by {:.6}, moved by ({x:.3}, {y:.3}) m", self.scale())
    }
}

/// What a fit leaves at one control point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Residual {
    /// Where the ground is from where the map puts the point, metres.
    pub off_m: [f64; 2],
    /// Its length, metres.
    pub length_m: f64,
    /// The root mean square of the others, fitted without this point, metres; `None` where too few are left.
    pub others_rms_m: Option<f64>,
}

/// A map and how well it fits.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// What it may do.
    pub kind: Kind,
    /// The map.
    pub map: Map,
    /// One for each pair, in order.
    pub residuals: Vec<Residual>,
    /// Root mean square of the residuals, metres.
    pub rms_m: f64,
    /// Measured numbers beyond those that fix the map: with none, the residuals say nothing.
    pub redundant: usize,
    /// The same plan turned over fits so much better that it is: y runs down in it.
    pub looks_mirrored: bool,
}

/// Why there is no fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FitError {
    /// There are too few points.
    TooFew {
        /// How many there are.
        have: usize,
        /// How many it needs.
        need: usize,
    },
    /// They stand in one place, or on one line.
    Degenerate,
}

impl fmt::Display for FitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew { have, need } => write!(f, "There are {have} control points, and {need} are the least."),
            Self::Degenerate => f.write_str(
                "The control points stand in one place or, for an affine map, on one line: take corners of the plan that are far apart.",
            ),
        }
    }
}

impl std::error::Error for FitError {}

/// The spread of points about their centroid, as a share of the largest, below which they are in one place or on one line.
const DEGENERATE: f64 = 1e-9;

fn centroid(points: impl Iterator<Item = Point> + Clone) -> Point {
    let n = points.clone().count().max(1) as f64;
    let sum = points.fold(Point::default(), |s, p| Point::new(s.x_m + p.x_m, s.y_m + p.y_m));
    Point::new(sum.x_m / n, sum.y_m / n)
}

/// The best map of a kind. `mirrored` turns the plan over first (`y` becomes `-y`).
fn best(kind: Kind, pairs: &[(Point, Point)], mirrored: bool) -> Result<Map, FitError> {
    let need = kind.points_min();
    if pairs.len() < need {
        return Err(FitError::TooFew { have: pairs.len(), need });
    }
    let flip = if mirrored { -1.0 } else { 1.0 };
    let flipped = |p: Point| Point::new(p.x_m, flip * p.y_m);
    let (from, to) = (centroid(pairs.iter().map(|c| flipped(c.0))), centroid(pairs.iter().map(|c| c.1)));
    let centred = pairs.iter().map(|&(p, q)| {
        let p = flipped(p);
        ([p.x_m - from.x_m, p.y_m - from.y_m], [q.x_m - to.x_m, q.y_m - to.y_m])
    });
    // Second moments of the plan, and of plan against ground.
    let (mut pp, mut qp) = ([[0.0; 2]; 2], [[0.0; 2]; 2]);
    for ([px, py], [qx, qy]) in centred {
        pp = [[pp[0][0] + px * px, pp[0][1] + px * py], [pp[1][0] + py * px, pp[1][1] + py * py]];
        qp = [[qp[0][0] + qx * px, qp[0][1] + qx * py], [qp[1][0] + qy * px, qp[1][1] + qy * py]];
    }
    let spread = pp[0][0] + pp[1][1];
    let far = pairs.iter().map(|(p, _)| p.x_m.abs().max(p.y_m.abs())).fold(1e-12, f64::max);
    if spread <= DEGENERATE * DEGENERATE * far * far {
        return Err(FitError::Degenerate);
    }
    let linear = match kind {
        Kind::Affine => {
            let det = pp[0][0] * pp[1][1] - pp[0][1] * pp[1][0];
            if det <= DEGENERATE * spread * spread {
                return Err(FitError::Degenerate);
            }
            let row =
                |r: [f64; 2]| [(r[0] * pp[1][1] - r[1] * pp[1][0]) / det, (r[1] * pp[0][0] - r[0] * pp[0][1]) / det];
            [row(qp[0]), row(qp[1])]
        }
        Kind::Rigid | Kind::Similarity => {
            let (re, im) = (qp[0][0] + qp[1][1], qp[1][0] - qp[0][1]);
            let length = (re * re + im * im).sqrt();
            if length <= f64::MIN_POSITIVE {
                return Err(FitError::Degenerate);
            }
            let by = if kind == Kind::Rigid { length } else { spread };
            [[re / by, -im / by], [im / by, re / by]]
        }
    };
    let linear = [[linear[0][0], linear[0][1] * flip], [linear[1][0], linear[1][1] * flip]];
    let from = flipped(from);
    let moved = Map { linear, shift_m: [0.0, 0.0] }.apply(from);
    Ok(Map { linear, shift_m: [to.x_m - moved.x_m, to.y_m - moved.y_m] })
}

fn off(map: &Map, (p, q): (Point, Point)) -> [f64; 2] {
    let at = map.apply(p);
    [q.x_m - at.x_m, q.y_m - at.y_m]
}

fn rms(map: &Map, pairs: &[(Point, Point)]) -> f64 {
    let sum: f64 = pairs.iter().map(|&c| off(map, c)).map(|[x, y]| x * x + y * y).sum();
    (sum / pairs.len().max(1) as f64).sqrt()
}

/// The map of a kind that fits pairs (plan, ground) best; `mirrored` where y runs down in the plan.
///
/// ```
/// use osmose_model::geometry::Point;
/// use osmose_survey::fit::{Kind, fit};
/// // A plan in millimetres, a quarter turn from the site.
/// let pairs = [(0.0, 0.0, 2.0, 1.0), (1000.0, 0.0, 2.0, 2.0), (0.0, 3000.0, -1.0, 1.0)];
/// let pairs = pairs.map(|(x, y, u, v)| (Point::new(x, y), Point::new(u, v)));
/// let fit = fit(Kind::Similarity, &pairs, false).unwrap();
/// assert!(fit.rms_m < 1e-9 && (fit.map.scale() - 0.001).abs() < 1e-12);
/// assert!((fit.map.turn_rad() - std::f64::consts::FRAC_PI_2).abs() < 1e-9);
/// ```
///
/// # Errors
/// [`FitError`] where the points do not fix such a map.
pub fn fit(kind: Kind, pairs: &[(Point, Point)], mirrored: bool) -> Result<Fit, FitError> {
    let map = best(kind, pairs, mirrored)?;
    let rms_m = rms(&map, pairs);
    let residual = |(i, &pair): (usize, &(Point, Point))| {
        let off_m = off(&map, pair);
        let others: Vec<_> = pairs.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, p)| *p).collect();
        // Without redundancy left, the others fit whatever they are.
        let judged = 2 * others.len() > kind.parameters();
        let others_rms_m = best(kind, &others, mirrored).ok().filter(|_| judged).map(|m| rms(&m, &others));
        Residual { off_m, length_m: (off_m[0] * off_m[0] + off_m[1] * off_m[1]).sqrt(), others_rms_m }
    };
    let residuals = pairs.iter().enumerate().map(residual).collect();
    let redundant = (2 * pairs.len()).saturating_sub(kind.parameters());
    // An affine map turns over by itself; for the others a mirrored plan shows in what is left.
    let over = if kind == Kind::Affine { None } else { best(kind, pairs, !mirrored).ok().map(|m| rms(&m, pairs)) };
    let looks_mirrored = match over {
        Some(over) => redundant > 0 && pairs.len() > 2 && over < rms_m / 4.0,
        None => map.is_mirrored() != mirrored,
    };
    Ok(Fit { kind, map, residuals, rms_m, redundant, looks_mirrored })
}

impl Fit {
    /// The point without which the others agree far better: it was misread or mistyped. Its place in the list.
    #[must_use]
    pub fn suspect(&self) -> Option<usize> {
        let others = |r: &Residual| r.others_rms_m.unwrap_or(f64::INFINITY);
        let (i, best) = self.residuals.iter().enumerate().min_by(|a, b| others(a.1).total_cmp(&others(b.1)))?;
        (self.rms_m > 0.02 && others(best) < self.rms_m / 5.0).then_some(i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points() -> impl Strategy<Value = Vec<Point>> {
        prop::collection::vec((-50.0..50.0f64, -50.0..50.0f64).prop_map(|(x, y)| Point::new(x, y)), 3..12)
    }

    fn map() -> impl Strategy<Value = Map> {
        (-3.0..3.0f64, 0.001..100.0f64, -1e3..1e3f64, -1e3..1e3f64).prop_map(|(turn, scale, x, y)| {
            let (s, c) = (scale * libm::sin(turn), scale * libm::cos(turn));
            Map { linear: [[c, -s], [s, c]], shift_m: [x, y] }
        })
    }

    /// Not all in one place or nearly on one line.
    fn spread(points: &[Point]) -> bool {
        let (a, b) = (points[0], points[1]);
        let off = |p: Point| (b.x_m - a.x_m) * (p.y_m - a.y_m) - (b.y_m - a.y_m) * (p.x_m - a.x_m);
        a.distance(b) > 1.0 && points.iter().any(|&p| off(p).abs() > 10.0)
    }

    #[test]
    fn a_misread_point_is_found_and_a_mirrored_plan_too() {
        let square = [(0., 0.), (10., 0.), (10., 8.), (0., 8.), (5., 4.)].map(|(x, y)| Point::new(x, y));
        let mut pairs: Vec<_> = square.iter().map(|&p| (p, Point::new(p.x_m + 3.0, p.y_m - 2.0))).collect();
        pairs[2].1.x_m += 1.0;
        let found = fit(Kind::Similarity, &pairs, false).unwrap();
        assert_eq!(found.suspect(), Some(2), "{found:?}");
        assert!(!found.looks_mirrored);
        let down: Vec<_> = square.iter().map(|&p| (p, Point::new(p.x_m, 20.0 - p.y_m))).collect();
        assert!(fit(Kind::Similarity, &down, false).unwrap().looks_mirrored);
        let turned = fit(Kind::Similarity, &down, true).unwrap();
        assert!(!turned.looks_mirrored && turned.rms_m < 1e-9 && turned.map.is_mirrored());
        assert!(fit(Kind::Affine, &down, false).unwrap().looks_mirrored);
    }

    #[test]
    fn points_that_fix_nothing_are_refused() {
        let p = |x: f64| Point::new(x, 2.0 * x);
        let line: Vec<_> = [0.0, 1.0, 2.0].map(|x| (p(x), p(x))).into();
        assert_eq!(fit(Kind::Affine, &line, false), Err(FitError::Degenerate));
        assert!(fit(Kind::Similarity, &line, false).is_ok());
        assert_eq!(fit(Kind::Rigid, &[(p(1.0), p(0.0)), (p(1.0), p(2.0))], false), Err(FitError::Degenerate));
        assert_eq!(fit(Kind::Affine, &line[..2], false), Err(FitError::TooFew { have: 2, need: 3 }));
    }

    proptest! {
        /// What was moved by a similarity is found again, by every kind that can.
        #[test]
        fn the_map_that_was_is_found(points in points(), truth in map(), mirrored in any::<bool>()) {
            prop_assume!(spread(&points));
            let flip = |p: Point| Point::new(p.x_m, if mirrored { -p.y_m } else { p.y_m });
            let pairs: Vec<_> = points.iter().map(|&p| (p, truth.apply(flip(p)))).collect();
            let tolerance = 1e-7 * truth.scale().max(1.0) * 100.0;
            for kind in [Kind::Similarity, Kind::Affine] {
                let found = fit(kind, &pairs, mirrored).unwrap();
                prop_assert!(found.rms_m < tolerance, "{kind:?}: {}", found.rms_m);
                prop_assert!((found.map.scale() / truth.scale() - 1.0).abs() < 1e-6);
                prop_assert_eq!(found.map.is_mirrored(), mirrored);
                prop_assert_eq!(found.looks_mirrored, false);
            }
        }

        /// Least squares: no map of the kind that is near leaves less, and a freer kind never leaves more.
        #[test]
        fn nothing_near_fits_better(
            points in points(), noise in prop::collection::vec((-0.5..0.5f64, -0.5..0.5f64), 12),
            by in (-0.01..0.01f64, -0.01..0.01f64, -0.1..0.1f64, -0.1..0.1f64), order in any::<prop::sample::Index>(),
        ) {
            prop_assume!(spread(&points));
            let mut pairs: Vec<_> =
                points.iter().zip(&noise).map(|(&p, n)| (p, Point::new(p.x_m * 1.1 + n.0, p.y_m * 1.1 + n.1))).collect();
            let of = |kind| fit(kind, &pairs, false).unwrap();
            let (rigid, similarity, affine) = (of(Kind::Rigid), of(Kind::Similarity), of(Kind::Affine));
            prop_assert!(affine.rms_m <= similarity.rms_m + 1e-9 && similarity.rms_m <= rigid.rms_m + 1e-9);
            let [[a, b], [c, d]] = similarity.map.linear;
            let near = Map {
                linear: [[a + by.0, b - by.1], [c + by.1, d + by.0]],
                shift_m: [similarity.map.shift_m[0] + by.2, similarity.map.shift_m[1] + by.3],
            };
            prop_assert!(rms(&near, &pairs) >= similarity.rms_m - 1e-9);
            // The order of the points is nothing.
            let at = order.index(pairs.len());
            let before = similarity.map;
            pairs.rotate_left(at);
            let after = fit(Kind::Similarity, &pairs, false).unwrap().map;
            prop_assert!(points.iter().all(|&p| before.apply(p).distance(after.apply(p)) < 1e-7));
        }
    }
}
