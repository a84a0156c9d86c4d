//! A lane: the lock-free queue between a socket and the sequencer, one for each class of urgency.
//!
//! Two `rtrb` rings side by side: fixed-size heads (which the merge compares) and the canonical bytes of the inputs
//! (which are journaled, digested and decoded once each). Everything is allocated when the lane is made.

use osmose_core::sequencer::Head;
use osmose_model::input::Class;
use osmose_model::time::ArrivalNs;

/// What travels in front of an input's bytes.
#[derive(Clone, Copy, Debug)]
pub struct LaneHead {
    /// For the merge.
    pub head: Head,
    /// When the kernel took the datagram.
    pub received: ArrivalNs,
    /// Length of the canonical bytes.
    pub len: u32,
}

/// Both rings of one lane.
#[must_use]
pub fn lane(items: usize, bytes: usize) -> (LaneTx, LaneRx) {
    let (mut head_tx, mut head_rx) = rtrb::RingBuffer::new(items);
    let (mut byte_tx, mut byte_rx) = rtrb::RingBuffer::new(bytes);
    let head = Head { arrival: ArrivalNs(0), class: Class::Bulk, source: 0, source_seq: 0 };
    while head_tx.push(LaneHead { head, received: ArrivalNs(0), len: 0 }).is_ok() {}
    while head_rx.pop().is_ok() {}
    touch(&mut byte_tx, &mut byte_rx);
    (LaneTx { heads: head_tx, bytes: byte_tx }, LaneRx { heads: head_rx, bytes: byte_rx })
}

/// The edge's end.
#[derive(Debug)]
pub struct LaneTx {
    heads: rtrb::Producer<LaneHead>,
    bytes: rtrb::Producer<u8>,
}

/// The lane has no room; the input was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lane is full")]
pub struct LaneFull;

impl LaneTx {
    /// Appends one input; `received` is when the kernel took it.
    ///
    /// # Errors
    /// [`LaneFull`]: count it, and say so in a `Shed` input.
    pub fn push(&mut self, head: Head, received: ArrivalNs, canonical: &[u8]) -> Result<(), LaneFull> {
        if self.heads.slots() == 0 || !put(&mut self.bytes, canonical) {
            return Err(LaneFull);
        }
        let len = canonical.len() as u32;
        self.heads.push(LaneHead { head, received, len }).map_err(|_| LaneFull)
    }
}

impl LaneTx {
    /// Whether more than half of its items or bytes are taken.
    #[must_use]
    pub fn is_over_half(&self) -> bool {
        self.heads.slots() < self.heads.buffer().capacity() / 2
            || self.bytes.slots() < self.bytes.buffer().capacity() / 2
    }
}

/// Touches every page of an empty ring, so that the kernel finds the memory for it now and not in the hot path.
pub(crate) fn touch(tx: &mut rtrb::Producer<u8>, rx: &mut rtrb::Consumer<u8>) {
    let all = tx.slots();
    if let Ok(chunk) = tx.write_chunk(all) {
        chunk.commit_all();
    }
    if let Ok(chunk) = rx.read_chunk(all) {
        chunk.commit_all();
    }
}

/// Copies `bytes` into a byte ring, all or nothing.
pub(crate) fn put(ring: &mut rtrb::Producer<u8>, bytes: &[u8]) -> bool {
    let Ok(mut chunk) = ring.write_chunk(bytes.len()) else { return false };
    let (a, b) = chunk.as_mut_slices();
    a.copy_from_slice(&bytes[..a.len()]);
    b.copy_from_slice(&bytes[a.len()..]);
    chunk.commit_all();
    true
}

/// Takes `n` bytes out of a byte ring into the front of `into`; false where fewer are there.
pub(crate) fn take(ring: &mut rtrb::Consumer<u8>, n: usize, into: &mut [u8]) -> bool {
    let Ok(chunk) = ring.read_chunk(n) else { return false };
    let (a, b) = chunk.as_slices();
    into[..a.len()].copy_from_slice(a);
    into[a.len()..n].copy_from_slice(b);
    chunk.commit_all();
    true
}

/// The sequencer's end.
#[derive(Debug)]
pub struct LaneRx {
    heads: rtrb::Consumer<LaneHead>,
    bytes: rtrb::Consumer<u8>,
}

impl LaneRx {
    /// The head of the queue, for the merge.
    #[must_use]
    pub fn peek(&self) -> Option<Head> {
        self.heads.peek().ok().map(|h| h.head)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Whether the other end is gone and nothing waits.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.heads.is_abandoned() && self.heads.is_empty()
    }

    /// Takes the head and its bytes, which go to the front of `into`.
    pub fn pop(&mut self, into: &mut [u8]) -> Option<LaneHead> {
        let head = self.heads.pop().ok()?;
        take(&mut self.bytes, head.len as usize, into).then_some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: ArrivalNs = ArrivalNs(77);

    fn head(i: u64) -> Head {
        Head { arrival: ArrivalNs(i as i64), class: Class::State, source: 0, source_seq: i }
    }

    #[test]
    fn a_full_lane_takes_nothing_half() {
        let (mut tx, mut rx) = lane(4, 10);
        assert_eq!(tx.push(head(0), AT, b"sixsix"), Ok(()));
        assert_eq!(tx.push(head(1), AT, b"fivef"), Err(LaneFull), "bytes do not fit");
        assert_eq!(tx.push(head(1), AT, b"four"), Ok(()));
        let mut buffer = [0u8; 16];
        assert_eq!(rx.pop(&mut buffer).map(|h| (h.head, h.received, h.len)), Some((head(0), AT, 6)));
        assert_eq!(&buffer[..6], b"sixsix");
        assert_eq!(rx.peek(), Some(head(1)));
        assert_eq!(rx.pop(&mut buffer).map(|h| (h.head, h.received, h.len)), Some((head(1), AT, 4)));
        assert_eq!(&buffer[..4], b"four");
        assert!(rx.pop(&mut buffer).is_none());
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order_across_the_rings_end(
            sizes in proptest::collection::vec(0usize..40, 1..80), keep in 0usize..3,
        ) {
            let (mut tx, mut rx) = lane(8, 128);
            let (mut sent, mut got, mut buffer) = (0u64, 0u64, [0u8; 64]);
            for n in sizes {
                let item = vec![(sent % 251) as u8; n];
                prop_assert_eq!(tx.push(head(sent), AT, &item), Ok(()));
                sent += 1;
                while (sent - got) as usize > keep {
                    let h = rx.pop(&mut buffer).expect("there is one");
                    let len = h.len as usize;
                    prop_assert_eq!(h.head, head(got));
                    prop_assert!(buffer[..len].iter().all(|&b| u64::from(b) == got % 251));
                    got += 1;
                }
            }
        }
    }
}
