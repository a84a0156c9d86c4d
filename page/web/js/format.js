// Times, figures and names as people read them.

import { S } from "./state.js";

const pad = (n, width = 2) => String(n).padStart(width, "0");

/** Milliseconds of local wall-clock time of an instant of the log; null where the log has no wall clock. */
const local = (t) => (S.utcBase === null ? null : S.utcBase + t * 1000 + S.utcOffset * 1000);

/** `10:02:18.300`; seconds of the log where there is no wall clock. */
export function time(t, digits = 3) {
  const ms = local(t);
  if (ms === null) return `${t.toFixed(digits)} s`;
  const unit = 10 ** (3 - digits);
  const all = Math.floor(Math.round(ms) / unit) * unit;
  const day = ((all % 86_400_000) + 86_400_000) % 86_400_000;
  const sec = Math.floor(day / 1000);
  const clock = `${pad(Math.floor(sec / 3600))}:${pad(Math.floor(sec / 60) % 60)}:${pad(sec % 60)}`;
  return digits > 0 ? `${clock}.${pad(Math.round(day % 1000) / unit, digits)}` : clock;
}

/** `Mon 23 November`. */
export function date(t) {
  const ms = local(t);
  if (ms === null) return "seconds of the log";
  return new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "long", timeZone: "UTC" })
    .format(new Date(ms))
    .replace(",", "");
}

/** Milliseconds from microseconds, with as many digits as they are worth. */
export function ms(us) {
  if (us === null || us === undefined) return "–";
  if (us >= 1e5) return (us / 1e3).toFixed(0);
  return us >= 1e4 ? (us / 1e3).toFixed(1) : (us / 1e3).toFixed(2);
}

/** A part of a bar: more digits the smaller it is. */
export const part = (us) => {
  const v = us / 1e3;
  return v < 1 ? v.toFixed(3) : v < 10 ? v.toFixed(1) : String(Math.round(v));
};

export const whole = (n) => Math.round(n).toLocaleString("en");

/** `Ana`; a track that is nobody known has its number. */
export const nameOf = (track) => (track.person ? capital(track.person) : `#${track.id}`);

export const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

/** The budget as a number of milliseconds: `1 ms`, `0.5 ms`. */
export const budget = (us) => `${us / 1000} ms`;
