// The move dialog: says whom the typed identifier is, and makes a new patient only when it is asked to.
import { postJson } from "../http.js";
import { gettext, interpolate, ngettext } from "../gettext.js";

export function watchMove(dialog) {
  const [field, whom, offer] = ["[name=patient_id]", "[data-whom]", "[data-new]"].map((part) => dialog.querySelector(part));
  const fresh = offer.querySelector("input");
  let timer = 0;

  const show = (words, { isNew = false } = {}) => {
    whom.textContent = words;
    offer.hidden = !isNew;
    fresh.required = isNew;
    fresh.checked = false;
  };

  async function look() {
    const id = field.value.trim();
    if (!id) return;
    try {
      const { patients } = await postJson(dialog.dataset.patients, { ids: [id] });
      if (field.value.trim() !== id) return; // typed on meanwhile
      const known = patients[id];
      if (!known) show(gettext("No patient at this site has this ID."), { isNew: true });
      else {
        const words = ngettext("%(patient)s: %(facts)s; %(number)s study", "%(patient)s: %(facts)s; %(number)s studies", known.studies);
        show(interpolate(words, { patient: known.label, facts: known.facts, number: known.studies }));
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
