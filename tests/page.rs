//! The live page in a real browser: it shows the people that the truth says, tells why a command was sent, obeys keyboard
//! and mouse, draws five hundred people, complains of nothing and asks nobody but this machine; a recording plays on it;
//! a running engine is looked back into; and fifty pages that take nothing in are no matter to the engine.
//!
//! Pictures for the documentation are written with `OSMOSE_PICTURES=1`.

#[path = "page/back.rs"]
mod back;
#[path = "page/browser.rs"]
mod browser;
mod common;
#[path = "page/hands.rs"]
mod hands;
#[path = "page/looks.rs"]
mod looks;

use browser::{Browser, installed};
use common::engine::{Engine, osmose};
use common::job::play;
use common::site::TempSite;
use common::{root, until};
use looks::keep;
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, LogicalNs};
use osmose_model::world::WorldView;
use osmose_replay::player::Player;
use osmose_sensors::sim::{Scenario, Sim};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tungstenite::Message;
use tungstenite::client::IntoClientRequest;

/// One browser and one building at a time: the machine may have two cores.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const SEED: u64 = 7;
/// Somebody is shown where they are when they are shown within this.
const NEAR_M: f64 = 1.5;

/// The address of a running engine's page.
fn web(engine: &Engine) -> String {
    let said = engine.stderr();
    let line = said.lines().find(|l| l.contains("ready ")).expect("it is ready");
    line.split_once("web=").unwrap_or_else(|| panic!("no page in {line:?}")).1.trim().to_owned()
}

fn coworking() -> Arc<Site> {
    let loaded = osmose_load::load_dir(&root().join("examples/coworking"));
    Arc::new(loaded.site.expect("the example is a site"))
}

/// The demo's building again, to know the truth by.
fn building(site: &Site) -> Sim {
    let script = std::fs::read_to_string(root().join("examples/coworking/morning.toml")).expect("the morning");
    Sim::new(site, Scenario::Morning { script }, SEED).expect("the morning is one")
}

#[derive(Debug)]
struct Seen {
    x_m: f64,
    y_m: f64,
    level: String,
}

/// An instant of the page, and whom it shows then.
fn shown(browser: &mut Browser) -> (f64, Vec<Seen>) {
    let told = browser.eval(
        "[osmose.S.t, [...osmose.S.runs.A.tracks.values()].filter((t) => !t.lost).map((t) => [t.x, t.y, t.level])]",
    );
    let one = |t: &Value| Seen {
        x_m: t[0].as_f64().expect("metres"),
        y_m: t[1].as_f64().expect("metres"),
        level: t[2].as_str().expect("a level").to_owned(),
    };
    (told[0].as_f64().expect("an instant"), told[1].as_array().expect("tracks").iter().map(one).collect())
}

/// How many of those who are truly there are shown near where they are, of how many.
fn compare(site: &Site, sim: &mut Sim, at_s: f64, seen: &[Seen]) -> (usize, usize) {
    let at = ArrivalNs((at_s * 1e9) as i64);
    sim.advance(at, &mut |_, _, _, _| {});
    let truth: Vec<_> = sim.truth(at).collect();
    let found = truth.iter().filter(|p| {
        let level = &site.levels[p.place.level.index()].name;
        seen.iter().any(|s| s.level == *level && (s.x_m - p.place.at.x_m).hypot(s.y_m - p.place.at.y_m) < NEAR_M)
    });
    (found.count(), truth.len())
}

