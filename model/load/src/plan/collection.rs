//! GeoJSON text to raw features, each with its line: geometry still in the file's own coordinates.
//!
//! The features are first split as raw text, so that one broken feature costs itself and not the file, and so that a
//! fault can say where it stands.

use crate::fault::{Faults, Spot};
use crate::text::{Source, shown};
use geojson::{Feature, GeometryValue, Position};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Most features in one file.
pub(crate) const FEATURES_MAX: usize = 200_000;
/// Deepest nesting of geometry collections.
const COLLECTION_DEPTH_MAX: usize = 8;

/// A corner as the file gives it: metres, or longitude and latitude in degrees.
pub(crate) type Corner = [f64; 2];

/// A feature's geometry, sorted by dimension; any may be empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) points: Vec<Corner>,
    pub(crate) lines: Vec<Vec<Corner>>,
    /// Polygons: rings, the outer one first.
    pub(crate) areas: Vec<Vec<Vec<Corner>>>,
}

impl Shape {
    /// Every corner.
    pub(crate) fn corners(&self) -> impl Iterator<Item = Corner> + '_ {
        let lines = self.lines.iter().flatten();
        let areas = self.areas.iter().flatten().flatten();
        self.points.iter().chain(lines).chain(areas).copied()
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.points.is_empty() && self.lines.is_empty() && self.areas.is_empty()
    }
}

/// One feature as read.
#[derive(Clone, Debug)]
pub(crate) struct RawFeature {
    pub(crate) spot: Spot,
    /// The feature's id: its own, else `properties.id`.
    pub(crate) id: Option<String>,
    /// IMDF's `feature_type`, beside the properties or among them, else the file's own (`unit.json`).
    pub(crate) feature_type: Option<String>,
    pub(crate) properties: serde_json::Map<String, Value>,
    /// Members beside the properties that GeoJSON does not define.
    pub(crate) foreign: serde_json::Map<String, Value>,
    pub(crate) shape: Shape,
    /// Whether the corners are metres already.
    pub(crate) is_local: bool,
    /// The level that the whole file is of (WRLD), by name.
    pub(crate) file_level: Option<String>,
}

impl RawFeature {
    /// A property that is a non-empty text or a number, as text.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        text_of(self.properties.get(key)?)
    }
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        self.properties.get(key)?.as_f64().filter(|x| x.is_finite())
    }
    /// What people call it: `name` as a text or as IMDF's table of languages.
    pub(crate) fn label(&self, language: Option<&str>) -> Option<String> {
        ["name", "short_name", "alt_name", "roomnumber"].iter().find_map(|key| {
            let value = self.properties.get(*key)?;
            let Some(labels) = value.as_object() else { return text_of(value) };
            let in_language = |l: &str| labels.iter().find(|(k, _)| k.starts_with(l)).and_then(|(_, v)| text_of(v));
            language.and_then(in_language).or_else(|| in_language("en")).or_else(|| labels.values().find_map(text_of))
        })
    }
}

/// A non-empty text, or a number as text.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(s) if !s.trim().is_empty() => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

/// The head of a feature collection; its features stay raw text.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    features: Option<Vec<&'a RawValue>>,
    frame: Option<Value>,
    crs: Option<Value>,
}

/// Where a JSON error stands: its line and column are the parsed text's own, which began at `start`.
pub(crate) fn json_spot(source: &Source<'_>, start: usize, e: &serde_json::Error) -> Spot {
    if start == 0 {
        let line = u32::try_from(e.line()).ok().filter(|&l| l > 0);
        let column = u32::try_from(e.column()).ok().filter(|&c| c > 0);
        return Spot { file: source.path.to_owned(), line, column };
    }
    source.spot(start)
}

