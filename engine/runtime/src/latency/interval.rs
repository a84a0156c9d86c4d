//! What one thread measures between two looks of the side. All memory is taken when it is made; recording writes into
//! it and nothing else.

use super::{DIGITS, KINDS, Kind, RULE_DIGITS, SEGMENTS, Segment, Span};
use crate::ingress::Tally;
use crate::tap::Timing;
use osmose_model::ids::{RuleId, Seq};
use osmose_model::time::{ArrivalNs, DurationNs};

/// How many of the latest inputs are kept whole, with their numbers.
pub const WORST_MAX: usize = 32;
/// Rules with a histogram of their own; those behind are counted together.
pub const RULES_MAX: usize = 512;

/// An input that took long, with all its stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// From the kernel's stamp (or the due instant) until it was done with.
    pub whole: DurationNs,
    /// Its number in the log.
    pub seq: Seq,
    /// What it was.
    pub kind: Kind,
    /// The rule whose command was handed over last; `None` where none was.
    pub rule: Option<RuleId>,
    /// Where the time went.
    pub timing: Timing,
}

/// The worst of many, without order: a list of fixed length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worst {
    all: Vec<Late>,
    /// Nothing that took no longer than this gets in.
    bar: DurationNs,
}

impl Worst {
    pub(crate) fn new() -> Self {
        Self { all: Vec::with_capacity(WORST_MAX), bar: DurationNs::ZERO }
    }

    pub(crate) fn offer(&mut self, late: Late) {
        if late.whole <= self.bar {
            return;
        }
        if self.all.len() < WORST_MAX {
            self.all.push(late);
            if self.all.len() < WORST_MAX {
                return;
            }
        } else if let Some(least) = self.all.iter_mut().min_by_key(|l| l.whole) {
            *least = late;
        }
        self.bar = self.all.iter().map(|l| l.whole).min().unwrap_or_default();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Late> + '_ {
        self.all.iter().copied()
    }

    pub(crate) fn empty(&mut self) {
        self.all.clear();
        self.bar = DurationNs::ZERO;
    }
}

/// One rule's reactions.
#[derive(Debug)]
pub(crate) struct RuleSpan {
    pub(crate) react: Span<u32>,
    pub(crate) missed: u64,
}

/// How one thread's loop went.
#[derive(Debug)]
pub(crate) struct Turns {
    /// How often it went round: it advances while the thread lives, at least each 50 ms.
    pub(crate) count: u64,
    /// One turn that did something or was held up, without the time that it slept on purpose.
    pub(crate) busy: Span<u32>,
    /// How much later than asked it woke where nothing had woken it.
    pub(crate) overslept: Span<u32>,
    /// Turns that took longer than an event may.
    pub(crate) stalls: u64,
    /// The longest turn, and when it ended.
    pub(crate) longest: (DurationNs, ArrivalNs),
}

/// What a thread measured since the side last looked.
#[derive(Debug)]
pub struct Interval {
    pub(crate) spans: Vec<[Span<u32>; SEGMENTS]>,
    pub(crate) missed: [u64; KINDS],
    pub(crate) rules: Vec<RuleSpan>,
    /// Reactions of rules that have no row: there are too many, or other rules came into force in this interval.
    pub(crate) unattributed: u64,
    /// Other rules came into force in this interval: what `rules` holds is of those before.
    pub(crate) rules_changed: bool,
    /// Late commands that were not sent, and those in whose place the device was brought to its safe state.
    pub(crate) dropped: u64,
    pub(crate) made_safe: u64,
    pub(crate) worst: Worst,
    pub(crate) turns: Turns,
    /// What the thread's sockets took in since the start, where it has any.
    pub(crate) tally: Option<Tally>,
}

