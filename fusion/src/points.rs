//! Radar clouds to scans: points that lie close are one body, what stands still for minutes is furniture.
//!
//! Density clustering (DBSCAN: Ester, Kriegel, Sander and Xu 1996) on a grid, as Gunawan 2013 does it in the plane: points
//! fall into cells of [`CELL_M`], a cell whose neighbourhood weighs enough is a core, cores within [`JOIN_M`] are one
//! cluster, and what lies round a core belongs to it. The order in which a cloud lists its points means nothing, memory
//! is fixed, and the work grows with the number of points and not its square. Two bodies whose clusters touch are one
//! detection: the tracker, which expects both, tells them apart again when they part.
//!
//! A cluster is a detection at the weighted mean of its points. Its standard deviation is measured: the spread of the
//! points over the root of their number, and what a body's reflecting side is off its middle ([`BODY_SIGMA_M`]).
//!
//! Points that do not move (by their Doppler) feed a map of what stands still; a cell that had such points in most scans
//! of the last minutes is furniture and no longer counts, until something moves there. Radars without Doppler learn nothing.

use crate::in_place::{Stamped, clone_in_place};
use osmose_model::device::{Sensor, SensorKind};
use osmose_model::geometry::{Aabb, Point};
use osmose_model::ids::SensorId;
use osmose_model::limits::SCAN_ITEMS_MAX;
use osmose_model::observation::CloudPoint;
use osmose_model::site::Site;
use osmose_model::time::LogicalNs;
use serde::{Deserialize, Serialize};

/// Side of a clustering cell, metres.
const CELL_M: f64 = 0.2;
/// Cores at most so many cells apart are one cluster: 0.6 m, within an arm's length.
const JOIN_CELLS: i32 = 2;
/// A core's neighbourhood (its cell and the eight round it) holds at least that weight.
const CORE_WEIGHT: f64 = 2.5;
/// A cluster weighs at least as much.
const CLUSTER_WEIGHT: f64 = 3.0;
/// Weight of a point that does not move: a body's moving parts are the surer sign.
const STILL_WEIGHT: f64 = 0.6;
/// Below this radial speed a point does not move, m/s.
const STILL_MPS: f64 = 0.05;
/// What a detection is off the middle of a body even with many points, metres.
const BODY_SIGMA_M: f64 = 0.12;
/// Time over which the map of what stands still is averaged, seconds.
const STILL_MEMORY_S: f64 = 180.0;
/// From this share of scans on a cell is furniture; below the least it is nothing.
const FURNITURE_SHARE: f32 = 0.6;
const SHARE_MIN: f32 = 1e-4;
/// Most cells of one sensor's map, and their side where that allows it, metres.
const MAP_CELLS_MAX: usize = 8192;
const MAP_CELL_M: f64 = 0.2;

/// A body in a cloud.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Body {
    pub(crate) at: Point,
    pub(crate) sigma_m: f64,
}

/// What stands still in a sensor's view.
#[derive(Debug)]
struct Map {
    origin: Point,
    per_m: f64,
    size: [usize; 2],
    /// Share of the last scans in which the cell had points that stand still.
    share: Vec<f32>,
    /// The number of the cloud that last taught a cell: each counts once a cloud.
    taught: Vec<u32>,
    clouds: u32,
    at: Option<LogicalNs>,
}

/// What of a map is saved: its cells that are not nothing, ascending.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedMap {
    at: Option<LogicalNs>,
    cells: Vec<(u32, f32)>,
}

/// A point as clustered.
#[derive(Clone, Copy, Debug)]
struct Seen {
    cell: [i32; 2],
    at: Point,
    weight: f64,
}

/// A cell that has points: from which to which, and their weight.
#[derive(Clone, Copy, Debug)]
struct Cell {
    cell: [i32; 2],
    first: u32,
    end: u32,
    weight: f64,
    is_core: bool,
    /// The cluster, by its first cell; itself until joined (union-find).
    root: u32,
}

/// Weighted sums over a cluster's points.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    weight: f64,
    count: f64,
    x: f64,
    y: f64,
    squares: f64,
}

impl Sum {
    fn add(&mut self, seen: &Seen, origin: Point) {
        let (dx, dy) = (seen.at.x_m - origin.x_m, seen.at.y_m - origin.y_m);
        self.weight += seen.weight;
        self.count += 1.0;
        self.x += seen.weight * dx;
        self.y += seen.weight * dy;
        self.squares += seen.weight * (dx * dx + dy * dy);
    }
}

