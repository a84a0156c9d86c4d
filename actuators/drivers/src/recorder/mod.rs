//! A recorder that can take back what it should not have heard: frames wait in a hold-back buffer before they are
//! written, so that a pause that comes a little late still keeps what was said after somebody left out of the file.
//!
//! A leave is known only some time after it: the sensor's period, the zone's margin and the engine come first. A pause
//! therefore says how far back it reaches (`back_s`: the earliest plausible crossing, the estimate less three standard
//! deviations), and every held frame with a sample from then on is dropped. What is already written cannot be taken
//! back: it is counted as *leaked*, and said.
//!
//! | file | what it holds |
//! |---|---|
//! | this | the gate and the hold-back buffer |
//! | [`wav`] | sound from a WAV file in frames, and frames into one |
//!
//! Where written frames go is a [`FrameSink`]: a WAV file here; one that seals each frame for the group takes its place
//! without a change to the gate.

pub mod wav;

use osmose_model::time::{DurationNs, LogicalNs};
use std::collections::VecDeque;

/// The length of a frame.
pub const FRAME: DurationNs = DurationNs::from_ms(20);
/// How long frames are held back where nothing else is said.
pub const HOLD_BACK: DurationNs = DurationNs::from_ms(1000);
/// The longest that frames can be held back: more would be a recording of its own in memory.
pub const HOLD_BACK_MAX: DurationNs = DurationNs::from_s(30);

/// So many milliseconds of sound, captured in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When its first sample was captured.
    pub captured: LogicalNs,
    /// Its samples, channels interleaved.
    pub samples: Vec<i16>,
}

impl Frame {
    /// When its last sample was captured.
    #[must_use]
    pub fn ends(&self) -> LogicalNs {
        self.captured.plus(FRAME)
    }
}

/// Where frames go for good, in the order of their capture.
pub trait FrameSink {
    /// Takes a frame.
    ///
    /// # Errors
    /// What the file or the network says. The recorder keeps the frame and tries again with the next one.
    fn write(&mut self, frame: &Frame) -> std::io::Result<()>;
}

impl FrameSink for Vec<Frame> {
    fn write(&mut self, frame: &Frame) -> std::io::Result<()> {
        self.push(frame.clone());
        Ok(())
    }
}

/// Whether what is captured is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Nothing is kept.
    Closed,
    /// Frames that begin at this instant or later are kept.
    Open(LogicalNs),
}

/// What a pause did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Held frames that were dropped.
    pub dropped: u64,
    /// How much sound from the cut on was written already; zero where the hold-back was long enough.
    pub leaked: DurationNs,
}

/// What went through a recorder so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Frames captured, kept or not.
    pub captured: u64,
    /// Frames written.
    pub written: u64,
    /// Frames dropped by pauses.
    pub dropped: u64,
    /// Pauses.
    pub pauses: u64,
    /// Sound that was written before the pause that should have kept it out, all together.
    pub leaked: DurationNs,
}

/// A recorder.
///
/// ```
/// use osmose_drivers::recorder::{Frame, HOLD_BACK, Recorder};
/// use osmose_model::time::{DurationNs, LogicalNs};
/// let mut recorder = Recorder::new(Vec::new(), HOLD_BACK);
/// recorder.open(LogicalNs(0));
/// for n in 0..100 {
///     recorder.capture(Frame { captured: LogicalNs(n * 20_000_000), samples: vec![0; 320] })?;
/// }
/// // At 2 s it is known that somebody left, 400 ms ago at the earliest: what was captured from then on is dropped.
/// let cut = recorder.pause(LogicalNs(2_000_000_000), Some(DurationNs::from_ms(400)));
/// assert_eq!((cut.dropped, cut.leaked.0), (20, 0));
/// let written = recorder.finish()?;
/// assert_eq!(written.len(), 80);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Recorder<S> {
    sink: S,
    hold_back: DurationNs,
    gate: Gate,
    /// Captured and not written yet, in order.
    held: VecDeque<Frame>,
    /// Where the last written frame ends.
    written_until: Option<LogicalNs>,
    account: Account,
}

