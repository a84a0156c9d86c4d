//! How every sensor is doing, and what the sensors of a zone say about somebody being there.
//!
//! A sensor is alive while it is heard within the silence that it may keep: its declared `stale` time, else three of
//! its periods where it declares a rate. One that speaks only when something happens is unknown until first heard.

use crate::deadlines::Deadlines;
use crate::in_place::Stamped;
use osmose_model::device::{Evidence, Sensor, SensorKind};
use osmose_model::ids::{SensorId, ZoneId};
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::{Reading, SensorStatus};

/// Every sensor.
#[derive(Clone, Debug)]
pub(crate) struct Sensors {
    status: Vec<SensorStatus>,
    /// How long each may be silent; `None` where it speaks only when something happens.
    silence: Vec<Option<DurationNs>>,
    /// When each becomes stale, by its number; and when what a change of it said is over, that many numbers later.
    pub(crate) due: Deadlines,
    /// How long a change of a two-state sensor counts, where it does.
    hold: Vec<Option<DurationNs>>,
    /// When each two-state sensor last changed.
    changed_at: Vec<Option<LogicalNs>>,
    /// Stamps what two-state sensors said.
    said: Stamped<()>,
    /// Per zone: the sensors whose word counts for it, ascending.
    evidence: Vec<Vec<(SensorId, Evidence)>>,
}

/// What sensors said last, and when two-state ones last changed: to go back to.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptReadings {
    /// Of what two-state sensors said; of none before the first copy.
    stamp: Option<u64>,
    readings: Vec<(Option<Reading>, Option<LogicalNs>, Option<LogicalNs>)>,
}

impl Sensors {
    /// The site's sensors, none of them heard yet.
    pub(crate) fn new(site: &Site) -> Self {
        let mut by_zone = vec![Vec::new(); site.zones.len()];
        for sensor in &site.sensors {
            if let Some(worth) = sensor.evidence() {
                for zone in site.zones_told_by(sensor) {
                    by_zone[zone.index()].push((sensor.id, worth));
                }
            }
        }
        let silence: Vec<_> = site.sensors.iter().map(Sensor::silence_max).collect();
        let mut due = Deadlines::new(2 * site.sensors.len());
        for (i, d) in silence.iter().enumerate() {
            due.set(i, d.map(|d| LogicalNs(0).plus(d)));
        }
        Self {
            status: vec![SensorStatus::default(); site.sensors.len()],
            silence,
            due,
            hold: site.sensors.iter().map(Sensor::change_counts_for).collect(),
            changed_at: vec![None; site.sensors.len()],
            said: Stamped::new(()),
            evidence: by_zone,
        }
    }

    /// Takes the sensor to whom something happens first, by time alone.
    pub(crate) fn pop_due(&mut self) -> Option<SensorId> {
        let (_, number) = self.due.pop()?;
        if number >= self.status.len() {
            // What a reading meant is over: going back to before that must find it due again.
            self.said.touch();
        }
        Some(SensorId((number % self.status.len()) as u16))
    }

    pub(crate) fn status(&self, sensor: SensorId) -> SensorStatus {
        self.status.get(sensor.index()).copied().unwrap_or_default()
    }

    /// The sensor was heard at `now`; true where that changes whether it is alive.
    pub(crate) fn hear(&mut self, sensor: SensorId, now: LogicalNs) -> bool {
        let changes = self.alive(sensor, now) != Tri::True;
        let status = &mut self.status[sensor.index()];
        status.heard_at = Some(now);
        status.count += 1;
        if let Some(silence) = self.silence[sensor.index()] {
            self.due.set(sensor.index(), Some(now.plus(silence)));
        }
        changes
    }

    /// The sensor's reading at `measured`; an older one than is known changes nothing. True where it was taken.
    pub(crate) fn read(&mut self, sensor: SensorId, reading: Reading, measured: LogicalNs) -> bool {
        let status = &mut self.status[sensor.index()];
        if status.reading_at.is_some_and(|at| at > measured) {
            return false;
        }
        let before = status.reading.replace(reading);
        status.reading_at = Some(measured);
        if let Reading::Switch(_) = reading {
            self.said.touch();
        }
        if let (Some(hold), Some(Reading::Switch(_)), true) =
            (self.hold[sensor.index()], before, before != Some(reading))
        {
            self.changed_at[sensor.index()] = Some(measured);
            let heard_at = self.status[sensor.index()].heard_at.unwrap_or(measured);
            let over = Some(measured.plus(hold)).filter(|over| *over > heard_at);
            self.due.set(self.status.len() + sensor.index(), over);
        }
        true
    }

