//! A running engine looked on.
//!
//! [`LiveTap`] stands at the journal thread: it turns what it is shown into notes and puts them into a bounded channel,
//! counting what does not fit. One thread gathers notes and pictures and makes messages of them, once for all pages.
//! Frames of sensors are many, so they are noted only while a page is open.

use crate::chronicle::Chronicle;
use crate::hello::{Mode, hello, rules};
use crate::note::Note;
use crate::outlet::{Message, Outlet};
use crate::request::Request;
use crate::script::test_at;
use crate::server::{Feed, Visitor};
use crate::snap::{Snaps, instant};
use crate::story::{health_of, story};
use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::ids::SensorId;
use osmose_model::input::Tag;
use osmose_model::observation::ScanBuf;
use osmose_model::site::{Site, SourceFile};
use osmose_model::stages::Refusal;
use osmose_model::time::LogicalNs;
use osmose_model::world::WorldEvent;
use osmose_replay::rulebook::{Rulebook, site_from};
use osmose_runtime::ingress::Reason;
use osmose_runtime::latency::Segment;
use osmose_runtime::latency::exchange::Latencies;
use osmose_runtime::latency::totals::Totals;
use osmose_runtime::publish::{Picture, Pictures};
use osmose_runtime::tap::{Tap, Timing};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Notes on their way from the journal thread at most.
const NOTES_MAX: usize = 16 * 1024;
/// What pages asked and was not answered yet, at most.
const ASKED_MAX: usize = 1024;
/// How often the gathering thread looks while a page is open, and while none is.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const LOOK_SELDOM: Duration = Duration::from_millis(100);
/// Figures go out this often, and with them a whole snapshot.
const STAT_EVERY: Duration = Duration::from_secs(1);
/// Events that a page is told when it opens.
const EVENTS_AT_FIRST: usize = 300;
/// Notes taken in at one look.
const BATCH_MAX: usize = 8 * 1024;

/// What stands in the figures and does not change while the engine runs.
#[derive(Clone, Debug)]
pub struct About {
    /// How it is composed: `fused`, `split`.
    pub topology: String,
    /// Cores that it may use.
    pub cores: usize,
    /// It decides and sends nothing.
    pub dry_run: bool,
    /// What the recording is called that pages may be played; `None` where there is none.
    pub recording: Option<String>,
}

/// The journal thread's end.
pub struct LiveTap {
    site: Arc<Site>,
    notes: SyncSender<Note>,
    is_watched: Arc<AtomicBool>,
    scan: ScanBuf,
    /// Commands of a step whose timing is still to come.
    waiting: Vec<(Tag, Command)>,
    lost: u64,
}

impl LiveTap {
    fn note(&mut self, note: Note) {
        if self.lost > 0 && self.notes.try_send(Note::Lost(self.lost)).is_ok() {
            self.lost = 0;
        }
        if self.notes.try_send(note).is_err() {
            self.lost += 1;
        }
    }

    fn hand_on(&mut self, timing: Option<Timing>) {
        for (tag, command) in std::mem::take(&mut self.waiting) {
            self.note(Note::Command(tag, Box::new(command), timing));
        }
    }
}

impl Tap for LiveTap {
    fn input(&mut self, tag: Tag, canonical: &[u8]) {
        if !self.waiting.is_empty() {
            // Their timing was lost on the way.
            self.hand_on(None);
        }
        if canon::is_observation(canonical) && !self.is_watched.load(Ordering::Relaxed) {
            return;
        }
        let note = match canon::decode_input(canonical, &mut self.scan) {
            Ok(input) => Note::of(&self.site, tag, &input),
            Err(_) => None,
        };
        if let Some(note) = note {
            if let Note::Rules(_, files) = &note {
                self.site = site_from(&self.site, files);
            }
            self.note(note);
        }
    }
    fn event(&mut self, tag: Tag, event: &WorldEvent) {
        self.note(Note::Event(tag, *event));
    }
    fn command(&mut self, tag: Tag, command: &Command) {
        self.waiting.push((tag, command.clone()));
    }
    fn timing(&mut self, _: Tag, timing: Timing) {
        self.hand_on(Some(timing));
    }
    fn gap(&mut self, lost_records: u64) {
        self.note(Note::Lost(lost_records));
    }
    fn finish(&mut self) {
        self.hand_on(None);
    }
}

/// What pages say to the gathering thread.
enum Said {
    Open(Arc<Outlet>),
    Asked(Arc<Outlet>, Request),
}

/// A running engine, as pages are fed from it.
pub struct Live {
    said: SyncSender<Said>,
    is_watched: Arc<AtomicBool>,
}

/// The gathering thread's things, before it runs.
pub struct Gatherer {
    chronicle: Chronicle,
    notes: Receiver<Note>,
    said: Receiver<Said>,
    is_watched: Arc<AtomicBool>,
    about: About,
}

