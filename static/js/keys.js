// Single-key commands; ignored while a person types or a dialog is open.
import { preference } from "./preferences.js";

const commands = new Map();
// The person's own keys on this page: standard key to own key.
const own = preference("keys")?.[document.body.dataset.page] ?? {};
const standardOf = new Map(Object.entries(own).map(([standard, key]) => [key, standard]));

/** The standard key of what was pressed; null for one that the person has given up. */
function standard(key) {
  return standardOf.get(key) ?? (key in own ? null : key);
}

/** Writes the person's own keys over the standard ones, in the help sheet and on the page. */
function showOwnKeys() {
  for (const cap of document.querySelectorAll("kbd:not([data-standard])")) cap.textContent = own[cap.textContent] ?? cap.textContent;
}
if (standardOf.size) showOwnKeys();

export function onKeys(table) {
  for (const [key, run] of Object.entries(table)) commands.set(key, run);
}

/** Moves the focus by `step` from `current` in a list of elements; to the first one from elsewhere. */
export function moveFocus(elements, current, step) {
  const at = elements.indexOf(current);
  elements[at < 0 ? 0 : Math.min(Math.max(at + step, 0), elements.length - 1)]?.focus();
}

function typing(target) {
  if (target.isContentEditable || target.closest?.("select, textarea")) return true;
  const input = target.closest?.("input");
  return Boolean(input) && !["range", "checkbox", "radio", "button", "submit"].includes(input.type);
}

/** "Shift+1" to "Shift+9" whatever the layout prints there; a layout that types digits with Shift keeps them. */
function shiftedDigit({ shiftKey, code, key }) {
  return shiftKey && /^Digit[1-9]$/.test(code) && !/^[0-9]$/.test(key) ? `Shift+${code.at(-1)}` : null;
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  const run = commands.get(shiftedDigit(event)) ?? commands.get(standard(event.key));
  if (!run) return;
  if (event.key.startsWith("Arrow") && event.target.closest?.("input")) return;
  event.preventDefault();
  run(event);
});
