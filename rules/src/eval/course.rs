//! Held numbers that move: fades (`over`), at most so often (`every`), at most so far at a time (`step`), and not for
//! little (`band`).
//!
//! A fade is a straight line from what the device shows to what is wanted, in [`FADE_STEPS`] steps that are at least
//! [`FADE_STEP_MIN`] apart. All of it hangs on the log's time, so it goes on after a restart where it was.

use super::state::CourseState;
use super::timers::NEVER;
use super::unit::Run;
use crate::program::{Course, HoldTarget};
use osmose_model::command::Value;
use osmose_model::time::NS_PER_MS;

/// Steps of one fade.
const FADE_STEPS: i64 = 20;
/// Shortest time between two steps of a fade.
const FADE_STEP_MIN: i64 = 100 * NS_PER_MS;

impl Run<'_> {
    /// The value to hold now on the way to `wanted`, and when to look again.
    pub(super) fn on_course(&mut self, hold: &HoldTarget, course: &Course, wanted: f64) -> (f64, i64) {
        let now = self.now;
        let number = |value: &Value| match value {
            Value::Number(number) => Some(*number),
            _ => None,
        };
        let held = self.state.held[hold.holder.index()].as_ref().and_then(number);
        let shown = || self.world.device(hold.device, hold.property).as_ref().and_then(number);
        let Some(at) = held.or_else(shown) else {
            // Nobody knows where it is, so there is no way to go: it begins at its end.
            self.state.courses[hold.holder.index()] =
                Some(CourseState { to: wanted, from: wanted, began: now, changed: now });
            return (wanted, NEVER);
        };
        let fresh = CourseState { to: wanted, from: at, began: now, changed: i64::MIN };
        let mut state = self.state.courses[hold.holder.index()].unwrap_or(fresh);
        // A wish for little more or less is none. A value that holds nothing yet is always taken.
        let small = course.band.is_some_and(|band| (wanted - at).abs() < band) && held.is_some();
        let underway = course.over.0 > 0 && at != state.to;
        if wanted != state.to && (underway || !small) {
            state = CourseState { to: wanted, from: at, began: now, changed: state.changed };
        }
        let rests = state.changed.saturating_add(course.every.0);
        let (value, due) = if small && at != state.to && !underway {
            (at, NEVER)
        } else if course.every.0 > 0 && state.changed != i64::MIN && now < rests && at != state.to {
            (at, rests)
        } else {
            self.next_on_course(&state, course, at)
        };
        if held != Some(value) {
            state.changed = now;
        }
        self.state.courses[hold.holder.index()] = Some(state);
        let due = if value != state.to && due == NEVER && course.every.0 > 0 {
            now.saturating_add(course.every.0)
        } else {
            due
        };
        (value, due)
    }

    fn next_on_course(&self, state: &CourseState, course: &Course, at: f64) -> (f64, i64) {
        let now = self.now;
        if course.over.0 > 0 {
            let stride = (course.over.0 / FADE_STEPS).max(FADE_STEP_MIN).max(course.every.0);
            let gone = now.saturating_sub(state.began);
            if gone >= course.over.0 {
                return (state.to, NEVER);
            }
            let share = (gone - gone % stride) as f64 / course.over.0 as f64;
            let next = state.began.saturating_add((gone / stride + 1) * stride).min(state.began + course.over.0);
            return (state.from + (state.to - state.from) * share, next);
        }
        match course.step {
            Some(step) if (state.to - at).abs() > step => {
                let value = at + (state.to - at).clamp(-step, step);
                let pause = if course.every.0 > 0 { course.every.0 } else { FADE_STEP_MIN };
                (value, now.saturating_add(pause))
            }
            _ => (state.to, NEVER),
        }
    }
}