#[test]
fn the_running_demo_is_shown_as_it_is_and_says_why_and_so_does_its_recording() {
    let (_alone, Some(program)) = (alone(), installed()) else { return };
    let site = coworking();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let trace = dir.path().join("morning.mcap");
    let trace = trace.to_str().expect("text");
    let seed = SEED.to_string();
    let engine = Engine::demo(&["--seconds", "600", "--seed", &seed, "--web", "127.0.0.1:0", "--record", trace]);
    let mut browser = Browser::start(&program);
    // A small window until there is something to see: the engine has few cores, and drawing needs one.
    browser.show_as(800, 500, 1.0, "dark");
    browser.open(&web(&engine));
    browser.until("people to be shown", "osmose.S.runs.A.tracks.size > 3 && osmose.S.t > 8");

    // Whom it shows is who is there: by the same building, run again in this process.
    let mut sim = building(&site);
    let (mut found, mut there, mut shown_in_all) = (0, 0, 0);
    for look in 0..8 {
        browser.until("the next look", &format!("osmose.S.t > 8 + {look} * 0.5"));
        let (at_s, seen) = shown(&mut browser);
        let (f, t) = compare(&site, &mut sim, at_s, &seen);
        (found, there, shown_in_all) = (found + f, there + t, shown_in_all + seen.len());
    }
    println!("of {there} people truly there in eight looks, {found} shown within {NEAR_M} m; {shown_in_all} shown");
    assert!(there > 0 && found * 10 >= there * 8, "{found} of {there} are shown where they are");
    assert!(shown_in_all * 10 <= there * 13 + 20, "{shown_in_all} are shown, {there} are there");
    let people =
        "document.querySelector('#kpis .kpi b').textContent.split(' ')[0] === String(osmose.S.runs.A.tracks.size)";
    browser.until("the head to tell how many people there are", people);

    // A participant leaves the meeting, and its recording pauses. On a machine that is busy with other tests the building
    // may not know all participants, and does not record: then whatever it did last.
    browser.until("the pause", "osmose.S.t > 45 || osmose.S.events.some((e) => e.rule === 'pause-recording')");
    let rule = browser.text(
        "(osmose.S.events.findLast((e) => e.rule === 'pause-recording') ?? osmose.S.events.findLast((e) => e.kind === \
         'command' && e.engine_us && e.track && e.sensor)).rule",
    );
    // A click on it tells why, from the frame to the device.
    let row = format!("[...document.querySelectorAll('#ledger-rows button')].find((b) => b.textContent === '{rule}')");
    browser.until("its row", &row);
    browser.click_found("row of the command", &row);
    browser.until("its story", "document.querySelector('#story-body .bars')");
    looks::shapes(&mut browser);
    let command = browser.eval("osmose.S.byId.get(osmose.S.sel.id)");
    let story = browser.text("document.querySelector('#story-body').innerText");
    println!("the story of {rule}");
    let of = |what: &str| command[what].as_str().expect("text").to_owned();
    let why = of("why");
    for part in [of("device"), of("rule"), of("sensor"), why[1..].to_owned(), "Engine".to_owned()] {
        assert!(story.contains(&part), "{part}: {story}");
    }
    let is_paused = rule == "pause-recording";
    for part in ["m7.recorder.pause", " left m7", "where p = "] {
        assert!(!is_paused || story.contains(part), "{part}: {story}");
    }
    // A machine that others share may have been late.
    assert!(["budget ", "late by "].iter().any(|told| story.contains(told)), "{story}");
    let took = browser.text(ENGINE_TOOK);

    // So do a person, a room and a device.
    for (kind, pick, part) in [
        ("track", "[...osmose.S.runs.A.tracks.values()].find((t) => t.person).id", "Why we think so"),
        ("zone", "'m7'", if is_paused { "participants: project-x" } else { "ceiling-m7-a" }),
        ("device", "'m7.recorder'", "Safe state"),
        ("device", "'ceiling-m7-a'", "Last frame"),
    ] {
        browser.eval(&format!("osmose.select({{kind: '{kind}', id: {pick}}})"));
        let told = format!(
            "osmose.S.story?.of === '{kind}' && document.querySelector('#story-body').innerText.includes({part:?})"
        );
        browser.until(part, &told);
    }
    hands::keys(&mut browser);
    hands::mouse(&mut browser);
    looks::names_and_contrast(&mut browser);
    looks::focus(&mut browser);
    looks::paper(&mut browser);
    browser.expect_clean();
    engine.stop(Signal::TERM).expect(0);
    recorded(&mut browser, trace, &command, &took);
}

