//! The one total order. Pure: who calls it, and on which thread, changes nothing.
//!
//! Time of the log never goes back: an input that arrives "before" the last tag gets the last tag's instant and the
//! next number. Before an input with arrival *a*, every wake-up that is due by *a* becomes a tick tagged with the
//! instant it was *due*, never the instant somebody woke; that is why `inline` equals every threaded topology.

use osmose_model::ids::Seq;
use osmose_model::input::{Class, Tag};
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs};

/// Most ticks at one and the same instant; a stage that asks for more is not heard until time passes.
const TICKS_PER_INSTANT_MAX: u32 = 64;

/// What the merge knows of the input at the head of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Head {
    /// When it was read.
    pub arrival: ArrivalNs,
    /// How urgent it is.
    pub class: Class,
    /// Where it came from (a socket, a file): orders what arrived together.
    pub source: u64,
    /// Its running number at its source.
    pub source_seq: u64,
}

/// Which queue's head comes next: safety first, then by (arrival, class, source, source sequence). The answer depends
/// on the heads alone, not on the order of the queues; equal heads (which one source never has) go by position.
///
/// ```
/// use osmose_core::sequencer::{next_head, Head};
/// use osmose_model::{input::Class, time::ArrivalNs};
/// let head = |t, class| Some(Head { arrival: ArrivalNs(t), class, source: 0, source_seq: 0 });
/// assert_eq!(next_head([head(5, Class::State), None, head(9, Class::Safety)]), Some(2));
/// assert_eq!(next_head([head(5, Class::State), head(5, Class::Edge)]), Some(1));
/// assert_eq!(next_head([None, None]), None);
/// ```
pub fn next_head(heads: impl IntoIterator<Item = Option<Head>>) -> Option<usize> {
    let keyed = heads.into_iter().enumerate().filter_map(|(i, h)| h.map(|h| ((h.class != Class::Safety, h), i)));
    keyed.min().map(|(_, i)| i)
}

/// Gives out tags.
#[derive(Clone, Debug, Default)]
pub struct Sequencer {
    last: Tag,
    ticks_here: u32,
    stuck: u64,
}

impl Sequencer {
    /// Continues after `last` (the default tag for a new log).
    #[must_use]
    pub fn after(last: Tag) -> Self {
        Self { last, ticks_here: 0, stuck: 0 }
    }

    /// The last tag given out.
    #[must_use]
    pub fn last(&self) -> Tag {
        self.last
    }

    /// Times that a stage asked to be woken again and again at one instant and was not heard.
    #[must_use]
    pub fn stuck(&self) -> u64 {
        self.stuck
    }

    /// The tag of the tick that is due before anything that arrives at `until`, if one is.
    ///
    /// Call it, step the core with the tick, and call it again with the core's new wake-up until it says `None`.
    pub fn tick(&mut self, wakeup: Option<LogicalNs>, until: ArrivalNs) -> Option<Tag> {
        let due = wakeup.filter(|w| w.0 <= until.0)?;
        let at = due.max(self.last.at);
        if at > self.last.at {
            self.ticks_here = 0;
        } else if self.ticks_here >= TICKS_PER_INSTANT_MAX {
            self.stuck += 1;
            return None;
        }
        self.ticks_here += 1;
        Some(self.give(at))
    }

    /// The tag of an input that arrived at `arrival`. Ask [`Sequencer::tick`] first.
    pub fn tag(&mut self, arrival: ArrivalNs) -> Tag {
        let at = LogicalNs(arrival.0).max(self.last.at);
        if at > self.last.at {
            self.ticks_here = 0;
        }
        self.give(at)
    }

    fn give(&mut self, at: LogicalNs) -> Tag {
        self.last = Tag { at, seq: Seq(self.last.seq.0 + 1) };
        self.last
    }
}

/// Whether an observation measured at `measured` may enter under `tag`: not after it, not more than `late_max` before.
#[must_use]
pub fn in_time(tag: Tag, measured: LogicalNs, late_max: DurationNs) -> bool {
    measured <= tag.at && tag.at.since(measured) <= late_max
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_class() -> impl Strategy<Value = Class> {
        prop_oneof![Just(Class::Safety), Just(Class::Edge), Just(Class::State), Just(Class::Bulk)]
    }

    fn any_head() -> impl Strategy<Value = Head> {
        (0i64..6, any_class(), 0u64..3, 0u64..4).prop_map(|(t, class, source, source_seq)| Head {
            arrival: ArrivalNs(t),
            class,
            source,
            source_seq,
        })
    }

    proptest! {
        #[test]
        fn the_order_of_the_queues_does_not_matter(heads in proptest::collection::vec(any_head(), 1..9), turn in 0usize..9) {
            let queues: Vec<_> = heads.iter().copied().map(Some).collect();
            let mut turned = queues.clone();
            turned.rotate_left(turn % heads.len());
            let a = next_head(queues.iter().copied()).and_then(|i| queues[i]);
            let b = next_head(turned.iter().copied()).and_then(|i| turned[i]);
            prop_assert_eq!(a, b);
        }

        #[test]
        fn tags_never_go_back_and_never_skip(arrivals in proptest::collection::vec(-50i64..50, 1..60), wake in 1i64..9) {
            let mut s = Sequencer::default();
            let mut seen = vec![];
            let mut next = Some(LogicalNs(0));
            for a in arrivals {
                while let Some(t) = s.tick(next, ArrivalNs(a)) {
                    prop_assert!(t.at.0 <= a || t.at == seen.last().map_or(LogicalNs(0), |t: &Tag| t.at));
                    seen.push(t);
                    next = Some(LogicalNs(t.at.0 + wake));
                }
                seen.push(s.tag(ArrivalNs(a)));
            }
            for (i, w) in seen.windows(2).enumerate() {
                prop_assert!(w[0].at <= w[1].at, "time went back at {}", i);
                prop_assert_eq!(w[1].seq.0, w[0].seq.0 + 1);
            }
        }
    }

    #[test]
    fn a_tick_has_the_instant_it_was_due_not_the_instant_somebody_woke() {
        let mut s = Sequencer::default();
        s.tag(ArrivalNs(10));
        let tick = s.tick(Some(LogicalNs(15)), ArrivalNs(1_000)).expect("due");
        assert_eq!(tick, Tag { at: LogicalNs(15), seq: Seq(2) });
        assert_eq!(s.tick(Some(LogicalNs(1_001)), ArrivalNs(1_000)), None, "not due yet");
    }

    #[test]
    fn a_stage_that_never_stops_asking_is_not_heard_for_ever() {
        let mut s = Sequencer::default();
        let ticks = std::iter::from_fn(|| s.tick(Some(LogicalNs(5)), ArrivalNs(9))).count();
        assert_eq!(ticks, TICKS_PER_INSTANT_MAX as usize);
        assert_eq!(s.stuck(), 1);
        s.tag(ArrivalNs(6));
        assert!(s.tick(Some(LogicalNs(7)), ArrivalNs(9)).is_some(), "heard again once time has passed");
    }
}
