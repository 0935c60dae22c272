// The person's preferences: given with the page, kept on the server.
import { postJson } from "./http.js";

const source = document.getElementById("preferences");
const values = source ? JSON.parse(source.textContent) : {};

export const preference = (key) => values[key];

/** Keeps a value for the person; rejects where the server does not, and a further try sends it again. */
export async function setPreference(key, value) {
  if (JSON.stringify(values[key]) === JSON.stringify(value)) return;
  await postJson("/preferences/", { key, value });
  values[key] = value;
}