/// A tap for the engine, a feed for the server, and what runs between them.
#[must_use]
pub fn live(site: &Arc<Site>, files: &[SourceFile], about: About) -> (LiveTap, Live, Gatherer) {
    let (note_tx, notes) = sync_channel(NOTES_MAX);
    let (said_tx, said) = sync_channel(ASKED_MAX);
    let is_watched = Arc::new(AtomicBool::new(false));
    let book = Arc::new(Rulebook::new(site, files));
    let tap = LiveTap {
        site: site.clone(),
        notes: note_tx,
        is_watched: is_watched.clone(),
        scan: ScanBuf::new(),
        waiting: Vec::new(),
        lost: 0,
    };
    let gatherer =
        Gatherer { chronicle: Chronicle::new(site.clone(), book), notes, said, is_watched: is_watched.clone(), about };
    (tap, Live { said: said_tx, is_watched }, gatherer)
}

impl Feed for Live {
    fn open(&self, page: Arc<Outlet>, _: Option<f64>) -> Box<dyn Visitor> {
        self.is_watched.store(true, Ordering::Relaxed);
        if self.said.try_send(Said::Open(page.clone())).is_err() {
            page.close();
        }
        Box::new(Guest { page, said: self.said.clone() })
    }
}

struct Guest {
    page: Arc<Outlet>,
    said: SyncSender<Said>,
}

impl Visitor for Guest {
    fn asked(&mut self, request: Request) {
        if self.said.try_send(Said::Asked(self.page.clone(), request)).is_err() {
            self.page.close();
        }
    }
}

/// What the gathering thread holds while it runs.
struct Gathering {
    chronicle: Chronicle,
    pictures: Pictures,
    latencies: Latencies,
    pages: Vec<Arc<Outlet>>,
    snaps: Snaps,
    about: About,
    /// Events not sent yet.
    news: Vec<Value>,
}

impl Gatherer {
    /// Pages are told what they may be played.
    pub fn recording(&mut self, name: String) {
        self.about.recording = Some(name);
    }

    /// Gathers on a thread of its own until `stop` is set or the engine is gone.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn run(
        self,
        pictures: Pictures,
        latencies: Latencies,
        stop: Arc<AtomicBool>,
    ) -> std::io::Result<JoinHandle<()>> {
        let gather = move || self.gather(pictures, latencies, &stop);
        std::thread::Builder::new().name("osmose-gather".into()).spawn(gather)
    }

    fn gather(self, pictures: Pictures, latencies: Latencies, stop: &AtomicBool) {
        let Self { chronicle, notes, said, is_watched, about } = self;
        let snaps = Snaps::default();
        let (pages, news) = (Vec::new(), Vec::new());
        let mut all = Gathering { chronicle, pictures, latencies, pages, snaps, about, news };
        let mut stat_at = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            for note in notes.try_iter().take(BATCH_MAX) {
                let is_rules = matches!(note, Note::Rules(..));
                all.news.extend(all.chronicle.take(note));
                if is_rules {
                    all.tell_rules();
                }
            }
            for said in said.try_iter() {
                match said {
                    Said::Open(page) => all.open(page),
                    Said::Asked(page, request) => all.answer(&page, request),
                }
            }
            all.pages.retain(|p| !p.is_closed());
            is_watched.store(!all.pages.is_empty(), Ordering::Relaxed);
            if all.pages.is_empty() {
                all.news.clear();
                // Whoever comes next is shown how things are, not how they were when somebody last looked.
                all.pictures.look();
                std::thread::sleep(LOOK_SELDOM);
                continue;
            }
            let is_second = stat_at.elapsed() >= STAT_EVERY;
            if is_second {
                stat_at = Instant::now();
            }
            all.tell(is_second);
            std::thread::sleep(LOOK_EVERY);
        }
        all.pages.iter().for_each(|p| p.close());
    }
}

impl Gathering {
    fn open(&mut self, page: Arc<Outlet>) {
        self.pictures.look();
        let picture = self.pictures.now();
        let mut more = Map::new();
        let offset = picture.wall.map_or(0.0, |w| w.offset.0 as f64 / 1e9);
        more.insert("utc_offset_s".into(), offset.into());
        more.insert("topology".into(), self.about.topology.clone().into());
        more.insert("cores".into(), self.about.cores.into());
        more.insert("dry_run".into(), self.about.dry_run.into());
        more.insert("recording".into(), self.about.recording.clone().into());
        page.tell(text(&hello(self.chronicle.names(), Mode::Live, picture.tag.seq.0, more)));
        // What is not sent yet comes with the others', and is in the chronicle already.
        page.tell(text(&self.chronicle.last(EVENTS_AT_FIRST)));
        let whole = Snaps::default().write(self.chronicle.names(), picture, &BTreeMap::new(), true);
        page.snap(whole.into());
        page.stat(text(&self.stat()));
        self.send_news();
        self.pages.push(page);
    }

