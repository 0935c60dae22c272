// The upload page: collects files, asks what has to be asked, sends three at a time, follows each to its result.
import { poll, postJson } from "../http.js";
import { bytes, dropped, isCsv, isDicom, picked } from "./files.js";
import { addDays, baseName, keyOf, readManifest } from "./manifest.js";
import { Row } from "./row.js";
import { send } from "./send.js";

const AT_ONCE = 3;
const WORTH_ANOTHER_TRY = new Set(["unauthenticated", "csrf", "rate_limited", "incomplete", "internal", "unavailable"]);
const page = document.querySelector("[data-upload]");
const part = (name) => page.querySelector(`[data-${name}]`);
const limit = Number(page.dataset.limit);
const rows = [];
const manifest = new Map();
let following = false;
let lookUp = 0;

const today = () => new Date().toISOString().slice(0, 10);
const staged = () => rows.filter((row) => row.state === "staged");
const sending = () => rows.filter((row) => row.state === "sending");

function add(row, { earlier = false } = {}) {
  Object.assign(row, { onRetry: again, onEdit: edited });
  rows.push(row);
  if (earlier) part("rows").append(row.node);
  else part("earlier").before(row.node);
  return row;
}

async function take(files) {
  if (!files.length) return;
  for (const { file } of files.filter(({ file }) => isCsv(file))) await takeManifest(file);
  const fresh = await Promise.all(files.filter(({ file }) => !isCsv(file)).map(stage));
  assignFromManifest();
  const ask = staged().some((row) => row.asksForPatient) || part("day-zero-field").hidden === false;
  if (!ask) staged().forEach((row) => row.become("queued"));
  showState();
  if (ask) {
    part("start").focus();
    lookUpSoon();
  }
  fresh[0]?.node.scrollIntoView({ block: "nearest" });
  pump();
}

async function takeManifest(file) {
  const read = readManifest(await file.text());
  const note = part("manifest-note");
  note.hidden = false;
  if (!read) {
    note.textContent = `${file.name} is no manifest: it needs a column “image” or “file” and a column “patient”.`;
    return;
  }
  for (const [name, entry] of read) manifest.set(name, entry);
  note.textContent = `${file.name} names the patients of ${read.size} files.`;
}

/** Tells each file that waits for a go whom it would join. */
async function lookUpPatients() {
  const ids = [...new Set(staged().map((row) => row.claim.patient).filter(Boolean))];
  const { patients } = ids.length ? await postJson(page.dataset.patients, { ids }) : { patients: {} };
  for (const row of staged()) row.joins(patients[row.claim.patient]);
}

function lookUpSoon() {
  clearTimeout(lookUp);
  lookUp = setTimeout(() => lookUpPatients().catch(() => staged().forEach((row) => row.forgetJoins())), 300);
}

async function stage({ file, path }) {
  const dicom = await isDicom(file);
  const claim = dicom ? {} : { patient: part("patient-for-all").value.trim(), date: part("date-for-all").value };
  const row = add(new Row({ file, name: path, size: file.size, dicom, claim }));
  if (file.size > limit) {
    row.stop({
      code: "too_large", message: `Not sent: ${bytes(file.size)} is over the limit of ${bytes(limit)}.`,
      remedy: page.dataset.tooLarge,
    });
  }
  return row;
}

function assignFromManifest() {
  const named = staged().map((row) => [row, manifest.get(keyOf(row.name))]).filter(([, entry]) => entry);
  const counted = named.filter(([, entry]) => !entry.date && entry.offset !== null);
  part("day-zero-field").hidden = counted.length === 0;
  const zero = part("day-zero");
  // The newest picture of the manifest is taken for today's until somebody says better.
  if (counted.length) zero.value ||= addDays(today(), -Math.max(0, ...counted.map(([, entry]) => entry.offset)));
  for (const [row, entry] of named) {
    const byCount = counted.some(([other]) => other === row);
    row.assign({ patient: entry.patient, date: byCount ? addDays(zero.value, entry.offset) : entry.date });
  }
}

function again(row) {
  if (row.file) row.become("queued");
  else postJson(`/upload/${row.answer.id}/retry/`, {}).then(
    () => { row.take({ ...row.answer, finished: false, again: false, code: "", remedy: "", text: "waits" }); follow(); },
    () => row.stop({ ...row.answer }, { again: true }),
  );
  pump();
}

