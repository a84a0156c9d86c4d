//! The live page in a real browser: it shows the people that the truth says, tells why a command was sent, draws five
//! hundred people, complains of nothing and asks nobody but this machine; and fifty pages that take nothing in are no
//! matter to the engine.
//!
//! Pictures for the documentation are written with `OSMOSE_PICTURES=1`.

#[path = "page/browser.rs"]
mod browser;
mod common;

use browser::{Browser, installed};
use common::engine::{Engine, osmose};
use common::job::play;
use common::site::TempSite;
use common::until;
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, LogicalNs};
use osmose_model::world::WorldView;
use osmose_replay::player::Player;
use osmose_sensors::sim::{Scenario, Sim};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
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

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The address of a running engine's page.
fn web(engine: &Engine) -> String {
    let said = engine.stderr();
    let line = said.lines().find(|l| l.contains("ready ")).expect("it is ready");
    line.split_once("web=").unwrap_or_else(|| panic!("no page in {line:?}")).1.trim().to_owned()
}

fn demo(seconds: &str) -> Engine {
    Engine::demo(&["--seconds", seconds, "--seed", &SEED.to_string(), "--web", "127.0.0.1:0"])
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
fn the_running_demo_is_shown_as_it_is_and_says_why() {
    let (_alone, Some(program)) = (alone(), installed()) else { return };
    let site = coworking();
    let engine = demo("600");
    let mut browser = Browser::start(&program);
    browser.show_as(1440, 900, 1.0, "dark");
    browser.open(&web(&engine));
    browser.until("people to be shown", "osmose.S.runs.A.tracks.size > 3 && osmose.S.t > 8");

    // Whom it shows is who is there: by the same building, run again in this process.
    let mut sim = building(&site);
    let (mut found, mut there, mut shown_in_all) = (0, 0, 0);
    for _ in 0..8 {
        let (at_s, seen) = shown(&mut browser);
        let (f, t) = compare(&site, &mut sim, at_s, &seen);
        (found, there, shown_in_all) = (found + f, there + t, shown_in_all + seen.len());
        std::thread::sleep(Duration::from_millis(400));
    }
    println!("of {there} people truly there in eight looks, {found} shown within {NEAR_M} m; {shown_in_all} shown");
    assert!(there > 0 && found * 10 >= there * 8, "{found} of {there} are shown where they are");
    assert!(shown_in_all * 10 <= there * 13 + 20, "{shown_in_all} are shown, {there} are there");
    assert_eq!(
        browser
            .text("document.querySelector('#kpis .kpi b').textContent")
            .split(' ')
            .next()
            .map(str::parse::<usize>)
            .map(|n| n.is_ok()),
        Some(true)
    );

    // A click on a command tells why.
    browser.until("a command", "document.querySelector('#ledger-rows tr')");
    browser.click("#ledger-rows tr button");
    browser.until("its story", "document.querySelector('#story-body .chain')");
    let story = browser.text("document.querySelector('#story-body').innerText");
    let command: Value = browser.eval("osmose.S.byId.get(osmose.S.sel.id)");
    let (rule, device) = (command["rule"].as_str().unwrap_or("?"), command["device"].as_str().unwrap_or("?"));
    assert!(story.contains(device) && story.contains(rule), "{story}");
    assert!(browser.text("document.querySelector('#story-body .lead').textContent").len() > 5, "a reason: {story}");

    // So do a person, a room and a device.
    for (kind, pick) in [
        ("track", "[...osmose.S.runs.A.tracks.keys()][0]"),
        ("zone", "osmose.S.plan.units[0].id"),
        ("device", "osmose.S.plan.devices[0].id"),
    ] {
        browser.eval(&format!("osmose.select({{kind: '{kind}', id: {pick}}})"));
        browser.until(
            "the story",
            &format!("osmose.S.story && osmose.S.story.of === '{kind}' && document.querySelector('#story-body dl')"),
        );
    }
    keys(&mut browser);
    names(&mut browser);
    shapes(&mut browser);
    browser.expect_clean();
}

/// Widths and heights that PAGE's layouts are for, with the theme that each is shown in.
const SHAPES: [(&str, u32, u32, f64, &str); 5] = [
    ("live-dark", 1440, 900, 0.9, "dark"),
    ("live-light", 1440, 900, 0.9, "light"),
    ("live-phone", 390, 844, 1.5, "light"),
    ("live-wall", 3840, 2160, 0.4, "dark"),
    ("live-tablet", 900, 1200, 0.9, "light"),
];
/// A picture in the documentation is no larger.
const PICTURE_BYTES_MAX: usize = 300_000;

/// The page in every shape: nothing hangs over the window's edge. The pictures are kept where they are asked for.
fn shapes(browser: &mut Browser) {
    for (name, width, height, dense, theme) in SHAPES {
        browser.show_as(width, height, dense, theme);
        browser.eval("new Promise((r) => setTimeout(r, 700))");
        let over = browser.eval("document.documentElement.scrollWidth - innerWidth").as_i64().expect("pixels");
        assert!(over <= 0, "{name}: the page is {over} px wider than its window");
        keep(name, &browser.picture());
    }
    browser.show_as(1440, 900, 1.0, "dark");
}

/// Writes a picture for the documentation with `OSMOSE_PICTURES=1`, and else only looks at its size.
fn keep(name: &str, png: &[u8]) {
    assert!(png.starts_with(b"\x89PNG"), "{name} is no picture");
    println!("{name}: {} bytes", png.len());
    assert!(png.len() < PICTURE_BYTES_MAX, "{name} has {} bytes", png.len());
    if std::env::var_os("OSMOSE_PICTURES").is_some_and(|v| v == "1") {
        let dir = root().join("docs/img");
        std::fs::create_dir_all(&dir).expect("a folder");
        std::fs::write(dir.join(format!("{name}.png")), png).expect("written");
    }
}

/// The keyboard does what the map of it says.
fn keys(browser: &mut Browser) {
    browser.press("Escape");
    assert_eq!(browser.eval("osmose.S.sel"), Value::Null);
    for (key, kind) in [("p", "track"), ("r", "zone"), ("d", "device"), ("c", "command")] {
        browser.press(key);
        assert_eq!(browser.text("osmose.S.sel.kind"), kind, "{key}");
    }
    let level = browser.text("osmose.S.level");
    browser.press("2");
    assert_ne!(browser.text("osmose.S.level"), level);
    browser.press("1");
    assert_eq!(browser.text("osmose.S.level"), level);
    let theme = "getComputedStyle(document.documentElement).getPropertyValue('--bg')";
    let before = browser.text(theme);
    browser.press("t");
    assert_ne!(browser.text(theme), before, "T changes the theme");
    browser.press("t");
    let scale = browser.eval("osmose.views[0].scale").as_f64().unwrap();
    browser.press("+");
    assert!(browser.eval("osmose.views[0].scale").as_f64().unwrap() > scale);
    browser.press("0");
    browser.press("?");
    assert_eq!(browser.eval("document.querySelector('#keymap').open"), true);
    browser.press("Escape");
    browser.until("the map to be closed", "!document.querySelector('#keymap').open");
    // On a button the space bar presses it.
    browser.eval("document.activeElement.blur()");
    browser.press(" ");
    assert_eq!(browser.eval("osmose.S.held"), true);
    browser.press(" ");
    browser.press("Escape");
}

/// Everything that can be pressed has a name, and every text stands out from its ground.
fn names(browser: &mut Browser) {
    let nameless = browser.eval(
        "[...document.querySelectorAll('button, [role=tab]')].filter((b) => b.offsetParent && !(b.getAttribute('aria-label') || b.textContent.trim() || b.title)).map((b) => b.outerHTML)",
    );
    assert_eq!(nameless, json!([]), "buttons without a name");
    for theme in ["light", "dark"] {
        browser.eval(&format!("document.documentElement.dataset.theme = '{theme}'"));
        let lowest = browser.eval(CONTRAST).as_f64().expect("a ratio");
        println!("lowest contrast of text, {theme}: {lowest:.2}");
        assert!(lowest >= 4.5, "{theme}: {lowest}");
    }
    browser.eval("delete document.documentElement.dataset.theme");
}

/// The lowest contrast (WCAG 2) of the theme's text colours on every ground that text stands on.
const CONTRAST: &str = "(() => {
  const style = getComputedStyle(document.documentElement);
  const lum = (name) => {
    const hex = style.getPropertyValue('--' + name).trim().replace('#', '');
    const full = hex.length === 3 ? [...hex].map((c) => c + c).join('') : hex;
    const [r, g, b] = [0, 2, 4].map((i) => parseInt(full.slice(i, i + 2), 16) / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => { const [x, y] = [lum(a), lum(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); };
  const pairs = ['ink', 'ink2', 'ink3', 'id', 'doubt', 'bad'].flatMap((t) => ['bg', 'empty', 'occ', 'paper'].map((g) => ratio(t, g)));
  return Math.min(...pairs, ratio('invink', 'inv'), ratio('ink', 'tint'), ratio('ink2', 'tint'), ratio('ink2', 'hover'));
})()";

/// A crowd played to the page through the door that its socket uses: so many people who walk, thirty times a second.
const CROWD: &str = "(async (people, seconds) => {
  const s = osmose.S, level = s.level, [x0, y0, x1, y1] = s.plan.levels.find((l) => l.id === level).box;
  const at = (i, t) => [x0 + (x1 - x0) * (0.5 + 0.48 * Math.sin(i * 1.7 + t * (0.05 + (i % 7) * 0.01))), y0 + (y1 - y0) * (0.5 + 0.48 * Math.cos(i * 2.3 + t * (0.04 + (i % 5) * 0.01)))];
  let t = s.t + 1, took = [];
  const snap = () => {
    t += 1 / 30;
    const tracks = Array.from({ length: people }, (_, i) => { const [x, y] = at(i, t), [u, v] = at(i, t + 1); return [i + 1e6, level, x, y, u - x, v - y, null, 0.2, 0.1, 0.3, i % 3 ? 'person-' + i : null, 0.9, 0, []]; });
    osmose.inject({ type: 'snap', t_s: t, utc: null, seq: 1, tracks, seen: [['x', t, tracks.slice(0, 400).map((p) => [p[2], p[3], 0]), null]], zones: {}, devices: {}, beams: {} });
  };
  const view = osmose.views[0], frame = view.frame.bind(view);
  view.frame = (now) => { const from = performance.now(); frame(now); took.push(performance.now() - from); };
  const from = performance.now(), first = osmose.frames();
  const timer = setInterval(snap, 1000 / 30);
  await new Promise((done) => setTimeout(done, seconds * 1000));
  clearInterval(timer);
  const frames = (osmose.frames() - first) / ((performance.now() - from) / 1000);
  delete view.frame;
  took.sort((a, b) => a - b);
  return { frames, median_ms: took[took.length >> 1], p99_ms: took[Math.floor(took.length * 0.99)], n: took.length, shown: s.runs.A.tracks.size };
})";

