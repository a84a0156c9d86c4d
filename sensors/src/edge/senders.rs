//! Who sends, and the sequence numbers of each socket: what is missing, what went back, who restarted.

use super::PortId;
use osmose_model::time::ArrivalNs;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Most senders followed at once.
pub const SENDERS_MAX: usize = 4096;
/// A jump ahead of more than this is a sender that began anew, not so many lost datagrams.
const JUMP_MAX: u64 = 1 << 20;
/// So many lower numbers in a row, one after the other, are a sender that began anew.
const RESTART_RUN: u8 = 3;

/// What a number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first, or the next one.
    InOrder,
    /// So many before it were never seen.
    Gap(u64),
    /// It went back, or came again.
    Back,
    /// The sender began anew.
    Restarted,
}

/// One sender's numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Sender {
    last: Option<u64>,
    newest_time_ns: Option<i64>,
    /// The latest number that went back, and how many in a row did.
    back: (u64, u8),
    heard: ArrivalNs,
}

impl Sender {
    fn account(&mut self, seq: u64, time_ns: Option<i64>) -> Verdict {
        let fresh = matches!((time_ns, self.newest_time_ns), (Some(t), Some(newest)) if t > newest);
        self.newest_time_ns = self.newest_time_ns.max(time_ns);
        let Some(last) = self.last else {
            self.last = Some(seq);
            return Verdict::InOrder;
        };
        if seq > last {
            self.last = Some(seq);
            self.back.1 = 0;
            return match seq - last - 1 {
                0 => Verdict::InOrder,
                n if n > JUMP_MAX => Verdict::Restarted,
                n => Verdict::Gap(n),
            };
        }
        let run = if self.back.1 > 0 && self.back.0.checked_add(1) == Some(seq) { self.back.1 + 1 } else { 1 };
        self.back = (seq, run);
        // A number that comes again is never a restart: some devices send the same one for ever.
        if seq < last && (fresh || run >= RESTART_RUN) {
            self.last = Some(seq);
            self.back.1 = 0;
            return Verdict::Restarted;
        }
        Verdict::Back
    }
}

/// All senders; the one silent for longest is forgotten where there would be too many.
#[derive(Clone, Debug, Default)]
pub struct Senders {
    by_addr: BTreeMap<(PortId, SocketAddr), u32>,
    senders: Vec<Sender>,
    /// The latest one found: most datagrams come from the same socket as the one before.
    latest: Option<(PortId, SocketAddr, u32)>,
}

impl Senders {
    /// The number of a sender, from 0; and whether another was forgotten for it.
    pub fn find(&mut self, port: PortId, from: SocketAddr, arrival: ArrivalNs) -> (u32, bool) {
        if let Some((p, f, n)) = self.latest
            && (p, f) == (port, from)
        {
            self.senders[n as usize].heard = arrival;
            return (n, false);
        }
        let (n, forgot) = match self.by_addr.get(&(port, from)) {
            Some(&n) => (n, false),
            None => self.add(port, from),
        };
        self.senders[n as usize].heard = arrival;
        self.latest = Some((port, from, n));
        (n, forgot)
    }

    fn add(&mut self, port: PortId, from: SocketAddr) -> (u32, bool) {
        let forgot = self.senders.len() >= SENDERS_MAX;
        let n = if forgot {
            let silent = self.by_addr.iter().min_by_key(|&(_, &n)| self.senders[n as usize].heard);
            let (&key, &n) = silent.unwrap_or((&(port, from), &0));
            self.by_addr.remove(&key);
            self.senders[n as usize] = Sender::default();
            n
        } else {
            self.senders.push(Sender::default());
            (self.senders.len() - 1) as u32
        };
        self.by_addr.insert((port, from), n);
        (n, forgot)
    }

    /// Notes the next number of a sender whose datagram is dropped as a copy of another sender's: it came, so it is
    /// not to be counted as missing too.
    pub fn came_as_copy(&mut self, sender: u32, seq: u64) {
        let last = &mut self.senders[sender as usize].last;
        if last.is_none_or(|last| last.checked_add(1) == Some(seq)) {
            *last = Some(seq);
        }
    }

    /// Takes a sender's number; `time_ns` is the time claimed with it.
    pub fn account(&mut self, sender: u32, seq: u64, time_ns: Option<i64>) -> Verdict {
        self.senders[sender as usize].account(seq, time_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(numbers: &[(u64, Option<i64>)]) -> Vec<Verdict> {
        let mut sender = Sender::default();
        numbers.iter().map(|&(seq, time)| sender.account(seq, time)).collect()
    }

    #[test]
    fn gaps_and_steps_back_are_told_apart_from_restarts() {
        use Verdict::{Back, Gap, InOrder, Restarted};
        let plain = |n: &[u64]| verdicts(&n.iter().map(|&s| (s, None)).collect::<Vec<_>>());
        assert_eq!(plain(&[7, 8, 11, 12]), [InOrder, InOrder, Gap(2), InOrder]);
        assert_eq!(plain(&[1, 3, 2, 4]), [InOrder, Gap(1), Back, InOrder], "overtaken on the way");
        assert_eq!(plain(&[5, 5, 5, 5, 5]), [InOrder, Back, Back, Back, Back], "a number that never changes");
        assert_eq!(plain(&[900, 1, 2, 3, 4]), [InOrder, Back, Back, Restarted, InOrder], "three in a row");
        assert_eq!(plain(&[1, u64::MAX, 0]), [InOrder, Restarted, Back]);
        let timed = verdicts(&[(900, Some(10)), (1, Some(11)), (2, Some(12)), (1, Some(11))]);
        assert_eq!(timed, [InOrder, Restarted, InOrder, Back], "lower numbers with later times");
    }

    #[test]
    fn the_one_silent_for_longest_is_forgotten() {
        let mut senders = Senders::default();
        let addr = |n: usize| SocketAddr::from(([127, 0, (n >> 8) as u8, n as u8], 9));
        for n in 0..SENDERS_MAX {
            assert_eq!(senders.find(PortId(0), addr(n), ArrivalNs(n as i64)), (n as u32, false));
        }
        senders.find(PortId(0), addr(0), ArrivalNs(1_000_000));
        assert_eq!(senders.find(PortId(0), addr(70_000), ArrivalNs(1_000_001)), (1, true));
        assert_eq!(senders.find(PortId(0), addr(0), ArrivalNs(1_000_002)), (0, false));
    }
}
