//! Plane geometry in site metres: the few exact operations that zones, walls, gating and line of sight need.
//!
//! Only `+ - * / sqrt` and comparisons, so the same binary architecture gives the same bits everywhere.

use crate::ids::LevelId;
use serde::{Deserialize, Serialize};

/// Radians in a degree.
pub const RAD_PER_DEG: f64 = std::f64::consts::PI / 180.0;
/// Degrees in a radian.
pub const DEG_PER_RAD: f64 = 180.0 / std::f64::consts::PI;

/// A point in the plane of a level, in site metres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// East of the site's origin (before the site's rotation), metres.
    pub x_m: f64,
    /// North of the site's origin, metres.
    pub y_m: f64,
}

impl Point {
    /// A point from its coordinates in metres.
    #[must_use]
    pub const fn new(x_m: f64, y_m: f64) -> Self {
        Self { x_m, y_m }
    }
    /// Squared distance, m².
    #[must_use]
    pub fn distance2(self, other: Self) -> f64 {
        let (dx, dy) = (self.x_m - other.x_m, self.y_m - other.y_m);
        dx * dx + dy * dy
    }
    /// Distance, metres.
    #[must_use]
    pub fn distance(self, other: Self) -> f64 {
        self.distance2(other).sqrt()
    }
    /// Whether both coordinates are finite and within [`crate::limits::COORDINATE_ABS_MAX_M`].
    #[must_use]
    pub fn is_plausible(self) -> bool {
        let max = crate::limits::COORDINATE_ABS_MAX_M;
        self.x_m.abs() <= max && self.y_m.abs() <= max
    }
}

/// Where somebody or something is: a point on a level, and its height where known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Position in the plane, site metres.
    pub at: Point,
    /// Height above the level's floor, metres; `None` where it was not measured.
    pub z_m: Option<f64>,
    /// The level.
    pub level: LevelId,
}

impl Place {
    /// A place on the floor plan with no height.
    #[must_use]
    pub const fn flat(level: LevelId, x_m: f64, y_m: f64) -> Self {
        Self { at: Point::new(x_m, y_m), z_m: None, level }
    }
    /// Whether every coordinate is finite and plausible.
    #[must_use]
    pub fn is_plausible(self) -> bool {
        self.at.is_plausible() && self.z_m.is_none_or(|z| z.abs() <= crate::limits::COORDINATE_ABS_MAX_M)
    }
}

/// An axis-aligned box, metres; empty boxes do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aabb {
    /// Lower left corner.
    pub min: Point,
    /// Upper right corner.
    pub max: Point,
}

impl Aabb {
    /// The box round some points; `None` where there are none.
    #[must_use]
    pub fn around(points: impl IntoIterator<Item = Point>) -> Option<Self> {
        let mut points = points.into_iter();
        let first = points.next()?;
        let mut b = Self { min: first, max: first };
        for p in points {
            b.min = Point::new(b.min.x_m.min(p.x_m), b.min.y_m.min(p.y_m));
            b.max = Point::new(b.max.x_m.max(p.x_m), b.max.y_m.max(p.y_m));
        }
        Some(b)
    }
    /// Grown by `by_m` on every side.
    #[must_use]
    pub fn grown(self, by_m: f64) -> Self {
        Self {
            min: Point::new(self.min.x_m - by_m, self.min.y_m - by_m),
            max: Point::new(self.max.x_m + by_m, self.max.y_m + by_m),
        }
    }
    /// Whether the point is inside or on the edge.
    #[must_use]
    pub fn contains(self, p: Point) -> bool {
        p.x_m >= self.min.x_m && p.x_m <= self.max.x_m && p.y_m >= self.min.y_m && p.y_m <= self.max.y_m
    }
}

/// A straight piece of wall or boundary.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// One end.
    pub a: Point,
    /// The other end.
    pub b: Point,
}

