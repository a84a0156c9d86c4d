//! What leaves the pinned thread for the side: recording, the state folder, event and command logs.
//!
//! The pinned thread copies records into one byte ring and never waits; the journal thread takes them out and shows
//! them to every [`Tap`]. If the side stalls for so long that the ring is full, records are dropped *for the side
//! only*: the engine acts on, the loss is counted and shown as [`Tap::gap`], and nothing of it is silent.

use crate::journal::Offset;
use crate::lane::{put, take, touch};
use crate::shadow::Shadow;
pub use crate::shadow::Wanted;
use osmose_core::{Outbox, Rules};
use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::digest::Digest;
use osmose_model::ids::Seq;
use osmose_model::input::Tag;
use osmose_model::time::{ArrivalNs, LogicalNs};
use osmose_model::world::WorldEvent;

/// A whole state of the core, on its way to a file.
#[derive(Debug, Default)]
pub struct Keyframe {
    /// The last input in it.
    pub tag: Tag,
    /// Where the journal goes on after it.
    pub journal: Offset,
    /// What `save` wrote.
    pub state: Vec<u8>,
    /// Both digests at that point.
    pub digests: (Digest, Digest),
}

/// The way of one step through the engine, on the host's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Taken by the kernel (for a tick: due).
    pub received: ArrivalNs,
    /// Read from the socket (for a tick: due).
    pub read: ArrivalNs,
    /// The step began.
    pub step_start: ArrivalNs,
    /// The step ended.
    pub step_end: ArrivalNs,
    /// Its commands were handed to the transport.
    pub sent: ArrivalNs,
}

/// Somebody at the side. Called from the journal thread, in the order of the log.
pub trait Tap: Send {
    /// An input entered.
    fn input(&mut self, tag: Tag, canonical: &[u8]) {
        let _ = (tag, canonical);
    }
    /// It made an event.
    fn event(&mut self, tag: Tag, event: &WorldEvent) {
        let _ = (tag, event);
    }
    /// It made a command.
    fn command(&mut self, tag: Tag, command: &Command) {
        let _ = (tag, command);
    }
    /// How long the step took; shown for steps that sent commands.
    fn timing(&mut self, tag: Tag, timing: Timing) {
        let _ = (tag, timing);
    }
    /// Both digests after an input.
    fn digest(&mut self, seq: Seq, input: Digest, decision: Digest) {
        let _ = (seq, input, decision);
    }
    /// Whether keyframes are wanted although no state is kept: a recording is sought in by them.
    fn wants_keyframes(&self) -> bool {
        false
    }
    /// A keyframe was taken; true once it is durable (then the journal before it may go).
    fn keyframe(&mut self, keyframe: &Keyframe) -> bool {
        let _ = keyframe;
        false
    }
    /// Records are missing for the side from here: the engine acted on, this log did not see it.
    fn gap(&mut self, lost_records: u64) {
        let _ = lost_records;
    }
    /// Nothing is waiting: write out what is held back. Called at least every 50 ms.
    fn idle(&mut self) {}
    /// The engine has stopped and everything was shown.
    fn finish(&mut self) {}
}

const INPUT: u8 = 1;
const EVENT: u8 = 2;
const COMMAND: u8 = 3;
const DIGEST: u8 = 4;
const TIMING: u8 = 5;
/// A keyframe is wanted from the core at the side.
const WANTED: u8 = 6;
/// Rules were staged; they come by a ring of their own.
const STAGED: u8 = 7;
/// kind, length, tag.
const HEAD: usize = 1 + 4 + 16;

