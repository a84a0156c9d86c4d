//! `osmose trace export --foxglove`: people as a scene, the plan as GeoJSON, events and commands as a log, in an MCAP
//! file that Foxglove and Lichtblick open. JSON messages of Foxglove's own schemas, so that nothing has to be installed.

use super::ExportError;
use super::map::Earth;
use crate::drive::sinks::Each;
use crate::drive::{Options, Osmose, Replay, Sinks, Watch, Workshop};
use crate::trace::recording::{Items, Recording};
use crate::trace::write::create_private;
use crate::words;
use mcap::records::MessageHeader;
use osmose_model::geometry::Point;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs, UtcNs};
use osmose_model::world::{Presence, WorldView};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::rc::Rc;

/// A scene this often.
const SCENE_EVERY: DurationNs = DurationNs::from_ms(100);
/// The coordinate frame of everything: the site's metres.
const FRAME: &str = "site";

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Scenes.
    pub scenes: u64,
    /// Lines of the log.
    pub lines: u64,
}

struct Out {
    mcap: mcap::Writer<BufWriter<File>>,
    scene: u16,
    plan: u16,
    log: u16,
    next_scene: LogicalNs,
    numbered: u32,
    exported: Exported,
    failed: Option<mcap::McapError>,
}

impl Out {
    fn message(&mut self, channel_id: u16, at_ns: u64, body: &Value) {
        self.numbered = self.numbered.wrapping_add(1);
        let header = MessageHeader { channel_id, sequence: self.numbered, log_time: at_ns, publish_time: at_ns };
        let bytes = body.to_string();
        if let Err(e) = self.mcap.write_to_known_channel(&header, bytes.as_bytes()) {
            self.failed.get_or_insert(e);
        }
    }
}

/// Nanoseconds of the file: UTC where the log knows it, else of the log.
fn file_ns(at: LogicalNs, wall: Option<UtcNs>) -> u64 {
    u64::try_from(wall.map_or(at.0, |u| u.0)).unwrap_or(0)
}

fn stamp(ns: u64) -> Value {
    json!({"sec": ns / 1_000_000_000, "nsec": ns % 1_000_000_000})
}

/// Foxglove's schemas, as far as these messages use them: its viewers go by the name.
fn schema(name: &str) -> Value {
    let time = json!({"type": "object", "title": "time",
        "properties": {"sec": {"type": "integer", "minimum": 0}, "nsec": {"type": "integer", "minimum": 0, "maximum": 999_999_999}}});
    let properties = match name {
        "foxglove.SceneUpdate" => json!({
            "deletions": {"type": "array", "items": {"type": "object", "properties": {"timestamp": time.clone(), "type": {"type": "integer"}, "id": {"type": "string"}}}},
            "entities": {"type": "array", "items": {"type": "object", "properties": {
                "timestamp": time, "frame_id": {"type": "string"}, "id": {"type": "string"},
                "lifetime": {"type": "object", "title": "duration", "properties": {"sec": {"type": "integer"}, "nsec": {"type": "integer"}}},
                "frame_locked": {"type": "boolean"}, "metadata": {"type": "array", "items": {"type": "object"}},
                "arrows": {"type": "array", "items": {"type": "object"}}, "cubes": {"type": "array", "items": {"type": "object"}},
                "spheres": {"type": "array", "items": {"type": "object"}}, "cylinders": {"type": "array", "items": {"type": "object"}},
                "lines": {"type": "array", "items": {"type": "object"}}, "triangles": {"type": "array", "items": {"type": "object"}},
                "texts": {"type": "array", "items": {"type": "object"}}, "models": {"type": "array", "items": {"type": "object"}}}}}}),
        "foxglove.GeoJSON" => json!({"geojson": {"type": "string"}}),
        _ => {
            json!({"timestamp": time, "level": {"type": "integer"}, "message": {"type": "string"}, "name": {"type": "string"},
            "file": {"type": "string"}, "line": {"type": "integer", "minimum": 0}})
        }
    };
    json!({"title": name, "type": "object", "properties": properties})
}

/// Writes the file `out`, which must not be there yet.
///
/// # Errors
/// [`ExportError`].
pub fn foxglove(recording: Recording, out: &Path, watch: &mut dyn Watch) -> Result<Exported, ExportError> {
    let workshop = Osmose::of_files(recording.files())?;
    let site = workshop.site().clone();
    let refused = |e: crate::trace::write::WriteError| std::io::Error::other(e.to_string());
    let file = BufWriter::new(create_private(out).map_err(refused)?);
    let mut mcap = mcap::WriteOptions::new().library("osmose").create(file)?;
    let mut channel = |topic: &str, name: &str| -> Result<u16, mcap::McapError> {
        let schema = mcap.add_schema(name, "jsonschema", schema(name).to_string().as_bytes())?;
        mcap.add_channel(schema, topic, "json", &BTreeMap::new())
    };
    let (scene, plan) = (channel("/people", "foxglove.SceneUpdate")?, channel("/plan", "foxglove.GeoJSON")?);
    let log = channel("/log", "foxglove.Log")?;
    let next_scene = LogicalNs(i64::MIN);
    let state = Out { mcap, scene, plan, log, next_scene, numbered: 0, exported: Exported::default(), failed: None };
    let state = Rc::new(RefCell::new(state));
    let (sink, of_site) = (state.clone(), site.clone());
    let each: Each = Box::new(move |tag, _, out, view| step(&mut sink.borrow_mut(), &of_site, tag.at, out, view));
    let sinks = Sinks { each: Some(each), ..Sinks::default() };
    Replay::new(recording, workshop, Options { sinks, ..Options::default() })?.run(watch)?;
    let mut state = state.borrow_mut();
    if let Some(error) = state.failed.take() {
        return Err(error.into());
    }
    state.mcap.finish()?;
    Ok(state.exported)
}

