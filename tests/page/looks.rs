//! How the page is for everybody: names for those who hear it, contrast, a focus that is seen, stillness, paper, and
//! every shape of window.

use crate::browser::Browser;
use crate::root;
use serde_json::{Value, json};

/// Widths and heights that the layouts are for, with the density and the theme of their pictures. The narrowest has no
/// picture in the documentation.
const SHAPES: [(&str, u32, u32, f64, &str); 6] = [
    ("live-dark", 1440, 900, 1.0, "dark"),
    ("live-light", 1440, 900, 1.0, "light"),
    ("live-phone", 390, 844, 2.0, "light"),
    ("live-wall", 3840, 2160, 0.5, "dark"),
    ("live-tablet", 900, 1200, 1.0, "light"),
    ("", 320, 568, 1.0, "dark"),
];
/// A picture in the documentation is no larger.
const PICTURE_BYTES_MAX: usize = 500_000;

/// The page in every shape: nothing hangs over the window's edge, and no figure of the head is cut. The pictures are
/// kept where they are asked for.
pub(crate) fn shapes(browser: &mut Browser) {
    // Without motion, so that no colour is on its way to another.
    browser.media("dark", "reduce");
    browser.no_mouse();
    for (name, width, height, dense, theme) in SHAPES {
        browser.show_as(width, height, dense, theme);
        browser.until(
            "the plan to fit",
            "Math.abs(osmose.views[0].W - document.querySelector('#stage-a').clientWidth) < 1",
        );
        browser.until("colours to stand", "document.getAnimations().length === 0");
        browser.settle();
        let over = browser.eval("document.documentElement.scrollWidth - innerWidth").as_i64().expect("pixels");
        assert!(over <= 0, "{width} px: the page is {over} px wider than its window");
        let cut = browser.eval(
            "[...document.querySelectorAll('.kpi b, .tabs button, .lift button, .clock b')].filter((e) => e.offsetParent \
             && e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent)",
        );
        assert_eq!(cut, json!([]), "{width} px: cut");
        if !name.is_empty() {
            keep(name, &browser.picture());
        }
    }
    browser.media("dark", "no-preference");
    browser.show_as(1440, 900, 1.0, "dark");
}

/// Writes a picture for the documentation with `OSMOSE_PICTURES=1`, and else only looks at its size.
pub(crate) fn keep(name: &str, png: &[u8]) {
    assert!(png.starts_with(b"\x89PNG"), "{name} is no picture");
    println!("{name}: {} bytes", png.len());
    assert!(png.len() < PICTURE_BYTES_MAX, "{name} has {} bytes", png.len());
    if std::env::var_os("OSMOSE_PICTURES").is_some_and(|v| v == "1") {
        let dir = root().join("docs/img");
        std::fs::create_dir_all(&dir).expect("a folder");
        std::fs::write(dir.join(format!("{name}.png")), png).expect("written");
    }
}

/// Everything that can be pressed has a name, and every text stands out from its ground, in light and in dark.
pub(crate) fn names_and_contrast(browser: &mut Browser) {
    let nameless = browser.eval(
        "[...document.querySelectorAll('button, [role=tab], [role=slider], [role=img], section, dialog')].filter((b) => \
         !(b.getAttribute('aria-label') || b.getAttribute('aria-labelledby') || b.textContent.trim() || b.title)).map((b) \
         => b.outerHTML)",
    );
    assert_eq!(nameless, json!([]), "without a name");
    for theme in ["light", "dark"] {
        // Without motion, so that no colour is on its way to another.
        browser.eval("delete document.documentElement.dataset.theme");
        browser.media(theme, "reduce");
        browser.settle();
        browser.until("colours to stand", "document.getAnimations().length === 0");
        let tokens = browser.eval(TOKENS).as_f64().expect("a ratio");
        let told = browser.eval(TEXTS);
        let (lowest, n) = (told[0].as_f64().expect("a ratio"), told[2].as_u64().expect("a number"));
        println!("lowest contrast, {theme}: {tokens:.2} of the theme's colours, {lowest:.2} of {n} texts");
        assert!(tokens >= 4.5, "{theme}: {tokens}");
        assert!(n > 50 && lowest >= 4.5, "{theme}: {told}");
    }
    browser.media("dark", "no-preference");
}

/// The lowest contrast (WCAG 2) of the theme's text colours on every ground that text stands on.
const TOKENS: &str = "(() => {
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

/// Of every text that is drawn now: the lowest contrast with what it stands on, that text, and how many there are. Names
/// on the plan stand on rooms, whose colours are among the theme's.
const TEXTS: &str = "(() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const lum = (c) => { const [r, g, b] = c.map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0.99) return c; } };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let [lowest, which, n] = [99, null, 0];
  for (let t; (t = walk.nextNode()); ) {
    const e = t.parentElement;
    if (!t.data.trim() || !e.checkVisibility() || e.closest('svg.map, title, noscript, script')) continue;
    const style = getComputedStyle(e);
    const [x, y] = [lum(parse(e instanceof SVGElement ? style.fill : style.color)), lum(ground(e))].sort((a, b) => b - a);
    const ratio = (x + 0.05) / (y + 0.05);
    n += 1;
    if (ratio < lowest) [lowest, which] = [ratio, `${t.data} in ${e.outerHTML.slice(0, 120)}`];
  }
  return [lowest, which, n];
})()";

