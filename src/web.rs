//! The page: of `run` and `demo`, live, and of a recording.
//!
//! Live it is bound before the engine runs, fed from its pictures and its journal thread.

use crate::outcome::{Ended, Failure, Outcome};
use crate::stderr::say;
use osmose_model::site::Site;
use osmose_page::live::{About, Gatherer, Live, LiveTap, live};
use osmose_page::replay::Replaying;
use osmose_page::server::{Feed, ServeError, Server};
use osmose_page::so_far::{SoFar, Written};
use osmose_page::what_if::Beside;
use osmose_runtime::cores::Cores;
use osmose_runtime::engine::Engine;
use osmose_runtime::tap::Tap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

/// Where the page is served unless it is said otherwise.
const USUAL: &str = "127.0.0.1:7800";
/// Where another program has that port already.
const ANY: &str = "127.0.0.1:0";

/// Where to serve the page
#[derive(clap::Args)]
pub(crate) struct Web {
    /// Serve the live page at this address of this machine [default: 127.0.0.1:7800, or another port where that is taken]
    #[arg(long = "web", value_name = "ADDR|none")]
    addr: Option<String>,
}

/// A page that is bound and waits for its engine.
pub(crate) struct Bound {
    server: Server,
    feed: Live,
    gatherer: Gatherer,
    recording: Option<Replaying>,
}

impl Bound {
    /// Lets pages look back into what the engine of a site records.
    pub(crate) fn look_back(&mut self, site: &Site, written: Written) {
        let name = match &written {
            Written::File(file) => file.file_name().map(|n| n.to_string_lossy().into_owned()),
            Written::Since(_) => None,
        };
        let name = name.unwrap_or_else(|| site.name.clone());
        match Replaying::so_far(SoFar::new(name.clone(), written, Cores::read())) {
            Ok(recording) => {
                self.gatherer.recording(name);
                self.recording = Some(recording);
            }
            Err(why) => say!("the page cannot look back: {why}"),
        }
    }
}

impl Web {
    /// Whether a page is served.
    pub(crate) fn is_wanted(&self) -> bool {
        self.addr.as_deref() != Some("none")
    }

    /// Binds the page and puts its tap among the others; `None` where none is wanted.
    pub(crate) fn bind(
        &self,
        site: &Arc<Site>,
        dry_run: bool,
        taps: &mut Vec<Box<dyn Tap>>,
    ) -> Result<Option<Bound>, Failure> {
        if !self.is_wanted() {
            return Ok(None);
        }
        let server = bind(self.addr.as_deref())?;
        let topology = Cores::read().topology(site.engine.topology);
        let about = About {
            topology: format!("{topology:?}").to_lowercase(),
            cores: Cores::read().allowed(),
            dry_run,
            recording: None,
        };
        let files: Vec<_> = site.rule_files().cloned().collect();
        let (tap, feed, gatherer): (LiveTap, _, _) = live(site, &files, about);
        taps.push(Box::new(tap));
        Ok(Some(Bound { server, feed, gatherer, recording: None }))
    }
}

/// The threads that serve a page.
#[derive(Default)]
pub(crate) struct Serving {
    threads: Vec<JoinHandle<()>>,
    url: Option<String>,
    /// What was made for pages that looked back.
    scratch: Option<PathBuf>,
}

impl Serving {
    /// Serves a bound page from an engine that is about to run, until `stop`.
    pub(crate) fn of(bound: Option<Bound>, engine: &mut Engine, stop: &Arc<AtomicBool>) -> Result<Self, Failure> {
        let Some(Bound { server, feed, gatherer, recording }) = bound else { return Ok(Self::default()) };
        let url = format!("http://{}", server.addr());
        let gathering = gatherer.run(engine.look_on(), engine.latencies(), stop.clone()).map_err(Failure::found)?;
        let scratch = recording.as_ref().map(|r| r.scratch().to_owned());
        let recording = recording.map(|r| Arc::new(r) as Arc<dyn Feed>);
        let serving = server.serve(Arc::new(feed), recording, stop.clone()).map_err(Failure::found)?;
        Ok(Self { threads: vec![gathering, serving], url: Some(url), scratch })
    }

    /// Tells whoever waits that everything is bound; `more` is what else is.
    pub(crate) fn say_ready(&self, engine: &Engine, more: &str) {
        let udp: Vec<_> = engine.addresses().map(|a| a.to_string()).collect();
        match &self.url {
            Some(url) => say!("ready udp={} web={url}{more}", udp.join(",")),
            None => say!("ready udp={}{more}", udp.join(",")),
        }
    }

    /// Waits for the threads after the stop.
    pub(crate) fn end(self) {
        // They look for the stop several times a second; one that failed has said so.
        self.threads.into_iter().for_each(|t| _ = t.join());
        // A page that still plays would remove it when it is through, and the process may end before.
        self.scratch.into_iter().for_each(|dir| _ = std::fs::remove_dir_all(dir));
    }
}

/// Serves the page of a recording until a signal; `addr` is empty where the usual one will do.
pub(crate) fn replay(addr: &str, trace: &Path, beside: Option<Beside>) -> Ended {
    let server = bind((!addr.is_empty()).then_some(addr))?;
    let feed = Replaying::new(trace, beside).map_err(Failure::found)?;
    let stop = crate::stop::on_signal()?;
    let url = format!("http://{}", server.addr());
    let scratch = feed.scratch().to_owned();
    let serving = server.serve(Arc::new(feed), None, stop).map_err(Failure::found)?;
    say!("ready web={url}");
    _ = serving.join();
    _ = std::fs::remove_dir_all(scratch);
    Ok(Outcome::Success)
}

/// Binds what was asked for; where nothing was, the usual address, or a free port where that is taken.
fn bind(addr: Option<&str>) -> Result<Server, Failure> {
    let bound = match addr {
        Some(addr) => Server::bind(addr),
        None => match Server::bind(USUAL) {
            Err(ServeError::Bind(..)) => Server::bind(ANY),
            other => other,
        },
    };
    bound.map_err(Failure::found)
}
