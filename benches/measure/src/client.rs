//! The load: events at the instants when they are due, whatever the other side does about it.
//!
//! Open loop: a latency counts from when its event was *due*, so a stall is charged for everything that it delayed, the
//! sending included. The client spins on a core of its own, so that its own waking is not in the figure.

use crate::dist::Dist;
use crate::hiccup::{Gaps, Miss};
use crate::job::{Job, seq_of};
use crate::report::hgrm::Slice;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

/// Events sent in one turn at most: commands are looked for between.
const BURST: usize = 64;
/// How long commands are waited for after the last event.
const PATIENCE: Duration = Duration::from_secs(3);
/// What a turn may take for each datagram that it sent or received, before it counts as a gap of the client's core.
const PER_DATAGRAM: Duration = Duration::from_micros(10);
/// Latencies beyond the budget that are kept with their place in time.
const MISSES_MAX: usize = 1 << 20;

/// How much, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Events a second.
    pub rate_hz: f64,
    /// Measured.
    pub length: Duration,
    /// Before it, not measured.
    pub warm_up: Duration,
    /// Latencies longer than this are misses.
    pub budget: Duration,
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct Run {
    /// From due to received, of events behind the warm-up.
    pub latency: Dist,
    /// The same by seconds.
    pub slices: Vec<Slice>,
    /// Those beyond the budget.
    pub misses: Vec<Miss>,
    /// Misses that were not kept with their place.
    pub misses_not_kept: u64,
    /// When the run began, on the two clocks; instants of misses and gaps count from here.
    pub began: (Instant, SystemTime),
    /// Events handed to the kernel.
    pub sent: u64,
    /// Datagrams of the flood handed to the kernel.
    pub flooded: u64,
    /// Commands that had to come, warm-up included.
    pub expected: u64,
    /// Commands that came for them, each counted once.
    pub received: u64,
    /// Commands that came again.
    pub again: u64,
    /// Commands that nobody expected.
    pub bogus: u64,
    /// Gaps of the client's own core.
    pub gaps: Gaps,
}

/// The two sockets of a client.
#[derive(Debug)]
pub struct Sockets {
    to: UdpSocket,
    from: UdpSocket,
    flood: Option<Flood>,
}

/// What goes to another socket of the engine meanwhile.
#[derive(Debug)]
struct Flood {
    to: UdpSocket,
    rate_hz: f64,
}

impl Sockets {
    /// Sends to `events` and listens on `commands`.
    ///
    /// # Errors
    /// What the system says; above all where another program holds the port.
    pub fn open(events: SocketAddr, commands: SocketAddr) -> std::io::Result<Self> {
        let to = UdpSocket::bind(SocketAddr::new(events.ip(), 0))?;
        to.connect(events)?;
        to.set_nonblocking(true)?;
        let from = socket2::Socket::new(socket2::Domain::for_address(commands), socket2::Type::DGRAM, None)?;
        let _ = from.set_recv_buffer_size(crate::floor::BUFFER_BYTES);
        from.bind(&commands.into())?;
        from.set_nonblocking(true)?;
        Ok(Self { to, from: from.into(), flood: None })
    }

    /// Sends readings of a sensor to `to` too, so many a second.
    ///
    /// # Errors
    /// What the system says.
    pub fn flooding(self, to: SocketAddr, rate_hz: f64) -> std::io::Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(to.ip(), 0))?;
        socket.connect(to)?;
        socket.set_nonblocking(true)?;
        Ok(Self { flood: Some(Flood { to: socket, rate_hz }), ..self })
    }
}

/// What must come back, and what did.
struct Book {
    expects: Vec<bool>,
    seen: Vec<bool>,
    period_ns: f64,
    /// Latencies count from this event on.
    first: u64,
}

impl Book {
    fn due_ns(&self, seq: u64) -> u64 {
        (seq as f64 * self.period_ns) as u64
    }
}

impl Run {
    fn new(least_gap: Duration) -> Self {
        Self {
            latency: Dist::new(),
            slices: vec![],
            misses: Vec::with_capacity(4096),
            misses_not_kept: 0,
            began: (Instant::now(), SystemTime::now()),
            sent: 0,
            flooded: 0,
            expected: 0,
            received: 0,
            again: 0,
            bogus: 0,
            gaps: Gaps::of_at_least(least_gap),
        }
    }

    /// Sends what is due of the flood; gives how much.
    fn flood(&mut self, flood: &Flood, at_ns: u64) -> u32 {
        let due = (at_ns as f64 / 1e9 * flood.rate_hz) as u64;
        let before = self.flooded;
        while self.flooded < due.min(before + BURST as u64) {
            let reading = format!("{{\"v\":{}.5}}", self.flooded % 1000);
            if flood.to.send(reading.as_bytes()).is_err() {
                break;
            }
            self.flooded += 1;
        }
        (self.flooded - before) as u32
    }

