// The story panel: why a command was sent; who somebody is taken for; how a room or a device stands.

import { $, h, replace, s, say } from "./dom.js";
import { bar, SHADES } from "./figures.js";
import { ask } from "./feed.js";
import { budget, capital, ms, part, time } from "./format.js";
import { S, emit, select } from "./state.js";

const KIND = { track: "Person", zone: "Room", device: "Device", command: "Why" };
/** Stories of what changes are asked for again this often. */
const AGAIN_MS = 1000;
const ENGINE_SHADES = [3, 4, 2, 1];
/** By how much a sensor speaks later, unless it is said otherwise, and at most: what the server takes. */
const DELAY_MS = 250;
const DELAY_MS_MAX = 60_000;

/** Asks for the story of the selection. */
export function askStory() {
  if (S.sel) ask({ ask: "story", of: S.sel.kind, id: String(S.sel.id) });
}

/** The story that is shown, as it was told. */
let told = "";

export function takeStory(m) {
  if (!S.sel || m.of !== S.sel.kind || m.id !== String(S.sel.id)) return;
  // What is being pressed stays in its place for as long as nothing is to be said anew.
  const text = JSON.stringify(m);
  if (S.story && (text === told || ("answer" in S.story && !("answer" in m)))) return;
  [S.story, told] = [m, text];
  drawStory();
}

export function listenToStory() {
  setInterval(() => S.sel && S.sel.kind !== "command" && !S.held && askStory(), AGAIN_MS);
  $("#story").addEventListener("click", (e) => {
    const d = e.target.closest("[data-track],[data-device],[data-command],[data-zone],[data-copy],[data-go],[data-back],[data-what],[data-run]")?.dataset;
    if (!d) return;
    if (d.copy) copyTest(d.copy);
    else if (d.back) lookBack(d.back);
    else if (d.what) askWhatIf(d.what);
    else if (d.run) runAgain();
    else if (d.go) emit("go", Number(d.go));
    else if (d.track) select({ kind: "track", id: Number(d.track) });
    else if (d.device) select({ kind: "device", id: d.device });
    else if (d.command) select({ kind: "command", id: d.command });
    else if (d.zone) select({ kind: "zone", id: d.zone });
  });
}

// ---- what was, and what would have been ----

/** A command's moment, in the recording that the engine is making. */
function lookBack(id, whatIf) {
  const t = S.byId.get(id)?.t_s;
  emit("look-back", { t, command: id, whatIf });
}

/** Lets the reader say what is to be otherwise; only a recording can be run again. */
function askWhatIf(id) {
  const { sensor } = S.byId.get(id) ?? {};
  const whatIf = { id, sensor: sensor ?? S.hello.sensors[0]?.id, how: "without", ms: DELAY_MS };
  if (S.mode === "live") return lookBack(id, whatIf);
  S.whatIf = S.whatIf?.id === id ? null : whatIf;
  drawStory();
  $("#what select")?.focus();
}

function runAgain() {
  const { sensor, how, ms: later } = S.whatIf;
  ask({ what_if: how === "without" ? { without: [sensor] } : { delay_ms: { [sensor]: later } } });
}

/** What is asked for, to be changed and sent off. */
function whatIfForm() {
  const { sensor, how, ms: later } = S.whatIf;
  const option = (value, text, chosen) => h("option", { value, selected: value === chosen }, text);
  const sensors = h("select", { name: "sensor", "aria-label": "Sensor" }, ...S.hello.sensors.map((x) => option(x.id, x.id, sensor)));
  const hows = h("select", { name: "how", "aria-label": "What it did" }, option("without", "had not been there", how), option("delay", "had spoken later", how));
  const delay = h("input", { name: "ms", type: "number", min: 1, max: DELAY_MS_MAX, step: 1, value: later, "aria-label": "Milliseconds later" });
  const box = h("div", { id: "what", role: "group", "aria-label": "What if" }, h("span", {}, "What if"), sensors, hows,
    how === "delay" && h("span", {}, "by ", delay, " ms"), h("button", { class: "btn", "data-run": 1, disabled: !!S.running }, S.running ? "Running it again" : "Run it again"));
  box.addEventListener("change", () => {
    const ms_ = Math.round(Math.min(DELAY_MS_MAX, Math.max(1, Number(delay.value) || DELAY_MS)));
    const was = S.whatIf.how;
    S.whatIf = { ...S.whatIf, sensor: sensors.value, how: hows.value, ms: ms_ };
    if (hows.value !== was) {
      drawStory();
      $("#what [name=how]")?.focus();
    }
  });
  return box;
}

