// Rules as they fire: newest first, repeats of one rule and person folded into one row.

import { $, follow, h, s, say, set } from "./dom.js";
import { budget, ms, time } from "./format.js";
import { S, commands, is, select } from "./state.js";

const ROWS_MAX = 60;
/** A row that just fired is inverted for so long. */
const NEW_MS = 900;
const BAR_W = 43;

function folded() {
  const rows = [];
  const known = new Map();
  const all = commands();
  for (let i = all.length - 1; i >= 0 && rows.length <= ROWS_MAX; i--) {
    const e = all[i];
    if (e.t_s > S.t + 0.05) continue;
    const key = `${e.rule}|${e.person ?? e.track ?? e.device}`;
    const row = known.get(key);
    if (row) row.n += 1;
    else {
      const made = { key, e, n: 1 };
      known.set(key, made);
      rows.push(made);
    }
  }
  return rows.slice(0, ROWS_MAX);
}

function make({ key }) {
  const bar = s("svg", { class: "bud", viewBox: `0 0 ${BAR_W} 8`, preserveAspectRatio: "none", "aria-hidden": "true" },
    s("path", { class: "base", d: `M0 4H${BAR_W}` }), s("rect", { height: 8, width: 0 }), s("path", { class: "lim", d: `M${BAR_W} 0V8`, "stroke-width": 1.5 }));
  const row = h("tr", {},
    h("td", { class: "num sec" }),
    h("td", {}, h("button", {}), h("span", { class: "dim num" }), h("span", { class: "sec why" })),
    h("td", {}, h("span", {}), h("span", { class: "sec" })),
    h("td", { class: "lt" }),
    h("td", {}, bar, h("span", { class: "dim num" })));
  row.key = key;
  return row;
}

function update(row, { e, n }) {
  row.event = e.id;
  const [when, what, command, took, of] = row.children;
  say(when, time(e.t_s));
  say(what.children[0], e.rule);
  say(what.children[1], n > 1 ? ` ×${n}` : "");
  say(what.children[2], ` ${e.why}`);
  say(command.children[0], e.device);
  say(command.children[1], `.${e.command}`);
  say(took, e.engine_us === null ? "–" : `${e.late ? "▲ " : ""}${ms(e.engine_us)}`);
  of.querySelector("rect").setAttribute("width", e.engine_us === null ? 0 : Math.min(BAR_W, (e.engine_us / e.budget_us) * BAR_W));
  say(of.lastChild, budget(e.budget_us));
  const isNew = !e.past && performance.now() - e.at < NEW_MS;
  set(row, "class", [e.late && "late", is("command", e.id) && "sel", isNew && "new"].filter(Boolean).join(" "));
  set(row, "title", e.late ? `${e.why}. Late: ${e.blame}` : e.why);
}

let due = 0;

export function drawLedger() {
  const rows = folded();
  follow($("#ledger-rows"), rows, (r) => r.key, make, update);
  $("#ledger-none").hidden = rows.length > 0;
  clearTimeout(due);
  if (rows.some(({ e }) => !e.past && performance.now() - e.at < NEW_MS)) due = setTimeout(drawLedger, NEW_MS / 3);
}

export function listenToLedger() {
  $("#ledger-rows").addEventListener("click", (e) => {
    const id = e.target.closest("tr")?.event;
    if (id) select({ kind: "command", id });
  });
}
