// People, what sensors just saw, the cell that sounds, and the chain of the selected command: drawn every frame.

import { S, is, placed } from "./state.js";
import { placeLabels } from "./labels.js";

const IDENTIFIED_P = 0.95;
/** Nearer than this to where somebody stands, a dot of their trail only blurs them. */
const TRAIL_NEAR_M = 0.35;
/** More people than this are drawn more plainly: every second dot of a trail, as a square, and symbols as pictures on whole pixels. */
const CROWD = 150;
/** With reduced motion people are drawn where they are no more often than this. */
const STILL_MS = 250;
/** A detection is drawn for so long. */
const SEEN_S = 0.16;

const COLOURS = ["ink", "ink2", "ink3", "id", "doubt", "bad", "paper", "bg", "occ", "line2"];
let palette = null;

/** The colours of the theme, for the canvas; read again when it changes. */
export function colours() {
  if (palette) return palette;
  const style = getComputedStyle(document.documentElement);
  palette = Object.fromEntries(COLOURS.map((c) => [c, style.getPropertyValue(`--${c}`).trim()]));
  palette.sans = style.getPropertyValue("--sans").trim();
  return palette;
}
export const forgetColours = () => (palette = null);

const still = matchMedia("(prefers-reduced-motion: reduce)");

export function paint(view, now, chain) {
  const { pen: c, em: u, scale: k, r } = view;
  // Between two snapshots that are drawn out, and while nothing else changes, the picture stands.
  const moving = r.now && !still.matches && now - r.now.at < 260;
  const instant = moving ? now : still.matches ? Math.floor((r.now?.at ?? 0) / STILL_MS) : r.now?.at;
  const stamp = `${instant}|${view.key}|${view.ox},${view.oy},${k}|${S.story?.id}|${view.W}`;
  if (stamp === view.painted) return;
  view.painted = stamp;
  const colour = colours();
  const small = k < 13 * u;
  c.clearRect(0, 0, view.W, view.H);
  const people = [];
  for (const t of r.tracks.values()) {
    if (t.level !== S.level) continue;
    const at = placed(r, t, now, !still.matches);
    const x = view.X(at.x);
    const y = view.Y(at.y);
    if (x < -40 || y < -40 || x > view.W + 40 || y > view.H + 40) continue;
    people.push({ t, x, y, wx: at.x, wy: at.y, moving: Math.hypot(t.vx, t.vy) > 0.25 && !t.lost, shade: !t.person || t.lost ? "doubt" : "id" });
  }
  if (S.layers.detections) drawSeen(view, c, u, colour);
  const crowd = people.length > CROWD;
  if (S.layers.trails) drawTrails(view, c, u, people, colour, small, crowd);
  drawBeams(view, c, u, k, colour);
  const marks = chain ? drawChain(view, c, u, chain, colour) : [];
  drawPeople(view, c, u, k, people, colour, small, crowd);
  if (S.layers.labels) placeLabels(view, c, u, people, marks, colour, small, crowd);
  drawMarks(c, u, marks, colour);
}

function drawSeen(view, c, u, colour) {
  const level = S.plan.levels.findIndex((l) => l.id === S.level);
  c.strokeStyle = colour.ink3;
  c.lineWidth = 0.9 * u;
  c.globalAlpha = 0.75;
  c.beginPath();
  const z = 2.1 * u;
  for (const { t, points } of view.r.seen.values()) {
    if (S.t - t > SEEN_S + 0.1) continue;
    for (const [px, py, on] of points) {
      if (on !== level) continue;
      const [x, y] = [view.X(px), view.Y(py)];
      c.moveTo(x - z, y);
      c.lineTo(x + z, y);
      c.moveTo(x, y - z);
      c.lineTo(x, y + z);
    }
  }
  c.stroke();
  c.globalAlpha = 1;
}

function drawTrails(view, c, u, people, colour, small, crowd) {
  const r = (small ? 1.1 : 1.5) * u;
  // A square as large as the dot, for those who are too many to be looked at one by one.
  const side = r * Math.sqrt(Math.PI);
  for (const shade of ["id", "doubt"]) {
    c.fillStyle = colour[shade];
    // One path for each age of dot: five thousand dots are ten fills.
    for (let i = 1; i <= 10; i += crowd ? 2 : 1) {
      c.globalAlpha = 0.75 * (1 - i / 11);
      c.beginPath();
      for (const p of people) {
        const dot = p.shade === shade && p.t.trail[i];
        if (!dot || Math.hypot(dot[0] - p.wx, dot[1] - p.wy) < TRAIL_NEAR_M) continue;
        const [x, y] = [view.X(dot[0]), view.Y(dot[1])];
        if (crowd) {
          c.fillRect(x - side / 2, y - side / 2, side, side);
          continue;
        }
        c.moveTo(x + r, y);
        c.arc(x, y, r, 0, 7);
      }
      if (!crowd) c.fill();
    }
  }
  c.globalAlpha = 1;
}

