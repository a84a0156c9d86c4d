//! Rooms over each other, rooms without a door, rooms that nobody can reach.

use super::scene::{Beyond, Scene, across, inside};
use super::{Report, listed, place};
use geo::{Area as _, BooleanOps as _, Centroid as _, Coord, LineString, MultiPolygon};
use osmose_model::geometry::{Area, Point};
use osmose_model::ids::{LevelId, ZoneId};
use osmose_model::site::Zone;
use std::collections::{BTreeMap, BTreeSet};

/// A common part narrower than this is how two pens drew one line, metres.
const SLIVER_M: f64 = 0.05;
/// A common part smaller than this is nothing, m².
const COMMON_MIN_M2: f64 = 0.05;
/// A room of which this share is in another lies in it.
const INSIDE_SHARE: f64 = 0.95;

/// An area for the polygon library.
pub(super) fn to_geo(area: &Area) -> MultiPolygon<f64> {
    let ring = |r: &Vec<Point>| LineString::new(r.iter().map(|p| Coord { x: p.x_m, y: p.y_m }).collect());
    let polygon =
        |p: &osmose_model::geometry::Polygon| geo::Polygon::new(ring(&p.outer), p.holes.iter().map(ring).collect());
    MultiPolygon::new(area.parts.iter().map(polygon).collect())
}

/// What two areas have in common: its size and its middle; `None` where it is nothing that a pen did not slip.
fn common(a: &Area, b: &Area) -> Option<(f64, Point)> {
    let both = to_geo(a).intersection(&to_geo(b));
    let largest = both.0.iter().max_by(|p, q| p.unsigned_area().total_cmp(&q.unsigned_area()))?;
    let around: f64 = largest.exterior().lines().map(|l| (l.dx() * l.dx() + l.dy() * l.dy()).sqrt()).sum();
    let wide_m = 2.0 * largest.unsigned_area() / around.max(f64::MIN_POSITIVE);
    let middle = largest.centroid()?;
    let size_m2 = both.unsigned_area();
    (size_m2 >= COMMON_MIN_M2 && wide_m >= SLIVER_M).then(|| (size_m2, Point::new(middle.x(), middle.y())))
}

pub(super) fn overlapping(scene: &Scene<'_>, report: &mut Report<'_>) {
    let mut boxes: Vec<_> = scene.rooms.iter().filter_map(|z| Some((z.area.aabb()?, *z))).collect();
    boxes.sort_by(|a, b| a.0.min.x_m.total_cmp(&b.0.min.x_m));
    let mut found: Vec<(&Zone, &Zone, f64, Point)> = Vec::new();
    for (i, (a_box, a)) in boxes.iter().enumerate() {
        for (b_box, b) in boxes[i + 1..].iter().take_while(|(b, _)| b.min.x_m < a_box.max.x_m) {
            if b_box.min.y_m < a_box.max.y_m
                && a_box.min.y_m < b_box.max.y_m
                && let Some((m2, at)) = common(&a.area, &b.area)
            {
                let (small, large) = if a.area.area_m2() < b.area.area_m2() { (*a, *b) } else { (*b, *a) };
                found.push((small, large, m2, at));
            }
        }
    }
    found.sort_by_key(|(small, large, ..)| (small.id, large.id));
    for (small, large, m2, at) in found {
        let share = m2 / small.area.area_m2();
        let (message, help) = if share >= INSIDE_SHARE {
            (
                format!(
                    "Room `{}` lies inside room `{}`, at {}: who is in it is in both.",
                    small.name,
                    large.name,
                    place(at)
                ),
                "Cut it out of the larger room, or make it a `geofence` where both are meant.",
            )
        } else {
            (
                format!(
                    "Rooms `{}` and `{}` share {m2:.2} m2 about {}: who is there is in both.",
                    small.name,
                    large.name,
                    place(at)
                ),
                "Draw them to one common edge.",
            )
        };
        report.add("overlap", ("zone", &small.name), (scene.level, Some(at)), message, help);
    }
}

/// The rooms that the doors of a level join, or that are open to something.
fn with_a_way_in(scene: &Scene<'_>) -> BTreeSet<ZoneId> {
    let mut joined: BTreeSet<ZoneId> = scene.openings.iter().flat_map(|o| o.joins.iter().flatten().copied()).collect();
    for (i, room) in scene.rooms.iter().enumerate() {
        for beyond in scene.passages(i) {
            joined.insert(room.id);
            if let Beyond::Room(other) = beyond {
                joined.insert(other);
            }
        }
    }
    joined
}

pub(super) fn without_door(scene: &Scene<'_>, report: &mut Report<'_>) {
    if scene.rooms.is_empty() {
        return;
    }
    let level = report.level_name(scene.level).to_owned();
    if scene.openings.is_empty() {
        let message = match scene.rooms.as_slice() {
            [only] => format!("The only room of level `{level}`, `{}`, has no door.", only.name),
            rooms => format!("None of the {} rooms of level `{level}` has a door: the plan draws none.", rooms.len()),
        };
        let help = "Draw each door as a line: a feature of `feature_type` `opening`, with `joins` where its rooms are not plain.";
        report.add("no-door", ("level", &level), (scene.level, None), message, help);
        return;
    }
    let joined = with_a_way_in(scene);
    for room in scene.rooms.iter().filter(|z| !joined.contains(&z.id)) {
        let at = inside(room);
        let where_ = at.map(|p| format!(" about {}", place(p))).unwrap_or_default();
        let message = format!("Room `{}`{where_} has no door, and no open side.", room.name);
        let help = "Draw its door as an `opening`, or add the room's id to the `joins` of the door that is there.";
        report.add("no-door", ("zone", &room.name), (scene.level, at), message, help);
    }
}

