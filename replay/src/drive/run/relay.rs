//! A replay on several cores: the log in legs between keyframes, run at the same time, joined in their order.
//!
//! Each leg begins at the state that a keyframe recorded, as a replay of a stretch does. It ends at the keyframe that
//! another leg began from, and only where its own state there is the recorded one to the bit, and nothing is open (a
//! hole, a decision not yet compared): so the next leg is exactly what this one would have gone on with, and by induction
//! all legs joined are what one replay from the start is. Where the states part (other code decides otherwise) the leg goes
//! on instead, to the end if need be, and what was run of the legs behind it is thrown away. Nothing recorded is taken
//! for granted; only the time in which it is looked into is another. (What no leg can check, the checksum over the whole
//! file, is taken beside them.)
//!
//! What hangs on more than the state (rows of tracks, a plot, a recording of the run, whoever looks on) and what runs on
//! other inputs, rules or another site is replayed in one leg.

use super::{MachineOf, Options, Replay, ReplayError, Run, Speed, Watch};
use crate::drive::sinks::{Out, Sinks};
use crate::drive::summary::{Difference, Hole, HoleKind, Summary};
use crate::drive::workshop::Workshop;
use crate::trace::recording::{Items, Recording};
use osmose_model::input::Tag;
use osmose_model::time::{DurationNs, LogicalNs};
use std::io::Write;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A leg is what is left, by so many for each thread: legs grow shorter, so that all threads end at about one time.
const LEGS_PER_THREAD: i64 = 2;
/// A leg is about so long at least, since to begin one costs milliseconds; a short log is cut finer than that.
const LEG_MIN: DurationNs = DurationNs::from_s(30);
/// A leg begins only when no more than so many for each thread are before it: what they wrote waits in memory.
const AHEAD_PER_THREAD: usize = 3;
/// So far behind the first difference the recording is read on, for the rest of what it has of that step.
const BEHIND_DIFFERENCE: DurationNs = DurationNs::from_s(60);
/// Between two looks at how far the legs are.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where a leg begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// Nobody runs it yet.
    No,
    /// Somebody reads its keyframe.
    Reading,
    /// Behind this input.
    At(Tag),
    /// Its keyframe cannot be begun from, or the leg before goes on over it.
    Left,
}

/// One leg.
struct Leg {
    /// The last keyframe before it is where it begins; `None`: where the replay begins.
    before: Option<LogicalNs>,
    /// The log time of that keyframe.
    keyframe_at: u64,
    begun: Begun,
    /// Bytes of the log where it began, and where it is.
    bytes: (u64, u64),
    at: LogicalNs,
    /// What it found, and who goes on behind it.
    found: Option<Result<(Summary, Option<usize>), ReplayError>>,
}

/// What the threads share.
struct Board {
    legs: Vec<Leg>,
    /// The leg that everything up to is joined; nobody begins one too far ahead of it.
    joined: usize,
    ahead: usize,
    /// Legs behind this one are not wanted any more.
    last: usize,
    /// Nothing is.
    stopped: bool,
}

impl Board {
    /// How far all legs together are: as far as one replay from the start is that has run as much.
    fn at(&self) -> LogicalNs {
        let run = |leg: &Leg| match leg.begun {
            Begun::At(begun) => leg.at.since(begun.at).max(DurationNs::ZERO).0,
            _ => 0,
        };
        let begun = if let Begun::At(begun) = self.legs[0].begun { begun.at } else { self.legs[0].at };
        begun.plus(DurationNs(self.legs.iter().map(run).sum()))
    }
}

struct Shared {
    board: Mutex<Board>,
    changed: Condvar,
    /// What legs wrote: events and commands.
    written: Vec<[Written; 2]>,
}

