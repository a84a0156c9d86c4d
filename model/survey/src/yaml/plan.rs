//! Floors, rooms, walls and doors of a YAML plan as the GeoJSON in metres that the loader reads.

use super::tree::{self, Node};
use crate::at_line;
use crate::names::slug;
use osmose_load::Fault;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A YAML plan as GeoJSON, and what in it is no part of a plan.
pub(crate) struct Drawn {
    pub(crate) geojson: String,
    pub(crate) left_out: Vec<String>,
}

/// What the file says beside floors that people know, and where it belongs here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("nodes", "`nodes` are sensors: give each a `[[sensor]]` with its `pose` in devices.toml"),
    ("devices", "`devices` are what people carry: name them in people.toml"),
    ("gps", "`gps` places the plan on earth: give `[frame] origin` and `rotation_deg` in site.toml, or control points"),
];

/// Reads a YAML plan.
pub(crate) fn to_geojson(file: &str, text: &str) -> Result<Drawn, Box<Fault>> {
    let shape = "Write `floors:` with `rooms:`, each with `name` and `points: [[x, y], …]` in metres.";
    let Some(root) = tree::read(file, text)? else {
        return Err(at_line("yaml", file, None, "The file is empty.", shape));
    };
    let mut writer = Writer { file, lines: Vec::new(), ids: BTreeSet::new() };
    match (root.get("floors"), root.get("rooms")) {
        (Some(floors), _) => {
            let list = floors.list().ok_or_else(|| writer.wrong(floors, "`floors` is no list.", shape))?;
            for (i, floor) in list.iter().enumerate() {
                writer.floor(floor, i)?;
            }
        }
        (None, Some(_)) => writer.floor(&root, 0)?,
        (None, None) => return Err(writer.wrong(&root, "There is neither `floors` nor `rooms` in it.", shape)),
    }
    let known = ELSEWHERE.iter().filter(|(key, _)| root.get(key).is_some());
    let left_out = known.map(|(_, say)| format!("{say}.")).collect();
    let features = writer.lines.join(",\n");
    Ok(Drawn {
        geojson: format!("{{\"type\":\"FeatureCollection\",\"frame\":\"local\",\"features\":[\n{features}\n]}}\n"),
        left_out,
    })
}

struct Writer<'a> {
    file: &'a str,
    /// One feature each.
    lines: Vec<String>,
    ids: BTreeSet<String>,
}

