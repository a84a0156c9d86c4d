//! The whole building as people walk it: the levels' grids, the stairs and lifts between them, and places to stand.

use super::grid::{Grid, blocking_walls};
use super::path::PathFinder;
use super::rng::Rng;
use osmose_model::geometry::{Aabb, Point, Segment};
use osmose_model::ids::{LevelId, ZoneId};
use osmose_model::site::{Site, Zone};

/// How much of a level's height one climbs in a second, m/s (about 0.5 m/s along a stair of 30 degrees and more).
const CLIMB_MPS: f64 = 0.45;
/// The least time that stairs or a lift take, seconds.
const CLIMB_S_MIN: f64 = 4.0;
/// How far round the middle of stairs people stand on them, metres, and how many side by side.
const LANDING_M: f64 = 1.5;
const LANES: usize = 8;
/// How far from a point somebody is put where nobody can stand on it, metres.
const SNAP_M: f64 = 2.0;
/// How far apart people stand who are not together by need, metres.
const APART_M: f64 = 0.7;
/// How often a free place is looked for by chance before the freest so far is taken.
const TRIES: usize = 24;

/// Stairs or a lift between two levels, usable both ways.
#[derive(Clone, Debug, PartialEq)]
struct Link {
    ends: [Landing; 2],
    climb_s: f64,
}

/// Where one steps onto stairs or out of a lift.
#[derive(Clone, Debug, PartialEq)]
struct Landing {
    level: LevelId,
    /// Places side by side, so that several people can be on their way at once; at least one.
    places: Vec<Point>,
}

impl Landing {
    /// The place of the `lane`-th person.
    fn place(&self, lane: usize) -> (LevelId, Point) {
        (self.level, self.places[lane % self.places.len()])
    }
}

/// One stretch of a way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Leg {
    /// On foot, on the level where one is.
    Walk(Point),
    /// By stairs or lift, to a point of another level.
    Climb { to: (LevelId, Point), seconds: f64 },
}

/// Calls back with every place of a level that is taken by somebody.
pub(super) type Taken<'a> = &'a dyn Fn(LevelId, &mut dyn FnMut(Point));

/// The building as people walk it.
#[derive(Clone, Debug)]
pub(super) struct Nav {
    grids: Vec<Grid>,
    links: Vec<Link>,
    /// Walls that stop a hand, and walls that stop a look; by level.
    walls: Vec<Vec<Segment>>,
    opaque: Vec<Vec<Segment>>,
    finder: PathFinder,
}

impl Nav {
    /// Reads a site; what had to be assumed is added to `notes` as sentences.
    pub(super) fn build(site: &Site, notes: &mut Vec<String>) -> Self {
        let levels = || site.levels.iter().map(|l| l.id);
        let grids: Vec<Grid> = levels().map(|l| Grid::build(site, l, notes)).collect();
        let walls = levels().map(|l| blocking_walls(site, l, &mut Vec::new())).collect();
        let opaque = levels().map(|l| opaque_walls(site, l)).collect();
        let mut nav = Self { grids, links: Vec::new(), walls, opaque, finder: PathFinder::default() };
        nav.links = links(site, &nav);
        nav
    }

    pub(super) fn grid(&self, level: LevelId) -> &Grid {
        &self.grids[level.index()]
    }

    /// Whether a straight line meets no wall at all.
    pub(super) fn is_in_reach(&self, level: LevelId, from: Point, to: Point) -> bool {
        is_clear(&self.walls[level.index()], from, to)
    }

    /// The walls that one cannot see through, of a level.
    pub(super) fn opaque(&self, level: LevelId) -> &[Segment] {
        &self.opaque[level.index()]
    }

