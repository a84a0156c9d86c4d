//! How figures get from a pipeline thread to the side without a lock: the side hands an empty [`Interval`] in, the thread
//! takes it up at its next turn and hands the filled one out. Two pointers change hands; nothing is copied and nobody
//! waits. The rings are `rtrb`'s, so the project still has no atomics of its own.

use super::Kind;
use super::interval;
use super::interval::Interval;
use super::totals::Totals;
use crate::ingress::Tally;
use crate::tap::Timing;
use osmose_core::Late;
use osmose_model::ids::{RuleId, Seq};
use osmose_model::time::{ArrivalNs, DurationNs};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often the side asks each thread for what it measured.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// A thread's end: it measures here.
#[derive(Debug)]
pub struct Meter {
    current: Box<Interval>,
    asked: rtrb::Consumer<Box<Interval>>,
    back: rtrb::Producer<Box<Interval>>,
    budget: DurationNs,
    turned_at: ArrivalNs,
}

/// The side's end of one thread's.
#[derive(Debug)]
struct Feed {
    spare: Option<Box<Interval>>,
    ask: rtrb::Producer<Box<Interval>>,
    back: rtrb::Consumer<Box<Interval>>,
}

impl Meter {
    /// One turn of the thread's loop begins, behind one that `worked` or found nothing to do. What [`Meter::slept`] told
    /// of does not count.
    pub(crate) fn turn(&mut self, now: ArrivalNs, worked: bool) {
        let (took, turns) = (now.since(self.turned_at), &mut self.current.turns);
        turns.count += 1;
        // A million turns a second that find nothing say nothing, unless one was held up.
        if worked || took > self.budget {
            turns.busy.record(took);
        }
        if took > self.budget {
            turns.stalls += 1;
        }
        if took > turns.longest.0 {
            turns.longest = (took, now);
        }
        self.turned_at = now;
        // One slot each way, and two intervals in all: there is always room for the one that goes back.
        if let Ok(next) = self.asked.pop() {
            let _ = self.back.push(std::mem::replace(&mut self.current, next));
        }
    }

    /// Whether the side has asked for what was measured: the next [`Meter::turn`] hands it out.
    pub(crate) fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// What the thread's sockets took in since the start.
    pub(crate) fn took_in(&mut self, tally: Tally) {
        self.current.tally = Some(tally);
    }

    /// It has slept, by choice, until `now`; it asked to sleep no longer than `asked`.
    pub(crate) fn slept(&mut self, since: ArrivalNs, asked: Duration, now: ArrivalNs) {
        let asked = i64::try_from(asked.as_nanos()).unwrap_or(i64::MAX);
        let over = DurationNs(now.since(since).0.saturating_sub(asked));
        if over > DurationNs::ZERO {
            self.current.turns.overslept.record(over);
        }
        // What it did before it slept stays in this turn.
        self.turned_at = self.turned_at.plus(now.since(since));
    }

    /// An input was stepped.
    pub(crate) fn stepped(&mut self, kind: Kind, timing: &Timing) {
        self.current.stepped(kind, timing);
    }

    /// An input is done with. Where it decided something (`sent`), `timing.sent` is when that was handed over.
    pub(crate) fn done(&mut self, kind: Kind, seq: Seq, timing: Timing, rule: Option<RuleId>, sent: bool) {
        let end = if sent { timing.sent } else { timing.step_end };
        let late = interval::Late { whole: end.since(timing.received), seq, kind, rule, timing };
        self.current.done(self.budget, late, sent);
    }

    /// A rule's command was handed over; `deadline` is the rule's own, the site's budget where it declares none.
    pub(crate) fn reacted(&mut self, rule: RuleId, whole: DurationNs, deadline: Option<DurationNs>) {
        self.current.reacted(rule, whole, whole > deadline.unwrap_or(self.budget));
    }

    /// A command was late, and what its rule asks for in that case was done.
    pub(crate) fn was_late(&mut self, late: Late) {
        match late {
            // It shows in the rule's own count.
            Late::Count => {}
            Late::Drop => self.current.dropped += 1,
            Late::FailSafe => self.current.made_safe += 1,
        }
    }

    /// Other rules are in force from here on: what their numbers stand for has changed.
    pub(crate) fn rules_changed(&mut self) {
        self.current.rules_changed = true;
    }

    /// Hands out what was measured since the last turn, for the last time.
    pub(crate) fn finish(self) {
        let Self { current, mut back, .. } = self;
        let _ = back.push(current);
    }
}

/// The side of all threads, and the sums of what they measured.
#[derive(Debug)]
pub struct Collector {
    feeds: Vec<Feed>,
    totals: Latencies,
    asked_at: Option<Instant>,
    rules: usize,
    budget: DurationNs,
}

/// A handle to the sums, for whoever shows them: a metrics endpoint, a page, a bench. Taking it holds up nobody but
/// others at the side.
#[derive(Clone, Debug)]
pub struct Latencies(Arc<Mutex<Totals>>);

