//! The floor plan: levels from the lowest up, one panel each, all in one scale, so that lengths compare by eye.

use super::svg::Svg;
use osmose_model::geometry::{Aabb, Area, Point, Polygon, Segment};
use osmose_model::ids::LevelId;
use osmose_model::site::{Site, Zone};

/// Free space round a panel, pixels.
const MARGIN_PX: f64 = 28.0;
/// A heading over each panel, pixels.
const HEADING_PX: f64 = 22.0;
/// Zones narrower than this on paper get no name.
const NAMED_FROM_PX: f64 = 36.0;
/// A letter of a name is about this wide, pixels.
const LETTER_PX: f64 = 5.4;
/// The deepest place of a zone is looked for on a grid of so many lines each way.
const LOOKED: u32 = 12;
/// A level of which nothing is known is drawn this large, metres.
const EMPTY_M: f64 = 10.0;

/// Colours and line widths of a plan; a caller's own classes come behind it.
pub struct Style;

impl Style {
    /// CSS of every class that a plan uses.
    pub const CSS: &'static str = "\
        svg{background:#f3f4f2;font:11px system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;fill:#14171a}\
        .zone{fill:#ebedea;stroke:#bfc5c2;stroke-width:.75}.fixture{fill:none;stroke:#cbd0ce;stroke-width:.75}\
        .wall{fill:none;stroke:#2a3036;stroke-width:1.75;stroke-linecap:square}.glass{stroke-width:1}\
        .bare .zone{stroke:#2a3036;stroke-width:1.25}\
        .door{fill:none;stroke:#f3f4f2;stroke-width:3}.leaf{fill:none;stroke:#62696f;stroke-width:.75}.view{fill:none;stroke:#62696f;stroke-width:.5;stroke-dasharray:2 3}\
        .sensor{fill:#f3f4f2;stroke:#62696f}.name{fill:#62696f;font-size:10px}.heading{font-weight:600;font-size:12px}\
        .scale{fill:none;stroke:#14171a;stroke-width:1}";
}

/// One level on paper.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// Which level.
    pub level: LevelId,
    bounds: Aabb,
    left_px: f64,
    top_px: f64,
    px_per_m: f64,
}

impl Panel {
    /// A point of the site on paper: +y of the site is up.
    #[must_use]
    pub fn at(&self, p: Point) -> (f64, f64) {
        (
            self.left_px + (p.x_m - self.bounds.min.x_m) * self.px_per_m,
            self.top_px + (self.bounds.max.y_m - p.y_m) * self.px_per_m,
        )
    }

    fn size_px(&self) -> (f64, f64) {
        let b = self.bounds;
        ((b.max.x_m - b.min.x_m) * self.px_per_m, (b.max.y_m - b.min.y_m) * self.px_per_m)
    }
}

/// All levels on paper, one above another.
#[derive(Clone, Debug)]
pub struct Panels {
    panels: Vec<Panel>,
    width_px: f64,
    height_px: f64,
    px_per_m: f64,
}

impl Panels {
    /// Places every level that has something on it, `width_px` wide altogether. `also` widens a level to what a caller
    /// lays on it (tracks outside of the plan).
    #[must_use]
    pub fn new(site: &Site, width_px: f64, also: &[(LevelId, Aabb)]) -> Self {
        let bounds: Vec<(LevelId, Aabb)> = site
            .levels
            .iter()
            .filter_map(|l| {
                let laid = also.iter().filter(|(level, _)| *level == l.id).map(|(_, b)| *b);
                level_bounds(site, l.id).into_iter().chain(laid).reduce(union).map(|b| (l.id, b))
            })
            .collect();
        let bounds = if bounds.is_empty() { vec![(LevelId(0), empty())] } else { bounds };
        let widest_m = bounds.iter().map(|(_, b)| b.max.x_m - b.min.x_m).fold(1.0, f64::max);
        let px_per_m = (width_px - 2.0 * MARGIN_PX) / widest_m;
        let mut top_px = 0.0;
        let panels = bounds
            .iter()
            .rev()
            .map(|&(level, bounds)| {
                let panel = Panel { level, bounds, left_px: MARGIN_PX, top_px: top_px + HEADING_PX + 8.0, px_per_m };
                top_px = panel.top_px + panel.size_px().1 + MARGIN_PX;
                panel
            })
            .collect();
        Self { panels, width_px, height_px: top_px, px_per_m }
    }

