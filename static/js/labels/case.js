// A case of a label queue: a label submitted blind, then the model result, and the next case.
import { gettext, interpolate } from "../gettext.js";
import { postJson } from "../http.js";
import { onKeys } from "../keys.js";
import { Boxes } from "./boxes.js";
import { imageKeys, openImage } from "./controls.js";
import { ImageCanvas } from "./image.js";
import { Draft, submit } from "./submit.js";

const page = document.querySelector("[data-case]");
const form = page.querySelector("[data-label]");
const part = (name) => page.querySelector(`[data-${name}]`);
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const CLAIM_SECONDS = 240;
const STATEMENTS = ["present", "absent", "uncertain", "unread"];
const BOXED = new Set(["present", "uncertain"]);

const findings = read("findings");
const codes = findings.map(({ code }) => code);
// Per reader: another one who signs in in the same tab must not see the draft.
const draft = new Draft(`${page.dataset.reader}:${page.dataset.case}`);
const image = new ImageCanvas(part("canvas"), read("image"));
const boxes = new Boxes(image, Object.fromEntries(findings.map(({ code, name }) => [code, name])));
let submitted = read("submitted");
let current = codes[0];
let busy = false;

const announce = (text) => { part("announce").textContent = text; };
const radio = (code) => form.elements[`finding-${code}`];

function setStatement(code, value) {
  radio(code).value = value;
  if (BOXED.has(value)) current = code;
  // Normal excludes every other finding, and the other way round.
  if (value === "present") {
    for (const other of codes) {
      if (other !== code && (code === "normal" || other === "normal")) radio(other).value = "absent";
    }
  }
  changed();
}

function cycleStatement(code) {
  setStatement(code, STATEMENTS[(STATEMENTS.indexOf(radio(code).value) + 1) % STATEMENTS.length]);
  announce(`${boxes.names[code]}: ${form.querySelector(`[name="finding-${code}"]:checked`).parentElement.textContent}`);
}

function content() {
  const { confidence, comment, indeterminate, unusable } = form.elements;
  return {
    findings: Object.fromEntries(codes.map((code) => [code, radio(code).value])),
    confidence: confidence.value ? Number(confidence.value) : null,
    regions: boxes.list.map(({ finding, x, y, width, height }) => ({ finding, x, y, width, height })),
    comment: comment.value,
    indeterminate: indeterminate.checked,
    unusable: unusable.checked,
    after: submitted?.id ?? null,
  };
}

function fill(label) {
  for (const code of codes) radio(code).value = label.findings[code] ?? "unread";
  form.elements.confidence.value = label.confidence ?? "";
  form.elements.comment.value = label.comment;
  form.elements.indeterminate.checked = label.indeterminate;
  form.elements.unusable.checked = label.unusable;
  boxes.set(label.regions);
}

function changed() {
  boxes.keepOnly(new Set(codes.filter((code) => BOXED.has(radio(code).value))));
  draft.save(content());
  showState();
}

function showState() {
  const now = content();
  const complete = Object.values(now.findings).some((value) => value !== "unread") || now.indeterminate || now.unusable;
  const same = submitted && JSON.stringify({ ...now, after: 0 }) === JSON.stringify({ ...submitted, id: undefined, after: 0 });
  part("submit-button").disabled = busy || !complete || Boolean(same);
  part("submit-button").textContent = submitted ? gettext("Update label") : gettext("Submit label");
  part("draw").setAttribute("aria-pressed", String(Boolean(boxes.drawing)));
  page.classList.toggle("drawing", Boolean(boxes.drawing));
  listBoxes();
}

function showError(text) {
  part("error").textContent = text;
  part("error").hidden = !text;
}

