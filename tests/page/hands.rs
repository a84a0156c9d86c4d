//! The page by keyboard and by mouse: what the map of keys says, and what can be clicked, dragged and turned.

use crate::browser::Browser;
use serde_json::{Value, json};

fn number(browser: &mut Browser, expression: &str) -> f64 {
    browser.eval(expression).as_f64().unwrap_or_else(|| panic!("{expression} is no number"))
}

/// The keyboard of a running building does what the map of it says.
pub(crate) fn keys(browser: &mut Browser) {
    browser.press("Escape");
    assert_eq!(browser.eval("osmose.S.sel"), Value::Null);
    for (key, kind) in [("p", "track"), ("r", "zone"), ("d", "device"), ("c", "command")] {
        browser.press(key);
        assert_eq!(browser.text("osmose.S.sel.kind"), kind, "{key}");
    }
    // With Shift the one before.
    browser.press("r");
    let first = browser.text("osmose.S.sel.id");
    browser.press("r");
    assert_ne!(browser.text("osmose.S.sel.id"), first);
    browser.press("Shift+R");
    assert_eq!(browser.text("osmose.S.sel.id"), first, "Shift goes back");
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
    let scale = number(browser, "osmose.views[0].scale");
    browser.press("+");
    assert!(number(browser, "osmose.views[0].scale") > scale);
    browser.press("-");
    browser.press("-");
    assert!(number(browser, "osmose.views[0].scale") < scale);
    browser.press("0");
    assert_eq!(number(browser, "osmose.views[0].scale"), scale);
    browser.press("f");
    assert_eq!(browser.eval("osmose.views[0].free"), true, "F brings the selection to the middle");
    browser.press("0");
    browser.press("?");
    assert_eq!(browser.eval("document.querySelector('#keymap').open"), true);
    browser.press("Escape");
    browser.until("the map to be closed", "!document.querySelector('#keymap').open");
    // On a button the space bar presses it.
    browser.eval("document.activeElement.blur()");
    browser.press(" ");
    assert_eq!(browser.eval("osmose.S.held"), true);
    browser.until("the banner", "!document.querySelector('#banner').hidden");
    browser.press(" ");
    assert_eq!(browser.eval("osmose.S.held"), false);
    browser.press("Escape");
}

/// Where on the window a person, a device and a room are that nothing else lies over, found as a hand would find them.
const FREE: &str = "(() => {
  const view = osmose.views[0], s = osmose.S, stage = view.stage.getBoundingClientRect(), here = (x) => x.level === s.level;
  const people = [...s.runs.A.tracks.values()].filter(here).map((t) => [view.X(t.x), view.Y(t.y), t.id]);
  const devices = [...view.glyphs].map(([id, d]) => [d.x, d.y, id]);
  const far = (x, y, list, by) => list.every(([a, b]) => Math.hypot(a - x, b - y) > by);
  const on = ([x, y, id]) => [[stage.x + x, stage.y + y], id];
  const person = people.find(([x, y, id]) => far(x, y, people.filter((p) => p[2] !== id), 40) && far(x, y, devices, 20));
  const device = devices.find(([x, y, id]) => far(x, y, people, 60) && far(x, y, devices.filter((d) => d[2] !== id), 20));
  let room = null;
  for (const u of s.plan.units.filter(here)) {
    for (let x = u.box[0] + 0.5; x < u.box[2] && !room; x += 0.5) for (let y = u.box[1] + 0.5; y < u.box[3] && !room; y += 0.5) {
      const [a, b] = [view.X(x), view.Y(y)], e = document.elementFromPoint(stage.x + a, stage.y + b);
      if (e?.dataset.zone === u.id && far(a, b, people, 60) && far(a, b, devices, 20)) room = [a, b, u.id];
    }
  }
  return { person: on(person), device: on(device), room: on(room) };
})()";

/// The mouse chooses what it is on, drags and zooms the plan, and presses every kind of button.
pub(crate) fn mouse(browser: &mut Browser) {
    browser.press("Escape");
    // Held, so that nobody walks away from under the hand; the banner that says so takes some of the plan's room.
    browser.press(" ");
    browser.until("the banner", "!document.querySelector('#banner').hidden");
    browser.settle();
    let free = browser.eval(FREE);
    for (what, kind) in [("room", "zone"), ("device", "device"), ("person", "track")] {
        browser.click_at(&free[what][0]);
        assert_eq!(browser.eval("osmose.S.sel"), json!({"kind": kind, "id": free[what][1]}), "{free}");
        browser.until("its story", "osmose.S.story && document.querySelector('#story-body h3')");
    }
    browser.press(" ");
    browser.until("no banner", "document.querySelector('#banner').hidden");
    browser.click("#story-clear");
    assert_eq!(browser.eval("osmose.S.sel"), Value::Null);

    let (at, away) = (&free["room"][0], json!([free["room"][0][0], free["room"][0][1].as_f64().expect("y") + 60.0]));
    let (oy, scale) = (number(browser, "osmose.views[0].oy"), number(browser, "osmose.views[0].scale"));
    browser.drag(at, &away);
    assert!((number(browser, "osmose.views[0].oy") - oy - 60.0).abs() < 1.5, "the plan follows the hand");
    assert_eq!(browser.eval("osmose.S.sel"), Value::Null, "a drag is no click");
    browser.wheel(at, -300.0);
    browser.until("the plan to be larger", &format!("osmose.views[0].scale > {scale}"));
    browser.click("[data-act=fit]");
    assert_eq!(number(browser, "osmose.views[0].scale"), scale);
    browser.click("[data-act=in]");
    assert!(number(browser, "osmose.views[0].scale") > scale);
    browser.click("[data-act=out]");
    browser.click("[data-act=fit]");

    for layer in ["zones", "devices", "views", "detections", "trails", "labels"] {
        let drawn = "document.querySelectorAll('#stage-a svg.map *').length";
        let (button, before) = (format!("[data-layer={layer}]"), number(browser, drawn));
        browser.click(&button);
        assert_eq!(browser.eval(&format!("osmose.S.layers.{layer}")), false, "{layer}");
        if !matches!(layer, "detections" | "trails") {
            assert!(number(browser, drawn) < before, "{layer} are gone");
        }
        browser.click(&button);
        assert_eq!(browser.text(&format!("document.querySelector('{button}').getAttribute('aria-pressed')")), "true");
    }
    let level = browser.text("osmose.S.level");
    browser.click("#lift button[aria-pressed=false]");
    assert_ne!(browser.text("osmose.S.level"), level);
    browser.click(&format!("#lift [data-level={level}]"));
    browser.click("#cells button");
    assert_eq!(browser.text("osmose.S.sel.kind"), "device");
    browser.click("[data-act=theme]");
    browser.click("[data-act=theme]");
    browser.click("[data-act=help]");
    assert_eq!(browser.eval("document.querySelector('#keymap').open"), true);
    browser.click("#keymap .btn");
    assert_eq!(browser.eval("document.querySelector('#keymap').open"), false);
    browser.press("Escape");
}

