//! The logs beside the pinned thread: commands as lines for people, events as JSON lines for programs.

use crate::tap::Tap;
use osmose_drivers::lines::encode_event_line;
use osmose_drivers::log::LogOut;
use osmose_model::command::Command;
use osmose_model::ids::RuleId;
use osmose_model::input::Tag;
use osmose_model::site::Site;
use osmose_model::world::WorldEvent;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

/// What numbers are called: of the rules in force, and of everything in the site.
#[derive(Clone, Debug)]
pub struct Known {
    /// The site with the people in force.
    pub site: Arc<Site>,
    /// The rules' names, by id.
    pub rules: Arc<[String]>,
}

/// The same, shared: whoever installs other rules or people puts theirs in.
pub type Names = Arc<Mutex<Known>>;

/// What is called how now. Whoever writes names never panics while it does; were it so, the old ones would still do.
fn known(names: &Names) -> Known {
    names.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Writes every command as a line for people.
pub struct CommandLog<W: Write + Send> {
    names: Names,
    out: LogOut<W>,
}

impl<W: Write + Send> CommandLog<W> {
    /// A log to `out`.
    pub fn new(names: Names, out: W) -> Self {
        Self { names, out: LogOut::new(out) }
    }
}

impl<W: Write + Send> Tap for CommandLog<W> {
    fn command(&mut self, _: Tag, command: &Command) {
        let Known { site, rules } = known(&self.names);
        let name = |rule: RuleId| rules.get(rule.index()).map_or("?", String::as_str);
        // The writer counts what it could not write; the recording has it all.
        let _ = self.out.write(&site, &name, command);
    }
}

/// Where events go.
enum EventsTo {
    File(BufWriter<File>),
    Udp(UdpSocket, SocketAddr),
}

/// Writes every event as one JSON line, to a file or as one datagram each.
pub struct EventLog {
    names: Names,
    to: EventsTo,
    line: Vec<u8>,
    failed: u64,
}

impl EventLog {
    /// Events to `to`: `HOST:PORT` for datagrams, else the path of a file (made anew; `-` is stdout).
    ///
    /// # Errors
    /// What the system says where the file or socket cannot be opened.
    pub fn open(names: Names, to: &str) -> io::Result<Self> {
        let to = match to.parse::<SocketAddr>() {
            Ok(addr) => {
                let any: SocketAddr = if addr.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
                let socket = UdpSocket::bind(any)?;
                socket.set_nonblocking(true)?;
                EventsTo::Udp(socket, addr)
            }
            Err(_) if to == "-" => EventsTo::File(BufWriter::new(File::options().write(true).open("/dev/stdout")?)),
            Err(_) => EventsTo::File(BufWriter::new(File::create(to)?)),
        };
        Ok(Self { names, to, line: Vec::with_capacity(1024), failed: 0 })
    }
}

impl Tap for EventLog {
    fn event(&mut self, tag: Tag, event: &WorldEvent) {
        self.line.clear();
        encode_event_line(&known(&self.names).site, tag, event, None, &mut self.line);
        let written = match &mut self.to {
            EventsTo::File(out) => out.write_all(&self.line),
            EventsTo::Udp(socket, addr) => socket.send_to(&self.line, *addr).map(|_| ()),
        };
        self.failed += u64::from(written.is_err());
    }

    fn idle(&mut self) {
        if let EventsTo::File(out) = &mut self.to {
            self.failed += u64::from(out.flush().is_err());
        }
    }

    fn finish(&mut self) {
        self.idle();
        if self.failed > 0 {
            tracing::warn!(failed = self.failed, "events could not be written to the --events target");
        }
    }
}
