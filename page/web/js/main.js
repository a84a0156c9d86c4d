// The page put together: messages in, panels out, one frame at a time.

import { $, h, say } from "./dom.js";
import { colours, forgetColours } from "./canvas.js";
import { ask, connect, inject, lookBack, lookOn } from "./feed.js";
import { drawHead, drawLatency, drawSensors, listenToSensors } from "./figures.js";
import { capital, date, time } from "./format.js";
import { forgetLabels } from "./labels.js";
import { listenToKeys } from "./keys.js";
import { drawLedger, listenToLedger } from "./ledger.js";
import { prepare } from "./plan.js";
import { S, commands, emit, on, select } from "./state.js";
import { askStory, drawAlso, drawStory, listenToStory, takeStory, takeTest } from "./story.js";
import { buildTimeline, drawLanes, drawPlayhead, drawTransport, keys, nameReplay, play } from "./timeline.js";
import { PHONE, View, rank } from "./view.js";

const views = [];
/** On a wall that nobody has touched for so long, the story follows what fires. */
const UNTOUCHED_MS = 20_000;
const PROTECTIVE = rank("privacy");
/** Screen readers are told of grave firings, at most one in this time. */
const SAID_EVERY_MS = 3000;
/** An interlock is said for so long after its last command. */
const INTERLOCK_S = 10;

// ---- acting ----

function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // A browser that keeps nothing shows its own theme next time.
  }
  repaint();
}

function repaint() {
  forgetColours();
  forgetLabels();
  colours();
  drawLatency();
  for (const v of views) {
    v.painted = "";
    v.draw();
  }
}

function setLevel(id) {
  S.level = id;
  for (const b of $("#lift").children) b.setAttribute("aria-pressed", b.dataset.level === id);
  for (const v of views) {
    v.free = false;
    v.resize();
  }
}

function act(what, more) {
  if (what === "theme") theme();
  else if (what === "in") views.forEach((v) => v.zoom(1.3));
  else if (what === "out") views.forEach((v) => v.zoom(1 / 1.3));
  else if (what === "fit") views.forEach((v) => {
    v.all = PHONE.matches && !v.all;
    v.free = false;
    v.resize();
  });
  else if (what === "focus") views.forEach((v) => v.focus());
  else if (what === "level") setLevel(more);
  else if (what === "clear") {
    if ($("#keymap").open) $("#keymap").close();
    else select(null);
  } else if (what === "help") {
    const map = $("#keymap");
    if (map.open) map.close();
    else map.showModal();
  } else if (what === "hold") {
    if (S.mode === "replay") play();
    else {
      S.held = !S.held;
      banner();
    }
  }
}

// ---- live, or what was recorded ----

/** Why there is nothing to look back into. */
const NOT_RECORDED = "Nothing is recorded here: `--record FILE.mcap`, or a table [record] in site.toml, and the page can look back.";
/** What was refused is said for so long. */
const REFUSED_MS = 8000;

function refuse(why) {
  S.refused = why;
  banner();
  setTimeout(() => {
    if (S.refused === why) S.refused = null;
    banner();
  }, REFUSED_MS);
}

/** Opens the other mode; of a recording an instant, with a command's story. */
function openMode(to, { t, command, whatIf } = {}) {
  if (to === S.mode && !S.opening) return;
  if (to === "replay" && !S.hello?.recording) return refuse(NOT_RECORDED);
  S.opening = { to, t, command, whatIf };
  S.refused = null;
  if (to === "replay") lookBack(t);
  else lookOn();
  drawMode();
  banner();
}

/** The switch; where a recording is played for itself there is no engine to look on. */
function drawMode() {
  const shown = S.opening?.to ?? S.mode;
  for (const b of document.querySelectorAll(".mode [data-mode]")) {
    const mine = b.dataset.mode;
    if (mine === shown) b.setAttribute("aria-current", "page");
    else b.removeAttribute("aria-current");
    b.hidden = mine === "live" && S.mode === "replay" && !S.hello?.live;
    const gone = mine === "replay" && S.mode === "live" && !S.hello?.recording;
    if (gone) b.setAttribute("aria-disabled", "true");
    else b.removeAttribute("aria-disabled");
    b.title = gone ? NOT_RECORDED : mine === "replay" && S.mode === "live" ? `Look back: ${S.hello.recording}` : "";
  }
}

/** The other mode is there: what was to be seen in it. */
function opened() {
  const { to, t, command, whatIf } = S.opening ?? {};
  S.opening = null;
  if (to !== "replay" || S.mode !== to) return;
  // Who asks for nothing else sees what was there a moment ago.
  ask({ seek: t ?? S.hello.span_s[1] });
  S.whatIf = whatIf ?? null;
  if (command) select({ kind: "command", id: command });
}

function showTab(name) {
  $("#app").dataset.tab = name;
  for (const b of document.querySelectorAll(".tabs button")) b.setAttribute("aria-current", b.dataset.tab === name);
  drawLatency();
}

// ---- what is wrong, one banner at a time, the gravest first ----

