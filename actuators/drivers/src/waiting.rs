//! Lines that wait to be handed to the kernel, and which of them may go in one call.
//!
//! A call costs a microsecond or more however little it carries. Linux takes many datagrams in one call where they are of
//! one length and go to one address (generic segmentation offload). Command lines differ by a few digits, so the shorter
//! ones of such a run are filled with blanks in front of their newline: the JSON stays what it was. What goes to one
//! address keeps its order; between addresses there is none to keep.

use crate::udp::Of;
use std::net::SocketAddr;

/// Lines that wait at most: what the kernel takes in one call.
pub(crate) const LINES_MAX: usize = 64;
/// Bytes that wait at most. One call carries what one datagram may: a little less than this.
const BYTES_MAX: usize = 60_000;
/// A longer line goes by itself: it may not fit the network's frames, and then the kernel has to cut it.
pub(crate) const RUN_LINE_MAX: usize = 1200;

/// A line that waits.
#[derive(Clone, Copy, Debug)]
struct Line {
    to: SocketAddr,
    from: usize,
    end: usize,
    of: Option<Of>,
    gone: bool,
}

impl Line {
    fn len(&self) -> usize {
        self.end - self.from
    }
}

/// What goes in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run<'a> {
    pub(crate) to: SocketAddr,
    pub(crate) bytes: &'a [u8],
    /// Each datagram's length; the last may be shorter. `None` where it is one datagram.
    pub(crate) each: Option<usize>,
    /// How many datagrams.
    pub(crate) lines: u64,
    /// What they tell, of those that tell something new.
    pub(crate) of: &'a [Of],
}

/// The lines that wait, oldest first. All memory is taken when it is made.
#[derive(Debug)]
pub(crate) struct Waiting {
    lines: Vec<Line>,
    bytes: Vec<u8>,
    /// A run under construction, and what it tells.
    run: Vec<u8>,
    of: Vec<Of>,
}

impl Waiting {
    pub(crate) fn new() -> Self {
        let run = Vec::with_capacity(LINES_MAX * RUN_LINE_MAX);
        let (lines, of) = (Vec::with_capacity(LINES_MAX), Vec::with_capacity(LINES_MAX));
        Self { lines, bytes: Vec::with_capacity(BYTES_MAX), run, of }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether there is room for one more line of a length. There always is behind [`Waiting::clear`], if it is no
    /// longer than a datagram may be.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.lines.len() < LINES_MAX && (self.bytes.is_empty() || self.bytes.len() + len <= BYTES_MAX)
    }

    /// Puts a line behind the others; `of`: which command it tells for the first time.
    pub(crate) fn push(&mut self, to: SocketAddr, line: &[u8], of: Option<Of>) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(line);
        self.lines.push(Line { to, from, end: self.bytes.len(), of, gone: false });
    }

    pub(crate) fn clear(&mut self) {
        self.lines.clear();
        self.bytes.clear();
    }

    /// The next run of at most `most` datagrams: the oldest line that is left, and those to the same address behind it.
    pub(crate) fn next_run(&mut self, most: usize) -> Option<Run<'_>> {
        let first = self.lines.iter().position(|l| !l.gone)?;
        let Line { to, from, end, .. } = self.lines[first];
        let (mut last, mut n, mut each) = (first, 1, end - from);
        if each <= RUN_LINE_MAX {
            // How far the run goes, and its longest line; a line that goes by itself ends it.
            for (i, line) in self.lines.iter().enumerate().skip(first + 1).filter(|(_, l)| !l.gone && l.to == to) {
                let longest = each.max(line.len());
                if n == most.min(LINES_MAX) || longest > RUN_LINE_MAX || (n + 1) * longest > BYTES_MAX {
                    break;
                }
                (last, n, each) = (i, n + 1, longest);
            }
        }
        let Self { lines, bytes, run, of } = self;
        run.clear();
        of.clear();
        if n == 1 {
            lines[first].gone = true;
            of.extend(lines[first].of);
            return Some(Run { to, bytes: &bytes[from..end], each: None, lines: 1, of });
        }
        for (i, line) in lines.iter_mut().enumerate().take(last + 1).skip(first) {
            if !line.gone && line.to == to {
                line.gone = true;
                of.extend(line.of);
                fill(&bytes[line.from..line.end], if i == last { line.len() } else { each }, run);
            }
        }
        Some(Run { to, bytes: run, each: Some(each), lines: n as u64, of })
    }
}

