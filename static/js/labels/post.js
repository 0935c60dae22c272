// A label on its way: kept in this tab until the server has it, and sent again by itself when the network is back.
import { csrf } from "../http.js";
import { gettext } from "../gettext.js";

const WAITS = [1, 2, 4, 8, 15, 30];
const PASSING = new Set(["rate_limited", "unavailable", "internal", "incomplete"]);

export class Draft {
  constructor(key) { this.key = `hilum-label:${key}`; }

  get() {
    try {
      return JSON.parse(sessionStorage.getItem(this.key));
    } catch {
      return null;
    }
  }

  keep(said) { sessionStorage.setItem(this.key, JSON.stringify(said)); }

  drop() { sessionStorage.removeItem(this.key); }
}

/** Resolves to the server's answer, however long the network is away; rejects with {message, remedy} for what the
    server will not take. `told` is called with words about how it stands, empty once it is through. */
export async function deliver(url, body, told) {
  for (let turn = 0; ; turn += 1) {
    const outcome = await attempt(url, body);
    if (outcome.answer) {
      told("");
      return outcome.answer;
    }
    if (outcome.refusal) throw outcome.refusal;
    told(outcome.words);
    await pause(WAITS[Math.min(turn, WAITS.length - 1)]);
  }
}

async function attempt(url, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrf() };
  try {
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    const said = await answer.json();
    if (answer.ok) return { answer: said };
    if (answer.status === 401) {
      return { words: gettext("You were signed out. Sign in again in another tab: your label is kept here and is sent then.") };
    }
    if (!PASSING.has(said.code)) return { refusal: { message: said.detail, remedy: said.remedy, code: said.code } };
  } catch {
    // No connection, or an answer that is none.
  }
  return { words: gettext("Not sent: no connection. Your label is kept here and is sent again by itself.") };
}

/** Waits, but no longer than until the browser says that the network is back. */
function pause(seconds) {
  return new Promise((done) => {
    const timer = setTimeout(done, seconds * 1000);
    addEventListener("online", () => { clearTimeout(timer); done(); }, { once: true });
  });
}
