//! Rings to polygons that the stages can trust: closed, without doubled corners, not crossing themselves.

use crate::fault::{Faults, Spot};
use geo::algorithm::line_intersection::{LineIntersection, line_intersection};
use geo::{Coord, Line, LineString, Validation};
use osmose_model::geometry::{Aabb, Area, Point, Polygon, Ring, Segment};

/// Most corners of one ring; what is beyond it is a scan, not a plan.
pub(crate) const CORNERS_MAX: usize = 10_000;
/// Corners nearer than this are one corner, metres.
const SAME_M: f64 = 1e-6;
/// An area below this is a line, m².
const FLAT_M2: f64 = 1e-6;
/// A loop up to this, and up to this share of the rest, is a slip of the pen: it is cut off, and said so.
const LOOP_MAX_M2: f64 = 0.25;
const LOOP_MAX_SHARE: f64 = 0.02;
/// Most loops cut off one ring.
const CUTS_MAX: usize = 16;

/// A place as it stands in messages.
pub(crate) fn place(p: Point) -> String {
    format!("({:.2}, {:.2}) m", p.x_m, p.y_m)
}

/// Why an area cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ShapeFault {
    /// It has fewer than three corners, or no area.
    Flat,
    /// Two of its sides cross, at this place.
    Crossing(Point),
    /// It is drawn wrong in another way.
    Other(String),
    /// It has too many corners.
    TooManyCorners(usize),
}

impl ShapeFault {
    /// Says it of something ("unit `m7`").
    pub(crate) fn report(&self, what: &str, near: Point, spot: &Spot, name: &str, faults: &mut Faults) {
        let (code, message, help) = match self {
            Self::Flat => (
                "flat-polygon",
                format!("The outline of {what} near {} has no area.", place(near)),
                "Draw at least three corners that are not on one line.",
            ),
            Self::Crossing(at) => (
                "self-crossing",
                format!("The outline of {what} crosses itself at {}.", place(*at)),
                "Put its corners in order round the outline, so that no two sides cross.",
            ),
            Self::Other(why) => (
                "bad-polygon",
                format!("The outline of {what} near {} cannot be used: {why}.", place(near)),
                "Draw the parts so that they do not overlap, and each hole inside the outline.",
            ),
            Self::TooManyCorners(n) => (
                "too-many-corners",
                format!("The outline of {what} has {n} corners; {CORNERS_MAX} are the most."),
                "Simplify the outline.",
            ),
        };
        faults.error(code, spot, name, message, help);
    }
}

/// A ring without its closing corner and without doubled corners.
pub(crate) fn clean(points: impl IntoIterator<Item = Point>) -> Ring {
    let mut ring: Ring = Vec::new();
    for p in points {
        if ring.last().is_none_or(|q| q.distance2(p) > SAME_M * SAME_M) {
            ring.push(p);
        }
    }
    while ring.len() > 1 && ring[0].distance2(ring[ring.len() - 1]) <= SAME_M * SAME_M {
        ring.pop();
    }
    ring
}

fn coord(p: Point) -> Coord<f64> {
    Coord { x: p.x_m, y: p.y_m }
}

/// The sides of a ring.
fn sides(ring: &[Point]) -> Vec<Segment> {
    (0..ring.len()).map(|i| Segment { a: ring[i], b: ring[(i + 1) % ring.len()] }).collect()
}

/// Two sides of a ring, `i` before `j`, and the place where they meet though they should not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Crossing {
    i: usize,
    j: usize,
    at: Point,
}

/// The first place where two sides of a ring meet that should not: `None` for a simple ring.
///
/// Sides are swept in order of their left end, so that only those whose x-ranges overlap are compared.
pub(crate) fn crossing(ring: &[Point]) -> Option<Crossing> {
    let sides = sides(ring);
    let left = |s: &Segment| s.a.x_m.min(s.b.x_m);
    let right = |s: &Segment| s.a.x_m.max(s.b.x_m);
    let mut order: Vec<usize> = (0..sides.len()).collect();
    order.sort_by(|&i, &j| left(&sides[i]).total_cmp(&left(&sides[j])));
    for (k, &i) in order.iter().enumerate() {
        for &j in &order[k + 1..] {
            if left(&sides[j]) > right(&sides[i]) {
                break;
            }
            if let Some(crossing) = meet(&sides, i.min(j), i.max(j)) {
                return Some(crossing);
            }
        }
    }
    None
}

