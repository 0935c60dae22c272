// A CSV dropped alongside the pictures: which file belongs to whom, and when it was taken.
const COLUMNS = {
  file: ["image", "file", "filename", "path"],
  patient: ["patient", "patient_id", "patientid"],
  date: ["study_date", "date", "studydate"],
  offset: ["offset_days"],
};

export const baseName = (path) => path.split(/[\\/]/).pop();

/** How a file is looked up in a manifest: by its name alone, in either case. */
export const keyOf = (path) => baseName(path).toLowerCase();

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
  const moment = new Date(`${date}T00:00:00Z`);
  moment.setUTCDate(moment.getUTCDate() + days);
  return moment.toISOString().slice(0, 10);
}

/** Map of file name to {patient, date, offset}; null when the text is no manifest of pictures. */
export function readManifest(text) {
  const [head, ...rows] = parseCsv(text);
  const names = (head ?? []).map((name) => name.toLowerCase());
  const place = Object.fromEntries(
    Object.entries(COLUMNS).map(([key, known]) => [key, names.findIndex((name) => known.includes(name))]),
  );
  if (place.file < 0 || place.patient < 0) return null;
  const entries = rows.map((row) => {
    const offset = place.offset < 0 ? "" : row[place.offset] ?? "";
    return [keyOf(row[place.file] ?? ""), {
      patient: row[place.patient] ?? "",
      date: place.date < 0 ? "" : isoDate(row[place.date]),
      offset: offset === "" || Number.isNaN(Number(offset)) ? null : Math.round(Number(offset)),
    }];
  });
  return new Map(entries.filter(([name]) => name));
}