/// A JSON error without the place that the fault says better.
pub(crate) fn json_message(e: &serde_json::Error) -> String {
    let text = e.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// Reads a feature collection; `file_type` is what IMDF's file name says its features are.
pub(crate) fn read(source: &Source<'_>, file_type: Option<&str>, faults: &mut Faults) -> Vec<RawFeature> {
    let head: Head<'_> = match serde_json::from_str(source.text) {
        Ok(head) => head,
        Err(e) => {
            let message = format!("This is no GeoJSON: {}.", json_message(&e));
            faults.error(
                "json",
                &json_spot(source, 0, &e),
                "",
                message,
                "Export the plan again as a GeoJSON FeatureCollection.",
            );
            return Vec::new();
        }
    };
    let Some(raw) = head.features else {
        let kind = head.kind.as_deref().unwrap_or("nothing that says its type");
        let message = format!("This file is {}, not a FeatureCollection with `features`.", shown(kind));
        faults.error(
            "json",
            &Spot::file(source.path),
            "",
            message,
            "Export the plan again as a GeoJSON FeatureCollection.",
        );
        return Vec::new();
    };
    if raw.len() > FEATURES_MAX {
        let message = format!("This file has {} features; {FEATURES_MAX} are the most.", raw.len());
        faults.error(
            "too-many-features",
            &Spot::file(source.path),
            "",
            message,
            "Split the plan by level, and leave furniture out.",
        );
        return Vec::new();
    }
    let is_local = frame_is_local(source, head.frame.as_ref(), faults);
    if let Some(crs) = head.crs.as_ref().filter(|_| !is_local) {
        check_crs(source, crs, faults);
    }
    let mut features = Vec::with_capacity(raw.len());
    for piece in raw {
        match serde_json::from_str::<Feature>(piece.get()) {
            Ok(feature) => features.extend(one(source, piece.get(), feature, file_type, is_local, faults)),
            Err(e) => {
                let message = format!("This feature is no GeoJSON: {}.", json_message(&e));
                let help = "A feature is `{\"type\":\"Feature\",\"id\":…,\"properties\":{…},\"geometry\":{…}}` with two numbers for each corner.";
                faults.error("json", &source.spot_of(piece.get()), "", message, help);
            }
        }
    }
    features
}

fn frame_is_local(source: &Source<'_>, frame: Option<&Value>, faults: &mut Faults) -> bool {
    match frame {
        None | Some(Value::Null) => false,
        Some(Value::String(s)) if s == "local" => true,
        Some(Value::String(s)) if s.eq_ignore_ascii_case("wgs84") => false,
        Some(other) => {
            let message = format!("The collection's `frame` is {}, which there is not.", shown(&other.to_string()));
            faults.error(
                "unknown-word",
                &Spot::file(source.path),
                "frame",
                message,
                "Write `\"frame\": \"local\"` for metres, or leave it out for WGS-84 degrees.",
            );
            false
        }
    }
}

/// GeoJSON before RFC 7946 could name its coordinate system; anything but WGS-84 would be read wrong.
fn check_crs(source: &Source<'_>, crs: &Value, faults: &mut Faults) {
    let name = crs.pointer("/properties/name").and_then(Value::as_str).unwrap_or_default();
    let ends_as = |end: &str| name.to_ascii_uppercase().ends_with(end);
    if !crs.is_null() && !name.is_empty() && !["CRS84", ":4326", "/4326"].iter().any(|e| ends_as(e)) {
        let message = format!("The plan is in the coordinate system {}, not in WGS-84.", shown(name));
        faults.error(
            "crs",
            &Spot::file(source.path),
            "crs",
            message,
            "Export the plan in WGS-84 longitude and latitude (EPSG:4326), or in metres with `\"frame\": \"local\"`.",
        );
    }
}

fn one(
    source: &Source<'_>,
    text: &str,
    feature: Feature,
    file_type: Option<&str>,
    is_local: bool,
    faults: &mut Faults,
) -> Option<RawFeature> {
    let spot = source.spot_of(text);
    let properties = feature.properties.unwrap_or_default();
    let foreign = feature.foreign_members.unwrap_or_default();
    let id = feature.id.map(|id| match id {
        geojson::feature::Id::String(s) => s,
        geojson::feature::Id::Number(n) => n.to_string(),
    });
    let id = id.filter(|s| !s.trim().is_empty()).or_else(|| text_of(properties.get("id")?));
    let feature_type = ["feature_type", "featureType"]
        .iter()
        .find_map(|k| foreign.get(*k).or_else(|| properties.get(*k)))
        .and_then(text_of)
        .or_else(|| file_type.map(str::to_owned));
    let mut shape = Shape::default();
    let named = id.as_deref().unwrap_or_default();
    if let Some(geometry) = feature.geometry
        && let Err(why) = sort(&geometry.value, &mut shape, 0)
    {
        faults.error("geometry", &spot, named, why, "Give every corner two finite numbers.");
        return None;
    }
    Some(RawFeature { spot, id, feature_type, properties, foreign, shape, is_local, file_level: None })
}