    /// Up to `n` places where people can stand, anywhere.
    pub(super) fn anywhere(&self, n: usize, rng: &mut Rng) -> Vec<(LevelId, Point)> {
        let cells: usize = self.grids.iter().map(Grid::len).sum();
        // Not every cell is floor; some plans have next to none.
        let tries = (0..n * 50).map_while(|_| (cells > 0).then(|| rng.below(cells)));
        let places = tries.filter_map(|nth| {
            let mut cell = nth;
            for (level, grid) in self.grids.iter().enumerate() {
                if cell < grid.len() {
                    return (grid.weight(cell) > 0).then(|| (LevelId(level as u16), grid.middle(cell)));
                }
                cell -= grid.len();
            }
            None
        });
        places.take(n).collect()
    }

    fn floor_at(&self, level: LevelId, p: Point) -> u32 {
        let grid = self.grid(level);
        grid.cell_at(p).map_or(0, |c| grid.floor(c))
    }

    /// The nearest place to a point where somebody can stand.
    pub(super) fn snap(&self, level: LevelId, p: Point) -> Option<Point> {
        let grid = self.grid(level);
        if grid.is_walkable(p) {
            return Some(p);
        }
        grid.nearest(p, SNAP_M, |_| true).map(|c| grid.middle(c))
    }

    /// The corners of the way on one level; empty where there is none.
    pub(super) fn walk(&mut self, level: LevelId, from: Point, to: Point, way: &mut Vec<Point>) {
        self.finder.find(&self.grids[level.index()], from, to, way);
    }

    /// The stretches of the shortest way between two places, by straight lines between stairs; `None` where none is.
    /// People of different lanes stand apart on the stairs.
    pub(super) fn route(&self, from: (LevelId, Point), to: (LevelId, Point), lane: usize) -> Option<Vec<Leg>> {
        let joined = |a: (LevelId, Point), b: (LevelId, Point)| {
            a.0 == b.0 && self.floor_at(a.0, a.1) != 0 && self.floor_at(a.0, a.1) == self.floor_at(b.0, b.1)
        };
        if joined(from, to) {
            return Some(vec![Leg::Walk(to.1)]);
        }
        // Dijkstra over the ends of links that one leaves by; the least cost, then the lowest number, goes first.
        let n = self.links.len() * 2;
        let enter = |i: usize| self.links[i / 2].ends[i % 2].place(lane);
        let exit = |i: usize| self.links[i / 2].ends[1 - i % 2].place(lane);
        let mut best: Vec<(f64, Option<usize>)> = vec![(f64::INFINITY, None); n];
        let mut done = vec![false; n];
        let extra_m = |i: usize| self.links[i / 2].climb_s * 1.2;
        for (i, first) in best.iter_mut().enumerate() {
            if joined(from, enter(i)) {
                first.0 = from.1.distance(enter(i).1) + extra_m(i);
            }
        }
        while let Some(i) =
            (0..n).filter(|&i| !done[i] && best[i].0.is_finite()).min_by(|&a, &b| best[a].0.total_cmp(&best[b].0))
        {
            done[i] = true;
            for j in (0..n).filter(|&j| j / 2 != i / 2) {
                if joined(exit(i), enter(j)) {
                    let cost = best[i].0 + exit(i).1.distance(enter(j).1) + extra_m(j);
                    if cost < best[j].0 {
                        best[j] = (cost, Some(i));
                    }
                }
            }
        }
        let arrive = |i: usize| best[i].0 + exit(i).1.distance(to.1);
        let last = (0..n)
            .filter(|&i| joined(exit(i), to) && best[i].0.is_finite())
            .min_by(|&a, &b| arrive(a).total_cmp(&arrive(b)))?;
        let mut taken = vec![last];
        while let Some(before) = best[*taken.last()?].1 {
            taken.push(before);
        }
        let mut legs = Vec::with_capacity(taken.len() * 2 + 1);
        for &i in taken.iter().rev() {
            legs.push(Leg::Walk(enter(i).1));
            legs.push(Leg::Climb { to: exit(i), seconds: self.links[i / 2].climb_s });
        }
        legs.push(Leg::Walk(to.1));
        Some(legs)
    }

