// Columns, density and e-mails of the worklist: kept with the person's preferences.
import { setPreference } from "../preferences.js";

const form = document.querySelector("[data-columns]");

form?.addEventListener("click", ({ target }) => {
  const item = target.closest("[data-up]")?.closest("li");
  if (item?.previousElementSibling) item.previousElementSibling.before(item);
});

form?.querySelector("[data-save-columns]").addEventListener("click", async () => {
  const columns = [...form.querySelectorAll("ol input:checked")].map((box) => box.value);
  try {
    await setPreference("worklist_columns", columns);
    await setPreference("worklist_density", form.querySelector("#density").value);
    await setPreference("urgent_mail", form.querySelector("[data-urgent-mail]").checked);
    location.reload();
  } catch (problem) {
    form.querySelector("[data-columns-problem]").textContent = problem.message;
  }
});