#[test]
fn five_hundred_people_move_at_thirty_frames_a_second() {
    let (_alone, Some(program)) = (alone(), installed()) else { return };
    let site = TempSite::example("peer-job");
    let engine = Engine::run(site.path(), &["--web", "127.0.0.1:0", "--state", "none", "--record", "none"]);
    let mut browser = Browser::start(&program);
    browser.show_as(1440, 900, 1.0, "light");
    browser.open(&web(&engine));
    browser.until("the plan", "osmose.S.plan && osmose.views.length");
    // The engine's own pictures would put the crowd away: it has done its part.
    drop(engine);
    let told = browser.eval(&format!("({CROWD})(500, 4)"));
    println!("500 people: {told}");
    assert_eq!(told["shown"], 500);
    // How many frames a machine shows hangs on what else it does; how long the page needs for one is the page's own.
    let median_ms = told["median_ms"].as_f64().expect("frames were drawn");
    assert!(median_ms <= 1000.0 / 30.0, "a frame takes {median_ms} ms");
}

/// The peer job's ports: events in, commands out.
const EVENTS_IN: u16 = 7801;
const COMMANDS_OUT: u16 = 7802;
const RATE_HZ: f64 = 2000.0;
/// More pages than anybody has open at a building.
const STALLED: usize = 50;

