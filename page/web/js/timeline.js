// A replay's timeline: who was where as steps, recorders, commands, what was late, what was missing; and the playhead.

import { $, em, h, s, say, set } from "./dom.js";
import { ask } from "./feed.js";
import { drawHead } from "./figures.js";
import { date, ms, time, whole } from "./format.js";
import { S, commands, is, on, select } from "./state.js";

const SPEEDS = [0.1, 1, 10, 100];
/** Dragging asks for so many pictures a second: the server answers no more than twenty. */
const SEEK_EVERY_MS = 80;
const EVENT_NEAR_S = 0.02;
const BIG = ["privacy", "security", "life-safety"];
const ROOMS_MAX = 6;
/** Marks nearer to one another than this are drawn as one: a busy minute stays readable, and each can be hit. */
const TICK_NEAR_PX = 4;
const MARK_NEAR_PX = 28;

let speed = 1;
let scale = null;

export function buildTimeline() {
  const box = $("#time");
  if (box.firstChild) return;
  const button = (act, name, path) => h("button", { class: "ib", "data-time": act, "aria-label": name, title: name }, s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { class: "f", d: path })));
  const step = (by, key, name) => h("button", { class: "kb", "data-step": by, "aria-label": name, title: `${name} (${key})` }, key);
  const jumper = (to, key, name) => h("button", { class: "kb", "data-time": to, "aria-label": `${name}, by its key`, title: `${name} (${key})` }, key);
  box.append(
    h("div", { class: "trans" },
      button("previous", "The event before (,)", "M3 3h2v10H3zM13 3v10L6 8z"),
      h("button", { class: "play", "data-time": "play", "aria-label": "Play" }, s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: "" }))),
      button("next", "The next event (.)", "M11 3h2v10h-2zM3 3v10l7-5z"),
      h("b", { class: "now", id: "now" }),
      h("div", { class: "seg", role: "group", "aria-label": "Speed" }, ...SPEEDS.map((v) => h("button", { "data-speed": v, "aria-pressed": v === 1 }, `${v}×`))),
      h("span", { class: "steps dim" }, h("span", {}, "step"), step(-1, "←", "One scan back"), step(1, "→", "One scan on")),
      h("span", { class: "steps dim" }, h("span", {}, "event"), jumper("previous", ",", "The event before"), jumper("next", ".", "The next event")),
      h("span", { class: "sp" }),
      h("span", { class: "sec", id: "other-run" }),
      h("button", { class: "btn", "data-time": "compare", id: "compare", hidden: true }, "Compare runs")),
    h("div", { class: "lanes", id: "lanes", role: "slider", tabindex: 0, "aria-label": "Time", "aria-valuemin": 0 },
      s("svg", { "aria-hidden": "true" }, s("g", {}), s("g", { class: "head" }))));
  listen(box);
}

const span = () => [S.hello.span_s[0], S.hello.span_s[1]];

// ---- acting ----

function seek(t) {
  const [from, to] = span();
  // To the millisecond, which is what is shown.
  ask({ seek: Math.round(Math.max(from, Math.min(to, t)) * 1000) / 1000 });
}

let wanted = null;
let timer = 0;

function seekSoon(t) {
  wanted = t;
  if (timer) return;
  seek(t);
  const asked = t;
  timer = setTimeout(() => {
    timer = 0;
    if (wanted !== asked) seekSoon(wanted);
  }, SEEK_EVERY_MS);
}

export const play = () => ask({ speed: S.play?.speed ? 0 : speed });

function setSpeed(to) {
  if (to === undefined) return;
  speed = to;
  if (S.play?.speed) ask({ speed });
  drawTransport();
}

/** To the next event or the one before; what happens again and again is passed over by people, and by this. */
export function jump(by, which = () => true) {
  const all = commands().filter(which).sort((a, b) => a.t_s - b.t_s);
  const e = by > 0 ? all.find((c) => c.t_s > S.t + EVENT_NEAR_S) : all.findLast((c) => c.t_s < S.t - EVENT_NEAR_S);
  if (!e) return;
  seek(e.t_s + EVENT_NEAR_S / 2);
  select({ kind: "command", id: e.id });
}

