// A CSV dropped with the images: patient, date, view, sex and age of each file.
const COLUMNS = {
  file: ["image", "file", "filename", "path"],
  patient: ["patient", "patient_id", "patientid"],
  date: ["study_date", "date", "studydate"],
  offset: ["offset_days"],
  view: ["view", "view_position", "viewposition", "projection"],
  sex: ["sex", "patient_sex", "patientsex", "gender"],
  age: ["age", "patient_age", "patientage"],
};

export const baseName = (path) => path.split(/[\\/]/).pop();
const folderOf = (path) => path.slice(0, path.lastIndexOf("/") + 1);
const plain = (path) => path.replaceAll("\\", "/").replace(/^(\.?\/)+/, "").toLowerCase();

/** Rows of a CSV text as arrays of cells (RFC 4180 quotes; comma or semicolon, whichever the head uses). */
export function parseCsv(text) {
  const body = text.replace(/^\uFEFF/, "");
  const head = body.split(/\r?\n/, 1)[0];
  const comma = head.split(";").length > head.split(",").length ? ";" : ",";
  const cell = new RegExp(`("(?:[^"]|"")*"|[^"${comma}\\r\\n]*)(${comma}|\\r?\\n|$)`, "gy");
  const rows = [[]];
  for (let found = cell.exec(body); found; found = cell.exec(body)) {
    const [, raw, end] = found;
    rows.at(-1).push(raw.startsWith('"') ? raw.slice(1, -1).replaceAll('""', '"') : raw.trim());
    if (end === "" || cell.lastIndex >= body.length) break;
    if (end !== comma) rows.push([]);
  }
  return rows.filter((row) => row.some(Boolean));
}

export function isoDate(text) {
  const digits = (text ?? "").trim().match(/^(\d{4})-?(\d{2})-?(\d{2})/);
  return digits ? digits.slice(1).join("-") : "";
}

export function addDays(date, days) {
  const day = new Date(`${date}T00:00:00Z`);
  day.setUTCDate(day.getUTCDate() + days);
  return day.toISOString().slice(0, 10);
}

/** The lines of a CSV as [{path, under, patient, date, offset, view, sex, age}], for files in the CSV's folder (`under`) or below;
    null when the text is not a manifest. */
export function readManifest(text, { csv = "" } = {}) {
  const [head, ...rows] = parseCsv(text);
  const names = (head ?? []).map((name) => name.toLowerCase());
  const place = Object.fromEntries(
    Object.entries(COLUMNS).map(([key, known]) => [key, names.findIndex((name) => known.includes(name))]),
  );
  if (place.file < 0 || place.patient < 0) return null;
  const lines = rows.map((row) => {
    const cell = (key) => (place[key] < 0 ? "" : (row[place[key]] ?? "").trim());
    const offset = place.offset < 0 ? "" : row[place.offset] ?? "";
    return {
      path: plain(row[place.file] ?? ""),
      under: plain(folderOf(csv)),
      patient: row[place.patient] ?? "",
      date: place.date < 0 ? "" : isoDate(row[place.date]),
      offset: offset === "" || Number.isNaN(Number(offset)) ? null : Math.round(Number(offset)),
      view: cell("view"),
      sex: cell("sex"),
      age: cell("age"),
    };
  });
  return lines.filter(({ path }) => path);
}

/** For each path the line that names it, else null. Names like frontal.png occur once a patient, so a line that
    matches two files, or a file that matches two lines, is left out. */
export function named(lines, paths) {
  const different = [...new Map(lines.map((line) => [JSON.stringify(line), line])).values()];
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
