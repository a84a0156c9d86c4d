//! Both sides' state where a recording and its replay part.
//!
//! A recording holds whole states only at its keyframes. Between them its side is what its decisions say: what each
//! device was last told, and where each track was last said to be. The replay's decisions are kept the same way, so that
//! what differs between the two differs for no other reason. At a keyframe both states are there, and are looked into.

use crate::words;
use osmose_model::command::Command;
use osmose_model::ids::{ActuatorId, Name, TrackId, ZoneId};
use osmose_model::site::Site;
use osmose_model::world::{EventKind, Presence, WorldEvent, WorldView};
use std::collections::{BTreeMap, BTreeSet};

/// Most lines shown of a side.
const LINES_MAX: usize = 12;

/// A side's devices and tracks, as its decisions left them.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    told: BTreeMap<ActuatorId, Command>,
    tracks: BTreeMap<TrackId, (WorldEvent, BTreeSet<ZoneId>)>,
}

impl Standing {
    pub(super) fn command(&mut self, command: &Command) {
        self.told.insert(command.device, command.clone());
    }

    pub(super) fn event(&mut self, event: &WorldEvent) {
        let (last, zones) = self.tracks.entry(event.track).or_insert_with(|| (*event, BTreeSet::new()));
        *last = *event;
        match (event.kind, event.zone) {
            (EventKind::Enters, Some(zone)) => drop(zones.insert(zone)),
            (EventKind::Leaves, Some(zone)) => drop(zones.remove(&zone)),
            _ => {}
        }
    }

    /// A line for each device and track.
    fn lines(&self, site: &Site) -> BTreeMap<String, String> {
        let told = self.told.values().map(|c| {
            let device = words::device(site, c.device).to_owned();
            (device, format!("told {} at {} s", words::command(site, c), c.at))
        });
        let tracks = self.tracks.iter().map(|(track, (last, zones))| {
            let who = last.person.map_or("nobody known", |p| words::person(site, p));
            let at = last.place.at;
            let (kind, zones) = (last.kind.as_str(), names(site, zones.iter()));
            (format!("track {track}"), format!("{who}, {zones}, last {kind} at {:.3}, {:.3} m", at.x_m, at.y_m))
        });
        told.chain(tracks).collect()
    }
}

fn names<'z>(site: &Site, zones: impl Iterator<Item = &'z ZoneId>) -> String {
    let names: Vec<&str> = zones.map(|z| words::zone(site, *z)).collect();
    if names.is_empty() { "in no zone".to_owned() } else { format!("in {}", names.join(", ")) }
}

/// A line for each device and occupant of a whole state.
fn whole(view: &dyn WorldView) -> BTreeMap<String, String> {
    let site = view.site();
    let mut lines = BTreeMap::new();
    for actuator in &site.actuators {
        let known = actuator.kind.properties().iter().filter_map(|p| {
            let value = view.device(actuator.id, Name::new(p.property)?)?;
            Some(format!("{} {}", p.property, words::value(site, &value)))
        });
        let known: Vec<String> = known.collect();
        lines.insert(actuator.name.clone(), known.join(", "));
    }
    view.for_each_occupant(&mut |o| {
        let who = o.person.map_or("nobody known", |p| words::person(site, p));
        let presence = if o.presence == Presence::Seen { "seen" } else { "lost" };
        let (at, zones) = (o.place.at, names(site, o.zones.iter()));
        let text = format!(
            "{who} ({:.3}), {presence}, {zones}, at {}, {} m, existence {}",
            o.person_p, at.x_m, at.y_m, o.existence
        );
        lines.insert(format!("track {}", o.track), text);
    });
    lines
}

/// Where two sides differ: recorded, replayed.
fn apart(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> [Vec<String>; 2] {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differ: Vec<&String> = keys.into_iter().filter(|k| a.get(*k) != b.get(*k)).collect();
    [a, b].map(|side| {
        let line = |k: &&String| format!("{k}: {}", side.get(*k).map_or("not there", String::as_str));
        let mut lines: Vec<String> = differ.iter().take(LINES_MAX).map(line).collect();
        if differ.len() > LINES_MAX {
            lines.push(format!("and {} more", differ.len() - LINES_MAX));
        }
        lines
    })
}

/// What two sides' decisions left otherwise: recorded, replayed.
pub(super) fn of_decisions(site: &Site, recorded: &Standing, replayed: &Standing) -> [Vec<String>; 2] {
    apart(&recorded.lines(site), &replayed.lines(site))
}

/// What two whole states hold otherwise, of what people read: recorded, replayed.
pub(super) fn of_states(recorded: &dyn WorldView, replayed: &dyn WorldView) -> [Vec<String>; 2] {
    apart(&whole(recorded), &whole(replayed))
}
