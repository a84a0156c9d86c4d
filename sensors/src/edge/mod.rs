//! The edge: one datagram in; observations, reports and what was lost out.
//!
//! It is pure: the sockets are the runtime's, and the time of arrival is an argument. What it remembers is bounded
//! and allocated at the start or when somebody is first heard: the senders' numbers, the last second's datagrams,
//! the clocks' offsets, the carried devices met. In the steady state it allocates nothing.
//!
//! The way of an observation: the sender is checked, the body decoded, a copy of the last second dropped, the
//! sender's number followed, the time mapped, then every claim checked and placed ([`crate::resolve`]). What falls
//! out on the way is counted under its own name against the sensor, or against the port where nobody knows whose it
//! was, and is told once.

pub mod clock;
pub mod duplicates;
mod from_json;
mod from_native;
pub mod keys;
pub mod ledger;
mod ports;
mod rates;
mod reports;
pub mod senders;

use crate::carried::News;
use crate::claim::Claim;
use crate::json::scan::Found;
use crate::reason::{Fault, Reason};
use crate::resolve::{Resolver, SensorPlan};
use clock::Clocks;
use duplicates::Duplicates;
use keys::{Keyring, Keys, SignedBy};
use ledger::{Count, FirstTime, Ledger, Whom};
use osmose_model::device::ClockKind;
use osmose_model::ids::{CarriedKey, SensorId};
use osmose_model::input::{Class, Report, Shed, ShedReason};
use osmose_model::limits::DATAGRAM_BYTES_MAX;
use osmose_model::observation::{Body, Observation, ScanBuf};
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, DeviceNs, LogicalNs};
use osmose_wire::frame::fixes::Fixes;
use ports::PortPlan;
use rates::Rates;
use senders::{Senders, Verdict};
use std::net::SocketAddr;

/// A socket to bind: index into [`Edge::ports`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u16);

/// A socket to bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub id: PortId,
    /// Where.
    pub addr: SocketAddr,
    /// The most urgent of what is said there.
    pub class: Class,
}

/// One stream of observations: a sensor as heard through one sender. Orders what arrives in the same nanosecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey(pub u64);

/// Takes what the edge makes of datagrams.
pub trait Sink {
    /// The text of an undeclared carried device's or badge's id, before the first observation that uses its key.
    fn named(&mut self, arrival: ArrivalNs, key: CarriedKey, text: &str);
    /// An observation, checked and placed.
    fn observation(&mut self, arrival: ArrivalNs, source: SourceKey, class: Class, observation: &Observation<'_>);
    /// What a device says of itself, one property.
    fn report(&mut self, arrival: ArrivalNs, report: Report);
    /// Observations that are known to be lost: skipped numbers, or older than they may be.
    fn shed(&mut self, arrival: ArrivalNs, shed: Shed);
    /// Something was not taken, or was taken with a remark (it is counted already). For `osmose listen`.
    fn remarked(&mut self, _arrival: ArrivalNs, _whom: Whom, _fault: Fault) {}
}

/// One datagram as it was read.
#[derive(Clone, Copy, Debug)]
struct Datagram<'a> {
    port: PortId,
    from: SocketAddr,
    arrival: ArrivalNs,
    bytes: &'a [u8],
    /// Who signed it.
    signed: Option<SignedBy>,
}

/// What a frame or element says as a whole.
#[derive(Clone, Copy, Debug, Default)]
struct Heading {
    seq: Option<u64>,
    /// Nanoseconds, by the clock.
    time: Option<(i64, ClockKind)>,
}

impl Heading {
    /// Whether it tells an honest repetition from a copy.
    const fn tells_apart(&self) -> bool {
        self.seq.is_some() || self.time.is_some()
    }
}

/// From datagrams to observations.
///
/// ```no_run
/// # use osmose_sensors::edge::{Edge, Sink};
/// # fn run(site: &osmose_model::site::Site, sink: &mut impl Sink) {
/// let mut edge = Edge::new(site);
/// let port = edge.ports().next().expect("a sensor that is connected").id;
/// let from = "127.0.0.1:50000".parse().expect("an address");
/// edge.datagram(port, from, osmose_model::time::ArrivalNs(1), br#"{"id":"p17","x":12.3,"y":5.6,"seq":42}"#, sink);
/// for first in edge.first_times() {
///     eprintln!("{:?}", first.fault.reason);
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Edge {
    ports: Vec<PortPlan>,
    state: State,
}