/// What the story of a command says of the engine's time: `Engine 0.212 ms`.
const ENGINE_TOOK: &str = "document.querySelector('#story-body .bars b').textContent";

/// The recording of what was just live: the same command has the same story and took as long; and what would have been.
fn recorded(browser: &mut Browser, trace: &str, command: &Value, took: &str) {
    let engine = Engine::replay(&[trace, "--web", "127.0.0.1:0", "--without", "ceiling-m7-a"]);
    browser.show_as(1440, 900, 1.0, "dark");
    browser.open(&web(&engine));
    browser.until("the recording", "osmose.S.lanes && osmose.S.verified && osmose.S.runs.A.now");
    assert_eq!(browser.eval("osmose.S.verified.ok"), true, "this build decides as it did a moment ago");
    browser.eval(&format!("osmose.select({{kind: 'command', id: {}}})", command["id"]));
    browser.until("its story", "document.querySelector('#story-body .bars')");
    assert_eq!(browser.text(ENGINE_TOOK), took, "it took as long as it did");
    browser.click("#story-body [data-go]");
    browser.until("its moment", &format!("Math.abs(osmose.S.t - {}) < 0.002", command["t_s"]));
    browser.no_mouse();
    browser.eval("document.querySelector('#story').scrollTop = 0");
    browser.settle();
    keep("replay-dark", &browser.picture());

    browser.show_as(1440, 900, 1.0, "light");
    browser.press("Escape");
    browser.click("#compare");
    let both =
        "osmose.S.compare?.list.length && osmose.S.runs.B?.now && osmose.S.runs.B.now.t === osmose.S.runs.A.now.t";
    browser.until("both runs", both);
    assert_eq!(browser.text("osmose.S.compare.name"), "what if: without ceiling-m7-a");
    let from_s = browser.eval("osmose.S.compare.from_s").as_f64().expect("from when on it is a hypothesis");
    assert_eq!(browser.eval("osmose.S.compare.list[0].at_s"), from_s);
    assert_eq!(browser.eval("document.querySelectorAll('.lanes .guess').length"), 1, "the hypothesis is hatched");
    assert_eq!(browser.eval("document.querySelector('#story').scrollTop"), 0, "the list is shown from its beginning");
    browser.no_mouse();
    browser.settle();
    keep("replay-compare", &browser.picture());
    // A difference on the timeline, and one in the list, lead to their moment.
    browser.click(".lanes [data-at] rect");
    browser.until("the moment of the first difference", &format!("Math.abs(osmose.S.t - {from_s}) < 0.002"));
    browser.show_as(390, 844, 1.0, "dark");
    let over = browser.eval("document.documentElement.scrollWidth - innerWidth").as_i64().expect("pixels");
    assert!(over <= 0, "a replay on a phone is {over} px wider than its window");
    browser.click("#compare");
    browser.until("one run", "!osmose.S.compare");
    browser.expect_clean();
    engine.stop(Signal::TERM).expect(0);
}