/// The clustering of every radar of a site.
#[derive(Clone, Debug)]
pub(crate) struct Clouds {
    maps: Stamped<Vec<Option<Map>>>,
    /// Cells of all maps, which have as many as ever.
    map_cells: usize,
    seen: Vec<Seen>,
    cells: Vec<Cell>,
    sums: Vec<Sum>,
    /// The last cloud's bodies, ascending by place.
    pub(crate) bodies: Vec<Body>,
}

clone_in_place!(Map { origin, per_m, size, share, taught, clouds, at });

/// What of the clustering clouds change.
#[derive(Clone, Debug)]
pub(crate) struct KeptClouds(Stamped<Vec<Option<Map>>>);

impl Map {
    fn new(round: Aabb) -> Self {
        let (w, h) = (round.max.x_m - round.min.x_m, round.max.y_m - round.min.y_m);
        let mut side = MAP_CELL_M;
        let size = loop {
            let n = [(w / side).ceil().max(1.0), (h / side).ceil().max(1.0)];
            if n[0] * n[1] <= MAP_CELLS_MAX as f64 {
                break [n[0] as usize, n[1] as usize];
            }
            side *= 1.25;
        };
        let n = size[0] * size[1];
        Self {
            origin: round.min,
            per_m: 1.0 / side,
            size,
            share: vec![0.0; n],
            taught: vec![0; n],
            clouds: 0,
            at: None,
        }
    }

    fn cell(&self, at: Point) -> Option<usize> {
        let (i, j) = ((at.x_m - self.origin.x_m) * self.per_m, (at.y_m - self.origin.y_m) * self.per_m);
        let inside = i >= 0.0 && j >= 0.0 && i < self.size[0] as f64 && j < self.size[1] as f64;
        inside.then(|| j as usize * self.size[0] + i as usize)
    }

    fn is_furniture(&self, at: Point) -> bool {
        self.cell(at).is_some_and(|c| self.share[c] > FURNITURE_SHARE)
    }

    /// Lets a cloud teach what stands still.
    fn learn(&mut self, points: &[CloudPoint], now: LogicalNs) {
        let Some(before) = self.at.replace(now) else { return };
        let dt_s = now.since(before).as_s_f64().clamp(0.0, 10.0);
        let gain = (1.0 - libm::exp(-dt_s / STILL_MEMORY_S)) as f32;
        if gain <= 0.0 {
            return;
        }
        for share in &mut self.share {
            *share *= 1.0 - gain;
            if *share < SHARE_MIN {
                *share = 0.0;
            }
        }
        self.clouds = self.clouds.wrapping_add(1);
        for point in points {
            let (Some(doppler), Some(c)) = (point.doppler_mps, self.cell(point.place.at)) else { continue };
            if doppler.abs() < STILL_MPS && self.taught[c] != self.clouds {
                self.taught[c] = self.clouds;
                self.share[c] += gain;
            }
        }
        // What moved there is no furniture, whatever else the cell holds.
        for point in points {
            if let (Some(doppler), Some(c)) = (point.doppler_mps, self.cell(point.place.at))
                && doppler.abs() >= STILL_MPS
            {
                self.share[c] = 0.0;
            }
        }
    }
}

/// Whether a sensor says clouds.
fn is_radar(sensor: &Sensor) -> bool {
    sensor.kind == SensorKind::Points
}

impl Clouds {
    /// A map for each radar, over its field of view, else its level's outline.
    pub(crate) fn new(site: &Site) -> Self {
        let round = |s: &Sensor| {
            let view = s.field_of_view.as_ref().and_then(|v| v.aabb());
            view.or_else(|| site.levels.get(s.level.index()).and_then(|l| l.outline.aabb()))
        };
        let map = |s: &Sensor| round(s).filter(|_| is_radar(s)).map(Map::new);
        let room = if site.sensors.iter().any(is_radar) { SCAN_ITEMS_MAX } else { 0 };
        let maps: Vec<Option<Map>> = site.sensors.iter().map(map).collect();
        Self {
            map_cells: maps.iter().flatten().map(|m| m.share.len()).sum(),
            maps: Stamped::new(maps),
            seen: Vec::with_capacity(room),
            cells: Vec::with_capacity(room),
            sums: Vec::with_capacity(room),
            bodies: Vec::with_capacity(room),
        }
    }

