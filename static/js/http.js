// Same-origin requests with Django's CSRF token; patient data never goes into an address.
export const csrf = () => document.querySelector("meta[name=csrf-token]")?.content ?? "";

export async function fragment(url) {
  const response = await fetch(url, { headers: { "X-Requested-With": "fetch" } });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.text();
}

/** Grey levels of an image {pixels, rows, columns} row by row; rejects if they are not complete. */
export async function greyLevels({ pixels, rows, columns }) {
  const response = await fetch(pixels);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const levels = new Uint16Array(await response.arrayBuffer());
  if (levels.length !== rows * columns) throw new Error("the image is incomplete");
  return levels;
}

/** JSON from the server; rejects with its message and remedy where it refuses. `body`, if any, is sent as JSON. */
export async function requestJson(url, method, body) {
  const headers = { Accept: "application/json", "X-CSRFToken": csrf(), ...(body && { "Content-Type": "application/json" }) };
  const response = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail ? `${problem.detail} ${problem.remedy ?? ""}` : `HTTP ${response.status}`);
}

export const postJson = (url, body) => requestJson(url, "POST", body);

/** Calls `look` until it returns false: often at first, then less, and rarely in a hidden tab. */
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
