//! One system call, many datagrams: `recvmmsg` with generic receive offload through `quinn-udp`. Each datagram comes with
//! the instant at which the kernel took it.

use osmose_model::time::UtcNs;
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

/// Bytes for one message: the longest datagram, or as many as the kernel merged into one. A little more than 64 KiB, so
/// that it is seen where one is too long, and so that neighbouring slots do not fight for the same lines of the cache.
const SLOT_BYTES: usize = 64 * 1024 + 192;

/// Room for what one call reads.
pub(super) struct Batch {
    room: Box<[u8]>,
    meta: [RecvMeta; BATCH_SIZE],
    messages: usize,
}

/// One datagram of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received<'a> {
    pub(super) from: SocketAddr,
    /// When the kernel took it, by the wall clock.
    pub(super) stamp: Option<UtcNs>,
    pub(super) bytes: &'a [u8],
}

impl Batch {
    pub(super) fn new() -> Self {
        let room = vec![0; BATCH_SIZE * SLOT_BYTES].into_boxed_slice();
        Self { room, meta: [RecvMeta::default(); BATCH_SIZE], messages: 0 }
    }

    /// Reads at most `messages` (each one datagram, or several that the kernel merged); gives how many came.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` where nothing waits.
    pub(super) fn read(
        &mut self,
        socket: &mio::net::UdpSocket,
        state: &UdpSocketState,
        messages: usize,
    ) -> io::Result<usize> {
        let n = messages.clamp(1, BATCH_SIZE);
        let mut slots = self.room.chunks_exact_mut(SLOT_BYTES);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        self.messages = 0;
        self.messages = state.recv(socket.into(), &mut slices[..n], &mut self.meta)?;
        Ok(self.messages)
    }

    /// What the last read brought, in the order in which it came.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = Received<'_>> {
        let messages = self.meta[..self.messages].iter().zip(self.room.chunks_exact(SLOT_BYTES));
        messages.flat_map(|(meta, slot)| {
            let whole = &slot[..meta.len.min(slot.len())];
            let (from, stamp) = (meta.addr, meta.timestamp.and_then(|t| i64::try_from(t.as_nanos()).ok()).map(UtcNs));
            let stride = if meta.stride == 0 { slot.len() } else { meta.stride };
            // An empty datagram is one too.
            let empty = whole.is_empty().then_some(whole);
            whole.chunks(stride).chain(empty).map(move |bytes| Received { from, stamp, bytes })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::time::ArrivalNs;
    use std::net::UdpSocket;

    fn pair() -> (UdpSocket, mio::net::UdpSocket, UdpSocketState) {
        let to = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let from = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        from.connect(to.local_addr().expect("bound")).expect("connects");
        let state = UdpSocketState::new((&to).into()).expect("its options");
        (from, mio::net::UdpSocket::from_std(to), state)
    }

    #[test]
    fn datagrams_come_whole_in_order_with_their_sender_and_the_kernels_stamp() {
        let (from, to, state) = pair();
        let clock = crate::clock::HostClock::starting_at(ArrivalNs(0));
        let (_, before) = clock.with_utc().expect("both clocks");
        let sizes = [5usize, 0, 1400, 65_507, 1];
        for (i, n) in sizes.iter().enumerate() {
            from.send(&vec![i as u8; *n]).expect("loopback takes it");
        }
        let mut batch = Batch::new();
        assert_eq!(batch.read(&to, &state, 3).expect("they wait"), 3, "no more than asked for");
        let mut got: Vec<(usize, Option<UtcNs>)> = vec![];
        let mut take = |batch: &Batch| {
            for d in batch.datagrams() {
                assert_eq!(d.from, from.local_addr().expect("bound"));
                assert!(d.bytes.iter().all(|&b| usize::from(b) == got.len()), "datagram {}", got.len());
                got.push((d.bytes.len(), d.stamp));
            }
        };
        take(&batch);
        assert_eq!(batch.read(&to, &state, 32).expect("the rest"), 2);
        take(&batch);
        assert_eq!(got.iter().map(|g| g.0).collect::<Vec<_>>(), sizes);
        let stamps: Vec<_> = got.iter().map(|g| g.1.expect("Linux stamps")).collect();
        assert!(stamps[0].0 >= before.0 && stamps.is_sorted(), "{before:?} {stamps:?}");
        let nothing = batch.read(&to, &state, 32).expect_err("nothing waits");
        assert_eq!((nothing.kind(), batch.datagrams().count()), (io::ErrorKind::WouldBlock, 0));
    }

    #[test]
    fn what_a_sender_segments_comes_as_the_datagrams_that_it_is_made_of() {
        let (from, to, state) = pair();
        let sender = UdpSocketState::new((&from).into()).expect("its options");
        let contents: Vec<u8> = (0..10u8).flat_map(|i| [i; 100]).chain([10; 30]).collect();
        let transmit = quinn_udp::Transmit {
            destination: to.local_addr().expect("bound"),
            ecn: None,
            contents: &contents,
            segment_size: (sender.max_gso_segments() > 10).then_some(100),
            src_ip: None,
        };
        if transmit.segment_size.is_none() {
            println!("skip: this kernel has no generic segmentation offload for UDP");
            return;
        }
        sender.try_send((&from).into(), &transmit).expect("loopback takes it");
        let (mut batch, mut got) = (Batch::new(), vec![]);
        while batch.read(&to, &state, 32).is_ok() {
            got.extend(batch.datagrams().map(|d| (d.bytes[0], d.bytes.len())));
        }
        let wanted: Vec<_> = (0..10u8).map(|i| (i, 100)).chain([(10, 30)]).collect();
        assert_eq!(got, wanted);
    }
}
