// Opens the operation named in the address, filters the list, copies commands. The page works without it.
const page = document.querySelector(".api");
const filter = document.querySelector("#api-filter");
const noMatches = page.querySelector("[data-nothing]");

function open(id) {
  const target = document.getElementById(id);
  if (!target || !page.contains(target)) return;
  if (target.closest("[hidden]")) clear();
  if (target instanceof HTMLDetailsElement) target.open = true;
  target.scrollIntoView();
}

function clear() {
  filter.value = "";
  applyFilter();
}

function applyFilter() {
  const wanted = filter.value.trim().toLowerCase();
  for (const section of page.querySelectorAll("section")) {
    const entries = [...section.querySelectorAll("details")];
    for (const entry of entries) {
      entry.hidden = !`${entry.id} ${entry.querySelector("summary").textContent}`.toLowerCase().includes(wanted);
    }
    section.hidden = entries.every((entry) => entry.hidden);
  }
  noMatches.hidden = Boolean(page.querySelector("section:not([hidden])"));
}

async function copy(button) {
  const label = button.dataset.label ??= button.textContent;
  await navigator.clipboard.writeText(button.previousElementSibling.textContent);
  button.textContent = page.dataset.copied;
  setTimeout(() => { button.textContent = label; }, 1500);
}

page.addEventListener("click", ({ target }) => {
  // The same link twice changes no hash; its target may have been closed in between.
  const link = target.closest("a[href^='#']");
  if (link && link.hash === location.hash) open(link.hash.slice(1));
  const button = target.closest("[data-copy]");
  if (button) copy(button);
});
addEventListener("hashchange", () => open(location.hash.slice(1)));
filter.addEventListener("input", applyFilter);
filter.addEventListener("keydown", (event) => event.key === "Escape" && clear());
filter.hidden = false;
// Browsers offer the clipboard on https and on localhost only.
if (navigator.clipboard) for (const button of page.querySelectorAll("[data-copy]")) button.hidden = false;
open(location.hash.slice(1));