function listBoxes() {
  const button = (textContent) => Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent });
  const rows = boxes.list.map(({ finding }, at) => {
    const row = document.createElement("li");
    const select = button(`${at + 1} ${boxes.names[finding]}`);
    select.setAttribute("aria-pressed", String(at === boxes.selected));
    select.addEventListener("click", () => boxes.select(at === boxes.selected ? -1 : at));
    const remove = button(gettext("Delete"));
    remove.setAttribute("aria-label", interpolate(gettext("Delete box %(number)s"), { number: at + 1 }));
    remove.addEventListener("click", () => boxes.remove(at));
    row.append(select, remove);
    return row;
  });
  part("boxes").replaceChildren(...rows);
}

function draw() {
  if (boxes.drawing) return boxes.stop();
  const code = [current, ...codes].find((one) => BOXED.has(radio(one).value));
  if (!code) return announce(gettext("Set a finding to present or uncertain before you draw its box."));
  if (!boxes.begin(code)) return announce(gettext("The maximum of 20 boxes is reached."));
  part("canvas").focus();
  return announce(interpolate(gettext("Draw a box for %(finding)s: drag, or press Enter and use the arrow keys."), { finding: boxes.names[code] }));
}

async function submitLabel() {
  if (part("submit-button").disabled) return;
  busy = true;
  const body = content();
  draft.save(body);
  showState();
  try {
    const { label, html } = await submit(page.dataset.submit, body, showError);
    submitted = label;
    draft.clear();
    fill(submitted);
    part("result").innerHTML = html;
    reveal();
    announce(gettext("Label submitted."));
  } catch (refusal) {
    showError(`${refusal.message} ${refusal.remedy ?? ""}`);
  }
  busy = false;
  showState();
}

function reveal() {
  page.classList.add("submitted");
  part("blind-note").hidden = true;
  part("result").hidden = false;
  part("next").hidden = false;
  part("next").querySelector("button").focus();
}

function cycleConfidence() {
  const values = ["", "1", "2", "3"];
  form.elements.confidence.value = values[(values.indexOf(form.elements.confidence.value) + 1) % values.length];
  changed();
}

function toggle(name) {
  form.elements[name].checked = !form.elements[name].checked;
  changed();
}

function onEnter(event) {
  if (event.target.closest?.("button, a, summary")) return event.target.click();
  if (boxes.drawing) return boxes.place();
  if (boxes.selected >= 0) return boxes.select(-1);
  return submitLabel();
}

function listen() {
  boxes.onChange = () => { if (!busy) changed(); };
  form.addEventListener("change", (event) => {
    const code = event.target.name.replace(/^finding-/, "");
    if (code !== event.target.name) setStatement(code, event.target.value);
    else changed();
  });
  form.addEventListener("input", () => changed());
  form.addEventListener("submit", (event) => { event.preventDefault(); submitLabel(); });
  form.elements.comment.addEventListener("keydown", (event) => {
    if (event.key === "Escape") event.target.blur();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submitLabel();
  });
  part("draw").addEventListener("click", draw);
  onKeys({
    ...imageKeys(image, boxes),
    ...Object.fromEntries(findings.map(({ code, key }) => [String(key), () => cycleStatement(code)])),
    q: cycleConfidence, x: () => toggle("indeterminate"), b: () => toggle("unusable"),
    c: () => form.elements.comment.focus(),
    d: draw, e: () => boxes.next(), Delete: () => boxes.remove(), Backspace: () => boxes.remove(),
    Escape: () => { if (boxes.drawing) boxes.stop(); else boxes.select(-1); },
    Enter: onEnter, n: () => { if (!part("next").hidden) part("next").requestSubmit(); },
  });
  addEventListener("beforeunload", (event) => { if (busy) event.preventDefault(); });
}

listen();
const saved = draft.get();
if (submitted) fill(submitted);
if (saved && saved.after === (submitted?.id ?? null)) fill(saved);
if (submitted) reveal();
else setInterval(() => { if (!submitted) postJson(page.dataset.claim, {}).catch(() => {}); }, CLAIM_SECONDS * 1000);
showState();
openImage(page, image, boxes);
