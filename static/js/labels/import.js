// A manifest's images: matched to its lines here, handed in three at a time, followed until they are labelled.
import { fragment, poll } from "../http.js";
import { picked } from "../upload/files.js";
import { baseName, named, readManifest } from "../upload/manifest.js";
import { send } from "../upload/send.js";
import { gettext, interpolate, ngettext } from "../gettext.js";

const AT_ONCE = 3;
const TRIES = 4;
const page = document.querySelector("[data-manifest]");
const part = (name) => page.querySelector(`[data-${name}]`);
let [lines, files, sent, failed] = [null, [], 0, []];
let busy = false;

const missing = () => new Set((part("progress").firstElementChild.dataset.missing || "").split(",").filter(Boolean).map(Number));

function tell(words) {
  part("sending").textContent = words;
  part("sending").hidden = !words;
}

/** [[file, line number]] of what is still to be handed in. */
function matched() {
  if (!lines || !files.length) return [];
  const hits = named(lines, files.map(({ path }) => path));
  const wanted = missing();
  return files.map((one, at) => [one, hits[at]?.number]).filter(([, number]) => wanted.has(number));
}

function show() {
  const found = matched();
  part("send").disabled = busy || !found.length;
  part("send").textContent = found.length ? interpolate(gettext("Hand in %(number)s"), { number: found.length }) : gettext("Hand in");
  if (busy) return;
  if (lines && files.length) {
    const words = ngettext(
      "%(fit)s of %(number)s file fits a line that waits for its image.",
      "%(fit)s of %(number)s files fit lines that wait for their image.", files.length,
    );
    tell(interpolate(words, { fit: found.length, number: files.length }));
  } else if (lines) {
    const words = ngettext(
      "The manifest has %(number)s line. Choose its images.", "The manifest has %(number)s lines. Choose its images.", lines.length,
    );
    tell(interpolate(words, { number: lines.length }));
  } else if (files.length) {
    const words = ngettext("%(number)s file. Choose the manifest.", "%(number)s files. Choose the manifest.", files.length);
    tell(interpolate(words, { number: files.length }));
  }
}

async function takeCsv(file) {
  const read = readManifest(await file.text());
  // The heading is line 1, and empty lines count as they do for the server.
  lines = read?.map((line, at) => ({ ...line, number: at + 2 })) ?? null;
  if (!lines) tell(interpolate(gettext("%(name)s is no manifest."), { name: file.name }));
  else show();
}

async function carry([{ file, path }, line]) {
  for (let turn = 1; turn <= TRIES; turn += 1) {
    try {
      const answer = await send(page.dataset.file, file, { line, filename: baseName(path) }, () => {});
      if (answer.http < 400) { sent += 1; return; }
      if (answer.http < 429) { failed.push(`${path}: ${answer.detail}`); return; }
    } catch {
      // Tried again below.
    }
    await new Promise((done) => { setTimeout(done, 1000 * 2 ** turn); });
  }
  failed.push(interpolate(gettext("%(name)s: not sent"), { name: path }));
}

async function handIn() {
  const todo = matched();
  [sent, failed, busy] = [0, [], true];
  show();
  const total = todo.length;
  const work = async () => {
    for (let next = todo.shift(); next; next = todo.shift()) {
      await carry(next);
      tell([
        interpolate(gettext("%(sent)s of %(total)s handed in."), { sent, total }),
        failed.length && interpolate(gettext("%(number)s failed: %(first)s"), { number: failed.length, first: failed[0] }),
      ].filter(Boolean).join(" "));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  busy = false;
  part("send").disabled = true;
  follow();
}

let following = false;
function follow() {
  if (following) return;
  following = true;
  poll(async () => {
    const fresh = new DOMParser().parseFromString(await fragment(page.dataset.state), "text/html").body.firstElementChild;
    part("progress").replaceChildren(fresh);
    following = fresh.dataset.pending === "1";
    return following;
  }, { first: 1000, slowest: 5000 });
}

if (part("images")) {
  page.querySelector("#csv").addEventListener("change", (event) => event.target.files[0] && takeCsv(event.target.files[0]));
  for (const id of ["folder", "files"]) {
    page.querySelector(`#${id}`).addEventListener("change", (event) => {
      const all = picked(event.target.files);
      const csv = all.find(({ file }) => /\.csv$/i.test(file.name));
      files = all.filter((one) => one !== csv);
      if (csv && !lines) takeCsv(csv.file);
      else show();
    });
  }
  part("send").addEventListener("click", handIn);
  addEventListener("beforeunload", (event) => { if (busy) event.preventDefault(); });
}
if (part("progress").firstElementChild.dataset.pending === "1") follow();
