// The list of queues: Enter continues with the first one that has images left for the reader.
import { onKeys } from "../keys.js";

onKeys({
  Enter: (event) => {
    const focused = event.target.closest?.("a, button, summary");
    (focused ?? document.querySelector("[data-start]"))?.click();
  },
});