/// What one leg writes until it is its turn.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        // A thread that panics ends the replay when it is joined.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'b>(&self, board: MutexGuard<'b, Board>) -> MutexGuard<'b, Board> {
        self.changed.wait(board).unwrap_or_else(PoisonError::into_inner)
    }

    /// The next leg that nobody runs; `None` where there is none.
    fn next_leg(&self) -> Option<usize> {
        let mut board = self.board();
        loop {
            let next = board.legs.iter().position(|leg| leg.begun == Begun::No)?;
            // The leg that is joined next is begun all the same: it says how far it came.
            if next > board.last || board.stopped && next > board.joined {
                return None;
            }
            if next <= board.joined + board.ahead {
                board.legs[next].begun = Begun::Reading;
                return Some(next);
            }
            board = self.wait(board);
        }
    }

    /// Whether a leg began from the keyframe behind an input that leg `k` has come to, and which.
    fn begun_from(&self, k: usize, tag: Tag) -> Option<usize> {
        let keyframe_at = u64::try_from(tag.at.0).ok()?;
        let mut board = self.board();
        loop {
            let next = (k + 1..board.legs.len()).find(|j| {
                let leg = &board.legs[*j];
                leg.keyframe_at == keyframe_at && leg.begun != Begun::Left
            })?;
            match board.legs[next].begun {
                Begun::Reading => board = self.wait(board),
                Begun::At(begun) => return (begun == tag).then_some(next),
                // Whoever is here already runs it with the state at hand.
                _ => {
                    board.legs[next].begun = Begun::Left;
                    return None;
                }
            }
        }
    }

    fn note(&self, k: usize, change: impl FnOnce(&mut Leg)) {
        change(&mut self.board().legs[k]);
        self.changed.notify_all();
    }

    /// Legs behind `k` are not wanted any more.
    fn leave_behind(&self, k: usize) {
        let mut board = self.board();
        board.last = board.last.min(k);
        self.changed.notify_all();
    }

    /// No leg is to run on.
    fn stop(&self) {
        self.board().stopped = true;
        self.changed.notify_all();
    }
}

/// Looks from within a leg: says how far it is, and ends it where nobody wants it any more.
struct Look<'s>(&'s Shared, usize);

impl Look<'_> {
    /// Whether the leg is to end here.
    fn is_stopped(&self) -> bool {
        let board = self.0.board();
        board.last < self.1 || board.stopped
    }
}

