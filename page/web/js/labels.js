// Names beside people. Each keeps its slot while that is free, and hides before it covers a room's name.

import { nameOf } from "./format.js";
import { is } from "./state.js";

/** Right, left, below, above, then the diagonals, near and far; `w` stands for the width of the label. */
const SLOTS = [[11, 0], [-11, 0, 1], [0, 16, 0.5], [0, -16, 0.5], [12, -15], [12, 15], [-12, -15, 1], [-12, 15, 1], [14, -24], [14, 24]];
const FIRST_DIAGONAL = 4;
/** Boxes are looked up by cells of this many pixels: hundreds of labels need no pairwise comparison. */
const CELL = 48;

class Taken {
  constructor() {
    this.cells = new Map();
  }
  add(box) {
    const [i1, j1] = [Math.floor(box[2] / CELL), Math.floor(box[3] / CELL)];
    for (let i = Math.floor(box[0] / CELL); i <= i1; i++) {
      for (let j = Math.floor(box[1] / CELL); j <= j1; j++) {
        const known = this.cells.get(i * 4096 + j);
        if (known) known.push(box);
        else this.cells.set(i * 4096 + j, [box]);
      }
    }
  }
  hits(b) {
    const [i1, j1] = [Math.floor(b[2] / CELL), Math.floor(b[3] / CELL)];
    for (let i = Math.floor(b[0] / CELL); i <= i1; i++) {
      for (let j = Math.floor(b[1] / CELL); j <= j1; j++) {
        const all = this.cells.get(i * 4096 + j);
        if (!all) continue;
        for (let k = 0; k < all.length; k++) {
          const o = all[k];
          if (b[0] < o[2] && b[2] > o[0] && b[1] < o[3] && b[3] > o[1]) return true;
        }
      }
    }
    return false;
  }
}

/** Labels as small pictures: drawing one is cheaper than setting its type every frame. */
const pictures = new Map();
const PICTURES_MAX = 3000;
export const forgetLabels = () => pictures.clear();

function picture(name, confidence, shade, u, colour, dense) {
  const key = `${name}|${confidence}|${shade}|${u}|${dense}`;
  const known = pictures.get(key);
  if (known) return known;
  if (pictures.size > PICTURES_MAX) pictures.clear();
  const canvas = document.createElement("canvas");
  const c = canvas.getContext("2d");
  const big = `500 ${11 * u}px ${colour.sans}`;
  const small = `400 ${10 * u}px ${colour.sans}`;
  c.font = big;
  const w1 = c.measureText(name).width;
  c.font = small;
  const w2 = confidence ? c.measureText(confidence).width + 4 * u : 0;
  const [w, h] = [w1 + w2, 12 * u];
  const rim = 2 * u;
  canvas.width = Math.ceil((w + 2 * rim) * dense);
  canvas.height = 2 * Math.ceil(((h + 2 * rim) * dense) / 2);
  c.scale(dense, dense);
  c.textBaseline = "middle";
  c.lineJoin = "round";
  c.lineWidth = 3 * u;
  c.strokeStyle = colour.occ;
  for (const [text, font, x, fill] of [[name, big, rim, shade === "id" ? colour.ink : colour.doubt], [confidence, small, rim + w1 + 4 * u, shade === "id" ? colour.ink2 : colour.doubt]]) {
    if (!text) continue;
    c.font = font;
    c.strokeText(text, x, rim + h / 2);
    c.fillStyle = fill;
    c.fillText(text, x, rim + h / 2);
  }
  const made = { canvas, w, h, rim, dw: canvas.width / dense, dh: canvas.height / dense };
  pictures.set(key, made);
  return made;
}

function confidenceOf(t) {
  if (t.lost) return `lost ${Math.floor(t.lost)} s`;
  return t.person ? t.p.toFixed(2) : "?";
}

/** In a crowd, whose label found no room looks for some again in one frame of so many. */
const CROWD_RETRY = 8;
let frame = 0;

export function placeLabels(view, c, u, people, marks, colour, small, crowd) {
  frame += 1;
  const dense = Math.min(2, devicePixelRatio || 1);
  const taken = new Taken();
  const r = (small ? 3.2 : 5) * u;
  for (const p of people) taken.add([p.x - r, p.y - r, p.x + r, p.y + r]);
  for (const [x, y] of marks) taken.add([x - 9 * u, y - 9 * u, x + 9 * u, y + 9 * u]);
  for (const box of view.taken ?? []) taken.add(box);
  const devices = new Taken();
  for (const box of (view.glyphs.size && view.deviceBoxes) || []) devices.add(box);
  const order = people.filter((p) => !small || is("track", p.t.id) || p.moving || p.t.lost);
  order.sort((a, b) => is("track", b.t.id) - is("track", a.t.id) || b.moving - a.moving || a.t.id - b.t.id);
  for (const p of order) {
    if (crowd && !view.slots.has(p.t.id) && (p.t.id + frame) % CROWD_RETRY && !is("track", p.t.id)) continue;
    const label = picture(nameOf(p.t), small ? "" : confidenceOf(p.t), p.shade, u, colour, dense);
    const slot = find(view, p, label, u, taken, devices);
    if (!slot) {
      if (crowd) view.slots.delete(p.t.id);
      continue;
    }
    view.slots.set(p.t.id, slot.i);
    taken.add(slot.box);
    if (slot.i >= FIRST_DIAGONAL) hairline(c, u, p, slot.box, colour);
    // On whole pixels of the screen, or type would blur.
    const snap = (v) => Math.round(v * dense) / dense;
    c.drawImage(label.canvas, snap(slot.box[0] + 1 - label.rim), snap(slot.box[1] - label.rim), label.dw, label.dh);
  }
  if (view.slots.size > 4 * people.length + 200) view.slots.clear();
}

/** The first free slot: the one kept, then in order; devices may be covered only where nothing else is free. */
function find(view, p, label, u, taken, devices) {
  const selected = is("track", p.t.id);
  const kept = view.slots.get(p.t.id);
  // A name does not hang over the outer wall.
  const edge = Math.min(view.W, view.right - 1);
  for (const overDevices of [false, true]) {
    for (let n = kept === undefined ? 0 : -1; n < SLOTS.length; n++) {
      const i = n < 0 ? kept : n;
      const [dx, dy, left = 0] = SLOTS[i];
      const x = p.x + dx * u - left * label.w;
      const box = [x - 1, p.y + dy * u - label.h / 2, x + label.w + 1, p.y + dy * u + label.h / 2];
      if (box[0] < Math.max(0, view.left + 1) || box[2] > edge) continue;
      if (!overDevices && devices.hits(box)) continue;
      if (taken.hits(box) && !(selected && i === SLOTS.length - 1)) continue;
      return { i, box };
    }
  }
  return null;
}

function hairline(c, u, p, box, colour) {
  const x = Math.max(box[0], Math.min(box[2], p.x));
  const y = Math.max(box[1] + 2 * u, Math.min(box[3] - 2 * u, p.y));
  const length = Math.hypot(x - p.x, y - p.y) || 1;
  c.strokeStyle = colour[p.shade];
  c.lineWidth = u;
  c.beginPath();
  c.moveTo(p.x + ((x - p.x) / length) * 7 * u, p.y + ((y - p.y) / length) * 7 * u);
  c.lineTo(x, y);
  c.stroke();
}
