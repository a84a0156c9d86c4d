//! From sockets to lanes: every datagram is stamped once when it is read, decoded once, and queued by its class.

use crate::clock::HostClock;
use crate::lane::LaneTx;
use mio::net::UdpSocket;
use mio::{Interest, Token};
use osmose_core::sequencer::Head;
use osmose_model::canon;
use osmose_model::ids::CarriedKey;
use osmose_model::input::{Class, Input, Report, Shed, ShedReason};
use osmose_model::limits::{DATAGRAM_BYTES_MAX, INPUT_BYTES_MAX};
use osmose_model::observation::Observation;
use osmose_model::site::Site;
use osmose_model::time::ArrivalNs;
use osmose_sensors::edge::{Edge, PortId, Sink, SourceKey};
use std::io;
use std::net::SocketAddr;

/// Datagrams read from one socket before the next one has its turn.
const BATCH: usize = 64;
/// What the kernel is asked to hold of a socket's datagrams while we do something else.
const RECEIVE_BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Number of classes, and so of lanes.
pub const CLASSES: usize = 4;

/// The lane of a class.
#[must_use]
pub fn lane_of(class: Class) -> usize {
    match class {
        Class::Safety => 0,
        Class::Edge => 1,
        Class::State => 2,
        Class::Bulk => 3,
    }
}