    /// Width and height of the paper, pixels.
    #[must_use]
    pub fn size_px(&self) -> (f64, f64) {
        (self.width_px, self.height_px)
    }

    /// The panel of a level, if anything is on it.
    #[must_use]
    pub fn of(&self, level: LevelId) -> Option<&Panel> {
        self.panels.iter().find(|p| p.level == level)
    }

    /// The panels, top of the paper first.
    pub fn iter(&self) -> impl Iterator<Item = &Panel> {
        self.panels.iter()
    }

    /// Draws zones, furniture, walls, doors, sensors with their views, names and a scale.
    pub fn draw(&self, site: &Site, svg: &mut Svg) {
        for panel in &self.panels {
            draw_level(site, panel, svg);
        }
        self.draw_scale(svg);
    }

    /// A bar of a round number of metres, about a fifth of the paper at most.
    fn draw_scale(&self, svg: &mut Svg) {
        let most_m = self.width_px / 5.0 / self.px_per_m;
        let length_m = [100.0, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0].into_iter().find(|m| *m <= most_m).unwrap_or(0.5);
        let (right, y) = (self.width_px - MARGIN_PX, HEADING_PX - 6.0);
        let left = right - length_m * self.px_per_m;
        svg.lines("scale", false, [[(left, y - 3.0), (left, y), (right, y), (right, y - 3.0)]], "");
        svg.label("name", (left, y - 6.0), &format!("{length_m} m"));
    }
}

fn draw_level(site: &Site, panel: &Panel, svg: &mut Svg) {
    let at = |p: &Point| panel.at(*p);
    let rings = |area: &Area| -> Vec<Vec<(f64, f64)>> {
        let rings = area.parts.iter().flat_map(|p| std::iter::once(&p.outer).chain(&p.holes));
        rings.map(|ring| ring.iter().map(at).collect()).collect()
    };
    let pieces = |segments: &[Segment]| -> Vec<[(f64, f64); 2]> {
        segments.iter().map(|s| [panel.at(s.a), panel.at(s.b)]).collect()
    };
    // Where no wall is drawn, rooms are told apart by their edges.
    let is_bare = site.walls.iter().all(|w| w.level != panel.level);
    svg.open(if is_bare { "level bare" } else { "level" });
    let label = site.levels.get(panel.level.index()).map_or("", |l| l.label.as_str());
    svg.label("heading", (panel.left_px, panel.top_px - 8.0), label);
    for zone in site.zones.iter().filter(|z| z.level == panel.level) {
        svg.lines("zone", true, rings(&zone.area), &zone.label);
    }
    for fixture in site.fixtures.iter().filter(|f| f.level == panel.level) {
        svg.lines("fixture", true, [fixture.outline.iter().map(at)], &fixture.name);
    }
    for wall in site.walls.iter().filter(|w| w.level == panel.level) {
        svg.lines(if wall.transparent { "wall glass" } else { "wall" }, false, pieces(&wall.segments), "");
    }
    for door in site.openings.iter().filter(|o| o.level == panel.level) {
        svg.lines("door", false, pieces(&door.segments), "");
        svg.lines("leaf", false, pieces(&door.segments), &door.name);
    }
    for sensor in site.sensors.iter().filter(|s| s.level == panel.level) {
        if let Some(view) = &sensor.field_of_view {
            svg.lines("view", true, [view.outer.iter().map(at)], "");
        }
        svg.circle("sensor", panel.at(Point::new(sensor.pose.x_m, sensor.pose.y_m)), 2.5, &sensor.name);
    }
    let mut taken: Vec<Aabb> = Vec::new();
    for zone in site.zones.iter().filter(|z| z.level == panel.level) {
        let Some(name) = named(panel, zone) else { continue };
        // Of two names in one place the second would make both unreadable.
        let apart = |t: &Aabb| {
            name.max.x_m < t.min.x_m || t.max.x_m < name.min.x_m || name.max.y_m < t.min.y_m || t.max.y_m < name.min.y_m
        };
        if taken.iter().all(apart) {
            svg.label("name", (name.min.x_m, name.max.y_m - 2.0), &zone.name);
            taken.push(name);
        }
    }
    svg.close();
}