/// A crowd played to the page through the door that its socket uses: so many people who walk, thirty times a second. Gives
/// frames a second with them and, just before, with nobody; and what the page itself needed for a frame and a snapshot.
const CROWD: &str = "(async (people, seconds) => {
  const s = osmose.S, level = s.level, [x0, y0, x1, y1] = s.plan.levels.find((l) => l.id === level).box;
  const at = (i, t) => [x0 + (x1 - x0) * (0.5 + 0.48 * Math.sin(i * 1.7 + t * (0.05 + (i % 7) * 0.01))), y0 + (y1 - y0) * (0.5 + 0.48 * Math.cos(i * 2.3 + t * (0.04 + (i % 5) * 0.01)))];
  let t = s.t + 1, [took, taken] = [[], []];
  const timed = (list, work) => { const from = performance.now(); work(); list.push(performance.now() - from); };
  const snap = () => {
    t += 1 / 30;
    const tracks = Array.from({ length: people }, (_, i) => { const [x, y] = at(i, t), [u, v] = at(i, t + 1); return [i + 1e6, level, x, y, u - x, v - y, null, 0.2, 0.1, 0.3, i % 3 ? 'person-' + i : null, 0.9, 0, []]; });
    const m = { type: 'snap', t_s: t, utc: null, seq: s.seq, tracks, seen: [['x', t, tracks.slice(0, 400).map((p) => [p[2], p[3], 0]), null]], zones: {}, devices: {}, beams: {} };
    timed(taken, () => osmose.inject(m));
  };
  const rate = async (ms) => { const from = performance.now(), first = osmose.frames(); await new Promise((done) => setTimeout(done, ms)); return (osmose.frames() - first) / ((performance.now() - from) / 1000); };
  const idle = await rate(1000);
  const view = osmose.views[0], frame = view.frame.bind(view);
  view.frame = (now) => timed(took, () => frame(now));
  const timer = setInterval(snap, 1000 / 30), frames = await rate(seconds * 1000);
  clearInterval(timer);
  delete view.frame;
  const of = (list, share) => Math.round(list.sort((a, b) => a - b)[Math.floor(list.length * share)] * 100) / 100;
  return { frames, idle, frame_p50_ms: of(took, 0.5), frame_p99_ms: of(took, 0.99), snap_p50_ms: of(taken, 0.5), n: took.length, shown: s.runs.A.tracks.size };
})";
/// What a page needs for a frame at thirty a second, milliseconds.
const FRAME_MS: f64 = 1000.0 / 30.0;

#[test]
fn five_hundred_people_move_at_thirty_frames_a_second() {
    let (_alone, Some(program)) = (alone(), installed()) else { return };
    let engine = Engine::demo(&["--seconds", "60", "--web", "127.0.0.1:0"]);
    let mut browser = Browser::start(&program);
    browser.show_as(1440, 900, 1.0, "light");
    browser.open(&web(&engine));
    browser.until("the plan", "osmose.S.plan && osmose.S.runs.A.now && osmose.S.stat");
    // The engine's own pictures would put the crowd away: it has done its part.
    drop(engine);
    let told = browser.eval(&format!("({CROWD})(500, 5)"));
    assert_eq!(told["shown"], 500);
    let of = |what: &str| told[what].as_f64().expect("a number");
    // As docs/page.md has them.
    let (p50, p99, snap) = (of("frame_p50_ms"), of("frame_p99_ms"), of("snap_p50_ms"));
    println!(
        "| 500 people who walk: a frame | {p50:.1} ms at the median, {p99:.0} ms at p99; a snapshot takes {snap:.1} ms |"
    );
    println!("| frames a second with them | {:.0}, of {:.0} with nobody there |", of("frames"), of("idle"));
    // What the page itself takes of a frame's time, wherever it runs: a frame, and the snapshot that comes with it.
    let own_ms = of("frame_p50_ms") + of("snap_p50_ms");
    assert!(own_ms <= FRAME_MS / 2.0, "a frame and its snapshot take {own_ms} ms");
    // A machine that has no time for thirty empty frames a second has none for full ones.
    let floor = (of("idle") * 0.8).min(30.0);
    assert!(of("frames") >= floor, "{} frames a second, {} with nobody there", of("frames"), of("idle"));
    looks::still(&mut browser);
}

/// The peer job's ports: events in, commands out.
const EVENTS_IN: u16 = 7801;
const COMMANDS_OUT: u16 = 7802;
const RATE_HZ: f64 = 2000.0;
const JOB_S: f64 = 4.0;
/// More pages than anybody has open at a building.
const STALLED: usize = 50;
/// How often each of them asks for all that happened.
const ASKED: u64 = 2;
/// A page that took in what it was sent would see a picture thirty times a second.
const STALLED_S: f64 = 1.0;

type Socket = tungstenite::WebSocket<tungstenite::stream::MaybeTlsStream<std::net::TcpStream>>;

