//! What the machine takes away by itself: a probe that wants nothing but to be woken on time.
//!
//! As jHiccup does, a thread sleeps for a short while, again and again, and notes how much later than asked it ran. On a
//! core that somebody else spins on it must run at once, or the spinning would be taken for a hiccup: so it asks for
//! the real-time class, and says where it was not given that. Gaps are noted with their place in time, so that a
//! late command can be laid beside them. Nothing is corrected and nothing subtracted.

use crate::dist::Dist;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two wakings.
pub const PERIOD: Duration = Duration::from_millis(1);
/// Most gaps that are kept; more are counted.
const GAPS_MAX: usize = 1 << 20;

/// A stretch in which a core did nothing for whom it should have run, nanoseconds since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// When it should have run.
    pub from_ns: u64,
    /// When it did.
    pub to_ns: u64,
}

impl Gap {
    /// Whether a stretch of time touches it.
    #[must_use]
    pub fn overlaps(&self, from_ns: u64, to_ns: u64) -> bool {
        self.from_ns <= to_ns && from_ns <= self.to_ns
    }
}

/// Gaps of one core, in their order, those from `least` on.
#[derive(Clone, Debug)]
pub struct Gaps {
    least_ns: u64,
    gaps: Vec<Gap>,
    /// Gaps beyond what is kept.
    pub not_kept: u64,
}

impl Gaps {
    /// None; shorter ones than `least` are not noted.
    #[must_use]
    pub fn of_at_least(least: Duration) -> Self {
        Self { least_ns: least.as_nanos() as u64, gaps: Vec::with_capacity(1024), not_kept: 0 }
    }

    /// Notes a gap where it is long enough.
    pub fn note(&mut self, from_ns: u64, to_ns: u64) {
        if to_ns.saturating_sub(from_ns) < self.least_ns {
            return;
        }
        if self.gaps.len() == GAPS_MAX {
            self.not_kept += 1;
        } else {
            self.gaps.push(Gap { from_ns, to_ns });
        }
    }

    /// The same gaps by a clock that began `ns` later.
    #[must_use]
    pub fn by_clock_begun_later(&self, ns: u64) -> Self {
        let moved = |g: &Gap| Gap { from_ns: g.from_ns.saturating_sub(ns), to_ns: g.to_ns.saturating_sub(ns) };
        Self { gaps: self.gaps.iter().map(moved).collect(), ..*self }
    }

    /// All, in their order.
    #[must_use]
    pub fn all(&self) -> &[Gap] {
        &self.gaps
    }

    /// Whether any of them touches a stretch. They come in order and do not overlap each other.
    #[must_use]
    pub fn any_in(&self, from_ns: u64, to_ns: u64) -> bool {
        let first = self.gaps.partition_point(|g| g.to_ns < from_ns);
        self.gaps.get(first).is_some_and(|g| g.overlaps(from_ns, to_ns))
    }
}

/// What a probe found.
#[derive(Clone, Debug)]
pub struct Found {
    /// How much later than asked it ran, each waking by itself.
    pub late: Dist,
    /// The long ones, with their place in time.
    pub gaps: Gaps,
    /// Whether it was pinned to the core.
    pub pinned: bool,
    /// Whether it had the real-time class.
    pub real_time: bool,
}

/// A running probe.
#[derive(Debug)]
pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Found>,
}

impl Probe {
    /// Starts a probe on a core. Times count from `began`; gaps from `least` on are kept.
    ///
    /// # Errors
    /// What the system says where no thread can be started.
    pub fn start(core: usize, began: Instant, least: Duration) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let thread =
            std::thread::Builder::new().name("osmose-hiccup".into()).spawn(move || watch(core, began, least, &seen))?;
        Ok(Self { stop, thread })
    }

    /// Ends it.
    ///
    /// # Panics
    /// Where the probe's own thread panicked.
    #[must_use]
    pub fn stop(self) -> Found {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the probe does not panic")
    }
}

