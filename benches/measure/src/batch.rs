//! A client that hands the kernel many datagrams at once, so that what is measured is the other side and not the client.
//!
//! Datagrams are made before the run. Neighbours of one length go out in one call (UDP segmentation offload, through
//! `quinn-udp`); commands come back many to a call (`recvmmsg`, receive offload). Still an open loop: a datagram goes when it
//! is due, and a client that falls behind says so, since then its own limit was found and nobody else's.

use crate::floor::BUFFER_BYTES;
use crate::job::{Job, seq_of};
use osmose_wire::frame::{At, Body, FrameBuilder, Head, Sample};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use std::io::{ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Bytes of a JSON event, blanks included: datagrams of one length go out together.
const JSON_BYTES: usize = 64;
/// Bytes of one receive buffer: offload hands over many datagrams as one.
const RECEIVE_BYTES: usize = 64 * 1024;
/// Bytes of one call at most, below what UDP carries.
const CALL_BYTES_MAX: usize = 60_000;
/// How long commands are waited for after the last event, when none comes any more.
const PATIENCE: Duration = Duration::from_millis(500);
/// The run begins at this rate for this long: nobody is measured by the first use of its memory.
const RAMP_HZ: f64 = 10_000.0;
/// See [`RAMP_HZ`].
const RAMP: Duration = Duration::from_millis(300);

/// Everything that a run sends, made beforehand.
#[derive(Debug)]
pub struct Prepared {
    bytes: Vec<u8>,
    /// Where each datagram begins, and where the last ends.
    at: Vec<usize>,
    /// By the event's number: whether a command must come.
    expects: Vec<bool>,
    /// Observations of one datagram.
    pub each: usize,
    /// Datagrams of the ramp.
    ramp: usize,
}

impl Prepared {
    /// `count` events of the peer job behind the ramp, one JSON object a datagram.
    #[must_use]
    pub fn json(count: usize) -> Self {
        let mut job = Job::new();
        let ramp = (RAMP_HZ * RAMP.as_secs_f64()) as usize;
        let n = count + ramp;
        let (mut bytes, mut one) = (Vec::with_capacity(n * JSON_BYTES), vec![]);
        let mut expects = Vec::with_capacity(n);
        for _ in 0..n {
            let event = job.event();
            event.write_padded(JSON_BYTES, &mut one);
            bytes.extend_from_slice(&one);
            expects.push(event.expects);
        }
        Self { bytes, at: (0..=n).map(|i| i * JSON_BYTES).collect(), expects, each: 1, ramp }
    }

    /// The same events as native frames of `each` observations.
    #[must_use]
    pub fn native(count: usize, each: usize) -> Self {
        let each = each.max(1);
        let mut job = Job::new();
        let ramp = ((RAMP_HZ * RAMP.as_secs_f64()) as usize).div_ceil(each);
        let frames = count.div_ceil(each) + ramp;
        let names: Vec<String> = (0..crate::job::PEOPLE).map(|k| format!("p{k}")).collect();
        let (mut bytes, mut at) = (Vec::new(), vec![0]);
        let mut expects = Vec::with_capacity(frames * each);
        let mut builder = FrameBuilder::new();
        for frame in 0..frames {
            let samples: Vec<Sample<'_>> = (0..each)
                .map(|_| {
                    let e = job.event();
                    expects.push(e.expects);
                    let place = At { x_m: e.x_m, y_m: e.y_m, ..At::default() };
                    let body = Body::Location { device: &names[e.person], at: place, sigma_m: None };
                    Sample { seq: Some(e.seq), ..Sample::of(body) }
                })
                .collect();
            let head = Head { sensor: "positions", seq: Some(frame as u64), time: None };
            bytes.extend_from_slice(builder.encode(&head, &samples));
            at.push(bytes.len());
        }
        Self { bytes, at, expects, each, ramp }
    }

    /// Datagrams in all.
    #[must_use]
    pub fn datagrams(&self) -> usize {
        self.at.len() - 1
    }

    /// Bytes of the largest datagram.
    #[must_use]
    pub fn largest(&self) -> usize {
        self.at.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0)
    }

    /// From datagram `from` on, how many of those up to `to` are of one length and fit one call.
    fn alike(&self, from: usize, to: usize, most: usize) -> usize {
        let length = self.at[from + 1] - self.at[from];
        let most = most.min(CALL_BYTES_MAX / length.max(1)).max(1);
        (from..to).take(most).take_while(|&i| self.at[i + 1] - self.at[i] == length).count().max(1)
    }
}

