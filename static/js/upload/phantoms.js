// Reloads the page once the simulated patients are rendered.
import { fragment, poll } from "../http.js";

if (document.querySelector("[data-rendering]")) {
  poll(async () => {
    const ready = !(await fragment(location.pathname)).includes("data-rendering");
    if (ready) location.reload();
    return !ready;
  }, { first: 3000, slowest: 8000 });
}
