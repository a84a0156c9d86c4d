//! What of a field of view walls hide: a miss there says nothing.
//!
//! A ceiling sensor's field is declared as a polygon, and such polygons reach over walls: into the corridor behind a
//! room, say, where the sensor sees nobody. Whether a wall stands between is asked of a raster, made once: a bit for
//! every [`CELL_M`] of the field, by straight lines from the sensor. Detections are taken wherever they come from; only
//! what is *not* detected behind a wall is no longer held against whoever is there.

/// Side of a cell, m.
const CELL_M: f64 = 0.2;
/// Most cells; larger fields have larger ones.
const CELLS_MAX: f64 = 131_072.0;
/// A sensor that would see less of its field than this does not stand where it is said to: walls are left out.
const SEEN_MIN: f64 = 0.5;

/// Which parts of a box are seen from a point.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    low: [f64; 2],
    per_m: f64,
    size: [usize; 2],
    /// A bit for each cell that is hidden, row by row.
    hidden: Vec<u64>,
}

impl Sight {
    /// What is seen `from` a point of the box from `low` to `high`, of those parts that are `inside` the field. None
    /// where walls hide nothing, or so much that the point must be wrong.
    pub(super) fn new(
        (low, high): ([f64; 2], [f64; 2]),
        inside: impl Fn(f64, f64) -> bool,
        from: [f64; 2],
        walls: &[[f64; 4]],
    ) -> Option<Self> {
        let walls: Vec<[f64; 4]> = walls.iter().copied().filter(|w| may_hide(w, from, low, high)).collect();
        if walls.is_empty() {
            return None;
        }
        let (wide, tall) = (high[0] - low[0], high[1] - low[1]);
        let mut side = CELL_M;
        while (wide / side).ceil() * (tall / side).ceil() > CELLS_MAX {
            side *= 1.25;
        }
        let size = [((wide / side).ceil() as usize).max(1), ((tall / side).ceil() as usize).max(1)];
        let mut sight =
            Sight { low, per_m: 1.0 / side, size, hidden: vec![0; (size[0] * size[1]).div_ceil(u64::BITS as usize)] };
        let (mut all, mut hidden) = (0, 0);
        for cell in 0..size[0] * size[1] {
            let centre = |a: usize, k: usize| low[a] + side * (k as f64 + 0.5);
            let (x, y) = (centre(0, cell % size[0]), centre(1, cell / size[0]));
            if !inside(x, y) {
                continue;
            }
            all += 1;
            if is_hidden(from, [x, y], &walls) {
                hidden += 1;
                sight.hidden[cell / 64] |= 1 << (cell % 64);
            }
        }
        let seen = f64::from(all - hidden) / f64::from(all.max(1));
        (hidden > 0 && seen >= SEEN_MIN).then_some(sight)
    }

    /// Whether no wall hides `(x, y)`, which is in the box.
    #[inline]
    pub(super) fn sees(&self, x: f64, y: f64) -> bool {
        let place = |at: f64, a: usize| (((at - self.low[a]) * self.per_m) as usize).min(self.size[a] - 1);
        let cell = place(y, 1) * self.size[0] + place(x, 0);
        self.hidden[cell / 64] >> (cell % 64) & 1 == 0
    }
}

/// Whether a wall meets the box round the sensor and its field.
fn may_hide(wall: &[f64; 4], from: [f64; 2], low: [f64; 2], high: [f64; 2]) -> bool {
    (0..2).all(|a| {
        let (least, most) = (low[a].min(from[a]), high[a].max(from[a]));
        wall[a].min(wall[a + 2]) <= most && wall[a].max(wall[a + 2]) >= least
    })
}

/// Whether a wall crosses the line from a sensor to a point; one that the sensor hangs on does not.
fn is_hidden(from: [f64; 2], to: [f64; 2], walls: &[[f64; 4]]) -> bool {
    walls.iter().any(|w| crosses(from, to, [w[0], w[1]], [w[2], w[3]]))
}

/// Whether the segments from `a` to `b` and from `c` to `d` cross, each inside the other.
fn crosses(a: [f64; 2], b: [f64; 2], c: [f64; 2], d: [f64; 2]) -> bool {
    // On which side of a line a point lies (twice the area of the triangle).
    let side = |p: [f64; 2], q: [f64; 2], r: [f64; 2]| (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]);
    side(a, b, c) * side(a, b, d) < 0.0 && side(c, d, a) * side(c, d, b) < 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A room of 4 x 4 m whose field reaches 1 m into the corridor above, with a door of 1 m in the wall between.
    fn room(from: [f64; 2]) -> Option<Sight> {
        let walls = [[0.0, 4.0, 1.5, 4.0], [2.5, 4.0, 4.0, 4.0], [50.0, 0.0, 50.0, 9.0]];
        Sight::new(([0.0, 0.0], [4.0, 5.0]), |_, _| true, from, &walls)
    }

    #[test]
    fn behind_the_wall_is_hidden_and_through_the_door_is_not() {
        let sight = room([2.0, 2.0]).expect("walls");
        assert!(sight.sees(2.0, 3.9) && sight.sees(0.05, 0.05) && sight.sees(2.0, 4.5) && sight.sees(3.9, 3.9));
        assert!(!sight.sees(0.5, 4.5) && !sight.sees(3.5, 4.2));
    }

    #[test]
    fn a_sensor_that_would_see_hardly_anything_is_taken_at_its_word() {
        assert!(room([2.0, 20.0]).is_none(), "from far beyond the wall the room is hidden");
        assert!(Sight::new(([0.0; 2], [4.0, 4.0]), |_, _| true, [2.0, 2.0], &[[9.0, 0.0, 9.0, 4.0]]).is_none());
    }

    #[test]
    fn the_wall_that_it_hangs_on_hides_nothing() {
        let wall = [[0.0, 4.0, 1.5, 4.0]];
        assert!(is_hidden([1.0, 3.8], [1.0, 4.4], &wall));
        assert!(!is_hidden([1.0, 4.0], [1.0, 1.0], &wall) && !is_hidden([1.0, 4.0], [1.0, 4.4], &wall));
        let sight = room([1.0, 3.95]).expect("walls");
        assert!(sight.sees(1.0, 1.0) && !sight.sees(1.0, 4.5));
    }
}
