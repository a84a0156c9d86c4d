// The socket: one, to the server of this page. It comes back by itself, and asks for what it missed.

import { S, emit, takeEvents, takeHello, takeSnap, takeStat } from "./state.js";

const AGAIN_MS = 1000;
/** Without a message for so long the picture is not live any more. */
const SILENT_MS = 1000;

/** Where the page is fed from: the running engine, or a recording played. */
const LIVE = "/ws";

let socket = null;
let timer = 0;
let from = LIVE;

/** Says something to the server; what cannot be said is not kept. */
export function ask(what) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(what));
}

function open() {
  const lastSeq = S.events.at(-1)?.seq;
  const mine = new WebSocket(`ws://${location.host}${from}`);
  socket = mine;
  let first = true;
  mine.onmessage = ({ data }) => {
    const m = JSON.parse(data);
    S.heardAt = performance.now();
    if (first && lastSeq !== undefined && S.mode === "live" && m.mode === "live") ask({ since: lastSeq });
    first = false;
    take(m);
  };
  mine.onclose = () => {
    // An engine that was started again may record nothing.
    if (first) from = LIVE;
    timer = setTimeout(open, AGAIN_MS);
  };
}

function feedFrom(path) {
  from = path;
  clearTimeout(timer);
  if (socket) {
    socket.onmessage = socket.onclose = null;
    socket.close();
  }
  S.heardAt = performance.now();
  open();
}

/** Shows what a running engine recorded, around an instant or the newest. */
export function lookBack(t) {
  feedFrom(`/recording/${t === undefined ? "now" : Math.round(t * 1000) / 1000}`);
}

/** Shows how things are. */
export const lookOn = () => feedFrom(LIVE);

function take(m) {
  if (m.type === "snap") takeSnap(m);
  else if (m.type === "events") takeEvents(m);
  else if (m.type === "stat") takeStat(m);
  else if (m.type === "hello") takeHello(m);
  else emit(m.type, m);
}

/** Opens the socket, and watches that it speaks. */
export function connect() {
  S.heardAt = performance.now();
  open();
  setInterval(() => {
    const cut = performance.now() - S.heardAt > SILENT_MS;
    if (cut !== S.cut || cut) {
      S.cut = cut;
      emit("cut", cut);
    }
  }, 200);
}

// Tests play a building of their own through the same door.
export const inject = (m) => {
  S.heardAt = performance.now();
  take(m);
};