impl Interval {
    /// An empty one, with rows for so many rules. Every page of it is touched here, and not first in the hot path.
    #[must_use]
    pub fn new(rules: usize) -> Self {
        let row = || std::array::from_fn(|_| Span::new(DIGITS));
        let rule = || RuleSpan { react: Span::new(RULE_DIGITS), missed: 0 };
        let turns = Turns {
            count: 0,
            busy: Span::new(DIGITS),
            overslept: Span::new(DIGITS),
            stalls: 0,
            longest: Default::default(),
        };
        let mut new = Self {
            spans: (0..KINDS).map(|_| row()).collect(),
            missed: [0; KINDS],
            rules: (0..rules.min(RULES_MAX)).map(|_| rule()).collect(),
            unattributed: 0,
            rules_changed: false,
            dropped: 0,
            made_safe: 0,
            worst: Worst::new(),
            turns,
            tally: None,
        };
        new.spans.iter_mut().flatten().for_each(Span::empty);
        new.rules.iter_mut().for_each(|r| r.react.empty());
        new
    }

    fn record(&mut self, kind: Kind, segment: Segment, span: DurationNs) {
        self.spans[kind as usize][segment as usize].record(span);
    }

    /// An input was stepped.
    pub(crate) fn stepped(&mut self, kind: Kind, t: &Timing) {
        self.record(kind, Segment::Wait, t.read.since(t.received));
        self.record(kind, Segment::Stepped, t.step_end.since(t.read));
        self.record(kind, Segment::Step, t.step_end.since(t.step_start));
    }

    /// An input is done with: it decided nothing, or (`sent`) what it decided was handed over.
    pub(crate) fn done(&mut self, budget: DurationNs, late: Late, sent: bool) {
        let (kind, t) = (late.kind, late.timing);
        if sent {
            self.record(kind, Segment::Send, t.sent.since(t.step_end));
            self.record(kind, Segment::Respond, t.sent.since(t.read));
            self.record(kind, Segment::React, late.whole);
        }
        self.record(kind, Segment::Whole, late.whole);
        self.missed[kind as usize] += u64::from(late.whole > budget);
        self.worst.offer(late);
    }

    /// A rule's command was handed over that long after the kernel's stamp; `missed` where that is beyond its deadline.
    pub(crate) fn reacted(&mut self, rule: RuleId, whole: DurationNs, missed: bool) {
        match self.rules.get_mut(rule.index()).filter(|_| !self.rules_changed) {
            Some(row) => {
                row.react.record(whole);
                row.missed += u64::from(missed);
            }
            None => self.unattributed += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn late(whole: i64, seq: u64) -> Late {
        let timing = Timing { sent: ArrivalNs(whole), ..Timing::default() };
        Late { whole: DurationNs(whole), seq: Seq(seq), kind: Kind::State, rule: None, timing }
    }

    #[test]
    fn the_worst_are_the_worst_whatever_their_order() {
        let mut worst = Worst::new();
        // 7919 is prime to 1000: every span once, in no order.
        for i in 0..1000u64 {
            worst.offer(late((i * 7919 % 1000) as i64, i));
        }
        let mut kept: Vec<i64> = worst.iter().map(|l| l.whole.0).collect();
        kept.sort_unstable();
        assert_eq!(kept, (1000 - WORST_MAX as i64..1000).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_late_is_missed_and_what_other_rules_did_is_not_told_of_these() {
        let mut interval = Interval::new(2);
        interval.done(DurationNs(100), late(101, 1), true);
        interval.done(DurationNs(100), late(100, 2), false);
        assert_eq!(interval.missed[Kind::State as usize], 1);
        assert_eq!(interval.spans[Kind::State as usize][Segment::React as usize].count(), 1);
        assert_eq!(interval.spans[Kind::State as usize][Segment::Whole as usize].count(), 2);
        interval.reacted(RuleId(1), DurationNs(50), false);
        interval.reacted(RuleId(2), DurationNs(50), false);
        interval.rules_changed = true;
        interval.reacted(RuleId(1), DurationNs(50), true);
        assert_eq!((interval.rules[1].react.count(), interval.rules[1].missed), (1, 0));
        assert_eq!(interval.unattributed, 2);
    }
}
