//! A resolved plan as GeoJSON in site metres: one feature a line, so that versions compare line by line.

use osmose_model::geometry::{Area, Point, Ring, Segment};
use osmose_model::site::{Attribute, CELL, Fixture, Site, Zone, ZoneMargins};
use serde::Serialize;
use std::collections::BTreeMap;

/// Digits behind the point: a tenth of a millimetre.
const PER_M: f64 = 1e4;

type Corner = [f64; 2];

#[derive(Serialize)]
#[serde(tag = "type", content = "coordinates")]
enum Geometry {
    Point(Corner),
    MultiPoint(Vec<Corner>),
    LineString(Vec<Corner>),
    MultiLineString(Vec<Vec<Corner>>),
    Polygon(Vec<Vec<Corner>>),
    MultiPolygon(Vec<Vec<Vec<Corner>>>),
}

#[derive(Serialize)]
struct Feature<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    feature_type: &'static str,
    properties: Properties<'a>,
    geometry: Option<Geometry>,
}

#[derive(Serialize, Default)]
struct Properties<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordinal: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elevation_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height_m: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    connects: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    joins: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transparent: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    material: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    door: Option<&'a str>,
    #[serde(flatten)]
    more: BTreeMap<&'a str, serde_json::Value>,
}

fn corner(p: Point) -> Corner {
    // Adding zero turns -0 into 0.
    [p.x_m, p.y_m].map(|v| (v * PER_M).round() / PER_M + 0.0)
}

fn ring(ring: &Ring) -> Vec<Corner> {
    ring.iter().chain(ring.first()).map(|&p| corner(p)).collect()
}

fn area(area: &Area) -> Option<Geometry> {
    let polygon = |p: &osmose_model::geometry::Polygon| std::iter::once(&p.outer).chain(&p.holes).map(ring).collect();
    let mut parts: Vec<Vec<Vec<Corner>>> = area.parts.iter().map(polygon).collect();
    match parts.len() {
        0 => None,
        1 => parts.pop().map(Geometry::Polygon),
        _ => Some(Geometry::MultiPolygon(parts)),
    }
}

/// Segments joined where one ends at the next one's beginning.
fn lines(segments: &[Segment]) -> Option<Geometry> {
    let mut chains: Vec<Vec<Corner>> = Vec::new();
    for s in segments {
        let (a, b) = (corner(s.a), corner(s.b));
        match chains.last_mut().filter(|c| c.last() == Some(&a)) {
            Some(chain) => chain.push(b),
            None => chains.push(vec![a, b]),
        }
    }
    match chains.len() {
        0 => None,
        1 => chains.pop().map(Geometry::LineString),
        _ => Some(Geometry::MultiLineString(chains)),
    }
}

/// A fixture's outlines: those of one name are one feature.
fn outlines(parts: &[&Fixture]) -> Option<Geometry> {
    let of = |n: fn(usize) -> bool| parts.iter().filter(move |f| n(f.outline.len()));
    let polygons: Vec<Vec<Vec<Corner>>> = of(|n| n >= 3).map(|f| vec![ring(&f.outline)]).collect();
    let lines: Vec<Vec<Corner>> = of(|n| n == 2).map(|f| f.outline.iter().map(|&p| corner(p)).collect()).collect();
    let points: Vec<Corner> = of(|n| n == 1).flat_map(|f| f.outline.iter().map(|&p| corner(p))).collect();
    // One sort of geometry a feature; a fixture of several sorts keeps its areas.
    let one = |mut list: Vec<_>| list.pop();
    if !polygons.is_empty() {
        return if polygons.len() == 1 {
            one(polygons).map(Geometry::Polygon)
        } else {
            Some(Geometry::MultiPolygon(polygons))
        };
    }
    if !lines.is_empty() {
        return Some(if lines.len() == 1 {
            Geometry::LineString(lines.concat())
        } else {
            Geometry::MultiLineString(lines)
        });
    }
    match points.as_slice() {
        [] => None,
        [one] => Some(Geometry::Point(*one)),
        _ => Some(Geometry::MultiPoint(points)),
    }
}

fn value(attribute: &Attribute) -> serde_json::Value {
    match attribute {
        Attribute::Bool(b) => (*b).into(),
        Attribute::Number(x) => (*x).into(),
        Attribute::Text(s) => s.as_str().into(),
    }
}

