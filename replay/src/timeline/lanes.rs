//! The lanes of a timeline: people by zone and column, and what each device was.

use osmose_model::command::{Command, Value};
use osmose_model::device::SensorKind;
use osmose_model::ids::{ActuatorId, Name, TrackId, ZoneId};
use osmose_model::input::Report;
use osmose_model::site::Site;
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, Presence, WorldEvent, WorldView};
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

/// Where everybody is, by what events say.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    /// Where each is, and whether seen.
    tracks: BTreeMap<TrackId, (Vec<ZoneId>, bool)>,
}

impl Whereabouts {
    /// Takes who is there where a recording begins inside a log.
    pub(crate) fn begin(&mut self, view: &dyn WorldView, mut change: impl FnMut(ZoneId, i16)) {
        view.for_each_occupant(&mut |o| {
            let seen = o.presence == Presence::Seen;
            if self.tracks.len() < TRACKS_MAX && !o.zones.is_empty() {
                self.tracks.insert(o.track, (o.zones.to_vec(), seen));
                o.zones.iter().filter(|_| seen).for_each(|z| change(*z, 1));
            }
        });
    }

    /// Takes an event; `change` is told by how much the people seen in a zone are more or fewer.
    pub(crate) fn event(&mut self, site: &Site, e: &WorldEvent, mut change: impl FnMut(ZoneId, i16)) {
        if self.tracks.len() >= TRACKS_MAX && !self.tracks.contains_key(&e.track) {
            return;
        }
        match e.kind {
            EventKind::Appears => {
                let kind = e.sensor.and_then(|s| site.sensors.get(s.index())).map(|s| s.kind);
                if kind.is_some_and(is_somebody_at_once) {
                    self.fill(site, e, change);
                }
            }
            EventKind::Confirmed => self.fill(site, e, change),
            EventKind::Enters | EventKind::Leaves => {
                let Some(zone) = e.zone else { return };
                let (zones, seen) = self.tracks.entry(e.track).or_insert_with(|| (Vec::new(), true));
                let (was, enters) = (zones.contains(&zone), e.kind == EventKind::Enters);
                if was == enters {
                    return;
                }
                zones.retain(|z| *z != zone);
                if enters {
                    zones.push(zone);
                }
                if *seen {
                    change(zone, if enters { 1 } else { -1 });
                }
            }
            EventKind::Lost | EventKind::Found => {
                let found = e.kind == EventKind::Found;
                let Some((zones, seen)) = self.tracks.get_mut(&e.track) else { return };
                if std::mem::replace(seen, found) != found {
                    zones.iter().for_each(|z| change(*z, if found { 1 } else { -1 }));
                }
            }
            EventKind::Identified | EventKind::Swapped => {}
        }
    }

    /// Somebody is there: his zones were filled in without an event for each.
    fn fill(&mut self, site: &Site, e: &WorldEvent, mut change: impl FnMut(ZoneId, i16)) {
        let inside = |z: &&osmose_model::site::Zone| {
            z.level == e.place.level && z.area.depth(e.place.at) >= z.margins.enter_margin_m
        };
        let zones: Vec<ZoneId> = site.zones.iter().filter(inside).map(|z| z.id).collect();
        let before = self.tracks.insert(e.track, (zones.clone(), true));
        let before = before.filter(|(_, seen)| *seen).map_or_else(Vec::new, |(zones, _)| zones);
        before.iter().filter(|z| !zones.contains(z)).for_each(|z| change(*z, -1));
        zones.iter().filter(|z| !before.contains(z)).for_each(|z| change(*z, 1));
    }
}

/// Whether somebody who appears by such a sensor is somebody at once: a fix is, a detection has to prove it first.
const fn is_somebody_at_once(kind: SensorKind) -> bool {
    matches!(kind, SensorKind::Location)
}

/// How many people are in each zone, by column.
pub(super) struct People {
    span: (LogicalNs, LogicalNs),
    bins: usize,
    whereabouts: Whereabouts,
    zones: Vec<Column>,
}

/// One zone's people on the way.
#[derive(Clone)]
struct Column {
    /// Seen now.
    now: u16,
    /// The column reached.
    reached: usize,
    /// Most, by column.
    most: Vec<u16>,
}

impl Column {
    /// There are so many more or fewer from a column on.
    fn change(&mut self, bin: usize, by: i16) {
        let bin = bin.max(self.reached);
        self.most[self.reached..=bin].iter_mut().for_each(|m| *m = (*m).max(self.now));
        self.now = self.now.saturating_add_signed(by);
        self.reached = bin;
        self.most[bin] = self.most[bin].max(self.now);
    }
}

impl People {
    pub(super) fn new(site: &Site, span: (LogicalNs, LogicalNs), bins: usize) -> Self {
        let zones = vec![Column { now: 0, reached: 0, most: vec![0; bins] }; site.zones.len()];
        Self { span, bins, whereabouts: Whereabouts::default(), zones }
    }

    pub(super) fn begin(&mut self, view: &dyn WorldView) {
        self.whereabouts.begin(view, |zone, by| {
            if let Some(column) = self.zones.get_mut(zone.index()) {
                column.change(0, by);
            }
        });
    }

    pub(super) fn event(&mut self, site: &Site, at: LogicalNs, e: &WorldEvent) {
        let bin = bin_of(self.span, self.bins, at);
        self.whereabouts.event(site, e, |zone, by| {
            if let Some(column) = self.zones.get_mut(zone.index()) {
                column.change(bin, by);
            }
        });
    }

    pub(super) fn finish(mut self, end: LogicalNs) -> Vec<Lane> {
        let bin = bin_of(self.span, self.bins, end);
        self.zones.iter_mut().for_each(|column| column.change(bin, 0));
        let lanes = (0..).zip(self.zones).map(|(i, column)| Lane { zone: ZoneId(i), people: column.most });
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

    /// What devices were where a recording begins inside a log.
    pub(super) fn begin(&mut self, at: LogicalNs, view: &dyn WorldView) {
        for (_, lane) in &mut self.devices {
            if let Some(Value::Name(state)) = Name::new("state").and_then(|state| view.device(lane.device, state)) {
                Self::put(lane, at, state);
            }
        }
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
