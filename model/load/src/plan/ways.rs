//! Which zones a door joins, and which levels stairs and lifts connect, where the plan does not say.

use super::Drops;
use super::build::Builder;
use super::kinds::connects_levels;
use super::read::RawPlan;
use osmose_model::geometry::{Point, Segment};
use osmose_model::ids::{LevelId, ZoneId};
use osmose_model::site::Zone;

/// How far to either side of a door its zones are looked for, metres: past the thickness of a wall.
const SIDES_M: [f64; 4] = [0.15, 0.3, 0.6, 1.0];
/// How near the end of a path its stairs are, metres.
const PATH_END_M: f64 = 2.0;

/// The zones on the two sides of a door, the smallest where several overlap; `None` is outside.
pub(super) fn joined(zones: &[Zone], level: LevelId, segments: &[Segment]) -> Vec<Option<ZoneId>> {
    let Some(s) = segments.first() else { return Vec::new() };
    let length = s.a.distance(s.b);
    if length <= 0.0 {
        return Vec::new();
    }
    let middle = Point::new((s.a.x_m + s.b.x_m) / 2.0, (s.a.y_m + s.b.y_m) / 2.0);
    let (nx, ny) = ((s.a.y_m - s.b.y_m) / length, (s.b.x_m - s.a.x_m) / length);
    let side = |sign: f64| {
        SIDES_M
            .iter()
            .find_map(|d| zone_at(zones, level, Point::new(middle.x_m + sign * d * nx, middle.y_m + sign * d * ny)))
    };
    vec![side(1.0), side(-1.0)]
}

/// The smallest room at a place.
fn zone_at(zones: &[Zone], level: LevelId, p: Point) -> Option<ZoneId> {
    let here = zones.iter().filter(|z| z.level == level && z.category != "geofence" && z.area.contains(p));
    here.min_by(|a, b| a.area.area_m2().total_cmp(&b.area.area_m2())).map(|z| z.id)
}

/// Whether two zones of different levels lie over each other.
fn are_stacked(a: &Zone, b: &Zone) -> bool {
    let middle =
        |z: &Zone| z.area.aabb().map(|b| Point::new((b.min.x_m + b.max.x_m) / 2.0, (b.min.y_m + b.max.y_m) / 2.0));
    let (Some(p), Some(q)) = (middle(a), middle(b)) else { return false };
    a.area.contains(q) || b.area.contains(p)
}

/// Fills in what stairs and lifts connect: what they say, else the paths of the plan, else what lies over each other.
pub(super) fn connect_levels(b: &mut Builder<'_>, raw: &RawPlan, drops: &mut Drops) {
    let said: Vec<bool> = b.plan.zones.iter().map(|z| !z.connects.is_empty()).collect();
    for (ordinals, path) in &raw.paths {
        let mut levels: Vec<LevelId> = ordinals.iter().flat_map(|&o| b.levels.at_ordinal(o)).collect();
        levels.sort_unstable();
        let ends: Vec<Point> = path.shape.corners().map(|c| b.placing.place(c, path.is_local)).collect();
        let mut used = false;
        for &level in &levels {
            let near = |z: &Zone| ends.iter().map(|&p| -z.area.depth(p)).fold(f64::INFINITY, f64::min);
            let candidates = b.plan.zones.iter().filter(|z| z.level == level && connects_levels(&z.category));
            let nearest = candidates.map(|z| (near(z), z.id)).filter(|&(d, _)| d <= PATH_END_M);
            if let Some((_, id)) = nearest.min_by(|x, y| x.0.total_cmp(&y.0)) {
                b.plan.zones[id.index()].connects.extend(&levels);
                used = true;
            }
        }
        if !used {
            let reason = "are a path with no stairs or lift at its ends, and are left out".to_owned();
            drops.add("not-used", reason, &path.spot, path.id.as_deref());
        }
    }
    let ways: Vec<usize> = (0..b.plan.zones.len()).filter(|&i| connects_levels(&b.plan.zones[i].category)).collect();
    for &i in &ways {
        if said[i] {
            continue;
        }
        let zone = &b.plan.zones[i];
        let same_sort = |z: &Zone| z.category.split('.').next() == zone.category.split('.').next();
        let over = ways
            .iter()
            .map(|&j| &b.plan.zones[j])
            .filter(|z| z.level != zone.level && same_sort(z) && are_stacked(zone, z));
        let mut connects: Vec<LevelId> = over.map(|z| z.level).chain(zone.connects.iter().copied()).collect();
        if !connects.is_empty() {
            connects.push(zone.level);
        }
        connects.sort_unstable();
        connects.dedup();
        b.plan.zones[i].connects = connects;
    }
}
