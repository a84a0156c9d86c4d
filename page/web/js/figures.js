// Figures: the six in the head, latency against the budget, sensors, what was dropped and refused.

import { $, em, follow, h, s, say, set } from "./dom.js";
import { ms, part, time, whole } from "./format.js";
import { S, commands, is, select } from "./state.js";
import { replayHead } from "./timeline.js";

// ---- the head ----

const KPIS = ["People", "Rules fired", "Engine p99.9", "Human p99", "Late commands", "Sensors healthy"];
let kpis = null;

/** The highest percentile that enough samples stand behind; else the largest. */
function best(figures) {
  for (const [key, name] of [["p999", "p99.9"], ["p99", "p99"]]) if (figures?.[key] != null) return [name, figures[key]];
  return ["max", figures?.max ?? null];
}

function draw(i, label, ...parts) {
  kpis ??= KPIS.map((name) => {
    const box = h("div", { class: "kpi" }, h("b", {}), h("span", {}, name));
    $("#kpis").append(box);
    return box;
  });
  const [value, name] = kpis[i].children;
  say(name, label);
  const key = parts.map(([text, cls]) => `${cls}:${text}`).join("|");
  if (value.key === key) return;
  value.key = key;
  value.replaceChildren(...parts.flatMap(([text, cls, tag = "small"], n) => [n ? " " : "", cls === "" ? text : h(tag, { class: cls }, text)]));
}

export function drawHead() {
  if (S.mode === "replay") return replayHead().forEach((kpi, i) => draw(i, ...kpi));
  const tracks = [...S.runs.A.tracks.values()];
  const unknown = tracks.filter((t) => !t.person).length;
  draw(0, "People", [String(tracks.length), ""], ...(unknown ? [[`◇ ${unknown}`, "doubt", "span"], ["unknown", "doubt wide", "span"]] : []));
  const minute = commands().filter((e) => e.t_s > S.t - 60).length;
  draw(1, "Rules fired", [String(minute), ""], ["/min", "sec"]);
  if (!S.stat) return;
  const [engineName, engine] = best(S.stat.latency.engine_us);
  const [humanName, human] = best(S.stat.latency.human_us);
  const over = engine !== null && engine > S.hello.budget_us;
  draw(2, `Engine ${engineName}`, [engine === null ? "–" : ms(engine), over ? "bad big" : "", "span"], [`of ${S.hello.budget_us / 1000} ms`, "sec"]);
  draw(3, `Human ${humanName}`, [human === null ? "–" : ms(human), ""], ["ms", "sec"]);
  const { late } = S.stat.latency;
  draw(4, "Late commands", late ? [`▲ ${late}`, "bad big", "span"] : ["0", ""]);
  const all = S.hello.sensors.length;
  const bad = Object.values(S.stat.sensors);
  const dead = bad.some(([state]) => state === "dead");
  draw(5, "Sensors healthy", [String(all - bad.length), ""], [`of ${all}`, "sec"], ...(dead ? [["✕", "bad", "span"]] : bad.length ? [["◐", "doubt", "span"]] : []));
}

// ---- latency ----

const DECADES = [[10, "10 µs"], [100, "0.1 ms"], [1e3, "1 ms"], [1e4, "10"], [1e5, "100"], [1e6, "1 s"]];

function drawRail(box, engine, human) {
  const w = box.clientWidth - 2 * parseFloat(getComputedStyle(box).paddingLeft);
  if (w <= 0) return;
  const u = em();
  const x = (us) => ((Math.min(6, Math.max(1, Math.log10(Math.max(1, us)))) - 1) / 5) * w;
  const foot = 48 * u;
  const limit = S.hello.budget_us;
  const out = [];
  for (const [v, name] of DECADES) {
    const q = v === limit;
    out.push(s("line", { class: `tick${q ? " q" : ""}`, x1: x(v), x2: x(v), y1: 6 * u, y2: foot + 4 * u }));
    const anchor = v === 10 ? "start" : v === 1e6 ? "end" : "middle";
    out.push(s("text", { class: q ? "q" : "", x: x(v), y: foot + 15 * u, "text-anchor": anchor }, q ? `${limit / 1000} ms budget` : name));
  }
  if (!DECADES.some(([v]) => v === limit)) out.push(s("line", { class: "tick q", x1: x(limit), x2: x(limit), y1: 6 * u, y2: foot + 4 * u }));
  for (const [name, f, y, cls, against] of [["Engine", engine, 18 * u, "engine", limit], ["Human", human, 40 * u, "human", Infinity]]) {
    if (!f?.n) {
      out.push(s("text", { class: "none", x: 0, y: y + 4 * u }, `${name}: nothing in the last minute`));
      continue;
    }
    const g = s("g", { class: cls }, s("line", { x1: x(f.p50), x2: x(f.max), y1: y, y2: y, "stroke-width": 1.25 * u }), s("circle", { cx: x(f.p50), cy: y, r: 4 * u }));
    for (const v of [f.p99, f.p999]) if (v !== null) g.append(s("rect", { x: x(v) - 1.25 * u, y: y - 6 * u, width: 2.5 * u, height: 12 * u, stroke: "none" }));
    if (f.max > against) g.append(s("path", { class: "over", d: `M${x(f.max)} ${y - 6 * u}l${5 * u} ${9 * u}h${-10 * u}z` }));
    else g.append(s("line", { x1: x(f.max), x2: x(f.max), y1: y - 4 * u, y2: y + 4 * u, "stroke-width": 1.25 * u }));
    const left = x(f.p50) > 46 * u;
    out.push(g, s("text", { class: "h", x: left ? x(f.p50) - 8 * u : x(f.max) + 9 * u, y: y + 4 * u, "text-anchor": left ? "end" : "start" }, name));
  }
  box.replaceChildren(s("svg", { role: "img", "aria-label": `Engine median ${ms(engine?.p50)} ms, largest ${ms(engine?.max)} ms; human median ${ms(human?.p50)} ms; budget ${limit / 1000} ms` }, ...out));
}