    /// Somewhere to stand in a zone that `from` has a way to, away from places `taken` on the zone's level; where it is
    /// full, the freest place found that is at least `least_m` from all others. `None` where there is none.
    pub(super) fn place_in(
        &self,
        site: &Site,
        zone: ZoneId,
        from: Option<(LevelId, Point)>,
        taken: Taken<'_>,
        least_m: f64,
        rng: &mut Rng,
    ) -> Option<(LevelId, Point)> {
        let level = site.zones[zone.index()].level;
        let grid = self.grid(level);
        let spots = grid.zones.spots(zone)?;
        let sits = !spots.seats.is_empty() && rng.chance(0.8);
        let cells = if sits { &spots.seats } else { &spots.any };
        let mut freest: Option<(f64, Point)> = None;
        let mut floors_bad = Vec::new();
        for attempt in 0..TRIES {
            // Half way through, sitting or not no longer matters.
            let cells = if attempt * 2 >= TRIES { &spots.any } else { cells };
            if cells.is_empty() {
                return None;
            }
            let cell = cells[rng.below(cells.len())] as usize;
            let (floor, at) = (grid.floor(cell), grid.middle(cell));
            if floors_bad.contains(&floor) {
                continue;
            }
            if from.is_some_and(|f| self.route(f, (level, at), 0).is_none()) {
                floors_bad.push(floor);
                continue;
            }
            let mut free_m = f64::INFINITY;
            taken(level, &mut |p| free_m = free_m.min(p.distance(at)));
            if free_m >= APART_M {
                return Some((level, at));
            }
            if freest.is_none_or(|(m, _)| free_m > m) {
                freest = Some((free_m, at));
            }
        }
        freest.filter(|&(free_m, _)| free_m >= least_m).map(|(_, at)| (level, at))
    }

    /// Where to stand to reach something on a wall: within 0.8 m of it, nothing between, and nobody there; in a place
    /// that is `meant` for it rather than through a door beside it.
    pub(super) fn place_at(
        &self,
        level: LevelId,
        thing: Point,
        from: Point,
        taken: Taken<'_>,
        meant: &dyn Fn(Point) -> bool,
    ) -> Option<Point> {
        let grid = self.grid(level);
        let floor = self.floor_at(level, from);
        let reach = |c: usize| grid.floor(c) == floor && self.is_in_reach(level, grid.middle(c), thing);
        let free = |c: usize| {
            let mut free_m = f64::INFINITY;
            taken(level, &mut |p| free_m = free_m.min(p.distance(grid.middle(c))));
            free_m >= APART_M
        };
        let before_it = |c: usize| reach(c) && meant(grid.middle(c));
        let cell = grid
            .nearest(thing, 0.8, |c| before_it(c) && free(c))
            .or_else(|| grid.nearest(thing, 0.8, before_it))
            .or_else(|| grid.nearest(thing, 0.8, reach))?;
        Some(grid.middle(cell))
    }

    /// The points before and behind an opening, `away_m` from its middle: the side of no zone comes first.
    pub(super) fn sides(&self, site: &Site, opening: usize, away_m: f64) -> Option<(LevelId, Point, Point)> {
        let opening = &site.openings[opening];
        let door = opening.segments.iter().max_by(|a, b| a.a.distance(a.b).total_cmp(&b.a.distance(b.b)))?;
        let length = door.a.distance(door.b);
        if length <= 0.0 {
            return None;
        }
        let middle = Point::new((door.a.x_m + door.b.x_m) / 2.0, (door.a.y_m + door.b.y_m) / 2.0);
        let (nx, ny) = ((door.a.y_m - door.b.y_m) / length, (door.b.x_m - door.a.x_m) / length);
        let side = |d: f64| Point::new(middle.x_m + d * nx, middle.y_m + d * ny);
        let level = opening.level;
        let is_room = |p: Point| site.zones.iter().any(|z| z.level == level && z.is_part() && z.area.contains(p));
        let (a, b) = (side(away_m), side(-away_m));
        let (out, inside) = if is_room(a) && !is_room(b) { (b, a) } else { (a, b) };
        Some((level, self.snap(level, out)?, self.snap(level, inside)?))
    }
}