    /// A command came.
    fn take(&mut self, book: &mut Book, command: &[u8], at_ns: u64, budget_ns: u64) {
        let Some(seq) = seq_of(command) else {
            self.bogus += 1;
            return;
        };
        let at = seq as usize;
        match (book.expects.get(at), book.seen.get(at)) {
            (Some(true), Some(true)) => self.again += 1,
            (Some(true), Some(false)) => {
                book.seen[at] = true;
                self.received += 1;
                if seq >= book.first {
                    self.latency(book, seq, at_ns, budget_ns);
                }
            }
            _ => self.bogus += 1,
        }
    }

    fn latency(&mut self, book: &Book, seq: u64, came_ns: u64, budget_ns: u64) {
        let due_ns = book.due_ns(seq);
        let ns = came_ns.saturating_sub(due_ns);
        self.latency.add(ns);
        let second = (due_ns - book.due_ns(book.first)) / 1_000_000_000;
        while self.slices.len() as u64 <= second {
            let from = Duration::from_secs(self.slices.len() as u64);
            self.slices.push(Slice { tag: "latency", from, length: Duration::from_secs(1), dist: Dist::new() });
        }
        self.slices[second as usize].dist.add(ns);
        if ns > budget_ns {
            if self.misses.len() < MISSES_MAX {
                self.misses.push(Miss { due_ns, came_ns });
            } else {
                self.misses_not_kept += 1;
            }
        }
    }
}

/// Plays the peer job and measures what comes back. `least_gap` is how long a gap of the client's core must be to be noted.
#[must_use]
pub fn play(sockets: &Sockets, load: &Load, least_gap: Duration) -> Run {
    let mut job = Job::new();
    let rate = load.rate_hz.max(1.0);
    let first = crate::job::PEOPLE as u64 + (rate * load.warm_up.as_secs_f64()) as u64;
    let count = first + (rate * load.length.as_secs_f64()) as u64;
    let expects = Vec::with_capacity(count as usize);
    let mut book = Book { expects, seen: vec![false; count as usize], period_ns: 1e9 / rate, first };
    let (mut datagram, mut buffer) = (Vec::with_capacity(128), vec![0; 2048]);
    let budget_ns = load.budget.as_nanos() as u64;
    let mut run = Run::new(least_gap);
    let began = run.began.0;
    let ns = |t: Instant| t.saturating_duration_since(began).as_nanos() as u64;
    let (mut before, mut handled, mut waits_for_room) = (began, 0u32, false);
    let mut sent_all_at = None;
    loop {
        let now = Instant::now();
        let turn = now.saturating_duration_since(before);
        if turn > least_gap + PER_DATAGRAM * handled {
            run.gaps.note(ns(before), ns(now));
        }
        (before, handled) = (now, 0);
        for _ in 0..BURST {
            if run.sent == count || ns(now) < book.due_ns(run.sent) {
                break;
            }
            if !waits_for_room {
                let event = job.event();
                event.write(&mut datagram);
                book.expects.push(event.expects);
                run.expected += u64::from(event.expects);
            }
            // A full buffer holds this event back, and that is charged to it: it was due.
            waits_for_room = sockets.to.send(&datagram).is_err_and(|e| e.kind() == ErrorKind::WouldBlock);
            if waits_for_room {
                break;
            }
            run.sent += 1;
            handled += 1;
        }
        if let Some(flood) = sockets.flood.as_ref().filter(|_| run.sent < count) {
            handled += run.flood(flood, ns(now));
        }
        while let Ok(n) = sockets.from.recv(&mut buffer) {
            run.take(&mut book, &buffer[..n], ns(Instant::now()), budget_ns);
            handled += 1;
        }
        if run.sent == count {
            let since = now.saturating_duration_since(*sent_all_at.get_or_insert(now));
            if run.received == run.expected || since > PATIENCE {
                return run;
            }
        }
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Book {
        Book { expects: vec![false, true, true, true], seen: vec![false; 4], period_ns: 1e6, first: 2 }
    }

    #[test]
    fn every_command_is_booked_once_and_from_when_it_was_due() {
        let (mut run, mut book) = (Run::new(Duration::from_micros(100)), book());
        run.take(&mut book, br#"{"seq":1}"#, 5_000_000, 1_000_000);
        assert_eq!((run.received, run.latency.len()), (1, 0), "warm-up is booked and not measured");
        run.take(&mut book, br#"{"seq":2}"#, 2_500_000, 1_000_000);
        run.take(&mut book, br#"{"seq":3}"#, 4_000_001, 1_000_000);
        assert_eq!(run.latency.len(), 2);
        assert_eq!(run.latency.max_ns(), 1_000_001);
        assert_eq!(run.misses, [Miss { due_ns: 3_000_000, came_ns: 4_000_001 }]);
        run.take(&mut book, br#"{"seq":3}"#, 5_000_000, 1_000_000);
        run.take(&mut book, br#"{"seq":0}"#, 5_000_000, 1_000_000);
        run.take(&mut book, br#"{"seq":99}"#, 5_000_000, 1_000_000);
        run.take(&mut book, b"nonsense", 5_000_000, 1_000_000);
        assert_eq!((run.received, run.again, run.bogus), (3, 1, 3));
    }
}
