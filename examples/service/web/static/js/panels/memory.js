// Memory: the live heap against the collector's goal and the limit, the verdict,
// and the line that is guilty.
import { num, str, list, count, bytes } from "../format.js";
import { $, text, el, children, badge, changed, say } from "../dom.js";
import { Plot, niceBytes } from "../plot.js";

const LEVELS = { none: "ok", watch: "warn", suspect: "warn", leak: "bad", insufficient: "none" };
const WORDS = {
  none: "no leak",
  watch: "watching",
  suspect: "suspect",
  leak: "leak",
  insufficient: "collecting data",
};

export function view(s) {
  const verdict = str(s, "memory.verdict");
  const live = num(s, "memory.live");
  const goal = num(s, "memory.goal");
  const limit = num(s, "memory.limit");
  const most = Math.max(live ?? 0, goal ?? 0);
  return {
    verdict, live, goal,
    // A limit far above all else would flatten what there is to see.
    limit: limit !== null && limit > 0 && limit <= 1.5 * most ? limit : null,
    asked: limit,
    rss: num(s, "memory.rss"),
    goroutines: num(s, "memory.goroutines"),
    missing: num(s, "memory.missing"),
    sites: list(s, "memory.sites").filter((x) => x !== null && typeof x === "object").slice(0, 2)
      .map((x) => ({ site: str(x, "site", "–"), rate: num(x, "rate") })),
    word: WORDS[verdict] ?? (verdict || "–"),
    level: LEVELS[verdict] ?? "none",
    guilty: verdict === "leak" || verdict === "suspect",
  };
}

function row() {
  return el("li", {}, el("code"), el("span", { class: "num" }));
}

export function mount({ track }) {
  const t = track(["live", "goal", "limit"]);
  const plot = new Plot($("plot-memory"), [
    { name: "live", color: "--ok", fill: true },
    { name: "goal", color: "--ink-2", style: "dashed" },
    { name: "limit", color: "--bad", style: "dotted" },
  ], { format: bytes, nice: niceBytes, least: 8 << 20 });
  const news = changed();
  return (s) => {
    const v = view(s);
    t.push(s.t, v);
    plot.draw(t);
    plot.describe(`Live heap over the last minute: now ${bytes(v.live)}; the next collection is at ${bytes(v.goal)}.`);
    badge($("memory-verdict"), v.word, v.level);
    text($("memory-live"), bytes(v.live));
    text($("memory-goal"), bytes(v.goal));
    text($("memory-limit"), v.asked ? bytes(v.asked) : "none");
    text($("memory-rss"), bytes(v.rss));
    text($("memory-goroutines"), count(v.goroutines));
    children($("memory-sites"), v.sites, row, (li, x) => {
      text(li.children[0], x.site);
      text(li.children[1], x.rate === null ? "" : (x.rate >= 0 ? "+" : "") + bytes(x.rate) + " / s");
    });
    const clean = v.verdict === "insufficient" && v.missing ? `No line is named yet: ${count(v.missing)} more collections until the first verdict.` : "No line grows beyond chance.";
    text($("memory-clean"), clean);
    $("memory-clean").hidden = v.sites.length > 0;
    $("card-memory").dataset.guilty = v.guilty && v.sites.length > 0;
    if (v.verdict && news(v.verdict)) say(`Memory: ${v.word}${v.sites[0] ? ", " + v.sites[0].site : ""}.`);
  };
}