function compare() {
  const other = S.hello.runs?.[0];
  if (other) ask({ compare: S.compare ? "" : other.id });
}

/** Keys that only a replay has. */
export function keys(e, key, by) {
  if (key === "ArrowRight" || key === "ArrowLeft") {
    e.preventDefault();
    const to = key === "ArrowRight" ? 1 : -1;
    if (e.shiftKey) seek(S.t + 5 * to);
    else ask({ step: to });
  } else if (key === "Home" || key === "End") {
    e.preventDefault();
    seek(span()[key === "Home" ? 0 : 1]);
  } else if (key === "[" || key === "]") setSpeed(SPEEDS[SPEEDS.indexOf(speed) + (key === "]" ? 1 : -1)]);
  else if (key === ".") jump(1);
  else if (key === ",") jump(-1);
  else if (key === "l") jump(by, (c) => c.late);
  else if (key === "x") compare();
}

function listen(box) {
  box.addEventListener("click", (e) => {
    const d = e.target.closest("[data-time],[data-speed],[data-step],[data-command],[data-at]")?.dataset;
    if (!d) return;
    if (d.command) select({ kind: "command", id: d.command });
    else if (d.at) seek(Number(d.at));
    else if (d.speed) setSpeed(Number(d.speed));
    else if (d.step) ask({ step: Number(d.step) });
    else if (d.time === "play") play();
    else if (d.time === "next") jump(1);
    else if (d.time === "previous") jump(-1);
    else if (d.time === "compare") compare();
  });
  const lanes = $("#lanes");
  const at = (e) => {
    const box = lanes.getBoundingClientRect();
    const [from, to] = span();
    return from + ((e.clientX - box.left - scale.left) / (scale.right - scale.left)) * (to - from);
  };
  let dragging = false;
  lanes.addEventListener("pointerdown", (e) => {
    if (e.target.closest("[data-command],[data-at]") || !scale) return;
    dragging = true;
    lanes.setPointerCapture(e.pointerId);
    seekSoon(at(e));
  });
  lanes.addEventListener("pointermove", (e) => dragging && seekSoon(at(e)));
  lanes.addEventListener("pointerup", () => (dragging = false));
  new ResizeObserver(drawLanes).observe(lanes);
  on("select", drawLanes);
  on("lanes", (m) => {
    S.lanes = m;
    drawLanes();
  });
  on("play", (m) => {
    S.play = m;
    if (m.speed) speed = m.speed;
    drawTransport();
  });
}

// ---- drawing ----

export function drawTransport() {
  const playing = !!S.play?.speed;
  const b = $(".play");
  set(b, "aria-label", playing ? "Hold" : "Play");
  b.querySelector("path").setAttribute("d", playing ? "M4 3h3v10H4zM9 3h3v10H9z" : "M4 2.5v11L13.5 8z");
  for (const v of document.querySelectorAll("[data-speed]")) set(v, "aria-pressed", String(Number(v.dataset.speed) === speed));
  $("#compare").hidden = !S.hello.runs?.length;
  say($("#compare"), S.compare ? "One run" : "Compare runs");
  set($("#compare"), "title", S.compare ? "One run (X)" : "Two runs side by side (X)");
  if (S.running) say($("#other-run"), `Running it again ${S.running.name}: ${Math.round(S.running.done * 100)} %`);
  else say($("#other-run"), S.compare ? `B: ${S.compare.name}${S.compare.from_s === null ? "" : `, hypothesis from ${time(S.compare.from_s)}`}` : "");
}

export function drawPlayhead() {
  const now = $("#now");
  const text = time(S.t, 3);
  if (now.key !== text) {
    now.key = text;
    const clock = S.utcBase !== null;
    now.replaceChildren(clock ? text.slice(0, 8) : text, clock ? h("small", {}, text.slice(8)) : "");
    set($("#lanes"), "aria-valuenow", S.t.toFixed(1));
    set($("#lanes"), "aria-valuetext", text);
  }
  if (!scale) return;
  const u = em();
  const x = scale.x(S.t);
  $(".head").replaceChildren(
    s("line", { class: "playhead", x1: x, x2: x, y1: 18 * u, y2: scale.height, "stroke-width": 1.5 * u }),
    s("path", { class: "grip", d: `M${x - 6 * u} ${16 * u}h${12 * u}v${5 * u}l${-6 * u} ${6 * u}l${-6 * u} ${-6 * u}z` }));
}

