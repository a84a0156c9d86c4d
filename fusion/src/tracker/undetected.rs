//! People whom no sensor has detected yet: a Poisson intensity over the floor, and how fast new ones come.
//!
//! This is the "Poisson" of Poisson multi-Bernoulli (Williams 2015, "Marginal multi-Bernoulli filters"): where nobody has
//! looked, undetected people gather at the birth rate; a scan without a detection removes a share `p_detect` of them
//! inside its field of view; and what is left decides how likely a detection is a new person and not clutter. The
//! intensity stands on a grid over all fields of view, so that each sensor thins and asks only where it sees. Its growth is
//! slow: where many sensors scan one after the other it is let grow for several of them at once ([`GROWS_NS`]).

use super::config::{Population, SensorModel};
use super::field::{Field, FieldOfView};
use super::step::seconds;

/// Side of a cell where the limit on cells allows it, m.
const CELL_M: f64 = 2.0;
/// Points per cell side at which a field of view is sampled: every 0.125 m where cells are 2 m. A strip between them would
/// never be thinned, and every false detection in it taken for somebody new.
const SAMPLES: usize = 16;

/// Time that must have passed before the intensity grows, ns: less than between two scans of one sensor.
const GROWS_NS: i64 = 40_000_000;

/// The intensity of undetected people and the learnt birth rate.
#[derive(Clone, Debug)]
pub(crate) struct Undetected {
    /// Least corner of the grid.
    origin: [f64; 2],
    /// Cells per metre.
    per_m: f64,
    /// Cells along x and y.
    size: [usize; 2],
    /// By sensor: the cells that it sees, ascending, and which share of each; the last cell is everything off the grid.
    seen: Vec<Vec<(u32, f64)>>,
    /// Area that any sensor sees, m2: births are counted per that area.
    area_m2: f64,
    /// People per m2, per cell; the last cell is everything off the grid.
    pub(crate) cells: Vec<f64>,
    /// Of those, the ones who were there before the first scan: finding them teaches nothing about births.
    pub(crate) initial: Vec<f64>,
    /// Births per m2 and second.
    pub(crate) birth: f64,
    /// Up to when people have gathered, ns.
    pub(crate) as_of_ns: Option<i64>,
}

impl Undetected {
    /// Lays the grid over the union of the fields of view.
    pub(crate) fn new(population: &Population, sensors: &[SensorModel], fields: &[Field], cells_max: usize) -> Self {
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for (l, h) in fields.iter().filter_map(Field::bounds) {
            for a in 0..2 {
                low[a] = low[a].min(l[a]);
                high[a] = high[a].max(h[a]);
            }
        }
        let (mut side, mut size) = (CELL_M, [0usize; 2]);
        if low[0].is_finite() {
            loop {
                // At least one cell a side; floats, because a 1e7 m site has 2.5e13 cells of 2 m before it is coarsened.
                let count = [((high[0] - low[0]) / side).ceil().max(1.0), ((high[1] - low[1]) / side).ceil().max(1.0)];
                if count[0] * count[1] <= cells_max as f64 || count[0] * count[1] == 1.0 {
                    size = [count[0] as usize, count[1] as usize];
                    break;
                }
                side *= 1.25;
            }
        }
        let cells = size[0] * size[1];
        let mut grid = Undetected {
            origin: if cells > 0 { low } else { [0.0; 2] },
            per_m: 1.0 / side,
            size,
            seen: Vec::with_capacity(fields.len()),
            area_m2: 0.0,
            cells: vec![population.undetected_per_m2; cells + 1],
            initial: vec![population.undetected_per_m2; cells + 1],
            birth: population.birth_per_m2_s,
            as_of_ns: None,
        };
        for field in fields {
            let shares = (0..=cells).map(|c| (c as u32, grid.share(field, c, side)));
            grid.seen.push(shares.filter(|(_, share)| *share > 0.0).collect());
        }
        let mut most = vec![0.0; cells + 1];
        for &(c, share) in grid.seen.iter().flatten() {
            most[c as usize] = share.max(most[c as usize]);
        }
        for share in &most[..cells] {
            grid.area_m2 += share * side * side;
        }
        for sensor in sensors {
            if let FieldOfView::Everywhere { area_m2 } = sensor.field_of_view {
                grid.area_m2 = grid.area_m2.max(area_m2);
            }
        }
        grid
    }

