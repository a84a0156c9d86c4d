//! A number's recent past: its mean over a window, and how much it rose in it.
//!
//! The window is cut into [`PIECES`] pieces that move on with time, so that its memory has a fixed size: the mean is
//! exact at the pieces' ends and off by at most one piece's weight between. What was not known has no weight; where
//! less than half of the window is known, so is nothing of it.

use super::facts::UNKNOWN;
use super::truth::Truth;
use crate::program::{Cond, CondId, Num, NumId, Program, WindowKind};
use osmose_model::time::DurationNs;
use serde::{Deserialize, Serialize};

/// So near to its goal something counts as warmed up, in its own unit: within 1 K with something to spare.
const NEAR: f64 = 0.6;
/// The least rise within a window that tells anything.
const RISE_MIN: f64 = 0.3;
/// How much of a new figure is believed.
const LEARN: f64 = 0.05;
/// Before anything was seen, 1/s: a slow building, so that the first morning is warm too early and not too late.
const CLOSING_UNKNOWN: f64 = 1.0 / 3600.0;
/// Pieces of a window.
const PIECES: usize = 16;

/// One piece: what the number added up to over the time that it was known, and its value at the piece's beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Piece {
    /// Number times seconds.
    sum: f64,
    known: i64,
    first: Option<f64>,
}

/// What is remembered of one number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    /// Length of a piece, ns.
    piece: i64,
    /// By piece's number modulo [`PIECES`], one more than the window needs for the piece under way.
    pieces: [Piece; PIECES + 1],
    /// The number of the piece under way.
    at: i64,
    /// Until when it is added up, and the value since.
    last: Option<(i64, Option<f64>)>,
    /// How fast the gap to a goal closes, 1/s, where that was seen.
    closing: Option<f64>,
}

impl Window {
    pub(super) fn new(length: DurationNs) -> Self {
        let piece = (length.0 / PIECES as i64).max(1);
        Window { piece, pieces: [Piece::default(); PIECES + 1], at: 0, last: None, closing: None }
    }

    fn slot(number: i64) -> usize {
        number.rem_euclid(PIECES as i64 + 1) as usize
    }

    /// Adds the time up to `now`, with the value that held until then; from then on it is `value`.
    fn advance(&mut self, now: i64, value: Option<f64>) {
        let Some((mut from, was)) = self.last else {
            self.at = now.div_euclid(self.piece);
            self.pieces[Self::slot(self.at)] = Piece { first: value, ..Piece::default() };
            self.last = Some((now, value));
            return;
        };
        let target = now.div_euclid(self.piece);
        // Whole windows without a look hold the same value throughout: only the last of them matters.
        if target - self.at > PIECES as i64 + 1 {
            self.at = target - PIECES as i64 - 1;
            from = self.at * self.piece;
            self.pieces[Self::slot(self.at)] = Piece { first: was, ..Piece::default() };
        }
        loop {
            let end = ((self.at + 1) * self.piece).min(now);
            let piece = &mut self.pieces[Self::slot(self.at)];
            if let Some(value) = was {
                piece.sum += value * (end - from) as f64 / 1e9;
                piece.known += end - from;
            }
            if self.at == target {
                break;
            }
            self.at += 1;
            from = end;
            self.pieces[Self::slot(self.at)] = Piece { first: was, ..Piece::default() };
        }
        self.last = Some((now, value));
    }

    /// Mean over the window; `None` where too little is known.
    fn mean(&self, now: i64) -> Option<f64> {
        let (mut sum, mut known) = (0.0, 0);
        for back in 0..=PIECES as i64 {
            let piece = &self.pieces[Self::slot(self.at - back)];
            // Of the oldest piece only the share that is still inside.
            let share =
                if back == PIECES as i64 { 1.0 - (now - self.at * self.piece) as f64 / self.piece as f64 } else { 1.0 };
            sum += piece.sum * share;
            known += (piece.known as f64 * share) as i64;
        }
        let enough = known >= self.piece * PIECES as i64 / 2;
        enough.then(|| sum / (known as f64 / 1e9))
    }

    /// Learns from the window how fast the gap to a goal closes, and gives the seconds until it is [`NEAR`].
    ///
    /// What is driven to a goal closes the gap to it by the same share in each time (Newton's law of heating), so over a
    /// window `k = ln(gap before / gap now) / window`. It is learnt where the value rose throughout: in the first half of
    /// the window about as much as in the second, so that heat that came on within it, or somebody who came in, is not
    /// taken for it.
    fn warm_up(&mut self, at_ns: i64, value: Option<f64>, goal: f64) -> Option<f64> {
        let now = value?;
        let back = |pieces: usize| self.pieces[Self::slot(self.at - pieces as i64)].first;
        if let (Some(first), Some(middle)) = (back(PIECES - 1), back(PIECES / 2)) {
            let (rise, first_half) = (now - first, middle - first);
            let gap = goal - now;
            if rise >= RISE_MIN && first_half >= 0.4 * rise && gap >= NEAR {
                let span_s = (at_ns - (self.at - PIECES as i64 + 1) * self.piece) as f64 / 1e9;
                let seen = libm::log((goal - first) / gap) / span_s;
                self.closing = Some(self.closing.map_or(seen, |k| k + LEARN * (seen - k)));
            }
        }
        let k = self.closing.unwrap_or(CLOSING_UNKNOWN);
        Some(libm::log(((goal - now) / NEAR).max(1.0)) / k)
    }

    /// How much more it is now than it was one window ago.
    fn change(&self, value: Option<f64>) -> Option<f64> {
        Some(value? - self.pieces[Self::slot(self.at - PIECES as i64 + 1)].first?)
    }
}

