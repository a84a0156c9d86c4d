//! A recording run again with something otherwise, because a page asked: a second run beside the first.
//!
//! It takes as long as a replay, so it has a thread of its own and there is one at a time; what it writes goes with its page.

use crate::outlet::Outlet;
use crate::request::Otherwise;
use crate::scratch::Scratch;
use osmose_model::ids::SensorId;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_replay::branch::{self, WhatIf};
use osmose_replay::drive::Watch;
use serde_json::json;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How often a page is told how far a run is.
const TOLD_EVERY: Duration = Duration::from_millis(250);
/// What is said where one is being run already.
const BUSY: &str = "A recording is being run again already; it can be asked for once that is done.";

/// A second recording beside the first.
#[derive(Clone, Debug)]
pub struct Beside {
    /// What it is called: `what if: without ceiling-m7-a`, or its file.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What is to be known before trusting it.
    pub note: String,
    /// It is the same recording run otherwise: from the first difference on it is a hypothesis.
    pub is_what_if: bool,
}

impl Beside {
    /// The recording run otherwise, written to `path`; `otherwise` says in what.
    #[must_use]
    pub fn what_if(path: PathBuf, otherwise: &[String]) -> Self {
        let name = format!("what if: {}", otherwise.join(", "));
        let note = "From there on, devices in B follow their models, people stay as recorded: a hypothesis.".to_owned();
        Self { name, path, note, is_what_if: true }
    }
}

/// What sensors are to have done otherwise, in words.
#[must_use]
pub fn in_words(without: &[String], delay_ms: impl IntoIterator<Item = (impl AsRef<str>, i64)>) -> Vec<String> {
    let gone = without.iter().map(|s| format!("without {s}"));
    gone.chain(delay_ms.into_iter().map(|(s, ms)| format!("{} {ms} ms later", s.as_ref()))).collect()
}

/// A run that was begun.
struct Begun {
    name: Vec<String>,
    path: PathBuf,
    ended: Receiver<Result<(), String>>,
}

/// The runs that a page asks for.
pub(crate) struct WhatIfs {
    scratch: Arc<Scratch>,
    /// Over all pages.
    is_busy: Arc<AtomicBool>,
    begun: Option<Begun>,
    /// The one that is there.
    made: Option<PathBuf>,
}

impl WhatIfs {
    pub(crate) fn new(scratch: Arc<Scratch>, is_busy: Arc<AtomicBool>) -> Self {
        Self { scratch, is_busy, begun: None, made: None }
    }

    /// Where what is made lies.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Begins to run a recording otherwise; the page is told how far it is. Says why not, where it is not begun.
    pub(crate) fn begin(
        &mut self,
        recording: &Path,
        site: &Site,
        asked: &Otherwise,
        page: &Arc<Outlet>,
    ) -> Result<(), String> {
        let what_if = read(site, asked)?;
        if self.is_busy.swap(true, Ordering::Relaxed) {
            return Err(BUSY.to_owned());
        }
        let free = Freed(self.is_busy.clone());
        let words = in_words(&asked.without, asked.delay_ms.iter().map(|(s, ms)| (s, i64::from(*ms))));
        let out = unused(self.scratch.path(), "what-if");
        let (recording, page, path) = (recording.to_owned(), page.clone(), out.clone());
        let (end, ended) = channel();
        let mut told = Told { page, name: words.join(", "), last: Instant::now() };
        let run = move || {
            let _free = free;
            told.tell(0.0);
            let result = branch::record(&recording, &what_if, &path, &mut told).map(drop).map_err(|e| e.to_string());
            // A page that is gone needs no answer.
            let _ = end.send(result);
        };
        std::thread::Builder::new().name("osmose-what-if".into()).spawn(run).map_err(|e| e.to_string())?;
        self.begun = Some(Begun { name: words, path: out, ended });
        Ok(())
    }

    /// The run that was begun, once it is there or has failed.
    pub(crate) fn ready(&mut self) -> Option<Result<Beside, String>> {
        let ended = self.begun.as_ref()?.ended.try_recv().ok()?;
        let Begun { name, path, .. } = self.begun.take()?;
        Some(ended.map(|()| {
            self.remove();
            self.made = Some(path.clone());
            Beside::what_if(path, &name)
        }))
    }

    fn remove(&mut self) {
        if let Some(made) = self.made.take() {
            // Where it cannot be removed, its folder is in the end.
            let _ = std::fs::remove_file(made);
        }
    }
}

impl Drop for WhatIfs {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Lets the next run begin.
struct Freed(Arc<AtomicBool>);

impl Drop for Freed {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Tells a page how far a run is, and stops it when the page is gone.
struct Told {
    page: Arc<Outlet>,
    name: String,
    last: Instant,
}

impl Told {
    fn tell(&mut self, done: f64) {
        self.last = Instant::now();
        self.page.tell(json!({"type": "what_if", "name": self.name, "done": done}).to_string().into());
    }
}

impl Watch for Told {
    fn progress(&mut self, done: u64, total: u64, _: LogicalNs) -> ControlFlow<()> {
        if self.page.is_closed() {
            return ControlFlow::Break(());
        }
        if self.last.elapsed() >= TOLD_EVERY {
            self.tell((done as f64 / total.max(1) as f64 * 100.0).round() / 100.0);
        }
        ControlFlow::Continue(())
    }
}

/// What was asked for, of this site.
fn read(site: &Site, asked: &Otherwise) -> Result<WhatIf, String> {
    let sensor = |name: &String| -> Result<SensorId, String> {
        site.sensor_named(name).ok_or_else(|| format!("The site has no sensor {name:?}."))
    };
    let without = asked.without.iter().map(sensor).collect::<Result<Vec<_>, _>>()?;
    let later = |(name, ms): (&String, &u32)| Ok((sensor(name)?, DurationNs::from_ms(i64::from(*ms))));
    let delayed = asked.delay_ms.iter().map(later).collect::<Result<Vec<_>, String>>()?;
    Ok(WhatIf { rules: None, without, delayed })
}

/// A path in a folder that nothing of this process has.
pub(crate) fn unused(dir: &Path, stem: &str) -> PathBuf {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    dir.join(format!("{stem}-{}.mcap", MADE.fetch_add(1, Ordering::Relaxed)))
}