/// Both ends of the way to the side, with room for `bytes`.
#[must_use]
pub fn tap_ring(bytes: usize) -> (TapTx, TapRx) {
    let (mut tx, mut rx) = rtrb::RingBuffer::new(bytes);
    touch(&mut tx, &mut rx);
    let (frame_tx, frame_rx) = rtrb::RingBuffer::new(1);
    let (back_tx, back_rx) = rtrb::RingBuffer::new(BACK_MAX);
    let (staged_tx, staged_rx) = rtrb::RingBuffer::new(STAGED_MAX);
    let room = vec![0; osmose_model::limits::INPUT_BYTES_MAX];
    let tx = TapTx {
        ring: tx,
        lost: 0,
        lost_in_all: 0,
        scratch: vec![0; 16 * 1024],
        held: Vec::with_capacity(HELD_BYTES + HOLD_ROOM_BYTES),
        holes: Vec::with_capacity(HOLES_MAX),
        nobody: false,
        frames: frame_tx,
        staged: staged_tx,
        returned: back_rx,
    };
    let (frames, staged, back) = (frame_rx, staged_rx, back_tx);
    (tx, TapRx { ring: rx, buffer: room, frames, staged, back, pending: None, shadow: None })
}

/// What became of a keyframe.
#[derive(Debug)]
pub enum Returned {
    /// One that the stepping thread filled was dealt with: it may be filled again. Whether it is durable.
    Filled(Box<Keyframe>, bool),
    /// The core at the side was saved. `Some` where that is durable: the journal before it may go.
    Saved(Option<Offset>),
    /// The core at the side could not be saved in the place of the one that acts.
    Stale,
}

/// Answers that wait to be looked at: at most two filled keyframes and one asked for.
const BACK_MAX: usize = 4;
/// Rules that wait to be staged at the side.
const STAGED_MAX: usize = 8;

/// The pinned thread's end.
#[derive(Debug)]
pub struct TapTx {
    ring: rtrb::Producer<u8>,
    lost: u64,
    lost_in_all: u64,
    scratch: Vec<u8>,
    /// Records that are held back because it is not known yet when commands among them were handed over.
    held: Vec<u8>,
    /// Where that is to be written in them.
    holes: Vec<usize>,
    /// There is nobody at the side: nothing is recorded.
    nobody: bool,
    frames: rtrb::Producer<Box<Keyframe>>,
    staged: rtrb::Producer<Box<Rules>>,
    returned: rtrb::Consumer<Returned>,
}

/// Bytes of held records beyond which nothing more is held back.
const HELD_BYTES: usize = 64 * 1024;
/// What one more input and its step may add to them.
const HOLD_ROOM_BYTES: usize = 64 * 1024;
/// An input larger than this ends the holding back.
const HOLD_INPUT_MAX: usize = 16 * 1024;
/// So do more events, or more commands, of one step; each takes a few kilobytes at most.
const HOLD_EVENTS_MAX: usize = 16;
const HOLD_COMMANDS_MAX: usize = 4;
/// Steps whose commands may wait at a time.
const HOLES_MAX: usize = 64;

impl TapTx {
    /// There is nobody at the side who would be shown records.
    pub(crate) fn nobody_listens(&mut self) {
        self.nobody = true;
    }

    fn record(&mut self, kind: u8, tag: Tag, body: &[u8]) {
        if !self.holes.is_empty() {
            self.held.extend_from_slice(&head(kind, body.len(), tag));
            self.held.extend_from_slice(body);
            return;
        }
        self.put(kind, tag, body);
    }

