//! From sockets to lanes: datagrams are read in batches, stamped once, decoded once, and queued by their class.
//!
//! | file | what it holds |
//! |---|---|
//! | this | the sockets that one thread reads, and whose turn it is |
//! | `batch.rs` | one system call, many datagrams |
//! | `lanes.rs` | what the edge says, encoded and queued; what gives way under overload |
//! | `latest.rs` | the table in which a newer item replaces an older one |
//! | `drops.rs` | what the kernel dropped before anybody could read it |
//!
//! Sockets are served in the order of their most urgent class, each for a bounded number of datagrams: a flood on one
//! costs the others at most its turn.

mod batch;
pub mod drops;
mod lanes;
mod latest;

use crate::clock::{HostClock, StampMap};
use crate::lane::LaneTx;
use batch::Batch;
use lanes::Lanes;
use mio::net::UdpSocket;
use mio::{Interest, Token};
use osmose_model::input::Class;
use osmose_model::site::Site;
use osmose_model::time::ArrivalNs;
use osmose_sensors::edge::ledger::Count;
use osmose_sensors::edge::{Edge, PortId};
use osmose_sensors::reason::REASONS;
pub use osmose_sensors::reason::Reason;
use quinn_udp::{BATCH_SIZE, UdpSocketState};
use std::io;
use std::net::SocketAddr;

/// Datagrams read in one turn of all sockets that hold some, about: each has its share, and its last call may bring more.
/// Many more than are stepped until the next turn where more waits (`TURN_BEHIND` of the stepper): what waits in a socket
/// for too long is dropped by the kernel, newest first, and in the lanes the latest is kept.
const TURN: usize = 256;
/// The least share of one socket.
const SHARE_MIN: usize = 32;
/// What the kernel is asked to hold of a socket's datagrams while we do something else.
const RECEIVE_BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// While something waits for room in the lanes, nothing else is waited for longer.
const SETTLE_WITHIN: std::time::Duration = std::time::Duration::from_millis(1);
/// Number of classes, and so of lanes.
pub const CLASSES: usize = 4;

/// The lane of a class.
#[must_use]
pub const fn lane_of(class: Class) -> usize {
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
    state: UdpSocketState,
    /// It may hold datagrams: polling said so, and no read has said otherwise since.
    ready: bool,
    /// How many messages the next call asks for. One where little comes: a call that asks for more looks again behind
    /// the last, and that look is paid for by who waits. Twice as many each time they all came; fewer where the kernel
    /// merges many datagrams into each.
    messages: usize,
}

/// What came in through one thread's sockets, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intake {
    /// Datagrams read.
    pub datagrams: u64,
    /// Datagrams that the kernel dropped because a socket's buffer was full.
    pub kernel_drops: u64,
    /// Observations that went into a lane, by [`lane_of`] their class.
    pub taken: [u64; CLASSES],
    /// Observations that a newer one of the same key replaced under overload, before they were stepped.
    pub replaced: u64,
    /// Observations that found their lane full.
    pub full: u64,
    /// What the edge refused or noticed, by whom and reason.
    pub counts: Vec<Count>,
    /// Receive stamps that were not believed, because the wall clock was set about then.
    pub stamps_discarded: u64,
    /// How often the wall clock was seen to be set.
    pub clock_steps: u64,
}

impl Intake {
    /// Adds another thread's.
    pub fn add(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.kernel_drops += other.kernel_drops;
        self.taken.iter_mut().zip(other.taken).for_each(|(a, b)| *a += b);
        self.replaced += other.replaced;
        self.full += other.full;
        self.counts.extend(other.counts);
        self.counts.sort_unstable();
        self.stamps_discarded += other.stamps_discarded;
        self.clock_steps += other.clock_steps;
    }
}

/// The same while it runs, for whoever looks on: without what only the kernel knows, and the edge's counts by reason alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Datagrams read.
    pub datagrams: u64,
    /// Observations that went into a lane, by [`lane_of`] their class.
    pub taken: [u64; CLASSES],
    /// Observations that a newer one of the same key replaced.
    pub replaced: u64,
    /// Observations that found their lane full.
    pub full: u64,
    /// What the edge refused or noticed, in the order of [`Reason::ALL`].
    pub noticed: [u64; REASONS],
}

impl Default for Tally {
    fn default() -> Self {
        Self { datagrams: 0, taken: [0; CLASSES], replaced: 0, full: 0, noticed: [0; REASONS] }
    }
}

impl Tally {
    /// What the edge refused or noticed, where it was, in the reasons' order.
    pub fn noticed(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.iter().copied().zip(self.noticed).filter(|(_, n)| *n > 0)
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: &Self) {
        self.datagrams += other.datagrams;
        self.taken.iter_mut().zip(other.taken).for_each(|(a, b)| *a += b);
        self.replaced += other.replaced;
        self.full += other.full;
        self.noticed.iter_mut().zip(other.noticed).for_each(|(a, b)| *a += b);
    }
}

/// The edge with its sockets, or with those of its sockets that one thread reads.
pub struct Ingress {
    ports: Vec<Port>,
    edge: Edge,
    lanes: Lanes,
    poll: mio::Poll,
    events: mio::Events,
    batch: Batch,
    stamps: StampMap,
    /// The arrival of the latest datagram.
    arrived: ArrivalNs,
    datagrams: u64,
}

