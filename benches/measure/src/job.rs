//! The job that every peer is measured by, event for event as their load generator makes it.
//!
//! 20 meeting rooms (8 m x 6 m) on a grid of 5 x 4 with corridors of 2 m, 200 people; person `k` lives in room `k % 20`,
//! every 10th is staff, everybody else a participant. Event `s` is of person `(s + s / 200) % 200`; every 5th event puts
//! somebody who is inside into the corridor, and his next event puts him back. When a participant leaves, one `pause`
//! must come out that carries the event's number. So 18 % of events yield a command.

use std::io::Write as _;

/// Rooms.
pub const ROOMS: usize = 20;
/// People.
pub const PEOPLE: usize = 200;
/// Rooms in a row.
const COLUMNS: usize = 5;
/// Every so many events somebody leaves.
const EXIT_EVERY: u64 = 5;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Its number.
    pub seq: u64,
    /// Who moved.
    pub person: usize,
    /// Where to, metres.
    pub x_m: f64,
    /// Where to, metres.
    pub y_m: f64,
    /// Whether a command must come back.
    pub expects: bool,
}

/// The corners of a room: x and y of the south-west one, then of the north-east one, metres.
#[must_use]
pub fn room(r: usize) -> (f64, f64, f64, f64) {
    let (x, y) = ((r % COLUMNS) as f64 * 10.0, (r / COLUMNS) as f64 * 8.0);
    (x, y, x + 8.0, y + 6.0)
}

/// The stream of events, made one by one and the same on every run.
#[derive(Clone, Debug)]
pub struct Job {
    next: u64,
    is_out: Vec<bool>,
    random: u64,
    people: usize,
}

impl Default for Job {
    fn default() -> Self {
        Self::new()
    }
}

impl Job {
    /// From the first event on.
    #[must_use]
    pub fn new() -> Self {
        Self::of_people(PEOPLE)
    }

    /// The same job with other numbers of people.
    #[must_use]
    pub fn of_people(people: usize) -> Self {
        Self { next: 0, is_out: vec![false; people], random: 0x9e37_79b9_7f4a_7c15, people }
    }

    /// Whether the next event is of the first round, in which everybody is put into his room.
    #[must_use]
    pub fn is_settling(&self) -> bool {
        self.next < self.people as u64
    }

    /// A share of one, by a linear congruential generator (Knuth's MMIX constants), as the peers' generator has it.
    fn share(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as f64 / (1u64 << 31) as f64
    }

    /// The next event.
    pub fn event(&mut self) -> Event {
        let (seq, people) = (self.next, self.people as u64);
        self.next += 1;
        let person = ((seq + seq / people) % people) as usize;
        let (x0, y0, x1, y1) = room(person % ROOMS);
        let leaves = seq >= people && seq % EXIT_EVERY == EXIT_EVERY - 1 && !self.is_out[person];
        let (u, v) = (self.share(), self.share());
        self.is_out[person] = leaves;
        let (x_m, y_m) = if leaves {
            (x1 + 0.5 + u, y0 + v * 5.0)
        } else {
            (x0 + 0.2 + u * (x1 - x0 - 0.4), y0 + 0.2 + v * (y1 - y0 - 0.4))
        };
        Event { seq, person, x_m, y_m, expects: leaves && !person.is_multiple_of(10) }
    }
}

impl Event {
    /// As the datagram that peers get.
    pub fn write(&self, into: &mut Vec<u8>) {
        into.clear();
        let Self { person, x_m, y_m, seq, .. } = self;
        // Writing into memory does not fail.
        let _ = write!(into, "{{\"id\":\"p{person}\",\"x\":{x_m:.3},\"y\":{y_m:.3},\"seq\":{seq}}}");
    }

    /// The same datagram, filled with blanks to `len` bytes: datagrams of one length can be handed to the kernel together.
    pub fn write_padded(&self, len: usize, into: &mut Vec<u8>) {
        self.write(into);
        debug_assert!(into.len() <= len, "a datagram of {} bytes does not fit {len}", into.len());
        into.resize(len, b' ');
    }
}

/// The number in a command: what stands behind `"seq":`.
#[must_use]
pub fn seq_of(command: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"seq\":";
    let at = command.windows(KEY.len()).rposition(|w| w == KEY)? + KEY.len();
    let mut digits = command[at..].iter().skip_while(|b| **b == b' ').take_while(|b| b.is_ascii_digit());
    let value = |b: &u8| u64::from(b - b'0');
    let first = digits.next()?;
    digits.try_fold(value(first), |n, b| n.checked_mul(10)?.checked_add(value(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighteen_percent_of_events_yield_a_command() {
        let mut job = Job::new();
        let events: Vec<Event> = (0..20_200).map(|_| job.event()).collect();
        let expected = events.iter().filter(|e| e.expects).count();
        assert_eq!(expected, 3600, "as the peers' generator expects of 20,000 events behind the first round");
        assert!(events[..200].iter().all(|e| !e.expects));
        let mut again = Job::new();
        assert_eq!(events[0], again.event());
    }

    #[test]
    fn whoever_leaves_is_in_no_room() {
        let mut job = Job::new();
        for _ in 0..5_000 {
            let e = job.event();
            let inside = (0..ROOMS).find(|&r| {
                let (x0, y0, x1, y1) = room(r);
                (x0..x1).contains(&e.x_m) && (y0..y1).contains(&e.y_m)
            });
            assert!(!(e.expects && inside.is_some()), "{e:?}");
            assert!(inside.is_none() || inside == Some(e.person % ROOMS), "{e:?}");
        }
    }

    #[test]
    fn a_command_s_number_is_found() {
        assert_eq!(seq_of(br#"{"id":"7.0","seq":42}"#), Some(42));
        assert_eq!(seq_of(br#"{"seq": 7, "x":1}"#), Some(7));
        assert_eq!(seq_of(br#"{"id":"7.0"}"#), None);
        assert_eq!(seq_of(br#"{"seq":}"#), None);
        assert_eq!(seq_of(br#"{"seq":99999999999999999999999}"#), None);
    }

    #[test]
    fn datagrams_of_one_length_say_the_same() {
        let (mut job, mut plain, mut padded) = (Job::new(), vec![], vec![]);
        for _ in 0..1000 {
            let e = job.event();
            e.write(&mut plain);
            e.write_padded(64, &mut padded);
            assert_eq!((padded.len(), padded.trim_ascii_end()), (64, &plain[..]));
        }
    }
}