    fn put(&mut self, kind: u8, tag: Tag, body: &[u8]) {
        let whole = HEAD + body.len();
        // A loss is said before anything that comes after it; the gap record is a kind of its own.
        if self.ring.slots() < whole + HEAD + 8 {
            self.lost += 1;
            self.lost_in_all += 1;
            return;
        }
        if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost).to_le_bytes();
            put(&mut self.ring, &head(0, lost.len(), tag));
            put(&mut self.ring, &lost);
        }
        put(&mut self.ring, &head(kind, body.len(), tag));
        put(&mut self.ring, body);
    }

    /// Shows an input.
    pub fn input(&mut self, tag: Tag, canonical: &[u8]) {
        if !self.nobody {
            self.record(INPUT, tag, canonical);
        }
    }

    /// Shows what a step decided, and how long it took where commands were sent.
    pub fn decided(&mut self, tag: Tag, out: &Outbox, digests: (Digest, Digest), timing: Timing) {
        if self.nobody || out.events.is_empty() && out.commands.is_empty() {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        for event in &out.events {
            if let Ok(n) = canon::encode_event(event, &mut scratch) {
                self.record(EVENT, tag, &scratch[..n]);
            }
        }
        for command in &out.commands {
            if let Ok(n) = canon::encode_command(command, &mut scratch) {
                self.record(COMMAND, tag, &scratch[..n]);
            }
        }
        if !out.commands.is_empty() {
            self.record(TIMING, tag, &timing.to_bytes());
        }
        scratch[..8].copy_from_slice(&digests.0.0.to_le_bytes());
        scratch[8..16].copy_from_slice(&digests.1.0.to_le_bytes());
        self.record(DIGEST, tag, &scratch[..16]);
        self.scratch = scratch;
    }

    /// The same for a step whose commands wait to be handed over: from here on records are held back, until
    /// [`TapTx::release`] says when they were.
    pub(crate) fn hold(&mut self, tag: Tag, out: &Outbox, digests: (Digest, Digest), timing: Timing) {
        if self.nobody {
            return;
        }
        // The place is not known yet; that there is one is what holds records back.
        let hole = self.holes.len();
        self.holes.push(usize::MAX);
        self.decided(tag, out, digests, timing);
        // Behind the timing there is the digest alone.
        self.holes[hole] = self.held.len() - (HEAD + 16) - 8;
    }

    /// The commands of every step that was held back were handed over at `sent`: what is held goes to the side.
    pub(crate) fn release(&mut self, sent: ArrivalNs) {
        let (mut held, mut holes) = (std::mem::take(&mut self.held), std::mem::take(&mut self.holes));
        for at in holes.drain(..) {
            held[at..at + 8].copy_from_slice(&sent.0.to_le_bytes());
        }
        self.holes = holes;
        let mut rest = &held[..];
        while let Some((kind, tag, body, behind)) = split_record(rest) {
            self.put(kind, tag, body);
            rest = behind;
        }
        held.clear();
        self.held = held;
    }

    /// Whether a step's records may be held back beside those that are.
    pub(crate) fn has_room_to_hold(&self, out: &Outbox) -> bool {
        self.held.len() <= HELD_BYTES
            && self.holes.len() < HOLES_MAX
            && out.events.len() <= HOLD_EVENTS_MAX
            && out.commands.len() <= HOLD_COMMANDS_MAX
    }

    /// Whether an input may be held back, where anything is.
    pub(crate) fn has_room_to_hold_input(&self, canonical: &[u8]) -> bool {
        self.holes.is_empty() || self.held.len() <= HELD_BYTES && canonical.len() <= HOLD_INPUT_MAX
    }

    /// Hands a keyframe over; gives it back where the last one is still being written.
    ///
    /// # Errors
    /// The keyframe, to try again later.
    pub fn keyframe(&mut self, keyframe: Box<Keyframe>) -> Result<(), Box<Keyframe>> {
        self.frames.push(keyframe).map_err(|rtrb::PushError::Full(k)| k)
    }

    /// Asks for a keyframe of the core at the side, behind everything that was shown; false where there is no room.
    pub fn want(&mut self, wanted: Wanted) -> bool {
        let Wanted { tag, journal, digests } = wanted;
        let before = self.lost_in_all;
        let mut body = [0; 24];
        for (i, word) in [journal.0, digests.0.0, digests.1.0].into_iter().enumerate() {
            body[8 * i..8 * i + 8].copy_from_slice(&word.to_le_bytes());
        }
        self.record(WANTED, tag, &body);
        self.lost_in_all == before
    }

    /// Rules were staged here, to be in force with the next input that installs some; so they are at the side. Gives them
    /// back where nobody is there.
    pub(crate) fn stage(&mut self, tag: Tag, rules: Box<Rules>) -> Option<Box<Rules>> {
        if self.nobody {
            return Some(rules);
        }
        if let Err(rtrb::PushError::Full(rules)) = self.staged.push(rules) {
            return Some(rules);
        }
        self.record(STAGED, tag, &[]);
        None
    }

    /// What became of a keyframe, where something did.
    pub fn returned(&mut self) -> Option<Returned> {
        self.returned.pop().ok()
    }

    /// Records dropped since the start.
    #[must_use]
    pub fn lost_in_all(&self) -> u64 {
        self.lost_in_all
    }
}