// ---- a moment as a test ----

let copying = false;

function copyTest(at) {
  copying = true;
  ask({ test: Number(at) });
}

export async function takeTest(m) {
  if (!copying) return;
  copying = false;
  try {
    await navigator.clipboard.writeText(m.text);
    say($("#said"), "The test is on the clipboard.");
  } catch {
    // Without leave to use the clipboard the text is shown, to be copied by hand.
  }
  $("#test-text")?.remove();
  $("#story-body").append(h("pre", { id: "test-text", tabindex: 0 }, m.text));
}

// ---- drawing ----

export function drawStory() {
  const { sel, story } = S;
  say($("#story-kind"), sel ? KIND[sel.kind] : S.compare ? "Compare" : "People");
  $("#story-clear").hidden = !sel;
  const body = $("#story-body");
  if (!sel) return replace(body, S.compare ? differences(S.compare) : whoIsWhere(true));
  if (!story) return;
  const draw = { command, track: person, zone: room, device }[sel.kind];
  replace(body, draw(story));
}

/** On a wall the list of people stands below every story. */
export function drawAlso() {
  const also = $("#story-also");
  if (also.offsetParent && S.sel) replace(also, whoIsWhere(false));
  else if (also.firstChild && !S.sel) also.replaceChildren();
}

const title = (text, more) => h("h3", {}, text, more && h("span", { class: "dim" }, ` ${more}`));
const lead = (text) => h("p", { class: "lead" }, text);
const sub = (text) => h("h4", { class: "sub" }, text);
const facts = (list) => h("dl", { class: "kv" }, ...(list ?? []).flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));

function whoIsWhere(first) {
  const rooms = new Map();
  for (const t of S.runs.A.tracks.values()) {
    const unit = S.plan?.unitAt(t.x, t.y, t.level);
    const name = unit?.name ?? "Elsewhere";
    (rooms.get(name) ?? rooms.set(name, []).get(name)).push(t);
  }
  const rows = [...rooms].sort((a, b) => b[1].length - a[1].length || a[0].localeCompare(b[0])).flatMap(([name, list]) =>
    list.sort((a, b) => a.id - b.id).map((t, i) => h("li", {}, h("button", { "data-track": t.id },
      h("span", { class: "tt" }, i ? "" : name), h("span", {}, t.person ?? "unknown", h("span", { class: "dim" }, ` #${t.id}`)),
      h("span", { class: "num sec" }, t.lost ? "lost" : t.person ? t.p.toFixed(2) : "?")))));
  if (!rows.length) return [title(S.runs.A.now ? "Nobody is in the building" : "Starting"), lead(S.runs.A.now ? "The rooms are dark. Whoever comes in will stand here." : "No picture yet.")];
  return [title("Who is where"), first && lead("Select a person, room, device or command to see why."), h("ul", { class: "rows" }, ...rows)].filter(Boolean);
}

/** Where two runs part. */
function differences(m) {
  const words = { "−": "only in A", "+": "only in B", "Δ": "changed" };
  const first = m.list[0];
  const lead_ = first ? `First difference ${time(first.at_s)}. ${m.note ?? ""}` : "Both runs send the same commands.";
  const item = (d) => h("li", { class: "plain" }, h("span", { class: "n" }, d.mark), h("div", {},
    h("div", { class: "k" }, time(d.at_s)), h("button", { class: "v", "data-go": d.at_s }, d.title), h("div", { class: "x" }, d.text)), h("div", { class: "dt" }, h("small", {}, words[d.mark])));
  return [title("Where A and B part"), lead(lead_), h("ol", { class: "chain" }, ...m.list.slice(0, 60).map(item)),
    facts([["Commands", `A ${m.counts.a}, B ${m.counts.b}, equal ${m.counts.equal}`], ...(m.facts ?? [])])];
}

