// What the page knows: the site once, the newest picture, what happened lately, and what the reader has chosen.

/** Events that are kept: all that a replay is told of, and the newest of a running engine. */
const EVENTS_MAX = 6000;
const TRAIL_EVERY_S = 0.6;
const TRAIL_DOTS = 10;
/** A jump of the clock by more than this is no movement: trails and interpolation begin anew. */
const JUMP_S = 5;

export const S = {
  hello: null,
  plan: null,
  mode: "live",
  t: 0,
  utcBase: null,
  utcOffset: 0,
  seq: 0,
  runs: { A: run() },
  stat: null,
  history: [],
  events: [],
  byId: new Map(),
  fresh: [],
  sel: null,
  story: null,
  level: null,
  layers: { zones: true, devices: true, views: true, detections: true, trails: true, labels: true },
  held: false,
  heardAt: 0,
  cut: false,
  compare: null,
  lanes: null,
  play: null,
  /** The other mode is being opened: `{ to, t, command, whatIf }`. */
  opening: null,
  /** A run with something otherwise: `{ id, sensor, how, ms }` as it is asked for, and how far it is. */
  whatIf: null,
  running: null,
};

/** One run's moving part: two in a comparison, else one. */
export function run() {
  return { now: null, before: null, tracks: new Map(), seen: new Map(), zones: new Map(), devices: new Map(), beams: new Map(), events: [] };
}

const listeners = new Map();
export const on = (topic, f) => (listeners.get(topic) ?? listeners.set(topic, []).get(topic)).push(f);
export const emit = (topic, what) => listeners.get(topic)?.forEach((f) => f(what));

/** The first message: the site. What is remembered of another engine, or of one that has begun anew, is put away. */
export function takeHello(m) {
  if (m.mode === "replay" || m.mode !== S.mode || m.seq < (S.events.at(-1)?.seq ?? 0)) {
    [S.events, S.history, S.stat, S.lanes, S.compare, S.verified] = [[], [], null, null, null, null];
    S.byId.clear();
    S.play = S.failed = S.running = null;
    S.known = undefined;
  }
  if (m.mode !== S.mode) S.held = false;
  S.hello = m;
  S.mode = m.mode;
  S.utcOffset = m.utc_offset_s ?? 0;
  S.runs = { A: run() };
  emit("hello", m);
}

/** A snapshot: tracks are whole, zones and devices are what changed. */
export function takeSnap(m) {
  if (S.held && S.mode === "live") return;
  const r = (S.runs[m.run ?? "A"] ??= run());
  const at = performance.now();
  if ((m.run ?? "A") === "A") {
    S.t = m.t_s;
    S.seq = m.seq;
    const base = m.utc ? Date.parse(m.utc) - m.t_s * 1000 : null;
    // Both are rounded to the millisecond: what is that near is no change, or every time shown would tremble.
    if (base === null || S.utcBase === null || Math.abs(base - S.utcBase) > 1.5) S.utcBase = base;
    if (m.utc_offset_s !== undefined) S.utcOffset = m.utc_offset_s;
  }
  const jumped = r.now && (m.t_s < r.now.t || m.t_s > r.now.t + JUMP_S);
  r.before = jumped || !r.now ? null : { at: r.now.at, t: r.now.t };
  r.now = { at, t: m.t_s };
  const next = new Map();
  for (const [id, level, x, y, vx, vy, facing, s1, s2, sa, person, p, lost, zones] of m.tracks) {
    const old = jumped ? undefined : r.tracks.get(id);
    const still = old && old.level === level;
    const track = { id, level, x, y, vx, vy, facing, s1, s2, sa, person, p, lost, zones, x0: still ? old.x : x, y0: still ? old.y : y, f0: still ? old.facing : facing, trail: still ? old.trail : [], slot: old?.slot };
    const newest = track.trail[0];
    if (!newest || m.t_s - newest[2] >= TRAIL_EVERY_S) {
      track.trail.unshift([x, y, m.t_s]);
      if (track.trail.length > TRAIL_DOTS + 1) track.trail.pop();
    }
    next.set(id, track);
  }
  r.tracks = next;
  for (const [sensor, t, points, said] of m.seen) {
    const known = r.seen.get(sensor);
    if (!known || known.t !== t) r.seen.set(sensor, { t, points, said });
  }
  for (const [id, z] of Object.entries(m.zones)) r.zones.set(id, z);
  for (const [id, d] of Object.entries(m.devices)) r.devices.set(id, d);
  for (const [id, cell] of Object.entries(m.beams)) r.beams.set(id, cell);
  emit("snap", m);
}

/** What happened, oldest first. Reports complete the commands that they answer. */
export function takeEvents(m) {
  if (m.reset) {
    S.events = [];
    S.byId.clear();
  }
  const r = m.run === "B" ? (S.runs.B ??= run()) : null;
  for (const e of m.list) {
    if (e.kind === "report") {
      const c = S.byId.get(e.id);
      if (c) Object.assign(c, { human_us: e.human_us, device_us: e.device_us });
      continue;
    }
    if (r) {
      r.events.push(e);
      continue;
    }
    if (e.id) {
      if (S.byId.has(e.id)) continue;
      S.byId.set(e.id, e);
    }
    e.past = !!m.past;
    e.at = performance.now();
    S.events.push(e);
    if (!m.past) S.fresh.push(e);
  }
  while (S.events.length > EVENTS_MAX) {
    const gone = S.events.shift();
    if (gone.id) S.byId.delete(gone.id);
  }
  emit("events", m);
}

export function takeStat(m) {
  S.stat = m;
  S.history.push({ t: S.t, p999: m.latency.engine_us.p999, p99: m.latency.engine_us.p99, max: m.latency.engine_us.max });
  if (S.history.length > 600) S.history.shift();
  emit("stat", m);
}

/** Chooses a person, room, device or command; null for nobody. */
export function select(what) {
  S.sel = what;
  S.story = null;
  emit("select", what);
}

export const commands = () => S.events.filter((e) => e.kind === "command");
export const is = (kind, id) => S.sel?.kind === kind && S.sel.id === id;

/** Sensors in trouble: id to [state, why]. */
export const trouble = (id) => S.stat?.sensors[id];

/** Where a track is drawn: between its last two places, one interval behind, never beyond. */
export function placed(r, track, now, smooth) {
  if (!r.before || !smooth) return track;
  const interval = Math.min(250, Math.max(16, r.now.at - r.before.at));
  const k = Math.min(1, (now - r.now.at) / interval);
  return { x: track.x0 + (track.x - track.x0) * k, y: track.y0 + (track.y - track.y0) * k };
}
