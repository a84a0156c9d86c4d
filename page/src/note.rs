//! What happened, as the page is told: by a tap of a running engine, or by the steps of a replay.

use osmose_model::command::Command;
use osmose_model::geometry::Point;
use osmose_model::ids::{LevelId, SensorId};
use osmose_model::input::{Gap, Input, OperatorAction, Report, Shed, Tag};
use osmose_model::observation::{Body, Direction};
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::LogicalNs;
use osmose_model::world::WorldEvent;
use osmose_runtime::tap::Timing;

/// Points of one frame that are shown at most.
pub const POINTS_MAX: usize = 64;

/// What a sensor just saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Which sensor.
    pub sensor: SensorId,
    /// When it was true.
    pub measured: LogicalNs,
    /// Where it saw something, and on which level.
    pub points: Vec<(LevelId, Point)>,
    /// What it said, for sensors that point at no place.
    pub said: Option<String>,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Note {
    /// To a track.
    Event(Tag, WorldEvent),
    /// A command, and how long it took where an engine measured that.
    Command(Tag, Box<Command>, Option<Timing>),
    /// A sensor's frame.
    Sight(Sight),
    /// A device said something of itself.
    Report(Tag, Report),
    /// Inputs did not get in.
    Shed(Tag, Shed),
    /// A stretch is missing.
    Gap(Tag, Gap),
    /// Somebody acted by hand.
    Operator(Tag, OperatorAction),
    /// Other rules hold from here on.
    Rules(Tag, Vec<SourceFile>),
    /// The page was told nothing of so many things.
    Lost(u64),
}

impl Note {
    /// The note of an input, where the page is told of it.
    #[must_use]
    pub fn of(site: &Site, tag: Tag, input: &Input<'_>) -> Option<Self> {
        match *input {
            Input::Observation(ref o) => {
                let (points, said) = seen(site, o.sensor, &o.body);
                Some(Self::Sight(Sight { sensor: o.sensor, measured: o.measured, points, said }))
            }
            Input::Report(r) => Some(Self::Report(tag, r)),
            Input::Shed(s) => Some(Self::Shed(tag, s)),
            Input::Gap(g) => Some(Self::Gap(tag, g)),
            Input::Operator(a) => Some(Self::Operator(tag, a)),
            Input::RulesInstalled { files } => {
                osmose_model::canon::decode_files(files).ok().map(|files| Self::Rules(tag, files))
            }
            Input::Tick | Input::Anchor(_) | Input::SiteInstalled { .. } | Input::Named { .. } => None,
        }
    }
}

/// Where a frame points, and what it says.
fn seen(site: &Site, sensor: SensorId, body: &Body<'_>) -> (Vec<(LevelId, Point)>, Option<String>) {
    let at = |p: &osmose_model::geometry::Place| (p.level, p.at);
    let name = |key| site.carried_name(key).unwrap_or("an unknown one");
    match *body {
        Body::Location { device, ref place, .. } => (vec![at(place)], Some(name(device).to_owned())),
        Body::Position(items) => (items.iter().take(POINTS_MAX).map(|d| at(&d.place)).collect(), None),
        Body::Points(items) => (items.iter().take(POINTS_MAX).map(|p| at(&p.place)).collect(), None),
        Body::Facing { ref place, heading_rad, .. } => {
            (vec![at(place)], Some(format!("facing {:.0}°", heading_rad.to_degrees())))
        }
        Body::Gesture { ref place, ref gesture } => (vec![at(place)], Some(gesture.to_string())),
        Body::Range { device, range_m, .. } => (vec![], Some(format!("{} at {range_m:.2} m", name(device)))),
        Body::Tdoa { device, diff_m, .. } => (vec![], Some(format!("{}: {diff_m:+.2} m", name(device)))),
        Body::Rssi { device, rssi_dbm } => (vec![], Some(format!("{} at {rssi_dbm:.0} dBm", name(device)))),
        Body::Bearing(items) => {
            let all: Vec<String> =
                items.iter().take(4).map(|b| format!("{:.0}°", b.bearing_rad.to_degrees())).collect();
            (vec![], Some(if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }))
        }
        Body::Voice { person, likelihood, .. } => {
            let who = site.people.get(person.index()).map_or("?", |p| &p.name);
            (vec![], Some(format!("the voice of {who}, likelihood {likelihood:.2}")))
        }
        Body::Binary { on } => (vec![], Some(if on { "on" } else { "off" }.to_owned())),
        Body::Badge { badge } => {
            let whose = site.owner_of_badge(badge).and_then(|p| site.people.get(p.index()));
            let whose = whose.map_or("nobody known", |p| &p.name);
            (vec![], Some(format!("badge {} of {whose}", name(badge))))
        }
        Body::Crossing { direction: Direction::In } => (vec![], Some("in".to_owned())),
        Body::Crossing { direction: Direction::Out } => (vec![], Some("out".to_owned())),
        Body::Count { people } => (vec![], Some(format!("{people} people"))),
        Body::Value { value } => {
            let unit = site.sensors.get(sensor.index()).and_then(|s| s.unit).map_or("", |u| u.as_str());
            (vec![], Some(format!("{value:.1} {unit}")))
        }
        Body::Button { ref button } => (vec![], Some(button.to_string())),
    }
}