function drawBeams(view, c, u, k, colour) {
  for (const [id, cell] of view.r.beams) {
    const speaker = S.plan.byId.get(id);
    const ring = cell && speaker?.cells?.[cell];
    if (!ring || speaker.level !== S.level || view.r.devices.get(id)?.[0] === "silent") continue;
    c.beginPath();
    ring.forEach(([x, y], i) => (i ? c.lineTo(view.X(x), view.Y(y)) : c.moveTo(view.X(x), view.Y(y))));
    c.closePath();
    c.fillStyle = c.strokeStyle = colour.id;
    c.lineWidth = 1.25 * u;
    c.globalAlpha = 0.12;
    c.fill();
    c.globalAlpha = 1;
    c.stroke();
  }
}

/** The chain on the floor, with the numbers of the story: 1 sensor, 2 person, 5 device. */
function drawChain(view, c, u, chain, colour) {
  const marks = [];
  const device = (id, n) => {
    const d = S.plan.byId.get(id);
    if (!d || d.level !== S.level || d.x_m === null) return;
    const drawn = view.glyphs.get(id);
    marks.push([drawn?.x ?? view.X(d.x_m), drawn?.y ?? view.Y(d.y_m), n]);
  };
  device(chain.sensor, "1");
  const link = S.story?.of === "command" && S.story.id === chain.id ? S.story.links?.find((l) => l.kind === "track") : null;
  if (link && link.x_m !== null && link.x_m !== undefined) marks.push([view.X(link.x_m), view.Y(link.y_m), "2"]);
  device(chain.device, "5");
  c.strokeStyle = colour.id;
  c.lineWidth = 1.25 * u;
  c.setLineDash([5 * u, 3 * u]);
  c.beginPath();
  marks.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
  c.stroke();
  c.setLineDash([]);
  return marks;
}

function drawMarks(c, u, marks, colour) {
  c.textAlign = "center";
  c.textBaseline = "middle";
  for (const [x, y, n] of marks) {
    c.fillStyle = colour.bg;
    c.strokeStyle = colour.id;
    c.lineWidth = 1.5 * u;
    c.beginPath();
    c.arc(x, y, 8 * u, 0, 7);
    c.fill();
    c.stroke();
    c.fillStyle = colour.id;
    c.font = `600 ${10.5 * u}px ${colour.sans}`;
    c.fillText(n, x, y + 0.5 * u);
  }
  c.textAlign = "left";
}

/**
 * Everybody, in layers of one path for each colour: five hundred people are some ten strokes and fills, not thousands.
 */
function drawPeople(view, c, u, k, people, colour, small, crowd) {
  const r = (small ? 3 : 4.6) * u;
  for (const shade of ["id", "doubt"]) {
    const all = people.filter((p) => p.shade === shade);
    const seen = all.filter((p) => !p.t.lost);
    c.strokeStyle = c.fillStyle = colour[shade];
    drawUncertainty(c, u, k, small ? seen.filter((p) => is("track", p.t.id)) : seen, false);
    drawUncertainty(c, u, k, all.filter((p) => p.t.lost), true);
    drawMotion(c, u, k, seen.filter((p) => p.moving));
    drawFacing(c, u, r, seen, small);
    if (crowd) {
      const lost = all.filter((p) => p.t.lost);
      for (const p of seen) stamp(c, u, r, p, shade, colour);
      if (shade === "doubt") drawDoubtful(c, u, r, lost, colour);
    } else if (shade === "id") drawIdentified(c, r, seen, colour);
    else drawDoubtful(c, u, r, all, colour);
  }
  const chosen = people.find((p) => is("track", p.t.id));
  if (!chosen) return;
  c.strokeStyle = colour.ink;
  c.lineWidth = 1.75 * u;
  c.beginPath();
  c.arc(chosen.x, chosen.y, 11 * u, 0, 7);
  c.stroke();
}

/** Symbols as small pictures, by what they look like; drawn again where the theme or the size is another. */
const stamps = new Map();