function followed(heading, list, none) {
  const row = (e) => e.kind === "command"
    ? h("li", {}, h("button", { "data-command": e.id }, h("span", { class: "tt" }, time(e.t_s, 1)), h("span", {}, h("b", {}, e.rule), " ", h("span", { class: "sec" }, `${e.device}.${e.command}`)), h("span", { class: "num sec" }, e.engine_us === null ? "" : `${ms(e.engine_us)} ms`)))
    : h("li", {}, h("button", e.kind === "denied" ? { "data-device": e.device } : { "data-track": e.track }, h("span", { class: "tt" }, time(e.t_s, 1)), h("span", {}, e.why), h("span", { class: "num sec" }, "")));
  const rows = (list ?? []).map(row);
  return [sub(heading), h("ul", { class: "rows" }, ...(rows.length ? rows : [h("li", { class: "dim" }, none)]))];
}

// ---- a command ----

function took(link) {
  if (link.took_us === null || link.took_us === undefined) return h("div", { class: "dt" });
  const sign = link.took_us < 0 ? "−" : "+";
  return h("div", { class: "dt" }, `${sign}${part(Math.abs(link.took_us))} ms`, h("small", {}, link.of ?? ""));
}

function linkItem(link, story) {
  const reach = link.device ? { "data-device": link.device } : link.track !== undefined ? { "data-track": link.track } : null;
  const head = link.title && (reach ? h("button", { class: "v", ...reach }, link.title) : h("div", { class: "v" }, link.title));
  const marks = { yes: "✓", no: "✕", unknown: "?" };
  const verb = { frame: "measured", command: "decided" }[link.kind];
  const when = verb && link.at_s !== undefined ? `${verb} ${time(link.at_s)}` : null;
  const detail = (link.kind === "frame" ? [...(link.detail ?? []), when] : [when, ...(link.detail ?? [])]).filter(Boolean).join(", ");
  return h("li", {}, h("span", { class: "n" }, String(link.n)), h("div", {},
    h("div", { class: "k" }, link.what ?? capital(link.kind)), head,
    ...(link.conditions ?? []).map((c) => h("div", { class: "cond" }, h("i", { role: "img", "aria-label": c.ok }, marks[c.ok]), h("span", {}, c.text))),
    link.kind === "rule" && story.rule && ruleText(story.rule),
    detail && h("div", { class: "x" }, detail)), took(link));
}

function ruleText(rule) {
  const lines = rule.lines.slice(1, -1);
  const indent = Math.min(...lines.filter((l) => l.text.trim()).map((l) => l.text.length - l.text.trimStart().length));
  return h("pre", {}, ...lines.map((l) => h(l.decides ? "b" : "span", {}, l.text.slice(indent), "\n")));
}

