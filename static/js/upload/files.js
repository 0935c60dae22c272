// Files that were dropped or picked, folders included.
const IGNORED = /(^|\/)(\.[^/]*|thumbs\.db|desktop\.ini|dicomdir)$/i;

export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return picked(transfer.files);
  const files = await Promise.all(entries.map(walk));
  return files.flat().filter(({ path }) => !IGNORED.test(path));
}

export function picked(list) {
  return [...list]
    .map((file) => ({ file, path: file.webkitRelativePath || file.name }))
    .filter(({ path }) => !IGNORED.test(path));
}

async function walk(entry) {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) return [{ file: await new Promise((done, fail) => entry.file(done, fail)), path }];
  const reader = entry.createReader();
  const inside = [];
  // A reader returns at most a hundred entries at a time, and none at the end.
  for (let some = await read(reader); some.length; some = await read(reader)) inside.push(...some);
  return (await Promise.all(inside.map(walk))).flat();
}

const read = (reader) => new Promise((done, fail) => reader.readEntries(done, fail));

/** PS3.10: "DICM" after a preamble of 128 bytes. */
export async function isDicom(file) {
  return (await file.slice(128, 132).text()) === "DICM";
}

/** A ZIP archive (APPNOTE 4.3); a DICOM file's preamble may look like one. */
export async function isArchive(file) {
  const [a, b, c, d] = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  const begins = a === 0x50 && b === 0x4b && ((c === 3 && d === 4) || (c === 5 && d === 6));
  return begins && !(await isDicom(file));
}

// Workbooks too: the server asks for a CSV instead.
export const isTable = (file) => /\.(csv|tsv|tab|xlsx?|ods)$/i.test(file.name);

export function bytes(size) {
  if (size < 1024) return `${size} B`;
  return size < 1024 * 1024 ? `${Math.round(size / 1024)} kB` : `${(size / 1024 / 1024).toFixed(1)} MB`;
}