    fn answer(&self, page: &Outlet, request: Request) {
        match request {
            Request::Story { of, id } => page.tell(text(&story(of, &id, &self.chronicle, self.pictures.now()))),
            Request::Since(seq) => {
                let newest = self.pictures.now().tag.seq.0;
                let gap = || json!({"type": "gap", "from": seq, "to": newest});
                page.tell(text(&self.chronicle.since(seq).unwrap_or_else(gap)));
            }
            Request::Test(at_s) => {
                let at = LogicalNs((at_s * 1e9) as i64);
                let told = test_at(at, &self.chronicle)
                    .unwrap_or_else(|| "# Nothing is remembered of this moment.\n".to_owned());
                page.tell(text(&json!({"type": "test", "text": told})));
            }
            // What only a replay can do is not asked of a running engine by the page that it serves.
            _ => {}
        }
    }

    fn tell_rules(&self) {
        let message = text(&json!({"type": "rules", "rules": rules(self.chronicle.names())}));
        self.pages.iter().for_each(|p| p.tell(message.clone()));
    }

    fn send_news(&mut self) {
        if self.news.is_empty() {
            return;
        }
        let message = text(&json!({"type": "events", "list": std::mem::take(&mut self.news)}));
        self.pages.iter().for_each(|p| p.tell(message.clone()));
    }

    fn tell(&mut self, is_second: bool) {
        if self.pictures.look() || is_second {
            self.news.extend(self.chronicle.denied(self.pictures.now()));
            let seen = std::mem::take(&mut self.chronicle.seen);
            let message = self.snaps.write(self.chronicle.names(), self.pictures.now(), &seen, is_second);
            // A sensor's last word is kept for its story.
            self.chronicle.seen = seen;
            let message: Message = message.into();
            self.pages.iter().for_each(|p| p.snap(message.clone()));
        }
        self.send_news();
        if is_second {
            let message = text(&self.stat());
            self.pages.iter().for_each(|p| p.stat(message.clone()));
        }
    }

    fn stat(&mut self) -> Value {
        let picture = self.pictures.now();
        let book = self.chronicle.book.clone();
        let mut stat = self.chronicle.latency.tell(instant(picture), |rule| book.name(rule));
        let more = figures(&self.chronicle, picture, &self.about, &self.latencies);
        if let (Some(stat), Value::Object(more)) = (stat.as_object_mut(), more) {
            stat.extend(more);
            stat.insert("inputs_us".into(), inputs(&self.latencies));
        }
        stat
    }
}

/// Every input since the engine started, taken by the kernel to done with: most decide nothing, and show the floor.
fn inputs(latencies: &Latencies) -> Value {
    let all = latencies.with(|t| t.over_all(Segment::Whole));
    let us = |ns: u64| (ns as f64 / 100.0).round() / 10.0;
    let at = |quantile| (all.count() > 0).then(|| us(all.at(quantile)));
    json!({"p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": us(all.max_ns()), "n": all.count()})
}

/// The part of a `stat` message that tells of sensors, drops and refusals.
fn figures(chronicle: &Chronicle, picture: &Picture, about: &About, latencies: &Latencies) -> Value {
    let names = chronicle.names();
    let mut sensors = Map::new();
    for i in 0..names.site.sensors.len() {
        let id = SensorId(i as u16);
        let (state, why) = health_of(id, names, picture);
        if state != "ok" {
            let rate = picture.sensors.get(i).map_or(0.0, |s| s.status.health.rate_hz);
            sensors.insert(names.sensor(id).to_owned(), json!([state, why, (rate * 10.0).round() / 10.0]));
        }
    }
    let mut refused = chronicle.refused.clone();
    for (why, n) in Refusal::ALL.iter().zip(picture.stats.refused).filter(|(_, n)| *n > 0) {
        let name = match why {
            Refusal::NotPlausible => "not_plausible",
            Refusal::KindNotUsed => "kind_not_used",
            Refusal::TracksFull => "tracks_full",
            Refusal::LateDegraded => "late_degraded",
        };
        *refused.entry(name).or_default() += n;
    }
    // What the edge took all the same is no refusal, and is shown as a remark.
    let mut remarked: BTreeMap<&str, u64> = BTreeMap::new();
    // What came too late or never is in the log as well, and counted by it.
    let noticed = latencies.with(Totals::tally);
    for (reason, n) in noticed.noticed().filter(|(r, _)| !matches!(r, Reason::TooLate | Reason::Missing)) {
        let list = if reason.is_remark() { &mut remarked } else { &mut refused };
        *list.entry(reason.as_str()).or_default() += n;
    }
    let off: Vec<Value> = picture
        .rules_off
        .iter()
        .map(|(rule, until)| json!({"rule": names.book.name(*rule), "until_s": crate::chronicle::seconds(*until)}))
        .collect();
    json!({"type": "stat", "window_s": crate::latency::WINDOW_S, "sensors": sensors, "refused": refused, "remarked": remarked,
        "drops": {"state_replaced": chronicle.replaced, "full": chronicle.dropped, "shed": picture.stats.shed,
            "page": chronicle.lost, "people_beyond": picture.people_beyond},
        "rules_off": off, "inputs": picture.stats.inputs, "commands": picture.stats.commands,
        "topology": about.topology, "cores": about.cores, "dry_run": about.dry_run})
}

fn text(value: &Value) -> Message {
    value.to_string().into()
}
