//! systemd's watchdog: the engine is alive while every pipeline thread goes round, and not because this thread does.
//!
//! Each thread of the pipeline counts its turns, idle or not, and hands the count to the side several times a second. This
//! thread looks whether each has risen since it looked last, and only then tells systemd so. A thread that hangs, in a
//! driver or in a loop of ours, is thereby found, and systemd starts the engine anew, which resumes where it stopped.

use osmose_runtime::latency::exchange::Latencies;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Turns are handed out this often at most, with some room: looking more often would see threads stand that do not.
const LOOK_MIN: Duration = Duration::from_millis(400);
/// How often this thread looks whether it is to end.
const LOOK_UP: Duration = Duration::from_millis(50);

/// The turns of each thread when they were looked at last.
#[derive(Debug, Default)]
struct Pulse {
    seen: Vec<(String, u64)>,
}

impl Pulse {
    /// Which threads have not gone round since the last look. The first look only remembers.
    fn standing(&mut self, now: Vec<(String, u64)>) -> Vec<String> {
        let before = std::mem::replace(&mut self.seen, now);
        let stood = |(name, turns): &&(String, u64)| before.iter().any(|(n, t)| n == name && t == turns);
        self.seen.iter().filter(stood).map(|(name, _)| name.clone()).collect()
    }
}

/// Says that the engine is ready, and feeds the watchdog from now on where systemd asks for it. Outside of systemd it does
/// nothing.
pub(crate) fn start(latencies: Latencies, stop: Arc<AtomicBool>) -> std::io::Result<Option<JoinHandle<()>>> {
    tell(&[NotifyState::Ready]);
    let Some(patience) = sd_notify::watchdog_enabled() else { return Ok(None) };
    let every = (patience / 2).max(LOOK_MIN);
    if every >= patience {
        tracing::warn!(
            ?patience,
            "WatchdogSec is too short to look at the pipeline in it: give it at least {} ms",
            2 * LOOK_MIN.as_millis()
        );
    }
    std::thread::Builder::new().name("osmose-watchdog".into()).spawn(move || feed(&latencies, every, &stop)).map(Some)
}

/// Says that the engine ends.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn feed(latencies: &Latencies, every: Duration, stop: &AtomicBool) {
    let mut pulse = Pulse::default();
    let mut looked_at = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        if looked_at.elapsed() < every {
            std::thread::sleep(LOOK_UP.min(every / 4));
            continue;
        }
        looked_at = Instant::now();
        let turns = latencies.with(|t| t.threads().iter().map(|t| (t.name.clone(), t.turns)).collect());
        let standing = pulse.standing(turns);
        if standing.is_empty() {
            tell(&[NotifyState::Watchdog]);
        } else {
            let status = format!("no turn of {} for {} ms", standing.join(", "), every.as_millis());
            tracing::error!("{status}: the watchdog is not fed");
            tell(&[NotifyState::Status(&status)]);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told how the engine is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(pulse: &mut Pulse, turns: &[(&str, u64)]) -> Vec<String> {
        pulse.standing(turns.iter().map(|(n, t)| ((*n).to_owned(), *t)).collect())
    }

    #[test]
    fn one_thread_that_stands_is_enough_and_is_named() {
        let mut pulse = Pulse::default();
        assert!(look(&mut pulse, &[("step", 0), ("out", 0)]).is_empty(), "the first look only remembers");
        assert!(look(&mut pulse, &[("step", 5), ("out", 1)]).is_empty());
        assert_eq!(look(&mut pulse, &[("step", 9), ("out", 1)]), ["out"]);
        assert_eq!(look(&mut pulse, &[("step", 9), ("out", 1)]), ["step", "out"]);
        assert!(look(&mut pulse, &[("step", 10), ("out", 2)]).is_empty(), "it goes on");
        assert!(look(&mut pulse, &[("step", 11), ("out", 3), ("in 0", 0)]).is_empty(), "a new one has not stood yet");
    }
}
