// Rules as they fire: newest first. Repeats of one rule and person are one row that counts them and stays in its place:
// a row that moves or flashes says that something else has begun.

import { $, follow, h, s, say, set } from "./dom.js";
import { budget, ms, time } from "./format.js";
import { S, is, select } from "./state.js";

const ROWS_MAX = 60;
/** A row that just fired is inverted for so long. */
const NEW_MS = 900;
/** The same again within so long is a repeat, seconds. */
const REPEAT_S = 5;
const BAR_W = 43;

/** What was put under a key first. */
const first = (map, key, value) => map.get(key) ?? (map.set(key, value), value);

function folded() {
  const rows = [];
  const known = new Map();
  // What a rule tells many devices at once is one thing that it does.
  const atOnce = new Map();
  const all = S.events;
  for (let i = all.length - 1; i >= 0 && rows.length <= ROWS_MAX; i--) {
    const e = all[i];
    if ((e.kind !== "command" && e.kind !== "denied") || e.t_s > S.t + 0.05) continue;
    const key = e.kind === "denied" ? `denied|${e.device}` : `${e.rule}|${e.person ?? e.track ?? first(atOnce, `${e.rule}|${e.seq}`, e.device)}`;
    let row = known.get(key);
    if (row) {
      row.n += e.count ?? 1;
      row.isOpen &&= row.first.t_s - e.t_s < REPEAT_S;
      if (row.isOpen) row.first = e;
    } else {
      row = { key, e, n: e.count ?? 1, first: e, isOpen: true, late: 0, isChosen: false };
      known.set(key, row);
      rows.push(row);
    }
    row.late += e.late ? 1 : 0;
    row.isChosen ||= !!e.id && is("command", e.id);
  }
  return rows.slice(0, ROWS_MAX).sort((a, b) => b.first.t_s - a.first.t_s);
}

function make({ key }) {
  const bar = s("svg", { class: "bud", viewBox: `0 0 ${BAR_W} 8`, preserveAspectRatio: "none", "aria-hidden": "true" },
    s("path", { class: "base", d: `M0 4H${BAR_W}` }), s("rect", { height: 8, width: 0 }), s("path", { class: "lim", d: `M${BAR_W} 0V8`, "stroke-width": 1.5 }));
  const row = h("tr", {},
    h("td", { class: "num sec" }),
    h("td", {}, h("button", {}), h("span", { class: "dim num" }), h("span", { class: "bad num" }), h("span", { class: "sec why" })),
    h("td", {}, h("span", {}), h("span", { class: "sec" })),
    h("td", { class: "lt" }),
    h("td", {}, bar, h("span", { class: "dim num" })));
  row.key = key;
  return row;
}

const isNew = ({ first }) => !first.past && performance.now() - first.at < NEW_MS;

function update(row, all) {
  const { e, n, late } = all;
  const denied = e.kind === "denied";
  [row.event, row.device] = [e.id, e.device];
  const [when, what, command, took, of] = row.children;
  // When it began, as rows stand in that order.
  say(when, time(all.first.t_s));
  say(what.children[0], denied ? "⊘ denied" : e.rule);
  say(what.children[1], n > 1 ? ` ×${n}` : "");
  say(what.children[2], late > (e.late ? 1 : 0) ? ` ▲ ${late}` : "");
  say(what.children[3], ` ${e.why}`);
  say(command.children[0], e.device);
  say(command.children[1], denied ? "" : `.${e.command}`);
  say(took, denied || e.engine_us === null ? "–" : `${e.late ? "▲ " : ""}${ms(e.engine_us)}`);
  of.querySelector("rect").setAttribute("width", denied || e.engine_us === null ? 0 : Math.min(BAR_W, (e.engine_us / e.budget_us) * BAR_W));
  say(of.lastChild, denied ? "" : budget(e.budget_us));
  set(row, "class", [e.late && "late", denied && "denied", all.isChosen && "sel", isNew(all) && "new"].filter(Boolean).join(" "));
  set(row, "title", e.late ? `${e.why}. Late: ${e.blame}` : e.why);
}

let due = 0;

export function drawLedger() {
  const rows = folded();
  follow($("#ledger-rows"), rows, (r) => r.key, make, update);
  $("#ledger-none").hidden = rows.length > 0;
  clearTimeout(due);
  if (rows.some(isNew)) due = setTimeout(drawLedger, NEW_MS / 3);
}

export function listenToLedger() {
  $("#ledger-rows").addEventListener("click", (e) => {
    const row = e.target.closest("tr");
    if (row?.event) select({ kind: "command", id: row.event });
    else if (row?.device) select({ kind: "device", id: row.device });
  });
}
