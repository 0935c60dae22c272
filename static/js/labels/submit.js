// Submits a label: a draft is kept in this tab until the server has stored it, and it is resent automatically.
import { csrf } from "../http.js";
import { gettext } from "../gettext.js";

const RETRY_SECONDS = [1, 2, 4, 8, 15, 30];
const TRANSIENT = new Set(["rate_limited", "unavailable", "internal", "incomplete"]);

export class Draft {
  constructor(key) { this.key = `hilum-label:${key}`; }

  get() {
    try {
      return JSON.parse(sessionStorage.getItem(this.key));
    } catch {
      return null;
    }
  }

  save(content) { sessionStorage.setItem(this.key, JSON.stringify(content)); }

  clear() { sessionStorage.removeItem(this.key); }
}

/** Resolves to the server's response, however long the network is down; rejects with {message, remedy} if the server
    refuses the label. `onStatus` receives a text for the reader while it waits, and an empty one at the end. */
export async function submit(url, body, onStatus) {
  for (let attempt = 0; ; attempt += 1) {
    const { result, refusal, status } = await post(url, body);
    if (refusal) throw refusal;
    onStatus(status ?? "");
    if (result) return result;
    await pause(RETRY_SECONDS[Math.min(attempt, RETRY_SECONDS.length - 1)]);
  }
}

async function post(url, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrf() };
  try {
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    const content = await response.json();
    if (response.ok) return { result: content };
    if (response.status === 401) {
      return { status: gettext("You are signed out. Sign in again in another tab; your label is kept here and then sent.") };
    }
    if (!TRANSIENT.has(content.code)) return { refusal: { message: content.detail, remedy: content.remedy } };
  } catch {
    // No connection, or the response is not JSON.
  }
  return { status: gettext("Not sent: no connection. Your label is kept here and resent automatically.") };
}

/** Waits, but not longer than until the browser is online again. */
function pause(seconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    addEventListener("online", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