/// What is remembered, and the room that decoding works in; apart, so that one is read while the other is written.
#[derive(Clone, Debug)]
struct State {
    core: Core,
    /// The items of the scan under construction.
    scan: ScanBuf,
    /// The fixes of a frame.
    fixes: Fixes,
    /// Mapped values of a body, and of one element of it.
    found: Found,
    item: Found,
    /// Texts with escapes.
    room: String,
    /// Where reports carry what.
    pointers: reports::ReportPointers,
}

/// What is remembered from datagram to datagram.
#[derive(Clone, Debug)]
struct Core {
    sensors: Vec<SensorPlan>,
    actuators: Vec<reports::ActuatorPlan>,
    /// `from` of each sensor.
    sensor_from: Vec<Option<SocketAddr>>,
    /// The ids of the sensors that must sign; `None` for the others.
    sensor_signs: Vec<Option<Box<str>>>,
    actuator_signs: Vec<Option<Box<str>>>,
    keyring: Keyring,
    rates: Rates,
    resolver: Resolver,
    senders: Senders,
    duplicates: Duplicates,
    clocks: Clocks,
    ledger: Ledger,
}

impl Edge {
    /// The edge of a site, nothing heard yet. Nothing is taken from devices whose `connect` names a key file.
    #[must_use]
    pub fn new(site: &Site) -> Self {
        Self::with_keys(site, &Keys::default())
    }

    /// The edge of a site whose devices sign with `keys`.
    #[must_use]
    pub fn with_keys(site: &Site, keys: &Keys) -> Self {
        let keyring = Keyring::new(site, keys);
        let signs = |id: &str| keyring.wants(id).then(|| id.into());
        let ports = ports::ports(site);
        let late_max = site.engine.late_max;
        let core = Core {
            sensors: site.sensors.iter().map(|s| SensorPlan::new(s, late_max)).collect(),
            actuators: site.actuators.iter().map(reports::ActuatorPlan::new).collect(),
            sensor_from: site.sensors.iter().map(|s| s.connect.as_ref().and_then(|c| c.from)).collect(),
            sensor_signs: site.sensors.iter().map(|s| signs(&s.name)).collect(),
            actuator_signs: site.actuators.iter().map(|a| signs(&a.name)).collect(),
            rates: Rates::new(site),
            resolver: Resolver::new(site),
            senders: Senders::default(),
            duplicates: Duplicates::new(),
            clocks: Clocks::new(site.sensors.len()),
            ledger: Ledger::new(ports.len(), site.sensors.len(), site.actuators.len()),
            keyring,
        };
        let (scan, room) = (ScanBuf::new(), String::with_capacity(1024));
        let pointers = reports::ReportPointers::new();
        let fixes = Fixes::default();
        let state = State { core, scan, fixes, found: Found::default(), item: Found::default(), room, pointers };
        Self { ports, state }
    }

    /// The sockets to bind, in the order of their numbers. Sensors and reports that name one address share it.
    pub fn ports(&self) -> impl ExactSizeIterator<Item = Port> + '_ {
        self.ports.iter().map(|p| Port { id: p.id, addr: p.addr, class: p.class })
    }

    /// Takes one datagram; what it says goes to `sink`, in order. Nothing that anybody can send makes it panic.
    pub fn datagram(&mut self, port: PortId, from: SocketAddr, arrival: ArrivalNs, bytes: &[u8], sink: &mut impl Sink) {
        let Some(plan) = self.ports.get(usize::from(port.0)) else { return };
        let mut datagram = Datagram { port, from, arrival, bytes, signed: None };
        let state = &mut self.state;
        let whom = Whom::Port(port);
        // Before anything is looked at: who is nobody's device here, and who cannot prove that it is.
        if !plan.may_know(from) {
            return state.core.refuse(&datagram, whom, Fault::whole(Reason::WrongSender), "", sink);
        }
        if !state.core.keyring.is_empty() && keys::is_signed(bytes) {
            match state.core.keyring.open(bytes) {
                Ok((by, body)) => (datagram.signed, datagram.bytes) = (Some(by), body),
                Err(reason) => return state.core.refuse(&datagram, whom, Fault::whole(reason), "", sink),
            }
        }
        let bytes = datagram.bytes;
        if let Some(only) = plan.only_sensor
            && !state.core.rates.may(only, arrival)
        {
            return state.core.too_fast(&datagram, only, sink);
        }
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return state.core.refuse(&datagram, whom, Fault::whole(Reason::TooLong), "", sink);
        }
        let speaks_json = !plan.groups.is_empty() || !plan.actuators.is_empty();
        if plan.native && (!speaks_json || osmose_wire::frame::is_frame(bytes)) {
            return state.native(plan, &datagram, sink);
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return state.core.refuse(&datagram, whom, Fault::whole(Reason::MalformedJson), "", sink);
        };
        if !plan.actuators.is_empty() && state.reports(plan, &datagram, text, sink) {
            return;
        }
        state.json(plan, &datagram, text, sink);
    }

    /// Takes the people and carried devices of a site whose people changed; its sensors are the same.
    pub fn install_people(&mut self, site: &Site) {
        self.state.core.resolver.install(site);
    }

    /// Every count that is not zero.
    pub fn counters(&self) -> impl Iterator<Item = Count> + '_ {
        self.state.core.ledger.counts()
    }

    /// How often a reason was counted against somebody.
    #[must_use]
    pub fn count_of(&self, whom: Whom, reason: Reason) -> u64 {
        self.state.core.ledger.of(whom, reason)
    }

    /// How many observations of a sensor were taken.
    #[must_use]
    pub fn taken(&self, sensor: SensorId) -> u64 {
        self.state.core.ledger.taken(sensor)
    }

    /// Whether something happened for the first time since it was last told.
    #[must_use]
    pub fn has_first_times(&self) -> bool {
        self.state.core.ledger.has_first_times()
    }

    /// What happened for the first time since the last call, to be printed once.
    pub fn first_times(&mut self) -> std::vec::Drain<'_, FirstTime> {
        self.state.core.ledger.first_times()
    }
}