/// Fifty pages that are as bad as pages can be: each asks again and again for all that happened, and reads nothing.
#[test]
fn fifty_pages_that_take_nothing_in_are_no_matter_to_the_engine() {
    let _alone = alone();
    let (alone, stalled) = (react(0), react(STALLED));
    no_matter(
        ["no page open", &format!("the same with {STALLED} pages open that ask for everything and read nothing")],
        [&alone, &stalled],
    );
}

/// Tells both medians as docs/page.md has them. Fifty writes to sockets at each step, or a replay on its thread, would take
/// at least what the second may be more; a wait for one, seconds.
fn no_matter(rows: [&str; 2], said: [&str; 2]) {
    let p50_us = said.map(|said| -> f64 {
        let (_, rest) = said.split_once("p50 ").expect("a median");
        rest.split(' ').next().and_then(|n| n.parse().ok()).expect("a number of microseconds")
    });
    println!("| kernel to handed over, {} | {:.0} µs at the median |", rows[0], p50_us[0]);
    println!("| {} | {:.0} µs |", rows[1], p50_us[1]);
    let most = 3.0 * p50_us[0] + 300.0;
    assert!(p50_us[1] <= most, "half of the commands take {} us, and {most} are allowed", p50_us[1]);
}

/// Plays the peer job to an engine that has so many pages that never read: every command must come, each once. Gives
/// what the engine says of its own times.
fn react(pages: usize) -> String {
    react_recording("none", pages, 0)
}

