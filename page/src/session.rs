//! One page's replay.
//!
//! What the page shows is the core itself, run again on the recorded inputs; what happened is read from the recorded
//! decisions once, when the page opens. Work that takes long (the timeline, the verification, a comparison) goes on
//! beside the player and is told when it is done.

use crate::chronicle::{Chronicle, seconds};
use crate::hello::{Mode, hello};
use crate::note::Note;
use crate::outlet::{Message, Outlet};
use crate::passes::{Gone, differences, lanes, verified};
use crate::past::read_decisions;
use crate::request::{Of, Request};
use crate::script::test_at;
use crate::snap::Snaps;
use crate::story::story;
use crate::what_if::{Beside, WhatIfs};
use osmose_model::input::Tag;
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs};
use osmose_replay::player::{Landmark, Player, PlayerError};
use osmose_replay::timeline::Timeline;
use osmose_runtime::publish::Picture;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Columns of the timeline.
const BINS: usize = 1200;
/// Commands, gaps and the like that the page is told of; the timeline counts all.
const TOLD_MAX: usize = 6000;
/// Entries of one `events` message.
const TOLD_AT_ONCE: usize = 500;
/// How often a picture goes out while it plays, and while it holds: the page knows by it that the replay is there.
const PLAY_EVERY: Duration = Duration::from_millis(33);
const HOLD_EVERY: Duration = Duration::from_millis(400);
/// Before an instant that is gone to, so much is run on, to have what sensors just saw.
const BEFORE: DurationNs = DurationNs::from_ms(200);

/// What a session plays.
pub(crate) struct Played<'a> {
    pub(crate) path: &'a Path,
    /// What it is called.
    pub(crate) name: String,
    pub(crate) beside: Option<Beside>,
    pub(crate) is_beside_an_engine: bool,
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
pub(crate) struct Session {
    page: Arc<Outlet>,
    path: PathBuf,
    beside: Option<Beside>,
    what_ifs: WhatIfs,
    a: Run,
    b: Option<Run>,
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
    pub(crate) fn open(played: Played<'_>, what_ifs: WhatIfs, page: Arc<Outlet>) -> Result<Self, PlayerError> {
        let Played { path, name, beside, is_beside_an_engine } = played;
        let decided = read_decisions(path)?;
        let a = Run::open("A", path, decided.chronicle)?;
        let (from, to) = a.player.span();
        let mut more = Map::new();
        more.insert("span_s".into(), json!([seconds(from), seconds(to)]));
        more.insert(
            "about".into(),
            json!({"name": name, "digest": decided.digest, "lost": decided.lost, "commands": decided.commands,
            "gaps": {"n": decided.gaps.0, "s": decided.gaps.1}, "caution": a.player.caution()}),
        );
        more.insert("runs".into(), runs(beside.as_ref()));
        more.insert("live".into(), is_beside_an_engine.into());
        page.tell(text(&hello(a.chronicle.names(), Mode::Replay, a.player.last().seq.0, more)));
        let mut session = Self { page, path: path.to_owned(), beside, what_ifs, a, b: None };
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

    pub(crate) fn run(mut self, asked: &Receiver<Request>) -> Result<(), PlayerError> {
        self.show();
        let mut last = Instant::now();
        while !self.page.is_closed() {
            match self.what_ifs.ready() {
                Some(Ok(run)) => self.set_beside(run),
                Some(Err(why)) => self.page.tell(text(&json!({"type": "what_if", "why": why}))),
                None => {}
            }
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
            Request::WhatIf(asked) => {
                if let Err(why) = self.what_ifs.begin(&self.path, &self.a.chronicle.site, &asked, &self.page) {
                    self.page.tell(text(&json!({"type": "what_if", "why": why})));
                }
            }
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

    /// A run that was asked for is there: it takes the place beside the first. One that cannot be shown ends nothing.
    fn set_beside(&mut self, run: Beside) {
        self.beside = Some(run);
        self.tell_runs();
        let why = match self.compare("B") {
            Ok(()) => return,
            Err(PlayerError::Empty(_)) => "Nothing at all happens in this recording then.".to_owned(),
            Err(error) => error.to_string(),
        };
        self.beside = None;
        self.tell_runs();
        self.page.tell(text(&json!({"type": "what_if", "why": why})));
    }

    fn tell_runs(&self) {
        self.page.tell(text(&json!({"type": "runs", "runs": runs(self.beside.as_ref())})));
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

/// What may stand beside the first run, as a page is told of it.
fn runs(beside: Option<&Beside>) -> Value {
    beside.iter().map(|b| json!({"id": "B", "name": b.name})).collect()
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
