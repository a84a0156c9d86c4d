//! The floor: what this machine gives with no engine at all.
//!
//! One thread: receive, read the numbers, point in polygon, send. No engine can be faster by much, so its figures stand
//! beside every engine's, measured in the same minutes. There are three of them ([`Kind`]), because what the kernel takes
//! for a call, and how much it holds while the thread is kept from its core, count for more than what is done with an event.

use crate::job::{ROOMS, room};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, IoSliceMut, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A blocked read looks up this often whether it is to end.
const LOOK_UP: Duration = Duration::from_millis(100);
/// What the kernel is asked to hold at a socket, the same as the engine asks.
pub const BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// Which floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The peers' own: one call for a datagram in and one for a command out, and the buffer that the system gives.
    Peers,
    /// The same with the buffer that the engine asks for.
    Buffered,
    /// That buffer, and many datagrams to a call both ways, as the engine has it.
    Batched,
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Peers, Self::Buffered, Self::Batched];

    /// The word on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peers => "peers",
            Self::Buffered => "buffered",
            Self::Batched => "batched",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == word)
    }
}

/// What it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Datagrams read.
    pub received: u64,
    /// Commands handed to the kernel.
    pub sent: u64,
    /// Commands that the kernel would not take.
    pub unsent: u64,
}

/// Point in polygon, by crossings.
fn contains(polygon: &[(f64, f64)], x: f64, y: f64) -> bool {
    let (mut inside, mut j) = (false, polygon.len() - 1);
    for i in 0..polygon.len() {
        let ((xi, yi), (xj, yj)) = (polygon[i], polygon[j]);
        if (yi > y) != (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi {
            inside = !inside;
        }
        j = i;
    }
    inside
}

/// The number behind a key.
fn number<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = &text[text.find(key)? + key.len()..];
    let rest = &rest[..rest.find([',', '}'])?];
    Some(rest.trim_matches('"'))
}

/// Where everybody is, and nothing else.
struct Rooms {
    rooms: Vec<Vec<(f64, f64)>>,
    of: Vec<Option<usize>>,
}

impl Rooms {
    fn new() -> Self {
        let corners = |r| {
            let (a, b, c, d) = room(r);
            vec![(a, b), (c, b), (c, d), (a, d)]
        };
        Self { rooms: (0..ROOMS).map(corners).collect(), of: Vec::new() }
    }

    /// Takes an event; gives the room that a participant left and the event's number.
    fn event(&mut self, text: &str) -> Option<(usize, u64)> {
        let person: usize = number(text, "\"id\":\"p")?.parse().ok()?;
        let (x, y) = (number(text, "\"x\":")?.parse().ok()?, number(text, "\"y\":")?.parse().ok()?);
        let seq = number(text, "\"seq\":")?.parse().ok()?;
        if person >= self.of.len() {
            self.of.resize(person + 1, None);
        }
        let now = self.rooms.iter().position(|p| contains(p, x, y));
        let before = std::mem::replace(&mut self.of[person], now);
        before.filter(|_| before != now && !person.is_multiple_of(10)).map(|r| (r, seq))
    }
}

/// Serves until `stop`.
///
/// # Errors
/// What the system says where no socket can be had; a port that another program holds, above all.
pub fn serve(
    (events, commands): (SocketAddr, SocketAddr),
    kind: Kind,
    spin: bool,
    stop: &AtomicBool,
    ready: impl FnOnce(),
) -> std::io::Result<Served> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(events), socket2::Type::DGRAM, None)?;
    if kind != Kind::Peers {
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    }
    socket.bind(&events.into())?;
    let socket = UdpSocket::from(socket);
    let batched = if kind == Kind::Batched { Some(Batched::new(&socket)?) } else { None };
    socket.set_nonblocking(spin)?;
    socket.set_read_timeout(Some(LOOK_UP))?;
    ready();
    match batched {
        // A blocked call for several messages would wait for all of them.
        Some(batched) => batched.serve(&socket, if spin { BATCH_SIZE } else { 1 }, commands, stop),
        None => one_by_one(&socket, commands, stop),
    }
}

/// Whether a read that brought nothing is the last one: nothing waits, and what came before the stop is done.
fn is_over(e: &std::io::Error, stop: &AtomicBool) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
        && stop.load(Ordering::Relaxed)
}

fn write_command(line: &mut Vec<u8>, (room, seq): (usize, u64)) {
    let _ = write!(line, "{{\"cmd\":\"pause\",\"room\":\"r{room}\",\"seq\":{seq}}}");
}

/// One call a datagram, one call a command.
fn one_by_one(socket: &UdpSocket, commands: SocketAddr, stop: &AtomicBool) -> std::io::Result<Served> {
    let (mut rooms, mut served) = (Rooms::new(), Served::default());
    let (mut buffer, mut line) = (vec![0; 2048], Vec::with_capacity(128));
    loop {
        let n = match socket.recv_from(&mut buffer) {
            Ok((n, _)) => n,
            Err(e) if is_over(&e, stop) => return Ok(served),
            Err(_) => continue,
        };
        served.received += 1;
        let Ok(text) = std::str::from_utf8(&buffer[..n]) else { continue };
        if let Some(left) = rooms.event(text.trim_end()) {
            line.clear();
            write_command(&mut line, left);
            match socket.send_to(&line, commands) {
                Ok(_) => served.sent += 1,
                Err(_) => served.unsent += 1,
            }
        }
    }
}