#[test]
fn fifty_pages_that_take_nothing_in_are_no_matter_to_the_engine() {
    let _alone = alone();
    let (alone, stalled) = (react(0), react(STALLED));
    println!("no page:                            {alone}");
    println!("{STALLED} pages that take nothing in: {stalled}");
}

/// Plays the peer job to an engine that has so many pages that never read: every command must come, each once. Gives
/// what the engine says of its own times.
fn react(pages: usize) -> String {
    let site = TempSite::example("peer-job");
    let devices = site.devices(COMMANDS_OUT);
    let engine = Engine::run(site.path(), &["--state", "none", "--record", "none", "--quiet", "--web", "127.0.0.1:0"]);
    let address = web(&engine).replace("http://", "ws://") + "/ws";
    let stalled: Vec<_> = (0..pages).map(|_| tungstenite::connect(&address).expect("a page opens").0).collect();
    let mut played = play(&site.sender(EVENTS_IN), RATE_HZ, (RATE_HZ * 3.0) as u64, |played| {
        played.drain(&devices);
        played.expected.len().saturating_sub(played.came.len())
    });
    assert_eq!(stalled.len(), pages, "they were open all the time");
    let ended = engine.stop(Signal::TERM).expect(0);
    played.drain(&devices);
    played.assert_each_once();
    assert!(!played.expected.is_empty());
    let said = ended.stderr.lines().find(|l| l.contains("to handed over: p50"));
    said.expect("the engine tells how long it took").to_owned()
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

/// Presses on the timeline where an instant is.
fn scrub(browser: &mut Browser, at_s: f64) {
    let find = format!(
        "(() => {{ const b = document.querySelector('#lanes').getBoundingClientRect(), [f, t] = osmose.S.hello.span_s; \
         return [b.x + 112 + (b.width - 132) * ({at_s} - f) / (t - f), b.y + 30]; }})()"
    );
    let at = browser.eval(&find);
    for kind in ["mousePressed", "mouseReleased"] {
        let event = json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1});
        browser.call("Input.dispatchMouseEvent", event);
    }
    browser.until("the picture of that time", &format!("Math.abs(osmose.S.t - {at_s}) < 0.2"));
}

