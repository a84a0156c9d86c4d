//! A running engine looked back into from its own page: what it recorded so far, a command's moment, what would have been;
//! and what that costs the engine.

use super::{NEAR_M, SEED, Socket, alone, building, compare, coworking, no_matter, react_recording, shown, web};
use crate::browser::{Browser, installed};
use crate::common::engine::Engine;
use crate::common::until;
use crate::{hands, looks};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::Path;
use tungstenite::Message;

/// As many pages as may look back beside an engine.
const LOOK_BACK: usize = 2;

/// The building of the running demo, looked back into from its own page.
#[test]
fn a_running_demo_is_looked_back_into_and_goes_on() {
    let (_alone, Some(program)) = (alone(), installed()) else { return };
    let site = coworking();
    let seed = SEED.to_string();
    let engine = Engine::demo(&["--seconds", "600", "--seed", &seed, "--web", "127.0.0.1:0"]);
    let said = engine.stderr();
    let kept =
        said.lines().find_map(|l| l.strip_prefix("recording to ")?.split_once(',')).expect("it records").0.to_owned();
    assert!(Path::new(&kept).is_dir(), "{said}");
    let mut browser = Browser::start(&program);
    browser.show_as(1440, 900, 1.0, "dark");
    browser.open(&web(&engine));
    let decided = "osmose.S.events.findLast((e) => e.kind === 'command' && e.sensor && e.track && e.engine_us)";
    browser.until("a command", &format!("osmose.S.t > 12 && {decided}"));

    // The switch shows what was recorded: people of an instant are those who truly were there.
    browser.click(".mode [data-mode=replay]");
    browser.until("the recording", "osmose.S.mode === 'replay' && osmose.S.lanes && osmose.S.runs.A.now");
    browser.until("it to be verified", "osmose.S.verified");
    assert_eq!(browser.eval("osmose.S.verified.ok"), true, "{}", browser.eval("osmose.S.verified"));
    let mut sim = building(&site);
    let (mut found, mut there) = (0, 0);
    for at_s in [5.0, 7.0, 9.0, 11.0] {
        hands::scrub(&mut browser, at_s);
        let (t, seen) = shown(&mut browser);
        let (f, n) = compare(&site, &mut sim, t, &seen);
        (found, there) = (found + f, there + n);
    }
    println!(
        "of {there} people truly there at four instants of what was recorded, {found} are shown within {NEAR_M} m"
    );
    assert!(there > 0 && found * 10 >= there * 8, "{found} of {there}");

    // Back to how things are: time has gone on meanwhile.
    let last = browser.eval("osmose.S.hello.span_s[1]");
    browser.click(".mode [data-mode=live]");
    browser.until("how it is", &format!("osmose.S.mode === 'live' && osmose.S.runs.A.now && osmose.S.t > {last}"));

    // From a command's story to its moment.
    let command = browser
        .eval(&format!("(osmose.select({{ kind: 'command', id: {decided}.id }}), osmose.S.byId.get(osmose.S.sel.id))"));
    browser.until("its story", "document.querySelector('#story-body [data-back]')");
    browser.click("#story-body [data-back]");
    let moment = format!(
        "osmose.S.mode === 'replay' && osmose.S.runs.A.now && Math.abs(osmose.S.t - {}) < 0.002",
        command["t_s"]
    );
    browser.until("its moment", &moment);
    browser.until("its story", "document.querySelector('#story-body .bars')");
    assert_eq!(browser.eval("osmose.S.sel.id"), command["id"]);
    assert_eq!(browser.text("document.querySelector('#story-body .chain .v').textContent"), command["sensor"]);

    // What if the sensor that it came from had not been there, and what if it had spoken later.
    for (how, name) in [
        ("without", format!("what if: without {}", command["sensor"].as_str().expect("text"))),
        ("delay", format!("what if: {} 900 ms later", command["sensor"].as_str().expect("text"))),
    ] {
        browser.eval(&format!("osmose.select({{ kind: 'command', id: {} }})", command["id"]));
        // All of it: what comes later moves what is to be clicked.
        let whole = "osmose.S.story?.answer !== undefined && document.querySelector('#story-body [data-what]')";
        browser.until("its story", whole);
        browser.click("#story-body [data-what]");
        assert_eq!(browser.eval("document.querySelector('#what [name=sensor]').value"), command["sensor"]);
        let set = |name: &str, value: &str| {
            format!(
                "(() => {{ const e = document.querySelector('#what [name={name}]'); e.value = {value:?}; e.dispatchEvent(new Event('change', {{ bubbles: true }})); }})()"
            )
        };
        browser.eval(&set("how", how));
        if how == "delay" {
            browser.eval(&set("ms", "900"));
        }
        browser.click("#what [data-run]");
        browser.until("the run", &format!("osmose.S.hello.runs.some((r) => r.name === {name:?})"));
        browser.until(
            "both runs",
            &format!("osmose.S.compare?.name === {name:?} && osmose.S.runs.B?.now && osmose.S.compare.list.length > 0"),
        );
        browser.until("both at one time", "osmose.S.runs.B.now.t === osmose.S.runs.A.now.t");
        let lanes = browser.text("document.querySelector('.lanes svg').textContent");
        assert!(lanes.contains("A recorded") && lanes.contains("B what if"), "{lanes}");
        assert!(browser.text("document.querySelector('#story-body').innerText").contains("Where A and B part"));
    }
    looks::names_and_contrast(&mut browser);

    // As many as may look back do so; the next one is told, and goes on looking on.
    let back = web(&engine).replace("http://", "ws://") + "/recording/now";
    let mut other = tungstenite::connect(&back).expect("a second page").0;
    until("it to play", || other.read().ok()?.into_text().ok()?.contains(r#""type":"hello""#).then_some(()));
    let mut third = tungstenite::connect(&back).expect("a third page").0;
    let told = until("an answer", || third.read().ok()?.into_text().ok().filter(|t| !t.is_empty()));
    assert!(told.contains("failed") && told.contains("Close one of them"), "{told}");
    browser.expect_clean();
    engine.stop(Signal::TERM).expect(0);
    assert!(!Path::new(&kept).exists(), "{kept} goes with the demo");
}

#[test]
fn where_nothing_is_recorded_the_page_says_so() {
    let (_alone, Some(program)) = (alone(), installed()) else { return };
    let engine = Engine::demo(&["--seconds", "600", "--web", "127.0.0.1:0", "--record", "none"]);
    assert!(!engine.stderr().contains("recording to"), "{}", engine.stderr());
    let mut browser = Browser::start(&program);
    browser.show_as(1440, 900, 1.0, "light");
    browser.open(&web(&engine));
    browser.until("the plan", "osmose.S.plan && osmose.S.runs.A.now");
    let gone = "document.querySelector('.mode [data-mode=replay]').getAttribute('aria-disabled')";
    assert_eq!(browser.text(gone), "true");
    browser.click(".mode [data-mode=replay]");
    browser.until("the reason", "document.querySelector('#banner').textContent.includes('--record FILE.mcap')");
    assert_eq!(browser.text("osmose.S.mode"), "live");
    browser.until("a command", "osmose.S.events.some((e) => e.kind === 'command')");
    browser.eval("osmose.select({ kind: 'command', id: osmose.S.events.findLast((e) => e.kind === 'command').id })");
    browser.until("its story", "document.querySelector('#story-body [data-copy]')");
    assert_eq!(browser.eval("document.querySelector('#story-body [data-back], #story-body [data-what]')"), Value::Null);
    looks::names_and_contrast(&mut browser);
    browser.expect_clean();
    let socket = web(&engine).replace("http://", "ws://") + "/recording/now";
    assert!(tungstenite::connect(socket).expect_err("nothing is there").to_string().contains("404"));
    engine.stop(Signal::TERM).expect(0);
}

/// Pages that look back play what was recorded as fast as they can, verify it and run it again, while the engine records.
#[test]
fn pages_that_look_back_are_no_matter_to_the_engine() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let played = |name: &str, pages: usize| {
        let trace = dir.path().join(name).to_str().expect("text").to_owned();
        react_recording(&trace, 0, pages)
    };
    let (alone, beside) = (played("alone.mcap", 0), played("beside.mcap", LOOK_BACK));
    no_matter(["recording", &format!("the same with {LOOK_BACK} pages that look back")], [&alone, &beside]);
}

/// A page that plays what was recorded, has it verified, and asks for it with a sensor that is late (one at a time is run); gives how
/// many messages came before all of that was there.
pub(crate) fn look_back(address: &str) -> usize {
    let mut page = tungstenite::connect(address).expect("a page opens").0;
    let ask = |page: &mut Socket, what: Value| page.send(Message::text(what.to_string())).expect("it is sent");
    let (mut heard, mut verified, mut ran) = (0, false, false);
    while !(verified && ran) {
        let Ok(Message::Text(text)) = page.read() else { continue };
        let told: Value = serde_json::from_str(&text).expect("JSON");
        heard += 1;
        match told["type"].as_str() {
            Some("hello") => {
                ask(&mut page, json!({"speed": 100}));
                let sensor = told["sensors"][0]["id"].as_str().expect("a sensor").to_owned();
                ask(&mut page, json!({"what_if": {"delay_ms": {sensor: 100}}}));
            }
            Some("verified") => {
                assert_eq!(told["ok"], true, "{told}");
                verified = true;
            }
            Some("what_if") if told["why"].is_string() => {
                assert!(told["why"].as_str().is_some_and(|why| why.contains("already")), "{told}");
                ran = true;
            }
            Some("compare") => ran = true,
            Some("failed") => panic!("{told}"),
            _ => {}
        }
    }
    heard
}