impl<S: FrameSink> Recorder<S> {
    /// A recorder whose gate is closed. `hold_back` is clamped to 0..=[`HOLD_BACK_MAX`].
    pub fn new(sink: S, hold_back: DurationNs) -> Self {
        let hold_back = hold_back.clamp(DurationNs::ZERO, HOLD_BACK_MAX);
        let held = VecDeque::with_capacity((hold_back.0 / FRAME.0) as usize + 2);
        Self { sink, hold_back, gate: Gate::Closed, held, written_until: None, account: Account::default() }
    }

    /// Whether it keeps what is captured.
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// What went through it.
    pub fn account(&self) -> Account {
        self.account
    }

    /// Starts or resumes: frames that begin at `at` or later are kept. Nothing from before is.
    pub fn open(&mut self, at: LogicalNs) {
        if self.gate == Gate::Closed {
            self.gate = Gate::Open(at);
        }
    }

    /// Takes a captured frame. Frames come in the order of their capture; a frame from before the last one is dropped.
    ///
    /// # Errors
    /// What the sink says; the frames that it did not take are still held.
    pub fn capture(&mut self, frame: Frame) -> std::io::Result<()> {
        self.account.captured += 1;
        let now = frame.ends();
        let is_kept = match self.gate {
            Gate::Open(from) => frame.captured >= from,
            Gate::Closed => false,
        };
        let is_next = self.held.back().map(Frame::ends).or(self.written_until).is_none_or(|end| frame.captured >= end);
        if is_kept && is_next {
            self.held.push_back(frame);
        }
        self.release(now)
    }

    /// Writes what has been held for long enough.
    ///
    /// # Errors
    /// What the sink says; the frames that it did not take are still held.
    pub fn release(&mut self, now: LogicalNs) -> std::io::Result<()> {
        while self.held.front().is_some_and(|f| f.ends().plus(self.hold_back) <= now) {
            self.write_first()?;
        }
        Ok(())
    }

    fn write_first(&mut self) -> std::io::Result<()> {
        if let Some(frame) = self.held.front() {
            self.sink.write(frame)?;
            self.written_until = Some(frame.ends());
            self.account.written += 1;
            self.held.pop_front();
        }
        Ok(())
    }

    /// Pauses or stops at `at`: from now on nothing is kept, and of what is held everything with a sample within `back`
    /// before `at` is dropped; everything that is held where nobody can say how far back (`None`). Earlier frames stay
    /// held for their time, since a second pause may reach further back.
    pub fn pause(&mut self, at: LogicalNs, back: Option<DurationNs>) -> Cut {
        if self.gate != Gate::Closed {
            self.account.pauses += 1;
        }
        self.gate = Gate::Closed;
        let from = at.minus(back.unwrap_or(self.hold_back).max(DurationNs::ZERO));
        let before = self.held.len();
        self.held.retain(|f| back.is_some() && f.ends() <= from);
        let leaked = match self.written_until {
            Some(end) if back.is_some() && end > from => end.since(from),
            _ => DurationNs::ZERO,
        };
        let cut = Cut { dropped: (before - self.held.len()) as u64, leaked };
        self.account.dropped += cut.dropped;
        self.account.leaked = DurationNs(self.account.leaked.0.saturating_add(leaked.0));
        cut
    }

