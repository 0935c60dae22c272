// Same-origin requests with Django's CSRF token; nothing of a patient ever goes into an address.
export const csrf = () => document.querySelector("meta[name=csrf-token]")?.content ?? "";

export async function fragment(url) {
  const answer = await fetch(url, { headers: { "X-Requested-With": "fetch" } });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return answer.text();
}

export async function postJson(url, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrf() };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return answer.json();
}

/** GET or POST without a body; rejects with the server's own words where it refuses. */
export async function askJson(url, method) {
  const headers = { Accept: "application/json", "X-CSRFToken": csrf() };
  const answer = await fetch(url, { method, headers });
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  throw new Error(problem.detail ? `${problem.detail} ${problem.remedy ?? ""}` : `HTTP ${answer.status}`);
}

/** Calls `look` until it answers false: quickly at first, calmly later, and rarely while nobody watches. */
export function poll(look, { first = 400, slowest = 3000 } = {}) {
  let wait = first;
  let timer = 0;
  const turn = async () => {
    let again = true;
    try {
      again = await look();
    } catch {
      wait = slowest;
    }
    wait = Math.min(wait * 1.15, slowest);
    if (again) timer = setTimeout(turn, document.hidden ? 4 * slowest : wait);
  };
  timer = setTimeout(turn, wait);
  return () => clearTimeout(timer);
}
