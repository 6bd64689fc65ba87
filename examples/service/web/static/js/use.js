// The service as its users see it: an account, short links, an import.
import { count, num, str, list, span, bytes } from "./format.js";
import { $, el, text, attr, children, meter, say, badge } from "./dom.js";
import * as api from "./api.js";
import { generate } from "./csv.js";

// report writes what came of an action beside its form.
function report(id, words, level = "ok") {
  const line = $(id);
  text(line, words);
  attr(line, "data-level", level);
}

// busy keeps a button from being pressed twice, and reports what goes wrong.
async function busy(button, id, action) {
  if (button.getAttribute("aria-busy") === "true") return;
  attr(button, "aria-busy", "true");
  try {
    await action();
  } catch (e) {
    report(id, e.message + (e.retryAfter ? `; again in ${e.retryAfter} s` : ""), "bad");
  } finally {
    attr(button, "aria-busy", null);
  }
}

// ensure makes a guest account for who has none yet.
async function ensure() {
  if (api.current()) return;
  await api.guest();
  report("session-say", "A guest account was made for you.");
}

export function mountSession() {
  const form = $("session-form");
  const credentials = () => [$("email").value.trim(), $("password").value];
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    busy($("login"), "session-say", async () => {
      await api.enter("/login", ...credentials());
      report("session-say", "Logged in.");
    });
  });
  $("register").addEventListener("click", () => {
    if (!form.reportValidity()) return;
    busy($("register"), "session-say", async () => {
      await api.enter("/register", ...credentials());
      report("session-say", "Registered and logged in.");
    });
  });
  $("guest").addEventListener("click", () => busy($("guest"), "session-say", ensure));
  $("refresh").addEventListener("click", () =>
    busy($("refresh"), "session-say", async () => {
      await api.renew();
      report("session-say", "A new pair of tokens; the old refresh token is spent.");
    }));
  $("logout").addEventListener("click", () =>
    busy($("logout"), "session-say", async () => {
      await api.leave();
      report("session-say", "Logged out; every token of the session is void.");
    }));

  function show(session) {
    form.hidden = session !== null;
    $("session").hidden = session === null;
    if (!session) return;
    text($("session-email"), session.email);
    const parts = session.access.split(".");
    ["header", "claims", "signature"].forEach((name, i) => {
      const part = parts[i] ?? "";
      text($("token-" + name), part.length > 26 ? part.slice(0, 24) + "…" : part);
    });
    const c = api.claims(session.access);
    text($("token-sub"), [c.sub && "sub " + c.sub, c.iss && "iss " + c.iss, c.kid && "kid " + c.kid].filter(Boolean).join("  "));
    tick();
  }

  function tick() {
    const session = api.current();
    if (!session) return;
    const exp = num(api.claims(session.access), "exp");
    const until = exp !== null ? exp * 1000 : session.until;
    const left = (until - Date.now()) / 1000;
    text($("token-left"), left > 0 ? `good for ${span(left)}` : "over; the next call brings a new one");
  }
  api.onSession(show);
  show(api.current());
  setInterval(tick, 1000);

  return (s) => {
    for (const k of ["logins", "refreshed", "reused", "rejected"]) text($("jwt-" + k), count(num(s, "jwt." + k)));
    badge($("jwt-badge"), api.current() ? "logged in" : "no session", api.current() ? "ok" : "none");
  };
}

const dataURL = (blob) =>
  new Promise((resolve, reject) => {
    const r = new FileReader();
    r.onload = () => resolve(r.result);
    r.onerror = () => reject(new Error("the picture can't be read"));
    r.readAsDataURL(blob);
  });

// encode is a path element of whatever a link is called.
const at = (slug, rest = "") => "/api/links/" + encodeURIComponent(slug) + rest;