impl Watch for Look<'_> {
    fn progress(&mut self, done: u64, _: u64, at: LogicalNs) -> ControlFlow<()> {
        let Self(shared, k) = *self;
        let mut board = shared.board();
        let leg = &mut board.legs[k];
        (leg.bytes.1, leg.at) = (done, at);
        if board.last < k || board.stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Where a leg may end: the log times of the keyframes that others begin from, ascending.
#[derive(Default)]
pub(super) struct Ends {
    at: Vec<u64>,
    /// It stands at one of them: behind which input, and whether its state is the recorded one.
    pub(super) reached: Option<(Tag, bool)>,
}

impl<W: Workshop> Run<W> {
    /// At a keyframe: pauses where another leg may have begun from it, unless something is open there.
    pub(super) fn pause_at(&mut self, tag: Tag, state: &[u8]) -> ControlFlow<()> {
        let is_end = u64::try_from(tag.at.0).is_ok_and(|at| self.ends.at.binary_search(&at).is_ok());
        if !is_end || !self.valid || self.driver.machine().last() != tag {
            return ControlFlow::Continue(());
        }
        let is_open = self.summary.holes.last().is_some_and(|h| h.before.is_none())
            || self.verifier.as_ref().is_some_and(|v| v.is_waiting());
        if is_open {
            return ControlFlow::Continue(());
        }
        self.save.clear();
        self.driver.machine().save(&mut self.save);
        self.ends.reached = Some((tag, self.save == state));
        ControlFlow::Break(())
    }

    /// Whether its results hang on nothing but the state and the inputs behind it.
    fn may_be_cut(&self) -> bool {
        let Sinks { tracks, names: _, events: _, commands: _, plot, each, record } = &self.writing.sinks;
        let Options { speed, beside, beside_of, .. } = &self.options;
        self.may_begin_inside()
            && !self.other_ticks
            && *speed == Speed::Max
            && beside.is_empty()
            && beside_of.is_empty()
            && tracks.is_none()
            && plot.is_none()
            && !self.writing.is_plotting()
            && each.is_none()
            && record.is_none()
    }
}

impl<W> Replay<Recording, W>
where
    W: Workshop<Fuse: Send, Decide: Send, Arbitrate: Send> + Clone + Send + Sync,
{
    /// Runs as [`Replay::run`] does, on so many threads where the replay can be cut into legs, else on one with a second
    /// that reads ahead.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn run_on(self, threads: NonZeroUsize, watch: &mut dyn Watch) -> Result<Summary, ReplayError> {
        if threads.get() == 1 || !self.run.may_be_cut() {
            return self.ahead()?.run(watch);
        }
        let legs = self.legs(threads)?;
        if legs.len() < 2 {
            return self.ahead()?.run(watch);
        }
        let Self { reader, mut run, .. } = self;
        let written = legs.iter().map(|_| Default::default()).collect();
        let (last, ahead) = (legs.len() - 1, AHEAD_PER_THREAD * threads.get());
        let board = Mutex::new(Board { legs, joined: 0, ahead, last, stopped: false });
        let shared = Shared { board, changed: Condvar::new(), written };
        let sinks = [run.writing.sinks.events.take(), run.writing.sinks.commands.take()];
        let Options { from, to, verify, .. } = run.options;
        // Of a stretch nobody asks what the whole file's checksum says: a day is gigabytes.
        let wanted = AtomicBool::new(run.summary.began_at.is_none());
        let course = Course { recording: &reader, from, to, verify, wants: sinks.each_ref().map(Option::is_some) };
        let Run { workshop, driver, made_with, recorded, .. } = run;
        let (workshop, mut machine) = (&workshop, (made_with == Some(recorded)).then(|| driver.into_machine()));
        std::thread::scope(|scope| {
            let (shared, course) = (&shared, &course);
            let spawn = |i| {
                let thread = std::thread::Builder::new().name(format!("osmose-leg-{i}"));
                let machine = machine.take();
                thread.spawn_scoped(scope, move || course.run_all(machine, workshop, shared)).map(drop)
            };
            let spawned = (0..threads.get()).try_for_each(spawn);
            let skimmed = scope.spawn(|| reader.skim(&|| wanted.load(Ordering::Relaxed)));
            let joined = match spawned {
                Ok(()) => join(shared, sinks, reader.progress().1, watch),
                Err(error) => Err(error.into()),
            };
            // Where that failed, or a leg went on over others, whoever still runs is not wanted.
            shared.stop();
            let is_whole = joined.as_ref().is_ok_and(|summary| summary.began_at.is_none() && !summary.stopped);
            wanted.fetch_and(is_whole, Ordering::Relaxed);
            let mut summary = joined?;
            let skimmed = skimmed.join().unwrap_or_else(|_| Err(std::io::Error::other("the reading thread failed")));
            if is_whole {
                let after = summary.span.map(|(_, last)| last);
                let hole =
                    |damage| Hole { after, before: None, kind: HoleKind::Damage(damage), skipped: 0, went_on: false };
                // A leg that came to the end before anybody began another has read the whole file, and said it.
                let new: Vec<Hole> = skimmed?.into_iter().map(hole).filter(|h| !summary.holes.contains(h)).collect();
                summary.holes.extend(new);
            }
            if let Some(difference) = summary.verdict.difference_mut() {
                course.tell_states(workshop.clone(), difference)?;
            }
            Ok(summary)
        })
    }

    /// Where legs begin: as many for each thread as are worth it, where there are so many keyframes.
    fn legs(&self, threads: NonZeroUsize) -> Result<Vec<Leg>, ReplayError> {
        let mut scout = self.reader.again().map_err(std::io::Error::other)?;
        let Some((first, last)) = scout.span()? else { return Ok(Vec::new()) };
        let begins = self.run.driver.machine().last().at;
        let from = first.max(begins);
        let to = self.run.options.to.map_or(last, |to| to.min(last));
        let parts = LEGS_PER_THREAD.saturating_mul(i64::try_from(threads.get()).unwrap_or(i64::MAX));
        let least = LEG_MIN.0.min(to.since(from).0 / parts.saturating_mul(2)).max(1);
        let leg =
            |before, keyframe_at| Leg { before, keyframe_at, begun: Begun::No, bytes: (0, 0), at: from, found: None };
        let mut legs = vec![leg(None, 0)];
        // The last leg begins at the keyframe behind `at`; the next at the one that is nearest to its end.
        let (mut at, mut wish) = (from, from);
        while to.since(wish).0 > least {
            wish = wish.plus(DurationNs((to.since(at).0 / parts).max(least)));
            let before = wish.plus(DurationNs(least / 2)).min(to);
            let Some(sought) = scout.seek_before(before)? else { continue };
            let began = LogicalNs(i64::try_from(sought.log_time).unwrap_or(i64::MAX));
            if began > at {
                legs.push(leg(Some(before), sought.log_time));
                (at, wish) = (began, wish.max(began));
            }
        }
        Ok(legs)
    }
}