/** A bar of parts, `[name, microseconds, shade]`, against a total; with a limit where there is one. */
export function bar(parts, total, limit) {
  const shown = parts.filter(([, v]) => v > 0);
  const out = [s("line", { class: "base", x1: 0, x2: 1000, y1: 13, y2: 13, "vector-effect": "non-scaling-stroke" })];
  let at = 0;
  for (const [, v, shade] of shown) {
    const w = Math.max(4, (v / total) * 1000);
    out.push(s("rect", { class: `s${shade}`, x: at, y: 3, width: Math.max(2, w - 2), height: 10 }));
    at += w;
  }
  if (limit) out.push(s("line", { class: "lim", x1: (limit / total) * 1000, x2: (limit / total) * 1000, y1: 0, y2: 16, "vector-effect": "non-scaling-stroke" }));
  const legend = shown.map(([name, v, shade]) => h("span", {}, s("svg", { viewBox: "0 0 8 8", "aria-hidden": "true" }, s("rect", { class: `s${shade}`, width: 8, height: 8 })), `${name} ${part(v)}`));
  return [s("svg", { viewBox: "0 0 1000 16", preserveAspectRatio: "none", "aria-hidden": "true" }, ...out), h("div", { class: "l num" }, ...legend)];
}

export const SHADES = { sensing: 3, settle: 4, engine: 1, device: 2 };

export function drawLatency() {
  const { stat } = S;
  if (!stat) return;
  const { engine_us: engine, human_us: human } = stat.latency;
  drawRail($("#rail"), engine, human);
  const rows = [["Engine", engine, S.hello.budget_us], ["Human", human, Infinity]];
  follow($("#lat-rows"), rows, ([name]) => name,
    ([name]) => h("tr", {}, h("th", { class: "b", scope: "row" }, name), ...Array.from({ length: 5 }, () => h("td", {}))),
    (row, [, f, limit]) => {
      [f?.p50, f?.p99, f?.p999, f?.max].forEach((v, i) => {
        say(row.children[i + 1], ms(v ?? null));
        set(row.children[i + 1], "class", v != null && v > limit ? "bad" : "");
      });
      say(row.children[5], whole(f?.n ?? 0));
      set(row.children[5], "class", "sec");
    });
  const split = stat.human_split_us;
  const box = $("#split");
  if (!split) return box.replaceChildren();
  const parts = Object.entries(SHADES).map(([name, shade]) => [name, split[name], shade]);
  const total = parts.reduce((sum, [, v]) => sum + v, 0);
  box.replaceChildren(h("div", { class: "bar" }, h("div", { class: "t" }, h("span", { class: "sec" }, `Human p50: where ${part(total)} ms go`)), ...bar(parts, total)));
  drawMore();
}