/// Where on the window an instant of the timeline is.
fn instant(browser: &mut Browser, at_s: f64) -> Value {
    browser.eval(&format!(
        "(() => {{ const b = document.querySelector('#lanes').getBoundingClientRect(), [f, t] = osmose.S.hello.span_s; \
         return [b.x + 112 + (b.width - 132) * ({at_s} - f) / (t - f), b.y + 35]; }})()"
    ))
}

/// Presses on the timeline where an instant is.
pub(crate) fn scrub(browser: &mut Browser, at_s: f64) {
    let at = instant(browser, at_s);
    browser.click_at(&at);
    browser.until("the picture of that time", &format!("Math.abs(osmose.S.t - {at_s}) < 0.2"));
}

/// Plays a recording by keyboard and by mouse. It holds events at more than one instant.
pub(crate) fn playing(browser: &mut Browser) {
    let [from, to] = [0, 1].map(|i| number(browser, &format!("osmose.S.hello.span_s[{i}]")));
    scrub(browser, from + 10.0);
    // Two scans may be of one millisecond: their numbers tell them apart.
    for (on, back) in [(None, None), (Some("[data-step='1']"), Some("[data-step='-1']"))] {
        let go = |browser: &mut Browser, button: Option<&str>, key| match button {
            None => browser.press(key),
            Some(button) => browser.click(button),
        };
        let before = number(browser, "osmose.S.seq");
        go(browser, on, "ArrowRight");
        browser.until("a step on", &format!("osmose.S.seq > {before}"));
        go(browser, back, "ArrowLeft");
        browser.until("a step back", &format!("osmose.S.seq <= {before}"));
    }
    let at = number(browser, "osmose.S.t");
    browser.press("Shift+ArrowRight");
    browser.until("five seconds on", &format!("Math.abs(osmose.S.t - {at} - 5) < 0.2"));
    browser.press("Shift+ArrowLeft");
    browser.until("five seconds back", &format!("Math.abs(osmose.S.t - {at}) < 0.2"));
    browser.press("End");
    browser.until("the end", &format!("{to} - osmose.S.t < 0.2"));
    browser.press("Home");
    browser.until("the beginning", &format!("osmose.S.t - {from} < 0.2"));
    scrub(browser, from + 20.0);

    // To events, which are told when one is there.
    let told = "osmose.S.sel?.kind === 'command' && document.querySelector('#story-body .chain')";
    for (button, key) in
        [(Some("[data-time=previous]"), ","), (Some("[data-time=next]"), "."), (None, ","), (None, ".")]
    {
        let at = number(browser, "osmose.S.t");
        match button {
            Some(button) => browser.click(button),
            None => browser.press(key),
        }
        let way = if key == "," { "<" } else { ">" };
        browser.until("another event", &format!("osmose.S.t {way} {at} && {told}"));
    }
    browser.click(".lanes [data-command] .reach");
    browser.until("its story", told);

    // A drag goes along with the hand.
    let (a, b) = (instant(browser, from + 5.0), instant(browser, from + 25.0));
    browser.drag(&a, &b);
    browser.until("the end of the drag", &format!("Math.abs(osmose.S.t - {from} - 25) < 0.2"));

    // Faster and slower, and playing.
    let pressed = "document.querySelector('[data-speed][aria-pressed=true]').dataset.speed";
    browser.press("]");
    assert_eq!(browser.text(pressed), "10");
    browser.press("[");
    browser.press("[");
    assert_eq!(browser.text(pressed), "0.1");
    browser.click("[data-speed='1']");
    assert_eq!(browser.text(pressed), "1");
    browser.eval("document.activeElement.blur()");
    for by_key in [true, false] {
        let toggle = |browser: &mut Browser| if by_key { browser.press(" ") } else { browser.click(".play") };
        let before = number(browser, "osmose.S.t");
        toggle(browser);
        browser.until("it to play", &format!("osmose.S.t > {before} + 0.5"));
        toggle(browser);
        browser.until("it to hold", "osmose.S.play && osmose.S.play.speed === 0");
    }
    browser.press("Escape");
}
