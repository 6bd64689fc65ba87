// The switches: load, and what breaks things.
import { get, num, rate } from "./format.js";
import { $, el, text, attr, say } from "./dom.js";
import { post } from "./api.js";
import { FAULTS, Wish, possible, isOn } from "./faults.js";

function row(f) {
  const control = f.once
    ? el("button", { id: "fault-" + f.id, class: "button", type: "button", "aria-describedby": "say-" + f.id }, f.title)
    : el("button", { id: "fault-" + f.id, class: "switch", type: "button", role: "switch", "aria-checked": "false", "aria-describedby": "say-" + f.id },
        el("span", {}, f.title), el("i", { "aria-hidden": "true" }));
  return el("li", { id: "row-" + f.id },
    control,
    el("p", { id: "say-" + f.id, class: "explain" }, f.say),
    el("p", { class: "effect num" }));
}

// mountFaults makes a switch for each fault and returns its update.
export function mountFaults() {
  const list = $("faults");
  const rows = FAULTS.map((f) => {
    const li = row(f);
    list.append(li);
    return { ...f, li, button: $("fault-" + f.id), effectLine: li.lastElementChild, wish: new Wish(), error: "", errorUntil: 0, fired: 0 };
  });

  async function set(f, on) {
    f.error = "";
    f.wish.ask(on, performance.now());
    show(f, on);
    try {
      await post("/break/" + f.id, { on });
      say(f.once ? f.title + ": done." : `${f.title}: ${on ? "on" : "off"}.`);
      f.fired = performance.now();
    } catch (e) {
      f.wish.drop();
      f.error = e.message;
      f.errorUntil = performance.now() + 6000;
      text(f.effectLine, e.message);
      say(`${f.title}: ${e.message}`);
    }
  }

  function show(f, on) {
    if (!f.once) attr(f.button, "aria-checked", String(on));
    attr(f.li, "data-on", on ? "" : null);
    for (const card of f.cards) mark(card, f.id, on);
  }

  for (const f of rows) {
    f.button.addEventListener("click", () => {
      if (f.button.getAttribute("aria-disabled") === "true") {
        say(f.li.dataset.why);
        return;
      }
      set(f, f.once ? true : f.button.getAttribute("aria-checked") !== "true");
    });
  }
  $("heal").addEventListener("click", () => {
    for (const f of rows) if (!f.once && f.button.getAttribute("aria-checked") === "true") set(f, false);
  });

  return (s, h) => {
    const now = performance.now();
    let any = false;
    for (const f of rows) {
      const { can, why } = possible(s, f.id);
      const recent = f.once && f.fired > 0 && now - f.fired < 8000;
      const on = can && (f.once ? recent : f.wish.shown(isOn(s, f.id), now));
      any ||= on && !f.once;
      attr(f.button, "aria-disabled", can ? null : "true");
      attr(f.li, "data-why", can ? null : why);
      show(f, on);
      text($("say-" + f.id), can ? f.say : why);
      text(f.effectLine, now < f.errorUntil ? f.error : on ? f.effect(s, h) : "");
    }
    $("heal").disabled = !any;
  };
}

// mark frames a card as one to be watched while any of its faults is on.
const marked = new Map();
function mark(card, fault, on) {
  const set = marked.get(card) ?? marked.set(card, new Set()).get(card);
  if (on) set.add(fault);
  else set.delete(fault);
  attr($("card-" + card), "data-watch", set.size > 0 ? "" : null);
}

// mountLoad binds the switch of the load generator and its rate.
export function mountLoad() {
  const button = $("load");
  const slider = $("load-rps");
  const wish = new Wish();
  let touched = 0; // when the slider was moved last
  let timer = 0;

  async function send(on) {
    wish.ask(on, performance.now());
    attr(button, "aria-checked", String(on));
    try {
      await post("/load", { on, rps: Number(slider.value) });
      text($("load-error"), "");
    } catch (e) {
      wish.drop();
      text($("load-error"), e.message);
    }
  }

  const isChecked = () => button.getAttribute("aria-checked") === "true";
  button.addEventListener("click", () => send(!isChecked()));
  slider.addEventListener("input", () => {
    touched = performance.now();
    label();
    clearTimeout(timer);
    timer = setTimeout(() => isChecked() && send(true), 150);
  });

  function label() {
    text($("load-words"), slider.value + " / s");
    attr(slider, "aria-valuetext", slider.value + " requests a second");
  }
  label();

  return (s) => {
    const now = performance.now();
    const on = get(s, "load.on");
    attr(button, "aria-checked", String(wish.shown(typeof on === "boolean" ? on : null, now)));
    const rps = num(s, "load.rps");
    if (rps > 0 && now - touched > 2000 && Number(slider.value) !== rps) {
      slider.value = String(rps);
      label();
    }
    $("load-hint").hidden = on !== false;
  };
}
