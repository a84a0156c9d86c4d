//! Where a sensor sees: decides which misses count against a track and where new people may appear.
//!
//! A test costs a few nanoseconds for the usual shapes: nothing for `Everywhere`, four comparisons outside the bounding
//! box or in a rectangle along the axes, else one pass over the corners (even-odd rule).
//!
//! How sharp the edge is nobody knows: half of a person stands across it, and a track's mean lags who sets off. So a
//! detection may be of somebody whose track is a little outside ([`Field::reach`]), while a miss says something only of
//! who is inside, and the less the nearer the edge ([`Field::watched`]). With sharp edges for detections, people who set
//! off across a seam between two fields left a lost track behind and went on as somebody new; with a sharp edge for
//! misses, so did who walked along an edge just outside it.

use super::config::{COORDINATE_MAX_M, ConfigError};
use super::sight::Sight;
use serde::{Deserialize, Serialize};

/// How blurred the edge of a field of view is, m: half the width of a person's shoulders.
const EDGE_SIGMA_M: f64 = 0.25;
/// Beyond this distance from a field nobody in it is expected, m.
pub(super) const REACH_M: f64 = 3.0 * EDGE_SIGMA_M;
/// How far inside the edge a miss still says little, m: what a good track's place is uncertain by. Any wider, and false
/// tracks live longer along edges.
const WATCH_SIGMA_M: f64 = 0.1;

/// Where a sensor sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FieldOfView {
    /// The whole floor, of which `area_m2` can hold people.
    Everywhere {
        /// Floor area, m2.
        area_m2: f64,
    },
    /// Inside a polygon, corners `[x_m, y_m]` in order (either way round, the first not repeated), not self-crossing.
    Polygon {
        /// The corners.
        corners_m: Vec<[f64; 2]>,
    },
    /// Inside a polygon, but nothing behind the walls.
    Walled {
        /// The corners, as of a polygon.
        corners_m: Vec<[f64; 2]>,
        /// Where the sensor is, `[x_m, y_m]`.
        from_m: [f64; 2],
        /// What one cannot see through: straight pieces of wall, each from `[x_m, y_m, ...]` to `[..., x_m, y_m]`. If they
        /// would hide more than half of the polygon, the place of the sensor is taken to be wrong and the walls are left out.
        walls_m: Vec<[f64; 4]>,
    },
}

impl FieldOfView {
    /// Area, m2; what walls hide counts.
    pub fn area_m2(&self) -> f64 {
        match self {
            FieldOfView::Everywhere { area_m2 } => *area_m2,
            FieldOfView::Polygon { corners_m } | FieldOfView::Walled { corners_m, .. } => {
                // Shoelace formula, relative to the first corner so that far-away sites lose no digits.
                let Some(&[x0, y0]) = corners_m.first() else { return 0.0 };
                let mut twice = 0.0;
                for (i, &[xa, ya]) in corners_m.iter().enumerate() {
                    let [xb, yb] = corners_m[(i + 1) % corners_m.len()];
                    twice += (xa - x0) * (yb - y0) - (xb - x0) * (ya - y0);
                }
                (0.5 * twice).abs()
            }
        }
    }

    /// Checks the shape of sensor number `sensor`.
    ///
    /// # Errors
    /// Fewer than three corners, a corner that is not finite or beyond 1e7 m, or no area.
    pub(crate) fn check(&self, sensor: usize) -> Result<(), ConfigError> {
        let area_m2 = self.area_m2();
        let (corners, placed) = match self {
            FieldOfView::Everywhere { .. } => (3, true),
            FieldOfView::Polygon { corners_m } => (corners_m.len(), are_placed(corners_m.as_flattened())),
            FieldOfView::Walled { corners_m, from_m, walls_m } => {
                let walls = are_placed(walls_m.as_flattened());
                (corners_m.len(), are_placed(corners_m.as_flattened()) && are_placed(from_m) && walls)
            }
        };
        // `!(a >= b)` would also catch NaN, but the finite test says it aloud.
        if corners < 3 || !placed || !area_m2.is_finite() || area_m2 < 1e-6 {
            return Err(ConfigError::FieldOfView { sensor, corners, area_m2 });
        }
        Ok(())
    }
}