/** One person of a crowd: a picture of their symbol, on whole pixels. */
function stamp(c, u, r, { t, x, y }, shade, colour) {
  const dense = Math.min(2, devicePixelRatio || 1);
  const kind = shade === "doubt" ? "diamond" : t.p < IDENTIFIED_P ? "ring" : "disc";
  const key = `${kind}|${r}|${dense}|${colour[shade]}|${colour.paper}`;
  let picture = stamps.get(key);
  if (!picture) {
    const half = Math.ceil((r * 1.25 + 2 * u) * dense);
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 2 * half;
    const pen = canvas.getContext("2d");
    pen.scale(dense, dense);
    pen.strokeStyle = pen.fillStyle = colour[shade];
    const at = [{ t: { p: kind === "ring" ? 0 : 1, lost: 0 }, x: half / dense, y: half / dense }];
    if (kind === "diamond") drawDoubtful(pen, u, r, at, colour);
    else drawIdentified(pen, r, at, colour);
    if (stamps.size > 60) stamps.clear();
    stamps.set(key, (picture = { canvas, half, side: (2 * half) / dense }));
  }
  const snap = (v) => (Math.round(v * dense) - picture.half) / dense;
  c.drawImage(picture.canvas, snap(x), snap(y), picture.side, picture.side);
}

/** Two sigma; dashed and growing when lost; never smaller than the symbol. */
function drawUncertainty(c, u, k, people, lost) {
  if (!people.length) return;
  c.globalAlpha = lost ? 0.95 : 0.5;
  c.lineWidth = 0.9 * u;
  if (lost) c.setLineDash([3 * u, 3 * u]);
  c.beginPath();
  for (const { t, x, y } of people) {
    const [a, b] = [Math.max(2 * t.s1 * k, 8.5 * u), Math.max(2 * t.s2 * k, 7.5 * u)];
    c.moveTo(x + a * Math.cos(-t.sa), y + a * Math.sin(-t.sa));
    c.ellipse(x, y, a, b, -t.sa, 0, 2 * Math.PI);
  }
  c.stroke();
  c.setLineDash([]);
  c.globalAlpha = 1;
}

/** Where they are in a second. */
function drawMotion(c, u, k, people) {
  c.lineWidth = 1.25 * u;
  c.beginPath();
  for (const { t, x, y } of people) {
    c.moveTo(x, y);
    c.lineTo(x + t.vx * k, y - t.vy * k);
  }
  c.stroke();
}

function drawFacing(c, u, r, people, small) {
  const inner = r + (small ? 1 : 2) * u;
  const tip = inner + (small ? 2.6 : 4) * u;
  c.beginPath();
  for (const { t, x, y, moving } of people) {
    const facing = t.facing ?? (moving ? Math.atan2(t.vy, t.vx) : null);
    if (facing === null) continue;
    const a = -facing;
    c.moveTo(x + Math.cos(a) * tip, y + Math.sin(a) * tip);
    c.lineTo(x + Math.cos(a + 0.42) * inner, y + Math.sin(a + 0.42) * inner);
    c.lineTo(x + Math.cos(a - 0.42) * inner, y + Math.sin(a - 0.42) * inner);
    c.closePath();
  }
  c.fill();
}

const disc = (c, x, y, r) => {
  c.moveTo(x + r, y);
  c.arc(x, y, r, 0, 7);
};

/** A filled disc; one with a hole where the identity is below 0.95. */
function drawIdentified(c, r, people, colour) {
  c.beginPath();
  for (const { x, y } of people) disc(c, x, y, r);
  c.fill();
  c.beginPath();
  for (const { t, x, y } of people) if (t.p < IDENTIFIED_P) disc(c, x, y, r * 0.45);
  c.fillStyle = colour.paper;
  c.fill();
}

/** A hollow diamond for who is nobody known, a cross for who is lost. */
function drawDoubtful(c, u, r, people, colour) {
  c.lineWidth = 1.75 * u;
  c.beginPath();
  for (const { t, x, y } of people) {
    if (t.lost) continue;
    const d = r * 1.25;
    c.moveTo(x, y - d);
    c.lineTo(x + d, y);
    c.lineTo(x, y + d);
    c.lineTo(x - d, y);
    c.closePath();
  }
  c.fillStyle = colour.paper;
  c.fill();
  for (const { t, x, y } of people) {
    if (!t.lost) continue;
    const d = r * 0.9;
    c.moveTo(x - d, y - d);
    c.lineTo(x + d, y + d);
    c.moveTo(x + d, y - d);
    c.lineTo(x - d, y + d);
  }
  c.stroke();
}
