// One view of one run: the floor (SVG, drawn when it changes), and over it the people (canvas, drawn every frame).

import { $, em, h, s, say, set } from "./dom.js";
import { ACTS, SENSES } from "./glyphs.js";
import { paint } from "./canvas.js";
import { roomFor } from "./plan.js";
import { S, is, select, trouble } from "./state.js";

/** Ranks of rule levels: the highest that fired wins a room. */
const RANKS = ["info", "comfort", "user", "privacy", "security", "life-safety"];
export const rank = (level) => RANKS.indexOf(level);
export const PHONE = matchMedia("(max-width: 699px)");
const FIRED_S = 1.6;
/** How long a sensor that just spoke is drawn in ink. */
const SPOKE_S = 0.5;
const STAIR_STEP_M = 0.32;
/** Where a device is drawn whose place another has: nearer first. */
const ASIDE = [[0, 0], [0, -9.5], [0, 9.5], [-9.5, 0], [9.5, 0], [-9.5, -9.5], [9.5, 9.5], [-9.5, 9.5], [9.5, -9.5], [0, -19], [0, 19], [-19, 0], [19, 0]];

const cut = (text, letters) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text);

export class View {
  constructor(stage, run) {
    this.stage = stage;
    this.run = run;
    this.svg = s("svg", { class: "map", role: "group", "aria-label": `Floor plan${run === "B" ? ", second run" : ""}` });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    stage.replaceChildren(this.svg, this.canvas);
    this.pen = this.canvas.getContext("2d");
    this.scale = 1;
    this.slots = new Map();
    this.listen();
    new ResizeObserver(() => this.resize()).observe(stage);
  }

  get r() {
    return S.runs[this.run] ?? S.runs.A;
  }
  X(x) {
    return this.ox + x * this.scale;
  }
  Y(y) {
    return this.oy - y * this.scale;
  }

  // ---- looking ----

  resize() {
    const box = this.stage.getBoundingClientRect();
    [this.W, this.H] = [box.width, box.height];
    if (!this.W || !S.plan) return;
    const dense = Math.min(2, devicePixelRatio || 1);
    this.canvas.width = Math.round(this.W * dense);
    this.canvas.height = Math.round(this.H * dense);
    this.pen.setTransform(dense, 0, 0, dense, 0, 0);
    if (!this.free) this.fit();
    this.draw();
  }

  /** On paper the people are a picture: a canvas comes out opaque, and hides the floor. */
  onPaper(is) {
    this.resize();
    this.picture?.remove();
    this.picture = is ? h("img", { src: this.canvas.toDataURL(), alt: "" }) : null;
    if (is) this.stage.append(this.picture);
    this.canvas.hidden = is;
  }

  fit() {
    const rem = em() * 16;
    const phone = PHONE.matches;
    const margin = phone ? 0.55 * rem : 1.1 * rem;
    // On a phone the switches lie over the first plan, and the name of a run in its foot.
    const top = phone ? (this.run === "A" ? 2.6 * rem : 0) : S.compare ? 1.6 * rem : 0;
    const box = this.near() ?? S.plan.levels.find((l) => l.id === S.level).box;
    this.scale = Math.min((this.W - 2 * margin) / (box[2] - box[0]), (this.H - 2 * margin - top) / (box[3] - box[1]));
    this.ox = (this.W - (box[2] + box[0]) * this.scale) / 2;
    this.oy = top + (this.H - top + (box[3] + box[1]) * this.scale) / 2;
    this.free = false;
  }

  /** On a phone a selection moves the plan to it. */
  near() {
    if (!PHONE.matches || this.all || !S.sel) return null;
    const at = this.whereIs(S.sel);
    if (!at) return null;
    const box = S.plan.levels.find((l) => l.id === S.level).box;
    const [w, hgt] = [Math.min(8.6, (box[2] - box[0]) / 2 + 0.4), Math.min(5.6, (box[3] - box[1]) / 2 + 0.4)];
    const x = Math.min(box[2] + 0.4 - w, Math.max(box[0] + w - 0.4, at[0]));
    const y = Math.min(box[3] + 0.4 - hgt, Math.max(box[1] + hgt - 0.5, at[1]));
    return [x - w, y - hgt, x + w, y + hgt];
  }

  whereIs(sel) {
    const middle = (z) => z && [(z.box[0] + z.box[2]) / 2, (z.box[1] + z.box[3]) / 2];
    if (sel.kind === "track") {
      const t = this.r.tracks.get(sel.id);
      return t && [t.x, t.y];
    }
    if (sel.kind === "zone") return middle(S.plan.zones.get(sel.id));
    if (sel.kind === "device") {
      const d = S.plan.byId.get(sel.id);
      return d?.x_m !== null && d ? [d.x_m, d.y_m] : middle(S.plan.zones.get(d?.zone));
    }
    const e = S.byId.get(sel.id);
    return e && middle(S.plan.zones.get(e.zone));
  }