/// Why the engine cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address cannot be bound.
    #[error(
        "cannot listen on udp {addr}, which devices.toml names: {source}. Another program, or a second engine, may \
         hold the port; or the address is not one of this machine's."
    )]
    Bind {
        /// Which.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The poller cannot be made.
    #[error("cannot poll sockets: {0}")]
    Poll(#[from] io::Error),
}

struct Port {
    id: PortId,
    socket: UdpSocket,
    /// It may hold datagrams: polling said so, and no read has said otherwise since.
    ready: bool,
}

/// The edge with its sockets, or with those of its sockets that one thread reads.
pub struct Ingress {
    ports: Vec<Port>,
    edge: Edge,
    lanes: Lanes,
    poll: mio::Poll,
    events: mio::Events,
    buffer: Box<[u8]>,
}

/// The edge's ends of the lanes; what the edge says goes here.
struct Lanes {
    lanes: [LaneTx; CLASSES],
    canonical: Vec<u8>,
    numbers: u64,
    /// Inputs that did not fit since the last `Shed` that did, by sensor.
    full: Vec<(osmose_model::ids::SensorId, u64)>,
    pushed: usize,
}

impl Lanes {
    fn push(&mut self, arrival: ArrivalNs, class: Class, source: u64, input: &Input<'_>) -> bool {
        let Ok(n) = canon::encode_input(input, &mut self.canonical) else { return false };
        self.numbers += 1;
        let head = Head { arrival, class, source, source_seq: self.numbers };
        let fitted = self.lanes[lane_of(class)].push(head, &self.canonical[..n]).is_ok();
        self.pushed += usize::from(fitted);
        fitted
    }

    fn flush_full(&mut self, arrival: ArrivalNs) {
        while let Some(&(sensor, count)) = self.full.last() {
            let shed = Input::Shed(Shed { sensor, count, reason: ShedReason::Full });
            if !self.push(arrival, Class::Edge, u64::MAX, &shed) {
                return;
            }
            self.full.pop();
        }
    }
}

impl Sink for Lanes {
    fn named(&mut self, arrival: ArrivalNs, key: CarriedKey, text: &str) {
        // Same instant and a more urgent class than any observation that carries a device, so it goes first.
        self.push(arrival, Class::Edge, 0, &Input::Named { key, text });
    }

    fn observation(&mut self, arrival: ArrivalNs, source: SourceKey, class: Class, observation: &Observation<'_>) {
        if !self.push(arrival, class, source.0, &Input::Observation(*observation)) {
            match self.full.iter_mut().find(|(s, _)| *s == observation.sensor) {
                Some((_, n)) => *n += 1,
                None => self.full.push((observation.sensor, 1)),
            }
        }
    }

    fn report(&mut self, arrival: ArrivalNs, report: Report) {
        self.push(arrival, Class::Edge, u64::MAX - 1, &Input::Report(report));
    }

    fn shed(&mut self, arrival: ArrivalNs, shed: Shed) {
        self.push(arrival, Class::Edge, u64::MAX, &Input::Shed(shed));
    }
}

impl Ingress {
    /// Binds the ports of the edge that are `mine` (all, where one thread reads them all). `lanes` by [`lane_of`].
    ///
    /// # Errors
    /// [`BindError`], naming the address and what it is for.
    pub fn bind(edge: Edge, lanes: [LaneTx; CLASSES], mine: impl Fn(PortId) -> bool) -> Result<Self, BindError> {
        let poll = mio::Poll::new()?;
        let mut ports = vec![];
        for (i, port) in edge.ports().filter(|p| mine(p.id)).enumerate() {
            let bind = |source| BindError::Bind { addr: port.addr, source };
            let socket = bind_udp(port.addr).map_err(bind)?;
            let mut socket = UdpSocket::from_std(socket);
            poll.registry().register(&mut socket, Token(i), Interest::READABLE).map_err(bind)?;
            ports.push(Port { id: port.id, socket, ready: true });
        }
        let lanes =
            Lanes { lanes, canonical: vec![0; INPUT_BYTES_MAX], numbers: 0, full: Vec::with_capacity(1024), pushed: 0 };
        // One byte more than may come, so that what is too long is seen to be, and not taken for its first part.
        let buffer = vec![0; DATAGRAM_BYTES_MAX + 1].into_boxed_slice();
        Ok(Self { ports, edge, lanes, poll, events: mio::Events::with_capacity(64), buffer })
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.ports.iter().filter_map(|p| p.socket.local_addr().ok())
    }

    /// The edge, for its counters.
    #[must_use]
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// Logs what was noticed for the first time since the last call: once per whom and reason, not once per datagram.
    pub fn report_first_times(&mut self, site: &Site) {
        let ports: Vec<_> = self.edge.ports().collect();
        let address = |id| ports.iter().find(|p| p.id == id).map(|p| p.addr);
        for first in self.edge.first_times() {
            tracing::warn!("{}", first.sentence(site, address));
        }
    }

    /// Reads what waits, at most a batch from each socket; gives how many inputs went into the lanes.
    pub fn do_work(&mut self, clock: &HostClock) -> usize {
        let Self { ports, edge, lanes, buffer, .. } = self;
        lanes.pushed = 0;
        for port in ports.iter_mut().filter(|p| p.ready) {
            for _ in 0..BATCH {
                match port.socket.recv_from(buffer) {
                    Ok((n, from)) => edge.datagram(port.id, from, clock.now(), &buffer[..n], lanes),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    // Loopback answers "refused" for what somebody else's socket sent back: nothing of ours.
                    Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                    Err(_) => {
                        port.ready = false;
                        break;
                    }
                }
            }
        }
        if !lanes.full.is_empty() {
            lanes.flush_full(clock.now());
        }
        lanes.pushed
    }

    /// Waits until a socket has something or `timeout` is over; gives whether one has.
    pub fn wait(&mut self, timeout: std::time::Duration) -> bool {
        if self.ports.iter().any(|p| p.ready) {
            return true;
        }
        // An error here is a signal that interrupted the wait: the caller looks at its stop flag next.
        if self.poll.poll(&mut self.events, Some(timeout)).is_err() {
            return false;
        }
        let mut any = false;
        for event in &self.events {
            self.ports[event.token().0].ready = true;
            any = true;
        }
        any
    }

    /// Marks every socket as worth a read: with few of them that is cheaper than asking the kernel which.
    pub fn look_everywhere(&mut self) {
        for port in &mut self.ports {
            port.ready = true;
        }
    }

    /// How many sockets there are.
    #[must_use]
    pub fn ports(&self) -> usize {
        self.ports.len()
    }
}

fn bind_udp(addr: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let domain = socket2::Domain::for_address(addr);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None)?;
    // The kernel gives what its limit allows; a small buffer shows as missing numbers, which are counted.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket.into())
}
