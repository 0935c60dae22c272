// What every page has: theme, help sheet, site choice, times.
import { onKeys } from "./keys.js";
import { showTimes } from "./times.js";

const YEAR = 365 * 24 * 3600;

function turnTheme() {
  const theme = document.documentElement.dataset.theme === "light" ? "dark" : "light";
  document.documentElement.dataset.theme = theme;
  document.cookie = `theme=${theme}; path=/; max-age=${YEAR}; samesite=lax`;
}

function openHelp() {
  document.querySelector("#help")?.showModal();
}

document.querySelector("[data-theme-turn]")?.addEventListener("click", turnTheme);
document.querySelector("[data-help]")?.addEventListener("click", openHelp);
for (const choice of document.querySelectorAll("[data-send-on-change]")) {
  choice.addEventListener("change", () => choice.form.requestSubmit());
}
document.querySelector("[data-reload]")?.addEventListener("click", () => location.reload());
for (const button of document.querySelectorAll("[data-opens]")) {
  button.addEventListener("click", () => document.getElementById(button.dataset.opens).showModal());
}
for (const button of document.querySelectorAll("[data-closes]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

for (const dialog of document.querySelectorAll("dialog")) {
  // Focus must not stay behind in a closed dialog, or the keys would type into it.
  dialog.addEventListener("close", () => { if (dialog.contains(document.activeElement)) document.activeElement.blur(); });
}

const search = document.querySelector("[data-search]");
onKeys({
  "?": openHelp,
  ...(search && { "/": () => search.focus() }),
});

showTimes();
setInterval(showTimes, 30_000);
