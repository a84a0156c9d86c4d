//! A recording played on the page: every page has a player of its own, on a thread of its own.
//!
//! What the page shows is the core itself, run again on the recorded inputs; what happened is read from the recorded
//! decisions once, when the page opens. Work that takes long (the timeline, the verification, a comparison) goes on
//! beside the player and is told when it is done.

use crate::chronicle::{Chronicle, seconds};
use crate::hello::{Mode, hello};
use crate::note::Note;
use crate::outlet::{Message, Outlet};
use crate::passes::{Gone, differences, lanes, verified};
use crate::request::{Of, Request};
use crate::script::test_at;
use crate::server::{Feed, Visitor};
use crate::snap::Snaps;
use crate::story::story;
use osmose_model::input::Tag;
use osmose_model::observation::ScanBuf;
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs};
use osmose_replay::player::{Landmark, Player, PlayerError};
use osmose_replay::timeline::Timeline;
use osmose_replay::trace::codec::{self, RECORDER_LOST, Record};
use osmose_replay::trace::recording::{Items, Recording};
use osmose_runtime::publish::Picture;
use osmose_runtime::tap::Timing;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Pages of one recording at once: each runs a core.
pub const PAGES_MAX: usize = 8;
/// Columns of the timeline.
const BINS: usize = 1200;
/// Commands, gaps and the like that the page is told of; the timeline counts all.
const TOLD_MAX: usize = 6000;
/// Events that stories are told from: the newest of the recording.
const REMEMBERED_MAX: usize = 50_000;
/// Entries of one `events` message.
const TOLD_AT_ONCE: usize = 500;
/// How often a picture goes out while it plays, and while it holds: the page knows by it that the replay is there.
const PLAY_EVERY: Duration = Duration::from_millis(33);
const HOLD_EVERY: Duration = Duration::from_millis(400);
/// What a page asked and was not done yet, at most.
const ASKED_MAX: usize = 64;
/// Before an instant that is gone to, so much is run on, to have what sensors just saw.
const BEFORE: DurationNs = DurationNs::from_ms(200);

/// The hops of a step that sent commands, as a recording names them, in their order.
const HOPS: [&str; 4] = ["kernel to read", "read to step", "step", "step to sent"];

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

/// A recording, as pages are fed from it.
pub struct Replaying {
    path: PathBuf,
    beside: Option<Beside>,
    open: Arc<AtomicUsize>,
}

impl Replaying {
    /// A trace or a folder of them; opened once to see that it can be played.
    ///
    /// # Errors
    /// [`PlayerError`].
    pub fn new(path: &Path, beside: Option<Beside>) -> Result<Self, PlayerError> {
        Player::open(path)?;
        if let Some(beside) = &beside {
            Player::open(&beside.path)?;
        }
        Ok(Self { path: path.to_owned(), beside, open: Arc::default() })
    }
}