impl Writer<'_> {
    fn wrong(&self, node: &Node, message: impl Into<String>, help: &str) -> Box<Fault> {
        at_line("yaml", self.file, Some(node.at), message, help)
    }

    fn feature(&mut self, id: &str, feature_type: &str, properties: Value, geometry: Value) {
        let feature = json!({"type": "Feature", "id": id, "feature_type": feature_type, "properties": properties, "geometry": geometry});
        self.lines.push(feature.to_string());
    }

    /// An id that nothing else has: what is said, else made of the name.
    fn id(&mut self, node: &Node, otherwise: &str) -> Result<String, Box<Fault>> {
        if let Some(said) = node.get("id") {
            let text =
                said.text().ok_or_else(|| self.wrong(said, "`id` is no word.", "Write one, such as `kitchen`."))?;
            if !self.ids.insert(text.to_owned()) {
                return Err(self.wrong(
                    said,
                    format!("`{text}` is the id of two things."),
                    "Give one of them another.",
                ));
            }
            return Ok(text.to_owned());
        }
        let base = node.get("name").and_then(Node::text).map(slug).filter(|s| !s.is_empty());
        let base = base.unwrap_or_else(|| otherwise.to_owned());
        let numbered = (2..).map(|n| format!("{base}-{n}"));
        let id = std::iter::once(base.clone()).chain(numbered).find(|id| !self.ids.contains(id)).unwrap_or(base);
        self.ids.insert(id.clone());
        Ok(id)
    }

    fn floor(&mut self, floor: &Node, i: usize) -> Result<(), Box<Fault>> {
        let level = self.id(floor, if i == 0 { "ground" } else { "floor" })?;
        let bounds = floor.get("bounds").map(|b| self.corners(b, 2)).transpose()?;
        let number = |key: &str| floor.get(key).and_then(Node::number);
        let (outline, drawn_m) = match bounds.as_deref() {
            Some([low, high]) => {
                let (x, y) = ([low[0], high[0]], [low[1], high[1]]);
                let ring = json!([[[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]], [x[0], y[0]]]]);
                (json!({"type": "Polygon", "coordinates": ring}), Some((high[2] - low[2]).abs()).filter(|h| *h > 0.0))
            }
            _ => (Value::Null, None),
        };
        let mut properties = json!({"ordinal": number("ordinal").unwrap_or(i as f64)});
        let mut set = |key: &str, value: Option<Value>| {
            if let (Some(value), Some(map)) = (value, properties.as_object_mut()) {
                map.insert(key.to_owned(), value);
            }
        };
        set("name", floor.get("name").and_then(Node::text).map(Into::into));
        let base_m = bounds.as_ref().and_then(|b| b.first()).map(|low| low[2]).filter(|z| *z != 0.0);
        set("elevation_m", number("elevation_m").or(base_m).map(Into::into));
        set("height_m", number("height_m").or(drawn_m).map(Into::into));
        self.feature(&level, "level", properties, outline);
        for room in self.items(floor, "rooms")? {
            self.room(room, &level)?;
        }
        for wall in self.items(floor, "walls")? {
            let line = wall.get("points").unwrap_or(wall);
            let coordinates = self.flat(line, 2)?;
            let id = self.id(wall, "wall")?;
            let mut properties = json!({"category": "wall", "level": level});
            if let (Some(glass), Some(map)) = (wall.get("material").and_then(Node::text), properties.as_object_mut()) {
                map.insert("material".to_owned(), glass.into());
            }
            self.feature(&id, "fixture", properties, json!({"type": "LineString", "coordinates": coordinates}));
        }
        for door in self.items(floor, "doors")? {
            self.door(door, &level)?;
        }
        Ok(())
    }

    fn items<'n>(&self, node: &'n Node, key: &str) -> Result<&'n [Node], Box<Fault>> {
        let Some(found) = node.get(key) else { return Ok(&[]) };
        found.list().ok_or_else(|| self.wrong(found, format!("`{key}` is no list."), "Begin each item with `- `."))
    }

    fn room(&mut self, room: &Node, level: &str) -> Result<(), Box<Fault>> {
        let Some(points) = room.get("points") else {
            return Err(self.wrong(
                room,
                "This room has no `points`.",
                "Add `points: [[x, y], [x, y], [x, y]]` in metres.",
            ));
        };
        let mut ring = self.flat(points, 3)?;
        ring.extend(ring.first().copied());
        let id = self.id(room, "room")?;
        let category = room.get("category").and_then(Node::text).unwrap_or("room");
        let name = room.get("name").and_then(Node::text).unwrap_or(&id);
        let properties = json!({"category": category, "level": level, "name": name});
        self.feature(&id, "unit", properties, json!({"type": "Polygon", "coordinates": [ring]}));
        Ok(())
    }

    fn door(&mut self, door: &Node, level: &str) -> Result<(), Box<Fault>> {
        let line = door.get("points").unwrap_or(door);
        let coordinates = self.flat(line, 2)?;
        let id = self.id(door, "door")?;
        let mut properties = json!({"category": "pedestrian", "level": level});
        if let (Some(joins), Some(map)) = (door.get("joins"), properties.as_object_mut()) {
            let names: Option<Vec<&str>> = joins.list().map(|l| l.iter().filter_map(Node::text).collect());
            let names =
                names.ok_or_else(|| self.wrong(joins, "`joins` is no list.", "Write `joins: [hall, outside]`."))?;
            map.insert("joins".to_owned(), names.into());
        }
        self.feature(&id, "opening", properties, json!({"type": "LineString", "coordinates": coordinates}));
        Ok(())
    }

    /// Corners without their heights.
    fn flat(&self, node: &Node, least: usize) -> Result<Vec<[f64; 2]>, Box<Fault>> {
        Ok(self.corners(node, least)?.into_iter().map(|[x, y, _]| [x, y]).collect())
    }

    /// A list of corners of two or three numbers, metres; the third is 0 where it is not said.
    fn corners(&self, node: &Node, least: usize) -> Result<Vec<[f64; 3]>, Box<Fault>> {
        let help = "Write corners as `[[x, y], [x, y]]`, in metres.";
        let list = node.list().ok_or_else(|| self.wrong(node, "This is no list of corners.", help))?;
        if list.len() < least {
            return Err(self.wrong(node, format!("There are {} corners; {least} are the least.", list.len()), help));
        }
        let corner = |c: &Node| {
            let numbers: Option<Vec<f64>> = c.list().and_then(|l| l.iter().map(Node::number).collect());
            match numbers.as_deref() {
                Some([x, y]) => Ok([*x, *y, 0.0]),
                Some([x, y, z]) => Ok([*x, *y, *z]),
                _ => Err(self.wrong(c, "This corner is no pair of numbers.", help)),
            }
        };
        list.iter().map(corner).collect()
    }
}
