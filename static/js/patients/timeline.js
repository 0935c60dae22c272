// The patient page: j and k move between scans.
import { onKeys } from "../keys.js";

const entries = [...document.querySelectorAll("[data-entry]")];
const move = (step) => () => {
  const at = entries.indexOf(document.activeElement);
  entries[at < 0 ? 0 : Math.min(Math.max(at + step, 0), entries.length - 1)]?.focus();
};
onKeys({ j: move(1), k: move(-1) });
