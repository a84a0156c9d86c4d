//! Sensors that watch nothing, or not what they are said to. (Those outside of the building the loader refuses.)

use super::rooms::to_geo;
use super::scene::Scene;
use super::{Report, listed, place};
use geo::{Area as _, BooleanOps as _};
use osmose_model::device::Sensor;
use osmose_model::geometry::{Area, Point};

/// A view that shares less than this with anything watches nothing, m².
const SEEN_MIN_M2: f64 = 0.1;

pub(super) fn idle(scenes: &[Scene<'_>], report: &mut Report<'_>) {
    let site = report.site;
    for sensor in &site.sensors {
        let Some(scene) = scenes.get(sensor.level.index()) else { continue };
        let Some(view) = &sensor.field_of_view else { continue };
        let view = to_geo(&Area { parts: vec![view.clone()] });
        let seen = |area: &Area| to_geo(area).intersection(&view).unsigned_area();
        let at = Point::new(sensor.pose.x_m, sensor.pose.y_m);
        let mut say = |message: String, help: &str| {
            report.add("covers-nothing", ("sensor", &sensor.name), (sensor.level, Some(at)), message, help);
        };
        let any = site.zones.iter().filter(|z| z.level == sensor.level).any(|z| seen(&z.area) >= SEEN_MIN_M2);
        if !any {
            let message = format!("Sensor `{}` at {} looks at no room: its view covers none.", sensor.name, place(at));
            say(message, "Correct `field_of_view`, in site metres, or its `level`.");
            continue;
        }
        if let Some(missed) = said_and_not_seen(scene, sensor, &seen) {
            let message = format!(
                "Sensor `{}` at {} is said to be in {missed}, which its view does not reach.",
                sensor.name,
                place(at)
            );
            say(message, "Correct `zones` or `field_of_view`.");
        }
    }
}

/// The rooms that a sensor names and its view does not reach.
fn said_and_not_seen(scene: &Scene<'_>, sensor: &Sensor, seen: &dyn Fn(&Area) -> f64) -> Option<String> {
    let zones = sensor.zones.iter().map(|z| &scene.site.zones[z.index()]);
    let missed: Vec<&str> = zones.filter(|z| seen(&z.area) < SEEN_MIN_M2).map(|z| z.name.as_str()).collect();
    (!missed.is_empty()).then(|| listed(&missed))
}
