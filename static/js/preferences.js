// The person's preferences: given with the page, kept on the server.
import { postJson } from "./http.js";

const source = document.getElementById("preferences");
const values = source ? JSON.parse(source.textContent) : {};

export const preference = (key) => values[key];

/** Keeps a value for the person; the page goes on with it even where the server cannot be reached. */
export async function setPreference(key, value) {
  if (JSON.stringify(values[key]) === JSON.stringify(value)) return;
  values[key] = value;
  await postJson("/preferences/", { key, value });
}