impl Core {
    /// Counts a fault and tells the sink.
    fn refuse(&mut self, d: &Datagram<'_>, whom: Whom, fault: Fault, subject: &str, sink: &mut impl Sink) {
        self.ledger.count(whom, fault, 1, subject, Some(d.from), d.arrival);
        sink.remarked(d.arrival, whom, fault);
    }

    /// The sender's number in the table.
    fn sender(&mut self, d: &Datagram<'_>, sink: &mut impl Sink) -> u32 {
        let (sender, forgot) = self.senders.find(d.port, d.from, d.arrival);
        if forgot {
            self.refuse(d, Whom::Port(d.port), Fault::whole(Reason::TooManySenders), "", sink);
        }
        sender
    }

    /// Whether the datagram is a copy of one of the last second; one without number and time is never taken for one.
    fn is_copy(&mut self, d: &Datagram<'_>, whom: Whom, heading: Heading, sink: &mut impl Sink) -> bool {
        if !heading.tells_apart() {
            return false;
        }
        let copy = self.duplicates.seen(d.port.0, d.bytes, d.arrival);
        if copy {
            self.refuse(d, whom, Fault::whole(Reason::Duplicate), "", sink);
            if let Some(seq) = heading.seq {
                let sender = self.sender(d, sink);
                self.senders.came_as_copy(sender, seq);
            }
        }
        copy
    }

    /// Follows the sender's number. What is missing of a sensor is shed, so that the core knows of it.
    fn account(&mut self, d: &Datagram<'_>, sender: u32, whom: Whom, heading: Heading, sink: &mut impl Sink) {
        let Some(seq) = heading.seq else { return };
        let (reason, n) = match self.senders.account(sender, seq, heading.time.map(|(ns, _)| ns)) {
            Verdict::InOrder => return,
            Verdict::Gap(n) => (Reason::Missing, n),
            Verdict::Back => (Reason::SeqBack, 1),
            Verdict::Restarted => (Reason::SourceRestarted, 1),
        };
        let fault = Fault::whole(reason);
        self.ledger.count(whom, fault, n, "", Some(d.from), d.arrival);
        sink.remarked(d.arrival, whom, fault);
        if let (Reason::Missing, Whom::Sensor(sensor)) = (reason, whom) {
            sink.shed(d.arrival, Shed { sensor, count: n, reason: ShedReason::Missing });
        }
    }

    /// When it was true, in the log's time; `None` where that is too long ago, which is counted and shed.
    fn measured(
        &mut self,
        d: &Datagram<'_>,
        sensor: SensorId,
        time: Option<(i64, ClockKind)>,
        sink: &mut impl Sink,
    ) -> Option<LogicalNs> {
        let now = LogicalNs(d.arrival.0);
        let Some((ns, _)) = time.filter(|(_, clock)| *clock != ClockKind::Arrival) else { return Some(now) };
        let late_max = self.sensors[sensor.index()].late_max;
        let whom = Whom::Sensor(sensor);
        let Some(mapped) = self.clocks.of(sensor).map(d.arrival, DeviceNs(ns), late_max) else {
            self.refuse(d, whom, Fault::of(Reason::NotPlausible, "time"), "", sink);
            return None;
        };
        if mapped.stepped {
            self.refuse(d, whom, Fault::of(Reason::ClockStepped, "time"), "", sink);
        }
        if mapped.ahead {
            self.refuse(d, whom, Fault::of(Reason::TimeAhead, "time"), "", sink);
        }
        if now.since(mapped.measured) > late_max {
            self.refuse(d, whom, Fault::whole(Reason::TooLate), "", sink);
            sink.shed(d.arrival, Shed { sensor, count: 1, reason: ShedReason::TooLate });
            return None;
        }
        Some(mapped.measured)
    }

