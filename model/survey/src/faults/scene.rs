//! One level as somebody sees it who walks it: what is at a place, and where the edge of a room is open.

use osmose_model::geometry::{Aabb, Point, Segment};
use osmose_model::ids::{LevelId, ZoneId};
use osmose_model::site::{Opening, Site, Zone};
use std::collections::BTreeMap;

/// How far across a room's edge its wall is looked for, metres: rooms are drawn to either face of thick walls.
const WALL_REACH_M: f64 = 0.35;
/// How far beyond an edge or door the other side is looked for, metres.
const SIDES_M: [f64; 4] = [0.15, 0.3, 0.6, 1.0];
/// Distance between the places along an edge that are looked at, metres.
const STEP_M: f64 = 0.05;
/// Most places looked at round one room.
const SAMPLES_MAX: usize = 20_000;
/// What is narrower than this is a slip of the pen, metres.
const SLIP_M: f64 = 0.10;
/// What is wider than this is a way through, metres.
pub(super) const PASSAGE_M: f64 = 0.60;
/// A room less of whose edge has walls is an area in an open space.
const WALLED_SHARE: f64 = 0.5;
/// Size of a cell of the index, metres.
const CELL_M: f64 = 2.0;
/// A segment in more cells than this is kept outside of the index.
const CELLS_MAX: usize = 4096;

/// Categories of units in which nobody walks.
const NOT_WALKED: &[&str] =
    &["structure", "column", "opentobelow", "void", "brick", "concrete", "nonpublic.void", "inaccessible_space"];

/// Segments by where they are.
#[derive(Debug, Default)]
pub(super) struct Segments {
    list: Vec<Segment>,
    cells: BTreeMap<(i32, i32), Vec<usize>>,
    long: Vec<usize>,
}

fn cells(b: Aabb) -> Option<impl Iterator<Item = (i32, i32)>> {
    let cell = |v: f64| (v / CELL_M).floor().clamp(-1e9, 1e9) as i32;
    let (x, y) = (cell(b.min.x_m)..=cell(b.max.x_m), cell(b.min.y_m)..=cell(b.max.y_m));
    let n = (x.end() - x.start() + 1) as usize * (y.end() - y.start() + 1) as usize;
    (n <= CELLS_MAX).then(|| x.flat_map(move |x| y.clone().map(move |y| (x, y))))
}

impl Segments {
    fn new(list: Vec<Segment>) -> Self {
        let mut out = Self::default();
        for (i, s) in list.iter().enumerate() {
            match Aabb::around([s.a, s.b]).and_then(cells) {
                Some(cells) => cells.for_each(|c| out.cells.entry(c).or_default().push(i)),
                None => out.long.push(i),
            }
        }
        out.list = list;
        out
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Those that may touch a box; some twice.
    pub(super) fn near(&self, b: Aabb) -> impl Iterator<Item = (usize, Segment)> + '_ {
        let cells = cells(b);
        let all = cells.is_none().then_some(0..self.list.len()).into_iter().flatten();
        let found = cells.into_iter().flatten().filter_map(|c| self.cells.get(&c)).flatten().copied();
        found.chain(self.long.iter().copied()).chain(all).map(|i| (i, self.list[i]))
    }

    /// Whether any of them meets a segment.
    fn meet(&self, s: Segment) -> bool {
        Aabb::around([s.a, s.b]).is_some_and(|b| self.near(b).any(|(_, w)| w.crosses(s)))
    }

    /// The distance to the nearest within `reach_m`.
    pub(super) fn distance(&self, p: Point, reach_m: f64) -> Option<f64> {
        let b = Aabb { min: p, max: p }.grown(reach_m);
        let near = self.near(b).map(|(_, s)| s.nearest(p).distance(p));
        near.filter(|d| *d <= reach_m).min_by(f64::total_cmp)
    }
}

