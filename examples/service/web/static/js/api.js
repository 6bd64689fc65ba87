// Calls of the service, and the session that they carry. Tokens live in the
// sessionStorage of this tab: closing it forgets them.

const KEY = "bedplate.session";

export class ApiError extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

function stored() {
  try {
    const v = JSON.parse(sessionStorage.getItem(KEY));
    return v && typeof v.access === "string" && typeof v.refresh === "string" ? v : null;
  } catch {
    return null;
  }
}

let session = stored();
const listeners = [];

export const current = () => session;
export const onSession = (fn) => listeners.push(fn);

function keep(next) {
  session = next;
  try {
    if (next) sessionStorage.setItem(KEY, JSON.stringify(next));
    else sessionStorage.removeItem(KEY);
  } catch {
    // Without storage the session lasts as long as the page.
  }
  for (const fn of listeners) fn(session);
}

// explain is what people read of an answer that is none.
export function explain(status, body) {
  if (body && typeof body.error === "string" && body.error) return body.error;
  if (status === 429) return "too many requests";
  if (status === 503) return "not available just now";
  return "the service answered " + status;
}

async function send(method, path, { body, token, headers = {}, timeout = 15_000 } = {}) {
  const init = { method, headers: { ...headers }, signal: AbortSignal.timeout(timeout), cache: "no-store" };
  if (token) init.headers.Authorization = "Bearer " + token;
  if (body instanceof Blob) init.body = body;
  else if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers["Content-Type"] = "application/json";
  }
  let res;
  try {
    res = await fetch(path, init);
  } catch (e) {
    throw new ApiError(0, e.name === "TimeoutError" ? "no answer in time" : "the service can't be reached");
  }
  if (!res.ok) {
    const answer = await res.json().catch(() => null);
    throw new ApiError(res.status, explain(res.status, answer), res.headers.get("Retry-After"));
  }
  return res;
}

const json = async (res) => (res.status === 204 ? null : res.json().catch(() => null));

export const post = async (path, body) => json(await send("POST", path, { body }));

// renew changes the refresh token for new ones, once for all who ask together.
let renewing = null;
function renew() {
  renewing ??= (async () => {
    try {
      const t = await post("/refresh", { refresh_token: session.refresh });
      keep(tokens(t, session.email));
    } catch (e) {
      if (e.status === 400 || e.status === 401) keep(null);
      throw e;
    } finally {
      renewing = null;
    }
  })();
  return renewing;
}

function tokens(t, email) {
  return {
    email,
    access: t?.access_token ?? "",
    refresh: t?.refresh_token ?? "",
    until: Date.now() + (Number(t?.expires_in) || 0) * 1000,
  };
}

// authed sends with the session's token; if that is over, with a new one.
export async function authed(method, path, options = {}) {
  if (!session) throw new ApiError(401, "log in first");
  try {
    return await send(method, path, { ...options, token: session.access });
  } catch (e) {
    if (e.status !== 401 || !session) throw e;
  }
  await renew();
  return send(method, path, { ...options, token: session.access });
}

export const authedJSON = async (method, path, options) => json(await authed(method, path, options));

export { renew };

// enter registers or logs in.
export async function enter(path, email, password) {
  const t = await post(path, { email, password });
  // A service that only registers is asked to log in as well.
  const answer = t?.access_token ? t : await post("/login", { email, password });
  keep(tokens(answer, email));
}

// guest makes an account of its own, so that nobody has to think of one.
export function guest() {
  const random = (n) => Array.from(crypto.getRandomValues(new Uint8Array(n)), (b) => b.toString(16).padStart(2, "0")).join("");
  return enter("/register", "guest-" + random(4) + "@example.com", random(16));
}

// leave ends the session, here and at the service.
export async function leave() {
  try {
    await authed("POST", "/logout");
  } finally {
    keep(null);
  }
}

// claims reads what a token says, for display alone: the service verifies it.
export function claims(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (c) => c.charCodeAt(0));
    const v = JSON.parse(new TextDecoder().decode(bytes));
    return v !== null && typeof v === "object" ? v : {};
  } catch {
    return {};
  }
}