fn head(kind: u8, len: usize, tag: Tag) -> [u8; HEAD] {
    let mut h = [0; HEAD];
    h[0] = kind;
    h[1..5].copy_from_slice(&(len as u32).to_le_bytes());
    h[5..13].copy_from_slice(&tag.at.0.to_le_bytes());
    h[13..21].copy_from_slice(&tag.seq.0.to_le_bytes());
    h
}

/// The first of some records, and what is behind it.
fn split_record(records: &[u8]) -> Option<(u8, Tag, &[u8], &[u8])> {
    let (h, rest) = records.split_first_chunk::<HEAD>()?;
    let len = u32::from_le_bytes([h[1], h[2], h[3], h[4]]) as usize;
    let (body, behind) = rest.split_at_checked(len)?;
    Some((h[0], tag_of(h), body, behind))
}

/// The tag in a record's head.
fn tag_of(h: &[u8; HEAD]) -> Tag {
    Tag { at: LogicalNs(word(&h[5..], 0) as i64), seq: Seq(word(&h[5..], 1)) }
}

impl Timing {
    /// As it travels in a record; when its commands were handed over comes last.
    fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        let words = [self.received, self.read, self.step_start, self.step_end, self.sent];
        for (i, w) in words.iter().enumerate() {
            bytes[8 * i..8 * i + 8].copy_from_slice(&w.0.to_le_bytes());
        }
        bytes
    }
}

fn word(bytes: &[u8], i: usize) -> u64 {
    bytes.get(8 * i..8 * i + 8).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
}

/// The journal thread's end.
#[derive(Debug)]
pub struct TapRx {
    ring: rtrb::Consumer<u8>,
    buffer: Vec<u8>,
    frames: rtrb::Consumer<Box<Keyframe>>,
    staged: rtrb::Consumer<Box<Rules>>,
    back: rtrb::Producer<Returned>,
    /// A keyframe whose turn has not come: records of its input or before may still wait.
    pending: Option<Box<Keyframe>>,
    /// The core at the side, where there is one.
    shadow: Option<Box<Shadow>>,
}

impl TapRx {
    /// Keyframes that are asked for are those of this core, which is stepped here from now on.
    pub(crate) fn cast(&mut self, shadow: Shadow) {
        self.shadow = Some(Box::new(shadow));
    }

    /// Shows everything that waits to every tap, a keyframe exactly behind the last record of its input; gives how
    /// many records there were.
    pub fn drain(&mut self, taps: &mut [Box<dyn Tap>]) -> usize {
        let mut n = 0;
        while self.one(taps) {
            n += 1;
        }
        // Nothing follows the keyframe yet, so it is due now.
        self.take_keyframe();
        n + usize::from(self.show_keyframe(taps))
    }

    fn take_keyframe(&mut self) {
        if self.pending.is_none() {
            self.pending = self.frames.pop().ok();
        }
    }

    fn show_keyframe(&mut self, taps: &mut [Box<dyn Tap>]) -> bool {
        let Some(keyframe) = self.pending.take() else { return false };
        let durable = shown(&keyframe, taps);
        if let Some(shadow) = &mut self.shadow {
            shadow.follow(&keyframe);
        }
        // There are at most two keyframes in all and one that is asked for, so their way back has room.
        let _ = self.back.push(Returned::Filled(keyframe, durable));
        true
    }

    /// What is for the core at the side.
    fn tell_shadow(&mut self, kind: u8, tag: Tag, len: usize, taps: &mut [Box<dyn Tap>]) {
        let body = &self.buffer[..len];
        let staged = if kind == STAGED { self.staged.pop().ok() } else { None };
        let Some(shadow) = &mut self.shadow else { return };
        match kind {
            INPUT => shadow.input(tag, body),
            STAGED => match staged {
                Some(rules) => shadow.stage(*rules),
                None => shadow.missed(),
            },
            WANTED => {
                let digests = (Digest(word(body, 1)), Digest(word(body, 2)));
                let saved = shadow.save(Wanted { tag, journal: Offset(word(body, 0)), digests });
                let answer = saved.map_or(Returned::Stale, |keyframe| {
                    Returned::Saved(shown(keyframe, taps).then_some(keyframe.journal))
                });
                let _ = self.back.push(answer);
            }
            EVENT | COMMAND | DIGEST | TIMING => {}
            _ => shadow.missed(),
        }
    }