/// What is behind a door or an open edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Beyond {
    /// A room.
    Room(ZoneId),
    /// Inside of the building, where no room is drawn.
    Unmapped,
    /// The street.
    Outside,
}

/// A stretch of a room's edge without a wall or door.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stretch {
    pub(super) middle: Point,
    pub(super) length_m: f64,
    pub(super) beyond: Beyond,
}

/// A level with what stands on it.
pub(super) struct Scene<'a> {
    pub(super) site: &'a Site,
    pub(super) level: LevelId,
    /// Where people walk: units, no geofences, nothing solid.
    pub(super) rooms: Vec<&'a Zone>,
    pub(super) openings: Vec<&'a Opening>,
    pub(super) walls: Segments,
    pub(super) doors: Segments,
    /// The open stretches of each room's edge, in the order of `rooms`; empty where the level has no walls.
    pub(super) open: Vec<Vec<Stretch>>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(site: &'a Site, level: LevelId) -> Self {
        // A geofence, or what a speaker can aim at, is drawn over rooms and is none.
        let walked = |z: &&Zone| z.level == level && z.is_part() && !NOT_WALKED.contains(&z.category.as_str());
        let walls = site.walls.iter().filter(|w| w.level == level).flat_map(|w| w.segments.iter().copied()).collect();
        let openings: Vec<&Opening> = site.openings.iter().filter(|o| o.level == level).collect();
        let doors = Segments::new(openings.iter().flat_map(|o| o.segments.iter().copied()).collect());
        let rooms: Vec<&Zone> = site.zones.iter().filter(walked).collect();
        let mut scene = Self { site, level, rooms, openings, walls: Segments::new(walls), doors, open: Vec::new() };
        if !scene.walls.is_empty() {
            scene.open = scene.rooms.iter().map(|room| scene.open_stretches(room)).collect();
        }
        scene
    }

    /// Whether a place is inside of the building; `None` where the plan does not say how far that reaches.
    pub(super) fn is_inside(&self, p: Point) -> Option<bool> {
        let outline = &self.site.levels[self.level.index()].outline;
        (!outline.parts.is_empty()).then(|| outline.contains(p))
    }

    /// The smallest room at a place.
    pub(super) fn room_at(&self, p: Point) -> Option<ZoneId> {
        let here = self.rooms.iter().filter(|z| z.area.aabb().is_some_and(|b| b.contains(p)) && z.area.contains(p));
        here.min_by(|a, b| a.area.area_m2().total_cmp(&b.area.area_m2())).map(|z| z.id)
    }

    /// What is found going from a place along a direction (a unit vector), past the thickness of a wall.
    pub(super) fn beyond(&self, p: Point, (dx, dy): (f64, f64), not: Option<ZoneId>) -> Beyond {
        let at = |d: f64| Point::new(p.x_m + d * dx, p.y_m + d * dy);
        let room = SIDES_M.iter().find_map(|&d| self.room_at(at(d)).filter(|z| Some(*z) != not));
        match room {
            Some(room) => Beyond::Room(room),
            None if self.is_inside(at(SIDES_M[3])) == Some(true) => Beyond::Unmapped,
            None => Beyond::Outside,
        }
    }

    /// Whether a wall or door stands where a room's edge passes `p`, `(nx, ny)` being across the edge.
    fn is_closed(&self, p: Point, (nx, ny): (f64, f64), near_corner: bool) -> bool {
        let end = |d: f64| Point::new(p.x_m + d * nx, p.y_m + d * ny);
        let across = Segment { a: end(-WALL_REACH_M), b: end(WALL_REACH_M) };
        // At a corner the edge goes on behind the face of the other wall.
        let near = near_corner && self.walls.distance(p, 0.25).is_some();
        near || self.walls.meet(across) || self.doors.meet(across)
    }

    fn open_stretches(&self, room: &Zone) -> Vec<Stretch> {
        let sides = || room.area.parts.iter().flat_map(|p| p.segments());
        let round_m: f64 = sides().map(|s| s.a.distance(s.b)).sum();
        let step_m = STEP_M.max(round_m / SAMPLES_MAX as f64);
        let (mut stretches, mut open_m) = (Vec::new(), 0.0);
        for side in sides() {
            let length_m = side.a.distance(side.b);
            if length_m <= 0.0 {
                continue;
            }
            let (ux, uy) = ((side.b.x_m - side.a.x_m) / length_m, (side.b.y_m - side.a.y_m) / length_m);
            let n = (length_m / step_m).ceil().max(1.0);
            let at = |t: f64| Point::new(side.a.x_m + t * length_m * ux, side.a.y_m + t * length_m * uy);
            let mut begun: Option<f64> = None;
            for i in 0..=n as usize {
                // The last place of all only ends what is open.
                let t = (i as f64 + 0.5) / n;
                let from_end = (t.min(1.0 - t) * length_m).max(0.0);
                let open = i < n as usize && !self.is_closed(at(t), (-uy, ux), from_end < 0.4);
                match (open, begun) {
                    (true, None) => begun = Some(i as f64 / n),
                    (false, Some(from)) => {
                        let to = i as f64 / n;
                        let (middle, long) = (at((from + to) / 2.0), (to - from) * length_m);
                        open_m += long;
                        if long >= SLIP_M {
                            // Rings run either way: the room itself says which side is out.
                            let inside = room.area.contains(Point::new(middle.x_m - 0.02 * uy, middle.y_m + 0.02 * ux));
                            let out = if inside { (uy, -ux) } else { (-uy, ux) };
                            let beyond = self.beyond(middle, out, Some(room.id));
                            stretches.push(Stretch { middle, length_m: long, beyond });
                        }
                        begun = None;
                    }
                    _ => {}
                }
            }
        }
        // An area in an open space has no walls of its own: its short stretches are no gaps.
        if open_m > (1.0 - WALLED_SHARE) * round_m {
            stretches.retain(|s| s.length_m > PASSAGE_M);
        }
        stretches
    }

    /// What a room is next to without a door between.
    pub(super) fn passages(&self, room: usize) -> impl Iterator<Item = Beyond> + '_ {
        self.open.get(room).into_iter().flatten().filter(|s| s.length_m > PASSAGE_M).map(|s| s.beyond)
    }
}