/// Where sides `i` < `j` of one ring meet other than as neighbours at their common corner.
fn meet(sides: &[Segment], i: usize, j: usize) -> Option<Crossing> {
    let neighbours = j == i + 1 || (i == 0 && j + 1 == sides.len());
    let line = |s: Segment| Line::new(coord(s.a), coord(s.b));
    let point = |c: Coord<f64>| Point::new(c.x, c.y);
    let at = match line_intersection(line(sides[i]), line(sides[j]))? {
        LineIntersection::SinglePoint { intersection, .. } => (!neighbours).then(|| point(intersection)),
        // Two neighbours that run back over each other, or two sides on one line: the end away from the corner.
        LineIntersection::Collinear { intersection } => {
            let (p, q) = (point(intersection.start), point(intersection.end));
            let corner = if j == i + 1 { sides[i].b } else { sides[i].a };
            let far = if p.distance2(corner) > q.distance2(corner) { p } else { q };
            (!neighbours || p.distance(q) > SAME_M).then_some(far)
        }
    };
    at.map(|at| Crossing { i, j, at })
}

/// A ring without the smaller of the two loops that a crossing parts it into, and that loop's area in m²; `None`
/// where the loop is more than a slip of the pen.
fn cut(ring: &[Point], Crossing { i, j, at }: Crossing) -> Option<(Ring, f64)> {
    let area = |r: &[Point]| Polygon::simple(r.to_vec()).area_m2();
    let inner: Vec<Point> = ring[i + 1..=j].iter().copied().chain([at]).collect();
    let outer: Vec<Point> = ring[..=i].iter().copied().chain([at]).chain(ring[j + 1..].iter().copied()).collect();
    let (loop_m2, rest_m2) = (area(&inner).min(area(&outer)), area(&inner).max(area(&outer)));
    let rest = if area(&inner) > area(&outer) { inner } else { outer };
    let rest = clean(rest);
    let is_slip = loop_m2 <= LOOP_MAX_M2 && loop_m2 <= LOOP_MAX_SHARE * rest_m2;
    (is_slip && rest.len() >= 3 && rest.len() < ring.len() + 1).then_some((rest, loop_m2))
}

/// A ring with its slips of the pen cut off, each noted in `cuts`.
///
/// # Errors
/// The first crossing that is more than that.
fn untangled(mut ring: Ring, cuts: &mut Vec<Cut>) -> Result<Ring, ShapeFault> {
    for _ in 0..CUTS_MAX {
        let Some(found) = crossing(&ring) else { return Ok(ring) };
        let Some((rest, loop_m2)) = cut(&ring, found) else { return Err(ShapeFault::Crossing(found.at)) };
        cuts.push(Cut { at: found.at, loop_m2 });
        ring = rest;
    }
    crossing(&ring).map_or(Ok(ring), |c| Err(ShapeFault::Crossing(c.at)))
}

/// Whether all corners of a ring are on one line, or are fewer than three.
fn is_line(ring: &[Point]) -> bool {
    let Some(far) =
        ring.first().and_then(|&a| ring.iter().copied().max_by(|p, q| a.distance2(*p).total_cmp(&a.distance2(*q))))
    else {
        return true;
    };
    let axis = Segment { a: ring[0], b: far };
    ring.len() < 3 || ring.iter().all(|&p| axis.nearest(p).distance2(p) <= SAME_M * SAME_M)
}

fn to_geo(polygon: &Polygon) -> geo::Polygon<f64> {
    let ring = |r: &Ring| LineString::new(r.iter().map(|&p| coord(p)).collect());
    geo::Polygon::new(ring(&polygon.outer), polygon.holes.iter().map(ring).collect())
}

