// Uploads a model file; the server registers it as a candidate or returns why it cannot.
import { csrf } from "../http.js";
import { gettext, interpolate } from "../gettext.js";

const box = document.querySelector("[data-import]");

async function send(file, status) {
  status.textContent = interpolate(gettext("Uploading %(name)s …"), { name: file.name });
  const headers = { "Content-Type": "application/octet-stream", Accept: "application/json", "X-CSRFToken": csrf() };
  const response = await fetch(box.dataset.import, { method: "POST", headers, body: file });
  const result = await response.json().catch(() => ({}));
  if (response.ok) location.assign(result.href);
  else status.textContent = `${result.detail ?? gettext("Upload failed.")} ${result.remedy ?? ""}`;
}

box?.querySelector("button").addEventListener("click", () => {
  const [file] = box.querySelector("input").files;
  const status = box.querySelector("[role=status]");
  if (!file) status.textContent = gettext("Select a file first.");
  else send(file, status).catch(() => (status.textContent = gettext("Connection lost. Try again.")));
});
