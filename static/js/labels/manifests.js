// The import page: shows how the selected manifest is read, and its first rows, before it can be imported.
import { csrf } from "../http.js";
import { gettext } from "../gettext.js";

const form = document.querySelector("[data-manifest-form]");
const result = document.querySelector("[data-check-result]");
const importing = form.querySelector("[data-import]");

async function check() {
  importing.disabled = true;
  const body = new FormData(form);
  if (!body.get("table")?.size) return;
  body.set("preview", "1");
  try {
    const response = await fetch(form.action, { method: "POST", body, headers: { "X-CSRFToken": csrf() } });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    result.replaceChildren(...page.body.childNodes);
    importing.disabled = !result.querySelector("[data-valid]");
  } catch {
    result.textContent = gettext("The manifest could not be checked. Try again.");
  }
}

importing.disabled = true;
for (const name of ["table", "date_order", "encoding"]) form.elements[name].addEventListener("change", check);
form.querySelector("[data-check]").addEventListener("click", (event) => {
  if (!form.elements.table.files.length) return; // the browser asks for the file
  event.preventDefault();
  check();
});