    /// Checks and places one item of a scan; whether it was taken.
    fn add_item(
        &mut self,
        d: &Datagram<'_>,
        sensor: SensorId,
        claim: Result<&Claim<'_>, Fault>,
        scan: &mut ScanBuf,
        sink: &mut impl Sink,
    ) -> bool {
        let (plan, whom) = (self.sensors[sensor.index()], Whom::Sensor(sensor));
        let Self { resolver, ledger, .. } = self;
        let mut news = |n: News<'_>| tell(ledger, d, whom, n, sink);
        let taken = claim.and_then(|claim| resolver.scan_item(&plan, claim, scan, &mut news));
        if let Err(fault) = taken {
            self.refuse(d, whom, fault, "", sink);
        }
        taken.is_ok()
    }

    /// Checks and places what a sensor without scans says; `None` where it is not taken.
    fn single(
        &mut self,
        d: &Datagram<'_>,
        sensor: SensorId,
        claim: Result<&Claim<'_>, Fault>,
        sink: &mut impl Sink,
    ) -> Option<Body<'static>> {
        let (plan, whom) = (self.sensors[sensor.index()], Whom::Sensor(sensor));
        let Self { resolver, ledger, .. } = self;
        let mut news = |n: News<'_>| tell(ledger, d, whom, n, sink);
        match claim.and_then(|claim| resolver.single(&plan, claim, &mut news)) {
            Ok(body) => Some(body),
            Err(fault) => {
                self.refuse(d, whom, fault, "", sink);
                None
            }
        }
    }

    /// Whether a sensor may be heard from where the datagram came; counted where not.
    fn may_speak(&mut self, d: &Datagram<'_>, sensor: SensorId, sink: &mut impl Sink) -> bool {
        let (from, signs) = (self.sensor_from[sensor.index()], self.sensor_signs[sensor.index()].as_deref());
        let Err(reason) = self.keyring.admits(d.signed, signs, from, d.from) else { return true };
        self.refuse(d, Whom::Sensor(sensor), Fault::whole(reason), "", sink);
        false
    }

    /// A source said more than it may: counted, and known to the core.
    fn too_fast(&mut self, d: &Datagram<'_>, sensor: SensorId, sink: &mut impl Sink) {
        self.refuse(d, Whom::Sensor(sensor), Fault::whole(Reason::RateLimited), "", sink);
        if let Some(count) = self.rates.owed(sensor, d.arrival) {
            sink.shed(d.arrival, Shed { sensor, count, reason: ShedReason::Full });
        }
    }

    /// Hands an observation over.
    fn hand_over(&mut self, d: &Datagram<'_>, sender: u32, observation: &Observation<'_>, sink: &mut impl Sink) {
        let sensor = observation.sensor;
        self.ledger.take(sensor);
        let source = SourceKey(u64::from(sender) << 16 | u64::from(sensor.0));
        sink.observation(d.arrival, source, self.sensors[sensor.index()].class, observation);
    }
}

/// Whether a device's datagrams may come from this socket. On loopback any sender is known; from elsewhere only the
/// declared one.
fn sender_is_known(declared: Option<SocketAddr>, from: SocketAddr) -> bool {
    let host = from.ip().to_canonical();
    match declared {
        Some(d) => d.ip().to_canonical() == host && (d.port() == 0 || d.port() == from.port()),
        None => host.is_loopback(),
    }
}

/// Tells of a carried device that nobody declared, before the observation that it is of.
fn tell(ledger: &mut Ledger, d: &Datagram<'_>, whom: Whom, news: News<'_>, sink: &mut impl Sink) {
    let field = if news.reason == Reason::UnknownBadge { "badge" } else { "device" };
    let fault = Fault::of(news.reason, field);
    ledger.count(whom, fault, 1, news.text, Some(d.from), d.arrival);
    sink.remarked(d.arrival, whom, fault);
    if news.name_it {
        sink.named(d.arrival, news.key, news.text);
    }
}

#[cfg(test)]
mod tests;