/// With Tab alone one comes by every kind of thing that can be pressed, and sees where one is.
pub(crate) fn focus(browser: &mut Browser) {
    browser.eval("document.activeElement.blur()");
    let mut kinds: Vec<String> = Vec::new();
    for _ in 0..160 {
        browser.press("Tab");
        let told = browser.eval(
            "(() => { const e = document.activeElement; if (!e || e === document.body) return null; let seen = false; for \
             (let a = e; a && !seen; a = a.parentElement) { const s = getComputedStyle(a); seen = s.outlineStyle !== 'none' \
             && parseFloat(s.outlineWidth) >= 2; } return [seen, e.closest('[id]').id, e.outerHTML.slice(0, 160)]; })()",
        );
        if told.is_null() {
            break;
        }
        assert_eq!(told[0], true, "the focus is not seen on {}", told[2]);
        kinds.push(told[1].as_str().expect("where").to_owned());
    }
    kinds.dedup();
    for panel in ["app", "lift", "ledger-rows", "cells"] {
        assert!(kinds.iter().any(|k| k == panel), "Tab never came to {panel}: {kinds:?}");
    }
    println!("Tab came by {kinds:?}");
}

/// With reduced motion nothing moves by itself: no transition, and people are drawn anew no more than four times a second.
pub(crate) fn still(browser: &mut Browser) {
    browser.media("dark", "reduce");
    let moving = browser.eval(
        "[...document.querySelectorAll('*')].filter((e) => getComputedStyle(e).transitionDuration !== '0s' || \
         getComputedStyle(e).animationName !== 'none').map((e) => e.tagName)",
    );
    assert_eq!(moving, json!([]), "moves");
    let painted = browser.eval(STILL);
    browser.media("dark", "no-preference");
    println!("with reduced motion, in two seconds: {painted}");
    let of = |what: &str| painted[what].as_u64().expect("a number");
    assert!(of("frames") > 30 && of("snaps") > 15, "the page is alive: {painted}");
    assert!(of("places") <= 9, "people moved {painted}");
}

/// How many frames, snapshots, and different pictures of one person who walks there are in two seconds.
const STILL: &str = "(async () => {
  const view = osmose.views[0], s = osmose.S, places = new Set(), [x0] = s.plan.levels.find((l) => l.id === s.level).box;
  // Symbols are drawn by `arc`: whoever is nobody else's colour is found by where they are.
  const arc = view.pen.arc;
  s.layers.trails = false;
  let t = s.t, snaps = 0;
  view.pen.arc = function (x, y, ...more) { if (Math.abs(y - view.Y(-40)) < 1) places.add(Math.round(x * 100)); return arc.call(this, x, y, ...more); };
  const timer = setInterval(() => {
    snaps += 1; t += 1 / 30;
    osmose.inject({ type: 'snap', t_s: t, utc: null, seq: s.seq, tracks: [[9e6, s.level, x0 + snaps / 30, -40, 1, 0, null, 0.1, 0.1, 0, 'walker', 1, 0, []]], seen: [], zones: {}, devices: {}, beams: {} });
  }, 1000 / 30);
  const first = osmose.frames(), oy = view.oy;
  view.oy = oy - 45 * view.scale;
  await new Promise((done) => setTimeout(done, 2000));
  clearInterval(timer);
  view.oy = oy;
  delete view.pen.arc;
  s.layers.trails = true;
  return { frames: osmose.frames() - first, snaps, places: places.size };
})()";

/// On paper the page is light, no wider than a sheet, and its panels stand below one another; afterwards all is as before.
pub(crate) fn paper(browser: &mut Browser) {
    let was = browser.text("getComputedStyle(document.documentElement).getPropertyValue('--bg')");
    browser.eval("dispatchEvent(new Event('beforeprint'))");
    browser.settle();
    let told = browser.eval(
        "(() => { const box = (q) => document.querySelector(q).getBoundingClientRect(), all = ['#plan', '#story', \
         '#ledger', '#lat', '#sens'].map(box); return [getComputedStyle(document.documentElement).getPropertyValue('--bg'), \
         Math.max(...all.map((b) => b.right)), document.body.getBoundingClientRect().width, all.every((b, i) => !i || b.top \
         >= all[i - 1].bottom - 1), Math.abs(osmose.views[0].W - document.querySelector('#stage-a').clientWidth) < 1]; })()",
    );
    assert_eq!(told[0], "#fff", "{told}");
    assert!(told[1].as_f64() <= told[2].as_f64().map(|w| w + 1.0), "wider than the sheet: {told}");
    assert_eq!((&told[3], &told[4]), (&Value::Bool(true), &Value::Bool(true)), "{told}");
    browser.eval("dispatchEvent(new Event('afterprint'))");
    browser.settle();
    assert_eq!(browser.text("getComputedStyle(document.documentElement).getPropertyValue('--bg')"), was);
    assert_eq!(browser.eval("document.body.className"), "live");
}