    /// Whether a sensor is alive at `now`. One never heard is unknown for as long as it may be silent, counted from the
    /// beginning of the log, and then dead.
    pub(crate) fn alive(&self, sensor: SensorId, now: LogicalNs) -> Tri {
        let Some(status) = self.status.get(sensor.index()) else { return Tri::Unknown };
        match (self.silence[sensor.index()], status.heard_at) {
            (None, None) => Tri::Unknown,
            (None, Some(_)) => Tri::True,
            (Some(d), None) if now < LogicalNs(0).plus(d) => Tri::Unknown,
            (Some(_), None) => Tri::False,
            (Some(d), Some(heard)) => (now < heard.plus(d)).into(),
        }
    }

    /// Whether any sensor speaks for a zone.
    pub(crate) fn has_evidence(&self, zone: ZoneId) -> bool {
        self.evidence.get(zone.index()).is_some_and(|e| !e.is_empty())
    }

    /// Whether somebody is in a zone, by sensors alone: true where one says so, false where each is alive and silent,
    /// else unknown; unknown where no sensor speaks for the zone.
    pub(crate) fn somebody(&self, zone: ZoneId, now: LogicalNs) -> Tri {
        let Some(evidence) = self.evidence.get(zone.index()).filter(|e| !e.is_empty()) else { return Tri::Unknown };
        let mut somebody = Tri::False;
        for &(sensor, worth) in evidence {
            let says = match (worth, self.alive(sensor, now), self.status[sensor.index()].reading) {
                (Evidence::Unused, ..) | (_, Tri::False | Tri::Unknown, _) => Tri::Unknown,
                (Evidence::Tracks, Tri::True, _) => Tri::False,
                (Evidence::Switch, Tri::True, Some(Reading::Switch(on))) => on.into(),
                (Evidence::Change, Tri::True, _) => self.says_change(sensor, now).into(),
                (Evidence::Count, Tri::True, Some(Reading::People(n))) => (n > 0).into(),
                (Evidence::Switch | Evidence::Count, Tri::True, _) => Tri::Unknown,
            };
            somebody = somebody.or(says);
        }
        somebody
    }

    /// Whether a sensor changed so lately that it still says that somebody is there.
    fn says_change(&self, sensor: SensorId, now: LogicalNs) -> bool {
        let until = |hold| self.changed_at[sensor.index()].map(|at: LogicalNs| at.plus(hold));
        self.hold[sensor.index()].and_then(until).is_some_and(|until| now < until)
    }

    /// Notes what two-state sensors said last: a re-run weighs it again.
    pub(crate) fn keep(&self, to: &mut KeptReadings) {
        let kept =
            self.status.iter().zip(&self.changed_at).map(|(s, changed_at)| (s.reading, s.reading_at, *changed_at));
        if to.stamp != Some(self.said.stamp()) {
            to.stamp = Some(self.said.stamp());
            to.readings.clear();
            to.readings.extend(kept);
        }
    }

    /// Two-state sensors say again what they said by `now`. Who was heard when stays: that is a matter of arrival.
    pub(crate) fn go_back(&mut self, site: &Site, to: &KeptReadings, now: LogicalNs) {
        let Some(stamp) = to.stamp.filter(|stamp| *stamp != self.said.stamp()) else { return };
        self.said.go_back(stamp, |()| ());
        for (sensor, &(reading, reading_at, changed_at)) in site.sensors.iter().zip(&to.readings) {
            let i = sensor.id.index();
            if sensor.kind == SensorKind::Binary {
                (self.status[i].reading, self.status[i].reading_at) = (reading, reading_at);
                self.changed_at[i] = changed_at;
                let over = self.hold[i].and_then(|hold| changed_at.map(|at| at.plus(hold)));
                self.due.set(self.status.len() + i, over.filter(|over| *over > now));
            }
        }
    }

    /// Every status and last change, for `save`.
    pub(crate) fn saved(&self) -> Vec<(SensorStatus, Option<LogicalNs>)> {
        self.status.iter().copied().zip(self.changed_at.iter().copied()).collect()
    }

    /// Takes saved statuses back; false where they are of other sensors. Sensors already known to be stale by `now`
    /// are not due again.
    pub(crate) fn refill(&mut self, saved: Vec<(SensorStatus, Option<LogicalNs>)>, now: LogicalNs) -> bool {
        if saved.len() != self.status.len() {
            return false;
        }
        (self.status, self.changed_at) = saved.into_iter().unzip();
        self.said.touch();
        for (i, hold) in self.hold.iter().enumerate() {
            let due = hold.and_then(|hold| self.changed_at[i].map(|at| at.plus(hold)));
            self.due.set(self.status.len() + i, due.filter(|d| *d > now));
        }
        for (i, silence) in self.silence.iter().enumerate() {
            let due = silence.map(|d| self.status[i].heard_at.unwrap_or(LogicalNs(0)).plus(d));
            self.due.set(i, due.filter(|d| *d > now));
        }
        true
    }
}
