// Shared by all pages: theme, keyboard help, dialogs, forms that submit on change, times.
import { onKeys } from "./keys.js";
import { showTimes } from "./times.js";
import "./waiting.js";

const YEAR = 365 * 24 * 3600;
const each = (selector, event, run) => {
  for (const element of document.querySelectorAll(selector)) element.addEventListener(event, () => run(element));
};

function toggleTheme() {
  const theme = document.documentElement.dataset.theme === "light" ? "dark" : "light";
  document.documentElement.dataset.theme = theme;
  document.cookie = `theme=${theme}; path=/; max-age=${YEAR}; samesite=lax`;
}

const openHelp = () => document.querySelector("#help")?.showModal();

each("[data-toggle-theme]", "click", toggleTheme);
each("[data-help]", "click", openHelp);
each("[data-submit-on-change]", "change", (field) => field.form.requestSubmit());
each("[data-reload]", "click", () => location.reload());
each("[data-open-dialog]", "click", (button) => document.getElementById(button.dataset.openDialog).showModal());
each("[data-close-dialog]", "click", (button) => button.closest("dialog").close());
// Focus must not stay in a closed dialog, or its fields would receive the keys.
each("dialog", "close", (dialog) => { if (dialog.contains(document.activeElement)) document.activeElement.blur(); });

const search = document.querySelector("[data-search]");
onKeys({ "?": openHelp, ...(search && { "/": () => search.focus() }) });

each("[data-dismiss]", "click", (button) => button.closest(".notice").remove());

showTimes();
setInterval(showTimes, 30_000);
