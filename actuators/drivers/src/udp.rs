//! Commands to their devices over UDP, without ever blocking: what could not be handed to the kernel is counted and
//! returned, never dropped in silence.
//!
//! Several commands at a time are queued and handed over together, those to one address in one call ([`UdpOut::queue_line`],
//! [`UdpOut::flush`]; `waiting.rs` says which).

use crate::waiting::{RUN_LINE_MAX, Run, Waiting};
use crate::{RuleNames, lines};
use osmose_model::command::{Command, CommandId};
use osmose_model::device::{Actuator, Format};
use osmose_model::ids::ActuatorId;
use osmose_model::site::Site;
use quinn_udp::{Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The send buffer asked of the kernel: more than a full step of commands at 512 bytes each.
const SEND_BUFFER_BYTES: usize = 1 << 20;
/// Room for the largest command line, so that no command makes the buffer grow.
const LINE_BYTES: usize = 4096;

/// Why a command was not handed over. The command is the caller's still; it may try again or give it up.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The device takes no UDP commands (`connect = "log"`), or the site does not know it.
    #[error(
        "{device} is not reached over UDP; give it `connect = {{ udp = \"HOST:PORT\", format = \"json\" }}` in devices.toml"
    )]
    NoAddress {
        /// The device's id, or its number where the site does not know it.
        device: String,
    },
    /// The kernel's send buffer is full.
    #[error("the send buffer is full: a command to {device} at {address} could not be handed over at once")]
    WouldBlock {
        /// The device's id.
        device: String,
        /// Its address.
        address: SocketAddr,
    },
    /// The kernel refused it.
    #[error(
        "a command to {device} at {address} could not be sent ({source}); check the address in devices.toml and the network"
    )]
    Io {
        /// The device's id.
        device: String,
        /// Its address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What became of the commands given to a [`UdpOut`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpCounts {
    /// Handed to the kernel.
    pub sent: u64,
    /// Lines among those that were said again because the device holds them under a lease.
    pub renewed: u64,
    /// Not sent because the send buffer was full.
    pub would_block: u64,
    /// Refused by the kernel.
    pub errors: u64,
    /// For devices without a UDP address.
    pub no_address: u64,
    /// Calls that it took to hand them over.
    pub calls: u64,
}

/// Which command a line tells, and whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Of {
    /// Its device.
    pub device: ActuatorId,
    /// Its id.
    pub id: CommandId,
}

/// Who is told when commands leave, one by one and in the order of each device.
pub trait Leaving: std::fmt::Debug + Send {
    /// The system call that hands it over comes next.
    fn begins(&mut self, of: Of);
    /// It was handed over, or the kernel has refused it.
    fn left(&mut self, of: Of);
}

/// Where a device takes commands over UDP, if it does.
#[must_use]
pub fn address_of(actuator: &Actuator) -> Option<SocketAddr> {
    actuator.connect.udp.filter(|_| matches!(actuator.connect.format, Format::Json(_)))
}

/// The sockets of one address family, shared by all devices.
#[derive(Debug)]
struct Family {
    socket: UdpSocket,
    state: UdpSocketState,
    /// For lines that the network may have to cut, which it may not do with what `socket` sends.
    long: UdpSocket,
}

/// Commands on their way out: a socket per address family, and the lines that wait.
#[derive(Debug)]
pub struct UdpOut {
    v4: Family,
    v6: Option<Family>,
    /// By actuator; `None` where it takes no UDP commands.
    addresses: Vec<Option<SocketAddr>>,
    line: Vec<u8>,
    waiting: Waiting,
    counts: UdpCounts,
    leaving: Option<Box<dyn Leaving>>,
}

fn open(domain: Domain, any: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // Best effort: the kernel caps it at net.core.wmem_max, and a smaller buffer only makes `would_block` likelier.
    let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
    socket.bind(&any.into())?;
    Ok(socket.into())
}

impl Family {
    fn open(domain: Domain, any: SocketAddr) -> io::Result<Self> {
        let (socket, long) = (open(domain, any)?, open(domain, any)?);
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { socket, state, long })
    }

    /// One datagram, one call.
    fn send(&self, line: &[u8], to: SocketAddr) -> io::Result<()> {
        let socket = if line.len() > RUN_LINE_MAX { &self.long } else { &self.socket };
        socket.send_to(line, to).map(|_| ())
    }

    /// Everything of a run, in one call where that can be.
    fn hand_over(&self, run: &Run<'_>, counts: &mut UdpCounts) {
        let &Run { to, bytes, each, lines, .. } = run;
        let Some(each) = each else { return counts.add(1, &self.send(bytes, to)) };
        let sent = self.send_run(bytes, each, to);
        // A network card that cannot cut a run says so at the first one: then each goes by itself.
        let cannot = sent.is_err() && self.state.max_gso_segments() == 1;
        if cannot {
            bytes.chunks(each).for_each(|line| counts.add(1, &self.send(line, to)));
        } else {
            counts.add(lines, &sent);
        }
    }

    /// Several datagrams, one call.
    fn send_run(&self, contents: &[u8], each: usize, to: SocketAddr) -> io::Result<()> {
        let transmit = Transmit { destination: to, ecn: None, contents, segment_size: Some(each), src_ip: None };
        self.state.try_send((&self.socket).into(), &transmit)
    }
}