impl Ingress {
    /// Binds the ports of the edge that are `mine` (all, where one thread reads them all). `lanes` by [`lane_of`].
    ///
    /// # Errors
    /// [`BindError`], naming the address and what it is for.
    pub fn bind(edge: Edge, lanes: [LaneTx; CLASSES], mine: impl Fn(PortId) -> bool) -> Result<Self, BindError> {
        let poll = mio::Poll::new()?;
        let mut wanted: Vec<_> = edge.ports().filter(|p| mine(p.id)).collect();
        wanted.sort_by_key(|p| (p.class, p.id));
        let mut ports = vec![];
        for (i, port) in wanted.into_iter().enumerate() {
            let bind = |source| BindError::Bind { addr: port.addr, source };
            let socket = bind_udp(port.addr).map_err(bind)?;
            let state = UdpSocketState::new((&socket).into()).map_err(bind)?;
            let mut socket = UdpSocket::from_std(socket);
            poll.registry().register(&mut socket, Token(i), Interest::READABLE).map_err(bind)?;
            ports.push(Port { id: port.id, socket, state, ready: true, messages: 1 });
        }
        Ok(Self {
            ports,
            edge,
            lanes: Lanes::new(lanes),
            poll,
            events: mio::Events::with_capacity(64),
            batch: Batch::new(),
            stamps: StampMap::default(),
            arrived: ArrivalNs(i64::MIN),
            datagrams: 0,
        })
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

    /// What came in so far.
    #[must_use]
    pub fn intake(&self) -> Intake {
        let inodes: Vec<_> = self.ports.iter().filter_map(|p| drops::inode(&p.socket)).collect();
        Intake {
            datagrams: self.datagrams,
            kernel_drops: drops::kernel_drops(&inodes),
            taken: self.lanes.taken,
            replaced: self.lanes.replaced,
            full: self.lanes.full,
            counts: self.edge.counters().collect(),
            stamps_discarded: self.stamps.discarded(),
            clock_steps: self.stamps.steps(),
        }
    }

    /// What came in so far, without asking the kernel or allocating.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut noticed = [0; REASONS];
        self.edge.counters().for_each(|c| noticed[c.reason as usize] += c.count);
        let Lanes { taken, replaced, full, .. } = self.lanes;
        Tally { datagrams: self.datagrams, taken, replaced, full, noticed }
    }

    /// Logs what was noticed for the first time since the last call: once per whom and reason, not once per datagram.
    pub fn report_first_times(&mut self, site: &Site) {
        if !self.edge.has_first_times() {
            return;
        }
        let ports: Vec<_> = self.edge.ports().collect();
        let address = |id| ports.iter().find(|p| p.id == id).map(|p| p.addr);
        for first in self.edge.first_times() {
            tracing::warn!("{}", first.sentence(site, address));
        }
    }

    /// Reads what waits, at most a turn from each socket; gives how many inputs went into the lanes.
    pub fn do_work(&mut self, clock: &HostClock) -> usize {
        self.lanes.pushed = 0;
        let share = (TURN / self.ports.iter().filter(|p| p.ready).count().max(1)).max(SHARE_MIN);
        for i in 0..self.ports.len() {
            let mut turn = 0;
            while self.ports[i].ready && turn < share {
                let asked = self.ports[i].messages;
                turn += self.read(i, clock);
                if asked == 1 {
                    // It may be the only one, and is stepped before there is another look.
                    break;
                }
            }
        }
        if self.lanes.owes() {
            self.lanes.settle(clock.now());
        }
        self.lanes.pushed
    }

    /// One call on one socket; gives how many datagrams it brought.
    fn read(&mut self, i: usize, clock: &HostClock) -> usize {
        let Self { ports, edge, lanes, batch, stamps, arrived, .. } = self;
        let port = &mut ports[i];
        let asked = port.messages;
        let messages = match batch.read(&port.socket, &port.state, asked) {
            Ok(n) => n,
            // Loopback answers "refused" for what somebody else's socket sent back: nothing of ours.
            Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused) => return 1,
            Err(_) => {
                (port.ready, port.messages) = (false, 1);
                return 0;
            }
        };
        // Fewer than asked for: the kernel found no more, and will say so when there is.
        port.ready = messages >= asked;
        let read = match clock.with_utc() {
            Some((now, utc)) => {
                stamps.compare(now, utc);
                now
            }
            None => clock.now(),
        };
        // All were read at one instant. A nanosecond between them keeps the order in which they came.
        *arrived = read.max(ArrivalNs(arrived.0.saturating_add(1)));
        let mut n = 0;
        for datagram in batch.datagrams() {
            lanes.received = stamps.map(datagram.stamp, *arrived);
            edge.datagram(port.id, datagram.from, *arrived, datagram.bytes, lanes);
            arrived.0 += 1;
            n += 1;
        }
        self.datagrams += n as u64;
        let most = (SHARE_MIN * messages / n.max(1)).clamp(1, BATCH_SIZE);
        port.messages = if port.ready { (2 * asked).min(most) } else { messages.clamp(1, most) };
        n
    }

    /// Whether more waits in the sockets, as far as is known.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.ports.iter().any(|p| p.ready) || self.lanes.owes()
    }

    /// Says every loss that was not said yet: nothing more will come.
    pub fn say_losses(&mut self, clock: &HostClock) {
        self.lanes.settle(clock.now());
        self.lanes.say(clock.now());
    }

    /// Waits until a socket has something or `timeout` is over; gives whether one has.
    pub fn wait(&mut self, timeout: std::time::Duration) -> bool {
        if self.ports.iter().any(|p| p.ready) {
            return true;
        }
        // What gave way under overload waits for room beside the lanes, not for the sockets.
        let timeout = if self.lanes.owes() { timeout.min(SETTLE_WITHIN) } else { timeout };
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