  zoom(by, x = this.W / 2, y = this.H / 2) {
    const scale = Math.min(160 * em(), Math.max(3, this.scale * by));
    this.ox = x - ((x - this.ox) * scale) / this.scale;
    this.oy = y - ((y - this.oy) * scale) / this.scale;
    this.scale = scale;
    this.free = true;
    this.draw();
  }

  focus() {
    const at = S.sel && this.whereIs(S.sel);
    if (!at) return;
    this.scale = Math.max(this.scale, Math.min(this.W, this.H) / 11);
    this.ox = this.W / 2 - at[0] * this.scale;
    this.oy = this.H / 2 + at[1] * this.scale;
    this.free = true;
    this.draw();
  }

  listen() {
    const { stage } = this;
    let from = null;
    let moved = false;
    stage.addEventListener("wheel", (e) => {
      e.preventDefault();
      this.zoom(Math.exp(-e.deltaY * 0.0015), e.offsetX, e.offsetY);
    }, { passive: false });
    // Fingers on the plan: two of them zoom.
    const down = new Map();
    const spread = () => {
      const [a, b] = [...down.values()];
      return Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
    };
    stage.addEventListener("pointerdown", (e) => {
      from = [e.clientX, e.clientY];
      moved = down.size > 0;
      down.set(e.pointerId, from);
    });
    stage.addEventListener("pointermove", (e) => {
      if (down.size > 1 && down.has(e.pointerId)) {
        const before = spread();
        down.set(e.pointerId, [e.clientX, e.clientY]);
        const box = stage.getBoundingClientRect();
        const middle = [0, 1].map((i) => [...down.values()].reduce((sum, p) => sum + p[i], 0) / down.size);
        this.zoom(spread() / before, middle[0] - box.left, middle[1] - box.top);
        return;
      }
      if (!from) return;
      const [dx, dy] = [e.clientX - from[0], e.clientY - from[1]];
      if (!moved && Math.abs(dx) + Math.abs(dy) < 4) return;
      // From here on it is a drag, also where it leaves the plan.
      if (!moved) stage.setPointerCapture(e.pointerId);
      moved = true;
      this.free = true;
      this.ox += dx;
      this.oy += dy;
      from = [e.clientX, e.clientY];
      this.draw();
    });
    for (const name of ["pointerup", "pointercancel"]) {
      addEventListener(name, (e) => {
        from = null;
        down.delete(e.pointerId);
      });
    }
    this.svg.addEventListener("click", (e) => !moved && this.click(e));
  }

  click(e) {
    const box = this.stage.getBoundingClientRect();
    const [x, y] = [e.clientX - box.left, e.clientY - box.top];
    let [best, reach] = [null, 16 * em()];
    for (const t of this.r.tracks.values()) {
      if (t.level !== S.level) continue;
      const d = Math.hypot(this.X(t.x) - x, this.Y(t.y) - y);
      if (d < reach) [best, reach] = [t, d];
    }
    const device = e.target.closest("[data-device]")?.dataset.device;
    const zone = e.target.closest("[data-zone]")?.dataset.zone;
    if (best && !(device && reach > 9)) select({ kind: "track", id: best.id });
    else if (device) select({ kind: "device", id: device });
    else if (zone) select({ kind: "zone", id: zone });
    else select(null);
  }

  // ---- the floor ----

  path(points, close = true) {
    return points.map(([x, y], i) => `${i ? "L" : "M"}${this.X(x).toFixed(1)} ${this.Y(y).toFixed(1)}`).join("") + (close ? "Z" : "");
  }
  area(zone) {
    return zone.rings.map((r) => this.path(r)).join("");
  }