impl Segment {
    /// The nearest point of the segment to `p`.
    #[must_use]
    pub fn nearest(self, p: Point) -> Point {
        let (dx, dy) = (self.b.x_m - self.a.x_m, self.b.y_m - self.a.y_m);
        let len2 = dx * dx + dy * dy;
        if len2 <= 0.0 {
            return self.a;
        }
        let t = (((p.x_m - self.a.x_m) * dx + (p.y_m - self.a.y_m) * dy) / len2).clamp(0.0, 1.0);
        Point::new(self.a.x_m + t * dx, self.a.y_m + t * dy)
    }
    /// Whether two segments share a point (touching counts).
    #[must_use]
    pub fn crosses(self, other: Self) -> bool {
        let side = |p: Point, q: Point, r: Point| (q.x_m - p.x_m) * (r.y_m - p.y_m) - (q.y_m - p.y_m) * (r.x_m - p.x_m);
        let (d1, d2) = (side(other.a, other.b, self.a), side(other.a, other.b, self.b));
        let (d3, d4) = (side(self.a, self.b, other.a), side(self.a, self.b, other.b));
        if ((d1 > 0.0 && d2 < 0.0) || (d1 < 0.0 && d2 > 0.0)) && ((d3 > 0.0 && d4 < 0.0) || (d3 < 0.0 && d4 > 0.0)) {
            return true;
        }
        let on = |d: f64, s: Self, p: Point| d == 0.0 && Aabb::around([s.a, s.b]).is_some_and(|b| b.contains(p));
        on(d1, other, self.a) || on(d2, other, self.b) || on(d3, self, other.a) || on(d4, self, other.b)
    }
}

/// A closed ring of corners in order; the last joins the first and is not repeated. At least three corners.
pub type Ring = Vec<Point>;

/// An area: one outer ring and the holes in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Polygon {
    /// The outer boundary.
    pub outer: Ring,
    /// Holes.
    pub holes: Vec<Ring>,
}

/// The segments of a ring, in order.
fn ring_segments(ring: &[Point]) -> impl Iterator<Item = Segment> + '_ {
    (0..ring.len()).map(|i| Segment { a: ring[i], b: ring[(i + 1) % ring.len()] })
}

/// Even-odd crossing count of one ring (Jordan curve theorem): a point exactly on an edge may fall on either side.
fn ring_contains(ring: &[Point], p: Point) -> bool {
    let mut inside = false;
    let mut prev = match ring.last() {
        Some(&q) => q,
        None => return false,
    };
    for &q in ring {
        if (q.y_m > p.y_m) != (prev.y_m > p.y_m)
            && p.x_m < (prev.x_m - q.x_m) * (p.y_m - q.y_m) / (prev.y_m - q.y_m) + q.x_m
        {
            inside = !inside;
        }
        prev = q;
    }
    inside
}

/// Twice the signed area of a ring (shoelace formula): positive counter-clockwise.
fn ring_area2(ring: &[Point]) -> f64 {
    ring_segments(ring).map(|s| s.a.x_m * s.b.y_m - s.b.x_m * s.a.y_m).sum()
}

impl Polygon {
    /// A polygon without holes.
    #[must_use]
    pub fn simple(outer: Ring) -> Self {
        Self { outer, holes: Vec::new() }
    }
    /// Whether the point is inside (even-odd; on an edge either answer).
    #[must_use]
    pub fn contains(&self, p: Point) -> bool {
        ring_contains(&self.outer, p) && !self.holes.iter().any(|h| ring_contains(h, p))
    }
    /// All boundary segments, outer ring first.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        ring_segments(&self.outer).chain(self.holes.iter().flat_map(|h| ring_segments(h)))
    }
    /// Distance to the nearest boundary point, metres, never negative.
    #[must_use]
    pub fn boundary_distance(&self, p: Point) -> f64 {
        self.segments().map(|s| s.nearest(p).distance2(p)).fold(f64::INFINITY, f64::min).sqrt()
    }
    /// Signed distance to the boundary, metres: positive inside, negative outside.
    #[must_use]
    pub fn depth(&self, p: Point) -> f64 {
        let d = self.boundary_distance(p);
        if self.contains(p) { d } else { -d }
    }
    /// Area in m², holes taken out.
    #[must_use]
    pub fn area_m2(&self) -> f64 {
        let holes: f64 = self.holes.iter().map(|h| ring_area2(h).abs()).sum();
        (ring_area2(&self.outer).abs() - holes) / 2.0
    }
    /// The box round the outer ring; `None` for an empty ring.
    #[must_use]
    pub fn aabb(&self) -> Option<Aabb> {
        Aabb::around(self.outer.iter().copied())
    }
}

