// The keyboard, and the map of it.

import { $, h } from "./dom.js";
import { S, commands, select } from "./state.js";

const LIVE = [
  ["P, R, D, C", "next person, room, device, command; with Shift the one before"],
  ["F", "bring the selection to the middle"],
  ["1, 2, …", "level, from the lowest"],
  ["+, −, 0", "zoom in, out, fit"],
  ["Space", "hold the picture, and go on"],
  ["T", "dark or light"],
  ["?", "this map"],
  ["Esc", "clear the selection"],
];
const REPLAY = [
  ["Space", "play, hold"],
  ["← →", "one scan back, on; with Shift five seconds"],
  ["Home, End", "the first instant, the last"],
  ["[ ]", "slower, faster"],
  [", .", "the event before, the next"],
  ["L", "the next late command"],
  ["X", "compare two runs"],
];

const cycle = (list, current, by) => (list.length ? list[(list.indexOf(current) + by + (list.includes(current) || by > 0 ? 0 : 1) + list.length) % list.length] : undefined);

function next(kind, by) {
  const current = S.sel?.kind === kind ? S.sel.id : undefined;
  const here = (x) => x.level === S.level;
  const lists = {
    track: () => [...S.runs.A.tracks.values()].filter(here).map((t) => t.id),
    zone: () => S.plan.units.filter(here).map((u) => u.id),
    device: () => S.plan.devices.filter((d) => here(d) && d.x_m !== null).map((d) => d.id),
    command: () => commands().map((e) => e.id).reverse(),
  };
  const id = cycle(lists[kind](), current, by);
  if (id !== undefined) select({ kind, id });
}

/** Listens to the keyboard; `act` does what buttons do, `replay` what only a replay can. */
export function listenToKeys(act, replay) {
  const list = $("#keymap dl");
  const fill = () => list.replaceChildren(...[...LIVE.filter(([k]) => S.mode === "live" || k !== "Space"), ...(S.mode === "replay" ? REPLAY : [])].flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));
  addEventListener("keydown", (e) => {
    if (!S.plan || e.ctrlKey || e.metaKey || e.altKey || /INPUT|SELECT|TEXTAREA/.test(e.target.tagName)) return;
    const by = e.shiftKey ? -1 : 1;
    const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
    const levels = [...S.plan.levels].sort((a, b) => a.ordinal - b.ordinal);
    const kinds = { p: "track", r: "zone", d: "device", c: "command" };
    if (kinds[key]) next(kinds[key], by);
    else if (key >= "1" && key <= "9" && levels[key - 1]) act("level", levels[key - 1].id);
    else if (key === "Escape") act("clear");
    else if (key === "t") act("theme");
    else if (key === "?") {
      fill();
      act("help");
    } else if (key === "+" || key === "=") act("in");
    else if (key === "-" || key === "−") act("out");
    else if (key === "0") act("fit");
    else if (key === "f") act("focus");
    else if (key === " " && !e.target.closest("button")) {
      e.preventDefault();
      act("hold");
    } else if (S.mode === "replay") replay(e, key, by);
  });
  fill();
  return fill;
}
