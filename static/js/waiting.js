// The number of unread studies in the tab's title, and a notice when an urgent one arrives.
import { poll } from "./http.js";

const SEEN = "urgent-case";
const title = document.title;
const notice = document.querySelector("[data-urgent-notice]");

function show({ unread, more, urgent }) {
  document.title = unread ? `(${unread}${more ? "+" : ""}) ${title}` : title;
  const seen = sessionStorage.getItem(SEEN);
  if (urgent && seen !== null && urgent.id !== seen) {
    const link = notice.querySelector("a");
    link.textContent = urgent.text;
    link.href = urgent.href;
    notice.hidden = false;
  }
  sessionStorage.setItem(SEEN, urgent?.id ?? "");
}

if (notice) {
  notice.querySelector("button").addEventListener("click", () => { notice.hidden = true; });
  poll(async () => {
    const response = await fetch(notice.dataset.urgentNotice, { headers: { Accept: "application/json" } });
    if (!response.ok) return response.status >= 500;
    show(await response.json());
    return true;
  }, { first: 1500, slowest: 20_000 });
}