/// One or more polygons that make one area (a zone with two parts).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Area {
    /// The parts; they do not overlap.
    pub parts: Vec<Polygon>,
}

impl Area {
    /// Whether any part contains the point.
    #[must_use]
    pub fn contains(&self, p: Point) -> bool {
        self.parts.iter().any(|q| q.contains(p))
    }
    /// Signed distance to the boundary, metres: positive inside. Minus infinity where there are no parts.
    #[must_use]
    pub fn depth(&self, p: Point) -> f64 {
        self.parts.iter().map(|q| q.depth(p)).fold(f64::NEG_INFINITY, f64::max)
    }
    /// Area in m².
    #[must_use]
    pub fn area_m2(&self) -> f64 {
        self.parts.iter().map(Polygon::area_m2).sum()
    }
    /// The box round all parts; `None` where there are none.
    #[must_use]
    pub fn aabb(&self) -> Option<Aabb> {
        Aabb::around(self.parts.iter().filter_map(Polygon::aabb).flat_map(|b| [b.min, b.max]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn l_shape() -> Polygon {
        let p = Point::new;
        Polygon::simple(vec![p(0., 0.), p(4., 0.), p(4., 2.), p(2., 2.), p(2., 4.), p(0., 4.)])
    }

    #[test]
    fn concave_polygon_and_holes() {
        let mut shape = l_shape();
        assert!(shape.contains(Point::new(1.0, 3.0)));
        assert!(!shape.contains(Point::new(3.0, 3.0)));
        assert_eq!(shape.area_m2(), 12.0);
        assert_eq!(shape.depth(Point::new(3.0, 3.0)), -1.0);
        let p = Point::new;
        shape.holes.push(vec![p(0.5, 0.5), p(1.5, 0.5), p(1.5, 1.5), p(0.5, 1.5)]);
        assert!(!shape.contains(p(1.0, 1.0)));
        assert_eq!(shape.area_m2(), 11.0);
        assert_eq!(shape.depth(p(1.0, 1.0)), -0.5);
    }

    #[test]
    fn segments_cross_touch_and_miss() {
        let s = |ax, ay, bx, by| Segment { a: Point::new(ax, ay), b: Point::new(bx, by) };
        assert!(s(0., 0., 2., 2.).crosses(s(0., 2., 2., 0.)));
        assert!(s(0., 0., 2., 0.).crosses(s(1., 0., 1., 5.)), "touching");
        assert!(s(0., 0., 2., 0.).crosses(s(1., 0., 3., 0.)), "overlapping");
        assert!(!s(0., 0., 2., 0.).crosses(s(0., 1., 2., 1.)));
        assert!(!s(0., 0., 1., 0.).crosses(s(2., 0., 3., 0.)), "collinear but apart");
    }

    proptest! {
        #[test]
        fn depth_is_positive_exactly_inside(x in -1.0..5.0f64, y in -1.0..5.0f64) {
            let (shape, p) = (l_shape(), Point::new(x, y));
            prop_assume!(shape.boundary_distance(p) > 1e-9);
            prop_assert_eq!(shape.depth(p) > 0.0, shape.contains(p));
        }

        #[test]
        fn depth_changes_no_faster_than_the_point_moves(
            x in -1.0..5.0f64, y in -1.0..5.0f64, dx in -0.5..0.5f64, dy in -0.5..0.5f64,
        ) {
            let (shape, p, q) = (l_shape(), Point::new(x, y), Point::new(x + dx, y + dy));
            prop_assert!((shape.depth(p) - shape.depth(q)).abs() <= p.distance(q) + 1e-9);
        }
    }
}