#[test]
fn a_replay_shows_the_people_of_the_time_that_it_is_scrubbed_to() {
    let (_alone, Some(program)) = (alone(), installed()) else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (record(dir.path(), "a.mcap", SEED), record(dir.path(), "b.mcap", SEED + 1));
    // Recordings rotate: the page plays a folder, and shows what the whole recording holds.
    let folder = dir.path().join("folder");
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
        scrub(&mut browser, at_s);
        browser.eval("new Promise((r) => setTimeout(r, 600))");
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

    // Steps, events, playing.
    let at = |browser: &mut Browser| browser.eval("osmose.S.t").as_f64().expect("an instant");
    // Two scans may be of one millisecond: their numbers tell them apart.
    let before = browser.eval("osmose.S.seq").as_u64().expect("a number");
    browser.press("ArrowRight");
    browser.until("a step on", &format!("osmose.S.seq > {before}"));
    browser.press("ArrowLeft");
    browser.until("a step back", &format!("osmose.S.seq <= {before}"));
    browser.press(",");
    browser.until(
        "the event before",
        "osmose.S.sel && osmose.S.sel.kind === 'command' && document.querySelector('#story-body .chain')",
    );
    let before = at(&mut browser);
    browser.press(" ");
    browser.until("it to play", &format!("osmose.S.t > {before} + 0.5"));
    browser.press(" ");
    browser.until("it to hold", "osmose.S.play && osmose.S.play.speed === 0");
    browser.until("it to be verified", "osmose.S.verified && osmose.S.verified.ok && osmose.S.verified.of > 0");
    browser.until("its timeline", "osmose.S.lanes.rooms.length > 0");
    keep("replay-dark", &browser.picture());

    // Two runs side by side.
    browser.show_as(1440, 900, 0.9, "light");
    browser.press("Escape");
    browser.press("x");
    browser.until(
        "both runs",
        "osmose.S.compare && osmose.S.runs.B && osmose.S.runs.B.now && osmose.S.compare.list.length > 0",
    );
    scrub(&mut browser, 20.0);
    browser.until("both at one time", "Math.abs(osmose.S.runs.B.now.t - osmose.S.runs.A.now.t) < 0.001");
    let mut other = Player::open(Path::new(&b)).expect("it plays");
    let told = browser.eval("[osmose.S.runs.B.now.t, osmose.S.runs.B.tracks.size]");
    assert_eq!(
        told[1].as_u64(),
        Some(truly(&mut other, told[0].as_f64().expect("an instant")).len() as u64),
        "run B's people"
    );
    keep("replay-compare", &browser.picture());
    browser.press("x");
    browser.until("one run", "!osmose.S.compare");
    browser.expect_clean();
    engine.stop(Signal::TERM).expect(0);
}
