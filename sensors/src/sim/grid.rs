//! Where people can stand: one grid of square cells per level, made once from zones, walls, fixtures and doors.
//!
//! A cell is walkable where its middle is on the floor and at least [`body`] from every wall and fixture. A point of
//! such a cell is then never nearer to a wall than `body - cell / sqrt 2` > 0.1 m, and a step is shorter than that: so
//! somebody who only ever stands in walkable cells cannot pass a wall, and moving needs one look-up, no geometry.

use super::marks::{Marks, ZoneMarks};
use osmose_model::geometry::{Aabb, Point, Polygon, Segment};
use osmose_model::ids::LevelId;
use osmose_model::site::Site;

/// The edge of a cell, metres, where the level is not too large for it.
pub(super) const CELL_M: f64 = 0.2;
/// Most cells of a level; a larger level gets larger cells, and a note.
const CELLS_MAX: f64 = 4.0e6;
/// How far the ground outside a door reaches, metres: room to appear and to vanish.
const OUTSIDE_M: f64 = 1.2;
/// How far to either side of a door the floor is walkable though no zone may cover it (the thickness of the wall).
const THRESHOLD_M: f64 = 0.35;
/// How near a door's line a wall is taken to be the wall that it is in, metres.
const IN_WALL_M: f64 = 0.35;
/// From here on more room makes a way no better, metres.
const ROOMY_M: f64 = 0.65;
/// Zones that nobody walks in.
const CLOSED: [&str; 4] = ["inaccessible_space", "opentobelow", "structure", "column"];
/// Fixtures that one walks over or under.
const FLAT: [&str; 4] = ["rug", "carpet", "sign", "signage"];
/// What a way through a restricted zone costs, for each tenth of a cell's edge, on top: nobody cuts through behind a
/// counter, and who works there gets there.
const RESTRICTED: u8 = 200;
/// Fixtures that nobody goes to.
const NO_SEAT: [&str; 3] = ["obstruction", "vegetation", "wall"];

/// The distance that the middle of a walkable cell keeps from walls, metres.
fn body(cell_m: f64) -> f64 {
    (cell_m * std::f64::consts::FRAC_1_SQRT_2 + 0.1).max(0.25)
}

/// What walking through a cell costs, for each tenth of its edge: people keep some distance from walls.
fn weight(clear_m: f64) -> u8 {
    match clear_m {
        c if c >= ROOMY_M => 10,
        c if c >= 0.45 => 12,
        c if c >= 0.35 => 15,
        _ => 20,
    }
}

/// Whose way is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goer {
    /// Goes round places that are not for everybody.
    Anybody,
    /// Goes from one such place to another: it is theirs.
    Staff,
}

/// A level's grid.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    min: Point,
    cell_m: f64,
    nx: usize,
    ny: usize,
    /// Cost of a cell, 0 where nobody can stand.
    weights: Vec<u8>,
    /// Which connected floor a cell belongs to, from 1; 0 where nobody can stand.
    floors: Vec<u32>,
    /// Zones by cell.
    pub(super) zones: ZoneMarks,
}

impl Grid {
    /// The grid of a level; what had to be assumed is added to `notes` as sentences.
    pub(super) fn build(site: &Site, level: LevelId, notes: &mut Vec<String>) -> Self {
        let Some(bounds) = bounds(site, level) else {
            notes.push(format!(
                "Level `{}` has no zone, outline or wall: nobody walks there.",
                site.levels[level.index()].name
            ));
            return Self::empty();
        };
        let (width, height) = (bounds.max.x_m - bounds.min.x_m, bounds.max.y_m - bounds.min.y_m);
        let cell_m = CELL_M.max((width * height / CELLS_MAX).sqrt());
        if cell_m > CELL_M {
            let name = &site.levels[level.index()].name;
            notes.push(format!("Level `{name}` is {width:.0} x {height:.0} m: its cells are {cell_m:.2} m wide, so narrow doors may be closed to people."));
        }
        let (nx, ny) = ((width / cell_m).ceil() as usize, (height / cell_m).ceil() as usize);
        let mut grid = Self {
            min: bounds.min,
            cell_m,
            nx,
            ny,
            weights: vec![0; nx * ny],
            floors: vec![0; nx * ny],
            zones: ZoneMarks::default(),
        };
        let ground = grid.ground(site, level);
        let walls = blocking_walls(site, level, notes);
        let (clear, seat) = grid.clearances(site, level, &walls);
        for (cell, clear_m) in clear.into_iter().map(f64::from).enumerate() {
            if ground.has(cell) && clear_m >= body(cell_m) {
                grid.weights[cell] = weight(clear_m);
            }
        }
        let restricted = grid.restricted(site, level);
        for (_, weight) in grid.weights.iter_mut().enumerate().filter(|(c, w)| restricted.has(*c) && **w > 0) {
            *weight += RESTRICTED;
        }
        grid.number_floors();
        grid.zones = ZoneMarks::build(site, level, &grid, &seat, &restricted);
        grid
    }

