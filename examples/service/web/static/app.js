// The page: one connection, one history, and every panel that reads them.
import { finite, get, num, str, span } from "./js/format.js";
import { History, Strip, Track } from "./js/series.js";
import { Live } from "./js/live.js";
import { $, text, attr, say } from "./js/dom.js";
import { mountFaults, mountLoad } from "./js/controls.js";
import { mountSession, mountLinks, mountImport } from "./js/use.js";
import * as http from "./js/panels/http.js";
import * as breaker from "./js/panels/breaker.js";
import * as retry from "./js/panels/retry.js";
import * as bulkhead from "./js/panels/bulkhead.js";
import * as ratelimit from "./js/panels/ratelimit.js";
import * as pool from "./js/panels/pool.js";
import * as workerpool from "./js/panels/workerpool.js";
import * as cache from "./js/panels/cache.js";
import * as emitter from "./js/panels/emitter.js";
import * as memory from "./js/panels/memory.js";
import * as cluster from "./js/panels/cluster.js";

const history = new History();
const strip = new Strip();
const log = new emitter.Log();
const tools = { track: (names) => new Track(names), strip };

const panels = [http, breaker, retry, bulkhead, ratelimit, pool, workerpool, cache, emitter, memory, cluster].map((p) => p.mount(tools));
const links = mountLinks();
const imports = mountImport(links);
const drawLog = emitter.mountLog(log);
panels.push(mountFaults(), mountLoad(), mountSession(), imports.update, facts);

function facts(s) {
  text($("fact-db"), str(s, "db", "–"));
  text($("fact-limiter"), str(s, "limiter", "–"));
  text($("fact-uptime"), span(num(s, "uptime")));
  const worker = num(s, "worker");
  const pid = num(s, "pid");
  text($("fact-process"), pid === null ? "–" : (get(s, "workers.length") > 1 && worker !== null ? `worker ${worker}, ` : "") + "pid " + pid);
}

// One panel that fails must not take the others with it.
const reported = new Set();
function update(s) {
  for (const [i, panel] of panels.entries()) {
    try {
      panel(s, history);
    } catch (e) {
      if (!reported.has(i)) console.error("panel", i, e);
      reported.add(i);
    }
  }
}

const WORDS = { connecting: "connecting", live: "live", lost: "connection lost, trying again" };
let missed = false; // the connection was lost, and is not back

const live = new Live("/live", {
  state(s) {
    if (!finite(s.t)) s.t = Date.now();
    if (history.push(s)) update(s);
  },
  audit(e) {
    if (!log.add(e)) return;
    drawLog();
    if (e.kind === "breaker") strip.put(e.t, breaker.announced(e.text));
  },
  progress: imports.progress,
  connection(status) {
    text($("connection"), WORDS[status]);
    attr($("connection"), "data-level", status === "live" ? "ok" : status === "lost" ? "bad" : "none");
    attr(document.documentElement, "data-connection", status);
    if (status === "lost" && !missed) say("The connection is lost.");
    if (status === "live" && missed) {
      say("The connection is back.");
      links.load();
    }
    missed = status === "lost" || (missed && status !== "live");
  },
});
live.open();
