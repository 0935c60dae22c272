// The images of a manifest: matched to its lines, uploaded three at a time, followed until they are labelled.
import { gettext, interpolate, ngettext } from "../gettext.js";
import { fragment, poll } from "../http.js";
import { isTable, picked } from "../upload/files.js";
import { baseName, named, readManifest } from "../upload/manifest.js";
import { send } from "../upload/send.js";

const PARALLEL = 3;
const TRIES = 4;
const page = document.querySelector("[data-manifest]");
const part = (name) => page.querySelector(`[data-${name}]`);
let [lines, files, sent, failed] = [null, [], 0, []];
let [busy, following] = [false, false];

const missing = () => new Set((part("progress").firstElementChild.dataset.missing || "").split(",").filter(Boolean).map(Number));

function showStatus(text) {
  part("status").textContent = text;
  part("status").hidden = !text;
}

/** [[file, line number]] of the files that are still to be uploaded. */
function matched() {
  if (!lines || !files.length) return [];
  const hits = named(lines, files.map(({ path }) => path));
  const wanted = missing();
  return files.map((one, at) => [one, hits[at]?.number]).filter(([, number]) => wanted.has(number));
}

function show() {
  // Until the server has matched the images it has, it is not known how many are still to be uploaded.
  const matches = busy || following ? [] : matched();
  part("send").disabled = !matches.length;
  part("send").textContent = matches.length ? interpolate(gettext("Upload %(number)s"), { number: matches.length }) : gettext("Upload");
  if (busy || following) return;
  if (lines && files.length) {
    const text = ngettext(
      "%(fit)s of %(number)s file matches a line without an image.",
      "%(fit)s of %(number)s files match lines without an image.", files.length,
    );
    showStatus(interpolate(text, { fit: matches.length, number: files.length }));
  } else if (lines) {
    const text = ngettext(
      "The manifest has %(number)s line. Select its image.", "The manifest has %(number)s lines. Select the images.", lines.length,
    );
    showStatus(interpolate(text, { number: lines.length }));
  } else if (files.length) {
    const text = ngettext("%(number)s file. Select the manifest.", "%(number)s files. Select the manifest.", files.length);
    showStatus(interpolate(text, { number: files.length }));
  }
}

async function readCsv(file) {
  try {
    ({ lines } = await readManifest(page.dataset.read, { file }, { names: files.map(({ path }) => path) }));
    show();
  } catch (problem) {
    lines = null;
    showStatus(problem.message);
  }
}

async function upload([{ file, path }, line]) {
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    try {
      const response = await send(page.dataset.file, file, { line, filename: baseName(path) }, () => {});
      if (response.http < 400) { sent += 1; return; }
      if (response.http < 429) { failed.push(`${path}: ${response.detail}`); return; }
    } catch {
      // Retried below.
    }
    await new Promise((resolve) => { setTimeout(resolve, 1000 * 2 ** attempt); });
  }
  failed.push(interpolate(gettext("%(name)s: not sent"), { name: path }));
}

async function uploadAll() {
  const todo = matched();
  [sent, failed, busy] = [0, [], true];
  show();
  const total = todo.length;
  const work = async () => {
    for (let next = todo.shift(); next; next = todo.shift()) {
      await upload(next);
      showStatus([
        interpolate(gettext("%(sent)s of %(total)s uploaded."), { sent, total }),
        failed.length && interpolate(gettext("%(number)s failed: %(first)s"), { number: failed.length, first: failed[0] }),
      ].filter(Boolean).join(" "));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  busy = false;
  follow();
  show();
}

function follow() {
  if (following) return;
  following = true;
  poll(async () => {
    const fresh = new DOMParser().parseFromString(await fragment(page.dataset.state), "text/html").body.firstElementChild;
    part("progress").replaceChildren(fresh);
    following = fresh.dataset.pending === "1";
    if (!following) show();
    return following;
  }, { first: 1000, slowest: 5000 });
}

if (part("images")) {
  page.querySelector("#csv").addEventListener("change", (event) => event.target.files[0] && readCsv(event.target.files[0]));
  for (const id of ["folder", "files"]) {
    page.querySelector(`#${id}`).addEventListener("change", (event) => {
      const all = picked(event.target.files);
      const csv = all.find(({ file }) => isTable(file));
      files = all.filter((one) => one !== csv);
      if (csv && !lines) readCsv(csv.file);
      else show();
    });
  }
  part("send").addEventListener("click", uploadAll);
  addEventListener("beforeunload", (event) => { if (busy) event.preventDefault(); });
}
if (part("progress").firstElementChild.dataset.pending === "1") {
  follow();
  if (part("images")) show();
}
