// Looks whether the simulated patients are there, and loads the page anew only then.
import { fragment, poll } from "../http.js";

if (document.querySelector("[data-rendering]")) {
  poll(async () => {
    const ready = !(await fragment(location.pathname)).includes("data-rendering");
    if (ready) location.reload();
    return !ready;
  }, { first: 3000, slowest: 8000 });
}