impl Feed for Replaying {
    fn open(&self, page: Arc<Outlet>) -> Box<dyn Visitor> {
        let (said, asked) = sync_channel(ASKED_MAX);
        let (path, beside, open) = (self.path.clone(), self.beside.clone(), self.open.clone());
        let mine = open.fetch_add(1, Ordering::Relaxed);
        let of_page = page.clone();
        let play = move || {
            if mine < PAGES_MAX {
                if let Err(error) = Session::open(&path, beside, of_page.clone()).and_then(|s| s.run(&asked)) {
                    of_page.tell(text(&json!({"type": "failed", "why": error.to_string()})));
                }
            } else {
                of_page.tell(text(
                    &json!({"type": "failed", "why": "As many pages as there may be play this recording."}),
                ));
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

/// One run that is shown.
struct Run {
    name: &'static str,
    player: Player,
    chronicle: Chronicle,
    picture: Picture,
    snaps: Snaps,
}

/// One page's replay.
struct Session {
    page: Arc<Outlet>,
    path: PathBuf,
    beside: Option<Beside>,
    a: Run,
    b: Option<Run>,
}

/// What a pass over the decisions found.
struct Decided {
    chronicle: Chronicle,
    digest: Option<String>,
    gaps: (u64, f64),
    lost: u64,
    commands: u64,
}

impl Run {
    fn open(name: &'static str, path: &Path, chronicle: Chronicle) -> Result<Self, PlayerError> {
        let player = Player::open(path)?;
        let picture = Picture::new(player.site());
        Ok(Self { name, player, chronicle, picture, snaps: Snaps::default() })
    }

    /// Goes to an instant, and sees what sensors saw just before it.
    fn seek(&mut self, to: LogicalNs) -> Result<(), PlayerError> {
        self.chronicle.seen.clear();
        self.player.seek(to.minus(BEFORE))?;
        self.advance(to)
    }

    fn advance(&mut self, to: LogicalNs) -> Result<(), PlayerError> {
        let Self { player, chronicle, .. } = self;
        player.advance(to, &mut |s| see(chronicle, s.tag, &s.input))?;
        Ok(())
    }

    fn tick(&mut self, elapsed: Duration) -> Result<(), PlayerError> {
        let Self { player, chronicle, .. } = self;
        player.tick(elapsed, &mut |s| see(chronicle, s.tag, &s.input))?;
        Ok(())
    }

    fn show(&mut self, page: &Outlet) {
        let at = ArrivalNs(self.player.now().0);
        self.picture.take_whole(self.player.machine(), at);
        // A snapshot of a replay is whole: it may be of any instant.
        let mut snap = self.snaps.write(self.chronicle.names(), &self.picture, &self.chronicle.seen, true);
        snap.truncate(snap.len() - 1);
        snap += &format!(",\"run\":\"{}\",\"known\":{}}}", self.name, self.player.is_known());
        if self.name == "A" { page.snap(snap.into()) } else { page.snap_b(snap.into()) }
    }
}

/// Remembers what a sensor just saw.
fn see(chronicle: &mut Chronicle, tag: Tag, input: &osmose_model::input::Input<'_>) {
    if input.observation().is_some()
        && let Some(note) = Note::of(&chronicle.site, tag, input)
    {
        chronicle.take(note);
    }
}

impl Session {
    fn open(path: &Path, beside: Option<Beside>, page: Arc<Outlet>) -> Result<Self, PlayerError> {
        let decided = read_decisions(path)?;
        let a = Run::open("A", path, decided.chronicle)?;
        let (from, to) = a.player.span();
        let mut more = Map::new();
        let name = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
        more.insert("span_s".into(), json!([seconds(from), seconds(to)]));
        more.insert(
            "about".into(),
            json!({"name": name, "digest": decided.digest, "lost": decided.lost, "commands": decided.commands,
            "gaps": {"n": decided.gaps.0, "s": decided.gaps.1}, "caution": a.player.caution()}),
        );
        let runs: Vec<Value> = beside.iter().map(|b| json!({"id": "B", "name": b.name})).collect();
        more.insert("runs".into(), runs.into());
        page.tell(text(&hello(a.chronicle.names(), Mode::Replay, a.player.last().seq.0, more)));
        let mut session = Self { page, path: path.to_owned(), beside, a, b: None };
        session.tell_past();
        session.verify();
        Ok(session)
    }

    /// The commands and gaps of the recording, in pieces; the newest where there are more than are told.
    fn tell_past(&self) {
        let kinds = ["command", "gap", "shed", "operator", "rules"];
        let of_interest = |e: &&Value| e["kind"].as_str().is_some_and(|k| kinds.contains(&k));
        let all: Vec<&Value> = self.a.chronicle.events().map(|t| &t.entry).filter(of_interest).collect();
        let from = all.len().saturating_sub(TOLD_MAX);
        for piece in all[from..].chunks(TOLD_AT_ONCE) {
            self.page.tell(text(&json!({"type": "events", "past": true, "list": piece})));
        }
    }

    fn run(mut self, asked: &Receiver<Request>) -> Result<(), PlayerError> {
        self.show();
        let mut last = Instant::now();
        while !self.page.is_closed() {
            let is_playing = self.a.player.speed() > 0.0;
            let patience = if is_playing { PLAY_EVERY.saturating_sub(last.elapsed()) } else { HOLD_EVERY };
            match asked.recv_timeout(patience) {
                Ok(request) => {
                    let (request, then) = newest(request, || asked.try_recv().ok());
                    self.answer(request)?;
                    then.map_or(Ok(()), |then| self.answer(then))?;
                    if !is_playing {
                        last = Instant::now();
                    }
                    self.show();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if is_playing {
                let elapsed = last.elapsed();
                last = Instant::now();
                self.a.tick(elapsed)?;
                let now = self.a.player.now();
                if let Some(b) = &mut self.b {
                    b.advance(now)?;
                }
                if self.a.player.speed() == 0.0 {
                    self.tell_pace();
                }
            } else {
                last = Instant::now();
            }
            self.show();
        }
        Ok(())
    }

    fn show(&mut self) {
        self.a.show(&self.page);
        if let Some(b) = &mut self.b {
            b.show(&self.page);
        }
    }

    fn tell_pace(&self) {
        let player = &self.a.player;
        let behind_s = player.behind().0 as f64 / 1e9;
        self.page.tell(text(&json!({"type": "play", "speed": player.speed(), "behind_s": behind_s})));
    }

    fn answer(&mut self, request: Request) -> Result<(), PlayerError> {
        match request {
            Request::Story { of, id } => self.tell_story(of, &id),
            Request::Seek(t) => self.seek(LogicalNs((t * 1e9).round() as i64))?,
            Request::Speed(speed) => {
                if speed > 0.0 && self.a.player.now() >= self.a.player.span().1 {
                    let from = self.a.player.span().0;
                    self.seek(from)?;
                }
                self.a.player.play(speed);
                self.tell_pace();
            }
            Request::Step(n) => self.landmark(Landmark::Scan, n)?,
            Request::Event(n) => self.landmark(Landmark::Event, n)?,
            Request::Lanes => self.lanes(),
            Request::Compare(id) => self.compare(&id)?,
            Request::Test(t) => {
                let told = test_at(LogicalNs((t * 1e9) as i64), &self.a.chronicle);
                let told = told.unwrap_or_else(|| "# Nothing is remembered of this moment.\n".to_owned());
                self.page.tell(text(&json!({"type": "test", "text": told})));
            }
            Request::Since(seq) => {
                if let Some(events) = self.a.chronicle.since(seq) {
                    self.page.tell(text(&events));
                }
            }
        }
        Ok(())
    }

    fn seek(&mut self, to: LogicalNs) -> Result<(), PlayerError> {
        self.a.seek(to)?;
        if let Some(b) = &mut self.b {
            b.seek(to)?;
        }
        Ok(())
    }

    /// To the next scans or events, or back.
    fn landmark(&mut self, landmark: Landmark, n: i64) -> Result<(), PlayerError> {
        self.a.player.pause();
        for _ in 0..n.unsigned_abs().min(100) {
            if n > 0 {
                self.a.player.forward(landmark)?
            } else {
                self.a.player.backward(landmark)?
            };
        }
        let now = self.a.player.now();
        self.seek(now)?;
        self.tell_pace();
        Ok(())
    }

    /// From what is remembered at once; a command's chain to its sensors' frames follows, since it is read from the file.
    fn tell_story(&self, of: Of, id: &str) {
        self.page.tell(text(&story(of, id, &self.a.chronicle, &self.a.picture)));
        if of != Of::Command {
            return;
        }
        let mut told = story(of, id, &self.a.chronicle, &self.a.picture);
        let (path, id, page) = (self.path.clone(), id.to_owned(), self.page.clone());
        beside("osmose-why", move || {
            if let Ok(found) = osmose_replay::story::command(&path, &id)
                && let Some(fields) = told.as_object_mut()
            {
                fields.insert("answer".into(), json!(found.answer));
                fields.insert("caution".into(), json!(found.caution));
                page.tell(text(&told));
            }
        });
    }

    fn lanes(&self) {
        let (path, page, site) = (self.path.clone(), self.page.clone(), self.a.chronicle.site.clone());
        beside("osmose-lanes", move || match Timeline::read(&path, BINS, &mut Gone(&page)) {
            Ok(timeline) => page.tell(text(&lanes(&timeline, &site))),
            Err(error) => page.tell(text(&json!({"type": "failed", "why": error.to_string()}))),
        });
    }

    fn verify(&mut self) {
        let (path, page) = (self.path.clone(), self.page.clone());
        beside("osmose-verify", move || page.tell(text(&verified(&path, &page))));
    }

    fn compare(&mut self, id: &str) -> Result<(), PlayerError> {
        let Some(other) = self.beside.clone().filter(|_| !id.is_empty()) else {
            self.b = None;
            self.page.tell(text(&json!({"type": "compare"})));
            return Ok(());
        };
        let decided = read_decisions(&other.path)?;
        let mut b = Run::open("B", &other.path, decided.chronicle)?;
        b.seek(self.a.player.now())?;
        let events: Vec<Value> =
            b.chronicle.events().filter(|t| t.command.is_some()).map(|t| t.entry.clone()).collect();
        for piece in events.chunks(TOLD_AT_ONCE) {
            self.page.tell(text(&json!({"type": "events", "past": true, "run": "B", "list": piece})));
        }
        self.b = Some(b);
        let (path, page) = (self.path.clone(), self.page.clone());
        beside("osmose-compare", move || page.tell(text(&differences(&path, &other))));
        Ok(())
    }
}

/// Where several instants were asked for in a row, the last is gone to: a hand on the playhead is faster than a core.
/// Beside it what was asked behind them, and is to be answered too.
fn newest(first: Request, mut next: impl FnMut() -> Option<Request>) -> (Request, Option<Request>) {
    let mut newest = first;
    while matches!(newest, Request::Seek(_)) {
        match next() {
            Some(seek @ Request::Seek(_)) => newest = seek,
            other => return (newest, other),
        }
    }
    (newest, None)
}

/// Does something beside the player, which must not wait for it.
fn beside(name: &str, work: impl FnOnce() + Send + 'static) {
    // Where the system gives no thread, the page lacks what it would have told.
    let _ = std::thread::Builder::new().name(name.to_owned()).spawn(work);
}

/// Reads what was decided: events, commands with their times, gaps, and the last digest.
fn read_decisions(path: &Path) -> Result<Decided, PlayerError> {
    let mut recording = Recording::open(path)?;
    let player = Player::open(path)?;
    let book = Arc::new(player.rulebook().clone());
    let chronicle = Chronicle::with_room(player.site().clone(), book, REMEMBERED_MAX);
    let mut all = Decided { chronicle, digest: None, gaps: (0, 0.0), lost: 0, commands: 0 };
    let mut scan = ScanBuf::new();
    let mut waiting: Vec<(Tag, Box<osmose_model::command::Command>)> = Vec::new();
    let (mut tag, mut hops) = (Tag::default(), [0; HOPS.len()]);
    while let Some(item) = recording.next_item()? {
        let osmose_replay::trace::read::Item::Record(raw) = item else { continue };
        let Ok(record) = codec::decode(&raw, &mut scan) else { continue };
        match record {
            Record::Input { tag: next, input } => {
                hand_on(&mut all.chronicle, &mut waiting, std::mem::take(&mut hops));
                tag = next;
                if input.observation().is_none()
                    && let Some(note) = Note::of(&all.chronicle.site, tag, &input)
                {
                    if let Note::Gap(_, gap) = &note {
                        all.gaps = (all.gaps.0 + 1, all.gaps.1 + tag.at.since(gap.from).as_s_f64());
                    }
                    all.chronicle.take(note);
                }
            }
            Record::Event { tag, event } => _ = all.chronicle.take(Note::Event(tag, event)),
            Record::Command(command) => {
                all.commands += 1;
                waiting.push((tag, command));
            }
            Record::Latency(latency) if latency.count == 1 => {
                if let Some(hop) = HOPS.iter().position(|h| *h == latency.hop) {
                    hops[hop] = i64::try_from(latency.max_ns).unwrap_or(0);
                }
            }
            Record::Digest { decision, .. } => all.digest = Some(decision.to_string()),
            Record::Counter(counter) if counter.reason == RECORDER_LOST => all.lost += counter.count,
            _ => {}
        }
    }
    hand_on(&mut all.chronicle, &mut waiting, hops);
    Ok(all)
}

/// Commands of an input, once it is known how long they took: a recording holds the length of each hop and no instants.
fn hand_on(
    chronicle: &mut Chronicle,
    waiting: &mut Vec<(Tag, Box<osmose_model::command::Command>)>,
    hops_ns: [i64; HOPS.len()],
) {
    for (tag, command) in waiting.drain(..) {
        let mut at = ArrivalNs(tag.at.0);
        let received = at;
        let [read, step_start, step_end, sent] = hops_ns.map(|ns| {
            at = ArrivalNs(at.0.saturating_add(ns));
            at
        });
        let timing = (sent > received).then_some(Timing { received, read, step_start, step_end, sent });
        chronicle.take(Note::Command(tag, command, timing));
    }
}

fn text(value: &Value) -> Message {
    value.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_instants_asked_in_a_row_the_last_is_gone_to_and_what_came_behind_them_is_not_lost() {
        let ask = |all: Vec<Request>| {
            let mut all = all.into_iter();
            let first = all.next().expect("one at least");
            (newest(first, || all.next()), all.count())
        };
        use Request::{Seek, Speed, Step};
        assert_eq!(ask(vec![Seek(1.0), Seek(2.0), Seek(3.0)]), ((Seek(3.0), None), 0));
        assert_eq!(ask(vec![Seek(1.0), Seek(2.0), Speed(1.0), Seek(3.0)]), ((Seek(2.0), Some(Speed(1.0))), 1));
        assert_eq!(ask(vec![Step(1), Seek(2.0)]), ((Step(1), None), 1));
    }
}