/// The same while it records, with pages that look back from a quarter of the job on.
fn react_recording(record: &str, pages: usize, back: usize) -> String {
    let site = TempSite::example("peer-job");
    let devices = site.devices(COMMANDS_OUT);
    let engine = Engine::run(site.path(), &["--state", "none", "--record", record, "--quiet", "--web", "127.0.0.1:0"]);
    let server = web(&engine).replace("http://", "ws://");
    let mut stalled: Vec<_> =
        (0..pages).map(|_| tungstenite::connect(format!("{server}/ws")).expect("a page opens").0).collect();
    let (mut lookers, at) = (Vec::new(), format!("{server}/recording/now"));
    let (events, mut asked) = ((RATE_HZ * JOB_S) as u64, 0);
    let mut played = play(&site.sender(EVENTS_IN), RATE_HZ, events, |played| {
        if lookers.len() < back && played.sent * 4 >= events {
            let at = at.clone();
            lookers.push(std::thread::spawn(move || back::look_back(&at)));
        }
        if played.sent * (ASKED + 1) >= events * (asked + 1) && asked < ASKED {
            asked += 1;
            for page in &mut stalled {
                // One that was dropped for it is the server's good right.
                let _ = page.send(Message::text(r#"{"since":0}"#));
            }
        }
        played.drain(&devices);
        played.expected.len().saturating_sub(played.came.len())
    });
    let looked = lookers.into_iter().map(|l| l.join().expect("no page panics")).filter(|ran| *ran > 0).count();
    assert_eq!(looked, back, "so many pages were played what was recorded, and it again otherwise");
    let ended = engine.stop(Signal::TERM).expect(0);
    // They did stall: read to its end, each lacks pictures.
    let lost = stalled.iter_mut().map(missed_s).filter(|s| *s > STALLED_S).count();
    assert_eq!(lost, pages, "so many of {pages} pages were stalled");
    played.drain(&devices);
    played.assert_each_once();
    assert!(!played.expected.is_empty());
    let said = ended.stderr.lines().find(|l| l.contains("to handed over: p50"));
    said.expect("the engine tells how long it took").to_owned()
}

/// The longest stretch of the job of which a page was shown nothing, seconds, read to its end.
fn missed_s(page: &mut Socket) -> f64 {
    let (mut before, mut longest) = (0.0_f64, 0.0_f64);
    while let Ok(message) = page.read() {
        let Message::Text(text) = message else { continue };
        let Some(rest) = text.strip_prefix(r#"{"type":"snap","t_s":"#) else { continue };
        let at_s: f64 = rest.split(',').next().and_then(|n| n.parse().ok()).expect("an instant");
        longest = longest.max(at_s - before);
        before = at_s;
    }
    longest.max(JOB_S - before)
}

#[test]
fn what_a_page_may_not_say_shuts_it_out_and_nobody_else() {
    let _alone = alone();
    let site = TempSite::example("peer-job");
    let engine = Engine::run(site.path(), &["--state", "none", "--record", "none", "--quiet", "--web", "127.0.0.1:0"]);
    let address = web(&engine).replace("http://", "ws://") + "/ws";
    for bad in [r#"{"do":"act","device":"r1.recorder"}"#.to_owned(), "x".repeat(5000), "{}".to_owned()] {
        let (mut page, _) = tungstenite::connect(&address).expect("a page opens");
        page.send(Message::text(bad)).expect("it is sent");
        until("the page to be shut out", || matches!(page.read(), Ok(Message::Close(_)) | Err(_)).then_some(()));
    }
    // Another site's script, by a name bent to this machine, or from a page of its own.
    for (name, value) in [("host", "building.example"), ("origin", "http://building.example")] {
        let mut request = address.clone().into_client_request().expect("a request");
        request.headers_mut().insert(name, value.parse().expect("a header"));
        let refused = tungstenite::connect(request).expect_err("it is refused").to_string();
        assert!(refused.contains("403"), "{name}: {refused}");
    }
    let (mut page, _) = tungstenite::connect(&address).expect("a page opens still");
    let hello = until("a message", || page.read().ok().and_then(|m| m.into_text().ok()).filter(|t| !t.is_empty()));
    let hello: Value = serde_json::from_str(&hello).expect("JSON");
    assert_eq!((&hello["type"], &hello["mode"]), (&json!("hello"), &json!("live")));
    engine.stop(Signal::TERM).expect(0);
}

/// A recording of the demo's first seconds.
fn record(dir: &Path, name: &str, seed: u64) -> String {
    let path = dir.join(name).to_str().expect("text").to_owned();
    osmose(&["demo", "--headless", "--seconds", "40", "--seed", &seed.to_string(), "--record", &path]).expect(0);
    path
}

/// Whom a player shows at an instant: track, and where.
fn truly(player: &mut Player, at_s: f64) -> BTreeMap<u64, (f64, f64)> {
    player.seek(LogicalNs((at_s * 1e9).round() as i64)).expect("it plays");
    let mut all = BTreeMap::new();
    player.machine().view().for_each_occupant(&mut |o| {
        if o.existence >= 0.5 {
            all.insert(o.track.0, (o.place.at.x_m, o.place.at.y_m));
        }
    });
    all
}

#[test]
fn a_replay_shows_the_people_of_the_time_that_it_is_scrubbed_to() {
    let (_alone, Some(program)) = (alone(), installed()) else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (record(dir.path(), "a.mcap", SEED), record(dir.path(), "b.mcap", SEED + 1));
    // Recordings rotate: the page plays a folder, and shows what the whole recording holds.
    let folder = dir.path().join("2026-03-02T08.30");
    std::fs::create_dir(&folder).expect("a folder");
    for (part, stretch) in [["--to", "19"], ["--from", "19"]].iter().enumerate() {
        let out = folder.join(format!("{part}.mcap"));
        osmose(&["trace", "cut", &a, stretch[0], stretch[1], "-o", out.to_str().expect("text")]).expect(0);
    }
    let engine = Engine::replay(&[folder.to_str().expect("text"), "--web", "127.0.0.1:0", "--beside", &b]);
    let mut browser = Browser::start(&program);
    browser.show_as(1440, 900, 0.9, "dark");
    browser.open(&web(&engine));
    browser.until("the recording", "osmose.S.hello && osmose.S.lanes && osmose.S.runs.A.now");
    let mut player = Player::open(Path::new(&a)).expect("it plays");
    for at_s in [30.0, 8.0, 39.0, 20.0] {
        hands::scrub(&mut browser, at_s);
        let told = browser.eval("[osmose.S.t, [...osmose.S.runs.A.tracks.values()].map((t) => [t.id, t.x, t.y])]");
        let shown: BTreeMap<u64, (f64, f64)> = told[1]
            .as_array()
            .expect("tracks")
            .iter()
            .map(|t| (t[0].as_u64().expect("a number"), (t[1].as_f64().expect("m"), t[2].as_f64().expect("m"))))
            .collect();
        let then = truly(&mut player, told[0].as_f64().expect("an instant"));
        assert!(!then.is_empty(), "somebody is there at {at_s} s");
        assert_eq!(shown.keys().collect::<Vec<_>>(), then.keys().collect::<Vec<_>>(), "at {at_s} s");
        for (track, (x, y)) in &shown {
            let (tx, ty) = then[track];
            assert!((x - tx).hypot(y - ty) < 0.01, "track {track} at {at_s} s");
        }
    }
    println!("scrubbed to four instants: everybody where the core had them");

    hands::playing(&mut browser);
    browser.until("it to be verified", "osmose.S.verified && osmose.S.verified.ok && osmose.S.verified.of > 0");
    browser.until("its timeline", "osmose.S.lanes.rooms.length > 0");
    looks::names_and_contrast(&mut browser);

    // Two runs side by side.
    browser.show_as(1440, 900, 0.9, "light");
    browser.press("Escape");
    browser.press("x");
    browser.until(
        "both runs",
        "osmose.S.compare && osmose.S.runs.B && osmose.S.runs.B.now && osmose.S.compare.list.length > 0",
    );
    hands::scrub(&mut browser, 20.0);
    browser.until("both at one time", "Math.abs(osmose.S.runs.B.now.t - osmose.S.runs.A.now.t) < 0.001");
    let mut other = Player::open(Path::new(&b)).expect("it plays");
    let told = browser.eval("[osmose.S.runs.B.now.t, osmose.S.runs.B.tracks.size]");
    assert_eq!(
        told[1].as_u64(),
        Some(truly(&mut other, told[0].as_f64().expect("an instant")).len() as u64),
        "run B's people"
    );
    browser.press("x");
    browser.until("one run", "!osmose.S.compare");
    browser.expect_clean();
    engine.stop(Signal::TERM).expect(0);
    cut(&mut browser, &folder.join("1.mcap"));
}

/// A part that was cut out of the middle plays from where it begins, and shows those who were in the building already.
fn cut(browser: &mut Browser, part: &Path) {
    let engine = Engine::replay(&[part.to_str().expect("text"), "--web", "127.0.0.1:0"]);
    browser.open(&web(&engine));
    browser.until("the recording", "osmose.S.lanes && osmose.S.runs.A.now && osmose.S.verified");
    let told = browser.eval("[osmose.S.hello.span_s, osmose.S.t, document.querySelector('#lanes').ariaValueMin]");
    let from_s = told[0][0].as_f64().expect("an instant");
    assert!((18.0..20.0).contains(&from_s), "it begins where it was cut: {told}");
    assert!(told[1].as_f64() >= Some(from_s), "{told}");
    assert_eq!(told[2].as_str().and_then(|v| v.parse().ok()), Some(from_s), "{told}");
    let mut player = Player::open(part).expect("it plays");
    for at_s in [from_s + 1.0, from_s + 15.0] {
        hands::scrub(browser, at_s);
        let told = browser.eval("[osmose.S.t, [...osmose.S.runs.A.tracks.keys()].sort((a, b) => a - b)]");
        let then = truly(&mut player, told[0].as_f64().expect("an instant"));
        assert!(!then.is_empty(), "somebody is there at {at_s} s");
        assert_eq!(told[1], json!(then.keys().collect::<Vec<_>>()), "at {at_s} s");
    }
    browser.expect_clean();
    engine.stop(Signal::TERM).expect(0);
}
