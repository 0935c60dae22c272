// The worklist: keyboard navigation, selected rows, and live states without a reload.
import { fragment, poll } from "../http.js";
import { moveFocus, onKeys } from "../keys.js";
import { showTimes } from "../times.js";
import "./columns.js";

const list = document.querySelector("[data-worklist]");
const selection = document.querySelector("[data-selection]");
const selected = new Set();
const rows = () => [...list.querySelectorAll("tr[data-href]")];
const boxes = () => [...list.querySelectorAll("input[name=study]")];
const focusedRow = () => document.activeElement.closest("tr[data-href]");
const move = (step) => moveFocus(rows(), focusedRow(), step);
const open = (row) => row && location.assign(row.dataset.href);
const click = (selector) => () => document.querySelector(selector)?.click();

/** Shows which rows are selected; rows that have left the list are dropped. */
function showSelection() {
  const all = boxes();
  const listed = new Set(all.map((box) => box.value));
  for (const key of selected) if (!listed.has(key)) selected.delete(key);
  for (const box of all) {
    box.checked = selected.has(box.value);
    box.closest("tr").classList.toggle("selected-row", box.checked);
  }
  const selectAll = list.querySelector("[data-select-all]");
  if (selectAll) {
    selectAll.checked = all.length > 0 && selected.size === all.length;
    selectAll.indeterminate = selected.size > 0 && selected.size < all.length;
  }
  selection.hidden = selected.size === 0;
  selection.querySelector("[data-selection-count]").textContent = selected.size;
}

function select(some, on) {
  for (const { value } of some) if (on) selected.add(value); else selected.delete(value);
  showSelection();
}

function toggleRow() {
  const box = focusedRow()?.querySelector("input[name=study]");
  if (box) select([box], !box.checked);
}

let lastHtml = "";
function replaceRows(html) {
  if (html === lastHtml) return true;
  lastHtml = html;
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-worklist]");
  if (!fresh) return false;
  const focused = focusedRow()?.id;
  const onBox = document.activeElement.name === "study";
  list.replaceChildren(...fresh.childNodes);
  showTimes(list);
  showSelection();
  const row = focused && document.getElementById(focused);
  if (row) (onBox ? row.querySelector("input[name=study]") : row).focus();
  return true;
}

function showPreview(event) {
  const [image, hint] = [document.querySelector("[data-preview]"), document.querySelector("[data-preview-hint]")];
  const row = event.target.closest("tr[data-thumbnail]");
  if (!image || !row || image.parentElement.offsetParent === null) return;
  image.src = row.dataset.thumbnail;
  image.hidden = false;
  hint.hidden = true;
}

if (list) {
  list.addEventListener("focusin", showPreview);
  list.addEventListener("pointerover", showPreview);
  list.addEventListener("change", ({ target }) => {
    if (target.name === "study") select([target], target.checked);
    else if (target.matches("[data-select-all]")) select(boxes(), target.checked);
  });
  list.addEventListener("click", (event) => {
    if (!event.target.closest("a, button, .select") && !getSelection().toString()) open(event.target.closest("tr[data-href]"));
  });
  list.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("tr[data-href]")) open(event.target);
  });
  document.querySelector("[data-clear-selection]").addEventListener("click", () => select(boxes(), false));
  onKeys({
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), x: toggleRow,
    n: click("[rel=next]"), p: click("[rel=prev]"),
  });
  poll(async () => replaceRows(await fragment(list.dataset.rows + location.search)), { first: 1000, slowest: 5000 });
}