    /// Finds the bodies in a cloud of a sensor; `points` are on its level, at most [`SCAN_ITEMS_MAX`].
    pub(crate) fn cluster(&mut self, sensor: SensorId, points: &[CloudPoint], now: LogicalNs) {
        self.gather(sensor, points, now);
        self.find_cores();
        self.join_cores();
        self.describe();
    }

    /// Points that may be somebody, in order of their cells.
    fn gather(&mut self, sensor: SensorId, points: &[CloudPoint], now: LogicalNs) {
        let mut map = self.maps.get_mut(sensor.index()).and_then(Option::as_mut);
        if let Some(map) = &mut map {
            map.learn(points, now);
        }
        self.seen.clear();
        for point in points.iter().take(SCAN_ITEMS_MAX) {
            let still = point.doppler_mps.is_some_and(|d| d.abs() < STILL_MPS);
            if still && map.as_ref().is_some_and(|m| m.is_furniture(point.place.at)) {
                continue;
            }
            let at = point.place.at;
            let cell = [(at.x_m / CELL_M).floor() as i32, (at.y_m / CELL_M).floor() as i32];
            self.seen.push(Seen { cell, at, weight: if still { STILL_WEIGHT } else { 1.0 } });
        }
        let key = |s: &Seen| (s.cell[1], s.cell[0]);
        self.seen.sort_unstable_by(|a, b| {
            let by_place = a.at.x_m.total_cmp(&b.at.x_m).then(a.at.y_m.total_cmp(&b.at.y_m));
            key(a).cmp(&key(b)).then(by_place).then(a.weight.total_cmp(&b.weight))
        });
        self.cells.clear();
        for (i, seen) in self.seen.iter().enumerate() {
            match self.cells.last_mut() {
                Some(cell) if cell.cell == seen.cell => {
                    cell.end += 1;
                    cell.weight += seen.weight;
                }
                _ => {
                    let (first, root) = (i as u32, self.cells.len() as u32);
                    let (cell, weight) = (seen.cell, seen.weight);
                    self.cells.push(Cell { cell, first, end: first + 1, weight, is_core: false, root });
                }
            }
        }
    }

    /// The cell with those coordinates.
    fn at(&self, [x, y]: [i32; 2]) -> Option<usize> {
        self.cells.binary_search_by_key(&(y, x), |c| (c.cell[1], c.cell[0])).ok()
    }