    /// Ends it: what is still held was not taken back by anybody, and is written. Gives the sink.
    ///
    /// # Errors
    /// What the sink says.
    pub fn finish(mut self) -> std::io::Result<S> {
        while !self.held.is_empty() {
            self.write_first()?;
        }
        Ok(self.sink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(n: i64) -> Frame {
        Frame { captured: LogicalNs(n * FRAME.0), samples: vec![n as i16; 4] }
    }

    fn ms(ms: i64) -> LogicalNs {
        LogicalNs(ms * 1_000_000)
    }

    #[test]
    fn nothing_is_kept_before_a_start_and_behind_a_pause() {
        let mut r = Recorder::new(Vec::new(), HOLD_BACK);
        for n in 0..300 {
            match n {
                50 => r.open(ms(1010)), // in the middle of frame 50: that one is from before
                150 => assert_eq!(r.pause(ms(3000), Some(DurationNs::ZERO)), Cut::default()),
                200 => r.open(ms(4000)),
                _ => {}
            }
            r.capture(frame(n)).unwrap();
        }
        assert_eq!(
            r.account(),
            Account { captured: 300, written: 149, dropped: 0, pauses: 1, leaked: DurationNs::ZERO }
        );
        let kept: Vec<i64> = r.finish().unwrap().iter().map(|f| f.captured.0 / FRAME.0).collect();
        assert_eq!(kept, (51..150).chain(200..300).collect::<Vec<_>>());
    }

    #[test]
    fn a_second_pause_may_reach_further_back_and_what_is_written_is_said_to_have_leaked() {
        let mut r = Recorder::new(Vec::new(), HOLD_BACK);
        r.open(ms(0));
        (0..100).for_each(|n| r.capture(frame(n)).unwrap());
        assert_eq!(r.pause(ms(2000), Some(DurationNs::from_ms(300))).dropped, 15);
        assert_eq!(r.pause(ms(2010), Some(DurationNs::from_ms(510))), Cut { dropped: 10, leaked: DurationNs::ZERO });
        // 50 frames were written by then, up to 1 s.
        let late = r.pause(ms(2020), Some(DurationNs::from_ms(1220)));
        assert_eq!(late, Cut { dropped: 25, leaked: DurationNs::from_ms(200) });
        assert_eq!(r.account().pauses, 1);
        assert_eq!(r.finish().unwrap().len(), 50);
    }

    #[test]
    fn where_nobody_can_say_how_far_back_everything_held_goes() {
        let mut r = Recorder::new(Vec::new(), HOLD_BACK);
        r.open(ms(0));
        (0..100).for_each(|n| r.capture(frame(n)).unwrap());
        assert_eq!(r.pause(ms(2000), None), Cut { dropped: 50, leaked: DurationNs::ZERO });
        assert_eq!(r.finish().unwrap().len(), 50);
    }

    #[test]
    fn what_the_sink_does_not_take_is_tried_again() {
        struct Full(Vec<Frame>, bool);
        impl FrameSink for Full {
            fn write(&mut self, frame: &Frame) -> std::io::Result<()> {
                if self.1 { Err(std::io::ErrorKind::StorageFull.into()) } else { self.0.write(frame) }
            }
        }
        let mut r = Recorder::new(Full(Vec::new(), true), DurationNs::ZERO);
        r.open(ms(0));
        assert!(r.capture(frame(0)).is_err() && r.capture(frame(1)).is_err());
        r.sink.1 = false;
        r.capture(frame(2)).unwrap();
        assert_eq!(r.finish().unwrap().0, [frame(0), frame(1), frame(2)]);
    }

    proptest! {
        /// Against the definition: a frame is in the file exactly if the gate was open when it was captured and no pause
        /// that came before it was written reaches back to it.
        #[test]
        fn what_is_written_is_what_the_definition_says(
            hold_ms in 0i64..1500,
            commands in proptest::collection::vec((0i64..4000, any::<bool>(), 0i64..2000), 0..12),
        ) {
            let hold_back = DurationNs::from_ms(hold_ms);
            let mut commands = commands;
            commands.sort_by_key(|c| c.0);
            let mut r = Recorder::new(Vec::new(), hold_back);
            let mut next = 0;
            for n in 0..200 {
                // What happened before this frame was whole is known to the gate before it comes.
                while next < commands.len() && ms(commands[next].0) < frame(n).ends() {
                    let (at, opens, back) = commands[next];
                    if opens { r.open(ms(at)) } else { r.pause(ms(at), Some(DurationNs::from_ms(back))); }
                    next += 1;
                }
                r.capture(frame(n)).unwrap();
            }
            let taken = &commands[..next];
            let kept: Vec<Frame> = (0..200).map(frame).filter(|f| {
                let known = taken.iter().filter(|c| ms(c.0) < f.ends());
                let mut open = None;
                for c in known {
                    open = if !c.1 { None } else { open.or(Some(ms(c.0))) };
                }
                let cut = taken.iter().any(|c| {
                    // Written with the first frame that ends a hold-back later, before the pauses that come behind it.
                    let held_until = (0..200).map(frame).find(|g| f.ends().plus(hold_back) <= g.ends());
                    let still_held = held_until.is_none_or(|g| ms(c.0) < g.ends());
                    !c.1 && ms(c.0) >= f.ends() && still_held && f.ends() > ms(c.0 - c.2)
                });
                open.is_some_and(|from| f.captured >= from) && !cut
            }).collect();
            prop_assert_eq!(r.finish().unwrap(), kept);
        }
    }
}