    /// Whether the pinned thread is gone and nothing waits.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ring.is_abandoned() && self.ring.slots() == 0 && self.frames.slots() == 0 && self.pending.is_none()
    }

    fn one(&mut self, taps: &mut [Box<dyn Tap>]) -> bool {
        let mut h = [0u8; HEAD];
        // A head is written before its body: both are there only when the body is.
        let Ok(chunk) = self.ring.read_chunk(HEAD) else { return false };
        let (a, b) = chunk.as_slices();
        h[..a.len()].copy_from_slice(a);
        h[a.len()..].copy_from_slice(b);
        let len = u32::from_le_bytes([h[1], h[2], h[3], h[4]]) as usize;
        if self.ring.slots() < HEAD + len {
            return false;
        }
        if self.buffer.len() < len {
            self.buffer.resize(len, 0);
        }
        take(&mut self.ring, HEAD, &mut h);
        take(&mut self.ring, len, &mut self.buffer);
        let tag = tag_of(&h);
        // A keyframe is handed over before any record that follows it is written: it is visible by now if it is due.
        self.take_keyframe();
        if self.pending.as_ref().is_some_and(|k| k.tag.seq < tag.seq) {
            self.show_keyframe(taps);
        }
        for tap in taps.iter_mut() {
            show(tap.as_mut(), h[0], tag, &self.buffer[..len]);
        }
        self.tell_shadow(h[0], tag, len, taps);
        true
    }
}

/// Shows a keyframe to everybody; true where somebody made it durable.
fn shown(keyframe: &Keyframe, taps: &mut [Box<dyn Tap>]) -> bool {
    taps.iter_mut().fold(false, |durable, tap| tap.keyframe(keyframe) | durable)
}