/// Whether all coordinates are numbers and not too large.
fn are_placed(coordinates_m: &[f64]) -> bool {
    coordinates_m.iter().all(|c| c.abs() <= COORDINATE_MAX_M)
}

/// A field of view prepared for many point tests.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Least and greatest corner; infinite for `Everywhere`.
    low: [f64; 2],
    high: [f64; 2],
    /// Empty where the bounding box is the field (`Everywhere`, rectangles along the axes).
    corners: Vec<[f64; 2]>,
    /// What walls hide; none where they hide nothing.
    sight: Option<Sight>,
}

impl Field {
    /// Prepares a checked field of view.
    pub(crate) fn new(view: &FieldOfView) -> Self {
        let (FieldOfView::Polygon { corners_m } | FieldOfView::Walled { corners_m, .. }) = view else {
            let (low, high) = ([f64::NEG_INFINITY; 2], [f64::INFINITY; 2]);
            return Field { low, high, corners: Vec::new(), sight: None };
        };
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for c in corners_m {
            for a in 0..2 {
                low[a] = low[a].min(c[a]);
                high[a] = high[a].max(c[a]);
            }
        }
        let on_corner = |c: &[f64; 2]| (c[0] == low[0] || c[0] == high[0]) && (c[1] == low[1] || c[1] == high[1]);
        let rectangle = corners_m.len() == 4
            && corners_m.iter().all(on_corner)
            && (view.area_m2() - (high[0] - low[0]) * (high[1] - low[1])).abs() < 1e-9 * view.area_m2();
        let mut field =
            Field { low, high, corners: if rectangle { Vec::new() } else { corners_m.clone() }, sight: None };
        if let FieldOfView::Walled { from_m, walls_m, .. } = view {
            field.sight = Sight::new((low, high), |x, y| field.contains(x, y), *from_m, walls_m);
        }
        field
    }

    /// True if whoever is at `(x, y)` inside can be seen: no wall hides them.
    #[inline]
    pub(crate) fn is_in_sight(&self, x: f64, y: f64) -> bool {
        self.sight.as_ref().is_none_or(|sight| sight.sees(x, y))
    }

    /// True if it is seen at `(x, y)`.
    #[inline]
    pub(crate) fn contains(&self, x: f64, y: f64) -> bool {
        if x < self.low[0] || x > self.high[0] || y < self.low[1] || y > self.high[1] {
            return false;
        }
        if self.corners.is_empty() {
            return true;
        }
        let mut inside = false;
        let mut previous = self.corners[self.corners.len() - 1];
        for &corner in &self.corners {
            if (corner[1] > y) != (previous[1] > y) {
                let crossing = previous[0] + (y - previous[1]) * (corner[0] - previous[0]) / (corner[1] - previous[1]);
                if x < crossing {
                    inside = !inside;
                }
            }
            previous = corner;
        }
        inside
    }

    /// How likely somebody whom a track puts at `(x, y)` is to be detected, by the likelihood of being inside: 1 there,
    /// `exp(-d2 / (2 EDGE_SIGMA_M2))` at a distance d outside, 0 beyond [`REACH_M`].
    pub(crate) fn reach(&self, x: f64, y: f64) -> f64 {
        if self.contains(x, y) {
            return 1.0;
        }
        let beyond = |a: f64, low: f64, high: f64| (low - a).max(a - high).max(0.0);
        let (dx, dy) = (beyond(x, self.low[0], self.high[0]), beyond(y, self.low[1], self.high[1]));
        let mut distance2 = dx * dx + dy * dy;
        let farthest2 = REACH_M * REACH_M;
        if distance2 < farthest2 && !self.corners.is_empty() {
            distance2 = f64::INFINITY;
            self.for_each_edge(|a, b| distance2 = distance2.min(distance2_to_segment([x, y], a, b)));
        }
        if distance2 < farthest2 { libm::exp(-0.5 * distance2 / (EDGE_SIGMA_M * EDGE_SIGMA_M)) } else { 0.0 }
    }

