//! What a running engine has recorded so far: a stretch of it is cut out into a trace of its own, which a page plays like
//! any other.
//!
//! The engine is asked nothing and waits for nobody. The recorder writes whole chunks, so its files can be read while they
//! grow; whoever reads them keeps off the stepping thread's core and stands behind whatever else wants the others.

use crate::outlet::Outlet;
use crate::passes::Gone;
use crate::what_if::unused;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_replay::surgery::cut::cut;
use osmose_replay::trace::recording::{Items, Recording};
use osmose_runtime::cores::Cores;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest stretch that is played beside an engine.
pub const REACH: DurationNs = DurationNs::from_s(15 * 60);
/// Its share of the recording has at most so many bytes.
pub const REACH_BYTES_MAX: u64 = 64 << 20;
/// The recorder hands what it has to the system four times a second: so often, and so long apart, an instant is looked for.
const TRIES: usize = 15;
const TRY_EVERY: Duration = Duration::from_millis(100);

/// Where a running engine records.
#[derive(Clone, Debug)]
pub enum Written {
    /// Into one file.
    File(PathBuf),
    /// Into files that rotate: the first one of this run, which may have expired.
    Since(PathBuf),
}

impl Written {
    fn open(&self) -> Result<Recording, String> {
        match self {
            Self::File(file) => Recording::open(file),
            Self::Since(first) => Recording::open_since(first),
        }
        .map_err(|e| e.to_string())
    }
}

/// The recording of a running engine.
#[derive(Debug)]
pub struct SoFar {
    name: String,
    written: Written,
    cores: Cores,
}

/// A stretch as a trace of its own, removed when it is not needed any more.
pub(crate) struct Stretch {
    path: PathBuf,
}

impl Stretch {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Stretch {
    fn drop(&mut self) {
        // Where it cannot be removed, its folder is in the end.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl SoFar {
    /// The recording that is called `name`, of an engine that runs on `cores`.
    #[must_use]
    pub const fn new(name: String, written: Written, cores: Cores) -> Self {
        Self { name, written, cores }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Cuts out the stretch around an instant, or the newest. The calling thread, and those that it starts from here on,
    /// give way to the engine.
    pub(crate) fn cut(&self, at_s: Option<f64>, scratch: &Path, page: &Outlet) -> Result<Stretch, String> {
        if !self.cores.step_back() {
            tracing::warn!(
                "this system lets no thread give way: a recording is played at the engine's side all the same"
            );
        }
        let at = at_s.map(|s| LogicalNs((s * 1e9) as i64));
        let (mut recording, span) = self.written_by(at)?;
        let (from, to) = stretch(span, recording.progress().1, at);
        let stretch = Stretch { path: unused(scratch, "so-far") };
        cut(&mut recording, from, to, &stretch.path, &mut Gone(page)).map_err(|e| e.to_string())?;
        Ok(stretch)
    }

    /// The recording, once an instant is in it, or anything; as it is where that does not come.
    fn written_by(&self, at: Option<LogicalNs>) -> Result<(Recording, (LogicalNs, LogicalNs)), String> {
        let mut found = Err("Nothing is recorded yet: the first second is not over.".to_owned());
        for _ in 0..TRIES {
            let opened = self.written.open().and_then(|mut r| Ok((r.span().map_err(|e| e.to_string())?, r)));
            match opened {
                Ok((Some(span), recording)) if span.0 < span.1 => {
                    let is_there = at.is_none_or(|at| at < span.1);
                    found = Ok((recording, span));
                    if is_there {
                        break;
                    }
                }
                Ok(_) => {}
                // A file that is being begun has no head yet.
                Err(why) => found = found.or(Err(why)),
            }
            std::thread::sleep(TRY_EVERY);
        }
        found
    }
}

/// From when to when a recording is played: as much as may be around an instant, else at its end. What the last instant
/// decided may not be written yet, so it ends before that.
fn stretch(span: (LogicalNs, LogicalNs), bytes: u64, at: Option<LogicalNs>) -> (LogicalNs, LogicalNs) {
    let last = LogicalNs(span.1.0 - 1);
    let length = span.1.since(span.0).0;
    let share = i128::from(length) * i128::from(REACH_BYTES_MAX) / i128::from(bytes.max(1));
    let reach = share.min(i128::from(REACH.0)).min(i128::from(length)) as i64;
    let to = at.map_or(last, |at| LogicalNs(at.0.saturating_add(reach / 2)).min(last));
    let from = LogicalNs(to.0.saturating_sub(reach)).max(span.0);
    (from, LogicalNs(from.0 + reach).min(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn a_stretch_is_around_its_instant_inside_the_recording_and_no_longer_than_it_may_be() {
        let of = |length_s: i64, bytes, at: Option<i64>| {
            let span = (LogicalNs(10 * S), LogicalNs((10 + length_s) * S));
            let (from, to) = stretch(span, bytes, at.map(|s| LogicalNs(s * S)));
            assert!(from >= span.0 && from < to && to < span.1, "{from} to {to} of {span:?}");
            ((from.0 - span.0.0) / S, (to.0 + 1 - span.0.0) / S)
        };
        assert_eq!(of(60, 1 << 20, None), (0, 60), "short: all of it");
        assert_eq!(of(60, 1 << 20, Some(20)), (0, 60));
        assert_eq!(of(3600, 1 << 20, None), (2699, 3600), "long: the newest quarter of an hour");
        assert_eq!(of(3600, 1 << 20, Some(1810)), (1350, 2250), "or that around an instant");
        assert_eq!(of(3600, 1 << 20, Some(11)), (0, 900));
        assert_eq!(of(3600, 1 << 20, Some(9999)), (2699, 3600));
        let (from, to) = of(600, 10 * REACH_BYTES_MAX, None);
        assert!(to == 600 && (59..=61).contains(&(to - from)), "much of it: {from} to {to}");
    }
}
