//! What has left: by device, the last command that was handed to the transport, in a mapped file that outlives a kill.
//!
//! An input is in the journal before its commands leave. A process that is killed in between has decided them and told
//! nobody; its successor decides them again from the journal, and these marks tell it which of them it must send. What goes
//! to one device goes in the order in which it was decided, so one mark for each device is enough. There are two: one is
//! written before the system call that hands a command over, one behind it. A command between the two is in doubt. It is
//! nearly always out, since such a call is not broken off once it has begun, so it is not sent again (no id goes out
//! twice); it is named.
//!
//! A mark is one aligned word, so it is old or new and nothing between. The file is written by the sending thread alone and
//! read only by a restart.

use super::le_u64;
use osmose_drivers::udp::{Leaving, Of};
use osmose_model::command::CommandId;
use osmose_model::ids::{ActuatorId, Seq};

/// What the file begins with.
const MAGIC: u64 = u64::from_le_bytes(*b"OSMHAND1");
/// Words before the marks: the magic, and up to which input nothing is owed.
const HEAD_WORDS: usize = 2;
/// Words of a device: begun, and left.
const DEVICE_WORDS: usize = 2;
/// Bits of a mark that number the commands of one input.
const N_BITS: u32 = 20;

/// Whether a command has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It was handed over, or nothing was to be.
    Yes,
    /// The process was killed while it was being handed over.
    InDoubt,
    /// It was not.
    No,
}

/// The marks of all devices over some bytes: the mapped file, or memory in tests.
#[derive(Debug)]
pub struct HandedOver<B> {
    bytes: B,
}

/// A command's mark: later ones are greater, and none is 0.
fn mark(id: CommandId) -> u64 {
    let n = u64::from(id.n).min((1 << N_BITS) - 1);
    (id.seq.0.saturating_add(1) << N_BITS) | n
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> HandedOver<B> {
    /// Bytes that so many devices take.
    #[must_use]
    pub fn len_for(devices: usize) -> u64 {
        ((HEAD_WORDS + DEVICE_WORDS * devices) * 8) as u64
    }

    /// Marks over `bytes`, as they are.
    #[must_use]
    pub fn new(bytes: B) -> Self {
        Self { bytes }
    }

    /// The bytes themselves.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    fn word(&self, at: usize) -> u64 {
        self.bytes.as_ref().get(8 * at..).map_or(0, le_u64)
    }

    fn set(&mut self, at: usize, word: u64) {
        if let Some(to) = self.bytes.as_mut().get_mut(8 * at..8 * at + 8) {
            to.copy_from_slice(&word.to_le_bytes());
        }
    }

    fn at(device: ActuatorId) -> usize {
        HEAD_WORDS + DEVICE_WORDS * device.index()
    }

    /// A new log begins: nothing was handed over.
    pub fn begin(&mut self) {
        self.bytes.as_mut().fill(0);
        self.set(0, MAGIC);
    }

    /// An engine goes on behind input `last`. Where nobody kept marks so far, nothing is owed up to there.
    pub fn go_on(&mut self, last: Seq) {
        if self.word(0) != MAGIC {
            self.begin();
            self.set(1, last.0);
        } else if self.word(1) == u64::MAX {
            self.set(1, last.0);
        }
    }

    /// From here on nothing is handed to anybody, and nothing is owed for it (a dry run).
    pub fn owe_nothing(&mut self) {
        self.set(1, u64::MAX);
    }

    /// Whether a command has left.
    #[must_use]
    pub fn left(&self, device: ActuatorId, id: CommandId) -> Left {
        let at = Self::at(device);
        if self.word(0) != MAGIC || id.seq.0 <= self.word(1) || mark(id) <= self.word(at + 1) {
            Left::Yes
        } else if mark(id) <= self.word(at) {
            Left::InDoubt
        } else {
            Left::No
        }
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]> + std::fmt::Debug + Send> Leaving for HandedOver<B> {
    fn begins(&mut self, of: Of) {
        self.set(Self::at(of.device), mark(of.id));
    }

    fn left(&mut self, of: Of) {
        self.set(Self::at(of.device) + 1, mark(of.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: ActuatorId = ActuatorId(1);

    fn id(seq: u64, n: u32) -> CommandId {
        CommandId { seq: Seq(seq), n }
    }

    fn marks() -> HandedOver<Vec<u8>> {
        HandedOver::new(vec![0; HandedOver::<Vec<u8>>::len_for(3) as usize])
    }

    #[test]
    fn killed_anywhere_a_command_has_left_is_in_doubt_or_has_not() {
        let mut marks = marks();
        marks.begin();
        let of = |seq, n| Of { device: D, id: id(seq, n) };
        assert_eq!(marks.left(D, id(1, 0)), Left::No);
        marks.begins(of(7, 0));
        marks.begins(of(7, 1));
        assert_eq!([0, 1, 2].map(|n| marks.left(D, id(7, n))), [Left::InDoubt, Left::InDoubt, Left::No]);
        Leaving::left(&mut marks, of(7, 0));
        assert_eq!([0, 1, 2].map(|n| marks.left(D, id(7, n))), [Left::Yes, Left::InDoubt, Left::No]);
        Leaving::left(&mut marks, of(7, 1));
        assert_eq!(
            [(3, 9), (7, 1), (7, 2), (8, 0)].map(|(seq, n)| marks.left(D, id(seq, n))),
            [Left::Yes, Left::Yes, Left::No, Left::No]
        );
        assert_eq!(marks.left(ActuatorId(0), id(7, 0)), Left::No, "each device has its own");
        // What comes in one line too many for the marks is none of the next input's.
        Leaving::left(&mut marks, of(8, u32::MAX));
        assert_eq!([(8, 5), (9, 0)].map(|(seq, n)| marks.left(D, id(seq, n))), [Left::Yes, Left::No]);
    }

    #[test]
    fn where_no_marks_were_kept_nothing_is_owed() {
        let mut marks = marks();
        assert_eq!(marks.left(D, id(5, 0)), Left::Yes, "an engine of before, which kept none");
        marks.go_on(Seq(9));
        assert_eq!([9, 10].map(|seq| marks.left(D, id(seq, 0))), [Left::Yes, Left::No]);
        marks.go_on(Seq(20));
        assert_eq!(marks.left(D, id(10, 0)), Left::No, "it is owed until it is handed over");
        marks.owe_nothing();
        assert_eq!(marks.left(D, id(30, 0)), Left::Yes);
        marks.go_on(Seq(40));
        assert_eq!([40, 41].map(|seq| marks.left(D, id(seq, 0))), [Left::Yes, Left::No]);
        assert_eq!(marks.left(ActuatorId(77), id(41, 0)), Left::No, "a device beyond the file has no marks");
    }
}
