//! Where a sensor sees: decides which misses count against a track and where new people may appear.
//!
//! A test costs a few nanoseconds for the usual shapes: nothing for `Everywhere`, four comparisons outside the bounding
//! box or in a rectangle along the axes, else one pass over the corners (even-odd rule).

use super::config::{COORDINATE_MAX_M, ConfigError};
use serde::{Deserialize, Serialize};

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
}

impl FieldOfView {
    /// Area, m2.
    pub fn area_m2(&self) -> f64 {
        match self {
            FieldOfView::Everywhere { area_m2 } => *area_m2,
            FieldOfView::Polygon { corners_m } => {
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
            FieldOfView::Polygon { corners_m } => {
                (corners_m.len(), corners_m.iter().flatten().all(|c| c.abs() <= COORDINATE_MAX_M))
            }
        };
        // `!(a >= b)` would also catch NaN, but the finite test says it aloud.
        if corners < 3 || !placed || !area_m2.is_finite() || area_m2 < 1e-6 {
            return Err(ConfigError::FieldOfView { sensor, corners, area_m2 });
        }
        Ok(())
    }
}

/// A field of view prepared for many point tests.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Least and greatest corner; infinite for `Everywhere`.
    low: [f64; 2],
    high: [f64; 2],
    /// Empty where the bounding box is the field (`Everywhere`, rectangles along the axes).
    corners: Vec<[f64; 2]>,
}

impl Field {
    /// Prepares a checked field of view.
    pub(crate) fn new(view: &FieldOfView) -> Self {
        let FieldOfView::Polygon { corners_m } = view else {
            return Field { low: [f64::NEG_INFINITY; 2], high: [f64::INFINITY; 2], corners: Vec::new() };
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
        Field { low, high, corners: if rectangle { Vec::new() } else { corners_m.clone() } }
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

    /// Bounding box (least corner, greatest corner), none for everywhere.
    pub(crate) fn bounds(&self) -> Option<([f64; 2], [f64; 2])> {
        self.low[0].is_finite().then_some((self.low, self.high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn flat_or_wild_polygons_are_refused() {
        assert!(polygon(&[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]).check(0).is_err());
        assert!(polygon(&[[0.0, 0.0], [1.0, 0.0]]).check(0).is_err());
        assert!(polygon(&[[0.0, 0.0], [1.0, 0.0], [f64::NAN, 2.0]]).check(0).is_err());
        assert!(polygon(&[[0.0, 0.0], [1.0, 0.0], [1e12, 2.0]]).check(0).is_err());
        assert!(FieldOfView::Everywhere { area_m2: 0.0 }.check(0).is_err());
    }
}
