//! What was not taken, and from whom: every reason counted per device, each told once with its source.

use super::PortId;
use crate::reason::{Fault, REASONS, Reason};
use osmose_model::ids::{ActuatorId, SensorId};
use osmose_model::site::Site;
use osmose_model::time::ArrivalNs;
use std::net::SocketAddr;

/// Most different first times that are told; beyond it only the counters know.
pub const FIRST_TIMES_MAX: usize = 1024;
/// Longest piece of what a stranger sent that is repeated, bytes.
const SUBJECT_BYTES_MAX: usize = 80;

/// Whom something is counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whom {
    /// A port, where the datagram does not say whose it is.
    Port(PortId),
    /// A sensor.
    Sensor(SensorId),
    /// An actuator that reports.
    Actuator(ActuatorId),
}

/// One count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count {
    /// Against whom.
    pub whom: Whom,
    /// Why.
    pub reason: Reason,
    /// How often.
    pub count: u64,
}

/// The first time that something happened, to be told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstTime {
    /// To whom.
    pub whom: Whom,
    /// What, and with which field.
    pub fault: Fault,
    /// The name that nobody knows, where the reason is one of those; cut where it is long.
    pub subject: String,
    /// Who sent it; `None` for a file.
    pub from: Option<SocketAddr>,
    /// When.
    pub arrival: ArrivalNs,
}

impl FirstTime {
    /// As a sentence for people: who, what, from where, and the way to mend it.
    #[must_use]
    pub fn sentence(&self, site: &Site, port: impl Fn(PortId) -> Option<SocketAddr>) -> String {
        let whom = match self.whom {
            Whom::Sensor(id) => site.sensors.get(id.index()).map(|s| format!("sensor {}", s.name)),
            Whom::Actuator(id) => site.actuators.get(id.index()).map(|a| format!("device {}", a.name)),
            Whom::Port(id) => port(id).map(|a| format!("port {a}")),
        };
        let whom = whom.unwrap_or_else(|| "unknown".to_owned());
        let field = if self.fault.field.is_empty() { String::new() } else { format!(" ({})", self.fault.field) };
        let subject = if self.subject.is_empty() { String::new() } else { format!(" {:?}", self.subject) };
        let from = self.from.map_or_else(String::new, |f| format!(" from {f}"));
        format!("{whom}: {}{field}{subject}{from}. {}", self.fault.reason, self.fault.reason.help())
    }
}

/// Counters and first times.
#[derive(Clone, Debug)]
pub struct Ledger {
    ports: Vec<[u64; REASONS]>,
    sensors: Vec<[u64; REASONS]>,
    actuators: Vec<[u64; REASONS]>,
    taken: Vec<u64>,
    /// What was told, ascending. Its room and that of `first_times` is taken at the start.
    told: Vec<(Whom, Reason, u64)>,
    first_times: Vec<FirstTime>,
}

impl Ledger {
    /// Nothing counted.
    #[must_use]
    pub fn new(ports: usize, sensors: usize, actuators: usize) -> Self {
        Self {
            ports: vec![[0; REASONS]; ports],
            sensors: vec![[0; REASONS]; sensors],
            actuators: vec![[0; REASONS]; actuators],
            taken: vec![0; sensors],
            told: Vec::with_capacity(FIRST_TIMES_MAX),
            first_times: Vec::with_capacity(FIRST_TIMES_MAX),
        }
    }

    fn row(&mut self, whom: Whom) -> Option<&mut [u64; REASONS]> {
        match whom {
            Whom::Port(p) => self.ports.get_mut(usize::from(p.0)),
            Whom::Sensor(s) => self.sensors.get_mut(s.index()),
            Whom::Actuator(a) => self.actuators.get_mut(a.index()),
        }
    }

    /// Counts `n` of a fault; the first of its kind from a host (or of a subject) is kept to be told.
    pub fn count(
        &mut self,
        whom: Whom,
        fault: Fault,
        n: u64,
        subject: &str,
        from: Option<SocketAddr>,
        arrival: ArrivalNs,
    ) {
        if let Some(row) = self.row(whom) {
            let cell = &mut row[fault.reason as usize];
            *cell = cell.saturating_add(n);
        }
        if self.told.len() >= FIRST_TIMES_MAX {
            return;
        }
        // The port of a sender may change with every datagram, its host does not.
        let about = match (subject, from) {
            ("", Some(from)) => xxhash_of(&from.ip().to_canonical()),
            (subject, _) => xxhash_rust::xxh3::xxh3_64(subject.as_bytes()),
        };
        let what = (whom, fault.reason, about);
        if let Err(place) = self.told.binary_search(&what) {
            self.told.insert(place, what);
            let cut = (0..=subject.len().min(SUBJECT_BYTES_MAX)).rev().find(|&i| subject.is_char_boundary(i));
            let subject = subject[..cut.unwrap_or(0)].to_owned();
            self.first_times.push(FirstTime { whom, fault, subject, from, arrival });
        }
    }

    /// Counts an observation that was taken.
    pub fn take(&mut self, sensor: SensorId) {
        self.taken[sensor.index()] += 1;
    }

    /// How many observations of a sensor were taken.
    #[must_use]
    pub fn taken(&self, sensor: SensorId) -> u64 {
        self.taken.get(sensor.index()).copied().unwrap_or(0)
    }

    /// Every count that is not zero: ports, sensors, actuators, each in order.
    pub fn counts(&self) -> impl Iterator<Item = Count> + '_ {
        let ports = self.ports.iter().enumerate().map(|(i, row)| (Whom::Port(PortId(i as u16)), row));
        let sensors = self.sensors.iter().enumerate().map(|(i, row)| (Whom::Sensor(SensorId(i as u16)), row));
        let actuators = self.actuators.iter().enumerate().map(|(i, row)| (Whom::Actuator(ActuatorId(i as u16)), row));
        ports.chain(sensors).chain(actuators).flat_map(|(whom, row)| {
            let counts = Reason::ALL.iter().zip(row).filter(|(_, n)| **n > 0);
            counts.map(move |(&reason, &count)| Count { whom, reason, count })
        })
    }

    /// How often a reason was counted against somebody.
    #[must_use]
    pub fn of(&self, whom: Whom, reason: Reason) -> u64 {
        self.counts().find(|c| (c.whom, c.reason) == (whom, reason)).map_or(0, |c| c.count)
    }

    /// Whether there are first times to be told.
    #[must_use]
    pub fn has_first_times(&self) -> bool {
        !self.first_times.is_empty()
    }

    /// The first times since the last call.
    pub fn first_times(&mut self) -> std::vec::Drain<'_, FirstTime> {
        self.first_times.drain(..)
    }
}

fn xxhash_of(ip: &std::net::IpAddr) -> u64 {
    match ip {
        std::net::IpAddr::V4(v4) => xxhash_rust::xxh3::xxh3_64(&v4.octets()),
        std::net::IpAddr::V6(v6) => xxhash_rust::xxh3::xxh3_64(&v6.octets()),
    }
}
