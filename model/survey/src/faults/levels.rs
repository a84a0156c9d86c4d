//! Levels without stairs, and stairs that stay on their level.

use super::scene::inside;
use super::{Report, place};

/// Whether people change level through units of this category, by its first word.
fn climbs(category: &str) -> bool {
    let first = category.split('.').next().unwrap_or(category);
    matches!(first, "stairs" | "elevator" | "escalator" | "lift" | "ramp" | "movingwalkway" | "stairway")
}

pub(super) fn without_stairs(report: &mut Report<'_>) {
    let site = report.site;
    if site.levels.len() < 2 {
        return;
    }
    for level in &site.levels {
        let here = || site.zones.iter().filter(|z| z.level == level.id);
        if here().next().is_some() && !here().any(|z| z.connects.len() > 1) {
            let message = format!("No stairs and no lift lead from level `{}` to another.", level.name);
            let help = "Draw them on every level they reach, as units of the category `stairs` or `elevator` over each other, or with `\"connects\": [\"ground\", \"upper\"]`.";
            report.add("no-stairs", ("level", &level.name), (level.id, None), message, help);
        }
    }
    for zone in site.zones.iter().filter(|z| climbs(&z.category) && z.connects.len() < 2) {
        let at = inside(zone);
        let where_ = at.map(|p| format!(" at {}", place(p))).unwrap_or_default();
        let message =
            format!("`{}`{where_} is of the category `{}` and leads to no other level.", zone.name, zone.category);
        let help = "Draw it over or under the same stairs of the other level, or say which levels it `connects`.";
        report.add("stairs-alone", ("zone", &zone.name), (zone.level, at), message, help);
    }
}