function banner() {
  const stat = S.stat;
  const off = (stat?.rules_off ?? []).map((r) => r.rule);
  const interlocks = (S.hello?.rules ?? []).filter((r) => r.interlock && commands().some((e) => e.rule === r.id && S.t >= e.t_s && S.t - e.t_s < INTERLOCK_S));
  const silent = Math.round((performance.now() - S.heardAt) / 100) / 10;
  const texts = [
    S.failed,
    S.refused,
    S.opening?.to === "replay" && "Opening what was recorded.",
    S.cut && `No picture for ${silent.toFixed(1)} s. The ${S.mode === "live" ? "engine goes on without this page" : "replay has stopped"}; asking again every second.`,
    interlocks.length && `Interlock ${interlocks.map((r) => r.id).join(", ")} is on.`,
    S.overload && `Overload: ${S.overload} state observations replaced in the last second. Safety and edge inputs: none lost.`,
    stat?.dry_run && "Dry run: commands are decided and recorded, and none is sent.",
    off.length && `Switched off by hand: ${off.join(", ")}.`,
    S.verified && !S.verified.ok && `Not verified: ${S.verified.why}`,
    S.mode === "replay" && S.known === false && "Behind a gap: who is where is not known again before the next keyframe.",
    S.hello?.about?.caution && `${capital(S.hello.about.caution)}.`,
    S.held && `Held at ${time(S.t, 1)}; Space goes on.`,
  ];
  const text = texts.find(Boolean) || "";
  document.body.classList.toggle("cut", S.cut);
  const box = $("#banner");
  box.hidden = !text;
  say(box, text);
}

// ---- hearing ----

let fillKeys = () => {};

on("hello", (m) => {
  S.plan = prepare(m);
  document.title = `${m.site}, ${m.mode} · Osmose`;
  document.body.classList.remove("live", "replay");
  document.body.classList.add(m.mode);
  document.body.classList.toggle("beside", !!m.live);
  say($("#site"), m.site);
  drawMode();
  const levels = [...S.plan.levels].sort((a, b) => b.ordinal - a.ordinal);
  $("#lift").replaceChildren(...levels.map((l) => h("button", { "data-level": l.id, title: l.name }, h("span", {}, l.name), h("span", { class: "num" }))));
  $("#lift").hidden = levels.length < 2;
  const ground = levels.find((l) => l.ordinal === 0) ?? levels.at(-1);
  S.level = levels.some((l) => l.id === S.level) ? S.level : ground.id;
  if (!views.length) views.push(new View($("#stage-a"), "A"));
  setLevel(S.level);
  if (!$("#stage-b").hidden) emit("compare", {});
  $("#cells").replaceChildren();
  $("#time").hidden = m.mode !== "replay";
  if (m.mode === "replay") {
    buildTimeline();
    drawTransport();
    ask({ lanes: true });
  }
  fillKeys();
  drawSensors();
  drawLedger();
  drawHead();
  drawStory();
  opened();
  banner();
});

on("rules", (m) => {
  S.hello.rules = m.rules;
  drawLedger();
});

let peopleKey = null;
let bannerAt = null;

on("snap", (m) => {
  if (m.run === "B") return;
  const clock = time(S.t, 1);
  const b = $("#clock");
  if (S.mode === "replay") {
    if (b.key !== S.utcBase) {
      b.key = S.utcBase;
      nameReplay();
      drawLanes();
    }
    drawPlayhead();
    // An interlock holds, and a gap lies, at some instants and not at others.
    const second = Math.floor(S.t);
    if (S.known !== m.known || second !== bannerAt) {
      [S.known, bannerAt] = [m.known, second];
      banner();
    }
  } else if (b.key !== clock) {
    b.key = clock;
    const whole = S.utcBase !== null;
    b.replaceChildren(whole ? clock.slice(0, 8) : clock, whole ? h("small", {}, clock.slice(8)) : "");
    say($("#date"), date(S.t));
  }
  const tracks = [...S.runs.A.tracks.values()];
  for (const l of $("#lift").children) say(l.lastChild, String(tracks.filter((t) => t.level === l.dataset.level).length || ""));
  drawHead();
  const key = tracks.map((t) => `${t.id}${t.person}${t.zones[0]}${Math.round(t.p * 100)}${Math.round(t.lost)}`).join();
  if (key !== peopleKey) {
    peopleKey = key;
    if (!S.sel) drawStory();
    drawAlso();
  }
});

let saidAt = 0;

on("events", () => {
  drawLedger();
  drawLanes();
  drawHead();
  for (const e of S.fresh.splice(0)) {
    if (e.kind !== "command") continue;
    if (rank(e.level) > PROTECTIVE && performance.now() - saidAt > SAID_EVERY_MS) {
      saidAt = performance.now();
      say($("#said"), `${e.rule}: ${e.why}`);
    }
  }
  follow();
});

let replaced = 0;

on("stat", (m) => {
  const now = m.drops.state_replaced;
  S.overload = replaced && now > replaced ? now - replaced : 0;
  replaced = now;
  drawHead();
  drawLatency();
  drawSensors();
  banner();
});

