// Single-key commands; ignored while a person types or a dialog is open.
const commands = new Map();

export function onKeys(table) {
  for (const [key, run] of Object.entries(table)) commands.set(key, run);
}

function typing(target) {
  if (target.isContentEditable || target.closest?.("select, textarea")) return true;
  const input = target.closest?.("input");
  return Boolean(input) && !["range", "checkbox", "radio", "button", "submit"].includes(input.type);
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  const run = commands.get(event.key);
  if (!run) return;
  if (event.key.startsWith("Arrow") && event.target.closest?.("input")) return;
  event.preventDefault();
  run(event);
});
