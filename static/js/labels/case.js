// A case of a label queue: a label submitted blind, then the model result, and the next case.
import { gettext, interpolate } from "../gettext.js";
import { postJson } from "../http.js";
import { onKeys } from "../keys.js";
import { imageKeys, openImage } from "./controls.js";
import { ImageCanvas } from "./image.js";
import { Regions } from "./regions.js";
import { Draft, submit } from "./submit.js";

const page = document.querySelector("[data-case]");
const form = page.querySelector("[data-label]");
const part = (name) => page.querySelector(`[data-${name}]`);
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const CLAIM_SECONDS = 240;
const STATEMENTS = ["present", "absent", "uncertain", "unread"];
const DRAWN = new Set(["present", "uncertain"]);

const findings = read("findings");
const codes = findings.map(({ code }) => code);
// Per reader: another one who signs in in the same tab must not see the draft.
const draft = new Draft(`${page.dataset.reader}:${page.dataset.case}`);
const image = new ImageCanvas(part("canvas"), read("image"));
const regions = new Regions(image, Object.fromEntries(findings.map(({ code, name }) => [code, name])));
let submitted = read("submitted");
let current = codes[0];
let busy = false;

const drawButtons = page.querySelectorAll("[data-draw]");
const suggestions = () => (submitted ? read("suggestions") : []);

const announce = (text) => { part("announce").textContent = text; };
const radio = (code) => form.elements[`finding-${code}`];

function setStatement(code, value) {
  radio(code).value = value;
  if (DRAWN.has(value)) current = code;
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
  announce(`${regions.names[code]}: ${form.querySelector(`[name="finding-${code}"]:checked`).parentElement.textContent}`);
}

function content() {
  const { confidence, comment, indeterminate, unusable } = form.elements;
  return {
    findings: Object.fromEntries(codes.map((code) => [code, radio(code).value])),
    confidence: confidence.value ? Number(confidence.value) : null,
    regions: structuredClone(regions.list),
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
  regions.set(label.regions);
}

function changed() {
  regions.keepOnly(new Set(codes.filter((code) => DRAWN.has(radio(code).value))));
  draft.save(content());
  showState();
}

function showState() {
  const now = content();
  const complete = Object.values(now.findings).some((value) => value !== "unread") || now.indeterminate || now.unusable;
  const same = submitted && JSON.stringify({ ...now, after: 0 }) === JSON.stringify({ ...submitted, id: undefined, after: 0 });
  part("submit-button").disabled = busy || !complete || Boolean(same);
  part("submit-button").textContent = submitted ? gettext("Update label") : gettext("Submit label");
  for (const button of drawButtons) button.setAttribute("aria-pressed", String(Boolean(regions.drawing) && regions.kind === button.dataset.draw));
  part("suggest").hidden = !suggestions().length;
  page.classList.toggle("drawing", Boolean(regions.drawing));
  listRegions();
}

function showError(text) {
  part("error").textContent = text;
  part("error").hidden = !text;
}

function listRegions() {
  const button = (textContent) => Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent });
  const rows = regions.list.map(({ finding, points, suggested }, at) => {
    const row = document.createElement("li");
    const kind = points ? gettext("polygon") : gettext("box");
    const source = suggested ? `, ${gettext("from the heatmap")}` : "";
    const select = button(`${at + 1} ${regions.names[finding]} (${kind}${source})`);
    select.setAttribute("aria-pressed", String(at === regions.selected));
    select.addEventListener("click", () => regions.select(at === regions.selected ? -1 : at));
    const remove = button(gettext("Delete"));
    remove.setAttribute("aria-label", interpolate(gettext("Delete region %(number)s"), { number: at + 1 }));
    remove.addEventListener("click", () => regions.remove(at));
    row.append(select, remove);
    return row;
  });
  part("regions").replaceChildren(...rows);
}

/** The finding to draw for: the last one set to present or uncertain. */
const drawable = () => [current, ...codes].find((one) => DRAWN.has(radio(one).value));

function draw(kind) {
  if (regions.drawing && regions.kind === kind) return regions.stop();
  const code = drawable();
  if (!code) return announce(gettext("Set a finding to present or uncertain before you draw its region."));
  if (!regions.begin(code, kind)) return announce(gettext("The maximum of 20 regions is reached."));
  part("canvas").focus();
  const text = kind === "box"
    ? gettext("Draw a box for %(finding)s: drag, or press Enter and use the arrow keys.")
    : gettext("Draw a polygon for %(finding)s: click its points and press Enter, or press Enter and use the arrow keys.");
  return announce(interpolate(text, { finding: regions.names[code] }));
}

/** Adds the box that the heatmap suggests for the finding to draw for; part of the label once it is updated. */
function suggest() {
  const found = suggestions().filter(({ finding }) => DRAWN.has(radio(finding).value));
  const one = found.find(({ finding }) => finding === current) ?? found[0];
  if (!one) return announce(gettext("The heatmap suggests no box for a finding that is present or uncertain."));
  if (!regions.add(one)) return announce(gettext("The maximum of 20 regions is reached."));
  return announce(interpolate(gettext("Box for %(finding)s added. Check it, then update the label."), { finding: regions.names[one.finding] }));
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

function openSkip() {
  if (!part("skip")) return;
  part("skip").open = true;
  part("skip").querySelector("select").focus();
}

function onEnter(event) {
  if (event.target.closest?.("button, a, summary")) return event.target.click();
  if (regions.drawing) return regions.place();
  if (regions.selected >= 0) return regions.select(-1);
  return submitLabel();
}

function listen() {
  regions.onChange = () => { if (!busy) changed(); };
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
  for (const button of drawButtons) button.addEventListener("click", () => draw(button.dataset.draw));
  part("suggest").addEventListener("click", suggest);
  onKeys({
    ...imageKeys(image, regions),
    ...Object.fromEntries(findings.map(({ code, key }) => [String(key), () => cycleStatement(code)])),
    q: cycleConfidence, x: () => toggle("indeterminate"), b: () => toggle("unusable"),
    c: () => form.elements.comment.focus(),
    d: () => draw("box"), g: () => draw("polygon"), h: () => { if (!part("suggest").hidden) suggest(); },
    p: () => part("previous")?.click(), s: openSkip, e: () => regions.next(), Delete: () => regions.remove(), Backspace: () => regions.remove(),
    Escape: () => { if (regions.drawing) regions.stop(); else regions.select(-1); },
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
openImage(page, image, regions);