fn step(out: &mut Out, site: &Site, at: LogicalNs, decided: &osmose_core::Outbox, view: &dyn WorldView) {
    let ns = file_ns(at, view.wall().map(|w| w.utc));
    if out.numbered == 0 {
        let body = json!({"geojson": plan_of(site).to_string()});
        out.message(out.plan, ns, &body);
    }
    for e in &decided.events {
        let body = json!({"timestamp": stamp(ns), "level": 2, "message": words::event(site, e), "name": "events", "file": "", "line": 0});
        out.message(out.log, ns, &body);
        out.exported.lines += 1;
    }
    for c in &decided.commands {
        let message = format!("{} because of {}", words::command(site, c), words::cause(site, &c.cause));
        let body =
            json!({"timestamp": stamp(ns), "level": 3, "message": message, "name": "commands", "file": "", "line": 0});
        out.message(out.log, ns, &body);
        out.exported.lines += 1;
    }
    if at < out.next_scene {
        return;
    }
    out.next_scene = at.plus(SCENE_EVERY);
    let body = scene(site, ns, view);
    out.message(out.scene, ns, &body);
    out.exported.scenes += 1;
}

/// Everybody as a sphere with a name, one entity that is written anew each time.
fn scene(site: &Site, ns: u64, view: &dyn WorldView) -> Value {
    let (mut spheres, mut texts) = (Vec::new(), Vec::new());
    view.for_each_occupant(&mut |o| {
        let floor = site.levels.get(o.place.level.index()).map_or(0.0, |l| l.elevation_m);
        let pose = |z: f64| {
            json!({"position": {"x": o.place.at.x_m, "y": o.place.at.y_m, "z": floor + z},
                "orientation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}})
        };
        let seen = o.presence == Presence::Seen;
        let colour = json!({"r": 0.0, "g": if o.person.is_some() { 0.45 } else { 0.35 }, "b": if o.person.is_some() { 0.7 } else { 0.4 }, "a": if seen { 0.9 } else { 0.3 }});
        spheres.push(json!({"pose": pose(0.9), "size": {"x": 0.45, "y": 0.45, "z": 1.8}, "color": colour}));
        let name = o.person.map_or_else(|| format!("track {}", o.track), |p| words::person(site, p).to_owned());
        texts.push(json!({"pose": pose(2.1), "billboard": true, "font_size": 12.0, "scale_invariant": true,
            "color": {"r": 0.0, "g": 0.0, "b": 0.0, "a": 1.0}, "text": name}));
    });
    let none: [Value; 0] = [];
    json!({"deletions": none, "entities": [{"timestamp": stamp(ns), "frame_id": FRAME, "id": "people",
        "lifetime": {"sec": 0, "nsec": 0}, "frame_locked": false, "metadata": none, "arrows": none, "cubes": none,
        "spheres": spheres, "cylinders": none, "lines": none, "triangles": none, "texts": texts, "models": none}]})
}

/// The zones as GeoJSON, in degrees where the site says where it is.
fn plan_of(site: &Site) -> Value {
    let earth = Earth::of(&site.frame);
    let corner = |p: &Point| earth.map_or([p.x_m, p.y_m], |e| e.degrees(*p));
    let features: Vec<Value> = (site.zones.iter())
        .map(|z| {
            let polygons: Vec<Vec<Vec<[f64; 2]>>> = (z.area.parts.iter())
                .map(|part| {
                    let closed = |ring: &Vec<Point>| ring.iter().chain(ring.first()).map(corner).collect();
                    std::iter::once(&part.outer).chain(&part.holes).map(closed).collect()
                })
                .collect();
            json!({"type": "Feature", "properties": {"name": z.name, "category": z.category},
                "geometry": {"type": "MultiPolygon", "coordinates": polygons}})
        })
        .collect();
    json!({"type": "FeatureCollection", "features": features})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{live, walk};

    /// The fields of Foxglove's published schemas (docs.foxglove.dev, `schemas/jsonschema`) of what is written here, as
    /// `name:type`, a type in capitals being another schema. Facts of theirs, written down once more: a field renamed
    /// in the export is in no list.
    const PUBLISHED: &[(&str, &str)] = &[
        ("SceneUpdate", "deletions:[SceneEntityDeletion entities:[SceneEntity"),
        (
            "SceneEntity",
            "timestamp:Time frame_id:string id:string lifetime:Duration frame_locked:boolean metadata:[KeyValuePair \
             arrows:[Arrow cubes:[Cube spheres:[Sphere cylinders:[Cylinder lines:[Line triangles:[Triangle texts:[Text models:[Model",
        ),
        ("Sphere", "pose:Pose size:Vector3 color:Color"),
        ("Text", "pose:Pose billboard:boolean font_size:number scale_invariant:boolean color:Color text:string"),
        ("Pose", "position:Vector3 orientation:Quaternion"),
        ("Vector3", "x:number y:number z:number"),
        ("Quaternion", "x:number y:number z:number w:number"),
        ("Color", "r:number g:number b:number a:number"),
        ("Time", "sec:integer nsec:integer"),
        ("Duration", "sec:integer nsec:integer"),
        ("GeoJSON", "geojson:string"),
        ("Log", "timestamp:Time level:integer message:string name:string file:string line:integer"),
    ];

    /// Fails unless a message has every field of its schema, of its type, and no other.
    fn fits(value: &Value, schema: &str, at: &str) {
        let fields = PUBLISHED.iter().find(|s| s.0 == schema).unwrap_or_else(|| panic!("{at}: no schema {schema}")).1;
        let fields: BTreeMap<&str, &str> = fields.split_whitespace().map(|f| f.split_once(':').unwrap()).collect();
        let object = value.as_object().unwrap_or_else(|| panic!("{at} is no object: {value}"));
        assert_eq!(
            object.keys().map(String::as_str).collect::<Vec<_>>(),
            fields.keys().copied().collect::<Vec<_>>(),
            "{at}"
        );
        for (name, kind) in fields {
            let (value, at) = (&object[name], format!("{at}.{name}"));
            match kind {
                "string" => assert!(value.is_string(), "{at}: {value}"),
                "boolean" => assert!(value.is_boolean(), "{at}: {value}"),
                "number" => assert!(value.as_f64().is_some_and(f64::is_finite), "{at}: {value}"),
                "integer" => assert!(value.is_u64(), "{at}: {value}"),
                list if list.starts_with('[') => {
                    value
                        .as_array()
                        .unwrap_or_else(|| panic!("{at}: {value}"))
                        .iter()
                        .for_each(|v| fits(v, &list[1..], &at));
                }
                other => fits(value, other, &at),
            }
        }
    }

    #[test]
    fn any_mcap_reader_finds_scenes_plan_and_log() {
        let dir = tempfile::tempdir().unwrap();
        let (path, out) = (dir.path().join("walk.mcap"), dir.path().join("fox.mcap"));
        std::fs::write(&path, live(&walk(10), 0)).unwrap();
        let exported = foxglove(Recording::open(&path).unwrap(), &out, &mut ()).unwrap();
        assert!(exported.scenes >= 95 && exported.lines > 3, "{exported:?}");
        let bytes = std::fs::read(&out).unwrap();
        let (mut scenes, mut plans, mut lines, mut named) = (0, 0, 0, false);
        for message in mcap::MessageStream::new(&bytes).unwrap() {
            let message = message.unwrap();
            let body: Value = serde_json::from_slice(&message.data).unwrap();
            let schema = message.channel.schema.as_ref().unwrap();
            assert_eq!((schema.encoding.as_str(), message.channel.message_encoding.as_str()), ("jsonschema", "json"));
            let name = schema.name.strip_prefix("foxglove.").expect("viewers go by this name");
            fits(&body, name, name);
            // The schema that travels in the file names the same fields.
            let carried: Value = serde_json::from_slice(&schema.data).unwrap();
            assert_eq!(carried["title"], schema.name.as_str());
            let fields = |v: &Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(fields(&carried["properties"]), fields(&body), "{name}");
            match schema.name.as_str() {
                "foxglove.SceneUpdate" => {
                    let carried = &carried["properties"]["entities"]["items"]["properties"];
                    assert_eq!(fields(carried), fields(&body["entities"][0]));
                    scenes += 1;
                    let texts = body["entities"][0]["texts"].as_array().unwrap();
                    assert_eq!(texts.len(), body["entities"][0]["spheres"].as_array().unwrap().len());
                    named |= texts.iter().any(|t| t["text"] == "ana");
                }
                "foxglove.GeoJSON" => {
                    plans += 1;
                    let plan: Value = serde_json::from_str(body["geojson"].as_str().unwrap()).unwrap();
                    assert!(plan["features"].as_array().unwrap().len() >= 3);
                }
                "foxglove.Log" => lines += 1,
                other => panic!("{other}"),
            }
        }
        assert_eq!((scenes, plans, lines), (exported.scenes, 1, exported.lines));
        assert!(named, "ana is in the scene");
        assert!(foxglove(Recording::open(&path).unwrap(), &out, &mut ()).is_err(), "nothing is replaced");
    }
}
