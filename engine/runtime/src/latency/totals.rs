//! The sums since the start: what metrics, pages and benches show.

use super::interval::{Interval, Late};
use super::{DIGITS, KINDS, Kind, RULE_DIGITS, SEGMENTS, Segment, Span};
use crate::ingress::Tally;
use osmose_model::ids::RuleId;
use osmose_model::time::{ArrivalNs, DurationNs};

/// One rule's reactions since it came into force.
#[derive(Clone, Debug)]
pub struct RuleTotals {
    /// From the kernel's stamp (or the due instant) until its command was handed over.
    pub react: Span,
    /// How many of them were beyond its deadline (the site's budget where it declares none).
    pub missed: u64,
}

/// How one thread's loop went since the start.
#[derive(Clone, Debug)]
pub struct ThreadTotals {
    /// `step`, `out`, `in 0`, ...
    pub name: String,
    /// How often it went round. Advances while the thread lives, idle or not: a watchdog may count on it.
    pub turns: u64,
    /// One turn that did something or was held up, without the time that it slept on purpose.
    pub busy: Span,
    /// How much later than asked it woke where nothing had woken it.
    pub overslept: Span,
    /// Turns that took longer than an event may.
    pub stalls: u64,
    /// The longest turn.
    pub longest: DurationNs,
    /// When that ended, by the engine's clock.
    pub longest_at: ArrivalNs,
    /// What came in through its sockets; `None` where it has none, or has not told yet.
    pub tally: Option<Tally>,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Totals {
    budget: DurationNs,
    spans: Vec<[Span; SEGMENTS]>,
    missed: [u64; KINDS],
    rules: Vec<RuleTotals>,
    unattributed: u64,
    dropped: u64,
    made_safe: u64,
    worst: Vec<Late>,
    threads: Vec<ThreadTotals>,
    intervals: u64,
}

impl Totals {
    pub(crate) fn new(budget: DurationNs, rules: usize) -> Self {
        let rule = || RuleTotals { react: Span::new(RULE_DIGITS), missed: 0 };
        Self {
            budget,
            spans: (0..KINDS).map(|_| std::array::from_fn(|_| Span::new(DIGITS))).collect(),
            missed: [0; KINDS],
            rules: (0..rules.min(super::interval::RULES_MAX)).map(|_| rule()).collect(),
            unattributed: 0,
            dropped: 0,
            made_safe: 0,
            // The worst so far and those of one interval.
            worst: Vec::with_capacity(2 * super::interval::WORST_MAX),
            threads: Vec::new(),
            intervals: 0,
        }
    }

    pub(crate) fn add_thread(&mut self, name: &str) {
        let none = || Span::new(DIGITS);
        let (busy, overslept) = (none(), none());
        let (longest, longest_at) = Default::default();
        let name = name.to_owned();
        self.threads.push(ThreadTotals {
            name,
            turns: 0,
            busy,
            overslept,
            stalls: 0,
            longest,
            longest_at,
            tally: None,
        });
    }

    /// Adds what thread `i` measured, and empties it.
    pub(crate) fn take_from(&mut self, i: usize, from: &mut Interval) {
        self.intervals += 1;
        for (into, from) in self.spans.iter_mut().flatten().zip(from.spans.iter_mut().flatten()) {
            into.take_from(from);
        }
        for (into, from) in self.missed.iter_mut().zip(&mut from.missed) {
            *into += std::mem::take(from);
        }
        for (into, from) in self.rules.iter_mut().zip(&mut from.rules) {
            into.react.take_from(&mut from.react);
            into.missed += std::mem::take(&mut from.missed);
        }
        if std::mem::take(&mut from.rules_changed) {
            self.rules.iter_mut().for_each(|r| {
                r.react.empty();
                r.missed = 0;
            });
        }
        self.unattributed += std::mem::take(&mut from.unattributed);
        self.dropped += std::mem::take(&mut from.dropped);
        self.made_safe += std::mem::take(&mut from.made_safe);
        self.worst.extend(from.worst.iter());
        self.worst.sort_unstable_by_key(|l| (std::cmp::Reverse(l.whole), l.seq));
        self.worst.truncate(super::interval::WORST_MAX);
        from.worst.empty();
        let (Some(thread), turns) = (self.threads.get_mut(i), &mut from.turns) else { return };
        thread.turns += std::mem::take(&mut turns.count);
        thread.busy.take_from(&mut turns.busy);
        thread.overslept.take_from(&mut turns.overslept);
        thread.stalls += std::mem::take(&mut turns.stalls);
        let (longest, at) = std::mem::take(&mut turns.longest);
        if longest > thread.longest {
            (thread.longest, thread.longest_at) = (longest, at);
        }
        // It counts from the start: the latest says all.
        thread.tally = from.tally.take().or(thread.tally);
    }

    /// How long an event may take: `budget_us` of site.toml.
    #[must_use]
    pub fn budget(&self) -> DurationNs {
        self.budget
    }
    /// How long one segment of the way of inputs of a kind took.
    #[must_use]
    pub fn span(&self, kind: Kind, segment: Segment) -> &Span {
        &self.spans[kind as usize][segment as usize]
    }
    /// One segment over every kind, as one distribution.
    #[must_use]
    pub fn over_all(&self, segment: Segment) -> Span {
        let mut all = Span::new(DIGITS);
        for kind in Kind::ALL {
            all.take_from(&mut self.span(kind, segment).clone());
        }
        all
    }
    /// How many inputs of a kind took longer than the budget.
    #[must_use]
    pub fn missed(&self, kind: Kind) -> u64 {
        self.missed[kind as usize]
    }
    /// How many inputs of any kind took longer than the budget.
    #[must_use]
    pub fn missed_in_all(&self) -> u64 {
        self.missed.iter().sum()
    }
    /// A rule's reactions since it came into force; `None` where it has no row of its own.
    #[must_use]
    pub fn rule(&self, rule: RuleId) -> Option<&RuleTotals> {
        self.rules.get(rule.index())
    }
    /// Every rule's row, by [`RuleId`].
    #[must_use]
    pub fn rules(&self) -> &[RuleTotals] {
        &self.rules
    }
    /// Reactions that are told of no rule: there are too many rules, or they fell into the quarter second in which
    /// others came into force.
    #[must_use]
    pub fn unattributed(&self) -> u64 {
        self.unattributed
    }
    /// Commands that were beyond their rule's deadline and were not sent, as the rule says (`else drop`).
    #[must_use]
    pub fn late_dropped(&self) -> u64 {
        self.dropped
    }
    /// Commands that were beyond their rule's deadline, in whose place the device was brought to its safe state
    /// (`else fail-safe`).
    #[must_use]
    pub fn late_made_safe(&self) -> u64 {
        self.made_safe
    }
    /// The worst inputs of all, worst first, at most 32.
    #[must_use]
    pub fn worst(&self) -> &[Late] {
        &self.worst
    }
    /// The pipeline's threads.
    #[must_use]
    pub fn threads(&self) -> &[ThreadTotals] {
        &self.threads
    }
    /// What came in through all sockets, and what became of it before it was stepped.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut all = Tally::default();
        self.threads.iter().filter_map(|t| t.tally.as_ref()).for_each(|t| all.add(t));
        all
    }
    /// How many intervals were added up: it rises while the threads live.
    #[must_use]
    pub fn intervals(&self) -> u64 {
        self.intervals
    }
}
