// Sends a model file as it is; the server answers where its candidate is, or why it cannot be one.
import { csrf } from "../http.js";
import { gettext, interpolate } from "../gettext.js";

const box = document.querySelector("[data-import]");

async function send(file, told) {
  told.textContent = interpolate(gettext("sending %(name)s …"), { name: file.name });
  const headers = { "Content-Type": "application/octet-stream", Accept: "application/json", "X-CSRFToken": csrf() };
  const answer = await fetch(box.dataset.import, { method: "POST", headers, body: file });
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) location.assign(said.href);
  else told.textContent = `${said.detail ?? gettext("It could not be sent.")} ${said.remedy ?? ""}`;
}

box?.querySelector("button").addEventListener("click", () => {
  const [file] = box.querySelector("input").files;
  const told = box.querySelector("[role=status]");
  if (!file) told.textContent = gettext("Choose a file first.");
  else send(file, told).catch(() => (told.textContent = gettext("The connection broke off; try again.")));
});