  draw() {
    if (!S.plan || !this.W) return;
    const { plan } = S;
    const unit = em();
    this.em = unit;
    const here = (x) => x.level === S.level;
    this.big = this.scale > 15 * unit;
    const hatch = s("pattern", { id: `hatch-${this.run}`, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      s("rect", { class: "hatch-ground", width: 6, height: 6 }), s("path", { class: "hatch-line", d: "M0 0V6" }));
    const ordinal = plan.levels.find((l) => l.id === S.level).ordinal;
    // What lies below is drawn as a ghost, so that an upper floor has its place in the building.
    const below = plan.levels.filter((l) => l.ordinal < ordinal).slice(-1);
    this.rooms = new Map();
    const zone = (z, name) => {
      const element = s("path", { class: name, "data-zone": z.id, d: this.area(z) }, s("title", {}, z.name));
      this.rooms.set(z.id, element);
      return element;
    };
    this.views = new Map();
    this.glyphs = new Map();
    const views = plan.devices.filter((d) => here(d) && d.field_of_view && S.layers.views && this.big);
    this.lit = s("g");
    this.names = s("g", { "aria-hidden": "true" });
    this.svg.replaceChildren(
      s("defs", {}, hatch),
      ...below.map((l) => s("path", { class: "ghost", d: l.rings.map((r) => this.path(r)).join("") })),
      ...plan.units.filter(here).map((u) => zone(u, "room")),
      ...plan.units.filter((u) => here(u) && u.category === "stairs").map((u) => this.stairs(u)),
      ...plan.fixtures.filter((f) => here(f) && f.category !== "wall").map((f) => s("path", { class: `furn ${f.category}`, d: this.path(f.outline, f.outline.length > 2) })),
      ...(S.layers.zones ? plan.fences.filter(here).map((f) => zone(f, "fence")) : []),
      ...views.map((d) => {
        const element = s("path", { class: "fov", d: this.path(d.field_of_view) });
        this.views.set(d.id, element);
        return element;
      }),
      s("path", { class: "wall glass", d: this.walls((w) => w.glass) }),
      s("path", { class: "wall railing", d: this.walls((w) => w.railing) }),
      s("path", { class: "wall", d: this.walls((w) => !w.glass && !w.railing && !w.outer) }),
      s("path", { class: "wall outer", d: this.walls((w) => !w.glass && !w.railing && w.outer) }),
      ...(this.big ? plan.doors.filter(here).map((d) => this.door(d)) : []),
      this.lit,
      ...(S.layers.devices && this.big ? this.placeDevices(plan.devices.filter((d) => here(d) && d.x_m !== null)) : []),
      this.names,
    );
    const box = plan.levels.find((l) => l.id === S.level).box;
    [this.left, this.right] = [this.X(box[0]), this.X(box[2])];
    this.key = this.painted = "";
    this.drawScale();
    this.frame(performance.now());
  }

  walls(which) {
    return S.plan.walls.filter((w) => w.level === S.level && which(w)).map((w) => this.path([w.at.slice(0, 2), w.at.slice(2)], false)).join("");
  }

  stairs(u) {
    const [x0, y0, x1, y1] = u.box;
    const across = x1 - x0 >= y1 - y0;
    let d = "";
    const [from, to] = across ? [x0 + (x1 - x0) * 0.28, x1 - 0.3] : [y0 + (y1 - y0) * 0.28, y1 - 0.3];
    for (let at = from; at <= to; at += STAIR_STEP_M) {
      d += across ? this.path([[at, y0 + 0.3], [at, y1 - 0.3]], false) : this.path([[x0 + 0.3, at], [x1 - 0.3, at]], false);
    }
    return s("path", { class: "tread", d });
  }

  door({ hinge, end, n, sign }) {
    const length = Math.hypot(end[0] - hinge[0], end[1] - hinge[1]);
    const tip = [hinge[0] + n[0] * length, hinge[1] + n[1] * length];
    const r = (length * this.scale).toFixed(1);
    return s("path", { class: "door", d: `${this.path([hinge, tip], false)}A${r} ${r} 0 0 ${sign > 0 ? 1 : 0} ${this.X(end[0]).toFixed(1)} ${this.Y(end[1]).toFixed(1)}` });
  }

  /** Devices that stand on one another are moved apart, so that each can be seen and clicked. */
  placeDevices(devices) {
    const taken = [];
    this.deviceBoxes = [];
    return devices.map((d) => {
      const [x0, y0] = [this.X(d.x_m), this.Y(d.y_m)];
      const free = ([dx, dy]) => !taken.some(([a, b]) => Math.hypot(a - x0 - dx * this.em, b - y0 - dy * this.em) < 8.5 * this.em);
      const [dx, dy] = ASIDE.find(free) ?? [0, 0];
      const [x, y] = [x0 + dx * this.em, y0 + dy * this.em];
      taken.push([x, y]);
      this.deviceBoxes.push([x - 5 * this.em, y - 5 * this.em, x + 5 * this.em, y + 5 * this.em]);
      const shapes = (d.senses ? SENSES : ACTS)[d.kind] ?? [];
      const cls = d.senses ? "s" : "a";
      const element = s("g", { class: "dev", "data-device": d.id, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${this.em * 0.92})` },
        s("rect", { class: "t", x: -8, y: -8, width: 16, height: 16 }),
        ...shapes.map(([tag, attributes]) => s(tag, { class: cls, ...attributes })),
        s("title", {}, d.id));
      this.glyphs.set(d.id, { element, x, y });
      return element;
    });
  }

  drawScale() {
    const line = $(".scale path");
    if (!line || this.run === "B") return;
    const metres = [50, 20, 10, 5, 2, 1].find((m) => m * this.scale <= 78 * this.em) ?? 1;
    const w = metres * this.scale;
    line.setAttribute("d", `M.5 0V5.5H${w.toFixed(1)}V0`);
    line.parentElement.style.width = `${w + 1}px`;
    say($("#scale"), `${metres} m`);
  }

  // ---- what changes ----

  /** Rules that fired just now, by room: the highest level wins. */
  hot() {
    const rooms = new Map();
    const events = this.run === "B" ? this.r.events : S.events;
    for (let i = events.length - 1; i >= 0 && events[i].t_s > S.t - 30; i--) {
      const e = events[i];
      if (e.kind !== "command" || e.t_s > S.t || S.t - e.t_s > FIRED_S || !e.zone) continue;
      const known = rooms.get(e.zone);
      if (!known || rank(e.level) > rank(known.level)) rooms.set(e.zone, e);
    }
    return rooms;
  }

  frame(now) {
    if (!this.W || !this.rooms) return;
    const hot = this.hot();
    const chain = S.sel?.kind === "command" ? S.byId.get(S.sel.id) : null;
    const key = JSON.stringify([[...this.r.zones], [...hot.values()].map((e) => e.id), S.sel, S.level, Math.round(this.scale * 10), this.recorderStates(), S.stat?.sensors, S.layers]);
    if (key !== this.key) {
      this.key = key;
      this.dress(hot, chain);
    }
    this.spoke(hot);
    paint(this, now, chain);
  }

  recorderStates() {
    return [...S.plan.recorders.values()].map((id) => this.r.devices.get(id)?.[0]);
  }

  dress(hot, chain) {
    for (const [id, element] of this.rooms) {
      const zone = S.plan.zones.get(id);
      const [n, how] = this.r.zones.get(id) ?? [0, "known"];
      const state = zone.fence ? (n ? " occ" : "") : how === "unknown" && this.doubtful(zone, n) ? " unk" : n || how === "motion" ? " occ" : "";
      set(element, "class", `${zone.fence ? "fence" : "room"}${state}${zone.fence && is("zone", id) ? " sel" : ""}`);
      if (!zone.fence) element.style.fill = state === " unk" ? `url(#hatch-${this.run})` : "";
    }
    for (const [id, element] of this.views) {
      const dead = trouble(id)?.[0] === "dead" || S.compare?.without?.includes(id) && this.run === "B";
      set(element, "class", `fov${dead ? " dead" : ""}${is("device", id) || chain?.sensor === id ? " sel" : ""}`);
    }
    const marks = [...hot.keys()].map((id) => S.plan.zones.get(id)).filter((z) => z?.level === S.level).map((z) => s("path", { class: "hit", d: this.area(z) }));
    const selected = S.sel?.kind === "zone" && S.plan.zones.get(S.sel.id);
    if (selected?.level === S.level) marks.push(s("path", { class: "selroom", d: this.area(selected) }));
    this.lit.replaceChildren(...marks);
    this.names.replaceChildren(...(S.layers.labels ? this.label(hot) : []));
    this.taken = [...this.names.querySelectorAll("text")].map((t) => {
      const b = t.getBBox();
      return [b.x - 2, b.y - 1, b.x + b.width + 2, b.y + b.height + 1];
    });
  }

  /** A room is hatched where evidence is missing: who was there is lost, or a sensor that covers it is dead. */
  doubtful(zone, n) {
    return n > 0 || S.plan.devices.some((d) => d.senses && d.zones?.includes(zone.id) && trouble(d.id)?.[0] === "dead");
  }

  spoke(hot) {
    const acting = new Set([...hot.values()].map((e) => e.device));
    const chain = S.sel?.kind === "command" ? S.byId.get(S.sel.id) : null;
    for (const [id, { element }] of this.glyphs) {
      const state = trouble(id)?.[0];
      const saw = !state && S.t - (this.r.seen.get(id)?.t ?? -9) < SPOKE_S && this.r.seen.get(id)?.said;
      const selected = is("device", id) || chain?.sensor === id || chain?.device === id;
      set(element, "class", `dev${state ? ` ${state}` : ""}${acting.has(id) ? " act" : ""}${saw ? " saw" : ""}${selected ? " sel" : ""}`);
    }
  }

  // ---- names of rooms ----

  label(hot) {
    const { scale: k, em: u } = this;
    const out = [];
    const taken = [];
    for (const zone of S.plan.units) {
      if (zone.level !== S.level) continue;
      const fired = hot.get(zone.id);
      const [n, how] = this.r.zones.get(zone.id) ?? [0, "known"];
      const recorder = this.r.devices.get(S.plan.recorders.get(zone.id))?.[0];
      const wide = (text) => text.length * 6.2 * u + 10 * u;
      const tall = (zone.box[3] - zone.box[1]) * k > 44 * u;
      const letters = Math.floor(((zone.box[2] - zone.box[0]) * k - 11 * u) / (6.2 * u));
      const whole = zone.name.length <= letters ? zone.name : zone.short;
      const name = letters > 5 ? cut(whole, letters) : whole;
      const rule = fired && cut(fired.rule, Math.max(16, letters));
      let second = this.second(zone, n, how, k < 14 * u);
      if (recorder === "recording") second += k < 14 * u ? "  ●" : "  ● rec";
      if (recorder === "paused") second += k < 14 * u ? "  ❚❚" : "  ❚❚ paused";
      const lines = second && tall ? 2 : 1;
      const at = roomFor(zone, wide(name) / k, (lines * 12.5 + 6) * u / k, taken) ?? roomFor(zone, (wide(name) - 8 * u) / k, (15 * u) / k, taken);
      if (!at && !fired) continue;
      const [x, y] = at ? [this.X(at[0]) + 7 * u, this.Y(at[1]) + 14 * u] : [this.X(zone.box[0]) + 7 * u, this.Y(zone.box[3]) + 14 * u];
      if (at) taken.push([at[0], at[1] - ((lines * 12.5 + 4) * u) / k, at[0] + wide(name) / k, at[1]]);
      const ground = this.rooms.get(zone.id).classList.contains("occ") ? "ho" : "he";
      if (fired && k < 14 * u) {
        // Too small for both: the name stays, the rule stands in the room's foot.
        const w = rule.length * 5.5 * u + 10 * u;
        const foot = this.Y(zone.box[1]);
        out.push(s("rect", { class: "labtag", x: this.X(zone.box[0]), y: foot - 14 * u, width: w, height: 14 * u }),
          s("text", { class: "lab2 on", x: this.X(zone.box[0]) + 5 * u, y: foot - 4 * u }, rule),
          at && foot - 14 * u > y + 2 * u && s("text", { class: "lab", x, y }, name));
      } else if (fired) {
        const w = Math.max(name.length * 6.2, rule.length * 5.6) * u + 14 * u;
        out.push(s("rect", { class: "labtag", x: x - 6 * u, y: y - 12 * u, width: w, height: 29 * u }),
          s("text", { class: "lab on", x, y }, name), s("text", { class: "lab2 on", x, y: y + 12 * u }, rule));
      } else {
        out.push(s("text", { class: `lab ${ground}`, x, y }, name));
        if (lines === 2) out.push(s("text", { class: `lab2 ${ground}${how === "unknown" && this.doubtful(zone, n) ? " doubt" : ""}`, x, y: y + 12.5 * u }, second));
        else if (second && (zone.box[2] - zone.box[0]) * k > wide(name) + 50 * u) out.push(s("text", { class: `lab2 ${ground}`, x: x + name.length * 6.4 * u + 8 * u, y }, second));
      }
    }
    if (S.layers.zones && k > 17 * u) this.labelFences(hot, out);
    return out.filter(Boolean);
  }

  labelFences(hot, out) {
    const { scale: k, em: u } = this;
    for (const fence of S.plan.fences) {
      if (fence.level !== S.level) continue;
      const fired = hot.get(fence.id);
      const [x, y] = [this.X(fence.box[0]) + 1 * u, this.Y(fence.box[3]) - 3.5 * u];
      if (fired) {
        out.push(s("rect", { class: "labtag", x: x - 4 * u, y: y - 9 * u, width: (fired.rule.length * 5.4 + 12) * u, height: 13 * u }), s("text", { class: "lab2 on", x, y }, fired.rule));
      } else if ((fence.box[2] - fence.box[0]) * k > fence.name.length * 5.4 * u + 8) out.push(s("text", { class: "labz", x, y }, fence.name));
    }
  }

  second(zone, n, how, small) {
    if (how === "unknown" && this.doubtful(zone, n)) return small && n ? String(n) : "unknown";
    if (n) return small ? String(n) : zone.capacity > 1 ? `${n} of ${zone.capacity}` : String(n);
    return how === "motion" && !small ? "motion" : "";
  }
}
