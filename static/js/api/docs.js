// Opens what an address names, copies a line, filters. Without it the page reads as well.
const place = document.querySelector(".api");
const filter = document.querySelector("#api-filter");
const nothing = place.querySelector("[data-nothing]");

function show(name) {
  const named = document.getElementById(name);
  if (!named || !place.contains(named)) return;
  if (named.closest("[hidden]")) clear();
  if (named instanceof HTMLDetailsElement) named.open = true;
  named.scrollIntoView();
}

function clear() {
  filter.value = "";
  narrow();
}

function narrow() {
  const asked = filter.value.trim().toLowerCase();
  let left = 0;
  for (const section of place.querySelectorAll("section")) {
    let here = 0;
    for (const one of section.querySelectorAll("details")) {
      const words = `${one.id} ${one.querySelector("summary").textContent}`.toLowerCase();
      one.hidden = !words.includes(asked);
      here += !one.hidden;
    }
    section.hidden = !here;
    left += here;
  }
  nothing.hidden = left > 0;
}

addEventListener("hashchange", () => show(location.hash.slice(1)));

async function copy(button) {
  const word = button.dataset.word ??= button.textContent;
  await navigator.clipboard.writeText(button.previousElementSibling.textContent);
  button.textContent = place.dataset.copied;
  setTimeout(() => { button.textContent = word; }, 1500);
}

place.addEventListener("click", ({ target }) => {
  // The same link twice changes no hash; what it names may have been closed in between.
  const link = target.closest("a[href^='#']");
  if (link && link.hash === location.hash) show(link.hash.slice(1));
  const button = target.closest("[data-copy]");
  if (button) copy(button);
});
filter.addEventListener("input", narrow);
filter.addEventListener("keydown", (event) => event.key === "Escape" && clear());
filter.hidden = false;
// A browser offers the clipboard on https and on this machine only.
if (navigator.clipboard) for (const button of place.querySelectorAll("[data-copy]")) button.hidden = false;
show(location.hash.slice(1));
