//! The floor: what this machine gives with no engine at all.
//!
//! One thread, one call for a datagram in and one for a command out: receive, read the numbers, point in polygon, send. No
//! engine can be faster by much, so its figures stand beside every engine's, measured in the same minutes.

use crate::job::{ROOMS, room};
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A blocked read looks up this often whether it is to end.
const LOOK_UP: Duration = Duration::from_millis(100);
/// What the kernel is asked to hold at a socket, the same as the engine asks.
pub const BUFFER_BYTES: usize = 8 * 1024 * 1024;

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
    events: SocketAddr,
    commands: SocketAddr,
    spin: bool,
    stop: &AtomicBool,
    ready: impl FnOnce(),
) -> std::io::Result<Served> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(events), socket2::Type::DGRAM, None)?;
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    socket.bind(&events.into())?;
    let socket = UdpSocket::from(socket);
    socket.set_nonblocking(spin)?;
    socket.set_read_timeout(Some(LOOK_UP))?;
    ready();
    let (mut rooms, mut served) = (Rooms::new(), Served::default());
    let (mut buffer, mut line) = (vec![0; 2048], Vec::with_capacity(128));
    loop {
        let n = match socket.recv_from(&mut buffer) {
            Ok((n, _)) => n,
            // Nothing waits: what came before the stop is done.
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                if stop.load(Ordering::Relaxed) {
                    return Ok(served);
                }
                continue;
            }
            Err(_) => continue,
        };
        served.received += 1;
        let Ok(text) = std::str::from_utf8(&buffer[..n]) else { continue };
        if let Some((room, seq)) = rooms.event(text.trim_end()) {
            line.clear();
            let _ = write!(line, "{{\"cmd\":\"pause\",\"room\":\"r{room}\",\"seq\":{seq}}}");
            match socket.send_to(&line, commands) {
                Ok(_) => served.sent += 1,
                Err(_) => served.unsent += 1,
            }
        }
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
    fn nonsense_is_no_event() {
        let mut rooms = Rooms::new();
        for text in ["", "{}", "{\"id\":\"p\"}", "{\"id\":\"p1\",\"x\":a,\"y\":1,\"seq\":1}", "{\"id\":\"p1\",\"x\":1"]
        {
            assert_eq!(rooms.event(text), None, "{text}");
        }
    }
}
