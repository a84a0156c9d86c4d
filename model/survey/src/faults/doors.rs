//! Doors that lead nowhere.

use super::rooms::middle_of;
use super::scene::{Beyond, Scene, across};
use super::{Report, place};
use osmose_model::site::Opening;

/// What is on the side of a door that is said to join no room.
///
/// A door with one room: the side on which that room is not. Outside, where the plan does not say how far it reaches.
pub(super) fn behind(scene: &Scene<'_>, opening: &Opening) -> Beyond {
    let Some((middle, (dx, dy))) = across(opening) else { return Beyond::Outside };
    let known = opening.joins.iter().flatten().next().copied();
    let sides = [(dx, dy), (-dx, -dy)].map(|d| scene.beyond(middle, d, None));
    let other = sides.iter().find(|b| **b != known.map_or(Beyond::Outside, Beyond::Room));
    match (known, sides) {
        // The room is on neither side that is drawn: the door says what it joins, and its other side is taken at its word.
        (Some(z), _) if !sides.contains(&Beyond::Room(z)) => Beyond::Outside,
        _ => match other {
            Some(Beyond::Unmapped) => Beyond::Unmapped,
            _ => Beyond::Outside,
        },
    }
}

pub(super) fn leading_nowhere(scene: &Scene<'_>, report: &mut Report<'_>) {
    for opening in &scene.openings {
        let zones: Vec<_> = opening.joins.iter().flatten().copied().collect();
        let name = |z: osmose_model::ids::ZoneId| scene.site.zones[z.index()].name.as_str();
        let at = middle_of(opening);
        let where_ = at.map(|p| format!(" at {}", place(p))).unwrap_or_default();
        let (message, help) = match zones.as_slice() {
            [] => (
                format!("Door `{}`{where_} has a room on neither side.", opening.name),
                "Move it to the edge of its rooms, or draw the rooms.",
            ),
            [a, b, ..] if a == b => (
                format!("Door `{}`{where_} has room `{}` on both sides.", opening.name, name(*a)),
                "Draw the room behind it, or take the door away.",
            ),
            [a] if behind(scene, opening) == Beyond::Unmapped => (
                format!(
                    "Door `{}`{where_} leads from `{}` into a part of the building where no room is drawn.",
                    opening.name,
                    name(*a)
                ),
                "Draw what is behind it, a corridor too, as a `unit`.",
            ),
            _ => continue,
        };
        report.add("door-nowhere", ("opening", &opening.name), (scene.level, at), message, help);
    }
}