/// One polygon from its rings.
fn polygon(mut rings: impl Iterator<Item = Ring>, cuts: &mut Vec<Cut>) -> Result<Polygon, ShapeFault> {
    let outer = rings.next().unwrap_or_default();
    if is_line(&outer) {
        return Err(ShapeFault::Flat);
    }
    let mut checked = |ring: Ring| {
        if ring.len() > CORNERS_MAX { Err(ShapeFault::TooManyCorners(ring.len())) } else { untangled(ring, cuts) }
    };
    let outer = checked(outer)?;
    let holes = rings.filter(|r| r.len() >= 3).map(checked).collect::<Result<Vec<_>, _>>()?;
    let polygon = Polygon { outer, holes };
    if !polygon.holes.is_empty() {
        to_geo(&polygon).check_validation().map_err(|e| ShapeFault::Other(e.to_string()))?;
    }
    if polygon.area_m2() < FLAT_M2 {
        return Err(ShapeFault::Flat);
    }
    Ok(polygon)
}

/// An area, and what was cut off to make it simple.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawn {
    pub(crate) area: Area,
    pub(crate) cuts: Vec<Cut>,
}

/// A small loop cut off an outline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    /// Where its sides crossed.
    pub(crate) at: Point,
    /// Its area, m².
    pub(crate) loop_m2: f64,
}

/// An area from polygons of rings in site metres.
///
/// # Errors
/// The first reason why it cannot be used.
pub(crate) fn area(parts: Vec<Vec<Vec<Point>>>) -> Result<Drawn, ShapeFault> {
    let mut cuts = Vec::new();
    let parts = parts
        .into_iter()
        .map(|rings| polygon(rings.into_iter().map(clean), &mut cuts))
        .collect::<Result<Vec<_>, _>>()?;
    if parts.is_empty() {
        return Err(ShapeFault::Flat);
    }
    if parts.len() > 1 {
        let multi = geo::MultiPolygon::new(parts.iter().map(to_geo).collect());
        multi.check_validation().map_err(|e| ShapeFault::Other(e.to_string()))?;
    }
    Ok(Drawn { area: Area { parts }, cuts })
}

/// The middle line of a long thin outline (a door drawn as a rectangle): along its longest side, halfway across.
pub(crate) fn middle_line(ring: &[Point]) -> Option<Segment> {
    let longest = sides(ring).into_iter().max_by(|s, t| s.a.distance2(s.b).total_cmp(&t.a.distance2(t.b)))?;
    let length = longest.a.distance(longest.b);
    if length <= SAME_M {
        return None;
    }
    let (ux, uy) = ((longest.b.x_m - longest.a.x_m) / length, (longest.b.y_m - longest.a.y_m) / length);
    // The outline's box in the coordinates (along, across) of its longest side.
    let turned = ring.iter().map(|p| Point::new(p.x_m * ux + p.y_m * uy, p.y_m * ux - p.x_m * uy));
    let Aabb { min, max } = Aabb::around(turned)?;
    let across = (min.y_m + max.y_m) / 2.0;
    let back = |along: f64| Point::new(along * ux - across * uy, along * uy + across * ux);
    Some(Segment { a: back(min.x_m), b: back(max.x_m) })
}

/// The segments between the corners of a line.
pub(crate) fn line_segments(line: &[Point]) -> Vec<Segment> {
    line.windows(2).map(|w| Segment { a: w[0], b: w[1] }).filter(|s| s.a.distance2(s.b) > 0.0).collect()
}

