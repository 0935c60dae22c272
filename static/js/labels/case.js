// A case of a label queue: what is said of the image, committed blind; then the model's answer, and the next case.
import { postJson } from "../http.js";
import { onKeys } from "../keys.js";
import { Boxes } from "./boxes.js";
import { ImageCanvas } from "./image.js";
import { Draft, deliver } from "./post.js";
import { imageKeys, watchImage } from "./view.js";
import { gettext, interpolate } from "../gettext.js";

const page = document.querySelector("[data-case]");
const form = page.querySelector("[data-label]");
const part = (name) => page.querySelector(`[data-${name}]`);
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const KEEP_SECONDS = 240;
const WORDS = ["present", "absent", "uncertain", "unread"];
const BOXED = new Set(["present", "uncertain"]);

const findings = read("findings");
// Of this reader alone: whoever signs in after them in the same tab must not see it.
const draft = new Draft(`${page.dataset.reader}:${page.dataset.case}`);
const image = new ImageCanvas(part("canvas"), read("image"));
const boxes = new Boxes(image, Object.fromEntries(findings.map(({ code, name }) => [code, name])));
let given = read("given");
let current = findings[0].code;
let busy = false;

const say = (words) => { part("said").textContent = words; };
const stated = (code) => form.elements[`finding-${code}`].value;

function state(code, word) {
  form.elements[`finding-${code}`].value = word;
  if (BOXED.has(word)) current = code;
  // Normal leaves no room for another finding, nor the other way round.
  if (word === "present") {
    for (const other of findings) {
      if (other.code !== code && (code === "normal" || other.code === "normal")) form.elements[`finding-${other.code}`].value = "absent";
    }
  }
  changed();
}

function turn(code) {
  state(code, WORDS[(WORDS.indexOf(stated(code)) + 1) % WORDS.length]);
  say(`${findings.find((one) => one.code === code).name}: ${form.querySelector(`[name="finding-${code}"]:checked`).parentElement.textContent}`);
}

function said() {
  const confidence = form.elements.confidence.value;
  return {
    findings: Object.fromEntries(findings.map(({ code }) => [code, stated(code)])),
    confidence: confidence ? Number(confidence) : null,
    regions: boxes.list.map(({ finding, x, y, width, height }) => ({ finding, x, y, width, height })),
    comment: form.elements.comment.value,
    cannot_tell: form.elements.cannot_tell.checked,
    bad_image: form.elements.bad_image.checked,
    after: given?.id ?? null,
  };
}

function put(label) {
  for (const { code } of findings) form.elements[`finding-${code}`].value = label.findings[code] ?? "unread";
  form.elements.confidence.value = label.confidence ?? "";
  form.elements.comment.value = label.comment;
  form.elements.cannot_tell.checked = label.cannot_tell;
  form.elements.bad_image.checked = label.bad_image;
  boxes.set(label.regions);
}

function changed() {
  boxes.keepOnly(new Set(findings.map(({ code }) => code).filter((code) => BOXED.has(stated(code)))));
  draft.keep(said());
  showState();
}

function showState() {
  const now = said();
  const something = Object.values(now.findings).some((word) => word !== "unread") || now.cannot_tell || now.bad_image;
  const same = given && JSON.stringify({ ...now, after: 0 }) === JSON.stringify({ ...given, id: undefined, after: 0 });
  part("commit").disabled = busy || !something || Boolean(same);
  part("commit").textContent = given ? gettext("Change my label") : gettext("Commit");
  part("draw").setAttribute("aria-pressed", String(Boolean(boxes.drawing)));
  page.classList.toggle("drawing", Boolean(boxes.drawing));
  listBoxes();
}

function listBoxes() {
  const rows = boxes.list.map(({ finding }, at) => {
    const row = document.createElement("li");
    const choose = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: `${at + 1} ${boxes.names[finding]}` });
    choose.setAttribute("aria-pressed", String(at === boxes.chosen));
    choose.addEventListener("click", () => boxes.choose(at === boxes.chosen ? -1 : at));
    const remove = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: gettext("Remove") });
    remove.setAttribute("aria-label", interpolate(gettext("Remove box %(number)s"), { number: at + 1 }));
    remove.addEventListener("click", () => boxes.remove(at));
    row.append(choose, remove);
    return row;
  });
  part("boxes").replaceChildren(...rows);
}