/// Where one can be, for finding what cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Spot {
    Outside,
    /// Inside on a level, where no room is drawn.
    Unmapped(LevelId),
    Room(ZoneId),
}

fn spot(beyond: Beyond, level: LevelId) -> Spot {
    match beyond {
        Beyond::Room(z) => Spot::Room(z),
        Beyond::Unmapped => Spot::Unmapped(level),
        Beyond::Outside => Spot::Outside,
    }
}

/// Everywhere that one can walk between.
fn ways(scenes: &[Scene<'_>]) -> BTreeMap<Spot, BTreeSet<Spot>> {
    let mut ways: BTreeMap<Spot, BTreeSet<Spot>> = BTreeMap::new();
    let mut join = |a: Spot, b: Spot| {
        ways.entry(a).or_default().insert(b);
        ways.entry(b).or_default().insert(a);
    };
    for scene in scenes {
        for opening in &scene.openings {
            let mut ends: Vec<Spot> = opening.joins.iter().flatten().map(|z| Spot::Room(*z)).collect();
            if opening.joins.iter().any(Option::is_none) {
                ends.push(spot(super::doors::behind(scene, opening), scene.level));
            }
            ends.windows(2).for_each(|w| join(w[0], w[1]));
        }
        for (i, room) in scene.rooms.iter().enumerate() {
            scene.passages(i).for_each(|beyond| join(Spot::Room(room.id), spot(beyond, scene.level)));
        }
    }
    let zones = scenes.first().map_or(&[][..], |s| &s.site.zones);
    for a in zones.iter().filter(|z| z.connects.len() > 1) {
        // Stairs and lifts lead to those of the same sort over or under them.
        let b = zones
            .iter()
            .filter(|b| b.level != a.level && a.connects.contains(&b.level) && b.connects.contains(&a.level));
        b.filter(|b| stacked(a, b)).for_each(|b| join(Spot::Room(a.id), Spot::Room(b.id)));
    }
    ways
}

fn stacked(a: &Zone, b: &Zone) -> bool {
    let (Some(p), Some(q)) = (a.area.aabb(), b.area.aabb()) else { return false };
    p.min.x_m <= q.max.x_m && q.min.x_m <= p.max.x_m && p.min.y_m <= q.max.y_m && q.min.y_m <= p.max.y_m
}

/// Rooms with doors from which no way leads to the rest: to the street, or to the largest part where no door leads out.
pub(super) fn unreachable(scenes: &[Scene<'_>], report: &mut Report<'_>) {
    // Where the plan draws no door at all, that is said, and all else follows from it.
    if scenes.iter().all(|s| s.openings.is_empty()) {
        return;
    }
    let ways = ways(scenes);
    let mut parts: Vec<BTreeSet<Spot>> = Vec::new();
    let mut seen: BTreeSet<Spot> = BTreeSet::new();
    for &start in ways.keys() {
        if seen.contains(&start) {
            continue;
        }
        let (mut part, mut stack) = (BTreeSet::new(), vec![start]);
        while let Some(at) = stack.pop() {
            if part.insert(at) {
                stack.extend(ways.get(&at).into_iter().flatten());
            }
        }
        seen.extend(&part);
        parts.push(part);
    }
    let rooms = |part: &BTreeSet<Spot>| part.iter().filter(|s| matches!(s, Spot::Room(_))).count();
    let out = parts.iter().position(|p| p.contains(&Spot::Outside));
    let main = out.or_else(|| (0..parts.len()).max_by_key(|&i| (rooms(&parts[i]), std::cmp::Reverse(i))));
    let Some(main) = main else { return };
    let site = report.site;
    for part in parts.iter().enumerate().filter(|(i, _)| *i != main).map(|(_, p)| p) {
        let zones: Vec<&Zone> = part
            .iter()
            .filter_map(|s| if let Spot::Room(z) = s { Some(&site.zones[z.index()]) } else { None })
            .collect();
        let Some(first) = zones.first() else { continue };
        let names: Vec<&str> = zones.iter().map(|z| z.name.as_str()).collect();
        let from = if out.is_some() { "from the street" } else { "from the rest of the building" };
        let verb = if names.len() == 1 { "Room" } else { "Rooms" };
        let message = format!("{verb} {} cannot be reached {from}.", listed(&names));
        let help =
            "Draw the door that is missing between them and the rest, or the stairs where they are on another level.";
        report.add("unreachable", ("zone", &first.name), (first.level, inside(first)), message, help);
    }
    if out.is_none() {
        let ground = site.levels.iter().min_by_key(|l| (l.ordinal.abs(), l.ordinal)).map_or(LevelId(0), |l| l.id);
        let name = report.level_name(ground).to_owned();
        let message = "No door of the building leads outside.".to_owned();
        let help = "Draw the entrance as an `opening` in the outer wall; where its street side is inside of the level's outline, say `\"joins\": [\"lobby\", \"outside\"]`.";
        report.add("no-entrance", ("level", &name), (ground, None), message, help);
    }
}

/// The place of a door, where it has one.
pub(super) fn middle_of(opening: &osmose_model::site::Opening) -> Option<Point> {
    across(opening).map(|(p, _)| p).or(opening.segments.first().map(|s| s.a))
}
