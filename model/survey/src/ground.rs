//! A plan moved onto the ground by its control points, and the `[frame]` that site.toml then needs.
//!
//! Where the ground is given in degrees and the site has no frame yet, the plan keeps its own axes: it is only scaled,
//! and its turn and place on earth go into the frame. So walls stay along x and y, as people drew them.

use crate::control::{Control, Controls, Unit};
use crate::fit::{Fit, FitError, Kind, Map, fit};
use osmose_load::Projection;
use osmose_model::geometry::{Area, DEG_PER_RAD, Point, Segment};
use osmose_model::site::{Frame, Site};

/// A plan's place.
#[derive(Clone, Debug)]
pub struct Placed {
    /// How the points fit, plan to ground.
    pub fit: Fit,
    /// What was done to the plan.
    pub applied: Map,
    /// Latitude and longitude of the site's origin, degrees, and the turn of its +x from east, radians; `None` where the
    /// ground was given in site metres.
    pub frame: Option<((f64, f64), f64)>,
}

/// Fits a plan to its control points.
///
/// `plan_frame` is the frame that a plan in degrees was read with; `site_frame` the one that the site has already.
///
/// # Errors
/// [`FitError`] where the points do not fix the map.
pub fn place(
    controls: &Controls,
    kind: Kind,
    mirrored: bool,
    plan_frame: &Frame,
    site_frame: Option<&Frame>,
) -> Result<Placed, FitError> {
    let projection = |frame: &Frame| frame.origin_deg.map(|at| Projection::new(at, frame.rotation_rad));
    let middle = |of: fn(&Control) -> [f64; 2]| {
        let n = controls.points.len().max(1) as f64;
        let sum = controls.points.iter().map(of).fold([0.0, 0.0], |s, p| [s[0] + p[0], s[1] + p[1]]);
        Projection::new((sum[1] / n, sum[0] / n), 0.0)
    };
    let in_plan =
        (controls.plan == Unit::Degrees).then(|| projection(plan_frame).unwrap_or_else(|| middle(|c| c.plan)));
    let given = site_frame.and_then(projection).filter(|_| controls.ground == Unit::Degrees);
    let on_ground = (controls.ground == Unit::Degrees).then(|| given.unwrap_or_else(|| middle(|c| c.ground)));
    let to_metres = |p: Option<Projection>, [x, y]: [f64; 2]| p.map_or(Point::new(x, y), |p| p.to_site([x, y]));
    let pairs: Vec<(Point, Point)> =
        controls.points.iter().map(|c| (to_metres(in_plan, c.plan), to_metres(on_ground, c.ground))).collect();
    let fit = fit(kind, &pairs, mirrored)?;
    let Some(on_ground) = on_ground.filter(|_| given.is_none()) else {
        let frame = site_frame.filter(|_| given.is_some());
        let frame = frame.and_then(|f| Some((f.origin_deg?, f.rotation_rad)));
        return Ok(Placed { applied: fit.map, frame, fit });
    };
    // The map is a turn after the rest of it: the rest is done to the plan, the turn and the shift are the frame's.
    let turn = if fit.map.is_mirrored() { mirrored_turn(&fit.map) } else { fit.map.turn_rad() };
    let (s, c) = (libm::sin(turn), libm::cos(turn));
    let [[p, q], [r, t]] = fit.map.linear;
    let applied = Map { linear: [[c * p + s * r, c * q + s * t], [c * r - s * p, c * t - s * q]], shift_m: [0.0, 0.0] };
    let [lon, lat] = on_ground.to_earth(fit.map.apply(Point::default()));
    Ok(Placed { applied, frame: Some(((lat, lon), turn)), fit })
}

/// The turn of a map after the plan was turned over about its x axis.
fn mirrored_turn(map: &Map) -> f64 {
    let [[a, b], [c, d]] = map.linear;
    Map { linear: [[a, -b], [c, -d]], shift_m: map.shift_m }.turn_rad()
}

/// Scales beyond which a plan was not drawn in metres.
const METRES: std::ops::Range<f64> = 0.5..2.0;

/// Moves everything that a plan draws.
///
/// Where it was drawn in other units, what the loader found behind its doors was looked for at the wrong distance: a door
/// with nothing on one side is to be looked at again, so it says nothing of what it joins.
pub fn move_plan(site: &mut Site, map: &Map) {
    let point = |p: &mut Point| *p = map.apply(*p);
    let segment = |s: &mut Segment| *s = Segment { a: map.apply(s.a), b: map.apply(s.b) };
    let area = |area: &mut Area| {
        for part in &mut area.parts {
            part.outer.iter_mut().chain(part.holes.iter_mut().flatten()).for_each(point);
        }
    };
    site.levels.iter_mut().for_each(|l| area(&mut l.outline));
    site.zones.iter_mut().for_each(|z| area(&mut z.area));
    site.walls.iter_mut().flat_map(|w| &mut w.segments).for_each(segment);
    site.openings.iter_mut().flat_map(|o| &mut o.segments).for_each(segment);
    site.fixtures.iter_mut().flat_map(|f| &mut f.outline).for_each(point);
    if !METRES.contains(&map.scale()) {
        let unsure = site.openings.iter_mut().filter(|o| o.joins.iter().any(Option::is_none));
        unsure.for_each(|o| o.joins.clear());
    }
}

/// `[frame]` of site.toml.
#[must_use]
pub fn frame_toml(origin_deg: (f64, f64), rotation_rad: f64) -> String {
    let (lat, lon) = origin_deg;
    format!(
        "[frame]\norigin = {{ lat_deg = {lat:.8}, lon_deg = {lon:.8} }}\nrotation_deg = {:.4}\n",
        rotation_rad * DEG_PER_RAD
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A plan that was drawn in any unit and direction comes to stand where it is: every point of it, put through
        /// the frame that was found, is at its latitude and longitude.
        #[test]
        fn the_frame_and_the_plan_together_say_where_it_is(
            lat in -60.0..60.0f64, lon in -179.0..179.0f64, turn in -3.0..3.0f64, scale in 0.01..10.0f64, mirrored in any::<bool>(),
        ) {
            let truth = Projection::new((lat, lon), turn);
            let corners = [[0.0, 0.0], [40.0, 0.0], [40.0, 25.0], [0.0, 25.0], [13.0, 7.0]];
            let drawn = |[x, y]: [f64; 2]| [x / scale, if mirrored { -y } else { y } / scale];
            let points = corners.iter().map(|&c| Control {
                name: String::new(), plan: drawn(c), ground: truth.to_earth(Point::new(c[0], c[1])),
            });
            let controls = Controls { plan: Unit::Plane, ground: Unit::Degrees, points: points.collect() };
            let placed = place(&controls, Kind::Similarity, mirrored, &Frame::default(), None).unwrap();
            prop_assert!(placed.fit.rms_m < 1e-3, "{}", placed.fit.rms_m);
            let (origin, rotation) = placed.frame.unwrap();
            let found = Projection::new(origin, rotation);
            for c in corners {
                let [x, y] = drawn(c);
                let at = placed.applied.apply(Point::new(x, y));
                let there = truth.to_site(found.to_earth(at));
                prop_assert!(there.distance(Point::new(c[0], c[1])) < 2e-3, "{there:?} for {c:?}");
                prop_assert!(at.distance(Point::new(c[0], c[1])) < 2e-3, "the axes are the plan's own");
            }
        }
    }
}
