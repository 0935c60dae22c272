// The upload page: collects files, asks what has to be asked, sends three at a time, follows each to its result.
import { poll, postJson } from "../http.js";
import { bytes, dropped, isArchive, isCsv, isDicom, picked } from "./files.js";
import { addDays, baseName, named, readManifest } from "./manifest.js";
import { Row } from "./row.js";
import { send } from "./send.js";
import { gettext, interpolate, ngettext } from "../gettext.js";

const AT_ONCE = 3;
const SHOWN_AT_FIRST = 40; // of the images of one archive
const MOST_ASKED = 500; // as many as the server answers at once
const WORTH_ANOTHER_TRY = new Set(["unauthenticated", "csrf", "rate_limited", "incomplete", "internal", "unavailable"]);
const page = document.querySelector("[data-upload]");
const part = (name) => page.querySelector(`[data-${name}]`);
const rows = [];
let following = false;
let lookUp = 0;

const counting = (words, number) => interpolate(words, { number });
const today = () => new Date().toISOString().slice(0, 10);
const staged = () => rows.filter((row) => row.state === "staged");
const sending = () => rows.filter((row) => row.state === "sending");
const counted = () => staged().filter((row) => row.offset !== null);

function add(row, { earlier = false } = {}) {
  Object.assign(row, { onRetry: again, onEdit: edited });
  rows.push(row);
  if (earlier) part("rows").append(row.node);
  else part("earlier").before(row.node);
  return row;
}

async function take(files) {
  if (!files.length) return;
  const tables = files.filter(({ file }) => isCsv(file));
  const fresh = await Promise.all(files.filter((one) => !tables.includes(one)).map(stage));
  part("manifest-note").hidden = !tables.length;
  if (tables.length) await takeManifests(tables);
  const asks = fresh.some((row) => row.state === "staged" && (row.asks || row.offset !== null));
  if (!asks) for (const row of fresh.filter((row) => row.state === "staged")) row.become("queued");
  showState();
  if (asks) part("start").focus();
  if (staged().length) lookUpSoon();
  fresh[0]?.node.scrollIntoView({ block: "nearest" });
  pump();
}

/** Applied once, to what waits now: a later drop may hold other files of the same names. */
async function takeManifests(tables) {
  const texts = await Promise.all(tables.map(({ file }) => file.text()));
  const read = tables.map(({ path }, at) => readManifest(texts[at], { csv: path }));
  const foreign = tables.filter((_, at) => !read[at]).map(({ file }) => file.name);
  const waiting = staged();
  const lines = named(read.flatMap((lines) => lines ?? []), waiting.map((row) => row.name));
  const found = waiting.map((row, at) => [row, lines[at]]).filter(([, line]) => line);
  applyManifest(found);
  const words = foreign.map((name) => interpolate(gettext("%(name)s is not a manifest: the columns “image” (or “file”) and “patient” are required."), { name }));
  if (foreign.length < tables.length) {
    const said = ngettext("The manifest matches %(named)s of %(number)s file.", "The manifest matches %(named)s of %(number)s files.", waiting.length);
    words.push(interpolate(said, { named: found.length, number: waiting.length }));
  }
  if (found.length && found.length < waiting.length) words.push(gettext("The other files match no row, or more than one."));
  part("manifest-note").textContent = words.join(" ");
}

function applyManifest(found) {
  const zero = part("day-zero");
  if (!counted().length) zero.value = "";
  for (const [row, line] of found) {
    row.offset = line.date ? null : line.offset;
    row.assign({ patient: line.patient, date: line.date });
  }
  // The newest image of the manifest is taken for today's until somebody says better.
  if (counted().length) zero.value ||= addDays(today(), -Math.max(0, ...counted().map((row) => row.offset)));
  countDays();
}

function countDays() {
  const zero = part("day-zero").value;
  if (zero) for (const row of counted()) row.assign({ date: addDays(zero, row.offset) });
}

/** Tells each file that waits for a go whom it would join. */
async function lookUpPatients() {
  const ids = [...new Set(staged().map((row) => row.claim.patient).filter(Boolean))].slice(0, MOST_ASKED);
  const { patients } = ids.length ? await postJson(page.dataset.patients, { ids }) : { patients: {} };
  for (const row of staged().filter((row) => ids.includes(row.claim.patient))) row.joins(patients[row.claim.patient]);
}

function lookUpSoon() {
  clearTimeout(lookUp);
  lookUp = setTimeout(() => lookUpPatients().catch(() => staged().forEach((row) => row.forgetJoins())), 300);
}