/// Whether the straight line from one point to another meets none of the walls.
pub(super) fn is_clear(walls: &[Segment], from: Point, to: Point) -> bool {
    let line = Segment { a: from, b: to };
    let (min_x, max_x) = (from.x_m.min(to.x_m), from.x_m.max(to.x_m));
    let (min_y, max_y) = (from.y_m.min(to.y_m), from.y_m.max(to.y_m));
    !walls.iter().any(|w| {
        let apart = w.a.x_m.max(w.b.x_m) < min_x
            || w.a.x_m.min(w.b.x_m) > max_x
            || w.a.y_m.max(w.b.y_m) < min_y
            || w.a.y_m.min(w.b.y_m) > max_y;
        !apart && line.crosses(*w)
    })
}

fn opaque_walls(site: &Site, level: LevelId) -> Vec<Segment> {
    // The doors are cut out of the same way as for walking: an open door can be looked through.
    let all = blocking_walls(site, level, &mut Vec::new());
    let clear: Vec<Segment> =
        site.walls.iter().filter(|w| w.level == level && w.transparent).flat_map(|w| w.segments.clone()).collect();
    let lies_on =
        |s: &Segment, w: &Segment| w.nearest(s.a).distance2(s.a) < 1e-12 && w.nearest(s.b).distance2(s.b) < 1e-12;
    all.into_iter().filter(|s| !clear.iter().any(|w| lies_on(s, w))).collect()
}

/// The stairs and lifts of a site: each pair of neighbouring levels that a zone connects, once.
fn links(site: &Site, nav: &Nav) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for zone in site.zones.iter().filter(|z| !z.connects.is_empty()) {
        let mut levels = zone.connects.clone();
        levels.push(zone.level);
        levels.sort_unstable();
        levels.dedup();
        let here = levels.iter().position(|&l| l == zone.level).unwrap_or_default();
        // Each zone looks up; a zone with nobody above that answers looks down too.
        let around = [levels.get(here + 1), here.checked_sub(1).and_then(|i| levels.get(i))];
        let Some(middle) = zone.area.aabb().map(centre) else { continue };
        for &other in around.into_iter().flatten() {
            let partners = site.zones.iter().filter(|z| z.level == other && z.connects.contains(&zone.level));
            let near = partners.filter_map(|z| z.area.aabb().map(|b| (centre(b).distance(middle), z)));
            let partner = near.min_by(|a, b| a.0.total_cmp(&b.0)).filter(|&(d, _)| d <= 12.0).map(|(_, z)| z);
            if partner.is_some() && other < zone.level {
                continue; // made from below
            }
            let there = partner.and_then(|z| z.area.aabb()).map_or(middle, centre);
            let ends = (landing(nav, zone.level, middle, Some(zone)), landing(nav, other, there, partner));
            let (Some(a), Some(b)) = ends else { continue };
            let rise_m = (site.levels[other.index()].elevation_m - site.levels[zone.level.index()].elevation_m).abs();
            let climb_s = (rise_m / CLIMB_MPS).max(CLIMB_S_MIN);
            links.push(Link { ends: [a, b], climb_s });
        }
    }
    links
}

fn centre(b: Aabb) -> Point {
    Point::new((b.min.x_m + b.max.x_m) / 2.0, (b.min.y_m + b.max.y_m) / 2.0)
}

/// The walkable cell nearest to a point, and others of the zone round it, apart enough to stand on.
fn landing(nav: &Nav, level: LevelId, p: Point, zone: Option<&Zone>) -> Option<Landing> {
    let grid = nav.grid(level);
    let first = grid.nearest(p, 4.0, |_| true)?;
    let mut places = vec![grid.middle(first)];
    let around = Aabb { min: places[0], max: places[0] }.grown(LANDING_M);
    for cell in grid.cells_in(around) {
        let at = grid.middle(cell);
        let is_joined = grid.floor(cell) == grid.floor(first) && zone.is_none_or(|z| z.area.depth(at) > 0.2);
        if is_joined && places.len() < LANES && places.iter().all(|q| q.distance(at) >= APART_M) {
            places.push(at);
        }
    }
    Some(Landing { level, places })
}