    /// How much a miss says against somebody whom a track puts at `(x, y)`: nothing outside, behind a wall and on the edge,
    /// all well inside; between, `1 - exp(-d2 / (2 WATCH_SIGMA_M2))` at a distance d from the edge.
    pub(crate) fn watched(&self, x: f64, y: f64) -> f64 {
        if !(self.contains(x, y) && self.is_in_sight(x, y)) {
            return 0.0;
        }
        let from_box = (x - self.low[0]).min(self.high[0] - x).min((y - self.low[1]).min(self.high[1] - y));
        let mut distance2 = from_box * from_box;
        if !self.corners.is_empty() {
            self.for_each_edge(|a, b| distance2 = distance2.min(distance2_to_segment([x, y], a, b)));
        }
        let watch2 = WATCH_SIGMA_M * WATCH_SIGMA_M;
        if distance2 < 9.0 * watch2 { 1.0 - libm::exp(-0.5 * distance2 / watch2) } else { 1.0 }
    }

    /// Every edge of a field that is no box.
    fn for_each_edge(&self, mut each: impl FnMut([f64; 2], [f64; 2])) {
        let mut previous = self.corners[self.corners.len() - 1];
        for &corner in &self.corners {
            each(previous, corner);
            previous = corner;
        }
    }

    /// Bounding box (least corner, greatest corner), none for everywhere.
    pub(crate) fn bounds(&self) -> Option<([f64; 2], [f64; 2])> {
        self.low[0].is_finite().then_some((self.low, self.high))
    }
}

