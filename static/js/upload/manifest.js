// A CSV dropped with the images: the server reads it; here its rows are matched to the files.
import { csrf } from "../http.js";

export const baseName = (path) => path.split(/[\\/]/).pop();
const folderOf = (path) => path.slice(0, path.lastIndexOf("/") + 1);
// macOS writes ö as two characters, and Windows does not distinguish capitals.
const plain = (path) => path.normalize("NFC").replaceAll("\\", "/").replace(/^(\.?\/)+/, "").toLowerCase();
const MAX_NAMES = 200;

export function addDays(date, days) {
  const day = new Date(`${date}T00:00:00Z`);
  day.setUTCDate(day.getUTCDate() + days);
  return day.toISOString().slice(0, 10);
}

/** The manifest in a CSV file: {lines: [{number, path, under, patient, date, offset, view, sex, age}], preview (HTML), unclear},
    for files in the CSV's folder (`under`) or below; `names` of files help to detect the encoding. Rejects with the server's message. */
export async function readManifest(url, { file, path = file.name }, { names = [], dateOrder = "", encoding = "" } = {}) {
  const body = new FormData();
  body.set("table", file);
  body.set("date_order", dateOrder);
  body.set("encoding", encoding);
  body.set("names", JSON.stringify(names.filter((name) => /[^\x20-\x7e]/.test(name)).slice(0, MAX_NAMES)));
  const response = await fetch(url, { method: "POST", body, headers: { "X-CSRFToken": csrf(), Accept: "application/json" } });
  const read = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(read.detail ? `${read.detail} ${read.remedy ?? ""}` : `HTTP ${response.status}`);
  const under = plain(folderOf(path));
  const lines = read.lines.map(({ image, ...line }) => ({ ...line, path: plain(image), under }));
  return { ...read, lines: lines.filter(({ path }) => path) };
}

/** For each path the line that names it, else null. Names like frontal.png occur once a patient, so a line that
    matches two files, or a file that matches two lines, is left out. */
export function named(lines, paths) {
  const different = [...new Map(lines.map((line) => [JSON.stringify({ ...line, number: 0 }), line])).values()];
  const matches = paths.map(plain).map((path) => different.filter((line) => fits(line, path)));
  const uses = new Map();
  for (const line of matches.flat()) uses.set(line, (uses.get(line) ?? 0) + 1);
  return matches.map((lines) => (lines.length === 1 && uses.get(lines[0]) === 1 ? lines[0] : null));
}

function fits({ path, under }, file) {
  if (!file.startsWith(under)) return false;
  const inside = file.slice(under.length);
  return inside === path || inside.endsWith(`/${path}`) || path.endsWith(`/${inside}`);
}
