//! Deadline accounting: how long each input took from the kernel's receive stamp until its commands were handed over,
//! which ones were late, and where the time went.
//!
//! | file | what it holds |
//! |---|---|
//! | this | the words: kinds of input, segments of their way, a span's histogram |
//! | [`interval`] | what one thread measures: fixed memory, no allocation, no lock |
//! | [`exchange`] | how it gets to the side: whole intervals swapped for empty ones through `rtrb` rings |
//! | [`totals`] | the sums since the start, for whoever shows them |
//!
//! A deadline begins where the kernel took the datagram (what waited in the socket's buffer counts), for a timer at the
//! instant when it was due. It ends when the last command was handed to the transport; where an input decided nothing,
//! when its step ended. No stamp reaches the core.

pub mod exchange;
pub mod interval;
pub mod totals;

use hdrhistogram::{Counter, Histogram};
use osmose_model::input::Class;
use osmose_model::time::DurationNs;

/// What kind of input a figure is of: its class, or that it came from a timer or from within.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Fire, e-stop, person down.
    Safety,
    /// Doors, buttons, badges, reports of devices.
    Edge,
    /// Positions, ranges, values.
    State,
    /// Point clouds.
    Bulk,
    /// Something was due.
    Timer,
    /// Operators, rules, the wall clock: what comes from within.
    Control,
}

impl Kind {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 6] = [Self::Safety, Self::Edge, Self::State, Self::Bulk, Self::Timer, Self::Control];

    /// The kind of a datagram's observation.
    #[must_use]
    pub const fn of(class: Class) -> Self {
        match class {
            Class::Safety => Self::Safety,
            Class::Edge => Self::Edge,
            Class::State => Self::State,
            Class::Bulk => Self::Bulk,
        }
    }

    /// Its name, as metrics and tables write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Safety => "safety",
            Self::Edge => "edge",
            Self::State => "state",
            Self::Bulk => "bulk",
            Self::Timer => "timer",
            Self::Control => "control",
        }
    }
}

/// A part of an input's way through the engine. Parts are measured each by itself: their percentiles do not add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Taken by the kernel → read from the socket.
    Wait,
    /// Read (for a timer: due) → stepped.
    Stepped,
    /// The step alone.
    Step,
    /// Stepped → its commands handed to the transport; inputs that decided something.
    Send,
    /// Read (for a timer: due) → its commands handed to the transport; inputs that decided something.
    Respond,
    /// Taken by the kernel (for a timer: due) → its commands handed to the transport; inputs that decided something.
    React,
    /// Taken by the kernel (for a timer: due) → done with; every input.
    Whole,
}

impl Segment {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 7] =
        [Self::Wait, Self::Stepped, Self::Step, Self::Send, Self::Respond, Self::React, Self::Whole];

    /// Its name, as metrics and tables write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "kernel to read",
            Self::Stepped => "read to stepped",
            Self::Step => "step",
            Self::Send => "stepped to handed over",
            Self::Respond => "read to handed over",
            Self::React => "kernel to handed over",
            Self::Whole => "whole",
        }
    }
}

/// How many kinds there are.
pub const KINDS: usize = Kind::ALL.len();
/// How many segments there are.
pub const SEGMENTS: usize = Segment::ALL.len();

/// The longest span that a histogram tells from longer ones: a minute.
const SPAN_NS_MAX: u64 = 60_000_000_000;
/// Digits that figures by kind and segment are told to.
const DIGITS: u8 = 3;
/// Digits that figures by rule are told to: there may be hundreds of rules.
const RULE_DIGITS: u8 = 2;

/// The distribution of one span of time, nanoseconds. The memory is taken when it is made.
#[derive(Clone, Debug)]
pub struct Span<C: Counter = u64> {
    histogram: Histogram<C>,
    max_ns: u64,
    beyond: u64,
}

impl<C: Counter> Span<C> {
    /// None measured. Values are told apart to `digits` significant digits.
    ///
    /// # Panics
    /// Never: the bounds are constants that the library accepts.
    #[must_use]
    fn new(digits: u8) -> Self {
        let histogram = Histogram::new_with_bounds(1, SPAN_NS_MAX, digits)
            .unwrap_or_else(|_| Histogram::new(3).expect("three digits are allowed"));
        Self { histogram, max_ns: 0, beyond: 0 }
    }

    /// Adds one. A span that is none (clocks of two cores may differ by a little) counts as a nanosecond.
    pub(crate) fn record(&mut self, span: DurationNs) {
        let ns = span.0.max(1) as u64;
        self.max_ns = self.max_ns.max(ns);
        self.beyond += u64::from(ns > SPAN_NS_MAX);
        self.histogram.saturating_record(ns);
    }

    /// The distribution, nanoseconds. What was longer than a minute stands at its end ([`Span::beyond`]).
    #[must_use]
    pub const fn histogram(&self) -> &Histogram<C> {
        &self.histogram
    }
    /// How many were measured.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }
    /// The longest, exactly, nanoseconds.
    #[must_use]
    pub const fn max_ns(&self) -> u64 {
        self.max_ns
    }
    /// How many were longer than the histogram can tell.
    #[must_use]
    pub const fn beyond(&self) -> u64 {
        self.beyond
    }
    /// The span that a share `quantile` of all is not longer than, nanoseconds; 0 where none was measured.
    #[must_use]
    pub fn at(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile).min(self.max_ns)
    }

    fn empty(&mut self) {
        self.histogram.reset();
        (self.max_ns, self.beyond) = (0, 0);
    }
}

impl Span {
    /// Adds what another counted, and empties it. Costs nothing where that is nothing.
    fn take_from<D: Counter>(&mut self, other: &mut Span<D>) {
        if other.histogram.is_empty() {
            return;
        }
        // Bounds and digits are the same, so each count goes where it came from.
        for step in other.histogram.iter_recorded() {
            self.histogram.saturating_record_n(step.value_iterated_to(), step.count_at_value().as_u64());
        }
        self.max_ns = self.max_ns.max(other.max_ns);
        self.beyond += other.beyond;
        other.empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_segments_index_their_tables() {
        for (i, k) in Kind::ALL.iter().enumerate() {
            assert_eq!(*k as usize, i, "{k:?}");
        }
        for (i, s) in Segment::ALL.iter().enumerate() {
            assert_eq!(*s as usize, i, "{s:?}");
        }
    }

    #[test]
    fn the_true_maximum_and_what_is_beyond_stand_beside_the_histogram() {
        let mut span = Span::<u32>::new(DIGITS);
        span.record(DurationNs(-5));
        span.record(DurationNs::from_s(90));
        assert_eq!((span.count(), span.beyond(), span.max_ns()), (2, 1, 90_000_000_000));
        let mut all = Span::<u64>::new(DIGITS);
        all.take_from(&mut span);
        assert_eq!((all.count(), all.beyond(), all.max_ns()), (2, 1, 90_000_000_000));
        assert_eq!((span.count(), span.beyond(), span.max_ns()), (0, 0, 0));
    }
}