/** The wall and the phone have room for the last ten minutes and for each rule. */
function drawMore() {
  const box = $("#more");
  if (!box.offsetParent) return;
  const w = box.clientWidth - 2 * parseFloat(getComputedStyle(box).paddingLeft);
  const u = em();
  const height = 96 * u;
  const shown = S.history.map((p) => [p.t, p.p999 ?? p.p99 ?? p.max]).filter(([, v]) => v !== null && v !== undefined);
  const [low, high] = [1, Math.max(4, ...shown.map(([, v]) => Math.ceil(Math.log10(Math.max(1, v)))))];
  const y = (us) => height - ((Math.min(high, Math.max(low, Math.log10(Math.max(1, us)))) - low) / (high - low)) * height;
  const from = S.t - 600;
  const x = (t) => ((t - from) / 600) * w;
  let d = "";
  shown.forEach(([t, v], i) => (d += `${i ? "H" : "M"}${x(t).toFixed(1)}${i ? "V" : " "}${y(v).toFixed(1)}`));
  if (shown.length) d += `H${w}`;
  const limit = S.hello.budget_us;
  const lines = [limit, limit / 10].map((v, i) => s("line", { class: i ? "base" : "lim", x1: 0, x2: w, y1: y(v), y2: y(v) }));
  const [name] = best(S.stat.latency.engine_us);
  const i = S.stat.inputs_us;
  const every = i?.n ? `Every input since the start: p50 ${ms(i.p50)}, p99 ${ms(i.p99)}, p99.9 ${ms(i.p999)}, max ${ms(i.max)} ms of ${whole(i.n)}` : "";
  box.replaceChildren(
    h("p", { class: "note every" }, every),
    h("h2", {}, `Engine ${name}, last 10 min`),
    s("svg", { role: "img", "aria-label": `Engine ${name} over ten minutes` }, ...lines, s("line", { class: "base", x1: 0, x2: w, y1: height, y2: height }),
      s("path", { class: "engine", d, "stroke-width": 1.25 * u }),
      s("text", { x: 0, y: y(limit) - 4 * u }, `${limit / 1000} ms budget`), s("text", { x: 0, y: y(limit / 10) - 4 * u }, String(limit / 1e4)),
      s("text", { x: 0, y: height + 14 * u }, time(Math.max(0, from), 0)), s("text", { x: w, y: height + 14 * u, "text-anchor": "end" }, "now")),
    h("h2", {}, "By rule, this hour"),
    h("table", { class: "pt" }, h("thead", {}, h("tr", {}, ...["Rule", "fired", "p50", "worst", "late"].map((t) => h("th", { scope: "col" }, t)))),
      h("tbody", {}, ...S.stat.rules.slice(0, 12).map((r) => h("tr", {}, h("td", {}, r.id), h("td", {}, whole(r.n)), h("td", {}, ms(r.p50_us)), h("td", {}, ms(r.max_us)), h("td", { class: r.late ? "bad" : "" }, r.late ? `▲ ${r.late}` : "0"))))));
}

// ---- sensors ----

const FAMILIES = [
  ["Position", ["position", "points", "location", "range", "tdoa", "rssi"]],
  ["Doors, motion", ["crossing", "binary"]],
  ["Identity, gaze", ["badge", "voice", "bearing", "facing", "gesture"]],
  ["Values", ["value", "count", "button"]],
];
const MARK = { dead: "✕", degraded: "◐" };

export function drawSensors() {
  const { stat, hello } = S;
  if (!hello) return;
  const families = FAMILIES.map(([name, kinds]) => [name, hello.sensors.filter((d) => kinds.includes(d.kind))]).filter(([, list]) => list.length);
  const grid = $("#cells");
  if (!grid.firstChild) {
    for (const [name, list] of families) {
      grid.append(h("span", {}, name), h("div", { class: "cells" }, ...list.map((d) => h("button", { "data-device": d.id }))));
    }
  }
  for (const cell of grid.querySelectorAll("button")) {
    const state = stat?.sensors[cell.dataset.device]?.[0] ?? "";
    set(cell, "class", `${state}${is("device", cell.dataset.device) ? " sel" : ""}`);
    set(cell, "aria-label", `${cell.dataset.device}, ${state || "healthy"}`);
    set(cell, "title", cell.dataset.device);
  }
  if (!stat) return;
  say($("#sens-note"), `${hello.sensors.length}, ${stat.topology}, ${stat.cores} ${stat.cores === 1 ? "core" : "cores"}`);
  const rows = Object.entries(stat.sensors).sort((a, b) => a[1][0].localeCompare(b[1][0])).map(([id, [state, why]]) => ({ id, mark: MARK[state], cls: state === "dead" ? "bad" : "doubt", why }));
  const { drops, refused } = stat;
  rows.push({ name: "Dropped", mark: "–", cls: "dim", why: [`${whole(drops.full)} lost`, `${whole(drops.state_replaced)} state replaced`, drops.page && `${whole(drops.page)} not shown`].filter(Boolean).join(", ") });
  const reasons = Object.entries(refused).filter(([, n]) => n).map(([why, n]) => `${whole(n)} ${why.replaceAll("_", " ")}`);
  rows.push({ name: "Refused", mark: "–", cls: "dim", why: reasons.join(", ") || "nothing" });
  const remarks = Object.entries(stat.remarked ?? {}).map(([why, n]) => `${whole(n)} ${why.replaceAll("_", " ")}`);
  if (remarks.length) rows.push({ name: "Taken, but", mark: "–", cls: "dim", why: remarks.join(", ") });
  follow($("#trouble"), rows, (r) => r.id ?? r.name,
    (r) => h("li", {}, h("i", {}), r.id ? h("button", { "data-device": r.id }) : h("span", {}), h("span", {})),
    (li, r) => {
      set(li.children[0], "class", r.cls);
      say(li.children[0], r.mark);
      say(li.children[1], r.id ?? r.name);
      say(li.children[2], r.why);
      set(li.children[2], "title", r.why);
    });
}

export function listenToSensors() {
  $("#sens").addEventListener("click", (e) => {
    const id = e.target.closest("[data-device]")?.dataset.device;
    if (id) select({ kind: "device", id });
  });
}