/// The windows that conditions read, in the order in which they are met.
pub(super) fn windows_below(program: &Program, roots: impl Iterator<Item = CondId>) -> Vec<u16> {
    let (mut conds, mut found): (Vec<CondId>, Vec<u16>) = (roots.collect(), Vec::new());
    let mut nums: Vec<NumId> = Vec::new();
    let mut at = 0;
    while at < conds.len() {
        match &program.conds[conds[at] as usize] {
            Cond::Not(inner) | Cond::IsUnknown(inner) | Cond::For { inner, .. } => conds.push(*inner),
            Cond::And { from, to } | Cond::Or { from, to } => {
                conds.extend_from_slice(&program.children[*from as usize..*to as usize]);
            }
            Cond::Until { set, reset, .. } => conds.extend([*set, *reset]),
            Cond::Within { event, .. } | Cond::Times { event, .. } => conds.push(*event),
            Cond::Sequence { from, to, .. } => {
                conds.extend(program.sequence[*from as usize..*to as usize].iter().map(|p| p.cond));
            }
            Cond::Compare(_, a, b) => nums.extend([*a, *b]),
            Cond::NumberUnknown(a) => nums.push(*a),
            _ => {}
        }
        while let Some(num) = nums.pop() {
            match &program.nums[num as usize] {
                Num::Add(a, b) | Num::Sub(a, b) | Num::Mul(a, b) | Num::Div(a, b) | Num::Min(a, b) | Num::Max(a, b) => {
                    nums.extend([*a, *b]);
                }
                Num::Window(place) => {
                    found.push(*place);
                    nums.push(program.windows[usize::from(*place)].of);
                }
                Num::CountWhere { cond, .. } | Num::Lasting { cond, .. } => conds.push(*cond),
                _ => {}
            }
        }
        at += 1;
    }
    found
}

impl Truth<'_> {
    /// A window's number now. It is looked at again when its piece ends.
    #[inline(never)]
    pub(super) fn window(&mut self, place: u16) -> (f64, f64) {
        let info = self.program.windows[usize::from(place)];
        let (low, high) = self.num(info.of);
        let value = (low == high && low.is_finite()).then_some(low);
        let now = self.now;
        let window = &mut self.windows[usize::from(place)];
        window.advance(now, value);
        let end = (window.at + 1) * window.piece;
        let found = match info.kind {
            WindowKind::Mean => window.mean(now),
            WindowKind::Change => window.change(value),
            WindowKind::WarmUp(goal) => window.warm_up(now, value, goal),
        };
        self.due_at(end);
        found.filter(|v| v.is_finite()).map_or(UNKNOWN, |v| (v, v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000_000;

    proptest! {
        /// Where the window ends with a piece the mean is exactly that of the whole history in it.
        #[test]
        fn the_mean_is_that_of_the_history(steps in prop::collection::vec((1i64..5, -20i32..20), 1..60)) {
            let mut window = Window::new(DurationNs(16 * S));
            let (mut now, mut history) = (0, Vec::new());
            for (wait, value) in steps {
                history.push((now, f64::from(value)));
                window.advance(now, Some(f64::from(value)));
                now += wait * S;
            }
            let last = history.last().map(|(_, v)| *v);
            window.advance(now, last);
            let from = now - 16 * S;
            let value_at = |t: i64| history.iter().rev().find(|(at, _)| *at <= t).map(|(_, v)| *v);
            let seconds: Vec<f64> = (from / S..now / S).filter_map(|s| value_at(s * S)).collect();
            match window.mean(now) {
                Some(mean) => {
                    let wanted = seconds.iter().sum::<f64>() / seconds.len() as f64;
                    prop_assert!((mean - wanted).abs() < 1e-6, "{mean} for {wanted}");
                }
                None => prop_assert!(seconds.len() <= 8, "{} known", seconds.len()),
            }
        }
    }

    #[test]
    fn a_warm_up_is_learnt_from_how_the_last_ones_went() {
        // A room of a half-hour time constant, heated from 15 to 21.
        let room = |t: i64| 21.0 - 6.0 * libm::exp(-(t as f64) / 1800.0);
        let mut window = Window::new(DurationNs(600 * S));
        let lead = |window: &mut Window, t: i64, value: f64| {
            window.advance(t * S, Some(value));
            window.warm_up(t * S, Some(value), 21.0).expect("it is known")
        };
        let before = lead(&mut window, 0, 15.0);
        assert!((before - 3600.0 * libm::log(6.0 / NEAR)).abs() < 1.0, "{before}: nothing was learnt");
        (1..360).for_each(|i| {
            lead(&mut window, i * 10, room(i * 10));
        });
        // Cold again the next day, and it is known how long it takes now.
        let after = lead(&mut window, 86_400, 15.0);
        assert!((after - 1800.0 * libm::log(6.0 / NEAR)).abs() < 60.0, "{after}");
        // Somebody who comes in warms it by less than is learnt from.
        let mut window = Window::new(DurationNs(600 * S));
        (0..120).for_each(|i| {
            lead(&mut window, i * 10, 17.0 + 0.1 * i as f64 / 120.0);
        });
        assert_eq!(window.closing, None);
    }

    #[test]
    fn a_rise_is_what_was_added_since() {
        let mut window = Window::new(DurationNs(16 * S));
        for t in 0..40 {
            window.advance(t * S, Some(t as f64 * 2.0));
        }
        let change = window.change(Some(80.0)).expect("it is known");
        assert!((change - 32.0).abs() <= 2.0, "{change}");
    }
}
