//! `osmose trace export --geojson`: where each track went, as one feature each. In WGS-84 where the site says where it
//! is on earth; else in its own metres, which `"frame": "local"` says.

use super::ExportError;
use crate::drive::sinks::Each;
use crate::drive::{Options, Osmose, Replay, Sinks, Watch, Workshop};
use crate::trace::recording::{Items, Recording};
use crate::words;
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{PersonId, TrackId};
use osmose_model::site::Frame;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::Presence;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// When somebody was where, taken for whom.
type At = (LogicalNs, Place, Option<PersonId>);

/// A track's point is written where it moved this far, or after [`STEP`].
const STEP_M: f64 = 0.1;
/// A track's point is written after this long.
const STEP: DurationNs = DurationNs::from_s(1);
/// Most points of all tracks together; beyond, no more are taken and the collection says so.
const POINTS_MAX: usize = 2_000_000;

const A_M: f64 = 6_378_137.0;
const F: f64 = 1.0 / 298.257_223_563;
const E2: f64 = F * (2.0 - F);

/// Site metres to degrees: the inverse of how the loader places a plan (east and north on the plane that touches the
/// WGS-84 ellipsoid at the origin).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Earth {
    lat_rad: f64,
    lon_rad: f64,
    rotation_rad: f64,
}

fn ecef(lat: f64, lon: f64) -> [f64; 3] {
    let n = A_M / (1.0 - E2 * lat.sin() * lat.sin()).sqrt();
    [n * lat.cos() * lon.cos(), n * lat.cos() * lon.sin(), n * (1.0 - E2) * lat.sin()]
}

impl Earth {
    pub(crate) fn of(frame: &Frame) -> Option<Self> {
        let (lat, lon) = frame.origin_deg?;
        Some(Self { lat_rad: lat.to_radians(), lon_rad: lon.to_radians(), rotation_rad: frame.rotation_rad })
    }

    /// East and north of a latitude and longitude, metres.
    fn enu(self, lat: f64, lon: f64) -> (f64, f64) {
        let (p, o) = (ecef(lat, lon), ecef(self.lat_rad, self.lon_rad));
        let d = [p[0] - o[0], p[1] - o[1], p[2] - o[2]];
        let out = self.lon_rad.cos() * d[0] + self.lon_rad.sin() * d[1];
        (self.lon_rad.cos() * d[1] - self.lon_rad.sin() * d[0], self.lat_rad.cos() * d[2] - self.lat_rad.sin() * out)
    }

    /// Longitude and latitude of a point of the site, degrees. Newton's method on the way there: a building is so
    /// small against the earth that three steps reach the last bits.
    pub(crate) fn degrees(self, p: Point) -> [f64; 2] {
        let (sin, cos) = self.rotation_rad.sin_cos();
        let (east, north) = (cos * p.x_m - sin * p.y_m, sin * p.x_m + cos * p.y_m);
        let w = (1.0 - E2 * self.lat_rad.sin() * self.lat_rad.sin()).sqrt();
        // Radii of curvature: along the meridian, and across it.
        let (along, across) = (A_M * (1.0 - E2) / (w * w * w), A_M / w);
        let (mut lat, mut lon) = (self.lat_rad, self.lon_rad);
        for _ in 0..4 {
            let (e, n) = self.enu(lat, lon);
            lat += (north - n) / along;
            lon += (east - e) / (across * self.lat_rad.cos());
        }
        [lon.to_degrees(), lat.to_degrees()]
    }
}

#[derive(Default)]
struct Paths {
    by_track: BTreeMap<TrackId, Vec<At>>,
    points: usize,
}

