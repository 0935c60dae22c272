// The move dialog: shows which patient the entered ID belongs to, and creates a patient only on request.
import { postJson } from "../http.js";
import { gettext, interpolate, ngettext } from "../gettext.js";

export function watchMove(dialog) {
  const [field, match, create] = ["[name=patient_id]", "[data-match]", "[data-create]"].map((part) => dialog.querySelector(part));
  const checkbox = create.querySelector("input");
  let timer = 0;

  const show = (text, { unknown = false } = {}) => {
    match.textContent = text;
    create.hidden = !unknown;
    checkbox.required = unknown;
    checkbox.checked = false;
  };

  async function look() {
    const id = field.value.trim();
    if (!id) return;
    try {
      const { patients } = await postJson(dialog.dataset.patients, { ids: [id] });
      if (field.value.trim() !== id) return; // changed in the meantime
      const known = patients[id];
      if (!known) show(gettext("No patient at this site has this ID."), { unknown: true });
      else {
        const text = ngettext("%(patient)s: %(facts)s; %(number)s study", "%(patient)s: %(facts)s; %(number)s studies", known.studies);
        show(interpolate(text, { patient: known.label, facts: known.facts, number: known.studies }));
      }
    } catch {
      show(gettext("The ID could not be checked. Try again."));
    }
  }

  field.addEventListener("input", () => {
    show("");
    clearTimeout(timer);
    timer = setTimeout(look, 300);
  });
}
