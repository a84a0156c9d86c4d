// The socket: one, to the server of this page. It comes back by itself, and asks for what it missed.

import { S, emit, takeEvents, takeHello, takeSnap, takeStat } from "./state.js";

const AGAIN_MS = 1000;
/** Without a message for so long the picture is not live any more. */
const SILENT_MS = 1000;

let socket = null;

/** Says something to the server; what cannot be said is not kept. */
export function ask(what) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(what));
}

function open() {
  const lastSeq = S.events.at(-1)?.seq;
  socket = new WebSocket(`ws://${location.host}/ws`);
  let first = true;
  socket.onmessage = ({ data }) => {
    const m = JSON.parse(data);
    S.heardAt = performance.now();
    if (first && lastSeq !== undefined && S.mode === "live") ask({ since: lastSeq });
    first = false;
    take(m);
  };
  socket.onclose = () => setTimeout(open, AGAIN_MS);
}

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
