//! What is wrong with a plan as a place to walk in: each fault with its place and the way to mend it.
//!
//! The loader has refused what cannot be used at all (outlines that cross themselves, rooms on no level, sensors outside of
//! the building); here is what can be used and is most likely not meant. Everything found is a warning: a plan may be
//! drawn in pieces.
//!
//! | file | what it finds |
//! |---|---|
//! | `scene` | one level as walls, doors and rooms that can be looked up by place; where a room's edge is open |
//! | `rooms` | rooms without a door, rooms over each other, rooms that nobody can reach |
//! | `doors` | doors that lead nowhere |
//! | `walls` | gaps between walls |
//! | `levels` | levels without stairs, stairs that stay on their level |
//! | `sensors` | sensors that watch nothing, or not what they are said to |

mod doors;
mod levels;
mod rooms;
mod scene;
mod sensors;
mod walls;

use osmose_load::{Fault, Places, Severity};
use osmose_model::geometry::Point;
use osmose_model::ids::LevelId;
use osmose_model::site::Site;

/// Something wrong, and where it is in the building.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What it is, with the file and line of the feature.
    pub fault: Fault,
    /// On which level.
    pub level: LevelId,
    /// Where on it, site metres; `None` where it is the level as a whole.
    pub at: Option<Point>,
}

/// What faults are said of and where they point.
pub(crate) struct Report<'a> {
    site: &'a Site,
    places: &'a Places,
    found: Vec<Found>,
}

/// A place as it stands in messages.
pub(crate) fn place(p: Point) -> String {
    format!("({:.2}, {:.2}) m", p.x_m, p.y_m)
}

/// Some names, the first few of many.
pub(crate) fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 6;
    let quoted: Vec<String> = names.iter().take(SHOWN).map(|n| format!("`{n}`")).collect();
    match names.len() {
        n if n > SHOWN => format!("{} and {} more", quoted.join(", "), n - SHOWN),
        _ => quoted.join(", "),
    }
}

impl Report<'_> {
    /// Notes a fault of a part of the plan (`sort`, `name`).
    pub(crate) fn add(
        &mut self,
        code: &'static str,
        (sort, name): (&'static str, &str),
        (level, at): (LevelId, Option<Point>),
        message: String,
        help: &str,
    ) {
        let (file, line, column) = self.places.of(sort, name).unwrap_or(("floorplan.geojson", None, None));
        let fault = Fault {
            severity: Severity::Warning,
            code,
            file: file.to_owned(),
            line,
            column,
            feature: Some(name.to_owned()),
            message,
            help: help.to_owned(),
        };
        self.found.push(Found { fault, level, at });
    }

    fn level_name(&self, level: LevelId) -> &str {
        self.site.levels.get(level.index()).map_or("", |l| &l.name)
    }
}

/// Everything that is found in a site's plan, and in how its sensors stand in it, by level and then in the plan's order.
#[must_use]
pub fn find(site: &Site, places: &Places) -> Vec<Found> {
    let mut report = Report { site, places, found: Vec::new() };
    let scenes: Vec<scene::Scene<'_>> = site.levels.iter().map(|l| scene::Scene::new(site, l.id)).collect();
    for scene in &scenes {
        rooms::overlapping(scene, &mut report);
        rooms::without_door(scene, &mut report);
        doors::leading_nowhere(scene, &mut report);
        walls::gaps(scene, &mut report);
    }
    rooms::unreachable(&scenes, &mut report);
    levels::without_stairs(&mut report);
    sensors::idle(&scenes, &mut report);
    // By level: a stable sort keeps the order in which each level was looked at.
    report.found.sort_by_key(|f| f.level);
    report.found
}
