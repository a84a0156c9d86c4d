//! Playing at a speed. The player has no clock: it is told how much time has passed, and takes its steps in bounded
//! pieces, so that whoever draws the picture is never kept waiting.

use super::{Moved, Player, PlayerError, Stepped, Until, instant};
use osmose_model::time::{DurationNs, LogicalNs};
use std::time::Duration;

/// Most inputs stepped for one [`Player::tick`]: some ten milliseconds of work.
pub const PIECE_STEPS_MAX: u64 = 5000;

/// How fast a player plays, and where it should be by now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pace {
    /// Seconds of the recording in one second; 0 where it holds.
    speed: f64,
    /// Where the playhead should be; behind it, the core could not keep up.
    due: Option<LogicalNs>,
}

impl Pace {
    /// The playhead was put somewhere else: it is due where it is.
    pub(super) fn restart(&mut self) {
        self.due = None;
    }
}

impl Player {
    /// Plays on at so many seconds of the recording in one second; 0, or what is no speed, holds.
    pub fn play(&mut self, speed: f64) {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 0.0 };
        self.pace = Pace { speed, due: None };
    }

    /// Holds.
    pub fn pause(&mut self) {
        self.play(0.0);
    }

    /// How fast it plays; 0 where it holds.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.pace.speed
    }

    /// How far the picture is behind the speed asked for, because the core cannot keep up.
    #[must_use]
    pub fn behind(&self) -> DurationNs {
        self.pace.due.map_or(DurationNs::ZERO, |due| due.since(self.now).max(DurationNs::ZERO))
    }

    /// Lets time pass: plays on by what is due, [`PIECE_STEPS_MAX`] inputs at most, and shows each step. At the end of
    /// the recording it holds.
    ///
    /// # Errors
    /// [`PlayerError`].
    pub fn tick(&mut self, elapsed: Duration, sees: &mut dyn FnMut(&Stepped<'_>)) -> Result<Moved, PlayerError> {
        if self.pace.speed == 0.0 {
            return Ok(Moved { ended: self.ended, ..Moved::default() });
        }
        let passed = DurationNs::from_s_f64(elapsed.as_secs_f64() * self.pace.speed).unwrap_or(DurationNs(i64::MAX));
        let due = self.pace.due.unwrap_or(self.now).plus(passed).min(self.span.1);
        self.pace.due = Some(due);
        let moved = self.run(Until::Instant(instant(due)), PIECE_STEPS_MAX, &mut |s| {
            sees(s);
            true
        })?;
        // Who cannot keep up stands where the core stands.
        self.now = if moved.more { self.last().at.max(self.now) } else { due };
        if moved.ended || self.now >= self.span.1 {
            self.pause();
        }
        Ok(moved)
    }
}
