// The upload page: collects files, asks for missing patients, uploads three at a time, follows each to its result.
import { poll, postJson } from "../http.js";
import { bytes, dropped, isArchive, isTable, isDicom, picked } from "./files.js";
import { addDays, baseName, named } from "./manifest.js";
import { Pause } from "./pause.js";
import { ManifestPreview } from "./preview.js";
import { Row } from "./row.js";
import { send } from "./send.js";
import { gettext, interpolate, ngettext } from "../gettext.js";

const CONCURRENT = 3;
const MEMBERS_UNFOLDED = 40; // images of one archive
const MAX_IDS = 500; // in one request; the server's limit
const RETRYABLE = new Set(["unauthenticated", "csrf", "rate_limited", "incomplete", "internal", "unavailable"]);
const page = document.querySelector("[data-upload]");
const part = (name) => page.querySelector(`[data-${name}]`);
const rows = [];
const preview = new ManifestPreview(part("manifest"), page.dataset.manifest, manifestsRead);
const pause = new Pause(part("paused"), startUploads);
let following = false;
let lookUpTimer = 0;

const counting = (text, number) => interpolate(text, { number });
const inState = (state) => rows.filter((row) => row.state === state);
const staged = () => inState("staged");
const withOffset = () => staged().filter((row) => row.offset !== null);
const unfinished = () => inState("sent").filter((row) => !row.finished);

function register(row) {
  rows.push(Object.assign(row, { onRetry: retry, onEdit: edited }));
  return row;
}

function add(row, { earlier = false } = {}) {
  row.earlier = earlier;
  if (earlier) part("rows").append(row.node);
  else part("earlier").before(row.node);
  return register(row);
}

async function addFiles(files) {
  if (!files.length) return;
  const tables = files.filter(({ file }) => isTable(file));
  const added = await Promise.all(files.filter((one) => !tables.includes(one)).map(stage));
  part("manifest-note").hidden = !tables.length;
  if (tables.length) await preview.show(tables, staged().map((row) => row.name));
  const waiting = added.filter((row) => row.state === "staged");
  const review = tables.length > 0 || waiting.some((row) => row.needsReview || row.offset !== null);
  if (!review) for (const row of waiting) row.become("queued");
  showState();
  if (review) part("start").focus();
  if (staged().length) lookUpSoon();
  added[0]?.node.scrollIntoView({ block: "nearest" });
  startUploads();
}

/** Applied to the files staged now: a later drop may contain other files of the same names. */
function manifestsRead() {
  const waiting = staged();
  const lines = named(preview.lines, waiting.map((row) => row.name));
  const matched = waiting.map((row, at) => [row, lines[at]]).filter(([, line]) => line);
  for (const row of waiting) row.forget();
  applyManifest(matched);
  const notes = [...preview.invalid];
  if (!preview.node.hidden) {
    const text = ngettext("The manifest matches %(named)s of %(number)s file.", "The manifest matches %(named)s of %(number)s files.", waiting.length);
    notes.push(interpolate(text, { named: matched.length, number: waiting.length }));
  }
  if (matched.length && matched.length < waiting.length) notes.push(gettext("The other files match no row, or more than one."));
  part("manifest-note").textContent = notes.join(" ");
  edited();
}

function applyManifest(matched) {
  const zero = part("day-zero");
  if (!withOffset().length) zero.value = "";
  for (const [row, line] of matched) {
    row.offset = line.date ? null : line.offset;
    row.known = { view: line.view, sex: line.sex, age: line.age };
    row.assign({ patient: line.patient, date: line.date });
  }
  // By default the newest image of the manifest is dated today.
  const today = new Date().toISOString().slice(0, 10);
  if (withOffset().length) zero.value ||= addDays(today, -Math.max(0, ...withOffset().map((row) => row.offset)));
  applyOffsets();
}

function applyOffsets() {
  const zero = part("day-zero").value;
  if (zero) for (const row of withOffset()) row.assign({ date: addDays(zero, row.offset) });
}

/** Shows for each staged file which patient it would be added to. */
async function lookUpPatients() {
  const ids = [...new Set(staged().map((row) => row.claim.patient).filter(Boolean))].slice(0, MAX_IDS);
  const { patients } = ids.length ? await postJson(page.dataset.patients, { ids }) : { patients: {} };
  for (const row of staged().filter((row) => ids.includes(row.claim.patient))) row.showPatient(patients[row.claim.patient]);
}