/// The tracks of a recording as GeoJSON.
///
/// # Errors
/// [`ExportError`].
pub fn tracks(recording: Recording, watch: &mut dyn Watch) -> Result<Value, ExportError> {
    let workshop = Osmose::of_files(recording.files())?;
    let site = workshop.site().clone();
    let paths = Rc::new(RefCell::new(Paths::default()));
    let sink = paths.clone();
    let each: Each = Box::new(move |tag, _, _, view| {
        let Paths { by_track, points } = &mut *sink.borrow_mut();
        view.for_each_occupant(&mut |o| {
            if o.presence != Presence::Seen || *points >= POINTS_MAX {
                return;
            }
            let path = by_track.entry(o.track).or_default();
            let far = path.last().is_none_or(|(at, place, person)| {
                place.at.distance(o.place.at) >= STEP_M
                    || place.level != o.place.level
                    || tag.at.since(*at) >= STEP
                    || *person != o.person
            });
            if far {
                path.push((tag.at, o.place, o.person));
                *points += 1;
            }
        });
    });
    let sinks = Sinks { each: Some(each), ..Sinks::default() };
    Replay::new(recording, workshop, Options { sinks, ..Options::default() })?.run(watch)?;
    let paths = paths.borrow();
    let earth = Earth::of(&site.frame);
    let corner = |p: &Place| earth.map_or([p.at.x_m, p.at.y_m], |e| e.degrees(p.at));
    let feature = |(track, path): (&TrackId, &Vec<At>)| {
        let corners: Vec<[f64; 2]> = path.iter().map(|(_, p, _)| corner(p)).collect();
        let geometry = match corners.as_slice() {
            [one] => json!({"type": "Point", "coordinates": one}),
            many => json!({"type": "LineString", "coordinates": many}),
        };
        let mut people: Vec<&str> = path.iter().filter_map(|(.., p)| p.map(|p| words::person(&site, p))).collect();
        people.dedup();
        let level = path.last().and_then(|(_, p, _)| site.levels.get(p.level.index())).map(|l| l.name.as_str());
        let times: Vec<f64> = path.iter().map(|(t, ..)| t.0 as f64 / 1e9).collect();
        json!({"type": "Feature", "id": track.0, "geometry": geometry,
            "properties": {"track": track.0, "person": people.last(), "people": people, "level": level, "t_s": times}})
    };
    let mut collection =
        json!({"type": "FeatureCollection", "features": paths.by_track.iter().map(feature).collect::<Vec<_>>()});
    if earth.is_none() {
        collection["frame"] = json!("local");
    }
    if paths.points >= POINTS_MAX {
        collection["cut_at_points"] = json!(POINTS_MAX);
    }
    Ok(collection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{live, walk};

    #[test]
    fn every_track_is_a_line_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        std::fs::write(&path, live(&walk(10), 0)).unwrap();
        let map = tracks(Recording::open(&path).unwrap(), &mut ()).unwrap();
        assert_eq!((&map["type"], &map["frame"]), (&json!("FeatureCollection"), &json!("local")));
        let features = map["features"].as_array().unwrap();
        let ana = features.iter().find(|f| f["properties"]["person"] == "ana").expect("her tag is heard");
        let (line, times) = (&ana["geometry"]["coordinates"], &ana["properties"]["t_s"]);
        assert_eq!(line.as_array().unwrap().len(), times.as_array().unwrap().len());
        assert!(line.as_array().unwrap().len() > 50, "{ana}");
        assert_eq!(line[0], json!([1.0, 2.0]));
        // RFC 7946: a feature has these members, a line of two positions at least; times never go back.
        for f in features {
            assert_eq!(f["type"], "Feature");
            let kind = f["geometry"]["type"].as_str().unwrap();
            assert!(matches!(kind, "LineString" | "Point"), "{kind}");
            let keys: Vec<&str> = f["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            assert!(["track", "person", "t_s"].iter().all(|k| keys.contains(k)), "{keys:?}");
            let times: Vec<f64> =
                f["properties"]["t_s"].as_array().unwrap().iter().map(|t| t.as_f64().unwrap()).collect();
            assert!(times.is_sorted(), "{f}");
        }
    }

    #[test]
    fn degrees_are_the_way_back_of_the_loaders_metres() {
        let earth = Earth { lat_rad: 52.2053_f64.to_radians(), lon_rad: 0.1218_f64.to_radians(), rotation_rad: 0.3 };
        for (x_m, y_m) in [(0.0, 0.0), (120.0, -45.0), (-800.0, 650.0)] {
            let [lon, lat] = earth.degrees(Point::new(x_m, y_m));
            let (east, north) = earth.enu(lat.to_radians(), lon.to_radians());
            let (sin, cos) = earth.rotation_rad.sin_cos();
            let back = (cos * east + sin * north, cos * north - sin * east);
            assert!((back.0 - x_m).abs() < 1e-6 && (back.1 - y_m).abs() < 1e-6, "{back:?}");
        }
        let [lon, lat] = earth.degrees(Point::new(0.0, 0.0));
        assert!((lon - 0.1218).abs() < 1e-12 && (lat - 52.2053).abs() < 1e-12);
    }
}
