// The worker processes.
import { num, str, list, count, bytes } from "../format.js";
import { $, text, attr, el, children, badge, changed, say } from "../dom.js";

export function view(s) {
  const workers = list(s, "workers").filter((w) => w !== null && typeof w === "object");
  const rows = workers.map((w) => {
    const ready = w.ready === true;
    return {
      id: num(w, "id"),
      pid: num(w, "pid"),
      restarts: num(w, "restarts"),
      rss: num(w, "rss"),
      requests: num(w, "requests"),
      state: str(w, "state") || (ready ? "ready" : "starting"),
      ready,
      self: num(w, "pid") !== null && num(w, "pid") === num(s, "pid"),
    };
  });
  return { rows, ready: rows.filter((r) => r.ready).length, restarts: rows.reduce((a, r) => a + (r.restarts ?? 0), 0) };
}

function row() {
  return el("tr", {}, el("th", { scope: "row", class: "num" }), el("td"), el("td", { class: "num" }), el("td", { class: "num" }), el("td", { class: "num" }), el("td", { class: "num" }));
}

export function mount() {
  const news = changed();
  return (s) => {
    const v = view(s);
    children($("workers"), v.rows, row, (tr, r) => {
      const [id, state, pid, restarts, requests, rss] = tr.children;
      text(id, count(r.id));
      text(state, r.state + (r.self ? ", answers you" : ""));
      attr(state, "data-level", r.ready ? "ok" : "bad");
      text(pid, r.pid ? String(r.pid) : "–");
      text(restarts, count(r.restarts));
      text(requests, count(r.requests));
      text(rss, bytes(r.rss));
    });
    const n = v.rows.length;
    badge($("workers-badge"), n === 0 ? "–" : n === 1 ? "one process" : `${v.ready} of ${n} ready`, n === 0 ? "none" : v.ready === n ? "ok" : "bad");
    text($("workers-restarts"), count(v.restarts));
    $("workers-hint").hidden = n > 1;
    if (news(v.restarts)) say(`A worker was restarted; ${v.ready} of ${n} are ready.`);
  };
}