export function mountLinks() {
  const form = $("link-form");
  const rows = $("links");
  let links = [];

  form.addEventListener("submit", (e) => {
    e.preventDefault();
    busy($("shorten"), "links-say", async () => {
      await ensure();
      const slug = $("slug").value.trim();
      const link = await api.authedJSON("POST", "/api/links", { body: { url: $("url").value.trim(), ...(slug ? { slug } : {}) } });
      links = [link, ...links.filter((l) => l.slug !== link.slug)];
      draw();
      report("links-say", `${location.host}/l/${link.slug} leads there now.`);
      $("slug").value = "";
      await qr(link.slug);
    });
  });

  async function qr(slug) {
    const res = await api.authed("GET", at(slug, "/qr.png"));
    const image = $("qr");
    image.src = await dataURL(await res.blob());
    image.alt = `QR code of ${location.host}/l/${slug}`;
    image.hidden = false;
    text($("qr-say"), "/l/" + slug);
  }

  const actions = {
    QR: (slug) => qr(slug),
    Title: async (slug) => {
      const v = await api.authedJSON("GET", at(slug, "/preview"));
      report("links-say", `“${str(v, "title", "no title")}” after ${num(v, "attempts", 1) === 1 ? "one attempt" : count(num(v, "attempts")) + " attempts"}`);
    },
    Delete: async (slug) => {
      await api.authed("DELETE", at(slug));
      links = links.filter((l) => l.slug !== slug);
      draw();
      report("links-say", `/l/${slug} is gone.`);
    },
  };

  function row() {
    const li = el("li", {}, el("a", { target: "_blank", rel: "noopener" }), el("span", { class: "url" }), el("span", { class: "hits num" }));
    for (const [name, action] of Object.entries(actions)) {
      const b = el("button", { class: "small", type: "button", "data-action": name }, name);
      b.addEventListener("click", () => busy(b, "links-say", () => action(li.dataset.slug)));
      li.append(b);
    }
    return li;
  }

  function draw() {
    $("links-empty").hidden = links.length > 0;
    children(rows, links.slice(0, 4), row, (li, l) => {
      const slug = str(l, "slug");
      const [a, url, hits] = li.children;
      li.dataset.slug = slug;
      attr(a, "href", "/l/" + encodeURIComponent(slug));
      text(a, "/l/" + slug);
      text(url, str(l, "url"));
      url.title = str(l, "url");
      text(hits, num(l, "hits") === 1 ? "1 hit" : count(num(l, "hits", 0)) + " hits");
      for (const b of li.querySelectorAll("button")) attr(b, "aria-label", `${b.dataset.action} of ${slug}`);
    });
    text($("links-more"), links.length > 4 ? `and ${count(links.length - 4)} more` : "");
  }

  // load fetches the list; that it fails is said only where it was asked for.
  async function load() {
    if (!api.current()) {
      links = [];
      $("qr").hidden = true;
      text($("qr-say"), "");
      draw();
      return;
    }
    try {
      links = list({ v: await api.authedJSON("GET", "/api/links") }, "v").filter((l) => l !== null && typeof l === "object");
      links.sort((a, b) => String(b.created ?? "").localeCompare(String(a.created ?? "")));
      draw();
    } catch {
      // The next look brings it.
    }
  }
  let email;
  api.onSession((s) => {
    if (s?.email !== email) load();
    email = s?.email;
  });
  email = api.current()?.email;
  load();
  // Hits grow by being followed, which happens in another tab.
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && load());
  rows.addEventListener("click", (e) => {
    // The service writes hits down once a second.
    if (e.target.closest("a")) for (const ms of [500, 2000]) setTimeout(load, ms);
  });
  return { load };
}

// mountImport binds the import. Its result has `progress`, for events, and
// `update`, for states.
export function mountImport(links) {
  const zone = $("drop");
  let waiting = false; // an import of ours runs
  let id = ""; // its name in progress events
  let started = 0;

  async function run(button, blob, name) {
    await busy(button, "import-say", async () => {
      await ensure();
      waiting = true;
      id = crypto.getRandomValues(new Uint32Array(2)).join("-");
      started = performance.now();
      report("import-say", `${name}, ${bytes(blob.size)} …`);
      show(0, 0);
      try {
        const res = await api.authed("POST", "/api/links/import", { body: blob, headers: { "Content-Type": "text/csv", "X-Import-Id": id }, timeout: 120_000 });
        const v = await res.json().catch(() => ({}));
        const refused = list(v, "rejected");
        const n = num(v, "imported", 0);
        const seconds = (performance.now() - started) / 1000;
        show(1, n);
        report("import-say", `${count(n)} links in ${seconds.toFixed(1)} s` +
          (refused.length ? `; ${count(num(v, "refused", refused.length))} refused, first line ${count(num(refused[0], "line"))}: ${str(refused[0], "error")}` : ""),
          refused.length ? "warn" : "ok");
        say(`Import done: ${count(n)} links.`);
        links.load();
      } catch (e) {
        show(null, null);
        throw e;
      } finally {
        waiting = false;
        id = "";
      }
    });
  }

  function show(part, rows) {
    meter($("import-meter"), part, part === null ? "no import" : Math.round(part * 100) + " %", "ok");
    text($("import-rows"), rows === null ? "–" : count(rows));
  }

  const take = (file) => file && run($("import-file-button"), file, file.name);
  $("import-generate").addEventListener("click", () => {
    const tag = Array.from(crypto.getRandomValues(new Uint8Array(3)), (b) => (b % 36).toString(36)).join("") + "-";
    run($("import-generate"), new Blob([generate(10_000, tag)], { type: "text/csv" }), "10 000 rows");
  });
  $("import-file-button").addEventListener("click", () => $("import-file").click());
  $("import-file").addEventListener("change", (e) => {
    take(e.target.files[0]);
    e.target.value = "";
  });
  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (e) => {
      e.preventDefault();
      zone.dataset.over = "";
    });
  }
  zone.addEventListener("dragleave", () => delete zone.dataset.over);
  zone.addEventListener("drop", (e) => {
    e.preventDefault();
    delete zone.dataset.over;
    take(e.dataTransfer.files[0]);
  });
  $("export").addEventListener("click", () =>
    busy($("export"), "import-say", async () => {
      await ensure();
      const res = await api.authed("GET", "/api/links/export.csv", { timeout: 120_000 });
      const href = URL.createObjectURL(await res.blob());
      el("a", { href, download: "links.csv" }).click();
      setTimeout(() => URL.revokeObjectURL(href), 10_000);
      report("import-say", "links.csv was saved.");
    }));
  show(null, null);

  return {
    progress(p) {
      if (!waiting || str(p, "id") !== id) return; // imports of others are told of as well
      const total = num(p, "total", 0);
      show(total > 0 ? num(p, "done", 0) / total : 0, num(p, "rows", 0));
    },
    update(s, h) {
      const rate = h.rate("stream.items");
      text($("stream-rate"), rate === null ? "–" : count(rate));
      text($("stream-items"), count(num(s, "stream.items")));
      const running = num(s, "stream.running", 0);
      badge($("stream-badge"), running > 0 || waiting ? "running" : "idle", running > 0 || waiting ? "ok" : "none");
    },
  };
}