fn watch(core: usize, began: Instant, least: Duration, stop: &AtomicBool) -> Found {
    let pinned = core_affinity::set_for_current(core_affinity::CoreId { id: core });
    let real_time = ask_for_real_time();
    // The kernel may let a timer run 50 us late to save wakings: that is its courtesy, and no hiccup.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    let (mut late, mut gaps) = (Dist::new(), Gaps::of_at_least(least));
    while !stop.load(Ordering::Relaxed) {
        let due = Instant::now() + PERIOD;
        std::thread::sleep(PERIOD);
        let ran = Instant::now();
        late.add_span(ran.saturating_duration_since(due));
        let ns = |t: Instant| t.saturating_duration_since(began).as_nanos() as u64;
        gaps.note(ns(due), ns(ran));
    }
    Found { late, gaps, pinned, real_time }
}

/// The lowest priority of the real-time class: above everything of the ordinary one, below the kernel's own threads.
fn ask_for_real_time() -> bool {
    use thread_priority::{
        RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };
    let Ok(lowest) = ThreadPriorityValue::try_from(1u8) else { return false };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(lowest), policy).is_ok()
}

/// A stretch of waiting that was longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Miss {
    /// When the event was due, nanoseconds since the run began.
    pub due_ns: u64,
    /// When its command was there.
    pub came_ns: u64,
}

/// Misses parted by whether a hiccup of any of the cores touches them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misses {
    /// All of them.
    pub all: u64,
    /// Those that overlap a hiccup.
    pub in_hiccup: u64,
    /// The rest.
    pub rest: u64,
    /// The budget that they missed, nanoseconds.
    pub budget_ns: u64,
}

impl Misses {
    /// Lays misses beside the hiccups of the cores that took part.
    #[must_use]
    pub fn label(misses: &[Miss], budget_ns: u64, cores: &[&Gaps]) -> Self {
        let touched = |m: &&Miss| cores.iter().any(|g| g.any_in(m.due_ns, m.came_ns));
        let in_hiccup = misses.iter().filter(touched).count() as u64;
        let all = misses.len() as u64;
        Self { all, in_hiccup, rest: all - in_hiccup, budget_ns }
    }

    /// Adds those of another run.
    pub fn merge(&mut self, other: &Self) {
        self.all += other.all;
        self.in_hiccup += other.in_hiccup;
        self.rest += other.rest;
        self.budget_ns = other.budget_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(of: &[(u64, u64)]) -> Gaps {
        let mut gaps = Gaps::of_at_least(Duration::from_nanos(10));
        of.iter().for_each(|&(a, b)| gaps.note(a, b));
        gaps
    }

    #[test]
    fn a_miss_is_labelled_where_it_touches_a_gap_and_only_there() {
        let (one, other) = (gaps(&[(100, 200), (500, 600)]), gaps(&[(800, 900)]));
        let miss = |due_ns, came_ns| Miss { due_ns, came_ns };
        for (m, touches) in [
            (miss(0, 99), false),
            (miss(0, 100), true),
            (miss(150, 160), true),
            (miss(200, 300), true),
            (miss(201, 499), false),
            (miss(0, 1000), true),
            (miss(601, 799), false),
            (miss(850, 1000), true),
            (miss(901, 1000), false),
        ] {
            let found = Misses::label(&[m], 1, &[&one, &other]);
            assert_eq!((found.all, found.in_hiccup, found.rest), (1, u64::from(touches), u64::from(!touches)), "{m:?}");
        }
    }

    #[test]
    fn short_gaps_are_the_clock_s_own_and_not_noted() {
        assert_eq!(gaps(&[(0, 9), (20, 30)]).all(), [Gap { from_ns: 20, to_ns: 30 }]);
    }

    #[test]
    fn the_probe_counts_its_wakings() {
        let core = core_affinity::get_core_ids().and_then(|c| c.first().copied()).expect("a core");
        let probe = Probe::start(core.id, Instant::now(), Duration::from_micros(100)).expect("a thread");
        std::thread::sleep(Duration::from_millis(60));
        let found = probe.stop();
        assert!(!found.late.is_empty(), "it woke at least once in 60 ms");
    }
}
