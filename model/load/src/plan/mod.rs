//! The floor plan: IMDF, WRLD or loose indoor GeoJSON, in degrees or metres, to levels, zones, walls and doors.
//!
//! | file | what it does |
//! |---|---|
//! | `collection` | GeoJSON text to raw features with their lines |
//! | `read` | which files make the plan, and what its manifest says |
//! | `kinds` | what each feature is, in the words of each format |
//! | `frame` | degrees to metres |
//! | `units` | degrees where metres belong, and the other way round |
//! | `shape` | rings to polygons that can be trusted |
//! | `levels` | storeys, and which one a feature is on |
//! | `build` | zones, walls, openings, fixtures |
//! | `ways` | which zones a door joins, which levels stairs connect |

mod build;
mod collection;
pub(crate) mod frame;
mod kinds;
mod levels;
mod read;
pub(crate) mod shape;
mod units;
mod ways;

use crate::fault::{Faults, Places, Spot};
use crate::settings::Settings;
use osmose_model::geometry::Point;
use osmose_model::site::{Fixture, Level, Opening, SourceFile, Wall, Zone};
use std::collections::{BTreeMap, BTreeSet};

/// The plan, resolved, and where its parts were written.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) name: Option<String>,
    /// Latitude and longitude of the site's origin, where it is known.
    pub(crate) origin_deg: Option<(f64, f64)>,
    /// Whether the plan was drawn in degrees.
    pub(crate) is_geographic: bool,
    pub(crate) levels: Vec<Level>,
    pub(crate) zones: Vec<Zone>,
    /// Names of zones that are drawn but could not be used: who names them is not to blame.
    pub(crate) refused_zones: BTreeSet<String>,
    pub(crate) walls: Vec<Wall>,
    pub(crate) openings: Vec<Opening>,
    pub(crate) fixtures: Vec<Fixture>,
    /// Where each part was written.
    pub(crate) places: Places,
}

impl Plan {
    /// How far a place is outside its level, metres; 0 where it is inside, or where the level's extent is not known.
    pub(crate) fn outside_m(&self, level: osmose_model::ids::LevelId, p: Point) -> f64 {
        let outline = &self.levels[level.index()].outline;
        if !outline.parts.is_empty() {
            return (-outline.depth(p)).max(0.0);
        }
        // No outline is drawn: the zones and walls of the level say how far it reaches.
        let zones = self.zones.iter().filter(|z| z.level == level).filter_map(|z| z.area.aabb());
        let zones = zones.flat_map(|b| [b.min, b.max]);
        let walls = self.walls.iter().filter(|w| w.level == level).flat_map(|w| &w.segments);
        let walls = walls.flat_map(|s| [s.a, s.b]);
        let Some(around) = osmose_model::geometry::Aabb::around(zones.chain(walls)) else { return 0.0 };
        let near = Point::new(p.x_m.clamp(around.min.x_m, around.max.x_m), p.y_m.clamp(around.min.y_m, around.max.y_m));
        near.distance(p)
    }
}

/// What was left out of the plan, counted by file and reason, so that it is said once and not per feature.
#[derive(Debug, Default)]
pub(crate) struct Drops(BTreeMap<(String, &'static str, String), (usize, Spot, String)>);

impl Drops {
    pub(crate) fn add(&mut self, code: &'static str, reason: String, spot: &Spot, name: Option<&str>) {
        let entry = (0, spot.clone(), name.unwrap_or_default().to_owned());
        self.0.entry((spot.file.clone(), code, reason)).or_insert(entry).0 += 1;
    }

    fn report(self, faults: &mut Faults) {
        for ((_, code, reason), (count, spot, name)) in self.0 {
            let features = if count == 1 { "1 feature".to_owned() } else { format!("{count} features") };
            let message = format!("{features} of this file {reason}; the first is on this line.");
            faults.warning(code, &spot, &name, message, "Nothing is to be done where that is meant.");
        }
    }
}

/// Reads the plan of a site.
pub(crate) fn load(files: &[SourceFile], settings: &Settings, faults: &mut Faults) -> Plan {
    let mut drops = Drops::default();
    let Some(raw) = read::read(files, faults, &mut drops) else { return Plan::default() };
    let Some(origin) = units::origin(&raw, settings, faults) else { return Plan::default() };
    let plan = build::build(raw, origin, settings, faults, &mut drops);
    drops.report(faults);
    plan
}
