//! What stands still: zones in a grid and walls in an R-tree per level, built once from the site.
//!
//! Zones are asked for with a reach ([`REACH_M`]), so that the caller also learns how far the nearest boundary is and
//! may skip the next moves that cannot cross one.

use crate::nearby::Nearby;
use crate::surely::WaysOut;
use osmose_model::geometry::{Aabb, Area, Point, Segment};
use osmose_model::ids::{LevelId, ZoneId};
use osmose_model::site::{Site, ZoneMargins};
use osmose_model::time::DurationNs;
use rstar::{AABB, RTree, RTreeObject};
use std::ops::ControlFlow;

/// How far round a point zones are looked for: what lies farther away cannot be entered by a shorter move.
pub(crate) const REACH_M: f64 = 2.0;

/// A thing with a box, in a static tree.
#[derive(Clone, Copy, Debug)]
struct Boxed<T> {
    envelope: AABB<[f64; 2]>,
    what: T,
}

impl<T> RTreeObject for Boxed<T> {
    type Envelope = AABB<[f64; 2]>;
    fn envelope(&self) -> AABB<[f64; 2]> {
        self.envelope
    }
}

/// One level's zones and walls.
#[derive(Clone, Debug)]
struct Floor {
    zones: Nearby,
    /// Opaque pieces of wall.
    walls: RTree<Boxed<Segment>>,
}

/// A zone as membership needs it.
#[derive(Clone, Debug)]
pub(crate) struct PlanZone {
    level: LevelId,
    area: Area,
    /// The box round its area; `None` where it has none, and nobody is ever in it.
    round: Option<Aabb>,
    /// Its margins, negative ones read as none.
    pub(crate) margins: ZoneMargins,
    area_m2: f64,
}

/// The static geometry of a site.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    floors: Vec<Floor>,
    zones: Vec<PlanZone>,
    margins: ZoneMargins,
    pub(crate) ways_out: WaysOut,
}

/// Margins with no number that would turn their meaning round: a lost time of at least a nanosecond.
fn sane(m: ZoneMargins) -> ZoneMargins {
    ZoneMargins {
        enter_margin_m: m.enter_margin_m.max(0.0),
        exit_margin_m: m.exit_margin_m.max(0.0),
        exit_delay: m.exit_delay.max(DurationNs::ZERO),
        lost: m.lost.max(DurationNs(1)),
    }
}

impl Plan {
    /// Indexes the site's zones and opaque walls.
    pub(crate) fn new(site: &Site) -> Self {
        let zones = site
            .zones
            .iter()
            .map(|z| PlanZone {
                level: z.level,
                area: z.area.clone(),
                round: z.area.aabb(),
                margins: sane(z.margins),
                area_m2: z.area.area_m2(),
            })
            .collect();
        let floors = site
            .levels
            .iter()
            .map(|level| {
                let boxes = site.zones.iter().filter(|z| z.level == level.id);
                let boxes: Vec<_> = boxes.filter_map(|z| Some((z.id, z.area.aabb()?))).collect();
                let opaque = site.walls.iter().filter(|w| w.level == level.id && !w.transparent);
                let walls = opaque.flat_map(|w| &w.segments).map(|&s| Boxed { envelope: span(s), what: s });
                Floor { zones: Nearby::new(&boxes, REACH_M), walls: RTree::bulk_load(walls.collect()) }
            })
            .collect();
        Self { floors, zones, margins: sane(site.margins), ways_out: WaysOut::new(site) }
    }

    /// How many levels there are.
    pub(crate) fn levels(&self) -> usize {
        self.floors.len()
    }

    /// A zone's margins.
    pub(crate) fn margins(&self, zone: ZoneId) -> &ZoneMargins {
        &self.zones[zone.index()].margins
    }

    /// Signed distance into a zone, metres: positive inside, minus infinity on another level.
    pub(crate) fn depth(&self, zone: ZoneId, level: LevelId, at: Point) -> f64 {
        let zone = &self.zones[zone.index()];
        if zone.level == level { zone.area.depth(at) } else { f64::NEG_INFINITY }
    }

    /// How far a point is outside of a zone, metres; 0 inside, which is told without measuring.
    pub(crate) fn outside_m(&self, zone: ZoneId, level: LevelId, at: Point) -> f64 {
        let on = &self.zones[zone.index()];
        if on.level == level && on.area.contains(at) { 0.0 } else { -self.depth(zone, level, at) }
    }

    /// How far a point is outside of a zone's box, metres; 0 inside. Its depth is at most minus that.
    pub(crate) fn outside_box_m(&self, zone: ZoneId, at: Point) -> f64 {
        let Some(b) = self.zones[zone.index()].round else { return f64::INFINITY };
        let dx = (b.min.x_m - at.x_m).max(at.x_m - b.max.x_m);
        let dy = (b.min.y_m - at.y_m).max(at.y_m - b.max.y_m);
        dx.max(dy).max(0.0)
    }

    /// The zones whose box comes within [`REACH_M`] of a point, and perhaps some a little farther away; ascending.
    pub(crate) fn zones_near(&self, level: LevelId, at: Point) -> &[ZoneId] {
        self.floors[level.index()].zones.at(at)
    }

    /// After how long unseen somebody in these zones is lost: the least of theirs, the site's in none.
    pub(crate) fn lost_after(&self, zones: &[ZoneId]) -> DurationNs {
        zones.iter().map(|z| self.margins(*z).lost).min().unwrap_or(self.margins.lost)
    }

    /// The innermost of some zones: the smallest area, the lower number where equal.
    pub(crate) fn innermost(&self, zones: &[ZoneId]) -> Option<ZoneId> {
        let area = |z: &ZoneId| self.zones[z.index()].area_m2;
        zones.iter().copied().min_by(|a, b| area(a).total_cmp(&area(b)).then(a.cmp(b)))
    }

    /// Whether no opaque wall of the level lies between two points (touching one counts as blocked).
    pub(crate) fn line_of_sight(&self, level: LevelId, sight: Segment) -> bool {
        let Some(floor) = self.floors.get(level.index()) else { return false };
        let flow = floor.walls.locate_in_envelope_intersecting_int(span(sight), |w| {
            if w.what.crosses(sight) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        flow.is_continue()
    }
}

/// The box of a segment.
fn span(s: Segment) -> AABB<[f64; 2]> {
    AABB::from_corners([s.a.x_m, s.a.y_m], [s.b.x_m, s.b.y_m])
}