    /// Share of cell `c` that `field` sees.
    fn share(&self, field: &Field, c: usize, side: f64) -> f64 {
        if field.bounds().is_none() {
            return 1.0;
        }
        if c + 1 == self.cells.len() {
            return 0.0;
        }
        let (cx, cy) = ((c % self.size[0]) as f64, (c / self.size[0]) as f64);
        let (x0, y0) = (self.origin[0] + side * cx, self.origin[1] + side * cy);
        if let Some((low, high)) = field.bounds()
            && (x0 > high[0] || x0 + side < low[0] || y0 > high[1] || y0 + side < low[1])
        {
            return 0.0;
        }
        let mut hits = 0;
        for i in 0..SAMPLES {
            for j in 0..SAMPLES {
                let x = x0 + side * (i as f64 + 0.5) / SAMPLES as f64;
                let y = y0 + side * (j as f64 + 0.5) / SAMPLES as f64;
                hits += usize::from(field.contains(x, y));
            }
        }
        hits as f64 / (SAMPLES * SAMPLES) as f64
    }

    /// It is `t_ns` now, and so many leave per second.
    pub(crate) fn pass(&mut self, population: &Population, leaving_per_s: f64, t_ns: i64) {
        let as_of_ns = *self.as_of_ns.get_or_insert(t_ns);
        if t_ns.saturating_sub(as_of_ns) >= GROWS_NS {
            let dt_s = seconds(as_of_ns, t_ns);
            self.predict(population, libm::exp(-leaving_per_s * dt_s), dt_s);
            self.as_of_ns = Some(t_ns);
        }
    }

    /// Lets `dt_s` pass: survivors stay, births add, and no more gather than were assumed at the start.
    fn predict(&mut self, population: &Population, survival: f64, dt_s: f64) {
        let (born, most) = (self.birth * dt_s, population.undetected_per_m2);
        // Two loops, each of which the compiler turns into one over pairs.
        for u in &mut self.cells {
            // Not `f64::min`, which looks after NaN.
            let grown = *u * survival + born;
            *u = if grown < most { grown } else { most };
        }
        for initial in &mut self.initial {
            *initial *= survival;
        }
    }

    /// Undetected people per m2 at `(x, y)`.
    #[inline]
    pub(crate) fn at(&self, x: f64, y: f64) -> f64 {
        self.cells[self.cell(x, y)]
    }

    /// Share of the undetected people at `(x, y)` who came after the first scan.
    pub(crate) fn came(&self, x: f64, y: f64) -> f64 {
        let c = self.cell(x, y);
        (1.0 - self.initial[c] / self.cells[c]).max(0.0)
    }

    /// The cell at `(x, y)`.
    #[inline]
    fn cell(&self, x: f64, y: f64) -> usize {
        let (i, j) = ((x - self.origin[0]) * self.per_m, (y - self.origin[1]) * self.per_m);
        if i >= 0.0 && j >= 0.0 && i < self.size[0] as f64 && j < self.size[1] as f64 {
            j as usize * self.size[0] + i as usize
        } else {
            self.cells.len() - 1
        }
    }

    /// A scan of `sensor` has been used: who is still undetected was missed by it.
    pub(crate) fn thin(&mut self, sensor: usize, p_detect: f64) {
        for &(c, seen) in &self.seen[sensor] {
            self.cells[c as usize] *= 1.0 - p_detect * seen;
            self.initial[c as usize] *= 1.0 - p_detect * seen;
        }
    }