    fn empty() -> Self {
        let (weights, floors) = (Vec::new(), Vec::new());
        Self { min: Point::default(), cell_m: CELL_M, nx: 0, ny: 0, weights, floors, zones: ZoneMarks::default() }
    }

    /// How many cells there are.
    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }
    /// The box that it covers, without the ground outside.
    pub(super) fn bounds(&self) -> Aabb {
        let far = |min: f64, n: usize| min + n as f64 * self.cell_m;
        let max = Point::new(far(self.min.x_m, self.nx), far(self.min.y_m, self.ny));
        Aabb { min: self.min, max }.grown(-(OUTSIDE_M + CELL_M))
    }
    /// Cells in a row.
    pub(super) fn row(&self) -> usize {
        self.nx
    }
    /// Edge of a cell, metres.
    pub(super) fn cell_m(&self) -> f64 {
        self.cell_m
    }
    /// What a cell costs those who go a way, 0 where nobody can stand.
    pub(super) fn weight_for(&self, cell: usize, who: Goer) -> u8 {
        match who {
            Goer::Staff if self.is_restricted(cell) => self.weights[cell] - RESTRICTED,
            _ => self.weights[cell],
        }
    }

    /// Whether only some may be here: it costs so much that others go round.
    pub(super) fn is_restricted(&self, cell: usize) -> bool {
        self.weights[cell] > RESTRICTED
    }

    /// What a cell costs anybody, 0 where nobody can stand.
    pub(super) fn weight(&self, cell: usize) -> u8 {
        self.weights[cell]
    }
    /// The connected floor that a cell belongs to; 0 where nobody can stand.
    pub(super) fn floor(&self, cell: usize) -> u32 {
        self.floors[cell]
    }
    /// The cell at a point.
    pub(super) fn cell_at(&self, p: Point) -> Option<usize> {
        let (ix, iy) = (((p.x_m - self.min.x_m) / self.cell_m).floor(), ((p.y_m - self.min.y_m) / self.cell_m).floor());
        let within = ix >= 0.0 && iy >= 0.0 && ix < self.nx as f64 && iy < self.ny as f64;
        within.then(|| iy as usize * self.nx + ix as usize)
    }
    /// Whether somebody can stand at a point.
    pub(super) fn is_walkable(&self, p: Point) -> bool {
        self.cell_at(p).is_some_and(|c| self.weights[c] > 0)
    }
    /// The middle of a cell.
    pub(super) fn middle(&self, cell: usize) -> Point {
        let (ix, iy) = (cell % self.nx, cell / self.nx);
        let at = |min: f64, i: usize| min + (i as f64 + 0.5) * self.cell_m;
        Point::new(at(self.min.x_m, ix), at(self.min.y_m, iy))
    }
    /// A point in cells from the grid's corner.
    pub(super) fn in_cells(&self, p: Point) -> (f64, f64) {
        ((p.x_m - self.min.x_m) / self.cell_m, (p.y_m - self.min.y_m) / self.cell_m)
    }
    /// The cells whose middle lies in a box, row by row.
    pub(super) fn cells_in(&self, b: Aabb) -> impl Iterator<Item = usize> + use<> {
        let clip = |v: f64, min: f64, n: usize| (((v - min) / self.cell_m - 0.5).clamp(-1.0, n as f64), n);
        let first = |(v, _): (f64, usize)| v.ceil().max(0.0) as usize;
        let end = |(v, n): (f64, usize)| if v < 0.0 { 0 } else { (v.floor() as usize + 1).min(n) };
        let (x0, x1) = (first(clip(b.min.x_m, self.min.x_m, self.nx)), end(clip(b.max.x_m, self.min.x_m, self.nx)));
        let (y0, y1) = (first(clip(b.min.y_m, self.min.y_m, self.ny)), end(clip(b.max.y_m, self.min.y_m, self.ny)));
        let nx = self.nx;
        (y0..y1).flat_map(move |iy| (x0..x1).map(move |ix| iy * nx + ix))
    }
    /// The walkable cell nearest to a point within `reach_m` for which `wanted` holds; the lowest where several are.
    pub(super) fn nearest(&self, p: Point, reach_m: f64, wanted: impl Fn(usize) -> bool) -> Option<usize> {
        let around = Aabb { min: p, max: p }.grown(reach_m);
        let cells = self.cells_in(around).filter(|&c| self.weights[c] > 0 && wanted(c));
        let near = cells.map(|c| (self.middle(c).distance2(p), c)).filter(|&(d2, _)| d2 <= reach_m * reach_m);
        near.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, c)| c)
    }

    /// The floor: the level's outline, else its zones; doorsteps too, and not what is closed.
    fn ground(&self, site: &Site, level: LevelId) -> Marks {
        let mut ground = Marks::new(self.len());
        let outline = &site.levels[level.index()].outline;
        let zones = || site.zones.iter().filter(|z| z.level == level && z.is_part());
        if outline.parts.is_empty() {
            zones().flat_map(|z| &z.area.parts).for_each(|p| self.fill(p, |c| ground.set(c)));
        } else {
            outline.parts.iter().for_each(|p| self.fill(p, |c| ground.set(c)));
        }
        if zones().next().is_none() && outline.parts.is_empty() {
            (0..self.len()).for_each(|c| ground.set(c));
        }
        for opening in site.openings.iter().filter(|o| o.level == level) {
            let reach_m = if opening.joins.contains(&None) { OUTSIDE_M } else { THRESHOLD_M };
            for &s in &opening.segments {
                self.each_near(s, reach_m, |c, _| ground.set(c));
            }
        }
        for zone in zones().filter(|z| CLOSED.contains(&z.category.as_str())) {
            zone.area.parts.iter().for_each(|p| self.fill(p, |c| ground.clear(c)));
        }
        ground
    }

    /// The cells of zones that only some may be in.
    fn restricted(&self, site: &Site, level: LevelId) -> Marks {
        let mut marks = Marks::new(self.len());
        let zones = site.zones.iter().filter(|z| z.level == level && z.is_restricted());
        zones.flat_map(|z| &z.area.parts).for_each(|p| self.fill(p, |c| marks.set(c)));
        marks
    }

    /// For every cell: metres to the nearest wall or fixture (no more than [`ROOMY_M`]), and whether it is beside a
    /// fixture that one sits or stands at.
    fn clearances(&self, site: &Site, level: LevelId, walls: &[Segment]) -> (Vec<f32>, Marks) {
        let mut clear = vec![ROOMY_M as f32; self.len()];
        let mut seat = Marks::new(self.len());
        for &s in walls {
            self.each_near(s, ROOMY_M, |c, d| clear[c] = clear[c].min(d as f32));
        }
        for fixture in site.fixtures.iter().filter(|f| f.level == level && !FLAT.contains(&f.category.as_str())) {
            let is_seat = !NO_SEAT.contains(&fixture.category.as_str());
            let n = fixture.outline.len();
            let sides = if n > 2 { n } else { n.saturating_sub(1) };
            for i in 0..sides {
                let s = Segment { a: fixture.outline[i], b: fixture.outline[(i + 1) % n] };
                self.each_near(s, ROOMY_M, |c, d| {
                    clear[c] = clear[c].min(d as f32);
                    if is_seat && d <= body(self.cell_m) + self.cell_m {
                        seat.set(c);
                    }
                });
            }
            if n > 2 {
                self.fill(&Polygon::simple(fixture.outline.clone()), |c| clear[c] = 0.0);
            }
        }
        (clear, seat)
    }

    fn fill(&self, polygon: &Polygon, mut mark: impl FnMut(usize)) {
        let Some(around) = polygon.aabb() else { return };
        self.cells_in(around).filter(|&c| polygon.contains(self.middle(c))).for_each(&mut mark);
    }

    fn each_near(&self, s: Segment, reach_m: f64, mut mark: impl FnMut(usize, f64)) {
        let Some(around) = Aabb::around([s.a, s.b]) else { return };
        for cell in self.cells_in(around.grown(reach_m)) {
            let p = self.middle(cell);
            let d = s.nearest(p).distance(p);
            if d <= reach_m {
                mark(cell, d);
            }
        }
    }

    /// Numbers the connected floors in the order of their lowest cells.
    fn number_floors(&mut self) {
        let (mut open, mut last, mut floors) = (Vec::new(), 0, vec![0; self.len()]);
        for first in 0..self.len() {
            if self.weights[first] == 0 || floors[first] != 0 {
                continue;
            }
            last += 1;
            floors[first] = last;
            open.push(first);
            while let Some(cell) = open.pop() {
                for (next, _) in self.neighbours(cell) {
                    if floors[next] == 0 {
                        floors[next] = last;
                        open.push(next);
                    }
                }
            }
        }
        self.floors = floors;
    }

    /// The walkable cells that one can step to, and whether the step is a slanting one; no corner is cut.
    pub(super) fn neighbours(&self, cell: usize) -> impl Iterator<Item = (usize, bool)> + '_ {
        const STEPS: [(i64, i64); 8] = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1)];
        let (ix, iy) = ((cell % self.nx) as i64, (cell / self.nx) as i64);
        let at = move |dx: i64, dy: i64| {
            let (x, y) = (ix + dx, iy + dy);
            let within = x >= 0 && y >= 0 && x < self.nx as i64 && y < self.ny as i64;
            within.then(|| y as usize * self.nx + x as usize).filter(|&c| self.weights[c] > 0)
        };
        STEPS.into_iter().filter_map(move |(dx, dy)| {
            let slanting = dx != 0 && dy != 0;
            let clear = !slanting || (at(dx, 0).is_some() && at(0, dy).is_some());
            at(dx, dy).filter(|_| clear).map(|c| (c, slanting))
        })
    }
}