on("verified", (m) => {
  S.verified = m;
  drawHead();
  banner();
});
on("compare", (m) => {
  $("#story").scrollTop = 0;
  S.compare = m.name ? m : null;
  if (!S.compare) delete S.runs.B;
  const stage = $("#stage-b");
  stage.hidden = !S.compare;
  if (S.compare && views.length < 2) views.push(new View(stage, "B"));
  for (const [id, run, name] of [["#stage-a", "A", "recorded"], ["#stage-b", "B", S.compare?.name]]) {
    $(`${id} .run`)?.remove();
    if (S.compare) $(id).append(h("div", { class: "run" }, h("b", {}, run), name));
  }
  for (const v of views) {
    v.free = false;
    v.resize();
  }
  drawTransport();
  drawLanes();
  if (!S.sel) drawStory();
});
on("failed", (m) => {
  if (S.opening?.to === "replay") {
    S.opening = null;
    lookOn();
    drawMode();
    return refuse(m.why);
  }
  S.failed = m.why;
  banner();
});
on("look-back", (e) => openMode("replay", e));
on("runs", (m) => {
  // Another run takes the place beside the first; where they part is said where the story was.
  S.hello.runs = m.runs;
  [S.running, S.whatIf] = [null, null];
  if (S.sel) select(null);
  emit("compare", {});
});
on("what_if", (m) => {
  const was = S.running;
  S.running = m.why ? null : m;
  if (m.why) refuse(m.why);
  drawTransport();
  // A list that is open is not closed by every per cent.
  if (!was !== !S.running) drawStory();
});
on("go", (t) => ask({ seek: t }));
on("cut", banner);
on("story", takeStory);
on("test", takeTest);
on("gap", () => say($("#said"), "Some events are not shown: the page was too slow for them."));

on("select", (sel) => {
  $("#story").scrollTop = 0;
  drawAlso();
  if (!sel) drawStory();
  else {
    const level = levelOf(sel);
    if (level && level !== S.level) setLevel(level);
    askStory();
    if (PHONE.matches) showTab("story");
  }
  for (const v of views) {
    if (v.W && PHONE.matches) {
      v.all = false;
      v.free = false;
      v.resize();
    }
  }
  drawLedger();
  drawSensors();
});

function levelOf(sel) {
  if (sel.kind === "track") return S.runs.A.tracks.get(sel.id)?.level;
  if (sel.kind === "zone") return S.plan.zones.get(sel.id)?.level;
  if (sel.kind === "device") return S.plan.byId.get(sel.id)?.level;
  return S.plan.zones.get(S.byId.get(sel.id)?.zone)?.level;
}

/** The wall tells by itself, when nobody stands at it. */
let touched = performance.now();
for (const name of ["pointerdown", "keydown", "wheel"]) addEventListener(name, () => (touched = performance.now()), { passive: true });

function follow() {
  if (S.mode !== "live" || innerWidth < 2400 || performance.now() - touched < UNTOUCHED_MS) return;
  const all = commands();
  const grave = all.findLast((e) => rank(e.level) >= PROTECTIVE && S.t - e.t_s < UNTOUCHED_MS / 1000);
  const newest = grave ?? all.at(-1);
  if (newest && S.sel?.id !== newest.id) select({ kind: "command", id: newest.id });
}

// ---- starting ----

try {
  const kept = localStorage.getItem("theme");
  if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
} catch {
  // As above.
}
document.addEventListener("click", (e) => {
  const d = e.target.closest("[data-act],[data-level],[data-layer],.mode [data-mode],.tabs [data-tab]")?.dataset;
  if (!d) return;
  if (d.act) act(d.act);
  else if (d.level) setLevel(d.level);
  else if (d.mode) openMode(d.mode);
  else if (d.tab) showTab(d.tab);
  else if (d.layer) {
    S.layers[d.layer] = !S.layers[d.layer];
    e.target.closest("[data-layer]").setAttribute("aria-pressed", S.layers[d.layer]);
    for (const v of views) v.draw();
  }
});

/** On paper the page is light, one column wide, and whole. */
let screenTheme;
function print(is) {
  const root = document.documentElement;
  if (is) screenTheme = root.dataset.theme;
  document.body.classList.toggle("printing", is);
  if (is) root.dataset.theme = "light";
  else if (screenTheme) root.dataset.theme = screenTheme;
  else delete root.dataset.theme;
  forgetColours();
  forgetLabels();
  for (const v of views) v.onPaper(is);
  drawLatency();
  drawLanes();
}
addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
matchMedia("(prefers-reduced-motion: reduce)").addEventListener("change", repaint);
addEventListener("resize", () => {
  drawLatency();
  drawAlso();
});
fillKeys = listenToKeys(act, keys);
listenToLedger();
listenToSensors();
listenToStory();
showTab("story");
connect();

/** Frames drawn; a test counts them. */
let frames = 0;
(function loop(now) {
  frames += 1;
  for (const v of views) v.frame(now);
  requestAnimationFrame(loop);
})(performance.now());

// What a test looks at, and nothing that the page itself needs.
globalThis.osmose = { S, select, inject, frames: () => frames, views };