    /// Neighbours of a cell within so many cells, itself included, in order.
    fn round(&self, i: usize, reach: i32) -> impl Iterator<Item = usize> + '_ {
        let [x, y] = self.cells[i].cell;
        let offsets = (-reach..=reach).flat_map(move |dy| (-reach..=reach).map(move |dx| (dx, dy)));
        offsets.filter_map(move |(dx, dy)| self.at([x.checked_add(dx)?, y.checked_add(dy)?]))
    }

    fn find_cores(&mut self) {
        for i in 0..self.cells.len() {
            let weight: f64 = self.round(i, 1).map(|n| self.cells[n].weight).sum();
            self.cells[i].is_core = weight >= CORE_WEIGHT;
        }
    }

    fn root(&self, mut i: usize) -> usize {
        while self.cells[i].root as usize != i {
            i = self.cells[i].root as usize;
        }
        i
    }

    /// Cores near each other are one; a cell that is no core joins the core it lies next to, the heaviest first.
    fn join_cores(&mut self) {
        for i in 0..self.cells.len() {
            if !self.cells[i].is_core {
                continue;
            }
            for dy in -JOIN_CELLS..=JOIN_CELLS {
                for dx in -JOIN_CELLS..=JOIN_CELLS {
                    let [x, y] = self.cells[i].cell;
                    let (Some(x), Some(y)) = (x.checked_add(dx), y.checked_add(dy)) else { continue };
                    let Some(n) = self.at([x, y]).filter(|&n| n > i && self.cells[n].is_core) else { continue };
                    let (a, b) = (self.root(i), self.root(n));
                    // The lower cell is the root, so that the clusters come in order.
                    self.cells[a.max(b)].root = a.min(b) as u32;
                }
            }
        }
        for i in 0..self.cells.len() {
            if self.cells[i].is_core {
                continue;
            }
            let cores = self.round(i, 1).filter(|&n| self.cells[n].is_core);
            let core = cores.max_by(|&a, &b| self.cells[a].weight.total_cmp(&self.cells[b].weight).then(b.cmp(&a)));
            if let Some(core) = core {
                // Roots are cores: none of them points at this cell.
                self.cells[i].root = self.root(core) as u32;
            }
        }
    }

    /// A copy of what clouds change.
    pub(crate) fn kept(&self) -> KeptClouds {
        KeptClouds(self.maps.clone())
    }

    /// The same into a copy that there is.
    pub(crate) fn keep(&self, to: &mut KeptClouds) {
        to.0.copy_from(&self.maps, Clone::clone_from);
    }

    /// Is again what it was when the copy was made.
    pub(crate) fn go_back(&mut self, to: &KeptClouds) {
        self.maps.copy_from(&to.0, Clone::clone_from);
    }

    /// Cells of all maps.
    pub(crate) fn cells(&self) -> usize {
        self.map_cells
    }

    /// Mean and spread of each cluster.
    fn describe(&mut self) {
        self.bodies.clear();
        self.sums.clear();
        self.sums.resize(self.cells.len(), Sum::default());
        for i in 0..self.cells.len() {
            let root = self.root(i);
            if !self.cells[root].is_core {
                continue;
            }
            // From a point of the cluster, so that squares of large coordinates do not cancel.
            let origin = self.seen[self.cells[root].first as usize].at;
            let Cell { first, end, .. } = self.cells[i];
            for seen in &self.seen[first as usize..end as usize] {
                self.sums[root].add(seen, origin);
            }
        }
        for (sum, cell) in self.sums.iter().zip(&self.cells) {
            if sum.weight < CLUSTER_WEIGHT {
                continue;
            }
            let origin = self.seen[cell.first as usize].at;
            let (dx, dy) = (sum.x / sum.weight, sum.y / sum.weight);
            // Per axis half of the squared spread.
            let spread2 = 0.5 * (sum.squares / sum.weight - dx * dx - dy * dy).max(0.0);
            let sigma_m = (spread2 / sum.count + BODY_SIGMA_M * BODY_SIGMA_M).sqrt();
            self.bodies.push(Body { at: Point::new(origin.x_m + dx, origin.y_m + dy), sigma_m });
        }
    }

    pub(crate) fn saved(&self) -> Vec<Option<SavedMap>> {
        let save = |map: &Map| SavedMap {
            at: map.at,
            cells: map.share.iter().enumerate().filter(|(_, s)| **s > 0.0).map(|(i, s)| (i as u32, *s)).collect(),
        };
        self.maps.iter().map(|map| map.as_ref().map(save)).collect()
    }

    /// Takes saved maps back; false where they are of other sensors.
    pub(crate) fn refill(&mut self, saved: Vec<Option<SavedMap>>) -> bool {
        if saved.len() != self.maps.len() {
            return false;
        }
        for (map, saved) in self.maps.iter_mut().zip(saved) {
            match (map, saved) {
                (None, None) => {}
                (Some(map), Some(saved)) => {
                    map.at = saved.at;
                    for (i, share) in saved.cells {
                        match map.share.get_mut(i as usize) {
                            Some(cell) if (0.0..=1.0).contains(&share) => *cell = share,
                            _ => return false,
                        }
                    }
                }
                _ => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::geometry::Place;
    use osmose_model::ids::LevelId;
    use proptest::prelude::*;

    fn point(x_m: f64, y_m: f64, doppler_mps: f64) -> CloudPoint {
        CloudPoint { place: Place::flat(LevelId(0), x_m, y_m), doppler_mps: Some(doppler_mps), intensity: None }
    }

    fn clouds(map: bool) -> Clouds {
        let round = Aabb { min: Point::new(-10.0, -10.0), max: Point::new(10.0, 10.0) };
        let maps = vec![map.then(|| Map::new(round))];
        let map_cells = maps.iter().flatten().map(|m| m.share.len()).sum();
        Clouds {
            maps: Stamped::new(maps),
            map_cells,
            seen: Vec::new(),
            cells: Vec::new(),
            sums: Vec::new(),
            bodies: Vec::new(),
        }
    }

    /// A ring of points round a place.
    fn body(x: f64, y: f64, n: usize, doppler: f64) -> Vec<CloudPoint> {
        let at = |i: usize| libm::sincos(2.4 * i as f64);
        (0..n).map(|i| point(x + 0.2 * at(i).0, y + 0.2 * at(i).1, doppler)).collect()
    }

    #[test]
    fn two_bodies_apart_are_two_and_stray_points_are_none() {
        let mut clouds = clouds(false);
        let mut all = body(1.0, 2.0, 12, 0.5);
        all.extend(body(3.0, 2.0, 8, -0.5));
        all.extend([point(-5.0, 0.0, 1.0), point(-5.0, 4.0, 1.0)]);
        clouds.cluster(SensorId(0), &all, LogicalNs(0));
        let found: Vec<(f64, f64)> = clouds.bodies.iter().map(|b| (b.at.x_m, b.at.y_m)).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        for (x, y) in [(1.0, 2.0), (3.0, 2.0)] {
            assert!(found.iter().any(|(a, b)| (a - x).abs() < 0.1 && (b - y).abs() < 0.1), "{found:?}");
        }
        assert!(clouds.bodies.iter().all(|b| (0.12..0.25).contains(&b.sigma_m)));
    }

    #[test]
    fn furniture_is_learnt_and_unlearnt_when_something_moves_there() {
        let mut clouds = clouds(true);
        let chair = body(2.0, 2.0, 10, 0.0);
        let at = |i: i64| LogicalNs(i * 100_000_000);
        clouds.cluster(SensorId(0), &chair, at(0));
        assert_eq!(clouds.bodies.len(), 1);
        for i in 1..3000 {
            clouds.cluster(SensorId(0), &chair, at(i));
        }
        assert_eq!(clouds.bodies.len(), 0, "after five minutes");
        clouds.cluster(SensorId(0), &body(2.0, 2.0, 10, 0.7), at(3000));
        assert_eq!(clouds.bodies.len(), 1);
        clouds.cluster(SensorId(0), &chair, at(3001));
        assert_eq!(clouds.bodies.len(), 1, "somebody sits there");
    }

    /// Slow and obvious: cells compared pair by pair, joined until nothing changes.
    fn plain(points: &[CloudPoint]) -> usize {
        let cell =
            |p: &CloudPoint| [(p.place.at.x_m / CELL_M).floor() as i32, (p.place.at.y_m / CELL_M).floor() as i32];
        let near = |a: [i32; 2], b: [i32; 2], r: i32| (a[0] - b[0]).abs() <= r && (a[1] - b[1]).abs() <= r;
        let cores: Vec<[i32; 2]> = points
            .iter()
            .map(cell)
            .filter(|c| points.iter().filter(|q| near(*c, cell(q), 1)).count() as f64 >= CORE_WEIGHT)
            .collect();
        let mut group: Vec<usize> = (0..cores.len()).collect();
        loop {
            let before = group.clone();
            for i in 0..cores.len() {
                for j in 0..cores.len() {
                    if near(cores[i], cores[j], JOIN_CELLS) {
                        let least = group[i].min(group[j]);
                        (group[i], group[j]) = (least, least);
                    }
                }
            }
            if group == before {
                break;
            }
        }
        // Every core's neighbourhood has the weight of a cluster if it has that of three points.
        group.sort_unstable();
        group.dedup();
        group.len()
    }

    proptest! {
        #[test]
        fn it_finds_what_the_plain_way_finds_in_any_order(
            places in prop::collection::vec((-3.0..3.0f64, -3.0..3.0f64), 0..90), turn in 0usize..90,
        ) {
            let points: Vec<CloudPoint> = places.iter().map(|&(x, y)| point(x, y, 0.4)).collect();
            let mut a = clouds(true);
            a.cluster(SensorId(0), &points, LogicalNs(0));
            prop_assert_eq!(a.bodies.len(), plain(&points));
            let mut turned = points.clone();
            if !turned.is_empty() {
                let n = turned.len();
                turned.rotate_left(turn % n);
            }
            let mut b = clouds(true);
            b.cluster(SensorId(0), &turned, LogicalNs(0));
            prop_assert_eq!(&a.bodies, &b.bodies);
        }
    }
}