/// Where a zone's name stands, pixels: in its upper left corner, where that is inside it, else about its deepest place.
fn named(panel: &Panel, zone: &Zone) -> Option<Aabb> {
    let bounds = zone.area.aabb()?;
    let (wide, high) = (zone.name.chars().count() as f64 * LETTER_PX, 12.0);
    let per_m = panel.px_per_m;
    let (width, height) = ((bounds.max.x_m - bounds.min.x_m) * per_m, (bounds.max.y_m - bounds.min.y_m) * per_m);
    if width < NAMED_FROM_PX || width < wide {
        return None;
    }
    let (left, top) = panel.at(Point::new(bounds.min.x_m, bounds.max.y_m));
    let boxed = |x: f64, y: f64| Aabb { min: Point::new(x, y), max: Point::new(x + wide, y + high) };
    let of_site = |x: f64, y: f64| Point::new(bounds.min.x_m + (x - left) / per_m, bounds.max.y_m - (y - top) / per_m);
    let corner = boxed(left + 4.0, top + 2.0);
    let is_inside = |b: &Aabb| {
        [b.min.x_m, b.max.x_m]
            .iter()
            .all(|x| [b.min.y_m, b.max.y_m].iter().all(|y| zone.area.contains(of_site(*x, *y))))
    };
    if is_inside(&corner) {
        return Some(corner);
    }
    let steps = || (1..LOOKED).map(|i| f64::from(i) / f64::from(LOOKED));
    let places = steps().flat_map(|i| steps().map(move |j| (left + i * width, top + j * height)));
    let (x, y) =
        places.max_by(|a, b| zone.area.depth(of_site(a.0, a.1)).total_cmp(&zone.area.depth(of_site(b.0, b.1))))?;
    Some(boxed(x - wide / 2.0, y - high / 2.0))
}

fn union(a: Aabb, b: Aabb) -> Aabb {
    let p = Point::new;
    Aabb {
        min: p(a.min.x_m.min(b.min.x_m), a.min.y_m.min(b.min.y_m)),
        max: p(a.max.x_m.max(b.max.x_m), a.max.y_m.max(b.max.y_m)),
    }
}

fn empty() -> Aabb {
    Aabb { min: Point::new(0.0, 0.0), max: Point::new(EMPTY_M, EMPTY_M) }
}

/// The box round everything that the plan has on a level.
fn level_bounds(site: &Site, level: LevelId) -> Option<Aabb> {
    let outline = site.levels.get(level.index()).and_then(|l| l.outline.aabb());
    let zones = site.zones.iter().filter(|z| z.level == level).filter_map(|z| z.area.aabb());
    let walls = site.walls.iter().filter(|w| w.level == level).flat_map(|w| &w.segments).flat_map(|s| [s.a, s.b]);
    let walls = Aabb::around(walls);
    let views = site.sensors.iter().filter(|s| s.level == level);
    let views = views.filter_map(|s| s.field_of_view.as_ref().and_then(Polygon::aabb));
    outline.into_iter().chain(zones).chain(walls).chain(views).reduce(union)
}
