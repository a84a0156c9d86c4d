// What devices look like: sensors are outlined, actuators are solid.

const path = (d) => ["path", { d }];
const circle = (r) => ["circle", { r }];
const rect = (w, h, more) => ["rect", { x: -w / 2, y: -h / 2, width: w, height: h, ...more }];
const diamond = path("M-4 0 0-4 4 0 0 4Z");

export const SENSES = {
  position: [path("M-4-3.4H4L0 4Z")],
  points: [path("M-4-3.4H4L0 4Z")],
  location: [path("M-4-3.4H4L0 4Z"), circle(1)],
  crossing: [path("M-4-3.5h2v7h-2zM2-3.5h2v7h-2z")],
  binary: [path("M-4 2A4 4 0 0 1 4 2Z")],
  badge: [rect(6, 8)],
  bearing: [circle(3.6), circle(1)],
  voice: [circle(3.6)],
  facing: [diamond],
  gesture: [diamond],
  value: [circle(3)],
  count: [rect(6.4, 6.4)],
  button: [circle(3.2)],
  range: [path("M-4 3 0-4 4 3Z")],
  tdoa: [path("M-4 3 0-4 4 3Z")],
  rssi: [path("M-4 3 0-4 4 3Z")],
};

export const ACTS = {
  recorder: [circle(4)],
  light: [path("M-3.6 0A3.6 3.6 0 0 1 3.6 0L2 4H-2Z")],
  display: [rect(10, 4)],
  speaker: [path("M-3.5-2H-.8L3-4.4V4.4L-.8 2H-3.5Z")],
  hvac: [rect(6.4, 6.4, { transform: "rotate(45)" })],
  door: [rect(3.2, 8)],
  notify: [rect(6, 6)],
};

export const WORD = {
  position: "ceiling position sensor",
  crossing: "door crossing sensor",
  binary: "presence sensor",
  badge: "badge reader",
  bearing: "microphone bearing",
  value: "value sensor",
};