async function stage({ file, path }) {
  const [dicom, archive] = await Promise.all([isDicom(file), isArchive(file)]);
  const row = add(new Row({ file, name: path, size: file.size, dicom, archive }));
  const limit = Number(archive ? page.dataset.archiveLimit : page.dataset.limit);
  if (!dicom) row.type({ patient: part("patient-for-all").value.trim(), date: part("date-for-all").value });
  if (file.size > limit) {
    row.stop({
      code: "too_large",
      message: interpolate(gettext("Not uploaded: %(size)s exceeds the limit of %(limit)s."), { size: bytes(file.size), limit: bytes(limit) }),
      remedy: archive ? page.dataset.tooMuch : page.dataset.tooLarge,
    });
  }
  return row;
}

function again(row) {
  if (!row.answer.id) row.become("queued");
  else postJson(`/upload/${row.answer.id}/retry/`, {}).then(
    (answer) => { told(row, answer); follow(); },
    () => row.stop({ ...row.answer }, { again: true }),
  );
  pump();
}

/** What the server says of a row; the images of an archive get rows of their own below it. */
function told(row, answer) {
  row.take(answer);
  const fresh = (answer.members ?? []).filter(({ id }) => !row.members.has(id));
  for (const { id, name } of fresh) {
    const image = Object.assign(new Row({ name, inside: row }), { onRetry: again, onEdit: edited });
    rows.push(image);
    row.adopt(image, id);
    image.take({ id, text: gettext("Queued"), dot: "busy", finished: false });
  }
  if (fresh.length > SHOWN_AT_FIRST) row.fold(true);
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
    if (answer.id) told(row, answer);
    else row.stop(answer, { again: WORTH_ANOTHER_TRY.has(answer.code) });
  } catch (failure) {
    row.stop({
      code: "not_sent", message: interpolate(gettext("Not uploaded: %(reason)s."), { reason: failure.message }),
      remedy: gettext("Check the connection and try again."),
    }, { again: true });
  }
  pump();
  follow();
}

function follow() {
  if (following) return;
  following = true;
  poll(async () => {
    const open = rows.filter((row) => row.state === "sent" && !row.finished).slice(0, MOST_ASKED);
    if (open.length) {
      const { uploads } = await postJson(page.dataset.states, { ids: open.map((row) => row.answer.id) });
      for (const row of open) {
        const answer = uploads[row.answer.id];
        if (answer) told(row, answer);
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
  const nobodys = waiting.filter((row) => row.asksForPatient);
  const unnamed = nobodys.filter((row) => !row.archive).length;
  const inArchives = nobodys.length > unnamed;
  part("start").textContent = counting(ngettext("Upload %(number)s file", "Upload %(number)s files", waiting.length), waiting.length);
  const doubtful = waiting.filter((row) => row.asks).length - nobodys.length;
  part("day-zero-field").hidden = counted().length === 0;
  part("unnamed").textContent = [
    unnamed > 0 && counting(ngettext(
      "%(number)s image has no patient ID. Enter one, or a new patient is created.",
      "%(number)s images have no patient ID. Enter one, or a new patient is created for each.", unnamed,
    ), unnamed),
    inArchives && gettext("Images in an archive without a patient ID use the ID entered here, or a new patient is created for each."),
    doubtful > 0 && counting(ngettext(
      "For %(number)s file the entered values differ from the manifest. The entered values are used.",
      "For %(number)s files the entered values differ from the manifest. The entered values are used.", doubtful,
    ), doubtful),
  ].filter(Boolean).join(" ");
  part("tally").textContent = tally();
}

function tally() {
  const images = rows.filter((row) => !row.answer?.members);
  const finished = images.filter((row) => row.finished);
  const good = finished.filter((row) => row.answer.ok).length;
  const ready = staged().length;
  const open = images.length - finished.length - ready;
  return [
    counting(ngettext("%(number)s file", "%(number)s files", images.length), images.length),
    counting(gettext("%(number)s with a result"), good),
    finished.length > good && counting(gettext("%(number)s without a result"), finished.length - good),
    ready && counting(gettext("%(number)s ready to upload"), ready),
    open && counting(gettext("%(number)s in progress"), open),
  ].filter(Boolean).join(" · ");
}

async function copySummary() {
  const text = [part("tally").textContent, ...rows.map((row) => row.summary), page.dataset.disclaimer].join("\n");
  await navigator.clipboard.writeText(text);
  part("copied").textContent = gettext("Copied");
}

function applyToPicked() {
  const claim = { patient: part("group-patient").value.trim(), date: part("group-date").value };
  const chosen = staged().some((row) => row.picked) ? staged().filter((row) => row.picked) : staged();
  for (const row of chosen) row.type(claim);
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
  part("day-zero").addEventListener("change", countDays);
  part("copy").addEventListener("click", copySummary);
  addEventListener("beforeunload", (event) => { if (sending().length) event.preventDefault(); });
}

for (const answer of JSON.parse(document.querySelector("#recent").textContent)) {
  told(add(new Row({ name: answer.name, size: answer.size }), { earlier: true }), answer);
  part("earlier").hidden = false;
}
listen();
showState();
follow();
