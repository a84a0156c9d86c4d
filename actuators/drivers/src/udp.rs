//! Commands to their devices over UDP, without ever blocking: what could not be handed to the kernel is counted and
//! returned, never dropped in silence.

use crate::{RuleNames, lines};
use osmose_model::command::Command;
use osmose_model::device::Format;
use osmose_model::ids::ActuatorId;
use osmose_model::site::Site;
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
    /// Handed to it again, because the device holds them under a lease.
    pub renewed: u64,
    /// Not sent because the send buffer was full.
    pub would_block: u64,
    /// Refused by the kernel.
    pub errors: u64,
    /// For devices without a UDP address.
    pub no_address: u64,
}

/// One socket per address family, shared by all devices.
#[derive(Debug)]
pub struct UdpOut {
    v4: UdpSocket,
    v6: Option<UdpSocket>,
    /// By actuator; `None` where it takes no UDP commands.
    addresses: Vec<Option<SocketAddr>>,
    line: Vec<u8>,
    counts: UdpCounts,
}

fn open(domain: Domain, any: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // Best effort: the kernel caps it at net.core.wmem_max, and a smaller buffer only makes `would_block` likelier.
    let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
    socket.bind(&any.into())?;
    Ok(socket.into())
}

impl UdpOut {
    /// Opens the sockets that the site's actuators need. All memory is taken here.
    ///
    /// # Errors
    /// What the kernel says where a socket cannot be opened.
    pub fn new(site: &Site) -> io::Result<Self> {
        let addresses: Vec<Option<SocketAddr>> = site
            .actuators
            .iter()
            .map(|a| a.connect.udp.filter(|_| matches!(a.connect.format, Format::Json(_))))
            .collect();
        let wants_v6 = addresses.iter().flatten().any(SocketAddr::is_ipv6);
        let v6 = if wants_v6 { Some(open(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, 0).into())?) } else { None };
        let v4 = open(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, 0).into())?;
        Ok(Self { v4, v6, addresses, line: Vec::with_capacity(LINE_BYTES), counts: UdpCounts::default() })
    }

    /// Sends a command to its device, as [`lines::encode_json`] writes it without a lease. Never blocks.
    ///
    /// # Errors
    /// [`SendError`], which is also counted.
    pub fn send(&mut self, site: &Site, rules: &RuleNames<'_>, command: &Command) -> Result<(), SendError> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        lines::encode_json(site, rules, command, None, &mut line);
        let sent = self.send_line(site, command.device, &line);
        self.line = line;
        sent
    }

    /// Sends a line that was sent before, because its lease would run out. Never blocks.
    ///
    /// # Errors
    /// [`SendError`], which is also counted.
    pub fn renew_line(&mut self, site: &Site, device: ActuatorId, line: &[u8]) -> Result<(), SendError> {
        self.send_line(site, device, line)?;
        self.counts.sent -= 1;
        self.counts.renewed += 1;
        Ok(())
    }

    /// Sends a line that is written already (by the thread that decided it). Never blocks.
    ///
    /// # Errors
    /// [`SendError`], which is also counted.
    pub fn send_line(&mut self, site: &Site, device: ActuatorId, line: &[u8]) -> Result<(), SendError> {
        let name = || match site.actuators.get(device.index()) {
            Some(a) => a.name.clone(),
            None => format!("actuator {device}"),
        };
        let Some(address) = self.addresses.get(device.index()).copied().flatten() else {
            self.counts.no_address += 1;
            return Err(SendError::NoAddress { device: name() });
        };
        let socket = if address.is_ipv6() { self.v6.as_ref().unwrap_or(&self.v4) } else { &self.v4 };
        match socket.send_to(line, address) {
            Ok(_) => {
                self.counts.sent += 1;
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.counts.would_block += 1;
                Err(SendError::WouldBlock { device: name(), address })
            }
            Err(source) => {
                self.counts.errors += 1;
                Err(SendError::Io { device: name(), address, source })
            }
        }
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