/** A tick each so many seconds, so that there are about a dozen. */
function tickOf(length, most) {
  return [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400].find((v) => length / v <= most) ?? 86400;
}

export function drawLanes() {
  const box = $("#lanes");
  if (!box || !S.hello || S.mode !== "replay") return;
  const [W, H] = [box.clientWidth, box.clientHeight];
  if (!W) return;
  const u = em();
  const phone = W < 600;
  const left = (phone ? 80 : 112) * u;
  const right = W - (phone ? 14 : 20) * u;
  const [from, to] = span();
  const x = (t) => left + (right - left) * ((t - from) / Math.max(1e-9, to - from));
  scale = { x, left, right, height: H };
  set(box, "aria-valuemin", String(from));
  set(box, "aria-valuemax", String(to));
  const out = [];
  // The playhead's grip stands between the times and the lanes, and covers neither.
  const axis = 27 * u;
  const tick = tickOf(to - from, phone ? 4 : 12);
  const text = (at, y, words, cls, anchor) => s("text", { x: at, y, class: cls, "text-anchor": anchor }, words);
  // At round times of the clock, where the log has one.
  const clock = (((S.utcBase ?? 0) / 1000 + S.utcOffset) % tick + tick) % tick;
  for (let t = Math.ceil((from + clock) / tick) * tick - clock; t <= to + 1e-6; t += tick) {
    out.push(s("line", { class: "rule", x1: x(t), x2: x(t), y1: axis - 4 * u, y2: H }), text(x(t), 11 * u, time(t, 0), "ax", x(t) > right - 30 * u ? "end" : x(t) < left + 30 * u ? "start" : "middle"));
  }
  const rooms = (S.lanes?.rooms ?? []).slice(0, ROOMS_MAX);
  if (!phone && rooms.length) out.push(text(left - 9 * u, 11 * u, "most", "ax", "end"));
  const below = S.compare ? 4 : 3;
  const lane = (H - axis - 6 * u) / (rooms.length + below * 0.82 + 0.2);
  const most = Math.max(1, ...rooms.map((r) => r.most));
  let y = axis;
  for (const room of rooms) {
    out.push(...drawRoom(room, { y, lane, u, x, from, to, left, phone, most, text }));
    y += lane;
  }
  const row = (name, draw) => {
    const high = lane * 0.82;
    const middle = y + high / 2 + u;
    out.push(text(16 * u, middle + 4 * u, name, ""), s("line", { class: "rule", x1: x(from), x2: x(to), y1: y + high, y2: y + high }));
    draw(middle, high);
    y += high;
  };
  row(S.compare ? "A recorded" : "Commands", (c, high) => out.push(...tickMarks(commands(), x, c, high, u)));
  if (S.compare) {
    row(S.compare.from_s === null ? "B" : "B what if", (c, high) => {
      if (S.compare.from_s !== null) out.push(s("rect", { class: "guess", x: x(S.compare.from_s), y: c - high / 2 + 2, width: Math.max(0, x(to) - x(S.compare.from_s)), height: high - 4, fill: "url(#guess)" }));
      out.push(...tickMarks((S.runs.B?.events ?? []).filter((e) => e.kind === "command").map((e) => ({ ...e, id: null })), x, c, high, u),
        ...clusters(S.compare.list, (d) => x(d.at_s), MARK_NEAR_PX * u).map((group) => differs(group, x, c, u, text)));
    });
  }
  row("Late", (c) => {
    const late = commands().filter((e) => e.late);
    late.forEach((e, i) => {
      out.push(s("g", { "data-command": e.id }, s("path", { class: "late", d: `M${x(e.t_s)} ${c - 6 * u}l${6 * u} ${11 * u}h${-12 * u}z` }), s("title", {}, `${time(e.t_s)} ${e.rule}: ${e.blame}`)));
      if (phone || i !== late.length - 1) return;
      // Behind the last one, or before it where there is room between it and its neighbour.
      const words = `${ms(e.engine_us)} of ${e.budget_us / 1000} ms${e.blame ? `, ${e.blame.split(" took")[0]}` : ""}`;
      const wide = words.length * 5.6 * u + 10 * u;
      const before = i ? x(late[i - 1].t_s) + 6 * u : left;
      if (x(e.t_s) + wide < right) out.push(text(x(e.t_s) + 10 * u, c + 4 * u, words, ""));
      else if (x(e.t_s) - wide > before) out.push(text(x(e.t_s) - 10 * u, c + 4 * u, words, "", "end"));
    });
    if (!late.length) out.push(text(left + 6 * u, c + 4 * u, "nothing was late", "ax"));
  });
  row("Sensors", (c) => out.push(...drawTroubles(c, { u, x, to, phone, text, left, right })));
  const svg = box.querySelector("svg");
  const pattern = (id, size, cls) => s("pattern", { id, width: size, height: size, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, s("path", { class: cls, d: `M0 0V${size}`, "stroke-width": 1.2 }));
  svg.firstChild.replaceChildren(s("defs", {}, pattern("missing", 5, "missing-line"), pattern("guess", 7, "guess-line")), ...out);
  drawPlayhead();
}

function drawRoom(room, { y, lane, u, x, from, to, left, phone, most, text }) {
  const foot = y + lane - 3 * u;
  const high = (lane - 6 * u) / Math.max(most, 2);
  let d = `M${x(from).toFixed(1)} ${foot}`;
  let before = 0;
  for (const [t, n] of room.steps) {
    d += `L${x(t).toFixed(1)} ${(foot - before * high).toFixed(1)}L${x(t).toFixed(1)} ${(foot - n * high).toFixed(1)}`;
    before = n;
  }
  d += `L${x(to).toFixed(1)} ${(foot - before * high).toFixed(1)}L${x(to).toFixed(1)} ${foot}Z`;
  const out = [text(16 * u, foot - u, room.name, ""), s("line", { class: "rule", x1: x(from), x2: x(to), y1: foot + 0.5, y2: foot + 0.5 }), s("path", { class: "people", d, "stroke-width": u })];
  for (const [a, b, state] of room.recorder ?? []) {
    if (state !== "recording" && state !== "paused") continue;
    out.push(s("rect", { class: state === "recording" ? "recording" : "paused", x: x(a), y: foot - 1.5 * u, width: Math.max(1, x(b) - x(a)), height: 3 * u }));
    if (!phone && x(b) - x(a) > 70 * u) out.push(text(x(a) + 8 * u, foot - 5 * u, state === "recording" ? "● rec" : "❚❚ paused", "st"));
  }
  if (!phone) out.push(text(left - 9 * u, foot - u, whole(room.most), "ax", "end"));
  return out;
}

/** Neighbours in time that would be drawn over one another, together. */
function clusters(list, at, near) {
  const all = [];
  for (const item of [...list].sort((a, b) => at(a) - at(b))) {
    const group = all.at(-1);
    if (group && at(item) - at(group[0]) < near) group.push(item);
    else all.push([item]);
  }
  return all;
}

const titled = (list, line) => s("title", {}, list.slice(0, 8).map(line).join("\n") + (list.length > 8 ? `\nand ${list.length - 8} more` : ""));

/** Commands as ticks: heavier from the level privacy on, higher the more of them stand in one. */
function tickMarks(list, x, c, high, u) {
  return clusters(list, (e) => x(e.t_s), TICK_NEAR_PX * u).map((group) => {
    const selected = group.find((e) => e.id && is("command", e.id));
    const [big, first] = [group.find((e) => BIG.includes(e.level)), selected ?? group[0]];
    const at = x(first.t_s);
    const tall = Math.min(high - 3 * u, (8 + 2 * Math.log2(group.length)) * u);
    const g = s("g", first.id ? { "data-command": (selected ?? big ?? first).id, class: "tickmark" } : {},
      s("rect", { class: "reach", x: at - 2 * u, y: c - high / 2, width: TICK_NEAR_PX * u, height: high }),
      s("rect", { class: selected ? "mark sel" : "mark", x: at - (big ? 1.25 : 0.5) * u, y: c - tall / 2, width: (big ? 2.5 : 1) * u, height: tall }),
      titled(group, (e) => `${time(e.t_s)} ${e.rule}: ${e.why}`));
    if (selected) g.append(s("circle", { class: "ring", cx: at, cy: c, r: 8.5 * u, "stroke-width": 1.5 * u }));
    return g;
  });
}

/** A difference by its mark, several by their number. */
function differs(group, x, c, u, text) {
  const one = group.length === 1;
  const words = one ? group[0].mark : String(group.length);
  const wide = (one ? 15 : 9 + 6 * words.length) * u;
  // It begins where the first of them is.
  const at = x(group[0].at_s) - 7.5 * u;
  return s("g", { "data-at": group[0].at_s, class: "tickmark" },
    s("rect", { class: "differs", x: at, y: c - 7.5 * u, width: wide, height: 15 * u, rx: 7.5 * u, "stroke-width": 1.4 * u }),
    text(at + wide / 2, c + 4 * u, words, "differs", "middle"),
    titled(group, (d) => `${time(d.at_s)} ${d.mark} ${d.title}`));
}

function drawTroubles(c, { u, x, to, phone, text, left, right }) {
  const out = [];
  let free = left;
  for (const m of S.lanes?.troubles ?? []) {
    const a = x(m.from_s);
    const b = x(m.to_s ?? to);
    const words = phone ? 0 : m.text.length * 5.6 * u;
    if (m.kind === "dead") {
      out.push(s("rect", { class: "dead", x: a, y: c - 4 * u, width: Math.max(2, b - a), height: 8 * u, fill: "url(#missing)" }));
      if (words && a - words - 6 * u > free) out.push(text(a - 6 * u, c + 4 * u, m.text, "", "end"));
      free = Math.max(free, b);
    } else {
      out.push(s("rect", { class: "gap", x: a, y: c - 6 * u, width: Math.max(3 * u, b - a), height: 12 * u }));
      if (words && a + words + 8 * u < right && a > free) {
        out.push(text(Math.max(a, b) + 8 * u, c + 4 * u, m.text, ""));
        free = Math.max(a, b) + words + 14 * u;
      }
    }
  }
  if (!out.length) out.push(text(left + 6 * u, c + 4 * u, "no gap, and nobody silent", "ax"));
  return out;
}

/** The head of a replay: what was verified, and what is in it. */
export function replayHead() {
  const { about } = S.hello;
  if (!about) return [];
  const v = S.verified ?? about.verified;
  const checked = v ? [[v.ok ? `✓ ${whole(v.equal)}` : `✕ ${whole(v.equal)}`, v.ok ? "" : "bad big", "span"], [`of ${whole(v.of)}`, v.ok ? "sec wide" : "sec"]] : [["…", ""], ["being verified", "sec"]];
  const late = commands().filter((e) => e.late).length;
  return [
    ["Decisions verified", ...checked],
    ["Decision digest", [about.digest ?? "–", "digest", "span"]],
    ["Commands", [whole(about.commands ?? commands().length), ""]],
    ["Late", late ? [`▲ ${late}`, "bad big", "span"] : ["0", ""]],
    ["Gaps", [whole(about.gaps.n), ""], ...(about.gaps.n ? [[`of ${about.gaps.s.toFixed(1)} s`, "sec"]] : [])],
    ["Lost", [whole(about.lost), ""]],
  ];
}

export function nameReplay() {
  const [from, to] = span();
  const b = $("#clock");
  say(b, S.hello.about?.name ?? "recording");
  say($("#date"), `${date(from)}, ${time(from, 0)} to ${time(to, 0)}`);
  drawHead();
}
