// The page Preferences: saves a person's own key as soon as it is typed; a refused one goes back.
import { gettext, interpolate } from "../gettext.js";
import { preference, setPreference } from "../preferences.js";

const error = document.querySelector("[data-error]");
const saved = document.querySelector("[data-saved]");
let own = structuredClone(preference("keys") ?? {});

/** The person's keys with this field's; a standard key needs no entry. */
function withKey(page, standard, key) {
  const { [standard]: _, ...others } = own[page] ?? {};
  const keys = key && key !== standard ? { ...others, [standard]: key } : others;
  return { ...own, [page]: keys };
}

async function save(field) {
  const { page } = { page: field.closest("table").dataset.keysOf };
  const standard = field.dataset.key;
  const before = own[page]?.[standard] ?? standard;
  const key = field.value.trim() || standard;
  try {
    const changed = withKey(page, standard, key);
    await setPreference("keys", changed);
    own = changed;
    field.value = key;
    field.removeAttribute("aria-invalid");
    error.hidden = true;
    saved.textContent = interpolate(gettext("%(key)s saved"), { key });
  } catch (refusal) {
    field.value = before;
    field.setAttribute("aria-invalid", "true");
    error.textContent = refusal.message;
    error.hidden = false;
  }
}

for (const field of document.querySelectorAll("[data-key]")) {
  field.addEventListener("focus", () => field.select());
  field.addEventListener("change", () => save(field));
}