fn show(tap: &mut dyn Tap, kind: u8, tag: Tag, body: &[u8]) {
    match kind {
        INPUT => tap.input(tag, body),
        EVENT => {
            if let Ok(event) = canon::decode_event(body) {
                tap.event(tag, &event);
            }
        }
        COMMAND => {
            if let Ok(command) = canon::decode_command(body) {
                tap.command(tag, &command);
            }
        }
        TIMING => {
            let t = |i| ArrivalNs(word(body, i) as i64);
            let (received, read, step_start, step_end, sent) = (t(0), t(1), t(2), t(3), t(4));
            tap.timing(tag, Timing { received, read, step_start, step_end, sent });
        }
        DIGEST => tap.digest(tag.seq, Digest(word(body, 0)), Digest(word(body, 1))),
        WANTED | STAGED => {}
        _ => tap.gap(word(body, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    struct Log(Arc<Mutex<Vec<String>>>);

    impl Log {
        fn say(&self, line: String) {
            self.0.lock().expect("no test panics while it holds this").push(line);
        }
    }

    impl Tap for Log {
        fn input(&mut self, tag: Tag, canonical: &[u8]) {
            self.say(format!("input {} {canonical:?}", tag.seq));
        }
        fn keyframe(&mut self, keyframe: &Keyframe) -> bool {
            self.say(format!("keyframe {}", keyframe.tag.seq));
            true
        }
        fn gap(&mut self, lost: u64) {
            self.say(format!("lost {lost}"));
        }
    }

    fn tag(seq: u64) -> Tag {
        Tag { at: LogicalNs(0), seq: Seq(seq) }
    }

    fn lines_of(rx: &mut TapRx) -> Vec<String> {
        let lines = Arc::new(Mutex::new(vec![]));
        let mut taps: Vec<Box<dyn Tap>> = vec![Box::new(Log(lines.clone()))];
        while rx.drain(&mut taps) > 0 {}
        let lines = lines.lock().expect("no test panics while it holds this");
        lines.clone()
    }

    #[test]
    fn a_keyframe_is_shown_behind_its_own_input_and_before_the_next() {
        let (mut tx, mut rx) = tap_ring(4096);
        tx.input(tag(1), b"a");
        tx.input(tag(2), b"b");
        tx.keyframe(Box::new(Keyframe { tag: tag(2), ..Keyframe::default() })).expect("room for one");
        tx.input(tag(3), b"c");
        assert_eq!(lines_of(&mut rx), ["input 1 [97]", "input 2 [98]", "keyframe 2", "input 3 [99]"]);
        let back = tx.returned();
        assert!(matches!(back, Some(Returned::Filled(_, true))), "it comes back to be filled again: {back:?}");
    }

    /// Shows every record as it came.
    struct Kinds(Arc<Mutex<Vec<String>>>);

    impl Tap for Kinds {
        fn input(&mut self, tag: Tag, _: &[u8]) {
            self.0.lock().expect("no panic").push(format!("input {}", tag.seq));
        }
        fn command(&mut self, tag: Tag, _: &Command) {
            self.0.lock().expect("no panic").push(format!("command {}", tag.seq));
        }
        fn timing(&mut self, tag: Tag, timing: Timing) {
            self.0.lock().expect("no panic").push(format!("timing {} sent {}", tag.seq, timing.sent));
        }
        fn digest(&mut self, seq: Seq, _: Digest, _: Digest) {
            self.0.lock().expect("no panic").push(format!("digest {seq}"));
        }
    }

    fn a_command() -> Command {
        let cause = osmose_model::command::Cause::new(osmose_model::command::Trigger::Timer);
        let verb = osmose_model::ids::Name::new("pause").expect("short");
        Command {
            id: osmose_model::command::CommandId::default(),
            at: LogicalNs(0),
            source_seq: None,
            rule: None,
            device: osmose_model::ids::ActuatorId(0),
            verb,
            args: osmose_model::command::Args::new(),
            cause,
        }
    }

    #[test]
    fn what_is_held_back_comes_in_its_order_with_the_instant_at_which_its_commands_left() {
        let (mut tx, mut rx) = tap_ring(8192);
        let lines = Arc::new(Mutex::new(vec![]));
        let mut taps: Vec<Box<dyn Tap>> = vec![Box::new(Kinds(lines.clone()))];
        let (mut out, digests) = (Outbox::new(), (Digest(1), Digest(2)));
        out.commands.push(a_command());
        assert!(tx.has_room_to_hold(&out));
        for seq in 1..=2 {
            tx.input(tag(seq), b"i");
            tx.hold(tag(seq), &out, digests, Timing::default());
        }
        // A step that decided nothing, in between.
        tx.input(tag(3), b"i");
        assert!(tx.has_room_to_hold_input(b"small") && !tx.has_room_to_hold_input(&[0; HOLD_INPUT_MAX + 1]));
        while rx.drain(&mut taps) > 0 {}
        assert_eq!(*lines.lock().expect("no panic"), ["input 1"], "all behind the first that waits is held");
        tx.release(ArrivalNs(77));
        tx.input(tag(4), b"i");
        while rx.drain(&mut taps) > 0 {}
        let [sent, of] = [ArrivalNs(77), ArrivalNs(77)].map(|at| at.to_string());
        let wanted = [
            "input 1".to_owned(),
            "command 1".to_owned(),
            format!("timing 1 sent {sent}"),
            "digest 1".to_owned(),
            "input 2".to_owned(),
            "command 2".to_owned(),
            format!("timing 2 sent {of}"),
            "digest 2".to_owned(),
            "input 3".to_owned(),
            "input 4".to_owned(),
        ];
        assert_eq!(*lines.lock().expect("no panic"), wanted);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_said_before_what_comes_after() {
        let (mut tx, mut rx) = tap_ring(100);
        for seq in 1..=5 {
            tx.input(tag(seq), &[seq as u8; 20]);
        }
        assert_eq!(tx.lost_in_all(), 4);
        assert_eq!(lines_of(&mut rx).len(), 1);
        tx.input(tag(6), b"f");
        assert_eq!(lines_of(&mut rx), ["lost 4", "input 6 [102]"]);
    }
}
