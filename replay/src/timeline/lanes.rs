//! The lanes of a timeline: people by zone and column, and what each device was.

use osmose_model::command::{Command, Value};
use osmose_model::ids::{ActuatorId, Name, TrackId, ZoneId};
use osmose_model::input::Report;
use osmose_model::site::Site;
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, WorldEvent};
use std::collections::BTreeMap;

/// Most people followed at a time.
const TRACKS_MAX: usize = 100_000;
/// Most changes kept of one device.
const CHANGES_MAX: usize = 20_000;

/// How many people were in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Which zone.
    pub zone: ZoneId,
    /// By column: most people seen in it at once.
    pub people: Vec<u16>,
}

/// What a device was.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceLane {
    /// Which device.
    pub device: ActuatorId,
    /// Its `state` from an instant on, by its report or, where it reports nothing, by what it was told.
    pub changes: Vec<(LogicalNs, Name)>,
    /// Changes beyond the kept ones.
    pub more: u64,
}

/// The column of an instant.
pub(super) fn bin_of(span: (LogicalNs, LogicalNs), bins: usize, at: LogicalNs) -> usize {
    let length = span.1.since(span.0).0.max(1);
    let part = at.since(span.0).0.clamp(0, length - 1);
    (i128::from(part) * bins as i128 / i128::from(length)) as usize
}

/// People by what events say of them.
pub(super) struct People {
    span: (LogicalNs, LogicalNs),
    bins: usize,
    /// Where each is, and whether seen.
    tracks: BTreeMap<TrackId, (Vec<ZoneId>, bool)>,
    /// By zone: seen now, the column reached, and most by column.
    zones: Vec<(u16, usize, Vec<u16>)>,
}

impl People {
    pub(super) fn new(site: &Site, span: (LogicalNs, LogicalNs), bins: usize) -> Self {
        let zones = vec![(0, 0, vec![0; bins]); site.zones.len()];
        Self { span, bins, tracks: BTreeMap::new(), zones }
    }

    /// A zone has another number of people from an instant on.
    fn count(&mut self, zone: ZoneId, at: LogicalNs, change: i32) {
        let bin = bin_of(self.span, self.bins, at);
        let Some((now, reached, most)) = self.zones.get_mut(zone.index()) else { return };
        most[*reached..=bin.max(*reached)].iter_mut().for_each(|m| *m = (*m).max(*now));
        *now = now.saturating_add_signed(i16::try_from(change).unwrap_or(0));
        *reached = bin.max(*reached);
        most[*reached] = most[*reached].max(*now);
    }

    fn counts(&mut self, zones: &[ZoneId], at: LogicalNs, change: i32) {
        zones.iter().for_each(|z| self.count(*z, at, change));
    }

    pub(super) fn event(&mut self, site: &Site, at: LogicalNs, e: &WorldEvent) {
        if self.tracks.len() >= TRACKS_MAX && !self.tracks.contains_key(&e.track) {
            return;
        }
        match e.kind {
            EventKind::Appears => {
                let kind = e.sensor.and_then(|s| site.sensors.get(s.index())).map(|s| s.kind);
                if kind.is_some_and(super::is_somebody_at_once) {
                    self.fill(site, at, e);
                }
            }
            EventKind::Confirmed => self.fill(site, at, e),
            EventKind::Enters | EventKind::Leaves => {
                let Some(zone) = e.zone else { return };
                let (zones, seen) = self.tracks.entry(e.track).or_insert_with(|| (Vec::new(), true));
                let (was, enters, seen) = (zones.contains(&zone), e.kind == EventKind::Enters, *seen);
                if was == enters {
                    return;
                }
                zones.retain(|z| *z != zone);
                if enters {
                    zones.push(zone);
                }
                if seen {
                    self.count(zone, at, if enters { 1 } else { -1 });
                }
            }
            EventKind::Lost | EventKind::Found => {
                let found = e.kind == EventKind::Found;
                let Some((zones, seen)) = self.tracks.get_mut(&e.track) else { return };
                if std::mem::replace(seen, found) != found {
                    let zones = zones.clone();
                    self.counts(&zones, at, if found { 1 } else { -1 });
                }
            }
            EventKind::Identified | EventKind::Swapped => {}
        }
    }

    /// Somebody is there: his zones were filled in without an event for each.
    fn fill(&mut self, site: &Site, at: LogicalNs, e: &WorldEvent) {
        let inside = |z: &&osmose_model::site::Zone| {
            z.level == e.place.level && z.area.depth(e.place.at) >= z.margins.enter_margin_m
        };
        let zones: Vec<ZoneId> = site.zones.iter().filter(inside).map(|z| z.id).collect();
        if let Some((before, true)) = self.tracks.insert(e.track, (zones.clone(), true)) {
            self.counts(&before, at, -1);
        }
        self.counts(&zones, at, 1);
    }

    pub(super) fn finish(mut self, end: LogicalNs) -> Vec<Lane> {
        for zone in 0..self.zones.len() {
            self.count(ZoneId(zone as u16), end, 0);
        }
        let lanes =
            self.zones.into_iter().enumerate().map(|(i, (_, _, people))| Lane { zone: ZoneId(i as u16), people });
        lanes.filter(|lane| lane.people.iter().any(|n| *n > 0)).collect()
    }
}

/// Devices by what they report, and where they report nothing by what they are told.
pub(super) struct Told {
    /// By device: whether it has reported, and its lane.
    devices: Vec<(bool, DeviceLane)>,
}

impl Told {
    pub(super) fn new(site: &Site) -> Self {
        let lane = |device| (false, DeviceLane { device, changes: Vec::new(), more: 0 });
        Self { devices: site.actuators.iter().map(|a| lane(a.id)).collect() }
    }

    fn put(lane: &mut DeviceLane, at: LogicalNs, state: Name) {
        if lane.changes.last().is_some_and(|(_, s)| *s == state) {
            return;
        }
        if lane.changes.len() == CHANGES_MAX {
            lane.more += 1;
        } else {
            lane.changes.push((at, state));
        }
    }

    pub(super) fn reported(&mut self, at: LogicalNs, report: &Report) {
        let Some((reports, lane)) = self.devices.get_mut(report.actuator.index()) else { return };
        if let (true, Value::Name(state)) = (report.property == "state", report.value) {
            *reports = true;
            Self::put(lane, at, state);
        }
    }

    pub(super) fn commanded(&mut self, site: &Site, c: &Command) {
        let Some(actuator) = site.actuators.get(c.device.index()) else { return };
        let Some((false, lane)) = self.devices.get_mut(c.device.index()) else { return };
        actuator.kind.outcomes(c.verb, &c.args, |property, value| {
            if let (true, Value::Name(state)) = (property == "state", value) {
                Self::put(lane, c.at, state);
            }
        });
    }

    pub(super) fn finish(self) -> Vec<DeviceLane> {
        self.devices.into_iter().map(|(_, lane)| lane).filter(|lane| !lane.changes.is_empty()).collect()
    }
}
