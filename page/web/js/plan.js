// The building as geometry: which room a point is in, where a room's name stands, how a door swings.

/** Even-odd, over every ring of an area. */
export function within(x, y, rings) {
  let inside = false;
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [a, b] = ring[i];
      const [u, v] = ring[j];
      if (b > y !== v > y && x < ((u - a) * (y - b)) / (v - b) + a) inside = !inside;
    }
  }
  return inside;
}

function boxOf(points) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  }
  return box;
}

/** Stretches of a horizontal line that lie inside an area. */
function spans(rings, y) {
  const xs = [];
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [a, b] = ring[i];
      const [u, v] = ring[j];
      if (b > y !== v > y) xs.push(((u - a) * (y - b)) / (v - b) + a);
    }
  }
  xs.sort((a, b) => a - b);
  const all = [];
  for (let i = 0; i + 1 < xs.length; i += 2) all.push([xs[i], xs[i + 1]]);
  return all;
}

/**
 * The top left corner of the first place, from the top down, where a text of `w` by `h` metres stands inside an area;
 * null where it stands nowhere. `taken` are boxes [x0, y0, x1, y1] that it may not cover.
 */
export function roomFor(zone, w, h, taken = []) {
  const [, y0, , y1] = zone.box;
  const step = Math.max(0.15, h / 3);
  for (let top = y1; top - h >= y0; top -= step) {
    const upper = spans(zone.rings, top - 0.02);
    const lower = spans(zone.rings, top - h);
    for (const [a, b] of upper) {
      for (const [c, d] of lower) {
        const x0 = Math.max(a, c);
        const x1 = Math.min(b, d);
        const tries = [x0, ...taken.filter((t) => t[3] > top - h && t[1] < top && t[2] > x0 && t[2] < x1).map((t) => t[2])];
        for (const x of tries) {
          const free = taken.every((t) => t[0] >= x + w || t[2] <= x || t[1] >= top || t[3] <= top - h);
          if (x1 - x >= w && free) return [x, top];
        }
      }
    }
  }
  return null;
}

/** Both leaves of a swinging door: hinge, end, whether it opens to the left of its line. */
function leaves(opening, unitAt) {
  const out = [];
  for (const [x1, y1, x2, y2] of opening.segments) {
    const length = Math.hypot(x2 - x1, y2 - y1);
    if (length < 0.3) continue;
    const nx = -(y2 - y1) / length;
    const ny = (x2 - x1) / length;
    const mx = (x1 + x2) / 2;
    const my = (y1 + y2) / 2;
    // A room's door opens into the room; a door to the outside opens out.
    const into = opening.joins[0];
    const left = unitAt(mx + nx * 0.3, my + ny * 0.3)?.id ?? null;
    const sign = into === null ? (left === null ? 1 : -1) : left === into ? 1 : -1;
    if (length > 1.3) {
      out.push({ hinge: [x1, y1], end: [mx, my], n: [nx * sign, ny * sign], sign });
      out.push({ hinge: [x2, y2], end: [mx, my], n: [nx * sign, ny * sign], sign: -sign });
    } else out.push({ hinge: [x1, y1], end: [x2, y2], n: [nx * sign, ny * sign], sign });
  }
  return out;
}

/** Makes the plan of a `hello` ready to be drawn. */
export function prepare(hello) {
  const { plan } = hello;
  const zones = new Map();
  const prepareZone = (fence) => (z) => {
    const zone = { ...z, fence, box: boxOf(z.rings.flat()), short: z.category === "walkway" ? z.name : short(z.name) };
    zones.set(z.id, zone);
    return zone;
  };
  const units = plan.units.map(prepareZone(false));
  const fences = plan.geofences.map(prepareZone(true));
  const unitAt = (x, y, level) => units.find((u) => u.level === level && within(x, y, u.rings));
  const levels = plan.levels.map((l) => {
    const points = [
      ...l.rings.flat(),
      ...units.filter((u) => u.level === l.id).flatMap((u) => u.rings.flat()),
      ...plan.walls.filter((w) => w.level === l.id).flatMap((w) => [w.at.slice(0, 2), w.at.slice(2)]),
    ];
    return { ...l, box: points.length ? boxOf(points) : [0, 0, 10, 10] };
  });
  const doors = plan.openings
    .filter((o) => o.door === "swing")
    .flatMap((o) => leaves(o, (x, y) => unitAt(x, y, o.level)).map((leaf) => ({ ...leaf, level: o.level })));
  const devices = [
    ...hello.sensors.map((d) => ({ ...d, senses: true })),
    ...hello.actuators.map((d) => ({ ...d, senses: false })),
  ];
  const byId = new Map(devices.map((d) => [d.id, d]));
  const recorders = new Map(hello.actuators.filter((a) => a.kind === "recorder" && a.zone).map((a) => [a.zone, a.id]));
  return { levels, units, fences, zones, doors, walls: plan.walls, openings: plan.openings, fixtures: plan.fixtures, devices, byId, recorders, unitAt };
}

/** `Ph 1` for `Phone 1`, `Server` for `Server room`: for rooms too narrow for their name. */
function short(name) {
  const words = name.split(" ");
  if (words.length < 2 || words[0].length < 4) return name;
  return /\d/.test(words.at(-1)) ? [words[0].slice(0, 2), ...words.slice(1)].join(" ") : words[0];
}