/// The middle of an opening and the direction across it; `None` where it has no length.
pub(super) fn across(opening: &Opening) -> Option<(Point, (f64, f64))> {
    let s = opening.segments.first()?;
    let length = s.a.distance(s.b);
    let middle = Point::new((s.a.x_m + s.b.x_m) / 2.0, (s.a.y_m + s.b.y_m) / 2.0);
    (length > 0.0).then(|| (middle, ((s.a.y_m - s.b.y_m) / length, (s.b.x_m - s.a.x_m) / length)))
}

/// A place inside of an area, to point at it: the middle of its box where that is inside, else near a corner.
pub(super) fn inside(zone: &Zone) -> Option<Point> {
    let b = zone.area.aabb()?;
    let middle = Point::new((b.min.x_m + b.max.x_m) / 2.0, (b.min.y_m + b.max.y_m) / 2.0);
    if zone.area.contains(middle) {
        return Some(middle);
    }
    let part = zone.area.parts.first()?;
    let n = part.outer.len();
    // A triangle of three neighbouring corners lies inside for at least two of them (the two ears theorem).
    let ears = (0..n).map(|i| [part.outer[i], part.outer[(i + 1) % n], part.outer[(i + 2) % n]]);
    let middles = ears
        .map(|t| Point::new(t.iter().map(|p| p.x_m).sum::<f64>() / 3.0, t.iter().map(|p| p.y_m).sum::<f64>() / 3.0));
    middles.into_iter().find(|&p| zone.area.contains(p)).or(part.outer.first().copied())
}