/// Appends a line, filled to `len` bytes with blanks in front of its newline.
fn fill(line: &[u8], len: usize, out: &mut Vec<u8>) {
    let (text, newline) = match line.split_last() {
        Some((b'\n', text)) => (text, &b"\n"[..]),
        _ => (line, &[][..]),
    };
    let end = out.len() + len;
    out.extend_from_slice(text);
    out.resize(end - newline.len(), b' ');
    out.extend_from_slice(newline);
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::command::CommandId;
    use osmose_model::ids::{ActuatorId, Seq};
    use proptest::prelude::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    proptest! {
        #[test]
        fn every_line_goes_once_and_in_the_order_of_its_address(
            lines in proptest::collection::vec((1u16..4, 1usize..40, 0..12u8), 0..LINES_MAX), most in 1usize..70,
        ) {
            let mut waiting = Waiting::new();
            let (mut wanted, mut told): (Vec<Vec<String>>, Vec<Vec<u32>>) = (vec![vec![]; 4], vec![vec![]; 4]);
            for (i, (port, len, long)) in lines.iter().enumerate() {
                // Now and then one that goes by itself.
                let len = if *long == 0 { RUN_LINE_MAX } else { *len };
                let text = format!("{i}{}", "x".repeat(len));
                prop_assert!(waiting.has_room(text.len() + 1));
                let of = Of { device: ActuatorId(*port), id: CommandId { seq: Seq(0), n: i as u32 } };
                waiting.push(address(*port), format!("{text}\n").as_bytes(), Some(of).filter(|_| i % 3 > 0));
                told[usize::from(*port)].extend(Some(i as u32).filter(|_| i % 3 > 0));
                wanted[usize::from(*port)].push(text);
            }
            let mut sent: Vec<Vec<String>> = vec![vec![]; 4];
            let mut runs = 0;
            let mut tells: Vec<Vec<u32>> = vec![vec![]; 4];
            while let Some(Run { to, bytes, each, lines, of }) = waiting.next_run(most) {
                prop_assert!(of.iter().all(|of| of.device.0 == to.port()));
                tells[usize::from(to.port())].extend(of.iter().map(|of| of.id.n));
                let each = each.unwrap_or(bytes.len());
                prop_assert!(lines == 1 || each <= RUN_LINE_MAX && bytes.len() <= BYTES_MAX);
                prop_assert!(lines as usize <= most.max(1));
                let datagrams: Vec<&[u8]> = bytes.chunks(each).collect();
                prop_assert_eq!(datagrams.len(), lines as usize);
                for datagram in datagrams {
                    prop_assert_eq!(datagram.last(), Some(&b'\n'));
                    sent[usize::from(to.port())].push(String::from_utf8_lossy(datagram).trim_end().to_owned());
                }
                runs += 1;
            }
            prop_assert!(most == 1 || runs <= lines.len());
            prop_assert_eq!(sent, wanted);
            prop_assert_eq!(tells, told);
            waiting.clear();
            prop_assert!(waiting.is_empty() && waiting.has_room(4096) && waiting.next_run(8).is_none());
        }
    }

    #[test]
    fn lines_of_one_address_go_in_one_call_however_they_are_mixed_with_others() {
        let mut waiting = Waiting::new();
        for i in 0..20u16 {
            waiting.push(address(1 + i % 2), format!("{{\"n\":{i}}}\n").as_bytes(), None);
        }
        let first = waiting.next_run(64).expect("some wait");
        assert_eq!((first.lines, first.each), (10, Some(9)));
        assert_eq!(&first.bytes[..18], b"{\"n\":0} \n{\"n\":2} \n", "the shorter are filled to the longest");
        assert_eq!(waiting.next_run(64).map(|r| r.lines), Some(10));
        assert!(waiting.next_run(64).is_none());
    }
}