/// Bytes of one message: offload hands over many datagrams as one.
const MESSAGE_BYTES: usize = 64 * 1024;
/// Bytes of a command that goes out with others: blanks fill it up.
const COMMAND_BYTES: usize = 64;

/// Many datagrams to a call.
struct Batched {
    state: UdpSocketState,
    room: Vec<u8>,
    /// Commands of one length that go out together.
    lines: Vec<u8>,
    rooms: Rooms,
    served: Served,
}

impl Batched {
    fn new(socket: &UdpSocket) -> std::io::Result<Self> {
        let (room, lines) = (vec![0; MESSAGE_BYTES * BATCH_SIZE], Vec::with_capacity(COMMAND_BYTES * 64));
        let state = UdpSocketState::new(socket.into())?;
        Ok(Self { state, room, lines, rooms: Rooms::new(), served: Served::default() })
    }

    fn serve(
        mut self,
        socket: &UdpSocket,
        messages: usize,
        commands: SocketAddr,
        stop: &AtomicBool,
    ) -> std::io::Result<Served> {
        let mut room = std::mem::take(&mut self.room);
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        loop {
            let mut chunks = room.chunks_mut(MESSAGE_BYTES);
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            let n = match self.state.recv(socket.into(), &mut slices[..messages], &mut metas) {
                Ok(n) => n,
                Err(e) if is_over(&e, stop) => return Ok(self.served),
                Err(_) => continue,
            };
            for (meta, slice) in metas[..n].iter().zip(&slices) {
                for datagram in slice[..meta.len].chunks(meta.stride.max(1)) {
                    self.event(datagram, socket, commands);
                }
            }
            self.flush(socket, commands);
        }
    }

    fn event(&mut self, datagram: &[u8], socket: &UdpSocket, commands: SocketAddr) {
        self.served.received += 1;
        let Ok(text) = std::str::from_utf8(datagram) else { return };
        let Some(left) = self.rooms.event(text.trim_end()) else { return };
        let end = self.lines.len() + COMMAND_BYTES;
        write_command(&mut self.lines, left);
        self.lines.resize(end, b' ');
        if end >= COMMAND_BYTES * self.state.max_gso_segments().min(64) {
            self.flush(socket, commands);
        }
    }

    /// Sends what waits in one call.
    fn flush(&mut self, socket: &UdpSocket, destination: SocketAddr) {
        if self.lines.is_empty() {
            return;
        }
        let n = (self.lines.len() / COMMAND_BYTES) as u64;
        let segment_size = (n > 1).then_some(COMMAND_BYTES);
        let transmit = Transmit { destination, ecn: None, contents: &self.lines, segment_size, src_ip: None };
        match self.state.try_send(socket.into(), &transmit) {
            Ok(()) => self.served.sent += n,
            Err(_) => self.served.unsent += n,
        }
        self.lines.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Job;

    #[test]
    fn it_commands_exactly_what_the_job_expects() {
        let (mut job, mut rooms, mut text) = (Job::new(), Rooms::new(), vec![]);
        let mut commands = 0;
        for _ in 0..20_000 {
            let e = job.event();
            e.write(&mut text);
            let said = rooms.event(std::str::from_utf8(&text).expect("text"));
            assert_eq!(said, e.expects.then_some((e.person % ROOMS, e.seq)), "{e:?}");
            commands += u64::from(said.is_some());
        }
        assert!(commands > 3_500, "{commands}");
    }

    #[test]
    fn every_kind_answers_every_leave() {
        for kind in Kind::ALL {
            let commands = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            commands.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
            let to = commands.local_addr().expect("bound");
            let events = UdpSocket::bind("127.0.0.1:0").expect("a socket").local_addr().expect("bound");
            let stop = std::sync::Arc::new(AtomicBool::new(false));
            let (ready, is_ready) = std::sync::mpsc::channel();
            let stopped = stop.clone();
            let floor = std::thread::spawn(move || {
                serve((events, to), kind, false, &stopped, || ready.send(()).expect("heard"))
            });
            is_ready.recv().expect("it serves");
            let from = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            let (mut job, mut text, mut buffer, mut heard) = (Job::new(), vec![], [0; 256], 0u64);
            let all: Vec<_> = (0..400).map(|_| job.event()).collect();
            for e in &all {
                e.write(&mut text);
                from.send_to(&text, events).expect("loopback takes it");
                // One after the other: no buffer of any size is full.
                if e.expects {
                    let n = commands.recv(&mut buffer).expect("a command");
                    assert_eq!(crate::job::seq_of(&buffer[..n]), Some(e.seq), "{kind:?}");
                    heard += 1;
                }
            }
            stop.store(true, Ordering::Relaxed);
            let served = floor.join().expect("no panic").expect("it served");
            assert_eq!(served, Served { received: 400, sent: heard, unsent: 0 }, "{kind:?}");
        }
    }

    #[test]
    fn nonsense_is_no_event() {
        let mut rooms = Rooms::new();
        for text in ["", "{}", "{\"id\":\"p\"}", "{\"id\":\"p1\",\"x\":a,\"y\":1,\"seq\":1}", "{\"id\":\"p1\",\"x\":1"]
        {
            assert_eq!(rooms.event(text), None, "{text}");
        }
    }
}