impl Latencies {
    /// Looks at the sums. They are brought up to date several times a second while the engine runs, idle or not.
    pub fn with<R>(&self, look: impl FnOnce(&Totals) -> R) -> R {
        // Whoever panicked while looking changed nothing.
        look(&self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// A copy of the sums; some megabytes.
    #[must_use]
    pub fn snapshot(&self) -> Totals {
        self.with(Clone::clone)
    }
}

impl Collector {
    /// For an engine whose events may take `budget`, and that begins with so many rules.
    #[must_use]
    pub fn new(budget: DurationNs, rules: usize) -> Self {
        let totals = Latencies(Arc::new(Mutex::new(Totals::new(budget, rules))));
        Self { feeds: Vec::new(), totals, asked_at: None, rules, budget }
    }

    /// The sums, to look at.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        self.totals.clone()
    }

    /// The end for one more thread, known by `name`. `reacts`: it hands commands over, so it needs rows for rules.
    pub(crate) fn meter(&mut self, name: &str, reacts: bool, now: ArrivalNs) -> Meter {
        let ((ask, asked), (back_tx, back)) = (rtrb::RingBuffer::new(1), rtrb::RingBuffer::new(2));
        let rules = if reacts { self.rules } else { 0 };
        let interval = || Box::new(Interval::new(rules));
        self.feeds.push(Feed { spare: Some(interval()), ask, back });
        self.sums(|t| t.add_thread(name));
        Meter { current: interval(), asked, back: back_tx, budget: self.budget, turned_at: now }
    }

    fn sums(&self, change: impl FnOnce(&mut Totals)) {
        change(&mut self.totals.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// Adds what came back, and asks again where it is time to.
    pub(crate) fn collect(&mut self) {
        self.take();
        if self.asked_at.is_none_or(|at| at.elapsed() >= ASK_EVERY) {
            self.asked_at = Some(Instant::now());
            for feed in &mut self.feeds {
                // A thread that is gone asks for nothing more; its spare one stays in the ring.
                let Some(spare) = feed.spare.take() else { continue };
                if let Err(rtrb::PushError::Full(spare)) = feed.ask.push(spare) {
                    feed.spare = Some(spare);
                }
            }
        }
    }

    /// Adds what came back, for the last time where the threads have ended.
    pub(crate) fn take(&mut self) {
        for (i, feed) in self.feeds.iter_mut().enumerate() {
            while let Ok(mut filled) = feed.back.pop() {
                let mut totals = self.totals.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                totals.take_from(i, &mut filled);
                feed.spare = Some(filled);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Segment;

    #[test]
    fn what_a_thread_measures_reaches_the_side_by_swaps_and_nothing_is_counted_twice() {
        let mut side = Collector::new(DurationNs::from_ms(1), 3);
        let mut meter = side.meter("step", true, ArrivalNs(0));
        let latencies = side.latencies();
        let mut done = 0;
        for round in 0..50u64 {
            for _ in 0..round {
                done += 1;
                let timing = Timing { step_end: ArrivalNs(done as i64 * 10), ..Timing::default() };
                meter.stepped(Kind::State, &timing);
                meter.done(Kind::State, Seq(done), timing, None, false);
            }
            meter.turn(ArrivalNs(round as i64), true);
            // As if the time to ask had come in every second round.
            side.asked_at = side.asked_at.filter(|_| round % 2 == 1);
            side.collect();
        }
        meter.finish();
        side.take();
        let all = latencies.snapshot();
        assert_eq!(all.span(Kind::State, Segment::Whole).count(), done);
        assert_eq!(all.span(Kind::State, Segment::Whole).max_ns(), done * 10);
        assert_eq!(all.threads()[0].turns, 50);
        let seqs: Vec<_> = all.worst().iter().map(|l| l.seq.0).collect();
        assert_eq!(seqs, (0..32).map(|i| done - i).collect::<Vec<_>>(), "worst first");
    }

    #[test]
    fn sleep_is_no_stall_and_a_stall_is_found() {
        let mut side = Collector::new(DurationNs::from_ms(1), 0);
        let mut meter = side.meter("in", false, ArrivalNs(0));
        meter.turn(ArrivalNs(100), true);
        meter.slept(ArrivalNs(200), Duration::from_millis(50), ArrivalNs(40_000_200));
        meter.turn(ArrivalNs(40_000_300), true);
        meter.slept(ArrivalNs(40_000_300), Duration::from_millis(1), ArrivalNs(43_000_300));
        meter.turn(ArrivalNs(43_000_310), true);
        meter.turn(ArrivalNs(49_000_310), true);
        meter.finish();
        side.take();
        let all = side.latencies().snapshot();
        let thread = &all.threads()[0];
        assert_eq!((thread.name.as_str(), thread.turns, thread.stalls), ("in", 4, 1));
        assert_eq!((thread.longest, thread.longest_at), (DurationNs::from_ms(6), ArrivalNs(49_000_310)));
        assert_eq!((thread.overslept.count(), thread.overslept.max_ns()), (1, 2_000_000));
    }
}
