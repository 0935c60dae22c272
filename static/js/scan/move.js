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
      if (!known) show(gettext("Nobody here has this id yet."), { isNew: true });
      else {
        const words = ngettext("This is %(patient)s: %(facts)s; %(number)s study.", "This is %(patient)s: %(facts)s; %(number)s studies.", known.studies);
        show(interpolate(words, { patient: known.label, facts: known.facts, number: known.studies }));
      }
    } catch {
      show(gettext("It cannot be told now whom this id is."));
    }
  }

  field.addEventListener("input", () => {
    show("");
    clearTimeout(timer);
    timer = setTimeout(look, 300);
  });
}