/// The box that a level's grid has to cover.
fn bounds(site: &Site, level: LevelId) -> Option<Aabb> {
    let outline = site.levels[level.index()].outline.parts.iter().flat_map(|p| p.outer.iter().copied());
    let zones = site.zones.iter().filter(|z| z.level == level).flat_map(|z| &z.area.parts);
    let walls = site.walls.iter().filter(|w| w.level == level).flat_map(|w| &w.segments).flat_map(|s| [s.a, s.b]);
    let around = Aabb::around(outline.chain(zones.flat_map(|p| p.outer.iter().copied())).chain(walls))?;
    Some(around.grown(OUTSIDE_M + CELL_M))
}

/// The walls that stop people: those of the plan without the doors in them. Where a level has no door at all, people
/// pass where a wall parts two zones, for else they could go nowhere.
pub(super) fn blocking_walls(site: &Site, level: LevelId, notes: &mut Vec<String>) -> Vec<Segment> {
    let walls: Vec<Segment> =
        site.walls.iter().filter(|w| w.level == level).flat_map(|w| w.segments.iter().copied()).collect();
    let doors: Vec<Segment> =
        site.openings.iter().filter(|o| o.level == level).flat_map(|o| o.segments.iter().copied()).collect();
    if !doors.is_empty() {
        return walls.into_iter().flat_map(|w| cut(w, &doors)).collect();
    }
    let before = walls.len();
    let kept: Vec<Segment> = walls.into_iter().filter(|&w| !parts_zones(site, level, w)).collect();
    if site.zones.iter().filter(|z| z.level == level && z.is_part()).count() > 1 {
        notes.push(format!(
            "Level `{}` has no doors: people pass from zone to zone where they touch, through {} of its {before} walls.",
            site.levels[level.index()].name,
            before - kept.len()
        ));
    }
    kept
}