/// What all legs have in common.
struct Course<'r> {
    recording: &'r Recording,
    from: Option<LogicalNs>,
    to: Option<LogicalNs>,
    verify: bool,
    /// Whether events and commands are to be written.
    wants: [bool; 2],
}

/// What a leg found, and who goes on; `None` where it could not be begun.
type Found = Option<Result<(Summary, Option<usize>), ReplayError>>;

/// Says of a leg whose thread panics that it failed, so that nobody waits for it.
struct Fallen<'s>(&'s Shared, usize);

impl Drop for Fallen<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(shared, k) = *self;
            let failed = std::io::Error::other("a thread of the replay failed");
            shared.note(k, |leg| (leg.begun, leg.found) = (Begun::Left, Some(Err(failed.into()))));
        }
    }
}

impl Course<'_> {
    /// Runs one leg after the other, as long as there are any that nobody else runs, and all on one machine where that goes.
    fn run_all<W: Workshop + Clone>(&self, mut machine: Option<MachineOf<W>>, workshop: &W, shared: &Shared) {
        while let Some(k) = shared.next_leg() {
            let _fallen = Fallen(shared, k);
            let found = self.run(k, &mut machine, workshop.clone(), shared);
            shared.note(k, |leg| leg.found = found);
        }
    }

    /// Both sides' state where they part: all that was decided up to there, which no leg behind the first has seen.
    fn tell_states<W: Workshop>(&self, workshop: W, difference: &mut Difference) -> Result<(), ReplayError> {
        let Self { from, to, verify, .. } = *self;
        let behind = difference.tag.at.plus(BEHIND_DIFFERENCE);
        let to = Some(to.map_or(behind, |to| to.min(behind)));
        let recording = self.recording.again().map_err(std::io::Error::other)?;
        let replay = Replay::new(recording, workshop, Options { from, to, verify, ..Options::default() })?;
        let mut found = replay.from_keyframe()?.ahead()?.run(&mut ())?;
        if let Some(found) = found.verdict.difference_mut().filter(|found| found.tag == difference.tag) {
            difference.states = std::mem::take(&mut found.states);
        }
        Ok(())
    }

    /// Runs leg `k`, and leaves the machine for the next one.
    fn run<W: Workshop>(&self, k: usize, machine: &mut Option<MachineOf<W>>, workshop: W, shared: &Shared) -> Found {
        let mut replay = match self.begin(k, machine.take(), workshop, shared) {
            Ok(Some(replay)) => replay,
            Ok(None) => {
                shared.note(k, |leg| leg.begun = Begun::Left);
                return None;
            }
            Err(error) => {
                shared.note(k, |leg| leg.begun = Begun::Left);
                return (k == 0).then_some(Err(error));
            }
        };
        let found = self.go(k, &mut replay, shared);
        let Run { driver, made_with, recorded, .. } = replay.run;
        *machine = (made_with == Some(recorded)).then(|| driver.into_machine());
        Some(found)
    }

    /// A replay that stands where leg `k` begins.
    fn begin<W: Workshop>(
        &self,
        k: usize,
        machine: Option<MachineOf<W>>,
        workshop: W,
        shared: &Shared,
    ) -> Result<Option<Replay<Recording, W>>, ReplayError> {
        let Self { from, to, verify, wants, .. } = *self;
        let written = |i: usize| wants[i].then(|| Box::new(shared.written[k][i].clone()) as Out);
        let sinks = Sinks { events: written(0), commands: written(1), ..Sinks::default() };
        let options = Options { from, to, verify, sinks, ..Options::default() };
        let recording = self.recording.again().map_err(std::io::Error::other)?;
        let before = shared.board().legs[k].before;
        // Without a state to begin at, only a machine that has done nothing yet will do.
        let machine = machine.filter(|machine| before.is_some() || machine.last() == Tag::default());
        let mut replay = Replay::new_on(machine, recording, workshop, options)?;
        match before {
            None => replay = replay.from_keyframe()?,
            Some(before) => {
                if !replay.begin_before(before)? {
                    return Ok(None);
                }
                // The first leg's keyframe alone is where the whole began.
                replay.run.summary.began_at = None;
            }
        }
        Ok(Some(replay))
    }

    fn go<W: Workshop>(
        &self,
        k: usize,
        replay: &mut Replay<Recording, W>,
        shared: &Shared,
    ) -> Result<(Summary, Option<usize>), ReplayError> {
        let (tag, bytes) = (replay.run.driver.machine().last(), replay.reader.progress().0);
        replay.run.ends.at = {
            let mut board = shared.board();
            (board.legs[k].begun, board.legs[k].bytes) = (Begun::At(tag), (bytes, bytes));
            board.legs[k + 1..].iter().map(|leg| leg.keyframe_at).collect()
        };
        shared.changed.notify_all();
        let mut look = Look(shared, k);
        let next = loop {
            replay.go(&mut look)?;
            match replay.run.ends.reached.take() {
                // The end of the log or of the stretch, or nobody wants more.
                None => break None,
                // Between two pauses there may be no look.
                Some(_) if look.is_stopped() => {
                    replay.run.summary.stopped = true;
                    break None;
                }
                // The states part: this leg is run to the end, whatever others began.
                Some((_, false)) => {
                    shared.leave_behind(k);
                    replay.run.ends.at.clear();
                }
                Some((tag, true)) => match shared.begun_from(k, tag) {
                    None => {}
                    next => break next,
                },
            }
        };
        if next.is_none() {
            shared.leave_behind(k);
        }
        let ending = replay.reader.ending().clone();
        Ok((replay.run.finish(ending)?, next))
    }
}