function pump() {
  for (const row of rows.filter((row) => row.state === "queued").slice(0, AT_ONCE - sending().length)) carry(row);
  showState();
}

async function carry(row) {
  row.become("sending");
  const claim = { filename: baseName(row.name), patient_id: row.claim.patient, date: row.claim.date };
  try {
    const answer = await send(page.dataset.url, row.file, claim, (share) => row.progress(share));
    if (answer.id) row.take(answer);
    else row.stop(answer, { again: WORTH_ANOTHER_TRY.has(answer.code) });
  } catch (failure) {
    row.stop({
      code: "not_sent", message: `Not sent: ${failure.message}.`, remedy: "Check the connection and try again.",
    }, { again: true });
  }
  pump();
  follow();
}

function follow() {
  if (following) return;
  following = true;
  poll(async () => {
    const open = rows.filter((row) => row.state === "sent" && !row.finished);
    if (open.length) {
      const { uploads } = await postJson(page.dataset.states, { ids: open.map((row) => row.answer.id) });
      for (const row of open) {
        const answer = uploads[row.answer.id];
        if (answer) row.take(answer);
      }
      showState();
    }
    following = rows.some((row) => row.state === "sent" && !row.finished) || sending().length > 0;
    return following;
  }, { first: 250, slowest: 2000 });
}

function edited() {
  showState();
  lookUpSoon();
}

function showState() {
  const waiting = staged();
  part("list").hidden = rows.length === 0;
  part("empty").hidden = rows.length > 0;
  part("ask").hidden = waiting.length === 0;
  const unnamed = waiting.filter((row) => row.asksForPatient).length;
  part("start").textContent = `Upload ${waiting.length} ${waiting.length === 1 ? "file" : "files"}`;
  part("unnamed").hidden = unnamed === 0;
  part("unnamed").textContent = unnamed === 1
    ? "1 picture names no patient. Give one, or it is filed to a new patient."
    : `${unnamed} pictures name no patient. Give one, or each is filed to a new patient.`;
  part("tally").textContent = tally();
}

function tally() {
  const finished = rows.filter((row) => row.finished);
  const good = finished.filter((row) => row.answer.ok).length;
  const ready = staged().length;
  const open = rows.length - finished.length - ready;
  const words = [`${rows.length} ${rows.length === 1 ? "file" : "files"}`, `${good} with a result`];
  if (finished.length > good) words.push(`${finished.length - good} without`);
  if (ready) words.push(`${ready} ready to send`);
  if (open) words.push(`${open} under way`);
  return words.join(" · ");
}

async function copySummary() {
  const text = [part("tally").textContent, ...rows.map((row) => row.summary), page.dataset.disclaimer].join("\n");
  await navigator.clipboard.writeText(text);
  part("copied").textContent = "Copied";
}

function applyToPicked() {
  const claim = { patient: part("group-patient").value.trim(), date: part("group-date").value };
  const chosen = staged().some((row) => row.picked) ? staged().filter((row) => row.picked) : staged();
  for (const row of chosen) row.assign(Object.fromEntries(Object.entries(claim).filter(([, value]) => value)));
  edited();
}

function listen() {
  let depth = 0;
  const veil = document.querySelector("[data-veil]");
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  const enter = (step) => (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = Math.max(0, depth + step);
    veil.hidden = depth === 0;
  };
  document.addEventListener("dragenter", enter(1));
  document.addEventListener("dragleave", enter(-1));
  document.addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  document.addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    await take(await dropped(event.dataTransfer));
  });
  for (const input of page.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", async () => { await take(picked(input.files)); input.value = ""; });
  }
  part("start").addEventListener("click", () => { staged().forEach((row) => row.become("queued")); pump(); });
  part("apply").addEventListener("click", applyToPicked);
  part("day-zero").addEventListener("change", assignFromManifest);
  part("copy").addEventListener("click", copySummary);
  addEventListener("beforeunload", (event) => { if (sending().length) event.preventDefault(); });
}

for (const answer of JSON.parse(document.querySelector("#recent").textContent)) {
  add(new Row({ name: answer.name, size: answer.size }), { earlier: true }).take(answer);
  part("earlier").hidden = false;
}
listen();
showState();
follow();