/// What a run gave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flood {
    /// Datagrams handed to the kernel.
    pub sent: u64,
    /// Commands that had to come.
    pub expected: u64,
    /// Commands that came for them.
    pub received: u64,
    /// Commands that came twice or that nobody expected.
    pub wrong: u64,
    /// Observations a second that were really sent, behind the ramp.
    pub rate_hz: f64,
    /// Seconds that the last datagram was behind its time.
    pub behind_s: f64,
}

/// A client's sockets.
#[derive(Debug)]
pub struct Client {
    to: UdpSocket,
    sending: UdpSocketState,
    from: UdpSocket,
    receiving: UdpSocketState,
    events: SocketAddr,
}

impl Client {
    /// Sends to `events` and listens on `commands`.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(events: SocketAddr, commands: SocketAddr) -> std::io::Result<Self> {
        let to = UdpSocket::bind(SocketAddr::new(events.ip(), 0))?;
        let from = socket2::Socket::new(socket2::Domain::for_address(commands), socket2::Type::DGRAM, None)?;
        let _ = from.set_recv_buffer_size(BUFFER_BYTES);
        from.bind(&commands.into())?;
        let from = UdpSocket::from(from);
        let (sending, receiving) = (UdpSocketState::new((&to).into())?, UdpSocketState::new((&from).into())?);
        let _ = sending.set_send_buffer_size((&to).into(), BUFFER_BYTES);
        Ok(Self { to, sending, from, receiving, events })
    }

    /// Sends everything at `rate_hz` observations a second and takes in what comes back.
    ///
    /// # Errors
    /// What the system says where it will not send at all.
    pub fn flood(&self, prepared: &Prepared, rate_hz: f64) -> std::io::Result<Flood> {
        let mut flood = Flood { expected: prepared.expects.iter().filter(|e| **e).count() as u64, ..Flood::default() };
        let mut seen = vec![false; prepared.expects.len()];
        let mut buffers = vec![0; RECEIVE_BYTES * BATCH_SIZE];
        let most = self.sending.max_gso_segments();
        let all = prepared.datagrams();
        let ramp_hz = RAMP_HZ.min(rate_hz) / prepared.each as f64;
        let full_hz = rate_hz / prepared.each as f64;
        let began = Instant::now();
        let ramp_s = prepared.ramp as f64 / ramp_hz;
        // How many are due by an instant.
        let due = |s: f64| {
            let n = if s < ramp_s { s * ramp_hz } else { prepared.ramp as f64 + (s - ramp_s) * full_hz };
            (n as usize + 1).min(all)
        };
        let (mut next, mut heard) = (0, Instant::now());
        let mut done_s = None;
        loop {
            let now_s = began.elapsed().as_secs_f64();
            let to = due(now_s);
            if next < to {
                let n = prepared.alike(next, to, most);
                if self.send(prepared, next, n)? {
                    next += n;
                }
            }
            if self.take(&mut buffers, &mut seen, prepared, &mut flood)? > 0 {
                heard = Instant::now();
            }
            if next == all {
                let done = *done_s.get_or_insert(now_s);
                if flood.received == flood.expected
                    || (heard.elapsed() > PATIENCE && now_s - done > PATIENCE.as_secs_f64())
                {
                    break;
                }
            }
        }
        let should_s = ramp_s + (all - prepared.ramp) as f64 / full_hz;
        let took_s = done_s.unwrap_or(should_s);
        flood.sent = all as u64;
        flood.behind_s = (took_s - should_s).max(0.0);
        flood.rate_hz = (all - prepared.ramp) as f64 * prepared.each as f64 / (took_s - ramp_s).max(1e-9);
        Ok(flood)
    }

    /// Hands datagrams over in one call; false where the kernel has no room for them now.
    fn send(&self, prepared: &Prepared, from: usize, n: usize) -> std::io::Result<bool> {
        let contents = &prepared.bytes[prepared.at[from]..prepared.at[from + n]];
        let segment_size = (n > 1).then(|| contents.len() / n);
        let transmit = Transmit { destination: self.events, ecn: None, contents, segment_size, src_ip: None };
        match self.sending.try_send((&self.to).into(), &transmit) {
            Ok(()) => Ok(true),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            // Loopback answers "refused" while nobody listens: it is counted as lost by whoever compares.
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// Takes in what waits; gives how many commands it were.
    fn take(
        &self,
        buffers: &mut [u8],
        seen: &mut [bool],
        prepared: &Prepared,
        flood: &mut Flood,
    ) -> std::io::Result<usize> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut chunks = buffers.chunks_mut(RECEIVE_BYTES);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let n = match self.receiving.recv((&self.from).into(), &mut slices, &mut metas) {
            Ok(n) => n,
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionRefused
                ) =>
            {
                0
            }
            Err(e) => return Err(e),
        };
        let mut commands = 0;
        for (meta, slice) in metas[..n].iter().zip(&slices) {
            for command in slice[..meta.len].chunks(meta.stride.max(1)) {
                commands += 1;
                let at = seq_of(command).and_then(|s| usize::try_from(s).ok()).filter(|&s| s < seen.len());
                match at {
                    Some(s) if prepared.expects[s] && !seen[s] => {
                        seen[s] = true;
                        flood.received += 1;
                    }
                    _ => flood.wrong += 1,
                }
            }
        }
        Ok(commands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_wire::frame::verify_frame;

    #[test]
    fn both_forms_say_the_same_events() {
        let (json, native) = (Prepared::json(1000), Prepared::native(1000, 32));
        assert_eq!((json.datagrams(), json.largest()), (4000, JSON_BYTES));
        assert_eq!(native.datagrams(), 32 + 94);
        assert_eq!(json.expects[..4000], native.expects[..4000]);
        let frame = verify_frame(&native.bytes[native.at[3]..native.at[4]]).expect("a frame");
        assert_eq!(frame.observations().len(), 32);
        assert_eq!(frame.observations().get(0).seq(), Some(96));
        assert!(native.largest() < 4096, "{}", native.largest());
    }

    #[test]
    fn neighbours_of_one_length_go_together() {
        let p = Prepared { bytes: vec![], at: vec![0, 10, 20, 30, 45, 60], expects: vec![], each: 1, ramp: 0 };
        assert_eq!(p.alike(0, 5, 64), 3);
        assert_eq!(p.alike(0, 5, 2), 2);
        assert_eq!(p.alike(0, 1, 64), 1);
        assert_eq!(p.alike(3, 5, 64), 2);
    }

    #[test]
    fn what_is_sent_arrives_over_loopback() {
        // Somebody who answers every event: the expected ones are taken, the others are wrong.
        let server = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let commands = UdpSocket::bind("127.0.0.1:0").expect("a socket").local_addr().expect("bound");
        let client = Client::open(server.local_addr().expect("bound"), commands).expect("sockets");
        let prepared = Prepared::json(0);
        let expected = prepared.expects.iter().filter(|e| **e).count() as u64;
        let answer = std::thread::spawn(move || {
            server.set_read_timeout(Some(Duration::from_millis(800))).expect("a timeout");
            let mut buffer = [0; 2048];
            let mut n = 0u64;
            while let Ok((len, _)) = server.recv_from(&mut buffer) {
                n += 1;
                assert_eq!(len, JSON_BYTES, "each datagram by itself");
                let _ = server.send_to(&buffer[..len], commands);
            }
            n
        });
        let flood = client.flood(&prepared, 5_000.0).expect("it sends");
        let heard = answer.join().expect("no panic");
        assert_eq!(flood.expected, expected);
        // A busy machine may drop some of them: but nothing is made up.
        assert!(flood.received + flood.wrong <= heard && heard <= flood.sent, "{flood:?}, heard {heard}");
        assert!(flood.received > 0, "{flood:?}");
    }
}
