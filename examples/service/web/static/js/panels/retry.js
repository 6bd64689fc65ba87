// Retries: how many attempts calls took, and the budget that bounds them.
import { num, count, rate, percent } from "../format.js";
import { share } from "../series.js";
import { $, text, attr, meter, el, children, badge } from "../dom.js";

export function view(s, h) {
  const attempts = h.deltas("retry.attempts");
  const most = Math.max(1, ...attempts);
  const all = attempts.reduce((a, b) => a + b, 0);
  const tokens = num(s, "retry.budget.tokens");
  const max = num(s, "retry.budget.max");
  const left = share(tokens, max);
  return {
    rows: attempts.slice(0, 5).map((n, i) => ({
      name: i === 0 ? "1 attempt" : `${i + 1} attempts`,
      n, part: n / most, again: i > 0,
      words: all ? percent(n / all) : "–",
    })),
    left, max, tokens,
    // Half of the bucket is the line below which nothing is tried again.
    stopped: left !== null && left <= 0.5,
    retrying: h.rate("retry.retries"),
    recovered: num(s, "retry.recovered"),
    gaveUp: num(s, "retry.gave_up"),
    overBudget: num(s, "retry.over_budget"),
  };
}

function row() {
  return el("li", {}, el("span", { class: "name" }), el("span", { class: "meter", role: "img" }, el("i")), el("span", { class: "n num" }));
}

export function mount() {
  const rows = $("retry-attempts");
  return (s, h) => {
    const v = view(s, h);
    children(rows, v.rows.length ? v.rows : [1, 2, 3].map((i) => ({ name: i === 1 ? "1 attempt" : i + " attempts", n: null, part: 0, words: "–" })), row, (li, r) => {
      const [name, bar, n] = li.children;
      text(name, r.name);
      text(n, count(r.n));
      bar.style.setProperty("--v", r.part.toFixed(4));
      bar.setAttribute("aria-label", r.words);
      attr(bar, "data-level", r.again ? "warn" : "ok");
    });
    meter($("retry-budget"), v.left, v.left === null ? "unknown" : `${percent(v.left)} of the budget is left`, v.stopped ? "bad" : "ok");
    text($("retry-budget-words"), v.left === null ? "–" : v.stopped ? `${percent(v.left)}: no retries` : percent(v.left));
    badge($("retry-badge"), v.stopped ? "out of budget" : v.retrying > 0 ? "retrying" : "quiet", v.stopped ? "bad" : v.retrying > 0 ? "warn" : "ok");
    text($("retry-rate"), rate(v.retrying));
    text($("retry-recovered"), count(v.recovered));
    text($("retry-gaveup"), count(v.gaveUp));
    text($("retry-overbudget"), count(v.overBudget));
  };
}
