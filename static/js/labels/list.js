// The list of queues: Enter goes on with the first that has something for the reader.
import { onKeys } from "../keys.js";

onKeys({
  Enter: (event) => {
    const focused = event.target.closest?.("a, button, summary");
    (focused ?? document.querySelector("[data-start]"))?.click();
  },
});