/// Joins what legs wrote and found, in their order, while they run.
fn join(
    shared: &Shared,
    mut sinks: [Option<Out>; 2],
    total: u64,
    watch: &mut dyn Watch,
) -> Result<Summary, ReplayError> {
    let mut all: Option<Summary> = None;
    let mut k = 0;
    loop {
        let mut board = shared.board();
        board.joined = k;
        shared.changed.notify_all();
        let found = board.legs[k].found.take();
        let done = board.legs.iter().map(|leg| leg.bytes.1 - leg.bytes.0).sum::<u64>() + board.legs[0].bytes.0;
        let at = board.at();
        if found.is_none() {
            board = shared.changed.wait_timeout(board, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(board);
        for (written, sink) in shared.written[k].iter().zip(&mut sinks) {
            let bytes = written.take();
            if let Some(sink) = sink {
                sink.write_all(&bytes)?;
            }
        }
        if watch.progress(done.min(total), total, at).is_break() {
            // What is whole by now counts; the leg that is at it stops within a few thousand records.
            shared.stop();
        }
        let Some(found) = found else { continue };
        let (summary, next) = found?;
        all = Some(match all {
            None => summary,
            Some(before) => before.followed_by(summary),
        });
        match next {
            Some(next) => k = next,
            None => break,
        }
    }
    sinks.iter_mut().flatten().try_for_each(|sink| sink.flush())?;
    Ok(all.unwrap_or_default())
}

#[cfg(test)]
mod tests;