    /// Learns the birth rate from `births` people who proved to be new during the last `dt_s`.
    pub(crate) fn learn(&mut self, population: &Population, births: f64, dt_s: f64) {
        let share = (dt_s / population.birth_memory_s).min(1.0);
        let counted = births / (population.birth_memory_s * self.area_m2);
        self.birth =
            (self.birth * (1.0 - share) + counted).clamp(population.birth_min_per_m2_s, population.birth_max_per_m2_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sensor(x0: f64, x1: f64) -> SensorModel {
        SensorModel {
            sigma_m: 0.3,
            p_detect: 0.9,
            clutter_per_m2: 0.01,
            field_of_view: FieldOfView::Polygon { corners_m: vec![[x0, 0.0], [x1, 0.0], [x1, 6.0], [x0, 6.0]] },
        }
    }

    fn grid(sensors: &[SensorModel], cells_max: usize) -> Undetected {
        let fields: Vec<Field> = sensors.iter().map(|s| Field::new(&s.field_of_view)).collect();
        Undetected::new(&Population::default(), sensors, &fields, cells_max)
    }

    #[test]
    fn a_sensor_thins_only_where_it_sees() {
        let mut grid = grid(&[sensor(0.0, 8.0), sensor(20.0, 28.0)], 1024);
        assert!((grid.area_m2 - 96.0).abs() < 1e-9);
        let before = grid.at(22.0, 3.0);
        grid.thin(0, 0.9);
        assert!((grid.at(3.0, 3.0) - 0.1 * before).abs() < 1e-12);
        assert_eq!(grid.at(22.0, 3.0), before);
        assert_eq!(grid.at(1e6, 3.0), before, "off the grid");
    }

    #[test]
    fn a_strip_along_a_cells_edge_is_thinned_too() {
        // The second field makes the grid reach further; the first sees 0.2 m of its fourth row.
        let field = |x0: f64, y1: f64| FieldOfView::Polygon {
            corners_m: vec![[x0, 0.0], [x0 + 8.0, 0.0], [x0 + 8.0, y1], [x0, y1]],
        };
        let sensors =
            [(0.0, 6.2), (8.0, 10.0)].map(|(x0, y1)| SensorModel { field_of_view: field(x0, y1), ..sensor(0.0, 1.0) });
        let mut undetected = grid(&sensors, 1024);
        let before = undetected.at(3.0, 6.1);
        for _ in 0..40 {
            undetected.thin(0, 0.9);
        }
        assert!(undetected.at(3.0, 6.1) < 0.05 * before, "{} of {before}", undetected.at(3.0, 6.1));
    }

    #[test]
    fn unseen_people_gather_but_not_for_ever() {
        let population = Population::default();
        let mut grid = grid(&[sensor(0.0, 8.0)], 1024);
        for _ in 0..10 {
            grid.thin(0, 0.9);
        }
        let empty = grid.at(3.0, 3.0);
        grid.predict(&population, 0.995, 1.0);
        assert!(grid.at(3.0, 3.0) > empty);
        for _ in 0..10_000 {
            grid.predict(&population, 0.995, 1.0);
        }
        assert_eq!(grid.at(3.0, 3.0), population.undetected_per_m2);
    }

    #[test]
    fn they_grow_for_several_scans_at_once() {
        let population = Population::default();
        let mut grids = [(); 2].map(|()| grid(&[sensor(0.0, 8.0)], 1024));
        for grid in &mut grids {
            grid.pass(&population, 0.01, 0);
            grid.thin(0, 0.9);
        }
        let [often, once] = &mut grids;
        let before = often.cells.clone();
        for k in 1..4 {
            often.pass(&population, 0.01, k * GROWS_NS / 4);
            assert_eq!(often.cells, before);
        }
        often.pass(&population, 0.01, GROWS_NS);
        once.pass(&population, 0.01, GROWS_NS);
        assert!(often.at(3.0, 3.0) > before[0]);
        assert_eq!(often.cells, once.cells);
    }

    #[test]
    fn a_huge_site_keeps_to_the_limit() {
        let grid = grid(&[sensor(-9e6, 9e6)], 100);
        assert!(grid.cells.len() <= 101 && grid.cells.len() > 1);
    }

    #[test]
    fn many_births_raise_the_rate_and_none_lower_it() {
        let population = Population::default();
        let mut grid = grid(&[sensor(0.0, 8.0)], 100);
        let start = grid.birth;
        grid.learn(&population, 5.0, 0.1);
        assert!(grid.birth > start);
        for _ in 0..10_000 {
            grid.learn(&population, 0.0, 0.1);
        }
        assert_eq!(grid.birth, population.birth_min_per_m2_s);
    }
}
