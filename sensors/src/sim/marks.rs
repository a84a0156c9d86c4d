//! What the cells of a level's grid are marked with: bits, and the zones that a cell lies in.
//!
//! Zones are asked for at every step of everybody; a cell wholly inside or outside of a zone answers without looking
//! at the zone's outline, and only cells on a boundary measure.

use super::grid::Grid;
use osmose_model::geometry::Point;
use osmose_model::ids::{LevelId, ZoneId};
use osmose_model::limits::ZONES_PER_OCCUPANT_MAX;
use osmose_model::site::Site;
use std::collections::BTreeMap;

/// How deep inside a zone people stand who go there, metres, where the zone has such places: a sensor's noise must
/// not carry somebody who stands still over the line.
const DEEP_M: f64 = 0.5;

/// One bit a cell.
#[derive(Clone, Debug)]
pub(super) struct Marks(Vec<u64>);

impl Marks {
    /// None of `n` marked.
    pub(super) fn new(n: usize) -> Self {
        Self(vec![0; n.div_ceil(64)])
    }
    pub(super) fn set(&mut self, i: usize) {
        self.0[i / 64] |= 1 << (i % 64);
    }
    pub(super) fn clear(&mut self, i: usize) {
        self.0[i / 64] &= !(1 << (i % 64));
    }
    pub(super) fn has(&self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 == 1
    }
}

/// The zones that somebody is in, ascending.
pub(super) type ZoneSet = Vec<ZoneId>;

/// The zones that all points of a cell are in, and those whose boundary may pass through it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    inside: Vec<ZoneId>,
    edge: Vec<ZoneId>,
}

/// Where in a zone people go.
#[derive(Clone, Debug)]
pub(super) struct Spots {
    /// The zone.
    pub(super) zone: ZoneId,
    /// Its walkable cells, well inside where there are such.
    pub(super) any: Vec<u32>,
    /// Those of them beside a table, a desk, a counter.
    pub(super) seats: Vec<u32>,
}

/// Zones by cell, and cells by zone.
#[derive(Clone, Debug, Default)]
pub(super) struct ZoneMarks {
    cells: Vec<u16>,
    kinds: Vec<Kind>,
    spots: Vec<Spots>,
}

impl ZoneMarks {
    /// The zones of a level, marked on its grid. In a zone that anybody may be in, nobody goes to its cells that are
    /// `restricted`: they belong to another one, such as the floor behind a counter.
    pub(super) fn build(site: &Site, level: LevelId, grid: &Grid, seat: &Marks, restricted: &Marks) -> Self {
        let mut marks = Self { cells: vec![0; grid.len()], kinds: vec![Kind::default()], spots: Vec::new() };
        let mut next: BTreeMap<(u16, ZoneId, bool), u16> = BTreeMap::new();
        let reach_m = grid.cell_m() * std::f64::consts::FRAC_1_SQRT_2;
        for zone in site.zones.iter().filter(|z| z.level == level) {
            let Some(around) = zone.area.aabb() else { continue };
            let mut here: Vec<(u32, bool, bool)> = Vec::new();
            for cell in grid.cells_in(around.grown(reach_m)) {
                let depth = zone.area.depth(grid.middle(cell));
                if depth < -reach_m {
                    continue;
                }
                let is_inside = depth > reach_m;
                marks.mark(cell, zone.id, is_inside, &mut next);
                let is_open = zone.is_restricted() || !restricted.has(cell);
                if depth > 0.0 && grid.weight(cell) > 0 && is_open {
                    here.push((cell as u32, depth >= DEEP_M, seat.has(cell)));
                }
            }
            let has_deep = here.iter().any(|&(_, deep, _)| deep);
            here.retain(|&(_, deep, _)| deep || !has_deep);
            let any = here.iter().map(|&(c, _, _)| c).collect();
            let seats = here.iter().filter(|&&(_, _, s)| s).map(|&(c, _, _)| c).collect();
            marks.spots.push(Spots { zone: zone.id, any, seats });
        }
        marks
    }

    /// Adds a zone to a cell's kind; kinds are shared, and there are few of them.
    fn mark(&mut self, cell: usize, zone: ZoneId, is_inside: bool, next: &mut BTreeMap<(u16, ZoneId, bool), u16>) {
        let from = self.cells[cell];
        let known = next.get(&(from, zone, is_inside)).copied();
        let Some(to) = known.or_else(|| u16::try_from(self.kinds.len()).ok()) else { return };
        if known.is_none() {
            let mut kind = self.kinds[usize::from(from)].clone();
            let list = if is_inside { &mut kind.inside } else { &mut kind.edge };
            list.push(zone);
            self.kinds.push(kind);
            next.insert((from, zone, is_inside), to);
        }
        self.cells[cell] = to;
    }

    /// Whether nobody who stays within this cell and had `zones` before can have changed zones.
    pub(super) fn is_settled(&self, cell: usize, zones: &ZoneSet) -> bool {
        let kind = &self.kinds[usize::from(self.cells[cell])];
        kind.edge.is_empty() && kind.inside == *zones
    }

    /// The zones at a point of a cell.
    pub(super) fn at(&self, site: &Site, cell: usize, p: Point, out: &mut ZoneSet) {
        let kind = &self.kinds[usize::from(self.cells[cell])];
        out.clear();
        out.extend_from_slice(&kind.inside);
        out.extend(kind.edge.iter().filter(|z| site.zones[z.index()].area.contains(p)));
        out.sort_unstable();
        out.truncate(ZONES_PER_OCCUPANT_MAX);
    }

    /// Where people go in a zone; `None` where it is on another level.
    pub(super) fn spots(&self, zone: ZoneId) -> Option<&Spots> {
        self.spots.iter().find(|s| s.zone == zone)
    }
}
