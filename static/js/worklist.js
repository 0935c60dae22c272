// The worklist: rows by key, and live states without a reload.
import { fragment, poll } from "./http.js";
import { onKeys } from "./keys.js";
import { showTimes } from "./times.js";

const list = document.querySelector("[data-worklist]");
const rows = () => [...list.querySelectorAll("tr[data-href]")];
const open = (row) => row && location.assign(row.dataset.href);

function move(step) {
  const all = rows();
  const at = all.indexOf(document.activeElement.closest("tr[data-href]"));
  const next = all[at < 0 ? 0 : Math.min(Math.max(at + step, 0), all.length - 1)];
  next?.focus();
}

let lastSeen = "";
function replaceRows(html) {
  if (html === lastSeen) return true;
  lastSeen = html;
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-worklist]");
  if (!fresh) return false;
  const focused = document.activeElement.closest("tr[data-href]")?.id;
  list.replaceChildren(...fresh.childNodes);
  showTimes(list);
  if (focused) document.getElementById(focused)?.focus();
  return true;
}

function showPreview(event) {
  const [picture, none] = [document.querySelector("[data-preview]"), document.querySelector("[data-preview-none]")];
  const row = event.target.closest("tr[data-thumbnail]");
  if (!picture || !row || picture.parentElement.offsetParent === null) return;
  picture.src = row.dataset.thumbnail;
  picture.hidden = false;
  none.hidden = true;
}

if (list) {
  list.addEventListener("focusin", showPreview);
  list.addEventListener("pointerover", showPreview);
  list.addEventListener("click", (event) => {
    if (!event.target.closest("a, button") && !getSelection().toString()) open(event.target.closest("tr[data-href]"));
  });
  list.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("tr[data-href]")) open(event.target);
  });
  onKeys({
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
    n: () => document.querySelector("[rel=next]")?.click(),
    p: () => document.querySelector("[rel=prev]")?.click(),
  });
  poll(async () => replaceRows(await fragment(list.dataset.rows + location.search)), { first: 1000, slowest: 5000 });
}