function draw() {
  if (boxes.drawing) return boxes.stop();
  const code = BOXED.has(stated(current)) ? current : findings.map((one) => one.code).find((one) => BOXED.has(stated(one)));
  if (!code) return say(gettext("A box belongs to a finding: say first that it is present or uncertain."));
  if (!boxes.begin(code)) return say(gettext("There are twenty boxes already."));
  part("canvas").focus();
  return say(interpolate(gettext("Draw a box for %(finding)s: drag, or Enter and then the arrows."), { finding: boxes.names[code] }));
}

async function commit() {
  if (part("commit").disabled) return;
  busy = true;
  const body = said();
  draft.keep(body);
  showState();
  try {
    const answer = await deliver(page.dataset.commit, body, (words) => {
      part("trouble").textContent = words;
      part("trouble").hidden = !words;
    });
    given = answer.given;
    draft.drop();
    put(given);
    part("answer").innerHTML = answer.shown;
    reveal();
    say(gettext("Committed."));
  } catch (refusal) {
    part("trouble").textContent = `${refusal.message} ${refusal.remedy ?? ""}`;
    part("trouble").hidden = false;
  }
  busy = false;
  showState();
}

function reveal() {
  page.classList.add("committed");
  part("hidden-note").hidden = true;
  part("answer").hidden = false;
  part("next").hidden = false;
  part("next").querySelector("button").focus();
}

function cycleConfidence() {
  const values = ["", "1", "2", "3"];
  form.elements.confidence.value = values[(values.indexOf(form.elements.confidence.value) + 1) % values.length];
  changed();
}

function check(name) {
  form.elements[name].checked = !form.elements[name].checked;
  changed();
}

function enter(event) {
  if (event.target.closest?.("button, a, summary")) return event.target.click();
  if (boxes.drawing) return boxes.place();
  if (boxes.chosen >= 0) return boxes.choose(-1);
  return commit();
}

function listen() {
  watchImage(image, boxes);
  boxes.onChange = () => { if (!busy) changed(); };
  form.addEventListener("change", (event) => {
    const code = event.target.name.replace(/^finding-/, "");
    if (code !== event.target.name) state(code, event.target.value);
    else changed();
  });
  form.addEventListener("input", () => changed());
  form.addEventListener("submit", (event) => { event.preventDefault(); commit(); });
  form.elements.comment.addEventListener("keydown", (event) => {
    if (event.key === "Escape") event.target.blur();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) commit();
  });
  part("draw").addEventListener("click", draw);
  onKeys({
    ...imageKeys(image, boxes),
    ...Object.fromEntries(findings.map(({ code, key }) => [String(key), () => turn(code)])),
    q: cycleConfidence, x: () => check("cannot_tell"), b: () => check("bad_image"),
    c: () => form.elements.comment.focus(),
    d: draw, e: () => boxes.next(), Delete: () => boxes.remove(), Backspace: () => boxes.remove(),
    Escape: () => { if (boxes.drawing) boxes.stop(); else boxes.choose(-1); },
    Enter: enter, n: () => { if (!part("next").hidden) part("next").requestSubmit(); },
  });
  addEventListener("beforeunload", (event) => { if (busy) event.preventDefault(); });
}

async function show() {
  listen();
  const kept = draft.get();
  if (given) put(given);
  if (kept && kept.after === (given?.id ?? null)) put(kept);
  if (given) reveal();
  showState();
  try {
    await image.open();
    part("preview").remove();
    page.dataset.shown = "1";
  } catch {
    part("no-image").hidden = false;
  }
  image.onChange = () => {
    const { width, level } = image.window;
    part("read-out").textContent = [
      interpolate(gettext("W %(width)s L %(level)s"), { width: Math.round(width), level: Math.round(level) }),
      interpolate(gettext("zoom %(zoom)s"), { zoom: image.view.scale.toFixed(2) }),
      image.inverted && gettext("inverted"),
    ].filter(Boolean).join("   ");
  };
  image.redraw();
  if (!given) setInterval(() => { if (!given) postJson(page.dataset.keep, {}).catch(() => {}); }, KEEP_SECONDS * 1000);
}

show();