function command(m) {
  if (!m.links) return [title(m.title), lead(m.lead)];
  const out = [title(m.title), lead(m.lead), h("ol", { class: "chain" }, ...m.links.map((l) => linkItem(l, m)))];
  const bars = [];
  if (m.engine) {
    const late = m.engine_us > m.budget_us;
    const against = late ? h("span", { class: "bad" }, `▲ late by ${part(m.engine_us - m.budget_us)} ms`) : h("span", { class: "sec" }, `budget ${budget(m.budget_us)}`);
    bars.push(h("div", { class: "bar" }, h("div", { class: "t" }, h("b", {}, `Engine ${part(m.engine_us)} ms`), against),
      ...bar(m.engine.map(([name, v], i) => [name, v, ENGINE_SHADES[i % ENGINE_SHADES.length]]), Math.max(m.engine_us, m.budget_us), m.budget_us),
      m.blame && h("div", { class: "late-why bad" }, m.blame)));
  }
  if (m.human) {
    const total = m.human.reduce((sum, [, v]) => sum + v, 0);
    bars.push(h("div", { class: "bar" }, h("div", { class: "t" }, h("b", {}, `Human ${part(total)} ms`), h("span", { class: "sec" }, "true event to device report")),
      ...bar(m.human.map(([name, v]) => [name, v, SHADES[name]]), total)));
  }
  if (bars.length) out.push(h("div", { class: "bars" }, ...bars));
  if (m.nearest_miss?.length) out.push(sub("Nearest miss"), ...m.nearest_miss.map((x) => h("div", { class: "x sec" }, x.text ?? x)));
  if (m.caution) out.push(h("p", { class: "lead" }, m.caution));
  const replay = S.mode === "replay";
  const moment = replay ? h("button", { class: "btn", "data-go": m.at_s }, "Go to the moment") : S.hello.recording && h("button", { class: "btn", "data-back": m.id }, "Open in replay");
  const what = (replay || S.hello.recording) && h("button", { class: "btn", "data-what": m.id, "aria-expanded": String(S.whatIf?.id === m.id) }, "What if…");
  out.push(h("div", { class: "acts" }, h("button", { class: "btn", "data-copy": m.at_s }, "Copy as test"), moment, what));
  if (replay && S.whatIf?.id === m.id) out.push(whatIfForm());
  return out;
}

// ---- a person ----

function person(m) {
  if (!m.facts) return [title(m.title), lead(m.lead)];
  const since = m.since_s !== null && m.since_s !== undefined ? `${m.lead.replace(/\.$/, "")} since ${time(m.since_s, 0)}.` : m.lead;
  const bars = m.identity.flatMap(({ person: who, p }) => [
    h("span", { class: who === "unknown" ? "dim" : "" }, who),
    s("svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" }, s("rect", { class: who === "unknown" ? "un" : "id", width: (p * 100).toFixed(2), height: 1 })),
    h("span", { class: "r num" }, p.toFixed(2))]);
  const why = m.evidence.length ? m.evidence.slice(-6).map((e) => h("div", { class: "cond" }, h("span", { class: "num" }, time(e.at_s, 0)), h("span", {}, e.text))) : [h("div", { class: "cond dim" }, "Nothing has said who this is.")];
  return [title(m.track === undefined ? m.title : capital(m.title), `#${m.track}`), lead(since), h("div", { class: "idb" }, ...bars), facts(m.facts),
    sub("Why we think so"), ...why, ...followed("What followed", m.followed, "No rule has named this person."),
    ...(m.nearest_miss?.length ? [sub("Nearest miss"), ...m.nearest_miss.map((x) => h("div", { class: "cond" }, x.text ?? x))] : [])];
}

// ---- a room ----

function room(m) {
  if (!m.facts) return [title(m.title), lead(m.lead)];
  const people = (m.people ?? []).map((p) => h("li", {}, h("button", { "data-track": p.track }, h("span", { class: "tt" }, `#${p.track}`), h("span", {}, p.person ?? "unknown"), h("span", { class: "num sec" }, p.lost ? "lost" : p.person ? p.p.toFixed(2) : "?"))));
  const devices = (m.devices ?? []).map(([id, how]) => h("li", {}, h("button", { "data-device": id }, h("span", { class: "tt" }, id.split(".").pop()), h("span", {}, how), h("span", {}, ""))));
  return [title(m.title), lead(m.lead), people.length ? h("ul", { class: "rows" }, ...people) : null,
    sub("Devices and who holds them"), h("ul", { class: "rows" }, ...(devices.length ? devices : [h("li", { class: "dim" }, "No device acts here.")])),
    ...followed("What happened here", m.followed, "Nothing that is remembered."), sub("What looks here"), facts(m.facts)].filter(Boolean);
}

// ---- a device ----

function device(m) {
  if (!m.facts) return [title(m.title), lead(m.lead)];
  const mark = { dead: h("span", { class: "bad" }, "✕ "), degraded: h("span", { class: "doubt" }, "◐ ") }[m.health];
  return [title(m.title), h("p", { class: "lead" }, mark, m.lead), facts(m.facts), ...followed(m.health === undefined ? "Commands" : "What it showed and decided", m.followed, "Nothing that is remembered.")];
}
