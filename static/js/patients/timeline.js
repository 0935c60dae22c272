// The patient page: j and k move between scans.
import { moveFocus, onKeys } from "../keys.js";

const entries = [...document.querySelectorAll("[data-entry]")];
const move = (step) => () => moveFocus(entries, document.activeElement, step);
onKeys({ j: move(1), k: move(-1) });