/// Squared distance of a point to the segment from `a` to `b`, m2.
fn distance2_to_segment(p: [f64; 2], a: [f64; 2], b: [f64; 2]) -> f64 {
    let (along, to) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let length2 = along[0] * along[0] + along[1] * along[1];
    let dot = along[0] * to[0] + along[1] * to[1];
    let share = if length2 > 0.0 { (dot / length2).clamp(0.0, 1.0) } else { 0.0 };
    let (dx, dy) = (to[0] - share * along[0], to[1] - share * along[1]);
    dx * dx + dy * dy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reaches_a_little_over_every_edge() {
        let l = Field::new(&polygon(&[[0.0, 0.0], [4.0, 0.0], [4.0, 1.0], [1.0, 1.0], [1.0, 3.0], [0.0, 3.0]]));
        let rectangle = Field::new(&polygon(&[[0.0, 0.0], [0.0, 1.0], [4.0, 1.0], [4.0, 0.0]]));
        let at = |d: f64| libm::exp(-0.5 * d * d / (EDGE_SIGMA_M * EDGE_SIGMA_M));
        for (field, x, y, expected) in [
            (&l, 0.5, 2.5, 1.0),
            (&l, 3.0, 1.2, at(0.2)),
            (&l, 1.3, 1.4, at(0.3)),
            (&l, -0.3, -0.4, at(0.5)),
            (&l, 2.5, 2.5, 0.0),
            (&rectangle, 2.0, 1.25, at(0.25)),
            (&rectangle, 4.3, 1.4, at(0.5)),
            (&rectangle, 2.0, 1.8, 0.0),
            (&Field::new(&FieldOfView::Everywhere { area_m2: 1.0 }), 1e6, -1e6, 1.0),
        ] {
            assert!((field.reach(x, y) - expected).abs() < 1e-12, "{x} {y}: {} {expected}", field.reach(x, y));
        }
    }

    #[test]
    fn a_miss_says_little_near_an_edge_and_nothing_beyond_it() {
        let l = Field::new(&polygon(&[[0.0, 0.0], [4.0, 0.0], [4.0, 1.0], [1.0, 1.0], [1.0, 3.0], [0.0, 3.0]]));
        let rectangle = Field::new(&polygon(&[[0.0, 0.0], [0.0, 2.0], [4.0, 2.0], [4.0, 0.0]]));
        let at = |d: f64| 1.0 - libm::exp(-0.5 * d * d / (WATCH_SIGMA_M * WATCH_SIGMA_M));
        for (field, x, y, expected) in [
            (&l, 3.0, 0.9, at(0.1)),
            (&l, 0.8, 0.8, at(0.08_f64.sqrt())),
            (&l, 3.0, 1.1, 0.0),
            (&rectangle, 2.0, 1.0, 1.0),
            (&rectangle, 2.0, 1.8, at(0.2)),
            (&rectangle, 0.0, 1.0, 0.0),
            (&rectangle, 2.0, 2.1, 0.0),
            (&Field::new(&FieldOfView::Everywhere { area_m2: 1.0 }), 1e6, -1e6, 1.0),
        ] {
            assert!((field.watched(x, y) - expected).abs() < 1e-9, "{x} {y}: {} {expected}", field.watched(x, y));
        }
    }

    fn polygon(corners: &[[f64; 2]]) -> FieldOfView {
        FieldOfView::Polygon { corners_m: corners.to_vec() }
    }

    #[test]
    fn an_l_shape_is_not_its_box() {
        let l = polygon(&[[0.0, 0.0], [4.0, 0.0], [4.0, 1.0], [1.0, 1.0], [1.0, 3.0], [0.0, 3.0]]);
        assert_eq!(l.area_m2(), 6.0);
        let field = Field::new(&l);
        assert!(field.contains(3.5, 0.5) && field.contains(0.5, 2.5));
        assert!(!field.contains(2.0, 2.0) && !field.contains(-0.1, 0.5) && !field.contains(5.0, 0.5));
    }

    #[test]
    fn rectangles_need_no_corners_and_a_rhombus_does() {
        let rectangle = Field::new(&polygon(&[[0.0, 0.0], [0.0, 2.0], [3.0, 2.0], [3.0, 0.0]]));
        assert!(rectangle.corners.is_empty() && rectangle.contains(2.9, 1.9));
        let rhombus = Field::new(&polygon(&[[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [1.0, 2.0]]));
        assert!(rhombus.contains(1.0, 1.0) && !rhombus.contains(0.1, 0.1));
    }

    #[test]
    fn walls_hide_what_is_behind_them_and_must_be_somewhere() {
        let corners_m = vec![[0.0, 0.0], [4.0, 0.0], [4.0, 5.0], [0.0, 5.0]];
        let walled = |from_m, wall| FieldOfView::Walled { corners_m: corners_m.clone(), from_m, walls_m: vec![wall] };
        let view = walled([2.0, 2.0], [0.0, 4.0, 4.0, 4.0]);
        assert_eq!((view.check(0), view.area_m2()), (Ok(()), 20.0));
        let field = Field::new(&view);
        assert!(field.contains(2.0, 4.5) && !field.is_in_sight(2.0, 4.5));
        assert!(field.is_in_sight(2.0, 3.5) && field.reach(2.0, 4.5) == 1.0);
        assert!(walled([2.0, f64::NAN], [0.0, 4.0, 4.0, 4.0]).check(0).is_err());
        assert!(walled([2.0, 2.0], [0.0, 4.0, 1e12, 4.0]).check(0).is_err());
    }

    #[test]
    fn flat_or_wild_polygons_are_refused() {
        assert!(polygon(&[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]).check(0).is_err());
        assert!(polygon(&[[0.0, 0.0], [1.0, 0.0]]).check(0).is_err());
        assert!(polygon(&[[0.0, 0.0], [1.0, 0.0], [f64::NAN, 2.0]]).check(0).is_err());
        assert!(polygon(&[[0.0, 0.0], [1.0, 0.0], [1e12, 2.0]]).check(0).is_err());
        assert!(FieldOfView::Everywhere { area_m2: 0.0 }.check(0).is_err());
    }
}