/// What a zone says beside its shape: its margins where they are its own, its attributes where they are not the default.
fn own<'a>(site: &'a Site, zone: &'a Zone, more: &mut BTreeMap<&'a str, serde_json::Value>) {
    let (ZoneMargins { enter_margin_m, exit_margin_m, exit_delay, lost }, base) = (zone.margins, site.margins);
    let mut put = |key, value: f64, differs: bool| {
        if differs {
            more.insert(key, value.into());
        }
    };
    put("enter_margin_m", enter_margin_m, enter_margin_m != base.enter_margin_m);
    put("exit_margin_m", exit_margin_m, exit_margin_m != base.exit_margin_m);
    put("exit_delay_ms", exit_delay.as_s_f64() * 1e3, exit_delay != base.exit_delay);
    put("lost_s", lost.as_s_f64(), lost != base.lost);
    for (key, attribute) in &zone.attributes {
        if site.attributes.get(key).is_none_or(|spec| spec.default != *attribute) {
            more.insert(key, value(attribute));
        }
    }
}

/// A word that the plan says.
fn said(word: &str) -> Option<&str> {
    Some(word).filter(|w| !w.is_empty())
}

/// The features written so far.
struct Features<'a> {
    /// Old ids by new ones.
    old: BTreeMap<&'a str, &'a str>,
    list: Vec<Feature<'a>>,
}

impl<'a> Features<'a> {
    fn add(
        &mut self,
        id: &'a str,
        feature_type: &'static str,
        mut properties: Properties<'a>,
        geometry: Option<Geometry>,
    ) {
        if matches!(feature_type, "level" | "unit" | "geofence")
            && let Some(old) = self.old.get(id)
        {
            properties.more.insert("source_id", (*old).into());
        }
        self.list.push(Feature { kind: "Feature", id, feature_type, properties, geometry });
    }
}

/// Writes a plan as `floorplan.geojson`; `renamed` holds (old, new) ids of which the old ones are kept as `source_id`.
#[must_use]
pub fn write(site: &Site, renamed: &[(String, String)]) -> String {
    let old: BTreeMap<&str, &str> = renamed.iter().map(|(old, new)| (new.as_str(), old.as_str())).collect();
    let level = |id: osmose_model::ids::LevelId| site.levels.get(id.index()).map(|l| l.name.as_str());
    let mut features: Features<'_> = Features { old, list: Vec::new() };
    features.add("venue", "venue", Properties { name: Some(&site.name), ..Properties::default() }, None);
    for l in &site.levels {
        let properties = Properties {
            name: Some(&l.label),
            ordinal: Some(l.ordinal),
            elevation_m: Some(l.elevation_m),
            height_m: Some(l.height_m),
            ..Properties::default()
        };
        features.add(&l.name, "level", properties, area(&l.outline));
    }
    // What speakers can aim at comes from devices.toml again.
    for z in site.zones.iter().filter(|z| z.category != CELL) {
        let connects = z.connects.iter().filter_map(|&l| level(l)).collect();
        let mut properties =
            Properties { category: Some(&z.category), level: level(z.level), connects, ..Properties::default() };
        properties.name = Some(z.label.as_str()).filter(|l| *l != z.name);
        own(site, z, &mut properties.more);
        features.add(&z.name, if z.category == "geofence" { "geofence" } else { "unit" }, properties, area(&z.area));
    }
    for w in &site.walls {
        let properties = Properties {
            category: Some("wall"),
            level: level(w.level),
            transparent: w.transparent.then_some(true),
            material: said(&w.material),
            ..Properties::default()
        };
        features.add(&w.name, "fixture", properties, lines(&w.segments));
    }
    for o in &site.openings {
        let zone = |z: &Option<osmose_model::ids::ZoneId>| z.map_or("outside", |z| site.zones[z.index()].name.as_str());
        let joins = o.joins.iter().map(zone).collect();
        let properties = Properties {
            category: Some("pedestrian"),
            level: level(o.level),
            joins,
            door: said(&o.door),
            ..Properties::default()
        };
        features.add(&o.name, "opening", properties, lines(&o.segments));
    }
    let mut at = 0;
    while let Some(first) = site.fixtures.get(at) {
        let parts: Vec<&Fixture> = site.fixtures[at..].iter().take_while(|f| f.name == first.name).collect();
        at += parts.len();
        let properties =
            Properties { category: Some(&first.category), level: level(first.level), ..Properties::default() };
        features.add(&first.name, "fixture", properties, outlines(&parts));
    }
    let lines: Vec<String> = features.list.iter().filter_map(|f| serde_json::to_string(f).ok()).collect();
    format!("{{\"type\":\"FeatureCollection\",\"frame\":\"local\",\"features\":[\n{}\n]}}\n", lines.join(",\n"))
}