/// The sides of a closed outline.
pub(crate) fn outline_segments(ring: &[Point]) -> Vec<Segment> {
    if ring.len() < 3 { line_segments(ring) } else { sides(ring) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ring(corners: &[[f64; 2]]) -> Vec<Point> {
        corners.iter().map(|&[x, y]| Point::new(x, y)).collect()
    }

    #[test]
    fn a_bow_tie_crosses_where_it_does() {
        let bow_tie = ring(&[[0., 0.], [2., 2.], [2., 0.], [0., 2.]]);
        assert_eq!(crossing(&bow_tie).map(|c| c.at), Some(Point::new(1.0, 1.0)));
        assert_eq!(area(vec![vec![bow_tie]]), Err(ShapeFault::Crossing(Point::new(1.0, 1.0))));
        assert_eq!(crossing(&ring(&[[0., 0.], [2., 0.], [2., 2.], [0., 2.]])), None);
        // A spike that runs back over itself, and a corner that touches another side.
        assert!(crossing(&ring(&[[0., 0.], [4., 0.], [2., 0.], [2., 2.]])).is_some());
        assert!(crossing(&ring(&[[0., 0.], [4., 0.], [4., 3.], [2., 0.], [0., 3.]])).is_some());
    }

    #[test]
    fn a_slip_of_the_pen_is_cut_off_and_noted() {
        // The last two corners are in the wrong order: a loop of a hundredth of a square metre.
        let slip = ring(&[[0., 0.], [4., 0.], [4., 3.], [0.1, 3.], [0.2, 3.1], [0., 2.9]]);
        let drawn = area(vec![vec![slip]]).unwrap();
        assert_eq!(drawn.cuts.len(), 1);
        assert!(drawn.cuts[0].loop_m2 < 0.05 && (drawn.area.area_m2() - 12.0).abs() < 0.1, "{drawn:?}");
        assert_eq!(crossing(&drawn.area.parts[0].outer), None);
        // A spike has no area at all.
        let spike = area(vec![vec![ring(&[[0., 0.], [4., 0.], [4., 3.], [4., 5.], [4., 3.], [0., 3.]])]]).unwrap();
        assert_eq!((spike.area.area_m2(), spike.cuts.len()), (12.0, 1));
    }

    #[test]
    fn areas_are_closed_cleaned_and_checked() {
        let square = |x: f64| ring(&[[x, 0.], [x + 2., 0.], [x + 2., 0.], [x + 2., 2.], [x, 2.], [x, 0.]]);
        let one = area(vec![vec![square(0.0)]]).unwrap();
        assert_eq!(one.area.parts[0].outer.len(), 4);
        assert!(one.cuts.is_empty());
        assert!(area(vec![vec![square(0.0)], vec![square(5.0)]]).is_ok());
        assert!(matches!(area(vec![vec![square(0.0)], vec![square(1.0)]]), Err(ShapeFault::Other(_))));
        assert_eq!(area(vec![vec![ring(&[[0., 0.], [1., 1.], [2., 2.]])]]), Err(ShapeFault::Flat));
        assert_eq!(area(vec![vec![ring(&[[0., 0.], [1., 1.]])]]), Err(ShapeFault::Flat));
        assert_eq!(area(vec![]), Err(ShapeFault::Flat));
        let hole_outside = area(vec![vec![square(0.0), square(5.0)]]);
        assert!(matches!(hole_outside, Err(ShapeFault::Other(_))), "{hole_outside:?}");
    }

    #[test]
    fn a_door_is_the_line_along_its_middle() {
        let s = middle_line(&ring(&[[1., 0.], [3., 0.], [3., 0.2], [1., 0.2]])).unwrap();
        let near = |p: Point, x: f64| p.distance(Point::new(x, 0.1)) < 1e-12;
        assert!(near(s.a, 1.0) && near(s.b, 3.0) || near(s.a, 3.0) && near(s.b, 1.0), "{s:?}");
    }

    proptest! {
        /// The sweep finds a crossing exactly where comparing every pair of sides does.
        #[test]
        fn the_sweep_agrees_with_all_pairs(corners in prop::collection::vec((0i8..12, 0i8..12), 3..9)) {
            let ring = clean(corners.iter().map(|&(x, y)| Point::new(f64::from(x), f64::from(y))));
            prop_assume!(ring.len() >= 3);
            let all = sides(&ring);
            let slow = (0..all.len()).any(|i| (i + 1..all.len()).any(|j| {
                let neighbours = j == i + 1 || (i == 0 && j + 1 == all.len());
                if !neighbours { return all[i].crosses(all[j]); }
                // Neighbours may share their corner only: the far ends must not lie on each other's side.
                let (far_i, far_j) = if j == i + 1 { (all[i].a, all[j].b) } else { (all[i].b, all[j].a) };
                all[j].nearest(far_i) == far_i || all[i].nearest(far_j) == far_j
            }));
            prop_assert_eq!(crossing(&ring).is_some(), slow);
        }

        #[test]
        fn any_rings_are_taken_or_refused_without_panic(
            rings in prop::collection::vec(prop::collection::vec((-9i8..9, -9i8..9), 0..8), 0..4), split in 0usize..4,
        ) {
            let rings: Vec<Vec<Point>> =
                rings.iter().map(|r| r.iter().map(|&(x, y)| Point::new(f64::from(x) * 0.1, f64::from(y))).collect()).collect();
            let (a, b) = rings.split_at(split.min(rings.len()));
            let _ = area(vec![a.to_vec(), b.to_vec()]);
            let _ = area(vec![rings.clone()]);
        }
    }
}