function lookUpSoon() {
  clearTimeout(lookUpTimer);
  lookUpTimer = setTimeout(() => lookUpPatients().catch(() => staged().forEach((row) => row.clearMatch())), 300);
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

function retry(row) {
  if (!row.result.id) row.become("queued");
  else postJson(`/upload/${row.result.id}/retry/`, {}).then(
    (result) => { update(row, result); follow(); },
    () => row.stop({ ...row.result }, { retry: true }),
  );
  startUploads();
}

/** Shows the server's state of a row; each image of an archive gets a row below it. */
function update(row, result) {
  row.update(result);
  const added = (result.members ?? []).filter(({ id }) => !row.members.has(id));
  for (const { id, name } of added) {
    const image = register(new Row({ name, inside: row }));
    row.addMember(image, id);
    image.update({ id, text: gettext("Queued"), dot: "busy", finished: false });
  }
  if (added.length > MEMBERS_UNFOLDED) row.fold(true);
}

function startUploads() {
  if (!pause.active) for (const row of inState("queued").slice(0, CONCURRENT - inState("sending").length)) upload(row);
  showState();
}

async function upload(row) {
  row.become("sending");
  const claim = { filename: baseName(row.name), ...row.stated };
  try {
    const result = await send(page.dataset.url, row.file, claim, (share) => row.progress(share));
    if (result.id) update(row, result);
    else if (result.retryAfter) {
      row.become("queued");
      pause.begin(result.retryAfter, result.detail);
    } else row.stop(result, { retry: RETRYABLE.has(result.code) });
  } catch (failure) {
    row.stop({
      code: "not_sent", message: interpolate(gettext("Not uploaded: %(reason)s."), { reason: failure.message }),
      remedy: gettext("Check the connection and try again."),
    }, { retry: true });
  }
  startUploads();
  follow();
}

function follow() {
  if (following) return;
  following = true;
  poll(async () => {
    const open = unfinished().slice(0, MAX_IDS);
    if (open.length) {
      const { uploads } = await postJson(page.dataset.states, { ids: open.map((row) => row.result.id) });
      for (const row of open) if (uploads[row.result.id]) update(row, uploads[row.result.id]);
      showState();
    }
    following = unfinished().length + inState("sending").length > 0;
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
  part("review").hidden = waiting.length === 0;
  part("start").textContent = counting(ngettext("Upload %(number)s file", "Upload %(number)s files", waiting.length), waiting.length);
  part("start").disabled = preview.unclear;
  if (!waiting.length) preview.close();
  part("day-zero-field").hidden = withOffset().length === 0;
  part("warnings").textContent = warnings(waiting);
  part("tally").textContent = tally();
}

function warnings(waiting) {
  const lacking = waiting.filter((row) => row.lacksPatient);
  const images = lacking.filter((row) => !row.archive).length;
  const conflicts = waiting.filter((row) => row.needsReview).length - lacking.length;
  return [
    images > 0 && counting(ngettext(
      "%(number)s image has no patient ID. Enter one, or a new patient is created.",
      "%(number)s images have no patient ID. Enter one, or a new patient is created for each.", images,
    ), images),
    lacking.length > images && gettext("Images in an archive without a patient ID use the ID entered here, or a new patient is created for each."),
    conflicts > 0 && counting(ngettext(
      "For %(number)s file the entered values differ from the manifest. The entered values are used.",
      "For %(number)s files the entered values differ from the manifest. The entered values are used.", conflicts,
    ), conflicts),
  ].filter(Boolean).join(" ");
}

function tally() {
  const images = rows.filter((row) => !row.result?.members && !row.earlier && !row.inside?.earlier);
  if (!images.length) return gettext("No files chosen yet");
  const finished = images.filter((row) => row.finished);
  const successful = finished.filter((row) => row.result.ok).length;
  const ready = staged().length;
  const open = images.length - finished.length - ready;
  return [
    counting(ngettext("%(number)s file", "%(number)s files", images.length), images.length),
    counting(gettext("%(number)s with a result"), successful),
    finished.length > successful && counting(gettext("%(number)s without a result"), finished.length - successful),
    ready && counting(gettext("%(number)s ready to upload"), ready),
    open && counting(gettext("%(number)s in progress"), open),
  ].filter(Boolean).join(" · ");
}

async function copySummary() {
  const text = [part("tally").textContent, ...rows.map((row) => row.summary), page.dataset.disclaimer].join("\n");
  await navigator.clipboard.writeText(text);
  part("copied").textContent = gettext("Copied");
}

function applyToSelected() {
  const claim = { patient: part("group-patient").value.trim(), date: part("group-date").value };
  const selected = staged().filter((row) => row.selected);
  for (const row of selected.length ? selected : staged()) row.type(claim);
  edited();
}

function listenForDrops() {
  let depth = 0;
  const overlay = document.querySelector("[data-drop-overlay]");
  const on = (type, run) => document.addEventListener(type, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    run?.(event);
  });
  const enter = (step) => () => {
    depth = Math.max(0, depth + step);
    overlay.hidden = depth === 0;
  };
  on("dragenter", enter(1));
  on("dragleave", enter(-1));
  on("dragover");
  on("drop", async (event) => {
    enter(-depth)();
    await addFiles(await dropped(event.dataTransfer));
  });
}

for (const input of page.querySelectorAll("input[type=file]")) {
  input.addEventListener("change", async () => { await addFiles(picked(input.files)); input.value = ""; });
}
part("start").addEventListener("click", () => { staged().forEach((row) => row.become("queued")); startUploads(); });
part("apply").addEventListener("click", applyToSelected);
part("day-zero").addEventListener("change", applyOffsets);
part("copy").addEventListener("click", copySummary);
addEventListener("beforeunload", (event) => { if (inState("sending").length) event.preventDefault(); });
listenForDrops();
for (const result of JSON.parse(document.querySelector("#recent").textContent)) {
  update(add(new Row({ name: result.name, size: result.size }), { earlier: true }), result);
  part("earlier").hidden = false;
}
showState();
follow();