/// Sorts a geometry's parts into points, lines and areas.
fn sort(value: &GeometryValue, shape: &mut Shape, depth: usize) -> Result<(), String> {
    let line = |l: &Vec<Position>| l.iter().map(corner).collect::<Result<Vec<_>, _>>();
    let area = |rings: &Vec<Vec<Position>>| rings.iter().map(line).collect::<Result<Vec<_>, _>>();
    match value {
        GeometryValue::Point { coordinates } => shape.points.push(corner(coordinates)?),
        GeometryValue::MultiPoint { coordinates } => shape.points.extend(line(coordinates)?),
        GeometryValue::LineString { coordinates } => shape.lines.push(line(coordinates)?),
        GeometryValue::MultiLineString { coordinates } => {
            for l in coordinates {
                shape.lines.push(line(l)?);
            }
        }
        GeometryValue::Polygon { coordinates } => shape.areas.push(area(coordinates)?),
        GeometryValue::MultiPolygon { coordinates } => {
            for a in coordinates {
                shape.areas.push(area(a)?);
            }
        }
        GeometryValue::GeometryCollection { geometries } => {
            if depth >= COLLECTION_DEPTH_MAX {
                return Err("Its geometry collections are nested too deeply.".to_owned());
            }
            for g in geometries {
                sort(&g.value, shape, depth + 1)?;
            }
        }
    }
    Ok(())
}

fn corner(position: &Position) -> Result<Corner, String> {
    match position.as_slice() {
        [x, y, ..] if x.is_finite() && y.is_finite() => Ok([*x, *y]),
        other => Err(format!("One of its corners is {other:?}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(text: &str) -> (Vec<RawFeature>, Vec<String>) {
        let source = Source::new("floorplan.geojson", text);
        let mut faults = Faults::default();
        let features = read(&source, None, &mut faults);
        (features, faults.into_list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_broken_feature_costs_itself_and_is_pointed_at() {
        let text = r#"{"type":"FeatureCollection","features":[
{"type":"Feature","id":7,"feature_type":"unit","properties":{"name":{"de":"Saal","en":"Hall"}},"geometry":null},
{"type":"Feature","properties":{},"geometry":{"type":"Polygon","coordinates":[[["a",2]]]}},
  {"type":"Feature","id":"short","properties":null,"geometry":{"type":"Point","coordinates":[1]}}
]}"#;
        let (features, faults) = features(text);
        assert_eq!(features.len(), 1);
        assert_eq!(features[0].id.as_deref(), Some("7"));
        assert_eq!(features[0].label(Some("de-AT".split('-').next().unwrap())).as_deref(), Some("Saal"));
        assert_eq!(features[0].label(None).as_deref(), Some("Hall"));
        assert_eq!(features[0].spot.line, Some(2));
        insta::assert_snapshot!(faults.join("\n"));
    }

    #[test]
    fn other_coordinate_systems_and_frames_are_refused() {
        let crs = |name: &str| {
            features(&format!(r#"{{"features":[],"crs":{{"type":"name","properties":{{"name":"{name}"}}}}}}"#)).1
        };
        assert!(crs("urn:ogc:def:crs:OGC:1.3:CRS84").is_empty());
        assert!(crs("EPSG:4326").is_empty());
        assert!(crs("EPSG:3857")[0].contains("EPSG:3857"));
        assert!(features(r#"{"features":[],"frame":"metres"}"#).1[0].contains("`frame`"));
        assert!(features("[1,2]").1[0].contains("no GeoJSON"));
        assert!(features(r#"{"type":"Feature"}"#).1[0].contains("not a FeatureCollection"));
    }
}
