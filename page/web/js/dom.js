// Elements without markup: every string that comes from the engine is put in as text.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (selector, within = document) => within.querySelector(selector);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) element.append(child);
  }
  return element;
}

/** An HTML element: `h("b", { class: "x" }, "text", other)`. */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** Sets text only where it differs, so that nothing is laid out again for nothing. */
export function say(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

/** Sets an attribute only where it differs. */
export function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Makes a parent's children follow a list. An item keeps its element for as long as it keeps its key, so focus, hover
 * and scrolling survive an update.
 */
export function follow(parent, items, keyOf, make, update) {
  const known = (parent.known ??= new Map());
  const live = new Set();
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    live.add(key);
    let element = known.get(key);
    if (!element) {
      element = make(item);
      known.set(key, element);
    }
    update?.(element, item);
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
  }
  for (const [key, element] of known) {
    if (!live.has(key)) {
      element.remove();
      known.delete(key);
    }
  }
}

/** Replaces a panel's content and gives the focus back to what stands where the focus was. */
export function replace(parent, ...children) {
  const buttons = () => [...parent.querySelectorAll("button")];
  const focused = parent.contains(document.activeElement) ? buttons().indexOf(document.activeElement) : -1;
  const top = parent.scrollTop;
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
  parent.scrollTop = top;
  if (focused >= 0) buttons()[focused]?.focus();
}

/** The size of a rem against 16 px: lines and symbols grow with the type on a wall. */
export const em = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
