// The worklist: rows by key, chosen rows, and live states without a reload.
import { fragment, poll } from "../http.js";
import { onKeys } from "../keys.js";
import { showTimes } from "../times.js";

const list = document.querySelector("[data-worklist]");
const chosenLine = document.querySelector("[data-chosen]");
const chosen = new Set();
const rows = () => [...list.querySelectorAll("tr[data-href]")];
const boxes = () => [...list.querySelectorAll("input[name=study]")];
const rowAtFocus = () => document.activeElement.closest("tr[data-href]");
const open = (row) => row && location.assign(row.dataset.href);

function move(step) {
  const all = rows();
  const at = all.indexOf(rowAtFocus());
  const next = all[at < 0 ? 0 : Math.min(Math.max(at + step, 0), all.length - 1)];
  next?.focus();
}

/** Shows which rows are chosen; rows that have left the list are forgotten. */
function showChosen() {
  const all = boxes();
  const here = new Set(all.map((box) => box.value));
  for (const key of [...chosen]) if (!here.has(key)) chosen.delete(key);
  for (const box of all) {
    box.checked = chosen.has(box.value);
    box.closest("tr").classList.toggle("chosen-row", box.checked);
  }
  const everything = list.querySelector("[data-choose-all]");
  if (everything) {
    everything.checked = all.length > 0 && chosen.size === all.length;
    everything.indeterminate = chosen.size > 0 && chosen.size < all.length;
  }
  chosenLine.hidden = chosen.size === 0;
  chosenLine.querySelector("[data-chosen-number]").textContent = chosen.size;
}

function choose(key, on) {
  if (on) chosen.add(key);
  else chosen.delete(key);
}

function turnRow() {
  const box = rowAtFocus()?.querySelector("input[name=study]");
  if (!box) return;
  choose(box.value, !chosen.has(box.value));
  showChosen();
}

let lastSeen = "";
function replaceRows(html) {
  if (html === lastSeen) return true;
  lastSeen = html;
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-worklist]");
  if (!fresh) return false;
  const focused = rowAtFocus()?.id;
  const onBox = document.activeElement.name === "study";
  list.replaceChildren(...fresh.childNodes);
  showTimes(list);
  showChosen();
  const row = focused && document.getElementById(focused);
  if (row) (onBox ? row.querySelector("input[name=study]") : row).focus();
  return true;
}

function showPreview(event) {
  const [image, none] = [document.querySelector("[data-preview]"), document.querySelector("[data-preview-none]")];
  const row = event.target.closest("tr[data-thumbnail]");
  if (!image || !row || image.parentElement.offsetParent === null) return;
  image.src = row.dataset.thumbnail;
  image.hidden = false;
  none.hidden = true;
}

function takeBox(event) {
  if (event.target.name === "study") choose(event.target.value, event.target.checked);
  else if (event.target.matches("[data-choose-all]")) for (const box of boxes()) choose(box.value, event.target.checked);
  else return;
  showChosen();
}

if (list) {
  list.addEventListener("focusin", showPreview);
  list.addEventListener("pointerover", showPreview);
  list.addEventListener("change", takeBox);
  list.addEventListener("click", (event) => {
    if (!event.target.closest("a, button, .choose") && !getSelection().toString()) open(event.target.closest("tr[data-href]"));
  });
  list.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("tr[data-href]")) open(event.target);
  });
  document.querySelector("[data-choose-none]").addEventListener("click", () => {
    chosen.clear();
    showChosen();
  });
  onKeys({
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), x: turnRow,
    n: () => document.querySelector("[rel=next]")?.click(),
    p: () => document.querySelector("[rel=prev]")?.click(),
  });
  poll(async () => replaceRows(await fragment(list.dataset.rows + location.search)), { first: 1000, slowest: 5000 });
}
