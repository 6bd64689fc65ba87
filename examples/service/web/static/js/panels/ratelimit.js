// The rate limit: the window of each user, and what was refused.
import { num, str, list, count, rate } from "../format.js";
import { share } from "../series.js";
import { $, text, el, children, badge } from "../dom.js";

const SHOWN = 5;

export function view(s, h) {
  const users = list(s, "ratelimit.users").filter((u) => u !== null && typeof u === "object");
  return {
    rows: users.slice(0, SHOWN).map((u) => {
      const used = num(u, "used");
      const limit = num(u, "limit");
      const part = share(used, limit);
      return { user: str(u, "user", "–"), used, limit, part: part ?? 0, refused: num(u, "refused", 0), full: part !== null && part >= 0.995 };
    }),
    refusing: h.rate("ratelimit.stats.limited"),
    allowing: h.rate("ratelimit.stats.allowed"),
    keys: num(s, "ratelimit.stats.keys"),
    refused: num(s, "ratelimit.stats.limited"),
  };
}

function row() {
  return el("li", {},
    el("span", { class: "name" }),
    el("span", { class: "meter", role: "img" }, el("i")),
    el("span", { class: "n num" }),
    el("span", { class: "refused num" }));
}

export function mount() {
  const rows = $("ratelimit-users");
  return (s, h) => {
    const v = view(s, h);
    children(rows, v.rows, row, (li, r) => {
      const [name, bar, n, refused] = li.children;
      text(name, r.user);
      name.title = r.user;
      bar.style.setProperty("--v", Math.min(1, r.part).toFixed(4));
      bar.setAttribute("data-level", r.full ? "bad" : "ok");
      bar.setAttribute("aria-label", `${count(r.used)} of ${count(r.limit)} used`);
      text(n, `${count(r.used)} / ${count(r.limit)}`);
      text(refused, r.refused > 0 ? `${count(r.refused)} refused` : "");
    });
    $("ratelimit-empty").hidden = v.rows.length > 0;
    const busy = v.refusing > 0;
    badge($("ratelimit-badge"), v.refusing === null ? "–" : busy ? "refusing" : "all within limits", v.refusing === null ? "none" : busy ? "warn" : "ok");
    text($("ratelimit-allowing"), rate(v.allowing));
    text($("ratelimit-refusing"), rate(v.refusing));
    text($("ratelimit-refused"), count(v.refused));
    text($("ratelimit-keys"), count(v.keys));
  };
}