/// What is left of a wall beside the doors in it.
fn cut(wall: Segment, doors: &[Segment]) -> Vec<Segment> {
    let (dx, dy) = (wall.b.x_m - wall.a.x_m, wall.b.y_m - wall.a.y_m);
    let length2 = dx * dx + dy * dy;
    if length2 <= 0.0 {
        return vec![wall];
    }
    let along = |p: Point| ((p.x_m - wall.a.x_m) * dx + (p.y_m - wall.a.y_m) * dy) / length2;
    let aside_m = |p: Point| (((p.x_m - wall.a.x_m) * dy - (p.y_m - wall.a.y_m) * dx) / length2.sqrt()).abs();
    let mut gaps: Vec<(f64, f64)> = doors
        .iter()
        .filter(|d| aside_m(d.a) <= IN_WALL_M && aside_m(d.b) <= IN_WALL_M)
        .map(|d| (along(d.a).min(along(d.b)), along(d.a).max(along(d.b))))
        .filter(|&(from, to)| to > 0.0 && from < 1.0 && to > from)
        .collect();
    gaps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let at = |t: f64| Point::new(wall.a.x_m + t * dx, wall.a.y_m + t * dy);
    let (mut left, mut from) = (Vec::new(), 0.0);
    for (start, end) in gaps {
        if start > from {
            left.push(Segment { a: at(from), b: at(start) });
        }
        from = f64::max(from, end);
    }
    if from < 1.0 {
        left.push(Segment { a: at(from), b: wall.b });
    }
    left
}

