//! The job that other engines are measured with: 20 rooms, 200 people who step out now and then, one command for each
//! participant who does.
//!
//! Event `s` is of person `(s + s / 200) mod 200`, who lives in room `person mod 20`. Once everybody has been seen
//! inside, every 5th event puts its person into the corridor unless he is there already, and his next event puts him
//! back. Every 10th person is staff; of everybody else, each step out must give one `pause` of the room's recorder that
//! carries the event's number.

use super::PATIENCE;
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

pub(crate) const PEOPLE: u64 = 200;
const ROOMS: u64 = 20;
const COLUMNS: u64 = 5;
const EXIT_EVERY: u64 = 5;
/// Commands that may be owed at any time: the pace is held back beyond it. So many events fit any socket's buffer, and
/// a machine that is busy with other tests makes this one slower, and not lossy.
const OWED_MAX: usize = 30;

/// A whole stream of events, made one by one.
pub(crate) struct Job {
    next: u64,
    is_out: [bool; PEOPLE as usize],
    random: u64,
}

/// One event.
pub(crate) struct Event {
    pub(crate) person: u64,
    pub(crate) x_m: f64,
    pub(crate) y_m: f64,
    pub(crate) seq: u64,
    /// The room that a participant has just left.
    pub(crate) left: Option<u64>,
}

impl Event {
    /// As the datagram that the site's `map` reads.
    pub(crate) fn datagram(&self) -> String {
        let Self { person, x_m, y_m, seq, .. } = self;
        format!("{{\"id\":\"p{person}\",\"x\":{x_m:.3},\"y\":{y_m:.3},\"seq\":{seq}}}")
    }
}

/// The south-west corner of a room, metres; it is 8 m wide and 6 m deep.
pub(crate) fn corner(room: u64) -> (f64, f64) {
    ((room % COLUMNS) as f64 * 10.0, (room / COLUMNS) as f64 * 8.0)
}

impl Job {
    pub(crate) fn new() -> Self {
        Self { next: 0, is_out: [false; PEOPLE as usize], random: 2026 }
    }

    /// A share of one, by xorshift: where exactly somebody stands does not matter.
    fn share(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Iterator for Job {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let seq = self.next;
        self.next += 1;
        let person = (seq + seq / PEOPLE) % PEOPLE;
        let room = person % ROOMS;
        let (x0, y0) = corner(room);
        let was_out = std::mem::take(&mut self.is_out[person as usize]);
        let steps_out = seq >= PEOPLE && seq % EXIT_EVERY == EXIT_EVERY - 1 && !was_out;
        self.is_out[person as usize] = steps_out;
        let (u, v) = (self.share(), self.share());
        let (x_m, y_m) =
            if steps_out { (x0 + 8.5 + u, y0 + 5.0 * v) } else { (x0 + 0.2 + 7.6 * u, y0 + 0.2 + 5.6 * v) };
        Some(Event { person, x_m, y_m, seq, left: (steps_out && !person.is_multiple_of(10)).then_some(room) })
    }
}

/// What was sent, what had to come back, and what did.
#[derive(Default)]
pub(crate) struct Played {
    pub(crate) sent: u64,
    /// By the event's number: the room whose recorder must pause.
    pub(crate) expected: BTreeMap<u64, u64>,
    /// By the event's number: how often a command came, and for which devices.
    pub(crate) came: BTreeMap<u64, Vec<String>>,
    /// The commands' own ids, as they came.
    pub(crate) ids: Vec<String>,
}

impl Played {
    /// Takes one datagram that the engine sent: a command, or an event that shows somebody leave.
    fn take(&mut self, datagram: &[u8]) {
        let line: serde_json::Value = serde_json::from_slice(datagram).expect("one JSON value a datagram");
        let seq = line["seq"].as_u64().unwrap_or_else(|| panic!("no number in {line}"));
        assert_eq!(line["command"], "pause", "{line}");
        assert_eq!(line["rule"], "pause-recording", "{line}");
        self.ids.push(line["id"].as_str().expect("an id").to_owned());
        self.came.entry(seq).or_default().push(line["device"].as_str().expect("a device").to_owned());
    }

    /// Takes what waits in a socket and gives how many it were.
    pub(crate) fn drain(&mut self, devices: &UdpSocket) -> usize {
        devices.set_nonblocking(true).expect("a socket's mode");
        let (mut buffer, mut n) = ([0; 2048], 0);
        while let Ok(len) = devices.recv(&mut buffer) {
            self.take(&buffer[..len]);
            n += 1;
        }
        n
    }

    /// Fails unless every expected command came exactly once, for its device, and no other.
    pub(crate) fn assert_each_once(&self) {
        assert!(self.expected.len() > 50, "only {} commands were due", self.expected.len());
        for (seq, room) in &self.expected {
            let came = self.came.get(seq).map_or(&[][..], Vec::as_slice);
            assert_eq!(came, [format!("r{room}.recorder")], "event {seq}");
        }
        let bogus: Vec<_> = self.came.keys().filter(|seq| !self.expected.contains_key(seq)).collect();
        assert!(bogus.is_empty(), "commands for events that nobody left with: {bogus:?}");
    }
}

/// Plays `count` events at `rate_hz`, held back where too many commands are owed, and waits for what is owed at the end.
/// `owed` looks at what has come back and gives how many of the expected are still owed.
pub(crate) fn play(to: &UdpSocket, rate_hz: f64, count: u64, mut look: impl FnMut(&mut Played) -> usize) -> Played {
    let (mut job, mut played) = (Job::new(), Played::default());
    let (begun, mut heard) = (Instant::now(), Instant::now());
    let mut owed_before = 0;
    while played.sent < count || owed_before > 0 {
        let owed = look(&mut played);
        if owed != owed_before {
            (owed_before, heard) = (owed, Instant::now());
        }
        assert!(heard.elapsed() < PATIENCE, "{owed} commands are owed and nothing comes any more");
        let due = ((begun.elapsed().as_secs_f64() * rate_hz) as u64).min(count);
        let mut begun_now = owed;
        while played.sent < due && begun_now < OWED_MAX {
            let event = job.next().expect("it never ends");
            to.send(event.datagram().as_bytes()).expect("loopback takes it");
            played.sent += 1;
            if let Some(room) = event.left {
                played.expected.insert(event.seq, room);
                begun_now += 1;
            }
        }
        owed_before = owed_before.max(begun_now);
        std::thread::sleep(Duration::from_micros(200));
    }
    played
}
