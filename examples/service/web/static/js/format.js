// Numbers and times in words that keep their width. Every function takes
// whatever a state may lack: what is not a finite number is a dash, never
// "NaN" or "undefined".

export const DASH = "–";

export const finite = (v) => typeof v === "number" && Number.isFinite(v);

// get follows a path of names through objects: get(s, "http.p50"). What is not
// there is undefined.
export function get(obj, path) {
  let v = obj;
  for (const name of path.split(".")) {
    if (v === null || typeof v !== "object") return undefined;
    v = v[name];
  }
  return v;
}

// num is get for numbers: the fallback stands for all that is none.
export function num(obj, path, fallback = null) {
  const v = get(obj, path);
  return finite(v) ? v : fallback;
}

// str is get for texts.
export function str(obj, path, fallback = "") {
  const v = get(obj, path);
  return typeof v === "string" ? v : fallback;
}

// list is get for arrays.
export function list(obj, path) {
  const v = get(obj, path);
  return Array.isArray(v) ? v : [];
}

// group puts thin spaces between thousands.
const group = (text) => text.replace(/\B(?=(\d{3})+$)/g, "\u2009");

// count writes a whole number, and large ones short: 1 234, 56.7k, 8.9M.
export function count(v) {
  if (!finite(v)) return DASH;
  const a = Math.abs(v);
  if (a < 10_000) return group(String(Math.round(v)));
  if (a < 999_500) return (v / 1e3).toFixed(a < 99_950 ? 1 : 0) + "k";
  if (a < 999.5e6) return (v / 1e6).toFixed(a < 99.95e6 ? 1 : 0) + "M";
  return (v / 1e9).toFixed(1) + "G";
}

// rate writes a number a second; small ones with one decimal.
export function rate(v) {
  if (!finite(v)) return DASH;
  if (v > 0 && v < 9.95) return v.toFixed(1);
  return count(v);
}

export function percent(v) {
  if (!finite(v)) return DASH;
  const p = v * 100;
  // What is not all must not read as all, and what is not nothing as nothing.
  if (p > 99.5 && p < 100) return ">99 %";
  if (p > 0 && p < 0.5) return "<1 %";
  return Math.round(p) + " %";
}

export function bytes(v) {
  if (!finite(v)) return DASH;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (Math.abs(v) >= 1000 && i < units.length - 1) {
    v /= 1024;
    i++;
  }
  return (i === 0 || Math.abs(v) >= 99.95 ? Math.round(v) : v.toFixed(1)) + " " + units[i];
}

// ms writes a time that is given in milliseconds.
export function ms(v) {
  if (!finite(v)) return DASH;
  if (v === 0) return "0 ms";
  if (v < 0.0995) return Math.max(1, Math.round(v * 1000)) + " µs";
  if (v < 9.95) return v.toFixed(1) + " ms";
  if (v < 999.5) return Math.round(v) + " ms";
  if (v < 59_950) return (v / 1000).toFixed(1) + " s";
  return span(v / 1000);
}

// ns writes a time that is given in nanoseconds.
export const ns = (v) => (finite(v) ? ms(v / 1e6) : DASH);

// span writes seconds as people say them: 42 s, 3 min 05 s, 2 h 07 min, 3 d 4 h.
export function span(sec) {
  if (!finite(sec)) return DASH;
  const s = Math.max(0, Math.floor(sec));
  const two = (n) => String(n).padStart(2, "0");
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + two(s % 60) + " s";
  if (s < 86_400) return Math.floor(s / 3600) + " h " + two(Math.floor((s % 3600) / 60)) + " min";
  return Math.floor(s / 86_400) + " d " + Math.floor((s % 86_400) / 3600) + " h";
}

// clock writes the time of day of a moment in milliseconds.
export function clock(t) {
  if (!finite(t)) return "--:--:--";
  const d = new Date(t);
  if (Number.isNaN(d.getTime())) return "--:--:--";
  return [d.getHours(), d.getMinutes(), d.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":");
}

// plural writes a number with its noun.
export const plural = (n, one, many = one + "s") => count(n) + " " + (n === 1 ? one : many);
