//! What a feature is, in the words of the three formats: one table for each.

use super::collection::RawFeature;

/// What a feature is for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A storey.
    Level,
    /// The outline of the storey that the file is of (WRLD).
    Outline,
    /// A zone of a category.
    Zone(String),
    /// A wall; whether one can see through it.
    Wall(bool),
    /// A door or passage.
    Opening,
    /// Furniture or another thing in the way, of a category.
    Fixture(String),
    /// The whole place: its name and where it is.
    Venue,
    /// Known, and of no use here.
    Silent,
    /// Left out, and said so.
    Unused(String),
}

/// Materials and categories that one can see through or over.
fn is_transparent(feature: &RawFeature) -> bool {
    let word = |key| feature.text(key).is_some_and(|t| matches!(t.as_str(), "glass" | "window" | "railing"));
    feature.properties.get("transparent").and_then(serde_json::Value::as_bool).unwrap_or_else(|| word("material"))
}

/// What a feature is.
pub(crate) fn role(feature: &RawFeature) -> Role {
    if let Some(feature_type) = &feature.feature_type {
        return imdf(feature_type, feature);
    }
    if feature.file_level.is_none()
        && (feature.properties.contains_key("indoor") || feature.properties.contains_key("door"))
    {
        return simple_indoor(feature);
    }
    match feature.text("type") {
        Some(kind) => wrld(&kind),
        None => Role::Unused(
            "say nothing of what they are (no `feature_type`, `type` or `indoor`) and are not used".to_owned(),
        ),
    }
}

/// Apple's Indoor Mapping Data Format, and our own plans, which use its words.
fn imdf(feature_type: &str, feature: &RawFeature) -> Role {
    let category = feature.text("category").unwrap_or_else(|| "unspecified".to_owned());
    match feature_type {
        "level" => Role::Level,
        "unit" => Role::Zone(category),
        "geofence" => Role::Zone(category),
        "opening" => Role::Opening,
        "fixture" if matches!(category.as_str(), "wall" | "window") => {
            Role::Wall(category == "window" || is_transparent(feature))
        }
        "fixture" => Role::Fixture(category),
        "kiosk" => Role::Fixture("kiosk".to_owned()),
        "venue" => Role::Venue,
        "address" | "building" | "footprint" => Role::Silent,
        other => Role::Unused(format!("are of the type `{other}`, which is not used")),
    }
}

/// WRLD's indoor maps.
fn wrld(kind: &str) -> Role {
    match kind {
        "building_outline" => Role::Outline,
        "wall" => Role::Wall(false),
        "window" => Role::Wall(true),
        "door" => Role::Opening,
        // Nobody walks there, but it is in the way of sight and steps.
        "inaccessible_space" | "floor_opening" | "InstancedEntity" | "desk" | "table" => Role::Fixture(kind.to_owned()),
        "no_geometry" => Role::Unused("are of the type `no_geometry`, which is not used".to_owned()),
        room => Role::Zone(room.to_owned()),
    }
}

/// OpenStreetMap's Simple Indoor Tagging, as loose GeoJSON exports carry it.
fn simple_indoor(feature: &RawFeature) -> Role {
    let indoor = feature.text("indoor").unwrap_or_default();
    let special =
        ["stairs", "elevator", "highway", "room"].iter().find_map(|&key| match (key, feature.text(key)?.as_str()) {
            ("stairs" | "elevator", "no") => None,
            ("stairs" | "elevator", _) => Some(key.to_owned()),
            ("highway", word @ ("elevator" | "steps")) => {
                Some(if word == "steps" { "stairs".to_owned() } else { word.to_owned() })
            }
            ("room", word) => Some(word.to_owned()),
            _ => None,
        });
    match indoor.as_str() {
        "level" => Role::Level,
        "wall" => Role::Wall(is_transparent(feature)),
        "room" => Role::Zone(special.unwrap_or_else(|| "room".to_owned())),
        "area" => Role::Zone(special.unwrap_or_else(|| "unenclosedarea".to_owned())),
        "corridor" => Role::Zone("walkway".to_owned()),
        "door" => Role::Opening,
        _ if feature.text("door").is_some_and(|d| d != "no") => Role::Opening,
        other => Role::Unused(format!("have `indoor` = `{other}`, which is not used")),
    }
}

/// Whether people change level through zones of this category.
pub(crate) fn connects_levels(category: &str) -> bool {
    let stem = category.split('.').next().unwrap_or(category);
    matches!(stem, "stairs" | "elevator" | "escalator" | "lift" | "ramp" | "movingwalkway" | "stairway")
}