/// Whether a wall has different zones on its two sides.
fn parts_zones(site: &Site, level: LevelId, wall: Segment) -> bool {
    let length = wall.a.distance(wall.b);
    if length <= 0.0 {
        return false;
    }
    let middle = Point::new((wall.a.x_m + wall.b.x_m) / 2.0, (wall.a.y_m + wall.b.y_m) / 2.0);
    let (nx, ny) = ((wall.a.y_m - wall.b.y_m) / length, (wall.b.x_m - wall.a.x_m) / length);
    let side = |d: f64| {
        let p = Point::new(middle.x_m + d * nx, middle.y_m + d * ny);
        site.zones.iter().find(|z| z.level == level && z.is_part() && z.area.contains(p)).map(|z| z.id)
    };
    match (side(IN_WALL_M), side(-IN_WALL_M)) {
        (Some(a), Some(b)) => a != b,
        // The wall of a room on a floor whose corridors are no zones: inside of the level on both sides.
        (Some(_), None) | (None, Some(_)) => {
            let outline = &site.levels[level.index()].outline;
            let beyond = |d: f64| outline.contains(Point::new(middle.x_m + d * nx, middle.y_m + d * ny));
            beyond(IN_WALL_M) && beyond(-IN_WALL_M)
        }
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(ax: f64, ay: f64, bx: f64, by: f64) -> Segment {
        Segment { a: Point::new(ax, ay), b: Point::new(bx, by) }
    }

    #[test]
    fn a_wall_ends_at_its_doors() {
        let wall = segment(0.0, 0.0, 10.0, 0.0);
        let left = cut(wall, &[segment(4.0, 0.1, 5.0, 0.1), segment(9.0, 0.0, 11.0, 0.0), segment(2.0, 3.0, 3.0, 3.0)]);
        assert_eq!(left, [segment(0.0, 0.0, 4.0, 0.0), segment(5.0, 0.0, 9.0, 0.0)]);
        assert_eq!(cut(wall, &[]), [wall]);
    }

    #[test]
    fn a_walkable_cell_is_nowhere_near_a_wall() {
        for cell_m in [0.2, 0.35, 0.5] {
            assert!(body(cell_m) - cell_m * std::f64::consts::FRAC_1_SQRT_2 >= 0.1 - 1e-12, "cells of {cell_m} m");
        }
    }
}
