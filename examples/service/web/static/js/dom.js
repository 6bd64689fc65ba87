// The few things that every panel does to the page. All of them leave alone
// what is already so: the page is written four times a second.

export const $ = (id) => document.getElementById(id);

export function text(el, value) {
  if (el.textContent !== value) el.textContent = value;
}

export function attr(el, name, value) {
  if (value === null || value === false) {
    if (el.hasAttribute(name)) el.removeAttribute(name);
  } else if (el.getAttribute(name) !== String(value)) {
    el.setAttribute(name, value);
  }
}

// el makes an element: el("li", {class: "x"}, "text", child).
export function el(name, attrs = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attrs)) attr(e, k, v);
  e.append(...children);
  return e;
}

// children makes the children of a list as many as there are items, and writes
// each item into its child. Those that are there are used again.
export function children(parent, items, make, write) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(make());
  items.forEach((item, i) => write(parent.children[i], item));
}

// cells draws one square for each kind in a list: "use", "idle", "wait", "dial",
// "close", "free".
export function cells(parent, kinds, max = 40) {
  const shown = kinds.slice(0, max);
  children(
    parent,
    shown,
    () => document.createElement("i"),
    (e, kind) => attr(e, "data-s", kind),
  );
  attr(parent, "data-more", kinds.length > max ? "+" + (kinds.length - max) : null);
}

// of returns n times the same kind.
export const of = (n, kind) => new Array(Math.max(0, Math.min(1000, Math.round(n ?? 0)))).fill(kind);

// meter sets a bar to a share of 0 to 1, empty for null, and says it in words.
export function meter(el, value, words, level = "") {
  const v = value === null || value === undefined ? 0 : Math.max(0, Math.min(1, value));
  el.style.setProperty("--v", v.toFixed(4));
  attr(el, "data-level", level || null);
  attr(el, "aria-valuenow", Math.round(v * 100));
  attr(el, "aria-valuetext", words);
}

// badge is the word in the corner of a card: its level is "ok", "warn", "bad" or
// "none", and has a shape as well as a colour.
export function badge(el, word, level) {
  text(el, word);
  attr(el, "data-level", level);
}

// say queues a sentence for those who listen to the page rather than see it.
// The latest few are kept; older ones are no news any more.
const queue = [];
let speaking = 0;
export function say(sentence) {
  queue.push(sentence);
  if (queue.length > 4) queue.splice(0, queue.length - 4);
  if (!speaking) speak();
}
function speak() {
  const next = queue.shift();
  speaking = next === undefined ? 0 : setTimeout(speak, 1200);
  if (next !== undefined) $("announce").textContent = next;
}

// memo returns a function that is true when its argument differs from the one
// before; never for the first one.
export function changed() {
  let before;
  return (now) => {
    const differs = before !== undefined && before !== now;
    before = now;
    return differs;
  };
}