impl UdpOut {
    /// Opens the sockets that the site's actuators need. All memory is taken here.
    ///
    /// # Errors
    /// What the kernel says where a socket cannot be opened.
    pub fn new(site: &Site) -> io::Result<Self> {
        let addresses: Vec<Option<SocketAddr>> = site.actuators.iter().map(address_of).collect();
        let wants_v6 = addresses.iter().flatten().any(SocketAddr::is_ipv6);
        let v6 = if wants_v6 { Some(Family::open(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, 0).into())?) } else { None };
        let v4 = Family::open(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, 0).into())?;
        let (line, waiting) = (Vec::with_capacity(LINE_BYTES), Waiting::new());
        Ok(Self { v4, v6, addresses, line, waiting, counts: UdpCounts::default(), leaving: None })
    }

    /// From here on somebody is told when commands leave.
    pub fn tell(&mut self, leaving: Box<dyn Leaving>) {
        self.leaving = Some(leaving);
    }

    /// Sends a command to its device, as [`lines::encode_json`] writes it without a lease. Never blocks; what waits goes
    /// before it.
    ///
    /// # Errors
    /// [`SendError`], which is also counted.
    pub fn send(&mut self, site: &Site, rules: &RuleNames<'_>, command: &Command) -> Result<(), SendError> {
        self.flush();
        let address = self.address(site, command.device)?;
        self.line.clear();
        lines::encode_json(site, rules, command, None, &mut self.line);
        let family = if address.is_ipv6() { self.v6.as_ref().unwrap_or(&self.v4) } else { &self.v4 };
        let sent = family.send(&self.line, address);
        self.counts.add(1, &sent);
        sent.map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => SendError::WouldBlock { device: name_of(site, command.device), address },
            _ => SendError::Io { device: name_of(site, command.device), address, source },
        })
    }

    /// Puts a line that is written already (by the thread that decided it) behind those that wait for
    /// [`UdpOut::flush`]. What the kernel does not take then is counted.
    ///
    /// # Errors
    /// [`SendError::NoAddress`], which is also counted.
    pub fn queue_line(&mut self, site: &Site, of: Of, line: &[u8]) -> Result<(), SendError> {
        self.queue(site, of.device, line, Some(of))
    }

    fn queue(&mut self, site: &Site, device: ActuatorId, line: &[u8], of: Option<Of>) -> Result<(), SendError> {
        let address = self.address(site, device)?;
        if !self.waiting.has_room(line.len()) {
            self.flush();
        }
        self.waiting.push(address, line, of);
        Ok(())
    }

    /// The same for a line that was sent before, because its lease would run out.
    ///
    /// # Errors
    /// [`SendError::NoAddress`], which is also counted.
    pub fn queue_again(&mut self, site: &Site, device: ActuatorId, line: &[u8]) -> Result<(), SendError> {
        self.queue(site, device, line, None)?;
        self.counts.renewed += 1;
        Ok(())
    }

    /// Hands over what waits, in as few calls as can be. Never blocks; what the kernel does not take is counted.
    pub fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        loop {
            let Self { waiting, v4, v6, counts, leaving, .. } = &mut *self;
            let most = v4.state.max_gso_segments();
            let Some(run) = waiting.next_run(most) else { break };
            let family = if run.to.is_ipv6() { v6.as_ref().unwrap_or(v4) } else { v4 };
            let Some(leaving) = leaving else {
                family.hand_over(&run, counts);
                continue;
            };
            run.of.iter().for_each(|of| leaving.begins(*of));
            family.hand_over(&run, counts);
            run.of.iter().for_each(|of| leaving.left(*of));
        }
        self.waiting.clear();
    }

    /// Where a device takes its commands.
    fn address(&mut self, site: &Site, device: ActuatorId) -> Result<SocketAddr, SendError> {
        self.addresses.get(device.index()).copied().flatten().ok_or_else(|| {
            self.counts.no_address += 1;
            SendError::NoAddress { device: name_of(site, device) }
        })
    }

    /// What became of the commands so far.
    #[must_use]
    pub fn counts(&self) -> UdpCounts {
        self.counts
    }

    /// Whether a device is reached over UDP.
    #[must_use]
    pub fn reaches(&self, actuator: ActuatorId) -> bool {
        self.addresses.get(actuator.index()).is_some_and(Option::is_some)
    }
}

impl UdpCounts {
    /// One call that was to hand over so many lines.
    fn add(&mut self, lines: u64, sent: &io::Result<()>) {
        self.calls += 1;
        match sent {
            Ok(()) => self.sent += lines,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.would_block += lines,
            Err(_) => self.errors += lines,
        }
    }
}

/// A device's id, or its number where the site does not know it.
fn name_of(site: &Site, device: ActuatorId) -> String {
    match site.actuators.get(device.index()) {
        Some(a) => a.name.clone(),
        None => format!("actuator {device}"),
    }
}
