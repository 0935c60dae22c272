// The fields that a kind of destination needs, and the deliveries while some are under way.
import { fragment, poll } from "./http.js";
import { showTimes } from "./times.js";

const kind = document.querySelector("#kind");

function showFields() {
  for (const field of document.querySelectorAll("[data-destination] [data-for]")) {
    field.hidden = !field.dataset.for.split(" ").includes(kind.value);
  }
}

kind.addEventListener("change", showFields);
showFields();

const log = document.querySelector("[data-log]");
const pending = () => log.querySelector("[data-pending]")?.dataset.pending === "1";

if (pending()) {
  poll(async () => {
    // A keyboard user's place in the table is not taken away.
    if (log.contains(document.activeElement)) return true;
    log.innerHTML = await fragment(log.dataset.log);
    showTimes(log);
    return pending();
  });
}
