//! A recording played on pages: every page has a session of its own, on a thread of its own, and there are only so many.

use crate::outlet::Outlet;
use crate::request::Request;
use crate::scratch::Scratch;
use crate::server::{Feed, Visitor};
use crate::session::{Played, Session};
use crate::so_far::SoFar;
use crate::what_if::{Beside, WhatIfs};
use osmose_replay::player::{Player, PlayerError};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Pages of one recording at once: each runs a core.
pub const PAGES_MAX: usize = 8;
/// Pages that play what a running engine has recorded: the engine needs its cores.
pub const BESIDE_AN_ENGINE_MAX: usize = 2;
/// What a page asked and was not done yet, at most.
const ASKED_MAX: usize = 64;

/// A recording, as pages are fed from it.
pub struct Replaying {
    source: Source,
    open: Arc<AtomicUsize>,
    /// What is made for pages and goes with them.
    scratch: Arc<Scratch>,
    is_busy: Arc<AtomicBool>,
}

/// What is played.
#[derive(Clone)]
enum Source {
    /// A trace or a folder of them, and perhaps another one beside it.
    Trace(PathBuf, Option<Beside>),
    /// What a running engine has recorded so far.
    SoFar(Arc<SoFar>),
}

impl Source {
    const fn pages_max(&self) -> usize {
        match self {
            Self::Trace(..) => PAGES_MAX,
            Self::SoFar(_) => BESIDE_AN_ENGINE_MAX,
        }
    }
}

/// Why nothing can be played to pages.
#[derive(Debug, thiserror::Error)]
pub enum ReplayingError {
    /// The recording cannot be played.
    #[error(transparent)]
    Player(#[from] PlayerError),
    /// There is no place for what is made on the way.
    #[error("nothing can be kept in {dir} while a recording is played: {source}")]
    Scratch {
        /// Where temporary files go.
        dir: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Replaying {
    /// A trace or a folder of them; opened once to see that it can be played.
    ///
    /// # Errors
    /// [`ReplayingError`].
    pub fn new(path: &Path, beside: Option<Beside>) -> Result<Self, ReplayingError> {
        Player::open(path)?;
        if let Some(beside) = &beside {
            Player::open(&beside.path)?;
        }
        Self::of(Source::Trace(path.to_owned(), beside))
    }

    /// What a running engine has recorded when a page asks for it.
    ///
    /// # Errors
    /// [`ReplayingError::Scratch`].
    pub fn so_far(so_far: SoFar) -> Result<Self, ReplayingError> {
        Self::of(Source::SoFar(Arc::new(so_far)))
    }

    fn of(source: Source) -> Result<Self, ReplayingError> {
        let scratch = Scratch::new();
        let scratch = scratch.map_err(|source| ReplayingError::Scratch { dir: std::env::temp_dir(), source })?;
        Ok(Self { source, open: Arc::default(), scratch: Arc::new(scratch), is_busy: Arc::default() })
    }

    /// The folder for what is made on the way. Its owner is the last page that goes; who ends before them removes it.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }
}

/// Plays to one page until it goes.
fn play(
    source: &Source,
    at_s: Option<f64>,
    what_ifs: WhatIfs,
    page: &Arc<Outlet>,
    asked: &Receiver<Request>,
) -> Result<(), String> {
    let stretch;
    let played = match source {
        Source::Trace(path, beside) => {
            let name =
                path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
            Played { path, name, beside: beside.clone(), is_beside_an_engine: false }
        }
        Source::SoFar(so_far) => {
            stretch = so_far.cut(at_s, what_ifs.scratch(), page)?;
            let name = format!("{}, so far", so_far.name());
            Played { path: stretch.path(), name, beside: None, is_beside_an_engine: true }
        }
    };
    Session::open(played, what_ifs, page.clone()).and_then(|s| s.run(asked)).map_err(|e| e.to_string())
}

impl Feed for Replaying {
    fn open(&self, page: Arc<Outlet>, at_s: Option<f64>) -> Box<dyn Visitor> {
        let (said, asked) = sync_channel(ASKED_MAX);
        let (source, open) = (self.source.clone(), self.open.clone());
        let what_ifs = WhatIfs::new(self.scratch.clone(), self.is_busy.clone());
        let mine = open.fetch_add(1, Ordering::Relaxed);
        let of_page = page.clone();
        let play = move || {
            let ended = if mine < source.pages_max() {
                play(&source, at_s, what_ifs, &of_page, &asked)
            } else {
                Err(format!(
                    "As many pages as may play this recording do so: {}. Close one of them.",
                    source.pages_max()
                ))
            };
            if let Err(why) = ended {
                of_page.tell(json!({"type": "failed", "why": why}).to_string().into());
            }
            open.fetch_sub(1, Ordering::Relaxed);
        };
        if std::thread::Builder::new().name("osmose-play".into()).spawn(play).is_err() {
            page.close();
        }
        Box::new(Guest { page, said })
    }
}

struct Guest {
    page: Arc<Outlet>,
    said: SyncSender<Request>,
}

impl Visitor for Guest {
    fn asked(&mut self, request: Request) {
        if self.said.try_send(request).is_err() {
            self.page.close();
        }
    }
}
