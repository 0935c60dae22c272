// The reading form: number keys, signing in place, and a draft kept on the server while the reader types.
import { gettext } from "../gettext.js";
import { csrf } from "../http.js";
import { onKeys } from "../keys.js";
import { setPreference } from "../preferences.js";

const PAUSE = 600; // ms without typing before the draft is sent

const formNow = () => document.querySelector("[data-reading-form]");
const headers = () => ({ Accept: "application/json", "X-CSRFToken": csrf() });
let [timer, unsaved, leaving] = [0, false, false];

function contents(form) {
  const entered = new FormData(form);
  return { findings: entered.getAll("finding"), comment: entered.get("comment"), comparison: entered.get("comparison") ?? "" };
}

function showState(form, text) {
  const place = form.closest("details")?.querySelector("[data-draft-state]");
  if (place) place.textContent = text;
}

async function save() {
  clearTimeout(timer);
  const form = formNow();
  if (!form?.dataset.draft || !unsaved || leaving) return;
  unsaved = false;
  const request = { method: "POST", keepalive: true, headers: { ...headers(), "Content-Type": "application/json" }, body: JSON.stringify(contents(form)) };
  const sent = await fetch(form.dataset.draft, request).catch(() => null);
  if (sent?.ok) return showState(form, (await sent.json()).saved_at ? gettext("Draft saved") : "");
  unsaved = true;
  showState(form, gettext("Draft not saved"));
}

function changed() {
  unsaved = true;
  clearTimeout(timer);
  timer = setTimeout(save, PAUSE);
}

function refuse(form, { detail, remedy = "", code = "" }) {
  const place = form.querySelector("[data-reading-error]");
  const name = document.createElement("code");
  name.textContent = code;
  place.replaceChildren(`${detail} ${remedy} `, name);
  place.hidden = false;
  place.scrollIntoView({ block: "nearest" });
}

/** The code of what is wrong with the form, by the server's own rules. */
function refusal(form) {
  const chosen = [...form.querySelectorAll("[name=finding]:checked")];
  if (!chosen.length) return "finding_missing";
  if (chosen.length > 1 && chosen.some((box) => "alone" in box.dataset)) return "findings_contradict";
  const undescribed = chosen.some((box) => "described" in box.dataset) && !form.elements.comment.value.trim();
  return undescribed ? "description_missing" : null;
}

async function submit(form, button) {
  const code = refusal(form);
  if (code) return refuse(form, { code, detail: JSON.parse(document.getElementById("reading-refusals").textContent)[code] });
  const buttons = form.querySelectorAll("button");
  for (const one of buttons) one.disabled = true;
  clearTimeout(timer);
  const body = new FormData(form);
  if (button?.name) body.set(button.name, button.value);
  const unreachable = { detail: gettext("The server cannot be reached."), remedy: gettext("Nothing is lost: try again.") };
  const sent = await fetch(form.action, { method: "POST", headers: headers(), body }).catch(() => null);
  const response = sent ? await sent.json().catch(() => ({})) : unreachable;
  if (sent?.ok) {
    leaving = true;
    return location.assign(response.href);
  }
  for (const one of buttons) one.disabled = false;
  return refuse(form, { ...unreachable, ...response });
}

function toggle(digit) {
  const box = formNow()?.querySelector(`[data-digit="${digit}"]`);
  if (!box) return;
  box.closest("details")?.setAttribute("open", "");
  box.click();
}

/** Adds a template's findings and texts to the form; what the reader has written stays. */
function insert(form, { findings, comment, comparison }) {
  for (const box of form.querySelectorAll("[name=finding]")) if (findings.length) box.checked = findings.includes(box.value);
  for (const [name, text] of Object.entries({ comment, comparison })) {
    const field = form.elements[name];
    field.value = [field.value.trim(), text].filter(Boolean).join("\n").slice(0, field.maxLength);
  }
  form.elements.comment.dispatchEvent(new Event("input", { bubbles: true }));
}

async function switchReadFirst(box) {
  await save();
  try {
    await setPreference("read_first", box.checked);
    location.reload();
  } catch (problem) {
    box.checked = !box.checked;
    refuse(formNow(), { detail: problem.message });
  }
}

document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-read-first]")) return switchReadFirst(target);
  if (!target.matches("[data-report-template]") || !target.value) return undefined;
  insert(target.form, JSON.parse(document.getElementById("report-templates").textContent)[Number(target.value)]);
  target.value = "";
  return target.form.elements.comment.focus();
});

// The evidence panel replaces the form when a result arrives, so the page listens for it.
document.addEventListener("input", (event) => {
  const form = event.target.closest?.("[data-reading-form]");
  if (!form) return;
  form.querySelector("[data-reading-error]").hidden = true;
  changed();
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-reading-form]")) return;
  event.preventDefault();
  submit(event.target, event.submitter);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat || document.querySelector("dialog[open]")) return;
  const form = formNow();
  const button = form?.querySelector("button.primary");
  if (!button || button.disabled) return;
  event.preventDefault();
  form.closest("details")?.setAttribute("open", "");
  form.requestSubmit(button);
});
onKeys(Object.fromEntries(Array.from({ length: 9 }, (_, at) => [String(at + 1), () => toggle(at + 1)])));
addEventListener("pagehide", save);
